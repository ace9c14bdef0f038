//! What members under way on journeys cost: bytes of memory each, and the looks at what is due.
//!
//! A million members in 24,000 groups stand in the partitions' state, as a start finds them; the figure is the growth of
//! the process divided by their number. `MENSHEN_BENCH_SMALL=1` makes it a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use menshen::clock::Stopwatch;
use menshen::event::{PARTITIONS, StateKind, partition_of};
use menshen::journeys::Instance;
use menshen::pipeline::Small;

const NOW: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;

/// Bytes of the process that lie in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

fn instance(member: usize) -> Instance {
    let due_ms = NOW + i64::try_from(member % 720).unwrap_or_default() * HOUR;
    Instance {
        due_ms,
        journey: "first-week".to_owned(),
        version_ms: NOW - HOUR,
        started_ms: due_ms - 3 * 24 * HOUR,
        passed: vec!["d1".to_owned()],
        passed_after_ms: 24 * HOUR,
        spoke: false,
        name: Some("小王".to_owned()),
    }
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let is_small = std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|v| v == "1");
    let (members, groups) = if is_small { (10_000, 240) } else { (1_000_000, 24_000) };
    let mut states: Vec<Small> = (0..PARTITIONS).map(|_| Small::default()).collect();
    let before = resident();
    let watch = Stopwatch::start();
    for member in 0..members {
        let group = format!("wrOgQhDgAAMYQiS5ol9G7gK9JV{}", member % groups);
        let key = format!("corp\u{1f}{group}\u{1f}wmOgQhDgAAMYQiS5ol9G7gK9{member}");
        let state = &mut states[usize::from(partition_of("corp", &group).0)];
        state.set(StateKind::Journey, &key, Some(&instance(member).to_bytes()), NOW + 60 * 24 * HOUR);
    }
    let grown = resident().saturating_sub(before);
    let key = "corp\u{1f}wrOgQhDgAAMYQiS5ol9G7gK9JV0\u{1f}wmOgQhDgAAMYQiS5ol9G7gK90".len();
    let value = instance(0).to_bytes().len();
    println!("{members} members under way in {groups} groups, written in {:?}", watch.elapsed());
    println!("{} bytes each in memory; {key} of them the key, {value} the value", grown / members);
    let watch = Stopwatch::start();
    let due: usize = states.iter().map(|state| state.due(StateKind::Journey, NOW - 1).count()).sum();
    println!("a look at all partitions while nothing is due: {:?} ({due} groups)", watch.elapsed());
    let watch = Stopwatch::start();
    let due: usize = states.iter().map(|state| state.due(StateKind::Journey, NOW + HOUR).count()).sum();
    println!("a look that finds {due} groups: {:?}", watch.elapsed());
}
