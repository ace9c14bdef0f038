//! `menshen wecom check` and `menshen wecom sync`: is an account set up well; who is in which group.
//!
//! Both go through the running gateway. Not for: anything the API cannot do.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::cli::{self, EXIT_FAILURE, Place};
use super::control;

/// How often a running sync is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The platform this is about.
const PLATFORM: &str = "wecom";

/// What `wecom` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Walk through an account: what is wrong, and where to click 检查账号配置
    Check(CheckArgs),
    /// Read who is in which group, with progress 同步群与成员
    Sync(Which),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    which: Which,
    /// Our address as the console has it, to be compared
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The account; needs no naming when there is one of WeCom only
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// When no gateway runs there, or it refuses.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check(args).await,
        Command::Sync(which) => sync(which).await,
    }
}

async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let data_dir = args.which.place.load()?.config.server.data_dir;
    let account = account(&data_dir, args.which.account).await?;
    let body = json!({"callback_url": args.callback_url});
    let checked =
        control::call(&data_dir, Method::POST, &format!("/v1/accounts/{account}/check"), &body).await?;
    let findings = checked["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let mut told = String::new();
    for finding in findings {
        told += &line(finding);
    }
    let bad = findings.iter().filter(|finding| finding["standing"] == "bad").count();
    cli::print(&told)?;
    cli::print(&match bad {
        0 => format!("\n{account}: 全部就绪 · everything is in place\n"),
        bad => format!(
            "\n{account}: {bad} 处需要修改,改好后再运行一次 · {bad} to put right, then run this again\n"
        ),
    })?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILURE) })
}

/// One finding in two lines: Chinese first, for who can click.
fn line(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let mark = match text("standing") {
        "good" => "✓",
        "warning" => "!",
        "bad" => "✗",
        _ => "–",
    };
    format!("{mark} {:<14} {}\n  {:<14} {}\n", text("subject"), text("zh"), "", text("en"))
}

async fn sync(which: Which) -> anyhow::Result<ExitCode> {
    let data_dir = which.place.load()?.config.server.data_dir;
    let account = account(&data_dir, which.account).await?;
    let path = format!("/v1/accounts/{account}/sync");
    let mut state = control::call(&data_dir, Method::POST, &path, &json!({})).await?;
    let bar = bar();
    while state["state"] == "running" || state["state"] == "queued" {
        show(&bar, &state["progress"]);
        tokio::time::sleep(LOOK_EVERY).await;
        state = control::call(&data_dir, Method::GET, &path, &Value::Null).await?;
    }
    bar.finish_and_clear();
    let number = |key: &str| state["progress"][key].as_u64().unwrap_or(0);
    let summary = format!(
        "{account}: 读取 {read} 个群,接管成员 {adopted},补记进群 {joins}、退群 {leaves},失败 {failed}\n\
         {account}: {read} groups read, {adopted} members taken over, {joins} joins and {leaves} leaves found, {failed} failed\n",
        read = number("read"),
        adopted = number("adopted"),
        joins = number("joins"),
        leaves = number("leaves"),
        failed = number("failed"),
    );
    cli::print(&summary)?;
    if state["state"] == "done" {
        return Ok(ExitCode::SUCCESS);
    }
    let words = |language: &str| state["error"][language].as_str().unwrap_or_default();
    anyhow::bail!("{} / {}", words("zh"), words("en"))
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} groups {wide_bar} {msg} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, progress: &Value) {
    let number = |key: &str| progress[key].as_u64().unwrap_or(0);
    bar.set_length(number("listed"));
    bar.set_position(number("read") + number("failed"));
    bar.set_message(format!("+{} −{}", number("joins"), number("leaves")));
}

/// Finds the account that is meant.
async fn account(data_dir: &Path, named: Option<String>) -> anyhow::Result<String> {
    if let Some(named) = named {
        return Ok(named);
    }
    let accounts = control::call(data_dir, Method::GET, "/v1/accounts?limit=1000", &Value::Null).await?;
    let items = accounts["items"].as_array().map_or(&[][..], Vec::as_slice);
    let own: Vec<_> = items.iter().filter(|account| account["platform"] == PLATFORM).collect();
    let names: Vec<_> = own.iter().filter_map(|account| account["id"].as_str()).collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => anyhow::bail!("there is no account of WeCom yet; docs/WECOM.md says how to make one"),
        several => anyhow::bail!("name one with --account: {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_told_in_both_languages() {
        let finding =
            json!({"subject": "trusted_ip", "standing": "bad", "zh": "不可信", "en": "not trusted"});
        assert_eq!(line(&finding), "✗ trusted_ip     不可信\n                 not trusted\n");
    }
}
