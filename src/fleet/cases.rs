//! What a person decides about a case: every message of it withdrawn at once, and every later copy; its authors taken out; or
//! nothing at all.
//!
//! A decision is one commit: itself, its deliveries, its audit entry. Later copies are withdrawn when the fleet stage has
//! written them down; each message has one delivery, whose id is derived, however often it is heard of.
//!
//! Not for: finding cases ([`super::spread`]), nor for who may see which groups (`api`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::runner::Copies;
use crate::clock::Clock;
use crate::conduct::by_hand::Todo;
use crate::conduct::ladder::Came;
use crate::event::{AccountId, ActionKind, Actor, Alike, EventKey, HOUR_MS, Place, SightedFact, Verdict};
use crate::outbox::delivery::{Delivery, Payload, Priority};
use crate::outbox::{Outbox, row_of};
use crate::storage::{
    AuditEntry, CaseMessage, CasePlace, Change, DeliveryFilter, DeliveryRow, DeliveryState, DocumentKind,
    SharedStorage, StatusChange, StorageError, Write,
};

/// Messages read at once.
const PAGE: usize = 1_000;
/// Decisions kept in memory and in the ledger: older ones have no copies any more.
const KEEP_MS: i64 = 90 * 24 * 3_600_000;
/// Copies of this age are made up for after a start.
const CATCH_UP_MS: i64 = 3_600_000;
/// How long it is tried to withdraw a message or to take a member out.
const EXPIRY_MS: i64 = 24 * 3_600_000;
/// The numbers of a message's deliveries that no event causes.
const WITHDRAWAL: usize = 60_000;
const REMOVAL: usize = 60_001;
/// How the rules begin by which people take members out: ids of cases and of kick lists.
const RULES: [&str; 2] = ["case_", "kck_"];
/// Removals of the hour that are added up after a start.
const RESUMED_MAX: usize = 10_000;

/// What a person decides about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseAct {
    /// All its messages are withdrawn, later copies too.
    Withdraw,
    /// Nothing is wrong with it; later copies are listed and nobody is told.
    Dismiss,
}

/// A decision, as it lies in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// What.
    pub act: CaseAct,
    /// Its authors are taken out too.
    pub removes: bool,
    /// The operator.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// Why, in their words.
    pub reason: String,
}

/// What was done, and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Done {
    /// Messages that the platform is asked to withdraw.
    pub withdrawn: u64,
    /// Messages that had been withdrawn or held back before.
    pub before: u64,
    /// Messages whose platform withdraws none, or whose id nobody knows: a person has to.
    pub not_withdrawn: u64,
    /// Members whom the platform is asked to take out.
    pub removed: u64,
    /// Members whose platform takes nobody out: a person has to.
    pub not_removed: u64,
    /// Members who stay because the removals of the hour are used up.
    pub over_budget: u64,
}

/// What a decision comes to.
#[derive(Debug, Default)]
struct Work {
    rows: Vec<DeliveryRow>,
    done: Done,
    /// For people.
    left: Vec<Todo>,
}

/// What a case holds, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its messages.
    pub messages: u64,
    /// Their authors, each with their group.
    pub members: BTreeSet<Who>,
    /// Its groups.
    pub groups: BTreeSet<(String, String)>,
    /// Messages by what they belong to it.
    pub by: BTreeMap<&'static str, u64>,
}

/// A member of a group: account, group, member.
pub type Who = (String, String, String);

type Whose<'a> = (&'a str, &'a str, Option<&'a str>);

/// What can be done in a group.
pub trait Powers: Send + Sync {
    /// Says whether messages can be withdrawn there.
    fn can_recall(&self, account: &str, group: &str) -> bool;
    /// Says whether members can be taken out there.
    fn can_remove(&self, account: &str, group: &str) -> bool;
    /// Says whether a member is one of those whom nothing is done to: staff, or one of ours.
    fn is_spared(&self, account: &str, group: &str, member: &str) -> bool;
    /// Spends one removal of the hour, if there is one left.
    fn spend(&self, account: &str, group: &str) -> bool;
    /// Adds a removal that was spent before a start, at that time.
    fn resume(&self, account: &str, group: &str, at_ms: i64);
    /// Makes what asks people to do what no program does, to be written in the commit that leaves it to them.
    fn ask(&self, left: &[Todo], at_ms: i64) -> (Vec<Write>, Vec<StatusChange>);
    /// That commit is made.
    fn asked(&self);
}

