//! Turns, shares and order of the lanes.

use proptest::prelude::*;

use super::*;
use crate::event::{AccountId, BroadcastId};
use crate::outbox::delivery::Payload;

fn queued(id: &str, priority: Priority, broadcast: Option<&str>, group: &str) -> Queued {
    let delivery = Delivery {
        id: DeliveryId::parse(id).unwrap(),
        account: AccountId::parse("demo").unwrap(),
        group: group.to_owned(),
        member: None,
        kind: "reply".to_owned(),
        rule: String::new(),
        priority,
        payload: Payload::text(String::new()),
        broadcast: broadcast.map(|b| (BroadcastId::parse(b).unwrap(), 0)),
        expires_ms: 0,
        cost: 1,
    };
    Queued {
        delivery: Arc::new(delivery),
        attempts: 0,
        attempts_before: 0,
        refreshed: false,
        in_ledger: false,
        due: 0,
    }
}

fn lanes() -> Lanes {
    Lanes::new(LanesConfig::default())
}

/// Takes the next delivery and ends its call at once.
fn send(lanes: &mut Lanes) -> Option<String> {
    let (key, _) = lanes.offer()?;
    let queued = lanes.take(key)?;
    lanes.forget(&queued.delivery.id);
    lanes.call_ended(key);
    Some(queued.delivery.id.to_string())
}

fn fill(lanes: &mut Lanes, prefix: &str, priority: Priority, broadcast: Option<&str>, count: u32) {
    for n in 0..count {
        lanes.push(0, queued(&format!("{prefix}{n}"), priority, broadcast, &format!("g{n}")));
    }
}

fn share_of(sent: &[String], prefix: char) -> usize {
    sent.iter().filter(|id| id.starts_with(prefix)).count()
}

#[test]
fn urgent_goes_before_normal_before_bulk() {
    let mut lanes = lanes();
    fill(&mut lanes, "b", Priority::Bulk, Some("bc_1"), 2);
    fill(&mut lanes, "n", Priority::Normal, None, 2);
    fill(&mut lanes, "u", Priority::Urgent, None, 2);
    let order: Vec<_> = std::iter::from_fn(|| send(&mut lanes)).collect();
    assert_eq!(order, ["u0", "u1", "n0", "n1", "b0", "b1"]);
    assert!(lanes.is_empty());
}

#[test]
fn broadcasts_and_replies_keep_their_share_under_a_flood_of_actions() {
    let mut lanes = lanes();
    fill(&mut lanes, "b", Priority::Bulk, Some("bc_1"), 2000);
    fill(&mut lanes, "n", Priority::Normal, None, 2000);
    fill(&mut lanes, "u", Priority::Urgent, None, 2000);
    let sent: Vec<_> = (0..1000).filter_map(|_| send(&mut lanes)).collect();
    assert_eq!(share_of(&sent, 'b'), 50, "5 %");
    assert!(
        (135..=150).contains(&share_of(&sent, 'n')),
        "15 % of what is not bulk: {}",
        share_of(&sent, 'n')
    );
}

#[test]
fn broadcasts_take_turns_whatever_their_size() {
    let mut lanes = lanes();
    fill(&mut lanes, "a", Priority::Bulk, Some("bc_1"), 3000);
    fill(&mut lanes, "b", Priority::Bulk, Some("bc_2"), 300);
    fill(&mut lanes, "c", Priority::Bulk, Some("bc_3"), 300);
    let sent: Vec<_> = (0..600).filter_map(|_| send(&mut lanes)).collect();
    for broadcast in ['a', 'b', 'c'] {
        assert!((190..=210).contains(&share_of(&sent, broadcast)), "{broadcast}");
    }
}

#[test]
fn a_group_that_must_wait_holds_nobody_else_up() {
    let mut lanes = lanes();
    for n in 0..3 {
        lanes.push(0, queued(&format!("slow{n}"), Priority::Normal, None, "slow"));
    }
    lanes.push(0, queued("quick", Priority::Normal, None, "quick"));
    let (key, head) = lanes.offer().unwrap();
    assert_eq!(head.delivery.id.as_str(), "slow0");
    lanes.wait_until(key, 50);
    assert_eq!(send(&mut lanes).as_deref(), Some("quick"));
    assert_eq!(send(&mut lanes), None);
    assert_eq!(lanes.next_wake(), Some(50), "one timer for the group, not one per delivery");
    lanes.wake(49);
    assert!(lanes.offer().is_none());
    lanes.wake(50);
    assert_eq!(send(&mut lanes).as_deref(), Some("slow0"));
}

