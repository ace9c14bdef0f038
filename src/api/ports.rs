//! What the API asks of the running gateway beyond single handles; the composition root answers.

use async_trait::async_trait;
use serde_json::Value;

use crate::event::FieldError;
use crate::storage::DocumentKind;

/// What holds the parts together: checks that need several of them, and the reload after a change of rules or accounts.
#[async_trait]
pub trait House: Send + Sync + 'static {
    /// Says what is wrong with a wordlist, policy, reply, welcome or journey before it is stored.
    ///
    /// # Errors
    /// Every field that is wrong.
    fn check(&self, kind: DocumentKind, id: &str, body: &Value) -> Result<(), Vec<FieldError>>;

    /// Compiles all rules anew and puts them in force; returns the new version.
    ///
    /// # Errors
    /// Says in words what cannot be used; the old rules stay in force.
    async fn reload_rules(&self) -> Result<String, String>;

    /// Connects the accounts as the directory has them now.
    async fn reload_accounts(&self);

    /// Says that a duty on a platform has something to do.
    fn wake_duties(&self);

    /// Reads again everything of the configuration that needs no restart.
    ///
    /// # Errors
    /// Says in words what is wrong; nothing was changed.
    async fn reload_configuration(&self) -> Result<Reloaded, String>;
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// The ruleset that is in force now.
    pub ruleset: String,
    /// Keys whose new value needs a restart.
    pub needs_restart: Vec<String>,
}
