//! What an account of WeCom says about itself: settings and secrets, checked once.
//!
//! Secrets by name: `app_secret` (one), `callback_token` and `callback_key` (as many pairs as are in force, the first
//! token with the first key), `robot:<name>` (the key of a group robot's webhook).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::crypto::Key;
use super::quota::Presets;
use crate::connectors::offers::ReceivingCap;
use crate::connectors::{AccountSpec, Secret, SpecError};
use crate::webhooks::address::parse_url;

/// Where the real platform answers.
const API_URL: &str = "https://qyapi.weixin.qq.com";

/// Most pairs of token and key in force at once: a rotation needs two.
const KEY_PAIRS_MAX: usize = 4;

const APP_SECRET: &str = "app_secret";
const CALLBACK_TOKEN: &str = "callback_token";
const CALLBACK_KEY: &str = "callback_key";
/// What the name of a robot's secret, and the id of its group, begin with.
pub(super) const ROBOT: &str = "robot:";

/// The account's own settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The corp (企业 ID).
    pub(super) corp_id: String,
    /// The app (应用 `AgentId`); needed for messages to staff.
    #[serde(default)]
    pub(super) agent_id: Option<u64>,
    /// Where the platform answers, without `/cgi-bin`.
    #[serde(default = "api_url")]
    pub(super) api_url: String,
    /// What a callback may be addressed to, when it is not the corp: a suite's id, or empty for a robot's callback.
    #[serde(default)]
    pub(super) receive_ids: Vec<String>,
    /// How far a callback's signed time may be from ours. Off by default: whether a repeat is signed anew is unconfirmed.
    #[serde(default, deserialize_with = "duration")]
    pub(super) timestamp_tolerance: Option<Duration>,
    /// How often a group may receive mass sends, as the corp's administrator chose.
    #[serde(default = "receiving_cap")]
    pub(super) receiving_cap: ReceivingCap,
    /// Departments whose staff are looked at for groups; the root by default.
    #[serde(default = "departments")]
    pub(super) departments: Vec<u64>,
    /// Limits that replace the presets of the same name, like `{"webhook/send": ["20/m"]}`.
    #[serde(default)]
    pub(super) api_limits: BTreeMap<String, Vec<String>>,
}

fn api_url() -> String {
    API_URL.to_owned()
}

fn receiving_cap() -> ReceivingCap {
    ReceivingCap::DaysOfMonth
}

fn departments() -> Vec<u64> {
    vec![1]
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    crate::units::de_duration(deserializer).map(Some)
}

/// The account's secrets, each where it belongs.
#[derive(Debug)]
pub(super) struct Secrets {
    /// What tokens are asked for with; an account may have robots alone.
    pub(super) app: Option<Secret>,
    /// Token and key of callbacks, in order.
    pub(super) callback: Vec<(Secret, Key)>,
    /// Robots' keys by name.
    pub(super) robots: HashMap<String, Secret>,
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// Names the path of what is wrong.
    pub(super) fn read(spec: &AccountSpec) -> Result<(Self, Presets), SpecError> {
        let mut settings: Self = spec.settings()?;
        if settings.corp_id.is_empty() || !settings.corp_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let reason =
                "is not a corp id like `ww0123456789abcdef` (管理后台 → 我的企业 → 企业信息 → 企业ID)";
            return Err(SpecError::at("settings.corp_id", reason));
        }
        let url = parse_url(&settings.api_url)
            .map_err(|error| SpecError::at("settings.api_url", error.to_string()))?;
        if url.query().is_some() {
            return Err(SpecError::at("settings.api_url", "has a query; write only scheme, host and port"));
        }
        settings.api_url.truncate(settings.api_url.trim_end_matches('/').len());
        if settings.receive_ids.is_empty() {
            settings.receive_ids.push(settings.corp_id.clone());
        }
        if settings.departments.is_empty() {
            return Err(SpecError::at(
                "settings.departments",
                "is empty; leave it out for the root department",
            ));
        }
        let presets = Presets::with(&settings.api_limits)?;
        Ok((settings, presets))
    }
}

impl Secrets {
    /// Sorts the secrets by their names.
    ///
    /// # Errors
    /// Names the one that is wrong, never its value.
    pub(super) fn read(spec: &AccountSpec) -> Result<Self, SpecError> {
        let (mut app, mut tokens, mut keys, mut robots) = (None, Vec::new(), Vec::new(), HashMap::new());
        for (nth, secret) in spec.secrets.iter().enumerate() {
            let at = |reason: &str| SpecError::at(format!("secrets[{nth}]"), reason);
            check_characters(secret, nth)?;
            match secret.name.as_str() {
                APP_SECRET if app.is_some() => {
                    return Err(at("is a second `app_secret`; one is in force at a time"));
                }
                APP_SECRET => app = Some(secret.clone()),
                CALLBACK_TOKEN => tokens.push(secret.clone()),
                CALLBACK_KEY => keys.push(Key::parse(secret.expose()).map_err(|error| {
                    SpecError::at(format!("secrets[{nth}]"), format!("is no EncodingAESKey: {error}"))
                })?),
                name => {
                    let robot = name.strip_prefix(ROBOT).filter(|robot| !robot.is_empty());
                    let robot = robot.ok_or_else(|| at(UNKNOWN_SECRET))?;
                    if robots.insert(robot.to_owned(), secret.clone()).is_some() {
                        return Err(at("is a second key of the same robot"));
                    }
                }
            }
        }
        check_pairs(tokens.len(), keys.len())?;
        if app.is_none() && robots.is_empty() {
            let reason =
                "needs one named `app_secret` (管理后台 → 应用管理 → 应用 → Secret), or `robot:<name>`";
            return Err(SpecError::at("secrets", reason));
        }
        if app.is_none() && !tokens.is_empty() {
            let reason = "has secrets for callbacks and no `app_secret`: what callbacks tell cannot be looked up without one";
            return Err(SpecError::at("secrets", reason));
        }
        Ok(Self { app, callback: tokens.into_iter().zip(keys).collect(), robots })
    }
}

