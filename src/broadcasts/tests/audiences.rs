//! Saved audiences, what is left out, and that a submission is kept to what it came to.

use super::*;
use crate::storage::Storage as _;

fn saved(name: &str) -> Audience {
    Audience::Saved(name.to_owned())
}

fn region(name: &str) -> Audience {
    Audience::Regions([RegionId::parse(name).unwrap()].into())
}

fn groups(names: &[&str]) -> Audience {
    Audience::Groups(names.iter().map(|name| named(name)).collect())
}

impl House {
    async fn save(&self, actor: &Actor, name: &str, audience: Audience) -> Result<Saved, BroadcastError> {
        let new = NewAudience { title: String::new(), audience, do_not_send: false };
        Ok(self.broadcasts.put_audience(actor, name, new, None).await?.1)
    }

    async fn count(&self, audience: &Audience) -> Result<u64, BroadcastError> {
        Ok(self.broadcasts.preview(&everybody(), audience, None, None).await?.groups)
    }
}

#[tokio::test(start_paused = true)]
async fn saved_audiences_lead_to_each_other_but_never_back() {
    let house = House::open(100, &[], |p| p).await;
    let all = everybody();
    assert_eq!(house.save(&all, "east", region("east")).await.unwrap().version, 1);
    let vips = Audience::Every(vec![saved("east"), Audience::Tags(["vip".to_owned()].into())]);
    house.save(&all, "vip-east", vips).await.unwrap();
    assert_eq!(house.count(&saved("vip-east")).await.unwrap(), 10);
    assert_eq!(house.count(&Audience::Not(Box::new(saved("vip-east")))).await.unwrap(), 90);
    let none = house.count(&saved("none")).await;
    assert!(matches!(none, Err(BroadcastError::Audience(AudienceError::Unknown { kind: "audience", .. }))));

    for back in [saved("vip-east"), saved("east"), Audience::Any(vec![Audience::All, saved("vip-east")])] {
        let refused = house.save(&all, "east", back).await;
        assert!(matches!(refused, Err(BroadcastError::Audience(AudienceError::Cycle(_)))), "{refused:?}");
    }
    let refused = house.broadcasts.delete_audience(&all, "east").await;
    assert!(matches!(refused, Err(BroadcastError::AudienceInUse(user)) if user == "vip-east"));
    let expected = house.broadcasts.put_audience(
        &all,
        "east",
        NewAudience { title: String::new(), audience: region("west"), do_not_send: false },
        Some(7),
    );
    let changed = expected.await;
    assert!(matches!(changed, Err(BroadcastError::Storage { source: StorageError::Conflict { .. }, .. })));
    house.broadcasts.delete_audience(&all, "vip-east").await.unwrap();
    house.broadcasts.delete_audience(&all, "east").await.unwrap();
    assert_eq!(house.broadcasts.audiences(&all, None, 10).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn another_regions_audience_is_neither_seen_nor_used_nor_changed() {
    let house = House::open(100, &[], |p| p).await;
    let (east, west) = (actor(r#"{"regions":["east"]}"#), actor(r#"{"regions":["west"]}"#));
    house.save(&east, "ours", groups(&["east-00000", "east-00002"])).await.unwrap();
    assert!(matches!(house.broadcasts.audience(&west, "ours").await, Err(BroadcastError::NoAudience)));
    assert_eq!(house.broadcasts.audiences(&west, None, 10).await.unwrap().len(), 0);
    let taken = house.save(&west, "ours", Audience::All).await;
    assert!(matches!(taken, Err(BroadcastError::NoAudience)), "{taken:?}");
    for mode in [ListMode::Add, ListMode::Replace] {
        let list = [named("west-00001")].into();
        let taken = house.broadcasts.put_groups(&west, "ours", list, mode).await;
        assert!(matches!(taken, Err(BroadcastError::NoAudience)), "{taken:?}");
    }
    let used = house.broadcasts.preview(&west, &saved("ours"), None, None).await;
    assert!(matches!(used, Err(BroadcastError::Audience(AudienceError::Unknown { .. }))), "{used:?}");
    assert_eq!(house.broadcasts.audiences(&east, None, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn why_a_group_is_left_out_is_counted_once() {
    let house = House::open(10, &[], |p| p).await;
    let all = everybody();
    house.book.figures.lock().insert(named("east-00004"), Figures { gone: true, ..Figures::default() });
    let bar = NewAudience {
        title: "投诉过的群".into(),
        audience: groups(&["east-00000", "west-00001", "west-00003"]),
        do_not_send: true,
    };
    house.broadcasts.put_audience(&all, "complained", bar, None).await.unwrap();
    house.save(&all, "list", groups(&["east-00000", "east-00002", "gone-1"])).await.unwrap();
    let exclude = groups(&["west-00001", "west-00005"]);
    let new = NewBroadcast {
        exclude: Some(exclude),
        ..new("早", Audience::Any(vec![saved("list"), Audience::All]))
    };
    let broadcast = house.broadcasts.create(&all, new, |_| None).await.unwrap();
    let reached = &broadcast.mass.survey.reached;
    let left_out = LeftOut { not_found: 1, no_figure: 0, gone: 1, excluded: 2, do_not_send: 2 };
    assert_eq!(reached.left_out, left_out);
    assert_eq!(reached.regions, BTreeMap::from([("east".to_owned(), 3), ("west".to_owned(), 2)]));
    assert_eq!(reached.platforms, BTreeMap::from([("sandbox".to_owned(), 5)]));
    house.finished(&broadcast.id).await;
    house.sent_once(5);
}

#[tokio::test(start_paused = true)]
async fn an_eastern_bar_reaches_no_further_than_the_east() {
    let house = House::open(10, &[], |p| p).await;
    let east = actor(r#"{"regions":["east"]}"#);
    let bar = NewAudience { title: String::new(), audience: Audience::All, do_not_send: true };
    house.broadcasts.put_audience(&east, "quiet", bar, None).await.unwrap();
    let survey = house.broadcasts.preview(&everybody(), &Audience::All, None, None).await.unwrap();
    assert_eq!((survey.groups, survey.reached.left_out.do_not_send), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_submission_keeps_to_what_it_came_to_also_over_a_crash() {
    let house = House::open(1000, &["window:1/h"], |p| p).await;
    house.save(&everybody(), "list", region("east")).await.unwrap();
    let draft = NewBroadcast { draft: true, ..new("早", saved("list")) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    assert_eq!(draft.expected, 500);
    house.save(&everybody(), "list", region("west")).await.unwrap();
    let submitted = house.command(&draft.id, Command::Submit).await.unwrap();
    assert_eq!(submitted.mass.survey.reached.regions, BTreeMap::from([("west".to_owned(), 500)]));
    // Before its targets are all written the list changes once more, and the gateway crashes.
    house.save(&everybody(), "list", Audience::Tags(["vip".to_owned()].into())).await.unwrap();
    let after = house.restart(|p| p).await;
    let done = async {
        while after.broadcasts.get(&everybody(), &draft.id).await.unwrap().expansion.targets < 500 {
            tokio::time::sleep(100 * MS).await;
        }
    };
    tokio::time::timeout(600 * SECOND, done).await.unwrap();
    let rows = after.broadcasts.targets(&everybody(), &draft.id, Vec::new(), None, 1000).await.unwrap();
    assert_eq!(rows.len(), 500);
    assert!(rows.iter().all(|row| row.group.starts_with("west-")));
    let kept = after.bench.ledger.document(DocumentKind::BroadcastGroups, draft.id.as_str()).await.unwrap();
    assert_eq!(kept, None, "the targets are the list now");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_replaced_or_added_to() {
    let house = House::open(10, &[], |p| p).await;
    let all = everybody();
    let put = async |group: &str, mode| {
        let (saved, held) = house.broadcasts.put_groups(&all, "list", [named(group)].into(), mode).await?;
        Ok::<_, BroadcastError>((saved.is.audience.summary(), held.len()))
    };
    assert_eq!(put("east-00000", ListMode::Replace).await.unwrap(), ("1 groups".to_owned(), 0));
    assert_eq!(put("east-00002", ListMode::Add).await.unwrap(), ("2 groups".to_owned(), 1));
    assert_eq!(put("east-00004", ListMode::Replace).await.unwrap(), ("1 groups".to_owned(), 2));
    house.save(&all, "list", Audience::All).await.unwrap();
    assert!(matches!(put("east-00000", ListMode::Add).await, Err(BroadcastError::NoList)));
}
