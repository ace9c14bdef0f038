//! `/v1/join-ways`: codes that people scan, and which groups they lead into.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::field;
use crate::api::body::{Answer, Path, Precondition, Strict, not_modified};
use crate::api::duty::FailureView;
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::directory::plain_id;
use crate::duties::join_ways::{JoinWay, JoinWayState};
use crate::duties::{self, Stored};
use crate::storage::{AuditEntry, Change, DocumentKind, Write};

const KIND: DocumentKind = DocumentKind::JoinWay;
/// Groups a code leads into at once, and characters of a channel: WeCom's.
const GROUPS_MAX: usize = 5;
const CHANNEL_CHARS_MAX: usize = 30;
/// Most groups that may be prepared.
const PREPARED_MAX: usize = 200;

/// A way into groups and how it stands.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JoinWayView {
    /// Its id.
    id: String,
    /// What was written.
    #[serde(flatten)]
    way: JoinWay,
    /// How it stands.
    standing: WayStanding,
    /// The same in plain Chinese, with what to do.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
    /// The code's address, if the platform gives one.
    address: Option<String>,
    /// The platform's id of it.
    platform_id: Option<String>,
    /// Groups it leads into now.
    leads_into: Vec<String>,
    /// Groups that were found nearly full.
    full: Vec<String>,
    /// Since when every listed and prepared group is nearly full.
    exhausted_since: Option<String>,
    /// What the platform refused the last time.
    failure: Option<FailureView>,
    /// When it was written.
    updated_at: String,
}

/// How a way stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum WayStanding {
    /// The platform is being told.
    OnItsWay,
    /// It leads into groups with room.
    Open,
    /// Every group is nearly full; the platform opens the next one by itself.
    PlatformOpensNext,
    /// Every group is nearly full, and none is prepared.
    Exhausted,
    /// The platform refused it.
    Refused,
}

impl WayStanding {
    fn of(way: &JoinWay, state: &JoinWayState) -> Self {
        match (&state.failure, &state.platform_id, state.exhausted_ms) {
            (Some(_), _, _) => WayStanding::Refused,
            (None, None, _) => WayStanding::OnItsWay,
            (None, Some(_), None) => WayStanding::Open,
            (None, Some(_), Some(_)) if way.opens_next.is_some() => WayStanding::PlatformOpensNext,
            (None, Some(_), Some(_)) => WayStanding::Exhausted,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            WayStanding::OnItsWay => ("正在通知平台。", "The platform is being told."),
            WayStanding::Open => ("扫码可以进群。", "Who scans the code gets into a group."),
            WayStanding::PlatformOpensNext => (
                "群都快满了，平台会自动新建下一个群。",
                "Every group is nearly full; the platform opens the next one by itself.",
            ),
            WayStanding::Exhausted => (
                "群都快满了，也没有备用群：请新建群并加到 prepared，或设置 opens_next。",
                "Every group is nearly full and none is prepared: make one and add it to `prepared`, or set `opens_next`.",
            ),
            WayStanding::Refused => (
                "平台拒绝了或没有回答，原因和处理办法见 failure；可以重试的会自动重试。",
                "The platform refused it or did not answer: `failure` says why and what to do; what may be repeated is tried again.",
            ),
        }
    }
}

async fn view(cx: &Cx, stored: Stored<JoinWay>) -> ApiResult<JoinWayView> {
    let id = JoinWayState::id(stored.value.account.as_str(), &stored.id);
    let state = duties::read(&**cx.storage(), DocumentKind::Pushed, &id).await?;
    let state = state.map(|state: Stored<JoinWayState>| state.value).unwrap_or_default();
    let standing = WayStanding::of(&stored.value, &state);
    let (zh, en) = standing.words();
    Ok(JoinWayView {
        id: stored.id,
        way: stored.value,
        standing,
        zh,
        en,
        address: state.address,
        platform_id: state.platform_id,
        leads_into: state.groups.iter().map(ToString::to_string).collect(),
        full: state.full.iter().map(ToString::to_string).collect(),
        exhausted_since: state.exhausted_ms.map(moment::show),
        failure: state.failure.map(Into::into),
        updated_at: moment::show(stored.updated_ms),
    })
}

impl Cx {
    /// Returns a way all of whose groups the caller sees.
    async fn join_way(&self, id: &str) -> ApiResult<Stored<JoinWay>> {
        let stored: Option<Stored<JoinWay>> = duties::read(&**self.storage(), KIND, id).await?;
        let sees =
            |way: &JoinWay| self.covers_groups(way.account.as_str(), way.groups.iter().chain(&way.prepared));
        stored.filter(|stored| sees(&stored.value)).ok_or_else(|| ApiError::not_found("join way"))
    }
}

