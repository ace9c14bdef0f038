//! The routes under `/_sim/`.

use super::receiver::{Reaction, Receiver};
use super::*;

async fn refused(sim: &Simulator, path: &str, body: &str) -> String {
    let call = Call::post(format!("/_sim/{path}"), "application/json", body.to_owned());
    let reply = connection(sim).try_once(&call).await.expect("an answer");
    assert_eq!(reply.status, 400, "{path} {body}");
    String::from_utf8(reply.body.to_vec()).expect("text")
}

#[tokio::test]
async fn other_processes_can_drive_and_question_it() {
    let (sim, receiver) = (small().await, Receiver::start("/cb").await);
    receiver.then([Reaction::Echo("")]);
    control(&sim, "callback", Some(json!({"app": "gateway", "url": receiver.url}))).await;
    let groups = control(&sim, "groups?after=2&limit=2", None).await;
    assert_eq!((groups[0]["seq"].clone(), groups.as_array().map(Vec::len)), (json!(3), Some(2)));
    let chat_id = text(&groups[0]["chat_id"]);
    let act = json!({"act": "join", "chat_id": chat_id, "newcomers": 1, "lag_ms": 60_000});
    let deed = control(&sim, "act", Some(act)).await;
    in_time(sim.settled()).await;
    assert_eq!(control(&sim, "deliveries", None).await[0]["event"], deed["event"]);
    let group = control(&sim, &format!("groups/{chat_id}"), None).await;
    assert_eq!(group["member_list"].as_array().map(Vec::len), Some(12), "the truth does not lag");
    let read = post(&sim, "externalcontact/groupchat/get", json!({"chat_id": chat_id})).await;
    assert_eq!(read["group_chat"]["member_list"].as_array().map(Vec::len), Some(11));
    let calls = control(&sim, "calls?after=1", None).await;
    assert_eq!(calls[0]["api"], json!("externalcontact/groupchat/get"));
    assert_eq!(calls[0]["app"], json!("gateway"));
    let report: SimReport = serde_json::from_value(control(&sim, "report", None).await).expect("a report");
    assert_eq!((report.groups, report.memberships, report.ledger.calls), (6, 67, 2));
}

#[tokio::test]
async fn tokens_faults_time_and_apps_are_changed_from_outside() {
    let sim = small().await;
    let token = token_of(&sim, 0).await;
    let call = async || code(&bare(&sim, &format!("getcallbackip?access_token={token}")).await);
    let end = async |end: &str| control(&sim, "tokens", Some(json!({"app": "gateway", "end": end}))).await;
    end("expire").await;
    assert_eq!(call().await, 42_001);
    end("void").await;
    assert_eq!(call().await, 40_014);
    let faults = control(&sim, "faults", Some(json!(["gettoken:errcode=-1@first:1"]))).await;
    assert_eq!(faults, json!(["gettoken:errcode=-1@first:1"]));
    assert_eq!(code(&bare(&sim, "gettoken?corpid=a&corpsecret=b").await), -1);
    let now = control(&sim, "clock", Some(json!({"advance_ms": 2_500}))).await;
    assert_eq!(now["now_ms"], json!(START_S * 1_000 + 2_500));
    control(&sim, "app", Some(json!({"app": "gateway", "families": ["directory"]}))).await;
    assert_eq!(code(&get(&sim, "externalcontact/get_follow_user_list", "").await), 48_002);
    control(&sim, "app", Some(json!({"app": "gateway", "is_enabled": false}))).await;
    let corpid = sim.with(|world| world.config.corpid.clone());
    let secret = sim.with(|world| world.apps[0].config.secret.clone());
    assert_eq!(code(&bare(&sim, &format!("gettoken?corpid={corpid}&corpsecret={secret}")).await), 40_001);
    let settings = control(&sim, "callbacks", Some(json!({"retries": 1, "member_list": "joined"}))).await;
    assert_eq!((&settings["retries"], &settings["deadline_ms"]), (&json!(1), &json!(5_000)));
    assert_eq!(control(&sim, "callbacks", None).await, settings);
    control(&sim, "live", Some(json!({"joins": 2.0}))).await;
    control(&sim, "clock", Some(json!({"advance_ms": 10_000}))).await;
    in_time(sim.wait_for(|world| world.groups.membership_count() == 86)).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_reason() {
    let sim = small().await;
    for (path, body, reason) in [
        ("act", "{}", "missing field `act`"),
        ("act", r#"{"act":"dance"}"#, "unknown variant `dance`"),
        ("act", r#"{"act":"dismiss","chat_id":"wrX"}"#, "no group `wrX`"),
        ("faults", r#"["teapot"]"#, "`teapot` is not a fault"),
        ("tokens", r#"{"app":"x","end":"void"}"#, "no app `x`"),
        ("limits", r#"{"api":"x","calls":1}"#, "no API `x`"),
        ("callbacks", r#"{"retry":1}"#, "unknown field `retry`"),
        ("inject", r#"{"app":"gateway","injection":"x"}"#, "unknown variant `x`"),
        ("callback", r#"{"app":"gateway","url":"ftp://h"}"#, "is not an address"),
        ("live", r#"{"joy":1}"#, "unknown field `joy`"),
    ] {
        let text = refused(&sim, path, body).await;
        assert!(text.contains(reason), "{path}: {text}");
    }
}
