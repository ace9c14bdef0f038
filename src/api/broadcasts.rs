//! `/v1/broadcasts`: one text to many groups.

pub(super) mod confirmation;
pub(super) mod effect;
pub(super) mod forecast;
mod refusals;
pub(super) mod saying;
pub(super) mod schedule;
pub(super) mod undoing;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query, Strict};
use super::error::ApiResult;
use super::idempotency::Keyed;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::rules::Why;
use super::state::Cx;
use crate::broadcasts::{
    Audience, Before, Broadcast, Canary, Command, Counts, NewBroadcast, Phase, Progress, Reached, Repeat,
    Seen, State, Trial, Variant,
};
use crate::event::{AccountId, Place};
use crate::outbox::delivery::Content;
use crate::storage::{DeliveryRow, DeliveryState};
use confirmation::ConfirmationView;
pub(super) use refusals::{outbox_refused, refused};
use schedule::ScheduleBody;
use undoing::UndoesView;

/// What somebody wants to say.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BroadcastIn {
    /// For people.
    #[serde(default)]
    name: String,
    /// The text; may hold variables such as `{shop.name}` or `{shop.hours|10:00-22:00}`.
    /// Beside a content: what is said where the platform cannot show it.
    #[serde(default)]
    #[schema(example = "{shop.name} 今日会员日，凭会员码到店领取小礼品")]
    text: String,
    /// What is shown where the platform can; its texts may hold variables too.
    #[serde(default)]
    content: Option<Content>,
    /// To whom.
    audience: Audience,
    /// But not to these.
    #[serde(default)]
    exclude: Option<Audience>,
    /// Only groups of this account.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Nothing of it is sent before then (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<jiff::Timestamp>,
    /// Hours and days on which it is sent.
    #[serde(default)]
    schedule: ScheduleBody,
    /// When it comes again: then a broadcast of its own is made each time, with the groups of that day.
    #[serde(default)]
    repeat: Option<Repeat>,
    /// Which of two goes where a group may not get both (`broadcasts.caps`): the one with more of it; 5 when left out.
    #[serde(default)]
    #[schema(maximum = 9)]
    importance: Option<u8>,
    /// A few groups that get it first and are watched; the rest follows by itself, or waits for a person.
    #[serde(default)]
    canary: Option<Canary>,
    /// Copies that some of the groups get in place of `text`, to compare.
    #[serde(default)]
    variants: Vec<Variant>,
    /// Groups that get nothing, to compare with, in percent.
    #[serde(default)]
    #[schema(maximum = 98)]
    hold_out_percent: u8,
    /// Targets not sent by then are not sent any more (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<jiff::Timestamp>,
    /// Only kept, until it is submitted.
    #[serde(default)]
    draft: bool,
}

impl From<BroadcastIn> for NewBroadcast {
    fn from(asked: BroadcastIn) -> Self {
        let BroadcastIn { name, text, content, audience, exclude, account, starts_at, schedule, .. } = asked;
        let BroadcastIn { expires_at, draft, repeat, importance, canary, variants, hold_out_percent, .. } =
            asked;
        let ms = |at: Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_millisecond);
        let (starts_ms, expires_ms) = (ms(starts_at), ms(expires_at));
        let schedule = schedule.into();
        Self {
            name,
            text,
            content,
            audience,
            exclude,
            account,
            starts_ms,
            schedule,
            repeat,
            importance,
            canary,
            variants,
            hold_out_percent,
            expires_ms,
            draft,
        }
    }
}

