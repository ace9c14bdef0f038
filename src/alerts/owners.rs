//! Notices to owners: what happens within a while is gathered, durably, and told at once, and not at night.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Config, Parts, Untold, millis};
use crate::storage::{Change, Document, DocumentKind, StorageError, Write};
use crate::telemetry::metrics::Alert;

/// How long to wait after an owner could not be told.
const RETRY_MS: i64 = 10_000;
/// Notices that may wait; beyond it what happens is told to endpoints only.
const WAITING_MAX: usize = 10_000;
/// Groups counted one by one in a notice; those beyond it together.
const GROUPS_MAX: usize = 1_000;

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
        }
    }

    fn wait_ms(self, config: &Config) -> i64 {
        match self {
            Alert::Left | Alert::Unanswered => millis(config.batch),
            Alert::HandedOver => 0, // somebody waits for a person
        }
    }

    fn headline(self, count: u64, groups: u64) -> String {
        match self {
            Alert::Left => format!("退群提醒：{groups} 个群共 {count} 人退群"),
            Alert::HandedOver => format!("有 {count} 次请求人工服务，请尽快到群里回复"),
            Alert::Unanswered => format!("有 {count} 个问题没有人回复，请到群里看看"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Alert::Left => "人",
            Alert::HandedOver => "次",
            Alert::Unanswered => "个问题",
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
}

impl Waiting {
    fn headline(&self) -> String {
        self.about.headline(self.count, self.groups.len() as u64 + u64::from(self.elsewhere > 0))
    }

    fn text(&self, parts: &Parts) -> String {
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
        now_ms: i64,
        config: &Config,
    ) -> Option<Write> {
        let id = [about.word(), account, staff].join("/");
        let is_full = self.waiting.len() >= WAITING_MAX;
        if is_full && !self.waiting.contains_key(&id) {
            return None;
        }
        let waiting = self.waiting.entry(id.clone()).or_insert_with(|| Waiting {
            // The moment makes it another notice than the one before; the rest, another owner's.
            id: format!("ntc_{}_{now_ms:x}_{:016x}", about.word(), hash(&id)),
            about,
            account: account.to_owned(),
            staff: staff.to_owned(),
            due_ms: now_ms.saturating_add(about.wait_ms(config)),
            count: 0,
            groups: BTreeMap::new(),
            elsewhere: 0,
        });
        waiting.count += 1;
        if waiting.groups.len() < GROUPS_MAX || waiting.groups.contains_key(group) {
            *waiting.groups.entry(group.to_owned()).or_default() += 1;
        } else {
            waiting.elsewhere += 1;
        }
        let body = serde_json::to_string(waiting).expect("strings and numbers are always JSON");
        Some(Write::Put { kind: DocumentKind::OwnerNotice, id, body, expect: None })
    }

    /// Tells what is due, and forgets it.
    pub(super) async fn tell(&mut self, parts: &Parts) -> Result<(), StorageError> {
        let now_ms = parts.clock.now_ms();
        if self.waiting.values().all(|waiting| waiting.due_ms > now_ms) || is_quiet(parts, now_ms) {
            return Ok(());
        }
        let due: Vec<String> =
            self.waiting.iter().filter(|(_, one)| one.due_ms <= now_ms).map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            let Waiting { id: notice, account, staff, .. } = &*waiting;
            let mut told = parts.teller.tell(notice, account, staff, waiting.text(parts)).await;
            if told == Err(Untold::Blocked) {
                told = parts.teller.tell(notice, account, staff, waiting.headline()).await;
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
