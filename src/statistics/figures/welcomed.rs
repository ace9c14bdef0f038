//! What came of welcomes: who was greeted by which text, and whether they stay and speak (欢迎语效果).
//!
//! A greeting is for the customers who joined the group since the greeting before it, at most a day earlier: those who come
//! together, or in quiet hours, are greeted together. Which text it was is drawn, so that the texts can be compared.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::event::{HOUR_MS, Role};
use crate::statistics::days::{DAY_MS, DayError, Facet, Move, View};

/// Who joined longer ago than this is not who a greeting is for.
const WAIT_MAX_MS: i64 = DAY_MS;

/// After so many days it is looked who is still there.
pub const DAYS: [i64; 2] = [1, 7];

/// How many of those who could have did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Of so many it is known.
    pub of: u64,
    /// So many did.
    pub did: u64,
}

impl Share {
    fn add(&mut self, did: bool) {
        self.of += 1;
        self.did += u64::from(did);
    }
}

/// What came of one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arm {
    /// Greetings.
    pub greetings: u64,
    /// Customers who were greeted; who joined twice, twice.
    pub people: u64,
    /// Still in the group after each of [`DAYS`].
    pub there: [Share; 2],
    /// Spoke in the group within 24 hours after joining.
    pub spoke: Share,
    /// Left within 24 hours after joining.
    pub left_early: Share,
}

/// One group on its way through its days, oldest first.
#[derive(Debug, Default)]
pub struct Group {
    moves: HashMap<u64, Vec<(i64, Move)>>,
    /// Hours in which those who joined spoke.
    spoke: HashMap<u64, BTreeSet<i64>>,
    greetings: BTreeMap<i64, Box<str>>,
}

impl Group {
    /// Adds a day's row.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn add(&mut self, day: u32, row: &View<'_>) -> Result<(), DayError> {
        let start_ms = i64::from(day) * DAY_MS;
        row.moved(&mut |(of_day, who, kind)| {
            if who.role == Role::Customer {
                self.moves.entry(who.number).or_default().push((start_ms + i64::from(of_day), kind));
            }
        })?;
        row.spoke(&mut |who, hour, spoke| {
            if who.role == Role::Customer && spoke.is_active() && self.moves.contains_key(&who.number) {
                let at_ms = start_ms + i64::from(hour) * HOUR_MS;
                self.spoke.entry(who.number).or_default().insert(at_ms);
            }
        })?;
        row.counted(&mut |facet, _, _| {
            if let Facet::Greeted(rule, of_day) = facet {
                self.greetings.insert(start_ms + i64::from(of_day), rule);
            }
        })
    }

    /// Adds what came of the greetings of `welcome` in a stretch of time to its texts, as far as it is known by `now_ms`.
    /// Whether anybody spoke is known where messages can be seen.
    pub fn end(
        self,
        welcome: &str,
        range: &std::ops::Range<i64>,
        now_ms: i64,
        is_seen: bool,
        arms: &mut BTreeMap<Box<str>, Arm>,
    ) {
        let of_welcome = |rule: &str| {
            rule.strip_prefix(welcome).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        };
        for (_, rule) in self.greetings.range(range.clone()).filter(|(_, rule)| of_welcome(rule)) {
            arms.entry(rule.clone()).or_default().greetings += 1;
        }
        for (number, moves) in &self.moves {
            let joined = moves.iter().filter(|(_, kind)| *kind == Move::Joined);
            for (at_ms, _) in joined {
                let greeting = self.greetings.range(*at_ms..=at_ms + WAIT_MAX_MS).next();
                let Some((greeted_ms, rule)) = greeting else { continue };
                if !range.contains(greeted_ms) || !of_welcome(rule) {
                    continue;
                }
                let arm = arms.entry(rule.clone()).or_default();
                arm.people += 1;
                for (share, days) in arm.there.iter_mut().zip(DAYS) {
                    let then_ms = at_ms + days * DAY_MS;
                    if then_ms <= now_ms {
                        share.add(is_there(moves, then_ms));
                    }
                }
                let day_ms = at_ms + DAY_MS;
                if day_ms > now_ms {
                    continue;
                }
                let is_out =
                    |(left_ms, kind): &(i64, Move)| *kind == Move::Left && (*at_ms..day_ms).contains(left_ms);
                arm.left_early.add(moves.iter().any(is_out));
                if is_seen {
                    let first_ms = at_ms.div_euclid(HOUR_MS) * HOUR_MS;
                    let spoke = self.spoke.get(number);
                    arm.spoke.add(spoke.is_some_and(|hours| hours.range(first_ms..day_ms).next().is_some()));
                }
            }
        }
    }
}

