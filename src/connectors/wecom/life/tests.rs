//! Group life, templates, interception and own groups against a platform whose every answer is scripted.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::connectors::offers::{
    InterceptRule, OwnGroups, Retry, StaffInterception, WelcomeTemplate, WelcomeTemplates,
};
use crate::connectors::wecom::testing::{Asked, Platform, Reply, done, refusal};

fn listed(groups: &[&str], next: &str) -> Reply {
    let groups: Vec<Value> = groups.iter().map(|group| json!({"chat_id": group, "status": 1})).collect();
    Reply::Json(json!({"errcode": 0, "group_chat_list": groups, "next_cursor": next}))
}

fn owned(asked: &Asked) -> Reply {
    match asked.json()["chat_id"].as_str().unwrap() {
        "wr2" => refusal(49008),
        group => Reply::Json(
            json!({"errcode": 0, "group_chat": {"chat_id": group, "owner": format!("u-{group}")}}),
        ),
    }
}

#[tokio::test]
async fn orphans_are_listed_to_the_end_with_their_owners() {
    let platform = Platform::with_token(|asked| {
        if asked.path.ends_with("/get") {
            return owned(asked);
        }
        assert_eq!(asked.json()["status_filter"], 1);
        match asked.json()["cursor"].as_str().unwrap() {
            "" => listed(&["wr1", "wr2"], "c"),
            _ => listed(&["wr3"], ""),
        }
    })
    .await;
    let orphans = platform.connect(&Clock::system()).acts.orphans().await.unwrap();
    let orphan = |group: &str, owner: Option<&str>| (group.to_owned(), owner.map(str::to_owned));
    assert_eq!(orphans, [orphan("wr1", Some("u-wr1")), orphan("wr2", None), orphan("wr3", Some("u-wr3"))]);
}

#[tokio::test]
async fn in_a_large_corp_orphans_are_looked_for_by_known_staff() {
    let platform = Platform::with_token(|asked| {
        if asked.path.ends_with("/get") {
            return owned(asked);
        }
        let owners = asked.json()["owner_filter"]["userid_list"].clone();
        let Value::Array(owners) = owners else { return refusal(81017) };
        assert!(owners.len() <= 100);
        match () {
            () if owners.contains(&json!("u7")) => refusal(60111),
            () if owners.contains(&json!("u8")) => listed(&["wr8"], ""),
            () => listed(&[], ""),
        }
    })
    .await;
    let wecom = platform.connect(&Clock::system());
    for nth in 0..250 {
        wecom.staff.note(&format!("u{nth}"));
    }
    let orphans = wecom.acts.orphans().await.unwrap();
    assert_eq!(orphans, [("wr8".to_owned(), Some("u-wr8".to_owned()))], "one unknown owner hides no other");
}

fn groups(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("wr{nth}")).collect()
}

