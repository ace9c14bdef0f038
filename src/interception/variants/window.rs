//! Which stretches of a text are read in other ways: what lies around the places where the gate opened.

use std::ops::Range;

use super::gate::Open;
use crate::interception::fold::Unit;

/// Characters on either side of a mark that may belong to a term with it.
const AROUND: usize = 12;

/// Characters that one of a term may be written with where more of it is to come: three parts, a syllable of letters.
pub(super) const SPREAD: usize = 3;

/// Characters beside a run that may belong to its first and last one: repeats, parts.
pub(super) const BESIDE: usize = 2;

/// Characters beside a window that are read to weigh what stands in it.
pub(super) const CONTEXT: usize = super::ordinary::CONTEXT + 2;

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// In bytes.
    pub(super) span: Range<usize>,
    /// What is looked for begins before this byte.
    pub(super) starts_before: usize,
}

impl Window {
    /// A whole text.
    pub(super) fn all(text: &str) -> Self {
        Self { span: 0..text.len(), starts_before: text.len() }
    }

    /// From a character to another, with what is skipped on either side: a plus may be the first of a term.
    fn new(text: &str, units: &[Unit], first: usize, last: usize, starts_before: usize) -> Self {
        let start = first.checked_sub(1).and_then(|before| units.get(before)).map_or(0, |unit| unit.end);
        let end = units.get(last + 1).map_or(text.len(), |unit| unit.start);
        Self { span: start..end.max(start), starts_before }
    }

    /// Around a run of a term's sounds.
    pub(super) fn of_run(text: &str, units: &[Unit], open: &Open) -> Self {
        let reach = |sounds: u8| (usize::from(sounds) * SPREAD).min(AROUND) + BESIDE;
        let first = open.first.saturating_sub(reach(open.before));
        let starts_before = units.get(open.first).map_or(0, |unit| unit.end);
        Self::new(text, units, first, open.last + reach(open.after), starts_before)
    }

    /// Around a mark, which may be skipped itself.
    pub(super) fn of_mark(text: &str, units: &[Unit], at: usize) -> Self {
        let unit = units.partition_point(|unit| unit.end <= at);
        let mut window = Self::new(text, units, unit.saturating_sub(AROUND), unit + AROUND, 0);
        window.starts_before = window.span.end;
        window
    }

    /// Says whether another one adds nothing to it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.span.start <= other.span.start
            && other.span.end <= self.span.end
            && other.starts_before <= self.starts_before
    }

    /// Adds as much as is needed to weigh what stands in it.
    pub(super) fn with_context(units: &[Unit], windows: &[Self]) -> Range<usize> {
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return 0..0 };
        let from = units.partition_point(|unit| unit.end <= first.span.start).saturating_sub(CONTEXT);
        let to = units.partition_point(|unit| unit.start < last.span.end) + CONTEXT;
        let start = units.get(from).map_or(0, |unit| unit.start).min(first.span.start);
        start..units.get(to).or(units.last()).map_or(0, |unit| unit.end).max(last.span.end)
    }
}

/// Says whether one of some joined windows covers another.
pub(super) fn covering(joined: &[Window], other: &Window) -> bool {
    let next = joined.partition_point(|window| window.span.start <= other.span.start);
    next.checked_sub(1).and_then(|last| joined.get(last)).is_some_and(|window| window.covers(other))
}

/// Sorts windows and joins those that meet.
pub(super) fn join(windows: &mut Vec<Window>) {
    windows.sort_unstable_by_key(|window| window.span.start);
    windows.dedup_by(|next, window| {
        let meet = next.span.start <= window.span.end;
        if meet {
            window.span.end = window.span.end.max(next.span.end);
            window.starts_before = window.starts_before.max(next.starts_before);
        }
        meet
    });
}
