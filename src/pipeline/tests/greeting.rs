//! Who joins together is greeted together: bursts, their gaps, quiet hours, those who come back; against an oracle.

use proptest::prelude::*;

use super::*;
use crate::event::{StateFact, StateKind};
use crate::outbox::delivery::{Article, Delivery, FileKind, Payload, Priority};

/// Joins of a group with the greetings of the configuration as it ships.
struct Door {
    house: House,
    serial: usize,
    journal: Vec<Effects<'static>>,
    /// What was said, and when.
    said: Vec<(i64, String)>,
}

impl Door {
    fn new(welcome: &str) -> Self {
        let mut house = House::new();
        house.rules.limits.welcomes = welcomes::Config::default();
        let welcome = serde_json::from_str::<Welcome>(welcome).unwrap();
        let all = [("all".to_owned(), welcome)];
        house.rules.welcomes = Welcomes::compile(&all, &house.rules.limits.welcomes).unwrap();
        Self { house, serial: 0, journal: Vec::new(), said: Vec::new() }
    }

    fn take(&mut self, event: &GroupEvent<'static>) -> (Vec<String>, Vec<Skipped>) {
        let event = event.clone();
        let decision = self.house.take(&event);
        let (said, skipped) = (sends(decision.effects.as_ref()), decision.skipped);
        self.journal.extend(decision.effects.map(kept));
        self.said.extend(said.iter().map(|text| (self.house.now_ms, text.clone())));
        (said, skipped)
    }

    fn joins(&mut self, member: &str) -> (Vec<String>, Vec<Skipped>) {
        self.serial += 1;
        let event = joined(&format!("j-{}", self.serial));
        let name = Some(format!("小{member}").into());
        self.take(&GroupEvent { member: Some(member.to_owned().into()), name, at_ms: None, ..event })
    }

    fn leaves(&mut self, member: &str) {
        self.serial += 1;
        let event = event(&format!("l-{}", self.serial), What::MemberLeft { reason: None, inferred: false });
        self.take(&GroupEvent { member: Some(member.to_owned().into()), at_ms: None, ..event });
    }

    /// Lets time pass in steps of half a second, and brings to its moment what is due.
    fn waits(&mut self, ms: i64) -> Vec<String> {
        let until = self.house.now_ms + ms;
        let mut said = Vec::new();
        while self.house.now_ms < until {
            self.house.now_ms += 500;
            let due: Vec<i64> = self
                .house
                .state
                .small
                .due(StateKind::Burst, self.house.now_ms)
                .map(|(_, at_ms)| at_ms)
                .collect();
            for at_ms in due {
                let moment = GroupEvent {
                    member: None,
                    role: Role::Bot,
                    at_ms: None,
                    ..event(&format!("due-{at_ms}"), What::Due)
                };
                said.extend(self.take(&moment).0);
            }
        }
        said
    }

    fn restarts(&mut self) {
        self.house.state = PartitionState::default();
        for effects in &self.journal {
            self.house.state.apply(effects);
        }
    }
}

/// What a restart finds of an event that only joins, leaves and greets.
pub(super) fn kept(effects: Effects<'_>) -> Effects<'static> {
    let facts = effects.facts.into_iter().filter_map(|fact| {
        let Fact::State(StateFact { kind, key, value, expires_ms }) = fact else { return None };
        let (key, value) = (key.into_owned().into(), value.map(|value| value.into_owned().into()));
        Some(Fact::State(StateFact { kind, key, value, expires_ms }))
    });
    Effects { head: effects.head.into_owned(), facts: facts.collect() }
}

#[test]
fn two_hundred_people_scan_a_poster_and_hear_a_few_greetings() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}"}"#);
    let mut said = Vec::new();
    for n in 0..200 {
        assert_eq!(door.joins(&n.to_string()).0, [""; 0]);
        said.extend(door.waits(1_000));
    }
    said.extend(door.waits(120_000));
    assert_eq!(
        said,
        [
            "欢迎 小0、小1、小2",
            "欢迎 小3、小4、小5 等 60 位",
            "欢迎 小63、小64、小65 等 60 位",
            "欢迎 小123、小124、小125 等 60 位",
            "欢迎 小183、小184、小185 等 17 位"
        ]
    );
}