#[tokio::test]
async fn groups_are_given_a_hundred_at_a_time_and_each_failure_is_told() {
    let platform = Platform::with_token(|asked| {
        let list = json!([{"chat_id": "wr3", "errcode": 90502, "errmsg": "as told"}]);
        if asked.nth == 0 { Reply::Json(json!({"errcode": 0, "failed_chat_list": list})) } else { done() }
    })
    .await;
    let acts = platform.connect(&Clock::system()).acts;
    let failed = acts.transfer(&groups(250), "heir", true).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].0.as_str(), failed[0].1.code.as_str()), ("wr3", "90502"));
    let sizes: Vec<usize> = platform
        .asked()
        .iter()
        .map(|asked| {
            assert_eq!(asked.path, "externalcontact/groupchat/transfer");
            assert_eq!(asked.json()["new_owner"], "heir");
            asked.json()["chat_id_list"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test]
async fn a_days_number_is_given_to_the_last_group_and_the_rest_is_told_when_to_go_on() {
    let platform = Platform::with_token(|_| done()).await;
    let acts = platform.connect(&Clock::manual(1_700_000_000_000)).acts;
    assert_eq!(acts.transfer(&groups(270), "heir", false).await, Ok(Vec::new()));
    let failed = acts.transfer(&groups(50), "heir", false).await.unwrap();
    assert_eq!(failed.len(), 20, "thirty were left of the day");
    assert_eq!(failed[0].0, "wr30");
    for (_, error) in &failed {
        assert_eq!(error.code, "quota");
        assert!(matches!(error.retry, Retry::After(wait) if wait > Duration::from_hours(23)), "{error:?}");
    }
    let error = acts.transfer(&groups(1), "heir", false).await.unwrap_err();
    assert_eq!(error.code, "quota");
    let given: usize =
        platform.asked().iter().map(|asked| asked.json()["chat_id_list"].as_array().unwrap().len()).sum();
    assert_eq!(given, 300);
}

#[tokio::test]
async fn what_was_given_before_a_failure_is_told_as_given() {
    let platform = Platform::with_token(|asked| if asked.nth == 0 { done() } else { refusal(48002) }).await;
    let acts = platform.connect(&Clock::system()).acts;
    let failed = acts.transfer(&groups(150), "heir", true).await.unwrap();
    assert_eq!((failed.len(), failed[0].0.as_str(), failed[0].1.code.as_str()), (50, "wr100", "48002"));
}

fn way() -> JoinWay {
    JoinWay {
        remark: "门店海报".to_owned(),
        groups: vec!["wr1".to_owned()],
        channel: "poster-3".to_owned(),
        opens_next: true,
        next_name: "三店会员群".to_owned(),
        next_number: 4,
    }
}

#[tokio::test]
async fn a_way_in_is_made_once_and_its_code_is_read() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "externalcontact/groupchat/add_join_way" => Reply::Json(json!({"errcode": 0, "config_id": "cfg1"})),
        _ => Reply::Json(
            json!({"errcode": 0, "join_way": {"config_id": "cfg1", "qr_code": "https://example.com/q"}}),
        ),
    })
    .await;
    let acts = platform.connect(&Clock::system()).acts;
    let added = acts.add_join_way(&way()).await.unwrap();
    assert_eq!(added, ("cfg1".to_owned(), Some("https://example.com/q".to_owned())));
    assert_eq!(
        platform.asked()[0].json(),
        json!({"scene": 2, "remark": "门店海报", "auto_create_room": 1, "room_base_name": "三店会员群",
               "room_base_id": 4, "chat_id_list": ["wr1"], "state": "poster-3"})
    );
    acts.update_join_way("cfg1", &JoinWay { opens_next: false, ..way() }).await.unwrap();
    let updated = platform.asked().last().unwrap().json();
    assert_eq!((updated["config_id"].as_str(), updated.get("room_base_name")), (Some("cfg1"), None));
    acts.remove_join_way("cfg1").await.unwrap();
    assert_eq!(platform.asked().last().unwrap().json(), json!({"config_id": "cfg1"}));

    let broken = Platform::with_token(|asked| match asked.path.as_str() {
        "externalcontact/groupchat/add_join_way" => Reply::Json(json!({"errcode": 0, "config_id": "cfg1"})),
        _ => refusal(48002),
    })
    .await;
    let added = broken.connect(&Clock::system()).acts.add_join_way(&way()).await.unwrap();
    assert_eq!(added, ("cfg1".to_owned(), None));
}

#[tokio::test]
async fn ways_in_are_held_against_the_limits_before_a_call() {
    let platform = Platform::with_token(|_| done()).await;
    let acts = platform.connect(&Clock::system()).acts;
    for (way, says) in [
        (JoinWay { groups: groups(6), ..way() }, "`groups`"),
        (JoinWay { groups: Vec::new(), ..way() }, "`groups`"),
        (JoinWay { channel: "渠".repeat(31), ..way() }, "`channel`"),
        (JoinWay { next_name: String::new(), ..way() }, "`next_name`"),
    ] {
        let error = acts.add_join_way(&way).await.unwrap_err();
        assert!(error.zh.contains(says) && error.en.contains(says), "{error:?}");
        assert_eq!((error.code.as_str(), error.retry, error.uncertain), ("join_way", Retry::Never, false));
        assert!(acts.update_join_way("cfg1", &way).await.is_err());
    }
    let longest = JoinWay { channel: "渠".repeat(30), groups: groups(5), ..way() };
    acts.update_join_way("cfg1", &longest).await.unwrap();
    assert_eq!(platform.asked().len(), 1);
}

#[tokio::test]
async fn templates_are_added_edited_read_and_removed() {
    let platform = Platform::with_token(|asked| match asked.path.rsplit('/').next().unwrap() {
        "add" => Reply::Json(json!({"errcode": 0, "template_id": "msg1"})),
        "get" => Reply::Json(
            json!({"errcode": 0, "text": {"content": "hi %NICKNAME%"}, "image": {"media_id": "M"}}),
        ),
        _ => done(),
    })
    .await;
    let acts = platform.connect(&Clock::system()).acts;
    let template = WelcomeTemplate { text: "hi %NICKNAME%".to_owned(), link: None, notify: false };
    assert_eq!(WelcomeTemplates::add(&acts, &template).await.as_deref(), Ok("msg1"));
    let text = json!({"content": "hi %NICKNAME%"});
    assert_eq!(platform.asked()[0].json(), json!({"text": text, "notify": 0}));
    acts.edit("msg1", &template).await.unwrap();
    assert_eq!(platform.asked()[1].json(), json!({"template_id": "msg1", "text": text}));
    assert_eq!(WelcomeTemplates::get(&acts, "msg1").await, Ok(template));
    WelcomeTemplates::remove(&acts, "msg1").await.unwrap();
    assert_eq!(platform.asked()[3].json(), json!({"template_id": "msg1"}));
    let wrong = WelcomeTemplate { text: "%nickname%".to_owned(), link: None, notify: false };
    assert_eq!(WelcomeTemplates::add(&acts, &wrong).await.unwrap_err().code, "template");
    assert_eq!(platform.asked().len(), 4);
}

