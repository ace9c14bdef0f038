//! Drafts, approval, and times to start.

use super::*;
use crate::storage::{AuditFilter, Storage as _};

fn named_actor(operator: &str) -> Actor {
    Actor { operator: OperatorId::parse(operator).unwrap(), ..everybody() }
}

fn draft(text: &str) -> NewBroadcast {
    NewBroadcast { draft: true, ..new(text, Audience::All) }
}

/// Every broadcast to 50 groups and more needs somebody else.
async fn with_approval(groups: u32) -> House {
    let config = Config { approve_from_groups: 50, ..Config::default() };
    House::open_with(config, groups, &[], |p| p).await
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_edited_and_leaves_only_once_it_is_submitted() {
    let house = House::open(100, &[], |p| p).await;
    let author = named_actor("author");
    let kept = house.broadcasts.create(&author, draft("全场八折"), |_| None).await.unwrap();
    let edited = house.broadcasts.edit(&author, &kept.id, draft("全场七折")).await.unwrap();
    assert_eq!((edited.id.clone(), edited.created_by.as_str()), (kept.id.clone(), "author"));
    let blocked = house.broadcasts.edit(&author, &kept.id, draft("来玩博彩")).await;
    assert!(matches!(blocked, Err(BroadcastError::Blocked(_))));
    tokio::time::sleep(60 * SECOND).await;
    let progress = house.progress(&kept.id).await;
    assert_eq!((progress.state, progress.targets, house.bench.platform.count()), (State::Draft, 0, 0));
    let replayed = house.broadcasts.replay_failed(&author, &kept.id).await;
    assert!(matches!(replayed, Err(BroadcastError::State(_))), "a draft has nothing to repeat");

    let after = house.restart(|p| p).await;
    assert_eq!(after.progress(&kept.id).await.state, State::Draft);
    let submitted = after.broadcasts.command(&author, &kept.id, Command::Submit, "周末活动").await.unwrap();
    assert_eq!(
        (submitted.submitted_by, submitted.reason.as_str()),
        (Some(author.operator.clone()), "周末活动")
    );
    after.finished(&kept.id).await;
    after.sent_once(100);
    assert_eq!(after.bench.platform.calls()[0].text, "全场七折");
    let late = after.broadcasts.edit(&author, &kept.id, draft("全场六折")).await;
    assert!(matches!(late, Err(BroadcastError::NoDraft(State::Finished))));
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_until_somebody_else_approves_it_and_what_cannot_be_said_is_seen_before() {
    let house = with_approval(100).await;
    let (author, editor, approver) = (named_actor("author"), named_actor("editor"), named_actor("approver"));
    let kept = house.broadcasts.create(&author, draft("{shop.name}八折"), |_| None).await.unwrap();
    let submitted = house.broadcasts.command(&editor, &kept.id, Command::Submit, "").await.unwrap();
    assert!(submitted.needs_approval);
    tokio::time::sleep(60 * SECOND).await;
    let progress = house.progress(&kept.id).await;
    assert_eq!((progress.state, house.bench.platform.count()), (State::Submitted, 0));
    assert_eq!((progress.counts.pending, progress.counts.failed), (49, 51), "the checks are done before");
    assert!(progress.estimated_finish_ms.is_some(), "so is the forecast");

    for own in [&author, &editor] {
        let refused = house.broadcasts.command(own, &kept.id, Command::Approve, "").await;
        assert!(matches!(refused, Err(BroadcastError::OwnWork)), "whichever token is used");
    }
    let house = house.restart(|p| p).await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 0, "a restart releases nothing");
    let approved = house.broadcasts.command(&approver, &kept.id, Command::Approve, "看过了").await.unwrap();
    assert_eq!(approved.approved_by, Some(approver.operator.clone()));
    let progress = house.finished(&kept.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (49, 51));
    assert_eq!(house.bench.ledger.audit_verbs(), ["create", "submit", "approve"]);
}

#[tokio::test(start_paused = true)]
async fn who_edits_does_not_approve_and_who_submits_does_not_send_beyond_their_scope() {
    let house = with_approval(100).await;
    let eastern = Actor { operator: OperatorId::parse("li").unwrap(), ..actor(r#"{"regions":["east"]}"#) };
    let (editor, approver) = (named_actor("editor"), named_actor("approver"));
    let kept = house.broadcasts.create(&eastern, draft("八折"), |_| None).await.unwrap();
    assert_eq!(kept.expected, 50);
    let edited = house.broadcasts.edit(&editor, &kept.id, draft("七折")).await.unwrap();
    assert_eq!(edited.expected, 100, "the editor reaches everybody");
    let submitted = house.broadcasts.command(&eastern, &kept.id, Command::Submit, "").await.unwrap();
    assert_eq!(submitted.expected, 50);
    let own = house.broadcasts.command(&editor, &kept.id, Command::Approve, "").await;
    assert!(matches!(own, Err(BroadcastError::OwnWork)), "it is the editor's text");
    house.broadcasts.command(&approver, &kept.id, Command::Approve, "").await.unwrap();
    house.finished(&kept.id).await;
    house.sent_once(50);
    assert!(house.bench.platform.calls().iter().all(|call| call.group.starts_with("east")));
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_never_leaves_and_few_groups_need_nobody() {
    let house = with_approval(100).await;
    let all = house.broadcasts.create(&named_actor("author"), new("八折", Audience::All), |_| None).await;
    let all = all.unwrap();
    assert_eq!(house.progress(&all.id).await.state, State::Submitted);
    let approver = named_actor("approver");
    let rejected = house.broadcasts.command(&approver, &all.id, Command::Reject, "日期写错了").await.unwrap();
    assert_eq!((rejected.control, rejected.reason.as_str()), (Control::Cancelled, "日期写错了"));
    let few = Audience::Tags(["vip".to_owned()].into());
    let few = house.broadcasts.create(&named_actor("author"), new("八折", few), |_| None).await.unwrap();
    house.finished(&few.id).await;
    house.sent_once(10);
    let counts = house.progress(&all.id).await.counts;
    assert_eq!((counts.pending, counts.sent), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_waits_for_its_time_over_a_restart() {
    let house = House::open(100, &["window:10/s"], |p| p).await;
    let starts_ms = START_MS + 3_600_000;
    let timed = NewBroadcast { starts_ms: Some(starts_ms), ..new("早安", Audience::All) };
    let broadcast = house.broadcasts.create(&everybody(), timed, |_| None).await.unwrap();
    tokio::time::sleep(1800 * SECOND).await;
    let progress = house.progress(&broadcast.id).await;
    assert_eq!((progress.state, progress.counts.pending), (State::Scheduled, 100));
    let foretold = progress.estimated_finish_ms.unwrap();
    assert!((starts_ms + 8_000..starts_ms + 12_000).contains(&foretold), "{}", foretold - starts_ms);
    let house = house.restart(|p| p).await;
    tokio::time::sleep(1700 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 0, "a restart starts nothing early");
    house.finished(&broadcast.id).await;
    house.sent_once(100);
    let first = house.bench.platform.calls().iter().map(|call| call.started_ms).min().unwrap();
    assert!((starts_ms..starts_ms + 1_000).contains(&first), "{} ms late", first - starts_ms);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_broadcast_is_paused_resumed_and_never_starts_early() {
    let house = House::open(100, &[], |p| p).await;
    let timed = NewBroadcast { starts_ms: Some(START_MS + 60_000), ..new("早安", Audience::All) };
    let broadcast = house.broadcasts.create(&everybody(), timed, |_| None).await.unwrap();
    house.command(&broadcast.id, Command::Pause).await.unwrap();
    tokio::time::sleep(30 * SECOND).await;
    house.command(&broadcast.id, Command::Resume).await.unwrap();
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(
        (house.progress(&broadcast.id).await.state, house.bench.platform.count()),
        (State::Scheduled, 0)
    );
    house.finished(&broadcast.id).await;
    house.sent_once(100);
    let ends_before = NewBroadcast {
        starts_ms: Some(START_MS + 9_000_000),
        expires_ms: Some(START_MS + 8_000_000),
        ..new("早安", Audience::All)
    };
    let refused = house.broadcasts.create(&everybody(), ends_before, |_| None).await;
    assert!(matches!(refused, Err(BroadcastError::Expired)));
}

/// What the house wrote to the log of itself, in order.
fn by_itself(house: &House) -> Vec<String> {
    let verbs = house.bench.ledger.audit_verbs().into_iter();
    verbs
        .filter(|verb| ["start", "try_first", "go_on", "finish", "reopen"].contains(&verb.as_str()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_broadcast_does_by_itself_stands_in_the_log_once() {
    let fails = |d: &Delivery, attempt: u32| {
        if attempt == 1 && d.group.ends_with('7') {
            let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
            Outcome::Refused(Refusal { decision, scope, code: "gone".into(), detail: String::new() })
        } else {
            Outcome::Sent { platform_id: None }
        }
    };
    let house = House::open(100, &["window:10/s"], move |p| p.answering(fails)).await;
    let canary = serde_json::from_str(r#"{"percent": 10, "wait": "1m", "failed_percent_max": 100}"#).unwrap();
    let timed = NewBroadcast {
        starts_ms: Some(START_MS + 60_000),
        canary: Some(canary),
        ..new("早安", Audience::All)
    };
    let made = house.broadcasts.create(&everybody(), timed, |_| None).await.unwrap();
    house.bench.pass(30 * SECOND).await;
    assert_eq!(by_itself(&house), [""; 0]);
    house.bench.pass(40 * SECOND).await;
    assert_eq!(by_itself(&house), ["start", "try_first"]);
    house.finished(&made.id).await;
    house.bench.pass(10 * SECOND).await;
    let through = ["start", "try_first", "go_on", "finish"];
    assert_eq!(by_itself(&house), through);
    let house = house.restart(|p| p).await;
    house.bench.pass(10 * SECOND).await;
    assert_eq!(by_itself(&house), through, "a restart tells nothing anew");
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &made.id).await.unwrap(), 10);
    house.finished(&made.id).await;
    house.bench.pass(10 * SECOND).await;
    assert_eq!(by_itself(&house)[4..], ["reopen", "finish"]);
    let entries =
        house.bench.ledger.audit(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap();
    let replay = entries.iter().find(|entry| entry.verb == "replay").unwrap();
    let detail: serde_json::Value = serde_json::from_str(&replay.detail).unwrap();
    assert_eq!(detail, serde_json::json!({"targets": 10, "filter": {"state": "failed"}}));
    let finish = entries.iter().find(|entry| entry.verb == "finish").unwrap();
    assert_eq!((finish.operator.as_str(), finish.id.as_str()), ("menshen", made.id.as_str()));
}
