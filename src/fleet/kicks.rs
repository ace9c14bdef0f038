//! The fleet's kick list (黑名单): members who are to be kept out of groups, where and until when.
//!
//! Looked at in the hot path whenever a customer joins or speaks, so it lies in memory: a list is one document, and its
//! members are found by one look. Not for: what follows (the pipeline decides), nor who would be hit (`api` shows it first).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::event::{Actor, Place};
use crate::reach::Plan;
use crate::storage::{AuditEntry, Change, DocumentKind, SharedStorage, StorageError, Write};

/// Lists read at once.
const PAGE: usize = 500;
/// Most lists.
pub const LISTS_MAX: usize = 1_000;
/// Most members of one list.
pub const MEMBERS_MAX: usize = 1_000;

/// Some members who are to be kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kick {
    /// `kck_…`.
    pub id: String,
    /// Of this account.
    pub account: String,
    /// The platform's ids of them.
    pub members: BTreeSet<String>,
    /// From which groups.
    #[serde(rename = "where")]
    pub plan: Plan,
    /// Until when.
    pub until_ms: i64,
    /// Why, in words.
    pub reason: String,
    /// The operator.
    pub by: String,
    /// Since when.
    pub at_ms: i64,
}

/// Why a list was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KickError {
    /// Too many of them.
    #[error("there are {LISTS_MAX} kick lists; remove one")]
    TooMany,
    /// No such list.
    #[error("no such kick list")]
    Unknown,
    /// Storage failed.
    #[error("store a kick list")]
    Storage(#[from] StorageError),
}

/// Lists by account, then by member.
type Index = HashMap<String, HashMap<String, Vec<Arc<Kick>>>>;

/// All kick lists. One per gateway.
pub struct Kicks {
    storage: SharedStorage,
    clock: Clock,
    index: ArcSwap<Index>,
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Kicks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kicks({} members)", self.index.load().values().map(HashMap::len).sum::<usize>())
    }
}

