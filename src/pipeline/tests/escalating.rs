//! The ladder on events as they come: warned, muted, removed, forgotten, forgiven.

use proptest::collection::vec;
use proptest::prelude::*;

use super::greeting::kept;
use super::*;
use crate::conduct::ladder::{Came, Ladder, Punishment, Record, Step};
use crate::event::StateKind;
use crate::interception::Policy;

const MINUTE: i64 = 60_000;

fn ladder() -> Ladder {
    let step = |at, act, lasts: Option<u64>, text: Option<&str>| Step {
        at,
        act,
        lasts: lasts.map(Duration::from_secs),
        text: text.map(str::to_owned),
    };
    Ladder {
        window: Duration::from_hours(1),
        steps: vec![
            step(1, Punishment::Warn, None, Some("{member.name}，请勿发广告")),
            step(2, Punishment::Mute, Some(600), None),
            step(4, Punishment::Remove, None, None),
        ],
        ..Ladder::default()
    }
}

/// A house whose policy has this ladder.
struct Strict {
    house: House,
    policy: Policy,
    told: usize,
}

impl Strict {
    fn new(ladder: Ladder) -> Self {
        let mut house = House::new();
        house.rules.limits.conduct.flood_messages_max = 0;
        let policy =
            Policy { ladder: Some(ladder), ..house.rules.policy(None, Role::Customer).unwrap().clone() };
        policy.check().unwrap();
        Self { house, policy, told: 0 }
    }

    fn says(&mut self, member: &'static str, role: Role, text: &'static str) -> Vec<(ActionKind, String)> {
        self.told += 1;
        let said = GroupEvent {
            member: Some(member.into()),
            role,
            at_ms: None,
            ..says(&self.told.to_string(), text)
        };
        self.take(&said)
    }

    fn advertises(&mut self) -> Vec<(ActionKind, String)> {
        self.says("u-1", Role::Customer, "加微信")
    }

    fn take(&mut self, event: &GroupEvent<'_>) -> Vec<(ActionKind, String)> {
        let decision = self.house.take_by(event, Some(&self.policy));
        let recalls = |action: &crate::event::Action| action.kind == ActionKind::Recall;
        let actions = decision.answer.actions.iter().filter(|action| !recalls(action));
        actions.map(|action| (action.kind, action.state.clone())).collect()
    }

    /// Who waits for a moment that has come.
    fn waiting(&self) -> Vec<(String, i64)> {
        let now_ms = self.house.now_ms;
        let records = self.house.state.small.of_group(StateKind::Ladder, "demo\u{1f}g-1", None, now_ms);
        let due = records.filter_map(|(member, value)| Some((member.to_owned(), Record::due(value)?)));
        due.filter(|(_, at_ms)| *at_ms <= now_ms).collect()
    }

    /// Brings every moment that has come, as the edge does.
    fn due(&mut self) -> Vec<(ActionKind, String)> {
        let due = self.waiting();
        let mut done = Vec::new();
        for (member, at_ms) in due {
            let due = GroupEvent {
                id: format!("due-{at_ms}-{member}").into(),
                member: Some(member.into()),
                role: Role::Bot,
                at_ms: None,
                ..event("", What::Due)
            };
            done.extend(self.take(&due));
        }
        done
    }

    fn record(&self, member: &str) -> Record {
        let key = format!("demo\u{1f}g-1\u{1f}{member}");
        let kept = self.house.state.small.get(StateKind::Ladder, &key, self.house.now_ms);
        kept.and_then(Record::from_bytes).unwrap_or_default()
    }
}

fn queued(kind: ActionKind) -> Vec<(ActionKind, String)> {
    vec![(kind, "queued".to_owned())]
}

#[test]
fn warned_then_muted_then_removed_and_the_record_says_so() {
    let mut group = Strict::new(ladder());
    assert_eq!(group.advertises(), queued(ActionKind::Warn));
    assert_eq!(group.advertises(), queued(ActionKind::Mute));
    group.house.now_ms += MINUTE;
    assert_eq!(group.advertises(), queued(ActionKind::Mute), "between two steps the lower one holds");
    assert_eq!(group.advertises(), queued(ActionKind::Remove));
    let record = group.record("u-1");
    let taken: Vec<_> =
        record.taken.iter().map(|taken| (taken.action, taken.strikes, taken.by.as_str())).collect();
    let expect = [
        (ActionKind::Warn, 1, "standard"),
        (ActionKind::Mute, 2, "standard"),
        (ActionKind::Mute, 3, "standard"),
        (ActionKind::Remove, 4, "standard"),
    ];
    assert_eq!(taken, expect);
    assert_eq!(record.muted_until_ms, Some(NOW + 11 * MINUTE));
}

