//! What users of another bulk sender suffered over the years, by the numbers of their issues: each must not happen here.

use super::*;

fn refused(decision: Decision, code: &str) -> Outcome {
    let (scope, detail) = (RefusalScope::Delivery, String::new());
    Outcome::Refused(Refusal { decision, scope, code: code.to_owned(), detail })
}

/// Two thirds of the people got three copies and more after somebody resumed; "resume sends again".
#[tokio::test(start_paused = true)]
async fn issues_2070_and_2313_resuming_sends_nothing_twice_also_after_crashes() {
    let mut house = House::open(1500, &["window:300/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    let mut seen: Vec<String> = Vec::new();
    for pause in [900, 1300, 700] {
        house.bench.pass(pause * MS).await;
        house.command(&broadcast.id, Command::Pause).await.unwrap();
        house.bench.pass(SECOND).await; // what was under way has ended
        let after = house.restart(|p| p).await;
        seen.extend(house.bench.platform.ids());
        house = after;
        house.command(&broadcast.id, Command::Resume).await.unwrap();
    }
    house.finished(&broadcast.id).await;
    seen.extend(house.bench.platform.ids());
    let distinct: HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (1500, 1500));
}

/// "Finished" with people missed, and no way to send to those that failed.
#[tokio::test(start_paused = true)]
async fn issues_164_2272_and_2616_nobody_is_missed_and_only_what_failed_is_sent_again() {
    let house = House::open(300, &[], |p| {
        p.answering(|delivery, attempt| match (delivery.group.as_bytes().last(), attempt) {
            (Some(b'7'), 1) => refused(Decision::Never, "gone"),
            (Some(b'3'), 1 | 2) => refused(Decision::Backoff, "busy"),
            _ => Outcome::Sent { platform_id: None },
        })
    })
    .await;
    let broadcast = house.create("全场八折", Audience::All).await;
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed, progress.targets), (270, 30, 300));
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap(), 30);
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (300, 0));
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in house.bench.platform.calls() {
        *calls.entry(call.group).or_default() += 1;
    }
    let of = |end: char, times: usize| {
        calls.iter().filter(|(group, _)| group.ends_with(end)).all(|(_, calls)| *calls == times)
    };
    assert!(of('7', 2) && of('3', 3) && of('0', 1), "{calls:?}");
}

/// Failures were counted and not kept: nobody could say what became of one person.
#[tokio::test(start_paused = true)]
async fn issues_460_and_1198_every_target_has_a_result_of_its_own() {
    let house = House::open(100, &[], |p| {
        p.answering(|delivery, _| {
            if delivery.group.ends_with('5') {
                return refused(Decision::Never, "not_a_member");
            }
            Outcome::Sent { platform_id: Some(format!("p-{}", delivery.group)) }
        })
    })
    .await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    let rows = house.broadcasts.targets(&everybody(), &broadcast.id, Vec::new(), None, 1000).await.unwrap();
    assert_eq!(rows.len(), 100);
    for row in rows {
        let expect = if row.group.ends_with('5') {
            (DeliveryState::Failed, "not_a_member".to_owned(), String::new())
        } else {
            (DeliveryState::Sent, String::new(), format!("p-{}", row.group))
        };
        assert_eq!((row.state, row.code, row.platform_id), expect, "{}", row.group);
        assert_eq!(row.attempts, 1);
    }
}

