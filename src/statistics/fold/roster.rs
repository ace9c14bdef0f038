//! Who is in a group: members who are seen, who come and go, and whom the platform lists.

use super::latest::{Latest, Order};
use super::{Delta, Join, MemberDelta, MoveDelta, NEVER_MS, Sighting, hour_of, latest, shows_member};
use crate::event::{Effects, EventType, Fact, Head, MemberFact, Role, RosterFact, RosterMember, StateKind};
use crate::statistics::days::{Move, Spoke};
use crate::statistics::fold::delta::{MemberName, MemberRef};

impl Delta {
    /// Folds in what an event says of its own member.
    pub(super) fn sight(&mut self, group: u32, effects: &Effects<'_>) {
        let head = &effects.head;
        let Some(member) = head.member.as_deref().filter(|_| shows_member(head.what)) else { return };
        let changes = matches!(head.what, EventType::MemberJoined | EventType::MemberLeft);
        let fact =
            effects.facts.iter().find_map(|fact| if let Fact::Member(m) = fact { Some(m) } else { None });
        let fact = fact.filter(|_| changes);
        let union_id = fact.and_then(|fact| fact.union_id.as_deref());
        let delta = self.member(group, member, union_id);
        delta.seen(head.at_ms, head.at_ms, head.role);
        latest(&mut delta.name, head.at_ms, head.name.as_deref());
        delta.messages += u64::from(head.what == EventType::Message);
        if !changes {
            return;
        }
        let order = order_of(effects);
        let joined = head.what == EventType::MemberJoined;
        delta.change.set(order, head.at_ms, joined);
        if joined {
            delta.join.set(order, head.at_ms, join_of(fact));
        }
        let kind = if joined { Move::Joined } else { Move::Left };
        self.moves(group, member, head.at_ms, head.role, kind);
    }

    /// Notes how often a member spoke, in the hour that it counts in.
    pub(super) fn speak(&mut self, group: u32, effects: &Effects<'_>) {
        let head = &effects.head;
        let Some(member) = head.member.as_deref().filter(|_| head.role != Role::Bot) else { return };
        if head.what == EventType::Message {
            self.spoke(group, member, hour_of(head.at_ms), head.role, Spoke { said: 1, unsaid: 0 });
        }
        for fact in &effects.facts {
            if let Fact::Unsaid(unsaid) = fact {
                let change = if unsaid.undone { -1 } else { 1 };
                self.spoke(group, member, unsaid.hour, head.role, Spoke { said: 0, unsaid: change });
            }
        }
    }

    fn spoke(&mut self, group: u32, member: &str, hour: u32, role: Role, spoke: Spoke) {
        self.touch(group, hour);
        let index = self.named(group, member).0;
        self.spoke.entry((index, hour, role)).or_default().add(spoke);
    }

    fn moves(&mut self, group: u32, member: &str, at_ms: i64, role: Role, kind: Move) {
        self.touch(group, hour_of(at_ms));
        let index = self.named(group, member).0;
        self.moved.push(MoveDelta { member: index, at_ms, role, kind });
    }

    /// Takes over what the platform lists. Nothing of it counts as a join or a leave.
    pub(super) fn list(&mut self, group: u32, effects: &Effects<'_>, roster: &RosterFact<'_>) {
        let (order, head) = (order_of(effects), &effects.head);
        for found in &roster.found {
            self.found(group, order, head, found);
        }
        for gone in &roster.gone {
            // Not seen: it only says that they are away, since nobody knows when.
            self.member(group, gone, None).change.set(order, head.at_ms, false);
            self.moves(group, gone, head.at_ms, Role::default(), Move::Gone);
        }
    }

    fn found(&mut self, group: u32, order: Order, head: &Head<'_>, found: &RosterMember<'_>) {
        let delta = self.member(group, &found.member, found.union_id.as_deref());
        delta.seen(found.joined_ms.min(head.at_ms), head.at_ms, found.role);
        latest(&mut delta.name, head.at_ms, found.name.as_deref());
        let join = Join {
            inviter: found.inviter.as_deref().map(str::to_owned),
            scene: found.scene.as_deref().map(str::to_owned),
            channel: found.channel.as_deref().map(str::to_owned),
        };
        // Dated by the join: a leave after it is later, also one that was told before this list was read.
        delta.change.set(order, found.joined_ms, true);
        delta.join.set(order, found.joined_ms, join);
        self.moves(group, &found.member, found.joined_ms, found.role, Move::Listed);
    }

    /// Returns the difference of a member who is seen or listed.
    fn member(&mut self, group: u32, member: &str, union_id: Option<&str>) -> &mut MemberDelta {
        let (index, delta) = self.named(group, member);
        let is_first = !std::mem::replace(&mut delta.is_sighted, true);
        if union_id.is_some() || is_first {
            let union_id = union_id.map(str::to_owned);
            if union_id.is_some() {
                delta.union_id.clone_from(&union_id);
            }
            self.sightings.push(Sighting { member: index, union_id });
        }
        &mut self.members[index as usize]
    }

    /// Returns the difference of a member, and its index.
    fn named(&mut self, group: u32, member: &str) -> (u32, &mut MemberDelta) {
        let known = self.member_index.get(&MemberRef(group, member)).copied();
        let index = known.unwrap_or_else(|| {
            let index = u32::try_from(self.members.len()).expect("a stretch is bounded far below this");
            self.member_index.insert(MemberName(group, member.to_owned()), index);
            self.members.push(MemberDelta {
                group,
                member: member.to_owned(),
                seen: (i64::MAX, NEVER_MS),
                name: None,
                role: Role::default(),
                messages: 0,
                change: Latest::default(),
                join: Latest::default(),
                union_id: None,
                is_sighted: false,
            });
            index
        });
        (index, &mut self.members[index as usize])
    }
}

impl MemberDelta {
    fn seen(&mut self, first_ms: i64, last_ms: i64, role: Role) {
        if last_ms >= self.seen.1 {
            self.role = role;
        }
        self.seen = (self.seen.0.min(first_ms), self.seen.1.max(last_ms));
    }
}

/// A change that left a mark of its version follows the roster's own order.
fn order_of(effects: &Effects<'_>) -> Order {
    let is_mark = |fact: &Fact<'_>| matches!(fact, Fact::State(state) if state.kind == StateKind::Roster);
    if effects.facts.iter().any(is_mark) { Order::Version } else { Order::Time }
}

fn join_of(fact: Option<&MemberFact<'_>>) -> Join {
    let Some(fact) = fact else { return Join::default() };
    Join {
        inviter: fact.inviter.as_deref().map(str::to_owned),
        scene: fact.scene.as_deref().map(str::to_owned),
        channel: fact.channel.as_deref().map(str::to_owned),
    }
}
