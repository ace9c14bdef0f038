//! What alerts ask of their neighbours: which groups there are (the directory), and the way to staff (`notices`).

use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;

use super::platforms::Platforms;
use crate::alerts::watch::{Halted, Lapse, Sights};
use crate::alerts::{Around, IsOpen, Surroundings, Teller, Texts, To, Untold};
use crate::api::ports::{self, Platforms as _};
use crate::connectors::{Connectors, ContentType};
use crate::directory::Directory;
use crate::event::{AccountId, Actor, GroupId, OperatorId, Place, Scope};
use crate::evidence::Evidence;
use crate::notices::{NewNotice, NoticeError, Notices, Recipient};
use crate::outbox::delivery::Content;
use crate::rulesets::LifeRecord;
use crate::storage::{DocumentKind, SharedStorage, StorageError};

/// Who tells owners, in the audit log.
const OPERATOR: &str = "menshen";

/// The directory's groups.
pub(crate) struct Neighbourhood(pub(crate) Arc<Directory>);

impl Surroundings for Neighbourhood {
    fn group(&self, account: &str, group: &str) -> Around {
        let Ok(context) = self.0.group_in(&Scope::everything(), account, group) else {
            return Around::default(); // its account is gone
        };
        let shop = context.shop.as_ref().map(|shop| &shop.record);
        let manager = shop.and_then(|shop| shop.manager.as_deref());
        Around {
            name: context.name().map(str::to_owned),
            owner: context.owner().or(manager).map(str::to_owned),
            manager: manager.map(str::to_owned),
            deputy: shop.and_then(|shop| shop.deputy.clone()),
            tags: context.tags().to_vec(),
            place: context.place.clone(),
        }
    }

    fn region_manager(&self, region: &str) -> Option<String> {
        let region = self.0.region_in(&Scope::everything(), region).ok()?;
        region.record.manager.clone()
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
    async fn tell(&self, id: &str, account: &str, to: To<'_>, text: String) -> Result<(), Untold> {
        let later = |error: NoticeError| Untold::Later(error.to_string());
        if self.notices.get(id).await.map_err(later)?.is_some() {
            return Ok(()); // accepted before a crash
        }
        let content = Content::Text { text, mentions: Vec::new() };
        let connector = self.connectors.get(account);
        let connector = connector.ok_or_else(|| Untold::Later("the account is not connected".to_owned()))?;
        let group = match to {
            To::Staff(_) => "",
            To::Group(group) => group,
        };
        let can = connector.capabilities_of(group);
        let is_too_long = content.words().len() > can.max_text_bytes;
        if !can.can_post_into_group || !can.content_types.contains(&ContentType::of(&content)) || is_too_long
        {
            return Err(Untold::Never("the platform takes no such message there".to_owned()));
        }
        let never = |error: &dyn std::error::Error| Untold::Never(error.to_string());
        let account = AccountId::parse(account).map_err(|error| never(&error))?;
        let operator = OperatorId::parse(OPERATOR).map_err(|error| never(&error))?;
        let actor = Actor { operator, token: None, scope: Scope::everything() };
        let place = Place::default();
        let to = match to {
            To::Staff(staff) => Recipient::Staff([staff.to_owned()].into()),
            To::Group(group) => Recipient::Group(GroupId::parse(group).map_err(|error| never(&error))?),
        };
        let new = NewNotice { id: id.to_owned(), account, to, content, place };
        match self.notices.send(&actor, new, |_| None).await {
            Ok(_) => Ok(()),
            Err(NoticeError::Blocked(_)) => Err(Untold::Blocked),
            Err(error @ NoticeError::Field { .. }) => Err(never(&error)),
            Err(error @ (NoticeError::KeyTaken | NoticeError::Storage { .. })) => Err(later(error)),
        }
    }
}

/// Accounts as they are at this moment.
pub(super) struct Lookout {
    pub(super) directory: Arc<Directory>,
    pub(super) connectors: Arc<Connectors>,
    pub(super) platforms: Arc<Platforms>,
    pub(super) storage: SharedStorage,
}

#[async_trait]
impl Sights for Lookout {
    fn accounts(&self) -> Vec<String> {
        let accounts = self.directory.accounts();
        let works = accounts.iter().filter(|account| !account.record.disabled);
        works.map(|account| account.id.to_string()).collect()
    }

    fn shows_text(&self, account: &str) -> bool {
        self.connectors.capabilities(account).is_some_and(|can| can.gives_message_text)
    }

    fn lapse(&self, account: &str) -> Option<Lapse> {
        let protection = self.platforms.protection(account)?;
        let since_ms = protection.since_ms?;
        let words = |word: fn(&ports::Lapse) -> &str, between: &str| {
            protection.lapses.iter().map(word).collect::<Vec<_>>().join(between)
        };
        let (zh, en) = (words(|lapse| &lapse.zh, "；"), words(|lapse| &lapse.en, "; "));
        Some(Lapse { since_ms, zh, en })
    }

    fn knows_lapses(&self, account: &str) -> bool {
        self.connectors.get(account).is_some_and(|connector| connector.rosters().is_some())
    }

    fn gap_since(&self, account: &str, group: &str) -> Option<i64> {
        self.platforms.gap_since(account, group)
    }

    async fn unprotected(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<(i64, i64)>, String> {
        self.platforms.unprotected(account, from_ms, until_ms).await
    }

    async fn halted(&self) -> Result<Vec<Halted>, StorageError> {
        let mut halted = Vec::new();
        for document in self.storage.documents(DocumentKind::WordlistLife, None, 0).await? {
            let record: LifeRecord =
                serde_json::from_str(&document.body).map_err(|error| StorageError::Unreadable {
                    what: format!("the life of wordlist `{}`", document.id),
                    detail: error.to_string(),
                })?;
            if let Some(counts) = record.halted {
                let (hit, messages) = (counts.hit, counts.messages);
                halted.push(Halted { wordlist: document.id, hit, messages });
            }
        }
        Ok(halted)
    }
}
