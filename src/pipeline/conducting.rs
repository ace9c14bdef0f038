//! The stage of conduct: what a member's message adds to what they said before, and since when they are here.
//!
//! Invariant: the windows and the time of probation are read from the state only, and what they need of an event is among
//! its effects, so a start finds them as they were.

use std::borrow::Cow;

use super::decision::{Decision, hit_fact};
use super::{PartitionState, Setting};
use crate::conduct::wave::Wave;
use crate::conduct::{Config, Exceeded};
use crate::event::{
    CarriedFact, Fact, GroupEvent, Hit, Kin, Level, Message, ReviewFact, Role, StateFact, StateKind, Verdict,
    What,
};
use crate::interception;

/// What hits of this stage name in place of a wordlist.
const CONDUCT: &str = "conduct";

/// A member's messages over a limit with no longer pause between them are one flood to whoever reviews it.
const SAME_FLOOD_MS: i64 = 10 * 60 * 1_000;

/// Kinds of attachments and messages that are links.
const LINKS: [&str; 2] = ["link", "miniprogram"];
/// Kinds of attachments and messages that are images.
const IMAGES: [&str; 3] = ["image", "photo", "picture"];

impl<'e> Decision<'e> {
    /// Counts what a customer says and notes who has just joined. Staff and programs have no limits.
    pub(super) fn conduct(
        &mut self,
        state: &PartitionState,
        config: &Config,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let Some(member) = event.member.as_deref().filter(|_| event.role == Role::Customer) else { return };
        if let What::Message(message) = &event.what {
            let carried = if config.counts_carried() { carried(message) } else { CarriedFact::default() };
            if carried != CarriedFact::default() {
                self.fact(|| Fact::Carried(carried));
            }
            if (setting.home.kin)(member) == Kin::Other {
                let who = (&*event.account, &*event.group, member);
                let is_new = is_new(state, config, who, self.now_ms());
                for exceeded in state.floods.exceeded(config, who, is_new, carried, self.now_ms()) {
                    self.flooded(config, &exceeded);
                }
                self.unwanted(state, config, setting, who);
            }
        } else if let What::MessageEdited { .. } = &event.what {
            if (setting.home.kin)(member) == Kin::Other {
                self.unwanted(state, config, setting, (&event.account, &event.group, member));
            }
        } else if let What::MemberJoined { inferred, .. } = &event.what {
            self.joined(config, event, member, *inferred);
            if !*inferred && config.join_wave_max > 0 {
                self.counted_join(state, config, event);
            }
        }
    }

    /// Whoever says it is to be kept out, or came with a wave: also what they say by an edit.
    fn unwanted(
        &mut self,
        state: &PartitionState,
        config: &Config,
        setting: &Setting<'_>,
        who: (&str, &str, &str),
    ) {
        if let Some(list) = setting.kicked {
            self.misbehaved(Verdict::Block, "kicked", list.to_owned());
        }
        if came_with_a_wave(state, config, who, self.now_ms()) {
            self.misbehaved(config.join_wave_verdict, "join_wave", "join_wave".to_owned());
        }
    }

    /// The member says too much in too short a time.
    fn flooded(&mut self, config: &Config, exceeded: &Exceeded) {
        let limit = &exceeded.limit;
        let whose = if exceeded.of_newcomers { ", newcomers" } else { "" };
        let term = format!("{} / {}s{whose}", limit.max, config.flood_window.as_secs());
        self.misbehaved(limit.verdict, limit.subject.category(), term);
    }

    /// Says whether nothing but limits of conduct holds a message up, and a person was asked about its writer's last one: the
    /// flood of one member is one review, however long it lasts.
    pub(super) fn is_same_flood(&mut self, state: &PartitionState, event: &GroupEvent<'_>) -> bool {
        let (Some(member), What::Message(_)) = (event.member.as_deref(), &event.what) else { return false };
        if self.answer.hits.is_empty() || self.answer.hits.iter().any(|hit| hit.wordlist != CONDUCT) {
            return false;
        }
        let key = [&key((&event.account, &event.group, member)), "review"].join("\u{1f}");
        let now_ms = self.now_ms();
        let is_same = state.small.get(StateKind::Flood, &key, now_ms).is_some();
        let (key, expires_ms) = (Cow::Owned(key), now_ms.saturating_add(SAME_FLOOD_MS));
        let value = Some(Cow::Borrowed(&[][..]));
        self.fact(|| Fact::State(StateFact { kind: StateKind::Flood, key, value, expires_ms }));
        is_same
    }

