//! Brands, regions and shops: where a group belongs, who runs it, when it is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::limits::Checker;
use crate::event::{BrandId, Day, Place, RegionId, ShopId};

/// A record with the ledger's version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Grows with every write; the `ETag`.
    pub version: u64,
    /// The record.
    pub record: T,
}

/// A brand: several regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandRecord {
    /// Name for people.
    pub name: String,
    /// The policy its groups are judged by, under those of their regions, shops, tags and their own.
    #[serde(default)]
    pub policy: Option<String>,
}

/// A region: several shops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionRecord {
    /// Name for people.
    pub name: String,
    /// Which brand it belongs to.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub brand: Option<BrandId>,
    /// Who runs it (大区负责人), as the platform names them: is told when nobody acknowledges an alert.
    #[serde(default)]
    pub manager: Option<String>,
    /// The policy its groups are judged by, over that of the brand.
    #[serde(default)]
    pub policy: Option<String>,
    /// Values for texts: `{region.vars.NAME}`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// Whether a shop is in business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShopState {
    /// In business.
    #[default]
    Open,
    /// Closed for good or for long.
    Closed,
}

/// A shop (门店) as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShopRecord {
    /// Name for people.
    pub name: String,
    /// Which region it belongs to.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub region: Option<RegionId>,
    /// The manager (店长), as the platform names them.
    #[serde(default)]
    pub manager: Option<String>,
    /// Who stands in for the manager.
    #[serde(default)]
    pub deputy: Option<String>,
    /// When it is open; unknown when empty.
    #[serde(default)]
    pub hours: Vec<OpeningHours>,
    /// Whether it is in business.
    #[serde(default)]
    pub state: ShopState,
    /// IANA name; the directory's default when left out.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Values for texts: `{address}`, `{phone}`, ….
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The policy its groups are judged by, over that of the region.
    #[serde(default)]
    pub policy: Option<String>,
}

/// One opening period on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpeningHours {
    /// On which days; every day when left out.
    #[serde(default = "Day::every")]
    pub days: Vec<Day>,
    /// From, like `09:00`.
    pub open: String,
    /// Until, like `21:30`; before `open` means after midnight, `24:00` means midnight.
    pub close: String,
}

/// Minutes since midnight of a time as people write it; `24:00` is 1440.
fn minutes(text: &str) -> Option<i32> {
    if text == "24:00" {
        return Some(24 * 60);
    }
    let time: Time = text.parse().ok()?;
    Some(i32::from(time.hour()) * 60 + i32::from(time.minute()))
}

impl OpeningHours {
    fn covers(&self, weekday: Weekday, minute: i32) -> bool {
        let (Some(open), Some(close)) = (minutes(&self.open), minutes(&self.close)) else { return false };
        let on = |day: Weekday| self.days.iter().any(|d| d.weekday() == day);
        if open < close {
            return on(weekday) && (open..close).contains(&minute);
        }
        // Past midnight: the evening of the named day, and the morning after it.
        (on(weekday) && minute >= open) || (on(weekday.previous()) && minute < close)
    }
}

/// A shop as the hot path knows it: with its place and time zone worked out.
#[derive(Clone, Debug, PartialEq)]
pub struct Shop {
    /// Its id.
    pub id: ShopId,
    /// Brand, region and itself.
    pub place: Place,
    /// Its own time zone, or the default.
    pub time_zone: TimeZone,
    /// Names of its region and brand, for texts.
    pub(super) region_name: Option<Arc<str>>,
    /// Its region's own variables, for texts.
    pub(super) region: Option<Arc<Stored<RegionRecord>>>,
    pub(super) brand_name: Option<Arc<str>>,
    /// Its hours in words, for texts.
    pub(super) hours_text: Option<String>,
    /// The ledger's version.
    pub version: u64,
    /// What was written.
    pub record: ShopRecord,
}

impl Shop {
    /// Says whether the doors are open; `None` when nobody wrote the hours down.
    pub fn is_open_at(&self, now_ms: i64) -> Option<bool> {
        if self.record.state == ShopState::Closed {
            return Some(false);
        }
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(self.time_zone.clone());
        let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
        let open = || self.record.hours.iter().any(|hours| hours.covers(now.weekday(), minute));
        (!self.record.hours.is_empty()).then(open)
    }
}

