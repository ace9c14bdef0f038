//! Promises of sending, in virtual time: what happens to each delivery over crashes, refusals, limits and stops.

mod pacing;
mod stress;
mod why;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::delivery::{Decision, Outcome, Priority, Refusal, RefusalScope, Resolution};
use super::holds::{Hold, HoldKind, HoldScope};
use super::testing::*;
use super::*;
use crate::clock::Clock;
use crate::storage::AuditEntry;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn refused(decision: Decision, scope: RefusalScope) -> Outcome {
    Outcome::Refused(Refusal { decision, scope, code: "no".into(), detail: String::new() })
}

async fn bench(platform: impl FnOnce(Platform) -> Platform, limit_texts: &[&str]) -> Bench {
    let clock = Clock::tokio(START_MS);
    let made = platform(Platform::new(&clock, 20 * MS));
    Bench::start(&clock, &TestLedger::new(), made, limits(limit_texts), Config::default()).await
}

/// Starts again after a crash, with another platform.
async fn restart(old: &Bench, platform: impl FnOnce(Platform) -> Platform) -> Bench {
    let limits = old.ways.limits.lock().clone();
    let made = platform(Platform::new(&old.clock, 20 * MS));
    Bench::start(&old.clock, &old.ledger.after_crash(), made, limits, Config::default()).await
}

fn submit(bench: &Bench, numbers: std::ops::Range<u32>, group: impl Fn(u32) -> String) {
    for number in numbers {
        let pending = reply(number, &group(number), 0);
        bench.ledger.journal(pending.clone());
        bench.outbox.submit(vec![delivery(&pending)]);
    }
}

fn own_group(number: u32) -> String {
    format!("g-{number}")
}

fn audit_entry() -> AuditEntry {
    AuditEntry {
        seq: 0,
        at_ms: 0,
        operator: "op".into(),
        token: String::new(),
        verb: "stop".into(),
        object: "hold".into(),
        id: "hld_1".into(),
        detail: String::new(),
        place: "//".into(),
    }
}

fn hold(kinds: Vec<HoldKind>, scope: HoldScope) -> Hold {
    let (id, by) = ("hld_1".into(), "op".into());
    Hold { id, kinds, scope, reason: String::new(), by, at_ms: START_MS, until_ms: None }
}

#[tokio::test(start_paused = true)]
async fn what_is_submitted_is_sent_once_and_recorded() {
    let bench = bench(|p| p, &[]).await;
    submit(&bench, 0..500, own_group);
    bench.until("all are settled", |b| b.ledger.count(DeliveryState::Sent) == 500).await;
    let ids: HashSet<_> = bench.platform.ids().into_iter().collect();
    assert_eq!((ids.len(), bench.platform.count()), (500, 500));
    assert!(bench.ledger.intend_commits.load(Ordering::SeqCst) < 100, "one commit for all that wait");
}

