//! Writes mass sends: each with the marks on the targets it carries and the place it got to, in one commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::plan::{Known, Loose, Step, plan};
use crate::broadcasts::trial::is_first;
use crate::broadcasts::{Active, Broadcast, BroadcastError, Broadcasts, Slot, put, storage_error};
use crate::event::{AccountId, BroadcastId};
use crate::outbox::delivery::{Delivery, Payload, Priority};
use crate::outbox::row_of;
use crate::storage::{
    Carried, Change, DeliveryFilter, DeliveryRow, DeliveryState, Kinds, MASS_SEND, MASS_SENDS_FROM,
    MASS_TARGET,
};

impl Broadcasts {
    /// Writes some mass sends of every broadcast that needs them; says whether there is more to do.
    pub(in crate::broadcasts) async fn bundle_some(&self) -> bool {
        let slots: Vec<_> =
            self.active.lock().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        let mut more = false;
        for (id, slot) in slots {
            match self.bundle_one(&slot).await {
                Ok(has_more) => more |= has_more,
                // The watch comes by again; nothing of the commit was written.
                Err(error) => tracing::error!(broadcast.id = %id, %error, "bundle mass sends"),
            }
        }
        more
    }

    async fn bundle_one(&self, slot: &Slot) -> Result<bool, BroadcastError> {
        let (broadcast, commands) = {
            let active = slot.lock().await;
            if !is_wanted(&active.broadcast, self.parts.clock.now_ms()) {
                return Ok(false);
            }
            (active.plan.is_none().then(|| active.broadcast.clone()), active.commands)
        };
        // Made without the lock: a pause does not wait for it, and makes it void.
        let fresh = match broadcast {
            Some(broadcast) => Some(self.plan_of(&broadcast).await?),
            None => None,
        };
        let mut active = slot.lock().await;
        if !is_wanted(&active.broadcast, self.parts.clock.now_ms()) || active.commands != commands {
            return Ok(false);
        }
        let mut steps = fresh.or_else(|| active.plan.take()).unwrap_or_default();
        let now = self.take(&mut steps);
        // Until it is written the plan is not kept: what was written is read again after a failure.
        self.write(&mut active, now, steps.is_empty()).await?;
        let done = steps.is_empty();
        active.plan = (!done).then_some(steps);
        self.feed(&mut active).await;
        Ok(!done)
    }

    /// Takes as many steps as fit in one commit.
    fn take(&self, steps: &mut VecDeque<Step>) -> Vec<Step> {
        let (mut now, mut targets) = (Vec::new(), 0);
        while let Some(step) = steps.front() {
            targets += step.targets();
            if targets > self.parts.config.chunk_targets && !now.is_empty() {
                break;
            }
            now.extend(steps.pop_front());
        }
        now
    }

    async fn plan_of(&self, broadcast: &Broadcast) -> Result<VecDeque<Step>, BroadcastError> {
        let (mut loose, mut caps) = (Vec::new(), BTreeMap::new());
        let mut after = None;
        loop {
            let filter = DeliveryFilter {
                broadcast: Some(broadcast.id.to_string()),
                states: vec![DeliveryState::Pending],
                kinds: Kinds::Only(MASS_TARGET),
                carrier: Some(0),
                after,
                limit: self.parts.config.chunk_targets.max(1),
                ..DeliveryFilter::default()
            };
            let limit = filter.limit;
            let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read targets"))?;
            let full = rows.len() == limit;
            after = rows.last().map(|row| (row.broadcast.clone(), row.target, row.id.clone()));
            for row in rows {
                let Some(target) = self.loose(broadcast, &row) else { continue };
                let terms = self.parts.confirming.terms(&target.account, &target.group);
                caps.entry(target.account.clone()).or_insert_with(|| terms.and_then(|t| t.receiving_cap));
                loose.push(target);
            }
            if !full {
                break;
            }
        }
        let mut known: BTreeMap<AccountId, Known> = BTreeMap::new();
        for (account, cap) in caps {
            let facts = self.known(&account, cap).await.map_err(storage_error("read owners"))?;
            known.insert(account, facts);
        }
        Ok(plan(loose, &known))
    }

