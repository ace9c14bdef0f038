//! How a question looks and what an answer may be.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};

use super::Question;
use crate::event::{Attachment, Opinion, Role, Verdict};
use crate::webhooks::client::Reply;
use crate::webhooks::{SignKey, sign};

/// The body of a question.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    account: &'a str,
    group: &'a str,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    role: Role,
    content_type: &'a str,
    forwarded: bool,
    attachments: &'a [Attachment<'static>],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
}

/// Makes the signed request of a question; its id is the same whenever the same is asked.
pub(super) fn request(url: &Uri, key: &SignKey, question: &Question, now_ms: i64) -> Request<Bytes> {
    let asked = &question.asked;
    let body = Body {
        kind: "message.judge",
        timestamp: jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_string(),
        data: Data {
            account: &asked.account,
            group: &asked.group,
            event: &asked.event,
            member: asked.member.as_deref(),
            role: asked.role,
            content_type: &question.content_type,
            forwarded: question.forwarded,
            attachments: &question.attachments,
            text: question.text.as_deref(),
            verdict: question.verdict,
        },
    };
    let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
    let signed = sign(std::slice::from_ref(key), &asked.id(Opinion::HOOK), now_ms.div_euclid(1_000), &body);
    let signed = signed.expect("the id is letters, digits and a hyphen, and there is a key");
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    signed.write(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION"))));
    request
}

/// The body of an answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    verdict: Said,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default = "certain")]
    confidence: u8,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Pass,
    Review,
    Block,
}

fn certain() -> u8 {
    100
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The hook said no to this question; it works otherwise.
    Refused(StatusCode),
    /// The hook does not work, or not for us.
    Broken(StatusCode),
    /// What came is no answer.
    Unreadable,
}

/// Reads an answer: exactly `{verdict, labels?, confidence?}`.
pub(super) fn read(reply: &Reply, latency_ms: u64) -> Result<Opinion<'static>, NoAnswer> {
    let status = reply.status;
    match status.as_u16() {
        200..=299 => {}
        300..=399 | 401 | 403..=405 | 407 | 408 | 410 | 425 | 429 | 500..=599 => {
            return Err(NoAnswer::Broken(status));
        }
        _ => return Err(NoAnswer::Refused(status)),
    }
    let answer: Answer = serde_json::from_slice(&reply.body).map_err(|_| NoAnswer::Unreadable)?;
    let names_fit = answer.labels.iter().all(|label| Opinion::is_name(label));
    if !names_fit || answer.labels.len() > Opinion::LABELS_MAX || answer.confidence > 100 {
        return Err(NoAnswer::Unreadable);
    }
    Ok(Opinion {
        verdict: match answer.verdict {
            Said::Pass => Verdict::Pass,
            Said::Review => Verdict::Review,
            Said::Block => Verdict::Block,
        },
        labels: answer.labels.into_iter().map(Into::into).collect(),
        confidence: answer.confidence,
        source: Opinion::HOOK.into(),
        latency_ms: Some(latency_ms),
    })
}
