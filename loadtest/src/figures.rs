//! Reads the gateway's own figures, to be held against what was sent.

use crate::client::{Call, ClientError, Connection};
use crate::wire::{self, Counts};

/// What a group's statistics add up to; zero for a group nobody has heard of yet.
///
/// # Errors
/// When they cannot be read.
pub async fn of_group(
    connection: &mut Connection,
    account: &str,
    group: &str,
) -> Result<Counts, ClientError> {
    let path = wire::group_statistics(account, group);
    let reply = match connection.expect_success(&Call::get(path.as_str())).await {
        Ok(reply) => reply,
        Err(ClientError::Refused { status: 404, .. }) => return Ok(Counts::default()),
        Err(error) => return Err(error),
    };
    wire::read_group_statistics(&reply.body).map_err(|source| ClientError::Unreadable { path, source })
}

/// What all groups add up to.
///
/// # Errors
/// When it cannot be read.
pub async fn totals(connection: &mut Connection) -> Result<Counts, ClientError> {
    let reply = connection.expect_success(&Call::get(wire::STATISTICS)).await?;
    let unreadable = |source| ClientError::Unreadable { path: wire::STATISTICS.to_owned(), source };
    wire::read_totals(&reply.body).map_err(unreadable)
}
