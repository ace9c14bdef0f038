//! Who is in a segment: counted, listed, exported.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use hashbrown::HashMap;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::members::roster::{cannot_go_on, joined, role_word};
use crate::api::members::{Naming, units};
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::results::{Format, PAGE, stream_file, write_ndjson, write_table};
use crate::api::state::Cx;
use crate::directory::GroupFilter;
use crate::event::Role;
use crate::people::reading::GroupOf;
use crate::people::rule::LOOKBACK_DAYS;
use crate::people::scores::Tally;
use crate::people::segment::Segment;
use crate::people::{Asked, Seen};
use crate::statistics::coverage::Covered;
use crate::statistics::figures::person;

/// How many are in a segment.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct SegmentNumbers {
    /// When they were counted.
    as_of: String,
    /// Memberships: somebody in two groups counts twice.
    members: u64,
    /// The same people, each counted once.
    people: u64,
    /// Groups with at least one of them.
    groups: u64,
    /// Memberships of which nobody knows, as what the segment asks for cannot be seen.
    unknown: u64,
    /// In how many of the groups of the scope messages are shown to us.
    coverage: Covered,
}

/// A member who is in a segment.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct SegmentMember {
    /// Account.
    account: String,
    /// The group.
    group: String,
    /// The platform's id, or a pseudonym.
    member: String,
    /// Display name, where told; null once erased and under a pseudonym.
    name: Option<String>,
    /// Role.
    role: Role,
    /// In the group now.
    present: bool,
    /// When they came in last, by the platform; null when nobody told.
    joined_at: Option<String>,
    /// The start of the hour in which they last said something that counts, within 90 days.
    last_spoke_at: Option<String>,
    /// Messages said there; null where messages are not shown to us.
    messages: Option<u64>,
    /// Tags, given by hand, by import or by a rule in this group.
    tags: BTreeSet<String>,
    /// The imported value, in the brand's unit.
    value: Option<f64>,
    /// Score of how lately they spoke, 1 to 5; null where not asked for or not known.
    recency: Option<u8>,
    /// Score of on how many of the last 90 days they spoke.
    frequency: Option<u8>,
    /// Score of their value.
    monetary: Option<u8>,
}

/// Which page of a segment's members.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct SegmentQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// With scores, which takes a look at all members of the scope.
    #[serde(default)]
    scores: bool,
    /// Ids are replaced by pseudonyms, names left out.
    #[serde(default)]
    pseudonyms: bool,
}

/// A segment's members, as a file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct SegmentFileQuery {
    /// `csv` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// With scores.
    #[serde(default)]
    scores: bool,
    /// Ids are replaced by pseudonyms, names left out.
    #[serde(default)]
    pseudonyms: bool,
    /// Go on after this row: the account, group and member of the last one of a file that broke off, all three. What follows
    /// has no line of column names.
    #[serde(default)]
    after_account: Option<String>,
    /// See `after_account`.
    #[serde(default)]
    after_group: Option<String>,
    /// See `after_account`.
    #[serde(default)]
    after_member: Option<String>,
}

