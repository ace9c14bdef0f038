//! What is told of confirmations: who waits, since when, until when probably; and the tasks one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::Survey;
use super::desk::{Desk, Watched, contents, read, record_id};
use super::history::{self, Waiting};
use super::task::Record;
use super::watch::called_off_at;
use crate::broadcasts::{
    Broadcast, BroadcastError, Broadcasts, Control, IllegalTransition, NoFinish, put, storage_error,
};
use crate::event::{Actor, BroadcastId};
use crate::storage::{
    AuditEntry, Change, DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind, Kinds, MASS_SEND,
    MASS_SENDS_FROM,
};

/// How far the confirmations of a broadcast are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// What was found when it was accepted.
    pub survey: Survey,
    /// Tasks that do not exist yet, as far as they are planned.
    pub tasks_to_create: u64,
    /// Owners who have not confirmed all of theirs.
    pub owners_waiting: u64,
    /// Owners who have confirmed at least one.
    pub owners_confirmed: u64,
    /// Owners who were reminded.
    pub owners_reminded: u64,
    /// Since when the first of those who have not confirmed could have.
    pub oldest_waiting_ms: Option<i64>,
    /// Until when the last owner has confirmed with a chance of one half, and of nine tenths; `None` when nobody waits.
    pub finish: Option<(i64, i64)>,
    /// Owners who wait or will, and of whom it is not known how long they take: for them the others' past is taken.
    pub owners_without_history: u64,
    /// Why there is no range although somebody will have to confirm.
    pub unknown: Option<NoFinish>,
}

/// One task of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// The mass send.
    pub row: DeliveryRow,
    /// Who is to confirm.
    pub owner: String,
    /// The groups it carries.
    pub groups: Vec<String>,
    /// What is remembered of it.
    pub record: Record,
}

/// Who will be reminded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reminding {
    /// Tasks whose owners are reminded now.
    pub reminding: u64,
    /// Tasks whose owners were reminded a moment ago, or as often as the platform allows.
    pub held_back: u64,
}

/// Which tasks' owners are to be reminded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The mass sends, by their number.
    pub tasks: BTreeSet<u32>,
    /// By what they were chosen, for the audit log.
    pub by: serde_json::Value,
}

/// Owners by what they did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owners {
    pub(super) waiting: u64,
    pub(super) confirmed: u64,
    pub(super) reminded: u64,
    unknown: u64,
}

/// Counts the owners of a broadcast's tasks.
pub(super) fn owners(desk: &Desk) -> Owners {
    let count = |wanted: &dyn Fn(&Watched) -> bool| {
        let those = desk.tasks.values().filter(|task| wanted(task));
        let those: BTreeSet<_> = those.map(|task| (&task.account, &task.owner)).collect();
        u64::try_from(those.len()).unwrap_or(u64::MAX)
    };
    Owners {
        waiting: count(&Watched::waits),
        confirmed: count(&|task| task.record.confirmed_ms.is_some()),
        reminded: count(&|task| !task.record.reminded_ms.is_empty()),
        unknown: count(&|task| (task.waits() || is_planned(task)) && task.usual.is_none()),
    }
}

impl Broadcasts {
    /// Returns how far the confirmations of a broadcast are; `None` when it needs none.
    pub fn confirmation_of(&self, broadcast: &Broadcast) -> Option<Confirmation> {
        let mass = &broadcast.mass;
        if mass.survey.need_confirmation == 0 && mass.targets == 0 {
            return None;
        }
        let survey = mass.survey.clone();
        if let Some(closing) = mass.closing {
            let (owners_confirmed, owners_reminded) = (closing.confirmed, closing.reminded);
            return Some(Confirmation {
                survey,
                owners_confirmed,
                owners_reminded,
                ..Confirmation::default()
            });
        }
        let now_ms = self.parts.clock.now_ms();
        let desks = self.desks.lock();
        let nothing = Desk::default();
        let desk = desks.get(&broadcast.id).unwrap_or(&nothing);
        let owners = owners(desk);
        let planned = desk.tasks.values().filter(|task| is_planned(task));
        let made = desk.tasks.len() - planned.clone().count();
        let tasks_to_create = u64::from(mass.sends).saturating_sub(u64::try_from(made).unwrap_or(0));
        let waiting = desk.tasks.values().filter(|task| task.waits());
        // A task that does not exist yet is taken as created now: the outbox is the faster half by far.
        let config = &self.parts.config.confirmations;
        let taken = history::taken_for_unknown(desk.tasks.values().filter_map(|task| task.usual.as_deref()));
        let wait = |created_ms: i64, task: &Watched| Waiting {
            created_ms,
            until_ms: called_off_at(broadcast, created_ms, config),
            delays_s: task.usual.as_ref().unwrap_or(&taken).clone(),
        };
        let all = waiting
            .clone()
            .map(|task| wait(task.created_ms, task))
            .chain(planned.map(|task| wait(now_ms, task)));
        let is_complete = is_complete(broadcast, desk);
        Some(Confirmation {
            survey,
            tasks_to_create,
            owners_waiting: owners.waiting,
            owners_confirmed: owners.confirmed,
            owners_reminded: owners.reminded,
            oldest_waiting_ms: waiting.map(|task| task.created_ms).min(),
            finish: if is_complete { history::finish(all, now_ms) } else { None },
            owners_without_history: owners.unknown,
            unknown: None,
        })
    }

