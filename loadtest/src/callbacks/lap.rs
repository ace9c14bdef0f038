//! One lap: requests made beforehand go out over keep-alive connections, every answer is checked, CPU time is taken.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::corp::Join;
use super::report::Lap;
use crate::client::{Call, Connection, Hurdles, Reply, Target};
use crate::cpu::{CpuError, process_cpu};
use crate::latency::Latency;
use crate::units::rfc3339;
use crate::wire::{self, Answer, Event, EventType, Status, Verdict};

/// How many wrong answers are spelled out; all of them are counted.
const EXAMPLES: usize = 5;

/// What one connection sends, in this order.
pub(super) type Lane = Vec<Request>;

/// A request, and what its answer must be.
#[derive(Debug)]
pub(super) struct Request {
    call: Call,
    answer: Expected,
}

#[derive(Debug)]
enum Expected {
    /// 200 with nothing in it, as the platform wants it.
    Empty,
    /// 200 and the event of this id counted.
    Counted(String),
}

/// The callbacks of the joins; a group's are all in one lane, so that they arrive in their order.
pub(super) fn callback_lanes(joins: Vec<Join>, lanes: usize) -> Vec<Lane> {
    deal(lanes, joins.into_iter().map(|join| (join.group, join.callback, Expected::Empty)))
}

/// The same joins as plain events, numbered from `first`.
pub(super) fn event_lanes(joins: &[Join], lanes: usize, account: &str, run: &str, first: usize) -> Vec<Lane> {
    let at = rfc3339(SystemTime::now());
    let requests = joins.iter().zip(first..).map(|(join, number)| {
        let id = format!("{run}-{number}");
        let event = Event {
            id: &id,
            account,
            group: &join.chat,
            kind: EventType::MemberJoined,
            member: &join.member,
            role: "customer",
            text: None,
            at: &at,
        };
        let json = serde_json::to_vec(&event).expect("texts serialize");
        (join.group, Call::post(wire::EVENTS, wire::JSON, json), Expected::Counted(id))
    });
    deal(lanes, requests)
}

fn deal(lanes: usize, requests: impl Iterator<Item = (usize, Call, Expected)>) -> Vec<Lane> {
    let mut dealt: Vec<Lane> = (0..lanes).map(|_| Lane::new()).collect();
    for (group, call, answer) in requests {
        dealt[group % lanes].push(Request { call, answer });
    }
    dealt
}

/// What connections have seen.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    latency: Latency,
    hurdles: Hurdles,
    wrong: u64,
    examples: Vec<String>,
}

impl Tally {
    fn wrong(&mut self, why: String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(why);
        }
    }

    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.latency.merge(&other.latency);
        self.hurdles.add(other.hurdles);
        self.wrong += other.wrong;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}

/// Sends all lanes at once. What the process of `pid` uses from the first request until `settle` after the last answer is
/// charged to the lap.
pub(super) async fn run(
    target: &Arc<Target>,
    lanes: Vec<Lane>,
    pid: u32,
    settle: Duration,
) -> Result<Lap, CpuError> {
    let before = process_cpu(pid)?;
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for lane in lanes {
        workers.spawn(send(target.connection(), lane));
    }
    let mut tally = Tally::default();
    while let Some(done) = workers.join_next().await {
        match done {
            Ok(seen) => tally.merge(seen),
            Err(error) => tally.wrong(format!("a connection of the load client ended early: {error}")),
        }
    }
    let took = start.elapsed();
    sleep(settle).await;
    let cpu = process_cpu(pid)?.saturating_sub(before);
    Ok(Lap::new(
        tally.requests,
        took,
        cpu,
        tally.latency.quantiles(),
        tally.hurdles,
        tally.wrong,
        tally.examples,
    ))
}

async fn send(mut connection: Connection, lane: Lane) -> Tally {
    let mut tally = Tally::default();
    for Request { call, answer } in lane {
        let (began, mut hurdles) = (Instant::now(), Hurdles::default());
        let reply = connection.send(&call, &mut hurdles).await;
        tally.latency.record(began.elapsed());
        tally.hurdles.add(hurdles);
        tally.requests += 1;
        // After a broken try or a 503 it may be counted already.
        let maybe_counted = hurdles.broken + hurdles.unavailable > 0;
        let checked = match &reply {
            Ok(reply) => check(&answer, reply, maybe_counted),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = checked {
            tally.wrong(why);
        }
    }
    tally
}

fn check(expected: &Expected, reply: &Reply, maybe_counted: bool) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(&reply.body).chars().take(300).collect::<String>();
    if reply.status != 200 {
        return Err(format!("status {}: {}", reply.status, shown()));
    }
    match expected {
        Expected::Empty if reply.body.is_empty() => Ok(()),
        Expected::Empty => Err(format!("a callback was answered with a body: {}", shown())),
        Expected::Counted(id) => {
            let answer: Answer<'_> = serde_json::from_slice(&reply.body)
                .map_err(|error| format!("{id}: unreadable answer: {error}"))?;
            let is_new =
                answer.status == Status::Counted || (maybe_counted && answer.status == Status::Duplicate);
            if answer.id == *id && answer.verdict == Verdict::Pass && is_new {
                Ok(())
            } else {
                Err(format!("{id}: not counted as it must be: {}", shown()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(expected: &Expected, status: u16, body: &'static str, maybe_counted: bool) -> bool {
        let reply = Reply { status, retry_after: None, body: body.into() };
        check(expected, &reply, maybe_counted).is_ok()
    }

    #[test]
    fn a_callback_wants_an_empty_200() {
        assert!(is_good(&Expected::Empty, 200, "", false));
        assert!(!is_good(&Expected::Empty, 200, "success", false));
        assert!(!is_good(&Expected::Empty, 204, "", false));
    }

    #[test]
    fn an_event_wants_to_be_counted_under_its_own_id() {
        let own = Expected::Counted("e-1".to_owned());
        let counted = r#"{"id":"e-1","verdict":"pass","status":"counted"}"#;
        let duplicate = r#"{"id":"e-1","verdict":"pass","status":"duplicate"}"#;
        assert!(is_good(&own, 200, counted, false));
        assert!(!is_good(&own, 200, duplicate, false) && is_good(&own, 200, duplicate, true));
        assert!(!is_good(&own, 202, counted, false) && !is_good(&own, 200, "", false));
        assert!(!is_good(&Expected::Counted("e-2".to_owned()), 200, counted, false));
    }
}
