//! Deliveries against a platform whose every answer is scripted: what is asked of it, and what is made of its answers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::testing::{Platform, Reply, done, refusal};
use crate::event::{AccountId, DeliveryId};
use crate::outbox::delivery::{Article, Content, Decision, FileKind, Media, Priority, Refusal, RefusalScope};

pub(in crate::connectors::wecom) fn delivery(id: &str, group: &str, payload: Payload) -> Delivery {
    Delivery {
        id: DeliveryId::parse(id).unwrap(),
        account: AccountId::parse("shops").unwrap(),
        group: group.to_owned(),
        member: None,
        kind: "reply".to_owned(),
        rule: String::new(),
        priority: Priority::Normal,
        payload,
        broadcast: None,
        expires_ms: 0,
        cost: 1,
    }
}

fn text(id: &str, group: &str, text: &str) -> Delivery {
    delivery(id, group, Payload::text(text.to_owned()))
}

fn to_member(id: &str, words: &str) -> Delivery {
    Delivery { member: Some("lin".to_owned()), ..text(id, "", words) }
}

fn file(id: &str, group: &str, name: &str) -> Delivery {
    let media = Media { name: name.to_owned(), base64: STANDARD.encode("123456") };
    delivery(id, group, Payload::Content { content: Content::File { media } })
}

fn welcome(id: &str, expires_ms: i64) -> Delivery {
    let payload = Payload::Text {
        text: "欢迎".to_owned(),
        welcome_code: Some("CODE".to_owned()),
        attachments: Vec::new(),
    };
    Delivery { expires_ms, ..delivery(id, "", payload) }
}

const SENT: Outcome = Outcome::Sent { platform_id: None };

#[track_caller]
pub(in crate::connectors::wecom) fn refused(
    outcome: Outcome,
    decision: Decision,
    scope: RefusalScope,
    code: &str,
) -> Refusal {
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.decision, refusal.scope, refusal.code.as_str()), (decision, scope, code));
    refusal
}

#[track_caller]
fn never(outcome: Outcome, code: &str) -> Refusal {
    refused(outcome, Decision::Never, RefusalScope::Delivery, code)
}

#[tokio::test]
async fn a_robots_group_is_written_to_by_its_key() {
    let platform = Platform::with_token(|_| done()).await;
    let wecom = platform.connect(&Clock::system());
    assert_eq!(wecom.deliver(&text("d-1", "robot:watch", "开门了"), 1).await, SENT);
    let asked = platform.asked();
    assert_eq!((asked[0].path.as_str(), asked[0].query["key"].as_str()), ("webhook/send", "robot-key"));
    assert_eq!(asked[0].json(), json!({"msgtype": "text", "text": {"content": "开门了"}}));
    assert_eq!(platform.count("gettoken"), 0, "a robot needs no token");
    let outcome = wecom.deliver(&text("d-2", "robot:nobody", "a"), 1).await;
    refused(outcome, Decision::Never, RefusalScope::Account, "no_secret");
}

#[tokio::test]
async fn what_is_shown_beforehand_is_what_is_called() {
    let platform = Platform::with_token(|_| done()).await;
    let wecom = platform.connect(&Clock::system());
    let url = "https://example.com/a".to_owned();
    let link = Article { title: "会员日".to_owned(), url: url.clone(), ..Article::default() };
    let content = |content| delivery("d-1", "robot:watch", Payload::Content { content });
    for said in [text("d-1", "robot:watch", "开门了"), content(Content::Link { link })] {
        let shown = wecom.render(&said).unwrap();
        assert_eq!(wecom.deliver(&said, 1).await, SENT);
        let asked = platform.asked().pop().unwrap();
        assert_eq!((shown.call, shown.body), (asked.path.as_str(), asked.json()));
    }
    // What would be refused before a call is refused here, in the same words.
    let file = Content::Reference { of: FileKind::Image, name: "a.png".to_owned(), url };
    for said in [content(file), text("d-2", "wrGROUP", "a"), text("d-3", "robot:watch", &"汉".repeat(683))] {
        let refusal = wecom.render(&said).unwrap_err();
        assert_eq!(wecom.deliver(&said, 1).await, Outcome::Refused(refusal));
    }
    assert_eq!(platform.asked().len(), 2);
}

