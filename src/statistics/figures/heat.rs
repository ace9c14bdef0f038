//! In which hours of the week a group is awake (活跃热力图).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::{HOUR_MS, Role};
use crate::statistics::days::{DAY_MS, DayError, View};

/// Messages of customers that count as activity, by weekday (Monday first) and hour of the local day.
pub type Week = [[u64; 24]; 7];

/// Adds a day's row to the week of its zone.
///
/// # Errors
/// When the row cannot be read.
pub fn add(
    week: &mut Week,
    zone: &TimeZone,
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
            week[weekday][hour] += u64::try_from(said).unwrap_or_default();
        }
    })
}
