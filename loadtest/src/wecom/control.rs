//! The routes under `/_sim/`, by which other processes drive and question the simulator. The table is in [`super`].

mod acting;

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::events::Injection;
use super::faults::Fault;
use super::limits::PER_CORP;
use super::request::Request;
use super::serve::{json, plain};
use super::{CallbackConfig, Family, LaggedAct, Shared, apis};

/// Records given out at once, unless fewer are asked for.
const RECORDS_MAX: usize = 10_000;

type Page = Response<Full<Bytes>>;

/// Answers one request under `/_sim/`.
pub(super) async fn answer(request: &Request, shared: &Shared) -> Page {
    let path = request.path.strip_prefix("/_sim/").unwrap_or_default();
    if let (&Method::GET, Some(chat_id)) = (&request.method, path.strip_prefix("groups/")) {
        return group(chat_id, shared);
    }
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
        (&Method::GET, "groups") => Ok(records(request, |after, limit| groups(shared, after, limit))),
        (&Method::POST, "act") => act(request, shared),
        (&Method::POST, "callback") => register(request, shared).await,
        (&Method::GET, "callbacks") => Ok(json(&shared.look(|world| world.config.callbacks.clone()))),
        (&Method::POST, "callbacks") => set_callbacks(request, shared),
        (&Method::POST, "inject") => inject(request, shared),
        (&Method::POST, "live") => read(request).map(|rates| {
            shared.with(|world| world.live(rates));
            json(&rates)
        }),
        (&Method::POST, "app") => change_app(request, shared),
        (method, path) => {
            let answered = match *method {
                Method::GET => acting::get(path, request, shared),
                Method::POST => acting::post(path, request, shared),
                _ => None,
            };
            let missing = || Ok(plain(StatusCode::NOT_FOUND, "no such route under /_sim/"));
            answered.unwrap_or_else(missing)
        }
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

/// The roster as it is, whatever reads are shown: the shape of `groupchat/get` with names, and whether it is dismissed.
fn group(chat_id: &str, shared: &Shared) -> Page {
    let found = shared.look(|world| {
        let number = world.groups.group_of(chat_id)?;
        let group = world.groups.group(number);
        let mut page = apis::groups::describe(world, number, group, &group.now, true);
        page["is_dismissed"] = group.now.is_dismissed.into();
        page["status"] = (group.now.status as u8).into();
        Some(page)
    });
    found.map_or_else(|| plain(StatusCode::NOT_FOUND, "no such group"), |page| json(&page))
}

/// Groups in short, by number.
fn groups(shared: &Shared, after: u64, limit: usize) -> Page {
    json(&shared.look(|world| {
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let line = |(number, group): (super::GroupNo, &super::Group)| {
            serde_json::json!({
                "seq": u64::from(number.0) + 1,
                "chat_id": world.groups.chat_id(number),
                "owner": world.people.staff(group.now.owner).userid,
                "members": group.now.members.len(),
                "member_version": world.groups.version(number, group.now.change),
                "is_dismissed": group.now.is_dismissed,
            })
        };
        world.groups.all().skip(skipped).take(limit).map(line).collect::<Vec<_>>()
    }))
}

fn act(request: &Request, shared: &Shared) -> Result<Page, String> {
    let act: LaggedAct = read(request)?;
    let deed = shared.with(|world| world.act(act)).map_err(|error| error.to_string())?;
    Ok(json(&deed))
}

async fn register(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        app: String,
        url: String,
    }
    let body: Body = read(request)?;
    shared.register_callback(&body.app, &body.url).await.map_err(|error| error.to_string())?;
    Ok(json(&serde_json::json!({})))
}

fn set_callbacks(request: &Request, shared: &Shared) -> Result<Page, String> {
    let config: CallbackConfig = read(request)?;
    shared.with(|world| world.config.callbacks = config.clone());
    Ok(json(&config))
}

fn inject(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    struct Body {
        app: String,
        injection: Injection,
    }
    let body: Body = read(request)?;
    shared.with(|world| {
        let app = world.app_named(&body.app).ok_or_else(|| format!("no app `{}`", body.app))?;
        world.inject(app, body.injection);
        Ok(json(&serde_json::json!({})))
    })
}

fn change_app(request: &Request, shared: &Shared) -> Result<Page, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        app: String,
        is_enabled: Option<bool>,
        families: Option<Vec<Family>>,
        visible_departments: Option<Vec<u32>>,
        trust_ip: Option<IpAddr>,
    }
    let body: Body = read(request)?;
    shared.with(|world| {
        let index = world.app_named(&body.app).ok_or_else(|| format!("no app `{}`", body.app))?;
        let now_ms = world.now_ms();
        let app = &mut world.apps[index];
        app.config.is_enabled = body.is_enabled.unwrap_or(app.config.is_enabled);
        if let Some(families) = body.families {
            app.config.families = families;
        }
        if let Some(departments) = body.visible_departments {
            app.config.visible_departments = departments;
        }
        if let Some(ip) = body.trust_ip {
            app.trust(ip, now_ms);
        }
        Ok(json(&serde_json::json!({})))
    })
}
