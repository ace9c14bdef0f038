//! The ledger's rows: documents people write, deliveries, attempts, audit.

use serde::{Deserialize, Serialize};

use super::calls::Moved;
use super::status::StatusChange;

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is a word of the design's section 2")]
pub enum DocumentKind {
    Operator,
    Token,
    Account,
    Brand,
    Region,
    Shop,
    Group,
    Wordlist,
    Policy,
    Reply,
    Welcome,
    Journey,
    Audience,
    Broadcast,
    /// The groups a broadcast goes to, from its submission until all its targets are written: id is the broadcast's.
    BroadcastGroups,
    Hold,
    Endpoint,
    ConnectorState,
    /// What a person was asked to confirm: id is broadcast + `/` + number of the mass send in hex.
    MassTask,
    /// How long an owner takes to confirm: id is account + `/` + owner.
    OwnerHistory,
    /// What a duty did on a platform, by account.
    Pushed,
    /// A greeting that a platform sends to newcomers by itself.
    WelcomeTemplate,
    /// Somebody says that a group's owner has picked a template.
    Adoption,
    /// A way into groups.
    JoinWay,
    /// Groups that are to have a new owner.
    Transfer,
    /// A group of staff that we make ourselves.
    OwnGroup,
    /// How a wordlist came to the state of its life that it is in: id is its name.
    WordlistLife,
    /// A set of rules: terms together, over several messages, patterns.
    RuleSet,
    /// Words that stand for each other in the keywords of replies.
    Synonyms,
    /// Who made a version of the rules, why, and what was different: id is its number.
    Ruleset,
    /// What the documents of a version were before: id is its number.
    RulesetUndo,
    /// Which version of the rules is in force, and which are kept: one document.
    RulesetHead,
    /// Something that waits for a person.
    Review,
    /// The same, closed.
    ReviewClosed,
    /// Up to where a reader of the journal has come.
    Follower,
    /// What refusals taught about an account's limits: id is the account.
    LearnedLimits,
    /// When the wall clock was set: one document.
    WallSteps,
    /// What a person decided about a case: id is the case's.
    CaseDecision,
    /// Members who are to be kept out of groups.
    Kick,
    /// Members whom a decision takes out, until it was asked for all of them: id is the case's or the list's + `/` + time.
    Removals,
    /// A notice to an owner that is being gathered.
    OwnerNotice,
    /// A question that nobody answered: id is `qu_` and the time it was asked.
    Question,
    /// A piece of the state of alerts that are open.
    AlertState,
    /// An alert that is over: ids count down, so that the latest comes first.
    Alert,
    /// A notice of an alert to people, until the way to them has taken it.
    AlertLetter,
    /// When alerts are raised somewhere, and who is told.
    AlertRule,
    /// What people wrote on a member: id is account + `/` + member.
    MemberMark,
    /// By which a member gets a tag.
    TagRule,
    /// Which members are meant, under a name.
    Segment,
}

impl DocumentKind {
    /// Returns the spelling on disk.
    pub fn as_str(self) -> &'static str {
        match self {
            DocumentKind::Operator => "operator",
            DocumentKind::Token => "token",
            DocumentKind::Account => "account",
            DocumentKind::Brand => "brand",
            DocumentKind::Region => "region",
            DocumentKind::Shop => "shop",
            DocumentKind::Group => "group",
            DocumentKind::Wordlist => "wordlist",
            DocumentKind::Policy => "policy",
            DocumentKind::Reply => "reply",
            DocumentKind::Welcome => "welcome",
            DocumentKind::Journey => "journey",
            DocumentKind::Audience => "audience",
            DocumentKind::Broadcast => "broadcast",
            DocumentKind::BroadcastGroups => "broadcast_groups",
            DocumentKind::Hold => "hold",
            DocumentKind::Endpoint => "endpoint",
            DocumentKind::ConnectorState => "connector_state",
            DocumentKind::MassTask => "mass_task",
            DocumentKind::OwnerHistory => "owner_history",
            DocumentKind::Pushed => "pushed",
            DocumentKind::WelcomeTemplate => "welcome_template",
            DocumentKind::Adoption => "adoption",
            DocumentKind::JoinWay => "join_way",
            DocumentKind::Transfer => "transfer",
            DocumentKind::OwnGroup => "own_group",
            DocumentKind::WordlistLife => "wordlist_life",
            DocumentKind::RuleSet => "rule_set",
            DocumentKind::Synonyms => "synonyms",
            DocumentKind::Ruleset => "ruleset",
            DocumentKind::RulesetUndo => "ruleset_undo",
            DocumentKind::RulesetHead => "ruleset_head",
            DocumentKind::Review => "review",
            DocumentKind::ReviewClosed => "review_closed",
            DocumentKind::Follower => "follower",
            DocumentKind::LearnedLimits => "learned_limits",
            DocumentKind::WallSteps => "wall_steps",
            DocumentKind::CaseDecision => "case_decision",
            DocumentKind::Kick => "kick",
            DocumentKind::Removals => "removals",
            DocumentKind::OwnerNotice => "owner_notice",
            DocumentKind::Question => "question",
            DocumentKind::AlertState => "alert_state",
            DocumentKind::Alert => "alert",
            DocumentKind::AlertLetter => "alert_letter",
            DocumentKind::AlertRule => "alert_rule",
            DocumentKind::MemberMark => "member_mark",
            DocumentKind::TagRule => "tag_rule",
            DocumentKind::Segment => "segment",
        }
    }
}