#[test]
fn a_warning_names_the_member_and_goes_out_as_one() {
    let mut group = Strict::new(ladder());
    let said = GroupEvent { name: Some("小王".into()), ..says("1", "加微信") };
    let decision = group.house.take_by(&said, Some(&group.policy));
    let facts = decision.effects.unwrap().facts;
    let warning =
        facts.iter().find_map(|fact| if let Fact::Send(send) = fact { Some(send) } else { None }).unwrap();
    assert_eq!((&*warning.kind, &*warning.rule, &*warning.text), ("warning", "standard", "小王，请勿发广告"));
}

#[test]
fn whoever_may_not_speak_may_again_when_the_time_is_over() {
    let mut group = Strict::new(ladder());
    group.advertises();
    group.advertises();
    group.house.now_ms += 10 * MINUTE - 1;
    assert_eq!(group.due(), []);
    group.house.now_ms += 1;
    assert_eq!(group.due(), queued(ActionKind::Unmute));
    assert_eq!(group.due(), [], "once");
    assert_eq!(group.record("u-1").muted_until_ms, None);
    group.house.now_ms += 60 * MINUTE;
    assert_eq!(group.advertises(), queued(ActionKind::Warn), "what was left behind is taken again");
}

#[test]
fn staff_programs_our_own_and_those_who_behave_are_never_punished() {
    let mut group = Strict::new(ladder());
    group.house.kin = HashMap::from([("robot", Kin::Ourselves), ("owner", Kin::Staff)]);
    for _ in 0..5 {
        for (member, role) in
            [("u-1", Role::Staff), ("u-1", Role::Bot), ("robot", Role::Customer), ("owner", Role::Customer)]
        {
            assert_eq!(group.says(member, role, "加微信"), []);
        }
        assert_eq!(group.says("u-1", Role::Customer, "今天营业吗"), []);
    }
    assert_eq!(group.record("u-1"), Record::new());
}

#[test]
fn a_disguised_word_alone_never_removes() {
    for (variants_remove, expect) in [(false, ActionKind::Mute), (true, ActionKind::Remove)] {
        let mut group = Strict::new(Ladder { counts: Verdict::Review, variants_remove, ..ladder() });
        for _ in 0..3 {
            group.says("u-1", Role::Customer, "加威信");
        }
        assert_eq!(group.says("u-1", Role::Customer, "加威信"), queued(expect), "{:?}", group.record("u-1"));
    }
    let only = Step { at: 1, act: Punishment::Remove, lasts: None, text: None };
    let mut group = Strict::new(Ladder { counts: Verdict::Review, steps: vec![only], ..ladder() });
    assert_eq!(group.says("u-1", Role::Customer, "加威信"), [], "there is no milder step");
    assert_eq!(group.record("u-1").strikes.len(), 1);
    assert_eq!(group.advertises(), queued(ActionKind::Remove));
}

#[test]
fn a_message_that_is_rewritten_or_judged_again_is_one_strike() {
    let mut group = Strict::new(ladder());
    assert_eq!(group.says("u-1", Role::Customer, "今天营业吗"), []);
    let of_first = says("first", "加微信");
    assert_eq!(group.take(&of_first), queued(ActionKind::Warn));
    for (id, of) in [("second", "first"), ("third", "first"), ("fourth", "ordinary")] {
        let message = says(id, "加微信 快").what;
        let What::Message(message) = message else { unreachable!() };
        let what = What::MessageEdited { of: Some(of.into()), message };
        let edit = GroupEvent { what, ..says(id, "") };
        let expect = if of == "first" { vec![] } else { queued(ActionKind::Mute) };
        assert_eq!(group.take(&edit), expect, "{id}");
    }
    assert_eq!(group.record("u-1").strikes.len(), 2);
}

