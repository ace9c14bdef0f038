//! One HTTP/1.1 connection to the gateway, and the patience to get an answer over it.
//!
//! A connection is opened when it is first needed and again after it broke. Requests on it run one after the other: more
//! concurrency is more connections, as real clients have it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// The largest answer read into memory.
const REPLY_BYTES_MAX: usize = 64 << 20;
/// The longest wait a `Retry-After` can ask for; more would stall a run rather than pace it.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// Where the gateway is and how to speak to it.
#[derive(Debug, Clone)]
pub struct Target {
    authority: String,
    prefix: String,
    authorization: Option<HeaderValue>,
    /// How long one try may take, connecting included.
    pub timeout: Duration,
    /// How long one request is tried again before it is given up.
    pub give_up: Duration,
}

/// Says why a target or a request is no good.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a plain `http://` address.
    #[error("`{0}` is not an address of the form http://host:port")]
    Url(String),
    /// The token holds characters that cannot stand in a header.
    #[error("the token cannot be sent in a header")]
    Token,
    /// The request never got an answer.
    #[error("{method} {path}: no answer within {waited:?}, last: {last}")]
    GaveUp {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// For how long it was tried.
        waited: Duration,
        /// What went wrong the last time.
        last: String,
    },
    /// The answer was not the one needed.
    #[error("{method} {path}: answered {status}: {body}")]
    Refused {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// The answer's status code.
        status: u16,
        /// The start of the answer's body.
        body: String,
    },
    /// The answer's body has another shape than the interface promises.
    #[error("{path}: unreadable answer")]
    Unreadable {
        /// The request's path.
        path: String,
        /// The reason.
        #[source]
        source: serde_json::Error,
    },
}

impl Target {
    /// Takes an address such as `http://127.0.0.1:8180` and the token to send with every request.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let bad = || ClientError::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(bad)?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || HeaderValue::from_str(authority).is_err() {
            return Err(bad());
        }
        let authority =
            if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let authorization = match token {
            None => None,
            Some(token) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let (timeout, give_up) = (Duration::from_secs(30), Duration::from_mins(1));
        Ok(Self { authority, prefix, authorization, timeout, give_up })
    }

    /// Opens no connection yet: the first request does.
    pub fn connection(self: &Arc<Self>) -> Connection {
        Connection { target: Arc::clone(self), sender: None, opened: 0 }
    }
}

/// One request, ready to be sent as often as needed.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// A request without a body.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A request with a body of the given type.
    pub fn post(path: impl Into<String>, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { method: Method::POST, path: path.into(), headers, body: body.into() }
    }

    /// The same as `PUT`.
    #[must_use]
    pub fn put(mut self) -> Self {
        self.method = Method::PUT;
        self
    }

    /// Adds a header; a value that cannot stand in one is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// The wait the server asked for.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// What stood in the way of answers, added up over requests.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Hurdles {
    /// Answers with 429.
    pub throttled: u64,
    /// Answers with 503.
    pub unavailable: u64,
    /// Tries that ended without an answer: refused, reset, timed out.
    pub broken: u64,
}

impl Hurdles {
    /// Adds what another connection met.
    pub fn add(&mut self, other: Self) {
        self.throttled += other.throttled;
        self.unavailable += other.unavailable;
        self.broken += other.broken;
    }
}

/// A connection that reopens itself.
#[derive(Debug)]
pub struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
    opened: u64,
}

