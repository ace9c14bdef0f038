//! `/v1/broadcasts/{broadcast}/effect`: what came of a broadcast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refused;
use crate::api::body::{Answer, Path, Query};
use crate::api::error::ApiResult;
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::ArmEffect;

/// How long after the last send is looked at.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct EffectQuery {
    /// Like `24h`; at most 31 days.
    #[serde(default = "a_day", with = "crate::units::duration")]
    #[param(value_type = String, default = "24h")]
    window: Duration,
}

fn a_day() -> Duration {
    Duration::from_hours(24)
}

/// What came of a broadcast.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct EffectView {
    /// From when it was counted: the hour of the first send. Null while nothing was sent.
    from: Option<String>,
    /// Until when.
    until: Option<String>,
    /// Copy by copy, the text itself first.
    arms: Vec<ArmEffect>,
}

/// Shows what came of a broadcast 群发效果
///
/// Copies are compared with the groups that got nothing (`hold_out`), or with the first text. A difference is one of means
/// over groups; the true one lies between `low` and `high` in 95 of 100 such comparisons, so one whose interval holds 0
/// may be chance. Groups count where they were assigned, sent to or not.
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/effect", tag = "broadcasts", operation_id = "getBroadcastEffect",
    params(("broadcast" = String, Path, description = "Its id"), EffectQuery),
    responses((status = 200, description = "Its effect", body = EffectView)),
)]
pub(in crate::api) async fn effect(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<EffectQuery>,
) -> ApiResult<Answer<EffectView>> {
    let broadcast = cx.broadcast(&id).await?;
    let found = cx.broadcasts().effect(cx.actor(), &broadcast.id, query.window).await.map_err(refused)?;
    let (from, until) = (found.from_ms.map(moment::show), found.until_ms.map(moment::show));
    Ok(Answer::ok(EffectView { from, until, arms: found.arms }))
}
