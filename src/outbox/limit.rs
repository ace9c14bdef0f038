//! How a limit is written: `window:20/m`, `pace:600/m,max_burst=10`, `concurrency:8`, and bare `20/m`.
//!
//! ```text
//! limit    = ["local:"] [kind ":"] quantity "/" [n] period ["," "max_burst=" n]
//!          | ["local:"] "concurrency:" quantity
//! kind     = "window" | "pace"
//! period   = s | sec | second | m | min | minute | h | hour | d | day   (plural too)
//! quantity = digits, with "_" and "," between them allowed
//! ```
//!
//! A bare limit is a window, because only a window keeps a platform's promise; with `max_burst` it is a pace. `local:`
//! says that the limit holds for each node by itself; with one node it changes nothing.
//!
//! Not for: keeping a limit (that is `outbox::pacer`). Invariant: what is printed is read back as the same limit.
//! Layer: pure core.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest period a limit may have. Rings are rebuilt from attempts this old at most.
pub const PERIOD_MAX: Duration = Duration::from_secs(31 * DAY);

/// Largest quantity, burst or concurrency of a limit.
pub const QUANTITY_MAX: u32 = 10_000_000;

/// Classes of groups that one account's limits may tell apart.
pub const CLASSES_MAX: usize = 16;

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

    /// Returns the largest cost that can ever pass at once.
    pub fn cost_max(&self) -> u32 {
        match self.kind {
            LimitKind::Window { quantity, .. } | LimitKind::Concurrency { quantity } => quantity.get(),
            LimitKind::Pace { .. } => self.burst().map_or(1, NonZeroU32::get),
        }
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

/// The limits of one account: on everything through it, and on each of its groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLimits {
    /// On everything through the account.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// On each group of it that is in none of the classes.
    #[serde(default)]
    pub group_limits: Vec<Limit>,
    /// On groups of a kind of their own, where a platform has several.
    #[serde(default)]
    pub classes: Vec<ClassLimits>,
}

/// The limits of one class of groups: those whose id begins with `name:`, or what goes to people and not to groups
/// ([`ClassLimits::DIRECT`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLimits {
    /// What its groups' ids begin with.
    pub name: String,
    /// On everything to these groups together, beside the account's own.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// On each of these groups, in place of the account's `group_limits`.
    #[serde(default)]
    pub group_limits: Vec<Limit>,
}

impl ClassLimits {
    /// The class of what goes to people.
    pub const DIRECT: &str = "direct";

    fn holds(&self, group: &str) -> bool {
        if group.is_empty() {
            return self.name == Self::DIRECT;
        }
        group.strip_prefix(self.name.as_str()).is_some_and(|rest| rest.starts_with(':'))
    }
}

/// A class's number in its account; 0 is for groups that are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClassNo(pub u8);

impl AccountLimits {
    /// Reads limits: of the account, or of each group when they start with `group:`; `@robot ` in front says that they
    /// hold for that class of groups.
    ///
    /// # Errors
    /// Names the first text that is no limit.
    pub fn parse(texts: &[&str]) -> Result<Self, LimitError> {
        let mut limits = Self::default();
        for text in texts {
            limits.add(text)?;
        }
        Ok(limits)
    }

    /// Adds one limit, written as for [`Self::parse`].
    ///
    /// # Errors
    /// When it is none.
    pub fn add(&mut self, text: &str) -> Result<(), LimitError> {
        let (class, rest) = match text.strip_prefix('@').and_then(|text| text.split_once(' ')) {
            Some((class, rest)) => (Some(class), rest),
            None => (None, text),
        };
        let (group, rest) = rest.strip_prefix("group:").map_or((false, rest), |rest| (true, rest));
        let limit = rest.parse()?;
        let (limits, group_limits) = match class {
            None => (&mut self.limits, &mut self.group_limits),
            Some(name) => {
                let own = self.class_mut(name, text)?;
                (&mut own.limits, &mut own.group_limits)
            }
        };
        if group {
            group_limits.push(limit);
        } else {
            limits.push(limit);
        }
        Ok(())
    }

    fn class_mut(&mut self, name: &str, text: &str) -> Result<&mut ClassLimits, LimitError> {
        let at = match self.classes.iter().position(|class| class.name == name) {
            Some(at) => at,
            None if self.classes.len() == CLASSES_MAX => {
                let problem = "there are more classes of groups than limits may tell apart";
                return Err(LimitError { text: text.to_owned(), position: 2, problem });
            }
            None => {
                self.classes.push(ClassLimits { name: name.to_owned(), ..ClassLimits::default() });
                self.classes.len() - 1
            }
        };
        Ok(&mut self.classes[at])
    }

