//! Accepting a broadcast: everything that can be wrong with it is said before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::audience::{Audience, AudienceError};
use super::mass::{Mass, Survey};
use super::reached::{Found, freeze};
use super::saying::Sayer;
use super::script::Script;
use super::{Broadcast, BroadcastError, Broadcasts, Config, Control, Expansion, Parts, Slot, put};
use crate::event::{AccountId, Actor, BroadcastId, GroupName};
use crate::outbox::delivery::Content;
use crate::storage::{AuditEntry, Change, IdempotencyRecord, StorageError};
use crate::template::Template;

/// What somebody wants to say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBroadcast {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// The text; may hold variables such as `{shop.name}`. Beside a content: what is said where it cannot be shown.
    #[serde(default)]
    pub text: String,
    /// What is shown; its texts may hold variables too.
    #[serde(default)]
    pub content: Option<Content>,
    /// To whom.
    pub audience: Audience,
    /// But not to these.
    #[serde(default)]
    pub exclude: Option<Audience>,
    /// Only groups of this account.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// Nothing of it is sent before then; milliseconds since the epoch.
    #[serde(default)]
    pub starts_ms: Option<i64>,
    /// Targets not sent by then are not sent any more; milliseconds since the epoch.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// Only kept for now.
    #[serde(default)]
    pub draft: bool,
}

/// Returns how many bytes a content has, as it is kept with each target.
fn kept_bytes(content: &Content) -> usize {
    serde_json::to_string(content).map_or(usize::MAX, |text| text.len())
}

impl Broadcasts {
    /// Accepts a broadcast in one commit; its targets follow in the background. `remember` makes the record of the answer
    /// for the request's idempotency key, if it had one.
    ///
    /// # Errors
    /// Says what is wrong with the text or the audience, or with which terms the text is blocked.
    pub async fn create(
        &self,
        actor: &Actor,
        new: NewBroadcast,
        remember: impl FnOnce(&Broadcast) -> Option<IdempotencyRecord>,
    ) -> Result<Broadcast, BroadcastError> {
        let now_ms = self.parts.clock.now_ms();
        let is_draft = new.draft;
        let (mut broadcast, names) = self.check(actor, new, now_ms).await?;
        if is_draft {
            let drafts = self.drafts();
            if drafts >= self.parts.config.drafts_max {
                return Err(BroadcastError::TooManyDrafts(drafts));
            }
        } else {
            self.submitted(actor, &mut broadcast)?;
            broadcast.control = if broadcast.needs_approval { Control::Submitted } else { Control::Running };
        }
        let audit = AuditEntry::by(actor, now_ms, "create", "broadcast", broadcast.id.as_str())
            .at(&broadcast.place)
            .with(&serde_json::json!({"expected": broadcast.expected, "audience": broadcast.audience.summary()}));
        let idempotency = remember(&broadcast);
        let had_key = idempotency.is_some();
        let frozen = (!is_draft).then(|| freeze(broadcast.id.as_str(), &names));
        let change = Change {
            at_ms: now_ms,
            writes: [put(&broadcast, Some(0))].into_iter().chain(frozen).collect(),
            audit: vec![audit],
            idempotency,
            ..Change::default()
        };
        let versions = self.parts.storage.apply(change).await.map_err(|source| {
            if had_key && matches!(source, StorageError::Conflict { .. }) {
                BroadcastError::KeyTaken
            } else {
                BroadcastError::Storage { operation: "create", source }
            }
        })?;
        let names = (!is_draft).then(|| names.into());
        self.insert(broadcast.clone(), versions.first().copied().unwrap_or(1), names);
        self.expand.notify_one();
        Ok(broadcast)
    }

