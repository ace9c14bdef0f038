//! Status webhooks over a real ledger and real sockets.

use serde_json::Value;

use super::*;
use crate::event::{OperatorId, Scope};
use crate::storage::{DeliveryFilter, DeliveryRow, DeliveryState, sqlite};
use crate::tasks::{TasksOwner, detached};
use crate::webhooks::client::receiver::{Act, Receiver};
use crate::webhooks::{VerifyKey, verify};

const NOW_MS: i64 = 1_795_312_800_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn answer(status: u16) -> Act {
    Act::Answer(status, Vec::new(), bytes::Bytes::new())
}

fn actor() -> Actor {
    Actor { operator: OperatorId::parse("admin").unwrap(), token: None, scope: Scope::everything() }
}

fn quick() -> Config {
    Config {
        batch_changes_max: 4,
        look: Duration::from_millis(5),
        retry_delay: Duration::from_millis(10),
        retry_delay_max: Duration::from_millis(50),
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    }
}

struct Bench {
    storage: SharedStorage,
    subscriptions: Arc<Subscriptions>,
    owner: TasksOwner,
}

async fn open(storage: &SharedStorage, config: Config) -> Bench {
    let (tasks, owner) = detached();
    let parts = Parts {
        storage: Arc::clone(storage),
        keys: Keyring::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap(),
        clock: Clock::manual(NOW_MS),
        tasks,
        config,
        seed: 7,
    };
    let subscriptions = Subscriptions::open(parts).await.unwrap();
    let owner = Arc::into_inner(owner).expect("nobody else has it");
    Bench { storage: Arc::clone(storage), subscriptions, owner }
}

fn new(url: String) -> NewEndpoint {
    NewEndpoint {
        name: "运营".into(),
        url,
        subjects: BTreeSet::new(),
        states: BTreeSet::new(),
        enabled: true,
        secret: Some(SECRET.into()),
    }
}

fn row(n: u32) -> DeliveryRow {
    DeliveryRow {
        id: format!("bc_1_{n}"),
        broadcast: "bc_1".into(),
        target: n,
        account: "demo".into(),
        group: format!("g-{n}"),
        kind: "broadcast".into(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_ms: 0,
        expires_ms: 0,
        body: String::new(),
        code: String::new(),
        detail: "机密".into(),
        updated_ms: NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    }
}

/// Moves one delivery, as sending does.
async fn to(storage: &SharedStorage, n: u32, state: DeliveryState) {
    let filter = DeliveryFilter { id: Some(row(n).id), ..DeliveryFilter::default() };
    assert_eq!(storage.deliveries_move(filter, state, NOW_MS + 1).await.unwrap(), 1);
}

/// The changes a receiver got, over all calls, after checking each call's signature.
fn told(receiver: &Receiver) -> Vec<Value> {
    let key = VerifyKey::parse(SECRET).unwrap();
    let mut changes = Vec::new();
    for call in receiver.received.lock().iter() {
        verify(std::slice::from_ref(&key), &call.headers, &call.body, NOW_MS, Duration::from_secs(300))
            .expect("signed");
        assert!(!String::from_utf8_lossy(&call.body).contains("机密"), "ids and counts only");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["type"], "status.changes");
        changes.extend(body["data"]["changes"].as_array().unwrap().clone());
    }
    changes
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect(what);
}

