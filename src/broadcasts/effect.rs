//! What came of a broadcast, copy by copy.
//!
//! Every group counts in the arm it was assigned to, sent to or not: leaving out those that failed would compare different
//! kinds of groups. All arms are looked at over the same hours, from the one in which the first target left until `window`
//! after the last one did. What a platform does not show of a group is left out of a measure, and the measure says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use serde::Serialize;

use super::coverage::{Covered, Sight};
use super::variants::{Arm, Difference, FIRST, HOLD_OUT, Sample, change, difference};
use super::{Broadcast, BroadcastError, Broadcasts, storage_error};
use crate::event::{AccountId, Actor, BroadcastId, GroupId, GroupName, HOUR_MS};
use crate::statistics::definitions::Counters;
use crate::storage::{DeliveryRow, DeliveryState, Storage, StorageError};

/// What came of a broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    /// From when, in milliseconds since the epoch; `None` while nothing was sent.
    pub from_ms: Option<i64>,
    /// Until when.
    pub until_ms: Option<i64>,
    /// Arm by arm, the text itself first.
    pub arms: Vec<ArmEffect>,
}

/// What came of one copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ArmEffect {
    /// `a` for the broadcast's own text, the name of a copy, or `hold_out`.
    pub name: String,
    /// Groups assigned to it.
    pub groups: u64,
    /// Of these: groups that it arrived in.
    pub sent: u64,
    /// What was counted: `messages` (of customers), `joins`, `leaves`, and each kind of outcome (`outcome.order`,
    /// `outcome.order.value`).
    pub measures: BTreeMap<String, Measure>,
}

/// One number of an arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Measure {
    /// Over all its groups, as far as they are seen; null where none is.
    pub total: Option<f64>,
    /// For each group that is seen; null where none is.
    pub mean: Option<f64>,
    /// In how many of its groups the platform shows what is counted.
    pub coverage: Covered,
    /// Against those who got nothing, or against the first text when everybody got one. Null for the arm compared with, and
    /// where an arm has fewer than 30 groups that are seen.
    pub difference: Option<Difference>,
    /// Against what is usual: the mean of the same hours of the same weekdays in the four weeks before, group by group. Null
    /// for outcomes, and where fewer than 30 groups were there for at least two of those weeks.
    pub against_usual: Option<Difference>,
}

/// Longest time after the last send that is looked at.
const WINDOW_MAX: Duration = Duration::from_hours(31 * 24);

const MESSAGES: &str = "messages";
const JOINS: &str = "joins";
const LEAVES: &str = "leaves";

/// Kinds of outcomes that are told, counts and values apart; they come from outside and could be any number.
const MEASURES_MAX: usize = 64;

/// Weeks before a broadcast that say what is usual, and how many a group must have been there for.
const USUAL_WEEKS: i64 = 4;
const USUAL_WEEKS_MIN: i64 = 2;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// A group's numbers by name.
type Numbers = HashMap<(String, String), BTreeMap<String, f64>>;

/// Which arm a group is in, and what its platform shows of it.
type Assigned = HashMap<(String, String), (Arm, Sight)>;

