//! Decides what is sent: which event, in which group, by whom. Deterministic by seed, per connection.
//!
//! Each connection owns the groups whose number leaves its remainder, so the events of one group are sent in order, as a
//! platform sends them, and a member never leaves a group before the join was answered.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::lines::{Lexicon, Lines};
use crate::wire::{Event, EventType};

/// How many answered events a connection keeps to repeat.
const PAST: usize = 256;
/// Of a hundred members, so many are staff.
const STAFF_PERCENT: u32 = 4;

/// What the traffic of a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Prefix of all event ids of this run; another run needs another one.
    pub run: String,
    /// The account all groups belong to.
    pub account: String,
    /// Groups are called this and a number.
    pub group_prefix: String,
    /// How many groups there are.
    pub groups: usize,
    /// How many members write in each group.
    pub members: u32,
    /// The share of events that are joins or leaves, half and half.
    pub joins_ratio: f64,
    /// The share of events that repeat one already answered.
    pub repeat_ratio: f64,
    /// The share of messages that get a listed term spliced in.
    pub hit_ratio: f64,
    /// Where texts come from.
    pub lines: Lines,
    /// Where spliced terms come from.
    pub lexicon: Option<Lexicon>,
    /// The same seed, the same traffic.
    pub seed: u64,
}

impl Plan {
    /// The name of a group.
    pub fn group(&self, number: usize) -> String {
        format!("{}{number:05}", self.group_prefix)
    }
}

/// One event, encoded, with what is needed to check its answer.
#[derive(Debug, Clone)]
pub struct Item {
    /// The event as JSON on one line.
    pub json: Vec<u8>,
    /// Its id.
    pub id: String,
    /// The number of its group.
    pub group: usize,
    /// Its type.
    pub kind: EventType,
    /// The message's text, to hold hits against.
    pub text: String,
    /// Whether it was answered before and is sent again on purpose.
    pub repeat: bool,
    /// Whether a listed term was spliced in.
    pub spliced: bool,
    /// Whether an earlier try may have taken effect.
    pub maybe_counted: bool,
}

/// Makes the events of one connection.
#[derive(Debug)]
pub struct Planner {
    plan: Arc<Plan>,
    connection: usize,
    connections: usize,
    rng: StdRng,
    made: usize,
    joined: Vec<(usize, String)>,
    past: VecDeque<Item>,
}

impl Planner {
    /// The planner of one of `connections` connections; there must be at least as many groups.
    pub fn new(plan: Arc<Plan>, connection: usize, connections: usize) -> Self {
        let stream = u64::try_from(connection).unwrap_or_default().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rng = StdRng::seed_from_u64(plan.seed ^ stream);
        Self { plan, connection, connections, rng, made: 0, joined: Vec::new(), past: VecDeque::new() }
    }

    /// The next event, happening at `at`.
    pub fn next(&mut self, at: &str) -> Item {
        if !self.past.is_empty() && self.rng.random_bool(self.plan.repeat_ratio) {
            let index = self.rng.random_range(0..self.past.len());
            return Item { repeat: true, ..self.past[index].clone() };
        }
        self.made += 1;
        let id = format!("{}-{}-{}", self.plan.run, self.connection, self.made);
        if self.rng.random_bool(self.plan.joins_ratio) {
            self.coming_and_going(id, at)
        } else {
            self.message(id, at)
        }
    }

    /// Remembers an answered event, so that it can be repeated, and a join, so that it can be followed by a leave.
    pub fn answered(&mut self, item: Item) {
        if item.repeat {
            return;
        }
        if item.kind == EventType::MemberJoined {
            self.joined.push((item.group, item.id.clone()));
        }
        if self.plan.repeat_ratio > 0.0 {
            self.past.truncate(PAST - 1);
            self.past.push_front(item);
        }
    }

