//! The account's access token: asked for once however many want it, renewed before it expires, never asked for again and
//! again with a secret that is wrong.
//!
//! The platform gives the same token to whoever asks within its life, and may void it before. Wrong secrets in a row ban
//! our address for an hour, all accounts behind it included: after a refusal it is not asked again until a pause is over,
//! which doubles each time. A changed account is a new connector, and asks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde::Deserialize;
use tokio::time::timeout;

use super::api::Api;
use super::errcode::{BAD_CORP, BAD_SECRET};
use super::error::{ApiError, Code};
use super::wire::{Parcel, Wire};
use crate::clock::Clock;
use crate::connectors::Secret;
use crate::outbox::delivery::Decision;
use crate::outbox::limiter::{Micros, micros};
use crate::telemetry::metrics::{self, Success};

/// A token is renewed this long before its end, and at a tenth of its life at the latest.
const EARLY_MAX: Duration = Duration::from_mins(5);
/// Longest life that is believed.
const LIFE_MAX: Duration = Duration::from_hours(24);
/// First and longest pause after a refusal that only a person can end.
const PAUSE: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_mins(10);
/// The same after a secret or corp that is wrong, which the platform punishes.
const PAUSE_BAD_SECRET: Duration = Duration::from_mins(10);
const PAUSE_BAD_SECRET_MAX: Duration = Duration::from_hours(6);

/// A token and how long it is good.
pub(super) struct Token {
    value: String,
    renew_from: Micros,
    good_until: Micros,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

impl Token {
    /// Returns the value: for a query, never for showing.
    pub(super) fn expose(&self) -> &str {
        &self.value
    }
}

/// The last refusal, and until when nobody asks.
#[derive(Clone, Debug)]
struct Refused {
    error: ApiError,
    pause: Duration,
    until: Micros,
}

/// One account's tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    corp_id: String,
    secret: Option<Secret>,
    clock: Clock,
    current: RwLock<Option<Arc<Token>>>,
    /// Held by the one who asks; the others wait for what it brings.
    asking: tokio::sync::Mutex<Option<Refused>>,
    /// How often it was asked for, with whatever outcome.
    rounds: AtomicU64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(corp_id: String, secret: Option<Secret>, clock: Clock) -> Self {
        Self {
            corp_id,
            secret,
            clock,
            current: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            rounds: AtomicU64::default(),
        }
    }

    /// Says whether there is a secret to ask with.
    pub(super) fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Returns a token that is good, asking for one if need be. Cancel safe: another one asks.
    ///
    /// # Errors
    /// Why there is none; while a pause lasts, the refusal that began it.
    pub(super) async fn get(&self, wire: &Wire, time: Duration) -> Result<Arc<Token>, ApiError> {
        let now = self.clock.steady_us();
        let current = self.current.read().clone();
        match current {
            Some(token) if now < token.renew_from => Ok(token),
            Some(token) if now < token.good_until => match self.asking.try_lock() {
                // One renews it early; it is still good for the others, and for this one if that fails.
                Ok(mut refused) => Ok(self.ask(wire, time, &mut refused).await.unwrap_or(token)),
                Err(_) => Ok(token),
            },
            Some(_) | None => self.asked(wire, time, |_| true).await,
        }
    }

