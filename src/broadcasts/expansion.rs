//! From an audience to targets, chunk by chunk. A chunk's targets and the place it got to are one commit.

use std::sync::Arc;

use super::caps::CAPPED;
use super::reached;
use super::saying::{Judging, Sayer, delivery_of};
use super::script::Script;
use super::variants::{Arm, HOLD_OUT};
use super::{
    Active, Broadcast, BroadcastError, Broadcasts, Expansion, GroupEntry, Terms, put, storage_error,
};
use crate::event::{AccountId, GroupId, GroupName};
use crate::outbox::delivery::{Delivery, Payload};
use crate::outbox::row_of;
use crate::storage::{Change, DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind, MASS_TARGET};

impl Broadcasts {
    /// Writes one more chunk of every broadcast that needs it; says whether there is more to do.
    pub(super) async fn expand_some(&self) -> bool {
        let slots: Vec<_> =
            self.active.lock().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        let mut more = false;
        for (id, slot) in slots {
            let mut active = slot.lock().await;
            if !active.broadcast.is_to_expand() {
                continue;
            }
            match self.expand_one(&mut active).await {
                Ok(more_of_it) => more |= more_of_it,
                // The watch comes by again; nothing of the chunk was written.
                Err(error) => tracing::error!(broadcast.id = %id, %error, "expand broadcast"),
            }
        }
        more
    }

    /// Writes the next chunk; says whether there is another one to be written now.
    async fn expand_one(&self, active: &mut Active) -> Result<bool, BroadcastError> {
        if active.broadcast.undoes.is_some() {
            return self.expand_undoing(active).await;
        }
        let names = self.names_of(active).await?;
        let broadcast = &active.broadcast;
        let scripts = scripts(broadcast)?;
        let mut changed = broadcast.clone();
        let after = broadcast.expansion.cursor.as_ref();
        let (names, is_last) = reached::next(&names, after, self.parts.config.chunk_targets.max(1));
        let now_ms = self.parts.clock.now_ms();
        let capped = self.capped(broadcast, names, now_ms).await?;
        let mut rows = Vec::with_capacity(names.len());
        for name in names {
            // Gone since it was submitted, a moment ago.
            let Some(group) = self.parts.book.group(name) else { continue };
            let target = changed.expansion.targets;
            let terms = self.parts.confirming.terms(&name.account, name.group.as_str());
            let row = self.target(broadcast, &scripts, &*group, terms, target, now_ms);
            rows.push(match capped.get(name) {
                Some(reason) if row.state == DeliveryState::Pending => {
                    let (code, detail) = (CAPPED.to_owned(), reason.clone());
                    DeliveryRow { state: DeliveryState::Cancelled, code, detail, ..row }
                }
                Some(_) | None => row,
            });
            changed.expansion.targets += 1;
            changed.mass.targets += u32::from(terms.is_some());
            if let Some(zone) = self.parts.book.time_zone(name)
                && let Some(zone) = zone.iana_name()
                && !changed.expansion.zones.contains(zone)
            {
                changed.expansion.zones.insert(zone.to_owned());
            }
            let Expansion { accounts, confirmed_accounts, .. } = &mut changed.expansion;
            let counted = if terms.is_some() { confirmed_accounts } else { accounts };
            *counted.entry(name.account.clone()).or_default() += 1;
        }
        changed.expansion.done = is_last;
        changed.expansion.cursor = names.last().or(after).cloned();
        let mut writes = Vec::new();
        if is_last {
            changed.expected = u64::from(changed.expansion.targets);
            writes.push(reached::forget(broadcast.id.as_str()));
        }
        let self_sending = rows.iter().any(|row| row.kind != MASS_TARGET);
        writes.insert(0, put(&changed, Some(active.version)));
        let change = Change { at_ms: now_ms, writes, deliveries: rows, ..Change::default() };
        self.commit(active, changed, change).await?;
        if is_last {
            active.names = None;
        }
        // Targets that a mass send carries are not fed: it is, once there is one.
        if self_sending {
            self.feed_due(active).await;
        }
        Ok(!is_last)
    }

    /// Returns the groups a broadcast goes to, as its submission found them.
    async fn names_of(&self, active: &mut Active) -> Result<Arc<[GroupName]>, BroadcastError> {
        if let Some(names) = &active.names {
            return Ok(Arc::clone(names));
        }
        let Broadcast { id, audience, exclude, account, scopes, .. } = &active.broadcast;
        let kept = self.parts.storage.document(DocumentKind::BroadcastGroups, id.as_str()).await;
        let names = match kept.map_err(storage_error("read groups"))? {
            Some(kept) => reached::thaw(id.as_str(), &kept.body).map_err(storage_error("read groups"))?,
            // Submitted under an older menshen, which kept no list.
            None => self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?.names,
        };
        let names: Arc<[GroupName]> = names.into();
        active.names = Some(Arc::clone(&names));
        Ok(names)
    }

