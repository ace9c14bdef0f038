//! What apps read of groups, contacts and members.

use super::*;

const LIST: &str = "externalcontact/groupchat/list";
const GET: &str = "externalcontact/groupchat/get";

#[tokio::test]
async fn groups_are_listed_in_pages_until_the_cursor_ends() {
    let sim = small().await;
    let (mut cursor, mut ids, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page = post(&sim, LIST, json!({"limit": 4, "cursor": cursor})).await;
        let groups = page["group_chat_list"].as_array().unwrap_or_else(|| panic!("{page}"));
        ids.extend(groups.iter().map(|group| text(&group["chat_id"])));
        pages += 1;
        match page.get("next_cursor") {
            Some(next) => cursor = text(next),
            None => break,
        }
    }
    let expected: Vec<String> = (0..6).map(|number| chat(&sim, number)).collect();
    assert_eq!((ids, pages), (expected, 2));
}

#[tokio::test]
async fn lists_keep_to_their_limits_and_filters() {
    let sim = small().await;
    let owners = |count: usize| json!({"userid_list": vec!["owner00001"; count]});
    for (body, expected) in [
        (json!({}), 40_058),
        (json!({"limit": 0}), 40_058),
        (json!({"limit": 1_001}), 40_058),
        (json!({"limit": 1, "status_filter": 4}), 40_058),
        (json!({"limit": 1, "cursor": "!"}), 50_100),
        (json!({"limit": 1, "owner_filter": owners(101)}), 40_032),
        (json!({"limit": 1, "owner_filter": {"userid_list": ["nobody"]}}), 60_111),
        (json!({"limit": 1_000, "owner_filter": owners(100)}), 0),
    ] {
        assert_eq!(code(&post(&sim, LIST, body.clone()).await), expected, "{body}");
    }
    let count = async |body: Value| post(&sim, LIST, body).await["group_chat_list"].as_array().map(Vec::len);
    assert_eq!(count(json!({"limit": 9, "owner_filter": owners(1)})).await, Some(2));
    sim.act(Act::OwnerLeaves { userid: "owner00001".to_owned() }).expect("a member");
    assert_eq!(count(json!({"limit": 9, "status_filter": 1})).await, Some(2));
    assert_eq!(count(json!({"limit": 9, "status_filter": 2})).await, Some(0));
    let owner = "owner00002".to_owned();
    sim.act(Act::ChangeOwner { chat_id: chat(&sim, 1), owner }).expect("a group");
    assert_eq!(count(json!({"limit": 9, "status_filter": 3})).await, Some(1));
    sim.act(Act::Dismiss { chat_id: chat(&sim, 0) }).expect("a group");
    assert_eq!(count(json!({"limit": 9})).await, Some(5));
}

#[tokio::test]
async fn more_than_a_thousand_visible_members_need_an_owner_filter() {
    let population = Population { owners: 1_001, groups: 1_001, ..Population::default() };
    let sim = start(SimConfig { population, ..SimConfig::default() }).await;
    assert_eq!(code(&post(&sim, LIST, json!({"limit": 1})).await), 81_017);
    let filter = json!({"userid_list": ["owner00007"]});
    assert_eq!(code(&post(&sim, LIST, json!({"limit": 1, "owner_filter": filter})).await), 0);
    sim.with(|world| world.apps[0].config.visible_departments = vec![2]);
    let page = post(&sim, LIST, json!({"limit": 1_000})).await;
    assert_eq!(page["group_chat_list"].as_array().map(Vec::len), Some(500), "{}", page["errmsg"]);
    assert_eq!(code(&post(&sim, GET, json!({"chat_id": chat(&sim, 700)})).await), 60_011);
}