#[test]
fn past_the_budget_and_where_the_platform_cannot_a_person_decides() {
    let unsupported = |kind: ActionKind| vec![(kind, "unsupported".to_owned())];
    let mut group = Strict::new(ladder());
    group.house.removals_max = 0;
    for _ in 0..3 {
        group.advertises();
    }
    assert_eq!(group.advertises(), [(ActionKind::Remove, "over_budget".to_owned())]);
    assert_eq!(group.record("u-1").taken.last().unwrap().came, Came::OverBudget);
    let mut group = Strict::new(ladder());
    (group.house.can_punish, group.house.can_post) = (false, false);
    assert_eq!(group.advertises(), unsupported(ActionKind::Warn));
    let said = says("x", "加微信");
    let decision = group.house.take_by(&said, Some(&group.policy));
    assert_eq!(group.record("u-1").muted_until_ms, None, "nobody was muted");
    let facts = decision.effects.unwrap().facts;
    let rules = facts
        .iter()
        .filter_map(|fact| if let Fact::Review(review) = fact { Some(&*review.rule) } else { None });
    assert_eq!(rules.collect::<Vec<_>>(), ["ladder:mute:unsupported"]);
    assert!(
        !facts.iter().any(|fact| matches!(fact, Fact::Action(action) if action.kind == ActionKind::Mute))
    );
}

#[test]
fn a_pardon_undoes_strikes_and_mute_and_stays_on_record() {
    let mut group = Strict::new(ladder());
    let pardon = |id: &str| event(id, What::Pardoned { by: "op-li".into() });
    let nothing = pardon("p-0");
    assert_eq!(group.take(&nothing), []);
    assert_eq!(group.record("u-1"), Record::new(), "nothing to forgive leaves nothing behind");
    group.advertises();
    group.advertises();
    let pardon = pardon("p-1");
    assert_eq!(group.take(&pardon), queued(ActionKind::Unmute));
    let record = group.record("u-1");
    assert_eq!((record.strikes.len(), record.muted_until_ms), (0, None));
    let last = record.taken.last().unwrap();
    assert_eq!((last.action, last.by.as_str()), (ActionKind::Pardon, "op-li"));
    assert_eq!(group.advertises(), queued(ActionKind::Warn));
}

#[test]
fn whoever_is_on_a_kick_list_is_taken_out_at_the_door_and_when_they_speak_once() {
    let mut group = Strict::new(Ladder::default());
    group.house.removals_max = 2;
    group.house.kicked = Some("kck_1");
    let door = GroupEvent { at_ms: None, ..joined("j") };
    let decision = group.house.take_by(&door, Some(&group.policy));
    assert_eq!(sends(decision.effects.as_ref()), [""; 0], "nobody greets whom they take out");
    assert_eq!(decision.answer.actions[0].kind, ActionKind::Remove);
    assert_eq!(group.says("u-1", Role::Customer, "大家好"), [], "asked for already");
    assert_eq!(group.says("u-2", Role::Customer, "大家好"), queued(ActionKind::Remove));
    assert_eq!(group.says("u-3", Role::Customer, "大家好"), [(ActionKind::Remove, "over_budget".to_owned())]);
    assert_eq!(group.says("u-4", Role::Staff, "大家好"), []);
    let spoken = says("x", "大家好");
    let decision = group.house.take_by(&spoken, Some(&group.policy));
    assert_eq!(decision.answer.verdict, Verdict::Block, "what they say is withdrawn");
    assert_eq!(group.record("u-1").taken[0].by, "kck_1");
}

#[test]
fn an_edit_is_no_way_around_a_kick_list() {
    let mut group = Strict::new(Ladder::default());
    let first = says("m-1", "大家好");
    group.house.take_by(&first, Some(&group.policy));
    group.house.kicked = Some("kck_1");
    let message = Message { text: "加我".into(), ..Message::default() };
    let what = What::MessageEdited { of: Some("m-1".into()), message };
    let edit = GroupEvent { what, ..says("m-2", "") };
    let decision = group.house.take_by(&edit, Some(&group.policy));
    let recalled = decision.effects.unwrap().facts.iter().find_map(|fact| {
        if let Fact::Action(act) = fact { act.of.as_ref().map(ToString::to_string) } else { None }
    });
    assert_eq!((decision.answer.verdict, recalled.as_deref()), (Verdict::Block, Some("m-1")));
    assert_eq!(group.record("u-1").taken[0].by, "kck_1");
}

