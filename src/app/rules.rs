//! Makes the rules that decide: wordlists from files, everything operators added from storage, compiled as one.
//!
//! A change is compiled with everything else first, then committed together with its version ([`crate::rulesets`]), then
//! swapped in whole. What cannot be compiled is never stored, and what is stored was compiled: a start finds rules that
//! work. One change at a time; each runs to its end even when whoever asked goes away.
//! Files are read at the start and when they change; a bad one leaves the old ones in force and says which line.

mod compile;
mod rollout;
mod sets;
#[cfg(test)]
mod tests;
mod watch;

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::wordlists::{Cause, FileError};
use crate::api;
use crate::clock::Clock;
use crate::config::Config;
use crate::interception::{self, Ruleset, WordlistSource};
use crate::pipeline::Rules;
use crate::rulesets::{
    self, Accepted, Author, Changed, Draft, Former, Head, LoadError, Proposal, Refused, Return, RuleKind,
    Sums, document_change, version_of,
};
use crate::storage::{AuditEntry, Change, SharedStorage, Write};
use crate::tasks::Tasks;
use crate::telemetry::metrics;
use compile::{Documents, Files};

pub(super) use rollout::watch_rollouts;
pub(super) use watch::watch;

/// Keeps the rules in force and makes new ones.
pub struct Rulebook {
    storage: SharedStorage,
    config: Config,
    clock: Clock,
    tasks: Tasks,
    current: Arc<ArcSwap<Rules>>,
    /// Held from the reading of documents until the swap: one change at a time.
    held: tokio::sync::Mutex<Held>,
    /// Why the files are not in force as they are now.
    trouble: Mutex<Option<LoadError>>,
}

/// What is in force.
struct Held {
    head: Head,
    files: Arc<Files>,
}

/// When to say that files cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// Each time: somebody asked for it.
    Always,
    /// When it was not said before.
    News,
}

