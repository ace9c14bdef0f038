//! What each number means, in words an operator and an auditor can hold us to (群数据报表口径): `docs/STATISTICS.md`, which is
//! served as it stands, and the counters of an hour.
//!
//! Not for: how numbers are kept. Invariant: every number follows from the journal alone, and from the set of its
//! events rather than from the order of their arrival (only two changes in the same millisecond keep arrival order).
//!
//! | word | 中文 | meaning |
//! |---|---|---|
//! | hour | 小时 | the hour of the event's own time (`at`), not of its arrival; platform times are UTC milliseconds |
//! | first seen, last seen | 首次、最近出现 | the earliest and latest time of an event that shows the member in the group: a message, an edit, a join, a leave |
//! | present | 在群 | the latest join or leave by its own time decides; someone only ever seen talking is present |
//! | member number | 成员编号 | given once per account, by the platform's union id where it gives one or by an imported identity, else by member id; whom several accounts know by one has a number over all of them |
//! | case | 同文案件 | the same advert in many groups |
//!
//! An event without a group (a contact added, what the fleet stage decides) is in no group's numbers, roster or list.

use serde::{Deserialize, Serialize};

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Definition {
    /// Its name in answers.
    pub field: &'static str,
    /// Its name in Chinese.
    pub zh: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// How it is counted, in Chinese 口径.
    pub meaning_zh: &'static str,
    /// The same in English.
    pub meaning_en: &'static str,
}

/// Returns every definition, in the order of the document.
pub fn all() -> impl Iterator<Item = Definition> {
    let lines = include_str!("../../docs/STATISTICS.md").lines().filter(|line| line.starts_with("| `"));
    lines.filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        Some(Definition {
            field: cells.next()?.trim_matches('`'),
            zh: cells.next()?,
            en: cells.next()?,
            meaning_zh: cells.next()?,
            meaning_en: cells.next()?,
        })
    })
}

/// What is counted per group and hour; their meanings: [`all`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counters {
    /// Messages by customers and staff.
    pub messages: u64,
    /// Of these, by staff.
    pub staff_messages: u64,
    /// Messages of customers that members never saw.
    pub withheld: u64,
    /// Messages of customers that were taken back on the platform.
    pub recalled: u64,
    /// Of those withheld, messages that a person found to be in order.
    pub restored: u64,
    /// Joins.
    pub joins: u64,
    /// Leaves.
    pub leaves: u64,
    /// Hits that survived.
    pub hits: u64,
    /// Texts with the verdict `mask`.
    pub masked: u64,
    /// Texts with the verdict `review`.
    pub reviewed: u64,
    /// Texts with the verdict `block`.
    pub blocked: u64,
    /// Replies asked for.
    pub replies: u64,
    /// Welcomes asked for.
    pub welcomes: u64,
    /// Events too late to count.
    pub late: u64,
}

/// One of the [`Counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the field of `Counters` with the same name")]
pub enum Counter {
    Messages,
    StaffMessages,
    Withheld,
    Recalled,
    Restored,
    Joins,
    Leaves,
    Hits,
    Masked,
    Reviewed,
    Blocked,
    Replies,
    Welcomes,
    Late,
}

impl Counters {
    /// Returns all of them.
    pub fn parts(&self) -> [(Counter, u64); 14] {
        [
            (Counter::Messages, self.messages),
            (Counter::StaffMessages, self.staff_messages),
            (Counter::Withheld, self.withheld),
            (Counter::Recalled, self.recalled),
            (Counter::Restored, self.restored),
            (Counter::Joins, self.joins),
            (Counter::Leaves, self.leaves),
            (Counter::Hits, self.hits),
            (Counter::Masked, self.masked),
            (Counter::Reviewed, self.reviewed),
            (Counter::Blocked, self.blocked),
            (Counter::Replies, self.replies),
            (Counter::Welcomes, self.welcomes),
            (Counter::Late, self.late),
        ]
    }

    /// Returns one of them, to be changed.
    pub fn part_mut(&mut self, counter: Counter) -> &mut u64 {
        match counter {
            Counter::Messages => &mut self.messages,
            Counter::StaffMessages => &mut self.staff_messages,
            Counter::Withheld => &mut self.withheld,
            Counter::Recalled => &mut self.recalled,
            Counter::Restored => &mut self.restored,
            Counter::Joins => &mut self.joins,
            Counter::Leaves => &mut self.leaves,
            Counter::Hits => &mut self.hits,
            Counter::Masked => &mut self.masked,
            Counter::Reviewed => &mut self.reviewed,
            Counter::Blocked => &mut self.blocked,
            Counter::Replies => &mut self.replies,
            Counter::Welcomes => &mut self.welcomes,
            Counter::Late => &mut self.late,
        }
    }

    /// Adds another's numbers.
    pub fn add(&mut self, other: &Counters) {
        for (counter, number) in other.parts() {
            *self.part_mut(counter) += number;
        }
    }
}