#[tokio::test]
async fn what_a_surface_does_not_take_is_refused_before_a_call() {
    let platform = Platform::with_token(|_| done()).await;
    let wecom = platform.connect(&Clock::system());
    let long = "汉".repeat(683);
    for group in ["robot:watch", "appchat:abc"] {
        never(wecom.deliver(&text("d-1", group, &long), 1).await, "text_too_long");
    }
    never(wecom.deliver(&to_member("d-2", &long), 1).await, "text_too_long");
    let refusal = never(wecom.deliver(&text("d-3", "wrGROUP", "a"), 1).await, "unsupported");
    assert!(refusal.detail.contains("客户群"), "{}", refusal.detail);
    never(wecom.deliver(&text("d-4", "", "a"), 1).await, "no_receiver");
    let act = |group: &str, action| {
        let payload = Payload::Action { action, of: None };
        Delivery { member: Some("lin".to_owned()), ..delivery("d-5", group, payload) }
    };
    for action in [ActionKind::Recall, ActionKind::Mute, ActionKind::Warn] {
        never(wecom.deliver(&act("appchat:abc", action), 1).await, "unsupported");
    }
    never(wecom.deliver(&act("wrGROUP", ActionKind::Remove), 1).await, "unsupported");
    for group in ["robot:watch", "appchat:abc"] {
        let greeted = Delivery { group: group.to_owned(), ..welcome("d-6", 0) };
        never(wecom.deliver(&greeted, 1).await, "unsupported");
        let (sender, targets, text) = ("lin".to_owned(), vec![(0, "wr1".to_owned())], "a".to_owned());
        let mass_send =
            delivery("d-7", group, Payload::MassSend { sender, targets, text, attachments: Vec::new() });
        never(wecom.deliver(&mass_send, 1).await, "unsupported");
    }
    assert_eq!(platform.asked().len(), 0);
    assert_eq!(wecom.resolve(&text("d-3", "wrGROUP", "a")).await, Resolution::NotSent);
}

#[tokio::test]
async fn a_file_is_uploaded_once_for_all_robots() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "webhook/upload_media" => {
            Reply::Json(json!({"errcode": 0, "type": "file", "media_id": format!("M{}", asked.nth)}))
        }
        _ => done(),
    })
    .await;
    let wecom = platform.connect(&Clock::system());
    for (id, name) in [("d-1", "a.pdf"), ("d-2", "a.pdf"), ("d-3", "b.pdf")] {
        assert_eq!(wecom.deliver(&file(id, "robot:watch", name), 1).await, SENT);
    }
    assert_eq!(platform.count("webhook/upload_media"), 2);
    let asked = platform.asked();
    let sent: Vec<_> = asked.iter().filter(|asked| asked.path == "webhook/send").collect();
    let id_of = |nth: usize| sent[nth].json()["file"]["media_id"].as_str().unwrap().to_owned();
    assert_eq!([id_of(0), id_of(1), id_of(2)], ["M0", "M0", "M1"]);
}

#[tokio::test]
async fn an_id_that_wecom_forgot_is_uploaded_again_once() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "webhook/upload_media" => Reply::Json(json!({"errcode": 0, "media_id": format!("M{}", asked.nth)})),
        _ if asked.json()["file"]["media_id"] == "M0" => refusal(40007),
        _ => done(),
    })
    .await;
    let wecom = platform.connect(&Clock::system());
    assert_eq!(wecom.deliver(&file("d-1", "robot:watch", "a"), 1).await, SENT);
    assert_eq!((platform.count("webhook/upload_media"), platform.count("webhook/send")), (2, 2));

    let forgetful = Platform::with_token(|asked| match asked.path.as_str() {
        "webhook/upload_media" => Reply::Json(json!({"errcode": 0, "media_id": "M"})),
        _ => refusal(40007),
    })
    .await;
    let wecom = forgetful.connect(&Clock::system());
    never(wecom.deliver(&file("d-1", "robot:watch", "a"), 1).await, "40007");
    assert_eq!(forgetful.count("webhook/send"), 2, "and no more");
}

#[tokio::test]
async fn a_lost_upload_said_nothing_and_a_lost_message_is_in_doubt() {
    let platform = Platform::with_token(|_| Reply::Close).await;
    let wecom = platform.connect(&Clock::system());
    let outcome = wecom.deliver(&file("d-1", "robot:watch", "a"), 1).await;
    refused(outcome, Decision::Backoff, RefusalScope::Delivery, "lost");
    let delivery = text("d-2", "robot:watch", "a");
    assert!(matches!(wecom.deliver(&delivery, 1).await, Outcome::Uncertain { .. }));
    assert_eq!(wecom.resolve(&delivery).await, Resolution::Unknown);
    assert_eq!(wecom.resolve(&text("d-3", "appchat:abc", "a")).await, Resolution::Unknown);
}

#[tokio::test]
async fn a_message_to_staff_asks_for_repeats_to_be_dropped() {
    let platform = Platform::with_token(|_| Reply::Json(json!({"errcode": 0, "msgid": "m-1"}))).await;
    let wecom = platform.connect(&Clock::system());
    let outcome = wecom.deliver(&to_member("d-1", "请确认群发"), 1).await;
    assert_eq!(outcome, Outcome::Sent { platform_id: Some("m-1".to_owned()) });
    assert_eq!(
        platform.asked()[0].json(),
        json!({"touser": "lin", "agentid": 1_000_002, "msgtype": "text", "text": {"content": "请确认群发"},
               "safe": 0, "enable_duplicate_check": 1, "duplicate_check_interval": 1800})
    );
}

