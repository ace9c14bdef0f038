//! Customers' questions that nobody answers (未回复的问题): which message looks like one, who answers it, which are alike.
//!
//! [`looks_like`] and [`gist`] read a folded text while it is there; from then on a question is ids, a moment and a keyed
//! sketch. [`Talks`] says which were not answered in time, [`clusters`] which ask the same, [`draft`] which keyword would
//! have caught them.
//!
//! Pure. Not for: answering (`replies`), telling staff (`alerts`), keeping texts (`evidence`).

pub mod clusters;
pub mod draft;
mod lately;
mod talks;
#[cfg(test)]
mod tests;
mod waits;

use std::sync::LazyLock;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use lately::{Lately, SaidBefore};
pub use talks::{Asked, Limits, Talks};
pub use waits::{Waits, is_staff};

/// Longest wait for an answer: the journal must still hold the question after a closed night.
pub const WAIT_MAX: Duration = Duration::from_hours(12);

/// What counts as a question, how long it may wait, and for how long those that did are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Questions are looked for.
    pub enabled: bool,
    /// How long a question may wait for an answer, in the shop's open hours where they are known.
    #[serde(serialize_with = "crate::units::duration::serialize", deserialize_with = "wait")]
    pub wait: Duration,
    /// Shorter messages are no questions, in folded characters.
    pub chars_min: usize,
    /// The text of every question is kept as evidence, whatever policies say.
    pub keep_text: bool,
    /// How long questions without an answer are listed.
    #[serde(with = "crate::units::duration")]
    pub keep: Duration,
    /// Most of them; beyond it the oldest go.
    pub kept_max: usize,
    /// Most that one report looks at.
    pub report_max: usize,
}

fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let wait = crate::units::de_duration(from)?;
    if wait > WAIT_MAX || wait.is_zero() {
        return Err(D::Error::custom("more than nothing, and 12 hours at most"));
    }
    Ok(wait)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            wait: Duration::from_mins(10),
            chars_min: 4,
            keep_text: false,
            keep: Duration::from_hours(30 * 24),
            kept_max: 100_000,
            report_max: 20_000,
        }
    }
}

/// What asks, folded.
const WORDS: [&str; 33] = [
    "吗",
    "呢",
    "么时候",
    "怎么",
    "怎样",
    "咋",
    "如何",
    "多少",
    "多久",
    "多大",
    "多长",
    "几点",
    "几号",
    "几天",
    "几个",
    "几块",
    "哪",
    "什么",
    "啥",
    "谁",
    "有没有",
    "能不能",
    "可不可以",
    "可以不",
    "是不是",
    "会不会",
    "要不要",
    "行不行",
    "好不好",
    "为什么",
    "是否",
    "请问",
    "求问",
];

/// What questions are wrapped in, and says nothing about what is asked.
const WRAPPING: [&str; 30] = [
    "请问一下",
    "想问一下",
    "问一下",
    "想问下",
    "问下",
    "请问",
    "求问",
    "请教",
    "我想问",
    "想问",
    "我想知道",
    "想知道",
    "麻烦",
    "你好",
    "您好",
    "老板",
    "店家",
    "客服",
    "亲亲",
    "你们",
    "咱们",
    "有人知道",
    "谁知道",
    "吗",
    "呢",
    "啊",
    "呀",
    "哦",
    "吧",
    "哈",
];

static ASKING: LazyLock<AhoCorasick> = LazyLock::new(|| automaton(&WORDS));
static WRAPPED: LazyLock<AhoCorasick> = LazyLock::new(|| automaton(&WRAPPING));

fn automaton(words: &[&str]) -> AhoCorasick {
    let mut builder = AhoCorasick::builder();
    builder.match_kind(aho_corasick::MatchKind::LeftmostLongest);
    builder.build(words).expect("a few short words")
}

/// Says whether a message looks like a question, by its sign or its words.
pub fn looks_like(text: &str, folded: &str, config: &Config) -> bool {
    let is_long_enough = config.chars_min == 0 || folded.chars().nth(config.chars_min - 1).is_some();
    is_long_enough && (text.contains(['?', '？', '﹖']) || ASKING.is_match(folded))
}

/// Returns what a folded question is about: the same for `请问你们几点关门啊` and `几点关门`.
pub fn gist(folded: &str) -> String {
    let gist = WRAPPED.replace_all(folded, &[""; WRAPPING.len()]);
    if gist.chars().nth(1).is_some() { gist } else { folded.to_owned() }
}

/// Returns when a wait that counts open time only is over, at the latest `longest_ms` after it began. Where nobody knows the
/// hours every minute counts.
pub fn deadline_ms(at_ms: i64, wait_ms: i64, longest_ms: i64, is_open: &dyn Fn(i64) -> Option<bool>) -> i64 {
    let (mut now_ms, mut left_ms) = (at_ms, wait_ms);
    while left_ms > 0 && now_ms < at_ms.saturating_add(longest_ms) {
        // Hours begin and end on whole minutes.
        let step_ms = MINUTE_MS - now_ms.rem_euclid(MINUTE_MS);
        if is_open(now_ms).unwrap_or(true) {
            let step_ms = step_ms.min(left_ms);
            left_ms -= step_ms;
            now_ms += step_ms;
        } else {
            now_ms += step_ms;
        }
    }
    now_ms.min(at_ms.saturating_add(longest_ms))
}

const MINUTE_MS: i64 = 60_000;
