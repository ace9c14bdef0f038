//! A change that a callback told and that did not follow from what we knew: kept until a reading says what it means.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::{GroupEvent, Role, RosterMember, RosterStep, What};

/// One such change, as it lies in the connector's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The event's own id: by it a repeat is known, also after the reading.
    pub(crate) id: String,
    /// When it happened, by the platform.
    pub(crate) at_ms: i64,
    /// When it came to us.
    pub(crate) heard_ms: i64,
    /// Mark of the version it starts from.
    pub(crate) from: u64,
    /// Mark of the version it leads to.
    pub(crate) to: u64,
    /// What changed.
    pub(crate) change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A member joined.
    Joined {
        /// Who.
        member: String,
        /// Their role, as far as the callback tells.
        role: Role,
        /// How they came in, in the platform's words.
        scene: Option<String>,
    },
    /// A member left.
    Left {
        /// Who.
        member: String,
        /// Their role, as far as the callback tells.
        role: Role,
        /// Why, in the platform's words.
        reason: Option<String>,
    },
    /// The callback names nobody.
    Unnamed,
}

impl Pending {
    /// Takes down an event; `None` when it has no step, so that nothing about it can be missing.
    pub(crate) fn of(event: &GroupEvent<'_>, heard_ms: i64) -> Option<Self> {
        let RosterStep { from: Some(from), to } = event.step? else { return None };
        let text = |value: &Option<Cow<'_, str>>| value.as_deref().map(str::to_owned);
        let change = match (&event.what, &event.member) {
            (What::MemberJoined { scene, .. }, Some(member)) => {
                Change::Joined { member: member.to_string(), role: event.role, scene: text(scene) }
            }
            (What::MemberLeft { reason, .. }, Some(member)) => {
                Change::Left { member: member.to_string(), role: event.role, reason: text(reason) }
            }
            _ => Change::Unnamed,
        };
        let at_ms = event.at_ms.unwrap_or(heard_ms);
        Some(Self { id: event.id.to_string(), at_ms, heard_ms, from, to, change })
    }

    /// Returns who joined or left, and whether they joined.
    pub(super) fn told(&self) -> Option<(&str, bool)> {
        match &self.change {
            Change::Joined { member, .. } => Some((member, true)),
            Change::Left { member, .. } => Some((member, false)),
            Change::Unnamed => None,
        }
    }

    /// Makes a member of whom nothing is known but that they were there before it.
    pub(super) fn member_before(&self, member: &str) -> RosterMember<'static> {
        let role = match &self.change {
            Change::Joined { role, .. } | Change::Left { role, .. } => *role,
            Change::Unnamed => Role::default(),
        };
        RosterMember {
            member: Cow::Owned(member.to_owned()),
            role,
            name: None,
            joined_ms: self.at_ms,
            inviter: None,
            scene: None,
            channel: None,
            union_id: None,
        }
    }

    /// Makes the event again, with what a reading adds about the member. `None` when the callback names nobody.
    pub(super) fn event(
        &self,
        account: &str,
        group: &str,
        step: RosterStep,
        read: Option<&RosterMember<'static>>,
    ) -> Option<GroupEvent<'static>> {
        let owned = |value: &Option<String>| value.clone().map(Cow::Owned);
        let (member, role, what) = match &self.change {
            Change::Joined { member, role, scene } => {
                let what = What::MemberJoined {
                    inviter: read.and_then(|read| read.inviter.clone()),
                    scene: owned(scene).or_else(|| read.and_then(|read| read.scene.clone())),
                    channel: read.and_then(|read| read.channel.clone()),
                    union_id: read.and_then(|read| read.union_id.clone()),
                    profile: None,
                    inferred: false,
                };
                (member, *role, what)
            }
            Change::Left { member, role, reason } => {
                (member, *role, What::MemberLeft { reason: owned(reason), inferred: false })
            }
            Change::Unnamed => return None,
        };
        Some(GroupEvent {
            id: Cow::Owned(self.id.clone()),
            account: Cow::Owned(account.to_owned()),
            group: Cow::Owned(group.to_owned()),
            member: Some(Cow::Owned(member.clone())),
            name: read.and_then(|read| read.name.clone()),
            role: read.map_or(role, |read| read.role),
            at_ms: Some(self.at_ms),
            step: Some(step),
            what,
        })
    }
}
