//! Broadcasts that come again.

use super::*;

#[tokio::test(start_paused = true)]
async fn it_comes_at_its_time_once_over_a_crash_and_ends_with_its_last_day() {
    let house = House::open(100, &["window:100/s"], |p| p).await;
    let repeat = r#"{"days": ["tue"], "at": "22:30", "time_zone": "UTC", "until": "2023-11-14"}"#;
    let repeat = Some(serde_json::from_str(repeat).unwrap());
    let audience = Audience::Tags(["vip".to_owned()].into());
    let new = NewBroadcast { repeat, ..new("{group.name} 早安", audience) };
    let series = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
    assert_eq!(house.progress(&series.id).await.state, State::Recurring);
    house.bench.pass(900 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 0);
    let after = house.restart(|p| p).await;
    after.bench.pass(600 * SECOND).await;
    let calls = after.bench.platform.calls();
    let opens = "2023-11-14T22:30:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(calls.len(), 10, "the groups of that day");
    assert!(calls.iter().all(|call| (opens..opens + 5_000).contains(&call.started_ms)));
    assert_eq!(after.progress(&series.id).await.state, State::Finished, "it was its last day");
    // What was made is not made again by a crash after it.
    let later = after.restart(|p| p).await;
    later.bench.pass(600 * SECOND).await;
    assert_eq!(later.bench.platform.count(), 0);
    let (all, _) = later.broadcasts.list(&everybody(), None, 10).await.unwrap();
    let times: Vec<_> = all.iter().filter(|one| one.series.as_ref() == Some(&series.id)).collect();
    assert_eq!(times.len(), 1);
    assert_eq!(later.progress(&times[0].id).await.counts.sent, 10);
    assert!(later.bench.ledger.audit_verbs().contains(&"come_again".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_paused_does_not_come_late() {
    let house = House::open(100, &["window:100/s"], |p| p).await;
    let repeat = Some(serde_json::from_str(r#"{"dates": [14], "at": "22:20", "time_zone": "UTC"}"#).unwrap());
    let moment =
        NewBroadcast { repeat, expires_ms: Some(START_MS + 1_000_000), ..new("早安", Audience::All) };
    let refused = house.broadcasts.create(&everybody(), moment.clone(), |_| None).await.unwrap_err();
    assert!(matches!(refused, BroadcastError::Repeat(RepeatError::Moment)));
    let series = NewBroadcast { expires_ms: None, ..moment };
    let series = house.broadcasts.create(&everybody(), series, |_| None).await.unwrap();
    house.command(&series.id, Command::Pause).await.unwrap();
    house.bench.pass(600 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 0);
    let resumed = house.command(&series.id, Command::Resume).await.unwrap();
    let next = jiff::Timestamp::from_millisecond(resumed.next_ms).unwrap().to_string();
    assert_eq!(next, "2023-12-14T22:20:00Z");
    house.command(&series.id, Command::Cancel).await.unwrap();
    assert_eq!(house.progress(&series.id).await.state, State::Cancelled);
}
