//! The command line: which commands there are and what they take.
//!
//! Not for: what a command does; each is in a file of its own beside this one. Help is English with a Chinese line, for
//! the people who run it.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    backup, config_command, demo, eval, reports, restore, scan, serve, stop_outbound, token, wecom, wordlist,
};
use crate::config::{Flags, Layers, Loaded, Problems};

/// Exit code for a failure at run time.
pub const EXIT_FAILURE: u8 = 1;

/// Exit code for a wrong configuration or command line; nothing was bound or changed.
pub const EXIT_USAGE: u8 = 2;

const ABOUT: &str = "\
Menshen 门神 stands between a brand's operators and its group chats. It judges every
message, answers, greets, counts, and sends broadcasts under every limit of the
platform. What it has acknowledged is never lost.";

const AFTER_HELP: &str = "\
Start here:
  menshen demo --for 60s    simulated shop groups; all moves, nothing is kept
  menshen                   the gateway on 127.0.0.1:8180, data in ./data
  menshen config default    every setting with its default and meaning

Configuration, later wins: defaults, --config FILE, environment
MENSHEN_SECTION__KEY, flags.
Exit codes: 0 done; 1 failed, standard error says why; 2 wrong configuration or
command line.";

/// `menshen`, as typed.
#[derive(Debug, Parser)]
#[command(
    name = "menshen",
    version,
    about = "Group-chat moderation and messaging gateway 门神:群消息审核与群发网关",
    long_about = ABOUT,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

impl Cli {
    /// Returns the command, `serve` being the default.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway (the default) 运行网关
    Serve(serve::Args),
    /// Watch a gateway with simulated shop groups at work 演示:模拟门店群
    Demo(demo::Args),
    /// Judge messages from a file or standard input, one a line 离线检测消息
    Scan(scan::ScanArgs),
    /// Measure what of cloaked terms is found and what of ordinary talk is hit 评测召回与误伤
    Eval(eval::EvalArgs),
    /// Work on wordlists 词表工具
    Wordlist(wordlist::Args),
    /// Check, show or print the configuration 检查、查看配置
    Config(config_command::Args),
    /// Create, list or revoke API tokens 管理访问令牌
    Token(token::Args),
    /// Stop what is sent, at once and over restarts 紧急停止外发
    StopOutbound(stop_outbound::Args),
    /// Check a WeCom account, read its groups 企业微信:检查账号、同步群
    Wecom(wecom::Args),
    /// Copy everything durable to a new directory, also while running 备份
    Backup(backup::Args),
    /// Write the daily report of a region 生成群日报
    Report(reports::Args),
    /// Put a backup in place of an empty data directory 恢复
    Restore(restore::Args),
}

/// Which configuration and which data directory a command is about.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// Configuration file; without it the embedded defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of everything durable, over the configuration
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl Place {
    /// Loads the configuration of this place.
    ///
    /// # Errors
    /// With every problem of the configuration.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let flags = Flags { data_dir: self.data_dir.clone(), ..Flags::default() };
        crate::config::load(&Layers::of_process(self.config.clone(), flags))
    }
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// When standard output takes nothing for another reason, a full disk for one.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Command, clap::Error> {
        Cli::try_parse_from([&["menshen"], words].concat()).map(Cli::into_command)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_with_and_without_flags() {
        assert!(matches!(parse(&[]), Ok(Command::Serve(_))));
        let Ok(Command::Serve(args)) = parse(&["--listen", "127.0.0.1:0", "--config", "x.toml"]) else {
            panic!("not serve");
        };
        assert_eq!(args.listen.as_deref(), Some("127.0.0.1:0"));
        assert!(matches!(parse(&["serve", "--data-dir", "d"]), Ok(Command::Serve(_))));
        assert!(
            parse(&["--listen", "127.0.0.1:0", "demo"]).is_err(),
            "a flag of serve before another command"
        );
    }

    #[test]
    fn every_command_of_the_design_is_there() {
        for words in [
            "serve",
            "demo --for 60s --shops 24",
            "demo --platform wecom --for 60s",
            "scan",
            "eval --policy strict --per-class 10 --format markdown",
            "config check",
            "config show",
            "config default",
            "token list",
            "stop-outbound",
            "stop-outbound --kind broadcast --scope account:demo --reason x",
            "backup dir",
            "restore dir",
            "wordlist lint list.txt",
            "wecom check --account shops",
            "wecom sync",
        ] {
            let words: Vec<_> = words.split(' ').collect();
            assert!(parse(&words).is_ok(), "{words:?}: {:?}", parse(&words).err());
        }
    }

    #[test]
    fn a_wrong_command_line_exits_with_2_and_help_with_0() {
        assert_eq!(parse(&["swerve"]).unwrap_err().exit_code(), i32::from(EXIT_USAGE));
        assert_eq!(parse(&["--help"]).unwrap_err().exit_code(), 0);
    }

    #[test]
    fn help_has_a_chinese_line_for_each_command() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.chars().any(|c| ('一'..='龥').contains(&c)), "{}: {about}", command.get_name());
            assert!(about.is_ascii() || about.chars().filter(char::is_ascii).count() > 8, "{about}");
        }
    }
}
