//! What endpoints are told.

use super::ledger::{delivery, intent, of, pending, settlement};
use super::{Harness, NOW_MS};
use crate::storage::{
    CalledOff, Carried, Change, Config, DeliveryFilter, DeliveryState, DocumentKind, MASS_SEND,
    MASS_SENDS_FROM, MASS_TARGET, Moved, SharedStorage, StatusChange, StatusSpan, Subject, Write,
};

fn listening() -> Change {
    let put = Write::Put { kind: DocumentKind::Endpoint, id: "ops".into(), body: "{}".into(), expect: None };
    Change { at_ms: NOW_MS, writes: vec![put], ..Change::default() }
}

async fn open_with_endpoint<H: Harness>(harness: &H) -> SharedStorage {
    let storage = harness.open(&Config::default()).unwrap();
    storage.apply(listening()).await.unwrap();
    storage
}

/// What was told after a number, as `target state`.
async fn told(storage: &SharedStorage, after: u64) -> Vec<String> {
    let changes = storage.status_changes(after, 0).await.unwrap();
    changes.iter().map(|change| format!("{} {}", change.target, change.state)).collect()
}

/// The same, where the order within a commit is open.
async fn told_in_any_order(storage: &SharedStorage, after: u64) -> Vec<String> {
    let mut told = told(storage, after).await;
    told.sort();
    told
}

pub(in crate::storage) async fn every_way_to_a_state_is_told_but_calls_and_their_retries<H: Harness>(
    harness: &H,
) {
    use DeliveryState::{Expired, Failed, Pending, Sent, Uncertain};
    let storage = open_with_endpoint(harness).await;
    let epoch = storage.lease("a").await.unwrap();
    storage.deliveries_add((1..=4).map(|n| pending("b", n)).collect()).await.unwrap();
    assert!(told(&storage, 0).await.is_empty(), "that something waits from the start is no change");
    // Two calls: the first is repeated, the second works.
    storage.intend(vec![intent(pending("b", 1), 1, epoch, NOW_MS)]).await.unwrap();
    storage.settle(vec![settlement("b_1", 1, NOW_MS + 1, Pending)]).await.unwrap();
    storage.intend(vec![intent(pending("b", 1), 2, epoch, NOW_MS + 2)]).await.unwrap();
    storage.settle(vec![settlement("b_1", 2, NOW_MS + 3, Sent)]).await.unwrap();
    let sent = storage.status_changes(0, 0).await.unwrap();
    let expect = StatusChange {
        seq: 1,
        at_ms: NOW_MS + 3,
        subject: Subject::Delivery,
        id: "b_1".into(),
        broadcast: "b".into(),
        target: 1,
        account: "demo".into(),
        group: "g-1".into(),
        kind: "broadcast".into(),
        state: "sent".into(),
        attempts: 2,
        code: "200".into(),
        platform_id: String::new(),
        context: String::new(),
    };
    assert_eq!(sent, [expect]);
    // A reply that was never stored before its call.
    storage.intend(vec![intent(pending("", 9), 1, epoch, NOW_MS)]).await.unwrap();
    storage.settle(vec![settlement("dlv_9", 1, NOW_MS + 1, Failed)]).await.unwrap();
    // Called off, moved by a person, past its time, and added as something that cannot be said.
    let called_off = vec![CalledOff { id: "b_2".into(), code: "left".into(), detail: String::new() }];
    storage.apply(Change { at_ms: NOW_MS, called_off, ..Change::default() }).await.unwrap();
    let one = |n: u32| DeliveryFilter { id: Some(format!("b_{n}")), ..DeliveryFilter::default() };
    storage.deliveries_move(one(3), Expired, NOW_MS + 4).await.unwrap();
    storage.deliveries_add(vec![delivery("b", 5, Failed), delivery("b", 5, Failed)]).await.unwrap();
    let again = Moved {
        id: "b_5".into(),
        from: Failed,
        to: Pending,
        code: String::new(),
        detail: String::new(),
        platform_id: None,
    };
    storage.apply(Change { at_ms: NOW_MS, moved: vec![again], ..Change::default() }).await.unwrap();
    let expect = ["9 failed", "2 cancelled", "3 expired", "5 failed", "5 pending"];
    assert_eq!(told(&storage, 1).await, expect);
    // A crash under way, found out later.
    storage.intend(vec![intent(pending("b", 4), 1, epoch, NOW_MS)]).await.unwrap();
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    storage.recover(NOW_MS + 9).await.unwrap();
    storage.settle(vec![settlement("b_4", 1, NOW_MS + 10, Sent)]).await.unwrap();
    assert_eq!(told(&storage, 6).await, ["4 uncertain", "4 sent"]);
    // It stands there already.
    storage
        .deliveries_move(DeliveryFilter { states: vec![Uncertain], ..of("b") }, Sent, NOW_MS)
        .await
        .unwrap();
    storage.deliveries_move(one(4), Sent, NOW_MS + 11).await.unwrap();
    assert!(told(&storage, 8).await.is_empty());
}

