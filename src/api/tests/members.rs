//! Rosters, tags, segments, timelines, erasure.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{
    Effects, EventKey, EventType, Fact, HOUR_MS, Head, HitFact, Level, MemberFact, Role, Status, Verdict,
    partition_of,
};
use crate::storage::{Append, DocumentKind, codec};

/// Something that happened to a member of a group of an account, so many hours ago.
async fn happened(gateway: &Gateway, of: (&str, &str, &str), hours_ago: i64, facts: Vec<Fact<'_>>) {
    let (account, group, member) = of;
    let at_ms = NOW_MS - hours_ago * HOUR_MS;
    let what = match facts.first() {
        Some(Fact::Member(fact)) if fact.joined => EventType::MemberJoined,
        Some(Fact::Member(_)) => EventType::MemberLeft,
        _ => EventType::Message,
    };
    let id = format!("{group}-{member}-{at_ms}-{what:?}");
    let head = Head {
        key: EventKey::of(&gateway.storage.dedupe_secret(), account, group, &id),
        at_ms,
        arrived_ms: at_ms,
        account: account.into(),
        group: group.into(),
        member: Some(member.into()),
        name: Some(format!("名{member}").into()),
        role: Role::Customer,
        what,
        status: Status::Counted,
        verdict: Verdict::Pass,
        revised: false,
        fingerprint: None,
    };
    let mut payload = Vec::new();
    codec::encode(&Effects { head, facts }, &mut payload);
    let bucket = u32::try_from(at_ms / HOUR_MS).unwrap();
    let append = Append {
        partition: partition_of(account, group),
        epoch: gateway.epoch,
        payload: &payload,
        events: 1,
        bucket_min: bucket,
        bucket_max: bucket,
    };
    gateway.storage.append(append).unwrap().wait().await.unwrap();
    gateway.directory.see(account, group);
}

async fn joined(gateway: &Gateway, group: &str, member: &str, hours_ago: i64) {
    happened(gateway, ("demo", group, member), hours_ago, vec![moved(true)]).await;
}

async fn spoke(gateway: &Gateway, group: &str, member: &str, hours_ago: i64) {
    happened(gateway, ("demo", group, member), hours_ago, Vec::new()).await;
}

fn moved(joined: bool) -> Fact<'static> {
    Fact::Member(MemberFact {
        joined,
        inviter: joined.then(|| "li".into()),
        scene: joined.then(|| "scan".into()),
        channel: joined.then(|| "poster".into()),
        reason: None,
        union_id: None,
        inferred: false,
    })
}

fn asked_for_price() -> Fact<'static> {
    Fact::Hit(HitFact {
        wordlist: "prices".into(),
        term: 7,
        category: "price".into(),
        level: Level::High,
        span: (0, 9),
        via: Vec::new(),
    })
}

