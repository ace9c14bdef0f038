//! Levels that several accounts share, and the order in which their accounts come to their slots.
//!
//! Each account keeps its own pacer; what several of them share is here, and is looked at and charged together with the
//! account's own levels or not at all. An account that is refused here draws a number and waits at the level that takes
//! longest; urgent calls draw theirs from a lower heap. Only the first of a level is told a time; it leaves when it was
//! served or has nothing to send any more, and then the next one, and only that one, is to be woken
//! ([`Commons::take_wakes`]). So nobody polls, a free slot wakes one account, and accounts take turns call by call.
//!
//! Not for: waking anybody, or reading what is to be remembered (the runner). Invariant: a level whose past is not known
//! lets nobody through. Layer: pure core.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::level::{Charge, Level};
use super::{PacingConfig, Scope};
use crate::outbox::limit::{Headroom, Limit, SharedKind, SharedName};
use crate::outbox::limiter::{Micros, Room};

/// An account's number in the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountNo(pub u32);

/// A shared level's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LevelNo(usize);

/// A call of the past at a shared level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedCall {
    /// Its start.
    pub started: Micros,
    /// Its end; for a call whose end nobody knows: now.
    pub ended: Micros,
    /// What it weighed.
    pub weight: NonZeroU32,
}

/// What somebody who joins a level has to read first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The calls of all these accounts, then [`Commons::built`] with the number.
    Build {
        /// Of this building; a later one makes it void.
        build: u64,
        /// Whose.
        accounts: Vec<AccountNo>,
    },
    /// Its own calls that ended from then on, then [`Commons::joined`]; `None` for none.
    Join {
        /// From when on.
        since: Option<Micros>,
    },
}

/// Where a call stands with the levels its account shares.
pub(super) enum Verdict {
    /// Charged.
    Charged,
    /// Waits at a level of this scope; a time only for its first.
    Wait(Scope, Option<Micros>),
    /// It weighs more than this level ever allows.
    Never(Scope),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Commons {
    levels: Vec<Common>,
    numbers: HashMap<SharedName, LevelNo>,
    /// One for urgent calls and one for the others of each account.
    waiting: HashMap<(AccountNo, bool), Waiting>,
    tickets: u64,
    builds: u64,
    wakes: Vec<AccountNo>,
    config: PacingConfig,
}

/// What waits with the lower number goes first; urgent is `false`, so that it sorts first.
type Place = (bool, u64);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: Place,
    at: LevelNo,
}

/// One level.
#[derive(Debug)]
struct Common {
    kind: SharedKind,
    /// What was asked for, before head-room.
    limits: Vec<Limit>,
    level: Level,
    standing: Standing,
    latest: Micros,
    /// How many calls of each kind are under way.
    in_flight: BTreeMap<Charge, u32>,
    members: HashMap<AccountNo, Member>,
    queue: BTreeMap<Place, AccountNo>,
    /// The first was told no time: it waits for a call to end or for the level to be built.
    first_is_blind: bool,
    /// Calls that ended while the past was being read.
    ended_meanwhile: Vec<SharedCall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its past is known.
    Ready,
    /// Somebody reads it.
    Building(u64),
    /// Whoever wanted to read it could not.
    Unknown,
}

/// What the level knows of an account's calls.
#[derive(Clone, Copy, Debug)]
enum Member {
    /// Everything: it charges them here.
    Joined,
    /// Those that ended before this time.
    KnownUntil(Micros),
}

impl Common {
    fn new(kind: SharedKind) -> Self {
        Self {
            kind,
            limits: Vec::new(),
            level: Level::default(),
            standing: Standing::Unknown,
            latest: Micros::MIN,
            in_flight: BTreeMap::new(),
            members: HashMap::new(),
            queue: BTreeMap::new(),
            first_is_blind: false,
            ended_meanwhile: Vec::new(),
        }
    }

    fn scope(&self) -> Scope {
        match self.kind {
            SharedKind::App => Scope::App,
            SharedKind::Corp => Scope::Corp,
        }
    }

