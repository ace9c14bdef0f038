//! Watching a canary: its first groups are sent to and looked at, then the rest follows or waits for a person.

use std::sync::Arc;

use super::canary::{Before, Canary, Phase, Seen, Trial, passed, reasons_to_stop, unseen};
use super::caps::CAPPED;
use super::coverage::{Covered, Sight};
use super::variants::HOLD_OUT;
use super::{
    Active, Broadcast, BroadcastError, Broadcasts, Control, GroupBook, Held, Speaking, storage_error,
};
use crate::event::{AccountId, BroadcastId, GroupId, GroupName, HOUR_MS};
use crate::outbox::Halt;
use crate::outbox::delivery::{Delivery, Payload};
use crate::outbox::gate::{Gate, Opens};
use crate::storage::{AuditEntry, CountsQuery, DeliveryRow, DeliveryState, SharedStorage, StorageError};

/// How much of a group's past its time after the sends is compared with; less where it is not known for as long.
const PAST_HOURS: i64 = 14 * 24;

/// Latest hits of a group that are looked through for complaints.
const HITS_MAX: usize = 1_000;

impl Broadcasts {
    /// Takes the next step of a canary, if there is one to take.
    pub(super) async fn try_first(
        &self,
        id: &BroadcastId,
        active: &mut Active,
    ) -> Result<(), BroadcastError> {
        let Broadcast { canary, trial, expansion, mass, .. } = &active.broadcast;
        let now_ms = self.parts.clock.now_ms();
        let Some(canary) = canary else { return Ok(()) };
        if !active.broadcast.is_due(now_ms) || !expansion.done || !mass.is_bundled() {
            return Ok(());
        }
        let (canary, mut trial) = (canary.clone(), trial.clone());
        match trial.phase {
            Phase::Waiting => {
                let groups = self.first_groups(id, &canary, &[]).await?.groups;
                let lists = self.parts.config.complaint_lists.clone();
                trial.targets = groups.len() as u64;
                trial.before = before(&self.parts.storage, groups, lists, now_ms).await?;
                trial.began_ms = now_ms;
                if trial.targets == 0 {
                    (trial.phase, trial.why) = (Phase::Stopped, vec![NOBODY.to_owned()]);
                    return self.step(active, trial, Some("stop")).await;
                }
                trial.phase = Phase::Sending;
                self.step(active, trial, Some("try_first")).await
            }
            Phase::Sending | Phase::Watching if now_ms - active.looked_ms < look_every_ms(&canary) => Ok(()),
            Phase::Sending | Phase::Watching => self.look_at_first(id, active, &canary, trial, now_ms).await,
            Phase::Passed | Phase::Stopped => Ok(()),
        }
    }

    /// Looks at what became of the first groups: they go on being watched, or the rest follows, or it stops.
    async fn look_at_first(
        &self,
        id: &BroadcastId,
        active: &mut Active,
        canary: &Canary,
        mut trial: Trial,
        now_ms: i64,
    ) -> Result<(), BroadcastError> {
        active.looked_ms = now_ms;
        let states = [
            DeliveryState::Sent,
            DeliveryState::Failed,
            DeliveryState::Uncertain,
            DeliveryState::Expired,
            DeliveryState::Cancelled,
        ];
        let first = self.first_groups(id, canary, &states).await?;
        let all_sent = first.groups.len() as u64 >= trial.targets;
        let lists = self.parts.config.complaint_lists.clone();
        let since = (trial.began_ms, trial.before.leaves_in_hour);
        let (sent, failed, covered) = (first.sent, first.failed, Sights::of(&first.groups));
        let (leaves, complaints) = after(&self.parts.storage, first.groups, lists, since, now_ms).await?;
        let seconds = u64::try_from((now_ms - trial.began_ms) / 1000).unwrap_or(0);
        let old = trial.seen;
        trial.seen = covered.seen(Seen { sent, failed, seconds, ..Seen::default() }, leaves, complaints);
        let reasons = reasons_to_stop(canary, &trial.before, &trial.seen, all_sent);
        if all_sent && trial.phase == Phase::Sending {
            trial.phase = Phase::Watching;
            trial.sent_ms = now_ms;
        }
        let wait_ms = i64::try_from(canary.wait.as_millis()).unwrap_or(i64::MAX);
        if !reasons.is_empty() {
            trial.why = [reasons, unseen(canary, &trial.seen)].concat();
            trial.phase = Phase::Stopped;
            self.step(active, trial, Some("stop")).await
        } else if trial.phase == Phase::Watching && now_ms >= trial.sent_ms.saturating_add(wait_ms) {
            trial.phase = Phase::Passed;
            trial.why = [vec![passed(&trial.seen)], unseen(canary, &trial.seen)].concat();
            self.step(active, trial, Some("go_on")).await
        } else if trial.phase != active.broadcast.trial.phase || trial.seen != (Seen { seconds, ..old }) {
            self.step(active, trial, None).await
        } else {
            Ok(())
        }
    }

