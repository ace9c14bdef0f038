//! What is looked for: moments that have come, and those under way on a journey that was rewritten.

use std::sync::Arc;

use super::*;
use crate::connectors::offers::Taken;
use crate::ingest::testing::{House, NOW_MS, event};
use crate::interception::{self, Ruleset};
use crate::journeys::Journey;
use crate::pipeline::Rules;
use crate::replies;
use crate::welcomes::Welcomes;

/// Puts a journey of one step in force, and no other rules.
fn write(house: &House, after: &str, version_ms: i64, together_max: usize) {
    let now = house.ingest.rules.load_full();
    let json = format!(r#"{{"steps": [{{"id": "s", "after": "{after}", "text": "x"}}]}}"#);
    let journey: Journey = serde_json::from_str(&json).unwrap();
    let written_at = Some(jiff::Timestamp::from_millisecond(version_ms).unwrap());
    let all = [("j".to_owned(), Journey { written_at, ..journey })];
    let mut limits = now.limits.clone();
    limits.journeys.together_max = together_max;
    let journeys = Journeys::compile(&all, &limits.journeys).unwrap();
    let (words, _) = Ruleset::compile("r-2", &[], Vec::new(), &interception::Config::default()).unwrap();
    let (replies, welcomes) = (replies::Rules::default(), Welcomes::default());
    house.ingest.rules.store(Arc::new(Rules { words, replies, welcomes, journeys, limits }));
}

async fn take(house: &House, events: Vec<GroupEvent<'static>>) {
    let counted = vec![Taken::Counted; events.len()];
    assert_eq!(EventSink::take(&house.ingest, events).await.unwrap(), counted);
}

fn joins(member: &str) -> GroupEvent<'static> {
    let what = What::joined(false);
    GroupEvent { step: None, ..event(&format!("j-{member}"), None, 0, Some(member), what) }
}

fn under_way(house: &House) -> usize {
    house.ingest.travellers("demo", "g-1", None, 9).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_look_takes_some_of_those_whose_moment_has_come_until_none_is_left() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    write(&house, "1h", 1, 2);
    take(&house, vec![joins("a"), joins("b"), joins("c")]).await;
    assert!(house.ingest.due().is_empty());
    house.ingest.clock.advance(Duration::from_hours(1));
    for left in [1, 0] {
        let events = house.ingest.due();
        assert_eq!(events.len(), 1, "one for the group");
        take(&house, events).await;
        assert_eq!(under_way(&house), left);
        house.ingest.clock.advance(LOOK_EVERY);
    }
    assert!(house.ingest.due().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_journey_is_looked_at_once_and_only_who_hears_it_earlier_is_told_of_it() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let mut settled = Settled::default();
    write(&house, "9d", 1, 9);
    take(&house, vec![joins("a"), joins("b")]).await;
    assert!(house.ingest.rewritten(&mut settled).is_empty());
    write(&house, "20d", 2, 9);
    let events = house.ingest.rewritten(&mut settled);
    assert!(events.is_empty(), "a later moment is found when the earlier one comes");
    write(&house, "1d", 3, 9);
    let events = house.ingest.rewritten(&mut settled);
    assert_eq!(events.len(), 1);
    take(&house, events).await;
    assert!(house.ingest.rewritten(&mut settled).is_empty());
    let due_ms = house.ingest.travellers("demo", "g-1", None, 1).unwrap()[0].1.due_ms;
    assert_eq!(due_ms, NOW_MS + 24 * 3_600_000);
    assert_eq!(under_way(&house), 2);
}
