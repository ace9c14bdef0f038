//! Callbacks as they are on the wire: those of the vectors, and some that are not the platform's.

use http::HeaderMap;
use serde_json::Value;

use super::*;
use crate::connectors::wecom::crypto::sign;
use crate::connectors::wecom::testing::spec;
use crate::event::What;

const CORP: &str = "ww1f2e3d4c5b6a7988";
const RANDOM: [u8; 16] = [7; 16];

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/wecom-crypto.json")).unwrap()
}

fn pair(token: &str, key: &str) -> (Secret, Key) {
    (Secret::new("callback_token", token), Key::parse(key).unwrap())
}

fn inbound(receive_ids: &[&str]) -> Inbound {
    let secrets = spec().secrets;
    Inbound {
        pairs: vec![pair(secrets[1].expose(), secrets[2].expose())],
        receive_ids: receive_ids.iter().map(|id| (*id).to_owned()).collect(),
        tolerance: None,
        members_max: 1_000,
        contacts: Contacts::default(),
    }
}

fn ask(
    inbound: &Inbound,
    method: &Method,
    query: &str,
    body: &str,
    now_ms: i64,
) -> Result<Opened, CallbackError> {
    let headers = HeaderMap::new();
    let callback = Callback { method, path: "", query, headers: &headers, body: body.as_bytes(), now_ms };
    inbound.open("shops", &Staff::default(), callback)
}

fn post(inbound: &Inbound, query: &str, body: &str) -> Result<Opened, CallbackError> {
    ask(inbound, &Method::POST, query, body, 0)
}

/// What the platform sends for an inner message.
fn sealed(pair: &(Secret, Key), message: &str) -> (String, String) {
    let encrypt = pair.1.encrypt(&RANDOM, message.as_bytes(), CORP).unwrap();
    let signature = sign(pair.0.expose(), "1767225602", "n", &encrypt);
    let query = format!("msg_signature={signature}&timestamp=1767225602&nonce=n");
    (query, format!("<xml><ToUserName>{CORP}</ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"))
}

#[test]
fn every_vector_that_is_a_request_is_answered_as_it_says() {
    let inbound = inbound(&[CORP, ""]);
    let mut answered = 0;
    for vector in vectors()["vectors"].as_array().unwrap() {
        let Some(http) = vector.get("http") else { continue };
        let method: Method = http["method"].as_str().unwrap().parse().unwrap();
        let body = http["body"].as_str().unwrap_or_default();
        let opened = ask(&inbound, &method, http["query"].as_str().unwrap(), body, 0).unwrap();
        let expect = if method == Method::GET { http["expect_body"].as_str().unwrap() } else { "" };
        assert_eq!((opened.reply.status(), &opened.reply.body()[..]), (StatusCode::OK, expect.as_bytes()));
        answered += 1;
    }
    assert_eq!(answered, 6);
}

