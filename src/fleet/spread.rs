//! The same folded text in several groups within a time: one case, however many groups follow.
//!
//! Pure. Deterministic in the order of sightings: replaying the journal finds the same cases.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{CaseFact, EventType, Head, Role, Status};

/// When a text becomes a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Groups the same customer text must appear in; 0 switches the stage off.
    pub case_groups_min: usize,
    /// Within this time.
    #[serde(with = "crate::units::duration")]
    pub case_window: Duration,
    /// Texts remembered at once; the oldest go first.
    pub texts_max: usize,
    /// Groups named in one case.
    pub case_groups_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            case_groups_min: 5,
            case_window: Duration::from_mins(10),
            texts_max: 200_000,
            case_groups_max: 1_000,
        }
    }
}

impl Config {
    /// Returns the window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        i64::try_from(self.case_window.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A group by account and id.
type Place = (String, String);

/// Texts seen lately, and where.
#[derive(Debug, Default)]
pub struct Spread {
    texts: HashMap<u64, Sighting>,
    /// Fingerprints by last sighting, so that the oldest is found without a scan.
    by_age: BTreeSet<(i64, u64)>,
}

#[derive(Debug)]
struct Sighting {
    first_ms: i64,
    last_ms: i64,
    groups: Vec<Place>,
    /// The case's id, and how many groups it was last reported with.
    case: Option<(String, usize)>,
}

impl Spread {
    /// Takes in a case found before a restart, so that it is continued and not opened again.
    pub fn resume(&mut self, fingerprint: u64, id: String, groups: Vec<Place>, first_ms: i64, last_ms: i64) {
        let case = Some((id, groups.len()));
        self.by_age.insert((last_ms, fingerprint));
        self.texts.insert(fingerprint, Sighting { first_ms, last_ms, groups, case });
    }

    /// Takes in one committed event; returns the case it opens or makes notably larger (twice as many groups).
    pub fn observe(&mut self, head: &Head<'_>, config: &Config) -> Option<CaseFact<'static>> {
        let fingerprint = head.fingerprint?;
        let relevant = head.what == EventType::Message && head.role == Role::Customer;
        if config.case_groups_min == 0 || !relevant || head.status != Status::Counted {
            return None;
        }
        let at_ms = head.arrived_ms;
        let seen = self.sighting(fingerprint, at_ms, config);
        let place = (head.account.as_ref(), head.group.as_ref());
        let known = seen.groups.iter().any(|(account, group)| (account.as_str(), group.as_str()) == place);
        if !known && seen.groups.len() < config.case_groups_max {
            seen.groups.push((place.0.to_owned(), place.1.to_owned()));
        }
        let reported = seen.case.as_ref().map(|(_, groups)| *groups);
        let due = reported.map_or(config.case_groups_min, |groups| groups * 2);
        let due = due.min(config.case_groups_max);
        if seen.groups.len() < due || reported == Some(seen.groups.len()) {
            return None;
        }
        let opened = format!("case_{:013}_{fingerprint:016x}", seen.first_ms);
        let id = seen.case.take().map_or(opened, |(id, _)| id);
        seen.case = Some((id.clone(), seen.groups.len()));
        let groups = seen.groups.iter().cloned().map(|(a, g)| (a.into(), g.into())).collect();
        Some(CaseFact { id: id.into(), fingerprint, groups, first_ms: seen.first_ms, last_ms: seen.last_ms })
    }

    fn sighting(&mut self, fingerprint: u64, at_ms: i64, config: &Config) -> &mut Sighting {
        self.forget(at_ms - config.window_ms(), config.texts_max);
        let seen = self.texts.entry(fingerprint).or_insert_with(|| Sighting {
            first_ms: at_ms,
            last_ms: at_ms,
            groups: Vec::new(),
            case: None,
        });
        self.by_age.remove(&(seen.last_ms, fingerprint));
        seen.last_ms = seen.last_ms.max(at_ms);
        self.by_age.insert((seen.last_ms, fingerprint));
        seen
    }

    /// Drops texts last seen before `since_ms`, and the oldest while there are too many.
    fn forget(&mut self, since_ms: i64, texts_max: usize) {
        while let Some((last_ms, fingerprint)) = self.by_age.first().copied() {
            if last_ms >= since_ms && self.texts.len() < texts_max.max(1) {
                return;
            }
            self.by_age.pop_first();
            self.texts.remove(&fingerprint);
        }
    }

    /// Returns how many texts are remembered.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKey, Verdict};

    fn seen(fingerprint: u64, group: &str, at_ms: i64) -> Head<'static> {
        Head {
            key: EventKey(0),
            at_ms,
            arrived_ms: at_ms,
            account: "a".into(),
            group: group.to_owned().into(),
            member: Some("m".into()),
            name: None,
            role: Role::Customer,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: Some(fingerprint),
        }
    }

    fn config() -> Config {
        Config { case_groups_min: 3, ..Config::default() }
    }

    #[test]
    fn one_case_for_one_advert_reported_again_only_when_it_doubles() {
        let mut spread = Spread::default();
        let mut reports = Vec::new();
        for n in 0..13 {
            let head = seen(7, &format!("g{}", n % 12), n * 1_000);
            reports.extend(spread.observe(&head, &config()).map(|case| (case.id, case.groups.len())));
        }
        let sizes: Vec<usize> = reports.iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes, [3, 6, 12]);
        assert!(reports.iter().all(|(id, _)| *id == reports[0].0));
    }

    #[test]
    fn slow_repetition_is_no_case() {
        let mut spread = Spread::default();
        for n in 0..10 {
            let at = n * (config().window_ms() + 1);
            assert_eq!(spread.observe(&seen(7, &format!("g{n}"), at), &config()), None);
        }
        assert_eq!(spread.texts(), 1);
    }

    #[test]
    fn a_restart_continues_a_case() {
        let mut before = Spread::default();
        let case = (0..3).find_map(|n| before.observe(&seen(7, &format!("g{n}"), n), &config())).unwrap();
        let mut after = Spread::default();
        let groups = case.groups.iter().map(|(a, g)| (a.to_string(), g.to_string())).collect();
        after.resume(7, case.id.to_string(), groups, case.first_ms, case.last_ms);
        for n in 0..5 {
            assert_eq!(after.observe(&seen(7, &format!("g{n}"), n), &config()), None);
        }
        let grown = after.observe(&seen(7, "g5", 5), &config()).unwrap();
        assert_eq!((grown.id, grown.groups.len()), (case.id, 6));
    }

    #[test]
    fn memory_is_bounded() {
        let config = Config { texts_max: 10, ..config() };
        let mut spread = Spread::default();
        for n in 0..100 {
            spread.observe(&seen(n, "g", 0), &config);
        }
        assert!(spread.texts() <= 10);
    }
}
