//! One message out: what it needs is uploaded, then the one call is made that says it.
//!
//! A file that was uploaded lately is not uploaded again; when WeCom does not know its id any more, it is, once.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::client::UploadBy;
use super::content::{Message, Upload};
use super::deliver::Acts;
use super::error::ApiError;
use super::media::{MediaKey, MediaScope};
use super::quota::Charge;
use crate::outbox::delivery::{Decision, Outcome, Refusal, RefusalScope};

/// WeCom does not know the id of a file: it is older than three days by WeCom's count, or somebody else's.
pub(super) const BAD_MEDIA_ID: i64 = 40007;

/// Which way a message goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    /// By a robot, into its group.
    Robot(&'a str),
    /// By the app, into a group that it made; each of its people is counted.
    OwnGroup {
        /// The group.
        chat: &'a str,
        /// Who is in it.
        people: &'a [&'a str],
    },
    /// By the app, to one member.
    Member {
        /// The app.
        agent_id: u64,
        /// Who.
        member: &'a str,
        /// WeCom is told to drop the same content for so many seconds.
        check_s: Option<u64>,
    },
}

/// What comes back. Only app messages tell anything: who did not get it stands beside an errcode of 0.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    invaliduser: Option<String>,
    invalidparty: Option<String>,
    invalidtag: Option<String>,
    unlicenseduser: Option<String>,
    /// The message's id.
    pub(super) msgid: Option<String>,
}

impl Told {
    /// Returns why the one receiver did not get it, as a code and in words.
    pub(super) fn refused(&self) -> Option<(&'static str, &'static str)> {
        let has = |list: &Option<String>| list.as_ref().is_some_and(|list| !list.is_empty());
        if has(&self.unlicenseduser) {
            return Some((
                "unlicensed_member",
                "the member has no licence for this app; assign one at 管理后台 → 应用管理 → the app → 许可账号",
            ));
        }
        [&self.invaliduser, &self.invalidparty, &self.invalidtag].into_iter().any(has).then_some((
            "invalid_member",
            "the member is not known, has left, or is outside the app's visible range \
             (管理后台 → 应用管理 → the app → 可见范围)",
        ))
    }
}

impl Acts {
    /// Uploads what a message needs, and says it.
    ///
    /// # Errors
    /// What the call that failed came to. A lost upload is a refusal: nothing was said.
    pub(super) async fn send(&self, way: Way<'_>, message: &Message) -> Result<Told, Outcome> {
        let Some(upload) = &message.upload else {
            return self.call_out(way, message.fields(None)).await.map_err(|error| error.outcome());
        };
        let (by, scope) = match way {
            Way::Robot(robot) => (UploadBy::Robot(robot), MediaScope::Robots),
            Way::OwnGroup { .. } | Way::Member { .. } => (UploadBy::App, MediaScope::App),
        };
        let key = MediaKey::of(scope, upload);
        let media_id = self.media_id(by, &key, upload).await?;
        match self.call_out(way, message.fields(Some(&media_id))).await {
            Err(error) if error.is(BAD_MEDIA_ID) => {
                self.media.forget(&key);
                let media_id = self.media_id(by, &key, upload).await?;
                let sent = self.call_out(way, message.fields(Some(&media_id))).await;
                sent.map_err(|error| error.outcome())
            }
            sent => sent.map_err(|error| error.outcome()),
        }
    }

    async fn call_out(&self, way: Way<'_>, mut fields: Map<String, Value>) -> Result<Told, ApiError> {
        let mut put = |field: &str, value: Value| _ = fields.insert(field.to_owned(), value);
        match way {
            Way::Robot(robot) => self.client.robot(robot, Api::RobotSend, &fields).await,
            Way::OwnGroup { chat, people } => {
                put("chatid", json!(chat));
                put("safe", json!(0));
                let units = u32::try_from(people.len()).unwrap_or(u32::MAX);
                let charge = Charge { units, members: people, ..Charge::default() };
                self.client.call_charged(Api::AppchatSend, &fields, charge).await
            }
            Way::Member { agent_id, member, check_s } => {
                put("touser", json!(member));
                put("agentid", json!(agent_id));
                put("safe", json!(0));
                put("enable_duplicate_check", json!(u8::from(check_s.is_some())));
                if let Some(seconds) = check_s {
                    put("duplicate_check_interval", json!(seconds));
                }
                let charge = Charge { units: 1, members: &[member], ..Charge::default() };
                self.client.call_charged(Api::MessageSend, &fields, charge).await
            }
        }
    }

    /// Returns the id of a file, which is uploaded if it was not lately.
    ///
    /// # Errors
    /// What the upload came to.
    pub(super) async fn media_id(
        &self,
        by: UploadBy<'_>,
        key: &MediaKey,
        upload: &Upload,
    ) -> Result<String, Outcome> {
        // One upload at a time; whoever waited finds what the one before uploaded.
        let _turn = self.uploading.lock().await;
        let asked_ms = self.clock.now_ms();
        if let Some(id) = self.media.find(key, asked_ms) {
            return Ok(id);
        }
        let uploaded = self.client.upload(by, upload.kind, &upload.name, &upload.bytes).await;
        let id = uploaded.map_err(|error| not_said(&error))?;
        self.media.remember(key.clone(), id.clone(), asked_ms);
        Ok(id)
    }
}

fn not_said(error: &ApiError) -> Outcome {
    let outcome = error.outcome();
    let Outcome::Uncertain { detail } = outcome else { return outcome };
    let (decision, scope) = (Decision::Backoff, RefusalScope::Delivery);
    Outcome::Refused(Refusal { decision, scope, code: error.code_text(), detail })
}
