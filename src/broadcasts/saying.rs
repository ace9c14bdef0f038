//! What one group is told: its values filled in, as a content where its platform shows it, else as the text; where a person
//! must confirm, both in one task. Used for targets, for previews and for tests alike, so that what is shown beforehand is
//! what is sent.

use std::sync::Arc;

use super::book::{GroupBook, GroupEntry, Speaking, TextJudge};
use super::script::{Script, text_bytes, words};
use super::{Confirming, Parts, Terms};
use crate::event::{AccountId, BroadcastId, GroupName, Hit};
use crate::outbox::delivery::{Content, Delivery, Payload, Priority};

/// Whom it asks; cheap to clone.
#[derive(Clone)]
pub(super) struct Sayer {
    pub(super) book: Arc<dyn GroupBook>,
    pub(super) judge: Arc<dyn TextJudge>,
    pub(super) confirming: Arc<dyn Confirming>,
    pub(super) speaking: Arc<dyn Speaking>,
}

/// What a group is told.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) payload: Payload,
    /// The text, since its platform does not show the content.
    pub(super) by_fallback: bool,
}

/// Why a group cannot be told.
#[derive(Clone, Debug)]
pub(super) struct Unsaid {
    /// `missing_variable`, `blocked`, `too_long`, `cannot_show`, `cannot_post`: those after which it may be said anew.
    pub(super) code: &'static str,
    pub(super) detail: String,
    pub(super) hits: Vec<Hit>,
}

/// Whether words that are the same for all were judged before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judging {
    /// Only what values made of them is judged.
    Values,
    /// All of it.
    All,
}

pub(super) fn unsaid(code: &'static str, detail: impl Into<String>) -> Unsaid {
    Unsaid { code, detail: detail.into(), hits: Vec::new() }
}

fn blocked(why: &str, hits: Vec<Hit>) -> Unsaid {
    let lists: Vec<_> = hits.iter().map(|hit| hit.wordlist.as_str()).collect();
    Unsaid { code: "blocked", detail: format!("{why} it hits {}", lists.join(", ")), hits }
}

impl Sayer {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            book: Arc::clone(&parts.book),
            judge: Arc::clone(&parts.judge),
            confirming: Arc::clone(&parts.confirming),
            speaking: Arc::clone(&parts.speaking),
        }
    }

    pub(super) fn terms(&self, name: &GroupName) -> Option<Terms> {
        self.confirming.terms(&name.account, name.group.as_str())
    }

    /// Says whether a group is shown a content. A platform that is not connected now is taken to be able to.
    pub(super) fn shows(&self, name: &GroupName, content: &Content) -> bool {
        self.speaking.shows(&name.account, name.group.as_str(), content)
    }

    /// Returns the longest text that a group takes, in bytes.
    pub(super) fn text_bytes_max(&self, name: &GroupName, terms: Option<Terms>) -> Option<usize> {
        let spoken = || Some(self.speaking.voice(&name.account, name.group.as_str())?.text_bytes_max);
        terms.map(|terms| terms.text_bytes_max).or_else(spoken)
    }

    /// Makes what a group is told. What values made of the words is judged too: a shop's own words are not above the lists.
    ///
    /// # Errors
    /// Says why it cannot be told.
    pub(super) fn say(
        &self,
        script: &Script,
        group: &dyn GroupEntry,
        terms: Option<Terms>,
        judging: Judging,
    ) -> Result<Said, Unsaid> {
        let voice = || self.speaking.voice(&group.name().account, group.name().group.as_str());
        // An account that is not connected now may be able to when its turn comes.
        if terms.is_none() && voice().is_some_and(|voice| !voice.can_post) {
            let detail = "the platform lets nobody say something in this group through this account \
                          (该账号在此群不能发言)";
            return Err(unsaid("cannot_post", detail));
        }
        let shown = script.content().filter(|content| self.shows(group.name(), content));
        let payload = match (shown, terms) {
            (Some(content), Some(_)) => script.task_for(content, group),
            (Some(content), None) => Script::content_for(content, group),
            (None, _) if script.has_text() => script.text_for(group),
            (None, _) => {
                let detail = "the platform cannot show this there, and the broadcast has no `text` to say in its place \
                              (平台不支持这种内容，且没有备用文字)";
                return Err(unsaid("cannot_show", detail));
            }
        };
        let payload = payload.map_err(|missing| unsaid("missing_variable", missing.to_string()))?;
        let by_fallback = shown.is_none() && script.content().is_some();
        let said = words(&payload);
        if judging == Judging::All || !script.is_constant() {
            self.judge.judge(&said).map_err(|hits| blocked("with its variables filled in", hits))?;
        }
        self.judge.judge_there(group.name(), &said).map_err(|hits| blocked("by what applies there", hits))?;
        let bytes = text_bytes(&payload);
        match self.text_bytes_max(group.name(), terms) {
            Some(max) if bytes > max => {
                let detail =
                    format!("with its variables filled in it has {bytes} bytes; the platform takes {max}");
                Err(unsaid("too_long", detail))
            }
            Some(_) | None => Ok(Said { payload, by_fallback }),
        }
    }
}

/// Makes a target of what a group is told.
pub(super) fn delivery_of(
    broadcast: &BroadcastId,
    group: &GroupName,
    target: u32,
    payload: Payload,
    expires_ms: i64,
) -> Delivery {
    let account: AccountId = group.account.clone();
    Delivery {
        id: broadcast.delivery(target),
        account,
        group: group.group.as_str().to_owned(),
        member: None,
        kind: "broadcast".to_owned(),
        rule: String::new(),
        priority: Priority::Bulk,
        payload,
        broadcast: Some((broadcast.clone(), target)),
        expires_ms,
        cost: 1,
    }
}
