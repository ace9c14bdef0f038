//! `/v1/groups/{account}/{group}/alert-terms`: by which terms alerts of a group are raised, and who said so.

use serde::Serialize;

use super::body::{Answer, Path};
use super::error::ApiResult;
use super::state::Cx;
use crate::alerts::baseline::Sensitivity;
use crate::alerts::episode::{Kind, Step};
use crate::alerts::terms::{Recipient, Spot, Wait};

/// The terms of a group.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupAlertTerms {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// One for each kind that is looked for in groups.
    items: Vec<KindTerms>,
}

/// The terms of one kind.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct KindTerms {
    /// Which.
    kind: Kind,
    /// It is looked for at all.
    on: bool,
    /// What it rests on is shown to us in this group; where not, it is never raised.
    can_be_seen: bool,
    /// Over which time it is counted.
    #[schema(value_type = String, example = "10m")]
    window: Wait,
    /// How soon a count is unusual.
    sensitivity: Sensitivity,
    /// From which value on.
    threshold: u64,
    /// How long what raised it must be gone.
    #[schema(value_type = String, example = "10m")]
    recover_after: Wait,
    /// Who hears of it, and when.
    steps: Vec<Step>,
    /// Whoever answers for the group is told.
    people: bool,
    /// Who else is told; null where a rule says so that reaches beyond the scope.
    tell: Option<Vec<Recipient>>,
    /// Where each of these comes from.
    from: Vec<TermFrom>,
}

/// Where a part of the terms comes from.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TermFrom {
    /// Which part, by its name above.
    part: &'static str,
    /// `rule`, or `configuration` where no rule says anything.
    origin: &'static str,
    /// The rule; null for the configuration, and for a rule that reaches beyond the scope.
    rule: Option<String>,
}

/// Shows by which terms alerts of a group are raised 群的生效预警条件
///
/// Rules for the group, its shop, region and brand, and for everybody are laid over `alerts.kinds` and `alerts.life` of the
/// configuration; for each part the closest that says something wins, of equally close ones the later by id.
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/alert-terms", tag = "groups", operation_id = "getGroupAlertTerms",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    responses((status = 200, description = "The terms and where each part comes from", body = GroupAlertTerms)),
)]
pub(super) async fn get(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
) -> ApiResult<Answer<GroupAlertTerms>> {
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let can = cx.connectors().capabilities_of(&account, &group);
    let sees_text = can.is_none_or(|can| can.gives_message_text);
    let book = cx.alerts().book();
    let spot =
        Spot { account: Some(&account), group: Some(&group), place: &context.place, tags: context.tags() };
    let items = Kind::ALL.into_iter().filter(|kind| kind.is_of_groups()).map(|kind| {
        let (terms, from) = book.explain(kind, &spot);
        let visible = |id: &str| book.rule(id).is_some_and(|rule| cx.sees_rule(rule));
        let tells = from.iter().find(|(part, _)| *part == "tell").and_then(|(_, rule)| *rule);
        KindTerms {
            kind,
            on: terms.on,
            can_be_seen: sees_text || !kind.rests_on_text(),
            window: Wait(terms.window),
            sensitivity: terms.sensitivity,
            threshold: terms.threshold,
            recover_after: Wait(terms.own.recover_after),
            steps: terms.own.steps.clone(),
            people: terms.people,
            tell: Some(terms.tell.clone()).filter(|_| tells.is_none_or(visible)),
            from: from
                .into_iter()
                .map(|(part, rule)| TermFrom {
                    part,
                    origin: if rule.is_some() { "rule" } else { "configuration" },
                    rule: rule.filter(|id| visible(id)).map(str::to_owned),
                })
                .collect(),
        }
    });
    let items = items.collect();
    Ok(Answer::ok(GroupAlertTerms { account, group, items }))
}
