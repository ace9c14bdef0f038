//! What broadcasts ask of their neighbours, answered by them: which groups there are and who owns them (the directory and
//! what platforms told), whose owners must confirm (the connectors).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;

use crate::api::group_of;
use crate::broadcasts::{
    Confirming, Counted, Figures, GroupBook, GroupEntry, ReceivingCap, Speaking, TargetResult, TaskError,
    TaskProgress, Terms, Voice,
};
use crate::connectors::{Connector, Connectors, ContentType, MassSends, PlatformError, Retry, offers};
use crate::directory::{Directory, GroupContext, GroupFilter, GroupFound};
use crate::event::{AccountId, GroupId, GroupName, HOUR_MS, Place, Scope};
use crate::outbox::delivery::{Content, Decision, Delivery, Refusal, RefusalScope, Rendering};
use crate::people::reading::GroupOf;
use crate::people::{Asked, People};
use crate::storage::{GroupRow, SharedStorage, StorageError};

/// The directory's groups, what platforms told of them, and what was counted.
pub(crate) struct Book {
    pub(crate) directory: Arc<Directory>,
    pub(crate) storage: SharedStorage,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) people: Arc<People>,
}

struct Entry {
    name: GroupName,
    context: Arc<GroupContext>,
}

impl GroupEntry for Entry {
    fn name(&self) -> &GroupName {
        &self.name
    }

    fn platform(&self) -> &str {
        &self.context.account.record.platform
    }

    fn place(&self) -> &Place {
        &self.context.place
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.context.tags().iter().any(|own| own == tag)
    }

    fn owner(&self) -> Option<&str> {
        self.context.owner()
    }

    fn value(&self, variable: &str) -> Option<&str> {
        self.context.variable(variable)
    }
}

fn entry(found: GroupFound) -> Option<Box<dyn GroupEntry>> {
    let group = GroupId::parse(&found.group).ok()?;
    let name = GroupName { account: found.context.account.id.clone(), group };
    Some(Box::new(Entry { name, context: found.context }))
}

/// Rows read in one go.
const PAGE: usize = 1000;

impl Book {
    /// Visits what the journal tells of the groups (of one account, if named).
    fn rows(&self, account: Option<&AccountId>, visit: &mut dyn FnMut(GroupRow)) -> Result<(), StorageError> {
        let mut after = account.map(|account| (account.as_str().to_owned(), String::new()));
        loop {
            let page = self.storage.groups(after, PAGE)?;
            let full = page.len() == PAGE;
            after = page.last().map(|row| (row.account.clone(), row.group.clone()));
            let of_it = |row: &GroupRow| account.is_none_or(|account| row.account == account.as_str());
            let is_past = !page.last().is_none_or(of_it);
            page.into_iter().take_while(of_it).for_each(&mut *visit);
            if !full || is_past {
                return Ok(());
            }
        }
    }
}

impl GroupBook for Book {
    fn groups(&self, account: Option<&AccountId>) -> Vec<Box<dyn GroupEntry>> {
        let filter = GroupFilter { account: account.map(ToString::to_string), ..GroupFilter::default() };
        let found = self.directory.groups_in(&Scope::everything(), &filter, None, usize::MAX);
        found.into_iter().filter_map(entry).collect()
    }

    fn figures(
        &self,
        account: Option<&AccountId>,
        days: &BTreeSet<u16>,
        now_ms: i64,
    ) -> Result<HashMap<GroupName, Figures>, StorageError> {
        self.storage.project()?; // what was acknowledged counts
        let mut spoke = BTreeMap::new();
        for days in days {
            // From the start of the hour: numbers are kept by hour, and too early is never taken for silence.
            let from_ms = now_ms - i64::from(*days) * 24 * HOUR_MS;
            let totals = self.storage.totals(from_ms - from_ms.rem_euclid(HOUR_MS), now_ms + 1)?;
            let customers = totals.into_iter().filter(|t| t.counters.messages > t.counters.staff_messages);
            let customers: HashSet<_> = customers.map(|t| (t.account, t.group)).collect();
            spoke.insert(*days, (from_ms, customers));
        }
        let mut figures = HashMap::new();
        self.rows(account, &mut |row| {
            let Some(name) = GroupName::parse(&format!("{}/{}", row.account, row.group)) else { return };
            let connector = self.connectors.get(&row.account);
            let sees_text = connector.is_some_and(|c| c.capabilities_of(&row.group).gives_message_text);
            let key = (row.account, row.group);
            let said = spoke.iter().filter_map(|(days, (from_ms, customers))| {
                let said = customers.contains(&key);
                let known_since_then = row.first_ms > 0 && row.first_ms <= *from_ms;
                (said || (sees_text && known_since_then)).then_some((*days, said))
            });
            let spoke = said.collect();
            let figure =
                Figures { members: Some(row.members), spoke, gone: row.dismissed, ..Figures::default() };
            figures.insert(name, figure);
        })?;
        Ok(figures)
    }

