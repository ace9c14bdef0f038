//! "Why is this one not sent yet", reason by reason: the answer is the reason, and it ends when it says.

use super::*;
use crate::event::BroadcastId;
use crate::outbox::delivery::Payload;
use crate::outbox::testing::delivery;
use crate::outbox::why::{ShortOf, Wait};
use crate::storage::{DeliveryRow, Moved, Storage as _};

/// Asks about the reply with a number.
async fn why(bench: &Bench, number: u32) -> Vec<Wait> {
    let id = delivery(&reply(number, "any", 0)).id;
    let row = bench.outbox.delivery(&id).await.unwrap().expect("it is known");
    bench.outbox.why(&row).await
}

fn started_ms(bench: &Bench, group: &str) -> Vec<i64> {
    bench.platform.calls().iter().filter(|call| call.group == group).map(|call| call.started_ms).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_named_with_who_why_and_until_when_and_its_end_wakes_the_lane() {
    let bench = bench(|p| p, &[]).await;
    // Not a multiple of the tick: nobody looks around then.
    let until_ms = bench.clock.now_ms() + 10_300;
    let scope = HoldScope::Region(crate::event::RegionId::parse("east").unwrap());
    let reason = "核对活动".to_owned();
    let hold = Hold { reason, until_ms: Some(until_ms), ..hold(Vec::new(), scope) };
    bench.outbox.holds().set(&hold, audit_entry()).await.unwrap();
    submit(&bench, 0..2, |n| format!("{}-1", if n == 0 { "east" } else { "west" }));
    bench.until("the other is sent", |b| b.ledger.count(DeliveryState::Sent) == 1).await;
    assert_eq!(why(&bench, 0).await, [Wait::Held(Box::new(hold))]);
    bench.until("it is sent", |b| b.ledger.count(DeliveryState::Sent) == 2).await;
    let late = started_ms(&bench, "east-1")[0] - until_ms;
    assert!((0..20).contains(&late), "{late} ms after the end of the hold");
}

#[tokio::test(start_paused = true)]
async fn the_accounts_limit_and_those_ahead_are_told_and_the_time_is_right() {
    let bench = bench(|p| p, &["window:2/m"]).await;
    submit(&bench, 0..5, own_group);
    bench.until("two are sent", |b| b.ledger.count(DeliveryState::Sent) == 2).await;
    let [Wait::Limit { level, limit, until_ms: Some(until_ms) }, Wait::Turn { ahead: 0 }] =
        &why(&bench, 2).await[..]
    else {
        panic!("{:?}", why(&bench, 2).await);
    };
    assert_eq!((*level, limit.as_deref()), (ShortOf::Account, Some("window:2/m")));
    assert_eq!(why(&bench, 4).await.last(), Some(&Wait::Turn { ahead: 2 }));
    // Both slots come free at the same moment.
    bench.until("the third is sent", |b| b.ledger.count(DeliveryState::Sent) >= 3).await;
    let late = started_ms(&bench, "g-2")[0] - until_ms;
    assert!((-1..20).contains(&late), "{late} ms after the time that was told");
}

#[tokio::test(start_paused = true)]
async fn a_groups_limit_keeps_that_group_only() {
    let bench = bench(|p| p, &["group:window:1/m"]).await;
    submit(&bench, 0..3, |n| if n == 2 { "other".into() } else { "busy".into() });
    bench.until("one each is sent", |b| b.ledger.count(DeliveryState::Sent) == 2).await;
    let waits = why(&bench, 1).await;
    let [Wait::Limit { level: ShortOf::Group, until_ms: Some(until_ms), .. }] = &waits[..] else {
        panic!("{waits:?}");
    };
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 3).await;
    let late = started_ms(&bench, "busy")[1] - until_ms;
    assert!((-1..20).contains(&late), "{late} ms after the time that was told");
}