    /// Takes from `defaults` what is not said here: the limits of the account, of its groups, of each class.
    #[must_use]
    pub fn or(mut self, defaults: Self) -> Self {
        if self.limits.is_empty() && self.group_limits.is_empty() {
            self.limits = defaults.limits;
            self.group_limits = defaults.group_limits;
        }
        for class in defaults.classes {
            if !self.classes.iter().any(|own| own.name == class.name) && self.classes.len() < CLASSES_MAX {
                self.classes.push(class);
            }
        }
        self
    }

    /// Returns the class of a group.
    pub fn class_of(&self, group: &str) -> ClassNo {
        let at = self.classes.iter().position(|class| class.holds(group));
        ClassNo(at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0))
    }

    /// Returns the limits of each group of a class.
    pub fn of_groups(&self, class: ClassNo) -> &[Limit] {
        match usize::from(class.0).checked_sub(1).and_then(|at| self.classes.get(at)) {
            Some(own) => &own.group_limits,
            None => &self.group_limits,
        }
    }

    /// Returns every limit as it is written, those of groups after `group:`, those of a class after `@class `.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut add = |prefix: &str, limits: &[Limit], group_limits: &[Limit]| {
            texts.extend(limits.iter().map(|limit| format!("{prefix}{limit}")));
            texts.extend(group_limits.iter().map(|limit| format!("{prefix}group:{limit}")));
        };
        add("", &self.limits, &self.group_limits);
        for class in &self.classes {
            add(&format!("@{} ", class.name), &class.limits, &class.group_limits);
        }
        texts
    }

    /// Returns the longest time a call of the past still weighs.
    pub fn memory(&self) -> Duration {
        let own = self.limits.iter().chain(&self.group_limits);
        let of_classes = self.classes.iter().flat_map(|class| class.limits.iter().chain(&class.group_limits));
        own.chain(of_classes).map(Limit::period).max().unwrap_or_default()
    }
}

// === impl Display ===

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local {
            f.write_str("local:")?;
        }
        match self.kind {
            LimitKind::Window { quantity, period } => write!(f, "window:{quantity}/{}", Period(period)),
            LimitKind::Pace { quantity, period, max_burst } => {
                write!(f, "pace:{quantity}/{}", Period(period))?;
                max_burst.map_or(Ok(()), |burst| write!(f, ",max_burst={burst}"))
            }
            LimitKind::Concurrency { quantity } => write!(f, "concurrency:{quantity}"),
        }
    }
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
            return Ok(Limit { kind: LimitKind::Concurrency { quantity }, local });
        }
        let window = self.eat("window:");
        let pace = !window && self.eat("pace:");
        let quantity = self.number()?;
        if !self.eat("/") {
            return Err("expected `/` and a period, as in `20/m`");
        }
        let period = self.period()?;
        let max_burst = self.burst(window)?;
        let kind = if pace || max_burst.is_some() {
            LimitKind::Pace { quantity, period, max_burst }
        } else {
            LimitKind::Window { quantity, period }
        };
        Ok(Limit { kind, local })
    }

    fn burst(&mut self, window: bool) -> Result<Option<NonZeroU32>, &'static str> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.rest.starts_with(",max_burst=") {
            return self.end("expected the end, or `,max_burst=N`").map(|()| None);
        }
        if window {
            return Err("a window has no burst; write `pace:` if a window's promise is not needed");
        }
        self.eat(",max_burst=");
        let burst = self.number()?;
        self.end("nothing follows max_burst")?;
        Ok(Some(burst))
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
        fn limit()(kind in 0..4, local: bool, n in 1..=QUANTITY_MAX, secs in 1..=31 * DAY, burst in 1..1000_u32)
            -> Limit
        {
            let (quantity, period) = (NonZeroU32::new(n).unwrap(), Duration::from_secs(secs));
            let kind = match kind {
                0 => LimitKind::Window { quantity, period },
                1 => LimitKind::Pace { quantity, period, max_burst: None },
                2 => LimitKind::Pace { quantity, period, max_burst: NonZeroU32::new(burst) },
                _ => LimitKind::Concurrency { quantity },
            };
            Limit { kind, local }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(limit in limit()) {
            prop_assert_eq!(limit.to_string().parse::<Limit>(), Ok(limit));
        }

        #[test]
        fn nothing_makes_it_panic(text in "(local:)?(window:|pace:|concurrency:)?[0-9,_]{0,12}/?[0-9]{0,3}[a-z分]{0,6}(,max_burst=)?[0-9]{0,3}") {
            if let Err(error) = text.parse::<Limit>() {
                prop_assert!(error.position >= 1 && error.position <= text.chars().count() + 1);
            }
        }
    }
}
