//! Sends and actions of the `webhook` platform: one signed POST each, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use serde::Serialize;

use super::{Ability, Outbound, Webhook};
use crate::event::ActionKind;
use crate::outbox::delivery::{Content, Decision, Delivery, Outcome, Payload, Refusal, RefusalScope};
use crate::webhooks::client::{CallError, Reply};
use crate::webhooks::{retry_after, sign};

/// The body of a call.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    delivery: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Content>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attachments: &'a [Content],
    #[serde(skip_serializing_if = "Option::is_none")]
    welcome_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast: Option<&'a str>,
    attempt: u32,
}

impl<'a> Body<'a> {
    fn new(delivery: &'a Delivery, attempt: u32, now_ms: i64) -> Self {
        let (kind, text, welcome_code, action, of) = match &delivery.payload {
            Payload::Text { text, welcome_code, .. } => {
                ("message.send", Some(text.as_str()), welcome_code.as_deref(), None, None)
            }
            Payload::MassSend { text, .. } => ("message.send", Some(text.as_str()), None, None, None),
            Payload::Content { .. } => ("message.send", None, None, None, None),
            Payload::Edit { of, text } => {
                ("message.edit", Some(text.as_str()), None, None, Some(of.as_str()))
            }
            Payload::Action { action, of } => (type_of(*action), None, None, Some(*action), of.as_deref()),
        };
        let (content, attachments) = match &delivery.payload {
            Payload::Content { content } => (Some(content), &[][..]),
            Payload::Text { attachments, .. } => (None, attachments.as_slice()),
            Payload::MassSend { .. } | Payload::Edit { .. } | Payload::Action { .. } => (None, &[][..]),
        };
        Self {
            kind,
            timestamp: jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_string(),
            data: Data {
                delivery: delivery.id.as_str(),
                account: delivery.account.as_str(),
                group: &delivery.group,
                member: delivery.member.as_deref(),
                kind: &delivery.kind,
                text,
                content,
                attachments,
                welcome_code,
                action,
                of,
                broadcast: delivery.broadcast.as_ref().map(|(id, _)| id.as_str()),
                attempt,
            },
        }
    }
}

/// Returns what the first call for a delivery says.
pub(super) fn body(delivery: &Delivery, now_ms: i64) -> serde_json::Value {
    serde_json::to_value(Body::new(delivery, 1, now_ms)).expect("strings and numbers are JSON")
}

fn type_of(action: ActionKind) -> &'static str {
    match action {
        ActionKind::Recall => "action.recall",
        ActionKind::Warn => "action.warn",
        ActionKind::Mute => "action.mute",
        ActionKind::Remove => "action.remove",
        ActionKind::Unmute => "action.unmute",
        ActionKind::Pardon => "action.pardon",
    }
}

impl Outbound {
    pub(super) async fn deliver(&self, delivery: &Delivery, attempt: u32, now_ms: i64) -> Outcome {
        let body =
            serde_json::to_vec(&Body::new(delivery, attempt, now_ms)).expect("strings and numbers are JSON");
        let signed = match sign(&self.keys, delivery.id.as_str(), now_ms.div_euclid(1_000), &body) {
            Ok(signed) => signed,
            Err(error) => {
                return refused(Decision::Never, RefusalScope::Delivery, "sign", error.to_string());
            }
        };
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        signed.write(headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("menshen/", env!("CARGO_PKG_VERSION"))),
        );
        match self.client.call(request).await {
            Ok(reply) => judge(&reply, now_ms),
            Err(CallError::Refused(why)) => {
                refused(Decision::Never, RefusalScope::Account, "ssrf", why.to_string())
            }
            Err(CallError::Connect(why)) => refused(Decision::Backoff, RefusalScope::Account, "connect", why),
            Err(CallError::Lost(detail)) => Outcome::Uncertain { detail },
        }
    }
}

/// Says what an answer means. Only a 2xx is success; a wait the receiver asks for comes before our own schedule.
fn judge(reply: &Reply, now_ms: i64) -> Outcome {
    let status = reply.status;
    if status.is_success() {
        return Outcome::Sent { platform_id: None };
    }
    let asked = reply.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| retry_after::parse(value, now_ms));
    let (decision, scope) = decide(status, asked);
    let detail = if status.is_redirection() {
        format!("the receiver answered {status}; redirects are not followed, write the final URL")
    } else {
        format!("the receiver answered {status}")
    };
    refused(decision, scope, format!("http_{}", status.as_u16()), detail)
}

