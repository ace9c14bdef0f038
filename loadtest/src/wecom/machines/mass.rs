//! Mass sends: a call makes a task, members confirm it in their client or do not, and only then something is sent.
//!
//! A task is created, then dispatched for a while (41063), then waits for each sender; what a sender confirms reaches each
//! target once or is refused with a status. Cancelling stops what was not yet sent.
//! Who is whose customer and whose group is the caller's to know; targets here are numbers of groups or customers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::caps::{Cap, Received};
use super::content::Content;
use crate::wecom::errcode;
use crate::wecom::people::StaffNo;
use crate::wecom::request::Refusal;

/// Tasks kept; the oldest are forgotten first.
pub const TASKS_MAX: usize = 50_000;
/// Targets kept over all tasks.
pub const TARGETS_MAX: usize = 4_000_000;
/// Sender, content and target remembered, to notice who asks for the same again.
pub const ASKED_MAX: usize = 2_000_000;
/// Reminders of a task within 24 hours.
pub const REMINDERS_MAX: usize = 3;
const DAY_MS: u64 = 86_400_000;

/// Whom a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Customers; numbers are theirs.
    Single,
    /// Customer groups; numbers are theirs.
    Group,
}

impl Audience {
    fn key(self, number: u32) -> u64 {
        u64::from(number) | (self as u64) << 32
    }
}

/// What became of a target, as `get_groupmsg_send_result` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not sent.
    Unsent = 0,
    /// Sent.
    Sent = 1,
    /// Failed: not the sender's customer or group any more.
    NotAFriend = 2,
    /// Failed: the target's cap was reached.
    Capped = 3,
}

/// One target of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The group's or customer's number.
    pub number: u32,
    /// What became of it.
    pub status: Status,
}

/// One sender of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Who.
    pub staff: StaffNo,
    /// When they confirmed, in milliseconds since 1970.
    pub sent_ms: Option<u64>,
    /// To whom.
    pub targets: Vec<Target>,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// The platform's id for it.
    pub msgid: String,
    /// The app that made it.
    pub app: usize,
    /// Whom it is for.
    pub audience: Audience,
    /// What it says.
    pub content: Content,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Who is to send it.
    pub senders: Vec<Sender>,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
    /// Moments of reminders, the last three.
    reminders: VecDeque<u64>,
    reminded: u32,
}

/// What mass sends came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MassReport {
    /// Tasks made.
    pub tasks: u64,
    /// Of these, cancelled.
    pub cancelled: u64,
    /// Tasks forgotten for want of room; their questions get 40058.
    pub forgotten: u64,
    /// Targets asked for and taken.
    pub targets: u64,
    /// Targets given back in a `fail_list`.
    pub failed_at_once: u64,
    /// Sender, content and target asked for again: a group would read the same twice.
    pub asked_twice: u64,
    /// Reminders.
    pub reminders: u64,
    /// Senders who confirmed.
    pub confirmed: u64,
    /// Targets reached.
    pub sent: u64,
    /// Targets that had stopped being the sender's.
    pub not_friends: u64,
    /// Targets that were at their cap by then.
    pub capped: u64,
}

/// What a task is made of.
#[derive(Debug)]
pub(crate) struct NewTask {
    pub(crate) msgid: String,
    pub(crate) app: usize,
    pub(crate) audience: Audience,
    pub(crate) content: Content,
    /// Who sends to whom, and when they will confirm by themselves.
    pub(crate) senders: Vec<(StaffNo, Vec<u32>, Option<u64>)>,
}

/// What a confirmation did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) msgid: String,
    pub(crate) audience: Audience,
    pub(crate) ledger_text: String,
    /// Those reached.
    pub(crate) reached: Vec<u32>,
}

/// All tasks.
#[derive(Debug, Default)]
pub struct Mass {
    tasks: BTreeMap<u64, Task>,
    numbers: HashMap<String, u64>,
    last: u64,
    targets: usize,
    /// When which sender of which task confirms by themselves.
    due: BTreeSet<(u64, u64, usize)>,
    received: Received,
    asked: HashSet<u64>,
    /// What they came to.
    pub report: MassReport,
}

impl Mass {
    /// Makes a task.
    ///
    /// # Errors
    /// 41048 when there is nobody to send to.
    pub(crate) fn add(&mut self, new: NewTask, now_ms: u64) -> Result<(), Refusal> {
        if new.senders.iter().all(|(_, targets, _)| targets.is_empty()) {
            return Err(Refusal::code(errcode::NOBODY_TO_SEND));
        }
        self.last += 1;
        let number = self.last;
        let text = new.content.ledger_text();
        let mut senders = Vec::with_capacity(new.senders.len());
        for (index, (staff, targets, due_ms)) in new.senders.into_iter().enumerate() {
            for &target in &targets {
                self.note_asked(crate::wecom::ledger::digest(&(staff, &text, new.audience, target)));
            }
            self.targets += targets.len();
            self.report.targets += targets.len() as u64;
            self.due.extend(due_ms.map(|due_ms| (due_ms, number, index)));
            let target = |number| Target { number, status: Status::Unsent };
            senders.push(Sender { staff, sent_ms: None, targets: targets.into_iter().map(target).collect() });
        }
        self.report.tasks += 1;
        self.numbers.insert(new.msgid.clone(), number);
        let task = Task {
            msgid: new.msgid,
            app: new.app,
            audience: new.audience,
            content: new.content,
            created_ms: now_ms,
            senders,
            is_cancelled: false,
            reminders: VecDeque::new(),
            reminded: 0,
        };
        self.tasks.insert(number, task);
        self.forget();
        Ok(())
    }

    fn note_asked(&mut self, digest: u64) {
        if self.asked.contains(&digest) {
            self.report.asked_twice += 1;
        } else if self.asked.len() < ASKED_MAX {
            self.asked.insert(digest);
        }
    }

