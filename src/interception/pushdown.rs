//! Handing words to a platform that itself stops them in what staff send.
//!
//! A platform takes rules: a name, some words, for whom. [`plan`] spreads the words over rules within the platform's
//! limits; [`reconcile`] says which calls make the platform's rules those of the plan, and what somebody else changed
//! meanwhile. Pure: what is on the platform comes in as values, calls go out as values.
//!
//! Invariants: a word is in one rule of its range at most; a word stays in its rule as long as both exist, so a new word
//! changes one rule; rules that are not ours are never touched and leave us less room.

mod reconcile;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

pub use reconcile::{Drift, DriftKind, Found, Handed, Step, reconcile};

/// What a platform takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most rules.
    pub rules: usize,
    /// Most words of a rule.
    pub words: usize,
    /// Most characters of a word.
    pub chars: usize,
}

/// For whom a rule holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Departments, by the platform's number.
    pub departments: BTreeSet<u64>,
    /// Members of staff, by the platform's id.
    pub staff: BTreeSet<String>,
}

/// What the platform does with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Stops the message.
    Stop,
    /// Warns whoever is about to send it.
    Warn,
}

/// The words of one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// For whom.
    pub range: Range,
    /// Each word with what is to be done.
    pub words: BTreeMap<String, Mode>,
}

/// One rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rule {
    /// Recognisably ours, at most [`NAME_CHARS_MAX`] characters.
    pub name: String,
    /// What happens.
    pub mode: Mode,
    /// For whom.
    pub range: Range,
    /// The words.
    pub words: BTreeSet<String>,
}

/// A word that is not handed over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// The word.
    pub word: String,
    /// Why.
    pub why: Why,
}

/// Why a word is not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The platform takes only shorter words.
    TooLong,
    /// The platform takes no more rules.
    NoRoom,
}

/// What is to be on the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Our rules.
    pub rules: Vec<Rule>,
    /// Words that are in none of them, sorted.
    pub left_out: Vec<LeftOut>,
}

/// Longest name of a rule, in characters: WeCom's.
pub const NAME_CHARS_MAX: usize = 20;

/// What the names of an account's rules begin with. People see it in the platform's console.
pub fn name_prefix(account: &str) -> String {
    format!("门神-{:05x}-", short_hash(account.as_bytes(), 0))
}

/// Says whether a rule was made by us for this account.
pub fn is_ours(account: &str, name: &str) -> bool {
    name.starts_with(&name_prefix(account))
}

/// Twenty bits of a hash that stays the same over releases: names on a platform depend on it.
fn short_hash(bytes: &[u8], salt: u32) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x6d65_6e73_6865_6e21, 0x7075_7368_646f_776e);
    hasher.write(bytes);
    hasher.write_u32(salt);
    hasher.finish() & 0xF_FFFF
}

/// Tells whether what is wanted is what was wanted before; the same over releases.
pub fn digest(wanted: &[Wanted]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x6d65_6e73_6865_6e21, 0x7761_6e74_6564_2d31);
    for Wanted { range, words } in wanted {
        hasher.write(&serde_json::to_vec(&(range, words)).unwrap_or_default()); // numbers and strings
    }
    hasher.finish()
}

/// Rules of one range and mode; their names differ in the number at the end.
struct Series<'w> {
    stem: String,
    mode: Mode,
    range: &'w Range,
    rules: Vec<(u32, BTreeSet<String>)>,
    /// Words without a rule yet.
    loose: BTreeSet<String>,
}

/// Spreads words over rules. `before` are the rules of the last plan, so that what is there stays where it is.
pub fn plan(account: &str, wanted: &[Wanted], before: &[Rule], limits: Limits) -> Plan {
    let mut left_out = BTreeSet::new();
    let mut series = series_of(account, wanted, limits.chars, &mut left_out);
    for series in &mut series {
        series.keep(before, limits.words);
    }
    drop_surplus(&mut series, limits.rules);
    let mut rules: usize = series.iter().map(|series| series.rules.len()).sum();
    for series in &mut series {
        rules += series.fill(limits.words, limits.rules.saturating_sub(rules));
        left_out.extend(series.loose.iter().map(|word| LeftOut { word: word.clone(), why: Why::NoRoom }));
    }
    let rules = series.into_iter().flat_map(Series::finish).collect();
    Plan { rules, left_out: left_out.into_iter().collect() }
}

