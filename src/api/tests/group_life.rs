//! Groups that change hands, ways into them and groups of our own, over the router.

use serde_json::{Value, json};

use super::Gateway;
use crate::duties;
use crate::duties::transfers::Orphans;
use crate::storage::DocumentKind;

#[tokio::test]
async fn the_list_of_orphans_suggests_who_runs_the_shop_and_shows_only_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let shop = json!({"name": "东店", "region": "east", "manager": "li", "deputy": "zhao"});
    gateway.call("PUT", "/v1/shops/s-east", shop).await.expect(200);
    let group = |group: &str, owner: &str| (group.to_owned(), Some(owner.to_owned()));
    let orphans = Orphans {
        asked_ms: 7,
        groups: vec![group("g-east", "li"), group("g-unseen", "sun"), group("g-west", "wang")],
        count: 3,
        failure: None,
    };
    let id = Orphans::id("demo");
    let key = (DocumentKind::Pushed, id.as_str());
    duties::write(&*gateway.storage, 0, key, &orphans, None, Vec::new()).await.unwrap();
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let list = gateway.call_as(&eastern, "GET", "/v1/transfers", Value::Null).await.expect(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(
        (&items[0]["old_owner"], &items[0]["suggested_owner"]),
        (&json!("li"), &json!("zhao")),
        "not who has left"
    );
    assert_eq!(gateway.get("/v1/transfers").await.json()["items"].as_array().unwrap().len(), 3);
    assert!(gateway.get("/v1/transfers?account=other").await.json()["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_transfer_is_accepted_once_and_only_for_groups_of_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let body = |groups: &[&str]| json!({"account": "demo", "groups": groups, "new_owner": "wang", "old_owner": "left"});
    let post = async |key: &str, body: Value| gateway.post_once(&eastern, "/v1/transfers", key, body).await;
    for (key, groups, pointer) in [
        ("1", &["g-east", "g-west"][..], "/groups/1"),
        ("2", &[], "/groups"),
        ("3", &["g-east", "g-east"], "/groups"),
    ] {
        assert_eq!(post(key, body(groups)).await.expect(422).pointers(), [pointer]);
    }
    let made = post("4", body(&["g-east"])).await.expect(202);
    assert_eq!(made.json()["groups"][0]["standing"], "waiting");
    assert_eq!(post("4", body(&["g-east"])).await.expect(202).json()["id"], made.json()["id"]);
    let shown =
        gateway.call_as(&eastern, "GET", made.header("location"), Value::Null).await.expect(200).json();
    assert_eq!((&shown["waiting"], &shown["created_by"]), (&json!(1), &json!("op-east")));
    assert_eq!(gateway.storage.documents(DocumentKind::Transfer, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_way_and_a_group_of_our_own_are_checked_by_field_and_have_versions() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let six: Vec<String> = (0..6).map(|n| format!("g-{n}")).collect();
    for (body, pointer) in [
        (json!({"account": "nobody", "groups": ["g-east"]}), "/account"),
        (json!({"account": "demo", "groups": []}), "/groups"),
        (json!({"account": "demo", "groups": six}), "/groups"),
        (json!({"account": "demo", "groups": ["g-east"], "channel": "长".repeat(31)}), "/channel"),
    ] {
        assert_eq!(gateway.call("PUT", "/v1/join-ways/w", body).await.expect(422).pointers(), [pointer]);
    }
    let way = json!({"account": "demo", "groups": ["g-east"], "prepared": ["g-west"]});
    let made = gateway.call("PUT", "/v1/join-ways/w", way.clone()).await.expect(201);
    assert_eq!((made.header("etag"), &made.json()["standing"]), ("\"1\"", &json!("on_its_way")));
    gateway.call("PUT", "/v1/join-ways/w", way).await.expect(200);
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    gateway.call_as(&eastern, "GET", "/v1/join-ways/w", Value::Null).await.expect(404);
    let theirs = json!({"account": "demo", "groups": ["g-east"]});
    gateway.call_as(&eastern, "PUT", "/v1/join-ways/w", theirs).await.expect(404);
    gateway.call("DELETE", "/v1/join-ways/w", Value::Null).await.expect(204);

    for (id, body, pointer) in [
        ("a-b", json!({"name": "x", "owner": "a", "staff": ["a", "b"]}), "/id"),
        ("ab", json!({"name": "", "owner": "a", "staff": ["a", "b"]}), "/name"),
        ("ab", json!({"name": "x", "owner": "a", "staff": ["a"]}), "/staff"),
        ("ab", json!({"name": "x", "owner": "c", "staff": ["a", "b"]}), "/owner"),
    ] {
        let got = gateway.call("PUT", &format!("/v1/own-groups/demo/{id}"), body).await.expect(422);
        assert_eq!(got.pointers(), [pointer]);
    }
    let own = json!({"name": "店长群", "owner": "a", "staff": ["b", "a"]});
    gateway.call("PUT", "/v1/own-groups/demo/ab", own).await.expect(201);
    let shown = gateway.get("/v1/own-groups/demo/ab").await.expect(200);
    assert_eq!((shown.header("etag"), &shown.json()["staff"]), ("\"1\"", &json!(["a", "b"])));
}
