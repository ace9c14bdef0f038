//! The platform that can do everything and does nothing: it records what it was asked to do, for the tour and for tests.
//!
//! It takes no callbacks: whoever wants to play a member uses `POST /v1/events`, where a token says who they are. An
//! unsigned door beside it would be a way around access.
//!
//! What it offers beyond sends (`desk.rs`) works in memory, within a real platform's limits.
//!
//! The record lives in memory, holds our own texts (never a member's), and ends with the process. It shows a delivery as
//! often as it was made: a double send must be seen here.

#[cfg(test)]
mod conformance;
mod desk;
mod log;

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde::Deserialize;

use super::{
    AccountSpec, Callback, CallbackError, Capabilities, CapabilitySource, Connector, ContentType, GroupLife,
    Opened, OwnGroups, SelfCheck, SpecError, StaffInterception, WelcomeTemplates,
};
use crate::clock::Clock;
use crate::outbox::delivery::{
    Content, Decision, Deliver, Delivery, Outcome, Payload, Refusal, RefusalScope, Rendering, Resolution,
};
use desk::{Desk, Pretended};

pub use log::{SandboxLog, SandboxSend};

const fn source(flag: &'static str, source: &'static str) -> CapabilitySource {
    CapabilitySource { flag, source }
}

/// It does everything by recording it.
const RECORDED: &str = "the sandbox records whatever it is asked to do";
/// Its events come by `POST /v1/events`, whose answer comes before anybody is shown anything.
const BY_EVENTS: &str = "events come by POST /v1/events";

const SOURCES: &[CapabilitySource] = &[
    source("can_block_before", BY_EVENTS),
    source("can_recall", RECORDED),
    source("can_edit", RECORDED),
    source("can_mute", RECORDED),
    source("can_remove", RECORDED),
    source("can_post_into_group", RECORDED),
    source("can_welcome_by_code", RECORDED),
    source("sends_need_confirmation", RECORDED),
    source("gives_member_ids", BY_EVENTS),
    source("gives_message_text", BY_EVENTS),
    source("max_text_bytes", RECORDED),
    source("content_types", RECORDED),
    source("welcome_content_types", RECORDED),
];

/// Longest text it records, in bytes: longer than any platform takes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

fn refused(code: &str, detail: String) -> Refusal {
    let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
    Refusal { decision, scope, code: code.to_owned(), detail }
}

/// Whatever there is.
const CONTENT_TYPES: &[ContentType] = &[
    ContentType::Text,
    ContentType::Markdown,
    ContentType::Image,
    ContentType::Video,
    ContentType::File,
    ContentType::Link,
    ContentType::Miniprogram,
    ContentType::Voice,
    ContentType::News,
    ContentType::Card,
    ContentType::Reference,
];

/// One sandbox account.
#[derive(Debug)]
pub struct Sandbox {
    clock: Clock,
    log: Arc<SandboxLog>,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What its platform is pretended to be like.
    #[serde(default)]
    pretended: Pretended,
}

impl Sandbox {
    /// Its name as a platform.
    pub const PLATFORM: &str = "sandbox";

    /// Connects an account.
    ///
    /// # Errors
    /// It has no settings but what is pretended; any other is refused by name.
    pub fn build(spec: &AccountSpec, clock: &Clock, log: &Arc<SandboxLog>) -> Result<Self, SpecError> {
        let Settings { pretended } = spec.settings()?;
        Ok(Self { clock: clock.clone(), log: Arc::clone(log), desk: Desk::new(clock.clone(), pretended) })
    }
}

impl Sandbox {
    /// Returns what is recorded of a delivery.
    fn said(&self, delivery: &Delivery, attempt: u32) -> Result<SandboxSend, Refusal> {
        let (text, action, of) = match &delivery.payload {
            Payload::Text { text, .. } | Payload::Edit { text, .. } if text.len() > TEXT_BYTES_MAX => {
                let detail = format!("the text has {} bytes, {TEXT_BYTES_MAX} at most", text.len());
                return Err(refused("text_too_long", detail));
            }
            Payload::Text { text, attachments, .. } => {
                let words = std::iter::once(text.clone()).chain(attachments.iter().map(Content::words));
                (Some(words.collect::<Vec<_>>().join("\n")), None, None)
            }
            Payload::Content { content } => (Some(content.words()), None, None),
            Payload::Edit { of, text } => (Some(text.clone()), None, Some(of.clone())),
            Payload::MassSend { .. } => {
                let detail = "nobody has to confirm what the sandbox sends".to_owned();
                return Err(refused("unsupported", detail));
            }
            Payload::Action { action, of } => (None, Some(*action), of.clone()),
        };
        Ok(SandboxSend {
            seq: 0,
            at_ms: self.clock.now_ms(),
            account: delivery.account.clone(),
            delivery: delivery.id.clone(),
            attempt,
            group: delivery.group.clone(),
            member: delivery.member.clone(),
            kind: delivery.kind.clone(),
            text,
            action,
            of,
        })
    }
}