    /// Writes down where a canary stands, and lets that have its effect.
    async fn step(
        &self,
        active: &mut Active,
        trial: Trial,
        verb: Option<&'static str>,
    ) -> Result<(), BroadcastError> {
        let mut changed = active.broadcast.clone();
        let id = changed.id.clone();
        let moves_on = trial.phase != changed.trial.phase;
        let audit = verb.map(|verb| {
            let mut entry = AuditEntry::by_house(self.parts.clock.now_ms(), verb, "broadcast", id.as_str());
            entry = entry.at(&changed.place);
            let Trial { why, seen, before, targets, .. } = &trial;
            entry.with(&serde_json::json!({"why": why, "seen": seen, "before": before, "targets": targets}))
        });
        if trial.phase == Phase::Stopped {
            changed.control = Control::Stopped;
            changed.reason = trial.why.join("; ");
        }
        changed.trial = trial;
        self.store(active, changed, audit.into_iter().collect(), Vec::new()).await?;
        match active.broadcast.trial.phase {
            Phase::Stopped => {
                active.replan();
                self.parts.outbox.halt(&id, Halt::Pause).await;
                tracing::warn!(broadcast.id = %id, why = active.broadcast.reason, "a broadcast stopped by itself");
            }
            Phase::Sending | Phase::Passed if moves_on => {
                active.gate = Held::Unasked;
                self.feed_due(active).await;
            }
            Phase::Waiting | Phase::Sending | Phase::Watching | Phase::Passed => {}
        }
        Ok(())
    }

    /// Reads the first groups among the targets in these states (none: in all).
    async fn first_groups(
        &self,
        id: &BroadcastId,
        canary: &Canary,
        states: &[DeliveryState],
    ) -> Result<First, BroadcastError> {
        let mut first = First::default();
        let (book, speaking) = (&*self.parts.book, &*self.parts.speaking);
        self.each_target(id, states, |row| first.add(canary, book, speaking, row)).await?;
        Ok(first)
    }
}

/// Why a canary stops that has no group.
const NOBODY: &str =
    "试发的群一个也没有，请人工决定 · none of the groups that were to be tried gets it: somebody must decide";

/// Returns how often its groups are looked at: sixty times while they are watched, but not rarer than every half a minute.
fn look_every_ms(canary: &Canary) -> i64 {
    i64::try_from(canary.wait.as_millis()).map_or(LOOK_MS_MAX, |wait_ms| (wait_ms / 60).min(LOOK_MS_MAX))
}

const LOOK_MS_MAX: i64 = 30_000;

/// The first groups and their results.
#[derive(Default)]
struct First {
    groups: Vec<Tried>,
    sent: u64,
    failed: u64,
}

/// One of the first groups, and what its platform shows of it.
struct Tried {
    account: String,
    group: String,
    sight: Sight,
}

