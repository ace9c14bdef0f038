//! Promise 3 under SIGKILL: a broadcast to 24,000 groups reaches each of them once, wherever the gateway dies.
//!
//! It is killed a hundred times: before and after it accepted the broadcast, while it writes targets, between an intent
//! and its call, in the middle of calls, and while it starts. What it says after each start is compared with what the
//! receiver has, which recognises ids and remembers texts: that one judges, not the gateway's own counts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::Method;
use loadtest::sink::{Sink, SinkConfig, SinkReport};
use serde_json::{Value, json};

use crate::support::chance::{Chance, now_ms};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::within;

const TARGETS: u64 = 24_000;
const KILLS: u64 = 100;
/// `outbox.in_flight_max`.
const IN_FLIGHT: usize = 64;
/// A start takes about as long, unoptimised.
const START_MS: u64 = 600;
/// Slow enough that a hundred starts find something left to send.
const LIMIT: &str = "window:400/s";
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The gateway, the receiver, and what came to light so far.
struct Story {
    gateway: Gateway,
    sink: Sink,
    chance: Chance,
    kills: u64,
    /// Deaths since somebody asked what is uncertain: also a start that is not up yet may send.
    deaths: usize,
    /// Every call of the broadcast, by its target and attempt, that a start found without an outcome.
    uncertain: BTreeSet<(u64, u64)>,
    most_at_once: usize,
}

/// One broadcast: a machine that is so busy that a gateway sends much while the test looks away needs a second one.
struct Round {
    number: u64,
    id: String,
    /// What the receiver had before.
    before: SinkReport,
}

impl Round {
    fn left(&self, report: &SinkReport) -> u64 {
        TARGETS - (report.distinct - self.before.distinct)
    }
}

