//! `/v1/members/{account}/{member}/timeline`: what happened to somebody, over all groups of the caller's scope.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::state::Cx;
use crate::conduct::ladder::Came;
use crate::event::{ActionKind, HOUR_MS};
use crate::people::reading::{GroupOf, HITS_READ, local_day};
use crate::statistics::coverage::Covered;
use crate::statistics::days::{DAY_MS, Move};
use crate::storage::StorageError;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct TimelineQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// What happened to somebody.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Timeline {
    /// In how many of their groups messages are shown to us: in the others nobody knows whether they spoke.
    coverage: Covered,
    /// The newest first.
    items: Vec<Happened>,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Something that happened.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Happened {
    /// When; of a day they spoke, the start of the last hour they did.
    at: String,
    /// The group.
    group: String,
    /// What.
    #[serde(flatten)]
    what: WhatHappened,
    #[serde(skip)]
    at_ms: i64,
}

/// What happened.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "what")]
enum WhatHappened {
    /// They came, as the platform told.
    Joined,
    /// They were on the platform's list; dated by their joining.
    Listed,
    /// They went, as the platform told.
    Left,
    /// They were not on the platform's list any more; dated by the reading.
    Gone,
    /// They spoke on a day.
    Spoke {
        /// Messages that count, of that day of the group.
        messages: i64,
    },
    /// A wordlist found something they said.
    Hit {
        /// The wordlist.
        wordlist: String,
        /// Its category.
        category: String,
    },
    /// A step of the ladder.
    Step {
        /// What was done.
        action: ActionKind,
        /// What came of it.
        came: Came,
        /// By which policy, or which operator.
        by: String,
    },
    /// They set out on a journey, and are still under way.
    Journey {
        /// Which.
        journey: String,
        /// Steps that were passed.
        passed: Vec<String>,
    },
}

/// Shows a member's timeline 成员时间线
///
/// Joins and leaves, days they spoke, hits (of the latest 2000 of each group), steps of the ladder that are remembered, journeys
/// they are on. Only groups of the scope.
#[utoipa::path(
    get, path = "/v1/members/{account}/{member}/timeline", tag = "people", operation_id = "getMemberTimeline",
    params(
        ("account" = String, Path, description = "Their account"),
        ("member" = String, Path, description = "The platform's id"),
        TimelineQuery,
    ),
    responses((status = 200, description = "What happened, the newest first", body = Timeline)),
)]
pub(in crate::api) async fn get(
    cx: Cx,
    Path((account, member)): Path<(String, String)>,
    Query(query): Query<TimelineQuery>,
) -> ApiResult<Answer<Timeline>> {
    let limit = cx.page_rows(query.limit)?;
    // After so many of those of a moment.
    let after: Option<(i64, usize)> = page::decode(query.cursor.as_deref())?;
    let seats = cx.seats(&account, &member).await?;
    let groups: Vec<GroupOf> = seats.into_iter().map(|(group, _)| group).collect();
    let (who, of) = ((account.clone(), member.clone()), groups.clone());
    let read = cx.about_people(move |cx| cx.happened(&who.0, &who.1, &of)).await?;
    let (mut all, seen) = read;
    cx.add_steps(&account, &member, &mut all);
    cx.add_journeys(&account, &member, &groups, &mut all)?;
    all.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.group.cmp(&b.group)));
    let mut placed = Vec::with_capacity(all.len());
    let mut nth = 0;
    for (index, happened) in all.iter().enumerate() {
        let is_same = index.checked_sub(1).and_then(|before| all.get(before)).map(|before| before.at_ms);
        nth = if is_same == Some(happened.at_ms) { nth + 1 } else { 0 };
        placed.push(((happened.at_ms, nth), happened.clone()));
    }
    placed.retain(|((at_ms, nth), _)| {
        after
            .is_none_or(|(after_ms, after_nth)| *at_ms < after_ms || (*at_ms == after_ms && *nth > after_nth))
    });
    let Page { items, next_cursor } = Page::of(placed, limit, |(place, _)| *place);
    let items = items.into_iter().map(|(_, happened)| happened).collect();
    let coverage = Covered::new(seen, groups.len() as u64);
    Ok(Answer::ok(Timeline { coverage, items, next_cursor }))
}

