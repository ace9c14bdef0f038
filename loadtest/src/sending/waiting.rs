//! What targets that wait cost: memory now, and time at the next start.

use serde::Serialize;

use super::{House, SendingError, everybody};
use crate::cpu::resident_bytes;

/// Never more than one of them leaves while it is looked at.
const STANDSTILL: &str = "window:1/d";

/// The gateway's memory before and after targets were written that wait.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Targets that wait.
    pub targets: u64,
    /// Broadcasts they belong to.
    pub broadcasts: usize,
    /// Resident bytes when their groups were known.
    pub before_bytes: u64,
    /// Resident bytes when all targets were written.
    pub after_bytes: u64,
    /// From the first request to the last written target.
    pub seconds: f64,
}

impl House {
    /// Writes broadcasts whose targets all wait, and leaves them there.
    ///
    /// # Errors
    /// When the gateway does not take part.
    pub async fn waiting(&mut self, groups: usize, broadcasts: usize) -> Result<Memory, SendingError> {
        let account = self.account("waiting", &[STANDSTILL]).await?;
        self.groups(&account, (0..groups).map(|n| format!("g-{n:06}")), &[]).await?;
        let before_bytes = resident_bytes(self.pid)?;
        let began = tokio::time::Instant::now();
        for number in 0..broadcasts {
            let id = self.broadcast(&account, &format!("b-{number}"), &everybody()).await?;
            let written =
                |view: &crate::wire::BroadcastView| view.counts.values().sum::<u64>() == groups as u64;
            self.until(&id, "all targets are written", written).await?;
        }
        Ok(Memory {
            targets: (groups * broadcasts) as u64,
            broadcasts,
            before_bytes,
            after_bytes: resident_bytes(self.pid)?,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}
