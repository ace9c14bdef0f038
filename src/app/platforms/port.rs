//! What people ask of the driver, answered for the API.

use async_trait::async_trait;

use super::{Platforms, numbers, sight, silence};
use crate::api::ports::{self, LastSync, Protection, Syncs};
use crate::connectors::{PlatformNumbers, Rosters};
use crate::event::AccountId;
use crate::statistics::coverage::Sight;

#[async_trait]
impl ports::Platforms for Platforms {
    fn protection(&self, account: &str) -> Option<Protection> {
        let around = self.account(account)?;
        let lapses = around.protection.lapses().into_iter().map(|lapse| ports::Lapse {
            code: lapse.cause.code(),
            since_ms: lapse.since_ms,
            zh: lapse.zh,
            en: lapse.en,
        });
        let last = around.desk.standing().last;
        Some(Protection {
            since_ms: around.protection.since_ms(),
            lapses: lapses.collect(),
            groups_left: around.connector.rosters().map_or(0, Rosters::groups_left),
            synced_ms: last.filter(|last| last.error.is_none()).map(|last| last.ended_ms),
        })
    }

    fn gap_since(&self, account: &str, group: &str) -> Option<i64> {
        self.account(account)?.connector.rosters()?.gap_since(group)
    }

    fn sync(&self, account: &str) -> Option<Syncs> {
        let around = self.account(account)?;
        around.connector.rosters()?;
        let standing = around.desk.standing();
        Some(Syncs {
            is_queued: standing.is_queued,
            running: standing.running.map(|running| (running.began_ms, running.progress)),
            last: standing.last.map(|last| LastSync {
                began_ms: last.began_ms,
                ended_ms: last.ended_ms,
                progress: last.progress,
                error: last.error,
            }),
        })
    }

    fn start_sync(&self, account: &str) -> Option<Syncs> {
        let around = self.account(account)?;
        around.connector.rosters()?;
        around.desk.ask_if_idle();
        self.sync(account)
    }

    async fn numbers(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Vec<(i64, PlatformNumbers)>>, String> {
        let Some(around) = self.account(account) else { return Ok(None) };
        if around.connector.numbers().is_none() {
            return Ok(None);
        }
        let days = numbers::days(&*around.state, from_ms, until_ms).await;
        days.map(Some).map_err(|error| error.to_string())
    }

    async fn numbers_by_owner(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Vec<(String, PlatformNumbers)>>, String> {
        let Some(around) = self.account(account) else { return Ok(None) };
        if around.connector.numbers().is_none() {
            return Ok(None);
        }
        let owners = numbers::owners(&*around.state, from_ms, until_ms).await;
        owners.map(Some).map_err(|error| error.to_string())
    }

    async fn unprotected(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(i64, i64)>, String> {
        let Some(around) = self.account(account) else { return Ok(Vec::new()) };
        let silences = silence::between(&*around.state, from_ms, until_ms, around.now_ms()).await;
        silences.map_err(|error| error.to_string())
    }

    async fn sight(&self, account: &str, from_ms: i64, until_ms: i64) -> Result<Sight, String> {
        let Ok(id) = AccountId::parse(account) else { return Ok(Sight::default()) };
        // Whatever was shown until the account was taken away stays known.
        let sight = sight::read(&*self.parts.states.of(&id)).await.map_err(|error| error.to_string())?;
        Ok(sight.with_gaps(self.unprotected(account, from_ms, until_ms).await?))
    }
}
