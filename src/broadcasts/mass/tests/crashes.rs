//! Crashes, each where it hurts: the platform goes on, the ledger is what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::desk;
use super::{House, MS, groups};
use crate::outbox::testing::*;
use crate::storage::{DeliveryState, MASS_SEND, MASS_SENDS_FROM, MASS_TARGET};

#[tokio::test(start_paused = true)]
async fn a_crash_between_intent_and_call_makes_the_task_once() {
    // The platform never heard of it: listing finds nothing, so it is created.
    let house = House::open(&groups(5), 1, 10).await;
    let broadcast = house.create("x").await;
    house.bench.until("the intent is written", |b| b.ledger.count(DeliveryState::Sending) == 1).await;
    assert!(house.tasks.all().len() <= 1);
    let unheard = House {
        tasks: Arc::default(), // the call had not left yet
        ..house
    };
    let house = unheard.crash().await;
    house.all_wait(&broadcast.id, 5).await;
    house.each_once(&groups(5));
    assert_eq!(house.bench.platform.questions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_call_and_settle_finds_the_task_by_listing() {
    let house = House::open(&groups(5), 1, 10).await;
    let broadcast = house.create("x").await;
    house.bench.until("the call is under way", |b| b.platform.count() == 1).await;
    assert_eq!(house.tasks.all().len(), 1);
    let house = house.crash().await;
    let progress = house.progress(&broadcast.id).await;
    assert_eq!((progress.counts.awaiting_confirmation, progress.counts.sent), (0, 0));
    house.all_wait(&broadcast.id, 5).await;
    house.each_once(&groups(5));
    assert_eq!(house.bench.platform.count(), 0, "it was not called again");
    assert_eq!(house.rows(MASS_SEND)[0].platform_id, "msg0");
    house.tasks.confirm(|_| true, house.now_ms());
    house.until("done", &broadcast.id, |p| p.counts.sent == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_shows_as_uncertain_until_the_listing_tells() {
    let house = House::open(&groups(5), 1, 10).await;
    house.tasks.answers.lock().push(("u-0".into(), Answer::Lose));
    let broadcast = house.create("x").await;
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let counts = house.progress(&broadcast.id).await.counts;
        seen.insert((counts.uncertain, counts.awaiting_confirmation));
        if counts.awaiting_confirmation == 5 {
            break;
        }
        house.bench.pass(100 * MS).await;
    }
    assert!(seen.contains(&(5, 0)) && seen.contains(&(0, 5)), "{seen:?}");
    house.each_once(&groups(5));
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_creation_and_the_first_question_goes_on_from_the_ledger() {
    let house = House::open(&groups(5), 1, 10).await;
    let broadcast = house.create("x").await;
    let created =
        |b: &Bench| b.ledger.rows().iter().any(|row| row.platform_id == "msg0" && row.kind == MASS_SEND);
    house.bench.until("the task exists", created).await;
    assert_eq!(house.tasks.all()[0].polls, 0);
    let house = house.crash().await;
    house.all_wait(&broadcast.id, 5).await;
    house.tasks.confirm(|_| true, house.now_ms());
    house.until("done", &broadcast.id, |p| p.counts.sent == 5).await;
    house.each_once(&groups(5));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Wherever it is while targets are written and bundled, a crash (or several) loses none and doubles none.
    #[test]
    fn a_crash_half_way_through_bundling_loses_and_doubles_no_target(
        count in 1_u32..120,
        owners in 1_u32..30,
        targets_max in 1_usize..12,
        crashes in prop::collection::vec(1_u64..60, 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let all = groups(count);
            let mut house = House::open(&all, owners, targets_max).await;
            let broadcast = house.create("x").await;
            for crash in crashes {
                house.bench.pass(Duration::from_millis(crash)).await;
                house = house.crash().await;
            }
            house.all_wait(&broadcast.id, u64::from(count)).await;
            house.each_once(&all);
            // The ledger says the same: each target is marked with the one mass send that carries it.
            let carriers: BTreeMap<u32, u32> =
                house.rows(MASS_TARGET).into_iter().map(|row| (row.target, row.carrier)).collect();
            for send in house.rows(MASS_SEND) {
                assert!(send.target >= MASS_SENDS_FROM);
                let (_, targets) = desk::contents(&send).unwrap();
                assert!(targets.iter().all(|(target, _)| carriers[target] == send.target));
            }
        });
    }
}
