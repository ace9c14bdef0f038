//! Listening over a storage in memory.

use std::borrow::Cow;

use super::*;
use crate::event::{Effects, EventKey, EventType, Head, Role, Status, Verdict, partition_of};
use crate::statistics::words::Said;
use crate::storage::memory::Disk;
use crate::storage::{Append, codec, memory};
use crate::tasks::{TasksOwner, detached, tasks};

const NOW_MS: i64 = 1_795_312_800_000;

struct House {
    storage: SharedStorage,
    listener: Arc<Listener>,
    clock: Clock,
    owner: TasksOwner,
    work: tokio::task::JoinHandle<()>,
}

/// Lets members of group `g-1` be known by name, and listens.
async fn open(config: Config, names: &[(&str, &str)]) -> House {
    let storage = memory::open(&Disk::new([7; 16]), &crate::storage::Config::default()).unwrap();
    let epoch = storage.lease("test").await.unwrap();
    for (member, name) in names.iter().chain([&("u-0", "店长")]) {
        let head = Head {
            key: EventKey::of(&[7; 16], "demo", "g-1", member),
            at_ms: NOW_MS,
            arrived_ms: NOW_MS,
            account: "demo".into(),
            group: "g-1".into(),
            member: Some(Cow::Borrowed(member)),
            name: Some(Cow::Borrowed(name)),
            role: Role::Customer,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        };
        let mut payload = Vec::new();
        codec::encode(&Effects { head, facts: Vec::new() }, &mut payload);
        let partition = partition_of("demo", "g-1");
        let bucket = u32::try_from(NOW_MS / 3_600_000).unwrap();
        let append =
            Append { partition, epoch, payload: &payload, events: 1, bucket_min: bucket, bucket_max: bucket };
        storage.append(append).unwrap().wait().await.unwrap();
    }
    let clock = Clock::manual(NOW_MS);
    let parts = Parts { storage: storage.clone(), clock: clock.clone(), zone: TimeZone::UTC, config };
    let (listener, worker) = Listener::new(parts);
    let (running, owner) = tasks();
    let work = detached().0.spawn("words", worker.unwrap().run(running));
    House { storage, listener, clock, owner, work }
}

impl House {
    fn say(&self, member: &str, text: &str) {
        let place = Place { account: "demo", group: "g-1", zone: &TimeZone::UTC, member, at_ms: NOW_MS };
        self.listener.hear(&place, text);
    }

    fn kept(&self) -> Said {
        kept(&self.storage)
    }
}

fn kept(storage: &SharedStorage) -> Said {
    let day = day_of(NOW_MS, &TimeZone::UTC);
    let mut said = Said::default();
    let mut read = |_, row: &[u8]| {
        said = Said::decode(row)?;
        Ok(())
    };
    storage.words(&[("demo".to_owned(), "g-1".to_owned())], day, &mut read).unwrap();
    said
}

fn words(said: &Said) -> Vec<(&str, usize)> {
    said.words.iter().map(|(word, people)| (&**word, people.len())).collect()
}

#[tokio::test]
async fn words_are_counted_by_people_and_names_are_none() {
    let house = open(Config::default(), &[("u-1", "草莓"), ("u-2", "王芳芳")]).await;
    for (member, text) in [("u-1", "蛋糕到货了"), ("u-2", "蛋糕！蛋糕！"), ("u-1", "草莓蛋糕"), ("u-3", "")]
    {
        house.say(member, text);
    }
    house.listener.flush().await;
    let said = house.kept();
    assert_eq!((said.messages, said.speakers.len()), (3, 2));
    assert_eq!(words(&said), [("到货", 1), ("蛋糕", 2)], "草莓 is what somebody is called");
}

#[tokio::test]
async fn more_a_second_than_may_be_are_missed_and_told() {
    let config = Config { words_messages_per_second_max: 2, ..Config::default() };
    let house = open(config, &[]).await;
    for _ in 0..5 {
        house.say("u-1", "蛋糕");
    }
    house.clock.advance(Duration::from_secs(1));
    house.say("u-1", "蛋糕");
    house.listener.flush().await;
    let share = house.storage.words_share(day_of(NOW_MS, &TimeZone::UTC)).unwrap();
    assert_eq!((share.counted, share.missed), (3, 3));
}

#[tokio::test]
async fn what_waits_is_written_when_work_ends_and_adds_to_what_is_there() {
    let house = open(Config::default(), &[]).await;
    house.say("u-1", "蛋糕");
    house.listener.flush().await;
    house.say("u-2", "蛋糕");
    house.owner.stop();
    house.work.await.unwrap();
    assert_eq!(words(&kept(&house.storage)), [("蛋糕", 2)]);
}

#[tokio::test]
async fn days_follow_the_groups_own_midnight() {
    let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
    let late_ms = NOW_MS - NOW_MS.rem_euclid(86_400_000) + 17 * 3_600_000;
    assert_eq!(day_of(late_ms, &shanghai), day_of(late_ms, &TimeZone::UTC) + 1);
    assert_eq!(number_of(Date::constant(1970, 1, 2)), 1);
    assert_eq!(number_of(Date::constant(1969, 1, 2)), 0);
}
