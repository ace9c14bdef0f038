//! Mass sends against a platform whose every answer is scripted.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::connectors::offers::{MassSends, TargetResult, TaskProgress};
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::Wecom;
use crate::connectors::wecom::deliver::tests::{delivery, refused};
use crate::connectors::wecom::testing::{Asked, Platform, Reply, done, refusal};
use crate::outbox::delivery::{
    Article, Content, Decision, Deliver, Delivery, FileKind, Miniprogram, Outcome, Payload, RefusalScope,
    Resolution,
};

const TEXT: &str = "本周新品到店，欢迎选购";

fn mass_send(id: &str, groups: &[&str]) -> Delivery {
    let targets = (0..).zip(groups).map(|(nth, group)| (nth, (*group).to_owned())).collect();
    let (sender, text) = ("lin".to_owned(), TEXT.to_owned());
    delivery(id, "", Payload::MassSend { sender, targets, text, attachments: Vec::new() })
}

/// The same, or with another text, and these things going with it.
fn with(id: &str, groups: &[&str], said: &str, attached: Vec<Content>) -> Delivery {
    let mut send = mass_send(id, groups);
    if let Payload::MassSend { text, attachments, .. } = &mut send.payload {
        (*text, *attachments) = (said.to_owned(), attached);
    }
    send
}

fn link(title: &str) -> Content {
    let url = "https://shop.example/vip".to_owned();
    let description = "满两百减三十".to_owned();
    Content::Link { link: Article { title: title.to_owned(), description, url, picture_url: String::new() } }
}

fn created(task: &str, fail_list: &[&str]) -> Reply {
    Reply::Json(json!({"errcode": 0, "msgid": task, "fail_list": fail_list}))
}

fn awaiting(task: &str) -> Outcome {
    Outcome::AwaitingConfirmation { platform_id: task.to_owned() }
}

#[tokio::test]
async fn a_task_is_made_for_one_owner_and_waits_for_them() {
    let platform = Platform::with_token(|_| created("msg1", &[])).await;
    let wecom = platform.connect(&Clock::system());
    let shown = wecom.render(&mass_send("d-1", &["wr1", "wr2"])).unwrap();
    assert_eq!(wecom.deliver(&mass_send("d-1", &["wr1", "wr2"]), 1).await, awaiting("msg1"));
    let created = platform.asked().into_iter().find(|asked| asked.path == shown.call).unwrap();
    assert_eq!(created.json(), shown.body);
    let asked = platform.asked();
    assert_eq!(asked[0].path, "externalcontact/add_msg_template");
    assert_eq!(
        asked[0].json(),
        json!({"chat_type": "group", "sender": "lin", "chat_id_list": ["wr1", "wr2"], "text": {"content": TEXT}})
    );
    assert_eq!(wecom.deliver(&mass_send("d-1", &["wr1", "wr2"]), 2).await, awaiting("msg1"));
    assert_eq!(platform.asked().len(), 1, "what was answered is not asked for again");
}

#[tokio::test]
async fn a_link_goes_with_the_text_or_without_one() {
    let platform = Platform::with_token(|_| created("msg1", &[])).await;
    let wecom = platform.connect(&Clock::system());
    let sends =
        [with("d-1", &["wr1"], TEXT, vec![link("会员日")]), with("d-2", &["wr1"], "", vec![link("会员日")])];
    for send in &sends {
        assert_eq!(wecom.deliver(send, 1).await, awaiting("msg1"));
    }
    let part = json!({"title": "会员日", "desc": "满两百减三十", "url": "https://shop.example/vip"});
    let attachments = json!([{"msgtype": "link", "link": part}]);
    let base =
        json!({"chat_type": "group", "sender": "lin", "chat_id_list": ["wr1"], "attachments": attachments});
    let mut with_text = base.clone();
    with_text["text"] = json!({"content": TEXT});
    let asked: Vec<Value> = platform.asked().iter().map(Asked::json).collect();
    assert_eq!(asked, [with_text.clone(), base]);
    assert_eq!(wecom.render(&sends[0]).unwrap().body, with_text, "shown beforehand as it is sent");
}

fn picture(url: &str) -> Content {
    let (name, url) = ("a.png".to_owned(), url.to_owned());
    Content::Reference { of: FileKind::Image, name, url }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

/// A platform that takes uploads and tasks, and has a file at `/a.png`.
fn takes_files(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/a.png" => Reply::Raw(200, Bytes::from_static(PNG)),
        "media/upload" => Reply::Json(json!({"errcode": 0, "media_id": format!("M{}", asked.nth)})),
        "externalcontact/add_msg_template" => created("msg1", &[]),
        _ => Reply::Raw(404, Bytes::from_static(b"not here")),
    }
}

