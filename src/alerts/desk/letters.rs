//! What people are told of alerts through their platforms: written in the commit of the notice, sent afterwards, forgotten
//! when the way to them has taken it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::told::{self, notice_id, people_of, person, told_levels};
use super::unreadable;
use crate::alerts::episode::{About, Level, Notice, What};
use crate::alerts::terms::{Recipient, Terms};
use crate::alerts::watch::Language;
use crate::alerts::{Config, Surroundings, Teller, To, Untold, words};
use crate::storage::{Document, DocumentKind, StorageError, Write};
use crate::telemetry::metrics;

/// How long to wait after somebody could not be told.
const RETRY_MS: i64 = 10_000;
/// How long that is tried: afterwards it is no news.
const KEEP_MS: i64 = 24 * 3_600_000;
/// Letters that wait; beyond it endpoints are told only.
const WAITING_MAX: usize = 10_000;

/// Something to be told to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// Under which it is told.
    pub(super) id: String,
    account: String,
    group: Option<String>,
    staff: Option<String>,
    /// What can be said, the best first; the next is for when a wordlist blocks it.
    texts: Vec<String>,
    written_ms: i64,
    due_ms: i64,
}

/// All letters that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters(BTreeMap<String, Letter>);

impl Letters {
    pub(super) fn read(documents: &[Document]) -> Result<Self, StorageError> {
        let read = |document: &Document| match serde_json::from_str(&document.body) {
            Ok(letter) => Ok((document.id.clone(), letter)),
            Err(error) => Err(unreadable(&format!("letter {}", document.id), error.to_string())),
        };
        Ok(Self(documents.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Writes letters of a notice.
    pub(super) fn write(
        &mut self,
        notice: &Notice,
        terms: &Terms,
        around: &dyn Surroundings,
        config: &Config,
    ) -> Vec<Write> {
        let texts = texts(notice, around, config.watch.language);
        let mut writes = Vec::new();
        for (nth, (account, group, staff)) in to(notice, terms, around, config).into_iter().enumerate() {
            if self.0.len() >= WAITING_MAX {
                metrics::alerts::left_out(1);
                continue;
            }
            let id = format!("ntc_{}_{nth}", notice_id(notice));
            let (written_ms, due_ms) = (notice.at_ms, notice.at_ms);
            let letter =
                Letter { id: id.clone(), account, group, staff, texts: texts.clone(), written_ms, due_ms };
            let body = serde_json::to_string(&letter).expect("strings and numbers are always JSON");
            let kind = DocumentKind::AlertLetter;
            writes.push(Write::Put { kind, id: id.clone(), body, expect: None });
            self.0.insert(id, letter);
        }
        writes
    }

    /// Returns one that is due.
    pub(super) fn due(&self, now_ms: i64) -> Option<Letter> {
        self.0.values().find(|letter| letter.due_ms <= now_ms).cloned()
    }

    /// It could not be told now.
    pub(super) fn later(&mut self, id: &str, now_ms: i64) {
        if let Some(letter) = self.0.get_mut(id) {
            letter.due_ms = now_ms.saturating_add(RETRY_MS);
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }
}

type Address = (String, Option<String>, Option<String>);

/// Returns who is told of a notice, each once.
fn to(notice: &Notice, terms: &Terms, around: &dyn Surroundings, config: &Config) -> Vec<Address> {
    let alert = &notice.alert;
    let people = people_of(alert, around);
    let levels = match &notice.what {
        What::Assigned { .. } => Vec::new(),
        What::Opened | What::Passed => match alert.about {
            About::One { .. } => vec![Level::ShopManager],
            About::Storm { .. } => vec![Level::Region],
        },
        What::Escalated { to, .. } => vec![*to],
        What::Recovered => told_levels(alert, &terms.own.steps),
    };
    let mut to = Vec::new();
    if let Some(account) = &alert.place.account {
        let mut staff: Vec<String> = Vec::new();
        if terms.people {
            staff.extend(levels.iter().filter_map(|level| person(*level, &people)));
        }
        if let What::Assigned { to } = &notice.what {
            staff.push(to.clone());
        }
        to.extend(staff.into_iter().map(|staff| (account.clone(), None, Some(staff))));
    }
    if !matches!(notice.what, What::Assigned { .. }) {
        terms.tell.iter().for_each(|recipient| add(&mut to, recipient));
    }
    if levels.contains(&Level::HeadOffice) {
        config.watch.head_office.iter().for_each(|recipient| add(&mut to, recipient));
    }
    to.sort();
    to.dedup();
    to
}

fn add(to: &mut Vec<Address>, recipient: &Recipient) {
    let Recipient { account, group, staff } = recipient;
    to.extend(group.iter().map(|group| (account.to_string(), Some(group.to_string()), None)));
    to.extend(staff.iter().map(|staff| (account.to_string(), None, Some(staff.clone()))));
}

/// Returns what is said of a notice, the best first.
fn texts(notice: &Notice, around: &dyn Surroundings, language: Language) -> Vec<String> {
    let alert = &notice.alert;
    let (zh, en) = words::title(alert.kind);
    let place = match (&alert.place.account, &alert.place.group) {
        (Some(account), Some(group)) => around.group(account, group).name.unwrap_or_else(|| group.clone()),
        (account, _) => alert.place.region.clone().or_else(|| account.clone()).unwrap_or_default(),
    };
    let (state_zh, state_en) = match &notice.what {
        What::Opened => (String::new(), String::new()),
        What::Escalated { to, .. } => {
            let (zh, en) = words::level(*to);
            (format!("（尚无人确认，已通知{zh}）"), format!(" (nobody has acknowledged it, {en} is told)"))
        }
        What::Assigned { to } => (format!("（交由 {to} 处理）"), format!(" (assigned to {to})")),
        What::Recovered => ("（已恢复）".to_owned(), " (recovered)".to_owned()),
        What::Passed => ("（已自行恢复）".to_owned(), " (came and went)".to_owned()),
    };
    let (why, todo) = (told::why(alert), words::todo(alert.kind));
    let is_over = matches!(notice.what, What::Recovered | What::Passed);
    let id = super::id_of(alert.number);
    let mut full = Vec::new();
    if language != Language::En {
        let todo = if is_over { String::new() } else { format!("\n建议：{}", todo.zh) };
        full.push(format!("【预警】{zh}{state_zh}：{place}\n{}{todo}\n编号 {id}", why.zh));
    }
    if language != Language::Zh {
        let todo = if is_over { String::new() } else { format!("\nWhat to do: {}", todo.en) };
        full.push(format!("[alert] {en}{state_en}: {place}\n{}{todo}\nno. {id}", why.en));
    }
    let short = if language == Language::En {
        format!("[alert] {id}{state_en}")
    } else {
        format!("【预警】编号 {id}{state_zh}")
    };
    vec![full.join("\n"), short]
}

/// Tells it; an error: to be tried again later.
pub(super) async fn tell(letter: &Letter, teller: &dyn Teller) -> Result<(), ()> {
    let Letter { id, account, group, staff, texts, written_ms, due_ms } = letter;
    let to = match (group, staff) {
        (Some(group), _) => To::Group(group),
        (None, Some(staff)) => To::Staff(staff),
        (None, None) => return Ok(()),
    };
    let mut told = Err(Untold::Blocked);
    for text in texts {
        told = teller.tell(id, account, to, text.clone()).await;
        if told != Err(Untold::Blocked) {
            break;
        }
    }
    match told {
        Ok(()) => Ok(()),
        Err(Untold::Later(why)) if due_ms.saturating_sub(*written_ms) < KEEP_MS => {
            tracing::warn!(notice.id = id, why, "tell people of an alert; tried again");
            Err(())
        }
        Err(Untold::Later(why) | Untold::Never(why)) => {
            tracing::warn!(notice.id = id, account.id = account, why, "people cannot be told of an alert");
            metrics::alerts::left_out(1);
            Ok(())
        }
        Err(Untold::Blocked) => {
            tracing::warn!(
                notice.id = id,
                "people are not told of an alert: a wordlist blocks our own words"
            );
            metrics::alerts::left_out(1);
            Ok(())
        }
    }
}
