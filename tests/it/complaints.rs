//! What operators of store groups would be angry about, one story each, where no other file tells it: a regular customer
//! punished for ordinary words, our own people caught, an advert that is answered, an address edited in every shop by hand.

use std::collections::BTreeSet;

use http::Method;
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::Gateway;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A gateway whose groups lie on a platform that can do everything.
async fn fleet() -> (Sink, Gateway) {
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await.unwrap();
    let gateway = Gateway::start(&[("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)]);
    let account = json!({
        "platform": "webhook", "secrets": [{"value": SECRET}], "limits": ["window:600/s"],
        "settings": {"url": sink.url(), "receiver_dedupes": true, "can": ["send", "recall", "mute", "remove"]},
    });
    gateway.client.expect(201, Method::PUT, "/v1/accounts/shop", &account).await;
    (sink, gateway)
}

async fn says(gateway: &Gateway, group: &str, id: &str, (member, role): (&str, &str), text: &str) -> Value {
    let event = json!({"id": id, "account": "shop", "group": group, "type": "message", "member": member,
        "role": role, "text": text});
    gateway.client.expect(200, Method::POST, "/v1/events", &event).await
}

/// What the platform was asked to do, each once: kind and text.
fn asked(sink: &Sink) -> BTreeSet<(String, String, String)> {
    let receipts = sink.receipts(0, 999).into_iter();
    receipts.map(|receipt| (receipt.id, receipt.kind, receipt.text)).collect()
}

fn kinds(sink: &Sink) -> Vec<String> {
    let mut kinds: Vec<String> = asked(sink).into_iter().map(|(_, kind, _)| kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regular_is_let_back_in_everywhere_and_it_does_not_happen_again() {
    let (sink, gateway) = fleet().await;
    let client = &gateway.client;
    let list = json!({"category": "abuse", "level": "high", "terms": [{"text": "交通路口"}]});
    client.expect(201, Method::PUT, "/v1/wordlists/rash", &list).await;
    let policy =
        json!({"levels": {"high": "block"}, "ladder": {"steps": [{"at": 1, "do": "mute", "for": "1h"}]}});
    client.expect(201, Method::PUT, "/v1/policies/strict", &policy).await;
    let text = "我在淮海路交通路口等你";
    for group in ["g-1", "g-2"] {
        client
            .expect(201, Method::PUT, &format!("/v1/groups/shop/{group}"), &json!({"policy": "strict"}))
            .await;
        let answer = says(&gateway, group, &format!("e-{group}"), ("u-1", "customer"), text).await;
        assert_eq!(answer["verdict"], "block", "{answer}");
    }
    // What teaches it is asked of the pardon, in one act for all groups.
    let pardon = json!({"reason": "误判", "allow_phrase": "路交通路口"});
    let done = client.expect(200, Method::POST, "/v1/members/shop/u-1/pardon", &pardon).await;
    assert_eq!(done["groups"].as_array().unwrap().len(), 2, "{done}");
    assert!(done["groups"].as_array().unwrap().iter().all(|group| group["unmuted"] == true), "{done}");
    let again = says(&gateway, "g-1", "e-again", ("u-2", "customer"), text).await;
    assert_eq!(again["verdict"], "pass", "{again}");
    let unmuted =
        || async { (kinds(&sink).iter().filter(|kind| *kind == "unmute").count() == 2).then_some(()) };
    eventually("both mutes are undone", unmuted).await;
    assert_eq!(client.get("/v1/groups/shop/g-2/members/u-1/conduct").await["strikes"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_manager_nor_our_coupon_robot_is_punished_or_answered() {
    let (sink, gateway) = fleet().await;
    let client = &gateway.client;
    let policy = json!({"levels": {"high": "block"}, "ladder": {"steps": [{"at": 1, "do": "remove"}]}});
    client.expect(201, Method::PUT, "/v1/policies/strict", &policy).await;
    let group = json!({"policy": "strict", "owner": "manager"});
    client.expect(201, Method::PUT, "/v1/groups/shop/g-1", &group).await;
    let rule = json!({"keywords": ["优惠"], "text": "优惠请看群公告", "cooldown_s": 0});
    client.expect(201, Method::PUT, "/v1/replies/offers", &rule).await;
    let advert = "加微信 abc888 领优惠";
    for (nth, who) in [("manager", "customer"), ("clerk", "staff"), ("coupons", "bot"), ("manager", "staff")]
        .into_iter()
        .enumerate()
    {
        for round in 0..20 {
            says(&gateway, "g-1", &format!("e-{nth}-{round}"), who, advert).await;
        }
    }
    // A customer's advert is withdrawn, its author taken out, and nobody answers it.
    says(&gateway, "g-1", "e-advert", ("u-1", "customer"), advert).await;
    let question = says(&gateway, "g-1", "e-question", ("u-2", "customer"), "有什么优惠").await;
    assert_eq!(question["verdict"], "pass", "{question}");
    eventually("the question is answered", || async {
        kinds(&sink).contains(&"reply".to_owned()).then_some(())
    })
    .await;
    eventually("the author is taken out", || async {
        kinds(&sink).contains(&"remove".to_owned()).then_some(())
    })
    .await;
    let kinds = kinds(&sink);
    let count = |kind: &str| kinds.iter().filter(|of| *of == kind).count();
    assert_eq!((count("reply"), count("remove"), count("mute")), (1, 1, 0), "{kinds:?}");
    for who in ["manager", "clerk", "coupons"] {
        let record = client.get(&format!("/v1/groups/shop/g-1/members/{who}/conduct")).await;
        assert_eq!(record["steps"], json!([]), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rule_says_each_shops_own_address_and_one_sheet_changes_them() {
    let (sink, gateway) = fleet().await;
    let client = &gateway.client;
    let lines =
        |of: &dyn Fn(usize) -> Value| (0..60).map(|n| of(n).to_string()).collect::<Vec<_>>().join("\n");
    let shops = lines(
        &|n| json!({"id": format!("s-{n}"), "name": format!("{n}号店"), "variables": {"address": format!("人民路{n}号")}}),
    );
    let groups = lines(&|n| json!({"account": "shop", "group": format!("g-{n}"), "shop": format!("s-{n}")}));
    for (path, body) in [("/v1/shops", shops), ("/v1/groups", groups)] {
        let form = [("content-type", "application/x-ndjson")];
        let taken = client.send(Method::POST, path, &form, body).await.unwrap();
        assert!(!String::from_utf8_lossy(&taken.body).contains("error"), "{taken:?}");
    }
    let rule = json!({"keywords": ["地址"], "text": "{shop.name}在{shop.address}", "cooldown_s": 0});
    client.expect(201, Method::PUT, "/v1/replies/address", &rule).await;
    let answers = |round: &'static str| {
        let (gateway, sink) = (&gateway, &sink);
        async move {
            let before = asked(sink);
            for n in 0..60 {
                says(gateway, &format!("g-{n}"), &format!("{round}-{n}"), ("u-1", "customer"), "地址在哪")
                    .await;
            }
            eventually("every group is answered", || async {
                let new: BTreeSet<String> =
                    asked(sink).difference(&before).map(|(_, _, text)| text.clone()).collect();
                (new.len() == 60).then_some(new)
            })
            .await
        }
    };
    let expect = |street: &str| (0..60).map(|n| format!("{n}号店在{street}{n}号")).collect::<BTreeSet<_>>();
    assert_eq!(answers("a").await, expect("人民路"));
    // They all move: one sheet, as people keep it.
    let rows: Vec<String> = (0..60).map(|n| format!("s-{n},南京路{n}号")).collect();
    let form = [("content-type", "text/csv")];
    let sheet = format!("id,address\n{}\n", rows.join("\n"));
    let taken = client.send(Method::POST, "/v1/shops/variables", &form, sheet).await.unwrap();
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(answers("b").await, expect("南京路"));
}
