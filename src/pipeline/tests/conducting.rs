//! Floods by what messages carry, by role and by probation.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::{Attachment, CarriedFact};

const MEMBERS: [&str; 3] = ["u-1", "u-2", "u-3"];

fn config() -> conduct::Config {
    conduct::Config {
        flood_messages_max: 5,
        flood_window: Duration::from_secs(30),
        flood_verdict: Verdict::Review,
        flood_links_max: 3,
        flood_links_verdict: Verdict::Block,
        flood_images_max: 4,
        flood_images_verdict: Verdict::Review,
        flood_mentions_max: 6,
        flood_mentions_verdict: Verdict::Block,
        removals_per_hour: 0,
        join_wave_max: 0,
        join_wave_window: Duration::ZERO,
        join_wave_hold: Duration::ZERO,
        join_wave_verdict: Verdict::Pass,
        newcomers: conduct::Newcomers {
            probation: Duration::from_secs(40),
            messages_max: 3,
            messages_verdict: Verdict::Block,
            links_max: 1,
            links_verdict: Verdict::Review,
            images_max: 0,
            images_verdict: Verdict::Block,
            mentions_max: 2,
            mentions_verdict: Verdict::Review,
        },
    }
}

fn house(config: conduct::Config) -> House {
    let mut house = House::new();
    house.rules.limits.conduct = config;
    house
}

