//! Told once whatever fails; owners in one notice, and not at night. Of alerts that stand: `tests/standing`.

mod standing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde_json::Value;

use super::follower::Follower;
use super::*;
use crate::conduct::ladder::Came;
use crate::event::{
    ActionKind, Effects, EventKey, EventType, Fact, HOUR_MS, HandOverFact, Head, Kin, MemberFact,
    QuestionFact, ReviewFact, Role, Status, TalkFact, Verdict, partition_of,
};
use crate::near::Sketch;
use crate::storage::memory::{self, Disk};
use crate::storage::{Append, Change, DocumentKind, StatusChange, StorageError, Write, codec};

/// Ten in the morning in China.
const NOW_MS: i64 = 1_795_312_800_000;

/// A directory in which every group but `g-none` has an owner, and a way to staff that remembers.
#[derive(Default)]
struct Town {
    told: Mutex<Vec<(String, String)>>,
    answers: Mutex<Vec<Untold>>,
    /// Since when nobody watches the account.
    lapse_ms: Mutex<Option<i64>>,
    /// Nobody sees what is said.
    is_blind: Mutex<bool>,
    /// The platform tells nothing of itself.
    is_mute: Mutex<bool>,
    /// Nobody watched the account before now.
    was_dark: Mutex<bool>,
    /// A wordlist's roll-out was halted.
    is_halted: Mutex<bool>,
}

#[async_trait]
impl watch::Sights for Town {
    fn accounts(&self) -> Vec<String> {
        vec!["demo".to_owned()]
    }

    fn shows_text(&self, _: &str) -> bool {
        !*self.is_blind.lock()
    }

    fn lapse(&self, _: &str) -> Option<watch::Lapse> {
        let since_ms = (*self.lapse_ms.lock())?;
        Some(watch::Lapse { since_ms, zh: "停机".to_owned(), en: "down".to_owned() })
    }

    fn knows_lapses(&self, _: &str) -> bool {
        !*self.is_mute.lock()
    }

    fn gap_since(&self, _: &str, group: &str) -> Option<i64> {
        (group == "g-gap").then_some(NOW_MS)
    }

    async fn unprotected(&self, _: &str, from_ms: i64, _: i64) -> Result<Vec<(i64, i64)>, String> {
        Ok(self.was_dark.lock().then_some((from_ms, NOW_MS)).into_iter().collect())
    }

    async fn halted(&self) -> Result<Vec<watch::Halted>, StorageError> {
        let halted = watch::Halted { wordlist: "trial".to_owned(), hit: 30, messages: 100 };
        Ok(self.is_halted.lock().then_some(halted).into_iter().collect())
    }
}

impl Surroundings for Town {
    fn group(&self, _: &str, group: &str) -> Around {
        let owner = (group != "g-none").then(|| "wang".to_owned());
        Around { name: Some(format!("群{group}")), owner, ..Around::default() }
    }

    fn region_manager(&self, region: &str) -> Option<String> {
        (region == "east").then(|| "zhao".to_owned())
    }

    fn hours(&self, _: &str, group: &str) -> Box<IsOpen> {
        let is_known = group == "g-shop"; // which opens at eleven
        Box::new(move |at_ms| is_known.then_some(at_ms >= NOW_MS + HOUR_MS))
    }

    fn zone(&self) -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }
}

#[async_trait]
impl Teller for Town {
    async fn tell(&self, _: &str, _: &str, to: To<'_>, text: String) -> Result<(), Untold> {
        let (To::Staff(staff) | To::Group(staff)) = to;
        if let Some(answer) = self.answers.lock().pop() {
            return Err(answer);
        }
        self.told.lock().push((staff.to_owned(), text));
        Ok(())
    }
}

#[async_trait]
impl Texts for Town {
    async fn has(&self, id: &str) -> bool {
        id == EventKey(2 << 64).evidence()
    }
}

struct Bench {
    disk: Disk,
    clock: Clock,
    town: Arc<Town>,
    leaves: leaves::Config,
    bell: Arc<by_hand::Bell>,
    storage: SharedStorage,
    epoch: u64,
    serial: u128,
    watch: watch::Config,
    /// Of the latest run.
    desk: Mutex<Option<Arc<desk::Desk>>>,
}

impl Bench {
    async fn new() -> Self {
        let disk = Disk::new([3; 16]);
        let storage = memory::open(&disk, &crate::storage::Config::default()).unwrap();
        let epoch = storage.lease("a").await.unwrap();
        let put =
            Write::Put { kind: DocumentKind::Endpoint, id: "ops".into(), body: "{}".into(), expect: None };
        storage.apply(Change { writes: vec![put], ..Change::default() }).await.unwrap();
        let leaves = leaves::Config { notify: Notify::Owner, inferred: false };
        let (clock, town) = (Clock::manual(NOW_MS), Arc::new(Town::default()));
        let bell = Arc::default();
        let (watch, desk) = (watch::Config::default(), Mutex::default());
        Self { disk, clock, town, leaves, bell, storage, epoch, serial: 0, watch, desk }
    }

