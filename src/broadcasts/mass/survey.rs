//! What is known of an audience beforehand: how many of its groups an owner must confirm, and how many of those cannot be
//! reached now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::calendar;
use super::plan::{Known, Unfit};
use crate::broadcasts::reached::Found;
use crate::broadcasts::saying::Sayer;
use crate::broadcasts::{BroadcastError, Broadcasts, Reached, ReceivingCap, storage_error};
use crate::event::{AccountId, GroupName};
use crate::storage::StorageError;

/// An audience, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Survey {
    /// Groups it reaches.
    pub groups: u64,
    /// Of these: groups whose owner must confirm on the platform.
    pub need_confirmation: u64,
    /// Owners who would be asked.
    pub owners: u64,
    /// Of those that need one: groups whose owner nobody knows. They would fail.
    pub without_owner: u64,
    /// Of those that need one: groups that have received as often as the platform allows. They would fail.
    pub at_receiving_cap: u64,
    /// Longest text these groups take, in bytes of UTF-8; null where no platform says.
    #[serde(default)]
    pub text_bytes_max: Option<usize>,
    /// Where they are, and why others are not among them.
    #[serde(default)]
    pub reached: Reached,
}

impl Broadcasts {
    /// Counts the groups an audience comes to.
    pub(in crate::broadcasts) async fn survey(&self, found: &Found) -> Result<Survey, BroadcastError> {
        let groups = u64::try_from(found.names.len()).unwrap_or(u64::MAX);
        let mut survey = Survey { groups, reached: found.reached.clone(), ..Survey::default() };
        let sayer = Sayer::of(&self.parts);
        let mut waiting: BTreeMap<AccountId, (Option<ReceivingCap>, Vec<String>)> = BTreeMap::new();
        for name in &found.names {
            let terms = sayer.terms(name);
            survey.text_bytes_max = match (survey.text_bytes_max, sayer.text_bytes_max(name, terms)) {
                (Some(so_far), Some(max)) => Some(so_far.min(max)),
                (so_far, max) => so_far.or(max),
            };
            let Some(terms) = terms else { continue };
            survey.need_confirmation += 1;
            let place = waiting.entry(name.account.clone()).or_default();
            place.0 = terms.receiving_cap;
            place.1.push(name.group.as_str().to_owned());
        }
        let mut owners = BTreeSet::new();
        for (account, (cap, groups)) in waiting {
            let known = self.known(&account, cap).await.map_err(storage_error("read owners"))?;
            for group in groups {
                match known.owner_of(&group) {
                    Ok(owner) => _ = owners.insert((account.clone(), owner.to_owned())),
                    Err(Unfit::NoOwner) => survey.without_owner += 1,
                    Err(Unfit::AtCap) => survey.at_receiving_cap += 1,
                }
            }
        }
        survey.owners = u64::try_from(owners.len()).unwrap_or(u64::MAX);
        Ok(survey)
    }

    /// Returns who is to confirm for a group, as far as anybody knows.
    pub(in crate::broadcasts) async fn owner_of(
        &self,
        name: &GroupName,
    ) -> Result<Option<String>, BroadcastError> {
        let known = self.known(&name.account, None).await.map_err(storage_error("read owners"))?;
        Ok(known.owner_of(name.group.as_str()).ok().map(str::to_owned))
    }

    /// Reads who owns the groups of an account and what they received in the current period.
    pub(super) async fn known(
        &self,
        account: &AccountId,
        cap: Option<ReceivingCap>,
    ) -> Result<Known, StorageError> {
        let (book, of) = (self.parts.book.clone(), account.clone());
        let owners = tokio::task::spawn_blocking(move || book.owners(&of)).await;
        let owners = owners
            .map_err(|error| StorageError::Failed { operation: "read owners", source: Box::new(error) })??;
        let Some(cap) = cap else { return Ok(Known { owners, ..Known::default() }) };
        let (since_ms, allowed) = calendar::allowance(cap, self.parts.clock.now_ms());
        let received = self.parts.storage.mass_received(account.as_str(), since_ms).await?;
        Ok(Known { owners, received: received.into_iter().collect(), allowed: Some(allowed) })
    }
}
