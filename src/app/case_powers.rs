//! What can be done about cases: what platforms can, who is taken out, who is asked to do the rest.

use std::sync::Arc;

use async_trait::async_trait;

use super::alerts::Neighbourhood;
use crate::alerts;
use crate::alerts::by_hand::{self, Bell};
use crate::conduct::by_hand::Todo;
use crate::connectors::Connectors;
use crate::directory::Directory;
use crate::fleet::cases::Powers;
use crate::fleet::removals::{Expelled, NotTaken, Order};
use crate::ingest::Ingest;
use crate::storage::{StatusChange, Write};

pub(super) struct CasePowers {
    pub(super) directory: Arc<Directory>,
    pub(super) connectors: Arc<Connectors>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) alerts: alerts::Config,
    pub(super) bell: Arc<Bell>,
    /// Keys the ids of what is told.
    pub(super) secret: [u8; 16],
}

#[async_trait]
impl Powers for CasePowers {
    fn can_recall(&self, account: &str, group: &str) -> bool {
        self.connectors.capabilities_of(account, group).is_some_and(|can| can.can_recall)
    }

    async fn expel(&self, order: &Order) -> Result<Expelled, NotTaken> {
        self.ingest.expel(order).await
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
