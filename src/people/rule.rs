//! Tags by rule: what a member did in a group, and which tags follow. Layer: pure core.
//!
//! Days are the group's own, numbered from the epoch. An answer has three values: what rests on messages is not known
//! where nobody shows us messages, and a tag is given only for a yes. Staff and bots get none.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::Role;

/// How many days back rules and segments look.
pub const LOOKBACK_DAYS: u16 = 90;
/// Most rules of an installation.
pub const RULES_MAX: usize = 50;
/// Most characters of a tag.
pub const TAG_CHARS_MAX: usize = 40;

/// What a member did in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What they are to us.
    pub role: Role,
    /// In the group now.
    pub present: bool,
    /// The day they came in last, where told.
    pub joined_day: Option<i32>,
    /// The day they were first seen.
    pub first_day: i32,
    /// Days on which they said something that counts, in order, each once; none before the look-back.
    pub spoke_days: Vec<i32>,
    /// Hits of their messages: the day, the category, the wordlist.
    pub hits: Vec<(i32, String, String)>,
}

/// What can be seen of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Today.
    pub today: i32,
    /// Messages are shown to us.
    pub seen: bool,
    /// All hits since this day are known.
    pub hits_since: i32,
}

/// A rule, as somebody writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For people.
    #[serde(default)]
    pub title: String,
    /// The tag that follows.
    #[schema(example = "talkative")]
    pub tag: String,
    /// When it does.
    pub when: When,
}

/// When a customer of a group gets a tag, and keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Spoke on so many days of the last ones.
    Spoke {
        /// On at least so many days.
        days_min: u16,
        /// Of so many last days, today among them (1 to 90).
        within_days: u16,
    },
    /// In the group, and said nothing in so many last days, all of which they were there.
    Silent {
        /// So many days (1 to 90).
        days: u16,
    },
    /// In the group, came so many days ago or earlier (90 at most), and said nothing in as many days from then on.
    SilentAfterJoining {
        /// So many days (1 to 90).
        days: u16,
    },
    /// Said something that one of these word lists found: `price` for who asks about prices. The text is not kept, only
    /// that the list found something.
    Said {
        /// Of one of these wordlists.
        #[serde(default)]
        wordlists: BTreeSet<String>,
        /// Or of one of these categories.
        #[serde(default)]
        categories: BTreeSet<String>,
        /// At least so often.
        #[serde(default = "once")]
        times_min: u16,
        /// In so many last days (1 to 90).
        within_days: u16,
    },
}

fn once() -> u16 {
    1
}

impl Facts {
    /// Says on how many days from one to another, both among them, they spoke.
    pub fn days_spoken(&self, from: i32, through: i32) -> usize {
        let first = self.spoke_days.partition_point(|day| *day < from);
        let end = self.spoke_days.partition_point(|day| *day <= through);
        end.saturating_sub(first)
    }

    /// Says whether they are there and were silent for so many days, today among them.
    pub fn is_silent(&self, days: u16, sight: &Sight) -> Option<bool> {
        let from = sight.today - i32::from(days) + 1;
        if !self.present || self.joined_day.unwrap_or(self.first_day) > from {
            return Some(false);
        }
        sight.seen.then(|| self.days_spoken(from, sight.today) == 0)
    }
}

impl When {
    /// Says whether it holds for a member; `None`: nobody knows.
    pub fn holds(&self, who: &Facts, sight: &Sight) -> Option<bool> {
        if who.role != Role::Customer {
            return Some(false);
        }
        let since = |days: u16| sight.today - i32::from(days) + 1;
        match self {
            When::Spoke { days_min, within_days } => {
                let spoke = || who.days_spoken(since(*within_days), sight.today) >= usize::from(*days_min);
                sight.seen.then(spoke)
            }
            When::Silent { days } => who.is_silent(*days, sight),
            When::SilentAfterJoining { days } => {
                if !who.present {
                    return Some(false);
                }
                let joined = who.joined_day?;
                let (length, ago) = (i32::from(*days), sight.today - joined);
                if ago < length || ago > i32::from(LOOKBACK_DAYS) {
                    return Some(false);
                }
                sight.seen.then(|| who.days_spoken(joined, joined + length - 1) == 0)
            }
            When::Said { wordlists, categories, times_min, within_days } => {
                let from = since(*within_days);
                let found = who.hits.iter().filter(|(day, category, list)| {
                    *day >= from && (wordlists.contains(list) || categories.contains(category))
                });
                if found.count() >= usize::from(*times_min) {
                    return Some(true);
                }
                // Fewer were found of those we know: an older one may be out of reach.
                (sight.seen && sight.hits_since <= from).then_some(false)
            }
        }
    }

