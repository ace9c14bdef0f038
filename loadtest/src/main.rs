//! The `loadtest` command: reads arguments, runs one thing, maps its outcome to an exit code.
//!
//! 0: everything was as it must be; 1: something did not agree (the table says what); 2: it could not be run.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its report goes to standard output, its progress to standard error"
)]

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}
