//! Facts about tags of members.

use super::names::Metric;
use super::{add, as_f64, set};

/// So many members have tags or a value.
pub fn marked(members: usize) {
    set(Metric::MembersMarked, 0, as_f64(members));
}

/// So many tags by rule are kept.
pub fn rule_tags(tags: usize) {
    set(Metric::RuleTags, 0, as_f64(tags));
}

/// Tags by rule were made in so many groups.
pub fn retagged(groups: usize) {
    add(Metric::GroupsTagged, 0, groups as u64);
}

/// So many groups wait for a look at the segments that journeys ask about.
pub fn segment_groups_waiting(groups: usize) {
    set(Metric::SegmentGroupsWaiting, 0, as_f64(groups));
}

/// So many members who came into a segment are told to journeys in a later look.
pub fn segment_entries_put_off(members: usize) {
    add(Metric::SegmentEntriesPutOff, 0, members as u64);
}

/// A group's tags by rule are not kept: there is no room.
pub fn not_kept() {
    add(Metric::GroupsNotKept, 0, 1);
}
