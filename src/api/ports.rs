//! What the API asks of the running gateway beyond single handles; the composition root answers.

use async_trait::async_trait;
use serde_json::Value;

use crate::connectors::{PlatformNumbers, SyncProgress};
use crate::event::FieldError;
use crate::interception::{Policy, RuleSource, Ruleset, WordlistSource};
use crate::rulesets::{Accepted, LoadError, Move, Proposal, Refused, Return};
use crate::statistics::coverage::Sight;
use crate::storage::DocumentKind;

/// What holds the parts together: checks that need several of them, changes of rules, and what follows from a change of accounts.
#[async_trait]
pub trait House: Send + Sync + 'static {
    /// Says what is wrong with a wordlist, set of rules, policy, reply, welcome or journey before it is stored.
    ///
    /// # Errors
    /// Every field that is wrong.
    async fn check(&self, kind: DocumentKind, id: &str, body: &Value) -> Result<(), Vec<FieldError>>;

    /// Puts a change of rules in force together with a new version, or nothing of it.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    async fn change_rules(&self, proposal: Proposal) -> Result<Accepted, Refused>;

    /// Puts the documents of an earlier version back, as a new version.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    async fn roll_back_rules(&self, back: Return) -> Result<Accepted, Refused>;

    /// Puts a wordlist into another state of its life, wherever it is kept.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    async fn move_wordlist(&self, wanted: Move) -> Result<Accepted, Refused>;

    /// Returns after how many messages a list in stages is held against what was expected of it.
    fn rollout_messages_min(&self) -> u64;

    /// Returns why the files of wordlists are not in force as they are now.
    fn rules_trouble(&self) -> Option<LoadError>;

    /// Compiles a draft with everything else that is in force, without putting it in force.
    ///
    /// # Errors
    /// Says in words what cannot be used.
    async fn compile_draft(&self, draft: Draft) -> Result<Ruleset, String>;

    /// Connects the accounts as the directory has them now.
    async fn reload_accounts(&self);

    /// Says that a duty on a platform has something to do.
    fn wake_duties(&self);

    /// Reads again everything of the configuration that needs no restart.
    ///
    /// # Errors
    /// Says in words what is wrong; nothing was changed.
    async fn reload_configuration(&self) -> Result<Reloaded, String>;
}

/// Rules that are to be tried: each takes the place of the one of its name, or stands beside the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// A wordlist.
    #[serde(default)]
    pub wordlist: Option<WordlistSource>,
    /// A set of rules.
    #[serde(default)]
    pub rule_set: Option<RuleSource>,
    /// A policy.
    #[serde(default)]
    pub policy: Option<Policy>,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// The ruleset that is in force now.
    pub ruleset: String,
    /// Keys whose new value needs a restart.
    pub needs_restart: Vec<String>,
}

/// What goes on by itself at connected accounts, as far as people ask. `None` everywhere: the platform offers no such thing,
/// or the account is not connected.
#[async_trait]
pub trait Platforms: Send + Sync + 'static {
    /// Since when, and why, nobody watches an account.
    fn protection(&self, account: &str) -> Option<Protection>;

    /// Since when a group has a change that could not be followed.
    fn gap_since(&self, account: &str, group: &str) -> Option<i64>;

    /// How far the reading of every group is.
    fn sync(&self, account: &str) -> Option<Syncs>;

    /// Asks for every group to be read, unless that is under way.
    fn start_sync(&self, account: &str) -> Option<Syncs>;

    /// Returns the platform's own numbers of imported days in `[from_ms, until_ms)`, each with the day's start.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    async fn numbers(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Vec<(i64, PlatformNumbers)>>, String>;

    /// Returns the platform's own numbers by owner over imported days in `[from_ms, until_ms)`.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    async fn numbers_by_owner(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Vec<(String, PlatformNumbers)>>, String>;

    /// Returns the times in `[from_ms, until_ms)` in which nobody watched the account, as from and until.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    async fn unprotected(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(i64, i64)>, String>;

    /// Returns when what is said at the account was shown to us, as far as it was noted, and when in `[from_ms, until_ms)`
    /// nobody watched.
    ///
    /// # Errors
    /// Says in words what cannot be read.
    async fn sight(&self, account: &str, from_ms: i64, until_ms: i64) -> Result<Sight, String>;
}

/// Whether an account is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Since when it is not.
    pub since_ms: Option<i64>,
    /// Why, the earliest first.
    pub lapses: Vec<Lapse>,
    /// Groups that are still to be read for a reason.
    pub groups_left: u64,
    /// When every group was read last.
    pub synced_ms: Option<i64>,
}

/// Why an account is not protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// `down`, `trouble`, `untold`.
    pub code: &'static str,
    /// Since when.
    pub since_ms: i64,
    /// In plain Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// How far the reading of every group is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syncs {
    /// One is asked for and begins soon.
    pub is_queued: bool,
    /// The one under way: when it began, and how far it is.
    pub running: Option<(i64, SyncProgress)>,
    /// The last one that ended.
    pub last: Option<LastSync>,
}

/// A sync that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastSync {
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// How far it came.
    pub progress: SyncProgress,
    /// Why it ended early: a code, in Chinese, in English.
    pub error: Option<(String, String, String)>,
}
