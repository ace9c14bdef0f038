//! What some platforms offer beyond callbacks and sends: rosters, mass sends, welcome templates, interception at the
//! source, groups that change hands, numbers of their own, a check of the account.
//!
//! Each is a trait of its own. A connector hands out those its platform has ([`super::Connector`]); `app` drives them on
//! a schedule and on request, and the API says "this platform has none" for the others. Results are plain values: deciding
//! what they mean is others' work.
//!
//! Also here: what the house gives a connector, an [`EventSink`] for what it finds out by itself and a small durable
//! [`ConnectorState`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::event::RosterStep;
use crate::event::{AccountId, GroupEvent, Role};
use crate::outbox::delivery::Content;

/// Why a platform did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {code}: {en}")]
pub struct PlatformError {
    /// What was tried, in the platform's own name for it.
    pub operation: &'static str,
    /// The platform's code or ours (`connect`, `http_503`, `lost`; `not_found` when what is meant was removed).
    pub code: String,
    /// What to do about it, for people who read Chinese: where to click.
    pub zh: String,
    /// The same in English.
    pub en: String,
    /// Whether trying again may help, and when.
    pub retry: Retry,
    /// The call may have taken effect: nobody knows.
    pub uncertain: bool,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not before a person has changed something.
    Never,
    /// After this long.
    After(Duration),
    /// With growing delays.
    Backoff,
}

// === what the house gives ===

/// Why events were not taken, or what we know was not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway cannot take events now: {0}")]
pub struct SinkError(pub String);

/// What became of one event that a connector found out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts, durably.
    Counted,
    /// It was counted before.
    Duplicate,
    /// It was too old to count and is recorded apart.
    Late,
    /// Its roster step does not follow from what we know: nothing was changed.
    Gap,
    /// It was refused, with this code.
    Refused(&'static str),
}

/// A group as we know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownGroup {
    /// The platform's id.
    pub group: String,
    /// Its name, as the platform last told.
    pub name: Option<String>,
    /// Its owner, as the platform last told.
    pub owner: Option<String>,
    /// The platform said it is gone.
    pub dismissed: bool,
    /// When the latest of its events that counted happened, in milliseconds since the epoch; 0 when there was none.
    pub last_ms: i64,
}

/// A roster as we know it, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRoster {
    /// Marks of the versions it went through, newest first, at most [`RosterStep::MARKS_MAX`]: the first is where it
    /// stands, the others tell a reading that lags behind. Empty when it was never read.
    pub marks: Vec<u64>,
    /// Who is in it: id and role.
    pub members: Vec<(String, Role)>,
    /// The group's name and owner.
    pub group: KnownGroup,
}

