//! Accepting a broadcast: everything that can be wrong with it is said before anything is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::audience::{Audience, AudienceError};
use super::canary::Canary;
use super::caps::{IMPORTANCE_DEFAULT, IMPORTANCE_MAX};
use super::mass::{Mass, Survey};
use super::reached::{Found, freeze};
use super::repeat::{Repeat, RepeatError};
use super::saying::Sayer;
use super::schedule::Schedule;
use super::script::Script;
use super::telling::standing;
use super::variants::{self, Variant};
use super::{Broadcast, BroadcastError, Broadcasts, Config, Control, Counts, Parts, Slot, put};
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
    /// Hours and days on which it is sent.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub schedule: Schedule,
    /// When it comes again.
    #[serde(default)]
    pub repeat: Option<Repeat>,
    /// Which of two goes where a group may not get both: the one with more of it, 0 to 9; 5 when left out.
    #[serde(default)]
    pub importance: Option<u8>,
    /// Whom it tries first.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// Copies that some of the groups get in place of the text.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Groups that get nothing, to compare with, in percent.
    #[serde(default)]
    pub hold_out_percent: u8,
    /// Targets not sent by then are not sent any more; milliseconds since the epoch.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// Only kept for now.
    #[serde(default)]
    pub draft: bool,
    /// It is refused when a group cannot be told.
    #[serde(default)]
    pub require_all: bool,
}

/// Returns how many bytes a content has, as it is kept with each target.
fn kept_bytes(content: &Content) -> usize {
    serde_json::to_string(content).map_or(usize::MAX, |text| text.len())
}

/// Refuses what says nothing or too much.
fn has_length(text: &str, content: Option<&Content>, max: usize) -> Result<(), BroadcastError> {
    if (text.trim().is_empty() && content.is_none()) || text.len() > max {
        return Err(BroadcastError::Length { bytes: text.len(), max });
    }
    match content.map(kept_bytes).filter(|bytes| *bytes > max) {
        Some(bytes) => {
            let detail = format!("has {bytes} bytes; {max} are allowed (`broadcasts.text_bytes_max`)");
            Err(BroadcastError::Content { pointer: "/content".to_owned(), code: "length", detail })
        }
        None => Ok(()),
    }
}

