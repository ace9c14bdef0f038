//! The finish that is foretold, as things are and as they might be, against what then happens.

use super::*;

const MINUTE: i64 = 60_000;

async fn foretell(house: &House, id: &BroadcastId, supposed: &Supposed) -> (i64, i64) {
    let (is, would) = house.broadcasts.forecast(&everybody(), id, supposed).await.unwrap();
    let now_ms = house.bench.clock.now_ms();
    (is.finish_ms.unwrap() - now_ms, would.finish_ms.unwrap() - now_ms)
}

fn within_5_percent(what: &str, foretold: i64, real: i64) {
    assert!((real - foretold).abs() * 20 <= real, "{what}: foretold {foretold} ms, was {real} ms");
}

fn limits_of(text: &str) -> Vec<crate::outbox::limit::Limit> {
    vec![text.parse().unwrap()]
}

#[tokio::test(start_paused = true)]
async fn other_limits_are_foretold_as_they_then_work_out() {
    let house = House::open(6000, &["window:100/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("some are sent", |b| b.platform.count() > 500).await;
    let supposed = Supposed { limits: limits_of("window:500/2s"), ..Supposed::default() };
    let (is, would) = foretell(&house, &broadcast.id, &supposed).await;
    assert!(is > would * 2, "{is} ms, {would} ms");
    let from = house.bench.clock.now_ms();
    *house.bench.ways.limits.lock() = limits(&["window:500/2s"]);
    house.bench.outbox.account_changed(&AccountId::parse("demo").unwrap()).await;
    house.bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 6000).await;
    within_5_percent("other limits", would, house.bench.clock.now_ms() - from);
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_foretold_and_an_account_more_halves_it() {
    let house = House::open(6000, &["window:100/s"], |p| p).await;
    let draft = NewBroadcast { draft: true, ..new("全场八折", Audience::All) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let north = AccountId::parse("north").unwrap();
    let supposed = Supposed { other: Some((north, 50)), ..Supposed::default() };
    let (is, half) = foretell(&house, &draft.id, &supposed).await;
    within_5_percent("half of it by another account", half, is / 2);
    let shown = house.progress(&draft.id).await.estimated_finish_ms.unwrap() - house.bench.clock.now_ms();
    assert_eq!(shown, is, "the draft shows the same");
    let from = house.bench.clock.now_ms();
    house.command(&draft.id, Command::Submit).await.unwrap();
    house.bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 6000).await;
    within_5_percent("as a draft", is, house.bench.clock.now_ms() - from);
}

#[tokio::test(start_paused = true)]
async fn a_wider_window_is_foretold() {
    // The bench begins at 22:13 in UTC and at 06:13 in Shanghai; each half of the groups lives by one of the two.
    let house = House::open(3600, &["window:60/m"], |p| p).await;
    let hours = |texts: [&str; 2]| {
        let windows: Vec<_> = texts.iter().map(|hours| serde_json::json!({"hours": hours})).collect();
        let zone = "Asia/Shanghai";
        serde_json::from_value::<Schedule>(serde_json::json!({"time_zone": zone, "windows": windows}))
            .unwrap()
    };
    let schedule = hours(["08:00-08:20", "09:00-09:20"]);
    let written = NewBroadcast { schedule, ..new("早安", Audience::All) };
    let broadcast = house.broadcasts.create(&everybody(), written, |_| None).await.unwrap();
    house.bench.until("its targets are there", |b| b.ledger.count(DeliveryState::Pending) == 3600).await;
    let supposed = Supposed { schedule: Some(hours(["08:00-08:50", "09:00-09:50"])), ..Supposed::default() };
    let (is, would) = foretell(&house, &broadcast.id, &supposed).await;
    // An hour's work: the third window is the next day's; in wider ones it ends at 09:10.
    let eight = 107 * MINUTE;
    assert!((would - eight - 70 * MINUTE).abs() < 3 * MINUTE, "{would} ms");
    assert!((is - eight - (24 * 60 + 20) * MINUTE).abs() < 3 * MINUTE, "{is} ms");
}

/// Sets a stop that lasts so long; without an end when left out.
async fn stop(house: &House, id: &str, scope: &str, lasting: Option<Duration>) {
    use crate::outbox::holds::Hold;
    let now_ms = house.bench.clock.now_ms();
    let hold = Hold {
        id: id.to_owned(),
        kinds: Vec::new(),
        scope: scope.parse().unwrap(),
        reason: "核对".to_owned(),
        by: "op".to_owned(),
        at_ms: now_ms,
        until_ms: lasting.map(|time| now_ms + i64::try_from(time.as_millis()).unwrap()),
    };
    let audit = AuditEntry::by(&everybody(), now_ms, "stop", "hold", id);
    house.bench.outbox.holds().set(&hold, audit).await.unwrap();
}

async fn lift(house: &House, id: &str) {
    let audit = AuditEntry::by(&everybody(), house.bench.clock.now_ms(), "lift", "hold", id);
    house.bench.outbox.holds().lift(id, audit).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stop_counts_and_it_is_not_put_off_with_the_clock() {
    for scope in ["all", "account:demo", "region:east", "tag:east-tag"] {
        let house = House::open(3000, &["window:100/s"], |p| p).await;
        let broadcast = house.create("全场八折", Audience::All).await;
        house.bench.until("some are sent", |b| b.platform.count() > 500).await;
        stop(&house, "hld_1", scope, Some(Duration::from_mins(2))).await;
        house.bench.pass(SECOND).await;
        let from = house.bench.clock.now_ms();
        let first = house.progress(&broadcast.id).await.estimated_finish_ms.unwrap();
        house.bench.pass(60 * SECOND).await;
        let later = house.progress(&broadcast.id).await.estimated_finish_ms.unwrap();
        house.bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 3000).await;
        let real = house.bench.clock.now_ms() - from;
        within_5_percent(scope, first - from, real);
        within_5_percent(scope, later - from, real);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_an_end_makes_the_finish_unknown_and_is_named() {
    for scope in ["account:demo", "region:east", "group:demo/east-00000", "broadcast"] {
        let house = House::open(3000, &["window:100/s"], |p| p).await;
        let draft = NewBroadcast { draft: true, ..new("全场八折", Audience::All) };
        let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
        let scope = if scope == "broadcast" { format!("broadcast:{}", draft.id) } else { scope.to_owned() };
        stop(&house, "hld_1", &scope, None).await;
        let is_unknown = async |when: &str| {
            let progress = house.progress(&draft.id).await;
            let held = Some(NoFinish::Held("hld_1".to_owned()));
            assert_eq!(
                (progress.estimated_finish_ms, &progress.unknown_finish),
                (None, &held),
                "{scope} {when}"
            );
            let supposed = Supposed { limits: limits_of("window:500/s"), ..Supposed::default() };
            let (is, would) = house.broadcasts.forecast(&everybody(), &draft.id, &supposed).await.unwrap();
            assert_eq!((is.finish_ms, &is.unknown), (None, &held), "{scope} {when}");
            assert_eq!((would.finish_ms, &would.unknown), (None, &held), "{scope} {when}");
            assert!(is.accounts[0].held > 0 && is.accounts[0].finish_ms.is_none(), "{scope} {when}: {is:?}");
        };
        is_unknown("as a draft").await;
        house.command(&draft.id, Command::Submit).await.unwrap();
        house.bench.pass(5 * SECOND).await;
        is_unknown("as it runs").await;
        lift(&house, "hld_1").await;
        let progress = house.progress(&draft.id).await;
        assert!(progress.estimated_finish_ms.is_some() && progress.unknown_finish.is_none(), "{progress:?}");
    }
}