impl Connection {
    /// How often a TCP connection was opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Sends until an answer other than 429 or 503 comes, waiting as long as the server asks.
    ///
    /// Whether an earlier try took effect is then not known: after a broken try or a 503 the caller must expect that its
    /// events are already counted. A 429 is given before any work is done.
    ///
    /// # Errors
    /// [`ClientError::GaveUp`] when [`Target::give_up`] has passed.
    pub async fn send(&mut self, call: &Call, hurdles: &mut Hurdles) -> Result<Reply, ClientError> {
        let start = Instant::now();
        let mut backoff = Duration::from_millis(50);
        loop {
            let (last, wait) = match self.try_once(call).await {
                Ok(reply) if reply.status == 429 || reply.status == 503 => {
                    let counter =
                        if reply.status == 429 { &mut hurdles.throttled } else { &mut hurdles.unavailable };
                    *counter += 1;
                    (format!("status {}", reply.status), reply.retry_after)
                }
                Ok(reply) => return Ok(reply),
                Err(broken) => {
                    self.sender = None;
                    hurdles.broken += 1;
                    (broken, None)
                }
            };
            if start.elapsed() > self.target.give_up {
                let (method, path) = (call.method.clone(), call.path.clone());
                return Err(ClientError::GaveUp { method, path, waited: start.elapsed(), last });
            }
            sleep(wait.unwrap_or(backoff)).await;
            backoff = (backoff * 2).min(Duration::from_secs(2));
        }
    }

    /// As [`Self::send`], and takes only a 2xx for an answer.
    pub async fn expect_success(&mut self, call: &Call) -> Result<Reply, ClientError> {
        let reply = self.send(call, &mut Hurdles::default()).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let body = String::from_utf8_lossy(&reply.body).chars().take(400).collect();
        let (method, path) = (call.method.clone(), call.path.clone());
        Err(ClientError::Refused { method, path, status: reply.status, body })
    }

    /// Errors are for people only: whatever broke, the remedy is a new connection.
    pub(crate) async fn try_once(&mut self, call: &Call) -> Result<Reply, String> {
        let limit = self.target.timeout;
        timeout(limit, self.exchange(call)).await.map_err(|_| format!("no answer in {limit:?}"))?
    }

    async fn exchange(&mut self, call: &Call) -> Result<Reply, String> {
        let target = Arc::clone(&self.target);
        let request = request(&target, call)?;
        // A sender taken out and not put back is a connection given up, also when the time-out drops this future.
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.open().await?,
        };
        sender.ready().await.map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| format!("send: {error}"))?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?));
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("read the answer: {error}"))?.to_bytes();
        self.sender = Some(sender);
        Ok(Reply { status, retry_after, body })
    }

    async fn open(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(&self.target.authority).await;
        let stream = stream.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        self.opened += 1;
        tokio::spawn(async move {
            _ = connection.await; // the request in flight is told of the same error
        });
        Ok(sender)
    }
}

fn request(target: &Target, call: &Call) -> Result<Request<Full<Bytes>>, String> {
    let uri = format!("{}{}", target.prefix, call.path);
    let built = Request::builder().method(call.method.clone()).uri(uri).body(Full::new(call.body.clone()));
    let mut request = built.map_err(|error| error.to_string())?;
    let host = HeaderValue::from_str(&target.authority).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.extend(call.headers.clone());
    headers.insert(HOST, host);
    if let Some(authorization) = &target.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    Ok(request)
}

/// Reads the seconds of a `Retry-After`, fractions allowed. A date is not understood and falls to our own backoff.
fn parse_retry_after(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_plain_http_addresses() {
        for (url, authority, prefix) in [
            ("http://127.0.0.1:8180", "127.0.0.1:8180", ""),
            ("http://localhost", "localhost:80", ""),
            ("http://h:1/gate/", "h:1", "/gate"),
        ] {
            let target = Target::new(url, None).expect(url);
            assert_eq!((&*target.authority, &*target.prefix), (authority, prefix), "{url}");
        }
        for url in ["", "127.0.0.1:1", "https://h", "http://", "http:///x"] {
            assert!(Target::new(url, None).is_err(), "{url}");
        }
    }

    #[test]
    fn retry_after_is_read_leniently_and_capped() {
        for (value, millis) in
            [("0", Some(0)), ("1.5", Some(1_500)), (" 2 ", Some(2_000)), ("99999", Some(60_000))]
        {
            assert_eq!(parse_retry_after(value), millis.map(Duration::from_millis), "{value}");
        }
        for value in ["-5", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_retry_after(value), None, "{value}");
        }
    }
}
