//! What alerts ask of their neighbours: which groups there are (the directory), and the way to staff (`notices`).

use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;

use crate::alerts::{Around, IsOpen, Surroundings, Teller, Texts, Untold};
use crate::connectors::{Connectors, ContentType};
use crate::directory::Directory;
use crate::event::{AccountId, Actor, OperatorId, Place, Scope};
use crate::evidence::Evidence;
use crate::notices::{NewNotice, NoticeError, Notices, Recipient};
use crate::outbox::delivery::Content;

/// Who tells owners, in the audit log.
const OPERATOR: &str = "menshen";

/// The directory's groups.
pub(super) struct Neighbourhood(pub(super) Arc<Directory>);

impl Surroundings for Neighbourhood {
    fn group(&self, account: &str, group: &str) -> Around {
        let Ok(context) = self.0.group_in(&Scope::everything(), account, group) else {
            return Around::default(); // its account is gone
        };
        let manager = context.shop.as_ref().and_then(|shop| shop.record.manager.as_deref());
        Around {
            name: context.name().map(str::to_owned),
            owner: context.owner().or(manager).map(str::to_owned),
            place: context.place.clone(),
        }
    }

    fn hours(&self, account: &str, group: &str) -> Box<IsOpen> {
        let context = self.0.group_in(&Scope::everything(), account, group).ok();
        let shop = context.and_then(|context| context.shop.clone());
        Box::new(move |at_ms| shop.as_ref()?.is_open_at(at_ms))
    }

    fn zone(&self) -> TimeZone {
        self.0.time_zone().clone()
    }
}

/// The texts that are kept.
pub(super) struct KeptTexts(pub(super) Arc<Evidence>);

#[async_trait]
impl Texts for KeptTexts {
    async fn has(&self, id: &str) -> bool {
        if !self.0.is_on() {
            return false;
        }
        self.0.flush().await; // what was said last may still wait to be written
        match self.0.find(id).await {
            Ok(found) => found.is_some(),
            Err(error) => {
                tracing::warn!(%error, "look for a kept text; staff are told without it");
                false
            }
        }
    }
}

/// Notices to staff, where the platform takes any.
pub(super) struct Messenger {
    pub(super) notices: Arc<Notices>,
    pub(super) connectors: Arc<Connectors>,
}

#[async_trait]
impl Teller for Messenger {
    async fn tell(&self, id: &str, account: &str, staff: &str, text: String) -> Result<(), Untold> {
        let later = |error: NoticeError| Untold::Later(error.to_string());
        if self.notices.get(id).await.map_err(later)?.is_some() {
            return Ok(()); // accepted before a crash
        }
        let content = Content::Text { text, mentions: Vec::new() };
        let connector = self.connectors.get(account);
        let connector = connector.ok_or_else(|| Untold::Later("the account is not connected".to_owned()))?;
        let can = connector.capabilities_of("");
        let is_too_long = content.words().len() > can.max_text_bytes;
        if !can.can_post_into_group || !can.content_types.contains(&ContentType::of(&content)) || is_too_long
        {
            return Err(Untold::Never("the platform takes no such message to staff".to_owned()));
        }
        let never = |error: &dyn std::error::Error| Untold::Never(error.to_string());
        let account = AccountId::parse(account).map_err(|error| never(&error))?;
        let operator = OperatorId::parse(OPERATOR).map_err(|error| never(&error))?;
        let actor = Actor { operator, token: None, scope: Scope::everything() };
        let (to, place) = (Recipient::Staff([staff.to_owned()].into()), Place::default());
        let new = NewNotice { id: id.to_owned(), account, to, content, place };
        match self.notices.send(&actor, new, |_| None).await {
            Ok(_) => Ok(()),
            Err(NoticeError::Blocked(_)) => Err(Untold::Blocked),
            Err(error @ NoticeError::Field { .. }) => Err(never(&error)),
            Err(error @ (NoticeError::KeyTaken | NoticeError::Storage { .. })) => Err(later(error)),
        }
    }
}