fn carrying(id: &str, member: &'static str, carried: CarriedFact) -> GroupEvent<'static> {
    let links: Vec<String> = (0..carried.links).map(|n| format!("看 http://shop.cn/{n} 。")).collect();
    let image = Attachment { kind: "Image".into(), ..Attachment::default() };
    let message = Message {
        text: links.concat().into(),
        mentions: (0..carried.mentions).map(|n| format!("m-{n}").into()).collect(),
        attachments: vec![image; carried.images.into()],
        ..Message::default()
    };
    GroupEvent { member: Some(member.into()), ..event(id, What::Message(message)) }
}

fn categories(decision: &Decision<'_>) -> Vec<(String, String)> {
    let ours = decision.answer.hits.iter().filter(|hit| hit.wordlist == "conduct");
    ours.map(|hit| (hit.category.clone(), hit.term.clone())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn each_limit_names_itself_and_touches_only_what_it_counts() {
    let mut house = house(config());
    let links = CarriedFact { links: 2, ..CarriedFact::default() };
    let (first, second, plain) = (
        carrying("1", "u-1", links),
        carrying("2", "u-1", links),
        carrying("3", "u-1", CarriedFact::default()),
    );
    assert_eq!(house.take(&first).answer.verdict, Verdict::Pass);
    let decision = house.take(&second);
    assert_eq!(decision.answer.verdict, Verdict::Block);
    assert_eq!(categories(&decision), pairs(&[("flood_links", "3 / 30s")]));
    assert_eq!(house.take(&plain).answer.verdict, Verdict::Pass, "it has no links");
}

#[test]
fn attachments_and_kinds_of_messages_count_once() {
    let mut house = house(config());
    let attachments = vec![Attachment { kind: "link".into(), ..Attachment::default() }];
    let link = Message { content_type: Some("link".into()), attachments, ..Message::default() };
    let photo = Message { content_type: Some("photo".into()), ..Message::default() };
    for (id, message, expect) in [
        ("1", link, CarriedFact { links: 1, ..CarriedFact::default() }),
        ("2", photo, CarriedFact { images: 1, ..CarriedFact::default() }),
    ] {
        let event = event(id, What::Message(message));
        let effects = house.take(&event).effects.unwrap();
        assert!(effects.facts.contains(&Fact::Carried(expect)), "{:?}", effects.facts);
    }
}

#[test]
fn nothing_is_counted_or_written_that_no_limit_asks_for() {
    let mut house = house(conduct::Config::default());
    let all = CarriedFact { links: 9, images: 9, mentions: 9 };
    let (join, said) = (joined("1"), carrying("2", "u-1", all));
    let facts = [house.take(&join).effects.unwrap().facts, house.take(&said).effects.unwrap().facts].concat();
    let ours = facts.iter().filter(|fact| matches!(fact, Fact::Carried(_) | Fact::State(_))).count();
    assert_eq!(ours, 0, "{facts:?}");
}

#[test]
fn new_members_are_held_to_stricter_limits_until_their_time_is_over() {
    let mut house = house(config());
    let events: Vec<_> = (0..5).map(|n| carrying(&n.to_string(), "u-1", CarriedFact::default())).collect();
    let join = joined("join");
    house.take(&join);
    for event in &events[..3] {
        assert_eq!(house.take(event).answer.verdict, Verdict::Pass);
    }
    let decision = house.take(&events[3]);
    assert_eq!(categories(&decision), pairs(&[("flood", "3 / 30s, newcomers")]));
    house.rules.limits.conduct.newcomers.probation = Duration::ZERO;
    assert_eq!(
        house.take(&events[4]).answer.verdict,
        Verdict::Pass,
        "a change of the configuration holds at once"
    );
}

#[test]
fn who_was_found_by_comparing_lists_is_new_only_since_the_time_the_platform_says() {
    let found = |id: &str, at_ms| GroupEvent { at_ms, ..event(id, What::joined(true)) };
    for (at_ms, is_noted) in [(None, false), (Some(NOW - 40_000), false), (Some(NOW - 39_999), true)] {
        let mut house = house(config());
        let join = found("1", at_ms);
        let effects = house.take(&join).effects.unwrap();
        let noted = effects.facts.iter().any(|fact| matches!(fact, Fact::State(_)));
        assert_eq!(noted, is_noted, "{at_ms:?}");
    }
}

#[test]
fn staff_by_role_or_by_what_they_are_to_us_and_bots_have_no_limits() {
    let many = CarriedFact { links: 9, images: 9, mentions: 9 };
    for (role, kin) in [(Role::Staff, Kin::Other), (Role::Bot, Kin::Other), (Role::Customer, Kin::Staff)] {
        let mut house = house(config());
        house.kin.insert("u-1", kin);
        let said = GroupEvent { role, ..carrying("1", "u-1", many) };
        assert_eq!(categories(&house.take(&said)), pairs(&[]), "{role:?} {kin:?}");
    }
    let customer = carrying("1", "u-1", many);
    assert_eq!(house(config()).take(&customer).answer.verdict, Verdict::Block);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Say(usize, CarriedFact),
    /// The event of this number comes again.
    Again(usize),
    /// The gateway starts anew and reads the journal.
    Restart,
    /// What is old is dropped.
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let carried = (0..3_u8, 0..3_u8, 0..4_u8).prop_map(|(links, images, mentions)| CarriedFact {
        links,
        images,
        mentions,
    });
    let step = prop_oneof![
        1 => (0..MEMBERS.len()).prop_map(Step::Join),
        8 => (0..MEMBERS.len(), carried).prop_map(|(member, carried)| Step::Say(member, carried)),
        2 => (0..60_usize).prop_map(Step::Again),
        1 => Just(Step::Restart),
        1 => Just(Step::Sweep),
    ];
    vec((0..8_000_i64, step), 1..60)
}

/// What the limits say, computed from the whole history each time.
#[derive(Default)]
struct Oracle {
    said: Vec<(i64, usize, CarriedFact)>,
    joined: HashMap<usize, i64>,
}

impl Oracle {
    fn verdict(&self, member: usize, carried: CarriedFact, now_ms: i64) -> Verdict {
        let recent = self.said.iter().filter(|said| said.1 == member && said.0 > now_ms - 30_000);
        let recent: Vec<CarriedFact> = recent.map(|said| said.2).chain([carried]).collect();
        let total = |of: fn(&CarriedFact) -> u8| recent.iter().map(|c| usize::from(of(c))).sum::<usize>();
        let is_new = self.joined.get(&member).is_some_and(|at| now_ms < at + 40_000);
        let mut verdicts = vec![Verdict::Pass];
        let mut limit = |holds: bool, total: usize, max: usize, verdict| {
            if holds && total > max {
                verdicts.push(verdict);
            }
        };
        limit(true, recent.len(), 5, Verdict::Review);
        limit(is_new, recent.len(), 3, Verdict::Block);
        let links = total(|c| c.links);
        limit(carried.links > 0, links, 3, Verdict::Block);
        limit(carried.links > 0 && is_new, links, 1, Verdict::Review);
        limit(carried.images > 0, total(|c| c.images), 4, Verdict::Review);
        let mentions = total(|c| c.mentions);
        limit(carried.mentions > 0, mentions, 6, Verdict::Block);
        limit(carried.mentions > 0 && is_new, mentions, 2, Verdict::Review);
        verdicts.into_iter().max().unwrap()
    }
}

proptest! {
    // Each case compiles the rules of its house, which takes most of its time.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_history_is_judged_as_if_all_of_it_were_looked_at(steps in steps()) {
        let mut at_ms = NOW;
        let events: Vec<GroupEvent<'static>> = steps
            .iter()
            .enumerate()
            .map(|(n, (pause, step))| {
                at_ms += pause;
                let event = match step {
                    Step::Join(member) => {
                        GroupEvent { member: Some(MEMBERS[*member].into()), ..joined(&n.to_string()) }
                    }
                    Step::Say(member, carried) => carrying(&n.to_string(), MEMBERS[*member], *carried),
                    Step::Again(_) | Step::Restart | Step::Sweep => says("none", ""),
                };
                GroupEvent { at_ms: Some(at_ms), ..event }
            })
            .collect();
        let (mut house, mut oracle) = (house(config()), Oracle::default());
        let mut journal: Vec<Effects<'_>> = Vec::new();
        for (n, (pause, step)) in steps.iter().enumerate() {
            house.now_ms += pause;
            match step {
                Step::Join(member) => {
                    journal.extend(house.take(&events[n]).effects);
                    oracle.joined.insert(*member, house.now_ms);
                }
                Step::Say(member, carried) => {
                    let expect = oracle.verdict(*member, *carried, house.now_ms);
                    let decision = house.take(&events[n]);
                    prop_assert_eq!(decision.answer.verdict, expect, "step {} of {:?}", n, steps);
                    journal.extend(decision.effects);
                    oracle.said.push((house.now_ms, *member, *carried));
                }
                Step::Again(of) if *of < n && matches!(steps[*of].1, Step::Join(_) | Step::Say(..)) => {
                    let decision = house.take(&events[*of]);
                    prop_assert_eq!(decision.answer.status, Status::Duplicate);
                    prop_assert!(decision.effects.is_none());
                }
                Step::Again(_) => {}
                Step::Restart => {
                    house.state = PartitionState::default();
                    for effects in &journal {
                        house.state.apply(effects);
                    }
                }
                Step::Sweep => house.state.sweep(house.now_ms, 0),
            }
        }
    }
}

#[test]
fn a_wave_of_joins_is_told_once_and_whoever_came_with_it_is_looked_at() {
    let config = conduct::Config {
        join_wave_max: 3,
        join_wave_window: Duration::from_mins(10),
        join_wave_hold: Duration::from_hours(1),
        join_wave_verdict: Verdict::Review,
        flood_messages_max: 0,
        newcomers: conduct::Newcomers::default(),
        ..config()
    };
    let mut house = house(config);
    let mut reviews = Vec::new();
    for n in 0..6 {
        let joined =
            GroupEvent { member: Some(format!("w-{n}").into()), at_ms: None, ..joined(&format!("j-{n}")) };
        let facts = house.take(&joined).effects.unwrap().facts;
        reviews.extend(facts.iter().filter(|fact| matches!(fact, Fact::Review(_))).map(|_| n));
    }
    assert_eq!(reviews, [3], "the fourth is one too many, and a person is told once");
    let says = |id: &str, member: &'static str| GroupEvent {
        member: Some(member.into()),
        at_ms: None,
        ..says(id, "大家好")
    };
    let came = says("a", "w-0");
    let decision = house.take(&came);
    assert_eq!(decision.answer.verdict, Verdict::Review);
    assert_eq!(categories(&decision), pairs(&[("join_wave", "join_wave")]));
    assert_eq!(house.take(&says("b", "u-old")).answer.verdict, Verdict::Pass, "who was there before");
    house.now_ms += 3_600_000;
    assert_eq!(house.take(&says("c", "w-0")).answer.verdict, Verdict::Pass, "it is over");
}

#[test]
fn a_name_is_judged_with_what_is_said_and_at_the_door() {
    use crate::interception::content::{AsideRule, ContentPolicy};
    let mut house = House::new();
    let base = house.rules.policy(None, Role::Customer).unwrap().clone();
    let policy =
        |names| Policy { content: Some(ContentPolicy { names, ..ContentPolicy::default() }), ..base.clone() };
    let named = |event: GroupEvent<'static>| GroupEvent { name: Some("加微信领红包".into()), ..event };
    let off = named(says("1", "大家好"));
    assert_eq!(house.take_by(&off, Some(&policy(AsideRule::Off))).answer.verdict, Verdict::Pass);
    let same = named(says("2", "大家好"));
    let decision = house.take_by(&same, Some(&policy(AsideRule::Same)));
    assert_eq!(
        (decision.answer.verdict, decision.answer.hits[0].category.as_str()),
        (Verdict::Block, "name")
    );
    let door = named(joined("3"));
    let decision = house.take_by(&door, Some(&policy(AsideRule::Same)));
    assert_eq!(decision.answer.verdict, Verdict::Review);
    assert!(decision.answer.actions.is_empty(), "a join cannot be withdrawn");
    assert_eq!(sends(decision.effects.as_ref()), [""; 0], "we do not say the name ourselves");
    assert!(decision.effects.unwrap().facts.iter().any(|fact| matches!(fact, Fact::Review(_))));
    let mut says_so = joined("4");
    if let What::MemberJoined { profile, .. } = &mut says_so.what {
        *profile = Some("加微信领红包".into());
    }
    for (rule, expect) in [(AsideRule::Same, Verdict::Review), (AsideRule::Off, Verdict::Pass)] {
        let door = GroupEvent { id: format!("{expect:?}").into(), ..says_so.clone() };
        let decision = house.take_by(&door, Some(&policy(rule)));
        let category = decision.answer.hits.first().map(|hit| hit.category.as_str());
        assert_eq!(
            (decision.answer.verdict, category),
            (expect, (expect > Verdict::Pass).then_some("profile"))
        );
    }
}

#[test]
fn a_flood_is_one_review_however_long_it_lasts() {
    let config =
        conduct::Config { flood_messages_max: 3, newcomers: conduct::Newcomers::default(), ..config() };
    let mut house = house(config);
    let reviews = |house: &mut House, n: usize, member: &'static str, text: &'static str| {
        let said =
            GroupEvent { member: Some(member.into()), at_ms: None, ..says(&format!("{member}-{n}"), text) };
        let decision = house.take(&said);
        let held = |facts: &[Fact<'_>]| {
            let is_review = facts.iter().any(|fact| matches!(fact, Fact::Review(_)));
            let named =
                facts.iter().find_map(|f| if let Fact::Held(h) = f { Some(h.of.to_string()) } else { None });
            assert_eq!(named, is_review.then(|| said.id.to_string()), "it says which message it is");
            usize::from(is_review)
        };
        (decision.answer.verdict, held(&decision.effects.unwrap().facts))
    };
    let mut told = 0;
    for n in 0..40 {
        let (verdict, review) = reviews(&mut house, n, "u-1", "在吗");
        assert_eq!(verdict, if n < 3 { Verdict::Pass } else { Verdict::Review }, "each is held up");
        told += review;
        house.now_ms += 1_000;
    }
    assert_eq!(told, 1);
    assert_eq!((0..5).map(|n| reviews(&mut house, n, "u-2", "在吗").1).sum::<usize>(), 1, "another member's");
    house.now_ms += 11 * 60 * 1_000;
    assert_eq!((50..56).map(|n| reviews(&mut house, n, "u-1", "在吗").1).sum::<usize>(), 1, "a new one");
}
