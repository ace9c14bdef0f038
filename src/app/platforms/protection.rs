//! Since when, and why, nobody watches an account.
//!
//! Not for: finding out. Invariant: an account is protected exactly when there is no cause against it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

/// Why an account is not protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// We were not there, and what happened meanwhile is not known yet.
    Down,
    /// The platform does not let us work.
    Trouble,
    /// Something happened of which no callback told.
    Untold,
}

impl Cause {
    /// Its stable code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Cause::Down => "down",
            Cause::Trouble => "trouble",
            Cause::Untold => "untold",
        }
    }
}

/// A cause, since when it holds, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lapse {
    pub(super) cause: Cause,
    pub(super) since_ms: i64,
    pub(super) zh: String,
    pub(super) en: String,
}

/// The causes against one account.
#[derive(Debug, Default)]
pub(super) struct Protection(Mutex<BTreeMap<Cause, Lapse>>);

impl Protection {
    /// A cause holds; says whether that is news. A later beginning does not move an earlier one.
    pub(super) fn lapse(&self, lapse: Lapse) -> bool {
        let mut lapses = self.0.lock();
        if let Some(known) = lapses.get_mut(&lapse.cause) {
            let since_ms = known.since_ms.min(lapse.since_ms);
            let is_news = (since_ms, &known.zh) != (known.since_ms, &lapse.zh);
            *known = Lapse { since_ms, ..lapse };
            return is_news;
        }
        lapses.insert(lapse.cause, lapse);
        true
    }

    /// A cause holds no more; returns since when it did.
    pub(super) fn end(&self, cause: Cause) -> Option<i64> {
        self.0.lock().remove(&cause).map(|lapse| lapse.since_ms)
    }

    /// Returns since when a cause holds.
    pub(super) fn since_of(&self, cause: Cause) -> Option<i64> {
        self.0.lock().get(&cause).map(|lapse| lapse.since_ms)
    }

    /// Returns since when the account is not protected.
    pub(super) fn since_ms(&self) -> Option<i64> {
        self.0.lock().values().map(|lapse| lapse.since_ms).min()
    }

    /// Returns the causes, the earliest first.
    pub(super) fn lapses(&self) -> Vec<Lapse> {
        let mut lapses: Vec<Lapse> = self.0.lock().values().cloned().collect();
        lapses.sort_by_key(|lapse| (lapse.since_ms, lapse.cause));
        lapses
    }

    /// Says it in one line for people; `None` when the account is protected.
    pub(super) fn words(&self, zone: &TimeZone, now_ms: i64) -> Option<String> {
        let lapses = self.lapses();
        let since = clock_time(lapses.first()?.since_ms, zone, now_ms);
        let zh: Vec<&str> = lapses.iter().map(|lapse| lapse.zh.as_str()).collect();
        let en: Vec<&str> = lapses.iter().map(|lapse| lapse.en.as_str()).collect();
        Some(format!(
            "未受保护，自 {since} 起：{} / not protected since {since}: {}",
            zh.join("；"),
            en.join("; ")
        ))
    }
}

/// Writes a time as people of the account read it: `14:03`, with the date when it is not today.
pub(super) fn clock_time(at_ms: i64, zone: &TimeZone, now_ms: i64) -> String {
    let local = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_zoned(zone.clone()));
    match (local(at_ms), local(now_ms)) {
        (Ok(at), Ok(now)) if at.date() == now.date() => at.strftime("%H:%M").to_string(),
        (Ok(at), _) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        (Err(_), _) => at_ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn lapse(cause: Cause, since: &str, zh: &str) -> Lapse {
        Lapse { cause, since_ms: ms(since), zh: zh.to_owned(), en: zh.to_owned() }
    }

    #[test]
    fn the_earliest_cause_says_since_when_and_all_say_why() {
        let protection = Protection::default();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let now = ms("2026-11-27T08:00:00Z");
        assert_eq!(protection.words(&zone, now), None);
        assert!(protection.lapse(lapse(Cause::Untold, "2026-11-27T07:00:00Z", "b")));
        assert!(protection.lapse(lapse(Cause::Down, "2026-11-27T06:03:00Z", "a")));
        let words = protection.words(&zone, now).unwrap();
        assert_eq!(words, "未受保护，自 14:03 起：a；b / not protected since 14:03: a; b");
        assert!(!protection.lapse(lapse(Cause::Down, "2026-11-27T07:30:00Z", "a")), "it began before");
        assert_eq!(protection.end(Cause::Down), Some(ms("2026-11-27T06:03:00Z")));
        assert_eq!(protection.end(Cause::Down), None);
        assert_eq!(protection.since_ms(), Some(ms("2026-11-27T07:00:00Z")));
        assert_eq!(clock_time(ms("2026-11-26T06:03:00Z"), &zone, now), "2026-11-26 14:03");
    }
}
