//! `/v1/welcome-templates`: greetings that a platform sends to newcomers by itself, kept in its library by us.

pub(super) mod todo;

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::body::{Answer, Path, Precondition, Query, Strict, not_modified};
use super::duty::FailureView;
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::connectors::offers::WelcomeTemplate;
use crate::directory::plain_id;
use crate::duties::templates::{Template, TemplateState};
use crate::duties::{self, Stored};
use crate::event::FieldError;
use crate::storage::{AuditEntry, Change, DocumentKind, Write};

const KIND: DocumentKind = DocumentKind::WelcomeTemplate;

/// A template and how it stands in the platform's library.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TemplateView {
    /// Its id.
    id: String,
    /// What was written.
    #[serde(flatten)]
    template: Template,
    /// How it stands in the library.
    standing: TemplateStanding,
    /// The same in plain Chinese, with what to do.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
    /// The platform's id of it.
    platform_id: Option<String>,
    /// When somebody else's change was noticed last; it was undone then.
    changed_elsewhere_at: Option<String>,
    /// When the answer to adding it was lost: the library may hold it a second time, look in the console.
    perhaps_twice_since: Option<String>,
    /// What the platform refused the last time.
    failure: Option<FailureView>,
    /// When it was written.
    updated_at: String,
}

/// How a template stands in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum TemplateStanding {
    /// It is being put there.
    OnItsWay,
    /// It is there as written.
    InLibrary,
    /// The platform refused it.
    Refused,
}

impl TemplateStanding {
    fn of(state: &TemplateState) -> Self {
        match (&state.failure, &state.platform_id) {
            (Some(_), _) => TemplateStanding::Refused,
            (None, Some(_)) => TemplateStanding::InLibrary,
            (None, None) => TemplateStanding::OnItsWay,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            TemplateStanding::OnItsWay => {
                ("正在放入平台的模板库。", "It is on its way to the platform's library.")
            }
            TemplateStanding::InLibrary => (
                "已在平台的模板库里；每个群要群主自己在客户端选用才会生效。",
                "It is in the platform's library; in each group the owner has to pick it in the client.",
            ),
            TemplateStanding::Refused => (
                "平台拒绝了或没有回答，原因和处理办法见 failure；可以重试的会自动重试。",
                "The platform refused it or did not answer: `failure` says why and what to do; what may be repeated is tried again.",
            ),
        }
    }
}

fn view(stored: Stored<Template>, state: TemplateState) -> TemplateView {
    let standing = TemplateStanding::of(&state);
    let (zh, en) = standing.words();
    TemplateView {
        id: stored.id,
        template: stored.value,
        standing,
        zh,
        en,
        platform_id: state.platform_id,
        changed_elsewhere_at: state.drift_ms.map(moment::show),
        perhaps_twice_since: state.lost_ms.map(moment::show),
        failure: state.failure.map(Into::into),
        updated_at: moment::show(stored.updated_ms),
    }
}

async fn state_of(cx: &Cx, template: &Stored<Template>) -> ApiResult<TemplateState> {
    let id = TemplateState::id(template.value.account.as_str(), &template.id);
    let stored = duties::read(&**cx.storage(), DocumentKind::Pushed, &id).await?;
    Ok(stored.map(|stored: Stored<TemplateState>| stored.value).unwrap_or_default())
}

impl Cx {
    /// Returns a template of an account that the caller may see.
    async fn welcome_template(&self, id: &str) -> ApiResult<Stored<Template>> {
        let stored: Option<Stored<Template>> = duties::read(&**self.storage(), KIND, id).await?;
        let stored = stored.filter(|stored| self.sees_account(stored.value.account.as_str()));
        stored.ok_or_else(|| ApiError::not_found("welcome template"))
    }

    pub(super) fn sees_account(&self, account: &str) -> bool {
        self.directory().account_in(self.scope(), account).is_ok()
    }
}

