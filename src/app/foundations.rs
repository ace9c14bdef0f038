//! What the gateway stands on, and how each part is made from it. Called by `gateway` in the order written there.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Notify;

use super::accounts::Accounts;
use super::alerts::{KeptTexts, Lookout, Messenger, Neighbourhood};
use super::book::{Book, Confirmers};
use super::case_powers::CasePowers;
use super::connector_state::States;
use super::duties::Duties;
use super::house::Residence;
use super::judge::Judge;
use super::people::Keeper;
use super::platforms::{self, Platforms};
use super::rules::Rulebook;
use super::segments::Watch;
use super::{first_token, upkeep};
use crate::access::Access;
use crate::alerts;
use crate::alerts::desk::{self, Desk};
use crate::api;
use crate::broadcasts::{self, Broadcasts};
use crate::clock::Clock;
use crate::config::Config;
use crate::connectors::{ConnectorStates, Connectors, EventSink};
use crate::directory::{Directory, Keyring};
use crate::evidence::{Evidence, Writer};
use crate::fleet;
use crate::fleet::cases::Cases;
use crate::fleet::kicks::Kicks;
use crate::ingest::partitions::Repair;
use crate::ingest::{self, Ingest, Partitions};
use crate::interception;
use crate::notices::{self, Notices};
use crate::outbox::{self, Outbox};
use crate::people::{self, People};
use crate::reviews::Reviews;
use crate::reviews::follower::Follower;
use crate::statistics::listener::{self, Listener};
use crate::storage::{SharedStorage, sqlite};
use crate::subscriptions::{self, Subscriptions};
use crate::tasks::Tasks;
use crate::telemetry::health::Health;

/// Storage, and what is read from it before anything can be decided.
pub(super) struct Foundations {
    pub(super) storage: SharedStorage,
    pub(super) epoch: u64,
    pub(super) admin_token: Option<String>,
    pub(super) access: Arc<Access>,
    pub(super) directory: Arc<Directory>,
    pub(super) connectors: Arc<Connectors>,
    pub(super) states: Arc<dyn ConnectorStates>,
    pub(super) evidence: Arc<Evidence>,
    pub(super) evidence_writer: Option<Writer>,
    pub(super) reviews: Arc<Reviews>,
    pub(super) listener: Arc<Listener>,
    words: Option<listener::Worker>,
    people: Arc<People>,
    bell: Arc<alerts::by_hand::Bell>,
}

/// What the API reaches beside storage and sending.
pub(super) struct Doors {
    pub(super) ingest: Arc<Ingest>,
    pub(super) cases: Arc<Cases>,
    pub(super) kicks: Arc<Kicks>,
    pub(super) notices: Arc<Notices>,
    pub(super) serving: Tasks,
    pub(super) alerts: Arc<Desk>,
}

/// What goes on by itself works with these.
pub(super) struct Keeping {
    pub(super) partitions: Partitions,
    pub(super) cases: Arc<Cases>,
    pub(super) notices: Arc<Notices>,
    pub(super) alerts: Arc<Desk>,
    pub(super) platforms: Arc<Platforms>,
}

