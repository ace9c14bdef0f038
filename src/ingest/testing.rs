//! The way in over a storage in a temporary directory, and events with roster steps, for unit tests.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Config, Ingest, Partitions, Parts};
use crate::access::{self, Access};
use crate::clock::Clock;
use crate::connectors::{self, Connectors};
use crate::directory::{self, Directory, Keyring};
use crate::event::{GroupEvent, Role, RosterStep, What};
use crate::evidence::{self, Evidence};
use crate::fleet::kicks::Kicks;
use crate::hook::Hook;
use crate::interception::{self, Ruleset};
use crate::journeys::Journeys;
use crate::outbox::{self, Outbox};
use crate::pipeline::{Limits, Rules};
use crate::replies;
use crate::statistics::listener::{self, Listener};
use crate::storage::{self, SharedStorage, sqlite};
use crate::tasks::{TasksOwner, detached};
use crate::welcomes::Welcomes;

/// When all of it happens.
pub(super) const NOW_MS: i64 = 1_795_312_800_000;

/// The way in, over a data directory that a later one may open again.
pub(super) struct House {
    pub(super) ingest: Ingest,
    pub(super) storage: SharedStorage,
    pub(super) directory: Arc<Directory>,
    _tasks: Arc<TasksOwner>,
}

impl House {
    pub(super) async fn open(data: &Path) -> Self {
        Self::open_with(data, None).await
    }

    /// The same, with somebody else to judge messages.
    pub(super) async fn open_with(data: &Path, hook: Option<Hook>) -> Self {
        let storage = sqlite::open(data, &storage::Config::default()).unwrap();
        let epoch = storage.lease("test").await.unwrap();
        let clock = Clock::manual(NOW_MS);
        let config = access::Config::default();
        let access = Arc::new(Access::open(Arc::clone(&storage), clock.clone(), config).await.unwrap());
        let keys = Keyring::read_or_make(&data.join("key")).unwrap();
        let limits = directory::Config::default();
        let directory =
            Arc::new(Directory::open(Arc::clone(&storage), clock.clone(), limits, keys).await.unwrap());
        let states = Arc::new(connectors::testing::MemoryStates::default());
        let connectors = Arc::new(Connectors::new(connectors::Config::default(), clock.clone(), states));
        let (tasks, tasks_owner) = detached();
        let outbox = Outbox::start(outbox::Parts {
            storage: Arc::clone(&storage),
            deliverers: Arc::clone(&connectors) as _,
            places: Arc::clone(&directory) as _,
            tasks: tasks.clone(),
            clock: clock.clone(),
            config: outbox::Config::default(),
            epoch,
            seed: 7,
        });
        let outbox = outbox.await.unwrap();
        let rules = rules();
        let opened = {
            let (storage, limits, clock) = (Arc::clone(&storage), rules.limits.clone(), clock.clone());
            tokio::task::spawn_blocking(move || Partitions::open(storage, epoch, &limits, clock))
        };
        let (partitions, _repair) = opened.await.unwrap().unwrap();
        let evidence =
            Evidence::new(None, Arc::clone(&storage), clock.clone(), evidence::Config::default()).0;
        let kicks = Kicks::open(Arc::clone(&storage), clock.clone()).await.unwrap();
        let listening = listener::Parts {
            storage: Arc::clone(&storage),
            clock: clock.clone(),
            zone: jiff::tz::TimeZone::UTC,
            config: listener::Config { words: false, ..listener::Config::default() },
        };
        let (listener, _) = Listener::new(listening);
        let ingest = Ingest::new(
            Config::default(),
            Parts {
                partitions,
                rules: Arc::new(ArcSwap::from_pointee(rules)),
                access,
                directory: Arc::clone(&directory),
                connectors,
                outbox,
                evidence,
                hook,
                kicks,
                listener,
                clock,
                tasks,
            },
        );
        Self { ingest, storage, directory, _tasks: tasks_owner }
    }
}

fn rules() -> Rules {
    let config = interception::Config::default();
    let (words, _) = Ruleset::compile("r-1", &[], Vec::new(), &config).unwrap();
    let limits = Limits { policy: config.policy, ..Limits::default() };
    Rules {
        words,
        replies: replies::Rules::default(),
        welcomes: Welcomes::default(),
        journeys: Journeys::default(),
        limits,
    }
}

/// An event in `demo`'s group `g-1` that is a step of its roster.
pub(super) fn event(
    id: &str,
    from: Option<u64>,
    to: u64,
    member: Option<&str>,
    what: What<'static>,
) -> GroupEvent<'static> {
    GroupEvent {
        id: Cow::Owned(id.to_owned()),
        account: "demo".into(),
        group: "g-1".into(),
        member: member.map(|member| Cow::Owned(member.to_owned())),
        name: None,
        role: Role::Customer,
        at_ms: Some(NOW_MS),
        step: Some(RosterStep { from, to }),
        what,
    }
}

/// A join that is a step.
pub(super) fn joins(id: &str, from: u64, to: u64, member: &str) -> GroupEvent<'static> {
    let what = What::joined(false);
    event(id, Some(from), to, Some(member), what)
}

/// A leave that is a step and was inferred.
pub(super) fn leaves(id: &str, from: u64, to: u64, member: &str) -> GroupEvent<'static> {
    event(id, Some(from), to, Some(member), What::MemberLeft { reason: None, inferred: true })
}
