//! The stage of conduct: what a member's message adds to what they said before, and since when they are here.
//!
//! Invariant: the windows and the time of probation are read from the state only, and what they need of an event is among
//! its effects, so a start finds them as they were.

use std::borrow::Cow;

use super::decision::{Decision, hit_fact};
use super::{PartitionState, Setting};
use crate::conduct::{Config, Exceeded};
use crate::event::{
    CarriedFact, Fact, GroupEvent, Hit, Kin, Level, Message, Role, StateFact, StateKind, What,
};
use crate::interception;

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
            }
        } else if let What::MemberJoined { inferred, .. } = &event.what {
            self.joined(config, event, member, *inferred);
        }
    }

    /// The member says too much in too short a time.
    fn flooded(&mut self, config: &Config, exceeded: &Exceeded) {
        let limit = &exceeded.limit;
        self.raise(limit.verdict);
        let whose = if exceeded.of_newcomers { ", newcomers" } else { "" };
        let hit = Hit {
            wordlist: "conduct".into(),
            category: limit.subject.category().into(),
            level: Level::Medium,
            term: format!("{} / {}s{whose}", limit.max, config.flood_window.as_secs()),
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
        let expires_ms = since_ms.saturating_add(config.newcomers.probation_ms());
        if expires_ms > now_ms {
            let key = Cow::Owned(key((&event.account, &event.group, member)));
            let value = Some(Cow::Owned(since_ms.to_le_bytes().to_vec()));
            self.fact(|| Fact::State(StateFact { kind: StateKind::Flood, key, value, expires_ms }));
        }
    }
}

/// Says whether a member is on probation, by the time that is configured now: a shorter one holds at once.
fn is_new(state: &PartitionState, config: &Config, who: (&str, &str, &str), now_ms: i64) -> bool {
    let probation_ms = config.newcomers.probation_ms();
    if probation_ms == 0 {
        return false;
    }
    let since_ms = state.small.get(StateKind::Flood, &key(who), now_ms);
    let since_ms = since_ms.and_then(|value| value.try_into().ok()).map(i64::from_le_bytes);
    since_ms.is_some_and(|since| now_ms < since.saturating_add(probation_ms))
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
