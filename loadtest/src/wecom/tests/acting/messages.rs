//! App messages over the wire: targets, duplicates, what is dropped in silence, recalls, media.

use super::*;

const SEND: &str = "message/send";

fn message(more: Value) -> Value {
    with(
        json!({"touser": userid(0), "agentid": 1_000_002, "msgtype": "text", "text": {"content": "早"}}),
        more,
    )
}

fn arrived(sim: &Simulator, owner: usize) -> u32 {
    sim.with(|world| world.ledger.times_reached("app", &userid(owner), "早"))
}

#[tokio::test]
async fn some_bad_targets_are_listed_and_only_bad_ones_are_refused() {
    let sim = two_apps(ActingConfig::default()).await;
    let more = json!({"touser": format!("{}|nobody", userid(0)), "toparty": "9999", "totag": "t"});
    let sent = post(&sim, SEND, message(more)).await;
    assert_eq!((code(&sent), &sent["invaliduser"]), (0, &json!("nobody")));
    assert_eq!((&sent["invalidparty"], &sent["invalidtag"]), (&json!("9999"), &json!("t")));
    assert_eq!((arrived(&sim, 0), arrived(&sim, 1)), (1, 0));
    for (more, expected) in [
        (json!({"touser": "nobody"}), 82_001),
        (json!({"touser": ""}), 82_001),
        (json!({"agentid": 1_000_003}), 301_002),
        (json!({"agentid": null}), 40_056),
        (json!({"agentid": "1000002"}), 0),
        (json!({"msgtype": "poem"}), 40_008),
        (json!({"text": {"content": ""}}), 44_004),
        (json!({"touser": vec!["u"; 1_001].join("|")}), 40_032),
        (json!({"toparty": vec!["1"; 101].join("|")}), 40_032),
        (json!({"enable_duplicate_check": 1, "duplicate_check_interval": 14_401}), 40_058),
    ] {
        assert_eq!(code(&post(&sim, SEND, message(more.clone())).await), expected, "{more}");
    }
    sim.with(|world| world.config.acting.all_bad_errcode = 81_013);
    assert_eq!(code(&post(&sim, SEND, message(json!({"touser": "nobody"}))).await), 81_013);
}

#[tokio::test]
async fn everybody_and_departments_are_found_and_who_left_is_not() {
    let sim = two_apps(ActingConfig::default()).await;
    sim.with(|world| world.act(Act::OwnerLeaves { userid: userid(2) })).expect("gone");
    assert_eq!(code(&post(&sim, SEND, message(json!({"touser": "@all", "toparty": "x"}))).await), 0);
    assert_eq!([arrived(&sim, 0), arrived(&sim, 1), arrived(&sim, 2)], [1, 1, 0]);
    // Everybody is in a child of the root; one who is named twice gets it once.
    assert_eq!(code(&post(&sim, SEND, message(json!({"toparty": "1"}))).await), 0);
    assert_eq!([arrived(&sim, 0), arrived(&sim, 1)], [2, 2]);
    assert_eq!(code(&post(&sim, SEND, message(json!({"touser": userid(2)}))).await), 82_001);
}

#[tokio::test]
async fn the_duplicate_check_makes_a_repeat_harmless_within_its_interval() {
    let sim = two_apps(ActingConfig::default()).await;
    let checked = || message(json!({"enable_duplicate_check": 1, "duplicate_check_interval": 1_800}));
    let first = post(&sim, SEND, checked()).await;
    let second = post(&sim, SEND, checked()).await;
    assert_eq!((code(&second), arrived(&sim, 0)), (0, 1));
    assert_ne!(first["msgid"], second["msgid"]);
    let both = with(checked(), json!({"touser": format!("{}|{}", userid(0), userid(1))}));
    post(&sim, SEND, both).await;
    assert_eq!([arrived(&sim, 0), arrived(&sim, 1)], [1, 1], "by target");
    post(&sim, SEND, message(json!({}))).await;
    assert_eq!(arrived(&sim, 0), 2, "without the check nothing is dropped");
    advance(&sim, Duration::from_mins(30));
    post(&sim, SEND, checked()).await;
    assert_eq!(arrived(&sim, 0), 3);
    assert_eq!(sim.report().acting.duplicates_dropped, 2);
}

