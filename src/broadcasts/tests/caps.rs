//! A group gets so many broadcasts and no more.

use super::*;

async fn open(per_day: u32) -> House {
    let config = Config { caps: Caps { per_day, ..Caps::default() }, ..Config::default() };
    House::open_with(config, 100, &["window:100/s"], |p| p).await
}

async fn begin(house: &House, importance: u8, starts_ms: Option<i64>) -> Broadcast {
    let new = NewBroadcast { importance: Some(importance), starts_ms, ..new("早安", Audience::All) };
    house.broadcasts.create(&everybody(), new, |_| None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_second_broadcast_of_a_day_goes_nowhere_and_says_why() {
    let house = open(1).await;
    let first = begin(&house, 5, None).await;
    house.finished(&first.id).await;
    let second = begin(&house, 9, None).await;
    let progress = house.finished(&second.id).await;
    assert_eq!((progress.counts.sent, progress.counts.cancelled), (0, 100), "what was sent cannot give way");
    house.sent_once(100);
    let targets = house.broadcasts.targets(&everybody(), &second.id, Vec::new(), None, 1).await.unwrap();
    assert_eq!(targets[0].code, "frequency_cap");
    assert!(targets[0].detail.contains(first.id.as_str()), "{}", targets[0].detail);
    // The bench's day ends at midnight: in UTC two hours from its start, in Shanghai the day has just begun.
    house.bench.pass(2 * 3600 * SECOND).await;
    let third = begin(&house, 5, None).await;
    assert_eq!(house.finished(&third.id).await.counts.sent, 50);
    assert!(house.bench.platform.calls().iter().skip(100).all(|call| call.group.starts_with("west")));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_wait_the_more_important_one_goes_and_of_equals_the_first() {
    let house = open(1).await;
    let starts = Some(START_MS + 600_000);
    let usual = begin(&house, 5, starts).await;
    house.bench.until("it is written", |b| b.ledger.count(DeliveryState::Pending) == 100).await;
    let same = begin(&house, 5, starts).await;
    let recall = begin(&house, 8, starts).await;
    for (broadcast, sent) in [(&usual, 0), (&same, 0), (&recall, 100)] {
        let progress = house.finished(&broadcast.id).await;
        assert_eq!((progress.counts.sent, progress.counts.cancelled), (sent, 100 - sent), "{}", broadcast.id);
    }
    house.sent_once(100);
    let gave_way = house.broadcasts.targets(&everybody(), &usual.id, Vec::new(), None, 1).await.unwrap();
    assert!(gave_way[0].detail.contains(recall.id.as_str()), "{}", gave_way[0].detail);
    assert_eq!(
        house.broadcasts.replay_failed(&everybody(), &usual.id).await.unwrap(),
        0,
        "a cap is no failure"
    );
}

#[tokio::test(start_paused = true)]
async fn a_week_begins_on_monday_and_a_month_on_its_first_and_what_waits_counts_too() {
    // The bench begins on Tuesday, 14 November 2023, at 22:13 in UTC; in Shanghai it is Wednesday.
    let day = |days: i64| Some(START_MS + days * 86_400_000);
    let week = Caps { per_week: 1, ..Caps::default() };
    let month = Caps { per_month: 1, ..Caps::default() };
    // Saturday is of the same week, Monday after it of the next; the 29th is of the same month, 2 December of the next.
    for (caps, within, beyond) in [(week, 4, 6), (month, 15, 18)] {
        let config = Config { caps: caps.clone(), ..Config::default() };
        let house = House::open_with(config, 100, &["window:100/s"], |p| p).await;
        let first = begin(&house, 5, None).await;
        house.finished(&first.id).await;
        let same = begin(&house, 9, day(within)).await;
        let next = begin(&house, 5, day(beyond)).await;
        let over = begin(&house, 5, day(beyond)).await;
        let written = async |broadcast: &Broadcast| {
            for _ in 0..1_000 {
                let progress = house.progress(&broadcast.id).await;
                if progress.targets == 100 {
                    return (progress.counts.pending, progress.counts.cancelled);
                }
                house.bench.pass(100 * MS).await;
            }
            panic!("never written");
        };
        assert_eq!(written(&same).await, (0, 100), "{caps:?}: what was sent cannot give way");
        assert_eq!(written(&next).await, (100, 0), "{caps:?}: another period");
        assert_eq!(written(&over).await, (0, 100), "{caps:?}: what waits counts");
        let targets = house.broadcasts.targets(&everybody(), &same.id, Vec::new(), None, 1).await.unwrap();
        assert_eq!(targets[0].code, "frequency_cap");
        assert!(targets[0].detail.contains(first.id.as_str()), "{}", targets[0].detail);
        // Over a restart it is the ledger that remembers.
        let after = house.restart(|p| p).await;
        let again = begin(&after, 9, day(within)).await;
        for _ in 0..1_000 {
            if after.progress(&again.id).await.targets == 100 {
                break;
            }
            after.bench.pass(100 * MS).await;
        }
        assert_eq!(after.progress(&again.id).await.counts.cancelled, 100, "{caps:?}");
    }
}
