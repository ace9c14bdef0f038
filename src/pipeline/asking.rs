//! Somebody else's verdict on a message: heard in time, or asked for and remembered until it comes.
//!
//! Not for: asking. Invariant: where an answer must come, the mark that says so is in the message's own effects, and the
//! late verdict's effects take it away; so a restart knows exactly which messages nobody judged.

use std::borrow::Cow;

use super::decision::hit_fact;
use super::{Decision, PartitionState, Setting};
use crate::event::{
    Asked, Fact, GroupEvent, Hit, Level, Message, Opinion, Role, StateFact, StateKind, Verdict,
};

/// How long it is remembered that an answer must come, in milliseconds: longer than any gateway stays down unnoticed.
const ASKED_KEEP_MS: i64 = 30 * 24 * 3_600_000;

/// The wordlist that hits of other people's verdicts name.
const OPINIONS: &str = "verdict";

/// Between the parts of a key and of a value; no id holds it.
const SEPARATOR: char = '\u{1f}';

/// Says whether somebody is asked about a message with this verdict.
pub type Asks<'a> = dyn Fn(&Message<'_>, Verdict) -> bool + Sync + 'a;

/// What somebody else has said about the message at hand, and whether they are to be asked.
#[derive(Clone, Copy, Default)]
pub struct Asking<'a> {
    /// What they said in time.
    pub heard: Option<&'a Opinion<'a>>,
    /// Says whether they are asked about a message with this verdict; `None` when nobody is.
    pub asks: Option<&'a Asks<'a>>,
    /// An answer must come: without one the message goes to review, also when a restart comes between.
    pub must_answer: bool,
}

impl PartitionState {
    /// Returns the messages that are asked about, whose answer must come and has not, and since when, in milliseconds since
    /// the epoch.
    pub fn asked(&self) -> Vec<(Asked, i64)> {
        self.small.entries(StateKind::Asked).filter_map(|(key, value)| read(&key, value)).collect()
    }

    /// Says whether an answer about this event must come.
    fn must_answer(&self, event: &GroupEvent<'_>, of: &str, now_ms: i64) -> bool {
        self.small.get(StateKind::Asked, &key(&event.account, &event.group, of), now_ms).is_some()
    }
}

impl Decision<'_> {
    /// Somebody else has said something about the message. Each label is a hit, so that it is seen where hits are.
    pub(super) fn heard(&mut self, opinion: Option<&Opinion<'_>>) {
        let Some(opinion) = opinion.filter(|opinion| opinion.verdict > Verdict::Pass) else { return };
        self.raise(opinion.verdict);
        if self.answer.verdict > Verdict::Mask {
            self.answer.masked = None;
        }
        let unlabelled = [Cow::Borrowed("unlabelled")];
        let labels = if opinion.labels.is_empty() { &unlabelled[..] } else { &opinion.labels };
        for label in labels {
            let level = if opinion.verdict == Verdict::Block { Level::High } else { Level::Medium };
            let hit = Hit {
                wordlist: OPINIONS.into(),
                category: label.to_string(),
                level,
                term: opinion.source.to_string(),
                matched: String::new(),
                span: [0, 0],
                via: Vec::new(),
                confidence: opinion.confidence,
            };
            self.fact(|| Fact::Hit(hit_fact(&hit, 0)));
            self.answer.hits.push(hit);
        }
    }

    /// The hook has answered; where it had to, that is no longer owed.
    pub(super) fn answered(
        &mut self,
        state: &PartitionState,
        event: &GroupEvent<'_>,
        of: &str,
        source: &str,
    ) {
        if source == Opinion::HOOK && state.must_answer(event, of, self.now_ms()) {
            self.fact(|| unmark(event, of));
        }
    }

    /// Somebody else is to be asked, once it is durable that there is something to ask about.
    pub(super) fn ask(&mut self, setting: &Setting<'_>, event: &GroupEvent<'_>) {
        let Asking { heard: None, asks: Some(asks), must_answer } = setting.asking else { return };
        let Some((asked, message)) = Asked::of(event) else { return };
        if event.role == Role::Bot || setting.policy.is_none() || !asks(message, self.answer.verdict) {
            return;
        }
        if must_answer {
            let now_ms = self.now_ms();
            self.fact(|| mark(&asked, now_ms));
        }
        self.asked = Some(asked);
    }
}

/// Returns the change of state that says that an answer about this event must come.
fn mark(asked: &Asked, now_ms: i64) -> Fact<'static> {
    let role = match asked.role {
        Role::Customer => "customer",
        Role::Staff => "staff",
        Role::Bot => "bot",
    };
    let member = asked.member.as_deref().unwrap_or_default();
    let value = [&*now_ms.to_string(), role, &asked.message, member].join("\u{1f}");
    Fact::State(StateFact {
        kind: StateKind::Asked,
        key: Cow::Owned(key(&asked.account, &asked.group, &asked.event)),
        value: Some(Cow::Owned(value.into_bytes())),
        expires_ms: now_ms + ASKED_KEEP_MS,
    })
}

/// Returns the change of state that says that the answer has come.
fn unmark(event: &GroupEvent<'_>, of: &str) -> Fact<'static> {
    let key = Cow::Owned(key(&event.account, &event.group, of));
    Fact::State(StateFact { kind: StateKind::Asked, key, value: None, expires_ms: 0 })
}

fn key(account: &str, group: &str, event: &str) -> String {
    [account, group, event].join("\u{1f}")
}

fn read(key: &str, value: &[u8]) -> Option<(Asked, i64)> {
    let mut place = key.splitn(3, SEPARATOR).map(str::to_owned);
    let mut who = std::str::from_utf8(value).ok()?.splitn(4, SEPARATOR);
    let at_ms = who.next()?.parse().ok()?;
    let role = match who.next()? {
        "staff" => Role::Staff,
        "bot" => Role::Bot,
        _ => Role::Customer,
    };
    let asked = Asked {
        account: place.next()?,
        group: place.next()?,
        event: place.next()?,
        role,
        message: who.next()?.to_owned(),
        member: Some(who.next()?.to_owned()).filter(|member| !member.is_empty()),
    };
    Some((asked, at_ms))
}
