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