#[tokio::test]
async fn intercept_rules_are_written_in_the_three_shapes_of_the_platform() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "externalcontact/add_intercept_rule" => Reply::Json(json!({"errcode": 0, "rule_id": 7})),
        "externalcontact/get_intercept_rule_list" => {
            Reply::Json(json!({"errcode": 0, "rule_list": [{"rule_id": 7}, {"rule_id": "gone"}]}))
        }
        "externalcontact/get_intercept_rule" if asked.json()["rule_id"] == "gone" => refusal(41071),
        "externalcontact/get_intercept_rule" => Reply::Json(json!({"errcode": 0, "rule": {
            "rule_id": 7, "rule_name": "r", "word_list": ["乙", "甲"], "extra_rule": {"semantics_list": [1]},
            "intercept_type": 2, "applicable_range": {"user_list": ["u1"], "department_list": [2]},
        }})),
        _ => done(),
    })
    .await;
    let acts = platform.connect(&Clock::system()).acts;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let rule = InterceptRule {
        name: "r".to_owned(),
        words: words(&["乙", "甲"]),
        warn_only: true,
        staff: vec!["u1".to_owned()],
        departments: vec![2],
    };
    assert_eq!(StaffInterception::add(&acts, &rule).await.as_deref(), Ok("7"));
    assert_eq!(
        platform.asked()[0].json(),
        json!({"rule_name": "r", "word_list": ["乙", "甲"], "intercept_type": 2,
               "applicable_range": {"user_list": ["u1"], "department_list": [2]}})
    );
    assert_eq!(acts.list().await, Ok(vec![("7".to_owned(), rule.clone())]));
    let to = InterceptRule { departments: vec![3], warn_only: false, ..rule.clone() };
    StaffInterception::update(&acts, "7", &rule, &to).await.unwrap();
    assert_eq!(
        platform.asked().last().unwrap().json(),
        json!({"rule_id": "7", "rule_name": "r", "word_list": ["乙", "甲"], "intercept_type": 1,
               "add_applicable_range": {"department_list": [3]}, "remove_applicable_range": {"department_list": [2]}})
    );
    StaffInterception::remove(&acts, "7").await.unwrap();
    let too_long = InterceptRule { words: words(&["长".repeat(33).as_str()]), ..rule };
    let error = StaffInterception::add(&acts, &too_long).await.unwrap_err();
    assert_eq!(error.code, "intercept_rule");
    assert!(!error.en.contains('长'), "no word of the list: {error}");
}

#[tokio::test]
async fn groups_of_ours_are_made_changed_and_read() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "appchat/create" => Reply::Json(json!({"errcode": 0, "chatid": "abc"})),
        "appchat/get" => Reply::Json(json!({"errcode": 0, "chat_info": {
            "chatid": "abc", "name": "店长群", "owner": "lin", "userlist": ["lin", "wu"], "chat_type": 0,
        }})),
        _ => done(),
    })
    .await;
    let acts = platform.connect(&Clock::system()).acts;
    let staff = vec!["lin".to_owned(), "wu".to_owned()];
    assert_eq!(acts.create("店长群", Some("lin"), &staff, None).await.as_deref(), Ok("abc"));
    let made = json!({"name": "店长群", "userlist": ["lin", "wu"], "owner": "lin"});
    assert_eq!(platform.asked()[0].json(), made);
    OwnGroups::update(&acts, "abc", Some("新名"), None, &["mo".to_owned()], &[]).await.unwrap();
    let changed = json!({"chatid": "abc", "name": "新名", "add_user_list": ["mo"]});
    assert_eq!(platform.asked()[1].json(), changed);
    let got = OwnGroups::get(&acts, "abc").await.unwrap();
    assert_eq!(got, ("店长群".to_owned(), "lin".to_owned(), staff.clone()));
    assert_eq!(platform.asked()[2].query["chatid"], "abc");
    for (name, people, id, code) in [
        ("汉".repeat(51), &staff[..], None, "name"),
        (String::new(), &staff[..], None, "name"),
        ("n".to_owned(), &staff[..1], None, "staff"),
        ("n".to_owned(), &staff[..], Some("a-b"), "id"),
        ("n".to_owned(), &staff[..], Some("a123456789012345678901234567890123"), "id"),
    ] {
        let error = acts.create(&name, None, people, id).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    assert_eq!(platform.asked().len(), 3);
}
