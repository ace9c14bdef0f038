//! The versions that are kept: which there are, what the next one writes, what going back would write.
//!
//! Three kinds of documents in the ledger: `ruleset`, one record a version; `ruleset_undo`, what its documents were before;
//! and one `ruleset_head`, which says what is in force and what is kept.
//! Invariants: kept records are the newest ones without a gap; the head is written in the commit of every version.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Author, Changed, Config, Edit, LifeRecord, Record, Refused, RuleKind};
use crate::storage::{DocumentKind, Storage, StorageError, Write};

/// The id of the one head.
const HEAD: &str = "head";

/// What a document was before a version changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Its kind.
    pub kind: RuleKind,
    /// Its id.
    pub id: String,
    /// JSON; `None` when it was not there.
    pub body: Option<String>,
}

/// What everything that decides comes to, as SHA-256 in hex: whether something is different, and roughly what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Over all of it, the program and its configuration too.
    pub whole: String,
    /// Over the documents.
    pub documents: String,
    /// Over each list that is kept in a file or came with the binary, by name.
    pub files: BTreeMap<String, String>,
}

/// What is in force, and what is kept of what was before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the version in force; 0 before the first.
    pub number: u64,
    /// What it comes to.
    pub sums: Sums,
    /// Records that are kept, the oldest first.
    kept: Vec<Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    number: u64,
    undo: Undo,
}

/// What is needed to go back from a version to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Undo {
    /// Nothing: no document was changed.
    Nothing,
    /// So many bytes, which are kept.
    Bytes(usize),
    /// It is not kept any more, or was never known.
    Gone,
}

/// A version that is to be.
#[derive(Clone, Debug)]
pub struct Draft {
    /// When.
    pub at_ms: i64,
    /// Who.
    pub author: Author,
    /// Why.
    pub reason: String,
    /// The version whose documents it puts back.
    pub restores: Option<u64>,
    /// What is different.
    pub changes: Vec<Changed>,
    /// What its documents were before; `None` when nobody knows.
    pub former: Option<Vec<Former>>,
    /// What it comes to.
    pub sums: Sums,
}

/// A version, ready to be committed.
#[derive(Clone, Debug)]
pub struct Next {
    /// What will be in force.
    pub head: Head,
    /// What is to be written, beside the documents themselves.
    pub writes: Vec<Write>,
}

impl Head {
    /// Makes the next version. What is beyond the limits is removed in the same commit, the oldest first.
    pub fn next(&self, draft: Draft, limits: &Config) -> Next {
        let number = self.number + 1;
        let former = draft.former.map(|former| if former.is_empty() { String::new() } else { json(&former) });
        let undo = match &former {
            None => Undo::Gone,
            Some(text) if text.is_empty() => Undo::Nothing,
            Some(text) => Undo::Bytes(text.len()),
        };
        let record = Record {
            number,
            at_ms: draft.at_ms,
            author: draft.author,
            reason: draft.reason,
            parent: (self.number > 0).then_some(self.number),
            restores: draft.restores,
            changes: draft.changes,
        };
        let mut kept = self.kept.clone();
        kept.push(Kept { number, undo });
        let mut writes = vec![put(DocumentKind::Ruleset, id(number), json(&record))];
        if let (Some(text), Undo::Bytes(_)) = (former, undo) {
            writes.push(put(DocumentKind::RulesetUndo, id(number), text));
        }
        prune(&mut kept, limits, &mut writes);
        let head = Head { number, sums: draft.sums, kept };
        writes.push(put(DocumentKind::RulesetHead, HEAD.to_owned(), json(&head)));
        Next { head, writes }
    }

    /// Returns the number of the oldest version whose record is kept.
    pub fn oldest(&self) -> u64 {
        self.kept.first().map_or(self.number, |kept| kept.number)
    }

    /// Says whether the documents can be put back to what they were in a version.
    pub fn can_restore(&self, number: u64) -> bool {
        let after = self.kept.iter().filter(|kept| kept.number > number);
        (self.oldest()..=self.number).contains(&number) && after.clone().all(|kept| kept.undo != Undo::Gone)
    }
}

