//! What is around a callback's ciphertext: the query it is signed in, and a body of XML or JSON.
//!
//! Not for: checking or decrypting it (`crypto`).

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;

use super::crypto::CryptoError;
use super::xml;

/// What the query says. Time and nonce count as they were received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) signature: Cow<'a, str>,
    pub(super) timestamp: Cow<'a, str>,
    pub(super) nonce: Cow<'a, str>,
    /// Only in a URL's verification.
    pub(super) echo: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads a query. Returns nothing without a signature, or with one that is not text.
    pub(super) fn read(query: &'a str) -> Option<Self> {
        let (mut found, mut is_signed) = (Self::default(), false);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value)?;
            match name {
                "msg_signature" => (found.signature, is_signed) = (value, true),
                "timestamp" => found.timestamp = value,
                "nonce" => found.nonce = value,
                "echostr" => found.echo = Some(value),
                _ => {}
            }
        }
        is_signed.then_some(found)
    }
}

/// Decodes `%2B` and the like, once. A literal `+` stays one: it belongs to the base64 of `echostr`, which a form's rules
/// would break.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let coded = (*first == b'%').then(|| after.first_chunk::<2>()).flatten();
        if let Some(byte) = coded.and_then(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?)) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    encrypt: Cow<'a, str>,
}

/// Finds the encrypted part of a body. What follows it is not looked at: it is not signed either.
///
/// # Errors
/// [`CryptoError::Envelope`].
pub(super) fn encrypted(body: &[u8]) -> Result<Cow<'_, str>, CryptoError> {
    let text = std::str::from_utf8(body).map_err(|_| CryptoError::Envelope)?;
    let encrypt = match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let json: Json<'_> = serde_json::from_str(text).map_err(|_| CryptoError::Envelope)?;
            Some(json.encrypt)
        }
        Some(b'<') => encrypted_xml(text)?,
        Some(_) | None => None,
    };
    encrypt.filter(|encrypt| !encrypt.is_empty()).ok_or(CryptoError::Envelope)
}

fn encrypted_xml(text: &str) -> Result<Option<Cow<'_, str>>, CryptoError> {
    let mut found = None;
    xml::read(
        text,
        |name| (name == "Encrypt").then_some(()),
        |_, (), value| {
            found = Some(trimmed(value));
            ControlFlow::Break(())
        },
    )
    .map_err(|xml::NotXml| CryptoError::Envelope)?;
    Ok(found)
}

/// Takes white space from both ends without copying what is borrowed.
pub(super) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plus_in_the_query_stays_a_plus() {
        let query = Query::read("msg_signature=s&timestamp=1&nonce=n%20x&echostr=a+b%2Bc%2f%3D%3D&other=%zz")
            .unwrap();
        assert_eq!(query.echo.as_deref(), Some("a+b+c/=="));
        assert_eq!(
            (query.signature.as_ref(), query.timestamp.as_ref(), query.nonce.as_ref()),
            ("s", "1", "n x")
        );
        assert_eq!(Query::read("timestamp=1&nonce=2"), None);
        assert_eq!(Query::read(""), None);
        assert_eq!(Query::read("msg_signature=%ff"), None);
        assert_eq!(Query::read("msg_signature=%").unwrap().signature, "%");
    }

    #[test]
    fn the_encrypted_part_is_found_in_every_form() {
        let check =
            |body: &str, expect: &str| assert_eq!(encrypted(body.as_bytes()).unwrap(), expect, "{body}");
        check(
            "<xml><ToUserName><![CDATA[ww]]></ToUserName><Encrypt><![CDATA[AB+/=]]></Encrypt></xml>",
            "AB+/=",
        );
        check("\n<xml><Encrypt>\n AB \n</Encrypt><AgentID>1</AgentID></xml>", "AB");
        check("{\"encrypt\":\"AB\\/+\",\"more\":1}", "AB/+");
        let refused: [&[u8]; 8] = [
            b"",
            b"AB",
            b"<xml><Encrypt>",
            b"<xml><Other>1</Other></xml>",
            b"<xml><Encrypt></Encrypt></xml>",
            b"{\"encrypt\":1}",
            b"{}",
            b"<xml><Encrypt>\xff</Encrypt></xml>",
        ];
        for body in refused {
            assert_eq!(encrypted(body), Err(CryptoError::Envelope));
        }
    }

    proptest! {
        #[test]
        fn no_query_and_no_body_panics(query in ".{0,100}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = Query::read(&query); // that they return is the point
            _ = encrypted(&body);
        }
    }
}
