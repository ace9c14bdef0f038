//! What is written is read back; what was damaged is refused; format 1 never changes.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::event::{
    ActionFact, ActionKind, Alike, AnsweredFact, AttachFact, CarriedFact, CaseFact, CaseSizeFact,
    ConsentFact, ContactEnd, ContactEndFact, ContactFact, ContentFact, EventKey, EventType, EvidenceFact,
    GroupFact, HandOverFact, Head, HeldFact, HitFact, JudgedFact, KickFact, Kin, LateVerdictFact, Level,
    Mark, MarkKind, MemberFact, OutcomeFact, OverturnedFact, QuestionFact, ReviewFact, RevisionFact, Role,
    RosterFact, RosterMember, SendFact, SightedFact, SilenceFact, StateFact, StateKind, Status, TagsFact,
    TalkFact, TraitsFact, UnsaidBy, UnsaidFact, Verdict, Via, Waited,
};
use crate::near::{LANES, Sketch};

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![Just(""), Just("g-7"), Just("加微信领优惠"), Just("成员🐼")].prop_map(Cow::Borrowed)
}

fn long_text() -> impl Strategy<Value = Cow<'static, str>> {
    "[门神ab ]{0,120}".prop_map(Cow::Owned)
}

fn optional() -> impl Strategy<Value = Option<Cow<'static, str>>> {
    option::of(text())
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(values)
}

const TYPES: &[EventType] = &[
    EventType::Message,
    EventType::MessageEdited,
    EventType::MemberJoined,
    EventType::MemberLeft,
    EventType::GroupUpdated,
    EventType::ContactAdded,
];

/// A time within some hours, so that hours and orders collide.
fn time() -> impl Strategy<Value = i64> {
    (0_i64..5 * 60).prop_map(|minutes| 1_790_000_000_000 + minutes * 60_000)
}

/// An event's head. Groups, members and times are few, so that several events meet.
pub(crate) fn heads() -> impl Strategy<Value = Head<'static>> {
    let who = (option::of("m-[0-5]"), option::of(text()), one_of(&[Role::Customer, Role::Staff, Role::Bot]));
    let decision =
        (one_of(&[Verdict::Pass, Verdict::Mask, Verdict::Review, Verdict::Block]), any::<bool>(), 0..20_u8);
    (any::<u128>(), time(), time(), "[ab]", "g-[0-3]", who, one_of(TYPES), decision, option::of(any::<u64>()))
        .prop_map(|(key, at_ms, arrived_ms, account, group, who, what, decision, fingerprint)| Head {
            key: EventKey(key),
            at_ms,
            arrived_ms,
            account: Cow::Owned(account),
            group: Cow::Owned(group),
            member: who.0.map(Cow::Owned),
            name: who.1,
            role: who.2,
            what,
            status: if decision.2 == 0 { Status::Late } else { Status::Counted },
            verdict: decision.0,
            revised: decision.1,
            fingerprint,
        })
}

fn facts_of_people() -> impl Strategy<Value = Fact<'static>> {
    prop_oneof![
        (any::<bool>(), optional(), optional(), optional(), optional(), option::of("[uv]"), any::<bool>())
            .prop_map(|(joined, inviter, scene, channel, reason, union_id, inferred)| Fact::Member(
                MemberFact {
                    joined,
                    inviter,
                    scene,
                    channel,
                    reason,
                    union_id: union_id.map(Cow::Owned),
                    inferred
                }
            )),
        (optional(), optional(), any::<bool>()).prop_map(|(name, owner, dismissed)| Fact::Group(GroupFact {
            name,
            owner,
            dismissed
        })),
        (text(), optional()).prop_map(|(staff, channel)| Fact::Contact(ContactFact { staff, channel })),
        any::<bool>().prop_map(|granted| Fact::Consent(ConsentFact { granted })),
        (text(), -1e9..1e9, optional()).prop_map(|(kind, value, broadcast)| Fact::Outcome(OutcomeFact {
            kind,
            value,
            broadcast
        })),
        (optional(), any::<bool>()).prop_map(|(of, recalled)| Fact::Revision(RevisionFact { of, recalled })),
        (text(), one_of(&[ContactEnd::Customer, ContactEnd::Transfer]))
            .prop_map(|(staff, by)| Fact::ContactEnd(ContactEndFact { staff, by })),
        (text(), optional(), optional()).prop_map(|(change, id, tag_type)| Fact::Tags(TagsFact {
            change,
            id,
            tag_type
        })),
        (vec(roster_members(), 0..4), vec("m-[0-5]".prop_map(Cow::Owned), 0..3))
            .prop_map(|(found, gone)| Fact::Roster(RosterFact { found, gone })),
        (text(), text(), any::<i64>()).prop_map(|(member, rule, until_ms)| Fact::Kick(KickFact {
            member,
            rule,
            until_ms
        })),
    ]
}

