//! What platforms show us of the groups that a figure is about. Layer: pure core.

use super::book::Speaking;
use crate::event::AccountId;
pub use crate::statistics::coverage::{Covered, Extent};

/// What a group's platform shows us of it; nothing while its account is not connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// What is said there.
    pub(super) text: bool,
    /// Who joins and leaves.
    pub(super) members: bool,
}

impl Sight {
    /// Returns what is shown of a group.
    pub(super) fn of(speaking: &dyn Speaking, account: &str, group: &str) -> Self {
        let account = AccountId::parse(account).ok();
        let voice = account.and_then(|account| speaking.voice(&account, group));
        voice.map_or_else(Self::default, |voice| Self {
            text: voice.gives_message_text,
            members: voice.gives_member_ids,
        })
    }
}
