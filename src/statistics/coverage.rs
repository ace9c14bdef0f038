//! How much of what a figure rests on can be seen. Layer: pure core.
//!
//! A figure that rests on what a platform does not show is null, never 0, and says in how many of the groups it is shown.

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
    /// Groups in which it can be seen.
    pub groups: u64,
    /// Groups that the figure is about.
    pub of: u64,
}

impl Covered {
    /// Says so many of so many.
    pub fn new(groups: u64, of: u64) -> Self {
        let coverage = match (groups, of) {
            (groups, of) if groups >= of => Extent::Full,
            (0, _) => Extent::Unavailable,
            _ => Extent::Partial,
        };
        Self { coverage, groups, of }
    }

    /// Keeps a figure that could be seen.
    pub fn known(self, figure: u64) -> Option<u64> {
        match self.coverage {
            Extent::Full | Extent::Partial => Some(figure),
            Extent::Unavailable => None,
        }
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
}