    /// Takes a call off those under way.
    fn take_back(&mut self, charge: Charge) {
        if let Some(calls) = self.in_flight.get_mut(&charge) {
            *calls = calls.saturating_sub(1);
        }
    }

    fn restore(&mut self, mut calls: Vec<SharedCall>) {
        calls.sort_by_key(|call| call.ended);
        for call in calls {
            self.level.restore(call.started, call.ended, call.weight);
        }
    }
}

impl Commons {
    /// Makes room for shared levels; there are none yet.
    pub fn new(config: PacingConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Returns the accounts to be woken, each of which is the first of a level that it waits at.
    pub fn take_wakes(&mut self) -> Vec<AccountNo> {
        std::mem::take(&mut self.wakes)
    }

    // === who belongs to a level ===

    /// Takes an account into a level whose limits, over all its accounts, are `limits`. `accounts` are those that may have
    /// sent under it. Says what must be read before the account may send.
    pub fn claim(
        &mut self,
        now: Micros,
        name: &SharedName,
        account: AccountNo,
        limits: &[Limit],
        accounts: Vec<AccountNo>,
    ) -> (LevelNo, Claim) {
        let number = if let Some(number) = self.numbers.get(name) {
            *number
        } else {
            let number = LevelNo(self.levels.len());
            self.levels.push(Common::new(name.kind));
            self.numbers.insert(name.clone(), number);
            number
        };
        let common = &mut self.levels[number.0];
        if common.limits == limits && common.standing != Standing::Unknown {
            let since = match common.members.get(&account) {
                Some(Member::Joined) => None,
                Some(Member::KnownUntil(time)) => Some(*time),
                None => Some(Micros::MIN),
            };
            return (number, Claim::Join { since });
        }
        self.builds += 1;
        common.limits = limits.to_vec();
        common.standing = Standing::Building(self.builds);
        common.ended_meanwhile.clear();
        for account in &accounts {
            let member = common.members.entry(*account).or_insert(Member::KnownUntil(now));
            if let Member::KnownUntil(time) = member {
                *time = now;
            }
        }
        (number, Claim::Build { build: self.builds, accounts })
    }

    /// Takes over the past of a level. What is under way, and what ended meanwhile, counts besides.
    pub fn built(&mut self, number: LevelNo, account: AccountNo, build: u64, calls: Vec<SharedCall>) {
        let Some(common) = self.levels.get_mut(number.0) else { return };
        common.members.insert(account, Member::Joined);
        if common.standing != Standing::Building(build) {
            return; // the limits changed again meanwhile, and somebody else builds
        }
        let headroom = Headroom::Percent(self.config.shared_headroom_percent);
        let limits: Vec<_> = common.limits.iter().map(|limit| limit.with_headroom(headroom)).collect();
        common.level = Level::new(&limits, self.config.urgent_reserve_percent);
        for (charge, calls) in &common.in_flight {
            for _ in 0..*calls {
                common.level.charge(common.latest, *charge);
            }
        }
        let meanwhile = std::mem::take(&mut common.ended_meanwhile);
        common.restore(calls.into_iter().chain(meanwhile).collect());
        common.standing = Standing::Ready;
        self.wake_first(number);
    }

    /// Notes that the past of a level could not be read: the next account that claims it tries again.
    pub fn not_built(&mut self, number: LevelNo, build: u64) {
        if let Some(common) = self.levels.get_mut(number.0)
            && common.standing == Standing::Building(build)
        {
            common.standing = Standing::Unknown;
        }
    }

    /// Adds an account's own calls to a level that stands, and lets it charge there from now on.
    pub fn joined(&mut self, number: LevelNo, account: AccountNo, calls: Vec<SharedCall>) {
        let Some(common) = self.levels.get_mut(number.0) else { return };
        match common.standing {
            Standing::Ready => common.restore(calls),
            Standing::Building(_) | Standing::Unknown => common.ended_meanwhile.extend(calls),
        }
        common.members.insert(account, Member::Joined);
    }

    /// Notes that an account charges at these levels only from now on.
    pub fn keep_only(&mut self, now: Micros, account: AccountNo, levels: &[LevelNo]) {
        for (at, common) in self.levels.iter_mut().enumerate() {
            if !levels.contains(&LevelNo(at))
                && let Some(member) = common.members.get_mut(&account)
                && matches!(member, Member::Joined)
            {
                *member = Member::KnownUntil(now);
            }
        }
    }

    /// Says whether a level stands with these limits.
    pub fn is_current(&self, name: &SharedName, limits: &[Limit]) -> bool {
        let common = self.numbers.get(name).and_then(|number| self.levels.get(number.0));
        common.is_some_and(|common| common.limits == limits && common.standing != Standing::Unknown)
    }

    /// Says whether one of these levels waits for somebody to read its past.
    pub fn is_unknown(&self, levels: &[LevelNo]) -> bool {
        let standing = |number: &LevelNo| self.levels.get(number.0).map(|common| common.standing);
        levels.iter().any(|number| standing(number) == Some(Standing::Unknown))
    }

    /// Returns the accounts that share a level with this one.
    pub fn sharing_with(&self, account: AccountNo) -> Vec<AccountNo> {
        let with = self.levels.iter().filter(|common| common.members.contains_key(&account));
        let mut accounts: Vec<_> = with.flat_map(|common| common.members.keys().copied()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|other| *other != account);
        accounts
    }

    // === charging ===

    /// Returns the latest time that was asked about at any of these levels.
    pub(super) fn latest(&self, levels: impl Iterator<Item = LevelNo>) -> Micros {
        levels
            .filter_map(|number| self.levels.get(number.0))
            .map(|common| common.latest)
            .max()
            .unwrap_or(Micros::MIN)
    }

    /// Asks for one call at all these levels: charges every one, or none and lets it wait at the one that takes longest.
    pub(super) fn ask(
        &mut self,
        now: Micros,
        account: AccountNo,
        levels: &[LevelNo],
        charge: Charge,
    ) -> Verdict {
        let key = (account, charge.is_urgent);
        let place = self.waiting.get(&key).map(|waiting| waiting.place);
        let mut worst: Option<(Room, LevelNo)> = None;
        for number in levels {
            let Some(common) = self.levels.get_mut(number.0) else { continue };
            common.latest = common.latest.max(now);
            let is_first = match common.queue.first_key_value() {
                None => true,
                Some((first, _)) => place.unwrap_or((!charge.is_urgent, u64::MAX)) <= *first,
            };
            let room = match common.level.look(now, charge, &self.config.learning) {
                Room::Never => Room::Never,
                _ if common.standing != Standing::Ready || !is_first => Room::AfterCompletion,
                room @ (Room::From(_) | Room::AfterCompletion) => room,
            };
            if worst.is_none_or(|(other, _)| room > other) {
                worst = Some((room, *number));
            }
        }
        match worst {
            Some((Room::Never, number)) => Verdict::Never(self.scope(number)),
            Some((Room::From(at), _)) if at <= now => self.charge(now, account, levels, charge),
            None => Verdict::Charged,
            Some((room, number)) => {
                let is_first = self.wait_at(number, key, place);
                let until = match room {
                    Room::From(at) if is_first => Some(at),
                    Room::From(_) | Room::AfterCompletion | Room::Never => None,
                };
                if is_first && let Some(common) = self.levels.get_mut(number.0) {
                    common.first_is_blind = until.is_none();
                }
                Verdict::Wait(self.scope(number), until)
            }
        }
    }

    fn charge(&mut self, now: Micros, account: AccountNo, levels: &[LevelNo], charge: Charge) -> Verdict {
        for number in levels {
            if let Some(common) = self.levels.get_mut(number.0) {
                common.level.charge(now, charge);
                *common.in_flight.entry(charge).or_default() += 1;
            }
        }
        self.leave((account, charge.is_urgent));
        Verdict::Charged
    }

    fn scope(&self, number: LevelNo) -> Scope {
        self.levels.get(number.0).map_or(Scope::Account, Common::scope)
    }

    /// Lets an account wait at a level, with the number it has or a new one; says whether it is the first there.
    fn wait_at(&mut self, number: LevelNo, key: (AccountNo, bool), place: Option<Place>) -> bool {
        if self.waiting.get(&key).is_some_and(|waiting| waiting.at != number) {
            self.leave(key);
        }
        let place = place.unwrap_or_else(|| {
            self.tickets += 1;
            (!key.1, self.tickets)
        });
        self.waiting.insert(key, Waiting { place, at: number });
        let Some(common) = self.levels.get_mut(number.0) else { return false };
        common.queue.insert(place, key.0);
        common.queue.first_key_value().is_some_and(|(first, _)| *first == place)
    }

    /// Takes an account off the queue it waits in; if it was the first there, it is the next one's turn.
    fn leave(&mut self, key: (AccountNo, bool)) {
        let Some(Waiting { place, at }) = self.waiting.remove(&key) else { return };
        let Some(common) = self.levels.get_mut(at.0) else { return };
        let was_first = common.queue.first_key_value().is_some_and(|(first, _)| *first == place);
        common.queue.remove(&place);
        if was_first {
            self.wake_first(at);
        }
    }

    fn wake_first(&mut self, number: LevelNo) {
        let Some(common) = self.levels.get_mut(number.0) else { return };
        common.first_is_blind = false;
        self.wakes.extend(common.queue.first_key_value().map(|(_, account)| *account));
    }

    /// Notes that an account waits here only for what it says, and for nothing else: it has nothing more to send, or waits
    /// for something of its own.
    pub fn rest(&mut self, account: AccountNo, urgent_waits: bool, others_wait: bool) {
        for (is_urgent, waits) in [(true, urgent_waits), (false, others_wait)] {
            if !waits {
                self.leave((account, is_urgent));
            }
        }
    }

    /// Notes that a call ended.
    pub(super) fn complete(&mut self, now: Micros, started: Micros, levels: &[LevelNo], charge: Charge) {
        for number in levels {
            let Some(common) = self.levels.get_mut(number.0) else { continue };
            common.take_back(charge);
            common.level.complete(now, charge);
            if common.standing != Standing::Ready {
                let call = SharedCall { started, ended: now, weight: charge.weight };
                common.ended_meanwhile.push(call);
            } else if common.first_is_blind {
                self.wake_first(*number);
            }
        }
    }

    /// Gives a charge back whose call was never made.
    pub(super) fn cancel(&mut self, levels: &[LevelNo], charge: Charge) {
        for number in levels {
            let Some(common) = self.levels.get_mut(number.0) else { continue };
            common.take_back(charge);
            common.level.cancel(charge);
            self.wake_first(*number);
        }
    }

    /// Returns copies of levels for an estimate, each with how many others wait there for their turn.
    pub(super) fn copies(
        &self,
        account: AccountNo,
        levels: impl Iterator<Item = LevelNo>,
    ) -> Vec<(Level, u32)> {
        let copy = |common: &Common| {
            let mut others: Vec<_> = common.queue.values().filter(|other| **other != account).collect();
            others.dedup();
            (common.level.clone(), u32::try_from(others.len()).unwrap_or(u32::MAX))
        };
        levels.filter_map(|number| self.levels.get(number.0)).map(copy).collect()
    }

    /// Says from when on a call fits each of these levels, and which limit keeps it.
    pub(super) fn short(
        &mut self,
        now: Micros,
        levels: &[LevelNo],
        charge: Charge,
    ) -> Vec<(Scope, (Room, Option<Limit>))> {
        let mut found = Vec::new();
        for number in levels {
            if let Some(common) = self.levels.get_mut(number.0) {
                let now = now.max(common.latest);
                found.push((common.scope(), common.level.short(now, charge, &self.config.learning)));
            }
        }
        found
    }

    /// Returns the spent share of the fullest limit of each of these levels, with its scope.
    pub(super) fn saturation(
        &mut self,
        now: Micros,
        levels: impl Iterator<Item = LevelNo>,
    ) -> Vec<(Scope, f64)> {
        let mut found = Vec::new();
        for number in levels {
            if let Some(common) = self.levels.get_mut(number.0) {
                found.push((common.scope(), common.level.saturation(now.max(common.latest))));
            }
        }
        found
    }
}
