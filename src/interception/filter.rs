//! The anchor filter: finds the few places of a text where a listed run of neighbours may stand.
//!
//! Each pattern gives one anchor: a run of four adjacent classes that is rare, or the whole pattern when it is shorter.
//! The neighbours survive any inserted separators, because skipped characters are already gone. Where no anchor
//! stands there is no pattern: no false negatives. A place that is told, because an anchor stands there or something
//! that shares its bits, is a place where the exact stage has to look.
//!
//! Asking for a run at every class would be two loads; so the last two classes of each anchor are asked for first,
//! and only where such a pair stands the run is.

/// Longest anchor in classes: as many as fit in one word.
const ANCHOR: usize = 4;

/// Classes asked for before what was found is looked at.
const BLOCK: usize = 64;

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
    /// The last two classes of each anchor, and again under other bits for anchors of two and of three classes.
    pairs: Bits,
    /// The anchors.
    runs: Bits,
    /// Classes from here on may be patterns by themselves.
    special_from: u32,
}

impl Filter {
    /// Starts a filter with room for the anchors of so many patterns, at 16 bits each and twice: 128 KiB for 60,000,
    /// which the second-level cache holds.
    pub(super) fn new(patterns: usize) -> Self {
        let words = patterns.div_ceil(4).next_power_of_two();
        Self { pairs: Bits::new(words), runs: Bits::new(words), special_from: u32::MAX }
    }

    /// Adds an anchor.
    pub(super) fn add(&mut self, anchor: Anchor) {
        if anchor.classes == 1 {
            self.special_from = self.special_from.min(u32::from(anchor.last()));
        } else {
            let pair = hash_pair(anchor.run & PAIR);
            self.pairs.set(pair, 0);
            match anchor.classes {
                2 => self.pairs.set(pair, TURN_PAIR),
                3 => self.pairs.set(pair, TURN_TRIPLE),
                _ => {}
            }
            self.runs.set(hash(anchor.run), 0);
        }
    }

    /// Tells `look` every place where an anchor may stand: one past its last class, and its run.
    pub(super) fn places(&self, classes: &[u16], mut look: impl FnMut(usize, u64)) {
        // The last four classes, the newest lowest. Unwritten places hold 0; who looks knows where the text begins.
        let mut run = 0_u64;
        let mut suspects = [(0_usize, 0_u64); BLOCK];
        for (block, from) in classes.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
            // No question waits for the answer to the one before, and no answer is a branch to guess.
            let mut count = 0;
            for (class, end) in block.iter().zip(from + 1..) {
                run = run << 16 | u64::from(*class);
                if let Some(next) = suspects.get_mut(count) {
                    *next = (end, run);
                }
                count += usize::from(
                    self.pairs.has(hash_pair(run & PAIR), 0) | (u32::from(*class) >= self.special_from),
                );
            }
            for (end, run) in suspects.iter().take(count) {
                self.look_closer(*end, *run, &mut look);
            }
        }
    }

    fn look_closer(&self, end: usize, run: u64, look: &mut impl FnMut(usize, u64)) {
        let pair = hash_pair(run & PAIR);
        // Behind class 0 a shorter run is the same as the longer.
        let mut asked = None;
        for (run, listed) in [
            (run, true),
            (run & TRIPLE, self.pairs.has(pair, TURN_TRIPLE)),
            (run & PAIR, self.pairs.has(pair, TURN_PAIR)),
        ] {
            if listed && asked.replace(run) != Some(run) && self.runs.has(hash(run), 0) {
                look(end, run);
            }
        }
        if run & ONE >= u64::from(self.special_from) {
            look(end, run & ONE | SINGLE);
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

/// A set of hashes that may seem to hold more than was put in: three bits of one word each, so that one load answers.
#[derive(Debug)]
struct Bits {
    /// A power of two.
    words: Box<[u64]>,
}

/// By how much bits are turned to mean something else of the same hash, in the word that is loaded already.
const TURN_PAIR: u32 = 21;
const TURN_TRIPLE: u32 = 42;

impl Bits {
    fn new(words: usize) -> Self {
        Self { words: vec![0; words].into_boxed_slice() }
    }

    fn set(&mut self, hash: u64, turn: u32) {
        let (word, bits) = self.slot(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits.rotate_left(turn);
        }
    }

    #[inline]
    fn has(&self, hash: u64, turn: u32) -> bool {
        let (word, bits) = self.slot(hash);
        let bits = bits.rotate_left(turn);
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

/// Fibonacci hashing: the product's upper half depends on all bits of a pair, which has no more than 32.
#[inline]
fn hash_pair(pair: u64) -> u64 {
    pair.wrapping_mul(FIBONACCI)
}

/// The upper half of the product, which alone depends on the first class, goes into a second one.
#[inline]
pub(super) fn hash(run: u64) -> u64 {
    let product = run.wrapping_mul(FIBONACCI);
    (product ^ product >> 32).wrapping_mul(FIBONACCI)
}

const FIBONACCI: u64 = 0x9E37_79B9_7F4A_7C15;

/// How often runs of classes are expected in ordinary text; only their order matters.
#[derive(Debug)]
pub(super) struct Rarity {
    /// By class: frequency in parts per million, about.
    frequency: Vec<u32>,
}

impl Rarity {
    /// Ranks classes, given the folded character of each from class 1 on.
    pub(super) fn new(letters: &[char]) -> Self {
        let rank = |letter: char| FREQUENT.chars().position(|c| c == letter);
        let frequency = letters.iter().map(|letter| match rank(*letter) {
            // Zipf with the head flattened, as characters (unlike words) are distributed.
            Some(rank) => 300_000 / (u32::try_from(rank).unwrap_or(u32::MAX).saturating_add(10)),
            None if letter.is_ascii_digit() => 30_000,
            None if letter.is_ascii_alphabetic() => 6_000,
            None => 60,
        });
        Self { frequency: std::iter::once(0).chain(frequency).collect() }
    }

    /// Says how much work an anchor makes in ordinary text: how often its last pair is expected, about the product of
    /// frequencies, and so how often the run is asked for.
    pub(super) fn cost(&self, anchor: Anchor) -> u64 {
        let frequency = |class: u16| u64::from(self.frequency.get(usize::from(class)).copied().unwrap_or(0));
        anchor.backward().take(2).map(frequency).product()
    }
}