    /// The desk of the latest run.
    fn desk(&self) -> Arc<desk::Desk> {
        self.desk.lock().clone().unwrap()
    }

    /// A start.
    async fn follower(&self) -> Follower {
        let config = Config {
            groups_named_max: 2,
            notify_hand_overs: Notify::Owner,
            notify_questions: Notify::Owner,
            watch: self.watch.clone(),
            ..Config::default()
        };
        let desk = desk::Desk::open(desk::Parts {
            storage: self.storage.clone(),
            clock: self.clock.clone(),
            around: self.town.clone(),
            config: config.clone(),
        });
        let desk = desk.await.unwrap();
        *self.desk.lock() = Some(desk.clone());
        let parts = Parts {
            storage: self.storage.clone(),
            clock: self.clock.clone(),
            around: self.town.clone(),
            texts: self.town.clone(),
            teller: self.town.clone(),
            config,
            desk,
            sights: self.town.clone(),
            leaves: self.leaves.clone(),
            questions: questions::Config::default(),
            bell: self.bell.clone(),
            journal_window: Duration::from_hours(72),
        };
        Follower::open(parts).await.unwrap()
    }

    /// Somebody joined or left, so long ago.
    async fn moved(&mut self, group: &str, member: &str, joined: bool, ago_ms: i64, inferred: bool) {
        let what = if joined { EventType::MemberJoined } else { EventType::MemberLeft };
        let reason = (!joined).then(|| "self".into());
        let (inviter, scene, channel, union_id) = (None, None, None, None);
        let fact = Fact::Member(MemberFact { joined, inviter, scene, channel, reason, union_id, inferred });
        self.commit((group, member, Role::Customer), what, NOW_MS - ago_ms, vec![fact]).await;
    }

    /// A message, said now.
    async fn says(&mut self, group: &str, member: &str, role: Role, question: bool, handed_over: bool) {
        let sketch = Sketch::of_short("几点关门", &[3; 16]).unwrap();
        let question = question.then_some(QuestionFact { text: 1, sketch });
        let id = format!("e-{}", self.serial + 1);
        let kin = Kin::Other;
        let talk = TalkFact { id: id.clone().into(), kin, to: Vec::new(), quotes: None, question };
        let mut facts = vec![Fact::Talk(talk)];
        if handed_over {
            let until_ms = NOW_MS + HOUR_MS;
            facts.push(Fact::HandOver(HandOverFact { of: id.into(), rule: "human".into(), until_ms }));
        }
        let now_ms = self.clock.now_ms();
        self.commit((group, member, role), EventType::Message, now_ms, facts).await;
    }

