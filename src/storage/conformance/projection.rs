//! Promises of the projection.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{TestRng, TestRunner};

use super::{HOUR, Harness, NOW_MS, append, commit, event, message};
use crate::event::{Alike, SightedFact};
use crate::event::{
    CaseFact, Effects, EventType, Fact, GroupFact, HOUR_MS, HitFact, Level, MemberFact, OutcomeFact, Role,
    RosterFact, RosterMember, SendFact, StateFact, StateKind, Status, Verdict, Via,
};
use crate::statistics::days;
use crate::statistics::definitions::Counters;
use crate::storage::{Config, CountsQuery, ListCountRow, MemberRow, SharedStorage, Totals, View};

fn query(group: &str) -> CountsQuery {
    CountsQuery { account: "demo".to_owned(), group: group.to_owned(), from_ms: 0, until_ms: i64::MAX }
}

fn joined(union_id: Option<&'static str>) -> Fact<'static> {
    Fact::Member(MemberFact {
        joined: true,
        inviter: Some(Cow::Borrowed("u-9")),
        scene: Some(Cow::Borrowed("qr")),
        channel: None,
        reason: None,
        union_id: union_id.map(Cow::Borrowed),
        inferred: false,
    })
}

fn send(kind: &'static str, expires_ms: i64) -> Fact<'static> {
    Fact::Send(SendFact {
        index: 0,
        kind: Cow::Borrowed(kind),
        rule: Cow::Borrowed("r"),
        text: Cow::Borrowed("十点开门"),
        welcome_code: None,
        expires_ms,
    })
}

fn hit_fact(term: u64) -> HitFact<'static> {
    HitFact {
        wordlist: Cow::Borrowed("diversion"),
        term,
        category: Cow::Borrowed("contact"),
        level: Level::High,
        span: (0, 11),
        via: vec![Via::Homophone, Via::Gap],
    }
}

fn hit(term: u64) -> Fact<'static> {
    Fact::Hit(hit_fact(term))
}

fn shadow_hit(term: u64) -> Fact<'static> {
    Fact::ShadowHit(hit_fact(term))
}

/// Everything that readers can see.
#[derive(Debug, PartialEq)]
pub(in crate::storage) struct Seen {
    groups: Vec<crate::storage::GroupRow>,
    members: Vec<Vec<MemberRow>>,
    counts: Vec<Vec<crate::storage::CountRow>>,
    days: Vec<(usize, u32, days::Day)>,
    hits: Vec<Vec<crate::storage::HitRow>>,
    lists: Vec<ListCountRow>,
    outcomes: Vec<crate::storage::OutcomeRow>,
    lates: Vec<Vec<crate::storage::LateRow>>,
    totals: Vec<Totals>,
    cases: Vec<crate::storage::CaseRow>,
    states: Vec<crate::storage::StateRow>,
    sends: Vec<crate::storage::PendingSend>,
}

/// Reads everything. `now_ms` decides what has expired.
pub(in crate::storage) fn look(storage: &SharedStorage, now_ms: i64) -> Seen {
    let groups = storage.groups(None, 1000).unwrap();
    let each = |group: &crate::storage::GroupRow| (group.account.clone(), group.group.clone());
    let names: Vec<_> = groups.iter().map(each).collect();
    let mut totals = storage.totals(0, i64::MAX).unwrap();
    totals.sort_by(|a, b| (&a.account, &a.group).cmp(&(&b.account, &b.group)));
    let mut states = storage.states(now_ms).unwrap();
    states.sort_by(|a, b| (a.partition, &a.key, a.expires_ms).cmp(&(b.partition, &b.key, b.expires_ms)));
    Seen {
        members: names.iter().map(|(a, g)| storage.members(a, g, None, 1000).unwrap()).collect(),
        counts: names
            .iter()
            .map(|(a, g)| {
                let all = CountsQuery { account: a.clone(), ..query(g) };
                storage.counts(&all).unwrap()
            })
            .collect(),
        days: all_days(storage, &names),
        hits: names.iter().map(|(a, g)| storage.hits(a, g, 1000).unwrap()).collect(),
        lists: storage.list_counts(0, i64::MAX).unwrap(),
        outcomes: storage.outcomes("bc-1").unwrap(),
        lates: names.iter().map(|(a, g)| storage.lates(a, g, 1000).unwrap()).collect(),
        totals,
        cases: storage.cases(1000).unwrap(),
        states,
        sends: storage.pending_sends(now_ms).unwrap(),
        groups,
    }
}

