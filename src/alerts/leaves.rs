//! Who left a group: what staff are told of it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Found, Notify};
use crate::event::{Effects, EventKey, EventType, Fact, HOUR_MS, Role, Status};
use crate::storage::{CountsQuery, SharedStorage, StorageError, Subject};
use crate::telemetry::metrics::Alert;

/// The state that a member who left is told to be in.
pub(super) const STATE: &str = "left";

/// The time over which leaves of a group are counted; by whole hours.
const DAY_MS: i64 = 24 * HOUR_MS;

/// Which leaves are told, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who else is told.
    pub notify: Notify,
    /// Also those that were found by comparing rosters: nobody knows when they happened.
    pub inferred: bool,
}

/// A customer who left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    key: EventKey,
    account: String,
    group: String,
    member: String,
    reason: Option<String>,
    inferred: bool,
    at_ms: i64,
}

impl Left {
    /// Reads a leave out of what an event caused.
    pub(super) fn of(effects: &Effects<'_>, config: &Config) -> Option<Self> {
        let head = &effects.head;
        if head.what != EventType::MemberLeft || head.role != Role::Customer || head.status != Status::Counted
        {
            return None;
        }
        let fact = effects
            .facts
            .iter()
            .find_map(|fact| if let Fact::Member(fact) = fact { Some(fact) } else { None })?;
        (config.inferred || !fact.inferred).then(|| Self {
            key: head.key,
            account: head.account.to_string(),
            group: head.group.to_string(),
            member: head.member.as_deref().unwrap_or_default().to_owned(),
            reason: fact.reason.as_ref().map(ToString::to_string),
            inferred: fact.inferred,
            at_ms: head.at_ms,
        })
    }

    /// Says what is told of it; the projection must have seen the leave. Blocking.
    pub(super) fn found(&self, storage: &SharedStorage) -> Result<Found, StorageError> {
        let Self { key, account, group, member, reason, inferred, at_ms } = self;
        let row = storage.member(account, group, member)?;
        // Who has joined again meanwhile has a later join; of that one nobody asks.
        let joined_ms = row.and_then(|row| row.joined_ms).filter(|joined_ms| joined_ms <= at_ms);
        let from_ms = (at_ms - DAY_MS).div_euclid(HOUR_MS) * HOUR_MS;
        let (account, group) = (account.clone(), group.clone());
        let day = CountsQuery { account, group, from_ms, until_ms: at_ms + 1 };
        let left_last_day: u64 = storage.counts(&day)?.iter().map(|row| row.counters.leaves).sum();
        let context = json!({
            "member": member,
            "reason": reason,
            "inferred": inferred,
            "seconds_since_joining": joined_ms.map(|joined_ms| (at_ms - joined_ms) / 1_000),
            "left_last_day": left_last_day,
        });
        Ok(Found {
            kind: Alert::Left,
            subject: Subject::Member,
            state: STATE,
            id: format!("lv_{:032x}", key.0),
            at_ms: *at_ms,
            account: day.account,
            group: day.group,
            context,
            said: Vec::new(),
            document: None,
            todo: None,
        })
    }
}
