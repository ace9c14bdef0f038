//! May this call be made now? Two levels of exact windows, all or none, over an account and 24,000 groups in random order,
//! against governor's keyed limiter, which has one level and promises no window.
//!
//! Both run in one process, interleaved round by round; what counts is the ratio at the end.
//! `cargo bench --bench pacing`; with `-- --test` or `MENSHEN_BENCH_SMALL=1` it only shows that it runs.

#![expect(clippy::print_stdout, reason = "a bench speaks on standard output")]
#![expect(clippy::cast_precision_loss, reason = "rates are for people")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use menshen::clock::Stopwatch;
use menshen::outbox::limit::AccountLimits;
use menshen::outbox::pacer::{Commons, Decision, GroupNo, Micros, Pacer, PacingConfig, Wish};

const GROUPS: u32 = 24_000;

/// Between two wishes; each group then comes about every 3.6 s, within its 20 a minute.
const STEP: Micros = 150;

fn main() {
    let decisions = if small() { 2_000 } else { 480_000 };
    let order = shuffled(decisions);
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("pacing");
    group.throughput(Throughput::Elements(order.len() as u64));
    group.bench_function("granted", |b| b.iter_with_large_drop(|| granted(&order)));
    group.bench_function("refused", |b| b.iter_with_large_drop(|| refused(&order)));
    group.bench_function("governor_keyed", |b| b.iter_with_large_drop(|| governor_keyed(&order)));
    group.finish();
    forecast(if small() { 2_400 } else { 24_000 });
    print_ratio(&order);
}

fn pacer(account: &str) -> Pacer {
    let limits = AccountLimits::parse(&[account, "group:window:20/m"]).expect("the grammar's own examples");
    Pacer::new(limits, &PacingConfig::default())
}

/// Every wish is granted, and its call ends at once.
fn granted(order: &[u32]) -> Pacer {
    let mut pacer = pacer("window:600,000/m");
    let (mut now, mut commons) = (0, Commons::default());
    for group in order {
        now += STEP;
        match pacer.acquire(now, Wish::to(GroupNo(*group)), &mut commons) {
            Decision::Granted(permit) => pacer.complete(now, permit, &mut commons),
            refused @ (Decision::Wait { .. } | Decision::Never { .. }) => drop(black_box(refused)),
        }
    }
    pacer
}

/// The account is full: every group is looked at, none is charged.
fn refused(order: &[u32]) -> Pacer {
    let (mut pacer, mut commons) = (pacer("window:1/d"), Commons::default());
    for (now, group) in (0..).zip(order) {
        match pacer.acquire(now, Wish::to(GroupNo(*group)), &mut commons) {
            Decision::Granted(permit) => pacer.complete(now, permit, &mut commons),
            refused @ (Decision::Wait { .. } | Decision::Never { .. }) => drop(black_box(refused)),
        }
    }
    pacer
}

/// The same wishes at the same times, asked of one level of GCRA by key.
fn governor_keyed(order: &[u32]) -> usize {
    let clock = FakeRelativeClock::default();
    let quota = Quota::per_minute(NonZeroU32::new(20).expect("twenty is not zero"));
    let limiter = RateLimiter::dashmap_with_clock(quota, clock.clone());
    let step = Duration::from_micros(STEP.unsigned_abs());
    for group in order {
        clock.advance(step);
        _ = black_box(limiter.check_key(group)); // granted or not: the work is the same
    }
    limiter.len()
}

/// A finish estimate for a broadcast to every group.
fn forecast(calls: u64) {
    let pacer = pacer("window:500/s");
    let watch = Stopwatch::start();
    let finish = pacer.outlook(&Commons::default()).finish_of(0, calls, 50_000, 64);
    let millis = watch.elapsed().as_secs_f64() * 1000.0;
    println!(
        "pacing: finish of {calls} calls foretold in {millis:.2} ms ({} s of sending)",
        finish / 1_000_000
    );
}

fn print_ratio(order: &[u32]) {
    let rounds = if small() { 1 } else { 9 };
    let mut ratios = Vec::with_capacity(rounds);
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        let one = nanos_per(order, |order| drop(black_box(granted(order))));
        let other = nanos_per(order, |order| {
            black_box(governor_keyed(order));
        });
        ratios.push(one / other);
        ours = ours.min(one);
        theirs = theirs.min(other);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!(
        "pacing: two exact levels {ours:.0} ns a decision ({:.1} M/s), governor keyed, one level {theirs:.0} ns; ratio {median:.2} (median of {rounds})",
        1000.0 / ours
    );
}

fn nanos_per(order: &[u32], work: impl Fn(&[u32])) -> f64 {
    let watch = Stopwatch::start();
    work(order);
    watch.elapsed().as_secs_f64() * 1e9 / order.len() as f64
}

/// Rounds over all groups, each in its own random order.
fn shuffled(decisions: usize) -> Vec<u32> {
    let mut chance = menshen::outbox::retry::Chance::new(1);
    let mut order: Vec<u32> = Vec::with_capacity(decisions);
    while order.len() < decisions {
        let mut round: Vec<(f64, u32)> = (0..GROUPS).map(|group| (chance.draw(), group)).collect();
        round.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.extend(round.into_iter().map(|(_, group)| group));
    }
    order.truncate(decisions);
    order
}

#[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
fn small() -> bool {
    std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|value| value == "1")
        || std::env::args().any(|arg| arg == "--test")
}
