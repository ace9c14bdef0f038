//! What alerts tell, and how they look.

use serde::{Deserialize, Serialize};

use super::{Explanation, Key, Kind, Level, Place};

/// Something to be told to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Counts notices: the same inputs give the same notice the same number.
    pub seq: u64,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What is told.
    pub what: What,
    /// The alert as it was then.
    pub alert: Snapshot,
}

/// What is told of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum What {
    /// It is there: for whoever answers for the place.
    Opened,
    /// Nobody has acknowledged it.
    Escalated {
        /// Which step of the ladder, from 0.
        step: usize,
        /// Who is told now.
        to: Level,
    },
    /// A person is to see to it: for that person.
    Assigned {
        /// Who.
        to: String,
    },
    /// It is over.
    Recovered,
    /// It came and went while nobody was to be told: the only notice of it.
    Passed,
}

/// How an alert looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its number; never given twice.
    pub number: u64,
    /// What it is about.
    pub kind: Kind,
    /// The fact, or the storm of them.
    pub about: About,
    /// Where.
    pub place: Place,
    /// Since when, by the clock of whoever looked, in milliseconds since the epoch.
    pub since_ms: i64,
    /// The latest look, in milliseconds since the epoch.
    pub last_ms: i64,
    /// Since when what raised it is gone, if it is, in milliseconds since the epoch.
    pub cleared_ms: Option<i64>,
    /// Steps of the ladder that were taken.
    pub steps: usize,
    /// Who knows of it.
    pub acknowledged: Option<Acknowledged>,
    /// Who is to see to it.
    pub assigned: Option<Assigned>,
}

/// One fact, or many alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "about")]
pub enum About {
    /// One fact.
    One {
        /// Which.
        key: Key,
        /// How bad it is.
        value: u64,
        /// How bad it was at worst.
        worst: u64,
        /// Why, at worst.
        explanation: Explanation,
        /// How often it was raised.
        count: u64,
        /// How often it came back before it was over.
        flaps: u64,
        /// The storm that it is part of: that one is told of, not this.
        storm: Option<u64>,
    },
    /// Many of one kind in one region.
    Storm {
        /// How many there were.
        alerts: u64,
        /// How many of them are open.
        open: u64,
        /// Shops with the most of them.
        shops: Vec<(String, u64)>,
        /// How many are in other shops or in none.
        elsewhere: u64,
    },
}

/// That somebody knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Until when it goes no further up, in milliseconds since the epoch.
    pub until_ms: i64,
}

/// That somebody is to see to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Who.
    pub to: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}
