//! The suite over a real receiver that checks nothing but that something came.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Webhook;
use crate::clock::Clock;
use crate::connectors::conformance::{
    ACCOUNT, Fault, Genuine, Lack, NOW_MS, Raw, Rig, all, delivery, markdown,
};
use crate::connectors::{AccountSpec, Config, Connector, Secret};
use crate::event::{AccountId, EventType};
use crate::outbox::delivery::{Content, Decision, Delivery, Outcome, Payload, Refusal};
use crate::webhooks::client::receiver::{Act, Receiver};
use crate::webhooks::{HEADER_ID, SignKey, sign};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FORGER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// An account whose receiver takes an id once, or does not say so.
struct WebhookRig<const DEDUPES: bool> {
    receiver: Receiver,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What goes wrong now, and how many requests had come before.
    failing: Option<(&'static str, usize)>,
    /// Requests that were refused.
    refused: HashSet<usize>,
}

fn event(number: usize, kind: &str, fields: &Value) -> Value {
    let mut event = json!({"id": format!("e-{number}"), "group": "g-1", "type": kind, "member": "u-1",
                           "at": "2026-11-22T10:00:00+08:00"});
    for (key, value) in fields.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

/// One of every type of event, two of them in the same second of the same group by the same member.
fn events() -> Vec<(EventType, Value)> {
    let kinds = [
        (EventType::Message, "message", json!({"text": "几点开门"})),
        (EventType::Message, "message", json!({"text": "几点开门"})),
        (EventType::MessageEdited, "message_edited", json!({"text": "几点关门", "of": "e-0"})),
        (EventType::MessageRecalled, "message_recalled", json!({"of": "e-0"})),
        (EventType::MemberJoined, "member_joined", json!({"inviter": "u-2", "scene": "qr", "channel": "x"})),
        (EventType::MemberLeft, "member_left", json!({"reason": "left"})),
        (EventType::GroupCreated, "group_created", json!({"name": "一群"})),
        (EventType::GroupUpdated, "group_updated", json!({"name": "二群"})),
        (EventType::OwnerChanged, "owner_changed", json!({"owner": "s-1"})),
        (EventType::GroupDismissed, "group_dismissed", json!({})),
        (EventType::ConsentChanged, "consent_changed", json!({"granted": true})),
        (EventType::Outcome, "outcome", json!({"kind": "order", "value": 12.5})),
    ];
    let one = |(number, (kind, name, fields)): (usize, (EventType, &str, Value))| {
        (kind, event(number, name, &fields))
    };
    kinds.into_iter().enumerate().map(one).collect()
}

fn signed(id: &str, body: &str, secret: &str) -> Raw {
    let mut headers = HeaderMap::new();
    let key = SignKey::parse(secret).unwrap();
    sign(&[key], id, NOW_MS / 1_000, body.as_bytes()).unwrap().write(&mut headers);
    Raw { method: Method::POST, path: String::new(), query: String::new(), headers, body: body.into() }
}

fn answer(status: u16, headers: Vec<(&'static str, &'static str)>) -> Act {
    Act::Answer(status, headers, Bytes::new())
}

fn refused(outcome: &Outcome, is: impl FnOnce(&Refusal) -> bool) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if is(refusal))
}

#[async_trait]
impl<const DEDUPES: bool> Rig for WebhookRig<DEDUPES> {
    const LACKS: &'static [Lack] = &[Lack::Verification, Lack::Credential];

    async fn new() -> Self {
        Self { receiver: Receiver::start(answer(204, vec![])).await, seen: Mutex::default() }
    }

