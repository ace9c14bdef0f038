//! What the simulated platform does wrong on purpose, and how that is written.
//!
//! A script is a list of faults, looked at in order for every call. Delays add up; the first other one that applies decides.
//! In front of a fault stands which calls it is for: an API's path behind `/cgi-bin/`, its last part, or `*`.
//!
//! | written | does |
//! |---|---|
//! | `groupchat/get:errcode=-1@10%` | answers that `errcode`, without effect; the call counts against limits |
//! | `*:503@first:3` | answers that HTTP status, without effect |
//! | `gettoken:delay=50ms..2s@0.5` | answers late |
//! | `add_msg_template:hang@first:1` | the call takes effect, the answer never comes |
//! | `add_msg_template:reset@first:1` | the call takes effect, the connection is reset instead of an answer |
//! | `*:cut@1%` | the connection is reset before the call takes effect |
//! | `*:outage=10s..40s` | as `cut`, between two moments counted from when the script was set |
//!
//! Whether one applies depends only on the seed, the API and how many calls of it came before. "First so many" are counted
//! by fault. Moments are the simulated clock's.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::clock::millis;
use crate::sink::fault::{Share, draws, parse_share};
use crate::units::parse_duration;

/// One entry of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    api: String,
    kind: Kind,
    share: Share,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Errcode(i64),
    Status(u16),
    Delay { from: Duration, to: Duration },
    Hang,
    Reset,
    Cut,
    Outage { from: Duration, to: Duration },
}

/// Says what is wrong with a fault as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a fault: {reason}")]
pub struct FaultError {
    text: String,
    reason: &'static str,
}

/// How one call is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) delay: Duration,
    pub(crate) turn: Turn,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is answered as it deserves.
    Answer,
    /// It gets this code and has no effect.
    Errcode(i64),
    /// It gets this HTTP status and has no effect.
    Status(u16),
    /// It takes effect and is never answered.
    Hang,
    /// It takes effect and its connection is reset.
    Reset,
    /// Its connection is reset before it takes effect.
    Cut,
}

impl Fault {
    fn is_for(&self, api: &str) -> bool {
        self.api == "*"
            || api == self.api
            || api.strip_suffix(&self.api).is_some_and(|before| before.ends_with('/'))
    }
}

/// A script with its counts.
#[derive(Debug)]
pub(crate) struct Script {
    faults: Vec<(Fault, u64)>,
    calls: HashMap<String, u32>,
    seed: u64,
    since_ms: u64,
}

impl Script {
    pub(crate) fn new(faults: Vec<Fault>, seed: u64, now_ms: u64) -> Self {
        let faults = faults.into_iter().map(|fault| (fault, 0)).collect();
        Self { faults, calls: HashMap::new(), seed, since_ms: now_ms }
    }

    /// Starts another script; counts and moments start again.
    pub(crate) fn replace(&mut self, faults: Vec<Fault>, now_ms: u64) {
        *self = Self::new(faults, self.seed, now_ms);
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.faults.iter().map(|(fault, _)| fault.to_string()).collect()
    }

