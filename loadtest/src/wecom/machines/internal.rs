//! Messages to members of the corp: by `message/send` to one of them, by `appchat/send` into a group the app made.

use serde_json::Value;

use super::cards;
use super::content::at_most;
use super::media::{Kind, Media, Uploader};
use crate::wecom::errcode;
use crate::wecom::request::Refusal;

/// Bytes of a text and of a markdown.
pub const TEXT_BYTES_MAX: usize = 2_048;
const URL_BYTES_MAX: usize = 2_048;
const ARTICLES_MAX: usize = 8;

/// Which way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `message/send`: texts that are too long are cut off.
    Message,
    /// `appchat/send`: texts that are too long are refused; no mini-program notices and no cards.
    Appchat,
}

/// Checks a message and says what the ledger digests of it: the text as it is shown, or the part as JSON.
///
/// # Errors
/// 40008 for an unknown type, 44004 for nothing said, 45002 for what is too long, 40063 for missing fields, 41006 and
/// 40007 for media, 40058 for a wrong number of articles, 42027 for cards.
pub(crate) fn check(message: &Value, way: Way, media: &Media, now_ms: u64) -> Result<String, Refusal> {
    let kind = message["msgtype"].as_str().unwrap_or_default();
    let part = &message[kind];
    match (kind, way) {
        ("text", Way::Message) => Ok(cut_off(said(part)?, TEXT_BYTES_MAX).to_owned()),
        ("text" | "markdown", _) => {
            let text = said(part)?;
            at_most(text, TEXT_BYTES_MAX, kind)?;
            Ok(text.to_owned())
        }
        ("image" | "voice" | "video" | "file", _) => {
            let id = part["media_id"].as_str().unwrap_or_default();
            let kind = Kind::named(kind).ok_or_else(|| Refusal::code(errcode::BAD_MSGTYPE))?;
            media.check(id, Uploader::App, kind, now_ms)?;
            Ok(id.to_owned())
        }
        // Titles of more than 128 and descriptions of more than 512 bytes are cut off when shown, and no error.
        ("textcard", _) => {
            needs(part, &["title", "description", "url"])?;
            at_most(part["url"].as_str().unwrap_or_default(), URL_BYTES_MAX, "textcard.url")?;
            Ok(part.to_string())
        }
        ("news", _) => articles(part, &["title"]),
        ("mpnews", _) => articles(part, &["title", "thumb_media_id", "content"]),
        ("miniprogram_notice", Way::Message) => {
            needs(part, &["appid", "title"])?;
            Ok(part.to_string())
        }
        ("template_card", Way::Message) => {
            cards::check(part, &cards::ALL)?;
            Ok(part.to_string())
        }
        _ => Err(Refusal::code(errcode::BAD_MSGTYPE)),
    }
}

fn said(part: &Value) -> Result<&str, Refusal> {
    let content = part["content"].as_str().filter(|content| !content.is_empty());
    content.ok_or_else(|| Refusal::code(errcode::EMPTY_CONTENT))
}

/// The beginning of a text in so many bytes, whole characters only.
pub(super) fn cut_off(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

fn needs(part: &Value, fields: &[&str]) -> Result<(), Refusal> {
    match fields.iter().find(|field| part[**field].as_str().is_none_or(str::is_empty)) {
        Some(field) => Err(Refusal::new(errcode::EMPTY_PARAMETER, format!("{field} is empty"))),
        None => Ok(()),
    }
}

fn articles(part: &Value, fields: &[&str]) -> Result<String, Refusal> {
    let articles = part["articles"].as_array().map(Vec::as_slice).unwrap_or_default();
    if articles.is_empty() || articles.len() > ARTICLES_MAX {
        let text = format!("articles need 1 to {ARTICLES_MAX}");
        return Err(Refusal::new(errcode::BAD_PARAMETER, text));
    }
    for article in articles {
        needs(article, fields)?;
        at_most(article["url"].as_str().unwrap_or_default(), URL_BYTES_MAX, "url")?;
    }
    Ok(part.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(message: &Value, way: Way) -> i64 {
        check(message, way, &Media::default(), 0).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    #[test]
    fn every_message_type_has_its_limits_on_each_way() {
        let article = json!({"title":"t","url":"u"});
        let card = json!({"card_type":"text_notice","card_action":{"type":1,"url":"u"}});
        for (message, by_message, by_appchat) in [
            (json!({"msgtype":"text","text":{"content":"早"}}), 0, 0),
            (json!({"msgtype":"text","text":{"content":""}}), 44_004, 44_004),
            (json!({"msgtype":"text","text":{"content":"x".repeat(2_049)}}), 0, 45_002),
            (json!({"msgtype":"markdown","markdown":{"content":"x".repeat(2_048)}}), 0, 0),
            (json!({"msgtype":"markdown","markdown":{"content":"x".repeat(2_049)}}), 45_002, 45_002),
            (json!({"msgtype":"image","image":{"media_id":"gone"}}), 40_007, 40_007),
            (json!({"msgtype":"file","file":{}}), 41_006, 41_006),
            (json!({"msgtype":"textcard","textcard":{"title":"t","description":"d","url":"u"}}), 0, 0),
            (json!({"msgtype":"textcard","textcard":{"title":"t","url":"u"}}), 40_063, 40_063),
            (
                json!({"msgtype":"textcard","textcard":{"title":"t","description":"d","url":"u".repeat(2_049)}}),
                45_002,
                45_002,
            ),
            (json!({"msgtype":"news","news":{"articles":vec![article.clone(); 8]}}), 0, 0),
            (json!({"msgtype":"news","news":{"articles":vec![article; 9]}}), 40_058, 40_058),
            (json!({"msgtype":"mpnews","mpnews":{"articles":[{"title":"t"}]}}), 40_063, 40_063),
            (
                json!({"msgtype":"miniprogram_notice","miniprogram_notice":{"appid":"wx1","title":"t"}}),
                0,
                40_008,
            ),
            (json!({"msgtype":"template_card","template_card":card}), 0, 40_008),
            (json!({"msgtype":"poem"}), 40_008, 40_008),
        ] {
            assert_eq!(code(&message, Way::Message), by_message, "{message}");
            assert_eq!(code(&message, Way::Appchat), by_appchat, "{message}");
        }
    }

    #[test]
    fn a_text_is_cut_off_between_characters() {
        let message = json!({"msgtype":"text","text":{"content":"早".repeat(700)}});
        let shown = check(&message, Way::Message, &Media::default(), 0).expect("a message");
        assert_eq!(shown, "早".repeat(682));
    }
}
