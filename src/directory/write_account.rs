//! Writing accounts: secrets are sealed before anything leaves memory, and opened for connectors only.

use std::sync::Arc;

use serde_json::Value;

use super::account::{
    Account, AccountRecord, AccountSpec, AccountSpecIn, SECRET_NAME_DEFAULT, SealedSecret, Secret, SecretIn,
    hint, purpose,
};
use super::limits::Checker;
use super::shop::Stored;
use super::write::{Written, check_id, check_room, refuse_outside};
use super::{Directory, DirectoryError, brand_place};
use crate::event::{AccountId, Actor, FieldError, Place};
use crate::storage::{AuditEntry, Change, DocumentKind, StorageError, Write};

impl Directory {
    /// Makes or replaces an account. `check` asks its connector whether it could work with it.
    ///
    /// # Errors
    /// See [`DirectoryError`]; `expect` that does not hold is a storage conflict.
    pub async fn put_account(
        &self,
        actor: &Actor,
        id: &AccountId,
        spec: AccountSpecIn,
        expect: Option<u64>,
        check: impl FnOnce(&AccountSpec) -> Result<(), Vec<FieldError>> + Send,
    ) -> Result<Written, DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let before = self.account(id.as_str());
        if before.as_ref().is_some_and(|account| !actor.scope.covers(&account.place)) {
            return Err(DirectoryError::NotFound("account"));
        }
        check_id(id.as_str())?;
        self.check_account(actor, before.as_deref(), &spec)?;
        let created = before.is_none();
        let (count, max) = (self.rooms.load().len(), self.config.accounts_max);
        check_room(created, count, max, "accounts", "accounts_max")?;
        let record = self.record_of(id, before.as_deref(), spec)?;
        check(&self.spec_of(id, &record)?).map_err(DirectoryError::Invalid)?;
        let verb = if created { "create" } else { "update" };
        let version = self.commit_account(actor, id, &record, verb, expect).await?;
        self.install_account(id, Stored { version, record });
        Ok(Written { version, created })
    }

    fn check_account(
        &self,
        actor: &Actor,
        before: Option<&Account>,
        spec: &AccountSpecIn,
    ) -> Result<(), DirectoryError> {
        let mut checker = Checker::new(&self.config);
        spec.check(&mut checker);
        if let Some(brand) = &spec.brand {
            let unchanged = before.is_some_and(|account| account.record.brand == spec.brand);
            let there = self.brands.read().contains_key(brand);
            if !there || !(unchanged || actor.scope.covers(&brand_place(brand))) {
                checker.refuse("/brand", "not_found", "no such brand");
            }
        }
        checker.finish().map_err(DirectoryError::Invalid)?;
        let place = Place { brand: spec.brand.clone(), ..Place::default() };
        refuse_outside(actor, &place, "/brand")
    }

    fn record_of(
        &self,
        id: &AccountId,
        before: Option<&Account>,
        spec: AccountSpecIn,
    ) -> Result<AccountRecord, DirectoryError> {
        let kept = before.map(|account| account.record.secrets.clone()).unwrap_or_default();
        let secrets = match spec.secrets {
            None => kept,
            Some(given) => given
                .into_iter()
                .enumerate()
                .map(|(index, secret)| self.secret_of(id, &kept, index, secret))
                .collect::<Result<_, _>>()?,
        };
        Ok(AccountRecord {
            platform: spec.platform,
            name: spec.name.unwrap_or_else(|| id.to_string()),
            brand: spec.brand,
            policy: spec.policy,
            disabled: spec.disabled,
            settings: Value::Object(spec.settings),
            secrets,
            limits: spec.limits,
            group_limits: spec.group_limits,
            own_members: spec.own_members,
        })
    }

    fn secret_of(
        &self,
        account: &AccountId,
        kept: &[SealedSecret],
        index: usize,
        given: SecretIn,
    ) -> Result<SealedSecret, DirectoryError> {
        let expires_ms = given.expires_at.map(jiff::Timestamp::as_millisecond);
        let Some(value) = given.value else {
            let found = given.id.as_deref().and_then(|id| kept.iter().find(|secret| secret.id == id));
            let found = found.cloned().ok_or_else(|| {
                let pointer = format!("/secrets/{index}/id");
                DirectoryError::Invalid(vec![FieldError::new(pointer, "not_found", "no such secret")])
            })?;
            return Ok(SealedSecret {
                name: given.name.unwrap_or(found.name),
                expires_ms: expires_ms.or(found.expires_ms),
                ..found
            });
        };
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|_| super::KeyError::Randomness)?;
        let id = format!("sec_{:016x}", u64::from_be_bytes(random));
        let sealed = self.keys.seal(&purpose(account, &id), &value)?;
        Ok(SealedSecret {
            id,
            name: given.name.unwrap_or_else(|| SECRET_NAME_DEFAULT.to_owned()),
            hint: hint(&value),
            created_ms: self.clock.now_ms(),
            expires_ms,
            sealed,
        })
    }

    /// Removes an account that no declared group belongs to.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn delete_account(&self, actor: &Actor, id: &str) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.changing.lock().await;
        let account = self.account_in(&actor.scope, id)?;
        if !self.groups_of(id, |_, context| context.declared.is_some()).is_empty() {
            return Err(DirectoryError::InUse { what: "the account", by: "declared groups" });
        }
        self.remove(actor, DocumentKind::Account, id, &account.place).await?;
        let mut rooms = std::collections::HashMap::clone(&self.rooms.load());
        if let Some(room) = rooms.remove(id) {
            self.groups.fetch_sub(room.groups.len(), std::sync::atomic::Ordering::Relaxed);
        }
        self.rooms.store(Arc::new(rooms));
        Ok(())
    }

    /// Returns what a connector is told of an account, secrets in the clear; those past their date stay behind.
    ///
    /// # Errors
    /// `NotFound`, or when a secret does not open.
    pub fn account_spec(&self, id: &str) -> Result<AccountSpec, DirectoryError> {
        let account = self.account(id).ok_or(DirectoryError::NotFound("account"))?;
        self.spec_of(&account.id, &account.record)
    }

    fn spec_of(&self, id: &AccountId, record: &AccountRecord) -> Result<AccountSpec, DirectoryError> {
        let open = |secret: &SealedSecret| {
            let value = self.keys.open(&purpose(id, &secret.id), &secret.sealed)?;
            Ok(Secret::new(secret.name.clone(), value).until(secret.expires_ms))
        };
        let now_ms = self.clock.now_ms();
        let valid = record.secrets.iter().filter(|secret| secret.expires_ms.is_none_or(|end| now_ms < end));
        Ok(AccountSpec {
            id: id.clone(),
            platform: record.platform.clone(),
            settings: record.settings.clone(),
            secrets: valid.map(open).collect::<Result<_, DirectoryError>>()?,
            limits: record.limits.clone(),
            group_limits: record.group_limits.clone(),
        })
    }

    /// Seals with the first key what another one sealed. A secret whose key is lost is left and told of.
    pub(super) async fn seal_anew(&self) -> Result<(), DirectoryError> {
        let operator = crate::event::OperatorId::parse("menshen").expect("a constant, tested");
        let actor = Actor { operator, token: None, scope: crate::event::Scope::everything() };
        for account in self.accounts() {
            let mut record = account.record.clone();
            let mut changed = false;
            for secret in record.secrets.iter_mut().filter(|secret| self.keys.is_old(&secret.sealed)) {
                let purpose = purpose(&account.id, &secret.id);
                match self.keys.open(&purpose, &secret.sealed) {
                    Ok(value) => {
                        secret.sealed = self.keys.seal(&purpose, &value)?;
                        changed = true;
                    }
                    Err(error) => tracing::error!(
                        account.id = account.id.as_str(), secret.id, error = %error,
                        "an account secret does not open; write it anew"
                    ),
                }
            }
            if changed {
                let expect = Some(account.version);
                let version = self.commit_account(&actor, &account.id, &record, "reseal", expect).await?;
                self.install_account(&account.id, Stored { version, record });
            }
        }
        Ok(())
    }

    async fn commit_account(
        &self,
        actor: &Actor,
        id: &AccountId,
        record: &AccountRecord,
        verb: &str,
        expect: Option<u64>,
    ) -> Result<u64, StorageError> {
        let at_ms = self.clock.now_ms();
        let place = Place { brand: record.brand.clone(), ..Place::default() };
        // The settings stay out of the log: their meaning is the connector's, and so may a secret in them be.
        let secrets: Vec<_> = record.secrets.iter().map(|secret| &secret.id).collect();
        let detail = serde_json::json!({
            "platform": record.platform, "name": record.name, "policy": record.policy, "disabled": record.disabled, "secrets": secrets,
            "limits": record.limits, "group_limits": record.group_limits,
        });
        let audit = AuditEntry::by(actor, at_ms, verb, "account", id.as_str()).at(&place).with(&detail);
        let body = serde_json::to_string(record).expect("our own records have string keys only");
        let write = Write::Put { kind: DocumentKind::Account, id: id.to_string(), body, expect };
        let change = Change { at_ms, writes: vec![write], audit: vec![audit], ..Change::default() };
        Ok(self.storage.apply(change).await?.first().copied().unwrap_or(0))
    }
}
