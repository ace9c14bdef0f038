//! Group robots: whose key is whose, what may be sent with it, and how often.
//!
//! A robot sits in an internal group; the key is all it takes to speak there. Nothing can be read back or recalled.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cards;
use super::media::{Kind, Media, Uploader, is_image};
use crate::wecom::crypto::hex;
use crate::wecom::errcode;
use crate::wecom::limits::Rule;
use crate::wecom::request::Refusal;

/// What one key may send.
pub const PER_KEY: [Rule; 1] = [Rule::per_minute(20)];
/// Robots of a corp.
pub const ROBOTS_MAX: usize = 10_000;
const TEXT_BYTES_MAX: usize = 2_048;
const MARKDOWN_BYTES_MAX: usize = 4_096;
const IMAGE_BYTES_MAX: usize = 2 << 20;
const ARTICLES_MAX: usize = 8;

/// What has become of a robot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobotState {
    /// It works.
    #[default]
    Active,
    /// Somebody removed it from its group: 93000, as for a key that never was.
    Removed,
    /// Somebody disabled it: 93004.
    Disabled,
    /// It is not in the group it should speak in: 93008.
    NotInGroup,
}

/// One robot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Robot {
    /// What calls it by.
    pub key: String,
    /// The internal group it sits in, as the ledger names it.
    pub group: String,
    /// What has become of it.
    #[serde(default)]
    pub state: RobotState,
}

/// All robots, by key.
#[derive(Debug, Default)]
pub struct Robots {
    robots: BTreeMap<String, Robot>,
}

impl Robots {
    /// Puts a robot into a group, or changes one; past [`ROBOTS_MAX`] new ones are not taken.
    pub fn put(&mut self, robot: Robot) -> bool {
        let has_room = self.robots.len() < ROBOTS_MAX || self.robots.contains_key(&robot.key);
        if has_room {
            self.robots.insert(robot.key.clone(), robot);
        }
        has_room
    }

    /// Changes what has become of a robot; says whether there is one.
    pub fn set_state(&mut self, key: &str, state: RobotState) -> bool {
        self.robots.get_mut(key).map(|robot| robot.state = state).is_some()
    }

    /// The robot of a key, when it may speak.
    ///
    /// # Errors
    /// 93000, 93004, 93008.
    pub fn speaker(&self, key: Option<&str>) -> Result<&Robot, Refusal> {
        let unknown = || Refusal::code(errcode::ROBOT_BAD_KEY);
        let robot = self.robots.get(key.unwrap_or_default()).ok_or_else(unknown)?;
        match robot.state {
            RobotState::Active => Ok(robot),
            RobotState::Removed => Err(unknown()),
            RobotState::Disabled => Err(Refusal::code(errcode::ROBOT_DISABLED)),
            RobotState::NotInGroup => Err(Refusal::code(errcode::ROBOT_NOT_IN_GROUP)),
        }
    }
}

/// Checks a message and says what the ledger digests of it: the text, or the part as JSON.
///
/// # Errors
/// 40008 for an unknown type, 44004 for nothing said, 40058 for what is too long or malformed, 40005 and 40009 for
/// pictures, 41006 and 40007 for media, 42027 for cards.
pub(crate) fn check(message: &Value, media: &Media, now_ms: u64) -> Result<String, Refusal> {
    let kind = message["msgtype"].as_str().unwrap_or_default();
    let part = &message[kind];
    match kind {
        "text" => {
            for list in ["mentioned_list", "mentioned_mobile_list"] {
                if !part[list].is_null()
                    && !part[list].as_array().is_some_and(|list| list.iter().all(Value::is_string))
                {
                    return Err(malformed(&format!("text.{list} is no list of strings")));
                }
            }
            said(kind, part, TEXT_BYTES_MAX)
        }
        "markdown" | "markdown_v2" => said(kind, part, MARKDOWN_BYTES_MAX),
        "image" => check_image(part).map(|()| part["md5"].as_str().unwrap_or_default().to_owned()),
        "news" => {
            check_news(part)?;
            Ok(part.to_string())
        }
        "file" | "voice" => {
            let id = part["media_id"].as_str().unwrap_or_default();
            let kind = if kind == "file" { Kind::File } else { Kind::Voice };
            media.check(id, Uploader::Robot, kind, now_ms)?;
            Ok(id.to_owned())
        }
        "template_card" => {
            cards::check(part, &cards::NOTICES)?;
            Ok(part.to_string())
        }
        _ => Err(Refusal::code(errcode::BAD_MSGTYPE)),
    }
}

fn malformed(text: &str) -> Refusal {
    Refusal::new(errcode::BAD_PARAMETER, text)
}

fn said(kind: &str, part: &Value, bytes_max: usize) -> Result<String, Refusal> {
    let content = part["content"].as_str().unwrap_or_default();
    if content.is_empty() {
        return Err(Refusal::code(errcode::EMPTY_CONTENT));
    }
    if content.len() > bytes_max {
        return Err(malformed(&format!("{kind}.content exceed max length {bytes_max}")));
    }
    Ok(content.to_owned())
}

