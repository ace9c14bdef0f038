//! Documents, the audit log and remembered answers.

use rusqlite::{Connection, OptionalExtension, params};

use super::{calls, deliveries, fault, signed, status, unsigned};
use crate::storage::{
    AuditEntry, AuditFilter, Change, Document, DocumentKind, IdempotencyRecord, StorageError, Write,
};

/// Makes a change; the caller's savepoint makes it all or nothing.
pub(super) fn apply(conn: &Connection, change: &Change) -> Result<Vec<u64>, StorageError> {
    if let Some(record) = &change.idempotency {
        remember(conn, record, change.at_ms)?;
    }
    let mut versions = Vec::with_capacity(change.writes.len());
    for write in &change.writes {
        versions.push(match write {
            Write::Put { kind, id, body, expect } => put(conn, *kind, id, body, *expect, change.at_ms)?,
            Write::Delete { kind, id } => {
                conn.prepare_cached("DELETE FROM document WHERE kind = ?1 AND id = ?2")
                    .and_then(|mut delete| delete.execute(params![kind.as_str(), id]))
                    .map_err(fault("delete a document"))?;
                0
            }
        });
    }
    let of_endpoint = |write: &Write| match write {
        Write::Put { kind, .. } | Write::Delete { kind, .. } => *kind == DocumentKind::Endpoint,
    };
    if change.writes.iter().any(of_endpoint) {
        status::listen(conn)?;
    }
    deliveries::add(conn, &change.deliveries)?;
    deliveries::say(conn, &change.said)?;
    deliveries::call_off(conn, &change.called_off, change.at_ms)?;
    deliveries::carry(conn, &change.carried)?;
    calls::relocate(conn, &change.moved, change.at_ms)?;
    status::tell(conn, &change.told)?;
    for entry in &change.audit {
        conn.prepare_cached(
            "INSERT INTO audit (at_ms, operator, token, verb, object, id, detail, place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                entry.at_ms,
                entry.operator,
                entry.token,
                entry.verb,
                entry.object,
                entry.id,
                entry.detail,
                entry.place
            ])
        })
        .map_err(fault("write the audit log"))?;
    }
    Ok(versions)
}

fn put(
    conn: &Connection,
    kind: DocumentKind,
    id: &str,
    body: &str,
    expect: Option<u64>,
    at_ms: i64,
) -> Result<u64, StorageError> {
    if let Some(expect) = expect {
        let now: Option<u64> = conn
            .prepare_cached("SELECT version FROM document WHERE kind = ?1 AND id = ?2")
            .and_then(|mut query| {
                query.query_row(params![kind.as_str(), id], |row| row.get(0).map(unsigned)).optional()
            })
            .map_err(fault("read a document"))?;
        if now.unwrap_or(0) != expect {
            return Err(StorageError::Conflict { what: format!("{} {id}", kind.as_str()) });
        }
    }
    conn.prepare_cached(
        "INSERT INTO document VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT (kind, id) DO UPDATE
         SET version = version + 1, body = excluded.body, updated_ms = excluded.updated_ms RETURNING version",
    )
    .and_then(|mut upsert| {
        upsert.query_row(params![kind.as_str(), id, body, at_ms], |row| row.get(0).map(unsigned))
    })
    .map_err(fault("write a document"))
}

fn remember(conn: &Connection, record: &IdempotencyRecord, now_ms: i64) -> Result<(), StorageError> {
    let stored = conn
        .prepare_cached(
            "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO UPDATE
             SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
                 expires_ms = excluded.expires_ms
             WHERE idempotency.expires_ms <= ?6",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                record.key,
                record.fingerprint,
                record.status,
                record.body,
                record.expires_ms,
                now_ms
            ])
        })
        .map_err(fault("remember an answer"))?;
    if stored == 0 {
        return Err(StorageError::Conflict { what: format!("idempotency key {}", record.key) });
    }
    Ok(())
}

/// Returns one document.
pub(super) fn document(
    conn: &Connection,
    kind: DocumentKind,
    id: &str,
) -> Result<Option<Document>, StorageError> {
    conn.prepare_cached("SELECT version, body, updated_ms FROM document WHERE kind = ?1 AND id = ?2")
        .and_then(|mut query| {
            query
                .query_row(params![kind.as_str(), id], |row| {
                    Ok(Document {
                        kind,
                        id: id.to_owned(),
                        version: row.get(0).map(unsigned)?,
                        body: row.get(1)?,
                        updated_ms: row.get(2)?,
                    })
                })
                .optional()
        })
        .map_err(fault("read a document"))
}

/// Returns documents after a cursor.
pub(super) fn documents(
    conn: &Connection,
    kind: DocumentKind,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Document>, StorageError> {
    conn.prepare_cached(
        "SELECT id, version, body, updated_ms FROM document WHERE kind = ?1 AND (?2 IS NULL OR id > ?2)
         ORDER BY id LIMIT ?3",
    )
    .and_then(|mut query| {
        query
            .query_map(params![kind.as_str(), after, super::limit(limit)], |row| {
                Ok(Document {
                    kind,
                    id: row.get(0)?,
                    version: row.get(1).map(unsigned)?,
                    body: row.get(2)?,
                    updated_ms: row.get(3)?,
                })
            })?
            .collect()
    })
    .map_err(fault("read documents"))
}

/// Returns a remembered answer, also an expired one that nothing has replaced yet.
pub(super) fn idempotency(conn: &Connection, key: &str) -> Result<Option<IdempotencyRecord>, StorageError> {
    conn.prepare_cached("SELECT fingerprint, status, body, expires_ms FROM idempotency WHERE key = ?1")
        .and_then(|mut query| {
            query
                .query_row([key], |row| {
                    Ok(IdempotencyRecord {
                        key: key.to_owned(),
                        fingerprint: row.get(0)?,
                        status: row.get(1)?,
                        body: row.get(2)?,
                        expires_ms: row.get(3)?,
                    })
                })
                .optional()
        })
        .map_err(fault("read a remembered answer"))
}

/// Returns audit entries, newest first.
pub(super) fn audit(conn: &Connection, filter: &AuditFilter) -> Result<Vec<AuditEntry>, StorageError> {
    let before = filter.before.map_or(i64::MAX, signed);
    let sql = match filter.object {
        Some(_) => {
            "SELECT seq, at_ms, operator, token, verb, object, id, detail, place FROM audit
             WHERE object = ?2 AND seq < ?1 AND (?4 IS NULL OR id = ?4) ORDER BY seq DESC LIMIT ?3"
        }
        None => {
            "SELECT seq, at_ms, operator, token, verb, object, id, detail, place FROM audit
             WHERE seq < ?1 AND ?2 IS NULL AND (?4 IS NULL OR id = ?4) ORDER BY seq DESC LIMIT ?3"
        }
    };
    conn.prepare_cached(sql)
        .and_then(|mut query| {
            query
                .query_map(params![before, filter.object, super::limit(filter.limit), filter.id], |row| {
                    Ok(AuditEntry {
                        seq: row.get(0).map(unsigned)?,
                        at_ms: row.get(1)?,
                        operator: row.get(2)?,
                        token: row.get(3)?,
                        verb: row.get(4)?,
                        object: row.get(5)?,
                        id: row.get(6)?,
                        detail: row.get(7)?,
                        place: row.get(8)?,
                    })
                })?
                .collect()
        })
        .map_err(fault("read the audit log"))
}
