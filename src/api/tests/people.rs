//! Tokens, operators, limits of requests.

use std::time::Duration;

use http::{Request, header};
use serde_json::{Value, json};

use super::Gateway;
use crate::access::{Config, RequestLimit};
use crate::storage::DocumentKind;

#[tokio::test]
async fn a_token_works_until_it_is_revoked_and_its_secret_is_shown_once() {
    let gateway = Gateway::open().await;
    let made = gateway
        .call("POST", "/v1/tokens", json!({"name": "dashboard", "rights": ["read"]}))
        .await
        .expect(201);
    let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].as_str().unwrap().to_owned());
    let location = made.header("location").to_owned();
    assert_eq!(location, format!("/v1/tokens/{}", id.as_str().unwrap()));
    gateway.call_as(&secret, "GET", "/v1/groups", Value::Null).await.expect(200);
    gateway.call_as(&secret, "GET", "/v1/tokens", Value::Null).await.expect(403);

    let listed = gateway.get("/v1/tokens").await.expect(200);
    let mine = secret.rsplit('_').next().unwrap();
    assert!(listed.text.contains(id.as_str().unwrap()) && !listed.text.contains(mine));
    for kind in [DocumentKind::Token, DocumentKind::Operator] {
        for document in gateway.storage.documents(kind, None, 100).await.unwrap() {
            assert!(!document.body.contains(mine), "the secret is in the ledger");
        }
    }

    gateway.call("DELETE", &location, Value::Null).await.expect(204);
    let refused = gateway.call_as(&secret, "GET", "/v1/groups", Value::Null).await.expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"menshen\"");
    gateway.call("DELETE", &location, Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_token_expires_and_dies_with_its_operator() {
    let gateway = Gateway::open().await;
    let body = json!({"name": "short", "expires_at": "2026-11-22T03:00:00Z"});
    let made = gateway.call("POST", "/v1/tokens", body).await.expect(201);
    let short = made.json()["secret"].as_str().unwrap().to_owned();
    gateway.call_as(&short, "GET", "/v1/groups", Value::Null).await.expect(200);
    gateway.clock.advance(Duration::from_hours(1));
    gateway.call_as(&short, "GET", "/v1/groups", Value::Null).await.expect(401);

    let guest = gateway.token_for("guest", json!({"all": true})).await;
    gateway.call_as(&guest, "GET", "/v1/groups", Value::Null).await.expect(200);
    let disabled = json!({"name": "guest", "rights": ["read"], "scope": {"all": true}, "disabled": true});
    gateway.call("PUT", "/v1/operators/guest", disabled).await.expect(200);
    gateway.call_as(&guest, "GET", "/v1/groups", Value::Null).await.expect(401);
    gateway.call("DELETE", "/v1/operators/guest", Value::Null).await.expect(204);
    let tokens = gateway.storage.documents(DocumentKind::Token, None, 100).await.unwrap();
    assert!(tokens.iter().all(|token| !token.body.contains("guest")), "tokens outlived their operator");
}

#[tokio::test]
async fn nobody_hands_on_more_than_they_have() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let table = [
        (json!({"name": "x", "rights": ["read"], "scope": {"all": true}}), 403),
        (json!({"name": "x", "rights": ["read"], "scope": {"brands": ["acme"]}}), 403),
        (json!({"name": "x", "rights": ["read"], "scope": {"regions": ["east"]}}), 403),
        (json!({"name": "x", "rights": ["read"], "scope": {"shops": ["s-west"]}}), 201),
        (json!({"name": "x", "rights": ["read"], "scope": {"groups": ["demo/g-west"]}}), 200),
    ];
    for (body, status) in table {
        let got = gateway.call_as(&western, "PUT", "/v1/operators/assistant", body.clone()).await;
        assert_eq!(got.status.as_u16(), status, "{body}: {}", got.text);
    }
    let body = json!({"name": "x", "operator": "assistant", "rights": ["admin"]});
    assert_eq!(gateway.call_as(&western, "POST", "/v1/tokens", body).await.code(), "forbidden");
    let body = json!({"name": "x", "operator": "admin"});
    assert_eq!(
        gateway.call_as(&western, "POST", "/v1/tokens", body).await.expect(422).pointers(),
        ["/operator"]
    );
}

