//! The way our HTTP requests leave the house: bounded in time and size, no redirects, only to checked addresses.
//!
//! What a caller most needs to know after a failure is whether the request may have arrived. [`CallError`] says so: a
//! body that was never asked for by the connection was never written, so nothing arrived; anything later is
//! [`CallError::Lost`].
//!
//! Not for: signing, deciding what to do next, keeping to a platform's limits.

mod connect;
#[cfg(test)]
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;

use super::address::{AddressRules, RefusedAddress};
use connect::{Connect, ConnectError};

/// How calls are bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Longest time to resolve the name, connect and agree on TLS.
    pub connect_timeout: Duration,
    /// Longest time for the whole call.
    pub total_timeout: Duration,
    /// How long a connection waits for its next use. Shorter than the shortest keep-alive of common servers (5 s): a
    /// request written while the server closes would end as one that may have arrived.
    pub idle_timeout: Duration,
    /// How much of a reply is read, in bytes; the rest is dropped, with its connection.
    pub reply_bytes_max: usize,
    /// Where calls may go.
    pub addresses: AddressRules,
}

/// Makes calls. Cheap to clone; clones share their connections, which close when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<Connect, Tracked>,
    total_timeout: Duration,
    reply_bytes_max: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status, never one of the 1xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The start of the body, at most `reply_bytes_max`. Shorter when the reply broke off: by then the status had told
    /// what there was to tell.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Error)]
pub enum CallError {
    /// The name stands for an address we do not connect to. Nothing was sent.
    #[error("{0}")]
    Refused(RefusedAddress),
    /// There is no connection. Nothing was sent.
    #[error("connect: {0}")]
    Connect(String),
    /// The request may have arrived; its answer did not.
    #[error("{0}")]
    Lost(String),
}

impl HttpClient {
    /// Makes a client with its own connections.
    pub fn new(config: &ClientConfig) -> Self {
        let connect = Connect::new(config.addresses.clone(), config.connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_timer(TokioTimer::new())
            .build(connect);
        Self { client, total_timeout: config.total_timeout, reply_bytes_max: config.reply_bytes_max }
    }

    /// Makes one call. Redirects are replies like any other.
    ///
    /// Not cancel safe in meaning: a call dropped half-way may have arrived.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: Request<Bytes>) -> Result<Reply, CallError> {
        self.call_within(request, self.total_timeout).await
    }

    /// Makes one call in less time than the client's own, where it is one of several.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_within(&self, request: Request<Bytes>, time: Duration) -> Result<Reply, CallError> {
        let time = time.min(self.total_timeout);
        let asked = Arc::new(AtomicBool::new(false));
        let request = request.map(|bytes| Tracked { bytes: Some(bytes), asked: Arc::clone(&asked) });
        let mut deadline = pin!(tokio::time::sleep(time));
        // On either deadline the exchange is dropped with its connection; that is the point.
        let response = tokio::select! {
            biased;
            response = self.client.request(request) => response.map_err(|error| failed(&error, &asked))?,
            () = &mut deadline => return Err(timed_out(time, &asked)),
        };
        let (parts, body) = Response::into_parts(response);
        let mut start = BytesMut::new();
        tokio::select! {
            biased;
            () = read_start(body, self.reply_bytes_max, &mut start) => {}
            () = &mut deadline => {}
        }
        Ok(Reply { status: parts.status, headers: parts.headers, body: start.freeze() })
    }
}

/// Reads until the end, the cap or a fault: by now the status has decided.
async fn read_start(mut body: Incoming, bytes_max: usize, start: &mut BytesMut) {
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let room = bytes_max.saturating_sub(start.len());
        start.extend_from_slice(data.get(..room).unwrap_or(&data));
        if start.len() >= bytes_max {
            return;
        }
    }
}

fn failed(error: &legacy::Error, asked: &AtomicBool) -> CallError {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(ConnectError::Refused(refused)) = cause.downcast_ref() {
            return CallError::Refused(*refused);
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    // The innermost cause says most: "connection refused", not "client error (Connect)".
    if error.is_connect() || !asked.load(Ordering::Acquire) {
        CallError::Connect(cause.to_string())
    } else {
        CallError::Lost(format!("no answer: {cause}"))
    }
}

fn timed_out(after: Duration, asked: &AtomicBool) -> CallError {
    if asked.load(Ordering::Acquire) {
        CallError::Lost(format!("no answer within {after:?}"))
    } else {
        CallError::Connect(format!("no connection within {after:?}"))
    }
}

/// A body that notes when the connection asks for it. The connection asks after it has put the head into its buffer and
/// before it writes: not asked means not written.
struct Tracked {
    bytes: Option<Bytes>,
    asked: Arc<AtomicBool>,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        // Never up front, not even for an empty body: then nobody would ask for it.
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
