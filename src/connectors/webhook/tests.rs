//! The webhook connector on what integrators send, and on what attackers would.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::json::sample;
use crate::event::{ActionKind, BroadcastId};
use crate::outbox::delivery::{Decision, Payload, Priority, Refusal, RefusalScope};
use crate::webhooks::client::receiver::{Act, Receiver};
use crate::webhooks::{HEADER_ID, HEADER_TIMESTAMP, sign, verify};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SIGNS: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const VERIFIES: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
/// 2026-11-22T10:00:00+08:00.
const NOW_MS: i64 = 1_795_312_800_000;

/// A broadcast's text to one of its targets.
pub(crate) fn delivery(target: u32) -> Delivery {
    let broadcast = BroadcastId::parse("bc-1").unwrap();
    Delivery {
        id: broadcast.delivery(target),
        account: AccountId::parse("w").unwrap(),
        group: format!("g-{target}"),
        member: None,
        kind: "broadcast".to_owned(),
        rule: String::new(),
        priority: Priority::Bulk,
        payload: Payload::text("你好".to_owned()),
        broadcast: Some((broadcast, target)),
        expires_ms: 0,
        cost: 1,
    }
}

fn spec(settings: Value, secrets: &[(&str, &str)]) -> AccountSpec {
    AccountSpec {
        id: AccountId::parse("w").unwrap(),
        platform: Webhook::PLATFORM.to_owned(),
        settings,
        secrets: secrets.iter().map(|(name, value)| Secret::new(*name, *value)).collect(),
        limits: Vec::new(),
        group_limits: Vec::new(),
    }
}

fn config() -> Config {
    Config {
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        callback_events_max: 100,
        ..Config::default()
    }
}

fn build(settings: Value, secrets: &[(&str, &str)]) -> Result<Webhook, SpecError> {
    Webhook::build(&spec(settings, secrets), &config(), &Clock::manual(NOW_MS))
}

// === Building ===

