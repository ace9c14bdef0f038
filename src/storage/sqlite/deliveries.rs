//! Deliveries and attempts: what is to be sent, and every call that was made for it.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{fault, signed, unsigned};
use crate::event::partition_of;
use crate::storage::{
    AttemptRow, CalledOff, Carried, DeliveryFilter, DeliveryRow, DeliveryState, INTERRUPTED,
    INTERRUPTED_DETAIL, Intent, Kinds, MASS_SEND, MASS_TARGET, Settlement, StorageError, UNSAID,
};

const COLUMNS: &str = "id, broadcast, target, account, grp, kind, state, attempts, due_ms, expires_ms, body, code, \
                       detail, updated_ms, platform_id, carrier";

const INSERT: &str =
    "INSERT INTO delivery (id, part, broadcast, target, account, grp, kind, state, attempts, due_ms,
    expires_ms, body, code, detail, updated_ms, platform_id, carrier)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

fn insert(conn: &Connection, sql: &str, row: &DeliveryRow) -> Result<usize, StorageError> {
    conn.prepare_cached(sql)
        .and_then(|mut insert| {
            insert.execute(params![
                row.id,
                partition_of(&row.account, &row.group).0,
                row.broadcast,
                row.target,
                row.account,
                row.group,
                row.kind,
                row.state.as_str(),
                row.attempts,
                row.due_ms,
                row.expires_ms,
                row.body,
                row.code,
                row.detail,
                row.updated_ms,
                row.platform_id,
                row.carrier
            ])
        })
        .map_err(fault("write a delivery"))
}

/// Adds deliveries; those already there are left alone.
pub(super) fn add(conn: &Connection, rows: &[DeliveryRow]) -> Result<(), StorageError> {
    let sql = format!("{INSERT} ON CONFLICT (id) DO NOTHING");
    for row in rows {
        insert(conn, &sql, row)?;
    }
    Ok(())
}

/// Writes the intents down: the state `sending` and one attempt row each.
///
/// Only what is pending, or uncertain and to be repeated, may be called; anything else was settled or called off
/// meanwhile and is a conflict.
pub(super) fn intend(conn: &Connection, intents: &[Intent]) -> Result<(), StorageError> {
    let sql = format!(
        "{INSERT} ON CONFLICT (id) DO UPDATE SET state = 'sending', attempts = excluded.attempts,
         updated_ms = excluded.updated_ms WHERE delivery.state IN ('pending', 'uncertain')"
    );
    let epoch: Option<u64> = conn
        .prepare_cached("SELECT epoch FROM lease WHERE kind = 'ledger' AND part = -1")
        .and_then(|mut query| query.query_row([], |row| row.get(0).map(unsigned)).optional())
        .map_err(fault("read the lease"))?;
    for intent in intents {
        let delivery = &intent.delivery;
        let partition = partition_of(&delivery.account, &delivery.group);
        if epoch.is_some_and(|epoch| epoch != intent.epoch) {
            return Err(StorageError::Fenced(partition));
        }
        // The row of a broadcast's target is there: only what changes is written.
        let begun = !delivery.broadcast.is_empty() && begin(conn, intent)?;
        if !begun {
            let row = DeliveryRow {
                state: DeliveryState::Sending,
                attempts: intent.attempt,
                updated_ms: intent.at_ms,
                ..delivery.clone()
            };
            if insert(conn, &sql, &row)? == 0 {
                return Err(StorageError::Conflict { what: format!("delivery {}", row.id) });
            }
        }
        let added = conn
            .prepare_cached(
                "INSERT INTO attempt (delivery, attempt, part, epoch, account, grp, started_ms, cost)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    delivery.id,
                    intent.attempt,
                    partition.0,
                    signed(intent.epoch),
                    delivery.account,
                    delivery.group,
                    intent.at_ms,
                    intent.cost
                ])
            })
            .map_err(fault("write an attempt"))?;
        if added == 0 {
            let what = format!("attempt {} of delivery {}", intent.attempt, delivery.id);
            return Err(StorageError::Conflict { what });
        }
    }
    Ok(())
}

