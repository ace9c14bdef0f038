//! Figures against a slow recomputation from the raw events, in any order and cut anywhere.

use std::borrow::Cow;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::presence::{Member, Moves};
use super::*;
use crate::event::{
    Effects, EventKey, EventType, Fact, Head, Partition, Status, UnsaidBy, UnsaidFact, Verdict,
};
use crate::statistics::days::{Day, Row, decode, encode};
use crate::statistics::fold::{Delta, Place};

/// 2026-11-22T00:00:00Z.
const START_MS: i64 = 1_795_305_600_000;
const DAYS: i64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Said,
    Unsaid,
    Came,
    Went,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at_ms: i64,
    member: u64,
    what: What,
}

impl Event {
    /// Two of five members are not customers.
    fn role(&self) -> Role {
        match self.member {
            0 => Role::Staff,
            1 => Role::Bot,
            _ => Role::Customer,
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let what = prop_oneof![4 => Just(What::Said), 1 => Just(What::Unsaid), 2 => Just(What::Came), 2 => Just(What::Went)];
    let event = (0..DAYS * DAY_MS, 0_u64..5, what).prop_map(|(at, member, what)| Event {
        at_ms: START_MS + at,
        member,
        what,
    });
    // Two things at the same moment have no order of their own.
    vec(event, 0..60).prop_map(|mut events| {
        events.sort_by_key(|event| event.at_ms);
        events.dedup_by_key(|event| event.at_ms);
        events
    })
}

fn effects(event: &Event) -> Effects<'static> {
    let (what, facts) = match event.what {
        What::Said => (EventType::Message, Vec::new()),
        What::Unsaid => {
            let hour = u32::try_from(event.at_ms / HOUR_MS).unwrap();
            let unsaid = UnsaidFact { hour, by: UnsaidBy::Us, undone: false };
            (EventType::Message, vec![Fact::Unsaid(unsaid)])
        }
        What::Came => (EventType::MemberJoined, Vec::new()),
        What::Went => (EventType::MemberLeft, Vec::new()),
    };
    let head = Head {
        key: EventKey(1),
        at_ms: event.at_ms,
        arrived_ms: event.at_ms,
        account: Cow::Borrowed("demo"),
        group: Cow::Borrowed("g-1"),
        member: Some(Cow::Owned(event.member.to_string())),
        name: None,
        role: event.role(),
        what,
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    Effects { head, facts }
}

/// The rows that stretches of the journal leave behind.
fn rows(stretches: &[&[Event]]) -> BTreeMap<u32, Row> {
    let mut days: BTreeMap<u32, Day> = BTreeMap::new();
    for stretch in stretches {
        let mut delta = Delta::default();
        for event in *stretch {
            delta.add(Place { partition: Partition(1), position: 1, index: 0 }, &effects(event));
        }
        let number = |index: u32| delta.members[index as usize].member.parse().ok();
        for ((day, ()), row) in delta.days(|_| (), number) {
            days.entry(day).or_default().add(row);
        }
    }
    days.iter().map(|(day, row)| (*day, encode(row))).collect()
}

fn view(row: &Row) -> View<'_> {
    View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None }
}

fn figures(rows: &BTreeMap<u32, Row>, cuts: &Cuts) -> Vec<Figures> {
    let mut cells = vec![Figures::default(); cuts.starts().len()];
    let mut group = Group::new(cuts, 3);
    for (day, row) in rows {
        group.add(*day, &view(row), &mut cells).unwrap();
    }
    group.end(&mut cells);
    cells
}

/// What the definitions say, straight from the events.
fn expected(events: &[Event], from_ms: i64, until_ms: i64) -> (u64, BTreeSet<u64>, BTreeSet<u64>, [u64; 3]) {
    let within = || events.iter().filter(|event| (from_ms..until_ms).contains(&event.at_ms));
    let said = |event: &&Event| matches!(event.what, What::Said | What::Unsaid);
    let messages = within().filter(said).filter(|event| event.role() != Role::Bot).count() as u64;
    let spoke = |role| {
        let spoke = within().filter(|event| event.what == What::Said && event.role() == role);
        spoke.map(|event| person(3, event.member)).collect()
    };
    let mut moves = [0; 3];
    for event in within().filter(|event| event.role() == Role::Customer) {
        match event.what {
            What::Said | What::Unsaid => {}
            What::Came => moves[0] += 1,
            What::Went => {
                moves[1] += 1;
                let before = events.iter().rev().find(|before| {
                    before.at_ms < event.at_ms
                        && before.member == event.member
                        && matches!(before.what, What::Came | What::Went)
                });
                let is_early = before
                    .is_some_and(|before| before.what == What::Came && event.at_ms - before.at_ms < EARLY_MS);
                moves[2] += u64::from(is_early);
            }
        }
    }
    (messages, spoke(Role::Customer), spoke(Role::Staff), moves)
}

