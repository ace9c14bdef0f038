//! Small words of the domain as they stand in columns. Numbers and spellings here are on disk: never change one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{EventType, Role, StateKind, Via};

/// A role as a number.
pub(super) fn role(role: Role) -> i64 {
    match role {
        Role::Customer => 0,
        Role::Staff => 1,
        Role::Bot => 2,
    }
}

/// The role of a number; an unknown one is read as the strictest.
pub(super) fn role_from(number: i64) -> Role {
    match number {
        1 => Role::Staff,
        2 => Role::Bot,
        _ => Role::Customer,
    }
}

const STATE_KINDS: [(StateKind, i64); 10] = [
    (StateKind::Cooldown, 1),
    (StateKind::Flood, 2),
    (StateKind::Burst, 3),
    (StateKind::Ladder, 4),
    (StateKind::Journey, 5),
    (StateKind::Budget, 6),
    (StateKind::Case, 7),
    (StateKind::Roster, 8),
    (StateKind::Asked, 9),
    (StateKind::Segment, 10),
];

/// A kind of state as a number.
pub(super) fn state_kind(kind: StateKind) -> i64 {
    STATE_KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, number)| *number)
}

/// The kind of a number; `None` for one of a newer version.
pub(super) fn state_kind_from(number: i64) -> Option<StateKind> {
    STATE_KINDS.iter().find(|(_, known)| *known == number).map(|(kind, _)| *kind)
}

/// Foldings as a JSON array of words.
pub(super) fn via(via: &[Via]) -> String {
    json(&via)
}

/// Groups as a JSON array of pairs.
pub(super) fn groups(groups: &[(String, String)]) -> String {
    json(&groups)
}

/// A kind of event as its word, in JSON.
pub(super) fn event_type(what: EventType) -> String {
    json(&what)
}

/// Anything that is a word, in JSON.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    json(value)
}

/// Reads what the functions above wrote.
pub(super) fn read<T: DeserializeOwned>(column: usize, text: &str) -> Result<T, rusqlite::Error> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("words and strings are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_state_has_its_own_number() {
        for (kind, number) in STATE_KINDS {
            assert_eq!(state_kind(kind), number);
            assert_eq!(state_kind_from(number), Some(kind));
        }
        assert_eq!(state_kind_from(99), None);
        for kind in [Role::Customer, Role::Staff, Role::Bot] {
            assert_eq!(role_from(role(kind)), kind);
        }
    }
}
