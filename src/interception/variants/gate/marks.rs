//! What tells by itself that a text is worth a look: pictures, bare radicals, slang, a plus before a word, and words of
//! letters that may be pinyin or first letters of a term.

use std::sync::LazyLock;

use hashbrown::HashSet;

use crate::interception::fold::{Folded, fold, fold_into};
use crate::interception::variants::shape::drawn_like;
use crate::interception::variants::sound::SOUNDS;
use crate::interception::variants::words::{SLANG_CHARS_MAX, WORDS};

/// Longest word of letters that is looked at.
const WORD_LETTERS_MAX: usize = 48;

/// Shortest word of letters that may be the first letters of a term.
const INITIALS_MIN: usize = 4;

/// Radicals that nobody writes by themselves.
const RADICALS: &str =
    "氵亻讠扌忄纟钅礻衤犭饣艹宀疒辶阝刂攵攴灬罒覀彳冫廴廾凵匚囗夂彡⺮⺼⻊糹訁釒飠氺爫丬尢禸癶";

fn is_radical(c: char) -> bool {
    static SET: LazyLock<HashSet<char>> = LazyLock::new(|| RADICALS.chars().collect());
    SET.contains(&c)
}

/// What a single character tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    /// It is enough.
    Enough,
    /// A letter, folded: what counts is the word.
    Letter(char),
    /// A plus: it counts before an ideograph.
    Plus,
    /// Slang may begin with it.
    Slang,
}

/// First letters of all terms.
#[derive(Debug, Default)]
pub(in crate::interception::variants) struct Marks {
    initials: HashSet<Box<str>>,
}

impl Marks {
    /// Adds a term.
    pub(in crate::interception::variants) fn add(&mut self, term: &[char]) {
        if term.len() >= INITIALS_MIN {
            let first = |c: &char| SOUNDS.readings(*c).next().map(|s| SOUNDS.spelling(s).chars().next());
            let initials: Option<String> = term.iter().map(|c| first(c).flatten()).collect();
            self.initials.extend(initials.map(String::into_boxed_str));
        }
    }

    /// Adds the byte offsets of all marks of a text to `at`.
    pub(in crate::interception::variants) fn find(&self, text: &str, at: &mut Vec<usize>) {
        let mut word = Word::default();
        for (offset, c) in text.char_indices() {
            if is_silent(c) {
                if word.length > 0 {
                    self.end(&mut word, at);
                }
                continue;
            }
            let rest = text.get(offset..).unwrap_or_default();
            let tells = match mark(c) {
                Mark::Letter(letter) => {
                    word.push(letter, offset);
                    continue;
                }
                Mark::Enough => true,
                Mark::Plus => rest.chars().nth(1).is_some_and(|next| next >= '\u{2E80}'),
                Mark::Slang => {
                    may_be_slang(rest) && (2..=SLANG_CHARS_MAX).any(|length| is_slang(rest, length))
                }
                Mark::None => false,
            };
            at.extend(tells.then_some(offset));
            self.end(&mut word, at);
        }
        self.end(&mut word, at);
    }

    fn end(&self, word: &mut Word, at: &mut Vec<usize>) {
        if word.length == 0 {
            return;
        }
        let letters = word.letters.get(..word.length).and_then(|letters| std::str::from_utf8(letters).ok());
        if let Some(letters) = letters
            && (!WORDS.of_slang(letters).is_empty() || self.initials.contains(letters) || is_pinyin(letters))
        {
            at.push(word.start);
        }
        word.length = 0;
    }
}

/// Says whether slang begins with a folded ideograph.
pub(super) fn begins_slang(folded: char) -> bool {
    WORDS.begins_slang(folded)
}

/// Says whether slang may begin with the first character of a text, by the second: 球 is in many words, 球球 is one.
fn may_be_slang(text: &str) -> bool {
    match text.chars().nth(1).map(fold) {
        Some(Folded::One(second)) => WORDS.goes_on_slang(second),
        Some(Folded::Skip | Folded::Several(_)) | None => true,
    }
}

