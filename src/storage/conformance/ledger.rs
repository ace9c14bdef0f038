//! Promises of the ledger.

use super::{Harness, NOW_MS};
use crate::storage::{
    AuditEntry, AuditFilter, CalledOff, Carried, Change, Config, DeliveryFilter, DeliveryRow, DeliveryState,
    DocumentKind, IdempotencyRecord, Intent, Kinds, MASS_SEND, MASS_SENDS_FROM, MASS_TARGET, Settlement,
    StorageError, Write,
};

fn put(id: &str, body: &str, expect: Option<u64>) -> Write {
    Write::Put { kind: DocumentKind::Shop, id: id.to_owned(), body: body.to_owned(), expect }
}

fn change(writes: Vec<Write>) -> Change {
    Change { at_ms: NOW_MS, writes, ..Change::default() }
}

pub(super) fn entry(id: &str) -> AuditEntry {
    AuditEntry {
        seq: 0,
        at_ms: NOW_MS,
        operator: "op".to_owned(),
        token: String::new(),
        verb: "create".to_owned(),
        object: "shop".to_owned(),
        id: id.to_owned(),
        detail: "{}".to_owned(),
        place: "acme/east/s-1".to_owned(),
    }
}

pub(super) fn delivery(broadcast: &str, target: u32, state: DeliveryState) -> DeliveryRow {
    DeliveryRow {
        id: if broadcast.is_empty() { format!("dlv_{target}") } else { format!("{broadcast}_{target}") },
        broadcast: broadcast.to_owned(),
        target,
        account: "demo".to_owned(),
        group: format!("g-{target}"),
        kind: if broadcast.is_empty() { "reply" } else { "broadcast" }.to_owned(),
        state,
        attempts: 0,
        due_ms: NOW_MS,
        expires_ms: 0,
        body: String::new(),
        code: String::new(),
        detail: String::new(),
        updated_ms: NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    }
}

pub(super) fn pending(broadcast: &str, target: u32) -> DeliveryRow {
    delivery(broadcast, target, DeliveryState::Pending)
}

pub(super) fn intent(delivery: DeliveryRow, attempt: u32, epoch: u64, at_ms: i64) -> Intent {
    Intent { delivery, attempt, at_ms, cost: 1, epoch }
}

pub(super) fn settlement(id: &str, attempt: u32, at_ms: i64, state: DeliveryState) -> Settlement {
    Settlement {
        id: id.to_owned(),
        attempt,
        at_ms,
        state,
        due_ms: at_ms + 5,
        code: "200".to_owned(),
        detail: "ok".to_owned(),
        platform_id: None,
    }
}

pub(super) fn of(broadcast: &str) -> DeliveryFilter {
    DeliveryFilter { broadcast: Some(broadcast.to_owned()), limit: 100, ..DeliveryFilter::default() }
}

