//! A platform in memory that answers late and whose callbacks go astray, and a house behind it with the real pipeline.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::Reading;
use crate::clock::Clock;
use crate::connectors::offers::{EventSink, KnownGroup, KnownRoster, SinkError, Taken};
use crate::connectors::wecom::error::ApiError;
use crate::connectors::wecom::groups::{Groups, Page, Read};
use crate::event::{Fact, GroupEvent, Role, RosterMember, RosterStep, StateKind, Status, What};
use crate::ingest::Partitions;
use crate::ingest::partitions::TakeError;
use crate::interception::{self, Ruleset};
use crate::journeys::Journeys;
use crate::pipeline::{Asking, Home, Limits, Rules, Setting};
use crate::replies;
use crate::storage::{self, SharedStorage, memory};
use crate::welcomes::{self, Welcome, Welcomes};

pub(super) const ACCOUNT: &str = "corp";
pub(super) const GROUP: &str = "wr1";

/// Who is there since when, at a version.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    at_ms: i64,
    version: u32,
    members: BTreeMap<String, i64>,
}

/// A joining or leaving as it really was.
#[derive(Clone, Debug)]
pub(super) struct Real {
    pub(super) member: String,
    pub(super) joined: bool,
    /// The id its callback gives it.
    pub(super) id: String,
    /// Its callback arrived.
    pub(super) told: bool,
}

/// The platform.
#[derive(Clone, Debug)]
pub(super) struct Platform(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    clock: Clock,
    /// Oldest first.
    past: Vec<Snapshot>,
    /// How far each of the next readings lags behind; then none does.
    lags_ms: Vec<i64>,
    real: Vec<Real>,
}

impl Platform {
    pub(super) fn new(clock: &Clock, members: &[&str]) -> Self {
        let at_ms = clock.now_ms() - 86_400_000;
        let members = members.iter().map(|id| ((*id).to_owned(), at_ms)).collect();
        let first = Snapshot { at_ms, version: 0, members };
        Self(Arc::new(Mutex::new(State {
            clock: clock.clone(),
            past: vec![first],
            lags_ms: Vec::new(),
            real: Vec::new(),
        })))
    }

    /// Changes members; returns the callback's events, as a decoder makes them.
    pub(super) fn change(&self, who: &BTreeSet<String>, joined: bool) -> Vec<GroupEvent<'static>> {
        let mut state = self.0.lock();
        let now_ms = state.clock.now_ms();
        let mut next = state.past.last().unwrap().clone();
        let who: Vec<&String> = who.iter().filter(|id| next.members.contains_key(*id) != joined).collect();
        if who.is_empty() {
            return Vec::new();
        }
        let last = version(next.version);
        next.at_ms = now_ms;
        next.version += 1;
        let this = version(next.version);
        let mut from = RosterStep::mark(&last);
        let mut events = Vec::new();
        for (nth, id) in who.iter().enumerate() {
            if joined {
                next.members.insert((*id).clone(), now_ms);
            } else {
                next.members.remove(*id);
            }
            let is_last = nth + 1 == who.len();
            let to =
                RosterStep::mark_between(&this, if is_last { 0 } else { u32::try_from(nth).unwrap() + 1 });
            let event = event(id, joined, now_ms, &this, RosterStep { from: Some(from), to });
            let (member, id) = ((*id).clone(), event.id.to_string());
            state.real.push(Real { member, joined, id, told: false });
            events.push(event);
            from = to;
        }
        state.past.push(next);
        events
    }

    /// A callback arrived.
    pub(super) fn arrived(&self, events: &[GroupEvent<'_>]) {
        let mut state = self.0.lock();
        for real in &mut state.real {
            real.told |= events.iter().any(|event| event.id == real.id);
        }
    }

    pub(super) fn lag(&self, lags_s: &[u8]) {
        self.0.lock().lags_ms = lags_s.iter().rev().map(|s| i64::from(*s) * 1_000).collect();
    }

    pub(super) fn real(&self) -> Vec<Real> {
        self.0.lock().real.clone()
    }

    pub(super) fn members(&self) -> BTreeSet<String> {
        self.0.lock().past.last().unwrap().members.keys().cloned().collect()
    }
}

