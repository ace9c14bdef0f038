//! A sentence's end between two characters of a hit: two sentences that meet, or a writer who hides a word.
//!
//! It ends the hit, also under `strict`, which looks through gaps of all kinds. It does not where it can only be a disguise:
//! something stands in every place (加。微。信); nothing stands around (加。微信 alone); or it cuts a word of the term in two,
//! of which no word of the text around takes a part (无抵。押贷款, but not 路口\n交警 or 一夜。情况).

use super::{Verdicted, beside, distance, folded, gaps};
use crate::interception::exact::Found;
use crate::interception::fold::{Unit, is_sentence_end};
use crate::interception::variants::cuts_word;

/// Judges a hit that no other rule on gaps has ended.
pub(super) fn check_sentences(text: &str, units: &[Unit], found: &Found) -> Option<Verdicted> {
    let matched = units.get(found.start..found.end).unwrap_or_default();
    let ends: Vec<usize> = gaps(text, matched)
        .filter(|(gap, _)| gap.contains(is_sentence_end))
        .map(|(_, right)| found.start + right)
        .collect();
    if ends.is_empty() {
        return None;
    }
    let places = matched.windows(2).filter(|pair| pair[0].end <= pair[1].start).count();
    let apart = gaps(text, matched).filter(|(gap, _)| distance(gap) > 0).count();
    let is_hidden =
        apart == places && places > 1 || is_alone(text, units, found) || cuts(units, found, &ends);
    (!is_hidden).then_some(Verdicted::Sentence)
}

/// Says whether something stands between a hit and the text on either side of it.
fn is_alone(text: &str, units: &[Unit], found: &Found) -> bool {
    let touches = |left: Option<usize>, right: usize| {
        let left = left.and_then(|left| units.get(left));
        let between = left.zip(units.get(right)).and_then(|(left, right)| text.get(left.end..right.start));
        between.is_some_and(|between| distance(between) == 0)
    };
    !touches(found.start.checked_sub(1), found.start) && !touches(found.end.checked_sub(1), found.end)
}

/// Says whether the sentence ends before these units cut a word of the term, and nothing around explains its parts.
fn cuts(units: &[Unit], found: &Found, ends: &[usize]) -> bool {
    let (left, right) = beside(units, found);
    let from = [found.start].into_iter().chain(ends.iter().copied());
    let to = ends.iter().copied().chain([found.end]);
    let pieces: Vec<String> = from.zip(to).map(|(from, to)| folded(units, from, to)).collect();
    cuts_word(&left, &pieces, &right)
}
