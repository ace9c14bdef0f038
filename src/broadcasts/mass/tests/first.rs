//! A few groups first, and a recall, where owners must confirm.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_groups_have_tasks_of_their_own_and_the_rest_follows_once_they_are_watched() {
    let all = groups(200);
    let house = House::open(&all, 4, 100).await;
    let canary = serde_json::from_str(r#"{"percent": 10, "wait": "10m"}"#).unwrap();
    let new = NewBroadcast { canary: Some(canary), ..whole("八折", None) };
    let broadcast = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
    house.bench.pass(60 * SECOND).await;
    let first = house.tasks.groups();
    assert!((10..=30).contains(&first.len()), "{}", first.len());
    assert_eq!(house.progress(&broadcast.id).await.state, State::Canary);
    // Nobody is watched before the owners have confirmed, however long that takes.
    house.bench.pass(2 * HOUR).await;
    assert_eq!(house.tasks.groups(), first);
    house.tasks.confirm(|_| true, house.now_ms());
    house.until("the first are sent", &broadcast.id, |p| p.counts.sent == first.len() as u64).await;
    house.bench.pass(9 * 60 * SECOND).await;
    assert_eq!(house.tasks.groups(), first, "they are watched for ten minutes");
    house.all_wait(&broadcast.id, 200 - first.len() as u64).await;
    house.each_once(&all);
    house.tasks.confirm(|_| true, house.now_ms());
    let progress = house.until("all are sent", &broadcast.id, |p| p.state == State::Finished).await;
    assert_eq!(progress.counts.sent, 200);
    let trial = house.broadcasts.get(&everybody(), &broadcast.id).await.unwrap().trial;
    assert_eq!((trial.seen.leaves, trial.seen.complaints), (Some(0), None), "nobody sees what is said there");
    assert!(trial.why.join(";").contains("complaints could not be seen"), "{:?}", trial.why);
}

#[tokio::test(start_paused = true)]
async fn a_recall_stops_the_tasks_that_nobody_has_confirmed_and_says_that_nothing_is_taken_back() {
    let house = House::open(&groups(40), 4, 10).await;
    let broadcast = house.create("八折").await;
    house.all_wait(&broadcast.id, 40).await;
    house.tasks.confirm(|owner| owner == "u-0", house.now_ms());
    house.until("an owner's are sent", &broadcast.id, |p| p.counts.sent == 10).await;
    let refused = house.broadcasts.undo(&everybody(), &broadcast.id, None, "价格写错了").await.unwrap_err();
    assert!(refused.to_string().contains("cannot_recall in 10 groups"), "{refused}");
    let progress = house.until("the rest is off", &broadcast.id, |p| p.counts.cancelled == 30).await;
    assert_eq!((progress.state, progress.counts.sent), (State::Cancelled, 10));
    assert!(house.tasks.all().iter().all(|task| task.is_cancelled || task.confirmed_ms.is_some()));
}

#[tokio::test(start_paused = true)]
async fn only_chosen_owners_are_reminded_and_both_halves_of_two_wishes() {
    let house = House::open(&groups(40), 4, 10).await;
    let broadcast = house.create("八折").await;
    house.all_wait(&broadcast.id, 40).await;
    house.bench.pass(60 * SECOND).await; // each was asked about once
    let tasks = house.broadcasts.mass_tasks(&everybody(), &broadcast.id, None, 100).await.unwrap();
    let of = |owner: &str| {
        let tasks = tasks.iter().filter(|task| task.owner == owner).map(|task| task.row.target).collect();
        Some(Chosen { tasks, by: serde_json::json!({"owner": owner}) })
    };
    let reminded = || -> BTreeSet<String> {
        let tasks = house.tasks.all().into_iter().filter(|task| !task.reminders.is_empty());
        tasks.map(|task| task.owner).collect()
    };
    for owner in ["u-1", "u-2"] {
        let answer = house.broadcasts.remind(&everybody(), &broadcast.id, of(owner)).await.unwrap();
        assert_eq!((answer.reminding, answer.held_back), (1, 0), "{owner}");
    }
    house.bench.pass(10 * SECOND).await;
    assert_eq!(reminded(), ["u-1".to_owned(), "u-2".to_owned()].into());
    let answer = house.broadcasts.remind(&everybody(), &broadcast.id, None).await.unwrap();
    assert_eq!((answer.reminding, answer.held_back), (2, 2), "the others; nobody twice");
    house.bench.pass(10 * SECOND).await;
    assert_eq!(reminded().len(), 4);
}
