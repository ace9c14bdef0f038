//! Accounts, places, groups.

use serde_json::{Value, json};

use super::{Gateway, Got};
use crate::storage::DocumentKind;

#[tokio::test]
async fn an_account_keeps_its_secrets_to_itself() {
    let gateway = Gateway::open().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({
        "platform": "webhook", "settings": {"url": "https://shop.example/hook"}, "secrets": [{"value": secret}],
    });
    let made = gateway.call("PUT", "/v1/accounts/shop-app", body).await.expect(201);
    assert_eq!(made.json()["secrets"][0]["hint"], "…LaSw");
    assert_eq!(made.header("etag"), "\"1\"");
    let sec = made.json()["secrets"][0]["id"].clone();
    for got in [
        gateway.get("/v1/accounts/shop-app").await,
        gateway.get("/v1/accounts").await,
        gateway.get("/v1/audit").await,
    ] {
        assert!(!got.text.contains("MfKQ9r8GKYqrTwjU"), "{}", got.text);
    }
    let stored = gateway.storage.document(DocumentKind::Account, "shop-app").await.unwrap().unwrap();
    assert!(!stored.body.contains("MfKQ9r8GKYqrTwjU"));
    assert_eq!(gateway.directory.account_spec("shop-app").unwrap().secrets[0].expose(), secret);

    let kept =
        json!({"platform": "webhook", "name": "App", "settings": {"url": "https://shop.example/hook"}});
    gateway.call("PUT", "/v1/accounts/shop-app", kept).await.expect(200);
    assert_eq!(gateway.directory.account_spec("shop-app").unwrap().secrets[0].expose(), secret);
    let both = json!({
        "platform": "webhook", "settings": {"url": "https://shop.example/hook"},
        "secrets": [{"value": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}, {"id": sec, "expires_at": "2026-11-23T00:00:00Z"}],
    });
    gateway.call("PUT", "/v1/accounts/shop-app", both).await.expect(200);
    assert_eq!(gateway.directory.account_spec("shop-app").unwrap().secrets.len(), 2);
}

#[tokio::test]
async fn an_account_that_its_connector_refuses_is_not_stored() {
    let gateway = Gateway::open().await;
    let table = [
        (json!({"platform": "pigeon"}), "/platform"),
        (json!({"platform": "webhook", "settings": {"url": 7}}), "/settings/url"),
        (json!({"platform": "sandbox", "brand": "nobody"}), "/brand"),
        (json!({"platform": "sandbox", "secrets": [{"id": "sec_1"}]}), "/secrets/0/id"),
        (json!({"platform": "sandbox", "secrets": [{}]}), "/secrets/0"),
    ];
    for (body, pointer) in table {
        let got = gateway.call("PUT", "/v1/accounts/new", body.clone()).await;
        assert_eq!(got.expect(422).pointers(), [pointer], "{body}");
    }
    gateway.call("PUT", "/v1/accounts/new", json!({"platform": "sandbox", "colour": 1})).await.expect(400);
    gateway.call("PUT", "/v1/accounts/a%2Fb", json!({"platform": "sandbox"})).await.expect(422);
    gateway.get("/v1/accounts/new").await.expect(404);
    gateway.get("/v1/accounts/demo").await.expect(200);
}

