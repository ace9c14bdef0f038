//! How much of what a figure rests on can be seen. Layer: pure core.
//!
//! A figure that rests on what a platform does not show is null, never 0, and says in how many of the groups it is shown.

use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much of what a figure is about can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All of it.
    #[default]
    Full,
    /// Some of the groups; the figure is of these.
    Partial,
    /// Nothing: the figure is null.
    Unavailable,
}

/// In how many of the groups what a figure rests on can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Covered {
    /// How much that is.
    pub coverage: Extent,
    /// Groups in which it can be seen, all the time that the figure is about.
    pub groups: u64,
    /// Groups in which it could be seen for a part of that time.
    #[serde(default)]
    pub partly: u64,
    /// Groups that the figure is about.
    pub of: u64,
    /// Since when it cannot be seen, where it cannot at the end of that time: the earliest of the groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub unavailable_since: Option<Timestamp>,
}

impl Covered {
    /// Says so many of so many.
    pub fn new(groups: u64, of: u64) -> Self {
        Self { groups, of, ..Self::default() }.judged()
    }

    /// Adds a group.
    pub fn add(&mut self, sighted: Sighted) {
        self.of += 1;
        match sighted.shown {
            Shown::Whole => self.groups += 1,
            Shown::Partly => self.partly += 1,
            Shown::Not => {}
        }
        let since = sighted.dark_since_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        self.unavailable_since = [self.unavailable_since, since].into_iter().flatten().min();
        *self = self.judged();
    }

    /// Keeps a figure that could be seen.
    pub fn known(self, figure: u64) -> Option<u64> {
        match self.coverage {
            Extent::Full | Extent::Partial => Some(figure),
            Extent::Unavailable => None,
        }
    }

    fn judged(self) -> Self {
        let coverage = match (self.groups, self.partly, self.of) {
            (groups, _, of) if groups >= of => Extent::Full,
            (0, 0, _) => Extent::Unavailable,
            _ => Extent::Partial,
        };
        Self { coverage, ..self }
    }
}

/// How much of a stretch of time was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// Some of it.
    Partly,
    /// Nothing.
    #[default]
    Not,
}

/// What could be seen of a group in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighted {
    /// How much of it.
    pub shown: Shown,
    /// Since when nothing can be seen, where that is so at its end.
    pub dark_since_ms: Option<i64>,
}

/// Seen from beginning to end.
pub const WHOLE: Sighted = Sighted { shown: Shown::Whole, dark_since_ms: None };

/// Turns that are kept; the oldest are forgotten.
const TURNS_MAX: usize = 256;

/// When what is said was shown and when not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// From when on it was shown, or was not; ascending, each unlike the one before it. Before the first it was not looked
    /// at: it is taken for the same as then.
    turns: Vec<(i64, bool)>,
    /// Times in which nobody watched, from and until, though it was shown.
    #[serde(skip)]
    gaps: Vec<(i64, i64)>,
}

impl Sight {
    /// Notes how it is from a time on; says whether that is news. The oldest turns are forgotten.
    pub fn turn(&mut self, at_ms: i64, is_shown: bool) -> bool {
        let is_news = self.turns.last().is_none_or(|(_, last)| *last != is_shown);
        if is_news {
            let at_ms = self.turns.last().map_or(at_ms, |(last_ms, _)| at_ms.max(*last_ms));
            self.turns.push((at_ms, is_shown));
            let over = self.turns.len().saturating_sub(TURNS_MAX);
            self.turns.drain(..over);
        }
        is_news
    }

    /// Takes in times, from and until, in which nobody watched.
    #[must_use]
    pub fn with_gaps(self, gaps: Vec<(i64, i64)>) -> Self {
        Self { gaps, ..self }
    }

    /// Says whether it is shown now.
    pub fn is_shown(&self) -> bool {
        self.turns.last().is_some_and(|(_, is_shown)| *is_shown)
    }