pub(in crate::storage) async fn documents_have_versions_and_conflicts<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    for (write, expect) in [
        (put("s-1", "{}", Some(1)), None),
        (put("s-1", "{}", Some(0)), Some(1)),
        (put("s-1", "{}", Some(0)), None),
        (put("s-1", r#"{"a":1}"#, Some(1)), Some(2)),
        (put("s-1", r#"{"a":2}"#, None), Some(3)),
        (put("s-1", "{}", Some(2)), None),
        (Write::Delete { kind: DocumentKind::Shop, id: "s-2".to_owned() }, Some(0)),
    ] {
        let version = match storage.apply(change(vec![write.clone()])).await {
            Ok(versions) => Some(versions[0]),
            Err(StorageError::Conflict { .. }) => None,
            Err(other) => panic!("{write:?}: {other}"),
        };
        assert_eq!(version, expect, "{write:?}");
    }
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let found = storage.document(DocumentKind::Shop, "s-1").await.unwrap().unwrap();
    assert_eq!((found.version, found.body.as_str(), found.updated_ms), (3, r#"{"a":2}"#, NOW_MS));
    assert_eq!(storage.document(DocumentKind::Region, "s-1").await.unwrap(), None);
    storage
        .apply(change(vec![Write::Delete { kind: DocumentKind::Shop, id: "s-1".to_owned() }]))
        .await
        .unwrap();
    assert_eq!(storage.document(DocumentKind::Shop, "s-1").await.unwrap(), None);
}

pub(in crate::storage) async fn a_change_is_all_or_nothing<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let mut all = change(vec![put("s-1", "{}", Some(0)), put("s-2", "{}", Some(7))]);
    all.audit = vec![entry("s-1")];
    all.deliveries = vec![pending("b", 1)];
    all.idempotency = Some(record("k", NOW_MS + 10));
    assert!(matches!(storage.apply(all.clone()).await, Err(StorageError::Conflict { .. })));
    assert_eq!(storage.document(DocumentKind::Shop, "s-1").await.unwrap(), None);
    assert!(storage.audit(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap().is_empty());
    assert!(storage.deliveries(of("b")).await.unwrap().is_empty());
    assert_eq!(storage.idempotency("k").await.unwrap(), None);
    all.writes.pop();
    // Others that wait for the same commit are not harmed by one that fails.
    let (one, bad, two) = tokio::join!(
        storage.apply(all),
        storage.apply(change(vec![put("s-3", "{}", Some(7))])),
        storage.apply(change(vec![put("s-4", "{}", Some(0))]))
    );
    assert!(one.is_ok() && bad.is_err() && two.is_ok());
    assert_eq!(storage.deliveries(of("b")).await.unwrap(), [pending("b", 1)]);
    assert!(storage.idempotency("k").await.unwrap().is_some());
}

fn record(key: &str, expires_ms: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        key: key.to_owned(),
        fingerprint: "f".to_owned(),
        status: 202,
        body: "{}".to_owned(),
        expires_ms,
    }
}

pub(in crate::storage) async fn an_idempotency_key_works_once_until_it_expires<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let with =
        |at_ms, expires_ms| Change { at_ms, idempotency: Some(record("k", expires_ms)), ..Change::default() };
    storage.apply(with(NOW_MS, NOW_MS + 100)).await.unwrap();
    let again = storage.apply(with(NOW_MS + 99, NOW_MS + 199)).await;
    assert!(matches!(again, Err(StorageError::Conflict { what }) if what.contains("idempotency")));
    storage.apply(with(NOW_MS + 100, NOW_MS + 300)).await.unwrap();
    assert_eq!(storage.idempotency("k").await.unwrap().unwrap().expires_ms, NOW_MS + 300);
}

pub(in crate::storage) async fn the_audit_log_is_read_backwards<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    for n in 0..5 {
        let mut one = change(Vec::new());
        one.audit = vec![entry(&format!("s-{n}"))];
        if n == 3 {
            one.audit[0].object = "broadcast".to_owned();
        }
        storage.apply(one).await.unwrap();
    }
    let read = |before: Option<u64>, object: Option<&str>, limit: usize| {
        let filter = AuditFilter { before, object: object.map(str::to_owned), id: None, limit };
        let storage = storage.clone();
        async move { storage.audit(filter).await.unwrap() }
    };
    let newest = read(None, None, 2).await;
    assert_eq!(newest.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["s-4", "s-3"]);
    let older = read(Some(newest[1].seq), None, 10).await;
    assert_eq!(older.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["s-2", "s-1", "s-0"]);
    let shops = read(None, Some("shop"), 10).await;
    assert_eq!(shops.len(), 4);
    assert!(shops[0].seq > 0);
    assert_eq!(AuditEntry { seq: 0, ..shops[0].clone() }, entry("s-4"));
    for (object, found) in [(None, 1), (Some("broadcast"), 1), (Some("shop"), 0)] {
        let id = Some("s-3".to_owned());
        let filter = AuditFilter { id, object: object.map(str::to_owned), limit: 10, before: None };
        assert_eq!(storage.audit(filter).await.unwrap().len(), found, "{object:?}");
    }
}

pub(in crate::storage) async fn documents_are_paged_in_id_order<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let writes = [3, 1, 4, 2, 0].map(|n| put(&format!("s-{n}"), "{}", None));
    storage.apply(change(writes.to_vec())).await.unwrap();
    let first = storage.documents(DocumentKind::Shop, None, 2).await.unwrap();
    let rest = storage.documents(DocumentKind::Shop, first.last().map(|d| d.id.clone()), 10).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|d| d.id.as_str()).collect();
    assert_eq!(ids, ["s-0", "s-1", "s-2", "s-3", "s-4"]);
    assert!(storage.documents(DocumentKind::Hold, None, 10).await.unwrap().is_empty());
}

