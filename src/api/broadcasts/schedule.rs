//! When a broadcast is sent, as the API says it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::broadcasts::Schedule;
use crate::hours::Window;

/// Hours and days on which a broadcast is sent. Outside of them its targets wait; nothing is dropped.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct ScheduleBody {
    /// IANA name of the zone that hours and days are in; each group's own when left out.
    #[schema(example = "Asia/Shanghai")]
    time_zone: Option<String>,
    /// Hours in which it is sent; any when left out.
    windows: Vec<Window>,
    /// Days on which none of it is sent.
    #[schema(value_type = Vec<String>, example = json!(["2026-12-13"]))]
    not_on: BTreeSet<Date>,
    /// Its targets leave evenly spread until then (RFC 3339), as far as limits and hours allow.
    #[schema(value_type = Option<String>, format = DateTime)]
    spread_until: Option<Timestamp>,
}

impl From<ScheduleBody> for Schedule {
    fn from(body: ScheduleBody) -> Self {
        let ScheduleBody { time_zone, windows, not_on, spread_until } = body;
        let spread_until_ms = spread_until.map_or(0, Timestamp::as_millisecond);
        Self { time_zone, windows, not_on, spread_until_ms }
    }
}

impl From<Schedule> for ScheduleBody {
    fn from(schedule: Schedule) -> Self {
        let Schedule { time_zone, windows, not_on, spread_until_ms } = schedule;
        let spread_until = Timestamp::from_millisecond(spread_until_ms).ok().filter(|_| spread_until_ms != 0);
        Self { time_zone, windows, not_on, spread_until }
    }
}
