//! Allow phrases that would have kept a hit from counting: the shortest pieces of the text around it that are longer than
//! the term and no term themselves.
//!
//! Not for: knowing whether a phrase is harmless. Whoever shows one shows beside it what else it would let through.

use unicode_segmentation::UnicodeSegmentation as _;

use super::audience::Audience;
use super::fold::{fold_into, is_sentence_end};
use super::policy::Policy;
use super::resolve::Outcome;
use super::ruleset::Ruleset;

/// Characters a piece may grow by on each side.
const GROWTH_MAX: usize = 8;

/// In which direction a piece grows.
#[derive(Clone, Copy)]
enum Side {
    Both,
    Left,
    Right,
}

impl Ruleset {
    /// Returns up to three allow phrases for a hit at `span` of a text, the narrowest first; none when its sentence holds
    /// nothing but the term.
    pub fn allow_phrases(
        &self,
        text: &str,
        span: [usize; 2],
        policy: &Policy,
        audience: &Audience<'_>,
    ) -> Vec<String> {
        let mut phrases = Vec::new();
        for side in [Side::Both, Side::Left, Side::Right] {
            if let Some(phrase) = self.grow(text, span, side, policy, audience)
                && !phrases.contains(&phrase)
            {
                phrases.push(phrase);
            }
        }
        phrases
    }

    fn grow(
        &self,
        text: &str,
        span: [usize; 2],
        side: Side,
        policy: &Policy,
        audience: &Audience<'_>,
    ) -> Option<String> {
        let [mut from, mut to] = span;
        let hit = folded_chars(text.get(from..to)?);
        for _ in 0..GROWTH_MAX {
            let left = if matches!(side, Side::Right) { None } else { left_of(text, from) };
            let right = if matches!(side, Side::Left) { None } else { right_of(text, to) };
            if left.is_none() && right.is_none() {
                return None;
            }
            (from, to) = (left.unwrap_or(from), right.unwrap_or(to));
            let piece = text.get(from..to)?;
            if folded_chars(piece) > hit && !self.is_term(piece, policy, audience) {
                return Some(piece.trim().to_owned());
            }
        }
        None
    }

    /// Says whether a listed term covers all of a text.
    fn is_term(&self, text: &str, policy: &Policy, audience: &Audience<'_>) -> bool {
        let covers = [0, text.len()];
        let explanation = self.explain(text, policy, audience);
        explanation
            .hits
            .iter()
            .any(|hit| hit.outcome == Outcome::Counted && !hit.shadow && hit.hit.span == covers)
    }
}

fn folded_chars(text: &str) -> usize {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded.chars().count()
}

/// Returns where the character to the left begins, if it belongs to the sentence.
fn left_of(text: &str, at: usize) -> Option<usize> {
    let grapheme = text.get(..at)?.graphemes(true).next_back()?;
    (!ends_sentence(grapheme)).then(|| at - grapheme.len())
}

/// Returns where the character to the right ends, if it belongs to the sentence.
fn right_of(text: &str, at: usize) -> Option<usize> {
    let grapheme = text.get(at..)?.graphemes(true).next()?;
    (!ends_sentence(grapheme)).then(|| at + grapheme.len())
}

fn ends_sentence(grapheme: &str) -> bool {
    grapheme.chars().any(|c| is_sentence_end(c) || c == '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::{AllowPhrase, Config, Origin, Scratch, Term, WordlistSource};

    fn ruleset(terms: &[&str], allow: &[String]) -> Ruleset {
        let mut list = WordlistSource::new("own", Origin::Api);
        for (text, category) in terms.iter().map(|term| term.split_once('/').unwrap_or((term, "listed"))) {
            let category = Some(category.to_owned());
            list.terms.push(Term { text: text.to_owned(), category, ..Term::default() });
        }
        list.allow = allow.iter().map(|text| AllowPhrase { text: text.clone(), line: 0 }).collect();
        Ruleset::compile("t", &[list], Vec::new(), &Config::default()).unwrap().0
    }

    #[track_caller]
    fn check(terms: &[&str], text: &str, expect: &[&str]) {
        let (rules, policy) = (ruleset(terms, &[]), Policy::standard());
        let hits = rules.judge(text, &policy, &Audience::default(), &mut Scratch::default()).hits;
        let hit = hits.into_iter().map(|judged| judged.hit).find(|hit| hit.term == terms[0]).unwrap();
        let phrases = rules.allow_phrases(text, hit.span, &policy, &Audience::default());
        assert_eq!(phrases, expect, "{text}");
        for phrase in phrases {
            let with = ruleset(terms, std::slice::from_ref(&phrase));
            let left = with.judge(text, &policy, &Audience::default(), &mut Scratch::default()).hits;
            assert!(!left.iter().any(|other| other.hit.span == hit.span), "{phrase} does not cancel it");
        }
    }

    #[test]
    fn the_shortest_pieces_around_a_hit_are_offered() {
        check(&["口交"], "前面路口交通堵塞", &["路口交通", "路口交", "口交通"]);
        check(&["口交"], "口交通管制", &["口交通"]);
        check(&["加微信"], "麻烦请加微信支付。谢谢", &["请加微信支", "请加微信", "加微信支"]);
    }

    #[test]
    fn a_piece_stays_in_its_sentence_and_is_no_term() {
        check(&["口交"], "到了。口交", &[]);
        check(&["口交"], "口交", &[]);
        check(&["口交", "路口交/other"], "在路口交费", &["路口交费", "在路口交", "口交费"]);
    }
}
