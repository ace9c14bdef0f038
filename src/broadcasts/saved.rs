//! Saved audiences: kept under a name, used in other audiences and to leave groups out; and the way from an audience as it
//! was written to the groups it comes to.
//!
//! Invariants: no saved audience leads back to itself; one that others lead to is not removed; who may not see one may
//! neither use nor change it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::audience::{Audience, AudienceError};
use super::reached::{Barred, Found, Reach};
use super::state::Control;
use super::{BroadcastError, Broadcasts, storage_error};
use crate::event::{AccountId, Actor, GroupName, OperatorId, Place, Scope};
use crate::storage::{AuditEntry, Change, Document, DocumentKind, StorageError, Write};

/// What somebody wants to keep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAudience {
    /// For people.
    #[serde(default)]
    pub title: String,
    /// To whom.
    pub audience: Audience,
    /// No broadcast goes to these groups, whoever sends it.
    #[serde(default)]
    pub do_not_send: bool,
}

/// A saved audience, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAudience {
    /// For people.
    pub title: String,
    /// To whom.
    pub audience: Audience,
    /// No broadcast goes to these groups.
    pub do_not_send: bool,
    /// Where it belongs: who may see and use it.
    pub place: Place,
    /// What whoever wrote it could reach: as a bar it reaches no further.
    pub scopes: Vec<Scope>,
    /// Who wrote it last.
    pub written_by: OperatorId,
}

/// A saved audience with its name and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its name.
    pub id: String,
    /// Grows with every write.
    pub version: u64,
    /// When it was written, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// What was written.
    pub is: SavedAudience,
}

/// Something that asks about a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentUser {
    /// A saved audience, a broadcast or a journey.
    pub kind: DocumentKind,
    /// Its id.
    pub id: String,
    /// Where it belongs.
    pub place: Place,
}

/// What becomes of the groups a list held before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListMode {
    /// They are forgotten.
    #[default]
    Replace,
    /// They stay.
    Add,
}

const KIND: DocumentKind = DocumentKind::Audience;
/// Documents read in one go: each may list many groups.
const PAGE: usize = 50;

fn read(document: Document) -> Result<Saved, StorageError> {
    let Document { id, version, updated_ms, body, kind: _ } = document;
    let is = serde_json::from_str(&body).map_err(|error| StorageError::Unreadable {
        what: format!("audience `{id}`"),
        detail: error.to_string(),
    })?;
    Ok(Saved { id, version, updated_ms, is })
}

impl Saved {
    fn is_visible_to(&self, actor: &Actor) -> bool {
        actor.scope.covers(&self.is.place)
    }
}

impl Broadcasts {
    /// Most names of one audience.
    pub fn audience_names_max(&self) -> usize {
        self.parts.config.audience_names_max
    }

    async fn saved_audience(&self, id: &str) -> Result<Option<Saved>, BroadcastError> {
        let document = self.parts.storage.document(KIND, id).await;
        let document = document.map_err(storage_error("read an audience"))?;
        document.map(read).transpose().map_err(storage_error("read an audience"))
    }

    /// Returns a saved audience that the actor may see.
    ///
    /// # Errors
    /// When there is none.
    pub async fn audience(&self, actor: &Actor, id: &str) -> Result<Saved, BroadcastError> {
        let saved = self.saved_audience(id).await?.filter(|saved| saved.is_visible_to(actor));
        saved.ok_or(BroadcastError::NoAudience)
    }

    /// Returns saved audiences that the actor may see, by name, after a cursor.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn audiences(
        &self,
        actor: &Actor,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Saved>, BroadcastError> {
        let mut found = Vec::new();
        let mut visit = |saved: Saved| {
            if saved.is_visible_to(actor) {
                found.push(saved);
            }
            found.len() < limit
        };
        self.visit_audiences(after, &mut visit).await?;
        Ok(found)
    }

