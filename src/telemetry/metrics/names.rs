//! Every metric: name, kind, labels, help. `docs/OPERATING.md` lists the same, and a test compares.

use super::labels::{
    ACTION, ACTION_OUTCOME, CALLBACK_OUTCOME, CIRCUIT, DATA_FILE, DENIAL, FOUND_IN, HIT_LEVEL, LEVEL, Label,
    PLATFORM, PRIORITY, QUEUE_STATE, REJECTION, SEND_KIND, SEND_OUTCOME, STATUS, SUCCESS, VERDICT,
    WEBHOOK_OUTCOME,
};

/// What a metric measures with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by upper bound.
    Histogram(&'static [f64]),
}

/// Everything about one metric.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Which.
    pub metric: Metric,
    /// Its name in the exposition.
    pub name: &'static str,
    /// What it measures with.
    pub kind: Kind,
    /// Its labels; each combination exists from the start.
    pub labels: &'static [Label],
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// Requests: from a cached answer to a client that should have given up.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Commits: a good disk's flush is about a millisecond; half a second is the promise for a single acknowledgement.
const COMMIT_SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// Waiting for a limit: a broadcast may wait for hours and that is no fault.
const WAIT_SECONDS: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];

/// Compiling: 60,000 terms should take half a second.
const COMPILE_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Events written by one commit.
const BATCH_EVENTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0];

