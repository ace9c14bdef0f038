//! Duties against the sandbox, whose limits are real, with somebody else at its console.

mod group_life;
mod templates;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::connectors::offers::InterceptRule;
use crate::connectors::testing::MemoryStates;
use crate::connectors::{self, AccountSpec};
use crate::duties::staff_words::StaffWords;
use crate::interception::pushdown::{DriftKind, Why};
use crate::interception::{self, Policy, PushDown, Ruleset, StaffRule, WordlistSource};
use crate::journeys::Journeys;
use crate::pipeline::Limits;
use crate::storage::memory;

/// Duties of one sandbox account, `shop`.
pub(super) struct House {
    pub(super) duties: Arc<Duties>,
    pub(super) clock: Clock,
}

impl House {
    pub(super) fn open(settings: serde_json::Value) -> Self {
        let clock = Clock::manual(1_795_312_800_000);
        let connectors =
            Connectors::new(connectors::Config::default(), clock.clone(), Arc::new(MemoryStates::default()));
        let spec = AccountSpec {
            id: AccountId::parse("shop").unwrap(),
            platform: "sandbox".to_owned(),
            settings,
            secrets: Vec::new(),
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        assert!(connectors.replace(vec![spec]).is_empty());
        let storage = memory::open(&memory::Disk::new([7; 16]), &crate::storage::Config::default()).unwrap();
        let duties = Duties {
            connectors: Arc::new(connectors),
            storage,
            rules: Arc::new(ArcSwap::from_pointee(rules(&[]))),
            clock: clock.clone(),
            config: Config::default(),
            time_zone: TimeZone::get("Asia/Shanghai").unwrap(),
            woken: Notify::new(),
        };
        Self { duties: Arc::new(duties), clock }
    }

    pub(super) fn connector(&self) -> Arc<dyn Connector> {
        self.duties.connectors.get("shop").unwrap()
    }

    async fn words(&self) -> StaffWords {
        StaffWords::of(&*self.duties.storage, "shop").await.unwrap()
    }

    async fn rules_there(&self) -> Vec<(String, InterceptRule)> {
        self.connector().staff_interception().unwrap().list().await.unwrap()
    }

    pub(super) async fn an_hour_later(&self) {
        self.clock.advance(Duration::from_hours(1));
        self.duties.round().await;
    }
}

/// One list of these terms, handed over to department 7.
fn rules(terms: &[&str]) -> Rules {
    let list = terms.iter().fold(WordlistSource::new("mine", interception::Origin::Api), |mut list, term| {
        list.terms.push(interception::Term { text: (*term).to_owned(), ..interception::Term::default() });
        list
    });
    let push_down = PushDown { account: "shop".into(), departments: vec![7], staff: Vec::new() };
    let policy = Policy { name: "staff".into(), push_down: vec![push_down], ..Policy::standard() };
    let config = interception::Config::default();
    let (words, _) = Ruleset::compile("r-1", &[list], vec![policy], &config).unwrap();
    let (replies, welcomes) = Default::default();
    Rules { words, replies, welcomes, journeys: Journeys::default(), limits: Limits::default() }
}

#[tokio::test]
async fn words_are_handed_over_and_a_new_one_changes_one_rule() {
    let house = House::open(json!({}));
    house.duties.rules.store(Arc::new(rules(&["加微信", "返现", &"长".repeat(33)])));
    house.duties.round().await;
    let there = house.rules_there().await;
    assert_eq!(there.len(), 1);
    assert_eq!(
        (there[0].1.words.as_slice(), there[0].1.departments.as_slice()),
        (["加微信".to_owned(), "返现".to_owned()].as_slice(), [7].as_slice())
    );
    assert!(!there[0].1.warn_only && there[0].1.name.starts_with("门神-"));
    let record = house.words().await;
    assert_eq!((record.words(), record.left_out_words, record.left_out[0].why), (2, 1, Why::TooLong));

    house.duties.rules.store(Arc::new(rules(&["加微信", "返现", "私聊"])));
    house.duties.round().await;
    let after = house.rules_there().await;
    assert_eq!((after.len(), &after[0].0, after[0].1.words.len()), (1, &there[0].0, 3));
    assert_eq!(house.words().await.last_drift, None, "our own change is no drift");

    house.duties.rules.store(Arc::new(rules(&[])));
    house.duties.round().await;
    assert!(house.rules_there().await.is_empty(), "nothing is wanted any more");
}

#[tokio::test]
async fn what_somebody_changes_in_the_console_is_noticed_and_repaired_and_theirs_is_left_alone() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let platform = connector.staff_interception().unwrap();
    let theirs = InterceptRule {
        name: "店长自建".into(),
        words: vec!["自家".into()],
        warn_only: true,
        staff: vec!["li".into()],
        departments: Vec::new(),
    };
    let foreign = platform.add(&theirs).await.unwrap();
    house.duties.rules.store(Arc::new(rules(&["加微信", "返现"])));
    house.duties.round().await;
    let (id, ours) = house.rules_there().await.into_iter().find(|(id, _)| *id != foreign).unwrap();
    assert_eq!(house.words().await.foreign_rules, 1);

