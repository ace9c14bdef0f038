//! A program that is called: an HTTP server of one closure.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serves `take` until the test ends; returns its address with this path.
pub(crate) async fn serve(
    path: &str,
    take: impl Fn(&HeaderMap, &[u8]) -> StatusCode + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    let take = Arc::new(take);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let take = Arc::clone(&take);
            let service = service_fn(move |request: Request<Incoming>| {
                let take = Arc::clone(&take);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let mut answer = Response::new(Full::new(Bytes::new()));
                    *answer.status_mut() = take(&parts.headers, &body);
                    Ok::<_, hyper::Error>(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}
