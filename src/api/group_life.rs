//! The life of groups: who owns them, which ways lead into them, which ones we make ourselves.

pub(super) mod join_ways;
pub(super) mod own_groups;
pub(super) mod transfers;

use super::error::ApiError;
use super::state::Cx;
use crate::connectors::Connector;
use crate::event::{FieldError, GroupId};

/// Makes an error about a field.
fn field(pointer: &str, code: &str, detail: impl Into<String>) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, code, detail)])
}

impl Cx {
    /// Says whether the caller sees every one of these groups.
    fn covers_groups<'g>(&self, account: &str, mut groups: impl Iterator<Item = &'g GroupId>) -> bool {
        groups.all(|group| self.covers_group(account, group.as_str()))
    }

    /// Returns the positions of groups that the caller does not see, as errors of a field.
    fn not_covered(&self, account: &str, pointer: &str, groups: &[GroupId]) -> Vec<FieldError> {
        let groups = groups.iter().enumerate();
        let unseen = groups.filter(|(_, group)| !self.covers_group(account, group.as_str()));
        unseen
            .map(|(nth, _)| FieldError::new(format!("{pointer}/{nth}"), "not_found", "no such group"))
            .collect()
    }

    /// Says whether an account's platform offers something.
    fn offers(&self, account: &str, offer: impl Fn(&dyn Connector) -> bool) -> bool {
        self.connectors().get(account).is_some_and(|connector| offer(&*connector))
    }
}
