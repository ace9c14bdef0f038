//! What a connector is built from: an account as `directory` keeps it, with its secrets in the clear.

use std::fmt;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::event::AccountId;
use crate::outbox::limit::{AccountLimits, LimitError};

/// An account, ready to be connected. Two equal ones make equal connectors.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSpec {
    /// The account.
    pub id: AccountId,
    /// The platform's name.
    pub platform: String,
    /// The platform's own settings: an object, or null for none.
    pub settings: serde_json::Value,
    /// Its secrets.
    pub secrets: Vec<Secret>,
    /// Its limits; empty means those of the platform.
    pub limits: Vec<String>,
    /// Limits of each of its groups.
    pub group_limits: Vec<String>,
}

/// One secret of an account. `Debug` hides its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is for, in the words of its platform (`inbound`, `outbound`, …); empty for whatever it fits.
    pub name: String,
    value: String,
}

impl Secret {
    /// Makes a secret.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Returns the value: for making keys of it, never for showing.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why an account cannot be connected. Never repeats a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{path}` {reason}")]
pub struct SpecError {
    /// Where, as in `settings.url` or `secrets[0]`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl SpecError {
    /// Makes an error at `path`.
    pub fn at(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl AccountSpec {
    /// Reads the limits: the account's own, and `defaults` for what it names none of: the account and its groups together,
    /// each class of groups (`@robot window:20/m`) by itself.
    ///
    /// # Errors
    /// Names the limit that cannot be read.
    pub fn limits(&self, defaults: &[&str]) -> Result<AccountLimits, SpecError> {
        let defaults =
            AccountLimits::parse(defaults).map_err(|error| SpecError::at("limits", error.to_string()))?;
        let mut own = AccountLimits::default();
        for (name, texts, group) in
            [("limits", &self.limits, ""), ("group_limits", &self.group_limits, "group:")]
        {
            for (nth, text) in texts.iter().enumerate() {
                let refused = |error: LimitError| SpecError::at(format!("{name}[{nth}]"), error.to_string());
                let written = match text.split_once(' ').filter(|_| text.starts_with('@')) {
                    Some((class, limit)) => format!("{class} {group}{limit}"),
                    None => format!("{group}{text}"),
                };
                own.add(&written).map_err(refused)?;
            }
        }
        Ok(own.or(defaults))
    }

    /// Reads the settings as a platform's own type.
    ///
    /// # Errors
    /// Names the path below `settings`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        let empty = serde_json::Value::Object(serde_json::Map::new());
        let settings = if self.settings.is_null() { &empty } else { &self.settings };
        serde_path_to_error::deserialize(settings).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { "settings".to_owned() } else { format!("settings.{path}") };
            SpecError::at(path, error.into_inner().to_string())
        })
    }
}
