//! The figures as tables for people.

use super::{Cost, Memory, Pauses, Stress, Urgency};
use crate::audit::Scope;
use crate::table::{Table, spread, thousands};

/// Bytes of a mebibyte.
const MIB: f64 = 1_048_576.0;

impl Cost {
    /// Lays it out.
    pub fn table(&self) -> Table {
        let of = |figure: fn(&super::Round) -> f64, digits| {
            spread(self.rounds.iter().map(figure).collect(), digits)
        };
        let rounds = self.rounds.len();
        let mut table =
            Table::facts(format!("cost of {} sends, {rounds} rounds", thousands(self.targets as u64)));
        table.fact("durable sends/s", of(|round| round.sends_per_s, 0));
        table.fact("CPU of a send without the ledger", format!("{} us", of(|round| round.http_us, 1)));
        table.fact("CPU of a post over a bare connection", format!("{} us", of(|round| round.bare_us, 1)));
        table.fact("ratio", of(|round| round.http_us / round.bare_us, 2));
        table.fact("CPU of a send on the ledger's thread", format!("{} us", of(|round| round.ledger_us, 1)));
        table.fact("body", format!("{} bytes", self.body_bytes));
        complain(&mut table, &self.complaints);
        table
    }
}

impl Urgency {
    /// Lays it out.
    pub fn table(&self) -> Table {
        let targets = thousands(self.targets as u64);
        let mut table = Table::facts(format!("{} urgent acts during a broadcast to {targets}", self.acts));
        for (number, round) in self.rounds.iter().enumerate() {
            let figures =
                format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", round.p50, round.p99, round.max);
            table.fact(&format!("round {}, from event to arrival", number + 1), figures);
        }
        let best = self.rounds.iter().map(|round| round.p99).min_by(f64::total_cmp);
        table.fact("best p99", best.map_or("none".to_owned(), |p99| format!("{p99:.1} ms")));
        complain(&mut table, &self.complaints);
        table
    }
}

impl Pauses {
    /// Lays it out.
    pub fn table(&self) -> Table {
        let mut table = Table::facts(format!("pause of a broadcast to {}", thousands(self.targets as u64)));
        table.fact("answered after", format!("{} ms", spread(self.answered_ms.clone(), 1)));
        let most = self.arrived_after.iter().max().copied().unwrap_or(0);
        table.fact(
            "arrived after the answer",
            format!("{most} at most; {} may be under way", self.in_flight_max),
        );
        complain(&mut table, &self.complaints);
        table
    }
}

impl Memory {
    /// Lays it out.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no machine has 2^52 bytes of memory, no broadcast 2^52 targets"
    )]
    pub fn table(&self) -> Table {
        let grown = self.after_bytes.saturating_sub(self.before_bytes) as f64;
        let targets = thousands(self.targets);
        let mut table = Table::facts(format!("{targets} targets wait, in {} broadcasts", self.broadcasts));
        table.fact("written in", format!("{:.1} s", self.seconds));
        let (before, after) = (self.before_bytes as f64 / MIB, self.after_bytes as f64 / MIB);
        table.fact("resident", format!("{before:.1} MiB before, {after:.1} MiB after"));
        let per = grown / MIB / (self.targets.max(1) as f64 / 100_000.0);
        table.fact("memory of 100,000 waiting targets", format!("{per:.2} MiB"));
        table
    }
}

impl Stress {
    /// Lays it out.
    pub fn table(&self) -> Table {
        let config = &self.config;
        let mut table = Table::facts(format!(
            "{} robots at {}, their app at {}, the account at {}, in {} s each",
            thousands(config.robots as u64),
            config.robot_max,
            config.app_max,
            thousands(config.account_max as u64),
            config.window_s
        ));
        for part in &self.parts {
            let over = if part.ideal_s > 0.0 {
                format!(": {:+.2} %", (part.took_s / part.ideal_s - 1.0) * 100.0)
            } else {
                String::new() // all of it fits into one window
            };
            let figures = format!("{:.2} s, the limits allow {:.0} s{over}", part.took_s, part.ideal_s);
            table.fact(&format!("{} to {}", thousands(part.sends as u64), part.name), figures);
        }
        for audit in &self.audits {
            let scope = match audit.scope {
                Scope::Whole => "account",
                Scope::Class if audit.allowed == config.app_max => "app",
                Scope::Class => "others",
                Scope::Group => "robot",
            };
            let says = if audit.violations == 0 { "kept" } else { "BROKEN" };
            let figures = format!(
                "{says}: at most {} in any window, {} violations, {} seen",
                audit.max_in_window,
                audit.violations,
                thousands(audit.arrivals)
            );
            table.fact(&format!("audit {} ({scope})", audit.limit), figures);
        }
        table.fact("CPU of the gateway", format!("{:.1} s", self.cpu_s));
        complain(&mut table, &self.complaints);
        table
    }
}

fn complain(table: &mut Table, complaints: &[String]) {
    for complaint in complaints {
        table.fact("DOES NOT FIT", complaint);
    }
}