#[tokio::test]
async fn cutting_an_operator_cuts_their_tokens_at_once() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let token = gateway.token_for("mover", json!({"brands": ["acme"]})).await;
    gateway.call_as(&token, "GET", "/v1/groups/demo/g-east", Value::Null).await.expect(200);
    let body = json!({"name": "mover", "rights": ["read"], "scope": {"regions": ["west"]}});
    gateway.call("PUT", "/v1/operators/mover", body).await.expect(200);
    gateway.call_as(&token, "GET", "/v1/groups/demo/g-east", Value::Null).await.expect(404);
    gateway.call_as(&token, "GET", "/v1/groups/demo/g-west", Value::Null).await.expect(200);
    gateway.call_as(&token, "PUT", "/v1/groups/demo/g-west", json!({})).await.expect(403);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let gateway = Gateway::open().await;
    let got = gateway.call("DELETE", "/v1/operators/admin", Value::Null).await.expect(409);
    assert_eq!(got.code(), "conflict");
    let body = json!({"name": "admin", "rights": ["read"], "scope": {"all": true}});
    gateway.call("PUT", "/v1/operators/admin", body).await.expect(409);
    gateway.token_for("second", json!({"all": true})).await;
    gateway.call("DELETE", "/v1/operators/admin", Value::Null).await.expect(204);
    assert!(gateway.access.bootstrap().await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_when_to_come_back() {
    let requests = RequestLimit::parse("pace:2/h,max_burst=2").unwrap();
    let gateway =
        Gateway::open_with(Config { requests, ..Config::default() }, crate::api::Config::default()).await;
    let first = gateway.get("/v1/groups").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"requests\";q=2;w=3600");
    assert_eq!(first.header("ratelimit"), "\"requests\";r=1;t=1800");
    gateway.get("/v1/groups").await.expect(200);
    let refused = gateway.get("/v1/groups").await.expect(429);
    assert_eq!(refused.code(), "quota_exceeded");
    assert_eq!(refused.json()["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(refused.json()["violated-policies"], json!(["requests"]));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1790..=1800).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").starts_with("\"requests\";r=0;t="));
}

#[tokio::test]
async fn last_use_is_written_later_and_survives_a_restart() {
    let gateway = Gateway::open().await;
    gateway.get("/v1/groups").await.expect(200);
    gateway.access.flush_last_used().await.unwrap();
    let reopened = crate::access::Access::open(
        std::sync::Arc::clone(&gateway.storage),
        gateway.clock.clone(),
        Config::default(),
    );
    let reopened = reopened.await.unwrap();
    assert!(reopened.authenticate(&format!("bearer {}", gateway.admin)).is_ok());
    let tokens = reopened.tokens(&crate::access::Caller::local(), &*gateway.directory);
    assert_eq!(tokens[0].1.record.last_used_ms, Some(super::NOW_MS));
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_within_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway
        .call_as(&western, "PUT", "/v1/shops/s-west", json!({"name": "新", "region": "west"}))
        .await
        .expect(200);
    let seen = gateway.call_as(&western, "GET", "/v1/audit", Value::Null).await.expect(200).json();
    let entries = seen["items"].as_array().unwrap();
    let ids: Vec<_> = entries.iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["s-west", "demo/g-west", "s-west", "west"]);
    assert_eq!(entries[0]["operator"], "op-west");
    assert_eq!(entries[0]["verb"], "update");
    assert_eq!(entries[0]["place"], json!({"brand": "acme", "region": "west", "shop": "s-west"}));
    let page = gateway.get("/v1/audit?limit=2&object=shop").await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("/v1/audit?object=shop&cursor={next}")).await.expect(200).json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_control_socket_needs_no_token_and_counts_as_local() {
    let gateway = Gateway::open().await;
    let local = Gateway { router: crate::api::local_router(gateway.app.clone()), ..gateway };
    let request = Request::builder()
        .method("PUT")
        .uri("/v1/brands/acme")
        .header(header::CONTENT_TYPE, "application/json");
    local.request(request.body(r#"{"name":"佳味"}"#.into()).unwrap()).await.expect(201);
    let request = Request::builder().uri("/v1/audit?object=brand").body(axum::body::Body::empty()).unwrap();
    let seen = local.request(request).await.expect(200).json();
    assert_eq!(seen["items"][0]["operator"], "local");
}
