//! How characters sound: toneless pinyin syllables, and codes under which syllables that dialects merge are one.
//!
//! The usual reading comes from the `pinyin` crate, further ones from a table of those in use: dictionaries know of many
//! that no reader does (淫 as yao), and each makes ordinary words sound like a term. Not for: tones, words (a character
//! has the readings it has anywhere).

use hashbrown::HashMap;
use std::sync::LazyLock;

use pinyin::{Pinyin, ToPinyin};

/// A syllable: index into [`Sounds::spellings`]. 0 is none.
pub(super) type Syllable = u16;

/// What is compared when terms are searched by sound: a merged syllable, or one of the ranges below.
pub(super) type Code = u16;

/// Codes of `a` to `z`.
pub(super) const CODE_LETTERS: Code = 0x0400;
/// Codes of `0` to `9`.
pub(super) const CODE_DIGITS: Code = 0x0420;
/// Codes of all other characters: several may share one.
const CODE_OTHERS: Code = 0x0800;

/// Readings of one character that are told apart.
const READINGS_MAX: usize = 3;

/// Characters with readings in the table: the CJK block and what lies before it.
const FIRST: u32 = 0x3400;
const LAST: u32 = 0x9FFF;

/// All syllables and readings; built once per process.
pub(super) static SOUNDS: LazyLock<Sounds> = LazyLock::new(Sounds::build);

/// Readings of characters.
pub(super) struct Sounds {
    spellings: Vec<Box<str>>,
    by_spelling: HashMap<Box<str>, Syllable>,
    letters: Letters,
    /// The merged code of each syllable.
    merged: Vec<Code>,
    readings: Vec<[Syllable; READINGS_MAX]>,
}

impl Sounds {
    fn build() -> Self {
        let mut sounds = Self {
            spellings: vec![Box::from("")],
            by_spelling: HashMap::new(),
            letters: Letters::default(),
            merged: vec![0],
            readings: Vec::new(),
        };
        let mut codes: HashMap<String, Code> = HashMap::new();
        let further = further_readings();
        for c in (FIRST..=LAST).filter_map(char::from_u32) {
            let mut readings = [0; READINGS_MAX];
            // As people type it: a keyboard has no ü.
            let first = c.to_pinyin().map(|reading| Pinyin::plain(reading).replace('ü', "v"));
            let more = further.get(&c).into_iter().flat_map(|all| all.split(' ')).map(str::to_owned);
            for spelling in first.into_iter().chain(more).filter(|s| is_syllable(s)) {
                let syllable = sounds.syllable_of(&spelling, &mut codes);
                let free = readings.iter().position(|r| *r == 0 || *r == syllable);
                if let Some(place) = free {
                    readings[place] = syllable;
                }
            }
            sounds.readings.push(readings);
        }
        sounds.letters = Letters::of(&sounds.spellings);
        sounds
    }

    fn syllable_of(&mut self, spelling: &str, codes: &mut HashMap<String, Code>) -> Syllable {
        if let Some(known) = self.by_spelling.get(spelling) {
            return *known;
        }
        // About 410 syllables exist.
        let syllable = Syllable::try_from(self.spellings.len()).unwrap_or(0);
        self.spellings.push(spelling.into());
        self.by_spelling.insert(spelling.into(), syllable);
        let next = Code::try_from(codes.len() + 1).unwrap_or(0);
        self.merged.push(*codes.entry(merge(spelling)).or_insert(next));
        syllable
    }

    /// Returns the readings of a character, the usual one first.
    pub(super) fn readings(&self, c: char) -> impl Iterator<Item = Syllable> + Clone + '_ {
        let index = (c as u32).checked_sub(FIRST).and_then(|at| usize::try_from(at).ok());
        let all = index.and_then(|at| self.readings.get(at)).copied().unwrap_or_default();
        all.into_iter().take_while(|syllable| *syllable != 0)
    }

    /// Returns the code of a syllable.
    pub(super) fn code(&self, syllable: Syllable) -> Code {
        self.merged.get(usize::from(syllable)).copied().unwrap_or(0)
    }

    /// Returns the codes a folded character is found under: one for each reading, or its own.
    pub(super) fn codes(&self, c: char) -> impl Iterator<Item = Code> + '_ {
        let mut readings = self.readings(c).peekable();
        let own = readings.peek().is_none().then(|| own_code(c));
        own.into_iter().chain(readings.map(|syllable| self.code(syllable)))
    }

    /// Returns the spelling of a syllable.
    pub(super) fn spelling(&self, syllable: Syllable) -> &str {
        self.spellings.get(usize::from(syllable)).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Finds a syllable by its spelling; `ü` is `v`.
    pub(super) fn syllable(&self, spelling: &str) -> Option<Syllable> {
        self.by_spelling.get(spelling).copied()
    }

    /// Yields how many of these letters are a syllable, from the fewest on: 1, 2 and 3 for `ang`.
    pub(super) fn syllable_lengths<'l>(&'l self, letters: &'l [u8]) -> impl Iterator<Item = usize> + 'l {
        self.letters.lengths(letters)
    }

    /// Returns every syllable with its code.
    pub(super) fn syllables(&self) -> impl Iterator<Item = (Code, &str)> {
        self.merged.iter().copied().zip(self.spellings.iter().map(AsRef::as_ref)).skip(1)
    }

    /// Says whether two characters share a reading.
    pub(super) fn alike(&self, a: char, b: char) -> bool {
        self.readings(a).any(|of_a| self.readings(b).any(|of_b| of_a == of_b))
    }

    /// Says whether two characters share a reading once dialects have merged them.
    pub(super) fn merged_alike(&self, a: char, b: char) -> bool {
        self.readings(a).any(|of_a| self.readings(b).any(|of_b| self.code(of_a) == self.code(of_b)))
    }
}

