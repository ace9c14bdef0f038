//! Patterns: regular expressions in linear time, over folded text, behind the literals that every match holds.
//!
//! What folding takes away (spaces, signs, capitals, traditional forms) never stands in the text a pattern sees; a
//! pattern that asks for it could never match and is refused.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::literal::{Extractor, Seq};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::interception::Config;
use crate::interception::fold::{Folded, fold};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_000;

/// Most literals that gate one pattern; with more it is looked at always.
const GATES_MAX: usize = 64;

/// Characters of a class that are tried; larger classes always hold some that folding keeps.
const CLASS_CHARS_MAX: u32 = 256;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(in crate::interception) struct Pattern {
    pub(in crate::interception) regex: Regex,
    /// Every match holds one of these; empty where there are none, so that it always runs.
    pub(super) gates: Vec<String>,
}

/// Compiles a pattern.
///
/// # Errors
/// What is wrong and what would be right.
pub(super) fn compile(pattern: &str, config: &Config) -> Result<Pattern, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("longer than {PATTERN_BYTES_MAX} bytes; make several rules of it"));
    }
    let hir = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
    check_folded(&hir)?;
    if hir.properties().minimum_len().is_none_or(|length| length == 0) {
        return Err("it matches a text without anything: ask for at least one character".to_owned());
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(config.regex_bytes_max)
        .dfa_size_limit(config.regex_cache_bytes_max)
        .build()
        .map_err(|error| {
            if let regex::Error::CompiledTooBig(bytes) = error {
                format!("larger than {bytes} bytes compiled (`interception.regex_bytes_max`); repeat less")
            } else {
                error.to_string()
            }
        })?;
    let mut gates = gates(&hir);
    // A literal that is too long for a term would never be seen.
    if gates.iter().any(|gate| gate.len() > config.term_bytes_max) {
        gates.clear();
    }
    Ok(Pattern { regex, gates })
}

/// Compiles a regular expression over folded text, in linear time; returns it and literals of which every match holds
/// one, none where there are no such.
///
/// # Errors
/// What is wrong and what would be right.
pub fn compile_pattern(pattern: &str, config: &Config) -> Result<(Regex, Vec<String>), String> {
    compile(pattern, config).map(|Pattern { regex, gates }| (regex, gates))
}

/// Refuses what must match a character that folding takes away.
fn check_folded(hir: &Hir) -> Result<(), String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Ok(()),
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0);
            match text.chars().find(|c| !is_kept(*c)) {
                Some(c) => Err(never(&format!("`{c}`"), c)),
                None => Ok(()),
            }
        }
        HirKind::Class(Class::Unicode(class)) => {
            let size = |range: &regex_syntax::hir::ClassUnicodeRange| {
                u32::from(range.end()).saturating_sub(u32::from(range.start())) + 1
            };
            let ranges = class.ranges();
            let small = ranges.iter().map(size).fold(0_u32, u32::saturating_add) <= CLASS_CHARS_MAX;
            let kept =
                |range: &regex_syntax::hir::ClassUnicodeRange| (range.start()..=range.end()).any(is_kept);
            match ranges.first() {
                Some(first) if small && !ranges.iter().any(kept) => {
                    Err(never(&format!("a class with `{}`", first.start().escape_debug()), first.start()))
                }
                Some(_) | None => Ok(()),
            }
        }
        HirKind::Class(Class::Bytes(_)) => Err("it is about bytes; write characters".to_owned()),
        // What may be absent may also be something that never comes: \s* does no harm.
        HirKind::Repetition(repetition) if repetition.min == 0 => Ok(()),
        HirKind::Repetition(repetition) => check_folded(&repetition.sub),
        HirKind::Capture(capture) => check_folded(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_for_each(check_folded),
        // One way that can match is enough.
        HirKind::Alternation(ways) => {
            let mut checked = ways.iter().map(check_folded);
            if checked.any(|way| way.is_ok()) { Ok(()) } else { ways.iter().try_for_each(check_folded) }
        }
    }
}

fn is_kept(c: char) -> bool {
    fold(c) == Folded::One(c)
}

