//! Join ways: a code or mini-program page that lets people into one of up to five groups.
//!
//! Which groups are full is the caller's to know.

use std::collections::BTreeMap;

use crate::wecom::errcode;
use crate::wecom::groups::GroupNo;
use crate::wecom::request::Refusal;

/// Groups of a way.
pub const GROUPS_MAX: usize = 5;
/// Characters of a channel, and of a remark.
pub const STATE_CHARS_MAX: usize = 30;
/// Characters of the name that new groups are built from.
pub const BASE_NAME_CHARS_MAX: usize = 40;
/// Ways kept.
pub const WAYS_MAX: usize = 50_000;

/// One way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinWay {
    /// 1 mini-program, 2 QR code.
    pub scene: u64,
    /// A remark.
    pub remark: String,
    /// Whether a new group is opened when all are full.
    pub auto_create_room: bool,
    /// What new groups are called, before their number.
    pub room_base_name: String,
    /// The number of the next new group.
    pub room_base_id: u64,
    /// The groups, in the order they fill up.
    pub groups: Vec<GroupNo>,
    /// The channel.
    pub state: String,
    /// Whether members' source is shown; given back as it came.
    pub mark_source: Option<bool>,
    /// Groups it opened by itself.
    pub opened: u64,
}

/// All ways, by their ids.
#[derive(Debug, Default)]
pub struct JoinWays {
    ways: BTreeMap<String, JoinWay>,
}

impl JoinWay {
    /// Checks what a call gave.
    ///
    /// # Errors
    /// 40058 with the field that is wrong.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let is_long = |text: &str, most: usize| text.chars().count() > most;
        let wrong = if ![1, 2].contains(&self.scene) {
            "scene is 1 or 2"
        } else if self.groups.is_empty() || self.groups.len() > GROUPS_MAX {
            "chat_id_list needs 1 to 5 groups"
        } else if is_long(&self.state, STATE_CHARS_MAX) {
            "state exceed 30 characters"
        } else if is_long(&self.remark, STATE_CHARS_MAX) {
            "remark exceed 30 characters"
        } else if is_long(&self.room_base_name, BASE_NAME_CHARS_MAX) {
            "room_base_name exceed 40 characters"
        } else {
            return Ok(());
        };
        Err(Refusal::new(errcode::BAD_PARAMETER, wrong))
    }
}

fn unknown() -> Refusal {
    Refusal::new(errcode::BAD_PARAMETER, "invalid config_id")
}

impl JoinWays {
    /// Makes a way.
    ///
    /// # Errors
    /// As [`JoinWay::check`]; 45009 when there is no room for another.
    pub(crate) fn add(&mut self, id: String, way: JoinWay) -> Result<(), Refusal> {
        way.check()?;
        if self.ways.len() >= WAYS_MAX {
            return Err(Refusal::code(errcode::FREQUENCY));
        }
        self.ways.insert(id, way);
        Ok(())
    }

    /// A way.
    ///
    /// # Errors
    /// 40058 for an unknown id.
    pub fn get(&self, id: &str) -> Result<&JoinWay, Refusal> {
        self.ways.get(id).ok_or_else(unknown)
    }

    /// Replaces a way.
    ///
    /// # Errors
    /// 40058.
    pub(crate) fn update(&mut self, id: &str, way: JoinWay) -> Result<(), Refusal> {
        way.check()?;
        *self.ways.get_mut(id).ok_or_else(unknown)? = way;
        Ok(())
    }

    /// Deletes a way.
    ///
    /// # Errors
    /// 40058.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), Refusal> {
        self.ways.remove(id).map(drop).ok_or_else(unknown)
    }

    /// All of them with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&str, &JoinWay)> {
        self.ways.iter().map(|(id, way)| (id.as_str(), way))
    }

    /// The name that the next new group of a way gets.
    pub(crate) fn next_name(way: &JoinWay) -> String {
        format!("{}{}", way.room_base_name, way.room_base_id)
    }

    /// A way has opened a group: it is the last to fill up; of more than five the first, a full one, is dropped.
    pub(crate) fn opened(&mut self, id: &str, group: GroupNo) {
        let Some(way) = self.ways.get_mut(id) else { return };
        if way.groups.len() >= GROUPS_MAX {
            way.groups.remove(0);
        }
        way.groups.push(group);
        way.room_base_id += 1;
        way.opened += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(groups: u32) -> JoinWay {
        let room_base_name = "客户群".to_owned();
        JoinWay { scene: 2, groups: (0..groups).map(GroupNo).collect(), room_base_name, ..JoinWay::default() }
    }

    #[test]
    fn what_a_way_may_hold() {
        let text = |count| "字".repeat(count);
        for (way, is_good) in [
            (way(1), true),
            (way(5), true),
            (way(0), false),
            (way(6), false),
            (JoinWay { scene: 3, ..way(1) }, false),
            (JoinWay { scene: 1, ..way(1) }, true),
            (JoinWay { state: text(30), ..way(1) }, true),
            (JoinWay { state: text(31), ..way(1) }, false),
            (JoinWay { remark: text(31), ..way(1) }, false),
            (JoinWay { room_base_name: text(41), ..way(1) }, false),
        ] {
            assert_eq!(way.check().is_ok(), is_good, "{way:?}");
        }
    }

    #[test]
    fn unknown_ways_are_refused() {
        let mut ways = JoinWays::default();
        ways.add("c".to_owned(), way(1)).expect("a way");
        ways.update("c", way(2)).expect("changed");
        assert_eq!(ways.get("c").expect("there").groups.len(), 2);
        ways.delete("c").expect("deleted");
        for refused in [ways.delete("c"), ways.update("c", way(1)), ways.get("c").map(drop)] {
            assert_eq!(refused.expect_err("unknown").errcode, 40_058);
        }
    }

    #[test]
    fn opened_groups_push_out_the_first() {
        let mut ways = JoinWays::default();
        ways.add("c".to_owned(), JoinWay { room_base_id: 9, ..way(5) }).expect("a way");
        assert_eq!(JoinWays::next_name(ways.get("c").expect("there")), "客户群9");
        ways.opened("c", GroupNo(77));
        let after = ways.get("c").expect("there");
        assert_eq!(after.groups, [1, 2, 3, 4, 77].map(GroupNo));
        assert_eq!((after.room_base_id, after.opened), (10, 1));
    }
}
