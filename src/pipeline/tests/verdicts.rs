//! Verdicts of somebody else: heard in time, late, and owed.

use super::*;
use crate::event::{Asked, Opinion};

fn opinion(verdict: Verdict) -> Opinion<'static> {
    Opinion {
        verdict,
        labels: vec!["qr_code".into(), "advert".into()],
        confidence: 80,
        source: "ocr".into(),
        latency_ms: Some(900),
    }
}

fn late(message: &GroupEvent<'_>, verdict: Verdict) -> GroupEvent<'static> {
    Asked::of(message).unwrap().0.late(opinion(verdict))
}

fn recalled(decision: &Decision<'_>) -> Vec<String> {
    let facts = decision.effects.iter().flat_map(|effects| &effects.facts);
    facts
        .filter_map(|fact| if let Fact::Action(action) = fact { action.of.as_ref() } else { None })
        .map(ToString::to_string)
        .collect()
}

fn reviews(decision: &Decision<'_>) -> Vec<String> {
    let facts = decision.effects.iter().flat_map(|effects| &effects.facts);
    facts
        .filter_map(|fact| if let Fact::Review(review) = fact { Some(review.rule.to_string()) } else { None })
        .collect()
}

#[test]
fn what_is_heard_in_time_is_part_of_the_verdict() {
    let mut house = House { heard: Some(opinion(Verdict::Block)), ..House::new() };
    let said = says("1", "营业时间");
    let decision = house.take(&said);
    assert_eq!(decision.answer.verdict, Verdict::Block);
    let hits: Vec<_> =
        decision.answer.hits.iter().map(|hit| (&*hit.wordlist, &*hit.category, &*hit.term)).collect();
    assert_eq!(hits, [("verdict", "qr_code", "ocr"), ("verdict", "advert", "ocr")]);
    assert_eq!(decision.answer.hits[0].confidence, 80);
    assert_eq!((recalled(&decision), decision.asked.is_some()), (vec!["1".to_owned()], false));
    assert_eq!(sends(decision.effects.as_ref()), [""; 0], "a blocked message is not answered");
    house.heard = Some(opinion(Verdict::Pass));
    assert_eq!(house.take(&says("2", "加微信")).answer.verdict, Verdict::Block, "a verdict is never lowered");
}

#[test]
fn a_late_verdict_acts_once_on_the_message_and_calls_a_person() {
    let mut house = House::new();
    let said = says("1", "看图");
    assert_eq!(house.take(&said).answer.verdict, Verdict::Pass);
    let told = late(&said, Verdict::Block);
    let decision = house.take(&told);
    assert_eq!((decision.answer.status, decision.answer.verdict), (Status::Counted, Verdict::Block));
    assert_eq!(
        (recalled(&decision), reviews(&decision)),
        (vec!["1".to_owned()], vec!["late_verdict".to_owned()])
    );
    let effects = decision.effects.unwrap();
    assert_eq!((effects.head.member.as_deref(), effects.head.verdict), (Some("u-1"), Verdict::Block));
    let fact =
        effects.facts.iter().find_map(|f| if let Fact::LateVerdict(late) = f { Some(late) } else { None });
    let fact = fact.unwrap();
    assert_eq!((&*fact.of, &*fact.source, fact.latency_ms, fact.labels.len()), ("1", "ocr", Some(900), 2));
    let again = house.take(&told);
    assert_eq!((again.answer.status, again.answer.verdict), (Status::Duplicate, Verdict::Block));
    assert_eq!(again.effects, None);
}

#[test]
fn a_late_verdict_on_an_edit_withdraws_the_message() {
    let message = Message { text: "看图".into(), ..Message::default() };
    let edited = event("2", What::MessageEdited { of: Some("1".into()), message });
    let mut house = House::new();
    assert_eq!(recalled(&house.take(&late(&edited, Verdict::Block))), ["1"]);
    let other = late(&says("1", ""), Verdict::Review);
    let decision = house.take(&other);
    assert_eq!(
        (decision.answer.status, reviews(&decision).len()),
        (Status::Counted, 1),
        "about the message itself"
    );
    assert!(recalled(&decision).is_empty());
}

#[test]
fn an_answer_that_must_come_is_owed_until_it_does() {
    let mut house = House { asks: true, ..House::new() };
    let mut replayed = PartitionState::default();
    let said = says("1", "看图");
    let decision = house.take(&said);
    assert_eq!(decision.asked.as_ref().map(|asked| &*asked.event), Some("1"));
    replayed.apply(&decision.effects.unwrap());
    assert_eq!(replayed.asked(), [(Asked::of(&said).unwrap().0, NOW)]);
    assert_eq!(house.take(&said).asked, None, "a repeat is not asked about again");
    let elsewhere = late(&said, Verdict::Pass);
    replayed.apply(&house.take(&elsewhere).effects.unwrap());
    assert_eq!(replayed.asked().len(), 1, "somebody else's verdict is not the one that is owed");
    let told = Asked::of(&said).unwrap().0;
    let told = told.late(Opinion { source: Opinion::HOOK.into(), ..opinion(Verdict::Pass) });
    replayed.apply(&house.take(&told).effects.unwrap());
    assert!(replayed.asked().is_empty() && house.state.asked().is_empty());
    let program = GroupEvent { role: Role::Bot, ..says("2", "看图") };
    assert_eq!(house.take(&program).asked, None);
}