impl Story {
    async fn begin(seed: u64) -> Self {
        let faults = vec!["delay=1ms..10ms".parse().unwrap()];
        let sink = Sink::start(SinkConfig {
            faults,
            seed,
            audit: vec![LIMIT.parse().unwrap()],
            ..SinkConfig::default()
        })
        .await
        .unwrap();
        let mut gateway = Gateway::unstarted_with(&[
            ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
            ("MENSHEN_ACCESS__REQUESTS", "pace:10000000/m,max_burst=1000000"),
            // Nothing is judged but one text: compiling the lists anew would be most of each start.
            ("MENSHEN_INTERCEPTION__WORDLISTS_DIR", "words"),
            ("MENSHEN_INTERCEPTION__VARIANTS", "false"),
            ("MENSHEN_OUTBOX__IN_FLIGHT_MAX", &IN_FLIGHT.to_string()),
            // Long enough that what is uncertain is seen before it is resolved.
            ("MENSHEN_OUTBOX__RESOLVE_AFTER", "8s"),
        ]);
        let words = gateway.home().join("words");
        std::fs::create_dir(&words).unwrap();
        std::fs::write(words.join("one.txt"), "加微信\n").unwrap();
        gateway.restart();
        let account = json!({
            "platform": "webhook", "secrets": [{"value": SECRET}], "limits": [LIMIT],
            "settings": {"url": sink.url(), "receiver_dedupes": true},
        });
        gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
        let numbers: Vec<u64> = (0..TARGETS).collect();
        for some in numbers.chunks(4_000) {
            let lines: Vec<String> = some
                .iter()
                .map(|n| json!({"account": "shop", "group": format!("g-{n}")}).to_string())
                .collect();
            let ndjson = [("content-type", "application/x-ndjson")];
            let answer =
                gateway.client.send(Method::POST, "/v1/groups", &ndjson, lines.join("\n")).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        Self {
            gateway,
            sink,
            chance: Chance::new(seed),
            kills: 0,
            deaths: 0,
            uncertain: BTreeSet::new(),
            most_at_once: 0,
        }
    }

    /// Accepted is accepted: one key is one broadcast to all, whether the gateway died before or after its answer.
    async fn accept(&mut self, number: u64) -> Round {
        let before = self.sink.report();
        let asking = tokio::spawn(create(self.gateway.client.clone(), number));
        let moment = Duration::from_micros(self.chance.below(30_000));
        tokio::time::sleep(moment).await; // the moment of death
        self.gateway.restart();
        let first = asking.await.unwrap();
        println!("killed {moment:?} into the request: {:?}", first.as_ref().map(|answer| &answer["id"]));
        let accepted = create(self.gateway.client.clone(), number).await.unwrap();
        assert_eq!(accepted["expected"], TARGETS, "{accepted}");
        if let Ok(first) = first {
            assert_eq!(first["id"], accepted["id"], "one key, one broadcast");
        }
        self.gateway.restart();
        let again = create(self.gateway.client.clone(), number).await.unwrap();
        assert_eq!((&again["id"], &again["expected"]), (&accepted["id"], &accepted["expected"]), "{again}");
        let all = self.gateway.client.get("/v1/broadcasts").await;
        assert_eq!(all["items"].as_array().map(|all| all.len() as u64), Some(number), "{all}");
        self.uncertain.clear();
        self.deaths = 2;
        Round { number, id: accepted["id"].as_str().unwrap().to_owned(), before }
    }

    /// Kills it after some more deliveries, in every fourth case or so once more before it is up; meanwhile asks what the
    /// last kill left uncertain. Says whether there was something to interrupt.
    async fn kill(&mut self, round: &Round) -> bool {
        let taken = self.sink.report();
        // Spread over what is left, so that the last kill still finds something to interrupt.
        let due = self.chance.below((2 * round.left(&taken) / (KILLS - self.kills + 1)).max(1));
        let progress = self.sink.wait_for(|report| report.distinct >= taken.distinct + due);
        let progress = tokio::time::timeout(PATIENCE, progress);
        let (found, report) = tokio::join!(uncertain(&self.gateway.client, &round.id), progress);
        let report = report.expect("deliveries go on after a start");
        let (fresh, most) = (found.difference(&self.uncertain).count(), IN_FLIGHT * self.deaths);
        assert!(
            fresh <= most,
            "{fresh} became uncertain in {} deaths, after {} kills",
            self.deaths,
            self.kills
        );
        self.most_at_once = self.most_at_once.max(fresh.div_ceil(self.deaths));
        self.uncertain.extend(found);
        self.deaths = 0;
        if round.left(&report) == 0 {
            return false;
        }
        self.gateway.kill();
        (self.kills, self.deaths) = (self.kills + 1, 1);
        if self.chance.below(4) == 0 {
            let moment = Duration::from_millis(self.chance.below(START_MS));
            self.gateway.die_while_starting(moment).await;
            self.deaths += 1;
        }
        self.gateway.restart();
        true
    }

    /// It ends by itself, everything is told, and the receiver agrees to the message.
    async fn end(&mut self, round: Round) {
        let found = uncertain(&self.gateway.client, &round.id).await;
        self.uncertain.extend(found);
        let path = format!("/v1/broadcasts/{}", round.id);
        let client = &self.gateway.client;
        let end = within(PATIENCE, "the broadcast is finished", || async {
            let now = client.get(&path).await;
            // What is uncertain is still asked about when nothing else is left.
            (now["state"] == "finished" && now["counts"]["uncertain"] == 0).then_some(now)
        })
        .await;
        let counts: Vec<(&String, u64)> = end["counts"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(state, count)| Some((state, count.as_u64().filter(|count| *count > 0)?)))
            .collect();
        assert_eq!(counts, [(&"sent".to_owned(), TARGETS)], "{end}");
        let report = self.sink.report();
        assert_eq!((round.left(&report), report.groups), (0, TARGETS), "none is lost: {report:?}");
        assert_eq!((report.repeated_content, report.malformed), (0, 0), "none is said twice: {report:?}");
        assert!(report.audits.iter().all(|audit| audit.violations == 0), "the limit is kept: {report:?}");
        let repeats = report.accepted - round.before.accepted - TARGETS;
        let most = self.uncertain.len() as u64;
        assert!(repeats <= most, "{repeats} ids came again, but only {most} calls were uncertain");
        println!(
            "broadcast {}: {} kills so far, {most} calls uncertain, {repeats} of these had arrived",
            round.number, self.kills
        );
    }
}

async fn create(client: Client, number: u64) -> Result<Value, String> {
    let body = json!({"account": "shop", "text": format!("周末到店有礼 {number}"), "audience": "all"});
    let key = format!("\"weekend-{number}\"");
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    let answer = client.send(Method::POST, "/v1/broadcasts", &headers, body.to_string()).await?;
    assert!(answer.status.is_success(), "{answer:?}");
    Ok(answer.json())
}

/// The calls of which nobody knows whether they arrived.
async fn uncertain(client: &Client, broadcast: &str) -> BTreeSet<(u64, u64)> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/broadcasts/{broadcast}/targets?state=uncertain&limit=1000{cursor}");
        let page = client.get(&path).await;
        for target in page["items"].as_array().unwrap() {
            found.insert((target["target"].as_u64().unwrap(), target["attempts"].as_u64().unwrap()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_target_is_lost_or_sent_twice_wherever_the_gateway_is_killed() {
    let seed = now_ms();
    println!("seed {seed}");
    let mut story = Story::begin(seed).await;
    let began = Instant::now();
    let mut number = 0;
    while story.kills < KILLS {
        number += 1;
        let round = story.accept(number).await;
        while story.kills < KILLS && story.kill(&round).await {}
        story.end(round).await;
    }
    println!("{KILLS} kills in {:?}; at most {} uncertain at once", began.elapsed(), story.most_at_once);
}