fn ids(got: &Value) -> Vec<String> {
    let items = got["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|row| row["member"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_roster_tells_how_members_came_what_they_did_and_when_they_left() {
    let gateway = Gateway::open().await;
    for member in ["m-1", "m-2", "m-3"] {
        joined(&gateway, "g-1", member, 20 * 24).await;
    }
    happened(&gateway, ("demo", "g-1", "m-1"), 30, vec![asked_for_price()]).await;
    spoke(&gateway, "g-1", "m-1", 2).await;
    happened(&gateway, ("demo", "g-1", "m-3"), 5, vec![moved(false)]).await;
    gateway.call("PUT", "/v1/members/demo/m-2/tags/vip", Value::Null).await.expect(204);
    let all = gateway.get("/v1/groups/demo/g-1/members").await.expect(200).json();
    let first = &all["items"][0];
    assert_eq!(
        (&first["scene"], &first["inviter"], &first["channel"], &first["hits"], &first["messages"]),
        (&json!("scan"), &json!("li"), &json!("poster"), &json!(1), &json!(2))
    );
    assert_eq!(first["last_spoke_at"], "2026-11-22T00:00:00Z");
    assert_eq!(all["items"][2]["left_at"], "2026-11-21T21:00:00Z");
    for (query, expect) in [
        ("present=true", vec!["m-1", "m-2"]),
        ("present=false", vec!["m-3"]),
        ("tag=vip", vec!["m-2"]),
        ("silent_days=14", vec!["m-2"]),
        ("role=staff", vec![]),
        ("role=customer&limit=1", vec!["m-1"]),
    ] {
        let got = gateway.get(&format!("/v1/groups/demo/g-1/members?{query}")).await.expect(200).json();
        assert_eq!(ids(&got), expect, "{query}");
    }
    gateway.get("/v1/groups/demo/g-1/members?silent_days=91").await.expect(400);
    let sheet = gateway.get("/v1/groups/demo/g-1/members/export?tag=vip").await.expect(200);
    assert_eq!(sheet.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(sheet.text.lines().count(), 2);
    assert!(
        sheet.text.contains("m-2,名m-2,customer,true,2026-11-02T02:00:00Z,scan,poster,li,"),
        "{}",
        sheet.text
    );
    let rest = gateway.get("/v1/groups/demo/g-1/members/export?after=m-2").await.expect(200).text;
    assert!(rest.starts_with("m-3,") && rest.lines().count() == 1, "{rest}");
    let lines =
        gateway.get("/v1/groups/demo/g-1/members/export?format=ndjson&pseudonyms=true").await.expect(200);
    assert_eq!(lines.text.lines().count(), 3);
    assert!(!lines.text.contains("m-1") && !lines.text.contains("名"), "{}", lines.text);
}

#[tokio::test]
async fn tags_come_by_hand_and_by_import_and_only_on_members_of_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    spoke(&gateway, "g-east", "m-e", 1).await;
    spoke(&gateway, "g-west", "m-w", 1).await;
    gateway.call("PUT", "/v1/members/demo/nobody/tags/vip", Value::Null).await.expect(404);
    gateway.call("PUT", "/v1/members/demo/m-e/tags/a%20b", Value::Null).await.expect(422);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    gateway.call_as(&western, "PUT", "/v1/members/demo/m-e/tags/vip", Value::Null).await.expect(404);
    gateway.call_as(&western, "PUT", "/v1/members/demo/m-w/tags/vip", Value::Null).await.expect(204);
    let lines = "{\"account\":\"demo\",\"member\":\"m-e\",\"tags\":[\"x\"]}\n\
                 {\"account\":\"demo\",\"member\":\"m-w\",\"tags\":[\"x\"]}\n\
                 {\"account\":\"demo\",\"member\":\"m-w\",\"tags\":[\"\"]}\n";
    let got = gateway.call_as(&western, "POST", "/v1/members/tags", json!(lines)).await.expect(200);
    let status: Vec<Value> =
        got.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone()).collect();
    assert_eq!(status, ["error", "updated", "error"]);
    let shown = gateway.get("/v1/members/demo/m-w").await.expect(200).json();
    assert_eq!(shown["tags"], json!(["vip", "x"]));
    gateway.call_as(&western, "GET", "/v1/members/demo/m-e", Value::Null).await.expect(404);
    let sheet = "account,member,tags\r\ndemo,m-w,neu；alt\r\ndemo,not-seen-yet,soon\r\n";
    let got = gateway.csv("POST", "/v1/members/tags?mode=replace", sheet).await.expect(200);
    assert!(got.text.contains("\"created\""), "{}", got.text);
    let shown = gateway.get("/v1/members/demo/m-w").await.expect(200).json();
    assert_eq!(shown["tags"], json!(["alt", "neu"]));
    gateway.call("DELETE", "/v1/members/demo/m-w/tags/alt", Value::Null).await.expect(204);
    gateway.call("DELETE", "/v1/members/demo/m-w/tags/neu", Value::Null).await.expect(204);
    let marks = gateway.storage.documents(DocumentKind::MemberMark, None, 10).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.id.as_str()).collect::<Vec<_>>(), ["demo/not-seen-yet"]);
    let audit = gateway.get("/v1/audit").await.expect(200).text;
    assert!(audit.contains("untag") && audit.contains("member_tags"), "{audit}");
}

