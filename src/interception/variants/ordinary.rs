//! Is it ordinary Chinese? Weighs the text as it stands against the text with the term in its place.
//!
//! 实践 sounds like 时间 and is a word of its own: nobody hid anything. 薇信 falls into single characters that hardly ever
//! meet: somebody did. The weight of a reading is its cost under `jieba-rs`'s frequency dictionary: the sum over its words
//! of how surprising each is. Run on candidates only; the dictionary is loaded when the first one is weighed.
//!
//! Not for: meaning. Both readings may be ordinary; then the text is believed.

use std::sync::LazyLock;

use jieba_rs::Jieba;

use super::lattice::{Lattice, Spot};
use super::search::{Disguised, Disguises};
use crate::interception::fold::fold_into;
use crate::interception::policy::Strictness;

/// Characters on either side that may belong to a word with the hit's.
pub(in crate::interception) const CONTEXT: usize = 6;

/// `ln` of all words counted by the dictionary, about 60 million.
const LN_TOTAL: f32 = 17.91;

/// Cost of a listed term where the dictionary does not know better: as if it were counted 60 times.
const COST_TERM: f32 = 13.8;

/// The same for a term of two characters: about 20 times.
const COST_SHORT_TERM: f32 = 15.0;

/// Cost of a picture: people decorate.
const COST_PICTURE: f32 = 6.0;

/// Cost of a number.
const COST_NUMBER: f32 = 6.0;

/// Cost of letters that are not Latin, beside that of letters: hardly any text in Chinese has them.
const COST_FOREIGN: f32 = 4.0;

/// A word of less cost is written all the time.
const COST_EVERYDAY: f32 = 5.6;

/// A word of more cost is too rare to say that nothing is hidden in it: 威信 is one, and few mean it.
const COST_WORD: f32 = 11.5;

/// How much more it takes to believe that such a word was a disguise.
const BELIEF_EVERYDAY: f32 = 5.0;

/// The same in a term of three characters and more.
const BELIEF_EVERYDAY_LONGER: f32 = 3.0;

/// Words that people write today and the dictionary was made before.
const MODERN: &str = include_str!("tables/modern.txt");

/// Words that fold to something else than the dictionary knows, while texts are weighed as they fold.
const RESPELLED: &str = include_str!("tables/respelled.txt");

pub(super) static DICTIONARY: LazyLock<Jieba> = LazyLock::new(|| {
    let mut dictionary = Jieba::new();
    for line in MODERN.lines().filter(|line| !line.starts_with('#')) {
        if let Some((word, count)) = line.split_once(' ') {
            dictionary.add_word(word, count.parse().ok(), None);
        }
    }
    let mut folded = String::new();
    for word in RESPELLED.lines().filter(|line| !line.starts_with('#')) {
        fold_into(word, &mut folded);
        let count = dictionary.suggest_freq(word).max(dictionary.suggest_freq(&folded));
        dictionary.add_word(&folded, Some(count), None);
    }
    dictionary
});

/// Loads the dictionary.
pub(super) fn prepare() {
    LazyLock::force(&DICTIONARY);
}

/// Takes folded text apart into words, each with the dictionary's tag for its kind; it is loaded when it is first asked.
pub(in crate::interception) fn words(folded: &str, visit: &mut dyn FnMut(&str, &str)) {
    for tagged in DICTIONARY.tag(folded, true) {
        visit(tagged.word, tagged.tag);
    }
}

/// How ordinary a text is where a disguised term was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ordinary {
    /// How much more surprising the text is as it stands than with the term in its place.
    pub(crate) margin: f32,
    /// Altered characters that belong to a word of the text.
    pub(crate) in_words: u8,
    /// An altered character is one of the words that everybody writes all the time: 的, 是, 了.
    pub(crate) is_everyday: bool,
}

