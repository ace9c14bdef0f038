//! The table of cases in `tests/cases/`, written by hand: what a sensible operator expects of a message.

use std::collections::HashMap;

use super::*;

const TABLE: &str = include_str!("../../../tests/cases/interception.tsv");
const TERMS: &str = include_str!("../../../tests/cases/terms.txt");

/// Fewest rows: a table that somebody emptied says nothing.
const ROWS_MIN: usize = 330;

/// Fewest rows of ordinary talk that must pass at `standard`.
const ORDINARY_MIN: usize = 120;

/// One row as written, with its line.
struct Case {
    line: usize,
    policy: &'static str,
    speaker: Speaker,
    expect: &'static str,
    term: &'static str,
    why: &'static str,
    text: String,
}

#[test]
fn every_case_is_judged_as_expected() {
    let rules = rules();
    let mut scratch = Scratch::default();
    let mut wrong = Vec::new();
    let mut seen: HashMap<(String, &str, String), usize> = HashMap::new();
    let (mut rows, mut ordinary) = (0, 0);
    for line in (1..).zip(TABLE.lines()).filter(|(_, row)| !row.is_empty() && !row.starts_with('#')) {
        let case = match read(line) {
            Ok(case) => case,
            Err(why) => {
                wrong.push(format!("{}: {why}", line.0));
                continue;
            }
        };
        rows += 1;
        ordinary += usize::from(case.policy == "standard" && case.expect == "pass");
        let Some(policy) = rules.policy(case.policy) else {
            wrong.push(format!("{}: no policy `{}`", case.line, case.policy));
            continue;
        };
        let audience = Audience { speaker: case.speaker, ..Audience::default() };
        let judgement = rules.judge(&case.text, policy, &audience, &mut scratch);
        if !is_met(&case, &judgement) {
            let Case { line, policy, expect, term, why, text, .. } = &case;
            let hits: Vec<_> = judgement.hits.iter().map(|h| (&h.hit.term, &h.hit.matched)).collect();
            let verdict = judgement.verdict;
            wrong.push(format!(
                "{line}: {text} ({why}): {policy} is to {expect} {term}: {verdict:?} {hits:?}"
            ));
        }
        if let Some(first) = seen.insert((case.text, case.policy, format!("{:?}", case.speaker)), case.line) {
            wrong.push(format!("{}: the same text as in {first}", case.line));
        }
    }
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= ROWS_MIN && ordinary >= ORDINARY_MIN, "{rows} rows, {ordinary} of them ordinary");
}

/// Rows of ordinary talk that must pass at `standard`, as written where nothing is escaped.
pub(super) fn ordinary() -> impl Iterator<Item = &'static str> {
    TABLE
        .lines()
        .filter(|row| !row.contains('\\'))
        .filter_map(|row| row.strip_prefix("standard\tpass\t"))
        .filter_map(|row| row.rsplit('\t').next())
}

/// The shipped packs with the terms beside them, and a policy that looks at whole words.
fn rules() -> Ruleset {
    let mut lists = shipped();
    lists.push(WordlistSource::parse("cases", Origin::File, TERMS).unwrap());
    let words = Policy { name: "words".into(), whole_words: Some(true), ..Policy::default() };
    let (rules, problems) = Ruleset::compile("r-1", &lists, vec![words], &Config::default()).unwrap();
    assert_eq!(problems, []);
    rules
}

fn read((line, row): (usize, &'static str)) -> Result<Case, String> {
    let columns: Vec<_> = row.split('\t').collect();
    let [policy, expect, term, why, text] = columns[..] else {
        return Err(format!("{} columns instead of 5", columns.len()));
    };
    if !["pass", "count", "caught", "review", "mask", "block"].contains(&expect) {
        return Err(format!("nothing is called `{expect}`"));
    }
    let (policy, speaker) = policy.split_once('/').unwrap_or((policy, "customer"));
    let speaker = match speaker {
        "customer" => Speaker::Customer,
        "staff" => Speaker::Staff,
        "own" => Speaker::Own,
        _ => return Err(format!("nobody is called `{speaker}`")),
    };
    let text = unescape(text).ok_or_else(|| format!("an escape that cannot be read in `{text}`"))?;
    Ok(Case { line, policy, speaker, expect, term, why, text })
}

/// Reads `\n` and `\u{200B}`, so that nothing in the table is invisible.
fn unescape(written: &str) -> Option<String> {
    let mut parts = written.split('\\');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let rest = if let Some(rest) = part.strip_prefix('n') {
            text.push('\n');
            rest
        } else {
            let (scalar, rest) = part.strip_prefix("u{")?.split_once('}')?;
            text.push(char::from_u32(u32::from_str_radix(scalar, 16).ok()?)?);
            rest
        };
        text.push_str(rest);
    }
    Some(text)
}

fn is_met(case: &Case, Judgement { verdict, hits, .. }: &Judgement) -> bool {
    let follows = match case.expect {
        "pass" => hits.is_empty(),
        "count" => *verdict == Verdict::Pass && !hits.is_empty(),
        "review" => *verdict == Verdict::Review,
        "mask" => *verdict == Verdict::Mask,
        "block" => *verdict == Verdict::Block,
        _ => *verdict >= Verdict::Review,
    };
    let is_named = |hit: &JudgedHit| case.term.split('/').any(|term| term == hit.hit.term);
    follows && (case.term == "-" || hits.iter().any(is_named))
}
