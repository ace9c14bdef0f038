//! Mass sends from acceptance to the last confirmation, in virtual time, with crashes where they hurt.

mod crashes;
mod first;
mod foretold;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Config, *};
use crate::broadcasts::*;
use crate::clock::Clock;
use crate::event::{AccountId, Actor, GroupId, GroupName, Hit, OperatorId, Place, Scope};
use crate::outbox::delivery::{Article, Content, Delivery, Refusal, Rendering};
use crate::outbox::testing::*;
use crate::storage::{DeliveryRow, DeliveryState, Kinds, MASS_TARGET, StorageError};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Groups `m-…` need a confirmation, others do not. `m-00017` is owned by `u-1` where there are four owners.
struct Town {
    groups: BTreeSet<GroupName>,
    owners: u32,
    /// Groups whose owner nobody knows.
    orphans: Mutex<BTreeSet<String>>,
    targets_max: usize,
    cap: Option<ReceivingCap>,
}

struct Entry(GroupName);

impl GroupEntry for Entry {
    fn name(&self) -> &GroupName {
        &self.0
    }
    fn platform(&self) -> &'static str {
        "wecom"
    }
    fn place(&self) -> &Place {
        static NOWHERE: std::sync::LazyLock<Place> = std::sync::LazyLock::new(Place::default);
        &NOWHERE
    }
    fn owner(&self) -> Option<&str> {
        None
    }
    fn has_tag(&self, _: &str) -> bool {
        false
    }
    fn value(&self, variable: &str) -> Option<&str> {
        (variable == "group.name").then(|| if self.0.group.as_str().ends_with('7') { "七群" } else { "群" })
    }
}

impl GroupBook for Town {
    fn groups(&self, account: Option<&AccountId>) -> Vec<Box<dyn GroupEntry>> {
        let wanted = self.groups.iter().filter(|name| account.is_none_or(|account| *account == name.account));
        wanted.map(|name| Box::new(Entry(name.clone())) as _).collect()
    }

    fn figures(
        &self,
        _: Option<&AccountId>,
        _: &BTreeSet<u16>,
        _: i64,
    ) -> Result<HashMap<GroupName, Figures>, StorageError> {
        Ok(HashMap::new())
    }

    fn owners(&self, _: &AccountId) -> Result<HashMap<String, String>, StorageError> {
        let orphans = self.orphans.lock();
        let known =
            self.groups.iter().map(|name| name.group.to_string()).filter(|group| !orphans.contains(group));
        let owner = |group: String| {
            let number: u32 = group.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            let owner = format!("u-{}", number % self.owners);
            (group, owner)
        };
        Ok(known.map(owner).collect())
    }

    fn time_zone(&self, _: &GroupName) -> Option<jiff::tz::TimeZone> {
        None
    }
    fn default_time_zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>> {
        self.groups.get(name).map(|name| Box::new(Entry(name.clone())) as _)
    }
}

impl Speaking for Town {
    fn voice(&self, _: &AccountId, _: &str) -> Option<Voice> {
        Some(Voice {
            platform: "wecom",
            text_bytes_max: usize::MAX,
            can_post: true,
            can_recall: false,
            can_edit: false,
            gives_message_text: false,
            gives_member_ids: true,
        })
    }
    fn shows(&self, _: &AccountId, _: &str, _: &Content) -> bool {
        true
    }
    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        Ok(Rendering { call: "task", body: serde_json::json!(delivery.payload) })
    }
}

struct Anything;

impl TextJudge for Anything {
    fn judge(&self, _: &str) -> Result<(), Vec<Hit>> {
        Ok(())
    }

    fn judge_there(&self, _: &GroupName, _: &str) -> Result<(), Vec<Hit>> {
        Ok(())
    }
}

/// The platform's side of [`Confirming`].
struct People {
    town: Arc<Town>,
    tasks: Arc<PlatformTasks>,
    clock: Clock,
}

fn away() -> TaskError {
    TaskError { code: "http_503".into(), detail: String::new(), wait: None, uncertain: false }
}

