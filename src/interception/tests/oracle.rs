//! Gaps, sentence ends and allow phrases against an oracle that shares nothing with the engine: it is written from the
//! rules as they are documented, over texts that are lists of pieces from the start, so that it need not even fold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What a piece of a text is to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A character as it is compared.
    Letter(char),
    /// Something that a reader sees between characters.
    Sign,
    /// Something that ends a sentence.
    End,
    /// Something that nobody sees.
    Unseen,
}

use Piece::{End, Letter, Sign, Unseen};

/// Few letters, so that hits, overlaps and gaps are frequent, and of which no word is made: where a sentence may not end in one
/// is a rule that needs a dictionary.
const PIECES: [(&str, Piece); 16] = [
    ("囧", Letter('囧')),
    ("嘦", Letter('嘦')),
    ("嘦", Letter('嘦')),
    ("怹", Letter('怹')),
    ("怹", Letter('怹')),
    ("群", Letter('群')),
    ("羣", Letter('群')),
    ("歘", Letter('歘')),
    ("群", Letter('群')),
    (" ", Sign),
    ("·", Sign),
    ("，", Sign),
    ("🌸", Sign),
    ("。", End),
    ("\n", End),
    ("\u{200B}", Unseen),
];

/// How many of them are letters.
const LETTERS: usize = 9;

