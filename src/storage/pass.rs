//! One pass over the journal: what the projection must change, gathered in memory, the same for every storage.
//!
//! Beside the numbers of `statistics::fold` it keeps what is asked for and not yet sent, and the records that no table
//! knows yet (contacts, consents, results, reviews, kicks, silences, evidence, tags): the journal is pruned after the dedupe
//! window, and a later version must still be able to fold them.

use super::{PendingSend, StorageError, codec};
use crate::event::{AttachFact, Effects, Fact, Partition, Status};
use crate::statistics::fold::{Delta, Place};

/// How long something without an expiry of its own may wait to be sent.
const SEND_WAITS_MS: i64 = 72 * crate::event::HOUR_MS;

/// Effects kept in the journal's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The row it is from.
    pub position: u64,
    /// Which of the row, from 0.
    pub nth: u32,
    /// For sends: when it is pointless. For records: when it happened.
    pub time_ms: i64,
    /// A row of one event's effects.
    pub row: Vec<u8>,
}

/// What a stretch of the journal changes.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Numbers, roster, hits, states.
    pub delta: Delta,
    /// Sends and actions, each alone with its head.
    pub sends: Vec<Kept>,
    /// Effects with facts that have no table yet.
    pub records: Vec<Kept>,
    /// The last sequence number seen of each partition, in order of first appearance.
    pub seqs: Vec<(Partition, u64)>,
    /// The last row; 0 when none was added.
    pub position: u64,
}

impl Pass {
    /// Forgets everything, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.delta.clear();
        self.sends.clear();
        self.records.clear();
        self.seqs.clear();
        self.position = 0;
    }

    /// Adds one journal row.
    pub(super) fn add(
        &mut self,
        position: u64,
        partition: Partition,
        seq: u64,
        row: &[u8],
    ) -> Result<(), StorageError> {
        let (mut index, mut sends) = (0, 0);
        codec::decode(row, &mut |effects| {
            self.delta.add(Place { partition, position, index }, effects);
            if effects.head.status != Status::Late {
                self.keep(position, index, &mut sends, effects);
            }
            index += 1;
        })
        .map_err(|e| unreadable(position, partition, &e))?;
        match self.seqs.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, last)) => *last = seq,
            None => self.seqs.push((partition, seq)),
        }
        self.position = position;
        Ok(())
    }

    fn keep(&mut self, position: u64, index: u32, sends: &mut u32, effects: &Effects<'_>) {
        let mut record = false;
        for fact in &effects.facts {
            let expires_ms = match fact {
                Fact::Action(action) => action.expires_ms,
                Fact::Send(send) | Fact::Attach(AttachFact { send, .. }) => send.expires_ms,
                Fact::Contact(_)
                | Fact::Consent(_)
                | Fact::Outcome(_)
                | Fact::Review(_)
                | Fact::Kick(_)
                | Fact::Silence(_)
                | Fact::Evidence(_)
                | Fact::ContactEnd(_)
                | Fact::Tags(_)
                | Fact::LateVerdict(_) => {
                    record = true;
                    continue;
                }
                Fact::Member(_)
                | Fact::Group(_)
                | Fact::Hit(_)
                | Fact::ShadowHit(_)
                | Fact::State(_)
                | Fact::Revision(_)
                | Fact::Case(_)
                | Fact::Roster(_)
                | Fact::Judged(_)
                | Fact::Held(_)
                | Fact::Content(_)
                | Fact::Answered(_)
                | Fact::Overturned(_)
                | Fact::Unsaid(_)
                | Fact::Carried(_)
                | Fact::Talk(_)
                | Fact::HandOver(_)
                | Fact::Traits(_)
                | Fact::Sighted(_)
                | Fact::CaseSize(_) => continue,
            };
            let waits_ms = effects.head.arrived_ms.saturating_add(SEND_WAITS_MS);
            let time_ms = if expires_ms > 0 { expires_ms } else { waits_ms };
            let alone = Effects { head: effects.head.clone(), facts: vec![fact.clone()] };
            self.sends.push(Kept { position, nth: *sends, time_ms, row: row_of(&alone) });
            *sends += 1;
        }
        if record {
            let row = row_of(effects);
            self.records.push(Kept { position, nth: index, time_ms: effects.head.at_ms, row });
        }
    }
}

/// Reads a kept send back.
pub(super) fn pending_send(position: u64, row: &[u8]) -> Result<Option<PendingSend>, StorageError> {
    let mut found = None;
    codec::decode(row, &mut |effects| {
        let fact = match effects.facts.first() {
            Some(Fact::Action(action)) => Fact::Action(action.clone().into_owned()),
            Some(Fact::Send(send)) => Fact::Send(send.clone().into_owned()),
            Some(Fact::Attach(attach)) => Fact::Attach(attach.clone().into_owned()),
            Some(_) | None => return, // only these three are ever kept as sends
        };
        found = Some(PendingSend { head: effects.head.clone().into_owned(), fact });
    })
    .map_err(|e| {
        StorageError::unreadable(format!("a pending send of journal row {position}"), e.to_string())
    })?;
    Ok(found)
}

/// Names the row that cannot be read.
pub(super) fn unreadable(position: u64, partition: Partition, why: &codec::CodecError) -> StorageError {
    let what = format!("journal row {position} of partition {}", partition.0);
    StorageError::unreadable(what, why.to_string())
}

fn row_of(effects: &Effects<'_>) -> Vec<u8> {
    let mut row = Vec::new();
    codec::start_row(&mut row);
    codec::encode(effects, &mut row);
    codec::finish_row(&mut row);
    row
}
