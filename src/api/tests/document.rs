//! The API document: true to the table, complete, committed.

use std::collections::HashSet;

use serde_json::Value;

use super::Gateway;
use crate::api::router::table;
use crate::api::{Code, document};

const COMMITTED: &str = include_str!("../../../docs/openapi.json");

fn generated() -> Value {
    serde_json::to_value(document()).unwrap()
}

#[test]
fn the_table_says_what_the_handlers_say() {
    for route in table() {
        let (_, paths, _) = &route.handler;
        let (path, item) = paths.paths.iter().next().unwrap();
        assert_eq!(path, route.path);
        let operation = match route.method {
            "GET" => &item.get,
            "PUT" => &item.put,
            "POST" => &item.post,
            "DELETE" => &item.delete,
            other => panic!("{other}"),
        };
        assert!(operation.is_some(), "{} {path}", route.method);
    }
}

#[test]
fn every_operation_is_described_and_has_a_name_of_its_own() {
    let document = generated();
    assert_eq!(document["openapi"], "3.1.0");
    let tags: HashSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone().to_string()).collect();
    let mut names = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(names.insert(operation["operationId"].to_string()), "{what}: operationId");
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{what}: summary");
            assert!(tags.contains(&operation["tags"][0].to_string()), "{what}: tag");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{what}: success");
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{what} {status}");
            }
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "no schema {name}");
    }
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let generated = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if generated != COMMITTED {
        let path = std::env::temp_dir().join("menshen-openapi.json");
        std::fs::write(&path, &generated).unwrap();
        panic!("docs/openapi.json is out of date; copy {} over it", path.display());
    }
}

#[test]
fn every_code_stands_in_the_api_page() {
    let page = include_str!("../../../docs/API.md");
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
        assert!(page.contains(&row), "docs/API.md lacks the row {row}");
    }
}

#[tokio::test]
async fn the_pages_need_no_token_and_no_network() {
    let gateway = Gateway::open().await;
    let get = async |path: &str| {
        let request = http::Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
        gateway.request(request).await
    };
    let json = get("/openapi.json").await.expect(200);
    assert_eq!(json.json()["info"]["title"], "Menshen 门神");
    get("/docs").await.expect(303);
    let page = get("/docs/").await.expect(200);
    assert!(page.text.contains("swagger-ui"));
    assert!(!page.text.contains("https://"), "the page loads something from elsewhere");
    get("/docs/swagger-ui-bundle.js").await.expect(200);
}
