//! The verdict hook's work in the background: asking, and finding messages that nobody judged.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::hook::{self, Asker};
use crate::ingest::Ingest;
use crate::tasks::Tasks;

/// How often it is looked for questions that were lost.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Starts both. Questions of the last run are settled even when there is no hook any more.
pub(super) fn start(
    asker: Option<Asker>,
    ingest: &Arc<Ingest>,
    clock: &Clock,
    config: &hook::Config,
    tasks: &Tasks,
) {
    // Nothing of before the start is still under way.
    let started_ms = clock.now_ms();
    if let Some(asker) = asker {
        tasks.spawn("hook", asker.run(ingest.clone(), tasks.clone()));
    }
    let (ingest, clock, lost_after_ms, tasks_of) =
        (ingest.clone(), clock.clone(), config.lost_after_ms(), tasks.clone());
    tasks.spawn("hook_lost", async move {
        loop {
            let before_ms = started_ms.max(clock.now_ms().saturating_sub(lost_after_ms));
            match ingest.settle_unanswered(before_ms).await {
                Ok(0) => {}
                Ok(messages) => {
                    tracing::warn!(messages, "the verdict hook never answered about them: they go to review");
                }
                Err(error) => {
                    tracing::warn!(%error, "send unanswered messages to review; tried again in a minute");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = tasks_of.stopping() => return,
            }
        }
    });
}
