//! What a broadcast would come to, before anything of it is sent: for one group word by word, for all groups in numbers;
//! and a test to one group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::audience::{Audience, AudienceError};
use super::book::GroupEntry;
use super::mass::Survey;
use super::saying::{Judging, Sayer, delivery_of};
use super::script::{Script, text_bytes, words};
use super::{Broadcast, BroadcastError, Broadcasts, storage_error};
use crate::event::{AccountId, Actor, BroadcastId, DeliveryId, GroupName, Hit, Scope};
use crate::outbox::delivery::{Content, Delivery, Payload, Priority};
use crate::outbox::row_of;
use crate::storage::{AuditEntry, Change, DeliveryState, StorageError};

/// What somebody wants to see beforehand.
#[derive(Clone, Debug)]
pub struct Asked {
    /// To whom.
    pub audience: Audience,
    /// But not to these.
    pub exclude: Option<Audience>,
    /// Only groups of this account.
    pub account: Option<AccountId>,
    /// The text; may be empty.
    pub text: String,
    /// The content.
    pub content: Option<Content>,
    /// What this group would be told.
    pub group: Option<GroupName>,
}

/// What a broadcast would come to.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// The audience, counted.
    #[serde(flatten)]
    pub survey: Survey,
    /// Which of its groups cannot be told, and why; null where there is nothing to say yet.
    pub checked: Option<Checked>,
    /// What the group that was asked for would be told, else the first of the audience.
    pub shown: Option<Shown>,
}

/// How many groups can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Checked {
    /// Groups that can be told.
    pub can_be_told: u64,
    /// Of these, groups that are told the text, since their platform does not show the content.
    pub by_fallback: u64,
    /// Why others cannot, the most frequent first.
    pub problems: Vec<Problems>,
}

/// Groups that cannot be told for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problems {
    /// `missing_variable`, `blocked`, `too_long`, `cannot_show`, `cannot_post`, `gone`, or what the connector itself would
    /// answer without a call.
    pub code: String,
    /// How many groups.
    pub groups: u64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// A group that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Example {
    /// As `account/group`.
    pub group: String,
    /// Why not.
    pub detail: String,
}

/// Most examples of a reason.
const EXAMPLES: usize = 5;

/// Reasons that a refusal names.
const REASONS: usize = 3;

/// What one group would be told.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Shown {
    /// As `account/group`.
    pub group: String,
    /// Its platform.
    pub platform: String,
    /// Who would have to confirm it there; null when nobody has to, or nobody knows who.
    pub owner: Option<String>,
    /// It is told the text, since its platform does not show the content.
    pub by_fallback: bool,
    /// The words that people read.
    pub words: String,
    /// How much of it counts against the longest text, in bytes of UTF-8: the words, or the text that a content goes with.
    pub text_bytes: usize,
    /// The longest that the platform takes; null where it does not say.
    pub text_bytes_max: Option<usize>,
    /// The platform's interface that would be called.
    pub call: Option<&'static str>,
    /// What it would be sent, written by the code that sends.
    #[schema(value_type = Object)]
    pub body: Option<serde_json::Value>,
    /// Variables without a value and without a default.
    pub missing: Vec<String>,
    /// Terms that block it.
    pub hits: Vec<Hit>,
    /// Why it cannot be told, as a code.
    pub code: Option<String>,
    /// The same in words.
    pub detail: Option<String>,
}

impl Sayer {
    /// Makes what every group would be told and counts what cannot be. Only groups of the scope are told by name: somebody
    /// with a wider one may have written it.
    fn check(&self, script: &Script, names: &[GroupName], scope: &Scope) -> Checked {
        let mut checked = Checked::default();
        for name in names {
            let (said, is_seen) = match self.book.group(name) {
                Some(group) => {
                    let said = self.told(script, &*group);
                    let (account, id) = (name.account.as_str(), name.group.as_str());
                    (said, scope.covers_group(account, id, group.place()))
                }
                None => (Err(("gone".to_owned(), "the group is not there any more".to_owned())), false),
            };
            match said {
                Ok(by_fallback) => {
                    checked.can_be_told += 1;
                    checked.by_fallback += u64::from(by_fallback);
                }
                Err((code, detail)) => {
                    checked.note(&code, is_seen.then(|| Example { group: name.to_string(), detail }));
                }
            }
        }
        checked.problems.sort_by_key(|problems| std::cmp::Reverse(problems.groups));
        checked
    }

    /// Makes what a group would be told as it would be sent; says whether it is the text in place of the content.
    ///
    /// # Errors
    /// With the code and the words of why it cannot be told.
    fn told(&self, script: &Script, group: &dyn GroupEntry) -> Result<bool, (String, String)> {
        let (name, terms) = (group.name(), self.terms(group.name()));
        let said = self.say(script, group, terms, Judging::All);
        let said = said.map_err(|unsaid| (unsaid.code.to_owned(), unsaid.detail))?;
        let is_connected = || self.speaking.voice(&name.account, name.group.as_str()).is_some();
        // A task is put together of many groups, and its text was looked at. Who is not connected may be by then.
        if terms.is_none() && is_connected() {
            let delivery = delivery_of(&unsent(), name, 0, said.payload, 0);
            let rendered = self.speaking.render(&delivery);
            rendered.map_err(|refusal| (refusal.code, refusal.detail))?;
        }
        Ok(said.by_fallback)
    }
}