    fn has_segment(&self, scope: &Scope, id: &str) -> bool {
        self.people.segment(id).is_some_and(|stored| scope.covers(&stored.is.place))
    }

    fn segments(
        &self,
        account: Option<&AccountId>,
        ids: &BTreeSet<String>,
        scopes: &[Scope],
        now_ms: i64,
    ) -> Result<HashMap<GroupName, BTreeMap<String, Counted>>, StorageError> {
        let mut counts: HashMap<GroupName, BTreeMap<String, Counted>> = HashMap::new();
        let filter = GroupFilter { account: account.map(ToString::to_string), ..GroupFilter::default() };
        let found = self.directory.groups_in(&Scope::everything(), &filter, None, usize::MAX);
        let of = |found: &GroupFound| group_of(&self.connectors, &found.group, &found.context);
        // Scores are fifths among what whoever sends can reach.
        let covered = |group: &GroupOf| {
            let (account, id) = (group.name.account.as_str(), group.name.group.as_str());
            scopes.iter().all(|scope| scope.covers_group(account, id, &group.place))
        };
        let groups: Vec<GroupOf> = found.iter().filter_map(of).filter(covered).collect();
        for id in ids {
            let stored = self.people.segment(id);
            let usable = stored.filter(|stored| scopes.iter().all(|scope| scope.covers(&stored.is.place)));
            let Some(segment) = usable.map(|stored| stored.is.segment) else { continue };
            let tally = segment.needs().scores.then(|| self.people.tally(&groups, now_ms)).transpose()?;
            for group in &groups {
                counts.entry(group.name.clone()).or_default().insert(id.clone(), Counted::default());
            }
            let asked = Asked { segment: &segment, groups: &groups, tally: tally.as_ref(), full: false };
            self.people.survey(&asked, now_ms, &mut |seen| {
                let counted = counts.get_mut(&seen.group.name).and_then(|counts| counts.get_mut(id));
                if let Some(counted) = counted {
                    counted.members += u64::from(seen.is == Some(true));
                    counted.unknown += u64::from(seen.is.is_none());
                }
                true
            })?;
        }
        Ok(counts)
    }

    fn owners(&self, account: &AccountId) -> Result<HashMap<String, String>, StorageError> {
        let mut owners = HashMap::new();
        self.rows(Some(account), &mut |row| {
            if let Some(owner) = row.owner {
                owners.insert(row.group, owner);
            }
        })?;
        // What people declare goes before what the platform told.
        let filter = GroupFilter { account: Some(account.to_string()), ..GroupFilter::default() };
        let mut cursor: Option<String> = None;
        loop {
            let after = cursor.as_deref().map(|group| (account.as_str(), group));
            let page = self.directory.groups_in(&Scope::everything(), &filter, after, PAGE);
            let full = page.len() == PAGE;
            cursor = page.last().map(|found| found.group.to_string());
            let declared =
                |found: GroupFound| Some((found.group.to_string(), found.context.owner()?.to_owned()));
            owners.extend(page.into_iter().filter_map(declared));
            if !full {
                return Ok(owners);
            }
        }
    }

    fn time_zone(&self, name: &GroupName) -> Option<TimeZone> {
        let found = self.directory.group_in(&Scope::everything(), name.account.as_str(), name.group.as_str());
        Some(found.ok()?.time_zone.clone())
    }

    fn default_time_zone(&self) -> TimeZone {
        self.directory.time_zone().clone()
    }

    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>> {
        let found = self.directory.group_in(&Scope::everything(), name.account.as_str(), name.group.as_str());
        Some(Box::new(Entry { name: name.clone(), context: found.ok()? }))
    }
}

/// The platforms whose sends wait for a person.
pub(crate) struct Confirmers(pub(crate) Arc<Connectors>);

impl Confirmers {
    fn connector(&self, account: &AccountId) -> Result<Arc<dyn Connector>, TaskError> {
        self.0.get(account.as_str()).ok_or_else(|| TaskError {
            code: "no_connector".to_owned(),
            detail: "the account was removed or disabled".to_owned(),
            wait: None,
            uncertain: false,
        })
    }
}

fn mass_sends(connector: &dyn Connector) -> Result<&dyn MassSends, TaskError> {
    connector.mass_sends().ok_or_else(|| TaskError {
        code: "unsupported".to_owned(),
        detail: "the account's platform has no mass sends".to_owned(),
        wait: None,
        uncertain: false,
    })
}