/// In how many of the first groups what is watched can be seen.
#[derive(Clone, Copy)]
struct Sights {
    leaves: Covered,
    complaints: Covered,
}

impl Sights {
    fn of(groups: &[Tried]) -> Self {
        let all = groups.len() as u64;
        let covered = |sees: fn(Sight) -> bool| {
            Covered::new(groups.iter().filter(|tried| sees(tried.sight)).count() as u64, all)
        };
        Self { leaves: covered(|sight| sight.members), complaints: covered(|sight| sight.text) }
    }

    /// Adds what was counted, where it could be seen.
    fn seen(self, seen: Seen, leaves: u64, complaints: u64) -> Seen {
        Seen {
            leaves: self.leaves.known(leaves),
            complaints: self.complaints.known(complaints),
            leaves_coverage: Some(self.leaves),
            complaints_coverage: Some(self.complaints),
            ..seen
        }
    }
}

impl First {
    fn add(&mut self, canary: &Canary, book: &dyn GroupBook, speaking: &dyn Speaking, row: DeliveryRow) {
        // Groups that get nothing, to compare with or by a cap, try nothing.
        let gets_nothing =
            row.state == DeliveryState::Cancelled && [HOLD_OUT, CAPPED].contains(&row.code.as_str());
        if gets_nothing || !is_first(canary, book, &row.account, &row.group, row.target) {
            return;
        }
        self.sent += u64::from(row.state == DeliveryState::Sent);
        // What could not be said was never tried: that is the text's fault, and its report's business.
        let tried = row.attempts > 0 || row.carrier > 0;
        let failed = matches!(row.state, DeliveryState::Failed | DeliveryState::Uncertain);
        self.failed += u64::from(failed && tried);
        let sight = Sight::of(speaking, &row.account, &row.group);
        self.groups.push(Tried { account: row.account, group: row.group, sight });
    }
}

/// Says whether a target is one of the first.
pub(super) fn is_first(
    canary: &Canary,
    book: &dyn GroupBook,
    account: &str,
    group: &str,
    target: u32,
) -> bool {
    if canary.shops.is_empty() {
        return canary.holds(target, None);
    }
    let name = AccountId::parse(account).ok().zip(GroupId::parse(group).ok());
    let entry = name.and_then(|(account, group)| book.group(&GroupName { account, group }));
    canary.holds(target, entry.as_ref().and_then(|entry| entry.place().shop.as_ref()))
}

/// Counts what the groups' past has of what is watched.
async fn before(
    storage: &SharedStorage,
    groups: Vec<Tried>,
    lists: Vec<String>,
    now_ms: i64,
) -> Result<Before, BroadcastError> {
    let from_ms = now_ms - PAST_HOURS * HOUR_MS;
    let hour_ms = now_ms - now_ms.rem_euclid(HOUR_MS);
    reading(storage, move |storage| {
        let (mut leaves, mut leaves_in_hour, mut complained, mut hours) = (0, 0, 0, 0);
        let count = i64::try_from(groups.len()).unwrap_or(i64::MAX).max(1);
        let covered = Sights::of(&groups);
        for Tried { account, group, sight } in groups {
            let known = storage.group(&account, &group)?.filter(|row| row.first_ms > 0);
            hours += known.map_or(1, |row| ((now_ms - row.first_ms) / HOUR_MS).clamp(1, PAST_HOURS));
            if sight.text {
                complained += complaints(storage, &account, &group, &lists, from_ms)?;
            }
            if !sight.members {
                continue;
            }
            let rows = storage.counts(&CountsQuery { account, group, from_ms, until_ms: now_ms + 1 })?;
            for row in rows {
                leaves += row.counters.leaves;
                if row.start_ms >= hour_ms {
                    leaves_in_hour += row.counters.leaves;
                }
            }
        }
        Ok(Before {
            hours: u32::try_from(hours / count).unwrap_or(u32::MAX),
            leaves: covered.leaves.known(leaves),
            complaints: covered.complaints.known(complained),
            leaves_in_hour,
        })
    })
    .await
}

