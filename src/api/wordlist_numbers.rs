//! `/v1/statistics/wordlists`: what each wordlist, set of rules and the detectors hit, and what those that are not in force yet would.

use serde::{Deserialize, Serialize};

use super::body::{Answer, Query};
use super::error::ApiResult;
use super::moment;
use super::state::Cx;
use crate::event::HOUR_MS;
use crate::interception::{ListKind, ListSummary};

/// Which time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WordlistNumbersQuery {
    /// From, inclusive, whole hours: RFC 3339 or a date. 24 hours back when left out.
    #[serde(default)]
    #[param(example = "2026-11-22")]
    from: Option<String>,
    /// Until, exclusive: RFC 3339 or a date. Now when left out.
    #[serde(default)]
    until: Option<String>,
}

/// What wordlists hit.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WordlistNumbers {
    /// When they were read; everything acknowledged before is in them.
    as_of: String,
    /// From, inclusive.
    from: String,
    /// Until, exclusive.
    until: String,
    /// Messages by customers and staff in that time, all groups.
    messages: u64,
    /// By name; lists without a hit are left out.
    wordlists: Vec<WordlistCount>,
}

/// What one wordlist hit.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WordlistCount {
    /// Its name.
    wordlist: String,
    /// What it is; null for what is not in the ruleset in force.
    kind: Option<ListKind>,
    /// Hits that counted.
    hits: u64,
    /// Hits where it was not in force (in shadow, or outside its stage): without effect.
    shadow_hits: u64,
    /// Both together in 10,000 messages; null where there was no message.
    per_10k_messages: Option<f64>,
}

/// Shows what wordlists hit 词库命中统计
///
/// Over all groups, so for unlimited scopes only. Counted since this version runs, and kept as long as hits are.
#[utoipa::path(
    get, path = "/v1/statistics/wordlists", tag = "statistics", operation_id = "getWordlistStatistics",
    params(WordlistNumbersQuery),
    responses((status = 200, description = "Hits by wordlist", body = WordlistNumbers)),
)]
pub(super) async fn get(
    cx: Cx,
    Query(query): Query<WordlistNumbersQuery>,
) -> ApiResult<Answer<WordlistNumbers>> {
    let zone = cx.directory().time_zone().clone();
    let read =
        |name, text: &Option<String>| text.as_deref().map(|text| moment::read(name, text, &zone)).transpose();
    let until_ms = read("until", &query.until)?.unwrap_or_else(|| moment::hour_of(cx.now_ms()) + HOUR_MS);
    let from_ms = moment::hour_of(read("from", &query.from)?.unwrap_or(until_ms - 24 * HOUR_MS));
    let (as_of_ms, messages, rows) = cx.list_counts(from_ms, until_ms).await?;
    let listing: Vec<ListSummary> = cx.rules().words.listing().collect();
    let wordlists = rows.into_iter().map(|row| WordlistCount {
        per_10k_messages: per_10k(row.hits + row.shadow_hits, messages),
        kind: listing.iter().find(|list| list.name == row.wordlist).map(|list| list.kind),
        wordlist: row.wordlist,
        hits: row.hits,
        shadow_hits: row.shadow_hits,
    });
    Ok(Answer::ok(WordlistNumbers {
        as_of: moment::show(as_of_ms),
        from: moment::show(from_ms),
        until: moment::show(until_ms),
        messages,
        wordlists: wordlists.collect(),
    }))
}

/// To a hundredth; what is beyond 4 billion is as much as any reader can tell apart.
fn per_10k(hits: u64, messages: u64) -> Option<f64> {
    let hundredths = hits.saturating_mul(1_000_000).checked_div(messages)?;
    Some(f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::per_10k;

    #[test]
    fn hits_are_related_to_messages() {
        assert_eq!(per_10k(0, 0), None);
        assert_eq!(per_10k(3, 20_000), Some(1.5));
        assert_eq!(per_10k(1, 3), Some(3333.33));
        assert_eq!(per_10k(u64::MAX, 1), Some(f64::from(u32::MAX) / 100.0));
    }
}
