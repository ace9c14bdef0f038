//! What a stretch changes about groups' days.

use std::collections::BTreeMap;

use super::Delta;
use crate::statistics::days::{DAY_MS, Day, Facet, Person, day_of};

impl Delta {
    /// Returns what is to be added to each group's days. `group` gives a group by its index, `number` a member's by theirs;
    /// nothing for who is only named and not known.
    pub fn days<G: Ord>(
        &self,
        group: impl Fn(u32) -> G,
        number: impl Fn(u32) -> Option<u64>,
    ) -> BTreeMap<(u32, G), Day> {
        let mut days: BTreeMap<(u32, G), Day> = BTreeMap::new();
        for ((member, hour, role), spoke) in &self.spoke {
            let Some(number) = number(*member) else { continue };
            let day = days.entry((hour / 24, group(self.members[*member as usize].group))).or_default();
            day.spoke.entry((Person { number, role: *role }, of_day(*hour))).or_default().add(*spoke);
        }
        for moved in &self.moved {
            let Some(number) = number(moved.member) else { continue };
            let at_ms = u32::try_from(moved.at_ms.max(0).rem_euclid(DAY_MS)).unwrap_or_default();
            let key = (day_of(moved.at_ms), group(self.members[moved.member as usize].group));
            let person = Person { number, role: moved.role };
            days.entry(key).or_default().moved.push((at_ms, person, moved.kind));
        }
        for ((index, hour, facet), count) in &self.facets {
            let day = days.entry((hour / 24, group(*index))).or_default();
            let sum = day.counted.entry((facet.clone(), of_day(*hour))).or_default();
            *sum = sum.saturating_add(*count);
        }
        for ((index, hour), count) in &self.counts {
            let day = days.entry((hour / 24, group(*index))).or_default();
            for (counter, number) in count.counters.parts().into_iter().filter(|(_, number)| *number > 0) {
                day.counted.insert((Facet::Counter(counter), of_day(*hour)), number);
            }
            if count.revised {
                day.counted.insert((Facet::Revised, of_day(*hour)), 1);
            }
        }
        for day in days.values_mut() {
            day.moved.sort_unstable();
            day.moved.dedup();
        }
        days
    }
}

fn of_day(hour: u32) -> u8 {
    u8::try_from(hour % 24).unwrap_or_default()
}
