//! What people read of alerts: what happened, why it is an alert, what to do. Chinese and English; ids and counts only.

use super::baseline::{Counted, Unusual, minutes_en, minutes_zh};
use super::episode::{Explanation, Kind, Level};

/// Returns what a kind is called, in Chinese and English.
pub fn title(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::LeaveSurge => ("退群激增", "leave surge"),
        Kind::HitSpike => ("违规命中激增", "hit spike"),
        Kind::NegativeWords => ("负面消息集中", "many negative messages"),
        Kind::DeadGroup => ("沉寂群", "dead group"),
        Kind::GroupNearlyFull => ("群即将满员", "group nearly full"),
        Kind::SilentCallback => ("回调静默，未受保护", "silent callback: not protected"),
        Kind::SendFailures => ("发送失败增多", "sends fail"),
        Kind::UnconfirmedSends => ("群发任务迟迟未确认", "sends wait for confirmation"),
        Kind::UnansweredQuestions => ("顾客提问无人回复", "unanswered questions"),
        Kind::RuleOutOfBand => ("规则命中率异常", "rule out of its band"),
    }
}

/// Returns what to do about a kind.
pub fn todo(kind: Kind) -> Explanation {
    let (zh, en) = match kind {
        Kind::LeaveSurge => (
            "查看群里最近的消息和群发，暂停对该群的群发，由店长在群里说明或安抚",
            "look at the latest messages and broadcasts, pause broadcasts to the group, have the manager speak to it",
        ),
        Kind::HitSpike => (
            "打开该群的命中记录核对：属广告或骚扰则按案件处置，属误判则调整词库或加放行短语",
            "check the group's hits: act on the case if it is an advert or abuse, else correct the wordlist",
        ),
        Kind::NegativeWords => (
            "由店长尽快在群里回应并私下跟进，避免扩散",
            "have the manager answer in the group soon and follow up one to one",
        ),
        Kind::DeadGroup => (
            "安排一次互动或福利；长期无人发言的群可合并或停止群发",
            "plan something that brings talk; merge the group, or stop broadcasts to it, if nobody speaks for long",
        ),
        Kind::GroupNearlyFull => {
            ("新建一个群，并更换入群活码指向新群", "make a new group and let the ways in lead to it")
        }
        Kind::SilentCallback => (
            "检查平台后台的回调地址、应用权限和网络；恢复后系统会自动核对期间的变动",
            "check the callback address, the app's rights and the network; what was missed is compared by itself afterwards",
        ),
        Kind::SendFailures => (
            "查看死信的错误码（GET /v1/dead-letters），处理后重发；必要时先停止外发",
            "look at the codes of the dead letters (GET /v1/dead-letters), replay them once the cause is gone",
        ),
        Kind::UnconfirmedSends => (
            "提醒群主在手机上确认群发任务（POST /v1/broadcasts/{broadcast}/remind）",
            "remind the owners to confirm on their phones (POST /v1/broadcasts/{broadcast}/remind)",
        ),
        Kind::UnansweredQuestions => (
            "请店长或值班同事到群里回复；常见问题可加关键词自动回复（GET /v1/questions）",
            "have the manager or whoever is on duty answer; common questions can have a reply rule (GET /v1/questions)",
        ),
        Kind::RuleOutOfBand => (
            "核对该词库最近的命中，误判多则退回试运行",
            "look at the list's latest hits; put it back into shadow where they are wrong",
        ),
    };
    Explanation { zh: zh.to_owned(), en: en.to_owned() }
}

/// Returns how a level is called, in Chinese and English.
pub(super) fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ShopManager => ("店长", "shop manager"),
        Level::Deputy => ("副店长", "deputy"),
        Level::Region => ("大区负责人", "region"),
        Level::HeadOffice => ("总部", "head office"),
    }
}

pub(super) fn unusual(unusual: &Unusual) -> Explanation {
    Explanation { zh: unusual.zh().to_string(), en: unusual.en().to_string() }
}

