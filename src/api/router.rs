//! The table of routes: method, path, the right it needs, its handler.
//!
//! `POST /v1/events` and `/hooks/{account}/…` are served by `ingest` before a request gets here; they stand in the API
//! document all the same.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::envelope::envelope;
use super::error::ApiError;
use super::guard::{Door, guard};
use super::state::App;
use super::{
    accounts, administration, alert_rules, alert_terms, alerts, audiences, audit, broadcasts, cases, checks,
    conduct, deliveries, endpoints, evidence, group_life, group_policy, groups, interception, journeys,
    kicks, letters, members, moderate, notices, openapi, operators, outbound, places, platform_numbers,
    promises, protection, questions, replays, replies, reports, results, reviews, rules, rulesets,
    statistics, stream, templates, tokens, variables, verdicts, wordlist_life, wordlist_numbers,
};
use crate::access::{Caller, Right};

/// One line of the table.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the handler knows its method and path; tests hold them together")
)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) right: Right,
    /// Opens it too; the handler then looks closer.
    pub(super) other: Option<Right>,
    pub(super) handler: UtoipaMethodRouter<App>,
}

macro_rules! table {
    (@other) => { None };
    (@other $right:ident) => { Some(Right::$right) };
    ($($method:ident $path:literal $right:ident $(| $other:ident)? $($handler:ident)::+;)*) => {
        vec![$(Route {
            method: stringify!($method),
            path: $path,
            right: Right::$right,
            other: table!(@other $($other)?),
            handler: routes!($($handler)::+),
        },)*]
    };
}

