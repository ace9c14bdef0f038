//! What a callback's body looks like around the ciphertext: XML for apps, JSON for robots.
//!
//! Not for: the documents inside, which [`super::events`] writes.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use super::crypto::CryptoError;

/// Which form callbacks take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `<xml>` with `ToUserName`, `AgentID` and `Encrypt`.
    #[default]
    Xml,
    /// The same without CDATA and `AgentID`, in another order: events that belong to no app look so.
    PlainXml,
    /// `{"encrypt": …}`.
    Json,
}

impl Envelope {
    /// The type that goes with it.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Xml | Self::PlainXml => "text/xml",
            Self::Json => "application/json",
        }
    }

    /// Puts a ciphertext into its envelope.
    pub(crate) fn wrap(self, corpid: &str, agentid: u32, encrypt: &str) -> String {
        match self {
            Self::Xml => format!(
                "<xml><ToUserName>{}</ToUserName><AgentID>{}</AgentID><Encrypt>{}</Encrypt></xml>",
                cdata(corpid),
                cdata(&agentid.to_string()),
                cdata(encrypt)
            ),
            // Neither an id nor base64 holds anything that XML would want escaped.
            Self::PlainXml => {
                format!("<xml>\n<Encrypt>{encrypt}</Encrypt>\n<ToUserName>{corpid}</ToUserName>\n</xml>")
            }
            Self::Json => serde_json::json!({ "encrypt": encrypt }).to_string(),
        }
    }
}

/// Text that stands as it is in XML, whatever it holds.
pub(crate) fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// Finds the ciphertext in either form.
///
/// # Errors
/// [`CryptoError::Envelope`].
pub fn encrypted_part(body: &str) -> Result<String, CryptoError> {
    #[derive(Deserialize)]
    struct Json {
        encrypt: String,
    }
    if body.trim_start().starts_with('{') {
        let json: Json = serde_json::from_str(body).map_err(|_| CryptoError::Envelope)?;
        return Ok(json.encrypt);
    }
    xml_text(body, "Encrypt").ok_or(CryptoError::Envelope)
}

/// The text of the first element of a name, CDATA or plain.
pub fn xml_text(document: &str, element: &str) -> Option<String> {
    let mut reader = Reader::from_str(document);
    let (mut text, mut inside) = (String::new(), false);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.name().as_ref() == element => inside = true,
            Event::End(end) if inside && end.name().as_ref() == element => return Some(text),
            Event::Text(part) if inside => text.push_str(&part),
            Event::CData(part) if inside => text.push_str(&part),
            Event::Eof => return None,
            Event::Start(_)
            | Event::End(_)
            | Event::Empty(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_give_back_what_was_put_in() {
        for form in [Envelope::Xml, Envelope::PlainXml, Envelope::Json] {
            assert_eq!(encrypted_part(&form.wrap("ww1", 7, "a+/=")).as_deref(), Ok("a+/="));
        }
        assert_eq!(encrypted_part("{}"), Err(CryptoError::Envelope));
        assert_eq!(encrypted_part("<xml><Encrypt>"), Err(CryptoError::Envelope));
    }

    #[test]
    fn text_that_ends_a_cdata_section_stays_whole() {
        let document = format!("<xml><Name>{}</Name></xml>", cdata("a]]>b&<c"));
        assert_eq!(xml_text(&document, "Name").as_deref(), Some("a]]>b&<c"));
    }
}
