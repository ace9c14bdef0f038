//! Against `aho-corasick` and a naive search, on streams that are mostly hits.

use proptest::prelude::*;

use super::double_array::DoubleArray;
use super::oracle::{AhoStage, naive};
use super::*;
use crate::interception::filter::Rarity;

fn found(stage: &dyn ExactStage, classes: &[u16]) -> Vec<Found> {
    let mut found = vec![Found { start: 7, end: 8, pattern: 9 }];
    stage.find(classes, &mut found);
    assert!(found.is_sorted_by_key(|f| f.end), "in order of their ends");
    found.sort();
    found
}

fn anchored(patterns: &[Vec<u16>]) -> Anchored {
    Anchored::new(patterns, &Rarity::new(&['的', '一', 'a', '1', '薇'])).unwrap()
}

fn check(patterns: &[Vec<u16>], classes: &[u16]) {
    let expect = naive(patterns, classes);
    let what = format!("{patterns:?} in {classes:?}");
    assert_eq!(found(&DoubleArray::new(patterns).unwrap(), classes), expect, "double array: {what}");
    assert_eq!(found(&anchored(patterns), classes), expect, "anchored: {what}");
    assert_eq!(found(&AhoStage::new(patterns).unwrap(), classes), expect, "aho-corasick: {what}");
}

/// A few classes from every end of the range, 0 and 0xFFFF among them.
fn classes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u16>> {
    let edges = vec![0_u16, 1, 2, 3, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xFFFE, 0xFFFF];
    prop::collection::vec(prop::sample::select(edges), length)
}

proptest! {
    #[test]
    fn finds_what_others_find(
        patterns in prop::collection::vec(classes(1..5), 0..24), text in classes(0..64),
    ) {
        check(&patterns, &text);
    }

    /// Two classes only: every suffix of nearly everything is a pattern, and links are long.
    #[test]
    fn finds_all_suffixes(
        patterns in prop::collection::vec(prop::collection::vec(1_u16..3, 1..9), 0..40),
        text in prop::collection::vec(0_u16..3, 0..80),
    ) {
        check(&patterns, &text);
    }

    #[test]
    fn finds_long_patterns_that_part_late(
        stem in prop::collection::vec(1_u16..6, 1..80),
        ends in prop::collection::vec((0_usize..80, 1_u16..9), 1..12),
        text in prop::collection::vec(0_usize..12, 0..6),
    ) {
        let cut = |(length, last): &(usize, u16)| {
            let mut pattern: Vec<u16> = stem.iter().copied().take(*length).collect();
            pattern.push(*last);
            pattern
        };
        let patterns: Vec<_> = ends.iter().map(cut).collect();
        let text: Vec<u16> = text.iter().flat_map(|i| patterns[i % patterns.len()].clone()).collect();
        check(&patterns, &text);
    }
}

#[test]
fn finds_nested_equal_and_single_patterns() {
    let patterns =
        [vec![1, 2, 3, 4], vec![2, 3, 4], vec![3, 4], vec![4], vec![4], vec![2, 3], vec![1, 2, 3, 4]];
    check(&patterns, &[1, 2, 3, 4, 4, 0, 0xFFFF, 2, 3, 4, 1, 2, 3, 5]);
    check(&[vec![0xFFFF]], &[0xFFFF, 0, 0xFFFF]);
    check(&[vec![0]], &[0xFFFF, 0, 0xFFFF]);
    check(&[], &[1, 2]);
}

#[test]
fn an_empty_pattern_is_never_found() {
    let patterns = [vec![], vec![1], vec![]];
    let expect = [Found { start: 0, end: 1, pattern: 1 }];
    assert_eq!(found(&DoubleArray::new(&patterns).unwrap(), &[1, 2]), expect);
    assert_eq!(found(&anchored(&patterns), &[1, 2]), expect);
}

/// As many and as unlike each other as a real lexicon, in streams made of their pieces.
#[test]
fn ten_thousand_patterns_are_found_as_aho_corasick_finds_them() {
    let mut seed = 5_u64;
    let mut below = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    // Squared: few classes are frequent and most are rare, as with characters.
    let mut class = || u16::try_from(below(70) * below(70)).unwrap();
    let mut patterns: Vec<Vec<u16>> = (0..8_000).map(|i| (0..2 + i % 9).map(|_| class()).collect()).collect();
    for i in 0..2_000 {
        // Starts that others have, other ends; and ends that others have.
        let (from, other) = (patterns[i * 3].clone(), patterns[i * 2 + 1].clone());
        patterns.push(match i % 2 {
            0 => [&from[..from.len() - 1], &other[..1]].concat(),
            _ => [&other[..1], &from[1..]].concat(),
        });
    }
    let (array, aho) = (DoubleArray::new(&patterns).unwrap(), AhoStage::new(&patterns).unwrap());
    let anchored = anchored(&patterns);
    let mut hits = 0;
    for _ in 0..300 {
        let mut text = Vec::new();
        while text.len() < 200 {
            let pattern = &patterns[usize::try_from(below(10_000)).unwrap()];
            text.extend(&pattern[..pattern.len() - usize::from(below(2) == 0)]);
        }
        let expect = found(&aho, &text);
        hits += expect.len();
        assert_eq!(found(&array, &text), expect);
        assert_eq!(found(&anchored, &text), expect);
    }
    assert!(hits > 3_000, "{hits}");
    assert!(array.memory_bytes() < aho.memory_bytes());
}

/// All share their only anchor, so that most are left to the automaton.
#[test]
fn patterns_that_crowd_around_one_anchor_are_found() {
    let crowd = |n: u16| vec![9, 9, 9, 9, 9, 9, 9, 9].into_iter().take(4 + usize::from(n) % 5).collect();
    let mut patterns: Vec<Vec<u16>> = (0..60).map(crowd).collect();
    patterns.extend([vec![8, 9, 9], vec![9, 7], vec![9]]);
    check(&patterns, &[9, 9, 9, 9, 9, 9, 9, 9, 9, 7, 8, 9, 9, 9]);
    check(&patterns, &[8, 9, 9, 7]);
}
