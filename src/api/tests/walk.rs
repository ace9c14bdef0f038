//! Nobody sees or touches what is outside their scope, on any route: the routes are walked from the table itself, so a
//! new one cannot be forgotten.

use serde_json::{Value, json};

use super::Gateway;
use crate::api::router::table;
use crate::storage::DocumentKind;

/// Stands in every name of the eastern region and in nothing that is sent below.
const SECRET: &str = "机密";

const KINDS: [DocumentKind; 16] = [
    DocumentKind::Operator,
    DocumentKind::Token,
    DocumentKind::Account,
    DocumentKind::Brand,
    DocumentKind::Region,
    DocumentKind::Shop,
    DocumentKind::Group,
    DocumentKind::Wordlist,
    DocumentKind::Policy,
    DocumentKind::Reply,
    DocumentKind::Welcome,
    DocumentKind::Journey,
    DocumentKind::Audience,
    DocumentKind::Broadcast,
    DocumentKind::Hold,
    DocumentKind::Endpoint,
];

/// Fills a route's path with things of the eastern region.
fn eastern(path: &str, token: &str) -> String {
    path.replace("/v1/groups/{account}", "/v1/groups/demo")
        .replace("{account}", "demo")
        .replace("{group}", "g-east")
        .replace("{brand}", "acme")
        .replace("{region}", "east")
        .replace("{shop}", "s-east")
        .replace("{operator}", "op-east")
        .replace("{token}", token)
        .replace("{wordlist}", "w-east")
        .replace("{policy}", "p-east")
        .replace("{reply}", "r-east")
        .replace("{welcome}", "we-east")
        .replace("{hold}", "hld_east")
        .replace("{broadcast}", "brd_east")
        .replace("{delivery}", "dlv_east")
}

/// A body with which the route would do something, if it were allowed to.
fn body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("GET" | "DELETE", _) => Value::Null,
        (_, "/v1/accounts/{account}") => json!({"platform": "sandbox", "name": "taken over"}),
        (_, "/v1/brands/{brand}" | "/v1/regions/{region}") => json!({"name": "taken over"}),
        (_, "/v1/shops/{shop}") => json!({"name": "taken over", "region": "west"}),
        (_, "/v1/shops") => json!("{\"id\":\"s-east\",\"name\":\"taken over\",\"region\":\"west\"}\n"),
        (_, "/v1/groups/{account}/{group}") => json!({"name": "taken over", "shop": "s-west"}),
        (_, "/v1/groups") => {
            json!("{\"account\":\"demo\",\"group\":\"g-east\",\"name\":\"taken over\",\"shop\":\"s-west\"}\n")
        }
        (_, "/v1/operators/{operator}") => {
            json!({"name": "taken over", "rights": ["read"], "scope": {"regions": ["west"]}})
        }
        (_, "/v1/tokens") => json!({"name": "taken over", "operator": "op-east", "scope": {"regions": ["west"]}}),
        (method, path) => panic!("say here what {method} {path} would take, so that the walk is a real one"),
    }
}

async fn documents(gateway: &Gateway) -> Vec<String> {
    let mut all = Vec::new();
    for kind in KINDS {
        let documents = gateway.storage.documents(kind, None, 1_000).await.unwrap();
        all.extend(documents.into_iter().map(|d| format!("{kind:?} {} {} {}", d.id, d.version, d.body)));
    }
    all
}

#[tokio::test]
async fn every_route_with_a_token_of_another_region() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.message("g-east", "m-机密", super::NOW_MS - 1_000).await;
    gateway.message("g-nowhere", "m-机密", super::NOW_MS - 1_000).await;
    let eastern_token = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let eastern_token = eastern_token.split('_').nth(1).unwrap();
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.access.flush_last_used().await.unwrap();
    let before: Vec<_> = documents(&gateway).await.into_iter().filter(|d| !d.contains("op-west")).collect();

    for route in table() {
        let path = eastern(route.path, eastern_token);
        assert!(!path.contains('{'), "say in `eastern` what fills {path}");
        let got = gateway.call_as(&western, route.method, &path, body(route.method, route.path)).await;
        let what = format!("{} {path}: {} {}", route.method, got.status, got.text);
        assert!(!got.text.contains(SECRET), "{what}");
        assert!(!got.status.is_server_error(), "{what}");
        assert_ne!(got.status.as_u16(), 403, "the walker lacks a right, so nothing was tried: {what}");
        if route.path.contains('{') {
            assert!(matches!(got.status.as_u16(), 404 | 422), "{what}");
        } else if route.method == "GET" {
            assert!(!got.text.contains("east") && !got.text.contains("nowhere"), "{what}");
        }
    }

    let after: Vec<_> = documents(&gateway).await.into_iter().filter(|d| !d.contains("op-west")).collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_is_outside_the_scope_is_answered_like_what_does_not_exist() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    for route in table().into_iter().filter(|route| route.path.contains('{')) {
        let foreign = eastern(route.path, "0123456789ab");
        let missing = foreign.replace("east", "gone").replace("acme", "gone").replace("demo", "gone");
        // Making something under a new id is allowed where it would lie in the own scope; all else must look the same.
        if route.method == "PUT" {
            continue;
        }
        let strip = |mut body: Value| {
            body.as_object_mut().map(|body| body.remove("trace_id"));
            body
        };
        let ask = async |path| {
            let got = gateway.call_as(&western, route.method, path, body(route.method, route.path)).await;
            (got.status, strip(got.json()))
        };
        assert_eq!(ask(&foreign).await, ask(&missing).await, "{} {foreign}", route.method);
    }
}

#[tokio::test]
async fn every_route_wants_a_token_and_its_right() {
    let gateway = Gateway::open().await;
    gateway.call("PUT", "/v1/operators/nobody", json!({"name": "n", "rights": [], "scope": {"all": true}})).await;
    let made = gateway.call("POST", "/v1/tokens", json!({"name": "none", "operator": "nobody"})).await.expect(201);
    let powerless = made.json()["secret"].as_str().unwrap().to_owned();
    for route in table() {
        let path = eastern(route.path, "0123456789ab");
        let body = || body(route.method, route.path);
        let got = gateway.call_as("msh_wrong", route.method, &path, body()).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (401, "unauthorized"), "{} {path}", route.method);
        let got = gateway.call_as(&powerless, route.method, &path, body()).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (403, "forbidden"), "{} {path}", route.method);
    }
}
