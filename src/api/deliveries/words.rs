//! What a delivery waits for in words, Chinese and English. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::waits::WaitView;
use crate::broadcasts::TargetWait;
use crate::outbox::why::{ShortOf, Wait};
use crate::storage::{DeliveryRow, DeliveryState};

/// The same in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Words {
    /// Chinese.
    pub(super) zh: String,
    /// English.
    pub(super) en: String,
}

/// How things are said: by the group's own clock.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) zone: &'a TimeZone,
}

impl Said<'_> {
    fn clock(&self, ms: i64) -> String {
        let time = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(self.zone.clone());
        time.strftime("%m-%d %H:%M:%S").to_string()
    }

    /// Returns `，最早 …` and `, not before …`, or nothing.
    fn until(&self, ms: Option<i64>) -> (String, String) {
        ms.map(|ms| self.clock(ms))
            .map_or_else(Default::default, |at| (format!("，最早 {at}"), format!(", not before {at}")))
    }
}

fn words(zh: impl Into<String>, en: impl Into<String>) -> Words {
    Words { zh: zh.into(), en: en.into() }
}

/// Says what a broadcast keeps its target for.
pub(super) fn of_target(wait: &TargetWait, said: &Said<'_>) -> Words {
    match wait {
        TargetWait::Draft => {
            words("群发还是草稿，尚未提交", "the broadcast is a draft and was not submitted")
        }
        TargetWait::Approval => {
            words("群发等待另一位操作员批准", "the broadcast waits for another operator's approval")
        }
        TargetWait::Scheduled { until_ms } => {
            let at = said.clock(*until_ms);
            words(format!("群发定于 {at} 开始"), format!("the broadcast is to start at {at}"))
        }
        TargetWait::Hours { until_ms } => {
            let at = said.clock(*until_ms);
            words(
                format!("不在发送时段内，{at} 起发送"),
                format!("it is outside the hours of sending; its hour comes at {at}"),
            )
        }
        TargetWait::NoHours => words(
            "发送时段不会再打开，请修改或取消群发",
            "its hours of sending never open again; change them, or cancel the broadcast",
        ),
        TargetWait::Canary { until_ms: None } => words(
            "先发的群还没有全部发完，观察之后才轮到它",
            "a few groups are tried first and have not all been sent to; it follows once they were watched",
        ),
        TargetWait::Canary { until_ms: Some(until_ms) } => {
            let at = said.clock(*until_ms);
            words(
                format!("先发的群观察到 {at}，之后才轮到它"),
                format!("a few groups are tried first and are watched until {at}; it follows after them"),
            )
        }
        TargetWait::Stopped { reason } => words(
            format!("试发不理想，群发已自动停止，请人工决定：{reason}"),
            format!(
                "the broadcast stopped by itself as its first groups went badly; somebody must decide: {reason}"
            ),
        ),
        TargetWait::Paused { reason } if reason.is_empty() => words("群发已暂停", "the broadcast is paused"),
        TargetWait::Paused { reason } => {
            words(format!("群发已暂停：{reason}"), format!("the broadcast is paused: {reason}"))
        }
        TargetWait::Cancelled => words(
            "群发已取消，此目标即将作废",
            "the broadcast was cancelled; this target is about to be called off",
        ),
        TargetWait::Bundling => {
            words("正在按群主合并成群发任务", "targets are being put together into tasks of their owners")
        }
        TargetWait::Task(_) => words("群主的群发任务尚未建立", "the owner's task was not made yet"),
        TargetWait::Confirmation { owner, since_ms, reminded_ms, .. } => {
            let (since, times) = (said.clock(*since_ms), reminded_ms.len());
            words(
                format!("等待 {owner} 在平台上确认发送，自 {since} 起，已提醒 {times} 次"),
                format!("{owner} must confirm it on the platform, since {since}; reminded {times} times"),
            )
        }
    }
}

/// Says what a lane keeps a delivery for.
pub(super) fn of_lane(wait: &Wait, said: &Said<'_>) -> Words {
    of_account(wait, said).or_else(|| of_place(wait, said)).unwrap_or_default()
}

/// Says what stops it with others: a person, or its account.
fn of_account(wait: &Wait, said: &Said<'_>) -> Option<Words> {
    Some(match wait {
        Wait::Held(hold) => {
            let (zh, en) = hold.until_ms.map(|ms| said.clock(ms)).map_or_else(
                || ("直到有人解除".to_owned(), "until somebody lifts it".to_owned()),
                |at| (format!("到 {at} 为止"), format!("until {at}")),
            );
            let (by, scope, reason) = (&hold.by, &hold.scope, &hold.reason);
            words(
                format!("{by} 停发了 {scope}，{zh}：{reason}"),
                format!("{by} stopped {scope} {en}: {reason}"),
            )
        }
        Wait::NoConnector => words("账号未接入或已停用", "the account is not connected, or disabled"),
        Wait::Fenced => words("账号由另一台网关负责", "another gateway owns the account"),
        Wait::LedgerFailed { until_ms } => {
            let (zh, en) = said.until(*until_ms);
            words(
                format!("账本写入失败，记不下就不发{zh}"),
                format!("the ledger fails, and what cannot be recorded is not sent{en}"),
            )
        }
        Wait::ReadingPastCalls => words(
            "正在读取重启前的发送记录，以免超限",
            "the calls before the restart are being read, so that no limit is exceeded",
        ),
        Wait::CircuitOpen { until_ms } => {
            let (zh, en) = said.until(*until_ms);
            words(
                format!("平台接口大多失败，已暂停调用{zh}再试一条"),
                format!("most calls to the platform failed, so none are made{en}; then one is tried"),
            )
        }
        Wait::CallsUnderWay { max } => words(
            format!("同时进行的调用已达上限 {max} 个"),
            format!("{max} calls are under way, as many as may be"),
        ),
        Wait::Stopping => {
            words("网关正在停止，重启后继续", "the gateway stops; it goes on after the restart")
        }
        Wait::Retry { .. }
        | Wait::Limit { .. }
        | Wait::SameGroup
        | Wait::InOrder
        | Wait::Turn { .. }
        | Wait::NotRead
        | Wait::Calling
        | Wait::Recording
        | Wait::Asking { .. }
        | Wait::Person
        | Wait::Busy => return None,
    })
}

