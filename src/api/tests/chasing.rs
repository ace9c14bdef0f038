//! Whom to chase: the tasks that owners must confirm, by region, as a list and as a file; and the lane of what is sent.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{AccountId, DeliveryId};
use crate::outbox::delivery::{Delivery, Payload, Priority};
use crate::outbox::row_of;
use crate::storage::{DeliveryRow, DeliveryState, MASS_SEND};

/// A task that its owner must confirm, as the ledger keeps it.
fn task(broadcast: &str, number: u32, owner: &str, group: &str, state: DeliveryState) -> DeliveryRow {
    let target = (1 << 31) + number;
    let payload = Payload::MassSend {
        sender: owner.to_owned(),
        targets: vec![(number, group.to_owned())],
        text: "会员日".to_owned(),
        attachments: Vec::new(),
    };
    let delivery = Delivery {
        id: DeliveryId::parse(&format!("{broadcast}_{target}")).unwrap(),
        account: AccountId::parse("demo").unwrap(),
        group: format!("mass:{owner}"),
        member: None,
        kind: MASS_SEND.into(),
        rule: String::new(),
        priority: Priority::Bulk,
        payload: payload.clone(),
        broadcast: None,
        expires_ms: 0,
        cost: 1,
    };
    let row = row_of(&delivery, None, state, NOW_MS);
    let body = serde_json::to_string(&payload).unwrap();
    DeliveryRow { broadcast: broadcast.to_owned(), target, body, platform_id: format!("msg_{number}"), ..row }
}

#[tokio::test]
async fn tasks_are_listed_exported_and_chased_by_region() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let draft = json!({"text": "会员日", "audience": "all", "draft": true});
    let made = gateway.post_once(&gateway.admin, "/v1/broadcasts", "k", draft).await.expect(202).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let waits = DeliveryState::AwaitingConfirmation;
    let rows = vec![
        task(&id, 0, "li", "g-east", waits),
        task(&id, 1, "=wang", "g-west", waits),
        task(&id, 2, "zhao", "g-east", DeliveryState::Failed),
    ];
    gateway.storage.deliveries_add(rows).await.unwrap();
    let path = format!("/v1/broadcasts/{id}/tasks");
    let owners = async |query: &str| -> Vec<String> {
        let got = gateway.get(&format!("{path}{query}")).await.expect(200).json();
        let items = got["items"].as_array().unwrap().clone();
        items.iter().map(|task| task["owner"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(owners("").await, ["li", "=wang", "zhao"]);
    assert_eq!(owners("?state=waiting&region=east").await, ["li"]);
    assert_eq!(owners("?region=east").await, ["li", "zhao"]);
    assert_eq!(owners("?shop=s-west").await, ["=wang"]);
    assert_eq!(owners("?owner=zhao&state=over").await, ["zhao"]);
    assert_eq!(owners("?state=confirmed").await, [""; 0]);
    let unknown = gateway.get(&format!("{path}?region=esat")).await.expect(422);
    assert_eq!(unknown.pointers(), ["/region"]);

    let first = gateway.get(&format!("{path}?limit=1")).await.expect(200).json();
    let row = &first["items"][0];
    assert_eq!((&row["regions"], &row["shops"]), (&json!(["east"]), &json!({"s-east": "east机密店"})));
    assert_eq!((&row["standing"], &row["groups"]), (&json!("waiting"), &json!(["g-east"])));
    assert!(row["waiting_since"].is_string() && first["next_cursor"].is_string(), "{first}");
    assert_eq!(owners(&format!("?limit=5&cursor={}", first["next_cursor"].as_str().unwrap())).await.len(), 2);

    let csv = gateway.get(&format!("{path}/export?state=waiting")).await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = csv.text.lines().collect();
    assert!(
        lines[0].ends_with(
            "task,account,owner,owner_name,regions,shops,shop_names,groups,standing,state,\
        waiting_since,confirmed_at,reminded,reminded_at,called_off_at,code,detail,platform_id"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("0,demo,li,,east,s-east,east机密店,g-east,waiting,awaiting_confirmation,"));
    assert!(lines[2].contains("'=wang"), "no spreadsheet runs it: {}", lines[2]);
    assert_eq!(lines.len(), 3);
    let ndjson = gateway.get(&format!("{path}/export?format=ndjson&region=west")).await.expect(200);
    let row: Value = serde_json::from_str(ndjson.text.trim()).unwrap();
    assert_eq!((&row["owner"], &row["task"]), (&json!("=wang"), &json!(1)));

    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.call_as(&western, "GET", &format!("{path}/export"), Value::Null).await.expect(404);
    let remind = format!("/v1/broadcasts/{id}/remind?region=none");
    assert_eq!(gateway.call("POST", &remind, Value::Null).await.expect(422).pointers(), ["/region"]);
}

#[tokio::test]
async fn the_lane_of_a_delivery_is_shown_in_parts_and_in_results_in_one_cell() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let new = json!({"text": "会员日", "audience": {"groups": ["demo/g-east"]}, "require_all": true});
    let made = gateway.post_once(&gateway.admin, "/v1/broadcasts", "k", new).await.expect(202).json();
    assert_eq!(made["checked"]["can_be_told"], 1, "{made}");
    let id = made["id"].as_str().unwrap();
    let delivery = format!("/v1/deliveries/{id}_0");
    for _ in 0..2_000 {
        if gateway.get(&delivery).await.status.as_u16() == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let shown = gateway.get(&delivery).await.expect(200).json();
    assert_eq!(shown["lane"], json!({"account": "demo", "class": null, "apps": [], "corps": []}));
    let results = gateway.get(&format!("/v1/broadcasts/{id}/results?format=ndjson")).await.expect(200);
    assert_eq!(serde_json::from_str::<Value>(results.text.trim()).unwrap()["lane"], "demo");
}
