//! The platform's frequency limits, their penalties, and an account of who broke them.
//!
//! A limit that is exceeded blocks its whole scope: a minute limit for 60 s, an hour limit for 60 min, a day limit for the
//! rest of the natural day (UTC+8), a month limit for 30 days. Windows slide by default; the platform does not say which
//! kind it uses, sliding ones are stricter.
//!
//! The audit is separate from the enforcement: it sees only what callers did, not what [`Limits::eat`] took from them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{day_of, day_start_s};
use crate::audit::{AuditReport, Auditor, Scope};
use crate::units::WindowLimit;

/// Over what a limit counts, and so how long its penalty lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// 60 s.
    Minute,
    /// 60 min.
    Hour,
    /// A natural day in UTC+8.
    Day,
    /// 30 days.
    Month,
}

impl Period {
    fn length_ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
            Self::Month => 30 * 86_400_000,
        }
    }

    fn blocked_until_ms(self, now_ms: u64) -> u64 {
        match self {
            Self::Day => day_start_s(day_of(now_ms / 1_000) + 1) * 1_000,
            Self::Minute | Self::Hour | Self::Month => now_ms + self.length_ms(),
        }
    }
}

/// "At most so many in a period".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many.
    pub count: u64,
    /// In what time.
    pub period: Period,
}

impl Rule {
    /// So many a minute.
    pub const fn per_minute(count: u64) -> Self {
        Self { count, period: Period::Minute }
    }

    /// So many an hour.
    pub const fn per_hour(count: u64) -> Self {
        Self { count, period: Period::Hour }
    }

    /// So many a natural day.
    pub const fn per_day(count: u64) -> Self {
        Self { count, period: Period::Day }
    }

    /// So many in 30 days.
    pub const fn per_month(count: u64) -> Self {
        Self { count, period: Period::Month }
    }
}

/// What one corp may do with one API.
pub(crate) const PER_CORP: [Rule; 2] = [Rule::per_minute(10_000), Rule::per_hour(150_000)];
/// What one address may do with one API.
pub(crate) const PER_IP: [Rule; 2] = [Rule::per_minute(20_000), Rule::per_hour(600_000)];

/// Calls with `debug=1`, which nobody may ship.
pub(crate) const DEBUG: [Rule; 1] = [Rule::per_minute(5)];

/// How windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// Any window of the length, wherever it is laid.
    #[default]
    Sliding,
    /// Windows start at multiples of their length.
    Fixed,
}

/// How limits are set up.
#[derive(Debug, Clone)]
pub struct LimitConfig {
    /// Every real count times this; tests make limits small with it. Never below one call.
    pub scale: f64,
    /// How windows lie.
    pub windows: Windows,
    /// Calls of one API that one corp may have open at once; more get 45033.
    pub concurrent_calls_max: usize,
    /// Wrong secrets within an hour after which the address is banned for an hour.
    pub wrong_secrets_max: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self { scale: 1.0, windows: Windows::Sliding, concurrent_calls_max: 100, wrong_secrets_max: 5 }
    }
}

/// Why a call was over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit's period.
    pub period: Period,
    /// Until when the scope is blocked.
    pub until_ms: u64,
    /// Whether it was blocked before this call came: the caller had been told.
    pub was_blocked: bool,
}

#[derive(Debug)]
struct Window {
    rule: Rule,
    /// Moment and count of what is inside, oldest first; one entry a millisecond.
    runs: VecDeque<(u64, u64)>,
    sum: u64,
    blocked_until_ms: u64,
}

impl Window {
    fn new(rule: Rule) -> Self {
        Self { rule, runs: VecDeque::new(), sum: 0, blocked_until_ms: 0 }
    }

    fn forget_old(&mut self, windows: Windows, now_ms: u64) {
        let length = self.rule.period.length_ms();
        // A day is a natural one whatever the kind; it is never a sliding 24 hours.
        let begins = match (self.rule.period, windows) {
            (Period::Day, _) => day_start_s(day_of(now_ms / 1_000)) * 1_000,
            (Period::Minute | Period::Hour | Period::Month, Windows::Sliding) => {
                (now_ms + 1).saturating_sub(length)
            }
            (Period::Minute | Period::Hour | Period::Month, Windows::Fixed) => now_ms - now_ms % length,
        };
        while let Some(&(at, count)) = self.runs.front()
            && at < begins
        {
            self.sum -= count;
            self.runs.pop_front();
        }
    }

    fn add(&mut self, cost: u64, now_ms: u64) {
        self.sum += cost;
        match self.runs.back_mut() {
            Some((at, count)) if *at == now_ms => *count += cost,
            Some(_) | None => self.runs.push_back((now_ms, cost)),
        }
    }
}

/// All windows of a corp.
#[derive(Debug)]
pub struct Limits {
    config: LimitConfig,
    scopes: HashMap<String, Vec<Window>>,
    /// One for each rule of each kind of scope; keys are the scopes.
    auditors: BTreeMap<String, Auditor>,
    exceeded: u64,
    while_blocked: u64,
}

