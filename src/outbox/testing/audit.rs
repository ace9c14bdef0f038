//! The auditor: knows when calls began and ended and what they weighed, and nothing of limiters.
//!
//! A platform may count a call at any moment from its start to its end, by a clock of its own. So a limit of N per W holds
//! if, wherever a window of W is laid, the calls that touch it weigh N together at most.

/// One call as an observer saw it, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) account: usize,
    pub(crate) group: u32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) weight: u64,
}

/// Returns the most that any window of `period` was touched by.
pub(crate) fn most_in_a_window(calls: &[Seen], period: i64) -> u64 {
    let mut by_start: Vec<_> = calls.iter().map(|call| (call.start, call.weight)).collect();
    let mut by_end: Vec<_> = calls.iter().map(|call| (call.end, call.weight)).collect();
    by_start.sort_unstable();
    by_end.sort_unstable();
    // The fullest window can be moved on until it begins with the end of a call. It is touched by every call that had begun
    // before its end, less those that had ended before its start.
    let (mut begun, mut ended, mut most) = (0, 0, 0);
    let (mut starts, mut ends) = (by_start.iter().peekable(), by_end.iter().peekable());
    for (from, _) in &by_end {
        while let Some((_, weight)) = starts.next_if(|(start, _)| *start < from + period) {
            begun += weight;
        }
        while let Some((_, weight)) = ends.next_if(|(end, _)| end < from) {
            ended += weight;
        }
        most = most.max(begun - ended);
    }
    most
}

#[test]
fn the_auditor_finds_what_is_too_much() {
    let call = |start, end, weight| Seen { account: 0, group: 0, start, end, weight };
    assert_eq!(most_in_a_window(&[], 10), 0);
    assert_eq!(most_in_a_window(&[call(0, 5, 3)], 10), 3);
    assert_eq!(most_in_a_window(&[call(0, 5, 1), call(14, 20, 1)], 10), 2, "counted at 5 and at 14");
    assert_eq!(most_in_a_window(&[call(0, 5, 1), call(15, 20, 1)], 10), 1);
    assert_eq!(most_in_a_window(&[call(0, 100, 1), call(50, 51, 7), call(90, 95, 2)], 10), 8);
    assert_eq!(most_in_a_window(&[call(3, 3, 1), call(2, 2, 1), call(1, 1, 1)], 2), 2, "in any order");
}
