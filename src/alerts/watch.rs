//! Watchers: they look, and say what they see to the desk: raised, or clear.
//!
//! From the journal, as it is read: leaves, hits and negative messages of a group and of all groups within a window
//! ([`Looking`]). By rounds, at the journal's end ([`Rounds`]): everything else, and that it is over.
//!
//! What is usual is worked out from storage's hourly counters when something may be unusual, and remembered for the hour: at
//! most [`usual::REMEMBERED_MAX`] ranges of about 100 bytes, [`usual::HOURS_MAX`] sums over all groups of 32 bytes, and for
//! groups too new to have a past one count of about 40 bytes of each group of an hour. Nothing is kept of a group in which
//! nothing happens.
//!
//! **Coverage.** What rests on the text of messages is looked for only where text is visible; an hour in which nobody watched
//! the account is unknown, never 0.

mod rounds;
mod usual;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::baseline::{Counted, OBSERVED_MIN, Unusual, Usual};
use super::episode::{Condition, Explanation, Input, Key, Kind, Observed, Place};
use super::terms::{Recipient, Terms};
use super::windows::{Touched, Watched, Windows, minute_of};
use super::{Parts, words};
use crate::storage::StorageError;
use crate::telemetry::metrics;

pub(super) use rounds::Rounds;
pub(super) use usual::Usuals;

/// The subject of what is counted over all groups.
pub const FLEET: &str = "*";
/// Fewer over all groups are never looked at.
const FLEET_MIN: u64 = 30;
/// Wordlists of words that customers use when they are not content.
const NEGATIVE: [&str; 2] = ["complaint", "abuse"];

/// What is looked at, and who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often it is looked; what is counted by days is looked at every hour.
    #[serde(with = "crate::units::duration")]
    pub look: Duration,
    /// Lists whose hits in customers' messages are negative words.
    pub negative_wordlists: BTreeSet<String>,
    /// Members that a group may have.
    pub members_max: u64,
    /// Whoever answers for the place is told one to one, where the platform can and no rule says otherwise.
    pub people: bool,
    /// In which language people are told.
    pub language: Language,
    /// Who is told at head office.
    pub head_office: Vec<Recipient>,
    /// How long alerts that are over are listed.
    #[serde(with = "crate::units::duration")]
    pub keep: Duration,
    /// Most of them; beyond it the oldest go.
    pub kept_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            negative_wordlists: NEGATIVE.map(str::to_owned).into(),
            members_max: 500,
            people: false,
            language: Language::Zh,
            head_office: Vec::new(),
            keep: Duration::from_hours(90 * 24),
            kept_max: 10_000,
        }
    }
}

/// A language people are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
    /// Chinese, then English.
    Both,
}

/// Nobody watches an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lapse {
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Why, in Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// A wordlist whose roll-out was halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// Its name.
    pub wordlist: String,
    /// Messages that it hit.
    pub hit: u64,
    /// Of so many.
    pub messages: u64,
}

/// What is known of accounts and rules at this moment.
#[async_trait]
pub trait Sights: Send + Sync {
    /// Returns every account.
    fn accounts(&self) -> Vec<String>;

    /// Says whether the text of an account's messages is visible.
    fn shows_text(&self, account: &str) -> bool;

    /// Says since when, and why, nobody watches an account.
    fn lapse(&self, account: &str) -> Option<Lapse>;

    /// Says whether an account's platform tells of itself whether anybody watches it.
    fn knows_lapses(&self, account: &str) -> bool;

    /// Says since when a group has a change that could not be followed.
    fn gap_since(&self, account: &str, group: &str) -> Option<i64>;

    /// Returns the times in `[from_ms, until_ms)` in which nobody watched the account.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    async fn unprotected(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(i64, i64)>, String>;

    /// Returns the wordlists whose roll-out stands halted.
    ///
    /// # Errors
    /// When storage cannot be read.
    async fn halted(&self) -> Result<Vec<Halted>, StorageError>;
}

/// What is counted as the journal is read, and what is usual of it.
#[derive(Debug, Default)]
pub(super) struct Looking {
    pub(super) windows: Windows,
    pub(super) usuals: Usuals,
}

