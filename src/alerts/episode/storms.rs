//! Storms: many alerts of one kind in one region are told of as one.
//!
//! A storm takes in what opens until nothing has for a window; what opens later is told of one by one again, or is another
//! storm. It is over when all that it took in are.

use super::care::Told;
use super::state::{Storm, Wave};
use super::{Episodes, Turn};

/// Kinds and regions watched at once, and storms at once.
const STORMS_MAX: usize = 1_000;

impl Episodes {
    /// Counts an alert that has just opened; says whether a storm is told of in its place.
    pub(super) fn fold_into_storm(&mut self, number: u64, turn: &mut Turn<'_>) -> bool {
        let Some(alert) = self.state.alerts.get(&number) else { return false };
        let since_ms = turn.now_ms.saturating_sub(self.config.storm_window_ms());
        let of = (alert.key.kind, alert.place.region.clone());
        if !self.state.waves.contains_key(&of) && self.state.waves.len() >= STORMS_MAX {
            self.drop_still_waves(since_ms);
            if self.state.waves.len() >= STORMS_MAX {
                self.state.counts.unfolded += 1;
                return false;
            }
        }
        let wave = self.state.waves.entry(of.clone()).or_default();
        if let Some(storm) = wave.storm
            && self.state.storms.get(&storm).is_some_and(|storm| storm.joined_ms >= since_ms)
        {
            self.join(number, storm, turn);
            return true;
        }
        while wave.recent.front().is_some_and(|(at_ms, _)| *at_ms < since_ms) {
            wave.recent.pop_front();
        }
        wave.recent.push_back((turn.now_ms, number));
        if wave.recent.len() <= self.config.storm_size {
            return false;
        }
        if self.state.storms.len() >= STORMS_MAX {
            wave.recent.pop_front();
            self.state.counts.unfolded += 1;
            return false;
        }
        let storm = self.state.next_number;
        self.state.next_number += 1;
        let Wave { recent, storm: latest } = wave;
        *latest = Some(storm);
        let recent = std::mem::take(recent);
        self.state.storms.insert(storm, Storm::begin(of.0, of.1, turn.now_ms));
        for (_, number) in recent {
            self.join(number, storm, turn);
        }
        self.tell_opening(storm, turn);
        self.schedule(storm);
        true
    }

    /// Takes an alert into a storm; whoever has not heard of it never will.
    fn join(&mut self, number: u64, storm: u64, turn: &Turn<'_>) {
        let Some(alert) = self.state.alerts.get_mut(&number) else {
            // Over already: only counted.
            if let Some(storm) = self.state.storms.get_mut(&storm) {
                storm.alerts += 1;
            }
            return;
        };
        alert.storm = Some(storm);
        match alert.care.told {
            Told::Held(slot) => {
                self.state.held.remove(&slot);
                alert.care.told = Told::No;
            }
            Told::No | Told::Yes => {}
        }
        if let Some(storm) = self.state.storms.get_mut(&storm) {
            storm.join(&alert.place, turn.now_ms);
        }
        self.schedule(number);
        self.schedule(storm);
    }

    /// One of a storm's alerts is over.
    pub(super) fn leave_storm(&mut self, number: u64) {
        if let Some(storm) = self.state.storms.get_mut(&number) {
            storm.open = storm.open.saturating_sub(1);
            self.schedule(number);
        }
    }

    pub(super) fn end_storm(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(storm) = self.state.storms.remove(&number) else { return };
        self.schedule(number);
        self.tell_end(storm.care.told, storm.snapshot(number), turn);
    }

    /// Forgets where nothing has opened for a window.
    fn drop_still_waves(&mut self, since_ms: i64) {
        let storms = &self.state.storms;
        self.state.waves.retain(|_, wave| {
            let is_blowing = wave
                .storm
                .and_then(|storm| storms.get(&storm))
                .is_some_and(|storm| storm.joined_ms >= since_ms);
            is_blowing || wave.recent.back().is_some_and(|(at_ms, _)| *at_ms >= since_ms)
        });
    }
}
