//! What counts as activity after all, and how long questions waited: from the event to the numbers.

use std::borrow::Cow;

use super::*;
use crate::event::HOUR_MS;
use crate::statistics::days::Facet;
use crate::statistics::definitions::Counters;
use crate::statistics::fold::{Delta, Place};

/// Takes events one after the other; returns their counters and facets together.
fn numbers(house: &mut House, events: &[GroupEvent<'_>]) -> (Counters, Vec<(Facet, u64)>) {
    let mut delta = Delta::default();
    for event in events {
        let decision = house.take(event);
        let effects = decision.effects.expect("it is counted");
        delta.add(Place { partition: crate::event::Partition(1), position: 1, index: 0 }, &effects);
    }
    let mut sum = Counters::default();
    delta.counts.values().for_each(|count| sum.add(&count.counters));
    let mut facets: Vec<_> =
        delta.facets.iter().map(|((_, _, facet), count)| (facet.clone(), *count)).collect();
    facets.sort();
    (sum, facets)
}

fn at(event: GroupEvent<'static>, at_ms: i64) -> GroupEvent<'static> {
    GroupEvent { at_ms: Some(at_ms), ..event }
}

fn staff(id: &str, text: &'static str) -> GroupEvent<'static> {
    GroupEvent { role: Role::Staff, member: Some("s-1".into()), ..says(id, text) }
}

#[test]
fn what_members_never_saw_is_no_activity_until_a_person_says_it_was_in_order() {
    let mut house = House::new();
    let overturned =
        What::Overturned { said_ms: NOW, blocked: true, wordlists: vec![Cow::Borrowed("diversion")] };
    let events = [says("1", "加微信"), says("2", "早上好"), event("o-1", overturned.clone())];
    let (sum, facets) = numbers(&mut house, &events);
    assert_eq!((sum.messages, sum.withheld, sum.restored, sum.blocked), (2, 1, 1, 1));
    assert!(facets.contains(&(Facet::Overturned("diversion".into()), 1)), "{facets:?}");
    assert!(facets.contains(&(Facet::Wordlist("diversion".into()), 1)), "{facets:?}");
    let again = event("o-1", overturned);
    assert_eq!(house.take(&again).effects, None, "of one review once");
}

#[test]
fn what_is_taken_back_leaves_the_hour_it_was_said_in() {
    let mut house = House::new();
    let recalled = event("r-1", What::MessageRecalled { of: Some("1".into()) });
    let unknown = event("r-2", What::MessageRecalled { of: Some("never".into()) });
    house.now_ms = NOW + 2 * HOUR_MS;
    let events = [at(says("1", "早上好"), NOW), at(recalled, house.now_ms), at(unknown, house.now_ms)];
    let mut delta = Delta::default();
    for event in &events {
        let effects = house.take(event).effects.unwrap();
        delta.add(Place { partition: crate::event::Partition(1), position: 1, index: 0 }, &effects);
    }
    let of = |at_ms: i64| delta.counts.get(&(0, u32::try_from(at_ms / HOUR_MS).unwrap()));
    let said = of(NOW).unwrap();
    assert_eq!((said.counters.messages, said.counters.recalled, said.revised), (1, 1, true));
    assert_eq!(of(house.now_ms), None);
}

#[test]
fn a_question_waits_until_staff_speak() {
    let mut house = House::new();
    let events = [
        at(says("1", "请问退货怎么办呢"), NOW),
        at(says("2", "请问几点开始打折呢"), NOW + 60_000),
        at(staff("3", "稍等"), NOW + 90_000),
        at(staff("4", "好了"), NOW + 95_000),
        at(says("5", "停车场在哪里呀请问"), NOW + 99_000),
    ];
    house.now_ms = NOW + 100_000;
    let (sum, facets) = numbers(&mut house, &events);
    assert_eq!((sum.messages, sum.staff_messages), (5, 2));
    let expect = [(Facet::Question, 3), (Facet::Answered(true, 30), 1), (Facet::Answered(true, 90), 1)];
    assert_eq!(facets, expect);
}

#[test]
fn what_is_not_only_text_is_counted_by_what_it_is() {
    let picture = Message { content_type: Some("image".into()), ..Message::default() };
    let text = Message { text: "你好".into(), content_type: Some("text".into()), ..Message::default() };
    let (_, facets) =
        numbers(&mut House::new(), &[event("1", What::Message(picture)), event("2", What::Message(text))]);
    assert_eq!(facets, [(Facet::Content(Role::Customer, "image".into()), 1)]);
}