#[tokio::test]
async fn a_file_at_an_address_is_fetched_and_uploaded_once_for_all_tasks() {
    let platform = Platform::with_token(takes_files).await;
    let url = format!("http://{}/a.png", platform.address);
    let card = Content::Miniprogram {
        miniprogram: Miniprogram {
            appid: "wx1".to_owned(),
            page: "pages/vip".to_owned(),
            title: "会员日".to_owned(),
            picture_url: url.clone(),
        },
    };
    let clock = Clock::manual(1_700_000_000_000);
    let wecom = platform.connect(&clock);
    for nth in 0..3 {
        let send = with(&format!("d-{nth}"), &["wr1"], TEXT, vec![picture(&url), card.clone()]);
        assert_eq!(wecom.deliver(&send, 1).await, awaiting("msg1"));
    }
    let counts = || (platform.count("/a.png"), platform.count("media/upload"));
    assert_eq!(counts(), (2, 2), "under two names: what people see, and what they do not");
    let last = platform.asked().pop().unwrap().json();
    let shown = json!({"title": "会员日", "appid": "wx1", "page": "pages/vip", "pic_media_id": "M1"});
    let expect = json!([{"msgtype": "image", "image": {"media_id": "M0"}}, {"msgtype": "miniprogram", "miniprogram": shown}]);
    assert_eq!(last["attachments"], expect);
    // What lies there may be another file by then; it is not, so it is not uploaded again.
    clock.advance(Duration::from_hours(1));
    wecom.deliver(&with("d-9", &["wr1"], TEXT, vec![picture(&url)]), 1).await;
    assert_eq!(counts(), (3, 2));
    clock.advance(Duration::from_hours(72));
    wecom.deliver(&with("d-10", &["wr1"], TEXT, vec![picture(&url)]), 1).await;
    assert_eq!(counts(), (4, 3), "WeCom has forgotten it");
}

#[tokio::test]
async fn a_file_that_the_platform_has_forgotten_is_uploaded_once_more() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "externalcontact/add_msg_template" if asked.nth == 0 => refusal(40007),
        _ => takes_files(asked),
    })
    .await;
    let url = format!("http://{}/a.png", platform.address);
    let wecom = platform.connect(&Clock::system());
    let send = with("d-1", &["wr1"], "", vec![picture(&url)]);
    assert_eq!(wecom.deliver(&send, 1).await, awaiting("msg1"));
    assert_eq!(platform.count("media/upload"), 2);
    assert_eq!(platform.asked().pop().unwrap().json()["attachments"][0]["image"]["media_id"], "M1");
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_told_and_no_task_is_made() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "/away.png" => Reply::Raw(503, Bytes::new()),
        "/text.png" => Reply::Raw(200, Bytes::from_static(b"no picture at all")),
        _ => takes_files(asked),
    })
    .await;
    let clock = Clock::manual(1_700_000_000_000);
    let wecom = platform.connect(&clock);
    let base = format!("http://{}", platform.address);
    for (path, decision, code) in [
        ("/gone.png", Decision::Never, "file_unreachable"),
        ("/away.png", Decision::Backoff, "file_unreachable"),
        ("/text.png", Decision::Never, "media_format"),
    ] {
        for nth in 0..2 {
            let send = with(&format!("d-{nth}"), &["wr1"], TEXT, vec![picture(&format!("{base}{path}"))]);
            refused(wecom.deliver(&send, 1).await, decision, RefusalScope::Delivery, code);
            assert_eq!(wecom.resolve(&send).await, Resolution::NotSent);
        }
        assert_eq!(platform.count(path), 1, "it is left alone for a while");
    }
    let inside = with("d-3", &["wr1"], TEXT, vec![picture("http://169.254.169.254/meta.png")]);
    refused(wecom.deliver(&inside, 1).await, Decision::Never, RefusalScope::Delivery, "file_address");
    assert_eq!(platform.count("externalcontact/add_msg_template") + platform.count("media/upload"), 0);
    clock.advance(Duration::from_mins(1));
    let send = with("d-4", &["wr1"], TEXT, vec![picture(&format!("{base}/away.png"))]);
    wecom.deliver(&send, 1).await;
    assert_eq!(platform.count("/away.png"), 2);
}