fn happened(at_ms: i64, group: &GroupOf, what: WhatHappened) -> Happened {
    Happened { at: moment::show(at_ms), group: group.name.group.to_string(), what, at_ms }
}

impl Cx {
    /// Reads what storage has of a member in these groups, and in how many of them messages are shown to us.
    fn happened(
        &self,
        account: &str,
        member: &str,
        groups: &[GroupOf],
    ) -> Result<(Vec<Happened>, u64), StorageError> {
        let storage = self.storage();
        let name = |group: &GroupOf| (account.to_owned(), group.name.group.to_string());
        let names: Vec<(String, String)> = groups.iter().map(name).collect();
        let mut numbers = vec![None; groups.len()];
        storage.rosters(&names, &mut |group, seat| {
            if seat.member == member {
                numbers[group] = Some(seat.number);
            }
        })?;
        let mut all = Vec::new();
        // Of a group's day: the last hour, and how many messages.
        let mut days: BTreeMap<(usize, i32), (i64, i64)> = BTreeMap::new();
        let mut seen: Vec<bool> = groups.iter().map(|group| group.sees).collect();
        storage.days(&names, 0..u32::MAX, &mut |group, day, row| {
            let start_ms = i64::from(day) * DAY_MS;
            let (of, number) = (&groups[group], numbers[group]);
            row.spoke(&mut |person, hour, spoke| {
                seen[group] = true;
                if Some(person.number) == number && spoke.is_active() {
                    let at_ms = start_ms + i64::from(hour) * HOUR_MS;
                    let day = days.entry((group, local_day(&of.time_zone, at_ms))).or_default();
                    *day = (day.0.max(at_ms), day.1 + i64::from(spoke.said) - i64::from(spoke.unsaid));
                }
            })?;
            row.moved(&mut |(of_day, person, kind)| {
                if Some(person.number) == number {
                    let what = match kind {
                        Move::Joined => WhatHappened::Joined,
                        Move::Listed => WhatHappened::Listed,
                        Move::Left => WhatHappened::Left,
                        Move::Gone => WhatHappened::Gone,
                    };
                    all.push(happened(start_ms + i64::from(of_day), of, what));
                }
            })
        })?;
        for ((group, _), (at_ms, messages)) in days {
            all.push(happened(at_ms, &groups[group], WhatHappened::Spoke { messages }));
        }
        for group in groups {
            let hits = storage.hits(account, group.name.group.as_str(), HITS_READ)?;
            for hit in hits.into_iter().filter(|hit| hit.member == member) {
                let what = WhatHappened::Hit { wordlist: hit.wordlist, category: hit.category };
                all.push(happened(hit.at_ms, group, what));
            }
        }
        Ok((all, seen.into_iter().filter(|seen| *seen).count() as u64))
    }

    fn add_steps(&self, account: &str, member: &str, all: &mut Vec<Happened>) {
        for (group, record) in self.ingest().records(account, member) {
            if !self.covers_group(account, &group) {
                continue;
            }
            all.extend(record.taken.into_iter().map(|taken| Happened {
                at: moment::show(taken.at_ms),
                group: group.clone(),
                what: WhatHappened::Step { action: taken.action, came: taken.came, by: taken.by },
                at_ms: taken.at_ms,
            }));
        }
    }

    fn add_journeys(
        &self,
        account: &str,
        member: &str,
        groups: &[GroupOf],
        all: &mut Vec<Happened>,
    ) -> ApiResult<()> {
        for group in groups {
            let found = self.ingest().travellers(account, group.name.group.as_str(), None, usize::MAX);
            let found = found.map_err(|error| ApiError::new(Code::NotReady, error.to_string()))?;
            for (_, instance) in found.into_iter().filter(|(who, _)| who == member) {
                let what = WhatHappened::Journey { journey: instance.journey, passed: instance.passed };
                all.push(happened(instance.started_ms, group, what));
            }
        }
        Ok(())
    }
}
