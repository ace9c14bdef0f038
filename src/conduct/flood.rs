//! A member who says too much in too short a time: messages, links, images and mentions, each with a limit of its own.
//!
//! Not for: how many links a message has (the pipeline counts), nor for whom the limits are (customers only).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{CarriedFact, Effects, EventType, Fact, Role, Status, Verdict};

/// What counts as a flood.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Messages a customer may send in one group within the window; 0 switches the limit off.
    pub flood_messages_max: usize,
    /// The window, of all limits.
    #[serde(with = "crate::units::duration")]
    pub flood_window: Duration,
    /// The verdict of a message above the limit, if its text alone does not deserve a severer one.
    pub flood_verdict: Verdict,
    /// The same of links.
    pub flood_links_max: usize,
    /// Its verdict.
    pub flood_links_verdict: Verdict,
    /// The same of images.
    pub flood_images_max: usize,
    /// Its verdict.
    pub flood_images_verdict: Verdict,
    /// The same of members named with @.
    pub flood_mentions_max: usize,
    /// Its verdict.
    pub flood_mentions_verdict: Verdict,
    /// Customers who may join one group within the window before it is a wave; 0 switches the limit off.
    pub join_wave_max: u32,
    /// The window.
    #[serde(with = "crate::units::duration")]
    pub join_wave_window: Duration,
    /// How long after the last join above the limit it lasts.
    #[serde(with = "crate::units::duration")]
    pub join_wave_hold: Duration,
    /// The verdict meanwhile of a message of somebody who came with it.
    pub join_wave_verdict: Verdict,
    /// Members that the ladder of one policy may remove in one region within an hour.
    pub removals_per_hour: u32,
    /// What holds for new members besides.
    pub newcomers: Newcomers,
}

/// Limits of members who joined lately, besides those of everybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newcomers {
    /// How long after joining they hold; 0 switches them off.
    #[serde(with = "crate::units::duration")]
    pub probation: Duration,
    /// Messages within the window; 0 switches the limit off.
    pub messages_max: usize,
    /// Its verdict.
    pub messages_verdict: Verdict,
    /// The same of links.
    pub links_max: usize,
    /// Its verdict.
    pub links_verdict: Verdict,
    /// The same of images.
    pub images_max: usize,
    /// Its verdict.
    pub images_verdict: Verdict,
    /// The same of members named with @.
    pub mentions_max: usize,
    /// Its verdict.
    pub mentions_verdict: Verdict,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flood_messages_max: 20,
            flood_window: Duration::from_mins(1),
            flood_verdict: Verdict::Review,
            flood_links_max: 0,
            flood_links_verdict: Verdict::Review,
            flood_images_max: 0,
            flood_images_verdict: Verdict::Review,
            flood_mentions_max: 0,
            flood_mentions_verdict: Verdict::Review,
            join_wave_max: 0,
            join_wave_window: Duration::from_mins(10),
            join_wave_hold: Duration::from_hours(1),
            join_wave_verdict: Verdict::Review,
            removals_per_hour: 20,
            newcomers: Newcomers::default(),
        }
    }
}

impl Default for Newcomers {
    fn default() -> Self {
        Self {
            probation: Duration::ZERO,
            messages_max: 10,
            messages_verdict: Verdict::Review,
            links_max: 2,
            links_verdict: Verdict::Review,
            images_max: 6,
            images_verdict: Verdict::Review,
            mentions_max: 5,
            mentions_verdict: Verdict::Review,
        }
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Messages.
    Messages,
    /// Links in them.
    Links,
    /// Images in them.
    Images,
    /// Members named in them.
    Mentions,
}

impl Subject {
    /// Returns how many of it one message is or carries.
    fn of(self, carried: CarriedFact) -> usize {
        match self {
            Subject::Messages => 1,
            Subject::Links => carried.links.into(),
            Subject::Images => carried.images.into(),
            Subject::Mentions => carried.mentions.into(),
        }
    }

    /// Returns the category of its hits.
    pub fn category(self) -> &'static str {
        match self {
            Subject::Messages => "flood",
            Subject::Links => "flood_links",
            Subject::Images => "flood_images",
            Subject::Mentions => "flood_mentions",
        }
    }
}

