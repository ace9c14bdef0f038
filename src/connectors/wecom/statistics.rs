//! WeCom's own numbers of customer groups, by day and by owner (pages 92133 and 96359).
//!
//! Its rules: days begin at midnight in UTC+8; the newest is yesterday; the last 180 days exist; one question covers at
//! most 30 of them and 100 owners. What is asked outside of that is left out, not refused: there is nothing to be had.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::client::Client;
use super::error::ApiError;
use super::groups::{Groups as _, OWNERS_MAX, OwnerFilter};
use crate::clock::Clock;
use crate::connectors::offers::{Numbers, PlatformError, PlatformNumbers};

/// Milliseconds in one day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The platform's days are those of UTC+8.
const ZONE_MS: i64 = 8 * 60 * 60 * 1_000;
/// Most days of one question.
const SPAN_DAYS: i64 = 30;
/// How far back there is anything.
const BACK_DAYS: i64 = 180;
/// Most rows of one answer by owner.
const ROWS_MAX: u32 = 1_000;
/// `errcode`: more owners than the platform counts without a filter.
const TOO_MANY: i64 = 81017;
/// `errcode`: a day for which there are no numbers.
const NO_SUCH_DAY: i64 = 600_018;

/// Asks WeCom for its numbers.
#[derive(Debug)]
pub(super) struct WecomNumbers {
    client: Client,
    clock: Clock,
}

#[derive(Serialize)]
struct DaysAsk<'a> {
    day_begin_time: i64,
    day_end_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_filter: Option<OwnerFilter<'a>>,
}

#[derive(Serialize)]
struct OwnersAsk<'a> {
    #[serde(flatten)]
    days: DaysAsk<'a>,
    order_by: u8,
    order_asc: u8,
    offset: u64,
    limit: u32,
}

#[derive(Deserialize)]
struct DaysAnswer {
    #[serde(default)]
    items: Vec<DayRow>,
}

#[derive(Deserialize)]
struct DayRow {
    stat_time: i64,
    data: Data,
}

#[derive(Deserialize)]
struct OwnersAnswer {
    #[serde(default)]
    total: u64,
    #[serde(default)]
    next_offset: u64,
    #[serde(default)]
    items: Vec<OwnerRow>,
}

#[derive(Deserialize)]
struct OwnerRow {
    owner: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    new_chat_cnt: u64,
    #[serde(default)]
    chat_total: u64,
    #[serde(default)]
    chat_has_msg: u64,
    #[serde(default)]
    new_member_cnt: u64,
    #[serde(default)]
    member_total: u64,
    #[serde(default)]
    member_has_msg: u64,
    #[serde(default)]
    msg_total: u64,
}

impl From<Data> for PlatformNumbers {
    fn from(data: Data) -> Self {
        Self {
            groups_new: data.new_chat_cnt,
            groups: data.chat_total,
            groups_with_messages: data.chat_has_msg,
            members_new: data.new_member_cnt,
            members: data.member_total,
            members_with_messages: data.member_has_msg,
            messages: data.msg_total,
        }
    }
}

impl WecomNumbers {
    pub(super) fn new(client: Client, clock: &Clock) -> Self {
        Self { client, clock: clock.clone() }
    }

    /// Asks about days of some owners, or of all: together if the platform does that, else in portions.
    async fn portions(&self, owners: &[String]) -> Result<Vec<Option<Vec<String>>>, ApiError> {
        let portions =
            |owners: &[String]| owners.chunks(OWNERS_MAX).map(|some| Some(some.to_vec())).collect();
        if !owners.is_empty() {
            return Ok(portions(owners));
        }
        let newest = day_of(self.clock.now_ms()) - DAY_MS;
        match self.days((newest, newest), None).await {
            Ok(_) => Ok(vec![None]),
            Err(error) if error.is(TOO_MANY) => Ok(portions(&self.client.owners().await?)),
            Err(error) => Err(error),
        }
    }

    async fn days(&self, span: (i64, i64), owners: Option<&[String]>) -> Result<Vec<DayRow>, ApiError> {
        match self.client.call::<_, DaysAnswer>(Api::StatisticByDay, &days_ask(span, owners)).await {
            Ok(answer) => Ok(answer.items),
            Err(error) if error.is(NO_SUCH_DAY) => Ok(Vec::new()), // not yet counted, or no more
            Err(error) => Err(error),
        }
    }

    async fn owners(&self, span: (i64, i64), owners: Option<&[String]>) -> Result<Vec<OwnerRow>, ApiError> {
        let mut rows = Vec::new();
        let mut offset = 0;
        loop {
            let days = days_ask(span, owners);
            let ask = OwnersAsk { days, order_by: 1, order_asc: 0, offset, limit: ROWS_MAX };
            let answer: OwnersAnswer = match self.client.call(Api::Statistic, &ask).await {
                Ok(answer) => answer,
                Err(error) if error.is(NO_SUCH_DAY) => return Ok(rows),
                Err(error) => return Err(error),
            };
            let goes_on = !answer.items.is_empty() && answer.next_offset > offset;
            rows.extend(answer.items);
            if !goes_on || answer.next_offset >= answer.total {
                return Ok(rows);
            }
            offset = answer.next_offset;
        }
    }
}

