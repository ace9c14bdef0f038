//! What the product promises for one group, and what it cannot promise there: in the words of those who run shops.
//!
//! Pure: what the platform can do and what is known of the group go in, sentences come out. A flag of [`Capabilities`] is
//! for programs; a person needs to know what follows from it and what to do instead. Every flag shapes at least one
//! sentence, and every sentence names the source of the fact it rests on.
//!
//! Not for: finding the facts out (`api` asks its neighbours), nor what an account may do over all its groups.

mod acting;
mod joining;
mod seeing;

use serde::Serialize;

use super::{Capabilities, CapabilitySource, Trouble};

/// Whether a promise is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// As one would expect.
    Yes,
    /// With the limits the sentence names.
    Partly,
    /// Not in this group.
    No,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromiseName {
    /// 实时守护: nothing of the group is missed.
    Protection,
    /// 发出前拦截: a listed word is stopped before anybody reads it.
    BlockBefore,
    /// 违规识别: every message is judged.
    Judging,
    /// 撤回.
    Recall,
    /// 禁言.
    Mute,
    /// 移出.
    Remove,
    /// 防刷屏与同一广告多群.
    Conduct,
    /// 员工违规词拦截: listed words in what staff send.
    StaffInterception,
    /// 主动发言: we say something in the group at once.
    Posting,
    /// 图文内容: more than text.
    RichContent,
    /// 群发.
    Broadcast,
    /// 关键词自动回复.
    KeywordReplies,
    /// 入群欢迎语.
    GroupWelcome,
    /// 新客欢迎语: who adds a member of staff is greeted one to one.
    ContactWelcome,
    /// 店员通知: staff are told something.
    StaffNotices,
    /// 成员名单.
    Roster,
    /// 入群退群统计.
    JoinsAndLeaves,
    /// 消息统计.
    MessageNumbers,
}

/// One promise with what became of it in this group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What is promised.
    pub name: PromiseName,
    /// Whether it is kept.
    pub kept: Kept,
    /// Since when it has been like that, where that is known, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// What it is called, in Chinese.
    pub title_zh: &'static str,
    /// In plain Chinese: whether, why, and what to do instead.
    pub zh: String,
    /// The same in English.
    pub en: String,
    /// Where the fact behind it is from.
    pub source: String,
}

/// What is known of one group.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What the platform can do in this group.
    pub capabilities: Capabilities,
    /// Where each flag is from.
    pub sources: &'a [CapabilitySource],
    /// What keeps the gateway from seeing what happens, if something does.
    pub unprotected: Option<Trouble>,
    /// Who owns the group on the platform, if that is known.
    pub owner: Option<&'a str>,
    /// Who greets newcomers where we cannot speak.
    pub greeting: Greeting<'a>,
    /// What the platform itself stops in what staff send.
    pub staff_words: StaffWords,
    /// Staff can be reached one to one.
    pub reaches_staff: bool,
    /// Internal groups of the account that a robot of ours sits in.
    pub robots: usize,
}

/// The platform's own greeting of newcomers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting<'a> {
    /// The platform has no library of welcome templates.
    NoLibrary,
    /// It has one, and no template is planned for this group.
    Unplanned,
    /// This template is planned, and nobody said that the owner has switched it on.
    ToDo(&'a str),
    /// Somebody said at this time that the owner has switched this template on.
    Marked(&'a str, i64),
}

/// The platform's own interception of what staff send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaffWords {
    /// The platform has none.
    NotOffered,
    /// It has one, and no word was handed to it.
    Nothing,
    /// Words the platform stops by itself.
    Pushed {
        /// How many.
        words: usize,
        /// Words that do not fit.
        left_out: usize,
        /// Since when they are as they are, in milliseconds since the epoch.
        since_ms: i64,
    },
}

/// Says every promise, in the order in which a person would ask.
pub fn promises(facts: &Facts<'_>) -> Vec<Promise> {
    vec![
        seeing::protection(facts),
        seeing::block_before(facts),
        seeing::judging(facts),
        acting::recall(facts),
        acting::mute(facts),
        acting::remove(facts),
        seeing::conduct(facts),
        acting::staff_interception(facts),
        acting::posting(facts),
        acting::rich_content(facts),
        acting::broadcast(facts),
        joining::keyword_replies(facts),
        joining::group_welcome(facts),
        joining::contact_welcome(facts),
        acting::staff_notices(facts),
        seeing::roster(facts),
        seeing::joins_and_leaves(facts),
        seeing::message_numbers(facts),
    ]
}

impl Facts<'_> {
    /// Begins a promise that rests on a flag.
    fn promise(&self, name: PromiseName, title_zh: &'static str, flag: &str) -> Draft {
        let source = self.sources.iter().find(|source| source.flag == flag);
        let source = source.map_or_else(|| flag.to_owned(), |source| format!("{flag}: {}", source.source));
        Draft { name, title_zh, source }
    }
}

/// Begins a promise that rests on no flag.
fn own(name: PromiseName, title_zh: &'static str, source: &str) -> Draft {
    Draft { name, title_zh, source: source.to_owned() }
}

/// A promise without its verdict.
struct Draft {
    name: PromiseName,
    title_zh: &'static str,
    source: String,
}

impl Draft {
    fn say(self, kept: Kept, zh: impl Into<String>, en: impl Into<String>) -> Promise {
        let Self { name, title_zh, source } = self;
        Promise { name, kept, since_ms: None, title_zh, zh: zh.into(), en: en.into(), source }
    }
}

impl Promise {
    /// Says since when, where it is known.
    fn since(mut self, since_ms: i64) -> Self {
        self.since_ms = (since_ms > 0).then_some(since_ms);
        self
    }
}

#[cfg(test)]
mod tests;
