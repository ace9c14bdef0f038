//! What one call tells: changes after each other, in the order in which they happened. Pure.

use bytes::Bytes;
use serde::Serialize;

use super::Endpoint;
use crate::storage::StatusChange;

/// What one call tells, made once: a repeat says the same under the same id.
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
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

fn told(change: &StatusChange) -> Told<'_> {
    let is_delivery = change.subject == crate::storage::Subject::Delivery;
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
    }
}

/// Makes a call of the changes that interest an endpoint; `None` when none of them does.
pub(super) fn of(
    id: &str,
    endpoint: &Endpoint,
    changes: &[StatusChange],
    missed: u64,
    now_ms: i64,
) -> Option<Batch> {
    let wanted: Vec<Told<'_>> = changes.iter().filter(|change| endpoint.wants(change)).map(told).collect();
    let (first, last) = (wanted.first()?.seq, wanted.last()?.seq);
    let through = changes.last()?.seq;
    let count = wanted.len();
    let data = Data { endpoint: id, missed, changes: wanted };
    let body = Body { kind: "status.changes", timestamp: time(now_ms), data };
    let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
    Some(Batch { id: format!("st_{id}_{first}_{last}"), body: body.into(), through, changes: count })
}
