//! Whether a place where the gate opened is worth reading in other ways: a few comparisons, which most places do not pass.

use std::ops::Range;

use super::gate::{Open, named};
use super::ordinary::is_everyday_word;
use super::shape::{PARTS_MAX, SHAPES};
use super::sound::SOUNDS;
use super::window::{BESIDE, SPREAD};
use crate::interception::fold::Unit;

/// Most steps taken to follow a term; beyond, the place is read. Texts of repeats have more ways than anybody waits for.
const STEPS_MAX: usize = 256;

/// Says whether a term may stand around a run of its sounds so that it counts.
///
/// Not where it stands as listed, which the exact stage has found; nor where words of the text hold what is not the term's,
/// which hardly any margin would make up for; nor, where no marks say that there is more than sounds and parts, where it is
/// not heard as a whole.
pub(super) fn is_worthwhile(term: &[char], units: &[Unit], open: &Open, has_marks: bool) -> bool {
    let before = usize::from(open.before);
    let starts = open.first.saturating_sub(before * SPREAD + BESIDE)..=open.first.saturating_sub(before);
    let mut steps = STEPS_MAX;
    let heard = starts.rev().find_map(|start| Some(start..heard(term, None, units, start, &mut steps)?));
    let Some(heard) = heard else { return has_marks || steps == 0 };
    let written = units.get(heard.clone()).unwrap_or_default();
    if written.len() != term.len() {
        return true;
    }
    let pairs = heard.clone().zip(written.iter().zip(term));
    let mut altered = pairs.filter(|(_, (unit, listed))| unit.folded != **listed).map(|(at, _)| at);
    let in_word = |at: usize| {
        is_word(units, at..at + 2) || at.checked_sub(1).is_some_and(|before| is_word(units, before..at + 1))
    };
    let Some(first) = altered.next() else { return false };
    let ordinary = match term.len() {
        ..=3 => in_word(first) || altered.any(in_word),
        4.. => in_word(first) && altered.all(in_word),
    };
    !ordinary && !is_word(units, heard)
}

/// Returns where the units end that speak a term, or the rest of one after the character `said`. Repeats on either side
/// are one.
fn heard(term: &[char], said: Option<char>, units: &[Unit], at: usize, steps: &mut usize) -> Option<usize> {
    *steps = steps.checked_sub(1)?;
    let alike = |a: char, b: char| a == b || SOUNDS.alike(named(a), named(b));
    let Some((listed, rest)) = term.split_first() else { return Some(at) };
    let written = units.get(at).map(|unit| unit.folded);
    let fits = |c: char| alike(c, *listed);
    let mut follow = |units_read: usize| heard(rest, Some(*listed), units, at + units_read, steps);
    // One after the other, as the first is nearly always the one.
    let whole = written.filter(|c| fits(*c)).and_then(|_| follow(1));
    let parts = || parts_of(units, at, fits);
    let repeated = said.filter(|said| fits(*said));
    if let Some(end) =
        whole.or_else(|| parts().and_then(&mut follow)).or_else(|| repeated.and_then(|_| follow(0)))
    {
        return Some(end);
    }
    let repeats = said.zip(written).is_some_and(|(said, written)| alike(said, written));
    if repeats { heard(term, said, units, at + 1, steps) } else { None }
}

/// Returns how many units from one on are the parts of a character that fits, in either order.
fn parts_of(units: &[Unit], at: usize, fits: impl Fn(char) -> bool) -> Option<usize> {
    let mut parts = ['\0'; PARTS_MAX];
    for (place, unit) in units.get(at..)?.iter().take(PARTS_MAX).enumerate() {
        parts[place] = SHAPES.part(unit.folded)?;
        if place == 1 && !SHAPES.may_begin(parts[0], parts[1]) {
            return None;
        }
        let mut written = parts;
        let written = &mut written[..=place];
        for _ in 0..2 {
            if place > 0 && SHAPES.whole(written).iter().any(|whole| fits(*whole)) {
                return Some(place + 1);
            }
            written.reverse();
        }
    }
    None
}

/// Says whether neighbours in a text are a word of every day.
fn is_word(units: &[Unit], range: Range<usize>) -> bool {
    let word = units.get(range).unwrap_or_default();
    let joined = word.windows(2).all(|pair| pair.first().map(|u| u.end) == pair.last().map(|u| u.start));
    joined && is_everyday_word(&word.iter().map(|unit| unit.folded).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::fold::units_into;

    fn worthwhile(term: &str, text: &str, first: usize) -> bool {
        let (term, mut units) = (term.chars().collect::<Vec<_>>(), Vec::new());
        units_into(text, &mut units);
        let open = Open { pattern: 0, first, last: first + 2, before: 0, after: 0 };
        is_worthwhile(&term, &units, &open, false)
    }

    #[test]
    fn only_what_is_heard_as_a_whole_and_is_no_talk_is_read() {
        for (term, text, expect) in [
            ("加微信号", "家威信好吗", true),
            ("加微信号", "家威信吗", false),
            ("加微信", "加微信吧", false),
            ("加微信", "家家威威信", true),
            ("加微信", "力口威信", true),
            ("时间表", "实践表", false),
            ("天按门", "天安门", false),
        ] {
            assert_eq!(worthwhile(term, text, 0), expect, "{term} in {text}");
        }
    }

    #[test]
    fn a_text_of_repeats_is_given_up_and_read() {
        let text = "哈".repeat(5_000);
        assert!(worthwhile("哈哈哈哈哈哈微信", &text, 0));
    }
}