impl Broadcasts {
    /// Adds up what came of a broadcast until `window` after its last send.
    ///
    /// # Errors
    /// When the actor may not see it, or storage cannot be read.
    pub async fn effect(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        window: Duration,
    ) -> Result<Effect, BroadcastError> {
        let broadcast = self.get(actor, id).await?;
        let (assigned, arrived, span) = self.assigned(&broadcast).await?;
        let Some((first_ms, last_ms)) = span else { return Ok(Effect::default()) };
        let from_ms = first_ms - first_ms.rem_euclid(HOUR_MS);
        let window_ms = i64::try_from(window.min(WINDOW_MAX).as_millis()).unwrap_or(i64::MAX);
        let until_ms = last_ms.saturating_add(window_ms).min(self.parts.clock.now_ms() + 1);
        let (storage, id) = (Arc::clone(&self.parts.storage), id.as_str().to_owned());
        let groups: Vec<_> = assigned.keys().cloned().collect();
        let read = tokio::task::spawn_blocking(move || {
            storage.project()?;
            let usual = usual(&*storage, groups, from_ms, until_ms)?;
            Ok((storage.totals(from_ms, until_ms)?, storage.outcomes(&id)?, usual))
        });
        let joined = |error| StorageError::Failed { operation: "read an effect", source: Box::new(error) };
        let read: Result<_, StorageError> = read.await.map_err(joined).and_then(|read| read);
        let (totals, outcomes, usual) = read.map_err(storage_error("read an effect"))?;

        let mut found = Numbers::new();
        for total in totals {
            let numbers = numbers_of(&total.counters).map(|(name, number)| (name.to_owned(), float(number)));
            found.entry((total.account, total.group)).or_default().extend(numbers);
        }
        found.retain(|key, _| assigned.contains_key(key));
        for outcome in outcomes {
            let numbers = found.entry((outcome.account, outcome.group)).or_default();
            #[expect(clippy::cast_precision_loss, reason = "sums of money in millionths")]
            let value = outcome.value_micros as f64 / 1e6;
            numbers.insert(format!("outcome.{}.value", outcome.kind), value);
            numbers.insert(format!("outcome.{}", outcome.kind), float(outcome.count));
        }
        let arms = compared(&broadcast, &assigned, &arrived, &found, &usual);
        Ok(Effect { from_ms: Some(from_ms), until_ms: Some(until_ms), arms })
    }

    /// Reads which group is in which arm, in how many groups of each it arrived, and when the first and the last did.
    async fn assigned(
        &self,
        broadcast: &Broadcast,
    ) -> Result<(Assigned, BTreeMap<Arm, u64>, Option<(i64, i64)>), BroadcastError> {
        let (mut assigned, mut arrived, mut span) = (HashMap::new(), BTreeMap::new(), None::<(i64, i64)>);
        let visit = |row: DeliveryRow| {
            let name = AccountId::parse(&row.account).ok().zip(GroupId::parse(&row.group).ok());
            let Some((account, group)) = name else { return };
            let arm = broadcast.arm_of(&GroupName { account, group });
            if row.state == DeliveryState::Sent {
                *arrived.entry(arm).or_insert(0) += 1;
                let (first, last) = span.unwrap_or((row.updated_ms, row.updated_ms));
                span = Some((first.min(row.updated_ms), last.max(row.updated_ms)));
            }
            let sight = Sight::of(&*self.parts.speaking, &row.account, &row.group);
            assigned.insert((row.account, row.group), (arm, sight));
        };
        self.each_target(&broadcast.id, &[], visit).await?;
        Ok((assigned, arrived, span))
    }
}

