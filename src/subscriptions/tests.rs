//! Status webhooks over a real ledger and real sockets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::event::{OperatorId, Scope};
use crate::storage::{DeliveryFilter, DeliveryRow, DeliveryState, StatusChange, sqlite};
use crate::tasks::{TasksOwner, detached};
use crate::webhooks::client::receiver::{Act, Received, Receiver};
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
        batch_changes_max: NonZeroUsize::new(4).unwrap(),
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
    clock: Clock,
    owner: TasksOwner,
}

impl Bench {
    fn standing(&self) -> Standing {
        self.subscriptions.list().remove(0).3
    }

    /// Ends it and waits until nothing of it is under way.
    async fn close(self) -> SharedStorage {
        let Self { storage, subscriptions, owner, .. } = self;
        owner.stop();
        let live: Vec<_> = subscriptions.live.lock().values().cloned().collect();
        for live in live {
            drop(live.running.lock().await);
        }
        storage
    }
}

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEWER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

async fn open(storage: &SharedStorage, config: Config) -> Bench {
    open_with(storage, config, KEY).await
}

async fn open_with(storage: &SharedStorage, config: Config, keys: &str) -> Bench {
    let (tasks, owner) = detached();
    let clock = Clock::manual(NOW_MS);
    let parts = Parts {
        storage: Arc::clone(storage),
        keys: Keyring::parse(keys).unwrap(),
        clock: clock.clone(),
        tasks,
        config,
        seed: 7,
    };
    let subscriptions = Subscriptions::open(parts).await.unwrap();
    let owner = Arc::into_inner(owner).expect("nobody else has it");
    Bench { storage: Arc::clone(storage), subscriptions, clock, owner }
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
    let calls = calls(receiver);
    calls.iter().flat_map(|call| call["changes"].as_array().unwrap().clone()).collect()
}

/// What each call said.
fn calls(receiver: &Receiver) -> Vec<Value> {
    let key = VerifyKey::parse(SECRET).unwrap();
    let said = |call: &Received| {
        verify(std::slice::from_ref(&key), &call.headers, &call.body, NOW_MS, Duration::from_mins(5))
            .expect("signed");
        assert!(!String::from_utf8_lossy(&call.body).contains("机密"), "ids and counts only");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["type"], "status.changes");
        body["data"].clone()
    };
    receiver.received.lock().iter().map(said).collect()
}

async fn add(storage: &SharedStorage, count: u32) {
    storage.deliveries_add((0..count).map(row).collect()).await.unwrap();
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
    let calls = calls(&receiver);
    assert!(calls.len() >= 3, "at most four a call");
    let mut last = json!(0);
    for call in &calls {
        assert_eq!(call["after"], last, "each follows the one before");
        last = call["through"].clone();
    }
    until("its position is written", || bench.standing().position == 10).await;
    assert_eq!(bench.standing().missed, 0);
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
    let storage = bench.close().await;
    receiver.received.lock().clear();
    *receiver.act.lock() = answer(200);
    let after = open(&storage, quick()).await;
    // What was under way when it ended may be read late.
    until("all is told", || seqs(&told(&receiver)).ends_with(&[1, 2, 3, 4, 5, 6])).await;
    until("it is well again", || after.standing().told_ms.is_some()).await;
    assert_eq!(after.standing().failing_since_ms, None);
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
    add(&storage, 20).await;
    to(&storage, 0, DeliveryState::Failed).await;
    until("it is told", || told(&receiver).len() == 1).await;
    for n in 1..18 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    until("the rest is passed over", || bench.standing().position == 18).await;
    bench.subscriptions.sweep().await.unwrap();
    // What it passed over is not looked at again after a restart.
    let storage = bench.close().await;
    let bench = open(&storage, quick()).await;
    assert_eq!(bench.standing().position, 18);
    to(&storage, 18, DeliveryState::Failed).await;
    until("it is told", || told(&receiver).len() == 2).await;
    let calls = calls(&receiver);
    // It can see that nothing is missing although numbers are.
    assert_eq!(
        (&calls[0]["through"], &calls[1]["after"], &calls[1]["through"]),
        (&json!(1), &json!(1), &json!(19))
    );
    assert_eq!(calls[1]["changes"][0]["delivery"], "bc_1_18");
    bench.subscriptions.delete(&actor(), "ops").await.unwrap();
    to(&storage, 19, DeliveryState::Failed).await;
    assert!(bench.subscriptions.list().is_empty());
    let span = storage.status_span().await.unwrap();
    assert_eq!(span.last, 19, "nothing is written of deliveries while nobody is told");
    bench.subscriptions.sweep().await.unwrap();
    let span = storage.status_span().await.unwrap();
    assert_eq!((span.first, span.last), (1, 19), "some are kept for streams that come again");
}

