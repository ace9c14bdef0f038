//! The reference server of every ratio: hyper, reads the body, answers with a fixed 164 bytes, does nothing else.
//!
//! What the gateway costs above this is what the gateway costs; sockets and HTTP are paid by both.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// As long as the gateway's answer to a message that passes.
const REPLY: &str = concat!(
    r#"{"id":"e-0000000000000000","verdict":"pass","ruleset":"r-1","status":"counted","hits":[],"actions":[],"#,
    r#""masked":null,"_":"a fixed reply of the usual length, 164 B."}"#,
);

/// A bound listener that [`Bare::serve`] answers on.
#[derive(Debug)]
pub struct Bare {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bare {
    /// Binds; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address it listens on.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until dropped.
    pub async fn serve(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            _ = stream.set_nodelay(true); // only costs latency when refused
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async move {
                _ = connection.await; // a client that went away
            });
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    _ = request.into_body().collect().await; // a broken body breaks the connection by itself
    let mut response = Response::new(Full::new(Bytes::from_static(REPLY.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reply_is_json_of_the_promised_length() {
        assert_eq!(super::REPLY.len(), 164);
        serde_json::from_str::<serde_json::Value>(super::REPLY).expect("json");
    }
}
