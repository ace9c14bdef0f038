//! The stages together, on events as they come.

mod conducting;
mod escalating;
mod greeting;
mod journeying;
mod replying;
mod talking;
mod unsaying;
mod verdicts;

use std::collections::HashMap;

use parking_lot::Mutex;

use super::*;
use crate::event::{ActionKind, Effects, Fact, Message, RosterRead, RosterStep, Verdict};
use crate::interception::{Audience, Origin, Term, WordlistSource};
use crate::replies::Rule;
use crate::welcomes::Welcome;

const NOW: i64 = 1_790_000_000_000;

fn rules() -> Rules {
    let mut list = WordlistSource::new("diversion", Origin::Api);
    list.terms.push(Term { text: "加微信".into(), ..Term::default() });
    let (words, problems) =
        Ruleset::compile("r-1", &[list], Vec::new(), &interception::Config::default()).unwrap();
    assert!(problems.is_empty());
    let reply = Rule {
        keywords: vec!["营业时间".into()],
        text: "{shop.name}：十点".into(),
        cooldown_s: 60,
        ..Rule::default()
    };
    let welcome = |json: &str| serde_json::from_str::<Welcome>(json).unwrap();
    let contact = r#"{"text": "您好 {member.name}，我是{shop.name}的 {staff.id}", "on": "contact_added"}"#;
    let welcomes =
        [("all".into(), welcome(r#"{"text": "欢迎 {member.name}"}"#)), ("contact".into(), welcome(contact))];
    let limits = Limits {
        policy: "standard".into(),
        conduct: conduct::Config { flood_messages_max: 3, ..conduct::Config::default() },
        welcomes: welcomes::Config {
            burst_window: Duration::ZERO,
            burst_gap: Duration::ZERO,
            ..welcomes::Config::default()
        },
        ..Limits::default()
    };
    Rules {
        words,
        replies: reply_rules(&[("hours", reply)], &limits.replies),
        welcomes: Welcomes::compile(&welcomes, &limits.welcomes).unwrap(),
        journeys: Journeys::default(),
        limits,
    }
}

fn reply_rules(rules: &[(&str, Rule)], config: &replies::Config) -> replies::Rules {
    let rules: Vec<_> = rules.iter().map(|(id, rule)| ((*id).to_owned(), rule.clone())).collect();
    let words = interception::Config::default();
    replies::Rules::compile(&rules, &replies::Synonyms::default(), config, &words).unwrap()
}

/// A house of one group: recognises, decides and applies like the real one.
#[expect(clippy::struct_excessive_bools, reason = "what the platform can do, each by its name")]
struct House {
    rules: Rules,
    state: PartitionState,
    now_ms: i64,
    shop: Option<&'static str>,
    can_post: bool,
    shows: fn(&Content) -> bool,
    can_hear: bool,
    welcome_code_life: Option<Duration>,
    heard: Option<crate::event::Opinion<'static>>,
    /// Somebody else is asked, and must answer.
    asks: bool,
    kin: HashMap<&'static str, Kin>,
    can_punish: bool,
    kicked: Option<&'static str>,
    removals_max: u32,
    spent: Mutex<conduct::budget::Spent>,
}

impl House {
    fn new() -> Self {
        Self {
            rules: rules(),
            state: PartitionState::default(),
            now_ms: NOW,
            shop: Some("南京东路店"),
            can_post: true,
            shows: |_| true,
            can_hear: true,
            welcome_code_life: Some(Duration::from_secs(20)),
            heard: None,
            asks: false,
            kin: HashMap::new(),
            can_punish: true,
            kicked: None,
            removals_max: 1,
            spent: Mutex::default(),
        }
    }

    fn arrival(&self, event: &GroupEvent<'_>) -> Arrival {
        let key = EventKey::of(&[3; 16], &event.account, &event.group, &event.id);
        Arrival { now_ms: self.now_ms, key, secret: [3; 16] }
    }

    fn recognise(&self, event: &GroupEvent<'_>) -> Recognised {
        recognise(&self.state, &self.rules.limits.dedupe, event, &self.arrival(event), None)
    }

    fn take<'e>(&mut self, event: &'e GroupEvent<'_>) -> Decision<'e> {
        self.take_by(event, None)
    }

    /// Takes an event by a policy of its own.
    fn take_by<'e>(&mut self, event: &'e GroupEvent<'_>, policy: Option<&Policy>) -> Decision<'e> {
        let arrival = self.arrival(event);
        let recognised = self.recognise(event);
        let Recognised::As(status) = recognised else { panic!("{recognised:?}") };
        let shop = self.shop;
        let variable = |name: &str| if name == "shop.name" { shop } else { None };
        let policy = policy.or_else(|| self.rules.policy(None, event.role));
        let setting = Setting {
            policy,
            audience: Audience::default(),
            home: Home {
                kin: &|member| self.kin.get(member).copied().unwrap_or(Kin::Other),
                ..Home::unknown()
            },
            variable: &variable,
            may_say: &|text| !text.contains("国家级"),
            can_withhold: true,
            can_recall: true,
            can_post: self.can_post,
            shows: &|content| (self.shows)(content),
            can_mute: self.can_punish,
            can_remove: self.can_punish,
            kicked: self.kicked,
            budget: &|key| self.spent.lock().try_spend(key, self.removals_max, self.now_ms),
            can_hear: self.can_hear,
            welcome_code_life: self.welcome_code_life,
            asking: Asking {
                heard: self.heard.as_ref(),
                asks: if self.asks { Some(&|_, _| true) } else { None },
                must_answer: self.asks,
            },
        };
        let mut scratch = Scratch::default();
        let decision = decide(&self.state, &self.rules, &setting, event, status, &arrival, &mut scratch);
        if let Some(effects) = &decision.effects {
            self.state.apply(effects);
        }
        if let Some((speaker, said)) = decision.said.clone() {
            self.rules.words.note(&mut self.state.recent, speaker, said, self.now_ms);
        }
        decision
    }
}

fn event(id: &str, what: What<'static>) -> GroupEvent<'static> {
    GroupEvent {
        step: None,
        id: id.to_owned().into(),
        account: "demo".into(),
        group: "g-1".into(),
        member: Some("u-1".into()),
        name: None,
        role: Role::Customer,
        at_ms: Some(NOW),
        what,
    }
}

fn says(id: &str, text: &'static str) -> GroupEvent<'static> {
    event(id, What::Message(Message { text: text.into(), ..Message::default() }))
}

fn joined(id: &str) -> GroupEvent<'static> {
    event(id, What::joined(false))
}

fn skipped(rule: &str, reason: SkipReason) -> Skipped {
    Skipped { rule: rule.into(), reason }
}

fn sends(effects: Option<&Effects<'_>>) -> Vec<String> {
    let facts = effects.map_or(&[][..], |effects| &effects.facts);
    facts
        .iter()
        .filter_map(|fact| if let Fact::Send(send) = fact { Some(send.text.to_string()) } else { None })
        .collect()
}

#[test]
fn a_blocked_message_is_recalled_and_says_why() {
    let advert = says("1", "加 微 信 领优惠，营业时间");
    let decision = House::new().take(&advert);
    assert_eq!(decision.answer.verdict, Verdict::Block);
    assert_eq!(decision.answer.hits[0].matched, "加 微 信");
    assert_eq!(decision.answer.actions[0].kind, ActionKind::Recall);
    assert_eq!(sends(decision.effects.as_ref()), [""; 0], "a blocked message is not answered");
    let facts = decision.effects.unwrap().facts;
    assert!(matches!(&facts[0], Fact::Hit(hit) if hit.wordlist == "diversion" && hit.span == (0, 11)));
    assert!(
        facts.iter().any(|fact| matches!(fact, Fact::Action(action) if action.of.as_deref() == Some("1")))
    );
}

#[test]
fn a_word_split_over_messages_is_found_where_the_policy_is_strict() {
    for (policy, expect) in [("strict", Verdict::Block), ("standard", Verdict::Pass)] {
        let mut house = House::new();
        house.rules.limits.policy = policy.into();
        for (id, text) in [("a", "加"), ("b", "微"), ("b", "微")] {
            let said = says(id, text);
            assert_eq!(house.take(&said).answer.verdict, Verdict::Pass);
        }
        let other = GroupEvent { member: Some("u-2".into()), ..says("c", "信") };
        assert_eq!(house.take(&other).answer.verdict, Verdict::Pass);
        let last = says("d", "信");
        assert_eq!(house.take(&last).answer.verdict, expect, "{policy}");
        house.now_ms += 10 * 60 * 1_000;
        house.state.sweep(house.now_ms, 0);
        assert_eq!(house.state.recent.members(), 0);
    }
}

#[test]
fn a_repeat_is_judged_again_and_has_no_effect() {
    let mut house = House::new();
    let advert = says("1", "加微信");
    assert_eq!(house.take(&advert).answer.status, Status::Counted);
    let again = house.take(&advert);
    assert_eq!((again.answer.status, again.answer.verdict), (Status::Duplicate, Verdict::Block));
    assert_eq!(again.effects, None);
    assert!(again.answer.actions.is_empty());
}

#[test]
fn a_rule_answers_once_until_its_cooldown_is_over() {
    let mut house = House::new();
    let asked: Vec<GroupEvent<'_>> = ["1", "2", "3"].iter().map(|id| says(id, "请问营业时间？")).collect();
    assert_eq!(sends(house.take(&asked[0]).effects.as_ref()), ["南京东路店：十点"]);
    assert_eq!(sends(house.take(&asked[1]).effects.as_ref()), [""; 0]);
    house.now_ms += 60_000;
    assert_eq!(sends(house.take(&asked[2]).effects.as_ref()), ["南京东路店：十点"]);
}

#[test]
fn a_text_without_its_value_is_not_sent_and_reported() {
    let mut house = House { shop: None, ..House::new() };
    let asked = says("1", "营业时间");
    let decision = house.take(&asked);
    assert_eq!(sends(decision.effects.as_ref()), [""; 0]);
    assert_eq!(decision.skipped, [skipped("hours", SkipReason::Missing("shop.name".into()))]);
}

#[test]
fn programs_staff_and_latecomers_are_treated_apart() {
    let mut house = House::new();
    let bot = GroupEvent { role: Role::Bot, ..says("1", "营业时间") };
    assert_eq!(sends(house.take(&bot).effects.as_ref()), [""; 0]);
    assert_eq!(sends(house.take(&joined("2")).effects.as_ref()), ["欢迎 您"]);
    let staff = GroupEvent { role: Role::Staff, ..joined("3") };
    assert_eq!(sends(house.take(&staff).effects.as_ref()), [""; 0]);
    let old = GroupEvent { at_ms: Some(NOW - 11 * 60_000), ..joined("4") };
    assert_eq!(sends(house.take(&old).effects.as_ref()), [""; 0]);
    let late = GroupEvent { at_ms: Some(NOW - 73 * HOUR_MS), ..says("5", "营业时间") };
    let late = house.take(&late);
    assert_eq!(late.answer.status, Status::Late);
    assert_eq!(sends(late.effects.as_ref()), [""; 0]);
}

#[test]
fn a_flood_raises_the_verdict_and_says_so() {
    let mut house = House::new();
    let verdicts: Vec<Verdict> = (0..5)
        .map(|n| {
            let message = says(&n.to_string(), "好");
            house.take(&message).answer.verdict
        })
        .collect();
    assert_eq!(verdicts[..3], [Verdict::Pass; 3]);
    assert_eq!(verdicts[3..], [Verdict::Review; 2]);
}

#[test]
fn an_old_hour_is_marked_revised_and_the_future_is_refused() {
    let mut house = House::new();
    let old = GroupEvent { at_ms: Some(NOW - HOUR_MS), ..says("1", "好") };
    assert!(house.take(&old).effects.unwrap().head.revised);
    let new = says("2", "好");
    assert!(!house.take(&new).effects.unwrap().head.revised);
    let early = GroupEvent { at_ms: Some(NOW + 6 * 60_000), ..says("3", "好") };
    let arrival = Arrival { now_ms: NOW, key: EventKey(1), secret: [0; 16] };
    let limits = dedupe::Config::default();
    assert_eq!(recognise(&house.state, &limits, &early, &arrival, None), Recognised::Future);
}

fn step(id: &str, from: Option<u64>, to: u64) -> GroupEvent<'static> {
    GroupEvent { step: Some(RosterStep { from, to }), ..joined(id) }
}

#[test]
fn a_step_counts_only_where_the_roster_stands_at_its_beginning() {
    let mut house = House::new();
    assert_eq!(house.recognise(&step("1", Some(7), 8)), Recognised::Gap, "the roster was never read");
    for event in [step("2", None, 8), step("3", Some(8), 9)] {
        assert_eq!(house.take(&event).answer.status, Status::Counted);
    }
    assert_eq!(house.recognise(&step("4", Some(8), 10)), Recognised::Gap, "reordered");
    assert_eq!(house.recognise(&step("5", Some(10), 11)), Recognised::Gap, "10 was lost");
    assert_eq!(house.recognise(&step("6", None, 12)), Recognised::Gap);
    assert_eq!(house.recognise(&step("3", Some(8), 9)), Recognised::As(Status::Duplicate), "told again");
    let elsewhere = GroupEvent { group: "g-2".into(), ..step("7", None, 1) };
    assert_eq!(house.take(&elsewhere).answer.status, Status::Counted);
    assert_eq!(house.state.roster_marks("demo", "g-1"), [9, 8]);
}

#[test]
fn a_reading_of_the_version_we_know_checks_and_moves_nothing() {
    let mut house = House::new();
    house.take(&step("1", None, 8));
    let read = event("2", What::RosterRead(RosterRead::default()));
    let same = GroupEvent { step: Some(RosterStep { from: Some(8), to: 8 }), ..read.clone() };
    let facts = house.take(&same).effects.unwrap().facts;
    assert!(matches!(&facts[..], [Fact::Roster(_), Fact::State(_)]), "{facts:?}");
    assert_eq!(house.state.roster_marks("demo", "g-1"), [8]);
    let other = GroupEvent { step: Some(RosterStep { from: Some(9), to: 9 }), id: "3".into(), ..read };
    assert_eq!(house.recognise(&other), Recognised::Gap);
}

#[test]
fn the_newest_marks_survive_a_replay_and_years_of_silence() {
    let mut house = House::new();
    let mut replayed = PartitionState::default();
    for to in 1..=20 {
        let event = step(&to.to_string(), (to > 1).then_some(to - 1), to);
        let decision = house.take(&event);
        replayed.apply(&decision.effects.unwrap());
    }
    replayed.sweep(NOW + 10_000 * 24 * HOUR_MS, 0);
    assert_eq!(replayed.roster_marks("demo", "g-1"), [20, 19, 18, 17, 16, 15, 14, 13]);
}

#[test]
fn a_step_that_comes_too_late_moves_no_roster() {
    let mut house = House::new();
    let late = GroupEvent { at_ms: Some(NOW - 73 * HOUR_MS), ..step("1", None, 8) };
    assert_eq!(house.take(&late).answer.status, Status::Late);
    assert!(house.state.roster_marks("demo", "g-1").is_empty());
}

fn contact(id: &str) -> GroupEvent<'static> {
    let what = What::ContactAdded { staff: "s-1".into(), welcome_code: Some("code-1".into()), channel: None };
    GroupEvent { group: "".into(), name: Some("小王".into()), ..event(id, what) }
}

#[test]
fn a_new_contact_is_greeted_once_with_the_code_and_while_it_lives() {
    let mut house = House::new();
    house.now_ms = NOW + 5_000;
    let added = contact("1");
    let effects = house.take(&added).effects.unwrap();
    let said: Vec<_> = effects
        .facts
        .iter()
        .filter_map(|f| if let Fact::Send(send) = f { Some(send) } else { None })
        .collect();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].text, "您好 小王，我是南京东路店的 s-1");
    assert_eq!(said[0].welcome_code.as_deref(), Some("code-1"));
    assert_eq!((said[0].rule.as_ref(), said[0].expires_ms), ("contact", NOW + 20_000));
    let told_again = house.take(&added);
    assert_eq!((told_again.answer.status, told_again.effects), (Status::Duplicate, None));
}

