//! In which hours of the week a group is awake (活跃热力图).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use roaring::RoaringTreemap;

use super::person;
use crate::event::{HOUR_MS, Role};
use crate::statistics::days::{DAY_MS, DayError, View};

/// Messages of customers that count as activity, by weekday (Monday first) and hour of the local day.
pub type Week = [[u64; 24]; 7];

/// When customers talk, and where it matters, who.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// Messages.
    pub week: Week,
    /// Who wrote them, one set for each hour of the week; empty where nobody asks.
    speakers: Vec<RoaringTreemap>,
}

impl Heat {
    /// Keeps who wrote the messages, too.
    pub fn with_speakers() -> Self {
        Self { week: Week::default(), speakers: vec![RoaringTreemap::new(); 7 * 24] }
    }

    /// Returns how many people wrote in each hour of the week, Monday's midnight first.
    pub fn speakers(&self) -> Vec<u64> {
        self.speakers.iter().map(RoaringTreemap::len).collect()
    }
}

/// Adds a day's row of a group to the week of its zone; `account` is its account's place in the question.
///
/// # Errors
/// When the row cannot be read.
pub fn add(
    heat: &mut Heat,
    (zone, account): (&TimeZone, u32),
    range: &std::ops::Range<i64>,
    day: u32,
    row: &View<'_>,
) -> Result<(), DayError> {
    let places: [Option<(usize, usize)>; 24] = std::array::from_fn(|hour| {
        let at_ms = i64::from(day) * DAY_MS + i64::try_from(hour).unwrap_or_default() * HOUR_MS;
        let local = Timestamp::from_millisecond(at_ms).ok().filter(|_| range.contains(&at_ms))?;
        let local = local.to_zoned(zone.clone());
        let weekday = usize::try_from(local.weekday().to_monday_zero_offset()).ok()?;
        Some((weekday, usize::try_from(local.hour()).ok()?))
    });
    row.spoke(&mut |who, hour, spoke| {
        let place = places.get(usize::from(hour)).copied().flatten();
        if let Some((weekday, hour)) = place.filter(|_| who.role == Role::Customer) {
            let said = i64::from(spoke.said) - i64::from(spoke.unsaid);
            heat.week[weekday][hour] += u64::try_from(said).unwrap_or_default();
            if let Some(speakers) = heat.speakers.get_mut(weekday * 24 + hour).filter(|_| said > 0) {
                speakers.insert(person(account, who.number));
            }
        }
    })
}
