//! What is unusual, in words for people: Chinese and English.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Basis, Usual};

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Customers who left.
    Leaves,
    /// Messages that a rule hit.
    Hits,
    /// Messages with negative words.
    NegativeWords,
    /// Sends that failed.
    SendFailures,
    /// Sends that nobody confirmed.
    UnconfirmedSends,
    /// Questions that nobody answered.
    UnansweredQuestions,
}

impl Counted {
    /// In Chinese: what happened, and the word that counts it; in English: many of it.
    pub(crate) fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Counted::Leaves => ("退群", "人", "leaves"),
            Counted::Hits => ("命中", "次", "hits"),
            Counted::NegativeWords => ("负面消息", "条", "negative messages"),
            Counted::SendFailures => ("发送失败", "次", "failed sends"),
            Counted::UnconfirmedSends => ("待确认发送", "条", "unconfirmed sends"),
            Counted::UnansweredQuestions => ("无人回复的问题", "个", "unanswered questions"),
        }
    }
}

/// A count with what would have been usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unusual {
    /// What was counted.
    pub counted: Counted,
    /// How many within the window.
    pub observed: u64,
    /// What is usual.
    pub usual: Usual,
}

impl Unusual {
    /// Says it in Chinese.
    pub fn zh(&self) -> impl fmt::Display {
        let Self { counted, observed, usual } = *self;
        let (what, unit, _) = counted.words();
        let (place, basis) = match usual.basis {
            Basis::SameHour { weeks, of } if weeks == of => ("这里这个时段", format!("近 {of} 周")),
            Basis::SameHour { weeks, of } => ("这里这个时段", format!("近 {of} 周中有数据的 {weeks} 周")),
            Basis::AnyHour { hours } => ("这里", format!("不分时段，{hours} 小时")),
            Basis::Peers { groups } => ("同类群这个时段", format!("{groups} 个群")),
        };
        let window = minutes_zh(usual.window_min);
        format!("{window}{what} {observed} {unit}；{place}平时 {} {unit}（{basis}）", range(&usual))
    }

    /// Says it in English.
    pub fn en(&self) -> impl fmt::Display {
        let Self { counted, observed, usual } = *self;
        let (_, _, what) = counted.words();
        let (place, basis) = match usual.basis {
            Basis::SameHour { weeks, of } if weeks == of => ("here at this hour", format!("last {of} weeks")),
            Basis::SameHour { weeks, of } => ("here at this hour", format!("{weeks} of the last {of} weeks")),
            Basis::AnyHour { hours } => ("here", format!("at any hour, {hours} hours seen")),
            Basis::Peers { groups } => ("in groups like this at this hour", format!("{groups} groups")),
        };
        let window = minutes_en(usual.window_min);
        format!("{observed} {what} in {window}; usual {place}: {} ({basis})", range(&usual))
    }
}

/// Says a time in Chinese.
pub(crate) fn minutes_zh(minutes: u32) -> String {
    match minutes {
        min if min > 0 && min.is_multiple_of(60) => format!("{} 小时", min / 60),
        min => format!("{min} 分钟"),
    }
}

/// Says a time in English.
pub(crate) fn minutes_en(minutes: u32) -> String {
    match minutes {
        min if min > 0 && min.is_multiple_of(60) => format!("{} h", min / 60),
        min => format!("{min} min"),
    }
}

fn range(usual: &Usual) -> String {
    if usual.low == usual.high { usual.high.to_string() } else { format!("{}–{}", usual.low, usual.high) }
}
