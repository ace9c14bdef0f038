//! Nobody sees or touches what is outside their scope, on any route: the routes are walked from the table itself, so a
//! new one cannot be forgotten.

use serde_json::{Value, json};

use super::{Gateway, Got, NOW_MS, alerts, questions, reviews};
use crate::api::router::{Route, table};
use crate::storage::{DeliveryRow, DeliveryState, DocumentKind};

/// Stands in every name and text of the eastern region and in nothing that is sent below.
const SECRET: &str = "机密";

const KINDS: [DocumentKind; 32] = [
    DocumentKind::Operator,
    DocumentKind::Token,
    DocumentKind::Account,
    DocumentKind::Brand,
    DocumentKind::Region,
    DocumentKind::Shop,
    DocumentKind::Group,
    DocumentKind::Wordlist,
    DocumentKind::RuleSet,
    DocumentKind::Policy,
    DocumentKind::Reply,
    DocumentKind::Welcome,
    DocumentKind::Journey,
    DocumentKind::Audience,
    DocumentKind::Broadcast,
    DocumentKind::Hold,
    DocumentKind::Endpoint,
    DocumentKind::Pushed,
    DocumentKind::WelcomeTemplate,
    DocumentKind::Adoption,
    DocumentKind::JoinWay,
    DocumentKind::Transfer,
    DocumentKind::OwnGroup,
    DocumentKind::Review,
    DocumentKind::ReviewClosed,
    DocumentKind::Question,
    DocumentKind::AlertState,
    DocumentKind::Alert,
    DocumentKind::AlertRule,
    DocumentKind::MemberMark,
    DocumentKind::TagRule,
    DocumentKind::Segment,
];

/// Ids of eastern things that the gateway gave out.
struct Ids {
    token: String,
    hold: String,
    broadcast: String,
    notice: String,
    transfer: String,
    evidence: String,
    review: String,
    replay: String,
    alert: String,
}

impl Ids {
    /// Ids of nothing.
    fn none() -> Self {
        Self {
            token: "0123456789ab".into(),
            hold: "hld_none".into(),
            broadcast: "bc_none".into(),
            notice: "ntc_none".into(),
            transfer: "trf_none".into(),
            evidence: "ev_none".into(),
            review: "rv_none".into(),
            replay: "rpl_none".into(),
            alert: "al_9999".into(),
        }
    }
}

/// Fills a route's path with things of the eastern region.
fn eastern(path: &str, ids: &Ids) -> String {
    path.replace("{account}", "demo")
        .replace("{group}", "g-east")
        .replace("{brand}", "acme")
        .replace("{region}", "east")
        .replace("{member}", "m-east")
        .replace("{case}", "case_none")
        .replace("{kick}", "kck_none")
        .replace("{shop}", "s-east")
        .replace("{operator}", "op-east")
        .replace("{token}", &ids.token)
        .replace("{wordlist}", "w-none")
        .replace("{rule_set}", "rs-none")
        .replace("{synonyms}", "syn-none")
        .replace("{policy}", "p-none")
        .replace("{reply}", "r-none")
        .replace("{welcome}", "we-none")
        .replace("{journey}", "jo-none")
        .replace("{hold}", &ids.hold)
        .replace("{broadcast}", &ids.broadcast)
        .replace("{audience}", "au-east")
        .replace("{delivery}", "dlv_east")
        .replace("{endpoint}", "east-ops")
        .replace("{notice}", &ids.notice)
        .replace("{template}", "t-east")
        .replace("{transfer}", &ids.transfer)
        .replace("{evidence}", &ids.evidence)
        .replace("{review}", &ids.review)
        .replace("{replay}", &ids.replay)
        .replace("{alert}", &ids.alert)
        .replace("{alert_rule}", "ar-east")
        .replace("{way}", "w-east")
        .replace("{version}", "r-none")
        .replace("{tag}", "vip")
        .replace("{tag_rule}", "tr-east")
        .replace("{segment}", "se-east")
        .replace("{id}", "east")
}

