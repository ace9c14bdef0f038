//! Journeys over a month of virtual time: single stories, then random ones against an oracle.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::event::{GroupChange, StateFact, StateKind};
use crate::journeys::{Came, Instance, Journey};

mod segments;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Nine in the morning.
const MORNING: i64 = 1_790_000_000_000 / DAY * DAY + 9 * HOUR;

/// A group whose members travel.
struct Way {
    house: House,
    serial: usize,
    journal: Vec<Effects<'static>>,
    /// What was said, and when.
    said: Vec<(i64, String)>,
    came: Vec<(Came, u32)>,
}

impl Way {
    fn new(journey: &str) -> Self {
        let mut house = House::new();
        house.now_ms = MORNING;
        house.rules.welcomes = Welcomes::default();
        let mut way = Self { house, serial: 0, journal: Vec::new(), said: Vec::new(), came: Vec::new() };
        way.write(journey, 1);
        way
    }

    /// Puts a journey in force, as written at that moment.
    fn write(&mut self, journey: &str, version_ms: i64) {
        let journey: Journey = serde_json::from_str(journey).unwrap();
        let written_at = Some(jiff::Timestamp::from_millisecond(version_ms).unwrap());
        let all = [("j".to_owned(), Journey { written_at, ..journey })];
        self.house.rules.journeys = Journeys::compile(&all, &self.house.rules.limits.journeys).unwrap();
    }

    fn take(&mut self, event: &GroupEvent<'static>) -> Vec<String> {
        let event = event.clone();
        let decision = self.house.take(&event);
        let said: Vec<String> = sends(decision.effects.as_ref());
        self.came.extend(decision.travelled.iter().map(|travelled| (travelled.came, travelled.members)));
        self.journal.extend(decision.effects.map(kept));
        self.said.extend(said.iter().map(|text| (self.house.now_ms, text.clone())));
        said
    }

    fn happens(&mut self, member: &str, what: What<'static>) -> Vec<String> {
        self.serial += 1;
        let event = event(&format!("e-{}", self.serial), what);
        let name = Some(format!("小{member}").into());
        self.take(&GroupEvent { member: Some(member.to_owned().into()), name, at_ms: None, ..event })
    }

    fn joins(&mut self, member: &str) {
        self.happens(member, joined("").what);
    }

    fn leaves(&mut self, member: &str) {
        self.happens(member, What::MemberLeft { reason: None, inferred: false });
    }

    fn speaks(&mut self, member: &str) {
        self.happens(member, What::Message(Message { text: "你好".into(), ..Message::default() }));
    }

    fn buys(&mut self, member: &str) {
        self.happens(member, What::Outcome { kind: "order".into(), value: 1.0, broadcast: None });
    }

    /// Brings to its moment what is due now.
    fn looks(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..100 {
            let due = self.house.state.small.due(StateKind::Journey, self.house.now_ms).next();
            let Some((_, at_ms)) = due else { return said };
            said.extend(self.due(at_ms));
        }
        panic!("what is due stays due");
    }

    fn due(&mut self, at_ms: i64) -> Vec<String> {
        self.serial += 1;
        let moment = event(&format!("due-{at_ms}-{}", self.serial), What::Due);
        self.take(&GroupEvent { member: None, role: Role::Bot, at_ms: None, ..moment })
    }

    /// Lets time pass in steps of a minute.
    fn waits(&mut self, ms: i64) -> Vec<String> {
        let until = self.house.now_ms + ms;
        let mut said = Vec::new();
        while self.house.now_ms < until {
            self.house.now_ms = (self.house.now_ms + MINUTE).min(until);
            said.extend(self.looks());
        }
        said
    }

    fn restarts(&mut self) {
        self.house.state = PartitionState::default();
        for effects in &self.journal {
            self.house.state.apply(effects);
        }
    }

    fn under_way(&self) -> usize {
        let all = self.house.state.small.entries(StateKind::Journey);
        all.filter(|(_, value)| Instance::from_bytes(value).is_some()).count()
    }

    fn count(&self, came: Came) -> u32 {
        self.came.iter().filter(|(other, _)| *other == came).map(|(_, members)| members).sum()
    }
}

