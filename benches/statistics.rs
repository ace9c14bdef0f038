//! Questions about numbers, beside the same questions asked of plain SQL over raw rows in the same run.
//!
//! Fills a data directory through the journal and its fold, and a table of raw rows with the index that SQL would want; then
//! asks both: a group's 90 days by day, the distinct customers of many groups over 30 days, the figures of a region of groups
//! by day with who is in them. The answers must be equal. `MENSHEN_BENCH_GROUPS` (100000 at most), `…_DAYS` and
//! `…_MESSAGES` (a group and day) say how much; `MENSHEN_BENCH_SMALL=1` makes it a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::Path;

use menshen::clock::Stopwatch;
use menshen::event::{Effects, EventKey, EventType, HOUR_MS, Head, Role, Status, Verdict, partition_of};
use menshen::statistics::days::{DAY_MS, day_of};
use menshen::statistics::figures::presence::{Member, Moves};
use menshen::statistics::figures::{Cuts, Figures, Group};
use menshen::storage::{Append, Config, Durability, SharedStorage, codec, sqlite};
use rusqlite::{Connection, params};

/// 2026-08-01T00:00:00Z.
const START_MS: i64 = 1_785_542_400_000;
const MEMBERS: u64 = 50;
/// Acknowledgements waited for at a time.
const IN_FLIGHT: usize = 20_000;

struct Size {
    groups: u64,
    days: i64,
    messages: u64,
}

fn main() {
    let small = env("MENSHEN_BENCH_SMALL").is_some_and(|value| value == 1);
    let size = Size {
        groups: env("MENSHEN_BENCH_GROUPS").unwrap_or(if small { 60 } else { 2_000 }),
        days: i64::try_from(env("MENSHEN_BENCH_DAYS").unwrap_or(if small { 8 } else { 90 })).expect("few"),
        messages: env("MENSHEN_BENCH_MESSAGES").unwrap_or(5),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let dir = tempfile::Builder::new().prefix("statistics").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let dir = dir.expect("a directory below target/");
    let (storage, raw) = fill(dir.path(), &size, &runtime);
    let rounds = if small { 3 } else { 9 };
    let names: Vec<_> = (0..size.groups).map(name).collect();
    ask("any group's days by day", rounds, || by_day(&storage, &names, &size), || sql_by_day(&raw, &size));
    let many = usize::try_from(size.groups).expect("few").min(10_000);
    ask(
        &format!("distinct customers of {many} groups over 30 days"),
        rounds,
        || distinct(&storage, &names[..many], &size),
        || sql_distinct(&raw, many, &size),
    );
    let region = many.min(1_000);
    ask(
        &format!("report of a region of {region} groups over 30 days"),
        rounds.min(3),
        || report(&storage, &names[..region], &size),
        || sql_report(&raw, region, &size),
    );
    println!("resident now: {} MiB", resident_kib() / 1024);
}

#[expect(clippy::disallowed_methods, reason = "a bench is told by its environment")]
fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn name(group: u64) -> (String, String) {
    ("demo".to_owned(), format!("wrOgAAAA{group:06}"))
}

/// One number that looks like any other, and is the same every time.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

/// Who speaks in a group: most of its own fifty, some of the next group's.
fn speaker(group: u64, seed: u64) -> u64 {
    let of = if seed.is_multiple_of(8) { group + 1 } else { group };
    of * MEMBERS + (seed >> 8) % MEMBERS
}

fn fill(dir: &Path, size: &Size, runtime: &tokio::runtime::Runtime) -> (SharedStorage, Connection) {
    let config = Config { durability: Durability::Off, ..Config::default() };
    let storage = sqlite::open(&dir.join("data"), &config).expect("opened");
    let epoch = runtime.block_on(storage.lease("bench")).expect("leased");
    let mut raw = Connection::open(dir.join("raw.db")).expect("opened");
    raw.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         CREATE TABLE raw (grp INTEGER NOT NULL, at_ms INTEGER NOT NULL, member INTEGER NOT NULL, joins INTEGER NOT NULL);",
    )
    .expect("made");
    let watch = Stopwatch::start();
    let (mut events, mut payload) = (0_u64, Vec::new());
    for day in 0..size.days {
        let tx = raw.transaction().expect("begun");
        let mut flying = VecDeque::new();
        {
            let mut insert = tx.prepare_cached("INSERT INTO raw VALUES (?1, ?2, ?3, ?4)").expect("made");
            for group in 0..size.groups {
                for nth in 0..=size.messages {
                    let seed = mixed(group << 24 ^ u64::try_from(day).expect("few") << 8 ^ nth);
                    let hour = i64::try_from(9 + seed % 12).expect("an hour");
                    let at_ms = START_MS + day * DAY_MS + hour * HOUR_MS + i64::try_from(nth).expect("few");
                    let (member, joins) = (speaker(group, seed), nth == size.messages);
                    events += 1;
                    insert.execute(params![int(group), at_ms, int(member), joins]).expect("kept");
                    payload.clear();
                    encode(group, at_ms, member, joins, events, &mut payload);
                    let bucket = u32::try_from(at_ms / HOUR_MS).expect("after 1970");
                    let append = Append {
                        partition: partition_of("demo", &name(group).1),
                        epoch,
                        payload: &payload,
                        events: 1,
                        bucket_min: bucket,
                        bucket_max: bucket,
                    };
                    flying.push_back(storage.append(append).expect("there is room"));
                    if flying.len() > IN_FLIGHT {
                        runtime.block_on(flying.pop_front().expect("some").wait()).expect("committed");
                    }
                }
            }
        }
        tx.commit().expect("kept");
        for receipt in flying {
            runtime.block_on(receipt.wait()).expect("committed");
        }
        storage.project().expect("folded");
    }
    // Weeks that are over are moved a stretch after each fold.
    (0..size.groups / 5_000 + 2).for_each(|_| _ = storage.project().expect("folded"));
    println!(
        "{} groups, {} customers, {} days: {events} events folded in {:.0} s",
        size.groups,
        size.groups * MEMBERS,
        size.days,
        watch.elapsed().as_secs_f64()
    );
    raw.execute_batch("CREATE INDEX raw_group ON raw (grp, at_ms); ANALYZE;").expect("made");
    let mib = |file: &str| std::fs::metadata(dir.join(file)).map_or(0, |meta| meta.len()) >> 20;
    println!(
        "on disk: state.db {} MiB (counters, people by day, rosters), raw rows with their index {} MiB; resident {} MiB",
        mib("data/state.db"),
        mib("raw.db"),
        resident_kib() / 1024
    );
    (storage, raw)
}

