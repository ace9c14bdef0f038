//! The API over its real router, on a storage in a temporary directory.

mod alerts;
mod audiences;
mod cases;
mod chasing;
mod conduct;
mod document;
mod endpoints;
mod group_life;
mod journeys;
mod kicks;
mod ledger;
mod members;
mod notices;
mod outbound;
mod people;
mod places;
mod platforms;
mod policies;
mod questions;
mod requests;
mod reviews;
mod rules;
mod rulesets;
mod segments;
mod statistics;
mod stream;
mod templates;
mod verdicts;
mod walk;
mod words;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::ports::{Draft, House, Reloaded};
use super::{App, Config, Parts};
use crate::access::{self, Access};
use crate::alerts::desk::{self, Desk};
use crate::app::alerts::Neighbourhood;
use crate::app::book::{Book, Confirmers};
use crate::app::judge::Judge;
use crate::app::rules::Rulebook;
use crate::broadcasts::{self, Broadcasts};
use crate::clock::Clock;
use crate::conduct::by_hand::Todo;
use crate::connectors::{self, Connectors};
use crate::directory::{self, Directory, Keyring};
use crate::event::{
    Effects, EventKey, EventType, Fact, FieldError, Head, Role, Status, Verdict, partition_of,
};
use crate::evidence::{self, Evidence};
use crate::fleet::cases::{Cases, Powers};
use crate::fleet::kicks::Kicks;
use crate::fleet::removals::{Expelled, NotTaken, Order};
use crate::ingest::{self, Ingest, Partitions};
use crate::interception::Ruleset;
use crate::notices::Notices;
use crate::outbox::{self, Outbox};
use crate::people::{self as crowd, People};
use crate::pipeline::Rules;
use crate::replies;
use crate::reviews::Reviews;
use crate::rulesets::{Accepted, LoadError, Move, Proposal, Refused, Return};
use crate::statistics::listener::{self, Listener};
use crate::storage::{Append, DocumentKind, SharedStorage, StatusChange, Write, codec, sqlite};
use crate::subscriptions::{self, Subscriptions};
use crate::tasks::{Tasks, TasksOwner, detached};

/// 2026-11-22T10:00:00+08:00, a Sunday.
const NOW_MS: i64 = 1_795_312_800_000;

/// A gateway that is nothing but its API.
struct Gateway {
    router: Router,
    app: App,
    ingest: Arc<Ingest>,
    storage: SharedStorage,
    directory: Arc<Directory>,
    access: Arc<Access>,
    clock: Clock,
    evidence: Arc<Evidence>,
    reviews: Arc<Reviews>,
    tasks: Tasks,
    admin: String,
    epoch: u64,
    _tasks: Arc<TasksOwner>,
    data: tempfile::TempDir,
}

/// Checks little and connects nothing; rules are made as in the whole gateway.
struct Quiet(Arc<Rulebook>);

#[async_trait]
impl House for Quiet {
    async fn check(&self, kind: DocumentKind, _: &str, body: &Value) -> Result<(), Vec<FieldError>> {
        if kind == DocumentKind::RuleSet {
            return self.0.check_rule_set(body).await;
        }
        if kind == DocumentKind::Reply {
            let rule: replies::Rule = serde_json::from_value(body.clone()).unwrap();
            let checked = rule.check(&replies::Config::default(), self.0.words());
            return checked
                .map(drop)
                .map_err(|error| vec![FieldError::new("", "invalid", error.to_string())]);
        }
        match body.get("text") {
            Some(Value::String(text)) if text.contains("{nobody}") => {
                Err(vec![FieldError::new("/text", "variable", "there is no variable `nobody`")])
            }
            _ => Ok(()),
        }
    }

    async fn change_rules(&self, proposal: Proposal) -> Result<Accepted, Refused> {
        self.0.change(proposal).await
    }

    async fn roll_back_rules(&self, back: Return) -> Result<Accepted, Refused> {
        self.0.roll_back(back).await
    }

    async fn move_wordlist(&self, wanted: Move) -> Result<Accepted, Refused> {
        self.0.move_list(wanted).await
    }

    fn rollout_messages_min(&self) -> u64 {
        self.0.rollout_messages_min()
    }

    fn rules_trouble(&self) -> Option<LoadError> {
        self.0.trouble()
    }

    async fn compile_draft(&self, draft: Draft) -> Result<Ruleset, String> {
        self.0.compile_draft(draft).await.map_err(|error| format!("{error:#}"))
    }

    async fn reload_accounts(&self) {}

    fn wake_duties(&self) {}

    async fn reload_configuration(&self) -> Result<Reloaded, String> {
        let ruleset = self.0.reload("asked for").await.map_err(|error| error.to_string())?;
        Ok(Reloaded { ruleset, needs_restart: Vec::new() })
    }
}