/// What a restart finds of an event's effects as far as journeys go.
fn kept(effects: Effects<'_>) -> Effects<'static> {
    let facts = effects.facts.into_iter().filter_map(|fact| {
        let Fact::State(StateFact { kind, key, value, expires_ms }) = fact else { return None };
        let (key, value) = (key.into_owned().into(), value.map(|value| value.into_owned().into()));
        Some(Fact::State(StateFact { kind, key, value, expires_ms }))
    });
    Effects { head: effects.head.into_owned(), facts: facts.collect() }
}

/// Day 1 for all, day 3 for the silent, day 7 for those who spoke since.
const WEEK: &str = r#"{"steps": [
    {"id": "d1", "after": "1d", "text": "d1 {member.name}"},
    {"id": "d3", "after": "3d", "text": "d3 {member.name}", "only_if": "silent"},
    {"id": "d7", "after": "7d", "text": "d7 {member.name}", "only_if": "spoke"}],
    "stop_when": ["left", "outcome:order"]}"#;

#[test]
fn a_newcomer_hears_a_step_on_each_of_its_days_over_restarts() {
    let mut way = Way::new(WEEK);
    way.joins("1");
    assert_eq!(way.waits(DAY - MINUTE), [""; 0]);
    way.restarts();
    assert_eq!(way.waits(MINUTE), ["d1 小1"]);
    way.restarts();
    assert_eq!(way.waits(2 * DAY), ["d3 小1"]);
    way.speaks("1");
    assert_eq!(way.waits(4 * DAY), ["d7 小1"]);
    assert_eq!(way.waits(20 * DAY), [""; 0]);
    assert_eq!((way.under_way(), way.count(Came::Finished), way.count(Came::Told)), (0, 1, 3));
}

#[test]
fn who_spoke_is_not_asked_why_they_are_silent() {
    let mut way = Way::new(WEEK);
    way.joins("1");
    way.waits(2 * DAY);
    let writes = |way: &Way| way.journal.iter().map(|effects| effects.facts.len()).sum::<usize>();
    way.speaks("1");
    let before = writes(&way);
    way.speaks("1");
    assert_eq!(writes(&way), before, "a second word changes nothing");
    assert_eq!(way.waits(DAY), [""; 0]);
    // Since then they were silent.
    assert_eq!(way.waits(10 * DAY), [""; 0]);
    assert_eq!((way.count(Came::SkippedCondition), way.count(Came::Finished)), (2, 1));
}

#[test]
fn whoever_left_or_bought_hears_no_more_and_does_not_begin_again_soon() {
    let mut way = Way::new(WEEK);
    way.joins("1");
    way.joins("2");
    way.leaves("1");
    way.buys("2");
    way.joins("1");
    way.joins("2");
    assert_eq!(way.waits(20 * DAY), [""; 0]);
    assert_eq!(
        (way.count(Came::StoppedLeft), way.count(Came::StoppedOutcome), way.count(Came::Rejoined)),
        (1, 1, 2)
    );
    way.waits(11 * DAY);
    way.joins("1");
    assert_eq!(way.waits(DAY), ["d1 小1"]);
}

#[test]
fn a_word_ends_a_journey_that_says_so() {
    let mut way = Way::new(&WEEK.replace("outcome:order", "spoke"));
    way.joins("1");
    way.joins("2");
    way.speaks("1");
    assert_eq!(way.waits(DAY), ["d1 小2"]);
    assert_eq!(way.count(Came::StoppedSpoke), 1);
}

#[test]
fn two_hundred_who_joined_in_three_hours_hear_a_few_texts_and_no_more_than_the_group_bears() {
    let mut way = Way::new(WEEK);
    for n in 0..200 {
        way.joins(&n.to_string());
        way.waits(54_000);
    }
    let said = way.waits(DAY);
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(said[1], "d1 小1、小10、小11 等 33 位");
    assert_eq!(way.count(Came::Told) + way.count(Came::SkippedCapped), 200);
    assert!(way.count(Came::SkippedCapped) > 0);
}

