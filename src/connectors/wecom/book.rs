//! Calls whose repeat WeCom would not refuse, written down before they are made and once more when they were answered.
//!
//! After a crash the outbox knows that a call was meant to be made, not when, nor what came back. This book knows: when
//! the first call was made (a task is looked for from then on; a duplicate check holds until then and a while), and
//! the id that an answered call gave, so that what was done is not even asked for again.
//!
//! Invariant: no call is made that is not in the book. Bounded: answered calls are kept [`ANSWERED_KEPT`], which is far
//! more than the outbox takes to write an outcome down; one without an answer, which only a lost call leaves, is kept, since
//! "not in the book" means "never called".

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::connectors::{ConnectorState, StateError};
use crate::event::DeliveryId;

/// How long an answered call is remembered.
const ANSWERED_KEPT: Duration = Duration::from_hours(7 * 24);
/// How often old calls are looked for.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// Calls read at once.
const SWEEP_PAGE: usize = 500;
const CALLS: &str = "call/";
const REFUSED: &str = "refused/";

/// One delivery's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// When the first call was made that may have taken effect, in milliseconds since the epoch.
    pub(super) first_ms: i64,
    /// When the latest was.
    #[serde(default)]
    pub(super) last_ms: i64,
    /// How many there were.
    #[serde(default)]
    pub(super) calls: u32,
    /// WeCom was told to drop repeats of it.
    #[serde(default)]
    pub(super) is_checked: bool,
    /// It was answered, with this id (empty where WeCom gives none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<String>,
}

/// Groups that a task was refused for when it was made.
#[derive(Serialize, Deserialize)]
struct Refused {
    first_ms: i64,
    groups: Vec<String>,
}

/// The calls of one account.
#[derive(Debug)]
pub(super) struct CallBook {
    state: Arc<dyn ConnectorState>,
    clock: Clock,
    sweep_at_ms: Mutex<i64>,
}

impl CallBook {
    pub(super) fn new(state: Arc<dyn ConnectorState>, clock: Clock) -> Self {
        // Not at once: what the last run left in doubt is looked up first.
        let sweep_at_ms = Mutex::new(clock.now_ms().saturating_add(millis(SWEEP_EVERY)));
        Self { state, clock, sweep_at_ms }
    }

    /// Returns what is known of a delivery's calls.
    ///
    /// # Errors
    /// When the state cannot be read, or holds something else.
    pub(super) async fn find(&self, delivery: &DeliveryId) -> Result<Option<Entry>, StateError> {
        let Some(text) = self.state.get(&key(delivery)).await? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| StateError(format!("read call: {error}")))
    }

    /// Writes down that a call is about to be made; `is_checked` says whether WeCom is told to drop repeats of it. Returns
    /// what is known of the delivery now: one with an answer must not be called again.
    ///
    /// # Errors
    /// When it could not be written: then the call must not be made.
    pub(super) async fn open(&self, delivery: &DeliveryId, is_checked: bool) -> Result<Entry, StateError> {
        self.sweep().await?;
        let now_ms = self.clock.now_ms();
        let entry = match self.find(delivery).await? {
            Some(entry) if entry.answer.is_some() => return Ok(entry),
            Some(entry) => Entry { last_ms: now_ms, calls: entry.calls.saturating_add(1), ..entry },
            None => Entry { first_ms: now_ms, last_ms: now_ms, calls: 1, is_checked, answer: None },
        };
        self.write(delivery, &entry).await?;
        Ok(entry)
    }

    /// Writes down how a call was answered. A failure costs only that a crash in the next moments leaves the delivery
    /// uncertain, so it is logged and no more.
    pub(super) async fn answered(&self, delivery: &DeliveryId, mut entry: Entry, answer: &str) {
        entry.answer = Some(answer.to_owned());
        if let Err(error) = self.write(delivery, &entry).await {
            tracing::warn!(delivery.id = %delivery, %error, "write down an answered call");
        }
    }

    /// Forgets a delivery whose only call had no effect. An earlier one in doubt may still turn up.
    pub(super) async fn refused(&self, delivery: &DeliveryId, entry: &Entry) {
        if entry.calls > 1 {
            return;
        }
        if let Err(error) = self.state.put(vec![(key(delivery), None)]).await {
            tracing::warn!(delivery.id = %delivery, %error, "forget a refused call");
        }
    }

    async fn write(&self, delivery: &DeliveryId, entry: &Entry) -> Result<(), StateError> {
        let text = serde_json::to_string(entry).map_err(|error| StateError(error.to_string()))?;
        self.state.put(vec![(key(delivery), Some(text))]).await
    }

    /// Forgets what is old, now and then.
    async fn sweep(&self) -> Result<(), StateError> {
        let now_ms = self.clock.now_ms();
        {
            let mut at_ms = self.sweep_at_ms.lock();
            if now_ms < *at_ms {
                return Ok(());
            }
            *at_ms = now_ms.saturating_add(millis(SWEEP_EVERY));
        }
        self.sweep_old(CALLS, |text| {
            let entry: Entry = serde_json::from_str(text).ok()?;
            entry.answer.is_some().then_some((entry.first_ms, ANSWERED_KEPT))
        })
        .await?;
        self.sweep_old(REFUSED, |text| {
            let refused: Refused = serde_json::from_str(text).ok()?;
            Some((refused.first_ms, ANSWERED_KEPT))
        })
        .await
    }

    /// Forgets what is older than `kept` says. What cannot be read is not old: nobody knows what it was.
    async fn sweep_old(
        &self,
        prefix: &str,
        kept: impl Fn(&str) -> Option<(i64, Duration)> + Send,
    ) -> Result<(), StateError> {
        let now_ms = self.clock.now_ms();
        let is_old = |text: &str| {
            kept(text).is_some_and(|(first_ms, kept)| first_ms.saturating_add(millis(kept)) < now_ms)
        };
        let mut after: Option<String> = None;
        loop {
            let page = self.state.list(prefix, after.as_deref(), SWEEP_PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let old = page.into_iter().filter(|(_, text)| is_old(text));
            let old: Vec<_> = old.map(|(key, _)| (key, None)).collect();
            if !old.is_empty() {
                self.state.put(old).await?;
            }
        }
    }

    /// Writes down the groups that a task will not reach. WeCom tells it once, in the answer to its making; when that is
    /// lost, they are told apart later, by missing among the task's results.
    pub(super) async fn note_refused(&self, task: &str, groups: &[String]) {
        let refused = Refused { first_ms: self.clock.now_ms(), groups: groups.to_vec() };
        let text = serde_json::to_string(&refused).expect("strings and numbers are JSON");
        if let Err(error) = self.state.put(vec![(format!("{REFUSED}{task}"), Some(text))]).await {
            tracing::warn!(task, %error, "write down what a task was refused for");
        }
    }

    /// Returns the groups that a task will not reach, as far as they are known.
    pub(super) async fn refused_of(&self, task: &str) -> Vec<String> {
        match self.state.get(&format!("{REFUSED}{task}")).await {
            Ok(text) => text
                .and_then(|text| serde_json::from_str::<Refused>(&text).ok())
                .map(|refused| refused.groups)
                .unwrap_or_default(),
            Err(error) => {
                tracing::warn!(task, %error, "read what a task was refused for");
                Vec::new()
            }
        }
    }
}