fn check_image(part: &Value) -> Result<(), Refusal> {
    let encoded = part["base64"].as_str().unwrap_or_default();
    if encoded.is_empty() {
        return Err(Refusal::code(errcode::EMPTY_CONTENT));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| malformed("image.base64 is no base64"))?;
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(Refusal::code(errcode::BAD_IMAGE_SIZE));
    }
    if !is_image(&bytes) {
        return Err(Refusal::code(errcode::BAD_FILE_TYPE));
    }
    let told = part["md5"].as_str().unwrap_or_default();
    if told.eq_ignore_ascii_case(&hex(&Md5::digest(&bytes))) {
        Ok(())
    } else {
        Err(malformed("image.md5 does not match"))
    }
}

fn check_news(part: &Value) -> Result<(), Refusal> {
    let articles = part["articles"].as_array().map(Vec::as_slice).unwrap_or_default();
    if articles.is_empty() || articles.len() > ARTICLES_MAX {
        return Err(malformed(&format!("news.articles need 1 to {ARTICLES_MAX}")));
    }
    // Titles of more than 128 and descriptions of more than 512 bytes are cut off when shown, and no error.
    for article in articles {
        for field in ["title", "url"] {
            if article[field].as_str().is_none_or(str::is_empty) {
                return Err(malformed(&format!("news.articles.{field} is empty")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(message: &Value) -> i64 {
        let mut media = Media::default();
        let file = bytes::Bytes::from_static(b"hello");
        media.put("FILE".to_owned(), Uploader::Robot, Kind::File, "a.txt", file, 0).expect("a file");
        check(message, &media, 1).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    fn image(bytes: &[u8]) -> Value {
        json!({"msgtype":"image","image":{"base64":STANDARD.encode(bytes),"md5":hex(&Md5::digest(bytes))}})
    }

    #[test]
    fn every_message_type_has_its_limits() {
        let article = json!({"title":"t","url":"u"});
        for (message, expected) in [
            (json!({"msgtype":"text","text":{"content":"早","mentioned_list":["@all"]}}), 0),
            (json!({"msgtype":"text","text":{"content":"x".repeat(2_048)}}), 0),
            (json!({"msgtype":"text","text":{"content":"早".repeat(683)}}), 40_058),
            (json!({"msgtype":"text","text":{"content":""}}), 44_004),
            (json!({"msgtype":"text"}), 44_004),
            (json!({"msgtype":"text","text":{"content":"a","mentioned_list":"@all"}}), 40_058),
            (json!({"msgtype":"markdown","markdown":{"content":"x".repeat(4_096)}}), 0),
            (json!({"msgtype":"markdown","markdown":{"content":"x".repeat(4_097)}}), 40_058),
            (json!({"msgtype":"markdown_v2","markdown_v2":{"content":"x".repeat(4_096)}}), 0),
            (json!({"msgtype":"markdown_v2","markdown_v2":{"content":"x".repeat(4_097)}}), 40_058),
            (json!({"msgtype":"news","news":{"articles":vec![article.clone(); 8]}}), 0),
            (json!({"msgtype":"news","news":{"articles":vec![article; 9]}}), 40_058),
            (json!({"msgtype":"news","news":{"articles":[]}}), 40_058),
            (json!({"msgtype":"news","news":{"articles":[{"title":"t"}]}}), 40_058),
            (json!({"msgtype":"file","file":{"media_id":"FILE"}}), 0),
            (json!({"msgtype":"voice","voice":{"media_id":"FILE"}}), 40_007),
            (json!({"msgtype":"file","file":{"media_id":"gone"}}), 40_007),
            (json!({"msgtype":"file","file":{}}), 41_006),
            (json!({"msgtype":"template_card","template_card":{"card_type":"text_notice"}}), 42_027),
            (json!({"msgtype":"template_card","template_card":{"card_type":"vote_interaction"}}), 42_027),
            (json!({"msgtype":"mpnews"}), 40_008),
            (json!({}), 40_008),
            (json!(null), 40_008),
        ] {
            assert_eq!(code(&message), expected, "{message}");
        }
    }

    #[test]
    fn images_are_checked_against_their_md5_format_and_size() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        assert_eq!(code(&image(&png)), 0);
        let mut wrong = image(&png);
        wrong["image"]["md5"] = json!("0".repeat(32));
        assert_eq!(code(&wrong), 40_058);
        assert_eq!(code(&image(b"GIF89a")), 40_005);
        assert_eq!(code(&json!({"msgtype":"image","image":{"base64":"*"}})), 40_058);
        assert_eq!(code(&json!({"msgtype":"image","image":{}})), 44_004);
        png.resize(IMAGE_BYTES_MAX, 0);
        assert_eq!(code(&image(&png)), 0);
        png.push(0);
        assert_eq!(code(&image(&png)), 40_009);
    }

    #[test]
    fn a_key_is_good_as_long_as_its_robot_may_speak() {
        let mut robots = Robots::default();
        let robot = Robot { key: "k".to_owned(), group: "staff".to_owned(), state: RobotState::Active };
        assert!(robots.put(robot));
        let code = |robots: &Robots, key| robots.speaker(key).map_or_else(|r| r.errcode, |_| 0);
        assert_eq!(code(&robots, Some("k")), 0);
        assert_eq!((code(&robots, None), code(&robots, Some("x"))), (93_000, 93_000));
        for (state, expected) in
            [(RobotState::Removed, 93_000), (RobotState::Disabled, 93_004), (RobotState::NotInGroup, 93_008)]
        {
            assert!(robots.set_state("k", state));
            assert_eq!(code(&robots, Some("k")), expected);
        }
        assert!(!robots.set_state("x", RobotState::Active));
    }
}
