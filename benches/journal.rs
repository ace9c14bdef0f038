//! The journal and the ledger alone, beside writing and syncing the same bytes to a plain file in the same run.
//!
//! * cost of durability: events/s with every commit synced to those without, interleaved rounds, median of the ratios;
//! * open loop: 100,000 events/s offered, the time from an event's due moment to its acknowledgement, and the CPU of the
//!   process (making the events is left out: they are encoded beforehand), with the projection running every second;
//! * sustained: as fast as it goes with the projection, until the last event is folded;
//! * ledger: 24,000 targets in one commit, and intents with settlements from 64 callers.
//!
//! Files are made under `target/`, so that they lie on a disk. `MENSHEN_BENCH_SMALL=1` makes it a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]
#![expect(clippy::cast_precision_loss, reason = "counts and times, for printing")]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use menshen::clock::Stopwatch;
use menshen::event::{
    Effects, EventKey, EventType, HOUR_MS, Head, Partition, Role, Status, Verdict, partition_of,
};
use menshen::storage::{
    Append, Config, DeliveryRow, DeliveryState, Durability, Intent, Receipt, Settlement, SharedStorage,
    codec, sqlite,
};

const HOUR: u32 = 497_222;
const GROUPS: usize = 24_000;
const MEMBERS_PER_GROUP: usize = 50;

/// Events waiting for their acknowledgement in a closed loop.
const IN_FLIGHT: usize = 8_000;

struct Encoded {
    partition: Partition,
    payload: Vec<u8>,
}

/// Messages over all groups, spread so that neighbours in time are of different groups.
fn events(count: usize) -> Vec<Encoded> {
    let mut spread: u64 = 1;
    (0..count)
        .map(|n| {
            spread = spread.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(spread >> 33).expect("31 bits");
            let group = format!("wrOgAAAA{:06}", pick % GROUPS);
            let member = format!("wmOgAAAA{:08}", pick % (GROUPS * MEMBERS_PER_GROUP));
            let effects = Effects {
                head: Head {
                    key: EventKey((u128::from(spread) << 64) | n as u128),
                    at_ms: i64::from(HOUR) * HOUR_MS + i64::try_from(n).expect("few") % HOUR_MS,
                    arrived_ms: i64::from(HOUR) * HOUR_MS + i64::try_from(n).expect("few") % HOUR_MS,
                    account: Cow::Borrowed("demo"),
                    group: Cow::Borrowed(&group),
                    member: Some(Cow::Borrowed(&member)),
                    name: None,
                    role: Role::Customer,
                    what: EventType::Message,
                    status: Status::Counted,
                    verdict: Verdict::Pass,
                    revised: false,
                    fingerprint: None,
                },
                facts: Vec::new(),
            };
            let mut payload = Vec::new();
            codec::encode(&effects, &mut payload);
            Encoded { partition: partition_of("demo", &group), payload }
        })
        .collect()
}

fn append(storage: &SharedStorage, epoch: u64, event: &Encoded) -> Receipt {
    storage
        .append(Append {
            partition: event.partition,
            epoch,
            payload: &event.payload,
            events: 1,
            bucket_min: HOUR,
            bucket_max: HOUR,
        })
        .expect("there is room")
}

fn wait(receipt: Receipt) {
    block_on(receipt.wait()).expect("committed");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}

fn open(dir: &Path, config: &Config) -> (SharedStorage, u64) {
    let storage = sqlite::open(dir, config).expect("opened");
    let epoch = block_on(storage.lease("bench")).expect("leased");
    (storage, epoch)
}

/// Appends as fast as acknowledgements come, for a time; returns how many and the longest acknowledgement.
fn closed_loop(storage: &SharedStorage, epoch: u64, events: &[Encoded], time: Duration) -> (usize, Duration) {
    let watch = Stopwatch::start();
    let (mut sent, mut longest) = (0, Duration::ZERO);
    let mut flying: VecDeque<(Stopwatch, Receipt)> = VecDeque::new();
    while watch.elapsed() < time {
        for _ in 0..100 {
            flying.push_back((Stopwatch::start(), append(storage, epoch, &events[sent % events.len()])));
            sent += 1;
        }
        while flying.len() > IN_FLIGHT || flying.front().is_some_and(|(_, receipt)| receipt.done().is_some())
        {
            let Some((since, receipt)) = flying.pop_front() else { break };
            wait(receipt);
            longest = longest.max(since.elapsed());
        }
    }
    for (since, receipt) in flying {
        wait(receipt);
        longest = longest.max(since.elapsed());
    }
    (sent, longest)
}

