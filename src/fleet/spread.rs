//! The same advert in several groups within a time: one case, however many groups follow.
//!
//! Messages belong together when their folded texts are the same or near, when they lead to the same address, name the same
//! contact or bring the same file. The first message in which something new is seen makes a cluster; who shares anything
//! with a cluster joins it, so an advert that changes its words and later its number stays one case.
//!
//! Pure. Deterministic in the order of sightings: replaying the journal finds the same cases.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use serde::{Deserialize, Serialize};

use crate::event::{
    Alike, CaseFact, CaseSizeFact, Effects, EventType, Fact, Mark, MarkKind, Role, SightedFact, Status,
    TraitsFact,
};
use crate::near::{Index, LANES, Sketch};

/// Sketches kept of one cluster: near texts drift.
const SKETCHES_MAX: usize = 8;
/// Messages remembered of what is no case yet: more in so few groups are a flood there.
const WAITING_MAX: usize = 1_000;
/// Keys kept of one cluster.
const KEYS_MAX: usize = 64;
/// People are told of a case again when it has grown so many times.
const TOLD_AGAIN: usize = 10;

/// When messages become a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Groups the same customer text must appear in; 0 switches the stage off.
    pub case_groups_min: usize,
    /// Within this time.
    #[serde(with = "crate::units::duration")]
    pub case_window: Duration,
    /// Texts remembered at once; the oldest go first.
    pub texts_max: usize,
    /// Groups named in one case.
    pub case_groups_max: usize,
    /// Messages listed in one case.
    pub case_messages_max: usize,
    /// Of the 16 numbers of two texts' sketches, how many must agree for the texts to be near; 0 for only equal ones.
    pub near_min: usize,
    /// The same address makes messages belong together.
    pub by_link: bool,
    /// The same contact does.
    pub by_contact: bool,
    /// The same file does.
    pub by_file: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            case_groups_min: 5,
            case_window: Duration::from_mins(10),
            texts_max: 200_000,
            case_groups_max: 1_000,
            case_messages_max: 20_000,
            near_min: 11,
            by_link: true,
            by_contact: true,
            by_file: true,
        }
    }
}

impl Config {
    /// Returns the window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        i64::try_from(self.case_window.as_millis()).unwrap_or(i64::MAX)
    }

    fn counts(&self, mark: &Mark) -> bool {
        match mark.kind {
            MarkKind::Link => self.by_link,
            MarkKind::Contact => self.by_contact,
            MarkKind::File => self.by_file,
        }
    }
}

/// A group by account and id.
type Place = (String, String);

/// By what messages are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    /// The folded text.
    Text(u64),
    /// Something it carries.
    Mark(Mark),
}

impl Key {
    fn hash(self) -> u64 {
        match self {
            Key::Text(hash) | Key::Mark(Mark { hash, .. }) => hash,
        }
    }

    fn alike(self) -> Alike {
        match self {
            Key::Text(_) => Alike::Text,
            Key::Mark(Mark { kind: MarkKind::Link, .. }) => Alike::Link,
            Key::Mark(Mark { kind: MarkKind::Contact, .. }) => Alike::Contact,
            Key::Mark(Mark { kind: MarkKind::File, .. }) => Alike::File,
        }
    }
}

/// What one event adds to the cases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The case it opens or makes notably larger (twice as many groups).
    pub case: Option<CaseFact<'static>>,
    /// What people are told: that it is opened, or ten times as large.
    pub size: Option<CaseSizeFact<'static>>,
    /// Messages that belong to a case and were not told before.
    pub sightings: Vec<SightedFact<'static>>,
    /// The message belongs together with others, but so many are listed that it is not.
    pub is_unlisted: bool,
}

impl Found {
    /// Says whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.case.is_none() && self.size.is_none() && self.sightings.is_empty()
    }
}

