//! `/v1/broadcasts`: one text to many groups.

pub(super) mod confirmation;
pub(super) mod effect;
pub(super) mod forecast;
mod refusals;
pub(super) mod saying;
pub(super) mod schedule;
pub(super) mod tasks;
pub(super) mod undoing;
pub(super) mod view;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query, Strict};
use super::error::ApiResult;
use super::idempotency::Keyed;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::rules::{Why, check_reason};
use super::state::Cx;
use crate::broadcasts::{
    Audience, Broadcast, Canary, Command, Counts, NewBroadcast, Progress, Repeat, Supposed, Variant,
};
use crate::event::AccountId;
use crate::outbox::delivery::Content;
use crate::storage::{DeliveryRow, DeliveryState};
pub(super) use refusals::{outbox_refused, refused};
use schedule::ScheduleBody;
use view::{BroadcastView, view, view_with};

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
    /// Refused, with how many and why, when one of its groups cannot be told; of a draft `submit` asks for itself.
    #[serde(default)]
    require_all: bool,
}

impl From<BroadcastIn> for NewBroadcast {
    fn from(asked: BroadcastIn) -> Self {
        let BroadcastIn { name, text, content, audience, exclude, account, starts_at, schedule, .. } = asked;
        let BroadcastIn {
            expires_at,
            draft,
            repeat,
            importance,
            canary,
            variants,
            hold_out_percent,
            require_all,
            ..
        } = asked;
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
            require_all,
        }
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
        unknown_finish: None,
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
    let foretold = cx.broadcasts().confirmation_foretold(broadcast, &Supposed::default()).await;
    Ok(Answer::ok(view_with(cx, broadcast, &progress, foretold.map_err(refused)?)))
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

/// How a draft is submitted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubmitQuery {
    /// Why, in words; at most 500 characters. Stands in the audit log.
    #[serde(default)]
    reason: String,
    /// Refused when one of its groups cannot be told; else it goes to the others.
    #[serde(default)]
    require_all: bool,
}

/// Sends a draft 提交群发
///
/// It is looked at once more, group by group: `checked` says which cannot be told and why. Then it is sent, waits for its
/// time, or waits until somebody else approves it. It is refused when more cannot be told than
/// `broadcasts.unsayable_percent_max`, or with `require_all` when any cannot.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/submit", tag = "broadcasts", operation_id = "submitBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), SubmitQuery),
    responses(
        (status = 200, description = "It is submitted", body = BroadcastView),
        (status = 409, description = "Its state does not allow it"),
        (status = 422, description = "Groups cannot be told: how many, and the first few reasons"),
    ),
)]
pub(super) async fn submit(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<SubmitQuery>,
) -> ApiResult<Answer<BroadcastView>> {
    check_reason(&query.reason)?;
    let broadcast = cx.broadcast(&id).await?;
    let (actor, require_all) = (cx.actor(), query.require_all);
    let submitted = cx.broadcasts().submit(actor, &broadcast.id, require_all, &query.reason).await;
    shown(&cx, &submitted.map_err(refused)?).await
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
