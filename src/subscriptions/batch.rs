//! What one call tells: changes after each other, in the order in which they happened. Pure.

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Endpoint, Standing};
use crate::storage::{StatusChange, Subject};

/// What one call tells, made once: a repeat says the same under the same id. Its id is made of what it says, so after a
/// restart, which may cut batches elsewhere, no id stands for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The `webhook-id`.
    pub(super) id: String,
    /// The signed bytes.
    pub(super) body: Bytes,
    /// Up to which change it tells, also those that are of no interest here.
    pub(super) through: u64,
    /// How many it tells.
    pub(super) changes: usize,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    endpoint: &'a str,
    /// Up to which change the call before this one told.
    after: u64,
    /// Up to which change this one tells.
    through: u64,
    /// Changes that were forgotten before they could be told.
    missed: u64,
    changes: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
    at: String,
    state: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    broadcast: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind_of_delivery: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    platform_id: &'a str,
    /// Of what happened: its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<serde_json::Value>,
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// Shows a change as calls and streams tell it.
pub(crate) fn shown(change: &StatusChange) -> serde_json::Value {
    serde_json::to_value(told(change)).unwrap_or_default() // strings and numbers
}

fn told(change: &StatusChange) -> Told<'_> {
    let is_delivery = change.subject == Subject::Delivery;
    Told {
        seq: change.seq,
        kind: format!("{}.{}", change.subject.as_str(), change.state),
        at: time(change.at_ms),
        state: &change.state,
        broadcast: &change.broadcast,
        delivery: is_delivery.then_some(change.id.as_str()),
        target: (is_delivery && !change.broadcast.is_empty()).then_some(change.target),
        kind_of_delivery: &change.kind,
        account: &change.account,
        group: &change.group,
        attempts: is_delivery.then_some(change.attempts),
        code: &change.code,
        platform_id: &change.platform_id,
        id: (!change.subject.stands()).then_some(change.id.as_str()),
        context: serde_json::from_str(&change.context).ok(), // ours; empty for none
    }
}

/// Makes a call of the changes that interest an endpoint; `None` when none of them does.
pub(super) fn of(
    id: &str,
    endpoint: &Endpoint,
    changes: &[StatusChange],
    standing: &Standing,
) -> Option<Batch> {
    let wanted: Vec<Told<'_>> = changes.iter().filter(|change| endpoint.wants(change)).map(told).collect();
    let (last, through) = (wanted.last()?.at.clone(), changes.last()?.seq);
    let count = wanted.len();
    let data = Data { endpoint: id, after: standing.told, through, missed: standing.missed, changes: wanted };
    // Its time is that of what it tells, or a repeat after a restart would be another call.
    let body = Body { kind: "status.changes", timestamp: last, data };
    let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
    // Who asks to be told again may know the former id.
    let digest = Sha256::new().chain_update(standing.round.to_be_bytes()).chain_update(&body).finalize();
    let digest = digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    Some(Batch { id: format!("st_{id}_{digest:032x}"), body: body.into(), through, changes: count })
}

/// Makes a call that tells nothing.
pub(super) fn test(id: &str, now_ms: i64) -> Batch {
    let body =
        serde_json::json!({"type": "status.test", "timestamp": time(now_ms), "data": {"endpoint": id}});
    Batch { id: format!("test_{id}_{now_ms}"), body: body.to_string().into(), through: 0, changes: 0 }
}
