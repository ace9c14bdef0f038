//! Keeps the limits of WeCom's interfaces: exact windows, calls at the same time, and the penalty for exceeding one.
//!
//! The outbox keeps what an account or a group may send; here is what each interface takes, reads included. Nothing is
//! spent that is not on disk: calls are reserved in blocks, a block is written before its first call, and after a restart
//! every reserved call counts as made. A penalty ("closed for the rest of the window") is kept over restarts as well.
//!
//! Not for: limits shared with other programs, or with other accounts of the same corp: only a penalty tells of those.
//! Invariant: in no window, over no restart, more calls than the limit.

mod lane;
mod presets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::api::Api;
use super::error::{ApiError, Code};
use crate::clock::Clock;
use crate::connectors::offers::{ConnectorState, StateError};
use crate::outbox::limiter::Room;
use crate::telemetry::metrics;
use lane::{Lane, Now, Saved};
pub(super) use presets::{PRESETS, Presets};

/// Most lanes in memory: each interface, each robot, and members who were written to lately.
const LANES_MAX: usize = 20_000;
/// Entries of a page of what was saved.
const PAGE: usize = 500;
/// What the keys of saved lanes begin with.
const KEY: &str = "quota/";
/// Longest wait for a call under way to end before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a call weighs beside being one call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charge<'a> {
    /// What is counted instead of calls where the platform does: members reached, groups transferred.
    pub(super) units: u32,
    /// Members who each have a limit.
    pub(super) members: &'a [&'a str],
    /// The robot whose key it is made with.
    pub(super) robot: Option<&'a str>,
}

/// The limits of one account, shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Quota(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    presets: Presets,
    clock: Clock,
    state: Arc<dyn ConnectorState>,
    /// How long a call may last.
    call_max: Duration,
    lanes: Mutex<HashMap<String, Lane>>,
    /// Held while something is written; says whether what was saved has been read.
    writer: tokio::sync::Mutex<Loaded>,
    call_ended: Notify,
}

/// What was on disk at the start, until its lane is used.
#[derive(Debug, Default)]
struct Loaded(Option<HashMap<String, Saved>>);

/// One lane that a call is charged to.
#[derive(Clone, Debug)]
struct Spend {
    key: String,
    cost: NonZeroU32,
}

/// Leave to make one call; dropping it says that the call has ended.
#[derive(Debug)]
#[must_use = "dropping it says that the call has ended"]
pub(super) struct Permit {
    quota: Quota,
    spends: Vec<Spend>,
}

impl Permit {
    /// The call was never made.
    pub(super) fn cancel(mut self) {
        let spends = std::mem::take(&mut self.spends);
        let mut lanes = self.quota.0.lanes.lock();
        for spend in &spends {
            if let Some(lane) = lanes.get_mut(&spend.key) {
                lane.cancel(spend.cost);
            }
        }
        drop(lanes);
        self.quota.0.call_ended.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.quota.now().us;
        let mut lanes = self.quota.0.lanes.lock();
        for spend in &self.spends {
            if let Some(lane) = lanes.get_mut(&spend.key) {
                lane.complete(now, spend.cost);
            }
        }
        drop(lanes);
        self.quota.0.call_ended.notify_waiters();
    }
}

/// What one look at all lanes came to.
enum Look {
    /// Charged.
    Charged,
    /// These must be reserved first.
    Reserve,
    /// From this time on, in steady microseconds.
    From(i64),
    /// When a call under way ends.
    AfterCall,
    /// Never.
    Never,
}

