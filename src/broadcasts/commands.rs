//! What people tell a broadcast to do: each is one commit with its audit entry, and in force when it returns.

use super::canary::Phase;
use super::{Broadcast, BroadcastError, Broadcasts, Command, State, put, reached, state, telling};
use crate::event::{Actor, BroadcastId};
use crate::outbox::{Halt, LetterFilter};
use crate::storage::{AuditEntry, Change};

impl Broadcasts {
    /// Submits a draft: as [`Self::command`] does, but with `require_all` only if every group can be told.
    ///
    /// # Errors
    /// As [`Self::command`]; [`BroadcastError::Unsayable`] when too many groups cannot be told.
    pub async fn submit(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        require_all: bool,
        reason: &str,
    ) -> Result<Broadcast, BroadcastError> {
        self.obey(actor, id, Command::Submit, require_all, reason).await
    }

    /// Submits, approves, rejects, pauses, resumes or cancels. When this returns of a pause or an end, at most what is under
    /// way is still sent. `reason` stands in the audit log.
    ///
    /// # Errors
    /// When its state does not allow it, somebody would approve their own work, a draft can no longer be sent as it is, or
    /// the actor may not see it.
    pub async fn command(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        command: Command,
        reason: &str,
    ) -> Result<Broadcast, BroadcastError> {
        self.obey(actor, id, command, false, reason).await
    }

    async fn obey(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        command: Command,
        require_all: bool,
        reason: &str,
    ) -> Result<Broadcast, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        let (counts, now_ms) = (self.counts(id).await?, self.parts.clock.now_ms());
        let state = active.broadcast.state(&counts, now_ms);
        state::next(state, command, false)?;
        let mut changed = Broadcast { closed: false, ..active.broadcast.clone() };
        reason.clone_into(&mut changed.reason);
        let mut frozen = None;
        match command {
            Command::Submit => {
                let names = self.check_again(actor, &mut changed, require_all, now_ms).await?;
                // What comes again is looked at anew each time.
                if changed.repeat.is_none() {
                    frozen = Some(reached::freeze(id.as_str(), &names));
                    active.names = Some(names);
                }
            }
            Command::Approve if changed.is_work_of(&actor.operator) => return Err(BroadcastError::OwnWork),
            Command::Approve => changed.approved_by = Some(actor.operator.clone()),
            Command::Reject | Command::Pause | Command::Resume | Command::Cancel => {}
        }
        changed.control = state::next(state, command, changed.needs_approval)?;
        if state == State::Stopped && command == Command::Resume {
            // Somebody looked: what the canary found does not stop it again.
            changed.trial.phase = Phase::Passed;
        }
        changed.released(now_ms, &self.parts.book.default_time_zone());
        changed.noted = Some(changed.state(&counts, now_ms));
        let mut audit =
            AuditEntry::by(actor, now_ms, command.as_str(), "broadcast", id.as_str()).at(&changed.place);
        if !reason.is_empty() {
            audit = audit.with(&serde_json::json!({"reason": reason}));
        }
        let writes = [put(&changed, Some(active.version))].into_iter().chain(frozen).collect();
        let told = telling::standing(&changed, &counts, now_ms);
        let change = Change { at_ms: now_ms, writes, audit: vec![audit], told, ..Change::default() };
        self.commit(&mut active, changed, change).await?;
        active.told = None; // the next look knows
        active.replan();
        match command {
            Command::Pause => self.parts.outbox.halt(id, Halt::Pause).await,
            Command::Cancel | Command::Reject => {
                self.parts.outbox.halt(id, Halt::Cancel).await;
                self.call_off(id).await?;
            }
            Command::Submit | Command::Approve | Command::Resume => {
                if state == State::Draft && active.broadcast.repeat.is_none() {
                    active.open = active.broadcast.expected;
                }
                self.feed_due(&mut active).await;
                self.expand.notify_one();
            }
        }
        let broadcast = active.broadcast.clone();
        drop(active);
        self.active.lock().insert(id.clone(), slot);
        Ok(broadcast)
    }

    /// Gives the failed targets of a broadcast all their attempts again; returns how many. Those that could not be said are
    /// said anew: somebody may have filled in what was missing.
    ///
    /// # Errors
    /// When it was cancelled, or the actor may not see it.
    pub async fn replay_failed(&self, actor: &Actor, id: &BroadcastId) -> Result<u64, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        state::may_replay(active.broadcast.control)?;
        let mut changed = Broadcast { closed: false, ..active.broadcast.clone() };
        changed.mass.bundled = false;
        changed.mass.closing = None;
        let now_ms = self.parts.clock.now_ms();
        let failed = self.counts(id).await?.failed;
        let audit = AuditEntry::by(actor, now_ms, "replay", "broadcast", id.as_str())
            .at(&changed.place)
            .with(&serde_json::json!({"targets": failed, "filter": {"state": "failed"}}));
        let reopened = (failed > 0 && changed.reopens()).then(|| telling::reopened(&changed, now_ms));
        let audit = [Some(audit), reopened].into_iter().flatten().collect();
        self.store(&mut active, changed, audit, Vec::new()).await?;
        let said = self.say_anew(&active.broadcast).await?;
        self.feed_due(&mut active).await;
        if said > 0 {
            self.parts.outbox.look_through(active.broadcast.expansion.accounts.keys()).await;
        }
        let broadcast = Some(id.as_str().to_owned());
        let filter = LetterFilter { broadcast, ..LetterFilter::default() };
        let moved = said + self.parts.outbox.replay(filter).await?;
        active.replan();
        drop(active);
        self.active.lock().insert(id.clone(), slot);
        self.expand.notify_one();
        Ok(moved)
    }
}
