//! Opens callbacks: the verification of the URL, and deliveries.
//!
//! The signature is checked first, against each pair of token and key in force; then decrypted, then checked for whom it is
//! addressed to. Everything that was authentic is answered with an empty 200, whatever it says: the platform waits five
//! seconds, tries three times more, and gives up; a reason for refusing would not reach anybody.
//!
//! No I/O. Errors never repeat what was sent.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::contacts::Contacts;
use super::crypto::{CryptoError, Key, Message, verify};
use super::decode::Decoder;
use super::envelope::{Query, encrypted};
use super::staff::Staff;
use crate::connectors::{Callback, CallbackError, Opened, Secret};
use crate::telemetry::metrics;

/// What opens the callbacks of one account.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Tokens and keys in force, in order.
    pub(super) pairs: Vec<(Secret, Key)>,
    /// Whom a callback may be addressed to.
    pub(super) receive_ids: Vec<String>,
    /// How far a signed time may be from ours.
    pub(super) tolerance: Option<Duration>,
    /// Most members of one change that are told one by one.
    pub(super) members_max: usize,
    /// Contacts that were told lately.
    pub(super) contacts: Contacts,
}

impl Inbound {
    /// Opens one callback.
    ///
    /// # Errors
    /// Says how to answer, and why.
    pub(super) fn open(
        &self,
        account: &str,
        staff: &Staff,
        callback: Callback<'_>,
    ) -> Result<Opened, CallbackError> {
        self.check_request(&callback)?;
        let query = Query::read(callback.query).ok_or_else(|| {
            let detail = "the query has no readable msg_signature; only WeCom calls this URL";
            error(StatusCode::BAD_REQUEST, "missing_header", detail)
        })?;
        self.check_time(&query, callback.now_ms)?;
        if callback.method == Method::GET {
            let echo = query.echo.as_deref().ok_or_else(|| {
                error(
                    StatusCode::BAD_REQUEST,
                    "missing_header",
                    "the query has no echostr to verify the URL with",
                )
            })?;
            let message = self.decrypt(&query, echo)?;
            return Ok(Opened {
                events: Vec::new(),
                reply: Response::new(Bytes::copy_from_slice(message.bytes())),
            });
        }
        let encrypt = encrypted(callback.body).map_err(refused)?;
        let message = self.decrypt(&query, &encrypt)?;
        let decoder = Decoder { account, staff, contacts: &self.contacts, members_max: self.members_max };
        let events = decoder.decode(message.bytes()).unwrap_or_else(|ignored| {
            metrics::wecom::callback_ignored(ignored);
            Vec::new()
        });
        Ok(Opened { events, reply: Response::new(Bytes::new()) })
    }

    fn check_request(&self, callback: &Callback<'_>) -> Result<(), CallbackError> {
        if !matches!(callback.path, "" | "/") {
            let detail = "WeCom calls /hooks/{account} itself";
            return Err(error(StatusCode::NOT_FOUND, "no_such_path", detail));
        }
        if callback.method != Method::GET && callback.method != Method::POST {
            let detail = "WeCom verifies by GET and delivers by POST";
            return Err(error(StatusCode::METHOD_NOT_ALLOWED, "not_post", detail));
        }
        if self.pairs.is_empty() {
            let detail = "this account has no `callback_token` and `callback_key`, so no callback can be believed; add \
                          them (管理后台 → 应用管理 → 应用 → 接收消息 → 设置API接收)";
            return Err(error(StatusCode::UNAUTHORIZED, "no_inbound_secret", detail));
        }
        Ok(())
    }

    fn check_time(&self, query: &Query<'_>, now_ms: i64) -> Result<(), CallbackError> {
        let Some(tolerance) = self.tolerance else { return Ok(()) };
        let Some(at_ms) = query.timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000))
        else {
            return Err(error(
                StatusCode::BAD_REQUEST,
                "bad_timestamp",
                "the query's timestamp is no number",
            ));
        };
        let tolerance = i64::try_from(tolerance.as_millis()).unwrap_or(i64::MAX);
        let (code, detail) = match now_ms.saturating_sub(at_ms) {
            late if late > tolerance => ("too_old", "it was signed too long ago"),
            early if early < -tolerance => {
                ("too_new", "it is signed with a time in the future; check the clock")
            }
            _ => return Ok(()),
        };
        Err(error(StatusCode::UNAUTHORIZED, code, detail))
    }

    /// Verifies and decrypts with the first pair that does both. Two pairs may share a token while the key changes.
    fn decrypt(&self, query: &Query<'_>, encrypt: &str) -> Result<Message, CallbackError> {
        let mut first = CryptoError::Signature;
        for (token, key) in &self.pairs {
            let opened = verify(&query.signature, token.expose(), &query.timestamp, &query.nonce, encrypt)
                .and_then(|()| key.decrypt(encrypt))
                .and_then(|message| {
                    message.check_receiver(self.receive_ids.iter().map(String::as_str))?;
                    Ok(message)
                });
            match opened {
                Ok(message) => return Ok(message),
                Err(why) if first == CryptoError::Signature => first = why,
                Err(_) => {}
            }
        }
        Err(refused(first))
    }
}

/// How a refusal is answered. The vendor's code stands beside ours, for who compares with the vendor's libraries.
fn refused(why: CryptoError) -> CallbackError {
    let (status, code, remedy) = match why {
        CryptoError::Signature => (
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            "compare `callback_token` with Token at 管理后台 → 应用管理 → 应用 → 接收消息",
        ),
        CryptoError::Receiver => (
            StatusCode::FORBIDDEN,
            "other_receiver",
            "compare `settings.corp_id` with 管理后台 → 我的企业 → 企业ID; for a suite or a robot set `settings.receive_ids`",
        ),
        CryptoError::Envelope => (StatusCode::BAD_REQUEST, "bad_envelope", "only WeCom calls this URL"),
        CryptoError::Key
        | CryptoError::Encrypt
        | CryptoError::Decrypt
        | CryptoError::Buffer
        | CryptoError::Base64 => (
            StatusCode::BAD_REQUEST,
            "bad_ciphertext",
            "compare `callback_key` with EncodingAESKey at 管理后台 → 应用管理 → 应用 → 接收消息",
        ),
    };
    error(status, code, format!("{why} ({}); {remedy}", why.code()))
}

fn error(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> CallbackError {
    CallbackError { status, code, detail: detail.into().into_owned() }
}

#[cfg(test)]
mod tests;
