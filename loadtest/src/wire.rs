//! The gateway's HTTP interface as this crate understands it: the one place to change when a field is renamed.
//!
//! Everything here is read leniently where the interface may grow (unknown fields are ignored) and strictly where it makes a
//! promise (a verdict is one of four, a status one of three).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Route that takes events.
pub const EVENTS: &str = "/v1/events";
/// Route that imports and lists groups.
pub const GROUPS: &str = "/v1/groups";
/// Route that creates broadcasts.
pub const BROADCASTS: &str = "/v1/broadcasts";
/// Route of the totals.
pub const STATISTICS: &str = "/v1/statistics";
/// Content type of one event or an array.
pub const JSON: &str = "application/json";
/// Content type of one event a line.
pub const NDJSON: &str = "application/x-ndjson";

/// What happened in a group, in the gateway's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// Somebody wrote.
    Message,
    /// Somebody came in.
    MemberJoined,
    /// Somebody went away.
    MemberLeft,
}

/// One event as it is sent.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct Event<'a> {
    pub id: &'a str,
    pub account: &'a str,
    pub group: &'a str,
    #[serde(rename = "type")]
    pub kind: EventType,
    pub member: &'a str,
    pub role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    pub at: &'a str,
}

/// What the gateway decided about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the interface's own")]
pub enum Verdict {
    Pass,
    Mask,
    Review,
    Block,
}

impl Verdict {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Mask => "mask",
            Self::Review => "review",
            Self::Block => "block",
        }
    }
}

/// How the gateway booked an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// First arrival, counted.
    Counted,
    /// A repeat, without effect.
    Duplicate,
    /// Older than the dedupe window, recorded apart.
    Late,
}

/// The answer to one event.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct Answer<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    pub verdict: Verdict,
    pub status: Status,
    #[serde(borrow, default)]
    pub hits: Vec<Hit<'a>>,
    #[serde(borrow, default)]
    pub actions: Vec<Action<'a>>,
    #[serde(borrow, default)]
    pub masked: Option<Cow<'a, str>>,
}

/// One reason for a verdict.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct Hit<'a> {
    #[serde(borrow, default)]
    pub wordlist: Cow<'a, str>,
    #[serde(borrow, default)]
    pub category: Cow<'a, str>,
    #[serde(borrow, default)]
    pub matched: Cow<'a, str>,
    pub span: [usize; 2],
}

/// One act the gateway will perform because of an event.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct Action<'a> {
    #[serde(borrow, default)]
    pub kind: Cow<'a, str>,
}

/// Codes of refusals that say "come again".
const RETRY_CODES: [&str; 3] = ["overloaded", "not_ready", "too_many_requests"];

/// A line of a batch that was refused: `{"line":3,"error":{"code":"…","pointer":"…","detail":"…"}}`.
#[derive(Debug, Default, Deserialize)]
struct RefusedLine {
    status: Option<u16>,
    code: Option<String>,
    error: Option<Box<RefusedLine>>,
}

/// Tells whether a refused line says "come again" (by code, or by a status of 429 or 503) rather than "this is wrong".
pub fn line_asks_for_retry(line: &[u8]) -> bool {
    let refused: RefusedLine = serde_json::from_slice(line).unwrap_or_default();
    let refused = refused.error.map_or(RefusedLine { error: None, ..refused }, |inner| *inner);
    let by_code = refused.code.is_some_and(|code| RETRY_CODES.contains(&code.as_str()));
    by_code || matches!(refused.status, Some(429 | 503))
}

/// Reads a number that is null where a platform does not show what it rests on: then nothing was sent that could be counted.
fn seen<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Option::<u64>::deserialize(from).map(Option::unwrap_or_default)
}

/// Counts of one group, or of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the interface's own")]
pub struct Counts {
    #[serde(default, deserialize_with = "seen")]
    pub messages: u64,
    #[serde(default)]
    pub joins: u64,
    #[serde(default)]
    pub leaves: u64,
    #[serde(default, deserialize_with = "seen")]
    pub hits: u64,
}

