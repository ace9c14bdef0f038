//! Adverts over many groups: what becomes a case, and how large.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::{EventKey, Head, Verdict};

fn effects(
    group: &str,
    at_ms: i64,
    text: Option<u64>,
    sketch: Option<Sketch>,
    marks: &[Mark],
) -> Effects<'static> {
    let head = Head {
        key: EventKey(0),
        at_ms,
        arrived_ms: at_ms,
        account: "a".into(),
        group: group.to_owned().into(),
        member: Some("m".into()),
        name: None,
        role: Role::Customer,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: text,
    };
    let traits = TraitsFact { of: format!("e-{group}-{at_ms}").into(), sketch, marks: marks.to_vec() };
    Effects { head, facts: vec![Fact::Traits(traits)] }
}

fn seen(text: u64, group: &str, at_ms: i64) -> Effects<'static> {
    effects(group, at_ms, Some(text), None, &[])
}

fn config() -> Config {
    Config { case_groups_min: 3, ..Config::default() }
}

fn mark(kind: MarkKind, hash: u64) -> Mark {
    Mark { kind, hash }
}

#[test]
fn one_case_for_one_advert_reported_again_only_when_it_doubles_and_every_message_is_listed() {
    let mut spread = Spread::default();
    let (mut reports, mut listed) = (Vec::new(), Vec::new());
    for n in 0..13 {
        let found = spread.observe(&seen(7, &format!("g{}", n % 12), n * 1_000), &config());
        reports.extend(found.case.map(|case| (case.id, case.groups.len())));
        listed.extend(found.sightings.into_iter().map(|sighting| (sighting.case, sighting.at_ms)));
    }
    let sizes: Vec<usize> = reports.iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [3, 6, 12]);
    assert!(reports.iter().all(|(id, _)| *id == reports[0].0));
    let expect: Vec<_> = (0..13).map(|n| (reports[0].0.clone(), n * 1_000)).collect();
    assert_eq!(listed, expect);
}

#[test]
fn another_wording_the_same_number_and_another_number_the_same_picture_are_one_case() {
    let near = |text: &str| Sketch::of(text, &[1; 16]);
    let (number, picture, link) =
        (mark(MarkKind::Contact, 1), mark(MarkKind::File, 2), mark(MarkKind::Link, 3));
    let steps = [
        effects("g1", 1, Some(10), near("招聘兼职打字员每天两百元日结有意者速来报名从速"), &[]),
        effects("g2", 2, Some(11), near("招聘兼职打字员每天三百元日结有意者速来报名从速"), &[number]),
        effects(
            "g3",
            3,
            Some(12),
            near("今天天气真不错大家周末一起出去走走看看吧朋友们"),
            &[number, picture],
        ),
        effects("g4", 4, None, None, &[picture, link]),
        effects("g5", 5, None, None, &[link]),
    ];
    let mut spread = Spread::default();
    let found: Vec<Found> = steps.iter().map(|step| spread.observe(step, &config())).collect();
    assert_eq!(spread.clusters(), 1);
    let by: Vec<Alike> =
        found.iter().flat_map(|found| found.sightings.iter().map(|sighting| sighting.by)).collect();
    assert_eq!(by, [Alike::Text, Alike::Near, Alike::Contact, Alike::File, Alike::Link]);
    let off = Config { near_min: 0, by_link: false, by_contact: false, by_file: false, ..config() };
    let mut apart = Spread::default();
    assert!(steps.iter().all(|step| apart.observe(step, &off).is_empty()));
}

#[test]
fn people_are_told_how_large_a_case_is_when_it_opens_each_author_once() {
    let mut spread = Spread::default();
    let told = (0..9).filter_map(|n| spread.observe(&seen(7, &format!("g{}", n / 2), n), &config()).size);
    let told: Vec<_> = told.collect();
    let [size] = &told[..] else { panic!("{told:?}") };
    assert_eq!((size.is_new, size.groups, size.members, size.messages), (true, 3, 1, 5));
    assert_eq!(size.by, [(Alike::Text, 5)]);
}

#[test]
fn a_message_that_becomes_an_advert_by_an_edit_counts_and_is_listed_once() {
    let mut spread = Spread::default();
    let edited = |n: i64, of: i64| {
        let mut effects = effects(&format!("g{of}"), n, Some(7), None, &[]);
        effects.head.what = EventType::MessageEdited;
        let traits = TraitsFact { of: format!("e-{of}").into(), sketch: None, marks: Vec::new() };
        effects.facts = vec![Fact::Traits(traits)];
        effects
    };
    let found: Vec<_> = [0, 1, 1, 2, 2]
        .into_iter()
        .zip(0..)
        .map(|(of, n)| spread.observe(&edited(n, of), &config()))
        .collect();
    let listed: Vec<_> =
        found.iter().flat_map(|found| &found.sightings).map(|seen| seen.of.clone().unwrap()).collect();
    assert_eq!(listed, ["e-0", "e-1", "e-2"]);
    assert_eq!(found[3].case.as_ref().map(|case| case.groups.len()), Some(3));
}

