//! Broadcasts from acceptance to the last target, in virtual time.

mod audiences;
mod caps;
mod first;
mod foresight;
mod life;
mod listmonk;
mod recurring;
mod saying;
mod times;
mod undoing;
mod why;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::event::{AccountId, GroupId, GroupName, Hit, OperatorId, Place, RegionId, Scope, ShopId};
use crate::outbox::delivery::{
    Content, Decision, Delivery, Outcome, Refusal, RefusalScope, Rendering, Resolution,
};
use crate::outbox::testing::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

struct Entry {
    name: GroupName,
    place: Place,
    variables: BTreeMap<&'static str, String>,
}

impl GroupEntry for Entry {
    fn name(&self) -> &GroupName {
        &self.name
    }
    fn platform(&self) -> &'static str {
        "sandbox"
    }
    fn place(&self) -> &Place {
        &self.place
    }
    fn has_tag(&self, tag: &str) -> bool {
        tag == "vip" && self.name.group.as_str().ends_with('0')
    }
    fn owner(&self) -> Option<&str> {
        None
    }
    fn value(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str)
    }
}

/// `east-00000` to `west-…`: half of the groups in each region, in order of names.
struct Book {
    names: BTreeSet<GroupName>,
    /// Shops' names that came later.
    shops: Mutex<BTreeMap<GroupName, String>>,
    /// What was counted.
    figures: Mutex<HashMap<GroupName, Figures>>,
    /// Groups in which nothing can be said.
    mute: Mutex<BTreeSet<String>>,
    /// Beginnings of the groups whose platform shows no messages.
    silent: Mutex<Vec<&'static str>>,
}

/// The east shows links and takes 200 bytes; the west shows no links, and takes any length.
impl Speaking for Book {
    fn voice(&self, _: &AccountId, group: &str) -> Option<Voice> {
        let text_bytes_max = if group.starts_with("east") { 200 } else { usize::MAX };
        let can_recall = group != "east-00004";
        Some(Voice {
            platform: "sandbox",
            text_bytes_max,
            can_post: !self.mute.lock().contains(group),
            can_recall,
            can_edit: group.starts_with("east"),
            gives_message_text: !self.silent.lock().iter().any(|start| group.starts_with(start)),
            gives_member_ids: true,
        })
    }
    fn shows(&self, _: &AccountId, group: &str, content: &Content) -> bool {
        group.starts_with("east") || !matches!(content, Content::Link { .. })
    }
    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        Ok(Rendering { call: "say", body: serde_json::json!(delivery.payload) })
    }
}

impl Book {
    fn of(groups: u32) -> Arc<Self> {
        let name = |n: u32| named(&format!("{}-{n:05}", if n.is_multiple_of(2) { "east" } else { "west" }));
        let names = (0..groups).map(name).collect();
        Arc::new(Self {
            names,
            shops: Mutex::default(),
            figures: Mutex::default(),
            mute: Mutex::default(),
            silent: Mutex::default(),
        })
    }

    /// Gives the shop of a group a name.
    fn name_shop(&self, group: &str, shop: &str) {
        self.shops.lock().insert(named(group), shop.to_owned());
    }

    fn entry(&self, name: &GroupName) -> Box<dyn GroupEntry> {
        let place = Atlas.group_place(name);
        let mut variables = BTreeMap::from([("group.name", format!("群 {}", name.group))]);
        if place.region.as_ref().is_some_and(|region| region.as_str() == "east") {
            variables.insert("shop.name", "南京东路店".to_owned());
        }
        if name.group.as_str() == "east-00002" {
            variables.insert("shop.name", "博彩".to_owned());
        }
        if let Some(shop) = self.shops.lock().get(name) {
            variables.insert("shop.name", shop.clone());
        }
        Box::new(Entry { name: name.clone(), place, variables })
    }
}

impl GroupBook for Book {
    fn groups(&self, account: Option<&AccountId>) -> Vec<Box<dyn GroupEntry>> {
        let wanted = self.names.iter().filter(|name| account.is_none_or(|account| *account == name.account));
        wanted.map(|name| self.entry(name)).collect()
    }
    fn figures(
        &self,
        _: Option<&AccountId>,
        _: &BTreeSet<u16>,
        _: i64,
    ) -> Result<HashMap<GroupName, Figures>, StorageError> {
        Ok(self.figures.lock().clone())
    }
    fn owners(&self, _: &AccountId) -> Result<HashMap<String, String>, StorageError> {
        unreachable!("nobody must confirm")
    }
    fn time_zone(&self, name: &GroupName) -> Option<jiff::tz::TimeZone> {
        let name = if name.group.as_str().starts_with("east") { "Asia/Shanghai" } else { "UTC" };
        jiff::tz::TimeZone::get(name).ok()
    }
    fn default_time_zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>> {
        self.names.get(name).map(|name| self.entry(name))
    }
}

