//! What holds for any schedule: no window is exceeded at any level, and what is allowed is used.
//!
//! "Allowed" at a window of N per W, when every call takes R: N calls each W + R, because a slot is taken from the start of a
//! call until W after its end; N is what head-room and the reserve for urgent calls leave.

use super::world::World;
use super::*;
use crate::outbox::testing::audit::{Seen, most_in_a_window};

#[derive(Clone, Debug)]
enum Act {
    Want { account: usize, group: u32, weight: u32, is_urgent: bool },
    Burst { account: usize, count: u32 },
    Pass(Micros),
    Restart,
    SetWall(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..3_usize, 0..4_u32, 1..4_u32, prop::bool::weighted(0.2))
            .prop_map(|(account, group, weight, is_urgent)| Act::Want { account, group, weight, is_urgent }),
        2 => (0..3_usize, 1..30_u32).prop_map(|(account, count)| Act::Burst { account, count }),
        5 => (0..4 * SECOND).prop_map(Act::Pass),
        1 => Just(Act::Restart),
        1 => prop_oneof![-100_000..100_000_i64, -30..30_i64].prop_map(Act::SetWall),
    ]
}

fn of(calls: &[Seen], keep: impl Fn(&Seen) -> bool) -> Vec<Seen> {
    calls.iter().filter(|call| keep(call)).copied().collect()
}

/// As many calls as they are, whatever they weigh.
fn counted(calls: &[Seen]) -> Vec<Seen> {
    calls.iter().map(|call| Seen { weight: 1, ..*call }).collect()
}

#[test]
fn what_is_reserved_for_urgent_calls_costs_no_rate_and_they_wait_a_second_at_most() {
    let limits = AccountLimits::parse(&["window:600/m"]).unwrap();
    let mut world = World::new(1, limits, PacingConfig::default(), || 50_000);
    let start = world.now;
    for n in 0..6_600 {
        world.want(0, n, 1, false);
    }
    for minute in 0..10 {
        // When a window has just been used up, in the middle, and when it is about to be renewed.
        for second in [2, 31, 58] {
            world.go_to(start + (minute * 60 + second) * SECOND);
            world.want(0, 10_000, 1, true);
        }
    }
    world.go_to(start + 600 * SECOND);
    assert!(world.calls.len() >= 5_940, "{} of 6,000", world.calls.len());
    assert!(most_in_a_window(&world.calls, 60 * SECOND) <= 600);
    let urgent: Vec<_> = world.waits.iter().filter(|(is_urgent, _)| *is_urgent).collect();
    assert_eq!(urgent.len(), 30);
    assert!(urgent.iter().all(|(_, wait)| *wait <= SECOND), "{urgent:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_exceeded_at_any_level(
        acts in prop::collection::vec(act(), 1..120),
        corp in 4..40_u32,
        trips in prop::collection::vec(0..3 * SECOND, 1..20),
        reserve in prop_oneof![Just(0_u8), Just(10), Just(50)],
        headroom in 0..60_u8,
    ) {
        let texts = [
            "window:13/4s".to_owned(),
            "calls:window:11/9s".to_owned(),
            "group:window:6/3s".to_owned(),
            "@robot window:9/5s".to_owned(),
            "@robot group:window:5/7s".to_owned(),
            format!("corp=c window:{corp}/10s,headroom=0"),
            "corp=c calls:window:17/20s,headroom=0".to_owned(),
            "@robot corp=c window:10/6s,headroom=0".to_owned(),
            "app=a window:30/3s".to_owned(),
        ];
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let limits = AccountLimits::parse(&texts).unwrap();
        let config = PacingConfig {
            urgent_reserve_percent: reserve,
            shared_headroom_percent: headroom,
            ..PacingConfig::default()
        };
        let mut trips = trips.into_iter().cycle();
        let mut world = World::new(3, limits, config, move || trips.next().unwrap());
        for act in acts {
            match act {
                Act::Want { account, group, weight, is_urgent } => world.want(account, group, weight, is_urgent),
                Act::Burst { account, count } => {
                    for n in 0..count {
                        world.want(account, 10 + n, 1, false);
                    }
                }
                Act::Pass(time) => world.go_to(world.now + time),
                Act::Restart => world.restart(),
                Act::SetWall(by_ms) => world.set_wall(by_ms),
            }
        }
        world.finish();
        let calls = &world.calls;
        let robots = |call: &Seen| call.group % 2 == 1;
        let check = |calls: &[Seen], quantity: u32, seconds: i64, what: &str| {
            let most = most_in_a_window(calls, seconds * SECOND);
            prop_assert!(most <= u64::from(quantity), "{what}: {most} of {quantity} in {seconds} s");
            Ok(())
        };
        check(calls, corp, 10, "the corp")?;
        check(&counted(calls), 17, 20, "the corp's calls")?;
        check(&of(calls, robots), 10, 6, "the corp's robots")?;
        check(calls, 30 - crate::outbox::limit::percent_of(30, headroom), 3, "the app, less what is for people")?;
        for account in 0..3 {
            let own = of(calls, |call| call.account == account);
            check(&own, 13, 4, "an account")?;
            check(&counted(&own), 11, 9, "an account's calls")?;
            check(&of(&own, robots), 9, 5, "an account's robots")?;
            for group in 0..40 {
                let to = of(&own, |call| call.group == group);
                let (quantity, seconds) = if group % 2 == 1 { (5, 7) } else { (6, 3) };
                check(&to, quantity, seconds, "a group")?;
            }
        }
    }

    #[test]
    fn what_is_allowed_is_used_whenever_there_is_work(
        accounts in 1..6_usize,
        quantity in 1..100_u32,
        seconds in 1..20_i64,
        round_trip in 0..2 * SECOND,
    ) {
        let shared = format!("corp=c window:{quantity}/{seconds}s,headroom=0");
        let limits = AccountLimits::parse(&[&shared]).unwrap();
        let config = PacingConfig { urgent_reserve_percent: 0, ..PacingConfig::default() };
        let mut world = World::new(accounts, limits, config, move || round_trip);
        let cycles = 10;
        for n in 0..quantity * (cycles + 2) {
            let account = usize::try_from(n).unwrap() % accounts;
            world.want(account, n, 1, false);
        }
        let start = world.now;
        let cycle = seconds * SECOND + round_trip;
        world.go_to(start + cycle * i64::from(cycles) - 1);
        let allowed = quantity * cycles;
        let sent = world.calls.len();
        prop_assert!(sent * 100 >= usize::try_from(allowed).unwrap() * 99, "{sent} of {allowed}");
        let most = most_in_a_window(&world.calls, seconds * SECOND);
        prop_assert!(most <= u64::from(quantity), "{most} of {quantity}");
        // Accounts took turns.
        let of_account = |account| world.calls.iter().filter(|call| call.account == account).count();
        let (least, most) = (0..accounts).map(of_account).fold((usize::MAX, 0), |(least, most), count| {
            (least.min(count), most.max(count))
        });
        prop_assert!(most - least <= 1 + usize::try_from(quantity).unwrap() / accounts, "{least} to {most}");
        prop_assert!(world.wakes <= 2 * (sent + accounts), "{} wakes for {sent} calls", world.wakes);
    }
}