/// Projects once a second until told to stop.
fn projecting(storage: &SharedStorage, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let (storage, stop) = (storage.clone(), Arc::clone(stop));
    std::thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_secs(1));
            storage.project().expect("projected");
        }
    })
}

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

fn quantile(sorted: &[Duration], q: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the list")]
    let index = ((sorted.len() - 1) as f64 * q) as usize;
    sorted[index].as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn durability(root: &Path, events: &[Encoded], rounds: usize, time: Duration) {
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut rate = [0.0; 2];
        // Every other round in the other order.
        for turn in 0..2 {
            let which = (turn + round) % 2;
            let durability = [Durability::Full, Durability::Off][which];
            let dir = root.join(format!("durability-{round}-{which}"));
            let (storage, epoch) = open(&dir, &Config { durability, ..Config::default() });
            let watch = Stopwatch::start();
            let (sent, _) = closed_loop(&storage, epoch, events, time);
            rate[which] = sent as f64 / watch.elapsed().as_secs_f64();
            drop(storage);
            std::fs::remove_dir_all(&dir).expect("ours");
        }
        with.push(rate[0]);
        without.push(rate[1]);
        ratios.push(rate[0] / rate[1]);
    }
    println!(
        "journal: durability {:.0}k events/s synced, {:.0}k not, ratio {:.2} (median of {rounds} rounds, {IN_FLIGHT} in flight)",
        median(with) / 1e3,
        median(without) / 1e3,
        median(ratios)
    );
}