fn send() -> impl Strategy<Value = SendFact<'static>> {
    let kind = one_of(&["reply", "welcome"]);
    (any::<u16>(), kind, text(), long_text(), optional(), time()).prop_map(
        |(index, kind, rule, text, welcome_code, expires_ms)| SendFact {
            index,
            kind: Cow::Borrowed(kind),
            rule,
            text,
            welcome_code,
            expires_ms,
        },
    )
}

fn roster_members() -> impl Strategy<Value = RosterMember<'static>> {
    let role = one_of(&[Role::Customer, Role::Staff]);
    let how = (optional(), optional(), optional(), option::of("[uv]"));
    ("m-[0-5]", role, optional(), time(), how).prop_map(|(member, role, name, joined_ms, how)| RosterMember {
        member: Cow::Owned(member),
        role,
        name,
        joined_ms,
        inviter: how.0,
        scene: how.1,
        channel: how.2,
        union_id: how.3.map(Cow::Owned),
    })
}

#[expect(clippy::too_many_lines, reason = "one strategy a kind of fact")]
fn facts_of_judging() -> impl Strategy<Value = Fact<'static>> {
    let via = vec(one_of(&[Via::Case, Via::Gap, Via::Homophone, Via::Emoji]), 0..3);
    prop_oneof![
        (
            text(),
            any::<u64>(),
            text(),
            one_of(&[Level::Low, Level::High]),
            any::<(u32, u32)>(),
            via,
            any::<bool>()
        )
            .prop_map(|(wordlist, term, category, level, span, via, in_force)| {
                let hit = HitFact { wordlist, term, category, level, span, via };
                if in_force { Fact::Hit(hit) } else { Fact::ShadowHit(hit) }
            }),
        (any::<u16>(), one_of(&[ActionKind::Recall, ActionKind::Remove]), optional(), text(), time())
            .prop_map(|(index, kind, of, rule, expires_ms)| Fact::Action(ActionFact {
                index,
                kind,
                of,
                rule,
                expires_ms
            })),
        send().prop_map(Fact::Send),
        (send(), long_text()).prop_map(|(send, contents)| Fact::Attach(AttachFact { send, contents })),
        (
            one_of(&[
                StateKind::Cooldown,
                StateKind::Flood,
                StateKind::Roster,
                StateKind::Asked,
                StateKind::Segment
            ]),
            "[kl]",
            option::of(vec(any::<u8>(), 0..40)),
            time()
        )
            .prop_map(|(kind, key, value, expires_ms)| Fact::State(StateFact {
                kind,
                key: Cow::Owned(key),
                value: value.map(Cow::Owned),
                expires_ms
            })),
        text().prop_map(|rule| Fact::Review(ReviewFact { rule })),
        text().prop_map(|of| Fact::Held(HeldFact { of })),
        text().prop_map(|kind| Fact::Content(ContentFact { kind })),
        (0_u32..600_000, vec(text(), 0..3))
            .prop_map(|(hour, wordlists)| Fact::Overturned(OverturnedFact { hour, wordlists })),
        vec((0_u32..600_000, any::<u32>(), any::<bool>()), 0..4).prop_map(|questions| {
            let waited = |(hour, seconds, is_open)| Waited { hour, seconds, is_open };
            Fact::Answered(AnsweredFact { questions: questions.into_iter().map(waited).collect() })
        }),
        (0_u32..600_000, any::<bool>(), any::<bool>()).prop_map(|(hour, by_us, undone)| {
            let by = if by_us { UnsaidBy::Us } else { UnsaidBy::Member };
            Fact::Unsaid(UnsaidFact { hour, by, undone })
        }),
        (text(), text()).prop_map(|(ruleset, policy)| Fact::Judged(JudgedFact { ruleset, policy })),
        any::<(u8, u8, u8)>().prop_map(|(links, images, mentions)| Fact::Carried(CarriedFact {
            links,
            images,
            mentions
        })),
        ("case-[0-2]", text(), text(), optional(), optional(), time()).prop_map(
            |(case, account, group, member, of, at_ms)| {
                let case = Cow::Owned(case);
                let (by, verdict) = (Alike::Near, Verdict::Review);
                Fact::Sighted(SightedFact { case, account, group, member, of, at_ms, by, verdict })
            }
        ),
        ("case-[0-2]", any::<(bool, u32, u32, u32, u32)>(), time(), time()).prop_map(
            |(case, (is_new, groups, members, messages, near), first_ms, last_ms)| {
                let (case, by) = (Cow::Owned(case), vec![(Alike::Near, near), (Alike::File, 1)]);
                let size = CaseSizeFact { case, is_new, groups, members, messages, by, first_ms, last_ms };
                Fact::CaseSize(size)
            }
        ),
        (text(), option::of(any::<[u16; LANES]>()), vec(any::<(u8, u64)>(), 0..4)).prop_map(
            |(of, sketch, marks)| {
                let kind = |n: u8| [MarkKind::Link, MarkKind::Contact, MarkKind::File][usize::from(n % 3)];
                let marks = marks.into_iter().map(|(n, hash)| Mark { kind: kind(n), hash }).collect();
                Fact::Traits(TraitsFact { of, sketch: sketch.map(Sketch), marks })
            }
        ),
        (
            text(),
            one_of(&[Kin::Ourselves, Kin::Staff, Kin::Other]),
            vec(text(), 0..3),
            option::of(any::<u64>()),
            option::of((any::<u64>(), any::<[u16; LANES]>()))
        )
            .prop_map(|(id, kin, to, quotes, question)| {
                let question = question.map(|(text, sketch)| QuestionFact { text, sketch: Sketch(sketch) });
                Fact::Talk(TalkFact { id, kin, to, quotes, question })
            }),
        (text(), text(), any::<i64>()).prop_map(|(of, rule, until_ms)| Fact::HandOver(HandOverFact {
            of,
            rule,
            until_ms
        })),
        ("case-[0-2]", any::<u64>(), vec((text(), text()), 0..4), time(), time()).prop_map(
            |(id, fingerprint, groups, first_ms, last_ms)| Fact::Case(CaseFact {
                id: Cow::Owned(id),
                fingerprint,
                groups,
                first_ms,
                last_ms
            })
        ),
        (any::<i64>(), option::of(any::<i64>()))
            .prop_map(|(since_ms, until_ms)| Fact::Silence(SilenceFact { since_ms, until_ms })),
        (text(), any::<i64>()).prop_map(|(id, expires_ms)| Fact::Evidence(EvidenceFact { id, expires_ms })),
        (
            text(),
            one_of(&[Verdict::Review, Verdict::Block]),
            vec(text(), 0..3),
            0_u8..=100,
            text(),
            option::of(any::<u64>())
        )
            .prop_map(|(of, verdict, labels, confidence, source, latency_ms)| Fact::LateVerdict(
                LateVerdictFact { of, verdict, labels, confidence, source, latency_ms }
            )),
    ]
}