    async fn commit(
        &mut self,
        (group, member, role): (&str, &str, Role),
        what: EventType,
        at_ms: i64,
        facts: Vec<Fact<'_>>,
    ) {
        self.serial += 1;
        let head = Head {
            key: EventKey(self.serial << 64),
            at_ms,
            arrived_ms: self.clock.now_ms(),
            account: "demo".into(),
            group: group.into(),
            member: Some(member.into()),
            name: None,
            role,
            what,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        let effects = Effects { head, facts };
        let mut payload = Vec::new();
        codec::encode(&effects, &mut payload);
        let bucket = u32::try_from(at_ms / HOUR_MS).unwrap();
        let append = Append {
            partition: partition_of("demo", group),
            epoch: self.epoch,
            payload: &payload,
            events: 1,
            bucket_min: bucket,
            bucket_max: bucket,
        };
        self.storage.append(append).unwrap().wait().await.unwrap();
    }

    async fn told(&self) -> Vec<StatusChange> {
        self.storage.status_changes(0, 0).await.unwrap()
    }
}

async fn run(follower: &mut Follower) {
    while follower.step().await.unwrap() {}
}

#[tokio::test]
async fn a_leave_is_told_once_with_how_long_they_were_there() {
    let mut bench = Bench::new().await;
    bench.moved("g-1", "u-0", false, 0, false).await; // before anybody asked
    let mut follower = bench.follower().await;
    bench.moved("g-1", "u-1", true, 3 * HOUR_MS, false).await;
    bench.moved("g-1", "u-1", false, HOUR_MS, false).await;
    bench.moved("g-1", "u-2", false, 0, false).await; // of whom nobody knows when they came
    bench.moved("g-1", "u-3", false, 0, true).await; // found by comparing rosters
    bench.disk.faults().fail_ledger(true);
    assert!(follower.step().await.is_err());
    bench.disk.faults().fail_ledger(false);
    run(&mut follower).await;
    drop(follower);
    run(&mut bench.follower().await).await;
    let told = bench.told().await;
    let seen: Vec<_> = told
        .iter()
        .map(|change| {
            assert_eq!((change.subject.as_str(), &*change.state, &*change.group), ("member", "left", "g-1"));
            let context: Value = serde_json::from_str(&change.context).unwrap();
            (context["member"].clone(), context["reason"].clone(), context["seconds_since_joining"].clone())
        })
        .collect();
    let json = |member: &str, seconds: Value| (member.into(), "self".into(), seconds);
    assert_eq!(seen, [json("u-1", 7_200.into()), json("u-2", Value::Null)]);
    // Until an hour ago one; until now four, with the one before and the one that was inferred.
    for (told, expect) in told.iter().zip([1, 4]) {
        let context: Value = serde_json::from_str(&told.context).unwrap();
        assert_eq!(context["left_last_day"], expect);
    }
}

#[tokio::test]
async fn a_wave_is_one_notice_to_its_owner_also_after_a_crash() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    for n in 0..5 {
        let group = ["g-1", "g-1", "g-1", "g-2", "g-3"][n];
        bench.moved(group, &format!("u-{n}"), false, 0, false).await;
    }
    bench.moved("g-none", "u-9", false, 0, false).await;
    run(&mut follower).await;
    assert!(bench.town.told.lock().is_empty(), "more may follow");
    drop(follower);
    let mut follower = bench.follower().await;
    bench.moved("g-2", "u-8", false, 0, false).await;
    run(&mut follower).await;
    bench.clock.advance(Duration::from_mins(10));
    bench.town.answers.lock().push(Untold::Later("away".into()));
    run(&mut follower).await;
    assert!(bench.town.told.lock().is_empty(), "tried again later");
    bench.clock.advance(Duration::from_secs(10));
    run(&mut follower).await;
    drop(follower);
    run(&mut bench.follower().await).await;
    let text = "退群提醒：3 个群共 6 人退群\n· 群g-1：3 人\n· 群g-2：2 人\n· ……";
    assert_eq!(*bench.town.told.lock(), [("wang".to_owned(), text.to_owned())]);
}

#[tokio::test]
async fn nobody_is_told_at_night_and_a_blocked_name_is_left_out() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    bench.clock.advance(Duration::from_hours(12)); // ten in the evening
    bench.moved("g-1", "u-1", false, 0, false).await;
    run(&mut follower).await;
    bench.clock.advance(Duration::from_hours(10));
    run(&mut follower).await;
    assert!(bench.town.told.lock().is_empty(), "eight in the morning");
    bench.clock.advance(Duration::from_hours(1));
    bench.town.answers.lock().push(Untold::Blocked);
    run(&mut follower).await;
    assert_eq!(*bench.town.told.lock(), [("wang".to_owned(), "退群提醒：1 个群共 1 人退群".to_owned())]);
    assert!(bench.storage.documents(DocumentKind::OwnerNotice, None, 0).await.unwrap().is_empty());
}

fn context(change: &StatusChange) -> Value {
    serde_json::from_str(&change.context).unwrap()
}

#[tokio::test]
async fn whoever_asks_for_a_person_is_told_of_at_once_with_what_they_said() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    for _ in 0..3 {
        bench.says("g-1", "u-1", Role::Customer, false, false).await;
    }
    bench.says("g-1", "u-2", Role::Customer, false, false).await;
    run(&mut follower).await;
    drop(follower);
    let mut follower = bench.follower().await;
    bench.says("g-1", "u-1", Role::Customer, false, true).await;
    run(&mut follower).await;
    drop(follower);
    run(&mut bench.follower().await).await;
    let told = bench.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].subject.as_str(), &*told[0].state), ("conversation", "handed_over"));
    let context = context(&told[0]);
    assert_eq!(
        (&context["rule"], &context["event"], &context["member"]),
        (&"human".into(), &"e-5".into(), &"u-1".into())
    );
    let text = format!("/v1/evidence/{}", EventKey(2 << 64).evidence());
    let said = [("e-1", None), ("e-2", Some(&*text)), ("e-3", None), ("e-5", None)];
    let said = said.map(|(event, text)| serde_json::json!({"event": event, "text": text}));
    assert_eq!(context["messages"], serde_json::json!(said), "also what was said before the start");
    let owner = "有 1 次请求人工服务，请尽快到群里回复\n· 群g-1：1 次";
    assert_eq!(*bench.town.told.lock(), [("wang".to_owned(), owner.to_owned())]);
}

