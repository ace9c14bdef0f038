//! The range in which owners will have confirmed, before there is a task and with owners nobody knows.

use super::*;
use crate::storage::{Change, DocumentKind, Storage as _, Write};

async fn foretold(house: &House, id: &BroadcastId, supposed: &Supposed) -> Confirmation {
    let broadcast = house.broadcasts.get(&everybody(), id).await.unwrap();
    house.broadcasts.confirmation_foretold(&broadcast, supposed).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_draft_has_a_range_and_the_forecast_tells_the_same() {
    let house = House::open(&groups(40), 4, 10).await;
    let draft = NewBroadcast { draft: true, ..whole("八折", None) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let guessed = foretold(&house, &draft.id, &Supposed::default()).await;
    let (from, to) = guessed.finish.expect("a guess");
    assert_eq!(guessed.owners_without_history, 4, "and it is said that it is one");
    assert!(house.now_ms() < from && from < to && to <= house.now_ms() + ms(40 * HOUR), "{from} {to}");
    let later = Supposed { starts_ms: Some(house.now_ms() + ms(5 * HOUR)), ..Supposed::default() };
    let (is, would) = house.broadcasts.forecast(&everybody(), &draft.id, &later).await.unwrap();
    assert_eq!(is.confirmation.unwrap().finish, Some((from, to)));
    let shifted = would.confirmation.unwrap().finish.unwrap();
    assert_eq!(shifted.0, from + ms(5 * HOUR), "what starts later is confirmed later");
}

#[tokio::test(start_paused = true)]
async fn owners_without_a_past_take_as_long_as_the_others_and_are_counted() {
    let house = House::open(&groups(40), 4, 10).await;
    // All but one have confirmed often enough, each time after ten minutes.
    for _ in 0..4 {
        let broadcast = house.create("八折").await;
        house.all_wait(&broadcast.id, 40).await;
        house.bench.pass(Duration::from_mins(10)).await;
        house.tasks.confirm(|owner| owner != "u-3", house.now_ms());
        house.until("the three are done", &broadcast.id, |p| p.counts.sent == 30).await;
        house.broadcasts.command(&everybody(), &broadcast.id, Command::Cancel, "").await.unwrap();
        house.until("it is over", &broadcast.id, |p| p.counts.unfinished() == 0).await;
        let write = Write::Delete { kind: DocumentKind::OwnerHistory, id: "demo/u-3".to_owned() };
        house.bench.ledger.apply(Change { writes: vec![write], ..Change::default() }).await.unwrap();
    }
    let next = house.create("再来").await;
    let before = foretold(&house, &next.id, &Supposed::default()).await;
    house.all_wait(&next.id, 40).await;
    let live = house.confirmation(&next.id).await;
    for told in [before, live] {
        let (from, to) = told.finish.expect("one without a past makes it no secret");
        assert_eq!(told.owners_without_history, 1);
        let minutes = |at_ms: i64| (at_ms - house.now_ms()) / 60_000;
        assert!((8..=12).contains(&minutes(from)) && minutes(to) <= 20, "{from} {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_an_end_leaves_no_range_and_is_named() {
    use crate::outbox::holds::Hold;
    let house = House::open(&groups(4), 1, 10).await;
    let draft = NewBroadcast { draft: true, ..whole("八折", None) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let hold = Hold {
        id: "hld_1".to_owned(),
        kinds: Vec::new(),
        scope: "account:demo".parse().unwrap(),
        reason: String::new(),
        by: "op".to_owned(),
        at_ms: 0,
        until_ms: None,
    };
    let audit = AuditEntry::by(&everybody(), 0, "stop", "hold", "hld_1");
    house.bench.outbox.holds().set(&hold, audit).await.unwrap();
    let told = foretold(&house, &draft.id, &Supposed::default()).await;
    assert_eq!((told.finish, told.unknown), (None, Some(NoFinish::Held("hld_1".to_owned()))));
}
