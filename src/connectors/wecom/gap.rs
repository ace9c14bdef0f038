//! What callbacks told that does not follow from what we know, kept on disk until the group was read.
//!
//! `wire` puts in ([`Gaps::keep`], before the platform gets its answer), `sync` reads the group, tells the house what it
//! means, and takes out. One entry an event, under `gap/<group>/<event id>`: a repeat of the callback is the same entry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::connectors::offers::{ConnectorState, StateError};
use crate::event::{GroupEvent, RosterStep, What};

/// What the keys begin with.
const KEY: &str = "gap/";

/// The version that no roster ever stands at.
const NOWHERE: &str = "menshen/read";

/// The step of an event that says "something changed" and not what: it never follows, so it becomes a gap, and the group
/// is read. The one way by which a callback, which does no I/O, can ask for that durably.
pub(super) fn read_step() -> RosterStep {
    let nowhere = RosterStep::mark(NOWHERE);
    RosterStep { from: Some(nowhere), to: nowhere }
}

/// The step of an event that names the version a roster must have reached, and not the way there: taken, and without any
/// effect on the roster, when we have read that version already; else a gap.
pub(super) fn reached_step(version: &str) -> RosterStep {
    let mark = RosterStep::mark(version);
    RosterStep { from: Some(mark), to: mark }
}

/// One event that waits for its group to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    /// The group.
    pub(super) group: String,
    /// The event's own id, as its callback makes it.
    pub(super) event: String,
    /// What was told.
    pub(super) kind: GapKind,
    /// Who joined or left.
    pub(super) member: Option<String>,
    /// When, by the platform, in milliseconds since the epoch.
    pub(super) at_ms: Option<i64>,
    /// How they came in, or why they left, in our words.
    pub(super) scene: Option<String>,
    /// Where the roster stood before; `None` where the platform did not say.
    pub(super) from: Option<u64>,
    /// Where it stands after; a reading that has not come there lags. `None` where the platform did not say.
    pub(super) to: Option<u64>,
}

/// What a callback told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GapKind {
    /// Somebody came in.
    Joined,
    /// Somebody went.
    Left,
    /// Something changed that the callback does not name: only a reading tells.
    Read,
}

impl Gap {
    /// Makes one of an event that did not follow.
    fn of(event: &GroupEvent<'_>) -> Self {
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let (kind, scene) = if let What::MemberJoined { scene, .. } = &event.what {
            (GapKind::Joined, owned(scene))
        } else if let What::MemberLeft { reason, .. } = &event.what {
            (GapKind::Left, owned(reason))
        } else {
            (GapKind::Read, None)
        };
        let step = event.step.filter(|step| *step != read_step());
        Self {
            group: event.group.to_string(),
            event: event.id.to_string(),
            kind,
            member: owned(&event.member),
            at_ms: event.at_ms,
            scene,
            from: step.and_then(|step| step.from.filter(|from| *from != step.to)),
            to: step.map(|step| step.to),
        }
    }

    /// The key it is kept under.
    pub(super) fn key(&self) -> String {
        format!("{KEY}{}/{}", self.group, self.event)
    }
}

/// All gaps of one account.
#[derive(Debug)]
pub(super) struct Gaps {
    state: Arc<dyn ConnectorState>,
    noticed: Notify,
}

impl Gaps {
    /// Opens what is kept. Whoever waits is woken once at the start: a run before this one may have left some.
    pub(super) fn new(state: Arc<dyn ConnectorState>) -> Self {
        let noticed = Notify::new();
        noticed.notify_one();
        Self { state, noticed }
    }

    /// Keeps events that did not follow; durable when it returns.
    ///
    /// # Errors
    /// When nothing was kept.
    pub(super) async fn keep(&self, events: &[GroupEvent<'_>]) -> Result<(), StateError> {
        if events.is_empty() {
            return Ok(());
        }
        let write = |event: &GroupEvent<'_>| {
            let gap = Gap::of(event);
            let text = serde_json::to_string(&gap).map_err(|error| StateError(error.to_string()))?;
            Ok((gap.key(), Some(text)))
        };
        self.state.put(events.iter().map(write).collect::<Result<_, _>>()?).await?;
        self.noticed.notify_one();
        Ok(())
    }