    fn misbehaved(&mut self, verdict: Verdict, category: &str, term: String) {
        self.raise(verdict);
        let hit = Hit {
            wordlist: CONDUCT.into(),
            category: category.into(),
            level: Level::Medium,
            term,
            matched: String::new(),
            span: [0, 0],
            via: Vec::new(),
            confidence: 100,
        };
        self.fact(|| Fact::Hit(hit_fact(&hit, 0)));
        self.answer.hits.push(hit);
    }

    /// A new member is on probation. One found by comparing rosters is new only as far as the platform says since when.
    fn joined(&mut self, config: &Config, event: &GroupEvent<'_>, member: &str, inferred: bool) {
        let now_ms = self.now_ms();
        let since_ms = event.at_ms.or((!inferred).then_some(now_ms));
        // A platform's clock that is ahead of ours must not make a member new for longer.
        let Some(since_ms) = since_ms.map(|at| at.min(now_ms)) else { return };
        let wave_ms = if config.join_wave_max > 0 {
            config.join_wave_window_ms().saturating_add(config.join_wave_hold_ms())
        } else {
            0
        };
        let expires_ms = since_ms.saturating_add(config.newcomers.probation_ms().max(wave_ms));
        if expires_ms > now_ms {
            let key = Cow::Owned(key((&event.account, &event.group, member)));
            let value = Some(Cow::Owned(since_ms.to_le_bytes().to_vec()));
            self.fact(|| Fact::State(StateFact { kind: StateKind::Flood, key, value, expires_ms }));
        }
    }

    /// Counts a join of the group; a person is told when a wave begins.
    fn counted_join(&mut self, state: &PartitionState, config: &Config, event: &GroupEvent<'_>) {
        let (key, now_ms) = (group_key(&event.account, &event.group), self.now_ms());
        let mut wave = wave(state, &key, now_ms);
        if wave.join(config, now_ms) {
            self.fact(|| Fact::Review(ReviewFact { rule: Cow::Borrowed("join_wave") }));
        }
        let lasts_ms =
            wave.until_ms.max(now_ms.saturating_add(config.join_wave_window_ms().saturating_mul(2)));
        let (key, value) = (Cow::Owned(key), Some(Cow::Owned(wave.to_bytes())));
        self.fact(|| Fact::State(StateFact { kind: StateKind::Flood, key, value, expires_ms: lasts_ms }));
    }
}

/// Says whether a member joined with a wave that lasts.
fn came_with_a_wave(state: &PartitionState, config: &Config, who: (&str, &str, &str), now_ms: i64) -> bool {
    let (account, group, _) = who;
    config.join_wave_max > 0
        && joined_ms(state, who, now_ms).is_some_and(|joined_ms| {
            wave(state, &group_key(account, group), now_ms).brought(joined_ms, now_ms)
        })
}

fn wave(state: &PartitionState, key: &str, now_ms: i64) -> Wave {
    state.small.get(StateKind::Flood, key, now_ms).and_then(Wave::from_bytes).unwrap_or_default()
}

/// Members' keys have a third part.
fn group_key(account: &str, group: &str) -> String {
    [account, group].join("\u{1f}")
}

/// Returns when a member joined, as long as that is remembered.
fn joined_ms(state: &PartitionState, who: (&str, &str, &str), now_ms: i64) -> Option<i64> {
    let since_ms = state.small.get(StateKind::Flood, &key(who), now_ms)?;
    since_ms.try_into().ok().map(i64::from_le_bytes)
}

/// Says whether a member is on probation, by the time that is configured now: a shorter one holds at once.
fn is_new(state: &PartitionState, config: &Config, who: (&str, &str, &str), now_ms: i64) -> bool {
    let probation_ms = config.newcomers.probation_ms();
    if probation_ms == 0 {
        return false;
    }
    joined_ms(state, who, now_ms).is_some_and(|since| now_ms < since.saturating_add(probation_ms))
}

fn key((account, group, member): (&str, &str, &str)) -> String {
    [account, group, member].join("\u{1f}")
}

fn carried(message: &Message<'_>) -> CarriedFact {
    let of = |kinds: &[&str]| {
        let is = |kind: &str| kinds.iter().any(|known| kind.eq_ignore_ascii_case(known));
        let attached = message.attachments.iter().filter(|attachment| is(&attachment.kind)).count();
        attached.max(usize::from(message.content_type.as_deref().is_some_and(is)))
    };
    let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    CarriedFact {
        links: count(of(&LINKS) + interception::content::links_in(&message.text)),
        images: count(of(&IMAGES)),
        mentions: count(message.mentions.len()),
    }
}
