//! What happens in groups, by region: as many regions as there is room for, the rest as one.

use std::sync::Arc;

use ::metrics::Counter;
use hashbrown::HashMap;
use parking_lot::RwLock;

use super::registry::{Registry, registry};

/// Regions with a label of their own; groups of further ones count under [`OTHER`].
pub const REGIONS_MAX: usize = 50;
/// The label of regions that came when there was no room any more.
pub const OTHER: &str = "other";
/// The label of groups that are in no region.
pub const NONE: &str = "none";

/// Values of the label `kind`, in the order of [`Happened::parts`].
pub(super) const KINDS: [&str; 6] = ["messages", "joins", "leaves", "hits", "questions", "answered"];

/// What one event comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Messages of customers and staff.
    pub messages: u64,
    /// Joins of customers and staff.
    pub joins: u64,
    /// Leaves of customers and staff.
    pub leaves: u64,
    /// Hits.
    pub hits: u64,
    /// Questions that no rule answered.
    pub questions: u64,
    /// Questions that staff answered.
    pub answered: u64,
}

impl Happened {
    fn parts(&self) -> [u64; 6] {
        [self.messages, self.joins, self.leaves, self.hits, self.questions, self.answered]
    }
}

/// Counters by region, made when a region is first met.
#[derive(Default)]
pub(super) struct Regions(RwLock<HashMap<Box<str>, Arc<[Counter; 6]>>>);

impl Regions {
    fn of(&self, registry: &Registry, region: &str) -> Arc<[Counter; 6]> {
        if let Some(known) = self.0.read().get(region) {
            return Arc::clone(known);
        }
        let mut known = self.0.write();
        let named = |region: &&str| ![NONE, OTHER].contains(region);
        let has_room = known.keys().map(|region| &**region).filter(named).count() < REGIONS_MAX;
        let region = if has_room || !named(&region) { region } else { OTHER };
        let counters = known.entry_ref(region).or_insert_with(|| Arc::new(registry.of_region(region)));
        Arc::clone(counters)
    }
}

/// Something happened in a group of a region.
pub fn happened(region: Option<&str>, happened: &Happened) {
    let Some(registry) = registry().filter(|_| *happened != Happened::default()) else { return };
    let counters = registry.regions().of(registry, region.unwrap_or(NONE));
    for (counter, number) in counters.iter().zip(happened.parts()) {
        if number > 0 {
            counter.increment(number);
        }
    }
}
