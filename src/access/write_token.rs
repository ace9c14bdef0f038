//! Changes of tokens: checked, committed with their audit entry, then made visible.

use std::sync::atomic::Ordering;

use super::write::{check_name, json};
use super::{Access, AccessError, Caller, Grant, Stored, Table, Token, TokenSecret, TokenSpec};
use crate::event::{FieldError, Places, TokenId};
use crate::storage::{AuditEntry, Change, DocumentKind, IdempotencyRecord, Write};

/// A token just made; the only moment its secret is known.
#[derive(Debug)]
pub struct NewToken {
    /// What to hand to its user.
    pub secret: TokenSecret,
    /// What is kept.
    pub token: Stored<Token>,
}

impl Access {
    /// Returns the tokens of the operators that the caller may see, by id.
    pub fn tokens(&self, caller: &Caller, places: &dyn Places) -> Vec<(TokenId, Stored<Token>)> {
        let table = self.table.load();
        let mut seen: Vec<_> = table
            .grants
            .iter()
            .filter(|(_, grant)| grant.visible_to(caller, &table, places))
            .filter_map(|(id, grant)| Some((TokenId::parse(id).ok()?, grant.current())))
            .collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        seen
    }

    /// Makes a token. `record` may make an idempotency record of it (which must not hold the secret).
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn create_token(
        &self,
        caller: &Caller,
        spec: TokenSpec,
        places: &dyn Places,
        record: impl FnOnce(&NewToken) -> Option<IdempotencyRecord> + Send,
    ) -> Result<NewToken, AccessError> {
        let _one_at_a_time = self.changing.lock().await;
        check_name(&spec.name)?;
        let operator_id = spec.operator.unwrap_or_else(|| caller.actor().operator.clone());
        let operator = self.operator(caller, operator_id.as_str(), places).map_err(|_| {
            AccessError::Invalid(vec![FieldError::new("/operator", "not_found", "no such operator")])
        })?;
        let rights = spec.rights.unwrap_or_else(|| operator.record.rights.and(caller.rights()));
        let scope = spec.scope.unwrap_or_else(|| operator.record.scope.clone());
        self.check_grant(caller, rights, &scope, places)?;
        if let Some(right) = rights.beyond(operator.record.rights) {
            return Err(AccessError::Beyond(format!(
                "the operator `{operator_id}` lacks the right `{right}`"
            )));
        }
        if !scope.is_within(&operator.record.scope, places) {
            return Err(AccessError::Beyond(format!("the scope of the operator `{operator_id}` is smaller")));
        }
        if self.table.load().grants.len() >= self.config.tokens_max {
            let max = self.config.tokens_max;
            return Err(AccessError::TooMany { what: "tokens", max, key: "access.tokens_max" });
        }
        let secret = TokenSecret::generate().map_err(|_| AccessError::Randomness)?;
        let token = Token {
            operator: operator_id,
            name: spec.name,
            rights,
            scope,
            sha256: secret.hash().to_hex(),
            created_ms: self.clock.now_ms(),
            expires_ms: spec.expires_ms,
            last_used_ms: None,
        };
        let new = NewToken { secret, token: Stored { version: 1, record: token } };
        let record = record(&new);
        self.store_token(caller, new, record).await
    }

    async fn store_token(
        &self,
        caller: &Caller,
        mut new: NewToken,
        record: Option<IdempotencyRecord>,
    ) -> Result<NewToken, AccessError> {
        let token = &new.token.record;
        let id = new.secret.id().to_owned();
        let detail = serde_json::json!({
            "operator": token.operator, "name": token.name, "rights": token.rights, "scope": token.scope,
            "expires_ms": token.expires_ms,
        });
        let audit = AuditEntry::by(caller.actor(), token.created_ms, "create", "token", &id).with(&detail);
        let write =
            Write::Put { kind: DocumentKind::Token, id: id.clone(), body: json(token), expect: Some(0) };
        new.token.version = self.commit(vec![write], audit, record).await?;
        let token_id = TokenId::parse(&id).expect("twelve characters of our own alphabet");
        self.replace(|table| table.insert(&token_id, new.token.clone()))?;
        Ok(new)
    }

    /// Takes a token back; it stops working at once.
    ///
    /// # Errors
    /// `NotFound`, also when its operator is outside the caller's scope; or storage's.
    pub async fn revoke_token(
        &self,
        caller: &Caller,
        id: &str,
        places: &dyn Places,
    ) -> Result<(), AccessError> {
        let _one_at_a_time = self.changing.lock().await;
        let id = id.strip_prefix(super::PREFIX).unwrap_or(id);
        {
            let table = self.table.load();
            let grant = table.grants.get(id).filter(|grant| grant.visible_to(caller, &table, places));
            grant.ok_or(AccessError::NotFound("token"))?;
        }
        let write = Write::Delete { kind: DocumentKind::Token, id: id.to_owned() };
        let audit = AuditEntry::by(caller.actor(), self.clock.now_ms(), "revoke", "token", id);
        self.commit(vec![write], audit, None).await?;
        self.replace(|table| {
            table.grants.remove(id);
            Ok(())
        })
    }

    /// Writes "last used" of every token that was used since it was last written.
    ///
    /// # Errors
    /// Storage's; what was not written is tried again next time.
    pub async fn flush_last_used(&self) -> Result<(), AccessError> {
        let _one_at_a_time = self.changing.lock().await;
        let table = self.table.load_full();
        let changed: Vec<_> = table
            .grants
            .iter()
            .filter(|(_, grant)| grant.current().record.last_used_ms != grant.stored.record.last_used_ms)
            .map(|(id, grant)| (id.clone(), grant.current()))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let writes = changed.iter().map(|(id, stored)| Write::Put {
            kind: DocumentKind::Token,
            id: id.to_string(),
            body: json(&stored.record),
            expect: Some(stored.version),
        });
        let change = Change { at_ms: self.clock.now_ms(), writes: writes.collect(), ..Change::default() };
        let versions = self.storage.apply(change).await?;
        self.replace(|table| {
            for ((id, stored), version) in changed.iter().zip(&versions) {
                let id = TokenId::parse(id).expect("it is in the table");
                table.insert(&id, Stored { version: *version, record: stored.record.clone() })?;
            }
            Ok(())
        })
    }
}

impl Grant {
    /// The record with what memory knows of its last use.
    fn current(&self) -> Stored<Token> {
        let mut stored = self.stored.clone();
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        stored.record.last_used_ms = (used_ms > 0).then_some(used_ms);
        stored
    }

    fn visible_to(&self, caller: &Caller, table: &Table, places: &dyn Places) -> bool {
        let outer = table.operators.get(&self.stored.record.operator);
        outer.is_none_or(|operator| operator.record.scope.is_within(caller.scope(), places))
    }
}