impl Ordinary {
    /// Weighs a candidate.
    pub(super) fn weigh(lattice: &Lattice, hit: &Disguised, term: &str) -> Self {
        let [first, past] = hit.spots.map(usize::from);
        let left = context(lattice, first, true);
        let right = context(lattice, past, false);
        let mut weighing = Weighing::default();
        let as_written = weighing.run(lattice, left.start..right.end);
        let in_words = altered(hit).filter(|piece| weighing.in_word(*piece)).count();
        let mut other = Weighing::default();
        let with_term = other.run(lattice, left) + term_cost(term) + other.run(lattice, right);
        let is_everyday = altered(hit).any(|[first, past]| {
            let spot = lattice.spots.get(usize::from(first)).filter(|_| past - first == 1);
            spot.is_some_and(|spot| {
                is_word(spot) && word_cost(spot.c.encode_utf8(&mut [0; 4])) < COST_EVERYDAY
            })
        });
        let in_words = u8::try_from(in_words).unwrap_or(u8::MAX);
        Self { margin: as_written - with_term, in_words, is_everyday }
    }

    /// Says whether the text is as an ordinary writer would have written it, so that the candidate does not count.
    pub(in crate::interception) fn is_ordinary(self, hit: &Disguised, strictness: Strictness) -> bool {
        let (margin, belief) = required(hit);
        let caution = if strictness == Strictness::Strict { 0.0 } else { 1.0 };
        let in_words = if self.in_words > 0 { belief } else { 0.0 };
        let everyday = match hit.length {
            _ if !self.is_everyday => 0.0,
            ..=2 => BELIEF_EVERYDAY,
            3.. => BELIEF_EVERYDAY_LONGER,
        };
        self.margin < margin + caution + in_words + everyday
    }
}

/// Says whether a text is one word that is written all the time.
pub(super) fn is_everyday_word(text: &str) -> bool {
    DICTIONARY.has_word(text) && word_cost(text) < COST_WORD
}

/// Yields the pieces that are not as listed.
fn altered(hit: &Disguised) -> impl Iterator<Item = [u16; 2]> {
    hit.pieces.iter().filter(|(_, disguises)| !disguises.is_empty()).map(|(piece, _)| *piece)
}

/// How much more surprising a reading may be that cuts a term as listed in two, so that the text is taken to mean it: with
/// 研究生 for 研究 and 生命, 研究生命 is hardly less likely.
const MARGIN_CUT: f32 = 3.0;

/// Says whether a hit as listed stands across the words of an ordinary text: 生命 in 研究生命题. A word that holds all of
/// it and more (生命科学) counts against it only as the likelier reading.
pub(in crate::interception) fn crosses_words(left: &str, hit: &str, right: &str) -> bool {
    let cost = |text: &str| DICTIONARY.cut(text, false).iter().map(|t| word_cost(t.word)).sum::<f32>();
    let as_listed = cost(left) + cost(hit) + cost(right);
    let whole = [left, hit, right].concat();
    let [from, to] = [left.len(), left.len() + hit.len()];
    let borders: Vec<usize> = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).collect();
    let pairs = borders.iter().flat_map(|start| borders.iter().map(move |past| (*start, *past)));
    let mut across = pairs.filter(|(start, past)| {
        let over = |border| *start < border && border < *past;
        over(from) || over(to)
    });
    across.any(|(start, past)| {
        let parts = (whole.get(..start), whole.get(start..past), whole.get(past..));
        let (Some(before), Some(word), Some(after)) = parts else { return false };
        let margin = if start <= from && to <= past { 0.0 } else { MARGIN_CUT };
        DICTIONARY.has_word(word) && cost(before) + word_cost(word) + cost(after) < as_listed + margin
    })
}

/// Says whether a term was cut between these pieces where no writer ends a sentence: each time inside a word of it that is
/// not made of shorter ones (抵押, but not 一夜情 after 一夜), while the first and the last piece are no part of a word with
/// the text on their side.
pub(in crate::interception) fn cuts_word(left: &str, pieces: &[String], right: &str) -> bool {
    let term = pieces.concat();
    let words = DICTIONARY.cut(&term, false);
    let is_inside = |border: usize| {
        let mut past = 0;
        words.iter().any(|token| {
            let start = past;
            past += token.word.len();
            let cut = border.checked_sub(start).and_then(|at| token.word.split_at_checked(at));
            let of_words = |(left, right): (&str, &str)| is_longer_word(left) || is_longer_word(right);
            start < border && border < past && !cut.is_some_and(of_words)
        })
    };
    let mut border = 0;
    let mut borders = pieces.iter().map(|piece| {
        border += piece.len();
        border
    });
    let is_explained = |side: [&str; 2]| has_word_across(&side.concat(), side[0].len());
    borders.by_ref().take(pieces.len().saturating_sub(1)).all(is_inside)
        && !pieces.first().is_some_and(|first| is_explained([left, first]))
        && !pieces.last().is_some_and(|last| is_explained([last, right]))
}

