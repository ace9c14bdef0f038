//! Takes members along their journeys: who begins one, who ends it, who is told the next step.
//!
//! Where each stands is small durable state of the group ([`Instance`]), and its moment comes back as [`What::Due`]. Nothing
//! is remembered elsewhere: a step is passed in the same effects that say it, so it is said once whatever happens between.
//! Those of a group whose moments come together hear one text.

use std::borrow::Cow;

use jiff::{Timestamp, ToSpan};

use super::decision::{Called, Saying};
use super::segmenting::Known;
use super::{Decision, PartitionState, Rules, Setting, SkipReason, millis};
use crate::event::{Fact, GroupEvent, HOUR_MS, Kin, Role, StateFact, StateKind, What};
use crate::journeys::{Came, Compiled, Condition, Glance, Instance, Planned, Start, Stop};
use crate::welcomes::Burst;

const DAY_MS: i64 = 24 * HOUR_MS;

/// How long one whose moment has come is remembered: longer than any gateway is down.
const KEEP_MS: i64 = 30 * DAY_MS;

/// What became of members of a journey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Travelled {
    /// Which journey.
    pub journey: String,
    /// What became of them.
    pub came: Came,
    /// How many they are.
    pub members: u32,
}

/// How long a step waits for a segment that was not looked at yet.
const SEGMENT_WAIT_MS: i64 = 10_000;

/// Where a decision about journeys is made.
#[derive(Clone, Copy)]
pub(super) struct Around<'r, 's> {
    pub(super) state: &'r PartitionState,
    pub(super) rules: &'r Rules,
    pub(super) setting: &'r Setting<'s>,
}

/// Members who are to be told a step together.
struct Together<'r> {
    journey: &'r Compiled,
    step: &'r Planned,
    who: Burst,
}

impl<'e> Decision<'e> {
    /// Takes an event in for journeys.
    pub(super) fn journeys(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        if matches!(event.what, What::Due) {
            if event.member.is_none() {
                self.steps_due(state, rules, setting, event);
            }
            return;
        }
        let around = Around { state, rules, setting };
        if let What::SegmentRead(read) = &event.what {
            return self.segment_read(around, event, read); // also of what no journey asks about any more
        }
        if rules.journeys.is_empty() {
            return;
        }
        let is_customer = event.role == Role::Customer;
        if let What::MemberJoined { inferred: false, .. } = event.what {
            let who = event.member.as_deref().filter(|_| is_customer && self.is_welcome(setting));
            if let Some(member) = who {
                let name = event.name.as_deref().or(Some(member));
                self.begin(around, event, &Start::MemberJoined, Some((member, name)));
            }
        } else if let What::GroupCreated(_) = event.what {
            self.begin(around, event, &Start::GroupCreated, None);
        } else if let What::Message(_) = event.what {
            if event.role != Role::Bot && rules.journeys.hear() {
                self.heard_on_the_way(state, rules, setting, event);
            }
        } else if let What::MemberLeft { .. } = event.what {
            if is_customer {
                self.left_the_way(state, rules, event);
            }
        } else if let What::Outcome { kind, .. } = &event.what {
            let keys = Keys::of(event);
            let whole = rules.journeys.any_of_groups().then(|| keys.whole());
            for key in event.member.as_deref().map(|member| keys.member(member)).into_iter().chain(whole) {
                let stops = |journey: &Compiled| journey.stops_on_outcome(kind);
                self.stop_where(state, rules, key, Came::StoppedOutcome, stops);
            }
        } else if let What::GroupDismissed = event.what {
            self.all_end(state, rules, event);
        }
    }

