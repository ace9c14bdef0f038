//! The JSON of an event, as `POST /v1/events` and the `webhook` platform spell it: read, checked, never guessed at.
//!
//! Not for: batches, lines and bodies (`ingest` and the connectors cut those), and not for deciding whether an event
//! may come in.
//!
//! Invariants: no input makes it panic; an error names the path of its field and never repeats what a member wrote;
//! strings without escapes are borrowed from the input; a field that does not belong to the event's type is refused by
//! name, so that a typo never becomes silence.
//!
//! The good path is plain `serde_json` into one flat struct: no intermediate tree, no path keeping. Only what failed is
//! read a second time, with `serde_path_to_error`, to learn where.

mod fields;
mod raw;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use super::{Attachment, EventType, GroupChange, GroupEvent, Message, What, ids};
use fields::Fields;
use raw::{Object, RawAttachment, RawEvent, Text};

pub use raw::SentIn;

/// How much of an event is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Longest `text` and `quote`, in bytes of UTF-8.
    pub text_bytes_max: usize,
    /// Longest other free field (`name`, `reason`, an attachment's `url` or `title`), in bytes of UTF-8.
    pub field_bytes_max: usize,
    /// Most entries of `mentions`.
    pub mentions_max: usize,
    /// Most entries of `attachments`.
    pub attachments_max: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { text_bytes_max: 16 * 1024, field_bytes_max: 2 * 1024, mentions_max: 200, attachments_max: 32 }
    }
}

/// Why a text is not an event. Safe to log: it repeats names of fields and limits, never values of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Path of the field, as in `attachments[2].url`; empty when the whole is meant.
    pub path: String,
    /// What is wrong with it: lowercase, no full stop.
    pub reason: String,
    /// It is a free text above its cap, and nothing else is wrong with it.
    pub too_long: bool,
}

impl ParseError {
    fn at(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), too_long: false }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "`{}` {}", self.path, self.reason)
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads one event that names its account.
///
/// # Errors
/// The first thing that is wrong, by path.
pub fn parse<'a>(raw: &'a [u8], limits: &ParseLimits) -> Result<GroupEvent<'a>, ParseError> {
    check(decode(raw)?, None, limits)
}

/// Reads one event that came through `account`: it need not name the account, and may name no other.
///
/// # Errors
/// The first thing that is wrong, by path.
pub fn parse_for<'a>(
    raw: &'a [u8],
    account: &'a str,
    limits: &ParseLimits,
) -> Result<GroupEvent<'a>, ParseError> {
    check(decode(raw)?, Some(account), limits)
}

fn decode(raw: &[u8]) -> Result<RawEvent<'_>, ParseError> {
    match serde_json::from_slice::<Object<RawEvent<'_>>>(raw) {
        Ok(Object(event)) => Ok(event),
        Err(_) => Err(explain(raw)),
    }
}

/// Reads again, keeping the path.
#[cold]
fn explain(raw: &[u8]) -> ParseError {
    let mut json = serde_json::Deserializer::from_slice(raw);
    let Err(failed) = serde_path_to_error::deserialize::<_, Object<RawEvent<'_>>>(&mut json) else {
        // The object was read, so what follows it is at fault.
        return ParseError::at("", "is followed by more; one JSON object is expected");
    };
    let path = failed.path().to_string();
    let error = failed.into_inner();
    if matches!(error.classify(), serde_json::error::Category::Data) {
        let said = error.to_string();
        let mut path = if path == "." { String::new() } else { path };
        // serde finds this out between two fields and tells the name only in words.
        if let Some(name) = said.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
            path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        }
        return ParseError::at(short(&path), reason(&said));
    }
    // Where the syntax broke the path would be that of the last good field, which misleads.
    let (line, column) = (error.line(), error.column());
    ParseError::at(
        "",
        format!("is not a JSON object: {} (line {line}, column {column})", bare(&error.to_string())),
    )
}

/// Turns serde's words into ours, leaving out the value it quotes: that may be what a member wrote.
fn reason(said: &str) -> String {
    let said = bare(said);
    if said.starts_with("invalid type: ") || said.starts_with("invalid value: ") {
        return match said.rsplit_once(", expected ") {
            Some((_, expected)) => format!("must be {expected}"),
            None => "has the wrong type".to_owned(),
        };
    }
    if said.starts_with("unknown field ") {
        return "is not a field here".to_owned();
    }
    if said.starts_with("duplicate field ") {
        return "is given twice".to_owned();
    }
    match said.split_once(", expected ") {
        Some((_, expected)) if said.starts_with("unknown variant ") => format!("must be {expected}"),
        _ => said.to_owned(),
    }
}

/// Cuts off `serde_json`'s position.
fn bare(said: &str) -> &str {
    said.rsplit_once(" at line ").map_or(said, |(before, _)| before)
}

