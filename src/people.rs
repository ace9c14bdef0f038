//! People in groups: tags by hand, by import and by rule, values, segments, scores.
//!
//! What people write (marks, rules, segments) is in the ledger and in memory as a whole, bounded. What follows from it is
//! worked out of rosters and days as storage has them: tags by rule are kept until something happens in the group.
//!
//! Not for: scopes. Whoever asks names the groups they may see; [`People`] looks at no others.

pub mod kept;
pub mod marks;
mod pseudonyms;
pub mod reading;
pub mod rule;
pub mod scores;
pub mod segment;
mod store;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

pub use pseudonyms::Pseudonyms;
pub use store::{PeopleError, SavedSegment, Stored};
pub use survey::{Asked, Seen};

use crate::clock::Clock;
use crate::storage::{SharedStorage, StorageError, visit_effects};
use crate::telemetry::metrics;
use kept::{GroupTags, Kept, Key};
use marks::{Mark, Marks};
use reading::{Extent, GROUPS_TOGETHER, GroupOf};
use rule::Rule;

/// How much is remembered of people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most members with tags or a value, in memory.
    pub marked_max: usize,
    /// Most tags by rule that are kept in memory, one a member and tag.
    pub rule_tags_max: usize,
    /// How often it is looked whether tags by rule are to be made again.
    #[serde(with = "crate::units::duration")]
    pub rule_tags_every: Duration,
    /// Most groups in one look at the segments that journeys ask about; the others follow at once.
    pub segment_groups_max: usize,
    /// Most members of a group who come into a segment in one look; the others follow in the next.
    pub segment_entries_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            marked_max: 1_000_000,
            rule_tags_max: 2_000_000,
            rule_tags_every: Duration::from_secs(5),
            segment_groups_max: 2_000,
            segment_entries_max: 500,
        }
    }
}

/// What [`People`] works with.
#[derive(Clone)]
pub struct Parts {
    /// Everything durable.
    pub storage: SharedStorage,
    /// Time.
    pub clock: Clock,
    /// Limits.
    pub config: Config,
}

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    /// Grows with every change, also over kinds of change.
    version: u64,
    /// By id.
    stored: Vec<Stored<Rule>>,
    /// The same, bare.
    rules: Vec<Rule>,
    /// How much they read.
    extent: Extent,
}

impl RuleBook {
    fn new(version: u64, stored: Vec<Stored<Rule>>) -> Self {
        let rules: Vec<Rule> = stored.iter().map(|stored| stored.is.clone()).collect();
        let days = rules.iter().map(|rule| rule.when.days()).max().unwrap_or_default();
        // Whether messages are shown to us at all is told by days.
        let days = if rules.is_empty() { 0 } else { days.max(1) };
        let extent = Extent { days: Some(days), hits: rules.iter().any(|rule| rule.when.reads_hits()) };
        Self { version, stored, rules, extent }
    }

    /// Returns the rules, by id.
    pub fn rules(&self) -> &[Stored<Rule>] {
        &self.stored
    }

    /// Says whether one of them gives one of these tags.
    pub fn give_any(&self, tags: &BTreeSet<String>) -> bool {
        self.rules.iter().any(|rule| tags.contains(&rule.tag))
    }

    /// Returns one of them.
    pub fn get(&self, id: &str) -> Option<&Stored<Rule>> {
        self.stored.iter().find(|stored| stored.id == id)
    }
}

/// Members whose tags were changed by hand, as far as they are told apart.
#[derive(Debug, Default)]
struct Touched {
    members: BTreeSet<Key>,
    is_all: bool,
}

/// Most members whose change of tags is followed one by one.
const TOUCHED_MAX: usize = 10_000;

impl Touched {
    fn add(&mut self, member: Key) {
        if self.members.len() < TOUCHED_MAX {
            self.members.insert(member);
        } else {
            (self.is_all, self.members) = (true, BTreeSet::new());
        }
    }
}

/// Journal rows read in one go.
const ROWS_TOGETHER: usize = 2_000;
/// Behind so many rows it is cheaper to make all tags anew.
const ROWS_BEHIND_MAX: u64 = 200_000;

/// What is known of people in groups. Whoever builds the house holds it; it ends with it.
pub struct People {
    parts: Parts,
    marks: RwLock<Marks>,
    rules: ArcSwap<RuleBook>,
    segments: RwLock<Vec<Stored<SavedSegment>>>,
    kept: Mutex<Kept>,
    /// Members whose tags were changed by hand since somebody asked.
    touched: Mutex<Touched>,
    /// One change at a time: memory and ledger stay the same.
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "People({} marked)", self.marks.read().count())
    }
}

impl People {
    /// Returns what is written on a member.
    pub fn mark(&self, account: &str, member: &str) -> Option<Arc<Mark>> {
        self.marks.read().get(account, member).cloned()
    }

