//! The same advert in several groups within a time: one case, however many groups follow.
//!
//! Messages belong together when their folded texts are the same or near, when they lead to the same address, name the same
//! contact or bring the same file. The first message in which something new is seen makes a cluster; who shares anything
//! with a cluster joins it, so an advert that changes its words and later its number stays one case.
//!
//! Pure. Deterministic in the order of sightings: replaying the journal finds the same cases.

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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::event::{EventKey, Head, Verdict};

    fn effects(
        group: &str,
        at_ms: i64,
        text: Option<u64>,
        sketch: Option<Sketch>,
        marks: &[Mark],
    ) -> Effects<'static> {
        let head = Head {
            key: EventKey(0),
            at_ms,
            arrived_ms: at_ms,
            account: "a".into(),
            group: group.to_owned().into(),
            member: Some("m".into()),
            name: None,
            role: Role::Customer,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: text,
        };
        let traits = TraitsFact { of: format!("e-{group}-{at_ms}").into(), sketch, marks: marks.to_vec() };
        Effects { head, facts: vec![Fact::Traits(traits)] }
    }

    fn seen(text: u64, group: &str, at_ms: i64) -> Effects<'static> {
        effects(group, at_ms, Some(text), None, &[])
    }

    fn config() -> Config {
        Config { case_groups_min: 3, ..Config::default() }
    }

    fn mark(kind: MarkKind, hash: u64) -> Mark {
        Mark { kind, hash }
    }

    #[test]
    fn one_case_for_one_advert_reported_again_only_when_it_doubles_and_every_message_is_listed() {
        let mut spread = Spread::default();
        let (mut reports, mut listed) = (Vec::new(), Vec::new());
        for n in 0..13 {
            let found = spread.observe(&seen(7, &format!("g{}", n % 12), n * 1_000), &config());
            reports.extend(found.case.map(|case| (case.id, case.groups.len())));
            listed.extend(found.sightings.into_iter().map(|sighting| (sighting.case, sighting.at_ms)));
        }
        let sizes: Vec<usize> = reports.iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes, [3, 6, 12]);
        assert!(reports.iter().all(|(id, _)| *id == reports[0].0));
        let expect: Vec<_> = (0..13).map(|n| (reports[0].0.clone(), n * 1_000)).collect();
        assert_eq!(listed, expect);
    }

    #[test]
    fn another_wording_the_same_number_and_another_number_the_same_picture_are_one_case() {
        let near = |text: &str| Sketch::of(text, &[1; 16]);
        let (number, picture, link) =
            (mark(MarkKind::Contact, 1), mark(MarkKind::File, 2), mark(MarkKind::Link, 3));
        let steps = [
            effects("g1", 1, Some(10), near("招聘兼职打字员每天两百元日结有意者速来报名从速"), &[]),
            effects("g2", 2, Some(11), near("招聘兼职打字员每天三百元日结有意者速来报名从速"), &[number]),
            effects(
                "g3",
                3,
                Some(12),
                near("今天天气真不错大家周末一起出去走走看看吧朋友们"),
                &[number, picture],
            ),
            effects("g4", 4, None, None, &[picture, link]),
            effects("g5", 5, None, None, &[link]),
        ];
        let mut spread = Spread::default();
        let found: Vec<Found> = steps.iter().map(|step| spread.observe(step, &config())).collect();
        assert_eq!(spread.clusters(), 1);
        let by: Vec<Alike> =
            found.iter().flat_map(|found| found.sightings.iter().map(|sighting| sighting.by)).collect();
        assert_eq!(by, [Alike::Text, Alike::Near, Alike::Contact, Alike::File, Alike::Link]);
        let off = Config { near_min: 0, by_link: false, by_contact: false, by_file: false, ..config() };
        let mut apart = Spread::default();
        assert!(steps.iter().all(|step| apart.observe(step, &off).is_empty()));
    }

    #[test]
    fn people_are_told_how_large_a_case_is_when_it_opens_each_author_once() {
        let mut spread = Spread::default();
        let told = (0..9).filter_map(|n| spread.observe(&seen(7, &format!("g{}", n / 2), n), &config()).size);
        let told: Vec<_> = told.collect();
        let [size] = &told[..] else { panic!("{told:?}") };
        assert_eq!((size.is_new, size.groups, size.members, size.messages), (true, 3, 1, 5));
        assert_eq!(size.by, [(Alike::Text, 5)]);
    }

    #[test]
    fn a_message_that_becomes_an_advert_by_an_edit_counts_and_is_listed_once() {
        let mut spread = Spread::default();
        let edited = |n: i64, of: i64| {
            let mut effects = effects(&format!("g{of}"), n, Some(7), None, &[]);
            effects.head.what = EventType::MessageEdited;
            let traits = TraitsFact { of: format!("e-{of}").into(), sketch: None, marks: Vec::new() };
            effects.facts = vec![Fact::Traits(traits)];
            effects
        };
        let found: Vec<_> = [0, 1, 1, 2, 2]
            .into_iter()
            .zip(0..)
            .map(|(of, n)| spread.observe(&edited(n, of), &config()))
            .collect();
        let listed: Vec<_> =
            found.iter().flat_map(|found| &found.sightings).map(|seen| seen.of.clone().unwrap()).collect();
        assert_eq!(listed, ["e-0", "e-1", "e-2"]);
        assert_eq!(found[3].case.as_ref().map(|case| case.groups.len()), Some(3));
    }

    #[test]
    fn slow_repetition_is_no_case() {
        let mut spread = Spread::default();
        for n in 0..10 {
            let at = n * (config().window_ms() + 1);
            assert!(spread.observe(&seen(7, &format!("g{n}"), at), &config()).is_empty());
        }
        assert_eq!(spread.clusters(), 1);
    }

    #[test]
    fn a_restart_continues_a_case() {
        let mut before = Spread::default();
        let mut found = (0..3).map(|n| before.observe(&seen(7, &format!("g{n}"), n), &config()));
        let opened = found.find(|found| found.case.is_some()).unwrap();
        let case = opened.case.unwrap();
        let mut after = Spread::default();
        after.resume(&case, opened.sightings.into_iter(), &config());
        for n in 0..5 {
            let found = after.observe(&seen(7, &format!("g{n}"), n), &config());
            assert_eq!((found.case, found.size), (None, None));
            let listed: Vec<_> = found.sightings.iter().map(|sighting| &*sighting.case).collect();
            assert_eq!(listed, if n < 3 { vec![] } else { vec![&*case.id] }, "listed before, or now");
        }
        let grown = after.observe(&seen(7, "g5", 5), &config()).case.unwrap();
        assert_eq!((grown.id, grown.groups.len()), (case.id.clone(), 6));
        let told = (6..30).filter_map(|n| after.observe(&seen(7, &format!("g{n}"), n), &config()).size);
        let told: Vec<_> = told.map(|size| (size.is_new, size.groups, size.messages)).collect();
        assert_eq!(told, [(false, 30, 30)], "ten times as large as at first");
    }

    #[test]
    fn memory_is_bounded_and_lists_end_somewhere() {
        let config = Config { texts_max: 10, case_messages_max: 4, near_min: 0, ..config() };
        let mut spread = Spread::default();
        for n in 0..100 {
            spread.observe(
                &effects("g", 0, Some(n), Sketch::of(&format!("{n:012}{n:012}"), &[0; 16]), &[]),
                &config,
            );
        }
        assert!(spread.clusters() <= 10 && spread.keys.len() <= 10);
        let found = (0..9).map(|n| spread.observe(&seen(500, &format!("g{n}"), n), &config));
        let (listed, unlisted) = found.fold((0, 0), |(listed, unlisted), found| {
            (listed + found.sightings.len(), unlisted + usize::from(found.is_unlisted))
        });
        assert_eq!((listed, unlisted), (4, 5), "what is not listed is counted");
    }

    proptest! {
        /// Without near texts: a cluster is what the messages before, taken one by one, would have joined.
        #[test]
        fn messages_belong_together_as_a_plain_look_at_all_before_says(
            said in vec((0_u64..6, vec(0_u64..6, 0..3), 0_usize..6), 1..60)
        ) {
            let config = Config { near_min: 0, ..config() };
            let mut spread = Spread::default();
            // What each key belongs to: the oldest of the message's keys, else a cluster of its own.
            let (mut of_key, mut groups): (HashMap<Key, usize>, Vec<BTreeSet<usize>>) = (HashMap::new(), Vec::new());
            let mut ids: HashMap<usize, String> = HashMap::new();
            for (at, (text, marks, group)) in said.into_iter().enumerate() {
                let marks: Vec<Mark> = marks.into_iter().map(|hash| mark(MarkKind::Link, hash)).collect();
                let keys: Vec<Key> = std::iter::once(Key::Text(text)).chain(marks.iter().copied().map(Key::Mark)).collect();
                let cluster = keys.iter().filter_map(|key| of_key.get(key)).min().copied().unwrap_or_else(|| {
                    groups.push(BTreeSet::new());
                    groups.len() - 1
                });
                for key in keys {
                    of_key.entry(key).or_insert(cluster);
                }
                groups[cluster].insert(group);
                let found = spread.observe(&effects(&group.to_string(), i64::try_from(at).unwrap(), Some(text), None, &marks), &config);
                let is_case = groups[cluster].len() >= config.case_groups_min;
                prop_assert_eq!(found.sightings.is_empty(), !is_case);
                for sighting in found.sightings {
                    let id = ids.entry(cluster).or_insert_with(|| sighting.case.to_string());
                    prop_assert_eq!(&*sighting.case, &**id);
                }
            }
        }
    }
}
