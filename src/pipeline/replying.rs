//! Which reply rule answers a message, and what keeps it silent.
//!
//! Silences are small durable state of the group: of a rule, of a rule towards a member, of all rules, of all rules towards a
//! member whom staff look after; and which of a rule's texts was said last.

use std::borrow::Cow;

use super::decision::{Called, Saying};
use super::{Decision, PartitionState, Rules, Setting, SkipReason, millis};
use crate::event::{Fact, GroupEvent, HandOverFact, Kin, Message, Role, StateFact, StateKind, Verdict};
use crate::replies::{self, Circumstances, Compiled, Out, Silences};

/// How long it is remembered which of a rule's texts a group heard last, in milliseconds.
const TURN_KEEP_MS: i64 = 24 * 3_600_000;

impl<'e> Decision<'e> {
    /// Answers with the best rule that may speak now, and says whether the message has an answer: this one, or the same
    /// one that the group heard a moment ago. A blocked message is not rewarded with an answer.
    pub(super) fn reply(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        message: &Message<'_>,
        folded: &str,
    ) -> bool {
        let config = &rules.limits.replies;
        if rules.replies.is_empty() || self.answer.verdict == Verdict::Block {
            return false;
        }
        let kin = event.member.as_deref().map_or(Kin::Other, setting.home.kin);
        let is_staff = event.role == Role::Staff || kin == Kin::Staff;
        if kin == Kin::Ourselves || (is_staff && !config.answer_staff) {
            return false;
        }
        let now_ms = self.now_ms();
        let at = Circumstances {
            place: setting.home.place,
            tags: setting.audience.tags,
            zone: setting.home.zone,
            is_open: setting.home.is_open,
            is_mentioned: message.mentions.iter().any(|member| (setting.home.kin)(member) != Kin::Other),
            now_ms,
        };
        let candidates = rules.replies.asked(folded, &at);
        for on_trial in candidates.iter().take_while(|candidate| candidate.out.is_some()) {
            if on_trial.out == Some(Out::Shadow) {
                self.skip(&on_trial.rule.id, SkipReason::Shadow);
            }
        }
        // The best rule that was asked speaks or stays silent; a worse one must not answer in its stead.
        let Some(best) = candidates.iter().find(|candidate| candidate.out.is_none()) else { return false };
        let (rule, keys) = (best.rule, Keys::of(event, &best.rule.id));
        let is_silent = |key: &str| state.small.get(StateKind::Cooldown, key, now_ms).is_some();
        if is_silent(&keys.handed) {
            self.skip(&rule.id, SkipReason::HandedOver);
            return false;
        }
        let why_not = why_not(state, config, event, folded, now_ms);
        if rule.hand_over && why_not.is_none() && event.member.is_some() {
            self.hand_over(config, &rule.id, &keys, event);
        }
        if keys.all().iter().any(|key| is_silent(key)) {
            self.skip(&rule.id, SkipReason::Cooldown);
            return true;
        }
        if let Some(reason) = why_not {
            self.skip(&rule.id, reason);
            return true; // by a program: nobody waits for an answer
        }
        if !setting.can_post {
            self.skip(&rule.id, SkipReason::Unsupported);
            return false;
        }
        let turn = turn(state, &keys, now_ms).unwrap_or_else(|| u64::from(self.chance()));
        let expires_ms = now_ms + millis(config.expiry);
        let text = best.text(turn);
        let saying = Saying { kind: "reply", rule: &rule.id, text, welcome_code: None, expires_ms };
        let said = self.say(&saying, &Called::of(event), setting, event);
        if said {
            self.fall_silent(rule, keys, turn, now_ms);
        }
        said
    }

    /// Leaves the member to staff: they are told, and no rule interrupts them for a while.
    fn hand_over(&mut self, config: &replies::Config, rule: &str, keys: &Keys, event: &'e GroupEvent<'_>) {
        let until_ms = self.now_ms().saturating_add(millis(config.hand_over_quiet));
        let (of, rule) = (Cow::Borrowed(&*event.id), Cow::Owned(rule.to_owned()));
        self.fact(|| Fact::HandOver(HandOverFact { of, rule, until_ms }));
        self.cooldown(keys.handed.clone(), Cow::Borrowed(&[]), until_ms);
    }

    fn fall_silent(&mut self, rule: &Compiled, keys: Keys, turn: u64, now_ms: i64) {
        let Silences { rule: own, member, group } = rule.silence_ms;
        for (key, silence_ms) in [(keys.rule, own), (keys.member, member), (keys.group, group)] {
            if silence_ms > 0 {
                self.cooldown(key, Cow::Borrowed(&[]), now_ms.saturating_add(silence_ms));
            }
        }
        if rule.variants() > 1 {
            let next = Cow::Owned(turn.wrapping_add(1).to_le_bytes().to_vec());
            self.cooldown(keys.turn, next, now_ms.saturating_add(TURN_KEEP_MS));
        }
    }

    fn cooldown(&mut self, key: String, value: Cow<'static, [u8]>, expires_ms: i64) {
        self.fact(|| {
            let (key, value) = (key.into(), Some(value));
            Fact::State(StateFact { kind: StateKind::Cooldown, key, value, expires_ms })
        });
    }
}

/// Says why whoever speaks is not answered: ourselves, or a program that answers us.
fn why_not(
    state: &PartitionState,
    config: &replies::Config,
    event: &GroupEvent<'_>,
    folded: &str,
    now_ms: i64,
) -> Option<SkipReason> {
    let member = event.member.as_deref().unwrap_or_default();
    if state.answers.is_ours(&event.account, &event.group, replies::said_hash(folded), now_ms) {
        Some(SkipReason::Echo)
    } else if state.answers.is_loop(config, &event.account, &event.group, member, now_ms) {
        Some(SkipReason::Loop)
    } else {
        None
    }
}

/// Returns which of a rule's texts a group is to hear next, where it heard one within a day.
fn turn(state: &PartitionState, keys: &Keys, now_ms: i64) -> Option<u64> {
    let value = state.small.get(StateKind::Cooldown, &keys.turn, now_ms)?;
    Some(u64::from_le_bytes(value.try_into().ok()?))
}

/// Keys of the silences that concern a rule and a member in a group. A group's key has one part less than a rule's, so no
/// name can make one look like another.
struct Keys {
    group: String,
    rule: String,
    member: String,
    turn: String,
    /// Of every rule towards the member: no rule is called "".
    handed: String,
}

impl Keys {
    fn of(event: &GroupEvent<'_>, rule: &str) -> Self {
        let group = [&*event.account, &*event.group].join("\u{1f}");
        let own = [group.as_str(), rule].join("\u{1f}");
        let member = event.member.as_deref().unwrap_or_default();
        Self {
            member: [&own, "member", member].join("\u{1f}"),
            turn: [&own, "turn"].join("\u{1f}"),
            handed: [&group, "", "handed", member].join("\u{1f}"),
            rule: own,
            group,
        }
    }

    fn all(&self) -> [&str; 3] {
        [&self.rule, &self.member, &self.group]
    }
}
