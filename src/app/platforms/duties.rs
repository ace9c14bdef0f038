//! The table of duties, and the two shortest.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::watch;

use super::around::{Around, DutyError};
use super::protection::Cause;
use super::{numbers, sight, silence, syncing};

/// What goes on at an account for as long as it is connected.
type Duty = fn(Arc<Around>) -> BoxFuture<'static, ()>;

/// Every duty. One that an account's platform does not offer ends at once.
const DUTIES: &[Duty] = &[
    |around| Box::pin(silence::beat(around)),
    |around| Box::pin(syncing::run(around)),
    |around| Box::pin(close_gaps(around)),
    |around| Box::pin(probe(around)),
    |around| Box::pin(numbers::import(around)),
];

/// Looks after one account until the gateway stops or `stopped` closes.
pub(super) async fn run(around: Arc<Around>, mut stopped: watch::Receiver<()>) {
    let tasks = around.parts.tasks.clone();
    let work = async {
        sight::note(&around, around.connector.capabilities().gives_message_text).await;
        silence::begin(&around).await; // before we say that we are up
        join_all(DUTIES.iter().map(|duty| duty(Arc::clone(&around)))).await;
    };
    tokio::select! {
        () = work => {}
        () = tasks.stopping() => silence::last_beat(&around).await,
        _ = stopped.changed() => {} // an error: the other end was dropped
    }
}

/// Reads again what callbacks left open.
async fn close_gaps(around: Arc<Around>) {
    let Some(rosters) = around.connector.rosters() else { return };
    let mut tries = 0;
    loop {
        rosters.gap_noticed().await;
        match rosters.close_gaps(&*around.parts.sink).await {
            Ok(_) => tries = 0,
            Err(error) => {
                let wait = around.failed("gaps", tries, &DutyError::Platform(error));
                tries += 1;
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Finds out whether callbacks still reach us.
async fn probe(around: Arc<Around>) {
    let Some(rosters) = around.connector.rosters() else { return };
    let mut tries = 0;
    loop {
        tokio::time::sleep(around.parts.config.probe_every).await;
        match rosters.untold_since(&*around.parts.sink).await {
            Ok(found) => {
                tries = 0;
                if let Err(error) = probed(&around, found).await {
                    around.failed("probe", tries, &error);
                }
            }
            Err(error) => {
                let wait = around.failed("probe", tries, &DutyError::Platform(error));
                tries += 1;
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// What a look at a few groups means.
async fn probed(around: &Around, untold_ms: Option<i64>) -> Result<(), DutyError> {
    if let Some(since_ms) = untold_ms {
        let is_new = around.protection.since_of(Cause::Untold).is_none();
        around.lapse(
            Cause::Untold,
            since_ms,
            "群成员有变化但没有收到回调，请检查回调地址与企业可信 IP",
            "rosters change and no callback tells of it; check the callback's address",
        );
        around.desk.ask(); // what else was not told
        if is_new {
            silence::record(around, "untold", since_ms, None).await?;
        }
    } else if !around.desk.is_busy()
        && let Some(since_ms) = around.lapse_ends(Cause::Untold)
    {
        silence::record(around, "untold", since_ms, Some(around.now_ms())).await?;
    }
    Ok(())
}
