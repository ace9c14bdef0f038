//! Promises about people whom several accounts know.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::{Harness, NOW_MS, commit, event};
use crate::event::{Effects, EventType, Fact, HOUR_MS, MemberFact};
use crate::statistics::figures::crowd::{Crowd, Group, Window};
use crate::statistics::figures::presence::Member;
use crate::storage::{Config, SharedStorage};

const ACCOUNTS: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 2] = ["g-1", "g-2"];
const IDENTITIES: [&str; 3] = ["p", "q", "r"];
const HOURS: i64 = 60;

/// Something that happened, or that somebody told.
#[derive(Clone, Copy, Debug)]
enum Act {
    Joins(Option<usize>),
    Leaves,
    Says,
    IsTold(usize),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    account: usize,
    group: usize,
    member: usize,
    act: Act,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        3 => prop::option::of(0..IDENTITIES.len()).prop_map(Act::Joins),
        1 => Just(Act::Leaves),
        3 => Just(Act::Says),
        2 => (0..IDENTITIES.len()).prop_map(Act::IsTold),
    ];
    let step = (0..ACCOUNTS.len(), 0..GROUPS.len(), 0_usize..3, act);
    let step = step.prop_map(|(account, group, member, act)| Step { account, group, member, act });
    prop::collection::vec(step, 1..40)
}

fn effects(nth: usize, step: &Step) -> Option<Effects<'static>> {
    let moved = |joined, union: Option<usize>| {
        vec![Fact::Member(MemberFact {
            joined,
            inviter: None,
            scene: None,
            channel: None,
            reason: None,
            union_id: union.map(|nth| Cow::Borrowed(IDENTITIES[nth])),
            inferred: false,
        })]
    };
    let (what, facts) = match step.act {
        Act::Joins(union) => (EventType::MemberJoined, moved(true, union)),
        Act::Leaves => (EventType::MemberLeft, moved(false, None)),
        Act::Says => (EventType::Message, Vec::new()),
        Act::IsTold(_) => return None,
    };
    let n = nth as u128 + 1;
    let mut effects = event(what, n, GROUPS[step.group], &format!("m-{}", step.member), facts);
    effects.head.account = Cow::Borrowed(ACCOUNTS[step.account]);
    effects.head.at_ms = at_ms(nth);
    Some(effects)
}

/// One an hour.
fn at_ms(nth: usize) -> i64 {
    NOW_MS + i64::try_from(nth).unwrap() * HOUR_MS
}

fn window() -> Window {
    Window { from_ms: NOW_MS + 12 * HOUR_MS, until_ms: NOW_MS + HOURS * HOUR_MS, silent_ms: 10 * HOUR_MS }
}

/// What the figures say of all accounts together.
fn counted(storage: &SharedStorage) -> Crowd {
    let each = |account: &str| GROUPS.map(|group| (account.to_owned(), group.to_owned()));
    let groups: Vec<(String, String)> = ACCOUNTS.into_iter().flat_map(each).collect();
    let place = |nth: usize| u32::try_from(nth / GROUPS.len()).unwrap();
    let mut crowd = Crowd::default();
    let mut on_the_way: Vec<Group> = (0..groups.len()).map(|nth| Group::new(window(), place(nth))).collect();
    storage
        .days(&groups, 0..u32::MAX, &mut |nth, day, row| on_the_way[nth].add(day, row, &mut crowd))
        .unwrap();
    storage
        .rosters(&groups, &mut |nth, seat| {
            let (number, role) = (seat.number, seat.role);
            let member = Member { number, role, present: seat.present, first_ms: seat.first_ms };
            on_the_way[nth].seat(&member, &mut crowd);
        })
        .unwrap();
    crowd
}