pub(in crate::storage) async fn deliveries_are_added_once_and_paged<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let rows: Vec<_> = (0..10).map(|n| pending("b", n)).collect();
    storage.deliveries_add(rows[..6].to_vec()).await.unwrap();
    storage.deliveries_move(of("b"), DeliveryState::Sent, NOW_MS + 1).await.unwrap();
    storage.deliveries_add(rows.clone()).await.unwrap();
    storage.deliveries_add(vec![pending("other", 1), pending("", 5)]).await.unwrap();
    let page = |filter: DeliveryFilter| {
        let storage = storage.clone();
        async move { storage.deliveries(filter).await.unwrap() }
    };
    let targets = |rows: &[DeliveryRow]| rows.iter().map(|row| row.target).collect::<Vec<_>>();
    let first = page(DeliveryFilter { limit: 7, ..of("b") }).await;
    assert_eq!(targets(&first), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((first[5].state, first[6].state), (DeliveryState::Sent, DeliveryState::Pending));
    let last = &first[6];
    let after = Some((last.broadcast.clone(), last.target, last.id.clone()));
    assert_eq!(targets(&page(DeliveryFilter { after, ..of("b") }).await), [7, 8, 9]);
    let sent = DeliveryFilter { states: vec![DeliveryState::Sent], ..of("b") };
    assert_eq!(targets(&page(sent).await), [0, 1, 2, 3, 4, 5]);
    assert_eq!(targets(&page(of("")).await), [5]);
    let one = DeliveryFilter { id: Some("b_3".to_owned()), limit: 1, ..DeliveryFilter::default() };
    assert_eq!(targets(&page(one).await), [3]);
    let all = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    assert_eq!(page(all).await.len(), 12);
    let mut counts = storage.delivery_counts("b").await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [(DeliveryState::Pending, 4), (DeliveryState::Sent, 6)]);
}

pub(in crate::storage) async fn deliveries_move_by_filter<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let mut rows: Vec<_> = (0..6).map(|n| pending("b", n)).collect();
    rows[2].state = DeliveryState::Failed;
    rows.push(pending("c", 1));
    storage.deliveries_add(rows).await.unwrap();
    let failed = DeliveryFilter { states: vec![DeliveryState::Failed], limit: 0, ..of("b") };
    assert_eq!(storage.deliveries_move(failed, DeliveryState::Pending, NOW_MS).await.unwrap(), 1);
    let some = DeliveryFilter { states: vec![DeliveryState::Pending], limit: 4, ..of("b") };
    assert_eq!(storage.deliveries_move(some, DeliveryState::Cancelled, NOW_MS + 9).await.unwrap(), 4);
    let rest = DeliveryFilter { states: vec![DeliveryState::Pending], limit: 0, ..of("b") };
    assert_eq!(storage.deliveries_move(rest, DeliveryState::Cancelled, NOW_MS + 9).await.unwrap(), 2);
    let rows = storage.deliveries(of("b")).await.unwrap();
    assert!(rows.iter().all(|r| r.state == DeliveryState::Cancelled && r.updated_ms == NOW_MS + 9));
    assert_eq!(storage.delivery_counts("c").await.unwrap(), [(DeliveryState::Pending, 1)]);
}

