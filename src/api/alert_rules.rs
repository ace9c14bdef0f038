//! `/v1/alert-rules`: when alerts are raised somewhere, and who is told.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::body::{Answer, Path, Precondition, Strict, not_modified};
use super::error::{ApiError, ApiResult, Code};
use super::state::Cx;
use crate::alerts::terms::{RULES_MAX, Rule};
use crate::directory::plain_id;
use crate::event::FieldError;
use crate::storage::AuditEntry;

/// A rule with its id.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AlertRuleView {
    /// Its id.
    id: String,
    /// The rule.
    #[serde(flatten)]
    rule: Rule,
}

/// All rules.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AlertRules {
    /// By id.
    items: Vec<AlertRuleView>,
}

impl Cx {
    /// Says whether a rule is for nothing but what may be seen.
    pub(super) fn sees_rule(&self, rule: &Rule) -> bool {
        if self.scope().is_everything() {
            return true;
        }
        let (directory, scope, plan) = (self.directory(), self.scope(), &rule.plan);
        let names = plan.brands.len() + plan.regions.len() + plan.shops.len() + rule.groups.len();
        // Tags only narrow places down: a rule for tags alone is everybody's.
        let is_narrow = plan.tags.is_empty() || names > rule.groups.len();
        let tells = rule.tell.iter().flatten().all(|to| {
            let group = to.group.as_ref();
            group.map_or_else(
                || self.sees_account(to.account.as_str()),
                |group| self.covers_group(to.account.as_str(), group.as_str()),
            )
        });
        names > 0
            && is_narrow
            && tells
            && plan.brands.iter().all(|id| directory.brand_in(scope, id.as_str()).is_ok())
            && plan.regions.iter().all(|id| directory.region_in(scope, id.as_str()).is_ok())
            && plan.shops.iter().all(|id| directory.shop_in(scope, id.as_str()).is_ok())
            && rule.groups.iter().all(|name| self.covers_group(name.account.as_str(), name.group.as_str()))
    }

    async fn alert_rule(&self, id: &str) -> ApiResult<(Rule, u64)> {
        let found = self.alerts().rule(id).await?.filter(|(rule, _)| self.sees_rule(rule));
        found.ok_or_else(|| ApiError::not_found("alert rule"))
    }
}

/// Lists alert rules 预警规则列表
///
/// The closest rule wins, field by field: a group's, its shop's, region's, brand's, everybody's; below all of them lie the
/// defaults of `alerts.kinds` and `alerts.life` in the configuration.
#[utoipa::path(
    get, path = "/v1/alert-rules", tag = "alerts", operation_id = "listAlertRules",
    responses((status = 200, description = "Those that are for nothing but the scope, by id", body = AlertRules)),
)]
pub(super) async fn list(cx: Cx) -> ApiResult<Answer<AlertRules>> {
    let book = cx.alerts().book();
    let seen = book.rules().iter().filter(|(_, rule)| cx.sees_rule(rule));
    let items = seen.map(|(id, rule)| AlertRuleView { id: id.clone(), rule: rule.clone() }).collect();
    Ok(Answer::ok(AlertRules { items }))
}

/// Shows an alert rule 查看预警规则
#[utoipa::path(
    get, path = "/v1/alert-rules/{alert_rule}", tag = "alerts", operation_id = "getAlertRule",
    params(("alert_rule" = String, Path, description = "Its id")),
    responses((status = 200, description = "With its version as `ETag`", body = AlertRuleView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let (rule, version) = cx.alert_rule(&id).await?;
    if precondition.knows(version) {
        return Ok(not_modified(version));
    }
    Ok(Answer::ok(AlertRuleView { id, rule }).version(version).into_response())
}

/// Makes or replaces an alert rule 新建或修改预警规则
///
/// In force at once for what is looked at from now on. Whoever sees a part of the groups writes rules for places of that part.
#[utoipa::path(
    put, path = "/v1/alert-rules/{alert_rule}", tag = "alerts", operation_id = "putAlertRule",
    params(("alert_rule" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = Rule,
    responses(
        (status = 200, description = "Replaced", body = AlertRuleView),
        (status = 201, description = "Made", body = AlertRuleView),
        (status = 409, description = "There are too many"),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(rule): Strict<Rule>,
) -> ApiResult<Answer<AlertRuleView>> {
    plain_id(&id).map_err(|detail| ApiError::fields(vec![FieldError::new("/id", "form", detail.clone())]))?;
    let before = cx.alerts().rule(&id).await?;
    if before.as_ref().is_some_and(|(before, _)| !cx.sees_rule(before)) {
        return Err(ApiError::not_found("alert rule"));
    }
    let mut errors = rule.check();
    errors.extend(unknown_accounts(&cx, &rule));
    if !cx.sees_rule(&rule) {
        let detail = "must name places of your scope, and tell groups and accounts of it only";
        errors.push(FieldError::new("/where", "not_found", detail));
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    if before.is_none() && cx.alerts().book().rules().len() >= RULES_MAX {
        let detail =
            format!("there are {RULES_MAX} alert rules already; remove one, or widen the `where` of one");
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    let verb = if before.is_some() { "update" } else { "create" };
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), verb, "alert_rule", &id).with(&rule);
    let written = cx.alerts().write_rule(&id, Some(&rule), precondition.expect(), audit).await;
    let version = written.map_err(|error| precondition.explain(error))?;
    Ok(Answer::written(before.is_none(), AlertRuleView { id, rule }).version(version))
}

/// Removes an alert rule 删除预警规则
#[utoipa::path(
    delete, path = "/v1/alert-rules/{alert_rule}", tag = "alerts", operation_id = "deleteAlertRule",
    params(("alert_rule" = String, Path, description = "Its id")),
    responses((status = 204, description = "No longer in force")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.alert_rule(&id).await?;
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "delete", "alert_rule", &id);
    cx.alerts().write_rule(&id, None, None, audit).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown_accounts(cx: &Cx, rule: &Rule) -> Vec<FieldError> {
    let told = rule.tell.iter().flatten().enumerate();
    let unknown = told.filter(|(_, to)| cx.directory().account(to.account.as_str()).is_none());
    unknown
        .map(|(nth, to)| {
            FieldError::new(
                format!("/tell/{nth}/account"),
                "not_found",
                format!("there is no `{}`", to.account),
            )
        })
        .collect()
}