/// The same from what happened: active, there at the end, in several groups, new, lost, active in both.
fn expected(steps: &[Step]) -> [usize; 4] {
    // Who a member is told to be first holds.
    let mut told: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for step in steps {
        if let Act::IsTold(identity) | Act::Joins(Some(identity)) = step.act {
            told.entry((step.account, step.member)).or_insert(identity);
        }
    }
    let who = |step: &Step| match told.get(&(step.account, step.member)) {
        Some(identity) => (usize::MAX, *identity),
        None => (step.account, step.member),
    };
    let Window { from_ms, until_ms, .. } = window();
    let (mut active, mut known, mut appeared) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut seats: BTreeMap<(usize, usize, usize), Vec<(i64, bool)>> = BTreeMap::new();
    for (nth, step) in steps.iter().enumerate() {
        let is_in = match step.act {
            Act::IsTold(_) => continue,
            Act::Leaves => false,
            Act::Joins(_) | Act::Says => true,
        };
        let moves = !matches!(step.act, Act::Says);
        if !moves && (from_ms..until_ms).contains(&at_ms(nth)) {
            active.insert(who(step));
        }
        let seat = (step.account, step.group, step.member);
        let is_first = !seats.contains_key(&seat);
        let moved = seats.entry(seat).or_default();
        if moves {
            moved.push((at_ms(nth), is_in));
        }
        if is_first {
            let first = if at_ms(nth) < from_ms { &mut known } else { &mut appeared };
            first.insert(who(step));
        }
    }
    let (mut at_from, mut at_until) = (BTreeSet::new(), BTreeSet::new());
    for ((account, group, member), moved) in &seats {
        let step = Step { account: *account, group: *group, member: *member, act: Act::Says };
        // Before the first move they were what it changed; without one, whoever is seen is there.
        let was_in = |at_ms: i64| {
            let next = moved.iter().find(|(moved_ms, _)| *moved_ms >= at_ms).map(|(_, is_in)| !is_in);
            next.or_else(|| moved.last().map(|(_, is_in)| *is_in)).unwrap_or(true)
        };
        if was_in(from_ms) {
            at_from.insert(who(&step));
        }
        if was_in(until_ms) {
            at_until.insert(who(&step));
        }
    }
    let new = appeared.difference(&known).count();
    [active.len(), at_until.len(), new, at_from.difference(&at_until).count()]
}

pub(in crate::storage) async fn people_of_several_accounts_are_counted_as_raw_events_say<H: Harness>(_: &H) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    for _ in 0..24 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let harness = H::new();
        let storage = harness.open(&Config::default()).unwrap();
        let epoch = storage.lease("a").await.unwrap();
        for (nth, step) in steps.iter().enumerate() {
            match (effects(nth, step), step.act) {
                (Some(effects), _) => commit(&storage, epoch, &[effects]).await,
                (None, Act::IsTold(identity)) => {
                    let told = (format!("m-{}", step.member), IDENTITIES[identity].to_owned());
                    storage.identify(ACCOUNTS[step.account], &[told]).unwrap();
                }
                (None, _) => unreachable!("everything else is an event"),
            }
        }
        storage.project().unwrap();
        let crowd = counted(&storage);
        let found = [crowd.active.len(), crowd.at_until.len(), crowd.new_people().len(), crowd.lost().len()];
        assert_eq!(found, expected(&steps).map(|count| count as u64), "{steps:#?}");
    }
}

pub(in crate::storage) async fn who_several_accounts_know_is_one_person<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let step = |account, member, act| Step { account, group: 0, member, act };
    let acts = [
        step(0, 0, Act::Says),
        step(0, 1, Act::Joins(Some(0))),
        step(1, 0, Act::Joins(Some(0))),
        step(2, 0, Act::Says),
    ];
    for (nth, act) in acts.iter().enumerate() {
        commit(&storage, epoch, &[effects(nth, act).unwrap()]).await;
    }
    storage.project().unwrap();
    assert_eq!(counted(&storage).at_until.len(), 3);
    let tell = |account: &str, member: &str, identity: &str| {
        storage.identify(account, &[(member.to_owned(), identity.to_owned())]).unwrap()
    };
    assert_eq!(tell("c", "m-0", "p"), [true]);
    assert_eq!(counted(&storage).at_until.len(), 2);
    assert_eq!(tell("c", "m-0", "p"), [true], "told twice is told once");
    assert_eq!(tell("c", "m-0", "q"), [false], "who a member is told to be first holds");
    assert_eq!(tell("b", "not-seen-yet", "q"), [true]);
    assert_eq!(tell("a", "m-0", "q"), [true]);
    let numbers = |account: &str, member: &str| {
        let mut number = None;
        let groups = [(account.to_owned(), GROUPS[0].to_owned())];
        let visit = &mut |_, seat: crate::storage::Seat<'_>| {
            if seat.member == member {
                number = Some(seat.number);
            }
        };
        storage.rosters(&groups, visit).unwrap();
        number.unwrap()
    };
    assert_eq!(numbers("a", "m-1"), numbers("b", "m-0"));
    assert_eq!(numbers("a", "m-1"), numbers("c", "m-0"));
    assert_ne!(numbers("a", "m-0"), numbers("a", "m-1"));
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    assert_eq!(counted(&storage).at_until.len(), 2, "it is kept");
}
