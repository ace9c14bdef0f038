//! `/v1/groups/{account}/{group}/members`: who is and was in a group, as a list and as a file.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Naming, group_of, units};
use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::results::{Format, PAGE, stream_file, write_ndjson, write_table};
use crate::api::state::Cx;
use crate::event::Role;
use crate::people::kept::GroupTags;
use crate::people::reading::{self, Extent, GroupOf, GroupPeople, Member};
use crate::people::rule::LOOKBACK_DAYS;
use crate::storage::MemberRow;

/// A member of a group.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct MemberView {
    /// The platform's id, or a pseudonym.
    member: String,
    /// Display name, where told; null once erased and under a pseudonym.
    name: Option<String>,
    /// Role.
    role: Role,
    /// In the group now.
    present: bool,
    /// First seen.
    first_seen_at: String,
    /// Last seen.
    last_seen_at: String,
    /// The start of the hour in which they last said something that counts; null when they never did, or where messages
    /// are not shown to us.
    last_spoke_at: Option<String>,
    /// Messages said; null where messages are not shown to us.
    messages: Option<u64>,
    /// Hits of their messages, of the latest 2000 of the group; null where messages are not shown to us.
    hits: Option<usize>,
    /// Who invited them.
    inviter: Option<String>,
    /// How they came in, in the platform's words.
    scene: Option<String>,
    /// The channel code they came by.
    channel: Option<String>,
    /// When they came in last, by the platform; null when nobody told.
    joined_at: Option<String>,
    /// When they went; null while they are there.
    left_at: Option<String>,
    /// Tags, given by hand, by import or by a rule in this group.
    tags: BTreeSet<String>,
    /// Tags by rule of which nobody knows, as messages are not shown to us.
    tags_unknown: BTreeSet<String>,
    /// The imported value, in the brand's unit.
    value: Option<f64>,
    /// The platform's id of the person over all groups, where it gives one.
    union_id: Option<String>,
}

/// Which members.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RosterQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Who is in the group now, or who is not any more.
    #[serde(default)]
    present: Option<bool>,
    /// Of this role.
    #[serde(default)]
    #[param(inline)]
    role: Option<Role>,
    /// With this tag.
    #[serde(default)]
    tag: Option<String>,
    /// In the group for so many last days, and silent in them (1 to 90). Nobody where messages are not shown to us.
    #[serde(default)]
    silent_days: Option<u16>,
    /// Ids are replaced by pseudonyms, names left out.
    #[serde(default)]
    pseudonyms: bool,
}

/// Which members, as a file.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RosterFileQuery {
    /// `csv` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Who is in the group now, or who is not any more.
    #[serde(default)]
    present: Option<bool>,
    /// Of this role.
    #[serde(default)]
    #[param(inline)]
    role: Option<Role>,
    /// With this tag.
    #[serde(default)]
    tag: Option<String>,
    /// In the group for so many last days, and silent in them (1 to 90).
    #[serde(default)]
    silent_days: Option<u16>,
    /// Ids are replaced by pseudonyms, names left out.
    #[serde(default)]
    pseudonyms: bool,
    /// Go on after this member: the last id of a file that broke off. What follows has no line of column names.
    #[serde(default)]
    after: Option<String>,
}

/// Lists members 群成员
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/members", tag = "groups", operation_id = "listMembers",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        RosterQuery,
    ),
    responses((status = 200, description = "Members present and past, by id", body = Page<MemberView>)),
)]
pub(in crate::api) async fn list(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<RosterQuery>,
) -> ApiResult<Answer<Page<MemberView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let RosterQuery { present, role, tag, silent_days, pseudonyms, .. } = query;
    let filter = Filter { present, role, tag, silent_days };
    let roster = cx.roster(&account, &group, filter, pseudonyms).await?;
    let (rows, _) = roster.rows(after, limit + 1).await?;
    let page = Page::of(rows, limit, |row| row.member.clone());
    Ok(Answer::ok(page.map(|row| roster.show(row))))
}

