//! Whatever happens on the way, our roster ends as the platform's, and every joining and leaving counts once.
//!
//! The oracle is the platform's own history. Callbacks are lost, repeated, delayed, reordered; readings lag; the gateway
//! crashes, in the middle of a commit too.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::world::{ACCOUNT, Counted, GROUP, House, Platform, Real, pass};
use crate::clock::Clock;
use crate::connectors::offers::{EventSink as _, Rosters as _, Taken};
use crate::connectors::rosters::RosterConfig;
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::sync::WecomRosters;
use crate::event::GroupEvent;

/// What becomes of a callback.
#[derive(Clone, Debug)]
enum Fate {
    Arrives,
    Lost,
    /// Comes after so many seconds.
    Late(u8),
    /// Comes at once, and again after so many seconds.
    Twice(u8),
}

#[derive(Clone, Debug)]
enum Step {
    Join(Vec<u8>, Fate),
    Leave(Vec<u8>, Fate),
    /// So many seconds go by.
    Pass(u8),
    /// What is due is read; readings lag so many seconds.
    Work(Vec<u8>),
    /// Every group is read.
    Sync(Vec<u8>),
    Crash,
    /// The house fails once after so many events.
    Fail(u8),
}

/// Callbacks and readings are at most this late, in seconds: less than the patience.
const LATE_MAX: u8 = 20;

fn fate(loses: bool) -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        3 => (1..=LATE_MAX).prop_map(Fate::Late),
        // Shrinks to nothing that loses where nothing may be lost.
        3 => Just(if loses { Fate::Lost } else { Fate::Arrives }),
        2 => (0..=LATE_MAX).prop_map(Fate::Twice),
    ]
}