pub(in crate::storage) async fn deliveries_are_not_told_while_nobody_listens<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    storage.deliveries_add(vec![pending("b", 1)]).await.unwrap();
    storage.deliveries_move(of("b"), DeliveryState::Failed, NOW_MS).await.unwrap();
    assert_eq!(storage.status_span().await.unwrap(), StatusSpan { first: 1, last: 0 });
    // Broadcasts are few: streams are told of them, endpoints or not.
    let told_of = |state: &str| vec![StatusChange::broadcast("b", state, NOW_MS)];
    let standing = |state: &str| Change { at_ms: NOW_MS, told: told_of(state), ..Change::default() };
    storage.apply(standing("running")).await.unwrap();
    // From the commit that makes the endpoint on, up to the one that removes it.
    storage.apply(listening()).await.unwrap();
    storage.deliveries_move(of("b"), DeliveryState::Sent, NOW_MS).await.unwrap();
    let gone = Write::Delete { kind: DocumentKind::Endpoint, id: "ops".into() };
    storage.apply(Change { writes: vec![gone], ..standing("finished") }).await.unwrap();
    storage.deliveries_move(of("b"), DeliveryState::Failed, NOW_MS).await.unwrap();
    assert_eq!(told(&storage, 0).await, ["0 running", "1 sent", "0 finished"]);
}

pub(in crate::storage) async fn what_happened_is_told_each_time<H: Harness>(harness: &H) {
    let storage = open_with_endpoint(harness).await;
    let left = |id: &str, member: &str| {
        let context = serde_json::json!({"member": member});
        StatusChange::happened(Subject::Member, "left", id.to_owned(), NOW_MS, ("demo", "g-1"), &context)
    };
    // The same member may leave again; that they stand where they stood is no reason to be silent.
    for told in [vec![left("a", "u-1"), left("b", "u-2")], vec![left("a", "u-1")]] {
        storage.apply(Change { at_ms: NOW_MS, told, ..Change::default() }).await.unwrap();
    }
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let told = storage.status_changes(0, 0).await.unwrap();
    let ids: Vec<_> = told.iter().map(|change| (change.seq, change.id.as_str())).collect();
    assert_eq!(ids, [(1, "a"), (2, "b"), (3, "a")]);
    assert_eq!(told[1], StatusChange { seq: 2, ..left("b", "u-2") });
}

pub(in crate::storage) async fn mass_sends_tell_of_what_they_carry<H: Harness>(harness: &H) {
    use DeliveryState::{AwaitingConfirmation, Failed, Pending, Sent};
    let storage = open_with_endpoint(harness).await;
    let epoch = storage.lease("a").await.unwrap();
    let mut rows: Vec<_> = (1..=2).map(|n| pending("b", n)).collect();
    for row in &mut rows {
        row.kind = MASS_TARGET.into();
    }
    let mut carrier = pending("b", MASS_SENDS_FROM);
    carrier.kind = MASS_SEND.into();
    rows.push(carrier.clone());
    storage.deliveries_add(rows).await.unwrap();
    let carried = |n: u32, from, state, carrier| Carried {
        id: format!("b_{n}"),
        from,
        state,
        carrier,
        at_ms: NOW_MS + 1,
        code: String::new(),
        detail: String::new(),
        platform_id: "msg-1".into(),
    };
    let carry = |carried: Vec<Carried>| Change { at_ms: NOW_MS, carried, ..Change::default() };
    storage.apply(carry((1..=2).map(|n| carried(n, 0, Pending, MASS_SENDS_FROM)).collect())).await.unwrap();
    assert!(told(&storage, 0).await.is_empty(), "which task carries it is no state");
    // The task itself is called; it is no target, and nobody is told of it.
    storage.intend(vec![intent(carrier.clone(), 1, epoch, NOW_MS)]).await.unwrap();
    storage.settle(vec![settlement(&carrier.id, 1, NOW_MS + 1, AwaitingConfirmation)]).await.unwrap();
    let both = |one, other| {
        carry(vec![
            carried(1, MASS_SENDS_FROM, one, MASS_SENDS_FROM),
            carried(2, MASS_SENDS_FROM, other, MASS_SENDS_FROM),
        ])
    };
    storage.apply(both(AwaitingConfirmation, AwaitingConfirmation)).await.unwrap();
    storage.apply(both(AwaitingConfirmation, AwaitingConfirmation)).await.unwrap();
    storage.apply(both(Sent, Failed)).await.unwrap();
    let expect = ["1 awaiting_confirmation", "2 awaiting_confirmation", "1 sent", "2 failed"];
    assert_eq!(told(&storage, 0).await, expect);
    let changes = storage.status_changes(3, 1).await.unwrap();
    assert_eq!((changes[0].kind.as_str(), changes[0].platform_id.as_str()), (MASS_TARGET, "msg-1"));
}