#[tokio::test]
async fn what_no_task_can_be_is_refused_before_a_call() {
    let platform = Platform::with_token(|_| created("msg1", &[])).await;
    let wecom = platform.connect(&Clock::system());
    let many: Vec<String> = (0..2_001).map(|nth| format!("wr{nth}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let never = |outcome, code| refused(outcome, Decision::Never, RefusalScope::Delivery, code);
    never(wecom.deliver(&mass_send("d-1", &many), 1).await, "wrong_count");
    never(wecom.deliver(&mass_send("d-2", &[]), 1).await, "wrong_count");
    let by = |sender: &str, text: String| {
        let (sender, targets) = (sender.to_owned(), vec![(0, "wr1".to_owned())]);
        delivery("d-3", "", Payload::MassSend { sender, targets, text, attachments: Vec::new() })
    };
    never(wecom.deliver(&by("", TEXT.to_owned()), 1).await, "no_sender");
    never(wecom.deliver(&by("lin", "汉".repeat(1_334)), 1).await, "text_too_long");
    let attached = |attached| with("d-5", &["wr1"], TEXT, attached);
    never(wecom.deliver(&attached(vec![link("会员日"); 10]), 1).await, "wrong_count");
    never(wecom.deliver(&attached(vec![link(&"长".repeat(43))]), 1).await, "text_too_long");
    let marked = Content::Markdown { text: "**周末**".to_owned() };
    never(wecom.deliver(&attached(vec![marked]), 1).await, "unsupported");
    never(wecom.deliver(&with("d-6", &["wr1"], "", Vec::new()), 1).await, "text_empty");
    assert_eq!(platform.asked().len(), 0);
    assert_eq!(wecom.deliver(&mass_send("d-4", &many[..2_000]), 1).await, awaiting("msg1"));
}

#[tokio::test]
async fn a_refused_task_leaves_nothing_in_doubt() {
    let platform = Platform::with_token(|_| refusal(41048)).await;
    let wecom = platform.connect(&Clock::system());
    let send = mass_send("d-1", &["wr1"]);
    let outcome = wecom.deliver(&send, 1).await;
    refused(outcome, Decision::Never, RefusalScope::Delivery, "41048");
    assert_eq!(wecom.resolve(&send).await, Resolution::NotSent);
}

/// Id, owner, text, groups.
type Task = (&'static str, &'static str, String, &'static [&'static str]);

/// A platform that loses the answer to the making of a task, and then lists these.
fn lists(asked: &Asked, tasks: &[Task]) -> Reply {
    match asked.path.as_str() {
        "externalcontact/add_msg_template" => Reply::Close,
        "externalcontact/get_groupmsg_list_v2" => {
            // One a page, so that the list has to be read to its end.
            let at: usize = asked.json()["cursor"].as_str().unwrap().parse().unwrap_or(0);
            let page: Vec<Value> = tasks
                .get(at)
                .map(|(msgid, creator, text, _)| {
                    json!({"msgid": msgid, "creator": creator, "create_time": 1, "text": {"content": text}})
                })
                .into_iter()
                .collect();
            let next = if at + 1 < tasks.len() { (at + 1).to_string() } else { String::new() };
            Reply::Json(json!({"errcode": 0, "group_msg_list": page, "next_cursor": next}))
        }
        "externalcontact/get_groupmsg_send_result" => {
            let msgid = asked.json()["msgid"].as_str().unwrap().to_owned();
            let (_, _, _, groups) = tasks.iter().find(|(id, ..)| *id == msgid).unwrap();
            let list: Vec<Value> =
                groups.iter().map(|group| json!({"chat_id": group, "status": 0})).collect();
            Reply::Json(json!({"errcode": 0, "send_list": list}))
        }
        _ => done(),
    }
}

/// Loses the answer, waits, and says what is found and how often a task was asked for.
async fn lost(tasks: Vec<Task>, wait: Duration) -> (Resolution, Wecom, Platform) {
    let platform = Platform::with_token(move |asked| lists(asked, &tasks)).await;
    let (clock, state) = (Clock::manual(1_700_000_000_000), MemoryState::default());
    let send = mass_send("d-1", &["wr1", "wr2"]);
    let outcome = platform.connect_with(&clock, &state, |_| {}).deliver(&send, 1).await;
    assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");
    clock.advance(wait);
    // As after a restart.
    let wecom = platform.connect_with(&clock, &state, |_| {});
    let resolution = wecom.resolve(&send).await;
    assert_eq!(platform.count("externalcontact/add_msg_template"), 1);
    (resolution, wecom, platform)
}

const SOON: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_lost_task_is_found_by_owner_text_and_groups() {
    let tasks: Vec<Task> = vec![
        ("msg0", "wu", TEXT.to_owned(), &["wr1", "wr2"]),
        ("msg1", "lin", "别的内容".to_owned(), &["wr1", "wr2"]),
        ("msg2", "lin", TEXT.to_owned(), &["wr8", "wr9"]),
        ("msg3", "lin", format!("{TEXT}\n"), &["wr2"]),
    ];
    let (resolution, wecom, platform) = lost(tasks, SOON).await;
    assert_eq!(resolution, Resolution::Awaiting { platform_id: "msg3".to_owned() });
    let asked = platform.asked();
    let list = asked.iter().find(|asked| asked.path.ends_with("list_v2")).unwrap().json();
    assert_eq!(
        list,
        json!({"chat_type": "group", "filter_type": 2, "limit": 100, "cursor": "",
               "start_time": 1_700_000_000 - 120, "end_time": 1_700_000_005 + 120})
    );
    assert_eq!(wecom.deliver(&mass_send("d-1", &["wr1", "wr2"]), 2).await, awaiting("msg3"));
    assert_eq!(platform.count("externalcontact/add_msg_template"), 1, "what was found is not made again");
}

#[tokio::test]
async fn a_lost_task_is_told_from_another_by_what_goes_with_its_text() {
    let titles = ["周末", "会员日"];
    let platform = Platform::with_token(move |asked| match asked.path.as_str() {
        "externalcontact/get_groupmsg_list_v2" => {
            let task = |(nth, title): (usize, &str)| {
                let link = json!({"title": title, "url": "https://shop.example/vip", "picurl": ""});
                json!({"msgid": format!("msg{nth}"), "creator": "lin", "create_time": 1, "text": {"content": TEXT},
                       "attachments": [{"msgtype": "link", "link": link}]})
            };
            let tasks: Vec<Value> = titles.into_iter().enumerate().map(task).collect();
            Reply::Json(json!({"errcode": 0, "group_msg_list": tasks}))
        }
        "externalcontact/get_groupmsg_send_result" => {
            Reply::Json(json!({"errcode": 0, "send_list": [{"chat_id": "wr1", "status": 0}]}))
        }
        _ => Reply::Close,
    })
    .await;
    let clock = Clock::manual(1_700_000_000_000);
    let wecom = platform.connect(&clock);
    let sends = [
        (
            with("d-1", &["wr1"], TEXT, vec![link("会员日")]),
            Resolution::Awaiting { platform_id: "msg1".to_owned() },
        ),
        (with("d-2", &["wr1"], TEXT, vec![link("新品")]), Resolution::NotSent),
        (with("d-3", &["wr1"], TEXT, Vec::new()), Resolution::NotSent),
    ];
    for (send, _) in &sends {
        let outcome = wecom.deliver(send, 1).await;
        assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");
    }
    clock.advance(LATE);
    for (send, expect) in &sends {
        assert_eq!(wecom.resolve(send).await, *expect, "{}", send.id);
    }
}

#[tokio::test]
async fn a_lost_task_that_nobody_can_tell_from_another_stays_in_doubt() {
    let tasks: Vec<Task> = vec![
        ("msg1", "lin", TEXT.to_owned(), &["wr1", "wr2"]),
        ("msg2", "lin", TEXT.to_owned(), &["wr1", "wr2"]),
    ];
    assert_eq!(lost(tasks, LATE).await.0, Resolution::Unknown);
}

#[tokio::test]
async fn a_task_that_is_not_listed_was_not_made_but_not_at_once() {
    assert_eq!(lost(Vec::new(), SOON).await.0, Resolution::Unknown);
    assert_eq!(lost(Vec::new(), LATE).await.0, Resolution::NotSent);
    let others: Vec<Task> = vec![("msg2", "lin", TEXT.to_owned(), &["wr8"])];
    assert_eq!(lost(others, LATE).await.0, Resolution::NotSent);
}

#[tokio::test]
async fn nothing_is_concluded_from_half_a_list() {
    for (path, reply) in [
        ("externalcontact/get_groupmsg_list_v2", refusal(48002)),
        ("externalcontact/get_groupmsg_list_v2", Reply::Json(json!({"errcode": 0, "next_cursor": "again"}))),
        ("externalcontact/get_groupmsg_send_result", refusal(41063)),
        ("externalcontact/get_groupmsg_send_result", Reply::Json(json!({"errcode": 0}))),
    ] {
        let platform = Platform::with_token(move |asked| {
            if asked.path == path {
                return reply.clone();
            }
            lists(asked, &[("msg1", "lin", TEXT.to_owned(), &["wr1"])])
        })
        .await;
        let clock = Clock::manual(1_700_000_000_000);
        let wecom = platform.connect(&clock);
        let send = mass_send("d-1", &["wr1"]);
        wecom.deliver(&send, 1).await;
        clock.advance(LATE);
        assert_eq!(wecom.resolve(&send).await, Resolution::Unknown, "{path}");
    }
}

#[tokio::test]
async fn an_answer_without_an_id_is_in_doubt() {
    let platform = Platform::with_token(|_| done()).await;
    let wecom = platform.connect(&Clock::system());
    let outcome = wecom.deliver(&mass_send("d-1", &["wr1"]), 1).await;
    assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");
}

/// Answers with these members of the task, then these results, page by page.
fn told(asked: &Asked, members: &Value, results: &[Value]) -> Reply {
    let at: usize = asked.json()["cursor"].as_str().unwrap_or_default().parse().unwrap_or(0);
    match asked.path.as_str() {
        "externalcontact/add_msg_template" => created("msg1", &["wr4"]),
        "externalcontact/get_groupmsg_task" => Reply::Json(json!({"errcode": 0, "task_list": members})),
        _ => {
            let next = if at + 1 < results.len() { (at + 1).to_string() } else { String::new() };
            Reply::Json(json!({"errcode": 0, "send_list": results[at], "next_cursor": next}))
        }
    }
}

#[tokio::test]
async fn progress_is_read_page_by_page_in_both_spellings_of_sent() {
    for status in [1, 2] {
        let members = json!([{"userid": "wu", "status": 0}, {"userid": "lin", "status": status, "send_time": 1_700_000_100}]);
        let results = [
            json!([{"chat_id": "wr1", "status": 1}, {"chat_id": "wr2", "status": 3}]),
            json!([{"chat_id": "wr3", "status": 0}, {"external_userid": "wm1", "status": 1}]),
        ];
        let platform = Platform::with_token(move |asked| told(asked, &members, &results)).await;
        let wecom = platform.connect(&Clock::system());
        let progress = wecom.acts.progress("msg1", "lin").await.unwrap();
        let target = |group: &str, result| (group.to_owned(), result);
        let expect = TaskProgress {
            confirmed_ms: Some(1_700_000_100_000),
            targets: vec![
                target("wr1", TargetResult::Sent),
                target("wr2", TargetResult::Failed("already_received")),
                target("wr3", TargetResult::Unsent),
            ],
            is_dispatching: false,
        };
        assert_eq!(progress, expect);
    }
}

#[tokio::test]
async fn groups_refused_when_a_task_is_made_are_told_before_anybody_confirms() {
    let members = json!([{"userid": "lin", "status": 0}]);
    let platform = Platform::with_token(move |asked| told(asked, &members, &[])).await;
    let state = MemoryState::default();
    let connect = || platform.connect_with(&Clock::system(), &state, |_| {});
    assert_eq!(connect().deliver(&mass_send("d-1", &["wr1", "wr4"]), 1).await, awaiting("msg1"));
    let progress = connect().acts.progress("msg1", "lin").await.unwrap();
    assert_eq!(progress.confirmed_ms, None);
    assert_eq!(progress.targets, [("wr4".to_owned(), TargetResult::Failed("refused"))]);
    assert_eq!(platform.count("externalcontact/get_groupmsg_send_result"), 0, "nothing to read yet");
}

#[tokio::test]
async fn codes_of_tasks_have_names() {
    let answers = Mutex::new(vec![41093, 41093, 41094, 41063]);
    let platform = Platform::with_token(move |_| refusal(answers.lock().pop().unwrap())).await;
    let wecom = platform.connect(&Clock::system());
    assert!(wecom.acts.progress("msg1", "lin").await.unwrap().is_dispatching);
    assert_eq!(wecom.acts.remind("msg1").await.unwrap_err().code, "remind_cap");
    assert_eq!(wecom.acts.remind("msg1").await.unwrap_err().code, "cancelled");
    assert_eq!(wecom.acts.cancel("msg1").await, Ok(()), "what is asked for is so");
}