#[tokio::test]
async fn tags_by_rule_follow_what_happens_and_are_not_guessed_where_nothing_is_seen() {
    let gateway = Gateway::open().await;
    let account = json!({"platform": "sandbox", "name": "看不到消息"});
    gateway.call("PUT", "/v1/accounts/blind", account).await.expect(201);
    happened(&gateway, ("blind", "g-b", "m-1"), 20 * 24, vec![moved(true)]).await;
    joined(&gateway, "g-1", "m-1", 20 * 24).await;
    joined(&gateway, "g-1", "m-2", 20 * 24).await;
    for (id, rule) in [
        ("talk", json!({"tag": "talkative", "when": {"spoke": {"days_min": 3, "within_days": 14}}})),
        ("quiet", json!({"tag": "never-spoke", "when": {"silent_after_joining": {"days": 14}}})),
        (
            "price",
            json!({"tag": "asks-prices", "when": {"said": {"categories": ["price"], "within_days": 30}}}),
        ),
    ] {
        gateway.call("PUT", &format!("/v1/tag-rules/{id}"), rule).await.expect(201);
    }
    let tags = async |account: &str, member: &str| {
        let got = gateway.get(&format!("/v1/members/{account}/{member}")).await.expect(200).json();
        (got["groups"][0]["rule_tags"].clone(), got["groups"][0]["rule_tags_unknown"].clone())
    };
    assert_eq!(tags("demo", "m-1").await, (json!(["never-spoke"]), json!([])));
    for day in [0, 3, 5] {
        spoke(&gateway, "g-1", "m-1", day * 24 + 1).await;
    }
    happened(&gateway, ("demo", "g-1", "m-2"), 2, vec![asked_for_price()]).await;
    assert_eq!(tags("demo", "m-1").await, (json!(["never-spoke", "talkative"]), json!([])));
    assert_eq!(tags("demo", "m-2").await, (json!(["asks-prices", "never-spoke"]), json!([])));
    let unknown = json!(["asks-prices", "never-spoke", "talkative"]);
    assert_eq!(tags("blind", "m-1").await, (json!([]), unknown));
    let people = &gateway.app.parts().people;
    assert_eq!(people.changed().unwrap(), [], "all that changed was made anew by whoever asked");
    spoke(&gateway, "g-1", "m-2", 0).await;
    assert_eq!(
        people.changed().unwrap(),
        [("demo".to_owned(), "g-1".to_owned())],
        "and only that group is looked at"
    );
    let rule = gateway.get("/v1/tag-rules/price").await.expect(200).json();
    assert_eq!((&rule["rests_on"], &rule["coverage"]["coverage"]), (&json!("text"), &json!("partial")));
    gateway.clock.advance(std::time::Duration::from_hours(24 * 10));
    assert_eq!(tags("demo", "m-1").await.0, json!(["never-spoke"]), "three days are too long ago");
    gateway.call("DELETE", "/v1/tag-rules/quiet", Value::Null).await.expect(204);
    assert_eq!(tags("demo", "m-1").await.0, json!([]));
    let wrong = json!({"tag": "x", "when": {"silent": {"days": 0}}});
    let refused = gateway.call("PUT", "/v1/tag-rules/x", wrong).await.expect(422);
    assert_eq!(refused.pointers(), ["/when/silent/days"]);
}

