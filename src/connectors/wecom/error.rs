//! Why a call to WeCom did not end well: what it means for a delivery ([`ApiError::outcome`]) and for whoever asked
//! ([`PlatformError`]).
//!
//! Invariants: no text of a message, no token, no key in it. Of the platform's `errmsg`, which is free-form and may quote
//! what was sent, only the support hint and our own address are kept.

use std::net::IpAddr;
use std::time::Duration;

use super::api::Api;
use super::errcode::{self, Meaning};
use crate::connectors::offers::{PlatformError, Retry};
use crate::outbox::delivery::{Decision, Outcome, Refusal, RefusalScope};
use crate::telemetry::metrics::WecomCall;

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The platform refused, with its own code.
    Errcode(i64),
    /// Something between us and the platform answered instead of it.
    Http(u16),
    /// The platform's name stands for an address we do not connect to.
    Ssrf,
    /// No connection, or no time left to make one. Nothing was sent.
    Connect,
    /// The call may have arrived; its answer did not.
    Lost,
    /// The platform answered what we cannot read: perhaps cut short.
    Unreadable,
    /// A limit of ours, or a penalty of the platform's that still runs. Nothing was sent.
    Quota,
    /// The account has no secret for this.
    NoSecret,
    /// What a limit is counted by could not be written down: then nothing is spent.
    State,
}

/// Why a call did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    /// Which interface.
    pub(super) api: Api,
    /// What happened.
    pub(super) code: Code,
    /// What the platform's support asks for: digits and underscores.
    pub(super) hint: Option<String>,
    /// Our own address, as the platform saw it.
    pub(super) from_ip: Option<IpAddr>,
    /// Known to be closed for this long.
    pub(super) wait: Option<Duration>,
    /// In words, from our own side of the wire.
    pub(super) detail: String,
}

impl ApiError {
    /// Makes one without anything but its code.
    pub(super) fn new(api: Api, code: Code) -> Self {
        Self { api, code, hint: None, from_ip: None, wait: None, detail: String::new() }
    }

    /// Adds words of ours.
    pub(super) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Adds how long to wait.
    pub(super) fn with_wait(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }

    /// Makes one of the platform's answer.
    pub(super) fn refused(api: Api, errcode: i64, errmsg: &str) -> Self {
        Self {
            hint: between(errmsg, "hint: [", "]").filter(|hint| is_hint(hint)).map(str::to_owned),
            from_ip: between(errmsg, "from ip: ", ",").and_then(|ip| ip.trim().parse().ok()),
            ..Self::new(api, Code::Errcode(errcode))
        }
    }

    /// Says whether the platform refused with this code.
    pub(super) fn is(&self, errcode: i64) -> bool {
        self.code == Code::Errcode(errcode)
    }

    /// Says whether the call may have taken effect although it ended badly. What only reads, or is the same when done
    /// twice, never has in this sense.
    pub(super) fn is_uncertain(&self) -> bool {
        !self.api.traits().is_repeatable
            && match self.code {
                Code::Lost | Code::Unreadable => true,
                // Whoever stands before the platform may have given up while it was at work. 429 and 503 say that it
                // was not asked.
                Code::Http(status) => status >= 500 && status != 503,
                Code::Errcode(_)
                | Code::Ssrf
                | Code::Connect
                | Code::Quota
                | Code::NoSecret
                | Code::State => false,
            }
    }

    /// Says whether the platform said nothing about what was asked: it was not reached, was at fault itself, or had been
    /// asked too much.
    pub(super) fn says_nothing(&self) -> bool {
        match self.code {
            Code::Connect | Code::Lost | Code::Quota | Code::State => true,
            Code::Http(status) => status == 429 || status >= 500,
            Code::Errcode(code) => {
                [errcode::TOO_OFTEN, errcode::TOO_MANY_AT_ONCE, errcode::BUSY].contains(&code)
            }
            Code::Ssrf | Code::Unreadable | Code::NoSecret => false,
        }
    }