fn all_days(storage: &SharedStorage, groups: &[(String, String)]) -> Vec<(usize, u32, days::Day)> {
    let mut rows = Vec::new();
    let take = &mut |group, day, view: &View<'_>| {
        rows.push((group, day, days::decode(view)?));
        Ok(())
    };
    storage.days(groups, 0..u32::MAX, take).unwrap();
    rows.sort_by_key(|(group, day, _)| (*day, *group));
    rows
}

/// The same arbitrary effects for everybody.
pub(in crate::storage) fn arbitrary(many: usize) -> Vec<Effects<'static>> {
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng);
    let effects = crate::storage::codec::tests::effects();
    (0..many).map(|_| effects.new_tree(&mut runner).unwrap().current()).collect()
}

/// Five weeks of groups, some silent for long, and messages that come when their week has long been over: what was read
/// before is read again, with each group's days in order.
pub(in crate::storage) async fn days_that_are_over_read_as_before<H: Harness>(harness: &H) {
    const GROUPS: usize = 700;
    let mut storage = harness.open(&Config::default()).unwrap();
    let mut epoch = storage.lease("a").await.unwrap();
    let names: Vec<_> = (0..GROUPS).map(|nth| ("demo".to_owned(), format!("g-{nth:03}"))).collect();
    let mut said: BTreeMap<(usize, u32), u32> = BTreeMap::new();
    let mut n = 0;
    let mut say = |nth: usize, at_ms: i64, arrived_ms: i64| {
        n += 1;
        *said.entry((nth, days::day_of(at_ms))).or_default() += 1;
        let mut said = message(n, &names[nth].1, "u-1", at_ms);
        said.head.arrived_ms = arrived_ms;
        said
    };
    for day in 0..36 {
        let at_ms = NOW_MS + day * days::DAY_MS;
        let speaks =
            |nth: &usize| nth.is_multiple_of(300) || (*nth < 5 || day == 8) && !(10..20).contains(&day);
        let mut many: Vec<_> = (0..GROUPS).filter(speaks).map(|nth| say(nth, at_ms, at_ms)).collect();
        if day % 9 == 8 {
            // Of weeks that were moved, are being moved, or are not over; and of a time before all others.
            let late_ms = |days: i64| at_ms - days * days::DAY_MS;
            many.extend([1, 6, 15, 25, 90].map(|days| say(699, late_ms(days), at_ms)));
        }
        commit(&storage, epoch, &many).await;
        storage.project().unwrap();
        if day == 21 {
            drop(storage);
            storage = harness.open(&Config::default()).unwrap();
            epoch = storage.lease("a").await.unwrap();
        }
    }
    let mut found: Vec<((usize, u32), u32)> = Vec::new();
    let read = &mut |group, day, view: &View<'_>| {
        let of_day = days::decode(view)?;
        found.push(((group, day), of_day.spoke.values().map(|spoke| spoke.said).sum()));
        Ok(())
    };
    storage.days(&names, 0..u32::MAX, read).unwrap();
    let mut last: BTreeMap<usize, u32> = BTreeMap::new();
    for ((group, day), _) in &found {
        assert!(last.insert(*group, *day).is_none_or(|before| before < *day), "in order");
    }
    found.sort_unstable();
    assert_eq!(found, said.clone().into_iter().collect::<Vec<_>>());
    let held = storage.days_held().unwrap();
    let (first, last) = (said.keys().map(|key| key.1).min(), said.keys().map(|key| key.1).max());
    assert_eq!((Some(held.start), Some(held.end - 1)), (first, last));
    let (from, until) = (days::day_of(NOW_MS) + 5, days::day_of(NOW_MS) + 30);
    let start_ms = |day: u32| i64::from(day) * days::DAY_MS;
    let within = |key: &(usize, u32)| (from..until).contains(&key.1);
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (key, count) in said.iter().filter(|(key, _)| within(key)) {
        *sums.entry(names[key.0].1.clone()).or_default() += u64::from(*count);
    }
    let totals = storage.totals(start_ms(from), start_ms(until)).unwrap();
    let totals: BTreeMap<_, _> = totals.into_iter().map(|row| (row.group, row.counters.messages)).collect();
    assert_eq!(totals, sums);
}

