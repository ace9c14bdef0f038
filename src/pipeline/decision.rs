//! A decision as it grows from stage to stage: the answer to the caller and the effects for the journal.

use std::borrow::Cow;

use super::{Arrival, Keep, PartitionState, Setting, Travelled, is_revision};
use crate::event::{
    Action, ActionFact, ActionKind, Answer, Asked, ConsentFact, ContactEndFact, ContactFact, Effects, Fact,
    GroupChange, GroupEvent, GroupFact, Head, HeldFact, Hit, HitFact, JudgedFact, LateVerdictFact,
    MemberFact, OutcomeFact, ReviewFact, RevisionFact, Role, RosterFact, SendFact, SilenceFact, Status,
    TagsFact, Verdict, What,
};
use crate::interception::{Judgement, Said, SpeakerKey};
use crate::template::{MissingVariable, Template};

/// A recall is pointless when members have read the message long ago.
const RECALL_EXPIRY_MS: i64 = 10 * 60 * 1_000;

/// What was decided about one event.
#[derive(Clone, Debug)]
pub struct Decision<'e> {
    /// What the caller is told.
    pub answer: Answer,
    /// What the journal is told; `None` for a repeat.
    pub effects: Option<Effects<'e>>,
    /// A reply or welcome that was due and could not be made.
    pub skipped: Vec<Skipped>,
    /// What became of members of journeys.
    pub travelled: Vec<Travelled>,
    /// What to keep in memory of what was said, and of whom, where a rule or policy looks over several messages.
    pub said: Option<(SpeakerKey, Said)>,
    /// The text is to be kept.
    pub evidence: Option<Keep>,
    /// Somebody else is asked about the message; see [`super::Asking`].
    pub asked: Option<Asked>,
}

/// A reply or welcome that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why a reply or welcome was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// This variable has no value here.
    Missing(String),
    /// The platform does not let us say it.
    Unsupported,
    /// Interception refuses our own words there.
    Blocked,
    /// The code to say it with can no longer be used.
    Expired,
    /// It, or every rule, is silent for a while after an answer.
    Cooldown,
    /// The message repeats our own words.
    Echo,
    /// This member was answered too often: perhaps a program that answers us.
    Loop,
    /// It is on trial.
    Shadow,
    /// The member's talk was handed over to staff.
    HandedOver,
    /// They left only a few days ago.
    Rejoined,
}

/// Something to be said: what for, by which rule, with which text, until when.
pub(super) struct Saying<'r, 'e> {
    pub(super) kind: &'static str,
    pub(super) rule: &'r str,
    pub(super) text: &'r Template,
    pub(super) welcome_code: Option<&'e str>,
    pub(super) expires_ms: i64,
}

/// How whoever is spoken to is called.
pub(super) struct Called<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) count: &'a str,
}

impl<'a> Called<'a> {
    /// A platform's id is not a name.
    pub(super) fn of(event: &'a GroupEvent<'_>) -> Self {
        Self { name: event.name.as_deref().filter(|name| !name.is_empty()), count: "1" }
    }
}

/// How a member without a name is called where the text has no other word for it.
const NAMELESS: &str = "您";

impl<'e> Decision<'e> {
    pub(super) fn new(event: &'e GroupEvent<'_>, status: Status, arrival: &Arrival, version: &str) -> Self {
        let at_ms = event.at_ms.unwrap_or(arrival.now_ms);
        let head = Head {
            key: arrival.key,
            at_ms,
            arrived_ms: arrival.now_ms,
            account: borrow(&event.account),
            group: borrow(&event.group),
            member: event.member.as_deref().map(borrow),
            name: event.name.as_deref().map(borrow),
            role: event.role,
            what: event.what.event_type(),
            status,
            verdict: Verdict::Pass,
            revised: is_revision(at_ms, arrival.now_ms),
            fingerprint: None,
        };
        let answer = Answer {
            id: event.id.clone().into_owned(),
            verdict: Verdict::Pass,
            ruleset: version.to_owned(),
            status,
            hits: Vec::new(),
            actions: Vec::new(),
            masked: None,
        };
        let effects = (status != Status::Duplicate).then(|| Effects { head, facts: Vec::new() });
        Self {
            answer,
            effects,
            skipped: Vec::new(),
            travelled: Vec::new(),
            said: None,
            evidence: None,
            asked: None,
        }
    }

    /// Interception has judged the text.
    pub(super) fn judged(&mut self, judgement: Judgement) {
        self.raise(judgement.verdict);
        self.answer.masked = judgement.masked;
        for judged in judgement.hits {
            self.fact(|| Fact::Hit(hit_fact(&judged.hit, judged.term_id)));
            self.answer.hits.push(judged.hit);
        }
        for judged in judgement.shadow {
            self.fact(|| Fact::ShadowHit(hit_fact(&judged.hit, judged.term_id)));
        }
    }

