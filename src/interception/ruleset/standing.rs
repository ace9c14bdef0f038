//! How lists and terms stand in one text: whether they reach its audience, count, or are only counted apart.
//!
//! Worked out for a list when the first hit of it is found, and then kept for the text: a text without hits costs
//! nothing, one with a hundred hits of one list asks once. What a single term says is in a table beside the terms, so
//! that the many that say nothing pay nothing for it.

use super::Ruleset;
use crate::event::{Level, Verdict};
use crate::interception::audience::{Audience, Reach};
use crate::interception::life::Life;
use crate::interception::policy::{Decision, ListRule, Policy, Strictness, TermRule};
use crate::interception::wordlist::{Term, WordlistSource};

/// What a list says of itself.
#[derive(Debug)]
pub(super) struct ListEntry {
    pub(super) reach: Reach,
    pub(super) life: Life,
    pub(super) strictness: Option<Strictness>,
    pub(super) verdict: Option<Verdict>,
}

/// What a term says of itself.
#[derive(Debug)]
pub(super) struct TermEntry {
    pub(super) reach: Reach,
    pub(super) level: Option<Level>,
    pub(super) verdict: Option<Verdict>,
}

impl ListEntry {
    pub(super) fn of(source: &WordlistSource) -> Self {
        Self {
            reach: Reach {
                scope: source.scope.clone(),
                roles: source.roles,
                valid_from: source.valid_from,
                valid_until: source.valid_until,
            },
            life: source.life.clone(),
            strictness: source.strictness,
            verdict: source.verdict,
        }
    }
}

impl TermEntry {
    /// Returns what a term says of itself, if it says anything.
    pub(super) fn of(term: &Term) -> Option<Self> {
        let reach = Reach {
            scope: term.scope.clone(),
            roles: term.roles,
            valid_from: term.valid_from,
            valid_until: term.valid_until,
        };
        let says = reach != Reach::default() || term.level.is_some() || term.verdict.is_some();
        says.then_some(Self { reach, level: term.level, verdict: term.verdict })
    }
}

/// How a list stands in one text.
#[derive(Clone, Copy, Debug)]
pub(in crate::interception) enum ListStanding {
    /// Its policy leaves it out, or it does not reach the audience.
    Absent,
    /// Its hits are counted apart.
    Shadow(ListRule),
    /// Its hits count.
    InForce(ListRule),
}

/// By what a text is judged, and what was found out about the lists so far.
#[derive(Debug)]
pub(in crate::interception) struct Judging<'a> {
    policy: &'a Policy,
    audience: &'a Audience<'a>,
    lists: &'a mut Vec<Option<ListStanding>>,
}

impl<'a> Judging<'a> {
    /// Begins with a text; `lists` is room to work in.
    pub(in crate::interception) fn new(
        policy: &'a Policy,
        audience: &'a Audience<'a>,
        lists: &'a mut Vec<Option<ListStanding>>,
    ) -> Self {
        lists.clear();
        Self { policy, audience, lists }
    }
}

impl Ruleset {
    /// Decides about a hit of a term; `None` when it does not reach this audience.
    pub(in crate::interception) fn decide(&self, judging: &mut Judging<'_>, term: usize) -> Option<Decision> {
        let listed = self.terms.get(term)?;
        let kind = self.kinds.get(usize::from(listed.kind))?;
        let (list, is_shadow) = match self.standing(judging, kind.list) {
            ListStanding::Absent => return None,
            ListStanding::Shadow(list) => (list, true),
            ListStanding::InForce(list) => (list, false),
        };
        let own = self.own.binary_search_by_key(&listed.text_from, |(from, _)| *from).ok();
        let own = own.and_then(|at| self.own.get(at)).map(|(_, entry)| entry);
        if own.is_some_and(|own| !own.reach.covers(judging.audience)) {
            return None;
        }
        let own = own.map(|own| TermRule { level: own.level, verdict: own.verdict }).unwrap_or_default();
        let decision = judging.policy.decide(&kind.category, kind.level, list, own);
        Some(Decision { is_shadow, ..decision })
    }

    /// Says how the list of an allow phrase stands: a list that changes nothing cancels nothing either.
    pub(in crate::interception) fn phrase_standing(
        &self,
        judging: &mut Judging<'_>,
        phrase: usize,
    ) -> ListStanding {
        match self.phrases.get(phrase) {
            Some(phrase) => self.standing(judging, phrase.list),
            None => ListStanding::Absent,
        }
    }

    fn standing(&self, judging: &mut Judging<'_>, list: u16) -> ListStanding {
        let at = usize::from(list);
        if let Some(Some(known)) = judging.lists.get(at) {
            return *known;
        }
        let standing = self.stand(judging.policy, judging.audience, at).unwrap_or(ListStanding::Absent);
        if judging.lists.len() <= at {
            judging.lists.resize(at + 1, None);
        }
        judging.lists[at] = Some(standing);
        standing
    }

    /// Works out how a list stands; `None` where it does not reach the audience.
    pub(super) fn stand(
        &self,
        policy: &Policy,
        audience: &Audience<'_>,
        list: usize,
    ) -> Option<ListStanding> {
        let rule = policy.wordlist(&self.lists.get(list)?.name)?;
        let entry = self.entries.get(list).filter(|entry| entry.reach.covers(audience))?;
        let rule =
            ListRule { strictness: rule.strictness.or(entry.strictness), verdict: entry.verdict, ..rule };
        Some(if entry.life.is_in_force(audience) {
            ListStanding::InForce(rule)
        } else {
            ListStanding::Shadow(rule)
        })
    }
}
