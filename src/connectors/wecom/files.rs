//! Files that lie at an address: fetched, checked, uploaded.
//!
//! WeCom takes files by the ids of uploads. The thousands of tasks of one broadcast name the same address, so what was
//! uploaded from there is used for [`KEPT`]; after that it is fetched again, since something else may lie there by then, and
//! uploaded again only if it does (`media`). An address that fails is left alone for [`FAILED_KEPT`].
//!
//! Invariants: only to checked addresses, no redirects; a file of which the end may be missing is none.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use parking_lot::Mutex;

use super::book::millis;
use super::client::UploadBy;
use super::content::{MediaLimit, Unfit, Upload};
use super::deliver::Acts;
use super::media::{MediaKey, MediaScope};
use crate::outbox::delivery::{Decision, Outcome, Refusal, RefusalScope};
use crate::webhooks::address::parse_url;
use crate::webhooks::client::{CallError, ClientConfig, HttpClient, Reply};

/// How long an address stands for what was uploaded from it; shorter than what is left of an id's three days at the end of
/// its use.
const KEPT: Duration = Duration::from_mins(30);
/// How long an address that failed is not asked again.
const FAILED_KEPT: Duration = Duration::from_mins(1);
/// Most addresses remembered.
const ADDRESSES_MAX: usize = 1_000;

/// A file that an attachment needs.
#[derive(Clone, Debug)]
pub(super) struct FileAt<'a> {
    /// What it may be.
    pub(super) limit: MediaLimit,
    /// Its name; without one it is called after its format.
    pub(super) name: Option<&'a str>,
    /// Where it lies.
    pub(super) url: &'a str,
    /// Where the address stands in what was asked.
    pub(super) place: String,
    /// Where its id goes.
    pub(super) field: &'static str,
}

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Address {
    kind: &'static str,
    name: Option<String>,
    url: String,
}

impl FileAt<'_> {
    fn address(&self) -> Address {
        Address { kind: self.limit.kind(), name: self.name.map(str::to_owned), url: self.url.to_owned() }
    }

    /// Checks what came from the address.
    fn check(&self, bytes: Bytes) -> Result<Upload, Unfit> {
        let own = if bytes.starts_with(&[0xff, 0xd8, 0xff]) { "picture.jpg" } else { "picture.png" };
        self.limit.check_bytes(&self.place, self.name.unwrap_or(own), bytes)
    }
}

/// What became of an address.
#[derive(Clone, Debug)]
enum Known {
    Uploaded { id: String, key: MediaKey },
    Failed(Refusal),
}

/// The files of one account. Kept in memory and bounded: after a restart a file is fetched and uploaded once more.
#[derive(Debug)]
pub(super) struct Files {
    http: HttpClient,
    known: Mutex<HashMap<Address, (Known, i64)>>,
    /// Held while a file is fetched and uploaded, so that this happens once.
    turn: tokio::sync::Mutex<()>,
}

