//! The routes under `/_sim/`, by which other processes drive and question the simulator. The table is in [`super`].

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::faults::Fault;
use super::limits::PER_CORP;
use super::request::Request;
use super::serve::{json, plain};
use super::{Shared, apis};

/// Records given out at once, unless fewer are asked for.
const RECORDS_MAX: usize = 10_000;

type Page = Response<Full<Bytes>>;

/// Answers one request under `/_sim/`.
pub(super) async fn answer(request: &Request, shared: &Shared) -> Page {
    let path = request.path.strip_prefix("/_sim/").unwrap_or_default();
    let answered = match (&request.method, path) {
        (&Method::GET, "report") => Ok(json(&shared.report())),
        (&Method::GET, "calls") => {
            Ok(records(request, |after, limit| json(&shared.with(|world| world.ledger.calls(after, limit)))))
        }
        (&Method::GET, "deliveries") => Ok(records(request, |after, limit| {
            json(&shared.with(|world| world.ledger.deliveries(after, limit)))
        })),
        (&Method::GET, "sends") => {
            Ok(records(request, |after, limit| json(&shared.with(|world| world.ledger.sends(after, limit)))))
        }
        (&Method::POST, "faults") => set_faults(request, shared),
        (&Method::POST, "tokens") => end_token(request, shared),
        (&Method::POST, "limits") => eat(request, shared),
        (&Method::POST, "clock") => advance(request, shared),
        _ => return plain(StatusCode::NOT_FOUND, "no such route under /_sim/"),
    };
    answered.unwrap_or_else(|reason| plain(StatusCode::BAD_REQUEST, &reason))
}

fn records(request: &Request, give: impl FnOnce(u64, usize) -> Page) -> Page {
    let number = |name: &str| request.param(name).and_then(|value| value.parse::<u64>().ok());
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(RECORDS_MAX);
    give(number("after").unwrap_or(0), limit.min(RECORDS_MAX))
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

fn set_faults(request: &Request, shared: &Shared) -> Result<Page, String> {
    let texts: Vec<String> = read(request)?;
    let faults = texts.iter().map(|text| text.parse::<Fault>().map_err(|error| error.to_string()));
    let faults = faults.collect::<Result<Vec<_>, _>>()?;
    Ok(json(&shared.with(|world| {
        let now_ms = world.now_ms();
        world.faults.replace(faults, now_ms);
        world.faults.texts()
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Void,
    Expire,
}

fn end_token(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        app: String,
        end: End,
    }
    let body: Body = read(request)?;
    shared.with(|world| {
        let app = world.app_named(&body.app).ok_or_else(|| format!("no app `{}`", body.app))?;
        match body.end {
            End::Void => world.tokens.void(app),
            End::Expire => world.tokens.expire(app),
        }
        Ok(json(&serde_json::json!({})))
    })
}

fn eat(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        api: String,
        calls: u64,
    }
    let body: Body = read(request)?;
    let route = apis::find(&body.api).ok_or_else(|| format!("no API `{}`", body.api))?;
    shared.with(|world| {
        let now_ms = world.now_ms();
        world.limits.eat("corp", route.path, &PER_CORP, body.calls, now_ms);
    });
    Ok(json(&serde_json::json!({})))
}

fn advance(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        advance_ms: u64,
    }
    let body: Body = read(request)?;
    Ok(json(&shared.with(|world| {
        world.clock.advance(std::time::Duration::from_millis(body.advance_ms));
        serde_json::json!({ "now_ms": world.now_ms() })
    })))
}
