//! `menshen config check | show | default`.

use std::process::ExitCode;

use super::cli::{self, Place};
use crate::config::{DEFAULT_TOML, show};

/// What `config` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Say everything that is wrong, exit with 2 if anything is 检查配置
    Check(Place),
    /// Print the effective values with where each came from, secrets hidden 查看生效配置
    Show(Place),
    /// Print every key with its default and meaning 打印默认配置
    Default,
}

/// Runs the command.
///
/// # Errors
/// With the problems of the configuration.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Check(place) => {
            place.load()?;
            cli::print("the configuration is good\n")?;
        }
        What::Show(place) => cli::print(&show(&place.load()?.settings))?,
        What::Default => cli::print(DEFAULT_TOML)?,
    }
    Ok(ExitCode::SUCCESS)
}
