//! One call about one task: a question, a reminder, a call to stop; and the commit that follows or precedes it.

use super::desk::{Watched, contents, history_id, record_id};
use super::history::NEVER;
use super::ms;
use super::task::{Ending, Judged, Record, judge};
use crate::broadcasts::{Broadcasts, TaskError, TaskProgress};
use crate::event::{BroadcastId, HOUR_MS};
use crate::storage::{Carried, Change, DeliveryFilter, DeliveryState, DocumentKind, StorageError, Write};
use crate::telemetry::metrics::{self, MassStep};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Poll,
    Remind,
    CallOff,
}

/// A task and what is to be done about it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) broadcast: BroadcastId,
    pub(super) number: u32,
    pub(super) errand: Errand,
    pub(super) ending: Option<Ending>,
    /// The task as it was when the job began; changed as the job goes.
    pub(super) task: Watched,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) job: Job,
    pub(super) outcome: Result<(), Trouble>,
}

/// Why a job did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Platform(#[from] TaskError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Broadcasts {
    pub(super) async fn run_job(&self, mut job: Job) -> Done {
        let outcome = match job.errand {
            Errand::Poll => self.poll(&mut job).await,
            Errand::Remind => self.remind_one(&mut job).await,
            Errand::CallOff => self.call_off_one(&mut job).await,
        };
        Done { job, outcome }
    }

    async fn poll(&self, job: &mut Job) -> Result<(), Trouble> {
        let (storage, task) = (&self.parts.storage, &mut job.task);
        let id = job.broadcast.delivery(job.number).as_str().to_owned();
        let filter = DeliveryFilter { id: Some(id.clone()), limit: 1, ..DeliveryFilter::default() };
        let row = storage.deliveries(filter).await?.pop();
        let Some((row, (_, targets))) = row.and_then(|row| Some((contents(&row)?, row))).map(|(c, r)| (r, c))
        else {
            return Err(StorageError::Unreadable {
                what: format!("mass send `{id}`"),
                detail: "no task".into(),
            }
            .into());
        };
        if row.state != DeliveryState::AwaitingConfirmation {
            task.state = row.state; // settled by a commit whose answer was lost
            return Ok(());
        }
        let (progress, ending) = self.ask(task, job.ending).await?;
        let now_ms = self.parts.clock.now_ms();
        let judged = judge(&targets, &progress, ending, now_ms);
        let result = judged.result();
        let mut carried = results(&job.broadcast, job.number, &judged, &task.task, now_ms);
        let news = carried.len() > task.settled;
        let settled = carried.len();
        if let Some(result) = result {
            carried.push(Carried {
                from: 0,
                carrier: 0,
                state: result.state,
                code: result.code.to_owned(),
                detail: result.detail.to_owned(),
                id,
                at_ms: now_ms,
                platform_id: task.task.clone(),
            });
        }
        let mut writes = Vec::new();
        let confirmed_ms = judged.confirmed_ms.filter(|_| task.record.confirmed_ms.is_none());
        let mut record = task.record.clone();
        if let Some(confirmed_ms) = confirmed_ms {
            record.confirmed_ms = Some(confirmed_ms);
            writes.push(put_record(&job.broadcast, job.number, &record, task.version));
        }
        // Who did not confirm in all that time counts too: else only the prompt would make the finish.
        let never = result.is_some() && ending == Some(Ending::Expired) && record.confirmed_ms.is_none();
        let delay_ms = confirmed_ms.map(|at_ms| at_ms - task.created_ms).or(never.then_some(NEVER));
        if let Some(delay_ms) = delay_ms {
            writes.push(self.learn(task, delay_ms).await?);
        }
        if !news && writes.is_empty() && result.is_none() {
            return Ok(());
        }
        let change = Change { at_ms: now_ms, writes, carried, ..Change::default() };
        let versions = storage.apply(change).await?;
        task.settled = settled;
        if confirmed_ms.is_some() {
            (task.record, task.version) = (record, versions.first().copied().unwrap_or(task.version + 1));
            task.polls = 0; // what was confirmed arrives soon
            metrics::mass_tasks(MassStep::Confirmed, 1);
        }
        if let Some(result) = result {
            task.state = result.state;
            let failed = judged.targets.iter().filter(|target| target.state == DeliveryState::Failed);
            metrics::dead_letters(failed.count() as u64);
        }
        Ok(())
    }

    /// Asks what became of a task, and says why it has ended if it has.
    async fn ask(
        &self,
        task: &Watched,
        ending: Option<Ending>,
    ) -> Result<(TaskProgress, Option<Ending>), Trouble> {
        match self.parts.confirming.progress(&task.account, &task.task, &task.owner).await {
            // A platform may tell nothing of a task that it has stopped: what was not told before will not be sent.
            Err(error) if error.code == "cancelled" => {
                Ok((TaskProgress::default(), Some(ending.unwrap_or(Ending::Cancelled))))
            }
            told => Ok((told?, ending.filter(|_| task.record.called_off_ms.is_some()))),
        }
    }

    /// Adds to what is known of how long a task's owner takes.
    async fn learn(&self, task: &Watched, delay_ms: i64) -> Result<Write, StorageError> {
        let (mut history, version) = self.history(&task.account, &task.owner).await?;
        history.add(delay_ms, self.parts.config.confirmations.history_max);
        Ok(Write::Put {
            kind: DocumentKind::OwnerHistory,
            id: history_id(&task.account, &task.owner),
            body: json(&history),
            expect: Some(version),
        })
    }

    /// Reminds an owner. Written down first: a crash in between costs one reminder, never makes one too many.
    async fn remind_one(&self, job: &mut Job) -> Result<(), Trouble> {
        let now_ms = self.parts.clock.now_ms();
        let mut record = job.task.record.clone();
        record.reminded_ms.push(now_ms);
        self.write_record(job, record).await?;
        let Err(error) = self.parts.confirming.remind(&job.task.account, &job.task.task).await else {
            metrics::mass_tasks(MassStep::Reminded, 1);
            return Ok(());
        };
        if !error.uncertain {
            let mut record = job.task.record.clone();
            record.reminded_ms.retain(|at_ms| *at_ms != now_ms);
            if error.code == "remind_cap" {
                record.no_reminder_before_ms = now_ms + 24 * HOUR_MS;
            }
            self.write_record(job, record).await?;
        }
        let gap_ms = ms(self.parts.config.confirmations.remind_gap);
        job.task.not_before_ms = now_ms + error.wait.map_or(gap_ms, ms).max(gap_ms);
        Err(error.into())
    }

    /// Has the platform stop what was not sent. What it then says of each target is asked next; it may say nothing then, so
    /// whether the owner has confirmed meanwhile is asked before.
    async fn call_off_one(&self, job: &mut Job) -> Result<(), Trouble> {
        self.poll(job).await?;
        if job.task.state != DeliveryState::AwaitingConfirmation {
            return Ok(());
        }
        let now_ms = self.parts.clock.now_ms();
        if let Err(error) = self.parts.confirming.cancel(&job.task.account, &job.task.task).await {
            let wait_ms = super::task::pause_ms(job.task.polls, &self.parts.config.confirmations);
            job.task.not_before_ms = now_ms + error.wait.map_or(wait_ms, ms);
            return Err(error.into());
        }
        let record = Record { called_off_ms: Some(now_ms), ..job.task.record.clone() };
        self.write_record(job, record).await?;
        job.task.polls = 0;
        metrics::mass_tasks(MassStep::CalledOff, 1);
        Ok(())
    }

    async fn write_record(&self, job: &mut Job, record: Record) -> Result<(), StorageError> {
        let task = &mut job.task;
        let writes = vec![put_record(&job.broadcast, job.number, &record, task.version)];
        let change = Change { at_ms: self.parts.clock.now_ms(), writes, ..Change::default() };
        let versions = self.parts.storage.apply(change).await?;
        (task.record, task.version) = (record, versions.first().copied().unwrap_or(task.version + 1));
        Ok(())
    }
}

/// Returns the results an answer holds. Targets that wait are left as they are.
fn results(broadcast: &BroadcastId, number: u32, judged: &Judged, task: &str, now_ms: i64) -> Vec<Carried> {
    let told = judged.targets.iter().filter(|target| target.state != DeliveryState::AwaitingConfirmation);
    let carried = |target: &super::task::Verdict| Carried {
        id: broadcast.delivery(target.target).as_str().to_owned(),
        from: number,
        carrier: number,
        state: target.state,
        // When it arrived counts for the receiving caps.
        at_ms: if target.state == DeliveryState::Sent {
            judged.confirmed_ms.unwrap_or(now_ms)
        } else {
            now_ms
        },
        code: target.code.to_owned(),
        detail: target.detail.to_owned(),
        platform_id: task.to_owned(),
    };
    told.map(carried).collect()
}

fn put_record(broadcast: &BroadcastId, number: u32, record: &Record, version: u64) -> Write {
    Write::Put {
        kind: DocumentKind::MassTask,
        id: record_id(broadcast, number),
        body: json(record),
        expect: Some(version),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a record holds nothing that JSON cannot say")
}
