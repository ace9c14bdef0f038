//! Limits that accounts share, what refusals teach, and how soon an urgent call leaves: with runners, in virtual time.

use super::*;
use crate::event::BroadcastId;
use crate::outbox::delivery::Payload;
use crate::outbox::retry::Chance;
use crate::outbox::testing::audit::{Seen, most_in_a_window};
use crate::storage::Storage as _;

const ACCOUNTS: [&str; 4] = ["demo", "north", "south", "west"];

fn of_account(number: u32, account: &str, group: &str) -> Delivery {
    let mut pending = reply(number, group, 0);
    pending.head.account = account.to_owned().into();
    delivery(&pending)
}

fn submit_to(bench: &Bench, numbers: std::ops::Range<u32>, accounts: &[&str]) {
    for number in numbers {
        let account = accounts[number as usize % accounts.len()];
        bench.outbox.submit(vec![of_account(number, account, &own_group(number))]);
    }
}

/// What an observer saw who reads whole milliseconds.
fn seen(calls: &[SeenCall]) -> Vec<Seen> {
    let call = |call: &SeenCall| Seen {
        account: 0,
        group: 0,
        start: call.started_ms * 1000,
        end: call.ended_ms.unwrap_or(call.started_ms) * 1000,
        weight: 1,
    };
    calls.iter().map(call).collect()
}

async fn sent(bench: &Bench, count: usize) {
    bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == count).await;
}

