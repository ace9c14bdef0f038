//! The client against a platform whose every answer is scripted.

use serde_json::{Value, json};

use super::*;
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::testing::{Platform, Reply, done, refusal, spec, token};
use crate::outbox::delivery::{Decision, Outcome, RefusalScope};

#[tokio::test]
async fn a_call_carries_token_query_and_raw_text() {
    let platform = Platform::with_token(|_| Reply::Json(json!({"errcode": 0, "chatid": "abc"}))).await;
    let client = platform.connect(&Clock::system()).client;
    let answer: Value = client.call(Api::AppchatCreate, &json!({"name": "三店 👋"})).await.unwrap();
    assert_eq!(answer["chatid"], "abc");
    let _: Value = client.get(Api::AppchatGet, &[("chatid", "a b&c")]).await.unwrap();
    let asked = platform.asked();
    assert_eq!(asked[0].query["access_token"], "t");
    // Some interfaces refuse `\uXXXX`.
    assert_eq!(&asked[0].body[..], "{\"name\":\"三店 👋\"}".as_bytes());
    assert_eq!(asked[0].json()["name"], "三店 👋");
    assert_eq!((asked[1].query["chatid"].as_str(), asked[1].body.len()), ("a b&c", 0));
    assert_eq!(platform.count("gettoken"), 1);
}

