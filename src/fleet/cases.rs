//! What a person decides about a case: every message of it withdrawn at once, and every later copy; its authors taken out; or
//! nothing at all.
//!
//! A decision is one commit: itself, its deliveries, its audit entry. Another may take its place: from then on nothing more
//! follows from the first. Later copies are withdrawn when the fleet stage has
//! written them down; each message has one delivery, whose id is derived, however often it is heard of.
//!
//! Not for: finding cases ([`super::spread`]), nor for who may see which groups (`api`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::removals::{Expelled, NotTaken, Order, Who};
use super::runner::Copies;
use crate::clock::Clock;
use crate::conduct::by_hand::Todo;
use crate::conduct::ladder::Came;
use crate::event::{AccountId, ActionKind, Actor, EventKey, Place, SightedFact, Verdict};
use crate::outbox::delivery::{Delivery, Payload, Priority};
use crate::outbox::{Outbox, row_of};
use crate::storage::{
    AuditEntry, CASE_DECIDED, CalledOff, CaseMessage, CasePlace, Change, DeliveryRow, DeliveryState,
    DocumentKind, SharedStorage, StatusChange, StorageError, Subject, Write,
};

/// Messages read at once.
const PAGE: usize = 1_000;
/// Decisions kept in memory and in the ledger: older ones have no copies any more.
const KEEP_MS: i64 = 90 * 24 * 3_600_000;
/// Copies of this age are made up for after a start.
const CATCH_UP_MS: i64 = 3_600_000;
/// How long it is tried to withdraw a message.
const EXPIRY_MS: i64 = 24 * 3_600_000;
/// The number of a message's delivery that no event causes; later decisions count on from it.
const WITHDRAWAL: usize = 60_000;

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
    /// The act that stood before, where it was decided anew.
    #[serde(default)]
    pub replaces: Option<CaseAct>,
    /// How many decisions came before: a message is withdrawn anew by each that says so.
    #[serde(default)]
    pub round: u32,
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
    /// Members who stay because the removals of the hour are used up: a review waits for each.
    pub over_budget: u64,
    /// Members who are asked for as soon as storage takes it.
    pub waiting: u64,
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
    /// Their authors, each with each of their groups.
    pub members: BTreeSet<Who>,
    /// Its groups.
    pub groups: BTreeSet<(String, String)>,
    /// Messages by what they belong to it.
    pub by: BTreeMap<&'static str, u64>,
}

impl Contents {
    /// Counts its authors, each once.
    pub fn people(&self) -> usize {
        self.members.iter().map(|(account, _, member)| (account, member)).collect::<BTreeSet<_>>().len()
    }
}

type Whose<'a> = (&'a str, &'a str, Option<&'a str>);

/// What can be done in groups.
#[async_trait]
pub trait Powers: Send + Sync {
    /// Says whether messages can be withdrawn there.
    fn can_recall(&self, account: &str, group: &str) -> bool;
    /// Takes members out, as far as platforms can and the removals of the hour go; durable when it returns. Staff and our
    /// own are spared.
    async fn expel(&self, order: &Order) -> Result<Expelled, NotTaken>;
    /// Makes what asks people to do what no program does, to be written in the commit that leaves it to them.
    fn ask(&self, left: &[Todo], at_ms: i64) -> (Vec<Write>, Vec<StatusChange>);
    /// That commit is made.
    fn asked(&self);
}