pub(in crate::storage) async fn an_intent_is_committed_with_its_attempt<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    storage.deliveries_add(vec![pending("b", 1)]).await.unwrap();
    let intents = vec![
        intent(pending("b", 1), 1, epoch, NOW_MS + 1),
        intent(pending("", 7), 1, epoch, NOW_MS + 2), // unknown until now
    ];
    storage.intend(intents).await.unwrap();
    for (filter, at_ms) in [(of("b"), NOW_MS + 1), (of(""), NOW_MS + 2)] {
        let rows = storage.deliveries(filter).await.unwrap();
        let seen = (rows.len(), rows[0].state, rows[0].attempts, rows[0].updated_ms);
        assert_eq!(seen, (1, DeliveryState::Sending, 1, at_ms));
    }
    let attempts = storage.attempts_since("demo", NOW_MS).await.unwrap();
    assert_eq!(
        attempts.iter().map(|a| (a.started_ms, a.ended_ms)).collect::<Vec<_>>(),
        [(NOW_MS + 1, None), (NOW_MS + 2, None)]
    );
}

pub(in crate::storage) async fn only_what_waits_may_be_called<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for (target, state) in DeliveryState::ALL.into_iter().enumerate() {
        let row = delivery("b", u32::try_from(target).unwrap(), state);
        storage.deliveries_add(vec![row.clone()]).await.unwrap();
        // A good one beside it: all or nothing.
        let beside = intent(pending("beside", row.target), 1, epoch, NOW_MS);
        let result = storage.intend(vec![beside, intent(row.clone(), 1, epoch, NOW_MS)]).await;
        let waits = matches!(state, DeliveryState::Pending | DeliveryState::Uncertain);
        assert_eq!(result.is_ok(), waits, "{state:?}: {result:?}");
        let row_now = storage
            .deliveries(DeliveryFilter { id: Some(row.id), limit: 1, ..DeliveryFilter::default() })
            .await
            .unwrap();
        assert_eq!(row_now[0].state, if waits { DeliveryState::Sending } else { state });
    }
    assert_eq!(storage.deliveries(of("beside")).await.unwrap().len(), 2);
}

pub(in crate::storage) async fn settled_calls_change_their_delivery<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let row = pending("b", 1);
    storage.intend(vec![intent(row.clone(), 1, epoch, NOW_MS)]).await.unwrap();
    let retry = settlement(&row.id, 1, NOW_MS + 10, DeliveryState::Pending);
    storage.settle(vec![retry]).await.unwrap();
    let now = storage.deliveries(of("b")).await.unwrap().remove(0);
    assert_eq!((now.state, now.due_ms, now.attempts), (DeliveryState::Pending, NOW_MS + 15, 1));
    storage.intend(vec![intent(now, 2, epoch, NOW_MS + 20)]).await.unwrap();
    // The answer to the first call comes once more, late: it is not the latest call.
    storage.settle(vec![settlement(&row.id, 1, NOW_MS + 25, DeliveryState::Failed)]).await.unwrap();
    storage.settle(vec![settlement(&row.id, 2, NOW_MS + 30, DeliveryState::Sent)]).await.unwrap();
    let now = storage.deliveries(of("b")).await.unwrap().remove(0);
    let seen = (now.state, now.code.as_str(), now.detail.as_str(), now.updated_ms);
    assert_eq!(seen, (DeliveryState::Sent, "200", "ok", NOW_MS + 30));
}