    fn message(&mut self, id: String, at: &str) -> Item {
        let group = self.any_group();
        let number = self.rng.random_range(0..self.plan.members.max(1));
        let role = if number % 100 < STAFF_PERCENT { "staff" } else { "customer" };
        let plan = Arc::clone(&self.plan);
        // Neighbouring connections read neighbouring lines: together they walk the whole file.
        let line = plan.lines.pick((self.made - 1) * self.connections + self.connection, &mut self.rng);
        let lexicon = plan.lexicon.as_ref().filter(|_| self.rng.random_bool(plan.hit_ratio));
        let text = match lexicon {
            Some(lexicon) => lexicon.splice(&line, &mut self.rng),
            None => line.into_owned(),
        };
        let item =
            Draft { id, group, kind: EventType::Message, member: format!("u-{group}-{number}"), role, text };
        item.finish(&plan, at, lexicon.is_some())
    }

    fn coming_and_going(&mut self, id: String, at: &str) -> Item {
        let leaves = !self.joined.is_empty() && self.rng.random_bool(0.5);
        let (kind, group, member) = if leaves {
            let index = self.rng.random_range(0..self.joined.len());
            let (group, joined_by) = self.joined.swap_remove(index);
            (EventType::MemberLeft, group, format!("m-{joined_by}"))
        } else {
            (EventType::MemberJoined, self.any_group(), format!("m-{id}"))
        };
        Draft { id, group, kind, member, role: "customer", text: String::new() }.finish(&self.plan, at, false)
    }

    fn any_group(&mut self) -> usize {
        let own = (self.plan.groups - self.connection).div_ceil(self.connections);
        self.connection + self.rng.random_range(0..own) * self.connections
    }
}

struct Draft {
    id: String,
    group: usize,
    kind: EventType,
    member: String,
    role: &'static str,
    text: String,
}

impl Draft {
    fn finish(self, plan: &Plan, at: &str, spliced: bool) -> Item {
        let Self { id, group, kind, member, role, text } = self;
        let event = Event {
            id: &id,
            account: &plan.account,
            group: &plan.group(group),
            kind,
            member: &member,
            role,
            text: (kind == EventType::Message).then_some(&text),
            at,
        };
        let json = serde_json::to_vec(&event).expect("strings and enums always encode");
        Item { json, id, group, kind, text, repeat: false, spliced, maybe_counted: false }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A plan with everything in it, for the tests of this module's siblings too.
    pub(in super::super) fn rich_plan(groups: usize) -> Plan {
        Plan {
            run: "t".into(),
            account: "demo".into(),
            group_prefix: "g-".into(),
            groups,
            members: 20,
            joins_ratio: 0.2,
            repeat_ratio: 0.2,
            hit_ratio: 0.0,
            lines: Lines::generated(),
            lexicon: None,
            seed: 5,
        }
    }

    fn stream(connection: usize) -> Vec<Item> {
        let mut planner = Planner::new(Arc::new(rich_plan(7)), connection, 3);
        let next = |_| {
            let item = planner.next("2026-01-01T00:00:00.000Z");
            planner.answered(item.clone());
            item
        };
        (0..500).map(next).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_events() {
        let lines = |connection| stream(connection).into_iter().map(|item| item.json).collect::<Vec<_>>();
        assert_eq!(lines(1), lines(1));
        assert_ne!(lines(1), lines(2));
    }

    #[test]
    fn ids_are_new_unless_repeated_and_groups_stay_with_their_connection() {
        for connection in 0..3 {
            let mut seen = std::collections::HashMap::new();
            for item in stream(connection) {
                assert_eq!(item.group % 3, connection);
                assert!(item.group < 7);
                let known = seen.insert(item.id.clone(), item.json.clone());
                assert_eq!(known.is_some(), item.repeat, "{}", item.id);
                assert!(
                    known.is_none_or(|before| before == item.json),
                    "a repeat is the same event to the byte"
                );
            }
        }
    }

    #[test]
    fn whoever_leaves_has_joined() {
        let mut inside = std::collections::HashSet::new();
        for item in stream(0).into_iter().filter(|item| !item.repeat && item.kind != EventType::Message) {
            let event: serde_json::Value = serde_json::from_slice(&item.json).expect("json");
            let who = (event["group"].to_string(), event["member"].to_string());
            match item.kind {
                EventType::MemberJoined => assert!(inside.insert(who)),
                EventType::MemberLeft => assert!(inside.remove(&who)),
                EventType::Message => {}
            }
        }
    }
}
