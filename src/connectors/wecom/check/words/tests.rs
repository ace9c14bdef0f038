//! What is said, for each way that a look can end.

use super::*;
use crate::connectors::offers::Standing::{Bad, Good, Skipped, Warning};

fn error(code: i64) -> ApiError {
    ApiError::refused(Api::GroupChatList, code, "as told")
}

#[track_caller]
fn says(finding: &Finding, standing: Standing, words: &str) {
    assert_eq!(finding.standing, standing, "{finding:?}");
    assert!(finding.zh.contains(words) && !finding.en.is_empty(), "{finding:?}");
}

#[test]
fn an_app_that_is_off_or_sees_nobody_is_told() {
    let agent = |json: &str| serde_json::from_str::<Agent>(json).unwrap();
    says(&app(None), Warning, "agent_id");
    says(&app(Some(&Ok(agent(r#"{"name":"门神","close":1}"#)))), Bad, "已停用");
    says(&app(Some(&Ok(agent(r#"{"name":"门神","close":0}"#)))), Good, "门神");
    says(&app(Some(&Err(error(40056)))), Bad, "AgentId");
    says(&visible_range(&agent("{}")), Bad, "可见范围为空");
    says(&visible_range(&agent(r#"{"allow_partys":{"partyid":[1,7]}}"#)), Good, "2 个部门");
    says(&visible_range(&agent(r#"{"allow_partys":{"partyid":[7]}}"#)), Warning, "不含根部门");
    says(&visible_range(&agent(r#"{"allow_userinfos":{"user":[{"userid":"lin"}]}}"#)), Warning, "1 名成员");
}

#[test]
fn whoever_hears_that_an_id_is_unknown_was_allowed_to_ask() {
    for code in [40035, 86003, 81017, 41070, 90501] {
        says(&permission(Family::Groups, Some(&error(code))), Good, "客户群");
    }
    for code in NOT_ALLOWED {
        says(&permission(Family::Groups, Some(&error(code))), Bad, "管理后台 → 客户与上下游");
    }
    says(&permission(Family::JoinWays, Some(&error(-1))), Skipped, "未能检查");
    let lost = ApiError::new(Api::GroupChatList, Code::Lost);
    says(&permission(Family::MassSends, Some(&lost)), Skipped, "群发");
    for family in Family::ALL {
        says(&permission(family, None), Good, "可以调用");
    }
}

#[test]
fn owners_who_left_and_rules_that_run_out_are_warned_of() {
    says(&contacts(Ok(&0)), Bad, "客户联系");
    says(&contacts(Ok(&3)), Good, "3 名成员");
    says(&contacts(Err(&error(48002))), Bad, "48002");
    says(&owners(Ok(&(0, false))), Good, "没有");
    says(&owners(Ok(&(1_000, true))), Warning, "1000+ 个");
    says(&owners(Err(&error(81017))), Skipped, "1000 人");
    says(&intercept_rules(Ok(&89)), Good, "89 / 100");
    says(&intercept_rules(Ok(&90)), Warning, "90 / 100");
    says(&receiving_cap(ReceivingCap::OnceADay), Good, "每天 1 次");
}

#[test]
fn callbacks_prove_themselves() {
    says(&callback_keys(Ok(0)), Bad, "设置API接收");
    says(&callback_keys(Ok(2)), Good, "2 组");
    says(&callback_keys(Err("bad_signature")), Bad, "bad_signature");
    says(&callback_seen(None, 0), Warning, "尚未收到");
    says(&callback_seen(Some(0), 150_000), Good, "2 分钟");
    says(&callback_seen(Some(150_000), 0), Good, "0 分钟");
    for url in
        ["http://127.0.0.1:8180/hooks/a", "http://localhost/hooks/a", "https://10.0.0.7/x", "http://[::1]/x"]
    {
        says(&callback_url(url).unwrap(), Warning, "公网");
    }
    assert_eq!(callback_url("https://shops.example.com/hooks/a"), None);
}

#[test]
fn robots_are_told_by_name() {
    says(&robots(&[], &[]), Good, "没有配置");
    says(&robots(&["a", "b"], &["b"]), Warning, "机器人 b ");
    says(&robots(&["a", "b"], &[]), Good, "2 个");
}

#[test]
fn the_first_call_tells_of_secret_corp_and_address() {
    let begun = |code: i64, api: Api| {
        let findings = begin(&Begin::Failed(ApiError::refused(api, code, "as told")));
        findings.iter().map(|finding| (finding.subject.clone(), finding.standing)).collect::<Vec<_>>()
    };
    let expect = |pairs: &[(&str, Standing)]| {
        pairs.iter().map(|(subject, standing)| ((*subject).to_owned(), *standing)).collect::<Vec<_>>()
    };
    let stopped = expect(&[("secret", Bad), ("trusted_ip", Skipped)]);
    assert_eq!(begun(40001, Api::GetToken), stopped);
    assert_eq!(
        begun(40013, Api::GetToken),
        expect(&[("corp_id", Bad), ("secret", Skipped), ("trusted_ip", Skipped)])
    );
    for api in [Api::GetToken, Api::CallbackIps] {
        assert_eq!(begun(60020, api), expect(&[("secret", Good), ("trusted_ip", Bad)]));
        assert_eq!(begun(50003, api), expect(&[("secret", Good), ("app", Bad)]));
    }
    let unreached = begin(&Begin::Failed(ApiError::new(Api::GetToken, Code::Connect)));
    says(&unreached[0], Bad, "无法连接");
    assert_eq!(begin(&Begin::Works).len(), 2);
}