#[tokio::test]
async fn groups_are_listed_page_by_page_and_filtered() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for n in 0..5 {
        gateway.message(&format!("g-seen-{n}"), "m-1", super::NOW_MS).await;
    }
    let mut names = Vec::new();
    let mut path = "/v1/groups?limit=3".to_owned();
    loop {
        let page = gateway.get(&path).await.expect(200).json();
        names.extend(
            page["items"].as_array().unwrap().iter().map(|g| g["group"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/groups?limit=3&cursor={next}");
    }
    assert_eq!(names, ["g-east", "g-seen-0", "g-seen-1", "g-seen-2", "g-seen-3", "g-seen-4", "g-west"]);
    for (query, count) in
        [("tag=vip", 2), ("shop=s-east", 1), ("region=west", 1), ("brand=acme", 2), ("account=no", 0)]
    {
        let page = gateway.get(&format!("/v1/groups?{query}")).await.expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    gateway.get("/v1/groups?cursor=nonsense").await.expect(400);
    gateway.get("/v1/groups?limit=0").await.expect(400);
    gateway.get("/v1/groups?colour=red").await.expect(400);
}

#[tokio::test]
async fn an_import_answers_every_line_and_can_be_repeated() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let lines = "{\"account\":\"demo\",\"group\":\"g-1\",\"name\":\"一群\",\"shop\":\"s-east\"}\n\
                 {\"account\":\"demo\",\"group\":\"g-2\",\"shop\":\"nowhere\"}\n\
                 \n\
                 {\"account\":\"demo\",\"group\":\"g-3\",\"nmae\":\"x\"}\n\
                 not json\n\
                 {\"account\":\"demo\",\"group\":\"g/4\"}\n";
    let got = gateway.call("POST", "/v1/groups", json!(lines)).await.expect(200);
    assert_eq!(got.header("content-type"), "application/x-ndjson");
    let told: Vec<_> = got
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|l| {
            (l["line"].as_u64().unwrap(), l["status"].clone(), l["error"]["errors"][0]["pointer"].clone())
        })
        .collect();
    let expect = [
        (1, json!("created"), Value::Null),
        (2, json!("error"), json!("/shop")),
        (4, json!("error"), json!("/nmae")),
        (5, json!("error"), json!("")),
        (6, json!("created"), Value::Null),
    ];
    assert_eq!(told, expect);
    gateway.get("/v1/groups/demo/g-1").await.expect(200);
    gateway.get("/v1/groups/demo/g%2F4").await.expect(200);
    gateway.get("/v1/groups/demo/g-2").await.expect(404);
    let again = gateway.call("POST", "/v1/groups", json!(lines)).await.expect(200);
    assert_eq!(again.text.matches("updated").count(), 2);
}

/// More lines than two commits take.
fn lines(line: impl Fn(usize) -> Value) -> String {
    (0..1_201).map(|n| line(n).to_string()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn thousands_of_shops_and_groups_are_imported_in_chunks() {
    let gateway = Gateway::open().await;
    let shops = lines(|n| json!({"id": format!("s-{n}"), "name": format!("店{n}")}));
    let got = gateway.call("POST", "/v1/shops", json!(shops)).await.expect(200);
    assert_eq!(got.text.matches("\"created\"").count(), 1_201);
    let groups = lines(|n| json!({"account": "demo", "group": format!("g-{n}"), "shop": format!("s-{n}")}));
    let got = gateway.call("POST", "/v1/groups", json!(groups)).await.expect(200);
    assert_eq!(got.text.matches("\"created\"").count(), 1_201);
    assert_eq!(
        gateway.directory.context("demo", "g-1200").unwrap().shop.as_ref().unwrap().record.name,
        "店1200"
    );
}

#[tokio::test]
async fn what_is_declared_comes_back_after_a_restart() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.message("g-seen", "m-1", super::NOW_MS).await;
    gateway.get("/v1/groups").await.expect(200); // the projection takes the message in
    let keys = crate::directory::Keyring::read(&gateway.data.path().join("key")).unwrap();
    let storage = std::sync::Arc::clone(&gateway.storage);
    let config = crate::directory::Config::default();
    let again =
        crate::directory::Directory::open(storage, gateway.clock.clone(), config, keys).await.unwrap();
    let east = again.context("demo", "g-east").unwrap();
    assert_eq!(east.place.path(), "acme/east/s-east");
    assert_eq!(east.variable("shop.name"), Some("east机密店"));
    assert_eq!(east.variable("region.name"), Some("east机密"));
    assert_eq!(east.variable("brand.name"), Some("佳味"));
    let everything = crate::event::Scope::everything();
    assert!(again.group_in(&everything, "demo", "g-seen").is_ok());
    assert!(again.group_in(&everything, "demo", "g-never").is_err());
    assert!(again.context("nobody", "g-1").is_none());
}

#[tokio::test]
async fn moving_a_region_moves_its_groups() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.call("PUT", "/v1/brands/other", json!({"name": "别家"})).await.expect(201);
    gateway.call("PUT", "/v1/regions/east", json!({"name": "东", "brand": "other"})).await.expect(200);
    let group = gateway.get("/v1/groups/demo/g-east").await.expect(200).json();
    assert_eq!(group["place"], json!({"brand": "other", "region": "east", "shop": "s-east"}));
    for (path, status) in [("/v1/regions/east", 409), ("/v1/shops/s-east", 409), ("/v1/brands/other", 409)] {
        gateway.call("DELETE", path, Value::Null).await.expect(status);
    }
    gateway.call("DELETE", "/v1/groups/demo/g-east", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/shops/s-east", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/regions/east", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/brands/other", Value::Null).await.expect(204);
}

#[tokio::test]
async fn a_group_says_what_is_promised_and_what_is_not() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let promises = async |account: &str, group: &str| {
        let list = gateway.get(&format!("/v1/groups/{account}/{group}/promises")).await.expect(200).json();
        list["items"].as_array().unwrap().clone()
    };
    let find =
        |items: &[Value], name: &str| items.iter().find(|item| item["promise"] == name).unwrap().clone();
    let items = promises("demo", "g-east").await;
    let recall = find(&items, "recall");
    assert_eq!((&recall["kept"], &recall["title"]), (&json!("yes"), &json!("撤回")));
    assert_eq!(recall["source"], "can_recall: the sandbox records whatever it is asked to do");
    assert_eq!(find(&items, "rich_content")["kept"], "yes");

    let off = json!({"platform": "sandbox", "disabled": true});
    gateway.call("PUT", "/v1/accounts/off", off).await.expect(201);
    gateway.call("PUT", "/v1/groups/off/g-1", json!({})).await.expect(201);
    let items = promises("off", "g-1").await;
    assert!(items.iter().all(|item| item["kept"] == "no"), "{items:?}");
    assert!(find(&items, "protection")["zh"].as_str().unwrap().contains("没有连接"));
    gateway.get("/v1/groups/demo/g-gone/promises").await.expect(404);
}

#[tokio::test]
async fn a_sheet_of_values_changes_them_and_nothing_else() {
    let gateway = Gateway::open().await;
    let shop = json!({"name": "南京路店", "manager": "li", "variables": {"address": "旧址", "phone": "1"}});
    gateway.call("PUT", "/v1/shops/s-1", shop).await.expect(201);
    gateway.call("PUT", "/v1/shops/s-2", json!({"name": "人民路店"})).await.expect(201);
    let told = |got: &Got| -> Vec<(u64, Value)> {
        let lines = got.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|l| (l["line"].as_u64().unwrap(), l["status"].clone())).collect()
    };
    let sheet = "\u{feff}店名,id,address,coupon\n甲,s-1,人民路一号,满100减20\n乙,s-2,,八折\n丙,s-9,x,y\n丁,s-1,,满100减30\n";
    let got = gateway.csv("POST", "/v1/shops/variables", sheet).await.expect(200);
    let (updated, error) = (json!("updated"), json!("error"));
    assert_eq!(
        told(&got),
        [(2, updated.clone()), (3, updated.clone()), (4, error.clone()), (5, updated.clone())]
    );
    let first = gateway.get("/v1/shops/s-1").await.expect(200).json();
    assert_eq!(first["manager"], "li");
    let expect = json!({"address": "人民路一号", "coupon": "满100减30", "phone": "1", "店名": "丁"});
    assert_eq!(first["variables"], expect);
    assert_eq!(
        gateway.get("/v1/shops/s-2").await.expect(200).json()["variables"],
        json!({"coupon": "八折", "店名": "乙"})
    );
    let lines =
        "{\"id\":\"s-1\",\"variables\":{\"phone\":null,\"coupon\":\"五折\"}}\n{\"id\":\"s-1\",\"x\":1}\n";
    let got = gateway.call("POST", "/v1/shops/variables", json!(lines)).await.expect(200);
    assert_eq!(told(&got), [(1, updated.clone()), (2, error)]);
    let first = gateway.get("/v1/shops/s-1").await.expect(200).json();
    assert_eq!((&first["variables"]["coupon"], first["variables"].get("phone")), (&json!("五折"), None));

    gateway.call("PUT", "/v1/groups/demo/g-1", json!({"shop": "s-1", "tags": ["vip"]})).await.expect(201);
    let got =
        gateway.csv("POST", "/v1/groups/variables", "account,group,wifi\ndemo,g-1,guest\n").await.expect(200);
    assert_eq!(told(&got), [(2, updated)]);
    let group = gateway.get("/v1/groups/demo/g-1").await.expect(200).json();
    assert_eq!(
        (&group["tags"], &group["declared"]["variables"]),
        (&json!(["vip"]), &json!({"wifi": "guest"}))
    );
}
