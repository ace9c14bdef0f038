//! How long questions waited for staff: exact, since every wait is kept in seconds.

use std::collections::BTreeMap;

use crate::statistics::days::Facet;

/// Answers to questions that were asked while the shop was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// How many.
    pub answers: u64,
    /// Half of them came within so many seconds.
    pub median_s: Option<u32>,
    /// Nine of ten came within so many seconds.
    pub p90_s: Option<u32>,
}

/// Sums up the first replies of a stretch.
pub fn waited(facets: &BTreeMap<Facet, u64>) -> Waited {
    let waits = || {
        let range = facets.range(Facet::Answered(true, 0)..=Facet::Answered(true, u32::MAX));
        range.filter_map(|(facet, count)| {
            if let Facet::Answered(_, seconds) = facet { Some((*seconds, *count)) } else { None }
        })
    };
    let answers = waits().map(|(_, count)| count).sum();
    Waited { answers, median_s: quantile(waits(), answers, 50), p90_s: quantile(waits(), answers, 90) }
}

/// Returns the smallest value that `percent` of all are at most.
fn quantile(values: impl Iterator<Item = (u32, u64)>, of: u64, percent: u64) -> Option<u32> {
    let rank = (of * percent).div_ceil(100).max(1);
    let mut seen = 0;
    for (value, count) in values {
        seen += count;
        if seen >= rank {
            return Some(value);
        }
    }
    None
}

/// Returns how many questions were answered, whether the shop was open or not.
pub fn answered(facets: &BTreeMap<Facet, u64>) -> u64 {
    facets.iter().filter(|(facet, _)| matches!(facet, Facet::Answered(..))).map(|(_, count)| count).sum()
}
