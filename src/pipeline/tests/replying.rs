//! When a rule that was asked keeps silent: its cooldowns in any mix, over a restart, and towards whom.

use super::*;

/// Says these messages one after the other, so many seconds apart; returns what was answered, empty for nothing.
fn hears(house: &mut House, said: &[(i64, &str, &'static str)]) -> Vec<String> {
    let mut answers = Vec::new();
    for (number, (after_s, member, text)) in said.iter().enumerate() {
        house.now_ms += after_s * 1_000;
        let id = format!("{}-{number}", house.now_ms);
        let message =
            GroupEvent { member: Some((*member).to_owned().into()), at_ms: None, ..says(&id, text) };
        answers.push(sends(house.take(&message).effects.as_ref()).join("+"));
    }
    answers
}

fn house(rules: &[(&str, Rule)]) -> House {
    let mut house = House::new();
    house.rules.replies = reply_rules(rules, &house.rules.limits.replies);
    house
}

fn rule(keyword: &str, text: &str) -> Rule {
    Rule { keywords: vec![keyword.into()], text: text.into(), cooldown_s: 0, ..Rule::default() }
}

/// The same memory, made anew from what the journal holds: applied once more, to nothing.
fn restart(house: &mut House, journal: &[Effects<'_>]) {
    house.state = PartitionState::default();
    for effects in journal {
        house.state.apply(effects);
    }
}

#[test]
fn silences_are_of_the_rule_the_member_and_the_group() {
    let of_rule = Rule { cooldown_s: 60, ..rule("几点", "十点") };
    let of_member = Rule { cooldown_member_s: 60, ..rule("地址", "人民路") };
    let of_group = Rule { cooldown_group_s: 60, ..rule("活动", "五折") };
    let rules = [("hours", of_rule), ("place", of_member), ("sale", of_group)];
    let said =
        hears(&mut house(&rules), &[(0, "a", "几点"), (1, "b", "几点"), (58, "c", "几点"), (1, "d", "几点")]);
    assert_eq!(said, ["十点", "", "", "十点"], "one answer for three who ask");
    let said =
        hears(&mut house(&rules), &[(0, "a", "地址"), (1, "a", "地址"), (1, "b", "地址"), (58, "a", "地址")]);
    assert_eq!(said, ["人民路", "", "人民路", "人民路"]);
    let said =
        hears(&mut house(&rules), &[(0, "a", "活动"), (1, "b", "几点"), (1, "c", "地址"), (58, "b", "几点")]);
    assert_eq!(said, ["五折", "", "", "十点"]);
}

#[test]
fn a_silent_rule_is_not_stood_in_for_by_a_worse_one() {
    let rules = [("a", Rule { cooldown_s: 60, ..rule("营业时间", "十点") }), ("b", rule("时间", "现在三点"))];
    let said = hears(&mut house(&rules), &[(0, "a", "营业时间"), (1, "b", "营业时间"), (1, "b", "时间")]);
    assert_eq!(said, ["十点", "", "现在三点"]);
}

#[test]
fn silences_and_turns_outlive_a_restart() {
    let asked = Rule { cooldown_s: 60, variants: vec!["二".into(), "三".into()], ..rule("在吗", "一") };
    let mut house = house(&[("a", asked)]);
    let ids: Vec<_> = (0..4).map(|number| (number.to_string(), format!("{number}-again"))).collect();
    let asked: Vec<_> = ids
        .iter()
        .map(|(id, again)| [id, again].map(|id| GroupEvent { at_ms: None, ..says(id, "在吗") }))
        .collect();
    let (mut heard, mut journal) = (Vec::new(), Vec::new());
    for [first, again] in &asked {
        house.now_ms += 60_000;
        let effects = house.take(first).effects.unwrap();
        heard.extend(sends(Some(&effects)));
        journal.push(effects);
        restart(&mut house, &journal);
        assert_eq!(house.take(again).skipped, [skipped("a", SkipReason::Cooldown)]);
        restart(&mut house, &journal);
    }
    let ring = ["一", "二", "三"];
    let first = ring.iter().position(|text| *text == heard[0]).unwrap();
    let expect: Vec<&str> = (0..4).map(|turn| ring[(first + turn) % 3]).collect();
    assert_eq!(heard, expect);
}

#[test]
fn neither_ourselves_nor_staff_are_answered() {
    let mut house = house(&[("a", rule("几点", "十点"))]);
    house.kin = HashMap::from([("robot", Kin::Ourselves), ("boss", Kin::Staff)]);
    let said = [(1, "robot", "几点"), (1, "boss", "几点"), (1, "u-1", "几点")];
    assert_eq!(hears(&mut house, &said), ["", "", "十点"]);
    let clerk = GroupEvent { role: Role::Staff, ..says("x", "几点") };
    assert_eq!(sends(house.take(&clerk).effects.as_ref()), [""; 0]);
    house.rules.limits.replies.answer_staff = true;
    assert_eq!(hears(&mut house, &said), ["", "十点", "十点"]);
}

#[test]
fn a_mention_of_staff_is_one_of_ours() {
    let mut house = house(&[("a", Rule { only_mentioned: true, ..rule("几点", "十点") })]);
    house.kin = HashMap::from([("boss", Kin::Staff)]);
    let asks = |id: &str, who: &'static str| {
        let message = Message { text: "几点".into(), mentions: vec![who.into()], ..Message::default() };
        event(id, What::Message(message))
    };
    let (friend, boss) = (asks("1", "u-2"), asks("2", "boss"));
    assert_eq!(sends(house.take(&friend).effects.as_ref()), [""; 0]);
    assert_eq!(sends(house.take(&boss).effects.as_ref()), ["十点"]);
}

#[test]
fn our_own_words_and_a_program_that_answers_us_are_left_alone() {
    let mut house = house(&[("a", rule("几点", "几点开门？十点"))]);
    assert_eq!(
        hears(&mut house, &[(0, "u-1", "几点"), (1, "echo", "几点开门？十点")]),
        ["几点开门？十点", ""]
    );
    let max = house.rules.limits.replies.member_answers_max;
    let said: Vec<_> = (0..max + 2).map(|_| (1, "program", "几点")).collect();
    let answered = hears(&mut house, &said);
    assert_eq!(answered.iter().filter(|text| !text.is_empty()).count(), max);
    let other = says("other", "几点");
    assert_eq!(house.take(&other).skipped, []);
    house.now_ms += 11 * 60_000;
    assert_eq!(hears(&mut house, &[(0, "program", "几点")]), ["几点开门？十点"]);
    house.now_ms += 2 * 3_600_000;
    house.state.sweep(house.now_ms, 0);
    assert_eq!(house.state.answers, replies::Answers::default());
}

#[test]
fn a_rule_on_trial_is_counted_where_it_would_have_answered() {
    let trial = |keyword: &str| Rule { mode: replies::Mode::Shadow, ..rule(keyword, "试") };
    let rules = [("long", trial("营业时间")), ("short", trial("时")), ("live", rule("时间", "三点"))];
    let mut house = house(&rules);
    let asked = says("1", "营业时间");
    let decision = house.take(&asked);
    assert_eq!(sends(decision.effects.as_ref()), ["三点"]);
    assert_eq!(
        decision.skipped,
        [skipped("long", SkipReason::Shadow)],
        "the short one stands behind the one that answers"
    );
}
