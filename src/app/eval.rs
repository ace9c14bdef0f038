//! `menshen eval`: how good a ruleset is, measured.
//!
//! Takes wordlists and ordinary text, cloaks the terms in every way of `eval/class.rs`, and counts what is found under each
//! policy and what of the ordinary text is hit. The generator shares no table with the engine and is repeatable from its
//! seed. The result goes to standard output, progress to standard error.
//! Not for: judging a file of messages (`scan`), or what is wrong with a list (`wordlist lint`).

mod carrier;
mod chance;
pub mod class;
mod cloak;
pub mod measure;
pub mod report;
mod tables;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;

use super::cli::print;
use super::wordlists::given;
use crate::clock::Stopwatch;
use crate::interception::{Config, Policy, Ruleset, WordlistSource, shop_talk};
use class::Class;
use measure::{Setting, evaluate};

/// Most examples of each kind.
const EXAMPLES_MAX: usize = 100;

/// Measure what of cloaked terms is found and what of ordinary talk is hit
///
/// 评测:用独立的生成器把词条改写成各类变体,统计各策略的召回率与对日常聊天的误伤
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// Wordlist to use instead of the shipped ones; may be repeated 词表
    #[arg(long = "wordlist", value_name = "FILE")]
    pub wordlists: Vec<PathBuf>,
    /// Ordinary messages, one a line [default: a small built-in sample of shop talk] 日常聊天
    #[arg(long, value_name = "FILE")]
    pub clean: Option<PathBuf>,
    /// Policy; may be repeated 策略
    #[arg(long = "policy", value_name = "NAME", default_values = ["relaxed", "standard", "strict"])]
    pub policies: Vec<String>,
    /// Number from which everything drawn follows 随机种子
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Most cases of each class 每类用例上限
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub per_class: usize,
    /// Examples to show of each kind of mistake, at most 100; none are shown in Markdown 示例数
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub examples: usize,
    /// How to print the result 输出格式
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for a terminal, with examples.
    Text,
    /// One JSON object a line.
    Ndjson,
    /// Tables for a document, without examples.
    Markdown,
}

/// Measures and prints.
///
/// # Errors
/// When a list or the text cannot be read or used, a policy is unknown, or the output fails.
pub fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let lists = given(&args.wordlists)?;
    let ruleset = compile(&lists)?;
    let policies: Vec<&Policy> =
        args.policies.iter().map(|name| policy(&ruleset, name)).collect::<Result<_, _>>()?;
    let text = args.clean.as_deref().map(read_clean).transpose()?;
    let clean: Vec<&str> = match &text {
        Some(text) => text.lines().filter(|line| !line.trim().is_empty()).collect(),
        None => shop_talk().collect(),
    };
    ensure!(args.examples <= EXAMPLES_MAX, "--examples {}: at most {EXAMPLES_MAX}", args.examples);
    let setting = Setting { policies, seed: args.seed, per_class: args.per_class, examples: args.examples };
    let progress = progress(setting.policies.len() + Class::all().count());
    let evaluation = evaluate(&ruleset, &lists, &clean, &setting, || progress.inc(1));
    progress.finish_and_clear();
    let mut out = String::new();
    match args.format {
        Format::Text => report::text(&evaluation, &mut out),
        Format::Ndjson => report::ndjson(&evaluation, &mut out),
        Format::Markdown => report::markdown(&evaluation, &mut out),
    }
    .context("write the report")?;
    print(&out).context("print the report")?;
    let (terms, seconds) = (ruleset.terms(), watch.elapsed().as_secs_f64());
    writeln!(
        io::stderr(),
        "{terms} terms, {} ordinary messages, seed {}, {seconds:.1} s",
        clean.len(),
        args.seed
    )?;
    Ok(())
}

fn compile(lists: &[WordlistSource]) -> anyhow::Result<Ruleset> {
    let terms = lists.iter().map(|l| l.terms.len() + l.allow.len()).sum();
    // On a command line the limits that protect a gateway are the user's business.
    let limits = Config { terms_max: terms, wordlists_max: lists.len(), ..Config::default() };
    let (ruleset, _) = Ruleset::compile("eval", lists, Vec::new(), &limits)?;
    Ok(ruleset)
}

fn policy<'r>(ruleset: &'r Ruleset, name: &str) -> anyhow::Result<&'r Policy> {
    ruleset.policy(name).with_context(|| {
        let names: Vec<_> = ruleset.policies().map(|p| p.name.as_str()).collect();
        format!("no policy is named `{name}`; there are: {}", names.join(", "))
    })
}

fn read_clean(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read ordinary text `{}`", path.display()))?;
    // It is only counted over: a broken character in it is no reason to stop.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn progress(steps: usize) -> ProgressBar {
    match (io::stderr().is_terminal(), u64::try_from(steps)) {
        (true, Ok(steps)) => ProgressBar::new(steps),
        (true | false, _) => ProgressBar::hidden(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> EvalArgs {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            args: EvalArgs,
        }
        <Only as clap::Parser>::parse_from([&["eval"], words].concat()).args
    }

    #[test]
    fn it_runs_over_given_files_and_refuses_what_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("list.txt");
        let clean = directory.path().join("clean.txt");
        std::fs::write(&list, "加微信\n代开发票\n").unwrap();
        std::fs::write(&clean, b"\xFF\n\xE4\xBB\x8A\xE5\xA4\xA9\n\n").unwrap();
        let files = ["--wordlist", list.to_str().unwrap(), "--clean", clean.to_str().unwrap()];
        for format in ["text", "ndjson", "markdown"] {
            run(&args(&[&files[..], &["--per-class", "3", "--format", format]].concat())).unwrap();
        }
        let unknown = run(&args(&[&files[..], &["--policy", "soft"]].concat())).unwrap_err();
        assert_eq!(unknown.to_string(), "no policy is named `soft`; there are: relaxed, standard, strict");
        let many = run(&args(&[&files[..], &["--examples", "101"]].concat())).unwrap_err();
        assert_eq!(many.to_string(), "--examples 101: at most 100");
        assert!(run(&args(&["--clean", "/nowhere"])).unwrap_err().to_string().contains("`/nowhere`"));
    }
}
