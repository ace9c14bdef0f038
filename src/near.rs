//! Texts that are almost the same: a sketch of each, by which near ones are found among many.
//!
//! `MinHash` over pairs of neighbouring characters: each lane holds the least of one keyed hash over all pairs, so two texts
//! agree in a lane with the probability that a pair of either is a pair of both (their Jaccard similarity). Short chat texts
//! are told apart by it where a `SimHash` is not: a changed number among thirty characters moves ten of its 64 bits.
//!
//! Pure. Not for: whether two texts mean the same.

use std::fmt;
use std::hash::Hasher as _;

use hashbrown::HashMap;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher13;

/// Numbers of a sketch.
pub const LANES: usize = 16;
/// Shorter texts have none: different people write them on their own.
pub const CHARS_MIN: usize = 12;
/// What follows in a longer text is not looked at: the work is bounded.
const CHARS_MAX: usize = 400;

/// What is remembered of a text's pairs of characters. Keyed: without the key it says nothing about the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch(pub [u16; LANES]);

/// As bytes: every reader of the journal reads the sketch of every message.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; 2 * LANES];
        for (to, lane) in bytes.chunks_exact_mut(2).zip(self.0) {
            to.copy_from_slice(&lane.to_le_bytes());
        }
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Sketch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", 2 * LANES)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Sketch, E> {
        let bytes: &[u8; 2 * LANES] = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        let mut lanes = [0; LANES];
        for (lane, from) in lanes.iter_mut().zip(bytes.as_chunks().0) {
            *lane = u16::from_le_bytes(*from);
        }
        Ok(Sketch(lanes))
    }

    /// As documents in JSON have it.
    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Sketch, A::Error> {
        let mut all = [0; 2 * LANES];
        for (nth, to) in all.iter_mut().enumerate() {
            *to = bytes.next_element()?.ok_or_else(|| de::Error::invalid_length(nth, &self))?;
        }
        self.visit_bytes(&all)
    }
}

impl Sketch {
    /// Makes the sketch of a folded text; `None` where it is too short.
    pub fn of(folded: &str, secret: &[u8; 16]) -> Option<Self> {
        folded.chars().nth(CHARS_MIN - 1)?;
        Self::of_short(folded, secret)
    }

    /// Makes the sketch of a folded text however short, for texts of which one knows more than that; `None` where it has no
    /// pair of characters.
    pub fn of_short(folded: &str, secret: &[u8; 16]) -> Option<Self> {
        folded.chars().nth(1)?;
        let mut least = [u32::MAX; LANES];
        let chars = folded.chars().take(CHARS_MAX);
        for (first, second) in chars.clone().zip(chars.skip(1)) {
            let mut hasher = SipHasher13::new_with_key(secret);
            hasher.write_u64(u64::from(u32::from(first)) << 32 | u64::from(u32::from(second)));
            let hash = hasher.finish();
            for (least, factor) in least.iter_mut().zip(FACTORS) {
                *least = (*least).min(high(hash.wrapping_mul(factor)));
            }
        }
        Some(Self(least.map(low)))
    }

    /// Returns in how many lanes two sketches agree.
    pub fn agreement(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(one, other)| one == other).count()
    }
}

/// Odd numbers without a pattern: the fractions of the square roots of the first primes.
const FACTORS: [u64; LANES] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
    0xcbbb_9d5d_c105_9ed9,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa5,
];

fn high(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is meant: the least ones begin with zeros"
)]
fn low(hash: u32) -> u16 {
    hash as u16
}

/// The least agreement that an [`Index`] with bands of this many numbers finds: with fewer in common two sketches may agree
/// in no whole band.
pub const fn near_min(band: usize) -> usize {
    LANES - LANES / band + 1
}

/// Finds near ones among many sketches: those that agree in a whole band of numbers are looked at. Bands of two find what
/// agrees in nine numbers and more, and look at little else; single numbers find everything. The owner bounds how many
/// there are.
#[derive(Debug)]
pub struct Index<T, const BAND: usize = 2> {
    /// Slots of sketches by what one of their bands is.
    bands: HashMap<u64, Vec<u32>>,
    slots: Vec<Option<(T, Sketch)>>,
    free: Vec<u32>,
}

