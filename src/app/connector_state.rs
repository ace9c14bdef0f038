//! What connectors remember over restarts, as documents of the ledger.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::connectors::offers::{ConnectorState, ConnectorStates, StateError};
use crate::event::AccountId;
use crate::storage::{Change, DocumentKind, SharedStorage, Write};

/// Gives each account's connector a room of its own in the ledger.
pub(super) struct States {
    storage: SharedStorage,
    clock: Clock,
}

impl States {
    pub(super) fn new(storage: &SharedStorage, clock: &Clock) -> Self {
        Self { storage: Arc::clone(storage), clock: clock.clone() }
    }
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl ConnectorStates for States {
    fn of(&self, account: &AccountId) -> Arc<dyn ConnectorState> {
        Arc::new(Room {
            storage: Arc::clone(&self.storage),
            clock: self.clock.clone(),
            prefix: format!("{account}/"),
        })
    }
}

struct Room {
    storage: SharedStorage,
    clock: Clock,
    /// An account's id holds no `/`.
    prefix: String,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

const KIND: DocumentKind = DocumentKind::ConnectorState;

#[async_trait]
impl ConnectorState for Room {
    async fn get(&self, key: &str) -> Result<Option<String>, StateError> {
        let document = self.storage.document(KIND, &format!("{}{key}", self.prefix)).await;
        Ok(document.map_err(state_error)?.map(|document| document.body))
    }

    async fn put(&self, writes: Vec<(String, Option<String>)>) -> Result<(), StateError> {
        let write = |(key, value): (String, Option<String>)| {
            let id = format!("{}{key}", self.prefix);
            match value {
                Some(body) => Write::Put { kind: KIND, id, body, expect: None },
                None => Write::Delete { kind: KIND, id },
            }
        };
        let writes = writes.into_iter().map(write).collect();
        let change = Change { at_ms: self.clock.now_ms(), writes, ..Change::default() };
        self.storage.apply(change).await.map(drop).map_err(state_error)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StateError> {
        let start = format!("{}{prefix}", self.prefix);
        // The page begins behind the cursor; the prefix itself is the least text with that prefix.
        let behind = after.map_or_else(|| before(&start), |after| format!("{}{after}", self.prefix));
        let page = self.storage.documents(KIND, Some(behind), limit).await.map_err(state_error)?;
        let own = page.into_iter().take_while(|document| document.id.starts_with(&start));
        Ok(own
            .filter_map(|document| Some((document.id.strip_prefix(&self.prefix)?.to_owned(), document.body)))
            .collect())
    }
}

/// Returns a text that stands before everything that begins with `start`, and behind what stands before that.
fn before(start: &str) -> String {
    let mut text = start.to_owned();
    let last = text.pop().unwrap_or('/');
    if let Some(lower) = u32::from(last).checked_sub(1).and_then(char::from_u32) {
        text.push(lower);
        text.push(char::MAX);
    }
    text
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn state_error(error: crate::storage::StorageError) -> StateError {
    StateError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Config, memory};

    #[tokio::test]
    async fn each_account_has_its_own_room_and_pages_through_it() {
        let storage = memory::open(&memory::Disk::new([7; 16]), &Config::default()).unwrap();
        let states = States::new(&storage, &Clock::manual(7));
        let of = |account: &str| states.of(&AccountId::parse(account).unwrap());
        let (one, other) = (of("shop"), of("shop-2"));
        let put = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        one.put(vec![put("gap/a", "1"), put("gap/b", "2"), put("gaq", "3"), put("alive", "4")])
            .await
            .unwrap();
        other.put(vec![put("gap/a", "9")]).await.unwrap();
        let keys = async |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
            one.list(prefix, after, limit).await.unwrap().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys("gap/", None, 9).await, ["gap/a", "gap/b"]);
        assert_eq!(keys("gap/", None, 1).await, ["gap/a"]);
        assert_eq!(keys("gap/", Some("gap/a"), 9).await, ["gap/b"]);
        assert_eq!(keys("", None, 9).await, ["alive", "gap/a", "gap/b", "gaq"]);
        one.put(vec![("gap/a".to_owned(), None)]).await.unwrap();
        assert_eq!(
            (one.get("gap/a").await.unwrap(), one.get("alive").await.unwrap()),
            (None, Some("4".to_owned()))
        );
        assert_eq!(other.get("gap/a").await.unwrap().as_deref(), Some("9"));
    }
}