/// Why a case was not decided.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// Another act stands than the one that is to be replaced; `None`: nobody has decided yet.
    #[error("the case stands otherwise")]
    Stands(Option<CaseAct>),
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
    /// Held while something is decided or follows from a decision: none of it follows from one that is replaced.
    deciding: tokio::sync::Mutex<()>,
    /// Decided, and not asked for yet: the last run ended before, or storage did not take it.
    unfinished: Mutex<Vec<Order>>,
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
        let (decided, unfinished) = (RwLock::default(), Mutex::default());
        let deciding = tokio::sync::Mutex::default();
        let this = Self { storage, outbox, powers, clock, decided, deciding, unfinished };
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
        for document in this.storage.documents(DocumentKind::Removals, None, 0).await? {
            this.unfinished.lock().push(Order::read(&document)?);
        }
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
            *contents.by.entry(message.by.as_str()).or_default() += 1;
            if !message.member.is_empty() {
                let author = (message.account.clone(), message.group.clone(), message.member);
                contents.members.insert(author);
            }
            contents.groups.insert((message.account, message.group));
        }
        Ok(contents)
    }

    /// Decides a case and does what follows, in one commit; anew only where `replaces` names the act that stands. What the
    /// former decision would still have done is not done any more.
    ///
    /// # Errors
    /// When it stands otherwise, or storage fails: then nothing was done.
    pub async fn decide(&self, actor: &Actor, case: &str, mut decided: Decided) -> Result<Done, CaseError> {
        let _one_at_a_time = self.deciding.lock().await;
        let standing = self.decided(case);
        if standing.as_ref().map(|standing| standing.act) != decided.replaces {
            return Err(CaseError::Stands(standing.map(|standing| standing.act)));
        }
        decided.round = standing.as_ref().map_or(0, |standing| standing.round.saturating_add(1));
        let messages = self.messages(case).await?;
        let mut work = Work::default();
        if decided.act == CaseAct::Withdraw {
            self.withdrawals((case, decided.round), &messages, &mut work);
        }
        let order = decided.removes.then(|| order_of(case, &messages, decided.at_ms));
        let Work { rows, mut done, left } = work;
        let accounts = accounts_of(&rows);
        let mut change = change_of(actor, case, &decided, (&done, order.as_ref()));
        let (asks, told) = self.powers.ask(&left, decided.at_ms);
        (change.deliveries, change.called_off) = (rows, self.called_off(case, standing.as_ref(), &messages));
        change.writes.extend(asks.into_iter().chain(order.as_ref().map(Order::write)));
        change.told.extend(told);
        change.writes.extend(self.unfinished.lock().iter().filter(|of| of.asked == case).map(Order::done));
        self.storage.apply(change).await?;
        self.unfinished.lock().retain(|of| of.asked != case);
        self.powers.asked();
        let withdraws = decided.act == CaseAct::Withdraw;
        self.decided.write().insert(case.to_owned(), decided);
        self.outbox.look_through(&accounts).await;
        if withdraws {
            // What came between the reading and the decision; what is there already is left alone.
            let messages = self.messages(case).await?;
            self.withdraw(case, &messages).await?;
        }
        if let Some(order) = order {
            self.expel(order, &mut done).await;
        }
        Ok(done)
    }

    /// Names the withdrawals of a decision that is replaced: those that nobody has begun are called off.
    fn called_off(&self, case: &str, standing: Option<&Decided>, messages: &[CaseMessage]) -> Vec<CalledOff> {
        let Some(standing) = standing.filter(|standing| standing.act == CaseAct::Withdraw) else {
            return Vec::new();
        };
        let mut work = Work::default();
        self.withdrawals((case, standing.round), messages, &mut work);
        let (code, detail) = ("decided_anew", "somebody has decided the case anew");
        let off =
            |row: DeliveryRow| CalledOff { id: row.id, code: code.to_owned(), detail: detail.to_owned() };
        work.rows.into_iter().map(off).collect()
    }

    /// Carries out an order that was written down; what cannot be now is tried again until it can.
    pub async fn expel(&self, order: Order, done: &mut Done) {
        match self.powers.expel(&order).await {
            Ok(expelled) => {
                for came in expelled.into_iter().flatten() {
                    match came {
                        Came::Queued => done.removed += 1,
                        Came::Unsupported => done.not_removed += 1,
                        Came::OverBudget => done.over_budget += 1,
                    }
                }
                let (at_ms, writes) = (self.clock.now_ms(), vec![order.done()]);
                let forgotten = self.storage.apply(Change { at_ms, writes, ..Change::default() }).await;
                if let Err(error) = forgotten {
                    tracing::warn!(%error, rule.id = order.asked, "note that members were taken out: done again");
                    self.unfinished.lock().push(order); // each of them is known
                }
            }
            Err(error) => {
                tracing::warn!(%error, rule.id = order.asked, "members are taken out later");
                done.waiting += order.who.len() as u64;
                self.unfinished.lock().push(order);
            }
        }
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
        let standing = self.decided(case).filter(|decided| decided.act == CaseAct::Withdraw);
        let Some(Decided { round, .. }) = standing else { return Ok(()) };
        self.withdrawals((case, round), messages, &mut work);
        let rows = work.rows; // what nobody can withdraw is listed: later copies call no person
        if rows.is_empty() {
            return Ok(());
        }
        let accounts = accounts_of(&rows);
        self.storage.deliveries_add(rows).await?;
        self.outbox.look_through(&accounts).await;
        Ok(())
    }

    fn withdrawals(&self, (case, round): (&str, u32), messages: &[CaseMessage], work: &mut Work) {
        for message in messages {
            let can = !message.of.is_empty() && self.powers.can_recall(&message.account, &message.group);
            if message.verdict == Verdict::Block {
                work.done.before += 1;
                continue;
            }
            let member = Some(message.member.as_str()).filter(|member| !member.is_empty());
            let whose = (message.account.as_str(), message.group.as_str(), member);
            if let Some(row) = can.then(|| self.row((case, round), whose, &message.of)).flatten() {
                work.done.withdrawn += 1;
                work.rows.push(row);
            } else {
                work.done.not_withdrawn += 1;
                let of = Some(message.of.as_str()).filter(|of| !of.is_empty());
                work.left.push(todo(case, whose, of));
            }
        }
    }

    /// Makes the delivery that withdraws a message; of what cannot be named, none.
    fn row(
        &self,
        (rule, round): (&str, u32),
        (account, group, member): Whose<'_>,
        of: &str,
    ) -> Option<DeliveryRow> {
        let number = WITHDRAWAL + usize::try_from(round).ok()?;
        let (action, now_ms) = (ActionKind::Recall, self.clock.now_ms());
        let delivery = Delivery {
            id: EventKey::of(&self.storage.dedupe_secret(), account, group, of).delivery(number),
            account: AccountId::parse(account).ok()?,
            group: group.to_owned(),
            member: member.map(str::to_owned),
            kind: action.as_str().to_owned(),
            rule: rule.to_owned(),
            priority: Priority::Urgent,
            payload: Payload::Action { action, of: Some(of.to_owned()) },
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
        let _one_at_a_time = self.deciding.lock().await;
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

    async fn go_on(&self) {
        let _one_at_a_time = self.deciding.lock().await;
        let orders = std::mem::take(&mut *self.unfinished.lock());
        for order in orders {
            self.expel(order, &mut Done::default()).await;
        }
    }
}

/// Makes the change that writes a decision down and tells of it.
fn change_of(actor: &Actor, case: &str, decided: &Decided, (done, order): (&Done, Option<&Order>)) -> Change {
    let Decided { act, replaces, at_ms, .. } = *decided;
    let body = serde_json::to_string(decided).expect("words and numbers are JSON");
    let (kind, id) = (DocumentKind::CaseDecision, case.to_owned());
    let members = order.map_or(0, |order| order.who.len());
    let detail = serde_json::json!({
        "act": act, "replaces": replaces, "reason": decided.reason, "done": done, "members": members,
    });
    let audit = AuditEntry::by(actor, at_ms, "decide", "case", case).at(&Place::default()).with(&detail);
    let context = serde_json::json!({"act": act, "replaces": replaces, "removals": members});
    let told =
        StatusChange::happened(Subject::Case, CASE_DECIDED, case.to_owned(), at_ms, ("", ""), &context);
    let writes = vec![Write::Put { kind, id, body, expect: replaces.is_none().then_some(0) }];
    Change { at_ms, writes, told: vec![told], audit: vec![audit], ..Change::default() }
}

/// Returns the order to take out whoever is known to have written a message of a case, in each of its groups.
fn order_of(case: &str, messages: &[CaseMessage], at_ms: i64) -> Order {
    let known = messages.iter().filter(|message| !message.member.is_empty());
    let who: BTreeSet<Who> =
        known.map(|of| (of.account.clone(), of.group.clone(), of.member.clone())).collect();
    let (rule, asked) = (Order::CASE.to_owned(), case.to_owned());
    Order { rule, asked, at_ms, who: who.into_iter().collect() }
}

fn todo(asked: &str, (account, group, member): Whose<'_>, of: Option<&str>) -> Todo {
    Todo {
        account: account.to_owned(),
        group: group.to_owned(),
        member: member.map(str::to_owned),
        action: ActionKind::Recall,
        came: Came::Unsupported,
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
