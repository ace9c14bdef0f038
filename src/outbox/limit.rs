//! How a limit is written: `window:20/m`, `pace:600/m,max_burst=10`, `concurrency:8`, and bare `20/m`.
//!
//! ```text
//! limit    = ["local:"] ["calls:"] [kind ":"] quantity "/" [n] period ["," "max_burst=" n] ["," "headroom=" share]
//!          | ["local:"] "concurrency:" quantity
//! kind     = "window" | "pace"
//! share    = n | percent "%"
//! period   = s | sec | second | m | min | minute | h | hour | d | day   (plural too)
//! quantity = digits, with "_" and "," between them allowed
//! ```
//!
//! A bare limit is a window, because only a window keeps a platform's promise; with `max_burst` it is a pace. `local:`
//! says that the limit holds for each node by itself; with one node it changes nothing.
//!
//! A limit counts what calls weigh: a message to 200 people weighs 200 where the platform counts people. With `calls:` each
//! call counts as one. `concurrency` always counts calls. `headroom` is kept back for people who use the same account on
//! the platform: `window:20/m,headroom=10%` lets 18 through.
//!
//! Not for: keeping a limit (that is `outbox::pacer`). Invariant: what is printed is read back as the same limit.
//! Layer: pure core.

mod account;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

pub use account::{
    AccountLimits, CLASSES_MAX, ClassLimits, ClassNo, Lane, SHARED_MAX, SharedKind, SharedLimits, SharedName,
};

/// Longest period a limit may have. Rings are rebuilt from attempts this old at most.
pub const PERIOD_MAX: Duration = Duration::from_secs(31 * DAY);

/// Largest quantity, burst or concurrency of a limit.
pub const QUANTITY_MAX: u32 = 10_000_000;

const THOUSAND: u16 = 1000;

/// How long an urgent call may have to wait for a slot.
const URGENT_WAIT: Duration = Duration::from_secs(1);

/// Shortest window with a reserve for urgent calls: in a shorter one slots come free within a second anyhow.
const RESERVE_PERIOD_MIN: Duration = Duration::from_secs(2);

/// Smallest window with a reserve for urgent calls: a slot is at most one in a hundred of it.
const RESERVE_QUANTITY_MIN: u32 = 100;

/// Largest share of a window that is reserved for urgent calls.
pub const RESERVE_PERCENT_MAX: u8 = 50;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units of a period in seconds, largest first, with every spelling; the first is the one printed.
const UNITS: [(u64, &[&str]); 4] = [
    (DAY, &["d", "day", "days"]),
    (HOUR, &["h", "hr", "hrs", "hour", "hours"]),
    (MINUTE, &["m", "min", "mins", "minute", "minutes"]),
    (1, &["s", "sec", "secs", "second", "seconds"]),
];

/// One limit of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How it counts.
    pub kind: LimitKind,
    /// It holds for each node by itself.
    pub local: bool,
    /// Each call counts as one, whatever it weighs.
    pub calls: bool,
    /// Kept back for people; `None` where nothing is said of it.
    pub headroom: Option<Headroom>,
}

/// What is kept back of a limit's quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Headroom {
    /// So many.
    Number(u32),
    /// So many in a hundred, rounded up.
    Percent(u8),
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Never more than `quantity` in any `period`: each call occupies its slot until its end plus `period`.
    Window {
        /// How many.
        quantity: NonZeroU32,
        /// Whole seconds.
        period: Duration,
    },
    /// Smooth: `quantity` per `period` on average, `max_burst` at once. Promises nothing about any one window.
    Pace {
        /// How many.
        quantity: NonZeroU32,
        /// Whole seconds.
        period: Duration,
        /// How many at once; `None` for as many as 10 ms of the pace are, at least 1.
        max_burst: Option<NonZeroU32>,
    },
    /// At most so many calls at the same time.
    Concurrency {
        /// How many.
        quantity: NonZeroU32,
    },
}

/// Why a text is no limit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("limit `{text}`, character {position}: {problem}")]
pub struct LimitError {
    /// What was written.
    pub text: String,
    /// Where it stops making sense, counted from 1.
    pub position: usize,
    /// What was expected there.
    pub problem: &'static str,
}

