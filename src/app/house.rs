//! What the API asks of the gateway as a whole.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::accounts::Accounts;
use super::duties::Duties;
use super::rules::Rulebook;
use crate::api::{Draft, House, Reloaded};
use crate::event::{FieldError, pointer_part};
use crate::evidence;
use crate::interception::{Keeping, Policy, Ruleset, WordlistSource};
use crate::journeys;
use crate::pipeline::KeepingLimits;
use crate::replies;
use crate::rulesets::{Accepted, LoadError, Move, Proposal, Refused, Return};
use crate::storage::DocumentKind;
use crate::welcomes;

/// The running gateway, as the API sees it.
pub(super) struct Residence {
    /// Connects accounts.
    pub(super) accounts: Arc<Accounts>,
    /// Compiles rules.
    pub(super) rulebook: Arc<Rulebook>,
    /// Keeps platforms in order.
    pub(super) duties: Arc<Duties>,
}

#[async_trait]
impl House for Residence {
    async fn check(&self, kind: DocumentKind, id: &str, body: &Value) -> Result<(), Vec<FieldError>> {
        let current = self.rulebook.current().load_full();
        match kind {
            DocumentKind::Wordlist => {
                let list: WordlistSource = read(&named(body, id))?;
                list.check().map_err(|detail| vec![FieldError::new("", "invalid", detail)])
            }
            DocumentKind::RuleSet => self.rulebook.check_rule_set(&named(body, id)).await,
            DocumentKind::Policy => check_policy(&named(body, id), &current.limits.evidence),
            DocumentKind::Reply => {
                let rule: replies::Rule = read(body)?;
                let words = self.rulebook.words();
                rule.check(&current.limits.replies, words).map(drop).map_err(|error| invalid(&error))
            }
            DocumentKind::Synonyms => {
                let list: replies::SynonymList = read(body)?;
                list.check(&current.limits.replies).map_err(|error| invalid(&error))
            }
            DocumentKind::Welcome => {
                let welcome: welcomes::Welcome = read(body)?;
                welcome.check(&current.limits.welcomes).map(drop).map_err(|error| invalid(&error))
            }
            DocumentKind::Journey => {
                let journey: journeys::Journey = read(body)?;
                journey.check(&current.limits.journeys).map(drop).map_err(|error| invalid(&error))
            }
            // Checked by whoever owns them; the rulebook does not read them.
            DocumentKind::Operator
            | DocumentKind::Token
            | DocumentKind::Account
            | DocumentKind::Brand
            | DocumentKind::Region
            | DocumentKind::Shop
            | DocumentKind::Group
            | DocumentKind::Audience
            | DocumentKind::Broadcast
            | DocumentKind::BroadcastGroups
            | DocumentKind::Hold
            | DocumentKind::CaseDecision
            | DocumentKind::Kick
            | DocumentKind::Endpoint
            | DocumentKind::ConnectorState
            | DocumentKind::MassTask
            | DocumentKind::OwnerHistory
            | DocumentKind::Pushed
            | DocumentKind::WelcomeTemplate
            | DocumentKind::Adoption
            | DocumentKind::JoinWay
            | DocumentKind::Transfer
            | DocumentKind::OwnGroup
            | DocumentKind::WordlistLife
            | DocumentKind::Ruleset
            | DocumentKind::RulesetUndo
            | DocumentKind::RulesetHead
            | DocumentKind::Review
            | DocumentKind::ReviewClosed
            | DocumentKind::Follower
            | DocumentKind::LearnedLimits
            | DocumentKind::WallSteps
            | DocumentKind::Removals
            | DocumentKind::OwnerNotice
            | DocumentKind::Question
            | DocumentKind::AlertState
            | DocumentKind::Alert
            | DocumentKind::AlertLetter
            | DocumentKind::AlertRule
            | DocumentKind::MemberMark
            | DocumentKind::TagRule
            | DocumentKind::Segment => Ok(()),
        }
    }