pub(in crate::storage) async fn a_crash_leaves_uncertain<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let (flying, done, single) = (pending("b", 1), pending("b", 2), pending("", 3));
    let starts = [&flying, &done, &single].map(|row| intent(row.clone(), 1, epoch, NOW_MS));
    storage.intend(starts.to_vec()).await.unwrap();
    storage.settle(vec![settlement(&done.id, 1, NOW_MS + 1, DeliveryState::Sent)]).await.unwrap();
    storage.deliveries_add(vec![pending("b", 4), pending("", 5)]).await.unwrap();
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let left = storage.recover(NOW_MS + 100).await.unwrap();
    let seen: Vec<_> = left.iter().map(|row| (row.id.as_str(), row.state)).collect();
    assert_eq!(
        seen,
        [
            (single.id.as_str(), DeliveryState::Uncertain),
            ("dlv_5", DeliveryState::Pending),
            (flying.id.as_str(), DeliveryState::Uncertain),
        ]
    );
    let again = storage.recover(NOW_MS + 200).await.unwrap();
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|row| row.updated_ms <= NOW_MS + 100));
    let attempts = storage.attempts_since("demo", NOW_MS + 50).await.unwrap();
    let ends: Vec<_> = attempts.iter().map(|a| a.ended_ms).collect();
    assert_eq!(ends, [Some(NOW_MS + 100); 2], "what nobody saw end ends when the gateway is back");
}

pub(in crate::storage) async fn attempts_are_remembered_for_the_limits<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..4_u32 {
        let at_ms = NOW_MS + i64::from(n) * 100;
        let row = pending("b", n);
        storage.intend(vec![Intent { cost: n, ..intent(row.clone(), 1, epoch, at_ms) }]).await.unwrap();
        if n < 3 {
            storage.settle(vec![settlement(&row.id, 1, at_ms + 50, DeliveryState::Sent)]).await.unwrap();
        }
    }
    let since = |ms: i64| {
        let storage = storage.clone();
        async move {
            let attempts = storage.attempts_since("demo", NOW_MS + ms).await.unwrap();
            attempts.iter().map(|a| a.cost).collect::<Vec<_>>()
        }
    };
    assert_eq!(since(0).await, [0, 1, 2, 3]);
    assert_eq!(since(150).await, [1, 2, 3], "it ended after, though it had started before");
    assert_eq!(since(9_999).await, [3], "a call without an end still counts");
    assert!(storage.attempts_since("other", 0).await.unwrap().is_empty());
}

pub(in crate::storage) async fn a_stale_owner_cannot_send<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let old = storage.lease("a").await.unwrap();
    let new = storage.lease("b").await.unwrap();
    let stale = storage.intend(vec![intent(pending("b", 1), 1, old, NOW_MS)]).await;
    assert!(matches!(stale, Err(StorageError::Fenced(_))));
    assert!(storage.deliveries(of("b")).await.unwrap().is_empty());
    storage.intend(vec![intent(pending("b", 1), 1, new, NOW_MS)]).await.unwrap();
}

fn mass_target(target: u32, state: DeliveryState, carrier: u32) -> DeliveryRow {
    DeliveryRow { kind: MASS_TARGET.to_owned(), carrier, ..delivery("b", target, state) }
}

fn mass_send(number: u32, state: DeliveryState) -> DeliveryRow {
    DeliveryRow { kind: MASS_SEND.to_owned(), group: String::new(), ..delivery("b", number, state) }
}

fn carried(target: u32, from: u32, carrier: u32, state: DeliveryState, at_ms: i64) -> Carried {
    Carried {
        id: format!("b_{target}"),
        from,
        carrier,
        state,
        at_ms,
        code: format!("{state:?}"),
        detail: String::new(),
        platform_id: "msg1".to_owned(),
    }
}

