//! A small HTTP client: JSON in, JSON out, errors as values.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

type Inner = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// Speaks to one address with one token.
#[derive(Clone)]
pub(crate) struct Client {
    inner: Inner,
    base: String,
    token: String,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; `Null` when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body's lines as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { inner, base: base.to_owned(), token: token.to_owned() }
    }

    /// The same address with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Where it speaks to.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request; `Err` when the connection broke, as it does when the gateway is killed.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.inner.request(request).await.map_err(|e| e.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Sends JSON and expects a JSON answer with this status.
    pub(crate) async fn expect(&self, status: u16, method: Method, path: &str, body: &Value) -> Value {
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let json = [("content-type", "application/json")];
        let answer = self.send(method.clone(), path, &json, bytes).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{method} {path}: {text}");
        answer.json()
    }

    /// `GET` with 200.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.expect(200, Method::GET, path, &Value::Null).await
    }
}
