//! `/v1/accounts/{account}/interception`: what a platform itself stops in what staff send, and how that stands.

use serde::Serialize;

use super::body::{Answer, Path};
use super::duty::FailureView;
use super::error::ApiResult;
use super::moment;
use super::state::Cx;
use crate::connectors::promises;
use crate::duties::staff_words::StaffWords;
use crate::interception::pushdown::{Drift, LeftOut, Rule};

/// What a platform stops by itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct InterceptionView {
    /// How it stands.
    standing: Standing,
    /// The same in plain Chinese, with what to do.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
    /// Rules of ours on the platform.
    rules: Vec<Rule>,
    /// Words in them.
    words: usize,
    /// Words that do not fit the platform, at most 1,000 of them.
    left_out: Vec<LeftOut>,
    /// How many do not fit.
    left_out_words: usize,
    /// Rules there that are not ours: never touched, and they leave us less room.
    foreign_rules: usize,
    /// When it was compared with the platform last.
    compared_at: Option<String>,
    /// When we changed something there last.
    changed_at: Option<String>,
    /// What somebody else changed, when it was last noticed; it was repaired then.
    last_drift: Option<DriftView>,
    /// What the platform refused the last time.
    failures: Vec<RuleFailure>,
    /// Where hits are: nowhere.
    hits: HitsNote,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// The platform has no word rules for staff, or the account is not connected.
    NotOffered,
    /// No policy hands anything over.
    Nothing,
    /// The platform has what our policies hand over, but for words that do not fit.
    InStep,
    /// The platform refused something.
    Refused,
}

impl Standing {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Standing::NotOffered => (
                "这个平台没有员工敏感词接口，或账号没有连接。",
                "The platform has no word rules for staff, or the account is not connected.",
            ),
            Standing::Nothing => (
                "还没有下发词。在策略里写上 push_down：账号，以及部门或员工。",
                "Nothing is handed over: add `push_down` with this account and departments or staff to a policy.",
            ),
            Standing::InStep => (
                "平台上的规则与策略一致；每小时核对一次，被人改动会自动恢复。",
                "The platform's rules are those of our policies; they are compared every hour, and changes are undone.",
            ),
            Standing::Refused => (
                "平台拒绝了部分规则，原因和处理办法见 failures；稍后会自动重试。",
                "The platform refused something: `failures` says why and what to do; it is tried again.",
            ),
        }
    }
}

/// What somebody else changed.
#[derive(Serialize, utoipa::ToSchema)]
struct DriftView {
    /// When it was noticed.
    at: String,
    /// What.
    rules: Vec<Drift>,
}

/// A refusal about one rule.
#[derive(Serialize, utoipa::ToSchema)]
struct RuleFailure {
    /// The rule; empty for all of them.
    rule: String,
    /// Why.
    #[serde(flatten)]
    failure: FailureView,
}

/// Why there are no hits.
#[derive(Serialize, utoipa::ToSchema)]
struct HitsNote {
    /// Always `not_reported`.
    standing: &'static str,
    /// In plain Chinese.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
}

const HITS: HitsNote = HitsNote {
    standing: "not_reported",
    zh: "平台只拦截、不回报命中：谁在什么时候被拦，只能在平台的管理后台看。",
    en: "The platform stops messages and reports no hits: who was stopped, and when, is in its own console only.",
};

/// Shows what a platform stops in what staff send 员工违规词下发情况
///
/// Policies with `push_down` hand their terms to the platform, which stops or warns staff by itself. It matches words as
/// written only.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/interception", tag = "rules", operation_id = "getInterception",
    params(("account" = String, Path, description = "Its id")),
    responses((status = 200, description = "Rules, words, what does not fit, what was changed by others", body = InterceptionView)),
)]
pub(super) async fn get(cx: Cx, Path(account): Path<String>) -> ApiResult<Answer<InterceptionView>> {
    cx.directory().account_in(cx.scope(), &account)?;
    let record = StaffWords::of(&**cx.storage(), &account).await?;
    let standing = match cx.connectors().get(&account) {
        Some(connector) if connector.staff_interception().is_some() => standing_of(&record),
        Some(_) | None => Standing::NotOffered,
    };
    let (zh, en) = standing.words();
    Ok(Answer::ok(InterceptionView {
        standing,
        zh,
        en,
        words: record.words(),
        rules: record.handed.into_iter().map(|handed| handed.rule).collect(),
        left_out: record.left_out,
        left_out_words: record.left_out_words,
        foreign_rules: record.foreign_rules,
        compared_at: moment::show_set(record.compared_ms),
        changed_at: moment::show_set(record.changed_ms),
        last_drift: record
            .last_drift
            .map(|drift| DriftView { at: moment::show(drift.at_ms), rules: drift.rules }),
        failures: record
            .failures
            .into_iter()
            .map(|(rule, failure)| RuleFailure { rule, failure: failure.into() })
            .collect(),
        hits: HITS,
    }))
}

fn standing_of(record: &StaffWords) -> Standing {
    match (record.failures.is_empty(), record.handed.is_empty() && record.left_out_words == 0) {
        (false, _) => Standing::Refused,
        (true, true) => Standing::Nothing,
        (true, false) => Standing::InStep,
    }
}

/// Says the same as a fact of a group's promises.
pub(super) async fn fact(cx: &Cx, account: &str) -> ApiResult<promises::StaffWords> {
    let record = StaffWords::of(&**cx.storage(), account).await?;
    Ok(match record.words() {
        0 => promises::StaffWords::Nothing,
        words => promises::StaffWords::Pushed {
            words,
            left_out: record.left_out_words,
            since_ms: record.changed_ms,
        },
    })
}
