//! Down times: a heartbeat says until when we were up; the next start takes the time since as a silence.
//!
//! Invariants: a silence is an event of its own, once; the heartbeat goes on only after the silence before it is durable,
//! and a silence is over only when every group was read since.

use std::borrow::Cow;
use std::sync::Arc;

use super::around::{Around, DutyError};
use super::protection::Cause;
use crate::connectors::offers::{ConnectorState, SinkError, StateError, Taken};
use crate::event::{GroupEvent, Role, What};

/// When we were last up.
const ALIVE: &str = "driver/alive";
/// Silences by their beginning; the value is their end, or empty.
const SILENCES: &str = "driver/silence/";
/// Since when what happened is not known, while that is so.
const UNRECONCILED: &str = "driver/unreconciled";

/// Finds out how long we were away, and writes it down.
pub(super) async fn begin(around: &Around) {
    if around.connector.rosters().is_none() {
        return;
    }
    let mut tries = 0;
    while let Err(error) = look_back(around).await {
        let wait = around.failed("silence", tries, &error);
        tries += 1;
        tokio::time::sleep(wait).await;
    }
}

async fn look_back(around: &Around) -> Result<(), DutyError> {
    let now_ms = around.now_ms();
    let read = async |key: &str| -> Result<Option<i64>, DutyError> {
        Ok(around.state.get(key).await?.and_then(|text| text.parse().ok()))
    };
    let alive_ms = read(ALIVE).await?;
    let min_ms = i64::try_from(around.parts.config.silence_min.as_millis()).unwrap_or(i64::MAX);
    let away_ms = alive_ms.filter(|alive| now_ms - alive >= min_ms);
    if let Some(since_ms) = away_ms {
        record(around, "down", since_ms, Some(now_ms)).await?;
    }
    let open_ms = [read(UNRECONCILED).await?, away_ms].into_iter().flatten().min();
    let text = |ms: i64| Some(ms.to_string());
    around
        .state
        .put(vec![(ALIVE.to_owned(), text(now_ms)), (UNRECONCILED.to_owned(), open_ms.and_then(text))])
        .await?;
    if let Some(since_ms) = open_ms {
        around.lapse(
            Cause::Down,
            since_ms,
            "网关停机，正在核对全部群成员",
            "the gateway was down; every group's members are being compared",
        );
    }
    Ok(())
}

/// Every group was read since the last silence.
pub(super) async fn reconciled(around: &Around) -> Result<(), DutyError> {
    if around.protection.since_of(Cause::Down).is_some() {
        around.state.put(vec![(UNRECONCILED.to_owned(), None)]).await?;
        around.lapse_ends(Cause::Down);
    }
    Ok(())
}

/// Writes down that we are up, again and again.
pub(super) async fn beat(around: Arc<Around>) {
    if around.connector.rosters().is_none() {
        return;
    }
    loop {
        tokio::time::sleep(around.parts.config.heartbeat_every).await;
        last_beat(&around).await;
    }
}

/// Writes down that we are up now.
pub(super) async fn last_beat(around: &Around) {
    if around.connector.rosters().is_none() {
        return;
    }
    let beat = around.state.put(vec![(ALIVE.to_owned(), Some(around.now_ms().to_string()))]);
    if let Err(error) = beat.await {
        tracing::warn!(account.id = %around.account, %error, "write the heartbeat; a restart will see a longer silence");
    }
}

/// Writes a silence into the journal; the same one once.
pub(super) async fn record(
    around: &Around,
    cause: &str,
    since_ms: i64,
    until_ms: Option<i64>,
) -> Result<(), DutyError> {
    let state = if until_ms.is_some() { "over" } else { "open" };
    let event = GroupEvent {
        id: Cow::Owned(format!("silence-{cause}-{since_ms}-{state}")),
        account: Cow::Owned(around.account.to_string()),
        group: Cow::Borrowed(""),
        // An event without a group is filed by its member; a silence is the account's own.
        member: Some(Cow::Owned(around.account.to_string())),
        name: None,
        role: Role::Bot,
        at_ms: Some(until_ms.unwrap_or_else(|| around.now_ms())),
        step: None,
        what: What::Silence { since_ms, until_ms },
    };
    let taken = around.parts.sink.take(vec![event]).await?;
    if let Some(Taken::Refused(code)) = taken.first() {
        return Err(SinkError((*code).to_owned()).into());
    }
    let until = until_ms.map_or_else(String::new, |until| until.to_string());
    around.state.put(vec![(format!("{SILENCES}{since_ms:014}"), Some(until))]).await?;
    Ok(())
}

/// Returns the silences that touch `[from, until)`, cut to it; one that lasts, until now.
pub(super) async fn between(
    state: &dyn ConnectorState,
    from_ms: i64,
    until_ms: i64,
    now_ms: i64,
) -> Result<Vec<(i64, i64)>, StateError> {
    let mut silences = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = state.list(SILENCES, after.as_deref(), ROWS).await?;
        for (key, value) in &page {
            let since = key.strip_prefix(SILENCES).and_then(|text| text.parse::<i64>().ok());
            let (Some(since), until) = (since, value.parse::<i64>().unwrap_or(now_ms)) else { continue };
            let (start, end) = (since.max(from_ms), until.min(until_ms));
            if start < end {
                silences.push((start, end));
            }
        }
        if page.len() < ROWS {
            return Ok(silences);
        }
        after = page.into_iter().next_back().map(|(key, _)| key);
    }
}

/// Silences read in one go.
const ROWS: usize = 500;
