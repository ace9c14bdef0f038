//! What a target waits for because of its broadcast, and what endpoints are told of it.

use super::*;
use crate::storage::Storage as _;

fn named_actor(operator: &str) -> Actor {
    Actor { operator: OperatorId::parse(operator).unwrap(), ..everybody() }
}

impl House {
    /// Returns what the first target waits for.
    async fn waits(&self, id: &BroadcastId) -> Vec<TargetWait> {
        let broadcast = self.broadcasts.get(&everybody(), id).await.unwrap();
        let row = self.broadcasts.targets(&everybody(), id, Vec::new(), None, 1).await.unwrap().remove(0);
        self.broadcasts.target_waits(&broadcast, &row).await.unwrap()
    }

    async fn told(&self) -> Vec<String> {
        let told = self.bench.ledger.status_changes(0, 0).await.unwrap();
        told.into_iter().map(|change| change.state).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_says_what_people_must_do_first_and_endpoints_hear_of_each_step() {
    let config = Config { approve_from_groups: 50, ..Config::default() };
    let house = House::open_with(config, 100, &["window:10/s"], |p| p).await;
    let starts_ms = START_MS + 600_000;
    let timed = NewBroadcast { starts_ms: Some(starts_ms), ..new("早安", Audience::All) };
    let made = house.broadcasts.create(&named_actor("author"), timed, |_| None).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    let scheduled = TargetWait::Scheduled { until_ms: starts_ms };
    assert_eq!(house.waits(&made.id).await, [TargetWait::Approval, scheduled.clone()]);
    house.broadcasts.command(&named_actor("other"), &made.id, Command::Approve, "").await.unwrap();
    assert_eq!(house.waits(&made.id).await, std::slice::from_ref(&scheduled));
    house.broadcasts.command(&everybody(), &made.id, Command::Pause, "写错了").await.unwrap();
    let paused = TargetWait::Paused { reason: "写错了".into() };
    assert_eq!(house.waits(&made.id).await, [paused, scheduled]);
    house.broadcasts.command(&everybody(), &made.id, Command::Resume, "").await.unwrap();
    house.finished(&made.id).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(house.waits(&made.id).await, []);
    let told = house.told().await;
    assert_eq!(told, ["submitted", "scheduled", "paused", "scheduled", "running", "finished"]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_by_choice_and_the_broadcast_with_it() {
    let fails = |d: &Delivery, attempt: u32| {
        if attempt == 1 && !d.group.ends_with('0') {
            let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
            let code = if d.group.starts_with("east") { "gone" } else { "http_400" };
            Outcome::Refused(Refusal { decision, scope, code: code.into(), detail: String::new() })
        } else {
            Outcome::Sent { platform_id: None }
        }
    };
    let house = House::open(100, &[], move |p| p.answering(fails)).await;
    let made = house.broadcasts.create(&everybody(), new("八折", Audience::All), |_| None).await.unwrap();
    house.finished(&made.id).await;
    tokio::time::sleep(10 * SECOND).await; // closed by now
    let failed =
        house.broadcasts.targets(&everybody(), &made.id, vec![DeliveryState::Failed], None, 200).await;
    let chosen: Vec<_> = failed
        .unwrap()
        .into_iter()
        .filter(|row| row.code == "http_400")
        .map(|row| (row.id, row.code))
        .collect();
    let count = u64::try_from(chosen.len()).unwrap();
    assert!(count > 20, "{count}");
    assert_eq!(house.broadcasts.would_replay(&everybody(), &made.id, &chosen).await.unwrap(), count);
    let by = serde_json::json!({"code": "http_400"});
    let mut twice = chosen.clone();
    twice.extend(chosen.first().cloned());
    // One of them is moved by the other half of the same wish: it is tried again once.
    assert_eq!(house.broadcasts.replay_targets(&everybody(), &made.id, &twice, &by).await.unwrap(), count);
    house.finished(&made.id).await;
    let counts = house.progress(&made.id).await.counts;
    assert_eq!(counts.failed + counts.sent, 100);
    assert_eq!(counts.sent, 10 + count, "only those that were chosen");
    let cancelled =
        house.broadcasts.create(&everybody(), new("七折", Audience::All), |_| None).await.unwrap();
    house.command(&cancelled.id, Command::Cancel).await.unwrap();
    let refused = house.broadcasts.replay_targets(&everybody(), &cancelled.id, &chosen, &by).await;
    assert!(matches!(refused, Err(BroadcastError::State(_))));
}

#[tokio::test(start_paused = true)]
async fn hours_that_never_open_again_are_no_canary() {
    let house = House::open(10, &[], |p| p).await;
    let schedule =
        serde_json::from_str(r#"{"time_zone": "UTC", "windows": [{"hours": "08:00-09:00"}]}"#).unwrap();
    let made = NewBroadcast { schedule, ..new("早安", Audience::All) };
    let made = house.broadcasts.create(&everybody(), made, |_| None).await.unwrap();
    house.bench.until("its targets are there", |b| b.ledger.count(DeliveryState::Pending) == 10).await;
    assert!(matches!(house.waits(&made.id).await[..], [TargetWait::Hours { .. }]));
    let House { bench, book, config, .. } = house;
    let quiet_hours = serde_json::from_str(r#""07:00-10:00""#).unwrap();
    let house = House::over(bench, book, Config { quiet_hours, ..config }).await;
    // The groups of the west live by UTC.
    let row =
        house.broadcasts.targets(&everybody(), &made.id, Vec::new(), None, 10).await.unwrap().pop().unwrap();
    let waits = house.broadcasts.target_waits(&made, &row).await.unwrap();
    assert_eq!((row.group.as_str(), waits), ("west-00009", vec![TargetWait::NoHours]));
}