/// How many of what may be said within the window, and what follows from more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub subject: Subject,
    /// Most of it; 0 where there is no limit.
    pub max: usize,
    /// The verdict of a message above it.
    pub verdict: Verdict,
}

/// A limit that a message is above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: Limit,
    /// It holds for new members only.
    pub of_newcomers: bool,
}

impl Config {
    /// Returns the window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        millis(self.flood_window)
    }

    /// Returns everybody's limits, those that are switched off too.
    pub fn limits(&self) -> [Limit; 4] {
        [
            limit(Subject::Messages, self.flood_messages_max, self.flood_verdict),
            limit(Subject::Links, self.flood_links_max, self.flood_links_verdict),
            limit(Subject::Images, self.flood_images_max, self.flood_images_verdict),
            limit(Subject::Mentions, self.flood_mentions_max, self.flood_mentions_verdict),
        ]
    }

    /// Returns the window of waves in milliseconds.
    pub fn join_wave_window_ms(&self) -> i64 {
        millis(self.join_wave_window)
    }

    /// Returns how long a wave lasts after its last join, in milliseconds.
    pub fn join_wave_hold_ms(&self) -> i64 {
        millis(self.join_wave_hold)
    }

    /// Says whether any limit counts what messages carry, so that it must be counted and recorded.
    pub fn counts_carried(&self) -> bool {
        let on = |limits: [Limit; 4]| limits.iter().any(|l| l.subject != Subject::Messages && l.max > 0);
        on(self.limits()) || !self.newcomers.probation.is_zero() && on(self.newcomers.limits())
    }
}

impl Newcomers {
    /// Returns how long they are new, in milliseconds.
    pub fn probation_ms(&self) -> i64 {
        millis(self.probation)
    }

    /// Returns their limits, those that are switched off too.
    pub fn limits(&self) -> [Limit; 4] {
        [
            limit(Subject::Messages, self.messages_max, self.messages_verdict),
            limit(Subject::Links, self.links_max, self.links_verdict),
            limit(Subject::Images, self.images_max, self.images_verdict),
            limit(Subject::Mentions, self.mentions_max, self.mentions_verdict),
        ]
    }
}

