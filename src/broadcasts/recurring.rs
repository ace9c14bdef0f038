//! Makes the broadcast of the day out of one that comes again. The new one and the next time of the old one are one commit,
//! so a crash makes none twice and skips none.

use std::collections::BTreeSet;

use super::canary::Trial;
use super::mass::Mass;
use super::reached::freeze;
use super::script::Script;
use super::telling::standing;
use super::{Active, Broadcast, BroadcastError, Broadcasts, Control, Counts, Expansion, put, storage_error};
use crate::event::GroupName;
use crate::storage::{AuditEntry, Change};

impl Broadcasts {
    /// Makes what is due. What cannot be sent as it is (nobody is left in its audience, a list blocks it now) is skipped this
    /// time, with the reason.
    pub(super) async fn come_again(&self, active: &mut Active) {
        let id = active.broadcast.id.clone();
        if let Err(error) = self.make_next(active).await {
            tracing::error!(broadcast.id = %id, %error, "make the next time of a broadcast"); // the next look tries again
        }
    }

    async fn make_next(&self, active: &mut Active) -> Result<(), BroadcastError> {
        let now_ms = self.parts.clock.now_ms();
        let series = &active.broadcast;
        let made = self.one_of(series, now_ms).await;
        let mut changed = series.clone();
        changed.comes_after(now_ms, &self.parts.book.default_time_zone());
        let (verb, detail) = match &made {
            Ok((made, _)) => {
                changed.reason.clear();
                ("come_again", serde_json::json!({"broadcast": made.id, "expected": made.expected}))
            }
            Err(BroadcastError::Storage { .. } | BroadcastError::TooMany(_)) => return made.map(|_| ()),
            Err(error) => {
                changed.reason = error.to_string();
                ("skip", serde_json::json!({"why": changed.reason}))
            }
        };
        let audit = AuditEntry::by_house(now_ms, verb, "broadcast", changed.id.as_str());
        let mut writes = vec![put(&changed, Some(active.version))];
        if let Ok((made, names)) = &made {
            writes.extend([put(made, Some(0)), freeze(made.id.as_str(), names)]);
        }
        let audit = vec![audit.at(&changed.place).with(&detail)];
        let told =
            made.as_ref().map(|(made, _)| standing(made, &Counts::default(), now_ms)).unwrap_or_default();
        let change = Change { at_ms: now_ms, writes, audit, told, ..Change::default() };
        let versions = self.parts.storage.apply(change).await.map_err(storage_error("come again"))?;
        active.version = versions.first().copied().unwrap_or(active.version + 1);
        active.broadcast = changed;
        if let Ok((made, names)) = made {
            self.insert(made, versions.get(1).copied().unwrap_or(1), Some(names.into()));
            self.expand.notify_one();
        }
        Ok(())
    }

    /// Makes one time of a broadcast that comes again: its audience is counted and its texts are judged as of now.
    async fn one_of(
        &self,
        series: &Broadcast,
        now_ms: i64,
    ) -> Result<(Broadcast, Vec<GroupName>), BroadcastError> {
        let busy = self.busy();
        if busy >= self.parts.config.active_max {
            return Err(BroadcastError::TooMany(busy));
        }
        let Broadcast { text, content, variants, audience, exclude, account, scopes, .. } = series;
        let script = Script::parse(text, content.as_ref())?;
        let found = self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?;
        let survey = self.survey_of(&script, text, variants, &found).await?;
        let made = Broadcast {
            id: self.new_id(now_ms),
            series: Some(series.id.clone()),
            repeat: None,
            next_ms: 0,
            created_ms: now_ms,
            starts_ms: series.next_ms,
            released_ms: now_ms,
            edited_by: BTreeSet::new(),
            reason: String::new(),
            expected: survey.groups,
            control: Control::Running,
            expansion: Expansion::default(),
            mass: Mass { survey, ..Mass::default() },
            trial: Trial::default(),
            checked: None,
            noted: None,
            closed: false,
            ..series.clone()
        };
        Ok((made, found.names))
    }
}
