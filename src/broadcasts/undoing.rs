//! What was sent, taken back (撤回) or put right (更正) where the platform can.
//!
//! That is a broadcast of its own, over the targets of the other one that were sent: so it is paced, paused, told of and
//! tried again like any other, and every target has its result. It keeps their numbers. It waits for no hours and is under
//! no cap: what is wrong is wrong at night, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mass::Survey;
use super::saying::{Judging, Sayer, Unsaid, delivery_of, unsaid};
use super::script::Script;
use super::state::{Command, IllegalTransition, State};
use super::telling::standing;
use super::{Active, Broadcast, BroadcastError, Broadcasts, Control, Counts, Terms, put, storage_error};
use crate::event::{AccountId, ActionKind, Actor, BroadcastId, GroupId, GroupName};
use crate::outbox::delivery::{Delivery, Payload};
use crate::outbox::row_of;
use crate::storage::{
    AuditEntry, Change, DeliveryFilter, DeliveryRow, DeliveryState, Kinds, MASS_SEND, MASS_TARGET,
};

/// What is done about what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// It is withdrawn.
    Recall,
    /// Its text is changed.
    Correct,
}

impl Undo {
    /// Returns the verb, as in the API and the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Undo::Recall => "recall",
            Undo::Correct => "correct",
        }
    }

    /// Returns the kind of its deliveries.
    fn kind(self) -> &'static str {
        match self {
            Undo::Recall => "recall",
            Undo::Correct => "edit",
        }
    }

    /// Says that nothing can be undone, and why.
    pub(super) fn nothing(self, cannot: &BTreeMap<&'static str, u64>) -> String {
        if cannot.is_empty() {
            return format!(
                "nothing was sent that there would be to {} (没有可处理的已发消息)",
                self.as_str()
            );
        }
        let why: Vec<_> = cannot.iter().map(|(code, groups)| format!("{code} in {groups} groups")).collect();
        format!(
            "cannot {} it anywhere: {}; ask the owners of these groups (所有群都做不到，请联系群主)",
            self.as_str(),
            why.join(", ")
        )
    }

    fn title(self, of: &Broadcast) -> String {
        let name = if of.name.is_empty() { of.id.as_str() } else { &of.name };
        match self {
            Undo::Recall => format!("撤回 · recall: {name}"),
            Undo::Correct => format!("更正 · correct: {name}"),
        }
    }

    /// Says that it cannot be done in a group.
    fn impossible(self) -> Unsaid {
        match self {
            Undo::Recall => unsaid(
                "cannot_recall",
                "平台不能撤回发到这个群的消息，请群主在客户端处理 · the platform cannot withdraw what was sent to this \
                 group; its owner can in the client",
            ),
            Undo::Correct => unsaid(
                "cannot_edit",
                "平台不能修改发到这个群的消息，可撤回后另发一条 · the platform cannot change what was sent to this group; \
                 recall it and send another",
            ),
        }
    }
}

/// Which broadcast is undone, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoing {
    /// The broadcast.
    pub of: BroadcastId,
    /// What is done about it.
    pub how: Undo,
    /// The last of its targets that was looked at.
    #[serde(default)]
    pub through: Option<u32>,
}

/// What can be done about one target.
enum Fate {
    /// It was not sent.
    Nothing,
    /// Wait until it is known whether it was.
    Open,
    /// Something, or why nothing can be.
    Known(Result<(), Unsaid>),
}

