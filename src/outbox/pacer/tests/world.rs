//! Several accounts with pacers of their own, what they share, a ledger of whole milliseconds, and clocks that can be set.
//!
//! Nothing is asked again without a reason: an account looks at what it has to send when something arrives, when one of its
//! calls ends, when the time it was told has come, or when it is its turn at a shared level. A wake-up that is lost shows
//! as work that stands still.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::outbox::testing::audit::Seen;

/// What the ledger holds of a call.
#[derive(Clone, Copy, Debug)]
struct Row {
    account: usize,
    group: u32,
    started_ms: i64,
    ended_ms: Option<i64>,
    weight: NonZeroU32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) group: u32,
    pub(super) weight: NonZeroU32,
    pub(super) is_urgent: bool,
    pub(super) since: Micros,
}

struct Account {
    pacer: Pacer,
    urgent: VecDeque<Want>,
    others: VecDeque<Want>,
    wake_at: Option<Micros>,
}

pub(super) struct World {
    limits: AccountLimits,
    config: PacingConfig,
    accounts: Vec<Account>,
    commons: Commons,
    pub(super) now: Micros,
    /// What the wall clock shows beside the steady one.
    wall_apart_ms: i64,
    steps: WallSteps,
    rows: Vec<Row>,
    pub(super) calls: Vec<Seen>,
    pub(super) waits: Vec<(bool, Micros)>,
    under_way: BTreeMap<(Micros, usize), (usize, Permit)>,
    round_trip: Box<dyn FnMut() -> Micros>,
    /// How often an account was woken because it was its turn.
    pub(super) wakes: usize,
}

/// Group `n` of account `a` is a robot's if odd.
fn group_id(group: u32) -> String {
    if group % 2 == 1 { format!("robot:{group}") } else { format!("g{group}") }
}

impl World {
    pub(super) fn new(
        accounts: usize,
        limits: AccountLimits,
        config: PacingConfig,
        round_trip: impl FnMut() -> Micros + 'static,
    ) -> Self {
        let mut world = Self {
            limits,
            config,
            accounts: Vec::new(),
            commons: Commons::default(),
            now: 50 * 86_400 * SECOND,
            wall_apart_ms: 1_700_000_000_000,
            steps: WallSteps::default(),
            rows: Vec::new(),
            calls: Vec::new(),
            waits: Vec::new(),
            under_way: BTreeMap::new(),
            round_trip: Box::new(round_trip),
            wakes: 0,
        };
        for _ in 0..accounts {
            let pacer = Pacer::new(world.limits.clone(), &world.config);
            let (urgent, others) = (VecDeque::new(), VecDeque::new());
            world.accounts.push(Account { pacer, urgent, others, wake_at: None });
        }
        world.steps.watch(world.now, world.wall_ms());
        world.restart();
        world
    }

    fn wall_ms(&self) -> i64 {
        self.wall_apart_ms + self.now.div_euclid(1000)
    }

    /// Sets the wall clock; the gateway notices before anything else happens.
    pub(super) fn set_wall(&mut self, by_ms: i64) {
        self.wall_apart_ms += by_ms;
        self.steps.watch(self.now, self.wall_ms());
    }

    /// Forgets everything but the ledger, and starts again: what was under way has no end that anybody knows, and every
    /// account reads its own past, the first one that of all for what they share.
    pub(super) fn restart(&mut self) {
        for ((_, call), _) in std::mem::take(&mut self.under_way) {
            // The platform had it by now at the latest: the connection is gone.
            self.calls[call].end = self.now;
        }
        self.commons = Commons::new(self.config.clone());
        let now_ms = self.wall_ms();
        for row in &mut self.rows {
            row.ended_ms.get_or_insert(now_ms);
        }
        for at in 0..self.accounts.len() {
            self.rebuild(at);
        }
        for at in 0..self.accounts.len() {
            self.look(at);
        }
        self.wake();
    }

    fn rebuild(&mut self, at: usize) {
        let when = When { now: self.now, now_ms: self.wall_ms() };
        let number = |at: usize| AccountNo(u32::try_from(at).unwrap());
        let end = |row: &Row| when.end(&self.steps, row.ended_ms);
        let mut pacer = Pacer::new(self.limits.clone(), &self.config);
        let own = self.rows.iter().filter(|row| row.account == at).map(|row| PastCall {
            group: GroupNo(row.group),
            class: self.limits.class_of(&group_id(row.group)),
            started: when.start(&self.steps, row.started_ms),
            ended: end(row),
            cost: row.weight,
        });
        pacer.restore(own.collect());
        let mut levels = Vec::new();
        for shared in &self.limits.shared {
            let all = (0..self.accounts.len()).map(number).collect();
            let (level, claim) = self.commons.claim(self.now, &shared.name, number(at), &shared.limits, all);
            let of = |row: &&Row| shared.name.covers(&group_id(row.group));
            let call = |row: &Row| SharedCall {
                started: when.start(&self.steps, row.started_ms),
                ended: end(row),
                weight: row.weight,
            };
            match claim {
                Claim::Build { build, .. } => {
                    let calls = self.rows.iter().filter(of).map(call).collect();
                    self.commons.built(level, number(at), build, calls);
                }
                Claim::Join { since } => {
                    let is_new = |call: &SharedCall| since.is_some_and(|since| call.ended >= since);
                    let own = self.rows.iter().filter(|row| row.account == at && of(row));
                    let calls = own.map(call).filter(is_new).collect();
                    self.commons.joined(level, number(at), calls);
                }
            }
            levels.push((shared.name.clone(), level));
        }
        pacer.share(number(at), &levels);
        self.accounts[at].pacer = pacer;
        self.accounts[at].wake_at = None;
    }