impl Rulebook {
    /// Compiles the first rules; a gateway without them does not start. What is different from the last version, because
    /// files or the program changed meanwhile, becomes a version of its own.
    ///
    /// # Errors
    /// Names the file or document that cannot be used.
    pub async fn open(
        storage: SharedStorage,
        config: Config,
        clock: Clock,
        tasks: Tasks,
    ) -> anyhow::Result<Arc<Self>> {
        let head = rulesets::head(&*storage).await?;
        let documents = compile::documents(&*storage).await?;
        let (known, own) = (head.clone().unwrap_or_default(), config.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let files = compile::files(&own.interception)?;
            let sums = compile::sums(&documents, &files, &own);
            let is_known = sums.whole == known.sums.whole;
            let number = if is_known { known.number } else { known.number + 1 };
            let rules = compile::compile(number, &documents, &files, &own)?;
            let found = (!is_known).then(|| Found::of(&known, &documents, &files, sums, &own));
            anyhow::Ok((rules, files, found))
        });
        let (rules, files, found) = opened.await.context("the compilation was interrupted")??;
        let mut head = head.unwrap_or_default();
        if let Some(found) = found {
            let next = head.next(found.draft(clock.now_ms()), &config.rulesets);
            let change = Change { at_ms: clock.now_ms(), writes: next.writes, ..Change::default() };
            storage.apply(change).await.context("write the version of the rules")?;
            head = next.head;
        }
        tracing::info!(ruleset.version = version_of(head.number), "rules are in force");
        Ok(Arc::new(Self {
            storage,
            config,
            clock,
            tasks,
            current: Arc::new(ArcSwap::from_pointee(rules)),
            held: tokio::sync::Mutex::new(Held { head, files: Arc::new(files) }),
            trouble: Mutex::new(None),
        }))
    }

    /// Returns the cell that always holds the rules in force.
    pub fn current(&self) -> Arc<ArcSwap<Rules>> {
        self.current.clone()
    }

    /// Returns the limits of what is matched.
    pub fn words(&self) -> &interception::Config {
        &self.config.interception
    }

    /// Returns why the files are not in force as they are now.
    pub fn trouble(&self) -> Option<LoadError> {
        self.trouble.lock().clone()
    }

    /// Returns after how many messages a list in stages is held against what was expected of it.
    pub fn rollout_messages_min(&self) -> u64 {
        self.config.rulesets.rollout_messages_min
    }

    /// Compiles a draft with everything else that is in force; nothing is put in force. What is drafted takes the place
    /// of what has its name, wherever that is kept, and a list applies to everyone at once: for trying it out.
    ///
    /// # Errors
    /// Names what cannot be used.
    pub async fn compile_draft(&self, draft: api::Draft) -> anyhow::Result<Ruleset> {
        let held = self.held.lock().await;
        let (number, held_files) = (held.head.number, held.files.clone());
        let mut documents = compile::documents(&*self.storage).await?;
        drop(held);
        let words = self.config.interception.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let mut files = Files::clone(&held_files);
            if let Some(list) = draft.wordlist.map(WordlistSource::unrestricted) {
                files.lists.retain(|other| other.name != list.name);
                let body = serde_json::to_string(&list)?;
                documents.insert((RuleKind::Wordlist, list.name), body);
            }
            if let Some(set) = draft.rule_set {
                files.rules.retain(|other| other.name != set.name);
                let body = serde_json::to_string(&set)?;
                documents.insert((RuleKind::RuleSet, set.name), body);
            }
            if let Some(policy) = draft.policy {
                let body = serde_json::to_string(&policy)?;
                documents.insert((RuleKind::Policy, policy.name), body);
            }
            // What is wrong with single lines is what `PUT` and `lint` tell.
            let (ruleset, _) = compile::words(number, &documents, &files, &words)?;
            anyhow::Ok(ruleset)
        });
        compiled.await.context("the compilation was interrupted")?
    }

    /// Puts a change in force, or nothing of it. In force when this returns. Cancel safe: what was begun is finished.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    pub async fn change(self: &Arc<Self>, proposal: Proposal) -> Result<Accepted, Refused> {
        let this = Arc::clone(self);
        self.to_its_end(async move {
            let mut held = this.held.lock().await;
            this.advance(&mut held, None, proposal).await
        })
        .await
    }

    /// Puts the documents of an earlier version back, as a new version. Files stay as they are. Cancel safe.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    pub async fn roll_back(self: &Arc<Self>, back: Return) -> Result<Accepted, Refused> {
        let this = Arc::clone(self);
        self.to_its_end(async move {
            let mut held = this.held.lock().await;
            if back.expect.is_some_and(|expect| expect != held.head.number) {
                return Err(Refused::Stale(held.head.number));
            }
            let mut edits = rulesets::undo(&*this.storage, &held.head, back.to).await?;
            let now = compile::documents(&*this.storage).await?;
            edits.retain(|edit| now.get(&(edit.kind, edit.id.clone())) != edit.body.as_ref());
            if edits.is_empty() {
                return Ok(Accepted { number: held.head.number, versions: Vec::new() });
            }
            let version = version_of(back.to);
            let detail = serde_json::json!({"from": version_of(held.head.number), "reason": back.reason});
            let entry = AuditEntry::by(&back.actor, this.clock.now_ms(), "roll_back", "ruleset", &version);
            let proposal = Proposal {
                edits,
                restores: Some(back.to),
                audit: vec![entry.with(&detail)],
                ..Proposal::by(Author::of(&back.actor), back.reason)
            };
            this.advance(&mut held, None, proposal).await
        })
        .await
    }

    /// Reads files and documents again and puts them in force; returns the version. Cancel safe.
    ///
    /// # Errors
    /// Names the file, line or document that cannot be used; the old rules stay in force.
    pub async fn reload(self: &Arc<Self>, reason: &str) -> anyhow::Result<String> {
        self.read_files(reason.to_owned(), Report::Always).await
    }

    async fn read_files(self: &Arc<Self>, reason: String, report: Report) -> anyhow::Result<String> {
        let this = Arc::clone(self);
        let (done, outcome) = oneshot::channel();
        self.tasks.spawn("reload", async move {
            _ = done.send(this.read_files_now(reason, report).await); // whoever asked may be gone
        });
        outcome.await.context("the gateway is stopping")?
    }

    async fn read_files_now(&self, reason: String, report: Report) -> anyhow::Result<String> {
        let mut held = self.held.lock().await;
        let words = self.config.interception.clone();
        let read = tokio::task::spawn_blocking(move || compile::files(&words));
        let loaded = match read.await.context("the reading was interrupted")? {
            Ok(files) => {
                let proposal = Proposal::by(Author::File, reason);
                let advanced = self.advance(&mut held, Some(files), proposal).await;
                advanced.map_err(|error| (refused(&error), anyhow::Error::new(error)))
            }
            Err(error) => Err((unreadable(&error), anyhow::Error::new(error))),
        };
        match loaded {
            Ok(accepted) => {
                *self.trouble.lock() = None;
                Ok(version_of(accepted.number))
            }
            Err((trouble, error)) => {
                let known = self.trouble.lock().replace(trouble.clone());
                if report == Report::Always || known.as_ref() != Some(&trouble) {
                    metrics::reloaded(metrics::Success::Failed);
                    let (file, line) = (trouble.file, trouble.line);
                    let error = format!("{error:#}");
                    tracing::error!(
                        file,
                        line,
                        error,
                        "new rules cannot be used; the old ones stay in force"
                    );
                }
                Err(error)
            }
        }
    }

    /// Makes the next version, if anything is different. The caller holds the lock until this returns.
    async fn advance(
        &self,
        held: &mut Held,
        files: Option<Files>,
        proposal: Proposal,
    ) -> Result<Accepted, Refused> {
        let mut documents = compile::documents(&*self.storage).await?;
        let former = apply(&mut documents, &proposal);
        let files = files.map_or_else(|| held.files.clone(), Arc::new);
        let (old_files, new_files, config) = (held.files.clone(), files.clone(), self.config.clone());
        let (head, earlier) = (held.head.clone(), self.current.load_full());
        let compiled = tokio::task::spawn_blocking(move || {
            let sums = compile::sums(&documents, &new_files, &config);
            if sums.whole == head.sums.whole {
                return Ok(None);
            }
            let mut rules = compile::compile(head.number + 1, &documents, &new_files, &config)?;
            let listed_max = config.rulesets.terms_listed_max;
            let mut changes = new_files.changes(&old_files, listed_max);
            changes.extend(former.iter().filter_map(|former| {
                let now = documents.get(&(former.kind, former.id.clone()));
                let (before, after) = (former.body.as_deref(), now.map(String::as_str));
                document_change(former.kind, &former.id, before, after, listed_max)
            }));
            let is_changed = |list: &Changed, name: &str| list.kind == RuleKind::Wordlist && list.id == name;
            rules
                .words
                .continue_trials(&earlier.words, |name| !changes.iter().any(|list| is_changed(list, name)));
            rules.replies.continue_counts(&earlier.replies);
            rules.journeys.continue_counts(&earlier.journeys);
            anyhow::Ok(Some(News { rules, sums, changes, former }))
        });
        let news = compiled.await.map_err(|_| Refused::Stopping)?;
        let news = news.map_err(|error| Refused::Unusable(format!("{error:#}")))?;
        self.commit(held, files, proposal, news).await
    }

    /// Writes the change and its version in one commit, then swaps.
    async fn commit(
        &self,
        held: &mut Held,
        files: Arc<Files>,
        proposal: Proposal,
        news: Option<News>,
    ) -> Result<Accepted, Refused> {
        let at_ms = self.clock.now_ms();
        let edited = proposal.edits.len();
        let mut writes: Vec<Write> = proposal.edits.into_iter().map(write).collect();
        let next = news.map(|news| {
            let draft = Draft {
                at_ms,
                author: proposal.author,
                reason: proposal.reason,
                restores: proposal.restores,
                changes: news.changes,
                former: Some(news.former),
                sums: news.sums,
            };
            let next = held.head.next(draft, &self.config.rulesets);
            writes.extend(next.writes);
            (next.head, news.rules)
        });
        let mut versions = Vec::new();
        if !writes.is_empty() || !proposal.audit.is_empty() {
            let change = Change { at_ms, writes, audit: proposal.audit, ..Change::default() };
            versions = self.storage.apply(change).await?;
            versions.truncate(edited);
        }
        if let Some((head, rules)) = next {
            self.current.store(Arc::new(rules));
            *held = Held { head, files };
            metrics::reloaded(metrics::Success::Ok);
            tracing::info!(ruleset.version = version_of(held.head.number), "new rules are in force");
        }
        Ok(Accepted { number: held.head.number, versions })
    }

    /// Runs `work` in a task of its own: a client that goes away must not leave a stored change without its swap.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        let (done, outcome) = oneshot::channel();
        self.tasks.spawn("change_rules", async move {
            _ = done.send(work.await); // whoever asked may be gone
        });
        outcome.await.unwrap_or(Err(Refused::Stopping))
    }
}

