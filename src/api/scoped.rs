//! The one gate between rows of storage and a caller: each question is asked within the caller's scope.
//!
//! Storage knows no scopes; the directory knows where a group belongs. Whatever a handler reads from storage comes
//! through here and has met both.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::ApiResult;
use super::state::Cx;
use crate::directory::{GroupContext, GroupFilter, GroupFound};
use crate::event::Place;
use crate::storage::{
    AuditEntry, AuditFilter, CountRow, Counters, CountsQuery, GroupRow, HitRow, MemberRow, Totals,
};

/// Audit entries read in one go, and how often before a page is given back short.
const AUDIT_PAGE: usize = 500;
const AUDIT_PAGES_MAX: usize = 20;

/// A group with what the journal tells of it.
pub(super) struct GroupSeen {
    pub(super) account: String,
    pub(super) group: String,
    pub(super) context: Arc<GroupContext>,
    /// `None` when nothing ever happened in it.
    pub(super) row: Option<GroupRow>,
}

/// Counters of the visible groups over a time.
pub(super) struct ScopedTotals {
    /// When they were read.
    pub(super) as_of_ms: i64,
    /// Groups of the scope and filter, also those where nothing happened.
    pub(super) groups: usize,
    /// One row for each group where something happened.
    pub(super) rows: Vec<(Totals, Arc<GroupContext>)>,
}

impl Cx {
    /// Returns one group.
    pub(super) async fn group(&self, account: &str, group: &str) -> ApiResult<GroupSeen> {
        let context = self.directory().group_in(self.scope(), account, group)?;
        let (account, group) = (account.to_owned(), group.to_owned());
        let key = (account.clone(), group.clone());
        let row = self.blocking(move |storage| {
            storage.project()?; // what was acknowledged is in the numbers one reads
            storage.group(&key.0, &key.1)
        });
        Ok(GroupSeen { row: row.await?, account, group, context })
    }

    /// Returns groups after a cursor.
    pub(super) async fn groups(
        &self,
        filter: GroupFilter,
        after: Option<(String, String)>,
        limit: usize,
    ) -> ApiResult<Vec<GroupSeen>> {
        let (directory, scope) = (Arc::clone(self.directory()), self.scope().clone());
        self.blocking(move |storage| {
            storage.project()?;
            let after = after.as_ref().map(|(account, group)| (account.as_str(), group.as_str()));
            let found = directory.groups_in(&scope, &filter, after, limit);
            found
                .into_iter()
                .map(|GroupFound { group, context }| {
                    let account = context.account.id.to_string();
                    let row = storage.group(&account, &group)?;
                    Ok(GroupSeen { account, group: group.into(), context, row })
                })
                .collect()
        })
        .await
    }

    /// Returns members of a group after a cursor.
    pub(super) async fn members(
        &self,
        account: String,
        group: String,
        after: Option<String>,
        limit: usize,
    ) -> ApiResult<Vec<MemberRow>> {
        self.directory().group_in(self.scope(), &account, &group)?;
        self.blocking(move |storage| {
            storage.project()?;
            storage.members(&account, &group, after, limit)
        })
        .await
    }

    /// Returns the latest hits of a group, newest first.
    pub(super) async fn hits(&self, account: String, group: String, limit: usize) -> ApiResult<Vec<HitRow>> {
        self.directory().group_in(self.scope(), &account, &group)?;
        self.blocking(move |storage| {
            storage.project()?;
            storage.hits(&account, &group, limit)
        })
        .await
    }

    /// Returns counters of a group by hour, and when they were read.
    pub(super) async fn counts(&self, query: CountsQuery) -> ApiResult<(i64, Vec<CountRow>)> {
        self.directory().group_in(self.scope(), &query.account, &query.group)?;
        let as_of_ms = self.now_ms();
        let rows = self.blocking(move |storage| {
            storage.project()?;
            storage.counts(&query)
        });
        Ok((as_of_ms, rows.await?))
    }

    /// Returns the sums of the visible groups over `[from_ms, until_ms)`.
    pub(super) async fn totals(
        &self,
        filter: GroupFilter,
        from_ms: i64,
        until_ms: i64,
    ) -> ApiResult<ScopedTotals> {
        let as_of_ms = self.now_ms();
        let (directory, scope) = (Arc::clone(self.directory()), self.scope().clone());
        self.blocking(move |storage| {
            storage.project()?;
            let visible = directory.groups_in(&scope, &filter, None, usize::MAX);
            let visible: HashMap<(&str, &str), &GroupFound> = visible
                .iter()
                .map(|found| ((found.context.account.id.as_str(), &*found.group), found))
                .collect();
            let rows = storage.totals(from_ms, until_ms)?.into_iter().filter_map(|row| {
                let found = visible.get(&(row.account.as_str(), row.group.as_str()))?;
                let context = Arc::clone(&found.context);
                Some((row, context))
            });
            Ok(ScopedTotals { as_of_ms, groups: visible.len(), rows: rows.collect() })
        })
        .await
    }

    /// Returns audit entries before a position, newest first, and where to go on.
    pub(super) async fn audit(
        &self,
        object: Option<String>,
        before: Option<u64>,
        limit: usize,
    ) -> ApiResult<(Vec<AuditEntry>, Option<u64>)> {
        let mut entries = Vec::new();
        let mut before = before;
        for _ in 0..AUDIT_PAGES_MAX {
            let filter = AuditFilter { before, object: object.clone(), limit: AUDIT_PAGE };
            let page = self.storage().audit(filter).await?;
            let last = page.len() < AUDIT_PAGE;
            for entry in page {
                before = Some(entry.seq);
                if self.scope().covers(&Place::of_path(&entry.place)) {
                    entries.push(entry);
                    if entries.len() == limit {
                        return Ok((entries, before));
                    }
                }
            }
            if last {
                return Ok((entries, None));
            }
        }
        // A small scope in a large log: give back what there is, and let the client go on from here.
        Ok((entries, before))
    }
}

impl ScopedTotals {
    /// Returns the sum over all groups.
    pub(super) fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        for (row, _) in &self.rows {
            sum.add(&row.counters);
        }
        sum
    }
}