proptest! {
    #[test]
    fn figures_are_those_of_the_raw_events(
        events in events(),
        order in any::<prop::sample::Index>(),
        shift in 0_i64..DAY_MS,
    ) {
        // Arrived in two stretches, the later ones first.
        let (first, last) = events.split_at(order.index(events.len() + 1));
        let rows = rows(&[last, first]);
        let starts: Vec<i64> = (0..=DAYS).map(|day| START_MS + day * DAY_MS + shift / HOUR_MS * HOUR_MS).collect();
        let cuts = Cuts::new(starts.clone());
        let cells = figures(&rows, &cuts);
        for (cell, ends) in cells.iter().zip(starts.windows(2)) {
            let (messages, active, staff, [came, went, early]) = expected(&events, ends[0], ends[1]);
            prop_assert_eq!(cell.counters.messages, messages);
            prop_assert_eq!(cell.active.iter().collect::<BTreeSet<_>>(), active);
            prop_assert_eq!(cell.active_staff.iter().collect::<BTreeSet<_>>(), staff);
            prop_assert_eq!((cell.came, cell.went, cell.went_early), (came, went, early));
        }
        let mut sum = Figures::default();
        for cell in &cells {
            sum.add(cell);
        }
        let whole = figures(&rows, &Cuts::new(vec![starts[0], starts[starts.len() - 1]]));
        prop_assert_eq!(&sum, &whole[0]);
    }

    #[test]
    fn presence_is_what_a_replay_of_the_moves_gives(events in events(), at in 0..DAYS * DAY_MS) {
        let at_ms = START_MS + at;
        let rows = rows(&[&events]);
        let mut moves = Moves::default();
        for (day, row) in &rows {
            moves.add(*day, &view(row)).unwrap();
        }
        for number in 2..5 {
            let told = |event: &&Event| event.member == number && matches!(event.what, What::Came | What::Went);
            let is_in = |event: &Event| event.what == What::Came;
            let mut past = events.iter().filter(told);
            // Who first came later was not there; who first went later was; who never moved is as they are.
            let after = events.iter().filter(told).find(|event| event.at_ms >= at_ms);
            let now = events.iter().rfind(told).is_none_or(is_in);
            let expect = match after {
                Some(next) => !is_in(next),
                None => past.next_back().map_or(now, is_in),
            };
            let member = Member { number, role: Role::Customer, present: now, first_ms: START_MS };
            prop_assert_eq!(moves.was_in(&member, at_ms), expect);
        }
    }
}

#[test]
fn a_late_event_changes_the_day_it_belongs_to_and_marks_it() {
    let event = Event { at_ms: START_MS + HOUR_MS, member: 2, what: What::Said };
    let mut late = effects(&event);
    late.head.arrived_ms = START_MS + 30 * HOUR_MS;
    late.head.revised = true;
    let mut delta = Delta::default();
    delta.add(Place { partition: Partition(1), position: 1, index: 0 }, &late);
    let days = delta.days(|_| (), |_| Some(2));
    let rows = days.iter().map(|((day, ()), row)| (*day, encode(row))).collect();
    let cells = figures(&rows, &Cuts::new(vec![START_MS, START_MS + DAY_MS, START_MS + 2 * DAY_MS]));
    assert_eq!((cells[0].counters.messages, cells[0].revised), (1, true));
    assert_eq!((cells[1].counters.messages, cells[1].revised), (0, false));
}

#[test]
fn a_person_in_two_groups_is_one_and_in_two_accounts_two() {
    let event = Event { at_ms: START_MS, member: 2, what: What::Said };
    let rows = rows(&[&[event]]);
    let cuts = Cuts::new(vec![START_MS, START_MS + DAY_MS]);
    let mut sum = Figures::default();
    for account in [0, 0, 1] {
        let mut cells = vec![Figures::default()];
        let mut group = Group::new(&cuts, account);
        for (day, row) in &rows {
            group.add(*day, &view(row), &mut cells).unwrap();
        }
        group.end(&mut cells);
        sum.add(&cells[0]);
    }
    assert_eq!((sum.active.len(), sum.counters.messages), (2, 3));
}

#[test]
fn days_of_a_row_are_those_that_were_written() {
    let event = Event { at_ms: START_MS + 5 * HOUR_MS, member: 4, what: What::Said };
    let rows = rows(&[&[event]]);
    let day = decode(&view(&rows[&day_of(START_MS)])).unwrap();
    let hours: Vec<u8> = day.spoke.keys().map(|(_, hour)| *hour).collect();
    assert_eq!(hours, [5]);
}
