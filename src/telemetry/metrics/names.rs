//! Every metric: name, kind, labels, help. `docs/OPERATING.md` lists the same, and a test compares.

use super::labels::{
    ALERT, ALERT_KIND, ALERT_STATE, CIRCUIT, EVIDENCE, EVIDENCE_LOSS, HOOK_DROP, HOOK_OUTCOME, JOURNEY,
    LEVEL, Label, MASS_STEP, PLATFORM, PRIORITY, QUEUE_STATE, REJECTION, SEND_KIND, SEND_OUTCOME, SKIP,
    STATUS, SUCCESS, VERDICT, WECOM_CALL, WECOM_FAMILY, WECOM_IGNORED, WORDS_LOSS,
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
    DedupeHits: Counter, "menshen_dedupe_hits_total", [],
        "Repeats recognised.";
    DedupeExactIds: Gauge, "menshen_dedupe_exact_ids", [],
        "Event ids of recent hours held in memory.";
    DedupeDiskLookups: Counter, "menshen_dedupe_disk_lookups_total", [],
        "Event ids looked up in sealed hours on disk.";
    Verdicts: Counter, "menshen_verdicts_total", [VERDICT],
        "Verdicts on events, repeats left out.";
    Hits: Counter, "menshen_hits_total", [],
        "Listed terms found that led to a verdict other than pass.";
    IngestRejected: Counter, "menshen_ingest_rejected_total", [REJECTION],
        "Requests, events and callbacks refused before they counted.";
    IngestInFlight: Gauge, "menshen_ingest_in_flight", [],
        "Requests with events that are being worked on.";
    Callbacks: Counter, "menshen_callbacks_total", [PLATFORM],
        "Callbacks of platforms that were believed and taken.";
    CallbackEvents: Counter, "menshen_callback_events_total", [PLATFORM],
        "Events in those callbacks.";
    RosterGaps: Counter, "menshen_roster_gaps_total", [],
        "Changes of rosters that did not follow from what was known, so that the roster is read again.";
    ReplayIdsEvicted: Counter, "menshen_callback_replay_ids_evicted_total", [],
        "Callback ids forgotten before their time because an account's memory of them was full.";
    IdempotencyReplays: Counter, "menshen_idempotency_replays_total", [],
        "Requests answered from the stored answer to the same Idempotency-Key.";
    SaysSkipped: Counter, "menshen_says_skipped_total", [SKIP],
        "Replies and welcomes that were due and not said.";
    RemovalsOverBudget: Counter, "menshen_removals_over_budget_total", [],
        "Members who were put up for review because the removals of the hour were used up.";
    JourneyMembers: Counter, "menshen_journey_members_total", [JOURNEY],
        "Members of journeys, by what became of them and their steps.";
    LateVerdicts: Counter, "menshen_late_verdicts_total", [VERDICT],
        "Verdicts on messages that came after the messages were answered.";
    HookRequests: Counter, "menshen_hook_requests_total", [HOOK_OUTCOME],
        "Questions to the verdict hook.";
    HookSeconds: Histogram(REQUEST_SECONDS), "menshen_hook_duration_seconds", [],
        "How long questions to the verdict hook took.";
    HookDropped: Counter, "menshen_hook_dropped_total", [HOOK_DROP],
        "Questions that were never put to the verdict hook.";
    HookQueue: Gauge, "menshen_hook_queue_depth", [],
        "Questions that wait for their turn.";
    HookCircuit: Gauge, "menshen_hook_circuit_state", [CIRCUIT],
        "1 for the state that the verdict hook's circuit breaker is in.";
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
    LimiterRefusals: Counter, "menshen_limiter_refusals_total", [LEVEL],
        "Times a platform said that too much was sent.";
    LimiterShare: Gauge, "menshen_limiter_share_ratio", [LEVEL],
        "Lowest share of a configured rate that is used since refusals, 0 to 1.";
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
    MassTasks: Counter, "menshen_mass_tasks_total", [MASS_STEP],
        "Steps of tasks that a person must confirm on the platform.";
    MassTasksWaiting: Gauge, "menshen_mass_tasks_waiting", [],
        "Tasks that wait for a person to confirm them.";
    JournalCommitSeconds: Histogram(COMMIT_SECONDS), "menshen_journal_commit_seconds", [],
        "How long commits of the journal took, flush included.";
    JournalCommitFailures: Counter, "menshen_journal_commit_failures_total", [],
        "Commits of the journal that failed.";
    JournalPendingBytes: Gauge, "menshen_journal_pending_bytes", [],
        "Encoded effects waiting for a commit of the journal.";
    LedgerCommitSeconds: Histogram(COMMIT_SECONDS), "menshen_ledger_commit_seconds", [],
        "How long commits of the ledger took, flush included.";
    LedgerCommitFailures: Counter, "menshen_ledger_commit_failures_total", [],
        "Commits of the ledger that failed.";
    PartitionReloads: Counter, "menshen_partition_reloads_total", [],
        "Partitions thrown out of memory after a failed commit and loaded again.";
    ProjectionLag: Gauge, "menshen_projection_lag_rows", [],
        "Journal rows that the projection has not folded yet.";
    FleetLag: Gauge, "menshen_fleet_lag_rows", [],
        "Journal rows that the fleet stage has not seen yet.";
    Alerts: Counter, "menshen_alerts_total", [ALERT],
        "What staff were told of.";
    QuestionsOpen: Gauge, "menshen_questions_open", [],
        "Questions of customers that wait for an answer.";
    QuestionsUnfollowed: Counter, "menshen_questions_unfollowed_total", [],
        "Questions that were not followed because too many wait.";
    AlertNotices: Counter, "menshen_alert_notices_total", [ALERT_STATE],
        "Notices of alerts that stand until they recover.";
    AlertsOpen: Gauge, "menshen_alerts_open", [ALERT_KIND],
        "Alerts that are open, storms apart.";
    AlertsLeftOut: Counter, "menshen_alerts_left_out_total", [],
        "Alerts, notices and counts left out because of a limit, and people who could not be told.";
    AlertsLag: Gauge, "menshen_alerts_lag_rows", [],
        "Journal rows that the alerts have not seen yet.";
    MembersMarked: Gauge, "menshen_members_marked", [],
        "Members with tags or a value that people gave.";
    RuleTags: Gauge, "menshen_rule_tags", [],
        "Tags by rule that are kept in memory.";
    GroupsTagged: Counter, "menshen_groups_tagged_total", [],
        "Groups whose tags by rule were made anew.";
    GroupsNotKept: Counter, "menshen_groups_tags_not_kept_total", [],
        "Groups whose tags by rule were made for one question and not kept, as there is no room.";
    SegmentGroupsWaiting: Gauge, "menshen_segment_groups_waiting", [],
        "Groups that wait for a look at the segments that journeys ask about.";
    SegmentEntriesPutOff: Counter, "menshen_segment_entries_put_off_total", [],
        "Members who came into a segment and begin its journey in a later look, as one look takes only so many.";
    Cases: Counter, "menshen_cases_total", [],
        "Cases found by the fleet stage: one text in many groups.";
    CaseMessagesUnlisted: Counter, "menshen_case_messages_unlisted_total", [],
        "Messages that belong to a case and are not listed in it: it has too many.";
    RulesetCompileSeconds: Histogram(COMPILE_SECONDS), "menshen_ruleset_compile_seconds", [],
        "How long compiling the rules in force took.";
    RulesetTerms: Gauge, "menshen_ruleset_terms", [],
        "Terms in the ruleset in force.";
    Reloads: Counter, "menshen_reloads_total", [SUCCESS],
        "Reloads of rules, wordlists and limits.";
    RolloutsHalted: Counter, "menshen_rollouts_halted_total", [],
        "Wordlists in stages that went back into shadow because they did not hit as expected.";
    TasksPanicked: Counter, "menshen_tasks_panicked_total", [],
        "Background tasks that panicked; each takes the process to drain.";
    AccountsUnprotected: Gauge, "menshen_accounts_unprotected", [],
        "Accounts that nobody watches: the gateway was down, the platform refuses us, or callbacks do not reach us.";
    UnprotectedSeconds: Gauge, "menshen_unprotected_seconds", [],
        "How long the account has gone unwatched that has the longest.";
    RosterSyncs: Counter, "menshen_roster_syncs_total", [SUCCESS],
        "Readings of every group of an account.";
    RosterSyncSeconds: Histogram(WAIT_SECONDS), "menshen_roster_sync_seconds", [],
        "How long readings of every group of an account took.";
    RosterGroupsFailed: Counter, "menshen_roster_groups_failed_total", [],
        "Groups that could not be read; each is tried again.";
    RosterGroupsLeft: Gauge, "menshen_roster_groups_left", [],
        "Groups still to be read because a callback left something open or a reading failed.";
    EvidenceKept: Counter, "menshen_evidence_kept_total", [EVIDENCE],
        "Original texts sealed and stored, by what for.";
    EvidenceDropped: Counter, "menshen_evidence_dropped_total", [EVIDENCE_LOSS],
        "Original texts that were to be kept and were not.";
    EvidenceRows: Gauge, "menshen_evidence_rows", [],
        "Original texts in the evidence store.";
    EvidenceBytes: Gauge, "menshen_evidence_bytes", [],
        "Bytes of sealed texts in the evidence store, their rows included.";
    ReviewsOpen: Gauge, "menshen_reviews_open", [],
        "Reviews that wait for a person.";
    ReviewsLapsed: Counter, "menshen_reviews_lapsed_total", [],
        "Reviews closed because nobody looked in time, or because too many waited.";
    ReviewsLag: Gauge, "menshen_reviews_lag_rows", [],
        "Journal rows that the review queue has not seen yet.";
    WordsMessages: Counter, "menshen_words_messages_total", [],
        "Customers' messages that were looked at for words.";
    WordsMissed: Counter, "menshen_words_missed_total", [WORDS_LOSS],
        "Customers' messages that were not looked at for words.";
    WordsDropped: Counter, "menshen_words_dropped_total", [],
        "Words that had no room in their group's day.";
    WordsBytes: Gauge, "menshen_words_bytes", [],
        "Bytes of words that are kept.";
    Ready: Gauge, "menshen_ready", [],
        "1 while new work is taken, else 0.";
    Degraded: Gauge, "menshen_degraded", [],
        "Accounts that are reported as degraded.";
    WecomCalls: Counter, "menshen_wecom_calls_total", [WECOM_FAMILY, WECOM_CALL],
        "Calls to WeCom's interfaces by part of the platform and outcome.";
    WecomTokens: Counter, "menshen_wecom_token_refreshes_total", [SUCCESS],
        "Access tokens asked for.";
    WecomQuotaWait: Histogram(WAIT_SECONDS), "menshen_wecom_quota_wait_seconds", [],
        "How long calls to WeCom waited for a limit of its interfaces.";
    WecomPenalties: Counter, "menshen_wecom_penalties_total", [],
        "Times WeCom closed an interface for the rest of a window.";
    StatusCalls: Counter, "menshen_status_webhooks_total", [SUCCESS],
        "Calls that told an endpoint of state changes.";
    StatusTold: Counter, "menshen_status_changes_told_total", [],
        "State changes that endpoints were told of.";
    StatusMissed: Counter, "menshen_status_changes_missed_total", [],
        "State changes that were forgotten before an endpoint could be told.";
    StatusWaiting: Gauge, "menshen_status_changes_waiting", [],
        "State changes that the slowest endpoint was not told of yet.";
    ReportsFailed: Counter, "menshen_reports_failed_total", [],
        "Times that daily reports could not be written.";
    StreamsOpen: Gauge, "menshen_streams_open", [],
        "Streams (GET /v1/stream) that are open.";
    StreamsRefused: Counter, "menshen_streams_refused_total", [],
        "Streams refused because as many as may be were open.";
    WecomIgnored: Counter, "menshen_wecom_callbacks_ignored_total", [WECOM_IGNORED],
        "Callbacks of WeCom that were authentic and stand for no event.";
}

/// Requests by route template, method and status; labels are found at run time, from the router's closed set.
pub(super) const REQUESTS: &str = "menshen_http_requests_total";
/// Help of [`REQUESTS`].
pub(super) const REQUESTS_HELP: &str = "HTTP requests answered.";

/// What happens in groups by region and kind; regions are found at run time, at most `regions::REGIONS_MAX`.
pub(super) const REGIONS: &str = "menshen_region_events_total";
/// Help of [`REGIONS`].
pub(super) const REGIONS_HELP: &str =
    "Messages, joins, leaves, hits, questions and answers in groups, by region.";

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
    names.extend([REQUESTS, REQUEST_DURATION, REGIONS, BUILD_INFO]);
    names.extend(super::process::NAMES);
    names
}