const UNKNOWN_SECRET: &str =
    "has a name other than `app_secret`, `callback_token`, `callback_key` and `robot:<name>`";

fn check_pairs(tokens: usize, keys: usize) -> Result<(), SpecError> {
    if tokens != keys {
        let reason = format!(
            "has {tokens} `callback_token` and {keys} `callback_key`; they go in pairs, the first token with the first key"
        );
        return Err(SpecError::at("secrets", reason));
    }
    if tokens > KEY_PAIRS_MAX {
        let reason =
            format!("has {tokens} pairs for callbacks; {KEY_PAIRS_MAX} at most are in force at once");
        return Err(SpecError::at("secrets", reason));
    }
    Ok(())
}

fn check_characters(secret: &Secret, nth: usize) -> Result<(), SpecError> {
    let value = secret.expose();
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = "is empty, or has a space or another character that no secret of WeCom has";
        return Err(SpecError::at(format!("secrets[{nth}]"), reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::wecom::testing::spec;

    const KEY: &str = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR";

    #[test]
    fn an_account_says_little_and_the_rest_is_known() {
        let mut spec = spec();
        spec.settings = json!({"corp_id": "ww1f2e3d4c5b6a7988", "api_url": "http://127.0.0.1:9/"});
        let (settings, _) = Settings::read(&spec).unwrap();
        assert_eq!(settings.api_url, "http://127.0.0.1:9");
        assert_eq!(
            (settings.agent_id, &settings.receive_ids[..]),
            (None, &["ww1f2e3d4c5b6a7988".to_owned()][..])
        );
        assert_eq!(
            (settings.receiving_cap, &settings.departments[..]),
            (ReceivingCap::DaysOfMonth, &[1][..])
        );
        spec.settings = json!({"corp_id": "ww1f2e3d4c5b6a7988"});
        assert_eq!(Settings::read(&spec).unwrap().0.api_url, API_URL);
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_named() {
        let check = |change: serde_json::Value, path: &str| {
            let mut spec = spec();
            for (name, value) in change.as_object().unwrap() {
                spec.settings[name] = value.clone();
            }
            assert_eq!(Settings::read(&spec).unwrap_err().path, path, "{change}");
        };
        check(json!({"corp_id": ""}), "settings.corp_id");
        check(json!({"corp_id": "ww 1"}), "settings.corp_id");
        check(json!({"api_url": "qyapi.weixin.qq.com"}), "settings.api_url");
        check(json!({"api_url": "https://qyapi.weixin.qq.com/?debug=1"}), "settings.api_url");
        check(json!({"agent_id": "1000002x"}), "settings.agent_id");
        check(json!({"departments": []}), "settings.departments");
        check(json!({"receiving_cap": "often"}), "settings.receiving_cap");
        check(json!({"api_limits": {"nothing": ["1/m"]}}), "settings.api_limits.nothing");
        check(json!({"corpid": "ww1"}), "settings.corpid");
    }

    #[test]
    fn secrets_go_where_their_names_say_and_pairs_keep_their_order() {
        let of = |secrets: &[(&str, &str)]| {
            let secrets = secrets.iter().map(|(name, value)| Secret::new(*name, *value)).collect();
            Secrets::read(&AccountSpec { secrets, ..spec() })
        };
        let two = [
            ("callback_token", "one"),
            ("app_secret", "s"),
            ("callback_key", KEY),
            ("callback_token", "two"),
            ("callback_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
            ("robot:日报", "k"),
        ];
        let secrets = of(&two).unwrap();
        let tokens: Vec<_> = secrets.callback.iter().map(|(token, _)| token.expose()).collect();
        assert_eq!(tokens, ["one", "two"]);
        assert_eq!(secrets.callback[0].1, Key::parse(KEY).unwrap());
        assert!(secrets.app.is_some() && secrets.robots.contains_key("日报"));
        assert!(of(&[("robot:a", "k")]).unwrap().app.is_none(), "robots need no app");

        let check = |secrets: &[(&str, &str)], path: &str| {
            let error = of(secrets).unwrap_err();
            assert_eq!(error.path, path, "{secrets:?}");
            assert!(!error.reason.contains("hush"), "{error}");
        };
        check(&[], "secrets");
        check(&[("app_secret", "s"), ("callback_token", "t")], "secrets");
        check(&[("app_secret", "s"), ("app_secret", "hush")], "secrets[1]");
        check(&[("app_secret", "hush hush")], "secrets[0]");
        check(&[("app_secret", "")], "secrets[0]");
        check(&[("secret", "hush")], "secrets[0]");
        check(&[("robot:", "hush")], "secrets[0]");
        check(&[("robot:a", "k"), ("robot:a", "hush")], "secrets[1]");
        check(&[("app_secret", "s"), ("callback_key", "hush")], "secrets[1]");
        let pairs = [("callback_token", "t"), ("callback_key", KEY)].repeat(KEY_PAIRS_MAX + 1);
        check(&[&[("app_secret", "s")], &pairs[..]].concat(), "secrets");
    }
}
