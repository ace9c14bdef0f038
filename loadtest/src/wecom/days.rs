//! What a group did on each of the last days, as statistics need it.
//!
//! A row a day on which anything happened; rows older than the platform's own memory are folded into one sum.

/// How far back statistics reach, in days.
pub(crate) const DAYS_KEPT: u32 = 180;

/// One day of one group.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    day: u32,
    joined: u32,
    left: u32,
    messages: u32,
    /// People who spoke for the first time.
    speakers: u32,
}

/// The days of a group, oldest first.
#[derive(Debug, Default)]
pub(crate) struct DayLog {
    rows: Vec<Row>,
    messages_before: u64,
    speakers_before: u64,
    first_message_day: Option<u32>,
}

impl DayLog {
    fn row(&mut self, day: u32) -> &mut Row {
        if self.rows.last().is_none_or(|row| row.day < day) {
            while let Some(oldest) = self.rows.first()
                && oldest.day + DAYS_KEPT + 1 < day
            {
                self.messages_before += u64::from(oldest.messages);
                self.speakers_before += u64::from(oldest.speakers);
                self.rows.remove(0);
            }
            self.rows.push(Row { day, ..Row::default() });
        }
        // Time never runs backwards in one world; a clock set back counts for the last day it had.
        self.rows.last_mut().expect("pushed above when empty")
    }

    pub(crate) fn joined(&mut self, day: u32, count: u32) {
        self.row(day).joined += count;
    }

    pub(crate) fn left(&mut self, day: u32, count: u32) {
        self.row(day).left += count;
    }

    pub(crate) fn message(&mut self, day: u32, is_first_of_speaker: bool) {
        self.first_message_day.get_or_insert(day);
        let row = self.row(day);
        row.messages += 1;
        row.speakers += u32::from(is_first_of_speaker);
    }

    /// Who joined on a day.
    pub(crate) fn joined_on(&self, day: u32) -> u64 {
        self.rows.iter().find(|row| row.day == day).map_or(0, |row| u64::from(row.joined))
    }

    /// How many were in it at the end of a day, from how many are now.
    pub(crate) fn members_at_end(&self, day: u32, members_now: usize) -> u64 {
        let later = self.rows.iter().rev().take_while(|row| row.day > day);
        let change: i64 = later.map(|row| i64::from(row.joined) - i64::from(row.left)).sum();
        let now = i64::try_from(members_now).unwrap_or(i64::MAX);
        u64::try_from(now - change).unwrap_or(0)
    }

    /// Messages up to the end of a day.
    pub(crate) fn messages_until(&self, day: u32) -> u64 {
        let rows = self.rows.iter().take_while(|row| row.day <= day);
        self.messages_before + rows.map(|row| u64::from(row.messages)).sum::<u64>()
    }

    /// People who have spoken up to the end of a day.
    pub(crate) fn speakers_until(&self, day: u32) -> u64 {
        let rows = self.rows.iter().take_while(|row| row.day <= day);
        self.speakers_before + rows.map(|row| u64::from(row.speakers)).sum::<u64>()
    }

    /// Whether there was any message up to the end of a day.
    pub(crate) fn has_message_until(&self, day: u32) -> bool {
        self.first_message_day.is_some_and(|first| first <= day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_summed_as_the_platform_reads_them() {
        let mut log = DayLog::default();
        log.joined(10, 5);
        log.message(11, true);
        log.message(11, false);
        log.left(12, 2);
        log.joined(12, 1);
        log.message(12, true);
        assert_eq!((log.joined_on(10), log.joined_on(11), log.joined_on(12)), (5, 0, 1));
        let members: Vec<u64> = (9..=13).map(|day| log.members_at_end(day, 4)).collect();
        assert_eq!(members, [0, 5, 5, 4, 4]);
        assert_eq!((log.messages_until(10), log.messages_until(11), log.messages_until(12)), (0, 2, 3));
        assert_eq!((log.speakers_until(11), log.speakers_until(12)), (1, 2));
        assert!(!log.has_message_until(10) && log.has_message_until(11));
    }

    #[test]
    fn old_rows_are_folded_and_their_messages_kept() {
        let mut log = DayLog::default();
        for day in 0..1_000 {
            log.message(day, day % 2 == 0);
        }
        assert!(log.rows.len() <= 182, "{}", log.rows.len());
        assert_eq!((log.messages_until(999), log.speakers_until(999)), (1_000, 500));
    }
}
