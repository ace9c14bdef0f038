//! What is kept of alerts: the pieces of what is open, those that are over, the rules.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use serde::{Deserialize, Serialize};

use super::unreadable;
use crate::alerts::episode::Snapshot;
use crate::alerts::millis;
use crate::alerts::terms::Rule;
use crate::alerts::watch::Config;
use crate::storage::{Change, Document, DocumentKind, SharedStorage, StorageError, Write};

/// Documents read or removed at once.
const PAGE: usize = 500;
/// Numbers are given out upwards; in ids they count down, so that the latest comes first.
const LAST: u64 = (1 << 48) - 1;

/// An alert that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// As it was.
    pub alert: Snapshot,
    /// When it ended, in milliseconds since the epoch.
    pub ended_ms: i64,
}

impl Ended {
    pub(super) fn write(&self) -> Write {
        let body = serde_json::to_string(self).expect("strings and numbers are always JSON");
        Write::Put { kind: DocumentKind::Alert, id: key(self.alert.number), body, expect: None }
    }

    fn read(document: &Document) -> Result<Self, StorageError> {
        let read = serde_json::from_str(&document.body);
        read.map_err(|error| unreadable(&format!("alert {}", document.id), error.to_string()))
    }
}

/// Returns the id of an alert.
pub fn id_of(number: u64) -> String {
    format!("al_{number}")
}

/// Reads it.
pub fn number_of(id: &str) -> Option<u64> {
    let digits = id.strip_prefix("al_")?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if is_plain { digits.parse().ok() } else { None }
}

fn key(number: u64) -> String {
    format!("{:012x}", LAST.saturating_sub(number))
}

/// Returns what must be written so that these pieces stand there and no others.
pub(super) fn difference(written: &mut HashMap<String, u64>, pieces: Vec<(String, String)>) -> Vec<Write> {
    let kind = DocumentKind::AlertState;
    let names: HashSet<&String> = pieces.iter().map(|(name, _)| name).collect();
    let gone: Vec<String> = written.keys().filter(|name| !names.contains(name)).cloned().collect();
    let mut writes = Vec::new();
    for id in gone {
        written.remove(&id);
        writes.push(Write::Delete { kind, id });
    }
    for (id, body) in pieces {
        let hash = hash(&body);
        if written.insert(id.clone(), hash) != Some(hash) {
            writes.push(Write::Put { kind, id, body, expect: None });
        }
    }
    writes
}

// Only ever compared within one run of the program.
pub(super) fn hash(body: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(body)
}

/// Returns every document of a kind.
pub(super) async fn all(storage: &SharedStorage, kind: DocumentKind) -> Result<Vec<Document>, StorageError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = storage.documents(kind, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

pub(super) fn rule(document: &Document) -> Result<Rule, StorageError> {
    let read = serde_json::from_str(&document.body);
    read.map_err(|error| unreadable(&format!("alert rule `{}`", document.id), error.to_string()))
}

pub(super) async fn rules(storage: &SharedStorage) -> Result<Vec<(String, Rule)>, StorageError> {
    let documents = all(storage, DocumentKind::AlertRule).await?;
    documents.iter().map(|document| Ok((document.id.clone(), rule(document)?))).collect()
}

pub(super) async fn ended_one(storage: &SharedStorage, number: u64) -> Result<Option<Ended>, StorageError> {
    let document = storage.document(DocumentKind::Alert, &key(number)).await?;
    document.as_ref().map(Ended::read).transpose()
}

/// Returns alerts that are over from before a number, the latest first, at most so many that pass.
pub(super) async fn ended(
    storage: &SharedStorage,
    before: Option<u64>,
    max: usize,
    passes: impl Fn(&Ended) -> bool,
) -> Result<Vec<Ended>, StorageError> {
    let (mut found, mut after) = (Vec::new(), before.map(key));
    loop {
        let page = storage.documents(DocumentKind::Alert, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        for document in &page {
            let ended = Ended::read(document)?;
            if found.len() == max {
                return Ok(found);
            }
            if passes(&ended) {
                found.push(ended);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// Removes what is too old and what is too much.
pub(super) async fn tidy(storage: &SharedStorage, now_ms: i64, config: &Config) -> Result<(), StorageError> {
    let oldest_ms = now_ms.saturating_sub(millis(config.keep));
    let (mut kept, mut after) = (0_usize, None);
    loop {
        let page = storage.documents(DocumentKind::Alert, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        let mut writes = Vec::new();
        for document in page {
            if kept >= config.kept_max || document.updated_ms < oldest_ms {
                writes.push(Write::Delete { kind: DocumentKind::Alert, id: document.id });
            } else {
                kept += 1;
            }
        }
        if !writes.is_empty() {
            storage.apply(Change { at_ms: now_ms, writes, ..Change::default() }).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_a_foreign_one_is_not() {
        assert_eq!(number_of(&id_of(17)), Some(17));
        for foreign in ["al_", "al_017", "al_+1", "al_x", "17", "al_99999999999999999999999"] {
            assert_eq!(number_of(foreign), None, "{foreign}");
        }
        assert!(key(2) < key(1));
    }

    #[test]
    fn only_what_changed_is_written() {
        let piece = |id: &str, body: &str| (id.to_owned(), body.to_owned());
        let mut written = HashMap::new();
        let first = difference(&mut written, vec![piece("a", "1"), piece("b", "1")]);
        assert_eq!(first.len(), 2);
        let second = difference(&mut written, vec![piece("a", "1"), piece("c", "1")]);
        let kind = DocumentKind::AlertState;
        let put = Write::Put { kind, id: "c".into(), body: "1".into(), expect: None };
        assert_eq!(second, [Write::Delete { kind, id: "b".into() }, put]);
        assert!(difference(&mut written, vec![piece("a", "1"), piece("c", "1")]).is_empty());
    }
}
