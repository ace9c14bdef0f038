//! Journeys ready for use: which one begins, which step is next, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::counts::Counts;
use super::{
    Came, Condition, Config, Instance, Journey, JourneyError, Mode, Numbers, Start, Step, Stop, many,
};
use crate::event::Place;
use crate::hours::QuietHours;
use crate::reach::Plan;
use crate::template::Template;

/// All journeys, by id.
#[derive(Debug, Default)]
pub struct Journeys {
    all: Vec<Compiled>,
    hear: bool,
    of_groups: bool,
}

/// One compiled journey.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: Box<str>,
    /// When it was written.
    pub version_ms: i64,
    /// Nobody begins it, and what comes due is passed over.
    pub is_off: bool,
    /// It says nothing.
    pub is_shadow: bool,
    /// Texts of journeys that a group hears in a day before this one keeps silent.
    pub group_day_max: u32,
    start: Start,
    steps: Vec<Planned>,
    stops: BTreeSet<Stop>,
    quiet: QuietHours,
    plan: Plan,
    counts: Counts,
}

/// One step of a compiled journey.
#[derive(Debug)]
pub struct Planned {
    /// Its id.
    pub id: Box<str>,
    /// The name it is sent under.
    pub rule: Box<str>,
    /// For whom.
    pub only_if: Option<Condition>,
    /// What is said.
    pub text: Template,
    /// How long after the start, in milliseconds.
    pub(super) after_ms: i64,
    at: Option<Time>,
}

impl Journeys {
    /// Compiles journeys. The first that cannot be used stops all, so that the old set stays.
    ///
    /// # Errors
    /// The journey's id and what is wrong with it.
    pub fn compile(journeys: &[(String, Journey)], config: &Config) -> Result<Self, (String, JourneyError)> {
        many("journeys", journeys.len(), config.journeys_max).map_err(|e| (String::new(), e))?;
        let mut all = Vec::new();
        for (id, journey) in journeys {
            let texts = journey.check(config).map_err(|e| (id.clone(), e))?;
            let steps = journey.steps.iter().zip(texts).map(|(step, text)| planned(id, step, text));
            all.push(Compiled {
                id: id.as_str().into(),
                version_ms: journey.written_at.map_or(0, Timestamp::as_millisecond),
                is_off: !journey.enabled,
                is_shadow: journey.mode == Mode::Shadow,
                group_day_max: journey
                    .group_day_max
                    .map_or(config.group_day_max, |max| max.min(config.group_day_max)),
                start: journey.start.clone(),
                steps: steps.collect(),
                stops: journey.stop_when.clone(),
                quiet: journey.quiet,
                plan: journey.plan(),
                counts: Counts::default(),
            });
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        let hear = all.iter().any(Compiled::hears);
        let of_groups = all.iter().any(Compiled::is_of_groups);
        Ok(Self { all, hear, of_groups })
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Says whether any asks for what members say.
    pub fn hear(&self) -> bool {
        self.hear
    }

    /// Says whether any is of a group as a whole.
    pub fn any_of_groups(&self) -> bool {
        self.of_groups
    }

    /// Returns the journey of this id.
    pub fn get(&self, id: &str) -> Option<&Compiled> {
        let found = self.all.binary_search_by(|journey| (*journey.id).cmp(id)).ok()?;
        self.all.get(found)
    }

    /// Returns the one journey that begins in a group.
    pub fn beginning(&self, start: &Start, place: &Place, tags: &[String]) -> Option<&Compiled> {
        let mut best = None;
        for journey in self.all.iter().filter(|journey| journey.start == *start && !journey.is_off) {
            if let Some(fit) = journey.plan.fit(place, tags)
                && best.is_none_or(|(closest, _)| fit > closest)
            {
                best = Some((fit, journey));
            }
        }
        best.map(|(_, journey)| journey)
    }

    /// Returns the segments that journeys of a place ask about; a journey that is off, too: who comes in meanwhile has come in.
    pub fn segments_at(&self, place: &Place, tags: &[String]) -> BTreeSet<&str> {
        let here = self.all.iter().filter(|journey| journey.plan.fit(place, tags).is_some());
        here.flat_map(Compiled::segments).collect()
    }

    /// Returns the segments that any asks about.
    pub fn segments(&self) -> BTreeSet<&str> {
        self.all.iter().flat_map(Compiled::segments).collect()
    }

    /// Returns the journeys that ask about a segment, by id.
    pub fn of_segment<'j>(&'j self, segment: &str) -> impl Iterator<Item = &'j str> {
        self.all
            .iter()
            .filter(move |journey| journey.segments().contains(segment))
            .map(|journey| &*journey.id)
    }

    /// Returns the versions of all: equal while no journey was changed.
    pub fn versions(&self) -> Vec<(Box<str>, i64)> {
        self.all.iter().map(|journey| (journey.id.clone(), journey.version_ms)).collect()
    }

    /// Counts what became of members of a journey.
    pub fn count(&self, id: &str, came: Came, members: u32) {
        if let Some(journey) = self.get(id) {
            journey.counts.count(came, members);
        }
    }

    /// Returns what became of a journey's members so far; all but how many are under way.
    pub fn numbers(&self, id: &str) -> Option<Numbers> {
        Some(self.get(id)?.counts.numbers())
    }

