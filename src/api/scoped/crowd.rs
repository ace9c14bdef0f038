//! People of the visible groups, each counted once, within the caller's scope.

use std::collections::BTreeMap;
use std::ops::Range;

use hashbrown::HashMap;
use jiff::tz::TimeZone;

use super::figures::{names, places};
use crate::api::error::{ApiError, ApiResult};
use crate::api::state::Cx;
use crate::api::statistics::cuts::Stretches;
use crate::directory::{GroupFilter, GroupFound};
use crate::event::Role;
use crate::statistics::coverage::{Covered, Sight};
use crate::statistics::days::{DAY_MS, day_of};
use crate::statistics::figures::Cuts;
use crate::statistics::figures::crowd::{Crowd, Group, Window};
use crate::statistics::figures::heat::{self, Heat};
use crate::statistics::figures::hidden;
use crate::statistics::figures::presence::Member;
use crate::statistics::figures::retention::{Cohort, Joiners, Place};
use crate::statistics::figures::welcomed;
use crate::storage::{Seat, Storage, StorageError};

/// Groups that are read together.
const BATCH: usize = 500;

/// Something about the visible groups, and in how many of them what is said can be seen.
pub(in crate::api) struct Scoped<T> {
    pub(in crate::api) as_of_ms: i64,
    pub(in crate::api) coverage: Covered,
    pub(in crate::api) found: T,
}

/// When customers talk, as it may be shown.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct HeatShown {
    /// Messages by weekday and hour; nothing where too few people talk.
    pub(in crate::api) week: Vec<Vec<Option<u64>>>,
    /// Some are left out.
    pub(in crate::api) is_withheld: bool,
}

impl Cx {
    /// Returns who the people of the visible groups are.
    pub(in crate::api) async fn crowd(
        &self,
        filter: GroupFilter,
        window: Window,
    ) -> ApiResult<Scoped<Crowd>> {
        let days = window.first_day()..day_of(self.now_ms()) + 1;
        self.scan(filter, days.clone(), move |storage, found, sights| {
            let (mut crowd, accounts) = (Crowd::default(), places(found));
            for batch in found.chunks(BATCH) {
                let names = names(batch);
                let account = |name: &(String, String)| accounts.get(&name.0).copied().unwrap_or_default();
                let mut groups: Vec<Group> =
                    names.iter().map(|name| Group::new(window, account(name))).collect();
                storage.days(&names, days.clone(), &mut |group, day, row| {
                    groups[group].add(day, row, &mut crowd)
                })?;
                storage.rosters(&names, &mut |group, seat| groups[group].seat(&member(&seat), &mut crowd))?;
                for (group, name) in groups.into_iter().zip(&names) {
                    group.end(sights.get(&name.0).is_some_and(Sight::is_shown), &mut crowd);
                }
            }
            Ok(crowd)
        })
        .await
    }

    /// Returns what became of those who joined.
    pub(in crate::api) async fn retention(
        &self,
        filter: GroupFilter,
        stretches: Stretches,
    ) -> ApiResult<Scoped<Vec<Cohort>>> {
        let now_ms = self.now_ms();
        let first = day_of(stretches.in_zone(self.directory().time_zone()).range().start).saturating_sub(1);
        let days = first..day_of(now_ms) + 1;
        self.scan(filter, days.clone(), move |storage, found, _| {
            let accounts = places(found);
            let zones: Vec<&TimeZone> = found.iter().map(|group| &group.context.time_zone).collect();
            let cuts: Vec<Cuts> = zones.iter().map(|zone| stretches.in_zone(zone)).collect();
            let names = names(found);
            let place = |nth: usize| Place {
                group: u32::try_from(nth).unwrap_or(u32::MAX),
                account: accounts.get(&names[nth].0).copied().unwrap_or_default(),
                zone: zones[nth],
                cuts: &cuts[nth],
            };
            let mut joiners = Joiners::default();
            // Whoever is in several groups joined where they joined first: known only when all were read.
            storage
                .days(&names, days.clone(), &mut |group, day, row| joiners.find(&place(group), day, row))?;
            storage.days(&names, days, &mut |group, day, row| joiners.add(&place(group), day, row))?;
            storage.rosters(&names, &mut |group, seat| {
                if seat.present {
                    joiners.stays(&place(group), seat.number);
                }
            })?;
            Ok(joiners.cohorts(stretches.len(), now_ms))
        })
        .await
    }