fn decide(status: StatusCode, asked: Option<Duration>) -> (Decision, RefusalScope) {
    let again = asked.map_or(Decision::Backoff, Decision::After);
    match status.as_u16() {
        // Too much for now, for whatever we send there.
        429 | 502..=504 => (again, RefusalScope::Account),
        // A fault while working on this one, or it came too slowly or too early.
        408 | 425 | 500..=599 => (again, RefusalScope::Delivery),
        // Wrong credential, place or method: true for whatever we send there, until somebody changes it. 410 is the
        // receiver's explicit "never again".
        300..=399 | 401 | 403..=405 | 407 | 410 => (Decision::Never, RefusalScope::Account),
        _ => (Decision::Never, RefusalScope::Delivery),
    }
}

/// Says no to what the account's receiver cannot do, before anything is sent.
pub(super) fn unsupported(account: &Webhook, delivery: &Delivery) -> Option<Outcome> {
    let needed = match &delivery.payload {
        Payload::Text { welcome_code: Some(_), .. } => Ability::WelcomeByCode,
        Payload::Text { welcome_code: None, .. } | Payload::Content { .. } => Ability::Send,
        // Only platforms on which a person confirms have such tasks, and this one's receiver is not asked.
        Payload::MassSend { .. } => {
            let detail = "this platform has no tasks for people to confirm";
            return Some(refused(Decision::Never, RefusalScope::Delivery, "unsupported", detail));
        }
        Payload::Edit { .. } => Ability::Edit,
        Payload::Action { action, .. } => match action {
            ActionKind::Recall => Ability::Recall,
            ActionKind::Warn => Ability::Send,
            ActionKind::Mute | ActionKind::Unmute => Ability::Mute,
            ActionKind::Remove => Ability::Remove,
            // Asked of nobody.
            ActionKind::Pardon => return None,
        },
    };
    if !account.can(needed) {
        let detail = format!("this account's `can` does not name what a `{}` needs", delivery.kind);
        return Some(refused(Decision::Never, RefusalScope::Delivery, "unsupported", detail));
    }
    match &delivery.payload {
        Payload::Text { text, .. } | Payload::Edit { text, .. } if text.len() > account.text_bytes_max => {
            let detail = format!("the text has {} bytes, {} at most", text.len(), account.text_bytes_max);
            Some(refused(Decision::Never, RefusalScope::Delivery, "text_too_long", detail))
        }
        Payload::Text { .. }
        | Payload::Content { .. }
        | Payload::MassSend { .. }
        | Payload::Edit { .. }
        | Payload::Action { .. } => None,
    }
}

pub(super) fn no_url() -> Outcome {
    let detail = "this account has no `settings.url` to send to";
    refused(Decision::Never, RefusalScope::Account, "no_url", detail)
}

fn refused(
    decision: Decision,
    scope: RefusalScope,
    code: impl Into<String>,
    detail: impl Into<String>,
) -> Outcome {
    Outcome::Refused(Refusal { decision, scope, code: code.into(), detail: detail.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_meaning() {
        use Decision::{After, Backoff, Never};
        use RefusalScope::{Account, Delivery};
        let wait = Some(Duration::from_secs(7));
        let check = |status: u16, asked: Option<Duration>, expect: (Decision, RefusalScope)| {
            assert_eq!(decide(StatusCode::from_u16(status).unwrap(), asked), expect, "{status} {asked:?}");
        };
        for status in [429, 502, 503, 504] {
            check(status, None, (Backoff, Account));
            check(status, wait, (After(Duration::from_secs(7)), Account));
        }
        for status in [408, 425, 500, 501, 505, 599] {
            check(status, None, (Backoff, Delivery));
            check(status, wait, (After(Duration::from_secs(7)), Delivery));
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 405, 407, 410] {
            check(status, None, (Never, Account));
            check(status, wait, (Never, Account));
        }
        for status in [400, 402, 406, 409, 411, 413, 415, 418, 422, 451, 499] {
            check(status, wait, (Never, Delivery));
        }
    }
}
