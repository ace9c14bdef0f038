//! What a message is in its group's talk: questions, who may answer one, and members who ask for a person.

use super::*;
use crate::event::{EvidenceKind, TalkFact};

const HUMAN: &str = "转人工";

fn house(rules: &[(&str, Rule)]) -> House {
    let mut house = House::new();
    house.rules.replies = reply_rules(rules, &house.rules.limits.replies);
    house
}

fn rule(keyword: &str, text: &str, hand_over: bool) -> Rule {
    Rule { keywords: vec![keyword.into()], text: text.into(), hand_over, ..Rule::default() }
}

fn talk<'d>(decision: &'d Decision<'_>) -> Option<&'d TalkFact<'d>> {
    let facts = &decision.effects.as_ref()?.facts;
    facts.iter().find_map(|fact| if let Fact::Talk(talk) = fact { Some(talk) } else { None })
}

fn is_question(house: &mut House, event: &GroupEvent<'_>) -> bool {
    talk(&house.take(event)).is_some_and(|talk| talk.question.is_some())
}

#[test]
fn a_question_is_a_customers_that_no_rule_of_ours_answers() {
    let mut house = house(&[("hours", rule("几点关门", "十点", false))]);
    house.kin = HashMap::from([("boss", Kin::Staff), ("robot", Kin::Ourselves)]);
    let by = |member: &'static str, role: Role, event: GroupEvent<'static>| GroupEvent {
        member: Some(member.into()),
        role,
        ..event
    };
    for (event, expect) in [
        (says("1", "有没有充电宝"), true),
        (says("2", "你们几点关门？"), false),
        // The rule has just answered that for somebody else.
        (by("u-2", Role::Customer, says("3", "几点关门啊")), false),
        (says("4", "今天天气不错"), false),
        (says("5", "要加微信吗？"), false),
        (by("boss", Role::Customer, says("6", "有没有充电宝")), false),
        (by("li", Role::Staff, says("7", "有没有充电宝")), false),
    ] {
        let what = format!("{event:?}");
        assert_eq!(is_question(&mut house, &event), expect, "{what}");
    }
    house.can_post = false;
    house.now_ms += 3_600_000;
    let unsaid = GroupEvent { at_ms: None, ..says("8", "几点关门") };
    assert!(is_question(&mut house, &unsaid), "the rule cannot speak there");
    house.rules.limits.questions.enabled = false;
    assert!(!is_question(&mut house, &GroupEvent { at_ms: None, ..says("9", "有没有充电宝") }));
}

#[test]
fn who_may_answer_is_noted_and_ordinary_talk_is_not() {
    let mut house = house(&[]);
    house.kin = HashMap::from([("boss", Kin::Staff), ("robot", Kin::Ourselves)]);
    let answer = Message {
        text: "在三楼".into(),
        mentions: vec!["u-2".into()],
        quote: Some("有没有 充电宝？".into()),
        ..Message::default()
    };
    let (asked, answer) = (says("1", "有没有充电宝"), event("2", What::Message(answer)));
    let text = talk(&house.take(&asked)).unwrap().question.unwrap().text;
    let decision = house.take(&answer);
    let noted = talk(&decision).unwrap();
    assert_eq!((&noted.to[..], noted.quotes, noted.question), (&["u-2".into()][..], Some(text), None));
    let chat = says("3", "好的谢谢");
    assert_eq!(talk(&house.take(&chat)), None);
    for (id, member, kin) in [("4", "boss", Kin::Staff), ("5", "robot", Kin::Ourselves)] {
        let said = GroupEvent { member: Some(member.into()), ..says(id, "有的") };
        assert_eq!(talk(&house.take(&said)).map(|talk| talk.kin), Some(kin));
    }
}

#[test]
fn a_member_who_asks_for_a_person_is_left_to_staff_over_a_restart() {
    let human = Rule { cooldown_s: 60, ..rule(HUMAN, "店员马上来", true) };
    let mut house = house(&[("human", human), ("hours", rule("几点关门", "十点", false))]);
    let handed = |decision: &Decision<'_>| {
        let facts = &decision.effects.as_ref().unwrap().facts;
        facts.iter().find_map(|fact| if let Fact::HandOver(fact) = fact { Some(fact.until_ms) } else { None })
    };
    let by = |id: &str, member: &'static str, text: &'static str| GroupEvent {
        member: Some(member.into()),
        at_ms: None,
        ..says(id, text)
    };
    let events = [
        by("1", "u-1", HUMAN),
        by("2", "u-2", HUMAN),
        by("3", "u-1", "几点关门"),
        by("4", "u-1", HUMAN),
        by("5", "u-3", "几点关门"),
    ];
    let first = house.take(&events[0]);
    assert_eq!(
        (handed(&first), sends(first.effects.as_ref())),
        (Some(NOW + 30 * 60_000), vec!["店员马上来".to_owned()])
    );
    assert!(talk(&first).is_some(), "what they said is context");
    let second = house.take(&events[1]);
    assert!(handed(&second).is_some(), "staff are told, also while the rule is silent");
    assert_eq!(second.skipped, [skipped("human", SkipReason::Cooldown)]);
    house.state = PartitionState::default();
    for effects in [&first, &second].into_iter().filter_map(|decision| decision.effects.as_ref()) {
        house.state.apply(effects);
    }
    let asked = house.take(&events[2]);
    assert_eq!(asked.skipped, [skipped("hours", SkipReason::HandedOver)]);
    assert!(talk(&asked).unwrap().question.is_some(), "staff should answer it");
    let again = house.take(&events[3]);
    assert_eq!((handed(&again), &again.skipped[..]), (None, &[skipped("human", SkipReason::HandedOver)][..]));
    assert_eq!(sends(house.take(&events[4]).effects.as_ref()), ["十点"], "others are answered");
    house.now_ms += 30 * 60_000;
    let later = by("6", "u-1", "几点关门");
    assert_eq!(sends(house.take(&later).effects.as_ref()), ["十点"]);
}

#[test]
fn neither_an_advert_nor_a_loop_is_handed_over() {
    let mut house = house(&[("human", Rule { cooldown_s: 0, ..rule(HUMAN, "说转人工即可", true) })]);
    house.rules.limits.replies.hand_over_quiet = Duration::ZERO;
    let handed = |decision: Decision<'_>| {
        decision.effects.unwrap().facts.iter().any(|fact| matches!(fact, Fact::HandOver(_)))
    };
    let (advert, nobody) = (says("1", "转人工，加微信"), GroupEvent { member: None, ..says("2", HUMAN) });
    assert!(!handed(house.take(&advert)) && !handed(house.take(&nobody)));
    let echo = says("3", "说转人工即可");
    assert!(!handed(house.take(&echo)), "our own words come back");
}

#[test]
fn the_text_of_a_question_is_kept_only_where_somebody_asked_for_it() {
    let (asked, chat) = (says("1", "有没有充电宝"), says("2", "好的谢谢"));
    let mut house = house(&[]);
    let kind = |house: &mut House, event: &GroupEvent<'_>| {
        house.state = PartitionState::default();
        house.take(event).evidence.map(|keep| keep.kind)
    };
    house.rules.limits.questions.keep_text = true;
    assert_eq!(kind(&mut house, &asked), None, "no text at all is kept");
    house.rules.limits.evidence.enabled = true;
    assert_eq!(kind(&mut house, &asked), Some(EvidenceKind::Question));
    assert_eq!(kind(&mut house, &chat), None);
    house.rules.limits.questions.keep_text = false;
    assert_eq!(kind(&mut house, &asked), None);
}