impl Foundations {
    /// Opens storage and reads people, places and accounts.
    pub(super) async fn lay(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        if config.interception.variants {
            // Beside everything else: nobody waits for it, and the first message in disguise need not either.
            drop(tokio::task::spawn_blocking(interception::prepare));
        }
        let (dir, storage_config) = (config.server.data_dir.clone(), config.storage.clone());
        let opened = tokio::task::spawn_blocking(move || sqlite::open(&dir, &storage_config)).await?;
        let storage = opened.with_context(|| format!("open {}", config.server.data_dir.display()))?;
        let epoch = storage.lease("local").await?;
        // The last second before a crash, or before a backup was made, may be in the journal only.
        let journal = storage.clone();
        tokio::task::spawn_blocking(move || journal.project()).await?.context("fold the journal")?;
        let access = Access::open(storage.clone(), clock.clone(), config.access.clone()).await?;
        let admin_token = first_token::make(&access, &config.server.data_dir).await?;
        let configured = || config.directory.key.as_ref().map(|key| Keyring::parse(key.expose())).transpose();
        let keys = keys(config)?;
        let sealing = configured().context("the key of kept texts")?;
        let (evidence, evidence_writer) =
            Evidence::new(sealing, storage.clone(), clock.clone(), config.evidence.clone());
        let reviews = Reviews::open(storage.clone(), clock.clone(), config.reviews.clone()).await?;
        let (people_storage, people_config) = (storage.clone(), config.people.clone());
        let people = people::Parts { storage: people_storage, clock: clock.clone(), config: people_config };
        let people = People::open(people).await.context("read tags and segments")?;
        let directory = Directory::open(storage.clone(), clock.clone(), config.directory.clone(), keys);
        let mut connectors = config.connectors.clone();
        connectors.parse_limits = ingest::parse_limits(&config.ingest);
        connectors.rosters.window = config.dedupe.window;
        let states: Arc<dyn ConnectorStates> = Arc::new(States::new(&storage, clock));
        let directory = directory.await?;
        let (listener, words) = Listener::new(listener::Parts {
            storage: storage.clone(),
            clock: clock.clone(),
            zone: directory.time_zone().clone(),
            config: config.statistics.clone(),
        });
        Ok(Self {
            epoch,
            admin_token,
            access: Arc::new(access),
            directory: Arc::new(directory),
            connectors: Arc::new(Connectors::new(connectors, clock.clone(), states.clone())),
            states,
            evidence,
            evidence_writer: Some(evidence_writer),
            reviews,
            listener,
            words,
            people: Arc::new(people),
            storage,
            bell: Arc::default(),
        })
    }

    /// Starts sending: what the last run left is found again.
    pub(super) async fn outbox(
        &self,
        config: &Config,
        clock: &Clock,
        tasks: &Tasks,
    ) -> anyhow::Result<Arc<Outbox>> {
        let parts = outbox::Parts {
            storage: self.storage.clone(),
            deliverers: self.connectors.clone(),
            places: self.directory.clone(),
            tasks: tasks.clone(),
            clock: clock.clone(),
            config: config.outbox.clone(),
            epoch: self.epoch,
            seed: seed()?,
        };
        Outbox::start(parts).await.context("start the outbox")
    }

    /// Connects every account.
    pub(super) async fn accounts(&self, outbox: &Arc<Outbox>, health: &Health) -> Arc<Accounts> {
        let (directory, connectors) = (self.directory.clone(), self.connectors.clone());
        let accounts = Accounts::new(directory, connectors, outbox.clone(), health.clone());
        accounts.connect_all().await;
        Arc::new(accounts)
    }

    /// Makes ready what is kept in order on platforms.
    pub(super) fn duties(&self, config: &Config, clock: &Clock, rulebook: &Rulebook) -> Arc<Duties> {
        Arc::new(Duties {
            connectors: self.connectors.clone(),
            storage: self.storage.clone(),
            rules: rulebook.current(),
            clock: clock.clone(),
            config: config.duties.clone(),
            time_zone: self.directory.time_zone().clone(),
            woken: Notify::new(),
        })
    }

    /// Looks after accounts, once they are connected.
    pub(super) fn platforms(
        &self,
        config: &Config,
        clock: &Clock,
        tasks: &Tasks,
        health: &Health,
        sink: Arc<dyn EventSink>,
    ) -> Arc<Platforms> {
        Platforms::new(platforms::Parts {
            connectors: self.connectors.clone(),
            directory: self.directory.clone(),
            states: self.states.clone(),
            sink,
            health: health.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            config: config.connectors.rosters.clone(),
        })
    }

    /// Reads the state of every partition.
    pub(super) async fn partitions(
        &self,
        rulebook: &Rulebook,
        clock: &Clock,
    ) -> anyhow::Result<(Partitions, Repair)> {
        let limits = rulebook.current().load().limits.clone();
        let (storage, epoch, clock) = (self.storage.clone(), self.epoch, clock.clone());
        let opened =
            tokio::task::spawn_blocking(move || Partitions::open(storage, epoch, &limits, clock)).await?;
        opened.context("read the journal")
    }