    /// Returns a token other than `used`, which the platform did not take.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn renew(
        &self,
        wire: &Wire,
        time: Duration,
        used: &Arc<Token>,
    ) -> Result<Arc<Token>, ApiError> {
        self.asked(wire, time, |token| !Arc::ptr_eq(token, used)).await
    }

    /// Waits for whoever is asking, and asks if that brought nothing that will do.
    async fn asked(
        &self,
        wire: &Wire,
        time: Duration,
        will_do: impl Fn(&Arc<Token>) -> bool,
    ) -> Result<Arc<Token>, ApiError> {
        let round = self.rounds.load(Ordering::Acquire);
        let began = self.clock.steady_us();
        let Ok(mut refused) = timeout(time, self.asking.lock()).await else {
            let detail = "no time was left to wait for an access token";
            return Err(ApiError::new(Api::GetToken, Code::Connect).with_detail(detail));
        };
        let now = self.clock.steady_us();
        let current = self.current.read().clone();
        if let Some(token) = current.filter(|token| now < token.good_until && will_do(token)) {
            return Ok(token);
        }
        if let Some(last) = &*refused
            && (now < last.until || self.rounds.load(Ordering::Acquire) > round)
        {
            // Asked for while this one waited, or not to be asked for yet: the answer is the same.
            return Err(last.told(now));
        }
        let left = time.saturating_sub(Duration::from_micros(u64::try_from(now - began).unwrap_or(0)));
        self.ask(wire, left, &mut refused).await
    }

    async fn ask(
        &self,
        wire: &Wire,
        time: Duration,
        refused: &mut Option<Refused>,
    ) -> Result<Arc<Token>, ApiError> {
        let now = self.clock.steady_us();
        if let Some(last) = refused.as_ref().filter(|last| now < last.until) {
            return Err(last.told(now));
        }
        let answer = self.exchange(wire, time).await;
        self.rounds.fetch_add(1, Ordering::Release);
        match answer {
            Ok(answer) => {
                metrics::wecom::token_asked_for(Success::Ok);
                *refused = None;
                let token = Arc::new(self.token(answer));
                *self.current.write() = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                metrics::wecom::token_asked_for(Success::Failed);
                let now = self.clock.steady_us();
                let last = Refused::new(error, refused.take(), now);
                let told = last.told(now);
                *refused = Some(last);
                Err(told)
            }
        }
    }

    async fn exchange(&self, wire: &Wire, time: Duration) -> Result<Answer, ApiError> {
        let error = |code| ApiError::new(Api::GetToken, code);
        let secret = self.secret.as_ref().ok_or_else(|| error(Code::NoSecret))?;
        let parcel = Parcel::query(&[("corpid", &self.corp_id)]);
        let body = wire.exchange(Api::GetToken, ("corpsecret", secret.expose()), &parcel, time).await?;
        serde_json::from_slice(&body).map_err(|_| error(Code::Unreadable))
    }

    fn token(&self, answer: Answer) -> Token {
        let now = self.clock.steady_us();
        let life = Duration::from_secs(answer.expires_in).min(LIFE_MAX);
        let early = EARLY_MAX.min(life / 10);
        Token {
            value: answer.access_token,
            renew_from: now.saturating_add(micros(life.saturating_sub(early))),
            good_until: now.saturating_add(micros(life)),
        }
    }
}

impl Refused {
    /// What follows from a refusal, and from the one before it.
    fn new(error: ApiError, before: Option<Self>, now: Micros) -> Self {
        let (first, longest) = match (error.code, error.decision().0) {
            (Code::Errcode(BAD_SECRET | BAD_CORP), _) => (PAUSE_BAD_SECRET, PAUSE_BAD_SECRET_MAX),
            (Code::Errcode(_), Decision::Never | Decision::PauseLane) => (PAUSE, PAUSE_MAX),
            // Busy, too often, not reached: the platform's own wait, or none, and whoever needs a token backs off.
            (_, Decision::After(wait)) => (wait, wait),
            (_, _) => (Duration::ZERO, Duration::ZERO),
        };
        let doubled = before.map_or(Duration::ZERO, |before| before.pause * 2);
        let pause = doubled.clamp(first, longest);
        Self { error, pause, until: now.saturating_add(micros(pause)) }
    }

    /// The refusal, with what is left of its pause.
    fn told(&self, now: Micros) -> ApiError {
        let error = self.error.clone();
        match u64::try_from(self.until - now) {
            Ok(left) if left > 0 => error.with_wait(Duration::from_micros(left)),
            Ok(_) | Err(_) => error,
        }
    }
}