#[tokio::test]
async fn the_same_words_of_another_delivery_are_not_swallowed() {
    let platform = Platform::with_token(|_| done()).await;
    let clock = Clock::manual(1_000_000);
    let wecom = platform.connect(&clock);
    let check = |nth: usize| platform.asked()[nth].json()["enable_duplicate_check"].clone();
    for id in ["d-1", "d-2"] {
        assert_eq!(wecom.deliver(&to_member(id, "有新的待办"), 1).await, SENT);
    }
    assert_eq!((check(0), check(1)), (json!(1), json!(0)));
    clock.advance(Duration::from_mins(30));
    wecom.deliver(&to_member("d-3", "有新的待办"), 1).await;
    assert_eq!(check(2), json!(1), "half an hour later nobody drops it");
}

#[tokio::test]
async fn a_lost_message_to_staff_may_be_repeated_for_a_while_and_also_after_a_restart() {
    let platform = Platform::with_token(|asked| if asked.nth == 0 { Reply::Close } else { done() }).await;
    let (clock, state) = (Clock::manual(1_000_000), MemoryState::default());
    let lost = to_member("d-1", "a");
    let outcome = platform.connect_with(&clock, &state, |_| {}).deliver(&lost, 1).await;
    assert!(matches!(outcome, Outcome::Uncertain { .. }));
    let wecom = platform.connect_with(&clock, &state, |_| {});
    assert_eq!(wecom.resolve(&lost).await, Resolution::SafeToRepeat);
    assert_eq!(wecom.deliver(&lost, 2).await, SENT);
    assert_eq!(platform.asked()[1].json()["enable_duplicate_check"], 1);
    assert_eq!(wecom.resolve(&lost).await, Resolution::Sent);
    assert_eq!(wecom.resolve(&to_member("d-9", "a")).await, Resolution::NotSent, "it was never called");
}

#[tokio::test]
async fn a_lost_message_that_nobody_drops_again_stays_in_doubt() {
    let platform = Platform::with_token(|asked| if asked.nth == 0 { done() } else { Reply::Close }).await;
    let clock = Clock::manual(1_000_000);
    let wecom = platform.connect(&clock);
    wecom.deliver(&to_member("d-1", "a"), 1).await;
    wecom.deliver(&to_member("d-2", "a"), 1).await;
    assert_eq!(wecom.resolve(&to_member("d-2", "a")).await, Resolution::Unknown, "it went out unchecked");
    wecom.deliver(&to_member("d-3", "b"), 1).await;
    clock.advance(Duration::from_mins(29));
    assert_eq!(
        wecom.resolve(&to_member("d-3", "b")).await,
        Resolution::Unknown,
        "a repeat may come too late"
    );
}

#[tokio::test]
async fn a_message_that_did_not_reach_its_member_is_refused_although_the_errcode_is_zero() {
    for (answer, code) in [
        (json!({"errcode": 0, "invaliduser": "lin", "msgid": "m"}), "invalid_member"),
        (json!({"errcode": 0, "invaliduser": "", "unlicenseduser": "lin"}), "unlicensed_member"),
    ] {
        let platform = Platform::with_token(move |_| Reply::Json(answer.clone())).await;
        let wecom = platform.connect(&Clock::system());
        never(wecom.deliver(&to_member("d-1", "a"), 1).await, code);
    }
    let platform = Platform::with_token(|_| Reply::Json(json!({"errcode": 0, "invaliduser": null}))).await;
    let wecom = platform.connect(&Clock::system());
    assert_eq!(wecom.deliver(&to_member("d-1", "a"), 1).await, SENT);
    let everybody = Delivery { member: Some("@all".to_owned()), ..to_member("d-2", "a") };
    never(wecom.deliver(&everybody, 1).await, "bad_member");
    assert_eq!(platform.asked().len(), 1);
}