#[tokio::test(start_paused = true)]
async fn accounts_that_share_a_limit_keep_it_together_use_all_of_it_and_take_turns() {
    let bench = bench(|p| p, &["window:100/s", "corp=acme window:40/10s,headroom=0"]).await;
    submit_to(&bench, 0..240, &ACCOUNTS);
    sent(&bench, 240).await;
    let calls = bench.platform.calls();
    audit_window(&calls, 40, 10_000);
    let took_ms = calls[239].started_ms - calls[0].started_ms;
    // Six windows' worth: five cycles of a window and a round trip of 20 ms, and what the first commit takes.
    assert!(took_ms <= 50_600, "{took_ms} ms");
    // The first window went to whoever was there first.
    for account in ACCOUNTS {
        let turns = calls[40..120].iter().filter(|call| call.account == account).count();
        assert!((18..=22).contains(&turns), "{account}: {turns} of 80");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shared_holds_over_a_restart_whoever_comes_first() {
    let bench = bench(|p| p, &["corp=acme window:40/m,headroom=0"]).await;
    submit_to(&bench, 0..80, &ACCOUNTS);
    sent(&bench, 40).await;
    let first = bench.platform.calls();
    let after = restart(&bench, |p| p).await;
    submit_to(&after, 1000..1040, &["north"]);
    after.pass(30 * SECOND).await;
    assert_eq!(after.platform.count(), 0, "the others' calls are known to the one");
    submit_to(&after, 2000..2040, &["west", "south"]);
    after.until("all of them are sent", |b| b.platform.count() >= 80).await;
    audit_window(&[first, after.platform.calls()].concat(), 40, 60_000);
}

#[tokio::test(start_paused = true)]
async fn new_limits_of_what_is_shared_hold_for_every_account_at_once() {
    let bench = bench(|p| p, &["corp=acme window:40/m,headroom=0"]).await;
    submit_to(&bench, 0..400, &ACCOUNTS);
    sent(&bench, 40).await;
    *bench.ways.limits.lock() = limits(&["corp=acme window:60/m,headroom=0"]);
    for account in ACCOUNTS {
        bench.outbox.account_changed(&AccountId::parse(account).unwrap()).await;
    }
    bench.until("the rest of the new window is spent", |b| b.platform.count() == 60).await;
    bench.pass(30 * SECOND).await;
    assert_eq!(bench.platform.count(), 60);
    sent(&bench, 400).await;
    audit_window(&bench.platform.calls(), 60, 60_000);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_stopped_passes_its_turn_on() {
    let bench = bench(|p| p, &["corp=acme window:10/10s,headroom=0"]).await;
    submit_to(&bench, 0..40, &["north", "south"]);
    bench.until("a window is spent", |b| b.platform.count() == 10).await;
    let scope = HoldScope::Account(AccountId::parse("north").unwrap());
    bench.outbox.holds().set(&hold(Vec::new(), scope), audit_entry()).await.unwrap();
    let of = |b: &Bench, account: &str| b.platform.calls().iter().filter(|c| c.account == account).count();
    let before = of(&bench, "north");
    bench.until("the other one sends all of its own", |b| of(b, "south") == 20).await;
    assert_eq!(of(&bench, "north"), before);
}

#[tokio::test(start_paused = true)]
async fn too_often_halves_the_rate_and_a_restart_does_not_forget_it() {
    let bench = bench(
        |p| {
            p.answering(|d, attempt| match (d.id.as_str().ends_with("0000_0"), attempt) {
                (true, 1) => Outcome::Refused(Refusal {
                    decision: Decision::After(SECOND),
                    scope: RefusalScope::Account,
                    code: "http_429".into(),
                    detail: String::new(),
                }),
                _ => Outcome::Sent { platform_id: None },
            })
        },
        &["window:100/10s"],
    )
    .await;
    submit(&bench, 0..1000, own_group);
    bench.until("it is refused and the window is over", |b| b.platform.count() >= 160).await;
    let seen = bench.outbox.status()[0].limits[0].clone();
    assert_eq!((seen.level.as_str(), seen.configured.as_deref()), ("account", Some("window:100/10s")));
    assert_eq!((seen.observed.as_str(), seen.refused_ms.is_some()), ("window:50/10s", true));
    let after = restart(&bench, |p| p.resolving(Resolution::Sent)).await;
    let from_ms = after.clock.now_ms() + 10_000;
    after.pass(31 * SECOND).await;
    let in_two_windows = |c: &&SeenCall| (from_ms..from_ms + 20_000).contains(&c.started_ms);
    let steady = after.platform.calls().iter().filter(in_two_windows).count();
    assert!((90..=100).contains(&steady), "{steady} in two windows of a hundred, halved");
    after.pass(Duration::from_mins(12)).await;
    submit(&after, 5000..5002, own_group);
    after.pass(2 * SECOND).await;
    let seen = after.outbox.status()[0].limits[0].clone();
    assert_eq!((seen.observed.as_str(), seen.share), ("window:100/10s", 1.0), "regained");
}

/// A broadcast of 24,000 targets fills a window of 10,000 a minute; meanwhile moderation acts once a second on average.
/// Returns how long the actions waited, in milliseconds, sorted.
async fn urgent_waits(seed: u64) -> Vec<i64> {
    let bench = bench(|p| p, &["window:10000/m"]).await;
    let broadcast = BroadcastId::parse("bc_1").unwrap();
    let text: Arc<str> = "Sale".into();
    let row = |target: u32| {
        let mut delivery = delivery(&reply(target, &own_group(target), 0));
        delivery.kind = "broadcast".into();
        delivery.priority = Priority::Bulk;
        delivery.broadcast = Some((broadcast.clone(), target));
        delivery.payload = Payload::text(text.to_string());
        row_of(&delivery, Some(&text), DeliveryState::Pending, START_MS)
    };
    bench.ledger.deliveries_add((1..=24_000).map(row).collect()).await.unwrap();
    let demo = AccountId::parse("demo").unwrap();
    bench.outbox.feed(&broadcast, std::slice::from_ref(&demo), &Sending { text, gate: None }).await;
    let mut chance = Chance::new(seed);
    let mut asked = BTreeMap::new();
    for number in 100_000..100_125_u32 {
        bench.pass(SECOND.mul_f64(-(1.0 - chance.draw()).ln())).await;
        let mut urgent = delivery(&reply(number, &own_group(number), 0));
        urgent.priority = Priority::Urgent;
        asked.insert(urgent.id.to_string(), bench.clock.now_ms());
        bench.outbox.submit(vec![urgent]);
    }
    bench.pass(Duration::from_mins(2)).await;
    let calls = bench.platform.calls();
    assert!(most_in_a_window(&seen(&calls), 60_000_000) <= 10_000);
    assert_eq!(calls.len(), 24_125);
    let urgent = calls.iter().filter(|call| call.priority == Priority::Urgent);
    let mut waits: Vec<_> = urgent.map(|call| call.started_ms - asked[&call.id]).collect();
    waits.sort_unstable();
    assert_eq!(waits.len(), 125);
    waits
}

#[tokio::test(start_paused = true)]
async fn an_urgent_call_leaves_within_a_second_although_a_broadcast_has_filled_the_window() {
    for seed in [1, 2, 3] {
        let waits = urgent_waits(seed).await;
        let p99 = waits[waits.len() * 99 / 100];
        assert!(p99 < 1000, "seed {seed}: p99 {p99} ms, at most {} ms", waits[waits.len() - 1]);
    }
}
