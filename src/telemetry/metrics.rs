//! Facts that are counted. Callers say what happened; only this module knows the names of metrics.
//!
//! Each function costs some nanoseconds (an index and an atomic addition) and does nothing before [`install`].
//! Labels are closed sets; `docs/OPERATING.md` describes each metric.

mod labels;
mod names;
mod process;
mod registry;

use std::sync::Arc;
use std::time::Duration;

pub use labels::{
    ActionOutcome, CallbackOutcome, CircuitState, DataFile, DedupeHit, Denial, Label, LimitLevel,
    QueuePriority, QueueState, Rejection, SendKind, SendOutcome, Success, WebhookOutcome,
};
pub use names::{DEFINITIONS, Definition, Kind, Metric, all_names};

use crate::event::{ActionKind, Level, Status, Verdict};
use labels::{Platform, Value};
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

/// Events were taken.
pub fn event_ingested(status: Status, count: u64) {
    add(Metric::Events, status.place(), count);
}

/// A message was judged.
pub fn verdict(verdict: Verdict) {
    add(Metric::Verdicts, verdict.place(), 1);
}

/// Listed terms were found in a message.
pub fn hits(level: Level, count: u64) {
    add(Metric::Hits, level.place(), count);
}

/// A repeat was recognised.
pub fn dedupe_hit(found_in: DedupeHit) {
    add(Metric::DedupeHits, found_in.place(), 1);
}

/// A request, a line or a callback was refused.
pub fn ingest_rejected(reason: Rejection) {
    add(Metric::IngestRejected, reason.place(), 1);
}

/// There are this many permits for requests with events.
pub fn ingest_permits(count: usize) {
    set(Metric::IngestPermits, 0, as_f64(count));
}

/// A request with events took a permit; it gives it back when the value is dropped.
pub fn ingest_started() -> InFlight {
    if let Some(gauge) = registry().and_then(|registry| registry.gauge(Metric::IngestInFlight, 0)) {
        gauge.increment(1.0);
    }
    InFlight(())
}

/// One request in flight, until dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the request is done"]
pub struct InFlight(());

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(gauge) = registry().and_then(|registry| registry.gauge(Metric::IngestInFlight, 0)) {
            gauge.decrement(1.0);
        }
    }
}

/// A platform called back.
pub fn callback(platform: &str, outcome: CallbackOutcome) {
    add(Metric::Callbacks, pair(Platform::of(platform), outcome, labels::CALLBACK_OUTCOME), 1);
}

// === API ===

/// A request was answered. `route` is a template of the router, never a path; `unmatched` where there is none.
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
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Somebody was refused for who they are.
pub fn access_denied(reason: Denial) {
    add(Metric::AccessDenied, reason.place(), 1);
}

/// A stored answer was given again.
pub fn idempotency_replayed() {
    add(Metric::IdempotencyReplays, 0, 1);
}

// === sending ===

/// A rule asked for an act.
pub fn action(kind: ActionKind, outcome: ActionOutcome) {
    add(Metric::Actions, pair(kind, outcome, labels::ACTION_OUTCOME), 1);
}

/// Deliveries were put into lanes.
pub fn sends_queued(kind: SendKind, count: u64) {
    add(Metric::SendsQueued, kind.place(), count);
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
    let platform = Platform::of(platform);
    add(Metric::SendAttempts, pair(platform, outcome, labels::SEND_OUTCOME), 1);
    record(Metric::SendSeconds, platform.place(), elapsed.as_secs_f64());
}

/// A delivery waited for a limit.
pub fn limiter_waited(level: LimitLevel, wait: Duration) {
    record(Metric::LimiterWait, level.place(), wait.as_secs_f64());
}

/// The fullest limit of a level is used to this share, 0 to 1.
pub fn limiter_saturation(level: LimitLevel, ratio: f64) {
    set(Metric::LimiterSaturation, level.place(), ratio);
}

/// This many accounts of a platform have their circuit breaker in a state.
pub fn circuits(platform: &str, state: CircuitState, accounts: usize) {
    set(Metric::Circuits, pair(Platform::of(platform), state, labels::CIRCUIT), as_f64(accounts));
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

/// A status webhook of ours was sent.
pub fn webhook_delivery(outcome: WebhookOutcome) {
    add(Metric::WebhookDeliveries, outcome.place(), 1);
}

// === storage ===

/// The journal committed.
pub fn journal_committed(elapsed: Duration, events: u64) {
    record(Metric::JournalCommitSeconds, 0, elapsed.as_secs_f64());
    record(Metric::JournalCommitEvents, 0, f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
}

/// A commit of the journal failed.
pub fn journal_commit_failed() {
    add(Metric::JournalCommitFailures, 0, 1);
}

/// The ledger committed.
pub fn ledger_committed(elapsed: Duration) {
    record(Metric::LedgerCommitSeconds, 0, elapsed.as_secs_f64());
}

/// A commit of the ledger failed.
pub fn ledger_commit_failed() {
    add(Metric::LedgerCommitFailures, 0, 1);
}

/// A partition's memory was thrown away and loaded again.
pub fn partition_reloaded() {
    add(Metric::PartitionReloads, 0, 1);
}

/// The projection is this many committed events behind.
pub fn projection_lag(events: u64) {
    set(Metric::ProjectionLag, 0, wide(events));
}

/// The fleet stage is this many committed events behind.
pub fn fleet_lag(events: u64) {
    set(Metric::FleetLag, 0, wide(events));
}

/// A file of the data directory has this size.
pub fn data_file_bytes(file: DataFile, bytes: u64) {
    set(Metric::DataFileBytes, file.place(), wide(bytes));
}

// === state of things ===

/// This many groups are known.
pub fn groups_known(count: usize) {
    set(Metric::Groups, 0, as_f64(count));
}

/// The fleet stage opened a case.
pub fn case_opened() {
    add(Metric::Cases, 0, 1);
}

/// A ruleset was compiled and is in force.
pub fn ruleset_compiled(elapsed: Duration, terms: usize) {
    add(Metric::RulesetCompiles, Success::Ok.place(), 1);
    record(Metric::RulesetCompileSeconds, 0, elapsed.as_secs_f64());
    set(Metric::RulesetTerms, 0, as_f64(terms));
}

/// A ruleset could not be compiled; the old one stays.
pub fn ruleset_failed() {
    add(Metric::RulesetCompiles, Success::Failed.place(), 1);
}

/// The configuration was reloaded, or not.
pub fn reloaded(outcome: Success) {
    add(Metric::Reloads, outcome.place(), 1);
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