    for (what, expect) in
        [("emptied", DriftKind::Changed), ("renamed", DriftKind::Changed), ("deleted", DriftKind::Deleted)]
    {
        match what {
            "emptied" => {
                let fewer = InterceptRule { words: vec!["返现".into()], ..ours.clone() };
                platform.update(&id, &ours, &fewer).await.unwrap();
            }
            "renamed" => {
                let renamed = InterceptRule { name: "改了名".into(), ..ours.clone() };
                platform.update(&id, &ours, &renamed).await.unwrap();
            }
            _ => platform.remove(&id).await.unwrap(),
        }
        house.duties.round().await;
        assert_ne!(
            house.rules_there().await.iter().filter(|(_, rule)| *rule == ours).count(),
            1,
            "not every tick"
        );
        house.an_hour_later().await;
        let there = house.rules_there().await;
        assert_eq!(there.iter().filter(|(_, rule)| *rule == ours).count(), 1, "{what}: {there:?}");
        assert!(there.contains(&(foreign.clone(), theirs.clone())));
        let seen = house.words().await.last_drift.unwrap();
        assert_eq!((seen.at_ms, seen.rules[0].what), (house.clock.now_ms(), expect), "{what}");
    }
}

#[tokio::test]
async fn what_the_platform_refuses_is_written_down_and_tried_again() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let platform = connector.staff_interception().unwrap();
    for n in 0..100 {
        let name = format!("店长自建{n}");
        let rule = InterceptRule {
            name,
            words: vec!["x".into()],
            warn_only: true,
            staff: vec!["li".into()],
            departments: Vec::new(),
        };
        platform.add(&rule).await.unwrap();
    }
    house.duties.rules.store(Arc::new(rules(&["加微信"])));
    house.duties.round().await;
    let record = house.words().await;
    assert_eq!((record.words(), record.left_out[0].why), (0, Why::NoRoom), "their rules leave us no room");
    let first = house.rules_there().await[0].0.clone();
    platform.remove(&first).await.unwrap();
    house.an_hour_later().await;
    assert_eq!(house.words().await.words(), 1);
}

#[tokio::test]
async fn staff_who_are_exempt_have_no_words_handed_over() {
    let mut policy = Policy::standard();
    policy.staff = Some(StaffRule::Exempt);
    policy.push_down = vec![PushDown { account: "shop".into(), departments: vec![1], staff: Vec::new() }];
    assert!(policy.check().is_err());
}

#[tokio::test]
async fn whoever_wakes_the_duties_need_not_wait_for_the_tick() {
    let house = House::open(json!({}));
    let (tasks, owner) = crate::tasks::detached();
    tasks.spawn("duties", Arc::clone(&house.duties).run(tasks.clone()));
    house.duties.rules.store(Arc::new(rules(&["加微信"])));
    house.duties.woken.notify_one();
    let handed_over = async {
        while house.words().await.words() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(house.duties.config.tick, handed_over).await.unwrap();
    owner.stop();
}
