//! Groups that change hands, ways into groups and groups of our own against the sandbox.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::House;
use crate::duties::join_ways::JoinWayState;
use crate::duties::own_groups::OwnGroupState;
use crate::duties::transfers::{Orphans, Standing, TransferState};
use crate::duties::{self, Stored};
use crate::event::{Effects, EventKey, EventType, Head, Role, Status, Verdict, partition_of};
use crate::storage::{Append, DocumentKind, codec};

impl House {
    async fn write(&self, kind: DocumentKind, id: &str, body: Value) {
        let storage = &*self.duties.storage;
        duties::write(storage, self.clock.now_ms(), (kind, id), &body, None, Vec::new()).await.unwrap();
    }

    async fn pushed<T: DeserializeOwned + Default>(&self, id: &str) -> T {
        let stored = duties::read(&*self.duties.storage, DocumentKind::Pushed, id).await.unwrap();
        stored.map(|stored: Stored<T>| stored.value).unwrap_or_default()
    }
}

fn standings(state: &TransferState) -> [usize; 3] {
    let count = |standing| state.groups.values().filter(|handover| handover.standing == standing).count();
    [Standing::Given, Standing::Waiting, Standing::Refused].map(count)
}

#[tokio::test]
async fn a_large_transfer_takes_as_many_days_as_the_platform_wants() {
    let orphans: serde_json::Map<_, _> = (0..305).map(|n| (format!("g-{n:03}"), json!("li"))).collect();
    let house = House::open(json!({"pretended": {"orphans": orphans}}));
    house.duties.round().await;
    let list: Orphans = house.pushed(&Orphans::id("shop")).await;
    assert_eq!((list.count, list.groups[0].clone()), (305, ("g-000".to_owned(), Some("li".to_owned()))));

    let mut groups: Vec<String> = (0..305).map(|n| format!("g-{n:03}")).collect();
    groups[1] = "g-not-an-orphan".to_owned();
    let transfer = json!({"account": "shop", "groups": groups, "new_owner": "wang", "owner_left": "left",
        "created_by": "op", "created_ms": house.clock.now_ms()});
    house.write(DocumentKind::Transfer, "trf_1", transfer).await;
    let state = async || house.pushed::<TransferState>(&TransferState::id("shop", "trf_1")).await;

    house.duties.round().await;
    let first = state().await;
    assert_eq!(standings(&first), [299, 0, 1], "a refusal costs of the day, too: three calls of a hundred");
    let refusal = &first.groups["g-not-an-orphan"];
    assert!(refusal.failure.as_ref().unwrap().zh.contains("没有离职"));
    assert!(!first.is_done);
    house.an_hour_later().await;
    assert_eq!(standings(&state().await), [299, 0, 1], "not on the same day");

    house.clock.advance(Duration::from_hours(24));
    house.duties.round().await;
    let second = state().await;
    assert_eq!((standings(&second), second.is_done), ([304, 0, 1], true));
    let list: Orphans = house.pushed(&Orphans::id("shop")).await;
    assert_eq!(list.count, 6, "asked before this round's transfer");
    house.an_hour_later().await;
    assert_eq!(
        house.pushed::<Orphans>(&Orphans::id("shop")).await.groups,
        [("g-001".to_owned(), Some("li".to_owned()))]
    );

    house.clock.advance(house.duties.config.transfers_keep);
    house.duties.round().await;
    assert!(house.duties.storage.document(DocumentKind::Transfer, "trf_1").await.unwrap().is_none());
}

#[tokio::test]
async fn a_call_that_a_crash_cut_off_is_not_made_again() {
    let house = House::open(json!({"pretended": {"orphans": {"g-1": "li"}}}));
    let transfer = json!({"account": "shop", "groups": ["g-1"], "new_owner": "wang", "owner_left": "left",
        "created_by": "op", "created_ms": house.clock.now_ms()});
    house.write(DocumentKind::Transfer, "trf_1", transfer).await;
    let cut_off = json!({"groups": {"g-1": {"standing": "unknown", "at_ms": 1, "failure": null}}, "not_before_ms": 0, "is_done": false});
    house.write(DocumentKind::Pushed, &TransferState::id("shop", "trf_1"), cut_off).await;
    house.duties.round().await;
    let state: TransferState = house.pushed(&TransferState::id("shop", "trf_1")).await;
    assert_eq!((state.groups["g-1"].standing, state.is_done), (Standing::Unknown, true));
    assert_eq!(house.connector().group_life().unwrap().orphans().await.unwrap().len(), 1);
}