impl Broadcasts {
    /// Takes back what was sent of a broadcast, or puts another text in its place. What is still being sent is called off
    /// first: by a recall also where nothing that was sent can be taken back.
    ///
    /// # Errors
    /// When nothing of it was sent, no platform can do it, the text cannot be said, or the actor may not see it.
    pub async fn undo(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        text: Option<String>,
        reason: &str,
    ) -> Result<Broadcast, BroadcastError> {
        let how = if text.is_some() { Undo::Correct } else { Undo::Recall };
        let of = self.get(actor, id).await?;
        let (counts, now_ms) = (self.counts(id).await?, self.parts.clock.now_ms());
        let state = of.state(&counts, now_ms);
        let under_way = match state {
            State::Expanding | State::Canary | State::Running | State::Paused | State::Stopped => true,
            State::Cancelled | State::Finished => false,
            State::Draft | State::Recurring | State::Submitted | State::Scheduled => {
                return Err(IllegalTransition { state, verb: how.as_str() }.into());
            }
        };
        if of.undoes.is_some() {
            return Err(IllegalTransition { state, verb: how.as_str() }.into());
        }
        let text = text.unwrap_or_default();
        if how == Undo::Correct {
            self.check_copy(&text, &of.mass.survey)?;
        }
        let mut new = Broadcast {
            name: how.title(&of),
            text,
            exclude: of.exclude.clone(),
            account: of.account.clone(),
            undoes: Some(Undoing { of: id.clone(), how, through: None }),
            reason: reason.to_owned(),
            control: Control::Running,
            ..Broadcast::draft(self.new_id(now_ms), actor, of.audience.clone(), of.place.clone(), now_ms)
        };
        let cancels_anyway = under_way && how == Undo::Recall;
        if cancels_anyway {
            self.command(actor, id, Command::Cancel, reason).await?;
        }
        self.survey_undoing(&mut new, how).await?;
        self.submitted(actor, &mut new)?;
        // What was said is taken back at once; other words than those that were approved need somebody's approval, too.
        new.needs_approval &= how == Undo::Correct;
        if new.needs_approval {
            new.control = Control::Submitted;
        }
        new.released(now_ms, &self.parts.book.default_time_zone());
        if under_way && !cancels_anyway {
            self.command(actor, id, Command::Cancel, reason).await?;
        }
        self.store_undoing(actor, id, new, reason).await
    }

    /// Counts what can be undone.
    async fn survey_undoing(&self, new: &mut Broadcast, how: Undo) -> Result<(), BroadcastError> {
        let mut cannot: BTreeMap<&'static str, u64> = BTreeMap::new();
        let (mut expected, of) = (0, new.undoes.as_ref().map_or(&new.id, |undoing| &undoing.of));
        let visit = |row: DeliveryRow| {
            let Some(name) = name_of(&row).filter(|name| self.may_undo(new, name)) else { return };
            match self.fate(&row, &name, how) {
                Fate::Nothing => {}
                // They may still arrive.
                Fate::Open | Fate::Known(Ok(())) => expected += 1,
                Fate::Known(Err(unsaid)) => *cannot.entry(unsaid.code).or_default() += 1,
            }
        };
        self.each_target(of, &[], visit).await?;
        new.expected = expected;
        new.mass.survey = Survey { groups: new.expected, ..Survey::default() };
        if new.expected == 0 { Err(BroadcastError::CannotUndo { how, cannot }) } else { Ok(()) }
    }

    /// Writes both in one commit: the one that undoes, and the other one that it is undone.
    async fn store_undoing(
        &self,
        actor: &Actor,
        id: &BroadcastId,
        new: Broadcast,
        reason: &str,
    ) -> Result<Broadcast, BroadcastError> {
        let slot = self.slot(actor, id).await?;
        let mut active = slot.lock().await;
        let now_ms = self.parts.clock.now_ms();
        let mut of = active.broadcast.clone();
        if let Some(other) = of.undone_by.iter().find(|id| self.active.lock().contains_key(*id)) {
            return Err(BroadcastError::BeingUndone(other.clone()));
        }
        of.undone_by.push(new.id.clone());
        let verb = new.undoes.as_ref().map_or("undo", |undoing| undoing.how.as_str());
        let audit = AuditEntry::by(actor, now_ms, verb, "broadcast", id.as_str())
            .at(&new.place)
            .with(&serde_json::json!({"by": new.id, "expected": new.expected, "reason": reason}));
        let writes = vec![put(&of, Some(active.version)), put(&new, Some(0))];
        let told = standing(&new, &Counts::default(), now_ms);
        let change = Change { at_ms: now_ms, writes, audit: vec![audit], told, ..Change::default() };
        self.commit(&mut active, of, change).await?;
        drop(active);
        self.insert(new.clone(), 1, None);
        self.expand.notify_one();
        Ok(new)
    }

