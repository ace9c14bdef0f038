//! Keyword rules that answer in the group.
//!
//! One answer a message. Rules that a message asks are ordered: `exact` before `all_of` and `near`, before `regex`, before
//! `starts_with`, before `contains`; then the longer keyword, then the greater priority, then the newer rule. The first
//! speaks or, in its cooldown, keeps silent; a worse one never answers in its stead.
//!
//! Never answered: programs, ourselves, staff (unless the configuration says so), blocked messages, repeats, late events.

mod counts;
mod guard;
mod matching;
mod rule;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::Place;
use crate::interception;
use crate::reach::Plan;
use crate::template::Template;
use counts::Counts;
use matching::{Matcher, Strings};
use rule::{Texts, many};

pub use counts::{Came, Numbers};
pub use guard::{Answers, SaidHash, said_hash};
pub use matching::Synonyms;
pub use rule::{BusinessHours, Config, MatchKind, Mode, Rule, RuleError, SynonymList};

/// All rules, compiled.
#[derive(Debug, Default)]
pub struct Rules {
    compiled: Vec<Compiled>,
    matcher: Matcher,
    /// Rules by topic.
    topics: Vec<Vec<usize>>,
    by_id: HashMap<Box<str>, usize>,
    hands_over: bool,
}

/// One compiled rule.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: Box<str>,
    /// How its keywords must stand.
    pub match_kind: MatchKind,
    /// As they were written.
    pub keywords: Vec<String>,
    /// Whether it speaks.
    pub mode: Mode,
    /// How long it is silent afterwards: itself in the group, itself towards the member, every rule in the group; in
    /// milliseconds.
    pub silence_ms: Silences,
    /// It hands the member's talk over to staff.
    pub hand_over: bool,
    texts: Texts,
    only_mentioned: bool,
    hours: Option<BusinessHours>,
    priority: i32,
    written_ms: i64,
    valid_from: i64,
    valid_until: i64,
    plan: Plan,
    topic: Option<usize>,
    counts: Counts,
}

/// Silences after an answer, in milliseconds; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silences {
    /// Of the rule in the group.
    pub rule: i64,
    /// Of the rule towards the member.
    pub member: i64,
    /// Of every rule in the group.
    pub group: i64,
}

/// Where and when a question is asked.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// Where the group belongs.
    pub place: &'a Place,
    /// The group's tags.
    pub tags: &'a [String],
    /// The group's time zone.
    pub zone: &'a TimeZone,
    /// Whether the group's shop is open at a moment; `None` where nobody knows its hours.
    pub is_open: &'a (dyn Fn(i64) -> Option<bool> + Sync),
    /// Whether the message mentions us or a staff member.
    pub is_mentioned: bool,
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// A rule that a message asks, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'r> {
    /// The rule.
    pub rule: &'r Compiled,
    /// The keyword, as it was written; of those that must all be there the first.
    pub keyword: &'r str,
    /// Length of what stands in the message, in folded characters.
    pub chars: usize,
    /// Why it takes no part; `None` when it does.
    pub out: Option<Out>,
    /// The text is the one for outside the hours.
    pub is_closed: bool,
}

/// Why a rule that was asked takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Out {
    /// It is not for this group.
    Elsewhere,
    /// A closer rule of the same topic is for this group.
    CloserRule,
    /// Before its time or after it.
    NotValid,
    /// Outside its hours, for which it has no text.
    Closed,
    /// Neither we nor a staff member is mentioned.
    NotMentioned,
    /// It is on trial.
    Shadow,
}

impl Rules {
    /// Compiles rules. The first that cannot be used stops all, so that the old set stays.
    ///
    /// # Errors
    /// The rule's id and what is wrong with it.
    pub fn compile(
        written: &[(String, Rule)],
        synonyms: &Synonyms,
        config: &Config,
        words: &interception::Config,
    ) -> Result<Self, (String, RuleError)> {
        let mut this = Self::default();
        let (mut strings, mut topics) = (Strings::default(), HashMap::new());
        let in_use = written.iter().filter(|(_, rule)| rule.enabled);
        many("reply rules", in_use.clone().count(), config.rules_max).map_err(|e| (String::new(), e))?;
        for (id, rule) in in_use {
            let named = |error| (id.clone(), error);
            let texts = rule.check(config, words).map_err(named)?;
            let used = this.matcher.add(rule, &mut strings, synonyms, words).map_err(named)?;
            many("keywords with their synonyms", used, config.keywords_max).map_err(named)?;
            let number = this.compiled.len();
            this.hands_over |= rule.hand_over && rule.mode == Mode::Live;
            let topic = rule.topic.as_ref().map(|topic| {
                let next = this.topics.len();
                *topics.entry(topic.clone()).or_insert(next)
            });
            if let Some(topic) = topic {
                this.topics.resize_with(this.topics.len().max(topic + 1), Vec::new);
                this.topics[topic].push(number);
            }
            this.compiled.push(Compiled {
                id: id.as_str().into(),
                match_kind: rule.match_kind,
                keywords: rule.keywords.clone(),
                mode: rule.mode,
                silence_ms: Silences {
                    rule: millis(rule.cooldown_s),
                    member: millis(rule.cooldown_member_s),
                    group: millis(rule.cooldown_group_s),
                },
                hand_over: rule.hand_over,
                texts,
                only_mentioned: rule.only_mentioned,
                hours: rule.hours.clone(),
                priority: rule.priority,
                written_ms: rule.written_at.unwrap_or(0),
                valid_from: rule.valid_from.unwrap_or(i64::MIN),
                valid_until: rule.valid_until.unwrap_or(i64::MAX),
                plan: rule.plan(),
                topic,
                counts: Counts::default(),
            });
            this.by_id.insert(id.as_str().into(), number);
        }
        let count = strings.count();
        this.matcher.build(strings).map_err(|_| {
            // The search's own limits (65,532 different characters, 2^32 in all) lie far above `rules_max` × `keywords_max`.
            let max = config.rules_max;
            (String::new(), RuleError::Many { what: "keywords of all rules", count, max })
        })?;
        Ok(this)
    }