/// Lets members join, as the pipeline would.
async fn join(house: &House, group: &str, members: std::ops::Range<u32>) {
    let storage = &house.duties.storage;
    let epoch = storage.lease("test").await.unwrap();
    for member in members {
        let (at_ms, id) = (house.clock.now_ms(), format!("{group}-{member}"));
        let head = Head {
            key: EventKey::of(&storage.dedupe_secret(), "shop", group, &id),
            at_ms,
            arrived_ms: at_ms,
            account: "shop".into(),
            group: group.into(),
            member: Some(id.clone().into()),
            name: None,
            role: Role::Customer,
            what: EventType::MemberJoined,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        let mut payload = Vec::new();
        codec::encode(&Effects { head, facts: Vec::new() }, &mut payload);
        let bucket = u32::try_from(at_ms / crate::event::HOUR_MS).unwrap();
        let partition = partition_of("shop", group);
        let append =
            Append { partition, epoch, payload: &payload, events: 1, bucket_min: bucket, bucket_max: bucket };
        storage.append(append).unwrap().wait().await.unwrap();
    }
    storage.project().unwrap();
}

#[tokio::test]
async fn a_way_moves_on_when_its_group_is_nearly_full() {
    let house = House::open(json!({}));
    let way = |members_max: u64| {
        json!({"account": "shop", "groups": ["g-1"], "prepared": ["g-2"], "members_max": members_max,
            "remark": "", "channel": null, "opens_next": null})
    };
    house.write(DocumentKind::JoinWay, "w", way(2)).await;
    house.duties.round().await;
    let state = async || house.pushed::<JoinWayState>(&JoinWayState::id("shop", "w")).await;
    let leads = |state: &JoinWayState| state.groups.iter().map(ToString::to_string).collect::<Vec<_>>();
    let first = state().await;
    assert_eq!(leads(&first), ["g-1"]);
    assert!(first.address.is_some() && first.failure.is_none());

    join(&house, "g-1", 0..2).await;
    house.duties.round().await;
    let moved = state().await;
    assert_eq!(
        (leads(&moved), &moved.platform_id, moved.exhausted_ms),
        (vec!["g-2".to_owned()], &first.platform_id, None)
    );
    join(&house, "g-2", 0..2).await;
    house.duties.round().await;
    let exhausted = state().await;
    assert_eq!(
        (leads(&exhausted), exhausted.exhausted_ms),
        (vec!["g-2".to_owned()], Some(house.clock.now_ms()))
    );

    house.write(DocumentKind::JoinWay, "w", way(100)).await;
    house.duties.round().await;
    assert_eq!(leads(&state().await), ["g-1"], "a new wish begins anew");
}

#[tokio::test]
async fn a_way_whose_addition_has_no_answer_is_not_added_again_before_a_person_says_so() {
    let house = House::open(json!({}));
    let way = json!({"account": "shop", "groups": ["g-1"]});
    house.write(DocumentKind::JoinWay, "w", way.clone()).await;
    house.duties.round().await;
    let id = JoinWayState::id("shop", "w");
    let state = async || house.pushed::<JoinWayState>(&id).await;
    let lost = JoinWayState { platform_id: None, adding: true, ..state().await };
    house.write(DocumentKind::Pushed, &id, serde_json::to_value(lost).unwrap()).await;
    for _ in 0..2 {
        house.an_hour_later().await;
        let now = state().await;
        assert_eq!((now.platform_id, now.failure.unwrap().code.as_str()), (None, "lost"));
    }
    house.write(DocumentKind::JoinWay, "w", way).await;
    house.duties.round().await;
    let added = state().await;
    assert!(added.platform_id.is_some() && added.failure.is_none() && !added.adding);
}

#[tokio::test]
async fn a_refused_change_of_a_way_is_tried_again_after_a_while_not_at_every_tick() {
    let house = House::open(json!({}));
    let way = |group: &str| json!({"account": "shop", "groups": [group]});
    house.write(DocumentKind::JoinWay, "w", way("g-1")).await;
    house.duties.round().await;
    let id = JoinWayState::id("shop", "w");
    let state = async || house.pushed::<JoinWayState>(&id).await;
    // Somebody removed it in the console: the change is refused.
    let platform_id = state().await.platform_id.unwrap();
    house.connector().group_life().unwrap().remove_join_way(&platform_id).await.unwrap();
    house.write(DocumentKind::JoinWay, "w", way("g-2")).await;
    house.duties.round().await;
    let refused = state().await;
    assert!(refused.failure.is_some());
    house.duties.round().await;
    assert_eq!(state().await, refused, "not every tick");
    house.clock.advance(house.duties.config.retry_every);
    house.duties.round().await;
    let told = state().await;
    assert_eq!((told.failure, told.groups[0].as_str()), (None, "g-2"));
}

#[tokio::test]
async fn a_group_of_our_own_is_made_changed_and_put_back() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let platform = connector.own_groups().unwrap();
    let own = |staff: &[&str]| json!({"name": "店长群", "owner": "li", "staff": staff});
    house.write(DocumentKind::OwnGroup, "shop/managers", own(&["li", "wang"])).await;
    house.duties.round().await;
    let staff = async || platform.get("managers").await.unwrap().2;
    assert_eq!(staff().await, ["li", "wang"]);

    house.write(DocumentKind::OwnGroup, "shop/managers", own(&["li", "zhao"])).await;
    house.duties.round().await;
    assert_eq!(staff().await, ["li", "zhao"]);
    let state: OwnGroupState = house.pushed(&OwnGroupState::id("shop", "managers")).await;
    assert_eq!((state.drift_ms, state.failure), (None, None));

    platform.update("managers", Some("别的名"), None, &["sun".to_owned()], &[]).await.unwrap();
    house.an_hour_later().await;
    assert_eq!(platform.get("managers").await.unwrap().0, "店长群");
    assert_eq!(staff().await, ["li", "zhao"]);
    let state: OwnGroupState = house.pushed(&OwnGroupState::id("shop", "managers")).await;
    assert_eq!(state.drift_ms, Some(house.clock.now_ms()));

    // Made once, and the note of it was lost.
    platform.create("店长群", Some("li"), &["li".to_owned(), "wang".to_owned()], Some("lost")).await.unwrap();
    house.write(DocumentKind::OwnGroup, "shop/lost", own(&["li", "wang"])).await;
    house.duties.round().await;
    let state: OwnGroupState = house.pushed(&OwnGroupState::id("shop", "lost")).await;
    assert!(state.made_ms.is_some() && state.failure.is_none());
}