/// Why a case was not decided.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It was decided before.
    #[error("the case was decided before")]
    Before,
    /// Storage failed.
    #[error("decide a case")]
    Storage(#[from] StorageError),
}

/// The decisions about cases. One per gateway.
pub struct Cases {
    storage: SharedStorage,
    outbox: Arc<Outbox>,
    powers: Arc<dyn Powers>,
    clock: Clock,
    decided: RwLock<HashMap<String, Decided>>,
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cases({} decided)", self.decided.read().len())
    }
}

impl Cases {
    /// Reads what was decided, and makes up for copies that came just before the end.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn open(
        storage: SharedStorage,
        outbox: Arc<Outbox>,
        powers: Arc<dyn Powers>,
        clock: Clock,
    ) -> Result<Arc<Self>, StorageError> {
        let this = Self { storage, outbox, powers, clock, decided: RwLock::default() };
        let (mut after, now_ms) = (None, this.clock.now_ms());
        loop {
            let page = this.storage.documents(DocumentKind::CaseDecision, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|document| document.id.clone());
            for document in page {
                let decided: Decided = serde_json::from_str(&document.body)
                    .map_err(|error| StorageError::unreadable("a case's decision", error.to_string()))?;
                if now_ms - decided.at_ms > KEEP_MS {
                    let write = Write::Delete { kind: DocumentKind::CaseDecision, id: document.id };
                    this.storage
                        .apply(Change { at_ms: now_ms, writes: vec![write], ..Change::default() })
                        .await?;
                } else {
                    this.decided.write().insert(document.id, decided);
                }
            }
            if is_last {
                break;
            }
        }
        let withdrawn: Vec<String> = {
            let decided = this.decided.read();
            let withdraws = decided.iter().filter(|(_, decided)| decided.act == CaseAct::Withdraw);
            withdraws.map(|(case, _)| case.clone()).collect()
        };
        for case in withdrawn {
            let recent = |message: &CaseMessage| now_ms - message.at_ms < CATCH_UP_MS;
            let messages = this.messages(&case).await?.into_iter().filter(recent).collect::<Vec<_>>();
            this.withdraw(&case, &messages).await?;
        }
        this.resume_spent().await?;
        Ok(Arc::new(this))
    }

    /// Returns what was decided about a case.
    pub fn decided(&self, case: &str) -> Option<Decided> {
        self.decided.read().get(case).cloned()
    }

    /// Reads a page of a case's messages.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn page(
        &self,
        case: &str,
        after: Option<CasePlace>,
        limit: usize,
    ) -> Result<Vec<CaseMessage>, StorageError> {
        let (storage, case) = (self.storage.clone(), case.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            storage.project()?;
            storage.case_messages(&case, after, limit)
        });
        read.await
            .map_err(|error| StorageError::Failed { operation: "read a case", source: Box::new(error) })?
    }

    /// Counts what a case holds, as far as `sees` says.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub async fn contents(
        &self,
        case: &str,
        sees: impl Fn(&str, &str) -> bool,
    ) -> Result<Contents, StorageError> {
        let mut contents = Contents::default();
        for message in self.messages(case).await? {
            if !sees(&message.account, &message.group) {
                continue;
            }
            contents.messages += 1;
            *contents.by.entry(word(message.by)).or_default() += 1;
            if !message.member.is_empty() {
                let author = (message.account.clone(), message.group.clone(), message.member);
                contents.members.insert(author);
            }
            contents.groups.insert((message.account, message.group));
        }
        Ok(contents)
    }

    /// Decides a case, once, and does what follows in the same commit.
    ///
    /// # Errors
    /// When it was decided before, or storage fails: then nothing was done.
    pub async fn decide(&self, actor: &Actor, case: &str, decided: Decided) -> Result<Done, CaseError> {
        let messages = self.messages(case).await?;
        let mut work = Work::default();
        if decided.act == CaseAct::Withdraw {
            self.withdrawals(case, &messages, &mut work);
        }
        if decided.removes {
            let known = messages.iter().filter(|message| !message.member.is_empty());
            let who = known.map(|of| (of.account.clone(), of.group.clone(), of.member.clone()));
            self.removals(case, &who.collect::<BTreeSet<_>>(), &mut work);
        }
        let Work { rows, done, left } = work;
        let (accounts, (mut writes, told)) = (accounts_of(&rows), self.powers.ask(&left, decided.at_ms));
        let body = serde_json::to_string(&decided).expect("words and numbers are JSON");
        let (kind, id) = (DocumentKind::CaseDecision, case.to_owned());
        writes.push(Write::Put { kind, id, body, expect: Some(0) });
        let detail = serde_json::json!({"act": decided.act, "reason": decided.reason, "done": done});
        let change = Change {
            at_ms: decided.at_ms,
            writes,
            told,
            audit: vec![
                AuditEntry::by(actor, decided.at_ms, "decide", "case", case)
                    .at(&Place::default())
                    .with(&detail),
            ],
            deliveries: rows,
            ..Change::default()
        };
        self.storage.apply(change).await.map_err(|error| {
            if matches!(error, StorageError::Conflict { .. }) { CaseError::Before } else { error.into() }
        })?;
        self.powers.asked();
        let withdraws = decided.act == CaseAct::Withdraw;
        self.decided.write().insert(case.to_owned(), decided);
        self.outbox.look_through(&accounts).await;
        if withdraws {
            // What came between the reading and the decision; what is there already is left alone.
            let messages = self.messages(case).await?;
            self.withdraw(case, &messages).await?;
        }
        Ok(done)
    }

    async fn messages(&self, case: &str) -> Result<Vec<CaseMessage>, StorageError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(case, after.take(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(place_of);
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn withdraw(&self, case: &str, messages: &[CaseMessage]) -> Result<(), StorageError> {
        let mut work = Work::default();
        self.withdrawals(case, messages, &mut work);
        let rows = work.rows; // what nobody can withdraw is listed: later copies call no person
        if rows.is_empty() {
            return Ok(());
        }
        let accounts = accounts_of(&rows);
        self.storage.deliveries_add(rows).await?;
        self.outbox.look_through(&accounts).await;
        Ok(())
    }

    fn withdrawals(&self, case: &str, messages: &[CaseMessage], work: &mut Work) {
        for message in messages {
            let can = !message.of.is_empty() && self.powers.can_recall(&message.account, &message.group);
            if message.verdict == Verdict::Block {
                work.done.before += 1;
                continue;
            }
            let member = Some(message.member.as_str()).filter(|member| !member.is_empty());
            let whose = (message.account.as_str(), message.group.as_str(), member);
            if let Some(row) = can.then(|| self.row(case, whose, Some(&message.of))).flatten() {
                work.done.withdrawn += 1;
                work.rows.push(row);
            } else {
                work.done.not_withdrawn += 1;
                let of = Some(message.of.as_str()).filter(|of| !of.is_empty());
                work.left.push(todo(case, whose, ActionKind::Recall, Came::Unsupported, of));
            }
        }
    }

    fn removals<'w>(&self, rule: &str, who: impl IntoIterator<Item = &'w Who>, work: &mut Work) {
        for (account, group, member) in who {
            let whose = (account.as_str(), group.as_str(), Some(member.as_str()));
            if self.powers.is_spared(account, group, member) {
                continue;
            }
            if !self.powers.can_remove(account, group) {
                work.done.not_removed += 1;
                work.left.push(todo(rule, whose, ActionKind::Remove, Came::Unsupported, None));
            } else if !self.powers.spend(account, group) {
                work.done.over_budget += 1;
                work.left.push(todo(rule, whose, ActionKind::Remove, Came::OverBudget, None));
            } else if let Some(row) = self.row(rule, whose, None) {
                work.done.removed += 1;
                work.rows.push(row);
            }
        }
    }

    /// Takes members out of groups, as far as platforms can and the removals of the hour go; people are asked to do the rest.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn take_out(&self, rule: &str, who: &[Who]) -> Result<Done, StorageError> {
        let mut work = Work::default();
        self.removals(rule, who, &mut work);
        let Work { rows: deliveries, done, left } = work;
        let (at_ms, accounts) = (self.clock.now_ms(), accounts_of(&deliveries));
        let (writes, told) = self.powers.ask(&left, at_ms);
        self.storage.apply(Change { at_ms, writes, deliveries, told, ..Change::default() }).await?;
        self.powers.asked();
        self.outbox.look_through(&accounts).await;
        Ok(done)
    }

    /// Adds up the removals that people had spent of this hour before the start.
    async fn resume_spent(&self) -> Result<(), StorageError> {
        let hour_ms = self.clock.now_ms().div_euclid(HOUR_MS) * HOUR_MS;
        let kind = Some(ActionKind::Remove.as_str().to_owned());
        let filter =
            DeliveryFilter { kind, from_ms: Some(hour_ms), limit: RESUMED_MAX, ..DeliveryFilter::default() };
        for row in self.storage.deliveries(filter).await? {
            let Ok(delivery) = serde_json::from_str::<Delivery>(&row.body) else { continue };
            let asked_ms = row.expires_ms - EXPIRY_MS;
            if asked_ms >= hour_ms && RULES.iter().any(|of| delivery.rule.starts_with(of)) {
                self.powers.resume(&row.account, &row.group, asked_ms);
            }
        }
        Ok(())
    }

    /// Makes the delivery that withdraws a message, or without one takes a member out; of what cannot be named, none.
    fn row(&self, rule: &str, (account, group, member): Whose<'_>, of: Option<&str>) -> Option<DeliveryRow> {
        let secret = self.storage.dedupe_secret();
        let (action, number) =
            if of.is_some() { (ActionKind::Recall, WITHDRAWAL) } else { (ActionKind::Remove, REMOVAL) };
        // A message is withdrawn once for all; a member may come again, and another rule may take them out again.
        let name = of.map_or_else(|| [rule, member.unwrap_or_default()].join("\u{1f}"), str::to_owned);
        let now_ms = self.clock.now_ms();
        let delivery = Delivery {
            id: EventKey::of(&secret, account, group, &name).delivery(number),
            account: AccountId::parse(account).ok()?,
            group: group.to_owned(),
            member: member.map(str::to_owned),
            kind: action.as_str().to_owned(),
            rule: rule.to_owned(),
            priority: Priority::Urgent,
            payload: Payload::Action { action, of: of.map(str::to_owned) },
            broadcast: None,
            expires_ms: now_ms.saturating_add(EXPIRY_MS),
            cost: 1,
        };
        Some(row_of(&delivery, None, DeliveryState::Pending, now_ms))
    }
}

