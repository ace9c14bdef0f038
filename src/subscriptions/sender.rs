//! One endpoint's queue: read, call, wait, again. And what is done with changes that nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};

use super::batch::{self, Batch};
use super::{Live, SubscriptionError, Subscriptions, position_of};
use crate::outbox::retry::{RetryConfig, backoff};
use crate::storage::{Change, StorageError};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, Success};
use crate::webhooks::address::parse_url;
use crate::webhooks::{retry_after, sign};

/// How often what is told or too old is removed.
const SWEEP: Duration = Duration::from_mins(1);

/// Why a call did not arrive, and when to make it again if the receiver said so.
struct Failure {
    why: String,
    wait: Option<Duration>,
}

impl Subscriptions {
    /// Tells an endpoint until it is replaced or removed, or the gateway stops.
    pub(super) async fn serve(self: Arc<Self>, live: Arc<Live>) {
        let tasks: Tasks = self.parts.tasks.clone();
        let mut tries = 0;
        loop {
            // A call that is dropped half-way is made again: at least once.
            let turn = async {
                let pause = self.turn(&live, &mut tries).await;
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                () = turn => {}
                () = live.closed.notified() => return,
                () = tasks.stopping() => return,
            }
        }
    }

    /// Makes one call, if there is something to tell; returns how long to wait.
    async fn turn(&self, live: &Live, tries: &mut u32) -> Duration {
        let batch = match self.next(live).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return self.parts.config.look,
            Err(error) => {
                tracing::warn!(endpoint.id = live.id, %error, "read state changes");
                return self.parts.config.retry_delay_max.min(Duration::from_secs(5));
            }
        };
        let told = match self.call(live, &batch).await {
            Ok(()) => {
                self.told(live, &batch).await.map_err(|error| Failure { why: error.to_string(), wait: None })
            }
            Err(failure) => Err(failure),
        };
        match told {
            Ok(()) => {
                *tries = 0;
                metrics::status::told(Success::Ok, batch.changes);
                Duration::ZERO
            }
            Err(Failure { why, wait }) => {
                *tries += 1;
                metrics::status::told(Success::Failed, 0);
                let mut standing = live.standing.lock();
                if standing.failing_since_ms.is_none() {
                    tracing::warn!(
                        endpoint.id = live.id,
                        why,
                        "a status webhook did not arrive; it is tried again"
                    );
                }
                standing.failing_since_ms.get_or_insert(self.parts.clock.now_ms());
                standing.error = Some(why);
                wait.unwrap_or_else(|| self.backoff(*tries))
            }
        }
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
        let storage = &self.parts.storage;
        let span = storage.status_span().await?;
        let (position, missed) = {
            let mut standing = live.standing.lock();
            // After a restore the numbers may begin anew.
            standing.position = standing.position.min(span.last);
            let forgotten = span.first.saturating_sub(1).saturating_sub(standing.position);
            if forgotten > 0 {
                standing.missed += forgotten;
                standing.position = span.first - 1;
                metrics::status::missed(forgotten);
                tracing::warn!(
                    endpoint.id = live.id,
                    forgotten,
                    "state changes were forgotten before they could be told"
                );
            }
            (standing.position, standing.missed)
        };
        let mut after = position;
        loop {
            let changes = storage.status_changes(after, self.parts.config.batch_changes_max).await?;
            let Some(last) = changes.last().map(|change| change.seq) else { return Ok(None) };
            let now_ms = self.parts.clock.now_ms();
            let Some(batch) = batch::of(&live.id, &live.endpoint, &changes, missed, now_ms) else {
                // Nothing of interest: passed over in memory, written with the next call.
                live.standing.lock().position = last;
                after = last;
                continue;
            };
            *live.pinned.lock() = Some(batch.clone());
            return Ok(Some(batch));
        }
    }

    /// Makes a call.
    async fn call(&self, live: &Live, batch: &Batch) -> Result<(), Failure> {
        let failed = |why: String| Failure { why, wait: None };
        let now_ms = self.parts.clock.now_ms();
        let keys = self.sign_keys(live).map_err(|error: SubscriptionError| failed(error.to_string()))?;
        let signed = sign(&keys, &batch.id, now_ms.div_euclid(1_000), &batch.body);
        let signed = signed.map_err(|error| failed(error.to_string()))?;
        let mut request: Request<Bytes> = Request::new(batch.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = parse_url(&live.endpoint.url).map_err(|error| failed(error.to_string()))?;
        let headers = request.headers_mut();
        signed.write(headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        let reply = self.client.call(request).await.map_err(|error| failed(error.to_string()))?;
        if reply.status.is_success() {
            return Ok(());
        }
        let asked = reply.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = asked.and_then(|value| retry_after::parse(value, now_ms));
        Err(Failure { why: format!("the receiver answered {}", reply.status), wait })
    }

    /// Writes down that a call arrived.
    async fn told(&self, live: &Live, batch: &Batch) -> Result<(), StorageError> {
        let at_ms = self.parts.clock.now_ms();
        let writes = vec![position_of(&live.id, batch.through)];
        self.parts.storage.apply(Change { at_ms, writes, ..Change::default() }).await?;
        *live.pinned.lock() = None;
        let mut standing = live.standing.lock();
        standing.position = batch.through;
        standing.told_ms = Some(at_ms);
        standing.failing_since_ms = None;
        standing.error = None;
        Ok(())
    }

    /// Removes what everybody was told, what is too old and what is too much, until the gateway stops.
    pub(super) async fn keep(self: Arc<Self>) {
        let tasks: Tasks = self.parts.tasks.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {}
                () = tasks.stopping() => return,
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "remove old state changes"); // the next round tries again
            }
        }
    }

    /// Removes what nobody needs any more.
    pub(super) async fn sweep(&self) -> Result<(), StorageError> {
        let span = self.parts.storage.status_span().await?;
        let told = self.list().into_iter().map(|(_, _, _, standing)| standing.position).min();
        let too_many = span.last.saturating_sub(self.parts.config.rows_max);
        let through = told.unwrap_or(span.last).max(too_many);
        let keep_ms = i64::try_from(self.parts.config.keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.parts.clock.now_ms().saturating_sub(keep_ms);
        metrics::status::waiting(span.last.saturating_sub(told.unwrap_or(span.last)));
        while self.parts.storage.status_forget(through, before_ms).await? > 0 {}
        Ok(())
    }
}
