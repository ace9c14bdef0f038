//! Both ends of a broadcast side by side, and what must be true of them.

use serde::Serialize;

use crate::audit::Scope;
use crate::sink::SinkReport;
use crate::table::{Table, thousands};
use crate::wire::BroadcastView;

/// Everything a run of `loadtest broadcast` found out.
#[derive(Debug, Clone, Serialize)]
pub struct BroadcastReport {
    /// Groups that should be reached.
    pub groups: u64,
    /// How long declaring them took.
    pub declared_ms: f64,
    /// How long the gateway took to accept the broadcast.
    pub accepted_ms: f64,
    /// Whether creating it again with the same key gave the same broadcast.
    pub same_for_same_key: bool,
    /// From creation to the end.
    pub seconds: f64,
    /// The configured limit, a second.
    pub rate: Option<f64>,
    /// How much later (or, negative, earlier) than the real end the first estimate of it was.
    pub estimate_off_s: Option<f64>,
    /// The gateway's last word.
    pub view: BroadcastView,
    /// The sink's figures before.
    pub before: SinkReport,
    /// The sink's figures after.
    pub after: SinkReport,
}

impl BroadcastReport {
    /// Deliveries that the sink took during the run.
    pub fn received(&self) -> u64 {
        self.after.distinct.saturating_sub(self.before.distinct)
    }

    /// Everything that does not fit together, in words; empty is good.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut expect = |holds: bool, complaint: String| {
            if !holds {
                complaints.push(complaint);
            }
        };
        let (sent, received) = (self.view.count("sent"), self.received());
        let open = self.view.count("uncertain") + self.view.count("failed");
        let targets: u64 = self.view.counts.values().sum();
        expect(targets == self.groups, format!("{targets} targets for {} groups", self.groups));
        expect(sent <= received, format!("the gateway counts {sent} sent, the sink took only {received}"));
        expect(
            received <= sent + open,
            format!("the sink took {received}, the gateway counts {sent} sent, {open} open"),
        );
        let ended = self.view.settled() + self.view.count("uncertain");
        expect(ended == targets, format!("the broadcast ended in {:?}", self.view.counts));
        expect(self.same_for_same_key, "the same idempotency key made a second broadcast".to_owned());
        let grown = |figure: fn(&SinkReport) -> u64| figure(&self.after).saturating_sub(figure(&self.before));
        expect(grown(|report| report.duplicates) == 0, "confirmed deliveries were sent again".to_owned());
        expect(
            grown(|report| report.repeated_content) == 0,
            "a group was sent the same text twice".to_owned(),
        );
        expect(grown(|report| report.bad_signatures) == 0, "signatures did not verify".to_owned());
        expect(grown(|report| report.malformed) == 0, "deliveries were not readable".to_owned());
        for audit in &self.after.audits {
            let found = format!("{} broken {} times: {:?}", audit.limit, audit.violations, audit.examples);
            expect(audit.violations == 0, found);
        }
        complaints
    }

    /// Lays the report out for people.
    pub fn table(&self) -> Table {
        let mut table =
            Table::facts(format!("broadcast {} to {} groups", self.view.id, thousands(self.groups)));
        table.fact("groups declared in", format!("{:.0} ms", self.declared_ms));
        table.fact("accepted in", format!("{:.1} ms", self.accepted_ms));
        table.fact("finished in", format!("{:.2} s, state {}", self.seconds, self.view.state));
        let counts: Vec<String> =
            self.view.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        table.fact("gateway counts", counts.join(", "));
        table.fact("sink took", format!("{} different deliveries", self.received()));
        table.fact(
            "sent again",
            format!("{} retries, {} duplicates", self.after.retries, self.after.duplicates),
        );
        table.fact("rate at the sink", format!("{:.1}/s{}", self.after.rate_per_s, self.share_of_limit()));
        let estimate =
            self.estimate_off_s.map_or("none".to_owned(), |off| format!("{off:+.1} s from the real end"));
        table.fact("first estimate", estimate);
        for audit in &self.after.audits {
            let scope = match audit.scope {
                Scope::Whole => "all",
                Scope::Class => "a class",
                Scope::Group => "each group",
            };
            let closest = audit.closest_ms.map_or("never full".to_owned(), |ms| format!("{ms:.2} ms"));
            let says = if audit.violations == 0 { "kept" } else { "BROKEN" };
            table.fact(
                &format!("audit {} ({scope})", audit.limit),
                format!(
                    "{says}: at most {} in any {:.0} ms, N+1 arrivals never closer than {closest}",
                    audit.max_in_window, audit.window_ms
                ),
            );
        }
        self.complaints().iter().for_each(|complaint| table.fact("DOES NOT FIT", complaint));
        table
    }

    /// The limit allows a full window at once and the next a second later, so the shortest time for all is known.
    #[expect(clippy::cast_precision_loss, reason = "no broadcast has 2^52 targets")]
    fn share_of_limit(&self) -> String {
        let Some(rate) = self.rate else { return String::new() };
        let shortest_s = (self.received() as f64 / rate).ceil() - 1.0;
        let took_s = self.after.span_s;
        if shortest_s <= 0.0 || took_s <= 0.0 {
            return String::new();
        }
        let share = shortest_s / took_s * 100.0;
        format!(", {took_s:.2} s from first to last; {rate}/s allows {shortest_s:.2} s: {share:.1} % used")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sent: u64, uncertain: u64, received: u64) -> BroadcastReport {
        let counts = [("sent", sent), ("uncertain", uncertain)].map(|(name, count)| (name.to_owned(), count));
        BroadcastReport {
            groups: 10,
            declared_ms: 1.0,
            accepted_ms: 1.0,
            same_for_same_key: true,
            seconds: 1.0,
            rate: None,
            estimate_off_s: None,
            view: BroadcastView { counts: counts.into(), ..BroadcastView::default() },
            before: SinkReport::default(),
            after: SinkReport { distinct: received, ..SinkReport::default() },
        }
    }

    #[test]
    fn both_ends_must_tell_the_same_story() {
        for (sent, uncertain, received, fits) in [
            (10, 0, 10, true),
            (10, 0, 9, false),
            (9, 1, 10, true),
            (9, 1, 9, true),
            (9, 1, 8, false),
            (9, 0, 9, false),
            (10, 0, 11, false),
        ] {
            let complaints = report(sent, uncertain, received).complaints();
            assert_eq!(complaints.is_empty(), fits, "{sent} {uncertain} {received}: {complaints:?}");
        }
    }

    #[test]
    fn a_second_broadcast_for_the_same_key_is_a_complaint() {
        let report = BroadcastReport { same_for_same_key: false, ..report(10, 0, 10) };
        assert_eq!(report.complaints().len(), 1);
    }
}