/// Where a connector's own findings go: through the same pipeline and journal as callbacks.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Takes events in order and returns after their commit, one answer an event.
    ///
    /// # Errors
    /// When a commit failed or the gateway is full: nothing is promised, all of it may be sent again.
    async fn take(&self, events: Vec<GroupEvent<'static>>) -> Result<Vec<Taken>, SinkError>;

    /// Returns what we know of a group's roster, everything committed so far included. The marks are never newer than the
    /// members: what changes while they are read makes the next step a gap, and is never counted twice.
    ///
    /// # Errors
    /// When storage cannot be read.
    async fn roster(&self, account: &str, group: &str) -> Result<KnownRoster, SinkError>;

    /// Returns the groups we know of an account, after a cursor, in order.
    ///
    /// # Errors
    /// When storage cannot be read.
    async fn groups(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KnownGroup>, SinkError>;
}

/// Why a connector's state was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connector state: {0}")]
pub struct StateError(pub String);

/// What a connector must remember over restarts: small, by key, in the ledger. Keys are at most 200 bytes.
#[async_trait]
pub trait ConnectorState: Send + Sync + std::fmt::Debug {
    /// Reads a value.
    ///
    /// # Errors
    /// When storage cannot be read.
    async fn get(&self, key: &str) -> Result<Option<String>, StateError>;

    /// Writes values in one commit; `None` removes. Durable when it returns.
    ///
    /// # Errors
    /// When nothing was written.
    async fn put(&self, writes: Vec<(String, Option<String>)>) -> Result<(), StateError>;

    /// Returns keys with a prefix and their values, in order of keys, after a cursor.
    ///
    /// # Errors
    /// When storage cannot be read.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StateError>;
}

/// Gives each account's connector its state.
pub trait ConnectorStates: Send + Sync + std::fmt::Debug {
    /// Returns the state of an account's connector.
    fn of(&self, account: &AccountId) -> Arc<dyn ConnectorState>;
}

// === rosters ===

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SyncProgress {
    /// Groups the platform lists, as far as it has been asked.
    pub listed: u64,
    /// The list is complete.
    pub list_done: bool,
    /// Groups read.
    pub read: u64,
    /// Groups that could not be read; they are tried again later.
    pub failed: u64,
    /// Joins found by comparing.
    pub joins: u64,
    /// Leaves found by comparing.
    pub leaves: u64,
    /// Members taken over at a group's first reading.
    pub adopted: u64,
}

/// Who is in which group, by the platform's own lists.
#[async_trait]
pub trait Rosters: Send + Sync {
    /// Reads every group and hands what differs to the sink. One bad group does not stop the rest.
    ///
    /// Cancel safe: what was read so far is taken over.
    ///
    /// # Errors
    /// When the groups cannot be listed, or the sink takes nothing.
    async fn sync(
        &self,
        sink: &dyn EventSink,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<SyncProgress, PlatformError>;

    /// Reads those groups again of which a callback did not follow from what we know. Returns how many are left.
    ///
    /// # Errors
    /// When the platform or the sink fails; what is left stays remembered.
    async fn close_gaps(&self, sink: &dyn EventSink) -> Result<u64, PlatformError>;

    /// Waits until there is a gap to close. Cancel safe.
    async fn gap_noticed(&self);

    /// Looks at a few groups to find out whether callbacks still reach us: returns when the earliest change happened that
    /// no callback told, in milliseconds since the epoch.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn untold_since(&self, sink: &dyn EventSink) -> Result<Option<i64>, PlatformError>;

    /// Returns since when a group has a change that did not follow from what we know, in milliseconds since the epoch;
    /// `None` when it has none.
    fn gap_since(&self, group: &str) -> Option<i64>;

    /// Returns how many groups are still to be read for a reason.
    fn groups_left(&self) -> u64;
}

// === numbers ===

/// The platform's own numbers of one day, or of one owner's groups over some days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlatformNumbers {
    /// Groups made.
    pub groups_new: u64,
    /// Groups at the end of the day.
    pub groups: u64,
    /// Groups that ever had a message up to that day.
    pub groups_with_messages: u64,
    /// Members who joined.
    pub members_new: u64,
    /// Members at the end of the day.
    pub members: u64,
    /// Members who ever said something up to that day.
    pub members_with_messages: u64,
    /// Messages up to that day.
    pub messages: u64,
}

/// Numbers the platform counts itself.
#[async_trait]
pub trait Numbers: Send + Sync {
    /// Returns numbers by day for `[from_ms, until_ms)`, each with the day's start, for some owners or all.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn by_day(
        &self,
        from_ms: i64,
        until_ms: i64,
        owners: &[String],
    ) -> Result<Vec<(i64, PlatformNumbers)>, PlatformError>;

    /// Returns numbers by owner over `[from_ms, until_ms)`.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn by_owner(
        &self,
        from_ms: i64,
        until_ms: i64,
        owners: &[String],
    ) -> Result<Vec<(String, PlatformNumbers)>, PlatformError>;

    /// The newest day there are numbers for, as its start, by the platform's rules.
    fn newest_day_ms(&self, now_ms: i64) -> i64;
}

// === mass sends ===

/// What the platform says of one target of a mass send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetResult {
    /// The person has not confirmed.
    Unsent,
    /// It arrived.
    Sent,
    /// It will not arrive, with the platform's reason: `not_a_friend`, `already_received`, `refused`, `cancelled`.
    Failed(&'static str),
}

/// How far a mass send's task is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskProgress {
    /// The person has confirmed, and when, in milliseconds since the epoch.
    pub confirmed_ms: Option<i64>,
    /// Targets the platform told of, by group. One that is missing while others are told was refused at creation.
    pub targets: Vec<(String, TargetResult)>,
    /// The platform is still handing the task out: ask again later.
    pub is_dispatching: bool,
}

/// Sends that wait for a person.
#[async_trait]
pub trait MassSends: Send + Sync {
    /// Most groups of one task.
    fn targets_max(&self) -> usize;

    /// Says whether a content can go with a task's text.
    fn takes(&self, content: &Content) -> bool;

    /// Most times a group may receive in how long, as the platform counts by default; `None` where it does not.
    fn receiving_cap(&self) -> Option<ReceivingCap>;

    /// Asks how far a task is.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn progress(&self, task: &str, sender: &str) -> Result<TaskProgress, PlatformError>;

    /// Reminds the person. The platform caps how often.
    ///
    /// # Errors
    /// `remind_cap` when the cap is reached.
    async fn remind(&self, task: &str) -> Result<(), PlatformError>;

    /// Stops what was not sent yet.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn cancel(&self, task: &str) -> Result<(), PlatformError>;
}

/// How often one group may receive mass sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceivingCap {
    /// As many times a calendar month as it has days.
    DaysOfMonth,
    /// Seven times a calendar week.
    SevenAWeek,
    /// Once a day.
    OnceADay,
}

// === welcome templates ===

/// A greeting that the platform sends to newcomers by itself, once an owner has switched it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WelcomeTemplate {
    /// The text, with the platform's placeholder for the newcomer's name.
    pub text: String,
    /// A link sent with it.
    #[serde(default)]
    pub link: Option<crate::outbox::delivery::Article>,
    /// Whether the owners are told to switch it on.
    #[serde(default)]
    pub notify: bool,
}

/// The platform's library of welcome templates.
#[async_trait]
pub trait WelcomeTemplates: Send + Sync {
    /// Most templates of an account.
    fn templates_max(&self) -> usize;

