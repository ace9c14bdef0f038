//! `/v1/groups/{account}/{group}/policy`: what a group is judged by, and who said so.

use serde::Serialize;

use super::body::{Answer, Path};
use super::error::ApiResult;
use super::state::Cx;
use crate::interception::{Assigned, Layer, Part, Policy, PolicyOrigin};

/// What a group is judged by.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupPolicyView {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
    /// The rules in force.
    ruleset: String,
    /// What holds for customers and for what we send, all layers together; named after the topmost.
    policy: Policy,
    /// What holds for staff, where that is another policy; null where it is the same, or where staff are exempt (see
    /// `policy.staff`).
    staff: Option<Policy>,
    /// The policies that were laid over each other, the bottom first.
    layers: Vec<PolicyOrigin>,
    /// Policies that were chosen and do not exist: passed over.
    missing: Vec<PolicyOrigin>,
    /// Where each part comes from.
    parts: Vec<Part>,
}

/// Shows what a group is judged by 查看群的生效策略
///
/// Policies chosen for the account, the brand, the region, the shop, the group's tags (in the order of the tags) and the
/// group itself are laid over each other, over the configuration's default; for each part the topmost that says something
/// wins. A selection of wordlists is one part; each level and each field of a category is one of its own.
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/policy", tag = "groups", operation_id = "getGroupPolicy",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    responses((status = 200, description = "The policy and where each part comes from", body = GroupPolicyView)),
)]
pub(super) async fn get(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
) -> ApiResult<Answer<GroupPolicyView>> {
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let chosen = cx.directory().policies_of(&context, &group);
    let layers = chosen.iter().map(|of| Layer { kind: of.kind, id: &of.id, policy: &of.policy });
    let assigned = Assigned { chosen: layers.collect(), tags: context.tags() };
    let rules = cx.rules();
    let explained = rules.words.policy_book().explain(&assigned);
    Ok(Answer::ok(GroupPolicyView {
        account,
        group,
        ruleset: rules.words.version().to_owned(),
        policy: explained.effective.policy,
        staff: explained.effective.staff,
        layers: explained.layers,
        missing: explained.missing,
        parts: explained.parts,
    }))
}