/// Rules that are different from those in force.
struct News {
    rules: Rules,
    sums: Sums,
    changes: Vec<Changed>,
    former: Vec<Former>,
}

/// Makes the edits; returns what the documents were before.
fn apply(documents: &mut Documents, proposal: &Proposal) -> Vec<Former> {
    let edits = proposal.edits.iter();
    edits
        .map(|edit| {
            let key = (edit.kind, edit.id.clone());
            let body = match &edit.body {
                Some(body) => documents.insert(key, body.clone()),
                None => documents.remove(&key),
            };
            Former { kind: edit.kind, id: edit.id.clone(), body }
        })
        .collect()
}

fn write(edit: rulesets::Edit) -> Write {
    let (kind, id, expect) = (edit.kind.document(), edit.id, edit.expect);
    match edit.body {
        Some(body) => Write::Put { kind, id, body, expect },
        None => Write::Delete { kind, id },
    }
}

/// What a start finds different from the last version.
struct Found {
    author: Author,
    reason: &'static str,
    changes: Vec<Changed>,
    /// `None` when documents were changed by a program that keeps no versions.
    former: Option<Vec<Former>>,
    sums: Sums,
}

impl Found {
    fn of(known: &Head, documents: &Documents, files: &Files, sums: Sums, config: &Config) -> Self {
        let listed_max = config.rulesets.terms_listed_max;
        let mut changes = files.changes_since(&known.sums.files, listed_max);
        let same_documents = known.sums.documents == sums.documents;
        let (author, reason) = match (known.number, same_documents, changes.is_empty()) {
            (0, _, _) => (Author::System, "the first version of this data directory"),
            (_, false, _) => (Author::System, "documents were changed by a program that keeps no versions"),
            (_, true, false) => (Author::File, "files changed while the gateway was down"),
            (_, true, true) => (Author::System, "the program or its configuration changed"),
        };
        if known.number == 0 {
            changes.extend(
                documents.iter().filter_map(|((kind, id), body)| {
                    document_change(*kind, id, None, Some(body), listed_max)
                }),
            );
        }
        let former = (same_documents || known.number == 0).then(Vec::new);
        Self { author, reason, changes, former, sums }
    }

    fn draft(self, at_ms: i64) -> Draft {
        let Self { author, reason, changes, former, sums } = self;
        Draft { at_ms, author, reason: reason.to_owned(), restores: None, changes, former, sums }
    }
}

fn refused(error: &Refused) -> LoadError {
    LoadError { file: None, line: None, detail: error.to_string() }
}

fn unreadable(error: &FileError) -> LoadError {
    let file = error.path.file_name().map(|name| name.to_string_lossy().into_owned());
    match &error.cause {
        Cause::Line(error) => LoadError { file, line: Some(error.line), detail: error.reason.clone() },
        Cause::Io(_) | Cause::Rule(_) | Cause::Empty => {
            LoadError { file, line: None, detail: error.cause.to_string() }
        }
    }
}