/// Lists welcome templates 列出入群欢迎语模板
#[utoipa::path(
    get, path = "/v1/welcome-templates", tag = "welcome-templates", operation_id = "listWelcomeTemplates", params(PageQuery),
    responses((status = 200, description = "The templates of the scope's accounts, by id", body = Page<TemplateView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<TemplateView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let all = duties::templates::templates(&**cx.storage()).await?.into_iter().filter(|template| {
        after.as_deref().is_none_or(|after| template.id.as_str() > after)
            && cx.sees_account(template.value.account.as_str())
    });
    let page =
        Page::of(all.take(limit + 1).collect(), limit, |template: &Stored<Template>| template.id.clone());
    let mut items = Vec::with_capacity(page.items.len());
    for template in page.items {
        let state = state_of(&cx, &template).await?;
        items.push(view(template, state));
    }
    Ok(Answer::ok(Page { items, next_cursor: page.next_cursor }))
}

/// Shows a welcome template 查看入群欢迎语模板
#[utoipa::path(
    get, path = "/v1/welcome-templates/{template}", tag = "welcome-templates", operation_id = "getWelcomeTemplate",
    params(("template" = String, Path, description = "Its id")),
    responses((status = 200, description = "With its version as `ETag`", body = TemplateView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>, precondition: Precondition) -> ApiResult<Response> {
    let template = cx.welcome_template(&id).await?;
    if precondition.knows(template.version) {
        return Ok(not_modified(template.version));
    }
    let version = template.version;
    let state = state_of(&cx, &template).await?;
    Ok(Answer::ok(view(template, state)).version(version).into_response())
}

/// Makes or replaces a welcome template 新建或修改入群欢迎语模板
///
/// Put into the platform's library in the background. The platform sends it once a group's owner has picked it:
/// `GET /v1/welcome-templates/todo` lists who has to. Only an unlimited scope may.
#[utoipa::path(
    put, path = "/v1/welcome-templates/{template}", tag = "welcome-templates", operation_id = "putWelcomeTemplate",
    params(("template" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ ., but not `todo`")),
    request_body = Template,
    responses(
        (status = 200, description = "Replaced", body = TemplateView),
        (status = 201, description = "Made", body = TemplateView),
        (status = 409, description = "The platform's library is full"),
    ),
)]
pub(super) async fn put(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(template): Strict<Template>,
) -> ApiResult<Answer<TemplateView>> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("welcome template"));
    }
    plain_id(&id).map_err(|detail| field("/id", "form", &detail))?;
    check(&cx, &id, &template).await?;
    let before: Option<Stored<Template>> = duties::read(&**cx.storage(), KIND, &id).await?;
    let verb = if before.is_some() { "update" } else { "create" };
    let at_ms = cx.now_ms();
    let audit = AuditEntry::by(cx.actor(), at_ms, verb, KIND.as_str(), &id);
    let audit = audit.with(&serde_json::json!({"account": template.account, "plan": template.plan}));
    let written =
        duties::write(&**cx.storage(), at_ms, (KIND, &id), &template, precondition.expect(), vec![audit])
            .await;
    let version = written.map_err(|error| precondition.explain(error))?;
    cx.house().wake_duties();
    let stored = Stored { id, version, updated_ms: at_ms, value: template };
    let state = state_of(&cx, &stored).await?;
    Ok(Answer::written(before.is_none(), view(stored, state)).version(version))
}

/// Removes a welcome template 删除入群欢迎语模板
///
/// It is taken out of the platform's library in the background; groups that had it picked greet nobody any more.
#[utoipa::path(
    delete, path = "/v1/welcome-templates/{template}", tag = "welcome-templates", operation_id = "deleteWelcomeTemplate",
    params(("template" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn delete(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    if !cx.scope().is_everything() {
        return Err(ApiError::not_found("welcome template"));
    }
    cx.welcome_template(&id).await?;
    let at_ms = cx.now_ms();
    let audit = vec![AuditEntry::by(cx.actor(), at_ms, "delete", KIND.as_str(), &id)];
    let writes = vec![Write::Delete { kind: KIND, id }];
    cx.storage().apply(Change { at_ms, writes, audit, ..Change::default() }).await?;
    cx.house().wake_duties();
    Ok(StatusCode::NO_CONTENT)
}

fn field(pointer: &str, code: &str, detail: &str) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, code, detail)])
}

/// Says before anything is stored what the platform, or interception, would refuse.
async fn check(cx: &Cx, id: &str, template: &Template) -> ApiResult<()> {
    let connector = cx.connectors().get(template.account.as_str());
    let library = connector.as_deref().and_then(|connector| connector.welcome_templates());
    let Some(library) = library else {
        return Err(field(
            "/account",
            "unsupported",
            "is no connected account with a library of welcome templates",
        ));
    };
    let told =
        WelcomeTemplate { text: template.text.clone(), link: template.link.clone(), notify: template.notify };
    library.check(&told).map_err(|detail| field("/text", "refused", &detail))?;
    let link = template.link.as_ref().map(|link| [link.title.as_str(), &link.description].join("\n"));
    let words = [template.text.as_str(), link.as_deref().unwrap_or_default()].join("\n");
    cx.notices().judge(&words).map_err(ApiError::blocked)?;
    check_plan(cx, template)?;
    let others = duties::templates::templates(&**cx.storage()).await?;
    let others =
        others.iter().filter(|other| other.value.account == template.account && other.id != id).count();
    let max = library.templates_max();
    if others >= max {
        let detail = format!(
            "the platform's library holds {max} templates; remove one first, or widen the plan of one \
             (平台模板库最多 {max} 个，请先删除不用的，或者让一个模板覆盖更多门店)"
        );
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    Ok(())
}

/// Most names of a plan.
const PLAN_NAMES_MAX: usize = 5_000;

fn check_plan(cx: &Cx, template: &Template) -> ApiResult<()> {
    let (plan, directory, scope) = (&template.plan, cx.directory(), cx.scope());
    if plan.names() > PLAN_NAMES_MAX {
        let detail = format!("lists {} names, at most {PLAN_NAMES_MAX}", plan.names());
        return Err(field("/plan", "too_many", &detail));
    }
    let brand = plan.brands.iter().find(|id| directory.brand_in(scope, id.as_str()).is_err());
    let region = plan.regions.iter().find(|id| directory.region_in(scope, id.as_str()).is_err());
    let shop = plan.shops.iter().find(|id| directory.shop_in(scope, id.as_str()).is_err());
    let missing: BTreeMap<&str, String> = [
        ("/plan/brands", brand.map(ToString::to_string)),
        ("/plan/regions", region.map(ToString::to_string)),
        ("/plan/shops", shop.map(ToString::to_string)),
    ]
    .into_iter()
    .filter_map(|(pointer, id)| Some((pointer, id?)))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let errors = missing
        .into_iter()
        .map(|(pointer, id)| FieldError::new(pointer, "not_found", format!("there is no `{id}`")));
    Err(ApiError::fields(errors.collect()))
}