    fn meaning(&self) -> Option<&'static Meaning> {
        match self.code {
            Code::Errcode(code) => Some(errcode::meaning(code)),
            Code::Http(_)
            | Code::Ssrf
            | Code::Connect
            | Code::Lost
            | Code::Unreadable
            | Code::Quota
            | Code::NoSecret
            | Code::State => None,
        }
    }

    /// Says whether the account as a whole is in trouble.
    pub(super) fn is_trouble(&self) -> bool {
        self.code == Code::Ssrf || self.meaning().is_some_and(|meaning| meaning.is_trouble)
    }

    /// What to do next, and whom it concerns.
    pub(super) fn decision(&self) -> (Decision, RefusalScope) {
        let (decision, scope) = match self.code {
            Code::Errcode(code) => {
                let meaning = errcode::meaning(code);
                (meaning.decision, meaning.scope)
            }
            Code::Ssrf | Code::NoSecret => (Decision::Never, RefusalScope::Account),
            Code::Connect | Code::Http(429 | 500..) => (Decision::Backoff, RefusalScope::Account),
            Code::Http(_) => (Decision::Never, RefusalScope::Delivery),
            Code::Lost | Code::Unreadable | Code::State | Code::Quota => {
                (Decision::Backoff, RefusalScope::Delivery)
            }
        };
        match (decision, self.wait) {
            (Decision::Backoff | Decision::After(_), Some(wait)) => (Decision::After(wait), scope),
            // A person must act: no wait makes up for it.
            (decision, _) => (decision, scope),
        }
    }

    /// Our word for the code, or the platform's number.
    pub(super) fn code_text(&self) -> String {
        match self.code {
            Code::Errcode(code) => code.to_string(),
            Code::Http(status) => format!("http_{status}"),
            Code::Ssrf => "ssrf".to_owned(),
            Code::Connect => "connect".to_owned(),
            Code::Lost => "lost".to_owned(),
            Code::Unreadable => "unreadable".to_owned(),
            Code::Quota => "quota".to_owned(),
            Code::NoSecret => "no_secret".to_owned(),
            Code::State => "state".to_owned(),
        }
    }

    /// What it is and what to do, in Chinese and English.
    pub(super) fn words(&self) -> (String, String) {
        let (zh, en) = match self.code {
            Code::Errcode(code) => {
                let meaning = errcode::meaning(code);
                (meaning.zh, meaning.en)
            }
            Code::Http(_) => (
                "企业微信前面的网关返回了错误，会自动重试；若持续出现，请检查代理与 api_url",
                "something before WeCom answered; we try again. If it lasts, check the proxy and `api_url`",
            ),
            Code::Ssrf => (
                "api_url 指向内网地址；若确实如此，请在 connectors.allow_private 中放行",
                "`api_url` leads to a private address; allow it in `connectors.allow_private` if it is meant",
            ),
            Code::Connect => (
                "无法连接企业微信，请检查网络、DNS 与出口防火墙",
                "WeCom cannot be reached; check the network, DNS and the firewall",
            ),
            Code::Lost => ("请求已发出但没有收到回应", "the call went out and no answer came"),
            Code::Unreadable => (
                "收到的回应无法解析，可能不完整或不是企业微信的回应",
                "the answer cannot be read: cut short, or not WeCom's",
            ),
            Code::Quota => (
                "已达到接口频率上限，等到有余量后自动继续",
                "a limit of the interface is used up; it goes on by itself when there is room",
            ),
            Code::NoSecret => (
                "账号没有配置所需的密钥（app_secret 或 robot:<名称>）",
                "the account has no secret for this (`app_secret` or `robot:<name>`)",
            ),
            Code::State => (
                "无法记录频率用量，因此没有发出请求；请检查数据目录所在磁盘",
                "what is spent of a limit could not be written down, so nothing was sent; check the data directory's disk",
            ),
        };
        let more = self.more();
        (format!("{zh}{more}"), format!("{en}{more}"))
    }

    fn more(&self) -> String {
        let parts = [
            self.from_ip.map(|ip| format!("IP {ip}")),
            self.hint.as_ref().map(|hint| format!("hint {hint}")),
            Some(self.detail.clone()).filter(|detail| !detail.is_empty()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
    }

    /// What the call came to for a delivery that it was made for.
    pub(super) fn outcome(&self) -> Outcome {
        let path = self.api.path();
        if self.is_uncertain() {
            return Outcome::Uncertain { detail: format!("{path}: {}{}", self.code_text(), self.more()) };
        }
        let (decision, scope) = self.decision();
        let detail = format!("{path}: {}", self.words().1);
        Outcome::Refused(Refusal { decision, scope, code: self.code_text(), detail })
    }

    /// What the call is counted as.
    pub(super) fn counted_as(&self) -> WecomCall {
        match self.code {
            Code::Errcode(errcode::TOO_OFTEN | errcode::TOO_MANY_AT_ONCE) => WecomCall::Throttled,
            Code::Errcode(_) => WecomCall::Refused,
            Code::Quota | Code::State | Code::NoSecret => WecomCall::Held,
            Code::Connect | Code::Ssrf => WecomCall::Unreached,
            Code::Http(_) | Code::Lost | Code::Unreadable => WecomCall::Lost,
        }
    }
}

impl From<ApiError> for PlatformError {
    fn from(error: ApiError) -> Self {
        let (zh, en) = error.words();
        let retry = match error.decision().0 {
            Decision::After(wait) => Retry::After(wait),
            // The client has refreshed the credential and tried again already.
            Decision::Backoff | Decision::RefreshCredential => Retry::Backoff,
            Decision::Never | Decision::PauseLane => Retry::Never,
        };
        PlatformError {
            operation: error.api.path(),
            code: error.code_text(),
            zh,
            en,
            retry,
            uncertain: error.is_uncertain(),
        }
    }
}

/// Makes the error of a call that was not made because WeCom would refuse it: our code, and what to change in both
/// languages.
pub(super) fn not_asked(api: Api, code: &str, zh: String, en: String) -> PlatformError {
    let (operation, code) = (api.path(), code.to_owned());
    PlatformError { operation, code, zh, en, retry: Retry::Never, uncertain: false }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

/// Longest hint that is kept.
const HINT_BYTES_MAX: usize = 64;

fn is_hint(text: &str) -> bool {
    text.len() <= HINT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_platforms_words_only_hint_and_address_are_kept() {
        let errmsg = "not allow to access from your ip, hint: [1700000000_123_abc], from ip: 203.0.113.7, more info \
                      at https://open.work.weixin.qq.com/devtool/query?e=60020";
        let error = ApiError::refused(Api::GetToken, 60020, errmsg);
        assert_eq!((error.hint.as_deref(), error.from_ip), (None, "203.0.113.7".parse().ok()));
        let errmsg = "content 加微信 too long, hint: [1700000000_123], from ip: 秘密, more info";
        let error = ApiError::refused(Api::RobotSend, 40058, errmsg);
        assert_eq!((error.hint.as_deref(), error.from_ip), (Some("1700000000_123"), None));
        let platform = PlatformError::from(error);
        assert!(!platform.to_string().contains("加微信"), "{platform}");
        assert_eq!((platform.operation, platform.code.as_str()), ("webhook/send", "40058"));
        assert_eq!((platform.retry, platform.uncertain), (Retry::Never, false));
    }

    #[test]
    fn what_may_have_arrived_is_uncertain_unless_it_may_be_repeated() {
        let uncertain = |api, code| ApiError::new(api, code).is_uncertain();
        for code in [Code::Lost, Code::Unreadable, Code::Http(500), Code::Http(502), Code::Http(504)] {
            assert!(uncertain(Api::AddMassSend, code), "{code:?}");
            assert!(!uncertain(Api::GroupChatGet, code), "{code:?}: a read is read again");
            assert!(matches!(ApiError::new(Api::AddMassSend, code).outcome(), Outcome::Uncertain { .. }));
        }
        for code in [Code::Connect, Code::Ssrf, Code::Quota, Code::State, Code::NoSecret, Code::Errcode(-1)] {
            assert!(!uncertain(Api::AddMassSend, code), "{code:?}");
        }
        for status in [400, 404, 413, 429, 503] {
            assert!(!uncertain(Api::AddMassSend, Code::Http(status)), "{status}");
        }
    }

    #[test]
    fn a_known_wait_comes_before_our_own_schedule_but_not_before_never() {
        let wait = Duration::from_secs(7);
        let decision = |code| ApiError::new(Api::MessageSend, code).with_wait(wait).decision().0;
        assert_eq!(decision(Code::Errcode(errcode::TOO_OFTEN)), Decision::After(wait));
        assert_eq!(decision(Code::Quota), Decision::After(wait));
        assert_eq!(decision(Code::Errcode(40003)), Decision::Never);
        assert_eq!(decision(Code::Errcode(errcode::BAD_SECRET)), Decision::PauseLane);
    }
}
