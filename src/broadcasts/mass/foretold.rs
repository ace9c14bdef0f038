//! The range in which owners will have confirmed, before their tasks exist: of a draft, of what waits for approval or for its
//! time, and of what might be different.
//!
//! Owners are found as the preview finds them, and each confirms once, as their past tells. Tasks are taken to be made as soon
//! as the broadcast may send: the outbox is the faster half by far. Not in it: that a canary's owners come first (only the
//! time it is watched is), and stops of single regions or groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::desk;
use super::history::{self, History, Waiting};
use super::view::{self, Confirmation};
use super::watch::called_off_at;
use crate::broadcasts::saying::Sayer;
use crate::broadcasts::{
    Broadcast, BroadcastError, Broadcasts, Control, NoFinish, ReceivingCap, Supposed, storage_error,
};
use crate::event::AccountId;
use crate::outbox::holds::LetsGo;
use crate::storage::{DocumentKind, StorageError};

/// Histories read at once.
const PAGE: usize = 1_000;

impl Broadcasts {
    /// Returns how far the confirmations of a broadcast are, with a range also while its tasks do not exist; `None` when it
    /// needs none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn confirmation_foretold(
        &self,
        broadcast: &Broadcast,
        supposed: &Supposed,
    ) -> Result<Option<Confirmation>, BroadcastError> {
        let Some(told) = self.confirmation_of(broadcast) else { return Ok(None) };
        let is_over = broadcast.control == Control::Cancelled || broadcast.mass.closing.is_some();
        let has_tasks =
            self.desks.lock().get(&broadcast.id).is_some_and(|desk| view::is_complete(broadcast, desk));
        if is_over || has_tasks {
            return Ok(Some(told));
        }
        let now_ms = self.parts.clock.now_ms();
        let begins_ms = supposed.starts_ms.unwrap_or(broadcast.starts_ms).max(now_ms);
        let schedule = supposed.schedule.as_ref().unwrap_or(&broadcast.schedule);
        let owners = self.owners_of(broadcast).await?;
        let mut waiting = Vec::new();
        let mut without_history = 0;
        for (account, owners) in owners {
            let from_ms = match self.holds_on(broadcast, &account).whole() {
                LetsGo::Now => begins_ms,
                LetsGo::At(at_ms) => begins_ms.max(*at_ms),
                LetsGo::Never(hold) => {
                    let unknown = Some(NoFinish::Held(hold.clone()));
                    return Ok(Some(Confirmation { finish: None, unknown, ..told }));
                }
            };
            let Some(created_ms) = self.within_hours(broadcast, schedule, from_ms, 1) else {
                return Ok(Some(Confirmation { finish: None, unknown: Some(NoFinish::NoHours), ..told }));
            };
            let created_ms = created_ms - 1 + broadcast.watching_ms(now_ms);
            let until_ms = called_off_at(broadcast, created_ms, &self.parts.config.confirmations);
            let known = self.histories(&account).await.map_err(storage_error("read how long owners take"))?;
            let taken = history::taken_for_unknown(known.values().map(|delays_s| &**delays_s));
            for owner in owners {
                without_history += u64::from(!known.contains_key(&owner));
                let delays_s = known.get(&owner).unwrap_or(&taken).clone();
                waiting.push(Waiting { created_ms, until_ms, delays_s });
            }
        }
        let finish = history::finish(waiting.into_iter(), now_ms);
        Ok(Some(Confirmation { finish, owners_without_history: without_history, ..told }))
    }

    /// Finds who would have to confirm now, by account.
    async fn owners_of(
        &self,
        broadcast: &Broadcast,
    ) -> Result<BTreeMap<AccountId, BTreeSet<String>>, BroadcastError> {
        let Broadcast { audience, exclude, account, scopes, .. } = broadcast;
        let found = self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?;
        let sayer = Sayer::of(&self.parts);
        let mut groups: BTreeMap<AccountId, (Option<ReceivingCap>, Vec<String>)> = BTreeMap::new();
        for name in &found.names {
            let Some(terms) = sayer.terms(name) else { continue };
            let place = groups.entry(name.account.clone()).or_default();
            place.0 = terms.receiving_cap;
            place.1.push(name.group.as_str().to_owned());
        }
        let mut owners: BTreeMap<AccountId, BTreeSet<String>> = BTreeMap::new();
        for (account, (cap, groups)) in groups {
            let known = self.known(&account, cap).await.map_err(storage_error("read owners"))?;
            let of_groups = groups.iter().filter_map(|group| known.owner_of(group).ok().map(str::to_owned));
            owners.entry(account).or_default().extend(of_groups);
        }
        Ok(owners)
    }

    /// Reads how long each owner of an account took.
    async fn histories(&self, account: &AccountId) -> Result<BTreeMap<String, Arc<[u32]>>, StorageError> {
        let prefix = desk::history_id(account, "");
        let (mut histories, mut after) = (BTreeMap::new(), prefix.clone());
        loop {
            let page = self.parts.storage.documents(DocumentKind::OwnerHistory, Some(after), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|document| document.id.clone()).unwrap_or_default();
            for document in page {
                let Some(owner) = document.id.strip_prefix(&prefix) else { return Ok(histories) };
                let history: History = desk::read(&document.id, &document.body)?;
                histories.extend(history.delays_s().map(|delays_s| (owner.to_owned(), delays_s)));
            }
            if !full {
                return Ok(histories);
            }
        }
    }
}
