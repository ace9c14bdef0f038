//! The parts a message to customers is made of (text and attachments), and what the platform finds wrong with them.
//!
//! Shared by welcomes, group welcome templates and mass sends. Messages to members and by robots have shapes of their own,
//! see [`super::internal`].

use serde::Deserialize;
use serde_json::Value;

use super::media::{Kind, Media, Uploader};
use crate::wecom::errcode;
use crate::wecom::request::Refusal;

/// Bytes of a welcome's or a mass send's text.
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Attachments of a welcome or a mass send.
pub const ATTACHMENTS_MAX: usize = 9;
const TITLE_BYTES_MAX: usize = 128;
const DESC_BYTES_MAX: usize = 512;
const URL_BYTES_MAX: usize = 2_048;
const MINIPROGRAM_TITLE_BYTES_MAX: usize = 64;

/// A text part as it comes over the wire.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Text {
    #[serde(default)]
    pub(crate) content: String,
}

/// Text and attachments, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The text; may be empty when there are attachments.
    pub text: String,
    /// As they came.
    pub attachments: Vec<Value>,
}

impl Content {
    /// Checks what came over the wire.
    ///
    /// # Errors
    /// 44004 when both are empty, 45002 for a text too long, 41064 for too many attachments, 41065, 40007 and 45002 for
    /// bad ones. Which of 41064 and 41065 says what is not told by the platform's pages; nothing may depend on it.
    pub(crate) fn check(
        text: Option<Text>,
        attachments: Vec<Value>,
        media: &Media,
        now_ms: u64,
    ) -> Result<Self, Refusal> {
        let text = text.unwrap_or_default().content;
        if text.is_empty() && attachments.is_empty() {
            return Err(Refusal::code(errcode::EMPTY_CONTENT));
        }
        at_most(&text, TEXT_BYTES_MAX, "text.content")?;
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(Refusal::code(errcode::TOO_MANY_ATTACHMENTS));
        }
        for attachment in &attachments {
            let kind = attachment["msgtype"].as_str().unwrap_or_default();
            check_part(kind, &attachment[kind], media, now_ms)?;
        }
        Ok(Self { text, attachments })
    }

    /// What the ledger digests: the text alone, or text and attachments.
    pub fn ledger_text(&self) -> String {
        ledger_text(&self.text, &self.attachments)
    }
}

/// What the ledger digests for a text and attachments; ask with it for how often a content reached somebody.
pub fn ledger_text(text: &str, attachments: &[Value]) -> String {
    if attachments.is_empty() {
        return text.to_owned();
    }
    let attachments: Vec<String> = attachments.iter().map(Value::to_string).collect();
    format!("{text}\0{}", attachments.join("\0"))
}

/// Refuses a text longer than so many bytes of UTF-8.
pub(super) fn at_most(text: &str, bytes: usize, what: &str) -> Result<(), Refusal> {
    if text.len() <= bytes {
        return Ok(());
    }
    Err(Refusal::new(errcode::CONTENT_TOO_LARGE, format!("{what} exceed max length {bytes}")))
}

/// Checks one attachment's object.
pub(super) fn check_part(kind: &str, part: &Value, media: &Media, now_ms: u64) -> Result<(), Refusal> {
    let field = |name: &str| part[name].as_str().unwrap_or_default();
    let needs = |names: &[&str]| match names.iter().find(|name| field(name).is_empty()) {
        Some(name) => Err(Refusal::new(errcode::BAD_ATTACHMENT, format!("{kind}.{name} is empty"))),
        None => Ok(()),
    };
    let uploaded = |name: &str, kind| media.check(field(name), Uploader::App, kind, now_ms);
    match kind {
        "image" if !field("media_id").is_empty() => uploaded("media_id", Kind::Image),
        "image" => needs(&["pic_url"]),
        "link" => {
            needs(&["title", "url"])?;
            at_most(field("title"), TITLE_BYTES_MAX, "link.title")?;
            at_most(field("desc"), DESC_BYTES_MAX, "link.desc")?;
            at_most(field("picurl"), URL_BYTES_MAX, "link.picurl")?;
            at_most(field("url"), URL_BYTES_MAX, "link.url")
        }
        "miniprogram" => {
            needs(&["title", "pic_media_id", "appid", "page"])?;
            at_most(field("title"), MINIPROGRAM_TITLE_BYTES_MAX, "miniprogram.title")?;
            uploaded("pic_media_id", Kind::Image)
        }
        "video" => uploaded("media_id", Kind::Video),
        "file" => uploaded("media_id", Kind::File),
        _ => Err(Refusal::new(errcode::BAD_ATTACHMENT, format!("invalid attachment type {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, attachments: Value) -> i64 {
        let mut media = Media::default();
        let png = super::super::media::tests::png(100);
        media.put("IMG".to_owned(), Uploader::App, Kind::Image, "a.png", png, 0).expect("an image");
        let Value::Array(attachments) = attachments else { panic!("no list") };
        let text = Some(Text { content: text.to_owned() });
        Content::check(text, attachments, &media, 1).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    #[test]
    fn texts_have_four_thousand_bytes_and_something_must_be_said() {
        assert_eq!(check("", json!([])), 44_004);
        assert_eq!(check(&"x".repeat(4_000), json!([])), 0);
        // Three bytes each: 1334 characters are 4002 bytes.
        assert_eq!(check(&"早".repeat(1_334), json!([])), 45_002);
    }

    #[test]
    fn attachments_are_nine_and_whole() {
        let link = json!({"msgtype":"link","link":{"title":"t","url":"https://a.example"}});
        assert_eq!(check("", json!(vec![link.clone(); 9])), 0);
        assert_eq!(check("", json!(vec![link; 10])), 41_064);
        for (part, code) in [
            (json!({"msgtype":"link","link":{"title":"t"}}), 41_065),
            (json!({"msgtype":"link","link":{"title":"t".repeat(129),"url":"u"}}), 45_002),
            (json!({"msgtype":"link","link":{"title":"t","url":"u","desc":"d".repeat(513)}}), 45_002),
            (json!({"msgtype":"image","image":{"media_id":"IMG"}}), 0),
            (json!({"msgtype":"image","image":{"pic_url":"https://a.example/a.png"}}), 0),
            (json!({"msgtype":"image","image":{}}), 41_065),
            (json!({"msgtype":"image","image":{"media_id":"gone"}}), 40_007),
            (json!({"msgtype":"video","video":{"media_id":"IMG"}}), 40_007),
            (json!({"msgtype":"file","file":{}}), 41_006),
            (
                json!({"msgtype":"miniprogram",
                    "miniprogram":{"title":"t","pic_media_id":"IMG","appid":"wx1","page":"p"}}),
                0,
            ),
            (json!({"msgtype":"miniprogram","miniprogram":{"title":"t","appid":"wx1","page":"p"}}), 41_065),
            (json!({"msgtype":"poem","poem":{}}), 41_065),
            (json!("x"), 41_065),
        ] {
            assert_eq!(check("", json!([part])), code, "{part}");
        }
    }
}
