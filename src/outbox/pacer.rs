//! Several levels of limits as one decision: look at every level, then charge all of them or none.
//!
//! One pacer belongs to one account and has one owner, so nothing here waits or locks: the owner is told the earliest
//! time that can work, and which level it is for. No slot is ever charged and then wasted because another level said no.
//! Levels that several accounts share are in [`Commons`]; the owner brings it along.
//!
//! Not for: who goes next (`outbox::lanes`). Invariants: a call that was granted is ended with [`Pacer::complete`] or
//! [`Pacer::cancel`] exactly once; the times of wishes may come in any order, the latest one counts; ends come in order.
//! Layer: pure core.

mod commons;
mod learning;
mod level;
mod outlook;
mod past;
mod shortage;

use std::num::NonZeroU32;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::limit::{AccountLimits, ClassNo, Limit, SharedName};
pub use super::limiter::Micros;
use super::limiter::{Room, WHOLE};
use commons::Verdict;
pub use commons::{AccountNo, Claim, Commons, LevelNo, SharedCall};
pub use learning::Learning;
use learning::{Brake, Recent};
use level::{Charge, Level};
pub use outlook::Outlook;
pub use past::{WallSteps, When};
pub use shortage::{ShortOf, Shortage};

/// What is kept back of limits, and how refusals change them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PacingConfig {
    /// Share of each window of at least 100 calls in 2 s that only urgent calls may use, in percent, rounded down; 0 for
    /// none.
    pub urgent_reserve_percent: u8,
    /// Head-room of limits that several accounts share and that name none, in percent.
    pub shared_headroom_percent: u8,
    /// What a platform's "too often" does.
    pub learning: Learning,
}

impl Default for PacingConfig {
    fn default() -> Self {
        Self { urgent_reserve_percent: 1, shared_headroom_percent: 5, learning: Learning::default() }
    }
}

/// Where a limit holds. A metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// On everything through the account.
    Account,
    /// On one group.
    Group,
    /// On one application that several accounts use.
    App,
    /// On one company with several accounts.
    Corp,
}

impl Scope {
    /// Every scope, for metrics that exist from the start.
    pub const ALL: [Scope; 4] = [Scope::Account, Scope::Group, Scope::App, Scope::Corp];

    /// Returns the spelling in metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Account => "account",
            Scope::Group => "group",
            Scope::App => "app",
            Scope::Corp => "corp",
        }
    }
}

/// A group's number within its account, given out by the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNo(pub u32);

impl GroupNo {
    const DIRECT: u32 = 1 << 31;

    /// Numbers what goes to a person and not to a group: limits of groups do not hold for it.
    pub fn direct(number: u32) -> Self {
        Self(number | Self::DIRECT)
    }

    fn is_direct(self) -> bool {
        self.0 & Self::DIRECT != 0
    }
}

/// One call that somebody would like to make.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// To which group.
    pub group: GroupNo,
    /// Of which class.
    pub class: ClassNo,
    /// What it weighs.
    pub cost: NonZeroU32,
    /// It may use what is reserved for urgent calls, and goes before others where accounts wait for each other.
    pub is_urgent: bool,
}

impl Wish {
    /// Wishes for a call of weight 1 to a group of no class.
    pub fn to(group: GroupNo) -> Self {
        Self { group, class: ClassNo::default(), cost: NonZeroU32::MIN, is_urgent: false }
    }

    fn charge(&self) -> Charge {
        Charge { weight: self.cost, is_urgent: self.is_urgent }
    }
}

/// The answer to a wish to call.
#[derive(Debug)]
pub enum Decision {
    /// Go: every level is charged.
    Granted(Permit),
    /// Not now: nothing is charged.
    Wait {
        /// The level that takes longest.
        scope: Scope,
        /// When to ask again; `None` for "when a call of that level has ended" or, at a level that accounts share, "when
        /// it is your turn".
        until: Option<Micros>,
    },
    /// Not ever: it costs more than a limit of this level allows at once.
    Never {
        /// Whose limit.
        scope: Scope,
    },
}

