//! What an API function is handed and what it gives back.
//!
//! Not for: HTTP itself; `serve` reads and writes that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::errcode;

/// One call of an API.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// What stands behind `/cgi-bin/`.
    pub path: String,
    /// The decoded query; of repeated names the last counts.
    pub query: BTreeMap<String, String>,
    /// The content type as sent.
    pub content_type: String,
    /// The body as sent: JSON, or multipart for uploads.
    pub body: Bytes,
}

impl Request {
    /// A query parameter; absent and empty are the same.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Reads the JSON body. Unknown fields are let through, as the platform does.
    ///
    /// # Errors
    /// 40058 with the place of the mistake.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            Refusal::new(errcode::BAD_PARAMETER, format!("invalid Request Parameter: {error}"))
        })
    }

    /// The JSON body as it is; null when there is none or it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Who calls, as established before the API function runs.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Index of the app whose token was given; none on routes that take no token.
    pub app: Option<usize>,
    /// Where the call came from.
    pub ip: IpAddr,
    /// When it came, in milliseconds since 1970.
    pub now_ms: u64,
    /// The call's number in the ledger.
    pub call: u64,
}

impl Caller {
    /// When it came, in seconds since 1970.
    pub fn now_s(&self) -> u64 {
        self.now_ms / 1_000
    }
}

/// A successful answer: `errcode` 0 and fields of its own.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub(crate) fields: Map<String, Value>,
    /// An id of what the call did, for the ledger.
    pub(crate) effect: Option<String>,
    /// Set for downloads: type and bytes instead of JSON.
    pub(crate) raw: Option<(&'static str, Bytes)>,
}

/// An answer with another `errcode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub errcode: i64,
    /// The text in front of the hint.
    pub text: String,
}

/// What every API function returns.
pub type Outcome = Result<Answer, Refusal>;

impl Answer {
    /// `errcode` 0, `errmsg` "ok" and nothing more.
    pub fn ok() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Names what the call did: a message id, a group.
    #[must_use]
    pub fn did(mut self, effect: impl Into<String>) -> Self {
        self.effect = Some(effect.into());
        self
    }

    /// A download.
    pub fn bytes(content_type: &'static str, bytes: Bytes) -> Self {
        Self { raw: Some((content_type, bytes)), ..Self::default() }
    }
}

impl Refusal {
    /// A refusal with a text in front of the hint.
    pub fn new(errcode: i64, text: impl Into<String>) -> Self {
        Self { errcode, text: text.into() }
    }

    /// A refusal with the usual text of its code.
    pub fn code(code: i64) -> Self {
        Self::new(code, errcode::text(code))
    }

    /// Refuses with a code unless all is well.
    ///
    /// # Errors
    /// The code.
    pub(crate) fn unless(is_well: bool, code: i64) -> Result<(), Self> {
        if is_well { Ok(()) } else { Err(Self::code(code)) }
    }

    /// The `errmsg` in the platform's form.
    pub(crate) fn errmsg(&self, hint: &str, ip: IpAddr) -> String {
        let (text, code) = (&self.text, self.errcode);
        format!(
            "{text}, hint: [{hint}], from ip: {ip}, \
             more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
        )
    }
}