impl<T, const BAND: usize> Default for Index<T, BAND> {
    fn default() -> Self {
        Self { bands: HashMap::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy + Ord, const BAND: usize> Index<T, BAND> {
    /// Takes in the sketch of `id`; an id may have several.
    pub fn insert(&mut self, sketch: &Sketch, id: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        *place = Some((id, *sketch));
        for key in keys::<BAND>(sketch) {
            self.bands.entry(key).or_default().push(slot);
        }
    }

    /// Takes one out again.
    pub fn remove(&mut self, sketch: &Sketch, id: T) {
        let holds = |slot: &u32| self.slots.get(*slot as usize).copied().flatten() == Some((id, *sketch));
        let slots = keys::<BAND>(sketch).next().and_then(|key| self.bands.get(&key));
        let Some(slot) = slots.into_iter().flatten().copied().find(holds) else { return };
        for key in keys::<BAND>(sketch) {
            if let Some(slots) = self.bands.get_mut(&key) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.bands.remove(&key);
                }
            }
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = None;
            self.free.push(slot);
        }
    }

    /// Returns the id that agrees in most numbers, in at least `lanes_min` of them ([`near_min`] at least); of several
    /// the smallest.
    pub fn nearest(&self, sketch: &Sketch, lanes_min: usize) -> Option<T> {
        let mut slots: Vec<u32> =
            keys::<BAND>(sketch).filter_map(|key| self.bands.get(&key)).flatten().copied().collect();
        slots.sort_unstable();
        slots.dedup();
        let known = slots.iter().filter_map(|slot| self.slots.get(*slot as usize).copied().flatten());
        let near = known.map(|(id, other)| (id, sketch.agreement(&other)));
        let near = near.filter(|(_, lanes)| *lanes >= lanes_min.max(near_min(BAND)));
        near.max_by(|(a, in_a), (b, in_b)| in_a.cmp(in_b).then(b.cmp(a))).map(|(id, _)| id)
    }
}

fn keys<const BAND: usize>(sketch: &Sketch) -> impl Iterator<Item = u64> {
    let bands = (0_u64..).zip(sketch.0.chunks_exact(BAND));
    bands.map(|(band, lanes)| lanes.iter().fold(band, |key, lane| key << 16 | u64::from(*lane)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const ADVERT: &str = "招聘兼职打字员每天两百元日结联系微信abc123有意者速来";

    fn sketch(text: &str) -> Sketch {
        Sketch::of(text, &[7; 16]).unwrap()
    }

    #[test]
    fn an_advert_with_another_number_is_near_and_other_talk_is_not() {
        let near = sketch("招聘兼职打字员每天三百元日结联系微信abc999有意者速来哦");
        let other = sketch("请问你们店里的三黄鸡今天还有没有货几点关门呢");
        assert!(sketch(ADVERT).agreement(&near) >= 8, "{}", sketch(ADVERT).agreement(&near));
        assert!(sketch(ADVERT).agreement(&other) <= 2);
        assert_eq!(Sketch::of("太短了", &[7; 16]), None);
        assert_ne!(sketch(ADVERT), Sketch::of(ADVERT, &[8; 16]).unwrap(), "keyed");
    }

    #[test]
    fn a_sketch_is_read_as_it_was_written() {
        let of = sketch(ADVERT);
        assert_eq!(postcard::from_bytes::<Sketch>(&postcard::to_allocvec(&of).unwrap()), Ok(of));
        assert_eq!(serde_json::from_str::<Sketch>(&serde_json::to_string(&of).unwrap()).unwrap(), of);
        assert!(serde_json::from_str::<Sketch>("[1, 2]").is_err());
        assert!(postcard::from_bytes::<Sketch>(&[2, 1, 2]).is_err());
    }

    #[test]
    fn what_was_taken_out_is_not_found() {
        let mut index: Index<u32> = Index::default();
        index.insert(&sketch(ADVERT), 1);
        index.insert(&sketch(ADVERT), 2);
        assert_eq!(index.nearest(&sketch(ADVERT), LANES), Some(1));
        index.remove(&sketch(ADVERT), 1);
        assert_eq!(index.nearest(&sketch(ADVERT), LANES), Some(2));
        index.remove(&sketch(ADVERT), 2);
        assert!(index.bands.is_empty());
    }

    fn pairs(text: &str) -> HashSet<(char, char)> {
        text.chars().zip(text.chars().skip(1)).collect()
    }

    proptest! {
        /// The agreement estimates the share of common pairs: far off only by a chance that would be seen here.
        #[test]
        fn agreement_follows_the_share_of_common_pairs(common in "[a-z]{0,60}", one in "[0-9]{12,40}", other in "[A-Z]{12,40}") {
            let (one, other) = (format!("{common}{one}"), format!("{common}{other}"));
            let (of_one, of_other) = (pairs(&one), pairs(&other));
            let count = |n: usize| f64::from(u32::try_from(n).unwrap());
            let share = count(of_one.intersection(&of_other).count()) / count(of_one.union(&of_other).count());
            let agreed = count(sketch(&one).agreement(&sketch(&other))) / count(LANES);
            prop_assert!((share - agreed).abs() < 0.65, "{share} {agreed}");
        }

        /// The index finds what a look at every sketch finds, as far as its bands go.
        #[test]
        fn the_index_misses_nothing(texts in proptest::collection::vec("[ab]{12,16}", 1..20), asked in "[ab]{12,16}", lanes_min in 1_usize..=LANES) {
            let (mut single, mut pairs): (Index<usize, 1>, Index<usize>) = (Index::default(), Index::default());
            for (nth, text) in texts.iter().enumerate() {
                single.insert(&sketch(text), nth);
                pairs.insert(&sketch(text), nth);
            }
            let asked = sketch(&asked);
            let agrees = |nth: usize| sketch(&texts[nth]).agreement(&asked);
            let best = |least: usize| (0..texts.len()).map(agrees).max().filter(|best| *best >= least);
            prop_assert_eq!(single.nearest(&asked, lanes_min).map(agrees), best(lanes_min));
            prop_assert_eq!(pairs.nearest(&asked, lanes_min).map(agrees), best(lanes_min.max(near_min(2))));
        }
    }
}