fn task_error(error: PlatformError) -> TaskError {
    let wait = match error.retry {
        Retry::After(wait) => Some(wait),
        Retry::Never | Retry::Backoff => None,
    };
    TaskError {
        detail: format!("{} · {}", error.zh, error.en),
        code: error.code,
        wait,
        uncertain: error.uncertain,
    }
}

fn result_of(result: offers::TargetResult) -> TargetResult {
    match result {
        offers::TargetResult::Unsent => TargetResult::Unsent,
        offers::TargetResult::Sent => TargetResult::Sent,
        offers::TargetResult::Failed(reason) => TargetResult::Failed(reason),
    }
}

#[async_trait]
impl Confirming for Confirmers {
    fn terms(&self, account: &AccountId, group: &str) -> Option<Terms> {
        let connector = self.0.get(account.as_str())?;
        let capabilities = connector.capabilities_of(group);
        let sends = connector.mass_sends().filter(|_| capabilities.sends_need_confirmation)?;
        Some(Terms {
            targets_max: sends.targets_max(),
            text_bytes_max: capabilities.max_text_bytes,
            receiving_cap: sends.receiving_cap().map(|cap| match cap {
                offers::ReceivingCap::DaysOfMonth => ReceivingCap::DaysOfMonth,
                offers::ReceivingCap::SevenAWeek => ReceivingCap::SevenAWeek,
                offers::ReceivingCap::OnceADay => ReceivingCap::OnceADay,
            }),
        })
    }

    async fn progress(
        &self,
        account: &AccountId,
        task: &str,
        owner: &str,
    ) -> Result<TaskProgress, TaskError> {
        let connector = self.connector(account)?;
        let told = mass_sends(&*connector)?.progress(task, owner).await.map_err(task_error)?;
        Ok(TaskProgress {
            confirmed_ms: told.confirmed_ms,
            targets: told.targets.into_iter().map(|(group, result)| (group, result_of(result))).collect(),
            is_dispatching: told.is_dispatching,
        })
    }

    async fn remind(&self, account: &AccountId, task: &str) -> Result<(), TaskError> {
        let connector = self.connector(account)?;
        mass_sends(&*connector)?.remind(task).await.map_err(task_error)
    }

    async fn cancel(&self, account: &AccountId, task: &str) -> Result<(), TaskError> {
        let connector = self.connector(account)?;
        mass_sends(&*connector)?.cancel(task).await.map_err(task_error)
    }
}

impl Speaking for Confirmers {
    fn voice(&self, account: &AccountId, group: &str) -> Option<Voice> {
        let connector = self.0.get(account.as_str())?;
        let can = connector.capabilities_of(group);
        Some(Voice {
            platform: connector.platform(),
            text_bytes_max: can.max_text_bytes,
            can_post: can.can_post_into_group || can.sends_need_confirmation,
            can_recall: can.can_recall,
            can_edit: can.can_edit,
            gives_message_text: can.gives_message_text,
            gives_member_ids: can.gives_member_ids,
        })
    }

    fn shows(&self, account: &AccountId, group: &str, content: &Content) -> bool {
        let Some(connector) = self.0.get(account.as_str()) else { return true };
        let can = connector.capabilities_of(group);
        let sends = connector.mass_sends().filter(|_| can.sends_need_confirmation);
        can.content_types.contains(&ContentType::of(content))
            && sends.is_none_or(|sends| sends.takes(content))
    }

    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        let gone = || Refusal {
            decision: Decision::Never,
            scope: RefusalScope::Account,
            code: "no_connector".to_owned(),
            detail: "the account was removed or disabled".to_owned(),
        };
        self.0.get(delivery.account.as_str()).ok_or_else(gone)?.render(delivery)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::connectors::testing::MemoryStates;
    use crate::connectors::{self, AccountSpec, Secret};

    #[test]
    fn a_receiver_that_only_takes_back_cannot_be_told_anything() {
        let states = Arc::new(MemoryStates::default());
        let connectors = Connectors::new(connectors::Config::default(), Clock::manual(0), states);
        let spec = |id: &str, can: serde_json::Value| AccountSpec {
            id: AccountId::parse(id).unwrap(),
            platform: "webhook".to_owned(),
            settings: json!({"url": "https://example.com/", "can": can}),
            secrets: vec![Secret::new("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        let specs = vec![spec("back", json!(["recall", "edit"])), spec("full", json!(["send"]))];
        assert!(connectors.replace(specs).is_empty());
        let speaking = Confirmers(Arc::new(connectors));
        let can_post = |account: &str| {
            speaking.voice(&AccountId::parse(account).unwrap(), "g-1").map(|voice| voice.can_post)
        };
        assert_eq!((can_post("back"), can_post("full"), can_post("none")), (Some(false), Some(true), None));
    }
}
