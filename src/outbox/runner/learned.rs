//! What refusals taught about an account's limits, kept in the ledger, so that a restart goes on where it was.
//!
//! Times on disk are wall time: a clock set forward gives a rate back sooner than it should, never more than what is
//! configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Done, Runner};
use crate::event::AccountId;
use crate::outbox::delivery::{Delivery, RefusalScope};
use crate::outbox::limit::Limit;
use crate::outbox::limiter::{Micros, WHOLE};
use crate::outbox::pacer::{GroupNo, Learning, Lesson, Pacer, Scope};
use crate::storage::{Change, DocumentKind, SharedStorage, StorageError, Write};
use crate::telemetry::metrics;

/// Groups of one account whose lessons are kept; beyond it the oldest is forgotten.
const GROUPS_MAX: usize = 500;

/// What is known of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Learned {
    /// Of everything through it.
    #[serde(default)]
    account: Option<Entry>,
    /// Of its groups, by id.
    #[serde(default)]
    groups: BTreeMap<String, Entry>,
}

/// One lesson, in wall time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry {
    /// What the rate was halved to, in thousandths of the configured one.
    share: u16,
    at_ms: i64,
    /// The limit that was put where none was configured.
    #[serde(default)]
    limit: Option<Limit>,
}

impl Learned {
    /// Reads what an earlier run learned.
    pub(super) async fn read(
        storage: &SharedStorage,
        account: &AccountId,
    ) -> Result<Option<Self>, StorageError> {
        let document = storage.document(DocumentKind::LearnedLimits, account.as_str()).await?;
        // What cannot be read was written by a later version: learning starts anew.
        Ok(document.and_then(|document| serde_json::from_str(&document.body).ok()))
    }

    /// Returns when the account was refused last, in milliseconds since the epoch.
    pub(super) fn account_refused_ms(&self) -> Option<i64> {
        self.account.map(|entry| entry.at_ms)
    }

    /// Returns the groups that were refused, with when.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&str, i64)> {
        self.groups.iter().map(|(group, entry)| (group.as_str(), entry.at_ms))
    }

    /// Forgets what has been regained, and the oldest of what is too much.
    fn prune(&mut self, now_ms: i64, learning: &Learning) {
        let step = i64::from(learning.regain_percent.max(1)) * i64::from(WHOLE / 100);
        let every = i64::try_from(learning.regain_every.as_millis()).unwrap_or(i64::MAX);
        let life = (i64::from(WHOLE) / step).saturating_add(1).saturating_mul(every);
        let is_old = |entry: &Entry| now_ms.saturating_sub(entry.at_ms) > life;
        self.account = self.account.filter(|entry| !is_old(entry));
        self.groups.retain(|_, entry| !is_old(entry));
        while self.groups.len() > GROUPS_MAX {
            let oldest =
                self.groups.iter().min_by_key(|(_, entry)| entry.at_ms).map(|(group, _)| group.clone());
            let Some(oldest) = oldest else { break };
            self.groups.remove(&oldest);
        }
    }
}

impl Runner {
    /// Slows down what a platform refused as too much, and writes it down.
    pub(super) fn refused(
        &mut self,
        scope: RefusalScope,
        delivery: &Delivery,
        group: GroupNo,
        now: Micros,
        started: Micros,
    ) {
        let Some(pacer) = &mut self.pacer else { return };
        let (lesson, level) = match scope {
            RefusalScope::Account => (pacer.account_refused(now, started), Scope::Account),
            RefusalScope::Group => {
                let class = pacer.limits().class_of(&delivery.group);
                (pacer.group_refused(now, started, group, class), Scope::Group)
            }
            RefusalScope::Delivery => return,
        };
        metrics::limiter_refused(super::dispatch::counted_as(level));
        let Some(lesson) = lesson else { return };
        let entry = Entry { share: lesson.share, at_ms: self.wall_ms(lesson.at), limit: lesson.limit };
        tracing::warn!(
            account.id = %self.account, level = level.as_str(), share_thousandths = lesson.share,
            "the platform said `too often`: the rate is halved and regained slowly"
        );
        let now_ms = self.now_ms();
        let learned = self.learned.get_or_insert_default();
        match level {
            Scope::Group => _ = learned.groups.insert(delivery.group.clone(), entry),
            Scope::Account | Scope::App | Scope::Corp => learned.account = Some(entry),
        }
        learned.prune(now_ms, &self.shared.config.pacing.learning);
        self.write_learned(now_ms);
    }

    fn write_learned(&mut self, at_ms: i64) {
        let body = serde_json::to_string(&self.learned).unwrap_or_default(); // our own record: it has string keys only
        let id = self.account.as_str().to_owned();
        let write = Write::Put { kind: DocumentKind::LearnedLimits, id, body, expect: None };
        let change = Change { at_ms, writes: vec![write], ..Change::default() };
        let storage = self.shared.storage.clone();
        self.work.spawn(async move {
            if let Err(error) = storage.apply(change).await {
                // It holds in memory; the next lesson writes it again.
                tracing::error!(%error, "write what a refusal taught");
            }
            Done::Written
        });
    }

    /// Slows a new pacer down as the last one was.
    pub(super) fn resume_learned(&mut self, pacer: &mut Pacer) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let Some(learned) = &self.learned else { return };
        let lesson = |entry: &Entry| {
            let ago = now_ms.saturating_sub(entry.at_ms).max(0).saturating_mul(1000);
            Lesson { share: entry.share, at: now.saturating_sub(ago), limit: entry.limit }
        };
        if let Some(entry) = &learned.account {
            pacer.resume_account(now, lesson(entry));
        }
        for (group, entry) in &learned.groups {
            let class = pacer.limits().class_of(group);
            pacer.resume_group(now, self.lanes.group_no(group), class, lesson(entry));
        }
    }
}
