//! Ways into groups: a code that people scan leads into some groups, and to the next ones when those are nearly full.
//!
//! [`lead`] decides and is pure; the duty reads the members and tells the platform.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::event::{AccountId, GroupId};

/// A way into groups as people want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinWay {
    /// Through which account.
    #[schema(value_type = String)]
    pub account: AccountId,
    /// For people.
    #[serde(default)]
    pub remark: String,
    /// Groups it leads into, in order; the platform fills them one after the other.
    #[schema(value_type = Vec<String>)]
    pub groups: Vec<GroupId>,
    /// Groups that are ready to take the place of full ones, in order.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub prepared: Vec<GroupId>,
    /// Channel code (渠道码) that its joins carry; the id when left out.
    #[serde(default)]
    pub channel: Option<String>,
    /// A group with so many members is nearly full; `duties.group_members_max` when left out.
    #[serde(default)]
    pub members_max: Option<u64>,
    /// The platform opens a new group when all are full, where it can.
    #[serde(default)]
    pub opens_next: Option<OpensNext>,
}

/// What the groups are called that the platform opens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpensNext {
    /// Their name, before the number.
    pub name: String,
    /// The number of the first.
    pub number: u32,
}

/// How a way stands on the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinWayState {
    /// The platform's id.
    pub platform_id: Option<String>,
    /// The code's address, if the platform gives one.
    pub address: Option<String>,
    /// The version of the wish that was tried last; `failure` says whether the platform took it.
    pub version: u64,
    /// Groups it leads into now.
    pub groups: Vec<GroupId>,
    /// Groups that were found nearly full under this version: they do not come back by themselves when somebody leaves.
    pub full: BTreeSet<GroupId>,
    /// Every listed and prepared group is nearly full.
    pub exhausted_ms: Option<i64>,
    /// It is being added: when this is still there at the next pass, nobody knows whether it was.
    pub adding: bool,
    /// When the platform was told or tried last.
    pub told_ms: i64,
    /// What the platform refused the last time.
    pub failure: Option<Failure>,
}

impl JoinWayState {
    /// Returns what the ids of an account's states begin with.
    pub fn prefix(account: &str) -> String {
        format!("{account}/join_way/")
    }

    /// Returns the id of a way's state.
    pub fn id(account: &str, way: &str) -> String {
        format!("{account}/join_way/{way}")
    }
}

/// Returns the groups a way is to lead into: as many as it lists, without full ones, prepared ones in their place. When
/// all are full the last of all stays, so that the code leads somewhere.
pub fn lead(way: &JoinWay, full: &BTreeSet<GroupId>) -> Vec<GroupId> {
    let all = || way.groups.iter().chain(&way.prepared);
    let mut open: Vec<GroupId> = Vec::new();
    for group in all().filter(|group| !full.contains(*group)) {
        if !open.contains(group) && open.len() < way.groups.len() {
            open.push(group.clone());
        }
    }
    if open.is_empty() { all().next_back().cloned().into_iter().collect() } else { open }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_groups_give_way_to_prepared_ones_in_order() {
        let groups = |ids: &str| -> Vec<GroupId> {
            ids.chars().map(|id| GroupId::parse(&id.to_string()).unwrap()).collect()
        };
        let way = |listed: &str, prepared: &str| JoinWay {
            account: AccountId::parse("shop").unwrap(),
            remark: String::new(),
            groups: groups(listed),
            prepared: groups(prepared),
            channel: None,
            members_max: None,
            opens_next: None,
        };
        for (listed, prepared, full, expect) in [
            ("a", "bc", "", "a"),
            ("a", "bc", "a", "b"),
            ("a", "bc", "ab", "c"),
            ("a", "bc", "abc", "c"),
            ("ab", "cd", "a", "bc"),
            ("ab", "cd", "b", "ac"),
            ("ab", "cd", "abc", "d"),
            ("ab", "", "ab", "b"),
            ("ab", "ab", "a", "b"),
        ] {
            let full = groups(full).into_iter().collect();
            assert_eq!(lead(&way(listed, prepared), &full), groups(expect), "{listed} {prepared} {full:?}");
        }
    }
}
