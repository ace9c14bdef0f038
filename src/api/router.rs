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
use super::{accounts, audit, groups, openapi, operators, places, statistics, tokens};
use crate::access::{Caller, Right};

/// One line of the table.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) right: Right,
    pub(super) handler: UtoipaMethodRouter<App>,
}

macro_rules! table {
    ($($method:ident $path:literal $right:ident $($handler:ident)::+;)*) => {
        vec![$(Route {
            method: stringify!($method),
            path: $path,
            right: Right::$right,
            handler: routes!($($handler)::+),
        },)*]
    };
}

/// Every route that needs a token.
pub(super) fn table() -> Vec<Route> {
    table! {
        GET    "/v1/accounts"                             Read  accounts::list;
        GET    "/v1/accounts/{account}"                   Read  accounts::get;
        PUT    "/v1/accounts/{account}"                   Admin accounts::put;
        DELETE "/v1/accounts/{account}"                   Admin accounts::delete;
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
        GET    "/v1/shops/{shop}"                         Read  places::get_shop;
        PUT    "/v1/shops/{shop}"                         Admin places::put_shop;
        DELETE "/v1/shops/{shop}"                         Admin places::delete_shop;
        GET    "/v1/groups"                               Read  groups::list;
        POST   "/v1/groups"                               Admin groups::import;
        GET    "/v1/groups/{account}/{group}"             Read  groups::get;
        PUT    "/v1/groups/{account}/{group}"             Admin groups::put;
        DELETE "/v1/groups/{account}/{group}"             Admin groups::delete;
        GET    "/v1/groups/{account}/{group}/members"     Read  groups::members;
        GET    "/v1/groups/{account}/{group}/hits"        Read  groups::hits;
        GET    "/v1/groups/{account}/{group}/statistics"  Read  statistics::of_group;
        GET    "/v1/statistics"                           Read  statistics::overall;
        GET    "/v1/operators"                            Admin operators::list;
        GET    "/v1/operators/{operator}"                 Admin operators::get;
        PUT    "/v1/operators/{operator}"                 Admin operators::put;
        DELETE "/v1/operators/{operator}"                 Admin operators::delete;
        GET    "/v1/tokens"                               Admin tokens::list;
        POST   "/v1/tokens"                               Admin tokens::create;
        DELETE "/v1/tokens/{token}"                       Admin tokens::revoke;
        GET    "/v1/audit"                                Read  audit::list;
    }
}

/// Makes the router that serves the API.
pub fn router(app: App) -> Router {
    let mut routes = OpenApiRouter::default();
    for Route { right, handler: (schemas, paths, handler), .. } in table() {
        let door = Door { app: app.clone(), right };
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
