//! Groups made by apps, over the wire.

use super::*;

fn group(more: Value) -> Value {
    let base =
        json!({"name": "值班", "owner": userid(0), "userlist": [userid(0), userid(1)], "chatid": "duty"});
    with(base, more)
}

#[tokio::test]
async fn a_group_is_made_read_and_changed_by_its_app_alone() {
    let sim = two_apps(ActingConfig::default()).await;
    assert_eq!(post(&sim, "appchat/create", group(json!({}))).await["chatid"], json!("duty"));
    for (more, expected) in [
        (json!({}), 86_215),
        (json!({"chatid": "a-b"}), 86_001),
        (json!({"chatid": "b", "userlist": []}), 86_201),
        (json!({"chatid": "b", "userlist": [userid(0)]}), 86_006),
        (json!({"chatid": "b", "userlist": [userid(0), "nobody"]}), 86_007),
        (json!({"chatid": "b", "owner": "nobody"}), 86_005),
        (json!({"chatid": "b", "owner": userid(2)}), 86_207),
    ] {
        assert_eq!(code(&post(&sim, "appchat/create", group(more.clone())).await), expected, "{more}");
    }
    let change = json!({"chatid": "duty", "name": "夜班", "owner": userid(2), "add_user_list": [userid(2)], "del_user_list": [userid(0)]});
    assert_eq!(code(&post_as(&sim, 1, "appchat/update", change.clone()).await), 86_008);
    assert_eq!(code(&post(&sim, "appchat/update", change).await), 0);
    let info = get(&sim, "appchat/get", "chatid=duty").await["chat_info"].clone();
    let expected = json!({"chatid": "duty", "name": "夜班", "owner": userid(2),
        "userlist": [userid(1), userid(2)], "chat_type": 0});
    assert_eq!(info, expected);
    assert_eq!(code(&get(&sim, "appchat/get", "chatid=other").await), 86_003);
    assert_eq!(code(&get(&sim, "appchat/get", "").await), 86_201);
    let too_few = json!({"chatid": "duty", "del_user_list": [userid(1)]});
    assert_eq!(code(&post(&sim, "appchat/update", too_few).await), 86_006);
}

#[tokio::test]
async fn an_owner_and_an_id_are_found_when_none_is_given() {
    let sim = two_apps(ActingConfig::default()).await;
    let made = post(&sim, "appchat/create", group(json!({"owner": "", "chatid": ""}))).await;
    let info = get(&sim, "appchat/get", &format!("chatid={}", text(&made["chatid"]))).await;
    let owner = text(&info["chat_info"]["owner"]);
    assert!([userid(0), userid(1)].contains(&owner), "{owner}");
}

#[tokio::test]
async fn messages_reach_the_group_once_and_are_counted_by_person() {
    let sim = two_apps(ActingConfig::default()).await;
    post(&sim, "appchat/create", group(json!({}))).await;
    let hello = || json!({"chatid": "duty", "msgtype": "text", "text": {"content": "早"}, "safe": 0});
    let answer = post(&sim, "appchat/send", hello()).await;
    assert_eq!(answer, json!({"errcode": 0, "errmsg": "ok"}), "no msgid");
    assert_eq!(code(&post_as(&sim, 1, "appchat/send", hello()).await), 86_008);
    assert_eq!(code(&post(&sim, "appchat/send", with(hello(), json!({"chatid": "x"}))).await), 86_003);
    let long = json!({"text": {"content": "x".repeat(2_049)}});
    assert_eq!(code(&post(&sim, "appchat/send", with(hello(), long)).await), 45_002);
    assert_eq!(sim.with(|world| world.ledger.times_reached("appchat", "duty", "早")), 1);
    // A member gets 200 a minute from all apps; then nothing reaches the group, and nobody is told.
    for _ in 1..201 {
        assert_eq!(code(&post(&sim, "appchat/send", hello()).await), 0);
    }
    assert_eq!(sim.with(|world| world.ledger.times_reached("appchat", "duty", "早")), 200);
    assert_eq!(sim.report().acting.appchat_members_over_limit, 2);
}

#[tokio::test]
async fn the_corp_has_so_many_groups_changes_and_person_sends() {
    let sim = start(SimConfig {
        population: Population { owners: 3, groups: 3, members: 3, contacts: 0 },
        limits: LimitConfig { scale: 0.0015, ..LimitConfig::default() },
        ..SimConfig::default()
    })
    .await;
    let token = token_of(&sim, 0).await;
    let call = async |api: &str, body: Value| {
        let path = format!("/cgi-bin/appchat/{api}?access_token={token}");
        code(&send(&sim, Call::post(path, "application/json", body.to_string())).await)
    };
    // Scaled down from 1,000 groups a day, 1,000 changes an hour and 20,000 person-sends a minute.
    let three = json!({"userlist": [userid(0), userid(1), userid(2)]});
    for (chatid, expected) in [("duty", 0), ("b", 0), ("c", 45_009)] {
        assert_eq!(call("create", with(group(three.clone()), json!({"chatid": chatid}))).await, expected);
    }
    for expected in [0, 0, 45_009] {
        assert_eq!(call("update", json!({"chatid": "duty", "name": "n"})).await, expected);
    }
    let hello = || json!({"chatid": "duty", "msgtype": "text", "text": {"content": "早"}});
    for n in 0..10 {
        assert_eq!(call("send", hello()).await, 0, "{n}");
    }
    assert_eq!(call("send", hello()).await, 45_009, "30 persons a minute, three in the group");
}

#[tokio::test]
async fn an_app_that_does_not_see_everybody_has_no_groups() {
    let sim = two_apps(ActingConfig::default()).await;
    control(&sim, "app", Some(json!({"app": "gateway", "visible_departments": [2]}))).await;
    assert_eq!(code(&post(&sim, "appchat/create", group(json!({}))).await), 48_002);
}
