//! Status webhooks from end to end: the receiver fails for a while, the gateway is killed, and what it was told in the end
//! is what the ledger says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use loadtest::sink::{Sink, SinkConfig};
use menshen::webhooks::{VerifyKey, verify};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::chance::now_ms;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::receiver;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GROUPS: usize = 150;
const TEXT: &str = "周末到店有礼";

/// A program that is told, and remembers what it took.
#[derive(Default)]
struct Integrator {
    key: Option<VerifyKey>,
    fails: bool,
    refused: usize,
    /// Every change it took, by number; one that comes again must say the same.
    union: BTreeMap<u64, Value>,
    /// Up to which change it was told.
    through: u64,
    tests: usize,
}

impl Integrator {
    /// Answers a call, after looking at everything that was promised of it.
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let Some(key) = self.key.clone() else { return StatusCode::SERVICE_UNAVAILABLE };
        let tolerance = Duration::from_mins(5);
        let now_ms = i64::try_from(now_ms()).unwrap();
        verify(&[key], headers, body, now_ms, tolerance).expect("signed with the secret that was shown");
        let text = std::str::from_utf8(body).unwrap();
        assert!(!text.contains(TEXT) && !text.contains("secret"), "ids and counts only: {text}");
        if self.fails {
            self.refused += 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        if body["type"] == "status.test" {
            self.tests += 1;
            return StatusCode::NO_CONTENT;
        }
        let (after, through) =
            (body["data"]["after"].as_u64().unwrap(), body["data"]["through"].as_u64().unwrap());
        assert!(after <= self.through, "nothing was left out between {} and {after}", self.through);
        assert_eq!(body["data"]["missed"], 0);
        let mut last = after;
        for change in body["data"]["changes"].as_array().unwrap() {
            let seq = change["seq"].as_u64().unwrap();
            assert_eq!(seq, last + 1, "in order, each number once: {body}");
            last = seq;
            let known = self.union.entry(seq).or_insert_with(|| change.clone());
            assert_eq!(known, change, "a number always stands for the same");
        }
        assert_eq!(last, through);
        self.through = self.through.max(through);
        StatusCode::OK
    }

    /// What each delivery came to, and each broadcast, as far as it was told.
    fn states(&self) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (mut deliveries, mut broadcasts) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for change in self.union.values() {
            if change["delivery"].is_string() {
                deliveries.insert(text(&change["delivery"]), text(&change["state"]));
            } else {
                broadcasts.entry(text(&change["broadcast"])).or_default().push(text(&change["state"]));
            }
        }
        (deliveries, broadcasts)
    }
}

/// Serves it; returns where.
async fn serve(integrator: Arc<Mutex<Integrator>>) -> String {
    receiver::serve("/menshen", move |headers, body| integrator.lock().take(headers, body)).await
}