    /// Says how many days it looks back.
    pub fn days(&self) -> u16 {
        match self {
            When::Spoke { within_days, .. } => *within_days,
            When::Silent { days } => *days,
            When::SilentAfterJoining { .. } => LOOKBACK_DAYS + 1,
            When::Said { .. } => 0,
        }
    }

    /// Says whether it asks for hits.
    pub fn reads_hits(&self) -> bool {
        matches!(self, When::Said { .. })
    }
}

impl Rule {
    /// Says what is wrong with it: the field and why.
    ///
    /// # Errors
    /// When something is.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        check_tag(&self.tag).map_err(|detail| ("/tag", detail))?;
        let days = |field, days: u16| {
            if (1..=LOOKBACK_DAYS).contains(&days) {
                return Ok(());
            }
            Err((field, format!("{days} days: 1 to {LOOKBACK_DAYS} are possible")))
        };
        match &self.when {
            When::Spoke { days_min, within_days } => {
                days("/when/spoke/within_days", *within_days)?;
                if *days_min == 0 || days_min > within_days {
                    let detail = format!("must be 1 to `within_days` ({within_days})");
                    return Err(("/when/spoke/days_min", detail));
                }
                Ok(())
            }
            When::Silent { days: length } => days("/when/silent/days", *length),
            When::SilentAfterJoining { days: length } => days("/when/silent_after_joining/days", *length),
            When::Said { wordlists, categories, times_min, within_days } => {
                days("/when/said/within_days", *within_days)?;
                if wordlists.is_empty() && categories.is_empty() {
                    let detail = "name a wordlist or a category, so that there is something to find";
                    return Err(("/when/said/wordlists", detail.to_owned()));
                }
                if *times_min == 0 {
                    return Err(("/when/said/times_min", "must be at least 1".to_owned()));
                }
                Ok(())
            }
        }
    }
}