/// Syllables by their letters, one step a letter: most words of Latin are none after two steps.
#[derive(Default)]
struct Letters {
    /// Of each place: where each letter leads, 0 for nowhere, and whether a syllable ends there. 0 is the beginning.
    places: Vec<([u16; 26], bool)>,
}

impl Letters {
    fn of(spellings: &[Box<str>]) -> Self {
        let mut letters = Self { places: vec![Default::default()] };
        for spelling in spellings.iter().filter(|spelling| !spelling.is_empty()) {
            let mut place = 0;
            for letter in spelling.bytes() {
                // About 410 syllables, less than a thousand places.
                let new = u16::try_from(letters.places.len()).unwrap_or(0);
                let Some(next) = letters.next_mut(place, letter) else { break };
                if *next == 0 {
                    *next = new;
                    letters.places.push(Default::default());
                }
                place = letters.next(place, letter);
            }
            if let Some((_, ends)) = letters.places.get_mut(usize::from(place)).filter(|_| place > 0) {
                *ends = true;
            }
        }
        letters
    }

    fn next_mut(&mut self, place: u16, letter: u8) -> Option<&mut u16> {
        self.places.get_mut(usize::from(place))?.0.get_mut(usize::from(letter.wrapping_sub(b'a')))
    }

    fn next(&self, place: u16, letter: u8) -> u16 {
        let from = self.places.get(usize::from(place));
        from.and_then(|(ways, _)| ways.get(usize::from(letter.wrapping_sub(b'a')))).copied().unwrap_or(0)
    }

    fn lengths<'l>(&'l self, letters: &'l [u8]) -> impl Iterator<Item = usize> + 'l {
        let mut place = 0;
        let steps = letters.iter().map_while(move |letter| {
            place = self.next(place, *letter);
            (place != 0).then_some(place)
        });
        let ends = |place: &u16| self.places.get(usize::from(*place)).is_some_and(|(_, ends)| *ends);
        (1..).zip(steps).filter(move |(_, place)| ends(place)).map(|(length, _)| length)
    }
}

/// Readings by character, of those that have more than one in use.
fn further_readings() -> HashMap<char, &'static str> {
    let lines = include_str!("tables/readings.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (c, readings) = line.split_once(' ')?;
            Some((c.chars().next()?, readings))
        })
        .collect()
}

/// Lists the characters that may have readings.
pub(super) fn characters() -> impl Iterator<Item = char> {
    (FIRST..=LAST).filter_map(char::from_u32)
}

/// The code of a character that has no reading.
fn own_code(c: char) -> Code {
    let offset = |base: char| Code::try_from(u32::from(c) - u32::from(base)).unwrap_or(0);
    match c {
        'a'..='z' => CODE_LETTERS + offset('a'),
        '0'..='9' => CODE_DIGITS + offset('0'),
        _ => CODE_OTHERS + Code::try_from(u32::from(c) % 0x7000).unwrap_or(0),
    }
}

/// Interjections without a vowel are no way to write a word.
fn is_syllable(spelling: &str) -> bool {
    spelling.is_ascii() && spelling.contains(['a', 'e', 'i', 'o', 'u', 'v'])
}

/// What speakers of the south do not tell apart: n and l, zh and z, ing and in.
fn merge(spelling: &str) -> String {
    let spelling = match spelling.as_bytes() {
        [b'z' | b'c' | b's', b'h', ..] => {
            [spelling.get(..1), spelling.get(2..)].into_iter().flatten().collect()
        }
        [b'n', ..] => format!("l{}", spelling.get(1..).unwrap_or_default()),
        _ => spelling.to_owned(),
    };
    match spelling.strip_suffix("ng") {
        Some(stem) if stem.ends_with(['i', 'e']) => format!("{stem}n"),
        Some(_) | None => spelling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_one_sound_share_a_code() {
        let sounds = &*SOUNDS;
        for (a, b, alike, merged) in [
            ('微', '薇', true, true),
            ('信', '芯', true, true),
            ('行', '航', true, true),
            ('加', '家', true, true),
            ('乐', '月', true, true),
            ('淫', '姚', false, false),
            ('你', '李', false, true),
            ('是', '四', false, true),
            ('新', '星', false, true),
            ('微', '信', false, false),
        ] {
            assert_eq!((sounds.alike(a, b), sounds.merged_alike(a, b)), (alike, merged), "{a}{b}");
        }
        assert_eq!(sounds.spelling(sounds.syllable("wei").unwrap()), "wei");
        assert!(sounds.syllable("vista").is_none());
        let lengths = |letters: &str| sounds.syllable_lengths(letters.as_bytes()).collect::<Vec<_>>();
        assert_eq!(
            (lengths("ang"), lengths("xianggang"), lengths("vista")),
            (vec![1, 2, 3], vec![2, 3, 4, 5], vec![])
        );
        for spelling in sounds.spellings.iter().skip(1) {
            assert!(lengths(spelling).contains(&spelling.len()), "{spelling}");
        }
    }

    #[test]
    fn syllables_stay_below_the_letters() {
        let sounds = &*SOUNDS;
        assert!((380..500).contains(&sounds.spellings.len()), "{}", sounds.spellings.len());
        assert!(sounds.merged.iter().all(|code| *code < CODE_LETTERS));
        assert!(('一'..='鿿').all(|c| sounds.codes(c).all(|code| code != 0)));
    }
}
