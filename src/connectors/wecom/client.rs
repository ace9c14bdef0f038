//! Calls to WeCom: with the account's token or a robot's key, under the limits, tried again where that is safe.
//!
//! One call makes at most these tries: one more with a new token after 40014 or 42001, three more while the platform is
//! busy (-1, 45033). All of it ends within `connectors.total_timeout`, waits for limits of a patient client aside. A call
//! that may have arrived is never made again here; [`ApiError::is_uncertain`] says so.
//!
//! Not for: what to call, and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::errcode::{BAD_TOKEN, BUSY, TOKEN_EXPIRED, TOO_MANY_AT_ONCE, TOO_OFTEN};
use super::error::{ApiError, Code};
use super::quota::{Charge, Quota};
use super::settings::Secrets;
use super::token::{Token, Tokens};
use super::wire::{Parcel, Wire};
use crate::clock::Clock;
use crate::connectors::{Secret, Trouble};
use crate::outbox::delivery::RefusalScope;
use crate::outbox::limiter::Micros;
use crate::telemetry::metrics::{self, WecomCall};

/// How long a call waits for a limit when somebody waits for the call.
const PATIENCE: Duration = Duration::from_secs(1);
/// More tries while the platform is busy: what the vendor's table allows.
const BUSY_TRIES: u32 = 3;
/// Delay before the first of them; doubles, with jitter.
const BUSY_DELAY: Duration = Duration::from_millis(200);

/// Calls WeCom for one account. Cheap to clone; clones share tokens, limits and connections.
#[derive(Clone, Debug)]
pub(super) struct Client {
    shared: Arc<Shared>,
    /// How long a call waits for a limit.
    patience: Duration,
}

#[derive(Debug)]
struct Shared {
    wire: Wire,
    tokens: Tokens,
    quota: Quota,
    robots: HashMap<String, Secret>,
    clock: Clock,
    time_max: Duration,
    /// What keeps the account from working, by interface.
    troubles: Mutex<BTreeMap<&'static str, Trouble>>,
}

/// Whose credential a call carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum UploadBy<'a> {
    /// The app's.
    App,
    /// That robot's.
    Robot(&'a str),
}

/// An answer of which nothing but `errcode` counts.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Done {}

#[derive(Deserialize)]
struct Uploaded {
    media_id: String,
}

/// The credential of one try.
enum Credential<'a> {
    Token(Arc<Token>),
    Key(&'a str),
}

impl Client {
    /// Makes a client. `time_max` bounds each call.
    pub(super) fn new(
        wire: Wire,
        corp_id: String,
        secrets: Secrets,
        quota: Quota,
        clock: Clock,
        time_max: Duration,
    ) -> Self {
        let tokens = Tokens::new(corp_id, secrets.app, clock.clone());
        let troubles = Mutex::default();
        let shared = Shared { wire, tokens, quota, robots: secrets.robots, clock, time_max, troubles };
        Self { shared: Arc::new(shared), patience: PATIENCE }
    }

