//! Handing groups to another owner: how many a day, and how often.

use std::collections::{HashMap, VecDeque};

use crate::wecom::clock::day_of;
use crate::wecom::errcode;
use crate::wecom::groups::GroupNo;
use crate::wecom::people::StaffNo;

/// Groups an heir takes over in a day.
pub const PER_HEIR_AND_DAY: u32 = 300;
/// On-job transfers of a group in [`ON_JOB_DAYS`].
pub const PER_GROUP: usize = 2;
/// The days over which transfers of a group are counted.
pub const ON_JOB_DAYS: u32 = 90;
/// Groups whose transfers are remembered.
pub const GROUPS_MAX: usize = 200_000;

/// What was handed over.
#[derive(Debug, Default)]
pub struct Transfers {
    /// Day and count, by heir.
    heirs: HashMap<StaffNo, (u32, u32)>,
    /// Days of on-job transfers, the last two.
    on_job: HashMap<GroupNo, VecDeque<u32>>,
    /// Groups handed over, from owners who left and from owners who did not.
    pub done: [u64; 2],
}

impl Transfers {
    /// Counts a transfer, or says which code stands against it: 90508 for the heir's day, 90509 for the group's 90 days.
    ///
    /// The pages give 90500 to 90511 for these; which is which inside the range is our reading.
    pub(crate) fn take(
        &mut self,
        group: GroupNo,
        heir: StaffNo,
        is_on_job: bool,
        now_ms: u64,
    ) -> Result<(), i64> {
        let today = day_of(now_ms / 1_000);
        let taken = self.heirs.get(&heir).filter(|(day, _)| *day == today).map_or(0, |(_, count)| *count);
        if taken >= PER_HEIR_AND_DAY {
            return Err(errcode::HEIR_FULL);
        }
        if is_on_job {
            let has_room = self.on_job.len() < GROUPS_MAX || self.on_job.contains_key(&group);
            let days = self.on_job.entry(group).or_default();
            days.retain(|day| today < day + ON_JOB_DAYS);
            if days.len() >= PER_GROUP || !has_room {
                return Err(errcode::TRANSFERRED_OUT);
            }
            days.push_back(today);
        }
        self.heirs.insert(heir, (today, taken + 1));
        self.done[usize::from(is_on_job)] += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_767_225_600_000;
    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn an_heir_takes_three_hundred_a_day() {
        let mut transfers = Transfers::default();
        for group in 0..300 {
            assert_eq!(transfers.take(GroupNo(group), StaffNo(0), false, T), Ok(()));
        }
        assert_eq!(transfers.take(GroupNo(300), StaffNo(0), false, T), Err(90_508));
        assert_eq!(transfers.take(GroupNo(300), StaffNo(1), false, T), Ok(()));
        assert_eq!(transfers.take(GroupNo(301), StaffNo(0), false, T + DAY_MS), Ok(()));
        assert_eq!(transfers.done, [302, 0]);
    }

    #[test]
    fn a_group_changes_hands_twice_in_ninety_days_on_the_job() {
        let mut transfers = Transfers::default();
        let mut take = |heir, is_on_job, now_ms| transfers.take(GroupNo(0), StaffNo(heir), is_on_job, now_ms);
        assert_eq!(take(1, true, T), Ok(()));
        assert_eq!(take(2, true, T + DAY_MS), Ok(()));
        assert_eq!(take(3, true, T + 89 * DAY_MS), Err(90_509));
        assert_eq!(take(3, false, T + 89 * DAY_MS), Ok(()), "an owner who left is another matter");
        assert_eq!(take(3, true, T + 90 * DAY_MS), Ok(()));
        assert_eq!(take(3, true, T + 90 * DAY_MS), Err(90_509));
    }
}
