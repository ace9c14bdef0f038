//! Canaries and copies, in virtual time.

use super::*;
use crate::outbox::delivery::Delivery;
use crate::storage::{Counters, HitRow, OutcomeRow};

fn with_canary(json: &str) -> NewBroadcast {
    NewBroadcast { canary: Some(serde_json::from_str(json).unwrap()), ..new("全场八折", Audience::All) }
}

async fn begin(house: &House, new: NewBroadcast) -> Broadcast {
    house.broadcasts.create(&everybody(), new, |_| None).await.unwrap()
}

async fn broadcast(house: &House, id: &BroadcastId) -> Broadcast {
    house.broadcasts.get(&everybody(), id).await.unwrap()
}

fn count(house: &House, at_ms: i64, group: &str, counters: Counters) {
    house.bench.ledger.numbers.lock().counted.push((at_ms, group.to_owned(), counters));
}

fn leaves(number: u64) -> Counters {
    Counters { leaves: number, ..Counters::default() }
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_watched_and_the_rest_follows_by_itself() {
    let house = House::open(1000, &["window:100/s"], |p| p).await;
    let broadcast = begin(&house, with_canary(r#"{"percent": 1, "wait": "30m"}"#)).await;
    house.bench.pass(60 * SECOND).await;
    let first = house.bench.platform.count();
    assert!((9..=11).contains(&first), "{first}");
    let progress = house.progress(&broadcast.id).await;
    assert_eq!(progress.state, State::Canary);
    let foretold = progress.estimated_finish_ms.unwrap();
    // Two members of one of the groups leave every day; one does now.
    let group = house.bench.platform.calls()[0].group.clone();
    count(&house, house.bench.clock.now_ms(), &group, leaves(1));
    house.bench.pass(1700 * SECOND).await;
    assert_eq!(house.bench.platform.count(), first, "the rest waits for half an hour");
    let after = house.restart(|p| p).await;
    let progress = after.finished(&broadcast.id).await;
    assert_eq!(progress.counts.sent, 1000);
    assert_eq!(after.bench.platform.count() + first, 1000, "each group once, a restart between");
    let finished = after.bench.platform.calls().iter().map(|call| call.started_ms).max().unwrap();
    assert!((finished - foretold).abs() < 120_000, "foretold {} ms too early", finished - foretold);
    let trial = self::broadcast(&after, &broadcast.id).await.trial;
    assert_eq!((trial.phase, trial.targets, trial.seen.sent), (Phase::Passed, first as u64, first as u64));
    assert!(trial.why[0].contains("nothing unusual"), "{:?}", trial.why);
    assert!(after.bench.ledger.audit_verbs().contains(&"go_on".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn members_who_leave_stop_it_until_somebody_has_looked() {
    let house = House::open(1000, &["window:100/s"], |p| p).await;
    // In each of the past fourteen days one member left one of the groups.
    for day in 1..=14 {
        count(&house, START_MS - day * 86_400_000, "east-00000", leaves(1));
    }
    let broadcast = begin(&house, with_canary("{}")).await;
    house.bench.pass(60 * SECOND).await;
    let first = house.bench.platform.count();
    count(&house, house.bench.clock.now_ms(), "east-00000", leaves(4));
    house.bench.pass(31 * SECOND).await;
    assert_eq!(house.progress(&broadcast.id).await.state, State::Stopped);
    let stopped = self::broadcast(&house, &broadcast.id).await;
    assert!(stopped.reason.contains("4 members left"), "{}", stopped.reason);
    assert_eq!((stopped.trial.before.leaves, stopped.trial.seen.leaves), (Some(14), Some(4)));
    let after = house.restart(|p| p).await;
    after.bench.pass(3000 * SECOND).await;
    assert_eq!(after.progress(&broadcast.id).await.state, State::Stopped);
    assert_eq!((after.bench.platform.count(), house.bench.platform.count()), (0, first));
    assert!(after.bench.ledger.audit_verbs().contains(&"stop".to_owned()));
    after.command(&broadcast.id, Command::Resume).await.unwrap();
    assert_eq!(after.finished(&broadcast.id).await.counts.sent, 1000);
    assert_eq!(after.bench.platform.count() + first, 1000);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_complaints_stop_it_too() {
    let refuse = |_: &Delivery, _| {
        let refusal = Refusal {
            decision: Decision::Never,
            scope: RefusalScope::Delivery,
            code: "content".into(),
            detail: "the platform does not like it".into(),
        };
        Outcome::Refused(refusal)
    };
    let house = House::open(2000, &["window:100/s"], move |p| p.answering(refuse)).await;
    let broadcast = begin(&house, with_canary("{}")).await;
    house.bench.pass(60 * SECOND).await;
    let stopped = self::broadcast(&house, &broadcast.id).await;
    assert_eq!((stopped.control, stopped.trial.phase), (Control::Stopped, Phase::Stopped));
    assert!(stopped.reason.contains("sends failed"), "{}", stopped.reason);
    assert!(house.bench.platform.count() <= 21);

    let house = House::open(1000, &["window:100/s"], |p| p).await;
    let broadcast = begin(&house, with_canary("{}")).await;
    house.bench.pass(30 * SECOND).await;
    let group = house.bench.platform.calls()[0].group.clone();
    let complaint = HitRow {
        at_ms: house.bench.clock.now_ms(),
        member: "u-1".into(),
        wordlist: "complaint".into(),
        category: "complaint".into(),
        term: 1,
        span: (0, 6),
        via: Vec::new(),
    };
    let other = HitRow { wordlist: "adlaw".into(), ..complaint.clone() };
    house.bench.ledger.numbers.lock().hits.extend(vec![(group.clone(), other); 9]);
    house.bench.pass(31 * SECOND).await;
    assert_eq!(house.progress(&broadcast.id).await.state, State::Canary, "other lists are no complaints");
    house.bench.ledger.numbers.lock().hits.extend(vec![(group, complaint); 3]);
    house.bench.pass(31 * SECOND).await;
    assert!(self::broadcast(&house, &broadcast.id).await.reason.contains("3 complaints"));
}

#[tokio::test(start_paused = true)]
async fn named_shops_go_first_and_a_pause_in_between_is_kept() {
    let house = House::open(200, &["window:100/s"], |p| p).await;
    let broadcast = begin(&house, with_canary(r#"{"shops": ["east-shop"], "wait": "10m"}"#)).await;
    house.bench.pass(60 * SECOND).await;
    let calls = house.bench.platform.calls();
    assert_eq!((calls.len(), calls.iter().all(|call| call.group.starts_with("east"))), (100, true));
    house.command(&broadcast.id, Command::Pause).await.unwrap();
    house.bench.pass(3600 * SECOND).await;
    assert_eq!(house.progress(&broadcast.id).await.state, State::Paused);
    house.command(&broadcast.id, Command::Resume).await.unwrap();
    house.finished(&broadcast.id).await;
    house.sent_once(200);
}

#[tokio::test(start_paused = true)]
async fn copies_go_to_their_shares_and_are_compared_with_those_who_got_none() {
    let house = House::open(2000, &["window:200/s"], |p| p).await;
    let variants: Vec<Variant> =
        serde_json::from_str(r#"[{"name": "b", "percent": 40, "text": "{group.name} 会员日"}]"#).unwrap();
    let new = NewBroadcast { variants, hold_out_percent: 20, ..new("全场八折", Audience::All) };
    let broadcast = begin(&house, new).await;
    let progress = house.finished(&broadcast.id).await;
    let (sent, held) = (progress.counts.sent, progress.counts.cancelled);
    assert_eq!(sent + held, 2000);
    assert!((330..=470).contains(&held), "{held}");
    let mut copies = 0;
    for call in house.bench.platform.calls() {
        let arm = broadcast.arm_of(&named(&call.group));
        let text = if arm == Arm::First {
            "全场八折".to_owned()
        } else {
            format!("群 {} 会员日", call.group)
        };
        assert_eq!(call.text, text);
        copies += u64::from(arm == Arm::Copy(0));
    }
    assert!((710..=890).contains(&copies), "{copies}");
    // Every third group that got the copy orders for ten, every tenth of the others; the same number leave everywhere.
    let now_ms = house.bench.clock.now_ms();
    for number in 0..2000_u32 {
        let name = named(&format!("{}-{number:05}", if number.is_multiple_of(2) { "east" } else { "west" }));
        let each = if broadcast.arm_of(&name) == Arm::Copy(0) { 3 } else { 10 };
        if number.is_multiple_of(each) {
            let order = OutcomeRow {
                account: "demo".into(),
                group: name.group.to_string(),
                kind: "order".into(),
                count: 1,
                value_micros: 10_000_000,
            };
            house.bench.ledger.numbers.lock().outcomes.push(order);
        }
        if number.is_multiple_of(7) {
            count(&house, now_ms, name.group.as_str(), leaves(1));
        }
    }
    house.bench.pass(SECOND).await;
    let effect = house.broadcasts.effect(&everybody(), &broadcast.id, 24 * 3600 * SECOND).await.unwrap();
    let names: Vec<_> = effect.arms.iter().map(|arm| (arm.name.as_str(), arm.groups - arm.sent)).collect();
    assert_eq!(names, [("a", 0), ("b", 0), ("hold_out", held)]);
    let [first, copy, hold_out] = effect.arms.as_slice() else { panic!("three arms") };
    let difference = copy.measures["outcome.order"].difference.unwrap();
    assert!((0.15..0.32).contains(&difference.mean) && difference.low > 0.0, "{difference:?}");
    let value = copy.measures["outcome.order.value"];
    let total = |measure: Measure| measure.total.unwrap();
    assert!((total(value) - total(copy.measures["outcome.order"]) * 10.0).abs() < 1e-6);
    let none = first.measures["leaves"].difference.unwrap();
    assert!(none.low < 0.0 && none.high > 0.0, "no more leave than where nothing was sent: {none:?}");
    assert_eq!(hold_out.measures["leaves"].difference, None, "nobody is compared with themselves");
    assert_eq!(
        house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap(),
        0,
        "they stay without"
    );
}

#[tokio::test(start_paused = true)]
async fn where_a_platform_shows_no_messages_replies_are_null_and_not_zero() {
    let house = House::open(1000, &["window:200/s"], |p| p).await;
    let variants: Vec<Variant> =
        serde_json::from_str(r#"[{"name": "b", "percent": 50, "text": "会员日"}]"#).unwrap();
    let new = NewBroadcast { variants, ..new("全场八折", Audience::All) };
    let broadcast = begin(&house, new).await;
    house.finished(&broadcast.id).await;
    let now_ms = house.bench.clock.now_ms();
    for number in (0..1000).step_by(2) {
        let counters = Counters { messages: 3, leaves: 1, ..Counters::default() };
        count(&house, now_ms, &format!("east-{number:05}"), counters);
    }
    house.bench.pass(SECOND).await;
    for (silent, coverage) in
        [(&[][..], Extent::Full), (&["west"], Extent::Partial), (&["east", "west"], Extent::Unavailable)]
    {
        *house.book.silent.lock() = silent.to_vec();
        let effect = house.broadcasts.effect(&everybody(), &broadcast.id, 24 * 3600 * SECOND).await.unwrap();
        for arm in &effect.arms {
            let messages = arm.measures["messages"];
            assert_eq!(messages.coverage.coverage, coverage);
            assert_eq!(messages.coverage.of, arm.groups);
            let mean = match coverage {
                Extent::Full => messages.total.map(|total| total / float(arm.groups)),
                Extent::Partial => Some(3.0), // of the groups that are seen, and of no others
                Extent::Unavailable => None,
            };
            assert_eq!(messages.mean, mean);
            assert_eq!(messages.difference.is_some(), arm.name == "b" && coverage != Extent::Unavailable);
            assert_eq!(arm.measures["leaves"].coverage.coverage, Extent::Full, "who leaves is told");
            let shown = serde_json::to_value(messages).unwrap();
            assert_eq!(shown["total"].is_null(), coverage == Extent::Unavailable, "{shown}");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a thousand groups")]
fn float(n: u64) -> f64 {
    n as f64
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_cannot_see_complaints_says_so_and_judges_by_the_rest() {
    for (silent, coverage, note) in [
        (&["east", "west"][..], Extent::Unavailable, "complaints could not be seen"),
        (&["west"], Extent::Partial, "complaints could be seen in"),
    ] {
        let house = House::open(1000, &["window:100/s"], |p| p).await;
        *house.book.silent.lock() = silent.to_vec();
        let broadcast = begin(&house, with_canary(r#"{"percent": 2, "wait": "10m"}"#)).await;
        house.finished(&broadcast.id).await;
        let trial = self::broadcast(&house, &broadcast.id).await.trial;
        let seen = trial.seen;
        let covered = seen.complaints_coverage.unwrap();
        assert_eq!((trial.phase, covered.coverage, covered.of), (Phase::Passed, coverage, trial.targets));
        let complaints = (coverage == Extent::Partial).then_some(0);
        assert_eq!(
            (trial.before.complaints, seen.complaints, seen.leaves),
            (complaints, complaints, Some(0))
        );
        assert_eq!(trial.why[0].contains("complained"), coverage == Extent::Partial, "{:?}", trial.why);
        assert!(trial.why[1].contains(note), "{:?}", trial.why);
        let audit = house.bench.ledger.audit_detail("go_on");
        assert!(audit.contains(note), "{audit}");

        // Who leaves can be seen, and stops it.
        let broadcast = begin(&house, with_canary("{}")).await;
        house.bench.pass(60 * SECOND).await;
        count(&house, house.bench.clock.now_ms(), "east-00000", leaves(4));
        house.bench.pass(31 * SECOND).await;
        let stopped = self::broadcast(&house, &broadcast.id).await;
        assert_eq!(stopped.trial.phase, Phase::Stopped);
        assert!(
            stopped.reason.contains("4 members left") && stopped.reason.contains(note),
            "{}",
            stopped.reason
        );
        let audit = house.bench.ledger.audit_detail("stop");
        assert!(audit.contains(note), "{audit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_checked_as_the_text_is() {
    let house = House::open(100, &[], |p| p).await;
    let refused = async |variants: &str, hold_out_percent: u8| {
        let variants = serde_json::from_str(variants).unwrap();
        let new = NewBroadcast { variants, hold_out_percent, ..new("八折", Audience::All) };
        house.broadcasts.create(&everybody(), new, |_| None).await.unwrap_err().to_string()
    };
    let copy = |text: &str| format!(r#"[{{"name": "b", "percent": 50, "text": "{text}"}}]"#);
    assert!(refused(&copy("博彩开奖"), 0).await.starts_with("variants/0/text: the text is blocked"));
    assert!(refused(&copy("{shop.nam"), 0).await.starts_with("variants/0/text"));
    assert!(refused(&copy(""), 0).await.contains("has 0 bytes"));
    assert!(refused(&copy("八折"), 50).await.contains("100 %"));
    let no_canary = with_canary(r#"{"percent": 90}"#);
    let refused = house.broadcasts.create(&everybody(), no_canary, |_| None).await.unwrap_err();
    assert_eq!(refused.to_string(), "canary/percent: write 1 to 50");
}

#[tokio::test(start_paused = true)]
async fn a_young_groups_past_is_no_longer_than_it_is() {
    for (known_hours, state) in [(30 * 24, State::Stopped), (2, State::Canary)] {
        let house = House::open(1000, &["window:100/s"], |p| p).await;
        house.bench.ledger.numbers.lock().known_since_ms = Some(START_MS - known_hours * 3_600_000);
        // A new group is full of comings and goings: two left in its first two hours.
        count(&house, START_MS - 3_600_000, "east-00000", leaves(2));
        let broadcast = begin(&house, with_canary("{}")).await;
        house.bench.pass(1500 * SECOND).await;
        count(&house, house.bench.clock.now_ms(), "east-00000", leaves(3));
        house.bench.pass(60 * SECOND).await;
        assert_eq!(house.progress(&broadcast.id).await.state, state, "known for {known_hours} hours");
        let trial = self::broadcast(&house, &broadcast.id).await.trial;
        assert_eq!(i64::from(trial.before.hours), known_hours.min(14 * 24));
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_get_nothing_try_nothing_and_a_canary_without_any_asks_somebody() {
    let house = House::open(1000, &["window:100/s"], |p| p).await;
    let new = NewBroadcast { hold_out_percent: 50, ..with_canary(r#"{"percent": 10, "wait": "1m"}"#) };
    let held_out = begin(&house, new).await;
    house.finished(&held_out.id).await;
    let trial = broadcast(&house, &held_out.id).await.trial;
    assert_eq!(trial.targets, trial.seen.sent, "{trial:?}");
    assert!((35..=65).contains(&trial.targets), "{trial:?}");

    let nobody = begin(&house, with_canary(r#"{"shops": ["north-shop"]}"#)).await;
    house.bench.pass(60 * SECOND).await;
    let stopped = broadcast(&house, &nobody.id).await;
    assert_eq!((stopped.control, stopped.trial.targets), (Control::Stopped, 0));
    assert!(stopped.reason.contains("somebody must decide"), "{}", stopped.reason);
    house.command(&nobody.id, Command::Resume).await.unwrap();
    assert_eq!(house.finished(&nobody.id).await.counts.sent, 1000);
}

#[tokio::test(start_paused = true)]
async fn the_others_say_until_when_the_first_are_watched_and_that_it_stopped_by_itself() {
    for fails in [false, true] {
        let answer = move |_: &Delivery, _: u32| {
            if fails {
                let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
                Outcome::Refused(Refusal { decision, scope, code: "gone".into(), detail: String::new() })
            } else {
                Outcome::Sent { platform_id: None }
            }
        };
        let house = House::open(200, &["window:10/s"], |p| p.answering(answer)).await;
        let new = with_canary(r#"{"percent": 10, "wait": "10m"}"#);
        let made = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
        let of_others = async || {
            let broadcast = house.broadcasts.get(&everybody(), &made.id).await.unwrap();
            let pending = vec![DeliveryState::Pending];
            let rows = house.broadcasts.targets(&everybody(), &made.id, pending, None, 999).await.unwrap();
            for row in &rows {
                let waits = house.broadcasts.target_waits(&broadcast, row).await.unwrap();
                if !waits.is_empty() {
                    return (broadcast, waits);
                }
            }
            panic!("none of the others waits: {broadcast:?}");
        };
        house.bench.until("the first leave", |b| b.platform.count() > 3).await;
        if !fails {
            assert_eq!(of_others().await.1, [TargetWait::Canary { until_ms: None }]);
        }
        house.bench.pass(60 * SECOND).await;
        let (broadcast, waits) = of_others().await;
        if fails {
            assert_eq!(waits, [TargetWait::Stopped { reason: broadcast.reason.clone() }]);
            assert!(broadcast.reason.contains("sends failed"), "{}", broadcast.reason);
        } else {
            assert_eq!(broadcast.trial.phase, Phase::Watching);
            let until_ms = Some(broadcast.trial.sent_ms + 600_000);
            assert_eq!(waits, [TargetWait::Canary { until_ms }]);
        }
    }
}
