//! The one gate between rows of storage and a caller: each question is asked within the caller's scope.
//!
//! Storage knows no scopes; the directory knows where a group belongs. Whatever a handler reads from storage comes
//! through here and has met both.

pub(super) mod crowd;
pub(super) mod figures;
pub(super) mod words;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::broadcasts::refused;
use super::error::{ApiError, ApiResult};
use super::state::Cx;
use crate::broadcasts::Broadcast;
use crate::directory::{GroupContext, GroupFilter, GroupFound};
use crate::event::{BroadcastId, Place, Places as _, Scope};
use crate::interception::ListScope;
use crate::outbox::AccountStatus;
use crate::storage::{
    AuditEntry, AuditFilter, CaseRow, Document, DocumentKind, GroupRow, HitRow, ListCountRow, MemberRow,
    Totals,
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

impl GroupSeen {
    /// Returns the declared name, or the platform's.
    pub(super) fn name(&self) -> Option<&str> {
        self.context.name().or_else(|| self.row.as_ref()?.name.as_deref())
    }

    /// Returns the declared owner, or the platform's.
    pub(super) fn owner(&self) -> Option<&str> {
        self.context.owner().or_else(|| self.row.as_ref()?.owner.as_deref())
    }
}

/// Counters of the visible groups over a time.
pub(super) struct ScopedTotals {
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

    /// Returns the sums of the visible groups over `[from_ms, until_ms)`.
    pub(super) async fn totals(
        &self,
        filter: GroupFilter,
        from_ms: i64,
        until_ms: i64,
    ) -> ApiResult<ScopedTotals> {
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
            Ok(ScopedTotals { rows: rows.collect() })
        })
        .await
    }

    /// Returns the hits of each wordlist over all groups and the messages they were found in, as of when. They span all
    /// scopes: whoever sees less than everything does not see them.
    pub(super) async fn list_counts(
        &self,
        from_ms: i64,
        until_ms: i64,
    ) -> ApiResult<(i64, u64, Vec<ListCountRow>)> {
        if !self.scope().is_everything() {
            return Err(ApiError::not_found("numbers"));
        }
        let as_of_ms = self.now_ms();
        self.blocking(move |storage| {
            storage.project()?;
            let totals = storage.totals(from_ms, until_ms)?;
            let messages = totals.iter().map(|row| row.counters.messages).sum();
            Ok((as_of_ms, messages, storage.list_counts(from_ms, until_ms)?))
        })
        .await
    }

    /// Returns the latest cases with a visible group, newest first; of their groups only the visible ones.
    pub(super) async fn cases(&self, limit: usize) -> ApiResult<Vec<CaseRow>> {
        let rows = self.blocking(move |storage| {
            storage.project()?;
            storage.cases(limit)
        });
        Ok(rows.await?.into_iter().filter_map(|case| self.visible(case)).collect())
    }

    /// Returns a case with a visible group; of its groups only the visible ones.
    pub(super) async fn case(&self, id: &str) -> ApiResult<CaseRow> {
        let id = id.to_owned();
        let row = self.blocking(move |storage| {
            storage.project()?;
            storage.case(&id)
        });
        row.await?.and_then(|case| self.visible(case)).ok_or_else(|| ApiError::not_found("case"))
    }

    fn visible(&self, mut case: CaseRow) -> Option<CaseRow> {
        case.groups.retain(|(account, group)| self.covers_group(account, group));
        Some(case).filter(|case| !case.groups.is_empty())
    }

    /// Says whether a group may be seen.
    pub(super) fn covers_group(&self, account: &str, group: &str) -> bool {
        self.scope().covers_group(account, group, &self.place_of_group(account, group))
    }

    /// Returns where a group belongs; nowhere when it is unknown.
    pub(super) fn place_of_group(&self, account: &str, group: &str) -> Place {
        self.directory().context(account, group).map(|context| context.place.clone()).unwrap_or_default()
    }

    /// Says whether a wordlist for a part of the groups may be seen: by whoever may see something it is for.
    pub(super) fn sees_list(&self, list: &ListScope) -> bool {
        let places = &**self.directory();
        let touches = |scope: &Scope| {
            let brands = scope.brands.iter().map(|id| Place { brand: Some(id.clone()), ..Place::default() });
            let regions = scope.regions.iter().map(|id| places.region_place(id));
            let shops = scope.shops.iter().map(|id| places.shop_place(id));
            let groups = scope.groups.iter().map(|name| places.group_place(name));
            let is_for = |place: Place| {
                place.brand.is_some_and(|brand| list.brands.contains(&brand))
                    || place.region.is_some_and(|region| list.regions.contains(&region))
            };
            scope.all
                || brands.chain(regions).chain(shops).chain(groups).any(is_for)
                || list.regions.iter().any(|region| scope.covers(&places.region_place(region)))
                || list.groups.iter().any(|name| {
                    let place = places.group_place(name);
                    scope.covers_group(name.account.as_str(), name.group.as_str(), &place)
                })
        };
        // A tag is everybody's.
        list.is_everyone() || !list.tags.is_empty() || self.scope().layers().iter().all(touches)
    }

    fn sees_document(&self, document: &Document) -> bool {
        /// The part of a wordlist that says whom it is for.
        #[derive(Deserialize)]
        struct For {
            #[serde(default)]
            scope: ListScope,
        }
        document.kind != DocumentKind::Wordlist
            || self.scope().is_everything()
            || serde_json::from_str::<For>(&document.body).is_ok_and(|list| self.sees_list(&list.scope))
    }

    /// Returns a document that belongs to everybody, or a wordlist for something that may be seen.
    pub(super) async fn shared_document(&self, kind: DocumentKind, id: &str) -> ApiResult<Document> {
        let document = self.storage().document(kind, id).await?;
        let seen = document.filter(|document| self.sees_document(document));
        seen.ok_or_else(|| ApiError::not_found(kind.as_str()))
    }

    /// Returns documents that belong to everybody after a cursor, and the wordlists for something that may be seen.
    pub(super) async fn shared_documents(
        &self,
        kind: DocumentKind,
        after: Option<String>,
        limit: usize,
    ) -> ApiResult<Vec<Document>> {
        let (mut after, mut seen) = (after, Vec::new());
        loop {
            let page = self.storage().documents(kind, after, limit).await?;
            let is_last = page.len() < limit;
            after = page.last().map(|document| document.id.clone());
            seen.extend(page.into_iter().filter(|document| self.sees_document(document)));
            if is_last || seen.len() >= limit {
                seen.truncate(limit);
                return Ok(seen);
            }
        }
    }

    /// Returns a broadcast.
    pub(super) async fn broadcast(&self, id: &str) -> ApiResult<Broadcast> {
        let id = BroadcastId::parse(id).map_err(|_| ApiError::not_found("broadcast"))?;
        let broadcast = self.broadcasts().get(self.actor(), &id).await.map_err(refused)?;
        if self.sees(&broadcast) { Ok(broadcast) } else { Err(ApiError::not_found("broadcast")) }
    }

    /// Returns broadcasts after a cursor, oldest first, and where to go on; a page may be short.
    pub(super) async fn broadcasts_after(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> ApiResult<(Vec<Broadcast>, Option<String>)> {
        let page = self.broadcasts().list(self.actor(), after, limit).await;
        let (mut broadcasts, next) = page.map_err(refused)?;
        broadcasts.retain(|broadcast| self.sees(broadcast));
        Ok((broadcasts, next))
    }

    /// Says whether a broadcast lies within the scope: by its place, or since all it can reach does. That the caller made
    /// it is not enough: they may have had another scope then, or another token.
    fn sees(&self, broadcast: &Broadcast) -> bool {
        let within = |scope: &Scope| scope.is_within(self.scope(), &**self.directory());
        self.scope().covers(&broadcast.place) || broadcast.scopes.iter().any(within)
    }

    /// Returns the lanes of visible accounts.
    pub(super) fn lanes(&self) -> Vec<AccountStatus> {
        let visible = |lane: &AccountStatus| self.directory().account_in(self.scope(), &lane.account).is_ok();
        self.outbox().status().into_iter().filter(visible).collect()
    }

    /// Returns audit entries before a position, newest first, and where to go on.
    pub(super) async fn audit(
        &self,
        (object, id): (Option<String>, Option<String>),
        before: Option<u64>,
        limit: usize,
    ) -> ApiResult<(Vec<AuditEntry>, Option<u64>)> {
        let mut entries = Vec::new();
        let mut before = before;
        for _ in 0..AUDIT_PAGES_MAX {
            let filter = AuditFilter { before, object: object.clone(), id: id.clone(), limit: AUDIT_PAGE };
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
