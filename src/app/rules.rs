//! Makes the rules that decide: wordlists from files, everything operators added from storage, compiled as one.
//!
//! Compiled off the hot path and swapped whole; what cannot be compiled leaves the old rules in force and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::interception::{Origin, Policy, Ruleset, WordlistSource};
use crate::pipeline::{Limits, Rules};
use crate::replies;
use crate::storage::{DocumentKind, SharedStorage};
use crate::telemetry::metrics;
use crate::welcomes::Welcomes;

/// Documents read at once.
const PAGE: usize = 500;

/// Keeps the rules in force and makes new ones.
pub struct Rulebook {
    storage: SharedStorage,
    config: Config,
    current: Arc<ArcSwap<Rules>>,
    compiled: AtomicU64,
    /// One compilation at a time; the last request wins.
    compiling: tokio::sync::Mutex<()>,
}

impl Rulebook {
    /// Compiles the first rules; a gateway without them does not start.
    ///
    /// # Errors
    /// Names the file or document that cannot be used.
    pub async fn open(storage: SharedStorage, config: Config) -> anyhow::Result<Self> {
        let rules = compile(&storage, &config, 1).await?;
        Ok(Self {
            storage,
            config,
            current: Arc::new(ArcSwap::from_pointee(rules)),
            compiled: AtomicU64::new(1),
            compiling: tokio::sync::Mutex::new(()),
        })
    }

    /// Returns the cell that always holds the rules in force.
    pub fn current(&self) -> Arc<ArcSwap<Rules>> {
        self.current.clone()
    }

    /// Reads everything again and puts it in force; returns the new version.
    ///
    /// # Errors
    /// Names what cannot be used; the old rules stay.
    pub async fn reload(&self) -> anyhow::Result<String> {
        let _one = self.compiling.lock().await;
        let number = self.compiled.fetch_add(1, Ordering::SeqCst) + 1;
        match compile(&self.storage, &self.config, number).await {
            Ok(rules) => {
                let version = rules.words.version().to_owned();
                self.current.store(Arc::new(rules));
                tracing::info!(ruleset.version = version, "new rules are in force");
                metrics::reloaded(metrics::Success::Ok);
                Ok(version)
            }
            Err(error) => {
                metrics::reloaded(metrics::Success::Failed);
                tracing::error!(
                    error = format!("{error:#}"),
                    "new rules cannot be used; the old ones stay in force"
                );
                Err(error)
            }
        }
    }
}

async fn compile(storage: &SharedStorage, config: &Config, number: u64) -> anyhow::Result<Rules> {
    let words = documents::<WordlistSource>(storage, DocumentKind::Wordlist).await?;
    let policies = documents::<Policy>(storage, DocumentKind::Policy).await?;
    let reply_rules = documents::<replies::Rule>(storage, DocumentKind::Reply).await?;
    let welcomes = documents(storage, DocumentKind::Welcome).await?;
    let config = config.clone();
    let compiled = tokio::task::spawn_blocking(move || {
        let watch = Stopwatch::start();
        let mut sources = super::wordlists::configured(&config.interception)?;
        sources.extend(words.into_iter().map(|(name, list)| WordlistSource {
            name,
            origin: Origin::Api,
            ..list
        }));
        let policies = policies.into_iter().map(|(name, policy)| Policy { name, ..policy }).collect();
        let (words, problems) =
            Ruleset::compile(format!("r-{number}"), &sources, policies, &config.interception)
                .context("compile wordlists")?;
        for problem in problems {
            let (wordlist, line, remedy) = (problem.wordlist, problem.line, problem.kind.remedy());
            tracing::warn!(wordlist, line, remedy, "a line of a wordlist does not work as written");
        }
        metrics::ruleset_compiled(watch.elapsed(), words.terms());
        let limits = Limits {
            policy: config.interception.policy,
            dedupe: config.dedupe,
            conduct: config.conduct,
            replies: config.replies,
            welcomes: config.welcomes,
            evidence: config.evidence.limits(),
        };
        let named = |what: &str, id: String| format!("{what} `{id}`");
        let replies = replies::Rules::compile(&reply_rules, &limits.replies)
            .map_err(|(id, error)| anyhow::Error::new(error).context(named("reply rule", id)))?;
        let welcomes = Welcomes::compile(&welcomes, &limits.welcomes)
            .map_err(|(id, error)| anyhow::Error::new(error).context(named("welcome", id)))?;
        Ok(Rules { words, replies, welcomes, limits })
    });
    compiled.await.context("the compilation was interrupted")?
}

/// Reads every document of a kind, each with its id.
pub(super) async fn documents<T: DeserializeOwned>(
    storage: &SharedStorage,
    kind: DocumentKind,
) -> anyhow::Result<Vec<(String, T)>> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = storage.documents(kind, after, PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        for document in page {
            let body = serde_json::from_str(&document.body)
                .with_context(|| format!("{} `{}` cannot be read", kind.as_str(), document.id))?;
            all.push((document.id, body));
        }
        if last {
            return Ok(all);
        }
    }
}