/// Begins a call of a delivery whose row exists; says whether it does and may be called.
fn begin(conn: &Connection, intent: &Intent) -> Result<bool, StorageError> {
    conn.prepare_cached(
        "UPDATE delivery SET state = 'sending', attempts = ?2, updated_ms = ?3
         WHERE id = ?1 AND state IN ('pending', 'uncertain')",
    )
    .and_then(|mut update| update.execute(params![intent.delivery.id, intent.attempt, intent.at_ms]))
    .map(|changed| changed > 0)
    .map_err(fault("begin a call"))
}

/// Writes down what became of calls. The first that is known of a call's end stays, whatever is found out later; its
/// delivery changes only if that was its latest call, and if nobody decided otherwise meanwhile.
pub(super) fn settle(conn: &Connection, settlements: &[Settlement]) -> Result<(), StorageError> {
    for settled in settlements {
        conn.prepare_cached(
            "UPDATE attempt SET ended_ms = coalesce(ended_ms, ?3), outcome = ?4, code = ?5, detail = ?6, platform_id = ?7
             WHERE delivery = ?1 AND attempt = ?2 AND outcome = ''",
        )
        .and_then(|mut update| {
            update.execute(params![
                settled.id,
                settled.attempt,
                settled.at_ms,
                settled.state.as_str(),
                settled.code,
                settled.detail,
                settled.platform_id.as_deref().unwrap_or_default()
            ])
        })
        .map_err(fault("settle an attempt"))?;
        let changed = conn
            .prepare_cached(
                "UPDATE delivery SET state = ?3, due_ms = ?4, code = ?5, detail = ?6, updated_ms = ?7,
                 platform_id = coalesce(?8, platform_id)
                 WHERE id = ?1 AND attempts = ?2 AND state IN ('pending', 'sending', 'uncertain')",
            )
            .and_then(|mut update| {
                update.execute(params![
                    settled.id,
                    settled.attempt,
                    settled.state.as_str(),
                    settled.due_ms,
                    settled.code,
                    settled.detail,
                    settled.at_ms,
                    settled.platform_id
                ])
            })
            .map_err(fault("settle a delivery"))?;
        if changed == 0 {
            tracing::warn!(
                delivery.id = settled.id,
                attempt = settled.attempt,
                "settled a call that is not the latest, or of which somebody decided meanwhile"
            );
        }
    }
    Ok(())
}

/// In SQL: [`DeliveryRow::is_unsaid`].
fn unsaid() -> String {
    let codes = UNSAID.map(|code| format!("'{code}'")).join(", ");
    format!("(state = 'failed' AND attempts = 0 AND code IN ({codes}))")
}

/// Gives targets that could not be said the text they have now.
pub(super) fn say(conn: &Connection, rows: &[DeliveryRow]) -> Result<(), StorageError> {
    let sql = format!(
        "UPDATE delivery SET state = ?2, body = ?3, code = ?4, detail = ?5, updated_ms = ?6 WHERE id = ?1 AND {}",
        unsaid()
    );
    for row in rows {
        let values = params![row.id, row.state.as_str(), row.body, row.code, row.detail, row.updated_ms];
        conn.prepare_cached(&sql)
            .and_then(|mut update| update.execute(values))
            .map_err(fault("say a target anew"))?;
    }
    Ok(())
}

/// Writes down what became of what mass sends carry; see [`Carried`].
pub(super) fn carry(conn: &Connection, carried: &[Carried]) -> Result<(), StorageError> {
    for one in carried {
        let among = |kind| {
            let words: Vec<_> =
                one.sources(kind).iter().map(|state| format!("'{}'", state.as_str())).collect();
            format!("kind = '{kind}' AND state IN ({})", words.join(", "))
        };
        let sql = format!(
            "UPDATE delivery SET state = ?3, carrier = ?4, updated_ms = ?5, code = ?6, detail = ?7, platform_id = ?8
             WHERE id = ?1 AND carrier = ?2 AND (state <> ?3 OR carrier <> ?4) AND (({}) OR ({}))",
            among(MASS_TARGET),
            among(MASS_SEND)
        );
        conn.prepare_cached(&sql)
            .and_then(|mut update| {
                update.execute(params![
                    one.id,
                    one.from,
                    one.state.as_str(),
                    one.carrier,
                    one.at_ms,
                    one.code,
                    one.detail,
                    one.platform_id
                ])
            })
            .map_err(fault("settle what a mass send carries"))?;
    }
    Ok(())
}

