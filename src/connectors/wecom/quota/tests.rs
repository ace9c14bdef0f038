//! Limits in virtual time: never above a window, whatever is restarted when.

use std::collections::BTreeMap;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::connectors::testing::MemoryState;
use crate::tasks::detached;

const MINUTE: Duration = Duration::from_mins(1);
const PATIENT: Duration = Duration::from_hours(100);
const START_MS: i64 = 1_767_225_600_000;

fn quota(clock: &Clock, state: &MemoryState, limits: &[(&str, &[&str])]) -> Quota {
    let own: BTreeMap<String, Vec<String>> = limits
        .iter()
        .map(|(name, limits)| ((*name).to_owned(), limits.iter().map(|limit| (*limit).to_owned()).collect()))
        .collect();
    let presets = Presets::with(&own).unwrap();
    Quota::new(presets, clock.clone(), Arc::new(state.clone()), Duration::from_secs(15))
}

async fn take(quota: &Quota, patience: Duration) -> Result<Permit, ApiError> {
    quota.take(Api::GroupChatGet, Charge::default(), patience).await
}

/// The most calls that any window of `period` holds.
fn densest(times: &[i64], period: Duration) -> usize {
    let period = i64::try_from(period.as_micros()).unwrap();
    (0..times.len())
        .map(|from| times[from..].iter().take_while(|at| **at < times[from] + period).count())
        .max()
        .unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_patient_caller_gets_the_whole_rate_and_no_more() {
    let clock = Clock::tokio(START_MS);
    let quota = quota(&clock, &MemoryState::default(), &[("*", &["20/m", "100/h"])]);
    let mut times = Vec::new();
    for _ in 0..120 {
        let permit = take(&quota, PATIENT).await.unwrap();
        times.push(clock.steady_us());
        drop(permit);
    }
    assert_eq!((densest(&times, MINUTE), densest(&times, Duration::from_hours(1))), (20, 100));
    assert!(times[99] <= 4 * 60_000_000 + 1_000, "the first hundred in four minutes: {}", times[99]);
}

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_is_told_how_long_it_takes() {
    let clock = Clock::tokio(START_MS);
    let quota = quota(&clock, &MemoryState::default(), &[("*", &["2/m"])]);
    drop(take(&quota, Duration::ZERO).await.unwrap());
    tokio::time::advance(Duration::from_secs(20)).await;
    drop(take(&quota, Duration::ZERO).await.unwrap());
    let error = take(&quota, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.code, error.wait), (Code::Quota, Some(Duration::from_secs(40))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_made_costs_nothing() {
    let quota = quota(&Clock::tokio(START_MS), &MemoryState::default(), &[("*", &["1/m"])]);
    for _ in 0..5 {
        take(&quota, Duration::ZERO).await.unwrap().cancel();
    }
    drop(take(&quota, Duration::ZERO).await.unwrap());
    assert!(take(&quota, Duration::ZERO).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_wait_for_each_other() {
    let quota = quota(&Clock::tokio(START_MS), &MemoryState::default(), &[("*", &["concurrency:2"])]);
    let (one, _two) = (take(&quota, PATIENT).await.unwrap(), take(&quota, PATIENT).await.unwrap());
    assert_eq!(take(&quota, Duration::ZERO).await.unwrap_err().code, Code::Quota);
    let (tasks, _owner) = detached();
    let third = quota.clone();
    let waiting = tasks.spawn("third", async move {
        drop(take(&third, PATIENT).await.unwrap());
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(one);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_lanes_of_a_call_are_charged_or_none() {
    let clock = Clock::tokio(START_MS);
    let limits: &[(&str, &[&str])] = &[
        ("appchat/send", &["10/m"]),
        ("appchat/send units", &["100/m"]),
        ("appchat/send members", &["2/m"]),
    ];
    let quota = quota(&clock, &MemoryState::default(), limits);
    let send = async |units, members: &[&str]| {
        let charge = Charge { units, members, robot: None };
        quota
            .take(Api::AppchatSend, charge, Duration::ZERO)
            .await
            .map(drop)
            .map_err(|error| error.wait.is_some())
    };
    assert_eq!(send(60, &["u1"]).await, Ok(()));
    for _ in 0..20 {
        assert_eq!(send(60, &["u2"]).await, Err(true), "too many people; the group's ten are not touched");
    }
    assert_eq!(send(10, &["u1", "u2"]).await, Ok(()));
    assert_eq!(send(1, &["u2", "u1"]).await, Err(true), "u1 has had two");
    assert_eq!(send(1, &["u2"]).await, Ok(()));
    assert_eq!(send(101, &[]).await, Err(false), "more than there ever is room for");
}

#[tokio::test(start_paused = true)]
async fn each_robot_has_its_own_window() {
    let quota = quota(&Clock::tokio(START_MS), &MemoryState::default(), &[("webhook/send", &["1/m"])]);
    let send = async |robot| {
        let charge = Charge { robot: Some(robot), ..Charge::default() };
        quota.take(Api::RobotSend, charge, Duration::ZERO).await.map(drop).is_ok()
    };
    assert!(send("a").await && send("b").await && !send("a").await);
}

#[tokio::test(start_paused = true)]
async fn a_penalty_grows_when_waiting_did_not_help() {
    let clock = Clock::tokio(START_MS);
    let quota = quota(&clock, &MemoryState::default(), &[("appchat/create", &["100/m", "1000/h", "1000/d"])]);
    let create = async || quota.take(Api::AppchatCreate, Charge::default(), Duration::ZERO).await.map(drop);
    let mut waits = Vec::new();
    for _ in 0..4 {
        create().await.unwrap();
        let wait = quota.penalise(Api::AppchatCreate, Charge::default()).await;
        assert_eq!(create().await.unwrap_err().wait, Some(wait));
        waits.push(wait);
        tokio::time::advance(wait).await;
    }
    // Midnight in UTC is eight in the morning in Beijing, where the platform's day ends.
    let rest_of_day = Duration::from_mins(16 * 60 - 61);
    assert_eq!(waits[..3], [MINUTE, Duration::from_hours(1), rest_of_day], "the shortest window first");
    assert_eq!(waits[3], Duration::from_hours(24), "and the next day");
}

#[derive(Debug)]
struct FullDisk;

#[async_trait]
impl ConnectorState for FullDisk {
    async fn get(&self, _: &str) -> Result<Option<String>, StateError> {
        Ok(None)
    }

    async fn put(&self, _: Vec<(String, Option<String>)>) -> Result<(), StateError> {
        Err(StateError("no space left".to_owned()))
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<(String, String)>, StateError> {
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_not_spent() {
    let presets = Presets::with(&BTreeMap::new()).unwrap();
    let quota = Quota::new(presets, Clock::tokio(0), Arc::new(FullDisk), MINUTE);
    let error = take(&quota, PATIENT).await.unwrap_err();
    assert_eq!((error.code, error.is_uncertain()), (Code::State, false));
}

#[tokio::test(start_paused = true)]
async fn what_weighs_nothing_any_more_is_removed_at_the_next_start() {
    let (clock, state) = (Clock::tokio(START_MS), MemoryState::default());
    drop(take(&quota(&clock, &state, &[]), PATIENT).await.unwrap());
    assert_eq!(state.list(KEY, None, 10).await.unwrap().len(), 1);
    tokio::time::advance(Duration::from_hours(40 * 24)).await;
    let again = quota(&clock, &state, &[]);
    drop(again.take(Api::AppchatGet, Charge::default(), PATIENT).await.unwrap());
    let keys: Vec<_> = state.list(KEY, None, 10).await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["quota/appchat/get"]);
}

/// Calls, waits and restarts as they come; a call ends at once or lasts.
#[derive(Clone, Debug)]
enum Step {
    Call { lasts_ms: u64 },
    Wait { ms: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_u64..3_000).prop_map(|lasts_ms| Step::Call { lasts_ms }),
        3 => (0_u64..30_000).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whenever the platform counts a call, between its beginning and its end, no window has more than it may.
    #[test]
    fn no_window_is_exceeded_over_restarts(steps in prop::collection::vec(step(), 1..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (begins, ends) = runtime.block_on(async {
            let (clock, state) = (Clock::tokio(START_MS), MemoryState::default());
            let limits: &[(&str, &[&str])] = &[("*", &["10/m", "40/h"])];
            let mut current = quota(&clock, &state, limits);
            let (mut begins, mut ends) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Call { lasts_ms } => {
                        let permit = take(&current, PATIENT).await.unwrap();
                        begins.push(clock.steady_us());
                        tokio::time::advance(Duration::from_millis(lasts_ms)).await;
                        ends.push(clock.steady_us());
                        drop(permit);
                    }
                    Step::Wait { ms } => tokio::time::advance(Duration::from_millis(ms)).await,
                    Step::Restart => current = quota(&clock, &state, limits),
                }
            }
            (begins, ends)
        });
        for times in [begins, ends] {
            prop_assert!(densest(&times, MINUTE) <= 10);
            prop_assert!(densest(&times, Duration::from_hours(1)) <= 40);
        }
    }
}
