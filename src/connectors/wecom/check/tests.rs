//! The walk against a platform whose every answer is scripted.

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::connectors::offers::Standing;
use crate::connectors::offers::Standing::{Bad, Good, Skipped, Warning};
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::testing::{Asked, Platform, Reply, done, refusal};

async fn walk(wecom: &Wecom, url: Option<&str>) -> Vec<Finding> {
    let found = Mutex::new(Vec::new());
    wecom.check(url, &|finding| found.lock().push(finding)).await;
    found.into_inner()
}

fn standings(findings: &[Finding], subject: &str) -> Vec<Standing> {
    findings.iter().filter(|finding| finding.subject == subject).map(|finding| finding.standing).collect()
}

fn of<'a>(findings: &'a [Finding], subject: &str, standing: Standing) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.subject == subject && finding.standing == standing);
    found.unwrap_or_else(|| panic!("{subject} {standing:?}: {findings:?}"))
}

fn healthy(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "agent/get" => Reply::Json(json!({"errcode": 0, "agentid": 1_000_002, "name": "门神", "close": 0,
            "allow_userinfos": {"user": []}, "allow_partys": {"partyid": [1]}, "allow_tags": {"tagid": []}})),
        "externalcontact/get_follow_user_list" => Reply::Json(json!({"errcode": 0, "follow_user": ["lin"]})),
        "externalcontact/groupchat/list" => Reply::Json(json!({"errcode": 0, "group_chat_list": []})),
        "externalcontact/get_intercept_rule_list" => Reply::Json(json!({"errcode": 0, "rule_list": []})),
        "appchat/get" => refusal(86003),
        "externalcontact/group_welcome_template/get" | "externalcontact/groupchat/get_join_way" => {
            refusal(40035)
        }
        _ => done(),
    }
}

#[tokio::test]
async fn an_account_in_order_is_told_so_and_nothing_is_changed_by_looking() {
    let platform = Platform::with_token(healthy).await;
    let wecom = platform.connect(&Clock::system());
    let findings = walk(&wecom, Some("https://shops.example.com/hooks/shops")).await;
    for subject in
        ["secret", "trusted_ip", "app", "visible_range", "permissions", "owners", "intercept_rules"]
    {
        let standings = standings(&findings, subject);
        assert!(!standings.is_empty() && standings.iter().all(|standing| *standing == Good), "{findings:?}");
    }
    for asked in platform.asked() {
        let last = asked.path.rsplit('/').next().unwrap();
        let reads =
            ["get", "list", "getcallbackip"].iter().any(|word| last.starts_with(word)) || last == "list";
        assert!(reads, "{} may change something", asked.path);
    }
    for finding in &findings {
        assert!(!finding.zh.is_empty() && !finding.en.is_empty());
        let secrets = ["app-secret", "robot-key", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"];
        assert!(secrets.iter().all(|secret| !finding.zh.contains(secret) && !finding.en.contains(secret)));
    }
}

#[tokio::test]
async fn a_wrong_secret_stops_the_walk_and_says_where_to_click() {
    let platform = Platform::start(|_| refusal(40001)).await;
    let findings = walk(&platform.connect(&Clock::system()), None).await;
    let secret = of(&findings, "secret", Bad);
    assert!(secret.zh.contains("管理后台 → 应用管理"), "{}", secret.zh);
    for subject in ["trusted_ip", "app", "visible_range", "permissions", "owners"] {
        assert_eq!(standings(&findings, subject), [Skipped], "{subject}");
    }
    assert_eq!(
        (platform.count("gettoken"), platform.asked().len()),
        (1, 0),
        "wrong secrets in a row ban our address"
    );
}

#[tokio::test]
async fn an_untrusted_address_is_printed_for_copying() {
    let platform = Platform::with_token(|_| refusal(60020)).await;
    let findings = walk(&platform.connect(&Clock::system()), None).await;
    assert_eq!(standings(&findings, "secret"), [Good]);
    let finding = of(&findings, "trusted_ip", Bad);
    assert!(finding.zh.contains("127.0.0.1") && finding.en.contains("127.0.0.1"), "{finding:?}");
}

#[tokio::test]
async fn what_may_not_be_called_is_told_family_by_family() {
    let platform = Platform::with_token(|asked| match asked.path.as_str() {
        "externalcontact/get_intercept_rule_list" => refusal(48002),
        "appchat/get" => refusal(60011),
        _ => healthy(asked),
    })
    .await;
    let findings = walk(&platform.connect(&Clock::system()), None).await;
    let permissions = standings(&findings, "permissions");
    assert_eq!(permissions, [Good, Good, Good, Bad, Good, Bad]);
    assert_eq!(standings(&findings, "intercept_rules"), [Bad]);
}

#[tokio::test]
async fn callbacks_are_tried_by_ourselves_and_told_when_they_came() {
    let platform = Platform::with_token(healthy).await;
    let wecom = platform.connect(&Clock::manual(600_000));
    let findings = walk(&wecom, Some("http://127.0.0.1:8180/hooks/shops")).await;
    assert_eq!(standings(&findings, "callback"), [Good, Warning], "the self-test is no callback");
    assert_eq!(standings(&findings, "callback_url"), [Warning]);
    wecom.callback_ms.store(480_000, Ordering::Relaxed);
    let findings = walk(&wecom, None).await;
    assert_eq!(standings(&findings, "callback"), [Good, Good]);
    assert!(findings.iter().any(|finding| finding.zh.contains("2 分钟前")), "{findings:?}");
    let deaf = platform.connect_with(&Clock::system(), &MemoryState::default(), |spec| {
        spec.secrets.retain(|secret| !secret.name.starts_with("callback"));
    });
    assert_eq!(standings(&walk(&deaf, None).await, "callback"), [Bad, Warning]);
}

#[tokio::test]
async fn robots_alone_need_no_app() {
    let platform = Platform::start(|_| refusal(40001)).await;
    let wecom = platform.connect_with(&Clock::system(), &MemoryState::default(), |spec| {
        spec.secrets.retain(|secret| secret.name.starts_with("robot:"));
    });
    let findings = walk(&wecom, None).await;
    assert_eq!(standings(&findings, "secret"), [Warning]);
    let robots = of(&findings, "robots", Warning);
    assert!(robots.zh.contains("watch"), "its key is no key: {}", robots.zh);
    assert_eq!(platform.count("gettoken"), 0);
}