/// Messages seen lately, and where.
#[derive(Debug, Default)]
pub struct Spread {
    clusters: HashMap<u64, Cluster>,
    /// Of the next cluster; the older of two is the smaller.
    next: u64,
    keys: HashMap<Key, u64>,
    near: Index<u64>,
    /// Clusters by last sighting, so that the oldest is found without a scan.
    by_age: BTreeSet<(i64, u64)>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Cluster {
    first_ms: i64,
    last_ms: i64,
    /// The first thing it is known by: names the case.
    name: u64,
    groups: Vec<Place>,
    /// Hashes of its groups, so that one is known without a look at all.
    places: HashSet<u64>,
    keys: Vec<Key>,
    sketches: Vec<Sketch>,
    /// Its messages until it becomes a case.
    waiting: Vec<SightedFact<'static>>,
    /// What it has become.
    case: Option<Case>,
}

/// A cluster that people know of; most never become one.
#[derive(Debug, Default)]
struct Case {
    id: String,
    /// With so many groups it was last reported.
    reported: usize,
    /// People are told again at so many.
    told_at: usize,
    /// Hashes of the messages listed: one that is edited is listed once.
    listed: HashSet<u64>,
    /// Hashes of their authors.
    authors: HashSet<u64>,
    /// How many are listed by what they belong to it.
    by: BTreeMap<Alike, u32>,
}

/// What is known of one message.
struct Seen<'a> {
    keys: Vec<Key>,
    traits: Option<&'a TraitsFact<'a>>,
}

impl<'a> Seen<'a> {
    fn of(effects: &'a Effects<'_>, config: &Config) -> Self {
        let mut facts = effects.facts.iter();
        let traits = facts.find_map(|fact| if let Fact::Traits(traits) = fact { Some(traits) } else { None });
        let marks = traits.iter().flat_map(|traits| &traits.marks).filter(|mark| config.counts(mark));
        let keys = effects.head.fingerprint.map(Key::Text).into_iter().chain(marks.copied().map(Key::Mark));
        Self { keys: keys.collect(), traits }
    }

    fn sketch(&self, config: &Config) -> Option<Sketch> {
        self.traits.and_then(|traits| traits.sketch).filter(|_| config.near_min > 0)
    }
}

impl Spread {
    /// Takes in a case found before a restart, so that it is continued and not opened again; with the groups it was last
    /// reported with and all of its messages.
    pub fn resume(
        &mut self,
        case: &CaseFact<'_>,
        messages: impl Iterator<Item = SightedFact<'static>>,
        config: &Config,
    ) {
        let name = case.fingerprint;
        let groups: Vec<Place> =
            case.groups.iter().map(|(account, group)| (account.to_string(), group.to_string())).collect();
        let marks = [MarkKind::Link, MarkKind::Contact, MarkKind::File];
        let keys = marks.into_iter().map(|kind| Key::Mark(Mark { kind, hash: name }));
        let mut known = Case { id: case.id.to_string(), reported: groups.len(), ..Case::default() };
        let (number, mut last_ms) = (self.open(case.first_ms, name), case.last_ms);
        self.learn(number, std::iter::once(Key::Text(name)).chain(keys), None);
        if let Some(cluster) = self.clusters.get_mut(&number) {
            cluster.places =
                groups.iter().map(|place| self.hasher.hash_one((&*place.0, &*place.1))).collect();
            cluster.groups = groups;
            for message in messages {
                last_ms = last_ms.max(message.at_ms);
                cluster.place(&message, &self.hasher, config);
                known.list(&message, &self.hasher);
            }
            known.tell_next(cluster.places.len(), config);
            cluster.case = Some(known);
        }
        self.touch(number, last_ms);
    }

    /// Takes in one committed event; returns what it adds.
    pub fn observe(&mut self, effects: &Effects<'_>, config: &Config) -> Found {
        let head = &effects.head;
        // What a message becomes by an edit is seen by as many as what it was.
        let is_said = matches!(head.what, EventType::Message | EventType::MessageEdited);
        let is_relevant = is_said && head.role == Role::Customer;
        if config.case_groups_min == 0 || !is_relevant || head.status != Status::Counted {
            return Found::default();
        }
        let seen = Seen::of(effects, config);
        let sketch = seen.sketch(config);
        let at_ms = head.arrived_ms;
        self.forget(at_ms - config.window_ms(), config.texts_max);
        let known = self.known(&seen.keys, sketch.as_ref(), config);
        let (number, by) = match (known, seen.keys.first(), sketch) {
            (Some(known), _, _) => known,
            (None, Some(key), _) => (self.open(at_ms, key.hash()), key.alike()),
            (None, None, Some(sketch)) => (self.open(at_ms, name_of(&sketch)), Alike::Near),
            (None, None, None) => return Found::default(),
        };
        self.learn(number, seen.keys.iter().copied(), sketch);
        self.touch(number, at_ms);
        let sighting = SightedFact {
            case: "".into(),
            account: head.account.to_string().into(),
            group: head.group.to_string().into(),
            member: head.member.as_ref().map(|member| member.to_string().into()),
            of: seen.traits.map(|traits| traits.of.to_string().into()),
            at_ms,
            by,
            verdict: head.verdict,
        };
        let (hasher, is_edit) = (&self.hasher, head.what == EventType::MessageEdited);
        let cluster = self.clusters.get_mut(&number);
        cluster.map(|cluster| cluster.see(sighting, is_edit, hasher, config)).unwrap_or_default()
    }