/// Counts the members of a segment 人群人数
#[utoipa::path(
    get, path = "/v1/segments/{segment}/numbers", tag = "people", operation_id = "getSegmentNumbers",
    params(("segment" = String, Path, description = "Its id")),
    responses((status = 200, description = "How many of the scope are in it", body = SegmentNumbers)),
)]
pub(in crate::api) async fn numbers(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<SegmentNumbers>> {
    let question = Question::new(&cx, &id, false, false).await?;
    let counted = cx.about_people(move |cx| {
        let mut numbers = SegmentNumbers {
            as_of: moment::show(question.now_ms),
            members: 0,
            people: 0,
            groups: 0,
            unknown: 0,
            coverage: question.coverage(),
        };
        let (mut accounts, mut people) = (HashMap::<String, u32>::new(), RoaringTreemap::new());
        let mut last = None;
        let asked = question.asked(&question.groups, false);
        cx.people().survey(&asked, question.now_ms, &mut |seen| {
            numbers.unknown += u64::from(seen.is.is_none());
            if seen.is == Some(true) {
                let next = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
                let account = *accounts.entry_ref(seen.group.name.account.as_str()).or_insert(next);
                people.insert(person(account, seen.member.number));
                numbers.members += 1;
                if last.as_ref() != Some(&seen.group.name) {
                    numbers.groups += 1;
                    last = Some(seen.group.name.clone());
                }
            }
            true
        })?;
        numbers.people = people.len();
        Ok(numbers)
    });
    Ok(Answer::ok(counted.await?))
}

/// Lists the members of a segment 列出人群成员
///
/// One row for each group that somebody is in. Scores are fifths among the customers who are now in the groups of the caller's
/// scope (see `docs/API.md`).
#[utoipa::path(
    get, path = "/v1/segments/{segment}/members", tag = "people", operation_id = "listSegmentMembers",
    params(("segment" = String, Path, description = "Its id"), SegmentQuery),
    responses((status = 200, description = "Who is in it, by account, group and id", body = Page<SegmentMember>)),
)]
pub(in crate::api) async fn members(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<SegmentQuery>,
) -> ApiResult<Answer<Page<SegmentMember>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<Place> = page::decode(query.cursor.as_deref())?;
    let question = Question::new(&cx, &id, query.scores, query.pseudonyms).await?;
    let rows = question.page(&cx, after, limit + 1).await?;
    Ok(Answer::ok(Page::of(rows, limit, |(place, _)| place.clone()).map(|(_, row)| row)))
}

/// Exports the members of a segment 导出人群成员
#[utoipa::path(
    get, path = "/v1/segments/{segment}/members/export", tag = "people", operation_id = "exportSegmentMembers",
    params(("segment" = String, Path, description = "Its id"), SegmentFileQuery),
    responses((status = 200, description = "Who is in it, by account, group and id", content(
        (String = "text/csv"), (SegmentMember = "application/x-ndjson"),
    ))),
)]
pub(in crate::api) async fn export(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<SegmentFileQuery>,
) -> ApiResult<Response> {
    let SegmentFileQuery { format, scores, pseudonyms, after_account, after_group, after_member } = query;
    let after = match (after_account, after_group, after_member) {
        (None, None, None) => None,
        (Some(_), Some(_), Some(_)) if pseudonyms => return Err(cannot_go_on()),
        (Some(account), Some(group), Some(member)) => Some((account, group, member)),
        (_, _, _) => {
            let detail = "the query: send `after_account`, `after_group` and `after_member`, or none of them";
            return Err(ApiError::unreadable("", "query", detail));
        }
    };
    let question = Question::new(&cx, &id, scores, pseudonyms).await?;
    stream_file(Export { cx, question, format, after }, Export::next, format, &id).await
}

/// Where a page begins: after this account, group, member.
type Place = (String, String, String);

/// Who is asked for, among whom.
#[derive(Clone)]
struct Question {
    segment: Segment,
    groups: Arc<Vec<GroupOf>>,
    tally: Option<Arc<Tally>>,
    naming: Naming,
    now_ms: i64,
}

impl Question {
    async fn new(cx: &Cx, id: &str, scores: bool, pseudonyms: bool) -> ApiResult<Self> {
        let segment = cx.segment(id)?.is.segment;
        let naming = Naming::of(cx, pseudonyms);
        let now_ms = cx.now_ms();
        let groups = cx.about_people(|cx| Ok(cx.groups_of(&GroupFilter::default()))).await?;
        let scores = scores || segment.needs().scores;
        let rows = (groups.len() as u64).saturating_mul(u64::from(LOOKBACK_DAYS));
        let rows_max = cx.config().statistics_group_days_max;
        if rows > rows_max {
            let detail = format!(
                "the query: {} groups over {LOOKBACK_DAYS} days are more than `api.statistics_group_days_max` \
                 ({rows_max}); ask with a token of a smaller scope",
                groups.len()
            );
            return Err(ApiError::unreadable("", "query", detail));
        }
        let groups = Arc::new(groups);
        let tally = if scores {
            let among = Arc::clone(&groups);
            Some(Arc::new(cx.about_people(move |cx| cx.people().tally(&among, now_ms)).await?))
        } else {
            None
        };
        Ok(Self { segment, groups, tally, naming, now_ms })
    }

    fn coverage(&self) -> Covered {
        let seen = self.groups.iter().filter(|group| group.sees).count();
        Covered::new(seen as u64, self.groups.len() as u64)
    }