pub(in crate::storage) async fn numbers_follow_the_definitions<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let mut blocked = event(EventType::Message, 2, "g-1", "u-1", vec![hit(7), shadow_hit(9), hit(8)]);
    blocked.head.verdict = Verdict::Block;
    let mut staff = event(EventType::Message, 3, "g-1", "s-1", vec![]);
    staff.head.role = Role::Staff;
    let mut revised = message(4, "g-1", "u-1", NOW_MS - HOUR_MS);
    revised.head.revised = true;
    commit(
        &storage,
        epoch,
        &[
            event(EventType::MemberJoined, 1, "g-1", "u-1", vec![joined(None), send("welcome", NOW_MS + 1)]),
            blocked,
            staff,
            revised,
            event(EventType::Message, 5, "g-1", "u-2", vec![send("reply", NOW_MS + 1)]),
            event(EventType::MemberLeft, 6, "g-1", "u-1", vec![]),
            event(
                EventType::GroupUpdated,
                7,
                "g-1",
                "",
                vec![Fact::Group(GroupFact {
                    name: Some(Cow::Borrowed("春熙路一群")),
                    owner: Some(Cow::Borrowed("s-1")),
                    dismissed: false,
                })],
            ),
        ],
    )
    .await;
    assert_eq!(storage.project().unwrap().events, 7);
    let counts = storage.counts(&query("g-1")).unwrap();
    let now = Counters {
        messages: 3,
        staff_messages: 1,
        joins: 1,
        leaves: 1,
        hits: 2,
        blocked: 1,
        replies: 1,
        welcomes: 1,
        ..Counters::default()
    };
    assert_eq!(
        counts.iter().map(|c| (c.start_ms, c.revised, c.counters.messages)).collect::<Vec<_>>(),
        [(NOW_MS - HOUR_MS, true, 1), (NOW_MS, false, 3)]
    );
    assert_eq!(counts[1].counters, now);
    let totals = storage.totals(NOW_MS, NOW_MS + HOUR_MS).unwrap();
    assert_eq!(totals, [Totals { account: "demo".into(), group: "g-1".into(), counters: now }]);
    assert!(storage.totals(NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS).unwrap().is_empty());
    let group = storage.group("demo", "g-1").unwrap().unwrap();
    assert_eq!((group.name.as_deref(), group.owner.as_deref()), (Some("春熙路一群"), Some("s-1")));
    assert_eq!((group.members, group.first_ms, group.last_ms), (2, NOW_MS - HOUR_MS, NOW_MS + 7));
    assert_eq!(storage.group("demo", "g-2").unwrap(), None);
    let members = storage.members("demo", "g-1", None, 10).unwrap();
    let seen: Vec<_> =
        members.iter().map(|m| (m.member.as_str(), m.present, m.messages, m.scene.as_deref())).collect();
    assert_eq!(seen, [("s-1", true, 1, None), ("u-1", false, 2, Some("qr")), ("u-2", true, 1, None)]);
    let hits = storage.hits("demo", "g-1", 1).unwrap();
    assert_eq!((hits.len(), hits[0].term, hits[0].via.len()), (1, 8, 2));
    assert_eq!(storage.hits("demo", "g-1", 10).unwrap().len(), 2, "what has no effect is in no list of hits");
    let lists = storage.list_counts(NOW_MS, NOW_MS + HOUR_MS).unwrap();
    assert_eq!(lists, [ListCountRow { wordlist: "diversion".into(), hits: 2, shadow_hits: 1 }]);
    assert!(storage.list_counts(NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS).unwrap().is_empty());
}

