//! Connecting to checked addresses only: one look-up, each address judged, the judged address connected to. The TLS name
//! and the `Host` header stay those of the URL.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use thiserror::Error as ThisError;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tower::Service;

use crate::webhooks::address::{AddressRules, RefusedAddress};

/// Most addresses tried for one connection.
const ADDRESSES_MAX: usize = 4;

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Why there is no connection.
#[derive(Debug, ThisError)]
pub(super) enum ConnectError {
    /// Every address the name stands for is refused; this is the first.
    #[error("{0}")]
    Refused(RefusedAddress),
    /// The name stands for nothing.
    #[error("the name has no address")]
    NoAddress,
    /// Took too long.
    #[error("no connection within {0:?}")]
    Slow(Duration),
}

/// Connects, with TLS where the URL says so, within a bounded time.
#[derive(Clone, Debug)]
pub(super) struct Connect {
    tls: HttpsConnector<Guarded>,
    within: Duration,
}

/// Connects over TCP to checked addresses.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    rules: Arc<AddressRules>,
    within: Duration,
}

impl Connect {
    pub(super) fn new(rules: AddressRules, within: Duration) -> Self {
        let tls = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(Guarded { rules: Arc::new(rules), within });
        Self { tls, within }
    }
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tls.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tls.call(uri);
        let within = self.within;
        // The only bound that also covers the look-up and the TLS handshake.
        Box::pin(async move { timeout(within, connecting).await.map_err(|_| ConnectError::Slow(within))? })
    }
}

impl Service<Uri> for Guarded {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let guarded = self.clone();
        Box::pin(async move {
            let host = uri.host().ok_or(ConnectError::NoAddress)?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
            guarded.connect(&found).await
        })
    }
}

impl Guarded {
    async fn connect(&self, found: &[SocketAddr]) -> Result<TokioIo<TcpStream>, BoxError> {
        let mut refused = None;
        let mut checked = Vec::with_capacity(found.len().min(ADDRESSES_MAX));
        for address in found {
            match self.rules.check(address.ip()) {
                Ok(()) => checked.push(*address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        checked.truncate(ADDRESSES_MAX);
        let mut failed: BoxError = match refused {
            Some(refused) => ConnectError::Refused(refused).into(),
            None => ConnectError::NoAddress.into(),
        };
        // Each gets its share of the time, so that a dead first address does not use up that of a live second one.
        let share = self.within / u32::try_from(checked.len().max(1)).unwrap_or(1);
        for address in checked {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => failed = error.into(),
                Err(_) => failed = ConnectError::Slow(share).into(),
            }
        }
        Err(failed)
    }
}