    /// Makes ready what is said to one group or some staff.
    pub(super) fn notices(
        &self,
        config: &Config,
        clock: &Clock,
        outbox: &Arc<Outbox>,
        rulebook: &Rulebook,
    ) -> Arc<Notices> {
        Arc::new(Notices::new(notices::Parts {
            storage: self.storage.clone(),
            outbox: outbox.clone(),
            judge: Arc::new(Judge {
                rules: rulebook.current(),
                directory: self.directory.clone(),
                clock: clock.clone(),
            }),
            clock: clock.clone(),
            config: config.notices.clone(),
        }))
    }

    /// Reads which alerts are open.
    pub(super) async fn alerts(&self, config: &Config, clock: &Clock) -> anyhow::Result<Arc<Desk>> {
        let parts = desk::Parts {
            storage: self.storage.clone(),
            clock: clock.clone(),
            around: Arc::new(Neighbourhood(self.directory.clone())),
            config: config.alerts.clone(),
        };
        Desk::open(parts).await.context("read which alerts are open")
    }

    /// Follows what staff should hear of.
    async fn follow(
        &self,
        config: &Config,
        clock: &Clock,
        (desk, notices, platforms): (Arc<Desk>, Arc<Notices>, Arc<Platforms>),
    ) -> anyhow::Result<alerts::follower::Follower> {
        let lookout = Lookout {
            directory: self.directory.clone(),
            connectors: self.connectors.clone(),
            platforms,
            storage: self.storage.clone(),
        };
        let parts = alerts::Parts {
            storage: self.storage.clone(),
            clock: clock.clone(),
            around: Arc::new(Neighbourhood(self.directory.clone())),
            texts: Arc::new(KeptTexts(self.evidence.clone())),
            teller: Arc::new(Messenger { notices, connectors: self.connectors.clone() }),
            config: config.alerts.clone(),
            leaves: config.leaves.clone(),
            questions: config.questions.clone(),
            bell: Arc::clone(&self.bell),
            desk,
            sights: Arc::new(lookout),
            journal_window: config.dedupe.window,
        };
        alerts::follower::Follower::open(parts).await.context("read what staff were told of")
    }