/// A count where nothing usual is known, or is asked for.
pub(super) fn over(counted: Counted, observed: u64, window_min: u32, threshold: u64) -> Explanation {
    let (what, unit, many) = counted.words();
    let (zh, en) = (minutes_zh(window_min), minutes_en(window_min));
    Explanation {
        zh: format!("{zh}{what} {observed} {unit}（达到 {threshold} {unit}即预警）"),
        en: format!("{observed} {many} in {en} (told from {threshold} on)"),
    }
}

/// A count where what is usual is not known yet.
pub(super) fn unknown_usual(counted: Counted, observed: u64, window_min: u32, threshold: u64) -> Explanation {
    let (what, unit, many) = counted.words();
    let (zh, en) = (minutes_zh(window_min), minutes_en(window_min));
    Explanation {
        zh: format!(
            "{zh}{what} {observed} {unit}；这里平时多少尚无足够数据，暂按达到 {threshold} {unit}预警"
        ),
        en: format!(
            "{observed} {many} in {en}; what is usual here is not known yet, so told from {threshold} on"
        ),
    }
}

pub(super) fn dead(days: u64) -> Explanation {
    Explanation {
        zh: format!("{days} 天没有顾客发言"),
        en: format!("no message of a customer in {days} days"),
    }
}

pub(super) fn nearly_full(members: u64, max: u64) -> Explanation {
    Explanation {
        zh: format!("群内 {members} 人，上限 {max} 人"), en: format!("{members} of {max} members")
    }
}

/// Nobody watches an account: since a time of day, and why.
pub(super) fn silent(since: &str, zh: &str, en: &str) -> Explanation {
    Explanation {
        zh: format!("未受保护，自 {since} 起：{zh}"),
        en: format!("not protected since {since}: {en}"),
    }
}

/// In an account nothing happens where something always did: why, in Chinese and English.
pub(super) fn mute(least: u64, weeks: usize) -> (String, String) {
    (
        format!("一小时没有收到任何事件，过去 {weeks} 周同一时段至少有 {least} 个"),
        format!("no event in an hour in which there were {least} at least in {weeks} of the last weeks"),
    )
}

/// Something in a group could not be followed.
pub(super) fn gap(since: &str) -> Explanation {
    Explanation {
        zh: format!("自 {since} 起该群有变动无法核对"),
        en: format!("a change in the group since {since} could not be followed"),
    }
}

pub(super) fn unconfirmed(count: u64, window_min: u32) -> Explanation {
    let (zh, en) = (minutes_zh(window_min), minutes_en(window_min));
    Explanation {
        zh: format!("{count} 条发送超过{zh}仍未确认"),
        en: format!("{count} sends wait for a person's confirmation for more than {en}"),
    }
}

/// The roll-out of a wordlist was halted.
pub(super) fn halted(hit: u64, messages: u64) -> Explanation {
    Explanation {
        zh: format!("灰度已自动停止：{messages} 条消息中命中 {hit} 条，超出预期"),
        en: format!("its roll-out was halted: {hit} of {messages} messages hit, which was not expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_words_in_both_languages() {
        for kind in Kind::ALL {
            let (zh, en) = title(kind);
            let todo = todo(kind);
            for text in [zh, &todo.zh] {
                assert!(text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c)), "{text}");
            }
            assert!(en.is_ascii() && todo.en.is_ascii(), "{en}");
        }
        let said = unknown_usual(Counted::Leaves, 18, 10, 15);
        assert_eq!(said.zh, "10 分钟退群 18 人；这里平时多少尚无足够数据，暂按达到 15 人预警");
        assert_eq!(said.en, "18 leaves in 10 min; what is usual here is not known yet, so told from 15 on");
        assert_eq!(over(Counted::SendFailures, 20, 60, 20).en, "20 failed sends in 1 h (told from 20 on)");
    }
}
