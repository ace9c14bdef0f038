//! Punishes a customer whose messages are held up again and again, lifts a mute when its time is over, and undoes all of it
//! when a person says so.
//!
//! Staff, programs and our own members are never punished. What a platform cannot do and what the hour's budget does not
//! allow becomes a review: a person decides, and the member's record says so.

use std::borrow::Cow;

use super::decision::{Called, Saying};
use super::{Decision, PartitionState, Setting};
use crate::conduct::budget::{self, Hour};
use crate::conduct::by_hand::ByHand;
use crate::conduct::ladder::{Came, Ladder, Punishment, Record, Step, Taken, WARNING};
use crate::event::{
    Action, ActionFact, ActionKind, Fact, GroupEvent, Hit, Kin, Level, RegionId, ReviewFact, Role, StateFact,
    StateKind, Verdict, What,
};
use crate::template::Template;

/// How long it is tried to warn, mute or remove a member.
const PUNISH_EXPIRY_MS: i64 = 10 * 60_000;
/// How long it is tried to take out a member of whom a person decided so.
const EXPEL_EXPIRY_MS: i64 = 24 * 3_600_000;
/// How long it is tried to let a member speak again: they should not wait because the platform could not be reached.
const LIFT_EXPIRY_MS: i64 = 24 * 3_600_000;
/// How long nobody asks again to take out a member who speaks.
const KICK_AGAIN_MS: i64 = 10 * 60_000;
/// How long a record is shown after the last thing that was noted in it.
const RECORD_KEEP_MS: i64 = 90 * 24 * 3_600_000;
/// The rule of kick lists.
const KICK: &str = "kick";

/// How a member is taken out.
struct Removal<'r> {
    /// Whose budget is spent.
    budget: &'r str,
    /// What asks for it.
    rule: &'r str,
    /// How long it is tried.
    expiry_ms: i64,
}

impl<'e> Decision<'e> {
    /// Takes the step of the policy's ladder that this message leads to.
    pub(super) fn escalate(
        &mut self,
        state: &PartitionState,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let Some(policy) = setting.policy else { return };
        let Some(ladder) = policy.ladder.as_ref().filter(|ladder| !ladder.steps.is_empty()) else { return };
        let is_said = event.what.message().is_some() || matches!(event.what, What::LateVerdict { .. });
        let member = event.member.as_deref().filter(|_| is_said && event.role == Role::Customer);
        let Some(member) = member.filter(|member| (setting.home.kin)(member) == Kin::Other) else { return };
        if setting.kicked.is_some() {
            return; // taken out already, and one event writes a record once
        }
        if self.answer.verdict < ladder.counts || self.answer.verdict == Verdict::Pass {
            return;
        }
        let (key, now_ms) = (key(event, member), self.now_ms());
        let mut record = record(state, &key, now_ms);
        let (strikes, step) = ladder.strike(&mut record, message_of(event), now_ms);
        if let Some(step) = step.and_then(|step| self.milder(ladder, step)) {
            self.take_step(step, strikes, (&policy.name, &mut record), state, setting, event);
        }
        self.keep_record(key, &record);
    }

    /// Takes out whoever is on a kick list and joins or speaks; once, not for every message meanwhile.
    pub(super) fn keep_out(
        &mut self,
        state: &PartitionState,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let is_there = matches!(event.what, What::MemberJoined { .. }) || event.what.message().is_some();
        let member = event.member.as_deref().filter(|_| is_there && event.role == Role::Customer);
        let (Some(list), Some(member)) = (setting.kicked, member) else { return };
        if (setting.home.kin)(member) != Kin::Other {
            return;
        }
        let (key, now_ms) = (key(event, member), self.now_ms());
        let record = record(state, &key, now_ms);
        let is_asked = |taken: &Taken| {
            taken.action == ActionKind::Remove && taken.by == list && now_ms - taken.at_ms < KICK_AGAIN_MS
        };
        if record.taken.iter().any(is_asked) && !matches!(event.what, What::MemberJoined { .. }) {
            return;
        }
        let removal = Removal { budget: KICK, rule: KICK, expiry_ms: PUNISH_EXPIRY_MS };
        let came = self.remove(&removal, state, setting);
        self.removed(list, KICK, (key, record), came);
    }

