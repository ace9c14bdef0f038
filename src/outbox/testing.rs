//! Support for tests of sending: a ledger in memory that fails when told to, and a platform that writes down every call.
//!
//! Both run on tokio's time, which the tests pause: a day of sending takes milliseconds.

pub(crate) mod audit;
mod ledger;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::delivery::{Deliver, Delivery, Outcome, Payload, Priority, Resolution};
use super::limit::{AccountLimits, Limit, SharedName};
use super::{Config, Deliverers, Outbox, Parts, Route};
use crate::clock::Clock;
use crate::event::{
    AccountId, EventKey, EventType, Fact, GroupName, Head, Place, Places, RegionId, Role, SendFact, ShopId,
    Status, Verdict,
};
use crate::storage::PendingSend;
use crate::tasks::Tasks;

pub(crate) use ledger::TestLedger;
pub(crate) use tasks::{Answer, PlatformTasks};

/// The time every test starts at.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// One call as the platform saw it, in milliseconds since the start of the test's clock.
#[derive(Clone, Debug)]
pub(crate) struct SeenCall {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) group: String,
    pub(crate) text: String,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
}

type Script = dyn Fn(&Delivery, u32) -> Outcome + Send + Sync;

/// A platform that writes down what it was asked to do.
pub(crate) struct Platform {
    clock: Clock,
    round_trip: Duration,
    script: Box<Script>,
    resolution: Box<dyn Fn(&Delivery) -> Resolution + Send + Sync>,
    acts_first: bool,
    calls: Mutex<Vec<SeenCall>>,
    questions: AtomicUsize,
}

impl Platform {
    /// Takes everything after `round_trip`.
    pub(crate) fn new(clock: &Clock, round_trip: Duration) -> Self {
        Self {
            clock: clock.clone(),
            round_trip,
            script: Box::new(|_, _| Outcome::Sent { platform_id: None }),
            resolution: Box::new(|_| Resolution::Unknown),
            acts_first: false,
            calls: Mutex::default(),
            questions: AtomicUsize::new(0),
        }
    }

    pub(crate) fn answering(
        mut self,
        script: impl Fn(&Delivery, u32) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.script = Box::new(script);
        self
    }

    pub(crate) fn resolving(self, resolution: Resolution) -> Self {
        self.resolving_with(move |_| resolution.clone())
    }

    pub(crate) fn resolving_with(
        mut self,
        resolution: impl Fn(&Delivery) -> Resolution + Send + Sync + 'static,
    ) -> Self {
        self.resolution = Box::new(resolution);
        self
    }

    /// Creates tasks that people must confirm; what it is asked about it finds among them. It acts before its answer is
    /// on the way, so that a crash may lose the answer alone.
    pub(crate) fn with_tasks(mut self, tasks: &Arc<PlatformTasks>) -> Self {
        let creates = Arc::clone(tasks);
        let finds = Arc::clone(tasks);
        self.script = Box::new(move |delivery, attempt| creates.deliver(delivery, attempt));
        self.resolution = Box::new(move |delivery| finds.find(delivery));
        self.acts_first = true;
        self
    }

    pub(crate) fn calls(&self) -> Vec<SeenCall> {
        self.calls.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.calls.lock().iter().map(|call| call.id.clone()).collect()
    }

    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Deliver for Platform {
    async fn deliver(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        let text = match &delivery.payload {
            Payload::Text { text, .. } | Payload::MassSend { text, .. } => text.clone(),
            Payload::Edit { of, text } => format!("{of}: {text}"),
            Payload::Content { content } => content.words(),
            Payload::Action { action, of } => format!("{action:?} {}", of.as_deref().unwrap_or_default()),
        };
        let number = {
            let mut calls = self.calls.lock();
            calls.push(SeenCall {
                id: delivery.id.to_string(),
                account: delivery.account.to_string(),
                group: delivery.group.clone(),
                text,
                priority: delivery.priority,
                attempt,
                started_ms: self.clock.now_ms(),
                ended_ms: None,
            });
            calls.len() - 1
        };
        let acted = self.acts_first.then(|| (self.script)(delivery, attempt));
        tokio::time::sleep(self.round_trip).await;
        self.calls.lock()[number].ended_ms = Some(self.clock.now_ms());
        acted.unwrap_or_else(|| (self.script)(delivery, attempt))
    }

    async fn resolve(&self, delivery: &Delivery) -> Resolution {
        self.questions.fetch_add(1, Ordering::SeqCst);
        (self.resolution)(delivery)
    }
}

/// One platform for every account, with the same limits for each.
pub(crate) struct Everywhere {
    pub(crate) platform: Arc<Platform>,
    pub(crate) limits: Mutex<AccountLimits>,
    /// Those that share what is shared.
    pub(crate) accounts: Mutex<Vec<AccountId>>,
}

impl Deliverers for Everywhere {
    fn route(&self, _: &AccountId) -> Option<Route> {
        let deliver: Arc<dyn Deliver> = self.platform.clone();
        Some(Route { deliver, platform: "sandbox", limits: self.limits.lock().clone() })
    }

