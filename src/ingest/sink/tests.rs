//! What connectors find out by themselves, through the real pipeline.

use super::*;
use crate::event::{GroupChange, RosterMember, RosterRead, What};
use crate::ingest::testing::{House, NOW_MS, event, joins, leaves};

impl House {
    async fn take(&self, events: &[GroupEvent<'static>]) -> Vec<Taken> {
        EventSink::take(&self.ingest, events.to_vec()).await.unwrap()
    }

    async fn roster(&self) -> KnownRoster {
        EventSink::roster(&self.ingest, "demo", "g-1").await.unwrap()
    }
}

/// The first reading: an owner and two customers.
fn first_reading() -> GroupEvent<'static> {
    let member = |member: &'static str, role| RosterMember {
        member: member.into(),
        role,
        name: None,
        joined_ms: NOW_MS - 1_000,
        inviter: None,
        scene: None,
        channel: None,
        union_id: None,
    };
    let found =
        vec![member("s-1", Role::Staff), member("u-1", Role::Customer), member("u-2", Role::Customer)];
    let group = GroupChange { name: Some("一群".into()), owner: Some("s-1".into()) };
    event("read", None, 1, None, What::RosterRead(RosterRead { found, gone: Vec::new(), group }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_follows_its_steps_and_stands_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    assert_eq!(
        house.roster().await,
        KnownRoster {
            group: KnownGroup { group: "g-1".into(), ..KnownGroup::default() },
            ..KnownRoster::default()
        }
    );
    let told = [first_reading(), joins("j", 1, 2, "u-3"), leaves("l", 2, 3, "u-1")];
    assert_eq!(house.take(&told).await, [Taken::Counted, Taken::Counted, Taken::Counted]);
    assert_eq!(house.take(&told).await, [Taken::Duplicate, Taken::Duplicate, Taken::Duplicate]);
    let after = house.roster().await;
    let members = [("s-1", Role::Staff), ("u-2", Role::Customer), ("u-3", Role::Customer)];
    assert_eq!(after.members, members.map(|(member, role)| (member.to_owned(), role)));
    assert_eq!(after.marks, [3, 2, 1]);
    assert_eq!((after.group.name.as_deref(), after.group.owner.as_deref()), (Some("一群"), Some("s-1")));
    assert_eq!(house.directory.context("demo", "g-1").unwrap().owner(), Some("s-1"));
    let totals = house.storage.totals(0, i64::MAX).unwrap();
    assert_eq!((totals[0].counters.joins, totals[0].counters.leaves), (1, 1), "a reading counts nobody");

    house.storage.close().await.unwrap();
    drop(house);
    let house = House::open(data.path()).await;
    assert_eq!(house.roster().await, after);
    assert_eq!(house.take(&[joins("x", 2, 4, "u-9")]).await, [Taken::Gap]);
    assert_eq!(house.take(&[joins("y", 3, 4, "u-9")]).await, [Taken::Counted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_follow_changes_nothing_and_the_rest_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    house.take(&[first_reading()]).await;
    let before = house.roster().await;
    let early = GroupEvent { at_ms: Some(NOW_MS + 3_600_000), ..joins("f", 1, 2, "u-3") };
    let elsewhere = GroupEvent { account: "nobody".into(), ..joins("n", 1, 2, "u-3") };
    let told = [joins("a", 7, 8, "u-3"), early, elsewhere, leaves("b", 8, 9, "u-1")];
    let expect = [Taken::Gap, Taken::Refused("future"), Taken::Refused("unknown_account"), Taken::Gap];
    assert_eq!(house.take(&told).await, expect);
    assert_eq!(house.roster().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_page_by_page() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    for group in ["g-1", "g-2", "g-3"] {
        house.take(&[GroupEvent { group: group.into(), ..first_reading() }]).await;
    }
    let first = EventSink::groups(&house.ingest, "demo", None, 2).await.unwrap();
    let rest = EventSink::groups(&house.ingest, "demo", Some("g-2"), 2).await.unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|known| known.group.as_str()).collect();
    assert_eq!(names, ["g-1", "g-2", "g-3"]);
    assert!(EventSink::groups(&house.ingest, "a", None, 2).await.unwrap().is_empty());
}
