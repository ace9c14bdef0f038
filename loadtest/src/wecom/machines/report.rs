//! What came of everything that apps did, as numbers.

use serde::{Deserialize, Serialize};

use super::mass::MassReport;
use crate::wecom::apis::States;

/// What came of everything that apps did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActingReport {
    /// Mass sends.
    pub mass: MassReport,
    /// The longest that any welcome came after its code, in milliseconds.
    pub slowest_welcome_ms: u64,
    /// Templates in the library.
    pub templates: usize,
    /// Newcomers of groups who were greeted by a template.
    pub newcomers_greeted: u64,
    /// Newcomers of groups whom nothing greeted.
    pub newcomers_not_greeted: u64,
    /// Person-sends of app messages dropped as duplicates.
    pub duplicates_dropped: u64,
    /// Person-sends of app messages dropped for a member's limit.
    pub members_over_limit: u64,
    /// App messages recalled.
    pub recalled: u64,
    /// Groups that apps made.
    pub appchats: usize,
    /// Person-sends into such groups dropped for a member's limit.
    pub appchat_members_over_limit: u64,
    /// Intercept rules.
    pub intercept_rules: usize,
    /// Texts of members that passed, were warned about, and were blocked.
    pub said: [u64; 3],
    /// Groups handed over from owners who left.
    pub inherited: u64,
    /// Groups handed over on the job.
    pub handed_over: u64,
    /// Join ways.
    pub join_ways: usize,
    /// Groups that join ways opened.
    pub groups_opened: u64,
}

impl ActingReport {
    pub(crate) fn of(states: &States) -> Self {
        let [newcomers_greeted, newcomers_not_greeted] = states.templates.greeted;
        let [inherited, handed_over] = states.transfers.done;
        Self {
            mass: states.mass.report.clone(),
            slowest_welcome_ms: states.slowest_welcome_ms,
            templates: states.templates.all().count(),
            newcomers_greeted,
            newcomers_not_greeted,
            duplicates_dropped: states.messages.duplicates_dropped,
            members_over_limit: states.messages.over_limit_dropped,
            recalled: states.messages.recalled,
            appchats: states.appchats.all().count(),
            appchat_members_over_limit: states.appchats.over_limit_dropped,
            intercept_rules: states.intercept.all().count(),
            said: states.intercept.said,
            inherited,
            handed_over,
            join_ways: states.join_ways.all().count(),
            groups_opened: states.join_ways.all().map(|(_, way)| way.opened).sum(),
        }
    }
}
