//! A Bloom filter in front of a sealed hour: about ten bits an id, one id in a hundred asks the disk in vain.
//!
//! Ids are keyed 128-bit hashes already, so their halves serve as the two hash functions.

use thiserror::Error;

use crate::event::EventKey;

const BITS_PER_ID: usize = 10;
const PROBES: u64 = 7;

/// Why bytes are not a filter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("a dedupe filter of {0} bytes; it must be a multiple of 8 and not empty")]
pub struct FilterError(usize);

/// Says "no" for certain, or "maybe".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Box<[u64]>);

impl Filter {
    /// Makes the filter of a set of ids.
    pub fn build(ids: &[EventKey]) -> Self {
        let words = (ids.len() * BITS_PER_ID).div_ceil(64).max(1);
        let mut filter = Self(vec![0; words].into_boxed_slice());
        for id in ids {
            for (word, bit) in filter.probes(*id) {
                filter.0[word] |= bit;
            }
        }
        filter
    }

    /// Says whether the id may be in the set; a `false` is certain.
    pub fn may_contain(&self, id: EventKey) -> bool {
        self.probes(id).all(|(word, bit)| self.0[word] & bit != 0)
    }

    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When the length is impossible.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        let (words, rest) = bytes.as_chunks::<8>();
        if words.is_empty() || !rest.is_empty() {
            return Err(FilterError(bytes.len()));
        }
        Ok(Self(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
    }

    fn probes(&self, id: EventKey) -> impl Iterator<Item = (usize, u64)> + use<> {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the hash are meant")]
        let (first, second) = (id.0 as u64, (id.0 >> 64) as u64 | 1);
        let bits = self.0.len() as u64 * 64;
        (0..PROBES).map(move |n| {
            let bit = first.wrapping_add(n.wrapping_mul(second)) % bits;
            (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u128) -> EventKey {
        EventKey::of(&[1; 16], "a", "g", &n.to_string())
    }

    #[test]
    fn knows_its_ids_and_few_others() {
        let ids: Vec<EventKey> = (0..2_000).map(key).collect();
        let filter = Filter::build(&ids);
        assert!(ids.iter().all(|id| filter.may_contain(*id)));
        let wrong = (2_000..12_000).filter(|n| filter.may_contain(key(*n))).count();
        assert!(wrong < 200, "{wrong} of 10,000 strangers pass");
        assert_eq!(Filter::from_bytes(&filter.to_bytes()), Ok(filter));
    }

    #[test]
    fn refuses_impossible_bytes() {
        assert_eq!(Filter::from_bytes(&[]), Err(FilterError(0)));
        assert_eq!(Filter::from_bytes(&[0; 12]), Err(FilterError(12)));
    }
}
