//! What we ask WeCom to do: which interface a delivery goes through, and what is known of one in doubt.
//!
//! | delivery | goes through | in doubt |
//! | --- | --- | --- |
//! | welcome with a code | `send_welcome_msg` | repeated while the code lives: it works once |
//! | mass send | `add_msg_template` | the corp's list of tasks is read (`mass`) |
//! | to a robot's group | `webhook/send` | nobody can say: a robot's messages have no ids and no list |
//! | to a group our app made | `appchat/send` | nobody can say either |
//! | to a member of staff | `message/send` | the platform drops a repeat for a while (`message`) |
//!
//! Into a customer group nobody can speak but its people: that is refused with the reason, before a call.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::Wecom;
use super::appchat::OwnGroupsRead;
use super::book::CallBook;
use super::client::Client;
use super::content::{Message, Surface, Unfit, render, render_text};
use super::errcode::TOO_OFTEN;
use super::files::Files;
use super::kind::GroupKind;
use super::mass::Asked;
use super::media::MediaIds;
use super::message::LatelySaid;
use super::settings::Settings;
use super::staff::Staff;
use super::welcome::LostWelcomes;
use crate::clock::Clock;
use crate::connectors::ConnectorState;
use crate::connectors::offers::ReceivingCap;
use crate::event::ActionKind;
use crate::outbox::delivery::{
    Deliver, Delivery, Outcome, Payload, Refusal, RefusalScope, Rendering, Resolution,
};

/// What one account does on WeCom. Owned by its connector, for as long as that lives.
#[derive(Debug)]
pub(super) struct Acts {
    pub(super) client: Client,
    pub(super) clock: Clock,
    /// The app that speaks to staff.
    pub(super) agent_id: Option<u64>,
    /// How often a group may receive mass sends.
    pub(super) receiving_cap: ReceivingCap,
    /// Who was seen to be staff: also who may have owned a group.
    pub(super) staff: Arc<Staff>,
    pub(super) book: CallBook,
    pub(super) media: MediaIds,
    /// Files that lie at an address.
    pub(super) files: Files,
    /// Held while a file is uploaded, so that a broadcast's picture is uploaded once.
    pub(super) uploading: Mutex<()>,
    pub(super) own_groups: OwnGroupsRead,
    pub(super) said: LatelySaid,
    pub(super) lost_welcomes: LostWelcomes,
}

impl Acts {
    pub(super) fn new(
        client: Client,
        clock: Clock,
        state: Arc<dyn ConnectorState>,
        settings: &Settings,
        staff: Arc<Staff>,
        files: Files,
    ) -> Self {
        Self {
            client,
            book: CallBook::new(state, clock.clone()),
            clock,
            staff,
            agent_id: settings.agent_id,
            receiving_cap: settings.receiving_cap,
            media: MediaIds::default(),
            files,
            uploading: Mutex::default(),
            own_groups: OwnGroupsRead::default(),
            said: LatelySaid::default(),
            lost_welcomes: LostWelcomes::default(),
        }
    }

    /// Makes one call, or says why none was made.
    pub(super) async fn deliver(&self, delivery: &Delivery) -> Outcome {
        let kind = GroupKind::of(&delivery.group);
        match &delivery.payload {
            Payload::Text { welcome_code: Some(_), .. } | Payload::MassSend { .. } if is_internal(kind) => {
                Unfit::new("unsupported", "only customers are greeted by a code and sent to by a task").into()
            }
            Payload::Text { text, welcome_code: Some(code), attachments } => {
                self.greet(delivery, code, text, attachments).await
            }
            Payload::Text { text, welcome_code: None, .. } => {
                self.say(delivery, kind, |surface| render_text(surface, text, &[])).await
            }
            Payload::Content { content } => {
                self.say(delivery, kind, |surface| render(surface, content)).await
            }
            Payload::MassSend { sender, targets, text, attachments } => {
                self.mass_send(&delivery.id, Asked { sender, targets, text, attachments }).await
            }
            Payload::Edit { .. } => {
                Unfit::new("unsupported", "WeCom has no interface that changes what was sent to a group")
                    .into()
            }
            Payload::Action { action, of: _ } => self.act(delivery, kind, *action).await,
        }
    }

    async fn say(
        &self,
        delivery: &Delivery,
        kind: GroupKind<'_>,
        render: impl FnOnce(Surface) -> Result<Message, Unfit>,
    ) -> Outcome {
        let message = match surface_of(kind).and_then(render) {
            Ok(message) => message,
            Err(unfit) => return unfit.into(),
        };
        match (kind, &delivery.member) {
            (GroupKind::Robot(robot), _) => self.say_by_robot(robot, &message).await,
            (GroupKind::Appchat(chat), _) => self.say_in_own_group(chat, &message).await,
            (GroupKind::Direct | GroupKind::Customer(_), Some(member)) => {
                self.tell(delivery, member, &message).await
            }
            (GroupKind::Direct | GroupKind::Customer(_), None) => {
                Unfit::new("no_receiver", "neither a group nor a member is named").into()
            }
        }
    }