/// The right to make one call; given back with [`Pacer::complete`] or [`Pacer::cancel`].
#[derive(Debug)]
#[must_use = "a permit that is dropped occupies its slots for ever"]
pub struct Permit {
    wish: Wish,
    from: Micros,
}

impl Permit {
    /// Returns the moment from which the call may be made: the latest that was ever asked about, since a slot that comes
    /// free in the future may have been asked for ahead of time.
    pub fn from(&self) -> Micros {
        self.from
    }

    /// Returns what the call costs.
    pub fn cost(&self) -> NonZeroU32 {
        self.wish.cost
    }
}

/// A call of the past, as the ledger remembers it, on the pacer's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// To which group.
    pub group: GroupNo,
    /// Of which class.
    pub class: ClassNo,
    /// Its start.
    pub started: Micros,
    /// Its end; for a call whose end nobody knows: now.
    pub ended: Micros,
    /// What it cost.
    pub cost: NonZeroU32,
}

/// What a refusal taught about one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// What its rate was halved to, in thousandths of the configured one.
    pub share: u16,
    /// When.
    pub at: Micros,
    /// The limit that was put where none was configured.
    pub limit: Option<Limit>,
}

/// All limits of one account.
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: AccountLimits,
    config: PacingConfig,
    account: Level,
    /// Of each class, in the order of `limits`.
    classes: Vec<Level>,
    /// Only groups that are not as good as new.
    groups: HashMap<GroupNo, Level>,
    number: AccountNo,
    /// The shared levels that calls of each class are charged to, those of no class first.
    shared: Vec<Vec<LevelNo>>,
    recent: Recent,
    latest: Micros,
}

impl Pacer {
    /// Makes a pacer of which nothing is spent and that shares nothing yet.
    pub fn new(limits: AccountLimits, config: &PacingConfig) -> Self {
        let reserve = config.urgent_reserve_percent;
        let account = Level::new(&limits.limits, reserve);
        let classes = limits.classes.iter().map(|class| Level::new(&class.limits, reserve)).collect();
        Self {
            limits,
            config: config.clone(),
            account,
            classes,
            groups: HashMap::new(),
            number: AccountNo(0),
            shared: Vec::new(),
            recent: Recent::default(),
            latest: Micros::MIN,
        }
    }

    /// Charges calls to these levels of [`Commons`] too, as an account of this number.
    pub fn share(&mut self, number: AccountNo, levels: &[(SharedName, LevelNo)]) {
        self.number = number;
        let classes = std::iter::once("").chain(self.limits.classes.iter().map(|class| class.name.as_str()));
        let of_class = |class: &str| {
            let covers = |name: &SharedName| name.class.is_empty() || name.class == class;
            levels.iter().filter(|(name, _)| covers(name)).map(|(_, level)| *level).collect()
        };
        self.shared = classes.map(of_class).collect();
    }

    /// Returns the limits it keeps.
    pub fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    /// Returns the shared levels that its calls may be charged to.
    pub fn shared_levels(&self) -> Vec<LevelNo> {
        let mut levels = Vec::new();
        for level in self.shared.iter().flatten() {
            if !levels.contains(level) {
                levels.push(*level);
            }
        }
        levels
    }

    /// Returns a copy of what holds for the account as a whole, to be run in virtual time.
    pub fn outlook(&self, commons: &Commons) -> Outlook {
        let shared = self.shared.first().map_or(&[][..], Vec::as_slice);
        let mut levels = vec![(self.account.clone(), 0)];
        levels.extend(commons.copies(self.number, shared.iter().copied()));
        Outlook::new(levels, self.config.learning.clone(), self.latest)
    }

    /// Puts calls of the past in, so that a restart gives no limit a fresh burst.
    pub fn restore(&mut self, mut calls: Vec<PastCall>) {
        calls.sort_by_key(|call| call.ended);
        for call in calls {
            self.account.restore(call.started, call.ended, call.cost);
            if let Some(level) = self.class(call.class) {
                level.restore(call.started, call.ended, call.cost);
            }
            self.group(call.group, call.class).restore(call.started, call.ended, call.cost);
        }
    }

