//! The verdict hook through the real pipeline and journal, over restarts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::clock::{Clock, Stopwatch};
use crate::event::{Answer, Attachment, Message, Opinion, Status, What};
use crate::hook::{Config, Fail};
use crate::ingest::testing::{House, NOW_MS, event};
use crate::storage::HitRow;
use crate::tasks::{TasksOwner, detached};
use crate::webhooks::SignKey;
use crate::webhooks::address::parse_url;
use crate::webhooks::client::receiver::{Act, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(20);

fn image(id: &str) -> GroupEvent<'static> {
    let attachments = vec![Attachment { kind: "image".into(), ..Attachment::default() }];
    let message = Message { content_type: Some("image".into()), attachments, ..Message::default() };
    GroupEvent { step: None, ..event(id, None, 0, Some("u-1"), What::Message(message)) }
}

fn blocks(source: &'static str) -> Opinion<'static> {
    Opinion {
        verdict: Verdict::Block,
        labels: vec!["qr_code".into()],
        confidence: 90,
        source: source.into(),
        latency_ms: None,
    }
}

/// A house with a hook, and whoever answers it.
struct Consulted {
    house: Arc<House>,
    receiver: Receiver,
    _tasks: Arc<TasksOwner>,
}

impl Consulted {
    async fn open(data: &Path, act: Act, change: impl FnOnce(&mut Config)) -> Self {
        let receiver = Receiver::start(act).await;
        let mut config = Config {
            url: Some(parse_url(&receiver.url()).unwrap()),
            secret: Some(SignKey::parse(SECRET).unwrap()),
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            ..Config::default()
        };
        change(&mut config);
        let (hook, asker) = Hook::new(config, Clock::manual(NOW_MS)).unwrap();
        let house = Arc::new(House::open_with(data, Some(hook)).await);
        let (tasks, owner) = detached();
        tasks.clone().spawn("asker", asker.run(Arc::new(Home(Arc::clone(&house))), tasks));
        Self { house, receiver, _tasks: owner }
    }
}

/// Late verdicts go where the house's own do.
struct Home(Arc<House>);

#[async_trait]
impl LateVerdicts for Home {
    async fn take(&self, event: GroupEvent<'static>) -> Result<(), String> {
        LateVerdicts::take(&self.0.ingest, event).await
    }
}

impl House {
    async fn say(&self, events: Vec<GroupEvent<'static>>) -> Vec<Answer> {
        let taken = self.ingest.take(Source::Platform, events.into_iter().map(Ok)).await.unwrap();
        taken.into_iter().map(Result::unwrap).collect()
    }

    fn hits(&self) -> Vec<HitRow> {
        self.storage.project().unwrap();
        self.storage.hits("demo", "g-1", 100).unwrap()
    }

    async fn wait_for_hits(&self, count: usize) -> Vec<HitRow> {
        let watch = Stopwatch::start();
        loop {
            let hits = self.hits();
            if hits.len() >= count {
                return hits;
            }
            assert!(watch.elapsed() < PATIENCE, "{hits:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_verdict_counts_once_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let said = image("e-1");
    assert_eq!(house.say(vec![said.clone()]).await[0].verdict, Verdict::Pass);
    let late = Asked::of(&said).unwrap().0.late(blocks(Opinion::HOOK));
    let answers = house.say(vec![late.clone(), late.clone()]).await;
    assert_eq!((answers[0].status, answers[0].verdict), (Status::Counted, Verdict::Block));
    assert_eq!((answers[1].status, answers[1].verdict), (Status::Duplicate, Verdict::Block));
    let hits = house.hits();
    assert_eq!(hits.len(), 1);
    assert_eq!((&*hits[0].wordlist, &*hits[0].category, &*hits[0].member), ("verdict", "qr_code", "u-1"));

    house.storage.close().await.unwrap();
    drop(house);
    let house = House::open(data.path()).await;
    assert_eq!(house.say(vec![late]).await[0].status, Status::Duplicate);
    let other = Asked::of(&said).unwrap().0.late(blocks("ocr"));
    assert_eq!(house.say(vec![other]).await[0].status, Status::Counted, "somebody else's is another one");
    assert_eq!(house.hits().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_in_time_is_the_messages_own_verdict() {
    let data = tempfile::tempdir().unwrap();
    let act =
        Act::Answer(200, Vec::new(), Bytes::from_static(br#"{"verdict": "block", "labels": ["qr_code"]}"#));
    let asked = Consulted::open(data.path(), act, |config| config.wait = Duration::from_millis(800)).await;
    let text = Message { text: "早上好".into(), ..Message::default() };
    let text = GroupEvent { step: None, ..event("e-0", None, 0, Some("u-1"), What::Message(text)) };
    let answers = asked.house.say(vec![text, image("e-1")]).await;
    assert_eq!([answers[0].verdict, answers[1].verdict], [Verdict::Pass, Verdict::Block]);
    assert_eq!(asked.house.hits().len(), 1);
    assert_eq!(asked.receiver.received.lock().len(), 1, "texts are not asked about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_holds_a_batch_up_once_at_most() {
    let data = tempfile::tempdir().unwrap();
    let asked =
        Consulted::open(data.path(), Act::Hang, |config| config.wait = Duration::from_millis(400)).await;
    let watch = Stopwatch::start();
    let answers = asked.house.say((0..15).map(|n| image(&format!("e-{n}"))).collect()).await;
    let took = watch.elapsed();
    assert!(answers.iter().all(|answer| answer.verdict == Verdict::Pass && answer.status == Status::Counted));
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(8),
        "{took:?}: 15 waits are 6 s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_closed_what_nobody_answers_goes_to_review() {
    let data = tempfile::tempdir().unwrap();
    let asked = Consulted::open(data.path(), Act::Close, |config| config.fail = Fail::Closed).await;
    assert_eq!(asked.house.say(vec![image("e-1")]).await[0].verdict, Verdict::Pass);
    let hits = asked.house.wait_for_hits(1).await;
    assert_eq!((&*hits[0].wordlist, &*hits[0].category), ("verdict", "unanswered"));
    assert!(asked.house.ingest.partitions.unanswered(i64::MAX).is_empty(), "nothing is owed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_closed_a_question_lost_with_the_process_goes_to_review_once() {
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        url: Some(parse_url("http://127.0.0.1:9/").unwrap()),
        secret: Some(SignKey::parse(SECRET).unwrap()),
        fail: Fail::Closed,
        ..Config::default()
    };
    // Who asks never comes to it: the process ends before.
    let (hook, _asker) = Hook::new(config, Clock::manual(NOW_MS)).unwrap();
    let house = House::open_with(data.path(), Some(hook)).await;
    house.say(vec![image("e-1")]).await;
    assert_eq!(house.ingest.partitions.unanswered(i64::MAX).len(), 1);
    house.storage.close().await.unwrap();
    drop(house);
    let house = House::open(data.path()).await;
    assert_eq!(
        house.ingest.settle_unanswered(NOW_MS).await,
        Ok(0),
        "asked at this moment: it may still come"
    );
    assert_eq!(house.ingest.settle_unanswered(NOW_MS + 1).await, Ok(1));
    assert_eq!(house.ingest.settle_unanswered(NOW_MS + 1).await, Ok(0));
    let hits = house.hits();
    assert_eq!((hits.len(), &*hits[0].category, &*hits[0].member), (1, "unanswered", "u-1"));
}
