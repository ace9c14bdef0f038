//! Masking: the hit replaced, everything else untouched.
//!
//! What a reader sees as one character (a grapheme cluster) is replaced as one; none is ever cut.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Widens a span to whole grapheme clusters.
pub(super) fn widen(text: &str, span: [usize; 2]) -> [usize; 2] {
    let [start, end] = span;
    let is_boundary = |at| {
        if plain_around(text, at) {
            return true;
        }
        // The whole text is given as one chunk, so the cursor never asks for more.
        GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
    };
    let start = if is_boundary(start) {
        start
    } else {
        GraphemeCursor::new(start, text.len(), true).prev_boundary(text, 0).ok().flatten().unwrap_or(start)
    };
    let end = if is_boundary(end) {
        end
    } else {
        GraphemeCursor::new(end, text.len(), true).next_boundary(text, 0).ok().flatten().unwrap_or(end)
    };
    [start, end]
}

/// Between two plain characters there is always a boundary: the common case, without the tables of the general one.
fn plain_around(text: &str, at: usize) -> bool {
    text.split_at_checked(at).is_some_and(|(left, right)| {
        left.chars().next_back().is_none_or(is_plain) && right.chars().next().is_none_or(is_plain)
    })
}

/// An ideograph, or a visible character of ASCII.
fn is_plain(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | ' '..='~')
}

/// Shows a text by its first character alone: a listed word that may be recognised, but not read.
pub(super) fn hint(text: &str) -> String {
    let mut clusters = text.graphemes(true);
    let first = clusters.next().unwrap_or_default();
    let rest = clusters.count();
    if rest == 0 { "＊".to_owned() } else { format!("{first}{}", "＊".repeat(rest)) }
}

/// Replaces the clusters inside `spans` (each from [`widen`]): `*` for one byte, `＊` for more.
pub(super) fn mask(text: &str, spans: &mut [[usize; 2]]) -> String {
    spans.sort_unstable();
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for [start, end] in spans.iter().copied() {
        let start = start.max(done);
        if end <= start {
            continue;
        }
        masked.push_str(text.get(done..start).unwrap_or_default());
        let hidden = text.get(start..end).unwrap_or_default();
        let sign = |bytes| if bytes == 1 { '*' } else { '＊' };
        if hidden.chars().all(is_plain) {
            masked.extend(hidden.chars().map(|c| sign(c.len_utf8())));
        } else {
            masked.extend(hidden.graphemes(true).map(|cluster| sign(cluster.len())));
        }
        done = end;
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clusters_are_replaced_whole() {
        for (text, span, expect) in [
            ("请加微信吧", [3, 12], "请＊＊＊吧"),
            ("go vx now", [3, 5], "go ** now"),
            ("e\u{301}x", [0, 1], "＊x"),
            ("👨‍👩‍👧x", [4, 7], "＊x"),
            ("加\r\n微", [3, 4], "加＊微"),
        ] {
            let span = widen(text, span);
            assert_eq!(mask(text, &mut [span]), expect, "{text:?}");
        }
    }

    #[test]
    fn overlapping_spans_are_masked_once() {
        assert_eq!(mask("abcdef", &mut [[2, 5], [1, 3], [2, 3]]), "a****f");
    }

    proptest! {
        #[test]
        fn outside_stays_and_no_cluster_is_cut(
            text in "(\\PC|[加微e\u{301}\u{200D}👨👩\u{FE0F}🇨🇳\r\n]){0,20}", from in 0_usize..20, len in 0_usize..8,
        ) {
            let starts: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let start = starts[from.min(starts.len() - 1)];
            let end = starts[(from + len).min(starts.len() - 1)];
            let [start, end] = widen(&text, [start, end]);
            let masked = mask(&text, &mut [[start, end]]);
            prop_assert!(masked.starts_with(text.get(..start).unwrap()));
            prop_assert!(masked.ends_with(text.get(end..).unwrap()));
            let clusters: Vec<_> =
                text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
            prop_assert!(clusters.contains(&start) && clusters.contains(&end));
            let replaced = masked.chars().count() - text.get(..start).unwrap().chars().count()
                - text.get(end..).unwrap().chars().count();
            prop_assert_eq!(replaced, text.get(start..end).unwrap().graphemes(true).count());
        }
    }
}