#[tokio::test]
async fn a_welcome_goes_out_by_its_code_and_says_why_it_did_not() {
    let greet = async |errcode| {
        let platform =
            Platform::with_token(move |_| if errcode == 0 { done() } else { refusal(errcode) }).await;
        let outcome = platform.connect(&Clock::manual(1_000)).deliver(&welcome("d-1", 21_000), 1).await;
        (outcome, platform)
    };
    let (outcome, platform) = greet(0).await;
    assert_eq!(outcome, SENT);
    let asked = platform.asked();
    assert_eq!(asked[0].path, "externalcontact/send_welcome_msg");
    assert_eq!(asked[0].json(), json!({"welcome_code": "CODE", "text": {"content": "欢迎"}}));
    never(greet(41050).await.0, "welcome_code_expired");
    never(greet(41051).await.0, "welcome_already_sent");
    let outcome = greet(41096).await.0;
    let Outcome::Refused(Refusal { decision: Decision::After(wait), .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(wait <= Duration::from_secs(5), "the code lives for twenty seconds");
}

#[tokio::test]
async fn a_welcome_whose_call_was_lost_is_repeated_and_a_used_code_settles_it() {
    let platform =
        Platform::with_token(|asked| if asked.nth == 0 { Reply::Close } else { refusal(41051) }).await;
    let clock = Clock::manual(1_000);
    let wecom = platform.connect(&clock);
    let lost = welcome("d-1", 21_000);
    let outcome = wecom.deliver(&lost, 1).await;
    refused(outcome, Decision::Backoff, RefusalScope::Delivery, "lost");
    assert_eq!(wecom.resolve(&lost).await, Resolution::SafeToRepeat);
    assert_eq!(wecom.deliver(&lost, 2).await, SENT);
    never(wecom.deliver(&welcome("d-2", 21_000), 1).await, "welcome_already_sent");
    clock.advance(Duration::from_secs(20));
    assert_eq!(wecom.resolve(&lost).await, Resolution::Unknown);
    never(wecom.deliver(&welcome("d-3", 21_000), 1).await, "welcome_code_expired");
    assert_eq!(platform.asked().len(), 3, "no call after the code's time");
}

fn own_group(asked: &crate::connectors::wecom::testing::Asked) -> Reply {
    let chat = json!({"chatid": "abc", "name": "店长群", "owner": "lin", "userlist": ["lin", "wu", "mo"]});
    match asked.path.as_str() {
        "appchat/get" => Reply::Json(json!({"errcode": 0, "chat_info": chat})),
        _ => done(),
    }
}

#[tokio::test]
async fn a_group_of_ours_is_read_before_it_is_written_to_and_costs_its_people() {
    let platform = Platform::with_token(own_group).await;
    let clock = Clock::manual(1_000_000);
    let wecom = platform.connect(&clock);
    let said = text("d-1", "appchat:abc", "早会");
    assert_eq!(wecom.cost(&said), 1, "not read yet");
    for _ in 0..2 {
        assert_eq!(wecom.deliver(&said, 1).await, SENT);
    }
    assert_eq!(wecom.cost(&said), 3);
    assert_eq!((platform.count("appchat/get"), platform.count("appchat/send")), (1, 2));
    let asked = platform.asked();
    let sent = asked.iter().find(|asked| asked.path == "appchat/send").unwrap();
    let expect = json!({"chatid": "abc", "msgtype": "text", "text": {"content": "早会"}, "safe": 0});
    assert_eq!(sent.json(), expect);
    clock.advance(Duration::from_mins(10));
    wecom.deliver(&said, 1).await;
    assert_eq!(platform.count("appchat/get"), 2, "people may have changed in the client");
}

#[tokio::test]
async fn a_member_is_taken_out_of_a_group_of_ours() {
    let platform = Platform::with_token(own_group).await;
    let wecom = platform.connect(&Clock::system());
    wecom.deliver(&text("d-1", "appchat:abc", "a"), 1).await;
    let payload = Payload::Action { action: ActionKind::Remove, of: None };
    let remove = Delivery { member: Some("mo".to_owned()), ..delivery("d-2", "appchat:abc", payload) };
    assert_eq!(wecom.deliver(&remove, 1).await, SENT);
    let asked = platform.asked();
    assert_eq!(asked.last().unwrap().json(), json!({"chatid": "abc", "del_user_list": ["mo"]}));
    assert_eq!(wecom.resolve(&remove).await, Resolution::SafeToRepeat);
    wecom.deliver(&text("d-3", "appchat:abc", "a"), 1).await;
    assert_eq!(platform.count("appchat/get"), 2, "who is in it is read again");
}

#[tokio::test]
async fn errcodes_become_outcomes() {
    for (errcode, decision, scope) in [
        (93000, Decision::PauseLane, RefusalScope::Group),
        (40058, Decision::Never, RefusalScope::Delivery),
        (50003, Decision::PauseLane, RefusalScope::Account),
    ] {
        let platform = Platform::with_token(move |_| refusal(errcode)).await;
        let outcome = platform.connect(&Clock::system()).deliver(&text("d-1", "robot:watch", "a"), 1).await;
        refused(outcome, decision, scope, &errcode.to_string());
    }
    let platform = Platform::with_token(|_| refusal(45009)).await;
    let outcome = platform.connect(&Clock::system()).deliver(&text("d-1", "robot:watch", "a"), 1).await;
    let Outcome::Refused(Refusal { decision: Decision::After(wait), scope: RefusalScope::Group, .. }) =
        outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(wait > Duration::ZERO && wait <= Duration::from_mins(1), "{wait:?}");
}
