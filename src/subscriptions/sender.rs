//! One endpoint's queue: read, call, wait, again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};

use super::batch::{self, Batch};
use super::{Live, SubscriptionError, Subscriptions};
use crate::outbox::retry::{RetryConfig, backoff};
use crate::storage::StorageError;
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, Success};
use crate::webhooks::address::parse_url;
use crate::webhooks::client::CallError;
use crate::webhooks::{retry_after, sign};

/// Wait after the ledger could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Why a call did not arrive, and when to make it again if the receiver said so.
pub(super) struct Failure {
    pub(super) why: String,
    /// The answer, if there was one.
    pub(super) status: Option<StatusCode>,
    wait: Option<Duration>,
}

impl Failure {
    fn new(why: &impl ToString) -> Self {
        Self { why: why.to_string(), status: None, wait: None }
    }
}

/// What an endpoint does after a turn.
enum After {
    Wait(Duration),
    /// It is told nothing more.
    End,
}

impl Subscriptions {
    /// Tells an endpoint until it is replaced or removed, or the gateway stops.
    pub(super) async fn serve(self: Arc<Self>, live: Arc<Live>) {
        let _running = live.running.lock().await;
        let tasks: Tasks = self.parts.tasks.clone();
        let mut tries = 0;
        loop {
            // A call that is dropped half-way is made again: at least once.
            let turn = async {
                match self.turn(&live, &mut tries).await {
                    After::Wait(pause) => tokio::time::sleep(pause).await,
                    After::End => return true,
                }
                false
            };
            tokio::select! {
                biased;
                () = live.closed.notified() => return,
                () = tasks.stopping() => return,
                ended = turn => if ended { return },
            }
        }
    }

    /// Makes one call, if there is something to tell.
    async fn turn(self: &Arc<Self>, live: &Live, tries: &mut u32) -> After {
        let batch = match self.next(live).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return After::Wait(self.parts.config.look),
            Err(error) => {
                tracing::warn!(endpoint.id = live.id, %error, "read state changes");
                return After::Wait(READ_AGAIN);
            }
        };
        let told = match self.call(live, &batch).await {
            Ok(_) => self.told(live, &batch).await.map_err(|error| Failure::new(&error)),
            Err(failure) => Err(failure),
        };
        let Err(failure) = told else {
            *tries = 0;
            metrics::status::told(Success::Ok, batch.changes);
            return After::Wait(Duration::ZERO);
        };
        *tries = tries.saturating_add(1);
        metrics::status::told(Success::Failed, 0);
        if failure.status == Some(StatusCode::GONE) {
            tracing::warn!(
                endpoint.id = live.id,
                why = failure.why,
                "an endpoint wants to be told nothing more"
            );
            match self.disable(live, failure.why).await {
                Ok(()) => return After::End,
                Err(error) => {
                    tracing::warn!(endpoint.id = live.id, %error, "disable an endpoint");
                    return After::Wait(self.backoff(*tries));
                }
            }
        }
        // A receiver may ask for a longer wait, never for a shorter one.
        let wait = failure.wait.unwrap_or_default().max(self.backoff(*tries));
        self.failed(live, failure.why);
        After::Wait(wait)
    }

    /// Notes that a call did not arrive; said once, until one does.
    fn failed(&self, live: &Live, why: String) {
        let mut standing = live.standing.lock();
        if standing.failing_since_ms.is_none() {
            tracing::warn!(endpoint.id = live.id, why, "a status webhook did not arrive; it is tried again");
        }
        standing.failing_since_ms.get_or_insert(self.parts.clock.now_ms());
        standing.error = Some(why);
    }

    fn backoff(&self, tries: u32) -> Duration {
        let config = &self.parts.config;
        let retry = RetryConfig {
            delay: config.retry_delay,
            delay_max: config.retry_delay_max,
            ..RetryConfig::default()
        };
        backoff(tries, &retry, self.chance.lock().draw())
    }

    /// Returns the call that is to be made: the one that did not arrive, or the next.
    async fn next(&self, live: &Live) -> Result<Option<Batch>, StorageError> {
        if let Some(batch) = live.pinned.lock().clone() {
            return Ok(Some(batch));
        }
        loop {
            let after = live.standing.lock().position;
            let page = self.parts.config.batch_changes_max.get();
            let changes = self.parts.storage.status_changes(after, page).await?;
            let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Ok(None) };
            live.forget(first.seq); // numbers have no gaps: what is between was removed
            let mut standing = live.standing.lock();
            let Some(batch) = batch::of(&live.id, &live.endpoint, &changes, &standing) else {
                // Nothing of interest: passed over in memory, written with the next call or the next sweep.
                standing.position = last.seq;
                continue;
            };
            *live.pinned.lock() = Some(batch.clone());
            return Ok(Some(batch));
        }
    }

    /// Makes a call; returns what was answered.
    pub(super) async fn call(&self, live: &Live, batch: &Batch) -> Result<StatusCode, Failure> {
        let now_ms = self.parts.clock.now_ms();
        let keys = self.sign_keys(live).map_err(|error: SubscriptionError| Failure::new(&error))?;
        let signed = sign(&keys, &batch.id, now_ms.div_euclid(1_000), &batch.body)
            .map_err(|error| Failure::new(&error))?;
        let mut request: Request<Bytes> = Request::new(batch.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = parse_url(&live.endpoint.url).map_err(|error| Failure::new(&error))?;
        let headers = request.headers_mut();
        signed.write(headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        let reply = self.client.call(request).await.map_err(|error| match error {
            CallError::Refused(refused) => Failure::new(&format!(
                "{} is {}: add it to `subscriptions.allow_private` if it is meant",
                refused.address, refused.why
            )),
            CallError::Connect(_) | CallError::Lost(_) => Failure::new(&error),
        })?;
        if reply.status.is_success() {
            return Ok(reply.status);
        }
        let asked = reply.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = asked.and_then(|value| retry_after::parse(value, now_ms));
        let why = format!("the receiver answered {}", reply.status);
        Err(Failure { why, status: Some(reply.status), wait })
    }

    /// Writes down that a call arrived.
    async fn told(&self, live: &Live, batch: &Batch) -> Result<(), StorageError> {
        let mut standing = live.standing.lock().clone();
        standing.told = batch.through;
        standing.position = batch.through.max(standing.position);
        standing.saved = standing.position;
        standing.told_ms = Some(self.parts.clock.now_ms());
        standing.failing_since_ms = None;
        standing.error = None;
        self.store(vec![standing.write(&live.id)]).await?;
        let mut now = live.standing.lock();
        // A sweep may have forgotten more meanwhile.
        standing.position = standing.position.max(now.position);
        standing.missed = now.missed;
        *now = standing;
        drop(now);
        *live.pinned.lock() = None;
        Ok(())
    }
}