/// One thing that people declared, as JSON, with a version for optimistic updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Kind.
    pub kind: DocumentKind,
    /// Unique within its kind. A group's id is `account` + `/` + `group`.
    pub id: String,
    /// Grows by one with every write, from 1.
    pub version: u64,
    /// JSON.
    pub body: String,
    /// Last write.
    pub updated_ms: i64,
}

/// One write of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces.
    Put {
        /// Kind.
        kind: DocumentKind,
        /// Id.
        id: String,
        /// JSON.
        body: String,
        /// The version it must have now: 0 for "must not exist", `None` for any.
        expect: Option<u64>,
    },
    /// Removes.
    Delete {
        /// Kind.
        kind: DocumentKind,
        /// Id.
        id: String,
    },
}

/// What one person did, with all that follows from it: one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at_ms: i64,
    /// Documents written.
    pub writes: Vec<Write>,
    /// Audit entries.
    pub audit: Vec<AuditEntry>,
    /// Deliveries added (a small broadcast is accepted and expanded in one commit).
    pub deliveries: Vec<DeliveryRow>,
    /// Targets that could not be said and are now: those that are [`DeliveryRow::is_unsaid`] take this state, body, code and
    /// detail.
    pub said: Vec<DeliveryRow>,
    /// Targets that nobody has begun to send and nobody is to: those that are still pending are called off.
    pub called_off: Vec<CalledOff>,
    /// What became of targets that a person must confirm, and of the mass sends that carry them.
    pub carried: Vec<Carried>,
    /// Deliveries that a person moves; one that stands elsewhere by now makes the whole change a conflict.
    pub moved: Vec<Moved>,
    /// Where broadcasts stand now and what happened, for endpoints if there are any and if it is news; deliveries' changes
    /// are written by themselves.
    pub told: Vec<StatusChange>,
    /// The answer to remember for the request's key; a key already there makes the whole change a conflict.
    pub idempotency: Option<IdempotencyRecord>,
}

/// A target that is not to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledOff {
    /// The delivery's id.
    pub id: String,
    /// Our code for the reason.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
}

/// Who did what to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Position in the audit log; 0 until stored.
    #[serde(default)]
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The operator.
    pub operator: String,
    /// The token they used; empty for the command line.
    pub token: String,
    /// A verb: `create`, `update`, `delete`, `pause`, ….
    pub verb: String,
    /// Kind of the object.
    pub object: String,
    /// Id of the object.
    pub id: String,
    /// What changed, as JSON without secrets.
    pub detail: String,
    /// The shop or region the object belongs to, for scope checks: `brand/region/shop`, parts may be empty.
    pub place: String,
}

/// Which audit entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only entries before this position.
    pub before: Option<u64>,
    /// Only this kind of object.
    pub object: Option<String>,
    /// Only the object with this id.
    pub id: Option<String>,
    /// At most.
    pub limit: usize,
}

