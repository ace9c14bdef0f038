//! Which kind of group an id stands for: WeCom has three, and they have little in common.

use super::settings::ROBOT;

/// What the id of a group that our app made begins with.
pub(super) const APPCHAT: &str = "appchat:";

/// A group, or whoever else is meant by an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupKind<'a> {
    /// Nobody's group: a member, one to one.
    Direct,
    /// A customer group (客户群): customers and staff, owned by a member of staff.
    Customer(&'a str),
    /// The internal group that a robot sits in, by the robot's name.
    Robot(&'a str),
    /// An internal group that our app made (appchat), by its `chatid`.
    Appchat(&'a str),
}

impl<'a> GroupKind<'a> {
    /// Tells the kind by the id's beginning.
    pub(super) fn of(group: &'a str) -> Self {
        if group.is_empty() {
            Self::Direct
        } else if let Some(robot) = group.strip_prefix(ROBOT) {
            Self::Robot(robot)
        } else if let Some(chat) = group.strip_prefix(APPCHAT) {
            Self::Appchat(chat)
        } else {
            Self::Customer(group)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_a_known_beginning_is_a_customer_group() {
        let check = |group, expect| assert_eq!(GroupKind::of(group), expect);
        check("", GroupKind::Direct);
        check("wrTESTCHAT1", GroupKind::Customer("wrTESTCHAT1"));
        check("robot:watch", GroupKind::Robot("watch"));
        check("appchat:abc", GroupKind::Appchat("abc"));
        check("robots", GroupKind::Customer("robots"));
    }
}
