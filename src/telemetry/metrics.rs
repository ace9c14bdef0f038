//! Facts that are counted. Callers say what happened; only this module knows the names of metrics.
//!
//! Each function costs some nanoseconds (an index and an atomic addition) and does nothing before [`install`].
//! Labels are closed sets; `docs/OPERATING.md` describes each metric.

pub mod alerts;
pub mod evidence;
mod labels;
mod names;
pub mod people;
mod process;
pub mod regions;
mod registry;
pub mod status;
pub mod streams;
pub mod wecom;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

pub use labels::{
    Alert, CircuitState, EvidenceLoss, HookDrop, HookOutcome, Label, LimitLevel, MassStep, QueuePriority,
    QueueState, SayRefusal, SendOutcome, Success, WecomCall, WecomFamily, WecomIgnored, WordsLoss,
};
pub use names::{DEFINITIONS, Definition, Kind, Metric, all_names};

use crate::event::{Status, Verdict};
use labels::{Named, Value};
use registry::registry;

/// Starts counting; every metric stands at 0. Later calls change nothing.
pub fn install() {
    registry::install();
}

/// Returns everything in Prometheus' text form 0.0.4; only the process's own numbers before [`install`].
pub fn render() -> String {
    let mut text = registry().map(registry::Registry::render).unwrap_or_default();
    process::render(&mut text);
    text
}

/// Folds what histograms have gathered; to be called every few seconds, scraped or not.
pub fn upkeep() {
    if let Some(registry) = registry() {
        registry.upkeep();
    }
}

// === intake ===

/// An event was answered.
pub fn event_answered(status: Status, verdict: Verdict) {
    add(Metric::Events, status.place(), 1);
    // A repeat is judged again, by today's rules, for its caller; it is no second decision about a message.
    if status == Status::Duplicate {
        add(Metric::DedupeHits, 0, 1);
    } else {
        add(Metric::Verdicts, verdict.place(), 1);
    }
}

/// Listed terms were found and decided a verdict.
pub fn hits(count: usize) {
    add(Metric::Hits, 0, u64::try_from(count).unwrap_or(u64::MAX));
}

/// This many event ids are held in memory.
pub fn dedupe_exact_ids(count: usize) {
    set(Metric::DedupeExactIds, 0, as_f64(count));
}

/// An event id had to be looked up on disk.
pub fn dedupe_disk_lookup() {
    add(Metric::DedupeDiskLookups, 0, 1);
}

/// Requests, events or callbacks were refused, with this code.
pub fn ingest_rejected(code: &str, count: u64) {
    add(Metric::IngestRejected, Named::of(labels::REJECTION, code).place(), count);
}

/// One request with events in flight, until dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the request is done"]
pub struct InFlight(());

impl InFlight {
    /// A request with events is being worked on.
    pub fn start() -> Self {
        if let Some(gauge) = registry().and_then(|registry| registry.gauge(Metric::IngestInFlight, 0)) {
            gauge.increment(1.0);
        }
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(gauge) = registry().and_then(|registry| registry.gauge(Metric::IngestInFlight, 0)) {
            gauge.decrement(1.0);
        }
    }
}

/// A platform's callback was believed and its events were taken.
pub fn callback(platform: &str, events: usize) {
    let place = Named::of(labels::PLATFORM, platform).place();
    add(Metric::Callbacks, place, 1);
    add(Metric::CallbackEvents, place, u64::try_from(events).unwrap_or(u64::MAX));
}

/// A change of a roster did not follow from what was known.
pub fn roster_gap() {
    add(Metric::RosterGaps, 0, 1);
}

/// A rule had something to say and could not.
pub fn say_skipped(reason: SayRefusal) {
    add(Metric::SaysSkipped, reason.place(), 1);
}

/// A member was not removed: the budget of the hour is spent.
pub fn removal_over_budget() {
    add(Metric::RemovalsOverBudget, 0, 1);
}

/// Something became of members of a journey.
pub fn journey(came: &'static str, members: u32) {
    add(Metric::JourneyMembers, Named::of(labels::JOURNEY, came).place(), u64::from(members));
}

/// Callback ids were forgotten before their time: the memory of an account was full.
pub fn replay_ids_evicted(count: u64) {
    add(Metric::ReplayIdsEvicted, 0, count);
}

/// A verdict came after its message was answered, and counts.
pub fn late_verdict(verdict: Verdict) {
    add(Metric::LateVerdicts, verdict.place(), 1);
}

// === verdict hook ===

/// A question to the verdict hook ended.
pub fn hook_asked(outcome: HookOutcome, elapsed: Duration) {
    add(Metric::HookRequests, outcome.place(), 1);
    record(Metric::HookSeconds, 0, elapsed.as_secs_f64());
}

/// A question to the verdict hook was not asked.
pub fn hook_dropped(why: HookDrop) {
    add(Metric::HookDropped, why.place(), 1);
}

/// This many questions wait for their turn.
pub fn hook_queue(questions: usize) {
    set(Metric::HookQueue, 0, as_f64(questions));
}