    /// Notes what the event itself changes: roster, group, contact, consent, outcome.
    pub(super) fn happened(&mut self, event: &'e GroupEvent<'_>) {
        let fact = match &event.what {
            What::Message(_)
            | What::Due
            | What::SegmentRead(_)
            | What::Pardoned { .. }
            | What::Expelled { .. }
            | What::Overturned { .. } => return,
            What::MessageEdited { of, .. } => revision(of.as_deref(), false),
            What::MessageRecalled { of } => revision(of.as_deref(), true),
            What::MemberJoined { inviter, scene, channel, union_id, inferred, profile: _ } => {
                Fact::Member(MemberFact {
                    joined: true,
                    inviter: inviter.as_deref().map(borrow),
                    scene: scene.as_deref().map(borrow),
                    channel: channel.as_deref().map(borrow),
                    reason: None,
                    union_id: union_id.as_deref().map(borrow),
                    inferred: *inferred,
                })
            }
            What::MemberLeft { reason, inferred } => Fact::Member(MemberFact {
                joined: false,
                inviter: None,
                scene: None,
                channel: None,
                reason: reason.as_deref().map(borrow),
                union_id: None,
                inferred: *inferred,
            }),
            What::ContactAdded { staff, channel, .. } => {
                Fact::Contact(ContactFact { staff: borrow(staff), channel: channel.as_deref().map(borrow) })
            }
            What::GroupCreated(change) | What::GroupUpdated(change) | What::OwnerChanged(change) => {
                group_fact(change)
            }
            What::GroupDismissed => Fact::Group(GroupFact { name: None, owner: None, dismissed: true }),
            What::ConsentChanged { granted } => Fact::Consent(ConsentFact { granted: *granted }),
            What::RosterRead(read) => {
                if read.group != GroupChange::default() {
                    self.fact(|| group_fact(&read.group));
                }
                Fact::Roster(RosterFact { found: read.found.clone(), gone: read.gone.clone() })
            }
            What::Silence { since_ms, until_ms } => {
                Fact::Silence(SilenceFact { since_ms: *since_ms, until_ms: *until_ms })
            }
            What::ContactRemoved { staff, by } => {
                Fact::ContactEnd(ContactEndFact { staff: borrow(staff), by: *by })
            }
            What::TagsChanged { change, id, tag_type } => Fact::Tags(TagsFact {
                change: borrow(change),
                id: id.as_deref().map(borrow),
                tag_type: tag_type.as_deref().map(borrow),
            }),
            What::LateVerdict { of, message: _, opinion } => Fact::LateVerdict(LateVerdictFact {
                of: borrow(of),
                verdict: opinion.verdict,
                labels: opinion.labels.iter().map(|label| borrow(label)).collect(),
                confidence: opinion.confidence,
                source: borrow(&opinion.source),
                latency_ms: opinion.latency_ms,
            }),
            What::Outcome { kind, value, broadcast } => Fact::Outcome(OutcomeFact {
                kind: borrow(kind),
                value: *value,
                broadcast: broadcast.as_deref().map(borrow),
            }),
        };
        self.fact(|| fact);
    }

    /// The group's roster has moved on.
    pub(super) fn stepped(&mut self, mark: Fact<'e>) {
        self.fact(|| mark);
    }

    pub(super) fn fingerprinted(&mut self, fingerprint: Option<u64>) {
        if let Some(effects) = &mut self.effects {
            effects.head.fingerprint = fingerprint;
        }
    }

    /// Asks the platform to act on what the verdict says.
    pub(super) fn act(&mut self, state: &PartitionState, setting: &Setting<'_>, event: &'e GroupEvent<'_>) {
        let verdict = self.answer.verdict;
        if let Some(effects) = &mut self.effects {
            effects.head.verdict = verdict;
        }
        if verdict >= Verdict::Review {
            let ruleset = Cow::Owned(self.answer.ruleset.clone());
            let policy = setting.policy.map_or(Cow::Borrowed(""), |policy| Cow::Owned(policy.name.clone()));
            self.fact(|| Fact::Judged(JudgedFact { ruleset, policy }));
        }
        let is_late = matches!(event.what, What::LateVerdict { .. });
        let rule = Cow::Borrowed(if is_late { "late_verdict" } else { "policy" });
        // What was shown for a while and should not have been is for a person too.
        let is_told = verdict == Verdict::Review && !self.is_same_flood(state, event);
        if is_told || is_late && verdict == Verdict::Block {
            let rule = rule.clone();
            self.fact(|| Fact::Review(ReviewFact { rule }));
        }
        if verdict != Verdict::Block || event.role == Role::Bot {
            return;
        }
        let state = if setting.can_recall { "queued" } else { "unsupported" };
        self.answer.actions.push(Action { kind: ActionKind::Recall, state: state.into() });
        if setting.can_recall {
            let index = self.next_index();
            let expires_ms = self.now_ms() + RECALL_EXPIRY_MS;
            let of = if let What::MessageEdited { of: Some(of), .. } | What::LateVerdict { message: of, .. } =
                &event.what
            {
                of
            } else {
                &event.id
            };
            let of = borrow(of);
            self.fact(|| {
                Fact::Action(ActionFact { index, kind: ActionKind::Recall, of: Some(of), rule, expires_ms })
            });
        }
    }

