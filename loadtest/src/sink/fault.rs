//! What a sink does wrong on purpose, and how that is written.
//!
//! A script is a list of faults, looked at in order for every delivery. `delay` and `slow` add up and go on to the next fault;
//! any other one that applies decides. Whether a fault applies depends only on the seed, the delivery's id and the attempt,
//! never on the order of arrival, so a run can be repeated.
//!
//! | written | does |
//! |---|---|
//! | `503` | answers 503, always |
//! | `503@0.05`, `503@5%` | … to a share of the deliveries |
//! | `429@first:20,retry_after=1` | … to the first twenty, and asks to come back in a second |
//! | `delay=50ms`, `delay=50ms..200ms@0.5` | answers late |
//! | `slow=2s` | answers at once but takes that long over the body |
//! | `reset@0.01` | takes the delivery, starts to answer, resets the connection |
//! | `hang@0.01` | takes the delivery and never answers |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::units::parse_duration;

/// One entry of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    kind: Kind,
    share: Share,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Status { code: u16, retry_after_s: Option<u64> },
    Delay { from: Duration, to: Duration },
    Slow(Duration),
    Reset,
    Hang,
}

/// How often a fault applies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Share {
    /// To a share of what comes, from 0 to 1.
    Of(f64),
    /// To the first so many.
    First(u64),
}

/// Says what is wrong with a fault as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a fault: {reason}")]
pub struct FaultError {
    text: String,
    reason: String,
}

/// How a delivery is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) outcome: Outcome,
    pub(super) retry_after_s: Option<u64>,
    pub(super) delay: Duration,
    pub(super) slow: Duration,
}

/// The end of a delivery as the sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Status(u16),
    Reset,
    Hang,
}

impl Outcome {
    /// Whether the receiver took the delivery, whatever the sender learnt of it.
    pub(super) fn is_taken(self) -> bool {
        match self {
            Self::Status(code) => (200..300).contains(&code),
            Self::Reset | Self::Hang => true,
        }
    }

    /// Whether the sender was told so.
    pub(super) fn is_confirmed(self) -> bool {
        matches!(self, Self::Status(code) if (200..300).contains(&code))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "{code}"),
            Self::Reset => f.write_str("reset"),
            Self::Hang => f.write_str("hang"),
        }
    }
}

/// A script with its seed and its counts of "first so many".
#[derive(Debug)]
pub(super) struct Script {
    faults: Vec<(Fault, u64)>,
    seed: u64,
}

impl Script {
    pub(super) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self { faults: faults.into_iter().map(|fault| (fault, 0)).collect(), seed }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.faults.iter().map(|(fault, _)| fault.to_string()).collect()
    }

    /// Decides the answer to one attempt of a delivery.
    pub(super) fn respond(&mut self, id: &str, attempt: u32) -> Response {
        let seed = self.seed;
        let ok = Outcome::Status(200);
        let mut response =
            Response { outcome: ok, retry_after_s: None, delay: Duration::ZERO, slow: Duration::ZERO };
        for (index, (fault, applied)) in self.faults.iter_mut().enumerate() {
            let [draw, extent] = draws(seed, id, attempt, index);
            let applies = match fault.share {
                Share::Of(share) => draw < share,
                Share::First(count) => *applied < count,
            };
            if !applies {
                continue;
            }
            *applied += 1;
            match fault.kind {
                Kind::Delay { from, to } => response.delay += from + to.saturating_sub(from).mul_f64(extent),
                Kind::Slow(length) => response.slow += length,
                Kind::Reset => return Response { outcome: Outcome::Reset, ..response },
                Kind::Hang => return Response { outcome: Outcome::Hang, ..response },
                Kind::Status { code, retry_after_s } => {
                    return Response { outcome: Outcome::Status(code), retry_after_s, ..response };
                }
            }
        }
        response
    }
}