#[tokio::test]
async fn what_could_not_be_told_is_forgotten_when_it_is_too_much_and_counted_also_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(503)).await;
    let few = || Config { rows_max: NonZeroU64::new(3).unwrap(), ..quick() };
    let bench = open(&storage, few()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    add(&storage, 14).await;
    to(&storage, 0, DeliveryState::Sent).await;
    until("it was tried", || !receiver.received.lock().is_empty()).await;
    for n in 1..10 {
        to(&storage, n, DeliveryState::Sent).await;
    }
    bench.subscriptions.sweep().await.unwrap();
    bench.subscriptions.sweep().await.unwrap();
    // The first one is under way and comes yet.
    assert_eq!((bench.standing().missed, storage.status_span().await.unwrap().first), (6, 8));
    // A restart loses what was under way: then it is missed as well.
    let storage = bench.close().await;
    receiver.received.lock().clear();
    *receiver.act.lock() = answer(200);
    let bench = open(&storage, few()).await;
    until("the rest is told", || seqs(&told(&receiver)).ends_with(&[8, 9, 10])).await;
    assert_eq!(calls(&receiver).pop().unwrap()["missed"], 7);
    until("it is written", || bench.standing().position == 10).await;
    let storage = bench.close().await;
    let bench = open(&storage, few()).await;
    assert_eq!(bench.standing().missed, 7);
    to(&storage, 10, DeliveryState::Sent).await;
    until("it goes on", || seqs(&told(&receiver)).ends_with(&[8, 9, 10, 11])).await;
}

#[tokio::test]
async fn changes_are_kept_for_a_time_and_told_again_from_a_time_or_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(200)).await;
    let hour = Duration::from_hours(1);
    let bench = open(&storage, Config { keep: 10 * hour, ..quick() }).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    add(&storage, 9).await;
    let hour_ms = 3_600_000;
    for n in 0..6_u32 {
        let filter = DeliveryFilter { id: Some(row(n).id), ..DeliveryFilter::default() };
        let at_ms = NOW_MS + i64::from(n) * hour_ms;
        storage.deliveries_move(filter, DeliveryState::Sent, at_ms).await.unwrap();
        bench.subscriptions.sweep().await.unwrap();
        bench.clock.advance(hour);
    }
    until("all is told", || bench.standing().position == 6).await;
    let ids = || -> Vec<_> {
        receiver.received.lock().iter().map(|call| call.headers["webhook-id"].clone()).collect()
    };
    let (first, known) = (told_late(&receiver).len(), ids());
    assert_eq!(first, 6);
    let again = bench.subscriptions.replay(&actor(), "ops", From::Time(NOW_MS + 2 * hour_ms)).await.unwrap();
    assert_eq!(again, Again { after: 2, changes: 4, complete: true });
    until("it is told again", || told_late(&receiver).len() == 10).await;
    assert_eq!(
        told_late(&receiver)[6..],
        told_late(&receiver)[2..6],
        "the same changes under the same numbers"
    );
    assert!(ids()[known.len()..].iter().all(|id| !known.contains(id)), "in new calls");
    // Nothing is left out by asking for what is still to come.
    until("it is written", || bench.standing().position == 6).await;
    let again = bench.subscriptions.replay(&actor(), "ops", From::After(400)).await.unwrap();
    assert_eq!(again, Again { after: 6, changes: 0, complete: true });
    // Ten hours after the third it is gone, with those before.
    bench.clock.advance(6 * hour);
    bench.subscriptions.sweep().await.unwrap();
    assert_eq!(storage.status_span().await.unwrap().first, 4);
    let again = bench.subscriptions.replay(&actor(), "ops", From::After(0)).await.unwrap();
    assert_eq!(again, Again { after: 3, changes: 3, complete: false });
    until("what is left is told again", || told_late(&receiver).len() == 13).await;
    let refused = bench.subscriptions.replay(&actor(), "nobody", From::After(0)).await;
    assert!(matches!(refused, Err(SubscriptionError::NotFound)));
    assert_eq!(bench.standing().missed, 0);
}

