//! Broadcasts that come again.

use super::*;

#[tokio::test(start_paused = true)]
async fn it_comes_again_each_day_with_the_groups_of_that_day() {
    let slow = mass::Config { look: 600 * SECOND, ..mass::Config::default() };
    let config = Config { watch: 600 * SECOND, confirmations: slow, ..Config::default() };
    let house = House::open_with(config, 100, &["window:100/s"], |p| p).await;
    let days = r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#;
    let repeat = format!(r#"{{"days": {days}, "at": "22:30", "time_zone": "UTC", "until": "2023-11-15"}}"#);
    let repeat = Some(serde_json::from_str(&repeat).unwrap());
    let audience = Audience::Tags(["vip".to_owned()].into());
    let new = NewBroadcast { repeat, ..new("{group.name} 早安", audience) };
    let series = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
    assert_eq!(house.progress(&series.id).await.state, State::Recurring);
    house.bench.pass(1200 * SECOND).await;
    let calls = house.bench.platform.calls();
    let opens = "2023-11-14T22:30:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(calls.len(), 10);
    assert!(calls.iter().all(|call| (opens..opens + 5_000).contains(&call.started_ms)));
    // A crash right before the next time; what was sent is not sent again.
    house.bench.pass(86_100 * SECOND).await;
    let before = house.bench.platform.count();
    let after = house.restart(|p| p).await;
    after.bench.pass(1800 * SECOND).await;
    assert_eq!((before, after.bench.platform.count()), (10, 10));
    assert_eq!(after.progress(&series.id).await.state, State::Finished, "it ends with its last day");
    let (all, _) = after.broadcasts.list(&everybody(), None, 10).await.unwrap();
    let times: Vec<_> = all.iter().filter(|one| one.series.as_ref() == Some(&series.id)).collect();
    assert_eq!(times.len(), 2);
    for one in times {
        assert_eq!(after.progress(&one.id).await.counts.sent, 10);
    }
    let verbs = after.bench.ledger.audit_verbs();
    assert_eq!(verbs.iter().filter(|verb| *verb == "come_again").count(), 2);
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