    /// Names the message that a person should look at.
    pub(super) fn hold(&mut self, event: &'e GroupEvent<'_>) {
        let facts = self.effects.as_ref().map_or(&[][..], |effects| &effects.facts);
        if !facts.iter().any(|fact| matches!(fact, Fact::Review(_))) {
            return;
        }
        let of = if let What::MessageEdited { of: Some(of), .. } | What::LateVerdict { of, .. } = &event.what
        {
            of
        } else if event.what.message().is_some() {
            &event.id
        } else {
            return;
        };
        self.fact(|| Fact::Held(HeldFact { of: borrow(of) }));
    }

    pub(super) fn say(
        &mut self,
        saying: &Saying<'_, 'e>,
        called: &Called<'_>,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) -> bool {
        let Some(text) = self.render(saying, called, setting, event) else { return false };
        let send = self.send(saying, text);
        self.fact(|| Fact::Send(send));
        true
    }

    /// Returns what is said here; nothing, and a note of it, where a variable has no value.
    pub(super) fn render(
        &mut self,
        saying: &Saying<'_, 'e>,
        called: &Called<'_>,
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
    ) -> Option<String> {
        let text = filled(saying.text, called, setting, event);
        let text = text.map_err(|missing| self.skip(saying.rule, SkipReason::Missing(missing.name))).ok()?;
        if (setting.may_say)(&text) {
            return Some(text);
        }
        // A name may make of it what may not be said: then it goes without.
        let many = [called.count, " 位"].concat();
        let nameless = Called { name: Some(&*many).filter(|_| called.count != "1"), ..*called };
        let text = filled(saying.text, &nameless, setting, event).ok().filter(|text| (setting.may_say)(text));
        if text.is_none() {
            self.skip(saying.rule, SkipReason::Blocked);
        }
        text
    }

    /// Returns the next delivery.
    pub(super) fn send(&self, saying: &Saying<'_, 'e>, text: String) -> SendFact<'e> {
        SendFact {
            index: self.next_index(),
            kind: saying.kind.into(),
            rule: saying.rule.to_owned().into(),
            text: text.into(),
            welcome_code: saying.welcome_code.map(borrow),
            expires_ms: saying.expires_ms,
        }
    }

    pub(super) fn skip(&mut self, rule: &str, reason: SkipReason) {
        self.skipped.push(Skipped { rule: rule.to_owned(), reason });
    }

    pub(super) fn raise(&mut self, verdict: Verdict) {
        self.answer.verdict = self.answer.verdict.max(verdict);
    }

    pub(super) fn fact(&mut self, fact: impl FnOnce() -> Fact<'e>) {
        if let Some(effects) = &mut self.effects {
            effects.facts.push(fact());
        }
    }

    /// Returns a number that nobody can choose and a replay gives again.
    pub(super) fn chance(&self) -> u16 {
        self.effects.as_ref().map_or(0, |effects| effects.head.key.chance())
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.effects.as_ref().map_or(0, |effects| effects.head.arrived_ms)
    }

    pub(super) fn next_index(&self) -> u16 {
        let facts = self.effects.as_ref().map_or(&[][..], |effects| &effects.facts);
        let used = facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Send(_) | Fact::Attach(_) | Fact::Action(_)))
            .count();
        u16::try_from(used).unwrap_or(u16::MAX)
    }
}

/// Fills a text in for whoever is spoken to.
pub(super) fn filled(
    text: &Template,
    called: &Called<'_>,
    setting: &Setting<'_>,
    event: &GroupEvent<'_>,
) -> Result<String, MissingVariable> {
    let value_of = |name: &str| value(name, called, setting, event);
    text.render(&value_of).or_else(|missing| {
        if missing.name != "member.name" {
            return Err(missing);
        }
        text.render(&|name| value_of(name).or((name == "member.name").then_some(NAMELESS)))
    })
}

/// Returns the value of a variable for whoever is spoken to.
pub(super) fn value<'v>(
    name: &str,
    called: &'v Called<'_>,
    setting: &'v Setting<'_>,
    event: &'v GroupEvent<'_>,
) -> Option<&'v str> {
    match (name, &event.what) {
        ("member.name", _) => called.name,
        ("member.count", _) => Some(called.count),
        ("staff.id", What::ContactAdded { staff, .. }) => Some(staff.as_ref()),
        _ => (setting.variable)(name),
    }
}

fn borrow(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

pub(super) fn hit_fact(hit: &Hit, term: u64) -> HitFact<'static> {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    HitFact {
        wordlist: hit.wordlist.clone().into(),
        term,
        category: hit.category.clone().into(),
        level: hit.level,
        span: (byte(hit.span[0]), byte(hit.span[1])),
        via: hit.via.clone(),
    }
}

fn revision(of: Option<&str>, recalled: bool) -> Fact<'_> {
    Fact::Revision(RevisionFact { of: of.map(borrow), recalled })
}

fn group_fact<'e>(change: &'e GroupChange<'_>) -> Fact<'e> {
    let (name, owner) = (change.name.as_deref().map(borrow), change.owner.as_deref().map(borrow));
    Fact::Group(GroupFact { name, owner, dismissed: false })
}
