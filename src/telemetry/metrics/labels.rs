//! The closed sets that labels are from. Nothing here may grow with groups, members or rules.

use serde::{Deserialize, Serialize};

use crate::event::{EvidenceKind, Status, Verdict};

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
    /// What happened to a task that a person must confirm.
    MassStep, MASS_STEP = "step" {
        /// The platform made it.
        Created = "created",
        /// Its owner confirmed it.
        Confirmed = "confirmed",
        /// Its owner was reminded.
        Reminded = "reminded",
        /// The platform agreed to stop it.
        CalledOff = "called_off",
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
        /// One application's that several accounts use.
        App = "app",
        /// One company's with several accounts.
        Corp = "corp",
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
    /// Why a text that was to be kept was not.
    EvidenceLoss, EVIDENCE_LOSS = "reason" {
        /// Too many waited for the writer.
        Queue = "queue",
        /// The store is full.
        Room = "room",
        /// The disk did not take it.
        Storage = "storage",
        /// It could not be sealed.
        Key = "key",
    }
}

closed_set! {
    /// Why a message was not looked at for words.
    WordsLoss, WORDS_LOSS = "reason" {
        /// More a second than are looked at.
        Rate = "rate",
        /// Too many waited.
        Queue = "queue",
        /// The disk did not take them.
        Storage = "storage",
    }
}

closed_set! {
    /// What a question to the verdict hook came to.
    HookOutcome, HOOK_OUTCOME = "outcome" {
        /// A verdict.
        Answered = "answered",
        /// A status that is no answer.
        Refused = "refused",
        /// An answer of another form.
        Unreadable = "unreadable",
        /// There was no connection.
        Unreached = "unreached",
        /// No answer in time, or it broke off.
        Lost = "lost",
    }
}

