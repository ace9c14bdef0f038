//! Welcome templates as people want them, how they stand in a platform's library, and which groups have them switched on.

use serde::{Deserialize, Serialize};

use super::{Failure, Stored};
use crate::event::AccountId;
use crate::outbox::delivery::Article;
use crate::reach::{Plan, choose};
use crate::storage::{DocumentKind, Storage, StorageError};

/// A template as people want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// In whose library.
    #[schema(value_type = String)]
    pub account: AccountId,
    /// The greeting, with the platform's placeholder for the newcomer's name (WeCom: `%NICKNAME%`).
    pub text: String,
    /// A link sent with it.
    #[serde(default)]
    pub link: Option<Article>,
    /// Whether the platform tells owners to switch it on when it is added.
    #[serde(default)]
    pub notify: bool,
    /// For which groups.
    #[serde(default)]
    pub plan: Plan,
}

/// What a library holds of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The greeting.
    pub text: String,
    /// The link.
    pub link: Option<Article>,
}

impl Held {
    /// Returns what the library is to hold of a template.
    pub fn of(template: &Template) -> Self {
        Self { text: template.text.clone(), link: template.link.clone() }
    }
}

/// How a template stands in the library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateState {
    /// The platform's id.
    pub platform_id: Option<String>,
    /// What we put there.
    pub held: Option<Held>,
    /// It is being added: when this is still there at the next pass, nobody knows whether it was.
    pub adding: bool,
    /// When the answer to adding it was lost: the library may hold it a second time.
    pub lost_ms: Option<i64>,
    /// When it was compared or tried last.
    pub compared_ms: i64,
    /// When somebody else's change was noticed last; it was undone.
    pub drift_ms: Option<i64>,
    /// What the platform refused the last time.
    pub failure: Option<Failure>,
}

impl TemplateState {
    /// Returns what the ids of an account's states begin with.
    pub fn prefix(account: &str) -> String {
        format!("{account}/template/")
    }

    /// Returns the id of a template's state.
    pub fn id(account: &str, template: &str) -> String {
        format!("{account}/template/{template}")
    }
}

/// Somebody says that a group's owner has switched a template on. The platform does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Which template.
    pub template: String,
    /// When it was said, in milliseconds since the epoch.
    pub at_ms: i64,
    /// By which operator.
    pub by: String,
}

impl Adoption {
    /// Returns the id of a group's mark.
    pub fn id(account: &str, group: &str) -> String {
        format!("{account}/{group}")
    }

    /// Reads a group's mark.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn of(storage: &dyn Storage, account: &str, group: &str) -> Result<Option<Self>, StorageError> {
        let stored = super::read(storage, DocumentKind::Adoption, &Self::id(account, group)).await?;
        Ok(stored.map(|stored: Stored<Self>| stored.value))
    }
}

/// Reads all templates, in order of ids.
///
/// # Errors
/// When storage fails or a newer version wrote one.
pub async fn templates(storage: &dyn Storage) -> Result<Vec<Stored<Template>>, StorageError> {
    super::all(storage, DocumentKind::WelcomeTemplate, "").await
}

/// Returns the template that is meant for a group of an account.
pub fn planned<'t>(
    templates: &'t [Stored<Template>],
    account: &str,
    place: &crate::event::Place,
    tags: &[String],
) -> Option<&'t Stored<Template>> {
    let own = || templates.iter().filter(|template| template.value.account.as_str() == account);
    let id = choose(own().map(|template| (template.id.as_str(), &template.value.plan)), place, tags)?;
    own().find(|template| template.id == id)
}
