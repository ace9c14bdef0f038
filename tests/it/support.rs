//! The harness: starts the gateway as a process on free ports, talks to it over HTTP, kills it, starts it again.

pub(crate) mod chance;
pub(crate) mod client;
pub(crate) mod company;
pub(crate) mod gateway;
pub(crate) mod receiver;
pub(crate) mod told;

use std::future::Future;
use std::time::{Duration, Instant};

/// Repeats a question until it is answered; panics with `what` after half a minute.
pub(crate) async fn eventually<T, F>(what: &str, question: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(Duration::from_secs(30), what, question).await
}

/// The same with a patience of its own, for what is much work.
pub(crate) async fn within<T, F>(patience: Duration, what: &str, mut question: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
