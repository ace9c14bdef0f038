//! `/v1/members`: people in groups, within the caller's scope: their rosters, tags, values, segments.
//!
//! A tag given by hand and a value belong to a member of an account, whatever group they are in: whoever sees one of the
//! member's groups sees them. Tags by rule and scores belong to a member in a group.

pub(super) mod duplicates;
pub(super) mod erase;
pub(super) mod lines;
pub(super) mod roster;
pub(super) mod rules;
pub(super) mod segments;
pub(super) mod tags;
pub(super) mod timeline;

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use serde::Serialize;

use super::body::{Answer, Path};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::connectors::Connectors;
use crate::directory::{GroupContext, GroupFilter};
use crate::event::{GroupId, GroupName, Place, Role};
use crate::people::reading::{GROUPS_TOGETHER, GroupOf};
use crate::people::{PeopleError, Pseudonyms};
use crate::storage::{MemberRow, StorageError};

/// A member of an account, as far as the caller sees.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PersonView {
    /// Account.
    account: String,
    /// The platform's id.
    member: String,
    /// Display name, where told; null once erased.
    name: Option<String>,
    /// Tags given by hand or by import.
    tags: Vec<String>,
    /// The imported value, in the brand's unit.
    value: Option<f64>,
    /// Who they are beyond this account, as it was imported.
    identity: Option<String>,
    /// When they were erased.
    erased_at: Option<String>,
    /// Their groups, now and before.
    groups: Vec<MembershipView>,
}

/// A member in one of their groups.
#[derive(Serialize, utoipa::ToSchema)]
struct MembershipView {
    /// The group.
    group: String,
    /// Role there.
    role: Role,
    /// In the group now.
    present: bool,
    /// When they came in last, by the platform.
    joined_at: Option<String>,
    /// First seen there.
    first_seen_at: String,
    /// Last seen there.
    last_seen_at: String,
    /// Messages said there.
    messages: u64,
    /// Tags that rules give there.
    rule_tags: BTreeSet<String>,
    /// Tags of which nobody knows, as messages are not shown to us.
    rule_tags_unknown: BTreeSet<String>,
}

/// Shows a member 查看成员
#[utoipa::path(
    get, path = "/v1/members/{account}/{member}", tag = "people", operation_id = "getMember",
    params(("account" = String, Path, description = "Their account"), ("member" = String, Path, description = "The platform's id")),
    responses((status = 200, description = "The member, with the groups of the scope that they are or were in", body = PersonView)),
)]
pub(super) async fn get(
    cx: Cx,
    Path((account, member)): Path<(String, String)>,
) -> ApiResult<Answer<PersonView>> {
    let seats = cx.seats(&account, &member).await?;
    let tags = {
        let groups: Vec<GroupOf> = seats.iter().map(|(group, _)| group.clone()).collect();
        cx.about_people(move |cx| {
            cx.people().follow()?;
            cx.people().tags(&groups, cx.now_ms())
        })
        .await?
    };
    let mark = cx.people().mark(&account, &member).unwrap_or_default();
    let name = seats.iter().rev().find_map(|(_, row)| row.name.clone());
    let groups = seats.iter().zip(&tags).map(|((group, row), tags)| {
        let (rule_tags, rule_tags_unknown) = tags.tags_of(&member);
        MembershipView {
            group: group.name.group.to_string(),
            role: row.role,
            present: row.present,
            joined_at: row.joined_ms.map(moment::show),
            first_seen_at: moment::show(row.first_ms),
            last_seen_at: moment::show(row.last_ms),
            messages: row.messages,
            rule_tags,
            rule_tags_unknown,
        }
    });
    Ok(Answer::ok(PersonView {
        name: name.filter(|_| mark.erased_ms.is_none()),
        tags: mark.tags.iter().cloned().collect(),
        value: mark.value_micros.map(units),
        identity: mark.identity.clone(),
        erased_at: mark.erased_ms.map(moment::show),
        groups: groups.collect(),
        account,
        member,
    }))
}

