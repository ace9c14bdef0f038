//! Alerts that stand: raised by what happens, told once over failures and restarts, passed up, recovered.

use super::*;
use crate::alerts::episode::{Kind, Snapshot};
use crate::alerts::terms::Rule;
use crate::event::{HitFact, Level as HitLevel};
use crate::storage::{AuditEntry, DeliveryRow, DeliveryState};

const MINUTE_MS: i64 = 60_000;

impl Bench {
    /// Leaves, so many, one a second up to now.
    async fn leave(&mut self, group: &str, count: i64) {
        let ago_ms = NOW_MS - self.clock.now_ms();
        for n in 0..count {
            let member = format!("u-{}", self.serial);
            self.moved(group, &member, false, ago_ms + (count - 1 - n) * 1_000, false).await;
        }
    }

    async fn hits(&mut self, group: &str, wordlist: &str, count: usize) {
        for n in 0..count {
            let hit = HitFact {
                wordlist: wordlist.to_owned().into(),
                term: 1,
                category: "x".into(),
                level: HitLevel::Low,
                span: (0, 1),
                via: Vec::new(),
            };
            let at_ms = self.clock.now_ms() - i64::try_from(n).unwrap();
            let who = (group, "u-1", Role::Customer);
            self.commit(who, EventType::Message, at_ms, vec![Fact::Hit(hit)]).await;
        }
    }

    /// What was told of alerts: state and context.
    async fn alerts(&self) -> Vec<(String, Value)> {
        let told = self.told().await;
        let alerts = told.iter().filter(|change| change.subject == Subject::Alert);
        alerts.map(|change| (change.state.clone(), context(change))).collect()
    }

    async fn states(&self) -> Vec<String> {
        self.alerts()
            .await
            .into_iter()
            .map(|(state, context)| format!("{} {state}", context["kind"].as_str().unwrap()))
            .collect()
    }

    /// Time goes by, with a look at every half minute.
    async fn pass(&self, follower: &mut Follower, minutes: u64) {
        for _ in 0..minutes * 2 {
            self.clock.advance(Duration::from_secs(30));
            run(follower).await;
        }
    }

    async fn open(&self) -> Vec<Snapshot> {
        self.desk().open_ones(|_| true).await
    }

    async fn rule(&self, id: &str, rule: &str) {
        let rule: Rule = serde_json::from_str(rule).unwrap();
        let audit = AuditEntry::by_house(0, "create", "alert_rule", id);
        self.desk().write_rule(id, Some(&rule), None, audit).await.unwrap();
    }
}

#[tokio::test]
async fn a_leave_surge_is_one_alert_over_failures_and_restarts_until_it_is_over() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    bench.leave("g-1", 14).await;
    run(&mut follower).await;
    assert!(bench.open().await.is_empty(), "nothing usual is known: from 15 on");
    drop(follower);
    let mut follower = bench.follower().await;
    bench.leave("g-1", 4).await;
    bench.disk.faults().fail_ledger(true);
    assert!(follower.step().await.is_err());
    assert!(follower.step().await.is_err());
    bench.disk.faults().fail_ledger(false);
    run(&mut follower).await;
    // A kill: nothing is finished, all is opened again.
    for _ in 0..3 {
        drop(follower);
        follower = bench.follower().await;
        run(&mut follower).await;
    }
    let told = bench.alerts().await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (state, context) = &told[0];
    assert_eq!(
        (state.as_str(), &context["alert"], &context["value"]),
        ("opened", &"al_1".into(), &18.into())
    );
    let why = "18 leaves in 10 min; what is usual here is not known yet, so told from 15 on";
    assert_eq!(
        (&context["why"]["en"], &context["responsible"]["shop_manager"]),
        (&why.into(), &"wang".into())
    );
    assert!(context["todo"]["zh"].as_str().unwrap().contains("暂停"));
    bench.pass(&mut follower, 8).await;
    assert_eq!(bench.open().await[0].cleared_ms, None);
    bench.pass(&mut follower, 3).await;
    assert!(bench.open().await[0].cleared_ms.is_some(), "no longer in the window");
    drop(follower);
    let mut follower = bench.follower().await;
    bench.pass(&mut follower, 11).await;
    assert_eq!(bench.states().await, ["leave_surge opened", "leave_surge recovered"]);
    assert!(bench.open().await.is_empty());
    let ended = bench.desk().ended(None, 9, |_| true).await.unwrap();
    assert_eq!((ended.len(), ended[0].alert.number), (1, 1));
    let ids: std::collections::BTreeSet<_> = bench.told().await.into_iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), bench.told().await.len(), "each under its own id");
}