#[tokio::test]
async fn a_hundred_callers_at_once_ask_for_one_token() {
    let platform = Platform::with_token(|_| done()).await;
    let client = platform.connect(&Clock::system()).client;
    let (tasks, _owner) = crate::tasks::detached();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let client = client.patient(Duration::from_mins(1));
            tasks.spawn("caller", async move {
                let _: Done = client.call(Api::GroupChatGet, &json!({"chat_id": "wr1"})).await.unwrap();
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((platform.count("gettoken"), platform.asked().len()), (1, 100));
}

#[tokio::test]
async fn a_voided_token_is_renewed_once_and_the_call_repeated_once() {
    for errcode in [BAD_TOKEN, TOKEN_EXPIRED] {
        let platform = Platform::start(move |asked| match (asked.path.as_str(), asked.nth) {
            ("gettoken", nth) => token(&format!("t{nth}")),
            (_, _) if asked.query["access_token"] == "t0" => refusal(errcode),
            (_, _) => done(),
        })
        .await;
        let client = platform.connect(&Clock::system()).client;
        let _: Done = client.call(Api::AddMassSend, &json!({})).await.unwrap();
        assert_eq!((platform.count("gettoken"), platform.asked().len()), (2, 2), "{errcode}");
    }
    let platform = Platform::with_token(|_| refusal(BAD_TOKEN)).await;
    let client = platform.connect(&Clock::system()).client;
    let error = client.call::<_, Done>(Api::AddMassSend, &json!({})).await.unwrap_err();
    assert!(error.is(BAD_TOKEN));
    assert_eq!((platform.count("gettoken"), platform.asked().len()), (2, 2), "and no more");
}

#[tokio::test]
async fn many_calls_with_one_voided_token_renew_it_once() {
    let platform = Platform::start(|asked| match (asked.path.as_str(), asked.nth) {
        ("gettoken", nth) => token(&format!("t{nth}")),
        (_, _) if asked.query["access_token"] == "t0" => refusal(BAD_TOKEN),
        (_, _) => done(),
    })
    .await;
    let client = platform.connect(&Clock::system()).client.patient(Duration::from_mins(1));
    let call = || async { client.call::<_, Done>(Api::GroupChatGet, &json!({})).await.map(|_| ()) };
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(platform.count("gettoken"), 2);
}

#[tokio::test]
async fn a_token_is_renewed_early_and_the_old_one_used_when_that_fails() {
    let platform = Platform::start(|asked| match (asked.path.as_str(), asked.nth) {
        ("gettoken", 0) => token("t0"),
        ("gettoken", 1) => refusal(BUSY),
        ("gettoken", _) => token("t2"),
        (_, _) => done(),
    })
    .await;
    let clock = Clock::manual(0);
    let client = platform.connect(&clock).client;
    let used = async || {
        let _: Done = client.call(Api::GroupChatGet, &json!({})).await.unwrap();
        platform.asked().last().unwrap().query["access_token"].clone()
    };
    assert_eq!(used().await, "t0");
    clock.advance(Duration::from_mins(114));
    assert_eq!((used().await.as_str(), platform.count("gettoken")), ("t0", 1));
    clock.advance(Duration::from_mins(2));
    assert_eq!((used().await.as_str(), platform.count("gettoken")), ("t0", 2), "still good for four minutes");
    assert_eq!((used().await.as_str(), platform.count("gettoken")), ("t2", 3));
}

#[tokio::test]
async fn a_wrong_secret_is_not_tried_again_before_a_pause_that_doubles() {
    let platform = Platform::start(|_| refusal(super::super::errcode::BAD_SECRET)).await;
    let clock = Clock::manual(1_000);
    let client = platform.connect(&clock).client;
    let outcome = async || client.call::<_, Done>(Api::MessageSend, &json!({})).await.unwrap_err().outcome();
    let asked = || platform.count("gettoken");
    for _ in 0..3 {
        let Outcome::Refused(refusal) = outcome().await else { panic!("it was never sent") };
        assert_eq!(
            (refusal.decision, refusal.scope, refusal.code.as_str()),
            (Decision::PauseLane, RefusalScope::Account, "40001")
        );
    }
    assert_eq!(asked(), 1);
    let trouble = client.trouble().unwrap();
    assert_eq!((trouble.since_ms, trouble.code.as_str()), (1_000, "40001"));
    assert!(trouble.zh.contains("应用管理") && trouble.en.contains("app_secret"), "{trouble:?}");
    assert!(!format!("{trouble:?}{client:?}").contains("app-secret"));

    clock.advance(Duration::from_mins(9));
    outcome().await;
    assert_eq!(asked(), 1);
    clock.advance(Duration::from_mins(2));
    outcome().await;
    assert_eq!(asked(), 2);
    clock.advance(Duration::from_mins(19));
    outcome().await;
    assert_eq!(asked(), 2, "twice as long");
    clock.advance(Duration::from_mins(2));
    outcome().await;
    assert_eq!((asked(), client.trouble().unwrap().since_ms), (3, 1_000));
}

#[tokio::test]
async fn trouble_is_over_when_the_same_interface_works_again() {
    let platform = Platform::with_token(|asked| match (asked.path.as_str(), asked.nth) {
        ("appchat/get", _) => done(),
        (_, 0) => refusal(48002),
        (_, _) => done(),
    })
    .await;
    let client = platform.connect(&Clock::manual(5)).client;
    let call = async |api| client.call::<_, Done>(api, &json!({})).await.is_ok();
    assert!(!call(Api::AddMassSend).await);
    assert!(call(Api::AppchatGet).await);
    assert_eq!(client.trouble().unwrap().code, "48002");
    assert!(call(Api::AddMassSend).await);
    assert_eq!(client.trouble(), None);
}

#[tokio::test]
async fn a_busy_platform_is_asked_three_times_more() {
    let platform = Platform::with_token(|asked| if asked.nth < 3 { refusal(BUSY) } else { done() }).await;
    let client = platform.connect(&Clock::system()).client;
    assert!(client.call::<_, Done>(Api::AddMassSend, &json!({})).await.is_ok());
    assert_eq!(platform.asked().len(), 4);

    let platform = Platform::with_token(|_| refusal(TOO_MANY_AT_ONCE)).await;
    let client = platform.connect(&Clock::system()).client;
    let error = client.call::<_, Done>(Api::AddMassSend, &json!({})).await.unwrap_err();
    assert_eq!((error.code, platform.asked().len()), (Code::Errcode(TOO_MANY_AT_ONCE), 4));
}

#[tokio::test]
async fn a_penalty_closes_the_interface_and_no_other_and_outlives_a_restart() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "appchat/get" => done(),
        _ => refusal(TOO_OFTEN),
    })
    .await;
    let (clock, state) = (Clock::manual(1_767_225_600_000), MemoryState::default());
    let client = platform.connect_with(&clock, &state, |_| {}).client;
    let call = async |client: &Client, api| client.call::<_, Done>(api, &json!({})).await.map(|_| ());
    let error = call(&client, Api::AddMassSend).await.unwrap_err();
    assert_eq!(error.decision(), (Decision::After(Duration::from_mins(1)), RefusalScope::Delivery));
    assert_eq!(call(&client, Api::AddMassSend).await.unwrap_err().code, Code::Quota);
    assert!(call(&client, Api::AppchatGet).await.is_ok());
    assert_eq!(platform.count(Api::AddMassSend.path()), 1, "closed: not asked");

    let again = platform.connect_with(&clock, &state, |_| {}).client;
    let error = call(&again, Api::AddMassSend).await.unwrap_err();
    assert_eq!((error.code, error.wait), (Code::Quota, Some(Duration::from_mins(1))));
    clock.advance(Duration::from_secs(61));
    let error = call(&again, Api::AddMassSend).await.unwrap_err();
    assert_eq!(error.wait, Some(Duration::from_hours(1)), "a minute did not help: the hour's window");
    assert_eq!(platform.count(Api::AddMassSend.path()), 2);
}

