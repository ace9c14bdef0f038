//! Charts as SVG: bars side by side, and a heat map. Every mark has a title with its exact figure.

use maud::{Markup, html};

/// Width and height of a chart, in the units of its own space.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 190.0;
/// Room for the scale at the left, the dates below, and the figures above.
const LEFT: f64 = 46.0;
const BELOW: f64 = 24.0;
const ABOVE: f64 = 12.0;

/// One row of bars.
pub(super) struct Series<'a> {
    /// What it shows.
    pub name: &'a str,
    /// How it is coloured.
    pub class: &'static str,
    /// A figure for each place; nothing where it cannot be seen.
    pub values: Vec<Option<u64>>,
}

/// Draws bars for several series side by side over the same places.
pub(super) fn bars(places: &[String], series: &[Series<'_>]) -> Markup {
    let max = series.iter().flat_map(|one| one.values.iter().flatten()).copied().max().unwrap_or_default();
    let top = round_up(max);
    let step = (WIDTH - LEFT) / count(places.len().max(1));
    let bar = step * 0.78 / count(series.len().max(1));
    let y = |value: u64| ABOVE + (HEIGHT - ABOVE - BELOW) * (1.0 - wide(value) / wide(top));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
            @for part in 0..=4_u64 {
                @let value = top * part / 4;
                line class="grid" x1=(LEFT) x2=(WIDTH) y1=(px(y(value))) y2=(px(y(value))) {}
                text class="scale" x=(LEFT - 6.0) y=(px(y(value) + 4.0)) { (short(value)) }
            }
            @for (nth, place) in places.iter().enumerate() {
                @let left = LEFT + step * count(nth);
                @for (row, one) in series.iter().enumerate() {
                    @let x = left + step * 0.11 + bar * count(row);
                    @if let Some(value) = one.values.get(nth).copied().flatten() {
                        rect class=(one.class) x=(px(x)) y=(px(y(value))) width=(px(bar * 0.92))
                            height=(px((HEIGHT - BELOW - y(value)).max(0.0))) {
                            title { (place) " · " (one.name) " " (value) }
                        }
                    }
                }
                @if nth % places.len().div_ceil(14) == 0 {
                    text class="place" x=(px(left + step / 2.0)) y=(HEIGHT - 7.0) { (tail(place)) }
                }
            }
        }
    }
}

/// Draws how much happens in each hour of the week.
pub(super) fn heat(week: &[Vec<Option<u64>>], weekdays: &[&str; 7]) -> Markup {
    let max = week.iter().flatten().copied().flatten().max().unwrap_or_default().max(1);
    let cell = (WIDTH - LEFT) / 24.0;
    let height = cell * 0.8;
    let space = format!("0 0 {WIDTH} {}", px(height * 7.0 + BELOW));
    html! {
        svg viewBox=(space) role="img" {
            @for (day, hours) in week.iter().take(7).enumerate() {
                @let y = height * count(day);
                text class="scale" x=(LEFT - 8.0) y=(px(y + height * 0.7)) { (weekdays[day]) }
                @for (hour, value) in hours.iter().take(24).enumerate() {
                    rect class="heat" x=(px(LEFT + cell * count(hour))) y=(px(y)) width=(px(cell - 2.0)) height=(px(height - 2.0))
                        fill-opacity=(format!("{:.3}", 0.06 + 0.94 * wide(value.unwrap_or_default()) / wide(max))) {
                        title { (weekdays[day]) " " (format!("{hour:02}:00")) " · " @match value { Some(value) => { (value) } None => { "—" } } }
                    }
                }
            }
            @for hour in (0..24_usize).step_by(3) {
                text class="place" x=(px(LEFT + cell * (count(hour) + 0.5))) y=(px(height * 7.0 + 16.0)) { (format!("{hour:02}")) }
            }
        }
    }
}

/// The next number that reads well on a scale of four parts.
fn round_up(max: u64) -> u64 {
    let mut unit = 4;
    loop {
        let found = [1, 2, 3, 5].into_iter().map(|of| unit * of).find(|top| *top >= max);
        if let Some(top) = found {
            return top;
        }
        unit *= 10;
    }
}

fn short(value: u64) -> String {
    match value {
        0..=9_999 => value.to_string(),
        10_000..=9_999_999 => format!("{}k", value / 1_000),
        _ => format!("{}M", value / 1_000_000),
    }
}

/// Month and day of a date.
fn tail(date: &str) -> &str {
    date.split_once('-').map_or(date, |(_, tail)| tail)
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[expect(clippy::cast_precision_loss, reason = "places on a picture")]
fn wide(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "places on a picture")]
fn count(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_the_largest_figure_and_have_four_whole_parts() {
        for max in [0, 1, 3, 4, 5, 9, 11, 37, 99, 100, 101, 999, 12_345, 1_000_001] {
            let top = round_up(max);
            assert!(top >= max && top.is_multiple_of(4) && top <= (max * 2).max(4), "{max}: {top}");
        }
    }

    #[test]
    fn what_cannot_be_seen_has_no_bar() {
        let series = [Series { name: "消息", class: "a", values: vec![Some(3), None, Some(0)] }];
        let drawn =
            bars(&["2026-11-01".into(), "2026-11-02".into(), "2026-11-03".into()], &series).into_string();
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("2026-11-01 · 消息 3"), "{drawn}");
    }
}
