//! When a platform shows us what is said, and when not: remembered, so that a day of last month knows what it rests on.

use std::sync::Arc;

use super::around::{Around, DutyError};
use crate::connectors::offers::{ConnectorState, StateError};
use crate::statistics::coverage::Sight;

const SIGHT: &str = "driver/sight";

/// Notes what the account's platform shows from now on; tried again until it is kept.
pub(super) async fn note(around: &Around, is_shown: bool) {
    let mut tries = 0;
    while let Err(error) = turn(around, is_shown).await {
        let wait = around.failed("sight", tries, &error);
        tries += 1;
        tokio::time::sleep(wait).await;
    }
}

/// Notes that the account is not connected any more.
pub(super) fn end(around: Arc<Around>) {
    let tasks = around.parts.tasks.clone();
    tasks.spawn("platform", async move {
        let stopping = around.parts.tasks.clone();
        tokio::select! {
            () = note(&around, false) => {}
            () = stopping.stopping() => {}
        }
    });
}

async fn turn(around: &Around, is_shown: bool) -> Result<(), DutyError> {
    let mut sight = read(&*around.state).await?;
    if sight.turn(around.now_ms(), is_shown) {
        let text = serde_json::to_string(&sight).map_err(|error| StateError(error.to_string()))?;
        around.state.put(vec![(SIGHT.to_owned(), Some(text))]).await?;
    }
    Ok(())
}

/// Returns what is remembered; nothing of an account that was never connected.
pub(super) async fn read(state: &dyn ConnectorState) -> Result<Sight, StateError> {
    match state.get(SIGHT).await? {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| StateError(format!("what is kept of its sight is damaged: {error}"))),
        None => Ok(Sight::default()),
    }
}
