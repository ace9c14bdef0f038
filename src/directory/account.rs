//! Accounts: one configured credential on a platform each, and what a connector is told of it.
//!
//! Not for: what the settings mean; each connector checks its own.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::keys::Sealed;
use super::limits::Checker;
use crate::event::{AccountId, BrandId, Place};

/// The account that exists from the first start: its platform only records what it was asked to do.
pub const DEMO_ACCOUNT: &str = "demo";
/// The platform of [`DEMO_ACCOUNT`].
pub const SANDBOX_PLATFORM: &str = "sandbox";
/// Characters of a secret's end that are shown again, when it is long enough to stay secret.
const HINT_CHARS: usize = 4;
const HINT_SECRET_CHARS_MIN: usize = 12;

/// An account as the hot path and the API know it; without secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its name in addresses and events.
    pub id: AccountId,
    /// Where it belongs.
    pub place: Place,
    /// The ledger's version.
    pub version: u64,
    /// What was written.
    pub record: AccountRecord,
}

/// An account as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// `sandbox`, `webhook`, `wecom`, ….
    pub platform: String,
    /// Name for people.
    pub name: String,
    /// The brand it belongs to.
    pub brand: Option<BrandId>,
    /// The policy of its groups that name none.
    #[serde(default)]
    pub policy: Option<String>,
    /// Takes and sends nothing.
    pub disabled: bool,
    /// What its connector needs, in the connector's words.
    pub settings: Value,
    /// Encrypted.
    pub secrets: Vec<SealedSecret>,
    /// Limits of the account, in the grammar of `outbox::limit`; the platform's own when empty.
    pub limits: Vec<String>,
    /// Limits of each of its groups.
    pub group_limits: Vec<String>,
    /// Ids of the members we speak through in its groups.
    #[serde(default)]
    pub own_members: Vec<String>,
}

/// One encrypted secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// By which it is kept when the account is written again.
    pub id: String,
    /// What for, in the connector's words; empty for whatever it fits.
    pub name: String,
    /// Its last characters, to tell it from others.
    pub hint: String,
    /// When it was written.
    pub created_ms: i64,
    /// From then on it is not used.
    pub expires_ms: Option<i64>,
    /// The secret itself.
    pub sealed: Sealed,
}

/// What is asked when an account is written.
#[derive(Clone, Debug, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSpecIn {
    /// Which connector: `sandbox`, `webhook`, ….
    pub platform: String,
    /// Name for people; the id when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The brand it belongs to; decides who may see it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub brand: Option<BrandId>,
    /// The policy its groups' messages are judged by, unless a group names its own.
    #[serde(default)]
    pub policy: Option<String>,
    /// Takes and sends nothing.
    #[serde(default)]
    pub disabled: bool,
    /// What the connector needs, in the connector's words.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: serde_json::Map<String, Value>,
    /// All its secrets; those of before are kept when left out.
    #[serde(default, deserialize_with = "secrets")]
    pub secrets: Option<Vec<SecretIn>>,
    /// Limits of the account: `window:20/m`, `pace:600/m,max_burst=10`, `concurrency:8`.
    #[serde(default)]
    pub limits: Vec<String>,
    /// Limits of each of its groups.
    #[serde(default)]
    pub group_limits: Vec<String>,
    /// Ids of the members we speak through in its groups: their messages are never answered, and naming one by @ is
    /// naming us.
    #[serde(default)]
    pub own_members: Vec<String>,
}

/// One secret of an account: a new one by `value` (or just as a text), or one that stays by `id`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretIn {
    /// Keeps a secret that is there already.
    #[serde(default)]
    pub id: Option<String>,
    /// What for, in the connector's words; whatever it fits when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The secret; never shown again.
    #[serde(default)]
    #[schema(write_only)]
    pub value: Option<String>,
    /// From then on it is not used (RFC 3339): for a change of keys.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<jiff::Timestamp>,
}

/// Reads secrets; a bare text is the value of a new one.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<SecretIn>>, D::Error> {
    struct Given(SecretIn);
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = SecretIn;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a secret, or an object with `value` or `id`")
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<SecretIn, E> {
            Ok(SecretIn { value: Some(value.to_owned()), ..SecretIn::default() })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretIn, A::Error> {
            SecretIn::deserialize(MapAccessDeserializer::new(map))
        }
    }
    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Either).map(Given)
        }
    }
    let given = Option::<Vec<Given>>::deserialize(deserializer)?;
    Ok(given.map(|given| given.into_iter().map(|Given(secret)| secret).collect()))
}

