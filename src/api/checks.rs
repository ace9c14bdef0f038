//! `POST /v1/accounts/{account}/check`: walks through an account and says what is wrong and where to click.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Strict};
use super::connector_spec;
use super::error::{ApiError, ApiResult};
use super::state::Cx;
use crate::connectors::Connector;
use crate::connectors::offers::{Finding, Standing};
use crate::storage::{AuditEntry, Change};

/// What helps the check.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckIn {
    /// Our address as the platform has it, `https://gw.example.com/hooks/{account}`; compared with what arrives.
    #[serde(default)]
    callback_url: Option<String>,
}

/// What a check found.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    /// The account.
    account: String,
    /// Its platform.
    platform: String,
    /// Nothing is bad.
    passed: bool,
    /// What was looked at, in the order in which one would set it up.
    findings: Vec<Finding>,
}

/// Checks an account 检查账号
///
/// Asks the platform about everything that can be asked about without sending anybody anything.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/check", tag = "directory", operation_id = "checkAccount",
    params(("account" = String, Path, description = "Its id")),
    request_body = CheckIn,
    responses((status = 200, description = "What was found", body = Checked)),
)]
pub(super) async fn check(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<CheckIn>,
) -> ApiResult<Answer<Checked>> {
    let account = cx.directory().account_in(cx.scope(), &id)?;
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "check", "account", &id).at(&account.place);
    cx.storage().apply(Change { at_ms: cx.now_ms(), audit: vec![audit], ..Change::default() }).await?;
    let mut findings = vec![connected(&cx, &id)?];
    if let Some(connector) = cx.connectors().get(&id) {
        findings.extend(walk(connector, asked.callback_url.as_deref()).await);
    }
    let passed = findings.iter().all(|finding| finding.standing != Standing::Bad);
    Ok(Answer::ok(Checked { account: id, platform: account.record.platform.clone(), passed, findings }))
}

/// Says whether the account can be connected at all.
fn connected(cx: &Cx, id: &str) -> ApiResult<Finding> {
    let account = cx.directory().account(id).ok_or_else(|| ApiError::not_found("account"))?;
    let finding =
        |standing, zh: String, en: String| Finding { subject: "settings".to_owned(), standing, zh, en };
    if account.record.disabled {
        let zh = "账号已停用:修改账号,把 disabled 改为 false".to_owned();
        return Ok(finding(
            Standing::Bad,
            zh,
            "the account is disabled: write it with `disabled: false`".to_owned(),
        ));
    }
    let spec = cx.directory().account_spec(id)?;
    Ok(match cx.connectors().build(&connector_spec(&spec)) {
        Ok(_) => finding(Standing::Good, "设置完整".to_owned(), "the settings are complete".to_owned()),
        Err(error) => {
            finding(Standing::Bad, format!("设置有误:{error}"), format!("the settings are wrong: {error}"))
        }
    })
}

async fn walk(connector: Arc<dyn Connector>, callback_url: Option<&str>) -> Vec<Finding> {
    let Some(check) = connector.self_check() else {
        return vec![Finding {
            subject: "platform".to_owned(),
            standing: Standing::Skipped,
            zh: "这个平台没有可查询的项目".to_owned(),
            en: "this platform has nothing that can be asked about".to_owned(),
        }];
    };
    let findings = Mutex::new(Vec::new());
    check.check(callback_url, &|finding| findings.lock().push(finding)).await;
    findings.into_inner()
}
