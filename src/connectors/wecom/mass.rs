//! Mass sends (群发任务): a task by which one owner sends the same to groups they own, once they have confirmed it. A task
//! carries a text and what goes with it (`attached`).
//!
//! Nothing is sent by our call, and the platform takes the same call twice without a word. So a call whose answer was
//! lost is looked for in the platform's own list (`doubt`), and never made again blindly.

mod attached;
mod doubt;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::api::Api;
use super::book::Entry;
use super::client::Done;
use super::content::{Limit, Unfit};
use super::deliver::Acts;
use super::error::{ApiError, Code};
use super::message::not_written;
use super::send::BAD_MEDIA_ID;
use crate::connectors::offers::{MassSends, PlatformError, ReceivingCap, TargetResult, TaskProgress};
use crate::event::DeliveryId;
use crate::outbox::delivery::{Content, Outcome};
use attached::Attachment;

/// Most groups of one task.
const TARGETS_MAX: usize = 2_000;
/// Most things that go with a task's text.
const ATTACHMENTS_MAX: usize = 9;
/// Entries of one page of tasks' members and results.
const PAGE: usize = 1_000;
/// Most pages read of one list; a task has at most two pages of results.
const PAGES_MAX: usize = 100;
/// The platform is still handing the task out.
const DISPATCHING: i64 = 41063;
/// The task was cancelled.
const CANCELLED: i64 = 41093;
/// The person was reminded as often as they may be: three times a day.
const REMIND_CAP: i64 = 41094;

/// A list that comes page by page.
trait Page: DeserializeOwned {
    type Row;

    fn take(self) -> (Vec<Self::Row>, String);
}

#[derive(Deserialize)]
struct TaskPage {
    #[serde(default)]
    task_list: Vec<MemberTask>,
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct MemberTask {
    userid: String,
    #[serde(default)]
    status: i64,
    #[serde(default)]
    send_time: Option<i64>,
}

impl MemberTask {
    /// An SDK says 2, a sample answer of the vendor's shows 1: neither means anything else anywhere.
    fn is_confirmed(&self) -> bool {
        matches!(self.status, 1 | 2)
    }
}

impl Page for TaskPage {
    type Row = MemberTask;

    fn take(self) -> (Vec<MemberTask>, String) {
        (self.task_list, self.next_cursor)
    }
}

#[derive(Deserialize)]
struct ResultPage {
    #[serde(default)]
    send_list: Vec<SendResult>,
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct SendResult {
    #[serde(default)]
    chat_id: String,
    #[serde(default)]
    status: i64,
}

impl SendResult {
    fn result(&self) -> TargetResult {
        match self.status {
            0 => TargetResult::Unsent,
            1 => TargetResult::Sent,
            2 => TargetResult::Failed("not_a_friend"),
            3 => TargetResult::Failed("already_received"),
            _ => TargetResult::Failed("refused"),
        }
    }
}

impl Page for ResultPage {
    type Row = SendResult;

    fn take(self) -> (Vec<SendResult>, String) {
        (self.send_list, self.next_cursor)
    }
}

#[derive(Serialize)]
struct Task<'a> {
    chat_type: &'static str,
    sender: &'a str,
    chat_id_list: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Value>,
}

#[derive(Serialize)]
struct Text<'a> {
    content: &'a str,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    msgid: String,
    #[serde(default, deserialize_with = "list")]
    fail_list: Vec<String>,
}

/// An empty list may come as null.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What a task is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The owner who is to confirm it.
    pub(super) sender: &'a str,
    /// The groups.
    pub(super) targets: &'a [(u32, String)],
    /// May be empty where something goes with it.
    pub(super) text: &'a str,
    /// What goes with the text.
    pub(super) attachments: &'a [Content],
}

fn check(asked: Asked<'_>) -> Result<(), Unfit> {
    let Asked { sender, targets, text, attachments } = asked;
    if attachments.is_empty() || !text.is_empty() {
        Limit::TASK_TEXT.check("text", text)?;
    }
    if attachments.len() > ATTACHMENTS_MAX {
        let detail = format!("`attachments` has {}, {ATTACHMENTS_MAX} at most", attachments.len());
        return Err(Unfit::new("wrong_count", detail));
    }
    if sender.is_empty() {
        return Err(Unfit::new(
            "no_sender",
            "`sender` is empty: a mass send needs the owner who confirms it",
        ));
    }
    // Without groups the owner would pick them in the client, whichever they like.
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        let detail = format!("`targets` has {}, 1 to {TARGETS_MAX} are taken", targets.len());
        return Err(Unfit::new("wrong_count", detail));
    }
    Ok(())
}

