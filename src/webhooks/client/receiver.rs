//! A real HTTP server for tests: keeps what it got, answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use crate::tasks::detached;

/// What to do with a request, once it was read.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answer with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, &'static str)>, Bytes),
    /// Answer 200, then stop in the middle of the body.
    Stall,
    /// Close the connection without an answer.
    Close,
    /// Never answer.
    Hang,
}

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Which connection it came over, counted from 0.
    pub(crate) connection: usize,
}

/// The server; it ends with the test's runtime.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) act: Arc<Mutex<Act>>,
    pub(crate) received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub(crate) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (act, received) = (Arc::new(Mutex::new(act)), Arc::new(Mutex::new(Vec::new())));
        let shared = (Arc::clone(&act), Arc::clone(&received));
        let (tasks, owner) = detached();
        tasks.clone().spawn("receiver", async move {
            let _owner = owner;
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (act, received) = shared.clone();
                tasks.spawn("connection", async move {
                    let service = service_fn(|request| {
                        answer(request, connection, act.lock().clone(), Arc::clone(&received))
                    });
                    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    // `Close` ends it with an error
                });
            }
        });
        Self { address, act, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    act: Act,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Answer>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    received.lock().push(Received { uri: parts.uri, headers: parts.headers, body, connection });
    match act {
        Act::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Answer { bytes: Some(body), stalls: false }).unwrap())
        }
        Act::Stall => Ok(Response::new(Answer { bytes: Some(Bytes::from_static(b"begin")), stalls: true })),
        Act::Close => Err(std::io::Error::other("as told")),
        Act::Hang => std::future::pending().await,
    }
}

struct Answer {
    bytes: Option<Bytes>,
    stalls: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.stalls => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