/// Says whether a text is a word of several characters.
fn is_longer_word(text: &str) -> bool {
    text.chars().nth(1).is_some() && DICTIONARY.has_word(text)
}

/// Says whether the dictionary knows a word in a text that goes on over a border.
fn has_word_across(text: &str, border: usize) -> bool {
    let borders = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let starts = borders().filter(|start| *start < border);
    let mut words =
        starts.flat_map(|start| borders().filter(move |past| *past > border).map(move |past| start..past));
    words.any(|range| text.get(range).is_some_and(|word| DICTIONARY.has_word(word)))
}

/// Never reached by a margin.
const NEVER: f32 = 1e9;

/// Returns the least margin of a candidate, and how much more it takes where the altered characters belong to words.
///
/// Measured on ordinary messages and on disguised terms (docs/QUALITY.md): a disguise that hardly ever comes about by
/// chance needs no margin, one that does needs a large one, and a short term a larger one.
fn required(hit: &Disguised) -> (f32, f32) {
    let has = |kinds| hit.disguises.has(kinds);
    let sound = has(Disguises::HOMOPHONE);
    let by_length = |two, three, longer| match hit.length {
        ..=2 => two,
        3 => three,
        4.. => longer,
    };
    let plain = hit.length.saturating_sub(hit.altered);
    if has(Disguises::DIALECT) {
        let unlikely = has(Disguises::SHAPE.and(Disguises::PICTURE));
        return (if unlikely { by_length(NEVER, 14.0, 5.0) } else { by_length(9.0, 6.0, 3.0) }, NEVER);
    }
    if has(Disguises::INITIALS) {
        let mixed = hit.disguises.kinds() > 1;
        return if mixed { (4.0, NEVER) } else { (-NEVER, 0.0) };
    }
    if has(Disguises::SHAPE) {
        return match hit.altered {
            _ if has(Disguises::DIGIT) => (by_length(NEVER, 14.0, 14.0), NEVER),
            _ if sound => (by_length(9.5, 12.0, 11.5), by_length(NEVER, NEVER, 3.0)),
            _ if has(Disguises::SPLIT) => (2.0, 2.0),
            ..=1 => (by_length(4.0, 4.0, 6.0), by_length(NEVER, 1.0, 2.0)),
            2 => (by_length(8.5, 8.0, 11.0), by_length(NEVER, NEVER, 2.0)),
            3.. => (by_length(NEVER, 13.0, 11.0), by_length(NEVER, NEVER, 2.0)),
        };
    }
    if has(Disguises::DIGIT) {
        return (by_length(6.0, 5.0, 2.0), NEVER);
    }
    if sound {
        return match () {
            () if has(Disguises::SWAPPED) => (4.0, NEVER),
            () if has(Disguises::SPLIT) => (3.0, 4.0),
            () if has(Disguises::PICTURE) && plain > 0 => (by_length(-2.0, -1.0, -1.0), 2.0),
            () if has(Disguises::PICTURE) => (by_length(1.5, 3.0, -1.0), 2.0),
            () if has(Disguises::PINYIN.and(Disguises::SLANG)) => (0.0, 4.0),
            () if hit.altered > 1 => (by_length(4.75, 4.0, 4.0), by_length(NEVER, 3.0, 2.0)),
            () => (by_length(2.5, 3.5, 4.0), by_length(3.0, 2.0, 2.0)),
        };
    }
    match () {
        () if has(Disguises::SWAPPED) => (by_length(1.0, 0.0, 0.0), 0.0),
        () if has(Disguises::PINYIN) => (-10.0, 0.0),
        () if has(Disguises::SLANG) => (-3.0, 0.0),
        () if has(Disguises::ANY) => (2.0, 0.0),
        () if has(Disguises::PICTURE) && plain > 0 => (by_length(-2.0, -1.0, -1.0), 0.0),
        () if has(Disguises::PICTURE.and(Disguises::FILLED)) => (by_length(0.0, -1.0, -1.0), 0.0),
        () if has(Disguises::SPLIT.and(Disguises::LEET)) => (0.0, 0.0),
        () => (1.0, 0.0),
    }
}