/// What a group's counters give of measures.
fn numbers_of(counters: &Counters) -> [(&'static str, u64); 3] {
    let of_customers = counters.messages.saturating_sub(counters.staff_messages);
    [(MESSAGES, of_customers), (JOINS, counters.joins), (LEAVES, counters.leaves)]
}

/// Returns what is usual in each group: the mean of the same stretch in the weeks before, of those it was there for.
fn usual(
    storage: &dyn Storage,
    groups: Vec<(String, String)>,
    from_ms: i64,
    until_ms: i64,
) -> Result<Numbers, StorageError> {
    let mut weeks: HashMap<(String, String), i64> = HashMap::new();
    for key in groups {
        let first_ms = storage.group(&key.0, &key.1)?.map_or(i64::MAX, |row| row.first_ms);
        let there = (1..=USUAL_WEEKS).filter(|week| first_ms <= from_ms - week * WEEK_MS).count();
        let there = i64::try_from(there).unwrap_or_default();
        if there >= USUAL_WEEKS_MIN {
            weeks.insert(key, there);
        }
    }
    let mut sums: Numbers = weeks.keys().map(|key| (key.clone(), zeros())).collect();
    for week in 1..=USUAL_WEEKS {
        for total in storage.totals(from_ms - week * WEEK_MS, until_ms - week * WEEK_MS)? {
            let Some(sum) = sums.get_mut(&(total.account, total.group)) else { continue };
            for (name, number) in numbers_of(&total.counters) {
                *sum.entry(name.to_owned()).or_default() += float(number);
            }
        }
    }
    for (key, sum) in &mut sums {
        let weeks = weeks.get(key).copied().unwrap_or(USUAL_WEEKS);
        for number in sum.values_mut() {
            *number /= float(u64::try_from(weeks).unwrap_or(1));
        }
    }
    Ok(sums)
}

fn zeros() -> BTreeMap<String, f64> {
    [MESSAGES, JOINS, LEAVES].into_iter().map(|name| (name.to_owned(), 0.0)).collect()
}

/// Says whether a platform that shows so much shows what is counted. Outcomes are told by others.
fn is_seen(sight: Sight, measure: &str) -> bool {
    match measure {
        MESSAGES => sight.text,
        JOINS | LEAVES => sight.members,
        _ => true,
    }
}

fn compared(
    broadcast: &Broadcast,
    assigned: &Assigned,
    arrived: &BTreeMap<Arm, u64>,
    found: &Numbers,
    usual: &Numbers,
) -> Vec<ArmEffect> {
    let always = [MESSAGES, JOINS, LEAVES].map(str::to_owned);
    let told: BTreeSet<&String> = found.values().flat_map(BTreeMap::keys).collect();
    let told = told.into_iter().filter(|name| !always.contains(*name)).take(MEASURES_MAX).cloned();
    let names: Vec<String> = always.iter().cloned().chain(told).collect();
    let mut samples: BTreeMap<Arm, (u64, BTreeMap<&str, Sample>)> = BTreeMap::new();
    let mut changes: BTreeMap<(Arm, &str), Sample> = BTreeMap::new();
    let nothing = BTreeMap::new();
    for (key, (arm, sight)) in assigned {
        let numbers = found.get(key).unwrap_or(&nothing);
        let of_arm = *arm;
        let (groups, arm) = samples.entry(of_arm).or_default();
        *groups += 1;
        for name in names.iter().filter(|name| is_seen(*sight, name)) {
            let number = numbers.get(name).copied().unwrap_or(0.0);
            arm.entry(name).or_default().add(number);
            if let Some(usual) = usual.get(key).and_then(|usual| usual.get(name)) {
                changes.entry((of_arm, name)).or_default().add(number - usual);
            }
        }
    }
    let other = if broadcast.hold_out_percent > 0 { Arm::HoldOut } else { Arm::First };
    let measure = |arm: Arm, name: &str| -> Option<Measure> {
        let (groups, of_arm) = samples.get(&arm)?;
        let sample = of_arm.get(name).copied().unwrap_or_default();
        let against = samples.get(&other).and_then(|(_, other)| other.get(name)).filter(|_| arm != other);
        Some(Measure {
            total: (sample.groups > 0).then_some(sample.sum),
            mean: sample.mean(),
            coverage: Covered::new(sample.groups, *groups),
            difference: against.and_then(|against| difference(&sample, against)),
            against_usual: changes.get(&(arm, name)).and_then(change),
        })
    };
    let copies = (0..broadcast.variants.len()).map(Arm::Copy);
    let hold_out = (broadcast.hold_out_percent > 0).then_some(Arm::HoldOut);
    let arms = std::iter::once(Arm::First).chain(copies).chain(hold_out);
    arms.map(|arm| ArmEffect {
        name: match arm {
            Arm::First => FIRST.to_owned(),
            Arm::Copy(at) => broadcast.variants.get(at).map(|copy| copy.name.clone()).unwrap_or_default(),
            Arm::HoldOut => HOLD_OUT.to_owned(),
        },
        groups: samples.get(&arm).map_or(0, |(groups, _)| *groups),
        sent: arrived.get(&arm).copied().unwrap_or(0),
        measures: names.iter().filter_map(|name| Some((name.clone(), measure(arm, name)?))).collect(),
    })
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of people and messages")]
fn float(n: u64) -> f64 {
    n as f64
}