/// An answer with its body read.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    fn pointers(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns it if it has this status; else says what it was.
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// Connects every account of the directory.
fn connectors_for(clock: &Clock, directory: &Directory) -> Arc<Connectors> {
    let states = Arc::new(connectors::testing::MemoryStates::default());
    let connectors = Connectors::new(connectors::Config::default(), clock.clone(), states);
    let specs = directory
        .accounts()
        .into_iter()
        .map(|account| super::connector_spec(&directory.account_spec(account.id.as_str()).unwrap()));
    assert!(connectors.replace(specs.collect()).is_empty());
    Arc::new(connectors)
}

fn notices_for(
    storage: &SharedStorage,
    outbox: &Arc<Outbox>,
    directory: &Arc<Directory>,
    rules: &Arc<ArcSwap<Rules>>,
    clock: &Clock,
) -> Arc<Notices> {
    Arc::new(Notices::new(crate::notices::Parts {
        storage: Arc::clone(storage),
        outbox: Arc::clone(outbox),
        judge: Arc::new(Judge {
            rules: Arc::clone(rules),
            directory: Arc::clone(directory),
            clock: clock.clone(),
        }),
        clock: clock.clone(),
        config: crate::notices::Config::default(),
    }))
}

async fn alerts_for(storage: &SharedStorage, directory: &Arc<Directory>, clock: &Clock) -> Arc<Desk> {
    let opened = Desk::open(desk::Parts {
        storage: Arc::clone(storage),
        clock: clock.clone(),
        around: Arc::new(Neighbourhood(Arc::clone(directory))),
        config: crate::alerts::Config::default(),
    });
    opened.await.unwrap()
}

async fn subscriptions_for(storage: &SharedStorage, clock: &Clock, tasks: &Tasks) -> Arc<Subscriptions> {
    let opened = Subscriptions::open(subscriptions::Parts {
        storage: Arc::clone(storage),
        keys: Keyring::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap(),
        clock: clock.clone(),
        tasks: tasks.clone(),
        config: subscriptions::Config::default(),
        seed: 7,
    });
    opened.await.unwrap()
}

/// A store of texts with its writer, and the review queue.
async fn evidence_for(
    storage: &SharedStorage,
    clock: &Clock,
    tasks: &Tasks,
) -> (Arc<Evidence>, Arc<Reviews>) {
    let keys = Keyring::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let config = evidence::Config { enabled: true, history: true, ..evidence::Config::default() };
    let (evidence, writer) = Evidence::new(Some(keys), Arc::clone(storage), clock.clone(), config);
    tasks.spawn("evidence", writer.run(tasks.clone()));
    let reviews = Reviews::open(Arc::clone(storage), clock.clone(), crate::reviews::Config::default());
    (evidence, reviews.await.unwrap())
}

async fn people_for(storage: &SharedStorage, clock: &Clock) -> Arc<People> {
    let (storage, clock, config) = (Arc::clone(storage), clock.clone(), crowd::Config::default());
    Arc::new(People::open(crowd::Parts { storage, clock, config }).await.unwrap())
}

async fn broadcasts_for(
    storage: &SharedStorage,
    outbox: &Arc<Outbox>,
    directory: &Arc<Directory>,
    connectors: &Arc<Connectors>,
    rules: &Arc<ArcSwap<Rules>>,
    people: &Arc<People>,
    (clock, tasks): (&Clock, Tasks),
) -> Arc<Broadcasts> {
    let broadcasts = Broadcasts::start(broadcasts::Parts {
        storage: Arc::clone(storage),
        outbox: Arc::clone(outbox),
        book: Arc::new(Book {
            directory: Arc::clone(directory),
            storage: Arc::clone(storage),
            connectors: Arc::clone(connectors),
            people: Arc::clone(people),
        }),
        places: Arc::clone(directory) as _,
        judge: Arc::new(Judge {
            rules: Arc::clone(rules),
            directory: Arc::clone(directory),
            clock: clock.clone(),
        }),
        confirming: Arc::new(Confirmers(Arc::clone(connectors))),
        speaking: Arc::new(Confirmers(Arc::clone(connectors))),
        tasks,
        clock: clock.clone(),
        config: broadcasts::Config::default(),
        seed: 7,
    });
    broadcasts.await.unwrap()
}

async fn partitions_for(
    storage: &SharedStorage,
    epoch: u64,
    rules: &Arc<ArcSwap<Rules>>,
    clock: &Clock,
) -> Partitions {
    let (storage, limits, clock) = (Arc::clone(storage), rules.load().limits.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || Partitions::open(storage, epoch, &limits, clock));
    opened.await.unwrap().unwrap().0
}

/// Platforms that can do everything; nobody is asked to do the rest.
struct Mighty(Arc<Ingest>);

#[async_trait]
impl Powers for Mighty {
    fn can_recall(&self, _account: &str, _group: &str) -> bool {
        true
    }

