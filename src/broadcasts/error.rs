//! Why a broadcast is refused: every reason names its field, and says what to do where somebody can do something.

use std::collections::BTreeMap;

use thiserror::Error;

use super::audience::AudienceError;
use super::canary::CanaryError;
use super::caps::IMPORTANCE_MAX;
use super::repeat::RepeatError;
use super::schedule::ScheduleError;
use super::state::{IllegalTransition, State};
use super::undoing::Undo;
use super::variants::VariantError;
use crate::event::{BroadcastId, Hit};
use crate::outbox::OutboxError;
use crate::storage::StorageError;
use crate::template::TemplateError;

/// Why a broadcast was not accepted, found or changed.
#[derive(Debug, Error)]
pub enum BroadcastError {
    /// Not there, or outside the scope: which of the two is not told.
    #[error("no such broadcast")]
    NotFound,
    /// The text has a mistake.
    #[error("text: {0}")]
    Text(#[from] TemplateError),
    /// The text is empty or too long.
    #[error("text: has {bytes} bytes; 1 to {max} are allowed (`broadcasts.text_bytes_max`)")]
    Length {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The text is longer than a platform takes that it would go to.
    #[error("text: has {bytes} bytes; a platform it goes to takes {max}")]
    PlatformLength {
        /// How long it is, variables aside.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A field of the content is wrong.
    #[error("{pointer}: {detail}")]
    Content {
        /// Which, as a JSON Pointer.
        pointer: String,
        /// Stable.
        code: &'static str,
        /// In words.
        detail: String,
    },
    /// Nothing of it can be taken back or put right.
    #[error("{}", .how.nothing(.cannot))]
    CannotUndo {
        /// What was asked.
        how: Undo,
        /// Groups where it cannot be done, by why.
        cannot: BTreeMap<&'static str, u64>,
    },
    /// It is being taken back or put right already.
    #[error("it is being undone already by {0}; wait until that is finished, or cancel it (正在撤回或更正)")]
    BeingUndone(BroadcastId),
    /// Platforms cannot show the content, and there is no text to say in its place.
    #[error(
        "cannot be shown to {}; write a `text` to say in its place, or leave them out \
         (这些平台不支持这种内容，请写备用文字 `text`)",
        .platforms.iter().map(|(platform, groups)| format!("{groups} groups on {platform}")).collect::<Vec<_>>().join(", ")
    )]
    CannotShow {
        /// Groups by platform.
        platforms: BTreeMap<&'static str, u64>,
    },
    /// It cannot be told to the one group it is tried on.
    #[error("{detail}")]
    Unsaid {
        /// `missing_variable`, `too_long`, `cannot_show`, `cannot_post`.
        code: &'static str,
        /// In words.
        detail: String,
    },
    /// More groups cannot be told than may be.
    #[error(
        "{groups} of {all} groups cannot be told ({reasons}); put that right, leave them out, or let it go without them \
         (有 {groups} 个群发不了，请修正、排除，或允许跳过)"
    )]
    Unsayable {
        /// How many cannot.
        groups: u64,
        /// Of how many.
        all: u64,
        /// The first few reasons, with examples.
        reasons: String,
    },
    /// Nothing is sent to that group without a person.
    #[error(
        "a person must confirm what is sent to that group, so that nothing can be tried there; look at the preview \
         (该群的群发须群主确认，不能试发；请看预览)"
    )]
    NeedsConfirmation,
    /// The text may not be said.
    #[error("the text is blocked by {} listed terms", .0.len())]
    Blocked(Vec<Hit>),
    /// The audience cannot be reached.
    #[error("audience: {0}")]
    Audience(#[from] AudienceError),
    /// No such saved audience, or outside the scope: which of the two is not told.
    #[error("no such audience")]
    NoAudience,
    /// Groups are added to lists only.
    #[error("the saved audience is no list of groups that more could be added to; replace it")]
    NoList,
    /// Another one leads to it.
    #[error("the saved audience `{0}` uses it; change that one first")]
    AudienceInUse(String),
    /// Too many saved audiences.
    #[error("there are {0} saved audiences; remove some (`broadcasts.audiences_max`)")]
    TooManyAudiences(usize),
    /// Its hours make no sense.
    #[error("schedule/{0}")]
    Schedule(#[from] ScheduleError),
    /// It cannot come again like that.
    #[error("repeat/{0}")]
    Repeat(#[from] RepeatError),
    /// There is no such importance.
    #[error("importance: write 0 to {}", IMPORTANCE_MAX)]
    Importance,
    /// Its canary makes no sense.
    #[error("canary/{0}")]
    Canary(#[from] CanaryError),
    /// Its copies make no sense.
    #[error("{0}")]
    Variant(#[from] VariantError),
    /// A copy has a mistake.
    #[error("variants/{at}/text: {source}")]
    VariantText {
        /// Which copy.
        at: usize,
        /// What is wrong with it.
        #[source]
        source: Box<BroadcastError>,
    },
    /// Its time is over before it begins.
    #[error("it would expire before it starts")]
    Expired,
    /// Whoever wrote, edited or submitted it may not release it as well.
    #[error("whoever wrote, edited or submitted a broadcast cannot approve it: somebody else must")]
    OwnWork,
    /// Only drafts are edited.
    #[error("a broadcast that is {} cannot be edited; cancel it and write a new one", .0.as_str())]
    NoDraft(State),
    /// Too many drafts.
    #[error("there are {0} drafts; submit or cancel some (`broadcasts.drafts_max`)")]
    TooManyDrafts(usize),
    /// Too many at the same time.
    #[error("{0} broadcasts wait, run or are paused; finish or cancel one (`broadcasts.active_max`)")]
    TooMany(usize),
    /// The state does not allow it.
    #[error(transparent)]
    State(#[from] IllegalTransition),
    /// The request's key was used meanwhile.
    #[error("the idempotency key was used by another request meanwhile")]
    KeyTaken,
    /// Storage failed.
    #[error("broadcast {operation}")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: StorageError,
    },
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}