#[tokio::test]
async fn what_may_have_arrived_is_told_from_what_did_not() {
    let truncated = Reply::Raw(200, "{\"errcode\":0,\"errmsg\":\"ok\",\"msgid\":\"ms".into());
    for (reply, code) in [
        (Reply::Close, Code::Lost),
        (truncated, Code::Unreadable),
        (Reply::Raw(502, "<html>".into()), Code::Http(502)),
    ] {
        let told = reply.clone();
        let platform = Platform::with_token(move |_| told.clone()).await;
        let client = platform.connect(&Clock::system()).client;
        let error = client.call::<_, Value>(Api::AddMassSend, &json!({"text": "加微信"})).await.unwrap_err();
        assert_eq!(error.code, code, "{reply:?}");
        assert!(matches!(error.outcome(), Outcome::Uncertain { .. }), "{reply:?}");
        assert_eq!(platform.asked().len(), 1, "never again by itself");
        let told = format!("{error:?} {:?}", error.outcome());
        assert!(!told.contains("加微信") && !told.contains("access_token"), "{told}");
    }
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let platform = Platform::with_token(|_| done()).await;
    let client = platform
        .connect_with(&Clock::system(), &MemoryState::default(), |spec| {
            spec.settings["api_url"] = json!(format!("http://{free}"));
        })
        .client;
    let error = client.call::<_, Value>(Api::AddMassSend, &json!({})).await.unwrap_err();
    assert_eq!((error.code, error.is_uncertain()), (Code::Connect, false));
}

#[tokio::test]
async fn a_platform_that_never_answers_costs_one_call_time() {
    let platform = Platform::with_token(|_| Reply::Hang).await;
    let mut spec = spec();
    spec.settings["api_url"] = json!(format!("http://{}", platform.address));
    let config = crate::connectors::Config {
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        total_timeout: Duration::from_millis(300),
        ..crate::connectors::Config::default()
    };
    let state = Arc::new(MemoryState::default());
    let account = crate::connectors::wecom::Wecom::build(&spec, &config, &Clock::system(), state).unwrap();
    let error = account.client.call::<_, Value>(Api::AddMassSend, &json!({})).await.unwrap_err();
    assert_eq!((error.code, error.is_uncertain()), (Code::Lost, true));
}

#[tokio::test]
async fn a_robot_has_its_key_its_limit_and_its_uploads() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "webhook/upload_media" => {
            Reply::Json(json!({"errcode": 0, "type": "file", "media_id": "m1", "created_at": "1"}))
        }
        _ => done(),
    })
    .await;
    let clock = Clock::manual(0);
    let client = platform.connect(&clock).client;
    let send = async || client.robot::<_, Done>("watch", Api::RobotSend, &json!({"msgtype": "text"})).await;
    for _ in 0..20 {
        send().await.unwrap();
    }
    let error = send().await.unwrap_err();
    assert_eq!((error.code, error.wait), (Code::Quota, Some(Duration::from_mins(1))));
    assert_eq!(platform.asked()[0].query["key"], "robot-key");

    let by = UploadBy::Robot("watch");
    assert_eq!(client.upload(by, "file", "日报\".csv", b"a,b\r\n").await.unwrap(), "m1");
    let upload = platform.asked().pop().unwrap();
    assert_eq!((upload.query["key"].as_str(), upload.query["type"].as_str()), ("robot-key", "file"));
    let body = String::from_utf8(upload.body.to_vec()).unwrap();
    assert!(body.contains("name=\"media\"; filename=\"日报%22.csv\"; filelength=5\r\n"), "{body}");
    assert!(body.contains("\r\n\r\na,b\r\n\r\n--menshen"), "{body}");

    let error = client.robot::<_, Done>("other", Api::RobotSend, &json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::NoSecret);
    assert_eq!(platform.count("gettoken"), 0, "a robot needs no token");
    assert_eq!(client.robots(), ["watch"]);
}

#[tokio::test]
async fn an_answer_longer_than_the_cap_is_no_answer() {
    let long = format!("{{\"errcode\":0,\"x\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    let platform = Platform::with_token(move |_| Reply::Raw(200, long.clone().into())).await;
    let client = platform.connect(&Clock::system()).client;
    let error = client.call::<_, Value>(Api::GroupChatGet, &json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::Unreadable);
    assert!(error.words().1.contains("wecom_reply_bytes_max"), "{error:?}");
}