fn key(delivery: &DeliveryId) -> String {
    format!("{CALLS}{delivery}")
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::MemoryState;

    fn id(nth: usize) -> DeliveryId {
        DeliveryId::parse(&format!("d-{nth:05}")).unwrap()
    }

    fn entry(first_ms: i64, last_ms: i64, calls: u32) -> Entry {
        Entry { first_ms, last_ms, calls, is_checked: true, answer: None }
    }

    #[tokio::test]
    async fn a_call_is_known_after_a_restart_with_its_answer() {
        let (state, clock) = (MemoryState::default(), Clock::manual(5));
        let book = || CallBook::new(Arc::new(state.clone()), clock.clone());
        assert_eq!(book().open(&id(1), true).await.unwrap(), entry(5, 5, 1));
        clock.advance(Duration::from_millis(2));
        assert_eq!(book().find(&id(1)).await.unwrap(), Some(entry(5, 5, 1)));
        let second = book().open(&id(1), false).await.unwrap();
        assert_eq!(second, entry(5, 7, 2), "the first call decides whether repeats are dropped");
        book().refused(&id(1), &second).await;
        assert_eq!(book().find(&id(1)).await.unwrap(), Some(entry(5, 7, 2)), "the first may still turn up");
        book().answered(&id(1), second, "msg1").await;
        let answered = Entry { answer: Some("msg1".to_owned()), ..entry(5, 7, 2) };
        assert_eq!(book().open(&id(1), true).await.unwrap(), answered);
    }

    #[tokio::test]
    async fn a_refused_call_leaves_nothing_behind() {
        let book = CallBook::new(Arc::new(MemoryState::default()), Clock::manual(5));
        let entry = book.open(&id(1), true).await.unwrap();
        book.refused(&id(1), &entry).await;
        assert_eq!(book.find(&id(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn answered_calls_are_forgotten_page_by_page_and_open_ones_never() {
        let (state, clock) = (MemoryState::default(), Clock::manual(0));
        let book = CallBook::new(Arc::new(state.clone()), clock.clone());
        for nth in 0..SWEEP_PAGE * 2 {
            let entry = book.open(&id(nth), true).await.unwrap();
            if nth % 2 == 0 {
                book.answered(&id(nth), entry, "").await;
            }
        }
        book.note_refused("msg1", &["g-1".to_owned()]).await;
        assert_eq!(book.refused_of("msg1").await, ["g-1"]);
        let left = || async { state.list("", None, usize::MAX).await.unwrap().len() };
        clock.advance(ANSWERED_KEPT + Duration::from_millis(1));
        book.open(&id(90_000), true).await.unwrap();
        assert_eq!(left().await, SWEEP_PAGE + 1);
        assert_eq!(book.refused_of("msg1").await, [""; 0]);
        // "Not in the book" must go on to mean "never called".
        clock.advance(ANSWERED_KEPT * 10);
        book.open(&id(90_001), true).await.unwrap();
        assert_eq!(left().await, SWEEP_PAGE + 2);
    }
}