macro_rules! metrics {
    ($($metric:ident: $kind:expr, $name:literal, [$($label:ident),*], $help:literal;)*) => {
        /// Every metric there is, but for those of the process and of requests, whose labels are found at run time.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $help] $metric,)*
        }

        /// Every metric in the order of [`Metric`].
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            metric: Metric::$metric,
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        },)*];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    Events: Counter, "menshen_events_total", [STATUS],
        "Events by what became of them.";
    Verdicts: Counter, "menshen_verdicts_total", [VERDICT],
        "Messages judged, by verdict.";
    Hits: Counter, "menshen_hits_total", [HIT_LEVEL],
        "Listed terms found, by level of their category.";
    DedupeHits: Counter, "menshen_dedupe_hits_total", [FOUND_IN],
        "Repeats recognised, by where their first copy was found.";
    IngestRejected: Counter, "menshen_ingest_rejected_total", [REJECTION],
        "Requests, lines and callbacks refused before they became events.";
    IngestInFlight: Gauge, "menshen_ingest_in_flight", [],
        "Requests with events that hold a permit now.";
    IngestPermits: Gauge, "menshen_ingest_permits", [],
        "Permits there are for requests with events.";
    Callbacks: Counter, "menshen_callbacks_total", [PLATFORM, CALLBACK_OUTCOME],
        "Callbacks of platforms.";
    AccessDenied: Counter, "menshen_access_denied_total", [DENIAL],
        "Requests refused for who made them.";
    IdempotencyReplays: Counter, "menshen_idempotency_replays_total", [],
        "Requests answered from a stored answer to the same Idempotency-Key.";
    Actions: Counter, "menshen_actions_total", [ACTION, ACTION_OUTCOME],
        "Acts that rules asked of platforms.";
    SendsQueued: Counter, "menshen_sends_queued_total", [SEND_KIND],
        "Deliveries put into lanes.";
    QueueDepth: Gauge, "menshen_queue_depth", [PRIORITY, QUEUE_STATE],
        "Deliveries in the lanes.";
    OldestDueAge: Gauge, "menshen_oldest_due_age_seconds", [PRIORITY],
        "How long the oldest delivery that is due has waited, throttled ones included.";
    SendAttempts: Counter, "menshen_send_attempts_total", [PLATFORM, SEND_OUTCOME],
        "Calls to platforms.";
    SendSeconds: Histogram(REQUEST_SECONDS), "menshen_send_duration_seconds", [PLATFORM],
        "How long calls to platforms took.";
    LimiterWait: Histogram(WAIT_SECONDS), "menshen_limiter_wait_seconds", [LEVEL],
        "How long deliveries waited for a limit.";
    LimiterSaturation: Gauge, "menshen_limiter_saturation_ratio", [LEVEL],
        "Share of the fullest limit that is used, 0 to 1.";
    Circuits: Gauge, "menshen_circuit_state", [PLATFORM, CIRCUIT],
        "Accounts by state of their circuit breaker.";
    DeadLetters: Counter, "menshen_dead_letters_total", [],
        "Deliveries given up.";
    Uncertain: Counter, "menshen_uncertain_total", [],
        "Deliveries of which nobody knows whether they were sent.";
    Holds: Gauge, "menshen_holds_active", [],
        "Stops of outbound acts in force.";
    Broadcasts: Gauge, "menshen_broadcasts_active", [],
        "Broadcasts that are running or paused.";
    WebhookDeliveries: Counter, "menshen_webhook_deliveries_total", [WEBHOOK_OUTCOME],
        "Status webhooks sent to endpoints.";
    JournalCommitSeconds: Histogram(COMMIT_SECONDS), "menshen_journal_commit_seconds", [],
        "How long commits of the journal took, flush included.";
    JournalCommitEvents: Histogram(BATCH_EVENTS), "menshen_journal_commit_events", [],
        "Events written by one commit of the journal.";
    JournalCommitFailures: Counter, "menshen_journal_commit_failures_total", [],
        "Commits of the journal that failed.";
    LedgerCommitSeconds: Histogram(COMMIT_SECONDS), "menshen_ledger_commit_seconds", [],
        "How long commits of the ledger took, flush included.";
    LedgerCommitFailures: Counter, "menshen_ledger_commit_failures_total", [],
        "Commits of the ledger that failed.";
    PartitionReloads: Counter, "menshen_partition_reloads_total", [],
        "Partitions thrown out of memory after a failed commit and loaded again.";
    ProjectionLag: Gauge, "menshen_projection_lag_events", [],
        "Committed events that the projection has not folded yet.";
    FleetLag: Gauge, "menshen_fleet_lag_events", [],
        "Committed events that the fleet stage has not seen yet.";
    DataFileBytes: Gauge, "menshen_data_file_bytes", [DATA_FILE],
        "Size of the files in the data directory.";
    Groups: Gauge, "menshen_groups", [],
        "Groups known.";
    Cases: Counter, "menshen_cases_opened_total", [],
        "Cases opened by the fleet stage: one text in many groups.";
    RulesetCompiles: Counter, "menshen_ruleset_compiles_total", [SUCCESS],
        "Rulesets compiled.";
    RulesetCompileSeconds: Histogram(COMPILE_SECONDS), "menshen_ruleset_compile_seconds", [],
        "How long compiling a ruleset took.";
    RulesetTerms: Gauge, "menshen_ruleset_terms", [],
        "Terms in the ruleset in force.";
    Reloads: Counter, "menshen_reloads_total", [SUCCESS],
        "Reloads of the configuration.";
    TasksPanicked: Counter, "menshen_tasks_panicked_total", [],
        "Background tasks that panicked; each takes the process to drain.";
    Ready: Gauge, "menshen_ready", [],
        "1 while new work is taken, else 0.";
    Degraded: Gauge, "menshen_degraded", [],
        "Accounts that are reported as degraded.";
}

/// Requests by route template, method and status; labels are found at run time, from the router's closed set.
pub(super) const REQUESTS: &str = "menshen_http_requests_total";
/// Help of [`REQUESTS`].
pub(super) const REQUESTS_HELP: &str = "HTTP requests answered.";

/// Duration of requests by route template and method.
pub(super) const REQUEST_DURATION: &str = "menshen_http_request_duration_seconds";
/// Help of [`REQUEST_DURATION`].
pub(super) const REQUEST_DURATION_HELP: &str =
    "How long requests took, from their head to the end of the answer.";
/// Bounds of [`REQUEST_DURATION`].
pub(super) const REQUEST_DURATION_BUCKETS: &[f64] = REQUEST_SECONDS;

/// Version of the binary.
pub(super) const BUILD_INFO: &str = "menshen_build_info";
/// Help of [`BUILD_INFO`].
pub(super) const BUILD_INFO_HELP: &str = "Always 1; the label says which version runs.";

/// Every name in the exposition, those of the process included.
pub fn all_names() -> Vec<&'static str> {
    let mut names: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
    names.extend([REQUESTS, REQUEST_DURATION, BUILD_INFO]);
    names.extend(super::process::NAMES);
    names
}
