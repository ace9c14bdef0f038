//! Queued once whatever fails, decided once, bounded.

use super::follower::Follower;
use super::*;
use crate::event::{
    Effects, EventKey, EventType, EvidenceFact, Fact, HOUR_MS, Head, HitFact, JudgedFact, Level, OperatorId,
    Place, ReviewFact, Role, Scope, Status, Verdict, partition_of,
};
use crate::storage::memory::{self, Disk};
use crate::storage::{Append, codec};

const NOW_MS: i64 = 1_795_312_800_000;

fn actor() -> Actor {
    Actor { operator: OperatorId::parse("li").unwrap(), token: None, scope: Scope::everything() }
}

fn event(n: u128, verdict: Verdict) -> Effects<'static> {
    let at_ms = NOW_MS + i64::try_from(n).unwrap();
    let head = Head {
        key: EventKey(n << 64),
        at_ms,
        arrived_ms: at_ms,
        account: "demo".into(),
        group: "g-1".into(),
        member: Some("u-1".into()),
        name: None,
        role: Role::Customer,
        what: EventType::Message,
        status: Status::Counted,
        verdict,
        revised: false,
        fingerprint: None,
    };
    let hit = HitFact {
        wordlist: "own".into(),
        term: 0xAB,
        category: "c".into(),
        level: Level::Medium,
        span: (0, 9),
        via: Vec::new(),
    };
    let mut facts = vec![Fact::Hit(hit)];
    if verdict == Verdict::Review {
        facts.push(Fact::Judged(JudgedFact { ruleset: "r-7".into(), policy: "standard".into() }));
        facts.push(Fact::Review(ReviewFact { rule: "policy".into() }));
        facts.push(Fact::Evidence(EvidenceFact { id: "ev_1".into(), expires_ms: at_ms + 5 }));
    }
    Effects { head, facts }
}

async fn append(storage: &SharedStorage, epoch: u64, effects: &Effects<'_>) {
    let mut payload = Vec::new();
    codec::encode(effects, &mut payload);
    let bucket = u32::try_from(effects.head.at_ms / HOUR_MS).unwrap();
    let partition = partition_of("demo", "g-1");
    let append =
        Append { partition, epoch, payload: &payload, events: 1, bucket_min: bucket, bucket_max: bucket };
    storage.append(append).unwrap().wait().await.unwrap();
}

async fn open(disk: &Disk, config: Config) -> (SharedStorage, Clock, Arc<Reviews>) {
    let storage = memory::open(disk, &crate::storage::Config::default()).unwrap();
    let clock = Clock::manual(NOW_MS);
    let reviews = Reviews::open(storage.clone(), clock.clone(), config).await.unwrap();
    (storage, clock, reviews)
}

async fn ids(reviews: &Reviews, state: ReviewState) -> Vec<String> {
    reviews.page(state, None, 100).await.unwrap().into_iter().map(|review| review.id).collect()
}

fn closed(state: ReviewState) -> Closed {
    Closed { state, by: "li".to_owned(), at_ms: NOW_MS + 9, reason: "路口交通".to_owned() }
}

#[tokio::test]
async fn a_verdict_is_queued_once_over_failures_and_restarts() {
    let disk = Disk::new([3; 16]);
    let (storage, _, reviews) = open(&disk, Config::default()).await;
    let epoch = storage.lease("a").await.unwrap();
    let mut follower = Follower::open(reviews.clone()).await.unwrap();
    for (n, verdict) in [(1, Verdict::Review), (2, Verdict::Pass), (3, Verdict::Block), (4, Verdict::Review)]
    {
        append(&storage, epoch, &event(n, verdict)).await;
    }
    disk.faults().fail_ledger(true);
    assert!(follower.step().await.is_err());
    assert!(ids(&reviews, ReviewState::Open).await.is_empty());
    disk.faults().fail_ledger(false);
    assert!(follower.step().await.unwrap());
    assert!(!follower.step().await.unwrap());
    let rows = reviews.page(ReviewState::Open, None, 100).await.unwrap();
    assert_eq!(rows.len(), 2);
    let first = &rows[0];
    assert_eq!((first.ruleset.as_deref(), first.policy.as_deref()), (Some("r-7"), Some("standard")));
    assert_eq!((first.hits[0].term_id(), first.hits[0].span), (0xAB, [0, 9]));
    assert_eq!(first.evidence.as_ref().unwrap().id, "ev_1");
    let (by, place) = (actor(), Place::default());
    reviews.close(&by, first.clone(), closed(ReviewState::Approved), &place).await.unwrap();
    drop((storage, reviews, follower));
    let (storage, _, reviews) = open(&disk, Config::default()).await;
    let epoch = storage.lease("b").await.unwrap();
    let mut follower = Follower::open(reviews.clone()).await.unwrap();
    append(&storage, epoch, &event(5, Verdict::Review)).await;
    while follower.step().await.unwrap() {}
    assert_eq!(ids(&reviews, ReviewState::Open).await.len(), 2, "the decided one does not come back");
    assert_eq!(reviews.open.load(Ordering::Relaxed), 2);
    assert_eq!(*follower.passed().borrow(), storage.head_position().unwrap());
}

#[tokio::test]
async fn nothing_is_decided_twice() {
    let disk = Disk::new([3; 16]);
    let (_storage, _, reviews) = open(&disk, Config::default()).await;
    let review = Review::of(&event(1, Verdict::Review)).unwrap();
    reviews.appeal(&actor(), &review, None, &Place::default()).await.unwrap();
    let (by, place) = (actor(), Place::default());
    let close = |state| reviews.close(&by, review.clone(), closed(state), &place);
    assert_eq!(close(ReviewState::Denied).await.unwrap().state(), ReviewState::Denied);
    assert!(matches!(close(ReviewState::Approved).await, Err(StorageError::Conflict { .. })));
    let found = reviews.get(&review.id).await.unwrap().unwrap();
    assert_eq!((found.state(), found.closed.unwrap().reason.as_str()), (ReviewState::Denied, "路口交通"));
    assert!(ids(&reviews, ReviewState::Open).await.is_empty());
}

#[tokio::test]
async fn what_is_too_much_or_too_old_lapses_and_is_forgotten_at_last() {
    let disk = Disk::new([3; 16]);
    let day = Duration::from_hours(24);
    let config = Config { open_max: 2, lapse_after: day * 30, keep: day * 60, ..Config::default() };
    let (_storage, clock, reviews) = open(&disk, config).await;
    for n in 1..=4 {
        let review = Review::of(&event(n, Verdict::Review)).unwrap();
        reviews.appeal(&actor(), &review, None, &Place::default()).await.unwrap();
    }
    let all = ids(&reviews, ReviewState::Open).await;
    reviews.tidy().await.unwrap();
    assert_eq!(ids(&reviews, ReviewState::Open).await, all[2..], "the oldest lapse");
    assert_eq!(ids(&reviews, ReviewState::Lapsed).await, all[..2]);
    clock.advance(day * 31);
    reviews.tidy().await.unwrap();
    assert!(ids(&reviews, ReviewState::Open).await.is_empty());
    clock.advance(day * 30);
    reviews.tidy().await.unwrap();
    assert!(ids(&reviews, ReviewState::Lapsed).await.is_empty());
}