#[async_trait]
impl Copies for Cases {
    async fn seen(&self, sightings: &[SightedFact<'static>]) -> Result<(), StorageError> {
        let mut by_case: BTreeMap<&str, Vec<CaseMessage>> = BTreeMap::new();
        {
            let decided = self.decided.read();
            for sighting in sightings {
                let decided = decided.get(&*sighting.case);
                if decided.is_some_and(|decided| decided.act == CaseAct::Withdraw) {
                    by_case.entry(&sighting.case).or_default().push(message_of(sighting));
                }
            }
        }
        for (case, messages) in by_case {
            self.withdraw(case, &messages).await?;
        }
        Ok(())
    }
}

fn todo(
    asked: &str,
    (account, group, member): Whose<'_>,
    action: ActionKind,
    came: Came,
    of: Option<&str>,
) -> Todo {
    Todo {
        account: account.to_owned(),
        group: group.to_owned(),
        member: member.map(str::to_owned),
        action,
        came,
        of: of.map(str::to_owned),
        asked: asked.to_owned(),
    }
}

/// Returns where a message stands among those of its case.
pub fn place_of(message: &CaseMessage) -> CasePlace {
    (message.at_ms, message.account.clone(), message.group.clone(), message.of.clone())
}

fn message_of(sighting: &SightedFact<'_>) -> CaseMessage {
    CaseMessage {
        case: sighting.case.to_string(),
        account: sighting.account.to_string(),
        group: sighting.group.to_string(),
        member: sighting.member.as_deref().unwrap_or_default().to_owned(),
        of: sighting.of.as_deref().unwrap_or_default().to_owned(),
        at_ms: sighting.at_ms,
        by: sighting.by,
        verdict: sighting.verdict,
    }
}

fn accounts_of(rows: &[DeliveryRow]) -> Vec<AccountId> {
    let accounts: BTreeSet<&str> = rows.iter().map(|row| row.account.as_str()).collect();
    accounts.into_iter().filter_map(|account| AccountId::parse(account).ok()).collect()
}

/// Returns the word of what makes messages belong together.
fn word(by: Alike) -> &'static str {
    match by {
        Alike::Text => "text",
        Alike::Near => "near",
        Alike::Link => "link",
        Alike::Contact => "contact",
        Alike::File => "file",
    }
}