#[test]
fn a_contact_is_not_greeted_with_a_dead_code_or_where_there_are_none() {
    let mut house = House::new();
    house.now_ms = NOW + 20_000;
    let (late, elsewhere) = (contact("1"), contact("2"));
    let decision = house.take(&late);
    assert_eq!(sends(decision.effects.as_ref()), [""; 0]);
    assert_eq!(decision.skipped, [skipped("contact", SkipReason::Expired)]);
    house.welcome_code_life = None;
    assert_eq!(house.take(&elsewhere).skipped, [skipped("contact", SkipReason::Unsupported)]);
    let nothing = What::ContactAdded { staff: "s-1".into(), welcome_code: None, channel: None };
    let without = GroupEvent { what: nothing, ..contact("3") };
    let decision = house.take(&without);
    assert_eq!((sends(decision.effects.as_ref()), decision.skipped), (Vec::new(), Vec::new()));
}

#[test]
fn a_join_that_was_inferred_counts_and_is_not_greeted() {
    let inferred = What::MemberJoined {
        inviter: None,
        scene: None,
        channel: None,
        union_id: Some("p".into()),
        profile: None,
        inferred: true,
    };
    let inferred = event("1", inferred);
    let decision = House::new().take(&inferred);
    assert_eq!(decision.answer.status, Status::Counted);
    assert!(matches!(&decision.effects.unwrap().facts[..], [Fact::Member(fact)] if fact.inferred));
}