#[async_trait]
impl Confirming for People {
    fn terms(&self, _: &AccountId, group: &str) -> Option<Terms> {
        let (targets_max, receiving_cap) = (self.town.targets_max, self.town.cap);
        group.starts_with("m-").then_some(Terms { targets_max, text_bytes_max: 100, receiving_cap })
    }

    async fn progress(&self, _: &AccountId, task: &str, owner: &str) -> Result<TaskProgress, TaskError> {
        tokio::time::sleep(20 * MS).await;
        if *self.tasks.is_away.lock() {
            self.tasks.asked_in_vain.fetch_add(1, Ordering::SeqCst);
            return Err(away());
        }
        let conceals = *self.tasks.conceals_cancelled.lock();
        if conceals && self.tasks.with(task, |task| task.is_cancelled) == Some(true) {
            return Err(TaskError { code: "cancelled".into(), ..away() });
        }
        let (refused, strangers) = (self.tasks.refused.lock(), self.tasks.strangers.lock());
        let is_dispatching = *self.tasks.is_dispatching.lock();
        let told = self.tasks.with(task, |task| {
            assert_eq!(task.owner, owner);
            task.polls += 1;
            let told = task.groups.iter().filter(|group| !refused.contains(*group)).map(|group| {
                let result = match (task.confirmed_ms, task.is_cancelled) {
                    (Some(_), _) if strangers.contains(group) => TargetResult::Failed("not_a_friend"),
                    (Some(_), _) => TargetResult::Sent,
                    (None, true) => TargetResult::Failed("cancelled"),
                    (None, false) => TargetResult::Unsent,
                };
                (group.clone(), result)
            });
            let targets = if is_dispatching { Vec::new() } else { told.collect() };
            TaskProgress { confirmed_ms: task.confirmed_ms, targets, is_dispatching }
        });
        told.ok_or_else(|| TaskError { code: "unknown".into(), ..away() })
    }

    async fn remind(&self, _: &AccountId, task: &str) -> Result<(), TaskError> {
        if *self.tasks.caps_reminders.lock() {
            return Err(TaskError { code: "remind_cap".into(), ..away() });
        }
        let now_ms = self.clock.now_ms();
        self.tasks.with(task, |task| task.reminders.push(now_ms));
        tokio::time::sleep(20 * MS).await;
        Ok(())
    }

    async fn cancel(&self, _: &AccountId, task: &str) -> Result<(), TaskError> {
        tokio::time::sleep(20 * MS).await;
        if *self.tasks.is_away.lock() {
            return Err(away());
        }
        self.tasks.with(task, |task| task.is_cancelled = true);
        Ok(())
    }
}