    /// Returns the rules in force.
    pub fn rules(&self) -> Arc<RuleBook> {
        self.rules.load_full()
    }

    /// Returns what makes pseudonyms of this installation.
    pub fn pseudonyms(&self) -> Pseudonyms {
        Pseudonyms::new(&self.parts.storage.dedupe_secret())
    }

    /// Returns how often tags by rule are looked after.
    pub fn rule_tags_every(&self) -> Duration {
        self.parts.config.rule_tags_every
    }

    /// Returns how many groups are looked at together for journeys.
    pub fn segment_groups_max(&self) -> usize {
        self.parts.config.segment_groups_max
    }

    /// Returns how many members of a group come into a segment in one look.
    pub fn segment_entries_max(&self) -> usize {
        self.parts.config.segment_entries_max
    }

    /// Takes the members, by account, whose tags were changed by hand since the last time; the second value says that there
    /// were too many to tell.
    pub fn take_touched(&self) -> (BTreeMap<String, Vec<String>>, bool) {
        let Touched { members, is_all } = std::mem::take(&mut *self.touched.lock());
        let mut by_account: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (account, member) in members {
            by_account.entry(account).or_default().push(member);
        }
        (by_account, is_all)
    }

    /// Learns where something happened since the last time, so that tags by rule are never older than what was
    /// acknowledged. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn follow(&self) -> Result<(), StorageError> {
        let storage = &self.parts.storage;
        storage.project()?;
        let head = storage.head_position()?;
        loop {
            let from = self.kept.lock().position();
            if from >= head {
                return Ok(());
            }
            if self.rules.load().rules.is_empty() || head - from > ROWS_BEHIND_MAX {
                self.kept.lock().skip_to(head);
                return Ok(());
            }
            let (mut groups, mut damaged): (HashSet<Key>, _) = (HashSet::new(), None);
            let last = storage.tail(from, ROWS_TOGETHER, &mut |row| {
                let visited = visit_effects(&row, |effects| {
                    let head = &effects.head;
                    groups.insert((head.account.as_ref().to_owned(), head.group.as_ref().to_owned()));
                });
                damaged = visited.err().or_else(|| damaged.take());
            })?;
            if let Some(error) = damaged {
                return Err(error);
            }
            self.kept.lock().happened(groups, last);
            if last == from {
                return Ok(());
            }
        }
    }

    /// Returns the tags that rules give in some groups: those that are kept, and the others made now. Blocking; to be
    /// called after [`People::follow`].
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn tags(&self, groups: &[GroupOf], now_ms: i64) -> Result<Vec<Arc<GroupTags>>, StorageError> {
        let book = self.rules();
        if book.rules.is_empty() {
            let none = Arc::new(GroupTags::default());
            return Ok(groups.iter().map(|_| Arc::clone(&none)).collect());
        }
        let key = |group: &GroupOf| (group.name.account.to_string(), group.name.group.to_string());
        let (position, mut found): (u64, Vec<Option<Arc<GroupTags>>>) = {
            let kept = self.kept.lock();
            let get = |group: &GroupOf| {
                let today = reading::local_day(&group.time_zone, now_ms);
                kept.get(&key(group), book.version, today).cloned()
            };
            (kept.position(), groups.iter().map(get).collect())
        };
        let missing: Vec<usize> = (0..groups.len()).filter(|nth| found[*nth].is_none()).collect();
        if !missing.is_empty() {
            // What is read below must not be older than the position it is kept for.
            self.parts.storage.project()?;
        }
        for some in missing.chunks(GROUPS_TOGETHER) {
            let of: Vec<GroupOf> = some.iter().map(|nth| groups[*nth].clone()).collect();
            let people = reading::read(&*self.parts.storage, &of, book.extent, now_ms)?;
            metrics::people::retagged(some.len());
            let mut kept = self.kept.lock();
            for (nth, people) in some.iter().zip(people) {
                let tags = Arc::new(GroupTags::of(&book.rules, book.version, &people));
                if !kept.put(key(&groups[*nth]), Arc::clone(&tags), position) {
                    metrics::people::not_kept();
                }
                found[*nth] = Some(tags);
            }
            metrics::people::rule_tags(kept.weight());
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns some groups where something happened since their tags were made. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn changed(&self) -> Result<Vec<Key>, StorageError> {
        self.follow()?;
        Ok(self.kept.lock().take_changed(GROUPS_TOGETHER))
    }

    /// Says by what tags of all groups are out of date when it changes.
    pub fn season(&self) -> (u64, i64) {
        // Days begin on quarters of an hour, whatever the zone.
        (self.rules.load().version, self.parts.clock.now_ms() / (15 * 60 * 1_000))
    }
}
