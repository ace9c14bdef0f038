//! Puts events in a chain from the mark we stand at to the mark of what was read.

use std::borrow::Cow;

use super::pending::Pending;
use super::{Compared, Plan};
use crate::event::{GroupChange, GroupEvent, Role, RosterMember, RosterRead, RosterStep, What};

/// Events on their way into a [`Plan`].
pub(super) struct Chain<'c, 'a> {
    compared: &'c Compared<'a>,
    plan: Plan,
    /// Taken over at the first reading, before everything else.
    first: Option<RosterRead<'static>>,
    /// Taken over behind everything else: details, and what is not to be counted.
    last: RosterRead<'static>,
    /// An event is a guess about a callback that may still be on its way.
    is_guess: bool,
}

impl<'c, 'a> Chain<'c, 'a> {
    pub(super) fn new(compared: &'c Compared<'a>) -> Self {
        let (known, reading) = (&compared.view.known.group, compared.reading);
        let changed = |read: &Option<String>, known: &Option<String>| {
            // Whoever was believed dismissed and can be read is told of anew.
            let is_news = compared.view.known.group.dismissed || read != known;
            read.clone().filter(|read| !read.is_empty() && is_news).map(Cow::Owned)
        };
        let group = GroupChange {
            name: changed(&reading.name, &known.name),
            owner: changed(&reading.owner, &known.owner),
        };
        let last = RosterRead { group, ..RosterRead::default() };
        Self { compared, plan: Plan::default(), first: None, last, is_guess: false }
    }

    /// A group's first reading.
    pub(super) fn first_reading(&mut self, found: Vec<RosterMember<'static>>, gone: Vec<&str>) {
        self.plan.adopted += found.len() as u64;
        let gone = gone.into_iter().map(|member| Cow::Owned(member.to_owned())).collect();
        let group = std::mem::take(&mut self.last.group);
        self.first = Some(RosterRead { found, gone, group });
    }

    /// A callback told of it.
    pub(super) fn told(&mut self, change: &Pending, read: Option<&RosterMember<'static>>) {
        let view = self.compared.view;
        let unchained = RosterStep { from: None, to: 0 };
        self.plan.events.extend(change.event(view.account, view.group, unchained, read));
    }

    /// Somebody is there of whom we did not know.
    pub(super) fn joined(&mut self, read: &RosterMember<'static>) {
        let at_ms = read.joined_ms.min(self.compared.view.now_ms);
        let id = inferred_id("joined", &read.member, at_ms);
        if self.compared.is_too_old(at_ms) || self.compared.view.counted.contains(&id) {
            self.plan.adopted += 1;
            self.last.found.push(read.clone());
            return;
        }
        let what = What::MemberJoined {
            inviter: read.inviter.clone(),
            scene: read.scene.clone(),
            channel: read.channel.clone(),
            union_id: read.union_id.clone(),
            profile: None,
            inferred: true,
        };
        self.plan.joins += 1;
        let event = self.event(id, Some(&read.member), read.role, at_ms, what);
        self.plan.events.push(GroupEvent { name: read.name.clone(), ..event });
    }

    /// Somebody came of whom we know only that they left again.
    pub(super) fn joined_unseen(&mut self, member: &str, role: Role, before: &Pending) {
        let at_ms = self.guess(before);
        let what = What::joined(true);
        let id = inferred_id("joined", member, at_ms);
        if !self.compared.view.counted.contains(&id) {
            self.plan.joins += 1;
            self.plan.events.push(self.event(id, Some(member), role, at_ms, what));
        }
    }

    /// Somebody went of whom we know only that they came again: or they could not have joined.
    pub(super) fn left_unseen(&mut self, member: &str, role: Role, before: &Pending) {
        let at_ms = self.guess(before);
        let id = inferred_id("left", member, at_ms);
        if !self.compared.view.counted.contains(&id) {
            self.leaves(id, member, role, at_ms);
        }
    }