fn version(number: u32) -> String {
    format!("version {number}")
}

fn event(id: &str, joined: bool, at_ms: i64, version: &str, step: RosterStep) -> GroupEvent<'static> {
    let what = if joined { What::joined(false) } else { What::MemberLeft { reason: None, inferred: false } };
    GroupEvent {
        id: Cow::Owned(format!("{version} {id}")),
        account: Cow::Borrowed(ACCOUNT),
        group: Cow::Borrowed(GROUP),
        member: Some(Cow::Owned(id.to_owned())),
        name: None,
        role: Role::Customer,
        at_ms: Some(at_ms),
        step: Some(step),
        what,
    }
}

#[async_trait]
impl Groups for Platform {
    async fn list(&self, _: Option<&[String]>, _: Option<&str>) -> Result<Option<Page>, ApiError> {
        Ok(Some(Page { groups: vec![GROUP.to_owned()], cursor: None }))
    }

    async fn owners(&self) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }

    async fn read(&self, _: &str) -> Result<Read, ApiError> {
        let mut state = self.0.lock();
        let seen_ms = state.clock.now_ms() - state.lags_ms.pop().unwrap_or(0);
        let seen = state.past.iter().rev().find(|past| past.at_ms <= seen_ms).unwrap_or(&state.past[0]);
        let member = |(id, joined_ms): (&String, &i64)| RosterMember {
            member: Cow::Owned(id.clone()),
            role: Role::Customer,
            name: None,
            joined_ms: *joined_ms,
            inviter: None,
            scene: None,
            channel: None,
            union_id: None,
        };
        let members = seen.members.iter().map(member).collect();
        Ok(Read::There(Reading { version: version(seen.version), members, owner: None, name: None }))
    }
}

/// What the house counted: one entry a joining or leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) id: String,
    pub(super) member: String,
    pub(super) joined: bool,
    pub(super) inferred: bool,
    pub(super) greeted: bool,
}

/// The real partitions on a disk in memory, with a hand that stops a commit half-way.
pub(super) struct House {
    disk: memory::Disk,
    clock: Clock,
    rules: Rules,
    running: Mutex<Option<(SharedStorage, Partitions)>>,
    /// After so many events the house fails once.
    fails_after: Mutex<Option<usize>>,
    pub(super) counted: Mutex<Vec<Counted>>,
}