pub(in crate::storage) async fn outcomes_are_credited_once_to_the_broadcast_they_name<H: Harness>(
    harness: &H,
) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let outcome =
        |number: u128, group: &str, kind: &'static str, value: f64, broadcast: Option<&'static str>| {
            let fact =
                OutcomeFact { kind: Cow::Borrowed(kind), value, broadcast: broadcast.map(Cow::Borrowed) };
            event(EventType::Outcome, number, group, "u-1", vec![Fact::Outcome(fact)])
        };
    let first = [
        outcome(1, "g-1", "order", 19.9, Some("bc-1")),
        outcome(2, "g-1", "order", 0.1, Some("bc-1")),
        outcome(3, "g-1", "click", 0.0, Some("bc-1")),
        outcome(4, "g-2", "order", 5.0, Some("bc-2")),
        outcome(5, "g-2", "order", 5.0, None),
    ];
    commit(&storage, epoch, &first).await;
    storage.project().unwrap();
    commit(&storage, epoch, &[outcome(6, "g-2", "order", -20.0, Some("bc-1"))]).await;
    storage.project().unwrap();
    let rows = storage.outcomes("bc-1").unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.group.as_str(), row.kind.as_str(), row.count, row.value_micros)).collect();
    let expect = [("g-1", "click", 1, 0), ("g-1", "order", 2, 20_000_000), ("g-2", "order", 1, -20_000_000)];
    assert_eq!(told, expect);
    assert!(storage.outcomes("bc-3").unwrap().is_empty());
}

pub(in crate::storage) async fn projecting_twice_changes_nothing<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &arbitrary(200)).await;
    let first = storage.project().unwrap();
    assert_eq!(first.events, 200);
    let seen = look(&storage, NOW_MS);
    assert!(!seen.groups.is_empty());
    let again = storage.project().unwrap();
    assert_eq!((again.position, again.events), (first.position, 0));
    assert_eq!(look(&storage, NOW_MS), seen);
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    assert_eq!(storage.project().unwrap().events, 0);
    assert_eq!(look(&storage, NOW_MS), seen);
}

pub(in crate::storage) async fn projecting_in_pieces_or_at_once_is_the_same<H: Harness>(harness: &H) {
    let many = arbitrary(300);
    let at_once = harness.open(&Config::default()).unwrap();
    let epoch = at_once.lease("a").await.unwrap();
    for one in &many {
        commit(&at_once, epoch, std::slice::from_ref(one)).await;
    }
    at_once.project().unwrap();
    let other = H::new();
    let pieces = other.open(&Config { projection_events_max: 3, ..Config::default() }).unwrap();
    let epoch = pieces.lease("a").await.unwrap();
    for (n, one) in many.iter().enumerate() {
        commit(&pieces, epoch, std::slice::from_ref(one)).await;
        if n % 7 == 0 {
            pieces.project().unwrap();
        }
    }
    pieces.project().unwrap();
    let now_ms = many.iter().map(|one| one.head.arrived_ms).max().unwrap();
    assert_eq!(look(&pieces, now_ms), look(&at_once, now_ms));
}

pub(in crate::storage) async fn small_state_is_the_last_write<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let write = |n: u128, key: &'static str, value: Option<&'static [u8]>, expires_ms| {
        let fact = StateFact {
            kind: StateKind::Cooldown,
            key: Cow::Borrowed(key),
            value: value.map(Cow::Borrowed),
            expires_ms,
        };
        event(EventType::Message, n, "g-1", "u-1", vec![Fact::State(fact)])
    };
    let later = NOW_MS + HOUR_MS;
    commit(&storage, epoch, &[write(1, "a", Some(b"1"), later), write(2, "b", Some(b"2"), later)]).await;
    storage.project().unwrap();
    commit(
        &storage,
        epoch,
        &[
            write(3, "a", Some(b"3"), later),
            write(4, "b", None, later),
            write(5, "c", Some(b"5"), NOW_MS + 1),
        ],
    )
    .await;
    storage.project().unwrap();
    let states = storage.states(NOW_MS + 1).unwrap();
    let seen: Vec<_> = states.iter().map(|s| (s.key.as_str(), s.value.as_slice(), s.kind)).collect();
    assert_eq!(seen, [("a", b"3".as_slice(), StateKind::Cooldown)]);
    assert_eq!(storage.states(NOW_MS).unwrap().len(), 2);
    assert!(storage.states(later).unwrap().is_empty());
}