/// The verdict hook's circuit breaker is in this state.
pub fn hook_circuit(state: CircuitState) {
    for known in [CircuitState::Closed, CircuitState::HalfOpen, CircuitState::Open] {
        set(Metric::HookCircuit, known.place(), f64::from(u8::from(known == state)));
    }
}

// === API ===

/// A request was answered; a lookup, some hundred nanoseconds. `route` is a template of the router, never a path;
/// `unmatched` where there is none. For a hot route, see [`RouteMetrics`].
pub fn request_finished(route: &str, method: &http::Method, status: u16, elapsed: Duration) {
    if let Some(registry) = registry() {
        let method = method_label(method);
        registry.requests(route, method, status).increment(1);
        registry.request_duration(route, method).record(elapsed.as_secs_f64());
    }
}

/// Counts requests of one hot route without looking anything up. Cheap to clone.
#[derive(Clone)]
pub struct RouteMetrics(Option<Arc<RouteHandles>>);

struct RouteHandles {
    route: &'static str,
    method: &'static str,
    by_status: Vec<(u16, ::metrics::Counter)>,
    duration: ::metrics::Histogram,
}

/// Statuses a hot route is expected to answer with; others are looked up when they happen.
const EXPECTED_STATUSES: [u16; 9] = [200, 400, 401, 403, 404, 413, 415, 429, 503];

impl RouteMetrics {
    /// Registers a route; to be called after [`install`], else it counts nothing.
    pub fn register(route: &'static str, method: &http::Method) -> Self {
        let method = method_label(method);
        Self(registry().map(|registry| {
            let counter = |status| (status, registry.requests(route, method, status));
            let by_status = EXPECTED_STATUSES.into_iter().map(counter).collect();
            Arc::new(RouteHandles {
                route,
                method,
                by_status,
                duration: registry.request_duration(route, method),
            })
        }))
    }

    /// A request to the route was answered.
    pub fn finished(&self, status: u16, elapsed: Duration) {
        let Some(handles) = &self.0 else { return };
        handles.duration.record(elapsed.as_secs_f64());
        match handles.by_status.iter().find(|(known, _)| *known == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                if let Some(registry) = registry() {
                    registry.requests(handles.route, handles.method, status).increment(1);
                }
            }
        }
    }
}

impl std::fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RouteMetrics").field(&self.0.as_ref().map(|handles| handles.route)).finish()
    }
}

