//! What a person has to do because no program did: who is told, and with what.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::owners::Owners;
use super::{Config, Found, Notify, Said, Surroundings};
use crate::conduct::by_hand::{ByHand, Todo};
use crate::conduct::ladder::Came;
use crate::event::{ActionKind, Effects, EventKey, Fact, Status};
use crate::storage::{StatusChange, Subject, Write};
use crate::telemetry::metrics::Alert;

/// The state that a member is told to be in.
pub(super) const STATE: &str = "by_hand";
/// Told one by one, of what one decision leaves to people; the case or the list has them all.
const TOLD_MAX: usize = 1_000;

/// Rings when somebody else has written notices to owners.
#[derive(Debug, Default)]
pub struct Bell(AtomicBool);

impl Bell {
    /// Says that there are new ones.
    pub fn ring(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// What asks people to do something, to be written in the commit of whatever leaves it to them.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// Notices to owners; the bell is rung once they are written.
    pub writes: Vec<Write>,
    /// For endpoints.
    pub told: Vec<StatusChange>,
}

/// Asks people to do what a decision leaves to them.
pub fn ask(
    todos: &[Todo],
    around: &dyn Surroundings,
    config: &Config,
    (secret, at_ms): (&[u8; 16], i64),
) -> Asking {
    let mut owners = Owners::default();
    if config.notify_by_hand == Notify::Owner {
        for todo in todos {
            if let Some(owner) = around.group(&todo.account, &todo.group).owner {
                owners.ask(&owner, todo, at_ms);
            }
        }
    }
    let told = todos.iter().take(TOLD_MAX).map(|todo| {
        let name = [todo.asked.as_str(), todo.member(), todo.action.as_str(), todo.message()].join("\u{1f}");
        let key = EventKey::of(secret, &todo.account, &todo.group, &name);
        let (id, place) = (id(key), (&*todo.account, &*todo.group));
        StatusChange::happened(Subject::Member, STATE, id, at_ms, place, &context(todo, around))
    });
    Asking { told: told.collect(), writes: owners.writes() }
}

impl Todo {
    fn member(&self) -> &str {
        self.member.as_deref().unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.of.as_deref().unwrap_or_default()
    }

    /// Says what to do with somebody, in words.
    pub(super) fn words(&self, whom: &str) -> String {
        let what = match self.action {
            ActionKind::Warn => format!("请提醒 {whom}"),
            ActionKind::Mute => format!("请将 {whom} 禁言"),
            ActionKind::Remove => format!("请将 {whom} 移出"),
            ActionKind::Recall => format!("请删除 {whom} 的违规消息"),
            ActionKind::Unmute | ActionKind::Pardon => format!("请解除 {whom} 的处置"),
        };
        match self.came {
            Came::OverBudget => format!("{what}（本小时自动移出名额已用完，请先核实）"),
            Came::Queued | Came::Unsupported => what,
        }
    }
}

/// Reads what is left to a person out of what an event caused.
pub(super) fn of(effects: &Effects<'_>, around: &dyn Surroundings) -> Option<Found> {
    let (head, facts) = (&effects.head, &effects.facts);
    let by_hand = facts
        .iter()
        .find_map(|fact| if let Fact::Review(review) = fact { ByHand::parse(&review.rule) } else { None })?;
    let member = head.member.as_deref().filter(|_| head.status == Status::Counted)?;
    let said =
        facts.iter().find_map(|fact| if let Fact::Traits(traits) = fact { Some(&traits.of) } else { None });
    let todo = Todo {
        account: head.account.to_string(),
        group: head.group.to_string(),
        member: Some(member.to_owned()),
        action: by_hand.action,
        came: by_hand.came,
        of: said.map(ToString::to_string),
        asked: by_hand.asked.to_owned(),
    };
    let said = said.map(|of| Said { event: of.to_string(), evidence: head.key.evidence() });
    Some(Found {
        kind: Alert::ByHand,
        subject: Subject::Member,
        state: STATE,
        id: id(head.key),
        at_ms: head.at_ms,
        account: todo.account.clone(),
        group: todo.group.clone(),
        context: context(&todo, around),
        said: said.into_iter().collect(),
        document: None,
        todo: Some(todo),
    })
}

fn id(key: EventKey) -> String {
    format!("bh_{:032x}", key.0)
}

fn context(todo: &Todo, around: &dyn Surroundings) -> serde_json::Value {
    let around = around.group(&todo.account, &todo.group);
    json!({
        "member": todo.member,
        "event": todo.of,
        "action": todo.action,
        "because": todo.came,
        "asked_by": todo.asked,
        "owner": around.owner,
        "shop": around.place.shop,
        "region": around.place.region,
    })
}
