//! Who is in a group against a slow recomputation that takes one change after the other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Rows, event, fold, merge};
use crate::event::{Effects, EventType, Fact, Role, RosterFact, RosterMember, StateFact, StateKind};

/// What can happen to a member.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Joins,
    Leaves,
    Talks,
    /// On the platform's list, with when they joined.
    Found(i64),
    Gone,
}

#[derive(Clone, Debug)]
struct Step {
    member: usize,
    act: Act,
    at_ms: i64,
    /// The platform numbers this change.
    numbered: bool,
}

const MEMBERS: [&str; 3] = ["u-0", "u-1", "u-2"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        Just(Act::Joins),
        Just(Act::Leaves),
        Just(Act::Talks),
        (0..40_i64).prop_map(Act::Found),
        Just(Act::Gone)
    ];
    let step = (0..MEMBERS.len(), act, 0..40_i64, any::<bool>());
    vec(step.prop_map(|(member, act, at_ms, numbered)| Step { member, act, at_ms, numbered }), 0..25)
}

fn found(member: &'static str, joined_ms: i64) -> RosterMember<'static> {
    RosterMember {
        member: Cow::Borrowed(member),
        role: Role::Staff,
        name: Some(Cow::Borrowed("店长")),
        joined_ms,
        inviter: Some(Cow::Borrowed("s-1")),
        scene: Some(Cow::Borrowed("3")),
        channel: Some(Cow::Borrowed("spring")),
        union_id: Some(Cow::Owned(format!("p-{member}"))),
    }
}

fn effects(step: &Step) -> Effects<'static> {
    let member = MEMBERS[step.member];
    let told = |what| {
        let mut told = event(what, step.at_ms);
        told.head.member = Some(Cow::Borrowed(member));
        told
    };
    let listed = |roster| {
        let mut read = event(EventType::RosterRead, step.at_ms);
        read.head.member = None;
        read.facts.push(Fact::Roster(roster));
        read
    };
    let mut effects = match step.act {
        Act::Joins => told(EventType::MemberJoined),
        Act::Leaves => told(EventType::MemberLeft),
        Act::Talks => told(EventType::Message),
        Act::Found(joined_ms) => {
            listed(RosterFact { found: vec![found(member, joined_ms)], gone: Vec::new() })
        }
        Act::Gone => listed(RosterFact { found: Vec::new(), gone: vec![Cow::Borrowed(member)] }),
    };
    if step.numbered {
        effects.facts.push(Fact::State(StateFact {
            kind: StateKind::Roster,
            key: Cow::Borrowed("demo\u{1f}g-1"),
            value: Some(Cow::Owned(vec![0; 8])),
            expires_ms: i64::MAX,
        }));
    }
    effects
}

/// One change after the other: what the house believes of a member, and since when.
fn believe(steps: &[Step]) -> BTreeMap<&'static str, bool> {
    let mut believed: BTreeMap<&str, (i64, bool)> = BTreeMap::new();
    for step in steps {
        let (changed_ms, present) = believed.entry(MEMBERS[step.member]).or_insert((super::NEVER_MS, true));
        let (at_ms, now) = match step.act {
            Act::Talks => continue,
            Act::Joins => (step.at_ms, true),
            Act::Leaves | Act::Gone => (step.at_ms, false),
            Act::Found(joined_ms) => (joined_ms, true),
        };
        if step.numbered || at_ms >= *changed_ms {
            (*changed_ms, *present) = (at_ms, now);
        }
    }
    believed.into_iter().map(|(member, (_, present))| (member, present)).collect()
}

fn present(rows: &Rows) -> BTreeMap<&str, bool> {
    rows.1.iter().map(|((_, _, member), record)| (member.as_str(), record.present)).collect()
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_roster(steps in steps(), cuts in vec(any::<prop::sample::Index>(), 0..4)) {
        let many: Vec<_> = steps.iter().map(effects).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(many.len() + 1)).collect();
        cuts.extend([0, many.len()]);
        cuts.sort_unstable();
        let mut rows = Rows::default();
        for ends in cuts.windows(2) {
            merge(&mut rows, &fold(&many[ends[0]..ends[1]]));
        }
        prop_assert_eq!(present(&rows), believe(&steps));
        let mut whole = Rows::default();
        merge(&mut whole, &fold(&many));
        prop_assert_eq!(rows, whole);
    }

    #[test]
    fn without_versions_any_order_gives_the_same_roster(
        steps in steps(),
        keys in vec(any::<u32>(), 25),
    ) {
        let each_time_once = |(nth, mut step): (usize, Step)| {
            let nth = i64::try_from(nth).unwrap();
            step.numbered = false;
            step.at_ms = step.at_ms * 100 + nth;
            if let Act::Found(joined_ms) = &mut step.act {
                *joined_ms = *joined_ms * 100 + nth;
            }
            (keys[usize::try_from(nth).unwrap()], step)
        };
        let mut steps: Vec<_> = steps.into_iter().enumerate().map(each_time_once).collect();
        let roster = |steps: &[(u32, Step)]| {
            let many: Vec<_> = steps.iter().map(|(_, step)| effects(step)).collect();
            let mut rows = Rows::default();
            merge(&mut rows, &fold(&many));
            present(&rows).into_iter().map(|(member, is)| (member.to_owned(), is)).collect::<Vec<_>>()
        };
        let told = roster(&steps);
        steps.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(roster(&steps), told);
    }
}

#[test]
fn a_list_is_taken_over_with_details_and_counts_nothing() {
    let steps = [(Act::Talks, 5), (Act::Found(3), 9), (Act::Gone, 10)];
    let step = |(act, at_ms)| Step { member: 0, act, at_ms, numbered: true };
    let many: Vec<_> = steps.map(step).iter().map(effects).collect();
    let mut rows = Rows::default();
    merge(&mut rows, &fold(&many[..2]));
    let record = rows.1.values().next().unwrap().clone();
    assert!(record.present);
    assert_eq!((record.role, record.joined_ms, record.first_ms, record.last_ms), (Role::Staff, 3, 3, 9));
    assert_eq!(record.name.as_deref(), Some("店长"));
    let how = (record.inviter.as_deref(), record.scene.as_deref(), record.channel.as_deref());
    assert_eq!(how, (Some("s-1"), Some("3"), Some("spring")));
    assert_eq!(record.union_id.as_deref(), Some("p-u-0"));
    merge(&mut rows, &fold(&many[2..]));
    let gone = rows.1.values().next().unwrap();
    assert!(!gone.present);
    assert_eq!((gone.role, gone.last_ms), (Role::Staff, 9), "whoever is away was not seen");
    let counted: u64 = rows.2.values().map(|count| count.counters.joins + count.counters.leaves).sum();
    assert_eq!(counted, 0);
}

#[test]
fn a_numbered_change_is_newer_than_a_clock_says() {
    // Our clock was ahead of the platform's when the leave was inferred.
    let steps = [(Act::Joins, 1), (Act::Leaves, 30), (Act::Joins, 20)];
    let with = |numbered| steps.map(|(act, at_ms)| Step { member: 0, act, at_ms, numbered });
    for (numbered, expect) in [(true, true), (false, false)] {
        let many: Vec<_> = with(numbered).iter().map(effects).collect();
        let mut rows = Rows::default();
        merge(&mut rows, &fold(&many));
        assert_eq!(present(&rows), BTreeMap::from([("u-0", expect)]));
    }
}
