//! Plain text tables: one heading, aligned columns, nothing a log or a README could not hold.

use std::fmt;

/// A table under construction; [`fmt::Display`] lays it out.
#[derive(Debug, Clone)]
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
    has_header: bool,
}

impl Table {
    /// A table of a name and a value per row.
    pub fn facts(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), has_header: false }
    }

    /// A table with a header row.
    pub fn columns(title: impl Into<String>, header: &[&str]) -> Self {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Self { title: title.into(), rows: vec![header], has_header: true }
    }

    /// Appends a name and its value.
    pub fn fact(&mut self, name: &str, value: impl fmt::Display) {
        self.rows.push(vec![name.to_owned(), value.to_string()]);
    }

    /// Appends a row of cells.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| shown_width(c)).max();
        (0..columns).map(|column| width(column).unwrap_or(0)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::from("  ");
            for (column, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column].saturating_sub(shown_width(cell)));
                // The first column names the row; figures read better flush right, but only under a header.
                let right = self.has_header && column > 0;
                let (before, after) = if right { (gap.as_str(), "") } else { ("", gap.as_str()) };
                line.extend([before, cell.as_str(), after, "  "]);
            }
            writeln!(f, "{}", line.trim_end())?;
            if index == 0 && self.has_header {
                writeln!(
                    f,
                    "  {}",
                    "-".repeat(widths.iter().map(|w| w + 2).sum::<usize>().saturating_sub(2))
                )?;
            }
        }
        Ok(())
    }
}

/// Chinese takes two columns in a terminal; everything else that we print takes one.
fn shown_width(text: &str) -> usize {
    text.chars().map(|c| if ('\u{2e80}'..='\u{ffe6}').contains(&c) { 2 } else { 1 }).sum()
}

/// Writes a number with thousands separators.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The middle value, or the mean of the two middle ones; none of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// Median and range; the range is left out where there is only one value.
pub fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    match (values.as_slice(), median(values.clone())) {
        ([low, .., high], Some(median)) => format!("{median:.digits$} ({low:.digits$}-{high:.digits$})"),
        (_, Some(only)) => format!("{only:.digits$}"),
        (_, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_also_beside_chinese() {
        let mut table = Table::columns("t", &["name", "n"]);
        table.row(vec!["门神".into(), "7".into()]);
        table.row(vec!["abc".into(), "1234".into()]);
        assert_eq!(table.to_string(), "t\n  name     n\n  ----------\n  门神     7\n  abc   1234\n");
    }

    #[test]
    fn a_spread_is_the_median_and_the_range() {
        for (values, text) in [
            (vec![], "-"),
            (vec![2.0], "2.0"),
            (vec![3.0, 1.0], "2.0 (1.0-3.0)"),
            (vec![9.0, 1.0, 2.0], "2.0 (1.0-9.0)"),
        ] {
            assert_eq!(spread(values, 1), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
