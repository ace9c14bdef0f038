//! Imports the platform's own numbers, once a day, and keeps them beside ours.
//!
//! A day is taken when the platform has it; until then it is asked again. What is kept lies in the account's own state, by
//! day, and by day and owner in portions, so that no value grows with the number of owners.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::around::{Around, DutyError};
use crate::connectors::offers::{ConnectorState, Numbers, PlatformNumbers, StateError};

/// Milliseconds in one day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Days imported the first time.
const FIRST_DAYS: i64 = 30;
/// How long imported days are kept.
const KEEP_DAYS: i64 = 400;
/// Owners in one value.
const OWNERS_MAX: usize = 200;
/// Rows read or removed in one go.
const ROWS: usize = 500;

/// The last day that was imported.
const NEWEST: &str = "driver/numbers/newest";
const BY_DAY: &str = "driver/numbers/day/";
const BY_OWNER: &str = "driver/numbers/owner/";

/// Imports new days, again and again.
pub(super) async fn import(around: Arc<Around>) {
    let Some(numbers) = around.connector.numbers() else { return };
    let mut tries = 0;
    loop {
        let wait = match import_new(&around, numbers).await {
            Ok(()) => {
                tries = 0;
                around.parts.config.numbers_every
            }
            Err(error) => {
                tries += 1;
                around.failed("numbers", tries - 1, &error)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn import_new(around: &Around, numbers: &dyn Numbers) -> Result<(), DutyError> {
    let newest_ms = numbers.newest_day_ms(around.now_ms());
    let done_ms = around.state.get(NEWEST).await?.and_then(|text| text.parse::<i64>().ok());
    if done_ms.is_some_and(|done| done >= newest_ms) {
        return Ok(());
    }
    let from_ms = done_ms.map_or(newest_ms - (FIRST_DAYS - 1) * DAY_MS, |done| done + DAY_MS);
    for (day_ms, day) in numbers.by_day(from_ms, newest_ms + DAY_MS, &[]).await? {
        let owners = numbers.by_owner(day_ms, day_ms + DAY_MS, &[]).await?;
        let mut writes = vec![(key(BY_DAY, day_ms), Some(json(&day)?))];
        for (portion, owners) in owners.chunks(OWNERS_MAX).enumerate() {
            let owners: BTreeMap<&str, &PlatformNumbers> =
                owners.iter().map(|(id, n)| (id.as_str(), n)).collect();
            writes.push((format!("{}/{portion:04}", key(BY_OWNER, day_ms)), Some(json(&owners)?)));
        }
        writes.push((NEWEST.to_owned(), Some(day_ms.to_string())));
        around.state.put(writes).await?;
    }
    prune(&*around.state, newest_ms - KEEP_DAYS * DAY_MS).await?;
    Ok(())
}

/// Removes what is too old.
async fn prune(state: &dyn ConnectorState, before_ms: i64) -> Result<(), StateError> {
    for prefix in [BY_DAY, BY_OWNER] {
        let end = key(prefix, before_ms);
        let page = state.list(prefix, None, ROWS).await?;
        let old: Vec<_> =
            page.into_iter().filter(|(key, _)| *key < end).map(|(key, _)| (key, None)).collect();
        if !old.is_empty() {
            state.put(old).await?;
        }
    }
    Ok(())
}

/// Returns the imported days of `[from, until)`, in order.
pub(super) async fn days(
    state: &dyn ConnectorState,
    from_ms: i64,
    until_ms: i64,
) -> Result<Vec<(i64, PlatformNumbers)>, StateError> {
    let mut days = Vec::new();
    let (mut after, end) = (before(&key(BY_DAY, from_ms)), key(BY_DAY, until_ms));
    loop {
        let page = state.list(BY_DAY, Some(&after), ROWS).await?;
        let is_last = page.len() < ROWS;
        for (key, value) in page {
            if key >= end {
                return Ok(days);
            }
            if let (Some(day_ms), Ok(numbers)) = (day_of(&key, BY_DAY), serde_json::from_str(&value)) {
                days.push((day_ms, numbers));
            }
            after = key;
        }
        if is_last {
            return Ok(days);
        }
    }
}

/// Returns each owner's numbers over the imported days of `[from, until)`: what is new adds up, the rest is how it stood at
/// the end.
pub(super) async fn owners(
    state: &dyn ConnectorState,
    from_ms: i64,
    until_ms: i64,
) -> Result<Vec<(String, PlatformNumbers)>, StateError> {
    let mut owners: BTreeMap<String, PlatformNumbers> = BTreeMap::new();
    let (mut after, end) = (before(&key(BY_OWNER, from_ms)), key(BY_OWNER, until_ms));
    loop {
        let page = state.list(BY_OWNER, Some(&after), ROWS).await?;
        let is_last = page.len() < ROWS;
        for (key, value) in page {
            if key >= end {
                return Ok(owners.into_iter().collect());
            }
            let portion: BTreeMap<String, PlatformNumbers> = serde_json::from_str(&value).unwrap_or_default();
            for (owner, later) in portion {
                let sum = owners.entry(owner).or_default();
                *sum = PlatformNumbers {
                    groups_new: sum.groups_new + later.groups_new,
                    members_new: sum.members_new + later.members_new,
                    ..later
                };
            }
            after = key;
        }
        if is_last {
            return Ok(owners.into_iter().collect());
        }
    }
}

/// A day's key: fixed width, so that keys are in order of days.
fn key(prefix: &str, day_ms: i64) -> String {
    format!("{prefix}{:014}", day_ms.max(0))
}

fn day_of(key: &str, prefix: &str) -> Option<i64> {
    key.strip_prefix(prefix)?.parse().ok()
}

/// A cursor right before a key of digits: `/` stands before `0`.
fn before(key: &str) -> String {
    let mut cursor = key.to_owned();
    let last = cursor.pop().and_then(|digit| char::from_u32(u32::from(digit) - 1)).unwrap_or('/');
    cursor.push(last);
    cursor.push(char::MAX);
    cursor
}

fn json(value: &impl serde::Serialize) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|error| StateError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::MemoryState;

    #[tokio::test]
    async fn days_and_owners_come_back_in_order_and_within_their_time() {
        let state = MemoryState::default();
        let numbers =
            |n: u64| PlatformNumbers { members_new: n, members: 100 + n, ..PlatformNumbers::default() };
        for day in 1..=9_u64 {
            let day_ms = i64::try_from(day).unwrap() * DAY_MS;
            let owners = BTreeMap::from([("u1", numbers(day)), ("u2", numbers(2 * day))]);
            let writes = vec![
                (key(BY_DAY, day_ms), Some(json(&numbers(day)).unwrap())),
                (format!("{}/0000", key(BY_OWNER, day_ms)), Some(json(&owners).unwrap())),
            ];
            state.put(writes).await.unwrap();
        }
        let found = days(&state, 3 * DAY_MS, 6 * DAY_MS).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(day, n)| (day / DAY_MS, n.members_new)).collect();
        assert_eq!(found, [(3, 3), (4, 4), (5, 5)]);
        let found = owners(&state, 3 * DAY_MS, 6 * DAY_MS).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(id, n)| (id, n.members_new, n.members)).collect();
        assert_eq!(found, [("u1".to_owned(), 12, 105), ("u2".to_owned(), 24, 110)]);
        prune(&state, 5 * DAY_MS).await.unwrap();
        assert_eq!(days(&state, 0, i64::MAX / 2).await.unwrap().len(), 5);
        assert_eq!(state.list(BY_OWNER, None, 99).await.unwrap().len(), 5);
    }
}