/// One sender's limits, several at once, asked for again and again: 10 a second *and* 200 a minute.
#[tokio::test(start_paused = true)]
async fn issues_1112_2500_2663_and_3017_every_limit_of_a_sender_holds_at_once() {
    let house = House::open(500, &["window:10/s", "window:200/m"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.finished(&broadcast.id).await;
    house.sent_once(500);
    let calls = house.bench.platform.calls();
    audit_window(&calls, 10, 1_000);
    audit_window(&calls, 200, 60_000);
    let took_ms = calls.iter().map(|call| call.started_ms).max().unwrap() - calls[0].started_ms;
    assert!((120_000..135_000).contains(&took_ms), "{took_ms} ms: the limits are used, not only kept");
}

/// One campaign's limit put all others to sleep.
#[tokio::test(start_paused = true)]
async fn issue_2094_a_large_broadcast_does_not_stall_a_small_one() {
    let house = House::open(3000, &["window:100/s"], |p| p).await;
    let large = house.create("大", Audience::All).await;
    house.bench.until("it runs", |b| b.platform.count() > 300).await;
    let small = house.create("小", Audience::Groups([named("east-00000"), named("west-00001")].into())).await;
    let from_ms = house.bench.clock.now_ms();
    house.finished(&small.id).await;
    assert!(house.bench.clock.now_ms() - from_ms < 3_000, "{} ms", house.bench.clock.now_ms() - from_ms);
    assert_eq!(house.progress(&large.id).await.state, State::Running);
}

/// Stuck in "running" for ever.
#[tokio::test(start_paused = true)]
async fn issue_905_a_broadcast_whose_targets_have_all_ended_is_finished_also_after_a_crash() {
    let house = House::open(200, &[], |p| p.answering(|_, _| refused(Decision::Never, "gone"))).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("all have failed", |b| b.ledger.count(DeliveryState::Failed) == 200).await;
    let after = house.restart(|p| p).await;
    let progress = after.progress(&broadcast.id).await;
    assert_eq!((progress.state, progress.counts.failed), (State::Finished, 200), "computed, not remembered");
}

/// One process a database: a second one sent everything again, so nobody could take over.
#[tokio::test(start_paused = true)]
async fn issue_2052_a_second_instance_takes_over_and_nothing_is_sent_twice() {
    use crate::storage::memory;
    let storage = memory::open(&memory::Disk::new([1; 16]), &crate::storage::Config::default()).unwrap();
    let clock = Clock::tokio(START_MS);
    let platform = Arc::new(Platform::new(&clock, 20 * MS).resolving(Resolution::Unknown));
    let book = Book::of(1000);
    let instance = async || {
        let epoch = storage.lease("broadcasts").await.unwrap();
        let (tasks, owner) = crate::tasks::detached();
        let ways = Everywhere {
            platform: platform.clone(),
            limits: Mutex::new(limits(&["window:100/s"])),
            accounts: Mutex::default(),
        };
        let outbox = Outbox::start(crate::outbox::Parts {
            storage: storage.clone(),
            deliverers: Arc::new(ways),
            places: Arc::new(Atlas),
            tasks: tasks.clone(),
            clock: clock.clone(),
            config: crate::outbox::Config::default(),
            epoch,
            seed: epoch,
        });
        let outbox = outbox.await.unwrap();
        let broadcasts = Broadcasts::start(Parts {
            storage: storage.clone(),
            outbox: outbox.clone(),
            book: book.clone(),
            places: Arc::new(Atlas),
            judge: Arc::new(Judge),
            confirming: Arc::new(Nobody),
            speaking: book.clone(),
            tasks,
            clock: clock.clone(),
            config: Config { chunk_targets: 100, ..Config::default() },
            seed: epoch,
        });
        (outbox, broadcasts.await.unwrap(), owner)
    };
    let (first_outbox, first, _runs_on) = instance().await;
    let made = first.create(&everybody(), new("全场八折", Audience::All), |_| None).await.unwrap();
    while platform.count() < 300 {
        tokio::time::sleep(10 * MS).await;
    }
    // The old one is not stopped: nobody knew that it still ran.
    let (_outbox, second, _runs_too) = instance().await;
    let mut counts = second.counts(&made.id).await.unwrap();
    for _ in 0..1_000 {
        counts = second.counts(&made.id).await.unwrap();
        if counts.unfinished() == 0 {
            break;
        }
        tokio::time::sleep(100 * MS).await;
    }
    assert_eq!(
        (counts.unfinished(), counts.sent + counts.uncertain),
        (0, 1000),
        "{counts:?}: none is missed"
    );
    assert!(counts.uncertain <= 64, "{counts:?}: only what the old one had under way");
    let mut calls: HashMap<String, usize> = HashMap::new();
    for call in platform.calls() {
        *calls.entry(call.group).or_default() += 1;
    }
    assert!(calls.values().all(|times| *times == 1), "nobody got it twice");
    let fenced = first_outbox.status().into_iter().find(|account| account.account == "demo").unwrap();
    assert_eq!(fenced.stopped, Some("fenced"), "the old one knows that it may not send");
}