    fn asked<'a>(&'a self, groups: &'a [GroupOf], full: bool) -> Asked<'a> {
        Asked { segment: &self.segment, groups, tally: self.tally.as_deref(), full }
    }

    /// Returns the next rows.
    async fn page(
        &self,
        cx: &Cx,
        after: Option<Place>,
        limit: usize,
    ) -> ApiResult<Vec<(Place, SegmentMember)>> {
        let question = self.clone();
        cx.about_people(move |cx| {
            let name = |group: &GroupOf| (group.name.account.to_string(), group.name.group.to_string());
            let from = after.as_ref().map_or(0, |(account, group, _)| {
                question.groups.partition_point(|of| {
                    (of.name.account.as_str(), of.name.group.as_str()) < (account.as_str(), group.as_str())
                })
            });
            let groups = question.groups.get(from..).unwrap_or_default();
            let mut rows = Vec::new();
            cx.people().survey(&question.asked(groups, true), question.now_ms, &mut |seen| {
                if seen.is == Some(true) {
                    let (account, group) = name(seen.group);
                    let place = (account, group, seen.member.member.clone());
                    if after.as_ref().is_none_or(|after| place > *after) {
                        rows.push((place, question.show(seen)));
                    }
                }
                rows.len() < limit
            })?;
            Ok(rows)
        })
        .await
    }

    fn show(&self, seen: &Seen<'_>) -> SegmentMember {
        let (account, member) = (seen.group.name.account.as_str(), seen.member);
        let mut tags = seen.tags.map(|tags| tags.tags_of(&member.member).0).unwrap_or_default();
        let mark = seen.mark.clone().unwrap_or_default();
        tags.extend(mark.tags.iter().cloned());
        SegmentMember {
            account: account.to_owned(),
            group: seen.group.name.group.to_string(),
            member: self.naming.id(account, &member.member),
            name: self.naming.name(member.name.clone(), mark.erased_ms.is_some()),
            role: member.facts.role,
            present: member.facts.present,
            joined_at: member.joined_ms.map(moment::show),
            last_spoke_at: member.last_spoke_ms.map(moment::show),
            messages: seen.sight.seen.then_some(member.messages),
            tags,
            value: mark.value_micros.map(units),
            recency: seen.scores.recency,
            frequency: seen.scores.frequency,
            monetary: seen.scores.monetary,
        }
    }
}

/// An export under way.
struct Export {
    cx: Cx,
    question: Question,
    format: Format,
    after: Option<Place>,
}

impl Export {
    async fn next(self) -> ApiResult<Option<(Bytes, Option<Self>)>> {
        let is_first = self.after.is_none();
        let rows = self.question.page(&self.cx, self.after.clone(), PAGE).await?;
        let after = rows.last().filter(|_| rows.len() == PAGE).map(|(place, _)| place.clone());
        let rows = rows.into_iter().map(|(_, row)| row);
        let written = match self.format {
            Format::Csv => write_table(COLUMNS, rows.map(cells), is_first),
            Format::Ndjson => write_ndjson(&rows.collect::<Vec<_>>()),
        };
        let bytes = written.map_err(|error| ApiError::internal(&error))?;
        Ok(Some((bytes.into(), after.map(|after| Self { after: Some(after), ..self }))))
    }
}

const COLUMNS: [&str; 14] = [
    "account",
    "group",
    "member",
    "name",
    "role",
    "present",
    "joined_at",
    "last_spoke_at",
    "messages",
    "tags",
    "value",
    "recency",
    "frequency",
    "monetary",
];

fn cells(row: SegmentMember) -> [String; 14] {
    let score = |score: Option<u8>| score.map_or_else(String::new, |score| score.to_string());
    [
        row.account,
        row.group,
        row.member,
        row.name.unwrap_or_default(),
        role_word(row.role).to_owned(),
        row.present.to_string(),
        row.joined_at.unwrap_or_default(),
        row.last_spoke_at.unwrap_or_default(),
        row.messages.map_or_else(String::new, |messages| messages.to_string()),
        joined(&row.tags),
        row.value.map_or_else(String::new, |value| value.to_string()),
        score(row.recency),
        score(row.frequency),
        score(row.monetary),
    ]
}