#[test]
fn settings_are_checked_by_path() {
    let check = |settings: Value, secrets: &[(&str, &str)], path: &str, reason: &str| {
        let error = build(settings, secrets).unwrap_err();
        assert_eq!(error.path, path, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    };
    let both = [("", SECRET)];
    let url = || json!({"url": "https://example.com/"});
    let with = |key: &str, value: Value| {
        let mut settings = url();
        settings[key] = value;
        settings
    };
    check(json!({"uri": "x"}), &both, "settings.uri", "unknown field");
    check(json!({"url": "ftp://example.com/"}), &both, "settings.url", "scheme");
    check(json!({"url": "https://me@example.com/"}), &both, "settings.url", "name or password");
    check(with("connect_timeout", json!("soon")), &both, "settings.connect_timeout", "30s");
    check(
        with("total_timeout", json!("1s")),
        &both,
        "settings.total_timeout",
        "shorter than the time to connect",
    );
    check(with("can", json!(["fly"])), &both, "settings.can[0]", "unknown variant");
    check(json!({"can": ["recall"]}), &both, "settings.can", "needs `settings.url`");
    check(url(), &[], "secrets", "always signed");
    check(url(), &[("inbound", SECRET)], "secrets", "always signed");
    check(url(), &[("inbuond", SECRET)], "secrets[0].name", "neither");
    check(url(), &[("", SECRET), ("outbound", "whsec_AAAA")], "secrets[1]", "24 to 64");
    check(url(), &[("inbound", SIGNS), ("outbound", SECRET)], "secrets[0]", "whpk_");
    check(url(), &[("outbound", VERIFIES)], "secrets[0]", "whsk_");
    check(json!([]), &both, "settings", "");
}

#[test]
fn a_secret_never_shows() {
    let spec = spec(json!({"url": "https://example.com/"}), &[("", SECRET), ("", SIGNS)]);
    let shown = format!("{spec:?} {:?}", Webhook::build(&spec, &config(), &Clock::manual(0)).unwrap());
    assert!(!shown.contains("MfKQ9r8G") && !shown.contains("6Xb/dCcH"), "{shown}");
}

#[test]
fn capabilities_are_what_the_account_says() {
    let inbound_only = build(json!({}), &[("", SECRET)]).unwrap().capabilities();
    assert!(!inbound_only.can_recall && !inbound_only.can_post_into_group && !inbound_only.can_block_before);
    assert!(inbound_only.content_types.is_empty());
    let settings =
        json!({"url": "https://example.com/", "can": ["recall", "block_before"], "text_bytes_max": "2KiB"});
    let own = build(settings, &[("", SECRET)]).unwrap().capabilities();
    assert!(own.can_recall && own.can_block_before && !own.can_mute && !own.can_post_into_group);
    assert_eq!(own.max_text_bytes, 2_048);
    let default = build(json!({"url": "https://example.com/"}), &[("", SECRET)]).unwrap().capabilities();
    assert!(default.can_recall && default.can_post_into_group && !default.can_block_before);
}

// === In ===

fn open(
    account: &Webhook,
    id: &str,
    body: &str,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<Opened, CallbackError> {
    let mut headers = HeaderMap::new();
    let key = SignKey::parse(SECRET).unwrap();
    sign(&[key], id, NOW_MS / 1_000, body.as_bytes()).unwrap().write(&mut headers);
    change(&mut headers);
    account.open(Callback {
        method: &Method::POST,
        path: "",
        query: "",
        headers: &headers,
        body: body.as_bytes(),
        now_ms: NOW_MS,
    })
}

fn inbound() -> Webhook {
    build(json!({}), &[("inbound", OLD_SECRET), ("inbound", SECRET)]).unwrap()
}

fn event(n: usize) -> Value {
    json!({"id": format!("e-{n}"), "group": "g-1", "type": "message", "member": "u-1", "text": "几点开门?"})
}

#[test]
fn every_form_of_a_body_is_read() {
    let account = inbound();
    let check = |id: &str, body: &str, ndjson: bool, expect: usize| {
        let opened = open(&account, id, body, |headers| {
            if ndjson {
                let kind = HeaderValue::from_static("application/x-ndjson; charset=utf-8");
                headers.insert(header::CONTENT_TYPE, kind);
            }
        });
        let opened = opened.unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(opened.events.len(), expect, "{id}");
        assert!(opened.events.iter().all(|event| event.account == "w"));
        assert_eq!(opened.reply.status(), StatusCode::OK);
        assert_eq!(opened.reply.body(), &Bytes::from(format!("{{\"events\":{expect}}}")));
    };
    check("one", &event(1).to_string(), false, 1);
    check("array", &json!([event(1), event(2)]).to_string(), false, 2);
    check("empty", "[]", false, 0);
    let envelope =
        json!({"type": "events", "timestamp": "2026-11-22T02:00:00Z", "data": {"events": [event(1)]}});
    check("envelope", &envelope.to_string(), false, 1);
    check("lines", &format!("{}\r\n\n{}\n", event(1), event(2)), true, 2);
}

#[test]
fn a_bad_event_refuses_the_whole_and_says_where() {
    let account = inbound();
    let mut bad = event(2);
    bad["text"] = json!(["秘密"]);
    let check = |body: String, code: &str, detail: &str| {
        let error = open(&account, "bad", &body, |_| {}).unwrap_err();
        assert_eq!((error.status, error.code), (StatusCode::BAD_REQUEST, code), "{error}");
        assert!(error.detail.starts_with(detail), "{error}");
        assert!(!error.detail.contains("秘密"), "{error}");
    };
    check(bad.to_string(), "bad_event", "`text` must be a string");
    check(json!([event(1), bad]).to_string(), "bad_event", "`[1].text` must be a string");
    check(json!([event(1), 7]).to_string(), "bad_event", "[1]: must be an object");
    check(
        json!({"type": "events", "data": {"events": [event(1), event(1), bad]}}).to_string(),
        "bad_event",
        "`data.events[2].text` must be a string",
    );
    check(json!({"type": "events", "data": {}}).to_string(), "bad_json", "is neither");
    check("[1".to_owned(), "bad_json", "is neither");
    check(String::new(), "bad_event", "is not a JSON object");
    let mut other = event(1);
    other["account"] = json!("somebody");
    check(other.to_string(), "bad_event", "`account` is not the account");

    let lines = format!("{}\n{}", event(1), bad);
    let error = open(&account, "lines", &lines, |headers| {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    });
    assert_eq!(error.unwrap_err().detail, "line 2: `text` must be a string");
    let many: Vec<Value> = (0..101).map(event).collect();
    assert_eq!(open(&account, "many", &json!(many).to_string(), |_| {}).unwrap_err().code, "too_many_events");
}

#[test]
fn nothing_is_believed_unsigned() {
    let account = inbound();
    let body = event(1).to_string();
    let code = |change: &dyn Fn(&mut HeaderMap)| {
        let error = open(&account, "e", &body, change).unwrap_err();
        (error.status.as_u16(), error.code)
    };
    assert_eq!(code(&|headers| headers.clear()), (400, "missing_header"));
    assert_eq!(
        code(&|headers| _ = headers.insert(HEADER_ID, HeaderValue::from_static("other"))),
        (401, "bad_signature")
    );
    let late = HeaderValue::from(NOW_MS / 1_000 - 301);
    assert_eq!(code(&|headers| _ = headers.insert(HEADER_TIMESTAMP, late.clone())), (401, "too_old"));
    let gzip = HeaderValue::from_static("gzip");
    assert_eq!(
        code(&|headers| _ = headers.insert(header::CONTENT_ENCODING, gzip.clone())),
        (415, "encoded_body")
    );
    let no_keys = build(json!({"url": "https://example.com/"}), &[("outbound", SECRET)]).unwrap();
    assert_eq!(open(&no_keys, "e", &body, |_| {}).unwrap_err().code, "no_inbound_secret");
    for (method, path, expect) in [(Method::GET, "", 405), (Method::POST, "/deeper", 404)] {
        let headers = HeaderMap::new();
        let callback =
            Callback { method: &method, path, query: "", headers: &headers, body: b"", now_ms: NOW_MS };
        assert_eq!(account.open(callback).unwrap_err().status.as_u16(), expect);
    }
}

#[test]
fn a_repeat_goes_on_but_an_id_never_changes_its_meaning() {
    let account = inbound();
    let envelope = |at: &str, n: usize| {
        json!({"type": "events", "timestamp": at, "data": {"events": [event(n)]}}).to_string()
    };
    assert!(open(&account, "id-1", &envelope("2026-11-22T02:00:00Z", 1), |_| {}).is_ok());
    // The first commit may have failed: the sender tries again, and may render its body anew.
    let again = open(&account, "id-1", &envelope("2026-11-22T02:00:09Z", 1), |_| {}).unwrap();
    assert_eq!(again.events.len(), 1);
    let reused = open(&account, "id-1", &envelope("2026-11-22T02:00:00Z", 2), |_| {}).unwrap_err();
    assert_eq!((reused.status, reused.code), (StatusCode::CONFLICT, "id_reused"));
    assert!(open(&account, "id-2", &envelope("2026-11-22T02:00:00Z", 2), |_| {}).is_ok());
}

proptest! {
    #[test]
    fn no_signed_body_makes_it_panic(body in "[\\[{\"]?\\PC{0,60}") {
        _ = open(&inbound(), "any", &body, |_| {});
    }

    #[test]
    fn every_event_of_the_api_comes_through(mut event in sample::event()) {
        event.account = "w".into();
        let body = json!({"type": "events", "data": {"events": [sample::to_json(&event)]}}).to_string();
        let opened = open(&inbound(), "any", &body, |_| {}).unwrap();
        prop_assert_eq!(opened.events, vec![event]);
    }
}

// === Out ===

fn refusal(outcome: Outcome) -> Refusal {
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    refusal
}

fn outbound(receiver: &Receiver, change: impl FnOnce(&mut Value)) -> Webhook {
    let mut settings = json!({"url": receiver.url(), "can": ["recall", "send"]});
    change(&mut settings);
    build(settings, &[("outbound", SECRET), ("outbound", OLD_SECRET)]).unwrap()
}

fn answer(status: u16, headers: Vec<(&'static str, &'static str)>) -> Act {
    Act::Answer(status, headers, Bytes::new())
}

#[tokio::test]
async fn a_send_is_one_signed_post() {
    let receiver = Receiver::start(answer(204, vec![])).await;
    let account = outbound(&receiver, |_| {});
    assert_eq!(account.deliver(&delivery(3), 2).await, Outcome::Sent { platform_id: None });

    let received = receiver.received.lock();
    let [call] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(call.uri, "/hook");
    assert_eq!(call.headers[header::CONTENT_TYPE], "application/json");
    // Both keys of a rotation verify it.
    for secret in [SECRET, OLD_SECRET] {
        let key = [VerifyKey::parse(secret).unwrap()];
        let verified = verify(&key, &call.headers, &call.body, NOW_MS, Duration::ZERO).unwrap();
        assert_eq!(verified.id, "bc-1_3");
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    let expect = json!({
        "type": "message.send", "timestamp": "2026-11-22T02:00:00Z",
        "data": {"delivery": "bc-1_3", "account": "w", "group": "g-3", "kind": "broadcast", "text": "你好",
                 "broadcast": "bc-1", "attempt": 2},
    });
    assert_eq!(body, expect);
}

#[tokio::test]
async fn an_action_names_its_message_and_what_cannot_be_done_is_not_sent() {
    let receiver = Receiver::start(answer(200, vec![])).await;
    let account = outbound(&receiver, |_| {});
    let act = |action| Delivery {
        payload: Payload::Action { action, of: Some("e-9".to_owned()) },
        member: Some("u-1".to_owned()),
        kind: "recall".to_owned(),
        broadcast: None,
        ..delivery(1)
    };
    assert!(matches!(account.deliver(&act(ActionKind::Recall), 1).await, Outcome::Sent { .. }));
    let body: Value = serde_json::from_slice(&receiver.received.lock()[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["of"]), (&json!("action.recall"), &json!("e-9")));
    assert_eq!(body["data"]["action"], "recall");

    let code = |outcome| {
        let refusal = refusal(outcome);
        assert_eq!(refusal.decision, Decision::Never);
        refusal.code
    };
    assert_eq!(code(account.deliver(&act(ActionKind::Mute), 1).await), "unsupported");
    let long = outbound(&receiver, |settings| settings["text_bytes_max"] = json!(5));
    assert_eq!(code(long.deliver(&delivery(1), 1).await), "text_too_long");
    let inbound_only = inbound();
    assert_eq!(code(inbound_only.deliver(&delivery(1), 1).await), "no_url");
    assert_eq!(receiver.received.lock().len(), 1);
}

#[tokio::test]
async fn answers_become_decisions() {
    let receiver = Receiver::start(answer(200, vec![])).await;
    let account = outbound(&receiver, |_| {});
    let after = |seconds| Decision::After(Duration::from_secs(seconds));
    for (act, decision, scope, code) in [
        (answer(429, vec![("retry-after", "120")]), after(120), RefusalScope::Account, "http_429"),
        (answer(503, vec![("retry-after", "1.5")]), after(2), RefusalScope::Account, "http_503"),
        (
            answer(503, vec![("retry-after", "Sun, 22 Nov 2026 02:00:30 GMT")]),
            after(30),
            RefusalScope::Account,
            "http_503",
        ),
        (answer(429, vec![("retry-after", "soon")]), Decision::Backoff, RefusalScope::Account, "http_429"),
        (answer(504, vec![]), Decision::Backoff, RefusalScope::Account, "http_504"),
        (answer(500, vec![]), Decision::Backoff, RefusalScope::Delivery, "http_500"),
        (answer(410, vec![]), Decision::Never, RefusalScope::Account, "http_410"),
        (answer(422, vec![]), Decision::Never, RefusalScope::Delivery, "http_422"),
        (
            answer(307, vec![("location", "http://127.0.0.1:1/")]),
            Decision::Never,
            RefusalScope::Account,
            "http_307",
        ),
    ] {
        *receiver.act.lock() = act;
        let refusal = refusal(account.deliver(&delivery(1), 1).await);
        assert_eq!((refusal.decision, refusal.scope, refusal.code.as_str()), (decision, scope, code));
    }
}

#[tokio::test]
async fn a_call_that_may_have_arrived_is_uncertain_and_one_that_did_not_is_not() {
    let receiver = Receiver::start(Act::Close).await;
    assert!(matches!(outbound(&receiver, |_| {}).deliver(&delivery(1), 1).await, Outcome::Uncertain { .. }));
    let quick = outbound(&receiver, |settings| {
        settings["connect_timeout"] = json!("500ms");
        settings["total_timeout"] = json!("500ms");
    });
    *receiver.act.lock() = Act::Hang;
    assert!(matches!(quick.deliver(&delivery(1), 1).await, Outcome::Uncertain { .. }));
    assert_eq!(quick.resolve(&delivery(1)).await, Resolution::Unknown);
    let dedupes = outbound(&receiver, |settings| settings["receiver_dedupes"] = json!(true));
    assert_eq!(dedupes.resolve(&delivery(1)).await, Resolution::SafeToRepeat);

    let said = |outcome| {
        let refusal = refusal(outcome);
        (refusal.decision, refusal.code)
    };
    let nobody = outbound(&receiver, |settings| settings["url"] = json!("http://127.0.0.1:1/"));
    assert_eq!(said(nobody.deliver(&delivery(1), 1).await), (Decision::Backoff, "connect".to_owned()));
    let closed = Config { allow_private: vec![], ..config() };
    let spec = spec(json!({"url": receiver.url()}), &[("", SECRET)]);
    let closed = Webhook::build(&spec, &closed, &Clock::manual(NOW_MS)).unwrap();
    assert_eq!(said(closed.deliver(&delivery(1), 1).await), (Decision::Never, "ssrf".to_owned()));
}

#[tokio::test]
async fn an_id_that_cannot_be_a_header_is_a_dead_letter() {
    let receiver = Receiver::start(answer(200, vec![])).await;
    let account = outbound(&receiver, |_| {});
    let broadcast = BroadcastId::parse("双十一").unwrap();
    let outcome = account.deliver(&Delivery { id: broadcast.delivery(1), ..delivery(1) }, 1).await;
    assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.code == "sign"), "{outcome:?}");
}