#[test]
fn a_reply_that_is_retried_keeps_its_place() {
    let mut lanes = lanes();
    lanes.push(0, queued("first", Priority::Normal, None, "g"));
    lanes.push(0, queued("second", Priority::Normal, None, "g"));
    let (key, _) = lanes.offer().unwrap();
    let mut first = lanes.take(key).unwrap();
    assert!(lanes.offer().is_none(), "one call per queue at a time");
    first.due = 100;
    lanes.put_back(10, first);
    lanes.call_ended(key);
    assert!(lanes.offer().is_none(), "the second waits for the first");
    lanes.wake(100);
    assert_eq!(send(&mut lanes).as_deref(), Some("first"));
    assert_eq!(send(&mut lanes).as_deref(), Some("second"));
}

#[test]
fn an_action_does_not_wait_for_another_ones_retry() {
    let mut lanes = lanes();
    lanes.push(0, queued("first", Priority::Urgent, None, "g"));
    lanes.push(0, queued("second", Priority::Urgent, None, "g"));
    let (key, _) = lanes.offer().unwrap();
    let mut first = lanes.take(key).unwrap();
    first.due = 100;
    lanes.put_back(10, first);
    lanes.call_ended(key);
    assert_eq!(send(&mut lanes).as_deref(), Some("second"));
    lanes.wake(100);
    assert_eq!(send(&mut lanes).as_deref(), Some("first"));
}

#[test]
fn a_queue_that_waits_for_its_group_wakes_with_any_of_its_calls() {
    let mut lanes = lanes();
    lanes.push(0, queued("action", Priority::Urgent, None, "g"));
    lanes.push(0, queued("reply", Priority::Normal, None, "g"));
    let (action, _) = lanes.offer().unwrap();
    lanes.take(action).unwrap();
    let (reply, _) = lanes.offer().unwrap();
    lanes.wait_for_group(reply);
    assert!(lanes.offer().is_none());
    lanes.call_ended(action);
    assert_eq!(send(&mut lanes).as_deref(), Some("reply"));
}

#[test]
fn nothing_is_queued_twice_until_it_is_forgotten() {
    let mut lanes = lanes();
    lanes.push(0, queued("x", Priority::Normal, None, "g"));
    lanes.push(0, queued("x", Priority::Normal, None, "g"));
    assert_eq!(lanes.len(), 1);
    let (key, _) = lanes.offer().unwrap();
    let lent = lanes.take(key).unwrap();
    lanes.push(0, queued("x", Priority::Normal, None, "g"));
    assert_eq!(lanes.len(), 0, "it is lent out, not gone");
    lanes.forget(&lent.delivery.id);
    lanes.call_ended(key);
    lanes.push(0, queued("x", Priority::Normal, None, "g"));
    assert_eq!(lanes.len(), 1);
}

#[test]
fn a_broadcast_is_dropped_as_a_whole() {
    let mut lanes = lanes();
    fill(&mut lanes, "a", Priority::Bulk, Some("bc_1"), 100);
    fill(&mut lanes, "b", Priority::Bulk, Some("bc_2"), 10);
    let (key, _) = lanes.offer().unwrap();
    let under_way = lanes.take(key).unwrap();
    let mut retried = queued("a-later", Priority::Bulk, Some("bc_1"), "g-later");
    retried.due = 1000;
    lanes.push(0, retried);
    assert_eq!(lanes.drop_broadcast("bc_1"), 100);
    assert_eq!((lanes.len(), lanes.waiting_of("bc_1"), lanes.waiting_of("bc_2")), (10, 0, 10));
    lanes.forget(&under_way.delivery.id);
    lanes.call_ended(key);
    let sent: Vec<_> = std::iter::from_fn(|| send(&mut lanes)).collect();
    assert_eq!(share_of(&sent, 'b'), 10);
    assert!(lanes.queues.is_empty() && lanes.ids.is_empty(), "nothing is left behind");
}

