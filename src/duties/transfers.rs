//! Groups that change hands: which have lost their owner, and who was to have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::event::{AccountId, GroupId, OperatorId};

/// Groups without an owner that are listed of one account; the number is always the whole one.
pub const ORPHANS_SHOWN_MAX: usize = 5_000;

/// Groups whose owner has left the company, as the platform last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// When the platform was asked.
    pub asked_ms: i64,
    /// Groups with that owner, at most [`ORPHANS_SHOWN_MAX`].
    pub groups: Vec<(String, Option<String>)>,
    /// How many there are.
    pub count: usize,
    /// Why the platform could not be asked.
    pub failure: Option<Failure>,
}

impl Orphans {
    /// Returns the id of an account's list.
    pub fn id(account: &str) -> String {
        format!("{account}/orphans")
    }
}

/// Groups that are to have a new owner, as somebody asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Through which account.
    pub account: AccountId,
    /// Which groups, each once.
    pub groups: Vec<GroupId>,
    /// Who is to have them.
    pub new_owner: String,
    /// Whether the old owner has left the company.
    pub owner_left: OldOwner,
    /// Who asked.
    pub created_by: OperatorId,
    /// When, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// Where the old owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldOwner {
    /// They have left the company.
    Left,
    /// They still work here.
    AtWork,
}

/// How far a transfer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferState {
    /// Groups that have their result, or were refused for now.
    pub groups: BTreeMap<String, Handover>,
    /// Not before, in milliseconds since the epoch: a limit was met, or the platform was not reached.
    pub not_before_ms: i64,
    /// Every group has its result.
    pub is_done: bool,
}

/// What became of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Where it stands.
    pub standing: Standing,
    /// When that was found.
    pub at_ms: i64,
    /// Why not.
    pub failure: Option<Failure>,
}

/// Where the handover of a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its turn has not come, or the platform's limit of the day is reached: tried again.
    Waiting,
    /// The platform took it.
    Given,
    /// The platform refused it for good.
    Refused,
    /// The answer was lost: the roster will show the owner, and nothing is repeated.
    Unknown,
}

impl TransferState {
    /// Returns the id of a transfer's state.
    pub fn id(account: &str, transfer: &str) -> String {
        format!("{account}/transfer/{transfer}")
    }

    /// Returns the groups that still wait, in the order they were asked for.
    pub fn waiting<'t>(&self, transfer: &'t Transfer) -> Vec<&'t GroupId> {
        let waits = |group: &&GroupId| {
            self.groups.get(group.as_str()).is_none_or(|handover| handover.standing == Standing::Waiting)
        };
        transfer.groups.iter().filter(waits).collect()
    }
}

/// How many groups an account gave away on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenToday {
    /// The day, as people write it: `2026-11-22`.
    pub day: String,
    /// How many.
    pub groups: usize,
}

impl GivenToday {
    /// Returns the id of an account's count.
    pub fn id(account: &str) -> String {
        format!("{account}/transfers_today")
    }
}
