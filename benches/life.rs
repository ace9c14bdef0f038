//! What life in the group keeps in memory, in bytes: floods, probation, ladders, journeys of a million members, greetings and
//! silences of a hundred thousand groups; and the looks at what is due.
//!
//! Each kind fills the partitions' states by itself, as a start finds them; the figure is the growth of the process divided by
//! their number. At the end time passes, the states are swept, and what stays is counted: nothing is kept for ever.
//! `MENSHEN_BENCH_SMALL=1` makes it a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::borrow::Cow;

use menshen::clock::Stopwatch;
use menshen::conduct::ladder::{Came, Record, Strike, Taken};
use menshen::event::{
    ActionKind, Effects, EventKey, EventType, Fact, Head, PARTITIONS, Role, StateFact, StateKind, Status,
    Verdict, partition_of,
};
use menshen::journeys::Instance;
use menshen::pipeline::PartitionState;
use menshen::welcomes::Burst;

const NOW: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;

/// Bytes of the process that lie in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

fn instance(nth: usize) -> Vec<u8> {
    let due_ms = NOW + i64::try_from(nth % 720).unwrap_or_default() * HOUR;
    let instance = Instance {
        due_ms,
        journey: "first-week".to_owned(),
        version_ms: NOW - HOUR,
        started_ms: due_ms - 3 * 24 * HOUR,
        passed: vec!["d1".to_owned()],
        passed_after_ms: 24 * HOUR,
        spoke: false,
        name: Some("小王".to_owned()),
    };
    instance.to_bytes()
}

fn record() -> Vec<u8> {
    let taken = Taken {
        at_ms: NOW,
        action: ActionKind::Warn,
        strikes: 1,
        came: Came::Queued,
        by: "standard".to_owned(),
    };
    Record { muted_until_ms: None, strikes: vec![Strike { at_ms: NOW, of: 1 }], taken: vec![taken] }
        .to_bytes()
}

fn burst() -> Vec<u8> {
    let mut burst = Burst::due_at(NOW);
    for name in ["小王", "小李", "小张"] {
        burst.add(Some(name), 3);
    }
    burst.to_bytes()
}

/// A message of a member that leaves some state behind.
fn effects<'a>(group: &'a str, member: &'a str, state: Option<StateFact<'a>>) -> Effects<'a> {
    let head = Head {
        key: EventKey(0),
        at_ms: NOW,
        arrived_ms: NOW,
        account: Cow::Borrowed("corp"),
        group: Cow::Borrowed(group),
        member: Some(Cow::Borrowed(member)),
        name: None,
        role: if state.is_some() { Role::Bot } else { Role::Customer },
        what: EventType::Message,
        // The ids of messages are the dedupe window's; here they would only blur the figure.
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    Effects { head, facts: state.map(Fact::State).into_iter().collect() }
}

/// What each leaves behind, and until when.
type Left = (StateKind, fn(usize) -> Vec<u8>, i64);

/// What is measured: its name, how many there are, in how many groups, what each leaves behind.
struct Kind {
    name: &'static str,
    count: usize,
    groups: usize,
    state: Option<Left>,
}

fn fill(kind: &Kind) -> Vec<PartitionState> {
    let mut states: Vec<PartitionState> = (0..PARTITIONS).map(|_| PartitionState::default()).collect();
    let before = resident();
    let watch = Stopwatch::start();
    for nth in 0..kind.count {
        let group = format!("wrOgQhDgAAMYQiS5ol9G7gK9JV{}", nth % kind.groups);
        let member = format!("wmOgQhDgAAMYQiS5ol9G7gK9{nth}");
        let state = kind.state.map(|(of, value, expires_ms)| {
            let whose = if kind.count == kind.groups { "" } else { &*member };
            let key = ["corp", &group, whose].join("\u{1f}");
            StateFact { kind: of, key: Cow::Owned(key), value: Some(Cow::Owned(value(nth))), expires_ms }
        });
        states[usize::from(partition_of("corp", &group).0)].apply(&effects(&group, &member, state));
    }
    let grown = resident().saturating_sub(before);
    println!(
        "{:>9} {}: {} bytes each, written in {:?}",
        kind.count,
        kind.name,
        grown / kind.count,
        watch.elapsed()
    );
    states
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let is_small = std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|v| v == "1");
    let (members, groups) = if is_small { (10_000, 1_000) } else { (1_000_000, 100_000) };
    let at = |name, state| Kind { name, count: members, groups, state };
    let of_groups = |name, state| Kind { name, count: groups, groups, state };
    let in_an_hour = NOW + HOUR;
    let kinds = [
        at("members who said something within the hour", None),
        at("members on probation", Some((StateKind::Flood, |_| NOW.to_le_bytes().to_vec(), in_an_hour))),
        at("members with a strike", Some((StateKind::Ladder, |_| record(), in_an_hour))),
        at("members under way on journeys", Some((StateKind::Journey, instance, in_an_hour))),
        of_groups("groups with a greeting to come", Some((StateKind::Burst, |_| burst(), in_an_hour))),
        of_groups(
            "groups with a silence",
            Some((StateKind::Cooldown, |_| NOW.to_le_bytes().to_vec(), in_an_hour)),
        ),
    ];
    // All of them stay until the end: memory that one gives back would not be counted for the next.
    let mut filled: Vec<Vec<PartitionState>> = Vec::new();
    for kind in &kinds {
        let states = fill(kind);
        if let Some((of @ (StateKind::Journey | StateKind::Burst | StateKind::Ladder), _, _)) = kind.state {
            for (when, now_ms) in [("nothing", NOW - 1), ("all of an hour", NOW + HOUR)] {
                let watch = Stopwatch::start();
                let due: usize = states.iter().map(|state| state.small.due(of, now_ms).count()).sum();
                println!("          a look while {when} is due: {due} groups in {:?}", watch.elapsed());
            }
        }
        filled.push(states);
    }
    for (kind, states) in kinds.iter().zip(&mut filled) {
        for state in &mut *states {
            state.sweep(NOW + 2 * HOUR, 0);
        }
        let left =
            |(of, _, _): Left| -> usize { states.iter().map(|state| state.small.entries(of).count()).sum() };
        assert_eq!(kind.state.map_or(0, left), 0, "{} stay after their time", kind.name);
    }
}
