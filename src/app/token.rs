//! `menshen token create | list | revoke`.

use std::process::ExitCode;

use super::cli::Place;

/// What `token` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Make a token; it is shown once 新建令牌
    Create(Place),
    /// List tokens without their secrets 列出令牌
    List(Place),
    /// End a token at once 吊销令牌
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Runs the command.
///
/// # Errors
/// Always, until it is wired.
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("token is not wired yet")
}