#[test]
fn a_spot_says_who_goes_first() {
    let mut lanes = lanes();
    for (n, group) in ["a", "b", "a", "c", "b", "a"].iter().enumerate() {
        lanes.push(0, queued(&format!("q{n}"), Priority::Bulk, Some("bc_1"), group));
    }
    let mut late = queued("later", Priority::Bulk, Some("bc_1"), "d");
    late.due = 50;
    lanes.push(0, late);
    let spot = |lanes: &Lanes, n: &str| lanes.spot(&DeliveryId::parse(n).unwrap());
    let told: Vec<_> = (0..6).map(|n| spot(&lanes, &format!("q{n}"))).collect();
    let mut order = Vec::new();
    assert_eq!((spot(&lanes, "later"), spot(&lanes, "nobody")), (Some(Spot::Later(50)), None));
    let (key, head) = lanes.offer().unwrap();
    order.push(head.delivery.id.to_string());
    let first = lanes.take(key).unwrap();
    assert_eq!(spot(&lanes, "q0"), Some(Spot::Lent));
    assert_eq!(spot(&lanes, "q2"), Some(Spot::BehindCall));
    lanes.call_ended(key);
    lanes.forget(&first.delivery.id);
    while let Some(sent) = send(&mut lanes) {
        order.push(sent);
    }
    for (n, spot) in told.into_iter().enumerate() {
        let ahead = order.iter().position(|id| *id == format!("q{n}")).unwrap();
        assert_eq!(spot, Some(Spot::Ready { ahead }), "q{n} in {order:?}");
    }
}

#[test]
fn broadcasts_leave_room_for_replies() {
    let mut lanes = Lanes::new(LanesConfig { ready_max: 8, ..LanesConfig::default() });
    fill(&mut lanes, "b", Priority::Bulk, Some("bc_1"), 6);
    assert_eq!((lanes.room(Priority::Bulk), lanes.room(Priority::Normal)), (0, 2));
}

#[derive(Clone, Debug)]
enum Step {
    Push { class: u8, group: u8 },
    Take,
    SleepGroup(i64),
    End { retry_in: Option<i64> },
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, 0..4_u8).prop_map(|(class, group)| Step::Push { class, group }),
        4 => Just(Step::Take),
        1 => (1..50_i64).prop_map(Step::SleepGroup),
        3 => proptest::option::of(1..50_i64).prop_map(|retry_in| Step::End { retry_in }),
        2 => (1..30_i64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn everything_is_sent_once_and_in_order(steps in proptest::collection::vec(step(), 1..200)) {
        let mut lanes = lanes();
        let (mut now, mut pushed) = (0, 0_usize);
        let mut lent: Vec<(QueueKey, Queued)> = Vec::new();
        let mut finished: Vec<Queued> = Vec::new();
        let finish = |lanes: &mut Lanes, (key, queued): (QueueKey, Queued), finished: &mut Vec<Queued>| {
            lanes.forget(&queued.delivery.id);
            lanes.call_ended(key);
            finished.push(queued);
        };
        for step in steps {
            match step {
                Step::Push { class, group } => {
                    let (priority, broadcast) = match class {
                        0 => (Priority::Urgent, None),
                        1 => (Priority::Normal, None),
                        2 => (Priority::Bulk, Some("bc_1")),
                        _ => (Priority::Bulk, Some("bc_2")),
                    };
                    lanes.push(now, queued(&format!("{pushed:06}"), priority, broadcast, &format!("g{group}")));
                    pushed += 1;
                }
                Step::Take => if let Some((key, _)) = lanes.offer() {
                    lent.push((key, lanes.take(key).unwrap()));
                },
                Step::SleepGroup(by) => if let Some((key, _)) = lanes.offer() {
                    lanes.wait_until(key, now + by);
                },
                Step::End { retry_in } => if let Some((key, mut queued)) = lent.pop() {
                    match retry_in {
                        Some(by) => {
                            queued.due = now + by;
                            lanes.put_back(now, queued);
                            lanes.call_ended(key);
                        }
                        None => finish(&mut lanes, (key, queued), &mut finished),
                    }
                },
                Step::Pass(by) => {
                    now += by;
                    lanes.wake(now);
                }
            }
        }
        for call in lent.drain(..) {
            finish(&mut lanes, call, &mut finished);
        }
        while let Some(at) = lanes.next_wake().or((!lanes.is_empty()).then_some(now)) {
            lanes.wake(at);
            while let Some((key, _)) = lanes.offer() {
                let queued = lanes.take(key).unwrap();
                finish(&mut lanes, (key, queued), &mut finished);
            }
        }
        prop_assert_eq!(finished.len(), pushed);
        prop_assert!(lanes.queues.is_empty() && lanes.ids.is_empty(), "something is left behind");
        let depths = lanes.survey();
        prop_assert!(depths.iter().all(|(depth, oldest)| *depth == Depth::default() && oldest.is_none()));
        for group in 0..4 {
            let of_group = |q: &&Queued| q.delivery.group == format!("g{group}");
            let replies: Vec<_> = finished.iter().filter(of_group)
                .filter(|q| q.delivery.priority == Priority::Normal)
                .map(|q| q.delivery.id.as_str())
                .collect();
            prop_assert!(replies.is_sorted(), "{:?}", replies);
        }
    }
}
