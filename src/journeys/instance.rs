//! Where a member stands in a journey.

use serde::{Deserialize, Serialize};

use super::Planned;

/// The moment of one that has ended: none.
const NEVER_MS: i64 = i64::MAX;

/// As it is kept between events: the moment first, so that whoever keeps it can tell when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// When the next step comes, in milliseconds since the epoch.
    pub due_ms: i64,
    /// Which journey.
    pub journey: String,
    /// By which version of it that moment was reckoned.
    pub version_ms: i64,
    /// When it began.
    pub started_ms: i64,
    /// Steps that were passed, said or not, in that order.
    pub passed: Vec<String>,
    /// How long after the start the last of them lay, in milliseconds.
    pub passed_after_ms: i64,
    /// They said something since.
    pub spoke: bool,
    /// What the member is called.
    pub name: Option<String>,
}

/// What a look at many of them needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// When the next step comes.
    pub due_ms: i64,
    /// Which journey.
    pub journey: &'a str,
    /// By which version of it that moment was reckoned.
    pub version_ms: i64,
}

/// What follows the moment and stands first: see [`Glance`].
#[derive(Serialize, Deserialize)]
struct Title<'a> {
    journey: &'a str,
    version_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct Rest {
    started_ms: i64,
    passed: Vec<String>,
    passed_after_ms: i64,
    spoke: bool,
    name: Option<String>,
}

impl Instance {
    /// The value of one that has ended.
    pub fn ended() -> Vec<u8> {
        NEVER_MS.to_le_bytes().to_vec()
    }

    /// Passes a step, said or not.
    pub fn pass(&mut self, step: &Planned) {
        self.passed.push(step.id.to_string());
        self.passed_after_ms = step.after_ms;
        self.spoke = false;
    }

    /// Reads what [`Instance::to_bytes`] wrote; `None` of one that has ended.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (Glance { due_ms, journey, version_ms }, rest) = split(bytes)?;
        let Rest { started_ms, passed, passed_after_ms, spoke, name } = postcard::from_bytes(rest).ok()?;
        let journey = journey.to_owned();
        Some(Self { due_ms, journey, version_ms, started_ms, passed, passed_after_ms, spoke, name })
    }

    /// Writes it: eight bytes for the moment, then the rest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.due_ms.to_le_bytes().to_vec();
        let title = Title { journey: &self.journey, version_ms: self.version_ms };
        let rest = Rest {
            started_ms: self.started_ms,
            passed: self.passed.clone(),
            passed_after_ms: self.passed_after_ms,
            spoke: self.spoke,
            name: self.name.clone(),
        };
        let bytes = postcard::to_extend(&title, bytes).expect("plain data goes into memory");
        postcard::to_extend(&rest, bytes).expect("plain data goes into memory")
    }
}

impl<'a> Glance<'a> {
    /// Reads the beginning of what [`Instance::to_bytes`] wrote; `None` of one that has ended.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        Some(split(bytes)?.0)
    }
}

fn split(bytes: &[u8]) -> Option<(Glance<'_>, &[u8])> {
    let (due_ms, rest) = bytes.split_first_chunk()?;
    let due_ms = i64::from_le_bytes(*due_ms);
    if due_ms == NEVER_MS {
        return None;
    }
    let (Title { journey, version_ms }, rest) = postcard::take_from_bytes(rest).ok()?;
    Some((Glance { due_ms, journey, version_ms }, rest))
}
