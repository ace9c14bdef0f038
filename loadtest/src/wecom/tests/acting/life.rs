//! The life of groups over the wire: handed to another owner, entered by join ways.

use super::*;

const AFTER_LEAVING: &str = "externalcontact/groupchat/transfer";
const ON_THE_JOB: &str = "externalcontact/groupchat/onjob_transfer";

fn hand(chats: &[String], heir: usize) -> Value {
    json!({"chat_id_list": chats, "new_owner": userid(heir)})
}

fn failures(answer: &Value) -> Vec<(String, i64)> {
    let list = answer["failed_chat_list"].as_array().unwrap_or_else(|| panic!("{answer}"));
    list.iter().map(|line| (text(&line["chat_id"]), code(line))).collect()
}

#[tokio::test]
async fn groups_of_an_owner_who_left_go_to_an_heir() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = chat(&sim, 0);
    let early = post(&sim, AFTER_LEAVING, hand(std::slice::from_ref(&own), 1)).await;
    assert_eq!(failures(&early), [(own.clone(), 90_500)]);
    sim.with(|world| world.act(Act::OwnerLeaves { userid: userid(0) })).expect("gone");
    let wrong = post(&sim, ON_THE_JOB, hand(std::slice::from_ref(&own), 1)).await;
    assert_eq!(failures(&wrong), [(own.clone(), 90_502)]);
    let over = chat(&sim, 2);
    sim.with(|world| {
        world.other_chats.insert("wrInternal".to_owned());
        world.act(Act::Dismiss { chat_id: over.clone() }).expect("over")
    });
    let chats = [own.clone(), "wrNone".to_owned(), "wrInternal".to_owned(), over.clone()];
    let done = post(&sim, AFTER_LEAVING, hand(&chats, 1)).await;
    let expected = [("wrNone".to_owned(), 40_050), ("wrInternal".to_owned(), 90_501), (over, 49_008)];
    assert_eq!(failures(&done), expected);
    let read = post(&sim, "externalcontact/groupchat/get", json!({"chat_id": own})).await;
    assert_eq!(read["group_chat"]["owner"], json!(userid(1)));
    assert_eq!(sim.report().acting.inherited, 1);
    for (body, expected) in [
        (hand(&[], 1), 40_058),
        (hand(&vec!["wr".to_owned(); 101], 1), 40_058),
        (hand(&chats, 0), 40_003),
        (hand(&chats, 99), 40_003),
    ] {
        assert_eq!(code(&post(&sim, AFTER_LEAVING, body).await), expected);
    }
}

#[tokio::test]
async fn a_group_changes_hands_on_the_job_twice_in_ninety_days() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = [chat(&sim, 0)];
    for heir in [1, 2] {
        assert!(failures(&post(&sim, ON_THE_JOB, hand(&own, heir)).await).is_empty(), "{heir}");
    }
    assert_eq!(failures(&post(&sim, ON_THE_JOB, hand(&own, 0)).await), [(own[0].clone(), 90_509)]);
    advance(&sim, Duration::from_hours(90 * 24));
    assert!(failures(&post(&sim, ON_THE_JOB, hand(&own, 0)).await).is_empty());
    assert_eq!(sim.report().acting.handed_over, 3);
}

fn way(chats: &[String], more: Value) -> Value {
    let base = json!({"scene": 2, "remark": "r", "auto_create_room": 1, "room_base_name": "客户群", "room_base_id": 7,
        "chat_id_list": chats, "state": "poster", "mark_source": true});
    with(base, more)
}

const WAY: &str = "externalcontact/groupchat";