fn seqs(changes: &[Value]) -> Vec<u64> {
    changes.iter().map(|change| change["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn changes_are_told_in_order_in_batches_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(204)).await;
    storage.deliveries_add((0..10).map(row).collect()).await.unwrap();
    to(&storage, 0, DeliveryState::Sent).await; // before anybody wants to hear: not told
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    for n in 1..10 {
        to(&storage, n, DeliveryState::Sending).await;
        to(&storage, n, if n == 5 { DeliveryState::Failed } else { DeliveryState::Sent }).await;
    }
    let finished = StatusChange::broadcast("bc_1", "finished", NOW_MS + 2);
    storage.apply(Change { at_ms: NOW_MS, told: vec![finished], ..Change::default() }).await.unwrap();
    until("all is told", || told(&receiver).len() == 10).await;
    let changes = told(&receiver);
    let kinds: Vec<_> = changes.iter().map(|change| change["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "delivery.sent").count(), 8);
    assert_eq!((kinds[4], kinds[9]), ("delivery.failed", "broadcast.finished"));
    assert!(seqs(&changes).is_sorted(), "in order: {changes:?}");
    assert_eq!((&changes[0]["delivery"], &changes[0]["target"]), (&"bc_1_1".into(), &1.into()));
    assert!(receiver.received.lock().len() >= 3, "at most four a call");
    let standing = bench.subscriptions.list().remove(0).3;
    until("its position is written", || bench.subscriptions.list()[0].3.told_ms.is_some()).await;
    assert_eq!(standing.missed, 0);
}

#[tokio::test]
async fn a_call_that_did_not_arrive_is_repeated_as_it_was_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(503)).await;
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    storage.deliveries_add((0..6).map(row).collect()).await.unwrap();
    to(&storage, 0, DeliveryState::Sent).await;
    until("it was refused some times", || receiver.received.lock().len() >= 3).await;
    for n in 1..6 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    let repeats: BTreeSet<_> = receiver
        .received
        .lock()
        .iter()
        .map(|call| (call.headers["webhook-id"].to_str().unwrap().to_owned(), call.body.clone()))
        .collect();
    assert_eq!(repeats.len(), 1, "the same id and body each time");
    let failing = bench.subscriptions.list().remove(0).3;
    assert!(failing.failing_since_ms.is_some() && failing.error.unwrap().contains("503"));

    // The gateway ends in between: what was not told is told by the next one.
    bench.owner.stop();
    receiver.received.lock().clear();
    *receiver.act.lock() = answer(200);
    let after = open(&bench.storage, quick()).await;
    until("all is told", || seqs(&told(&receiver)).into_iter().collect::<BTreeSet<_>>().len() == 6).await;
    assert!(seqs(&told(&receiver)).is_sorted());
    until("it is well again", || after.subscriptions.list()[0].3.told_ms.is_some()).await;
    assert_eq!(after.subscriptions.list()[0].3.failing_since_ms, None);
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_nobody_else_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let (stuck, well) = (Receiver::start(Act::Hang).await, Receiver::start(answer(200)).await);
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "stuck", new(stuck.url()), None).await.unwrap();
    bench.subscriptions.put(&actor(), "well", new(well.url()), None).await.unwrap();
    storage.deliveries_add((0..20).map(row).collect()).await.unwrap();
    for n in 0..20 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    until("the other is told", || told(&well).len() == 20).await;
    assert_eq!(stuck.received.lock().len(), 1);
}

#[tokio::test]
async fn an_endpoint_hears_only_of_what_it_asked_for_and_no_more_once_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(200)).await;
    let bench = open(&storage, quick()).await;
    let only = NewEndpoint { states: ["failed".to_owned()].into(), ..new(receiver.url()) };
    bench.subscriptions.put(&actor(), "ops", only, None).await.unwrap();
    storage.deliveries_add((0..20).map(row).collect()).await.unwrap();
    for n in 0..18 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    to(&storage, 18, DeliveryState::Failed).await;
    until("it is told", || told(&receiver).len() == 1).await;
    assert_eq!(told(&receiver)[0]["delivery"], "bc_1_18");
    bench.subscriptions.delete(&actor(), "ops").await.unwrap();
    to(&storage, 19, DeliveryState::Failed).await;
    assert!(bench.subscriptions.list().is_empty());
    let span = storage.status_span().await.unwrap();
    assert_eq!(span.last, 19, "nothing is written while nobody is told");
    bench.subscriptions.sweep().await.unwrap();
    let span = storage.status_span().await.unwrap();
    assert_eq!((span.first, span.last), (20, 19), "what nobody needs is removed, numbers go on");
}

#[tokio::test]
async fn what_could_not_be_told_in_time_is_forgotten_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(503)).await;
    let bench = open(&storage, Config { rows_max: 3, ..quick() }).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    storage.deliveries_add((0..10).map(row).collect()).await.unwrap();
    for n in 0..10 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    until("it was tried", || !receiver.received.lock().is_empty()).await;
    bench.subscriptions.sweep().await.unwrap();
    bench.owner.stop(); // what is under way is kept in memory; the next start reads what is left
    receiver.received.lock().clear();
    *receiver.act.lock() = answer(200);
    let after = open(&bench.storage, quick()).await;
    // What was under way when it ended may still come.
    until("the rest is told", || seqs(&told(&receiver)).ends_with(&[8, 9, 10])).await;
    until("it is counted", || after.subscriptions.list()[0].3.missed == 7).await;
}

#[tokio::test]
async fn secrets_are_sealed_shown_once_and_replaced_with_a_grace() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(200)).await;
    let bench = open(&storage, quick()).await;
    let fresh = NewEndpoint { secret: None, ..new(receiver.url()) };
    let (version, secret) = bench.subscriptions.put(&actor(), "ops", fresh.clone(), Some(0)).await.unwrap();
    let secret = secret.expect("it was made");
    assert_eq!(version, 1);
    let (_, again) = bench.subscriptions.put(&actor(), "ops", fresh, None).await.unwrap();
    assert_eq!(again, None, "it is kept");
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    let stored = storage.document(DocumentKind::Endpoint, "ops").await.unwrap().unwrap().body;
    assert!(!stored.contains(SECRET) && !stored.contains(&secret));
    storage.deliveries_add(vec![row(0)]).await.unwrap();
    to(&storage, 0, DeliveryState::Sent).await;
    until("it is told", || !receiver.received.lock().is_empty()).await;
    let calls = receiver.received.lock();
    for secret in [SECRET, &secret] {
        let key = VerifyKey::parse(secret).unwrap();
        verify(&[key], &calls[0].headers, &calls[0].body, NOW_MS, Duration::from_secs(300))
            .expect("both sign");
    }
    for (id, url, pointer) in [("ops", "ftp://x", Some("/url")), ("Not An Id", "https://example.com/", None)]
    {
        let refused = bench.subscriptions.put(&actor(), id, new(url.into()), None).await.unwrap_err();
        match (refused, pointer) {
            (SubscriptionError::Field(field), Some(pointer)) => assert_eq!(field.pointer, pointer),
            (SubscriptionError::NotFound, None) => {}
            (other, _) => panic!("{other}"),
        }
    }
}
