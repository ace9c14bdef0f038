//! The binary: arguments, then one command, then an exit code. Everything else is in the library.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use menshen::app::cli::{Cli, Command, EXIT_FAILURE, EXIT_USAGE};
use menshen::app::{
    backup, config_command, demo, eval, reports, restore, scan, serve, stop_outbound, token, wecom, wordlist,
};
use menshen::config::Problems;
use tokio::runtime::Runtime;

/// An event or a send is some dozens of small pieces, many freed by another thread than made them: a fifth of what a send
/// costs with the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            _ = usage.print(); // help for nobody if the terminal is gone
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    run(cli.into_command()).unwrap_or_else(|error| {
        _ = writeln!(std::io::stderr(), "menshen: {error:#}"); // as above
        ExitCode::from(if error.is::<Problems>() { EXIT_USAGE } else { EXIT_FAILURE })
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Eval(args) => eval::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Scan(args) => scan::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Wordlist(args) => wordlist::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => config_command::run(args),
        Command::Token(args) => runtime()?.block_on(token::run(args)),
        Command::StopOutbound(args) => runtime()?.block_on(stop_outbound::run(args)),
        Command::Wecom(args) => runtime()?.block_on(wecom::run(args)),
        Command::Report(args) => runtime()?.block_on(reports::run(args)),
        Command::Backup(args) => runtime()?.block_on(backup::run(args)),
        Command::Restore(args) => runtime()?.block_on(restore::run(args)),
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")
}