    async fn visit_audiences(
        &self,
        mut after: Option<String>,
        visit: &mut (dyn FnMut(Saved) -> bool + Send),
    ) -> Result<(), BroadcastError> {
        loop {
            let page = self.parts.storage.documents(KIND, after.take(), PAGE).await;
            let page = page.map_err(storage_error("read audiences"))?;
            let is_last = page.len() < PAGE;
            for document in page {
                after = Some(document.id.clone());
                if !visit(read(document).map_err(storage_error("read audiences"))?) {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Keeps an audience; `expect` is the version it must have now: 0 for none, `None` for any. Says whether it is new.
    ///
    /// # Errors
    /// When it names what the actor may not reach, would lead back to itself, or is not theirs to change.
    pub async fn put_audience(
        &self,
        actor: &Actor,
        id: &str,
        new: NewAudience,
        expect: Option<u64>,
    ) -> Result<(bool, Saved), BroadcastError> {
        let _turn = self.saving.lock().await; // two that lead to each other are not written at the same time
        self.write_audience(actor, id, new, expect).await
    }

    /// Keeps a list of groups as an audience, or adds them to one that is such a list. Returns also which groups it held.
    ///
    /// # Errors
    /// As [`Self::put_audience`]; and when there is something else than a list to be added to.
    pub async fn put_groups(
        &self,
        actor: &Actor,
        id: &str,
        groups: BTreeSet<GroupName>,
        mode: ListMode,
    ) -> Result<(Saved, BTreeSet<GroupName>), BroadcastError> {
        let _turn = self.saving.lock().await;
        let before = self.saved_audience(id).await?;
        if before.as_ref().is_some_and(|saved| !saved.is_visible_to(actor)) {
            return Err(BroadcastError::NoAudience);
        }
        let (title, do_not_send) = before
            .as_ref()
            .map_or_else(Default::default, |saved| (saved.is.title.clone(), saved.is.do_not_send));
        let held = match before.map(|saved| saved.is.audience) {
            Some(Audience::Groups(held)) => held,
            Some(_) if mode == ListMode::Add => return Err(BroadcastError::NoList),
            Some(_) | None => BTreeSet::new(),
        };
        let mut all = groups;
        if mode == ListMode::Add {
            all.extend(held.iter().cloned());
        }
        let new = NewAudience { title, audience: Audience::Groups(all), do_not_send };
        let (_, saved) = self.write_audience(actor, id, new, None).await?;
        Ok((saved, held))
    }

    async fn write_audience(
        &self,
        actor: &Actor,
        id: &str,
        new: NewAudience,
        expect: Option<u64>,
    ) -> Result<(bool, Saved), BroadcastError> {
        let NewAudience { title, audience, do_not_send } = new;
        let before = self.saved_audience(id).await?;
        if before.as_ref().is_some_and(|saved| !saved.is_visible_to(actor)) {
            return Err(BroadcastError::NoAudience);
        }
        self.check_audience(actor, &audience).await?;
        let mut saved = self.saved_for([&audience].into_iter()).await?;
        saved.insert(id.to_owned(), audience.clone());
        Audience::Saved(id.to_owned()).spelled_out(&saved)?;
        let is_new = before.is_none();
        if is_new {
            let mut there = 0;
            self.visit_audiences(None, &mut |_| {
                there += 1;
                true
            })
            .await?;
            if there >= self.parts.config.audiences_max {
                return Err(BroadcastError::TooManyAudiences(there));
            }
        }
        let now_ms = self.parts.clock.now_ms();
        let place = audience.place(&actor.scope, &*self.parts.places);
        let (scopes, written_by) = (actor.scope.layers(), actor.operator.clone());
        let is = SavedAudience { title, audience, do_not_send, place, scopes, written_by };
        let audit =
            AuditEntry::by(actor, now_ms, if is_new { "create" } else { "update" }, KIND.as_str(), id)
                .at(&is.place)
                .with(&serde_json::json!({"audience": is.audience.summary(), "do_not_send": is.do_not_send}));
        let body = serde_json::to_string(&is).expect("an audience holds nothing that JSON cannot say");
        let writes = vec![Write::Put { kind: KIND, id: id.to_owned(), body, expect }];
        let change = Change { at_ms: now_ms, writes, audit: vec![audit], ..Change::default() };
        let versions = self.parts.storage.apply(change).await.map_err(storage_error("keep an audience"))?;
        let version = versions.first().copied().unwrap_or(1);
        Ok((is_new, Saved { id: id.to_owned(), version, updated_ms: now_ms, is }))
    }

    /// Removes a saved audience.
    ///
    /// # Errors
    /// When another one leads to it, or the actor may not see it.
    pub async fn delete_audience(&self, actor: &Actor, id: &str) -> Result<(), BroadcastError> {
        let _turn = self.saving.lock().await;
        let saved = self.audience(actor, id).await?;
        let mut user = None;
        self.visit_audiences(None, &mut |other| {
            let mut leads_to = BTreeSet::new();
            other.is.audience.saved(&mut leads_to);
            if leads_to.contains(id) {
                user = Some(other.id);
            }
            user.is_none()
        })
        .await?;
        if let Some(user) = user {
            return Err(BroadcastError::AudienceInUse(user));
        }
        let now_ms = self.parts.clock.now_ms();
        let audit = vec![AuditEntry::by(actor, now_ms, "delete", KIND.as_str(), id).at(&saved.is.place)];
        let writes = vec![Write::Delete { kind: KIND, id: id.to_owned() }];
        let change = Change { at_ms: now_ms, writes, audit, ..Change::default() };
        self.parts.storage.apply(change).await.map_err(storage_error("remove an audience"))?;
        Ok(())
    }

    /// Returns what would reach somebody else without a segment: saved audiences, and broadcasts
    /// whose targets are not written yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn users_of_segment(&self, segment: &str) -> Result<Vec<SegmentUser>, BroadcastError> {
        let asks = |audience: &Audience| {
            let mut segments = BTreeSet::new();
            audience.segments(&mut segments);
            segments.contains(segment)
        };
        let mut users = Vec::new();
        self.visit_audiences(None, &mut |saved| {
            if asks(&saved.is.audience) {
                users.push(SegmentUser { kind: KIND, id: saved.id, place: saved.is.place });
            }
            true
        })
        .await?;
        let slots: Vec<_> = self.active.lock().values().cloned().collect();
        for slot in slots {
            let broadcast = slot.lock().await.broadcast.clone();
            let is_over = broadcast.closed
                || broadcast.control == Control::Cancelled
                || (broadcast.control == Control::Running
                    && broadcast.repeat.is_some()
                    && broadcast.next_ms == 0);
            let is_open = !is_over && !broadcast.expansion.done;
            if is_open
                && [Some(&broadcast.audience), broadcast.exclude.as_ref()].into_iter().flatten().any(asks)
            {
                let (kind, id) = (DocumentKind::Broadcast, broadcast.id.to_string());
                users.push(SegmentUser { kind, id, place: broadcast.place });
            }
        }
        Ok(users)
    }

    /// Says what is wrong with an audience as somebody wrote it.
    pub(super) async fn check_audience(
        &self,
        actor: &Actor,
        audience: &Audience,
    ) -> Result<(), BroadcastError> {
        audience.check(&actor.scope, &*self.parts.places, &self.parts.config)?;
        let mut segments = BTreeSet::new();
        audience.segments(&mut segments);
        if let Some(id) = segments.into_iter().find(|id| !self.parts.book.has_segment(&actor.scope, id)) {
            return Err(AudienceError::Unknown { kind: "segment", id }.into());
        }
        let mut names = BTreeSet::new();
        audience.saved(&mut names);
        for name in names {
            if self.saved_audience(name).await?.is_none_or(|saved| !saved.is_visible_to(actor)) {
                return Err(AudienceError::Unknown { kind: "audience", id: name.to_owned() }.into());
            }
        }
        Ok(())
    }

    /// Reads every saved audience that these lead to, one by way of another.
    async fn saved_for(
        &self,
        audiences: impl Iterator<Item = &Audience>,
    ) -> Result<BTreeMap<String, Audience>, BroadcastError> {
        let leads_to = |audience: &Audience| -> Vec<String> {
            let mut names = BTreeSet::new();
            audience.saved(&mut names);
            names.into_iter().map(str::to_owned).collect()
        };
        let mut wanted: Vec<String> = audiences.flat_map(leads_to).collect();
        let mut saved = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            if saved.contains_key(&name) {
                continue;
            }
            if let Some(found) = self.saved_audience(&name).await? {
                wanted.extend(leads_to(&found.is.audience));
                saved.insert(name, found.is.audience);
            }
        }
        Ok(saved)
    }

    /// Finds the groups that an audience comes to now.
    pub(super) async fn find(
        &self,
        audience: &Audience,
        exclude: Option<&Audience>,
        account: Option<&AccountId>,
        scopes: &[Scope],
    ) -> Result<Found, BroadcastError> {
        let mut barred = Vec::new();
        self.visit_audiences(None, &mut |saved| {
            if saved.is.do_not_send {
                barred.push(Barred { audience: saved.is.audience, scopes: saved.is.scopes });
            }
            true
        })
        .await?;
        let written =
            [audience].into_iter().chain(exclude).chain(barred.iter().map(|barred| &barred.audience));
        let saved = self.saved_for(written).await?;
        for bar in &mut barred {
            bar.audience = bar.audience.spelled_out(&saved)?;
        }
        let reach = Reach {
            audience: audience.spelled_out(&saved)?,
            exclude: exclude.map(|exclude| exclude.spelled_out(&saved)).transpose()?,
            account: account.cloned(),
            scopes: scopes.to_vec(),
            barred,
        };
        let (book, now_ms) = (Arc::clone(&self.parts.book), self.parts.clock.now_ms());
        let found = tokio::task::spawn_blocking(move || reach.find(&*book, now_ms)).await;
        let found = found.map_err(|error| StorageError::Failed {
            operation: "find the groups of an audience",
            source: Box::new(error),
        });
        found.and_then(|found| found).map_err(storage_error("find the groups of an audience"))
    }
}
