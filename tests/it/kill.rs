//! Promise 1 and 2 under SIGKILL: every acknowledged event is counted once, every send it caused goes out once.
//!
//! Several connections send numbered events of every effect kind; the gateway is killed again and again; what was not
//! acknowledged, and some of what was, is sent again, also while its first copy is still being committed. At the end
//! every number the gateway gives is compared with a recomputation from the clients' own log, people by day among them.

mod people;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::chance::{Chance, now_ms};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::within;

const KILLS: usize = 25;
const WORKERS: u64 = 4;
const GROUPS: u64 = 12;
const HOUR_MS: u64 = 3_600_000;
/// Events are as old as that: within the window of repeats, so that they go into the days they belong to.
const AGE_MS_MAX: u64 = 60 * HOUR_MS;
/// Older than the window of repeats: in no day and no roster.
const LATE_MS: u64 = 80 * HOUR_MS;
const PATIENCE: Duration = Duration::from_mins(2);
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const PLAIN: &str = "今天到的三黄鸡很新鲜，路口那家店还有";
const ADVERT: &str = "加微信 abc888 领优惠";
const HOURS: &str = "请问营业时间";
const ADDRESS: &str = "你们地址在哪里";

/// What one event must have led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Plain,
    Advert,
    Hours,
    Address,
    Joined,
    Left,
}

#[derive(Clone, Debug)]
struct Event {
    id: String,
    group: u64,
    member: String,
    kind: Kind,
    at_ms: u64,
}

impl Event {
    fn json(&self) -> Value {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(self.at_ms).unwrap()).unwrap();
        let mut event = json!({
            "id": self.id, "account": "shop", "group": format!("g-{}", self.group), "member": self.member,
            "at": at.to_string(), "type": "message",
        });
        match self.kind {
            Kind::Plain => event["text"] = PLAIN.into(),
            Kind::Advert => event["text"] = ADVERT.into(),
            Kind::Hours => event["text"] = HOURS.into(),
            Kind::Address => event["text"] = ADDRESS.into(),
            Kind::Joined => event["type"] = "member_joined".into(),
            Kind::Left => event["type"] = "member_left".into(),
        }
        event
    }
}

/// What the workers and the killer share.
struct Shared {
    client: RwLock<Client>,
    acknowledged: AtomicU64,
    /// Answers of which a part was refused with `not_ready`.
    partly: AtomicU64,
    stop: AtomicBool,
    /// Every event that was acknowledged, in each worker's order, with the statuses it was answered with.
    log: Mutex<Vec<Event>>,
    counted: Mutex<HashMap<String, u32>>,
}

impl Shared {
    fn client(&self) -> Client {
        self.client.read().unwrap().clone()
    }

    /// Sends events until the gateway acknowledges them all; returns their statuses.
    async fn acknowledged(&self, events: &[Event]) -> Vec<String> {
        let body = events.iter().map(|event| event.json().to_string()).collect::<Vec<_>>().join("\n");
        loop {
            let headers = [("content-type", "application/x-ndjson")];
            let answer = self.client().send(Method::POST, "/v1/events", &headers, body.clone()).await;
            if let Ok(answer) = answer
                && answer.status == 200
            {
                let lines = answer.lines();
                let statuses: Vec<String> =
                    lines.iter().filter_map(|line| Some(line["status"].as_str()?.to_owned())).collect();
                if statuses.len() == events.len() {
                    for (event, line) in events.iter().zip(&lines) {
                        assert_eq!(line["id"], event.id, "answers are in order");
                        if line["status"] == "counted" {
                            *self.counted.lock().unwrap().entry(event.id.clone()).or_default() += 1;
                        }
                    }
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                    return statuses;
                }
                let refused: Vec<&Value> = lines.iter().filter(|line| line["status"].is_null()).collect();
                assert!(
                    refused.iter().all(|line| line["error"]["code"] == "not_ready"),
                    "refused for good: {refused:?}"
                );
                self.partly.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(3)).await; // it is down or starting
        }
    }
}