fn open_loop(root: &Path, events: &[Encoded], time: Duration, linger: Duration) {
    const PER_MS: usize = 100;
    let dir = root.join(format!("open-{}", linger.as_millis()));
    let (storage, epoch) = open(&dir, &Config { linger, ..Config::default() });
    let stop = Arc::new(AtomicBool::new(false));
    let projector = projecting(&storage, &stop);
    let (flying, landing) = sync_channel::<(Duration, Receipt)>(1 << 20);
    let watch = Stopwatch::start();
    let runtime = tokio::runtime::Handle::current();
    let waiting = std::thread::spawn(move || {
        let _context = runtime.enter();
        let mut took = Vec::new();
        for (due, receipt) in landing {
            wait(receipt);
            took.push(watch.elapsed().saturating_sub(due));
        }
        took
    });
    let before = cpu();
    let ticks = u32::try_from(time.as_millis()).expect("seconds");
    for tick in 0..ticks {
        let due = Duration::from_millis(tick.into());
        while let Some(left) = due.checked_sub(watch.elapsed()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        for n in 0..PER_MS {
            let event = &events[(tick as usize * PER_MS + n) % events.len()];
            flying.send((due, append(&storage, epoch, event))).expect("somebody waits");
        }
    }
    drop(flying);
    let mut took = waiting.join().expect("counted");
    let share = cpu().saturating_sub(before).as_secs_f64() / watch.elapsed().as_secs_f64();
    stop.store(true, Ordering::SeqCst);
    projector.thread().unpark();
    projector.join().expect("projected");
    took.sort_unstable();
    println!(
        "journal: open loop 100k events/s for {} s, linger {} ms: p50 {:.2} ms, p99 {:.1} ms, p99.9 {:.1} ms, {:.0} % of a core with the projection and the load",
        time.as_secs_f64(),
        linger.as_millis(),
        quantile(&took, 0.5),
        quantile(&took, 0.99),
        quantile(&took, 0.999),
        share * 100.0
    );
    drop(storage);
    std::fs::remove_dir_all(&dir).expect("ours");
}

fn sustained(root: &Path, events: &[Encoded], time: Duration) {
    let dir = root.join("sustained");
    let (storage, epoch) = open(&dir, &Config::default());
    let stop = Arc::new(AtomicBool::new(false));
    let projector = projecting(&storage, &stop);
    let (watch, before) = (Stopwatch::start(), cpu());
    let (sent, longest) = closed_loop(&storage, epoch, events, time);
    let acked = watch.elapsed();
    stop.store(true, Ordering::SeqCst);
    projector.thread().unpark();
    projector.join().expect("projected");
    storage.project().expect("projected");
    let all = watch.elapsed();
    let counted: u64 =
        storage.totals(0, i64::MAX).expect("read").iter().map(|total| total.counters.messages).sum();
    assert_eq!(counted, sent as u64, "every acknowledged event is counted once");
    println!(
        "journal: sustained {:.0}k events/s with projection and drain ({:.0}k acknowledged, {:.1} s), longest ack {:.0} ms, {:.2} us CPU/event",
        sent as f64 / all.as_secs_f64() / 1e3,
        sent as f64 / acked.as_secs_f64() / 1e3,
        all.as_secs_f64(),
        longest.as_secs_f64() * 1e3,
        cpu().saturating_sub(before).as_secs_f64() * 1e6 / sent as f64
    );
    drop(storage);
    std::fs::remove_dir_all(&dir).expect("ours");
}

/// What the disk itself does with as many bytes.
fn plain_file(root: &Path, bytes: usize, rounds: usize) {
    let mut file = std::fs::File::create(root.join("plain")).expect("made");
    let block = vec![7; bytes];
    let mut took: Vec<Duration> = (0..rounds)
        .map(|_| {
            let watch = Stopwatch::start();
            file.write_all(&block).and_then(|()| file.sync_data()).expect("written");
            watch.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "journal: reference, append and fdatasync of {} KiB to a plain file: p50 {:.2} ms, p99 {:.1} ms",
        bytes / 1024,
        quantile(&took, 0.5),
        quantile(&took, 0.99)
    );
}

fn target(broadcast: &str, target: u32) -> DeliveryRow {
    DeliveryRow {
        id: format!("{broadcast}_{target}"),
        broadcast: broadcast.to_owned(),
        target,
        account: "demo".to_owned(),
        group: format!("wrOgAAAA{target:06}"),
        kind: "broadcast".to_owned(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_ms: 0,
        expires_ms: 0,
        body: String::new(),
        code: String::new(),
        detail: String::new(),
        updated_ms: 0,
        platform_id: String::new(),
        carrier: 0,
    }
}

fn ledger(root: &Path, rounds: u32, sends: u32) {
    const CALLERS: u32 = 64;
    let dir = root.join("ledger");
    let (storage, epoch) = open(&dir, &Config::default());
    let took: Vec<f64> = (0..rounds)
        .map(|round| {
            let rows: Vec<_> = (0..24_000).map(|n| target(&format!("brd_{round}"), n)).collect();
            let watch = Stopwatch::start();
            block_on(storage.deliveries_add(rows)).expect("added");
            watch.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    println!("ledger: 24,000 targets in one commit: {:.0} ms (median of {rounds} rounds)", median(took));
    let (watch, before) = (Stopwatch::start(), cpu());
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let storage = storage.clone();
            #[expect(clippy::disallowed_methods, reason = "a bench has no tasks to drain")]
            tokio::spawn(async move {
                for n in (caller..sends).step_by(CALLERS as usize) {
                    let delivery = target("brd_0", n);
                    let id = delivery.id.clone();
                    let intent = Intent { delivery, attempt: 1, at_ms: 1, cost: 1, epoch };
                    storage.intend(vec![intent]).await.expect("intended");
                    let settled = Settlement {
                        id,
                        attempt: 1,
                        at_ms: 2,
                        state: DeliveryState::Sent,
                        due_ms: 0,
                        code: "200".to_owned(),
                        detail: String::new(),
                        platform_id: None,
                    };
                    storage.settle(vec![settled]).await.expect("settled");
                }
            })
        })
        .collect();
    for caller in callers {
        block_on(caller).expect("no panic");
    }
    println!(
        "ledger: {:.1}k durable sends/s (intent, then settlement), {CALLERS} callers, {:.0} us CPU/send",
        f64::from(sends) / watch.elapsed().as_secs_f64() / 1e3,
        cpu().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(sends)
    );
    drop(storage);
    std::fs::remove_dir_all(&dir).expect("ours");
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let is_small = std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|value| value == "1");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let _context = runtime.enter();
    let root = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory under target/");
    let root = root.path();
    let second = Duration::from_secs(1);
    let events = events(if is_small { 20_000 } else { 1_000_000 });
    let payload: usize = events.iter().map(|event| event.payload.len()).sum();
    println!("journal: {} generated events of {} bytes encoded", events.len(), payload / events.len());
    plain_file(root, 16 << 10, if is_small { 50 } else { 1000 });
    if is_small {
        durability(root, &events, 1, second / 5);
        open_loop(root, &events, second / 2, Duration::ZERO);
        sustained(root, &events, second / 2);
        ledger(root, 1, 500);
        return;
    }
    durability(root, &events, 7, second);
    open_loop(root, &events, 6 * second, Duration::ZERO);
    open_loop(root, &events, 6 * second, Duration::from_millis(2));
    sustained(root, &events, 10 * second);
    ledger(root, 7, 24_000);
}