/// Characters beside the hit, without a gap.
fn context(lattice: &Lattice, at: usize, before: bool) -> std::ops::Range<usize> {
    let spots = &lattice.spots;
    let joins = |left: usize| {
        let (left, right) = (spots.get(left), spots.get(left + 1));
        left.is_some_and(is_word) && right.is_some_and(|s| is_word(s) && !s.after_gap)
    };
    let mut range = at..at;
    for _ in 0..CONTEXT {
        if before && range.start > 0 && joins(range.start - 1) {
            range.start -= 1;
        } else if !before && range.end > 0 && joins(range.end - 1) {
            range.end += 1;
        } else {
            break;
        }
    }
    range
}

/// An ideograph: what the dictionary knows of.
fn is_word(spot: &Spot) -> bool {
    !spot.picture && ('\u{2E80}'..='\u{9FFF}').contains(&spot.c)
}

/// One reading as it is cut into words.
#[derive(Default)]
struct Weighing {
    text: String,
    /// Words of more than one character, in spots.
    words: Vec<[usize; 2]>,
}

impl Weighing {
    fn run(&mut self, lattice: &Lattice, range: std::ops::Range<usize>) -> f32 {
        let mut cost = 0.0;
        let mut at = range.start;
        while let Some(spot) = lattice.spots.get(at).filter(|_| at < range.end) {
            let same = |next: &Spot| match () {
                () if spot.picture => false,
                () if is_word(spot) => is_word(next) && !next.after_gap,
                () if spot.c.is_ascii_digit() => next.c.is_ascii_digit() && !next.after_gap,
                () => next.goes_on,
            };
            let rest = lattice.spots.get(at + 1..range.end).unwrap_or_default();
            let length = 1 + rest.iter().take_while(|next| same(next)).count();
            cost += match () {
                () if spot.picture => COST_PICTURE,
                () if is_word(spot) => self.cut(lattice, at, length),
                () if spot.c.is_ascii_digit() => COST_NUMBER,
                () if spot.c.is_ascii() => letters_cost(length),
                () => letters_cost(length) + COST_FOREIGN,
            };
            at += length;
        }
        cost
    }

    fn cut(&mut self, lattice: &Lattice, at: usize, length: usize) -> f32 {
        self.text.clear();
        self.text.extend(lattice.spots.iter().skip(at).take(length).map(|spot| spot.c));
        let (mut from, mut cost) = (at, 0.0);
        for token in DICTIONARY.cut(&self.text, false) {
            let past = from + token.word.chars().count();
            if past - from > 1 {
                self.words.push([from, past]);
            }
            cost += word_cost(token.word);
            from = past;
        }
        cost
    }

    fn in_word(&self, [first, past]: [u16; 2]) -> bool {
        let (first, past) = (usize::from(first), usize::from(past));
        self.words.iter().any(|[from, to]| *from <= first && past <= *to)
    }
}

/// How surprising a word is.
fn word_cost(word: &str) -> f32 {
    let counted = DICTIONARY.suggest_freq(word);
    #[expect(clippy::cast_precision_loss, reason = "a logarithm of it is taken")]
    let counted = counted.max(1) as f32;
    LN_TOTAL - counted.ln()
}

/// Letters say little by themselves: the longer, the less likely by chance.
fn letters_cost(length: usize) -> f32 {
    const BY_LENGTH: [f32; 8] = [6.0, 6.0, 8.0, 10.0, 12.0, 14.0, 15.0, 16.0];
    BY_LENGTH.get(length).copied().unwrap_or(18.0)
}

fn term_cost(term: &str) -> f32 {
    let cut: f32 = DICTIONARY.cut(term, false).iter().map(|token| word_cost(token.word)).sum();
    cut.min(if term.chars().nth(2).is_some() { COST_TERM } else { COST_SHORT_TERM })
}
