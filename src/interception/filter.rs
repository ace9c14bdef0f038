//! The anchor filter: most messages hold no listed pair of neighbours and stop here.
//!
//! Each term gives its rarest pair of adjacent classes; both neighbours survive any inserted separators, because
//! skipped characters are already gone. A text without any term's pair cannot hold a term: no false negatives.
//! A pair that is there, or shares its bits, only means that the exact stage has to look.

use super::encode::{Alphabet, CLASS_SKIP};

/// 128 KiB of bits: at 60,000 terms about one pair in 400 is a false alarm, and it stays in the second-level cache.
const WORDS: usize = 1 << 14;

/// Characters of ordinary Chinese, most frequent first: a pair of these is a poor anchor.
const FREQUENT: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之\
年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实\
日者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应向头文体政美相见被利什二等产\
或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气\
题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指许统区保至队形社便空决治展马\
科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师\
观清今切院让识候带导争运笔店吃买元钱服喜欢号码请问谢谢吗呢吧啊哦嗯呀哈房间酒评价推荐附近景点餐馆";

/// Which pairs of neighbours may begin a hit.
#[derive(Debug)]
pub(super) struct Filter {
    /// Two bits of one word per pair: one load answers.
    words: Box<[u64; WORDS]>,
    /// Classes from here on are terms by themselves, or cells that need the slow way.
    special_from: u16,
}

impl Filter {
    /// Starts a filter; classes from `special_from` on always count as found.
    pub(super) fn new(special_from: u16) -> Self {
        let words = vec![0; WORDS].into_boxed_slice().try_into().expect("made with this length");
        Self { words, special_from }
    }

    /// Adds the anchor of a pattern. A pattern of one class needs none: its class is a special one.
    pub(super) fn add(&mut self, pattern: &[u16], rarity: &Rarity) {
        let anchor = pattern.windows(2).min_by_key(|pair| rarity.cost(pair[0], pair[1]));
        if let Some(pair) = anchor {
            let (word, bits) = slot(pair[0], pair[1]);
            self.words[word] |= bits;
        }
    }

    /// Says whether `text` may hold a term. Stops at the first pair found.
    pub(super) fn may_hit(&self, alphabet: &Alphabet, text: &str) -> bool {
        let mut previous = 0;
        for c in text.chars() {
            let class = alphabet.cell(c);
            if class >= self.special_from {
                if class == CLASS_SKIP {
                    continue;
                }
                return true;
            }
            let (word, bits) = slot(previous, class);
            if self.words[word] & bits == bits {
                return true;
            }
            previous = class;
        }
        false
    }
}

#[inline]
fn slot(left: u16, right: u16) -> (usize, u64) {
    // Fibonacci hashing: the product's upper bits depend on all bits of the pair.
    let hash = (u64::from(left) << 16 | u64::from(right)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let word = usize::try_from(hash >> 50).unwrap_or(0) & (WORDS - 1);
    (word, 1 << (hash >> 44 & 63) | 1 << (hash >> 38 & 63))
}

/// How often pairs of classes are expected in ordinary text; only their order matters.
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
            None if letter.is_ascii_alphanumeric() => 2_000,
            None => 60,
        });
        Self { frequency: std::iter::once(0).chain(frequency).collect() }
    }

    fn cost(&self, left: u16, right: u16) -> u64 {
        let frequency = |class: u16| u64::from(self.frequency.get(usize::from(class)).copied().unwrap_or(0));
        frequency(left) * frequency(right)
    }
}