/// Exports members 导出群成员
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/members/export", tag = "groups", operation_id = "exportMembers",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        RosterFileQuery,
    ),
    responses((status = 200, description = "Members present and past, by id", content(
        (String = "text/csv"), (MemberView = "application/x-ndjson"),
    ))),
)]
pub(in crate::api) async fn export(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<RosterFileQuery>,
) -> ApiResult<Response> {
    let RosterFileQuery { format, present, role, tag, silent_days, pseudonyms, after } = query;
    if pseudonyms && after.is_some() {
        return Err(cannot_go_on());
    }
    let filter = Filter { present, role, tag, silent_days };
    let roster = cx.roster(&account, &group, filter, pseudonyms).await?;
    stream_file(Export { roster, format, after }, Export::next, format, "members").await
}

#[derive(Clone, Debug)]
struct Filter {
    present: Option<bool>,
    role: Option<Role>,
    tag: Option<String>,
    silent_days: Option<u16>,
}

/// A group's members, read.
struct Roster {
    cx: Cx,
    group: GroupOf,
    people: Arc<GroupPeople>,
    tags: Arc<GroupTags>,
    filter: Filter,
    naming: Naming,
}

impl Cx {
    async fn roster(
        &self,
        account: &str,
        group: &str,
        filter: Filter,
        pseudonyms: bool,
    ) -> ApiResult<Roster> {
        let context = self.directory().group_in(self.scope(), account, group)?;
        let group =
            group_of(self.connectors(), group, &context).ok_or_else(|| ApiError::not_found("group"))?;
        if filter.silent_days.is_some_and(|days| !(1..=LOOKBACK_DAYS).contains(&days)) {
            let detail = format!("the query: `silent_days` must be 1 to {LOOKBACK_DAYS}");
            return Err(ApiError::unreadable("", "query", detail));
        }
        let of = [group.clone()];
        let read = self.about_people(move |cx| {
            cx.people().follow()?;
            let extent = Extent { days: None, hits: true };
            let people = reading::read(&**cx.storage(), &of, extent, cx.now_ms())?;
            Ok((people, cx.people().tags(&of, cx.now_ms())?))
        });
        let (people, tags) = read.await?;
        let (Some(people), Some(tags)) = (people.into_iter().next(), tags.into_iter().next()) else {
            return Err(ApiError::not_found("group"));
        };
        let naming = Naming::of(self, pseudonyms);
        Ok(Roster { cx: self.clone(), group, people: Arc::new(people), tags, filter, naming })
    }
}

impl Roster {
    /// Returns rows that pass, and where to go on if there may be more.
    async fn rows(
        &self,
        mut after: Option<String>,
        limit: usize,
    ) -> ApiResult<(Vec<MemberRow>, Option<String>)> {
        let mut found = Vec::new();
        loop {
            let (account, group) = (self.group.name.account.to_string(), self.group.name.group.to_string());
            let page = self.cx.members(account, group, after.take(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for row in page {
                after = Some(row.member.clone());
                if self.passes(&row) {
                    found.push(row);
                }
                if found.len() == limit {
                    return Ok((found, after));
                }
            }
            if is_last {
                return Ok((found, None));
            }
        }
    }

    fn member(&self, row: &MemberRow) -> Option<&Member> {
        let members = &self.people.members;
        let found = members.binary_search_by(|member| member.member.cmp(&row.member));
        found.ok().and_then(|at| members.get(at))
    }

    fn passes(&self, row: &MemberRow) -> bool {
        let Filter { present, role, tag, silent_days } = &self.filter;
        let silent = |days: u16| {
            self.member(row)
                .is_some_and(|member| member.facts.is_silent(days, &self.people.sight) == Some(true))
        };
        present.is_none_or(|present| row.present == present)
            && role.is_none_or(|role| row.role == role)
            && tag.as_ref().is_none_or(|tag| self.tags_of(row).0.contains(tag))
            && silent_days.is_none_or(silent)
    }

    fn tags_of(&self, row: &MemberRow) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut tags, mut unknown) = self.tags.tags_of(&row.member);
        if let Some(mark) = self.cx.people().mark(self.group.name.account.as_str(), &row.member) {
            tags.extend(mark.tags.iter().cloned());
        }
        unknown.retain(|tag| !tags.contains(tag));
        (tags, unknown)
    }

