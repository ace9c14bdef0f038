//! App messages: one member of staff, one to one.
//!
//! WeCom can drop the same content to the same member for a while (`enable_duplicate_check`): the nearest thing to an id
//! of ours. It compares content, and an id cannot be hidden in it: whatever is added, people see. So two rules follow.
//!
//! - A delivery that says what *another* delivery told the same member within [`CHECK`] goes out unchecked: checked, it
//!   would be swallowed and counted as sent. If its call is lost, nobody can say what became of it.
//! - A repeat is safe only inside [`CHECK`] of the first call, and only if that one was checked. The book says so, also
//!   after a restart.
//!
//! Which other deliveries said the same is kept in memory: in the half hour after a restart a second alert of the very
//! same words may be dropped by the platform.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::api::Api;
use super::book::{Entry, millis};
use super::content::{Message, Unfit};
use super::deliver::Acts;
use super::send::Way;
use crate::connectors::StateError;
use crate::event::DeliveryId;
use crate::outbox::delivery::{Decision, Delivery, Outcome, Refusal, RefusalScope, Resolution};

/// How long WeCom drops repeats: its own default, and far longer than it takes us to ask again.
const CHECK: Duration = Duration::from_mins(30);
/// How long after a first call a repeat is taken to arrive inside [`CHECK`]: with time to be queued and made.
const REPEATED_WITHIN: Duration = Duration::from_mins(28);
/// Most messages remembered; older ones are forgotten first.
const SAID_MAX: usize = 20_000;

/// What was lately told to whom, oldest first.
#[derive(Debug, Default)]
pub(super) struct LatelySaid(Mutex<VecDeque<Said>>);

#[derive(Debug)]
struct Said {
    what: [u8; 32],
    delivery: DeliveryId,
    at_ms: i64,
}

impl LatelySaid {
    /// Notes a message; says whether another delivery told the same within [`CHECK`].
    fn note(&self, member: &str, message: &Message, delivery: &DeliveryId, now_ms: i64) -> bool {
        let what = digest(member, message);
        let mut said = self.0.lock();
        while said.front().is_some_and(|first| first.at_ms.saturating_add(millis(CHECK)) <= now_ms) {
            said.pop_front();
        }
        let by_another = said.iter().any(|said| said.what == what && said.delivery != *delivery);
        if said.len() >= SAID_MAX {
            said.pop_front();
        }
        said.push_back(Said { what, delivery: delivery.clone(), at_ms: now_ms });
        by_another
    }
}

/// The file itself counts, not the id it gets.
fn digest(member: &str, message: &Message) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(member.len().to_le_bytes());
    digest.update(member);
    digest.update(Value::Object(message.fields(None)).to_string());
    if let Some(upload) = &message.upload {
        digest.update(&upload.name);
        digest.update(&upload.bytes);
    }
    digest.finalize().into()
}

impl Acts {
    pub(super) async fn tell(&self, delivery: &Delivery, member: &str, message: &Message) -> Outcome {
        let Some(agent_id) = self.agent_id else {
            let detail = "the account's settings have no `agent_id`: without an app nobody speaks to staff";
            return Unfit::new("no_agent", detail).into();
        };
        // Both stand for more than one person: an alert for one member must never reach a whole company.
        if member == "@all" || member.contains('|') {
            return Unfit::new("bad_member", "`member` must be the userid of one member").into();
        }
        let entry = match self.open_call(delivery, member, message).await {
            Ok(Entry { answer: Some(answer), .. }) => return sent(&answer),
            Ok(entry) => entry,
            Err(error) => return not_written(Api::MessageSend, &error),
        };
        let is_safe = entry.is_checked && self.is_within_check(entry.first_ms);
        if entry.calls > 1 && !is_safe {
            // It waited for its turn until WeCom would take a repeat for something new.
            let detail = "an earlier call is in doubt, and WeCom no longer drops a repeat of it".to_owned();
            return Outcome::Uncertain { detail };
        }
        let check_s = entry.is_checked.then_some(CHECK.as_secs());
        let told = self.send(Way::Member { agent_id, member, check_s }, message).await;
        match told {
            Ok(told) => match told.refused() {
                None => {
                    let id = told.msgid.unwrap_or_default();
                    self.book.answered(&delivery.id, entry, &id).await;
                    sent(&id)
                }
                Some((code, detail)) => {
                    self.book.refused(&delivery.id, &entry).await;
                    Unfit::new(code, detail).into()
                }
            },
            Err(outcome) => {
                if matches!(outcome, Outcome::Refused(_)) {
                    self.book.refused(&delivery.id, &entry).await;
                }
                outcome
            }
        }
    }

    async fn open_call(
        &self,
        delivery: &Delivery,
        member: &str,
        message: &Message,
    ) -> Result<Entry, StateError> {
        let now_ms = self.clock.now_ms();
        let said_by_another = self.said.note(member, message, &delivery.id, now_ms);
        self.book.open(&delivery.id, !said_by_another).await
    }

    /// What is known of a message in doubt.
    pub(super) async fn resolve_told(&self, delivery: &DeliveryId) -> Resolution {
        match self.book.find(delivery).await {
            Ok(Some(Entry { answer: Some(_), .. })) => Resolution::Sent,
            Ok(Some(entry)) if entry.is_checked && self.is_within_check(entry.first_ms) => {
                Resolution::SafeToRepeat
            }
            Ok(Some(_)) => Resolution::Unknown,
            // No call is made that is not in the book.
            Ok(None) => Resolution::NotSent,
            Err(error) => {
                tracing::warn!(delivery.id = %delivery, %error, "look up a message in doubt");
                Resolution::Unknown
            }
        }
    }

    fn is_within_check(&self, first_ms: i64) -> bool {
        self.clock.now_ms() < first_ms.saturating_add(millis(REPEATED_WITHIN))
    }
}

fn sent(id: &str) -> Outcome {
    Outcome::Sent { platform_id: (!id.is_empty()).then(|| id.to_owned()) }
}

/// A call that cannot be written down is not made.
pub(super) fn not_written(api: Api, error: &StateError) -> Outcome {
    Outcome::Refused(Refusal {
        decision: Decision::Backoff,
        scope: RefusalScope::Account,
        code: "state".to_owned(),
        detail: format!("{}: not called, because it could not be written down: {error}", api.path()),
    })
}
