//! A walk through an account, in the order in which a person would set it up: what works, what does not, where to click.
//!
//! Only calls that change nothing. Where WeCom offers none, the finding says so instead of guessing: a robot's key cannot
//! be tried without a message that everybody in its group would read, a callback URL only proves itself by callbacks, and
//! neither the number of welcome templates nor the receiving cap can be read.

#[cfg(test)]
mod tests;
mod words;

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Wecom;
use super::api::Api;
use super::client::Done;
use super::crypto::sign;
use super::error::ApiError;
use crate::connectors::Callback;
use crate::connectors::offers::{Finding, SelfCheck};
use words::{Agent, Begin};

/// An id that nothing has: WeCom must say that it does not know it, and says something else when we may not even ask.
const NO_SUCH_ID: &str = "menshencheck0000";
/// What is sealed and opened again.
const ECHO: &[u8] = b"menshen";
/// The nonce it is signed with.
const NONCE: &str = "menshen";
/// Owners whose groups wait for an heir are counted up to a page of the list.
const ORPHANS_SHOWN: u32 = 1_000;
/// How far back tasks are listed, in seconds.
const TASKS_SINCE_S: i64 = 24 * 3_600;

/// What a family of interfaces is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Groups,
    MassSends,
    WelcomeTemplates,
    Interception,
    JoinWays,
    OwnGroups,
}

impl Family {
    const ALL: [Self; 6] = [
        Self::Groups,
        Self::MassSends,
        Self::WelcomeTemplates,
        Self::Interception,
        Self::JoinWays,
        Self::OwnGroups,
    ];
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    group_chat_list: Vec<Done>,
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    rule_list: Vec<Done>,
}

#[derive(Deserialize)]
struct FollowUsers {
    #[serde(default)]
    follow_user: Vec<String>,
}

impl Wecom {
    /// The first call: it needs a token, a trusted address and an app that is switched on, and nothing else.
    async fn begin(&self) -> Begin {
        if !self.client.has_app() {
            return Begin::NoApp;
        }
        match self.client.get::<Done>(Api::CallbackIps, &[]).await {
            Ok(Done {}) => Begin::Works,
            Err(error) => Begin::Failed(error),
        }
    }

    async fn agent(&self) -> Option<Result<Agent, ApiError>> {
        let agent_id = self.settings.agent_id?.to_string();
        Some(self.client.get(Api::AgentGet, &[("agentid", &agent_id)]).await)
    }

    /// Makes one call of a family that changes nothing.
    async fn try_family(&self, family: Family) -> Result<(), ApiError> {
        let now_s = self.clock.now_ms().div_euclid(1_000);
        let call = async |api, body: Value| self.client.call::<_, Done>(api, &body).await.map(|Done {}| ());
        match family {
            Family::Groups => call(Api::GroupChatList, json!({ "status_filter": 0, "limit": 1 })).await,
            Family::MassSends => {
                let body = json!({
                    "chat_type": "group", "start_time": now_s - TASKS_SINCE_S, "end_time": now_s, "limit": 1,
                });
                call(Api::ListMassSends, body).await
            }
            Family::WelcomeTemplates => {
                call(Api::GetWelcomeTemplate, json!({ "template_id": NO_SUCH_ID })).await
            }
            Family::Interception => {
                self.client.get::<Done>(Api::ListInterceptRules, &[]).await.map(|Done {}| ())
            }
            Family::JoinWays => call(Api::GetJoinWay, json!({ "config_id": NO_SUCH_ID })).await,
            Family::OwnGroups => {
                self.client.get::<Done>(Api::AppchatGet, &[("chatid", NO_SUCH_ID)]).await.map(|Done {}| ())
            }
        }
    }

    async fn orphans_listed(&self) -> Result<(usize, bool), ApiError> {
        let body = json!({ "status_filter": 1, "limit": ORPHANS_SHOWN });
        let listed: Listed = self.client.call(Api::GroupChatList, &body).await?;
        Ok((listed.group_chat_list.len(), !listed.next_cursor.is_empty()))
    }

    /// Seals an echo with each pair of token and key, as the platform does when the URL is saved, and opens it by our own
    /// door; returns how many pairs there are.
    ///
    /// # Errors
    /// The code of the refusal.
    fn keys_open_what_they_seal(&self) -> Result<usize, &'static str> {
        let now_ms = self.clock.now_ms();
        let timestamp = now_ms.div_euclid(1_000).to_string();
        let receiver = self.settings.receive_ids.first().map_or("", String::as_str);
        for (token, key) in &self.inbound.pairs {
            // Nobody but we see it: it needs no chance.
            let sealed = key.encrypt(&[0; 16], ECHO, receiver).map_err(|_| "encrypt")?;
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("msg_signature", &sign(token.expose(), &timestamp, NONCE, &sealed));
            query
                .append_pair("timestamp", &timestamp)
                .append_pair("nonce", NONCE)
                .append_pair("echostr", &sealed);
            let query = query.finish();
            let callback = Callback {
                method: &Method::GET,
                path: "",
                query: &query,
                headers: &HeaderMap::new(),
                body: &[],
                now_ms,
            };
            let opened = self.inbound.open(self.account.as_str(), &self.staff, callback);
            if opened.map_err(|error| error.code)?.reply.body() != ECHO {
                return Err("another_echo");
            }
        }
        Ok(self.inbound.pairs.len())
    }

    /// Everything that needs the app's token.
    async fn check_app(&self, found: &(dyn Fn(Finding) + Send + Sync)) {
        found(words::app(self.agent().await.as_ref()));
        if let Some(Ok(agent)) = self.agent().await {
            found(words::visible_range(&agent));
        }
        for family in Family::ALL {
            found(words::permission(family, self.try_family(family).await.as_ref().err()));
        }
        let follow = self.client.get::<FollowUsers>(Api::FollowUsers, &[]).await;
        found(words::contacts(follow.map(|follow| follow.follow_user.len()).as_ref()));
        found(words::owners(self.orphans_listed().await.as_ref()));
        let rules = self.client.get::<Rules>(Api::ListInterceptRules, &[]).await;
        found(words::intercept_rules(rules.map(|rules| rules.rule_list.len()).as_ref()));
        found(words::receiving_cap(self.settings.receiving_cap));
    }
}

#[async_trait]
impl SelfCheck for Wecom {
    async fn check(&self, callback_url: Option<&str>, found: &(dyn Fn(Finding) + Send + Sync)) {
        let begin = self.begin().await;
        for finding in words::begin(&begin) {
            found(finding);
        }
        match begin {
            Begin::Works => self.check_app(found).await,
            Begin::NoApp | Begin::Failed(_) => {
                for subject in ["app", "visible_range", "permissions", "owners", "intercept_rules"] {
                    found(words::skipped(subject));
                }
            }
        }
        found(words::callback_keys(self.keys_open_what_they_seal()));
        let seen_ms = self.callback_ms.load(Ordering::Relaxed);
        found(words::callback_seen((seen_ms > 0).then_some(seen_ms), self.clock.now_ms()));
        if let Some(finding) = callback_url.and_then(words::callback_url) {
            found(finding);
        }
        found(words::robots(&self.client.robots(), &self.client.odd_robots()));
    }
}
