//! The secrets that sign calls: sealed in the ledger, replaced with a grace, sealed anew under a newer key.

use super::record::Secret;
use super::{Endpoint, Live, SECRETS_MAX, SubscriptionError, Subscriptions};
use crate::directory::KeyError;
use crate::storage::AuditEntry;
use crate::webhooks::SignKey;

impl Subscriptions {
    /// Returns the secrets that sign from now on, and the new one in the clear if we made it.
    pub(super) fn secrets(
        &self,
        id: &str,
        former: Option<&Live>,
        given: Option<String>,
    ) -> Result<(Vec<Secret>, Option<String>), SubscriptionError> {
        let now_ms = self.parts.clock.now_ms();
        let mut secrets = former.map(|former| former.endpoint.secrets.clone()).unwrap_or_default();
        let current =
            secrets.first().map(|current| self.parts.keys.open(&purpose(id), &current.sealed)).transpose()?;
        let fresh = match (&given, &current) {
            (None, None) => Some(fresh_secret()?),
            (Some(given), Some(current)) if given == current => return Ok((secrets, None)),
            (Some(_), _) => None,
            (None, Some(_)) => return Ok((secrets, None)),
        };
        let grace_ms = i64::try_from(self.parts.config.secret_grace.as_millis()).unwrap_or(i64::MAX);
        for secret in &mut secrets {
            secret.until_ms.get_or_insert(now_ms.saturating_add(grace_ms));
        }
        secrets.retain(|secret| secret.until_ms.is_some_and(|until_ms| until_ms > now_ms));
        let plain = given.or_else(|| fresh.clone()).unwrap_or_default();
        let sealed = self.parts.keys.seal(&purpose(id), &plain)?;
        secrets.insert(0, Secret { sealed, until_ms: None });
        secrets.truncate(SECRETS_MAX);
        Ok((secrets, fresh))
    }

    pub(super) fn sign_keys(&self, live: &Live) -> Result<Vec<SignKey>, SubscriptionError> {
        let now_ms = self.parts.clock.now_ms();
        let valid = |secret: &&Secret| secret.until_ms.is_none_or(|until_ms| until_ms > now_ms);
        let mut keys = Vec::new();
        for secret in live.endpoint.secrets.iter().filter(valid) {
            let plain = self.parts.keys.open(&purpose(&live.id), &secret.sealed)?;
            keys.extend(SignKey::parse(&plain));
        }
        Ok(keys)
    }

    /// Seals with the first key what another one sealed, so that the older key can be taken away. Returns the version.
    pub(super) async fn seal_anew(
        &self,
        id: &str,
        endpoint: &mut Endpoint,
        version: u64,
    ) -> Result<u64, SubscriptionError> {
        let mut changed = false;
        for secret in endpoint.secrets.iter_mut().filter(|secret| self.parts.keys.is_old(&secret.sealed)) {
            match self.parts.keys.open(&purpose(id), &secret.sealed) {
                Ok(plain) => {
                    secret.sealed = self.parts.keys.seal(&purpose(id), &plain)?;
                    changed = true;
                }
                Err(error) => {
                    tracing::error!(endpoint.id = id, %error, "an endpoint's secret does not open; replace it");
                }
            }
        }
        if !changed {
            return Ok(version);
        }
        let audit = AuditEntry::by_house(self.parts.clock.now_ms(), "reseal", "endpoint", id);
        let change = self.change(vec![endpoint.write(id, Some(version))], audit);
        Ok(self.parts.storage.apply(change).await?.first().copied().unwrap_or(version))
    }
}

fn purpose(id: &str) -> String {
    format!("endpoint/{id}")
}

pub(super) fn fresh_secret() -> Result<String, KeyError> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
    Ok(format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}
