//! The life of an alert: opened, told, passed up, acknowledged, recovered. A pure state machine, no clock, no I/O: the time
//! and the hours in which nobody is told are arguments, notices are values.
//!
//! ```text
//! raised ─► open ── cleared ─► quiet ── long enough ─► over (one notice)
//!            │ ▲                 │
//!            │ └─ raised again ──┘ silently
//!            ├─ nobody acknowledges: one step of the ladder after the other
//!            └─ many of one kind in one region: a storm, which is told of and passed up in their place
//! ```
//!
//! Not for: finding out what is wrong (the rules; `baseline`), who answers for a place, or how people are told. Whoever looks
//! also says when it is clear, of what is looked at no more too; whoever catches up with old looks ticks afterwards.
//!
//! Invariants:
//! - one fact has one alert, and people hear of it once until they heard that it is over;
//! - the same look again changes nothing, and the order of looks does not make two alerts of one fact;
//! - a look counts at its own time, people's time runs by `now_ms`: what is read late is neither passed up nor over too soon;
//! - steps of the ladder come in order, each once, and none sooner after the one before than is written;
//! - everything has a limit, and what is left out is counted;
//! - state that is written and read again goes on as if it never was.
//!
//! Layer: pure core.

mod care;
mod config;
mod input;
mod notice;
mod state;
mod storms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use config::{Config, Level, Own, STEPS_MAX, STORM_SIZE_MAX, Step, check_steps, check_wait};
pub use input::{Condition, Explanation, Input, Key, Kind, NAME_BYTES_MAX, Observed, Place, TEXT_BYTES_MAX};
pub use notice::{About, Acknowledged, Assigned, Notice, Snapshot, What};
pub use state::{Counts, State};

use care::{Care, Told};
use state::{Alert, Held};

/// What is from further in the future is refused, in milliseconds.
pub const AHEAD_MS_MAX: i64 = 5 * 60_000;

/// Says until when nobody may be told, in milliseconds since the epoch; `None` where people may be told at that moment.
pub type HoldsUntil<'a> = dyn Fn(i64) -> Option<i64> + 'a;

/// All alerts of a gateway.
#[derive(Clone, Debug)]
pub struct Episodes {
    config: Config,
    state: State,
    // The rest is worked out from the state.
    by_key: BTreeMap<Key, u64>,
    /// What falls due next, by time.
    due: BTreeSet<(i64, u64)>,
    /// The same by number.
    due_of: BTreeMap<u64, i64>,
    /// What is remembered of facts that are over, the oldest look first.
    closed_by_age: BTreeSet<(i64, Key)>,
    /// Held notices besides those of alerts that are open.
    ready: usize,
}

/// One input being dealt with.
struct Turn<'a> {
    now_ms: i64,
    holds: &'a HoldsUntil<'a>,
    told: Vec<Notice>,
}

impl Turn<'_> {
    /// Until when nobody may be told, if so.
    fn hold(&self) -> Option<i64> {
        // A moment that is past would be waited for for ever.
        (self.holds)(self.now_ms).filter(|until_ms| *until_ms > self.now_ms)
    }
}

impl Episodes {
    /// Goes on from a state, a new one for the first time. What waits goes by the new configuration.
    ///
    /// # Errors
    /// What is wrong with the configuration, in words.
    pub fn resume(config: Config, state: State) -> Result<Self, String> {
        config.check()?;
        let by_key = state.alerts.iter().map(|(number, alert)| (alert.key.clone(), *number)).collect();
        let closed_by_age = state.closed.iter().map(|(key, last_ms)| (*last_ms, key.clone())).collect();
        let numbers: Vec<u64> = state.alerts.keys().chain(state.storms.keys()).copied().collect();
        let ready = state.held.values().filter(|held| matches!(held, Held::Ready(_))).count();
        let (due, due_of) = (BTreeSet::new(), BTreeMap::new());
        let mut episodes = Self { config, state, by_key, due, due_of, closed_by_age, ready };
        for number in numbers {
            episodes.schedule(number);
        }
        Ok(episodes)
    }

    /// Returns what must be kept for a restart: in one commit with the notices of the turn.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns how much was left out.
    pub fn counts(&self) -> Counts {
        self.state.counts
    }