    /// Asks for one call: charges every level, or none and says why. `now` may lie ahead of the clock, when something is
    /// to be done before the call that takes a while; then [`Permit::from`] says when the call may start. A group of a
    /// class that is short of room waits as a group does: it holds up nobody outside.
    pub fn acquire(&mut self, now: Micros, wish: Wish, commons: &mut Commons) -> Decision {
        let now = self.at(now.max(commons.latest(self.levels_of(wish.class).iter().copied())));
        match self.look(now, wish) {
            (Room::From(at), _) if at <= now => {}
            (Room::From(at), scope) => return Decision::Wait { scope, until: Some(at) },
            (Room::AfterCompletion, scope) => return Decision::Wait { scope, until: None },
            (Room::Never, scope) => return Decision::Never { scope },
        }
        let charge = wish.charge();
        match commons.ask(now, self.number, self.levels_of(wish.class), charge) {
            Verdict::Charged => {}
            Verdict::Wait(scope, until) => return Decision::Wait { scope, until },
            Verdict::Never(scope) => return Decision::Never { scope },
        }
        self.account.charge(now, charge);
        self.recent.count(now, wish.cost);
        if let Some(level) = self.class(wish.class) {
            level.charge(now, charge);
        }
        self.group(wish.group, wish.class).charge(now, charge);
        Decision::Granted(Permit { wish, from: now })
    }

    /// Looks at the account's own levels.
    fn look(&mut self, now: Micros, wish: Wish) -> (Room, Scope) {
        let (charge, Wish { group, class, cost, .. }) = (wish.charge(), wish);
        let Self { account, classes, groups, config, limits, .. } = self;
        let learning = &config.learning;
        let mut room = (account.look(now, charge, learning), Scope::Account);
        if let Some(level) = usize::from(class.0).checked_sub(1).and_then(|at| classes.get_mut(at)) {
            // Whose end frees a slot of a class is not known to whoever waits, so it looks again soon.
            let look = match level.look(now, charge, learning) {
                Room::AfterCompletion => Room::From(now + CLASS_LOOK_AGAIN),
                look @ (Room::From(_) | Room::Never) => look,
            };
            room = room.max((look, Scope::Group));
        }
        if let Some(level) = groups.get_mut(&group) {
            room = room.max((level.look(now, charge, learning), Scope::Group));
        } else if of_group(limits, group, class).iter().any(|limit| limit.cost_max() < cost.get()) {
            room = room.max((Room::Never, Scope::Group));
        }
        room
    }

    /// Notes that the call ended, whatever came of it: its slots stay occupied for the windows' length.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is used up")]
    pub fn complete(&mut self, now: Micros, permit: Permit, commons: &mut Commons) {
        let Permit { wish, from } = permit;
        let charge = wish.charge();
        self.account.complete(now, charge);
        if let Some(level) = self.class(wish.class) {
            level.complete(now, charge);
        }
        self.group(wish.group, wish.class).complete(now, charge);
        commons.complete(now, from, self.levels_of(wish.class), charge);
    }

    /// Gives a permit back whose call was never made.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is used up")]
    pub fn cancel(&mut self, permit: Permit, commons: &mut Commons) {
        let wish = permit.wish;
        let charge = wish.charge();
        self.account.cancel(charge);
        if let Some(level) = self.class(wish.class) {
            level.cancel(charge);
        }
        self.group(wish.group, wish.class).cancel(charge);
        commons.cancel(self.levels_of(wish.class), charge);
    }

    /// Keeps the account silent until `until`: the platform asked for it.
    pub fn delay_account(&mut self, until: Micros) {
        self.account.delay(until);
    }

    /// Keeps one group silent until `until`: the platform asked for it.
    pub fn delay_group(&mut self, group: GroupNo, class: ClassNo, until: Micros) {
        self.group(group, class).delay(until);
    }

    // === what refusals teach ===

    /// The platform said "too often" of everything through the account, to a call that began at `started`. Returns what
    /// is new.
    pub fn account_refused(&mut self, now: Micros, started: Micros) -> Option<Lesson> {
        let learning = &self.config.learning;
        let changed = self.account.refused(now, started, Some(&self.recent), learning);
        changed.then(|| self.account_lesson()).flatten()
    }