#[test]
fn where_nothing_can_be_said_nothing_is_tried() {
    let mut house = House { can_post: false, ..House::new() };
    let (asked, came) = (says("1", "营业时间"), joined("2"));
    let decision = house.take(&asked);
    assert_eq!(sends(decision.effects.as_ref()), [""; 0]);
    assert_eq!(decision.skipped, [skipped("hours", SkipReason::Unsupported)]);
    assert_eq!(house.take(&came).skipped, [skipped("all", SkipReason::Unsupported)]);
    house.can_post = true;
    let again = says("3", "营业时间");
    assert_eq!(sends(house.take(&again).effects.as_ref()).len(), 1, "what was not said costs no cooldown");
}

#[test]
fn a_text_is_kept_only_where_policy_and_configuration_say_so() {
    use crate::event::EvidenceKind::{self, Blocked, History};
    use crate::interception::Keeping;
    let kept = |keeping: Keeping, limits: KeepingLimits, text: &'static str| {
        let mut house = House::new();
        let mut list = WordlistSource::new("diversion", Origin::Api);
        list.terms.push(Term { text: "加微信".into(), ..Term::default() });
        let policy = Policy { evidence: Some(keeping), ..Policy::standard() };
        let words = Ruleset::compile("r-1", &[list], vec![policy], &interception::Config::default());
        house.rules.words = words.unwrap().0;
        house.rules.limits.evidence = limits;
        let message = says("1", text);
        let first = house.take(&message);
        assert_eq!(house.take(&message).evidence, None, "a repeat is kept again");
        let facts = first.effects.map(|effects| effects.facts).unwrap_or_default();
        let told = facts.iter().any(|fact| matches!(fact, Fact::Evidence(_)));
        (first.evidence.map(|keep| (keep.kind, keep.expires_ms - NOW)), told)
    };
    let day = 24 * HOUR_MS;
    let on = KeepingLimits {
        enabled: true,
        history: true,
        life: Duration::from_hours(7 * 24),
        history_life: Duration::from_hours(24),
    };
    let keeps = |kinds: &[EvidenceKind]| Keeping { keep: kinds.to_vec(), ..Keeping::default() };
    let history = || Keeping { history: true, history_hours: Some(2), ..Keeping::default() };
    let blocked = "加微信领优惠";
    let table = [
        (Keeping::default(), on, blocked, (None, false)),
        (keeps(&[Blocked]), KeepingLimits::default(), blocked, (None, false)),
        (keeps(&[Blocked]), on, blocked, (Some((Blocked, 7 * day)), true)),
        (Keeping { days: Some(2), ..keeps(&[Blocked]) }, on, blocked, (Some((Blocked, 2 * day)), true)),
        (keeps(&[EvidenceKind::Reviewed]), on, blocked, (None, false)),
        (keeps(&[Blocked]), on, "早上好", (None, false)),
        (history(), on, "早上好", (Some((History, 2 * HOUR_MS)), false)),
        (history(), on, blocked, (Some((History, 2 * HOUR_MS)), false)),
        (history(), KeepingLimits { history: false, ..on }, "早上好", (None, false)),
    ];
    for (nth, (keeping, limits, text, expect)) in table.into_iter().enumerate() {
        assert_eq!(kept(keeping, limits, text), expect, "row {nth}");
    }
}

#[test]
fn what_is_held_up_says_by_which_rules() {
    let judged = |text: &'static str| {
        let message = says("1", text);
        let facts = House::new().take(&message).effects.unwrap().facts;
        let by = facts.iter().find_map(|fact| if let Fact::Judged(by) = fact { Some(by) } else { None });
        by.map(|by| (by.ruleset.to_string(), by.policy.to_string()))
    };
    assert_eq!(judged("加微信领优惠"), Some(("r-1".to_owned(), "standard".to_owned())));
    assert_eq!(judged("早上好"), None);
}
