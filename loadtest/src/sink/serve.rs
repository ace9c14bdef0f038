//! The sink's HTTP side: reads a delivery, lets the ledger decide, and answers, delays, drips, hangs or resets.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::fault::{Fault, Outcome};
use super::ledger::Delivery;
use super::signature::{Signed, verify};
use super::{Shared, fault};

/// The largest delivery that is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// Receipts given out at once, unless fewer are asked for.
const RECEIPTS_MAX: usize = 10_000;

/// Accepts until aborted; connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve_connection(stream, shared).await;
            drop(permit);
        });
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    _ = stream.set_nodelay(true); // only costs latency when refused
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request| answer(request, Arc::clone(&shared), Arc::clone(&reset)))
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
        _ = stream.set_zero_linger(); // without it the end is a clean one, still in the middle of the answer
    }
}

/// A request that is not a delivery at all.
struct Refusal {
    status: StatusCode,
    reason: String,
}

type Answer = Result<Response<Drip>, Infallible>;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>, reset: Arc<Notify>) -> Answer {
    let control = request.uri().path().strip_prefix("/_sink/").map(str::to_owned);
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        shared.ledger().malformed();
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body could not be read"));
    };
    let body = body.to_bytes();
    if let Some(path) = control {
        return Ok(control_route(&parts.method, &path, parts.uri.query().unwrap_or(""), &body, &shared));
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let decided = receive(signed, &body, &shared);
    shared.changed.send_modify(|count| *count += 1);
    match decided {
        Ok(response) => Ok(carry_out(response, &reset).await),
        Err(Refusal { status, reason }) => Ok(plain(status, &reason)),
    }
}

fn receive(signed: Signed<'_>, body: &[u8], shared: &Shared) -> Result<fault::Response, Refusal> {
    #[derive(Deserialize)]
    struct Envelope {
        data: Delivery,
    }
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if !shared.secrets.is_empty()
        && let Err(error) = verify(&shared.secrets, signed, body, now_s)
    {
        shared.ledger().bad_signature();
        return Err(Refusal { status: StatusCode::UNAUTHORIZED, reason: error.to_string() });
    }
    let envelope = serde_json::from_slice::<Envelope>(body);
    match envelope {
        Ok(envelope) if !signed.id.is_empty() => Ok(shared.ledger().received(signed.id, envelope.data)),
        Ok(_) | Err(_) => {
            shared.ledger().malformed();
            let reason = "not a webhook: need webhook-id and a JSON body with `data`".to_owned();
            Err(Refusal { status: StatusCode::BAD_REQUEST, reason })
        }
    }
}

async fn carry_out(response: fault::Response, reset: &Arc<Notify>) -> Response<Drip> {
    if !response.delay.is_zero() {
        sleep(response.delay).await;
    }
    match response.outcome {
        Outcome::Hang => std::future::pending().await,
        Outcome::Reset => {
            let body = Drip {
                rest: Bytes::from_static(b"{\"ok\":"),
                declared: 64,
                then: Then::Reset(Arc::clone(reset)),
            };
            Response::new(body)
        }
        Outcome::Status(code) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer =
                plain(status, if status.is_success() { "{\"ok\":true}" } else { "{\"ok\":false}" });
            if !response.slow.is_zero() {
                answer.body_mut().slow_down(response.slow);
            }
            if let Some(seconds) = response.retry_after_s {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
    }
}

fn control_route(method: &Method, path: &str, query: &str, body: &[u8], shared: &Shared) -> Response<Drip> {
    let number = |name: &str| {
        let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        value.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    match (method, path) {
        (&Method::GET, "report") => json(&shared.ledger().report()),
        (&Method::GET, "receipts") => {
            let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(RECEIPTS_MAX);
            json(&shared.ledger().receipts(number("after").unwrap_or(0), limit.min(RECEIPTS_MAX)))
        }
        (&Method::POST, "faults") => match parse_faults(body) {
            Ok(faults) => {
                shared.ledger().set_faults(faults);
                json(&shared.ledger().report().faults)
            }
            Err(reason) => plain(StatusCode::BAD_REQUEST, &reason),
        },
        _ => plain(StatusCode::NOT_FOUND, "GET report, GET receipts?after=N, POST faults"),
    }
}

fn parse_faults(body: &[u8]) -> Result<Vec<Fault>, String> {
    let texts: Vec<String> =
        serde_json::from_slice(body).map_err(|_| "send a JSON array of faults".to_owned())?;
    texts.iter().map(|text| text.parse().map_err(|error: fault::FaultError| error.to_string())).collect()
}

fn json(value: &impl serde::Serialize) -> Response<Drip> {
    let body = serde_json::to_vec(value).expect("reports hold nothing that cannot be encoded");
    let mut response = Response::new(Drip::whole(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Drip> {
    let mut response = Response::new(Drip::whole(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}

/// A body that can take its time, or end in a reset.
#[derive(Debug)]
struct Drip {
    rest: Bytes,
    declared: u64,
    then: Then,
}

#[derive(Debug)]
enum Then {
    End,
    /// One byte at each tick.
    Slowly {
        timer: Pin<Box<Sleep>>,
        tick: Duration,
    },
    /// Promises more than it gives, then breaks off.
    Reset(Arc<Notify>),
}

impl Drip {
    fn whole(rest: Bytes) -> Self {
        Self { declared: rest.len() as u64, rest, then: Then::End }
    }

    fn slow_down(&mut self, length: Duration) {
        let tick = length / u32::try_from(self.rest.len().max(1)).unwrap_or(u32::MAX);
        self.then = Then::Slowly { timer: Box::pin(sleep_until(Instant::now() + tick)), tick };
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let count = match &mut this.then {
            Then::Reset(reset) if this.rest.is_empty() => {
                // The connection is taken down from outside; until then there is nothing more to say.
                reset.notify_one();
                return Poll::Pending;
            }
            Then::End | Then::Reset(_) => this.rest.len(),
            Then::Slowly { timer, tick } => {
                ready!(timer.as_mut().poll(context));
                timer.as_mut().reset(Instant::now() + *tick);
                this.rest.len().min(1)
            }
        };
        let frame = this.rest.split_to(count);
        Poll::Ready((!frame.is_empty()).then(|| Ok(Frame::data(frame))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared)
    }
}
