//! `menshen wordlist lint`: what is wrong with a wordlist file, line by line, and what to do about it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use thiserror::Error;

use super::wordlists::from_file;
use crate::interception::{Config, POLICY_DEFAULT, Problem, Ruleset, common_terms, shop_talk};

/// Arguments of `menshen wordlist lint`.
#[derive(Clone, Debug, clap::Args)]
pub struct LintArgs {
    /// The wordlist: one `term` or `term<TAB>category` a line
    pub file: PathBuf,
    /// Ordinary messages, one a line, that no term should hit [default: a small built-in sample of shop talk]
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
}

/// The list can be used, but should be looked at. The command exits with 1.
#[derive(Debug, Error)]
#[error("{0} problems found")]
pub struct ProblemsFound(pub usize);

/// Prints a table of problems to standard output.
///
/// # Errors
/// [`ProblemsFound`], or when a file cannot be read.
pub fn run(args: &LintArgs) -> anyhow::Result<()> {
    let list = from_file(&args.file)?;
    let sample = match &args.sample {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("read sample `{}`", path.display()))?;
            // A sample is only counted over: a broken character in it is no reason to stop.
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    let (ruleset, mut problems) =
        Ruleset::compile("lint", std::slice::from_ref(&list), Vec::new(), &Config::default())?;
    let policy = ruleset.policy(POLICY_DEFAULT).context("find the default policy")?;
    problems.extend(match &sample {
        Some(sample) => common_terms(&ruleset, policy, sample.lines().filter(|l| !l.trim().is_empty())),
        None => common_terms(&ruleset, policy, shop_talk()),
    });
    problems.sort_by_key(|p| p.line);

    let mut out = std::io::stdout().lock();
    write_table(&mut out, &problems)?;
    let phrases = list.allow.len();
    writeln!(
        out,
        "{}: {} lines with terms, {phrases} allow phrases, {} terms can match, {} problems",
        list.name,
        list.terms.len(),
        ruleset.terms(),
        problems.len()
    )?;
    if problems.is_empty() { Ok(()) } else { Err(ProblemsFound(problems.len()).into()) }
}

/// The term comes last: no terminal agrees with another on how wide it is.
fn write_table(out: &mut impl Write, problems: &[Problem]) -> std::io::Result<()> {
    let rows: Vec<_> = problems
        .iter()
        .map(|p| [p.line.to_string(), p.text.clone(), p.kind.to_string(), p.kind.remedy().to_owned()])
        .collect();
    for [line, term, problem, remedy] in rows {
        writeln!(out, "line {line:>6}  {term}\n             {problem}; {remedy}")?;
    }
    Ok(())
}