#[test]
fn a_message_is_known_again_by_what_an_edit_makes_of_it() {
    let mut group = Strict::new(Ladder::default());
    group.house.rules.limits.traits = true;
    let advert = "招聘兼职打字员每天两百元当天结清有意者速来报名名额有限先到先得";
    let said = says("m-1", advert);
    let message = Message { text: advert.into(), ..Message::default() };
    let what = What::MessageEdited { of: Some("m-9".into()), message };
    let edit = GroupEvent { what, ..says("m-2", "") };
    let mut seen = Vec::new();
    for event in [&said, &edit] {
        let effects = group.house.take_by(event, Some(&group.policy)).effects.unwrap();
        let traits = effects.facts.iter().find_map(|fact| {
            if let Fact::Traits(traits) = fact { Some((traits.of.to_string(), traits.sketch)) } else { None }
        });
        seen.push((effects.head.fingerprint, traits.unwrap()));
    }
    let [said, edited] = &seen[..] else { unreachable!() };
    assert_eq!((said.0.is_some(), said.0, said.1.1), (true, edited.0, edited.1.1));
    assert_eq!((&*said.1.0, &*edited.1.0), ("m-1", "m-9"));
}

fn expelled(id: &str, rule: &'static str, asked: &'static str) -> GroupEvent<'static> {
    let what = What::Expelled { rule: rule.into(), asked: asked.into() };
    GroupEvent { at_ms: None, ..event(id, what) }
}

#[test]
fn whom_a_person_takes_out_has_it_on_record_and_past_the_budget_a_review_waits() {
    let mut group = Strict::new(Ladder::default());
    let first = expelled("1", "case", "case_7");
    let facts = group.house.take_by(&first, None).effects.unwrap().facts;
    let acts = facts.iter().filter_map(|fact| if let Fact::Action(act) = fact { Some(act) } else { None });
    let acts: Vec<_> = acts.map(|act| (act.kind, &*act.rule, act.expires_ms - NOW)).collect();
    assert_eq!(acts, [(ActionKind::Remove, "case_7", 24 * 60 * MINUTE)]);
    let record = group.record("u-1");
    assert_eq!((record.taken[0].by.as_str(), record.taken[0].came), ("case_7", Came::Queued));
    assert_eq!(group.take(&expelled("1", "case", "case_7")), [], "a repeat asks for nothing");
    assert_eq!(group.take(&expelled("2", "kick", "kck_1")), queued(ActionKind::Remove), "of another budget");
    let over = expelled("3", "case", "case_8");
    let facts = group.house.take_by(&over, None).effects.unwrap().facts;
    let reviews =
        facts.iter().filter_map(|fact| if let Fact::Review(of) = fact { Some(&*of.rule) } else { None });
    assert_eq!(reviews.collect::<Vec<_>>(), ["case_8:remove:over_budget"]);
    group.house.can_punish = false;
    assert_eq!(
        group.take(&expelled("4", "case", "case_9")),
        [(ActionKind::Remove, "unsupported".to_owned())]
    );
    group.house.kin = HashMap::from([("u-1", Kin::Staff)]);
    assert_eq!(group.take(&expelled("5", "kick", "kck_2")), []);
    assert_eq!(group.record("u-1").taken.len(), 4);
}

/// What happens in a group over a month, in virtual time.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Advert(usize),
    Repeat,
    Chat(usize),
    Pardon(usize),
    Wait(i64),
    Restart,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Happens::Advert),
        1 => Just(Happens::Repeat),
        1 => (0..3_usize).prop_map(Happens::Chat),
        1 => (0..3_usize).prop_map(Happens::Pardon),
        3 => prop_oneof![1..20_i64, Just(24 * 60)].prop_map(Happens::Wait),
        1 => Just(Happens::Restart),
    ]
}