impl Quota {
    /// Makes the limits of one account; what was saved is read at the first call.
    pub(super) fn new(
        presets: Presets,
        clock: Clock,
        state: Arc<dyn ConnectorState>,
        call_max: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            presets,
            clock,
            state,
            call_max,
            lanes: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
            call_ended: Notify::new(),
        }))
    }

    /// Waits for room, `patience` at most, and takes it: of all lanes or of none. Cancel safe.
    ///
    /// # Errors
    /// [`Code::Quota`] with the wait where that is known; [`Code::State`] when it cannot be written down.
    pub(super) async fn take(
        &self,
        api: Api,
        charge: Charge<'_>,
        patience: Duration,
    ) -> Result<Permit, ApiError> {
        let spends = spends(api, charge);
        let began = self.now().us;
        loop {
            self.open_lanes(api, &spends).await?;
            // Before looking: what ends in between is not missed.
            let mut ended = std::pin::pin!(self.0.call_ended.notified());
            ended.as_mut().enable();
            let now = self.now();
            let left = patience.saturating_sub(span(now.us - began));
            match self.look(&spends, now) {
                Look::Charged => {
                    if now.us > began {
                        metrics::wecom::quota_waited(span(now.us - began));
                    }
                    return Ok(Permit { quota: self.clone(), spends });
                }
                Look::Reserve => self.reserve(api, &spends).await?,
                Look::From(at) => {
                    let wait = span(at - now.us);
                    if wait > left {
                        return Err(ApiError::new(api, Code::Quota).with_wait(wait));
                    }
                    tokio::time::sleep(wait).await;
                }
                Look::AfterCall if left.is_zero() => {
                    return Err(ApiError::new(api, Code::Quota).with_wait(LOOK_AGAIN));
                }
                Look::AfterCall => {
                    _ = tokio::time::timeout(left.min(LOOK_AGAIN), ended).await; // either way it looks again
                }
                Look::Never => {
                    let detail = "one call weighs more than the limit allows at once";
                    return Err(ApiError::new(api, Code::Quota).with_detail(detail));
                }
            }
        }
    }

    /// Notes that the platform closed the interface, and returns for how long. Kept in memory even when it cannot be
    /// written: then a restart asks once more and learns it again.
    pub(super) async fn penalise(&self, api: Api, charge: Charge<'_>) -> Duration {
        metrics::wecom::penalised();
        let Some(Spend { key, .. }) = spends(api, charge).into_iter().next() else { return Duration::ZERO };
        let wait = self.0.lanes.lock().get_mut(&key).map(|lane| lane.penalise(self.now()));
        let wait = wait.unwrap_or_default();
        tracing::warn!(
            wecom.api = api.path(),
            wait_s = wait.as_secs(),
            "WeCom closed an interface for the rest of a window; somebody else may use the same limit"
        );
        // Behind whoever is writing, lest an older state come after this one.
        let _writer = self.0.writer.lock().await;
        let saved = self.0.lanes.lock().get(&key).map(|lane| lane.saved().clone());
        if let Some(saved) = saved {
            _ = self.write(vec![(key, saved)]).await; // see above
        }
        wait
    }

    fn look(&self, spends: &[Spend], now: Now) -> Look {
        let mut lanes = self.0.lanes.lock();
        let mut room = Room::From(now.us);
        for spend in spends {
            let Some(lane) = lanes.get_mut(&spend.key) else { return Look::Reserve };
            room = room.max(lane.look(now.us, spend.cost));
        }
        match room {
            Room::From(at) if at > now.us => return Look::From(at),
            Room::From(_) => {}
            Room::AfterCompletion => return Look::AfterCall,
            Room::Never => return Look::Never,
        }
        let is_reserved =
            |spend: &Spend| lanes.get(&spend.key).is_some_and(|lane| lane.is_reserved(now.us, spend.cost));
        if !spends.iter().all(is_reserved) {
            return Look::Reserve;
        }
        for spend in spends {
            if let Some(lane) = lanes.get_mut(&spend.key) {
                lane.charge(now.us, spend.cost);
            }
        }
        Look::Charged
    }

    /// Writes a block for each lane that has none, one writer at a time.
    async fn reserve(&self, api: Api, spends: &[Spend]) -> Result<(), ApiError> {
        let writer = self.0.writer.lock().await;
        let now = self.now();
        let blocks: Vec<(String, Saved)> = {
            let mut lanes = self.0.lanes.lock();
            let lacking = spends.iter().filter_map(|spend| {
                let lane = lanes.get_mut(&spend.key)?;
                let is_reserved = lane.is_reserved(now.us, spend.cost);
                (!is_reserved).then(|| (spend.key.clone(), lane.reserve(now.ms, spend.cost)))
            });
            lacking.collect()
        };
        if !blocks.is_empty() {
            self.write(blocks.clone()).await.map_err(|error| unwritten(api, &error))?;
            let mut lanes = self.0.lanes.lock();
            for (key, saved) in blocks {
                if let Some(lane) = lanes.get_mut(&key) {
                    lane.reserved(saved, now);
                }
            }
        }
        drop(writer);
        Ok(())
    }

    async fn write(&self, lanes: Vec<(String, Saved)>) -> Result<(), StateError> {
        let write = |(key, saved): (String, Saved)| {
            let saved = serde_json::to_string(&saved).expect("numbers are JSON");
            (format!("{KEY}{key}"), Some(saved))
        };
        self.0.state.put(lanes.into_iter().map(write).collect()).await
    }

    /// Makes the lanes of a call that are not in memory.
    async fn open_lanes(&self, api: Api, spends: &[Spend]) -> Result<(), ApiError> {
        let is_open =
            |lanes: &HashMap<String, Lane>| spends.iter().all(|spend| lanes.contains_key(&spend.key));
        if is_open(&self.0.lanes.lock()) {
            return Ok(());
        }
        let mut loaded = self.0.writer.lock().await;
        if loaded.0.is_none() {
            loaded.0 = Some(self.load().await.map_err(|error| unwritten(api, &error))?);
        }
        let saved = loaded.0.get_or_insert_default();
        let now = self.now();
        let mut lanes = self.0.lanes.lock();
        if lanes.len() + spends.len() > LANES_MAX {
            lanes.retain(|_, lane| !lane.is_idle(now));
        }
        if lanes.len() + spends.len() > LANES_MAX {
            let detail = format!("{LANES_MAX} limits are in use at the same time");
            return Err(ApiError::new(api, Code::Quota)
                .with_detail(detail)
                .with_wait(Duration::from_mins(1)));
        }
        for spend in spends {
            if !lanes.contains_key(&spend.key) {
                let limits = self.limits_of(api, &spend.key);
                let lane = Lane::new(&limits, saved.remove(&spend.key), self.0.call_max, now);
                lanes.insert(spend.key.clone(), lane);
            }
        }
        Ok(())
    }

    /// Reads what was saved, and removes what weighs nothing any more.
    async fn load(&self) -> Result<HashMap<String, Saved>, StateError> {
        let now_ms = self.0.clock.now_ms();
        let (mut found, mut dead) = (HashMap::new(), Vec::new());
        let mut after: Option<String> = None;
        loop {
            let page = self.0.state.list(KEY, after.as_deref(), PAGE).await?;
            after = page.last().map(|(key, _)| key.clone());
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                let saved: Saved =
                    serde_json::from_str(&value).map_err(|error| StateError(error.to_string()))?;
                if saved.is_dead(now_ms) {
                    dead.push((key, None));
                } else {
                    found.insert(key.strip_prefix(KEY).unwrap_or(&key).to_owned(), saved);
                }
            }
            if is_last {
                break;
            }
        }
        if !dead.is_empty() {
            self.0.state.put(dead).await?;
        }
        Ok(found)
    }

    fn limits_of(&self, api: Api, key: &str) -> Vec<crate::outbox::limit::Limit> {
        let path = api.path();
        match key.strip_prefix(path) {
            Some(rest) if rest.starts_with(presets::MEMBERS) => {
                self.0.presets.of(&format!("{path}{}", presets::MEMBERS)).to_vec()
            }
            Some(presets::UNITS) => self.0.presets.of(key).to_vec(),
            Some(_) | None => self.0.presets.of_calls(api),
        }
    }

    fn now(&self) -> Now {
        Now { us: self.0.clock.steady_us(), ms: self.0.clock.now_ms() }
    }
}

/// The lanes of a call; the first is the one that a penalty closes.
fn spends(api: Api, charge: Charge<'_>) -> Vec<Spend> {
    let path = api.path();
    let calls = match charge.robot {
        Some(robot) => format!("{path} robot {robot}"),
        None => path.to_owned(),
    };
    let mut spends = vec![Spend { key: calls, cost: NonZeroU32::MIN }];
    if let Some(cost) = NonZeroU32::new(charge.units) {
        spends.push(Spend { key: format!("{path}{}", presets::UNITS), cost });
    }
    for member in charge.members {
        spends.push(Spend { key: format!("{path}{} {member}", presets::MEMBERS), cost: NonZeroU32::MIN });
    }
    spends
}

fn unwritten(api: Api, error: &StateError) -> ApiError {
    ApiError::new(api, Code::State).with_detail(error.to_string())
}

fn span(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}