    /// Returns the alert or storm with a number, if it is open.
    pub fn get(&self, number: u64) -> Option<Snapshot> {
        let alert = self.state.alerts.get(&number).map(|alert| alert.snapshot(number));
        alert.or_else(|| self.state.storms.get(&number).map(|storm| storm.snapshot(number)))
    }

    /// Returns all that are open: facts, then storms, each in the order in which they opened.
    pub fn open(&self) -> impl Iterator<Item = Snapshot> {
        let alerts = self.state.alerts.iter().map(|(number, alert)| alert.snapshot(*number));
        alerts.chain(self.state.storms.iter().map(|(number, storm)| storm.snapshot(*number)))
    }

    /// Returns the kind of each fact that is open, storms apart.
    pub fn open_kinds(&self) -> impl Iterator<Item = Kind> {
        self.by_key.keys().map(|key| key.kind)
    }

    /// Returns when [`Input::Tick`] is due next, in milliseconds since the epoch: one timer is enough.
    pub fn next_due_ms(&self) -> Option<i64> {
        let due_ms = self.due.first().map(|(due_ms, _)| *due_ms);
        let held_ms = self.state.held.first_key_value().map(|((until_ms, _), _)| *until_ms);
        due_ms.into_iter().chain(held_ms).min()
    }

    /// Takes in an input; returns what is to be told now. `now_ms` is in milliseconds since the epoch.
    pub fn apply(&mut self, input: Input, now_ms: i64, holds: &HoldsUntil<'_>) -> Vec<Notice> {
        let mut turn = Turn { now_ms, holds, told: Vec::new() };
        // First, so that nobody hears that something is back before that it was over.
        self.release(&mut turn);
        match input {
            Input::Observed(seen) => self.observe(seen, &mut turn),
            Input::Acknowledge { number, by, at_ms } => self.acknowledge(number, by, at_ms, &turn),
            Input::Assign { number, to, at_ms } => self.assign(number, to, at_ms, &mut turn),
            Input::Tick => self.tick(&mut turn),
        }
        turn.told
    }

    fn observe(&mut self, seen: Observed, turn: &mut Turn<'_>) {
        if !seen.fits() || seen.at_ms > turn.now_ms.saturating_add(AHEAD_MS_MAX) {
            self.state.counts.refused += 1;
            return;
        }
        match self.by_key.get(&seen.key).copied() {
            Some(number) => self.fold(number, seen, turn),
            None => match seen.condition {
                Condition::Raised => self.raise(seen, turn),
                Condition::Cleared => self.still_clear(&seen),
            },
        }
    }

    /// Takes in a look at a fact whose alert is open.
    fn fold(&mut self, number: u64, seen: Observed, turn: &mut Turn<'_>) {
        let Some(alert) = self.state.alerts.get_mut(&number) else { return };
        let quiet_ms = alert.quiet_ms(&self.config);
        if seen.at_ms <= alert.last_ms {
            self.state.counts.stale += 1;
            alert.take_late(seen);
            return;
        }
        let over_ms = alert.cleared_ms.map(|cleared_ms| cleared_ms.saturating_add(quiet_ms));
        let was_over = over_ms.is_some_and(|over_ms| over_ms <= seen.at_ms);
        match seen.condition {
            // It was over before this came, though no tick has said so yet.
            Condition::Raised if was_over => {
                self.close(number, turn);
                self.raise(seen, turn);
            }
            Condition::Raised | Condition::Cleared => {
                alert.take(seen);
                self.schedule(number);
            }
        }
    }

    /// Opens an alert.
    fn raise(&mut self, seen: Observed, turn: &mut Turn<'_>) {
        let known_ms = self.state.closed.get(&seen.key).copied();
        if seen.at_ms <= known_ms.unwrap_or(self.state.floor_ms) {
            self.state.counts.stale += 1;
            return;
        }
        if self.state.alerts.len() >= self.config.open_max {
            self.state.counts.unopened += 1;
            return;
        }
        self.forget(&seen.key);
        let number = self.state.next_number;
        self.state.next_number += 1;
        self.by_key.insert(seen.key.clone(), number);
        self.state.alerts.insert(number, Alert::open(seen));
        if !self.fold_into_storm(number, turn) {
            self.tell_opening(number, turn);
        }
        self.schedule(number);
    }