#[test]
fn slow_repetition_is_no_case() {
    let mut spread = Spread::default();
    for n in 0..10 {
        let at = n * (config().window_ms() + 1);
        assert!(spread.observe(&seen(7, &format!("g{n}"), at), &config()).is_empty());
    }
    assert_eq!(spread.clusters(), 1);
}

#[test]
fn a_restart_continues_a_case() {
    let mut before = Spread::default();
    let mut found = (0..3).map(|n| before.observe(&seen(7, &format!("g{n}"), n), &config()));
    let opened = found.find(|found| found.case.is_some()).unwrap();
    let case = opened.case.unwrap();
    let mut after = Spread::default();
    after.resume(&case, opened.sightings.into_iter(), &config());
    for n in 0..5 {
        let found = after.observe(&seen(7, &format!("g{n}"), n), &config());
        assert_eq!((found.case, found.size), (None, None));
        let listed: Vec<_> = found.sightings.iter().map(|sighting| &*sighting.case).collect();
        assert_eq!(listed, if n < 3 { vec![] } else { vec![&*case.id] }, "listed before, or now");
    }
    let grown = after.observe(&seen(7, "g5", 5), &config()).case.unwrap();
    assert_eq!((grown.id, grown.groups.len()), (case.id.clone(), 6));
    let told = (6..30).filter_map(|n| after.observe(&seen(7, &format!("g{n}"), n), &config()).size);
    let told: Vec<_> = told.map(|size| (size.is_new, size.groups, size.messages)).collect();
    assert_eq!(told, [(false, 30, 30)], "ten times as large as at first");
}

#[test]
fn memory_is_bounded_and_lists_end_somewhere() {
    let config = Config { texts_max: 10, case_messages_max: 4, near_min: 0, ..config() };
    let mut spread = Spread::default();
    for n in 0..100 {
        spread.observe(
            &effects("g", 0, Some(n), Sketch::of(&format!("{n:012}{n:012}"), &[0; 16]), &[]),
            &config,
        );
    }
    assert!(spread.clusters() <= 10 && spread.keys.len() <= 10);
    let found = (0..9).map(|n| spread.observe(&seen(500, &format!("g{n}"), n), &config));
    let (listed, unlisted) = found.fold((0, 0), |(listed, unlisted), found| {
        (listed + found.sightings.len(), unlisted + usize::from(found.is_unlisted))
    });
    assert_eq!((listed, unlisted), (4, 5), "what is not listed is counted");
}

proptest! {
    /// Without near texts: a cluster is what the messages before, taken one by one, would have joined.
    #[test]
    fn messages_belong_together_as_a_plain_look_at_all_before_says(
        said in vec((0_u64..6, vec(0_u64..6, 0..3), 0_usize..6), 1..60)
    ) {
        let config = Config { near_min: 0, ..config() };
        let mut spread = Spread::default();
        // What each key belongs to: the oldest of the message's keys, else a cluster of its own.
        let (mut of_key, mut groups): (HashMap<Key, usize>, Vec<BTreeSet<usize>>) = (HashMap::new(), Vec::new());
        let mut ids: HashMap<usize, String> = HashMap::new();
        for (at, (text, marks, group)) in said.into_iter().enumerate() {
            let marks: Vec<Mark> = marks.into_iter().map(|hash| mark(MarkKind::Link, hash)).collect();
            let keys: Vec<Key> = std::iter::once(Key::Text(text)).chain(marks.iter().copied().map(Key::Mark)).collect();
            let cluster = keys.iter().filter_map(|key| of_key.get(key)).min().copied().unwrap_or_else(|| {
                groups.push(BTreeSet::new());
                groups.len() - 1
            });
            for key in keys {
                of_key.entry(key).or_insert(cluster);
            }
            groups[cluster].insert(group);
            let found = spread.observe(&effects(&group.to_string(), i64::try_from(at).unwrap(), Some(text), None, &marks), &config);
            let is_case = groups[cluster].len() >= config.case_groups_min;
            prop_assert_eq!(found.sightings.is_empty(), !is_case);
            for sighting in found.sightings {
                let id = ids.entry(cluster).or_insert_with(|| sighting.case.to_string());
                prop_assert_eq!(&*sighting.case, &**id);
            }
        }
    }
}