    /// Takes out whom a person decided to take out, in one decision about many members and groups.
    pub(super) fn expel(
        &mut self,
        state: &PartitionState,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        (rule, asked): (&str, &str),
    ) {
        let Some(member) = event.member.as_deref() else { return };
        if (setting.home.kin)(member) != Kin::Other {
            return;
        }
        let (key, now_ms) = (key(event, member), self.now_ms());
        let record = record(state, &key, now_ms);
        let removal = Removal { budget: rule, rule: asked, expiry_ms: EXPEL_EXPIRY_MS };
        let came = self.remove(&removal, state, setting);
        self.removed(asked, asked, (key, record), came);
    }

    /// Puts on record that somebody was to be taken out, by a case or a kick list.
    fn removed(&mut self, by: &str, asked: &str, (key, mut record): (String, Record), came: Came) {
        let (at_ms, action) = (self.now_ms(), ActionKind::Remove);
        self.answer.actions.push(Action { kind: action, state: came.as_str().to_owned() });
        record.note(Taken { at_ms, action, strikes: 0, came, by: by.to_owned() });
        self.leave_to_a_person(asked, action, came);
        self.keep_record(key, &record);
    }

    /// Returns what is done instead where a message may not lead to a removal: the step before it, if there is one. A word
    /// that counts for little beside a disguised one does not make it certain.
    fn milder<'l>(&self, ladder: &'l Ladder, step: &'l Step) -> Option<&'l Step> {
        let is_certain = |hit: &Hit| hit.level > Level::Low && !hit.via.iter().any(|via| via.is_variant());
        let may_remove = ladder.variants_remove || self.answer.hits.iter().any(is_certain);
        if step.act != Punishment::Remove || may_remove {
            return Some(step);
        }
        ladder.steps.iter().rev().find(|milder| milder.at < step.at && milder.act != Punishment::Remove)
    }

    fn take_step(
        &mut self,
        step: &Step,
        strikes: usize,
        (policy, record): (&str, &mut Record),
        state: &PartitionState,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let came = match step.act {
            Punishment::Warn if setting.can_post => self.warn(step, policy, setting, event),
            Punishment::Mute if setting.can_mute => self.mute(step, policy, record),
            Punishment::Remove => {
                let removal = Removal { budget: policy, rule: policy, expiry_ms: PUNISH_EXPIRY_MS };
                self.remove(&removal, state, setting)
            }
            Punishment::Warn | Punishment::Mute => Came::Unsupported,
        };
        let action = step.act.action();
        self.answer.actions.push(Action { kind: action, state: came.as_str().to_owned() });
        let now_ms = self.now_ms();
        record.note(Taken { at_ms: now_ms, action, strikes, came, by: policy.to_owned() });
        self.leave_to_a_person("ladder", action, came);
    }

    /// What no program can do, or may do any more in this hour, waits for a person.
    fn leave_to_a_person(&mut self, asked: &str, action: ActionKind, came: Came) {
        if came != Came::Queued {
            let rule = Cow::Owned(ByHand { asked, action, came }.rule());
            self.fact(|| Fact::Review(ReviewFact { rule }));
        }
    }

    fn warn(&mut self, step: &Step, policy: &str, setting: &Setting<'_>, event: &'e GroupEvent<'_>) -> Came {
        // The text was read when somebody wrote it; one of an older version that cannot be any more says the usual.
        let text = step.text.as_deref().and_then(|text| Template::parse(text).ok());
        let Some(text) = text.or_else(|| Template::parse(WARNING).ok()) else { return Came::Unsupported };
        let expires_ms = self.now_ms() + PUNISH_EXPIRY_MS;
        let saying = Saying { kind: "warning", rule: policy, text: &text, welcome_code: None, expires_ms };
        if self.say(&saying, &Called::of(event), setting, event) { Came::Queued } else { Came::Unsupported }
    }

    fn mute(&mut self, step: &Step, policy: &str, record: &mut Record) -> Came {
        let lasts = step.lasts.map_or(0, super::millis);
        let until_ms = self.now_ms().saturating_add(lasts);
        record.muted_until_ms = Some(record.muted_until_ms.map_or(until_ms, |before| before.max(until_ms)));
        self.action(ActionKind::Mute, policy, PUNISH_EXPIRY_MS);
        Came::Queued
    }

