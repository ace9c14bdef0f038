//! How an audit entry is made: by an actor, about an object, in a place.

use super::AuditEntry;
use crate::event::{Actor, Place, TokenId};

impl AuditEntry {
    /// Begins an entry: `actor` did `verb` to the `object` named `id`.
    pub fn by(actor: &Actor, at_ms: i64, verb: &str, object: &str, id: &str) -> Self {
        Self {
            operator: actor.operator.as_str().to_owned(),
            token: actor.token.as_ref().map_or("", TokenId::as_str).to_owned(),
            ..Self::by_house(at_ms, verb, object, id)
        }
    }

    /// Begins an entry of what the gateway decided by itself.
    pub fn by_house(at_ms: i64, verb: &str, object: &str, id: &str) -> Self {
        Self {
            seq: 0,
            at_ms,
            operator: "menshen".to_owned(),
            token: String::new(),
            verb: verb.to_owned(),
            object: object.to_owned(),
            id: id.to_owned(),
            detail: String::new(),
            place: Place::default().path(),
        }
    }

    /// Says where the object belongs, by which readers of the log are limited.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = place.path();
        self
    }

    /// Adds what changed, as JSON without secrets and without message text.
    #[must_use]
    pub fn with(mut self, detail: &impl serde::Serialize) -> Self {
        self.detail = serde_json::to_string(detail).unwrap_or_default(); // a detail is a comfort, never a reason to fail
        self
    }
}