    async fn expel(&self, order: &Order) -> Result<Expelled, NotTaken> {
        self.0.expel(order).await
    }

    fn ask(&self, _left: &[Todo], _at_ms: i64) -> (Vec<Write>, Vec<StatusChange>) {
        Default::default()
    }

    fn asked(&self) {}
}

impl Gateway {
    async fn open() -> Self {
        Self::open_with(access::Config::default(), Config::default()).await
    }

    async fn open_with(access: access::Config, config: Config) -> Self {
        Self::open_listening(access, config, listener::Config::default()).await
    }

    #[expect(clippy::too_many_lines, reason = "everything behind the routes is opened here, once")]
    async fn open_listening(access: access::Config, config: Config, listening: listener::Config) -> Self {
        let data = tempfile::tempdir().unwrap();
        let storage = sqlite::open(data.path(), &crate::storage::Config::default()).unwrap();
        let epoch = storage.lease("test").await.unwrap();
        let clock = Clock::manual(NOW_MS);
        let access = Access::open(Arc::clone(&storage), clock.clone(), access).await.unwrap();
        let admin = access.bootstrap().await.unwrap().unwrap().secret.expose();
        let keys = Keyring::read_or_make(&data.path().join("key")).unwrap();
        let limits = directory::Config::default();
        let directory = Directory::open(Arc::clone(&storage), clock.clone(), limits, keys).await.unwrap();
        let (access, directory) = (Arc::new(access), Arc::new(directory));
        let places = Arc::clone(&directory);
        let connectors = connectors_for(&clock, &directory);
        let (tasks, tasks_owner) = detached();
        let deliverers = Arc::clone(&connectors);
        let outbox = Outbox::start(outbox::Parts {
            storage: Arc::clone(&storage),
            deliverers,
            places,
            tasks: tasks.clone(),
            clock: clock.clone(),
            config: outbox::Config::default(),
            epoch,
            seed: 7,
        });
        let mut settings = crate::config::Config::default();
        // They take most of the time of a start, and no test here looks at a disguise.
        settings.interception.variants = false;
        let rulebook = Rulebook::open(Arc::clone(&storage), settings, clock.clone(), tasks.clone());
        let (outbox, rulebook) = (outbox.await.unwrap(), rulebook.await.unwrap());
        let rules = rulebook.current();
        let people = people_for(&storage, &clock).await;
        let timing = (&clock, tasks.clone());
        let broadcasts =
            broadcasts_for(&storage, &outbox, &directory, &connectors, &rules, &people, timing).await;
        let notices = notices_for(&storage, &outbox, &directory, &rules, &clock);
        let (evidence, reviews) = evidence_for(&storage, &clock, &tasks).await;
        let kicks = Kicks::open(Arc::clone(&storage), clock.clone()).await.unwrap();
        let (listener, words) = Listener::new(listener::Parts {
            storage: Arc::clone(&storage),
            clock: clock.clone(),
            zone: directory.time_zone().clone(),
            config: listening,
        });
        if let Some(words) = words {
            tasks.spawn("words", words.run(tasks.clone()));
        }
        let ingest = ingest::Parts {
            partitions: partitions_for(&storage, epoch, &rules, &clock).await,
            rules: Arc::clone(&rules),
            access: Arc::clone(&access),
            directory: Arc::clone(&directory),
            connectors: Arc::clone(&connectors),
            outbox: Arc::clone(&outbox),
            evidence: Arc::clone(&evidence),
            hook: None,
            kicks: Arc::clone(&kicks),
            listener: Arc::clone(&listener),
            clock: clock.clone(),
            tasks: tasks.clone(),
        };
        let ingest = Arc::new(Ingest::new(ingest::Config::default(), ingest));
        let powers = Arc::new(Mighty(Arc::clone(&ingest)));
        let cases = Cases::open(Arc::clone(&storage), Arc::clone(&outbox), powers, clock.clone());
        let cases = cases.await.unwrap();
        let app = App::new(Parts {
            config,
            access: Arc::clone(&access),
            directory: Arc::clone(&directory),
            storage: Arc::clone(&storage),
            connectors,
            outbox,
            ingest: Arc::clone(&ingest),
            broadcasts,
            notices,
            alerts: alerts_for(&storage, &directory, &clock).await,
            subscriptions: subscriptions_for(&storage, &clock, &tasks).await,
            evidence: Arc::clone(&evidence),
            reviews: Arc::clone(&reviews),
            cases,
            kicks,
            people,
            listener: Arc::clone(&listener),
            rules,
            house: Arc::new(Quiet(rulebook)),
            platforms: Arc::new(platforms::Watched),
            clock: clock.clone(),
            serving: tasks.clone(),
        });
        let router = super::router(app.clone());
        Self {
            router,
            app,
            ingest,
            storage,
            directory,
            access,
            clock,
            evidence,
            reviews,
            tasks,
            admin,
            epoch,
            _tasks: tasks_owner,
            data,
        }
    }