struct Worker {
    number: u64,
    chance: Chance,
    next: u64,
    present: BTreeMap<(u64, u64), bool>,
    /// When somebody came or went last. Of two such events in one millisecond the later arrival decides, and what is
    /// refused and sent again arrives later: so that there is one truth, no two happen at the same time. They go on from
    /// two days ago.
    moved_ms: u64,
    mine: Vec<Event>,
}

impl Worker {
    fn event(&mut self) -> Event {
        let (group, member) = (self.chance.below(GROUPS), self.chance.below(30));
        let present = self.present.get(&(group, member)).copied();
        let kind = match (self.chance.below(100), present) {
            (_, Some(false)) | (0..8, None) => Kind::Joined,
            (0..7, Some(true)) => Kind::Left,
            (10..25, _) => Kind::Advert,
            (25..35, _) => Kind::Hours,
            (35..40, _) => Kind::Address,
            _ => Kind::Plain,
        };
        self.present.insert((group, member), kind != Kind::Left);
        self.next += 1;
        let at_ms = match kind {
            Kind::Joined | Kind::Left => {
                let later = self.moved_ms + 1 + self.chance.below(HOUR_MS);
                self.moved_ms = later.min(now_ms()).max(self.moved_ms + 1);
                self.moved_ms
            }
            Kind::Plain | Kind::Advert => now_ms() - self.chance.below(AGE_MS_MAX),
            Kind::Hours | Kind::Address => now_ms() - self.chance.below(3 * HOUR_MS),
        };
        Event {
            id: format!("w{}-{}", self.number, self.next),
            group,
            member: format!("w{}-m{member}", self.number),
            kind,
            at_ms,
        }
    }

    /// Something that happened too long ago, of somebody who is heard of in no other way.
    fn event_late(&mut self) -> Event {
        self.next += 1;
        let id = format!("w{}-{}-late", self.number, self.next);
        let group = self.chance.below(GROUPS);
        let member = format!("w{}-late", self.number);
        Event { id, group, member, kind: Kind::Plain, at_ms: now_ms() - LATE_MS }
    }

    async fn run(mut self, shared: Arc<Shared>) {
        while !shared.stop.load(Ordering::SeqCst) {
            let size = if self.chance.below(2) == 0 { 1 } else { 1 + self.chance.below(12) };
            let events: Vec<Event> = (0..size).map(|_| self.event()).collect();
            if self.chance.below(10) == 0 {
                // A redelivery that overtakes its own first copy.
                tokio::join!(shared.acknowledged(&events), shared.acknowledged(&events));
            } else {
                shared.acknowledged(&events).await;
            }
            shared.log.lock().unwrap().extend(events.iter().cloned());
            self.mine.extend(events);
            if self.chance.below(8) == 0 {
                let old = usize::try_from(self.chance.below(self.mine.len() as u64)).unwrap();
                let statuses = shared.acknowledged(&self.mine[old..=old]).await;
                assert_eq!(statuses, ["duplicate"], "{:?} was acknowledged before", self.mine[old]);
            }
            if self.chance.below(20) == 0 {
                let event = self.event_late();
                assert_eq!(shared.acknowledged(&[event]).await, ["late"]);
            }
        }
    }
}

