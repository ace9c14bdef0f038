//! Reads every customer group and hands on what differs from what we know.
//!
//! Groups come page by page and are read a few at a time; nothing holds all rosters at once. One bad group is left for
//! later and does not stop the others. What we know and the platform does not list is read by itself: dismissed, or out of
//! sight of the list.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;

use super::agenda::{Again, Agenda};
use super::gaps::{Failure, Settled};
use super::groups::{Groups, OWNERS_MAX, Page};
use super::kind::GroupKind;
use super::staff::Staff;
use crate::clock::Clock;
use crate::connectors::offers::{
    ConnectorState, EventSink, PlatformError, Rosters, StateError, SyncProgress,
};
use crate::connectors::rosters::RosterConfig;
use crate::event::{GroupEvent, RosterStep, What};

/// Groups of ours that are looked through at once.
const KNOWN_ROWS: usize = 500;
/// Groups in a row that may fail before the platform is believed to be down.
const FAILURES_MAX: usize = 20;
/// The state's key of when the last sync began: who joined since may be known by id alone.
const DETAILS_SINCE: &str = "roster-details-since";

/// The rosters of an account's customer groups. One per account.
#[derive(Debug)]
pub(super) struct WecomRosters {
    pub(super) account: String,
    pub(super) groups: Box<dyn Groups>,
    pub(super) state: Arc<dyn ConnectorState>,
    pub(super) clock: Clock,
    pub(super) config: RosterConfig,
    pub(super) staff: Arc<Staff>,
    pub(super) agenda: Agenda,
    /// The gaps of the last run were found.
    pub(super) loaded: tokio::sync::Mutex<bool>,
    /// The last group that was looked at for changes that nobody told.
    pub(super) probed: Mutex<Option<String>>,
}

impl WecomRosters {
    /// Makes it; reads nothing yet.
    pub(super) fn new(
        account: &str,
        groups: Box<dyn Groups>,
        state: Arc<dyn ConnectorState>,
        staff: Arc<Staff>,
        clock: &Clock,
        config: &RosterConfig,
    ) -> Self {
        Self {
            account: account.to_owned(),
            groups,
            state,
            clock: clock.clone(),
            config: config.clone(),
            staff,
            agenda: Agenda::new(config, clock),
            loaded: tokio::sync::Mutex::new(false),
            probed: Mutex::default(),
        }
    }

    /// Notes what callbacks leave open: names, inviter and channel of who joined, the new owner or name of a group.
    pub(super) fn told(&self, events: &[GroupEvent<'_>]) {
        let now_ms = self.clock.now_ms();
        for event in events {
            let since_ms = if let What::MemberJoined { .. } = &event.what {
                event.at_ms.unwrap_or(now_ms) - DETAILS_SLACK_MS
            } else if let What::GroupCreated(change) | What::GroupUpdated(change) | What::OwnerChanged(change) =
                &event.what
                && (change.name.is_none() || change.owner.is_none())
            {
                i64::MAX
            } else {
                continue;
            };
            if matches!(GroupKind::of(&event.group), GroupKind::Customer(_)) {
                _ = self.agenda.details(&event.group, since_ms); // full: the next sync brings them
            }
        }
    }
}

/// How far a reading's `join_time` may lie before the callback's time.
const DETAILS_SLACK_MS: i64 = 60_000;

/// A sync under way.
struct Walk<'s> {
    rosters: &'s WecomRosters,
    sink: &'s dyn EventSink,
    report: &'s (dyn Fn(SyncProgress) + Send + Sync),
    progress: SyncProgress,
    details_since_ms: i64,
    /// Marks of the groups that the platform listed: eight bytes a group.
    listed: HashSet<u64>,
    failures_in_a_row: usize,
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        if let Some(first) = self.rosters.groups.list(None, None).await? {
            self.pages(None, first).await?;
        } else {
            let owners = self.rosters.groups.owners().await?;
            for some in owners.chunks(OWNERS_MAX) {
                for owner in some {
                    self.rosters.staff.note(owner);
                }
                let first = self.rosters.groups.list(Some(some), None).await?;
                self.pages(Some(some), first.unwrap_or_default()).await?;
            }
        }
        self.progress.list_done = true;
        (self.report)(self.progress);
        self.unlisted().await
    }

    async fn pages(&mut self, owners: Option<&[String]>, first: Page) -> Result<(), Failure> {
        let mut page = first;
        loop {
            let new = |group: &String| self.listed.insert(RosterStep::mark(group));
            let listed: Vec<String> = page.groups.into_iter().filter(new).collect();
            self.progress.listed += listed.len() as u64;
            self.read(listed).await?;
            let Some(cursor) = page.cursor else { return Ok(()) };
            page = self.rosters.groups.list(owners, Some(&cursor)).await?.unwrap_or_default();
        }
    }

    /// Reads the groups that we know and the platform did not list.
    async fn unlisted(&mut self) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let page = self.sink.groups(&self.rosters.account, after.as_deref(), KNOWN_ROWS).await?;
            let is_last = page.len() < KNOWN_ROWS;
            after = page.last().map(|known| known.group.clone());
            let missing = page.into_iter().filter(|known| {
                !known.dismissed
                    && matches!(GroupKind::of(&known.group), GroupKind::Customer(_))
                    && !self.listed.contains(&RosterStep::mark(&known.group))
            });
            let missing: Vec<String> = missing.map(|known| known.group).collect();
            self.read(missing).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Reads groups, a few at a time.
    async fn read(&mut self, groups: Vec<String>) -> Result<(), Failure> {
        let (rosters, sink, since_ms) = (self.rosters, self.sink, self.details_since_ms);
        rosters
            .each(sink, groups.into_iter().map(|group| (group, Some(since_ms))), &mut |group, settled| {
                self.settled(&group, settled)
            })
            .await
    }

    fn settled(&mut self, group: &str, settled: Result<Settled, Failure>) -> Result<(), Failure> {
        let outcome = match settled {
            Ok(settled) => {
                self.failures_in_a_row = 0;
                self.progress.read += 1;
                self.progress.joins += settled.joins;
                self.progress.leaves += settled.leaves;
                self.progress.adopted += settled.adopted;
                if !settled.done {
                    self.rosters.agenda.details(group, self.details_since_ms);
                    self.rosters.agenda.again(group, Again::Lags);
                }
                Ok(())
            }
            Err(failure) => {
                self.failures_in_a_row += 1;
                self.progress.failed += 1;
                self.rosters.agenda.details(group, self.details_since_ms);
                self.rosters.agenda.again(group, Again::Failed);
                let goes_on = failure.is_of_group() && self.failures_in_a_row < FAILURES_MAX;
                if goes_on { Ok(()) } else { Err(failure) }
            }
        };
        (self.report)(self.progress);
        outcome
    }
}