/// The changes of all calls, whenever they were signed.
fn told_late(receiver: &Receiver) -> Vec<Value> {
    let said =
        |call: &Received| serde_json::from_slice::<Value>(&call.body).unwrap()["data"]["changes"].clone();
    receiver.received.lock().iter().flat_map(|call| said(call).as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more_until_somebody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(410)).await;
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    add(&storage, 2).await;
    to(&storage, 0, DeliveryState::Sent).await;
    until("it is disabled", || !bench.subscriptions.list()[0].1.enabled).await;
    let why = bench.subscriptions.list().remove(0).1.disabled_because.unwrap();
    assert!(why.contains("410"), "{why}");
    let audit = storage.audit(crate::storage::AuditFilter { limit: 1, ..Default::default() }).await.unwrap();
    assert_eq!((audit[0].verb.as_str(), audit[0].operator.as_str()), ("disable", "menshen"));
    // Also after a restart; what happens meanwhile is kept for it.
    let storage = bench.close().await;
    let bench = open(&storage, quick()).await;
    to(&storage, 1, DeliveryState::Sent).await;
    assert!(!bench.subscriptions.list()[0].1.enabled);
    *receiver.act.lock() = answer(200);
    let tried = bench.subscriptions.test(&actor(), "ops").await.unwrap();
    assert_eq!((tried.status, tried.error), (Some(200), None));
    assert_eq!(receiver.received.lock().len(), 2, "the one that was refused, and the trial");
    receiver.received.lock().clear();
    let version = bench.subscriptions.list()[0].2;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), Some(version)).await.unwrap();
    until("it is told", || seqs(&told(&receiver)) == [1, 2]).await;
    assert_eq!(bench.subscriptions.list().remove(0).1.disabled_because, None);
}

#[tokio::test]
async fn a_receiver_says_when_to_come_again_but_is_never_asked_sooner_than_we_would() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let busy = |wait| Act::Answer(429, vec![("retry-after", wait)], bytes::Bytes::new());
    let (patient, hasty) = (Receiver::start(busy("3600")).await, Receiver::start(busy("0")).await);
    let slow =
        Config { retry_delay: Duration::from_mins(10), retry_delay_max: Duration::from_mins(10), ..quick() };
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "patient", new(patient.url()), None).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = sqlite::open(other.path(), &crate::storage::Config::default()).unwrap();
    let careful = open(&other, slow).await;
    careful.subscriptions.put(&actor(), "hasty", new(hasty.url()), None).await.unwrap();
    for storage in [&storage, &other] {
        add(storage, 1).await;
        to(storage, 0, DeliveryState::Sent).await;
    }
    until("both were tried", || !patient.received.lock().is_empty() && !hasty.received.lock().is_empty())
        .await;
    until("both know", || bench.standing().error.is_some() && careful.standing().error.is_some()).await;
    // A trial goes past the queue and takes longer than the shortest wait would: nothing else came meanwhile.
    for (bench, id, receiver) in [(&bench, "patient", &patient), (&careful, "hasty", &hasty)] {
        for _ in 0..20 {
            let tried = bench.subscriptions.test(&actor(), id).await.unwrap();
            assert_eq!(tried.status, Some(429));
        }
        assert_eq!(receiver.received.lock().len(), 21);
    }
}