    /// Says whether there is nothing to match.
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// Says whether a rule hands talks over to staff.
    pub fn hands_over(&self) -> bool {
        self.hands_over
    }

    /// Returns every rule that a folded message asks, best first, with what becomes of it. The first that takes part is
    /// the one that speaks.
    pub fn asked(&self, folded: &str, at: &Circumstances<'_>) -> Vec<Candidate<'_>> {
        let asked = self.matcher.asked(folded);
        let mut candidates: Vec<Candidate<'_>> = asked
            .into_iter()
            .map(|asked| {
                let rule = &self.compiled[asked.rule];
                let (out, is_closed) = self.standing(asked.rule, at);
                let keyword = rule.keywords.get(asked.keyword).map_or("", String::as_str);
                Candidate { rule, keyword, chars: asked.chars, out, is_closed }
            })
            .collect();
        candidates.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.rule.id.cmp(&b.rule.id)));
        candidates
    }

    fn standing(&self, number: usize, at: &Circumstances<'_>) -> (Option<Out>, bool) {
        let rule = &self.compiled[number];
        let Some(fit) = rule.plan.fit(at.place, at.tags) else { return (Some(Out::Elsewhere), false) };
        if !(rule.valid_from..rule.valid_until).contains(&at.now_ms) {
            return (Some(Out::NotValid), false);
        }
        if rule.only_mentioned && !at.is_mentioned {
            return (Some(Out::NotMentioned), false);
        }
        let is_closer = |other: &Compiled| {
            let is_in_force = (other.valid_from..other.valid_until).contains(&at.now_ms);
            let speaks = is_in_force && other.mode != Mode::Shadow;
            let theirs = other.plan.fit(at.place, at.tags).filter(|_| speaks);
            theirs.is_some_and(|theirs| theirs > fit)
        };
        let rivals = rule.topic.and_then(|topic| self.topics.get(topic)).into_iter().flatten();
        if rivals.filter(|other| **other != number).any(|other| is_closer(&self.compiled[*other])) {
            return (Some(Out::CloserRule), false);
        }
        if rule.mode == Mode::Shadow {
            return (Some(Out::Shadow), false);
        }
        match (rule.is_open(at), &rule.texts.closed) {
            (true, _) => (None, false),
            (false, Some(_)) => (None, true),
            (false, None) => (Some(Out::Closed), false),
        }
    }

    /// Counts what became of a rule that was asked.
    pub fn count(&self, rule: &str, came: Came) {
        if let Some(number) = self.by_id.get(rule) {
            self.compiled[*number].counts.count(came);
        }
    }

    /// Returns what became of a rule so far.
    pub fn numbers(&self, rule: &str) -> Option<Numbers> {
        Some(self.compiled[*self.by_id.get(rule)?].counts.numbers())
    }

    /// Goes on counting where an earlier set of rules left off, for rules that were not written anew.
    pub fn continue_counts(&mut self, earlier: &Self) {
        for rule in &mut self.compiled {
            let before = earlier.by_id.get(&rule.id).map(|number| &earlier.compiled[*number]);
            if let Some(before) = before.filter(|before| before.written_ms == rule.written_ms) {
                rule.counts = before.counts.clone();
            }
        }
    }
}

impl Candidate<'_> {
    /// Smaller is better.
    fn rank(&self) -> (u8, Reverse<usize>, Reverse<i32>, Reverse<i64>) {
        let kind = match self.rule.match_kind {
            MatchKind::Exact => 0,
            MatchKind::AllOf | MatchKind::Near => 1,
            MatchKind::Regex => 2,
            MatchKind::StartsWith => 3,
            MatchKind::Contains => 4,
        };
        (kind, Reverse(self.chars), Reverse(self.rule.priority), Reverse(self.rule.written_ms))
    }

    /// Returns the text to say; `turn` counts what was said before.
    pub fn text(&self, turn: u64) -> &Template {
        let texts = &self.rule.texts;
        if let Some(closed) = texts.closed.as_ref().filter(|_| self.is_closed) {
            return closed;
        }
        let count = u64::try_from(texts.open.len()).unwrap_or(u64::MAX).max(1);
        &texts.open[usize::try_from(turn % count).unwrap_or(0)]
    }
}

impl Compiled {
    /// Returns how many texts it says in turn.
    pub fn variants(&self) -> usize {
        self.texts.open.len()
    }

    fn is_open(&self, at: &Circumstances<'_>) -> bool {
        match &self.hours {
            None => true,
            Some(BusinessHours::Shop(_)) => (at.is_open)(at.now_ms).unwrap_or(true),
            Some(BusinessHours::Windows(windows)) => {
                let Ok(now) = Timestamp::from_millisecond(at.now_ms) else { return true };
                let local = now.to_zoned(at.zone.clone()).datetime();
                windows.iter().any(|window| window.contains(local))
            }
        }
    }
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}