impl Kicks {
    /// Reads the lists.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn open(storage: SharedStorage, clock: Clock) -> Result<Arc<Self>, StorageError> {
        let writing = tokio::sync::Mutex::default();
        let this = Self { storage, clock, index: ArcSwap::default(), writing };
        this.reload().await?;
        Ok(Arc::new(this))
    }

    /// Returns the list by which a member is to be kept out of a group now.
    pub fn find(
        &self,
        account: &str,
        member: &str,
        place: &Place,
        tags: &[String],
        now_ms: i64,
    ) -> Option<Arc<Kick>> {
        let index = self.index.load();
        let lists = index.get(account)?.get(member)?;
        lists.iter().find(|kick| kick.until_ms > now_ms && kick.plan.fit(place, tags).is_some()).cloned()
    }

    /// Returns every list that is in force, by id.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn all(&self) -> Result<Vec<Kick>, StorageError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.storage.documents(DocumentKind::Kick, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|document| document.id.clone());
            for document in page {
                let kick: Kick = serde_json::from_str(&document.body)
                    .map_err(|error| StorageError::unreadable("a kick list", error.to_string()))?;
                all.push(kick);
            }
            if is_last {
                break;
            }
        }
        let now_ms = self.clock.now_ms();
        all.retain(|kick| kick.until_ms > now_ms);
        Ok(all)
    }

    /// Puts a list in force, with what else belongs to that commit.
    ///
    /// # Errors
    /// When there are too many, or storage fails.
    pub async fn add(&self, actor: &Actor, kick: Kick, more: Vec<Write>) -> Result<(), KickError> {
        let _writing = self.writing.lock().await;
        if self.all().await?.len() >= LISTS_MAX {
            return Err(KickError::TooMany);
        }
        let body = serde_json::to_string(&kick).expect("words and numbers are JSON");
        let detail =
            serde_json::json!({"members": kick.members.len(), "where": kick.plan, "reason": kick.reason});
        let audit = AuditEntry::by(actor, kick.at_ms, "create", "kick", &kick.id).with(&detail);
        let mut writes = more;
        writes.push(Write::Put { kind: DocumentKind::Kick, id: kick.id, body, expect: Some(0) });
        self.write(kick.at_ms, writes, audit).await
    }

    /// Takes a list out of force, and forgets those that are over.
    ///
    /// # Errors
    /// When there is none, or storage fails.
    pub async fn remove(&self, actor: &Actor, id: &str) -> Result<(), KickError> {
        let _writing = self.writing.lock().await;
        let now_ms = self.clock.now_ms();
        self.storage.document(DocumentKind::Kick, id).await?.ok_or(KickError::Unknown)?;
        let write = Write::Delete { kind: DocumentKind::Kick, id: id.to_owned() };
        self.write(now_ms, vec![write], AuditEntry::by(actor, now_ms, "delete", "kick", id)).await
    }

    /// Takes a member out of every list, as a pardon does; returns how many lists named them.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn forget(&self, actor: &Actor, account: &str, member: &str) -> Result<usize, KickError> {
        let _writing = self.writing.lock().await;
        let now_ms = self.clock.now_ms();
        let mut writes = Vec::new();
        for mut kick in self.all().await? {
            if kick.account != account || !kick.members.remove(member) {
                continue;
            }
            writes.push(if kick.members.is_empty() {
                Write::Delete { kind: DocumentKind::Kick, id: kick.id }
            } else {
                let body = serde_json::to_string(&kick).expect("words and numbers are JSON");
                Write::Put { kind: DocumentKind::Kick, id: kick.id, body, expect: None }
            });
        }
        let lists = writes.len();
        if lists > 0 {
            let id = format!("{account}/{member}");
            self.write(now_ms, writes, AuditEntry::by(actor, now_ms, "delete", "kick", &id)).await?;
        }
        Ok(lists)
    }

    async fn write(&self, at_ms: i64, writes: Vec<Write>, audit: AuditEntry) -> Result<(), KickError> {
        self.storage.apply(Change { at_ms, writes, audit: vec![audit], ..Change::default() }).await?;
        Ok(self.reload().await?)
    }

    async fn reload(&self) -> Result<(), StorageError> {
        let mut index = Index::new();
        for kick in self.all().await? {
            let kick = Arc::new(kick);
            for member in &kick.members {
                let of_account = index.entry(kick.account.clone()).or_default();
                of_account.entry(member.clone()).or_default().push(Arc::clone(&kick));
            }
        }
        self.index.store(Arc::new(index));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::event::{OperatorId, RegionId, Scope};
    use crate::storage::{Config, memory};

    const MEMBERS: [&str; 4] = ["u-1", "u-2", "u-3", "u-4"];

    #[derive(Clone, Debug)]
    enum Happens {
        /// A list of these members, for the east or for all, for so many hours.
        Add(Vec<usize>, bool, i64),
        /// The same request again.
        Again(usize),
        Remove(usize),
        Forget(usize),
        Wait(u64),
        Restart,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            4 => (vec(0..MEMBERS.len(), 1..4), any::<bool>(), 1..30_i64).prop_map(|(who, east, hours)| Happens::Add(who, east, hours)),
            1 => (0..6_usize).prop_map(Happens::Again),
            2 => (0..6_usize).prop_map(Happens::Remove),
            2 => (0..MEMBERS.len()).prop_map(Happens::Forget),
            2 => (1..20_u64).prop_map(Happens::Wait),
            1 => Just(Happens::Restart),
        ]
    }

    fn actor() -> Actor {
        Actor { operator: OperatorId::parse("op").unwrap(), token: None, scope: Scope::everything() }
    }

    fn place(region: &str) -> Place {
        Place { region: Some(RegionId::parse(region).unwrap()), ..Place::default() }
    }

    fn kick(nth: usize, who: &[usize], is_east: bool, (at_ms, hours): (i64, i64)) -> Kick {
        let regions = is_east.then(|| RegionId::parse("east").unwrap()).into_iter().collect();
        Kick {
            id: format!("kck_{nth:03}"),
            account: "demo".into(),
            members: who.iter().map(|who| MEMBERS[*who].to_owned()).collect(),
            plan: Plan { regions, ..Plan::default() },
            until_ms: at_ms + hours * 3_600_000,
            reason: "x".into(),
            by: "op".into(),
            at_ms,
        }
    }

    /// Plays a story; the oracle is a plain list that is looked through.
    async fn play(story: Vec<Happens>) {
        let (clock, disk) = (Clock::manual(1_790_000_000_000), memory::Disk::new([3; 16]));
        let storage = memory::open(&disk, &Config::default()).unwrap();
        let mut kicks = Kicks::open(Arc::clone(&storage), clock.clone()).await.unwrap();
        let mut lists: Vec<Kick> = Vec::new();
        for (nth, what) in story.into_iter().enumerate() {
            let now_ms = clock.now_ms();
            match what {
                Happens::Add(who, is_east, hours) => {
                    let new = kick(nth, &who, is_east, (now_ms, hours));
                    kicks.add(&actor(), new.clone(), Vec::new()).await.unwrap();
                    lists.push(new);
                }
                Happens::Again(of) => {
                    if let Some(known) = lists.get(of) {
                        kicks.add(&actor(), known.clone(), Vec::new()).await.unwrap_err();
                    }
                }
                Happens::Remove(of) if of < lists.len() => {
                    let gone = lists.remove(of);
                    kicks.remove(&actor(), &gone.id).await.unwrap();
                    let again = kicks.remove(&actor(), &gone.id).await;
                    assert!(matches!(again, Err(KickError::Unknown)), "{again:?}");
                }
                Happens::Remove(_) => {}
                Happens::Forget(who) => {
                    let named = lists.iter_mut().filter(|list| list.until_ms > now_ms);
                    let named =
                        named.filter_map(|list| list.members.remove(MEMBERS[who]).then_some(())).count();
                    let forget = async || kicks.forget(&actor(), "demo", MEMBERS[who]).await.unwrap();
                    assert_eq!((forget().await, forget().await), (named, 0));
                    lists.retain(|list| !list.members.is_empty());
                }
                Happens::Wait(hours) => clock.advance(Duration::from_hours(hours)),
                Happens::Restart => kicks = Kicks::open(Arc::clone(&storage), clock.clone()).await.unwrap(),
            }
            let now_ms = clock.now_ms();
            let in_force: Vec<&Kick> = lists.iter().filter(|list| list.until_ms > now_ms).collect();
            assert_eq!(kicks.all().await.unwrap().iter().collect::<Vec<_>>(), in_force);
            for member in MEMBERS {
                for region in ["east", "west"] {
                    let holds = |list: &&&Kick| {
                        list.members.contains(member) && (region == "east" || list.plan.regions.is_empty())
                    };
                    let found = kicks.find("demo", member, &place(region), &[], now_ms);
                    let expect = in_force.iter().find(holds).map(|list| &list.id);
                    assert_eq!(found.as_ref().map(|list| &list.id), expect, "{member} in the {region}");
                }
                assert_eq!(kicks.find("other", member, &place("east"), &[], now_ms), None);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever comes in whichever order, twice, over restarts: whoever is to be kept out is whom a look through all
        /// lists finds.
        #[test]
        fn lists_hold_as_a_plain_look_at_all_of_them_says(story in vec(happens(), 1..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(play(story));
        }
    }
}