#[tokio::test]
async fn what_no_program_did_is_told_once_with_all_that_is_needed() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    bench.moved("g-1", "u-1", true, 0, false).await;
    let review = |rule: &'static str| vec![Fact::Review(ReviewFact { rule: rule.into() })];
    for (member, rule) in
        [("u-1", "ladder:mute:unsupported"), ("u-2", "kick:remove:over_budget"), ("u-3", "some-list")]
    {
        bench.commit(("g-1", member, Role::Customer), EventType::Message, NOW_MS, review(rule)).await;
    }
    run(&mut follower).await;
    // A person decided about a case meanwhile; the notice is theirs, written by somebody else.
    let todo = Todo {
        account: "demo".into(),
        group: "g-2".into(),
        member: Some("u-4".into()),
        action: ActionKind::Recall,
        came: Came::Unsupported,
        of: Some("e-9".into()),
        asked: "case_1".into(),
    };
    let asked = by_hand::ask(
        &[todo.clone(), todo],
        &*bench.town,
        &Config { groups_named_max: 2, ..Config::default() },
        (&[3; 16], NOW_MS),
    );
    let (writes, told) = (asked.writes, asked.told);
    bench.storage.apply(Change { writes, told, ..Change::default() }).await.unwrap();
    bench.bell.ring();
    run(&mut follower).await;
    let of_case = "有 2 件违规处置系统没有代办，请您在群里处理\n· 群g-2：请删除 u-4 的违规消息\n· 群g-2：请删除 u-4 的违规消息";
    assert_eq!(*bench.town.told.lock(), [("wang".to_owned(), of_case.to_owned())]);
    bench.clock.advance(Duration::from_mins(10));
    bench.town.answers.lock().push(Untold::Blocked); // somebody is called like an advert
    run(&mut follower).await;
    run(&mut bench.follower().await).await;
    let of_ladder = "有 2 件违规处置系统没有代办，请您在群里处理\n· 群g-1：请将 u-1 禁言\n· 群g-1：请将 u-2 移出（本小时自动移出名额已用完，请先核实）";
    assert_eq!(bench.town.told.lock()[1..], [("wang".to_owned(), of_ladder.to_owned())]);
    let told = bench.told().await;
    let seen: Vec<_> = told
        .iter()
        .map(|change| {
            assert_eq!((change.subject.as_str(), &*change.state), ("member", "by_hand"));
            let context = context(change);
            let word = |field: &str| context[field].as_str().unwrap().to_owned();
            (word("member"), word("action"), word("because"), word("asked_by"))
        })
        .collect();
    let expect = [
        ("u-1", "mute", "unsupported", "ladder"),
        ("u-2", "remove", "over_budget", "kick"),
        ("u-4", "recall", "unsupported", "case_1"),
        ("u-4", "recall", "unsupported", "case_1"),
    ];
    let expect = expect.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(seen, expect);
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_told_once_over_failures_and_restarts() {
    let mut bench = Bench::new().await;
    let mut follower = bench.follower().await;
    bench.says("g-1", "u-1", Role::Customer, true, false).await;
    bench.says("g-2", "u-2", Role::Customer, true, false).await;
    bench.says("g-shop", "u-3", Role::Customer, true, false).await;
    run(&mut follower).await;
    drop(follower);
    let mut follower = bench.follower().await;
    bench.clock.advance(Duration::from_mins(5));
    bench.says("g-2", "li", Role::Staff, false, false).await;
    run(&mut follower).await;
    bench.clock.advance(Duration::from_mins(5));
    run(&mut follower).await;
    assert!(bench.told().await.is_empty(), "an answer may be on its way");
    bench.clock.advance(Duration::from_secs(2));
    bench.disk.faults().fail_ledger(true);
    assert!(follower.step().await.is_err());
    bench.disk.faults().fail_ledger(false);
    run(&mut follower).await;
    bench.says("g-1", "li", Role::Staff, false, false).await; // too late
    for _ in 0..2 {
        run(&mut follower).await;
        follower = bench.follower().await;
    }
    run(&mut follower).await;
    let told = bench.told().await;
    assert_eq!(told.len(), 1);
    let context = context(&told[0]);
    assert_eq!(
        (told[0].subject.as_str(), &*told[0].state, &*told[0].group),
        ("question", "unanswered", "g-1")
    );
    assert_eq!((&context["event"], &context["question"]), (&"e-1".into(), &(*told[0].id).into()));
    let kept = unanswered::between(&bench.storage, (NOW_MS, NOW_MS + 1), 9, |_| true).await.unwrap();
    assert_eq!((kept.questions.len(), kept.more, &*kept.questions[0].member), (1, false, "u-1"));
    // The doors open an hour later.
    bench.clock.advance(Duration::from_hours(1));
    run(&mut follower).await;
    assert_eq!(bench.told().await[1].group, "g-shop");
    bench.clock.advance(Duration::from_hours(31 * 24));
    run(&mut follower).await;
    let kept = unanswered::between(&bench.storage, (0, i64::MAX), 9, |_| true).await.unwrap();
    assert!(kept.questions.is_empty(), "forgotten after a month");
}
