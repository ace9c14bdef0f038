//! Group robots over the wire: keys, the window of twenty a minute, uploads.

use super::*;

const KEY: &str = "693a91f6-7aoc-4bc4-97a0-0ec2sifa5aaa";

async fn with_robot() -> Simulator {
    let sim = two_apps(ActingConfig::default()).await;
    control(&sim, "robot", Some(json!({"key": KEY, "group": "staff room"}))).await;
    sim
}

async fn say(sim: &Simulator, key: &str, message: Value) -> Value {
    let path = format!("/cgi-bin/webhook/send?key={key}");
    send(sim, Call::post(path, "application/json", message.to_string())).await
}

fn hello() -> Value {
    json!({"msgtype": "text", "text": {"content": "hello"}})
}

#[tokio::test]
async fn a_key_is_all_it_takes_until_the_robot_is_gone() {
    let sim = with_robot().await;
    assert_eq!(say(&sim, KEY, hello()).await, json!({"errcode": 0, "errmsg": "ok"}));
    assert_eq!(code(&say(&sim, "x", hello()).await), 93_000);
    for (state, expected) in
        [("disabled", 93_004), ("not_in_group", 93_008), ("removed", 93_000), ("active", 0)]
    {
        control(&sim, "robot", Some(json!({"key": KEY, "group": "staff room", "state": state}))).await;
        assert_eq!(code(&say(&sim, KEY, hello()).await), expected, "{state}");
    }
    assert_eq!(sim.with(|world| world.ledger.times_reached("robot", "staff room", "hello")), 2);
    let received = control(&sim, "received", None).await;
    assert_eq!((&received[0]["target"], &received[0]["message"]), (&json!("staff room"), &hello()));
}

#[tokio::test]
async fn twenty_a_minute_and_then_a_minute_of_silence() {
    let sim = with_robot().await;
    for n in 0..20 {
        assert_eq!(code(&say(&sim, KEY, hello()).await), 0, "{n}");
    }
    assert_eq!(code(&say(&sim, KEY, hello()).await), 45_009);
    advance(&sim, Duration::from_millis(59_999));
    assert_eq!(code(&say(&sim, KEY, hello()).await), 45_009, "the penalty");
    advance(&sim, Duration::from_millis(1));
    assert_eq!(code(&say(&sim, KEY, hello()).await), 0);
    let limits = sim.report().limits;
    assert_eq!((limits.exceeded, limits.while_blocked), (1, 1));
    control(&sim, "robot_calls", Some(json!({"key": KEY, "calls": 20}))).await;
    assert_eq!(code(&say(&sim, KEY, hello()).await), 45_009, "somebody else's messages count");
}

#[tokio::test]
async fn files_of_robots_are_for_robots() {
    let sim = with_robot().await;
    let upload = |kind: &str, bytes: &[u8]| {
        form(&format!("/cgi-bin/webhook/upload_media?key={KEY}&type={kind}"), bytes)
    };
    let made = send(&sim, upload("file", b"hello")).await;
    assert_eq!((&made["type"], &made["created_at"]), (&json!("file"), &json!(START_S.to_string())));
    let file = json!({"msgtype": "file", "file": {"media_id": made["media_id"]}});
    assert_eq!(code(&say(&sim, KEY, file.clone()).await), 0);
    assert_eq!(code(&send(&sim, upload("image", b"hello")).await), 40_004);
    assert_eq!(code(&send(&sim, upload("file", b"tiny")).await), 44_001);
    assert_eq!(code(&send(&sim, upload("voice", b"hello")).await), 40_005);
    let path = format!("/cgi-bin/webhook/upload_media?key={KEY}&type=file");
    assert_eq!(code(&send(&sim, Call::post(path, "application/json", "{}")).await), 41_005);
    assert_eq!(
        code(&send(&sim, form("/cgi-bin/webhook/upload_media?key=x&type=file", b"hello")).await),
        93_000
    );
    assert_eq!(code(&get(&sim, "media/get", &format!("media_id={}", text(&made["media_id"]))).await), 40_007);
    advance(&sim, Duration::from_hours(72));
    assert_eq!(code(&say(&sim, KEY, file).await), 40_007, "three days are over");
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_and_counted() {
    let sim = with_robot().await;
    let long = json!({"msgtype": "text", "text": {"content": "早".repeat(683)}});
    let refused = say(&sim, KEY, long).await;
    assert_eq!(code(&refused), 40_058);
    assert!(text(&refused["errmsg"]).contains("2048"), "the limit is named");
    assert_eq!(code(&say(&sim, KEY, json!({"msgtype": "poem"})).await), 40_008);
    for _ in 0..18 {
        say(&sim, KEY, json!({})).await;
    }
    assert_eq!(code(&say(&sim, KEY, hello()).await), 45_009);
    assert_eq!(sim.report().ledger.sends, 0);
}
