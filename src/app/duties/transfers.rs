//! Works off transfers within the platform's limit of a day, and keeps the list of groups whose owner has left.

use std::time::Duration;

use super::{Round, Turn};
use crate::connectors::offers::{GroupLife, PlatformError, Retry};
use crate::duties::Stored;
use crate::duties::transfers::{
    GivenToday, Handover, ORPHANS_SHOWN_MAX, OldOwner, Orphans, Standing, Transfer, TransferState,
};
use crate::event::GroupId;
use crate::storage::{Change, DocumentKind, StorageError, Write};

/// Groups of one call: WeCom's.
const GROUPS_A_CALL: usize = 100;

impl Turn<'_> {
    /// Asks again which groups have lost their owner.
    pub(super) async fn orphans(&self) -> Result<(), StorageError> {
        let Some(life) = self.connector.group_life() else { return Ok(()) };
        let id = Orphans::id(self.account.as_str());
        let mut list: Orphans = self.state(&id).await?;
        if !self.is_due(list.asked_ms, list.failure.is_some()) {
            return Ok(());
        }
        list.asked_ms = self.now_ms;
        match life.orphans().await {
            Ok(mut groups) => {
                groups.sort_unstable();
                list.count = groups.len();
                groups.truncate(ORPHANS_SHOWN_MAX);
                list.groups = groups;
                list.failure = None;
            }
            Err(error) => list.failure = Some(self.failure(&error)),
        }
        self.save(&id, &list).await
    }

    /// Gives groups to their new owners, as many as a day allows; the rest follow the next day.
    pub(super) async fn transfers(&self, round: &Round) -> Result<(), StorageError> {
        let Some(life) = self.connector.group_life() else { return Ok(()) };
        for transfer in round.transfers.iter().filter(|transfer| transfer.value.account == *self.account) {
            let id = TransferState::id(self.account.as_str(), &transfer.id);
            let mut state: TransferState = self.state(&id).await?;
            if state.is_done {
                self.forget_transfer(transfer, id).await?;
                continue;
            }
            if state.not_before_ms > self.now_ms {
                continue;
            }
            self.hand_over(life, transfer, &id, &mut state).await?;
        }
        Ok(())
    }

    /// Forgets a transfer that was finished long ago.
    async fn forget_transfer(&self, transfer: &Stored<Transfer>, state: String) -> Result<(), StorageError> {
        let keep_ms = i64::try_from(self.duties.config.transfers_keep.as_millis()).unwrap_or(i64::MAX);
        if self.now_ms.saturating_sub(transfer.value.created_ms) < keep_ms {
            return Ok(());
        }
        let writes = vec![
            Write::Delete { kind: DocumentKind::Transfer, id: transfer.id.clone() },
            Write::Delete { kind: DocumentKind::Pushed, id: state },
        ];
        let change = Change { at_ms: self.now_ms, writes, ..Change::default() };
        self.duties.storage.apply(change).await.map(drop)
    }

    async fn hand_over(
        &self,
        life: &dyn GroupLife,
        transfer: &Stored<Transfer>,
        id: &str,
        state: &mut TransferState,
    ) -> Result<(), StorageError> {
        loop {
            let waiting = state.waiting(&transfer.value);
            if waiting.is_empty() {
                state.is_done = true;
                return self.save(id, state).await;
            }
            let mut today = self.given_today().await?;
            let room = self.duties.config.transfers_a_day.saturating_sub(today.groups).min(GROUPS_A_CALL);
            if room == 0 {
                state.not_before_ms = self.tomorrow();
                return self.save(id, state).await;
            }
            let chunk: Vec<String> = waiting.into_iter().take(room).map(GroupId::to_string).collect();
            // Counted before the call: a crash in between costs some of the day, never more than the day allows.
            today.groups += chunk.len();
            self.save(&GivenToday::id(self.account.as_str()), &today).await?;
            // Nobody knows what became of a call that a crash cut off: it is not made again.
            for group in &chunk {
                let handover = Handover { standing: Standing::Unknown, at_ms: self.now_ms, failure: None };
                state.groups.insert(group.clone(), handover);
            }
            self.save(id, state).await?;
            let has_left = transfer.value.owner_left == OldOwner::Left;
            let answer = life.transfer(&chunk, &transfer.value.new_owner, has_left).await;
            let goes_on = self.note(&chunk, answer, state);
            self.save(id, state).await?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Notes what became of a call; says whether the next one may follow at once.
    fn note(
        &self,
        chunk: &[String],
        answer: Result<Vec<(String, PlatformError)>, PlatformError>,
        state: &mut TransferState,
    ) -> bool {
        let (failed, whole) = match answer {
            Ok(failed) => (failed, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut goes_on = true;
        for group in chunk {
            let error =
                failed.iter().find(|(name, _)| name == group).map(|(_, error)| error).or(whole.as_ref());
            let standing = match error {
                None => Standing::Given,
                Some(error) if error.uncertain => Standing::Unknown,
                Some(error) if error.retry == Retry::Never => Standing::Refused,
                Some(_) => Standing::Waiting,
            };
            if let Some(error) = error.filter(|_| standing == Standing::Waiting) {
                goes_on = false;
                state.not_before_ms = state.not_before_ms.max(self.again_at(error, whole.is_some()));
            }
            let failure = error.map(|error| self.failure(error));
            state.groups.insert(group.clone(), Handover { standing, at_ms: self.now_ms, failure });
        }
        goes_on
    }

    /// A refusal of single groups for now is the limit of the day; one of the whole call says itself when.
    fn again_at(&self, error: &PlatformError, is_whole: bool) -> i64 {
        let after =
            |wait: Duration| self.now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        match error.retry {
            Retry::After(wait) => after(wait),
            Retry::Backoff if is_whole => after(self.duties.config.retry_every),
            Retry::Backoff | Retry::Never => self.tomorrow(),
        }
    }

    async fn given_today(&self) -> Result<GivenToday, StorageError> {
        let stored: GivenToday = self.state(&GivenToday::id(self.account.as_str())).await?;
        let day = self.local_day().to_string();
        Ok(if stored.day == day { stored } else { GivenToday { day, groups: 0 } })
    }

    fn local_now(&self) -> jiff::Zoned {
        let now = jiff::Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        now.to_zoned(self.duties.time_zone.clone())
    }

    fn local_day(&self) -> jiff::civil::Date {
        self.local_now().date()
    }

    fn tomorrow(&self) -> i64 {
        let start = self.local_now().tomorrow().and_then(|day| day.start_of_day());
        // Only at the end of time is there no tomorrow.
        start.map_or(i64::MAX, |start| start.timestamp().as_millisecond())
    }
}