    /// Returns the cluster that a message belongs to, and by what: the oldest it shares a key with, else the nearest.
    fn known(&self, keys: &[Key], sketch: Option<&Sketch>, config: &Config) -> Option<(u64, Alike)> {
        let by_key = keys.iter().filter_map(|key| Some((*self.keys.get(key)?, key.alike())));
        by_key.min_by_key(|(number, _)| *number).or_else(|| {
            let near = self.near.nearest(sketch?, config.near_min.min(LANES))?;
            Some((near, Alike::Near))
        })
    }

    fn open(&mut self, first_ms: i64, name: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        let cluster = Cluster {
            first_ms,
            last_ms: first_ms,
            name,
            groups: Vec::new(),
            places: HashSet::new(),
            keys: Vec::new(),
            sketches: Vec::new(),
            waiting: Vec::new(),
            case: None,
        };
        self.clusters.insert(number, cluster);
        self.by_age.insert((first_ms, number));
        number
    }

    /// Remembers by what a cluster is known.
    fn learn(&mut self, number: u64, keys: impl Iterator<Item = Key>, sketch: Option<Sketch>) {
        let Some(cluster) = self.clusters.get_mut(&number) else { return };
        for key in keys {
            if cluster.keys.len() < KEYS_MAX && !self.keys.contains_key(&key) {
                self.keys.insert(key, number);
                cluster.keys.push(key);
            }
        }
        if let Some(sketch) = sketch.filter(|sketch| !cluster.sketches.contains(sketch))
            && cluster.sketches.len() < SKETCHES_MAX
        {
            self.near.insert(&sketch, number);
            cluster.sketches.push(sketch);
        }
    }

    fn touch(&mut self, number: u64, at_ms: i64) {
        let Some(cluster) = self.clusters.get_mut(&number) else { return };
        self.by_age.remove(&(cluster.last_ms, number));
        cluster.last_ms = cluster.last_ms.max(at_ms);
        self.by_age.insert((cluster.last_ms, number));
    }

    /// Drops what was last seen before `since_ms`, and the oldest while there is too much.
    fn forget(&mut self, since_ms: i64, texts_max: usize) {
        while let Some((last_ms, number)) = self.by_age.first().copied() {
            if last_ms >= since_ms && self.clusters.len() < texts_max.max(1) {
                return;
            }
            self.by_age.pop_first();
            let Some(cluster) = self.clusters.remove(&number) else { continue };
            for key in cluster.keys {
                self.keys.remove(&key);
            }
            for sketch in cluster.sketches {
                self.near.remove(&sketch, number);
            }
        }
    }

    /// Returns how many clusters are remembered.
    pub fn clusters(&self) -> usize {
        self.clusters.len()
    }
}

impl Cluster {
    fn see(
        &mut self,
        mut sighting: SightedFact<'static>,
        is_edit: bool,
        hasher: &DefaultHashBuilder,
        config: &Config,
    ) -> Found {
        self.place(&sighting, hasher, config);
        if self.lists(&sighting, is_edit, hasher) {
            return Found::default(); // with other words: its group is known, and what follows for it follows
        }
        let mut sightings = Vec::new();
        let has_room = match &mut self.case {
            Some(case) if case.listed.len() < config.case_messages_max => {
                case.list(&sighting, hasher);
                sighting.case = case.id.clone().into();
                sightings.push(sighting);
                true
            }
            None if self.waiting.len() < WAITING_MAX.min(config.case_messages_max) => {
                self.waiting.push(sighting);
                true
            }
            Some(_) | None => false,
        };
        let reported = self.case.as_ref().map(|case| case.reported);
        let due = reported.map_or(config.case_groups_min, |groups| groups * 2).min(config.case_groups_max);
        let is_due = self.groups.len() >= due && reported != Some(self.groups.len());
        let case = is_due.then(|| self.report(&mut sightings, hasher));
        let size = self.size(config);
        Found { case, size, sightings, is_unlisted: !has_room }
    }