/// Makes a series for each range and mode, those that stop before those that warn: they get room first.
fn series_of<'w>(
    account: &str,
    wanted: &'w [Wanted],
    chars_max: usize,
    left_out: &mut BTreeSet<LeftOut>,
) -> Vec<Series<'w>> {
    let prefix = name_prefix(account);
    let mut taken = BTreeSet::new();
    let mut series = Vec::new();
    for Wanted { range, words } in wanted {
        let bytes = serde_json::to_vec(range).unwrap_or_default(); // numbers and strings
        let fresh = (0..=u32::MAX).map(|salt| short_hash(&bytes, salt)).find(|hash| taken.insert(*hash));
        let number = fresh.unwrap_or_default(); // there are a million, and fewer ranges
        for (mode, letter) in [(Mode::Stop, 's'), (Mode::Warn, 'w')] {
            let mut loose = BTreeSet::new();
            for (word, _) in words.iter().filter(|(_, own)| **own == mode) {
                if word.chars().count() <= chars_max {
                    loose.insert(word.clone());
                } else {
                    left_out.insert(LeftOut { word: word.clone(), why: Why::TooLong });
                }
            }
            series.push(Series {
                stem: format!("{prefix}{number:05x}{letter}"),
                mode,
                range,
                rules: Vec::new(),
                loose,
            });
        }
    }
    series.sort_by_key(|series| series.mode);
    series
}

/// Where there are more rules than allowed the last ones go; their words look for room elsewhere.
fn drop_surplus(series: &mut [Series<'_>], rules_max: usize) {
    let mut surplus = series.iter().map(|s| s.rules.len()).sum::<usize>().saturating_sub(rules_max);
    for series in series.iter_mut().rev() {
        while surplus > 0
            && let Some((_, words)) = series.rules.pop()
        {
            series.loose.extend(words);
            surplus -= 1;
        }
    }
}

impl Series<'_> {
    /// Keeps the words that are still wanted in the rules they are in.
    fn keep(&mut self, before: &[Rule], words_max: usize) {
        for rule in before {
            let number = rule.name.strip_prefix(&self.stem).and_then(|number| number.parse().ok());
            let Some(number) = number else { continue };
            let kept = rule.words.iter().filter(|word| self.loose.contains(*word)).take(words_max);
            let kept: BTreeSet<String> = kept.cloned().collect();
            if kept.is_empty() || self.rules.iter().any(|(taken, _)| *taken == number) {
                continue;
            }
            self.loose.retain(|word| !kept.contains(word));
            self.rules.push((number, kept));
        }
        self.rules.sort_unstable_by_key(|(number, _)| *number);
    }

    /// Gives loose words a rule: one with room, else a new one. Returns how many new ones there are.
    fn fill(&mut self, words_max: usize, new_max: usize) -> usize {
        let words_max = words_max.max(1);
        for (_, words) in &mut self.rules {
            while words.len() < words_max
                && let Some(word) = self.loose.pop_first()
            {
                words.insert(word);
            }
        }
        let mut made = 0;
        while made < new_max && !self.loose.is_empty() {
            let number = (1..=u32::MAX)
                .find(|number| self.rules.iter().all(|(taken, _)| taken != number))
                .unwrap_or(u32::MAX);
            let mut words = BTreeSet::new();
            while words.len() < words_max
                && let Some(word) = self.loose.pop_first()
            {
                words.insert(word);
            }
            self.rules.push((number, words));
            made += 1;
        }
        made
    }

    fn finish(self) -> Vec<Rule> {
        let Self { stem, mode, range, mut rules, .. } = self;
        rules.sort_unstable_by_key(|(number, _)| *number);
        let rule = |(number, words): (u32, BTreeSet<String>)| Rule {
            name: format!("{stem}{number:02}"),
            mode,
            range: range.clone(),
            words,
        };
        rules.into_iter().map(rule).collect()
    }
}

#[cfg(test)]
mod tests;