fn is_there(moves: &[(i64, Move)], at_ms: i64) -> bool {
    let mut before = moves.iter().filter(|(moved_ms, _)| *moved_ms <= at_ms);
    before.next_back().is_some_and(|(_, kind)| kind.is_in())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::days::{Day, Person, Spoke, encode};

    const START_MS: i64 = 20_000 * DAY_MS;

    fn customer(number: u64) -> Person {
        Person { number, role: Role::Customer }
    }

    fn minute(minutes: u32) -> u32 {
        minutes * 60_000
    }

    #[test]
    fn those_who_came_since_the_greeting_before_are_greeted_together() {
        let mut first = Day::default();
        for (number, minutes) in [(1, 10), (2, 11), (3, 30), (4, 600)] {
            first.moved.push((minute(minutes), customer(number), Move::Joined));
        }
        first.moved.push((minute(90), customer(2), Move::Left));
        first.moved.sort_unstable();
        first.counted.insert((Facet::Greeted("w".into(), minute(12)), 0), 1);
        first.counted.insert((Facet::Greeted("w#b".into(), minute(31)), 0), 1);
        first.counted.insert((Facet::Greeted("wx".into(), minute(601)), 10), 1);
        first.spoke.insert((customer(3), 2), Spoke { said: 1, unsaid: 0 });
        first.spoke.insert((customer(1), 3), Spoke { said: 1, unsaid: 1 });
        let mut later = Day::default();
        later.moved.push((minute(5), customer(3), Move::Left));
        let mut group = Group::default();
        for (day, of) in [(20_000, &first), (20_003, &later)] {
            let row = encode(of);
            let view = View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None };
            group.add(day, &view).unwrap();
        }
        let mut arms = BTreeMap::new();
        group.end("w", &(START_MS..START_MS + DAY_MS), START_MS + 8 * DAY_MS, true, &mut arms);
        let share = |of, did| Share { of, did };
        let own = Arm {
            greetings: 1,
            people: 2,
            there: [share(2, 1), share(2, 1)],
            spoke: share(2, 0),
            left_early: share(2, 1),
        };
        let other = Arm {
            greetings: 1,
            people: 1,
            there: [share(1, 1), share(1, 0)],
            spoke: share(1, 1),
            left_early: share(1, 0),
        };
        assert_eq!(arms.into_iter().collect::<Vec<_>>(), [("w".into(), own), ("w#b".into(), other)]);
    }

    #[test]
    fn what_cannot_be_known_yet_or_seen_is_of_nobody() {
        let mut day = Day::default();
        day.moved.push((minute(1), customer(1), Move::Joined));
        day.counted.insert((Facet::Greeted("w".into(), minute(2)), 0), 1);
        let row = encode(&day);
        let ended = |now_ms, is_seen| {
            let view = View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same: None };
            let mut group = Group::default();
            group.add(20_000, &view).unwrap();
            let mut arms = BTreeMap::new();
            group.end("w", &(START_MS..START_MS + DAY_MS), now_ms, is_seen, &mut arms);
            arms.remove("w").unwrap()
        };
        let fresh = ended(START_MS + HOUR_MS, true);
        assert_eq!((fresh.people, fresh.there[0].of, fresh.spoke.of), (1, 0, 0));
        let blind = ended(START_MS + 2 * DAY_MS, false);
        assert_eq!((blind.there[0].of, blind.there[1].of, blind.spoke.of), (1, 0, 0));
    }
}