/// What was found about one fact.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    value: u64,
    explanation: Explanation,
}

impl Watched {
    fn kind(self) -> Kind {
        match self {
            Watched::Leaves => Kind::LeaveSurge,
            Watched::Hits => Kind::HitSpike,
            Watched::Negative => Kind::NegativeWords,
        }
    }

    fn of_kind(kind: Kind) -> Option<Self> {
        [Watched::Leaves, Watched::Hits, Watched::Negative].into_iter().find(|one| one.kind() == kind)
    }

    fn counted(self) -> Counted {
        match self {
            Watched::Leaves => Counted::Leaves,
            Watched::Hits => Counted::Hits,
            Watched::Negative => Counted::NegativeWords,
        }
    }
}

impl Looking {
    /// Looks at everything in which something was counted since the last look. Blocking.
    pub(super) fn looks(&mut self, parts: &Parts) -> Result<Vec<Input>, StorageError> {
        let Self { windows, usuals } = self;
        metrics::alerts::left_out(windows.take_uncounted());
        let mut looks: Vec<(i64, Input)> = Vec::new();
        let mut groups: BTreeMap<(&str, &str, Watched), BTreeMap<i64, i64>> = BTreeMap::new();
        let mut all: BTreeMap<Watched, BTreeMap<i64, i64>> = BTreeMap::new();
        for (Touched { minute, account, group, watched }, at_ms) in windows.touched() {
            groups.entry((account, group, *watched)).or_default().insert(*minute, *at_ms);
            let latest = all.entry(*watched).or_default().entry(*minute).or_default();
            *latest = (*latest).max(*at_ms);
        }
        for ((account, group, watched), minutes) in groups {
            let terms = parts.desk.terms(watched.kind(), Some(account), Some(group));
            if !is_looked_for(parts, watched.kind(), &terms, account) {
                continue;
            }
            let window_min = terms.window_min();
            let count = |minute| windows.count((account, group), watched, minute, window_min);
            for (observed, at_ms) in peaks(&minutes, window_min, count) {
                let usual = || usuals.of_group(parts, (account, group), watched, at_ms, window_min);
                if let Some(found) = judge(watched, observed, &terms, usual)? {
                    let (subject, place) = (subject(account, group), place(parts, account, group));
                    looks.push((at_ms, raised(watched.kind(), subject, found, place, &terms, at_ms)));
                }
            }
        }
        for (watched, minutes) in all {
            let terms = parts.desk.terms(watched.kind(), None, None);
            let window_min = terms.window_min();
            let count = |minute| windows.count_fleet(watched, minute, window_min);
            for (observed, at_ms) in peaks(&minutes, window_min, count) {
                if let Some(found) = judge_all(usuals, parts, &terms, (watched, observed, at_ms))? {
                    let (subject, place) = (FLEET.to_owned(), Place::default());
                    looks.push((at_ms, raised(watched.kind(), subject, found, place, &terms, at_ms)));
                }
            }
        }
        looks.sort_by_key(|(at_ms, _)| *at_ms);
        Ok(looks.into_iter().map(|(_, look)| look).collect())
    }

    /// Looks again at one that is open: what is found now, if it still holds. Blocking.
    fn look_again(
        &mut self,
        parts: &Parts,
        kind: Kind,
        place: &Place,
        now_ms: i64,
    ) -> Result<Option<Found>, StorageError> {
        let Self { windows, usuals } = self;
        let Some(watched) = Watched::of_kind(kind) else { return Ok(None) };
        let (account, group) = (place.account.as_deref(), place.group.as_deref());
        let terms = parts.desk.terms(kind, account, group);
        let minute = minute_of(now_ms);
        let Some((account, group)) = account.zip(group) else {
            let observed = windows.count_fleet(watched, minute, terms.window_min());
            return judge_all(usuals, parts, &terms, (watched, observed, now_ms));
        };
        if !is_looked_for(parts, kind, &terms, account) {
            return Ok(None);
        }
        let observed = windows.count((account, group), watched, minute, terms.window_min());
        judge(watched, observed, &terms, || {
            usuals.of_group(parts, (account, group), watched, now_ms, terms.window_min())
        })
    }
}

