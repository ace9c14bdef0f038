//! What can be done about cases: what platforms can, whom nothing is done to, what the hour's budget allows.

use std::sync::Arc;

use super::alerts::Neighbourhood;
use crate::alerts;
use crate::alerts::by_hand::{self, Bell};
use crate::conduct::by_hand::Todo;
use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::event::Kin;
use crate::fleet::cases::Powers;
use crate::ingest::Ingest;
use crate::storage::{StatusChange, Write};

/// The rule that removals of cases are counted under.
const RULE: &str = "case";

pub(super) struct CasePowers {
    pub(super) directory: Arc<Directory>,
    pub(super) connectors: Arc<Connectors>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) alerts: alerts::Config,
    pub(super) bell: Arc<Bell>,
    /// Keys the ids of what is told.
    pub(super) secret: [u8; 16],
}

impl Powers for CasePowers {
    fn can_recall(&self, account: &str, group: &str) -> bool {
        self.connectors.capabilities_of(account, group).is_some_and(|can| can.can_recall)
    }

    fn can_remove(&self, account: &str, group: &str) -> bool {
        self.connectors.capabilities_of(account, group).is_some_and(|can| can.can_remove)
    }

    fn is_spared(&self, account: &str, group: &str, member: &str) -> bool {
        let context = self.directory.context(account, group);
        context.is_none_or(|context| context.kin(member) != Kin::Other)
    }

    fn spend(&self, account: &str, group: &str) -> bool {
        self.ingest.spend_removal(RULE, account, group)
    }

    fn resume(&self, account: &str, group: &str, at_ms: i64) {
        self.ingest.resume_removal(RULE, account, group, at_ms);
    }

    fn ask(&self, left: &[Todo], at_ms: i64) -> (Vec<Write>, Vec<StatusChange>) {
        let around = Neighbourhood(Arc::clone(&self.directory));
        let asking = by_hand::ask(left, &around, &self.alerts, (&self.secret, at_ms));
        (asking.writes, asking.told)
    }

    fn asked(&self) {
        self.bell.ring();
    }
}