    fn show(&self, row: MemberRow) -> MemberView {
        let account = self.group.name.account.as_str();
        let mark = self.cx.people().mark(account, &row.member).unwrap_or_default();
        let (tags, tags_unknown) = self.tags_of(&row);
        let member = self.member(&row);
        let (seen, is_erased) = (self.people.sight.seen, mark.erased_ms.is_some());
        MemberView {
            last_spoke_at: member.and_then(|member| member.last_spoke_ms).map(moment::show),
            messages: seen.then_some(row.messages),
            hits: seen.then(|| member.map_or(0, |member| member.facts.hits.len())),
            left_at: member.and_then(|member| member.left_ms).map(moment::show),
            tags,
            tags_unknown,
            value: mark.value_micros.map(units),
            name: self.naming.name(row.name, is_erased),
            union_id: self.naming.name(row.union_id, is_erased),
            inviter: row.inviter.map(|inviter| self.naming.id(account, &inviter)),
            member: self.naming.id(account, &row.member),
            role: row.role,
            present: row.present,
            first_seen_at: moment::show(row.first_ms),
            last_seen_at: moment::show(row.last_ms),
            scene: row.scene,
            channel: row.channel,
            joined_at: row.joined_ms.map(moment::show),
        }
    }
}

/// An export under way.
struct Export {
    roster: Roster,
    format: Format,
    after: Option<String>,
}

impl Export {
    async fn next(self) -> ApiResult<Option<(Bytes, Option<Self>)>> {
        let is_first = self.after.is_none();
        let (rows, after) = self.roster.rows(self.after.clone(), PAGE).await?;
        let rows: Vec<MemberView> = rows.into_iter().map(|row| self.roster.show(row)).collect();
        let written = match self.format {
            Format::Csv => write_table(COLUMNS, rows.into_iter().map(cells), is_first),
            Format::Ndjson => write_ndjson(&rows),
        };
        let bytes = written.map_err(|error| ApiError::internal(&error))?;
        Ok(Some((bytes.into(), after.map(|after| Self { after: Some(after), ..self }))))
    }
}

const COLUMNS: [&str; 18] = [
    "member",
    "name",
    "role",
    "present",
    "joined_at",
    "scene",
    "channel",
    "inviter",
    "first_seen_at",
    "last_seen_at",
    "last_spoke_at",
    "messages",
    "hits",
    "tags",
    "tags_unknown",
    "value",
    "left_at",
    "union_id",
];

fn cells(row: MemberView) -> [String; 18] {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    [
        row.member,
        row.name.unwrap_or_default(),
        role_word(row.role).to_owned(),
        row.present.to_string(),
        row.joined_at.unwrap_or_default(),
        row.scene.unwrap_or_default(),
        row.channel.unwrap_or_default(),
        row.inviter.unwrap_or_default(),
        row.first_seen_at,
        row.last_seen_at,
        row.last_spoke_at.unwrap_or_default(),
        number(row.messages),
        number(row.hits.map(|hits| hits as u64)),
        joined(&row.tags),
        joined(&row.tags_unknown),
        row.value.map_or_else(String::new, |value| value.to_string()),
        row.left_at.unwrap_or_default(),
        row.union_id.unwrap_or_default(),
    ]
}

/// Pseudonyms do not tell where a file broke off.
pub(super) fn cannot_go_on() -> ApiError {
    ApiError::unreadable("", "query", "the query: a file with `pseudonyms` cannot go on; fetch it anew")
}

/// Writes tags into one cell, as imports read them.
pub(super) fn joined(tags: &BTreeSet<String>) -> String {
    tags.iter().map(String::as_str).collect::<Vec<_>>().join(";")
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Customer => "customer",
        Role::Staff => "staff",
        Role::Bot => "bot",
    }
}