    async fn change_rules(&self, proposal: Proposal) -> Result<Accepted, Refused> {
        let accepted = self.rulebook.change(proposal).await?;
        self.wake_duties();
        Ok(accepted)
    }

    async fn roll_back_rules(&self, back: Return) -> Result<Accepted, Refused> {
        let accepted = self.rulebook.roll_back(back).await?;
        self.wake_duties();
        Ok(accepted)
    }

    async fn move_wordlist(&self, wanted: Move) -> Result<Accepted, Refused> {
        let accepted = self.rulebook.move_list(wanted).await?;
        self.wake_duties();
        Ok(accepted)
    }

    fn rollout_messages_min(&self) -> u64 {
        self.rulebook.rollout_messages_min()
    }

    fn rules_trouble(&self) -> Option<LoadError> {
        self.rulebook.trouble()
    }

    fn wake_duties(&self) {
        self.duties.woken.notify_one();
    }

    async fn compile_draft(&self, draft: Draft) -> Result<Ruleset, String> {
        self.rulebook.compile_draft(draft).await.map_err(|error| format!("{error:#}"))
    }

    async fn reload_accounts(&self) {
        self.accounts.connect_all().await;
    }

    async fn reload_configuration(&self) -> Result<Reloaded, String> {
        let ruleset = self.rulebook.reload("asked for").await.map_err(|error| format!("{error:#}"))?;
        self.wake_duties();
        Ok(Reloaded { ruleset, needs_restart: Vec::new() })
    }
}

/// A wordlist, set of rules or policy is named by its address.
fn named(body: &Value, id: &str) -> Value {
    let mut body = body.clone();
    if let Some(object) = body.as_object_mut() {
        object.insert("name".to_owned(), id.into());
    }
    body
}

pub(super) fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Vec<FieldError>> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let part = |part: &Segment| match part {
            Segment::Seq { index } => pointer_part(&index.to_string()),
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => pointer_part(&part.to_string()),
        };
        let pointer: String = error.path().iter().map(part).collect();
        vec![FieldError::new(pointer, "form", error.into_inner().to_string())]
    })
}

fn check_policy(body: &Value, limits: &KeepingLimits) -> Result<(), Vec<FieldError>> {
    let policy: Policy = read(body)?;
    policy.check().map_err(|error| invalid(&error))?;
    policy.evidence.map_or(Ok(()), |keeping| check_keeping(&keeping, limits))
}

/// A policy does not promise to keep what the configuration does not let it keep.
fn check_keeping(keeping: &Keeping, limits: &KeepingLimits) -> Result<(), Vec<FieldError>> {
    if !keeping.is_nothing() && !limits.enabled {
        return Err(vec![FieldError::new("/evidence", "unsupported", evidence::REMEDY)]);
    }
    if keeping.history && !limits.history {
        let detail = "no history is kept: set `evidence.history = true` in the configuration and restart";
        return Err(vec![FieldError::new("/evidence/history", "unsupported", detail)]);
    }
    Ok(())
}

fn invalid(error: &dyn std::error::Error) -> Vec<FieldError> {
    vec![FieldError::new("", "invalid", error.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EvidenceKind;

    #[test]
    fn a_policy_keeps_nothing_without_a_key_and_is_told_how_to_make_one() {
        let off = KeepingLimits::default();
        assert_eq!(check_keeping(&Keeping::default(), &off), Ok(()));
        let blocked = Keeping { keep: vec![EvidenceKind::Blocked], ..Keeping::default() };
        let refused = check_keeping(&blocked, &off).unwrap_err();
        assert_eq!(refused[0].pointer, "/evidence");
        assert!(refused[0].detail.contains("openssl rand -base64 32"), "{}", refused[0].detail);
        let on = KeepingLimits { enabled: true, ..off };
        assert_eq!(check_keeping(&blocked, &on), Ok(()));
        let history = Keeping { history: true, ..Keeping::default() };
        assert_eq!(check_keeping(&history, &on).unwrap_err()[0].pointer, "/evidence/history");
    }
}
