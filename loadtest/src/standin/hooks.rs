//! The stand-in's account on WeCom: opens callbacks, and counts the joins that follow from the roster as it knows it.

use std::collections::HashMap;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::wecom::{Cipher, encrypted_part, xml_text};

#[derive(Debug, Default)]
pub(super) struct Hooks {
    cipher: Option<Cipher>,
    /// Groups that the sync says it has read.
    pub(super) groups_read: usize,
    /// The version each group's roster stands at; the first callback of a group is believed.
    versions: HashMap<String, String>,
}

/// What a callback came to.
pub(super) enum Told {
    /// The echo of a verification.
    Echo(String),
    /// A join that follows: group and member.
    Joined(String, String),
    /// Something that does not follow.
    Gap,
}

impl Hooks {
    pub(super) fn account(&mut self, spec: &Value) -> (StatusCode, Value) {
        let secret = |name: &str| {
            let secrets = spec["secrets"].as_array().expect("secrets");
            let found = secrets.iter().find(|secret| secret["name"] == name).expect("a secret");
            found["value"].as_str().expect("text").to_owned()
        };
        let corp_id = spec["settings"]["corp_id"].as_str().expect("text");
        let cipher = Cipher::new(&secret("callback_token"), &secret("callback_key"), corp_id);
        self.cipher = Some(cipher.expect("a key"));
        (StatusCode::OK, json!({}))
    }

    pub(super) fn sync(&self) -> (StatusCode, Value) {
        let progress = json!({"read": self.groups_read, "failed": 0});
        (StatusCode::OK, json!({"state": "done", "progress": progress, "error": null}))
    }

    /// Opens a callback; none when it is not authentic.
    pub(super) fn open(&mut self, query: &str, body: &str) -> Option<Told> {
        let part = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let echo = part("echostr");
        let is_echo = echo.is_some();
        let encrypt = echo.map_or_else(|| encrypted_part(body), Ok).ok()?;
        let cipher = self.cipher.as_ref()?;
        let message = cipher.open(&part("msg_signature")?, &part("timestamp")?, &part("nonce")?, &encrypt);
        let document = String::from_utf8(message.ok()?).expect("text");
        if is_echo {
            return Some(Told::Echo(document));
        }
        let node = |name: &str| xml_text(&document, name).expect("a node");
        let (group, current) = (node("ChatId"), node("CurMemVer"));
        if self.versions.get(&group).is_some_and(|version| *version != node("LastMemVer")) {
            return Some(Told::Gap);
        }
        self.versions.insert(group.clone(), current);
        Some(Told::Joined(group, node("Item")))
    }
}
