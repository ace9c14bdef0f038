//! What looks like a question, who answers it by any order of events, which are alike.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::event::{
    Effects, EventKey, EventType, Fact, Head, Kin, QuestionFact, RevisionFact, Role, SendFact, Status,
    TalkFact, Verdict,
};
use crate::near::Sketch;

const NOW_MS: i64 = 1_795_312_800_000;
const SECRET: [u8; 16] = [3; 16];
const WAIT_MS: i64 = 60_000;

#[test]
fn a_question_has_a_sign_or_asks_in_words() {
    let config = Config::default();
    for (text, folded, expect) in [
        ("几点关门", "几点关门", true),
        ("有没有大号的", "有没有大号的", true),
        ("周六也开门？", "周六也开门", true),
        ("open on sunday?", "openonsunday", true),
        ("吗？", "吗", false),
        ("今天天气不错", "今天天气不错", false),
    ] {
        assert_eq!(looks_like(text, folded, &config), expect, "{text}");
    }
    assert!(looks_like("吗？", "吗", &Config { chars_min: 0, ..config }));
}

fn sketch(folded: &str) -> Sketch {
    Sketch::of_short(&gist(folded), &SECRET).unwrap()
}

#[test]
fn questions_in_other_wrapping_are_alike_and_other_questions_are_not() {
    let asked = [
        "几点关门",
        "请问你们几点关门啊",
        "有没有充电宝",
        "老板几点关门呢",
        "请问有没有充电宝呀",
        "wifi密码是多少",
        "你好请问几点关门",
    ];
    let sketches: Vec<_> = asked.iter().map(|text| sketch(text)).collect();
    let found = clusters::clusters(sketches.iter());
    assert_eq!(found, [vec![0, 1, 3, 6], vec![2, 4], vec![5]]);
}

#[test]
fn a_draft_stands_in_every_example() {
    let gists = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let keyword = |texts: &[&str]| draft::keyword(&gists(texts));
    assert_eq!(keyword(&["今天几点关门", "周日几点关门来着"]).as_deref(), Some("几点关门"));
    assert_eq!(keyword(&["几点关门"]).as_deref(), Some("几点关门"));
    assert_eq!(keyword(&["几点关门", "有没有大号"]), None);
    assert_eq!(keyword(&[]), None);
}

#[test]
fn a_wait_counts_open_time_and_ends_at_last() {
    let hour = 3_600_000;
    let open_from = |from: i64| move |at: i64| Some(at >= from);
    let deadline =
        |is_open: &dyn Fn(i64) -> Option<bool>| deadline_ms(NOW_MS + 500, WAIT_MS, 2 * hour, is_open);
    assert_eq!(deadline(&|_| None), NOW_MS + 500 + WAIT_MS);
    assert_eq!(deadline(&|_| Some(true)), NOW_MS + 500 + WAIT_MS);
    assert_eq!(deadline(&open_from(NOW_MS + hour)), NOW_MS + hour + WAIT_MS);
    // Half of it before the doors close, the rest the next morning.
    let split = |at: i64| Some(at < NOW_MS + 30_000 || at >= NOW_MS + hour);
    assert_eq!(deadline_ms(NOW_MS, 2 * WAIT_MS, 2 * hour, &split), NOW_MS + hour + WAIT_MS);
    assert_eq!(deadline(&|_| Some(false)), NOW_MS + 500 + 2 * hour, "nobody waits for ever");
}

/// What happens in one group.
#[derive(Clone, Debug, PartialEq)]
enum Act {
    Asks,
    Staff,
    Owner,
    Ourselves,
    /// Asks something that a rule answers.
    Answered,
    Names(u8),
    /// Quotes the question of the n-th event.
    Quotes(u8),
    Recalls(u8),
    Chats,
}

#[derive(Clone, Debug)]
struct Happening {
    id: u8,
    member: u8,
    at_ms: i64,
    act: Act,
}

fn key(id: u8) -> EventKey {
    EventKey::of(&SECRET, "demo", "g-1", &id.to_string())
}

impl Happening {
    fn effects(&self) -> Effects<'static> {
        let role = if self.act == Act::Staff { Role::Staff } else { Role::Customer };
        let what =
            if matches!(self.act, Act::Recalls(_)) { EventType::MessageRecalled } else { EventType::Message };
        let mut kin = if self.act == Act::Owner { Kin::Staff } else { Kin::Other };
        if self.act == Act::Ourselves {
            kin = Kin::Ourselves;
        }
        let head = Head {
            key: key(self.id),
            at_ms: self.at_ms,
            arrived_ms: NOW_MS,
            account: "demo".into(),
            group: "g-1".into(),
            member: Some(format!("u-{}", self.member).into()),
            name: None,
            role,
            what,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        let question = (self.act == Act::Asks)
            .then(|| QuestionFact { text: self.id.into(), sketch: sketch("几点关门") });
        let to =
            if let Act::Names(member) = self.act { vec![format!("u-{member}").into()] } else { Vec::new() };
        let quotes = if let Act::Quotes(of) = self.act { Some(of.into()) } else { None };
        let talk = TalkFact { id: self.id.to_string().into(), kin, to, quotes, question };
        let mut facts = vec![Fact::Talk(talk)];
        if let Act::Recalls(of) = self.act {
            facts = vec![Fact::Revision(RevisionFact { of: Some(of.to_string().into()), recalled: true })];
        }
        if self.act == Act::Answered {
            let (kind, rule, text) = ("reply".into(), "hours".into(), "十点".into());
            facts.push(Fact::Send(SendFact {
                index: 0,
                kind,
                rule,
                text,
                welcome_code: None,
                expires_ms: 0,
            }));
        }
        Effects { head, facts }
    }