fn is_slang(text: &str, length: usize) -> bool {
    let mut folded = String::new();
    fold_into(text.chars().take(length).collect::<String>().as_str(), &mut folded);
    !WORDS.of_slang(&folded).is_empty()
}

/// A word of letters as it is read.
struct Word {
    start: usize,
    length: usize,
    letters: [u8; WORD_LETTERS_MAX],
}

impl Default for Word {
    fn default() -> Self {
        Self { start: 0, length: 0, letters: [0; WORD_LETTERS_MAX] }
    }
}

impl Word {
    fn push(&mut self, letter: char, offset: usize) {
        if self.length == 0 {
            self.start = offset;
        }
        if let (Some(place), Ok(letter)) = (self.letters.get_mut(self.length), u8::try_from(letter)) {
            *place = letter;
            self.length += 1;
        }
    }
}

/// Says whether letters fall into syllables without a rest; one letter says nothing.
fn is_pinyin(letters: &str) -> bool {
    let mut reached = [false; WORD_LETTERS_MAX + 1];
    reached[0] = true;
    for from in 0..letters.len() {
        if !reached[from] {
            continue;
        }
        for length in SOUNDS.syllable_lengths(letters.as_bytes().get(from..).unwrap_or_default()) {
            reached[from + length] = true;
        }
    }
    letters.len() > 1 && reached[letters.len()]
}

/// Says whether a folded character is a reason to look at the text.
pub(super) fn is_mark(folded: char) -> bool {
    folded.is_ascii_lowercase() || is_radical(folded) || (folded < '\u{2E80}' && drawn_like(folded).is_some())
}

/// Lists all folded characters that are marks.
pub(in crate::interception::variants) fn marks() -> impl Iterator<Item = char> {
    let own = |c: &char| fold(*c) == Folded::One(*c);
    ('\0'..'\u{2E80}').chain(RADICALS.chars()).chain(WORDS.beginnings()).filter(own).filter(|c| is_mark(*c))
}

/// Says whether a skipped character is a picture that may tell something. Other signs, such as %, are read as words too,
/// but by themselves they tell nothing.
pub(in crate::interception) fn is_telling_picture(c: char) -> bool {
    is_plus(c) || is_picture(c)
}

fn is_plus(c: char) -> bool {
    matches!(c, '+' | '＋')
}

fn is_picture(c: char) -> bool {
    c >= '\u{2190}' && !('\u{FF00}'..'\u{1F000}').contains(&c) && WORDS.is_picture(c)
}

/// By scalar: tells nothing. Looked up instead of worked out, as it is asked of every character.
static SILENT: LazyLock<Box<[u64]>> = LazyLock::new(|| {
    let silent = |scalar: u32| char::from_u32(scalar).is_some_and(|c| mark(c) == Mark::None);
    let word = |at: u32| (0..64).filter(|bit| silent(at * 64 + bit)).fold(0, |word, bit| word | 1 << bit);
    (0..(1 << 16) / 64).map(word).collect()
});

/// Works the table out.
pub(in crate::interception::variants) fn prepare() {
    LazyLock::force(&SILENT);
}

fn is_silent(c: char) -> bool {
    let scalar = u32::from(c);
    SILENT.get((scalar / 64) as usize).is_some_and(|word| word >> (scalar % 64) & 1 != 0)
}

fn mark(c: char) -> Mark {
    match fold(c) {
        Folded::One(letter) if letter.is_ascii_lowercase() => Mark::Letter(letter),
        Folded::One(folded) if begins_slang(folded) => Mark::Slang,
        Folded::One(folded) if is_mark(folded) || is_radical(c) => Mark::Enough,
        Folded::Skip if is_plus(c) => Mark::Plus,
        Folded::Skip if is_picture(c) => Mark::Enough,
        Folded::Several(_) => Mark::Enough,
        Folded::One(_) | Folded::Skip => Mark::None,
    }
}