const MEMBERS: [&str; 3] = ["u-1", "u-2", "u-3"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes in whichever order: nobody is muted without its end, no act beyond the budget, what a start finds is
    /// what was there, and a repeat does nothing.
    #[test]
    fn a_month_of_strikes(month in vec(happens(), 1..80), removals_max in 0_u32..3) {
        let mut group = Strict::new(ladder());
        group.house.removals_max = removals_max;
        let mut journal: Vec<Effects<'static>> = Vec::new();
        let (mut muted, mut removals): (HashMap<String, i64>, Vec<i64>) = (HashMap::new(), Vec::new());
        let mut last: Option<GroupEvent<'static>> = None;
        for (nth, what) in month.into_iter().enumerate() {
            let mut told = Vec::new();
            match what {
                Happens::Wait(minutes) => {
                    for _ in 0..=minutes.min(24 * 60) / 5 {
                        group.house.now_ms += 5 * MINUTE;
                        let due = group.waiting();
                        for (member, at_ms) in due {
                            let id = format!("due-{at_ms}-{member}");
                            let due = GroupEvent { id: id.into(), member: Some(member.into()), role: Role::Bot, at_ms: None, ..event("", What::Due) };
                            let decision = group.house.take_by(&due, Some(&group.policy));
                            note(&decision, group.house.now_ms, &mut muted, &mut removals);
                            journal.extend(decision.effects.map(kept));
                        }
                        for (member, until_ms) in &muted {
                            prop_assert!(*until_ms > group.house.now_ms, "{member} is muted for longer than was said");
                        }
                    }
                }
                Happens::Restart => {
                    let mut state = PartitionState::default();
                    for effects in &journal {
                        state.apply(effects);
                    }
                    group.house.state = state;
                }
                Happens::Advert(who) | Happens::Chat(who) | Happens::Pardon(who) => {
                    let says = |text: &'static str| What::Message(Message { text: text.into(), ..Message::default() });
                    let what = if let Happens::Pardon(_) = what {
                        What::Pardoned { by: "op".into() }
                    } else {
                        says(if let Happens::Advert(_) = what { "加微信" } else { "好" })
                    };
                    told.push(GroupEvent { member: Some(MEMBERS[who].into()), at_ms: None, ..event(&nth.to_string(), what) });
                }
                Happens::Repeat => told.extend(last.clone()),
            }
            for told in told {
                let is_repeat = last.as_ref().is_some_and(|last| last.id == told.id);
                let decision = group.house.take_by(&told, Some(&group.policy));
                prop_assert_eq!(is_repeat, decision.effects.is_none());
                note(&decision, group.house.now_ms, &mut muted, &mut removals);
                journal.extend(decision.effects.map(kept));
                last = Some(told.clone());
            }
        }
        let mut by_hour: HashMap<i64, u32> = HashMap::new();
        for at_ms in removals {
            *by_hour.entry(at_ms.div_euclid(HOUR_MS)).or_default() += 1;
        }
        prop_assert!(by_hour.values().all(|count| *count <= removals_max), "{by_hour:?}");
        for member in MEMBERS {
            prop_assert_eq!(group.record(member).muted_until_ms, muted.get(member).copied());
        }
    }
}

fn note(decision: &Decision<'_>, now_ms: i64, muted: &mut HashMap<String, i64>, removals: &mut Vec<i64>) {
    let Some(effects) = &decision.effects else { return };
    let member = effects.head.member.as_ref().map(ToString::to_string).unwrap_or_default();
    for fact in &effects.facts {
        let Fact::Action(action) = fact else { continue };
        match action.kind {
            ActionKind::Mute => _ = muted.insert(member.clone(), now_ms + 10 * MINUTE),
            ActionKind::Unmute => assert!(muted.remove(&member).is_some(), "{member} was not muted"),
            ActionKind::Remove => removals.push(now_ms),
            ActionKind::Recall | ActionKind::Warn | ActionKind::Pardon => {}
        }
    }
}

/// What happens around a kick list, in virtual time; members by number.
#[derive(Clone, Copy, Debug)]
enum Kicking {
    Listed(bool),
    Joins(usize),
    Says(usize),
    Edits(usize),
    Expelled(usize),
    Pardoned(usize),
    Repeat,
    Wait(i64),
    Restart,
}

fn kicking() -> impl Strategy<Value = Kicking> {
    let who = || 0..MEMBERS.len();
    prop_oneof![
        2 => any::<bool>().prop_map(Kicking::Listed),
        2 => who().prop_map(Kicking::Joins),
        3 => who().prop_map(Kicking::Says),
        2 => who().prop_map(Kicking::Edits),
        2 => who().prop_map(Kicking::Expelled),
        1 => who().prop_map(Kicking::Pardoned),
        2 => Just(Kicking::Repeat),
        2 => prop_oneof![1..12_i64, Just(60)].prop_map(Kicking::Wait),
        1 => Just(Kicking::Restart),
    ]
}

/// What a kick list comes to, told by a few numbers for each member.
#[derive(Default)]
struct Kicked {
    /// When each was last to be taken out.
    asked_ms: HashMap<usize, i64>,
    /// How often.
    steps: HashMap<usize, usize>,
    /// Removals of an hour.
    spent: HashMap<i64, u32>,
}