#[async_trait]
impl Numbers for WecomNumbers {
    async fn by_day(
        &self,
        from_ms: i64,
        until_ms: i64,
        owners: &[String],
    ) -> Result<Vec<(i64, PlatformNumbers)>, PlatformError> {
        let mut days: BTreeMap<i64, PlatformNumbers> = BTreeMap::new();
        let spans = spans(from_ms, until_ms, self.clock.now_ms());
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        for owners in self.portions(owners).await? {
            for span in &spans {
                for row in self.days(*span, owners.as_deref()).await? {
                    add(days.entry(row.stat_time.saturating_mul(1_000)).or_default(), &row.data.into());
                }
            }
        }
        Ok(days.into_iter().collect())
    }

    async fn by_owner(
        &self,
        from_ms: i64,
        until_ms: i64,
        owners: &[String],
    ) -> Result<Vec<(String, PlatformNumbers)>, PlatformError> {
        let mut sums: BTreeMap<String, PlatformNumbers> = BTreeMap::new();
        let spans = spans(from_ms, until_ms, self.clock.now_ms());
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        for owners in self.portions(owners).await? {
            for span in &spans {
                for row in self.owners(*span, owners.as_deref()).await? {
                    then(sums.entry(row.owner).or_default(), &row.data.into());
                }
            }
        }
        Ok(sums.into_iter().collect())
    }

    fn newest_day_ms(&self, now_ms: i64) -> i64 {
        day_of(now_ms) - DAY_MS
    }
}

fn days_ask(span: (i64, i64), owners: Option<&[String]>) -> DaysAsk<'_> {
    DaysAsk {
        day_begin_time: span.0 / 1_000,
        day_end_time: span.1 / 1_000,
        owner_filter: owners.map(|userid_list| OwnerFilter { userid_list }),
    }
}

/// Returns the start of the platform's day that a time is in.
fn day_of(at_ms: i64) -> i64 {
    (at_ms + ZONE_MS).div_euclid(DAY_MS) * DAY_MS - ZONE_MS
}

/// Cuts `[from, until)` into spans of whole days that the platform answers, first and last day inclusive.
fn spans(from_ms: i64, until_ms: i64, now_ms: i64) -> Vec<(i64, i64)> {
    let newest = day_of(now_ms) - DAY_MS;
    let mut first = day_of(from_ms).max(newest - (BACK_DAYS - 1) * DAY_MS);
    let last = day_of(until_ms - 1).min(newest);
    let mut spans = Vec::new();
    while first <= last {
        let end = (first + (SPAN_DAYS - 1) * DAY_MS).min(last);
        spans.push((first, end));
        first = end + DAY_MS;
    }
    spans
}

/// Adds what other owners have.
fn add(sum: &mut PlatformNumbers, more: &PlatformNumbers) {
    sum.groups_new += more.groups_new;
    sum.groups += more.groups;
    sum.groups_with_messages += more.groups_with_messages;
    sum.members_new += more.members_new;
    sum.members += more.members;
    sum.members_with_messages += more.members_with_messages;
    sum.messages += more.messages;
}

/// Adds what came in later days: what is new adds up, the rest is how it stood at the end.
fn then(sum: &mut PlatformNumbers, later: &PlatformNumbers) {
    *sum = PlatformNumbers {
        groups_new: sum.groups_new + later.groups_new,
        members_new: sum.members_new + later.members_new,
        ..later.clone()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn days_are_those_of_china() {
        assert_eq!(day_of(ms("2026-11-22T15:59:59Z")), ms("2026-11-21T16:00:00Z"));
        assert_eq!(day_of(ms("2026-11-22T16:00:00Z")), ms("2026-11-22T16:00:00Z"));
    }

    #[test]
    fn a_question_is_cut_to_what_the_platform_answers() {
        let now = ms("2026-11-27T04:00:00Z");
        let show = |from: &str, until: &str| -> Vec<(String, String)> {
            let show = |at| jiff::Timestamp::from_millisecond(at).unwrap().to_string();
            spans(ms(from), ms(until), now).into_iter().map(|(a, b)| (show(a), show(b))).collect()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        // Up to yesterday, which began on the 25th at 16:00 UTC.
        let yesterday = pair("2026-11-25T16:00:00Z", "2026-11-25T16:00:00Z");
        assert_eq!(show("2026-11-25T16:00:00Z", "2026-11-28T00:00:00Z"), [yesterday]);
        assert_eq!(show("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"), []);
        let two = show("2026-10-19T16:00:00Z", "2026-11-26T16:00:00Z");
        assert_eq!(
            two,
            [
                pair("2026-10-19T16:00:00Z", "2026-11-17T16:00:00Z"),
                pair("2026-11-18T16:00:00Z", "2026-11-25T16:00:00Z"),
            ]
        );
        let all = spans(0, i64::MAX / 2, now);
        assert_eq!(all.len(), 6);
        assert_eq!(all[0].0, ms("2026-11-25T16:00:00Z") - 179 * DAY_MS);
    }

    #[test]
    fn later_days_add_what_is_new_and_replace_what_stands() {
        let mut sum =
            PlatformNumbers { groups_new: 1, groups: 5, members_new: 2, messages: 10, ..Default::default() };
        then(
            &mut sum,
            &PlatformNumbers { groups_new: 2, groups: 7, members_new: 3, messages: 19, ..Default::default() },
        );
        assert_eq!((sum.groups_new, sum.groups, sum.members_new, sum.messages), (3, 7, 5, 19));
    }
}
