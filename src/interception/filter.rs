//! The anchor filter: most messages hold no listed run of neighbours and stop here.
//!
//! Each term gives one anchor: its rarest run of four adjacent classes, or the whole term when it is shorter. The
//! neighbours survive any inserted separators, because skipped characters are already gone. A text without any
//! term's anchor cannot hold a term: no false negatives. An anchor that is there, or shares its bits, only means
//! that the exact stage has to look.
//!
//! Asking for a run at every character would be two loads; so the last two classes of each anchor are asked for
//! first, and only where such a pair stands the run is.

use super::encode::{Alphabet, CLASS_SKIP};

/// 128 KiB of bits, asked at every character: small enough to stay in the second-level cache.
const PAIR_WORDS: usize = 1 << 14;

/// 256 KiB of bits, asked only where a pair stands.
const RUN_WORDS: usize = 1 << 15;

/// Longest anchor in classes: as many as fit in one word.
const ANCHOR: usize = 4;

/// Characters of ordinary Chinese, most frequent first: a pair of these is a poor anchor.
const FREQUENT: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之\
年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实\
日者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应向头文体政美相见被利什二等产\
或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气\
题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指许统区保至队形社便空决治展马\
科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师\
观清今切院让识候带导争运笔店吃买元钱服喜欢号码请问谢谢吗呢吧啊哦嗯呀哈房间酒评价推荐附近景点餐馆";

/// Which runs of neighbours may belong to a term.
#[derive(Debug)]
pub(super) struct Filter {
    /// The last two classes of each anchor.
    pairs: Bits<PAIR_WORDS, 2>,
    /// The anchors.
    runs: Bits<RUN_WORDS, 4>,
    /// Classes from here on are terms by themselves, or cells that need the slow way.
    special_from: u16,
}

impl Filter {
    /// What it occupies.
    pub(super) const MEMORY_BYTES: usize = (PAIR_WORDS + RUN_WORDS) * size_of::<u64>();

    /// Starts a filter; classes from `special_from` on always count as found.
    pub(super) fn new(special_from: u16) -> Self {
        Self { pairs: Bits::new(), runs: Bits::new(), special_from }
    }

    /// Adds the anchor of a pattern. A pattern of one class needs none: its class is a special one.
    pub(super) fn add(&mut self, pattern: &[u16], rarity: &Rarity) {
        let length = pattern.len().min(ANCHOR);
        if length < 2 {
            return;
        }
        let anchor = pattern.windows(length).min_by_key(|run| rarity.cost(run));
        if let Some(anchor) = anchor {
            let run = anchor.iter().fold(0, |run, class| run << 16 | u64::from(*class));
            self.pairs.set(run & PAIR);
            self.runs.set(run);
        }
    }

    /// Says whether `text` may hold a term. Stops at the first anchor found.
    pub(super) fn may_hit(&self, alphabet: &Alphabet, text: &str) -> bool {
        // The last four classes, the newest lowest. Unwritten places hold class 0, which is in no term.
        let mut run = 0_u64;
        for c in text.chars() {
            let class = alphabet.cell(c);
            if class >= self.special_from {
                if class == CLASS_SKIP {
                    continue;
                }
                return true;
            }
            run = run << 16 | u64::from(class);
            if self.pairs.has(run & PAIR) && self.has_anchor(run) {
                return true;
            }
        }
        false
    }

    fn has_anchor(&self, run: u64) -> bool {
        self.runs.has(run) || self.runs.has(run & TRIPLE) || self.runs.has(run & PAIR)
    }
}

const PAIR: u64 = 0xFFFF_FFFF;
const TRIPLE: u64 = 0xFFFF_FFFF_FFFF;

/// A set of runs that may seem to hold more than was put in: `BITS` bits of one word each, so that one load answers.
#[derive(Debug)]
struct Bits<const WORDS: usize, const BITS: u32>(Box<[u64; WORDS]>);

impl<const WORDS: usize, const BITS: u32> Bits<WORDS, BITS> {
    fn new() -> Self {
        Self(vec![0; WORDS].into_boxed_slice().try_into().expect("made with this length"))
    }

    fn set(&mut self, run: u64) {
        let (word, bits) = Self::slot(run);
        self.0[word] |= bits;
    }

    #[inline]
    fn has(&self, run: u64) -> bool {
        let (word, bits) = Self::slot(run);
        self.0[word] & bits == bits
    }

    #[inline]
    fn slot(run: u64) -> (usize, u64) {
        // Fibonacci hashing: the product's upper bits depend on all bits of the run.
        let hash = run.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (0..BITS).fold(0, |bits, n| bits | 1 << (hash >> (40 - 6 * n) & 63));
        (usize::try_from(hash >> 46).unwrap_or(0) % WORDS, bits)
    }
}

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

    /// The expected number of runs in a text is about the product of frequencies; the last pair decides how often
    /// the run is asked for at all.
    fn cost(&self, run: &[u16]) -> u64 {
        let frequency =
            |class: &u16| u64::from(self.frequency.get(usize::from(*class)).copied().unwrap_or(0));
        let pair = run.iter().rev().take(2).map(frequency).product::<u64>();
        let before = run.iter().rev().skip(2).map(frequency).sum::<u64>();
        pair.saturating_mul(64).saturating_add(before)
    }
}