    /// Connects what people's tools see.
    #[expect(
        clippy::too_many_arguments,
        reason = "it joins what was built apart, and nothing else has all of it"
    )]
    pub(super) async fn api(
        &self,
        config: &Config,
        clock: &Clock,
        tasks: &Tasks,
        outbox: &Arc<Outbox>,
        residence: Residence,
        platforms: Arc<Platforms>,
        Doors { ingest, cases, kicks, notices, serving, alerts }: Doors,
    ) -> anyhow::Result<api::App> {
        let rules = residence.rulebook.current();
        let broadcasts = Broadcasts::start(broadcasts::Parts {
            storage: self.storage.clone(),
            outbox: outbox.clone(),
            book: Arc::new(Book {
                directory: self.directory.clone(),
                storage: self.storage.clone(),
                connectors: self.connectors.clone(),
                people: self.people.clone(),
            }),
            places: self.directory.clone(),
            judge: Arc::new(Judge {
                rules: rules.clone(),
                directory: self.directory.clone(),
                clock: clock.clone(),
            }),
            confirming: Arc::new(Confirmers(self.connectors.clone())),
            speaking: Arc::new(Confirmers(self.connectors.clone())),
            tasks: tasks.clone(),
            clock: clock.clone(),
            config: config.broadcasts.clone(),
            seed: seed()?,
        });
        let subscriptions = Subscriptions::open(subscriptions::Parts {
            storage: self.storage.clone(),
            keys: keys(config)?,
            clock: clock.clone(),
            tasks: tasks.clone(),
            config: config.subscriptions.clone(),
            seed: seed()?,
        });
        Ok(api::App::new(api::Parts {
            config: config.api.clone(),
            access: self.access.clone(),
            directory: self.directory.clone(),
            storage: self.storage.clone(),
            connectors: self.connectors.clone(),
            outbox: outbox.clone(),
            ingest,
            broadcasts: broadcasts.await.context("read broadcasts")?,
            notices,
            alerts,
            subscriptions: subscriptions.await.context("read endpoints")?,
            evidence: self.evidence.clone(),
            reviews: self.reviews.clone(),
            cases,
            kicks,
            people: self.people.clone(),
            listener: self.listener.clone(),
            rules,
            platforms,
            house: Arc::new(residence),
            clock: clock.clone(),
            serving,
        }))
    }

    /// Watches the segments that journeys ask about.
    pub(super) fn segments(&self, clock: &Clock, ingest: &Arc<Ingest>, rulebook: &Rulebook) -> Watch {
        Watch {
            people: self.people.clone(),
            directory: self.directory.clone(),
            connectors: self.connectors.clone(),
            ingest: ingest.clone(),
            rules: rulebook.current(),
            storage: self.storage.clone(),
            clock: clock.clone(),
        }
    }

    /// Reads who is kept out of groups.
    pub(super) async fn kicks(&self, clock: &Clock) -> anyhow::Result<Arc<Kicks>> {
        Kicks::open(self.storage.clone(), clock.clone()).await.context("read the kick lists")
    }

    /// Reads what was decided about cases.
    pub(super) async fn cases(
        &self,
        config: &Config,
        clock: &Clock,
        outbox: &Arc<Outbox>,
        ingest: &Arc<Ingest>,
    ) -> anyhow::Result<Arc<Cases>> {
        let powers = CasePowers {
            directory: self.directory.clone(),
            connectors: self.connectors.clone(),
            ingest: ingest.clone(),
            alerts: config.alerts.clone(),
            bell: Arc::clone(&self.bell),
            secret: self.storage.dedupe_secret(),
        };
        let opened = Cases::open(self.storage.clone(), outbox.clone(), Arc::new(powers), clock.clone());
        opened.await.context("read what was decided about cases")
    }

    /// Starts what goes on by itself: housekeeping and the fleet stage.
    pub(super) async fn keep(
        &mut self,
        config: &Config,
        clock: &Clock,
        tasks: &Tasks,
        Keeping { partitions, cases, notices, alerts, platforms }: Keeping,
    ) -> anyhow::Result<()> {
        let (storage, epoch) = (self.storage.clone(), self.epoch);
        let (fleet_clock, fleet_config) = (clock.clone(), config.fleet.clone());
        let open = move || fleet::runner::Runner::open(storage, epoch, fleet_clock, fleet_config, cases);
        let fleet =
            tokio::task::spawn_blocking(open).await?.context("read the journal for the fleet stage")?;
        let queue = Follower::open(self.reviews.clone()).await.context("read the review queue")?;
        let (storage, dedupe) = (self.storage.clone(), config.dedupe.clone());
        let alerts = self.follow(config, clock, (alerts, notices, platforms)).await?;
        let passed = vec![fleet.passed(), queue.passed(), alerts.passed()];
        tasks.spawn("project", upkeep::project(storage.clone(), tasks.clone()));
        tasks.spawn("tidy", upkeep::tidy(partitions, dedupe.clone(), tasks.clone()));
        tasks.spawn("prune", upkeep::prune(storage, dedupe, passed, clock.clone(), tasks.clone()));
        tasks.spawn("fleet", fleet.run(tasks.clone()));
        tasks.spawn("reviews", queue.run(tasks.clone()));
        tasks.spawn("alerts", alerts.run(tasks.clone()));
        let tags = Keeper {
            people: self.people.clone(),
            directory: self.directory.clone(),
            connectors: self.connectors.clone(),
            clock: clock.clone(),
        };
        tasks.spawn("rule_tags", tags.run(tasks.clone()));
        if let Some(writer) = self.evidence_writer.take() {
            tasks.spawn("evidence", writer.run(tasks.clone()));
        }
        if let Some(words) = self.words.take() {
            tasks.spawn("words", words.run(tasks.clone()));
        }
        let forgetting = upkeep::forget(self.evidence.clone(), self.reviews.clone(), tasks.clone());
        tasks.spawn("forget", forgetting);
        tasks.spawn("access", self.access.clone().run(tasks.clone()));
        Ok(())
    }
}

/// The keys that seal the secrets of accounts and endpoints.
fn keys(config: &Config) -> anyhow::Result<Keyring> {
    let configured = config.directory.key.as_ref().map(|key| Keyring::parse(key.expose())).transpose();
    match configured.context("the key of account secrets")? {
        Some(keys) => Ok(keys),
        None => {
            Keyring::read_or_make(&config.server.data_dir.join("key")).context("the key of account secrets")
        }
    }
}

/// Where chance starts: jitter of retries only, nothing that is decided.
fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("draw a seed: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