/// Every route that needs a token.
#[expect(clippy::too_many_lines, reason = "a table of one line a route")]
pub(super) fn table() -> Vec<Route> {
    table! {
        GET    "/v1/accounts"                             Read  accounts::list;
        GET    "/v1/accounts/{account}"                   Read  accounts::get;
        PUT    "/v1/accounts/{account}"                   Admin accounts::put;
        DELETE "/v1/accounts/{account}"                   Admin accounts::delete;
        POST   "/v1/accounts/{account}/check"             Admin checks::check;
        GET    "/v1/accounts/{account}/interception"      Read  interception::get;
        GET    "/v1/accounts/{account}/sync"              Read  protection::get_sync;
        POST   "/v1/accounts/{account}/sync"              Admin protection::start_sync;
        GET    "/v1/brands"                               Read  places::list_brands;
        GET    "/v1/brands/{brand}"                       Read  places::get_brand;
        PUT    "/v1/brands/{brand}"                       Admin places::put_brand;
        DELETE "/v1/brands/{brand}"                       Admin places::delete_brand;
        GET    "/v1/regions"                              Read  places::list_regions;
        GET    "/v1/regions/{region}"                     Read  places::get_region;
        PUT    "/v1/regions/{region}"                     Admin places::put_region;
        DELETE "/v1/regions/{region}"                     Admin places::delete_region;
        GET    "/v1/shops"                                Read  places::list_shops;
        POST   "/v1/shops"                                Admin places::import_shops;
        POST   "/v1/shops/variables"                      Admin variables::shops;
        GET    "/v1/shops/{shop}"                         Read  places::get_shop;
        PUT    "/v1/shops/{shop}"                         Admin places::put_shop;
        DELETE "/v1/shops/{shop}"                         Admin places::delete_shop;
        GET    "/v1/groups"                               Read  groups::list;
        POST   "/v1/groups"                               Admin groups::import;
        POST   "/v1/groups/variables"                     Admin variables::groups;
        GET    "/v1/groups/{account}/{group}"             Read  groups::get;
        PUT    "/v1/groups/{account}/{group}"             Admin groups::put;
        DELETE "/v1/groups/{account}/{group}"             Admin groups::delete;
        GET    "/v1/groups/{account}/{group}/journeys"    Read  journeys::of_group;
        GET    "/v1/groups/{account}/{group}/members"     Read  members::roster::list;
        GET    "/v1/groups/{account}/{group}/members/export" Read members::roster::export;
        GET    "/v1/groups/{account}/{group}/members/{member}/conduct" Read conduct::get;
        POST   "/v1/members/{account}/{member}/pardon"    ReviewsDecide conduct::pardon;
        POST   "/v1/members/tags"                         BroadcastsWrite members::tags::import;
        POST   "/v1/members/identities"                   BroadcastsWrite members::tags::import_identities;
        POST   "/v1/members/values"                       BroadcastsWrite members::tags::import_values;
        GET    "/v1/members/duplicates"                   Read  members::duplicates::list;
        GET    "/v1/members/{account}/{member}"           Read  members::get;
        DELETE "/v1/members/{account}/{member}"           Admin members::erase::erase;
        GET    "/v1/members/{account}/{member}/timeline"  Read  members::timeline::get;
        PUT    "/v1/members/{account}/{member}/tags/{tag}" BroadcastsWrite members::tags::put;
        DELETE "/v1/members/{account}/{member}/tags/{tag}" BroadcastsWrite members::tags::delete;
        GET    "/v1/tag-rules"                            Read  members::rules::list;
        GET    "/v1/tag-rules/{tag_rule}"                 Read  members::rules::get;
        PUT    "/v1/tag-rules/{tag_rule}"                 RulesWrite members::rules::put;
        DELETE "/v1/tag-rules/{tag_rule}"                 RulesWrite members::rules::delete;
        GET    "/v1/segments"                             Read  members::segments::list;
        GET    "/v1/segments/{segment}"                   Read  members::segments::get;
        PUT    "/v1/segments/{segment}"                   BroadcastsWrite members::segments::put;
        DELETE "/v1/segments/{segment}"                   BroadcastsWrite members::segments::delete;
        GET    "/v1/segments/{segment}/numbers"           Read  members::segments::numbers;
        GET    "/v1/segments/{segment}/members"           Read  members::segments::members;
        GET    "/v1/segments/{segment}/members/export"    Read  members::segments::export;
        GET    "/v1/groups/{account}/{group}/hits"        Read  groups::hits;
        GET    "/v1/groups/{account}/{group}/policy"      Read  group_policy::get;
        GET    "/v1/groups/{account}/{group}/alert-terms" Read  alert_terms::get;
        GET    "/v1/groups/{account}/{group}/promises"    Read  promises::list;
        GET    "/v1/groups/{account}/{group}/statistics"  Read  statistics::of_group;
        GET    "/v1/groups/{account}/{group}/statistics/comparison"  Read  statistics::compare::get;
        GET    "/v1/reports/daily"                        Read  reports::daily;
        GET    "/v1/stream"                               Read  stream::open;
        GET    "/v1/statistics"                           Read  statistics::overall;
        GET    "/v1/statistics/definitions"               Read  statistics::definitions::get;
        GET    "/v1/statistics/people"                    Read  statistics::people::people;
        GET    "/v1/statistics/retention"                 Read  statistics::people::retention;
        GET    "/v1/statistics/fatigue"                   Read  statistics::fatigue::get;
        GET    "/v1/statistics/heatmap"                   Read  statistics::people::heatmap;
        GET    "/v1/statistics/export"                    Read  statistics::export::export;
        GET    "/v1/statistics/words"                     Read  statistics::words::get;
        GET    "/v1/statistics/wordlists"                 Read  wordlist_numbers::get;
        GET    "/v1/transfers"                            Read  group_life::transfers::worklist;
        POST   "/v1/transfers"                            Admin group_life::transfers::create;
        GET    "/v1/transfers/{transfer}"                 Read  group_life::transfers::get;
        GET    "/v1/join-ways/{way}"                      Read  group_life::join_ways::get;
        PUT    "/v1/join-ways/{way}"                      Admin group_life::join_ways::put;
        DELETE "/v1/join-ways/{way}"                      Admin group_life::join_ways::delete;
        GET    "/v1/own-groups/{account}/{id}"            Read  group_life::own_groups::get;
        PUT    "/v1/own-groups/{account}/{id}"            Admin group_life::own_groups::put;
        GET    "/v1/statistics/platform"                  Read  platform_numbers::compare;
        GET    "/v1/operators"                            Admin operators::list;
        GET    "/v1/operators/{operator}"                 Admin operators::get;
        PUT    "/v1/operators/{operator}"                 Admin operators::put;
        DELETE "/v1/operators/{operator}"                 Admin operators::delete;
        GET    "/v1/tokens"                               Admin tokens::list;
        POST   "/v1/tokens"                               Admin tokens::create;
        DELETE "/v1/tokens/{token}"                       Admin tokens::revoke;
        GET    "/v1/audit"                                Read  audit::list;
        POST   "/v1/moderate"                             Moderate moderate::moderate;
        POST   "/v1/verdicts"                             VerdictsWrite verdicts::create;
        GET    "/v1/cases"                                Read  cases::list;
        GET    "/v1/cases/{case}"                         Read  cases::get;
        GET    "/v1/cases/{case}/messages"                Read  cases::messages;
        POST   "/v1/cases/{case}/decision"                ReviewsDecide cases::decide;
        GET    "/v1/kicks"                                Read  kicks::list;
        POST   "/v1/kicks"                                ReviewsDecide kicks::create;
        DELETE "/v1/kicks/{kick}"                         ReviewsDecide kicks::delete;
        GET    "/v1/questions"                            Read  questions::list;
        GET    "/v1/alerts"                               Read  alerts::list;
        GET    "/v1/alerts/{alert}"                       Read  alerts::get;
        POST   "/v1/alerts/{alert}/acknowledge"           ReviewsDecide alerts::acknowledge;
        POST   "/v1/alerts/{alert}/assign"                ReviewsDecide alerts::assign;
        GET    "/v1/alert-rules"                          Read  alert_rules::list;
        GET    "/v1/alert-rules/{alert_rule}"             Read  alert_rules::get;
        PUT    "/v1/alert-rules/{alert_rule}"             RulesWrite alert_rules::put;
        DELETE "/v1/alert-rules/{alert_rule}"             RulesWrite alert_rules::delete;
        GET    "/v1/reviews"                              Read  reviews::list;
        GET    "/v1/reviews/{review}"                     Read  reviews::get;
        GET    "/v1/reviews/{review}/offer"               EvidenceRead reviews::offer::offer;
        POST   "/v1/reviews/{review}/decision"            ReviewsDecide reviews::deciding::decide;
        POST   "/v1/appeals"                              EventsWrite reviews::appeals::create;
        GET    "/v1/evidence/{evidence}"                  EvidenceRead evidence::get;
        POST   "/v1/evidence/erase"                       Admin evidence::erase;
        POST   "/v1/replays"                              EvidenceRead replays::create;
        GET    "/v1/replays/{replay}"                     EvidenceRead replays::get;
        GET    "/v1/rulesets"                             Read  rulesets::current;
        GET    "/v1/rulesets/versions"                    Read  rulesets::list;
        GET    "/v1/rulesets/{version}"                   Read  rulesets::get;
        POST   "/v1/rulesets/{version}/rollback"          RulesWrite rulesets::roll_back;
        GET    "/v1/wordlists"                            Read  rules::wordlists::list;
        GET    "/v1/wordlists/{wordlist}"                 Read  rules::wordlists::get;
        PUT    "/v1/wordlists/{wordlist}"                 RulesWrite rules::wordlists::put;
        DELETE "/v1/wordlists/{wordlist}"                 RulesWrite rules::wordlists::delete;
        GET    "/v1/wordlists/{wordlist}/life"            Read  wordlist_life::get;
        POST   "/v1/wordlists/{wordlist}/life"            RulesWrite wordlist_life::move_to;
        GET    "/v1/rule-sets"                            Read  rules::rule_sets::list;
        GET    "/v1/rule-sets/{rule_set}"                 Read  rules::rule_sets::get;
        PUT    "/v1/rule-sets/{rule_set}"                 RulesWrite rules::rule_sets::put;
        DELETE "/v1/rule-sets/{rule_set}"                 RulesWrite rules::rule_sets::delete;
        GET    "/v1/policies"                             Read  rules::policies::list;
        GET    "/v1/policies/{policy}"                    Read  rules::policies::get;
        PUT    "/v1/policies/{policy}"                    RulesWrite rules::policies::put;
        DELETE "/v1/policies/{policy}"                    RulesWrite rules::policies::delete;
        GET    "/v1/synonyms"                             Read  rules::synonyms::list;
        GET    "/v1/synonyms/{synonyms}"                  Read  rules::synonyms::get;
        PUT    "/v1/synonyms/{synonyms}"                  RulesWrite rules::synonyms::put;
        DELETE "/v1/synonyms/{synonyms}"                  RulesWrite rules::synonyms::delete;
        POST   "/v1/replies/test"                         Read  replies::test;
        GET    "/v1/replies/{reply}/numbers"              Read  replies::numbers;
        GET    "/v1/replies/{reply}/missing"              Read  replies::missing;
        GET    "/v1/replies"                              Read  rules::reply_rules::list;
        POST   "/v1/replies"                              RulesWrite rules::import::replies;
        GET    "/v1/replies/{reply}"                      Read  rules::reply_rules::get;
        PUT    "/v1/replies/{reply}"                      RulesWrite rules::reply_rules::put;
        DELETE "/v1/replies/{reply}"                      RulesWrite rules::reply_rules::delete;
        GET    "/v1/welcomes"                             Read  rules::welcome_rules::list;
        POST   "/v1/welcomes"                             RulesWrite rules::import::welcomes;
        GET    "/v1/welcomes/{welcome}"                   Read  rules::welcome_rules::get;
        GET    "/v1/welcomes/{welcome}/effect"            Read  rules::effect::welcome;
        PUT    "/v1/welcomes/{welcome}"                   RulesWrite rules::welcome_rules::put;
        DELETE "/v1/welcomes/{welcome}"                   RulesWrite rules::welcome_rules::delete;
        GET    "/v1/journeys"                             Read  rules::journey_rules::list;
        POST   "/v1/journeys"                             RulesWrite rules::import::journeys;
        GET    "/v1/journeys/{journey}"                   Read  rules::journey_rules::get;
        PUT    "/v1/journeys/{journey}"                   RulesWrite rules::journey_rules::put;
        DELETE "/v1/journeys/{journey}"                   RulesWrite rules::journey_rules::delete;
        GET    "/v1/journeys/{journey}/numbers"           Read  journeys::numbers;
        GET    "/v1/welcome-templates"                    Read  templates::list;
        GET    "/v1/welcome-templates/todo"               Read  templates::todo::list;
        POST   "/v1/welcome-templates/todo/remind"        BroadcastsWrite templates::todo::remind;
        POST   "/v1/welcome-templates/todo/{account}/{group}" BroadcastsWrite templates::todo::mark;
        GET    "/v1/welcome-templates/{template}"         Read  templates::get;
        PUT    "/v1/welcome-templates/{template}"         RulesWrite templates::put;
        DELETE "/v1/welcome-templates/{template}"         RulesWrite templates::delete;
        GET    "/v1/audiences"                            Read  audiences::list;
        GET    "/v1/audiences/{audience}"                 Read  audiences::get;
        PUT    "/v1/audiences/{audience}"                 BroadcastsWrite audiences::put;
        DELETE "/v1/audiences/{audience}"                 BroadcastsWrite audiences::delete;
        PUT    "/v1/audiences/{audience}/groups"          BroadcastsWrite audiences::import;
        GET    "/v1/broadcasts"                           Read  broadcasts::list;
        POST   "/v1/broadcasts"                           BroadcastsWrite broadcasts::create;
        POST   "/v1/broadcasts/preview"                   BroadcastsWrite broadcasts::saying::preview;
        GET    "/v1/broadcasts/{broadcast}"               Read  broadcasts::get;
        PUT    "/v1/broadcasts/{broadcast}"               BroadcastsWrite broadcasts::put;
        GET    "/v1/broadcasts/{broadcast}/preview"       Read  broadcasts::saying::show;
        POST   "/v1/broadcasts/{broadcast}/forecast"      Read  broadcasts::forecast::forecast;
        POST   "/v1/broadcasts/{broadcast}/test"          BroadcastsWrite broadcasts::saying::test;
        POST   "/v1/broadcasts/{broadcast}/submit"        BroadcastsWrite broadcasts::submit;
        POST   "/v1/broadcasts/{broadcast}/approve"       BroadcastsApprove broadcasts::approve;
        POST   "/v1/broadcasts/{broadcast}/reject"        BroadcastsApprove broadcasts::reject;
        GET    "/v1/broadcasts/{broadcast}/targets"       Read  broadcasts::targets;
        GET    "/v1/broadcasts/{broadcast}/effect"        Read  broadcasts::effect::effect;
        GET    "/v1/broadcasts/{broadcast}/results"       Read  results::export;
        POST   "/v1/broadcasts/{broadcast}/pause"         BroadcastsWrite broadcasts::pause;
        POST   "/v1/broadcasts/{broadcast}/resume"        BroadcastsWrite broadcasts::resume;
        POST   "/v1/broadcasts/{broadcast}/cancel"        BroadcastsWrite broadcasts::cancel;
        POST   "/v1/broadcasts/{broadcast}/recall"        BroadcastsWrite broadcasts::undoing::recall;
        POST   "/v1/broadcasts/{broadcast}/correct"       BroadcastsWrite broadcasts::undoing::correct;
        POST   "/v1/broadcasts/{broadcast}/replay"        BroadcastsWrite broadcasts::replay;
        GET    "/v1/broadcasts/{broadcast}/tasks"         Read  broadcasts::tasks::list;
        GET    "/v1/broadcasts/{broadcast}/tasks/export"  Read  broadcasts::tasks::export;
        POST   "/v1/broadcasts/{broadcast}/remind"        BroadcastsWrite broadcasts::tasks::remind;
        POST   "/v1/notices"                              BroadcastsWrite notices::create;
        GET    "/v1/notices/{notice}"                     Read  notices::get;
        GET    "/v1/endpoints"                            Admin endpoints::list;
        GET    "/v1/endpoints/{endpoint}"                 Admin endpoints::get;
        PUT    "/v1/endpoints/{endpoint}"                 Admin endpoints::put;
        DELETE "/v1/endpoints/{endpoint}"                 Admin endpoints::delete;
        POST   "/v1/endpoints/{endpoint}/rotate"          Admin endpoints::rotate;
        POST   "/v1/endpoints/{endpoint}/replay"          Admin endpoints::replay;
        POST   "/v1/endpoints/{endpoint}/test"            Admin endpoints::test;
        GET    "/v1/outbound"                             Read  outbound::status;
        POST   "/v1/outbound/stop"                        Admin | BroadcastsWrite outbound::stop;
        GET    "/v1/holds"                                Read  outbound::holds;
        DELETE "/v1/holds/{hold}"                         Admin | BroadcastsWrite outbound::lift;
        GET    "/v1/dead-letters"                         Read  outbound::dead_letters;
        POST   "/v1/dead-letters/replay"                  BroadcastsWrite letters::replay;
        POST   "/v1/dead-letters/{delivery}/replay"       BroadcastsWrite outbound::replay;
        GET    "/v1/deliveries/{delivery}"                Read  deliveries::get;
        GET    "/v1/uncertain"                            Read  deliveries::declaring::uncertain;
        POST   "/v1/uncertain/{delivery}"                 BroadcastsWrite deliveries::declaring::declare;
        GET    "/v1/sandbox/sends"                        Read  outbound::sandbox;
        POST   "/v1/admin/reload"                         Admin administration::reload;
        POST   "/v1/backup"                               Admin administration::backup;
    }
}

/// Makes the router that serves the API.
pub fn router(app: App) -> Router {
    let mut routes = OpenApiRouter::default();
    for Route { right, other, handler: (schemas, paths, handler), .. } in table() {
        let door = Door { app: app.clone(), right, other };
        routes = routes.routes((schemas, paths, handler.route_layer(from_fn_with_state(door, guard))));
    }
    let (routes, _) = routes.split_for_parts();
    routes
        .with_state(app)
        .merge(openapi::pages())
        .fallback(|| async { ApiError::not_found("route; see /docs").into_response() })
        // Bodies are bounded where they are read, by limits of the configuration.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(envelope))
}

/// The same for the control socket: whoever can open it owns the data directory, so no token is asked for.
pub fn local_router(app: App) -> Router {
    router(app).layer(axum::middleware::map_request(|mut request: Request| async {
        request.extensions_mut().insert(Caller::local());
        request
    }))
}
