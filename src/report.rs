//! The daily report (日报): one page a region that says what happened, with pictures, in Chinese or English. Layer: pure core.
//!
//! Takes figures and returns a page that needs nothing else: no script, no font, no picture from elsewhere. Not for: getting
//! the figures (`api::reports`), or deciding when (`app::reports`).
//!
//! The charts are drawn here rather than by a crate: none that we know puts a title on every mark, and a figure that cannot
//! be read off exactly is no figure.

mod chart;
mod page;
#[cfg(test)]
mod tests;
mod words;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

pub use page::render;

/// When reports are made, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When those of the day before are made, by the clock of the directory's time zone; never when left out.
    pub daily_at: Option<Time>,
    /// In which languages.
    pub languages: Vec<Language>,
    /// Days for which they are kept.
    pub keep_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { daily_at: None, languages: vec![Language::Zh], keep_days: 90 }
    }
}

/// Language of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// 中文.
    #[default]
    Zh,
    /// English.
    En,
}

/// What a page is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The region's name; nothing for all groups.
    pub region: Option<String>,
    /// The day, as `2026-11-28`.
    pub date: String,
    /// When the figures were read, as people read it.
    pub as_of: String,
    /// Groups, and of these those whose messages can be seen.
    pub groups: u64,
    /// See `groups`.
    pub seen: u64,
    /// Since when a group cannot be seen that is not seen now, the earliest.
    pub dark_since: Option<String>,
    /// The day's figures, and those of the same weekday a week before.
    pub today: Day,
    /// See `today`.
    pub week_before: Day,
    /// Days up to this one, oldest first: the date, and the figures.
    pub days: Vec<(String, Day)>,
    /// Customers' messages of four weeks by weekday (Monday first) and hour; nothing where none can be seen, and in hours in
    /// which too few talk.
    pub heat: Option<Vec<Vec<Option<u64>>>>,
    /// Customers, each counted once.
    pub people: u64,
    /// Customers who are new that day.
    pub new_people: u64,
    /// Customers who are in no group any more.
    pub lost_people: u64,
    /// Customers who have long said nothing.
    pub silent: Option<u64>,
    /// Groups without a customer's message in a week.
    pub dormant: Option<u64>,
    /// Shop by shop.
    pub shops: Vec<Line>,
    /// The liveliest groups, and the quietest.
    pub top: Vec<Line>,
    /// See `top`.
    pub bottom: Vec<Line>,
    /// Business results by kind, those with the most first.
    pub outcomes: Vec<Outcome>,
    /// Words that more people said than usual, those that rose fastest first; nothing where none can be seen.
    pub words: Vec<Word>,
}

/// Business results of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Their kind, in the brand's word.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What they are worth, in the brand's unit.
    pub value: f64,
}

/// A word that more people said than usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Customers who said it.
    pub people: u64,
    /// So few to so many are usual.
    pub usual: (u64, u64),
}

/// Figures of a day; `None` is "cannot be seen".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Messages.
    pub messages: Option<u64>,
    /// Customers who spoke.
    pub active: Option<u64>,
    /// Customers who joined.
    pub joins: u64,
    /// Customers who left.
    pub leaves: u64,
    /// Of these, within a day after joining.
    pub early_leaves: u64,
    /// Members at its end.
    pub members: u64,
    /// Broadcasts that arrived, group by group.
    pub broadcasts: u64,
    /// Hits.
    pub hits: Option<u64>,
    /// Texts that were blocked.
    pub blocked: Option<u64>,
    /// Questions that no rule answered.
    pub questions: Option<u64>,
    /// Of these, questions that staff have not answered.
    pub unanswered: Option<u64>,
    /// Half of the answers came within so many seconds.
    pub first_reply_s: Option<u32>,
}

impl Day {
    /// Says whether anything at all was seen of it.
    fn is_known(&self) -> bool {
        self.messages.unwrap_or_default() > 0 || self.joins > 0 || self.leaves > 0
    }
}

/// A line of a table: a shop or a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Groups, of a shop.
    pub groups: u64,
    /// Its figures; nothing where too few people stand behind them.
    pub day: Option<Day>,
}
