//! The journal's record format: versioned, checksummed, typed.
//!
//! A row is a header around records: `"MSJ"`, one byte of format version, the length of the records and their CRC-32
//! (both little-endian `u32`). A record is one byte of [`FactKind`], a varint length and a postcard body. A `Head` record
//! starts the effects of one event; the records after it are its facts. So the effects of several events are joined by
//! copying bytes, and the header is put on once per row.
//!
//! Not for: what the records mean. Invariants: a damaged row is an error before any of its effects is seen; a record of
//! an unknown kind is skipped from 128 on and refused below, so that an older version never folds half of an event.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{Effects, Fact, FactKind};

#[cfg(test)]
pub(crate) mod tests;

/// Bytes of a row before its first record.
pub const HEADER_BYTES: usize = 12;

/// The format this version writes, and the newest it reads.
pub const FORMAT: u8 = 1;

const MAGIC: [u8; 3] = *b"MSJ";

/// Kinds from here on may be skipped by a reader that does not know them.
const KIND_SKIPPABLE: u8 = 128;

/// Why bytes are not effects.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// Not a journal row at all.
    #[error("these bytes do not begin like a journal row")]
    Foreign,
    /// A later version's row.
    #[error(
        "written by a newer menshen (row format {0}, this one reads up to {FORMAT}); start the newer version again"
    )]
    FormatNewer(u8),
    /// A later version's record that must not be skipped.
    #[error("written by a newer menshen (record kind {0}); start the newer version again")]
    KindNewer(u8),
    /// Fewer or more bytes than were written.
    #[error("{have} bytes instead of {want}: the row is cut off or was changed; restore the latest backup")]
    Length {
        /// Bytes of records found.
        have: usize,
        /// Bytes of records announced.
        want: usize,
    },
    /// The bytes are not those that were written.
    #[error("the checksum differs: the row was changed on the disk; restore the latest backup")]
    Checksum,
    /// The checksum holds, yet a record makes no sense.
    #[error("a record of kind {0} is malformed")]
    Record(u8),
}

/// Appends the records of one event's effects. Several calls may share one buffer.
pub fn encode(effects: &Effects<'_>, out: &mut Vec<u8>) {
    record(FactKind::Head, &effects.head, out);
    for fact in &effects.facts {
        let kind = fact.kind();
        match fact {
            Fact::Member(f) => record(kind, f, out),
            Fact::Group(f) => record(kind, f, out),
            Fact::Hit(f) | Fact::ShadowHit(f) => record(kind, f, out),
            Fact::Action(f) => record(kind, f, out),
            Fact::Send(f) => record(kind, f, out),
            Fact::Attach(f) => record(kind, f, out),
            Fact::Held(f) => record(kind, f, out),
            Fact::Content(f) => record(kind, f, out),
            Fact::Answered(f) => record(kind, f, out),
            Fact::Overturned(f) => record(kind, f, out),
            Fact::Unsaid(f) => record(kind, f, out),
            Fact::State(f) => record(kind, f, out),
            Fact::Contact(f) => record(kind, f, out),
            Fact::Consent(f) => record(kind, f, out),
            Fact::Outcome(f) => record(kind, f, out),
            Fact::Revision(f) => record(kind, f, out),
            Fact::Review(f) => record(kind, f, out),
            Fact::Case(f) => record(kind, f, out),
            Fact::Kick(f) => record(kind, f, out),
            Fact::Silence(f) => record(kind, f, out),
            Fact::Evidence(f) => record(kind, f, out),
            Fact::Roster(f) => record(kind, f, out),
            Fact::ContactEnd(f) => record(kind, f, out),
            Fact::Tags(f) => record(kind, f, out),
            Fact::Judged(f) => record(kind, f, out),
            Fact::Carried(f) => record(kind, f, out),
            Fact::Traits(f) => record(kind, f, out),
            Fact::Sighted(f) => record(kind, f, out),
            Fact::CaseSize(f) => record(kind, f, out),
            Fact::Talk(f) => record(kind, f, out),
            Fact::HandOver(f) => record(kind, f, out),
            Fact::LateVerdict(f) => record(kind, f, out),
        }
    }
}