/// Refuses a text that is too long for a platform it goes to. What the variables add is looked at target by target.
fn fits(text: &str, survey: &Survey) -> Result<(), BroadcastError> {
    let template = Template::parse(text)?;
    let bytes = if template.is_constant() { text.len() } else { template.constant_text().len() };
    match survey.text_bytes_max.filter(|max| bytes > *max) {
        Some(max) => Err(BroadcastError::PlatformLength { bytes, max }),
        None => Ok(()),
    }
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
        let (is_draft, require_all) = (new.draft, new.require_all);
        let (mut broadcast, names) = self.check(actor, new, now_ms).await?;
        if is_draft {
            let drafts = self.drafts();
            if drafts >= self.parts.config.drafts_max {
                return Err(BroadcastError::TooManyDrafts(drafts));
            }
        } else {
            self.submitted(actor, &mut broadcast)?;
            self.require_sayable(actor, &mut broadcast, &names, require_all).await?;
            broadcast.control = if broadcast.needs_approval { Control::Submitted } else { Control::Running };
            broadcast.released(now_ms, &self.parts.book.default_time_zone());
        }
        broadcast.noted = Some(broadcast.state(&Counts::default(), now_ms));
        let audit = AuditEntry::by(actor, now_ms, "create", "broadcast", broadcast.id.as_str())
            .at(&broadcast.place)
            .with(&serde_json::json!({"expected": broadcast.expected, "audience": broadcast.audience.summary()}));
        let idempotency = remember(&broadcast);
        let had_key = idempotency.is_some();
        // What comes again is looked at anew each time.
        let sends = !is_draft && broadcast.repeat.is_none();
        let frozen = sends.then(|| freeze(broadcast.id.as_str(), &names));
        let change = Change {
            at_ms: now_ms,
            writes: [put(&broadcast, Some(0))].into_iter().chain(frozen).collect(),
            audit: vec![audit],
            told: standing(&broadcast, &Counts::default(), now_ms),
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
        let names = sends.then(|| names.into());
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
    pub(super) async fn check_again(
        &self,
        actor: &Actor,
        draft: &mut Broadcast,
        require_all: bool,
        now_ms: i64,
    ) -> Result<Arc<[GroupName]>, BroadcastError> {
        if draft.expires_ms != 0 && draft.expires_ms <= draft.starts_ms.max(now_ms) {
            return Err(BroadcastError::Expired);
        }
        let zone = self.parts.book.default_time_zone();
        draft.schedule.check(&self.house_rules(), &zone, draft.starts_ms.max(now_ms))?;
        // Somebody with a wider scope may have written at it: nobody sends beyond their own.
        for layer in actor.scope.layers() {
            if !draft.scopes.contains(&layer) {
                draft.scopes.push(layer);
            }
        }
        let Broadcast { text, content, variants, audience, exclude, account, scopes, .. } = &*draft;
        let script = Script::parse(text, content.as_ref())?;
        let found = self.find(audience, exclude.as_ref(), account.as_ref(), scopes).await?;
        let survey = self.survey_of(&script, text, variants, &found).await?;
        draft.expected = survey.groups;
        draft.mass.survey = survey;
        self.submitted(actor, draft)?;
        let names: Arc<[GroupName]> = found.names.into();
        let checked = self.checked(actor, script, Arc::clone(&names)).await?;
        checked.is_enough(self.unsayable_percent_max(require_all))?;
        draft.checked = Some(checked);
        Ok(names)
    }

    fn unsayable_percent_max(&self, require_all: bool) -> u8 {
        if require_all { 0 } else { self.parts.config.unsayable_percent_max }
    }

    /// Looks at every group of what is sent at once, if somebody wants to know: else it is accepted as it is, and its
    /// targets show what could not be said.
    async fn require_sayable(
        &self,
        actor: &Actor,
        broadcast: &mut Broadcast,
        names: &[GroupName],
        require_all: bool,
    ) -> Result<(), BroadcastError> {
        let percent_max = self.unsayable_percent_max(require_all);
        if percent_max >= 100 {
            return Ok(());
        }
        let script = Script::parse(&broadcast.text, broadcast.content.as_ref())?;
        let checked = self.checked(actor, script, names.into()).await?;
        checked.is_enough(percent_max)?;
        broadcast.checked = Some(checked);
        Ok(())
    }

    /// Notes who asked for it to be sent, and whether somebody else must release it.
    pub(super) fn submitted(&self, actor: &Actor, broadcast: &mut Broadcast) -> Result<(), BroadcastError> {
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
        let NewBroadcast { name, text, content, audience, exclude, account, schedule, .. } = new;
        let (starts_ms, expires_ms) = (new.starts_ms, new.expires_ms);
        let (canary, variants, hold_out_percent) = (new.canary, new.variants, new.hold_out_percent);
        has_length(&text, content.as_ref(), config.text_bytes_max)?;
        let script = Script::parse(&text, content.as_ref())?;
        let starts_ms = starts_ms.unwrap_or(0);
        if expires_ms.is_some_and(|at| at <= starts_ms.max(now_ms)) {
            return Err(BroadcastError::Expired);
        }
        let importance = new.importance.unwrap_or(IMPORTANCE_DEFAULT);
        if importance > IMPORTANCE_MAX {
            return Err(BroadcastError::Importance);
        }
        canary.as_ref().map_or(Ok(()), Canary::check)?;
        variants::check(&variants, hold_out_percent)?;
        let zone = self.parts.book.default_time_zone();
        let repeat = new.repeat;
        if let Some(repeat) = &repeat {
            repeat.check(&zone, starts_ms.max(now_ms))?;
            if expires_ms.is_some() || schedule.spread_until_ms != 0 {
                return Err(RepeatError::Moment.into());
            }
        }
        schedule.check(&self.house_rules(), &zone, starts_ms.max(now_ms))?;
        for written in [Some(&audience), exclude.as_ref()].into_iter().flatten() {
            self.check_audience(actor, written).await?;
        }
        let scopes = actor.scope.layers();
        let found = self.find(&audience, exclude.as_ref(), account.as_ref(), &scopes).await?;
        let survey = self.survey_of(&script, &text, &variants, &found).await?;
        let place = audience.place(&actor.scope, &**places);
        let broadcast = Broadcast {
            name,
            text,
            content,
            exclude,
            account,
            starts_ms,
            schedule,
            repeat,
            importance,
            canary,
            variants,
            hold_out_percent,
            expires_ms: expires_ms.unwrap_or(0),
            expected: survey.groups,
            mass: Mass { survey, ..Mass::default() },
            ..Broadcast::draft(self.new_id(now_ms), actor, audience, place, now_ms)
        };
        Ok((broadcast, found.names))
    }

    /// Judges what is said and counts the groups it would reach, whose platforms must take it.
    pub(super) async fn survey_of(
        &self,
        script: &Script,
        text: &str,
        variants: &[Variant],
        found: &Found,
    ) -> Result<Survey, BroadcastError> {
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
            for name in found.names.iter().filter(|name| !sayer.shows(name, content)) {
                let voice = self.parts.speaking.voice(&name.account, name.group.as_str());
                *platforms.entry(voice.map_or("unknown", |voice| voice.platform)).or_default() += 1;
            }
            if !platforms.is_empty() {
                return Err(BroadcastError::CannotShow { platforms });
            }
        }
        fits(text, &survey)?;
        for (at, variant) in variants.iter().enumerate() {
            let mistake = |source| BroadcastError::VariantText { at, source: Box::new(source) };
            self.check_copy(&variant.text, &survey).map_err(mistake)?;
        }
        Ok(survey)
    }

    /// Looks at a copy as at the text itself.
    pub(super) fn check_copy(&self, text: &str, survey: &Survey) -> Result<(), BroadcastError> {
        let max = self.parts.config.text_bytes_max;
        if text.trim().is_empty() || text.len() > max {
            return Err(BroadcastError::Length { bytes: text.len(), max });
        }
        for words in Script::parse(text, None)?.constant_words() {
            self.parts.judge.judge(&words).map_err(BroadcastError::Blocked)?;
        }
        fits(text, survey)
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
    pub(super) fn busy(&self) -> usize {
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
    pub(super) fn new_id(&self, now_ms: i64) -> BroadcastId {
        let chance = (self.chance.lock().draw() * f64::from(u32::MAX)).to_bits() >> 12;
        let id = format!("bc_{now_ms:011x}{:08x}", chance & 0xffff_ffff);
        BroadcastId::parse(&id).expect("hex digits are fit for an id")
    }
}