/// A broadcast and how far it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BroadcastView {
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
pub(super) struct TrialView {
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

fn view(cx: &Cx, broadcast: &Broadcast, progress: &Progress) -> BroadcastView {
    BroadcastView {
        id: broadcast.id.to_string(),
        name: broadcast.name.clone(),
        text: broadcast.text.clone(),
        content: broadcast.content.clone(),
        audience: broadcast.audience.clone(),
        exclude: broadcast.exclude.clone(),
        reached: broadcast.mass.survey.reached.clone(),
        account: broadcast.account.as_ref().map(ToString::to_string),
        state: progress.state,
        targets: progress.targets,
        expected: progress.expected,
        counts: progress.counts,
        estimated_finish_at: progress.estimated_finish_ms.map(moment::show),
        confirmation: cx.broadcasts().confirmation_of(broadcast).map(Into::into),
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

/// Says that it is accepted, and where its progress is shown. Nothing of it is written yet.
fn accepted(cx: &Cx, broadcast: &Broadcast) -> BroadcastView {
    let progress = Progress {
        state: broadcast.state(&Counts::default(), cx.now_ms()),
        targets: 0,
        expected: broadcast.expected,
        counts: Counts::default(),
        estimated_finish_ms: None,
    };
    view(cx, broadcast, &progress)
}

fn answer_of(cx: &Cx, broadcast: &Broadcast) -> Response {
    let location = format!("/v1/broadcasts/{}", broadcast.id);
    Answer::accepted(location, accepted(cx, broadcast)).into_response()
}

/// Sends a text to many groups 新建群发
///
/// Accepted in one commit and sent in the background, never twice to a group. The text is judged first: with the verdict
/// `block` it is refused and `hits` says why. With `draft` it is only kept; with `starts_at` it waits; to as many groups as
/// `broadcasts.approve_from_groups` says it waits until somebody else approves it. What waits has its targets already: `counts`
/// shows which cannot be said.
#[utoipa::path(
    post, path = "/v1/broadcasts", tag = "broadcasts", operation_id = "createBroadcast",
    params(("Idempotency-Key" = String, Header, description = "A new UUID; the same one when the request is repeated")),
    request_body = BroadcastIn,
    responses(
        (status = 202, description = "Accepted; `Location` shows its progress", body = BroadcastView),
        (status = 409, description = "Too many are running, or the first request with this key is"),
    ),
)]
pub(super) async fn create(cx: Cx, mut asked: Keyed<BroadcastIn>) -> ApiResult<Response> {
    let key = asked.require()?;
    let new = NewBroadcast::from(asked.value);
    let record = |broadcast: &Broadcast| Some(key.record(StatusCode::ACCEPTED, &accepted(&cx, broadcast)));
    let broadcast = cx.broadcasts().create(cx.actor(), new, record).await.map_err(refused)?;
    Ok(answer_of(&cx, &broadcast))
}

/// Lists broadcasts 列出群发
#[utoipa::path(
    get, path = "/v1/broadcasts", tag = "broadcasts", operation_id = "listBroadcasts", params(PageQuery),
    responses((status = 200, description = "The broadcasts of the scope, oldest first", body = Page<BroadcastView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<BroadcastView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let (broadcasts, next) = cx.broadcasts_after(after, limit).await?;
    let mut items = Vec::with_capacity(broadcasts.len());
    for broadcast in broadcasts {
        let progress = cx.broadcasts().progress_of(&broadcast).await.map_err(refused)?;
        items.push(view(&cx, &broadcast, &progress));
    }
    Ok(Answer::ok(Page { items, next_cursor: next.map(|next| page::encode(&next)) }))
}

async fn shown(cx: &Cx, broadcast: &Broadcast) -> ApiResult<Answer<BroadcastView>> {
    let progress = cx.broadcasts().progress_of(broadcast).await.map_err(refused)?;
    Ok(Answer::ok(view(cx, broadcast, &progress)))
}

/// Shows a broadcast and how far it is 查看群发进度
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}", tag = "broadcasts", operation_id = "getBroadcast",
    params(("broadcast" = String, Path, description = "Its id")),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<BroadcastView>> {
    let broadcast = cx.broadcast(&id).await?;
    shown(&cx, &broadcast).await
}

/// One group of a broadcast.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TargetView {
    /// Its number in the broadcast.
    target: u32,
    /// The delivery's id: the `webhook-id` of its calls.
    delivery: String,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Where it stands.
    state: DeliveryState,
    /// Calls made.
    attempts: u32,
    /// The last answer's code.
    code: Option<String>,
    /// The last answer in words.
    detail: Option<String>,
    /// When it changed.
    updated_at: String,
}

fn target_view(row: DeliveryRow) -> TargetView {
    TargetView {
        target: row.target,
        delivery: row.id,
        account: row.account,
        group: row.group,
        state: row.state,
        attempts: row.attempts,
        code: Some(row.code).filter(|code| !code.is_empty()),
        detail: Some(row.detail).filter(|detail| !detail.is_empty()),
        updated_at: moment::show(row.updated_ms),
    }
}

/// Which targets.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TargetsQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only in this state.
    #[serde(default)]
    #[param(inline)]
    state: Option<DeliveryState>,
}

