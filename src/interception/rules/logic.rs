//! All, any, none, near: is a rule met by what was seen?
//!
//! Pure arithmetic over occurrences; where they come from is not its matter.

/// A term seen in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interception) struct Occurrence {
    /// The term, as a number.
    pub(in crate::interception) part: u32,
    /// Positions in the folded text, half-open.
    pub(in crate::interception) units: [usize; 2],
}

/// The terms of a rule, as numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::interception) struct Logic {
    pub(super) all: Vec<u32>,
    pub(super) any: Vec<u32>,
    pub(super) none: Vec<u32>,
    pub(super) near_chars: Option<usize>,
}

/// Says where the text meets the rule: from the beginning of the first term that counts to the end of the last.
///
/// `earlier` says whether a term was seen in an earlier message that counts; at least one must be in this text.
pub(in crate::interception) fn met(
    logic: &Logic,
    seen: &[Occurrence],
    earlier: &dyn Fn(u32) -> bool,
) -> Option<[usize; 2]> {
    let here = |part: u32| seen.iter().any(|occurrence| occurrence.part == part);
    let anywhere = |part: &u32| here(*part) || earlier(*part);
    let is_met = logic.all.iter().all(anywhere)
        && (logic.any.is_empty() || logic.any.iter().any(anywhere))
        && !logic.none.iter().any(anywhere);
    if !is_met {
        return None;
    }
    if let Some(chars) = logic.near_chars {
        return nearest(logic, seen, chars);
    }
    let firsts = logic.all.iter().chain(&logic.any);
    let firsts = firsts.filter_map(|part| seen.iter().find(|occurrence| occurrence.part == *part));
    firsts
        .map(|occurrence| occurrence.units)
        .reduce(|hull, units| [hull[0].min(units[0]), hull[1].max(units[1])])
}

/// Finds the last stretch that holds every term of `all` and one of `any`, with at most `chars` characters between
/// the end of its first and the beginning of its last.
///
/// Goes over the ends from right to left: with `end` as the earliest end, each group does best with the occurrence
/// that begins first among those that end at `end` or later. One pass after sorting, whatever is seen how often.
fn nearest(logic: &Logic, seen: &[Occurrence], chars: usize) -> Option<[usize; 2]> {
    let groups = logic.all.len() + usize::from(!logic.any.is_empty());
    let groups_of = |part: u32| {
        let in_all = logic.all.iter().enumerate().filter(move |(_, p)| **p == part).map(|(group, _)| group);
        in_all.chain(logic.any.contains(&part).then_some(logic.all.len()))
    };
    let mut by_end: Vec<&Occurrence> = seen.iter().collect();
    by_end.sort_unstable_by_key(|occurrence| std::cmp::Reverse(occurrence.units[1]));
    let mut first_of: Vec<Option<[usize; 2]>> = vec![None; groups];
    for occurrence in by_end {
        for group in groups_of(occurrence.part) {
            let best = &mut first_of[group];
            if best.is_none_or(|best| occurrence.units[0] <= best[0]) {
                *best = Some(occurrence.units);
            }
        }
        let end = occurrence.units[1];
        let chosen: Option<Vec<[usize; 2]>> = first_of.iter().copied().collect();
        let Some(chosen) = chosen else { continue };
        if chosen.iter().all(|units| units[0] <= end + chars) {
            return chosen.into_iter().reduce(|hull, units| [hull[0].min(units[0]), hull[1].max(units[1])]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tries every choice of one occurrence for each group.
    fn naive(logic: &Logic, seen: &[Occurrence], earlier: &[u32]) -> bool {
        let anywhere =
            |part: &u32| earlier.contains(part) || seen.iter().any(|occurrence| occurrence.part == *part);
        if logic.none.iter().any(anywhere) {
            return false;
        }
        let mut groups: Vec<Vec<u32>> = logic.all.iter().map(|part| vec![*part]).collect();
        if !logic.any.is_empty() {
            groups.push(logic.any.clone());
        }
        let Some(chars) = logic.near_chars else {
            return groups.iter().all(|group| group.iter().any(anywhere))
                && groups.iter().flatten().any(|part| seen.iter().any(|o| o.part == *part));
        };
        let mut choices: Vec<Vec<[usize; 2]>> = vec![Vec::new()];
        for group in &groups {
            let of_group: Vec<_> = seen.iter().filter(|o| group.contains(&o.part)).map(|o| o.units).collect();
            choices = choices
                .iter()
                .flat_map(|choice| of_group.iter().map(|units| [choice.as_slice(), &[*units]].concat()))
                .collect();
        }
        choices.iter().any(|choice| {
            let first_end = choice.iter().map(|units| units[1]).min();
            let last_start = choice.iter().map(|units| units[0]).max();
            matches!((first_end, last_start), (Some(end), Some(start)) if start <= end + chars)
        })
    }

    fn parts(max: usize) -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0_u32..5, 0..max)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_rule_is_met_when_a_naive_search_says_so(
            all in parts(4), any in parts(3), none in parts(2),
            near_chars in prop::option::of(0_usize..12),
            seen in prop::collection::vec((0_u32..6, 0_usize..30, 1_usize..5), 0..10),
            earlier in parts(3),
        ) {
            prop_assume!(!all.is_empty() || !any.is_empty());
            let seen: Vec<_> = seen
                .into_iter()
                .map(|(part, start, length)| Occurrence { part, units: [start, start + length] })
                .collect();
            // What is near must be in one message.
            let earlier = if near_chars.is_some() { Vec::new() } else { earlier };
            let logic = Logic { all, any, none, near_chars };
            let found = met(&logic, &seen, &|part| earlier.contains(&part));
            prop_assert_eq!(found.is_some(), naive(&logic, &seen, &earlier));
            if let Some([start, end]) = found {
                prop_assert!(seen.iter().any(|o| o.units[0] == start) && seen.iter().any(|o| o.units[1] == end));
            }
        }
    }
}
