//! Journeys that a segment begins, asks about or ends.

use super::*;
use crate::event::{Newcomer, RosterStep, SegmentRead};

/// Who is in the segment, `Some(true)`, and of whom nobody knows, `None`.
type World = BTreeMap<String, Option<bool>>;

impl Way {
    /// Reads the segment `s` as it is now; `is_first` for the first look ever, when nobody has come in.
    fn reads(&mut self, world: &World, is_first: bool) -> Vec<String> {
        let marks = |wanted: Option<bool>| {
            let members = world.iter().filter(|(_, is_in)| **is_in == wanted);
            let mut marks: Vec<u64> = members.map(|(member, _)| RosterStep::mark(member)).collect();
            marks.sort_unstable();
            marks
        };
        let members = world.iter().filter(|(_, is_in)| **is_in == Some(true) && !is_first);
        let newcomer = |member: &String| Newcomer { member: member.clone().into(), name: None };
        let read = SegmentRead {
            segment: "s".into(),
            definition: 1,
            members: marks(Some(true)),
            unknown: marks(None),
            came: members.map(|(member, _)| newcomer(member)).collect(),
            is_over: false,
        };
        self.serial += 1;
        let read = event(&format!("read-{}", self.serial), What::SegmentRead(read));
        self.take(&GroupEvent { member: None, role: Role::Bot, at_ms: None, ..read })
    }

    /// Counts how often a member began, as the journal has it.
    fn begun(&self, member: &str) -> usize {
        let facts = self.journal.iter().flat_map(|effects| &effects.facts);
        let begins = facts.filter(|fact| {
            let Fact::State(StateFact { kind: StateKind::Journey, key, value: Some(value), .. }) = fact
            else {
                return false;
            };
            key.ends_with(&format!("\u{1f}{member}"))
                && Instance::from_bytes(value).is_some_and(|instance| instance.passed.is_empty())
        });
        begins.count()
    }
}

fn world(members: &[(&str, Option<bool>)]) -> World {
    members.iter().map(|(member, is_in)| ((*member).to_owned(), *is_in)).collect()
}

const BY_SEGMENT: &str =
    r#"{"start": {"segment": "s"}, "steps": [{"id": "d1", "after": "1d", "text": "{member.name}"}]}"#;

#[test]
fn who_comes_into_a_segment_begins_once_and_who_was_there_does_not() {
    let mut way = Way::new(BY_SEGMENT);
    way.reads(&world(&[("a", Some(true)), ("c", None)]), true);
    let both = world(&[("a", Some(true)), ("b", Some(true)), ("c", Some(true))]);
    way.reads(&both, false);
    way.restarts();
    way.reads(&both, false);
    assert_eq!((way.begun("a"), way.begun("b"), way.begun("c")), (0, 1, 0));
    assert_eq!(way.waits(DAY), ["b"]);
    // Out and in again: kept from it for `rejoin_days`, then begun again.
    way.reads(&world(&[]), false);
    way.reads(&both, false);
    assert_eq!((way.begun("b"), way.count(Came::Rejoined)), (1, 1));
    way.house.now_ms += 31 * DAY;
    way.reads(&world(&[]), false);
    way.reads(&both, false);
    assert_eq!(way.begun("b"), 2);
}

#[test]
fn a_journey_after_a_join_does_not_keep_anybody_from_one_by_a_segment() {
    let mut way = Way::new(BY_SEGMENT);
    way.reads(&world(&[]), true);
    let own = way.house.rules.limits.journeys.clone();
    let journey = |json: &str| serde_json::from_str::<Journey>(json).unwrap();
    let joined = journey(r#"{"steps": [{"id": "h", "after": "1h", "text": "{member.name}"}]}"#);
    let all = [("j".to_owned(), journey(BY_SEGMENT)), ("k".to_owned(), joined)];
    way.house.rules.journeys = Journeys::compile(&all, &own).unwrap();
    way.joins("a");
    way.reads(&world(&[("a", Some(true))]), false);
    assert_eq!((way.begun("a"), way.count(Came::UnderWay)), (1, 1), "one journey at a time");
    assert_eq!(way.waits(HOUR).len(), 1);
    way.reads(&world(&[]), false);
    way.reads(&world(&[("a", Some(true))]), false);
    assert_eq!(way.begun("a"), 2);
}

#[test]
fn steps_and_ends_ask_about_segments_and_nobody_is_taken_for_what_nobody_knows() {
    let asking = r#"{"start": {"segment": "s"}, "stop_when": ["not_in_segment:s"], "steps": [
        {"id": "d1", "after": "1d", "only_if": {"not_in_segment": "t"}, "text": "{member.name}"}]}"#;
    let mut way = Way::new(asking);
    way.reads(&world(&[]), true);
    way.reads(&world(&[("a", Some(true)), ("b", Some(true))]), false);
    // `b` is out again; of `a` nobody knows any more, which ends nothing.
    way.reads(&world(&[("a", None)]), false);
    assert_eq!((way.under_way(), way.count(Came::StoppedSegment)), (1, 1));
    // Nobody has said anything of `t` yet: the step waits for it, until it is too late.
    assert_eq!(way.waits(DAY + HOUR), Vec::<String>::new());
    assert_eq!((way.under_way(), way.count(Came::SkippedUnseen)), (1, 0));
    way.waits(12 * HOUR);
    assert_eq!((way.under_way(), way.count(Came::SkippedUnseen)), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes in, goes, is unknown, is read twice, is lost before its commit or restarts in between: each entry
    /// begins one journey of whoever was not under way.
    #[test]
    fn each_entry_begins_one_journey(
        acts in prop::collection::vec((0_u8..9, 0_usize..3), 1..50),
    ) {
        let mut way = Way::new(BY_SEGMENT);
        way.house.rules.limits.journeys.rejoin_days = 0;
        let members = ["a", "b", "c"];
        let mut now = world(&[]);
        let mut heard: BTreeMap<&str, Option<bool>> = BTreeMap::new();
        let (mut begun, mut until) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, i64>::new());
        way.reads(&now, true);
        for (act, nth) in acts {
            let member = members[nth];
            match act {
                0 | 1 => drop(now.insert(member.to_owned(), Some(true))),
                2 => drop(now.insert(member.to_owned(), None)),
                3 | 4 => drop(now.remove(member)),
                5 | 6 => {
                    let journal = way.journal.len();
                    way.reads(&now, false);
                    if act == 6 && nth == 0 {
                        // Killed before the commit: nothing of it has happened.
                        way.journal.truncate(journal);
                        way.restarts();
                        continue;
                    }
                    for member in members {
                        let is_in = now.get(member).copied().unwrap_or(Some(false));
                        let was_in = heard.insert(member, is_in).unwrap_or(Some(false));
                        let is_free = until.get(member).is_none_or(|until| *until <= way.house.now_ms);
                        if is_in == Some(true) && was_in == Some(false) && is_free {
                            *begun.entry(member).or_default() += 1;
                            until.insert(member, (way.house.now_ms + DAY + 30 * MINUTE - 1) / (30 * MINUTE) * (30 * MINUTE));
                        }
                    }
                }
                7 => way.restarts(),
                _ => drop(way.waits(HOUR * 7)),
            }
            for member in members {
                prop_assert_eq!(way.begun(member), begun.get(member).copied().unwrap_or_default());
            }
        }
    }
}
