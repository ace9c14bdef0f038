//! When a broadcast will be done, and when it would be if things were different.

use serde::{Deserialize, Serialize};

use super::confirmation::{Range, range};
use super::refused;
use super::schedule::ScheduleBody;
use crate::api::body::{Answer, Path, Strict};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::{Foresight, NoFinish, Supposed};
use crate::event::{AccountId, FieldError};
use crate::outbox::limit::AccountLimits;

/// What might be different; nothing: only what is is told.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ForecastIn {
    /// This account sends a share of it, with its own limits.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// How much of it `account` sends, in percent.
    #[serde(default = "all")]
    #[schema(minimum = 1, maximum = 100, default = 100)]
    share_percent: u8,
    /// In place of the limits of each account as a whole, as in `PUT /v1/accounts/{account}`; those of single groups and
    /// those that accounts share stay as they are.
    #[serde(default)]
    #[schema(example = json!(["window:1200/m"]))]
    limits: Vec<String>,
    /// When it starts (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<jiff::Timestamp>,
    /// Its hours and days.
    #[serde(default)]
    schedule: Option<ScheduleBody>,
}

fn all() -> u8 {
    100
}

/// When a broadcast will be done.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ForecastView {
    /// As things are.
    as_it_is: ForesightView,
    /// If they were different.
    what_if: ForesightView,
    /// How much sooner it would be done then, in seconds; negative: later. Null when one of the two is not known.
    sooner_s: Option<i64>,
}

/// When a broadcast will be done.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ForesightView {
    /// Calls that are left.
    left: u64,
    /// By account.
    accounts: Vec<AccountForesightView>,
    /// When its calls are done, within its hours. Null when it is not known, or when people must confirm all of it: then
    /// `confirmation` has a range.
    finish_at: Option<String>,
    /// Why it is not known; null when it is, or no call is left.
    unknown_because: Option<Unknown>,
    /// When the last owner will have confirmed; null when nobody must.
    confirmation: Option<ConfirmationForetold>,
}

/// When the last owner will have confirmed.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ConfirmationForetold {
    /// Between when and when; null when nobody waits or will, or it is not known.
    estimated_finish: Option<Range>,
    /// Why it is not known.
    unknown_because: Option<Unknown>,
    /// Owners in it of whom it is not known how long they take: for them the others' past is taken, or a guess.
    owners_without_history: u64,
}

/// Why nobody can say when a broadcast will be done.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Unknown {
    /// `held`, `no_limits` or `no_hours`.
    code: &'static str,
    /// In Chinese.
    zh: String,
    /// In English.
    en: String,
    /// The stop that has no end, for `held`.
    hold: Option<String>,
}

pub(in crate::api) fn unknown(why: &NoFinish) -> Unknown {
    match why {
        NoFinish::Held(hold) => Unknown {
            code: "held",
            zh: format!("停发 {hold} 没有结束时间，要等人解除"),
            en: format!("the stop {hold} has no end: somebody must lift it"),
            hold: Some(hold.clone()),
        },
        NoFinish::NoLimits(account) => Unknown {
            code: "no_limits",
            zh: format!("账号 {account} 未接入或已停用，或其限额尚未读出"),
            en: format!(
                "the account {account} is not connected or disabled, or its limits are not known yet"
            ),
            hold: None,
        },
        NoFinish::NoHours => Unknown {
            code: "no_hours",
            zh: "发送时段不够，或不会再打开".to_owned(),
            en: "its hours of sending do not open for as long as it takes".to_owned(),
            hold: None,
        },
    }
}

/// When one account will be done.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct AccountForesightView {
    /// Which.
    account: String,
    /// Calls that are left.
    left: u64,
    /// Calls of other broadcasts that take turns with them.
    others: u64,
    /// Of those that are left: how many a stop keeps back now.
    held: u64,
    /// When it is done if it may send all the time, but for stops; null when one has no end, or its limits are not known.
    finish_at: Option<String>,
}

fn view(foresight: &Foresight) -> ForesightView {
    let accounts = foresight.accounts.iter().map(|account| AccountForesightView {
        account: account.account.to_string(),
        left: account.left,
        others: account.others,
        held: account.held,
        finish_at: account.finish_ms.map(moment::show),
    });
    ForesightView {
        left: foresight.left,
        accounts: accounts.collect(),
        finish_at: foresight.finish_ms.map(moment::show),
        unknown_because: foresight.unknown.as_ref().map(unknown),
        confirmation: foresight.confirmation.as_ref().map(|told| ConfirmationForetold {
            estimated_finish: told.finish.map(range),
            unknown_because: told.unknown.as_ref().map(unknown),
            owners_without_history: told.owners_without_history,
        }),
    }
}

fn limits(texts: &[String]) -> ApiResult<Vec<crate::outbox::limit::Limit>> {
    let wrong = |detail: String| ApiError::fields(vec![FieldError::new("/limits", "limit", detail)]);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let read = AccountLimits::parse(&texts).map_err(|error| wrong(error.to_string()))?;
    if read.group_limits.is_empty() && read.classes.is_empty() && read.shared.is_empty() {
        return Ok(read.limits);
    }
    Err(wrong(
        "only limits of the account as a whole can be supposed, without `group:`, `@class`, `corp=`, `app=`"
            .to_owned(),
    ))
}

/// Says when a broadcast will be done, and what would change that 预估完成时间
///
/// Found by running the accounts' limits in virtual time from where they stand now, with what other broadcasts take; of a
/// draft: if it were sent now. Changes nothing.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/forecast", tag = "broadcasts", operation_id = "forecastBroadcast",
    params(("broadcast" = String, Path, description = "Its id")), request_body = ForecastIn,
    responses((status = 200, description = "When it is done, and when it would be", body = ForecastView)),
)]
pub(in crate::api) async fn forecast(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<ForecastIn>,
) -> ApiResult<Answer<ForecastView>> {
    let broadcast = cx.broadcast(&id).await?;
    if !(1..=100).contains(&asked.share_percent) {
        let error = FieldError::new("/share_percent", "range", "from 1 to 100".to_owned());
        return Err(ApiError::fields(vec![error]));
    }
    if asked.account.as_ref().is_some_and(|account| !cx.sees_account(account.as_str())) {
        let error = FieldError::new("/account", "not_found", "there is no such account".to_owned());
        return Err(ApiError::fields(vec![error]));
    }
    let supposed = Supposed {
        other: asked.account.map(|account| (account, asked.share_percent)),
        limits: limits(&asked.limits)?,
        starts_ms: asked.starts_at.map(jiff::Timestamp::as_millisecond),
        schedule: asked.schedule.map(Into::into),
    };
    let (as_it_is, what_if) =
        cx.broadcasts().forecast(cx.actor(), &broadcast.id, &supposed).await.map_err(refused)?;
    let sooner_s = as_it_is.finish_ms.zip(what_if.finish_ms).map(|(is, would)| (is - would) / 1000);
    Ok(Answer::ok(ForecastView { as_it_is: view(&as_it_is), what_if: view(&what_if), sooner_s }))
}