/// No group waits for a person here; `mass` has tests of its own.
struct Nobody;

#[async_trait::async_trait]
impl Confirming for Nobody {
    fn terms(&self, _: &AccountId, _: &str) -> Option<Terms> {
        None
    }
    async fn progress(&self, _: &AccountId, _: &str, _: &str) -> Result<TaskProgress, TaskError> {
        unreachable!("there are no tasks")
    }
    async fn remind(&self, _: &AccountId, _: &str) -> Result<(), TaskError> {
        unreachable!("there are no tasks")
    }
    async fn cancel(&self, _: &AccountId, _: &str) -> Result<(), TaskError> {
        unreachable!("there are no tasks")
    }
}

struct Judge;

impl TextJudge for Judge {
    fn judge(&self, text: &str) -> Result<(), Vec<Hit>> {
        let Some(at) = text.find("博彩") else { return Ok(()) };
        Err(vec![Hit {
            wordlist: "fraud".into(),
            category: "gambling".into(),
            level: crate::event::Level::High,
            term: "博彩".into(),
            matched: "博彩".into(),
            span: [at, at + 6],
            via: Vec::new(),
            confidence: 100,
        }])
    }

    fn judge_there(&self, group: &GroupName, text: &str) -> Result<(), Vec<Hit>> {
        if group.group.as_str() == "west-00003" && text.contains("清仓") {
            return self.judge(&text.replace("清仓", "博彩"));
        }
        Ok(())
    }
}

fn named(group: &str) -> GroupName {
    GroupName { account: AccountId::parse("demo").unwrap(), group: GroupId::parse(group).unwrap() }
}

fn actor(scope: &str) -> Actor {
    let scope: Scope = serde_json::from_str(scope).unwrap();
    Actor { operator: OperatorId::parse("op").unwrap(), token: None, scope }
}