#[tokio::test]
async fn a_surge_is_explained_by_what_is_usual_at_this_hour() {
    let mut bench = Bench::new().await;
    let week_ms = 7 * 24 * HOUR_MS;
    bench.moved("g-1", "u-old", true, 9 * week_ms, false).await;
    for week in 1..=6 {
        for n in 0..6 {
            let member = format!("w-{week}-{n}");
            bench.moved("g-1", &member, false, week * week_ms + n * MINUTE_MS - 20 * MINUTE_MS, false).await;
        }
    }
    bench.storage.project().unwrap();
    let mut follower = bench.follower().await;
    bench.leave("g-1", 4).await;
    run(&mut follower).await;
    assert!(bench.open().await.is_empty());
    bench.leave("g-1", 14).await;
    run(&mut follower).await;
    let (state, context) = bench.alerts().await.remove(0);
    let why = context["why"]["en"].as_str().unwrap().to_owned();
    assert_eq!(state, "opened");
    assert!(why.starts_with("18 leaves in 10 min; usual here at this hour: 0–"), "{why}");
    assert!(why.ends_with("weeks)"), "{why}");
}

#[tokio::test]
async fn nobody_acknowledges_so_it_goes_up_and_who_is_told_of_it() {
    let mut bench = Bench::new().await;
    bench.watch.people = true;
    let mut follower = bench.follower().await;
    bench.rule("ops", r#"{"tell":[{"account":"demo","group":"g-ops"}],"kinds":["silent_callback"]}"#).await;
    *bench.town.lapse_ms.lock() = Some(NOW_MS);
    bench.pass(&mut follower, 4).await;
    assert!(bench.open().await.is_empty(), "five minutes are nothing");
    bench.pass(&mut follower, 36).await;
    drop(follower);
    let mut follower = bench.follower().await;
    bench.pass(&mut follower, 30).await;
    *bench.town.lapse_ms.lock() = None;
    bench.pass(&mut follower, 11).await;
    let expect = ["opened", "reminded", "escalated", "recovered"];
    let states: Vec<_> = bench
        .alerts()
        .await
        .into_iter()
        .filter(|(_, c)| c["kind"] == "silent_callback")
        .map(|(state, _)| state)
        .collect();
    assert_eq!(states, expect);
    let first = bench.alerts().await.remove(0).1;
    assert_eq!(first["why"]["zh"], "未受保护，自 10:00 起：停机");
    let told = bench.town.told.lock().clone();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|(to, _)| to == "g-ops"));
    assert!(
        told[0].1.starts_with("【预警】回调静默，未受保护：demo\n未受保护，自 10:00 起：停机\n建议："),
        "{}",
        told[0].1
    );
    assert!(told[3].1.contains("已恢复") && !told[3].1.contains("建议"), "{}", told[3].1);
    assert!(bench.storage.documents(DocumentKind::AlertLetter, None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_rests_on_text_is_not_said_where_no_text_is_visible() {
    let mut bench = Bench::new().await;
    let old_ms = 30 * 24 * HOUR_MS;
    bench.moved("g-dead", "u-1", true, old_ms, false).await;
    // Eighteen days ago somebody was heard somewhere: a fortnight of silence is silence.
    let who = ("g-1", "u-1", Role::Customer);
    bench.commit(who, EventType::Message, NOW_MS - old_ms * 6 / 10, Vec::new()).await;
    *bench.town.is_blind.lock() = true;
    *bench.town.is_halted.lock() = true;
    bench.storage.project().unwrap();
    let mut follower = bench.follower().await;
    bench.hits("g-1", "complaint", 40).await;
    bench.pass(&mut follower, 6).await;
    let kinds = |open: Vec<Snapshot>| open.into_iter().map(|alert| alert.kind).collect::<Vec<_>>();
    assert_eq!(kinds(bench.open().await), [Kind::RuleOutOfBand]);
    *bench.town.is_blind.lock() = false;
    bench.hits("g-1", "complaint", 40).await;
    bench.pass(&mut follower, 61).await;
    let states = bench.states().await;
    for expect in ["negative_words opened", "hit_spike opened", "rule_out_of_band opened"] {
        assert!(states.contains(&expect.to_owned()), "{expect}: {states:?}");
    }
    assert!(kinds(bench.open().await).contains(&Kind::DeadGroup));
    // Somebody speaks.
    bench.says("g-dead", "u-1", Role::Customer, false, false).await;
    bench.storage.project().unwrap();
    bench.pass(&mut follower, 75).await;
    assert!(!kinds(bench.open().await).contains(&Kind::DeadGroup));
}

#[tokio::test]
async fn sends_that_fail_or_wait_and_full_groups_and_gaps_are_seen_on_rounds() {
    let mut bench = Bench::new().await;
    bench.watch.members_max = 3;
    let mut follower = bench.follower().await;
    bench.rule("few", r#"{"kinds":["send_failures"],"threshold":2,"window":"30m"}"#).await;
    bench.rule("wait", r#"{"kinds":["unconfirmed_sends"],"threshold":2,"window":"4m"}"#).await;
    for n in 0..3 {
        bench.moved("g-full", &format!("u-{n}"), true, 0, false).await;
    }
    bench.moved("g-gap", "u-1", true, 0, false).await;
    let row = |n: usize, state| DeliveryRow {
        id: format!("dlv_{n}"),
        broadcast: String::new(),
        target: 0,
        account: "demo".into(),
        group: "g-1".into(),
        kind: "reply".into(),
        state,
        attempts: 5,
        due_ms: 0,
        expires_ms: 0,
        body: "{}".into(),
        code: "http_500".into(),
        detail: String::new(),
        updated_ms: NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    };
    let (failed, waits) = (DeliveryState::Failed, DeliveryState::AwaitingConfirmation);
    let rows = vec![row(1, failed), row(2, failed), row(3, waits), row(4, waits)];
    bench.storage.deliveries_add(rows).await.unwrap();
    bench.storage.project().unwrap();
    bench.pass(&mut follower, 45).await;
    let states = bench.states().await;
    for expect in ["send_failures opened", "unconfirmed_sends opened", "silent_callback opened"] {
        assert!(states.contains(&expect.to_owned()), "{expect}: {states:?}");
    }
    assert!(states.contains(&"send_failures recovered".to_owned()), "{states:?}");
    let open = bench.open().await;
    let full = open.iter().find(|alert| alert.kind == Kind::GroupNearlyFull).unwrap();
    assert_eq!(full.place.group.as_deref(), Some("g-full"));
    let gap = open.iter().find(|alert| alert.kind == Kind::SilentCallback).unwrap();
    assert_eq!(gap.place.group.as_deref(), Some("g-gap"));
}

#[tokio::test]
async fn new_groups_go_by_others_and_all_groups_together_by_their_own_past() {
    let mut bench = Bench::new().await;
    let week_ms = 7 * 24 * HOUR_MS;
    for week in 1..=5 {
        for n in 0..40 {
            let (group, member) = (format!("g-{}", n % 12), format!("w-{week}-{n}"));
            bench.moved(&group, &member, false, week * week_ms - n * MINUTE_MS, false).await;
        }
    }
    bench.storage.project().unwrap();
    let mut follower = bench.follower().await;
    bench.leave("g-new", 18).await;
    run(&mut follower).await;
    let (_, context) = bench.alerts().await.remove(0);
    let why = context["why"]["en"].as_str().unwrap().to_owned();
    assert!(why.starts_with("18 leaves in 10 min; usual in groups like this at this hour: 0–"), "{why}");
    for n in 0..12 {
        bench.leave(&format!("g-{n}"), 4).await;
    }
    run(&mut follower).await;
    let fleet = bench.alerts().await.into_iter().find(|(_, context)| context["subject"] == watch::FLEET);
    let (state, context) = fleet.unwrap();
    assert_eq!((state.as_str(), &context["value"], &context["shop"]), ("opened", &66.into(), &Value::Null));
    // Had nobody watched, nothing usual would be known: of all groups nothing is said then, of one by the threshold.
    let mut bench = Bench::new().await;
    *bench.town.was_dark.lock() = true;
    bench.moved("g-1", "u-old", true, 9 * week_ms, false).await;
    bench.storage.project().unwrap();
    let mut follower = bench.follower().await;
    run(&mut follower).await;
    bench.leave("g-1", 14).await;
    run(&mut follower).await;
    assert!(bench.open().await.is_empty());
}

#[tokio::test]
async fn an_account_that_never_was_quiet_and_is_now_is_silent() {
    let mut bench = Bench::new().await;
    *bench.town.is_mute.lock() = true;
    let week_ms = 7 * 24 * HOUR_MS;
    for week in 1..=4 {
        for n in 0..12 {
            let member = format!("w-{week}-{n}");
            bench.moved("g-1", &member, n % 2 == 0, week * week_ms + 30 * MINUTE_MS, false).await;
        }
    }
    bench.storage.project().unwrap();
    let mut follower = bench.follower().await;
    bench.pass(&mut follower, 6).await;
    let open = bench.open().await;
    assert_eq!((open.len(), open[0].kind), (1, Kind::SilentCallback));
    let (_, context) = bench.alerts().await.remove(0);
    assert_eq!(
        context["why"]["en"],
        "not protected since 09:00: no event in an hour in which there were 12 at least in 4 of the last weeks"
    );
    bench.leave("g-1", 1).await;
    bench.storage.project().unwrap();
    bench.pass(&mut follower, 75).await;
    assert!(bench.open().await.is_empty());
}

#[tokio::test]
async fn what_is_not_urgent_waits_for_the_morning_and_is_said_shorter_when_a_wordlist_blocks_it() {
    let mut bench = Bench::new().await;
    bench.watch.members_max = 3;
    bench.watch.people = true;
    let mut follower = bench.follower().await;
    bench.clock.advance(Duration::from_hours(12)); // ten in the evening
    for n in 0..3 {
        bench.moved("g-full", &format!("u-{n}"), true, 0, false).await;
    }
    bench.storage.project().unwrap();
    bench.pass(&mut follower, 15).await;
    assert_eq!((bench.open().await.len(), bench.alerts().await.len()), (1, 0), "seen, not told");
    bench.town.answers.lock().push(Untold::Blocked);
    bench.clock.advance(Duration::from_hours(11));
    run(&mut follower).await;
    assert_eq!(bench.states().await, ["group_nearly_full opened"]);
    assert_eq!(*bench.town.told.lock(), [("wang".to_owned(), "【预警】编号 al_1".to_owned())]);
}