/// Calls `visit` for each event's effects in a row. The effects borrow from the row.
///
/// # Errors
/// When the row is damaged or of a newer format. A record that is wrong behind a right checksum (a defect of the writer)
/// is only found when its turn comes; the effects before it have been seen by then.
pub fn decode(row: &[u8], visit: &mut dyn FnMut(&Effects<'_>)) -> Result<(), CodecError> {
    let mut rest = records(row)?;
    let mut current: Option<Effects<'_>> = None;
    while let Some(&kind) = rest.first() {
        let (body, after) = split(rest)?;
        rest = after;
        if kind == FactKind::Head as u8 {
            let head = body_of(kind, body)?;
            match &mut current {
                Some(effects) => {
                    visit(effects);
                    effects.head = head;
                    effects.facts.clear();
                }
                None => current = Some(Effects { head, facts: Vec::new() }),
            }
        } else if let Some(fact) = fact_of(kind, body)? {
            current.as_mut().ok_or(CodecError::Record(kind))?.facts.push(fact);
        }
    }
    if let Some(effects) = &current {
        visit(effects);
    }
    Ok(())
}

/// Makes a buffer ready for records: an empty header, filled in by [`finish_row`].
pub(super) fn start_row(row: &mut Vec<u8>) {
    row.clear();
    row.resize(HEADER_BYTES, 0);
}

/// Fills in the header over the records that follow it.
pub(super) fn finish_row(row: &mut [u8]) {
    let (header, records) = row.split_at_mut(HEADER_BYTES);
    let length = u32::try_from(records.len()).expect("a row is bounded by the queue in front of the disk");
    let (magic, numbers) = header.split_at_mut(4);
    magic.copy_from_slice(&[MAGIC[0], MAGIC[1], MAGIC[2], FORMAT]);
    let (length_at, crc_at) = numbers.split_at_mut(4);
    length_at.copy_from_slice(&length.to_le_bytes());
    crc_at.copy_from_slice(&crc32fast::hash(records).to_le_bytes());
}

/// Checks a row's header and returns its records.
pub(super) fn records(row: &[u8]) -> Result<&[u8], CodecError> {
    let (header, records) = row.split_at_checked(HEADER_BYTES).ok_or(CodecError::Foreign)?;
    let &[m0, m1, m2, format, l0, l1, l2, l3, c0, c1, c2, c3] = header else {
        return Err(CodecError::Foreign);
    };
    if [m0, m1, m2] != MAGIC || format == 0 {
        return Err(CodecError::Foreign);
    }
    if format > FORMAT {
        return Err(CodecError::FormatNewer(format));
    }
    let want = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if records.len() != want {
        return Err(CodecError::Length { have: records.len(), want });
    }
    if crc32fast::hash(records) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(CodecError::Checksum);
    }
    Ok(records)
}

/// Writes into a buffer that already holds something; postcard's own flavours start anew or go byte by byte.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn record<T: Serialize>(kind: FactKind, fact: &T, out: &mut Vec<u8>) {
    out.push(kind as u8);
    // One byte is left for the length; most bodies need no more, and the longer ones are moved up once.
    let at = out.len();
    out.push(0);
    postcard::serialize_with_flavor(fact, Tail(out)).expect("facts hold only types postcard can write");
    let mut length = out.len() - at - 1;
    let mut varint = [0_u8; 10];
    let mut used = 0;
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        varint[used] = if length == 0 { low } else { low | 0x80 };
        used += 1;
        if length == 0 {
            break;
        }
    }
    if used == 1 {
        out[at] = varint[0];
    } else {
        out.splice(at..=at, varint[..used].iter().copied());
    }
}

/// Splits the first record into its body and what follows it.
fn split(records: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    let (&kind, mut rest) = records.split_first().ok_or(CodecError::Foreign)?;
    let mut length = 0_usize;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().ok_or(CodecError::Record(kind))?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return rest.split_at_checked(length).ok_or(CodecError::Record(kind));
        }
    }
    Err(CodecError::Record(kind))
}

fn body_of<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(CodecError::Record(kind)),
    }
}