fn everybody() -> Actor {
    actor(r#"{"all":true}"#)
}

fn new(text: &str, audience: Audience) -> NewBroadcast {
    NewBroadcast {
        name: String::new(),
        text: text.into(),
        content: None,
        audience,
        exclude: None,
        account: None,
        starts_ms: None,
        schedule: Schedule::default(),
        repeat: None,
        importance: None,
        canary: None,
        variants: Vec::new(),
        hold_out_percent: 0,
        expires_ms: None,
        draft: false,
        require_all: false,
    }
}

/// An outbox with broadcasts on top.
struct House {
    bench: Bench,
    broadcasts: Arc<Broadcasts>,
    book: Arc<Book>,
    config: Config,
}

impl House {
    async fn over(bench: Bench, book: Arc<Book>, config: Config) -> Self {
        let broadcasts = Broadcasts::start(Parts {
            storage: bench.ledger.clone(),
            outbox: bench.outbox.clone(),
            book: book.clone(),
            places: Arc::new(Atlas),
            judge: Arc::new(Judge),
            confirming: Arc::new(Nobody),
            speaking: book.clone(),
            tasks: bench.tasks.clone(),
            clock: bench.clock.clone(),
            config: Config { chunk_targets: 100, ..config.clone() },
            seed: 1,
        });
        let broadcasts = broadcasts.await.unwrap();
        Self { bench, broadcasts, book, config }
    }

    async fn open(groups: u32, limit_texts: &[&str], platform: impl FnOnce(Platform) -> Platform) -> Self {
        Self::open_with(Config::default(), groups, limit_texts, platform).await
    }

    async fn open_with(
        config: Config,
        groups: u32,
        limit_texts: &[&str],
        platform: impl FnOnce(Platform) -> Platform,
    ) -> Self {
        let clock = Clock::tokio(START_MS);
        let platform = platform(Platform::new(&clock, 20 * MS));
        let outbox = crate::outbox::Config::default();
        let bench = Bench::start(&clock, &TestLedger::new(), platform, limits(limit_texts), outbox).await;
        Self::over(bench, Book::of(groups), config).await
    }

    /// Starts again after a crash.
    async fn restart(&self, platform: impl FnOnce(Platform) -> Platform) -> Self {
        let limits = self.bench.ways.limits.lock().clone();
        let platform = platform(Platform::new(&self.bench.clock, 20 * MS));
        let (ledger, outbox) = (self.bench.ledger.after_crash(), crate::outbox::Config::default());
        let bench = Bench::start(&self.bench.clock, &ledger, platform, limits, outbox).await;
        Self::over(bench, self.book.clone(), self.config.clone()).await
    }

    async fn create(&self, text: &str, audience: Audience) -> Broadcast {
        self.broadcasts.create(&everybody(), new(text, audience), |_| None).await.unwrap()
    }

    async fn progress(&self, id: &BroadcastId) -> Progress {
        self.broadcasts.progress(&everybody(), id).await.unwrap()
    }

    async fn command(&self, id: &BroadcastId, command: Command) -> Result<Broadcast, BroadcastError> {
        self.broadcasts.command(&everybody(), id, command, "").await
    }

    async fn finished(&self, id: &BroadcastId) -> Progress {
        for _ in 0..10_000 {
            let counts = self.broadcasts.counts(id).await.unwrap();
            let broadcast = self.broadcasts.get(&everybody(), id).await.unwrap();
            if broadcast.state(&counts, self.bench.clock.now_ms()) == State::Finished {
                return self.progress(id).await;
            }
            tokio::time::sleep(100 * MS).await;
        }
        panic!("never finished: {:?}", self.progress(id).await);
    }

    fn sent_once(&self, count: usize) {
        let groups: HashSet<_> = self.bench.platform.calls().iter().map(|call| call.group.clone()).collect();
        assert_eq!((groups.len(), self.bench.platform.count()), (count, count));
    }
}

#[tokio::test(start_paused = true)]
async fn every_group_gets_it_once_under_the_limit() {
    let house = House::open(3000, &["window:500/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    assert_eq!(broadcast.expected, 3000);
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.targets), (3000, 3000));
    house.sent_once(3000);
    audit_window(&house.bench.platform.calls(), 500, 1000);
}

#[tokio::test(start_paused = true)]
async fn the_finish_is_foretold() {
    let house = House::open(3000, &["window:100/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("some are sent", |b| b.platform.count() > 300).await;
    let foretold = house.progress(&broadcast.id).await.estimated_finish_ms.unwrap();
    let from = house.bench.clock.now_ms();
    house.bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 3000).await;
    let (real, foretold) = (house.bench.clock.now_ms() - from, foretold - from);
    assert!((real - foretold).abs() * 20 <= real, "foretold {foretold} ms, was {real} ms");
    assert_eq!(house.progress(&broadcast.id).await.estimated_finish_ms, None);
}

#[tokio::test(start_paused = true)]
async fn two_broadcasts_share_the_way_and_the_forecast_knows() {
    let house = House::open(1000, &["window:100/s"], |p| p).await;
    let first = house.create("一", Audience::All).await;
    let second = house.create("二", Audience::All).await;
    house.bench.until("both run", |b| b.platform.count() >= 400).await;
    // The first one had a window to itself before the second was there.
    let calls = house.bench.platform.calls();
    let ones = calls.iter().skip(200).take(200).filter(|call| call.text == "一").count();
    assert!((90..=110).contains(&ones), "{ones} of 200");
    house.bench.pass(3 * SECOND).await; // the watch has counted both
    let from = house.bench.clock.now_ms();
    let foretold = house.progress(&first.id).await.estimated_finish_ms.unwrap() - from;
    house.finished(&first.id).await;
    let real = house.bench.clock.now_ms() - from;
    assert!((real - foretold).abs() * 10 <= real, "foretold {foretold} ms, was {real} ms");
    house.finished(&second.id).await;
    assert_eq!(house.bench.platform.count(), 2000);
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_targets_are_written_loses_and_doubles_none() {
    for pause in [3, 7, 11, 20, 40] {
        let house = House::open(1000, &["window:200/s"], |p| p).await;
        let broadcast = house.create("全场八折", Audience::All).await;
        house.bench.pass(pause * MS).await;
        let called: HashSet<_> = house.bench.platform.ids().into_iter().collect();
        // What the old process had called, the platform can tell.
        let after = house.restart(|p| p.resolving(Resolution::Sent)).await;
        after.bench.until("all are sent", |b| b.ledger.count(DeliveryState::Sent) == 1000).await;
        let progress = after.finished(&broadcast.id).await;
        assert_eq!((progress.targets, progress.counts.sent), (1000, 1000), "after {pause} ms");
        let again = after.bench.platform.ids().iter().filter(|id| called.contains(*id)).count();
        assert_eq!(again, 0, "after {pause} ms");
        let targets: HashSet<_> = after.bench.ledger.rows().into_iter().map(|row| row.group).collect();
        assert_eq!(targets.len(), 1000, "each group is one target");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_takes_effect_at_once_and_holds_over_a_restart() {
    let house = House::open(3000, &["window:500/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("it runs", |b| b.platform.count() > 700).await;
    let asked_ms = house.bench.clock.now_ms();
    house.command(&broadcast.id, Command::Pause).await.unwrap();
    assert!(house.bench.clock.now_ms() - asked_ms < 100);
    let called = house.bench.platform.count();
    house.bench.pass(30 * SECOND).await;
    assert!(house.bench.platform.count() - called <= 64, "at most what was in flight");
    assert_eq!(house.progress(&broadcast.id).await.state, State::Paused);
    let after = house.restart(|p| p).await;
    after.bench.pass(30 * SECOND).await;
    assert_eq!(after.bench.platform.count(), 0);
    after.command(&broadcast.id, Command::Resume).await.unwrap();
    let progress = after.finished(&broadcast.id).await;
    assert_eq!(progress.counts.sent, 3000);
    assert_eq!(after.bench.platform.count() + house.bench.platform.count(), 3000);
}

#[tokio::test(start_paused = true)]
async fn pause_and_resume_while_it_runs_lose_and_double_none() {
    let house = House::open(2000, &["window:300/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    for _ in 0..6 {
        house.bench.pass(700 * MS).await;
        house.command(&broadcast.id, Command::Pause).await.unwrap();
        house.bench.pass(50 * MS).await;
        house.command(&broadcast.id, Command::Resume).await.unwrap();
    }
    house.finished(&broadcast.id).await;
    house.sent_once(2000);
    assert_eq!(house.bench.ledger.conflicts.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_broadcast_says_what_became_of_each_target() {
    let house = House::open(2000, &["window:200/s"], |p| p).await;
    let broadcast = house.create("全场八折", Audience::All).await;
    house.bench.until("it runs", |b| b.platform.count() > 300).await;
    house.command(&broadcast.id, Command::Cancel).await.unwrap();
    house.bench.pass(10 * SECOND).await;
    let progress = house.progress(&broadcast.id).await;
    assert_eq!(progress.state, State::Cancelled);
    assert_eq!(progress.counts.sent + progress.counts.cancelled, 2000);
    assert_eq!(progress.counts.sent, house.bench.platform.count() as u64);
    let refused = house.command(&broadcast.id, Command::Resume).await;
    assert!(matches!(refused, Err(BroadcastError::State(_))));
    assert_eq!(house.bench.ledger.audit_verbs(), ["create", "cancel"]);
}

#[tokio::test(start_paused = true)]
async fn variables_are_filled_in_and_what_cannot_be_said_is_shown() {
    let house = House::open(100, &[], |p| p).await;
    let broadcast = house.create("{shop.name}的朋友们，{group.name}好", Audience::All).await;
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (49, 51));
    let (actor, states) = (everybody(), vec![DeliveryState::Failed]);
    let failed = house.broadcasts.targets(&actor, &broadcast.id, states, None, 100).await.unwrap();
    let codes: Vec<_> = failed.into_iter().map(|row| row.code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "missing_variable").count(), 50, "the west has no shop");
    assert_eq!(codes.iter().filter(|code| *code == "blocked").count(), 1, "a shop's name is judged too");
    let text = house.bench.platform.calls()[0].text.clone();
    assert_eq!(text, "南京东路店的朋友们，群 east-00000好");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_not_told_what_only_its_own_lists_forbid() {
    let house = House::open(10, &[], |p| p).await;
    let broadcast = house.create("清仓八折", Audience::All).await;
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (9, 1));
    let failed =
        house.broadcasts.targets(&everybody(), &broadcast.id, vec![DeliveryState::Failed], None, 9).await;
    let failed: Vec<_> = failed.unwrap().into_iter().map(|row| (row.group, row.code)).collect();
    assert_eq!(failed, [("west-00003".to_owned(), "blocked".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_said_is_said_anew_and_never_as_it_was_written() {
    let house = House::open(100, &[], |p| p).await;
    let broadcast = house.create("{shop.name}的朋友们，{group.name}好", Audience::All).await;
    house.finished(&broadcast.id).await;
    house.book.name_shop("west-00001", "虹桥店");
    house.book.name_shop("east-00002", "外滩店");
    house.book.name_shop("west-00003", "博彩");
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap(), 2);
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (51, 49));
    let mut texts: Vec<_> = house.bench.platform.calls()[49..].iter().map(|call| call.text.clone()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["外滩店的朋友们，群 east-00002好", "虹桥店的朋友们，群 west-00001好"]);
    let states = vec![DeliveryState::Failed];
    let failed = house.broadcasts.targets(&everybody(), &broadcast.id, states, None, 100).await.unwrap();
    let code = |group: &str| failed.iter().find(|row| row.group == group).map(|row| row.code.clone());
    assert_eq!(code("west-00003").as_deref(), Some("blocked"), "what is in its way now is told");
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap(), 0);
    assert_eq!(house.bench.platform.count(), 51);
}

#[tokio::test(start_paused = true)]
async fn audiences_are_put_together() {
    let house = House::open(100, &[], |p| p).await;
    let read = |text: &str| serde_json::from_str::<Audience>(text).unwrap();
    let count = async |actor: &Actor, text: &str| {
        house.broadcasts.preview(actor, &read(text), None, None).await.map(|survey| survey.groups)
    };
    for (text, groups) in [
        (r#""all""#, 100),
        (r#"{"regions":["east"]}"#, 50),
        (r#"{"every":[{"regions":["east"]},{"not":{"tags":["vip"]}}]}"#, 40),
        (r#"{"any":[{"tags":["vip"]},{"groups":["demo/west-00001"]}]}"#, 11),
        (r#"{"every":[{"groups":["demo/west-00001","demo/east-00002"]},{"regions":["west"]}]}"#, 1),
        (r#"{"not":{"any":[{"regions":["east"]},{"accounts":["demo"]}]}}"#, 0),
        (r#"{"accounts":["other"]}"#, 0),
        (r#"{"brands":["nobody"]}"#, 0),
    ] {
        assert_eq!(count(&everybody(), text).await.unwrap(), groups, "{text}");
    }
    let east = actor(r#"{"regions":["east"]}"#);
    assert_eq!(count(&east, r#"{"not":{"tags":["vip"]}}"#).await.unwrap(), 40, "never beyond the scope");
    let deep = format!("{}\"all\"{}", r#"{"not":"#.repeat(9), "}".repeat(9));
    for (text, expect) in [
        (
            r#"{"every":[{"regions":["west"]},"all"]}"#,
            AudienceError::Unknown { kind: "region", id: "west".into() },
        ),
        (r#"{"not":{"brands":["acme"]}}"#, AudienceError::Unknown { kind: "brand", id: "acme".into() }),
        (r#"{"any":[]}"#, AudienceError::Empty),
        (r#"{"every":[{"tags":[]}]}"#, AudienceError::Empty),
        (&deep, AudienceError::TooDeep),
    ] {
        let refused = count(&east, text).await;
        assert!(
            matches!(&refused, Err(BroadcastError::Audience(error)) if *error == expect),
            "{text}: {refused:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_said_to_whom_it_may_be_said_is_accepted() {
    let house = House::open(100, &[], |p| p).await;
    let east = actor(r#"{"regions":["east"]}"#);
    let west = || Audience::Regions([RegionId::parse("west").unwrap()].into());
    let create = |actor: Actor, text: &'static str, audience| {
        let broadcasts = house.broadcasts.clone();
        async move { broadcasts.create(&actor, new(text, audience), |_| None).await }
    };
    assert!(
        matches!(create(everybody(), "来玩博彩", Audience::All).await, Err(BroadcastError::Blocked(hits)) if hits.len() == 1)
    );
    assert!(matches!(create(everybody(), " ", Audience::All).await, Err(BroadcastError::Length { .. })));
    assert!(matches!(create(everybody(), "{shop.nme}", Audience::All).await, Err(BroadcastError::Text(_))));
    assert!(matches!(
        create(east.clone(), "x", west()).await,
        Err(BroadcastError::Audience(AudienceError::Unknown { .. }))
    ));
    let nobody = Audience::Tags(["none".to_owned()].into());
    assert!(matches!(
        create(everybody(), "x", nobody).await,
        Err(BroadcastError::Audience(AudienceError::Empty))
    ));
    let outside = Audience::Groups([named("west-00001")].into());
    assert!(matches!(create(east.clone(), "x", outside).await, Err(BroadcastError::Audience(_))));
    assert_eq!(house.bench.ledger.audit_verbs().len(), 0, "nothing was stored");

    let own = create(east.clone(), "x", Audience::All).await.unwrap();
    assert_eq!((own.expected, own.place.path().as_str()), (50, "acme/east/"));
    house.finished(&own.id).await;
    assert!(house.bench.platform.calls().iter().all(|call| call.group.starts_with("east")));
    let other = Actor { operator: OperatorId::parse("other").unwrap(), ..actor(r#"{"regions":["west"]}"#) };
    assert!(matches!(house.broadcasts.get(&other, &own.id).await, Err(BroadcastError::NotFound)));
    assert!(matches!(
        house.broadcasts.command(&other, &own.id, Command::Cancel, "").await,
        Err(BroadcastError::NotFound)
    ));
    assert_eq!(house.broadcasts.list(&other, None, 10).await.unwrap().0.len(), 0);
    assert_eq!(house.broadcasts.list(&east, None, 10).await.unwrap().0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn audiences_choose_their_groups() {
    let house = House::open(100, &[], |p| p).await;
    let count = async |audience: Audience| {
        house.broadcasts.preview(&everybody(), &audience, None, None).await.unwrap().groups
    };
    assert_eq!(count(Audience::All).await, 100);
    assert_eq!(count(Audience::Tags(["vip".to_owned()].into())).await, 10);
    assert_eq!(count(Audience::Regions([RegionId::parse("west").unwrap()].into())).await, 50);
    assert_eq!(count(Audience::Shops([ShopId::parse("east-shop").unwrap()].into())).await, 50);
    assert_eq!(
        count(Audience::Groups([named("east-00004"), named("west-00099"), named("gone-1")].into())).await,
        2
    );
    let elsewhere = AccountId::parse("other").unwrap();
    assert_eq!(
        house.broadcasts.preview(&everybody(), &Audience::All, None, Some(&elsewhere)).await.unwrap().groups,
        0
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_key_makes_one_broadcast() {
    let house = House::open(10, &[], |p| p).await;
    let record = |broadcast: &Broadcast| {
        let (key, body) = ("k".to_owned(), broadcast.id.to_string());
        Some(crate::storage::IdempotencyRecord {
            key,
            fingerprint: String::new(),
            status: 202,
            body,
            expires_ms: 0,
        })
    };
    let actor = everybody();
    let (one, two) = tokio::join!(
        house.broadcasts.create(&actor, new("x", Audience::All), record),
        house.broadcasts.create(&actor, new("x", Audience::All), record),
    );
    assert!(one.is_ok() != two.is_ok());
    assert!(matches!(one.and(two), Err(BroadcastError::KeyTaken)));
    house.bench.pass(5 * SECOND).await;
    house.sent_once(10);
}

#[tokio::test(start_paused = true)]
async fn failed_targets_are_tried_again_on_demand() {
    let house = House::open(200, &[], |p| {
        p.answering(|delivery, attempt| {
            if attempt == 1 && delivery.group.ends_with('4') {
                let (scope, code, detail) = (RefusalScope::Delivery, "no".into(), String::new());
                return Outcome::Refused(Refusal { decision: Decision::Never, scope, code, detail });
            }
            Outcome::Sent { platform_id: None }
        })
    })
    .await;
    let broadcast = house.create("全场八折", Audience::All).await;
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (180, 20));
    house.bench.pass(10 * SECOND).await;
    assert!(house.broadcasts.get(&everybody(), &broadcast.id).await.unwrap().closed, "it was put away");
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &broadcast.id).await.unwrap(), 20);
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (200, 0));
    assert_eq!(house.bench.platform.count(), 220);
}

#[tokio::test(start_paused = true)]
async fn memory_stays_bounded_whatever_the_audience() {
    let house = House::open(20_000, &["window:100/m"], |p| p).await;
    house.create("全场八折", Audience::All).await;
    house.bench.pass(30 * SECOND).await;
    let rows = house.bench.ledger.count(DeliveryState::Pending);
    assert!(rows > 19_000, "{rows} targets are written");
    let status = house.bench.outbox.status();
    let in_memory = status[0].bulk.depth.ready + status[0].bulk.depth.delayed;
    assert!((1..=2000).contains(&in_memory), "{in_memory} are in memory");
}
