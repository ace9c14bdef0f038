//! Which groups an audience comes to at a moment, and why others are left out. Layer: pure core, but for reading the
//! book. What a submission comes to is kept as a list, so that later changes of tags, shops or numbers do not reach into
//! a broadcast on its way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::book::{Figures, GroupBook};
use crate::event::{AccountId, GroupName, Scope};
use crate::storage::DocumentKind;
use crate::storage::{StorageError, Write};

/// Where the groups of an audience are, and why others are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reached {
    /// Groups by platform.
    pub platforms: BTreeMap<String, u64>,
    /// Groups by account.
    pub accounts: BTreeMap<String, u64>,
    /// Groups by region; those of none are under the empty name.
    pub regions: BTreeMap<String, u64>,
    /// Groups that are not reached.
    pub left_out: LeftOut,
}

/// Groups that the audience names or wants and that are not reached all the same; each counts once, under the first that
/// holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// Named, but not there or outside the scope: which of the two is not told.
    pub not_found: u64,
    /// The audience asks for a number that nobody knows of them.
    pub no_figure: u64,
    /// The platform said they are gone.
    pub gone: u64,
    /// In `exclude`.
    pub excluded: u64,
    /// In a saved audience that nothing is sent to.
    pub do_not_send: u64,
}

/// A saved audience that nothing is sent to, with what it can hold.
#[derive(Clone, Debug)]
pub(super) struct Barred {
    pub(super) audience: Audience,
    pub(super) scopes: Vec<Scope>,
}

/// An audience spelled out, with what limits it.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) audience: Audience,
    pub(super) exclude: Option<Audience>,
    pub(super) account: Option<AccountId>,
    pub(super) scopes: Vec<Scope>,
    pub(super) barred: Vec<Barred>,
}

/// What an audience comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// In order.
    pub(super) names: Vec<GroupName>,
    pub(super) reached: Reached,
}

fn covered(scopes: &[Scope], name: &GroupName, place: &crate::event::Place) -> bool {
    scopes.iter().all(|scope| scope.covers_group(name.account.as_str(), name.group.as_str(), place))
}

impl Reach {
    fn parts(&self) -> impl Iterator<Item = &Audience> {
        let barred = self.barred.iter().map(|barred| &barred.audience);
        std::iter::once(&self.audience).chain(&self.exclude).chain(barred)
    }

    /// Asks the book. Blocking.
    ///
    /// # Errors
    /// When the numbers cannot be read.
    pub(super) fn find(&self, book: &dyn GroupBook, now_ms: i64) -> Result<Found, StorageError> {
        let mut days = BTreeSet::new();
        self.parts().for_each(|part| part.days(&mut days));
        let mut figures = book.figures(self.account.as_ref(), &days, now_ms)?;
        let mut segments = BTreeSet::new();
        self.parts().for_each(|part| part.segments(&mut segments));
        if !segments.is_empty() {
            for (name, counted) in book.segments(self.account.as_ref(), &segments, &self.scopes, now_ms)? {
                figures.entry(name).or_default().segments = counted;
            }
        }
        let unknown = Figures::default();
        let mut missing = BTreeSet::new();
        self.audience.listed(&mut missing);
        missing.retain(|name| self.account.as_ref().is_none_or(|account| *account == name.account));
        let mut found = Found::default();
        let Found { names, reached } = &mut found;
        let left_out = &mut reached.left_out;
        for group in book.groups(self.account.as_ref()) {
            let (name, place) = (group.name(), group.place());
            if !covered(&self.scopes, name, place) {
                continue;
            }
            missing.remove(name);
            let figures = figures.get(name).unwrap_or(&unknown);
            let holds = |audience: &Audience| audience.wants(&*group, figures) == Some(true);
            let is_barred = |barred: &Barred| covered(&barred.scopes, name, place) && holds(&barred.audience);
            match self.audience.wants(&*group, figures) {
                Some(false) => {}
                None => left_out.no_figure += 1,
                Some(true) if figures.gone => left_out.gone += 1,
                Some(true) if self.exclude.as_ref().is_some_and(holds) => left_out.excluded += 1,
                Some(true) if self.barred.iter().any(is_barred) => left_out.do_not_send += 1,
                Some(true) => {
                    let region = place.region.as_ref().map(ToString::to_string).unwrap_or_default();
                    *reached.platforms.entry(group.platform().to_owned()).or_default() += 1;
                    *reached.accounts.entry(name.account.to_string()).or_default() += 1;
                    *reached.regions.entry(region).or_default() += 1;
                    names.push(name.clone());
                }
            }
        }
        left_out.not_found = u64::try_from(missing.len()).unwrap_or(u64::MAX);
        names.sort_unstable();
        Ok(found)
    }
}

/// The groups a submitted broadcast goes to, by account, as the ledger keeps them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Frozen(BTreeMap<AccountId, Vec<crate::event::GroupId>>);

/// Writes the list down.
pub(super) fn freeze(broadcast: &str, names: &[GroupName]) -> Write {
    let mut frozen = Frozen::default();
    for name in names {
        frozen.0.entry(name.account.clone()).or_default().push(name.group.clone());
    }
    let body = serde_json::to_string(&frozen).expect("ids are text");
    Write::Put { kind: DocumentKind::BroadcastGroups, id: broadcast.to_owned(), body, expect: None }
}

/// Reads the list.
///
/// # Errors
/// When it is not one of ours.
pub(super) fn thaw(broadcast: &str, body: &str) -> Result<Vec<GroupName>, StorageError> {
    let Frozen(accounts) = serde_json::from_str(body).map_err(|error| StorageError::Unreadable {
        what: format!("groups of broadcast `{broadcast}`"),
        detail: error.to_string(),
    })?;
    let named = |(account, groups): (AccountId, Vec<_>)| {
        groups.into_iter().map(move |group| GroupName { account: account.clone(), group })
    };
    Ok(accounts.into_iter().flat_map(named).collect())
}

/// The list is not needed any more: the targets are there.
pub(super) fn forget(broadcast: &str) -> Write {
    Write::Delete { kind: DocumentKind::BroadcastGroups, id: broadcast.to_owned() }
}

/// Returns the next names after a cursor, and whether these are the last.
pub(super) fn next<'a>(
    names: &'a [GroupName],
    after: Option<&GroupName>,
    limit: usize,
) -> (&'a [GroupName], bool) {
    let from = after.map_or(0, |after| names.partition_point(|name| name <= after));
    let rest = names.get(from..).unwrap_or_default();
    (rest.get(..limit).unwrap_or(rest), rest.len() <= limit)
}