/// Bounds a path: an unknown field may have a name of any length.
fn short(path: &str) -> String {
    const PATH_CHARS_MAX: usize = 120;
    match path.char_indices().nth(PATH_CHARS_MAX) {
        None => path.to_owned(),
        Some(_) => path.chars().take(PATH_CHARS_MAX).chain(['…']).collect(),
    }
}

fn check<'a>(
    mut raw: RawEvent<'a>,
    through: Option<&'a str>,
    limits: &ParseLimits,
) -> Result<GroupEvent<'a>, ParseError> {
    let Some(raw::Kind(kind)) = raw.kind else { return Err(missing("type", None)) };
    if let Some(stray) = Fields::of(&raw).first_not_in(Fields::allowed(kind)) {
        return Err(ParseError::at(stray, format!("does not belong to a `{}`", fields::name(kind))));
    }
    let id = id_required("id", raw.id.take(), None)?;
    let account = account(raw.account.take(), through)?;
    let group = if kind == EventType::ContactAdded {
        Cow::Borrowed("")
    } else {
        id_required("group", raw.group.take(), Some(kind))?
    };
    let member = match raw.member.take() {
        Some(member) => Some(id_checked("member", member)?),
        None if fields::needs_member(kind) => return Err(missing("member", Some(kind))),
        None => None,
    };
    let name = field("name", raw.name.take(), limits)?;
    let (role, at_ms) = (raw.role.unwrap_or_default(), raw.at.map(|at| at.0));
    let (name, change) = if Fields::renames_group(kind) { (None, name) } else { (name, None) };
    let what = what(kind, raw, change, limits)?;
    Ok(GroupEvent { id, account, group, member, name, role, at_ms, step: None, what })
}

/// For the kinds that connectors make themselves.
fn not_sent_in() -> ParseError {
    ParseError::at("type", "is not a type of event that is sent in")
}

fn account<'a>(given: Option<Text<'a>>, through: Option<&'a str>) -> Result<Cow<'a, str>, ParseError> {
    match (given, through) {
        (None, Some(through)) => Ok(Cow::Borrowed(through)),
        (Some(given), Some(through)) if given.0 != through => {
            Err(ParseError::at("account", "is not the account this came through; leave it out"))
        }
        (given, _) => id_required("account", given, None),
    }
}

fn what<'a>(
    kind: EventType,
    raw: RawEvent<'a>,
    name: Option<Cow<'a, str>>,
    limits: &ParseLimits,
) -> Result<What<'a>, ParseError> {
    Ok(match kind {
        EventType::Message => What::Message(message(raw, limits)?),
        EventType::MessageEdited => {
            let mut raw = raw;
            let of = id_optional("of", raw.of.take())?;
            What::MessageEdited { of, message: message(raw, limits)? }
        }
        EventType::MessageRecalled => What::MessageRecalled { of: id_optional("of", raw.of)? },
        EventType::MemberJoined => What::MemberJoined {
            inviter: id_optional("inviter", raw.inviter)?,
            scene: field("scene", raw.scene, limits)?,
            channel: field("channel", raw.channel, limits)?,
            union_id: None,
            profile: field("profile", raw.profile, limits)?,
            inferred: false,
        },
        EventType::MemberLeft => What::MemberLeft {
            reason: field("reason", raw.reason, limits)?,
            inferred: raw.inferred.unwrap_or(false),
        },
        EventType::ContactAdded => What::ContactAdded {
            staff: id_required("staff", raw.staff, Some(kind))?,
            welcome_code: field("welcome_code", raw.welcome_code, limits)?,
            channel: field("channel", raw.channel, limits)?,
        },
        EventType::GroupCreated => {
            What::GroupCreated(GroupChange { name, owner: id_optional("owner", raw.owner)? })
        }
        EventType::GroupUpdated => {
            What::GroupUpdated(GroupChange { name, owner: id_optional("owner", raw.owner)? })
        }
        EventType::OwnerChanged => {
            let owner = Some(id_required("owner", raw.owner, Some(kind))?);
            What::OwnerChanged(GroupChange { name, owner })
        }
        EventType::GroupDismissed => What::GroupDismissed,
        EventType::ConsentChanged => {
            What::ConsentChanged { granted: raw.granted.ok_or_else(|| missing("granted", Some(kind)))? }
        }
        EventType::Outcome => What::Outcome {
            kind: match field("kind", raw.outcome, limits)? {
                Some(word) if !word.is_empty() => word,
                Some(_) | None => return Err(missing("kind", Some(kind))),
            },
            value: raw.value.unwrap_or(0.0),
            broadcast: id_optional("broadcast", raw.broadcast)?,
        },
        EventType::RosterRead
        | EventType::Silence
        | EventType::ContactRemoved
        | EventType::TagsChanged
        | EventType::LateVerdict
        | EventType::Due
        | EventType::Pardoned
        | EventType::Expelled
        | EventType::Overturned => {
            return Err(not_sent_in());
        }
    })
}

