//! Tasks at a platform that people must confirm. They outlive a crash of ours: a test hands them on.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use crate::outbox::delivery::{
    Content, Decision, Delivery, Outcome, Payload, Refusal, RefusalScope, Resolution,
};

/// What the platform answers to the creation of tasks, by owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It refuses, for ever.
    Refuse,
    /// It creates the task and the answer is lost.
    Lose,
}

/// One task.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlatformTask {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) text: String,
    pub(crate) attachments: Vec<Content>,
    pub(crate) groups: Vec<String>,
    pub(crate) confirmed_ms: Option<i64>,
    pub(crate) is_cancelled: bool,
    pub(crate) reminders: Vec<i64>,
    pub(crate) polls: usize,
}

/// All tasks of a platform, and its moods.
#[derive(Debug, Default)]
pub(crate) struct PlatformTasks {
    tasks: Mutex<Vec<PlatformTask>>,
    /// Groups refused when a task is created.
    pub(crate) refused: Mutex<BTreeSet<String>>,
    /// Groups that are no contact of their owner any more.
    pub(crate) strangers: Mutex<BTreeSet<String>>,
    /// What it answers to an owner's tasks, if not that they exist now.
    pub(crate) answers: Mutex<Vec<(String, Answer)>>,
    /// It is away.
    pub(crate) is_away: Mutex<bool>,
    /// How often it was asked while it was away.
    pub(crate) asked_in_vain: AtomicUsize,
    /// It still hands tasks out.
    pub(crate) is_dispatching: Mutex<bool>,
    /// It tells nothing of a task that was cancelled.
    pub(crate) conceals_cancelled: Mutex<bool>,
    /// It takes no more reminders.
    pub(crate) caps_reminders: Mutex<bool>,
}

impl PlatformTasks {
    pub(crate) fn deliver(&self, delivery: &Delivery, _attempt: u32) -> Outcome {
        let Payload::MassSend { sender, targets, text, attachments } = &delivery.payload else {
            return Outcome::Sent { platform_id: None };
        };
        let answers = self.answers.lock();
        let answer = answers.iter().find(|(owner, _)| owner == sender).map(|(_, answer)| *answer);
        if answer == Some(Answer::Refuse) {
            let (scope, code) = (RefusalScope::Delivery, "41048".to_owned());
            let detail = "nobody to send to".to_owned();
            return Outcome::Refused(Refusal { decision: Decision::Never, scope, code, detail });
        }
        let mut tasks = self.tasks.lock();
        let id = format!("msg{}", tasks.len());
        tasks.push(PlatformTask {
            id: id.clone(),
            owner: sender.clone(),
            text: text.clone(),
            attachments: attachments.clone(),
            groups: targets.iter().map(|(_, group)| group.clone()).collect(),
            ..PlatformTask::default()
        });
        match answer {
            Some(_) => Outcome::Uncertain { detail: "reset".to_owned() },
            None => Outcome::AwaitingConfirmation { platform_id: id },
        }
    }

    /// Finds the task of a call by listing: by owner, text, what goes with it, and groups.
    pub(crate) fn find(&self, delivery: &Delivery) -> Resolution {
        let Payload::MassSend { sender, targets, text, attachments } = &delivery.payload else {
            return Resolution::Unknown;
        };
        let groups: Vec<_> = targets.iter().map(|(_, group)| group.clone()).collect();
        let tasks = self.tasks.lock();
        let says = |task: &PlatformTask| task.text == *text && task.attachments == *attachments;
        let found = tasks.iter().find(|task| task.owner == *sender && says(task) && task.groups == groups);
        found.map_or(Resolution::NotSent, |task| Resolution::Awaiting { platform_id: task.id.clone() })
    }

    pub(crate) fn all(&self) -> Vec<PlatformTask> {
        self.tasks.lock().clone()
    }

    /// Every group of every task, as often as it is in one.
    pub(crate) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<_> = self.tasks.lock().iter().flat_map(|task| task.groups.clone()).collect();
        groups.sort_unstable();
        groups
    }

    /// Lets owners confirm what they have.
    pub(crate) fn confirm(&self, wanted: impl Fn(&str) -> bool, at_ms: i64) {
        for task in self.tasks.lock().iter_mut().filter(|task| wanted(&task.owner) && !task.is_cancelled) {
            task.confirmed_ms.get_or_insert(at_ms);
        }
    }

    pub(crate) fn with<T>(&self, id: &str, change: impl FnOnce(&mut PlatformTask) -> T) -> Option<T> {
        self.tasks.lock().iter_mut().find(|task| task.id == id).map(change)
    }
}
