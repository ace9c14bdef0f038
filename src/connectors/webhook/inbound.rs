//! Callbacks of the `webhook` platform: verified, then decoded.
//!
//! The body is one event, an array of events, the envelope `{"type":"events","timestamp":…,"data":{"events":[…]}}`, or
//! with `content-type: application/x-ndjson` one event a line. An event may leave out its `account`.
//!
//! One status answers for the whole callback, so it is taken whole or not at all: had we taken the good half, the sender
//! could neither learn which nor repeat the rest.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Inbound;
use crate::connectors::{Callback, CallbackError, Opened};
use crate::event::GroupEvent;
use crate::event::json::{ParseError, parse_for};
use crate::telemetry::metrics;
use crate::webhooks::{Seen, Verified, VerifyError, verify};

/// Only what tells an envelope from an event.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    _kind: Cow<'a, str>,
    #[serde(rename = "timestamp", borrow, default)]
    _timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

impl Inbound {
    pub(super) fn open(&self, account: &str, callback: Callback<'_>) -> Result<Opened, CallbackError> {
        check_request(&callback)?;
        if self.keys.is_empty() {
            let detail = "this account has no `inbound` secret, so no callback can be believed; add one";
            return Err(error(StatusCode::UNAUTHORIZED, "no_inbound_secret", detail));
        }
        let verified = verify(&self.keys, callback.headers, callback.body, callback.now_ms, self.tolerance)
            .map_err(|why| unverified(&why))?;
        let events = self.decode(account, callback.headers, callback.body)?;
        self.remember(&verified, &events, callback.now_ms)?;
        let reply = Bytes::from(format!("{{\"events\":{}}}", events.len()));
        let reply = Response::builder().header(header::CONTENT_TYPE, "application/json").body(reply);
        Ok(Opened { events, reply: reply.expect("a fixed header is valid") })
    }

    fn decode(
        &self,
        account: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<GroupEvent<'static>>, CallbackError> {
        let event = |raw: &[u8], at: String| match parse_for(raw, account, &self.parse_limits) {
            Ok(event) => Ok(event.into_owned()),
            Err(why) => Err(bad_event(&at, &why)),
        };
        if is_ndjson(headers) {
            let lines = body.split(|byte| *byte == b'\n').enumerate();
            let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
            self.check_count(lines.len())?;
            return lines.into_iter().map(|(i, line)| event(line, format!("line {}", i + 1))).collect();
        }
        let (parts, at) = match body.trim_ascii_start().first() {
            Some(b'[') => (serde_json::from_slice(body).map_err(|why| bad_json(&why))?, ""),
            Some(b'{') if is_envelope(body) => {
                let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|why| bad_json(&why))?;
                (envelope.data.events, "data.events")
            }
            Some(_) | None => return Ok(vec![event(body, String::new())?]),
        };
        let parts: Vec<&RawValue> = parts;
        self.check_count(parts.len())?;
        (parts.iter().enumerate()).map(|(i, raw)| event(raw.get().as_bytes(), format!("{at}[{i}]"))).collect()
    }

    fn check_count(&self, count: usize) -> Result<(), CallbackError> {
        if count <= self.events_max {
            return Ok(());
        }
        let detail =
            format!("{count} events in one callback, {} at most; send fewer at a time", self.events_max);
        Err(error(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail))
    }

    /// Refuses an id that stood for other events before. A repeat of the same ones goes on: our first answer may have
    /// been lost or our commit may have failed, and `dedupe` keeps them from counting twice.
    ///
    /// Compared are the events' identities, not bytes: senders that render the body anew for each attempt are common.
    fn remember(
        &self,
        verified: &Verified<'_>,
        events: &[GroupEvent<'_>],
        now_ms: i64,
    ) -> Result<(), CallbackError> {
        let id = digest([verified.id].into_iter());
        let contents = digest(events.iter().flat_map(|event| [event.group.as_ref(), event.id.as_ref()]));
        let (seen, evicted) = {
            let mut memory = self.memory.lock();
            (memory.see(id, contents, now_ms), memory.take_evicted())
        };
        if evicted > 0 {
            metrics::replay_ids_evicted(evicted);
        }
        match seen {
            Seen::New | Seen::Again => Ok(()),
            Seen::Reused => {
                let detail = "this webhook-id came before with other events; give each callback its own id";
                Err(error(StatusCode::CONFLICT, "id_reused", detail))
            }
        }
    }
}

fn check_request(callback: &Callback<'_>) -> Result<(), CallbackError> {
    if !matches!(callback.path, "" | "/") {
        let detail = "events go to /hooks/{account} itself";
        return Err(error(StatusCode::NOT_FOUND, "no_such_path", detail));
    }
    if callback.method != Method::POST {
        return Err(error(StatusCode::METHOD_NOT_ALLOWED, "not_post", "events come by POST"));
    }
    let encoding = callback.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // The signature is over the bytes as sent; whether before or after packing, senders disagree.
        let detail = "a signed callback is not compressed";
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", detail));
    }
    Ok(())
}

fn is_ndjson(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], http::HeaderValue::as_bytes);
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/x-ndjson")
}

fn is_envelope(body: &[u8]) -> bool {
    serde_json::from_slice::<Peek<'_>>(body).is_ok_and(|peek| peek.kind.as_deref() == Some("events"))
}

/// 128 bits of a digest over parts whose borders count.
fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    u128::from_le_bytes(*hash.first_chunk().expect("16 of 32 bytes"))
}

fn unverified(why: &VerifyError) -> CallbackError {
    let status = match why {
        VerifyError::MissingHeader(_) | VerifyError::BadId | VerifyError::BadTimestamp => {
            StatusCode::BAD_REQUEST
        }
        VerifyError::TooOld { .. } | VerifyError::TooNew { .. } | VerifyError::BadSignature => {
            StatusCode::UNAUTHORIZED
        }
    };
    error(status, why.code(), why.to_string())
}

fn bad_event(at: &str, why: &ParseError) -> CallbackError {
    let detail = match (at, why.path.as_str()) {
        ("", _) => why.to_string(),
        (at, "") => format!("{at}: {}", why.reason),
        (at, path) if at.starts_with("line") => format!("{at}: `{path}` {}", why.reason),
        (at, path) => format!("`{at}.{path}` {}", why.reason),
    };
    error(StatusCode::BAD_REQUEST, "bad_event", detail)
}

fn bad_json(why: &serde_json::Error) -> CallbackError {
    // Its own words may quote the body; where it broke is enough.
    let (line, column) = (why.line(), why.column());
    let detail = format!(
        "is neither an event, an array of events, nor `{{type, timestamp, data: {{events}}}}` (line {line}, column {column})"
    );
    error(StatusCode::BAD_REQUEST, "bad_json", detail)
}

fn error(status: StatusCode, code: &'static str, detail: impl Into<String>) -> CallbackError {
    CallbackError { status, code, detail: detail.into() }
}