    /// Returns the same client for work that nobody waits for: it waits for limits up to `patience`.
    pub(super) fn patient(&self, patience: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), patience }
    }

    /// Says whether the account has an app, or robots alone.
    pub(super) fn has_app(&self) -> bool {
        self.shared.tokens.has_secret()
    }

    /// Names the robots there are keys for, in order.
    pub(super) fn robots(&self) -> Vec<&str> {
        let mut robots: Vec<&str> = self.shared.robots.keys().map(String::as_str).collect();
        robots.sort_unstable();
        robots
    }

    /// Names the robots whose key is not of the form that keys have: groups of hexadecimal digits, as in a UUID.
    pub(super) fn odd_robots(&self) -> Vec<&str> {
        let is_key = |key: &str| {
            let mut groups = key.split('-');
            let is_group = |digits| {
                move |group: &str| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            [8, 4, 4, 4, 12].into_iter().all(|digits| groups.next().is_some_and(is_group(digits)))
                && groups.next().is_none()
        };
        let odd = self.robots().into_iter();
        odd.filter(|name| self.shared.robots.get(*name).is_some_and(|key| !is_key(key.expose()))).collect()
    }

    /// What keeps the account from working at the moment: the token first, then interfaces in order of their paths.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let troubles = self.shared.troubles.lock();
        troubles.get(Api::GetToken.path()).or_else(|| troubles.values().next()).cloned()
    }

    /// Calls an interface by `POST` with the app's token.
    ///
    /// # Errors
    /// See [`Code`].
    pub(super) async fn call<B: Serialize + Sync, R: DeserializeOwned>(
        &self,
        api: Api,
        body: &B,
    ) -> Result<R, ApiError> {
        self.call_charged(api, body, Charge::default()).await
    }

    /// The same for a call that weighs more than one call.
    ///
    /// # Errors
    /// See [`Code`].
    pub(super) async fn call_charged<B: Serialize + Sync, R: DeserializeOwned>(
        &self,
        api: Api,
        body: &B,
        charge: Charge<'_>,
    ) -> Result<R, ApiError> {
        let answer = self.run(api, UploadBy::App, &parcel(api, body)?, charge).await?;
        read(api, &answer)
    }

    /// Calls an interface by `GET` with the app's token.
    ///
    /// # Errors
    /// See [`Code`].
    pub(super) async fn get<R: DeserializeOwned>(
        &self,
        api: Api,
        query: &[(&'static str, &str)],
    ) -> Result<R, ApiError> {
        let answer = self.run(api, UploadBy::App, &Parcel::query(query), Charge::default()).await?;
        read(api, &answer)
    }

    /// Calls an interface by `POST` with a robot's key.
    ///
    /// # Errors
    /// See [`Code`]; [`Code::NoSecret`] for a robot without a key.
    pub(super) async fn robot<B: Serialize + Sync, R: DeserializeOwned>(
        &self,
        robot: &str,
        api: Api,
        body: &B,
    ) -> Result<R, ApiError> {
        let charge = Charge { robot: Some(robot), ..Charge::default() };
        let answer = self.run(api, UploadBy::Robot(robot), &parcel(api, body)?, charge).await?;
        read(api, &answer)
    }

    /// Uploads one file, `kind` in the platform's words (`image`, `voice`, `video`, `file`); returns its `media_id`, which
    /// lives for three days.
    ///
    /// # Errors
    /// See [`Code`].
    pub(super) async fn upload(
        &self,
        by: UploadBy<'_>,
        kind: &str,
        name: &str,
        bytes: &[u8],
    ) -> Result<String, ApiError> {
        let (api, charge) = match by {
            UploadBy::App => (Api::MediaUpload, Charge::default()),
            UploadBy::Robot(robot) => (Api::RobotUpload, Charge { robot: Some(robot), ..Charge::default() }),
        };
        let parcel = multipart(kind, name, bytes);
        let answer: Uploaded = read(api, &self.run(api, by, &parcel, charge).await?)?;
        Ok(answer.media_id)
    }

    async fn run(
        &self,
        api: Api,
        by: UploadBy<'_>,
        parcel: &Parcel,
        charge: Charge<'_>,
    ) -> Result<Bytes, ApiError> {
        let ran = self.try_all(api, by, parcel, charge).await;
        let outcome = ran.as_ref().map_or_else(ApiError::counted_as, |_| WecomCall::Ok);
        metrics::wecom::called(api.traits().family, outcome);
        self.shared.learn(api, by, ran.as_ref().err());
        ran
    }

    /// Makes the call, with all the tries it has.
    async fn try_all(
        &self,
        api: Api,
        by: UploadBy<'_>,
        parcel: &Parcel,
        charge: Charge<'_>,
    ) -> Result<Bytes, ApiError> {
        let shared = &self.shared;
        let mut deadline = None;
        let (mut refused_token, mut is_renewed, mut busy) = (None, false, 0);
        loop {
            let permit = shared.quota.take(api, charge, self.patience).await?;
            // The time runs from when there is room, so that a patient wait does not eat the call's.
            let end = *deadline.get_or_insert_with(|| shared.deadline());
            let credential = match shared.credential(api, by, shared.left(end), refused_token.take()).await {
                Ok(credential) => credential,
                Err(error) => {
                    permit.cancel();
                    return Err(error);
                }
            };
            let error = match shared.exchange(api, &credential, parcel, shared.left(end)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match (error.code, credential) {
                (Code::Connect | Code::Ssrf, _) => {
                    permit.cancel();
                    return Err(error);
                }
                (Code::Errcode(BAD_TOKEN | TOKEN_EXPIRED), Credential::Token(token)) if !is_renewed => {
                    is_renewed = true;
                    refused_token = Some(token);
                }
                (Code::Errcode(BUSY | TOO_MANY_AT_ONCE), _) if busy < BUSY_TRIES => {
                    drop(permit);
                    busy += 1;
                    let delay = jittered(BUSY_DELAY * (1 << (busy - 1)));
                    if delay >= shared.left(end) {
                        return Err(error);
                    }
                    tokio::time::sleep(delay).await;
                }
                (Code::Errcode(TOO_OFTEN), _) => {
                    let wait = shared.quota.penalise(api, charge).await;
                    return Err(error.with_wait(wait));
                }
                (_, _) => return Err(error),
            }
        }
    }
}

impl Shared {
    fn deadline(&self) -> Micros {
        let time_max = i64::try_from(self.time_max.as_micros()).unwrap_or(i64::MAX);
        self.clock.steady_us().saturating_add(time_max)
    }

    fn left(&self, deadline: Micros) -> Duration {
        Duration::from_micros(u64::try_from(deadline - self.clock.steady_us()).unwrap_or(0))
    }

    async fn credential<'c>(
        &'c self,
        api: Api,
        by: UploadBy<'_>,
        time: Duration,
        refused: Option<Arc<Token>>,
    ) -> Result<Credential<'c>, ApiError> {
        match (by, refused) {
            (UploadBy::App, None) => self.tokens.get(&self.wire, time).await.map(Credential::Token),
            (UploadBy::App, Some(refused)) => {
                self.tokens.renew(&self.wire, time, &refused).await.map(Credential::Token)
            }
            (UploadBy::Robot(robot), _) => {
                let key = self.robots.get(robot).ok_or_else(|| {
                    let detail = format!("there is no secret `robot:{robot}`");
                    ApiError::new(api, Code::NoSecret).with_detail(detail)
                })?;
                Ok(Credential::Key(key.expose()))
            }
        }
    }

    async fn exchange(
        &self,
        api: Api,
        credential: &Credential<'_>,
        parcel: &Parcel,
        time: Duration,
    ) -> Result<Bytes, ApiError> {
        let secret = match credential {
            Credential::Token(token) => ("access_token", token.expose()),
            Credential::Key(key) => ("key", *key),
        };
        self.wire.exchange(api, secret, parcel, time).await
    }

    /// Remembers what keeps the account from working, until the same interface works again.
    fn learn(&self, api: Api, by: UploadBy<'_>, error: Option<&ApiError>) {
        let mut troubles = self.troubles.lock();
        match error {
            None => {
                _ = troubles.remove(api.path());
                if matches!(by, UploadBy::App) {
                    // Whoever has an answer had a token.
                    _ = troubles.remove(Api::GetToken.path());
                }
            }
            Some(error) if error.is_trouble() => {
                // What concerns the whole account is over as soon as any call of the app gets through.
                let path = match error.decision() {
                    (_, RefusalScope::Account) => Api::GetToken.path(),
                    (_, RefusalScope::Group | RefusalScope::Delivery) => error.api.path(),
                };
                let since_ms = troubles.get(path).map_or(self.clock.now_ms(), |trouble| trouble.since_ms);
                let (zh, en) = error.words();
                troubles.insert(path, Trouble { since_ms, code: error.code_text(), zh, en });
            }
            Some(_) => {}
        }
    }
}