/// The broadcast of what is only looked at.
fn unsent() -> BroadcastId {
    BroadcastId::parse("bc_preview").expect("letters are fit for an id")
}

impl Checked {
    /// Counts the groups that cannot be told.
    pub fn cannot_be_told(&self) -> u64 {
        self.problems.iter().map(|problems| problems.groups).sum()
    }

    /// Refuses when more of the groups cannot be told than so many percent.
    pub(super) fn is_enough(&self, percent_max: u8) -> Result<(), BroadcastError> {
        let (groups, all) = (self.cannot_be_told(), self.can_be_told + self.cannot_be_told());
        if groups * 100 <= all * u64::from(percent_max) {
            return Ok(());
        }
        let reason = |problems: &Problems| {
            let Problems { code, groups, examples } = problems;
            let example = examples.first().map(|Example { group, detail }| format!(", as {group}: {detail}"));
            format!("{code} in {groups} groups{}", example.unwrap_or_default())
        };
        let reasons: Vec<_> = self.problems.iter().take(REASONS).map(reason).collect();
        Err(BroadcastError::Unsayable { groups, all, reasons: reasons.join("; ") })
    }

    fn note(&mut self, code: &str, example: Option<Example>) {
        let place = self.problems.iter().position(|problems| problems.code == code);
        let place = place.unwrap_or_else(|| {
            self.problems.push(Problems { code: code.to_owned(), groups: 0, examples: Vec::new() });
            self.problems.len() - 1
        });
        let Some(problems) = self.problems.get_mut(place) else { return };
        problems.groups += 1;
        if problems.examples.len() < EXAMPLES {
            problems.examples.extend(example);
        }
    }
}

fn no_group(name: &GroupName) -> BroadcastError {
    AudienceError::Unknown { kind: "group", id: name.to_string() }.into()
}

impl Broadcasts {
    /// Returns what a broadcast would come to that is not written down yet.
    ///
    /// # Errors
    /// When the audience names what the actor may not reach, or a text has a mistake.
    pub async fn preview_of_new(&self, actor: &Actor, asked: Asked) -> Result<Preview, BroadcastError> {
        let Asked { audience, exclude, account, text, content, group } = asked;
        for written in [Some(&audience), exclude.as_ref()].into_iter().flatten() {
            self.check_audience(actor, written).await?;
        }
        let script = if text.trim().is_empty() && content.is_none() {
            None
        } else {
            Some(Script::parse(&text, content.as_ref())?)
        };
        let found = self.find(&audience, exclude.as_ref(), account.as_ref(), &actor.scope.layers()).await?;
        let survey = self.survey(&found).await?;
        self.looked_at(actor, script, survey, found.names, group).await
    }

    /// Returns what a broadcast would come to now, or, once it is submitted, what its groups are told.
    ///
    /// # Errors
    /// When the group is none that the actor may reach.
    pub async fn preview_of(
        &self,
        actor: &Actor,
        broadcast: &Broadcast,
        group: Option<GroupName>,
    ) -> Result<Preview, BroadcastError> {
        let Broadcast { text, content, audience, exclude, account, scopes, .. } = broadcast;
        let script = Script::parse(text, content.as_ref())?;
        let found = self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?;
        let survey = self.survey(&found).await?;
        self.looked_at(actor, Some(script), survey, found.names, group).await
    }

    async fn looked_at(
        &self,
        actor: &Actor,
        script: Option<Script>,
        survey: Survey,
        names: Vec<GroupName>,
        group: Option<GroupName>,
    ) -> Result<Preview, BroadcastError> {
        let Some(script) = script else {
            return Ok(Preview { survey, checked: None, shown: None });
        };
        if let Some(name) = &group {
            self.check_group(actor, name)?;
        }
        let name = group.or_else(|| {
            let sees = |name: &&GroupName| self.check_group(actor, name).is_ok();
            names.iter().find(sees).cloned()
        });
        let shown = match name {
            Some(name) => Some(self.show(&script, &name).await?),
            None => None,
        };
        let checked = self.checked(actor, script, names.into()).await?;
        Ok(Preview { survey, checked: Some(checked), shown })
    }

    /// Makes what every group would be told and counts those that cannot be told, group by group: CPU, so not on a worker.
    pub(super) async fn checked(
        &self,
        actor: &Actor,
        script: Script,
        names: Arc<[GroupName]>,
    ) -> Result<Checked, BroadcastError> {
        let (sayer, scope) = (Sayer::of(&self.parts), actor.scope.clone());
        let checked = tokio::task::spawn_blocking(move || sayer.check(&script, &names, &scope)).await;
        checked.map_err(|error| BroadcastError::Storage {
            operation: "check a broadcast",
            source: StorageError::Failed { operation: "check a broadcast", source: Box::new(error) },
        })
    }

