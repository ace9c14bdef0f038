//! The way commands reach a running gateway: its HTTP API over `<data>/control.sock`, mode 0600.
//!
//! Whoever can open the socket can read the data directory, so no token is asked for; the gateway treats such a request
//! as its local administrator's. What a command can do is what the API can do: there is no second protocol.
//! Not for: other machines. Bounded: [`CONNECTIONS_MAX`] connections, answers up to [`ANSWER_BYTES_MAX`].

use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Name of the socket in the data directory.
const SOCKET: &str = "control.sock";

/// Commands served at a time.
const CONNECTIONS_MAX: usize = 8;

/// Longest answer a command reads: a list of tokens is some kilobytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How long a command waits for an answer; a backup of a large directory takes minutes.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a command may take to send its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a command could not reach the gateway or was refused.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error(
        "no gateway is running on the data directory {data_dir}; name the right one with --data-dir or --config"
    )]
    NotRunning {
        /// Where we looked.
        data_dir: PathBuf,
    },
    /// The socket is there and cannot be used.
    #[error("reach the gateway through {path}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why; `PermissionDenied` means another user runs it.
        #[source]
        source: io::Error,
    },
    /// The conversation broke.
    #[error("talk to the gateway: {0}")]
    Broken(String),
    /// The gateway said no.
    #[error("the gateway refused with {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Its reason.
        detail: String,
    },
}

/// Asks the gateway that runs on `data_dir`; returns the JSON of a successful answer.
///
/// # Errors
/// When there is none, or it refuses.
pub async fn call(
    data_dir: &Path,
    method: Method,
    path: &str,
    body: &serde_json::Value,
) -> Result<serde_json::Value, ControlError> {
    let body = call_raw(data_dir, method, path, body).await?;
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// The same of an answer that is no JSON.
///
/// # Errors
/// When there is no gateway, or it refuses.
pub async fn call_raw(
    data_dir: &Path,
    method: Method,
    path: &str,
    body: &serde_json::Value,
) -> Result<Bytes, ControlError> {
    let stream = connect(data_dir).await?;
    let broken = |error: &dyn std::fmt::Display| ControlError::Broken(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| broken(&e))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let status = answer.status();
        let body =
            Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|e| broken(&e))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    let (status, body) = tokio::select! {
        done = &mut exchange => done,
        // The connection drives the exchange; it ends first only when the peer hangs up early.
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(broken(&error)),
        },
        () = tokio::time::sleep(ANSWER_TIMEOUT) => Err(broken(&"no answer in time")),
    }?;
    if status.is_success() {
        return Ok(body);
    }
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = ["detail", "title"].iter().find_map(|key| value.get(key)?.as_str());
    Err(ControlError::Refused { status, detail: detail.unwrap_or("no reason given").to_owned() })
}

async fn connect(data_dir: &Path) -> Result<UnixStream, ControlError> {
    let path = data_dir.join(SOCKET);
    UnixStream::connect(&path).await.map_err(|source| {
        // A socket left behind by a gateway that was killed refuses connections.
        if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&source.kind()) {
            ControlError::NotRunning { data_dir: data_dir.to_owned() }
        } else {
            ControlError::Unreachable { path, source }
        }
    })
}

/// The gateway's end. Owns the socket file; dropping it removes the file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.path); // a file left behind refuses connections and is replaced at the next start
    }
}

impl ControlSocket {
    /// Binds the socket in a data directory that this process holds the lock of, replacing one left behind.
    ///
    /// # Errors
    /// When the directory cannot be written, or its path is too long for a socket (about 100 bytes).
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // The directory is 0700, so nobody slips in between these two lines.
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves `router` until `stop` resolves. The caller has marked the router's requests as the local administrator's.
    pub async fn run(self, router: axum::Router, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            // Every branch is cancel safe: accept and join_next lose nothing, stop is polled by reference.
            tokio::select! {
                () = &mut stop => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, router.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "control socket: accept failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

async fn serve(stream: UnixStream, router: axum::Router) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let service = TowerToHyperService::new(router);
    _ = http.serve_connection(TokioIo::new(stream), service).await; // the command went away: nothing of ours
}

#[cfg(test)]
mod tests {
    use axum::routing::post;

    use super::*;

    async fn with_gateway(
        path: &str,
        body: serde_json::Value,
    ) -> (Result<serde_json::Value, ControlError>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refuse = || async {
            (
                StatusCode::CONFLICT,
                axum::Json(serde_json::json!({"title": "Conflict", "detail": "held already"})),
            )
        };
        let echo = |axum::Json(body): axum::Json<serde_json::Value>| async move { axum::Json(body) };
        let router = axum::Router::new().route("/echo", post(echo)).route("/refuse", post(refuse));
        let (stop_tx, stop) = tokio::sync::oneshot::channel::<()>();
        let client = async {
            let answer = call(dir.path(), Method::POST, path, &body).await;
            stop_tx.send(()).unwrap();
            answer
        };
        let stopped = async {
            _ = stop.await; // either way the client is done
        };
        let (answer, ()) = tokio::join!(client, socket.run(router, stopped));
        (answer, dir)
    }

    #[tokio::test]
    async fn a_command_reaches_the_gateway() {
        let body = serde_json::json!({"kind": "broadcast"});
        let (answer, dir) = with_gateway("/echo", body.clone()).await;
        assert_eq!(answer.unwrap(), body);
        assert!(!dir.path().join(SOCKET).exists(), "the socket goes with its gateway");
    }

    #[tokio::test]
    async fn a_refusal_carries_the_reason() {
        let (answer, _dir) = with_gateway("/refuse", serde_json::json!({})).await;
        assert_eq!(answer.unwrap_err().to_string(), "the gateway refused with 409 Conflict: held already");
    }

    #[tokio::test]
    async fn without_a_gateway_the_command_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let ask = || call(dir.path(), Method::GET, "/", &serde_json::Value::Null);
        assert!(matches!(ask().await, Err(ControlError::NotRunning { .. })));
        // Left behind by a kill: the file is there, nobody listens.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap());
        assert!(matches!(ask().await, Err(ControlError::NotRunning { .. })));
        ControlSocket::bind(dir.path()).unwrap();
    }
}
