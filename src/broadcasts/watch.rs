//! The background task: goes on with broadcasts after a start, writes targets, notices when one is done.

use std::sync::Arc;
use std::time::Duration;

use super::state::{Control, State};
use super::{Broadcast, BroadcastError, Broadcasts, Slot, record, storage_error};
use crate::event::BroadcastId;
use crate::outbox::Halt;
use crate::storage::DocumentKind;
use crate::telemetry::metrics;

impl Broadcasts {
    /// Reads the broadcasts that are not closed and feeds those that run.
    pub(super) async fn load(&self) -> Result<(), BroadcastError> {
        const PAGE: usize = 200;
        let mut after = None;
        loop {
            let page = self.parts.storage.documents(DocumentKind::Broadcast, after.clone(), PAGE).await;
            let page = page.map_err(storage_error("load"))?;
            let full = page.len() == PAGE;
            for document in page {
                let broadcast = record::read(&document.id, &document.body).map_err(storage_error("load"))?;
                if !broadcast.closed {
                    self.insert(broadcast, document.version, None);
                }
                after = Some(document.id);
            }
            if !full {
                self.start_due().await;
                return Ok(());
            }
        }
    }

    /// Expands and watches until the gateway stops.
    pub(super) async fn run(&self) {
        let tasks = self.parts.tasks.clone();
        let mut watch = tokio::time::interval(self.parts.config.watch);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Each step is a commit of its own; stopping between two loses nothing.
            let starting = self.start_due().await;
            let more = self.expand_some().await | self.bundle_some().await;
            tokio::select! {
                biased;
                () = tasks.stopping() => return,
                _ = watch.tick() => self.look_around().await,
                () = tokio::time::sleep(starting) => {}
                () = self.expand.notified() => {}
                () = std::future::ready(()), if more => {}
            }
        }
    }

    /// Lets the targets of those leave whose time has come; returns in how long the next one's does, at most one watch.
    async fn start_due(&self) -> Duration {
        let now_ms = self.parts.clock.now_ms();
        let mut next = self.parts.config.watch;
        let slots: Vec<_> = self.active.lock().values().map(Arc::clone).collect();
        for slot in slots {
            let mut active = slot.lock().await;
            let Broadcast { control, starts_ms, next_ms, .. } = active.broadcast;
            if control == Control::Running && active.broadcast.repeat.is_some() {
                if next_ms != 0 && next_ms <= now_ms {
                    self.come_again(&mut active).await;
                }
                let wait = Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or(0));
                if !wait.is_zero() {
                    next = next.min(wait);
                }
                continue;
            }
            if active.broadcast.is_due(now_ms) && !active.fed {
                self.feed_due(&mut active).await;
            } else if control == Control::Running && !active.fed {
                next = next.min(Duration::from_millis(u64::try_from(starts_ms - now_ms).unwrap_or(0)));
            }
        }
        next
    }

    async fn look_around(&self) {
        let slots: Vec<_> =
            self.active.lock().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        metrics::broadcasts_active(slots.len());
        for (id, slot) in slots {
            if let Err(error) = self.look_at(&id, &slot).await {
                tracing::warn!(broadcast.id = %id, %error, "look at broadcast"); // the next round looks again
            }
        }
    }

    /// Calls off what a cancelled broadcast still has pending (a crash came between, or a retry came back), and closes
    /// what has nothing left that could change by itself.
    async fn look_at(&self, id: &BroadcastId, slot: &Slot) -> Result<(), BroadcastError> {
        let mut active = slot.lock().await;
        if active.broadcast.control == Control::Draft {
            return Ok(());
        }
        if active.broadcast.control == Control::Cancelled {
            self.call_off(id).await?;
        }
        if active.broadcast.noted == Some(State::Scheduled) {
            // That it began is told before what it does first.
            let counts = self.counts(id).await?;
            self.tell(&mut active, &counts).await?;
        }
        self.try_first(id, &mut active).await?;
        let counts = self.counts(id).await?;
        // Before it is closed: a crash in between tells it twice, never not at all.
        self.tell(&mut active, &counts).await?;
        let written = u64::from(active.broadcast.expansion.targets);
        active.open = counts.unfinished() + active.broadcast.expected.saturating_sub(written);
        if active.broadcast.repeat.is_some() {
            active.open = 0;
        }
        let Broadcast { control, expansion, mass, repeat, next_ms, .. } = &active.broadcast;
        let comes_no_more = *control == Control::Running && repeat.is_some() && *next_ms == 0;
        let over = comes_no_more || *control != Control::Submitted && expansion.done && mass.is_bundled();
        let complete = *control == Control::Cancelled || over;
        if !complete || counts.unfinished() > 0 || counts.uncertain > 0 {
            return Ok(());
        }
        let Some(closing) = self.closing(&active.broadcast) else { return Ok(()) };
        let mut closed = Broadcast { closed: true, ..active.broadcast.clone() };
        closed.mass.closing = Some(closing);
        self.store(&mut active, closed, Vec::new(), Vec::new()).await?;
        self.parts.outbox.halt(id, Halt::Finish).await;
        self.active.lock().remove(id);
        self.forget(id);
        tracing::info!(broadcast.id = %id, sent = counts.sent, failed = counts.failed, "broadcast is done");
        Ok(())
    }
}
