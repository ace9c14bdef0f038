//! Goes through the members of groups and says of each whether they are in a segment. Some groups at a time, so that any
//! number of groups takes the memory of those.

use std::sync::Arc;

use super::People;
use super::kept::GroupTags;
use super::marks::Mark;
use super::reading::{self, Extent, GROUPS_TOGETHER, GroupOf, Member};
use super::rule::{LOOKBACK_DAYS, Sight};
use super::scores::{Scores, Tally};
use super::segment::{Segment, Who};
use crate::storage::StorageError;

/// What is asked.
pub struct Asked<'a> {
    /// Who is meant.
    pub segment: &'a Segment,
    /// In which groups.
    pub groups: &'a [GroupOf],
    /// Among whom scores are given; `None` for no scores.
    pub tally: Option<&'a Tally>,
    /// Everything about each is wanted, not only whether they are meant.
    pub full: bool,
}

/// A member that was looked at.
pub struct Seen<'a> {
    /// Their group.
    pub group: &'a GroupOf,
    /// What can be seen of it.
    pub sight: Sight,
    /// Who they are and what they did.
    pub member: &'a Member,
    /// What is written on them.
    pub mark: Option<Arc<Mark>>,
    /// Tags by rule in the group; `None` where they were not wanted.
    pub tags: Option<&'a GroupTags>,
    /// Their scores, where asked for.
    pub scores: Scores,
    /// Whether they are meant; `None`: nobody knows.
    pub is: Option<bool>,
}

impl People {
    /// Visits the members of groups in the order of groups, then by id, until `visit` says that it is enough. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn survey(
        &self,
        asked: &Asked<'_>,
        now_ms: i64,
        visit: &mut dyn FnMut(&Seen<'_>) -> bool,
    ) -> Result<(), StorageError> {
        self.follow()?;
        let needs = asked.segment.needs();
        let days = if asked.full { LOOKBACK_DAYS } else { needs.days };
        let with_tags = asked.full || !needs.tags.is_empty();
        let may_be = |group: &&GroupOf| asked.segment.may_be_in(&group.name, &group.place);
        let mut rest = asked.groups.iter().filter(may_be).peekable();
        while rest.peek().is_some() {
            let groups: Vec<GroupOf> = rest.by_ref().take(GROUPS_TOGETHER).cloned().collect();
            let extent = Extent { days: Some(days), hits: false };
            let people = reading::read(&*self.parts.storage, &groups, extent, now_ms)?;
            let tags = if with_tags { self.tags(&groups, now_ms)? } else { Vec::new() };
            for (nth, (group, people)) in groups.iter().zip(&people).enumerate() {
                let tags = tags.get(nth).map(|tags| &**tags);
                for member in &people.members {
                    let seen = self.look(asked, group, people.sight, member, tags);
                    if !visit(&seen) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn look<'a>(
        &self,
        asked: &Asked<'_>,
        group: &'a GroupOf,
        sight: Sight,
        member: &'a Member,
        tags: Option<&'a GroupTags>,
    ) -> Seen<'a> {
        let mark = self.mark(group.name.account.as_str(), &member.member);
        let value = mark.as_ref().and_then(|mark| mark.value_micros);
        let scores = asked.tally.map(|tally| tally.scores(&member.facts, &sight, value));
        let has = |tag: &str| {
            let by_hand = mark.as_ref().is_some_and(|mark| mark.tags.contains(tag));
            if by_hand { Some(true) } else { tags.map_or(Some(false), |tags| tags.has(&member.member, tag)) }
        };
        let who = Who {
            group: &group.name,
            place: &group.place,
            sight,
            facts: &member.facts,
            messages: member.messages,
            tag: &has,
            scores: scores.unwrap_or_default(),
        };
        let is = asked.segment.holds(&who);
        Seen { group, sight, member, tags, scores: scores.unwrap_or_default(), is, mark: mark.clone() }
    }

    /// Counts among whom scores are given: the customers who are in these groups now. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn tally(&self, groups: &[GroupOf], now_ms: i64) -> Result<Tally, StorageError> {
        let mut tally = Tally::default();
        let extent = Extent { days: Some(LOOKBACK_DAYS), hits: false };
        for groups in groups.chunks(GROUPS_TOGETHER) {
            let people = reading::read(&*self.parts.storage, groups, extent, now_ms)?;
            for (group, people) in groups.iter().zip(&people) {
                for member in &people.members {
                    let mark = self.mark(group.name.account.as_str(), &member.member);
                    tally.add(&member.facts, &people.sight, mark.and_then(|mark| mark.value_micros));
                }
            }
        }
        Ok(tally.counted())
    }
}