async fn set_up(client: &Client, sink: &Sink) {
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["concurrency:8"],
        "settings": { "url": sink.url(), "receiver_dedupes": true },
    });
    client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let reply = |word: &str, cooldown_s: u64| json!({"keywords": [word], "text": "好的：十点到十点", "cooldown_s": cooldown_s});
    client.expect(201, Method::PUT, "/v1/replies/hours", &reply("营业时间", 0)).await;
    client.expect(201, Method::PUT, "/v1/replies/address", &reply("地址", 86_400)).await;
    client.expect(201, Method::PUT, "/v1/welcomes/all", &json!({"text": "欢迎 {member.name}"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_counted_once_whatever_is_killed() {
    let seed = now_ms();
    println!("seed {seed}");
    let sink = Sink::start(SinkConfig::default()).await.unwrap();
    let mut gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_ACCESS__REQUESTS", "pace:10000000/m,max_burst=1000000"),
        ("MENSHEN_REPLIES__EXPIRY", "1h"),
        ("MENSHEN_REPLIES__MEMBER_ANSWERS_MAX", "0"),
        ("MENSHEN_WELCOMES__EXPIRY", "1h"),
        ("MENSHEN_WELCOMES__JOIN_AGE_MAX", "72h"),
        // One greeting for each who joins, so that each can be looked for.
        ("MENSHEN_WELCOMES__BURST_WINDOW", "0s"),
        ("MENSHEN_WELCOMES__BURST_GAP", "0s"),
        ("MENSHEN_WELCOMES__REJOIN_DAYS", "0"),
        ("MENSHEN_CONDUCT__FLOOD_MESSAGES_MAX", "0"),
    ]);
    set_up(&gateway.client, &sink).await;
    let judged = gateway.client.expect(200, Method::POST, "/v1/moderate", &json!({"text": ADVERT})).await;
    let hits_of_advert = judged["hits"].as_array().unwrap().len() as u64;
    assert!(hits_of_advert > 0, "the advert must be caught: {judged}");

    let shared = Arc::new(Shared {
        client: RwLock::new(gateway.client.clone()),
        acknowledged: AtomicU64::new(0),
        partly: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        log: Mutex::default(),
        counted: Mutex::default(),
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let chance = Chance::new(seed ^ (number << 32));
            let worker = Worker {
                number,
                chance,
                next: 0,
                present: BTreeMap::new(),
                moved_ms: seed - AGE_MS_MAX,
                mine: Vec::new(),
            };
            tokio::spawn(worker.run(shared.clone()))
        })
        .collect();
    let mut chance = Chance::new(seed ^ 0xdead);
    for kill in 0..KILLS {
        let due = shared.acknowledged.load(Ordering::SeqCst) + 5 + chance.below(60);
        within(PATIENCE, "the workers make progress", || async {
            (shared.acknowledged.load(Ordering::SeqCst) >= due).then_some(())
        })
        .await;
        gateway.restart();
        *shared.client.write().unwrap() = gateway.client.clone();
        println!("kill {kill}: {} requests acknowledged", shared.acknowledged.load(Ordering::SeqCst));
    }
    shared.stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    gateway.restart();

    let log = std::mem::take(&mut *shared.log.lock().unwrap());
    let twice: Vec<_> = shared.counted.lock().unwrap().clone().into_iter().filter(|(_, n)| *n != 1).collect();
    assert_eq!(twice, [], "counted twice");
    println!("{} events, {} answers refused in part", log.len(), shared.partly.load(Ordering::SeqCst));
    check_groups(&gateway.client, &log, hits_of_advert).await;
    check_people(&gateway.client, &log).await;
    check_sends(&gateway.client, &sink, &log).await;
}

/// People of all groups together, and of a part of them.
async fn check_people(client: &Client, log: &[Event]) {
    people::check(client, &log.iter().collect::<Vec<_>>(), "account=shop").await;
    for group in 0..GROUPS / 2 {
        let tags = json!({"tags": ["even"]});
        client.expect(201, Method::PUT, &format!("/v1/groups/shop/g-{}", group * 2), &tags).await;
    }
    let even: Vec<&Event> = log.iter().filter(|event| event.group % 2 == 0).collect();
    people::check(client, &even, "tag=even").await;
}

/// Every count of every group and hour, and every roster, against the log.
async fn check_groups(client: &Client, log: &[Event], hits_of_advert: u64) {
    for group in 0..GROUPS {
        let events: Vec<&Event> = log.iter().filter(|event| event.group == group).collect();
        let of = |kinds: &[Kind]| events.iter().filter(|event| kinds.contains(&event.kind)).count() as u64;
        let adverts = of(&[Kind::Advert]);
        let expect = json!({
            "messages": of(&[Kind::Plain, Kind::Advert, Kind::Hours, Kind::Address]),
            "joins": of(&[Kind::Joined]),
            "leaves": of(&[Kind::Left]),
            "hits": adverts * hits_of_advert,
            "replies": of(&[Kind::Hours]) + of(&[Kind::Address]).min(1),
            "welcomes": of(&[Kind::Joined]),
        });
        let path = format!("/v1/groups/shop/g-{group}");
        let ms = i64::try_from(now_ms() - AGE_MS_MAX - 2 * HOUR_MS).unwrap();
        let from = jiff::Timestamp::from_millisecond(ms).unwrap();
        let statistics = client.get(&format!("{path}/statistics?by=hour&from={from}")).await;
        for (name, number) in expect.as_object().unwrap() {
            assert_eq!(statistics["totals"][name], *number, "{name} of group {group}: {statistics}");
        }
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        for event in events.iter().filter(|e| !matches!(e.kind, Kind::Joined | Kind::Left)) {
            *hours.entry(i64::try_from(event.at_ms / HOUR_MS).unwrap()).or_default() += 1;
        }
        let told: BTreeMap<i64, u64> = statistics["rows"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["messages"] != 0)
            .map(|row| {
                let start: jiff::Timestamp = row["start"].as_str().unwrap().parse().unwrap();
                (start.as_millisecond() / 3_600_000, row["messages"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(told, hours, "messages by hour of group {group}");
        check_roster(client, &path, &events).await;
    }
}

async fn check_roster(client: &Client, path: &str, events: &[&Event]) {
    let mut expect: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events {
        expect.insert(&event.member, event.kind != Kind::Left);
    }
    let page = client.get(&format!("{path}/members?limit=500")).await;
    let told: BTreeMap<&str, bool> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (member["member"].as_str().unwrap(), member["present"].as_bool().unwrap()))
        .collect();
    let mut wrong = expect.clone();
    wrong.retain(|member, present| told.get(member) != Some(present));
    let history = |member: &str| {
        let own = events.iter().filter(|e| e.member == member && matches!(e.kind, Kind::Joined | Kind::Left));
        own.map(|e| (e.id.clone(), e.kind, e.at_ms)).collect::<Vec<_>>()
    };
    let histories: Vec<_> = wrong.keys().map(|member| (member, told.get(member), history(member))).collect();
    assert!(
        wrong.is_empty(),
        "roster of {path}: who it is wrong about, what it says, who came and went: {histories:?}"
    );
    assert_eq!(told.len(), expect.len(), "roster of {path} knows strangers: {told:?}");
}

/// Every reply and welcome reached the sink, each under one id.
async fn check_sends(client: &Client, sink: &Sink, log: &[Event]) {
    let asked_address: BTreeSet<u64> =
        log.iter().filter(|event| event.kind == Kind::Address).map(|event| event.group).collect();
    let count = |kind| log.iter().filter(|event| event.kind == kind).count();
    let expect = BTreeMap::from([
        ("reply", count(Kind::Hours) + asked_address.len()),
        ("welcome", count(Kind::Joined)),
    ]);
    // What is uncertain is asked about after five seconds, and kills have left many.
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        let told = distinct(sink);
        let done = expect.iter().all(|(kind, n)| told.get(*kind).is_some_and(|ids| ids.len() >= *n));
        if done || Instant::now() > deadline {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let letters = client.get("/v1/dead-letters").await;
    let lanes = client.get("/v1/outbound").await;
    for (kind, number) in &expect {
        let ids = told.get(*kind).map_or(0, BTreeSet::len);
        assert_eq!(ids, *number, "{kind}: waiting {lanes}, dead {letters}, at the sink {:?}", sink.report());
    }
    assert_eq!(letters["items"].as_array().map(Vec::len), Some(0), "{letters}");
}

fn distinct(sink: &Sink) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for receipt in sink.receipts(0, usize::MAX) {
        ids.entry(receipt.kind).or_default().insert(receipt.id);
    }
    ids
}