fn never(what: &str, c: char) -> String {
    match fold(c) {
        Folded::Skip => {
            format!("{what} never comes: messages are compared without spaces and signs; leave it out")
        }
        Folded::One(folded) => format!("{what} never comes: messages are compared as `{folded}`; write that"),
        Folded::Several(folded) => {
            format!("{what} never comes: messages are compared as `{folded}`; write that")
        }
    }
}

/// Finds literals of which every match holds one: the best of what the parts of a sequence must begin or end with.
fn gates(hir: &Hir) -> Vec<String> {
    let mut best: Option<Vec<String>> = None;
    let mut consider = |seq: Seq| {
        let Some(literals) = usable(&seq) else { return };
        let worth = |literals: &[String]| {
            let shortest = literals.iter().map(|literal| literal.chars().count()).min().unwrap_or(0);
            (shortest, std::cmp::Reverse(literals.len()))
        };
        if best.as_ref().is_none_or(|best| worth(&literals) > worth(best)) {
            best = Some(literals);
        }
    };
    let mut extractor = Extractor::new();
    extractor.limit_total(GATES_MAX);
    consider(extractor.extract(hir));
    for part in required(hir) {
        consider(extractor.extract(part));
    }
    best.unwrap_or_default()
}

/// Lists the parts that every match goes through.
fn required(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => {
            parts.iter().flat_map(|part| [vec![part], required(part)].concat()).collect()
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            [vec![&*repetition.sub], required(&repetition.sub)].concat()
        }
        HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Empty
        | HirKind::Look(_)
        | HirKind::Literal(_)
        | HirKind::Class(_) => Vec::new(),
    }
}

/// A literal gates if the automaton can hold it: two characters, or one ideograph.
fn usable(seq: &Seq) -> Option<Vec<String>> {
    let mut literals = Vec::new();
    for literal in seq.literals()? {
        let text = std::str::from_utf8(literal.as_bytes()).ok()?;
        let long = text.chars().count() > 1 || text.chars().all(|c| c >= '\u{2E80}') && !text.is_empty();
        // A literal that folding takes away never comes: no match begins with it.
        if text.chars().all(is_kept) {
            long.then_some(())?;
            literals.push(text.to_owned());
        }
    }
    literals.sort_unstable();
    literals.dedup();
    (!literals.is_empty() && literals.len() <= GATES_MAX).then_some(literals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_holds_a_gate() {
        for (pattern, expect) in [
            ("口令[a-z0-9]{6,}", vec!["口令"]),
            ("(刷单|兼职)日结", vec!["兼职日结", "刷单日结"]),
            ("[0-9]{4,}积分兑换", vec!["积分兑换"]),
            ("[0-9]+元", vec!["元"]),
            (".*返现.*链接.*", vec!["返现"]),
            ("(?:加群){2,}", vec!["加群加群"]),
            ("[a-z]{3}[0-9]", vec![]),
            ("8{6,}", vec!["888888"]),
            ("[0-9]{8}", vec![]),
            ("口令|[0-9]{8}", vec![]),
            ("(?i)vx[a-z0-9]{5}", vec!["vx"]),
        ] {
            let compiled = compile(pattern, &Config::default()).unwrap();
            assert_eq!(compiled.gates, expect, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_match_is_refused() {
        let small = Config { regex_bytes_max: 1_000, ..Config::default() };
        for (pattern, config, part) in [
            ("加 微信", Config::default(), "without spaces and signs"),
            ("VX", Config::default(), "compared as `v`"),
            ("微信\\s", Config::default(), "without spaces and signs"),
            ("[A-C]x", Config::default(), "compared as `a`"),
            ("開", Config::default(), "compared as `开`"),
            ("(", Config::default(), "unclosed group"),
            ("a*", Config::default(), "without anything"),
            ("[一-龟]{50}", small, "interception.regex_bytes_max"),
            (&"a".repeat(1_001), Config::default(), "longer than 1000 bytes"),
        ] {
            let error = compile(pattern, &config).unwrap_err();
            assert!(error.contains(part), "{pattern}: {error}");
        }
        assert!(compile("加\\s*微信", &Config::default()).is_ok());
        assert!(compile("(?:VX|vx)[0-9]", &Config::default()).is_ok());
    }
}