    /// Makes the texts that could not be made once more; returns how many targets can be sent now.
    pub(super) async fn say_anew(&self, broadcast: &Broadcast) -> Result<u64, BroadcastError> {
        let scripts = scripts(broadcast)?;
        let limit = self.parts.config.chunk_targets.max(1);
        let (mut after, mut said) = (None, 0);
        loop {
            let filter = DeliveryFilter {
                broadcast: Some(broadcast.id.as_str().to_owned()),
                states: vec![DeliveryState::Failed],
                unsaid: Some(true),
                after,
                limit,
                ..DeliveryFilter::default()
            };
            let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read targets"))?;
            let at_ms = self.parts.clock.now_ms();
            let mut anew = Vec::with_capacity(rows.len());
            for row in &rows {
                anew.extend(match (&broadcast.undoes, scripts.first()) {
                    (Some(undoing), Some(script)) => {
                        self.undoing_anew(broadcast, undoing, script, row, at_ms).await?
                    }
                    (Some(_) | None, _) => self.target_anew(broadcast, &scripts, row, at_ms),
                });
            }
            said += anew.iter().filter(|row| row.state == DeliveryState::Pending).count() as u64;
            let change = Change { at_ms, said: anew, ..Change::default() };
            self.parts.storage.apply(change).await.map_err(storage_error("say targets anew"))?;
            match rows.last() {
                Some(last) if rows.len() == limit => {
                    after = Some((last.broadcast.clone(), last.target, last.id.clone()));
                }
                Some(_) | None => return Ok(said),
            }
        }
    }

    /// Makes a target anew; `None` when its group is gone, or now goes out in another way.
    fn target_anew(
        &self,
        broadcast: &Broadcast,
        scripts: &[Script],
        row: &DeliveryRow,
        now_ms: i64,
    ) -> Option<DeliveryRow> {
        let name = GroupName {
            account: AccountId::parse(&row.account).ok()?,
            group: GroupId::parse(&row.group).ok()?,
        };
        let group = self.parts.book.group(&name)?;
        let terms = self.parts.confirming.terms(&name.account, name.group.as_str());
        let anew = self.target(broadcast, scripts, &*group, terms, row.target, now_ms);
        (anew.kind == row.kind).then_some(anew)
    }

    /// Makes one target. One that cannot be said is written as failed, so that somebody sees it; one that is to get nothing
    /// as called off, so that it is compared with.
    fn target(
        &self,
        broadcast: &Broadcast,
        scripts: &[Script],
        group: &dyn GroupEntry,
        terms: Option<Terms>,
        target: u32,
        now_ms: i64,
    ) -> DeliveryRow {
        let script = match broadcast.arm_of(group.name()) {
            Arm::First => scripts.first(),
            Arm::Copy(at) => scripts.get(at + 1),
            Arm::HoldOut => None,
        };
        let as_written = || Payload::text(broadcast.text.clone());
        let Some(script) = script else {
            let name = group.name();
            let delivery = delivery_of(&broadcast.id, name, target, as_written(), broadcast.expires_ms);
            let row = row_of(&delivery, Some(&broadcast.text), DeliveryState::Cancelled, now_ms);
            let detail = "对照组，不发送 · gets nothing, to compare with";
            return DeliveryRow { code: HOLD_OUT.to_owned(), detail: detail.to_owned(), ..row };
        };
        let said = Sayer::of(&self.parts).say(script, group, terms, Judging::Values);
        let (payload, problem) = match said {
            Ok(said) => (said.payload, None),
            Err(unsaid) => (as_written(), Some((unsaid.code.to_owned(), unsaid.detail))),
        };
        let state = if problem.is_some() { DeliveryState::Failed } else { DeliveryState::Pending };
        let delivery = delivery_of(&broadcast.id, group.name(), target, payload, broadcast.expires_ms);
        let kind = if terms.is_some() { MASS_TARGET } else { "broadcast" };
        let delivery = Delivery { kind: kind.to_owned(), ..delivery };
        let row = row_of(&delivery, Some(&broadcast.text), state, now_ms);
        let (code, detail) = problem.unwrap_or_default();
        DeliveryRow { code, detail, ..row }
    }
}

/// Reads everything that a broadcast says, its own text and content first, then its copies.
fn scripts(broadcast: &Broadcast) -> Result<Vec<Script>, BroadcastError> {
    let own = Script::parse(&broadcast.text, broadcast.content.as_ref())?;
    let copies = broadcast.variants.iter().map(|copy| Script::parse(&copy.text, None));
    let mut scripts = vec![own];
    for copy in copies {
        scripts.push(copy?);
    }
    Ok(scripts)
}
