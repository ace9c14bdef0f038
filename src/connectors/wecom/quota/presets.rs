//! WeCom's limits as far as they are known, by the name of what they hold for.
//!
//! A name is `*` (each interface of the corp), an interface's path, or a path with what is counted instead of calls:
//! `message/send members` (each member), `appchat/send units` (members reached by one call). An account may replace each
//! by name (`settings.api_limits`).

use std::collections::{BTreeMap, HashMap};

use crate::connectors::wecom::api::Api;
use crate::connectors::{LimitPreset, SpecError};
use crate::outbox::limit::Limit;

/// The name of what holds for each interface.
const EACH: &str = "*";
/// After a path: counted by each member.
pub(super) const MEMBERS: &str = " members";
/// After a path: counted by what one call weighs.
pub(super) const UNITS: &str = " units";

const fn preset(of: &'static str, limit: &'static str, source: &'static str) -> LimitPreset {
    LimitPreset { of, limit, source }
}

const FREQUENCY: &str = "developer.work.weixin.qq.com/document/path/90454";
const TRANSFER: &str = "developer.work.weixin.qq.com/document/path/95703";
const ROBOT: &str = "the group robot's own page (消息推送), as SDKs cite it";
/// 45033 names no number: small enough that several gateways and apps of a corp fit beside each other.
const OURS: &str = "our own choice; the platform names no number for 45033";

/// What holds when an account says nothing.
pub(in crate::connectors::wecom) const PRESETS: &[LimitPreset] = &[
    preset(EACH, "window:10000/m", FREQUENCY),
    preset(EACH, "window:150000/h", FREQUENCY),
    preset(EACH, "concurrency:16", OURS),
    preset("webhook/send", "window:20/m", ROBOT),
    preset("message/send members", "window:30/m", FREQUENCY),
    preset("message/send members", "window:1000/h", FREQUENCY),
    preset("appchat/create", "window:1000/d", FREQUENCY),
    preset("appchat/update", "window:1000/h", FREQUENCY),
    preset("appchat/send units", "window:20000/m", FREQUENCY),
    preset("appchat/send units", "window:300000/h", FREQUENCY),
    preset("appchat/send members", "window:200/m", FREQUENCY),
    preset("appchat/send members", "window:10000/d", FREQUENCY),
    preset("externalcontact/groupchat/transfer units", "window:300/d", TRANSFER),
    preset("externalcontact/groupchat/onjob_transfer units", "window:300/d", TRANSFER),
];

/// The limits of one account, by name.
#[derive(Clone, Debug)]
pub(in crate::connectors::wecom) struct Presets(HashMap<String, Vec<Limit>>);

impl Presets {
    /// Takes the presets and replaces those that `own` names.
    ///
    /// # Errors
    /// Names what cannot be read.
    pub(in crate::connectors::wecom) fn with(own: &BTreeMap<String, Vec<String>>) -> Result<Self, SpecError> {
        let mut by_name: HashMap<String, Vec<Limit>> = HashMap::new();
        for preset in PRESETS {
            let limit = preset.limit.parse().expect("the presets are tested");
            by_name.entry(preset.of.to_owned()).or_default().push(limit);
        }
        for (name, limits) in own {
            let path = format!("settings.api_limits.{name}");
            if !is_name(name) {
                let reason = "names no interface; write `*`, a path like `externalcontact/groupchat/get`, or a path \
                              followed by ` members` or ` units`";
                return Err(SpecError::at(path, reason));
            }
            let read = |text: &String| {
                text.parse::<Limit>().map_err(|error| SpecError::at(path.clone(), error.to_string()))
            };
            by_name.insert(name.clone(), limits.iter().map(read).collect::<Result<_, _>>()?);
        }
        Ok(Self(by_name))
    }

    /// Returns what holds for calls of an interface: its own limits and those of each.
    pub(super) fn of_calls(&self, api: Api) -> Vec<Limit> {
        let own = self.of(api.path());
        let each = if api.has_basic_limits() { self.of(EACH) } else { &[] };
        own.iter().chain(each).copied().collect()
    }

    /// Returns what holds for a name.
    pub(super) fn of(&self, name: &str) -> &[Limit] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

fn is_name(name: &str) -> bool {
    let path = name.strip_suffix(MEMBERS).or_else(|| name.strip_suffix(UNITS)).unwrap_or(name);
    name == EACH || Api::ALL.iter().any(|api| api.path() == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, limit: &str) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(name.to_owned(), vec![limit.to_owned()])])
    }

    #[test]
    fn every_preset_can_be_read_and_names_something() {
        let presets = Presets::with(&BTreeMap::new()).unwrap();
        for preset in PRESETS {
            assert!(is_name(preset.of), "{}", preset.of);
            assert!(!presets.of(preset.of).is_empty());
            assert_eq!(preset.limit.parse::<Limit>().unwrap().to_string(), preset.limit);
        }
    }

    #[test]
    fn an_accounts_own_limits_replace_those_of_the_same_name_only() {
        let presets = Presets::with(&own("webhook/send", "5/m")).unwrap();
        let printed = |api| presets.of_calls(api).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(printed(Api::RobotSend), ["window:5/m"]);
        assert_eq!(printed(Api::GroupChatGet), ["window:10000/m", "window:150000/h", "concurrency:16"]);
        assert_eq!(printed(Api::AppchatCreate).len(), 4, "its own, and those of each");
        assert!(printed(Api::MessageSend).is_empty(), "messages of apps are not counted by the call");
        assert_eq!(Presets::with(&own("*", "100/m")).unwrap().of_calls(Api::GroupChatGet).len(), 1);

        let error = Presets::with(&own("externalcontact/nothing", "5/m")).unwrap_err();
        assert_eq!(error.path, "settings.api_limits.externalcontact/nothing");
        assert!(Presets::with(&own("webhook/send", "often")).is_err());
    }
}
