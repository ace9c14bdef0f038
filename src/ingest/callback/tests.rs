//! Callbacks whose changes do not follow from what is known.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::connectors::{CallbackError, Capabilities, CapabilitySource, ContentType, StateError};
use crate::event::GroupEvent;
use crate::ingest::testing::{House, joins, leaves};
use crate::outbox::delivery::{Deliver, Delivery, Outcome, Resolution};
use crate::storage::CountsQuery;

/// A platform that numbers its rosters. It keeps the gaps it is given, unless its disk is full.
#[derive(Debug, Default)]
struct Numbered {
    kept: Mutex<Vec<String>>,
    is_full: bool,
}

#[async_trait]
impl Deliver for Numbered {
    async fn deliver(&self, _: &Delivery, _: u32) -> Outcome {
        Outcome::Sent { platform_id: None }
    }

    async fn resolve(&self, _: &Delivery) -> Resolution {
        Resolution::Unknown
    }
}

#[async_trait]
impl Connector for Numbered {
    fn platform(&self) -> &'static str {
        "sandbox"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_block_before: false,
            can_recall: false,
            can_edit: false,
            can_mute: false,
            can_remove: false,
            can_post_into_group: false,
            can_welcome_by_code: false,
            sends_need_confirmation: false,
            gives_member_ids: true,
            gives_message_text: false,
            max_text_bytes: 0,
            content_types: &[ContentType::Text],
            welcome_content_types: &[],
        }
    }

    fn sources(&self) -> &'static [CapabilitySource] {
        &[]
    }

    fn limits_default(&self) -> &'static [&'static str] {
        &[]
    }

    fn open(&self, _: Callback<'_>) -> Result<Opened, CallbackError> {
        Ok(opened(Vec::new()))
    }

    async fn gap(&self, events: Vec<GroupEvent<'static>>) -> Result<(), StateError> {
        if self.is_full {
            return Err(StateError("the disk is full".to_owned()));
        }
        self.kept.lock().extend(events.into_iter().map(|event| event.id.into_owned()));
        Ok(())
    }
}

fn opened(events: Vec<GroupEvent<'static>>) -> Opened {
    Opened { events, reply: Response::new(Bytes::from_static(b"success")) }
}

/// A group that stands at version 1.
async fn house(data: &std::path::Path) -> House {
    let house = House::open(data).await;
    let mut first = joins("first", 0, 1, "u-0");
    first.step = first.step.map(|step| crate::event::RosterStep { from: None, ..step });
    let told = house.ingest.take_opened("demo", &Numbered::default(), opened(vec![first])).await;
    assert_eq!(told.unwrap().body(), "success");
    house
}

fn joins_counted(house: &House) -> u64 {
    house.storage.project().unwrap();
    let query = CountsQuery { account: "demo".into(), group: "g-1".into(), from_ms: 0, until_ms: i64::MAX };
    house.storage.counts(&query).unwrap().iter().map(|row| row.counters.joins).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_follow_is_kept_by_its_connector_before_the_platform_is_answered() {
    let data = tempfile::tempdir().unwrap();
    let house = house(data.path()).await;
    let platform = Numbered::default();
    let told = vec![joins("a", 1, 2, "u-1"), joins("b", 5, 6, "u-2"), leaves("c", 6, 7, "u-0")];
    let reply = house.ingest.take_opened("demo", &platform, opened(told)).await.unwrap();
    assert_eq!(reply.body(), "success");
    assert_eq!(*platform.kept.lock(), ["b", "c"]);
    assert_eq!(joins_counted(&house), 2, "the first and `a`");
    let again = vec![joins("a", 1, 2, "u-1")];
    house.ingest.take_opened("demo", &platform, opened(again)).await.unwrap();
    assert_eq!(platform.kept.lock().len(), 2, "a repeat is no gap, though the roster has moved on");
    assert_eq!(joins_counted(&house), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_cannot_be_kept_must_be_told_again() {
    let data = tempfile::tempdir().unwrap();
    let house = house(data.path()).await;
    let platform = Numbered { is_full: true, ..Numbered::default() };
    let told = || opened(vec![joins("b", 5, 6, "u-2")]);
    let refused = house.ingest.take_opened("demo", &platform, told()).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    house.ingest.take_opened("demo", &Numbered::default(), told()).await.unwrap();
    assert_eq!(joins_counted(&house), 1);
}
