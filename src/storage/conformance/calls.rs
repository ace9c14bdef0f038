//! What people are told of single deliveries, and what they decide about them.

use super::ledger::{delivery, entry, intent, of, pending, settlement};
use super::{Harness, NOW_MS};
use crate::storage::{
    CallRow, Change, Config, DeliveryFilter, DeliveryState, INTERRUPTED, Moved, Settlement, StorageError,
};

fn moved(id: &str, from: DeliveryState, to: DeliveryState) -> Moved {
    let (id, code, detail) = (id.to_owned(), "declared".to_owned(), "seen".to_owned());
    Moved { id, from, to, code, detail, platform_id: None }
}

pub(in crate::storage) async fn every_call_is_remembered_with_what_came_of_it<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let row = pending("b", 1);
    storage.intend(vec![intent(row.clone(), 1, epoch, NOW_MS)]).await.unwrap();
    let calls = storage.calls(&row.id).await.unwrap();
    assert_eq!((calls[0].ended_ms, calls[0].outcome), (None, None), "under way");
    storage.settle(vec![settlement(&row.id, 1, NOW_MS + 10, DeliveryState::Pending)]).await.unwrap();
    let row = storage.deliveries(of("b")).await.unwrap().remove(0);
    storage.intend(vec![intent(row.clone(), 2, epoch, NOW_MS + 20)]).await.unwrap();
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    storage.recover(NOW_MS + 90).await.unwrap();
    // What is found out later is the delivery's, not the call's.
    let found = Settlement {
        code: "resolved".to_owned(),
        platform_id: Some("m-1".to_owned()),
        ..settlement(&row.id, 2, NOW_MS + 100, DeliveryState::Sent)
    };
    storage.settle(vec![found]).await.unwrap();
    let call = |attempt, started_ms, ended_ms, outcome, code: &str, detail: &str| CallRow {
        attempt,
        started_ms,
        ended_ms: Some(ended_ms),
        cost: 1,
        outcome: Some(outcome),
        code: code.to_owned(),
        detail: detail.to_owned(),
        platform_id: String::new(),
    };
    let first = call(1, NOW_MS, NOW_MS + 10, DeliveryState::Pending, "200", "ok");
    let detail = crate::storage::INTERRUPTED_DETAIL;
    let second = call(2, NOW_MS + 20, NOW_MS + 90, DeliveryState::Uncertain, INTERRUPTED, detail);
    assert_eq!(storage.calls(&row.id).await.unwrap(), [first, second]);
    let row = storage.deliveries(of("b")).await.unwrap().remove(0);
    assert_eq!((row.state, row.platform_id.as_str()), (DeliveryState::Sent, "m-1"));
    assert!(storage.calls("nobody").await.unwrap().is_empty());
}

pub(in crate::storage) async fn a_person_moves_only_what_stands_where_they_saw_it<H: Harness>(harness: &H) {
    use DeliveryState::{Failed, Pending, Sent, Uncertain};
    let storage = harness.open(&Config::default()).unwrap();
    storage.deliveries_add(vec![delivery("b", 1, Uncertain), delivery("b", 2, Failed)]).await.unwrap();
    let apply = |moved: Vec<Moved>| {
        let change = Change { at_ms: NOW_MS + 5, moved, audit: vec![entry("x")], ..Change::default() };
        let storage = storage.clone();
        async move { storage.apply(change).await }
    };
    let both = vec![moved("b_1", Uncertain, Sent), moved("b_2", Uncertain, Pending)];
    assert!(matches!(apply(both).await, Err(StorageError::Conflict { .. })));
    let states =
        |rows: Vec<crate::storage::DeliveryRow>| rows.iter().map(|row| row.state).collect::<Vec<_>>();
    assert_eq!(states(storage.deliveries(of("b")).await.unwrap()), [Uncertain, Failed], "all or nothing");
    apply(vec![moved("b_1", Uncertain, Sent), moved("b_2", Failed, Pending)]).await.unwrap();
    let rows = storage.deliveries(of("b")).await.unwrap();
    assert_eq!((rows[0].code.as_str(), rows[0].updated_ms), ("declared", NOW_MS + 5));
    // A result does not go back, whatever a call that was under way came to.
    let late = settlement("b_1", rows[0].attempts, NOW_MS + 9, Pending);
    storage.settle(vec![late]).await.unwrap();
    assert_eq!(states(storage.deliveries(of("b")).await.unwrap()), [Sent, Pending]);
    assert!(apply(vec![moved("b_1", Uncertain, Pending)]).await.is_err());
    assert_eq!(storage.targets_before("b", "demo", 9).await.unwrap(), 1);
    assert_eq!(storage.targets_before("b", "demo", 2).await.unwrap(), 0);
}

pub(in crate::storage) async fn deliveries_are_found_by_what_became_of_them<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let rows: Vec<_> = (0..4_u32)
        .map(|n| {
            let mut row = delivery("b", n, DeliveryState::Failed);
            row.updated_ms = NOW_MS + i64::from(n);
            row.code = if n < 2 { "http_500".to_owned() } else { "gone".to_owned() };
            row.group = format!("g-{}", n % 2);
            row
        })
        .collect();
    storage.deliveries_add(rows).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let all = || DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    for (filter, expect) in [
        (DeliveryFilter { code: some("gone"), ..all() }, vec![2, 3]),
        (DeliveryFilter { group: some("g-1"), ..all() }, vec![1, 3]),
        (DeliveryFilter { from_ms: Some(NOW_MS + 1), until_ms: Some(NOW_MS + 3), ..all() }, vec![1, 2]),
        (DeliveryFilter { kind: some("nothing"), ..all() }, vec![]),
        (DeliveryFilter { code: some("http_500"), group: some("g-0"), ..of("b") }, vec![0]),
    ] {
        let found = storage.deliveries(filter.clone()).await.unwrap();
        assert_eq!(found.iter().map(|row| row.target).collect::<Vec<_>>(), expect, "{filter:?}");
    }
}
