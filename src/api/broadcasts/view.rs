//! A broadcast as the API shows it.

use serde::Serialize;

use super::confirmation::ConfirmationView;
use super::forecast::{Unknown, unknown};
use super::schedule::ScheduleBody;
use super::undoing::{self, UndoesView};
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::mass::Confirmation;
use crate::broadcasts::{
    Audience, Before, Broadcast, Canary, Checked, Counts, Phase, Progress, Reached, Repeat, Seen, State,
    Trial, Variant,
};
use crate::event::{GroupName, Place};
use crate::outbox::delivery::Content;

/// A broadcast and how far it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct BroadcastView {
    /// Its id.
    id: String,
    /// For people.
    name: String,
    /// The text as it was written.
    text: String,
    /// What is shown where the platform can.
    content: Option<Content>,
    /// To whom.
    audience: Audience,
    /// But not to these.
    exclude: Option<Audience>,
    /// Where the groups are that it came to when it was written or submitted, and why others are left out.
    reached: Reached,
    /// Which of them could not be told when it was submitted, and why; null when nobody looked at each: that is done for
    /// drafts, for `require_all`, and where `broadcasts.unsayable_percent_max` says so.
    checked: Option<Checked>,
    /// Only groups of this account.
    account: Option<String>,
    /// Where it stands.
    state: State,
    /// Targets that are written so far.
    targets: u64,
    /// Targets it will have, as far as known.
    expected: u64,
    /// Targets by state.
    counts: Counts,
    /// When it will be done; of one that waits: if it starts when it is to. Null when it is not running, when people must
    /// confirm it, or nobody can say.
    estimated_finish_at: Option<String>,
    /// Why nobody can say; null where somebody can, or where nothing is to be said.
    finish_unknown_because: Option<Unknown>,
    /// Who must confirm it; null when nobody must.
    confirmation: Option<ConfirmationView>,
    /// Where it belongs.
    place: Place,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: String,
    /// Who wrote at the draft since.
    edited_by: Vec<String>,
    /// Who asked for it to be sent; null for a draft.
    submitted_by: Option<String>,
    /// Somebody else must release it.
    needs_approval: bool,
    /// Who did.
    approved_by: Option<String>,
    /// Why it stands where it does, in the words of whoever decided last.
    reason: Option<String>,
    /// Nothing of it is sent before then.
    starts_at: Option<String>,
    /// Hours and days on which it is sent.
    schedule: ScheduleBody,
    /// When it comes again; null when it does not.
    repeat: Option<Repeat>,
    /// When it comes next.
    next_at: Option<String>,
    /// The broadcast that comes again, of which this is one time.
    series: Option<String>,
    /// Which of two goes where a group may not get both: the one with more of it, 0 to 9.
    importance: u8,
    /// Whom it tries first; null when it tries nobody first.
    canary: Option<Canary>,
    /// How that goes; null without a canary.
    trial: Option<TrialView>,
    /// Copies that some of the groups get in place of `text`.
    variants: Vec<Variant>,
    /// Groups that get nothing, in percent.
    hold_out_percent: u8,
    /// Targets not sent by then are not sent any more.
    expires_at: Option<String>,
    /// What it takes back or puts right; null when it says something itself.
    undoes: Option<UndoesView>,
    /// Broadcasts that take it back or put it right.
    undone_by: Vec<String>,
}

/// How a canary goes.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TrialView {
    /// Where it stands.
    phase: Phase,
    /// When its first target could leave; null before.
    began_at: Option<String>,
    /// When the last of its targets had its result; null before.
    sent_at: Option<String>,
    /// How many groups it tries.
    targets: u64,
    /// What was known of them before.
    before: Before,
    /// What was seen since.
    seen: Seen,
    /// Why it stopped or went on, in words.
    why: Vec<String>,
}

fn trial_view(trial: &Trial) -> TrialView {
    let Trial { phase, began_ms, sent_ms, targets, before, seen, why } = trial.clone();
    let (began_at, sent_at) = (moment::show_set(began_ms), moment::show_set(sent_ms));
    TrialView { phase, began_at, sent_at, targets, before, seen, why }
}

pub(super) fn view(cx: &Cx, broadcast: &Broadcast, progress: &Progress) -> BroadcastView {
    let confirmation = cx.broadcasts().confirmation_of(broadcast);
    view_with(cx, broadcast, progress, confirmation)
}

/// Shows it with what is foretold of confirmations.
pub(super) fn view_with(
    cx: &Cx,
    broadcast: &Broadcast,
    progress: &Progress,
    confirmation: Option<Confirmation>,
) -> BroadcastView {
    BroadcastView {
        id: broadcast.id.to_string(),
        name: broadcast.name.clone(),
        text: broadcast.text.clone(),
        content: broadcast.content.clone(),
        audience: broadcast.audience.clone(),
        exclude: broadcast.exclude.clone(),
        reached: broadcast.mass.survey.reached.clone(),
        checked: broadcast.checked.clone().map(|checked| seen_by(cx, checked)),
        account: broadcast.account.as_ref().map(ToString::to_string),
        state: progress.state,
        targets: progress.targets,
        expected: progress.expected,
        counts: progress.counts,
        estimated_finish_at: progress.estimated_finish_ms.map(moment::show),
        finish_unknown_because: progress.unknown_finish.as_ref().map(unknown),
        confirmation: confirmation.map(Into::into),
        place: broadcast.place.clone(),
        created_by: broadcast.created_by.to_string(),
        created_at: moment::show(broadcast.created_ms),
        edited_by: broadcast.edited_by.iter().map(ToString::to_string).collect(),
        submitted_by: broadcast.submitted_by.as_ref().map(ToString::to_string),
        needs_approval: broadcast.needs_approval,
        approved_by: broadcast.approved_by.as_ref().map(ToString::to_string),
        reason: Some(broadcast.reason.clone()).filter(|reason| !reason.is_empty()),
        starts_at: moment::show_set(broadcast.starts_ms),
        schedule: broadcast.schedule.clone().into(),
        repeat: broadcast.repeat.clone(),
        next_at: moment::show_set(broadcast.next_ms),
        series: broadcast.series.as_ref().map(ToString::to_string),
        importance: broadcast.importance,
        canary: broadcast.canary.clone(),
        trial: broadcast.canary.as_ref().map(|_| trial_view(&broadcast.trial)),
        variants: broadcast.variants.clone(),
        hold_out_percent: broadcast.hold_out_percent,
        expires_at: moment::show_set(broadcast.expires_ms),
        undoes: broadcast.undoes.as_ref().map(undoing::view),
        undone_by: broadcast.undone_by.iter().map(ToString::to_string).collect(),
    }
}

/// Names only groups of the scope as examples: somebody with a wider one may have submitted it.
fn seen_by(cx: &Cx, mut checked: Checked) -> Checked {
    for problems in &mut checked.problems {
        problems.examples.retain(|example| {
            let name = GroupName::parse(&example.group);
            name.is_some_and(|name| cx.covers_group(name.account.as_str(), name.group.as_str()))
        });
    }
    checked
}