    /// Writes the next targets of one that undoes another; says whether there are more to be written now.
    pub(super) async fn expand_undoing(&self, active: &mut Active) -> Result<bool, BroadcastError> {
        let mut changed = active.broadcast.clone();
        let Some(mut undoing) = changed.undoes.clone() else { return Ok(false) };
        let script = Script::parse(&changed.text, None)?;
        let rows = self.targets_to_undo(&changed, undoing.through).await?;
        let is_last = rows.len() < self.parts.config.chunk_targets.max(1);
        let now_ms = self.parts.clock.now_ms();
        let (mut targets, mut waits) = (Vec::new(), false);
        for row in &rows {
            let known = name_of(row).filter(|name| self.may_undo(&changed, name));
            if let Some(name) = known {
                match self.fate(row, &name, undoing.how) {
                    Fate::Open => {
                        waits = true;
                        break;
                    }
                    Fate::Nothing => {}
                    Fate::Known(possible) => {
                        targets.push(self.undoing_target(&changed, &script, row, &name, possible, now_ms));
                        *changed.expansion.accounts.entry(name.account).or_default() += 1;
                    }
                }
            }
            undoing.through = Some(row.target);
        }
        let moved =
            !targets.is_empty() || undoing.through != changed.undoes.and_then(|before| before.through);
        changed.expansion.targets += u32::try_from(targets.len()).unwrap_or(u32::MAX);
        changed.expansion.done = is_last && !waits;
        changed.undoes = Some(undoing);
        if changed.expansion.done {
            changed.expected = u64::from(changed.expansion.targets);
        }
        if !moved && !changed.expansion.done {
            return Ok(false);
        }
        let done = changed.expansion.done;
        let writes = vec![put(&changed, Some(active.version))];
        let change = Change { at_ms: now_ms, writes, deliveries: targets, ..Change::default() };
        self.commit(active, changed, change).await?;
        self.feed_due(active).await;
        Ok(!done && !waits)
    }

    /// Makes a target anew that could not be made.
    pub(super) async fn undoing_anew(
        &self,
        broadcast: &Broadcast,
        undoing: &Undoing,
        script: &Script,
        row: &DeliveryRow,
        now_ms: i64,
    ) -> Result<Option<DeliveryRow>, BroadcastError> {
        let id = Some(undoing.of.delivery(row.target).as_str().to_owned());
        let filter = DeliveryFilter { id, limit: 1, ..DeliveryFilter::default() };
        let rows = self.parts.storage.deliveries(filter).await.map_err(storage_error("read a target"))?;
        let Some((of, name)) = rows.first().and_then(|of| Some((of, name_of(of)?))) else { return Ok(None) };
        Ok(match self.fate(of, &name, undoing.how) {
            Fate::Nothing | Fate::Open => None,
            Fate::Known(possible) => {
                Some(self.undoing_target(broadcast, script, of, &name, possible, now_ms))
            }
        })
    }

    /// Reads targets of the broadcast that is undone, in order, after one.
    async fn targets_to_undo(
        &self,
        broadcast: &Broadcast,
        through: Option<u32>,
    ) -> Result<Vec<DeliveryRow>, BroadcastError> {
        let Some(Undoing { of, .. }) = &broadcast.undoes else { return Ok(Vec::new()) };
        let after =
            through.map(|target| (of.as_str().to_owned(), target, of.delivery(target).as_str().to_owned()));
        let filter = DeliveryFilter {
            broadcast: Some(of.as_str().to_owned()),
            kinds: Kinds::Not(MASS_SEND),
            after,
            limit: self.parts.config.chunk_targets.max(1),
            ..DeliveryFilter::default()
        };
        self.parts.storage.deliveries(filter).await.map_err(storage_error("read targets"))
    }