impl Kicked {
    /// Says what is to come of something that a member does, or that a person decides about them.
    fn expects(&mut self, what: Kicking, is_listed: bool, now_ms: i64, max: u32) -> Option<&'static str> {
        let who = match what {
            Kicking::Joins(who) if is_listed => who,
            Kicking::Says(who) | Kicking::Edits(who) if is_listed => {
                let lately = self.asked_ms.get(&who).is_some_and(|asked_ms| now_ms - asked_ms < 10 * MINUTE);
                if lately {
                    return None;
                }
                who
            }
            Kicking::Expelled(who) => who,
            Kicking::Pardoned(who) => {
                self.steps.entry(who).and_modify(|steps| *steps += 1);
                return None;
            }
            Kicking::Listed(_)
            | Kicking::Joins(_)
            | Kicking::Says(_)
            | Kicking::Edits(_)
            | Kicking::Repeat
            | Kicking::Wait(_)
            | Kicking::Restart => return None,
        };
        self.asked_ms.insert(who, now_ms);
        *self.steps.entry(who).or_default() += 1;
        let spent = self.spent.entry(now_ms.div_euclid(HOUR_MS)).or_default();
        if *spent == max {
            return Some("over_budget");
        }
        *spent += 1;
        Some("queued")
    }
}

fn kicking_event(nth: usize, what: Kicking) -> Option<GroupEvent<'static>> {
    let message = || Message { text: "好".into(), ..Message::default() };
    let (who, what) = match what {
        Kicking::Joins(who) => (who, What::joined(false)),
        Kicking::Says(who) => (who, What::Message(message())),
        Kicking::Edits(who) => (who, What::MessageEdited { of: Some("m-0".into()), message: message() }),
        Kicking::Expelled(who) => (who, What::Expelled { rule: "kick".into(), asked: "kck_1".into() }),
        Kicking::Pardoned(who) => (who, What::Pardoned { by: "op".into() }),
        Kicking::Listed(_) | Kicking::Repeat | Kicking::Wait(_) | Kicking::Restart => return None,
    };
    Some(GroupEvent { member: Some(MEMBERS[who].into()), at_ms: None, ..event(&nth.to_string(), what) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes in whichever order, over restarts: whoever is on a list is taken out at the door, and once in ten
    /// minutes for what they say or rewrite; a person's word takes them out once; a repeat does nothing; all of it is on
    /// record and within the budget.
    #[test]
    fn whoever_is_on_a_list_is_taken_out_as_a_small_count_says(
        story in vec(kicking(), 1..60), removals_max in 0_u32..4
    ) {
        let mut group = Strict::new(Ladder::default());
        group.house.removals_max = removals_max;
        let (mut journal, mut oracle) = (Vec::new(), Kicked::default());
        let mut told: Vec<GroupEvent<'static>> = Vec::new();
        for (nth, what) in story.into_iter().enumerate() {
            match what {
                Kicking::Listed(is_listed) => group.house.kicked = is_listed.then_some("kck_1"),
                Kicking::Wait(minutes) => group.house.now_ms += minutes * MINUTE,
                Kicking::Restart => {
                    group.house.state = PartitionState::default();
                    for effects in &journal {
                        group.house.state.apply(effects);
                    }
                }
                Kicking::Repeat => {
                    for again in told.iter().rev().step_by(3) {
                        let decision = group.house.take_by(again, Some(&group.policy));
                        prop_assert!(decision.effects.is_none(), "a repeat causes nothing");
                    }
                }
                Kicking::Joins(_) | Kicking::Says(_) | Kicking::Edits(_) | Kicking::Expelled(_) | Kicking::Pardoned(_) => {
                    let event = kicking_event(nth, what).unwrap();
                    let is_listed = group.house.kicked.is_some();
                    let expect = oracle.expects(what, is_listed, group.house.now_ms, removals_max);
                    let decision = group.house.take_by(&event, Some(&group.policy));
                    let removal = decision.answer.actions.iter().find(|action| action.kind == ActionKind::Remove);
                    prop_assert_eq!(removal.map(|action| action.state.as_str()), expect);
                    let says_block = is_listed && matches!(what, Kicking::Says(_) | Kicking::Edits(_));
                    prop_assert_eq!(decision.answer.verdict == Verdict::Block, says_block);
                    journal.extend(decision.effects.map(kept));
                    told.push(event);
                }
            }
        }
        for (who, member) in MEMBERS.into_iter().enumerate() {
            let steps = oracle.steps.get(&who).copied().unwrap_or_default();
            prop_assert_eq!(group.record(member).taken.len(), steps.min(16), "{}", member);
        }
    }
}