/// Shows a way into groups 查看加群方式
#[utoipa::path(
    get, path = "/v1/join-ways/{way}", tag = "group-life", operation_id = "getJoinWay",
    params(("way" = String, Path, description = "Its id")),
    responses((status = 200, description = "With its version as `ETag`", body = JoinWayView)),
)]
pub(crate) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let stored = cx.join_way(&id).await?;
    let version = stored.version;
    // A group that filled up changes the answer and not the version, so a client that knows it is told all the same.
    if precondition.knows(version) && stored.value.prepared.is_empty() && stored.value.opens_next.is_none() {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(view(&cx, stored).await?).version(version).into_response())
}

/// Makes or replaces a way into groups 新建或修改加群方式
///
/// A code that leads into up to five groups. When one of them is nearly full the next prepared one takes its place; when
/// all are, the platform opens a new one if `opens_next` says so.
#[utoipa::path(
    put, path = "/v1/join-ways/{way}", tag = "group-life", operation_id = "putJoinWay",
    params(("way" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = JoinWay,
    responses(
        (status = 200, description = "Replaced", body = JoinWayView),
        (status = 201, description = "Made", body = JoinWayView),
    ),
)]
pub(crate) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(way): Strict<JoinWay>,
) -> ApiResult<Answer<JoinWayView>> {
    plain_id(&id).map_err(|detail| field("/id", "form", detail))?;
    let before: Option<Stored<JoinWay>> = duties::read(&**cx.storage(), KIND, &id).await?;
    if before.is_some() {
        cx.join_way(&id).await?; // one that is not seen is not replaced
    }
    check(&cx, &way)?;
    if before.as_ref().is_some_and(|before| before.value.account != way.account) {
        return Err(field("/account", "refused", "cannot be changed: remove this way and make another"));
    }
    let at_ms = cx.now_ms();
    let verb = if before.is_some() { "update" } else { "create" };
    let place = way.groups.first().map(|group| cx.place_of_group(way.account.as_str(), group.as_str()));
    let audit = AuditEntry::by(cx.actor(), at_ms, verb, KIND.as_str(), &id).at(&place.unwrap_or_default());
    let audit = vec![audit.with(&way)];
    let written =
        duties::write(&**cx.storage(), at_ms, (KIND, &id), &way, precondition.expect(), audit).await;
    let version = written.map_err(|error| precondition.explain(error))?;
    cx.house().wake_duties();
    let view = view(&cx, Stored { id, version, updated_ms: at_ms, value: way }).await?;
    Ok(Answer::written(before.is_none(), view).version(version))
}

fn check(cx: &Cx, way: &JoinWay) -> ApiResult<()> {
    let account = way.account.as_str();
    if !cx.offers(account, |connector| connector.group_life().is_some()) {
        return Err(field("/account", "unsupported", "is no connected account with ways into groups"));
    }
    if way.groups.is_empty() || way.groups.len() > GROUPS_MAX {
        return Err(field("/groups", "too_many", format!("1 to {GROUPS_MAX} are allowed")));
    }
    if way.prepared.len() > PREPARED_MAX {
        return Err(field("/prepared", "too_many", format!("at most {PREPARED_MAX} are allowed")));
    }
    if way.channel.as_ref().is_some_and(|channel| channel.chars().count() > CHANNEL_CHARS_MAX) {
        return Err(field(
            "/channel",
            "too_long",
            format!("at most {CHANNEL_CHARS_MAX} characters are allowed"),
        ));
    }
    let mut errors = cx.not_covered(account, "/groups", &way.groups);
    errors.extend(cx.not_covered(account, "/prepared", &way.prepared));
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

/// Removes a way into groups 删除加群方式
#[utoipa::path(
    delete, path = "/v1/join-ways/{way}", tag = "group-life", operation_id = "deleteJoinWay",
    params(("way" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed; its code leads nowhere soon")),
)]
pub(crate) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    let way = cx.join_way(&id).await?.value;
    let at_ms = cx.now_ms();
    let place = way.groups.first().map(|group| cx.place_of_group(way.account.as_str(), group.as_str()));
    let audit =
        AuditEntry::by(cx.actor(), at_ms, "delete", KIND.as_str(), &id).at(&place.unwrap_or_default());
    let writes = vec![Write::Delete { kind: KIND, id }];
    cx.storage().apply(Change { at_ms, writes, audit: vec![audit], ..Change::default() }).await?;
    cx.house().wake_duties();
    Ok(StatusCode::NO_CONTENT)
}