    fn forget(&mut self) {
        // The newest is never forgotten, however large.
        while self.tasks.len() > 1 && (self.tasks.len() > TASKS_MAX || self.targets > TARGETS_MAX) {
            let Some((_, task)) = self.tasks.pop_first() else { return };
            self.numbers.remove(&task.msgid);
            self.targets -= task.senders.iter().map(|sender| sender.targets.len()).sum::<usize>();
            self.report.forgotten += 1;
        }
    }

    /// Whether a target can receive another mass message now.
    pub fn has_room(&self, audience: Audience, number: u32, cap: Cap, now_ms: u64) -> bool {
        self.received.has_room(audience.key(number), cap, now_ms)
    }

    /// A task, dispatched or not.
    ///
    /// # Errors
    /// 40058 for an unknown id.
    pub fn task(&self, msgid: &str) -> Result<&Task, Refusal> {
        let number = self.numbers.get(msgid);
        let task = number.and_then(|number| self.tasks.get(number));
        task.ok_or_else(|| Refusal::new(errcode::BAD_PARAMETER, "invalid msgid"))
    }

    /// All tasks kept, the oldest first, with their places for paging.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Task)> {
        self.tasks.iter().map(|(number, task)| (*number, task))
    }

    /// Reminds those who have not confirmed; gives back who they are and the reminder's number.
    ///
    /// # Errors
    /// 41093 when cancelled, 41094 after three within 24 hours.
    pub(crate) fn remind(&mut self, msgid: &str, now_ms: u64) -> Result<(Vec<StaffNo>, u32), Refusal> {
        self.task(msgid)?;
        let number = self.numbers[msgid];
        let task = self.tasks.get_mut(&number).expect("looked up above");
        if task.is_cancelled {
            return Err(Refusal::code(errcode::CANCELLED));
        }
        task.reminders.retain(|at_ms| now_ms < at_ms + DAY_MS);
        if task.reminders.len() >= REMINDERS_MAX {
            return Err(Refusal::code(errcode::REMINDED_OUT));
        }
        task.reminders.push_back(now_ms);
        task.reminded += 1;
        self.report.reminders += 1;
        let waiting = task.senders.iter().filter(|sender| sender.sent_ms.is_none());
        Ok((waiting.map(|sender| sender.staff).collect(), task.reminded))
    }

    /// A sender will confirm at a moment.
    pub(crate) fn schedule(&mut self, msgid: &str, staff: StaffNo, due_ms: u64) {
        let Ok(task) = self.task(msgid) else { return };
        if let Some(index) = task.senders.iter().position(|sender| sender.staff == staff) {
            let number = self.numbers[msgid];
            self.due.insert((due_ms, number, index));
        }
    }

    /// Stops what was not yet sent.
    ///
    /// # Errors
    /// 41093 when it was cancelled before.
    pub(crate) fn cancel(&mut self, msgid: &str) -> Result<(), Refusal> {
        self.task(msgid)?;
        let number = self.numbers[msgid];
        let task = self.tasks.get_mut(&number).expect("looked up above");
        if task.is_cancelled {
            return Err(Refusal::code(errcode::CANCELLED));
        }
        task.is_cancelled = true;
        self.report.cancelled += 1;
        Ok(())
    }

    /// The next sender who was to confirm by now.
    pub(crate) fn next_due(&mut self, now_ms: u64) -> Option<(u64, String, StaffNo)> {
        while let Some(&(due_ms, number, index)) = self.due.first()
            && due_ms <= now_ms
        {
            self.due.pop_first();
            let task = self.tasks.get(&number);
            if let Some((task, sender)) = task.and_then(|task| task.senders.get(index).map(|it| (task, it))) {
                return Some((due_ms, task.msgid.clone(), sender.staff));
            }
        }
        None
    }

    /// A sender confirms: once, and not when the task was cancelled. `is_theirs` says whether a target still is the sender's.
    pub(crate) fn confirm(
        &mut self,
        msgid: &str,
        staff: StaffNo,
        cap: Cap,
        now_ms: u64,
        is_theirs: impl Fn(u32) -> bool,
    ) -> Option<Confirmed> {
        let task = self.tasks.get_mut(self.numbers.get(msgid)?)?;
        let audience = task.audience;
        let is_cancelled = task.is_cancelled;
        let waiting =
            |sender: &&mut Sender| sender.staff == staff && sender.sent_ms.is_none() && !is_cancelled;
        let sender = task.senders.iter_mut().find(waiting)?;
        sender.sent_ms = Some(now_ms);
        self.report.confirmed += 1;
        let mut reached = Vec::new();
        for target in &mut sender.targets {
            target.status = if !is_theirs(target.number) {
                self.report.not_friends += 1;
                Status::NotAFriend
            } else if !self.received.take(audience.key(target.number), cap, now_ms) {
                self.report.capped += 1;
                Status::Capped
            } else {
                self.report.sent += 1;
                reached.push(target.number);
                Status::Sent
            };
        }
        let ledger_text = task.content.ledger_text();
        Some(Confirmed { msgid: msgid.to_owned(), audience, ledger_text, reached })
    }
}

impl Task {
    /// What follow-up calls get before the task is dispatched, and after it was cancelled when results go with it.
    ///
    /// # Errors
    /// 41063, 41093.
    pub(crate) fn ready(
        &self,
        dispatch_ms: u64,
        refuses_cancelled: bool,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        if now_ms < self.created_ms + dispatch_ms {
            return Err(Refusal::code(errcode::DISPATCHING));
        }
        Refusal::unless(!self.is_cancelled || !refuses_cancelled, errcode::CANCELLED)
    }
}