    /// Says whether whoever undoes reaches the group.
    fn may_undo(&self, broadcast: &Broadcast, name: &GroupName) -> bool {
        let group = self.parts.book.group(name);
        group.is_some_and(|group| broadcast.scopes.iter().all(|scope| scope.covers(group.place())))
    }

    /// Says what can be done about a target.
    fn fate(&self, row: &DeliveryRow, name: &GroupName, how: Undo) -> Fate {
        match row.state {
            // One that waits for a person is called off together with its task, or cannot be withdrawn any more.
            DeliveryState::Pending | DeliveryState::Sending if row.kind != MASS_TARGET => Fate::Open,
            DeliveryState::Sent if row.kind == MASS_TARGET => Fate::Known(Err(how.impossible())),
            DeliveryState::Sent => {
                // An account that is not connected now is taken to be able to.
                let voice = self.parts.speaking.voice(&name.account, name.group.as_str());
                let can = voice.is_none_or(|voice| match how {
                    Undo::Recall => voice.can_recall,
                    Undo::Correct => voice.can_edit,
                });
                Fate::Known(if can { Ok(()) } else { Err(how.impossible()) })
            }
            DeliveryState::Uncertain => Fate::Known(Err(unsaid(
                "not_sure",
                "不确定当时是否发出，请先在“存疑”里说明，再重试 · nobody knows whether it was sent: declare it, then try again",
            ))),
            DeliveryState::Pending
            | DeliveryState::Sending
            | DeliveryState::AwaitingConfirmation
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Expired => Fate::Nothing,
        }
    }

    fn undoing_target(
        &self,
        broadcast: &Broadcast,
        script: &Script,
        of: &DeliveryRow,
        name: &GroupName,
        possible: Result<(), Unsaid>,
        now_ms: i64,
    ) -> DeliveryRow {
        let how = broadcast.undoes.as_ref().map_or(Undo::Recall, |undoing| undoing.how);
        let message = if of.platform_id.is_empty() { of.id.clone() } else { of.platform_id.clone() };
        let said = possible.and_then(|()| match how {
            Undo::Recall => Ok(String::new()),
            Undo::Correct => self.corrected(script, name),
        });
        let (text, problem) = match said {
            Ok(text) => (text, None),
            Err(unsaid) => (broadcast.text.clone(), Some((unsaid.code.to_owned(), unsaid.detail))),
        };
        let payload = match how {
            Undo::Recall => Payload::Action { action: ActionKind::Recall, of: Some(message) },
            Undo::Correct => Payload::Edit { of: message, text },
        };
        let delivery = delivery_of(&broadcast.id, name, of.target, payload, broadcast.expires_ms);
        let delivery = Delivery { kind: how.kind().to_owned(), ..delivery };
        let state = if problem.is_some() { DeliveryState::Failed } else { DeliveryState::Pending };
        let (code, detail) = problem.unwrap_or_default();
        DeliveryRow { code, detail, ..row_of(&delivery, None, state, now_ms) }
    }

    /// Makes the text that a group reads from now on.
    fn corrected(&self, script: &Script, name: &GroupName) -> Result<String, Unsaid> {
        const NO_TERMS: Option<Terms> = None;
        let Some(group) = self.parts.book.group(name) else {
            return Err(unsaid("cannot_show", "没有这个群了 · the group is gone"));
        };
        let said = Sayer::of(&self.parts).say(script, &*group, NO_TERMS, Judging::Values)?;
        Ok(super::script::words(&said.payload))
    }
}

fn name_of(row: &DeliveryRow) -> Option<GroupName> {
    let (account, group) = (AccountId::parse(&row.account).ok()?, GroupId::parse(&row.group).ok()?);
    Some(GroupName { account, group })
}