    /// Replaces a draft's content.
    ///
    /// # Errors
    /// As [`Self::create`]; and when it is no draft any more.
    pub async fn edit(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        new: NewBroadcast,
    ) -> Result<Broadcast, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        let now_ms = self.parts.clock.now_ms();
        let old = &active.broadcast;
        if old.control != Control::Draft {
            let counts = self.counts(id).await?;
            return Err(BroadcastError::NoDraft(old.state(&counts, now_ms)));
        }
        let (checked, _) = self.check(actor, new, now_ms).await?;
        let mut edited_by = old.edited_by.clone();
        edited_by.insert(actor.operator.clone());
        let changed = Broadcast {
            id: old.id.clone(),
            created_by: old.created_by.clone(),
            created_ms: old.created_ms,
            edited_by,
            ..checked
        };
        let audit = AuditEntry::by(actor, now_ms, "update", "broadcast", id.as_str())
            .at(&changed.place)
            .with(&serde_json::json!({"expected": changed.expected, "audience": changed.audience.summary()}));
        self.store(&mut active, changed, vec![audit], Vec::new()).await?;
        Ok(active.broadcast.clone())
    }

    /// Looks at a draft once more before it is sent: lists and groups may have changed since it was written. Returns the
    /// groups it goes to from now on.
    pub(super) async fn submit(
        &self,
        actor: &Actor,
        draft: &mut Broadcast,
        now_ms: i64,
    ) -> Result<Vec<GroupName>, BroadcastError> {
        if draft.expires_ms != 0 && draft.expires_ms <= draft.starts_ms.max(now_ms) {
            return Err(BroadcastError::Expired);
        }
        // Somebody with a wider scope may have written at it: nobody sends beyond their own.
        for layer in actor.scope.layers() {
            if !draft.scopes.contains(&layer) {
                draft.scopes.push(layer);
            }
        }
        let Broadcast { text, content, audience, exclude, account, scopes, .. } = &*draft;
        let script = Script::parse(text, content.as_ref())?;
        let found = self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?;
        let survey = self.survey_of(&script, text, &found).await?;
        draft.expected = survey.groups;
        draft.mass.survey = survey;
        self.submitted(actor, draft)?;
        Ok(found.names)
    }

    /// Notes who asked for it to be sent, and whether somebody else must release it.
    fn submitted(&self, actor: &Actor, broadcast: &mut Broadcast) -> Result<(), BroadcastError> {
        let Config { active_max, approve_from_groups, .. } = &self.parts.config;
        let active = self.busy();
        if active >= *active_max {
            return Err(BroadcastError::TooMany(active));
        }
        broadcast.submitted_by = Some(actor.operator.clone());
        broadcast.needs_approval = *approve_from_groups > 0 && broadcast.expected >= *approve_from_groups;
        Ok(())
    }

    async fn check(
        &self,
        actor: &Actor,
        new: NewBroadcast,
        now_ms: i64,
    ) -> Result<(Broadcast, Vec<GroupName>), BroadcastError> {
        let Parts { config, places, .. } = &self.parts;
        let NewBroadcast { name, text, content, audience, exclude, account, .. } = new;
        let (starts_ms, expires_ms) = (new.starts_ms, new.expires_ms);
        if (text.trim().is_empty() && content.is_none()) || text.len() > config.text_bytes_max {
            return Err(BroadcastError::Length { bytes: text.len(), max: config.text_bytes_max });
        }
        if let Some(bytes) = content.as_ref().map(kept_bytes).filter(|bytes| *bytes > config.text_bytes_max) {
            let detail = format!(
                "has {bytes} bytes; {} are allowed (`broadcasts.text_bytes_max`)",
                config.text_bytes_max
            );
            return Err(BroadcastError::Content { pointer: "/content".to_owned(), code: "length", detail });
        }
        let script = Script::parse(&text, content.as_ref())?;
        let starts_ms = starts_ms.unwrap_or(0);
        if expires_ms.is_some_and(|at| at <= starts_ms.max(now_ms)) {
            return Err(BroadcastError::Expired);
        }
        for written in [Some(&audience), exclude.as_ref()].into_iter().flatten() {
            self.check_audience(actor, written).await?;
        }
        let scopes = actor.scope.layers();
        let found = self.find(&audience, exclude.as_ref(), account.as_ref(), &scopes).await?;
        let survey = self.survey_of(&script, &text, &found).await?;
        let place = audience.place(&actor.scope, &**places);
        let broadcast = Broadcast {
            id: self.new_id(now_ms),
            name,
            text,
            content,
            audience,
            exclude,
            account,
            scopes,
            place,
            created_by: actor.operator.clone(),
            created_ms: now_ms,
            starts_ms,
            expires_ms: expires_ms.unwrap_or(0),
            edited_by: BTreeSet::new(),
            submitted_by: None,
            needs_approval: false,
            approved_by: None,
            reason: String::new(),
            expected: survey.groups,
            control: Control::Draft,
            expansion: Expansion::default(),
            mass: Mass { survey, ..Mass::default() },
            closed: false,
        };
        Ok((broadcast, found.names))
    }

    /// Judges what is said and counts the groups it would reach, whose platforms must take it.
    async fn survey_of(&self, script: &Script, text: &str, found: &Found) -> Result<Survey, BroadcastError> {
        for words in script.constant_words() {
            self.parts.judge.judge(&words).map_err(BroadcastError::Blocked)?;
        }
        let survey = self.survey(found).await?;
        if survey.groups == 0 {
            return Err(AudienceError::Empty.into());
        }
        if let Some(content) = script.content().filter(|_| !script.has_text()) {
            let sayer = Sayer::of(&self.parts);
            let mut platforms = BTreeMap::new();
            for name in found.names.iter().filter(|name| !sayer.shows(name, sayer.terms(name), content)) {
                let voice = self.parts.speaking.voice(&name.account, name.group.as_str());
                *platforms.entry(voice.map_or("unknown", |voice| voice.platform)).or_default() += 1;
            }
            if !platforms.is_empty() {
                return Err(BroadcastError::CannotShow { platforms });
            }
        }
        // What the variables add is looked at target by target.
        let template = Template::parse(text)?;
        let bytes = if template.is_constant() { text.len() } else { template.constant_text().len() };
        match survey.text_bytes_max.filter(|max| bytes > *max) {
            Some(max) => Err(BroadcastError::PlatformLength { bytes, max }),
            None => Ok(survey),
        }
    }

    /// Counts the groups an audience would reach now.
    ///
    /// # Errors
    /// When the audience names what the actor may not reach.
    pub async fn preview(
        &self,
        actor: &Actor,
        audience: &Audience,
        exclude: Option<&Audience>,
        account: Option<&AccountId>,
    ) -> Result<Survey, BroadcastError> {
        for written in [Some(audience), exclude].into_iter().flatten() {
            self.check_audience(actor, written).await?;
        }
        let found = self.find(audience, exclude, account, &actor.scope.layers()).await?;
        self.survey(&found).await
    }

    /// Returns how many broadcasts have something left to send; one that is just being changed counts.
    fn busy(&self) -> usize {
        let slots: Vec<_> = self.active.lock().values().map(Arc::clone).collect();
        slots.iter().filter(|slot| slot.try_lock().map_or(true, |active| active.open > 0)).count()
    }

    fn drafts(&self) -> usize {
        let slots: Vec<_> = self.active.lock().values().map(Arc::clone).collect();
        let is_draft =
            |slot: &&Slot| slot.try_lock().is_ok_and(|active| active.broadcast.control == Control::Draft);
        slots.iter().filter(is_draft).count()
    }

    /// Time-ordered, so that lists by id are lists by time.
    fn new_id(&self, now_ms: i64) -> BroadcastId {
        let chance = (self.chance.lock().draw() * f64::from(u32::MAX)).to_bits() >> 12;
        let id = format!("bc_{now_ms:011x}{:08x}", chance & 0xffff_ffff);
        BroadcastId::parse(&id).expect("hex digits are fit for an id")
    }
}
