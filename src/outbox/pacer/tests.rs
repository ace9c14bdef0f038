//! The pacer against an oracle that only knows when calls started and ended.
#![expect(clippy::cast_precision_loss, reason = "rates of a test, far below 2^52")]

mod learned;
mod promises;
mod shared;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Micros = 1_000_000;

fn limits(account: &[&str], group: &[&str]) -> AccountLimits {
    let read = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
    AccountLimits { limits: read(account), group_limits: read(group), ..AccountLimits::default() }
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn pacer_of(limits: AccountLimits) -> Pacer {
    let config = PacingConfig { urgent_reserve_percent: 0, ..PacingConfig::default() };
    Pacer::new(limits, &config)
}

fn wish(group: GroupNo, class: ClassNo, cost: NonZeroU32) -> Wish {
    Wish { class, cost, is_urgent: true, ..Wish::to(group) }
}

/// Asks for an account that shares nothing, in no hurry but with nothing kept from it.
fn ask(pacer: &mut Pacer, now: Micros, group: GroupNo, cost: NonZeroU32) -> Decision {
    pacer.acquire(now, wish(group, ClassNo::default(), cost), &mut Commons::default())
}

fn end(pacer: &mut Pacer, now: Micros, permit: Permit) {
    pacer.complete(now, permit, &mut Commons::default());
}

/// Runs a pacer and writes down what really happened.
struct Run {
    pacer: Pacer,
    now: Micros,
    round_trip: Box<dyn FnMut() -> Micros>,
    /// By end time, then number.
    under_way: BTreeMap<(Micros, usize), Permit>,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    group: GroupNo,
    started: Micros,
    ended: Option<Micros>,
    cost: NonZeroU32,
}

impl Run {
    fn new(limits: AccountLimits, round_trip: impl FnMut() -> Micros + 'static) -> Self {
        Self {
            pacer: pacer_of(limits),
            now: 1000 * SECOND,
            round_trip: Box::new(round_trip),
            under_way: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    /// Goes to `until`, ending calls on the way.
    fn go_to(&mut self, until: Micros) {
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= until
        {
            let ((ended, call), permit) = entry.remove_entry();
            self.calls[call].ended = Some(ended);
            self.now = self.now.max(ended);
            end(&mut self.pacer, ended, permit);
        }
        self.now = self.now.max(until);
    }

    fn acquire(&mut self, group: u32, cost: NonZeroU32) -> Decision {
        let group = GroupNo(group);
        let decision = ask(&mut self.pacer, self.now, group, cost);
        let Decision::Granted(permit) = decision else { return decision };
        let ends = self.now + (self.round_trip)();
        self.under_way.insert((ends, self.calls.len()), permit);
        self.calls.push(Call { group, started: self.now, ended: None, cost });
        Decision::Wait { scope: Scope::Account, until: Some(self.now) }
    }

    /// Waits as told until the call is granted.
    fn send(&mut self, group: u32) {
        let before = self.calls.len();
        loop {
            let decision = self.acquire(group, one());
            if self.calls.len() > before {
                return;
            }
            let next_end = self.under_way.first_key_value().map(|((end, _), _)| *end);
            match decision {
                Decision::Wait { until: Some(at), .. } => {
                    assert!(at > self.now, "told to wait for the past");
                    self.go_to(at);
                }
                Decision::Wait { until: None, .. } => self.go_to(next_end.expect("a call to wait for")),
                Decision::Granted(_) | Decision::Never { .. } => unreachable!("one call always fits"),
            }
        }
    }

    /// Forgets everything but what the ledger would hold, and starts again.
    fn restart(&mut self) {
        self.under_way.clear();
        let limits = self.pacer.limits().clone();
        self.pacer = pacer_of(limits);
        let now = self.now;
        let past = self.calls.iter_mut().map(|call| {
            call.ended.get_or_insert(now); // nobody knows: it counts as ending now
            PastCall {
                class: ClassNo::default(),
                group: call.group,
                started: call.started / 1000 * 1000,
                ended: (call.ended.unwrap_or(now) / 1000 * 1000 + 1000).min(now.max(call.started)),
                cost: call.cost,
            }
        });
        let past = past.collect();
        self.pacer.restore(past);
    }

    /// The promise: whenever a call starts, calls under way or ended less than W ago cost at most N together.
    fn audit(&self, n: u32, w: Micros, group: Option<u32>) {
        let calls: Vec<_> =
            self.calls.iter().filter(|c| group.is_none_or(|g| c.group == GroupNo(g))).collect();
        for (i, call) in calls.iter().enumerate() {
            let weighs = |c: &&&Call| c.ended.is_none_or(|end| end + w > call.started);
            let spent: u32 = calls[..=i].iter().filter(weighs).map(|c| c.cost.get()).sum();
            assert!(spent <= n, "{spent} of {n} at {} (group {group:?})", call.started);
        }
        if calls.iter().all(|c| c.cost == one()) {
            for pair in calls.windows(n as usize + 1) {
                let apart = pair[n as usize].started - pair[0].started;
                assert!(apart >= w, "{} calls within {apart} µs", n + 1);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask { group: u32, cost: u32 },
    Pass(Micros),
    Restart,
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u32, 1..4_u32).prop_map(|(group, cost)| Step::Ask { group, cost }),
        4 => (0..2 * SECOND).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_ever_exceeded(
        steps in proptest::collection::vec(step(), 1..300),
        seconds in 1..6_i64,
        trips in proptest::collection::vec(0..3 * SECOND, 1..20),
    ) {
        let account = format!("9/{seconds}s");
        let mut trips = trips.into_iter().cycle();
        let mut run = Run::new(limits(&[&account, "20/20s"], &["4/3s"]), move || trips.next().unwrap());
        for step in steps {
            match step {
                Step::Ask { group, cost } => drop(run.acquire(group, NonZeroU32::new(cost).unwrap())),
                Step::Pass(by) => run.go_to(run.now + by),
                Step::Restart => run.restart(),
                Step::Sweep => run.pacer.sweep(run.now),
            }
        }
        run.audit(9, seconds * SECOND, None);
        run.audit(20, 20 * SECOND, None);
        for group in 0..3 {
            run.audit(4, 3 * SECOND, Some(group));
        }
    }

    #[test]
    fn a_refusal_names_the_very_first_time_that_works(
        steps in proptest::collection::vec(step(), 1..60),
        group in 0..3_u32,
    ) {
        let mut run = Run::new(limits(&["5/2s", "pace:10/s,max_burst=3"], &["3/3s"]), || 0);
        for step in steps {
            match step {
                Step::Ask { group, cost } => drop(run.acquire(group, NonZeroU32::new(cost).unwrap())),
                Step::Pass(by) => run.go_to(run.now + by),
                Step::Restart | Step::Sweep => {}
            }
        }
        run.go_to(run.now);
        if let Decision::Wait { until: Some(at), .. } = ask(&mut run.pacer.clone(), run.now, GroupNo(group), one()) {
            let early = ask(&mut run.pacer.clone(), at - 1, GroupNo(group), one());
            prop_assert!(matches!(early, Decision::Wait { .. }), "granted before the time named");
            let there = ask(&mut run.pacer.clone(), at, GroupNo(group), one());
            prop_assert!(matches!(there, Decision::Granted(_)), "not granted at the time named");
        }
    }
}

/// Sends to groups in turn for `seconds` and returns calls per second.
fn rate_of(account: &[&str], group: &[&str], groups: u32, round_trip: Micros, seconds: i64) -> f64 {
    let mut run = Run::new(limits(account, group), move || round_trip);
    let start = run.now;
    let mut next = 0;
    while run.now < start + seconds * SECOND {
        run.send(next % groups);
        next += 1;
    }
    // The first window's burst is free; the steady rate is what comes after half of the time.
    let middle = start + seconds * SECOND / 2;
    let steady = run.calls.iter().filter(|c| c.started >= middle && c.started < start + seconds * SECOND);
    steady.count() as f64 / (seconds as f64 / 2.0)
}

#[test]
fn the_allowed_rate_is_used() {
    for (n, period, round_trip) in
        [(20_u32, 60, SECOND / 5), (500, 1, SECOND / 50), (600, 60, SECOND), (8000, 4, 1000)]
    {
        let limit = format!("{n}/{period}s");
        let cycle = period as f64 + round_trip as f64 / SECOND as f64;
        let rate = rate_of(&[&limit], &[], 1000, round_trip, 40 * period);
        let bound = f64::from(n) / cycle;
        assert!(rate >= 0.99 * bound, "{limit} with {round_trip} µs: {rate} of {bound}");
    }
}

#[test]
fn a_full_group_costs_the_account_nothing() {
    let mut run = Run::new(limits(&["10/m"], &["2/m"]), || 0);
    for _ in 0..100 {
        run.acquire(1, one());
    }
    run.go_to(run.now);
    assert_eq!(run.calls.len(), 2, "the group's limit holds");
    for _ in 0..100 {
        for group in 2..20 {
            run.acquire(group, one());
        }
        run.go_to(run.now);
    }
    assert_eq!(run.calls.len(), 10, "and the refusals before wasted none of the account's slots");
}

#[test]
fn a_restart_gives_no_fresh_burst() {
    let mut run = Run::new(limits(&["20/m"], &[]), || SECOND);
    for group in 0..20 {
        run.send(group);
    }
    run.restart();
    assert!(matches!(run.acquire(0, one()), Decision::Wait { scope: Scope::Account, until: Some(_) }));
    assert_eq!(run.calls.len(), 20);
}

#[test]
fn a_platform_that_asks_for_silence_gets_it() {
    let mut pacer = pacer_of(limits(&["100/s"], &[]));
    pacer.delay_account(5 * SECOND);
    let decision = ask(&mut pacer, SECOND, GroupNo(0), one());
    assert!(
        matches!(decision, Decision::Wait { scope: Scope::Account, until: Some(at) } if at == 5 * SECOND)
    );
    pacer.delay_group(GroupNo(1), ClassNo::default(), 9 * SECOND);
    let decision = ask(&mut pacer, 6 * SECOND, GroupNo(1), one());
    assert!(matches!(decision, Decision::Wait { scope: Scope::Group, until: Some(at) } if at == 9 * SECOND));
    assert!(matches!(ask(&mut pacer, 6 * SECOND, GroupNo(2), one()), Decision::Granted(_)));
}

#[test]
fn what_can_never_pass_is_said_at_once() {
    let mut pacer = pacer_of(limits(&["100/s"], &["20/m"]));
    let cost = NonZeroU32::new(50).unwrap();
    assert!(matches!(ask(&mut pacer, 0, GroupNo(0), cost), Decision::Never { scope: Scope::Group }));
}

#[test]
fn calls_under_way_are_waited_for() {
    let mut pacer = pacer_of(limits(&["concurrency:1"], &[]));
    let Decision::Granted(permit) = ask(&mut pacer, 0, GroupNo(0), one()) else { panic!("free") };
    assert!(matches!(ask(&mut pacer, 1, GroupNo(0), one()), Decision::Wait { until: None, .. }));
    end(&mut pacer, 2, permit);
    let Decision::Granted(permit) = ask(&mut pacer, 2, GroupNo(0), one()) else { panic!("free again") };
    pacer.cancel(permit, &mut Commons::default());
    assert!(matches!(ask(&mut pacer, 2, GroupNo(0), one()), Decision::Granted(_)));
}

#[test]
fn memory_is_held_for_busy_groups_only() {
    let mut run = Run::new(limits(&[], &["2/s"]), || 0);
    for group in 0..1000 {
        run.send(group);
    }
    run.go_to(run.now);
    run.pacer.sweep(run.now);
    assert_eq!(run.pacer.groups.len(), 1000);
    run.pacer.sweep(run.now + SECOND);
    assert_eq!(run.pacer.groups.len(), 0);
}

#[test]
fn the_estimate_is_what_then_happens() {
    for (account, round_trip, in_flight) in [
        ("500/s", SECOND / 100, 64),
        ("20/m", SECOND, 64),
        ("pace:100/s", SECOND / 10, 4),
        ("concurrency:3", SECOND, 64),
    ] {
        let limits = limits(&[account], &[]);
        let mut run = Run::new(limits.clone(), move || round_trip);
        for group in 0..50 {
            run.send(group); // some of the limit is spent already
        }
        let estimate = run.pacer.outlook(&Commons::default()).finish_of(run.now, 3000, round_trip, in_flight);
        let start = run.now;
        for group in 0..3000 {
            while run.under_way.len() >= in_flight {
                let end = run.under_way.first_key_value().unwrap().0.0;
                run.go_to(end);
            }
            run.send(group);
        }
        let real = run.under_way.last_key_value().unwrap().0.0;
        let off = (estimate - real).abs() as f64 / (real - start) as f64;
        assert!(off < 0.05, "{account}: off by {off}");
    }
}

#[test]
fn an_estimate_of_very_many_goes_on_at_the_steady_rate() {
    let pacer = pacer_of(limits(&["1000/s"], &[]));
    let finish = pacer.outlook(&Commons::default()).finish_of(0, 1_000_000, 0, 64);
    let seconds = finish / SECOND;
    assert!((990..=1010).contains(&seconds), "{seconds}");
}

#[test]
fn a_class_of_groups_has_limits_of_its_own() {
    let texts = [
        "window:100/m",
        "group:window:1/m",
        "@robot group:window:20/m",
        "@appchat window:200/m",
        "@direct group:window:2/m",
    ];
    let limits = AccountLimits::parse(&texts).unwrap();
    assert_eq!(limits.texts(), texts);
    let (robot, chat, direct) =
        (limits.class_of("robot:a"), limits.class_of("appchat:b"), limits.class_of(""));
    assert_eq!(limits.class_of("robotic"), ClassNo::default(), "the colon belongs to it");
    let mut pacer = pacer_of(limits);
    let mut granted = |group: GroupNo, class: ClassNo, cost: u32, asked: usize| {
        let cost = NonZeroU32::new(cost).unwrap();
        (0..asked)
            .filter(|_| {
                matches!(
                    pacer.acquire(0, wish(group, class, cost), &mut Commons::default()),
                    Decision::Granted(_)
                )
            })
            .count()
    };
    assert_eq!(granted(GroupNo(1), robot, 1, 30), 20, "each robot its own 20");
    assert_eq!(granted(GroupNo(2), robot, 1, 30), 20);
    assert_eq!(granted(GroupNo(3), ClassNo::default(), 1, 5), 1, "other groups keep theirs");
    assert_eq!(granted(GroupNo::direct(4), direct, 1, 5), 2, "people have one only as a class");
    assert_eq!(granted(GroupNo(5), chat, 50, 3), 1, "and the account's holds for all: 43 are spent, 50 fit");
}

#[test]
fn a_class_that_is_short_holds_up_nobody_else_and_is_restored() {
    let limits = AccountLimits::parse(&["@appchat window:10/m"]).unwrap();
    let class = limits.class_of("appchat:x");
    let mut pacer = pacer_of(limits);
    let cost = NonZeroU32::new(10).unwrap();
    pacer.restore(vec![PastCall { group: GroupNo(1), class, started: 0, ended: SECOND, cost }]);
    let now = 2 * SECOND;
    let Decision::Wait { scope: Scope::Group, until: Some(at) } =
        pacer.acquire(now, wish(GroupNo(2), class, one()), &mut Commons::default())
    else {
        panic!("the past was forgotten");
    };
    assert_eq!(at, 61 * SECOND);
    assert!(matches!(ask(&mut pacer, now, GroupNo(3), one()), Decision::Granted(_)));
    let Decision::Granted(permit) = pacer.acquire(at, wish(GroupNo(2), class, cost), &mut Commons::default())
    else {
        panic!("it is free now")
    };
    // All slots are with a call under way whose end nobody can foresee: looked at again soon, not never.
    let Decision::Wait { until: Some(again), .. } =
        pacer.acquire(at, wish(GroupNo(4), class, one()), &mut Commons::default())
    else {
        panic!("more than the window");
    };
    assert!(again > at && again < at + SECOND);
    end(&mut pacer, at, permit);
}

proptest! {
    /// What an account names stands; what it does not name is the platform's.
    #[test]
    fn own_limits_replace_the_platforms_by_class(own in 0_usize..8) {
        let named = |bit: usize| own & (1 << bit) != 0;
        let mut texts = Vec::new();
        if named(0) { texts.push("window:7/m"); }
        if named(1) { texts.push("@robot group:window:7/m"); }
        if named(2) { texts.push("@shop window:7/m"); }
        let defaults = AccountLimits::parse(&["window:9/m", "group:window:9/m", "@robot group:window:9/m"]).unwrap();
        let limits = AccountLimits::parse(&texts).unwrap().or(defaults).texts();
        prop_assert_eq!(limits.contains(&"window:7/m".to_owned()), named(0));
        prop_assert_eq!(limits.contains(&"group:window:9/m".to_owned()), !named(0));
        prop_assert_eq!(limits.contains(&"@robot group:window:7/m".to_owned()), named(1));
        prop_assert_eq!(limits.contains(&"@robot group:window:9/m".to_owned()), !named(1));
        prop_assert_eq!(limits.contains(&"@shop window:7/m".to_owned()), named(2));
    }
}