    /// Decides the course of a call.
    pub(crate) fn course(&mut self, api: &str, now_ms: u64) -> Course {
        let number = self.calls.entry(api.to_owned()).or_insert(0);
        *number += 1;
        let mut course = Course { delay: Duration::ZERO, turn: Turn::Answer };
        for (index, (fault, applied)) in self.faults.iter_mut().enumerate() {
            if !fault.is_for(api) {
                continue;
            }
            let [draw, extent] = draws(self.seed, api, *number, index);
            let applies = match fault.share {
                Share::Of(share) => draw < share,
                Share::First(count) => *applied < count,
            };
            let since = now_ms.saturating_sub(self.since_ms);
            let is_due = match fault.kind {
                Kind::Outage { from, to } => (millis(from)..millis(to)).contains(&since),
                Kind::Errcode(_)
                | Kind::Status(_)
                | Kind::Delay { .. }
                | Kind::Hang
                | Kind::Reset
                | Kind::Cut => true,
            };
            if !applies || !is_due {
                continue;
            }
            *applied += 1;
            course.turn = match fault.kind {
                Kind::Delay { from, to } => {
                    course.delay += from + to.saturating_sub(from).mul_f64(extent);
                    continue;
                }
                Kind::Errcode(code) => Turn::Errcode(code),
                Kind::Status(code) => Turn::Status(code),
                Kind::Hang => Turn::Hang,
                Kind::Reset => Turn::Reset,
                Kind::Cut | Kind::Outage { .. } => Turn::Cut,
            };
            return course;
        }
        course
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let bad = |reason| FaultError { text: text.to_owned(), reason };
        let (api, rest) = match text.split_once(':') {
            // The share may hold a colon too, as in `503@first:3`.
            Some((api, rest)) if !api.contains('@') => (api, rest),
            Some(_) | None => ("*", text),
        };
        let (what, share) = rest.split_once('@').unwrap_or((rest, "1"));
        let share = parse_share(share).ok_or_else(|| bad("a share is 0.05, 5% or first:20"))?;
        let kind = match what.split_once('=') {
            None => plain(what).ok_or_else(|| bad("not a status code, hang, reset or cut"))?,
            Some(("errcode", code)) => {
                Kind::Errcode(code.parse().map_err(|_| bad("errcode takes a number"))?)
            }
            Some(("delay", range)) => {
                let (from, to) =
                    read_range(range, true).ok_or_else(|| bad("delay takes 50ms or 50ms..2s"))?;
                Kind::Delay { from, to }
            }
            Some(("outage", range)) => {
                let (from, to) = read_range(range, false).ok_or_else(|| bad("outage takes 10s..40s"))?;
                Kind::Outage { from, to }
            }
            Some(_) => return Err(bad("only errcode, delay and outage take a value")),
        };
        if api.is_empty() {
            return Err(bad("name an API, or * for all"));
        }
        Ok(Self { api: api.to_owned(), kind, share, text: text.to_owned() })
    }
}

fn plain(what: &str) -> Option<Kind> {
    match what {
        "hang" => Some(Kind::Hang),
        "reset" => Some(Kind::Reset),
        "cut" => Some(Kind::Cut),
        code => code.parse().ok().filter(|code| (300..600).contains(code)).map(Kind::Status),
    }
}

fn read_range(text: &str, one_will_do: bool) -> Option<(Duration, Duration)> {
    let (from, to) = match text.split_once("..") {
        Some(ends) => ends,
        None if one_will_do => (text, text),
        None => return None,
    };
    let (from, to) = (parse_duration(from).ok()?, parse_duration(to).ok()?);
    (from <= to).then_some((from, to))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(texts: &[&str]) -> Script {
        let faults = texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{error}")));
        Script::new(faults.collect(), 7, 1_000)
    }

    #[test]
    fn bad_faults_are_refused() {
        for text in ["", "teapot", "99", "*:200", "a:errcode=x", "a:delay", "a:outage=5s", ":hang", "hang@2"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        assert!("503@first:3".parse::<Fault>().expect("for all").is_for("gettoken"));
    }

    #[test]
    fn faults_are_for_whole_path_segments() {
        let mut script = script(&["groupchat/get:errcode=-1"]);
        assert_eq!(script.course("externalcontact/groupchat/get", 0).turn, Turn::Errcode(-1));
        assert_eq!(script.course("externalcontact/groupchat/get_join_way", 0).turn, Turn::Answer);
        assert_eq!(script.course("othergroupchat/get", 0).turn, Turn::Answer);
    }

    #[test]
    fn the_first_so_many_then_the_next_fault() {
        let mut script =
            script(&["delay=10ms", "a:hang@first:1", "a:reset@first:1", "a:cut@first:1", "a:503@first:1"]);
        let turns: Vec<Turn> = (0..5).map(|_| script.course("a", 0).turn).collect();
        assert_eq!(turns, [Turn::Hang, Turn::Reset, Turn::Cut, Turn::Status(503), Turn::Answer]);
        assert_eq!(script.course("b", 0), Course { delay: Duration::from_millis(10), turn: Turn::Answer });
    }

    #[test]
    fn an_outage_lies_between_two_moments() {
        let mut script = script(&["outage=10s..40s"]);
        for (at_ms, turn) in
            [(10_999, Turn::Answer), (11_000, Turn::Cut), (40_999, Turn::Cut), (41_000, Turn::Answer)]
        {
            assert_eq!(script.course("a", at_ms).turn, turn, "{at_ms}");
        }
    }

    #[test]
    fn shares_are_kept() {
        let mut script = script(&["errcode=-1@25%"]);
        let hit = (0..4_000).filter(|_| script.course("a", 0).turn != Turn::Answer).count();
        assert!((900..1_100).contains(&hit), "{hit}");
    }
}