#[tokio::test]
async fn a_segment_is_counted_listed_and_exported_within_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (group, member) in [("g-east", "m-1"), ("g-east", "m-2"), ("g-west", "m-1"), ("g-west", "m-3")] {
        joined(&gateway, group, member, 30 * 24).await;
    }
    spoke(&gateway, "g-east", "m-2", 3).await;
    gateway.call("PUT", "/v1/members/demo/m-1/tags/vip", Value::Null).await.expect(204);
    let silent =
        json!({"title": "沉默", "segment": {"every": [{"silent_days": 14}, {"joined_days": {"min": 20}}]}});
    gateway.call("PUT", "/v1/segments/silent", silent.clone()).await.expect(201);
    gateway.call("PUT", "/v1/segments/vip", json!({"segment": {"tags": ["vip"]}})).await.expect(201);
    let numbers = gateway.get("/v1/segments/silent/numbers").await.expect(200).json();
    assert_eq!(
        (&numbers["members"], &numbers["people"], &numbers["groups"], &numbers["unknown"]),
        (&json!(3), &json!(2), &json!(2), &json!(0))
    );
    let page = gateway.get("/v1/segments/silent/members?limit=2").await.expect(200).json();
    assert_eq!(ids(&page), ["m-1", "m-1"]);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("/v1/segments/silent/members?cursor={next}")).await.expect(200).json();
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["m-3".to_owned()], &Value::Null));
    let sheet = gateway.get("/v1/segments/vip/members/export").await.expect(200).text;
    assert_eq!(sheet.lines().count(), 3, "{sheet}");
    let last = "after_account=demo&after_group=g-east&after_member=m-1";
    let rest = gateway.get(&format!("/v1/segments/vip/members/export?{last}")).await.expect(200).text;
    assert!(rest.starts_with("demo,g-west,m-1,") && rest.lines().count() == 1, "{rest}");
    gateway.get("/v1/segments/vip/members/export?after_account=demo").await.expect(400);
    gateway.get(&format!("/v1/segments/vip/members/export?pseudonyms=true&{last}")).await.expect(400);
    let lines =
        gateway.get("/v1/segments/vip/members/export?format=ndjson&pseudonyms=true").await.expect(200).text;
    let names: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["member"].clone()).collect();
    assert!(
        names.len() == 2 && names[0] == names[1] && names[0].as_str().unwrap().starts_with("p_"),
        "{lines}"
    );

    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let own = json!({"segment": {"silent_days": 14}});
    gateway.call_as(&western, "PUT", "/v1/segments/silent", own.clone()).await.expect(404);
    gateway.call_as(&western, "PUT", "/v1/segments/west", own).await.expect(201);
    let seen =
        gateway.call_as(&western, "GET", "/v1/segments/west/members", Value::Null).await.expect(200).json();
    assert_eq!(ids(&seen), ["m-1", "m-3"]);
    let beyond = json!({"segment": {"regions": ["east"]}});
    let refused = gateway.call_as(&western, "PUT", "/v1/segments/w2", beyond).await.expect(422);
    assert_eq!(refused.pointers(), ["/segment"]);
    let listed = gateway.call_as(&western, "GET", "/v1/segments", Value::Null).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_audience_may_ask_for_groups_with_enough_members_of_a_segment() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for (group, member) in [("g-east", "m-1"), ("g-east", "m-2"), ("g-west", "m-3")] {
        joined(&gateway, group, member, 30 * 24).await;
    }
    gateway.call("PUT", "/v1/segments/silent", json!({"segment": {"silent_days": 14}})).await.expect(201);
    let reached = async |min: u64| {
        let audience = json!({"segment": {"id": "silent", "members_min": min}});
        let asked = json!({"audience": audience, "text": "今日会员日"});
        let got = gateway.call("POST", "/v1/broadcasts/preview", asked).await.expect(200).json();
        got["groups"].clone()
    };
    assert_eq!((reached(1).await, reached(2).await), (json!(2), json!(1)));
    let unknown = json!({"title": "x", "audience": {"segment": {"id": "nothing"}}});
    let refused = gateway.call("PUT", "/v1/audiences/x", unknown).await.expect(422);
    assert!(refused.text.contains("no such segment"), "{}", refused.text);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let foreign = json!({"title": "x", "audience": {"segment": {"id": "silent"}}});
    gateway.call_as(&western, "PUT", "/v1/audiences/x", foreign).await.expect(422);
}