fn message<'a>(raw: RawEvent<'a>, limits: &ParseLimits) -> Result<Message<'a>, ParseError> {
    let content_type = field("content_type", raw.content_type, limits)?;
    let attachments = attachments(raw.attachments.unwrap_or_default(), limits)?;
    // A forgotten `text` must not pass as an empty one; only media has none.
    let is_media = content_type.as_deref().is_some_and(|kind| kind != "text") || !attachments.is_empty();
    if raw.text.is_none() && !is_media {
        return Err(ParseError::at(
            "text",
            "is required, unless `content_type` or `attachments` say it is media",
        ));
    }
    let mentions = raw.mentions.unwrap_or_default();
    if mentions.len() > limits.mentions_max {
        return Err(ParseError::at("mentions", too_many(mentions.len(), limits.mentions_max)));
    }
    let mentions = (mentions.into_iter().enumerate())
        .map(|(i, Text(id))| match ids::check(&id) {
            Ok(()) => Ok(id),
            Err(why) => Err(ParseError::at(format!("mentions[{i}]"), why.to_string())),
        })
        .collect::<Result<_, _>>()?;
    Ok(Message {
        text: capped("text", raw.text, limits.text_bytes_max)?.unwrap_or_default(),
        content_type,
        mentions,
        forwarded: raw.forwarded.unwrap_or(false),
        quote: capped("quote", raw.quote, limits.text_bytes_max)?,
        attachments,
    })
}

fn attachments<'a>(
    raw: Vec<Object<RawAttachment<'a>>>,
    limits: &ParseLimits,
) -> Result<Vec<Attachment<'a>>, ParseError> {
    if raw.len() > limits.attachments_max {
        return Err(ParseError::at("attachments", too_many(raw.len(), limits.attachments_max)));
    }
    let mut read = Vec::with_capacity(raw.len());
    for (i, Object(raw)) in raw.into_iter().enumerate() {
        let within = |mut error: ParseError| {
            error.path = format!("attachments[{i}].{}", error.path);
            error
        };
        read.push(Attachment {
            kind: id_required("kind", raw.kind, None).map_err(within)?,
            url: field("url", raw.url, limits).map_err(within)?,
            appid: field("appid", raw.appid, limits).map_err(within)?,
            title: field("title", raw.title, limits).map_err(within)?,
            sha256: field("sha256", raw.sha256, limits).map_err(within)?,
        });
    }
    Ok(read)
}

fn too_many(count: usize, count_max: usize) -> String {
    format!("has {count} entries, {count_max} at most")
}

fn missing(path: &'static str, kind: Option<EventType>) -> ParseError {
    let reason = match kind {
        Some(kind) => format!("is required for a `{}`", fields::name(kind)),
        None => "is required".to_owned(),
    };
    ParseError::at(path, reason)
}

fn id_required<'a>(
    path: &'static str,
    given: Option<Text<'a>>,
    kind: Option<EventType>,
) -> Result<Cow<'a, str>, ParseError> {
    id_checked(path, given.ok_or_else(|| missing(path, kind))?)
}

fn id_optional<'a>(path: &'static str, given: Option<Text<'a>>) -> Result<Option<Cow<'a, str>>, ParseError> {
    given.map(|given| id_checked(path, given)).transpose()
}

fn id_checked<'a>(path: &'static str, Text(id): Text<'a>) -> Result<Cow<'a, str>, ParseError> {
    // Nearly every id is plain ASCII; the full check walks characters.
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && !id.is_empty() && id.len() <= GroupEvent::ID_BYTES_MAX {
        return Ok(id);
    }
    match ids::check(&id) {
        Ok(()) => Ok(id),
        Err(why) => Err(ParseError::at(path, why.to_string())),
    }
}

fn field<'a>(
    path: &'static str,
    given: Option<Text<'a>>,
    limits: &ParseLimits,
) -> Result<Option<Cow<'a, str>>, ParseError> {
    capped(path, given, limits.field_bytes_max)
}

fn capped<'a>(
    path: &'static str,
    given: Option<Text<'a>>,
    bytes_max: usize,
) -> Result<Option<Cow<'a, str>>, ParseError> {
    match given {
        Some(Text(text)) if text.len() > bytes_max => {
            let reason = format!("is {} bytes long, {bytes_max} at most", text.len());
            Err(ParseError { too_long: true, ..ParseError::at(path, reason) })
        }
        given => Ok(given.map(|Text(text)| text)),
    }
}
