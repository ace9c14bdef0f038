//! Feeds members who come into a segment to journeys, and ends those of whom a segment says so.
//!
//! Who is in a segment is read by somebody else, who makes a [`What::SegmentRead`](crate::event::What::SegmentRead) of what
//! changed. Whom the group's state does not have yet has come in, and begins in the same effects that put them there: so an
//! entry begins one journey, whatever is read twice or lost in between.

use std::borrow::Cow;

use super::journeying::{Around, Keys};
use super::{Decision, PartitionState};
use crate::event::{Fact, GroupEvent, RosterStep, SegmentRead, StateFact, StateKind};
use crate::journeys::{Came, Crowd, Glance, Start};

/// Who is in a segment must not be forgotten because nothing changed for a year.
const NEVER_EXPIRES_MS: i64 = i64::MAX;

/// What is known of a member of a group and segments.
pub(super) struct Known<'s> {
    state: &'s PartitionState,
    group: &'s str,
    mark: u64,
    now_ms: i64,
}

impl<'s> Known<'s> {
    pub(super) fn of(state: &'s PartitionState, group: &'s str, member: &str, now_ms: i64) -> Self {
        Self { state, group, mark: RosterStep::mark(member), now_ms }
    }

    /// Says whether the segment was ever read in the group.
    pub(super) fn was_read(&self, segment: &str) -> bool {
        self.crowd(segment).is_some()
    }

    /// Says whether they are in a segment; `None`: nobody knows.
    pub(super) fn is_in(&self, segment: &str) -> Option<bool> {
        self.crowd(segment)?.has(self.mark)
    }

    fn crowd(&self, segment: &str) -> Option<Crowd> {
        let value = self.state.small.get(StateKind::Segment, &key(self.group, segment), self.now_ms)?;
        Crowd::from_bytes(value)
    }
}

impl PartitionState {
    /// Returns who of a group is in a segment, as it was read last; `None` when it never was.
    pub fn crowd(&self, account: &str, group: &str, segment: &str) -> Option<Crowd> {
        let key = key(&[account, group].join("\u{1f}"), segment);
        Crowd::from_bytes(self.small.get(StateKind::Segment, &key, NEVER_EXPIRES_MS - 1)?)
    }
}

impl Decision<'_> {
    /// Takes in who is in a segment now.
    pub(super) fn segment_read(
        &mut self,
        around: Around<'_, '_>,
        event: &GroupEvent<'_>,
        read: &SegmentRead<'_>,
    ) {
        let SegmentRead { segment, definition, members, unknown, came, is_over } = read;
        let (kind, key) = (StateKind::Segment, Cow::Owned(key(&Keys::of(event).group, segment)));
        if *is_over {
            return self.fact(|| Fact::State(StateFact { kind, key, value: None, expires_ms: 0 }));
        }
        let before = around.state.crowd(&event.account, &event.group, segment);
        let now = Crowd { definition: *definition, members: members.clone(), unknown: unknown.clone() };
        if before.as_ref() == Some(&now) {
            return;
        }
        let same = before.filter(|before| before.definition == *definition);
        let start = Start::Segment(segment.to_string());
        for newcomer in came {
            let mark = RosterStep::mark(&newcomer.member);
            // Of whom nobody knew may have been in it all along.
            let was_out = same.as_ref().is_none_or(|before| before.has(mark) == Some(false));
            if was_out && now.has(mark) == Some(true) {
                let name = newcomer.name.as_deref().unwrap_or(&newcomer.member);
                self.begin(around, event, &start, Some((&newcomer.member, Some(name))));
            }
        }
        self.end_by_segment(around, event, segment, &now);
        let value = Some(Cow::Owned(now.to_bytes()));
        self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms: NEVER_EXPIRES_MS }));
    }

    /// Ends the journeys that end for who is, or is not, in this segment.
    fn end_by_segment(
        &mut self,
        Around { state, rules, setting: _ }: Around<'_, '_>,
        event: &GroupEvent<'_>,
        segment: &str,
        now: &Crowd,
    ) {
        let (keys, now_ms) = (Keys::of(event), self.now_ms());
        for (member, value) in state.small.of_group(StateKind::Journey, &keys.group, None, now_ms) {
            let journey = Glance::of(value).and_then(|glance| rules.journeys.get(glance.journey));
            let mark = RosterStep::mark(member);
            let says = |id: &str| if id == segment { now.has(mark) } else { None };
            if let Some(journey) = journey.filter(|journey| journey.stops_by_segment(says)) {
                self.end(rules, keys.member(member), &journey.id, Came::StoppedSegment);
            }
        }
    }
}

fn key(group: &str, segment: &str) -> String {
    [group, segment].join("\u{1f}")
}
