//! A broadcast as the ledger keeps it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::mass::Mass;
use super::state::Control;
use crate::event::{AccountId, Actor, BroadcastId, GroupName, OperatorId, Place, Scope};
use crate::outbox::delivery::Content;
use crate::storage::StorageError;

/// One broadcast. The outbox reads `text` of it, whatever else it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// `bc_…`, in order of time.
    pub id: BroadcastId,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// The text as it was written, variables and all; empty when there is only a content.
    pub text: String,
    /// What is shown, where the platform can; the text is said elsewhere.
    #[serde(default)]
    pub content: Option<Content>,
    /// To whom.
    pub audience: Audience,
    /// But not to these.
    #[serde(default)]
    pub exclude: Option<Audience>,
    /// Only groups of this account.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// What whoever wrote and submitted it could reach: every group must be covered by each of these, also if the audience names it.
    pub scopes: Vec<Scope>,
    /// Where it belongs: who may see it besides its creator.
    pub place: Place,
    /// Who made it.
    pub created_by: OperatorId,
    /// When, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Nothing of it is sent before then; 0 for at once.
    #[serde(default)]
    pub starts_ms: i64,
    /// Targets not sent by then are not sent any more; 0 for never.
    #[serde(default)]
    pub expires_ms: i64,
    /// Who else wrote at the draft.
    #[serde(default)]
    pub edited_by: BTreeSet<OperatorId>,
    /// Who asked for it to be sent; nobody yet for a draft.
    #[serde(default)]
    pub submitted_by: Option<OperatorId>,
    /// Somebody else must release it.
    #[serde(default)]
    pub needs_approval: bool,
    /// Who did.
    #[serde(default)]
    pub approved_by: Option<OperatorId>,
    /// Why it stands where it does, in the words of whoever decided last.
    #[serde(default)]
    pub reason: String,
    /// How many groups it would have reached when it was made.
    pub expected: u64,
    /// What people decided.
    pub control: Control,
    /// How far its targets are written.
    pub expansion: Expansion,
    /// What must be confirmed by people.
    #[serde(default)]
    pub mass: Mass,
    /// Every target had its result when it was last looked: it need not be looked at again until somebody changes it. A
    /// convenience, never the answer to "is it finished?".
    #[serde(default)]
    pub closed: bool,
}

/// How far the targets of a broadcast are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expansion {
    /// The last group that was looked at.
    pub cursor: Option<GroupName>,
    /// Targets so far; the next one's number.
    pub targets: u32,
    /// Targets by account, but for those that an owner must confirm.
    pub accounts: BTreeMap<AccountId, u32>,
    /// Targets that an owner must confirm, by account.
    #[serde(default)]
    pub confirmed_accounts: BTreeMap<AccountId, u32>,
    /// There are no more.
    pub done: bool,
}

impl Expansion {
    /// Returns every account that has targets.
    pub(super) fn all_accounts(&self) -> impl Iterator<Item = &AccountId> {
        let others = self.confirmed_accounts.keys().filter(|account| !self.accounts.contains_key(*account));
        self.accounts.keys().chain(others)
    }
}

impl Broadcast {
    /// Says whether its targets may leave now, as far as people decided.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.control == Control::Running && self.starts_ms <= now_ms
    }

    /// Says whether its targets are to be written: also of one that waits, so that what it comes to can be seen before.
    pub(super) fn is_to_expand(&self) -> bool {
        matches!(self.control, Control::Submitted | Control::Running) && !self.expansion.done
    }

    /// Says whether somebody wrote at it or asked for it: then somebody else must release it.
    pub(super) fn is_work_of(&self, operator: &OperatorId) -> bool {
        self.created_by == *operator
            || self.edited_by.contains(operator)
            || self.submitted_by.as_ref() == Some(operator)
    }

    /// Says whether somebody may see it: it belongs in their scope, or they made it.
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        actor.scope.covers(&self.place) || self.created_by == actor.operator
    }
}

pub(super) fn read(id: &str, body: &str) -> Result<Broadcast, StorageError> {
    serde_json::from_str(body).map_err(|error| StorageError::Unreadable {
        what: format!("broadcast `{id}`"),
        detail: error.to_string(),
    })
}
