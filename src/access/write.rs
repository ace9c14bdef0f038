//! Changes of operators: checked, committed with their audit entry, then made visible.

use std::sync::Arc;

use super::{
    Access, AccessError, Caller, FIRST_OPERATOR, NewToken, Operator, OperatorSpec, Right, Rights, Stored,
    Table, TokenSpec,
};
use crate::event::{FieldError, OperatorId, Places, Scope, TokenId};
use crate::storage::{AuditEntry, Change, DocumentKind, IdempotencyRecord, StorageError, Write};

/// Longest name of an operator or token, in characters.
const NAME_CHARS_MAX: usize = 100;

impl Access {
    /// Makes the first operator and a token for them, when there is no operator at all.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn bootstrap(&self) -> Result<Option<NewToken>, AccessError> {
        if !self.table.load().operators.is_empty() {
            return Ok(None);
        }
        let caller = Caller::local();
        let id = OperatorId::parse(FIRST_OPERATOR).expect("a constant, tested");
        let operator = Operator {
            name: "First administrator".to_owned(),
            rights: Rights::all(),
            scope: Scope::everything(),
            disabled: false,
        };
        self.put_operator(&caller, &id, operator, Some(0), &NoPlaces).await?;
        let spec = TokenSpec {
            operator: Some(id),
            name: "first start".to_owned(),
            rights: None,
            scope: None,
            expires_ms: None,
        };
        self.create_token(&caller, spec, &NoPlaces, |_| None).await.map(Some)
    }

    /// Returns the operators that the caller may see, by id.
    pub fn operators(
        &self,
        caller: &Caller,
        places: &dyn Places,
    ) -> Vec<(OperatorId, Arc<Stored<Operator>>)> {
        let table = self.table.load();
        let mut seen: Vec<_> = table
            .operators
            .iter()
            .filter(|(_, stored)| stored.record.scope.is_within(caller.scope(), places))
            .map(|(id, stored)| (id.clone(), Arc::clone(stored)))
            .collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        seen
    }

    /// Returns one operator.
    ///
    /// # Errors
    /// `NotFound`, also when outside the caller's scope.
    pub fn operator(
        &self,
        caller: &Caller,
        id: &str,
        places: &dyn Places,
    ) -> Result<Arc<Stored<Operator>>, AccessError> {
        let table = self.table.load();
        let id = OperatorId::parse(id).map_err(|_| AccessError::NotFound("operator"))?;
        let found = table.operators.get(&id).ok_or(AccessError::NotFound("operator"))?;
        if !found.record.scope.is_within(caller.scope(), places) {
            return Err(AccessError::NotFound("operator"));
        }
        Ok(Arc::clone(found))
    }

    /// Makes or replaces an operator.
    ///
    /// # Errors
    /// See [`AccessError`]; `expect` that does not hold is a storage conflict.
    pub async fn put_operator(
        &self,
        caller: &Caller,
        id: &OperatorId,
        spec: OperatorSpec,
        expect: Option<u64>,
        places: &dyn Places,
    ) -> Result<Arc<Stored<Operator>>, AccessError> {
        let _one_at_a_time = self.changing.lock().await;
        check_name(&spec.name)?;
        self.check_grant(caller, spec.rights, &spec.scope, places)?;
        let before = self.table.load().operators.get(id).cloned();
        match &before {
            // Found out here already so that an outsider cannot tell a foreign operator from a missing one.
            Some(before) if !before.record.scope.is_within(caller.scope(), places) => {
                return Err(AccessError::NotFound("operator"));
            }
            Some(_) if !is_administrator(&spec) => self.refuse_last_administrator(id)?,
            None if self.table.load().operators.len() >= self.config.operators_max => {
                let max = self.config.operators_max;
                return Err(AccessError::TooMany { what: "operators", max, key: "access.operators_max" });
            }
            _ => {}
        }
        let verb = if before.is_some() { "update" } else { "create" };
        let now_ms = self.clock.now_ms();
        let audit = AuditEntry::by(caller.actor(), now_ms, verb, "operator", id.as_str()).with(&spec);
        let write = Write::Put {
            kind: DocumentKind::Operator,
            id: id.as_str().to_owned(),
            body: json(&spec),
            expect,
        };
        let version = self.commit(vec![write], audit, None).await?;
        let stored = Arc::new(Stored { version, record: spec });
        self.replace(|table| {
            table.operators.insert(id.clone(), Arc::clone(&stored));
            table.recut(id)
        })?;
        Ok(stored)
    }

    /// Removes an operator with all their tokens.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn delete_operator(
        &self,
        caller: &Caller,
        id: &str,
        places: &dyn Places,
    ) -> Result<(), AccessError> {
        let _one_at_a_time = self.changing.lock().await;
        self.operator(caller, id, places)?;
        let id = OperatorId::parse(id).map_err(|_| AccessError::NotFound("operator"))?;
        self.refuse_last_administrator(&id)?;
        let tokens: Vec<Box<str>> = {
            let table = self.table.load();
            let own = table.grants.iter().filter(|(_, grant)| grant.stored.record.operator == id);
            own.map(|(token, _)| token.clone()).collect()
        };
        let mut writes = vec![Write::Delete { kind: DocumentKind::Operator, id: id.as_str().to_owned() }];
        writes.extend(
            tokens.iter().map(|token| Write::Delete { kind: DocumentKind::Token, id: token.to_string() }),
        );
        let detail = serde_json::json!({ "tokens": tokens });
        let now_ms = self.clock.now_ms();
        let audit = AuditEntry::by(caller.actor(), now_ms, "delete", "operator", id.as_str()).with(&detail);
        self.commit(writes, audit, None).await?;
        self.replace(|table| {
            table.operators.remove(&id);
            for token in &tokens {
                table.grants.remove(token);
            }
            Ok(())
        })
    }

    pub(super) async fn commit(
        &self,
        writes: Vec<Write>,
        audit: AuditEntry,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<u64, StorageError> {
        let at_ms = audit.at_ms;
        let change = Change { at_ms, writes, audit: vec![audit], idempotency, ..Change::default() };
        Ok(self.storage.apply(change).await?.first().copied().unwrap_or(0))
    }

    pub(super) fn replace(
        &self,
        edit: impl FnOnce(&mut Table) -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        let mut table = Table::clone(&self.table.load());
        edit(&mut table)?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    pub(super) fn check_grant(
        &self,
        caller: &Caller,
        rights: Rights,
        scope: &Scope,
        places: &dyn Places,
    ) -> Result<(), AccessError> {
        if scope.names() > self.config.scope_names_max {
            let detail = format!(
                "names {} places; at most {} (`access.scope_names_max`)",
                scope.names(),
                self.config.scope_names_max
            );
            return Err(AccessError::Invalid(vec![FieldError::new("/scope", "too_many", detail)]));
        }
        if let Some(right) = rights.beyond(caller.rights()) {
            return Err(AccessError::Beyond(format!("the right `{right}`")));
        }
        if !scope.is_within(caller.scope(), places) {
            return Err(AccessError::Beyond("this scope".to_owned()));
        }
        Ok(())
    }

    fn refuse_last_administrator(&self, leaving: &OperatorId) -> Result<(), AccessError> {
        let table = self.table.load();
        let leaves = table.operators.get(leaving).is_some_and(|o| is_administrator(&o.record));
        let others = table.operators.iter().any(|(id, o)| id != leaving && is_administrator(&o.record));
        if leaves && !others { Err(AccessError::LastAdministrator) } else { Ok(()) }
    }
}

impl Table {
    /// Cuts the tokens of an operator anew after the operator changed.
    fn recut(&mut self, operator: &OperatorId) -> Result<(), AccessError> {
        let own = self.grants.iter().filter(|(_, grant)| grant.stored.record.operator == *operator);
        let tokens: Vec<_> = own.map(|(id, grant)| (id.clone(), grant.stored.clone())).collect();
        for (id, stored) in tokens {
            self.insert(&TokenId::parse(&id).expect("it is in the table"), stored)?;
        }
        Ok(())
    }
}

pub(super) fn check_name(name: &str) -> Result<(), AccessError> {
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        let detail = format!("has {chars} characters; 1 to {NAME_CHARS_MAX} are possible");
        return Err(AccessError::Invalid(vec![FieldError::new("/name", "length", detail)]));
    }
    Ok(())
}

fn is_administrator(operator: &Operator) -> bool {
    operator.rights.has(Right::Admin) && operator.scope.all && !operator.disabled
}

pub(super) fn json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("our own records have string keys only")
}

/// Knows no place: enough where the grantor sees everything.
struct NoPlaces;

impl Places for NoPlaces {
    fn region_place(&self, _: &crate::event::RegionId) -> crate::event::Place {
        crate::event::Place::default()
    }
    fn shop_place(&self, _: &crate::event::ShopId) -> crate::event::Place {
        crate::event::Place::default()
    }
    fn group_place(&self, _: &crate::event::GroupName) -> crate::event::Place {
        crate::event::Place::default()
    }
}
