//! What people write, in the ledger and in memory. Invariant: memory is changed after the ledger took it, under one lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::kept::{Kept, Key};
use super::marks::{self, Edit, Mark, Marks};
use super::rule::{RULES_MAX, Rule};
use super::segment::{SEGMENTS_MAX, Segment};
use super::{Parts, People, RuleBook};
use crate::event::{Actor, OperatorId, Place};
use crate::storage::{
    AuditEntry, Change, Document, DocumentKind, SharedStorage, Storage, StorageError, Write,
};
use crate::telemetry::metrics;

/// A document with its name and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// When it was written.
    pub updated_ms: i64,
    /// What was written.
    pub is: T,
}

/// A segment, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSegment {
    /// For people.
    pub title: String,
    /// Who is meant.
    pub segment: Segment,
    /// Where it belongs: who may see and use it.
    pub place: Place,
    /// Who wrote it last.
    pub written_by: OperatorId,
}

/// Why something is not written.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// There are as many as may be.
    #[error("{0}")]
    Full(String),
    /// The ledger did not take it.
    #[error("the ledger did not take it")]
    Storage(#[from] StorageError),
}

const PAGE: usize = 1_000;

async fn each<T: DeserializeOwned>(
    storage: &dyn Storage,
    kind: DocumentKind,
    mut visit: impl FnMut(Stored<T>),
) -> Result<(), StorageError> {
    let mut after = None;
    loop {
        let page = storage.documents(kind, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        for document in page {
            visit(read(document)?);
        }
        if is_last {
            return Ok(());
        }
    }
}

fn read<T: DeserializeOwned>(document: Document) -> Result<Stored<T>, StorageError> {
    let Document { kind, id, version, updated_ms, body } = document;
    let is = serde_json::from_str(&body).map_err(|error| StorageError::Unreadable {
        what: format!("{} `{id}`", kind.as_str()),
        detail: error.to_string(),
    })?;
    Ok(Stored { id, version, updated_ms, is })
}

/// Tells storage who members are, by account; returns those who are somebody else.
async fn tell(
    storage: &SharedStorage,
    told: Vec<(String, Vec<(String, String)>)>,
) -> Result<HashSet<Key>, StorageError> {
    if told.is_empty() {
        return Ok(HashSet::new());
    }
    let storage = storage.clone();
    let telling = tokio::task::spawn_blocking(move || {
        let mut not_them = HashSet::new();
        for (account, members) in told {
            let is = storage.identify(&account, &members)?;
            let others = members.into_iter().zip(is).filter(|(_, is)| !is);
            not_them.extend(others.map(|((member, _), _)| (account.clone(), member)));
        }
        Ok(not_them)
    });
    telling.await.map_err(|error| StorageError::failed("tell who members are", error))?
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // texts and numbers: cannot fail
}

fn put_into<T>(all: &mut Vec<Stored<T>>, stored: Stored<T>) {
    match all.binary_search_by(|other| other.id.cmp(&stored.id)) {
        Ok(at) => all[at] = stored,
        Err(at) => all.insert(at, stored),
    }
}

impl People {
    /// Reads what people wrote.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn open(parts: Parts) -> Result<Self, StorageError> {
        let mut marks = Marks::default();
        each(&*parts.storage, DocumentKind::MemberMark, |stored: Stored<Mark>| {
            if let Some((account, member)) = stored.id.split_once('/') {
                marks.set(account, member, stored.is);
            }
        })
        .await?;
        let (mut rules, mut segments) = (Vec::new(), Vec::new());
        each(&*parts.storage, DocumentKind::TagRule, |stored| rules.push(stored)).await?;
        each(&*parts.storage, DocumentKind::Segment, |stored| segments.push(stored)).await?;
        metrics::people::marked(marks.count());
        // The projection may have lost to a power cut what the ledger holds.
        tell(&parts.storage, marks.identities()).await?;
        let kept = Kept::new(parts.storage.head_position()?, parts.config.rule_tags_max);
        Ok(Self {
            marks: RwLock::new(marks),
            rules: ArcSwap::from_pointee(RuleBook::new(1, rules)),
            segments: RwLock::new(segments),
            kept: Mutex::new(kept),
            touched: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
            parts,
        })
    }

    /// Edits what is written on members, in one commit with one audit entry; says of each whether it is new, or why it
    /// stays as it is.
    ///
    /// # Errors
    /// When the ledger does not take it: nothing was written.
    pub async fn edit(
        &self,
        edits: Vec<(String, String, Edit)>,
        audit: AuditEntry,
    ) -> Result<Vec<Result<bool, String>>, StorageError> {
        let _turn = self.writing.lock().await;
        let not_them = self.tell(&edits).await?;
        let (mut answers, mut changed) =
            (Vec::with_capacity(edits.len()), Vec::<(String, String, Mark)>::new());
        let mut count = self.marks.read().count();
        for (account, member, edit) in edits {
            let at = changed.iter().position(|(a, m, _)| *a == account && *m == member);
            let known = self.mark(&account, &member);
            if matches!(edit, Edit::Identity(_)) && not_them.contains(&(account.clone(), member.clone())) {
                answers.push(Err(
                    "the member was told to be somebody else before, and what was told first holds\
                                  （该成员已有另一身份，先到的为准）"
                        .to_owned(),
                ));
                continue;
            }
            let mut mark = match at.and_then(|at| changed.get(at)) {
                Some((.., mark)) => mark.clone(),
                None => known.as_deref().cloned().unwrap_or_default(),
            };
            let is_new = mark.is_empty();
            answers.push(match mark.edit(edit) {
                Err(why) => Err(why),
                Ok(true) if is_new && count >= self.parts.config.marked_max => Err(format!(
                    "{count} members have tags or a value, more are not remembered (`people.marked_max`)"
                )),
                Ok(is_change) => {
                    if is_change {
                        count += usize::from(is_new);
                        match at.and_then(|at| changed.get_mut(at)) {
                            Some(before) => before.2 = mark,
                            None => changed.push((account, member, mark)),
                        }
                    }
                    Ok(is_new)
                }
            });
        }
        if changed.is_empty() {
            return Ok(answers);
        }
        let writes = changed.iter().map(|(account, member, mark)| {
            let (kind, id) = (DocumentKind::MemberMark, marks::id(account, member));
            if mark.is_empty() {
                Write::Delete { kind, id }
            } else {
                Write::Put { kind, id, body: json(mark), expect: None }
            }
        });
        let change =
            Change { at_ms: audit.at_ms, writes: writes.collect(), audit: vec![audit], ..Change::default() };
        self.parts.storage.apply(change).await?;
        let mut marks = self.marks.write();
        for (account, member, mark) in changed {
            self.touched.lock().add((account.clone(), member.clone()));
            marks.set(&account, &member, mark);
        }
        metrics::people::marked(marks.count());
        Ok(answers)
    }

    /// Tells storage who members are; returns those who are somebody else.
    async fn tell(&self, edits: &[(String, String, Edit)]) -> Result<HashSet<Key>, StorageError> {
        let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (account, member, edit) in edits {
            if let Edit::Identity(identity) = edit {
                told.entry(account.clone()).or_default().push((member.clone(), identity.clone()));
            }
        }
        tell(&self.parts.storage, told.into_iter().collect()).await
    }

    /// Writes a rule; says whether it is new.
    ///
    /// # Errors
    /// When there are too many, or it was changed meanwhile.
    pub async fn put_rule(
        &self,
        actor: &Actor,
        id: &str,
        rule: Rule,
        expect: Option<u64>,
    ) -> Result<(bool, Stored<Rule>), PeopleError> {
        let _turn = self.writing.lock().await;
        let book = self.rules();
        let is_new = book.get(id).is_none();
        if is_new && book.rules().len() >= RULES_MAX {
            return Err(PeopleError::Full(format!("there are {RULES_MAX} rules for tags; remove one first")));
        }
        let key = (DocumentKind::TagRule, id);
        let stored = self.write(actor, key, &Place::default(), rule, is_new, expect).await?;
        let mut rules = book.stored.clone();
        put_into(&mut rules, stored.clone());
        self.rules.store(Arc::new(RuleBook::new(book.version + 1, rules)));
        Ok((is_new, stored))
    }

    /// Removes a rule, if it is there.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn delete_rule(&self, actor: &Actor, id: &str) -> Result<bool, PeopleError> {
        let _turn = self.writing.lock().await;
        let book = self.rules();
        if book.get(id).is_none() {
            return Ok(false);
        }
        self.forget(actor, DocumentKind::TagRule, id, &Place::default()).await?;
        let rules = book.stored.iter().filter(|stored| stored.id != id).cloned().collect();
        self.rules.store(Arc::new(RuleBook::new(book.version + 1, rules)));
        Ok(true)
    }

    /// Returns the segments that an actor may see, by id.
    pub fn segments(&self, actor: &Actor) -> Vec<Stored<SavedSegment>> {
        let segments = self.segments.read();
        segments.iter().filter(|stored| actor.scope.covers(&stored.is.place)).cloned().collect()
    }

    /// Returns a segment, whoever may see it.
    pub fn segment(&self, id: &str) -> Option<Stored<SavedSegment>> {
        self.segments.read().iter().find(|stored| stored.id == id).cloned()
    }

    /// Writes a segment; says whether it is new. That it is the actor's to change was looked at before.
    ///
    /// # Errors
    /// When there are too many, or it was changed meanwhile.
    pub async fn put_segment(
        &self,
        actor: &Actor,
        id: &str,
        segment: SavedSegment,
        expect: Option<u64>,
    ) -> Result<(bool, Stored<SavedSegment>), PeopleError> {
        let _turn = self.writing.lock().await;
        let is_new = self.segment(id).is_none();
        if is_new && self.segments.read().len() >= SEGMENTS_MAX {
            return Err(PeopleError::Full(format!("there are {SEGMENTS_MAX} segments; remove one first")));
        }
        let (key, place) = ((DocumentKind::Segment, id), segment.place.clone());
        let stored = self.write(actor, key, &place, segment, is_new, expect).await?;
        put_into(&mut self.segments.write(), stored.clone());
        Ok((is_new, stored))
    }

    /// Removes a segment.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn delete_segment(&self, actor: &Actor, id: &str, place: &Place) -> Result<(), PeopleError> {
        let _turn = self.writing.lock().await;
        self.forget(actor, DocumentKind::Segment, id, place).await?;
        self.segments.write().retain(|stored| stored.id != id);
        Ok(())
    }

    async fn write<T: Serialize + Sync>(
        &self,
        actor: &Actor,
        (kind, id): (DocumentKind, &str),
        place: &Place,
        is: T,
        is_new: bool,
        expect: Option<u64>,
    ) -> Result<Stored<T>, PeopleError> {
        let at_ms = self.parts.clock.now_ms();
        let verb = if is_new { "create" } else { "update" };
        let audit = AuditEntry::by(actor, at_ms, verb, kind.as_str(), id).at(place).with(&is);
        let writes = vec![Write::Put { kind, id: id.to_owned(), body: json(&is), expect }];
        let change = Change { at_ms, writes, audit: vec![audit], ..Change::default() };
        let versions = self.parts.storage.apply(change).await?;
        let version = versions.first().copied().unwrap_or_default();
        Ok(Stored { id: id.to_owned(), version, updated_ms: at_ms, is })
    }

    async fn forget(
        &self,
        actor: &Actor,
        kind: DocumentKind,
        id: &str,
        place: &Place,
    ) -> Result<(), PeopleError> {
        let at_ms = self.parts.clock.now_ms();
        let audit = AuditEntry::by(actor, at_ms, "delete", kind.as_str(), id).at(place);
        let writes = vec![Write::Delete { kind, id: id.to_owned() }];
        let change = Change { at_ms, writes, audit: vec![audit], ..Change::default() };
        self.parts.storage.apply(change).await?;
        Ok(())
    }
}