fn everybody() -> Actor {
    let scope: Scope = serde_json::from_str(r#"{"all":true}"#).unwrap();
    Actor { operator: OperatorId::parse("op").unwrap(), token: None, scope }
}

fn named(group: &str) -> GroupName {
    GroupName { account: AccountId::parse("demo").unwrap(), group: GroupId::parse(group).unwrap() }
}

/// A gateway over a ledger, and a platform that outlives it.
struct House {
    bench: Bench,
    broadcasts: Arc<Broadcasts>,
    town: Arc<Town>,
    tasks: Arc<PlatformTasks>,
    /// How often everything is looked at.
    look: Duration,
}

/// A text to everybody.
fn whole(text: &str, expires_ms: Option<i64>) -> NewBroadcast {
    NewBroadcast {
        name: String::new(),
        text: text.into(),
        content: None,
        audience: Audience::All,
        exclude: None,
        account: None,
        starts_ms: None,
        schedule: Schedule::default(),
        repeat: None,
        importance: None,
        canary: None,
        variants: Vec::new(),
        hold_out_percent: 0,
        expires_ms,
        draft: false,
        require_all: false,
    }
}

impl House {
    async fn over(
        clock: &Clock,
        ledger: &Arc<TestLedger>,
        town: Arc<Town>,
        tasks: Arc<PlatformTasks>,
        look: Duration,
    ) -> Self {
        let platform = Platform::new(clock, 20 * MS).with_tasks(&tasks);
        let config = crate::outbox::Config { tick: look, ..crate::outbox::Config::default() };
        let bench = Bench::start(clock, ledger, platform, limits(&["window:50/s"]), config).await;
        let confirmations = Config { wait_max: 40 * HOUR, look, ..Config::default() };
        let people = People { town: town.clone(), tasks: tasks.clone(), clock: clock.clone() };
        let broadcasts = Broadcasts::start(Parts {
            storage: bench.ledger.clone(),
            outbox: bench.outbox.clone(),
            book: town.clone(),
            places: Arc::new(Atlas),
            judge: Arc::new(Anything),
            confirming: Arc::new(people),
            speaking: town.clone(),
            tasks: bench.tasks.clone(),
            clock: clock.clone(),
            config: crate::broadcasts::Config {
                chunk_targets: 20,
                confirmations,
                watch: 2 * look,
                ..Default::default()
            },
            seed: 1,
        });
        Self { bench, broadcasts: broadcasts.await.unwrap(), town, tasks, look }
    }

    /// Opens at ten in the morning in China.
    async fn open(groups: &[String], owners: u32, targets_max: usize) -> Self {
        Self::with_cap(groups, owners, targets_max, None).await
    }

    async fn with_cap(groups: &[String], owners: u32, targets_max: usize, cap: Option<ReceivingCap>) -> Self {
        let groups = groups.iter().map(|group| named(group)).collect();
        let town = Arc::new(Town { groups, owners, orphans: Mutex::default(), targets_max, cap });
        Self::over(&Clock::tokio(MORNING), &TestLedger::new(), town, Arc::default(), SECOND).await
    }

    /// Days pass there: nobody needs to look every second.
    async fn open_for_days(groups: &[String], owners: u32) -> Self {
        let groups = groups.iter().map(|group| named(group)).collect();
        let town = Town { groups, owners, orphans: Mutex::default(), targets_max: 10, cap: None };
        let (clock, ledger) = (Clock::tokio(MORNING), TestLedger::new());
        Self::over(&clock, &ledger, Arc::new(town), Arc::default(), 20 * SECOND).await
    }

    /// Crashes now and starts again.
    async fn crash(self) -> Self {
        let ledger = self.bench.ledger.after_crash();
        for fails in [&self.bench.ledger.fails_to_intend, &self.bench.ledger.fails_to_apply] {
            fails.store(true, Ordering::SeqCst); // what the old one still writes goes nowhere
        }
        self.bench.crash().await;
        self.bench.pass(SECOND).await;
        Self::over(&self.bench.clock, &ledger, self.town.clone(), self.tasks.clone(), self.look).await
    }

    async fn create(&self, text: &str) -> Broadcast {
        self.try_create(text).await.unwrap()
    }

    async fn try_create(&self, text: &str) -> Result<Broadcast, BroadcastError> {
        self.try_create_until(text, None).await
    }

    async fn try_create_until(
        &self,
        text: &str,
        expires_ms: Option<i64>,
    ) -> Result<Broadcast, BroadcastError> {
        let new = whole(text, expires_ms);
        self.broadcasts.create(&everybody(), new, |_| None).await
    }

    async fn progress(&self, id: &BroadcastId) -> Progress {
        self.broadcasts.progress(&everybody(), id).await.unwrap()
    }

    async fn confirmation(&self, id: &BroadcastId) -> Confirmation {
        let broadcast = self.broadcasts.get(&everybody(), id).await.unwrap();
        self.broadcasts.confirmation_of(&broadcast).unwrap()
    }

    async fn until(&self, what: &str, id: &BroadcastId, holds: impl Fn(&Progress) -> bool) -> Progress {
        for _ in 0..20_000 {
            let progress = self.progress(id).await;
            if holds(&progress) {
                return progress;
            }
            tokio::time::sleep(100 * MS).await;
        }
        panic!("never: {what}: {:?}", self.progress(id).await);
    }

    async fn all_wait(&self, id: &BroadcastId, count: u64) {
        self.until("all wait", id, |p| p.counts.awaiting_confirmation == count).await;
    }

    fn rows(&self, kind: &'static str) -> Vec<DeliveryRow> {
        let rows = self.bench.ledger.rows();
        rows.into_iter().filter(|row| Kinds::Only(kind).contains(&row.kind)).collect()
    }

    /// No group is in two tasks, each of these is in one.
    fn each_once(&self, groups: &[String]) {
        assert_eq!(self.tasks.groups(), groups);
    }

    fn now_ms(&self) -> i64 {
        self.bench.clock.now_ms()
    }
}

/// 2026-11-27 10:00 in China.
const MORNING: i64 = 1_795_744_800_000;

fn groups(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("m-{n:05}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_group_is_carried_once_and_sent_when_its_owner_confirms() {
    let all = groups(100);
    let house = House::open(&all, 4, 10).await;
    let broadcast = house.create("全场八折").await;
    assert_eq!((broadcast.mass.survey.need_confirmation, broadcast.mass.survey.owners), (100, 4));
    house.all_wait(&broadcast.id, 100).await;
    house.each_once(&all);
    assert!(house.tasks.all().iter().all(|task| task.groups.len() <= 10));
    let progress = house.progress(&broadcast.id).await;
    assert_eq!((progress.state, progress.targets), (State::Running, 100), "mass sends are no targets");
    assert_eq!(
        house.broadcasts.targets(&everybody(), &broadcast.id, vec![], None, 999).await.unwrap().len(),
        100
    );
    let told = house.confirmation(&broadcast.id).await;
    assert_eq!((told.owners_waiting, told.owners_confirmed, told.tasks_to_create), (4, 0, 0));
    let (from, to) = told.finish.expect("a guess");
    assert_eq!(told.owners_without_history, 4, "nobody knows them yet, and that is said");
    assert!(house.now_ms() < from && from <= to && to <= house.now_ms() + ms(40 * HOUR), "{from} {to}");

    let at_ms = house.now_ms() + 1000;
    house.tasks.strangers.lock().insert("m-00007".into());
    house.tasks.refused.lock().insert("m-00011".into());
    house.tasks.confirm(|owner| owner == "u-3", at_ms);
    let progress =
        house.until("one owner's are there", &broadcast.id, |p| p.counts.awaiting_confirmation == 75).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (23, 2));
    let codes: BTreeMap<_, _> =
        house.rows(MASS_TARGET).into_iter().map(|row| (row.group, row.code)).collect();
    assert_eq!(
        (codes["m-00007"].as_str(), codes["m-00011"].as_str()),
        ("not_a_friend", "refused_by_platform")
    );
    let arrived = house.rows(MASS_TARGET).into_iter().find(|row| row.state == DeliveryState::Sent).unwrap();
    assert_eq!(arrived.updated_ms, at_ms, "when it arrived, not when we heard of it");
    house.tasks.confirm(|_| true, at_ms);
    let progress = house.until("done", &broadcast.id, |p| p.state == State::Finished).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (98, 2));
    house.bench.pass(5 * SECOND).await;
    let told = house.confirmation(&broadcast.id).await;
    assert_eq!((told.owners_waiting, told.owners_confirmed), (0, 4), "also when it is closed");
    assert_eq!(house.bench.platform.count(), house.tasks.all().len(), "one call a task");

    // The next time it is known how long they take.
    let next = house.create("再来").await;
    house.all_wait(&next.id, 100).await;
    let (from, to) = house.confirmation(&next.id).await.finish.unwrap();
    assert!(from <= to && to >= house.now_ms());
}