fn parcel<B: Serialize>(api: Api, body: &B) -> Result<Parcel, ApiError> {
    let body = serde_json::to_vec(body).map_err(|error| {
        ApiError::new(api, Code::Errcode(super::errcode::BAD_PARAMETER)).with_detail(error.to_string())
    })?;
    Ok(Parcel::json(Bytes::from(body)))
}

fn read<R: DeserializeOwned>(api: Api, answer: &[u8]) -> Result<R, ApiError> {
    serde_json::from_slice(answer).map_err(|error| {
        // Its own words may quote the answer; where it broke is enough.
        let detail = format!("the answer has another shape at its byte {}", error.column());
        ApiError::new(api, Code::Unreadable).with_detail(detail)
    })
}

/// Up to half as long again: calls that were refused together do not come back together.
fn jittered(delay: Duration) -> Duration {
    let mut byte = [0_u8];
    _ = getrandom::fill(&mut byte); // without chance they come back together: no harm
    delay + delay.mul_f64(f64::from(byte[0]) / 510.0)
}

/// A form with one file, as the platform wants it: with the name and the length in the part's head.
fn multipart(kind: &str, name: &str, bytes: &[u8]) -> Parcel {
    let mut random = [0_u8; 16];
    _ = getrandom::fill(&mut random); // a boundary of zeros is one as well
    let boundary = format!("menshen{:032x}", u128::from_ne_bytes(random));
    // As browsers do: what would end the name is written otherwise.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"{name}\"; filelength={}\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        bytes.len()
    );
    let end = format!("\r\n--{boundary}--\r\n");
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    Parcel {
        query: vec![("type", kind.to_owned())],
        body: Bytes::from([head.as_bytes(), bytes, end.as_bytes()].concat()),
        content_type: content_type.expect("letters and digits"),
    }
}

#[cfg(test)]
mod tests;
