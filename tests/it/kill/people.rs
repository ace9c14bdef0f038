//! People by day against the clients' own log: active, there, new, lost, and who of those who joined stayed and spoke.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::{Event, Kind};
use crate::support::client::Client;

/// How far back events go, and somewhat more.
const DAYS: i64 = 4;

/// What happened to a member in a group.
#[derive(Default)]
struct Seat {
    /// When, and whether they were in afterwards; in order.
    moves: Vec<(i64, bool)>,
    first_ms: i64,
}

impl Seat {
    fn was_in(&self, at_ms: i64) -> bool {
        let next = self.moves.iter().find(|(moved_ms, _)| *moved_ms >= at_ms).map(|(_, is_in)| !is_in);
        next.or_else(|| self.moves.last().map(|(_, is_in)| *is_in)).unwrap_or(true)
    }
}

/// Everything about some groups, by member and group.
struct Story<'e> {
    seats: BTreeMap<(&'e str, u64), Seat>,
    said: Vec<(&'e str, i64)>,
}

impl<'e> Story<'e> {
    fn of(events: &[&'e Event]) -> Self {
        let (mut seats, mut said): (BTreeMap<(&str, u64), Seat>, Vec<_>) = (BTreeMap::new(), Vec::new());
        for event in events {
            let at_ms = i64::try_from(event.at_ms).unwrap();
            let seat = seats
                .entry((&event.member, event.group))
                .or_insert_with(|| Seat { moves: Vec::new(), first_ms: at_ms });
            seat.first_ms = seat.first_ms.min(at_ms);
            match event.kind {
                Kind::Joined => seat.moves.push((at_ms, true)),
                Kind::Left => seat.moves.push((at_ms, false)),
                Kind::Plain | Kind::Advert | Kind::Hours | Kind::Address => {
                    said.push((event.member.as_str(), at_ms));
                }
            }
        }
        for seat in seats.values_mut() {
            seat.moves.sort_unstable();
        }
        Self { seats, said }
    }

    fn members(&self, wanted: impl Fn(&Seat) -> bool) -> BTreeSet<&'e str> {
        self.seats.iter().filter(|(_, seat)| wanted(seat)).map(|((member, _), _)| *member).collect()
    }

    fn spoke(&self, from_ms: i64, until_ms: i64) -> BTreeSet<&'e str> {
        let then = self.said.iter().filter(|(_, at_ms)| (from_ms..until_ms).contains(at_ms));
        then.map(|(member, _)| *member).collect()
    }

    /// What `/v1/statistics/people` must say.
    fn people(&self, from_ms: i64, until_ms: i64) -> BTreeMap<&'static str, usize> {
        let at_from = self.members(|seat| seat.was_in(from_ms));
        let at_until = self.members(|seat| seat.was_in(until_ms));
        let known = self.members(|seat| seat.first_ms < from_ms);
        let appeared = self.members(|seat| (from_ms..until_ms).contains(&seat.first_ms));
        let (active, before) = (self.spoke(from_ms, until_ms), self.spoke(2 * from_ms - until_ms, from_ms));
        BTreeMap::from([
            ("people", at_until.len()),
            ("members", self.seats.values().filter(|seat| seat.was_in(until_ms)).count()),
            ("new_people", appeared.difference(&known).count()),
            ("lost_people", at_from.difference(&at_until).count()),
            ("active_members", active.len()),
            ("active_before", before.len()),
            ("overlap", active.intersection(&before).count()),
        ])
    }

    /// Of those who joined on a day: how many, of whom the next day is over, who was still there and who spoke on it.
    fn cohort(&self, day: Date, zone: &TimeZone, now_ms: i64) -> [u64; 4] {
        let date = |at_ms: i64| Timestamp::from_millisecond(at_ms).unwrap().to_zoned(zone.clone()).date();
        let mut joined: BTreeMap<&str, i64> = BTreeMap::new();
        for ((member, _), seat) in &self.seats {
            for (at_ms, _) in seat.moves.iter().filter(|(_, is_in)| *is_in) {
                let first = joined.entry(member).or_insert(*at_ms);
                *first = (*first).min(*at_ms);
            }
        }
        let joined: Vec<&str> =
            joined.into_iter().filter(|(_, at_ms)| date(*at_ms) == day).map(|(member, _)| member).collect();
        let midnight = |day: Date| day.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond();
        let next = day.tomorrow().unwrap();
        let (from_ms, end_ms) = (midnight(next), midnight(next.tomorrow().unwrap()));
        if end_ms > now_ms {
            return [joined.len() as u64, 0, 0, 0];
        }
        let there = self.members(|seat| seat.was_in(end_ms));
        let spoke = self.spoke(from_ms, end_ms);
        let count = |of: &BTreeSet<&str>| joined.iter().filter(|member| of.contains(*member)).count() as u64;
        [joined.len() as u64, joined.len() as u64, count(&there), count(&spoke)]
    }
}

/// Compares people of some groups, day by day. `filter` is how the question names the groups.
pub(super) async fn check(client: &Client, events: &[&Event], filter: &str) {
    let story = Story::of(events);
    let zone = TimeZone::get("Asia/Shanghai").unwrap(); // `directory.time_zone`
    let now = Timestamp::now().to_zoned(zone.clone());
    for back in 0..DAYS {
        let day = now.date().checked_sub(back.days()).unwrap();
        let from = day.to_zoned(zone.clone()).unwrap().timestamp();
        let until = day.tomorrow().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
        let path = format!("/v1/statistics/people?{filter}&from={from}&until={until}");
        let told = client.expect(200, Method::GET, &path, &Value::Null).await;
        for (name, number) in story.people(from.as_millisecond(), until.as_millisecond()) {
            assert_eq!(told[name], number, "{name} on {day}, {filter}: {told}");
        }
    }
    let from = now.date().checked_sub(DAYS.days()).unwrap();
    let path = format!("/v1/statistics/retention?{filter}&by=day&from={from}");
    let told = client.expect(200, Method::GET, &path, &Value::Null).await;
    let as_of: Timestamp = told["as_of"].as_str().unwrap().parse().unwrap();
    for cohort in told["cohorts"].as_array().unwrap() {
        let start: Timestamp = cohort["start"].as_str().unwrap().parse().unwrap();
        let day = start.to_zoned(zone.clone()).date();
        let after = &cohort["after"][0];
        assert_eq!(after["days"], 1);
        let found = [&cohort["people"], &after["of"], &after["there"], &after["speaking"]];
        let found = found.map(|number| number.as_u64().unwrap());
        assert_eq!(found, story.cohort(day, &zone, as_of.as_millisecond()), "joined on {day}: {told}");
    }
}
