//! `/v1/groups/{account}/{group}/promises`: what the product does in a group, and what it cannot, in words.

use serde::Serialize;

use super::body::{Answer, Path};
use super::error::ApiResult;
use super::moment;
use super::ports::Lapse;
use super::scoped::GroupSeen;
use super::state::Cx;
use crate::connectors::promises::{self, Facts, Greeting, Kept, Promise, PromiseName, StaffWords};
use crate::connectors::{Capabilities, Connector, Trouble};
use crate::duties::templates::{Adoption, Template, planned};
use crate::duties::{self, Stored};

/// A promise for one group.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PromiseView {
    /// What is promised.
    promise: PromiseName,
    /// What it is called, in Chinese.
    #[schema(example = "撤回")]
    title: &'static str,
    /// Whether it is kept.
    kept: Kept,
    /// Since when it has been like that, where that is known.
    since: Option<String>,
    /// In plain Chinese: whether, why, and what to do instead.
    zh: String,
    /// The same in English.
    en: String,
    /// Where the fact behind it is from.
    source: String,
}

fn view(promise: Promise) -> PromiseView {
    PromiseView {
        promise: promise.name,
        title: promise.title_zh,
        kept: promise.kept,
        since: promise.since_ms.map(moment::show),
        zh: promise.zh,
        en: promise.en,
        source: promise.source,
    }
}

/// The promises of a group.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PromiseList {
    /// In the order in which a person would ask.
    items: Vec<PromiseView>,
}

/// Says what is kept in a group, and why not 本群承诺清单
///
/// Platforms differ in what they let a program see and do, and so do kinds of groups on one platform. This says for one
/// group, in plain Chinese and English, what holds there, what does not and what to do instead.
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/promises", tag = "groups", operation_id = "listPromises",
    params(("account" = String, Path, description = "Its account"), ("group" = String, Path, description = "Its id there")),
    responses((status = 200, description = "Every promise, kept or not", body = PromiseList)),
)]
pub(super) async fn list(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
) -> ApiResult<Answer<PromiseList>> {
    let seen = cx.group(&account, &group).await?;
    let connector = cx.connectors().get(&account);
    let promises = match &connector {
        Some(connector) => {
            let mut facts = facts(&seen, &**connector);
            if connector.staff_interception().is_some() {
                facts.staff_words = super::interception::fact(&cx, &account).await?;
            }
            let (templates, mark);
            if connector.welcome_templates().is_some() {
                templates = duties::templates::templates(&**cx.storage()).await?;
                mark = Adoption::of(&**cx.storage(), &account, &group).await?;
                facts.greeting = greeting(&seen, &templates, mark.as_ref());
            }
            facts.unprotected = unprotected(&cx, &seen).or_else(|| connector.trouble());
            promises::promises(&facts)
        }
        None => promises::promises(&unconnected()),
    };
    Ok(Answer::ok(PromiseList { items: promises.into_iter().map(view).collect() }))
}

/// What keeps us from seeing what happens in the group: a lapse of the whole account, or a change that could not be followed.
fn unprotected(cx: &Cx, seen: &GroupSeen) -> Option<Trouble> {
    let protection = cx.platforms().protection(&seen.account)?;
    if let Some(lapse) = protection.lapses.into_iter().next() {
        let Lapse { code, since_ms, zh, en } = lapse;
        return Some(Trouble { since_ms, code: code.to_owned(), zh, en });
    }
    let since_ms = cx.platforms().gap_since(&seen.account, &seen.group)?;
    Some(Trouble {
        since_ms,
        code: "gap".to_owned(),
        zh: "这个群有一次变化没能跟上，正在重新读取群成员。".to_owned(),
        en: "a change in this group could not be followed; its members are being read again.".to_owned(),
    })
}

fn facts<'a>(seen: &'a GroupSeen, connector: &'a dyn Connector) -> Facts<'a> {
    Facts {
        capabilities: connector.capabilities_of(&seen.group),
        sources: connector.sources(),
        unprotected: None,
        owner: seen.owner(),
        greeting: Greeting::NoLibrary,
        staff_words: StaffWords::NotOffered,
        reaches_staff: connector.capabilities_of("").can_post_into_group,
        robots: connector.robot_groups().len(),
    }
}

/// Says which template is meant for a group, and whether somebody said that it is picked.
fn greeting<'a>(
    seen: &GroupSeen,
    templates: &'a [Stored<Template>],
    mark: Option<&'a Adoption>,
) -> Greeting<'a> {
    let template = planned(templates, &seen.account, &seen.context.place, seen.context.tags());
    match (template, mark) {
        (None, _) => Greeting::Unplanned,
        (Some(template), Some(mark)) if mark.template == template.id => {
            Greeting::Marked(&template.id, mark.at_ms)
        }
        (Some(template), _) => Greeting::ToDo(&template.id),
    }
}

/// An account that is disabled or cannot be connected promises nothing.
fn unconnected() -> Facts<'static> {
    let nothing = Capabilities {
        can_block_before: false,
        can_recall: false,
        can_edit: false,
        can_mute: false,
        can_remove: false,
        can_post_into_group: false,
        can_welcome_by_code: false,
        sends_need_confirmation: false,
        gives_member_ids: false,
        gives_message_text: false,
        max_text_bytes: 0,
        content_types: &[],
        welcome_content_types: &[],
    };
    let trouble = Trouble {
        since_ms: 0,
        code: "not_connected".to_owned(),
        zh: "账号没有连接：已停用，或者配置有误，请看账号页。".to_owned(),
        en: "the account is not connected: it is disabled, or its settings are wrong; look at the account."
            .to_owned(),
    };
    Facts {
        capabilities: nothing,
        sources: &[],
        unprotected: Some(trouble),
        owner: None,
        greeting: Greeting::NoLibrary,
        staff_words: StaffWords::NotOffered,
        reaches_staff: false,
        robots: 0,
    }
}