    /// Says whether a group is there and within the actor's scope.
    fn check_group(&self, actor: &Actor, name: &GroupName) -> Result<(), BroadcastError> {
        let group = self.parts.book.group(name).ok_or_else(|| no_group(name))?;
        let covers = actor.scope.covers_group(name.account.as_str(), name.group.as_str(), group.place());
        covers.then_some(()).ok_or_else(|| no_group(name))
    }

    async fn show(&self, script: &Script, name: &GroupName) -> Result<Shown, BroadcastError> {
        let sayer = Sayer::of(&self.parts);
        let terms = sayer.terms(name);
        let owner = match terms {
            Some(_) => self.owner_of(name).await?,
            None => None,
        };
        let group = self.parts.book.group(name).ok_or_else(|| no_group(name))?;
        let mut shown = Shown {
            group: name.to_string(),
            platform: group.platform().to_owned(),
            text_bytes_max: sayer.text_bytes_max(name, terms),
            missing: script.missing(&*group).into_iter().collect(),
            ..Shown::default()
        };
        let said = match sayer.say(script, &*group, terms, Judging::All) {
            Ok(said) => said,
            Err(unsaid) => {
                shown.hits = unsaid.hits;
                (shown.code, shown.detail) = (Some(unsaid.code.to_owned()), Some(unsaid.detail));
                return Ok(Shown { owner, ..shown });
            }
        };
        shown.words = words(&said.payload);
        shown.text_bytes = text_bytes(&said.payload);
        shown.by_fallback = said.by_fallback;
        let payload = match (terms, said.payload) {
            (Some(_), Payload::Text { text, attachments, .. }) => {
                let targets = vec![(0, name.group.as_str().to_owned())];
                let sender = owner.clone().unwrap_or_default();
                Payload::MassSend { sender, targets, text, attachments }
            }
            (_, payload) => payload,
        };
        let delivery = delivery_of(&unsent(), name, 0, payload, 0);
        match self.parts.speaking.render(&delivery) {
            Ok(rendering) => (shown.call, shown.body) = (Some(rendering.call), Some(rendering.body)),
            Err(refusal) => (shown.code, shown.detail) = (Some(refusal.code), Some(refusal.detail)),
        }
        Ok(Shown { owner, ..shown })
    }

    /// Sends a broadcast to one group at once, as a test: it is none of its targets. `notice` is an id never used before,
    /// by which its result is found.
    ///
    /// # Errors
    /// When the group is none that the actor and the broadcast may reach, a person would have to confirm it, or it cannot
    /// be told.
    pub async fn test(
        &self,
        actor: &Actor,
        broadcast: &Broadcast,
        name: &GroupName,
        notice: &str,
        priority: Priority,
    ) -> Result<(), BroadcastError> {
        let group = self.parts.book.group(name).ok_or_else(|| no_group(name))?;
        let covers =
            |scope: &Scope| scope.covers_group(name.account.as_str(), name.group.as_str(), group.place());
        if !covers(&actor.scope) || !broadcast.scopes.iter().all(covers) {
            return Err(no_group(name));
        }
        let sayer = Sayer::of(&self.parts);
        if sayer.terms(name).is_some() {
            return Err(BroadcastError::NeedsConfirmation);
        }
        let script = Script::parse(&broadcast.text, broadcast.content.as_ref())?;
        let said = sayer.say(&script, &*group, None, Judging::All).map_err(|unsaid| {
            if unsaid.hits.is_empty() {
                BroadcastError::Unsaid { code: unsaid.code, detail: unsaid.detail }
            } else {
                BroadcastError::Blocked(unsaid.hits)
            }
        })?;
        let now_ms = self.parts.clock.now_ms();
        let delivery = Delivery {
            id: DeliveryId::parse(&format!("{notice}_0")).expect("an id with a digit is fit for an id"),
            kind: "notice".to_owned(),
            priority,
            broadcast: None,
            ..delivery_of(&broadcast.id, name, 0, said.payload, now_ms.saturating_add(TEST_LIFE_MS))
        };
        let audit = AuditEntry::by(actor, now_ms, "test", "broadcast", broadcast.id.as_str())
            .at(&broadcast.place)
            .with(
                &serde_json::json!({"group": name, "notice": notice, "urgent": priority == Priority::Urgent}),
            );
        let deliveries = vec![row_of(&delivery, None, DeliveryState::Pending, now_ms)];
        let change = Change { at_ms: now_ms, audit: vec![audit], deliveries, ..Change::default() };
        self.parts.storage.apply(change).await.map_err(storage_error("send a test"))?;
        self.parts.outbox.look_again(&name.account).await;
        Ok(())
    }
}

/// A test that could not be sent within this time is not sent.
const TEST_LIFE_MS: i64 = 3_600_000;