#[tokio::test]
async fn scores_are_fifths_and_values_complete_them() {
    let gateway = Gateway::open().await;
    for nth in 0..5 {
        let member = format!("m-{nth}");
        joined(&gateway, "g-1", &member, 40 * 24).await;
        for day in 0..nth {
            spoke(&gateway, "g-1", &member, (5 - nth) * 24 + day * 24 + 1).await;
        }
    }
    let sheet = "account,member,value\ndemo,m-0,10.5\ndemo,m-1,99\ndemo,m-2,x\n";
    let got = gateway.csv("POST", "/v1/members/values", sheet).await.expect(200).text;
    assert_eq!(got.matches("\"created\"").count(), 2, "{got}");
    gateway.call("PUT", "/v1/segments/all", json!({"segment": "all"})).await.expect(201);
    let got = gateway.get("/v1/segments/all/members?scores=true").await.expect(200).json();
    let scores = |name: &str| -> Vec<Value> {
        got["items"].as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(scores("recency"), [1, 2, 3, 4, 5]);
    assert_eq!(scores("frequency"), [1, 2, 3, 4, 5]);
    assert_eq!(scores("monetary"), [json!(1), json!(3), Value::Null, Value::Null, Value::Null]);
    let best = json!({"segment": {"every": [{"recency": {"min": 4}}, {"frequency": {"min": 5}}]}});
    gateway.call("PUT", "/v1/segments/best", best).await.expect(201);
    let got = gateway.get("/v1/segments/best/members").await.expect(200).json();
    assert_eq!(ids(&got), ["m-4"]);
    assert_eq!(gateway.get("/v1/members/demo/m-0").await.expect(200).json()["value"], 10.5);
}

#[tokio::test]
async fn people_in_several_groups_of_a_shop_are_found() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    for group in ["g-e2", "g-e3"] {
        gateway.call("PUT", &format!("/v1/groups/demo/{group}"), json!({"shop": "s-east"})).await.expect(201);
    }
    for (group, member) in [
        ("g-east", "m-1"),
        ("g-e2", "m-1"),
        ("g-e3", "m-2"),
        ("g-e2", "m-2"),
        ("g-east", "m-3"),
        ("g-west", "m-3"),
    ] {
        joined(&gateway, group, member, 24).await;
    }
    let first = gateway.get("/v1/members/duplicates?limit=1").await.expect(200).json();
    assert_eq!(first["items"][0]["of"], "s-east");
    let groups = |row: &Value| -> Vec<Value> {
        row["groups"].as_array().unwrap().iter().map(|group| group["group"].clone()).collect()
    };
    assert_eq!(groups(&first["items"][0]), ["g-e2", "g-east"]);
    let next = first["next_cursor"].as_str().unwrap();
    let second = gateway.get(&format!("/v1/members/duplicates?cursor={next}")).await.expect(200).json();
    assert_eq!(groups(&second["items"][0]), ["g-e2", "g-e3"]);
    assert_eq!(second["next_cursor"], Value::Null);
    let brand = gateway.get("/v1/members/duplicates?within=brand").await.expect(200).json();
    assert_eq!(brand["items"].as_array().unwrap().len(), 3);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let path = "/v1/members/duplicates?within=brand";
    let own = gateway.call_as(&western, "GET", path, Value::Null).await.expect(200).json();
    assert_eq!(own["items"], json!([]));
}