/// A body with which the route would do something, if it were allowed to.
#[expect(clippy::too_many_lines, reason = "a table of one line a route")]
fn body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("GET" | "DELETE", _)
        | ("PUT", "/v1/members/{account}/{member}/tags/{tag}")
        | (
            "POST",
            "/v1/broadcasts/{broadcast}/submit"
            | "/v1/broadcasts/{broadcast}/approve"
            | "/v1/broadcasts/{broadcast}/reject"
            | "/v1/broadcasts/{broadcast}/pause"
            | "/v1/broadcasts/{broadcast}/resume"
            | "/v1/broadcasts/{broadcast}/cancel"
            | "/v1/broadcasts/{broadcast}/replay"
            | "/v1/broadcasts/{broadcast}/remind"
            | "/v1/dead-letters/{delivery}/replay"
            | "/v1/endpoints/{endpoint}/rotate"
            | "/v1/endpoints/{endpoint}/test"
            | "/v1/accounts/{account}/sync"
            | "/v1/admin/reload",
        ) => Value::Null,
        (_, "/v1/accounts/{account}") => json!({"platform": "sandbox", "name": "taken over"}),
        (_, "/v1/accounts/{account}/check") => json!({}),
        (_, "/v1/brands/{brand}" | "/v1/regions/{region}") => json!({"name": "taken over"}),
        (_, "/v1/shops/{shop}") => json!({"name": "taken over", "region": "west"}),
        (_, "/v1/shops") => json!("{\"id\":\"s-east\",\"name\":\"taken over\",\"region\":\"west\"}\n"),
        (_, "/v1/shops/variables") => json!("{\"id\":\"s-east\",\"variables\":{\"address\":\"over\"}}\n"),
        (_, "/v1/groups/variables") => {
            json!("{\"account\":\"demo\",\"group\":\"g-east\",\"variables\":{\"address\":\"over\"}}\n")
        }
        (_, "/v1/groups/{account}/{group}") => json!({"name": "taken over", "shop": "s-west"}),
        (_, "/v1/groups") => {
            json!("{\"account\":\"demo\",\"group\":\"g-east\",\"name\":\"taken over\",\"shop\":\"s-west\"}\n")
        }
        (_, "/v1/operators/{operator}") => {
            json!({"name": "taken over", "rights": ["read"], "scope": {"regions": ["west"]}})
        }
        (_, "/v1/tokens") => {
            json!({"name": "taken over", "operator": "op-east", "scope": {"regions": ["west"]}})
        }
        (_, "/v1/verdicts") => {
            json!({"account": "demo", "group": "g-east", "of": "e-1", "verdict": "block", "source": "ocr"})
        }
        (_, "/v1/moderate") => json!({"text": "加微信领优惠"}),
        (_, "/v1/reviews/{review}/decision") => json!({"decision": "approve", "reason": "taken over"}),
        (_, "/v1/members/{account}/{member}/pardon") => json!({"reason": "taken over"}),
        (_, "/v1/members/tags") => {
            json!("{\"account\":\"demo\",\"member\":\"m-east\",\"tags\":[\"over\"]}\n")
        }
        (_, "/v1/members/identities") => {
            json!("{\"account\":\"demo\",\"member\":\"m-east\",\"identity\":\"p-1\"}\n")
        }
        (_, "/v1/members/values") => json!("{\"account\":\"demo\",\"member\":\"m-east\",\"value\":1}\n"),
        (_, "/v1/tag-rules/{tag_rule}") => json!({"tag": "over", "when": {"silent": {"days": 3}}}),
        (_, "/v1/segments/{segment}") => json!({"title": "taken over", "segment": "all"}),
        (_, "/v1/kicks") => {
            json!({"account": "demo", "members": ["m-1"], "until": "2099-01-01T00:00:00Z", "reason": "over", "confirm": 0})
        }
        (_, "/v1/cases/{case}/decision") => json!({"act": "dismiss", "reason": "taken over"}),
        (_, "/v1/alerts/{alert}/acknowledge") => json!({"note": "taken over"}),
        (_, "/v1/alerts/{alert}/assign") => json!({"to": "taken-over"}),
        (_, "/v1/alert-rules/{alert_rule}") => json!({"where": {"regions": ["west"]}, "threshold": 7}),
        (_, "/v1/appeals") => {
            json!({"account": "demo", "group": "g-east", "event": "e-1", "reason": "taken over"})
        }
        (_, "/v1/evidence/erase") => json!({"account": "demo", "member": "m-1"}),
        (_, "/v1/replays") => json!({"draft": {"wordlist": {"name": "own", "terms": [{"text": "会员日"}]}}}),
        (_, "/v1/wordlists/{wordlist}") => json!({"terms": ["taken over"]}),
        (_, "/v1/wordlists/{wordlist}/life") => json!({"life": "shadow"}),
        (_, "/v1/replies/test") => json!({"account": "demo", "group": "g-none", "text": "几点开门"}),
        (_, "/v1/synonyms/{synonyms}") => json!({"words": ["开门", "营业"]}),
        (_, "/v1/rule-sets/{rule_set}") => json!({"rules": [{"id": "taken", "all": ["over"]}]}),
        (_, "/v1/policies/{policy}") => json!({"wordlists": []}),
        (_, "/v1/replies") => json!("{\"id\":\"taken\",\"keywords\":[\"over\"],\"text\":\"x\"}\n"),
        (_, "/v1/welcomes") => json!("{\"id\":\"taken\",\"text\":\"over\"}\n"),
        (_, "/v1/journeys") => {
            json!("{\"id\":\"taken\",\"steps\":[{\"id\":\"d1\",\"after\":\"1d\",\"text\":\"over\"}]}\n")
        }
        (_, "/v1/replies/{reply}") => json!({"keywords": ["taken"], "text": "over"}),
        (_, "/v1/welcomes/{welcome}") => json!({"text": "taken over"}),
        (_, "/v1/journeys/{journey}") => {
            json!({"steps": [{"id": "d1", "after": "1d", "text": "taken over"}]})
        }
        (_, "/v1/rulesets/{version}/rollback" | "/v1/broadcasts/{broadcast}/recall") => {
            json!({"reason": "taken over"})
        }
        (_, "/v1/broadcasts" | "/v1/broadcasts/{broadcast}") => {
            json!({"text": "taken over", "audience": {"groups": ["demo/g-east"]}})
        }
        (_, "/v1/audiences/{audience}") => json!({"title": "taken over", "audience": {"regions": ["west"]}}),
        (_, "/v1/audiences/{audience}/groups") => {
            json!("{\"account\":\"demo\",\"group\":\"g-west\"}\n")
        }
        (_, "/v1/broadcasts/{broadcast}/forecast") => json!({"limits": ["window:1200/m"]}),
        (_, "/v1/broadcasts/{broadcast}/correct") => json!({"text": "taken over", "reason": "taken over"}),
        (_, "/v1/broadcasts/{broadcast}/test") => json!({"group": "demo/g-east"}),
        (_, "/v1/broadcasts/preview") => json!({"audience": {"regions": ["east"]}}),
        (_, "/v1/notices") => {
            json!({"account": "demo", "to": {"group": "g-east"}, "content": {"type": "text", "text": "taken over"}})
        }
        (_, "/v1/welcome-templates/{template}") => json!({"account": "demo", "text": "taken over"}),
        (_, "/v1/welcome-templates/todo/{account}/{group}") => json!({"standing": "done"}),
        (_, "/v1/welcome-templates/todo/remind") => json!({"account": "demo", "owner": "li"}),
        (_, "/v1/transfers") => {
            json!({"account": "demo", "groups": ["g-east"], "new_owner": "taken over", "old_owner": "left"})
        }
        (_, "/v1/join-ways/{way}") => json!({"account": "demo", "groups": ["g-east"]}),
        (_, "/v1/own-groups/{account}/{id}") => {
            json!({"name": "taken over", "owner": "a", "staff": ["a", "b"]})
        }
        (_, "/v1/dead-letters/replay") => json!({"account": "demo", "group": "g-east"}),
        (_, "/v1/uncertain/{delivery}") => json!({"outcome": "not_sent", "reason": "taken over"}),
        (_, "/v1/endpoints/{endpoint}") => json!({"url": "https://example.com/taken-over"}),
        (_, "/v1/endpoints/{endpoint}/replay") => json!({"after": 0}),
        (_, "/v1/outbound/stop") => json!({"scope": "region:east"}),
        (_, "/v1/backup") => json!({"dir": "/nowhere/to/be/found"}),
        (method, path) => panic!("say here what {method} {path} would take, so that the walk is a real one"),
    }
}

