//! Groups of staff that we make and change ourselves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Failure;

/// A group as people want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnGroup {
    /// What it is called.
    pub name: String,
    /// Who owns it: one of the staff.
    pub owner: String,
    /// Who is in it; the owner too.
    pub staff: BTreeSet<String>,
}

/// How it stands on the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnGroupState {
    /// The version of the wish that the platform was told.
    pub version: u64,
    /// The platform has it.
    pub made_ms: Option<i64>,
    /// When it was compared or tried last.
    pub compared_ms: i64,
    /// When somebody else's change was noticed last; it was undone.
    pub drift_ms: Option<i64>,
    /// What the platform refused the last time.
    pub failure: Option<Failure>,
}

impl OwnGroup {
    /// Returns the id of a group's document.
    pub fn id(account: &str, group: &str) -> String {
        format!("{account}/{group}")
    }
}

impl OwnGroupState {
    /// Returns the id of a group's state.
    pub fn id(account: &str, group: &str) -> String {
        format!("{account}/own_group/{group}")
    }
}