    fn connect(&self) -> Arc<dyn Connector> {
        let spec = AccountSpec {
            id: AccountId::parse(ACCOUNT).unwrap(),
            platform: Webhook::PLATFORM.to_owned(),
            settings: json!({
                "url": self.receiver.url(), "can": ["recall", "send"], "receiver_dedupes": DEDUPES,
                "connect_timeout": "500ms", "total_timeout": "500ms",
            }),
            secrets: vec![Secret::new("", SECRET)],
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        let config = Config { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() };
        Arc::new(Webhook::build(&spec, &config, &Clock::manual(NOW_MS)).unwrap())
    }

    fn genuine(&self) -> Vec<Genuine> {
        let one = |(number, (kind, event)): (usize, (EventType, Value))| Genuine {
            raw: signed(&format!("id-{number}"), &event.to_string(), SECRET),
            events: vec![kind],
        };
        let mut genuine: Vec<_> = events().into_iter().enumerate().map(one).collect();
        let both = json!([event(100, "member_joined", &json!({})), event(101, "member_left", &json!({}))]);
        let raw = signed("id-both", &both.to_string(), SECRET);
        genuine.push(Genuine { raw, events: vec![EventType::MemberJoined, EventType::MemberLeft] });
        genuine
    }

    /// Senders render a repeat anew: another signature over another rendering under the same id.
    fn again(&self, nth: usize) -> Raw {
        let first = self.genuine().swap_remove(nth).raw;
        let body: Value = serde_json::from_slice(&first.body).unwrap();
        let id = first.headers[HEADER_ID].to_str().unwrap();
        signed(id, &serde_json::to_string_pretty(&body).unwrap(), SECRET)
    }

    fn forged(&self) -> Vec<(&'static str, Raw)> {
        let body =
            event(7, "message", &json!({"text": "一段不该被重复的很长很长很长的秘密文字"})).to_string();
        let genuine = signed("id-f", &body, SECRET);
        let unsigned = Raw { headers: HeaderMap::new(), ..genuine.clone() };
        let changed = Raw { body: body.replace("u-1", "u-2").into(), ..genuine.clone() };
        let got = Raw { method: Method::GET, ..genuine.clone() };
        let deeper = Raw { path: "deeper".to_owned(), ..genuine };
        vec![
            ("unsigned", unsigned),
            ("signed by somebody else", signed("id-f", &body, FORGER)),
            ("changed after signing", changed),
            ("not posted", got),
            ("to another path", deeper),
            ("signed nonsense", signed("id-g", "一段不该被重复的很长很长很长的秘密文字", SECRET)),
        ]
    }

    fn verification(&self) -> Vec<(Raw, Vec<u8>)> {
        Vec::new()
    }

    fn text(&self, number: u32, bytes: usize) -> Delivery {
        delivery(number, "g-1", Payload::text("a".repeat(bytes)))
    }

    fn contents(&self) -> Vec<Delivery> {
        let text = Content::Text { text: "你好".to_owned(), mentions: vec!["u-1".to_owned()] };
        vec![delivery(1, "g-1", markdown("**你好**")), delivery(2, "g-1", Payload::Content { content: text })]
    }

    fn group(&self) -> String {
        "g-1".to_owned()
    }

    fn faults(&self) -> Vec<Fault> {
        let fault = |name, takes_effect, expect| Fault { name, takes_effect, expect };
        vec![
            fault("429", false, |outcome| {
                refused(outcome, |refusal| matches!(refusal.decision, Decision::After(_)))
            }),
            fault("503", false, |outcome| refused(outcome, |refusal| refusal.decision == Decision::Backoff)),
            fault("422", false, |outcome| refused(outcome, |refusal| refusal.decision == Decision::Never)),
            fault("close", true, |outcome| matches!(outcome, Outcome::Uncertain { .. })),
            fault("hang", true, |outcome| matches!(outcome, Outcome::Uncertain { .. })),
        ]
    }

    async fn let_fail(&self, fault: Option<&'static str>) {
        let received = self.receiver.received.lock().len();
        let mut seen = self.seen.lock();
        if let Some(("429" | "503" | "422", from)) = seen.failing {
            seen.refused.extend(from..received);
        }
        seen.failing = fault.map(|fault| (fault, received));
        *self.receiver.act.lock() = match fault {
            None => answer(204, vec![]),
            Some("429") => answer(429, vec![("retry-after", "7")]),
            Some("503") => answer(503, vec![]),
            Some("422") => answer(422, vec![]),
            Some("close") => Act::Close,
            Some("hang") => Act::Hang,
            Some(other) => panic!("no fault `{other}`"),
        };
    }

    async fn reached(&self) -> usize {
        let seen = self.seen.lock();
        let from = match seen.failing {
            Some(("429" | "503" | "422", from)) => from,
            Some(_) | None => usize::MAX,
        };
        let received = self.receiver.received.lock();
        let taken = received.iter().enumerate().filter(|(nth, _)| *nth < from && !seen.refused.contains(nth));
        taken.map(|(_, request)| request.headers[HEADER_ID].clone()).collect::<HashSet<_>>().len()
    }

    async fn void_credential(&self) {}

    async fn credentials_given(&self) -> usize {
        0
    }
}

mod plain {
    use super::{WebhookRig, all};
    all!(WebhookRig<false>);
}

mod with_a_receiver_that_dedupes {
    use super::{WebhookRig, all};
    all!(WebhookRig<true>);
}