/// Returns how often each group of an account received a mass send since a time.
pub(super) fn mass_received(
    conn: &Connection,
    account: &str,
    since_ms: i64,
) -> Result<Vec<(String, u64)>, StorageError> {
    conn.prepare_cached(
        "SELECT grp, COUNT(*) FROM delivery WHERE account = ?1 AND updated_ms >= ?2 AND kind = 'mass_target'
         AND state = 'sent' GROUP BY grp ORDER BY grp",
    )
    .and_then(|mut query| {
        query
            .query_map(params![account, since_ms], |row| Ok((row.get(0)?, row.get(1).map(unsigned)?)))?
            .collect()
    })
    .map_err(fault("count received mass sends"))
}

/// Returns the targets to these groups that count: sent, or on their way.
pub(super) fn targets_of_groups(
    conn: &Connection,
    account: &str,
    groups: &[String],
    since_ms: i64,
) -> Result<Vec<DeliveryRow>, StorageError> {
    let mut rows = Vec::new();
    for group in groups {
        let values = vec![Value::from(account.to_owned()), group.clone().into(), since_ms.into()];
        rows.extend(query(
            conn,
            "WHERE account = ?1 AND grp = ?2 AND broadcast <> '' AND target < 2147483648 AND updated_ms >= ?3
             AND state NOT IN ('failed', 'cancelled', 'expired') ORDER BY broadcast, target, id",
            values,
        )?);
    }
    Ok(rows)
}

/// Returns when these groups received broadcasts.
pub(super) fn received(
    conn: &Connection,
    groups: &[(String, String)],
    from_ms: i64,
    until_ms: i64,
) -> Result<Vec<(usize, i64)>, StorageError> {
    let failed = fault("read what groups received");
    let mut find = conn
        .prepare_cached(
            "SELECT updated_ms FROM delivery WHERE account = ?1 AND grp = ?2 AND broadcast <> '' AND target < 2147483648
             AND state = 'sent' AND updated_ms >= ?3 AND updated_ms < ?4",
        )
        .map_err(&failed)?;
    let mut received = Vec::new();
    for (index, (account, group)) in groups.iter().enumerate() {
        let times = find.query_map(params![account, group, from_ms, until_ms], |row| row.get(0));
        for at_ms in times.map_err(&failed)? {
            received.push((index, at_ms.map_err(&failed)?));
        }
    }
    Ok(received)
}

/// Calls off what nobody has begun to send.
pub(super) fn call_off(conn: &Connection, targets: &[CalledOff], now_ms: i64) -> Result<(), StorageError> {
    for target in targets {
        conn.prepare_cached(
            "UPDATE delivery SET state = 'cancelled', code = ?2, detail = ?3, updated_ms = ?4
             WHERE id = ?1 AND state = 'pending' AND carrier = 0",
        )
        .and_then(|mut update| update.execute(params![target.id, target.code, target.detail, now_ms]))
        .map_err(fault("call a target off"))?;
    }
    Ok(())
}

/// Turns every `sending` into `uncertain`, ends their calls now, and returns what is left to do.
pub(super) fn recover(conn: &Connection, now_ms: i64) -> Result<Vec<DeliveryRow>, StorageError> {
    conn.execute(
        "UPDATE attempt SET ended_ms = ?1, outcome = 'uncertain', code = ?2, detail = ?3 WHERE ended_ms IS NULL
         AND delivery IN (SELECT id FROM delivery WHERE state IN ('sending', 'uncertain', 'failed') AND state = 'sending')",
        params![now_ms, INTERRUPTED, INTERRUPTED_DETAIL],
    )
    .map_err(fault("recover deliveries"))?;
    conn.execute(
        "UPDATE delivery SET state = 'uncertain', updated_ms = ?1
         WHERE state IN ('sending', 'uncertain', 'failed') AND state = 'sending'",
        [now_ms],
    )
    .map_err(fault("recover deliveries"))?;
    let mut rows = query(
        conn,
        "WHERE broadcast = '' AND state IN ('pending', 'awaiting_confirmation') ORDER BY broadcast, target, id",
        Vec::new(),
    )?;
    rows.extend(query(
        conn,
        "WHERE state IN ('sending', 'uncertain', 'failed') AND state = 'uncertain' AND kind <> 'mass_target'
         ORDER BY broadcast, target, id",
        Vec::new(),
    )?);
    rows.sort_by(|a, b| (&a.broadcast, a.target, &a.id).cmp(&(&b.broadcast, b.target, &b.id)));
    Ok(rows)
}

