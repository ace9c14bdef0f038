//! Compiles a draft as if it were in force: with the same files and documents as `rules`, none of them changed.

use anyhow::Context;

use super::rules::documents;
use crate::api::Draft;
use crate::interception::{Config, Origin, Policy, Ruleset, WordlistSource};
use crate::storage::{DocumentKind, SharedStorage};

/// Where the other rules are from.
pub(crate) struct Drafts {
    /// What operators added.
    pub(crate) storage: SharedStorage,
    /// Files and limits.
    pub(crate) config: Config,
}

impl Drafts {
    /// Compiles a draft beside everything else.
    ///
    /// # Errors
    /// Names what cannot be used.
    pub(crate) async fn compile(&self, draft: Draft) -> anyhow::Result<Ruleset> {
        let words = documents::<WordlistSource>(&self.storage, DocumentKind::Wordlist).await?;
        let policies = documents::<Policy>(&self.storage, DocumentKind::Policy).await?;
        let config = self.config.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let mut sources = super::wordlists::configured(&config)?;
            let added = |(name, list)| WordlistSource { name, origin: Origin::Api, ..list };
            sources.extend(words.into_iter().map(added));
            let mut policies: Vec<_> =
                policies.into_iter().map(|(name, policy)| Policy { name, ..policy }).collect();
            if let Some(list) = draft.wordlist {
                replace(&mut sources, list, |list| &list.name);
            }
            if let Some(policy) = draft.policy {
                replace(&mut policies, policy, |policy| &policy.name);
            }
            // What is wrong with single lines is what `PUT` and `lint` tell.
            let (ruleset, _) =
                Ruleset::compile("draft", &sources, policies, &config).context("compile the draft")?;
            Ok(ruleset)
        });
        compiled.await.context("the compilation was interrupted")?
    }
}

fn replace<T>(all: &mut Vec<T>, new: T, name: impl Fn(&T) -> &str) {
    all.retain(|one| name(one) != name(&new));
    all.push(new);
}
