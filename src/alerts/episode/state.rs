//! What is remembered: everything that must survive a restart, and nothing that can be worked out from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::care::Care;
use super::config::{Config, Own, Step, millis};
use super::input::{Condition, Explanation, Key, Kind, Observed, Place};
use super::notice::{About, Notice, Snapshot};

/// Shops of a storm that are counted one by one.
const SHOPS_MAX: usize = 1_000;
/// Shops that a notice of a storm names.
const SHOPS_NAMED_MAX: usize = 10;

/// All alerts. Opaque: written and read whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The number of the next alert or storm.
    pub(super) next_number: u64,
    /// The number of the next notice, and of the next place among held ones.
    pub(super) next_seq: u64,
    pub(super) alerts: BTreeMap<u64, Alert>,
    pub(super) storms: BTreeMap<u64, Storm>,
    #[serde(with = "pairs")]
    pub(super) waves: BTreeMap<(Kind, Option<String>), Wave>,
    /// By the moment at which they may be told.
    #[serde(with = "pairs")]
    pub(super) held: BTreeMap<(i64, u64), Held>,
    /// When a fact that is over was looked at last.
    #[serde(with = "pairs")]
    pub(super) closed: BTreeMap<Key, i64>,
    /// The latest look at any fact that is forgotten: what is older may be one of them again.
    pub(super) floor_ms: i64,
    pub(super) counts: Counts,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next_number: 1,
            next_seq: 1,
            alerts: BTreeMap::new(),
            storms: BTreeMap::new(),
            waves: BTreeMap::new(),
            held: BTreeMap::new(),
            closed: BTreeMap::new(),
            floor_ms: i64::MIN,
            counts: Counts::default(),
        }
    }
}

/// What was left out, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Raised while as many alerts were open as may be.
    pub unopened: u64,
    /// Notices that were to wait for the end of quiet hours while as many waited as may.
    pub unheld: u64,
    /// Storms that were not folded: too many regions at once.
    pub unfolded: u64,
    /// Looks that were known, or older than what is known.
    pub stale: u64,
    /// Inputs that cannot be: from the future, or with names that are too long.
    pub refused: u64,
    /// Acknowledged or assigned, but not open.
    pub unknown: u64,
}

/// One fact that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alert {
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) care: Care,
    since_ms: i64,
    /// The latest look.
    pub(super) last_ms: i64,
    pub(super) cleared_ms: Option<i64>,
    value: u64,
    worst: u64,
    explanation: Explanation,
    count: u64,
    flaps: u64,
    pub(super) storm: Option<u64>,
    own: Option<Arc<Own>>,
}

/// Many alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Storm {
    pub(super) kind: Kind,
    region: Option<String>,
    /// Of the first that joined.
    account: Option<String>,
    pub(super) care: Care,
    since_ms: i64,
    /// When the last joined.
    pub(super) joined_ms: i64,
    pub(super) alerts: u64,
    pub(super) open: u64,
    shops: BTreeMap<String, u64>,
}

/// What opens of one kind in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wave {
    /// Opened within the window: when, and which; the oldest first.
    pub(super) recent: VecDeque<(i64, u64)>,
    /// The latest storm.
    pub(super) storm: Option<u64>,
}

/// A notice that waits for the end of quiet hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Held {
    /// That an alert is there: told as it looks then.
    Opening(u64),
    /// As it was.
    Ready(Box<Notice>),
}

/// What is not written by itself.
#[derive(Serialize, Deserialize)]
struct Rest {
    next_number: u64,
    next_seq: u64,
    #[serde(with = "pairs")]
    waves: BTreeMap<(Kind, Option<String>), Wave>,
    floor_ms: i64,
    counts: Counts,
}

// === impl State ===

impl State {
    /// Takes it apart into pieces, each with its name: few of them change at a time, so that little is to be written.
    pub fn pieces(&self) -> Vec<(String, String)> {
        fn write(value: &impl Serialize) -> String {
            serde_json::to_string(value).expect("strings and numbers are always JSON")
        }
        let Self { next_number, next_seq, alerts, storms, waves, held, closed, floor_ms, counts } = self;
        let (next_number, next_seq, floor_ms, counts) = (*next_number, *next_seq, *floor_ms, *counts);
        let rest = Rest { next_number, next_seq, waves: waves.clone(), floor_ms, counts };
        let mut pieces = vec![("rest".to_owned(), write(&rest))];
        pieces.extend(alerts.iter().map(|(number, alert)| (format!("alert/{number:016x}"), write(alert))));
        pieces.extend(storms.iter().map(|(number, storm)| (format!("storm/{number:016x}"), write(storm))));
        pieces
            .extend(held.iter().map(|(slot, held)| (format!("held/{:016x}", slot.1), write(&(slot, held)))));
        pieces.extend(closed.iter().map(|(key, last_ms)| {
            (format!("closed/{}/{}", key.kind.as_str(), key.subject), write(&(key, last_ms)))
        }));
        pieces
    }