#[test]
fn the_vectors_group_events_are_joins_and_leaves() {
    let (inbound, all) = (inbound(&[CORP]), vectors());
    let events = |name: &str| {
        let vector = all["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap();
        post(&inbound, vector["http"]["query"].as_str().unwrap(), vector["http"]["body"].as_str().unwrap())
            .unwrap()
            .events
    };
    let joined = events("xml-change-external-chat-add-member");
    assert_eq!(joined.len(), 2);
    assert!(
        joined.iter().all(|event| matches!(event.what, What::MemberJoined { .. }) && event.step.is_some())
    );
    let left = events("xml-change-external-chat-del-member-kicked");
    assert!(matches!(&left[0].what, What::MemberLeft { reason, .. } if reason.as_deref() == Some("removed")));
    assert!(events("xml-app-text-message-utf8").is_empty(), "taken, and no event");
}

#[test]
fn the_negative_vectors_are_refused_by_name_and_say_nothing_of_the_contents() {
    let inbound = inbound(&[CORP]);
    let mut refused = Vec::new();
    for vector in vectors()["negative"].as_array().unwrap() {
        let Some(body) = vector.get("body").and_then(Value::as_str) else { continue };
        let text = |name: &str| vector[name].as_str().unwrap();
        let query = format!(
            "msg_signature={}&timestamp={}&nonce={}",
            text("msg_signature"),
            text("timestamp"),
            text("nonce")
        );
        let own = vector.get("configured_receiveid").and_then(Value::as_str);
        let other = own.map(|own| self::inbound(&[own]));
        let error = post(other.as_ref().unwrap_or(&inbound), &query, body).unwrap_err();
        assert!(error.detail.contains(&vector["expect_code"].to_string()), "{error}");
        assert!(!error.detail.contains("Z4ip") && !error.detail.contains("群主"), "{error}");
        refused.push((error.status.as_u16(), error.code));
    }
    let cipher = (400, "bad_ciphertext");
    let signature = (401, "bad_signature");
    assert_eq!(
        refused,
        [
            signature,
            signature,
            (400, "bad_envelope"),
            (403, "other_receiver"),
            cipher,
            cipher,
            cipher,
            cipher
        ]
    );
}

#[test]
fn while_keys_are_rotated_both_pairs_open() {
    let old = inbound(&[CORP]).pairs.remove(0);
    let new = pair("NewToken1", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    let mixed = (old.0.clone(), new.1.clone());
    let inbound = Inbound { pairs: vec![old.clone(), new.clone(), mixed.clone()], ..inbound(&[CORP]) };
    for pair in [&old, &new, &mixed] {
        let (query, body) = sealed(pair, "<xml><MsgType>event</MsgType><Event>change_contact</Event></xml>");
        assert!(post(&inbound, &query, &body).unwrap().events.is_empty());
    }
    let stranger = pair("NewToken2", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    let (query, body) = sealed(&stranger, "<xml></xml>");
    assert_eq!(post(&inbound, &query, &body).unwrap_err().code, "bad_signature");
}

#[test]
fn what_is_no_request_of_the_platform_is_refused() {
    let inbound = inbound(&[CORP]);
    let check = |method: &Method, path: &str, query: &str, code: &str| {
        let headers = HeaderMap::new();
        let callback = Callback { method, path, query, headers: &headers, body: b"", now_ms: 0 };
        assert_eq!(
            inbound.open("shops", &Staff::default(), callback).unwrap_err().code,
            code,
            "{method} {query}"
        );
    };
    check(&Method::PUT, "", "", "not_post");
    check(&Method::POST, "other", "", "no_such_path");
    check(&Method::POST, "", "", "missing_header");
    check(&Method::GET, "", "msg_signature=1", "missing_header");
    check(&Method::GET, "", "msg_signature=1&echostr=a", "bad_signature");
    check(&Method::POST, "/", "msg_signature=1", "bad_envelope");
    let none = Inbound { pairs: Vec::new(), ..self::inbound(&[CORP]) };
    assert_eq!(post(&none, "msg_signature=1", "").unwrap_err().code, "no_inbound_secret");
}

#[test]
fn the_signed_time_is_looked_at_only_where_the_account_says_so() {
    let inbound = inbound(&[CORP]);
    let (query, body) = sealed(&inbound.pairs[0], "<xml><Event>other</Event></xml>");
    let at = |inbound: &Inbound, seconds: i64| {
        let opened = ask(inbound, &Method::POST, &query, &body, (1_767_225_602 + seconds) * 1_000);
        opened.map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(at(&inbound, 1_000_000), Ok(()));
    let strict = Inbound { tolerance: Some(Duration::from_mins(5)), ..inbound };
    assert_eq!((at(&strict, 300), at(&strict, -300)), (Ok(()), Ok(())));
    assert_eq!((at(&strict, 301), at(&strict, -301)), (Err("too_old"), Err("too_new")));
    let query = query.replace("1767225602", "soon");
    assert_eq!(post(&strict, &query, &body).unwrap_err().code, "bad_timestamp");
}

#[test]
fn an_authentic_message_that_cannot_be_read_is_taken() {
    let inbound = inbound(&[CORP]);
    for message in ["", "<xml>", "{", "nothing", "<xml><Event>change_external_chat</Event></xml>"] {
        let (query, body) = sealed(&inbound.pairs[0], message);
        let opened = post(&inbound, &query, &body).unwrap();
        assert!(opened.events.is_empty() && opened.reply.status() == StatusCode::OK, "{message}");
    }
}
