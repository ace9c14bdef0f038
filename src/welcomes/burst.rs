//! Those who joined a group and are still to be greeted, together.

use serde::{Deserialize, Serialize};

/// As it is kept between events: the moment first, so that whoever keeps it can tell when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When they are to be greeted, in milliseconds since the epoch.
    pub due_ms: i64,
    /// How many they are, and the names of the first of them.
    who: Who,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Who {
    count: u32,
    names: Vec<String>,
}

impl Burst {
    /// Nobody yet, to be greeted then.
    pub fn due_at(due_ms: i64) -> Self {
        Self { due_ms, who: Who::default() }
    }

    /// Reads what [`Burst::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (due_ms, who) = bytes.split_first_chunk()?;
        Some(Self { due_ms: i64::from_le_bytes(*due_ms), who: postcard::from_bytes(who).ok()? })
    }

    /// Writes it: eight bytes for the moment, then the rest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let moment = self.due_ms.to_le_bytes().to_vec();
        postcard::to_extend(&self.who, moment).expect("plain data goes into memory")
    }

    /// Takes in one more.
    pub fn add(&mut self, name: Option<&str>, names_max: usize) {
        self.who.count = self.who.count.saturating_add(1);
        if let Some(name) = name.filter(|_| self.who.names.len() < names_max) {
            self.who.names.push(name.to_owned());
        }
    }

    /// Returns how many they are.
    pub fn count(&self) -> u32 {
        self.who.count
    }

    /// Names them: `A、B`, or `A、B 等 37 位`, or `37 位`.
    pub fn names(&self) -> String {
        let Who { count, names } = &self.who;
        let spelled = names.join("、");
        let is_complete = usize::try_from(*count).is_ok_and(|count| count == names.len());
        match (is_complete, spelled.is_empty()) {
            (true, _) => spelled,
            (false, true) => format!("{count} 位"),
            (false, false) => format!("{spelled} 等 {count} 位"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_named_as_far_as_names_go() {
        let of = |names: &[Option<&str>]| {
            let mut burst = Burst::due_at(7);
            for name in names {
                burst.add(*name, 2);
            }
            assert_eq!(Burst::from_bytes(&burst.to_bytes()), Some(burst.clone()));
            burst.names()
        };
        assert_eq!(of(&[Some("小王")]), "小王");
        assert_eq!(of(&[Some("小王"), Some("小李")]), "小王、小李");
        assert_eq!(of(&[Some("小王"), Some("小李"), Some("小张")]), "小王、小李 等 3 位");
        assert_eq!(of(&[None, Some("小李")]), "小李 等 2 位");
        assert_eq!(of(&[None, None]), "2 位");
        assert_eq!(Burst::from_bytes(b"short"), None);
    }
}