/// Says what is wrong with a tag.
///
/// # Errors
/// When something is.
pub fn check_tag(tag: &str) -> Result<(), String> {
    let plain = tag.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
    if tag.is_empty() || tag.chars().count() > TAG_CHARS_MAX || !plain {
        return Err(format!(
            "a tag has 1 to {TAG_CHARS_MAX} letters, digits, `-`, `_`, `.`, `:`（标签为 1 至 {TAG_CHARS_MAX} 个字母、汉字、数字或 - _ . :）"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happened, as a person would write it down: one line an event.
    #[derive(Clone, Debug)]
    struct Diary {
        today: i32,
        first: i32,
        joined: Option<i32>,
        present: bool,
        spoke: Vec<i32>,
        hits: Vec<i32>,
        seen: bool,
    }

    impl Diary {
        fn facts(&self) -> (Facts, Sight) {
            let spoke: BTreeSet<i32> = self.spoke.iter().copied().collect();
            let facts = Facts {
                role: Role::Customer,
                present: self.present,
                joined_day: self.joined,
                first_day: self.first,
                spoke_days: spoke.into_iter().collect(),
                hits: self.hits.iter().map(|day| (*day, "price".to_owned(), "prices".to_owned())).collect(),
            };
            (facts, Sight { today: self.today, seen: self.seen, hits_since: i32::MIN })
        }

        /// Goes through the days one by one.
        fn naive(&self, when: &When) -> Option<bool> {
            let spoke_on = |day: i32| self.spoke.contains(&day);
            let last = |days: u16| (0..i32::from(days)).map(|back| self.today - back);
            match when {
                When::Spoke { days_min, within_days } => {
                    let days = last(*within_days).filter(|day| spoke_on(*day)).count();
                    self.seen.then_some(days >= usize::from(*days_min))
                }
                When::Silent { days } => {
                    let there_since = self.joined.unwrap_or(self.first);
                    if !self.present || last(*days).any(|day| day < there_since) {
                        return Some(false);
                    }
                    self.seen.then(|| !last(*days).any(spoke_on))
                }
                When::SilentAfterJoining { days } => {
                    if !self.present {
                        return Some(false);
                    }
                    let joined = self.joined?;
                    let mut first_days = (0..i32::from(*days)).map(|after| joined + after);
                    let is_over = joined + i32::from(*days) <= self.today;
                    if !is_over || self.today - joined > 90 {
                        return Some(false);
                    }
                    self.seen.then(|| !first_days.any(spoke_on))
                }
                When::Said { times_min, within_days, .. } => {
                    let times =
                        last(*within_days).map(|day| self.hits.iter().filter(|at| **at == day).count());
                    if times.sum::<usize>() >= usize::from(*times_min) {
                        return Some(true);
                    }
                    self.seen.then_some(false)
                }
            }
        }
    }

    fn diaries() -> impl Strategy<Value = Diary> {
        let days = || prop::collection::vec(900..=1000_i32, 0..12);
        (890..=1000_i32, prop::option::of(880..=1000_i32), any::<bool>(), days(), days(), any::<bool>())
            .prop_map(|(first, joined, present, spoke, hits, seen)| Diary {
                today: 1000,
                first,
                joined,
                present,
                spoke,
                hits,
                seen,
            })
    }

    fn whens() -> impl Strategy<Value = When> {
        let days = || 1..=LOOKBACK_DAYS;
        prop_oneof![
            (1..=5_u16, days()).prop_map(|(days_min, within_days)| When::Spoke { days_min, within_days }),
            days().prop_map(|days| When::Silent { days }),
            days().prop_map(|days| When::SilentAfterJoining { days }),
            (1..=3_u16, days()).prop_map(|(times_min, within_days)| When::Said {
                wordlists: BTreeSet::from(["prices".to_owned()]),
                categories: BTreeSet::new(),
                times_min,
                within_days,
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_rule_says_what_going_through_the_days_says(diary in diaries(), when in whens()) {
            let (facts, sight) = diary.facts();
            prop_assert_eq!(when.holds(&facts, &sight), diary.naive(&when));
        }
    }

    #[test]
    fn hits_that_are_out_of_reach_are_not_taken_for_none() {
        let when: When =
            serde_json::from_str(r#"{"said": {"categories": ["price"], "within_days": 30}}"#).unwrap();
        let mut facts = Facts::default();
        let sight = Sight { today: 100, seen: true, hits_since: 90 };
        assert_eq!(when.holds(&facts, &sight), None);
        facts.hits.push((95, "price".to_owned(), "x".to_owned()));
        assert_eq!(when.holds(&facts, &sight), Some(true));
        facts.role = Role::Staff;
        assert_eq!(when.holds(&facts, &sight), Some(false));
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused_by_its_field() {
        let table = [
            (r#"{"tag": "", "when": {"silent": {"days": 3}}}"#, "/tag"),
            (r#"{"tag": "a b", "when": {"silent": {"days": 3}}}"#, "/tag"),
            (r#"{"tag": "a", "when": {"silent": {"days": 0}}}"#, "/when/silent/days"),
            (
                r#"{"tag": "a", "when": {"silent_after_joining": {"days": 91}}}"#,
                "/when/silent_after_joining/days",
            ),
            (r#"{"tag": "a", "when": {"spoke": {"days_min": 9, "within_days": 7}}}"#, "/when/spoke/days_min"),
            (r#"{"tag": "a", "when": {"said": {"within_days": 7}}}"#, "/when/said/wordlists"),
        ];
        for (json, field) in table {
            let rule: Rule = serde_json::from_str(json).unwrap();
            assert_eq!(rule.check().unwrap_err().0, field, "{json}");
        }
        assert_eq!(check_tag("问过价格"), Ok(()));
    }
}