closed_set! {
    /// Why a question was not put to the verdict hook.
    HookDrop, HOOK_DROP = "reason" {
        /// Too many wait already.
        QueueFull = "queue_full",
        /// It waited too long for its turn.
        Expired = "expired",
        /// Too many questions failed before it.
        CircuitOpen = "circuit_open",
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

closed_set! {
    /// Which part of WeCom a call is for.
    WecomFamily, WECOM_FAMILY = "family" {
        /// Access tokens.
        Token = "token",
        /// What is looked up or set for the account: its app, its staff, files, rules on what staff send.
        Account = "account",
        /// Groups, their rosters, owners and ways in, and the platform's numbers of them.
        Groups = "groups",
        /// Greetings and their templates.
        Welcome = "welcome",
        /// Mass sends and their tasks.
        MassSend = "mass_send",
        /// Groups that the app made.
        Appchat = "appchat",
        /// Group robots.
        Robot = "robot",
        /// Messages to staff.
        Message = "message",
    }
}

closed_set! {
    /// What a call to WeCom came to.
    WecomCall, WECOM_CALL = "outcome" {
        /// Done.
        Ok = "ok",
        /// Refused, with a code of the platform's.
        Refused = "refused",
        /// Refused because of a limit of the platform's.
        Throttled = "throttled",
        /// Not made because of a limit: ours, or a penalty that still runs.
        Held = "held",
        /// Never arrived.
        Unreached = "unreached",
        /// Perhaps arrived, without a readable answer.
        Lost = "lost",
    }
}

closed_set! {
    /// What WeCom told that stands for no event of ours.
    WecomIgnored, WECOM_IGNORED = "kind" {
        /// What a member of staff wrote to the app, one to one.
        AppMessage = "app_message",
        /// An event that is known and changes nothing here.
        Known = "known",
        /// An event we do not know.
        Unknown = "unknown",
        /// A robot's message or event.
        Robot = "robot",
        /// Decrypted well, and not to be read, or without what its kind must have.
        Malformed = "malformed",
    }
}

closed_set! {
    /// Why a reply or welcome was not said.
    SayRefusal, SKIP = "reason" {
        /// Its text needs a variable that has no value there.
        MissingVariable = "missing_variable",
        /// The platform does not let us say it.
        Unsupported = "unsupported",
        /// Interception refuses our own words.
        Blocked = "blocked",
        /// It would come too late.
        Expired = "expired",
        /// Silent for a while after an answer.
        Cooldown = "cooldown",
        /// The message repeats our own words.
        Echo = "echo",
        /// The member was answered too often.
        Loop = "loop",
        /// The rule is on trial.
        Shadow = "shadow",
        /// Staff look after the member.
        HandedOver = "handed_over",
        /// The member left a few days ago.
        Rejoined = "rejoined",
    }
}

/// The platforms there are, as `Connector::platform` spells them.
pub(super) const PLATFORM: Label =
    Label { name: "platform", values: &["sandbox", "webhook", "wecom", "matrix", OTHER] };

/// What is sent, as `Delivery::kind` spells it.
pub(super) const SEND_KIND: Label = Label {
    name: "kind",
    values: &[
        "broadcast",
        "edit",
        "reply",
        "welcome",
        "journey",
        "warning",
        "notice",
        "recall",
        "warn",
        "mute",
        "remove",
        OTHER,
    ],
};

/// What became of members of journeys, as `journeys::Came` spells it.
pub(super) const JOURNEY: Label = Label {
    name: "came",
    values: &[
        "started",
        "rejoined",
        "under_way",
        "told",
        "finished",
        "stopped_spoke",
        "stopped_left",
        "stopped_outcome",
        "stopped_segment",
        "stopped_removed",
        "skipped_condition",
        "skipped_unseen",
        "skipped_unsupported",
        "skipped_expired",
        "skipped_capped",
        "skipped_missing_variable",
        "skipped_shadow",
        "skipped_off",
        OTHER,
    ],
};

/// Why input was refused before it became an event: the codes of `ingest`'s refusals and of connectors.
pub(super) const REJECTION: Label = Label {
    name: "reason",
    values: &[
        // the request
        "connections",
        "overloaded",
        "not_ready",
        "quota_exceeded",
        "unauthorized",
        "forbidden",
        "content_type",
        "encoding",
        "gzip",
        "empty",
        "body_too_large",
        "decoded_too_large",
        "body_too_slow",
        "body_aborted",
        "batch_too_large",
        // one event
        "line_too_long",
        "text_too_long",
        "decode",
        "future",
        "outside_scope",
        "unknown_account",
        // a callback
        "bad_signature",
        "bad_timestamp",
        "too_old",
        "too_new",
        "missing_header",
        "bad_id",
        "id_reused",
        "bad_json",
        "bad_event",
        "too_many_events",
        "encoded_body",
        "no_callbacks",
        "no_inbound_secret",
        "no_such_path",
        "not_post",
        "bad_envelope",
        "bad_ciphertext",
        "other_receiver",
        OTHER,
    ],
};

/// What a name that was not entered above is counted as: seen, but without a series of its own.
const OTHER: &str = "other";

/// A value given by its name. For paths that are not hot: a search through the set.
#[derive(Clone, Copy)]
pub(super) struct Named(usize);

impl Named {
    pub(super) fn of(label: Label, name: &str) -> Self {
        let other = label.values.len() - 1;
        Self(label.values.iter().position(|known| *known == name).unwrap_or(other))
    }
}

impl Value for Named {
    fn place(self) -> usize {
        self.0
    }
}

/// Of what staff are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// A customer left a group.
    Left,
    /// A member asked for a person.
    HandedOver,
    /// Nobody answered a question.
    Unanswered,
    /// A person has to do what no program did.
    ByHand,
    /// The same advert in many groups.
    Case,
}

pub(super) const ALERT: Label =
    Label { name: "kind", values: &["left", "handed_over", "unanswered", "by_hand", "case"] };

impl Value for Alert {
    fn place(self) -> usize {
        match self {
            Alert::Left => 0,
            Alert::HandedOver => 1,
            Alert::Unanswered => 2,
            Alert::ByHand => 3,
            Alert::Case => 4,
        }
    }
}

pub(super) const ALERT_KIND: Label = Label {
    name: "kind",
    values: &[
        "leave_surge",
        "hit_spike",
        "negative_words",
        "dead_group",
        "group_nearly_full",
        "silent_callback",
        "send_failures",
        "unconfirmed_sends",
        "unanswered_questions",
        "rule_out_of_band",
        "other",
    ],
};

pub(super) const ALERT_STATE: Label = Label {
    name: "state",
    values: &["opened", "reminded", "escalated", "assigned", "acknowledged", "recovered", "passed", "other"],
};

pub(super) const EVIDENCE: Label =
    Label { name: "kind", values: &["reviewed", "blocked", "reported", "history", "question"] };

impl Value for EvidenceKind {
    fn place(self) -> usize {
        match self {
            EvidenceKind::Reviewed => 0,
            EvidenceKind::Blocked => 1,
            EvidenceKind::Reported => 2,
            EvidenceKind::History => 3,
            EvidenceKind::Question => 4,
        }
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
