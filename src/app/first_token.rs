//! The first administrator's token: made when a data directory is opened for the first time, kept where only its owner
//! can read it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

use crate::access::Access;

/// Name of the file in the data directory.
const FILE: &str = "admin-token";

/// Makes the first token where there is no operator yet, and writes it down.
///
/// # Errors
/// When the ledger or the file cannot be written.
pub(super) async fn make(access: &Access, dir: &Path) -> anyhow::Result<Option<String>> {
    let Some(token) = access.bootstrap().await? else { return Ok(None) };
    let token = token.secret.expose();
    let path = dir.join(FILE);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("write {}", path.display()))?;
    writeln!(file, "{token}").with_context(|| format!("write {}", path.display()))?;
    Ok(Some(token))
}