    fn answers(&self, asked: &Self) -> bool {
        if let Act::Recalls(of) = self.act {
            return of == asked.id;
        }
        (asked.at_ms..=asked.at_ms + WAIT_MS).contains(&self.at_ms)
            && match self.act {
                Act::Staff | Act::Owner => true,
                Act::Answered => self.member == asked.member,
                Act::Names(member) => member == asked.member && self.member != asked.member,
                Act::Quotes(of) => of == asked.id && self.member != asked.member,
                Act::Asks | Act::Ourselves | Act::Recalls(_) | Act::Chats => false,
            }
    }
}

fn observe(talks: &mut Talks, effects: &Effects<'_>) -> bool {
    talks.observe(effects, &|head| head.at_ms + WAIT_MS)
}

fn ids(asked: &[Asked]) -> Vec<u8> {
    asked.iter().map(|asked| asked.event.parse().unwrap()).collect()
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Asks),
        1 => Just(Act::Staff),
        1 => Just(Act::Owner),
        1 => Just(Act::Ourselves),
        1 => Just(Act::Answered),
        1 => (0..4_u8).prop_map(Act::Names),
        2 => (0..16_u8).prop_map(Act::Quotes),
        1 => (0..16_u8).prop_map(Act::Recalls),
        1 => Just(Act::Chats),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = (0..4_u8, 0..300_000_i64, act());
    proptest::collection::vec(one, 1..16).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        let of = |(id, (member, after_ms, act)): (usize, (u8, i64, Act))| Happening {
            id: u8::try_from(id).unwrap(),
            member,
            at_ms: NOW_MS + after_ms,
            act,
        };
        numbered.map(of).collect()
    })
}

proptest! {
    /// Whatever order events become known in, however often, and whenever the memory is made anew from what was known.
    #[test]
    fn a_question_is_unanswered_unless_somebody_answers_it_in_time(
        all in happenings(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..24),
        restart_at in any::<prop::sample::Index>(),
    ) {
        // Every event once at least, the rest of the order are repeats.
        let mut seen = BTreeSet::new();
        let mut stream: Vec<&Happening> = order.iter().map(|at| &all[at.index(all.len())]).collect();
        stream.extend(all.iter());
        let restart_at = restart_at.index(stream.len());
        let mut talks = Talks::new(SECRET, Limits::default());
        for (nth, happening) in stream.iter().enumerate() {
            if nth == restart_at {
                talks = Talks::new(SECRET, Limits::default());
                for known in &stream[..nth] {
                    observe(&mut talks, &known.effects());
                }
            }
            seen.insert(happening.id);
            prop_assert!(!observe(&mut talks, &happening.effects()));
        }
        let given = talks.unanswered(i64::MAX, usize::MAX);
        let is_open = |asked: &&Happening| asked.act == Act::Asks && !all.iter().any(|other| other.answers(asked));
        let mut expect: Vec<&Happening> = all.iter().filter(is_open).collect();
        expect.sort_by_key(|asked| (asked.at_ms.max(NOW_MS - WAIT_MS), key(asked.id)));
        prop_assert_eq!(ids(&given), expect.iter().map(|asked| asked.id).collect::<Vec<_>>());
        prop_assert_eq!(talks.open(), 0);
        for happening in &stream {
            observe(&mut talks, &happening.effects());
        }
        prop_assert!(talks.unanswered(i64::MAX, usize::MAX).is_empty(), "given out once");
    }
}

#[test]
fn a_question_is_given_out_when_its_time_is_over_and_not_before() {
    let mut talks = Talks::new(SECRET, Limits::default());
    let asks = |id| Happening { id, member: id, at_ms: NOW_MS, act: Act::Asks };
    observe(&mut talks, &asks(1).effects());
    observe(&mut talks, &asks(2).effects());
    assert!(talks.unanswered(NOW_MS + WAIT_MS + 1_999, 9).is_empty());
    assert_eq!(talks.unanswered(NOW_MS + WAIT_MS + 2_000, 1).len(), 1);
    assert_eq!(talks.open(), 1);
}

#[test]
fn too_many_questions_are_not_followed() {
    let limits = [Limits { open_max: 1, group_open_max: 9 }, Limits { open_max: 9, group_open_max: 1 }];
    for limits in limits {
        let mut talks = Talks::new(SECRET, limits);
        let asks = |id| Happening { id, member: id, at_ms: NOW_MS, act: Act::Asks };
        assert!(!observe(&mut talks, &asks(1).effects()));
        assert!(observe(&mut talks, &asks(2).effects()));
        assert_eq!(ids(&talks.unanswered(i64::MAX, 9)), [1]);
        assert!(!observe(&mut talks, &asks(3).effects()));
    }
}

#[test]
fn the_last_messages_of_a_member_are_remembered_once_each() {
    let mut lately = Lately::default();
    for id in [1, 2, 3, 4, 5, 6, 6] {
        lately.observe(&Happening { id, member: 7, at_ms: NOW_MS, act: Act::Chats }.effects());
    }
    lately.observe(&Happening { id: 8, member: 8, at_ms: NOW_MS, act: Act::Chats }.effects());
    let said = lately.of("demo", "g-1", "u-7");
    assert_eq!(said.iter().map(|said| &*said.event).collect::<Vec<_>>(), ["2", "3", "4", "5", "6"]);
    assert_eq!(said[0].key, key(2));
    assert!(lately.of("demo", "g-2", "u-7").is_empty());
}
