//! The HTTP server: two hot routes directly on hyper, everything else through one router.
//!
//! A connection costs a task and nothing else until its headers are whole; slow clients are cut by time-outs, and more
//! connections than the limit are closed at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::Ingest;
use crate::clock::Stopwatch;
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Longest `X-Request-Id` that is echoed.
const REQUEST_ID_BYTES_MAX: usize = 64;

type Reply = Response<Either<Full<Bytes>, Body>>;

/// Accepts connections until the tasks stop, then lets running requests finish.
pub async fn serve(listener: TcpListener, ingest: Arc<Ingest>, router: Router, tasks: Tasks) {
    let connections = Arc::new(Semaphore::new(ingest.config.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back instead of spinning.
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            metrics::ingest_rejected("overloaded", 1);
            continue; // dropped: closed
        };
        _ = stream.set_nodelay(true); // a socket that cannot is merely slower
        let connection = Connection { ingest: ingest.clone(), router: router.clone() };
        let watcher = graceful.watcher();
        tasks.spawn("connection", async move {
            connection.run(stream, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

struct Connection {
    ingest: Arc<Ingest>,
    router: Router,
}

impl Connection {
    async fn run(self, stream: TcpStream, watcher: Watcher) {
        let (ingest, router) = (self.ingest, self.router);
        let header_timeout = ingest.config.header_timeout;
        let service = service_fn(move |request| {
            let (ingest, router) = (ingest.clone(), router.clone());
            async move { Ok::<_, Infallible>(answer(&ingest, router, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended"); // clients go away all the time
        }
    }
}

async fn answer(ingest: &Ingest, router: Router, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let is_events = path == "/v1/events" && request.method() == Method::POST;
    if !is_events && !path.starts_with("/hooks/") {
        return routed(router, request).await;
    }
    let watch = Stopwatch::start();
    let _in_flight = metrics::InFlight::start();
    let (parts, body) = request.into_parts();
    let request_id = request_id(&parts.headers);
    let mut response = if is_events {
        ingest.events(&parts.headers, body, &request_id).await
    } else {
        ingest.callback(&parts, body, &request_id).await
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
    let route = if is_events { "/v1/events" } else { "/hooks/{account}/{*rest}" };
    metrics::request_finished(route, &parts.method, response.status().as_u16(), watch.elapsed());
    response.map(|bytes| Either::Left(Full::new(bytes)))
}

async fn routed(router: Router, request: Request<Incoming>) -> Reply {
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response.map(Either::Right),
        Err(never) => match never {},
    }
}

/// Echoes the caller's id for the request when it is short and plain; makes one otherwise.
fn request_id(headers: &http::HeaderMap) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= REQUEST_ID_BYTES_MAX
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match given.filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("req_{:08x}", NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}
