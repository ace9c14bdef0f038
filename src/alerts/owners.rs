//! Notices to owners: what happens within a while is gathered, durably, and told at once, and not at night.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::follower::blocking;
use super::{Config, Parts, To, Untold, millis};
use crate::conduct::by_hand::Todo;
use crate::storage::{Change, Document, DocumentKind, StorageError, Write};
use crate::telemetry::metrics::Alert;

/// How long to wait after an owner could not be told.
const RETRY_MS: i64 = 10_000;
/// Notices that may wait; beyond it what happens is told to endpoints only.
const WAITING_MAX: usize = 10_000;
/// Groups counted one by one in a notice; those beyond it together.
const GROUPS_MAX: usize = 1_000;
/// Things to do that one notice can name; the rest is counted.
const NAMED_MAX: usize = 50;

/// What a notice is about, in words.
trait Words {
    /// In ids.
    fn word(self) -> &'static str;
    /// How long more of the same is waited for.
    fn wait_ms(self, config: &Config) -> i64;
    /// What the notice begins with.
    fn headline(self, count: u64, groups: u64) -> String;
    /// What is counted in each group.
    fn unit(self) -> &'static str;
}

impl Words for Alert {
    fn word(self) -> &'static str {
        match self {
            Alert::Left => "left",
            Alert::HandedOver => "handed",
            Alert::Unanswered => "asked",
            Alert::ByHand => "byhand",
            Alert::Case => "case",
        }
    }

    fn wait_ms(self, config: &Config) -> i64 {
        match self {
            Alert::Left | Alert::Unanswered | Alert::ByHand | Alert::Case => millis(config.batch),
            Alert::HandedOver => 0, // somebody waits for a person
        }
    }

    fn headline(self, count: u64, groups: u64) -> String {
        match self {
            Alert::Left => format!("退群提醒：{groups} 个群共 {count} 人退群"),
            Alert::HandedOver => format!("有 {count} 次请求人工服务，请尽快到群里回复"),
            Alert::Unanswered => format!("有 {count} 个问题没有人回复，请到群里看看"),
            Alert::ByHand => format!("有 {count} 件违规处置系统没有代办，请您在群里处理"),
            Alert::Case => format!("有 {count} 条广告同时出现在多个群"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Alert::Left => "人",
            Alert::HandedOver => "次",
            Alert::Unanswered => "个问题",
            Alert::ByHand => "件",
            Alert::Case => "条",
        }
    }
}

/// A notice that is being gathered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    /// Under which it is told.
    id: String,
    about: Alert,
    account: String,
    staff: String,
    due_ms: i64,
    count: u64,
    groups: BTreeMap<String, u64>,
    /// In groups beyond those.
    elsewhere: u64,
    /// What there is to do, as far as it is named.
    #[serde(default)]
    todo: Vec<Todo>,
}

impl Waiting {
    fn new(id: &str, about: Alert, (account, staff): (&str, &str), (now_ms, due_ms): (i64, i64)) -> Self {
        Self {
            // The moment makes it another notice than the one before; the rest, another owner's.
            id: format!("ntc_{}_{now_ms:x}_{:016x}", about.word(), hash(id)),
            about,
            account: account.to_owned(),
            staff: staff.to_owned(),
            due_ms,
            count: 0,
            groups: BTreeMap::new(),
            elsewhere: 0,
            todo: Vec::new(),
        }
    }

    fn count(&mut self, group: &str, todo: Option<&Todo>) {
        self.count += 1;
        if self.groups.len() < GROUPS_MAX || self.groups.contains_key(group) {
            *self.groups.entry(group.to_owned()).or_default() += 1;
        } else {
            self.elsewhere += 1;
        }
        self.todo.extend(todo.filter(|_| self.todo.len() < NAMED_MAX).cloned());
    }

    fn write(&self, id: String) -> Write {
        let body = serde_json::to_string(self).expect("strings and numbers are always JSON");
        Write::Put { kind: DocumentKind::OwnerNotice, id, body, expect: None }
    }

    fn headline(&self) -> String {
        self.about.headline(self.count, self.groups.len() as u64 + u64::from(self.elsewhere > 0))
    }

    /// Returns what can be said, the best first; the next is for when a wordlist blocks it.
    async fn texts(&self, parts: &Arc<Parts>) -> Result<Vec<String>, StorageError> {
        if self.todo.is_empty() {
            return Ok(vec![self.by_group(parts), self.headline()]);
        }
        let (waiting, parts) = (self.clone(), Arc::clone(parts));
        // Somebody may be called like an advert: then by their ids.
        blocking(parts, move |parts| {
            Ok(vec![waiting.by_todo(parts, true)?, waiting.by_todo(parts, false)?, waiting.headline()])
        })
        .await
    }

    /// Blocking.
    fn by_todo(&self, parts: &Parts, by_name: bool) -> Result<String, StorageError> {
        let mut text = self.headline();
        for todo in self.todo.iter().take(parts.config.groups_named_max) {
            let (account, group) = (&*todo.account, &*todo.group);
            let place = parts.around.group(account, group).name.unwrap_or_else(|| group.to_owned());
            let name = match todo.member.as_deref().filter(|_| by_name) {
                Some(member) => parts.storage.member(account, group, member)?.and_then(|row| row.name),
                None => None,
            };
            let whom = name.as_deref().or(todo.member.as_deref()).unwrap_or("某成员");
            text.extend(["\n· ", &place, "：", &todo.words(whom)]);
        }
        if self.count > self.todo.len().min(parts.config.groups_named_max) as u64 {
            text += "\n· ……";
        }
        Ok(text)
    }

