//! Promises of the evidence store.

use super::{Harness, NOW_MS};
use crate::event::{EvidenceKind, partition_of};
use crate::storage::{Config, EvidenceOf, EvidenceQuery, EvidenceRoom, EvidenceRow, SharedStorage};

const ROOM: EvidenceRoom = EvidenceRoom { rows_max: 100, bytes_max: 1 << 20, group_history_max: 10 };

fn row(n: i64, group: &str, member: &str, kind: EvidenceKind) -> EvidenceRow {
    EvidenceRow {
        seq: 0,
        id: format!("ev_{n}"),
        partition: partition_of("demo", group),
        account: "demo".to_owned(),
        group: group.to_owned(),
        member: member.to_owned(),
        at_ms: NOW_MS + n,
        kind,
        key: "0a0b0c0d".to_owned(),
        nonce: [7; 24],
        data: vec![1, 2, 3, u8::try_from(n).unwrap()],
        expires_ms: NOW_MS + 1_000 + n,
    }
}

fn history(n: i64, group: &str) -> EvidenceRow {
    row(n, group, "u-1", EvidenceKind::History)
}

#[expect(clippy::needless_pass_by_value, reason = "a query is written where it is asked")]
fn ids(storage: &SharedStorage, query: EvidenceQuery) -> Vec<String> {
    storage.evidence_page(&query).unwrap().into_iter().map(|row| row.id).collect()
}

fn all(storage: &SharedStorage) -> Vec<String> {
    ids(storage, EvidenceQuery::default())
}

pub(in crate::storage) async fn evidence_is_kept_once_over_restarts<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let first = row(1, "g-1", "u-1", EvidenceKind::Reviewed);
    let stored = storage.evidence_keep(vec![first.clone(), first.clone()], ROOM).await.unwrap();
    assert_eq!((stored.refused, stored.totals.rows), (0, 1));
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let again = EvidenceRow { data: vec![9], ..first.clone() };
    let stored = storage.evidence_keep(vec![again], ROOM).await.unwrap();
    assert_eq!(stored.totals.rows, 1, "the totals are read back");
    let found = storage.evidence_row("ev_1", NOW_MS).unwrap().unwrap();
    assert_eq!(found, EvidenceRow { seq: found.seq, ..first });
    assert_eq!(storage.evidence_row("ev_2", NOW_MS).unwrap(), None);
}

pub(in crate::storage) async fn expired_evidence_is_not_given_out_and_is_pruned<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let rows = (1..=3).map(|n| row(n, "g-1", "u-1", EvidenceKind::Blocked)).collect();
    storage.evidence_keep(rows, ROOM).await.unwrap();
    let now_ms = NOW_MS + 1_002;
    assert_eq!(storage.evidence_row("ev_2", now_ms).unwrap(), None, "expired and not yet pruned");
    assert_eq!(ids(&storage, EvidenceQuery { now_ms, ..EvidenceQuery::default() }), ["ev_3"]);
    let (gone, left) = storage.evidence_prune(now_ms).await.unwrap();
    assert_eq!((gone, left.rows), (2, 1));
    assert_eq!(all(&storage), ["ev_3"]);
}

pub(in crate::storage) async fn evidence_is_paged_by_group_and_time<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let rows = (1..=6).map(|n| history(n, if n % 2 == 0 { "g-2" } else { "g-1" })).collect();
    storage.evidence_keep(rows, ROOM).await.unwrap();
    let query = EvidenceQuery {
        group: Some(("demo".to_owned(), "g-2".to_owned())),
        since_ms: NOW_MS + 3,
        limit: 1,
        ..EvidenceQuery::default()
    };
    let page = storage.evidence_page(&query).unwrap();
    assert_eq!(page[0].id, "ev_4");
    assert_eq!(ids(&storage, EvidenceQuery { after: page[0].seq, ..query }), ["ev_6"]);
}

pub(in crate::storage) async fn evidence_of_a_member_is_erased<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let rows = vec![
        row(1, "g-1", "u-1", EvidenceKind::Reviewed),
        row(2, "g-1", "u-2", EvidenceKind::Reviewed),
        row(3, "g-2", "u-1", EvidenceKind::History),
        row(4, "g-3", "u-1", EvidenceKind::Blocked),
    ];
    storage.evidence_keep(rows, ROOM).await.unwrap();
    assert_eq!(storage.evidence_groups("demo", Some("u-1")).unwrap(), ["g-1", "g-2", "g-3"]);
    assert_eq!(storage.evidence_groups("demo", None).unwrap().len(), 3);
    assert!(storage.evidence_groups("other", None).unwrap().is_empty());
    let of = |group: &str, member: Option<&str>| EvidenceOf {
        account: "demo".to_owned(),
        group: group.to_owned(),
        member: member.map(str::to_owned),
    };
    let gone = storage.evidence_erase(vec![of("g-1", Some("u-1")), of("g-2", Some("u-1"))]).await.unwrap();
    assert_eq!(gone, 2);
    assert_eq!(all(&storage), ["ev_2", "ev_4"]);
    assert_eq!(storage.evidence_erase(vec![of("g-3", None), of("g-9", None)]).await.unwrap(), 1);
    assert_eq!(all(&storage), ["ev_2"]);
}

pub(in crate::storage) async fn evidence_has_room_for_so_much<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let room = EvidenceRoom { rows_max: 3, group_history_max: 2, ..ROOM };
    let stored = storage.evidence_keep((1..=3).map(|n| history(n, "g-1")).collect(), room).await.unwrap();
    assert_eq!((stored.refused, stored.totals.rows), (0, 2), "a group keeps its newest");
    assert_eq!(all(&storage), ["ev_2", "ev_3"]);
    let reviewed = |n| row(n, "g-2", "u-1", EvidenceKind::Reviewed);
    let stored = storage.evidence_keep((4..=6).map(reviewed).collect(), room).await.unwrap();
    assert_eq!((stored.refused, stored.totals.rows), (0, 3), "history makes room");
    assert_eq!(all(&storage), ["ev_4", "ev_5", "ev_6"]);
    let stored = storage.evidence_keep(vec![reviewed(7), history(8, "g-1")], room).await.unwrap();
    assert_eq!((stored.refused, stored.totals.rows), (2, 3));
    let narrow = EvidenceRoom { bytes_max: stored.totals.bytes, rows_max: 100, ..ROOM };
    assert_eq!(storage.evidence_keep(vec![reviewed(9)], narrow).await.unwrap().refused, 1);
}
