//! Looks at a few groups, other ones each time, to find out whether callbacks still reach us.
//!
//! A group whose version is not the one we know, although no callback came, is looked at again after the longest time that
//! a callback may be on its way. If it still is, callbacks are lost; what they would have told is found by comparing, so
//! that the look itself leaves the group true.

use super::gaps::Failure;
use super::groups::Read;
use super::kind::GroupKind;
use super::sync::WecomRosters;
use crate::connectors::offers::EventSink;
use crate::event::RosterStep;

impl WecomRosters {
    /// Returns when the earliest change happened that no callback told, as far as a few groups show.
    pub(super) async fn probe(&self, sink: &dyn EventSink) -> Result<Option<i64>, Failure> {
        self.load_gaps().await?;
        let mut suspects = Vec::new();
        for group in self.sample(sink).await? {
            if self.is_suspect(sink, &group).await? {
                suspects.push(group);
            }
        }
        if suspects.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(self.config.lag_patience).await;
        let mut untold_ms: Option<i64> = None;
        for group in suspects {
            if !self.is_suspect(sink, &group).await? {
                continue; // the callback came meanwhile
            }
            let settled = self.settle_group(sink, &group, Some(i64::MAX)).await?;
            untold_ms = [untold_ms, settled.untold_ms].into_iter().flatten().min();
        }
        Ok(untold_ms)
    }

    /// The next few groups.
    async fn sample(&self, sink: &dyn EventSink) -> Result<Vec<String>, Failure> {
        let after = self.probed.lock().clone();
        let rows = self.config.probe_groups.max(1);
        let page = sink.groups(&self.account, after.as_deref(), rows).await?;
        // The end was reached: the next look begins anew.
        *self.probed.lock() = page.last().filter(|_| page.len() == rows).map(|known| known.group.clone());
        let customer = page.into_iter().filter(|known| {
            !known.dismissed && matches!(GroupKind::of(&known.group), GroupKind::Customer(_))
        });
        Ok(customer.map(|known| known.group).collect())
    }

    /// Says whether a group stands at a version that we were not told of.
    async fn is_suspect(&self, sink: &dyn EventSink, group: &str) -> Result<bool, Failure> {
        if self.agenda.has(group) {
            return Ok(false); // it is about to be read: a callback told so
        }
        let Read::There(reading) = self.groups.read(group).await? else { return Ok(false) };
        let known = sink.roster(&self.account, group).await?;
        let mark = RosterStep::mark(&reading.version);
        Ok(!known.marks.is_empty() && !known.marks.contains(&mark) && !self.agenda.has(group))
    }
}