fn is_looked_for(parts: &Parts, kind: Kind, terms: &Terms, account: &str) -> bool {
    terms.on && (!kind.rests_on_text() || parts.sights.shows_text(account))
}

/// Returns what was counted up to each of some minutes, with the minute's latest event, but for those that another within the
/// window outdoes soon after: whoever is told hears of the whole.
fn peaks(minutes: &BTreeMap<i64, i64>, window_min: u32, count: impl Fn(i64) -> u64) -> Vec<(u64, i64)> {
    let counted: Vec<(i64, u64, i64)> =
        minutes.iter().map(|(minute, at_ms)| (*minute, count(*minute), *at_ms)).collect();
    let is_peak = |(nth, (minute, count, _)): &(usize, &(i64, u64, i64))| {
        let next = counted.get(nth + 1);
        !next.is_some_and(|(next, more, _)| next - minute < i64::from(window_min) && more >= count)
    };
    counted.iter().enumerate().filter(is_peak).map(|(_, (_, count, at_ms))| (*count, *at_ms)).collect()
}

/// Looks at what was counted over all groups: told only where it is known what is usual.
fn judge_all(
    usuals: &mut Usuals,
    parts: &Parts,
    terms: &Terms,
    (watched, observed, at_ms): (Watched, u64, i64),
) -> Result<Option<Found>, StorageError> {
    if !terms.on || observed < FLEET_MIN {
        return Ok(None);
    }
    let Some(usual) = usuals.of_all(parts, watched, at_ms, terms.window_min())? else { return Ok(None) };
    Ok(found_unusual(watched, observed, usual, terms))
}

/// Says what was found, if it is something to be told. Below what could be, nobody asks what is usual.
fn judge(
    watched: Watched,
    observed: u64,
    terms: &Terms,
    usual: impl FnOnce() -> Result<Option<Usual>, StorageError>,
) -> Result<Option<Found>, StorageError> {
    let counted = watched.counted();
    let over = |explain: fn(Counted, u64, u32, u64) -> Explanation| {
        (observed >= terms.threshold).then(|| Found {
            value: observed,
            explanation: explain(counted, observed, terms.window_min(), terms.threshold),
        })
    };
    match watched {
        // Nobody kept how many there were.
        Watched::Negative => Ok(over(words::over)),
        Watched::Leaves | Watched::Hits if observed < OBSERVED_MIN.min(terms.threshold) => Ok(None),
        Watched::Leaves | Watched::Hits => Ok(match usual()? {
            Some(usual) => found_unusual(watched, observed, usual, terms),
            None => over(words::unknown_usual),
        }),
    }
}

fn found_unusual(watched: Watched, observed: u64, usual: Usual, terms: &Terms) -> Option<Found> {
    let unusual = Unusual { counted: watched.counted(), observed, usual };
    usual
        .is_unusual(observed, terms.sensitivity)
        .then(|| Found { value: observed, explanation: words::unusual(&unusual) })
}

fn subject(account: &str, group: &str) -> String {
    format!("{account}/{group}")
}

fn place(parts: &Parts, account: &str, group: &str) -> Place {
    let known = parts.around.group(account, group).place;
    Place {
        account: Some(account.to_owned()),
        group: Some(group.to_owned()),
        brand: known.brand.map(|id| id.to_string()),
        region: known.region.map(|id| id.to_string()),
        shop: known.shop.map(|id| id.to_string()),
    }
}

fn raised(
    kind: Kind,
    subject: String,
    Found { value, explanation }: Found,
    place: Place,
    terms: &Terms,
    at_ms: i64,
) -> Input {
    Input::Observed(Observed {
        key: Key { kind, subject: subject.into() },
        condition: Condition::Raised,
        value,
        explanation,
        place,
        own: Some(Arc::clone(&terms.own)),
        at_ms,
    })
}

fn cleared(key: Key, place: Place, at_ms: i64) -> Input {
    Input::Observed(Observed {
        key,
        condition: Condition::Cleared,
        value: 0,
        explanation: Explanation::default(),
        place,
        own: None,
        at_ms,
    })
}
