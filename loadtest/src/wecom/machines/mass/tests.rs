//! Each rule of mass sends, in virtual time.

use super::*;

const T: u64 = 1_767_225_600_000;

fn content(text: &str) -> Content {
    Content { text: text.to_owned(), attachments: Vec::new() }
}

fn task(msgid: &str, text: &str, senders: Vec<(StaffNo, Vec<u32>, Option<u64>)>) -> NewTask {
    let msgid = msgid.to_owned();
    NewTask { msgid, app: 0, audience: Audience::Group, content: content(text), senders }
}

fn with_task() -> Mass {
    let mut mass = Mass::default();
    let senders = vec![(StaffNo(0), vec![10, 11, 12], Some(T + 60_000)), (StaffNo(1), vec![20], None)];
    mass.add(task("m", "早", senders), T).expect("a task");
    mass
}

fn confirm(mass: &mut Mass, msgid: &str, staff: u32, cap: Cap, now_ms: u64) -> Option<Vec<u32>> {
    let confirmed = mass.confirm(msgid, StaffNo(staff), cap, now_ms, |number| number != 12);
    confirmed.map(|confirmed| confirmed.reached)
}

#[test]
fn nothing_is_sent_before_a_sender_confirms_and_then_once() {
    let mut mass = with_task();
    assert!(mass.task("m").expect("a task").senders[0].targets.iter().all(|t| t.status == Status::Unsent));
    assert_eq!(mass.next_due(T + 59_999), None);
    assert_eq!(mass.next_due(T + 60_000), Some((T + 60_000, "m".to_owned(), StaffNo(0))));
    assert_eq!(confirm(&mut mass, "m", 0, Cap::DaysOfMonth, T + 60_000), Some(vec![10, 11]));
    let statuses: Vec<_> =
        mass.task("m").expect("a task").senders[0].targets.iter().map(|t| t.status).collect();
    assert_eq!(statuses, [Status::Sent, Status::Sent, Status::NotAFriend]);
    assert_eq!(confirm(&mut mass, "m", 0, Cap::DaysOfMonth, T + 60_001), None);
    assert_eq!(confirm(&mut mass, "m", 9, Cap::DaysOfMonth, T), None);
    assert_eq!((mass.report.confirmed, mass.report.sent, mass.report.not_friends), (1, 2, 1));
}

#[test]
fn a_task_is_dispatched_for_a_while() {
    let mass = with_task();
    let code = |now_ms| {
        let task = mass.task("m").expect("a task");
        task.ready(10_000, true, now_ms).map_or_else(|refusal| refusal.errcode, |()| 0)
    };
    assert_eq!((code(T), code(T + 9_999), code(T + 10_000)), (41_063, 41_063, 0));
    assert_eq!(mass.task("other").expect_err("unknown").errcode, 40_058);
}

#[test]
fn who_is_at_the_cap_when_a_sender_confirms_gets_nothing() {
    let mut mass = with_task();
    mass.add(task("n", "晚", vec![(StaffNo(0), vec![10], None)]), T).expect("a task");
    assert!(mass.has_room(Audience::Group, 10, Cap::OnePerDay, T));
    assert_eq!(confirm(&mut mass, "m", 0, Cap::OnePerDay, T), Some(vec![10, 11]));
    assert!(!mass.has_room(Audience::Group, 10, Cap::OnePerDay, T));
    assert!(mass.has_room(Audience::Single, 10, Cap::OnePerDay, T), "another target of the same number");
    assert_eq!(confirm(&mut mass, "n", 0, Cap::OnePerDay, T + 1), Some(vec![]));
    assert_eq!(mass.task("n").expect("a task").senders[0].targets[0].status, Status::Capped);
    assert_eq!(mass.report.capped, 1);
}

#[test]
fn three_reminders_a_day_go_to_those_who_have_not_confirmed() {
    let mut mass = with_task();
    let code = |mass: &mut Mass, now_ms| mass.remind("m", now_ms).map_or_else(|r| r.errcode, |_| 0);
    assert_eq!(mass.remind("m", T).expect("the first"), (vec![StaffNo(0), StaffNo(1)], 1));
    confirm(&mut mass, "m", 0, Cap::DaysOfMonth, T);
    assert_eq!(mass.remind("m", T + 1).expect("the second"), (vec![StaffNo(1)], 2));
    assert_eq!((code(&mut mass, T + 2), code(&mut mass, T + DAY_MS - 1)), (0, 41_094));
    assert_eq!((code(&mut mass, T + DAY_MS), code(&mut mass, T + DAY_MS)), (0, 41_094));
    assert_eq!(mass.report.reminders, 4);
}

#[test]
fn cancelling_stops_what_was_not_sent() {
    let mut mass = with_task();
    assert_eq!(confirm(&mut mass, "m", 0, Cap::DaysOfMonth, T), Some(vec![10, 11]));
    mass.cancel("m").expect("cancelled");
    assert_eq!(confirm(&mut mass, "m", 1, Cap::DaysOfMonth, T), None);
    assert_eq!(mass.cancel("m").expect_err("again").errcode, 41_093);
    assert_eq!(mass.remind("m", T).expect_err("cancelled").errcode, 41_093);
    let task = mass.task("m").expect("a task");
    assert_eq!(task.ready(0, true, T).expect_err("cancelled").errcode, 41_093);
    assert!(task.ready(0, false, T).is_ok());
}

#[test]
fn a_task_for_nobody_is_none_and_the_same_again_is_noticed() {
    let mut mass = with_task();
    let refused = mass.add(task("n", "早", vec![(StaffNo(0), vec![], None)]), T);
    assert_eq!(refused.expect_err("nobody").errcode, 41_048);
    mass.add(task("o", "早", vec![(StaffNo(0), vec![10, 99], None)]), T).expect("a task");
    assert_eq!(mass.report.asked_twice, 1);
}

#[test]
fn a_reminded_sender_confirms_when_scheduled() {
    let mut mass = with_task();
    mass.schedule("m", StaffNo(1), T + 5);
    assert_eq!(mass.next_due(T + 5), Some((T + 5, "m".to_owned(), StaffNo(1))));
    assert_eq!(mass.next_due(T + 5), None);
}

#[test]
fn the_oldest_tasks_are_forgotten() {
    let mut mass = with_task();
    mass.targets += TARGETS_MAX;
    mass.add(task("n", "晚", vec![(StaffNo(0), vec![10], None)]), T).expect("a task");
    assert!(mass.task("m").is_err() && mass.task("n").is_ok());
    assert_eq!(mass.report.forgotten, 1);
    assert_eq!(mass.next_due(T + 60_000), None);
}