pub(in crate::storage) async fn pending_sends_wait_until_they_expire<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let fact = send("reply", NOW_MS + 1000);
    commit(
        &storage,
        epoch,
        &[
            event(EventType::Message, 1, "g-1", "u-1", vec![fact.clone(), send("reply", NOW_MS + 1)]),
            event(EventType::Message, 2, "g-1", "u-1", vec![send("warning", 0)]),
        ],
    )
    .await;
    storage.project().unwrap();
    let sends = storage.pending_sends(NOW_MS + 500).unwrap();
    assert_eq!(sends.len(), 2);
    assert_eq!((sends[0].head.key.0, &sends[0].fact), (1, &fact));
    assert_eq!(sends[1].head.key.0, 2, "without an expiry of its own it waits for days");
    assert!(storage.pending_sends(NOW_MS + 80 * HOUR_MS).unwrap().is_empty());
}

pub(in crate::storage) async fn late_events_are_listed_apart<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let mut late = message(77, "g-1", "u-1", NOW_MS - 100 * HOUR_MS);
    late.head.status = Status::Late;
    late.head.arrived_ms = NOW_MS;
    commit(&storage, epoch, &[late]).await;
    storage.project().unwrap();
    let lates = storage.lates("demo", "g-1", 10).unwrap();
    assert_eq!((lates.len(), lates[0].key.0, lates[0].member.as_str()), (1, 77, "u-1"));
    let counts = storage.counts(&query("g-1")).unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!(counts[0].counters, Counters { late: 1, ..Counters::default() });
    assert_eq!(counts[0].start_ms, i64::from(HOUR) * HOUR_MS);
    assert!(storage.members("demo", "g-1", None, 10).unwrap().is_empty());
}

pub(in crate::storage) async fn a_person_keeps_one_number_over_groups<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let join =
        |n, group, member, union_id| event(EventType::MemberJoined, n, group, member, vec![joined(union_id)]);
    for one in [
        join(1, "g-1", "u-1", None),
        join(2, "g-2", "u-1", None),
        join(3, "g-1", "u-2", Some("p")),
        join(4, "g-2", "u-3", Some("p")),
        join(5, "g-3", "u-4", None),
    ] {
        commit(&storage, epoch, &[one]).await;
    }
    storage.project().unwrap();
    let number = |group: &str, member: &str| {
        let members = storage.members("demo", group, None, 10).unwrap();
        members.iter().find(|m| m.member == member).unwrap().number
    };
    assert_eq!((number("g-1", "u-1"), number("g-2", "u-1")), (0, 0));
    assert_eq!((number("g-1", "u-2"), number("g-2", "u-3")), (1, 1));
    assert_eq!(number("g-3", "u-4"), 2);
}

