//! The OpenAPI 3.1 document, made from the handlers, and the pages that show it.
//!
//! What every route has in common (token, right, errors, headers) is added here, so that no handler can forget it.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContactBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref,
    RefOr, Response, ResponseBuilder, SecurityRequirement,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::error::{Code, Problem};
use super::router::{Route, table};
use crate::access::Right;

const SECURITY: &str = "token";

const INTRODUCTION: &str = "\
Menshen (门神) stands between a brand's operators and its shop groups: it judges every message, answers, counts, and \
sends on the operators' behalf.

**Authorise** with a token (`Authorization: Bearer msh_…`): the first start prints one and writes it to \
`<data>/admin-token`; more are made with `menshen token create` or `POST /v1/tokens`. Then try \
`PUT /v1/groups/{account}/{group}` and `POST /v1/events` with the account `demo`, which only records what it is asked to do.

Times are RFC 3339 in UTC. Lists go by cursor: send `next_cursor` as `cursor`. Every error is \
`application/problem+json` with a stable `code`. Unknown fields are refused. What lies outside a token's scope does not \
exist for it.

点击 **Authorize** 填入令牌即可在本页试用。时间均为 UTC；列表用游标翻页；未知字段会被拒绝；令牌数据范围之外的内容一律 404。";

const TAGS: &[(&str, &str)] = &[
    ("events", "事件接入 · bringing events in and getting verdicts"),
    ("moderation", "敏感词判定 · judging texts without effect"),
    ("reviews", "复核与原文证据 · what waits for a person, kept texts, drafts tried on them"),
    ("alerts", "预警 · what is not as it should be, who sees to it, and when it is told"),
    ("groups", "群 · groups, their members, hits and numbers"),
    ("people", "群成员、标签、人群 · members, their tags, segments"),
    ("group-life", "群生命周期 · groups that change hands, ways into them, groups of our own"),
    ("statistics", "群数据报表 · numbers over many groups"),
    ("stream", "实时推送 · what happens, as it happens"),
    ("directory", "账号、品牌、大区、门店 · accounts, brands, regions and shops"),
    ("rules", "词库、策略、自动回复、欢迎语 · wordlists, policies, replies and welcomes"),
    ("broadcasts", "群发 · broadcasts, their targets and progress"),
    (
        "welcome-templates",
        "入群欢迎语模板 · greetings that a platform sends by itself, and what owners have to do",
    ),
    ("notices", "通知 · telling one group or some staff something now"),
    ("endpoints", "状态推送 · programs that are told of state changes"),
    ("outbound", "外发控制 · stopping, resuming, dead letters"),
    ("access", "操作员与令牌 · operators, tokens, audit"),
    ("administration", "运维 · reload and backup"),
];

/// Makes the document.
pub fn document() -> OpenApi {
    let mut routes = OpenApiRouter::<super::App>::with_openapi(frame());
    for Route { right, other, handler: (schemas, mut paths, handler), .. } in table() {
        for (path, item) in &mut paths.paths {
            for operation in operations(item) {
                complete(operation, path, Some((right, other)));
            }
        }
        routes = routes.routes((schemas, paths, handler));
    }
    routes.split_for_parts().1
}

fn frame() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(Problem)))]
    struct Shared;

    let info = InfoBuilder::new()
        .title("Menshen 门神")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(INTRODUCTION))
        .contact(Some(ContactBuilder::new().name(Some("Menshen maintainers")).build()))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let tags = TAGS.iter().map(|(name, description)| {
        utoipa::openapi::tag::TagBuilder::new().name(*name).description(Some(*description)).build()
    });
    let mut shared = <Shared as utoipa::OpenApi>::openapi();
    let mut intake = <super::intake::Intake as utoipa::OpenApi>::openapi();
    for (path, item) in &mut intake.paths.paths {
        for operation in operations(item) {
            let right = operation.security.as_ref().map(|_| Right::EventsWrite);
            complete(operation, path, right.map(|right| (right, None)));
        }
    }
    shared.merge(intake);
    if let Some(components) = shared.components.as_mut() {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("msh_<id>_<secret>")
            .description(Some("A token of an operator; see `POST /v1/tokens`."))
            .build();
        components.add_security_scheme(SECURITY, SecurityScheme::Http(bearer));
    }
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .paths(shared.paths)
        .components(shared.components)
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// Adds what every route has: the token and its right, and the errors that can happen.
pub(super) fn complete(operation: &mut Operation, path: &str, right: Option<(Right, Option<Right>)>) {
    let mut errors = vec![Code::NotReady, Code::Internal];
    if let Some((right, other)) = right {
        operation.security = Some(vec![SecurityRequirement::new(SECURITY, Vec::<String>::new())]);
        let or = other.map(|other| format!(" or `{other}`")).unwrap_or_default();
        let note = format!("Needs the right `{right}`{or}.");
        operation.description = Some(
            operation.description.take().map_or_else(|| note.clone(), |text| format!("{text}\n\n{note}")),
        );
        errors.extend([Code::Unauthorized, Code::Forbidden, Code::QuotaExceeded]);
    }
    if path.contains('{') {
        errors.push(Code::NotFound);
    }
    let in_query = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    };
    let has_query = operation.parameters.iter().flatten().any(in_query);
    if operation.request_body.is_some() || has_query {
        errors.push(Code::InvalidRequest);
    }
    if operation.request_body.is_some() {
        errors.extend([Code::TooLarge, Code::ContentType, Code::InvalidFields]);
    }
    let own = operation.responses.responses.iter_mut();
    for (_, response) in own.filter(|(status, _)| status.starts_with(['4', '5'])) {
        add_problem(response);
    }
    for code in errors {
        let status = code.status().as_u16().to_string();
        operation.responses.responses.entry(status).or_insert_with(|| problem(code));
    }
}

/// Gives a response that is an error the body of every error.
fn add_problem(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        response.content.insert("application/problem+json".to_owned(), content.into());
    }
}

fn problem(code: Code) -> RefOr<Response> {
    let description = format!("`{}`: {}", code.as_str(), code.means());
    let mut response = RefOr::T(ResponseBuilder::new().description(description).build());
    add_problem(&mut response);
    response
}

/// `/openapi.json` and `/docs`: public, no data in them.
pub(super) fn pages() -> Router {
    let document = serde_json::to_vec_pretty(&document()).unwrap_or_default(); // a test parses it
    let document = bytes::Bytes::from(document);
    let json = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document).into_response() }
    };
    let shown = Config::from("/openapi.json").try_it_out_enabled(true).persist_authorization(true);
    Router::new().route("/openapi.json", get(json)).merge(SwaggerUi::new("/docs").config(shown))
}
