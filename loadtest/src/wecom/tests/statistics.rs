//! Statistics as the platform sums them.

use super::*;

const BY_OWNER: &str = "externalcontact/groupchat/statistic";
const BY_DAY: &str = "externalcontact/groupchat/statistic_group_by_day";
const DAY_S: u64 = 86_400;

#[tokio::test]
async fn only_past_days_within_the_platforms_memory_can_be_asked_for() {
    let sim = small().await;
    let at = |days: u64| START_S - days * DAY_S;
    for (begin, end, expected) in [
        (at(0), None, 600_018),
        (at(1), None, 0),
        (at(1), Some(at(0)), 600_018),
        (at(30), Some(at(1)), 0),
        (at(31), Some(at(1)), 600_018),
        (at(2), Some(at(3)), 600_018),
        (at(180), None, 0),
        (at(181), None, 600_018),
    ] {
        for api in [BY_OWNER, BY_DAY] {
            let body = json!({"day_begin_time": begin, "day_end_time": end});
            assert_eq!(code(&post(&sim, api, body).await), expected, "{api} {begin} {end:?}");
        }
    }
}

#[tokio::test]
async fn days_follow_from_what_people_did() {
    let sim = start(SimConfig {
        population: Population { owners: 2, ..Population::default() },
        ..SimConfig::default()
    })
    .await;
    let act = |value: Value| {
        let act: Act = serde_json::from_value(value).expect("an act");
        sim.act(act).expect("possible")
    };
    let next_day = || sim.with(|world| world.clock.advance(Duration::from_secs(DAY_S)));
    let group = act(json!({"act": "create_group", "owner": "owner00000", "name": "G", "newcomers": 3}));
    let chat_id = group.chat_id.expect("an id");
    act(json!({"act": "message", "chat_id": chat_id, "from": group.members[0]}));
    next_day();
    act(json!({"act": "join", "chat_id": chat_id, "newcomers": 2, "scene": 3}));
    act(json!({"act": "leave", "chat_id": chat_id, "members": [group.members[1]]}));
    act(json!({"act": "message", "chat_id": chat_id, "from": group.members[0]}));
    act(json!({"act": "message", "chat_id": chat_id, "from": "owner00000"}));
    act(json!({"act": "create_group", "owner": "owner00001"}));
    next_day();
    act(json!({"act": "dismiss", "chat_id": chat_id}));
    next_day();
    let body = json!({"day_begin_time": START_S, "day_end_time": START_S + 2 * DAY_S});
    let items = post(&sim, BY_DAY, body.clone()).await["items"].clone();
    let day = |at: usize| {
        let data = &items[at]["data"];
        let fields = ["new_chat_cnt", "chat_total", "chat_has_msg", "new_member_cnt", "member_total"];
        let more = ["member_has_msg", "msg_total"];
        fields.iter().chain(&more).map(|field| data[field].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(day(0), [1, 1, 1, 4, 4, 1, 1]);
    assert_eq!(day(1), [1, 2, 1, 3, 6, 2, 3]);
    assert_eq!(day(2), [0, 1, 1, 0, 1, 2, 3]);
    assert_eq!(items[0]["stat_time"], json!(START_S - 8 * 3_600), "midnight in China");
    let owners = post(&sim, BY_OWNER, body).await;
    let pairs: Vec<_> =
        owners["items"].as_array().expect("items").iter().map(|item| text(&item["owner"])).collect();
    assert_eq!(pairs, ["owner00000", "owner00001"]);
    assert_eq!(owners["items"][0]["data"]["new_member_cnt"], json!(6));
}

#[tokio::test]
async fn owners_are_ordered_and_paged() {
    let sim = small().await;
    let owner = "owner00002".to_owned();
    sim.act(Act::CreateGroup { owner, name: String::new(), members: vec![], newcomers: 9 })
        .expect("a member");
    sim.with(|world| world.clock.advance(Duration::from_secs(DAY_S)));
    let ask = async |more: Value| {
        let mut body = json!({"day_begin_time": START_S});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let page = post(&sim, BY_OWNER, body).await;
        let owners = page["items"]
            .as_array()
            .map(|items| items.iter().map(|item| text(&item["owner"])).collect::<Vec<_>>());
        (owners.unwrap_or_default(), page["next_offset"].clone(), page["total"].clone(), code(&page))
    };
    let (owners, next, total, _) = ask(json!({"limit": 2})).await;
    assert_eq!((owners[0].as_str(), next, total), ("owner00002", json!(2), json!(3)));
    let (owners, next, _, _) = ask(json!({"limit": 2, "offset": 2})).await;
    assert_eq!((owners.len(), next), (1, json!(3)));
    for order_by in 1..=4 {
        let (owners, ..) = ask(json!({"order_by": order_by, "order_asc": 1})).await;
        assert_eq!(owners[2], "owner00002", "{order_by}");
    }
    for bad in [json!({"limit": 0}), json!({"limit": 1_001}), json!({"order_by": 5}), json!({"order_asc": 2})]
    {
        assert_eq!(ask(bad.clone()).await.3, 40_058, "{bad}");
    }
}
