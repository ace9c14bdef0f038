//! Programs that are told of state changes.

use super::*;

#[tokio::test]
async fn an_endpoint_is_made_once_with_its_secret_and_what_it_asks_for_is_checked() {
    let gateway = Gateway::open().await;
    let path = "/v1/endpoints/ops";
    let url = "https://example.com/menshen";
    let asked =
        json!({"url": url, "states": ["failed", "awaiting_confirmation", "canary"], "enabled": false});
    let made = gateway.call("PUT", path, asked.clone()).await.expect(201).json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{made}");
    let again = gateway.call("PUT", path, asked).await.expect(200);
    for shown in [again, gateway.get(path).await, gateway.get("/v1/endpoints").await] {
        assert!(!shown.text.contains("whsec_"), "{}", shown.text);
    }
    let fresh = gateway.call("POST", &format!("{path}/rotate"), Value::Null).await.expect(200).json();
    assert_ne!(fresh["secret"], secret.as_str());
    for (field, value) in [
        ("states", json!(["sending"])),
        ("states", json!(["gone"])),
        ("subjects", json!(["reply"])),
        ("url", json!("gopher://example.com/")),
        ("secret", json!("letmein")),
    ] {
        let mut asked = json!({"url": url});
        asked[field] = value;
        let refused = gateway.call("PUT", path, asked).await;
        assert!(matches!(refused.status.as_u16(), 400 | 422), "{field}: {}", refused.text);
        assert!(refused.text.contains(&format!("/{field}")), "{field}: {}", refused.text);
    }
    let replay = format!("{path}/replay");
    for asked in [json!({}), json!({"from": "2026-11-22T10:00:00Z", "after": 1}), json!({"from": "monday"})] {
        assert!(gateway.call("POST", &replay, asked.clone()).await.status.is_client_error(), "{asked}");
    }
    let again = gateway.call("POST", &replay, json!({"from": "2026-11-22T10:00:00+08:00"})).await.expect(200);
    assert_eq!(again.json(), json!({"after": 0, "changes": 0, "complete": true}));
    gateway.call("DELETE", path, Value::Null).await.expect(204);
    gateway.call("POST", &format!("{path}/test"), Value::Null).await.expect(404);
    let audit = gateway.get("/v1/audit?object=endpoint").await.expect(200);
    let verbs: Vec<_> = audit.json()["items"].as_array().unwrap().iter().map(|e| e["verb"].clone()).collect();
    assert_eq!(verbs, ["delete", "replay", "rotate", "update", "create"]);
    assert!(!audit.text.contains("whsec_"), "{}", audit.text);
}