impl House {
    pub(super) async fn open(clock: &Clock) -> Self {
        // Nothing is judged here.
        let config = interception::Config { variants: false, ..interception::Config::default() };
        let (words, _) = Ruleset::compile("r", &[], Vec::new(), &config).unwrap();
        // Every newcomer is greeted, at once: so it shows who is taken for one.
        let at_once = welcomes::Config {
            burst_window: Duration::ZERO,
            burst_gap: Duration::ZERO,
            rejoin_days: 0,
            ..welcomes::Config::default()
        };
        let limits = Limits { policy: "standard".into(), welcomes: at_once, ..Limits::default() };
        let welcome: Welcome = serde_json::from_str(r#"{"text": "hello"}"#).unwrap();
        let welcomes = Welcomes::compile(&[("all".into(), welcome)], &limits.welcomes).unwrap();
        let house = Self {
            disk: memory::Disk::new([9; 16]),
            clock: clock.clone(),
            rules: Rules {
                words,
                replies: replies::Rules::default(),
                welcomes,
                journeys: Journeys::default(),
                limits,
            },
            running: Mutex::default(),
            fails_after: Mutex::default(),
            counted: Mutex::default(),
        };
        house.restart().await;
        house
    }

    /// Loses all memory; the disk stays.
    pub(super) async fn restart(&self) {
        *self.running.lock() = None;
        let storage = memory::open(&self.disk, &storage::Config::default()).unwrap();
        let epoch = storage.lease("here").await.unwrap();
        let (partitions, _) =
            Partitions::open(storage.clone(), epoch, &self.rules.limits, self.clock.clone()).unwrap();
        *self.running.lock() = Some((storage, partitions));
    }

    pub(super) fn fail_after(&self, events: usize) {
        *self.fails_after.lock() = Some(events);
    }

    pub(super) fn mend(&self) {
        *self.fails_after.lock() = None;
    }

    fn running(&self) -> (SharedStorage, Partitions) {
        self.running.lock().clone().unwrap()
    }

    fn note(&self, event: &GroupEvent<'_>, greeted: bool) {
        let (joined, inferred) = if let What::MemberJoined { inferred, .. } = &event.what {
            (true, *inferred)
        } else if let What::MemberLeft { inferred, .. } = &event.what {
            (false, *inferred)
        } else {
            return;
        };
        let (id, member) = (event.id.to_string(), event.member.as_deref().unwrap_or_default().to_owned());
        self.counted.lock().push(Counted { id, member, joined, inferred, greeted });
    }

    /// Joins and leaves by the projection.
    pub(super) fn totals(&self) -> (u64, u64) {
        let (storage, _) = self.running();
        storage.project().unwrap();
        let rows = storage.totals(0, i64::MAX / 2).unwrap();
        rows.iter().fold((0, 0), |sum, row| (sum.0 + row.counters.joins, sum.1 + row.counters.leaves))
    }
}

#[async_trait]
impl EventSink for House {
    async fn take(&self, events: Vec<GroupEvent<'static>>) -> Result<Vec<Taken>, SinkError> {
        let (_, partitions) = self.running();
        let mut results = Vec::new();
        for event in &events {
            let fails = match &mut *self.fails_after.lock() {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            };
            if fails {
                *self.fails_after.lock() = None;
                return Err(SinkError("as told".to_owned()));
            }
            let setting = Setting {
                can_withhold: false,
                policy: None,
                audience: interception::Audience::default(),
                home: Home::unknown(),
                variable: &|_| None,
                may_say: &|_| true,
                can_recall: false,
                can_post: true,
                shows: &|_| true,
                can_mute: false,
                can_remove: false,
                kicked: None,
                budget: &|_| false,
                can_hear: true,
                welcome_code_life: None,
                asking: Asking::default(),
            };
            let taken = match partitions.take(&self.rules, &setting, event).await {
                Ok(taken) => taken,
                Err(TakeError::Gap) => {
                    results.push(Taken::Gap);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            if let Some(receipt) = taken.receipt {
                partitions.committed(taken.partition, receipt).await.unwrap();
            }
            let greeted = taken.decision.effects.as_ref().is_some_and(|effects| {
                effects.facts.iter().any(|fact| matches!(fact, Fact::Send(send) if send.kind == "welcome"))
            });
            results.push(match taken.decision.answer.status {
                Status::Counted => {
                    self.note(event, greeted);
                    Taken::Counted
                }
                Status::Duplicate => Taken::Duplicate,
                Status::Late => Taken::Late,
            });
        }
        Ok(results)
    }

    async fn roster(&self, account: &str, group: &str) -> Result<KnownRoster, SinkError> {
        let (storage, _) = self.running();
        storage.project().unwrap();
        let key = format!("{account}\u{1f}{group}");
        let states = storage.states(self.clock.now_ms()).unwrap();
        let marks = states.iter().find(|state| state.kind == StateKind::Roster && state.key == key);
        let marks = marks.map(|state| state.value.chunks_exact(8)).into_iter().flatten();
        let marks = marks.map(|mark| u64::from_le_bytes(mark.try_into().unwrap())).collect();
        let members = storage.members(account, group, None, 1_000).unwrap();
        let members =
            members.into_iter().filter(|row| row.present).map(|row| (row.member, row.role)).collect();
        let row = storage.group(account, group).unwrap();
        let last_ms = row.map_or(0, |row| row.last_ms);
        let group = KnownGroup { group: group.to_owned(), last_ms, ..KnownGroup::default() };
        Ok(KnownRoster { marks, members, group })
    }

    async fn groups(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<KnownGroup>, SinkError> {
        Ok(Vec::new())
    }
}

/// Waits are steps of the test.
pub(super) fn pass(clock: &Clock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}