impl Counts {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.joins += other.joins;
        self.leaves += other.leaves;
        self.hits += other.hits;
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(before.messages),
            joins: self.joins.saturating_sub(before.joins),
            leaves: self.leaves.saturating_sub(before.leaves),
            hits: self.hits.saturating_sub(before.hits),
        }
    }

    /// Whether the counts that this crate can predict are the same. Hits depend on wordlists it does not know.
    pub fn same_traffic(self, other: Self) -> bool {
        (self.messages, self.joins, self.leaves) == (other.messages, other.joins, other.leaves)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages, {} joins, {} leaves", self.messages, self.joins, self.leaves)
    }
}

/// Path of a group's figures by hour.
pub fn group_statistics(account: &str, group: &str) -> String {
    format!("{GROUPS}/{account}/{group}/statistics?by=hour")
}

/// Adds up the rows of a group's statistics.
pub fn read_group_statistics(body: &[u8]) -> Result<Counts, serde_json::Error> {
    #[derive(Deserialize)]
    struct Page {
        rows: Vec<Counts>,
    }
    let page: Page = serde_json::from_slice(body)?;
    let mut sum = Counts::default();
    page.rows.into_iter().for_each(|row| sum.add(row));
    Ok(sum)
}

/// Reads the totals over all groups.
pub fn read_totals(body: &[u8]) -> Result<Counts, serde_json::Error> {
    #[derive(Deserialize)]
    struct Overview {
        totals: Counts,
    }
    serde_json::from_slice::<Overview>(body).map(|overview| overview.totals)
}

/// One line of a bulk import of groups.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct GroupLine {
    pub account: String,
    pub group: String,
    pub name: String,
    pub tags: Vec<String>,
}

/// A broadcast as the gateway shows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the interface's own, described in its API document")]
pub struct BroadcastView {
    pub id: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    #[serde(default)]
    pub estimated_finish_at: Option<String>,
}

impl BroadcastView {
    /// A count by name; what is not shown is zero.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Targets that nothing more will happen to. An uncertain one may still be resolved.
    pub fn settled(&self) -> u64 {
        ["sent", "failed", "expired", "skipped", "cancelled"].iter().map(|name| self.count(name)).sum()
    }

    /// Whether the gateway says that it is done, in any way.
    pub fn is_over(&self) -> bool {
        ["finished", "completed", "done", "cancelled", "failed", "refused"].contains(&self.state.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_the_design_shows_it() {
        let body = r#"{"id":"e-1","verdict":"block","ruleset":"r-12","status":"counted",
            "hits":[{"wordlist":"diversion","category":"contact","level":"high","term":"加微信","matched":"加薇·信","span":[0,11],"via":["homophone","gap"]}],
            "actions":[{"kind":"recall","state":"queued"}],"masked":null}"#;
        let answer: Answer<'_> = serde_json::from_str(body).expect("the design's own example");
        assert_eq!((answer.verdict, answer.status), (Verdict::Block, Status::Counted));
        assert_eq!((&*answer.hits[0].matched, answer.hits[0].span), ("加薇·信", [0, 11]));
        assert_eq!(answer.actions[0].kind, "recall");
    }

    #[test]
    fn only_overload_asks_for_a_retry() {
        for (line, again) in [
            (r#"{"status":503,"code":"overloaded"}"#, true),
            (r#"{"line":3,"error":{"status":429}}"#, true),
            (r#"{"line":3,"error":{"code":"overloaded","pointer":"","detail":"again"}}"#, true),
            (r#"{"line":3,"error":{"code":"bad_json","pointer":"/at","detail":"no"}}"#, false),
            ("not json", false),
        ] {
            assert_eq!(line_asks_for_retry(line.as_bytes()), again, "{line}");
        }
    }

    #[test]
    fn statistics_are_summed_over_the_hours() {
        let body = br#"{"rows":[{"start":"a","messages":2,"joins":1,"leaves":0,"hits":1,"revised":false},{"messages":3}]}"#;
        let sum = read_group_statistics(body).expect("rows");
        assert_eq!(sum, Counts { messages: 5, joins: 1, leaves: 0, hits: 1 });
        assert!(read_group_statistics(b"{}").is_err(), "a page without rows must not read as zero");
    }
}