    /// Returns up to `limit` gaps after a key, by group.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Gap)>, StateError> {
        let page = self.state.list(KEY, after, limit).await?;
        let read = |(key, text): (String, String)| {
            let gap = serde_json::from_str(&text).map_err(|error| StateError(format!("`{key}`: {error}")))?;
            Ok((key, gap))
        };
        page.into_iter().map(read).collect()
    }

    /// Returns the gaps of one group, up to `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn of_group(&self, group: &str, limit: usize) -> Result<Vec<Gap>, StateError> {
        let page = self.state.list(&format!("{KEY}{group}/"), None, limit).await?;
        let read = |(key, text): (String, String)| {
            serde_json::from_str(&text).map_err(|error| StateError(format!("`{key}`: {error}")))
        };
        page.into_iter().map(read).collect()
    }

    /// Forgets gaps that are closed.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub(super) async fn close(&self, keys: Vec<String>) -> Result<(), StateError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.state.put(keys.into_iter().map(|key| (key, None)).collect()).await
    }

    /// Waits until a gap was kept since the last wait. Cancel safe.
    pub(super) async fn noticed(&self) {
        self.noticed.notified().await;
    }

    /// Wakes whoever waits: something is left to be tried again.
    pub(super) fn wake(&self) {
        self.noticed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::MemoryState;
    use crate::event::Role;

    fn event(id: &str, what: What<'static>, step: Option<RosterStep>) -> GroupEvent<'static> {
        GroupEvent {
            id: id.to_owned().into(),
            account: "shops".into(),
            group: "wr1".into(),
            member: matches!(what, What::MemberLeft { .. }).then(|| "wmA".into()),
            name: None,
            role: Role::Customer,
            at_ms: Some(7_000),
            step,
            what,
        }
    }

    fn updated() -> What<'static> {
        What::GroupUpdated(crate::event::GroupChange::default())
    }

    #[tokio::test]
    async fn gaps_outlive_a_restart_and_a_repeat_is_the_same_gap() {
        let state = MemoryState::default();
        let gaps = Gaps::new(Arc::new(state.clone()));
        gaps.noticed().await;
        let left = What::MemberLeft { reason: Some("removed".into()), inferred: false };
        let events = [
            event("wc-1", left, Some(RosterStep { from: Some(3), to: 4 })),
            event("wc-2", updated(), Some(reached_step("v9"))),
            event("wc-3", updated(), Some(read_step())),
        ];
        gaps.keep(&events).await.unwrap();
        gaps.keep(&events).await.unwrap();
        gaps.noticed().await;

        let again = Gaps::new(Arc::new(state));
        again.noticed().await;
        let kept = again.list(None, 10).await.unwrap();
        let keys: Vec<_> = kept.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["gap/wr1/wc-1", "gap/wr1/wc-2", "gap/wr1/wc-3"]);
        let steps: Vec<_> = kept.iter().map(|(_, gap)| (gap.kind, gap.from, gap.to)).collect();
        let v9 = RosterStep::mark("v9");
        assert_eq!(
            steps,
            [(GapKind::Left, Some(3), Some(4)), (GapKind::Read, None, Some(v9)), (GapKind::Read, None, None)]
        );
        let first = &kept[0].1;
        assert_eq!(
            (first.member.as_deref(), first.at_ms, first.scene.as_deref()),
            (Some("wmA"), Some(7_000), Some("removed"))
        );
        assert_eq!(first.key(), kept[0].0);
        again.close(vec![first.key()]).await.unwrap();
        assert_eq!(again.of_group("wr1", 10).await.unwrap().len(), 2);
        assert!(again.of_group("wr", 10).await.unwrap().is_empty());
    }
}
