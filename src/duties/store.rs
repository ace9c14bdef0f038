//! Documents of duties, typed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::{AuditEntry, Change, Document, DocumentKind, Storage, StorageError, Write};

/// A document read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// When it was written.
    pub updated_ms: i64,
    /// What was written.
    pub value: T,
}

fn parse<T: DeserializeOwned>(document: Document) -> Result<Stored<T>, StorageError> {
    let value = serde_json::from_str(&document.body).map_err(|error| StorageError::Unreadable {
        what: format!("{} `{}`", document.kind.as_str(), document.id),
        detail: error.to_string(),
    })?;
    let Document { id, version, updated_ms, .. } = document;
    Ok(Stored { id, version, updated_ms, value })
}

/// Reads one.
///
/// # Errors
/// When storage fails or a newer version wrote it.
pub async fn read<T: DeserializeOwned>(
    storage: &dyn Storage,
    kind: DocumentKind,
    id: &str,
) -> Result<Option<Stored<T>>, StorageError> {
    storage.document(kind, id).await?.map(parse).transpose()
}

/// Reads all of a kind whose id begins with `prefix`, in order of ids.
///
/// # Errors
/// As [`read`].
pub async fn all<T: DeserializeOwned>(
    storage: &dyn Storage,
    kind: DocumentKind,
    prefix: &str,
) -> Result<Vec<Stored<T>>, StorageError> {
    const PAGE: usize = 500;
    let mut found = Vec::new();
    // The prefix itself is the least text that begins with it, and no id of ours is a bare prefix.
    let mut after = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    loop {
        let page = storage.documents(kind, after, PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map(|document| document.id.clone());
        for document in page {
            if !document.id.starts_with(prefix) {
                return Ok(found);
            }
            found.push(parse(document)?);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Writes one; returns its version.
///
/// # Errors
/// `Conflict` when it has not the expected version; else when storage fails.
pub async fn write<T: Serialize + Sync>(
    storage: &dyn Storage,
    at_ms: i64,
    (kind, id): (DocumentKind, &str),
    value: &T,
    expect: Option<u64>,
    audit: Vec<AuditEntry>,
) -> Result<u64, StorageError> {
    let body = serde_json::to_string(value).expect("a document holds nothing that JSON cannot say");
    let write = Write::Put { kind, id: id.to_owned(), body, expect };
    let change = Change { at_ms, writes: vec![write], audit, ..Change::default() };
    Ok(storage.apply(change).await?.first().copied().unwrap_or(0))
}
