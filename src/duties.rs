//! What we keep in order on platforms by ourselves, as the ledger knows it: words handed over, welcome templates, ways into
//! groups, groups that change hands, groups of our own.
//!
//! Each has what people asked for (a document of their own, written by the API) and what was done about it on the platform
//! (a document of kind `pushed`, written by the duty in `app::duties`). The two never write each other's: a person's change
//! is never lost to a duty that was just at work, and the other way round.
//!
//! Not for: calling platforms (`app::duties` does, through `connectors`), nor deciding what belongs where (the pure planners
//! of `interception` and `welcomes`).

pub mod join_ways;
pub mod own_groups;
pub mod staff_words;
mod store;
pub mod templates;
pub mod transfers;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use store::{Stored, all, read, write};

/// How duties go about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often it is looked whether something is to be done.
    #[serde(with = "crate::units::duration")]
    pub tick: Duration,
    /// How often what was put on a platform is compared with what is there.
    #[serde(with = "crate::units::duration")]
    pub compare_every: Duration,
    /// How long after a refusal it is tried again.
    #[serde(with = "crate::units::duration")]
    pub retry_every: Duration,
    /// A group with so many members is nearly full: the next one takes its place.
    pub group_members_max: u64,
    /// Groups of one account that may be given to new owners on one day.
    pub transfers_a_day: usize,
    /// How long finished transfers are remembered.
    #[serde(with = "crate::units::duration")]
    pub transfers_keep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(30),
            compare_every: Duration::from_hours(1),
            retry_every: Duration::from_mins(5),
            group_members_max: 480,
            transfers_a_day: 300,
            transfers_keep: Duration::from_hours(24 * 90),
        }
    }
}

/// What a platform refused, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failure {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The platform's code or ours.
    pub code: String,
    /// In plain Chinese: what to do.
    pub zh: String,
    /// The same in English.
    pub en: String,
}
