//! What was sent is taken back or put right, where the platform can.

use super::*;
use crate::storage::Storage as _;

/// Gives every message an id of the platform's own.
fn with_ids(platform: Platform) -> Platform {
    platform.answering(|delivery, _| Outcome::Sent { platform_id: Some(format!("m-{}", delivery.group)) })
}

async fn recall(house: &House, id: &BroadcastId) -> Result<Broadcast, BroadcastError> {
    house.broadcasts.undo(&everybody(), id, None, "价格写错了").await
}

async fn correct(house: &House, id: &BroadcastId, text: &str) -> Result<Broadcast, BroadcastError> {
    house.broadcasts.undo(&everybody(), id, Some(text.to_owned()), "日期写错了").await
}

async fn failed(house: &House, id: &BroadcastId) -> Vec<(String, String)> {
    let states = vec![DeliveryState::Failed];
    let rows = house.broadcasts.targets(&everybody(), id, states, None, 1000).await.unwrap();
    rows.into_iter().map(|row| (row.group, row.code)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_message_is_withdrawn_by_its_own_id_under_the_same_limits() {
    let house = House::open(100, &["window:20/s"], with_ids).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    assert_eq!((undoing.expected, undoing.needs_approval), (99, false), "one platform cannot");
    let progress = house.finished(&undoing.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed, progress.targets), (99, 1, 100));
    assert_eq!(failed(&house, &undoing.id).await, [("east-00004".to_owned(), "cannot_recall".to_owned())]);
    let calls = house.bench.platform.calls();
    audit_window(&calls, 20, 1000);
    let withdrawn: HashSet<_> = calls.iter().skip(100).map(|call| call.text.clone()).collect();
    let expect = calls.iter().take(100).filter(|call| call.group != "east-00004");
    assert_eq!(withdrawn, expect.map(|call| format!("Recall m-{}", call.group)).collect());
    let of = house.broadcasts.get(&everybody(), &broadcast.id).await.unwrap();
    assert_eq!(of.undone_by, std::slice::from_ref(&undoing.id));
    let verbs: Vec<_> =
        house.bench.ledger.audit_verbs().into_iter().filter(|verb| verb != "finish").collect();
    assert_eq!(verbs, ["create", "recall"]);
    assert_eq!(house.progress(&broadcast.id).await.counts.sent, 100, "what was sent was sent");
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_sent_is_called_off_and_all_that_left_is_withdrawn() {
    let house = House::open(1000, &["window:100/s"], with_ids).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("it runs", |b| b.platform.count() > 250).await;
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    house.finished(&undoing.id).await;
    assert_eq!(house.progress(&broadcast.id).await.state, State::Cancelled);
    let calls = house.bench.platform.calls();
    let of = |withdrawn: bool| -> HashSet<String> {
        let calls = calls.iter().filter(|call| call.text.starts_with("Recall") == withdrawn);
        calls.map(|call| call.group.clone()).collect()
    };
    let (said, mut withdrawn) = (of(false), of(true));
    withdrawn.insert("east-00004".to_owned());
    assert_eq!(said, withdrawn, "also what was under way when it was called off");
    assert!((251..400).contains(&said.len()), "{}", said.len());
    assert_eq!(calls.len(), 2 * said.len() - 1, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_the_middle_withdraws_each_once() {
    let house = House::open(600, &["window:100/s"], with_ids).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    house.bench.until("some are withdrawn", |b| b.platform.count() > 700).await;
    let called: HashSet<_> = house.bench.platform.ids().into_iter().collect();
    let after = house.restart(|p| with_ids(p).resolving(Resolution::Sent)).await;
    after.bench.until("all are withdrawn", |b| b.ledger.count(DeliveryState::Sent) == 600 + 599).await;
    let progress = after.finished(&undoing.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (599, 1));
    let again = after.bench.platform.ids().iter().filter(|id| called.contains(*id)).count();
    assert_eq!(again, 0);
}

#[tokio::test(start_paused = true)]
async fn a_correction_is_said_group_by_group_where_it_can_be() {
    let house = House::open(100, &[], with_ids).await;
    let broadcast = house.create("会员日是周五", Audience::All).await;
    house.finished(&broadcast.id).await;
    assert!(matches!(correct(&house, &broadcast.id, "来玩博彩").await, Err(BroadcastError::Blocked(_))));
    assert!(matches!(correct(&house, &broadcast.id, " ").await, Err(BroadcastError::Length { .. })));
    let undoing = correct(&house, &broadcast.id, "{shop.name}会员日是周六").await.unwrap();
    let progress = house.finished(&undoing.id).await;
    // The west cannot change what it showed; east 2's shop has a name that may not be said.
    assert_eq!((progress.counts.sent, progress.counts.failed), (49, 51));
    let failed = failed(&house, &undoing.id).await;
    assert_eq!(failed.iter().filter(|(_, code)| code == "cannot_edit").count(), 50);
    assert!(failed.contains(&("east-00002".to_owned(), "blocked".to_owned())), "{failed:?}");
    let calls = house.bench.platform.calls();
    assert!(calls[100..].iter().any(|call| call.text == "m-east-00000: 南京东路店会员日是周六"));

    house.book.name_shop("east-00002", "外滩店");
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &undoing.id).await.unwrap(), 1);
    assert_eq!(house.finished(&undoing.id).await.counts.sent, 50);
    assert_eq!(house.bench.platform.calls()[149].text, "m-east-00002: 外滩店会员日是周六");
}

#[tokio::test(start_paused = true)]
async fn other_words_need_approval_and_taking_back_does_not() {
    let config = Config { approve_from_groups: 10, ..Config::default() };
    let house = House::open_with(config, 20, &[], with_ids).await;
    let approver = Actor { operator: OperatorId::parse("approver").unwrap(), ..everybody() };
    let approve = async |id: &BroadcastId| {
        house.broadcasts.command(&approver, id, Command::Approve, "").await.unwrap();
    };
    let broadcast = house.create("会员日是周五", Audience::All).await;
    approve(&broadcast.id).await;
    house.finished(&broadcast.id).await;
    let undoing = correct(&house, &broadcast.id, "会员日是周六").await.unwrap();
    house.bench.pass(60 * SECOND).await;
    assert_eq!(
        (house.progress(&undoing.id).await.state, house.bench.platform.count()),
        (State::Submitted, 20)
    );
    let own = house.command(&undoing.id, Command::Approve).await;
    assert!(matches!(own, Err(BroadcastError::OwnWork)));
    let second = recall(&house, &broadcast.id).await;
    assert!(matches!(second, Err(BroadcastError::BeingUndone(id)) if id == undoing.id));
    approve(&undoing.id).await;
    assert_eq!(house.finished(&undoing.id).await.counts.sent, 10);
    house.bench.pass(10 * SECOND).await; // it is put away
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    assert_eq!(house.finished(&undoing.id).await.counts.sent, 19);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_the_fate_of_is_told_and_withdrawn_once_it_is_declared() {
    let house = House::open(10, &[], |p| {
        p.answering(|delivery, _| match delivery.group.as_str() {
            "west-00003" => Outcome::Uncertain { detail: "reset".into() },
            group => Outcome::Sent { platform_id: Some(format!("m-{group}")) },
        })
    })
    .await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    assert_eq!(house.finished(&undoing.id).await.counts.sent, 8);
    let failed = failed(&house, &undoing.id).await;
    assert!(failed.contains(&("west-00003".to_owned(), "not_sure".to_owned())), "{failed:?}");

    let rows = house.broadcasts.targets(&everybody(), &broadcast.id, Vec::new(), None, 10).await.unwrap();
    let row = rows.into_iter().find(|row| row.group == "west-00003").unwrap();
    let declared = Change { moved: vec![moved(&row)], ..Change::default() };
    house.bench.ledger.apply(declared).await.unwrap();
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &undoing.id).await.unwrap(), 1);
    house.finished(&undoing.id).await;
    let last = house.bench.platform.calls().pop().unwrap();
    assert_eq!((last.group.as_str(), last.text), ("west-00003", format!("Recall {}", row.id)));
}

fn moved(row: &DeliveryRow) -> crate::storage::Moved {
    crate::storage::Moved {
        id: row.id.clone(),
        from: DeliveryState::Uncertain,
        to: DeliveryState::Sent,
        code: "declared_sent".to_owned(),
        detail: "seen in the group".to_owned(),
        platform_id: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_or_cannot_be_undone_anywhere_is_refused() {
    let house = House::open(10, &[], with_ids).await;
    let draft = NewBroadcast { draft: true, ..new("八折", Audience::All) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    assert!(matches!(recall(&house, &draft.id).await, Err(BroadcastError::State(_))));
    let west = Audience::Regions([RegionId::parse("west").unwrap()].into());
    let sent = house.create("八折", west).await;
    house.finished(&sent.id).await;
    let refused = correct(&house, &sent.id, "七折").await.unwrap_err();
    assert!(refused.to_string().contains("cannot_edit in 5 groups"), "{refused}");
    let undoing = recall(&house, &sent.id).await.unwrap();
    house.finished(&undoing.id).await;
    assert!(matches!(recall(&house, &undoing.id).await, Err(BroadcastError::State(_))), "that is enough");
}

#[tokio::test(start_paused = true)]
async fn neither_hours_nor_caps_keep_a_mistake_alive() {
    let quiet_hours = serde_json::from_str(r#""00:00-23:59""#).unwrap();
    let caps = Caps { per_day: 1, ..Caps::default() };
    let house = House::open_with(Config { caps, ..Config::default() }, 10, &[], with_ids).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    let House { bench, book, config, .. } = house;
    let house = House::over(bench, book, Config { quiet_hours, ..config }).await;
    let undoing = recall(&house, &broadcast.id).await.unwrap();
    assert_eq!(house.finished(&undoing.id).await.counts.sent, 9);
}
