//! A mass send whose answer was lost: is there a task, and is it ours?
//!
//! The list has no id of ours in it. A task is ours if the same owner has it, made since our first call, with the same
//! text and the same things going with it, as far as the list tells of them, and for groups of ours: two broadcasts of one
//! text to one owner are told apart by their groups. The verdict:
//!
//! - exactly one task: it is ours;
//! - several: nobody can say which, a person must look;
//! - none, the list read to its end and [`LISTED_WITHIN`] after the last call: it was not made;
//! - anything unread, or too early: not known yet;
//! - the platform away, or the limit of a list used up: it was not asked.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Acts, Api, ApiError, Asked, Entry, Page, attached};
use crate::connectors::wecom::book::millis;
use crate::event::DeliveryId;
use crate::outbox::delivery::Resolution;

/// Tasks of one page of the list.
const LIST_PAGE: usize = 100;
/// How long after the call a task that was made is listed at the latest.
const LISTED_WITHIN: Duration = Duration::from_mins(1);
/// How far the platform's clock may be from ours.
const SKEW: Duration = Duration::from_mins(2);
/// Longest time one list may span.
const SPAN_MAX: Duration = Duration::from_hours(30 * 24);
/// After this long an empty list says nothing any more.
const REMEMBERED_FOR: Duration = Duration::from_hours(25 * 24);
/// Tasks made by the corp and by members themselves: which of the two an app's are listed under is no fact.
const ALL_TASKS: u8 = 2;

#[derive(Deserialize)]
struct ListPage {
    #[serde(default)]
    group_msg_list: Vec<Listed>,
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct Listed {
    msgid: String,
    #[serde(default)]
    creator: String,
    #[serde(default)]
    text: ListedText,
    /// Missing, it says nothing; empty, it says that nothing goes with the text.
    #[serde(default)]
    attachments: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
struct ListedText {
    #[serde(default)]
    content: String,
}

impl Page for ListPage {
    type Row = Listed;

    fn take(self) -> (Vec<Listed>, String) {
        (self.group_msg_list, self.next_cursor)
    }
}

/// What the list shows.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    One(String),
    Several,
}

/// White space aside: a platform that trims a text must not make us send it again.
pub(super) fn is_same(ours: &str, theirs: &str) -> bool {
    let ours = ours.chars().filter(|c| !c.is_whitespace());
    ours.eq(theirs.chars().filter(|c| !c.is_whitespace()))
}

impl Acts {
    pub(in crate::connectors::wecom) async fn resolve_mass_send(
        &self,
        delivery: &DeliveryId,
        asked: Asked<'_>,
    ) -> Resolution {
        let entry = match self.book.find(delivery).await {
            Ok(Some(entry)) => entry,
            // No call is made that is not in the book.
            Ok(None) => return Resolution::NotSent,
            Err(error) => {
                tracing::warn!(delivery.id = %delivery, %error, "look up a mass send in doubt");
                return Resolution::Unknown;
            }
        };
        if let Some(platform_id) = entry.answer {
            return Resolution::Awaiting { platform_id };
        }
        match self.find_task(&entry, asked).await {
            Ok(Found::One(platform_id)) => {
                self.book.answered(delivery, entry, &platform_id).await;
                Resolution::Awaiting { platform_id }
            }
            Ok(Found::Several) => {
                tracing::warn!(delivery.id = %delivery, "several tasks of this owner say this to these groups");
                Resolution::Unknown
            }
            // Long after the call an empty list may only mean that the platform has forgotten.
            Ok(Found::Nothing) if self.is_listed_by_now(&entry) && !self.is_long_ago(&entry) => {
                Resolution::NotSent
            }
            Ok(Found::Nothing) => Resolution::Unknown,
            Err(error) => {
                tracing::warn!(delivery.id = %delivery, code = error.code_text(), "look for a mass send in doubt");
                if error.says_nothing() { Resolution::NotAsked } else { Resolution::Unknown }
            }
        }
    }

    fn is_long_ago(&self, entry: &Entry) -> bool {
        self.clock.now_ms() >= entry.first_ms.saturating_add(millis(REMEMBERED_FOR))
    }

    fn is_listed_by_now(&self, entry: &Entry) -> bool {
        self.clock.now_ms() >= entry.last_ms.saturating_add(millis(LISTED_WITHIN))
    }

    async fn find_task(&self, entry: &Entry, asked: Asked<'_>) -> Result<Found, ApiError> {
        let Asked { sender, targets, text, attachments } = asked;
        let start_ms = entry.first_ms.saturating_sub(millis(SKEW));
        let end_ms = self.clock.now_ms().saturating_add(millis(SKEW));
        let body = json!({
            "chat_type": "group",
            "start_time": start_ms.div_euclid(1_000),
            "end_time": end_ms.min(start_ms.saturating_add(millis(SPAN_MAX))).div_euclid(1_000),
            // Not asked by `creator`: tasks made by the interface may be listed without one. What is said and the groups tell.
            "filter_type": ALL_TASKS,
            "limit": LIST_PAGE,
        });
        let listed = self.pages::<ListPage>(Api::ListMassSends, body).await?;
        let mut found = Found::Nothing;
        for task in listed {
            let is_senders = task.creator.is_empty() || task.creator == sender;
            let says = is_same(text, &task.text.content)
                && task.attachments.is_none_or(|theirs| attached::may_be(attachments, &theirs));
            if !is_senders || !says {
                continue;
            }
            if !self.is_for(&task.msgid, sender, targets).await? {
                continue;
            }
            found = match found {
                Found::Nothing => Found::One(task.msgid),
                Found::One(_) | Found::Several => Found::Several,
            };
        }
        Ok(found)
    }

    /// Says whether a task is for groups of ours. One whose groups are not told yet may be: that is an error, so that
    /// nothing is concluded from it.
    async fn is_for(&self, task: &str, sender: &str, targets: &[(u32, String)]) -> Result<bool, ApiError> {
        let results = self.results(task, sender).await?;
        let mut told =
            results.iter().map(|result| result.chat_id.as_str()).filter(|group| !group.is_empty()).peekable();
        if told.peek().is_none() {
            return Err(ApiError::new(Api::MassSendResults, super::Code::Unreadable)
                .with_detail("a task that says this does not tell its groups"));
        }
        Ok(told.any(|group| targets.iter().any(|(_, ours)| ours == group)))
    }
}
