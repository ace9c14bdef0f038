//! Totals of a scan, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::event::Verdict;
use crate::interception::{Judgement, Policy, Ruleset};

/// What was counted so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Lines judged or refused.
    pub(super) lines: u64,
    /// Bytes of their text.
    pub(super) bytes: u64,
    /// Lines that could not be judged.
    pub(super) errors: u64,
    pass: u64,
    mask: u64,
    review: u64,
    block: u64,
    /// By wordlist: messages with at least one hit.
    wordlists: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, judgement: &Judgement) {
        self.lines += 1;
        *match judgement.verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Mask => &mut self.mask,
            Verdict::Review => &mut self.review,
            Verdict::Block => &mut self.block,
        } += 1;
        for (index, hit) in judgement.hits.iter().enumerate() {
            let name = &hit.hit.wordlist;
            if judgement.hits.iter().take(index).all(|earlier| earlier.hit.wordlist != *name) {
                match self.wordlists.get_mut(name) {
                    Some(count) => *count += 1,
                    None => _ = self.wordlists.insert(name.clone(), 1),
                }
            }
        }
    }

    pub(super) fn count_error(&mut self) {
        self.lines += 1;
        self.errors += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.pass += other.pass;
        self.mask += other.mask;
        self.review += other.review;
        self.block += other.block;
        for (name, count) in other.wordlists {
            *self.wordlists.entry(name).or_default() += count;
        }
    }
}

/// Writes rate and totals to standard error.
pub(super) fn write(
    tally: &Tally,
    elapsed: Duration,
    compiled: Duration,
    ruleset: &Ruleset,
    policy: &Policy,
    threads: usize,
) -> io::Result<()> {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    #[expect(clippy::cast_precision_loss, reason = "rates are for people")]
    let (lines, megabytes) = (tally.lines as f64 / seconds, tally.bytes as f64 / 1e6 / seconds);
    let names = ruleset.wordlists().iter().map(|list| {
        let hit = tally.wordlists.get(&list.name).copied().unwrap_or(0);
        format!("{} ({} terms, {hit} messages hit)", list.name, list.terms)
    });
    let mut err = io::stderr().lock();
    writeln!(
        err,
        "{} lines in {seconds:.3} s: {lines:.0} lines/s, {megabytes:.1} MB/s, output written ({threads} threads)",
        tally.lines
    )?;
    writeln!(
        err,
        "pass {}, mask {}, review {}, block {}, errors {} (policy {})",
        tally.pass, tally.mask, tally.review, tally.block, tally.errors, policy.name
    )?;
    writeln!(
        err,
        "wordlists: {}; compiled in {:.3} s",
        names.collect::<Vec<_>>().join(", "),
        compiled.as_secs_f64()
    )
}
