//! What every request has in common: problems, ids, versions, idempotency.

use axum::body::Body;
use http::{Request, header};
use serde_json::{Value, json};

use super::Gateway;

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let gateway = Gateway::open().await;
    let table = [
        ("GET", "/nowhere", Value::Null, 404, "not_found"),
        ("PATCH", "/v1/groups", Value::Null, 405, "method_not_allowed"),
        ("PUT", "/v1/brands/x", Value::Null, 415, "content_type"),
        ("PUT", "/v1/brands/x", json!({"name": "x", "colour": "red"}), 400, "invalid_request"),
        ("PUT", "/v1/brands/x", json!({"name": ""}), 422, "invalid_fields"),
        ("GET", "/v1/groups/demo/none", Value::Null, 404, "not_found"),
    ];
    for (method, path, body, status, code) in table {
        let got = gateway.call(method, path, body).await.expect(status);
        assert_eq!(got.header("content-type"), "application/problem+json", "{path}");
        let json = got.json();
        assert_eq!(json["code"], code);
        assert_eq!(json["type"], format!("urn:problem:menshen:{code}"));
        assert_eq!(json["status"], status);
        assert_eq!(json["trace_id"], got.header("x-request-id"));
        assert!(json["title"].is_string() && json["detail"].is_string());
    }
    let unknown = gateway.call("PUT", "/v1/brands/x", json!({"name": "x", "colour": "red"})).await;
    assert_eq!(unknown.pointers(), ["/colour"]);
}

#[tokio::test]
async fn a_body_is_bounded_plain_and_packed() {
    let config = crate::api::Config { body_bytes_max: 200, ..crate::api::Config::default() };
    let gateway = Gateway::open_with(crate::access::Config::default(), config).await;
    gateway.call("PUT", "/v1/brands/x", json!({"name": "x".repeat(300)})).await.expect(413);
    let pack = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let send = async |body: Vec<u8>| {
        let request = Request::builder()
            .method("PUT")
            .uri("/v1/brands/x")
            .header(header::AUTHORIZATION, format!("Bearer {}", gateway.admin))
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(header::CONTENT_ENCODING, "gzip");
        gateway.request(request.body(Body::from(body)).unwrap()).await
    };
    send(pack(br#"{"name":"packed"}"#)).await.expect(201);
    send(pack(&vec![b' '; 100_000])).await.expect(413);
    send(b"not gzip".to_vec()).await.expect(400);
}

#[tokio::test]
async fn request_ids_are_echoed_and_traces_joined() {
    let gateway = Gateway::open().await;
    let request = Request::builder()
        .uri("/v1/groups")
        .header("x-request-id", "mine-1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let got = gateway.request(request.body(Body::empty()).unwrap()).await.expect(401);
    assert_eq!(got.header("x-request-id"), "mine-1");
    assert_eq!(got.json()["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_stale_version_is_refused_and_a_known_one_not_sent_again() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let put = async |condition: (&'static str, &'static str), name: &str| {
        let request = Request::builder()
            .method("PUT")
            .uri("/v1/shops/s-east")
            .header(header::AUTHORIZATION, format!("Bearer {}", gateway.admin))
            .header(header::CONTENT_TYPE, "application/json")
            .header(condition.0, condition.1);
        let body = json!({"name": name, "region": "east"}).to_string();
        gateway.request(request.body(Body::from(body)).unwrap()).await
    };
    let got = put(("if-match", "\"1\""), "二").await.expect(200);
    assert_eq!(got.header("etag"), "\"2\"");
    assert_eq!(put(("if-match", "\"1\""), "三").await.expect(412).code(), "precondition_failed");
    put(("if-match", "\"zwei\""), "三").await.expect(412);
    put(("if-none-match", "*"), "三").await.expect(412);
    let request = Request::builder()
        .uri("/v1/shops/s-east")
        .header(header::AUTHORIZATION, format!("Bearer {}", gateway.admin))
        .header(header::IF_NONE_MATCH, "\"2\"");
    let got = gateway.request(request.body(Body::empty()).unwrap()).await.expect(304);
    assert!(got.text.is_empty());
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_one_effect() {
    let gateway = Gateway::open().await;
    let send = async |key: &'static str, body: Value| {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/tokens")
            .header(header::AUTHORIZATION, format!("Bearer {}", gateway.admin))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        gateway.request(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let first = send("\"k-1\"", json!({"name": "one"})).await.expect(201);
    let again = send("k-1", json!({"name": "one"})).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert!(first.json()["secret"].is_string() && again.json()["secret"].is_null());
    assert_eq!(gateway.get("/v1/tokens").await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(send("k-1", json!({"name": "two"})).await.expect(422).code(), "idempotency_key_reused");
    // A refusal is not kept: the key may be used for the corrected request.
    send("k-2", json!({"name": ""})).await.expect(422);
    send("k-2", json!({"name": "three"})).await.expect(201);
    send("a b", json!({"name": "four"})).await.expect(400);
    gateway.clock.advance(std::time::Duration::from_hours(25));
    send("k-9", json!({"name": "late"})).await.expect(201);
}

#[tokio::test]
async fn of_two_equal_requests_at_once_one_waits() {
    let gateway = Gateway::open().await;
    let send = || async {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/tokens")
            .header(header::AUTHORIZATION, format!("Bearer {}", gateway.admin))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "same");
        gateway.request(request.body(Body::from(r#"{"name":"one"}"#)).unwrap()).await
    };
    let (a, b) = tokio::join!(send(), send());
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", a.text, b.text);
    let busy = if a.status.as_u16() == 409 { &a } else { &b };
    assert_eq!((busy.code().as_str(), busy.header("retry-after")), ("request_in_progress", "1"));
}