impl Limit {
    /// Returns how long a call weighs after its end; zero for `concurrency`.
    pub fn period(&self) -> Duration {
        match self.kind {
            LimitKind::Window { period, .. } | LimitKind::Pace { period, .. } => period,
            LimitKind::Concurrency { .. } => Duration::ZERO,
        }
    }

    /// Returns what is left of the quantity when the head-room is kept back: at least 1.
    pub fn usable(&self) -> NonZeroU32 {
        let quantity = self.quantity();
        let kept = match self.headroom {
            None => 0,
            Some(Headroom::Number(number)) => number,
            Some(Headroom::Percent(percent)) => percent_of(quantity.get(), percent),
        };
        NonZeroU32::new(quantity.get().saturating_sub(kept)).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns how many the platform allows.
    pub fn quantity(&self) -> NonZeroU32 {
        match self.kind {
            LimitKind::Window { quantity, .. }
            | LimitKind::Pace { quantity, .. }
            | LimitKind::Concurrency { quantity } => quantity,
        }
    }

    /// Keeps this back where nothing was said of head-room. Calls at the same time are left alone: nobody else's calls
    /// last.
    #[must_use]
    pub fn with_headroom(self, headroom: Headroom) -> Self {
        match self.kind {
            LimitKind::Concurrency { .. } => self,
            LimitKind::Window { .. } | LimitKind::Pace { .. } => {
                Self { headroom: self.headroom.or(Some(headroom)), ..self }
            }
        }
    }

    /// Returns what is let through of it when only so many thousandths of the rate are used.
    #[must_use]
    pub fn slowed_to(&self, thousandths: u16) -> Self {
        let part = u64::from(self.usable().get()) * u64::from(thousandths) / u64::from(THOUSAND);
        let part = u32::try_from(part).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let kind = match self.kind {
            LimitKind::Window { period, .. } => LimitKind::Window { quantity: part, period },
            LimitKind::Pace { period, max_burst, .. } => {
                LimitKind::Pace { quantity: part, period, max_burst }
            }
            concurrency @ LimitKind::Concurrency { .. } => concurrency,
        };
        Self { kind, headroom: None, ..*self }
    }

    /// Returns what a call of this weight counts here.
    pub fn count(&self, weight: NonZeroU32) -> NonZeroU32 {
        if self.calls { NonZeroU32::MIN } else { weight }
    }

    /// Returns the largest weight that can ever pass at once. What weighs more than head-room leaves goes alone.
    pub fn cost_max(&self) -> u32 {
        match self.kind {
            LimitKind::Window { quantity, .. } if !self.calls => quantity.get(),
            LimitKind::Pace { .. } if !self.calls => self.burst().map_or(1, NonZeroU32::get),
            LimitKind::Window { .. } | LimitKind::Pace { .. } | LimitKind::Concurrency { .. } => u32::MAX,
        }
    }

    /// Returns what everything but the urgent may use of a window in which an urgent call would wait for more than a
    /// second: all but so many in a hundred, rounded down, of a window a second shorter. What is older than that comes free
    /// within the second, so it may be used up meanwhile: the reserve costs nothing where it is less than a second's share
    /// of the window. `None` for other limits, and for windows so small that a single slot is much of them.
    pub fn beside_urgent(&self, reserve_percent: u8) -> Option<Self> {
        let LimitKind::Window { quantity, period } = self.kind else { return None };
        let usable = self.usable().get();
        if reserve_percent == 0 || period < RESERVE_PERIOD_MIN || usable < RESERVE_QUANTITY_MIN {
            return None;
        }
        let part = u64::from(usable) * u64::from(reserve_percent.min(RESERVE_PERCENT_MAX)) / 100;
        let reserve = u32::try_from(part).unwrap_or(u32::MAX);
        let kept = quantity.get() - usable + reserve;
        let kind = LimitKind::Window { quantity, period: period.saturating_sub(URGENT_WAIT) };
        Some(Self { kind, headroom: Some(Headroom::Number(kept)), ..*self })
    }

    /// Returns how many may go at once under a pace.
    pub fn burst(&self) -> Option<NonZeroU32> {
        match self.kind {
            LimitKind::Pace { quantity, period, max_burst } => Some(max_burst.unwrap_or_else(|| {
                let per_10ms = u64::from(quantity.get()) / (period.as_secs().max(1) * 100);
                u32::try_from(per_10ms).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
            })),
            LimitKind::Window { .. } | LimitKind::Concurrency { .. } => None,
        }
    }
}

// === impl Display ===

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local {
            f.write_str("local:")?;
        }
        if self.calls {
            f.write_str("calls:")?;
        }
        match self.kind {
            LimitKind::Window { quantity, period } => write!(f, "window:{quantity}/{}", Period(period))?,
            LimitKind::Pace { quantity, period, max_burst } => {
                write!(f, "pace:{quantity}/{}", Period(period))?;
                if let Some(burst) = max_burst {
                    write!(f, ",max_burst={burst}")?;
                }
            }
            LimitKind::Concurrency { quantity } => write!(f, "concurrency:{quantity}")?,
        }
        match self.headroom {
            None => Ok(()),
            Some(Headroom::Number(number)) => write!(f, ",headroom={number}"),
            Some(Headroom::Percent(percent)) => write!(f, ",headroom={percent}%"),
        }
    }
}

