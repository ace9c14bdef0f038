//! The anchor filter: finds the few places of a text where a listed run of neighbours may stand.
//!
//! Each pattern gives one anchor: a run of four adjacent classes that is rare, or the whole pattern when it is shorter.
//! The neighbours survive any inserted separators, because skipped characters are already gone. Where no anchor
//! stands there is no pattern: no false negatives. A place that is told, because an anchor stands there or something
//! that shares its bits, is a place where the exact stage has to look.
//!
//! Asking for a run at every class would be two loads; so the last two classes of each anchor are asked for first,
//! and only where such a pair stands the run is.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// Longest anchor in classes: as many as fit in one word.
const ANCHOR: usize = 4;

/// Classes asked for before what was found is looked at.
const BLOCK: usize = 64;

/// The answer to the first question of a block.
const FIRST: u64 = 1 << (BLOCK - 1);

const ONE: u64 = 0xFFFF;
const PAIR: u64 = 0xFFFF_FFFF;
const TRIPLE: u64 = 0xFFFF_FFFF_FFFF;

/// Characters of ordinary Chinese, most frequent first: a pair of these is a poor anchor.
const FREQUENT: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之\
年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实\
日者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应向头文体政美相见被利什二等产\
或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气\
题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指许统区保至队形社便空决治展马\
科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师\
观清今切院让识候带导争运笔店吃买元钱服喜欢号码请问谢谢吗呢吧啊哦嗯呀哈房间酒评价推荐附近景点餐馆";

/// Which runs of neighbours may belong to a pattern.
#[derive(Debug)]
pub(super) struct Filter {
    /// The last two classes of each anchor: one bit each, so that asking is one load and no more than five steps.
    pairs: Pairs,
    /// The anchors.
    runs: Bits,
    /// Classes from here on may be patterns by themselves.
    special_from: u16,
}

impl Filter {
    /// Starts a filter with room for the anchors of so many patterns: 128 KiB and 128 KiB for 60,000, which the
    /// second-level cache holds.
    pub(super) fn new(patterns: usize) -> Self {
        Self { pairs: Pairs::new(), runs: Bits::new(patterns), special_from: u16::MAX }
    }

    /// Adds an anchor.
    pub(super) fn add(&mut self, anchor: Anchor) {
        if anchor.classes == 1 {
            self.special_from = self.special_from.min(anchor.last());
        } else {
            self.pairs.set(pair_of(anchor.run));
            self.runs.set(hash(anchor.run));
        }
    }

    /// Tells `look` every place where an anchor may stand: one past its last class, and its run.
    pub(super) fn places(&self, classes: &[u16], mut look: impl FnMut(usize, u64)) {
        let mut rest = classes;
        let mut end = 1;
        // A block has a pair more than one that stood alone: it begins with the last class of the one before.
        while let Some(pairs) = rest.len().checked_sub(1).filter(|pairs| *pairs > 0) {
            let pairs = pairs.min(BLOCK);
            let Some((block, tail)) = rest.get(..=pairs).zip(rest.get(pairs..)) else { break };
            // No question waits for the answer to the one before, and no answer is a branch to guess.
            let ask = |asked: u64, pair: &[u16]| asked << 1 | self.pairs.bit(join(pair[0], pair[1]));
            let mut found = block.windows(2).fold(0_u64, ask) << (BLOCK - pairs);
            while found != 0 {
                let at = found.leading_zeros();
                found &= !(FIRST >> at);
                self.look_closer(end + 1 + at as usize, classes, &mut look);
            }
            (rest, end) = (tail, end + pairs);
        }
        self.singles(classes, look);
    }

    /// Tells every class that may be a pattern by itself.
    fn singles(&self, classes: &[u16], mut look: impl FnMut(usize, u64)) {
        let special = |class: &u16| *class >= self.special_from;
        // Nearly never: so all are asked at once.
        if classes.iter().fold(false, |any, class| any | special(class)) {
            for (class, end) in classes.iter().zip(1..).filter(|(class, _)| special(class)) {
                look(end, u64::from(*class) | SINGLE);
            }
        }
    }

    fn look_closer(&self, end: usize, classes: &[u16], look: &mut impl FnMut(usize, u64)) {
        // The last four classes, the newest lowest; before the text there is 0.
        let last = classes.get(end.saturating_sub(ANCHOR)..end).unwrap_or_default();
        let run = last.iter().fold(0, |run, class| run << 16 | u64::from(*class));
        let mut asked = None;
        for run in [run, run & TRIPLE, run & PAIR] {
            // Behind class 0 a shorter run is the same as the longer.
            if asked.replace(run) != Some(run) && self.runs.has(hash(run)) {
                look(end, run);
            }
        }
    }

    /// Returns the bytes it occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pairs.memory_bytes() + self.runs.memory_bytes()
    }
}

/// Marks the run of one class: 0 before a class is a run of two.
const SINGLE: u64 = 1 << 63 | 1 << 47;

/// Adjacent classes of a pattern that stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The classes, the last one lowest.
    pub(super) run: u64,
    classes: usize,
    /// How many classes of the pattern come after it.
    pub(super) after: usize,
}