#[tokio::test]
async fn a_trial_says_what_went_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(204)).await;
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    bench.subscriptions.put(&actor(), "inside", new("http://10.0.0.1/".into()), None).await.unwrap();
    let tried = bench.subscriptions.test(&actor(), "ops").await.unwrap();
    assert_eq!((tried.status, tried.error), (Some(204), None));
    let call = receiver.received.lock().remove(0);
    let key = VerifyKey::parse(SECRET).unwrap();
    verify(&[key], &call.headers, &call.body, NOW_MS, Duration::from_mins(5)).expect("signed");
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&json!("status.test"), &json!({"endpoint": "ops"})));
    let refused = bench.subscriptions.test(&actor(), "inside").await.unwrap();
    assert!(refused.error.unwrap().contains("subscriptions.allow_private"));
    assert_eq!(refused.status, None);
    *receiver.act.lock() = Act::Close;
    assert!(bench.subscriptions.test(&actor(), "ops").await.unwrap().error.is_some());
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
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap(); // the same: no other
    let stored = storage.document(DocumentKind::Endpoint, "ops").await.unwrap().unwrap().body;
    assert!(!stored.contains(SECRET) && !stored.contains(&secret));
    storage.deliveries_add(vec![row(0)]).await.unwrap();
    to(&storage, 0, DeliveryState::Sent).await;
    until("it is told", || !receiver.received.lock().is_empty()).await;
    let call = receiver.received.lock().remove(0);
    for secret in [SECRET, &secret] {
        let key = VerifyKey::parse(secret).unwrap();
        verify(&[key], &call.headers, &call.body, NOW_MS, Duration::from_mins(5)).expect("both sign");
    }
    // After the grace only the newest does; they never become many.
    bench.clock.advance(Duration::from_hours(25));
    let newest = bench.subscriptions.rotate(&actor(), "ops").await.unwrap();
    let newer = bench.subscriptions.rotate(&actor(), "ops").await.unwrap();
    let live = bench.subscriptions.find("ops").unwrap();
    assert_eq!(bench.subscriptions.sign_keys(&live).unwrap().len(), 3);
    for _ in 0..4 {
        bench.subscriptions.rotate(&actor(), "ops").await.unwrap();
    }
    let live = bench.subscriptions.find("ops").unwrap();
    assert_eq!(bench.subscriptions.sign_keys(&live).unwrap().len(), SECRETS_MAX);
    assert_ne!(newest, newer);
    bench.clock.advance(Duration::from_hours(25));
    assert_eq!(bench.subscriptions.sign_keys(&live).unwrap().len(), 1);
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

#[tokio::test]
async fn secrets_are_sealed_anew_so_that_the_older_key_can_go() {
    let dir = tempfile::tempdir().unwrap();
    let storage = sqlite::open(dir.path(), &crate::storage::Config::default()).unwrap();
    let receiver = Receiver::start(answer(200)).await;
    let bench = open(&storage, quick()).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), None).await.unwrap();
    let storage = bench.close().await;
    let bench = open_with(&storage, quick(), &format!("{NEWER_KEY}\n{KEY}")).await;
    let version = bench.subscriptions.list()[0].2;
    let storage = bench.close().await;
    let bench = open_with(&storage, quick(), NEWER_KEY).await;
    assert_eq!((version, bench.subscriptions.list()[0].2), (2, 2), "once");
    add(&storage, 1).await;
    to(&storage, 0, DeliveryState::Sent).await;
    until("it is told, signed with the same secret", || told(&receiver).len() == 1).await;
    bench.subscriptions.put(&actor(), "ops", new(receiver.url()), Some(2)).await.unwrap();
}