/// The answer that was given under an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Operator, method, route and the client's key, joined.
    pub key: String,
    /// SHA-256 over method, path, sorted query and body, in hex.
    pub fingerprint: String,
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: String,
    /// When it is forgotten.
    pub expires_ms: i64,
}

/// Where a delivery stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waiting for its turn, or for `due_ms`.
    Pending,
    /// A call is under way.
    Sending,
    /// The platform took it; a person there must still confirm.
    AwaitingConfirmation,
    /// The platform took it.
    Sent,
    /// Given up: a dead letter.
    Failed,
    /// Sent or not, nobody knows.
    Uncertain,
    /// Called off before it was sent.
    Cancelled,
    /// Its time had passed before its turn came.
    Expired,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 8] = [
        DeliveryState::Pending,
        DeliveryState::Sending,
        DeliveryState::AwaitingConfirmation,
        DeliveryState::Sent,
        DeliveryState::Failed,
        DeliveryState::Uncertain,
        DeliveryState::Cancelled,
        DeliveryState::Expired,
    ];

    /// Reads the spelling on disk and in the API.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Returns the spelling on disk and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Sending => "sending",
            DeliveryState::AwaitingConfirmation => "awaiting_confirmation",
            DeliveryState::Sent => "sent",
            DeliveryState::Failed => "failed",
            DeliveryState::Uncertain => "uncertain",
            DeliveryState::Cancelled => "cancelled",
            DeliveryState::Expired => "expired",
        }
    }
}

/// The kind of a target that a person must confirm on the platform: a mass send carries it, no call is made for it.
pub const MASS_TARGET: &str = "mass_target";

/// The kind of the send that carries such targets. It is no target: its number is from [`MASS_SENDS_FROM`] on, and counts
/// and lists of targets leave it out.
pub const MASS_SEND: &str = "mass_send";

/// Numbers of a broadcast's rows from here on are mass sends; below are targets.
pub const MASS_SENDS_FROM: u32 = 1 << 31;

/// One thing to be sent, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Stable id.
    pub id: String,
    /// The broadcast it is a target of; empty for replies, welcomes and actions.
    pub broadcast: String,
    /// Its number within the broadcast.
    pub target: u32,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// `broadcast`, [`MASS_TARGET`], [`MASS_SEND`], `reply`, `welcome`, `warning`, `journey`, or an action's kind.
    pub kind: String,
    /// State.
    pub state: DeliveryState,
    /// Calls made.
    pub attempts: u32,
    /// Not before.
    pub due_ms: i64,
    /// Pointless after; 0 for never.
    pub expires_ms: i64,
    /// JSON of what is sent; empty for a broadcast's target (the broadcast holds it).
    pub body: String,
    /// Last answer's code.
    pub code: String,
    /// Last answer in words; no message text.
    pub detail: String,
    /// Last change; of a [`MASS_TARGET`] that is sent: when it arrived, by what the platform tells.
    pub updated_ms: i64,
    /// The platform's id of it or, while a person must confirm it, of the task; empty when it gave none.
    pub platform_id: String,
    /// Of a [`MASS_TARGET`]: the number of the mass send that carries it; 0 for none yet.
    pub carrier: u32,
}

/// Codes of targets that could not be made: what is said could not be, or what is taken back cannot be.
pub const UNSAID: [&str; 8] = [
    "missing_variable",
    "blocked",
    "too_long",
    "cannot_show",
    "cannot_post",
    "cannot_recall",
    "cannot_edit",
    "not_sure",
];

impl DeliveryRow {
    /// Says whether it failed before any call, as its text could not be made: there is nothing to try again until it can.
    pub fn is_unsaid(&self) -> bool {
        self.state == DeliveryState::Failed && self.attempts == 0 && UNSAID.contains(&self.code.as_str())
    }

    /// Says whether it is a broadcast's target that was sent or may still be.
    pub(crate) fn counts_for_its_group(&self) -> bool {
        let gone =
            matches!(self.state, DeliveryState::Failed | DeliveryState::Cancelled | DeliveryState::Expired);
        !self.broadcast.is_empty() && self.target < MASS_SENDS_FROM && !gone
    }

    /// Takes what was said anew.
    pub(crate) fn say(&mut self, new: &Self) {
        (self.state, self.updated_ms) = (new.state, new.updated_ms);
        self.body.clone_from(&new.body);
        self.code.clone_from(&new.code);
        self.detail.clone_from(&new.detail);
    }
}

