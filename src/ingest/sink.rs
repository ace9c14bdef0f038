//! Where connectors' own findings come in: rosters they read, changes nobody told. The same pipeline and journal as for
//! callbacks, so nothing counts twice whoever tells it first.
//!
//! Not for: deciding what a finding means (connectors compare, the pipeline counts).

use async_trait::async_trait;
use http::StatusCode;

use super::Ingest;
use super::events::{GAP, Source};
use super::partitions::{Partitions, Standing};
use crate::connectors::EventSink;
use crate::connectors::offers::{KnownGroup, KnownRoster, SinkError, Taken};
use crate::event::{GroupEvent, Role, Status};
use crate::storage::{GroupRow, SharedStorage, StorageError};

/// Members read in one go.
const MEMBERS_PAGE: usize = 1_000;

#[async_trait]
impl EventSink for Ingest {
    async fn take(&self, events: Vec<GroupEvent<'static>>) -> Result<Vec<Taken>, SinkError> {
        // It waits its turn instead of being refused: nobody stands behind it who would send again.
        let _permit = self.permits.acquire().await.map_err(|_| SinkError("the gateway stops".to_owned()))?;
        let results = self.take(Source::Platform, events.into_iter().map(Ok)).await;
        let mut taken = Vec::new();
        for result in results.map_err(|refusal| SinkError(refusal.detail))? {
            taken.push(match result {
                Ok(answer) => match answer.status {
                    Status::Counted => Taken::Counted,
                    Status::Duplicate => Taken::Duplicate,
                    Status::Late => Taken::Late,
                },
                Err(refusal) if refusal.code == GAP => Taken::Gap,
                Err(refusal) if refusal.status == StatusCode::SERVICE_UNAVAILABLE => {
                    return Err(SinkError(refusal.detail)); // all of it may come again; repeats are recognised
                }
                Err(refusal) => Taken::Refused(refusal.code),
            });
        }
        Ok(taken)
    }

    async fn roster(&self, account: &str, group: &str) -> Result<KnownRoster, SinkError> {
        self.partitions.roster(account, group).await
    }

    async fn groups(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KnownGroup>, SinkError> {
        let after = Some((account.to_owned(), after.unwrap_or_default().to_owned()));
        let rows = self
            .partitions
            .read(move |storage| {
                storage.project()?;
                storage.groups(after, limit)
            })
            .await?;
        // Rows are in order of accounts: the first of another account ends this one's.
        Ok(rows.into_iter().take_while(|row| row.account == account).map(known_group).collect())
    }
}

impl Partitions {
    /// Returns a group's roster with the marks it stands at.
    ///
    /// The marks are taken first and the members read when those marks are durable and folded in. So members may be newer
    /// than marks, never older: what is concluded from both is at worst a gap, never a second count.
    async fn roster(&self, account: &str, group: &str) -> Result<KnownRoster, SinkError> {
        let Standing { marks, partition, commit } =
            self.standing(account, group).map_err(|error| SinkError(error.to_string()))?;
        if let Some(receipt) = commit {
            self.committed(partition, receipt).await.map_err(|error| SinkError(error.to_string()))?;
        }
        let (account, group) = (account.to_owned(), group.to_owned());
        self.read(move |storage| {
            storage.project()?;
            let row = storage.group(&account, &group)?;
            let members = present(storage, &account, &group)?;
            let group = row.map_or_else(|| KnownGroup { group, ..KnownGroup::default() }, known_group);
            Ok(KnownRoster { marks, members, group })
        })
        .await
    }

    /// Reads storage off the async workers.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SharedStorage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let storage = self.storage().clone();
        match tokio::task::spawn_blocking(move || read(&storage)).await {
            Ok(result) => result.map_err(|error| SinkError(error.to_string())),
            Err(error) => Err(SinkError(error.to_string())),
        }
    }
}

fn present(storage: &SharedStorage, account: &str, group: &str) -> Result<Vec<(String, Role)>, StorageError> {
    let mut members = Vec::new();
    let mut after = None;
    loop {
        let page = storage.members(account, group, after.take(), MEMBERS_PAGE)?;
        let is_last = page.len() < MEMBERS_PAGE;
        after = page.last().map(|row| row.member.clone());
        members.extend(page.into_iter().filter(|row| row.present).map(|row| (row.member, row.role)));
        if is_last {
            return Ok(members);
        }
    }
}

fn known_group(row: GroupRow) -> KnownGroup {
    let GroupRow { group, name, owner, dismissed, last_ms, .. } = row;
    KnownGroup { group, name, owner, dismissed, last_ms }
}

#[cfg(test)]
mod tests;