    fn sharing(&self, name: &SharedName) -> Vec<(AccountId, Vec<Limit>)> {
        let limits = self.limits.lock();
        let shared = limits.shared.iter().find(|shared| shared.name == *name);
        let said = shared.map_or_else(Vec::new, |shared| shared.limits.clone());
        self.accounts.lock().iter().map(|account| (account.clone(), said.clone())).collect()
    }
}

/// Groups named `east-…` are in region `east` and have the tag `east-tag`, and so on; shops likewise.
pub(crate) struct Atlas;

impl Places for Atlas {
    fn region_place(&self, region: &RegionId) -> Place {
        Place::of_path(&format!("acme/{region}/"))
    }
    fn shop_place(&self, shop: &ShopId) -> Place {
        let region = shop.as_str().split('-').next().unwrap_or("").to_owned();
        Place::of_path(&format!("acme/{region}/{shop}"))
    }
    fn group_place(&self, group: &GroupName) -> Place {
        let region = group.group.as_str().split('-').next().unwrap_or("").to_owned();
        Place::of_path(&format!("acme/{region}/{region}-shop"))
    }
    fn has_tag(&self, group: &GroupName, tag: &str) -> bool {
        tag.strip_suffix("-tag").is_some_and(|region| group.group.as_str().starts_with(region))
    }
}

/// An outbox over a test's ledger and platform.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<TestLedger>,
    pub(crate) platform: Arc<Platform>,
    pub(crate) ways: Arc<Everywhere>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) tasks: Tasks,
    owner: Arc<crate::tasks::TasksOwner>,
}

pub(crate) fn limits(texts: &[&str]) -> AccountLimits {
    AccountLimits::parse(texts).unwrap()
}

impl Bench {
    pub(crate) async fn start(
        clock: &Clock,
        ledger: &Arc<TestLedger>,
        platform: Platform,
        limits: AccountLimits,
        config: Config,
    ) -> Self {
        let (tasks, owner) = crate::tasks::detached();
        let platform = Arc::new(platform);
        let accounts =
            Mutex::new(["demo", "north", "south", "west"].map(|id| AccountId::parse(id).unwrap()).to_vec());
        let ways = Arc::new(Everywhere { platform: platform.clone(), limits: Mutex::new(limits), accounts });
        let outbox = Outbox::start(Parts {
            storage: ledger.clone(),
            deliverers: ways.clone(),
            places: Arc::new(Atlas),
            tasks: tasks.clone(),
            clock: clock.clone(),
            config,
            epoch: 1,
            seed: 7,
        });
        let outbox = outbox.await.unwrap();
        Self { clock: clock.clone(), ledger: ledger.clone(), platform, ways, outbox, tasks, owner }
    }

    /// Lets virtual time pass until a condition holds, for at most ten minutes of it.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..300_000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("never happened: {what}; states {:?}, {} calls", self.ledger.states(), self.platform.count());
    }

    /// Ends all its tasks where they are, as a crash does.
    pub(crate) async fn crash(&self) {
        self.owner.stop();
        self.pass(Duration::from_millis(1)).await;
    }

    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A reply that an event asked for; the journal knows it.
pub(crate) fn reply(number: u32, group: &str, expires_ms: i64) -> PendingSend {
    let head = Head {
        key: EventKey(u128::from(number)),
        at_ms: START_MS,
        arrived_ms: START_MS,
        account: "demo".into(),
        group: group.to_owned().into(),
        member: Some("u-1".into()),
        name: None,
        role: Role::Customer,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    let send = SendFact {
        index: 0,
        kind: "reply".into(),
        rule: "r-1".into(),
        text: format!("answer {number}").into(),
        welcome_code: None,
        expires_ms,
    };
    PendingSend { head, fact: Fact::Send(send) }
}

pub(crate) fn delivery(pending: &PendingSend) -> Delivery {
    Delivery::caused(&pending.head, &pending.fact).unwrap()
}

/// Judges the calls a platform saw: no window of `period_ms` that starts with a call holds more than `quantity`, counting
/// each call until its end plus the window.
pub(crate) fn audit_window(calls: &[SeenCall], quantity: usize, period_ms: i64) {
    for call in calls {
        let weighs = |other: &&SeenCall| {
            other.started_ms <= call.started_ms
                && other.ended_ms.is_none_or(|ended| ended + period_ms > call.started_ms)
        };
        let spent = calls.iter().filter(weighs).count();
        assert!(spent <= quantity, "{spent} of {quantity} at {} ms", call.started_ms - START_MS);
    }
}
