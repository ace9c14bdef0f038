//! Members whom a person's decision takes out: written down with the decision, asked for right after it, and by the next
//! start where a crash comes between.
//!
//! What follows for each is decided by the pipeline, under the partition of the group, like everything that happens to a
//! member: so it stands on their record, spends the hour's budget, and a pardon finds it. Each event's id is derived, so
//! nobody is taken out twice however often an order is carried out.
//!
//! Not for: whom it takes out ([`super::cases`], [`super::kicks`]).

use serde::{Deserialize, Serialize};

use crate::conduct::ladder::Came;
use crate::event::{GroupEvent, Role, RosterStep, What};
use crate::storage::{Document, DocumentKind, StorageError, Write};

/// A member of a group: account, group, member.
pub type Who = (String, String, String);

/// Members who are to be taken out, as they lie in the ledger until it was asked for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose budget is spent: [`Order::CASE`] or [`Order::KICK`].
    pub rule: String,
    /// The id of the case or of the kick list.
    pub asked: String,
    /// When it was decided.
    pub at_ms: i64,
    /// Whom.
    pub who: Vec<Who>,
}

/// Nothing can be taken in now; the same order may come again.
#[derive(Debug, thiserror::Error)]
#[error("take members out: {0}")]
pub struct NotTaken(pub String);

impl Order {
    /// The rule of decisions about cases.
    pub const CASE: &'static str = "case";
    /// The rule of kick lists.
    pub const KICK: &'static str = "kick";

    /// Returns what makes it outlast a crash, for the commit of the decision.
    pub fn write(&self) -> Write {
        let body = serde_json::to_string(self).expect("words and numbers are JSON");
        Write::Put { kind: DocumentKind::Removals, id: self.id(), body, expect: None }
    }

    /// Returns what says that it was asked for all of them.
    pub fn done(&self) -> Write {
        Write::Delete { kind: DocumentKind::Removals, id: self.id() }
    }

    /// Reads back what [`Order::write`] wrote.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn read(document: &Document) -> Result<Self, StorageError> {
        let unreadable = |error: serde_json::Error| {
            StorageError::unreadable("whom a decision takes out", error.to_string())
        };
        serde_json::from_str(&document.body).map_err(unreadable)
    }

    /// Makes the event that takes one of them out. Its time is the decision's: long after it nothing follows any more.
    pub fn event(&self, (account, group, member): &Who) -> GroupEvent<'static> {
        let id = format!("expel-{}-{:x}-{:016x}", self.asked, self.at_ms, RosterStep::mark(member));
        GroupEvent {
            id: id.into(),
            account: account.clone().into(),
            group: group.clone().into(),
            member: Some(member.clone().into()),
            name: None,
            role: Role::Customer,
            at_ms: Some(self.at_ms),
            step: None,
            what: What::Expelled { rule: self.rule.clone().into(), asked: self.asked.clone().into() },
        }
    }

    fn id(&self) -> String {
        format!("{}/{:x}", self.asked, self.at_ms)
    }
}

/// What came of each; `None` for whom nothing is done to, or was asked for before.
pub type Expelled = Vec<Option<Came>>;
