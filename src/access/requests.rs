//! How many requests a token may make: governor's GCRA, keyed by token, and the headers that say so.
//!
//! Not for: platform limits. A GCRA keeps a pace, not a window; for our own API that is what we want.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Deserializer, Serialize};

use crate::event::TokenId;

/// `pace:6000/m,max_burst=600`: a rate, and how far one may run ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    /// Requests per period.
    pub quantity: NonZeroU32,
    /// The period in whole seconds.
    pub period_s: u32,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// What the form of a request limit is, for messages.
const FORM: &str = "write it as `pace:quantity/period[,max_burst=n]`, like `pace:6000/m,max_burst=600`; \
                    periods: s, m, h, d";

impl RequestLimit {
    /// Reads the limit grammar.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| format!("`{text}`: {part}; {FORM}");
        // A bare limit is a window everywhere else; here only a pace makes sense, so it is asked for by name.
        let rate = text.strip_prefix("pace:").ok_or_else(|| wrong("only `pace:` is possible here"))?;
        let (rate, options) = rate.split_once(',').map_or((rate, None), |(rate, rest)| (rate, Some(rest)));
        let (quantity, period) = rate.split_once('/').ok_or_else(|| wrong("no `/`"))?;
        let quantity = number(quantity).ok_or_else(|| wrong("the quantity is no positive number"))?;
        let period_s = period_seconds(period).ok_or_else(|| wrong("the period is unknown"))?;
        let burst = match options {
            None => quantity,
            Some(option) => option
                .strip_prefix("max_burst=")
                .and_then(number)
                .ok_or_else(|| wrong("after the comma stands `max_burst=n`"))?,
        };
        let limit = Self { quantity, period_s, burst };
        limit.interval().map(|_| limit).ok_or_else(|| wrong("more than one request a nanosecond"))
    }

    fn interval(&self) -> Option<Duration> {
        let interval = Duration::from_secs(self.period_s.into()) / self.quantity.get();
        (!interval.is_zero()).then_some(interval)
    }
}

fn number(text: &str) -> Option<NonZeroU32> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    digits.parse().ok()
}

fn period_seconds(text: &str) -> Option<u32> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        _ => return None,
    };
    let count: u32 = if count.is_empty() { 1 } else { count.parse().ok()? };
    count.checked_mul(unit).filter(|seconds| *seconds > 0)
}

impl fmt::Display for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pace:{}/{}s,max_burst={}", self.quantity, self.period_s, self.burst)
    }
}

impl Serialize for RequestLimit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a token has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// May this request go on?
    pub admitted: bool,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// Whole seconds until there is more (when refused: until the next request is admitted).
    pub more_in_s: u64,
}

/// The name of the policy in the `RateLimit` headers.
pub const POLICY: &str = "requests";

/// The limiter of all tokens.
pub(super) struct Requests {
    limit: RequestLimit,
    limiter: RateLimiter<TokenId, DefaultKeyedStateStore<TokenId>, DefaultClock, StateInformationMiddleware>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requests({})", self.limit)
    }
}

impl Requests {
    pub(super) fn new(limit: RequestLimit) -> Self {
        let interval = limit.interval().unwrap_or(Duration::from_nanos(1));
        let quota = Quota::with_period(interval)
            .expect("`parse` refuses an interval of zero")
            .allow_burst(limit.burst);
        Self { limit, limiter: RateLimiter::dashmap(quota).with_middleware() }
    }

    pub(super) fn check(&self, token: &TokenId) -> Admission {
        match self.limiter.check_key(token) {
            Ok(state) => Admission {
                admitted: true,
                remaining: state.remaining_burst_capacity(),
                more_in_s: ceil_seconds(self.limit.interval().unwrap_or_default()),
            },
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                Admission { admitted: false, remaining: 0, more_in_s: ceil_seconds(wait) }
            }
        }
    }

    /// Forgets tokens whose burst is whole again, so that the map does not keep revoked ones.
    pub(super) fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    /// Returns the value of the `RateLimit-Policy` header.
    pub(super) fn policy(&self) -> String {
        format!("\"{POLICY}\";q={};w={}", self.limit.quantity, self.limit.period_s)
    }
}

fn ceil_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_read_and_a_mistake_is_named() {
        let read = |text| RequestLimit::parse(text).map(|l| (l.quantity.get(), l.period_s, l.burst.get()));
        assert_eq!(read("pace:6000/m,max_burst=600"), Ok((6000, 60, 600)));
        assert_eq!(read("pace:6_000/minute"), Ok((6000, 60, 6000)));
        assert_eq!(read("pace:20/30min,max_burst=5"), Ok((20, 1800, 5)));
        for text in [
            "pace:0/s",
            "pace:10",
            "pace:10/x",
            "pace:/s",
            "pace:10/s,burst=2",
            "pace:10/0s",
            "window:5/s",
            "5/s",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let limit = RequestLimit::parse("pace:10/s,max_burst=2").unwrap();
        assert_eq!(RequestLimit::parse(&limit.to_string()), Ok(limit));
    }

    #[test]
    fn a_burst_is_admitted_then_refused_for_this_token_only() {
        let requests = Requests::new(RequestLimit::parse("pace:1/h,max_burst=3").unwrap());
        let (busy, idle) = (TokenId::parse("busy").unwrap(), TokenId::parse("idle").unwrap());
        let seen: Vec<_> = (0..4).map(|_| requests.check(&busy)).collect();
        assert_eq!(seen.iter().map(|a| a.admitted).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(seen[0].remaining, 2);
        assert!(seen[3].more_in_s > 3500 && seen[3].more_in_s <= 3600, "{:?}", seen[3]);
        assert!(requests.check(&idle).admitted);
        assert_eq!(requests.policy(), "\"requests\";q=1;w=3600");
    }
}
