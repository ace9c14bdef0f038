//! The suite over SQLite, and what only files can go through: damage, two processes, older versions.

use std::sync::Weak;

use parking_lot::Condvar;
use tempfile::TempDir;

use super::*;
use crate::event::PARTITION_FLEET;
use crate::storage::conformance::{self, HOUR, Harness, NOW_MS, commit, keys, message};

struct Dir {
    root: TempDir,
    open: Mutex<Weak<Sqlite>>,
    gate: Arc<Gate>,
}

/// Something to wait at on the journal's thread.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Dir {
    /// Runs something between commits, in order with them.
    fn between(&self, work: impl FnOnce(&mut JournalSink) + Send + 'static) {
        let Some(storage) = self.open.lock().upgrade() else { return };
        drop(storage.journal.run_for(PARTITION_FLEET, move |sink| {
            work(sink);
            Ok(())
        }));
    }

    fn pages_max(&self, pages: u32) {
        self.between(move |sink| {
            sink.conn().pragma_update(None, "max_page_count", pages).unwrap();
        });
    }
}

impl Harness for Dir {
    fn new() -> Self {
        Self { root: TempDir::new().unwrap(), open: Mutex::default(), gate: Arc::default() }
    }

    fn open(&self, config: &Config) -> Result<SharedStorage, StorageError> {
        let storage = Arc::new(Sqlite::open(self.root.path(), config)?);
        *self.open.lock() = Arc::downgrade(&storage);
        Ok(storage)
    }

    fn fill_disk(&self) {
        self.pages_max(1);
    }

    fn free_disk(&self) {
        self.pages_max(u32::MAX / 2);
    }

    fn hold_commits(&self) {
        *self.gate.closed.lock() = true;
        let gate = Arc::clone(&self.gate);
        self.between(move |_| {
            let mut closed = gate.closed.lock();
            while *closed {
                gate.moved.wait(&mut closed);
            }
        });
    }

    fn go_on(&self) {
        *self.gate.closed.lock() = false;
        self.gate.moved.notify_all();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        self.go_on();
    }
}

conformance::all!(Dir);

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_gone() {
    let place = Dir::new();
    let first = place.open(&Config::default()).unwrap();
    let second = place.open(&Config::default()).err().unwrap();
    assert!(matches!(&second, StorageError::Locked(_)), "{second}");
    drop(first);
    place.open(&Config::default()).unwrap();
}

#[tokio::test]
async fn a_new_data_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Dir::new();
    let dir = place.root.path().join("deep/data");
    drop(open(&dir, &Config::default()).unwrap());
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_lost_projection_is_folded_again() {
    let place = Dir::new();
    let storage = place.open(&Config { projection_events_max: 7, ..Config::default() }).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let many = conformance::arbitrary(300);
    for some in many.chunks(20) {
        commit(&storage, epoch, some).await;
        storage.project().unwrap();
    }
    let now_ms = many.iter().map(|one| one.head.arrived_ms).max().unwrap();
    let seen = conformance::look(&storage, now_ms);
    drop(storage);
    remove_state(&place);
    let storage = place.open(&Config::default()).unwrap();
    assert_eq!(storage.project().unwrap().events, 300);
    assert_eq!(conformance::look(&storage, now_ms), seen);
}

fn remove_state(place: &Dir) {
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        _ = std::fs::remove_file(place.root.path().join(file)); // the log may be gone already
    }
}

#[tokio::test]
async fn a_lost_projection_of_a_pruned_journal_is_refused() {
    let place = Dir::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..3 {
        commit(&storage, epoch, &[message(n, "g-1", "u", NOW_MS)]).await;
    }
    storage.project().unwrap();
    assert_eq!(storage.prune(HOUR + 1, u64::MAX).await.unwrap(), 2);
    drop(storage);
    remove_state(&place);
    let error = place.open(&Config::default()).err().unwrap().to_string();
    assert!(error.contains("state.db") && error.contains("backup"), "{error}");
}