    /// Puts it together again; of no pieces a new one.
    ///
    /// # Errors
    /// Which piece cannot be read, and why.
    pub fn of_pieces<'a>(pieces: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        fn read<'a, T: Deserialize<'a>>(name: &str, body: &'a str) -> Result<T, String> {
            serde_json::from_str(body).map_err(|error| format!("{name}: {error}"))
        }
        let mut state = Self::default();
        for (name, body) in pieces {
            let (what, of) = name.split_once('/').unwrap_or((name, ""));
            let number = || u64::from_str_radix(of, 16).map_err(|error| format!("{name}: {error}"));
            match what {
                "rest" => {
                    let Rest { next_number, next_seq, waves, floor_ms, counts } = read(name, body)?;
                    state = Self { next_number, next_seq, waves, floor_ms, counts, ..state };
                }
                "alert" => _ = state.alerts.insert(number()?, read(name, body)?),
                "storm" => _ = state.storms.insert(number()?, read(name, body)?),
                "held" => {
                    let (slot, held) = read(name, body)?;
                    state.held.insert(slot, held);
                }
                "closed" => {
                    let (key, last_ms) = read(name, body)?;
                    state.closed.insert(key, last_ms);
                }
                _ => return Err(format!("{name}: no such piece")),
            }
        }
        Ok(state)
    }
}

// === impl Alert ===

impl Alert {
    pub(super) fn open(seen: Observed) -> Self {
        let Observed { key, condition: _, value, explanation, place, own, at_ms } = seen;
        Self {
            key,
            place,
            care: Care::default(),
            since_ms: at_ms,
            last_ms: at_ms,
            cleared_ms: None,
            value,
            worst: value,
            explanation: explanation.cut(),
            count: 1,
            flaps: 0,
            storm: None,
            own,
        }
    }

    /// How long what raised it must be gone.
    pub(super) fn quiet_ms(&self, config: &Config) -> i64 {
        millis(self.own.as_ref().map_or(config.recover_after, |own| own.recover_after))
    }

    /// Who hears of it when nobody acknowledges it.
    pub(super) fn steps<'a>(&'a self, config: &'a Config) -> &'a [Step] {
        self.own.as_ref().map_or(&config.steps, |own| &own.steps)
    }

    /// Returns its kind, its ladder and who cares for it.
    pub(super) fn care_mut<'a>(&'a mut self, config: &'a Config) -> (Kind, &'a [Step], &'a mut Care) {
        let steps = self.own.as_ref().map_or(&config.steps, |own| &own.steps);
        (self.key.kind, steps, &mut self.care)
    }

    /// Takes in a newer look.
    pub(super) fn take(&mut self, seen: Observed) {
        self.last_ms = seen.at_ms;
        self.value = seen.value;
        match seen.condition {
            Condition::Cleared => {
                self.cleared_ms.get_or_insert(seen.at_ms);
            }
            Condition::Raised => {
                self.flaps += u64::from(self.cleared_ms.take().is_some());
                self.count += 1;
                (self.place, self.own) = (seen.place, seen.own);
                self.worsen(seen.value, seen.explanation);
            }
        }
    }

    /// Takes in a look that was overtaken by a newer one. Only what does not change when it is taken in again: the worst.
    pub(super) fn take_late(&mut self, seen: Observed) {
        match seen.condition {
            Condition::Raised if seen.at_ms >= self.since_ms => self.worsen(seen.value, seen.explanation),
            Condition::Raised | Condition::Cleared => {}
        }
    }

    fn worsen(&mut self, value: u64, explanation: Explanation) {
        if value > self.worst {
            self.worst = value;
            self.explanation = explanation.cut();
        }
    }

    pub(super) fn snapshot(&self, number: u64) -> Snapshot {
        Snapshot {
            number,
            kind: self.key.kind,
            about: About::One {
                key: self.key.clone(),
                value: self.value,
                worst: self.worst,
                explanation: self.explanation.clone(),
                count: self.count,
                flaps: self.flaps,
                storm: self.storm,
            },
            place: self.place.clone(),
            since_ms: self.since_ms,
            last_ms: self.last_ms,
            cleared_ms: self.cleared_ms,
            steps: self.care.steps,
            acknowledged: self.care.acknowledged.clone(),
            assigned: self.care.assigned.clone(),
        }
    }
}

// === impl Storm ===

impl Storm {
    pub(super) fn begin(kind: Kind, region: Option<String>, now_ms: i64) -> Self {
        Self {
            kind,
            region,
            account: None,
            care: Care::default(),
            since_ms: now_ms,
            joined_ms: now_ms,
            alerts: 0,
            open: 0,
            shops: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, place: &Place, now_ms: i64) {
        if self.alerts == 0 {
            self.account.clone_from(&place.account);
        }
        self.joined_ms = now_ms;
        self.alerts += 1;
        self.open += 1;
        if let Some(shop) = &place.shop
            && (self.shops.len() < SHOPS_MAX || self.shops.contains_key(shop))
        {
            *self.shops.entry(shop.clone()).or_default() += 1;
        }
    }

    pub(super) fn snapshot(&self, number: u64) -> Snapshot {
        let mut shops: Vec<_> = self.shops.iter().map(|(shop, count)| (shop.clone(), *count)).collect();
        shops.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        shops.truncate(SHOPS_NAMED_MAX);
        let named: u64 = shops.iter().map(|(_, count)| count).sum();
        Snapshot {
            number,
            kind: self.kind,
            about: About::Storm {
                alerts: self.alerts,
                open: self.open,
                shops,
                elsewhere: self.alerts.saturating_sub(named),
            },
            place: Place { account: self.account.clone(), region: self.region.clone(), ..Place::default() },
            since_ms: self.since_ms,
            last_ms: self.joined_ms,
            cleared_ms: None,
            steps: self.care.steps,
            acknowledged: self.care.acknowledged.clone(),
            assigned: self.care.assigned.clone(),
        }
    }
}

/// Maps whose keys are no strings, as lists of pairs: JSON knows no other keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