/// Arbitrary effects with every kind of fact.
pub(crate) fn effects() -> impl Strategy<Value = Effects<'static>> {
    (heads(), vec(prop_oneof![facts_of_people(), facts_of_judging()], 0..5))
        .prop_map(|(head, facts)| Effects { head, facts })
}

fn row_of(many: &[Effects<'_>]) -> Vec<u8> {
    let mut row = Vec::new();
    start_row(&mut row);
    for one in many {
        encode(one, &mut row);
    }
    finish_row(&mut row);
    row
}

fn read(row: &[u8]) -> Result<usize, CodecError> {
    let mut seen = 0;
    decode(row, &mut |_| seen += 1).map(|()| seen)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(many in vec(effects(), 0..6)) {
        let row = row_of(&many);
        let mut at = 0;
        decode(&row, &mut |one| {
            assert_eq!(one, &many[at]);
            at += 1;
        }).unwrap();
        prop_assert_eq!(at, many.len());
    }

    #[test]
    fn joining_bytes_joins_effects(a in effects(), b in effects()) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encode(&a, &mut first);
        encode(&b, &mut second);
        let mut row = Vec::new();
        start_row(&mut row);
        row.extend_from_slice(&first);
        row.extend_from_slice(&second);
        finish_row(&mut row);
        prop_assert_eq!(row, row_of(&[a, b]));
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..200), framed in any::<bool>()) {
        if framed && bytes.len() >= HEADER_BYTES {
            finish_row(&mut bytes);
        }
        _ = read(&bytes); // an error or not: only a panic fails
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let row = row_of(&[golden(), golden()]);
    assert_eq!(read(&row), Ok(2));
    for bit in 0..row.len() * 8 {
        let mut damaged = row.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged).is_err(), "bit {bit}");
    }
    for cut in 0..row.len() {
        assert!(read(&row[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = row;
    longer.push(0);
    assert!(matches!(read(&longer), Err(CodecError::Length { .. })));
}

#[test]
fn an_unknown_kind_is_refused_below_128_and_skipped_above() {
    for (kind, expect) in [(21, Err(CodecError::KindNewer(21))), (127, Err(CodecError::KindNewer(127)))] {
        assert_eq!(read(&with_record(kind)), expect);
    }
    for kind in [250, 200, 255] {
        assert_eq!(read(&with_record(kind)), Ok(2), "kind {kind}");
    }
    let newer = CodecError::KindNewer(21).to_string();
    assert!(newer.contains("newer menshen"), "{newer}");
}

#[test]
fn a_newer_format_is_refused_with_the_remedy() {
    let mut row = row_of(&[golden()]);
    row[3] = FORMAT + 1;
    assert_eq!(read(&row), Err(CodecError::FormatNewer(2)));
}

#[test]
fn texts_are_borrowed_from_the_row() {
    let row = row_of(&[golden()]);
    decode(&row, &mut |one| {
        assert!(matches!(one.head.account, Cow::Borrowed(_)));
        assert!(matches!(one.head.member, Some(Cow::Borrowed(_))));
        let Some(Fact::Send(send)) = one.facts.first() else { panic!("a send was written") };
        assert!(matches!((&send.text, &send.welcome_code), (Cow::Borrowed(_), Some(Cow::Borrowed(_)))));
    })
    .unwrap();
}

/// Written down once. A change here means that stored journals would be read wrongly: make a new kind instead.
#[test]
fn format_1_is_pinned() {
    let bytes: String = row_of(&[golden()]).iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
    assert_eq!(bytes, GOLDEN);
}

fn with_record(kind: u8) -> Vec<u8> {
    let mut row = Vec::new();
    start_row(&mut row);
    encode(&golden(), &mut row);
    row.extend_from_slice(&[kind, 3, 1, 2, 3]);
    encode(&golden(), &mut row);
    finish_row(&mut row);
    row
}

/// One message that got a reply.
fn golden() -> Effects<'static> {
    Effects {
        head: Head {
            key: EventKey(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            at_ms: 1_790_000_000_000,
            arrived_ms: 1_790_000_000_250,
            account: Cow::Borrowed("demo"),
            group: Cow::Borrowed("g-7"),
            member: Some(Cow::Borrowed("u-3")),
            name: None,
            role: Role::Customer,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Mask,
            revised: false,
            fingerprint: Some(7),
        },
        facts: vec![Fact::Send(SendFact {
            index: 0,
            kind: Cow::Borrowed("reply"),
            rule: Cow::Borrowed("hours"),
            text: Cow::Borrowed("十点开门"),
            welcome_code: Some(Cow::Borrowed("w1")),
            expires_ms: 1_790_000_600_000,
        })],
    }
}

const GOLDEN: &str = "4d534a015c000000b54a1ba20134ef9bafcdf8acd19181deb7de9af1d9a2a30280b083c59868f4b383c598680464656d6f\
                      03672d370103752d330000000001000107062400057265706c7905686f7572730ce58d81e782b9e5bc80e997a8010277\
                      3180cfccc59868";