type Text = Vec<(&'static str, Piece)>;

fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = Text> {
    // Letters twice as often as by chance: else most terms are out of reach.
    let piece = prop_oneof![0..LETTERS, 0..PIECES.len()].prop_map(|at| PIECES[at]);
    prop::collection::vec(piece, length)
}

/// A term or phrase as written, and as it is compared.
fn words(length: std::ops::Range<usize>, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Text>> {
    let letter = (0..LETTERS).prop_map(|at| PIECES[at]);
    prop::collection::vec(prop::collection::vec(letter, length), count)
}

fn written(text: &Text) -> String {
    text.iter().map(|(written, _)| *written).collect()
}

fn compared(text: &Text) -> Vec<char> {
    let letter = |piece: &(&str, Piece)| if let Letter(c) = piece.1 { Some(c) } else { None };
    text.iter().filter_map(letter).collect()
}

/// What the rules say of an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// There is too much between its characters, or a sentence ends there.
    Apart,
    Allowed,
    Stands,
}

/// Places of a text's letters.
fn places(text: &Text) -> Vec<usize> {
    (0..text.len()).filter(|at| matches!(text[*at].1, Letter(_))).collect()
}

/// Where a word stands, in numbers of letters: whatever is between them.
fn occurrences(text: &Text, word: &[char]) -> Vec<usize> {
    let letters = compared(text);
    let last = (letters.len() + 1).saturating_sub(word.len());
    (0..last).filter(|at| letters[*at..*at + word.len()] == *word).collect()
}

/// Whether what stands between the characters of an occurrence may stand there.
fn holds_together(text: &Text, first: usize, length: usize, strict: bool) -> bool {
    let places = places(text);
    let between = |left: usize, right: usize| &text[places[left] + 1..places[right]];
    let seen = |gap: &[(&str, Piece)]| gap.iter().filter(|(_, piece)| *piece != Unseen).count();
    let gaps: Vec<_> = (first..first + length - 1).map(|at| between(at, at + 1)).collect();
    let each_max = if length == 2 && !strict { 0 } else { 4 };
    let total_max = length * if strict { 4 } else { 2 };
    if gaps.iter().any(|gap| seen(gap) > each_max)
        || gaps.iter().map(|gap| seen(gap)).sum::<usize>() > total_max
    {
        return false;
    }
    if !gaps.iter().any(|gap| gap.iter().any(|(_, piece)| *piece == End)) {
        return true;
    }
    // A sentence's end is looked through only where the writer puts something everywhere, or writes nothing around.
    let last = first + length - 1;
    let alone = (first == 0 || seen(between(first - 1, first)) > 0)
        && (last + 1 == places.len() || seen(between(last, last + 1)) > 0);
    strict && (alone || length > 2 && gaps.iter().all(|gap| seen(gap) > 0))
}

/// Judges every occurrence of every term: term, bytes, what is said.
fn judged_naively(
    text: &Text,
    terms: &[Text],
    phrases: &[Text],
    strict: bool,
) -> BTreeSet<(String, [usize; 2], Said)> {
    let places = places(text);
    let byte = |place: usize| text[..place].iter().map(|(written, _)| written.len()).sum::<usize>();
    let mut covered = Vec::new();
    for phrase in phrases.iter().map(compared) {
        let stands = |at: &usize| holds_together(text, *at, phrase.len(), false);
        covered
            .extend(occurrences(text, &phrase).into_iter().filter(stands).map(|at| [at, at + phrase.len()]));
    }
    let mut judged = BTreeSet::new();
    for term in terms.iter().map(compared) {
        for first in occurrences(text, &term) {
            let past = first + term.len();
            let said = if !holds_together(text, first, term.len(), strict) {
                Said::Apart
            } else if covered.iter().any(|[from, to]| *from <= first && past <= *to) {
                Said::Allowed
            } else {
                Said::Stands
            };
            let bytes = [byte(places[first]), byte(places[past - 1] + 1)];
            judged.insert((term.iter().collect(), bytes, said));
        }
    }
    judged
}

fn judged(
    text: &str,
    terms: &[Text],
    phrases: &[Text],
    policy: &str,
) -> BTreeSet<(String, [usize; 2], Said)> {
    let mut list = WordlistSource::new("list", Origin::Api);
    list.terms = terms.iter().map(|term| Term { text: written(term), ..Term::default() }).collect();
    list.allow = phrases.iter().map(|phrase| AllowPhrase { text: written(phrase), line: 0 }).collect();
    let config = Config { variants: false, ..Config::default() };
    let (rules, _) = Ruleset::compile("r-1", &[list], Vec::new(), &config).unwrap();
    let explanation = rules.explain(text, rules.policy(policy).unwrap(), &Audience::default());
    let judged = explanation.hits.into_iter().map(|judged| {
        let mut folded = String::new();
        fold_into(&judged.hit.term, &mut folded);
        let said = match judged.outcome {
            Outcome::Gap | Outcome::Sentence => Said::Apart,
            Outcome::Allowed { .. } => Said::Allowed,
            Outcome::Counted | Outcome::Covered => Said::Stands,
            Outcome::Boundary | Outcome::Ordinary => panic!("{:?} has neither", judged.hit),
        };
        (folded, judged.hit.span, said)
    });
    judged.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn gaps_and_allow_phrases_are_what_the_rules_say(
        terms in words(2..5, 1..6), phrases in words(2..6, 0..4), text in text(0..28),
    ) {
        for (policy, strict) in [("relaxed", false), ("standard", false), ("strict", true)] {
            let expect = judged_naively(&text, &terms, &phrases, strict);
            prop_assert_eq!(&judged(&written(&text), &terms, &phrases, policy), &expect, "{}", policy);
        }
    }
}

#[test]
fn the_oracle_knows_the_rules() {
    let read = |text: &str| -> Text {
        let piece = |c: char| *PIECES.iter().find(|(written, _)| *written == c.to_string()).unwrap();
        text.chars().map(piece).collect()
    };
    let said = |term: &str, phrase: &str, text: &str, strict: bool| -> Vec<Said> {
        let judged = judged_naively(&read(text), &[read(term)], &[read(phrase)], strict);
        judged.into_iter().map(|(_, _, said)| said).collect()
    };
    for (term, text, standard, strict) in [
        ("囧嘦怹", "囧·嘦·怹", Said::Stands, Said::Stands),
        ("囧嘦怹", "囧。嘦怹", Said::Apart, Said::Stands),
        ("囧嘦怹", "歘囧。嘦怹", Said::Apart, Said::Apart),
        ("囧嘦怹", "囧。嘦。怹", Said::Apart, Said::Stands),
        ("囧嘦怹", "囧·····嘦怹", Said::Apart, Said::Apart),
        ("囧嘦怹", "囧····嘦····怹", Said::Apart, Said::Stands),
        ("嘦怹", "嘦 怹", Said::Apart, Said::Stands),
        ("嘦怹", "嘦。怹", Said::Apart, Said::Stands),
        ("嘦怹", "嘦。怹群", Said::Apart, Said::Apart),
        ("嘦怹", "嘦怹群", Said::Allowed, Said::Allowed),
    ] {
        assert_eq!(said(term, "嘦怹群", text, false), [standard], "standard: {text:?}");
        assert_eq!(said(term, "嘦怹群", text, true), [strict], "strict: {text:?}");
    }
}
