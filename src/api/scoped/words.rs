//! Words of the visible groups, each person once, within the caller's scope.

use hashbrown::HashSet;
use jiff::ToSpan as _;
use jiff::civil::Date;

use super::figures::names;
use crate::alerts::baseline::Sensitivity;
use crate::api::error::ApiResult;
use crate::api::state::Cx;
use crate::directory::{GroupFilter, GroupFound};
use crate::statistics::coverage::{Covered, Shown};
use crate::statistics::days::DAY_MS;
use crate::statistics::listener::number_of;
use crate::statistics::words::{DAYS_BEFORE, Listed, Risen, Tally, rising};
use crate::storage::{Storage, StorageError, WordsShare};

/// Groups that are read together.
const BATCH: usize = 500;

/// Words of a day.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct ScopedWords {
    /// When they were read.
    pub(in crate::api) as_of_ms: i64,
    /// Groups, and those whose messages can be seen.
    pub(in crate::api) coverage: Covered,
    /// Messages that were looked at there.
    pub(in crate::api) messages: u64,
    /// Customers who wrote them.
    pub(in crate::api) speakers: u64,
    /// How many messages of that day were looked at, over all groups of the house.
    pub(in crate::api) share: WordsShare,
    /// Days before on which anybody spoke there.
    pub(in crate::api) days_before: usize,
    /// The words, those that rose fastest first; nothing while too few days are known.
    pub(in crate::api) risen: Option<Vec<Risen>>,
}

impl Cx {
    /// Returns which words of a day more people say than usual, in the visible groups.
    pub(in crate::api) async fn rising_words(
        &self,
        filter: GroupFilter,
        date: Date,
    ) -> ApiResult<ScopedWords> {
        let as_of_ms = self.now_ms();
        let found = self.directory().groups_in(self.scope(), &filter, None, usize::MAX);
        let days: Vec<u32> = (0..=DAYS_BEFORE)
            .map(|back| {
                let back = i64::try_from(back).unwrap_or_default().days();
                number_of(date.checked_sub(back).unwrap_or(Date::MIN))
            })
            .collect();
        let first = days.last().copied().unwrap_or_default();
        self.check_group_days(found.len(), first..number_of(date) + 1).await?;
        // The day, in whatever zone.
        let day = i64::from(number_of(date));
        let range = (day - 1) * DAY_MS..(day + 2) * DAY_MS;
        let sights = self.sights(&found, range.start, range.end).await?;
        let is_shown = |group: &GroupFound| {
            let sight = sights.get(group.context.account.id.as_str());
            sight.is_some_and(|sight| sight.over(&range).shown != Shown::Not)
        };
        let shown: Vec<bool> = found.iter().map(is_shown).collect();
        let people_min = self.statistics_config().words_people_min.max(1);
        self.blocking(move |storage| {
            let mut seen: HashSet<usize> =
                (0..found.len()).filter(|nth| shown.get(*nth) == Some(&true)).collect();
            let (day, before) = days.split_first().unwrap_or((&0, &[]));
            let today = read(storage, &found, *day, &|_| true, &mut seen)?.list(people_min);
            let mut listed = Vec::with_capacity(before.len());
            for day in before {
                let tally = read(storage, &found, *day, &|word| today.words.contains_key(word), &mut seen)?;
                listed.push(Some(tally.list(1)).filter(|day| day.messages > 0));
            }
            Ok(ScopedWords {
                as_of_ms,
                coverage: Covered::new(seen.len() as u64, found.len() as u64),
                messages: today.messages,
                speakers: today.speakers,
                share: storage.words_share(*day)?,
                days_before: listed.iter().flatten().count(),
                risen: rise(&today, &listed),
            })
        })
        .await
    }
}

fn rise(today: &Listed, before: &[Option<Listed>]) -> Option<Vec<Risen>> {
    rising(today, before, Sensitivity::High)
}

/// Adds up the words of groups on a day. What was posted to us is seen, whatever the platform shows.
fn read(
    storage: &dyn Storage,
    found: &[GroupFound],
    day: u32,
    wanted: &dyn Fn(&str) -> bool,
    seen: &mut HashSet<usize>,
) -> Result<Tally, StorageError> {
    let mut tally = Tally::default();
    for (nth, batch) in found.chunks(BATCH).enumerate() {
        storage.words(&names(batch), day, &mut |group, row| {
            seen.insert(nth * BATCH + group);
            tally.add(row, wanted)
        })?;
    }
    Ok(tally)
}