/// Two numbers in `0..1` that depend on nothing but the arguments, the same on every machine and in every release.
pub(crate) fn draws(seed: u64, id: &str, attempt: u32, index: usize) -> [f64; 2] {
    let digest = Sha256::digest(format!("{seed}/{id}/{attempt}/{index}"));
    let number = |at: usize| {
        let bytes = [digest[at], digest[at + 1], digest[at + 2], digest[at + 3]];
        f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    };
    [number(0), number(4)]
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let bad = |reason: &str| FaultError { text: text.to_owned(), reason: reason.to_owned() };
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (what, share) = head.split_once('@').unwrap_or((head, "1"));
        let share = parse_share(share).ok_or_else(|| bad("a share is 0.05, 5% or first:20"))?;
        let mut retry_after_s = None;
        for option in parts {
            let seconds = option.strip_prefix("retry_after=").and_then(|seconds| seconds.parse().ok());
            retry_after_s = Some(seconds.ok_or_else(|| bad("the only option is retry_after=SECONDS"))?);
        }
        let kind = match what.split_once('=') {
            None if what == "reset" => Kind::Reset,
            None if what == "hang" => Kind::Hang,
            None => {
                let code = what.parse().ok().filter(|code| (200..600).contains(code));
                Kind::Status {
                    code: code.ok_or_else(|| bad("not a status code, reset or hang"))?,
                    retry_after_s,
                }
            }
            Some(("delay", range)) => {
                let (from, to) = range.split_once("..").unwrap_or((range, range));
                let read = |text: &str| parse_duration(text).map_err(|error| bad(&error.to_string()));
                let (from, to) = (read(from)?, read(to)?);
                if to < from {
                    return Err(bad("the range runs backwards"));
                }
                Kind::Delay { from, to }
            }
            Some(("slow", length)) => {
                Kind::Slow(parse_duration(length).map_err(|error| bad(&error.to_string()))?)
            }
            Some(_) => return Err(bad("only delay and slow take a duration")),
        };
        if retry_after_s.is_some() && !matches!(kind, Kind::Status { .. }) {
            return Err(bad("retry_after goes with a status code"));
        }
        Ok(Self { kind, share, text: text.to_owned() })
    }
}

/// Reads `0.05`, `5%` or `first:20`.
pub(crate) fn parse_share(text: &str) -> Option<Share> {
    if let Some(count) = text.strip_prefix("first:") {
        return count.parse().ok().map(Share::First);
    }
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(Share::Of(share))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        text.parse::<Fault>().unwrap_or_else(|error| panic!("{error}")).kind
    }

    #[test]
    fn faults_are_read() {
        let millis = Duration::from_millis;
        assert_eq!(kind("503@0.05"), Kind::Status { code: 503, retry_after_s: None });
        assert_eq!(kind("429@0.1,retry_after=1"), Kind::Status { code: 429, retry_after_s: Some(1) });
        assert_eq!(kind("delay=50ms..200ms"), Kind::Delay { from: millis(50), to: millis(200) });
        assert_eq!(kind("delay=50ms@5%"), Kind::Delay { from: millis(50), to: millis(50) });
        assert_eq!(kind("slow=2s"), Kind::Slow(millis(2_000)));
        assert_eq!((kind("reset@0.01"), kind("hang@first:3")), (Kind::Reset, Kind::Hang));
        for text in [
            "",
            "teapot",
            "99",
            "600",
            "503@2",
            "503@-1",
            "503@first:",
            "429,retry_after=soon",
            "429,after=1",
            "delay",
            "delay=fast",
            "delay=2s..1s",
            "hang=1s",
            "reset,retry_after=1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    fn script(texts: &[&str]) -> Script {
        Script::new(texts.iter().map(|text| text.parse().expect(text)).collect(), 7)
    }

    #[test]
    fn shares_are_kept_and_do_not_depend_on_the_order_of_arrival() {
        let ids: Vec<String> = (0..4_000).map(|n| format!("msg_{n}")).collect();
        let answers = |ids: &mut dyn Iterator<Item = &String>| {
            let mut script = script(&["503@0.25", "reset@0.5"]);
            ids.map(|id| (id.clone(), script.respond(id, 1).outcome.to_string()))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        let forwards = answers(&mut ids.iter());
        assert_eq!(forwards, answers(&mut ids.iter().rev()));
        let share = |name: &str| forwards.values().filter(|outcome| *outcome == name).count();
        assert!((900..1_100).contains(&share("503")), "{}", share("503"));
        assert!((1_350..1_650).contains(&share("reset")), "{}", share("reset"));
    }

    #[test]
    fn delays_add_up_and_the_first_outcome_decides() {
        let mut script =
            script(&["delay=10ms", "delay=10ms..20ms", "429@first:1,retry_after=3", "hang@first:1"]);
        let first = script.respond("a", 1);
        assert_eq!((first.outcome, first.retry_after_s), (Outcome::Status(429), Some(3)));
        assert!((20..=30).contains(&first.delay.as_millis()), "{first:?}");
        assert_eq!(script.respond("a", 2).outcome, Outcome::Hang);
        assert_eq!(script.respond("a", 3).outcome, Outcome::Status(200));
    }
}