    fn remove(&mut self, removal: &Removal<'_>, state: &PartitionState, setting: &Setting<'_>) -> Came {
        if !setting.can_remove {
            return Came::Unsupported;
        }
        let (now_ms, region) = (self.now_ms(), setting.home.place.region.as_ref().map(RegionId::as_str));
        let key = budget::key(removal.budget, region);
        if !(setting.budget)(&key) {
            return Came::OverBudget;
        }
        let spent = state.small.get(StateKind::Budget, &key, now_ms).and_then(Hour::from_bytes);
        let spent = spent.unwrap_or_default().and_one(now_ms);
        let (key, value) = (Cow::Owned(key), Some(Cow::Owned(spent.to_bytes())));
        let expires_ms = spent.end_ms();
        self.fact(|| Fact::State(StateFact { kind: StateKind::Budget, key, value, expires_ms }));
        self.action(ActionKind::Remove, removal.rule, removal.expiry_ms);
        Came::Queued
    }

    /// The moment of a record has come: whoever may not speak may again.
    pub(super) fn lift(&mut self, state: &PartitionState, event: &'e GroupEvent<'_>) {
        let Some(member) = event.member.as_deref() else { return };
        let (key, now_ms) = (key(event, member), self.now_ms());
        let mut record = record(state, &key, now_ms);
        if record.muted_until_ms.is_none_or(|until_ms| until_ms > now_ms) {
            return;
        }
        self.unmute(&mut record, "ladder");
        self.keep_record(key, &record);
    }

    /// A person forgives a member: no strikes, no mute. The record shows who.
    pub(super) fn pardon(&mut self, state: &PartitionState, event: &'e GroupEvent<'_>, by: &str) {
        let Some(member) = event.member.as_deref() else { return };
        let (key, now_ms) = (key(event, member), self.now_ms());
        let mut record = record(state, &key, now_ms);
        if record == Record::new() {
            return;
        }
        record.strikes.clear();
        if record.muted_until_ms.is_some() {
            self.unmute(&mut record, by);
        }
        let pardoned = Taken {
            at_ms: now_ms,
            action: ActionKind::Pardon,
            strikes: 0,
            came: Came::Queued,
            by: by.to_owned(),
        };
        record.note(pardoned);
        self.keep_record(key, &record);
    }

    fn unmute(&mut self, record: &mut Record, by: &str) {
        record.muted_until_ms = None;
        self.action(ActionKind::Unmute, by, LIFT_EXPIRY_MS);
        self.answer
            .actions
            .push(Action { kind: ActionKind::Unmute, state: Came::Queued.as_str().to_owned() });
        let at_ms = self.now_ms();
        record.note(Taken {
            at_ms,
            action: ActionKind::Unmute,
            strikes: 0,
            came: Came::Queued,
            by: by.to_owned(),
        });
    }

    fn action(&mut self, kind: ActionKind, rule: &str, expiry_ms: i64) {
        let (index, rule) = (self.next_index(), Cow::Owned(rule.to_owned()));
        let expires_ms = self.now_ms().saturating_add(expiry_ms);
        self.fact(|| Fact::Action(ActionFact { index, kind, of: None, rule, expires_ms }));
    }

    fn keep_record(&mut self, key: String, record: &Record) {
        let (key, value) = (Cow::Owned(key), Some(Cow::Owned(record.to_bytes())));
        let last_ms = record.muted_until_ms.unwrap_or_default().max(self.now_ms());
        let expires_ms = last_ms.saturating_add(RECORD_KEEP_MS);
        self.fact(|| Fact::State(StateFact { kind: StateKind::Ladder, key, value, expires_ms }));
    }
}

fn record(state: &PartitionState, key: &str, now_ms: i64) -> Record {
    let kept = state.small.get(StateKind::Ladder, key, now_ms);
    kept.and_then(Record::from_bytes).unwrap_or_default()
}

/// Returns the id of the message that an event is about.
fn message_of<'a>(event: &'a GroupEvent<'_>) -> &'a str {
    if let What::MessageEdited { of: Some(message), .. } | What::LateVerdict { message, .. } = &event.what {
        message
    } else {
        &event.id
    }
}

fn key(event: &GroupEvent<'_>, member: &str) -> String {
    [&event.account, &event.group, member].join("\u{1f}")
}