#[tokio::test]
async fn beyond_thirty_a_minute_a_member_gets_nothing_and_nobody_is_told() {
    let sim = two_apps(ActingConfig::default()).await;
    for _ in 0..31 {
        assert_eq!(code(&post(&sim, SEND, message(json!({}))).await), 0);
    }
    assert_eq!((arrived(&sim, 0), sim.report().acting.members_over_limit), (30, 1));
    advance(&sim, Duration::from_mins(1));
    post(&sim, SEND, message(json!({}))).await;
    assert_eq!(arrived(&sim, 0), 31, "no penalty");
}

#[tokio::test]
async fn person_sends_of_a_day_are_two_hundred_for_each_account() {
    let sim = two_apps(ActingConfig { accounts: 1, ..ActingConfig::default() }).await;
    let everybody = || message(json!({"touser": "@all"}));
    for n in 0..66 {
        assert_eq!(code(&post(&sim, SEND, everybody()).await), 0, "{n}");
        advance(&sim, Duration::from_secs(3));
    }
    assert_eq!(code(&post(&sim, SEND, everybody()).await), 45_009, "198 and three more");
    advance(&sim, Duration::from_hours(15));
    assert_eq!(code(&post(&sim, SEND, message(json!({}))).await), 45_009, "the rest of the day");
    advance(&sim, Duration::from_hours(1));
    assert_eq!(code(&post(&sim, SEND, everybody()).await), 0);
}

#[tokio::test]
async fn messages_are_recalled_by_their_app_within_a_day() {
    let sim = two_apps(ActingConfig::default()).await;
    let msgid = json!({"msgid": post(&sim, SEND, message(json!({}))).await["msgid"]});
    assert_eq!(code(&post_as(&sim, 1, "message/recall", msgid.clone()).await), 42_052);
    assert_eq!(code(&post(&sim, "message/recall", msgid.clone()).await), 0);
    assert_eq!(sim.report().acting.recalled, 1);
    advance(&sim, Duration::from_hours(24));
    assert_eq!(code(&post(&sim, "message/recall", msgid).await), 42_052);
}

#[tokio::test]
async fn an_upload_can_be_read_back_and_sent_for_three_days() {
    let sim = two_apps(ActingConfig::default()).await;
    let token = token_of(&sim, 0).await;
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), b"\r\n--x"].concat();
    let made =
        send(&sim, form(&format!("/cgi-bin/media/upload?access_token={token}&type=image"), &png)).await;
    let media_id = text(&made["media_id"]);
    let path = format!("/cgi-bin/media/get?access_token={token}&media_id={media_id}");
    let file = connection(&sim).try_once(&Call::get(path)).await.expect("an answer");
    assert_eq!(file.body.as_ref(), png.as_slice());
    let image = || message(json!({"msgtype": "image", "image": {"media_id": media_id}}));
    assert_eq!(code(&post(&sim, SEND, image()).await), 0);
    advance(&sim, Duration::from_hours(72));
    assert_eq!(code(&post(&sim, SEND, image()).await), 40_007);
    assert_eq!(code(&get(&sim, "media/get", &format!("media_id={media_id}")).await), 40_007);
    assert_eq!(code(&get(&sim, "media/get", "").await), 41_006);
}

#[tokio::test]
async fn cards_come_with_a_code_to_update_them() {
    let sim = two_apps(ActingConfig::default()).await;
    let card = json!({"card_type": "text_notice", "card_action": {"type": 1, "url": "u"}});
    let sent = post(&sim, SEND, message(json!({"msgtype": "template_card", "template_card": card}))).await;
    assert!(!text(&sent["response_code"]).is_empty());
    assert_eq!(post(&sim, SEND, message(json!({}))).await["response_code"], Value::Null);
}