    /// The same of one group.
    pub fn group_refused(
        &mut self,
        now: Micros,
        started: Micros,
        group: GroupNo,
        class: ClassNo,
    ) -> Option<Lesson> {
        let learning = self.config.learning.clone();
        let level = self.group(group, class);
        level.refused(now, started, None, &learning).then(|| lesson(level)).flatten()
    }

    /// Goes on with what was learned about the account before.
    pub fn resume_account(&mut self, now: Micros, lesson: Lesson) {
        let brake = Brake { share: lesson.share, since: lesson.at };
        self.account.resume(now, brake, lesson.limit, &self.config.learning);
    }

    /// Goes on with what was learned about a group before.
    pub fn resume_group(&mut self, now: Micros, group: GroupNo, class: ClassNo, lesson: Lesson) {
        let learning = self.config.learning.clone();
        let brake = Brake { share: lesson.share, since: lesson.at };
        self.group(group, class).resume(now, brake, lesson.limit, &learning);
    }

    /// Returns what is learned about the account.
    pub fn account_lesson(&self) -> Option<Lesson> {
        lesson(&self.account)
    }

    /// Returns the account's limits and the share of them that is used, in thousandths.
    pub fn account_limits(&mut self, now: Micros) -> (Vec<Limit>, u16) {
        let share = self.account.share(now, &self.config.learning);
        (self.account.limits().copied().collect(), share)
    }

    /// Returns the share of a group's rate that is used, in thousandths.
    pub fn group_share(&mut self, now: Micros, group: GroupNo) -> u16 {
        let learning = &self.config.learning;
        self.groups.get_mut(&group).map_or(WHOLE, |level| level.share(now, learning))
    }

    // === for people ===

    /// Returns the spent share of the account's tightest limit, 0 to 1.
    pub fn account_saturation(&mut self, now: Micros) -> f64 {
        let now = self.at(now);
        self.account.saturation(now)
    }

    /// Returns the spent share of the tightest limit of the most busy group, 0 to 1. Looks at every busy group.
    pub fn group_saturation(&mut self, now: Micros) -> f64 {
        let now = self.at(now);
        self.groups.values_mut().map(|level| level.saturation(now)).fold(0.0, f64::max)
    }

    /// Returns the spent share of the tightest limit of each level that is shared.
    pub fn shared_saturation(&self, now: Micros, commons: &mut Commons) -> Vec<(Scope, f64)> {
        commons.saturation(now, self.shared_levels().into_iter())
    }

    /// Forgets groups that are as good as new; memory then holds busy groups only.
    pub fn sweep(&mut self, now: Micros) {
        let now = self.at(now);
        let learning = &self.config.learning;
        self.groups.retain(|_, level| !level.is_idle(now, learning));
    }

    fn at(&mut self, now: Micros) -> Micros {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn class(&mut self, class: ClassNo) -> Option<&mut Level> {
        self.classes.get_mut(usize::from(class.0).checked_sub(1)?)
    }

    fn levels_of(&self, class: ClassNo) -> &[LevelNo] {
        self.shared.get(usize::from(class.0)).map_or(&[], Vec::as_slice)
    }

    fn group(&mut self, group: GroupNo, class: ClassNo) -> &mut Level {
        // Nothing is reserved for urgent calls here: what is short is the account, not one group.
        self.groups.entry(group).or_insert_with(|| Level::new(of_group(&self.limits, group, class), 0))
    }
}

/// How soon a class of groups is looked at again whose slots are all taken by calls under way.
const CLASS_LOOK_AGAIN: Micros = 20_000;

/// Returns the limits of a group. What goes to a person has none but those of its class.
fn of_group(limits: &AccountLimits, group: GroupNo, class: ClassNo) -> &[Limit] {
    if group.is_direct() {
        return limits.class(class).map_or(&[], |class| &class.group_limits);
    }
    limits.of_groups(class)
}

fn lesson(level: &Level) -> Option<Lesson> {
    level.brake().map(|(brake, limit)| Lesson { share: brake.share, at: brake.since, limit })
}

#[cfg(test)]
mod tests;