#[tokio::test(start_paused = true)]
async fn the_platforms_wish_for_silence_is_no_limit_of_ours() {
    let silent = |d: &Delivery, attempt| {
        if d.id.as_str().ends_with("0000_0") && attempt == 1 {
            refused(Decision::After(30 * SECOND), RefusalScope::Account)
        } else {
            Outcome::Sent { platform_id: None }
        }
    };
    let bench = bench(|p| p.answering(silent), &["concurrency:1"]).await;
    submit(&bench, 0..2, own_group);
    bench.until("it was refused", |b| b.ledger.count(DeliveryState::Pending) == 1).await;
    bench.pass(10 * MS).await;
    let waits = why(&bench, 1).await;
    assert!(
        matches!(
            &waits[..],
            [
                Wait::Limit { level: ShortOf::Account, limit: None, until_ms: Some(_) },
                Wait::Turn { ahead: 0 }
            ]
        ),
        "{waits:?}"
    );
    assert!(matches!(&why(&bench, 0).await[..], [Wait::Retry { .. }]), "{:?}", why(&bench, 0).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_to_the_same_group_goes_first_and_a_retry_keeps_the_order() {
    let first_fails = |d: &Delivery, attempt| {
        if d.id.as_str().ends_with("0000_0") && attempt == 1 {
            refused(Decision::Backoff, RefusalScope::Delivery)
        } else {
            Outcome::Sent { platform_id: None }
        }
    };
    let bench = bench(|p| p.answering(first_fails), &[]).await;
    submit(&bench, 0..2, |_| "g".into());
    bench.until("a call is under way", |b| b.platform.count() == 1).await;
    assert_eq!(why(&bench, 0).await, [Wait::Calling]);
    assert_eq!(why(&bench, 1).await, [Wait::SameGroup]);
    bench.until("it was refused", |b| b.ledger.count(DeliveryState::Pending) == 1).await;
    bench.pass(5 * MS).await;
    let waits = why(&bench, 0).await;
    let [Wait::Retry { until_ms }] = &waits[..] else { panic!("{waits:?}") };
    assert_eq!(why(&bench, 1).await, [Wait::InOrder]);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 2).await;
    let late = started_ms(&bench, "g")[1] - until_ms;
    assert!((-1..20).contains(&late), "{late} ms after the time that was told");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_is_down_is_told_with_the_time_of_the_next_try() {
    let down = |_: &Delivery, _| refused(Decision::Backoff, RefusalScope::Account);
    let bench = bench(|p| p.answering(down), &[]).await;
    submit(&bench, 0..40, own_group);
    bench.pass(SECOND).await;
    submit(&bench, 40..41, own_group);
    bench.pass(10 * MS).await;
    let waits = why(&bench, 40).await;
    let [Wait::CircuitOpen { until_ms: Some(until_ms) }, ..] = &waits[..] else { panic!("{waits:?}") };
    let before = bench.platform.count();
    bench.pass(Duration::from_millis(u64::try_from(until_ms - bench.clock.now_ms() - 2).unwrap())).await;
    assert_eq!(bench.platform.count(), before, "nothing is called before");
    bench.pass(50 * MS).await;
    assert_eq!(bench.platform.count(), before + 1, "then one is");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_fails_is_told() {
    let bench = bench(|p| p, &[]).await;
    bench.ledger.fails_to_intend.store(true, Ordering::SeqCst);
    submit(&bench, 0..1, own_group);
    bench.pass(50 * MS).await;
    let waits = why(&bench, 0).await;
    assert!(matches!(&waits[..], [Wait::LedgerFailed { until_ms: Some(_) }, ..]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_as_may_be_are_told() {
    let clock = Clock::tokio(START_MS);
    let config = Config { in_flight_max: 1, ..Config::default() };
    let platform = Platform::new(&clock, SECOND);
    let bench = Bench::start(&clock, &TestLedger::new(), platform, limits(&[]), config).await;
    submit(&bench, 0..2, own_group);
    bench.until("one is called", |b| b.platform.count() == 1).await;
    assert_eq!(why(&bench, 1).await, [Wait::CallsUnderWay { max: 1 }, Wait::Turn { ahead: 0 }]);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_a_connector_is_told() {
    struct Nobody;
    impl Deliverers for Nobody {
        fn route(&self, _: &AccountId) -> Option<Route> {
            None
        }
        fn sharing(&self, _: &SharedName) -> Vec<(AccountId, Vec<Limit>)> {
            Vec::new()
        }
    }
    let (tasks, _owner) = crate::tasks::detached();
    let ledger = TestLedger::new();
    let outbox = Outbox::start(Parts {
        storage: ledger.clone(),
        deliverers: Arc::new(Nobody),
        places: Arc::new(Atlas),
        tasks,
        clock: Clock::tokio(START_MS),
        config: Config::default(),
        epoch: 1,
        seed: 7,
    });
    let outbox = outbox.await.unwrap();
    let sent = delivery(&reply(0, "g", 0));
    outbox.submit(vec![sent.clone()]);
    let row = outbox.delivery(&sent.id).await.unwrap().expect("it is found in memory");
    assert_eq!(outbox.why(&row).await, [Wait::NoConnector, Wait::Turn { ahead: 0 }]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_nobody_feeds_lies_in_the_ledger() {
    let bench = bench(|p| p, &[]).await;
    let broadcast = BroadcastId::parse("bc_1").unwrap();
    let target = Delivery {
        id: broadcast.delivery(3),
        kind: "broadcast".into(),
        priority: Priority::Bulk,
        payload: Payload::text("今日会员日"),
        broadcast: Some((broadcast, 3)),
        ..delivery(&reply(0, "g", 0))
    };
    let row = row_of(&target, Some("今日会员日"), DeliveryState::Pending, START_MS);
    bench.ledger.deliveries_add(vec![row]).await.unwrap();
    let row = bench.outbox.delivery(&target.id).await.unwrap().unwrap();
    // Whoever asks first wakes the account's runner, which reads what was spent before it started.
    assert_eq!(bench.outbox.why(&row).await, [Wait::ReadingPastCalls, Wait::NotRead]);
    bench.pass(10 * MS).await;
    assert_eq!(bench.outbox.why(&row).await, [Wait::NotRead]);
}

/// One delivery that a crash left uncertain, and a platform that answers as told.
async fn uncertain(resolution: Resolution) -> (Bench, DeliveryRow) {
    let bench = bench(|p| p, &[]).await;
    submit(&bench, 0..1, own_group);
    bench.until("a call is under way", |b| b.platform.count() == 1).await;
    let after = restart(&bench, |p| p.resolving(resolution)).await;
    let id = delivery(&reply(0, "any", 0)).id;
    let row = after.outbox.delivery(&id).await.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Uncertain);
    (after, row)
}

/// A person says what became of it.
async fn declare(bench: &Bench, row: &DeliveryRow, to: DeliveryState) -> Result<(), StorageError> {
    let moved = Moved {
        id: row.id.clone(),
        from: DeliveryState::Uncertain,
        to,
        code: "declared".into(),
        detail: String::new(),
        platform_id: None,
    };
    let change = Change { at_ms: bench.clock.now_ms(), moved: vec![moved], ..Change::default() };
    bench.ledger.apply(change).await.map(drop)
}

async fn tell(bench: &Bench, row: &DeliveryRow) {
    let id = crate::event::DeliveryId::parse(&row.id).unwrap();
    bench.outbox.declared(&AccountId::parse("demo").unwrap(), &id).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_uncertain_is_asked_about_and_then_left_to_a_person() {
    let (bench, row) = uncertain(Resolution::Unknown).await;
    let waits = bench.outbox.why(&row).await;
    assert!(matches!(&waits[..], [Wait::Asking { until_ms: Some(_) }]), "{waits:?}");
    bench.pass(Duration::from_mins(30)).await;
    assert_eq!(bench.outbox.why(&row).await, [Wait::Person]);
    let listed = bench.outbox.uncertain(LetterFilter::default(), None, 9).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.code.as_str()).collect::<Vec<_>>(), [UNRESOLVED]);
    assert_eq!(bench.platform.count(), 0, "never blindly");
}

#[tokio::test(start_paused = true)]
async fn what_was_declared_not_sent_is_sent_again_once() {
    for after in [SECOND, Duration::from_mins(30)] {
        let (bench, row) = uncertain(Resolution::Unknown).await;
        bench.pass(after).await;
        declare(&bench, &row, DeliveryState::Pending).await.unwrap();
        tell(&bench, &row).await;
        bench.until("it is sent", |b| b.ledger.count(DeliveryState::Sent) == 1).await;
        bench.pass(Duration::from_mins(30)).await;
        assert_eq!(bench.platform.count(), 1, "declared after {after:?}");
        assert!(declare(&bench, &row, DeliveryState::Pending).await.is_err(), "it is not uncertain any more");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_declared_sent_is_never_sent_again_whatever_the_platform_says_later() {
    for heard in [true, false] {
        let (bench, row) = uncertain(Resolution::NotSent).await;
        declare(&bench, &row, DeliveryState::Sent).await.unwrap();
        if heard {
            tell(&bench, &row).await;
        }
        // Even if the runner never hears of it, the ledger does not let a result go back.
        bench.pass(Duration::from_mins(30)).await;
        assert_eq!(
            (bench.platform.count(), bench.ledger.count(DeliveryState::Sent)),
            (0, 1),
            "heard: {heard}"
        );
        let after = restart(&bench, |p| p.resolving(Resolution::NotSent)).await;
        after.pass(Duration::from_mins(30)).await;
        assert_eq!(after.platform.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_is_remembered_with_what_came_of_it() {
    let (bench, row) = uncertain(Resolution::NotSent).await;
    bench.until("it is sent", |b| b.ledger.count(DeliveryState::Sent) == 1).await;
    let calls = bench.ledger.calls(&row.id).await.unwrap();
    let outcomes: Vec<_> = calls.iter().map(|call| (call.attempt, call.outcome)).collect();
    assert_eq!(outcomes.last(), Some(&(2, Some(DeliveryState::Sent))), "{outcomes:?}");
    assert_eq!(outcomes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_a_broadcast_keeps_its_targets_until_it_ends() {
    let bench = bench(|p| p, &[]).await;
    let broadcast = BroadcastId::parse("bc_1").unwrap();
    let target = |n: u32| Delivery {
        id: broadcast.delivery(n),
        group: own_group(n),
        kind: "broadcast".into(),
        priority: Priority::Bulk,
        payload: Payload::text("今日会员日"),
        broadcast: Some((broadcast.clone(), n)),
        ..delivery(&reply(0, "g", 0))
    };
    let rows = (0..50).map(|n| row_of(&target(n), Some("今日会员日"), DeliveryState::Pending, START_MS));
    bench.ledger.deliveries_add(rows.collect()).await.unwrap();
    let until_ms = bench.clock.now_ms() + 7_700;
    let hold = Hold { until_ms: Some(until_ms), ..hold(Vec::new(), HoldScope::Broadcast(broadcast.clone())) };
    bench.outbox.holds().set(&hold, audit_entry()).await.unwrap();
    let accounts = [AccountId::parse("demo").unwrap()];
    let sending = Sending { text: Arc::from("今日会员日"), gate: None };
    bench.outbox.feed(&broadcast, &accounts, &sending).await;
    bench.pass(5 * SECOND).await;
    assert_eq!(bench.platform.count(), 0);
    let row = bench.outbox.delivery(&broadcast.delivery(49)).await.unwrap().unwrap();
    assert_eq!(bench.outbox.why(&row).await, [Wait::Held(Box::new(hold)), Wait::NotRead]);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 50).await;
    let first = bench.platform.calls().iter().map(|call| call.started_ms).min().unwrap();
    assert!((0..30).contains(&(first - until_ms)), "{} ms after the end", first - until_ms);
}