    /// Remembers that a fact that is over was found so again.
    fn still_clear(&mut self, seen: &Observed) {
        let Some(known_ms) = self.state.closed.get_mut(&seen.key) else { return };
        if seen.at_ms > *known_ms {
            self.closed_by_age.remove(&(*known_ms, seen.key.clone()));
            self.closed_by_age.insert((seen.at_ms, seen.key.clone()));
            *known_ms = seen.at_ms;
        }
    }

    /// Ends an alert.
    fn close(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(alert) = self.state.alerts.remove(&number) else { return };
        self.by_key.remove(&alert.key);
        self.schedule(number);
        self.remember(alert.key.clone(), alert.last_ms, turn.now_ms);
        self.tell_end(alert.care.told, alert.snapshot(number), turn);
        if let Some(storm) = alert.storm {
            self.leave_storm(storm);
        }
    }

    fn remember(&mut self, key: Key, last_ms: i64, now_ms: i64) {
        let oldest_ms = now_ms.saturating_sub(config::millis(self.config.closed_keep));
        self.closed_by_age.insert((last_ms, key.clone()));
        self.state.closed.insert(key, last_ms);
        while let Some((last_ms, _)) = self.closed_by_age.first()
            && (self.closed_by_age.len() > self.config.closed_max || *last_ms < oldest_ms)
        {
            self.state.floor_ms = self.state.floor_ms.max(*last_ms);
            if let Some((_, key)) = self.closed_by_age.pop_first() {
                self.state.closed.remove(&key);
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(last_ms) = self.state.closed.remove(key) {
            self.closed_by_age.remove(&(last_ms, key.clone()));
        }
    }

    fn acknowledge(&mut self, number: u64, by: String, at_ms: i64, turn: &Turn<'_>) {
        let config = &self.config;
        if !input::is_name(&by) {
            self.state.counts.refused += 1;
        } else if let Some((_, _, care)) = care_of(&mut self.state, config, number) {
            if care.acknowledge(config, by, at_ms.min(turn.now_ms)) {
                self.schedule(number);
            }
        } else {
            self.state.counts.unknown += 1;
        }
    }

    fn assign(&mut self, number: u64, to: String, at_ms: i64, turn: &mut Turn<'_>) {
        if !input::is_name(&to) {
            self.state.counts.refused += 1;
        } else if let Some((_, _, care)) = care_of(&mut self.state, &self.config, number) {
            if care.assign(&to, at_ms.min(turn.now_ms))
                && let Some(alert) = self.get(number)
            {
                self.tell(What::Assigned { to }, alert, turn);
            }
        } else {
            self.state.counts.unknown += 1;
        }
    }

    /// Deals with what has fallen due, in its order.
    fn tick(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, number)) = self.due.first().copied().filter(|(due_ms, _)| *due_ms <= turn.now_ms) {
            self.fall_due(number, turn);
        }
    }

    fn fall_due(&mut self, number: u64, turn: &mut Turn<'_>) {
        let is_cleared = self.state.alerts.get(&number).is_some_and(|alert| alert.cleared_ms.is_some());
        let is_blown_over = self.state.storms.get(&number).is_some_and(|storm| storm.open == 0);
        if is_cleared {
            self.close(number, turn);
        } else if is_blown_over {
            self.end_storm(number, turn);
        } else {
            self.escalate(number, turn);
        }
    }

    fn escalate(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Self { config, state, .. } = self;
        let Some((kind, steps, care)) = care_of(state, config, number) else { return };
        let hold = turn.hold().filter(|_| !config.urgent.contains(&kind));
        let step = care.steps;
        match (hold, steps.get(step).map(|step| step.to)) {
            (Some(until_ms), _) => care.wait(until_ms),
            (None, None) => {}
            (None, Some(to)) => {
                care.step(steps, turn.now_ms);
                if let Some(alert) = self.get(number) {
                    self.say(What::Escalated { step, to }, alert, turn);
                }
            }
        }
        self.schedule(number);
    }

    /// Tells that an alert or a storm is there, or will once people may be told.
    fn tell_opening(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Self { config, state, .. } = self;
        let seq = state.next_seq;
        let Some((kind, steps, care)) = care_of(state, config, number) else { return };
        if let Some(until_ms) = turn.hold().filter(|_| !config.urgent.contains(&kind)) {
            care.told = Told::Held((until_ms, seq));
            state.held.insert((until_ms, seq), Held::Opening(number));
            state.next_seq += 1;
            return;
        }
        care.tell(steps, turn.now_ms);
        if let Some(alert) = self.get(number) {
            self.say(What::Opened, alert, turn);
        }
    }