/// Asks with a fresh idempotency key where the route takes JSON.
async fn ask(gateway: &Gateway, token: &str, route: &Route, path: &str) -> Got {
    match (route.method, body(route.method, route.path)) {
        ("POST", body @ Value::Object(_)) => gateway.post_once(token, path, path, body).await,
        (method, body) => gateway.call_as(token, method, path, body).await,
    }
}

/// Two regions, of which the eastern one has one of everything.
async fn furnish(gateway: &Gateway) -> Ids {
    gateway.furnish().await;
    gateway.message("g-east", "m-机密", NOW_MS - 1_000).await;
    gateway.message("g-nowhere", "m-机密", NOW_MS - 1_000).await;
    gateway.message("g-east", "m-east", NOW_MS - 1_000).await;
    gateway.call("PUT", "/v1/members/demo/m-east/tags/%E6%9C%BA%E5%AF%86", Value::Null).await.expect(204);
    let token = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let stop = json!({"scope": "region:east", "reason": "机密"});
    let hold = gateway.call_as(&token, "POST", "/v1/outbound/stop", stop).await.expect(201).json();
    let text = json!({"name": "机密", "text": "机密：今日会员日", "audience": {"regions": ["east"]}});
    let sent = gateway.post_once(&token, "/v1/broadcasts", "k", text).await.expect(202).json();
    let saved = json!({"title": "机密", "audience": {"regions": ["east"]}});
    gateway.call_as(&token, "PUT", "/v1/audiences/au-east", saved).await.expect(201);
    let segment = json!({"title": "机密", "segment": {"regions": ["east"]}});
    gateway.call_as(&token, "PUT", "/v1/segments/se-east", segment).await.expect(201);
    let template = json!({"account": "demo", "text": "欢迎 %NICKNAME%", "plan": {"regions": ["east"]}});
    gateway.call("PUT", "/v1/welcome-templates/t-east", template).await.expect(201);
    let transfer = json!({"account": "demo", "groups": ["g-east"], "new_owner": "机密", "old_owner": "left"});
    let given = gateway.post_once(&token, "/v1/transfers", "t", transfer).await.expect(202).json();
    let way = json!({"account": "demo", "remark": "机密", "groups": ["g-east"]});
    gateway.call_as(&token, "PUT", "/v1/join-ways/w-east", way).await.expect(201);
    let own = json!({"name": "机密", "owner": "a", "staff": ["a", "b"]});
    gateway.call("PUT", "/v1/own-groups/demo/east", own).await.expect(201);
    let notice = json!({"account": "demo", "to": {"group": "g-east"}, "content": {"type": "text", "text": "机密通知"}});
    let told = gateway.post_once(&token, "/v1/notices", "k", notice).await.expect(202).json();
    questions::ask(gateway, "g-east", "e-机密", "几点关门", 1_000).await;
    let alert = alerts::raise(gateway, "g-east", "机密 18", 18).await;
    let rule = json!({"where": {"regions": ["east"]}, "threshold": 9});
    gateway.call_as(&token, "PUT", "/v1/alert-rules/ar-east", rule).await.expect(201);
    let evidence = reviews::keep(gateway, "g-east", "e-1", "机密：今日会员日").await;
    let appeal = json!({"account": "demo", "group": "g-east", "event": "e-1", "reason": "机密"});
    let brought = gateway.post_once(&token, "/v1/appeals", "a", appeal).await.expect(201).json();
    let draft = json!({"draft": {"wordlist": {"name": "own", "terms": [{"text": "会员日"}]}}});
    let tried = gateway.call_as(&token, "POST", "/v1/replays", draft).await.json();
    let endpoint = json!({"name": "机密", "url": "https://example.com/east", "enabled": false});
    gateway.call("PUT", "/v1/endpoints/east-ops", endpoint).await.expect(201);
    let letter = DeliveryRow {
        id: "dlv_east".into(),
        broadcast: String::new(),
        target: 0,
        account: "demo".into(),
        group: "g-east".into(),
        kind: "reply".into(),
        state: DeliveryState::Failed,
        attempts: 5,
        due_ms: 0,
        expires_ms: 0,
        body: "{}".into(),
        code: "http_500".into(),
        detail: SECRET.into(),
        updated_ms: NOW_MS,
        platform_id: String::new(),
        carrier: 0,
    };
    gateway.storage.deliveries_add(vec![letter]).await.unwrap();
    let id = |json: &Value| json["id"].as_str().unwrap().to_owned();
    Ids {
        token: token.split('_').nth(1).unwrap().to_owned(),
        hold: id(&hold),
        broadcast: id(&sent),
        notice: id(&told),
        transfer: id(&given),
        evidence,
        review: brought["review"].as_str().unwrap().to_owned(),
        replay: id(&tried),
        alert,
    }
}