/// A task that can be one, but for the ids of the files it needs.
struct Draft<'a> {
    asked: Asked<'a>,
    attachments: Vec<Attachment<'a>>,
}

impl<'a> Draft<'a> {
    fn read(asked: Asked<'a>) -> Result<Self, Unfit> {
        check(asked)?;
        Ok(Self { asked, attachments: attached::read(asked.attachments)? })
    }

    fn needs_files(&self) -> bool {
        self.attachments.iter().any(|attachment| attachment.file.is_some())
    }

    /// Writes the call; `ids` has one for each attachment that needs a file.
    fn body(&self, ids: &[Option<String>]) -> Task<'a> {
        let id = |nth: usize| ids.get(nth).and_then(Option::as_deref);
        let attachments = self.attachments.iter().enumerate();
        Task {
            chat_type: "group",
            sender: self.asked.sender,
            chat_id_list: self.asked.targets.iter().map(|(_, group)| group.as_str()).collect(),
            text: (!self.asked.text.is_empty()).then_some(Text { content: self.asked.text }),
            attachments: attachments.map(|(nth, attachment)| attachment.written(id(nth))).collect(),
        }
    }
}

/// Returns the task as it would be created, without the ids of files.
pub(super) fn rendered(asked: Asked<'_>) -> Result<Value, Unfit> {
    Draft::read(asked).map(|draft| json!(draft.body(&[])))
}

impl Acts {
    pub(super) async fn mass_send(&self, delivery: &DeliveryId, asked: Asked<'_>) -> Outcome {
        let draft = match Draft::read(asked) {
            Ok(draft) => draft,
            Err(unfit) => return unfit.into(),
        };
        if !draft.needs_files() {
            return self.make_task(delivery, &draft).await;
        }
        // For a task that is there no file is fetched: one that cannot be would hide it.
        match self.book.find(delivery).await {
            Ok(Some(Entry { answer: Some(task), .. })) => {
                return Outcome::AwaitingConfirmation { platform_id: task };
            }
            Ok(_) => {}
            Err(error) => return not_written(Api::AddMassSend, &error),
        }
        let outcome = self.make_task(delivery, &draft).await;
        let Outcome::Refused(refusal) = &outcome else { return outcome };
        if refusal.code != BAD_MEDIA_ID.to_string() {
            return outcome;
        }
        // Older than three days by the platform's count, or somebody else's: uploaded once more.
        let files = draft.attachments.iter().filter_map(|attachment| attachment.file.as_ref());
        files.for_each(|file| self.forget_file(file));
        self.make_task(delivery, &draft).await
    }

    async fn make_task(&self, delivery: &DeliveryId, draft: &Draft<'_>) -> Outcome {
        let mut ids = Vec::with_capacity(draft.attachments.len());
        for attachment in &draft.attachments {
            ids.push(match &attachment.file {
                Some(file) => match self.file_id(file).await {
                    Ok(id) => Some(id),
                    Err(outcome) => return outcome,
                },
                None => None,
            });
        }
        let body = draft.body(&ids);
        let entry = match self.book.open(delivery, false).await {
            Ok(Entry { answer: Some(task), .. }) => {
                return Outcome::AwaitingConfirmation { platform_id: task };
            }
            Ok(entry) => entry,
            Err(error) => return not_written(Api::AddMassSend, &error),
        };
        match self.client.call::<_, Created>(Api::AddMassSend, &body).await {
            // The task is there, and its id is the only thing that can be asked about it.
            Ok(created) if created.msgid.is_empty() => {
                ApiError::new(Api::AddMassSend, Code::Unreadable).with_detail("no msgid").outcome()
            }
            Ok(created) => {
                if !created.fail_list.is_empty() {
                    self.book.note_refused(&created.msgid, &created.fail_list).await;
                }
                self.book.answered(delivery, entry, &created.msgid).await;
                Outcome::AwaitingConfirmation { platform_id: created.msgid }
            }
            Err(error) => {
                let outcome = error.outcome();
                if matches!(outcome, Outcome::Refused(_)) {
                    self.book.refused(delivery, &entry).await;
                }
                outcome
            }
        }
    }