    /// Tells that one is over. Whoever was never told of it hears of it once, of a storm's parts not at all.
    fn tell_end(&mut self, told: Told, alert: Snapshot, turn: &mut Turn<'_>) {
        match told {
            Told::No => {}
            Told::Yes => self.tell(What::Recovered, alert, turn),
            Told::Held(slot) => {
                self.state.held.remove(&slot);
                self.hold(slot.0, What::Passed, alert, turn.now_ms);
            }
        }
    }

    /// Tells something, or will once people may be told.
    fn tell(&mut self, what: What, alert: Snapshot, turn: &mut Turn<'_>) {
        match turn.hold().filter(|_| !self.config.urgent.contains(&alert.kind)) {
            None => self.say(what, alert, turn),
            Some(until_ms) => self.hold(until_ms, what, alert, turn.now_ms),
        }
    }

    fn hold(&mut self, until_ms: i64, what: What, alert: Snapshot, now_ms: i64) {
        if self.ready >= self.config.held_max {
            self.state.counts.unheld += 1;
            return;
        }
        let notice = self.notice(what, alert, now_ms);
        self.state.held.insert((until_ms, notice.seq), Held::Ready(Box::new(notice)));
        self.ready += 1;
    }

    fn say(&mut self, what: What, alert: Snapshot, turn: &mut Turn<'_>) {
        let notice = self.notice(what, alert, turn.now_ms);
        turn.told.push(notice);
    }

    fn notice(&mut self, what: What, alert: Snapshot, at_ms: i64) -> Notice {
        let seq = self.state.next_seq;
        self.state.next_seq += 1;
        Notice { seq, at_ms, what, alert }
    }

    /// Tells what was held, once people may be told; what was to be told by now and may not be waits on.
    fn release(&mut self, turn: &mut Turn<'_>) {
        if self.state.held.is_empty() {
            return;
        }
        let hold = turn.hold();
        while let Some(first) = self.state.held.first_entry()
            && (hold.is_none() || first.key().0 <= turn.now_ms)
        {
            let ((_, seq), held) = first.remove_entry();
            match (held, hold) {
                (Held::Opening(number), _) => {
                    self.tell_opening(number, turn);
                    self.schedule(number);
                }
                (Held::Ready(notice), Some(until_ms)) => {
                    self.state.held.insert((until_ms, seq), Held::Ready(notice));
                }
                (Held::Ready(notice), None) => {
                    self.ready -= 1;
                    turn.told.push(*notice);
                }
            }
        }
    }

    /// Notes when an alert or storm falls due next.
    fn schedule(&mut self, number: u64) {
        if let Some(due_ms) = self.due_of.remove(&number) {
            self.due.remove(&(due_ms, number));
        }
        let due_ms = match (self.state.alerts.get(&number), self.state.storms.get(&number)) {
            (Some(alert), _) => match alert.cleared_ms {
                Some(cleared_ms) => Some(cleared_ms.saturating_add(alert.quiet_ms(&self.config))),
                None if alert.storm.is_some() => None,
                None => alert.care.due_ms(alert.steps(&self.config)),
            },
            (None, Some(storm)) if storm.open == 0 => {
                Some(storm.joined_ms.saturating_add(self.config.storm_window_ms()))
            }
            (None, Some(storm)) => storm.care.due_ms(&self.config.steps),
            (None, None) => None,
        };
        if let Some(due_ms) = due_ms {
            self.due.insert((due_ms, number));
            self.due_of.insert(number, due_ms);
        }
    }
}

/// Returns the kind of an open alert or storm, its ladder, and who cares for it.
fn care_of<'a>(
    state: &'a mut State,
    config: &'a Config,
    number: u64,
) -> Option<(Kind, &'a [Step], &'a mut Care)> {
    if let Some(alert) = state.alerts.get_mut(&number) {
        return Some(alert.care_mut(config));
    }
    let storm = state.storms.get_mut(&number)?;
    Some((storm.kind, &config.steps, &mut storm.care))
}