pub(in crate::storage) async fn a_list_of_members_is_taken_over_and_counts_nobody<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let found = |member: &'static str, union_id: &'static str| RosterMember {
        member: Cow::Borrowed(member),
        role: Role::Customer,
        name: Some(Cow::Borrowed("小王")),
        joined_ms: NOW_MS - HOUR_MS,
        inviter: Some(Cow::Borrowed("s-1")),
        scene: Some(Cow::Borrowed("3")),
        channel: Some(Cow::Borrowed("spring")),
        union_id: Some(Cow::Borrowed(union_id)),
    };
    let read = |n, found: &[RosterMember<'static>], gone: &[&'static str]| {
        let gone = gone.iter().map(|member| Cow::Borrowed(*member)).collect();
        let roster = Fact::Roster(RosterFact { found: found.to_vec(), gone });
        let mut read = event(EventType::RosterRead, n, "g-1", "", vec![roster]);
        read.head.member = None;
        read
    };
    let said = message(1, "g-1", "u-1", NOW_MS);
    for one in [said, read(2, &[found("u-1", "p-1"), found("u-2", "p-2")], &["u-9"])] {
        commit(&storage, epoch, &[one]).await;
        storage.project().unwrap();
    }
    let members = storage.members("demo", "g-1", None, 10).unwrap();
    let seen: Vec<_> = members.iter().map(|m| (m.member.as_str(), m.present, m.messages)).collect();
    assert_eq!(seen, [("u-1", true, 1), ("u-2", true, 0), ("u-9", false, 0)]);
    assert_eq!(storage.member("demo", "g-1", "u-2").unwrap().as_ref(), Some(&members[1]));
    for (group, member) in [("g-1", "u-3"), ("g-2", "u-2")] {
        assert_eq!(storage.member("demo", group, member).unwrap(), None);
    }
    let how = |m: &MemberRow| (m.inviter.clone(), m.scene.clone(), m.channel.clone(), m.union_id.clone());
    let word = |word: &str| Some(word.to_owned());
    assert_eq!(how(&members[1]), (word("s-1"), word("3"), word("spring"), word("p-2")));
    assert_eq!((members[1].joined_ms, members[2].joined_ms), (Some(NOW_MS - HOUR_MS), None));
    assert_eq!((members[1].first_ms, members[2].first_ms, members[2].last_ms), (NOW_MS - HOUR_MS, 0, 0));
    assert_eq!(storage.group("demo", "g-1").unwrap().unwrap().members, 2);
    commit(&storage, epoch, &[read(3, &[], &["u-1"])]).await;
    storage.project().unwrap();
    assert_eq!(storage.group("demo", "g-1").unwrap().unwrap().members, 1);
    let totals = storage.totals(0, i64::MAX).unwrap();
    assert_eq!(totals[0].counters, Counters { messages: 1, ..Counters::default() });
    let before = storage.member("demo", "g-1", "u-2").unwrap().unwrap();
    assert_eq!(before.name.as_deref(), Some("小王"));
    let forgotten = ["demo", "demo", "other"].map(|account| storage.forget_names(account, "u-2").unwrap());
    assert_eq!(forgotten, [1, 0, 0]);
    let after = MemberRow { name: None, ..before };
    assert_eq!(storage.member("demo", "g-1", "u-2").unwrap(), Some(after));
    assert_eq!(storage.totals(0, i64::MAX).unwrap(), totals);
}

pub(in crate::storage) async fn members_are_found_in_their_groups<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let step = |n: u128, group: &'static str, member: &'static str, joined: bool| {
        let fact = MemberFact {
            joined,
            inviter: None,
            scene: None,
            channel: None,
            reason: None,
            union_id: None,
            inferred: false,
        };
        let what = if joined { EventType::MemberJoined } else { EventType::MemberLeft };
        event(what, n, group, member, vec![Fact::Member(fact)])
    };
    let steps = [
        step(1, "g-2", "u-1", true),
        step(2, "g-1", "u-1", true),
        step(3, "g-1", "u-2", true),
        step(4, "g-3", "u-1", true),
        step(5, "g-3", "u-1", false),
        step(6, "g-1", "u-3", true),
    ];
    commit(&storage, epoch, &steps).await;
    storage.project().unwrap();
    let of = |members: &[&str]| {
        let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
        storage.memberships("demo", &members).unwrap()
    };
    let pair = |group: &str, member: &str| (group.to_owned(), member.to_owned());
    assert_eq!(of(&["u-1", "u-2", "u-9"]), [pair("g-1", "u-1"), pair("g-1", "u-2"), pair("g-2", "u-1")]);
    assert_eq!(of(&[]), []);
    assert!(storage.memberships("other", &["u-1".to_owned()]).unwrap().is_empty());
    assert_eq!(of(&["u-1", "u-1"]), of(&["u-1"]));
    assert_eq!(storage.groups_of("demo", "u-1").unwrap(), ["g-1", "g-2", "g-3"]);
    assert!(storage.groups_of("demo", "u-9").unwrap().is_empty());
    assert!(storage.groups_of("other", "u-1").unwrap().is_empty());
}