pub(in crate::storage) async fn only_what_could_not_be_said_is_said_anew<H: Harness>(harness: &H) {
    use DeliveryState::{Failed, Pending, Sent};
    let storage = harness.open(&Config::default()).unwrap();
    let unsaid =
        |target| DeliveryRow { code: "missing_variable".to_owned(), ..delivery("b", target, Failed) };
    let called = DeliveryRow { attempts: 1, ..unsaid(2) };
    let sent = DeliveryRow { code: "missing_variable".to_owned(), ..delivery("b", 3, Sent) };
    let refused = DeliveryRow { code: "group_gone".to_owned(), ..delivery("b", 4, Failed) };
    storage.deliveries_add(vec![unsaid(0), unsaid(1), called, sent, refused]).await.unwrap();
    let targets = async |unsaid| -> Vec<u32> {
        let rows = storage.deliveries(DeliveryFilter { unsaid: Some(unsaid), ..of("b") }).await.unwrap();
        rows.into_iter().map(|row| row.target).collect()
    };
    assert_eq!((targets(true).await, targets(false).await), (vec![0, 1], vec![2, 3, 4]));
    let anew = |target| DeliveryRow { body: "anew".to_owned(), ..delivery("b", target, Pending) };
    let said = (0..6).map(anew).collect();
    storage.apply(Change { said, ..change(Vec::new()) }).await.unwrap();
    let rows = storage.deliveries(of("b")).await.unwrap();
    let now: Vec<_> = rows.iter().map(|row| (row.state, row.body == "anew")).collect();
    assert_eq!(now, [(Pending, true), (Pending, true), (Failed, false), (Sent, false), (Failed, false)]);
    assert_eq!(rows[0].code, "");
}