fn limit(subject: Subject, max: usize, verdict: Verdict) -> Limit {
    Limit { subject, max, verdict }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Longest window: a start reads the journal of the last hour, so a longer one would not survive it whole. The
/// configuration check refuses more.
pub(crate) const WINDOW_MAX: Duration = Duration::from_hours(1);
const KEEP_MS: i64 = 3_600_000;
/// Most messages remembered of one member; the configuration check refuses a limit above it.
pub(crate) const TIMES_MAX: usize = 256;
/// Longest probation: each member on probation is an entry in memory. The configuration check refuses more.
pub(crate) const PROBATION_MAX: Duration = Duration::from_hours(30 * 24);

/// A message of the window.
#[derive(Clone, Copy, Debug)]
struct Said {
    at_ms: i64,
    carried: CarriedFact,
}

/// Recent messages of the members of one partition, by arrival.
#[derive(Debug, Default)]
pub struct Floods {
    // Keyed by a hash of (account, group, member): two members sharing one is a slightly stricter limit for both.
    said: HashMap<u64, VecDeque<Said>>,
    // Not random: the same events must give the same decisions. The map above it is.
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Floods {
    /// Returns the limits that a message now, which carries this, is above. A message is never above a limit of what it
    /// does not carry: who has posted too many links may still ask when the shop opens.
    pub fn exceeded(
        &self,
        config: &Config,
        (account, group, member): (&str, &str, &str),
        is_new: bool,
        carried: CarriedFact,
        now_ms: i64,
    ) -> Vec<Exceeded> {
        let since = now_ms.saturating_sub(config.window_ms());
        let key = self.hasher.hash_one((account, group, member));
        let recent = || self.said.get(&key).into_iter().flatten().rev().take_while(|said| said.at_ms > since);
        let is_above = |limit: &Limit| {
            let subject = limit.subject;
            let now = subject.of(carried);
            limit.max > 0
                && now > 0
                && now + recent().map(|said| subject.of(said.carried)).sum::<usize>() > limit.max
        };
        let new = config.newcomers.limits();
        let new = new.iter().filter(|_| is_new).map(|limit| Exceeded { limit: *limit, of_newcomers: true });
        let all = config.limits();
        let all = all.iter().map(|limit| Exceeded { limit: *limit, of_newcomers: false });
        new.chain(all).filter(|exceeded| is_above(&exceeded.limit)).collect()
    }

    /// Takes in a message; other events and other roles than `customer` are none of our concern.
    pub fn observe(&mut self, effects: &Effects<'_>) {
        let head = &effects.head;
        let Some(member) = head.member.as_deref() else { return };
        // What comes days late says nothing of how much is said now.
        if head.what != EventType::Message || head.role != Role::Customer || head.status != Status::Counted {
            return;
        }
        let carried = effects
            .facts
            .iter()
            .find_map(|fact| if let Fact::Carried(carried) = fact { Some(*carried) } else { None });
        let key = self.hasher.hash_one((head.account.as_ref(), head.group.as_ref(), member));
        let said = self.said.entry(key).or_default();
        if said.len() == TIMES_MAX {
            said.pop_front();
        }
        said.push_back(Said { at_ms: head.arrived_ms, carried: carried.unwrap_or_default() });
    }

    /// Drops members who have been silent for an hour.
    pub fn sweep(&mut self, now_ms: i64) {
        self.said.retain(|_, said| said.back().is_some_and(|last| last.at_ms > now_ms - KEEP_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKey, Head};

    fn message(member: &str, at_ms: i64, role: Role) -> Effects<'_> {
        let head = Head {
            key: EventKey(0),
            at_ms,
            arrived_ms: at_ms,
            account: "a".into(),
            group: "g".into(),
            member: Some(member.into()),
            name: None,
            role,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        Effects { head, facts: Vec::new() }
    }

    fn is_flood(floods: &Floods, config: &Config, member: &str, now_ms: i64) -> bool {
        !floods.exceeded(config, ("a", "g", member), false, CarriedFact::default(), now_ms).is_empty()
    }

    #[test]
    fn the_message_above_the_limit_is_a_flood_until_the_window_has_moved_on() {
        let config = Config { flood_messages_max: 3, ..Config::default() };
        let mut floods = Floods::default();
        for at in [0, 10_000, 20_000] {
            assert!(!is_flood(&floods, &config, "m", at));
            floods.observe(&message("m", at, Role::Customer));
        }
        assert!(is_flood(&floods, &config, "m", 59_999));
        assert!(!is_flood(&floods, &config, "m", 60_000), "the first message has left the window");
        assert!(!is_flood(&floods, &config, "other", 30_000));
        floods.sweep(20_000 + KEEP_MS);
        assert!(floods.said.is_empty());
    }

    #[test]
    fn staff_may_say_as_much_as_they_like_and_what_comes_late_is_not_counted() {
        let config = Config { flood_messages_max: 1, ..Config::default() };
        let mut floods = Floods::default();
        floods.observe(&message("s", 0, Role::Staff));
        let mut late = message("s", 0, Role::Customer);
        late.head.status = Status::Late;
        floods.observe(&late);
        assert!(!is_flood(&floods, &config, "s", 1));
        floods.observe(&message("s", 0, Role::Customer));
        assert!(is_flood(&floods, &config, "s", 1));
    }

    #[test]
    fn no_more_is_remembered_of_a_member_than_the_highest_limit_needs() {
        let mut floods = Floods::default();
        for _ in 0..=TIMES_MAX {
            floods.observe(&message("m", 0, Role::Customer));
        }
        assert_eq!(floods.said.values().map(VecDeque::len).sum::<usize>(), TIMES_MAX);
        let config = Config { flood_messages_max: TIMES_MAX, ..Config::default() };
        assert!(is_flood(&floods, &config, "m", 1));
    }
}