/// Every document that is not the western operator's own. A broadcast's are left to go on by themselves.
async fn documents(gateway: &Gateway) -> Vec<String> {
    let mut all = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| *kind != DocumentKind::Broadcast) {
        let documents = gateway.storage.documents(kind, None, 1_000).await.unwrap();
        all.extend(documents.into_iter().map(|d| format!("{kind:?} {} {} {}", d.id, d.version, d.body)));
    }
    all.retain(|document| !document.contains("op-west"));
    all
}

#[tokio::test]
async fn every_route_with_a_token_of_another_region() {
    let gateway = Gateway::open().await;
    let ids = furnish(&gateway).await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.access.flush_last_used().await.unwrap();
    let before = documents(&gateway).await;

    for route in table() {
        let path = eastern(route.path, &ids);
        assert!(!path.contains('{'), "say in `eastern` what fills {path}");
        let got = ask(&gateway, &western, &route, &path).await;
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

    assert_eq!(before, documents(&gateway).await);
    let broadcast = gateway.get(&format!("/v1/broadcasts/{}", ids.broadcast)).await.expect(200).json();
    assert!(["expanding", "running"].contains(&broadcast["state"].as_str().unwrap()), "{broadcast}");
    let letters = gateway.get("/v1/dead-letters").await.expect(200).json();
    assert_eq!(letters["items"][0]["id"], "dlv_east");
}

#[tokio::test]
async fn what_is_outside_the_scope_is_answered_like_what_does_not_exist() {
    let gateway = Gateway::open().await;
    let ids = furnish(&gateway).await;
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    // Making something under a new id is allowed where it would lie in the own scope; all else must look the same.
    for route in table().into_iter().filter(|route| route.path.contains('{') && route.method != "PUT") {
        let foreign = eastern(route.path, &ids);
        let missing = eastern(route.path, &Ids::none());
        let missing = missing.replace("east", "gone").replace("acme", "gone").replace("demo", "gone");
        let look = async |path| {
            let got = ask(&gateway, &western, &route, path).await;
            let mut body = got.json();
            body.as_object_mut().map(|body| body.remove("trace_id"));
            (got.status, body)
        };
        assert_eq!(look(&foreign).await, look(&missing).await, "{} {foreign}", route.method);
    }
}

#[tokio::test]
async fn every_route_wants_a_token_and_its_right() {
    let gateway = Gateway::open().await;
    let nobody = json!({"name": "n", "rights": [], "scope": {"all": true}});
    gateway.call("PUT", "/v1/operators/nobody", nobody).await.expect(201);
    let made =
        gateway.call("POST", "/v1/tokens", json!({"name": "none", "operator": "nobody"})).await.expect(201);
    let powerless = made.json()["secret"].as_str().unwrap().to_owned();
    for route in table() {
        let path = eastern(route.path, &Ids::none());
        let got = ask(&gateway, "msh_wrong", &route, &path).await;
        assert_eq!(
            (got.status.as_u16(), got.code().as_str()),
            (401, "unauthorized"),
            "{} {path}",
            route.method
        );
        let got = ask(&gateway, &powerless, &route, &path).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (403, "forbidden"), "{} {path}", route.method);
    }
}