/// Reads one fact; `None` for a newer kind that may be skipped.
fn fact_of(kind: u8, body: &[u8]) -> Result<Option<Fact<'_>>, CodecError> {
    let Some(known) = kind_of(kind) else {
        return if kind < KIND_SKIPPABLE { Err(CodecError::KindNewer(kind)) } else { Ok(None) };
    };
    Ok(Some(match known {
        FactKind::Head => return Err(CodecError::Record(kind)),
        FactKind::Member => Fact::Member(body_of(kind, body)?),
        FactKind::Group => Fact::Group(body_of(kind, body)?),
        FactKind::Hit => Fact::Hit(body_of(kind, body)?),
        FactKind::Action => Fact::Action(body_of(kind, body)?),
        FactKind::Send => Fact::Send(body_of(kind, body)?),
        FactKind::Attach => Fact::Attach(body_of(kind, body)?),
        FactKind::Held => Fact::Held(body_of(kind, body)?),
        FactKind::Content => Fact::Content(body_of(kind, body)?),
        FactKind::Answered => Fact::Answered(body_of(kind, body)?),
        FactKind::Overturned => Fact::Overturned(body_of(kind, body)?),
        FactKind::Unsaid => Fact::Unsaid(body_of(kind, body)?),
        FactKind::State => Fact::State(body_of(kind, body)?),
        FactKind::Contact => Fact::Contact(body_of(kind, body)?),
        FactKind::Consent => Fact::Consent(body_of(kind, body)?),
        FactKind::Outcome => Fact::Outcome(body_of(kind, body)?),
        FactKind::Revision => Fact::Revision(body_of(kind, body)?),
        FactKind::Review => Fact::Review(body_of(kind, body)?),
        FactKind::Case => Fact::Case(body_of(kind, body)?),
        FactKind::Kick => Fact::Kick(body_of(kind, body)?),
        FactKind::Silence => Fact::Silence(body_of(kind, body)?),
        FactKind::Evidence => Fact::Evidence(body_of(kind, body)?),
        FactKind::Roster => Fact::Roster(body_of(kind, body)?),
        FactKind::ContactEnd => Fact::ContactEnd(body_of(kind, body)?),
        FactKind::Tags => Fact::Tags(body_of(kind, body)?),
        FactKind::ShadowHit => Fact::ShadowHit(body_of(kind, body)?),
        FactKind::Judged => Fact::Judged(body_of(kind, body)?),
        FactKind::Carried => Fact::Carried(body_of(kind, body)?),
        FactKind::Traits => Fact::Traits(body_of(kind, body)?),
        FactKind::Sighted => Fact::Sighted(body_of(kind, body)?),
        FactKind::CaseSize => Fact::CaseSize(body_of(kind, body)?),
        FactKind::Talk => Fact::Talk(body_of(kind, body)?),
        FactKind::HandOver => Fact::HandOver(body_of(kind, body)?),
        FactKind::LateVerdict => Fact::LateVerdict(body_of(kind, body)?),
    }))
}

const KINDS: [FactKind; 34] = [
    FactKind::Head,
    FactKind::Member,
    FactKind::Group,
    FactKind::Hit,
    FactKind::Action,
    FactKind::Send,
    FactKind::Attach,
    FactKind::Held,
    FactKind::Content,
    FactKind::Answered,
    FactKind::Overturned,
    FactKind::Unsaid,
    FactKind::State,
    FactKind::Contact,
    FactKind::Consent,
    FactKind::Outcome,
    FactKind::Revision,
    FactKind::Review,
    FactKind::Case,
    FactKind::Kick,
    FactKind::Silence,
    FactKind::Evidence,
    FactKind::Roster,
    FactKind::ContactEnd,
    FactKind::Tags,
    FactKind::ShadowHit,
    FactKind::Judged,
    FactKind::Carried,
    FactKind::Traits,
    FactKind::Sighted,
    FactKind::CaseSize,
    FactKind::Talk,
    FactKind::HandOver,
    FactKind::LateVerdict,
];

fn kind_of(byte: u8) -> Option<FactKind> {
    KINDS.into_iter().find(|kind| *kind as u8 == byte)
}