#[tokio::test]
async fn a_timeline_goes_back_over_the_groups_of_the_scope() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    joined(&gateway, "g-east", "m-1", 100).await;
    joined(&gateway, "g-west", "m-1", 90).await;
    happened(&gateway, ("demo", "g-west", "m-1"), 50, vec![asked_for_price()]).await;
    happened(&gateway, ("demo", "g-west", "m-1"), 2, vec![moved(false)]).await;
    spoke(&gateway, "g-west", "m-2", 1).await;
    let what = |got: &Value| -> Vec<String> {
        let items = got["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| format!("{}@{}", item["what"].as_str().unwrap(), item["group"].as_str().unwrap()))
            .collect()
    };
    let first = gateway.get("/v1/members/demo/m-1/timeline?limit=3").await.expect(200).json();
    assert_eq!(what(&first), ["left@g-west", "spoke@g-west", "hit@g-west"]);
    let next = first["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("/v1/members/demo/m-1/timeline?cursor={next}")).await.expect(200).json();
    assert_eq!(what(&rest), ["joined@g-west", "joined@g-east"]);
    let eastern = gateway.token_for("op-e", json!({"regions": ["east"]})).await;
    let path = "/v1/members/demo/m-1/timeline";
    let own = gateway.call_as(&eastern, "GET", path, Value::Null).await.expect(200).json();
    assert_eq!(what(&own), ["joined@g-east"]);
    gateway.call_as(&eastern, "GET", "/v1/members/demo/m-2/timeline", Value::Null).await.expect(404);
}

#[tokio::test]
async fn erasing_somebody_changes_no_figure() {
    let gateway = Gateway::open().await;
    for member in ["m-1", "m-2"] {
        joined(&gateway, "g-1", member, 60).await;
        spoke(&gateway, "g-1", member, 30).await;
    }
    gateway.call("PUT", "/v1/members/demo/m-1/tags/vip", Value::Null).await.expect(204);
    gateway.csv("POST", "/v1/members/values", "account,member,value\ndemo,m-1,7\n").await.expect(200);
    let figures = async || {
        let group =
            gateway.get("/v1/groups/demo/g-1/statistics?by=day&from=2026-11-15").await.expect(200).json();
        let all = gateway.get("/v1/statistics?from=2026-11-15").await.expect(200).json();
        (group["rows"].clone(), group["totals"].clone(), all["totals"].clone())
    };
    let before = figures().await;
    let erased = gateway.call("DELETE", "/v1/members/demo/m-1", Value::Null).await.expect(200).json();
    assert_eq!(erased, json!({"texts": 0, "names": 1, "tags": 1, "value": true}));
    assert_eq!(figures().await, before);
    let shown = gateway.get("/v1/members/demo/m-1").await.expect(200).json();
    assert_eq!((&shown["name"], &shown["tags"], &shown["value"]), (&Value::Null, &json!([]), &Value::Null));
    let stored = gateway.storage.member("demo", "g-1", "m-1").unwrap().unwrap();
    assert_eq!((stored.name, stored.messages), (None, 1));
    spoke(&gateway, "g-1", "m-1", 1).await;
    let roster = gateway.get("/v1/groups/demo/g-1/members").await.expect(200).json();
    assert_eq!((&roster["items"][0]["name"], &roster["items"][1]["name"]), (&Value::Null, &json!("名m-2")));
    let audit = gateway.get("/v1/audit?object=member").await.expect(200).text;
    assert!(audit.contains("\"erase\""), "{audit}");
    gateway.call("DELETE", "/v1/members/demo/nobody", Value::Null).await.expect(404);
}

/// A small generator: the test is the same every time.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

#[tokio::test]
async fn tags_by_rule_are_what_raw_events_give_whoever_asked_in_between() {
    let gateway = Gateway::open().await;
    let talks = json!({"tag": "talkative", "when": {"spoke": {"days_min": 3, "within_days": 14}}});
    gateway.call("PUT", "/v1/tag-rules/talk", talks).await.expect(201);
    let silent = json!({"tag": "slow", "when": {"silent_after_joining": {"days": 5}}});
    gateway.call("PUT", "/v1/tag-rules/slow", silent).await.expect(201);
    let (mut seed, mut said) = (7, std::collections::BTreeSet::new());
    let mut came = std::collections::BTreeMap::new();
    for group in 0..3 {
        for member in 0..4 {
            let hours_ago = 24 * 3 + draw(&mut seed, 24 * 30).cast_signed();
            joined(&gateway, &format!("g-{group}"), &format!("m-{member}"), hours_ago).await;
            came.insert((group, member), hours_ago);
        }
    }
    // Hours since the epoch, in the groups' zone: days are cut at its midnight.
    let day = |hours_ago: i64| (NOW_MS / HOUR_MS + 8 - hours_ago).div_euclid(24);
    for turn in 0..90 {
        let (group, member) = (draw(&mut seed, 3), draw(&mut seed, 4));
        let hours_ago = draw(&mut seed, 24 * 20).cast_signed();
        spoke(&gateway, &format!("g-{group}"), &format!("m-{member}"), hours_ago).await;
        said.insert((group, member, day(hours_ago)));
        if turn % 10 != 0 {
            continue;
        }
        for ((group, member), came) in &came {
            let days = || said.iter().filter(|(g, m, _)| (g, m) == (group, member)).map(|(.., day)| *day);
            let talks = days().filter(|spoken| *spoken > day(0) - 14).count() >= 3;
            let first = day(*came);
            let slow = day(0) - first >= 5 && !days().any(|spoken| (first..first + 5).contains(&spoken));
            let expect: Vec<&str> = [(slow, "slow"), (talks, "talkative")]
                .into_iter()
                .filter_map(|(is, tag)| is.then_some(tag))
                .collect();
            let got = gateway.get(&format!("/v1/members/demo/m-{member}")).await.expect(200).json();
            let seat =
                got["groups"].as_array().unwrap().iter().find(|row| row["group"] == format!("g-{group}"));
            assert_eq!(seat.unwrap()["rule_tags"], json!(expect), "g-{group} m-{member} in turn {turn}");
        }
    }
}

#[tokio::test]
async fn a_person_of_several_accounts_is_counted_once_when_somebody_says_so() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.call("PUT", "/v1/accounts/web", json!({"platform": "sandbox"})).await.expect(201);
    gateway.call("PUT", "/v1/groups/web/w-1", json!({"shop": "s-east"})).await.expect(201);
    happened(&gateway, ("demo", "g-east", "m-1"), 24, vec![moved(true)]).await;
    happened(&gateway, ("web", "w-1", "x-1"), 20, vec![moved(true)]).await;
    happened(&gateway, ("web", "w-1", "x-2"), 20, vec![moved(true)]).await;
    let people = async || {
        let got = gateway.get("/v1/statistics/people").await.expect(200).json();
        (got["people"].clone(), got["new_people"].clone(), got["members"].clone())
    };
    assert_eq!(people().await, (json!(3), json!(3), json!(3)));
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let line = |account: &str, member: &str, identity: &str| {
        json!({"account": account, "member": member, "identity": identity}).to_string() + "\n"
    };
    let lines = line("demo", "m-1", "crm-7") + &line("web", "x-1", "crm-7") + &line("web", "x-2", "");
    let path = "/v1/members/identities";
    let refused = gateway.call_as(&western, "POST", path, json!(lines.clone())).await.expect(200).text;
    assert!(!refused.contains("created"), "not theirs to say: {refused}");
    let got = gateway.call("POST", path, json!(lines)).await.expect(200);
    let status = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone()).collect()
    };
    assert_eq!(status(&got.text), ["created", "created", "error"]);
    assert_eq!(people().await, (json!(2), json!(2), json!(3)));
    let other = gateway.call("POST", path, json!(line("web", "x-1", "crm-8"))).await.expect(200).text;
    assert!(other.contains("先到的为准"), "{other}");
    assert_eq!(gateway.get("/v1/members/web/x-1").await.expect(200).json()["identity"], "crm-7");
    let twice = gateway.get("/v1/members/duplicates").await.expect(200).json();
    let groups = twice["items"][0]["groups"].as_array().unwrap().clone();
    let names: Vec<&Value> = groups.iter().map(|group| &group["account"]).collect();
    assert_eq!((names, twice["items"].as_array().unwrap().len()), (vec![&json!("demo"), &json!("web")], 1));
    gateway.call("PUT", "/v1/segments/all", json!({"segment": "all"})).await.expect(201);
    let numbers = gateway.get("/v1/segments/all/numbers").await.expect(200).json();
    assert_eq!((&numbers["members"], &numbers["people"]), (&json!(3), &json!(2)));
}