#[test]
fn more_than_are_looked_at_in_one_go_follow_at_the_next_look() {
    let mut way = Way::new(r#"{"steps": [{"id": "a", "after": "1h", "text": "{member.count}"}]}"#);
    way.house.rules.limits.journeys.together_max = 4;
    for n in 0..10 {
        way.joins(&n.to_string());
    }
    way.house.now_ms += HOUR;
    assert_eq!(way.looks(), ["4", "4", "2"]);
}

#[test]
fn what_comes_due_at_night_is_said_in_the_morning_unless_they_left_meanwhile() {
    let mut way = Way::new(
        r#"{"steps": [{"id": "a", "after": "14h", "text": "{member.name}"}], "quiet": "22:00-08:00"}"#,
    );
    way.joins("1");
    way.joins("2");
    assert_eq!(way.waits(20 * HOUR), [""; 0]);
    way.restarts();
    way.leaves("2");
    assert_eq!(way.waits(3 * HOUR - MINUTE), [""; 0]);
    assert_eq!(way.waits(MINUTE), ["小1"]);
}

#[test]
fn what_came_due_while_the_gateway_was_down_is_said_late_or_passed_over() {
    let mut way = Way::new(WEEK);
    way.joins("1");
    way.house.now_ms += DAY + 11 * HOUR;
    way.restarts();
    assert_eq!(way.looks(), ["d1 小1"]);
    way.house.now_ms += 3 * DAY;
    way.restarts();
    assert_eq!(way.looks(), [""; 0]);
    assert_eq!((way.count(Came::SkippedExpired), way.under_way()), (1, 1));
}

#[test]
fn where_nothing_is_seen_conditions_are_not_evaluated_and_where_nothing_can_be_said_nothing_is() {
    let mut way = Way::new(WEEK);
    way.house.can_hear = false;
    way.joins("1");
    assert_eq!(way.waits(20 * DAY), ["d1 小1"]);
    assert_eq!(way.count(Came::SkippedUnseen), 2);
    let mut way = Way::new(WEEK);
    way.house.can_post = false;
    way.joins("1");
    assert_eq!(way.waits(20 * DAY), [""; 0]);
    assert_eq!((way.count(Came::SkippedUnsupported), way.count(Came::Finished)), (2, 1));
}

#[test]
fn on_trial_nothing_is_said_and_switched_off_nobody_begins() {
    let mut way = Way::new(&WEEK.replacen('{', r#"{"mode": "shadow", "#, 1));
    way.joins("1");
    assert_eq!(way.waits(DAY), [""; 0]);
    assert_eq!(way.count(Came::SkippedShadow), 1);
    way.write(&WEEK.replacen('{', r#"{"enabled": false, "#, 1), 2);
    way.joins("2");
    assert_eq!(way.waits(2 * DAY), [""; 0]);
    assert_eq!((way.count(Came::SkippedOff), way.count(Came::Started)), (1, 1));
}

#[test]
fn a_group_has_a_journey_of_its_own() {
    let mut way = Way::new(
        r#"{"start": "group_created", "steps": [{"id": "a", "after": "1d", "text": "a"},
            {"id": "b", "after": "2d", "text": "b", "only_if": "silent"}, {"id": "c", "after": "3d", "text": "c"}]}"#,
    );
    way.happens("owner", What::GroupCreated(GroupChange::default()));
    way.joins("1");
    assert_eq!(way.waits(DAY + HOUR), ["a"]);
    way.speaks("1");
    assert_eq!(way.waits(DAY), [""; 0]);
    way.happens("owner", What::GroupDismissed);
    assert_eq!(way.waits(10 * DAY), [""; 0]);
    assert_eq!((way.count(Came::StoppedLeft), way.under_way()), (1, 0));
}

#[test]
fn a_rewritten_journey_goes_on_by_its_new_words() {
    let step = |id: &str, after: &str| format!(r#"{{"id": "{id}", "after": "{after}", "text": "{id}"}}"#);
    let written = |steps: &[String]| format!(r#"{{"steps": [{}]}}"#, steps.join(","));
    let mut way = Way::new(&written(&[step("d1", "1d"), step("d3", "3d"), step("d7", "7d")]));
    way.joins("1");
    assert_eq!(way.waits(DAY), ["d1"]);
    // One before their place, the one they wait for is gone, the last comes earlier.
    way.write(&written(&[step("d0", "0s"), step("d1", "1d"), step("d7", "2d"), step("d9", "9d")]), 2);
    way.due(way.house.now_ms); // the edge tells the groups in which something comes earlier now
    assert_eq!(way.waits(DAY), ["d7"]);
    way.restarts();
    assert_eq!(way.waits(7 * DAY), ["d9"]);
    assert_eq!(way.under_way(), 0);

    way.joins("2");
    way.house.rules.journeys = Journeys::default();
    way.due(way.house.now_ms);
    assert_eq!((way.count(Came::StoppedRemoved), way.under_way()), (1, 0));
}

/// What the oracle knows of a member: when they began, whether they spoke since a step, which steps they passed.
#[derive(Clone, Debug, Default)]
struct Told {
    started: Option<i64>,
    /// Not before this can they begin again.
    barred_until: i64,
    passed: usize,
    spoke: bool,
}

/// Walks the same month, member by member and minute by minute, without keys, bytes or order.
#[derive(Default)]
struct Oracle {
    members: [Told; 4],
    said: Vec<(i64, u8, usize)>,
}

const AFTER: [i64; 3] = [DAY, 3 * DAY, 7 * DAY];

impl Oracle {
    fn ends(&mut self, member: usize, now: i64) {
        let told = &mut self.members[member];
        *told = Told { barred_until: now + 10 * DAY, ..Told::default() };
    }

    fn looks(&mut self, now: i64) {
        for member in 0..4 {
            while let Some(started) = self.members[member].started {
                let told = &mut self.members[member];
                let due = started + AFTER[told.passed];
                if now < due {
                    break;
                }
                let holds = [true, !told.spoke, told.spoke][told.passed];
                if holds && now - due <= 12 * HOUR {
                    self.said.push((now, u8::try_from(member).unwrap(), told.passed));
                }
                told.passed += 1;
                told.spoke = false;
                if told.passed == AFTER.len() {
                    self.ends(member, now);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Over a month of joins, words, leaves, orders, repeats, gaps and restarts in any order: what is said, to whom and when
    /// is what a plain walk says; so each step once, never early, never after an end, and in order.
    #[test]
    fn a_month_goes_as_a_plain_walk_says(
        // How many steps of ten minutes later, what, and to whom.
        steps in prop::collection::vec((0_i64..120, 0_u8..8, 0_u8..4), 1..120),
    ) {
        let mut way = Way::new(WEEK);
        way.house.rules.limits.journeys.together_window = Duration::ZERO;
        way.house.rules.limits.journeys.group_day_max = 1_000;
        way.house.rules.limits.journeys.rejoin_days = 10;
        way.house.rules.limits.journeys.names_max = 4;
        way.write(WEEK, 1);
        let mut oracle = Oracle::default();
        let mut last: Option<GroupEvent<'static>> = None;
        for (waits, kind, member) in steps.into_iter().chain([(8 * 24 * 6, 7, 0)]) {
            if kind == 6 {
                // The gateway is down meanwhile.
                way.house.now_ms += waits * 10 * MINUTE;
                way.restarts();
                way.looks();
                oracle.looks(way.house.now_ms);
            } else {
                for _ in 0..waits {
                    way.house.now_ms += 10 * MINUTE;
                    way.looks();
                    oracle.looks(way.house.now_ms);
                }
            }
            let (name, now, at) = (member.to_string(), way.house.now_ms, usize::from(member));
            let told = &mut oracle.members[at];
            match kind {
                0 | 1 => {
                    if told.started.is_none() && told.barred_until <= now {
                        *told = Told { started: Some(now), ..Told::default() };
                    }
                    way.serial += 1;
                    let event = joined(&format!("e-{}", way.serial));
                    let event = GroupEvent { member: Some(name.clone().into()), at_ms: None,
                        name: Some(name.into()), ..event };
                    way.take(&event);
                    last = Some(event);
                }
                2 => {
                    told.spoke = told.started.is_some();
                    way.speaks(&name);
                }
                3 => {
                    oracle.ends(at, now);
                    way.leaves(&name);
                }
                4 => {
                    if told.started.is_some() {
                        oracle.ends(at, now);
                    }
                    way.buys(&name);
                }
                5 => {
                    if let Some(event) = &last {
                        prop_assert_eq!(way.take(&event.clone()), [""; 0]);
                    }
                }
                _ => way.restarts(),
            }
        }
        let days = ["d1", "d3", "d7"];
        let expect: BTreeSet<(i64, String)> = oracle.said.iter().map(|(now, member, step)| {
            (*now, format!("{} {member}", days[*step]))
        }).collect();
        let mut said = BTreeSet::new();
        for (now, text) in &way.said {
            let (step, names) = text.split_once(' ').unwrap();
            for name in names.replace("小", "").split('、') {
                prop_assert!(said.insert((*now, format!("{step} {name}"))), "twice: {}", text);
            }
        }
        prop_assert_eq!(said, expect);
    }
}