pub(in crate::storage) async fn cases_show_their_last_sighting<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let case = |n: u128, groups: usize| {
        let mut effects = event(EventType::Message, n, "", "", vec![]);
        effects.head.account = Cow::Borrowed("");
        effects.head.member = None;
        effects.facts = vec![Fact::Case(CaseFact {
            id: Cow::Borrowed("case-1"),
            fingerprint: u64::MAX,
            groups: (0..groups).map(|g| (Cow::Borrowed("demo"), Cow::Owned(format!("g-{g}")))).collect(),
            first_ms: NOW_MS,
            last_ms: NOW_MS + i64::try_from(n).unwrap(),
        })];
        effects
    };
    commit(&storage, epoch, &[case(1, 3), case(2, 5)]).await;
    storage.project().unwrap();
    let cases = storage.cases(10).unwrap();
    assert_eq!((cases.len(), cases[0].groups.len(), cases[0].fingerprint), (1, 5, u64::MAX));
    assert!(storage.case_messages("case-2", None, 10).unwrap().is_empty());
    let list = |after, limit| storage.case_messages("case-1", after, limit).unwrap();
    assert!(list(None, 10).is_empty());
    let sighted = |n: u128| {
        let fact = SightedFact {
            case: "case-1".into(),
            account: "demo".into(),
            group: format!("g-{n}").into(),
            member: Some("u-1".into()),
            of: Some("e-1".into()),
            at_ms: NOW_MS + i64::try_from(n / 2).unwrap(),
            by: Alike::Near,
            verdict: Verdict::Review,
        };
        Effects { facts: vec![Fact::Sighted(fact)], ..case(10 + n, 0) }
    };
    commit(&storage, epoch, &[sighted(2), sighted(1), sighted(0), sighted(1)]).await;
    storage.project().unwrap();
    let all = list(None, 10);
    let groups: Vec<_> = all.iter().map(|message| message.group.as_str()).collect();
    assert_eq!(groups, ["g-0", "g-1", "g-2"]);
    assert_eq!((all[0].by, all[0].verdict, all[0].member.as_str()), (Alike::Near, Verdict::Review, "u-1"));
    let after = (all[0].at_ms, "demo".to_owned(), "g-0".to_owned(), "e-1".to_owned());
    assert_eq!(list(Some(after), 1), all[1..2]);
    let case = storage.case("case-1").unwrap().unwrap();
    let groups = ["g-0", "g-1", "g-2"].map(|group| ("demo".to_owned(), group.to_owned()));
    assert_eq!((case.groups, case.last_ms), (groups.to_vec(), NOW_MS + 2), "those of its messages");
    commit(&storage, epoch, &[sighted(9)]).await;
    storage.project().unwrap();
    let case = storage.case("case-1").unwrap().unwrap();
    assert_eq!((case.groups.len(), case.last_ms), (4, NOW_MS + 4), "every message is the last for a while");
    assert_eq!((storage.cases(10).unwrap(), storage.case("case-2").unwrap()), (vec![case], None));
    assert!(storage.groups(None, 10).unwrap().is_empty(), "what spans groups is no group");
    assert!(storage.totals(0, i64::MAX).unwrap().is_empty());
}

pub(in crate::storage) async fn readers_page_through_groups_and_members<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..25_u128 {
        let receipt = append(
            &storage,
            epoch,
            &message(n, &format!("g-{:02}", n % 5), &format!("u-{:02}", n / 5), NOW_MS),
        );
        receipt.unwrap().wait().await.unwrap();
    }
    storage.project().unwrap();
    let first = storage.groups(None, 3).unwrap();
    let after = first.last().map(|g| (g.account.clone(), g.group.clone()));
    let rest = storage.groups(after, 3).unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|g| g.group.as_str()).collect();
    assert_eq!(names, ["g-00", "g-01", "g-02", "g-03", "g-04"]);
    let first = storage.members("demo", "g-03", None, 3).unwrap();
    let rest = storage.members("demo", "g-03", first.last().map(|m| m.member.clone()), 3).unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|m| m.member.as_str()).collect();
    assert_eq!(names, ["u-00", "u-01", "u-02", "u-03", "u-04"]);
}