fn encode(group: u64, at_ms: i64, member: u64, joins: bool, key: u64, payload: &mut Vec<u8>) {
    let head = Head {
        key: EventKey(u128::from(mixed(key)) << 64 | u128::from(key)),
        at_ms,
        arrived_ms: at_ms,
        account: Cow::Borrowed("demo"),
        group: Cow::Owned(name(group).1),
        member: Some(Cow::Owned(format!("wmOgAAAA{member:08}"))),
        name: None,
        role: Role::Customer,
        what: if joins { EventType::MemberJoined } else { EventType::Message },
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    codec::encode(&Effects { head, facts: Vec::new() }, payload);
}

/// Asks both sides in turn and prints the medians; the answers must be equal.
fn ask<T: PartialEq + std::fmt::Debug>(
    what: &str,
    rounds: usize,
    ours: impl Fn() -> T,
    theirs: impl Fn() -> T,
) {
    let (mut took, mut beside) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut answers = Vec::new();
        for turn in [round % 2 == 0, round % 2 == 1] {
            let watch = Stopwatch::start();
            let answer = if turn { ours() } else { theirs() };
            let list = if turn { &mut took } else { &mut beside };
            list.push(watch.elapsed().as_secs_f64() * 1e3);
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{what}");
    }
    let (ours, theirs) = (median(took), median(beside));
    println!(
        "{what}: {ours:.2} ms, plain SQL over raw rows {theirs:.2} ms, {:.1} times as fast",
        theirs / ours
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cuts(size: &Size, days: i64) -> Cuts {
    let first = (size.days - days).max(0);
    Cuts::new((first..=size.days).map(|day| START_MS + day * DAY_MS).collect())
}

fn figures(storage: &SharedStorage, groups: &[(String, String)], cuts: &Cuts) -> Vec<Figures> {
    let mut cells = vec![Figures::default(); cuts.starts().len()];
    let mut ways: Vec<_> = groups.iter().map(|_| Group::new(cuts, 0)).collect();
    let add =
        &mut |group: usize, day, row: &menshen::storage::View<'_>| ways[group].add(day, row, &mut cells);
    storage.days(groups, cuts.days(), add).expect("read");
    for way in ways {
        way.end(&mut cells);
    }
    cells
}

/// By day: messages, customers who spoke.
type Days = Vec<(u64, u64)>;

fn by_day(storage: &SharedStorage, names: &[(String, String)], size: &Size) -> Days {
    let cells = figures(storage, &names[names.len() / 2..=names.len() / 2], &cuts(size, size.days));
    cells.iter().map(|cell| (cell.counters.messages, cell.active.len())).collect()
}

fn sql_by_day(raw: &Connection, size: &Size) -> Days {
    let mut query = raw
        .prepare_cached(
            "SELECT COUNT(*), COUNT(DISTINCT member) FROM raw WHERE grp = ?1 AND at_ms >= ?2 AND joins = 0
             GROUP BY at_ms / 86400000 ORDER BY at_ms / 86400000",
        )
        .expect("made");
    let rows =
        query.query_map(params![int(size.groups / 2), START_MS], |row| Ok((uint(row, 0)?, uint(row, 1)?)));
    rows.expect("read").collect::<Result<_, _>>().expect("read")
}

fn distinct(storage: &SharedStorage, groups: &[(String, String)], size: &Size) -> u64 {
    let cuts = cuts(size, 30);
    let whole = Cuts::new(vec![cuts.range().start, cuts.range().end]);
    figures(storage, groups, &whole)[0].active.len()
}

fn sql_distinct(raw: &Connection, groups: usize, size: &Size) -> u64 {
    let from = cuts(size, 30).range().start;
    let sql = "SELECT COUNT(DISTINCT member) FROM raw WHERE grp < ?1 AND at_ms >= ?2 AND joins = 0";
    let mut query = raw.prepare_cached(sql).expect("made");
    query.query_row(params![int(groups as u64), from], |row| uint(row, 0)).expect("read")
}

/// By day: messages, customers who spoke, joins; and customers at the end.
type Region = (Vec<(u64, u64, u64)>, u64);

fn report(storage: &SharedStorage, groups: &[(String, String)], size: &Size) -> Region {
    let cuts = cuts(size, 30);
    let cells = figures(storage, groups, &cuts);
    let mut moves = vec![Moves::default(); groups.len()];
    let end = cuts.range().end;
    let after = day_of(end)..day_of(end) + 1;
    storage.days(groups, after, &mut |group, day, row| moves[group].add(day, row)).expect("read");
    let mut people = roaring::RoaringTreemap::new();
    let seat = &mut |group: usize, seat: menshen::storage::Seat<'_>| {
        let member =
            Member { number: seat.number, role: seat.role, present: seat.present, first_ms: seat.first_ms };
        if moves[group].was_in(&member, end) {
            people.insert(seat.number);
        }
    };
    storage.rosters(groups, seat).expect("read");
    let days = cells.iter().map(|cell| (cell.counters.messages, cell.active.len(), cell.came)).collect();
    (days, people.len())
}

fn sql_report(raw: &Connection, groups: usize, size: &Size) -> Region {
    let from = cuts(size, 30).range().start;
    let mut query = raw
        .prepare_cached(
            "SELECT SUM(joins = 0), COUNT(DISTINCT CASE joins WHEN 0 THEN member END), SUM(joins) FROM raw
             WHERE grp < ?1 AND at_ms >= ?2 GROUP BY at_ms / 86400000 ORDER BY at_ms / 86400000",
        )
        .expect("made");
    let groups = int(groups as u64);
    let rows =
        query.query_map(params![groups, from], |row| Ok((uint(row, 0)?, uint(row, 1)?, uint(row, 2)?)));
    let days = rows.expect("read").collect::<Result<_, _>>().expect("read");
    let mut people =
        raw.prepare_cached("SELECT COUNT(DISTINCT member) FROM raw WHERE grp < ?1").expect("made");
    (days, people.query_row(params![groups], |row| uint(row, 0)).expect("read"))
}

fn int(number: u64) -> i64 {
    i64::try_from(number).expect("few")
}

fn uint(row: &rusqlite::Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or_default())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
}