fn prune(kept: &mut Vec<Kept>, limits: &Config, writes: &mut Vec<Write>) {
    let surplus = kept.len().saturating_sub(limits.versions_max.max(1));
    for old in kept.drain(..surplus) {
        writes.push(Write::Delete { kind: DocumentKind::Ruleset, id: id(old.number) });
        if matches!(old.undo, Undo::Bytes(_)) {
            writes.push(Write::Delete { kind: DocumentKind::RulesetUndo, id: id(old.number) });
        }
    }
    let size = |kept: &Kept| match kept.undo {
        Undo::Bytes(bytes) => bytes,
        Undo::Nothing | Undo::Gone => 0,
    };
    let mut bytes: usize = kept.iter().map(size).sum();
    for old in kept.iter_mut().filter(|kept| matches!(kept.undo, Undo::Bytes(_))) {
        if bytes <= limits.undo_bytes_max {
            break;
        }
        bytes -= size(old);
        old.undo = Undo::Gone;
        writes.push(Write::Delete { kind: DocumentKind::RulesetUndo, id: id(old.number) });
    }
}

/// Reads the head; `None` in a data directory that has no versions yet.
///
/// # Errors
/// When storage cannot be read.
pub async fn head(storage: &dyn Storage) -> Result<Option<Head>, StorageError> {
    read(storage, DocumentKind::RulesetHead, HEAD).await
}

/// Reads a record.
///
/// # Errors
/// When storage cannot be read.
pub async fn record(storage: &dyn Storage, number: u64) -> Result<Option<Record>, StorageError> {
    read(storage, DocumentKind::Ruleset, &id(number)).await
}

/// Reads how a wordlist came to its state; `None` when nobody has moved it.
///
/// # Errors
/// When storage cannot be read.
pub async fn life_record(storage: &dyn Storage, list: &str) -> Result<Option<LifeRecord>, StorageError> {
    read(storage, DocumentKind::WordlistLife, list).await
}

/// Reads the records before a number, the newest first, at most `limit`.
///
/// # Errors
/// When storage cannot be read.
pub async fn page(storage: &dyn Storage, before: u64, limit: usize) -> Result<Vec<Record>, StorageError> {
    let rows = u64::try_from(limit).unwrap_or(u64::MAX);
    // Numbers have no gaps, so the rows right before a number are those after another one.
    let after = id(before.saturating_sub(rows).saturating_sub(1));
    let documents = storage.documents(DocumentKind::Ruleset, Some(after), limit).await?;
    let mut records = Vec::with_capacity(documents.len());
    for document in documents.into_iter().rev().filter(|document| document.id < id(before)) {
        records.push(parse(DocumentKind::Ruleset, &document.id, &document.body)?);
    }
    Ok(records)
}

/// Returns what puts the documents back to what they were in a version.
///
/// # Errors
/// When that version is not kept, what it needs is not, or storage cannot be read.
pub async fn undo(storage: &dyn Storage, head: &Head, number: u64) -> Result<Vec<Edit>, Refused> {
    if !(head.oldest()..=head.number).contains(&number) {
        return Err(Refused::NoSuchVersion(number));
    }
    if !head.can_restore(number) {
        return Err(Refused::NotKept(number));
    }
    let mut edits = BTreeMap::new();
    for kept in head.kept.iter().rev().filter(|kept| kept.number > number) {
        if kept.undo == Undo::Nothing {
            continue;
        }
        let former: Option<Vec<Former>> = read(storage, DocumentKind::RulesetUndo, &id(kept.number)).await?;
        for former in former.ok_or(Refused::NotKept(number))? {
            edits.insert((former.kind, former.id), former.body); // of a document that changed twice the older counts
        }
    }
    let edit = |((kind, id), body)| Edit { kind, id, body, expect: None };
    Ok(edits.into_iter().map(edit).collect())
}

async fn read<T: DeserializeOwned>(
    storage: &dyn Storage,
    kind: DocumentKind,
    id: &str,
) -> Result<Option<T>, StorageError> {
    let document = storage.document(kind, id).await?;
    document.map(|document| parse(kind, id, &document.body)).transpose()
}

fn parse<T: DeserializeOwned>(kind: DocumentKind, id: &str, body: &str) -> Result<T, StorageError> {
    let what = || format!("{} {id}", kind.as_str());
    serde_json::from_str(body).map_err(|error| StorageError::unreadable(what(), error.to_string()))
}

fn put(kind: DocumentKind, id: String, body: String) -> Write {
    Write::Put { kind, id, body, expect: None }
}