/// Shows millionths as units.
#[expect(
    clippy::cast_precision_loss,
    reason = "values are money; doubles hold them to the millionth up to milliards"
)]
fn units(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// How members are named.
#[derive(Clone, Debug)]
pub(super) struct Naming(Option<Pseudonyms>);

impl Naming {
    /// Returns how the caller wants them.
    pub(super) fn of(cx: &Cx, pseudonyms: bool) -> Self {
        Self(pseudonyms.then(|| cx.people().pseudonyms()))
    }

    /// Returns what stands for an id.
    pub(super) fn id(&self, account: &str, member: &str) -> String {
        self.0.as_ref().map_or_else(|| member.to_owned(), |names| names.of(account, member))
    }

    /// Keeps a name where names are shown.
    pub(super) fn name(&self, name: Option<String>, is_erased: bool) -> Option<String> {
        name.filter(|_| self.0.is_none() && !is_erased)
    }
}

/// Returns a group as questions about people want it.
pub(crate) fn group_of(connectors: &Connectors, group: &str, context: &GroupContext) -> Option<GroupOf> {
    let account = context.account.id.clone();
    let can = connectors.capabilities_of(account.as_str(), group);
    Some(GroupOf {
        sees: can.is_some_and(|can| can.gives_message_text),
        name: GroupName { account, group: GroupId::parse(group).ok()? },
        place: context.place.clone(),
        time_zone: context.time_zone.clone(),
    })
}

impl Cx {
    /// Asks off the async workers.
    pub(super) async fn about_people<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Cx) -> Result<T, StorageError> + Send + 'static,
    ) -> ApiResult<T> {
        let cx = self.clone();
        let done = tokio::task::spawn_blocking(move || ask(&cx)).await;
        Ok(done.map_err(|error| ApiError::internal(&error))??)
    }

    /// Returns the visible groups that pass, by account and group. Looks at every group: call it off the async workers.
    pub(super) fn groups_of(&self, filter: &GroupFilter) -> Vec<GroupOf> {
        let found = self.directory().groups_in(self.scope(), filter, None, usize::MAX);
        let mut groups: Vec<GroupOf> = found
            .iter()
            .filter_map(|found| group_of(self.connectors(), &found.group, &found.context))
            .collect();
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        groups
    }

    /// Returns the visible groups that a member is or was in, in order of groups.
    pub(super) async fn seats(&self, account: &str, member: &str) -> ApiResult<Vec<(GroupOf, MemberRow)>> {
        let (account, member) = (account.to_owned(), member.to_owned());
        let seats = self.about_people(move |cx| {
            cx.storage().project()?;
            let mut seats = Vec::new();
            for group in cx.storage().groups_of(&account, &member)? {
                let Ok(context) = cx.directory().group_in(cx.scope(), &account, &group) else { continue };
                let row = cx.storage().member(&account, &group, &member)?;
                seats.extend(group_of(cx.connectors(), &group, &context).zip(row));
            }
            Ok(seats)
        });
        let seats = seats.await?;
        if seats.is_empty() { Err(ApiError::not_found("member")) } else { Ok(seats) }
    }

    /// Returns which of these members, by account, may be written on: those of visible groups; of an account that is
    /// there, everybody, for who sees everything.
    pub(super) async fn writable(
        &self,
        wanted: HashSet<(String, String)>,
    ) -> ApiResult<HashSet<(String, String)>> {
        self.about_people(move |cx| {
            let mut by_account: HashMap<String, HashSet<String>> = HashMap::new();
            for (account, member) in wanted {
                by_account.entry(account).or_default().insert(member);
            }
            let mut writable = HashSet::new();
            cx.storage().project()?;
            for (account, members) in by_account {
                if cx.scope().is_everything() {
                    if cx.directory().account_in(cx.scope(), &account).is_ok() {
                        writable.extend(members.into_iter().map(|member| (account.clone(), member)));
                    }
                    continue;
                }
                let filter = GroupFilter { account: Some(account.clone()), ..GroupFilter::default() };
                let groups = cx.groups_of(&filter);
                let names: Vec<(String, String)> =
                    groups.iter().map(|group| (account.clone(), group.name.group.to_string())).collect();
                for some in names.chunks(GROUPS_TOGETHER) {
                    cx.storage().rosters(some, &mut |_, seat| {
                        if members.contains(seat.member) {
                            writable.insert((account.clone(), seat.member.to_owned()));
                        }
                    })?;
                }
            }
            Ok(writable)
        })
        .await
    }

    /// Returns where what the caller writes belongs: the one place they see, else nowhere, which only those see who see
    /// everything.
    pub(super) fn own_place(&self) -> Place {
        self.scope().only_place(&**self.directory()).unwrap_or_default()
    }
}

/// Says in the words of the API why something was not written.
fn refused(error: PeopleError) -> ApiError {
    match error {
        PeopleError::Full(detail) => ApiError::new(Code::LimitReached, detail),
        PeopleError::Storage(error) => error.into(),
    }
}
