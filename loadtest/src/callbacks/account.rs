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
    progress: Option<Progress>,
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
        match (sync.state.as_str(), &sync.progress) {
            ("done", Some(progress)) => {
                let Progress { read, failed } = progress;
                if *failed == 0 && usize::try_from(*read) == Ok(groups) {
                    return Ok(());
                }
                return Err(CallbacksError::Sync(format!("{read} of {groups} read, {failed} failed")));
            }
            ("failed", _) => return Err(CallbacksError::Sync(sync.error.unwrap_or_default().to_string())),
            (_, _) => {}
        }
        if start.elapsed() > patience {
            return Err(CallbacksError::Sync(format!("still {} after {patience:?}", sync.state)));
        }
        sleep(LOOK_AGAIN).await;
    }
}