#[tokio::test(start_paused = true)]
async fn replies_to_a_group_keep_their_order() {
    let bench = bench(
        |p| {
            p.answering(|d, attempt| {
                if d.id.as_str().ends_with("3_0") && attempt == 1 {
                    refused(Decision::Backoff, RefusalScope::Delivery)
                } else {
                    Outcome::Sent { platform_id: None }
                }
            })
        },
        &[],
    )
    .await;
    submit(&bench, 0..9, |_| "g".into());
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 9).await;
    let texts: Vec<_> = bench.platform.calls().iter().map(|call| call.text.clone()).collect();
    let mut expect: Vec<_> = (0..9).map(|n| format!("answer {n}")).collect();
    expect.insert(3, "answer 3".into());
    assert_eq!(texts, expect, "the third is tried again before the fourth");
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_intent_and_outcome_is_uncertain_and_never_sent_again_blindly() {
    let bench = bench(|p| p, &[]).await;
    submit(&bench, 0..5, own_group);
    bench.until("calls are under way", |b| b.platform.count() == 5).await;
    let after = restart(&bench, |p| p.resolving(Resolution::Unknown)).await;
    after.pass(Duration::from_mins(30)).await;
    assert_eq!(after.platform.count(), 0);
    assert_eq!(after.platform.questions(), 25, "asked five times each, then left to a person");
    assert_eq!(after.ledger.count(DeliveryState::Uncertain), 5);
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_all_questions_leaves_nothing_to_a_person() {
    let bench = bench(|p| p, &[]).await;
    submit(&bench, 0..5, own_group);
    bench.until("calls are under way", |b| b.platform.count() == 5).await;
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    let answer = move |_: &Delivery| {
        if is_back.load(Ordering::SeqCst) { Resolution::Sent } else { Resolution::NotAsked }
    };
    let after = restart(&bench, |p| p.resolving_with(answer)).await;
    after.pass(Duration::from_hours(2)).await;
    assert!(after.ledger.rows().iter().all(|row| row.code != UNRESOLVED), "nobody is asked to look");
    assert!((5 * 20..5 * 40).contains(&after.platform.questions()), "{}: seldom", after.platform.questions());
    back.store(true, Ordering::SeqCst);
    after.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 5).await;
    assert_eq!(after.platform.count(), 0, "none is sent again");
}

