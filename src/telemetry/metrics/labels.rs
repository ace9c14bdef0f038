//! The closed sets that labels are from. Nothing here may grow with groups, members or rules.

use crate::event::{ActionKind, Level, Status, Verdict};

/// One label of a metric with all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All values, in the order of the numbers that [`Value`] gives.
    pub values: &'static [&'static str],
}

/// A value of a closed set: its place in [`Label::values`].
pub(super) trait Value: Copy {
    fn place(self) -> usize;
}

macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident, $label:ident = $key:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $set {
            $($(#[$value_doc])* $value,)*
        }

        impl Value for $set {
            fn place(self) -> usize {
                self as usize
            }
        }

        pub(super) const $label: Label = Label { name: $key, values: &[$($text),*] };
    };
}

closed_set! {
    /// Why input was refused before it became an event.
    Rejection, REJECTION = "reason" {
        /// The body is larger than the cap, as sent or after decompression.
        BodyTooLarge = "body_too_large",
        /// One NDJSON line is larger than the cap.
        LineTooLong = "line_too_long",
        /// A message's text is longer than the cap.
        TextTooLong = "text_too_long",
        /// More events in one request than the cap.
        BatchTooLarge = "batch_too_large",
        /// Not the JSON of an event.
        Decode = "decode",
        /// An encoding or content type that is not spoken here.
        Unsupported = "unsupported",
        /// No credential, or a wrong one.
        Unauthorized = "unauthorized",
        /// A credential that does not reach this far.
        Forbidden = "forbidden",
        /// No such account.
        UnknownAccount = "unknown_account",
        /// A callback whose signature or age is wrong.
        BadSignature = "bad_signature",
        /// Dated too far ahead.
        Future = "future",
        /// No permit free.
        Overloaded = "overloaded",
        /// The token's own limit.
        RateLimited = "rate_limited",
        /// The client was too slow.
        Timeout = "timeout",
        /// Storage cannot take it.
        Storage = "storage",
        /// The gateway is stopping.
        Draining = "draining",
    }
}

closed_set! {
    /// Where a repeat was recognised.
    DedupeHit, FOUND_IN = "found_in" {
        /// Among the recent hours.
        Memory = "memory",
        /// In a sealed hour on disk.
        Sealed = "sealed",
        /// Its first copy is still being committed.
        Committing = "committing",
    }
}

closed_set! {
    /// What became of a platform's callback.
    CallbackOutcome, CALLBACK_OUTCOME = "outcome" {
        /// Believed and taken.
        Accepted = "accepted",
        /// Not believed: signature, age, form.
        Refused = "refused",
        /// Believed but not taken: overload, storage, drain.
        Failed = "failed",
    }
}

closed_set! {
    /// Why somebody may not.
    Denial, DENIAL = "reason" {
        /// No credential.
        Missing = "missing",
        /// Not the form of a token.
        Malformed = "malformed",
        /// No such token, or a wrong secret.
        Unknown = "unknown",
        /// Past its date, or revoked.
        Expired = "expired",
        /// The right is missing.
        Right = "right",
        /// Outside the data scope.
        Scope = "scope",
        /// The request limit of the token.
        RateLimited = "rate_limited",
    }
}

closed_set! {
    /// What became of an action that a rule asked for.
    ActionOutcome, ACTION_OUTCOME = "outcome" {
        /// On its way.
        Queued = "queued",
        /// The platform cannot.
        Unsupported = "unsupported",
        /// The budget of irreversible acts is spent: a review instead.
        OverBudget = "over_budget",
    }
}

closed_set! {
    /// What is sent.
    SendKind, SEND_KIND = "kind" {
        /// A target of a broadcast.
        Broadcast = "broadcast",
        /// An answer to a keyword.
        Reply = "reply",
        /// A greeting.
        Welcome = "welcome",
        /// A later step of a journey.
        Journey = "journey",
        /// A warning to a member.
        Warning = "warning",
        /// A moderation action.
        Action = "action",
    }
}

