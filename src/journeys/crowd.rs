//! Who of a group is in a segment that journeys ask about, as far as was read last.

use serde::{Deserialize, Serialize};

/// Small durable state of a group and segment. Members are named by the marks of their ids, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    /// By which definition of the segment.
    pub definition: u64,
    /// Who is in it.
    pub members: Vec<u64>,
    /// Of whom nobody knows.
    pub unknown: Vec<u64>,
}

impl Crowd {
    /// Says whether somebody is in it; `None`: nobody knows.
    pub fn has(&self, mark: u64) -> Option<bool> {
        if self.members.binary_search(&mark).is_ok() {
            return Some(true);
        }
        self.unknown.binary_search(&mark).is_err().then_some(false)
    }

    /// Reads what [`Crowd::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data goes into memory")
    }
}
