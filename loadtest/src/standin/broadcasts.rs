//! The stand-in's broadcasts: delivered at once, signed, and counted by what the receiver answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Defects;
use crate::client::{Call, Hurdles, Target};
use crate::sink::Secret;

type Counts = BTreeMap<&'static str, u64>;

#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    receiver: Option<(Arc<Target>, Secret)>,
    by_key: HashMap<String, String>,
    counts: HashMap<String, Arc<Mutex<Counts>>>,
}

impl Broadcasts {
    pub(super) fn deliver_to(&mut self, url: &str, secret: &str) {
        let target = Arc::new(Target::new(url, None).expect("an address"));
        self.receiver = Some((target, secret.parse().expect("a secret")));
    }

    pub(super) fn create(
        &mut self,
        body: &[u8],
        key: &str,
        groups: Vec<(String, String)>,
        defects: &Defects,
    ) -> (StatusCode, Value) {
        if let Some(id) = self.by_key.get(key) {
            return (StatusCode::ACCEPTED, json!({"id": id, "state": "running", "counts": {}}));
        }
        let id = format!("bc_{}", self.by_key.len() + 1);
        self.by_key.insert(key.to_owned(), id.clone());
        let body: Value = serde_json::from_slice(body).expect("json");
        let text = body["text"].as_str().expect("a text").to_owned();
        let counts = Arc::new(Mutex::new(Counts::from([("pending", groups.len() as u64), ("sent", 0)])));
        self.counts.insert(id.clone(), Arc::clone(&counts));
        let receiver = self.receiver.clone().expect("a receiver");
        tokio::spawn(deliver(receiver, groups, text, counts, defects.clone()));
        (StatusCode::ACCEPTED, json!({"id": id, "state": "running", "counts": {}}))
    }

    pub(super) fn view(&self, id: &str) -> (StatusCode, Value) {
        let Some(counts) = self.counts.get(id) else { return (StatusCode::NOT_FOUND, json!({})) };
        let counts = counts.lock().expect("no panic").clone();
        let state = if counts["pending"] == 0 { "finished" } else { "running" };
        let finish = "2026-11-22T10:00:00Z";
        (StatusCode::OK, json!({"id": id, "state": state, "counts": counts, "estimated_finish_at": finish}))
    }
}

async fn deliver(
    (target, secret): (Arc<Target>, Secret),
    groups: Vec<(String, String)>,
    text: String,
    counts: Arc<Mutex<Counts>>,
    defects: Defects,
) {
    let mut connection = target.connection();
    for (number, (account, group)) in groups.into_iter().enumerate() {
        let copies = match number {
            0 if defects.leaves_one_out => 0,
            0 if defects.sends_twice => 2,
            _ => 1,
        };
        for copy in 0..copies {
            let id = format!("msg_{number}_{copy}");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
            let data = json!({"account": account, "group": group, "kind": "broadcast", "text": text, "delivery": id});
            let body = json!({"type": "send.message", "timestamp": "", "data": data}).to_string();
            let call = Call::post("/", "application/json", body.clone())
                .header("webhook-id", &id)
                .header("webhook-timestamp", &now.to_string())
                .header("webhook-signature", &secret.sign(&id, now, body.as_bytes()));
            // Answers other than 2xx are tried again at once, under the same id.
            while connection.send(&call, &mut Hurdles::default()).await.expect("an answer").status != 200 {}
        }
        let mut counts = counts.lock().expect("no panic");
        *counts.get_mut("pending").expect("set at creation") -= 1;
        *counts.get_mut("sent").expect("set at creation") += 1;
    }
}
