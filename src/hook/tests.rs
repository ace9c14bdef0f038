//! The hook against a receiver that answers, lies, hangs and breaks.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Stopwatch;
use crate::event::{Role, What};
use crate::tasks::{TasksOwner, detached};
use crate::webhooks::client::receiver::{Act, Receiver};
use crate::webhooks::{HEADER_ID, VerifyKey, verify};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_MS: i64 = 1_795_312_800_000;
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn answers(body: &str) -> Act {
    Act::Answer(200, Vec::new(), Bytes::from(body.to_owned()))
}

/// Late verdicts, as they come.
struct Home(mpsc::Sender<GroupEvent<'static>>);

#[async_trait]
impl LateVerdicts for Home {
    async fn take(&self, event: GroupEvent<'static>) -> Result<(), String> {
        self.0.send(event).await.map_err(|error| error.to_string())
    }
}

struct Rig {
    hook: Hook,
    receiver: Receiver,
    late: mpsc::Receiver<GroupEvent<'static>>,
    clock: Clock,
    _tasks: Arc<TasksOwner>,
}

impl Rig {
    async fn start(act: Act, change: impl FnOnce(&mut Config)) -> Self {
        let receiver = Receiver::start(act).await;
        let mut config = Config {
            url: Some(parse_url(&receiver.url()).unwrap()),
            secret: Some(SignKey::parse(SECRET).unwrap()),
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            ..Config::default()
        };
        change(&mut config);
        let clock = Clock::manual(NOW_MS);
        let (hook, asker) = Hook::new(config, clock.clone()).unwrap();
        let (tasks, owner) = detached();
        let (home, late) = mpsc::channel(100);
        tasks.clone().spawn("asker", asker.run(Arc::new(Home(home)), tasks));
        Self { hook, receiver, late, clock, _tasks: owner }
    }

    fn question(&self, id: &str) -> Question {
        let message = Message {
            text: "机密".into(),
            content_type: Some("image".into()),
            attachments: vec![Attachment {
                kind: "image".into(),
                url: Some("https://example.org/1.png".into()),
                sha256: Some("ab".into()),
                title: Some("图".into()),
                ..Attachment::default()
            }],
            ..Message::default()
        };
        self.hook.question(asked(id), &message, Some(Verdict::Pass))
    }

    async fn late(&mut self) -> (String, Opinion<'static>) {
        let event = tokio::time::timeout(PATIENCE, self.late.recv()).await.unwrap().unwrap();
        let What::LateVerdict { of, opinion, .. } = event.what else { panic!("{event:?}") };
        (of.into_owned(), opinion)
    }

    async fn heard(&self, id: &str, within: Duration) -> Option<Heard> {
        let waiting = self.hook.ask_and_wait(self.question(id));
        wait_all(&mut [Some(waiting)], within).await.remove(0)
    }

    fn received(&self) -> usize {
        self.receiver.received.lock().len()
    }
}

fn asked(id: &str) -> Asked {
    Asked {
        account: "demo".into(),
        group: "g-1".into(),
        event: id.into(),
        message: id.into(),
        member: Some("u-1".into()),
        role: Role::Customer,
    }
}

async fn until(what: impl Fn() -> bool) {
    let watch = Stopwatch::start();
    while !what() {
        assert!(watch.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_question_is_signed_and_leaves_the_text_at_home() {
    let mut rig =
        Rig::start(answers(r#"{"verdict": "review", "labels": ["qr"], "confidence": 70}"#), |_| {}).await;
    rig.hook.ask(rig.question("e-1"));
    let (of, opinion) = rig.late().await;
    assert_eq!((&*of, opinion.verdict, opinion.confidence), ("e-1", Verdict::Review, 70));
    assert_eq!((&*opinion.source, &opinion.labels[..]), (Opinion::HOOK, &["qr".into()][..]));
    let received = rig.receiver.received.lock().remove(0);
    let key = VerifyKey::parse(SECRET).unwrap();
    verify(&[key], &received.headers, &received.body, NOW_MS, Duration::from_mins(5)).unwrap();
    assert_eq!(received.headers[HEADER_ID], *asked("e-1").id(Opinion::HOOK));
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(
        body["data"],
        json!({
            "account": "demo", "group": "g-1", "event": "e-1", "member": "u-1", "role": "customer",
            "content_type": "image", "forwarded": false, "verdict": "pass",
            "attachments": [{"kind": "image", "url": "https://example.org/1.png", "appid": null, "title": "图", "sha256": "ab"}],
        })
    );
    let mut rig = Rig::start(answers(r#"{"verdict": "pass"}"#), |config| config.send_text = true).await;
    rig.hook.ask(rig.question("e-2"));
    assert_eq!(rig.late().await.1.verdict, Verdict::Pass);
    let body: Value = serde_json::from_slice(&rig.receiver.received.lock()[0].body).unwrap();
    assert_eq!(body["data"]["text"], "机密");
}

#[tokio::test]
async fn an_answer_in_time_is_heard_and_a_later_one_becomes_an_event_once() {
    let mut rig = Rig::start(answers(r#"{"verdict": "block"}"#), |_| {}).await;
    let Some(Heard::Said(opinion)) = rig.heard("e-1", PATIENCE).await else { panic!("not heard") };
    assert_eq!(opinion.verdict, Verdict::Block);
    // Nobody waits at all: whatever the receiver does, it is late.
    assert_eq!(rig.heard("e-2", Duration::ZERO).await, None);
    assert_eq!(rig.late().await.0, "e-2");
    assert!(rig.late.try_recv().is_err(), "the first was heard and is no event");
}

#[tokio::test]
async fn without_an_answer_it_stands_or_a_person_looks() {
    let faults = [
        Act::Close,
        Act::Hang,
        Act::Answer(500, Vec::new(), Bytes::new()),
        Act::Answer(400, Vec::new(), Bytes::new()),
        Act::Answer(302, vec![("location", "/")], Bytes::new()),
        answers("ok"),
        answers("{}"),
        answers(r#"{"verdict": "mask"}"#),
        answers(r#"{"verdict": "pass", "score": 1}"#),
        answers(r#"{"verdict": "block", "labels": ["two words"]}"#),
        answers(r#"{"verdict": "block", "confidence": 101}"#),
        answers(&format!(r#"{{"verdict": "pass", "labels": ["{}"]}}"#, "a".repeat(9_000))),
    ];
    let quick = Duration::from_millis(300);
    for act in faults {
        let rig = Rig::start(act.clone(), |config| config.timeout = quick).await;
        assert_eq!(rig.heard("e-1", PATIENCE).await, Some(Heard::Nothing), "{act:?}");
        let mut rig = Rig::start(act.clone(), |config| {
            config.timeout = quick;
            config.fail = Fail::Closed;
        })
        .await;
        rig.hook.ask(rig.question("e-1"));
        let (of, opinion) = rig.late().await;
        assert_eq!(
            (&*of, opinion.verdict, &*opinion.labels[0]),
            ("e-1", Verdict::Review, "unanswered"),
            "{act:?}"
        );
        let Some(Heard::Said(opinion)) = rig.heard("e-2", PATIENCE).await else { panic!("{act:?}") };
        assert_eq!(opinion.verdict, Verdict::Review);
    }
}

#[tokio::test]
async fn a_broken_hook_is_left_alone_and_tried_with_one_question() {
    let broken = Act::Answer(503, Vec::new(), Bytes::new());
    let rig = Rig::start(broken, |config| {
        config.breaker.calls_min = 3;
        config.concurrency = NonZeroUsize::MIN;
    })
    .await;
    for n in 0..3 {
        assert_eq!(rig.heard(&format!("e-{n}"), PATIENCE).await, Some(Heard::Nothing));
    }
    for n in 3..20 {
        assert_eq!(rig.heard(&format!("e-{n}"), PATIENCE).await, Some(Heard::Nothing));
    }
    assert_eq!(rig.received(), 3, "the circuit is open");
    rig.clock.advance(rig.hook.config().breaker.pause);
    assert_eq!(rig.heard("e-20", PATIENCE).await, Some(Heard::Nothing));
    assert_eq!(rig.heard("e-21", PATIENCE).await, Some(Heard::Nothing));
    assert_eq!(rig.received(), 4, "one canary, which failed");
    rig.clock.advance(rig.hook.config().breaker.pause * 2);
    *rig.receiver.act.lock() = answers(r#"{"verdict": "pass"}"#);
    for n in 22..25 {
        assert!(matches!(rig.heard(&format!("e-{n}"), PATIENCE).await, Some(Heard::Said(_))));
    }
    assert_eq!(rig.received(), 7);
}

#[tokio::test]
async fn a_full_queue_and_an_old_question_are_given_up() {
    let rig = Rig::start(Act::Hang, |config| {
        config.concurrency = NonZeroUsize::MIN;
        config.queue_max = NonZeroUsize::MIN;
        config.timeout = Duration::from_secs(2);
    })
    .await;
    let first = rig.hook.ask_and_wait(rig.question("e-1"));
    until(|| rig.received() == 1).await;
    let second = rig.hook.ask_and_wait(rig.question("e-2"));
    assert_eq!(rig.heard("e-3", PATIENCE).await, Some(Heard::Nothing), "there is no room");
    rig.clock.advance(rig.hook.config().expiry + Duration::from_secs(1));
    let heard = wait_all(&mut [Some(first), Some(second)], PATIENCE).await;
    assert_eq!(heard, [Some(Heard::Nothing), Some(Heard::Nothing)]);
    assert_eq!(rig.received(), 1, "the second waited too long to be asked");
}

#[tokio::test]
async fn it_goes_to_no_private_address_unless_that_is_meant() {
    let rig = Rig::start(answers(r#"{"verdict": "block"}"#), |config| config.allow_private.clear()).await;
    assert_eq!(rig.heard("e-1", PATIENCE).await, Some(Heard::Nothing));
    assert_eq!(rig.received(), 0);
}

#[test]
fn which_messages_are_asked_about() {
    let when = |kinds: &[&str]| When {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        ..When::default()
    };
    let text = Message { text: "好".into(), ..Message::default() };
    let image = Message { content_type: Some("Image".into()), ..Message::default() };
    let attachments = vec![Attachment { kind: "card".into(), ..Attachment::default() }];
    let card = Message { attachments, ..Message::default() };
    let check = |when: &When, expect: [bool; 3]| {
        assert_eq!([&text, &image, &card].map(|message| when.by_kind(message)), expect, "{when:?}");
    };
    check(&When::default(), [false, true, true]);
    check(&when(&["*"]), [true, true, true]);
    check(&when(&["text"]), [true, false, true]);
    check(&when(&["image"]), [false, true, false]);
}

#[test]
fn an_unusable_setting_is_refused_where_it_is_read() {
    let check = |toml: &str, expect: &str| {
        let error = toml::from_str::<Config>(toml).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(r#"wait = "900ms""#, "800ms");
    check(r#"url = "ftp://example.org""#, "scheme");
    check(r#"secret = "whsec_AAAA""#, "24 to 64");
    check("concurrency = 0", "nonzero");
    check(r#"fail = "ajar""#, "ajar");
    check("[when]\nkind = []", "unknown field");
    assert!(Hook::new(toml::from_str("").unwrap(), Clock::manual(0)).is_none());
}