    pub(super) fn want(&mut self, account: usize, group: u32, weight: u32, is_urgent: bool) {
        let weight = NonZeroU32::new(weight).unwrap();
        let want = Want { group, weight, is_urgent, since: self.now };
        let account_of = &mut self.accounts[account];
        if is_urgent { &mut account_of.urgent } else { &mut account_of.others }.push_back(want);
        self.look(account);
        self.wake();
    }

    pub(super) fn waiting(&self) -> usize {
        self.accounts.iter().map(|account| account.urgent.len() + account.others.len()).sum()
    }

    /// Sends what an account may send now, urgent first, as the runner does.
    fn look(&mut self, at: usize) {
        self.accounts[at].wake_at = None;
        let mut waits = [false; 2];
        for (place, is_urgent) in [(0, true), (1, false)] {
            // A group that is full holds up nobody.
            let account = &mut self.accounts[at];
            let mut wants = std::mem::take(if is_urgent { &mut account.urgent } else { &mut account.others });
            let mut later = Vec::new();
            while let Some(want) = wants.pop_front() {
                let class = self.limits.class_of(&group_id(want.group));
                let wish = Wish { group: GroupNo(want.group), class, cost: want.weight, is_urgent };
                let account = &mut self.accounts[at];
                match account.pacer.acquire(self.now, wish, &mut self.commons) {
                    Decision::Granted(permit) => self.call(at, want, permit),
                    Decision::Wait { scope, until } => {
                        if let Some(until) = until {
                            assert!(until > self.now, "told to wait for the past");
                            account.wake_at = Some(account.wake_at.map_or(until, |other| other.min(until)));
                        }
                        waits[place] |= matches!(scope, Scope::App | Scope::Corp);
                        later.push(want);
                        if scope != Scope::Group {
                            break;
                        }
                    }
                    Decision::Never { .. } => panic!("{want:?} fits no limit"),
                }
            }
            for want in later.into_iter().rev() {
                wants.push_front(want);
            }
            *(if is_urgent { &mut self.accounts[at].urgent } else { &mut self.accounts[at].others }) = wants;
        }
        self.commons.rest(AccountNo(u32::try_from(at).unwrap()), waits[0], waits[1]);
    }

    fn call(&mut self, at: usize, want: Want, permit: Permit) {
        let ends = self.now + (self.round_trip)();
        self.waits.push((want.is_urgent, self.now - want.since));
        self.under_way.insert((ends, self.calls.len()), (at, permit));
        let weight = want.weight;
        self.calls.push(Seen {
            account: at,
            group: want.group,
            start: self.now,
            end: ends,
            weight: u64::from(weight.get()),
        });
        let (group, started_ms) = (want.group, self.wall_ms());
        self.rows.push(Row { account: at, group, started_ms, ended_ms: None, weight });
    }

    fn wake(&mut self) {
        loop {
            let woken: BTreeSet<_> = self.commons.take_wakes().into_iter().collect();
            if woken.is_empty() {
                return;
            }
            for AccountNo(number) in woken {
                self.wakes += 1;
                self.look(usize::try_from(number).unwrap());
            }
        }
    }

    /// Goes on to the next thing that happens before `until`; says whether there was one.
    pub(super) fn step(&mut self, until: Micros) -> bool {
        let end = self.under_way.first_key_value().map(|((end, _), _)| *end);
        let timers = self.accounts.iter().enumerate();
        let timer = timers.filter_map(|(at, account)| Some((account.wake_at?, at))).min();
        match (end, timer) {
            (Some(end), timer) if end <= until && timer.is_none_or(|(at, _)| end <= at) => {
                let Some(((ended, call), (at, permit))) = self.under_way.pop_first() else { return false };
                self.now = self.now.max(ended);
                self.rows[call].ended_ms = Some(self.wall_ms());
                self.accounts[at].pacer.complete(ended, permit, &mut self.commons);
                self.look(at);
            }
            (_, Some((time, at))) if time <= until => {
                self.now = self.now.max(time);
                self.look(at);
            }
            _ => {
                self.now = self.now.max(until);
                return false;
            }
        }
        self.wake();
        true
    }

    pub(super) fn go_to(&mut self, until: Micros) {
        while self.step(until) {}
    }

    /// Lets everything that waits be sent; fails when something stands still.
    pub(super) fn finish(&mut self) {
        while self.waiting() > 0 || !self.under_way.is_empty() {
            assert!(self.step(Micros::MAX / 2), "{} wait for nothing", self.waiting());
        }
    }
}
