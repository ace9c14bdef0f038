//! The whole stage: rules one by one, against oracles, and the shipped packs on ordinary and spam lines.

mod audiences;
mod cases;
mod folding;
mod memory;
mod oracle;
mod packs;
mod properties;
mod rules;
mod trials;

use super::*;

/// Compiles one list in the file format and returns the ruleset.
fn ruleset(text: &str) -> Ruleset {
    let list = WordlistSource::parse("list", Origin::File, text).unwrap();
    Ruleset::compile("r-1", &[list], Vec::new(), &Config::default()).unwrap().0
}

fn judge(ruleset: &Ruleset, policy: &str, text: &str) -> Judgement {
    ruleset.judge(text, ruleset.policy(policy).unwrap(), &Audience::default(), &mut Scratch::default())
}

/// Terms that count in `text`, in order.
fn terms(ruleset: &Ruleset, policy: &str, text: &str) -> Vec<String> {
    judge(ruleset, policy, text).hits.into_iter().map(|h| h.hit.term).collect()
}
