//! What the API asks of the gateway as a whole.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::accounts::Accounts;
use super::drafts::Drafts;
use super::duties::Duties;
use super::rules::Rulebook;
use crate::api::{Draft, House, Reloaded};
use crate::event::FieldError;
use crate::evidence;
use crate::interception::{Keeping, Policy, Ruleset, WordlistSource};
use crate::pipeline::KeepingLimits;
use crate::replies;
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
    /// Compiles drafts.
    pub(super) drafts: Drafts,
}

#[async_trait]
impl House for Residence {
    fn check(&self, kind: DocumentKind, id: &str, body: &Value) -> Result<(), Vec<FieldError>> {
        let current = self.rulebook.current().load_full();
        match kind {
            DocumentKind::Wordlist => read::<WordlistSource>(&named(body, id)).map(drop),
            DocumentKind::Policy => {
                let policy: Policy = read(&named(body, id))?;
                policy.check().map_err(|error| invalid(&error))?;
                check_keeping(&policy.evidence, &current.limits.evidence)
            }
            DocumentKind::Reply => {
                let rule: replies::Rule = read(body)?;
                rule.check(&current.limits.replies).map(drop).map_err(|error| invalid(&error))
            }
            DocumentKind::Welcome => {
                let welcome: welcomes::Welcome = read(body)?;
                welcome.check(&current.limits.welcomes).map(drop).map_err(|error| invalid(&error))
            }
            // Checked by whoever owns them; the rulebook does not read them.
            DocumentKind::Operator
            | DocumentKind::Token
            | DocumentKind::Account
            | DocumentKind::Brand
            | DocumentKind::Region
            | DocumentKind::Shop
            | DocumentKind::Group
            | DocumentKind::Journey
            | DocumentKind::Audience
            | DocumentKind::Broadcast
            | DocumentKind::Hold
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
            | DocumentKind::Review
            | DocumentKind::ReviewClosed
            | DocumentKind::Follower => Ok(()),
        }
    }

    async fn reload_rules(&self) -> Result<String, String> {
        let version = self.rulebook.reload().await.map_err(|error| format!("{error:#}"))?;
        self.wake_duties();
        Ok(version)
    }

    fn wake_duties(&self) {
        self.duties.woken.notify_one();
    }

    async fn compile_draft(&self, draft: Draft) -> Result<Ruleset, String> {
        self.drafts.compile(draft).await.map_err(|error| format!("{error:#}"))
    }

    async fn reload_accounts(&self) {
        self.accounts.connect_all().await;
    }

    async fn reload_configuration(&self) -> Result<Reloaded, String> {
        let ruleset = self.reload_rules().await?;
        Ok(Reloaded { ruleset, needs_restart: Vec::new() })
    }
}

/// A wordlist or policy is named by its address.
fn named(body: &Value, id: &str) -> Value {
    let mut body = body.clone();
    if let Some(object) = body.as_object_mut() {
        object.insert("name".to_owned(), id.into());
    }
    body
}

fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Vec<FieldError>> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let pointer: String =
            error.path().iter().map(|part| crate::event::pointer_part(&part.to_string())).collect();
        vec![FieldError::new(pointer, "form", error.into_inner().to_string())]
    })
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