#[tokio::test(start_paused = true)]
async fn texts_with_variables_make_tasks_of_their_own_and_other_groups_go_by_themselves() {
    let mut all = groups(20);
    all.extend((0..30).map(|n| format!("g-{n}")));
    let house = House::open(&all, 1, 100).await;
    let broadcast = house.create("{group.name}好").await;
    house.until("the others are sent", &broadcast.id, |p| p.counts.sent == 30).await;
    house.all_wait(&broadcast.id, 20).await;
    let texts: BTreeMap<_, _> =
        house.tasks.all().into_iter().map(|task| (task.text, task.groups.len())).collect();
    assert_eq!(texts, [("七群好".to_owned(), 2), ("群好".to_owned(), 18)].into());
    house.tasks.confirm(|_| true, house.now_ms());
    let progress = house.until("done", &broadcast.id, |p| p.state == State::Finished).await;
    assert_eq!(progress.counts.sent, 50);
}

#[tokio::test(start_paused = true)]
async fn a_content_goes_with_the_text_in_one_task_and_alone_where_there_is_no_text() {
    let mut all = groups(20);
    all.push("g-0".to_owned());
    for (text, said) in [("{group.name}好", ["七群好", "群好"]), ("", ["", ""])] {
        let house = House::open(&all, 1, 100).await;
        let link = |title: &str| {
            let url = "https://shop.example/vip".to_owned();
            Content::Link { link: Article { title: title.to_owned(), url, ..Article::default() } }
        };
        let new = NewBroadcast { content: Some(link("{group.name}会员日")), ..whole(text, None) };
        let preview = Asked {
            audience: Audience::All,
            exclude: None,
            account: None,
            text: text.to_owned(),
            content: new.content.clone(),
            group: Some(named("m-00007")),
        };
        let shown = house.broadcasts.preview_of_new(&everybody(), preview).await.unwrap().shown.unwrap();
        assert_eq!((shown.by_fallback, shown.text_bytes, shown.code), (false, said[0].len(), None));
        assert!(shown.words.ends_with("七群会员日\n\nhttps://shop.example/vip"), "{}", shown.words);

        let broadcast = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
        house.all_wait(&broadcast.id, 20).await;
        // Carried over a restart: the content is in the ledger with the target, and with the task.
        let house = house.crash().await;
        let mut tasks = house.tasks.all();
        tasks.sort_by_key(|task| task.groups.len());
        let told: Vec<_> =
            tasks.into_iter().map(|task| (task.text, task.attachments, task.groups.len())).collect();
        let [seventh, others] = said.map(str::to_owned);
        assert_eq!(told, [(seventh, vec![link("七群会员日")], 2), (others, vec![link("群会员日")], 18)]);
        let body = shown.body.unwrap();
        assert_eq!(body["attachments"], serde_json::json!([link("七群会员日")]), "as it was shown");
        house.tasks.confirm(|_| true, house.now_ms());
        let progress = house.until("done", &broadcast.id, |p| p.state == State::Finished).await;
        assert_eq!(progress.counts.sent, 21);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_told_beforehand_and_fails_with_what_to_do() {
    let house = House::with_cap(&groups(10), 2, 10, Some(ReceivingCap::OnceADay)).await;
    let too_long = house.try_create(&"长".repeat(34)).await;
    assert!(matches!(too_long, Err(BroadcastError::PlatformLength { bytes: 102, max: 100 })), "{too_long:?}");
    house.town.orphans.lock().insert("m-00003".into());
    let first = house.create("早").await;
    assert_eq!((first.mass.survey.without_owner, first.mass.survey.at_receiving_cap), (1, 0));
    house.all_wait(&first.id, 9).await;
    house.tasks.confirm(|owner| owner == "u-0", house.now_ms());
    house.until("half are sent", &first.id, |p| p.counts.sent == 5).await;
    let survey = house.broadcasts.preview(&everybody(), &Audience::All, None, None).await.unwrap();
    assert_eq!((survey.groups, survey.without_owner, survey.at_receiving_cap), (10, 1, 5));
    let second = house.create("晚").await;
    let progress = house.until("the rest waits", &second.id, |p| p.counts.awaiting_confirmation == 4).await;
    assert_eq!(progress.counts.failed, 6);
    let of = |row: &DeliveryRow| row.broadcast == second.id.as_str() && !row.code.is_empty();
    let mut codes: Vec<_> = house.rows(MASS_TARGET).into_iter().filter(of).map(|row| row.code).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        ["no_owner", "receiving_cap", "receiving_cap", "receiving_cap", "receiving_cap", "receiving_cap"]
    );
    // The next day, with the owner known: only those that failed are bundled again.
    house.bench.pass(15 * HOUR).await;
    house.town.orphans.lock().clear();
    let before = house.tasks.all().len();
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &second.id).await.unwrap(), 6);
    house.all_wait(&second.id, 10).await;
    let mut again: Vec<_> = house.tasks.all().into_iter().skip(before).flat_map(|task| task.groups).collect();
    again.sort_unstable();
    assert_eq!(again, ["m-00000", "m-00002", "m-00003", "m-00004", "m-00006", "m-00008"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_task_fails_what_it_carries_and_a_replay_makes_a_new_one() {
    let house = House::open(&groups(12), 3, 10).await;
    house.tasks.answers.lock().push(("u-1".into(), Answer::Refuse));
    let broadcast = house.create("x").await;
    let progress = house.until("two owners wait", &broadcast.id, |p| p.counts.failed == 4).await;
    assert_eq!(progress.counts.awaiting_confirmation, 8);
    let failed = house.rows(MASS_TARGET).into_iter().filter(|row| row.state == DeliveryState::Failed);
    assert!(failed.clone().all(|row| row.code == "41048") && failed.count() == 4);
    house.tasks.confirm(|_| true, house.now_ms());
    house.until("it is done", &broadcast.id, |p| p.state == State::Finished).await;
    house.bench.pass(5 * SECOND).await;
    house.tasks.answers.lock().clear();
    house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap();
    house.all_wait(&broadcast.id, 4).await;
    house.each_once(&groups(12));
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_new_tasks_and_leaves_those_that_exist_with_their_owners() {
    let all = groups(400);
    let house = House::open(&all, 200, 10).await;
    let broadcast = house.create("x").await;
    house.bench.until("some exist", |b| b.platform.count() >= 60).await;
    house.broadcasts.command(&everybody(), &broadcast.id, Command::Pause, "").await.unwrap();
    house.bench.pass(30 * SECOND).await;
    let exist = house.tasks.all().len();
    assert!(exist < 130, "{exist} of 200");
    house.tasks.confirm(|_| true, house.now_ms());
    let sent = |p: &Progress| p.counts.sent == 2 * exist as u64;
    let progress = house.until("what exists is sent all the same", &broadcast.id, sent).await;
    assert_eq!(progress.state, State::Paused);
    assert_eq!(house.tasks.all().len(), exist);
    let house = house.crash().await;
    house.bench.pass(30 * SECOND).await;
    assert_eq!(house.tasks.all().len(), exist, "also after a restart");
    house.broadcasts.command(&everybody(), &broadcast.id, Command::Resume, "").await.unwrap();
    house.all_wait(&broadcast.id, 400 - 2 * exist as u64).await;
    house.each_once(&all);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_calls_every_task_off_also_when_the_platform_is_away_and_we_crash() {
    let house = House::open(&groups(40), 4, 10).await;
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 40).await;
    house.tasks.confirm(|owner| owner == "u-2", house.now_ms());
    *house.tasks.is_away.lock() = true;
    house.broadcasts.command(&everybody(), &broadcast.id, Command::Cancel, "").await.unwrap();
    house.bench.pass(30 * SECOND).await;
    assert_eq!(house.progress(&broadcast.id).await.counts.awaiting_confirmation, 40, "nobody knows better");
    let house = house.crash().await;
    house.bench.pass(30 * SECOND).await;
    *house.tasks.is_away.lock() = false;
    let progress = house.until("all are called off", &broadcast.id, |p| p.counts.unfinished() == 0).await;
    assert_eq!((progress.counts.cancelled, progress.counts.sent), (30, 10), "what was sent stays sent");
    // Nothing is left to stop of what was sent.
    assert!(house.tasks.all().iter().all(|task| task.is_cancelled == (task.owner != "u-2")));
    assert!(matches!(
        house.broadcasts.remind(&everybody(), &broadcast.id, None).await,
        Err(BroadcastError::State(IllegalTransition { verb: "remind", .. }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_while_bundles_are_made_leaves_nothing_behind() {
    for wait in [5, 15, 25, 40, 70, 110] {
        let house = House::open(&groups(200), 40, 3).await;
        let broadcast = house.create("x").await;
        house.bench.pass(wait * MS).await;
        house.broadcasts.command(&everybody(), &broadcast.id, Command::Cancel, "").await.unwrap();
        let progress = house.until("nothing is open", &broadcast.id, |p| p.counts.unfinished() == 0).await;
        house.bench.pass(5 * SECOND).await;
        assert_eq!(progress.counts.cancelled, progress.targets, "after {wait} ms");
        assert!(house.tasks.all().iter().all(|task| task.is_cancelled), "after {wait} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn reminders_come_by_the_schedule_and_a_restart_does_not_repeat_them() {
    let house = House::open_for_days(&groups(4), 2).await;
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 4).await;
    house.tasks.confirm(|owner| owner == "u-0", house.now_ms());
    house.bench.pass(HOUR + HOUR * 9 / 10).await;
    let reminders = |house: &House| -> Vec<usize> {
        house.tasks.all().into_iter().map(|task| task.reminders.len()).collect()
    };
    assert_eq!(reminders(&house), [0, 0]);
    house.bench.pass(HOUR / 5).await;
    assert_eq!(reminders(&house), [0, 1], "who confirmed is left alone");
    let house = house.crash().await;
    house.bench.pass(HOUR).await;
    assert_eq!(reminders(&house), [0, 1], "a restart does not remind again");
    house.bench.pass(3 * HOUR + HOUR / 5).await;
    assert_eq!(reminders(&house), [0, 2]);
    let answer = house.broadcasts.remind(&everybody(), &broadcast.id, None).await.unwrap();
    assert_eq!((answer.reminding, answer.held_back), (0, 1), "a moment ago");
    house.bench.pass(HOUR).await;
    let answer = house.broadcasts.remind(&everybody(), &broadcast.id, None).await.unwrap();
    assert_eq!((answer.reminding, answer.held_back), (1, 0));
    house.bench.pass(5 * SECOND).await;
    assert_eq!(reminders(&house), [0, 3]);
    house.bench.pass(HOUR).await;
    let answer = house.broadcasts.remind(&everybody(), &broadcast.id, None).await.unwrap();
    assert_eq!((answer.reminding, answer.held_back), (0, 1), "three in a day");
    house.bench.pass(12 * HOUR).await;
    assert_eq!(reminders(&house), [0, 3]);
    assert_eq!(house.confirmation(&broadcast.id).await.owners_reminded, 1);
    let tasks = house.broadcasts.mass_tasks(&everybody(), &broadcast.id, None, 10).await.unwrap();
    let seen: Vec<_> =
        tasks.iter().map(|t| (t.owner.as_str(), t.record.reminded_ms.len(), t.row.state)).collect();
    assert_eq!(seen, [("u-0", 0, DeliveryState::Sent), ("u-1", 3, DeliveryState::AwaitingConfirmation)]);
    let rest = house.broadcasts.mass_tasks(&everybody(), &broadcast.id, Some(0), 10).await.unwrap();
    assert_eq!(rest, tasks[1..]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_reminded_at_night_nor_past_the_platforms_cap() {
    let house = House::open_for_days(&groups(1), 1).await;
    house.bench.pass(10 * HOUR).await; // eight in the evening
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 1).await;
    house.bench.pass(12 * HOUR).await;
    assert!(house.tasks.all()[0].reminders.is_empty(), "eight in the morning");
    *house.tasks.caps_reminders.lock() = true;
    house.bench.pass(3 * HOUR).await;
    *house.tasks.caps_reminders.lock() = false;
    let tasks = house.broadcasts.mass_tasks(&everybody(), &broadcast.id, None, 10).await.unwrap();
    assert!(tasks[0].record.reminded_ms.is_empty(), "what was refused does not count");
    house.bench.pass(20 * HOUR).await;
    assert!(house.tasks.all()[0].reminders.is_empty(), "the platform's word holds for a day");
    house.bench.pass(4 * HOUR).await;
    assert_eq!(house.tasks.all()[0].reminders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_never_confirms_is_called_off_in_the_end() {
    let house = House::open_for_days(&groups(3), 1).await;
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 3).await;
    house.bench.pass(39 * HOUR).await;
    assert_eq!(house.progress(&broadcast.id).await.counts.awaiting_confirmation, 3);
    house.bench.pass(2 * HOUR).await;
    let progress = house.progress(&broadcast.id).await;
    assert_eq!((progress.state, progress.counts.expired), (State::Finished, 3));
    assert!(house.tasks.all()[0].is_cancelled);
    assert!(house.rows(MASS_TARGET).iter().all(|row| row.code == "not_confirmed"));
}

#[tokio::test(start_paused = true)]
async fn no_range_goes_past_the_time_at_which_tasks_are_called_off() {
    let house = House::open_for_days(&groups(3), 1).await;
    let first = house.create("x").await;
    house.all_wait(&first.id, 3).await;
    // Its owner never confirms, and we are three hours late to call it off.
    *house.tasks.is_away.lock() = true;
    house.bench.pass(43 * HOUR).await;
    *house.tasks.is_away.lock() = false;
    let asked = house.tasks.asked_in_vain.load(Ordering::SeqCst);
    assert!(asked < 400, "asked {asked} times in two days of outage");
    house.until("it is called off", &first.id, |p| p.counts.expired == 3).await;
    let made_ms = |broadcast: &Broadcast| {
        let rows = house.rows(MASS_SEND).into_iter();
        rows.filter(|row| row.broadcast == broadcast.id.as_str()).map(|row| row.updated_ms).max().unwrap()
    };
    let next = house.create("y").await;
    house.all_wait(&next.id, 3).await;
    let called_off_ms = made_ms(&next) + ms(40 * HOUR);
    assert_eq!(house.confirmation(&next.id).await.finish, Some((called_off_ms, called_off_ms)));
    let expires_ms = house.now_ms() + ms(8 * HOUR);
    let short = house.try_create_until("z", Some(expires_ms)).await.unwrap();
    house.all_wait(&short.id, 3).await;
    assert_eq!(house.confirmation(&short.id).await.finish, Some((expires_ms, expires_ms)));
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_tells_nothing_of_a_stopped_task_leaves_no_target_open() {
    let house = House::open(&groups(6), 2, 10).await;
    *house.tasks.conceals_cancelled.lock() = true;
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 6).await;
    house.bench.pass(2 * HOUR).await;
    house.tasks.confirm(|owner| owner == "u-1", house.now_ms());
    house.broadcasts.command(&everybody(), &broadcast.id, Command::Cancel, "").await.unwrap();
    let progress = house.until("all have an outcome", &broadcast.id, |p| p.counts.unfinished() == 0).await;
    assert_eq!((progress.counts.cancelled, progress.counts.sent), (3, 3), "what was sent since is told");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_handed_out_is_asked_about_again() {
    let house = House::open(&groups(2), 1, 10).await;
    *house.tasks.is_dispatching.lock() = true;
    let broadcast = house.create("x").await;
    house.all_wait(&broadcast.id, 2).await;
    house.bench.pass(60 * SECOND).await;
    let polls = house.tasks.all()[0].polls;
    assert!((3..=5).contains(&polls), "{polls}: seldom, and growing apart");
    *house.tasks.is_dispatching.lock() = false;
    house.tasks.confirm(|_| true, house.now_ms());
    house.until("done", &broadcast.id, |p| p.counts.sent == 2).await;
}

#[test]
fn the_configuration_is_read_back_as_it_is_written() {
    let text = toml::to_string(&Config::default()).unwrap();
    let again: Config = toml::from_str(&text).unwrap();
    assert_eq!((again.remind_after, again.quiet), (Config::default().remind_after, QuietHours::night()));
    assert!(toml::from_str::<Config>("remind_after = ['2 hours']").is_err());
    assert!(toml::from_str::<Config>("quiet = 'nights'").is_err());
}