impl Files {
    /// Fetches as the account calls, but for how much of a reply is read.
    pub(super) fn new(ways: ClientConfig) -> Self {
        // One more than the largest there is: what is longer must show.
        let reply_bytes_max = MediaLimit::file().bytes_max() + 1;
        let http = HttpClient::new(&ClientConfig { reply_bytes_max, ..ways });
        Self { http, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn find(&self, address: &Address, now_ms: i64) -> Option<Known> {
        let known = self.known.lock();
        known.get(address).filter(|(_, until_ms)| now_ms < *until_ms).map(|(known, _)| known.clone())
    }

    fn remember(&self, address: Address, what: Known, kept: Duration, now_ms: i64) {
        let mut known = self.known.lock();
        if known.len() >= ADDRESSES_MAX {
            known.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        if known.len() >= ADDRESSES_MAX {
            known.clear(); // each is fetched once more
        }
        known.insert(address, (what, now_ms.saturating_add(millis(kept))));
    }

    /// Gets what lies at an address, whole.
    async fn fetch(&self, file: &FileAt<'_>) -> Result<Upload, Refusal> {
        let place = &file.place;
        let uri = parse_url(file.url)
            .map_err(|error| refused(Decision::Never, "file_address", &format!("`{place}`: {error}")))?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        let agent = HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let reply = self.http.call(request).await.map_err(|error| match error {
            CallError::Refused(why) => {
                refused(Decision::Never, "file_address", &format!("`{place}` is not fetched: {why}"))
            }
            // Fetching changes nothing, so it does not matter how far it came.
            CallError::Connect(why) | CallError::Lost(why) => {
                refused(Decision::Backoff, "file_unreachable", &format!("`{place}` cannot be fetched: {why}"))
            }
        })?;
        let bytes = whole(&reply).map_err(|(decision, why)| {
            refused(decision, "file_unreachable", &format!("`{place}` cannot be fetched: {why}"))
        })?;
        file.check(bytes).map_err(Refusal::from)
    }
}

/// Returns the file, if it came and its end is there.
fn whole(reply: &Reply) -> Result<Bytes, (Decision, String)> {
    let status = reply.status;
    if !status.is_success() {
        let may_change = status.is_server_error() || status.as_u16() == 429;
        let decision = if may_change { Decision::Backoff } else { Decision::Never };
        return Err((decision, format!("its server answers {}", status.as_u16())));
    }
    let length: Option<usize> =
        reply.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        None => {
            Err((Decision::Never, "its server does not say how long it is (no `content-length`)".to_owned()))
        }
        // What is too long is not read to its end; its length tells.
        Some(length) if length > reply.body.len() && length <= MediaLimit::file().bytes_max() => {
            Err((Decision::Backoff, "it broke off".to_owned()))
        }
        Some(_) => Ok(reply.body.clone()),
    }
}

fn refused(decision: Decision, code: &str, detail: &str) -> Refusal {
    let (scope, code, detail) = (RefusalScope::Delivery, code.to_owned(), detail.to_owned());
    Refusal { decision, scope, code, detail }
}

impl Acts {
    /// Returns the id of a file that lies at an address.
    ///
    /// # Errors
    /// Why there is none. Nothing was said.
    pub(super) async fn file_id(&self, file: &FileAt<'_>) -> Result<String, Outcome> {
        let address = file.address();
        if let Some(known) = self.files.find(&address, self.clock.now_ms()) {
            return known.into_id();
        }
        let _turn = self.files.turn.lock().await;
        let now_ms = self.clock.now_ms();
        if let Some(known) = self.files.find(&address, now_ms) {
            return known.into_id();
        }
        let upload = match self.files.fetch(file).await {
            Ok(upload) => upload,
            Err(refusal) => {
                self.files.remember(address, Known::Failed(refusal.clone()), FAILED_KEPT, now_ms);
                return Err(Outcome::Refused(refusal));
            }
        };
        let key = MediaKey::of(MediaScope::App, &upload);
        let id = self.media_id(UploadBy::App, &key, &upload).await?;
        self.files.remember(address, Known::Uploaded { id: id.clone(), key }, KEPT, now_ms);
        Ok(id)
    }

    /// Forgets the id of a file that WeCom did not know.
    pub(super) fn forget_file(&self, file: &FileAt<'_>) {
        if let Some((Known::Uploaded { key, .. }, _)) = self.files.known.lock().remove(&file.address()) {
            self.media.forget(&key);
        }
    }
}

impl Known {
    fn into_id(self) -> Result<String, Outcome> {
        match self {
            Known::Uploaded { id, .. } => Ok(id),
            Known::Failed(refusal) => Err(Outcome::Refused(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn a_file_of_which_the_end_may_be_missing_is_none() {
        let reply = |status: u16, length: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from_static(length))));
            let (status, body) = (StatusCode::from_u16(status).unwrap(), Bytes::from_static(b"12345678"));
            Reply { status, headers, body }
        };
        let check = |status, length, expect: Result<usize, Decision>| {
            let found = whole(&reply(status, length));
            let found = found.map(|bytes| bytes.len()).map_err(|(decision, _)| decision);
            assert_eq!(found, expect, "{status} {length:?}");
        };
        check(200, Some("8"), Ok(8));
        check(200, Some("9"), Err(Decision::Backoff));
        check(200, None, Err(Decision::Never));
        check(404, Some("8"), Err(Decision::Never));
        check(302, Some("8"), Err(Decision::Never));
        check(429, Some("8"), Err(Decision::Backoff));
        check(503, None, Err(Decision::Backoff));
    }
}
