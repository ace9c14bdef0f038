//! The ordinary sentence around a cloaked term: a filter that only sees bare terms is no filter.
//!
//! A term goes to the start, to the end, behind a punctuation mark, or between two Chinese characters, where a segmenter
//! has the hardest time. Letters never meet letters and digits never meet digits: `vx` inside `dvxd` is no `vx` to a
//! reader either.

use super::chance::Chance;
use super::tables::is_han;

/// Longest carrier in characters; what is behind is left off.
pub(super) const CARRIER_CHARS_MAX: usize = 80;

/// Puts a text into an ordinary sentence.
pub(super) fn embed(carrier: &str, text: &str, chance: &mut Chance) -> String {
    let chars: Vec<char> = carrier.chars().take(CARRIER_CHARS_MAX).collect();
    let all: Vec<usize> = (0..=chars.len()).filter(|at| fits(&chars, *at, text)).collect();
    let inner = |fitting: fn(char, char) -> bool| -> Vec<usize> {
        let is = |at: &usize| pair(&chars, *at).is_some_and(|(before, after)| fitting(before, after));
        all.iter().copied().filter(is).collect()
    };
    let mut places = match chance.below(20) {
        0..=3 => vec![0],
        4..=7 => vec![chars.len()],
        8..=11 => inner(|before, _| is_mark(before)),
        12.. => inner(|before, after| is_han(before) && is_han(after)),
    };
    places.retain(|at| all.contains(at));
    let Some(at) = chance.pick(&places).or_else(|| chance.pick(&all)).copied() else {
        return format!("{carrier} {text}");
    };
    let (before, after) = chars.split_at(at);
    before.iter().copied().chain(text.chars()).chain(after.iter().copied()).collect()
}

fn pair(chars: &[char], at: usize) -> Option<(char, char)> {
    Some((*chars.get(at.checked_sub(1)?)?, *chars.get(at)?))
}

fn is_mark(c: char) -> bool {
    matches!(c, '，' | '。' | '！' | '？' | '、' | '；' | '：' | '…' | '~' | ' ' | ',' | '!' | '?')
}

/// Says whether a text may stand here without growing together with its neighbours.
fn fits(chars: &[char], at: usize, text: &str) -> bool {
    let meet = |one: Option<char>, other: Option<char>| match (one, other) {
        (Some(one), Some(other)) => {
            (one.is_ascii_alphabetic() && other.is_ascii_alphabetic())
                || (one.is_ascii_digit() && other.is_ascii_digit())
        }
        (None | Some(_), _) => false,
    };
    let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
    !meet(before, text.chars().next()) && !meet(text.chars().next_back(), chars.get(at).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_whole_and_the_sentence_around_it_too() {
        let carrier = "今天的草莓甜不甜呀，ok的话给我留2斤";
        for seed in 0..300 {
            let text = embed(carrier, "加wei信", &mut Chance::new(seed, &[]));
            assert!(text.contains("加wei信"));
            assert_eq!(text.replacen("加wei信", "", 1), carrier);
        }
    }

    #[test]
    fn all_kinds_of_places_are_used() {
        let carrier = "草莓甜，好吃";
        let texts: Vec<_> = (0..200).map(|seed| embed(carrier, "X", &mut Chance::new(seed, &[]))).collect();
        for text in ["X草莓甜，好吃", "草莓甜，好吃X", "草莓甜，X好吃", "草X莓甜，好吃"]
        {
            assert!(texts.iter().any(|t| t == text), "{text}");
        }
    }

    #[test]
    fn letters_do_not_meet_letters() {
        for seed in 0..100 {
            let text = embed("abcd", "vx", &mut Chance::new(seed, &[]));
            assert_eq!(text, "abcd vx");
        }
    }
}