/// What limits have to report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LimitReport {
    /// Calls that went over a limit and started a penalty.
    pub exceeded: u64,
    /// Calls that came while their scope was blocked: the caller did not wait out the window.
    pub while_blocked: u64,
    /// What the callers themselves did, held against every minute and hour limit.
    pub audits: BTreeMap<String, AuditReport>,
}

impl LimitReport {
    /// Whether no caller went over a limit by itself.
    pub fn is_kept(&self) -> bool {
        self.audits.values().all(|audit| audit.violations == 0)
    }
}

impl Limits {
    pub(crate) fn new(config: LimitConfig) -> Self {
        Self { config, scopes: HashMap::new(), auditors: BTreeMap::new(), exceeded: 0, while_blocked: 0 }
    }

    pub(crate) fn config(&self) -> &LimitConfig {
        &self.config
    }

    /// Charges a caller. `kind` names the limit (`corp/api`), `scope` what it is counted for; nothing is charged when
    /// any rule is exceeded, but the penalty starts.
    ///
    /// # Errors
    /// The rule that was exceeded.
    pub fn charge(
        &mut self,
        kind: &str,
        scope: &str,
        rules: &[Rule],
        cost: u64,
        now_ms: u64,
    ) -> Result<(), Exceeded> {
        self.audit(kind, scope, rules, cost, now_ms);
        let result = self.take(kind, scope, rules, cost, now_ms, true);
        match result {
            Err(Exceeded { was_blocked: true, .. }) => self.while_blocked += 1,
            Err(_) => self.exceeded += 1,
            Ok(()) => {}
        }
        result
    }

    /// For limits whose excess is dropped without an error and without a penalty: says whether it fits, and counts it.
    pub fn fits(&mut self, kind: &str, scope: &str, rules: &[Rule], cost: u64, now_ms: u64) -> bool {
        self.take(kind, scope, rules, cost, now_ms, false).is_ok()
    }

    /// Somebody else uses up a limit: counted and enforced, held against no caller.
    pub fn eat(&mut self, kind: &str, scope: &str, rules: &[Rule], cost: u64, now_ms: u64) {
        for window in windows(&mut self.scopes, self.config.scale, kind, scope, rules) {
            window.forget_old(self.config.windows, now_ms);
            window.add(cost, now_ms);
            if window.sum > window.rule.count {
                let until = window.rule.period.blocked_until_ms(now_ms);
                window.blocked_until_ms = window.blocked_until_ms.max(until);
            }
        }
    }

    fn take(
        &mut self,
        kind: &str,
        scope: &str,
        rules: &[Rule],
        cost: u64,
        now_ms: u64,
        penalises: bool,
    ) -> Result<(), Exceeded> {
        let style = self.config.windows;
        let windows = windows(&mut self.scopes, self.config.scale, kind, scope, rules);
        for window in windows.iter_mut() {
            let period = window.rule.period;
            if now_ms < window.blocked_until_ms {
                return Err(Exceeded { period, until_ms: window.blocked_until_ms, was_blocked: true });
            }
            window.forget_old(style, now_ms);
            if window.sum + cost > window.rule.count {
                let until_ms = period.blocked_until_ms(now_ms);
                if penalises {
                    window.blocked_until_ms = until_ms;
                }
                return Err(Exceeded { period, until_ms, was_blocked: false });
            }
        }
        for window in windows {
            window.add(cost, now_ms);
        }
        Ok(())
    }

    fn audit(&mut self, kind: &str, scope: &str, rules: &[Rule], cost: u64, now_ms: u64) {
        for rule in rules {
            // Natural days and 30 days are no sliding windows of such a length.
            if matches!(rule.period, Period::Day | Period::Month) {
                continue;
            }
            let count = scaled(rule.count, self.config.scale);
            let name = format!("{kind} {:?}", rule.period).to_lowercase();
            let auditor = self.auditors.entry(name).or_insert_with(|| {
                let window = Duration::from_millis(rule.period.length_ms());
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                Auditor::new(WindowLimit::new(count, window), Scope::Group)
            });
            for _ in 0..cost {
                auditor.arrived(scope, Duration::from_millis(now_ms));
            }
        }
    }

    /// What was found so far.
    pub fn report(&self) -> LimitReport {
        LimitReport {
            exceeded: self.exceeded,
            while_blocked: self.while_blocked,
            audits: self.auditors.iter().map(|(name, auditor)| (name.clone(), auditor.report())).collect(),
        }
    }
}

fn windows<'s>(
    scopes: &'s mut HashMap<String, Vec<Window>>,
    scale: f64,
    kind: &str,
    scope: &str,
    rules: &[Rule],
) -> &'s mut Vec<Window> {
    scopes.entry(format!("{kind} {scope}")).or_insert_with(|| {
        let scaled = |rule: &Rule| Rule { count: scaled(rule.count, scale), ..*rule };
        rules.iter().map(|rule| Window::new(scaled(rule))).collect()
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of limits are far below 2^52 and never negative"
)]
fn scaled(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale).round() as u64).max(1)
}
