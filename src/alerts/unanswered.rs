//! Questions that nobody answered: what staff are told, and what is kept of each for the report.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Around, Found, Said, millis};
use crate::clock::Clock;
use crate::near::Sketch;
use crate::questions::{Asked, Config};
use crate::storage::{Change, Document, DocumentKind, SharedStorage, StorageError, Subject, Write};
use crate::telemetry::metrics::Alert;

/// The state that a question is told to be in.
pub(super) const STATE: &str = "unanswered";
/// Documents read or removed at once.
const PAGE: usize = 500;

/// A question without an answer, as it lies in the ledger: never its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// `qu_` and the time it was asked.
    pub id: String,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Who asked.
    pub member: String,
    /// The event's id as its sender gave it.
    pub event: String,
    /// When.
    pub at_ms: i64,
    /// Until when it waited for an answer.
    pub deadline_ms: i64,
    /// Under which its text is kept, if it is.
    pub evidence: String,
    /// By which questions are known that are alike.
    pub sketch: Sketch,
}

impl Question {
    fn of(asked: Asked) -> Self {
        let Asked { key, account, group, member, event, at_ms, deadline_ms, sketch, .. } = asked;
        let (id, evidence) = (id_at(at_ms, key.0), key.evidence());
        Self { id, account, group, member, event, at_ms, deadline_ms, evidence, sketch }
    }
}

/// Makes an id that sorts by time: what came first is first.
fn id_at(ms: i64, unique: u128) -> String {
    format!("qu_{:012x}{:016x}", ms.max(0), unique >> 64)
}

/// Says what is told of a question that nobody answered.
pub(super) fn of(asked: Asked, around: &Around) -> Found {
    let question = Question::of(asked);
    let context = json!({
        "member": question.member,
        "event": question.event,
        "question": question.id,
        "shop": around.place.shop,
        "region": around.place.region,
        "deadline": jiff::Timestamp::from_millisecond(question.deadline_ms).unwrap_or_default().to_string(),
    });
    Found {
        kind: Alert::Unanswered,
        subject: Subject::Question,
        state: STATE,
        id: question.id.clone(),
        at_ms: question.at_ms,
        account: question.account.clone(),
        group: question.group.clone(),
        context,
        said: vec![Said { event: question.event.clone(), evidence: question.evidence.clone() }],
        document: Some(Write::Put {
            kind: DocumentKind::Question,
            id: question.id.clone(),
            body: serde_json::to_string(&question).expect("strings and numbers are always JSON"),
            expect: Some(0),
        }),
        todo: None,
    }
}

/// Questions without an answer that are kept.
#[derive(Debug, PartialEq)]
pub struct Kept {
    /// The earliest first.
    pub questions: Vec<Question>,
    /// There are more.
    pub more: bool,
}

/// Returns questions asked since a time and before another that `passes`, the earliest first, so many at most.
///
/// # Errors
/// When storage cannot be read.
pub async fn between(
    storage: &SharedStorage,
    (from_ms, until_ms): (i64, i64),
    max: usize,
    passes: impl Fn(&Question) -> bool,
) -> Result<Kept, StorageError> {
    let (mut after, until) = (Some(id_at(from_ms, 0)), id_at(until_ms, 0));
    let mut questions = Vec::new();
    loop {
        let page = storage.documents(DocumentKind::Question, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|document| document.id.clone());
        for document in page {
            if document.id >= until {
                return Ok(Kept { questions, more: false });
            }
            let question = read(&document)?;
            if passes(&question) {
                if questions.len() == max {
                    return Ok(Kept { questions, more: true });
                }
                questions.push(question);
            }
        }
        if is_last {
            return Ok(Kept { questions, more: false });
        }
    }
}

fn read(document: &Document) -> Result<Question, StorageError> {
    serde_json::from_str(&document.body).map_err(|error| StorageError::Unreadable {
        what: format!("question {}", document.id),
        detail: error.to_string(),
    })
}

/// Removes what is too old and what is too much. Call it every few minutes.
///
/// # Errors
/// When storage fails; the next call goes on.
pub async fn tidy(storage: &SharedStorage, clock: &Clock, config: &Config) -> Result<(), StorageError> {
    let now_ms = clock.now_ms();
    let oldest = id_at(now_ms.saturating_sub(millis(config.keep)), 0);
    let (mut kept, mut after) = (0_usize, None);
    loop {
        let page = storage.documents(DocumentKind::Question, after, PAGE).await?;
        kept += page.len();
        after = page.last().map(|document| document.id.clone());
        if page.len() < PAGE {
            break;
        }
    }
    let mut surplus = kept.saturating_sub(config.kept_max);
    loop {
        let page = storage.documents(DocumentKind::Question, None, PAGE).await?;
        let writes: Vec<_> = page
            .into_iter()
            .enumerate()
            .take_while(|(nth, document)| *nth < surplus || document.id < oldest)
            .map(|(_, document)| Write::Delete { kind: DocumentKind::Question, id: document.id })
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        surplus = surplus.saturating_sub(writes.len());
        storage.apply(Change { at_ms: now_ms, writes, ..Change::default() }).await?;
    }
}