async fn broadcast(gateway: &Gateway, body: &Value, key: &str) -> String {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    let answer =
        gateway.client.send(Method::POST, "/v1/broadcasts", &headers, body.to_string()).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Every target of a broadcast with its state, as the ledger has it.
async fn ledger(gateway: &Gateway, id: &str) -> BTreeMap<String, String> {
    let path = format!("/v1/broadcasts/{id}/results?format=ndjson");
    let results = gateway.client.send(Method::GET, &path, &[], "").await.unwrap();
    assert_eq!(results.status, 200, "{results:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    results.lines().iter().map(|line| (text(&line["delivery"]), text(&line["state"]))).collect()
}

async fn settle(gateway: &Gateway, id: &str, state: &str) {
    eventually(&format!("{id} is {state} and closed"), || async {
        let now = gateway.client.get(&format!("/v1/broadcasts/{id}")).await;
        let count = |state: &str| now["counts"][state].as_u64().unwrap();
        let open = count("pending") + count("sending") + count("uncertain");
        (now["state"] == state && open == 0).then_some(())
    })
    .await;
}

/// A gateway with groups at a sink, and an endpoint that was tried.
async fn set_up(sink: &Sink, integrator: &Arc<Mutex<Integrator>>) -> Gateway {
    let gateway = Gateway::start(&[
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_SUBSCRIPTIONS__BATCH_CHANGES_MAX", "20"),
        ("MENSHEN_SUBSCRIPTIONS__LOOK", "20ms"),
        ("MENSHEN_SUBSCRIPTIONS__RETRY_DELAY", "50ms"),
        ("MENSHEN_SUBSCRIPTIONS__RETRY_DELAY_MAX", "200ms"),
    ]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:60/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    let groups: Vec<String> = (0..GROUPS)
        .map(|n| json!({"account": "shop", "group": format!("g-{n}"), "tags": ["all"]}).to_string())
        .collect();
    let ndjson = [("content-type", "application/x-ndjson")];
    gateway.client.send(Method::POST, "/v1/groups", &ndjson, groups.join("\n")).await.unwrap();

    let endpoint = json!({"name": "运营系统", "url": serve(Arc::clone(integrator)).await});
    let made = gateway.client.expect(201, Method::PUT, "/v1/endpoints/ops", &endpoint).await;
    integrator.lock().key = Some(VerifyKey::parse(made["secret"].as_str().unwrap()).unwrap());
    let shown = gateway.client.get("/v1/endpoints/ops").await;
    assert!(shown.get("secret").is_none(), "{shown}");
    let tried = gateway.client.expect(200, Method::POST, "/v1/endpoints/ops/test", &Value::Null).await;
    assert_eq!((&tried["delivered"], integrator.lock().tests), (&json!(true), 1), "{tried}");
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_integrator_was_told_in_the_end_is_what_the_ledger_says() {
    let sink = Sink::start(SinkConfig::default()).await.unwrap();
    let integrator = Arc::new(Mutex::new(Integrator::default()));
    let mut gateway = set_up(&sink, &integrator).await;
    let body = json!({"account": "shop", "text": TEXT, "audience": "all"});
    let sent = broadcast(&gateway, &body, "\"one\"").await;
    eventually("it is told of the first", || async { (integrator.lock().union.len() > 20).then_some(()) })
        .await;
    integrator.lock().fails = true;
    sink.wait_for(|report| report.distinct >= 60).await;
    gateway.restart();
    // It goes on sending though nobody takes what it tells.
    let refused = integrator.lock().refused;
    sink.wait_for(|report| report.distinct >= 100).await;
    eventually("it was refused after the start", || async {
        (integrator.lock().refused > refused + 1).then_some(())
    })
    .await;
    let shown = gateway.client.get("/v1/endpoints/ops").await;
    assert!(shown["failing_since"].is_string() && shown["waiting"].as_u64().unwrap() > 0, "{shown}");
    // A second one that is called off in the middle; killed again while it is told of that.
    let called_off = broadcast(&gateway, &body, "\"two\"").await;
    integrator.lock().fails = false;
    settle(&gateway, &sent, "finished").await;
    gateway
        .client
        .expect(200, Method::POST, &format!("/v1/broadcasts/{called_off}/cancel"), &Value::Null)
        .await;
    gateway.restart();
    settle(&gateway, &called_off, "cancelled").await;

    let mut expect = ledger(&gateway, &sent).await;
    expect.extend(ledger(&gateway, &called_off).await);
    assert_eq!(expect.len(), 2 * GROUPS);
    eventually("it was told of everything", || async {
        let shown = gateway.client.get("/v1/endpoints/ops").await;
        (shown["waiting"] == 0 && integrator.lock().through == shown["position"]).then_some(())
    })
    .await;
    let (deliveries, broadcasts) = integrator.lock().states();
    assert_eq!(deliveries, expect);
    assert_eq!(broadcasts[&sent].last().unwrap(), "finished");
    assert_eq!(broadcasts[&called_off].last().unwrap(), "cancelled");
    assert!(
        broadcasts.values().all(|states| states.windows(2).all(|two| two[0] != two[1])),
        "{broadcasts:?}"
    );
    let union = integrator.lock().union.clone();
    assert_eq!(union.keys().copied().collect::<Vec<_>>(), (1..=union.len() as u64).collect::<Vec<_>>());

    // An integrator that lost everything is told again.
    let key = integrator.lock().key.clone();
    *integrator.lock() = Integrator { key, ..Integrator::default() };
    let from = union[&1]["at"].clone();
    let again =
        gateway.client.expect(200, Method::POST, "/v1/endpoints/ops/replay", &json!({"from": from})).await;
    assert_eq!((&again["after"], &again["complete"]), (&json!(0), &json!(true)), "{again}");
    eventually("it knows everything again", || async { (integrator.lock().union == union).then_some(()) })
        .await;
}