fn steps(loses: bool) -> impl Strategy<Value = Vec<Step>> {
    let who = || proptest::collection::vec(0u8..6, 1..4);
    let lags = || proptest::collection::vec(0..=LATE_MAX, 0..4);
    let step = prop_oneof![
        5 => (who(), fate(loses)).prop_map(|(who, fate)| Step::Join(who, fate)),
        5 => (who(), fate(loses)).prop_map(|(who, fate)| Step::Leave(who, fate)),
        5 => (1u8..60).prop_map(Step::Pass),
        4 => lags().prop_map(Step::Work),
        1 => lags().prop_map(Step::Sync),
        1 => Just(Step::Crash),
        1 => (0u8..4).prop_map(Step::Fail),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A gateway at a platform.
struct Run {
    clock: Clock,
    platform: Platform,
    house: House,
    state: Arc<MemoryState>,
    rosters: WecomRosters,
    /// Callbacks on their way, and when they arrive.
    flying: Vec<(i64, Vec<GroupEvent<'static>>)>,
}

fn rosters(platform: &Platform, state: &Arc<MemoryState>, clock: &Clock) -> WecomRosters {
    let config = RosterConfig::default();
    WecomRosters::new(ACCOUNT, Box::new(platform.clone()), state.clone(), Arc::default(), clock, &config)
}

impl Run {
    async fn begin() -> Self {
        let clock = Clock::manual(1_790_000_000_000);
        let platform = Platform::new(&clock, &["m0", "m1", "m2"]);
        let house = House::open(&clock).await;
        let state: Arc<MemoryState> = Arc::default();
        let rosters = rosters(&platform, &state, &clock);
        let run = Self { clock, platform, house, state, rosters, flying: Vec::new() };
        run.rosters.sync(&run.house, &|_| {}).await.unwrap();
        run
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Join(who, fate) => self.change(who, true, fate).await,
            Step::Leave(who, fate) => self.change(who, false, fate).await,
            Step::Pass(seconds) => self.pass(u64::from(*seconds)).await,
            Step::Work(lags) => {
                self.platform.lag(lags);
                _ = self.rosters.close_gaps(&self.house).await; // fails when the house was told to
            }
            Step::Sync(lags) => {
                self.platform.lag(lags);
                _ = self.rosters.sync(&self.house, &|_| {}).await; // as above
            }
            Step::Crash => {
                self.house.restart().await;
                self.rosters = rosters(&self.platform, &self.state, &self.clock);
            }
            Step::Fail(after) => self.house.fail_after(usize::from(*after)),
        }
        // A reading and a callback may name times of one joining that are a second apart.
        self.pass(2).await;
    }

    async fn change(&mut self, who: &[u8], joined: bool, fate: &Fate) {
        let who: BTreeSet<String> = who.iter().map(|id| format!("m{id}")).collect();
        let events = self.platform.change(&who, joined);
        let now_ms = self.clock.now_ms();
        let later = |seconds: u8| now_ms + i64::from(seconds) * 1_000;
        match fate {
            Fate::Lost => {}
            Fate::Arrives => self.arrive(events).await,
            Fate::Late(seconds) => self.flying.push((later(*seconds), events)),
            Fate::Twice(seconds) => {
                self.flying.push((later(*seconds), events.clone()));
                self.arrive(events).await;
            }
        }
    }

    /// A callback comes in, as `ingest` takes it: durable, or sent again.
    async fn arrive(&mut self, events: Vec<GroupEvent<'static>>) {
        self.rosters.told(&events);
        let Ok(taken) = self.house.take(events.clone()).await else {
            self.flying.push((self.clock.now_ms() + 5_000, events)); // the platform sends it again
            return;
        };
        self.platform.arrived(&events);
        let gaps = events.into_iter().zip(taken).filter(|(_, taken)| *taken == Taken::Gap);
        let gaps: Vec<_> = gaps.map(|(event, _)| event).collect();
        if !gaps.is_empty() {
            self.rosters.keep(&gaps).await.unwrap();
        }
    }

    async fn pass(&mut self, seconds: u64) {
        let until_ms = self.clock.now_ms() + i64::try_from(seconds).unwrap() * 1_000;
        while let Some(next) = self.next_flight(until_ms) {
            let (at_ms, events) = self.flying.remove(next);
            let wait_ms = u64::try_from(at_ms - self.clock.now_ms()).unwrap_or(0);
            pass(&self.clock, wait_ms / 1_000);
            self.arrive(events).await;
        }
        let left_ms = u64::try_from(until_ms - self.clock.now_ms()).unwrap_or(0);
        pass(&self.clock, left_ms / 1_000);
    }

    fn next_flight(&self, until_ms: i64) -> Option<usize> {
        let due = (0..self.flying.len()).filter(|index| self.flying[*index].0 <= until_ms);
        due.min_by_key(|index| self.flying[*index].0)
    }

    /// Everything arrives, nothing lags, nothing fails any more.
    async fn calm_down(&mut self) {
        self.house.mend();
        self.platform.lag(&[]);
        for _ in 0..12 {
            self.pass(31).await;
            self.rosters.close_gaps(&self.house).await.unwrap();
        }
        self.rosters.sync(&self.house, &|_| {}).await.unwrap();
        self.pass(31).await;
        self.rosters.close_gaps(&self.house).await.unwrap();
    }
}

fn check(platform: &Platform, counted: &[Counted], loses: bool) -> Result<(), TestCaseError> {
    let real = platform.real();
    let members: BTreeSet<&str> = real.iter().map(|real| real.member.as_str()).collect();
    for member in members {
        let of = |joined: bool| counted.iter().filter(|c| c.member == member && c.joined == joined).count();
        let real: Vec<&Real> = real.iter().filter(|real| real.member == member).collect();
        let really = |joined: bool| real.iter().filter(|real| real.joined == joined).count();
        let (joins, leaves) = (of(true), of(false));
        prop_assert!(
            joins <= really(true) && leaves <= really(false),
            "{member} was counted too often: {real:?}"
        );
        // What was lost may cancel out: one who left unseen, and came back, was never away. The rest adds up.
        let net = |joins: usize, leaves: usize| joins.cast_signed() - leaves.cast_signed();
        prop_assert_eq!(net(joins, leaves), net(really(true), really(false)), "{}: {:?}", member, real);
        // Somebody who comes, goes and comes again before the callbacks of the first two are here may be counted as having
        // come once: the roster shows nothing of it, and nothing tells the late callbacks from repeats.
        let again_at_once = real.len() > 2;
        if !loses && !again_at_once {
            prop_assert_eq!((joins, leaves), (really(true), really(false)), "{}: {:?}", member, real);
        }
    }
    let mut ids: Vec<&str> = counted.iter().map(|counted| counted.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    prop_assert_eq!(ids.len(), counted.len(), "an event was counted twice");
    prop_assert!(counted.iter().all(|c| !(c.inferred && c.greeted)), "somebody was greeted late");
    Ok(())
}

fn run(steps: &[Step], loses: bool) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut run = Run::begin().await;
        for step in steps {
            run.step(step).await;
        }
        run.calm_down().await;
        let known = run.house.roster(ACCOUNT, GROUP).await.unwrap();
        let ours: BTreeSet<String> = known.members.into_iter().map(|(member, _)| member).collect();
        prop_assert_eq!(ours, run.platform.members());
        prop_assert_eq!(run.rosters.groups_left(), 0);
        let counted = run.house.counted.lock().clone();
        check(&run.platform, &counted, loses)?;
        let joins = counted.iter().filter(|counted| counted.joined).count() as u64;
        prop_assert_eq!(run.house.totals(), (joins, counted.len() as u64 - joins));
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn rosters_come_true_and_each_change_counts_once_although_callbacks_are_lost(steps in steps(true)) {
        run(&steps, true)?;
    }

    #[test]
    fn without_losses_every_change_is_counted_as_it_was(steps in steps(false)) {
        run(&steps, false)?;
    }
}
