//! The suite over memory, what only a faulty disk shows, and SQLite against memory on the same events.

use super::*;
use crate::storage::CommitError;
use crate::storage::conformance::{self, Harness, NOW_MS, append, commit, heavy, keys, message, partition};

struct Place {
    disk: Disk,
}

impl Harness for Place {
    fn new() -> Self {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).unwrap();
        Self { disk: Disk::new(secret) }
    }

    fn open(&self, config: &Config) -> Result<SharedStorage, StorageError> {
        open(&self.disk, config)
    }

    fn fill_disk(&self) {
        self.disk.faults().full_disk_after_bytes(Some(2000));
    }

    fn free_disk(&self) {
        self.disk.faults().full_disk_after_bytes(None);
    }

    fn hold_commits(&self) {
        self.disk.faults().hold_commits();
    }

    fn go_on(&self) {
        self.disk.faults().release_commits();
    }
}

conformance::all!(Place);

#[tokio::test]
async fn the_disk_fails_at_the_commit_it_was_told() {
    let place = Place::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    place.disk.faults().fail_commit_at(2);
    commit(&storage, epoch, &[message(1, "g-1", "u", NOW_MS)]).await;
    let failed = append(&storage, epoch, &message(2, "g-2", "u", NOW_MS)).unwrap();
    assert_eq!(failed.wait().await, Err(CommitError::Failed));
    commit(&storage, epoch, &[message(3, "g-3", "u", NOW_MS)]).await;
    assert_eq!((keys(&storage), place.disk.faults().commits()), (vec![1, 3], 3));
}

#[tokio::test]
async fn a_commit_that_failed_after_writing_is_there_after_a_reload() {
    let place = Place::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    place.disk.faults().fail_commit_after_write_at(1);
    let one = message(1, "g-1", "u", NOW_MS);
    assert_eq!(append(&storage, epoch, &one).unwrap().wait().await, Err(CommitError::Failed));
    assert!(matches!(append(&storage, epoch, &one), Err(StorageError::Poisoned(p)) if p == partition(&one)));
    storage.reset(partition(&one)).await.unwrap();
    assert_eq!(keys(&storage), [1], "its owner finds it and knows the repeat");
}

#[tokio::test]
async fn a_torn_tail_is_named() {
    let place = Place::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[heavy(1, "g-1")]).await;
    assert!(matches!(place.open(&Config::default()), Err(StorageError::Locked(_))));
    drop(storage);
    place.disk.tear_tail(100);
    let error = place.open(&Config::default()).err().unwrap().to_string();
    assert!(error.contains("journal row 1") && error.contains("backup"), "{error}");
}

#[tokio::test]
async fn a_failing_ledger_changes_nothing() {
    let place = Place::new();
    let storage = place.open(&Config::default()).unwrap();
    place.disk.faults().fail_ledger(true);
    assert!(storage.apply(Change::default()).await.is_err());
    place.disk.faults().fail_ledger(false);
    assert!(storage.apply(Change::default()).await.is_ok());
}

#[tokio::test]
async fn sqlite_and_memory_show_the_same() {
    let many = conformance::arbitrary(500);
    let place = Place::new();
    let dir = tempfile::TempDir::new().unwrap();
    let mut seen = Vec::new();
    let config = Config { projection_events_max: 50, ..Config::default() };
    for storage in [place.open(&config).unwrap(), crate::storage::sqlite::open(dir.path(), &config).unwrap()]
    {
        let epoch = storage.lease("a").await.unwrap();
        for one in &many {
            commit(&storage, epoch, std::slice::from_ref(one)).await;
        }
        storage.project().unwrap();
        let now_ms = many.iter().map(|one| one.head.arrived_ms).max().unwrap();
        seen.push(conformance::look(&storage, now_ms));
    }
    assert_eq!(seen[0], seen[1]);
}