/// Of which kind deliveries are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// Any.
    #[default]
    Any,
    /// This one.
    Only(&'static str),
    /// Any but this one.
    Not(&'static str),
}

impl Kinds {
    /// Says whether a kind is among them.
    pub fn contains(self, kind: &str) -> bool {
        match self {
            Kinds::Any => true,
            Kinds::Only(only) => only == kind,
            Kinds::Not(not) => not != kind,
        }
    }
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this broadcast (`Some("")`: of none).
    pub broadcast: Option<String>,
    /// In one of these states; empty for any.
    pub states: Vec<DeliveryState>,
    /// Only this one.
    pub id: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// To this group.
    pub group: Option<String>,
    /// Of these kinds.
    pub kinds: Kinds,
    /// Of this kind, in the words of whoever asks.
    pub kind: Option<String>,
    /// Whose last answer had this code.
    pub code: Option<String>,
    /// Changed at this time or later.
    pub from_ms: Option<i64>,
    /// Changed before this time.
    pub until_ms: Option<i64>,
    /// Carried by this mass send (0: by none).
    pub carrier: Option<u32>,
    /// Whether they are [`DeliveryRow::is_unsaid`].
    pub unsaid: Option<bool>,
    /// After this (broadcast, target, id), for paging.
    pub after: Option<(String, u32, String)>,
    /// At most; 0 for all (moves only).
    pub limit: usize,
}

/// A call that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The delivery, as it is now; inserted when the ledger does not know it yet.
    pub delivery: DeliveryRow,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When.
    pub at_ms: i64,
    /// What it costs of the platform's limits.
    pub cost: u32,
    /// The owner's epoch.
    pub epoch: u64,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The delivery's id.
    pub id: String,
    /// Which attempt.
    pub attempt: u32,
    /// When it ended.
    pub at_ms: i64,
    /// The state it is in now (`Pending` with a later `due_ms`: to be tried again).
    pub state: DeliveryState,
    /// Not before.
    pub due_ms: i64,
    /// The platform's code or ours.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
    /// The platform's id, if it gave one; else the delivery keeps the one it has.
    pub platform_id: Option<String>,
}

/// What became of a [`MASS_TARGET`], or of the [`MASS_SEND`] that carries it.
///
/// Nothing happens when the row stands there already, is carried by another mass send by now, or has its result: a poll
/// that comes twice or late changes nothing, and a final state never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The delivery's id.
    pub id: String,
    /// Who carries it now; 0 for nobody, and for a mass send.
    pub from: u32,
    /// Who carries it then.
    pub carrier: u32,
    /// The state it is in then.
    pub state: DeliveryState,
    /// When; for a target that is sent: when it arrived.
    pub at_ms: i64,
    /// The platform's code or ours.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
    /// The platform's id of the task.
    pub platform_id: String,
}

impl Carried {
    /// Returns the states in which a row of `kind` may come to this one.
    pub fn sources(&self, kind: &str) -> &'static [DeliveryState] {
        use DeliveryState::{
            AwaitingConfirmation, Cancelled, Expired, Failed, Pending, Sending, Sent, Uncertain,
        };
        match (kind, self.state) {
            (MASS_TARGET, Pending | AwaitingConfirmation) => &[Pending, Uncertain],
            (MASS_TARGET, Uncertain) => &[Pending],
            (MASS_TARGET, Sent | Failed | Cancelled | Expired) => &[Pending, Uncertain, AwaitingConfirmation],
            // All else that happens to it is the outbox's.
            (MASS_SEND, Sent | Failed | Cancelled | Expired) => &[AwaitingConfirmation],
            (
                _,
                Pending | Uncertain | AwaitingConfirmation | Sending | Sent | Failed | Cancelled | Expired,
            ) => &[],
        }
    }
}

/// One call, as limits remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// The delivery's id.
    pub delivery: String,
    /// Group.
    pub group: String,
    /// Start.
    pub started_ms: i64,
    /// End; `None` when nobody knows (a crash): it counts as ending when the gateway came back.
    pub ended_ms: Option<i64>,
    /// Cost.
    pub cost: u32,
}