    /// Reads what was decided about cases as a start does.
    async fn cases_anew(&self) -> Arc<Cases> {
        let outbox = Arc::clone(&self.app.parts().outbox);
        let powers = Arc::new(Mighty(Arc::clone(&self.ingest)));
        let cases = Cases::open(Arc::clone(&self.storage), outbox, powers, self.clock.clone());
        cases.await.unwrap()
    }

    async fn request(&self, request: Request<Body>) -> Got {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream has no end; what it tells is tried in `stream`.
        let is_stream =
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| *kind == "text/event-stream");
        let bytes = if is_stream { bytes::Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Got { status: parts.status, headers: parts.headers, text }
    }

    /// Calls with a token and, unless it is null, a JSON body.
    async fn call_as(&self, token: &str, method: &str, path: &str, body: Value) -> Got {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let body = match body {
            Value::Null => Body::empty(),
            Value::String(text) => {
                request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
                Body::from(text)
            }
            json @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
        };
        self.request(request.body(body).unwrap()).await
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Got {
        self.call_as(&self.admin, method, path, body).await
    }

    /// Sends a sheet.
    async fn csv(&self, method: &str, path: &str, sheet: &str) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.admin))
            .header(header::CONTENT_TYPE, "text/csv; charset=utf-8");
        self.request(request.body(Body::from(sheet.to_owned())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Got {
        self.call("GET", path, Value::Null).await
    }

    /// Makes an operator with this scope and all rights, and a token of theirs.
    async fn token_for(&self, operator: &str, scope: Value) -> String {
        let rights = json!([
            "events:write",
            "moderate",
            "broadcasts:write",
            "broadcasts:approve",
            "rules:write",
            "evidence:read",
            "reviews:decide",
            "read",
            "admin",
            "verdicts:write"
        ]);
        let body = json!({"name": operator, "rights": rights, "scope": scope});
        self.call("PUT", &format!("/v1/operators/{operator}"), body).await.expect(201);
        let body = json!({"name": "a program", "operator": operator});
        let made = self.call("POST", "/v1/tokens", body).await.expect(201);
        made.json()["secret"].as_str().unwrap().to_owned()
    }

    /// Posts with an idempotency key.
    async fn post_once(&self, token: &str, path: &str, key: &str, body: Value) -> Got {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        self.request(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Makes a brand with two regions, a shop and a declared group in each: `east` and `west`.
    async fn furnish(&self) {
        self.call("PUT", "/v1/brands/acme", json!({"name": "佳味"})).await.expect(201);
        for (side, word) in [("east", "机密"), ("west", "自家")] {
            let region = json!({"name": format!("{side}{word}"), "brand": "acme"});
            self.call("PUT", &format!("/v1/regions/{side}"), region).await.expect(201);
            let shop = json!({"name": format!("{side}{word}店"), "region": side});
            self.call("PUT", &format!("/v1/shops/s-{side}"), shop).await.expect(201);
            let group =
                json!({"name": format!("{side}{word}群"), "shop": format!("s-{side}"), "tags": ["vip"]});
            self.call("PUT", &format!("/v1/groups/demo/g-{side}"), group).await.expect(201);
        }
    }

    /// Commits a message as the pipeline would.
    async fn message(&self, group: &str, member: &str, at_ms: i64) {
        self.message_with(group, member, at_ms, Vec::new()).await;
    }

    /// Commits a message and what followed from it.
    async fn message_with(&self, group: &str, member: &str, at_ms: i64, facts: Vec<Fact<'_>>) {
        self.happen(EventType::Message, group, (member, Role::Customer), at_ms, facts).await;
    }

    /// Commits what a member did and what followed from it.
    async fn happen(
        &self,
        what: EventType,
        group: &str,
        (member, role): (&str, Role),
        at_ms: i64,
        facts: Vec<Fact<'_>>,
    ) {
        let secret = self.storage.dedupe_secret();
        let id = format!("{group}-{member}-{at_ms}-{what:?}");
        let head = Head {
            key: EventKey::of(&secret, "demo", group, &id),
            at_ms,
            arrived_ms: at_ms,
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
        let mut payload = Vec::new();
        codec::encode(&Effects { head, facts }, &mut payload);
        let bucket = u32::try_from(at_ms / crate::event::HOUR_MS).unwrap();
        let partition = partition_of("demo", group);
        let append = Append {
            partition,
            epoch: self.epoch,
            payload: &payload,
            events: 1,
            bucket_min: bucket,
            bucket_max: bucket,
        };
        self.storage.append(append).unwrap().wait().await.unwrap();
        self.directory.see("demo", group);
    }
}
