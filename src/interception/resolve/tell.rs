//! A hit as it is told: the term, what was written, by which foldings and disguises.

use super::{Outcome, Resolved, Verdicted, gaps};
use crate::event::{Hit, Via};
use crate::interception::JudgedHit;
use crate::interception::fold::{Unit, foldings, units_into};
use crate::interception::ruleset::{Ruleset, shown};
use crate::interception::variants::Room;

impl Ruleset {
    /// Tells a hit to the caller.
    pub(in crate::interception) fn hit(
        &self,
        text: &str,
        resolved: &Resolved,
        units: &[Unit],
        room: &Room,
        term_units: &mut Vec<Unit>,
    ) -> JudgedHit {
        let listed = self.listed(resolved.term);
        let matched = units.get(resolved.units[0]..resolved.units[1]).unwrap_or_default();
        let disguised = resolved.disguised.and_then(|index| room.found.get(index));
        let (via, confidence) = match disguised {
            None => (via(text, matched, listed.text, term_units), 100),
            Some(hit) => {
                let gap = room.gaps(text, hit).any(|gap| !gap.is_empty());
                (hit.via().chain(gap.then_some(Via::Gap)).collect(), hit.confidence())
            }
        };
        let hit = Hit {
            wordlist: listed.wordlist.to_owned(),
            category: listed.category.to_owned(),
            level: resolved.decision.level,
            term: listed.shown().into_owned(),
            matched: shown(text.get(resolved.span[0]..resolved.span[1]).unwrap_or_default(), listed.masked)
                .into_owned(),
            span: resolved.span,
            via,
            confidence,
        };
        JudgedHit { hit, term_id: self.id_of(resolved.term), masked: None }
    }

    pub(in crate::interception) fn outcome(&self, outcome: Verdicted) -> Outcome {
        match outcome {
            Verdicted::Counted => Outcome::Counted,
            Verdicted::Gap => Outcome::Gap,
            Verdicted::Sentence => Outcome::Sentence,
            Verdicted::Boundary => Outcome::Boundary,
            Verdicted::Ordinary => Outcome::Ordinary,
            Verdicted::Covered => Outcome::Covered,
            Verdicted::Allowed(phrase) => {
                let (wordlist, phrase) = self.phrase(phrase);
                Outcome::Allowed { wordlist: wordlist.to_owned(), phrase: phrase.into_owned() }
            }
        }
    }
}

/// Compares the written characters with the listed ones: the foldings that one of them needed and the other did not.
fn via(text: &str, matched: &[Unit], term: &str, listed: &mut Vec<Unit>) -> Vec<Via> {
    let mut all = Vec::new();
    let ends = matched.first().zip(matched.last());
    if ends.and_then(|(first, last)| text.get(first.start..last.end)) == Some(term) {
        return all;
    }
    units_into(term, listed);
    for (written, listed) in matched.iter().zip(listed.iter()) {
        if written.original == listed.original {
            continue;
        }
        if written.original.is_ascii() && listed.original.is_ascii() {
            all.push(Via::Case);
            continue;
        }
        let of_written: Vec<_> = foldings(written.original).collect();
        let of_listed: Vec<_> = foldings(listed.original).collect();
        if of_written == of_listed {
            all.extend(of_written);
        } else {
            all.extend(of_written.iter().filter(|v| !of_listed.contains(v)));
            all.extend(of_listed.iter().filter(|v| !of_written.contains(v)));
        }
    }
    if gaps(text, matched).ne(gaps(term, listed)) {
        all.push(Via::Gap);
    }
    if all.len() > 1 {
        all.sort_unstable();
        all.dedup();
    }
    all
}
