//! What can be done about cases: what platforms can, whom nothing is done to, what the hour's budget allows.

use std::sync::Arc;

use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::event::Kin;
use crate::fleet::cases::Powers;
use crate::ingest::Ingest;

/// The rule that removals of cases are counted under.
const RULE: &str = "case";

pub(super) struct CasePowers {
    pub(super) directory: Arc<Directory>,
    pub(super) connectors: Arc<Connectors>,
    pub(super) ingest: Arc<Ingest>,
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
}