#[tokio::test]
async fn a_join_way_is_made_read_replaced_and_deleted() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = [chat(&sim, 0), chat(&sim, 1)];
    let made = post(&sim, &format!("{WAY}/add_join_way"), way(&own, json!({}))).await;
    let named = json!({"config_id": made["config_id"]});
    let shown = post(&sim, &format!("{WAY}/get_join_way"), named.clone()).await["join_way"].clone();
    assert_eq!((&shown["chat_id_list"], &shown["state"]), (&json!(own), &json!("poster")));
    assert_eq!((&shown["room_base_id"], &shown["mark_source"]), (&json!(7), &json!(true)));
    let change = with(way(&own[..1], json!({"state": "flyer"})), named.clone());
    assert_eq!(code(&post(&sim, &format!("{WAY}/update_join_way"), change).await), 0);
    let shown = post(&sim, &format!("{WAY}/get_join_way"), named.clone()).await["join_way"].clone();
    assert_eq!((&shown["chat_id_list"], &shown["state"]), (&json!(own[..1]), &json!("flyer")));
    assert_eq!(code(&post(&sim, &format!("{WAY}/del_join_way"), named.clone()).await), 0);
    assert_eq!(code(&post(&sim, &format!("{WAY}/get_join_way"), named).await), 40_058);
    for (more, expected) in [
        (json!({"scene": 3}), 40_058),
        (json!({"state": "字".repeat(31)}), 40_058),
        (json!({"chat_id_list": vec![own[0].clone(); 6]}), 40_058),
        (json!({"chat_id_list": ["wrNone"]}), 40_050),
    ] {
        let refused = post(&sim, &format!("{WAY}/add_join_way"), way(&own, more.clone())).await;
        assert_eq!(code(&refused), expected, "{more}");
    }
}

#[tokio::test]
async fn who_comes_by_a_way_has_its_channel_and_full_groups_open_the_next() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = [chat(&sim, 0)];
    let made = post(&sim, &format!("{WAY}/add_join_way"), way(&own, json!({}))).await;
    let config_id = text(&made["config_id"]);
    let room = sim.with(|world| {
        let group = world.groups.group_of(&own[0]).expect("a group");
        GROUP_MEMBERS_MAX - world.groups.group(group).now.members.len()
    });
    let people = strangers(&sim, room + 2);
    let deeds = sim.with(|world| world.join_by_way(&config_id, &people)).expect("joined");
    assert_eq!(deeds.iter().map(|deed| deed.members.len()).collect::<Vec<_>>(), [room, 2]);
    let opened = deeds[1].chat_id.clone().expect("a group");
    let read = post(&sim, "externalcontact/groupchat/get", json!({"chat_id": opened})).await;
    let group = &read["group_chat"];
    assert_eq!((&group["name"], &group["owner"]), (&json!("客户群7"), &json!(userid(0))));
    assert_eq!(
        (&group["member_list"][1]["state"], &group["member_list"][1]["join_scene"]),
        (&json!("poster"), &json!(3))
    );
    let shown = post(&sim, &format!("{WAY}/get_join_way"), json!({"config_id": config_id})).await;
    assert_eq!(shown["join_way"]["chat_id_list"], json!([own[0], opened]));
    assert_eq!(shown["join_way"]["room_base_id"], json!(8));
    assert_eq!(sim.report().acting.groups_opened, 1);
    let closed = post(&sim, &format!("{WAY}/add_join_way"), way(&own, json!({"auto_create_room": 0}))).await;
    let stranger = strangers(&sim, 1);
    let full = sim.with(|world| world.join_by_way(&text(&closed["config_id"]), &stranger));
    assert!(matches!(full, Err(ActError::Full(_))), "{full:?}");
}

#[tokio::test]
async fn mini_programs_name_groups_otherwise() {
    let sim = two_apps(ActingConfig::default()).await;
    let opengid = sim.with(|world| world.opengid(GroupNo(4)));
    let api = "externalcontact/opengid_to_chatid";
    assert_eq!(post(&sim, api, json!({"opengid": opengid})).await["chat_id"], json!(chat(&sim, 4)));
    assert_eq!(code(&post(&sim, api, json!({"opengid": "ogX"})).await), 40_058);
}