/// Says what it waits for by itself.
fn of_place(wait: &Wait, said: &Said<'_>) -> Option<Words> {
    Some(match wait {
        Wait::Retry { until_ms } => {
            let at = said.clock(*until_ms);
            words(
                format!("上次未成功，{at} 重试"),
                format!("the last call was refused; it is tried again at {at}"),
            )
        }
        Wait::Limit { level, limit, until_ms } => limit_words(*level, limit.as_deref(), *until_ms, said),
        Wait::SameGroup => words("同一群正有一条在发送", "something else is being sent to its group"),
        Wait::InOrder => words(
            "同一群里前一条正在重试，保持顺序",
            "what comes before it in its group is tried again first",
        ),
        Wait::Turn { ahead } => {
            words(format!("排队中，前面还有 {ahead} 条"), format!("it waits for its turn; {ahead} go first"))
        }
        Wait::NotRead => words(
            "在账本中排队，前面的发出后读入",
            "it is in the ledger and is read when those before it have left",
        ),
        Wait::Calling => words("正在调用平台", "the platform is being called"),
        Wait::Recording => words("正在记账", "it is being written down"),
        Wait::Asking { until_ms } => {
            let (zh, en) = said.until(*until_ms);
            words(
                format!("不确定是否已发出，正在向平台查证{zh}"),
                format!("nobody knows whether it was sent; the platform is asked{en}"),
            )
        }
        Wait::Person => words(
            "不确定是否已发出，平台也查不到：请人工核实并声明已发或未发",
            "nobody knows whether it was sent, and the platform cannot say: have a look and declare it sent or not sent",
        ),
        Wait::Busy => {
            words("通道繁忙，没有及时答复，请再问一次", "the lane did not answer in time; ask again")
        }
        Wait::Held(_)
        | Wait::NoConnector
        | Wait::Fenced
        | Wait::LedgerFailed { .. }
        | Wait::ReadingPastCalls
        | Wait::CircuitOpen { .. }
        | Wait::CallsUnderWay { .. }
        | Wait::Stopping => return None,
    })
}

fn limit_words(level: ShortOf, limit: Option<&str>, until_ms: Option<i64>, said: &Said<'_>) -> Words {
    let (whose_zh, whose_en) = match level {
        ShortOf::Account => ("账号", "the account"),
        ShortOf::Class => ("此类群", "this class of groups"),
        ShortOf::Group => ("此群", "this group"),
        ShortOf::App => ("应用（多个账号共用）", "the application that several accounts use"),
        ShortOf::Corp => ("企业（多个账号共用）", "the company with several accounts"),
    };
    let (zh, en) = until_ms.map(|ms| said.clock(ms)).map_or_else(
        || ("待一次调用结束".to_owned(), "until a call has ended".to_owned()),
        |at| (format!("{at} 起可发"), format!("until {at}")),
    );
    match limit {
        Some(limit) => words(
            format!("{whose_zh}的频率上限 {limit} 已用满，{zh}"),
            format!("the limit {limit} of {whose_en} has no room {en}"),
        ),
        None => words(
            format!("平台要求{whose_zh}暂停发送，{zh}"),
            format!("the platform asked {whose_en} for silence {en}"),
        ),
    }
}

/// Says in one sentence where a delivery stands.
pub(super) fn summary(row: &DeliveryRow, waits: &[WaitView]) -> Words {
    let code = if row.code.is_empty() { "-" } else { row.code.as_str() };
    match row.state {
        DeliveryState::Sent => words("已发送", "sent"),
        DeliveryState::Failed => words(format!("已放弃：{code}"), format!("given up: {code}")),
        DeliveryState::Cancelled => words("已取消", "called off"),
        DeliveryState::Expired => words(format!("已过期：{code}"), format!("expired: {code}")),
        DeliveryState::Pending
        | DeliveryState::Sending
        | DeliveryState::AwaitingConfirmation
        | DeliveryState::Uncertain => {
            let first = waits.first().map(|wait| wait.words.clone());
            first.unwrap_or_else(|| words("即将发送", "about to be sent"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_with_its_level_and_the_groups_own_clock() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let said = Said { zone: &zone };
        let wait = |level, limit: Option<&str>, until_ms| {
            of_lane(&Wait::Limit { level, limit: limit.map(str::to_owned), until_ms }, &said)
        };
        let group = wait(ShortOf::Group, Some("window:20/m"), Some(1_795_312_800_000));
        assert_eq!(group.zh, "此群的频率上限 window:20/m 已用满，11-22 10:00:00 起可发");
        assert_eq!(group.en, "the limit window:20/m of this group has no room until 11-22 10:00:00");
        let quiet = wait(ShortOf::Account, None, None);
        assert_eq!(quiet.zh, "平台要求账号暂停发送，待一次调用结束");
    }
}
