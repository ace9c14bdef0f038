//! Reads what members of groups did, some groups at a time: rosters, days and hits as storage has them.

use hashbrown::HashMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::rule::{Facts, Sight};
use crate::event::{GroupName, HOUR_MS, Place};
use crate::storage::{Storage, StorageError};

const DAY_MS: i64 = 24 * HOUR_MS;
/// Hits of a group that are looked at; older ones are not known.
pub const HITS_READ: usize = 2_000;
/// Groups read together: enough that neighbours share pages, few enough to hold their members.
pub const GROUPS_TOGETHER: usize = 200;

/// A group, as whoever asks knows it.
#[derive(Clone, Debug)]
pub struct GroupOf {
    /// Its name.
    pub name: GroupName,
    /// Where it belongs.
    pub place: Place,
    /// By which its days are cut.
    pub time_zone: TimeZone,
    /// Its platform shows us messages.
    pub sees: bool,
}

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// So many days back, today among them; 0 for none, `None` for all there are.
    pub days: Option<u16>,
    /// Hits, too.
    pub hits: bool,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The platform's id.
    pub member: String,
    /// Display name, where told.
    pub name: Option<String>,
    /// Their person's number within the account.
    pub number: u64,
    /// Messages said there.
    pub messages: u64,
    /// When they came in last, where told.
    pub joined_ms: Option<i64>,
    /// The start of the hour in which they last said something that counts.
    pub last_spoke_ms: Option<i64>,
    /// When they went, of those who are not there any more.
    pub left_ms: Option<i64>,
    /// What they did.
    pub facts: Facts,
}

/// The members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPeople {
    /// What can be seen of it.
    pub sight: Sight,
    /// Present and past, by id.
    pub members: Vec<Member>,
}

/// What days tell of a person.
#[derive(Default)]
struct Trace {
    spoke: Vec<(i32, i64)>,
    /// The last move that took them out, if none brought them back.
    left_ms: Option<i64>,
}

/// Returns the day of a moment in a zone, from the epoch.
pub fn local_day(time_zone: &TimeZone, at_ms: i64) -> i32 {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    let offset_ms = i64::from(time_zone.to_offset(at).seconds()) * 1_000;
    i32::try_from((at_ms + offset_ms).div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// Reads the members of some groups. Blocking.
///
/// # Errors
/// When storage cannot be read.
pub fn read(
    storage: &dyn Storage,
    groups: &[GroupOf],
    extent: Extent,
    now_ms: i64,
) -> Result<Vec<GroupPeople>, StorageError> {
    let names: Vec<(String, String)> =
        groups.iter().map(|group| (group.name.account.to_string(), group.name.group.to_string())).collect();
    let mut traces: Vec<HashMap<u64, Trace>> = groups.iter().map(|_| HashMap::new()).collect();
    let mut spoken = vec![false; groups.len()];
    if extent.days != Some(0) {
        let today = u32::try_from(now_ms.div_euclid(DAY_MS)).unwrap_or_default();
        // A day of a zone lies in two or three of ours.
        let first = extent.days.map_or(0, |days| today.saturating_sub(u32::from(days) + 1));
        storage.days(&names, first..today.saturating_add(2), &mut |group, day, row| {
            let start_ms = i64::from(day) * DAY_MS;
            let (traces, zone) = (&mut traces[group], &groups[group].time_zone);
            row.spoke(&mut |person, hour, spoke| {
                spoken[group] = true;
                let at_ms = start_ms + i64::from(hour) * HOUR_MS;
                if spoke.is_active() && at_ms <= now_ms {
                    let trace = traces.entry(person.number).or_default();
                    trace.spoke.push((local_day(zone, at_ms), at_ms));
                }
            })?;
            row.moved(&mut |(of_day, person, kind)| {
                let trace = traces.entry(person.number).or_default();
                trace.left_ms = (!kind.is_in()).then_some(start_ms + i64::from(of_day));
            })
        })?;
    }
    let mut people = Vec::with_capacity(groups.len());
    for (group, spoken) in groups.iter().zip(spoken) {
        let today = local_day(&group.time_zone, now_ms);
        let sight = Sight { today, seen: group.sees || spoken, hits_since: i32::MIN };
        people.push(GroupPeople { sight, members: Vec::new() });
    }
    storage.rosters(&names, &mut |group, seat| {
        let zone = &groups[group].time_zone;
        let trace = traces[group].get(&seat.number);
        let spoke = trace.map_or(&[][..], |trace| trace.spoke.as_slice());
        let mut spoke_days: Vec<i32> = spoke.iter().map(|(day, _)| *day).collect();
        spoke_days.sort_unstable();
        spoke_days.dedup();
        people[group].members.push(Member {
            member: seat.member.to_owned(),
            name: seat.name.map(str::to_owned),
            number: seat.number,
            messages: seat.messages,
            joined_ms: seat.joined_ms,
            last_spoke_ms: spoke.iter().map(|(_, at_ms)| *at_ms).max(),
            left_ms: trace.filter(|_| !seat.present).and_then(|trace| trace.left_ms),
            facts: Facts {
                role: seat.role,
                present: seat.present,
                joined_day: seat.joined_ms.map(|at_ms| local_day(zone, at_ms)),
                first_day: local_day(zone, seat.first_ms),
                spoke_days,
                hits: Vec::new(),
            },
        });
    })?;
    for (group, people) in groups.iter().zip(&mut people) {
        people.members.sort_unstable_by(|a, b| a.member.cmp(&b.member));
        if extent.hits {
            add_hits(storage, group, people)?;
        }
    }
    Ok(people)
}

fn add_hits(storage: &dyn Storage, group: &GroupOf, people: &mut GroupPeople) -> Result<(), StorageError> {
    let hits = storage.hits(group.name.account.as_str(), group.name.group.as_str(), HITS_READ)?;
    if hits.len() == HITS_READ {
        let oldest = hits.last().map(|hit| local_day(&group.time_zone, hit.at_ms));
        people.sight.hits_since = oldest.unwrap_or_default().saturating_add(1);
    }
    for hit in hits {
        let found = people.members.binary_search_by(|member| member.member.as_str().cmp(&hit.member));
        if let Some(member) = found.ok().and_then(|at| people.members.get_mut(at)) {
            let day = local_day(&group.time_zone, hit.at_ms);
            member.facts.hits.push((day, hit.category, hit.wordlist));
        }
    }
    Ok(())
}