    /// Somebody is gone, and no callback told of it: at the latest at `at_ms`.
    pub(super) fn left(&mut self, member: &str, role: Role, at_ms: i64) {
        let id = inferred_id("left", member, at_ms);
        if self.compared.is_too_old(at_ms) || self.compared.view.counted.contains(&id) {
            self.last.gone.push(Cow::Owned(member.to_owned()));
            return;
        }
        self.leaves(id, member, role, at_ms);
    }

    /// Something must have happened before a change that was told: at the latest at the same time.
    fn guess(&mut self, before: &Pending) -> i64 {
        let view = self.compared.view;
        self.is_guess |= view.now_ms - before.heard_ms < super::millis(view.patience);
        before.at_ms
    }

    fn leaves(&mut self, id: String, member: &str, role: Role, at_ms: i64) {
        self.plan.leaves += 1;
        let what = What::MemberLeft { reason: None, inferred: true };
        self.plan.events.push(self.event(id, Some(member), role, at_ms, what));
    }

    /// Somebody is where we know them to be: only their details may be news.
    pub(super) fn stays(&mut self, read: &RosterMember<'static>, believed: Option<Role>) {
        let Some(role) = believed else { return }; // told just now, with all the reading knows
        let adopted = self.first.is_some();
        if !adopted && (role != read.role || read.joined_ms >= self.compared.view.details_since_ms) {
            self.last.found.push(read.clone());
        }
    }

    /// Chains everything.
    pub(super) fn finish(mut self) -> Option<Plan> {
        if self.is_guess {
            return None;
        }
        let view = self.compared.view;
        let head = view.known.marks.first().copied();
        let roster_read = |chain: &Self, nth: u32, read: RosterRead<'static>| {
            // Never the id of another: one that was broken off, and made again in the same millisecond, is another.
            let (from, to) = (head.unwrap_or_default(), chain.compared.read);
            let id = format!("read-{from:016x}-{to:016x}-{nth}-{}-{}", view.counted.len(), view.now_ms);
            chain.event(id, None, Role::Customer, view.now_ms, What::RosterRead(read))
        };
        if let Some(first) = self.first.take() {
            let event = roster_read(&self, 1, first);
            self.plan.events.insert(0, event);
        }
        let must_step = head != Some(self.compared.read) && self.plan.events.is_empty();
        if self.last != RosterRead::default() || must_step {
            let last = std::mem::take(&mut self.last);
            let event = roster_read(&self, 2, last);
            self.plan.events.push(event);
        }
        self.link(head);
        let chain = &self.compared.after;
        self.plan.events.extend(super::told(view.account, view.group, self.compared.pending, chain));
        Some(self.plan)
    }

    /// Gives each event its step.
    fn link(&mut self, head: Option<u64>) {
        let (read, version) = (self.compared.read, &self.compared.reading.version);
        let count = self.plan.events.len();
        let mut from = head;
        let mut nth = u32::MAX; // counted down: callbacks count their members up
        for (index, event) in self.plan.events.iter_mut().enumerate() {
            let mut to = read;
            if index + 1 < count && head != Some(read) {
                to = RosterStep::mark_between(version, nth);
                if head == Some(to) {
                    nth -= 1; // a chain that was broken off here goes on under the next mark
                    to = RosterStep::mark_between(version, nth);
                }
                nth -= 1;
            }
            event.step = Some(RosterStep { from, to });
            from = Some(to);
        }
    }

    fn event(
        &self,
        id: String,
        member: Option<&str>,
        role: Role,
        at_ms: i64,
        what: What<'static>,
    ) -> GroupEvent<'static> {
        let view = self.compared.view;
        GroupEvent {
            id: Cow::Owned(id),
            account: Cow::Owned(view.account.to_owned()),
            group: Cow::Owned(view.group.to_owned()),
            member: member.map(|member| Cow::Owned(member.to_owned())),
            name: None,
            role,
            at_ms: Some(at_ms),
            step: None,
            what,
        }
    }
}

/// The id of what was found by comparing: the same finding has the same id, so that it counts once.
fn inferred_id(what: &str, member: &str, at_ms: i64) -> String {
    format!("inferred-{what}-{:016x}-{at_ms}", RosterStep::mark(member))
}
