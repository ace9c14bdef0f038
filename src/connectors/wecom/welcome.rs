//! The greeting of a new contact, by a code that lives twenty seconds and works once.
//!
//! Because a code works once, a call that was lost is simply made again while the code lives: it cannot greet twice.
//! 41051 ("sent already, or they have begun to talk") then has two readings. Alone it is final and says so. After a lost
//! call of ours it settles the delivery as sent: the code was good, it was used within our seconds, and the call that was
//! there to use it was ours. Another app may have won in the same seconds; either way the customer was greeted once, and
//! there is nothing left that anybody could do.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::api::Api;
use super::client::Done;
use super::content::{Limit, Unfit, render_link};
use super::deliver::Acts;
use super::error::{ApiError, Code};
use crate::event::DeliveryId;
use crate::outbox::delivery::{Content, Decision, Delivery, Outcome, Refusal, RefusalScope, Resolution};

/// The code is wrong or too old.
const EXPIRED: i64 = 41050;
/// It was used, or they have begun to talk.
const USED: i64 = 41051;

/// Most lost calls remembered: what an account can lose in twenty seconds, generously.
const LOST_MAX: usize = 1_000;

/// Greetings whose call was lost, newest last. After a restart there is none, and no code is that old.
#[derive(Debug, Default)]
pub(super) struct LostWelcomes(Mutex<VecDeque<DeliveryId>>);

impl LostWelcomes {
    fn remember(&self, delivery: &DeliveryId) {
        let mut lost = self.0.lock();
        if lost.len() >= LOST_MAX {
            lost.pop_front();
        }
        lost.push_back(delivery.clone());
    }

    fn has(&self, delivery: &DeliveryId) -> bool {
        self.0.lock().contains(delivery)
    }
}

impl Acts {
    pub(super) async fn greet(
        &self,
        delivery: &Delivery,
        code: &str,
        text: &str,
        attachments: &[Content],
    ) -> Outcome {
        let attached = match rendered(text, attachments) {
            Ok(attached) => attached,
            Err(unfit) => return unfit.into(),
        };
        if delivery.expires_ms != 0 && delivery.expires_ms <= self.clock.now_ms() {
            return expired("the code's twenty seconds were over before the call".to_owned());
        }
        let mut body = json!({ "welcome_code": code, "text": { "content": text } });
        if !attached.is_empty() {
            body["attachments"] = attached.into();
        }
        match self.client.call::<_, Done>(Api::SendWelcome, &body).await {
            Ok(_) => Outcome::Sent { platform_id: None },
            Err(error) if error.is(EXPIRED) => expired(error.words().1),
            Err(error) if error.is(USED) && self.lost_welcomes.has(&delivery.id) => {
                Outcome::Sent { platform_id: None }
            }
            Err(error) if error.is(USED) => never("welcome_already_sent", error.words().1),
            Err(error) => {
                if may_have_arrived(&error) {
                    self.lost_welcomes.remember(&delivery.id);
                }
                error.outcome()
            }
        }
    }

    pub(super) fn resolve_welcome(&self, delivery: &Delivery) -> Resolution {
        if delivery.expires_ms == 0 || self.clock.now_ms() < delivery.expires_ms {
            Resolution::SafeToRepeat
        } else {
            Resolution::Unknown
        }
    }
}

/// Checks the text and writes what goes with it.
fn rendered(text: &str, attachments: &[Content]) -> Result<Vec<Value>, Unfit> {
    Limit::TASK_TEXT.check("text", text)?;
    let each = attachments.iter().enumerate().map(|(nth, content)| {
        let Content::Link { link } = content else {
            return Err(Unfit::new(
                "unsupported",
                format!("attachments[{nth}]: only a `link` goes with a greeting"),
            ));
        };
        let part = render_link(&format!("attachments[{nth}]"), link)?;
        Ok(json!({ "msgtype": "link", "link": part }))
    });
    each.collect()
}

/// The interface may be called again, so its lost calls are not uncertain to the client; what the next answer means
/// depends on them all the same.
fn may_have_arrived(error: &ApiError) -> bool {
    match error.code {
        Code::Lost | Code::Unreadable => true,
        Code::Http(status) => status >= 500,
        Code::Errcode(_) | Code::Ssrf | Code::Connect | Code::Quota | Code::NoSecret | Code::State => false,
    }
}

fn expired(detail: String) -> Outcome {
    never("welcome_code_expired", detail)
}

fn never(code: &str, detail: String) -> Outcome {
    let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
    Outcome::Refused(Refusal { decision, scope, code: code.to_owned(), detail })
}
