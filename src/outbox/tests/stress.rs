//! Many robots under three levels of limits at once, in virtual time. The judge is the load client's auditor, which knows
//! times of arrival and the limits as they are written, and nothing of how we pace.

use loadtest::audit::{Auditor, Scope};

use super::*;
use crate::outbox::rows::row_of;
use crate::storage::Storage;

/// A robot may send 20 a minute, all robots of the app 600 together, the account 10,000.
const LIMITS: [&str; 3] = ["window:10000/m", "@robot window:600/m", "@robot group:window:20/m"];
const ROBOTS: usize = 1_200;
/// Each robot gets one text of each of these.
const BROADCASTS: usize = 19;
/// Some get many more: theirs is the limit that binds.
const BUSY_ROBOTS: usize = 40;
const BUSY_BROADCASTS: usize = 30;
const TO_ROBOTS: usize = ROBOTS * BROADCASTS + BUSY_ROBOTS * BUSY_BROADCASTS;
/// Groups that are no robots' and share the account with them.
const OTHERS: usize = 47_000;

/// Writes a broadcast's targets and has them sent.
async fn broadcast(bench: &Bench, name: &str, groups: impl Iterator<Item = String>) {
    let (id, account) = (BroadcastId::parse(name).unwrap(), AccountId::parse("demo").unwrap());
    let target = |(target, group)| {
        let delivery = Delivery {
            id: id.delivery(target),
            account: account.clone(),
            group,
            member: None,
            kind: "broadcast".into(),
            rule: String::new(),
            priority: Priority::Bulk,
            payload: delivery::Payload::text(name.to_owned()),
            broadcast: Some((id.clone(), target)),
            expires_ms: 0,
            cost: 1,
        };
        row_of(&delivery, Some(name), DeliveryState::Pending, START_MS)
    };
    let rows: Vec<_> = (0_u32..).zip(groups).map(target).collect();
    bench.ledger.deliveries_add(rows).await.unwrap();
    bench.outbox.feed(&id, &[account], &Sending { text: Arc::from(name), gate: None }).await;
}

/// The least time so many sends can take from the first to the last: full windows, one after the other.
fn ideal_ms(sends: usize, window: usize) -> i64 {
    i64::try_from((sends.div_ceil(window) - 1) * 60_000).unwrap()
}

#[tokio::test(start_paused = true)]
async fn three_levels_together_keep_every_window_and_lose_two_percent_at_most() {
    let clock = Clock::tokio(START_MS);
    let platform = Platform::new(&clock, 20 * MS);
    // Fewer than the robots' targets, all of which wait for the app: the others must find room all the same.
    let lanes = lanes::LanesConfig { ready_max: 2_400, ..lanes::LanesConfig::default() };
    // Nobody asks for an urgent call here, and what is kept back for them is a share of the limits that is not used.
    let pacing = pacer::PacingConfig { urgent_reserve_percent: 0, ..pacer::PacingConfig::default() };
    let config = Config { lanes, pacing, ..Config::default() };
    let bench = Bench::start(&clock, &TestLedger::new(), platform, limits(&LIMITS), config).await;
    for number in 0..BROADCASTS + BUSY_BROADCASTS {
        let robots = if number < BUSY_BROADCASTS { BUSY_ROBOTS } else { ROBOTS };
        let robots = (0..robots).map(|robot| format!("robot:{robot}"));
        broadcast(&bench, &format!("bc_{number}"), robots).await;
    }
    broadcast(&bench, "bc_others", (0..OTHERS).map(|group| format!("g-{group}"))).await;
    let all = TO_ROBOTS + OTHERS;
    bench.pass(Duration::from_mins(40)).await;
    assert_eq!(bench.ledger.count(DeliveryState::Sent), all, "{:?}", bench.ledger.states());

    let calls = bench.platform.calls();
    assert_eq!(calls.len(), all, "each once");
    let is_robot = |call: &SeenCall| call.group.starts_with("robot:");
    let audit = |limit: &str, scope, of: &dyn Fn(&SeenCall) -> bool| {
        let mut auditor = Auditor::new(limit.parse().unwrap(), scope);
        for call in calls.iter().filter(|call| of(call)) {
            let at = Duration::from_millis(u64::try_from(call.started_ms - START_MS).unwrap());
            auditor.arrived(&call.group, at);
        }
        let report = auditor.report();
        assert_eq!((report.violations, report.max_in_window), (0, report.allowed), "{report:?}");
    };
    audit("10000/m", Scope::Whole, &|_| true);
    audit("600/m", Scope::Whole, &is_robot);
    audit("20/m", Scope::Group, &is_robot);

    for (what, of, ideal_ms) in
        [("robots", true, ideal_ms(TO_ROBOTS, 600)), ("others", false, ideal_ms(OTHERS, 10_000 - 600))]
    {
        let times = || calls.iter().filter(|call| is_robot(call) == of).map(|call| call.started_ms);
        let took_ms = times().max().unwrap() - times().min().unwrap();
        assert!(took_ms * 100 < ideal_ms * 102, "{what}: {took_ms} ms, the limits alone allow {ideal_ms} ms");
    }
}