    async fn act(&self, delivery: &Delivery, kind: GroupKind<'_>, action: ActionKind) -> Outcome {
        match (action, kind, &delivery.member) {
            (ActionKind::Remove, GroupKind::Appchat(chat), Some(member)) => self.take_out(chat, member).await,
            (
                ActionKind::Remove
                | ActionKind::Recall
                | ActionKind::Mute
                | ActionKind::Unmute
                | ActionKind::Pardon
                | ActionKind::Warn,
                _,
                _,
            ) => {
                let detail = "WeCom has no interface for this in this kind of group; only a member of a group that \
                              our own app made can be removed";
                Unfit::new("unsupported", detail).into()
            }
        }
    }

    /// Finds out about a delivery in doubt. The head of this file says what can be known.
    pub(super) async fn resolve(&self, delivery: &Delivery) -> Resolution {
        match &delivery.payload {
            Payload::Text { welcome_code: Some(_), .. } => self.resolve_welcome(delivery),
            Payload::Text { .. } | Payload::Content { .. } => match GroupKind::of(&delivery.group) {
                GroupKind::Direct => self.resolve_told(&delivery.id).await,
                GroupKind::Robot(_) | GroupKind::Appchat(_) => Resolution::Unknown,
                // Such a delivery is refused before a call: a crash changed nothing.
                GroupKind::Customer(_) => Resolution::NotSent,
            },
            Payload::MassSend { sender, targets, text, attachments } => {
                self.resolve_mass_send(&delivery.id, Asked { sender, targets, text, attachments }).await
            }
            // Taking somebody out twice is the same as once.
            Payload::Edit { .. } | Payload::Action { .. } => Resolution::SafeToRepeat,
        }
    }
}

/// Returns where something is said to a group of this kind.
fn surface_of(kind: GroupKind<'_>) -> Result<Surface, Unfit> {
    match kind {
        GroupKind::Robot(_) => Ok(Surface::Robot),
        GroupKind::Appchat(_) => Ok(Surface::OwnGroup),
        GroupKind::Direct => Ok(Surface::App),
        GroupKind::Customer(_) => {
            let detail = "nobody but its people can speak in a customer group (客户群): send it as a broadcast, \
                          which each owner confirms, or have it in a welcome template";
            Err(Unfit::new("unsupported", detail))
        }
    }
}

/// Returns what a delivery would say, by which interface.
fn rendering_of(delivery: &Delivery) -> Result<Rendering, Unfit> {
    let kind = GroupKind::of(&delivery.group);
    let message = match &delivery.payload {
        Payload::Text { text, welcome_code: None, .. } => {
            surface_of(kind).and_then(|surface| render_text(surface, text, &[]))?
        }
        Payload::Content { content } => surface_of(kind).and_then(|surface| render(surface, content))?,
        Payload::MassSend { sender, targets, text, attachments } => {
            let body = super::mass::rendered(Asked { sender, targets, text, attachments })?;
            return Ok(Rendering { call: "externalcontact/add_msg_template", body });
        }
        Payload::Text { welcome_code: Some(_), .. } | Payload::Edit { .. } | Payload::Action { .. } => {
            return Err(Unfit::new("not_shown", "only what is said to a group is shown beforehand"));
        }
    };
    let call = match kind {
        GroupKind::Robot(_) => "webhook/send",
        GroupKind::Appchat(_) => "appchat/send",
        GroupKind::Direct | GroupKind::Customer(_) => "message/send",
    };
    Ok(Rendering { call, body: serde_json::Value::Object(message.fields(None)) })
}

/// Says whether only staff are in a group of this kind.
fn is_internal(kind: GroupKind<'_>) -> bool {
    match kind {
        GroupKind::Robot(_) | GroupKind::Appchat(_) => true,
        GroupKind::Customer(_) | GroupKind::Direct => false,
    }
}

#[async_trait]
impl Deliver for Wecom {
    async fn deliver(&self, delivery: &Delivery, _: u32) -> Outcome {
        let mut outcome = self.acts.deliver(delivery).await;
        // Each robot has a limit of its own: "too often" is said of its group and of nobody else.
        if let (Outcome::Refused(refusal), GroupKind::Robot(_)) =
            (&mut outcome, GroupKind::of(&delivery.group))
            && refusal.code == TOO_OFTEN.to_string()
        {
            refusal.scope = RefusalScope::Group;
        }
        outcome
    }

    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        rendering_of(delivery).map_err(Refusal::from)
    }

    fn cost(&self, delivery: &Delivery) -> u32 {
        match GroupKind::of(&delivery.group) {
            GroupKind::Appchat(chat) => self.acts.people_known(chat).unwrap_or(delivery.cost),
            GroupKind::Customer(_) | GroupKind::Robot(_) | GroupKind::Direct => delivery.cost,
        }
    }

    async fn resolve(&self, delivery: &Delivery) -> Resolution {
        self.acts.resolve(delivery).await
    }
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
pub(super) mod tests;
