//! Which cells of a table are left out so that nobody can be told apart in them (最小人数).
//!
//! A cell behind which fewer people stand than the minimum is hidden. Its row and its column have sums that are shown, so a
//! cell hidden alone could be worked out: the next smallest are hidden with it, until two or more are and as many people
//! stand behind them together as the minimum asks for. Cells behind which nobody stands are shown: they tell of nobody.

/// What of a table is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Parts that are hidden as a whole.
    pub parts: Vec<bool>,
    /// Cells of each part.
    pub cells: Vec<Vec<bool>>,
}

/// Says what of a line is hidden, by the people behind each cell.
pub fn line(people: &[u64], minimum: u64) -> Vec<bool> {
    let mut hidden: Vec<bool> = people.iter().map(|people| is_few(*people, minimum)).collect();
    cover(people, &mut hidden, minimum);
    hidden
}

/// Says what of a table is hidden: the people behind each part as a whole, and behind its cells. All parts have as many cells.
pub fn table(wholes: &[u64], cells: &[Vec<u64>], minimum: u64) -> Hidden {
    let parts = line(wholes, minimum);
    let mut hidden: Vec<Vec<bool>> = cells
        .iter()
        .zip(&parts)
        .map(|(cells, whole)| cells.iter().map(|people| *whole || is_few(*people, minimum)).collect())
        .collect();
    let width = cells.first().map_or(0, Vec::len);
    // Whatever is hidden stays so: it ends when nothing is added.
    loop {
        let before = hidden.clone();
        for nth in 0..width {
            let column: Vec<u64> =
                cells.iter().map(|cells| cells.get(nth).copied().unwrap_or_default()).collect();
            let mut of_column: Vec<bool> =
                hidden.iter().map(|cells| cells.get(nth).copied().unwrap_or_default()).collect();
            cover(&column, &mut of_column, minimum);
            for (cells, is_hidden) in hidden.iter_mut().zip(of_column) {
                if let Some(cell) = cells.get_mut(nth) {
                    *cell = is_hidden;
                }
            }
        }
        for ((people, of_part), whole) in cells.iter().zip(&mut hidden).zip(&parts) {
            if !whole {
                cover(people, of_part, minimum);
            }
        }
        if hidden == before {
            return Hidden { parts, cells: hidden };
        }
    }
}

fn is_few(people: u64, minimum: u64) -> bool {
    (1..minimum).contains(&people)
}

/// Hides more of a line whose sum is shown, until what is hidden cannot be worked out.
fn cover(people: &[u64], hidden: &mut [bool], minimum: u64) {
    loop {
        let behind = people.iter().zip(&*hidden).filter(|(people, hidden)| **hidden && **people > 0);
        let (count, sum) = behind.fold((0, 0), |(count, sum), (people, _)| (count + 1, sum + people));
        if count == 0 || (count > 1 && sum >= minimum) {
            return;
        }
        let shown = people
            .iter()
            .enumerate()
            .filter(|(nth, people)| **people > 0 && hidden.get(*nth) == Some(&false));
        let Some((next, _)) = shown.min_by_key(|(nth, people)| (**people, *nth)) else { return };
        if let Some(cell) = hidden.get_mut(next) {
            *cell = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cell_hidden_alone_takes_the_next_smallest_with_it() {
        assert_eq!(line(&[3, 50, 20, 0], 5), [true, false, true, false]);
        assert_eq!(line(&[1, 1, 9, 50], 5), [true, true, true, false], "two people together are too few");
        assert_eq!(line(&[5, 9], 5), [false, false]);
        assert_eq!(line(&[3], 5), [true]);
        assert_eq!(line(&[0, 0], 5), [false, false]);
        assert_eq!(line(&[1, 2], 0), [false, false]);
    }

    #[test]
    fn a_part_that_is_hidden_hides_its_cells_and_columns_are_covered() {
        let cells = [vec![2, 1], vec![20, 30], vec![9, 40]];
        let found = table(&[3, 45, 44], &cells, 5);
        assert_eq!(found.parts, [true, false, true]);
        assert_eq!(found.cells[0], [true, true]);
        assert_eq!(found.cells[2], [true, true]);
    }

    proptest! {
        /// Of every line with a sum that is shown, no cell can be worked out, nor do the hidden ones together tell of few.
        #[test]
        fn nothing_hidden_can_be_worked_out(
            cells in (1_usize..5, 1_usize..5).prop_flat_map(|(rows, columns)| vec(vec(0_u64..30, columns), rows)),
            minimum in 0_u64..12,
        ) {
            let wholes: Vec<u64> = cells.iter().map(|cells| cells.iter().sum()).collect();
            let Hidden { parts, cells: hidden } = table(&wholes, &cells, minimum);
            let check = |people: &[u64], hidden: &[bool]| {
                let behind: Vec<u64> =
                    people.iter().zip(hidden).filter(|(p, h)| **h && **p > 0).map(|(p, _)| *p).collect();
                let is_all = people.iter().zip(hidden).all(|(p, h)| *h || *p == 0);
                behind.is_empty() || is_all || (behind.len() > 1 && behind.iter().sum::<u64>() >= minimum)
            };
            prop_assert!(check(&wholes, &parts));
            for (nth, people) in cells.iter().enumerate() {
                prop_assert!(parts[nth] || check(people, &hidden[nth]));
                for (of, is_hidden) in people.iter().zip(&hidden[nth]) {
                    prop_assert!(*is_hidden || *of == 0 || *of >= minimum);
                }
            }
            for nth in 0..cells[0].len() {
                let column: Vec<u64> = cells.iter().map(|cells| cells[nth]).collect();
                let of_column: Vec<bool> = hidden.iter().map(|cells| cells[nth]).collect();
                prop_assert!(check(&column, &of_column));
            }
        }
    }
}