/// Lists the targets of a broadcast 群发逐群结果
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/targets", tag = "broadcasts", operation_id = "listTargets",
    params(("broadcast" = String, Path, description = "Its id"), TargetsQuery),
    responses((status = 200, description = "Its targets, by number", body = Page<TargetView>)),
)]
pub(super) async fn targets(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<TargetsQuery>,
) -> ApiResult<Answer<Page<TargetView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<u32> = page::decode(query.cursor.as_deref())?;
    let broadcast = cx.broadcast(&id).await?;
    let states = query.state.into_iter().collect();
    let rows = cx.broadcasts().targets(cx.actor(), &broadcast.id, states, after, limit + 1).await;
    let page = Page::of(rows.map_err(refused)?, limit, |row| row.target);
    let visible = |row: &DeliveryRow| cx.covers_group(&row.account, &row.group);
    let items = page.items.into_iter().filter(visible).map(target_view).collect();
    Ok(Answer::ok(Page { items, next_cursor: page.next_cursor }))
}

/// Rewrites a draft 修改群发草稿
#[utoipa::path(
    put, path = "/v1/broadcasts/{broadcast}", tag = "broadcasts", operation_id = "putBroadcast",
    params(("broadcast" = String, Path, description = "Its id")), request_body = BroadcastIn,
    responses(
        (status = 200, description = "The draft as it is now", body = BroadcastView),
        (status = 409, description = "It is no draft any more"),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<BroadcastIn>,
) -> ApiResult<Answer<BroadcastView>> {
    let broadcast = cx.broadcast(&id).await?;
    let changed = cx.broadcasts().edit(cx.actor(), &broadcast.id, asked.into()).await.map_err(refused)?;
    shown(&cx, &changed).await
}

async fn command(cx: &Cx, id: &str, command: Command, why: &Why) -> ApiResult<Answer<BroadcastView>> {
    let reason = why.checked()?;
    let broadcast = cx.broadcast(id).await?;
    let changed = cx.broadcasts().command(cx.actor(), &broadcast.id, command, reason).await;
    shown(cx, &changed.map_err(refused)?).await
}

/// Sends a draft 提交群发
///
/// It is looked at once more. Then it is sent, waits for its time, or waits until somebody else approves it.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/submit", tag = "broadcasts", operation_id = "submitBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "It is submitted", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn submit(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Submit, &why).await
}

/// Releases what somebody else submitted 批准群发
///
/// Whoever wrote, edited or submitted it cannot, whichever token they use.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/approve", tag = "broadcasts", operation_id = "approveBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "It is sent, or waits for its time", body = BroadcastView),
        (status = 403, description = "It is your own"),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn approve(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Approve, &why).await
}

/// Refuses what somebody submitted 驳回群发
///
/// It is cancelled; `reason` says why.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/reject", tag = "broadcasts", operation_id = "rejectBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "It is cancelled", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn reject(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Reject, &why).await
}

/// Pauses a broadcast 暂停群发
///
/// When this answers, at most what is under way is still sent. Where people must confirm, `confirmation.means` says what
/// it comes to: tasks that exist stay with their owners.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/pause", tag = "broadcasts", operation_id = "pauseBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "It is paused", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn pause(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Pause, &why).await
}

/// Goes on with a broadcast 继续群发
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/resume", tag = "broadcasts", operation_id = "resumeBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "It goes on", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn resume(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Resume, &why).await
}

/// Calls a broadcast off 取消群发
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/cancel", tag = "broadcasts", operation_id = "cancelBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), Why),
    responses(
        (status = 200, description = "Nothing more of it is sent", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn cancel(
    cx: Cx,
    Path(id): Path<String>,
    Query(why): Query<Why>,
) -> ApiResult<Answer<BroadcastView>> {
    command(&cx, &id, Command::Cancel, &why).await
}

/// How many things were done again.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Replayed {
    /// Deliveries that have all their attempts again.
    replayed: u64,
}

impl Replayed {
    pub(super) fn of(replayed: u64) -> Answer<Self> {
        Answer::ok(Self { replayed })
    }
}

/// Tries the failed targets again 重发失败目标
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/replay", tag = "broadcasts", operation_id = "replayBroadcast",
    params(("broadcast" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "How many are tried again", body = Replayed),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(super) async fn replay(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<Replayed>> {
    let broadcast = cx.broadcast(&id).await?;
    let replayed = cx.broadcasts().replay_failed(cx.actor(), &broadcast.id).await.map_err(refused)?;
    Ok(Replayed::of(replayed))
}
