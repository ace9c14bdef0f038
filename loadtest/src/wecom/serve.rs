//! The simulator's HTTP side: finds the API, lets the gate run the call, and answers, delays, hangs or resets.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::apis::{self, Route};
use super::faults::Turn;
use super::gate::{self, Reply};
use super::request::Request;
use super::{Shared, control};

/// The largest body that is read: the largest upload and its multipart frame.
const BODY_BYTES_MAX: usize = 110 << 20;
/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 4_096;

/// Accepts until aborted; connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve_connection(stream, peer, shared).await;
            drop(permit);
        });
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    _ = stream.set_nodelay(true); // only costs latency when refused
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request| answer(request, peer.ip(), Arc::clone(&shared), Arc::clone(&reset)))
    };
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let was_reset = tokio::select! {
        // The connection first: what it has to write is written before a reset is looked at.
        biased;
        _ = pin!(&mut connection) => false,
        () = reset.notified() => true,
    };
    if was_reset {
        let stream = connection.into_parts().io.into_inner();
        _ = stream.set_zero_linger(); // without it the end is a clean one, still without an answer
    }
}

type Wire = Result<Response<Full<Bytes>>, Infallible>;

async fn answer(
    request: hyper::Request<Incoming>,
    ip: IpAddr,
    shared: Arc<Shared>,
    reset: Arc<Notify>,
) -> Wire {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body could not be read"));
    };
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body: body.to_bytes(),
    };
    if request.path.starts_with("/_sim/") {
        return Ok(control::answer(&request, &shared).await);
    }
    let api = request.path.strip_prefix("/cgi-bin/").unwrap_or_default().to_owned();
    match apis::find(&api) {
        Some(route) => Ok(call(route, ip, Request { path: api, ..request }, &shared, &reset).await),
        None => Ok(plain(StatusCode::NOT_FOUND, "no such API")),
    }
}

/// Counts a call as in flight until it is dropped: answered, or given up by the caller.
struct InFlight<'s> {
    api: &'static str,
    shared: &'s Shared,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shared.with(|world| {
            if let Some(count) = world.in_flight.get_mut(self.api) {
                *count -= 1;
            }
        });
    }
}

async fn call(
    route: &'static Route,
    ip: IpAddr,
    request: Request,
    shared: &Shared,
    reset: &Notify,
) -> Response<Full<Bytes>> {
    let (course, count) = shared.with(|world| {
        let now_ms = world.now_ms();
        let count = world.in_flight.entry(route.path).or_insert(0);
        *count += 1;
        (world.faults.course(route.path, now_ms), *count)
    });
    let _in_flight = InFlight { api: route.path, shared };
    let delay = course.delay + shared.latency;
    if !delay.is_zero() {
        sleep(delay).await;
    }
    match course.turn {
        Turn::Cut => {
            shared.with(|world| gate::failed(world, route, ip, "cut"));
            disconnect(reset).await
        }
        Turn::Status(code) => {
            shared.with(|world| gate::failed(world, route, ip, &code.to_string()));
            plain(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY), "")
        }
        Turn::Answer | Turn::Errcode(_) | Turn::Hang | Turn::Reset => {
            let reply = shared.with(|world| {
                if count > world.limits.config().concurrent_calls_max {
                    gate::crowded(world, route, ip)
                } else {
                    gate::call(world, route, ip, &request, course.turn)
                }
            });
            match course.turn {
                Turn::Hang => std::future::pending().await,
                Turn::Reset => disconnect(reset).await,
                Turn::Answer | Turn::Errcode(_) | Turn::Status(_) | Turn::Cut => render(reply),
            }
        }
    }
}

/// The connection is taken down from outside; until then there is nothing to say.
async fn disconnect(reset: &Notify) -> Response<Full<Bytes>> {
    reset.notify_one();
    std::future::pending().await
}

fn render(reply: Reply) -> Response<Full<Bytes>> {
    let (content_type, body) = match reply {
        Reply::Json(body) => ("application/json; charset=UTF-8", body.into()),
        Reply::Bytes(content_type, body) => (content_type, body),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    render(Reply::Json(serde_json::to_vec(value).expect("reports hold nothing that cannot be encoded")))
}

pub(super) fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}