/// Returns deliveries in (broadcast, target, id) order.
pub(super) fn find(conn: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StorageError> {
    let broadcast = filter.broadcast.as_deref().unwrap_or_default();
    if broadcast.is_empty() || filter.id.is_some() {
        let (mut sql, mut values) = conditions(filter, &filter.states);
        sql.push_str(" ORDER BY broadcast, target, id LIMIT ?");
        values.push(Value::Integer(super::limit(filter.limit)));
        return query(conn, &sql, values);
    }
    // One state at a time runs along the index; all of them together would sort the whole broadcast for each page.
    let states = if filter.states.is_empty() { DeliveryState::ALL.to_vec() } else { filter.states.clone() };
    let mut rows = Vec::new();
    for state in states {
        let (mut sql, mut values) = conditions(filter, &[state]);
        sql.push_str(" AND broadcast <> '' ORDER BY target, id LIMIT ?");
        values.push(Value::Integer(super::limit(filter.limit)));
        rows.extend(query(conn, &sql, values)?);
    }
    rows.sort_by(|a, b| (a.target, &a.id).cmp(&(b.target, &b.id)));
    rows.truncate(if filter.limit == 0 { usize::MAX } else { filter.limit });
    Ok(rows)
}

/// Moves every matching delivery to a state.
pub(super) fn change_state(
    conn: &Connection,
    filter: &DeliveryFilter,
    to: DeliveryState,
    now_ms: i64,
) -> Result<u64, StorageError> {
    let (mut rest, conditions) = conditions(filter, &filter.states);
    if filter.broadcast.as_deref().is_some_and(|broadcast| !broadcast.is_empty()) {
        rest.push_str(" AND broadcast <> ''");
    }
    let mut values = vec![Value::Text(to.as_str().to_owned()), Value::Integer(now_ms)];
    values.extend(conditions);
    values.push(Value::Integer(super::limit(filter.limit)));
    let changed = conn
        .prepare_cached(&format!(
            "UPDATE delivery SET state = ?1, updated_ms = ?2, carrier = CASE ?1 WHEN 'pending' THEN 0 ELSE carrier END
             WHERE rowid IN
             (SELECT rowid FROM delivery {rest} ORDER BY broadcast, target, id LIMIT ?)"
        ))
        .and_then(|mut update| update.execute(params_from_iter(values)))
        .map_err(fault("move deliveries"))?;
    Ok(changed as u64)
}

/// Returns how many deliveries of a broadcast are in each state.
pub(super) fn counts(conn: &Connection, broadcast: &str) -> Result<Vec<(DeliveryState, u64)>, StorageError> {
    conn.prepare_cached(
        "SELECT state, COUNT(*) FROM delivery WHERE broadcast = ?1 AND broadcast <> '' AND target < 2147483648
         GROUP BY state",
    )
    .and_then(|mut query| {
        query.query_map([broadcast], |row| Ok((state(row, 0)?, row.get(1).map(unsigned)?)))?.collect()
    })
    .map_err(fault("count deliveries"))
}

/// Returns calls of an account that ended after a time or have not ended, by their start.
pub(super) fn attempts_since(
    conn: &Connection,
    account: &str,
    since_ms: i64,
) -> Result<Vec<AttemptRow>, StorageError> {
    let mut rows: Vec<AttemptRow> = conn
        .prepare_cached(
            "SELECT delivery, grp, started_ms, ended_ms, cost FROM attempt WHERE account = ?1 AND ended_ms >= ?2
             UNION ALL
             SELECT delivery, grp, started_ms, ended_ms, cost FROM attempt WHERE account = ?1 AND ended_ms IS NULL",
        )
        .and_then(|mut query| {
            query
                .query_map(params![account, since_ms], |row| {
                    Ok(AttemptRow {
                        delivery: row.get(0)?,
                        group: row.get(1)?,
                        started_ms: row.get(2)?,
                        ended_ms: row.get(3)?,
                        cost: row.get(4)?,
                    })
                })?
                .collect()
        })
        .map_err(fault("read attempts"))?;
    rows.sort_by(|a, b| (a.started_ms, &a.delivery).cmp(&(b.started_ms, &b.delivery)));
    Ok(rows)
}

/// The conditions of a filter, with plain `?` for each value.
fn conditions(filter: &DeliveryFilter, states: &[DeliveryState]) -> (String, Vec<Value>) {
    let mut sql = String::from("WHERE 1");
    let mut values = Vec::new();
    let mut equal = |column: &str, value: &Option<String>| {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(column);
            sql.push_str(" = ?");
            values.push(Value::Text(value.clone()));
        }
    };
    equal("id", &filter.id);
    equal("broadcast", &filter.broadcast);
    equal("account", &filter.account);
    equal("grp", &filter.group);
    equal("kind", &filter.kind);
    equal("code", &filter.code);
    for (condition, at_ms) in
        [(" AND updated_ms >= ?", filter.from_ms), (" AND updated_ms < ?", filter.until_ms)]
    {
        if let Some(at_ms) = at_ms {
            sql.push_str(condition);
            values.push(Value::Integer(at_ms));
        }
    }
    if !states.is_empty() {
        // The words come from us, not from outside; written out they let SQLite use its partial indices.
        let words: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        sql.push_str(" AND state IN (");
        sql.push_str(&words.join(", "));
        sql.push(')');
    }
    if let Some(carrier) = filter.carrier {
        sql.push_str(" AND carrier = ?");
        values.push(Value::Integer(i64::from(carrier)));
    }
    if let Some(wanted) = filter.unsaid {
        sql.push_str(if wanted { " AND " } else { " AND NOT " });
        sql.push_str(&unsaid());
    }
    match filter.kinds {
        Kinds::Any => {}
        // The numbers say the same and stand in the index.
        Kinds::Only(MASS_SEND) => sql.push_str(" AND kind = 'mass_send' AND target >= 2147483648"),
        Kinds::Not(MASS_SEND) => sql.push_str(" AND target < 2147483648"),
        Kinds::Only(kind) => {
            sql.push_str(" AND kind = ?");
            values.push(Value::Text(kind.to_owned()));
        }
        Kinds::Not(kind) => {
            sql.push_str(" AND kind <> ?");
            values.push(Value::Text(kind.to_owned()));
        }
    }
    if let Some((broadcast, target, id)) = &filter.after {
        if filter.broadcast.as_ref() == Some(broadcast) {
            sql.push_str(" AND target >= ?"); // runs along the index, which the triple does not
            values.push(Value::Integer(i64::from(*target)));
        }
        sql.push_str(" AND (broadcast, target, id) > (?, ?, ?)");
        values.push(Value::Text(broadcast.clone()));
        values.push(Value::Integer(i64::from(*target)));
        values.push(Value::Text(id.clone()));
    }
    (sql, values)
}

fn query(conn: &Connection, rest: &str, values: Vec<Value>) -> Result<Vec<DeliveryRow>, StorageError> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM delivery {rest}"))
        .and_then(|mut query| query.query_map(params_from_iter(values), delivery)?.collect())
        .map_err(fault("read deliveries"))
}

fn delivery(row: &Row<'_>) -> Result<DeliveryRow, rusqlite::Error> {
    Ok(DeliveryRow {
        id: row.get(0)?,
        broadcast: row.get(1)?,
        target: row.get(2)?,
        account: row.get(3)?,
        group: row.get(4)?,
        kind: row.get(5)?,
        state: state(row, 6)?,
        attempts: row.get(7)?,
        due_ms: row.get(8)?,
        expires_ms: row.get(9)?,
        body: row.get(10)?,
        code: row.get(11)?,
        detail: row.get(12)?,
        updated_ms: row.get(13)?,
        platform_id: row.get(14)?,
        carrier: row.get(15)?,
    })
}

pub(super) fn state(row: &Row<'_>, column: usize) -> Result<DeliveryState, rusqlite::Error> {
    let word = row.get_ref(column)?.as_str()?;
    DeliveryState::parse(word).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!("`{word}` is no state of a delivery").into(),
        )
    })
}