impl fmt::Debug for SecretIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretIn({:?}, {:?}, …)", self.id, self.name)
    }
}

/// What a secret is for when nothing is said: whatever it fits.
pub(super) const SECRET_NAME_DEFAULT: &str = "";

/// A secret in the clear, for a connector. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What for, in the connector's words.
    pub name: String,
    /// From then on it is not used.
    pub expires_ms: Option<i64>,
    value: String,
}

impl Secret {
    /// Wraps a text.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), expires_ms: None, value: value.into() }
    }

    /// Gives it an end.
    #[must_use]
    pub fn until(mut self, expires_ms: Option<i64>) -> Self {
        self.expires_ms = expires_ms;
        self
    }

    /// Returns the secret itself; for signing and verifying only, never for a log.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, …)", self.name)
    }
}

/// Everything a connector is told of its account.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Its name.
    pub id: AccountId,
    /// Which connector.
    pub platform: String,
    /// In the connector's words.
    pub settings: Value,
    /// In the clear; several of one name are all active (a change of keys).
    pub secrets: Vec<Secret>,
    /// Limits of the account; the connector's defaults hold when empty.
    pub limits: Vec<String>,
    /// Limits of each of its groups.
    pub group_limits: Vec<String>,
}

/// What is shown of a secret after it was written.
pub(super) fn hint(value: &str) -> String {
    let chars: Vec<char> = value.chars().collect();
    let shown = if chars.len() >= HINT_SECRET_CHARS_MIN { HINT_CHARS } else { 0 };
    format!("…{}", chars[chars.len() - shown..].iter().collect::<String>())
}

/// What a secret is bound to: it opens for this account and this secret only.
pub(super) fn purpose(account: &AccountId, secret: &str) -> String {
    format!("account/{account}/{secret}")
}

impl AccountSpecIn {
    /// Notes every field that breaks a limit.
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        checker.name("/platform", &self.platform);
        for (pointer, text) in [("/name", &self.name), ("/policy", &self.policy)] {
            if let Some(text) = text {
                checker.name(pointer, text);
            }
        }
        let limits = [("/limits", &self.limits), ("/group_limits", &self.group_limits)];
        for (pointer, limits) in limits {
            checker.count(pointer, limits.len(), checker.config.account_limits_max, "account_limits_max");
        }
        let (pointer, key) = ("/own_members", "own_members_max");
        checker.count(pointer, self.own_members.len(), checker.config.own_members_max, key);
        for (index, member) in self.own_members.iter().enumerate() {
            checker.name(&format!("{pointer}/{index}"), member);
        }
        let settings = serde_json::to_string(&self.settings).map_or(0, |text| text.len());
        checker.bytes("/settings", settings, checker.config.settings_bytes_max, "settings_bytes_max");
        let secrets = self.secrets.as_deref().unwrap_or_default();
        checker.count("/secrets", secrets.len(), checker.config.secrets_max, "secrets_max");
        for (index, secret) in secrets.iter().enumerate() {
            let pointer = format!("/secrets/{index}");
            match (&secret.id, &secret.value) {
                (None, Some(value)) => {
                    let key = "secret_bytes_max";
                    checker.bytes(
                        &format!("{pointer}/value"),
                        value.len(),
                        checker.config.secret_bytes_max,
                        key,
                    );
                    if value.is_empty() {
                        checker.refuse(format!("{pointer}/value"), "required", "is empty");
                    }
                }
                (Some(_), None) => {}
                _ => checker.refuse(pointer, "required", "give `value` for a new secret or `id` to keep one"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("signing", "whsec_topsecret");
        let given =
            SecretIn { id: None, name: None, value: Some("whsec_topsecret".into()), expires_at: None };
        assert!(!format!("{secret:?} {given:?}").contains("topsecret"));
        assert_eq!(secret.expose(), "whsec_topsecret");
    }

    #[test]
    fn a_hint_leaves_a_short_secret_hidden() {
        assert_eq!(hint("whsec_abcdefgh1234"), "…1234");
        assert_eq!(hint("密码密码密码密码密码密码末尾四字"), "…末尾四字");
        assert_eq!(hint("short"), "…");
        assert_eq!(hint(""), "…");
    }
}