#[test]
fn many_at_once_do_not_wait_for_more() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}，共 {member.count} 人"}"#);
    door.house.rules.limits.welcomes.burst_window = Duration::from_hours(1);
    for n in 0..100 {
        door.joins(&n.to_string());
    }
    assert_eq!(door.waits(500), ["欢迎 小0、小1、小2 等 100 位，共 100 人"]);
}

#[test]
fn whoever_comes_at_night_is_greeted_in_the_morning() {
    let mut door = Door::new(r#"{"text": "早 {member.name}", "quiet": "22:00-08:00"}"#);
    let evening = "2026-11-27T23:30:00Z".parse::<jiff::Timestamp>().unwrap();
    door.house.now_ms = evening.as_millisecond();
    door.joins("1");
    assert_eq!(door.waits(3_600_000), [""; 0]);
    door.restarts();
    door.joins("2");
    assert_eq!(door.waits(7 * 3_600_000 + 29 * 60_000), [""; 0]);
    assert_eq!(door.waits(120_000), ["早 小1、小2"]);
}

#[test]
fn whoever_left_a_few_days_ago_is_not_greeted_again() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}"}"#);
    door.leaves("1");
    door.house.now_ms += 6 * 24 * 3_600_000;
    assert_eq!(door.joins("1").1, [skipped("all", SkipReason::Rejoined)]);
    assert_eq!(door.waits(10_000), [""; 0]);
    door.house.now_ms += 24 * 3_600_000;
    door.joins("1");
    assert_eq!(door.waits(10_000), ["欢迎 小1"]);
}

#[test]
fn what_came_too_late_is_not_said() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}"}"#);
    door.joins("1");
    door.house.now_ms += 20 * 60_000; // the gateway was down
    assert_eq!(door.waits(1_000), [""; 0]);
    assert_eq!(door.house.state.small.entries(StateKind::Burst).count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Each newcomer is part of exactly one greeting, two greetings are a gap apart, a repeat changes nothing, and a
    /// restart at any moment changes nothing.
    #[test]
    fn everybody_is_greeted_once(
        steps in prop::collection::vec((0_i64..40_000, 0_u8..6), 1..40),
    ) {
        let mut door = Door::new(r#"{"text": "{member.count}"}"#);
        door.house.rules.limits.welcomes.names_max = 0;
        let mut came = 0;
        for (wait_ms, kind) in steps.into_iter().chain([(600_000, 5)]) {
            door.waits(wait_ms);
            match kind {
                0 => door.restarts(),
                1 => {
                    // The same join again.
                    let event = joined(&format!("j-{}", door.serial.max(1)));
                    let again = GroupEvent { member: Some("again".into()), at_ms: None, ..event };
                    if door.serial > 0 {
                        prop_assert_eq!(door.take(&again).0, [""; 0]);
                    }
                }
                5 => {}
                _ => {
                    door.joins(&came.to_string());
                    came += 1;
                }
            }
        }
        let greeted: u32 = door.said.iter().map(|(_, count)| count.parse::<u32>().unwrap()).sum();
        prop_assert_eq!(greeted, came);
        prop_assert!(door.said.windows(2).all(|two| two[1].0 - two[0].0 >= 60_000), "{:?}", door.said);
    }
}

/// A welcome with a link to each shop's page and a file by address.
const FURNISHED: &str = r#"{"text": "欢迎 {member.name}", "attachments": [
    {"type": "link", "link": {"title": "{shop.name}", "url": "https://a.example/{member.name}"}},
    {"type": "reference", "of": "file", "name": "{shop.vars.coupon|券}.pdf", "url": "https://a.example/c.pdf"},
    {"type": "link", "link": {"title": "{group.vars.unknown}", "url": "https://a.example"}}]}"#;

/// What goes out because of an event, in order.
fn deliveries(decision: &Decision<'_>) -> Vec<Delivery> {
    let effects = decision.effects.as_ref().unwrap();
    effects.facts.iter().filter_map(|fact| Delivery::caused(&effects.head, fact)).collect()
}

fn link(title: &str, url: &str) -> Content {
    Content::Link { link: Article { title: title.into(), url: url.into(), ..Article::default() } }
}