#[test]
fn a_restart_costs_no_more_than_what_milliseconds_round_away() {
    let limits = AccountLimits::parse(&["window:100/10s"]).unwrap();
    let mut world = World::new(1, limits, PacingConfig::default(), || SECOND / 10);
    for n in 0..3000 {
        world.want(0, n, 1, true);
    }
    let start = world.now;
    for minute in 1..=5_i64 {
        world.go_to(start + minute * 55 * SECOND);
        world.restart();
    }
    // Each restart may move one cycle of 10.1 s by 41 ms for rounding and for clocks that are read apart.
    let cycles = 275.0 / 10.1;
    let allowed = 100.0 * cycles;
    assert!(world.calls.len() as f64 >= 0.99 * (allowed - 100.0), "{} of {allowed}", world.calls.len());
    assert!(most_in_a_window(&world.calls, 10 * SECOND) <= 100);
}

#[test]
fn a_clock_set_forward_before_a_restart_frees_nothing() {
    let limits = AccountLimits::parse(&["window:20/m", "corp=c window:30/m,headroom=0"]).unwrap();
    let mut world = World::new(2, limits, PacingConfig::default(), || SECOND / 10);
    for n in 0..60 {
        world.want(usize::try_from(n).unwrap() % 2, n, 1, false);
    }
    world.go_to(world.now + SECOND);
    let before = world.calls.len();
    world.set_wall(3_600_000);
    world.restart();
    world.go_to(world.now + SECOND);
    assert_eq!(world.calls.len(), before, "an hour on the wall is no hour");
    world.set_wall(-7_200_000);
    world.restart();
    world.finish();
    assert_eq!(world.calls.len(), 60);
    assert!(most_in_a_window(&world.calls, 60 * SECOND) <= 30);
}