impl WecomRosters {
    /// Settles groups, a few at a time, and tells of each. Stops at the first error that `told` returns.
    pub(super) async fn each(
        &self,
        sink: &dyn EventSink,
        groups: impl Iterator<Item = (String, Option<i64>)> + Send,
        told: &mut (dyn FnMut(String, Result<Settled, Failure>) -> Result<(), Failure> + Send),
    ) -> Result<(), Failure> {
        let mut groups = groups;
        let mut running: FuturesUnordered<BoxFuture<'_, (String, Result<Settled, Failure>)>> =
            FuturesUnordered::new();
        loop {
            while running.len() < self.config.reads_max.max(1)
                && let Some((group, since_ms)) = groups.next()
            {
                running.push(Box::pin(async move {
                    let settled = self.settle_group(sink, &group, since_ms).await;
                    (group, settled)
                }));
            }
            let Some((group, settled)) = running.next().await else { return Ok(()) };
            told(group, settled)?;
        }
    }
}

#[async_trait]
impl Rosters for WecomRosters {
    async fn sync(
        &self,
        sink: &dyn EventSink,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<SyncProgress, PlatformError> {
        let began_ms = self.clock.now_ms();
        let since = self.begin().await.map_err(Failure::State)?;
        let mut walk = Walk {
            rosters: self,
            sink,
            report: progress,
            progress: SyncProgress::default(),
            details_since_ms: since.map_or(i64::MAX, |since| since - DETAILS_SLACK_MS),
            listed: HashSet::new(),
            failures_in_a_row: 0,
        };
        walk.run().await?;
        let progress = walk.progress;
        let began = (DETAILS_SINCE.to_owned(), Some(began_ms.to_string()));
        self.state.put(vec![began]).await.map_err(Failure::State)?;
        Ok(progress)
    }

    async fn close_gaps(&self, sink: &dyn EventSink) -> Result<u64, PlatformError> {
        self.load_gaps().await.map_err(Failure::State)?;
        let due = self.agenda.due();
        let wanted: Vec<_> = due.iter().map(|(group, due)| (group.clone(), due.details_since_ms)).collect();
        let of = |group: &str| due.iter().find(|(of, _)| of == group).map(|(_, due)| due);
        let mut last_error = None;
        let mut told = |group: String, settled: Result<Settled, Failure>| match settled {
            Ok(Settled { done: true, .. }) => {
                if let Some(due) = of(&group) {
                    self.agenda.done(&group, due);
                }
                Ok(())
            }
            Ok(_) => {
                self.agenda.again(&group, Again::Lags);
                Ok(())
            }
            Err(failure) => {
                self.agenda.again(&group, Again::Failed);
                let goes_on = failure.is_of_group();
                last_error = Some(failure);
                if goes_on { Ok(()) } else { Err(Failure::Refused("stopped")) }
            }
        };
        _ = self.each(sink, wanted.into_iter(), &mut told).await; // what stopped it is in `last_error`
        match last_error {
            Some(failure) => Err(failure.into()),
            None => Ok(self.agenda.left()),
        }
    }

    async fn gap_noticed(&self) {
        self.agenda.wait().await;
    }

    async fn untold_since(&self, sink: &dyn EventSink) -> Result<Option<i64>, PlatformError> {
        Ok(self.probe(sink).await?)
    }

    fn gap_since(&self, group: &str) -> Option<i64> {
        self.agenda.gap_since(group)
    }

    fn groups_left(&self) -> u64 {
        self.agenda.left()
    }
}

impl WecomRosters {
    /// Finds the gaps of the last run, and since when members may be known by id alone.
    async fn begin(&self) -> Result<Option<i64>, StateError> {
        self.load_gaps().await?;
        Ok(self.state.get(DETAILS_SINCE).await?.and_then(|text| text.parse().ok()))
    }
}