impl Shop {
    /// Returns the value of a variable such as `shop.name`; the names are `template`'s.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let record = &self.record;
        match name.split_once('.')? {
            ("shop", "name") => Some(&record.name),
            ("shop", "manager") => record.manager.as_deref(),
            ("shop", "deputy") => record.deputy.as_deref(),
            ("shop", "hours") => self.hours_text.as_deref(),
            // Address and telephone are ordinary variables with a short name.
            ("shop", field) => {
                record.variables.get(field.strip_prefix("vars.").unwrap_or(field)).map(String::as_str)
            }
            ("region", "name") => self.region_name.as_deref(),
            ("region", field) => {
                let variables = &self.region.as_ref()?.record.variables;
                variables.get(field.strip_prefix("vars.")?).map(String::as_str)
            }
            ("brand", "name") => self.brand_name.as_deref(),
            _ => None,
        }
    }
}

impl ShopRecord {
    /// Says the hours in words, when they are the same on all days they name: `09:00-21:30`.
    pub(super) fn hours_text(&self) -> Option<String> {
        let written = self.variables.get("hours").cloned();
        let first = self.hours.first()?;
        let same_days = self.hours.iter().all(|hours| hours.days == first.days);
        let spans: Vec<_> = self.hours.iter().map(|h| format!("{}-{}", h.open, h.close)).collect();
        written.or_else(|| same_days.then(|| spans.join(" ")))
    }

    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        checker.name("/name", &self.name);
        for (pointer, person) in [("/manager", &self.manager), ("/deputy", &self.deputy)] {
            if let Some(person) = person {
                checker.name(pointer, person);
            }
        }
        checker.count("/hours", self.hours.len(), checker.config.hours_max, "hours_max");
        for (index, hours) in self.hours.iter().enumerate() {
            for (field, text) in [("open", &hours.open), ("close", &hours.close)] {
                if minutes(text).is_none() {
                    let detail = format!("`{text}` is no time of day; write `09:00`");
                    checker.refuse(format!("/hours/{index}/{field}"), "form", detail);
                }
            }
            if hours.days.is_empty() {
                checker.refuse(format!("/hours/{index}/days"), "required", "name a day, or leave `days` out");
            }
        }
        checker.policy(self.policy.as_deref());
        checker.time_zone(self.time_zone.as_deref());
        checker.variables(&self.variables);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(hours: &str, state: ShopState) -> Shop {
        let record: ShopRecord =
            serde_json::from_str(&format!(r#"{{"name":"南京路店","hours":{hours}}}"#)).unwrap();
        Shop {
            id: ShopId::parse("s-1").unwrap(),
            place: Place::default(),
            time_zone: TimeZone::get("Asia/Shanghai").unwrap(),
            region_name: None,
            region: None,
            brand_name: None,
            hours_text: None,
            version: 1,
            record: ShopRecord { state, ..record },
        }
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn opening_hours_are_read_in_the_shops_own_time() {
        // 2026-11-22 is a Sunday.
        let day = r#"[{"days":["sun"],"open":"09:00","close":"21:30"}]"#;
        let night = r#"[{"days":["sat"],"open":"18:00","close":"02:00"}]"#;
        let whole = r#"[{"open":"00:00","close":"24:00"}]"#;
        let table = [
            (day, "2026-11-22T09:00:00+08:00", Some(true)),
            (day, "2026-11-22T08:59:00+08:00", Some(false)),
            (day, "2026-11-22T21:30:00+08:00", Some(false)),
            (day, "2026-11-23T12:00:00+08:00", Some(false)),
            (night, "2026-11-21T23:00:00+08:00", Some(true)),
            (night, "2026-11-22T01:59:00+08:00", Some(true)),
            (night, "2026-11-22T02:00:00+08:00", Some(false)),
            (night, "2026-11-22T18:00:00+08:00", Some(false)),
            (whole, "2026-11-22T23:59:00+08:00", Some(true)),
            ("[]", "2026-11-22T12:00:00+08:00", None),
        ];
        for (hours, time, expect) in table {
            assert_eq!(shop(hours, ShopState::Open).is_open_at(at(time)), expect, "{hours} {time}");
        }
        assert_eq!(shop(whole, ShopState::Closed).is_open_at(at("2026-11-22T12:00:00Z")), Some(false));
    }

    #[test]
    fn a_wrong_time_is_named() {
        let config = super::super::Config::default();
        let mut checker = Checker::new(&config);
        shop(r#"[{"open":"25:00","close":"9"},{"days":[],"open":"09:00","close":"10:00"}]"#, ShopState::Open)
            .record
            .check(&mut checker);
        let errors = checker.finish().unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/hours/0/open", "/hours/0/close", "/hours/1/days"]);
    }
}
