//! Which groups of a chunk get one broadcast too many, and whose waiting ones make room.

use std::collections::{BTreeMap, HashMap};

use super::caps::{CAPPED, IMPORTANCE_DEFAULT, Other, Ruling};
use super::{Broadcast, BroadcastError, Broadcasts, storage_error};
use crate::event::{AccountId, BroadcastId, GroupName};
use crate::storage::{CalledOff, Change, DeliveryRow, DeliveryState, MASS_TARGET};

/// A month, and the day before it: what is older is in no period of the present.
const LOOK_BACK_MS: i64 = 32 * 86_400_000;

/// Where another broadcast stands: when it is to be sent, and how important it is.
type Standing = BTreeMap<BroadcastId, (i64, u8)>;

impl Broadcasts {
    /// Rules on the groups of a chunk; returns the reasons of those that do not get it. Less important ones that wait are
    /// called off first, and what is asked again after that is what counts: one of them may have left meanwhile.
    pub(super) async fn capped(
        &self,
        broadcast: &Broadcast,
        groups: &[GroupName],
        now_ms: i64,
    ) -> Result<HashMap<GroupName, String>, BroadcastError> {
        if !self.parts.config.caps.any() {
            return Ok(HashMap::new());
        }
        let standing = self.standing();
        let (capped, displaced) = self.rule(broadcast, groups, &standing, now_ms).await?;
        if displaced.is_empty() {
            return Ok(capped);
        }
        let detail =
            format!("让位给更重要的群发 {0} · gave way to the more important broadcast {0}", broadcast.id);
        let off = |id| CalledOff { id, code: CAPPED.to_owned(), detail: detail.clone() };
        let called_off = displaced.into_iter().map(off).collect();
        let change = Change { at_ms: now_ms, called_off, ..Change::default() };
        self.parts.storage.apply(change).await.map_err(storage_error("make room"))?;
        let (mut capped, again) = self.rule(broadcast, groups, &standing, now_ms).await?;
        if !again.is_empty() {
            // They have begun to leave between the two looks; this one then stays.
            let reason = "另一条群发正在发送 · another broadcast is just being sent";
            let late = groups.iter().filter(|name| !capped.contains_key(*name));
            let late: Vec<_> = late.cloned().collect();
            capped.extend(late.into_iter().map(|name| (name, reason.to_owned())));
        }
        Ok(capped)
    }

    async fn rule(
        &self,
        broadcast: &Broadcast,
        groups: &[GroupName],
        standing: &Standing,
        now_ms: i64,
    ) -> Result<(HashMap<GroupName, String>, Vec<String>), BroadcastError> {
        let mut by_account: BTreeMap<&AccountId, Vec<String>> = BTreeMap::new();
        for name in groups {
            by_account.entry(&name.account).or_default().push(name.group.as_str().to_owned());
        }
        let mut others: HashMap<(String, String), Vec<Other>> = HashMap::new();
        for (account, names) in by_account {
            let since_ms = now_ms.saturating_sub(LOOK_BACK_MS);
            let rows = self.parts.storage.targets_of_groups(account.as_str(), names, since_ms).await;
            for row in rows.map_err(storage_error("read what groups got"))? {
                // Taking back what was said is no message more.
                let tells = row.kind == "broadcast" || row.kind == MASS_TARGET;
                if tells && row.broadcast != broadcast.id.as_str() {
                    let other = other(&row, standing, now_ms);
                    others.entry((row.account, row.group)).or_default().push(other);
                }
            }
        }
        let at_ms = broadcast.starts_ms.max(now_ms);
        let (mut capped, mut displaced) = (HashMap::new(), Vec::new());
        for name in groups {
            let key = (name.account.as_str().to_owned(), name.group.as_str().to_owned());
            let Some(others) = others.get(&key) else { continue };
            let zone = self.parts.book.time_zone(name).unwrap_or_else(|| self.parts.book.default_time_zone());
            match self.parts.config.caps.rule(&zone, at_ms, broadcast.importance, others) {
                Ruling::Goes(gone) => displaced.extend(gone),
                Ruling::Capped(reason) => _ = capped.insert(name.clone(), reason),
            }
        }
        Ok((capped, displaced))
    }

    /// Looks at the broadcasts that wait or run; one that is just being changed counts as any other.
    fn standing(&self) -> Standing {
        let slots: Vec<_> = self.active.lock().iter().map(|(id, slot)| (id.clone(), slot.clone())).collect();
        let stands = slots.into_iter().filter_map(|(id, slot)| {
            let active = slot.try_lock().ok()?;
            Some((id, (active.broadcast.starts_ms, active.broadcast.importance)))
        });
        stands.collect()
    }
}

fn other(row: &DeliveryRow, standing: &Standing, now_ms: i64) -> Other {
    let id = BroadcastId::parse(&row.broadcast).ok();
    let (starts_ms, importance) =
        id.and_then(|id| standing.get(&id).copied()).unwrap_or((0, IMPORTANCE_DEFAULT));
    let sent = row.state == DeliveryState::Sent;
    Other {
        delivery: row.id.clone(),
        broadcast: row.broadcast.clone(),
        at_ms: if sent { row.updated_ms } else { starts_ms.max(now_ms) },
        importance,
        waits: row.state == DeliveryState::Pending && row.carrier == 0,
    }
}