closed_set! {
    /// Who goes first; the spelling of `outbox`'s priority.
    QueuePriority, PRIORITY = "priority" {
        /// Moderation, expiring welcome codes.
        Urgent = "urgent",
        /// Replies and welcomes.
        Normal = "normal",
        /// Broadcasts.
        Bulk = "bulk",
    }
}

closed_set! {
    /// Where a delivery waits.
    QueueState, QUEUE_STATE = "state" {
        /// May go now.
        Ready = "ready",
        /// Waits for a limit or a retry.
        Delayed = "delayed",
        /// Stopped by an operator.
        Held = "held",
        /// The call runs.
        InFlight = "in_flight",
    }
}

closed_set! {
    /// What one call to a platform came to.
    SendOutcome, SEND_OUTCOME = "outcome" {
        /// Taken.
        Sent = "sent",
        /// Taken; a person must confirm it there.
        AwaitingConfirmation = "awaiting_confirmation",
        /// Nobody knows.
        Uncertain = "uncertain",
        /// Refused for now: it is tried again.
        Retry = "retry",
        /// Refused for good: a dead letter.
        Dead = "dead",
    }
}

closed_set! {
    /// Which limit it is about.
    LimitLevel, LEVEL = "level" {
        /// The account's.
        Account = "account",
        /// One group's.
        Group = "group",
    }
}

closed_set! {
    /// The state of an account's circuit breaker.
    CircuitState, CIRCUIT = "state" {
        /// Calls go through.
        Closed = "closed",
        /// One canary is let through.
        HalfOpen = "half_open",
        /// No calls.
        Open = "open",
    }
}

closed_set! {
    /// What became of a status webhook of ours.
    WebhookOutcome, WEBHOOK_OUTCOME = "outcome" {
        /// Answered with 2xx.
        Delivered = "delivered",
        /// Will be tried again.
        Retry = "retry",
        /// Given up.
        Dead = "dead",
    }
}

closed_set! {
    /// A file of the data directory.
    DataFile, DATA_FILE = "file" {
        /// `journal.db`.
        Journal = "journal",
        /// `ledger.db`.
        Ledger = "ledger",
        /// `state.db`.
        State = "state",
    }
}

closed_set! {
    /// How something that either works or not went.
    Success, SUCCESS = "outcome" {
        /// It worked.
        Ok = "ok",
        /// It did not; what was before still holds.
        Failed = "failed",
    }
}

/// The platforms there are, and `other` for one that was not entered here.
pub(super) const PLATFORM: Label =
    Label { name: "platform", values: &["sandbox", "webhook", "wecom", "matrix", "other"] };

/// A platform by its name, as `Connector::platform` gives it.
#[derive(Clone, Copy)]
pub(super) struct Platform(usize);

impl Platform {
    pub(super) fn of(name: &str) -> Self {
        let other = PLATFORM.values.len() - 1;
        Self(PLATFORM.values.iter().position(|known| *known == name).unwrap_or(other))
    }
}

impl Value for Platform {
    fn place(self) -> usize {
        self.0
    }
}

pub(super) const STATUS: Label = Label { name: "status", values: &["counted", "duplicate", "late"] };

impl Value for Status {
    fn place(self) -> usize {
        match self {
            Status::Counted => 0,
            Status::Duplicate => 1,
            Status::Late => 2,
        }
    }
}

pub(super) const VERDICT: Label = Label { name: "verdict", values: &["pass", "mask", "review", "block"] };

impl Value for Verdict {
    fn place(self) -> usize {
        match self {
            Verdict::Pass => 0,
            Verdict::Mask => 1,
            Verdict::Review => 2,
            Verdict::Block => 3,
        }
    }
}

pub(super) const HIT_LEVEL: Label = Label { name: "level", values: &["low", "medium", "high"] };

impl Value for Level {
    fn place(self) -> usize {
        match self {
            Level::Low => 0,
            Level::Medium => 1,
            Level::High => 2,
        }
    }
}

pub(super) const ACTION: Label = Label { name: "kind", values: &["recall", "warn", "mute", "remove"] };

impl Value for ActionKind {
    fn place(self) -> usize {
        match self {
            ActionKind::Recall => 0,
            ActionKind::Warn => 1,
            ActionKind::Mute => 2,
            ActionKind::Remove => 3,
        }
    }
}