#[tokio::test]
async fn a_damaged_last_row_is_named() {
    let place = Dir::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[message(1, "g-1", "u", NOW_MS)]).await;
    storage.close().await.unwrap();
    drop(storage);
    let conn = Connection::open(place.root.path().join("journal.db")).unwrap();
    let damaged =
        "UPDATE journal SET payload = CAST(substr(payload, 1, length(payload) - 1) || x'ff' AS BLOB)";
    assert_eq!(conn.execute(damaged, []).unwrap(), 1);
    drop(conn);
    let error = place.open(&Config::default()).err().unwrap().to_string();
    assert!(error.contains("journal row 1 of partition") && error.contains("checksum"), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_the_remedy() {
    for schema in schema::ALL {
        let place = Dir::new();
        drop(place.open(&Config::default()).unwrap());
        let conn = Connection::open(place.root.path().join(schema.file)).unwrap();
        conn.pragma_update(None, "user_version", schema.version() + 1).unwrap();
        drop(conn);
        let error = place.open(&Config::default()).err().unwrap().to_string();
        assert!(error.contains(schema.file) && error.contains("newer menshen"), "{error}");
    }
}

#[tokio::test]
async fn an_older_data_directory_is_migrated_and_goes_on() {
    let place = Dir::new();
    let text = include_str!("../../../tests/fixtures/data-v1.sql");
    for section in text.split("-- file: ").skip(1) {
        let (file, sql) = section.split_once('\n').unwrap();
        Connection::open(place.root.path().join(file)).unwrap().execute_batch(sql).unwrap();
    }
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("local").await.unwrap();
    assert_eq!(epoch, 7);
    assert_eq!(storage.dedupe_secret(), *b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
    assert_eq!(storage.project().unwrap().events, 1);
    let counts = storage
        .counts(&CountsQuery {
            account: "demo".to_owned(),
            group: "g-7".to_owned(),
            from_ms: 0,
            until_ms: i64::MAX,
        })
        .unwrap();
    let c = counts[0].counters;
    assert_eq!((counts.len(), c.messages, c.masked, c.replies), (1, 2, 2, 2));
    let members = storage.members("demo", "g-7", None, 10).unwrap();
    assert_eq!((members.len(), members[0].messages), (1, 2));
    assert!(storage.lates("demo", "g-7", 10).unwrap().is_empty());
    commit(&storage, epoch, &[message(5, "g-7", "u-3", NOW_MS)]).await;
    let rows = conformance::rows(&storage);
    assert_eq!(rows.iter().map(|row| (row.0, row.2)).collect::<Vec<_>>(), [(11, 4), (12, 5), (13, 6)]);
    let shop = storage.document(DocumentKind::Shop, "s-1").await.unwrap().unwrap();
    assert_eq!((shop.version, shop.body.as_str()), (3, r#"{"name":"春熙路店"}"#));
    let audit = storage.audit(AuditFilter { limit: 9, ..AuditFilter::default() }).await.unwrap();
    assert_eq!((audit.len(), audit[0].place.as_str()), (1, ""));
    let left = storage.recover(NOW_MS).await.unwrap();
    assert_eq!((left.len(), left[0].state), (1, DeliveryState::Uncertain));
    assert_eq!(storage.prune(HOUR + 100, u64::MAX).await.unwrap(), 2);
}

/// More rows than a block holds: heads and hours come from the blocks, not from reading everything.
#[tokio::test]
async fn blocks_carry_numbers_and_hours_over_restarts_and_pruning() {
    let place = Dir::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let mut payload = Vec::new();
    crate::storage::codec::encode(&message(1, "g", "u", NOW_MS), &mut payload);
    for round in 0..40_u32 {
        let receipts: Vec<_> = (0..257)
            .map(|part| {
                let bucket = HOUR + round;
                let append = Append {
                    partition: Partition(part),
                    epoch,
                    payload: &payload,
                    events: 1,
                    bucket_min: bucket,
                    bucket_max: bucket,
                };
                storage.append(append).unwrap()
            })
            .collect();
        for receipt in receipts {
            receipt.wait().await.unwrap();
        }
    }
    let last = storage.head_position().unwrap();
    assert_eq!(last, 40 * 257);
    storage.project().unwrap();
    drop(storage);
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let count = |from: u32| {
        let mut rows = 0;
        storage
            .replay(from, &mut |_| {
                rows += 1;
                Ok(())
            })
            .unwrap();
        rows
    };
    assert_eq!((count(HOUR), count(HOUR + 30), count(HOUR + 39)), (last, 10 * 257, 257));
    assert_eq!(storage.prune(HOUR + 35, u64::MAX).await.unwrap(), 35 * 257);
    assert_eq!((count(HOUR), count(HOUR + 38)), (5 * 257, 2 * 257));
    assert_eq!(storage.prune(HOUR + 40, u64::MAX).await.unwrap(), 5 * 257 - 1);
    drop(storage);
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.map(|next| next.max(epoch)).unwrap();
    commit(&storage, epoch, &[message(2, "g-1", "u", NOW_MS)]).await;
    let rows = conformance::rows(&storage);
    assert_eq!(rows.last().map(|row| (row.0, row.2)), Some((last + 1, 41)));
}

#[tokio::test]
async fn old_attempts_and_finished_sends_are_forgotten() {
    let place = Dir::new();
    let storage = place.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let row = |id: &str, broadcast: &str| DeliveryRow {
        id: id.to_owned(),
        broadcast: broadcast.to_owned(),
        target: 0,
        account: "demo".to_owned(),
        group: "g".to_owned(),
        kind: "reply".to_owned(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_ms: 0,
        expires_ms: 0,
        body: String::new(),
        code: String::new(),
        detail: String::new(),
        updated_ms: NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    };
    let call = |row: DeliveryRow, at_ms| Intent { delivery: row, attempt: 1, at_ms, cost: 1, epoch };
    let sent = |id: &str, at_ms| Settlement {
        id: id.to_owned(),
        attempt: 1,
        at_ms,
        state: DeliveryState::Sent,
        due_ms: 0,
        code: String::new(),
        detail: String::new(),
        platform_id: None,
    };
    let later_ms = NOW_MS + 8 * 24 * 3_600_000;
    storage.intend(vec![call(row("old", ""), NOW_MS), call(row("b_0", "b"), NOW_MS)]).await.unwrap();
    storage.settle(vec![sent("old", NOW_MS), sent("b_0", NOW_MS)]).await.unwrap();
    storage.intend(vec![call(row("new", ""), later_ms)]).await.unwrap();
    storage.settle(vec![sent("new", later_ms)]).await.unwrap();
    storage.deliveries_add(Vec::new()).await.unwrap(); // behind the removal, which follows a commit
    let all = storage.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap();
    assert_eq!(all.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["new", "b_0"]);
    assert_eq!(storage.attempts_since("demo", 0).await.unwrap().len(), 1);
}

mod copies {
    //! Backups, taken while events come in.

    use super::*;
    use crate::event::Fact;
    use crate::storage::{Change, Write};

    #[expect(clippy::too_many_lines, reason = "one of everything, once")]
    async fn filled(place: &Dir) -> SharedStorage {
        let storage = place.open(&Config::default()).unwrap();
        let epoch = storage.lease("a").await.unwrap();
        let reply = crate::event::SendFact {
            index: 0,
            kind: "reply".into(),
            rule: "r".into(),
            text: "十点开门".into(),
            welcome_code: None,
            expires_ms: NOW_MS + 60_000,
        };
        let mut asking = message(1, "g-1", "u", NOW_MS);
        asking.facts = vec![Fact::Send(reply)];
        commit(&storage, epoch, &[asking, message(2, "g-2", "u", NOW_MS)]).await;
        storage.project().unwrap();
        commit(&storage, epoch, &[message(3, "g-1", "u", NOW_MS)]).await;
        let broadcast = |id: &str, control: &str, closed: bool| Write::Put {
            kind: DocumentKind::Broadcast,
            id: id.to_owned(),
            body: format!(r#"{{"control":"{control}","closed":{closed},"text":"新品"}}"#),
            expect: None,
        };
        let writes = vec![
            broadcast("b-1", "running", false),
            broadcast("b-2", "running", true),
            broadcast("b-3", "running", false),
            broadcast("b-4", "cancelled", false),
            broadcast("b-5", "submitted", false),
            broadcast("b-7", "draft", false),
            // One whose time had not come is paused as well: by now it may have.
            Write::Put {
                kind: DocumentKind::Broadcast,
                id: "b-6".to_owned(),
                body: format!(r#"{{"control":"running","starts_ms":{},"text":"新品"}}"#, NOW_MS + 3_600_000),
                expect: None,
            },
            Write::Put {
                kind: DocumentKind::Hold,
                id: "h".to_owned(),
                body: r#"{"control":"running"}"#.to_owned(),
                expect: None,
            },
        ];
        storage.apply(Change { at_ms: NOW_MS, writes, ..Change::default() }).await.unwrap();
        let mut deliveries = Vec::new();
        for (id, broadcast, state) in [
            ("b-1_0", "b-1", DeliveryState::Sending),
            ("b-1_1", "b-1", DeliveryState::Pending),
            ("b-1_2", "b-1", DeliveryState::Sent),
            ("dlv_1", "", DeliveryState::Pending),
        ] {
            deliveries.push(DeliveryRow {
                id: id.to_owned(),
                broadcast: broadcast.to_owned(),
                target: 0,
                account: "demo".to_owned(),
                group: "g".to_owned(),
                kind: "reply".to_owned(),
                state,
                attempts: 0,
                due_ms: 0,
                expires_ms: 0,
                body: String::new(),
                code: String::new(),
                detail: String::new(),
                updated_ms: NOW_MS,
                platform_id: String::new(),
                carrier: 0,
            });
        }
        storage.deliveries_add(deliveries).await.unwrap();
        storage
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_taken_while_events_come_in_is_whole() {
        let place = Dir::new();
        let storage = filled(&place).await;
        let copy = place.root.path().join("copy");
        let epoch = storage.lease("a").await.unwrap();
        let more = async {
            for n in 10..40 {
                commit(&storage, epoch, &[message(n, &format!("g-{n}"), "u", NOW_MS)]).await;
                storage.project().unwrap();
            }
        };
        let (copied, ()) = tokio::join!(storage.backup(&copy), more);
        copied.unwrap();
        assert!(storage.backup(&copy).await.is_err(), "a copy is never written over another");
        let back = place.root.path().join("back");
        restore(&copy, &back, NOW_MS).unwrap();
        let restored = open(&back, &Config::default()).unwrap();
        restored.project().unwrap();
        let there = keys(&restored);
        assert!(there.starts_with(&[1, 2, 3]), "{there:?}");
        let counted: u64 =
            restored.totals(0, i64::MAX).unwrap().iter().map(|total| total.counters.messages).sum();
        assert_eq!(counted, there.len() as u64, "the projection's gap is folded from the journal");
        assert_eq!(restored.dedupe_secret(), storage.dedupe_secret());
    }

    #[tokio::test]
    async fn after_a_restore_nothing_is_sent_by_itself() {
        let place = Dir::new();
        let storage = filled(&place).await;
        let (copy, back) = (place.root.path().join("copy"), place.root.path().join("back"));
        assert_eq!(storage.pending_sends(NOW_MS).unwrap().len(), 1);
        storage.backup(&copy).await.unwrap();
        let restored = restore(&copy, &back, NOW_MS).unwrap();
        assert_eq!(restored, Restored { broadcasts_paused: 3, deliveries_uncertain: 2 });
        let storage = open(&back, &Config::default()).unwrap();
        for (id, control, warns) in [
            ("b-1", "paused", true),
            ("b-2", "running", false),
            ("b-3", "paused", true),
            ("b-4", "cancelled", false),
            ("b-5", "submitted", true),
            ("b-6", "paused", true),
            ("b-7", "draft", true),
        ] {
            let body = storage.document(DocumentKind::Broadcast, id).await.unwrap().unwrap().body;
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((value["control"].as_str(), value["text"].as_str()), (Some(control), Some("新品")));
            assert_eq!(value["reason"].is_string(), warns, "{id}");
        }
        let hold = storage.document(DocumentKind::Hold, "h").await.unwrap().unwrap();
        assert_eq!(hold.body, r#"{"control":"running"}"#);
        let all = storage.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await;
        let states: Vec<_> = all.unwrap().into_iter().map(|row| (row.id, row.state)).collect();
        let expect = [
            ("dlv_1", DeliveryState::Uncertain),
            ("b-1_0", DeliveryState::Uncertain),
            ("b-1_1", DeliveryState::Pending),
            ("b-1_2", DeliveryState::Sent),
        ];
        assert_eq!(states, expect.map(|(id, state)| (id.to_owned(), state)));
        storage.project().unwrap();
        assert!(storage.pending_sends(NOW_MS).unwrap().is_empty(), "replies of the backup are not made");
        let epoch = storage.lease("a").await.unwrap();
        commit(&storage, epoch, &[message(50, "g-1", "u", NOW_MS)]).await;
    }

    #[tokio::test]
    async fn after_a_restore_what_is_told_has_numbers_that_were_never_given_out() {
        let place = Dir::new();
        let storage = filled(&place).await;
        let put =
            |kind, id: &str, body: &str| Write::Put { kind, id: id.into(), body: body.into(), expect: None };
        let follower = "endpoint:ops";
        let writes = vec![
            put(DocumentKind::Endpoint, "ops", "{}"),
            put(DocumentKind::Follower, follower, r#"{"position":1,"told":1,"missed":4}"#),
        ];
        let told = vec![StatusChange::broadcast("b-1", "running", NOW_MS)];
        storage.apply(Change { at_ms: NOW_MS, writes, told, ..Change::default() }).await.unwrap();
        let copy = place.root.path().join("copy");
        storage.backup(&copy).await.unwrap();
        let told = vec![StatusChange::broadcast("b-1", "finished", NOW_MS)];
        storage.apply(Change { at_ms: NOW_MS, told, ..Change::default() }).await.unwrap();
        let lost = storage.status_span().await.unwrap().last;
        let back = place.root.path().join("back");
        restore(&copy, &back, NOW_MS + 9).unwrap();
        let storage = open(&back, &Config::default()).unwrap();
        let told = storage.status_changes(0, 0).await.unwrap();
        // Only what the restore itself changed, and nobody is told to have missed the numbers in between.
        assert_eq!(told.iter().map(|change| change.state.as_str()).collect::<Vec<_>>(), ["uncertain"; 2]);
        let floor = told[0].seq - 1;
        assert!(floor > lost && told[1].seq == floor + 2, "{told:?}");
        let body = storage.document(DocumentKind::Follower, follower).await.unwrap().unwrap().body;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, serde_json::json!({"position": floor, "told": floor, "missed": 4}));
    }

    #[tokio::test]
    async fn a_damaged_or_unfinished_backup_is_refused() {
        let place = Dir::new();
        let storage = filled(&place).await;
        let (copy, back) = (place.root.path().join("copy"), place.root.path().join("back"));
        storage.backup(&copy).await.unwrap();
        let refused = |what: &str| {
            let error = restore(&copy, &back, NOW_MS).err().unwrap().to_string();
            assert!(error.contains(what), "{error}");
            assert!(!back.join("journal.db").exists(), "nothing was put in place");
        };
        let journal = copy.join("journal.db");
        let whole = std::fs::read(&journal).unwrap();
        let mut damaged = whole.clone();
        damaged[5000] ^= 1;
        std::fs::write(&journal, damaged).unwrap();
        refused("damaged");
        std::fs::write(&journal, whole).unwrap();
        std::fs::rename(copy.join("manifest.json"), copy.join("gone")).unwrap();
        refused("manifest.json");
        std::fs::rename(copy.join("gone"), copy.join("manifest.json")).unwrap();
        let busy = restore(&copy, place.root.path(), NOW_MS).err().unwrap().to_string();
        assert!(busy.contains("empty"), "{busy}");
        restore(&copy, &back, NOW_MS).unwrap();
    }
}