pub(in crate::storage) async fn many_deliveries_moved_at_once_are_all_told<H: Harness>(harness: &H) {
    let storage = open_with_endpoint(harness).await;
    storage.deliveries_add((0..300).map(|n| pending("b", n)).collect()).await.unwrap();
    let all = DeliveryFilter { broadcast: Some("b".into()), ..DeliveryFilter::default() };
    assert_eq!(storage.deliveries_move(all, DeliveryState::Cancelled, NOW_MS + 1).await.unwrap(), 300);
    let mut expect: Vec<_> = (0..300).map(|n| format!("{n} cancelled")).collect();
    expect.sort();
    assert_eq!(told_in_any_order(&storage, 0).await, expect);
    let pages: Vec<_> = [storage.status_changes(0, 200).await, storage.status_changes(200, 200).await]
        .into_iter()
        .flat_map(|page| page.unwrap().into_iter().map(|change| change.seq))
        .collect();
    assert_eq!(pages, (1..=300).collect::<Vec<_>>());
}

pub(in crate::storage) async fn what_is_undone_is_not_told_and_numbers_have_no_gap<H: Harness>(harness: &H) {
    use DeliveryState::{Failed, Sent, Uncertain};
    let storage = open_with_endpoint(harness).await;
    storage.deliveries_add(vec![pending("b", 1), pending("b", 2)]).await.unwrap();
    storage.deliveries_move(of("b"), Uncertain, NOW_MS).await.unwrap();
    let moved = |n: u32, from| Moved {
        id: format!("b_{n}"),
        from,
        to: Sent,
        code: String::new(),
        detail: String::new(),
        platform_id: None,
    };
    let apply = |moved| storage.apply(Change { at_ms: NOW_MS, moved, ..Change::default() });
    assert!(apply(vec![moved(1, Uncertain), moved(2, Failed)]).await.is_err());
    assert_eq!(storage.status_span().await.unwrap().last, 2);
    apply(vec![moved(2, Uncertain)]).await.unwrap();
    assert_eq!(told(&storage, 2).await, ["2 sent"]);
    assert_eq!(storage.status_changes(2, 0).await.unwrap()[0].seq, 3);
}

pub(in crate::storage) async fn a_broadcast_is_told_where_it_stands_once<H: Harness>(harness: &H) {
    let storage = open_with_endpoint(harness).await;
    let tell = |id: &str, state: &str| {
        let told = vec![StatusChange::broadcast(id, state, NOW_MS)];
        storage.apply(Change { at_ms: NOW_MS, told, ..Change::default() })
    };
    for (id, state) in
        [("b", "running"), ("c", "running"), ("b", "running"), ("b", "paused"), ("b", "running")]
    {
        tell(id, state).await.unwrap();
    }
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let told = vec![StatusChange::broadcast("b", "running", NOW_MS + 5)];
    storage.apply(Change { at_ms: NOW_MS, told, ..Change::default() }).await.unwrap();
    let all = storage.status_changes(0, 0).await.unwrap();
    let all: Vec<_> = all.iter().map(|change| (change.id.as_str(), change.state.as_str())).collect();
    assert_eq!(all, [("b", "running"), ("c", "running"), ("b", "paused"), ("b", "running")]);
}

pub(in crate::storage) async fn old_changes_are_found_by_time_and_forgotten_by_number<H: Harness>(
    harness: &H,
) {
    let storage = open_with_endpoint(harness).await;
    // The clock steps back in the middle.
    for (n, at_ms) in [10, 20, 15, 30, 5, 40].into_iter().enumerate() {
        let told = vec![StatusChange::broadcast(&format!("b-{n}"), "running", at_ms)];
        storage.apply(Change { at_ms, told, ..Change::default() }).await.unwrap();
    }
    for (from_ms, seq) in [(0, 1), (16, 2), (21, 4), (40, 6), (41, 7)] {
        assert_eq!(storage.status_since(from_ms).await.unwrap(), seq, "since {from_ms}");
    }
    assert_eq!(storage.status_forget(3).await.unwrap(), 3);
    assert_eq!(storage.status_forget(3).await.unwrap(), 0);
    assert_eq!(storage.status_span().await.unwrap(), StatusSpan { first: 4, last: 6 });
    assert_eq!(storage.status_forget(99).await.unwrap(), 3);
    assert_eq!(storage.status_span().await.unwrap(), StatusSpan { first: 7, last: 6 });
    assert_eq!(storage.status_since(0).await.unwrap(), 7);
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let told = vec![StatusChange::broadcast("b-9", "running", NOW_MS)];
    storage.apply(Change { at_ms: NOW_MS, told, ..Change::default() }).await.unwrap();
    assert_eq!(storage.status_changes(0, 0).await.unwrap()[0].seq, 7, "numbers are never used again");
}