    /// Says how much of a stretch of time was shown; of one that holds nothing, how it was then.
    pub fn over(&self, range: &Range<i64>) -> Sighted {
        let (from_ms, until_ms) = (range.start, range.end.max(range.start + 1));
        let first = self.turns.partition_point(|(at_ms, _)| *at_ms <= from_ms).saturating_sub(1);
        let within = self.turns.iter().skip(first).take_while(|(at_ms, _)| *at_ms < until_ms);
        let (mut lit, mut dark, mut dark_since_ms) = (false, self.turns.is_empty(), None);
        let mut is_any = false;
        for (at_ms, is_shown) in within {
            is_any = true;
            lit |= *is_shown;
            dark |= !is_shown;
            dark_since_ms = (!is_shown).then_some(*at_ms);
        }
        // All of it lies before the first turn.
        if let (false, Some((at_ms, is_shown))) = (is_any, self.turns.first()) {
            (lit, dark, dark_since_ms) = (*is_shown, !is_shown, (!is_shown).then_some(*at_ms));
        }
        let is_unwatched = self.gaps.iter().any(|(from, until)| *from < until_ms && *until > from_ms);
        let shown = match (lit, dark || is_unwatched) {
            (true, false) => Shown::Whole,
            (true, true) => Shown::Partly,
            (false, _) => Shown::Not,
        };
        Sighted { shown, dark_since_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_null_where_nothing_can_be_seen_and_only_there() {
        for (groups, of, coverage, figure) in [
            (3, 3, Extent::Full, Some(7)),
            (0, 0, Extent::Full, Some(7)),
            (1, 3, Extent::Partial, Some(7)),
            (0, 3, Extent::Unavailable, None),
        ] {
            let covered = Covered::new(groups, of);
            assert_eq!((covered.coverage, covered.known(7)), (coverage, figure), "{groups} of {of}");
        }
    }

    #[test]
    fn groups_that_were_seen_for_a_part_make_it_partial() {
        let mut covered = Covered::default();
        let dark = |ms| Sighted { shown: Shown::Not, dark_since_ms: Some(ms) };
        covered.add(dark(9_000));
        assert_eq!((covered.coverage, covered.known(7)), (Extent::Unavailable, None));
        covered.add(Sighted { shown: Shown::Partly, dark_since_ms: Some(5_000) });
        assert_eq!(
            (covered.coverage, covered.groups, covered.partly, covered.of),
            (Extent::Partial, 0, 1, 2)
        );
        covered.add(WHOLE);
        let told = serde_json::to_value(covered).unwrap();
        let expected = serde_json::json!({
            "coverage": "partial", "groups": 1, "partly": 1, "of": 3, "unavailable_since": "1970-01-01T00:00:05Z"
        });
        assert_eq!(told, expected);
        assert_eq!(serde_json::from_value::<Covered>(told).unwrap(), covered);
    }

    #[test]
    fn a_stretch_is_seen_whole_in_part_or_not_and_since_when() {
        let mut sight = Sight::default();
        assert_eq!(sight.over(&(0..10)), Sighted::default(), "nothing was ever shown");
        assert!(sight.turn(100, true) && !sight.turn(150, true) && sight.turn(200, false));
        let table = [
            (0..50, Shown::Whole, None), // before anybody looked it was as it was found
            (120..200, Shown::Whole, None),
            (120..201, Shown::Partly, Some(200)),
            (200..300, Shown::Not, Some(200)),
            (250..250, Shown::Not, Some(200)),
        ];
        for (range, shown, dark_since_ms) in table {
            assert_eq!(sight.over(&range), Sighted { shown, dark_since_ms }, "{range:?}");
        }
        assert!(sight.turn(300, true));
        assert_eq!(sight.over(&(150..400)), Sighted { shown: Shown::Partly, dark_since_ms: None });
        let sight = sight.with_gaps(vec![(320, 330)]);
        assert_eq!(sight.over(&(300..320)).shown, Shown::Whole);
        assert_eq!(sight.over(&(300..321)).shown, Shown::Partly, "nobody watched");
        let mut many = Sight::default();
        (0..1_000).for_each(|n| _ = many.turn(n, n % 2 == 0));
        assert_eq!(many.turns.len(), TURNS_MAX);
        assert_eq!(many.over(&(999..1_000)), Sighted { shown: Shown::Not, dark_since_ms: Some(999) });
    }
}