    /// Reads a list to its end.
    ///
    /// # Errors
    /// Also when it has no end: half a list is none.
    async fn pages<P: Page>(&self, api: Api, mut body: Value) -> Result<Vec<P::Row>, ApiError> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            body["cursor"] = json!(cursor);
            let (more, next) = self.client.call::<_, P>(api, &body).await?.take();
            rows.extend(more);
            if next.is_empty() {
                return Ok(rows);
            }
            if next == cursor {
                break;
            }
            cursor = next;
        }
        Err(ApiError::new(api, Code::Unreadable).with_detail("the list does not end"))
    }

    async fn results(&self, task: &str, sender: &str) -> Result<Vec<SendResult>, ApiError> {
        let body = json!({ "msgid": task, "userid": sender, "limit": PAGE });
        self.pages::<ResultPage>(Api::MassSendResults, body).await
    }

    async fn read_progress(&self, task: &str, sender: &str) -> Result<TaskProgress, ApiError> {
        let body = json!({ "msgid": task, "limit": PAGE });
        let members = self.pages::<TaskPage>(Api::MassSendTasks, body).await?;
        let member = members.into_iter().find(|member| member.userid == sender);
        let confirmed = member.filter(MemberTask::is_confirmed);
        let mut progress = TaskProgress::default();
        // Until then every target is unsent, and four thousand owners are asked about.
        let Some(member) = confirmed else { return Ok(progress) };
        let seconds = member.send_time.filter(|seconds| *seconds > 0);
        progress.confirmed_ms =
            Some(seconds.map_or_else(|| self.clock.now_ms(), |seconds| seconds.saturating_mul(1_000)));
        let results = self.results(task, sender).await?;
        let told = results.into_iter().filter(|result| !result.chat_id.is_empty());
        progress.targets = told.map(|result| (result.chat_id.clone(), result.result())).collect();
        Ok(progress)
    }
}

/// Gives the codes that callers act on a name.
fn named(error: ApiError) -> PlatformError {
    let names = [(CANCELLED, "cancelled"), (REMIND_CAP, "remind_cap")];
    let name = names.into_iter().find(|(code, _)| error.is(*code));
    let error = PlatformError::from(error);
    match name {
        Some((_, name)) => PlatformError { code: name.to_owned(), ..error },
        None => error,
    }
}

#[async_trait]
impl MassSends for Acts {
    fn targets_max(&self) -> usize {
        TARGETS_MAX
    }

    fn takes(&self, content: &Content) -> bool {
        attached::takes(content)
    }

    fn receiving_cap(&self) -> Option<ReceivingCap> {
        Some(self.receiving_cap)
    }

    async fn progress(&self, task: &str, sender: &str) -> Result<TaskProgress, PlatformError> {
        let mut progress = match self.read_progress(task, sender).await {
            Ok(progress) => progress,
            Err(error) if error.is(DISPATCHING) => {
                return Ok(TaskProgress { is_dispatching: true, ..TaskProgress::default() });
            }
            Err(error) => return Err(named(error)),
        };
        for group in self.book.refused_of(task).await {
            if !progress.targets.iter().any(|(told, _)| *told == group) {
                progress.targets.push((group, TargetResult::Failed("refused")));
            }
        }
        Ok(progress)
    }

    async fn remind(&self, task: &str) -> Result<(), PlatformError> {
        let body = json!({ "msgid": task });
        let Done {} = self.client.call(Api::RemindMassSend, &body).await.map_err(named)?;
        Ok(())
    }

    async fn cancel(&self, task: &str) -> Result<(), PlatformError> {
        let body = json!({ "msgid": task });
        match self.client.call::<_, Done>(Api::CancelMassSend, &body).await {
            // What is asked for is so.
            Ok(_) => Ok(()),
            Err(error) if error.is(CANCELLED) => Ok(()),
            Err(error) => Err(named(error)),
        }
    }
}
