//! Business results by kind: how many, and what they are worth.

use std::collections::BTreeMap;

use crate::statistics::days::Facet;

/// Results of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// How many.
    pub count: u64,
    /// What they are worth, less what was taken off again, in millionths of the brand's unit.
    pub value_micros: i64,
}

/// Sums up the results of a stretch.
pub fn outcomes(facets: &BTreeMap<Facet, u64>) -> BTreeMap<&str, Outcomes> {
    let mut by: BTreeMap<&str, Outcomes> = BTreeMap::new();
    let signed = |micros: u64| i64::try_from(micros).unwrap_or(i64::MAX);
    for (facet, number) in facets {
        if let Facet::Outcome(kind) = facet {
            by.entry(kind).or_default().count += number;
        } else if let Facet::Gained(kind) = facet {
            let value = &mut by.entry(kind).or_default().value_micros;
            *value = value.saturating_add(signed(*number));
        } else if let Facet::Lost(kind) = facet {
            let value = &mut by.entry(kind).or_default().value_micros;
            *value = value.saturating_sub(signed(*number));
        }
    }
    by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_and_their_values_netted() {
        let facets = BTreeMap::from([
            (Facet::Outcome("order".into()), 3),
            (Facet::Gained("order".into()), 90_000_000),
            (Facet::Lost("order".into()), 30_500_000),
            (Facet::Outcome("click".into()), 7),
            (Facet::Question, 2),
        ]);
        let expect = [
            ("click", Outcomes { count: 7, value_micros: 0 }),
            ("order", Outcomes { count: 3, value_micros: 59_500_000 }),
        ];
        assert_eq!(outcomes(&facets).into_iter().collect::<Vec<_>>(), expect);
    }
}
