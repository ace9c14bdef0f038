//! Everything about acting that can be set, the platform's disputed points among it.

use serde::{Deserialize, Serialize};

use super::caps::Cap;
use super::owners::OwnerConfig;
use super::robots::Robot;
use crate::wecom::errcode;

/// How the platform treats what apps do. All of it can be changed while the simulator runs, robots only through
/// [`Robots`](super::Robots).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a point that the platform's pages leave open")]
pub struct ActingConfig {
    /// What owners are like.
    pub owners: OwnerConfig,
    /// How many mass messages a customer or group receives.
    pub cap: Cap,
    /// How long a mass send is dispatched after its creation, in milliseconds; follow-up calls get 41063.
    pub dispatch_ms: u64,
    /// How long a mass send is missing from the list after its creation, in milliseconds.
    pub list_lag_ms: u64,
    /// What `get_groupmsg_task` shows for a sender who has sent: 2 in an SDK, 1 in a sample.
    pub sent_status: u8,
    /// Whether the list names the creator of a mass send made by an app; it is its one sender.
    pub shows_creator: bool,
    /// Whether results of a cancelled mass send are refused with 41093 too.
    pub refuses_cancelled: bool,
    /// Robots at the start.
    pub robots: Vec<Robot>,
    /// Licensed accounts: each is worth 200 person-sends of app messages a day.
    pub accounts: u64,
    /// What a message gets whose targets are all bad: 82001 or 81013.
    pub all_bad_errcode: i64,
    /// Whether a member's limit for app messages has the 1,000 an hour of the newer page beside the 30 a minute.
    pub has_hourly_member_limit: bool,
    /// Changes of groups made by apps, an hour: 1,000, or 100 in an older copy.
    pub appchat_updates_per_hour: u64,
    /// Members of a group made by an app: 2,000, or 500 in older SDKs.
    pub appchat_members_max: usize,
    /// Whether `rule_id` is shown as a number; either form is taken.
    pub rule_ids_are_numbers: bool,
    /// Whether an update of an intercept rule without `word_list` is refused with 41068; else the words stay.
    pub refuses_absent_words: bool,
    /// Messages by robots and to members and internal groups kept whole, the newest.
    pub keep_bodies: usize,
}

impl Default for ActingConfig {
    fn default() -> Self {
        Self {
            owners: OwnerConfig::default(),
            cap: Cap::default(),
            dispatch_ms: 10_000,
            list_lag_ms: 0,
            sent_status: 2,
            shows_creator: true,
            refuses_cancelled: true,
            robots: Vec::new(),
            accounts: 5_000,
            all_bad_errcode: errcode::NO_VALID_TARGET,
            has_hourly_member_limit: true,
            appchat_updates_per_hour: 1_000,
            appchat_members_max: 2_000,
            rule_ids_are_numbers: false,
            refuses_absent_words: false,
            keep_bodies: 1_000,
        }
    }
}