pub(in crate::storage) async fn what_groups_are_to_get_is_found_and_called_off<H: Harness>(harness: &H) {
    use DeliveryState::{AwaitingConfirmation, Cancelled, Failed, Pending, Sending, Sent};
    let storage = harness.open(&Config::default()).unwrap();
    let of_group = |broadcast: &str, target, state, group: &str| DeliveryRow {
        group: group.to_owned(),
        ..delivery(broadcast, target, state)
    };
    let rows = vec![
        of_group("a", 1, Sent, "g-1"),
        of_group("b", 1, Pending, "g-1"),
        of_group("c", 1, Sending, "g-1"),
        of_group("d", 1, Failed, "g-1"),
        of_group("e", 1, Cancelled, "g-1"),
        of_group("b", 2, Pending, "g-2"),
        of_group("b", 3, Pending, "g-3"),
        of_group("b", MASS_SENDS_FROM, AwaitingConfirmation, "g-1"),
        of_group("", 0, Sent, "g-1"),
    ];
    storage.deliveries_add(rows).await.unwrap();
    let found = async |groups: &[&str], since_ms: i64| -> Vec<(String, u32)> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let rows = storage.targets_of_groups("demo", groups, since_ms).await.unwrap();
        rows.into_iter().map(|row| (row.broadcast, row.target)).collect()
    };
    let named = |rows: &[(&str, u32)]| rows.iter().map(|(of, n)| ((*of).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(found(&["g-1"], NOW_MS).await, named(&[("a", 1), ("b", 1), ("c", 1)]));
    assert_eq!(found(&["g-2", "g-1"], 0).await, named(&[("b", 2), ("a", 1), ("b", 1), ("c", 1)]));
    assert!(found(&["g-1"], NOW_MS + 1).await.is_empty() && found(&["g-9"], 0).await.is_empty());
    let off = |row: &DeliveryRow| CalledOff {
        id: row.id.clone(),
        code: "frequency_cap".to_owned(),
        detail: "another one goes".to_owned(),
    };
    let called_off = storage.deliveries(DeliveryFilter::default()).await.unwrap().iter().map(off).collect();
    storage.apply(Change { called_off, ..change(Vec::new()) }).await.unwrap();
    assert_eq!(found(&["g-1", "g-2", "g-3"], 0).await, named(&[("a", 1), ("c", 1)]), "only what was pending");
    let row = storage.deliveries(of("b")).await.unwrap().remove(0);
    assert_eq!(
        (row.state, row.code.as_str(), row.detail.as_str()),
        (Cancelled, "frequency_cap", "another one goes")
    );
}

pub(in crate::storage) async fn what_mass_sends_carry_is_settled_once<H: Harness>(harness: &H) {
    use DeliveryState::{AwaitingConfirmation, Cancelled, Failed, Pending, Sending, Sent, Uncertain};
    const ONE: u32 = MASS_SENDS_FROM;
    const TWO: u32 = MASS_SENDS_FROM + 1;
    let storage = harness.open(&Config::default()).unwrap();
    let rows = vec![mass_target(1, Pending, 0), mass_send(ONE, AwaitingConfirmation), pending("b", 2)];
    storage.deliveries_add(rows).await.unwrap();
    let now = async |target: u32| {
        let rows = storage.deliveries(of("b")).await.unwrap();
        let row = rows.into_iter().find(|row| row.target == target).unwrap();
        (row.state, row.carrier, row.updated_ms - NOW_MS)
    };
    // What is asked, and where target 1 stands then.
    for (at, (from, carrier, state), then) in [
        (1, (ONE, ONE, AwaitingConfirmation), (Pending, 0, 0)), // nobody carries it yet
        (2, (0, ONE, Pending), (Pending, ONE, 2)),
        (3, (0, TWO, Pending), (Pending, ONE, 2)), // it is carried already
        (4, (ONE, ONE, Uncertain), (Uncertain, ONE, 4)),
        (5, (ONE, ONE, Pending), (Pending, ONE, 5)),
        (6, (ONE, ONE, AwaitingConfirmation), (AwaitingConfirmation, ONE, 6)),
        (7, (ONE, ONE, AwaitingConfirmation), (AwaitingConfirmation, ONE, 6)),
        (8, (ONE, ONE, Pending), (AwaitingConfirmation, ONE, 6)),
        (9, (TWO, TWO, Failed), (AwaitingConfirmation, ONE, 6)),
        (10, (ONE, ONE, Sending), (AwaitingConfirmation, ONE, 6)),
        (11, (ONE, ONE, Sent), (Sent, ONE, 11)),
        (12, (ONE, ONE, Sent), (Sent, ONE, 11)),
        (13, (ONE, ONE, Failed), (Sent, ONE, 11)),
        (14, (ONE, ONE, Cancelled), (Sent, ONE, 11)),
    ] {
        let at_ms = NOW_MS + at;
        let change = Change { carried: vec![carried(1, from, carrier, state, at_ms)], ..change(Vec::new()) };
        storage.apply(change).await.unwrap();
        assert_eq!(now(1).await, then, "step {at}");
    }
    // Ordinary targets are the outbox's alone; a mass send ends once.
    let others = [(2, Sent), (ONE, Pending), (ONE, Failed), (ONE, Sent)];
    let others = others.map(|(target, state)| carried(target, 0, 0, state, NOW_MS + 20)).to_vec();
    storage.apply(Change { carried: others, ..change(Vec::new()) }).await.unwrap();
    assert_eq!((now(2).await, now(ONE).await), ((Pending, 0, 0), (Failed, 0, 20)));
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let row = storage.deliveries(of("b")).await.unwrap().remove(0);
    assert_eq!((row.state, row.platform_id.as_str(), row.code.as_str()), (Sent, "msg1", "Sent"));
}

pub(in crate::storage) async fn mass_sends_are_no_targets<H: Harness>(harness: &H) {
    use DeliveryState::{Failed, Pending, Uncertain};
    const ONE: u32 = MASS_SENDS_FROM;
    let storage = harness.open(&Config::default()).unwrap();
    let rows = vec![
        pending("b", 0),
        mass_target(1, Pending, ONE),
        mass_target(2, Pending, 0),
        mass_target(3, Failed, ONE),
        mass_target(4, Uncertain, ONE),
        mass_send(ONE, Pending),
        mass_send(ONE + 1, Uncertain),
    ];
    storage.deliveries_add(rows).await.unwrap();
    let mut counts = storage.delivery_counts("b").await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [(Pending, 3), (Failed, 1), (Uncertain, 1)]);
    let targets = async |filter: DeliveryFilter| -> Vec<u32> {
        let rows = storage.deliveries(filter).await.unwrap();
        rows.into_iter().map(|row| row.target).collect()
    };
    for (kinds, carrier, states, expect) in [
        (Kinds::Any, None, vec![], vec![0, 1, 2, 3, 4, ONE, ONE + 1]),
        (Kinds::Not(MASS_SEND), None, vec![], vec![0, 1, 2, 3, 4]),
        (Kinds::Not(MASS_TARGET), None, vec![Pending], vec![0, ONE]),
        (Kinds::Only(MASS_SEND), None, vec![Pending, Uncertain], vec![ONE, ONE + 1]),
        (Kinds::Only(MASS_TARGET), Some(0), vec![Pending], vec![2]),
        (Kinds::Only(MASS_TARGET), Some(ONE), vec![], vec![1, 3, 4]),
    ] {
        let filter = DeliveryFilter { states, kinds, carrier, ..of("b") };
        assert_eq!(targets(filter.clone()).await, expect, "{filter:?}");
        let half = DeliveryFilter { after: Some(("b".to_owned(), 1, "b_1".to_owned())), ..filter };
        let rest: Vec<_> = expect.into_iter().filter(|target| *target > 1).collect();
        assert_eq!(targets(half).await, rest);
    }
    // Only what is sent by itself is asked about, and what is pending again is carried by nobody.
    let left = storage.recover(NOW_MS).await.unwrap();
    assert_eq!(left.iter().map(|row| row.target).collect::<Vec<_>>(), [ONE + 1]);
    let failed = DeliveryFilter { states: vec![Failed], kinds: Kinds::Not(MASS_SEND), limit: 0, ..of("b") };
    assert_eq!(storage.deliveries_move(failed, Pending, NOW_MS + 1).await.unwrap(), 1);
    let free = DeliveryFilter { kinds: Kinds::Only(MASS_TARGET), carrier: Some(0), ..of("b") };
    assert_eq!(targets(free).await, [2, 3]);
}