#[async_trait]
impl Deliver for Sandbox {
    async fn deliver(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        match self.said(delivery, attempt) {
            Ok(said) => {
                let seq = self.log.record(said);
                Outcome::Sent { platform_id: Some(format!("sandbox-{seq}")) }
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        let said = self.said(delivery, 1)?;
        let body = serde_json::to_value(said).expect("a record holds nothing that JSON cannot say");
        Ok(Rendering { call: "record", body })
    }

    async fn resolve(&self, delivery: &Delivery) -> Resolution {
        self.log.resolve(&delivery.id)
    }
}

#[async_trait]
impl Connector for Sandbox {
    fn platform(&self) -> &'static str {
        Self::PLATFORM
    }

    fn sources(&self) -> &'static [CapabilitySource] {
        SOURCES
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            can_block_before: true,
            can_recall: true,
            can_edit: true,
            can_mute: true,
            can_remove: true,
            can_post_into_group: true,
            can_welcome_by_code: true,
            sends_need_confirmation: false,
            gives_member_ids: true,
            gives_message_text: true,
            max_text_bytes: TEXT_BYTES_MAX,
            content_types: CONTENT_TYPES,
            welcome_content_types: CONTENT_TYPES,
        }
    }

    fn limits_default(&self) -> &'static [&'static str] {
        &[]
    }

    fn welcome_templates(&self) -> Option<&dyn WelcomeTemplates> {
        Some(self)
    }

    fn staff_interception(&self) -> Option<&dyn StaffInterception> {
        Some(self)
    }

    fn group_life(&self) -> Option<&dyn GroupLife> {
        Some(self)
    }

    fn own_groups(&self) -> Option<&dyn OwnGroups> {
        Some(self)
    }

    fn self_check(&self) -> Option<&dyn SelfCheck> {
        Some(self)
    }

    fn open(&self, _: Callback<'_>) -> Result<Opened, CallbackError> {
        Err(CallbackError {
            status: StatusCode::NOT_FOUND,
            code: "no_callbacks",
            detail: "the sandbox takes no callbacks; send its events to POST /v1/events".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::webhook::tests::delivery;

    fn sandbox(sends_max: usize) -> Sandbox {
        let clock = Clock::manual(7);
        let desk = Desk::new(clock.clone(), Pretended::default());
        Sandbox { clock, log: Arc::new(SandboxLog::new(sends_max)), desk }
    }

    #[tokio::test]
    async fn every_call_is_recorded_and_read_page_by_page() {
        let sandbox = sandbox(3);
        for target in 1..=5 {
            let sent = sandbox.deliver(&delivery(target), 1).await;
            assert_eq!(sent, Outcome::Sent { platform_id: Some(format!("sandbox-{target}")) });
        }
        let seqs = |after, limit| -> Vec<u64> {
            sandbox.log.recent(after, limit).iter().map(|send| send.seq).collect()
        };
        assert_eq!(seqs(0, 10), [3, 4, 5]);
        assert_eq!(seqs(3, 1), [4]);
        assert_eq!(seqs(5, 10), [0; 0]);
        assert_eq!(sandbox.log.recorded(), 5);
        let last = &sandbox.log.recent(4, 1)[0];
        assert_eq!((last.at_ms, last.text.as_deref(), last.delivery.as_str()), (7, Some("你好"), "bc-1_5"));
    }

    #[tokio::test]
    async fn a_double_send_shows_and_an_uncertain_one_is_looked_up() {
        let sandbox = sandbox(2);
        assert_eq!(sandbox.resolve(&delivery(1)).await, Resolution::NotSent);
        sandbox.deliver(&delivery(1), 1).await;
        assert_eq!(sandbox.resolve(&delivery(1)).await, Resolution::Sent);
        sandbox.deliver(&delivery(1), 2).await;
        assert_eq!(sandbox.log.recent(0, 10).len(), 2);
        sandbox.deliver(&delivery(2), 1).await;
        sandbox.deliver(&delivery(3), 1).await;
        assert_eq!(sandbox.resolve(&delivery(1)).await, Resolution::Unknown, "forgotten is not unsent");
    }
}