    /// Begins the journey of a member, or of the group as a whole, if there is one.
    pub(super) fn begin(
        &mut self,
        Around { state, rules, setting }: Around<'_, '_>,
        event: &GroupEvent<'_>,
        start: &Start,
        who: Option<(&str, Option<&str>)>,
    ) {
        let place = (setting.home.place, setting.audience.tags);
        let Some(journey) = rules.journeys.beginning(start, place.0, place.1) else { return };
        let (now_ms, keys) = (self.now_ms(), Keys::of(event));
        let (key, name) = match who {
            Some((member, _)) if (setting.home.kin)(member) != Kin::Other => return,
            Some((member, name)) => (keys.member(member), name.map(str::to_owned)),
            None => (keys.whole(), None),
        };
        let by_segment = journey.is_of_segment();
        if by_segment && state.small.get(StateKind::Cooldown, &again(&key, &journey.id), now_ms).is_some() {
            return self.came(&journey.id, Came::Rejoined);
        }
        match state.small.get(StateKind::Journey, &key, now_ms).map(|known| Glance::of(known).is_some()) {
            None => {}
            // Who ended another journey may well come into a segment after it.
            Some(false) if by_segment => {}
            Some(false) => return self.came(&journey.id, Came::Rejoined),
            Some(true) if by_segment => return self.came(&journey.id, Came::UnderWay),
            Some(true) => return, // whoever is under way stays there
        }
        // A platform's clock that is ahead of ours must not put a step off.
        let started_ms = event.at_ms.unwrap_or(now_ms).min(now_ms);
        let mut instance = Instance {
            due_ms: now_ms,
            journey: journey.id.to_string(),
            version_ms: journey.version_ms,
            started_ms,
            passed: Vec::new(),
            passed_after_ms: 0,
            spoke: false,
            name,
        };
        let Some(step) = journey.next(&instance) else { return };
        instance.due_ms = moment(rules, setting, journey, step, &instance);
        self.came(&journey.id, Came::Started);
        self.stand(key, &instance);
    }

    /// Notes a word, where somebody asks for it and it is the first since the last step.
    fn heard_on_the_way(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
    ) {
        let keys = Keys::of(event);
        let is_customers = event.role == Role::Customer
            && event.member.as_deref().is_none_or(|member| (setting.home.kin)(member) == Kin::Other);
        let whole = (is_customers && rules.journeys.any_of_groups()).then(|| keys.whole());
        let member = event.member.as_deref().map(|member| keys.member(member));
        for key in member.into_iter().chain(whole) {
            let Some(value) = state.small.get(StateKind::Journey, &key, self.now_ms()) else { continue };
            let journey = Glance::of(value).and_then(|glance| rules.journeys.get(glance.journey));
            let Some(journey) = journey.filter(|journey| journey.hears()) else { continue };
            if journey.stops_on(&Stop::Spoke) {
                self.end(rules, key, &journey.id, Came::StoppedSpoke);
            } else if let Some(instance) = Instance::from_bytes(value).filter(|instance| !instance.spoke) {
                self.stand(key, &Instance { spoke: true, ..instance });
            }
        }
    }

    /// Whoever left and comes again soon begins nothing, whether or not they were under way.
    fn left_the_way(&mut self, state: &PartitionState, rules: &Rules, event: &GroupEvent<'_>) {
        let Some(member) = event.member.as_deref() else { return };
        let key = Keys::of(event).member(member);
        let known = state.small.get(StateKind::Journey, &key, self.now_ms());
        if known.and_then(Glance::of).is_some() {
            let stops = |journey: &Compiled| journey.stops_on(&Stop::Left);
            self.stop_where(state, rules, key, Came::StoppedLeft, stops);
        } else if rules.limits.journeys.rejoin_days > 0 {
            self.keep_ended(rules, key);
        }
    }

    fn all_end(&mut self, state: &PartitionState, rules: &Rules, event: &GroupEvent<'_>) {
        let keys = Keys::of(event);
        for (member, value) in state.small.of_group(StateKind::Journey, &keys.group, None, self.now_ms()) {
            if let Some(glance) = Glance::of(value) {
                self.end(rules, keys.member(member), glance.journey, Came::StoppedLeft);
            }
        }
    }

    fn stop_where(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        key: String,
        came: Came,
        stops: impl Fn(&Compiled) -> bool,
    ) {
        let Some(value) = state.small.get(StateKind::Journey, &key, self.now_ms()) else { return };
        let journey = Glance::of(value).and_then(|glance| rules.journeys.get(glance.journey));
        if let Some(journey) = journey.filter(|journey| stops(journey)) {
            self.end(rules, key, &journey.id, came);
        }
    }

    /// The moment of some members of the group has come, or their journey was rewritten.
    fn steps_due(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let (config, now_ms, keys) = (&rules.limits.journeys, self.now_ms(), Keys::of(event));
        let (mut together, mut looked_at) = (Vec::new(), 0);
        for (member, value) in state.small.of_group(StateKind::Journey, &keys.group, None, now_ms) {
            let Some(glance) = Glance::of(value) else { continue };
            let journey = rules.journeys.get(glance.journey);
            let is_rewritten = journey.is_none_or(|journey| journey.version_ms != glance.version_ms);
            if glance.due_ms > now_ms && !is_rewritten {
                continue;
            }
            if looked_at == config.together_max {
                break;
            }
            looked_at += 1;
            let key = keys.member(member);
            match (journey, Instance::from_bytes(value)) {
                (Some(journey), Some(instance)) => {
                    let known = Known::of(state, &keys.group, member, now_ms);
                    self.step_due((rules, setting), journey, key, instance, &known, &mut together);
                }
                (Some(_), None) | (None, _) => self.end(rules, key, glance.journey, Came::StoppedRemoved),
            }
        }
        self.tell(state, rules, setting, event, &keys, &together);
    }