    /// Reads a target. One whose platform is away for the moment is carried alone rather than in too large a bundle.
    fn loose(&self, broadcast: &Broadcast, row: &DeliveryRow) -> Option<Loose> {
        let account = AccountId::parse(&row.account).ok()?;
        let (text, attachments) = match serde_json::from_str(&row.body) {
            Ok(Payload::Text { text, attachments, .. }) => (text, attachments),
            Ok(_) | Err(_) => (broadcast.text.clone(), Vec::new()), // empty: the broadcast's own
        };
        let terms = self.parts.confirming.terms(&account, &row.group);
        let targets_max = terms.map_or(1, |terms| terms.targets_max);
        let book = &*self.parts.book;
        let is_first = broadcast
            .canary
            .as_ref()
            .is_some_and(|canary| is_first(canary, book, &row.account, &row.group, row.target));
        let (target, group) = (row.target, row.group.clone());
        Some(Loose { target, account, group, text, attachments, targets_max, is_first })
    }

    async fn write(&self, active: &mut Active, steps: Vec<Step>, done: bool) -> Result<(), BroadcastError> {
        let now_ms = self.parts.clock.now_ms();
        let mut changed = active.broadcast.clone();
        let id = changed.id.clone();
        let (mut deliveries, mut carried) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send { account, owner, text, attachments, targets } => {
                    let number = MASS_SENDS_FROM.saturating_add(changed.mass.sends);
                    changed.mass.sends += 1;
                    let mark = |(target, _): &(u32, String)| mark(&id, *target, number, now_ms);
                    carried.extend(targets.iter().map(mark));
                    let payload = Payload::MassSend { sender: owner.clone(), targets, text, attachments };
                    let delivery = mass_send(&changed, account, owner, payload, number);
                    deliveries.push(row_of(&delivery, None, DeliveryState::Pending, now_ms));
                }
                Step::Refuse { target, code, detail } => {
                    crate::telemetry::metrics::dead_letters(1);
                    carried.push(Carried {
                        state: DeliveryState::Failed,
                        code: code.to_owned(),
                        detail: detail.to_owned(),
                        ..mark(&id, target, 0, now_ms)
                    });
                }
            }
        }
        changed.mass.bundled = done;
        let change = Change {
            at_ms: now_ms,
            writes: vec![put(&changed, Some(active.version))],
            deliveries,
            carried,
            ..Change::default()
        };
        self.commit(active, changed, change).await
    }
}

fn is_wanted(broadcast: &Broadcast, now_ms: i64) -> bool {
    broadcast.is_due(now_ms)
        && broadcast.expansion.done
        && broadcast.mass.targets > 0
        && !broadcast.mass.bundled
}

fn mark(broadcast: &BroadcastId, target: u32, carrier: u32, at_ms: i64) -> Carried {
    Carried {
        id: broadcast.delivery(target).as_str().to_owned(),
        from: 0,
        carrier,
        state: DeliveryState::Pending,
        at_ms,
        code: String::new(),
        detail: String::new(),
        platform_id: String::new(),
    }
}

fn mass_send(
    broadcast: &Broadcast,
    account: AccountId,
    owner: String,
    payload: Payload,
    number: u32,
) -> Delivery {
    Delivery {
        id: broadcast.id.delivery(number),
        account,
        // It goes to no group; each owner has a queue, and limits of their own as the class `mass`.
        group: format!("mass:{owner}"),
        member: Some(owner),
        kind: MASS_SEND.to_owned(),
        rule: String::new(),
        priority: Priority::Bulk,
        payload,
        broadcast: Some((broadcast.id.clone(), number)),
        expires_ms: broadcast.expires_ms,
        cost: 1,
    }
}
