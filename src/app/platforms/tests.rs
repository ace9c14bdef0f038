//! Silence and protection over restarts, at an account of a platform with rosters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;

use super::protection::Cause;
use super::{Parts, Platforms, around::Around, silence};
use crate::api::ports::Platforms as _;
use crate::clock::Clock;
use crate::connectors::offers::{KnownGroup, KnownRoster, SinkError, Taken};
use crate::connectors::testing::MemoryStates;
use crate::connectors::{AccountSpec, Config, ConnectorStates, Connectors, EventSink, RosterConfig, Secret};
use crate::directory::{self, Directory, Keyring};
use crate::event::{AccountId, GroupEvent, What};
use crate::storage::{self, memory};
use crate::tasks::{TasksOwner, detached};
use crate::telemetry::health::Health;

/// 2026-11-27T14:03:00+08:00.
const DOWN_MS: i64 = 1_795_759_380_000;

/// Takes everything and remembers silences.
#[derive(Default)]
struct Journal(Mutex<Vec<(String, i64, Option<i64>)>>);

#[async_trait]
impl EventSink for Journal {
    async fn take(&self, events: Vec<GroupEvent<'static>>) -> Result<Vec<Taken>, SinkError> {
        for event in &events {
            if let What::Silence { since_ms, until_ms } = &event.what {
                self.0.lock().push((event.id.to_string(), *since_ms, *until_ms));
            }
        }
        Ok(vec![Taken::Counted; events.len()])
    }

    async fn roster(&self, _: &str, _: &str) -> Result<KnownRoster, SinkError> {
        Ok(KnownRoster::default())
    }

    async fn groups(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<KnownGroup>, SinkError> {
        Ok(Vec::new())
    }
}

struct House {
    parts: Parts,
    journal: Arc<Journal>,
    account: AccountId,
    _tasks: Arc<TasksOwner>,
}

impl House {
    async fn new() -> Self {
        let clock = Clock::manual(DOWN_MS);
        let storage = memory::open(&memory::Disk::new([1; 16]), &storage::Config::default()).unwrap();
        let keys = Keyring::parse("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
        let directory = Directory::open(storage, clock.clone(), directory::Config::default(), keys);
        let states: Arc<dyn ConnectorStates> = Arc::new(MemoryStates::default());
        let connectors = Connectors::new(Config::default(), clock.clone(), Arc::clone(&states));
        let account = AccountId::parse("corp").unwrap();
        let spec = AccountSpec {
            id: account.clone(),
            platform: "wecom".to_owned(),
            settings: json!({"corp_id": "ww1f2e3d4c5b6a7988", "agent_id": 1}),
            secrets: vec![Secret::new("app_secret", "s")],
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        assert!(connectors.replace(vec![spec]).is_empty());
        let journal = Arc::new(Journal::default());
        let (tasks, owner) = detached();
        let parts = Parts {
            connectors: Arc::new(connectors),
            directory: Arc::new(directory.await.unwrap()),
            states,
            sink: Arc::<Journal>::clone(&journal),
            health: Health::default(),
            clock,
            tasks,
            config: RosterConfig::default(),
        };
        Self { parts, journal, account, _tasks: owner }
    }

    /// The gateway starts.
    async fn start(&self) -> Around {
        let connector = self.parts.connectors.get(self.account.as_str()).unwrap();
        let around = Around::new(&self.account, connector, &self.parts);
        silence::begin(&around).await;
        around
    }

    fn degraded(&self) -> Vec<String> {
        self.parts.health.report().degraded.into_iter().map(|degraded| degraded.reason).collect()
    }
}

#[tokio::test]
async fn a_down_time_is_a_silence_once_and_lasts_until_every_group_was_read() {
    let house = House::new().await;
    let first = house.start().await;
    assert_eq!(first.protection.since_ms(), None, "nobody was down before the first start");
    house.parts.clock.advance(Duration::from_secs(10));
    silence::last_beat(&first).await;

    house.parts.clock.advance(Duration::from_mins(30));
    let since_ms = DOWN_MS + 10_000;
    let second = house.start().await;
    assert_eq!(second.protection.since_of(Cause::Down), Some(since_ms));
    assert!(house.degraded()[0].contains("自 14:03 起") && house.degraded()[0].contains("since 14:03"));

    // Killed before every group was read: the next start still does not know what happened since 14:03.
    house.parts.clock.advance(Duration::from_secs(5));
    let third = house.start().await;
    assert_eq!(third.protection.since_ms(), Some(since_ms));
    let until_ms = since_ms + 30 * 60_000;
    assert_eq!(
        *house.journal.0.lock(),
        [(format!("silence-down-{since_ms}-over"), since_ms, Some(until_ms))],
        "five seconds are no silence"
    );

    silence::reconciled(&third).await.unwrap();
    assert_eq!((third.protection.since_ms(), house.degraded()), (None, Vec::new()));
    let fourth = house.start().await;
    assert_eq!(fourth.protection.since_ms(), None);
    let between = silence::between(&*fourth.state, 0, since_ms + 60_000, i64::MAX).await.unwrap();
    assert_eq!(between, [(since_ms, since_ms + 60_000)]);
}

#[tokio::test]
async fn an_account_that_comes_and_goes_is_looked_after_while_it_is_there() {
    let house = House::new().await;
    let platforms = Platforms::new(house.parts.clone());
    let protection = platforms.protection("corp").expect("from the moment somebody asks");
    assert_eq!((protection.since_ms, protection.groups_left), (None, 0));
    assert!(platforms.start_sync("corp").is_some() && platforms.sync("nobody").is_none());
    let around = platforms.account("corp").unwrap();
    around.lapse(Cause::Untold, DOWN_MS, "没有回调", "no callbacks");
    assert_eq!(house.degraded().len(), 1);
    house.parts.connectors.replace(Vec::new());
    platforms.look();
    assert!(platforms.protection("corp").is_none() && house.degraded().is_empty());
}