    /// Takes one member a step further, if its moment has come.
    fn step_due<'r>(
        &mut self,
        (rules, setting): (&'r Rules, &Setting<'_>),
        journey: &'r Compiled,
        key: String,
        mut instance: Instance,
        known: &Known<'_>,
        together: &mut Vec<Together<'r>>,
    ) {
        let now_ms = self.now_ms();
        if journey.stops_by_segment(|id| known.is_in(id)) {
            return self.end(rules, key, &journey.id, Came::StoppedSegment);
        }
        let Some(step) = journey.next(&instance) else {
            return self.end(rules, key, &journey.id, Came::Finished);
        };
        let planned_ms = moment(rules, setting, journey, step, &instance);
        let is_rewritten = instance.version_ms != journey.version_ms;
        // What was put off until after quiet hours came due when they ended.
        let due_ms = if is_rewritten { planned_ms } else { planned_ms.max(instance.due_ms) };
        if due_ms > now_ms {
            return self.stand(key, &Instance { due_ms, version_ms: journey.version_ms, ..instance });
        }
        let is_late = |due_ms: i64| now_ms - due_ms > millis(rules.limits.journeys.late_max);
        let asks_for = step.only_if.as_ref().and_then(Condition::segment);
        let passed_over = if is_late(due_ms) {
            Some(Came::SkippedExpired)
        } else if journey.is_off {
            Some(Came::SkippedOff)
        } else if let Some(until_ms) = journey.quiet_until(setting.home.zone, now_ms) {
            let version_ms = journey.version_ms;
            return self.stand(key, &Instance { due_ms: until_ms, version_ms, ..instance });
        } else if asks_for.is_some_and(|id| !known.was_read(id)) && !is_late(planned_ms) {
            // Of a segment that is new to journeys nobody has said yet who is in it.
            let (due_ms, version_ms) = (now_ms + SEGMENT_WAIT_MS, journey.version_ms);
            return self.stand(key, &Instance { due_ms, version_ms, ..instance });
        } else {
            not_for(step, setting, &instance, known)
        };
        match passed_over {
            Some(came) => self.came(&journey.id, came),
            None => join(together, journey, step, &instance, rules.limits.journeys.names_max),
        }
        instance.pass(step);
        instance.version_ms = journey.version_ms;
        let Some(next) = journey.next(&instance) else {
            return self.end(rules, key, &journey.id, Came::Finished);
        };
        instance.due_ms = moment(rules, setting, journey, next, &instance);
        self.stand(key, &instance);
    }

    fn tell(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        keys: &Keys,
        together: &[Together<'_>],
    ) {
        let heard_before = heard_today(state, keys, self.now_ms());
        let mut heard = heard_before;
        for Together { journey, step, who } in together {
            let (names, count) = (who.names(), who.count().to_string());
            let called = Called { name: Some(&*names).filter(|_| !journey.is_of_groups()), count: &count };
            let came = if journey.is_shadow {
                Came::SkippedShadow
            } else if !setting.can_post {
                self.skip(&step.rule, SkipReason::Unsupported);
                Came::SkippedUnsupported
            } else if heard >= journey.group_day_max {
                Came::SkippedCapped
            } else {
                let expires_ms = self.now_ms() + millis(rules.limits.journeys.expiry);
                let saying = Saying {
                    kind: "journey",
                    rule: &step.rule,
                    text: &step.text,
                    welcome_code: None,
                    expires_ms,
                };
                if self.say(&saying, &called, setting, event) { Came::Told } else { Came::SkippedMissing }
            };
            heard += u32::from(came == Came::Told);
            let (journey, members) = (journey.id.to_string(), who.count());
            self.travelled.push(Travelled { journey, came, members });
        }
        if heard != heard_before {
            let now_ms = self.now_ms();
            let until_ms = midnight_after(setting, now_ms).unwrap_or(now_ms + DAY_MS);
            let (kind, key) = (StateKind::Cooldown, Cow::Owned(keys.heard()));
            let value = Some(Cow::Owned(heard.to_le_bytes().to_vec()));
            self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms: until_ms }));
        }
    }

    fn stand(&mut self, key: String, instance: &Instance) {
        let expires_ms = instance.due_ms.saturating_add(KEEP_MS);
        let (kind, key, value) = (StateKind::Journey, Cow::Owned(key), Some(Cow::Owned(instance.to_bytes())));
        self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms }));
    }

    /// Ends one; where they may not begin again soon, that it ended is remembered.
    pub(super) fn end(&mut self, rules: &Rules, key: String, journey: &str, came: Came) {
        self.came(journey, came);
        if rules.journeys.get(journey).is_some_and(Compiled::is_of_segment) {
            let days = i64::from(rules.limits.journeys.rejoin_days);
            let (kind, key) = (StateKind::Cooldown, Cow::Owned(again(&key, journey)));
            let (value, expires_ms) =
                ((days > 0).then(|| Cow::Owned(Vec::new())), self.now_ms() + days * DAY_MS);
            self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms }));
        }
        self.keep_ended(rules, key);
    }

    fn keep_ended(&mut self, rules: &Rules, key: String) {
        let days = i64::from(rules.limits.journeys.rejoin_days);
        let value = (days > 0).then(|| Cow::Owned(Instance::ended()));
        let (kind, key, expires_ms) = (StateKind::Journey, Cow::Owned(key), self.now_ms() + days * DAY_MS);
        self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms }));
    }

    fn came(&mut self, journey: &str, came: Came) {
        self.travelled.push(Travelled { journey: journey.to_owned(), came, members: 1 });
    }
}

