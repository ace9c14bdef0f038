//! `/v1/members/duplicates`: customers who are in several groups of the same shop, or of the same brand.
//!
//! Told by the person's number, so that who has a union id or an imported identity is one person in all groups, of whatever
//! accounts. Two passes over rosters, a bit a person: any number of groups takes little memory.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use super::Naming;
use crate::api::body::{Answer, Query};
use crate::api::error::ApiResult;
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::state::Cx;
use crate::directory::GroupFilter;
use crate::event::Role;
use crate::people::reading::{GROUPS_TOGETHER, GroupOf};
use crate::statistics::figures::person;
use crate::storage::{Seat, StorageError};

/// Within which of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Within {
    /// Groups of one shop.
    #[default]
    Shop,
    /// Groups of one region.
    Region,
    /// Groups of one brand.
    Brand,
}

/// Which people.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DuplicatesQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// In several groups of the same shop, region or brand.
    #[serde(default)]
    #[param(inline)]
    within: Within,
    /// Only of this account.
    #[serde(default)]
    account: Option<String>,
    /// Only groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only groups of this region.
    #[serde(default)]
    region: Option<String>,
    /// Only groups of this brand.
    #[serde(default)]
    brand: Option<String>,
    /// Ids are replaced by pseudonyms, names left out.
    #[serde(default)]
    pseudonyms: bool,
}

/// Somebody who is in several groups.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Duplicate {
    /// The shop, region or brand.
    of: String,
    /// The groups, and who they are there.
    groups: Vec<InGroup>,
}

/// Where somebody is.
#[derive(Serialize, utoipa::ToSchema)]
struct InGroup {
    /// Its account.
    account: String,
    /// The group.
    group: String,
    /// The platform's id, or a pseudonym.
    member: String,
    /// Display name, where told; null once erased and under a pseudonym.
    name: Option<String>,
    /// When they came in last, by the platform.
    joined_at: Option<String>,
    /// When they were last seen there.
    last_seen_at: String,
}

/// Where a page begins: after this place and person.
type Place = (String, u64);

/// Lists people in several groups 跨群重复成员
///
/// Customers who are now in two or more groups of the same shop (or region, or brand). Who is known to several accounts by one union
/// id or imported identity is one person.
#[utoipa::path(
    get, path = "/v1/members/duplicates", tag = "people", operation_id = "listDuplicateMembers",
    params(DuplicatesQuery),
    responses((status = 200, description = "By place and person", body = Page<Duplicate>)),
)]
pub(in crate::api) async fn list(
    cx: Cx,
    Query(query): Query<DuplicatesQuery>,
) -> ApiResult<Answer<Page<Duplicate>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<Place> = page::decode(query.cursor.as_deref())?;
    let naming = Naming::of(&cx, query.pseudonyms);
    let DuplicatesQuery { account, shop, region, brand, within, .. } = query;
    let filter = GroupFilter { account, shop, region, brand, ..GroupFilter::default() };
    let found = cx.about_people(move |cx| {
        cx.storage().project()?;
        let mut places: BTreeMap<String, Vec<GroupOf>> = BTreeMap::new();
        for group in cx.groups_of(&filter) {
            let place = match within {
                Within::Shop => group.place.shop.as_ref().map(ToString::to_string),
                Within::Region => group.place.region.as_ref().map(ToString::to_string),
                Within::Brand => group.place.brand.as_ref().map(ToString::to_string),
            };
            if let Some(place) = place {
                places.entry(place).or_default().push(group);
            }
        }
        let mut rows = Vec::new();
        for (place, groups) in places {
            let beyond = match &after {
                Some((p, _)) if place < *p => continue,
                Some((p, person)) if place == *p => Some(*person),
                Some(_) | None => None,
            };
            let wanted = limit + 1 - rows.len();
            for (person, groups) in cx.several(&groups, beyond, wanted, &naming)? {
                rows.push(((place.clone(), person), Duplicate { of: place.clone(), groups }));
            }
            if rows.len() > limit {
                break;
            }
        }
        Ok(rows)
    });
    let page = Page::of(found.await?, limit, |(place, _)| place.clone());
    Ok(Answer::ok(page.map(|(_, row)| row)))
}

impl Cx {
    /// Returns the next customers who are in several of these groups, by person.
    fn several(
        &self,
        groups: &[GroupOf],
        beyond: Option<u64>,
        wanted: usize,
        naming: &Naming,
    ) -> Result<Vec<(u64, Vec<InGroup>)>, StorageError> {
        if groups.len() < 2 {
            return Ok(Vec::new());
        }
        let (mut once, mut several) = (RoaringTreemap::new(), RoaringTreemap::new());
        self.each_customer(groups, &mut |people: &RoaringTreemap| {
            several |= &once & people;
            once |= people;
        })?;
        let several = several.into_iter().filter(|person| beyond.is_none_or(|beyond| *person > beyond));
        let mut found: HashMap<u64, Vec<InGroup>> =
            several.take(wanted).map(|person| (person, Vec::new())).collect();
        let accounts = accounts_of(groups);
        for some in groups.chunks(GROUPS_TOGETHER) {
            self.storage().rosters(&names(some), &mut |group, seat| {
                let account = some[group].name.account.as_str();
                let of = person(place_of(&accounts, account), seat.number);
                if let (true, Some(rows)) = (is_here(&seat), found.get_mut(&of)) {
                    let mark = self.people().mark(account, seat.member).unwrap_or_default();
                    rows.push(InGroup {
                        account: account.to_owned(),
                        group: some[group].name.group.to_string(),
                        member: naming.id(account, seat.member),
                        name: naming.name(seat.name.map(str::to_owned), mark.erased_ms.is_some()),
                        joined_at: seat.joined_ms.map(moment::show),
                        last_seen_at: moment::show(seat.last_ms),
                    });
                }
            })?;
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by_key(|(person, _)| *person);
        for (_, rows) in &mut found {
            rows.sort_by(|a, b| (&a.account, &a.group, &a.member).cmp(&(&b.account, &b.group, &b.member)));
        }
        Ok(found)
    }

    /// Visits the customers of each group, each once.
    fn each_customer(
        &self,
        groups: &[GroupOf],
        visit: &mut dyn FnMut(&RoaringTreemap),
    ) -> Result<(), StorageError> {
        let accounts = accounts_of(groups);
        for some in groups.chunks(GROUPS_TOGETHER) {
            let mut people = vec![RoaringTreemap::new(); some.len()];
            self.storage().rosters(&names(some), &mut |group, seat| {
                if is_here(&seat) {
                    let place = place_of(&accounts, some[group].name.account.as_str());
                    people[group].insert(person(place, seat.number));
                }
            })?;
            people.iter().for_each(&mut *visit);
        }
        Ok(())
    }
}

fn is_here(seat: &Seat<'_>) -> bool {
    seat.present && seat.role == Role::Customer
}

fn names(groups: &[GroupOf]) -> Vec<(String, String)> {
    groups.iter().map(|group| (group.name.account.to_string(), group.name.group.to_string())).collect()
}

/// Returns the accounts of groups, in order: numbers within one are told apart by its place among them.
fn accounts_of(groups: &[GroupOf]) -> Vec<&str> {
    let all: BTreeSet<&str> = groups.iter().map(|group| group.name.account.as_str()).collect();
    all.into_iter().collect()
}

fn place_of(accounts: &[&str], account: &str) -> u32 {
    u32::try_from(accounts.partition_point(|other| *other < account)).unwrap_or(u32::MAX)
}
