//! A broadcast as the ledger keeps it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::canary::{Canary, Phase, Trial};
use super::caps::IMPORTANCE_DEFAULT;
use super::mass::Mass;
use super::preview::Checked;
use super::repeat::Repeat;
use super::schedule::Schedule;
use super::state::{Control, State};
use super::undoing::Undoing;
use super::variants::{Arm, Variant, arm_of};
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
    /// Hours and days on which it is sent.
    #[serde(default)]
    pub schedule: Schedule,
    /// When it comes again: then it sends nothing itself, but a broadcast of its own is made each time.
    #[serde(default)]
    pub repeat: Option<Repeat>,
    /// When it comes next; 0 when it does not.
    #[serde(default)]
    pub next_ms: i64,
    /// The one that comes again, of which this is one time.
    #[serde(default)]
    pub series: Option<BroadcastId>,
    /// Which of two goes where a group may not get both: the one with more of it, 0 to 9.
    #[serde(default = "importance")]
    pub importance: u8,
    /// Whom it tries first.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// How that goes.
    #[serde(default)]
    pub trial: Trial,
    /// Copies that some of the groups get in place of the text.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Groups that get nothing, to compare with, in percent.
    #[serde(default)]
    pub hold_out_percent: u8,
    /// What it takes back or puts right; then its targets are those of that one that were sent.
    #[serde(default)]
    pub undoes: Option<Undoing>,
    /// Broadcasts that take it back or put it right.
    #[serde(default)]
    pub undone_by: Vec<BroadcastId>,
    /// When it was first released; 0 before.
    #[serde(default)]
    pub released_ms: i64,
    /// Which groups could not be told when it was submitted, and why.
    #[serde(default)]
    pub checked: Option<Checked>,
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
    /// Where it stood when that was last written to the audit log: by who decided, or by the house where it moved by itself.
    #[serde(default)]
    pub noted: Option<State>,
    /// Every target had its result when it was last looked: it need not be looked at again until somebody changes it. A
    /// convenience, never the answer to "is it finished?".
    #[serde(default)]
    pub closed: bool,
}

fn importance() -> u8 {
    IMPORTANCE_DEFAULT
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
    /// Zones that the groups of its targets live by.
    #[serde(default)]
    pub zones: BTreeSet<String>,
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
    /// Makes a draft that says nothing yet.
    pub(super) fn draft(
        id: BroadcastId,
        actor: &Actor,
        audience: Audience,
        place: Place,
        now_ms: i64,
    ) -> Self {
        Self {
            id,
            name: String::new(),
            text: String::new(),
            content: None,
            audience,
            exclude: None,
            account: None,
            scopes: actor.scope.layers(),
            place,
            created_by: actor.operator.clone(),
            created_ms: now_ms,
            starts_ms: 0,
            schedule: Schedule::default(),
            repeat: None,
            next_ms: 0,
            series: None,
            importance: IMPORTANCE_DEFAULT,
            canary: None,
            trial: Trial::default(),
            variants: Vec::new(),
            hold_out_percent: 0,
            undoes: None,
            undone_by: Vec::new(),
            released_ms: 0,
            checked: None,
            expires_ms: 0,
            edited_by: BTreeSet::new(),
            submitted_by: None,
            needs_approval: false,
            approved_by: None,
            reason: String::new(),
            expected: 0,
            control: Control::Draft,
            expansion: Expansion::default(),
            mass: Mass::default(),
            noted: None,
            closed: false,
        }
    }

    /// Notes that it is finished no more: some of its targets are tried again. Says whether that is to be told.
    pub(super) fn reopens(&mut self) -> bool {
        let reopens = self.noted == Some(State::Finished);
        if reopens {
            self.noted = Some(State::Running);
        }
        reopens
    }

    /// Says whether its targets may leave now, as far as people decided.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.control == Control::Running && self.starts_ms <= now_ms && self.repeat.is_none()
    }

    /// Returns what a group gets.
    pub fn arm_of(&self, group: &GroupName) -> Arm {
        arm_of(&self.id, group, &self.variants, self.hold_out_percent)
    }

    /// Says whether the rest waits for what its first groups show.
    pub(super) fn tries_first(&self) -> bool {
        self.canary.is_some() && self.trial.phase != Phase::Passed
    }

    /// Returns until when its first groups are watched; `None` while some of them have no result, and without any.
    pub(super) fn watched_until_ms(&self) -> Option<i64> {
        let wait_ms = i64::try_from(self.canary.as_ref()?.wait.as_millis()).unwrap_or(i64::MAX);
        let is_watching = self.trial.phase == Phase::Watching;
        is_watching.then(|| self.trial.sent_ms.saturating_add(wait_ms))
    }

    /// Returns how long its first groups are still to be watched.
    pub(super) fn watching_ms(&self, now_ms: i64) -> i64 {
        let Some(canary) = &self.canary else { return 0 };
        let wait_ms = i64::try_from(canary.wait.as_millis()).unwrap_or(i64::MAX);
        match self.trial.phase {
            Phase::Waiting | Phase::Sending => wait_ms,
            Phase::Watching => self.trial.sent_ms.saturating_add(wait_ms).saturating_sub(now_ms).max(0),
            Phase::Passed | Phase::Stopped => 0,
        }
    }

    /// Notes when people let it go for the first time: what is spread is spread from then on. What comes again comes at its
    /// next time, whatever was missed. `zone` is the house's.
    pub(super) fn released(&mut self, now_ms: i64, zone: &TimeZone) {
        if self.control != Control::Running {
            return;
        }
        if self.released_ms == 0 {
            self.released_ms = now_ms;
        }
        self.comes_after(self.starts_ms.max(now_ms), zone);
    }

    /// Sets when it comes next.
    pub(super) fn comes_after(&mut self, after_ms: i64, zone: &TimeZone) {
        let next = self.repeat.as_ref().and_then(|repeat| repeat.next_after(zone, after_ms));
        self.next_ms = next.unwrap_or(0);
    }

    /// Says whether its targets are to be written: also of one that waits, so that what it comes to can be seen before.
    pub(super) fn is_to_expand(&self) -> bool {
        matches!(self.control, Control::Submitted | Control::Running)
            && !self.expansion.done
            && self.repeat.is_none()
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