/// Counts leaves and complaints since the sends began, where they can be seen.
async fn after(
    storage: &SharedStorage,
    groups: Vec<Tried>,
    lists: Vec<String>,
    (began_ms, leaves_in_hour): (i64, u64),
    now_ms: i64,
) -> Result<(u64, u64), BroadcastError> {
    let from_ms = began_ms - began_ms.rem_euclid(HOUR_MS);
    reading(storage, move |storage| {
        let (mut leaves, mut complained) = (0, 0);
        for Tried { account, group, sight } in groups {
            if sight.text {
                complained += complaints(storage, &account, &group, &lists, began_ms)?;
            }
            if !sight.members {
                continue;
            }
            let rows = storage.counts(&CountsQuery { account, group, from_ms, until_ms: now_ms + 1 })?;
            leaves += rows.iter().map(|row| row.counters.leaves).sum::<u64>();
        }
        Ok((leaves.saturating_sub(leaves_in_hour), complained))
    })
    .await
}

fn complaints(
    storage: &SharedStorage,
    account: &str,
    group: &str,
    lists: &[String],
    since_ms: i64,
) -> Result<u64, StorageError> {
    if lists.is_empty() {
        return Ok(0);
    }
    let hits = storage.hits(account, group, HITS_MAX)?;
    let counts = hits.iter().filter(|hit| hit.at_ms >= since_ms && lists.contains(&hit.wordlist));
    Ok(counts.count() as u64)
}

async fn reading<T: Send + 'static>(
    storage: &SharedStorage,
    read: impl FnOnce(&SharedStorage) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, BroadcastError> {
    let storage = Arc::clone(storage);
    let done = tokio::task::spawn_blocking(move || {
        storage.project()?;
        read(&storage)
    });
    let joined = |error| StorageError::Failed { operation: "read statistics", source: Box::new(error) };
    done.await.map_err(joined).and_then(|done| done).map_err(storage_error("look at a canary"))
}

/// Lets the first groups pass only, until the canary has.
pub(super) struct FirstOnly {
    canary: Canary,
    /// The first ones are known and may leave.
    began: bool,
    book: Arc<dyn GroupBook>,
    rest: Option<Arc<dyn Gate>>,
}

impl FirstOnly {
    /// Puts a canary before another gate, unless it has passed.
    pub(super) fn before(
        broadcast: &Broadcast,
        book: &Arc<dyn GroupBook>,
        rest: Option<Arc<dyn Gate>>,
    ) -> Option<Arc<dyn Gate>> {
        let phase = broadcast.trial.phase;
        match &broadcast.canary {
            Some(canary) if phase != Phase::Passed => {
                let (canary, book) = (canary.clone(), Arc::clone(book));
                Some(Arc::new(Self { canary, began: phase != Phase::Waiting, book, rest }))
            }
            Some(_) | None => rest,
        }
    }
}

impl Gate for FirstOnly {
    fn opens(&self, delivery: &Delivery, now_ms: i64) -> Opens {
        let first = |target: u32, group: &str| {
            is_first(&self.canary, &*self.book, delivery.account.as_str(), group, target)
        };
        let passes = match (&delivery.payload, &delivery.broadcast) {
            // What a mass send carries is all of one kind.
            (Payload::MassSend { targets, .. }, _) => {
                targets.first().is_some_and(|(target, group)| first(*target, group))
            }
            (_, Some((_, target))) => first(*target, &delivery.group),
            (_, None) => true,
        };
        if !self.began || !passes {
            return Opens::Undecided;
        }
        self.rest.as_ref().map_or(Opens::Now, |rest| rest.opens(delivery, now_ms))
    }
}
