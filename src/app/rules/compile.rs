//! From what is written to what decides: reads documents, notices what is different, compiles.
//!
//! Not for: putting anything in force. Nothing here runs on an async worker but the reading of documents.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::app::wordlists::{self, FileError};
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::interception::{
    self, Life, Origin, Policy, Problem, RuleSource, Ruleset, Sources, WordlistSource,
};
use crate::journeys::{Journey, Journeys};
use crate::pipeline::{Limits, Rules};
use crate::replies;
use crate::rulesets::{
    Changed, How, LifeRecord, RuleKind, Sums, rule_set_change, version_of, wordlist_change,
};
use crate::storage::{Storage, StorageError};
use crate::telemetry::metrics;
use crate::welcomes::{Welcome, Welcomes};

/// Documents read at once.
const PAGE: usize = 500;

/// What operators wrote: JSON by kind and id.
pub(super) type Documents = BTreeMap<(RuleKind, String), String>;

/// Lists that are kept in files or came with the binary.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// In the order in which they are compiled.
    pub(super) lists: Vec<WordlistSource>,
    /// Sets of rules beside them.
    pub(super) rules: Vec<RuleSource>,
    /// SHA-256 over each, in hex, by name.
    pub(super) digests: BTreeMap<String, String>,
}

impl Files {
    /// Takes lists as they were read.
    pub(super) fn of(lists: Vec<WordlistSource>, rules: Vec<RuleSource>) -> Self {
        let digest = |list: &WordlistSource| {
            let mut digest = Digest::default();
            digest.add(&serde_json::to_vec(list).unwrap_or_default()); // plain data: cannot fail
            (list.name.clone(), digest.hex())
        };
        let mut digests: BTreeMap<_, _> = lists.iter().map(digest).collect();
        for set in &rules {
            let mut digest = Digest::default();
            digest.add(&serde_json::to_vec(set).unwrap_or_default()); // plain data: cannot fail
            digests.insert(set.name.clone(), digest.hex());
        }
        Self { lists, rules, digests }
    }

    /// Says what is different from the lists that were there before.
    pub(super) fn changes(&self, before: &Files, listed_max: usize) -> Vec<Changed> {
        if self.digests == before.digests {
            return Vec::new();
        }
        let names =
            self.digests.keys().chain(before.digests.keys().filter(|name| !self.digests.contains_key(*name)));
        names
            .filter_map(|name| {
                let (old, new) = (before.set(name), self.set(name));
                if old.is_some() || new.is_some() {
                    return rule_set_change(old, new, listed_max);
                }
                wordlist_change(before.list(name), self.list(name), listed_max)
            })
            .collect()
    }

    fn list(&self, name: &str) -> Option<&WordlistSource> {
        self.lists.iter().find(|list| list.name == name)
    }

    fn set(&self, name: &str) -> Option<&RuleSource> {
        self.rules.iter().find(|set| set.name == name)
    }

    /// Says which lists are different from those of which only digests are known.
    pub(super) fn changes_since(&self, before: &BTreeMap<String, String>, listed_max: usize) -> Vec<Changed> {
        let made = self.lists.iter().filter_map(|list| match before.get(&list.name) {
            None => wordlist_change(None, Some(list), listed_max),
            Some(digest) if self.digests.get(&list.name) != Some(digest) => {
                let scopes = Some(list.scope.clone()).filter(|scope| !scope.is_everyone());
                Some(Changed {
                    scopes: scopes.into_iter().collect(),
                    ..bare(RuleKind::Wordlist, &list.name, list.origin, How::Updated)
                })
            }
            Some(_) => None,
        });
        let sets = self.rules.iter().filter_map(|set| match before.get(&set.name) {
            None => rule_set_change(None, Some(set), listed_max),
            Some(digest) if self.digests.get(&set.name) != Some(digest) => {
                Some(bare(RuleKind::RuleSet, &set.name, Origin::File, How::Updated))
            }
            Some(_) => None,
        });
        let gone = before.keys().filter(|name| !self.digests.contains_key(*name));
        // Of what is gone nobody knows any more whether it was terms or rules.
        let gone = gone.map(|name| bare(RuleKind::Wordlist, name, Origin::File, How::Deleted));
        made.chain(sets).chain(gone).collect()
    }
}

/// A change of which nobody knows what was before.
fn bare(kind: RuleKind, name: &str, origin: Origin, how: How) -> Changed {
    let (id, scopes, fields) = (name.to_owned(), Vec::new(), Vec::new());
    Changed { kind, id, origin, how, scopes, terms: None, allow: None, rules: None, fields }
}

/// Reads the files that the configuration names.
///
/// # Errors
/// Names the file and, where one is at fault, the line.
pub(super) fn files(config: &interception::Config) -> Result<Files, FileError> {
    Ok(Files::of(wordlists::configured(config)?, wordlists::configured_rules(config)?))
}

/// Reads what operators wrote.
pub(super) async fn documents(storage: &dyn Storage) -> Result<Documents, StorageError> {
    let mut all = Documents::new();
    for kind in RuleKind::ALL {
        let mut after = None;
        loop {
            let page = storage.documents(kind.document(), after, PAGE).await?;
            let last = page.len() < PAGE;
            after = page.last().map(|document| document.id.clone());
            all.extend(page.into_iter().map(|document| ((kind, document.id), document.body)));
            if last {
                break;
            }
        }
    }
    Ok(all)
}

