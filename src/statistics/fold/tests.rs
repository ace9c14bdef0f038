//! The fold against a slow recomputation, and against itself cut in two.

mod roster;

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::EventKey;
use crate::storage::codec::tests::effects;

const PLACE: Place = Place { partition: Partition(3), position: 1, index: 0 };

fn fold(many: &[Effects<'_>]) -> Delta {
    let mut delta = Delta::default();
    for one in many {
        delta.add(PLACE, one);
    }
    delta
}

type Rows = (
    BTreeMap<(String, String), GroupRecord>,
    BTreeMap<(String, String, String), MemberRecord>,
    BTreeMap<(String, String, u32), CountDelta>,
);

fn merge(rows: &mut Rows, delta: &Delta) {
    let name = |index: u32| {
        let group = &delta.groups[index as usize];
        (group.account.clone(), group.group.clone())
    };
    for group in &delta.groups {
        let key = (group.account.clone(), group.group.clone());
        let merged = group.merge(rows.0.remove(&key));
        rows.0.insert(key, merged);
    }
    for member in &delta.members {
        let (account, group) = name(member.group);
        let key = (account, group, member.member.clone());
        let merged = member.merge(rows.1.remove(&key));
        rows.1.insert(key, merged);
    }
    for ((group, hour), count) in &delta.counts {
        let (account, group) = name(*group);
        let row = rows.2.entry((account, group, *hour)).or_default();
        row.counters.add(&count.counters);
        row.revised |= count.revised;
    }
}

proptest! {
    #[test]
    fn a_cut_changes_nothing(many in vec(effects(), 0..40), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(many.len() + 1);
        let (mut whole, mut halves) = (Rows::default(), Rows::default());
        merge(&mut whole, &fold(&many));
        merge(&mut halves, &fold(&many[..cut]));
        merge(&mut halves, &fold(&many[cut..]));
        prop_assert_eq!(whole, halves);
    }

    #[test]
    fn messages_are_counted_in_their_own_hour(many in vec(effects(), 0..40)) {
        let mut expect: BTreeMap<(String, String, u32), u64> = BTreeMap::new();
        for Effects { head, .. } in &many {
            let counts = head.status == Status::Counted
                && head.what == EventType::Message
                && head.role != Role::Bot;
            if counts {
                let key = (head.account.to_string(), head.group.to_string(), hour_of(head.at_ms));
                *expect.entry(key).or_default() += 1;
            }
        }
        let mut rows = Rows::default();
        merge(&mut rows, &fold(&many));
        let mut got: BTreeMap<_, _> = rows.2.into_iter().map(|(k, v)| (k, v.counters.messages)).collect();
        got.retain(|_, messages| *messages > 0);
        prop_assert_eq!(got, expect);
    }
}

fn event(what: EventType, at_ms: i64) -> Effects<'static> {
    Effects {
        head: Head {
            key: EventKey(1),
            at_ms,
            arrived_ms: at_ms,
            account: Cow::Borrowed("demo"),
            group: Cow::Borrowed("g-1"),
            member: Some(Cow::Borrowed("u-1")),
            name: None,
            role: Role::Customer,
            what,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        },
        facts: Vec::new(),
    }
}

fn present_after(events: &[(EventType, i64)]) -> bool {
    let many: Vec<_> = events.iter().map(|(what, at_ms)| event(*what, *at_ms)).collect();
    let delta = fold(&many);
    delta.members[0].merge(None).present
}

#[test]
fn presence_follows_the_latest_join_or_leave_by_its_own_time() {
    use EventType::{MemberJoined as Join, MemberLeft as Leave, Message};
    let table: [(&[(EventType, i64)], bool); 8] = [
        (&[(Join, 1)], true),
        (&[(Message, 1)], true),
        (&[(Leave, 1)], false),
        (&[(Join, 1), (Leave, 2)], false),
        (&[(Leave, 2), (Join, 1)], false),
        (&[(Leave, 1), (Join, 1)], true),
        (&[(Message, 9), (Leave, 5)], false),
        (&[(Leave, 5), (Message, 9)], false),
    ];
    for (events, expect) in table {
        assert_eq!(present_after(events), expect, "{events:?}");
    }
}

#[test]
fn a_late_event_counts_as_late_only() {
    let mut late = event(EventType::Message, 5);
    late.head.status = Status::Late;
    late.head.arrived_ms = 400 * HOUR_MS;
    let delta = fold(&[late]);
    assert!(delta.members.is_empty() && delta.hits.is_empty());
    assert_eq!(delta.lates.len(), 1);
    let counted: Vec<_> = delta.counts.iter().collect();
    let expect = CountDelta { counters: Counters { late: 1, ..Counters::default() }, revised: false };
    assert_eq!(counted, [(&(0, 400), &expect)]);
}

#[test]
fn programs_do_not_count_as_talkers_but_their_hits_do() {
    let mut said = event(EventType::Message, 5);
    said.head.role = Role::Bot;
    said.head.verdict = Verdict::Block;
    let delta = fold(&[said]);
    let counters = delta.counts[&(0, 0)].counters;
    assert_eq!((counters.messages, counters.blocked), (0, 1));
}

#[test]
fn results_and_greetings_are_counted_in_their_hour() {
    use crate::event::SendFact;
    use crate::statistics::days::Facet;

    let at_ms = 5 * HOUR_MS + 7;
    let outcome = |value| Fact::Outcome(OutcomeFact { kind: "order".into(), value, broadcast: None });
    let send = |kind: &'static str| {
        Fact::Send(SendFact {
            index: 0,
            kind: kind.into(),
            rule: "w#b".into(),
            text: "欢迎".into(),
            welcome_code: None,
            expires_ms: 0,
        })
    };
    let many = [
        Effects { facts: vec![outcome(1.5)], ..event(EventType::Outcome, at_ms) },
        Effects { facts: vec![outcome(-0.5)], ..event(EventType::Outcome, at_ms) },
        Effects { facts: vec![outcome(0.0)], ..event(EventType::Outcome, at_ms) },
        Effects { facts: vec![send("welcome"), send("reply")], ..event(EventType::Due, at_ms) },
    ];
    let delta = fold(&many);
    let mut facets: Vec<_> =
        delta.facets.iter().map(|((_, hour, facet), count)| (*hour, facet.clone(), *count)).collect();
    facets.sort_unstable();
    let expect = [
        (5, Facet::Outcome("order".into()), 3),
        (5, Facet::Gained("order".into()), 1_500_000),
        (5, Facet::Lost("order".into()), 500_000),
        (5, Facet::Greeted("w#b".into(), 18_000_007), 1),
    ];
    assert_eq!(facets, expect);
}