/// Ids sort like their numbers.
fn id(number: u64) -> String {
    format!("{number:020}")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // plain data: cannot fail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Change, SharedStorage, memory};

    /// Documents that change, one commit a version.
    struct Book {
        storage: SharedStorage,
        head: Head,
        limits: Config,
    }

    impl Book {
        fn open(limits: Config) -> Self {
            let storage =
                memory::open(&memory::Disk::new([7; 16]), &crate::storage::Config::default()).unwrap();
            Self { storage, head: Head::default(), limits }
        }

        /// Changes these documents, each from and to a body; none for a version of files.
        async fn change(&mut self, documents: &[(&str, Option<&str>)]) {
            let former = documents.iter().map(|(id, before)| Former {
                kind: RuleKind::Reply,
                id: (*id).to_owned(),
                body: before.map(str::to_owned),
            });
            let draft = Draft {
                at_ms: 5,
                author: Author::System,
                reason: "a test".to_owned(),
                restores: None,
                changes: Vec::new(),
                former: Some(former.collect()),
                sums: Sums::default(),
            };
            let next = self.head.next(draft, &self.limits);
            let change = Change { at_ms: 5, writes: next.writes, ..Change::default() };
            self.storage.apply(change).await.unwrap();
            self.head = next.head;
        }

        async fn back_to(&self, number: u64) -> Result<Vec<(String, Option<String>)>, Refused> {
            let edits = undo(&*self.storage, &self.head, number).await?;
            Ok(edits.into_iter().map(|edit| (edit.id, edit.body)).collect())
        }

        async fn numbers(&self, before: u64, limit: usize) -> Vec<u64> {
            let page = page(&*self.storage, before, limit).await.unwrap();
            page.into_iter().map(|record| record.number).collect()
        }
    }

    #[tokio::test]
    async fn going_back_undoes_from_the_newest_down() {
        let mut book = Book::open(Config::default());
        book.change(&[("a", None)]).await; // r-1: a is made
        book.change(&[("a", Some("1")), ("b", None)]).await;
        book.change(&[]).await;
        book.change(&[("a", Some("2"))]).await;
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(book.back_to(4).await.unwrap(), []);
        assert_eq!(book.back_to(3).await.unwrap(), [("a".to_owned(), some("2"))]);
        assert_eq!(book.back_to(1).await.unwrap(), [("a".to_owned(), some("1")), ("b".to_owned(), None)]);
        for number in [0, 5] {
            assert!(matches!(book.back_to(number).await, Err(Refused::NoSuchVersion(_))), "{number}");
        }
        assert_eq!(head(&*book.storage).await.unwrap(), Some(book.head.clone()));
        assert_eq!(record(&*book.storage, 4).await.unwrap().unwrap().parent, Some(3));
        assert_eq!(record(&*book.storage, 1).await.unwrap().unwrap().parent, None);
    }

    #[tokio::test]
    async fn the_oldest_go_first_and_pages_have_no_gaps() {
        let mut book = Book::open(Config { versions_max: 3, ..Config::default() });
        for _ in 0..5 {
            book.change(&[("a", None)]).await;
        }
        assert_eq!(book.numbers(u64::MAX, 10).await, Vec::<u64>::new(), "there is no such page");
        assert_eq!(book.numbers(6, 10).await, [5, 4, 3]);
        assert_eq!(book.numbers(6, 2).await, [5, 4]);
        assert_eq!(book.numbers(4, 2).await, [3]);
        assert_eq!(book.head.oldest(), 3);
        assert!(matches!(book.back_to(2).await, Err(Refused::NoSuchVersion(2))));
        let undo = book.storage.documents(DocumentKind::RulesetUndo, None, 10).await.unwrap();
        assert_eq!(undo.len(), 3);
    }

    #[tokio::test]
    async fn what_takes_too_much_room_cannot_be_put_back() {
        let long = "x".repeat(500);
        let mut book = Book::open(Config { undo_bytes_max: 1_000, ..Config::default() });
        for _ in 0..4 {
            book.change(&[("a", Some(&long))]).await;
        }
        assert_eq!([1, 2, 3, 4].map(|number| book.head.can_restore(number)), [false, false, true, true]);
        assert!(matches!(book.back_to(2).await, Err(Refused::NotKept(2))));
        book.back_to(3).await.unwrap();
        assert_eq!(book.numbers(5, 9).await, [4, 3, 2, 1], "records stay");
        book.change(&[("a", Some(&"y".repeat(2_000)))]).await;
        assert!(!book.head.can_restore(4), "one that is too large is not kept at all");
        let undo = book.storage.documents(DocumentKind::RulesetUndo, None, 10).await.unwrap();
        assert_eq!(undo.len(), 0);
    }
}