    /// Returns in which hours of the week customers talk.
    pub(in crate::api) async fn heat(
        &self,
        filter: GroupFilter,
        from_ms: i64,
        until_ms: i64,
    ) -> ApiResult<Scoped<HeatShown>> {
        let (range, days) = (from_ms..until_ms, day_of(from_ms)..day_of(until_ms - 1) + 1);
        let minimum = self.statistics_config().breakdown_minimum;
        self.scan(filter, days.clone(), move |storage, found, _| {
            let accounts = places(found);
            let mut heat = if minimum > 1 { Heat::with_speakers() } else { Heat::default() };
            for batch in found.chunks(BATCH) {
                storage.days(&names(batch), days.clone(), &mut |group, day, row| {
                    let context = &batch[group].context;
                    let account = accounts.get(context.account.id.as_str()).copied().unwrap_or_default();
                    heat::add(&mut heat, (&context.time_zone, account), &range, day, row)
                })?;
            }
            Ok(shown(&heat, minimum))
        })
        .await
    }

    /// Returns what came of a welcome's greetings, text by text.
    pub(in crate::api) async fn welcomed(
        &self,
        welcome: String,
        range: Range<i64>,
    ) -> ApiResult<Scoped<BTreeMap<Box<str>, welcomed::Arm>>> {
        let now_ms = self.now_ms();
        // Who is greeted may have joined the day before.
        let days = day_of(range.start).saturating_sub(1)..day_of(now_ms) + 1;
        self.scan(GroupFilter::default(), days.clone(), move |storage, found, sights| {
            let mut arms = BTreeMap::new();
            for batch in found.chunks(BATCH) {
                let names = names(batch);
                let mut groups: Vec<_> = names.iter().map(|_| welcomed::Group::default()).collect();
                storage.days(&names, days.clone(), &mut |group, day, row| groups[group].add(day, row))?;
                for (group, name) in groups.into_iter().zip(&names) {
                    let is_seen = sights.get(&name.0).is_some_and(Sight::is_shown);
                    group.end(&welcome, &range, now_ms, is_seen, &mut arms);
                }
            }
            Ok(arms)
        })
        .await
    }

    /// Reads the visible groups' days, if they are not too many. `look` is told, too, of which accounts what is said can be
    /// seen.
    async fn scan<T: Send + 'static>(
        &self,
        filter: GroupFilter,
        days: Range<u32>,
        look: impl FnOnce(&dyn Storage, &[GroupFound], &HashMap<String, Sight>) -> Result<T, StorageError>
        + Send
        + 'static,
    ) -> ApiResult<Scoped<T>> {
        let as_of_ms = self.now_ms();
        let found = self.directory().groups_in(self.scope(), &filter, None, usize::MAX);
        self.check_group_days(found.len(), days.clone()).await?;
        let range = i64::from(days.start) * DAY_MS..i64::from(days.end) * DAY_MS;
        let sights = self.sights(&found, range.start, range.end).await?;
        let mut coverage = Covered::default();
        for group in &found {
            let sight = sights.get(group.context.account.id.as_str());
            coverage.add(sight.map(|sight| sight.over(&range)).unwrap_or_default());
        }
        let found = self.blocking(move |storage| {
            storage.project()?;
            look(storage, &found, &sights)
        });
        Ok(Scoped { as_of_ms, coverage, found: found.await? })
    }

    /// Refuses a question that would look at too many days of groups. Days that have no rows count for nothing.
    pub(in crate::api) async fn check_group_days(&self, groups: usize, days: Range<u32>) -> ApiResult<()> {
        let held = self.blocking(|storage| {
            storage.project()?;
            storage.days_held()
        });
        let held = held.await?;
        let days = days.end.min(held.end).saturating_sub(days.start.max(held.start));
        let max = self.config().statistics_group_days_max;
        if u64::from(days).saturating_mul(groups as u64) > max {
            let detail = format!(
                "the query: {groups} groups over {days} days are more than `api.statistics_group_days_max` ({max}); ask \
                 for fewer groups or a shorter time"
            );
            return Err(ApiError::unreadable("", "query", detail));
        }
        Ok(())
    }
}

/// Leaves out the hours of the week in which too few people talk.
fn shown(heat: &Heat, minimum: u64) -> HeatShown {
    let hidden = hidden::line(&heat.speakers(), minimum);
    let hours = heat.week.iter().flatten().enumerate();
    let hours = hours.map(|(nth, messages)| Some(*messages).filter(|_| hidden.get(nth) != Some(&true)));
    let hours: Vec<_> = hours.collect();
    HeatShown { week: hours.chunks(24).map(<[_]>::to_vec).collect(), is_withheld: hidden.contains(&true) }
}

/// Returns what matters of a member.
pub(in crate::api) fn member(seat: &Seat<'_>) -> Member {
    Member { number: seat.number, role: seat.role, present: seat.present, first_ms: seat.first_ms }
}

/// Says whether a seat is a customer's.
pub(in crate::api) fn is_customer(seat: &Seat<'_>) -> bool {
    seat.role == Role::Customer
}