impl Anchor {
    /// Lists the runs of a pattern that can be its anchor; none for an empty one.
    pub(super) fn of(pattern: &[u16]) -> impl Iterator<Item = Self> {
        let classes = pattern.len().min(ANCHOR);
        pattern.windows(classes.max(1)).zip(classes..).map(move |(window, end)| {
            let run = window.iter().fold(0, |run, class| run << 16 | u64::from(*class));
            let run = if classes == 1 { run | SINGLE } else { run };
            Self { run, classes, after: pattern.len() - end }
        })
    }

    fn last(self) -> u16 {
        u16::try_from(self.run & ONE).unwrap_or(u16::MAX)
    }

    /// Yields the classes, the last one first.
    fn backward(self) -> impl Iterator<Item = u16> {
        (0..self.classes).map(move |n| u16::try_from(self.run >> (16 * n) & ONE).unwrap_or(u16::MAX))
    }
}

/// A set of pairs that may seem to hold more than was put in: one bit each of 128 KiB, whatever the lists hold, so that no
/// length is asked for at each class.
#[derive(Debug)]
struct Pairs(Box<[u64; PAIR_WORDS]>);

const PAIR_WORDS: usize = 1 << 14;

impl Pairs {
    fn new() -> Self {
        Self(vec![0; PAIR_WORDS].into_boxed_slice().try_into().expect("made with this length"))
    }

    fn set(&mut self, pair: u32) {
        let (word, bit) = Self::slot(pair);
        self.0[word] |= 1 << bit;
    }

    /// Returns 1 for a pair that was put in, and for some others.
    #[inline]
    fn bit(&self, pair: u32) -> u64 {
        let (word, bit) = Self::slot(pair);
        self.0[word] >> bit & 1
    }

    /// Fibonacci hashing: the upper bits of the product depend on both classes.
    #[inline]
    fn slot(pair: u32) -> (usize, u32) {
        let hash = pair.wrapping_mul(0x9E37_79B9) >> (32 - 6 - PAIR_WORDS.ilog2());
        ((hash >> 6) as usize, hash & 63)
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

fn pair_of(run: u64) -> u32 {
    u32::try_from(run & PAIR).unwrap_or(u32::MAX).rotate_left(16)
}

/// The later class in the upper half: so two classes in memory are one load.
#[inline]
fn join(first: u16, second: u16) -> u32 {
    u32::from(first) | u32::from(second) << 16
}

/// A set of hashes that may seem to hold more than was put in: three bits of one word each, so that one load answers.
#[derive(Debug)]
struct Bits {
    /// A power of two.
    words: Box<[u64]>,
}

impl Bits {
    /// Starts a set with 16 bits and more for each of so many hashes.
    fn new(hashes: usize) -> Self {
        Self { words: vec![0; hashes.div_ceil(4).next_power_of_two()].into_boxed_slice() }
    }

    fn set(&mut self, hash: u64) {
        let (word, bits) = self.slot(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let (word, bits) = self.slot(hash);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }

    #[inline]
    fn slot(&self, hash: u64) -> (usize, u64) {
        let bits = (0..3).fold(0, |bits, n| bits | 1 << (hash >> (34 - 6 * n) & 63));
        (usize::try_from(hash >> 40).unwrap_or(0) & (self.words.len() - 1), bits)
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

/// Fibonacci hashing twice: the upper half of the product, which alone depends on the first class, goes into a second one.
#[inline]
pub(super) fn hash(run: u64) -> u64 {
    let product = run.wrapping_mul(FIBONACCI);
    (product ^ product >> 32).wrapping_mul(FIBONACCI)
}

const FIBONACCI: u64 = 0x9E37_79B9_7F4A_7C15;

/// Says how often a folded character is expected in ordinary text: about in parts per million, but only the order matters.
pub(super) fn frequency(folded: char) -> u32 {
    static RANKS: LazyLock<HashMap<char, u32>> = LazyLock::new(|| FREQUENT.chars().rev().zip(0..).collect());
    match RANKS.get(&folded) {
        // Zipf with the head flattened, as characters (unlike words) are distributed.
        Some(left) => 300_000 / (u32::try_from(RANKS.len()).unwrap_or(u32::MAX).saturating_sub(*left) + 10),
        None if folded.is_ascii_digit() => 30_000,
        None if folded.is_ascii_alphabetic() => 6_000,
        None => 60,
    }
}

/// How often runs of classes are expected in ordinary text.
#[derive(Debug)]
pub(super) struct Rarity {
    /// By class.
    frequency: Vec<u32>,
}

impl Rarity {
    /// Ranks classes, given the folded character of each from class 1 on.
    pub(super) fn new(letters: &[char]) -> Self {
        let frequency = letters.iter().map(|letter| frequency(*letter));
        Self { frequency: std::iter::once(0).chain(frequency).collect() }
    }

    /// Says how much work an anchor makes in ordinary text: how often its last pair is expected, about the product of
    /// frequencies, and so how often the run is asked for.
    pub(super) fn cost(&self, anchor: Anchor) -> u64 {
        let frequency = |class: u16| u64::from(self.frequency.get(usize::from(class)).copied().unwrap_or(0));
        anchor.backward().take(2).map(frequency).product()
    }
}
