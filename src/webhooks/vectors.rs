//! Every case of `tests/vectors/standard-webhooks.json`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::{SignKey, VerifyKey, sign, verify};

#[derive(Deserialize)]
struct Vectors {
    sign_v1: Vec<SignCase>,
    sign_v1a: Vec<SignCase>,
    sender_rotation: Rotation,
    verify: Vec<VerifyCase>,
}

#[derive(Deserialize)]
struct SignCase {
    name: String,
    #[serde(alias = "secret_key")]
    secret: String,
    public_key: Option<String>,
    webhook_id: String,
    webhook_timestamp: i64,
    body_utf8: String,
    signature: String,
}

#[derive(Deserialize)]
struct Rotation {
    secrets: Vec<String>,
    webhook_id: String,
    webhook_timestamp: i64,
    body_utf8: String,
    webhook_signature: String,
}

#[derive(Deserialize)]
struct VerifyCase {
    name: String,
    secrets: Vec<String>,
    headers: BTreeMap<String, String>,
    body_utf8: String,
    now: i64,
    expect: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/standard-webhooks.json")).unwrap()
}

const TOLERANCE: Duration = Duration::from_mins(5);

#[test]
fn what_we_sign_equals_the_vectors_and_verifies() {
    let vectors = vectors();
    assert_eq!((vectors.sign_v1.len(), vectors.sign_v1a.len()), (12, 4));
    for case in vectors.sign_v1.iter().chain(&vectors.sign_v1a) {
        let key = SignKey::parse(&case.secret).unwrap();
        let body = case.body_utf8.as_bytes();
        let signed = sign(&[key], &case.webhook_id, case.webhook_timestamp, body).unwrap();
        assert_eq!(signed.signature, case.signature, "{}", case.name);

        let mut headers = HeaderMap::new();
        signed.write(&mut headers);
        let key = VerifyKey::parse(case.public_key.as_ref().unwrap_or(&case.secret)).unwrap();
        let now_ms = case.webhook_timestamp * 1_000;
        let verified = verify(&[key], &headers, body, now_ms, TOLERANCE).unwrap();
        assert_eq!(verified.id, case.webhook_id, "{}", case.name);
    }
}

#[test]
fn a_sender_in_rotation_signs_with_the_new_key_first() {
    let case = vectors().sender_rotation;
    let keys: Vec<SignKey> = case.secrets.iter().map(|s| SignKey::parse(s).unwrap()).collect();
    let signed = sign(&keys, &case.webhook_id, case.webhook_timestamp, case.body_utf8.as_bytes()).unwrap();
    assert_eq!(signed.signature, case.webhook_signature);
}

#[test]
fn every_verify_case_ends_as_the_vectors_say() {
    let cases = vectors().verify;
    assert_eq!(cases.len(), 25);
    for case in cases {
        let keys: Vec<VerifyKey> = case.secrets.iter().map(|s| VerifyKey::parse(s).unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in &case.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let got = verify(&keys, &headers, case.body_utf8.as_bytes(), case.now * 1_000, TOLERANCE);
        let got = got.map_or_else(|error| error.code(), |_| "ok");
        assert_eq!(got, case.expect, "{}", case.name);
    }
}