/// Returns so many in a hundred, rounded up.
pub fn percent_of(quantity: u32, percent: u8) -> u32 {
    let part = (u64::from(quantity) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// Prints a period with the largest unit that divides it: `m`, `30m`, `90s`.
struct Period(Duration);

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, names) in UNITS {
            if seconds.is_multiple_of(unit) {
                let n = seconds / unit;
                return if n == 1 { f.write_str(names[0]) } else { write!(f, "{n}{}", names[0]) };
            }
        }
        Ok(()) // every whole number of seconds is divided by one second
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl FromStr ===

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let mut reader = Reader { rest: text, position: 1 };
        reader.limit().map_err(|problem| LimitError {
            text: text.to_owned(),
            position: reader.position,
            problem,
        })
    }
}

/// Reads from the left; `position` is where the next thing to be read starts.
struct Reader<'t> {
    rest: &'t str,
    position: usize,
}

const NOT_A_NUMBER: &str = "expected a whole number from 1 to 10,000,000";

impl Reader<'_> {
    fn limit(&mut self) -> Result<Limit, &'static str> {
        let local = self.eat("local:");
        if self.eat("concurrency:") {
            let quantity = self.number()?;
            self.end("nothing follows the number of a concurrency limit")?;
            let kind = LimitKind::Concurrency { quantity };
            return Ok(Limit { kind, local, calls: false, headroom: None });
        }
        let calls = self.eat("calls:");
        let window = self.eat("window:");
        let pace = !window && self.eat("pace:");
        let quantity = self.number()?;
        if !self.eat("/") {
            return Err("expected `/` and a period, as in `20/m`");
        }
        let period = self.period()?;
        let max_burst = self.burst(window)?;
        let headroom = self.headroom(quantity)?;
        self.end(if max_burst.is_some() || headroom.is_some() {
            "nothing follows max_burst but `,headroom=`, and nothing that"
        } else {
            "expected the end, `,max_burst=N` or `,headroom=N%`"
        })?;
        let kind = if pace || max_burst.is_some() {
            LimitKind::Pace { quantity, period, max_burst }
        } else {
            LimitKind::Window { quantity, period }
        };
        Ok(Limit { kind, local, calls, headroom })
    }

    fn burst(&mut self, window: bool) -> Result<Option<NonZeroU32>, &'static str> {
        if !self.rest.starts_with(",max_burst=") {
            return Ok(None);
        }
        if window {
            return Err("a window has no burst; write `pace:` if a window's promise is not needed");
        }
        self.eat(",max_burst=");
        self.number().map(Some)
    }

    fn headroom(&mut self, quantity: NonZeroU32) -> Result<Option<Headroom>, &'static str> {
        if !self.eat(",headroom=") {
            return Ok(None);
        }
        let start = self.position;
        let number = if self.rest.starts_with('0') {
            self.skip(1);
            0
        } else {
            self.number()?.get()
        };
        let is_share = self.eat("%");
        if number >= if is_share { 100 } else { quantity.get() } {
            self.position = start;
            return Err("head-room leaves nothing to send with");
        }
        Ok(Some(match u8::try_from(number) {
            Ok(percent) if is_share => Headroom::Percent(percent),
            Ok(_) | Err(_) => Headroom::Number(number),
        }))
    }

    fn period(&mut self) -> Result<Duration, &'static str> {
        let start = self.position;
        let n = if self.rest.starts_with(|c: char| c.is_ascii_digit()) { self.number()?.get() } else { 1 };
        let word_bytes = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, _) = self.rest.split_at(word_bytes);
        let unit = UNITS.iter().find(|(_, names)| names.contains(&word)).map(|(seconds, _)| *seconds);
        let seconds = unit.ok_or("expected a period: s, m, h or d, with a number before it if not 1")?;
        let period = Duration::from_secs(seconds * u64::from(n));
        if period > PERIOD_MAX {
            self.position = start;
            return Err("a period is at most 31 days");
        }
        self.skip(word_bytes);
        Ok(period)
    }

    /// Reads digits; `_` and `,` only between two of them.
    fn number(&mut self) -> Result<NonZeroU32, &'static str> {
        let bytes = self.rest.as_bytes();
        let (mut value, mut length) = (0_u32, 0);
        while let Some(&byte) = bytes.get(length) {
            if byte.is_ascii_digit() {
                value = value.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
                length += 1;
            } else if length > 0
                && matches!(byte, b'_' | b',')
                && bytes.get(length + 1).is_some_and(u8::is_ascii_digit)
            {
                length += 1;
            } else {
                break;
            }
        }
        if value > QUANTITY_MAX {
            return Err(NOT_A_NUMBER);
        }
        let number = NonZeroU32::new(value).ok_or(NOT_A_NUMBER)?;
        self.skip(length);
        Ok(number)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest.starts_with(word);
        if found {
            self.skip(word.len());
        }
        found
    }

    fn end(&self, problem: &'static str) -> Result<(), &'static str> {
        if self.rest.is_empty() { Ok(()) } else { Err(problem) }
    }

    /// Only ever skips ASCII, so bytes and characters are the same here.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.split_at(bytes).1;
        self.position += bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let read = text.parse::<Limit>().map_or_else(|e| format!("!{}", e.position), |l| l.to_string());
        assert_eq!(read, expect, "{text}");
    }

    #[test]
    fn the_table_of_the_conventions() {
        check("20/m", "window:20/m");
        check("20/min", "window:20/m");
        check("20/minute", "window:20/m");
        check("10,000/d", "window:10000/d");
        check("10_000/day", "window:10000/d");
        check("20/30min", "window:20/30m");
        check("60/minute,max_burst=1", "pace:60/m,max_burst=1");
        check("local:10/s", "local:window:10/s");
        check("0/s", "!1");
        check("10", "!3");
        check("10/x", "!4");
        check("/s", "!1");
        check("10/s,burst=2", "!5");
        check("10/0s", "!4");
    }

    #[test]
    fn kinds_and_their_mistakes() {
        check("window:20/60s", "window:20/m");
        check("pace:600/m,max_burst=10", "pace:600/m,max_burst=10");
        check("pace:600/m", "pace:600/m");
        check("concurrency:8", "concurrency:8");
        check("local:concurrency:1_000", "local:concurrency:1000");
        check("20/90s", "window:20/90s");
        check("concurrency:8/s", "!14");
        check("window:20/m,max_burst=2", "!12");
        check("pace:20/m,max_burst=0", "!21");
        check("pace:20/m,max_burst=1,", "!22");
        check("", "!1");
        check("二十/m", "!1");
        check("20/分", "!4");
        check("20,/m", "!3");
        check("99999999999999/s", "!1");
        check("1/32d", "!3");
        check(" 20/m", "!1");
    }

    #[test]
    fn what_is_counted_and_what_is_kept_back() {
        check("calls:10000/m", "calls:window:10000/m");
        check("local:calls:pace:5/s", "local:calls:pace:5/s");
        check("20/m,headroom=10%", "window:20/m,headroom=10%");
        check("20/m,headroom=0", "window:20/m,headroom=0");
        check("pace:600/m,max_burst=10,headroom=20", "pace:600/m,max_burst=10,headroom=20");
        check("20/m,headroom=20", "!15");
        check("20/m,headroom=100%", "!15");
        check("20/m,headroom=x", "!15");
        check("20/m,headroom=5%,", "!17");
        check("20/m,headroom=5,max_burst=2", "!16");
        check("calls:concurrency:8", "!7");
        let usable = |text: &str| text.parse::<Limit>().unwrap().usable().get();
        assert_eq!(usable("20/m"), 20);
        assert_eq!(usable("20/m,headroom=10%"), 18);
        assert_eq!(usable("20/m,headroom=1%"), 19, "rounded up");
        assert_eq!(usable("1/m,headroom=50%"), 1, "something is left");
        assert_eq!(usable("pace:600/m,headroom=25"), 575);
        let weight = NonZeroU32::new(200).unwrap();
        let count = |text: &str| text.parse::<Limit>().unwrap().count(weight).get();
        assert_eq!((count("20000/m"), count("calls:10000/m")), (200, 1));
        let slowed = |text: &str, share| text.parse::<Limit>().unwrap().slowed_to(share).to_string();
        assert_eq!(slowed("20/m,headroom=10%", 500), "window:9/m");
        assert_eq!(slowed("calls:pace:600/m,max_burst=3", 50), "calls:pace:30/m,max_burst=3");
        assert_eq!(slowed("concurrency:8", 50), "concurrency:8", "no rate");
        let beside =
            |text: &str| text.parse::<Limit>().unwrap().beside_urgent(1).map(|limit| limit.usable().get());
        assert_eq!(beside("100/m"), Some(99));
        assert_eq!(beside("600/m"), Some(594));
        assert_eq!(
            "600/m".parse::<Limit>().unwrap().beside_urgent(1).unwrap().period(),
            Duration::from_secs(59)
        );
        assert_eq!(beside("1099/m"), Some(1089), "rounded down: never more than one in a hundred");
        assert_eq!(beside("200/m,headroom=10%"), Some(179), "beside what is kept for people");
        assert_eq!(
            (beside("99/m"), beside("500/s"), beside("pace:600/m"), beside("concurrency:64")),
            (None, None, None, None)
        );
    }

    #[test]
    fn the_error_can_be_read() {
        let error = "10/x".parse::<Limit>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "limit `10/x`, character 4: expected a period: s, m, h or d, with a number before it if not 1"
        );
    }

    #[test]
    fn defaults_of_a_connector_name_their_level() {
        let limits = AccountLimits::parse(&["window:500/s", "group:window:20/m"]).unwrap();
        assert_eq!(limits.limits, ["500/s".parse().unwrap()]);
        assert_eq!(limits.group_limits, ["20/m".parse().unwrap()]);
        assert_eq!(limits.memory(), Duration::from_mins(1));
    }

    #[test]
    fn a_burst_left_out_is_ten_milliseconds_of_the_pace() {
        let burst = |text: &str| text.parse::<Limit>().unwrap().burst().map(NonZeroU32::get);
        assert_eq!(burst("pace:600/m"), Some(1));
        assert_eq!(burst("pace:1000/s"), Some(10));
        assert_eq!(burst("20/m"), None);
    }

    prop_compose! {
        fn limit()(
            kind in 0..4,
            local: bool,
            calls: bool,
            n in 2..=QUANTITY_MAX,
            secs in 1..=31 * DAY,
            burst in 1..1000_u32,
            headroom in prop_oneof![
                Just(None),
                (0..100_u8).prop_map(|percent| Some(Headroom::Percent(percent))),
                (0..2_u32).prop_map(|number| Some(Headroom::Number(number))),
            ],
        ) -> Limit {
            let (quantity, period) = (NonZeroU32::new(n).unwrap(), Duration::from_secs(secs));
            let kind = match kind {
                0 => LimitKind::Window { quantity, period },
                1 => LimitKind::Pace { quantity, period, max_burst: None },
                2 => LimitKind::Pace { quantity, period, max_burst: NonZeroU32::new(burst) },
                _ => return Limit { kind: LimitKind::Concurrency { quantity }, local, calls: false, headroom: None },
            };
            Limit { kind, local, calls, headroom }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(limit in limit()) {
            prop_assert_eq!(limit.to_string().parse::<Limit>(), Ok(limit));
        }

        #[test]
        fn nothing_makes_it_panic(text in "(local:)?(calls:)?(window:|pace:|concurrency:)?[0-9,_]{0,12}/?[0-9]{0,3}[a-z分]{0,6}(,max_burst=)?[0-9]{0,3}(,headroom=)?[0-9]{0,3}%?") {
            if let Err(error) = text.parse::<Limit>() {
                prop_assert!(error.position >= 1 && error.position <= text.chars().count() + 1);
            }
        }
    }
}