    /// Says what is wrong with a template before it is sent.
    ///
    /// # Errors
    /// With the field and the platform's rule.
    fn check(&self, template: &WelcomeTemplate) -> Result<(), String>;

    /// Adds one; returns the platform's id.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn add(&self, template: &WelcomeTemplate) -> Result<String, PlatformError>;

    /// Replaces one.
    ///
    /// # Errors
    /// When the platform refuses: only who made it may.
    async fn edit(&self, id: &str, template: &WelcomeTemplate) -> Result<(), PlatformError>;

    /// Reads one.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn get(&self, id: &str) -> Result<WelcomeTemplate, PlatformError>;

    /// Removes one.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn remove(&self, id: &str) -> Result<(), PlatformError>;
}

// === interception at the source ===

/// A rule by which the platform itself stops what staff send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterceptRule {
    /// Unique among the account's rules.
    pub name: String,
    /// Words, sorted.
    pub words: Vec<String>,
    /// Warn only, instead of warning and stopping.
    pub warn_only: bool,
    /// Staff it holds for.
    pub staff: Vec<String>,
    /// Departments it holds for.
    pub departments: Vec<u64>,
}

/// The platform's own interception of what staff send. It reports no hits.
#[async_trait]
pub trait StaffInterception: Send + Sync {
    /// Most rules, most words of a rule, most characters of a word.
    fn limits(&self) -> (usize, usize, usize);

    /// Lists the rules there are, by id.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn list(&self) -> Result<Vec<(String, InterceptRule)>, PlatformError>;

    /// Adds one; returns its id.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn add(&self, rule: &InterceptRule) -> Result<String, PlatformError>;

    /// Makes a rule what `to` says; `from` is what it is now.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn update(&self, id: &str, from: &InterceptRule, to: &InterceptRule) -> Result<(), PlatformError>;

    /// Removes one.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn remove(&self, id: &str) -> Result<(), PlatformError>;
}

// === group life ===

/// A way into groups: a code that people scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinWay {
    /// For people.
    pub remark: String,
    /// Groups it leads into, in order, at most five.
    pub groups: Vec<String>,
    /// Channel code (渠道码) its joins carry.
    pub channel: String,
    /// Opens a new group when all are full.
    pub opens_next: bool,
    /// What the new groups are called, with a number after it.
    #[serde(default)]
    pub next_name: String,
    /// The number of the first of them.
    #[serde(default)]
    pub next_number: u32,
}

/// Groups that change hands, and ways into them.
#[async_trait]
pub trait GroupLife: Send + Sync {
    /// Groups whose owner has left the company, with that owner.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    async fn orphans(&self) -> Result<Vec<(String, Option<String>)>, PlatformError>;

    /// Gives groups to a new owner; `owner_left` says whether the old one has left the company. Returns the groups that
    /// were not given, with the reason.
    ///
    /// # Errors
    /// When the platform refuses the call as a whole.
    async fn transfer(
        &self,
        groups: &[String],
        new_owner: &str,
        owner_left: bool,
    ) -> Result<Vec<(String, PlatformError)>, PlatformError>;

    /// Makes a way in; returns the platform's id and the code's address, if it gives one.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn add_join_way(&self, way: &JoinWay) -> Result<(String, Option<String>), PlatformError>;

    /// Changes a way in.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn update_join_way(&self, id: &str, way: &JoinWay) -> Result<(), PlatformError>;

    /// Removes a way in.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn remove_join_way(&self, id: &str) -> Result<(), PlatformError>;
}

/// Groups that we may make and change ourselves (WeCom: `appchat`).
#[async_trait]
pub trait OwnGroups: Send + Sync {
    /// Makes a group of staff; returns the platform's id.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn create(
        &self,
        name: &str,
        owner: Option<&str>,
        staff: &[String],
        id: Option<&str>,
    ) -> Result<String, PlatformError>;

    /// Changes name, owner, members.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn update(
        &self,
        id: &str,
        name: Option<&str>,
        owner: Option<&str>,
        add: &[String],
        remove: &[String],
    ) -> Result<(), PlatformError>;

    /// Reads name, owner, members.
    ///
    /// # Errors
    /// When the platform refuses.
    async fn get(&self, id: &str) -> Result<(String, String, Vec<String>), PlatformError>;
}

// === check ===

/// One finding of an account's check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// What was looked at: `secret`, `callback`, `trusted_ip`, `permissions`, `visible_range`, `robots`, `owners`, ….
    pub subject: String,
    /// How it stands.
    pub standing: Standing,
    /// In plain Chinese: what is wrong and where to click.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should be.
    Good,
    /// Works, and will trouble somebody.
    Warning,
    /// Does not work.
    Bad,
    /// Could not be looked at because something before it does not work.
    Skipped,
}

/// Walks through an account and says what is wrong.
#[async_trait]
pub trait SelfCheck: Send + Sync {
    /// Looks at everything, in the order in which a person would set it up. `callback_url` is our own address as the
    /// platform should have it, if it is known. Calls `found` for each finding as it is made.
    async fn check(&self, callback_url: Option<&str>, found: &(dyn Fn(Finding) + Send + Sync));
}