/// Says why a step is not for a member. What rests on words that nobody can see is not evaluated, and not said: a member
/// who talks all day would be told that they were missed.
fn not_for(step: &Planned, setting: &Setting<'_>, instance: &Instance, known: &Known<'_>) -> Option<Came> {
    let holds = match step.only_if.as_ref()? {
        Condition::Silent => setting.can_hear.then_some(!instance.spoke),
        Condition::Spoke => setting.can_hear.then_some(instance.spoke),
        Condition::InSegment(id) => known.is_in(id),
        Condition::NotInSegment(id) => known.is_in(id).map(|is_in| !is_in),
    };
    match holds {
        Some(true) => None,
        Some(false) => Some(Came::SkippedCondition),
        None => Some(Came::SkippedUnseen),
    }
}

/// The key under which it is kept that somebody ended a journey that a segment begins.
fn again(member: &str, journey: &str) -> String {
    [member, "journey", journey].join("\u{1f}")
}

fn join<'r>(
    together: &mut Vec<Together<'r>>,
    journey: &'r Compiled,
    step: &'r Planned,
    instance: &Instance,
    names_max: usize,
) {
    let is_same = |other: &&mut Together<'_>| other.step.rule == step.rule;
    if let Some(others) = together.iter_mut().find(is_same) {
        return others.who.add(instance.name.as_deref(), names_max);
    }
    let mut who = Burst::due_at(instance.due_ms);
    who.add(instance.name.as_deref(), names_max);
    together.push(Together { journey, step, who });
}

fn moment(
    rules: &Rules,
    setting: &Setting<'_>,
    journey: &Compiled,
    step: &Planned,
    instance: &Instance,
) -> i64 {
    let window = rules.limits.journeys.together_window;
    journey.moment(step, instance.started_ms, setting.home.zone, window)
}

/// Returns how many texts of journeys the group has heard on this day.
fn heard_today(state: &PartitionState, keys: &Keys, now_ms: i64) -> u32 {
    let value = state.small.get(StateKind::Cooldown, &keys.heard(), now_ms);
    value.and_then(|value| Some(u32::from_le_bytes(value.try_into().ok()?))).unwrap_or_default()
}

fn midnight_after(setting: &Setting<'_>, now_ms: i64) -> Option<i64> {
    let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(setting.home.zone.clone());
    Some(now.start_of_day().ok()?.checked_add(1.day()).ok()?.timestamp().as_millisecond())
}

/// Keys of what is kept of a group's journeys; the group's own has no member.
pub(super) struct Keys {
    pub(super) group: String,
}

impl Keys {
    pub(super) fn of(event: &GroupEvent<'_>) -> Self {
        Self { group: [&*event.account, &*event.group].join("\u{1f}") }
    }

    pub(super) fn member(&self, member: &str) -> String {
        [&self.group, member].join("\u{1f}")
    }

    fn whole(&self) -> String {
        self.member("")
    }

    fn heard(&self) -> String {
        [&self.group, "", "journeys"].join("\u{1f}")
    }
}