    /// Returns a page of a broadcast's tasks in order of their numbers, counted from 0.
    ///
    /// # Errors
    /// When the actor may not see the broadcast, or the ledger cannot be read.
    pub async fn mass_tasks(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<TaskRow>, BroadcastError> {
        self.get(actor, id).await?;
        let key = |number: u32| (id.to_string(), number, id.delivery(number).as_str().to_owned());
        let filter = DeliveryFilter {
            broadcast: Some(id.to_string()),
            kinds: Kinds::Only(MASS_SEND),
            after: after.map(|number| key(MASS_SENDS_FROM.saturating_add(number))),
            limit,
            ..DeliveryFilter::default()
        };
        let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read tasks"))?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let last_id = record_id(id, last.target);
        let before = record_id(id, first.target - 1);
        let records = self.parts.storage.documents(DocumentKind::MassTask, Some(before), rows.len()).await;
        let mut records: BTreeMap<String, Record> = records
            .map_err(storage_error("read tasks"))?
            .into_iter()
            .filter(|document| document.id <= last_id)
            .map(|document| Ok((document.id.clone(), read(&document.id, &document.body)?)))
            .collect::<Result<_, _>>()
            .map_err(storage_error("read tasks"))?;
        let task = |row: DeliveryRow| {
            let (owner, targets) = contents(&row).unwrap_or_default();
            let record = records.remove(&record_id(id, row.target)).unwrap_or_default();
            TaskRow { row, owner, groups: targets.into_iter().map(|(_, group)| group).collect(), record }
        };
        Ok(rows.into_iter().map(task).collect())
    }

    /// Has every owner reminded, or those of chosen tasks, who has not confirmed and may be reminded. They are in the
    /// background, each at most once for this.
    ///
    /// # Errors
    /// When it was cancelled, or the actor may not see it.
    pub async fn remind(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        chosen: Option<Chosen>,
    ) -> Result<Reminding, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        let counts = self.counts(id).await?;
        let state = active.broadcast.state(&counts, self.parts.clock.now_ms());
        if active.broadcast.control == Control::Cancelled {
            return Err(IllegalTransition { state, verb: "remind" }.into());
        }
        let (now_ms, config) = (self.parts.clock.now_ms(), &self.parts.config.confirmations);
        let answer = {
            let desks = self.desks.lock();
            let is_meant = |number: &u32| chosen.as_ref().is_none_or(|chosen| chosen.tasks.contains(number));
            let waiting = || {
                let tasks = desks.get(id).into_iter().flat_map(|desk| &desk.tasks);
                tasks.filter(|(number, task)| task.waits() && is_meant(number)).map(|(_, task)| task)
            };
            let may = waiting().filter(|task| task.record.may_remind(now_ms, config)).count();
            let held_back = u64::try_from(waiting().count() - may).unwrap_or(u64::MAX);
            Reminding { reminding: u64::try_from(may).unwrap_or(u64::MAX), held_back }
        };
        if answer.reminding == 0 {
            return Ok(answer);
        }
        let mut changed = active.broadcast.clone();
        let by = chosen.as_ref().map(|chosen| chosen.by.clone());
        let audit = AuditEntry::by(actor, now_ms, "remind", "broadcast", id.as_str()).at(&changed.place);
        let audit = audit.with(&serde_json::json!({"reminding": answer.reminding, "filter": by}));
        if let Some(chosen) = chosen {
            changed.mass.remind_asked.extend(chosen.tasks.into_iter().map(|number| (number, now_ms)));
        } else {
            changed.mass.remind_asked_ms = now_ms;
            changed.mass.remind_asked.clear();
        }
        let change = Change {
            at_ms: now_ms,
            writes: vec![put(&changed, Some(active.version))],
            audit: vec![audit],
            ..Change::default()
        };
        self.commit(&mut active, changed, change).await?;
        Ok(answer)
    }
}

/// Says whether every task of a broadcast is known.
pub(super) fn is_complete(broadcast: &Broadcast, desk: &Desk) -> bool {
    broadcast.mass.bundled && desk.tasks.len() == broadcast.mass.sends as usize
}

fn is_planned(task: &Watched) -> bool {
    matches!(task.state, DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Uncertain)
}
