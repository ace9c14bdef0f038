//! `menshen wordlist lint`: what is wrong with a wordlist file, line by line, or with a file of rules (`*.toml`), what to
//! do about it, and what each pattern costs.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use thiserror::Error;

use super::wordlists::{from_file, rules_from_file};
use crate::clock::Stopwatch;
use crate::interception::{
    Config, POLICY_DEFAULT, Problem, Ruleset, Sources, common_terms, fold_into, shadowed_terms, shop_talk,
    sounding_ordinary,
};

/// Say what is wrong with a wordlist, line by line
#[derive(Clone, Debug, clap::Args)]
pub struct LintArgs {
    /// The wordlist: one `term` or `term<TAB>category` a line; or rules, in TOML
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
    let sample = match &args.sample {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("read sample `{}`", path.display()))?;
            // A sample is only counted over: a broken character in it is no reason to stop.
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    if args.file.extension().is_some_and(|extension| extension == "toml") {
        return run_rules(args, sample.as_deref());
    }
    let list = from_file(&args.file)?;
    let (ruleset, mut problems) =
        Ruleset::compile("lint", std::slice::from_ref(&list), Vec::new(), &Config::default())?;
    let policy = ruleset.policy(POLICY_DEFAULT).context("find the default policy")?;
    problems.extend(match &sample {
        Some(sample) => common_terms(&ruleset, policy, sample.lines().filter(|l| !l.trim().is_empty())),
        None => common_terms(&ruleset, policy, shop_talk()),
    });
    problems.extend(shadowed_terms(&list));
    problems.extend(sounding_ordinary(&list));
    problems.sort_by_key(|p| p.line);

    let mut out = std::io::stdout().lock();
    write_table(&mut out, &problems)?;
    let phrases = list.allow.len();
    writeln!(
        out,
        "{}: {} lines with terms, {phrases} allow phrases, {} terms can match, {} problems, {} notes",
        list.name,
        list.terms.len(),
        ruleset.terms(),
        faults(&problems),
        problems.len() - faults(&problems)
    )?;
    conclude(&problems)
}

fn faults(problems: &[Problem]) -> usize {
    problems.iter().filter(|problem| !problem.kind.is_note()).count()
}

fn conclude(problems: &[Problem]) -> anyhow::Result<()> {
    match faults(problems) {
        0 => Ok(()),
        count => Err(ProblemsFound(count).into()),
    }
}

/// Prints what is wrong with rules, and for every pattern how often it matches the sample and what it costs a message.
fn run_rules(args: &LintArgs, sample: Option<&str>) -> anyhow::Result<()> {
    let rules = [rules_from_file(&args.file)?];
    let sources = Sources { rules: &rules, ..Sources::default() };
    let (ruleset, problems) = Ruleset::compile_with("lint", sources, &Config::default())?;
    let mut folded = Vec::new();
    let lines: Vec<&str> = match sample {
        Some(sample) => sample.lines().filter(|line| !line.trim().is_empty()).collect(),
        None => shop_talk().collect(),
    };
    for line in lines {
        let mut text = String::new();
        fold_into(line, &mut text);
        folded.push(text);
    }

    let mut out = std::io::stdout().lock();
    write_table(&mut out, &problems)?;
    for pattern in ruleset.patterns() {
        let watch = Stopwatch::start();
        let matched = folded.iter().filter(|text| pattern.matches(text) > 0).count();
        let microseconds = watch.elapsed().as_secs_f64() * 1e6;
        let messages = u32::try_from(folded.len()).unwrap_or(u32::MAX).max(1);
        let when = if pattern.always_runs { "on every message" } else { "where one of its literals stands" };
        let each = microseconds / f64::from(messages);
        writeln!(
            out,
            "{}: {each:.2} µs a message, runs {when}; matches {matched} of {messages}",
            pattern.id
        )?;
    }
    let [set] = &rules;
    writeln!(out, "{}: {} rules, {} problems", set.name, set.rules.len(), problems.len())?;
    conclude(&problems)
}

/// Three lines each: no terminal agrees with another on how wide a Chinese term is.
fn write_table(out: &mut impl Write, problems: &[Problem]) -> std::io::Result<()> {
    for problem in problems {
        let (what, remedy) = problem.kind.chinese();
        writeln!(out, "line {:>6}  {}", problem.line, problem.text)?;
        writeln!(out, "             {what}；{remedy}")?;
        writeln!(out, "             {}; {}", problem.kind, problem.kind.remedy())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::shipped;

    #[test]
    fn shipped_packs_have_no_problems_and_a_bad_list_has() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for pack in shipped() {
            let file = root.join(format!("wordlists/{}.txt", pack.name));
            run(&LintArgs { file, sample: None }).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bad.txt");
        std::fs::write(&file, "谢谢\n裸聊视频\n裸 聊 视 频\n").unwrap();
        let error = run(&LintArgs { file: file.clone(), sample: None }).unwrap_err();
        assert_eq!(error.downcast_ref::<ProblemsFound>().unwrap().0, 2);
        std::fs::write(&file, "代开发票\n专业代开发票\n").unwrap();
        let error = run(&LintArgs { file: file.clone(), sample: None }).unwrap_err();
        assert_eq!(error.downcast_ref::<ProblemsFound>().unwrap().0, 1, "one that adds nothing");
        std::fs::write(&file, "实践\n").unwrap();
        run(&LintArgs { file: file.clone(), sample: None }).unwrap(); // sounds like 时间: a note
        std::fs::write(&file, "谢谢\n裸聊视频\n裸 聊 视 频\n").unwrap();
        let rules = directory.path().join("rules.toml");
        std::fs::write(&rules, "[[rule]]\nid = \"a\"\npattern = \"口令[a-z]{3}\"\n").unwrap();
        run(&LintArgs { file: rules.clone(), sample: None }).unwrap();
        std::fs::write(&rules, "[[rule]]\nid = \"a\"\npattern = \"[a-z]{9}\"\n").unwrap();
        let error = run(&LintArgs { file: rules, sample: None }).unwrap_err();
        assert_eq!(error.downcast_ref::<ProblemsFound>().unwrap().0, 1);
        let sample = directory.path().join("sample.txt");
        std::fs::write(&sample, b"\xFF\n").unwrap();
        let error = run(&LintArgs { file, sample: Some(sample) }).unwrap_err();
        assert_eq!(error.to_string(), "1 problems found");
    }
}