#[tokio::test(start_paused = true)]
async fn the_platforms_word_settles_what_is_uncertain() {
    for (resolution, calls) in
        [(Resolution::Sent, 0), (Resolution::NotSent, 5), (Resolution::SafeToRepeat, 5)]
    {
        let bench = bench(|p| p, &[]).await;
        submit(&bench, 0..5, own_group);
        bench.until("calls are under way", |b| b.platform.count() == 5).await;
        let after = restart(&bench, |p| p.resolving(resolution.clone())).await;
        after.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 5).await;
        assert_eq!(after.platform.count(), calls, "{resolution:?}");
        assert!(after.platform.calls().iter().all(|call| call.attempt == 2));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_confirm_keeps_the_tasks_id_also_when_a_crash_made_it_uncertain() {
    let told = |n: &Delivery| Outcome::AwaitingConfirmation { platform_id: format!("msg_{}", n.group) };
    let bench = bench(|p| p.answering(move |delivery, _| told(delivery)), &[]).await;
    submit(&bench, 0..1, own_group);
    bench.until("it waits", |b| b.ledger.count(DeliveryState::AwaitingConfirmation) == 1).await;
    let row = bench.ledger.rows().remove(0);
    assert_eq!(row.platform_id, format!("msg_{}", row.group));
    submit(&bench, 1..2, own_group);
    bench.until("a call is under way", |b| b.platform.count() == 2).await;
    let found = Resolution::Awaiting { platform_id: "msg_found".into() };
    let after = restart(&bench, |p| p.resolving(found)).await;
    after.until("both wait", |b| b.ledger.count(DeliveryState::AwaitingConfirmation) == 2).await;
    let ids: Vec<_> = after.ledger.rows().into_iter().map(|row| row.platform_id).collect();
    assert!(ids.contains(&"msg_found".to_owned()) && ids.contains(&row.platform_id), "{ids:?}");
    assert_eq!(after.platform.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_called_before_a_crash_is_sent_after_it() {
    let bench = bench(|p| p, &["window:10/m"]).await;
    submit(&bench, 0..30, own_group);
    bench.until("the first are sent", |b| b.ledger.count(DeliveryState::Sent) == 10).await;
    let before = bench.platform.ids();
    let after = restart(&bench, |p| p).await;
    after.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 30).await;
    let sent: HashSet<_> = before.iter().chain(&after.platform.ids()).cloned().collect();
    assert_eq!((after.platform.count(), sent.len()), (20, 30), "none twice, none lost");
}

#[tokio::test(start_paused = true)]
async fn a_window_holds_over_a_restart() {
    let bench = bench(|p| p, &["window:20/m", "group:window:3/m"]).await;
    submit(&bench, 0..60, |n| format!("g-{}", n % 10));
    bench.until("a window is spent", |b| b.ledger.count(DeliveryState::Sent) == 20).await;
    let first = bench.platform.calls();
    let after = restart(&bench, |p| p).await;
    after.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 60).await;
    let all = [first, after.platform.calls()].concat();
    assert_eq!(all.len(), 60);
    audit_window(&all, 20, 60_000);
    for group in 0..10 {
        let of_group: Vec<_> = all.iter().filter(|c| c.group == format!("g-{group}")).cloned().collect();
        audit_window(&of_group, 3, 60_000);
    }
}

#[tokio::test(start_paused = true)]
async fn the_allowed_rate_is_used_while_there_is_work() {
    let bench = bench(|p| p, &["window:100/s"]).await;
    submit(&bench, 0..3000, own_group);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 3000).await;
    let calls = bench.platform.calls();
    audit_window(&calls, 100, 1000);
    // A slot's cycle is the window and the round trip of 20 ms; the intent's commit of 2 ms is made before.
    let seconds = f64::from(u32::try_from(calls[2999].started_ms - calls[0].started_ms).unwrap()) / 1000.0;
    let cycles = 2900.0 / 100.0;
    assert!(seconds <= cycles * 1.020 / 0.99, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_nothing_is_sent() {
    let bench = bench(|p| p, &[]).await;
    bench.ledger.fails_to_intend.store(true, Ordering::SeqCst);
    submit(&bench, 0..20, own_group);
    bench.pass(Duration::from_secs(20)).await;
    assert_eq!(bench.platform.count(), 0);
    assert_eq!(bench.outbox.status()[0].stopped, Some("ledger_failed"));
    bench.ledger.fails_to_intend.store(false, Ordering::SeqCst);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 20).await;
    assert_eq!(bench.platform.count(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_recorded_stops_the_lane_and_is_not_lost() {
    let bench = bench(|p| p, &["concurrency:4"]).await;
    bench.ledger.fails_to_settle.store(true, Ordering::SeqCst);
    submit(&bench, 0..50, own_group);
    bench.pass(Duration::from_secs(20)).await;
    let called = bench.platform.count();
    assert!(called <= 20, "{called} calls");
    bench.ledger.fails_to_settle.store(false, Ordering::SeqCst);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 50).await;
    assert_eq!(bench.platform.count(), 50, "none was called twice");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_retried_and_then_given_up() {
    let bench = bench(|p| p.answering(|_, _| refused(Decision::Backoff, RefusalScope::Delivery)), &[]).await;
    submit(&bench, 0..1, own_group);
    bench.until("it is given up", |b| b.ledger.count(DeliveryState::Failed) == 1).await;
    let starts: Vec<_> = bench.platform.calls().iter().map(|call| call.started_ms).collect();
    assert_eq!(starts.len(), 8);
    let delays: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(delays.windows(2).all(|pair| pair[1] * 10 > pair[0] * 9), "growing: {delays:?}");
    assert!(delays[0] >= 1000 && delays[6] >= 64_000, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_replayed() {
    let bench = bench(
        |p| {
            p.answering(|_, attempt| match attempt {
                1 => refused(Decision::Never, RefusalScope::Delivery),
                _ => Outcome::Sent { platform_id: None },
            })
        },
        &[],
    )
    .await;
    submit(&bench, 0..3, own_group);
    bench.until("all are dead", |b| b.ledger.count(DeliveryState::Failed) == 3).await;
    let dead = bench.outbox.dead_letters(LetterFilter::default(), None, 10).await.unwrap();
    assert_eq!(dead.len(), 3);
    let one = LetterFilter { id: Some(dead[0].id.clone()), ..LetterFilter::default() };
    assert_eq!(bench.outbox.replay(one).await.unwrap(), 1);
    bench.until("one is sent", |b| b.ledger.count(DeliveryState::Sent) == 1).await;
    let after = restart(&bench, |p| p).await;
    assert_eq!(after.outbox.replay(LetterFilter::default()).await.unwrap(), 2);
    after.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_asks_for_silence_gets_it() {
    let bench = bench(
        |p| {
            p.answering(|d, attempt| match (d.id.as_str().ends_with("0000_0"), attempt) {
                (true, 1) => refused(Decision::After(30 * SECOND), RefusalScope::Account),
                _ => Outcome::Sent { platform_id: None },
            })
        },
        &["pace:10/s"],
    )
    .await;
    submit(&bench, 0..20, own_group);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 20).await;
    let told = bench.platform.calls()[0].ended_ms.unwrap();
    let early = bench
        .platform
        .calls()
        .iter()
        .filter(|c| c.started_ms > told + 5 && c.started_ms < told + 30_000)
        .count();
    assert_eq!(early, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_late_is_not_said() {
    let bench = bench(|p| p, &["window:1/m"]).await;
    for number in 0..3 {
        let pending = reply(number, &own_group(number), START_MS + 30_000);
        bench.outbox.submit(vec![delivery(&pending)]);
    }
    bench.until("the others expire", |b| b.ledger.count(DeliveryState::Expired) == 2).await;
    assert_eq!(bench.platform.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_is_down_is_left_alone_until_a_canary_returns() {
    let clock = Clock::tokio(START_MS);
    let (judge, down_until) = (clock.clone(), START_MS + 60_000);
    let platform = Platform::new(&clock, 20 * MS).answering(move |_, _| {
        if judge.now_ms() < down_until {
            refused(Decision::Backoff, RefusalScope::Account)
        } else {
            Outcome::Sent { platform_id: None }
        }
    });
    let mut config = Config { in_flight_max: 4, ..Config::default() };
    config.retry.attempts_max = 50;
    let bench = Bench::start(&clock, &TestLedger::new(), platform, limits(&[]), config).await;
    submit(&bench, 0..200, own_group);
    bench.pass(59 * SECOND).await;
    assert!(bench.platform.count() < 40, "{} calls to a dead platform", bench.platform.count());
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 200).await;
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_leaves_its_call_uncertain() {
    let bench = bench(
        |p| {
            p.answering(|d, _| {
                assert!(!d.id.as_str().ends_with("1_0"), "a test of panics");
                Outcome::Sent { platform_id: None }
            })
        },
        &[],
    )
    .await;
    submit(&bench, 0..3, own_group);
    bench.until("the others are sent", |b| b.ledger.count(DeliveryState::Sent) == 2).await;
    bench.until("it is uncertain", |b| b.ledger.count(DeliveryState::Uncertain) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_hold_stops_at_once_holds_over_a_restart_and_is_lifted() {
    let bench = bench(|p| p, &["pace:100/s"]).await;
    submit(&bench, 0..200, |n| format!("{}-{n}", if n % 2 == 0 { "east" } else { "west" }));
    bench.until("some are sent", |b| b.platform.count() > 20).await;
    let region = HoldScope::Region(crate::event::RegionId::parse("east").unwrap());
    bench.outbox.holds().set(&hold(vec![HoldKind::Reply], region), audit_entry()).await.unwrap();
    let at_once = bench.clock.now_ms() + 5; // the commit of the hold itself took 2 ms, in which it was in force
    bench
        .until("the west is sent", |b| {
            b.platform.calls().iter().filter(|c| c.group.starts_with("west") && c.ended_ms.is_some()).count()
                == 100
        })
        .await;
    let late = |b: &Bench| {
        b.platform.calls().iter().filter(|c| c.group.starts_with("east") && c.started_ms > at_once).count()
    };
    assert_eq!(late(&bench), 0);
    let after = restart(&bench, |p| p.resolving(Resolution::Sent)).await;
    after.pass(Duration::from_mins(1)).await;
    assert_eq!(after.platform.calls().iter().filter(|c| c.group.starts_with("east")).count(), 0);
    assert_eq!(after.outbox.holds().list().len(), 1);
    after.outbox.holds().lift("hld_1", audit_entry()).await.unwrap();
    after.until("the east is sent", |b| b.ledger.count(DeliveryState::Sent) == 200).await;
    let mut seen = BTreeMap::new();
    let first: Vec<_> = bench.platform.ids();
    for id in first.iter().chain(&after.platform.ids()) {
        *seen.entry(id.clone()).or_insert(0) += 1;
    }
    assert!(seen.values().all(|count| *count == 1), "none twice");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_cannot_be_written_is_in_force_and_says_so() {
    let bench = bench(|p| p, &[]).await;
    bench.ledger.fails_to_apply.store(true, Ordering::SeqCst);
    let result = bench.outbox.holds().set(&hold(Vec::new(), HoldScope::All), audit_entry()).await;
    assert!(matches!(result, Err(HoldError::NotDurable(_))));
    submit(&bench, 0..5, own_group);
    bench.pass(SECOND).await;
    assert_eq!(bench.platform.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_needs_a_person_stops_the_account_visibly() {
    let bench = bench(
        |p| p.answering(|_, _| refused(Decision::PauseLane, RefusalScope::Account)),
        &["concurrency:1"],
    )
    .await;
    submit(&bench, 0..20, own_group);
    bench.pass(Duration::from_mins(1)).await;
    assert!(bench.platform.count() <= 2, "{} calls", bench.platform.count());
    let holds = bench.outbox.holds().list();
    assert_eq!((holds.len(), holds[0].by.as_str()), (1, "menshen"));
    assert_eq!(bench.ledger.audit_verbs(), ["create"], "it is durable");
    assert_eq!(bench.ledger.count(DeliveryState::Failed), 0, "nothing is lost");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_in_memory_waits_in_the_journal() {
    let clock = Clock::tokio(START_MS);
    let mut config = Config::default();
    config.lanes.ready_max = 16;
    let platform = Platform::new(&clock, 20 * MS);
    let bench = Bench::start(&clock, &TestLedger::new(), platform, limits(&[]), config).await;
    submit(&bench, 0..300, own_group);
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 300).await;
    assert_eq!(bench.platform.count(), 300, "each once");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_while_it_was_being_read_is_not_sent_again() {
    let clock = Clock::tokio(START_MS);
    let platform = Platform::new(&clock, MS).answering(|_, attempt| match attempt {
        1 => refused(Decision::Never, RefusalScope::Delivery),
        _ => Outcome::Sent { platform_id: None },
    });
    let ledger = TestLedger::slow_to_read();
    let bench = Bench::start(&clock, &ledger, platform, limits(&["pace:100/s"]), Config::default()).await;
    submit(&bench, 0..40, own_group);
    bench.until("all are dead", |b| b.ledger.count(DeliveryState::Failed) == 40).await;
    assert_eq!(bench.outbox.replay(LetterFilter::default()).await.unwrap(), 40);
    bench.until("some are sent", |b| b.ledger.count(DeliveryState::Sent) > 5).await;
    // A second scan reads rows that are in memory, and gets them when some of them are sent.
    let runner = bench.outbox.runner(&AccountId::parse("demo").unwrap());
    bench.outbox.tell(&runner, Command::Rescan).await;
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 40).await;
    bench.pass(10 * SECOND).await;
    assert_eq!(bench.platform.count(), 80, "two attempts each");
    assert_eq!(bench.ledger.conflicts.load(Ordering::SeqCst), 0, "and the ledger need not say no");
}

#[tokio::test(start_paused = true)]
async fn new_limits_take_over_without_a_fresh_burst() {
    let bench = bench(|p| p, &["window:20/m"]).await;
    submit(&bench, 0..60, own_group);
    bench.until("a window is spent", |b| b.ledger.count(DeliveryState::Sent) == 20).await;
    *bench.ways.limits.lock() = limits(&["window:30/m"]);
    bench.outbox.account_changed(&AccountId::parse("demo").unwrap()).await;
    bench.until("the rest of the new window is spent", |b| b.ledger.count(DeliveryState::Sent) == 30).await;
    bench.pass(30 * SECOND).await;
    assert_eq!(bench.platform.count(), 30);
    audit_window(&bench.platform.calls(), 30, 60_000);
}

#[tokio::test(start_paused = true)]
async fn urgent_goes_first_and_within_a_second_under_load() {
    let bench = bench(|p| p, &["window:20/s"]).await;
    submit(&bench, 0..2000, own_group);
    bench.until("it is busy", |b| b.platform.count() > 100).await;
    let mut urgent = delivery(&reply(9999, "g-urgent", 0));
    urgent.priority = Priority::Urgent;
    let asked_ms = bench.clock.now_ms();
    bench.outbox.submit(vec![urgent]);
    bench.until("it is called", |b| b.platform.calls().iter().any(|c| c.group == "g-urgent")).await;
    let waited = bench.clock.now_ms() - asked_ms;
    assert!(waited <= 1100, "{waited} ms: at most one cycle of the window");
}

#[tokio::test(start_paused = true)]
async fn parking_waits_for_what_is_under_way_and_starts_nothing() {
    let bench = bench(|p| p, &["pace:100/s"]).await;
    submit(&bench, 0..500, own_group);
    bench.until("some are under way", |b| b.platform.count() > 10).await;
    assert!(bench.outbox.park(5 * SECOND).await);
    let called = bench.platform.count();
    assert_eq!(bench.ledger.count(DeliveryState::Sending), 0, "every call has its outcome");
    bench.pass(Duration::from_mins(1)).await;
    assert_eq!(bench.platform.count(), called);
    let after = restart(&bench, |p| p).await;
    after.until("the rest is sent", |b| b.ledger.count(DeliveryState::Sent) == 500).await;
    assert_eq!(after.platform.count() + called, 500);
}

/// Sends numbered replies over the real ledger until `count` deliveries are sent.
async fn over_sqlite(dir: &std::path::Path, numbers: std::ops::Range<u32>, count: usize) -> Vec<String> {
    let storage = crate::storage::sqlite::open(dir, &crate::storage::Config::default()).unwrap();
    let epoch = storage.lease("test").await.unwrap();
    let clock = Clock::system();
    let platform = Arc::new(Platform::new(&clock, MS).resolving(Resolution::Sent));
    let (tasks, _owner) = crate::tasks::detached();
    let outbox = Outbox::start(Parts {
        storage: storage.clone(),
        deliverers: Arc::new(Everywhere {
            platform: platform.clone(),
            limits: Mutex::default(),
            accounts: Mutex::default(),
        }),
        places: Arc::new(Atlas),
        tasks,
        clock,
        config: Config::default(),
        epoch,
        seed: 1,
    });
    let outbox = outbox.await.unwrap();
    outbox.submit(numbers.map(|number| delivery(&reply(number, &own_group(number), 0))).collect());
    let sent =
        DeliveryFilter { states: vec![DeliveryState::Sent], limit: 10_000, ..DeliveryFilter::default() };
    let all_sent = async {
        while storage.deliveries(sent.clone()).await.unwrap().len() < count {
            tokio::time::sleep(10 * MS).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all_sent).await.expect("all are sent");
    assert!(outbox.park(5 * SECOND).await);
    storage.close().await.unwrap();
    platform.ids()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_ledger_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let first = over_sqlite(dir.path(), 0..300, 300).await;
    // The same replies again, as the journal brings them after a crash, and some new ones.
    let second = over_sqlite(dir.path(), 0..320, 320).await;
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 300);
    let known: HashSet<_> = first.iter().collect();
    assert_eq!(second.iter().filter(|id| known.contains(id)).count(), 0, "none twice");
    assert_eq!((first.len(), second.len()), (300, 20));
}