/// Methods are a closed set too: a client may send any word.
fn method_label(method: &http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A stored answer was given again.
pub fn idempotency_replayed() {
    add(Metric::IdempotencyReplays, 0, 1);
}

// === sending ===

/// Deliveries were put into lanes; `kind` as in `Delivery::kind`.
pub fn sends_queued(kind: &str, count: u64) {
    add(Metric::SendsQueued, Named::of(labels::SEND_KIND, kind).place(), count);
}

/// This many deliveries are in the lanes now, over all accounts.
pub fn queue_depth(priority: QueuePriority, state: QueueState, count: usize) {
    set(Metric::QueueDepth, pair(priority, state, labels::QUEUE_STATE), as_f64(count));
}

/// The oldest delivery that is due has waited this long; zero when none is due.
pub fn oldest_due_age(priority: QueuePriority, age: Duration) {
    set(Metric::OldestDueAge, priority.place(), age.as_secs_f64());
}

/// A call to a platform ended.
pub fn send_attempt(platform: &str, outcome: SendOutcome, elapsed: Duration) {
    let platform = Named::of(labels::PLATFORM, platform);
    add(Metric::SendAttempts, pair(platform, outcome, labels::SEND_OUTCOME), 1);
    record(Metric::SendSeconds, platform.place(), elapsed.as_secs_f64());
}

/// A delivery waited for a limit.
pub fn limiter_waited(level: LimitLevel, wait: Duration) {
    record(Metric::LimiterWait, level.place(), wait.as_secs_f64());
}

/// A platform said "too often" of a level.
pub fn limiter_refused(level: LimitLevel) {
    add(Metric::LimiterRefusals, level.place(), 1);
}

/// The lowest share of a configured rate that is used since refusals, 0 to 1.
pub fn limiter_share(level: LimitLevel, ratio: f64) {
    set(Metric::LimiterShare, level.place(), ratio);
}

/// The fullest limit of a level is used to this share, 0 to 1.
pub fn limiter_saturation(level: LimitLevel, ratio: f64) {
    set(Metric::LimiterSaturation, level.place(), ratio);
}

/// This many accounts of a platform have their circuit breaker in a state.
pub fn circuits(platform: &str, state: CircuitState, accounts: usize) {
    set(
        Metric::Circuits,
        pair(Named::of(labels::PLATFORM, platform), state, labels::CIRCUIT),
        as_f64(accounts),
    );
}

/// Deliveries were given up.
pub fn dead_letters(count: u64) {
    add(Metric::DeadLetters, 0, count);
}

/// Nobody knows whether deliveries were sent.
pub fn uncertain(count: u64) {
    add(Metric::Uncertain, 0, count);
}

/// This many stops of outbound acts are in force.
pub fn holds_active(count: usize) {
    set(Metric::Holds, 0, as_f64(count));
}

/// This many broadcasts run or are paused.
pub fn broadcasts_active(count: usize) {
    set(Metric::Broadcasts, 0, as_f64(count));
}

/// Tasks that a person must confirm went one step on.
pub fn mass_tasks(step: MassStep, count: u64) {
    add(Metric::MassTasks, step.place(), count);
}

/// This many tasks wait for a person.
pub fn mass_tasks_waiting(count: usize) {
    set(Metric::MassTasksWaiting, 0, as_f64(count));
}

// === storage ===

/// A commit took this long; `file` is `journal` or `ledger`.
pub fn storage_commit(file: &'static str, took: Duration) {
    let metric = if file == "journal" { Metric::JournalCommitSeconds } else { Metric::LedgerCommitSeconds };
    record(metric, 0, took.as_secs_f64());
}

/// A commit failed; `file` is `journal` or `ledger`.
pub fn storage_commit_failure(file: &'static str) {
    let metric = if file == "journal" { Metric::JournalCommitFailures } else { Metric::LedgerCommitFailures };
    add(metric, 0, 1);
}

/// This many bytes wait for the journal's writer.
pub fn storage_pending_bytes(bytes: usize) {
    set(Metric::JournalPendingBytes, 0, as_f64(bytes));
}

/// The projection is this many journal rows behind.
pub fn storage_projection_lag(rows: u64) {
    set(Metric::ProjectionLag, 0, wide(rows));
}

/// A partition's memory was thrown away and loaded again.
pub fn partition_reloaded() {
    add(Metric::PartitionReloads, 0, 1);
}

/// The fleet stage is this many journal rows behind.
pub fn fleet_lag(rows: u64) {
    set(Metric::FleetLag, 0, wide(rows));
}

// === state of things ===

/// The fleet stage found the same advert in many groups.
pub fn fleet_case() {
    add(Metric::Cases, 0, 1);
}

/// A message of a case is not listed any more: it has too many.
pub fn fleet_unlisted() {
    add(Metric::CaseMessagesUnlisted, 0, 1);
}

/// Rules were compiled and are in force.
pub fn ruleset_compiled(took: Duration, terms: usize) {
    record(Metric::RulesetCompileSeconds, 0, took.as_secs_f64());
    set(Metric::RulesetTerms, 0, as_f64(terms));
}

/// Rules, wordlists and limits were reloaded, or not.
pub fn reloaded(outcome: Success) {
    add(Metric::Reloads, outcome.place(), 1);
}

/// A wordlist in stages went back into shadow.
pub fn rollout_halted() {
    add(Metric::RolloutsHalted, 0, 1);
}

/// This many accounts are watched by nobody, the one with the longest for this long.
pub fn unprotected(accounts: usize, longest: Duration) {
    set(Metric::AccountsUnprotected, 0, as_f64(accounts));
    set(Metric::UnprotectedSeconds, 0, longest.as_secs_f64());
}

/// Every group of an account was read, or not.
pub fn roster_synced(took: Duration, outcome: Success, groups_failed: u64) {
    add(Metric::RosterSyncs, outcome.place(), 1);
    record(Metric::RosterSyncSeconds, 0, took.as_secs_f64());
    add(Metric::RosterGroupsFailed, 0, groups_failed);
}

/// This many groups are still to be read for a reason.
pub fn roster_groups_left(groups: u64) {
    set(Metric::RosterGroupsLeft, 0, wide(groups));
}

/// A background task panicked.
pub fn task_panicked() {
    add(Metric::TasksPanicked, 0, 1);
}

/// Whether new work is taken, and how many accounts are degraded.
pub(super) fn health(ready: bool, degraded: usize) {
    set(Metric::Ready, 0, f64::from(u8::from(ready)));
    set(Metric::Degraded, 0, as_f64(degraded));
}

// === counting ===

/// The place of a combination of two labels; the second changes fastest.
fn pair(first: impl Value, second: impl Value, second_label: Label) -> usize {
    first.place() * second_label.values.len() + second.place()
}

/// Daily reports could not be written.
pub fn reports_failed() {
    add(Metric::ReportsFailed, 0, 1);
}

fn add(metric: Metric, place: usize, count: u64) {
    if let Some(counter) = registry().and_then(|registry| registry.counter(metric, place)) {
        counter.increment(count);
    }
}

fn set(metric: Metric, place: usize, value: f64) {
    if let Some(gauge) = registry().and_then(|registry| registry.gauge(metric, place)) {
        gauge.set(value);
    }
}

fn record(metric: Metric, place: usize, value: f64) {
    if let Some(histogram) = registry().and_then(|registry| registry.histogram(metric, place)) {
        histogram.record(value);
    }
}

fn as_f64(count: usize) -> f64 {
    wide(u64::try_from(count).unwrap_or(u64::MAX))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; past 2^53 the last digit does not matter"
)]
fn wide(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