    fn by_group(&self, parts: &Parts) -> String {
        let named_max = parts.config.groups_named_max;
        let mut text = self.headline();
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (group, count) in groups.iter().take(named_max) {
            let name = parts.around.group(&self.account, group).name.unwrap_or_else(|| (*group).clone());
            text.extend(["\n· ", &name, "：", &count.to_string(), " ", self.about.unit()]);
        }
        if groups.len() > named_max || self.elsewhere > 0 {
            text += "\n· ……";
        }
        text
    }
}

/// All notices that are being gathered.
#[derive(Debug, Default)]
pub(super) struct Owners {
    waiting: BTreeMap<String, Waiting>,
}

impl Owners {
    /// Reads what the last run left.
    pub(super) fn read(documents: &[Document]) -> Result<Self, StorageError> {
        let read = |document: &Document| match serde_json::from_str(&document.body) {
            Ok(waiting) => Ok((document.id.clone(), waiting)),
            Err(error) => Err(StorageError::Unreadable {
                what: format!("a notice to an owner, {}", document.id),
                detail: error.to_string(),
            }),
        };
        Ok(Self { waiting: documents.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Adds something that happened in a group; returns the document to write.
    pub(super) fn add(
        &mut self,
        about: Alert,
        (account, group): (&str, &str),
        staff: &str,
        todo: Option<&Todo>,
        (now_ms, config): (i64, &Config),
    ) -> Option<Write> {
        let id = [about.word(), account, staff].join("/");
        let is_full = self.waiting.len() >= WAITING_MAX;
        if is_full && !self.waiting.contains_key(&id) {
            return None;
        }
        let due_ms = now_ms.saturating_add(about.wait_ms(config));
        let waiting = self.waiting.entry(id.clone());
        let waiting = waiting.or_insert_with(|| Waiting::new(&id, about, (account, staff), (now_ms, due_ms)));
        waiting.count(group, todo);
        Some(waiting.write(id))
    }

    /// Adds something that a decision leaves to an owner: due at once, in a notice of that decision's own.
    pub(super) fn ask(&mut self, staff: &str, todo: &Todo, now_ms: i64) {
        let id = [Alert::ByHand.word(), &todo.account, staff, &todo.asked].join("/");
        let waiting = self
            .waiting
            .entry(id.clone())
            .or_insert_with(|| Waiting::new(&id, Alert::ByHand, (&todo.account, staff), (now_ms, now_ms)));
        waiting.count(&todo.group, Some(todo));
    }

    /// Returns the documents of all of them.
    pub(super) fn writes(&self) -> Vec<Write> {
        self.waiting.iter().map(|(id, waiting)| waiting.write(id.clone())).collect()
    }

    /// Takes in what others have written.
    pub(super) fn adopt(&mut self, documents: &[Document]) -> Result<(), StorageError> {
        for (id, waiting) in Self::read(documents)?.waiting {
            self.waiting.entry(id).or_insert(waiting);
        }
        Ok(())
    }

    /// Tells what is due, and forgets it.
    pub(super) async fn tell(&mut self, parts: &Arc<Parts>) -> Result<(), StorageError> {
        let now_ms = parts.clock.now_ms();
        if self.waiting.values().all(|waiting| waiting.due_ms > now_ms) || is_quiet(parts, now_ms) {
            return Ok(());
        }
        let due: Vec<String> =
            self.waiting.iter().filter(|(_, one)| one.due_ms <= now_ms).map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            let Waiting { id: notice, account, staff, .. } = &*waiting;
            let mut told = Err(Untold::Blocked);
            for text in waiting.texts(parts).await? {
                told = parts.teller.tell(notice, account, To::Staff(staff), text).await;
                if told != Err(Untold::Blocked) {
                    break;
                }
            }
            match told {
                Ok(()) => {}
                Err(Untold::Blocked) => {
                    tracing::warn!(
                        notice.id = waiting.id,
                        "an owner is not told: a wordlist blocks our own words"
                    );
                }
                Err(Untold::Never(why)) => {
                    tracing::warn!(
                        notice.id = waiting.id,
                        account.id = waiting.account,
                        why,
                        "an owner cannot be told"
                    );
                }
                Err(Untold::Later(why)) => {
                    tracing::warn!(notice.id = waiting.id, why, "tell an owner; tried again");
                    waiting.due_ms = now_ms.saturating_add(RETRY_MS);
                    continue;
                }
            }
            // A crash before this tells it again under the same id, which is then known.
            let writes = vec![Write::Delete { kind: DocumentKind::OwnerNotice, id: id.clone() }];
            parts.storage.apply(Change { at_ms: now_ms, writes, ..Change::default() }).await?;
            self.waiting.remove(&id);
        }
        Ok(())
    }
}

fn is_quiet(parts: &Parts, now_ms: i64) -> bool {
    let Ok(now) = Timestamp::from_millisecond(now_ms) else { return false };
    parts.config.quiet.contain(now.to_zoned(parts.around.zone()).time())
}

// Not random: a notice that is made again after a crash has the same id.
fn hash(of: &str) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}