    fn place(&mut self, sighting: &SightedFact<'_>, hasher: &DefaultHashBuilder, config: &Config) {
        let place = hasher.hash_one((&*sighting.account, &*sighting.group));
        let has_room = self.places.len() < config.case_messages_max.max(config.case_groups_max);
        if has_room && self.places.insert(place) && self.groups.len() < config.case_groups_max {
            self.groups.push((sighting.account.to_string(), sighting.group.to_string()));
        }
    }

    /// Says whether a message is listed, or waits to be. Before there is a case only an edit can be of one that is.
    fn lists(&self, sighting: &SightedFact<'_>, is_edit: bool, hasher: &DefaultHashBuilder) -> bool {
        let is_same = |of: &SightedFact<'_>| {
            of.of.is_some()
                && (&of.account, &of.group, &of.of) == (&sighting.account, &sighting.group, &sighting.of)
        };
        match &self.case {
            Some(case) => case.listed.contains(&message_hash(sighting, hasher)),
            None => is_edit && self.waiting.iter().any(is_same),
        }
    }

    /// Opens the case, or says how large it has become; the messages that waited for it are told.
    fn report(
        &mut self,
        sightings: &mut Vec<SightedFact<'static>>,
        hasher: &DefaultHashBuilder,
    ) -> CaseFact<'static> {
        let (first_ms, last_ms) = (self.first_ms, self.last_ms);
        let case = self.case.get_or_insert_with(|| Case {
            id: format!("case_{first_ms:013}_{:016x}", self.name),
            ..Case::default()
        });
        case.reported = self.groups.len();
        for mut sighting in std::mem::take(&mut self.waiting) {
            case.list(&sighting, hasher);
            sighting.case = case.id.clone().into();
            sightings.push(sighting);
        }
        let groups =
            self.groups.iter().cloned().map(|(account, group)| (account.into(), group.into())).collect();
        CaseFact { id: case.id.clone().into(), fingerprint: self.name, groups, first_ms, last_ms }
    }

    /// Says how large the case is, when people are to be told.
    fn size(&mut self, config: &Config) -> Option<CaseSizeFact<'static>> {
        let groups = self.places.len();
        let case = self.case.as_mut().filter(|case| groups >= case.told_at)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let size = CaseSizeFact {
            case: case.id.clone().into(),
            is_new: case.told_at == 0,
            groups: count(groups),
            members: count(case.authors.len()),
            messages: count(case.listed.len()),
            by: case.by.iter().map(|(by, count)| (*by, *count)).collect(),
            first_ms: self.first_ms,
            last_ms: self.last_ms,
        };
        case.tell_next(groups, config);
        Some(size)
    }
}

impl Case {
    fn list(&mut self, sighting: &SightedFact<'_>, hasher: &DefaultHashBuilder) {
        if self.listed.insert(message_hash(sighting, hasher)) {
            *self.by.entry(sighting.by).or_default() += 1;
            if let Some(member) = &sighting.member {
                self.authors.insert(hasher.hash_one((&*sighting.account, &**member)));
            }
        }
    }

    /// Works out when people are told again. The steps are the same whenever one looks, so also after a restart.
    fn tell_next(&mut self, groups: usize, config: &Config) {
        self.told_at = config.case_groups_min.max(1);
        while self.told_at <= groups {
            self.told_at = self.told_at.saturating_mul(TOLD_AGAIN);
        }
    }
}

/// Keyed by chance, so nobody can make two messages alike.
fn message_hash(sighting: &SightedFact<'_>, hasher: &DefaultHashBuilder) -> u64 {
    let SightedFact { account, group, member, of, at_ms, .. } = sighting;
    // Of a message whose id was not noted the author and the moment must do.
    match of {
        Some(of) => hasher.hash_one((&**account, &**group, &**of)),
        None => hasher.hash_one((&**account, &**group, member.as_deref(), at_ms)),
    }
}

/// Names a cluster that is known by nothing but a sketch.
fn name_of(sketch: &Sketch) -> u64 {
    sketch.0.iter().fold(0, |name, lane| name.rotate_left(5) ^ u64::from(*lane))
}