#[test]
fn what_goes_with_a_greeting_follows_it_as_far_as_the_platform_shows_it() {
    let mut door = Door::new(FURNISHED);
    door.house.rules.limits.welcomes.burst_window = Duration::ZERO;
    let join = |id: &str| GroupEvent { name: Some("小王".into()), at_ms: None, ..joined(id) };
    let (first, second) = (join("1"), join("2"));
    let decision = door.house.take(&first);
    let missing = |name: &str| skipped("all", SkipReason::Missing(name.to_owned()));
    assert_eq!(decision.skipped, [missing("group.vars.unknown")]);
    let sent = deliveries(&decision);
    let payloads: Vec<_> = sent.iter().map(|delivery| delivery.payload.clone()).collect();
    let file = Content::Reference {
        of: FileKind::File,
        name: "券.pdf".into(),
        url: "https://a.example/c.pdf".into(),
    };
    let content = |content| Payload::Content { content };
    let expect =
        [Payload::text("欢迎 小王"), content(link("南京东路店", "https://a.example/小王")), content(file)];
    assert_eq!(payloads, expect);
    let ids: std::collections::BTreeSet<_> = sent.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "each has an id of its own");
    door.house.now_ms += HOUR_MS;
    door.house.shows = |content| !matches!(content, Content::Link { .. });
    let decision = door.house.take(&second);
    assert_eq!(
        decision.skipped,
        [skipped("all", SkipReason::Unsupported), skipped("all", SkipReason::Unsupported)]
    );
    assert_eq!(deliveries(&decision).len(), 2);
}

#[test]
fn a_contact_hears_it_in_one_call_as_a_code_works_once() {
    let mut door = Door::new(&FURNISHED.replacen('{', r#"{"on": "contact_added", "#, 1));
    door.house.now_ms = NOW + 5_000;
    let (added, plain) = (contact("1"), contact("2"));
    let sent = deliveries(&door.house.take(&added));
    let [Delivery { payload: Payload::Text { text, welcome_code, attachments }, priority, .. }] =
        sent.as_slice()
    else {
        panic!("{sent:?}")
    };
    assert_eq!((text.as_str(), welcome_code.as_deref()), ("欢迎 小王", Some("code-1")));
    assert_eq!((attachments.len(), *priority), (2, Priority::Urgent));
    door.house.shows = |_| false;
    let sent = deliveries(&door.house.take(&plain));
    let [Delivery { payload: Payload::Text { attachments, .. }, .. }] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert!(attachments.is_empty());
}

#[test]
fn nobody_is_called_by_an_id_or_by_an_advert() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}"}"#);
    door.house.rules.limits.welcomes.burst_window = Duration::ZERO;
    door.house.rules.limits.welcomes.burst_gap = Duration::ZERO;
    for (id, name, text, said) in [
        ("1", None, "欢迎 {member.name}", "欢迎 您"),
        ("2", Some(""), "欢迎 {member.name|新朋友}", "欢迎 新朋友"),
        ("3", Some("国家级理财"), "欢迎 {member.name|新朋友}", "欢迎 新朋友"),
        ("4", Some("小王"), "欢迎 {member.name|新朋友}", "欢迎 小王"),
    ] {
        let welcome = Welcome { text: text.into(), ..serde_json::from_str(r#"{"text": "x"}"#).unwrap() };
        let limits = &door.house.rules.limits.welcomes;
        door.house.rules.welcomes = Welcomes::compile(&[("all".to_owned(), welcome)], limits).unwrap();
        let event = GroupEvent { name: name.map(Into::into), at_ms: None, ..joined(id) };
        assert_eq!(door.take(&event).0, [said], "{name:?} {text}");
    }
}

#[test]
fn with_an_advert_among_many_names_none_is_said() {
    let mut door = Door::new(r#"{"text": "欢迎 {member.name}"}"#);
    for (id, name) in [("1", "小甲"), ("2", "国家级理财"), ("3", "小乙")] {
        let member = Some(format!("u-{id}").into());
        let event = GroupEvent { name: Some(name.into()), member, at_ms: None, ..joined(id) };
        assert_eq!(door.take(&event).0, [""; 0]);
    }
    assert_eq!(door.waits(120_000), ["欢迎 3 位"]);
}

#[test]
fn our_own_words_are_judged_where_they_are_said() {
    let mut door = Door::new(r#"{"text": "国家级好店"}"#);
    door.house.rules.limits.welcomes.burst_window = Duration::ZERO;
    assert_eq!(door.joins("a"), (vec![], vec![skipped("all", SkipReason::Blocked)]));
}