    /// Goes on counting where an earlier set left off.
    pub fn continue_counts(&mut self, earlier: &Self) {
        for journey in &mut self.all {
            if let Some(before) = earlier.get(&journey.id) {
                journey.counts = before.counts.clone();
            }
        }
    }
}

impl Compiled {
    /// Says whether it is of groups as a whole.
    pub fn is_of_groups(&self) -> bool {
        self.start == Start::GroupCreated
    }

    /// Says whether this ends it.
    pub fn stops_on(&self, stop: &Stop) -> bool {
        self.stops.contains(stop)
    }

    /// Says whether an outcome of this kind ends it.
    pub fn stops_on_outcome(&self, kind: &str) -> bool {
        self.stops.iter().any(|stop| matches!(stop, Stop::Outcome(of) if **of == *kind))
    }

    /// Says whether one of its steps or its end depends on what members say.
    pub fn hears(&self) -> bool {
        self.stops.contains(&Stop::Spoke) || self.asks()
    }

    /// Says whether one of its steps depends on what members say.
    pub fn asks(&self) -> bool {
        let conditions = self.steps.iter().filter_map(|step| step.only_if.as_ref());
        conditions.into_iter().any(|condition| condition.segment().is_none())
    }

    /// Says whether a segment begins it: then whoever ended it is kept from it, and not from others.
    pub fn is_of_segment(&self) -> bool {
        matches!(self.start, Start::Segment(_))
    }

    /// Returns the segments it asks about.
    pub fn segments(&self) -> BTreeSet<&str> {
        let start = if let Start::Segment(id) = &self.start { Some(id.as_str()) } else { None };
        let conditions = self.steps.iter().filter_map(|step| step.only_if.as_ref()?.segment());
        let stops = self.stops.iter().filter_map(Stop::segment);
        start.into_iter().chain(conditions).chain(stops).collect()
    }

    /// Says whether a segment ends it for whom `is_in` answers for; where nobody knows, it goes on.
    pub fn stops_by_segment(&self, is_in: impl Fn(&str) -> Option<bool>) -> bool {
        self.stops.iter().any(|stop| match stop {
            Stop::InSegment(id) => is_in(id) == Some(true),
            Stop::NotInSegment(id) => is_in(id) == Some(false),
            Stop::Spoke | Stop::Left | Stop::Outcome(_) => false,
        })
    }

    /// Returns the step that follows for whoever stands there; `None` when there is none left.
    ///
    /// Steps keep their place by their ids. Nobody hears a step twice, nor one that was put before their place, however
    /// the journey was rewritten meanwhile.
    pub fn next(&self, instance: &Instance) -> Option<&Planned> {
        let place = instance.passed.iter().rev().find_map(|id| self.steps.iter().position(|s| *s.id == **id));
        let is_at_place = match (instance.passed.last(), place) {
            (None, _) => true,
            (Some(last), Some(place)) => *self.steps[place].id == **last,
            (Some(_), None) => false,
        };
        let ahead = self.steps.iter().skip(place.map_or(0, |place| place + 1));
        let mut ahead = ahead.filter(|step| !instance.passed.iter().any(|id| **id == *step.id));
        // The step they passed last is gone: what lies no later than it did is behind them.
        ahead.find(|step| is_at_place || step.after_ms > instance.passed_after_ms)
    }

    /// Returns when a step comes for whoever began then, in milliseconds since the epoch.
    pub fn moment(&self, step: &Planned, started_ms: i64, zone: &TimeZone, window: Duration) -> i64 {
        let earliest_ms = started_ms.saturating_add(step.after_ms);
        let Some(at) = step.at else {
            let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
            let passed_ms = earliest_ms.rem_euclid(window_ms);
            return if passed_ms == 0 {
                earliest_ms
            } else {
                earliest_ms.saturating_add(window_ms - passed_ms)
            };
        };
        first_at(at, earliest_ms, zone).unwrap_or(earliest_ms)
    }

    /// Returns when the quiet hours around a moment end, in milliseconds since the epoch; `None` outside of them.
    pub fn quiet_until(&self, zone: &TimeZone, now_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone());
        let end = self.quiet.end_after(now.datetime())?;
        Some(end.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()).filter(|end_ms| *end_ms > now_ms)
    }
}

fn planned(journey: &str, step: &Step, text: Template) -> Planned {
    Planned {
        id: step.id.as_str().into(),
        rule: format!("{journey}#{}", step.id).into(),
        only_if: step.only_if.clone(),
        text,
        after_ms: i64::try_from(step.after.as_millis()).unwrap_or(i64::MAX),
        at: step.at,
    }
}

/// Returns the first moment not before another at which the clocks of a zone show a time.
fn first_at(time: Time, earliest_ms: i64, zone: &TimeZone) -> Option<i64> {
    let earliest = Timestamp::from_millisecond(earliest_ms).ok()?;
    let mut day = earliest.to_zoned(zone.clone()).date();
    loop {
        let moment = day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp();
        if moment >= earliest {
            return Some(moment.as_millisecond());
        }
        day = day.checked_add(1.day()).ok()?;
    }
}
