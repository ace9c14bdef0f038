//! What the fleet has seen so far, in counts and in moments worth telling.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cast::{Deed, DeedKind};
use crate::client::Hurdles;
use crate::wire::Verdict;

/// How many moments are kept between two looks; the rest is only counted.
const MOMENTS: usize = 40;

/// Counts since the start, and the moments since the last look.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// How long the fleet has been playing.
    pub elapsed: Duration,
    /// Groups of the fleet.
    pub groups: usize,
    /// Events that were answered.
    pub events: u64,
    /// Of these, messages.
    pub messages: u64,
    /// Of these, questions that a keyword reply is meant for.
    pub questions: u64,
    /// Members who came in.
    pub joins: u64,
    /// Members who left.
    pub leaves: u64,
    /// Messages by verdict: `pass`, `mask`, `review`, `block`.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// Hits by wordlist.
    pub hits: BTreeMap<String, u64>,
    /// What the gateway said it would do, by kind of action.
    pub actions: BTreeMap<String, u64>,
    /// Messages meant as adverts.
    pub adverts: u64,
    /// Of these, not passed.
    pub adverts_caught: u64,
    /// Ordinary messages that were not passed.
    pub false_alarms: u64,
    /// What stood in the way of answers.
    pub hurdles: Hurdles,
    /// Events that got no proper answer.
    pub failed: u64,
    /// Why the last of them did not.
    pub last_error: Option<String>,
    /// What is worth telling since the last look, at most forty.
    pub moments: Vec<Moment>,
}

/// Something worth telling.
#[derive(Debug, Clone)]
pub struct Moment {
    /// What it is.
    pub kind: MomentKind,
    /// The shop's name.
    pub shop: String,
    /// The group's id.
    pub group: String,
    /// The group's name.
    pub group_name: String,
    /// Who did it.
    pub member: String,
    /// What was written; empty for joins and leaves.
    pub text: String,
    /// What the gateway decided.
    pub verdict: Verdict,
    /// What it matched in the text.
    pub matched: Vec<String>,
    /// What it said it would do.
    pub actions: Vec<String>,
}

/// Kinds of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MomentKind {
    /// An advert that was not passed.
    Caught,
    /// An advert that was passed.
    Slipped,
    /// An ordinary message that was not passed.
    FalseAlarm,
    /// A question that a keyword reply is meant for.
    Question,
    /// Somebody came in.
    Joined,
    /// Somebody left.
    Left,
}

/// A deed and what became of it.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) deed: Deed,
    pub(super) seen: Result<Seen, String>,
    pub(super) hurdles: Hurdles,
}

/// What the gateway answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) verdict: Verdict,
    pub(super) matched: Vec<String>,
    pub(super) wordlists: Vec<String>,
    pub(super) actions: Vec<String>,
}

impl Snapshot {
    pub(super) fn new(groups: usize) -> Self {
        Self { groups, ..Self::default() }
    }

    pub(super) fn observe(&mut self, observation: Observation) {
        let Observation { deed, seen, hurdles } = observation;
        self.hurdles.add(hurdles);
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                self.failed += 1;
                self.last_error = Some(error);
                return;
            }
        };
        self.count(deed.kind, &seen);
        let kind = match (deed.kind, seen.verdict) {
            (DeedKind::Join, _) => MomentKind::Joined,
            (DeedKind::Leave, _) => MomentKind::Left,
            (DeedKind::Advert, Verdict::Pass) => MomentKind::Slipped,
            (DeedKind::Advert, _) => MomentKind::Caught,
            (DeedKind::Question, Verdict::Pass) => MomentKind::Question,
            (DeedKind::Talk | DeedKind::Staff, Verdict::Pass) => return,
            (DeedKind::Talk | DeedKind::Staff | DeedKind::Question, _) => MomentKind::FalseAlarm,
        };
        if self.moments.len() < MOMENTS {
            self.moments.push(Moment {
                kind,
                shop: deed.group.shop_name,
                group: deed.group.group,
                group_name: deed.group.name,
                member: deed.member,
                text: deed.text,
                verdict: seen.verdict,
                matched: seen.matched,
                actions: seen.actions,
            });
        }
    }

    fn count(&mut self, kind: DeedKind, seen: &Seen) {
        self.events += 1;
        let passed = seen.verdict == Verdict::Pass;
        seen.wordlists.iter().for_each(|wordlist| *self.hits.entry(wordlist.clone()).or_default() += 1);
        seen.actions.iter().for_each(|action| *self.actions.entry(action.clone()).or_default() += 1);
        match kind {
            DeedKind::Join => self.joins += 1,
            DeedKind::Leave => self.leaves += 1,
            DeedKind::Talk | DeedKind::Question | DeedKind::Staff | DeedKind::Advert => {
                self.messages += 1;
                *self.verdicts.entry(seen.verdict.name()).or_default() += 1;
                self.questions += u64::from(kind == DeedKind::Question);
                self.adverts += u64::from(kind == DeedKind::Advert);
                self.adverts_caught += u64::from(kind == DeedKind::Advert && !passed);
                self.false_alarms += u64::from(kind != DeedKind::Advert && !passed);
            }
        }
    }
}
