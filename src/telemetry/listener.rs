//! The second listener: `/metrics`, `/livez`, `/readyz`, `/startupz`, `/healthz`. No authentication, cheap under load.
//!
//! Not for: anything that changes something. Bounded: connections beyond [`CONNECTIONS_MAX`] wait in the kernel's
//! backlog, and a client that does not send its request in time is dropped.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::health::Health;
use super::metrics;

/// Connections served at a time: some scrapers and probes, and an operator's browser.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may take to send its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How often histograms are folded when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The bound listener. Owns the socket; dropping it (or the future of [`Listener::run`]) closes all connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    probes: Probes,
}

/// What answers.
#[derive(Clone)]
struct Probes {
    health: Health,
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Probes").field(&self.health).finish()
    }
}

impl Listener {
    /// Takes the address.
    ///
    /// # Errors
    /// When it is taken or not ours.
    pub async fn bind(
        address: SocketAddr,
        health: Health,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket, probes: Probes { health, now_ms: Arc::new(now_ms) } })
    }

    /// Returns the bound address, with the real port where 0 was asked for.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` resolves, which should be after everything else has stopped.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
        upkeep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            // Every branch is cancel safe: accept, tick and join_next lose nothing, stop is polled by reference.
            tokio::select! {
                () = &mut stop => return,
                _ = upkeep.tick() => metrics::upkeep(),
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.socket.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, self.probes.clone()));
                    }
                    // Out of descriptors, or a client gone again: neither is a reason to stop.
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "metrics listener: accept failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

async fn serve(stream: TcpStream, probes: Probes) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = probes.answer(request.method(), request.uri());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    _ = http.serve_connection(TokioIo::new(stream), service).await; // the client went away: nothing of ours
}

impl Probes {
    fn answer(&self, method: &Method, uri: &http::Uri) -> Response<Full<Bytes>> {
        if *method != Method::GET && *method != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match uri.path() {
            "/metrics" => self.metrics(),
            "/livez" => probe(self.health.is_live((self.now_ms)()), "stuck\n"),
            "/startupz" => probe(self.health.is_started(), "starting\n"),
            "/readyz" | "/healthz" => self.readiness(uri.query().unwrap_or_default()),
            _ => text(StatusCode::NOT_FOUND, "/metrics /livez /readyz /startupz /healthz\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let report = self.health.report();
        metrics::health(report.ready, report.degraded.len());
        let mut answer = Response::new(Full::new(Bytes::from(metrics::render())));
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, format);
        answer
    }

    fn readiness(&self, query: &str) -> Response<Full<Bytes>> {
        let verbose = query.split('&').any(|part| part == "verbose" || part.starts_with("verbose="));
        if !verbose {
            return probe(self.health.is_ready(), "not ready; /readyz?verbose says why\n");
        }
        let report = self.health.report();
        let body = serde_json::to_vec(&report).expect("a report is text and flags");
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = status(report.ready);
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

fn probe(good: bool, bad: &'static str) -> Response<Full<Bytes>> {
    text(status(good), if good { "ok\n" } else { bad })
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn probes(health: &Health) -> Probes {
        Probes { health: health.clone(), now_ms: Arc::new(|| 50_000) }
    }

    async fn check(health: &Health, path: &str, status: u16, contains: &str) {
        let answer = probes(health).answer(&Method::GET, &path.parse().unwrap());
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(contains), "{path}: {body}");
    }

    #[tokio::test]
    async fn probes_follow_the_life_of_the_process() {
        let health = Health::default();
        let storage = health.check("storage");
        check(&health, "/livez", 200, "ok").await;
        check(&health, "/startupz", 503, "starting").await;
        check(&health, "/readyz", 503, "verbose").await;
        storage.pass();
        health.started();
        check(&health, "/startupz", 200, "ok").await;
        check(&health, "/readyz", 200, "ok").await;
        check(&health, "/healthz", 200, "ok").await;
        storage.fail("disk full".to_owned());
        let reason = "{\"name\":\"storage\",\"ready\":false,\"reason\":\"disk full\"}";
        check(&health, "/readyz?verbose", 503, reason).await;
        health.beat(1);
        check(&health, "/livez", 503, "stuck").await;
        check(&health, "/elsewhere", 404, "/metrics").await;
    }

    #[test]
    fn nothing_but_reading_is_allowed() {
        let answer = probes(&Health::default()).answer(&Method::POST, &"/metrics".parse().unwrap());
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
    }

    #[tokio::test]
    async fn a_scrape_over_a_socket_gets_the_text_form() {
        metrics::install();
        let health = Health::default();
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), health, || 0).await.unwrap();
        let address = listener.address().unwrap();
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let (stop_tx, stop) = tokio::sync::oneshot::channel::<()>();
        let stopped = async {
            _ = stop.await; // either way the client is done
        };
        let (text, ()) = tokio::join!(
            async {
                let text = client.await;
                stop_tx.send(()).unwrap();
                text
            },
            listener.run(stopped)
        );
        assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{text}");
        assert!(text.contains("menshen_ready 0\n"), "{text}");
    }
}