/// Sums up everything that decides: the same sum, the same verdicts.
pub(super) fn sums(documents: &Documents, files: &Files, config: &Config) -> Sums {
    let mut digest = Digest::default();
    for ((kind, id), body) in documents {
        digest.add(kind.document().as_str().as_bytes());
        digest.add(id.as_bytes());
        digest.add(body.as_bytes());
    }
    let documents = digest.hex();
    let mut digest = Digest::default();
    digest.add(documents.as_bytes());
    digest.add(env!("CARGO_PKG_VERSION").as_bytes());
    // Where the files lie decides nothing. Compared only with what this very program wrote, so its own notation will do.
    let words =
        interception::Config { wordlists_dir: std::path::PathBuf::new(), ..config.interception.clone() };
    digest.add(format!("{words:?}").as_bytes());
    digest.add(format!("{:?}", limits(config)).as_bytes());
    for (name, file) in &files.digests {
        digest.add(name.as_bytes());
        digest.add(file.as_bytes());
    }
    Sums { whole: digest.hex(), documents, files: files.digests.clone() }
}

/// Compiles everything. Tenths of a second with many terms: call it off the async workers.
///
/// # Errors
/// Names the document or list that cannot be used.
pub(super) fn compile(
    number: u64,
    documents: &Documents,
    files: &Files,
    config: &Config,
) -> anyhow::Result<Rules> {
    let watch = Stopwatch::start();
    let (words, problems) = words(number, documents, files, &config.interception)?;
    for problem in problems {
        let (wordlist, line, remedy) = (problem.wordlist, problem.line, problem.kind.remedy());
        tracing::warn!(wordlist, line, remedy, "a line of a wordlist does not work as written");
    }
    metrics::ruleset_compiled(watch.elapsed(), words.terms());
    let limits = limits(config);
    let named = |what: &str, id: String| format!("{what} `{id}`");
    let replies = read::<replies::Rule>(documents, RuleKind::Reply)?;
    let synonyms = read::<replies::SynonymList>(documents, RuleKind::Synonyms)?;
    let synonyms = replies::Synonyms::of(synonyms.iter().map(|(_, list)| list));
    let replies = replies::Rules::compile(&replies, &synonyms, &limits.replies, &config.interception)
        .map_err(|(id, error)| anyhow::Error::new(error).context(named("reply rule", id)))?;
    let welcomes = read::<Welcome>(documents, RuleKind::Welcome)?;
    let welcomes = Welcomes::compile(&welcomes, &limits.welcomes)
        .map_err(|(id, error)| anyhow::Error::new(error).context(named("welcome", id)))?;
    let journeys = read::<Journey>(documents, RuleKind::Journey)?;
    let journeys = Journeys::compile(&journeys, &limits.journeys)
        .map_err(|(id, error)| anyhow::Error::new(error).context(named("journey", id)))?;
    Ok(Rules { words, replies, welcomes, journeys, limits })
}

/// Compiles wordlists, rules and policies, and says which lines do not work as written.
///
/// # Errors
/// Names the document or list that cannot be used.
pub(super) fn words(
    number: u64,
    documents: &Documents,
    files: &Files,
    config: &interception::Config,
) -> anyhow::Result<(Ruleset, Vec<Problem>)> {
    let mut sources = files.lists.clone();
    for list in &mut sources {
        list.life =
            life_of_file(documents, list).with_context(|| format!("the life of wordlist `{}`", list.name))?;
    }
    for (name, list) in read::<WordlistSource>(documents, RuleKind::Wordlist)? {
        sources.push(WordlistSource { name, origin: Origin::Api, ..list });
    }
    let mut rules = files.rules.clone();
    for (name, set) in read::<RuleSource>(documents, RuleKind::RuleSet)? {
        rules.push(RuleSource { name, origin: Origin::Api, ..set });
    }
    let policies = read::<Policy>(documents, RuleKind::Policy)?;
    let policies = policies.into_iter().map(|(name, policy)| Policy { name, ..policy }).collect();
    let sources = Sources { wordlists: &sources, rules: &rules, policies };
    Ruleset::compile_with(version_of(number), sources, config).context("compile wordlists and rules")
}

/// Returns the state of a list that is kept in a file: what the file says, or where it was moved from that.
pub(super) fn life_of_file(documents: &Documents, file: &WordlistSource) -> serde_json::Result<Life> {
    let Some(record) = documents.get(&(RuleKind::WordlistLife, file.name.clone())) else {
        return Ok(file.life.clone());
    };
    let record: LifeRecord = serde_json::from_str(record)?;
    Ok(if record.of.as_ref() == Some(&file.life) { record.to } else { file.life.clone() })
}

fn limits(config: &Config) -> Limits {
    Limits {
        policy: config.interception.policy.clone(),
        dedupe: config.dedupe.clone(),
        conduct: config.conduct.clone(),
        replies: config.replies.clone(),
        welcomes: config.welcomes.clone(),
        journeys: config.journeys.clone(),
        evidence: config.evidence.limits(),
        questions: config.questions.clone(),
        traits: config.fleet.case_groups_min > 0,
    }
}

fn read<T: DeserializeOwned>(documents: &Documents, kind: RuleKind) -> anyhow::Result<Vec<(String, T)>> {
    let of_kind = documents.iter().filter(|((of, _), _)| *of == kind);
    of_kind
        .map(|((_, id), body)| {
            let what = || format!("{} `{id}` cannot be read", kind.document().as_str());
            Ok((id.clone(), serde_json::from_str(body).with_context(what)?))
        })
        .collect()
}

/// SHA-256 over parts, each with its length before it: no two sequences of parts have the same bytes.
#[derive(Default)]
struct Digest(Sha256);

impl Digest {
    fn add(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    fn hex(self) -> String {
        self.0.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    }
}