#[tokio::test]
async fn a_group_is_shown_with_everything_that_is_known_of_its_members() {
    let sim = small().await;
    let chat_id = chat(&sim, 1);
    let (scene, state) = (3, "poster-7".to_owned());
    let join =
        Act::Join { chat_id: chat_id.clone(), members: vec![], newcomers: 1, scene, inviter: None, state };
    let joined = sim.act(join).expect("a group").members;
    let admins = vec!["owner00002".to_owned()];
    sim.act(Act::SetAdmins { chat_id: chat_id.clone(), admins }).expect("a group");
    let group = post(&sim, GET, json!({"chat_id": chat_id, "need_name": 1})).await["group_chat"].clone();
    assert_eq!(
        (text(&group["owner"]), group["admin_list"].clone()),
        ("owner00001".to_owned(), json!([{"userid": "owner00002"}]))
    );
    let members = group["member_list"].as_array().expect("members");
    assert_eq!((members.len(), &members[0]["type"]), (12, &json!(1)));
    assert_eq!(members[0].get("unionid"), None);
    let last = &members[11];
    assert_eq!(last["userid"], json!(joined[0]));
    assert_eq!(
        (&last["type"], &last["join_scene"], &last["state"]),
        (&json!(2), &json!(3), &json!("poster-7"))
    );
    assert_eq!((&last["join_time"], last.get("invitor")), (&json!(START_S), None));
    assert!(text(&last["unionid"]).starts_with('o') && !text(&last["name"]).is_empty());
    assert_eq!(members[1]["invitor"], json!({"userid": "owner00001"}));
    let nameless = post(&sim, GET, json!({"chat_id": chat_id})).await["group_chat"]["member_list"][0].clone();
    assert_eq!(nameless.get("name"), None);
}

#[tokio::test]
async fn chats_that_cannot_be_shown_say_why() {
    let sim = small().await;
    sim.act(Act::Dismiss { chat_id: chat(&sim, 0) }).expect("a group");
    sim.with(|world| world.other_chats.insert("wrInternal".to_owned()));
    let gone = chat(&sim, 0);
    for (chat_id, expected) in [("wrMadeUp", 40_050), ("wrInternal", 90_501), (&*gone, 49_008)] {
        assert_eq!(code(&post(&sim, GET, json!({"chat_id": chat_id})).await), expected);
    }
    sim.with(|world| world.config.unknown_chat_errcode = 86_003);
    assert_eq!(code(&post(&sim, GET, json!({"chat_id": "wrMadeUp"})).await), 86_003);
}

#[tokio::test]
async fn reads_lag_behind_an_act_with_the_old_version() {
    let sim = small().await;
    let chat_id = chat(&sim, 2);
    let read = async || {
        let group = post(&sim, GET, json!({"chat_id": chat_id})).await["group_chat"].clone();
        (text(&group["member_version"]), group["member_list"].as_array().map(Vec::len))
    };
    let before = read().await;
    let join: Act =
        serde_json::from_value(json!({"act": "join", "chat_id": chat_id, "newcomers": 2})).expect("an act");
    sim.act(LaggedAct { act: join, lag_ms: Some(800) }).expect("a group");
    assert_eq!(read().await, before);
    sim.with(|world| world.clock.advance(Duration::from_millis(800)));
    let after = read().await;
    assert_ne!(after.0, before.0);
    assert_eq!((before.1, after.1), (Some(11), Some(13)));
}

#[tokio::test]
async fn contacts_and_members_are_read() {
    let sim = small().await;
    let ids = get(&sim, "externalcontact/list", "userid=OWNER00001").await["external_userid"].clone();
    let id = text(&ids[0]);
    assert_eq!(ids.as_array().map(Vec::len), Some(1));
    let contact = get(&sim, "externalcontact/get", &format!("external_userid={id}")).await;
    assert_eq!(contact["follow_user"][0]["userid"], json!("owner00001"));
    assert_eq!(contact["external_contact"]["external_userid"], json!(id));
    let users = get(&sim, "externalcontact/get_follow_user_list", "").await["follow_user"].clone();
    assert_eq!(users.as_array().map(Vec::len), Some(3));
    assert_eq!(get(&sim, "user/get", "userid=owner00002").await["department"], json!([2]));
    let list = get(&sim, "user/simplelist", "department_id=1&fetch_child=1").await["userlist"].clone();
    assert_eq!(list.as_array().map(Vec::len), Some(3));
    let departments = get(&sim, "department/simplelist", "").await["department_id"].clone();
    assert_eq!(departments[1], json!({"id": 2, "parentid": 1, "order": 2}));
    for (api, query, expected) in [
        ("externalcontact/list", "userid=nobody", 60_111),
        ("externalcontact/list", "", 40_063),
        ("externalcontact/get", "external_userid=wmX", 40_096),
        ("user/get", "userid=nobody", 60_111),
        ("agent/get", "agentid=1", 301_002),
        ("agent/get", "agentid=x", 40_056),
        ("agent/get", "agentid=1000002", 0),
    ] {
        assert_eq!(code(&get(&sim, api, query).await), expected, "{api}?{query}");
    }
}