pub(in crate::storage) async fn what_groups_received_is_counted<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let row = |number: u32, group: &str, at_ms: i64, state| DeliveryRow {
        group: group.to_owned(),
        updated_ms: at_ms,
        ..mass_target(number, state, MASS_SENDS_FROM)
    };
    let sent = DeliveryState::Sent;
    let rows = vec![
        row(1, "g-1", NOW_MS - 1, sent),
        row(2, "g-1", NOW_MS, sent),
        row(3, "g-1", NOW_MS + 5, sent),
        row(4, "g-2", NOW_MS + 1, sent),
        row(5, "g-2", NOW_MS + 1, DeliveryState::Failed),
        DeliveryRow { account: "other".to_owned(), ..row(6, "g-3", NOW_MS + 1, sent) },
        DeliveryRow { kind: "broadcast".to_owned(), ..row(7, "g-1", NOW_MS + 1, sent) },
    ];
    storage.deliveries_add(rows).await.unwrap();
    let counts = storage.mass_received("demo", NOW_MS).await.unwrap();
    assert_eq!(counts, [("g-1".to_owned(), 2), ("g-2".to_owned(), 1)]);
    let groups = ["g-2", "g-1", "g-9"].map(|group| ("demo".to_owned(), group.to_owned()));
    let mut received = storage.received(&groups, NOW_MS, NOW_MS + 5).unwrap();
    received.sort_unstable();
    assert_eq!(received, [(0, NOW_MS + 1), (1, NOW_MS), (1, NOW_MS + 1)]);
}

pub(in crate::storage) async fn the_platforms_id_is_kept<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let row = mass_send(MASS_SENDS_FROM, DeliveryState::Pending);
    storage.intend(vec![intent(row.clone(), 1, epoch, NOW_MS)]).await.unwrap();
    let told = Settlement {
        platform_id: Some("msg7".to_owned()),
        ..settlement(&row.id, 1, NOW_MS, DeliveryState::AwaitingConfirmation)
    };
    storage
        .settle(vec![told, settlement(&row.id, 1, NOW_MS, DeliveryState::AwaitingConfirmation)])
        .await
        .unwrap();
    let now = storage.deliveries(of("b")).await.unwrap().remove(0);
    assert_eq!((now.state, now.platform_id.as_str()), (DeliveryState::AwaitingConfirmation, "msg7"));
}
