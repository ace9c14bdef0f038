//! `ANY /hooks/{account}/…`: a platform's callback. The connector verifies and decodes; the platform gets its answer
//! after the commit.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::events::{GAP, Source, refuse};
use super::reply::{EventResult, Refusal};
use super::{Ingest, body};
use crate::connectors::{Callback, Connector, Opened};
use crate::event::GroupEvent;
use crate::telemetry::metrics;

impl Ingest {
    /// Answers a callback.
    pub async fn callback(&self, request: &Parts, body: Incoming, request_id: &str) -> Response<Bytes> {
        match self.take_callback(request, body).await {
            Ok(response) => response,
            Err(refusal) => refuse(refusal, request_id),
        }
    }

    async fn take_callback(&self, request: &Parts, body: Incoming) -> Result<Response<Bytes>, Refusal> {
        let path = request.uri.path().strip_prefix("/hooks/").unwrap_or_default();
        let (account, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(connector) = self.connectors.get(account) else {
            let detail = "there is no such account; create it with PUT /v1/accounts/{account}";
            return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_account", detail));
        };
        let held = body::read(&request.headers, body, &self.memory, &self.config).await?;
        let _permit = self.permits.try_acquire().map_err(|_| Refusal::overloaded("requests"))?;
        let opened = connector
            .open(Callback {
                method: &request.method,
                path: rest,
                query: request.uri.query().unwrap_or_default(),
                headers: &request.headers,
                body: &held.bytes,
                now_ms: self.clock.now_ms(),
            })
            .map_err(|error| Refusal::new(error.status, error.code, error.detail))?;
        self.take_opened(account, &*connector, opened).await
    }

    /// An authenticated event from the far future says that one of two clocks is wrong; refused, it would be lost for good,
    /// since the platform does not send it again. It counts at its arrival.
    fn place_in_time(&self, events: &mut [GroupEvent<'static>]) {
        let ahead = self.rules.load().limits.dedupe.future_max;
        let latest_ms =
            self.clock.now_ms().saturating_add(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX));
        for event in events.iter_mut().filter(|event| event.at_ms.is_some_and(|at| at > latest_ms)) {
            tracing::warn!(account.id = %event.account, "an event from the future counts now; check our clock against the platform's");
            event.at_ms = None;
        }
    }

    /// Takes what a callback told; the reply is for the platform.
    async fn take_opened(
        &self,
        account: &str,
        connector: &dyn Connector,
        opened: Opened,
    ) -> Result<Response<Bytes>, Refusal> {
        let mut opened = opened;
        self.place_in_time(&mut opened.events);
        let events = opened.events.len();
        let results = self.take(Source::Platform, opened.events.iter().map(Ok)).await?;
        let is_gap = |result: &EventResult| result.as_ref().is_err_and(|refusal| refusal.code == GAP);
        for refusal in
            results.iter().filter(|result| !is_gap(result)).filter_map(|result| result.as_ref().err())
        {
            if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                return Err(refusal.clone()); // the platform sends all of it again; repeats are recognised
            }
            tracing::warn!(account.id = account, code = refusal.code, "an authenticated event was refused");
        }
        let of_gap = |(event, result)| is_gap(result).then_some(event);
        let gaps: Vec<_> = opened.events.into_iter().zip(&results).filter_map(of_gap).collect();
        if !gaps.is_empty() {
            // The platform may forget the callback only when somebody else remembers it.
            connector.gap(gaps).await.map_err(|error| Refusal::not_ready(error.to_string()))?;
        }
        metrics::callback(connector.platform(), events);
        Ok(opened.reply)
    }
}

#[cfg(test)]
mod tests;
