//! The account on WeCom at the gateway: made, and its rosters read.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{CallbacksError, LOOK_AGAIN};
use crate::client::{Call, ClientError, Connection};
use crate::wire;

/// How far the gateway is with the reading of every group.
#[derive(Debug, Deserialize)]
struct Sync {
    state: String,
    last: Option<LastSync>,
}

#[derive(Debug, Deserialize)]
struct LastSync {
    progress: Progress,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Progress {
    read: u64,
    failed: u64,
}

/// Makes the account.
pub(super) async fn make(
    connection: &mut Connection,
    account: &str,
    spec: &Value,
) -> Result<(), ClientError> {
    let call = Call::post(format!("/v1/accounts/{account}"), wire::JSON, spec.to_string()).put();
    connection.expect_success(&call).await.map(drop)
}

/// Asks for all rosters to be read and waits for the end of it.
pub(super) async fn sync(
    connection: &mut Connection,
    account: &str,
    groups: usize,
    patience: Duration,
) -> Result<(), CallbacksError> {
    let path = format!("/v1/accounts/{account}/sync");
    connection.expect_success(&Call::post(path.as_str(), wire::JSON, "")).await?;
    let start = Instant::now();
    loop {
        let reply = connection.expect_success(&Call::get(path.as_str())).await?;
        let sync: Sync = serde_json::from_slice(&reply.body)
            .map_err(|source| ClientError::Unreadable { path: path.clone(), source })?;
        if let ("idle", Some(LastSync { progress, error })) = (sync.state.as_str(), &sync.last) {
            let is_whole = progress.failed == 0 && usize::try_from(progress.read) == Ok(groups);
            return match error {
                None if is_whole => Ok(()),
                None => Err(CallbacksError::Sync(format!(
                    "{} of {groups} read, {} failed",
                    progress.read, progress.failed
                ))),
                Some(error) => Err(CallbacksError::Sync(error.to_string())),
            };
        }
        if start.elapsed() > patience {
            return Err(CallbacksError::Sync(format!("still {} after {patience:?}", sync.state)));
        }
        sleep(LOOK_AGAIN).await;
    }
}
