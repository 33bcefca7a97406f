//! Axes: what they show, and where their ticks are.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// How values are placed on an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// Equal steps have equal lengths.
    Linear,
    /// Equal ratios have equal lengths. What is not positive is placed at the least value that there is room for.
    Log,
}

/// The least value that a logarithmic axis places.
const LOG_MIN: f64 = 1e-9;

impl Scale {
    /// Where a value is placed.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(LOG_MIN).log10(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => 10_f64.powf(place),
        }
    }
}

/// An axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What it shows, with the unit.
    pub(crate) label: String,
    /// How values are placed.
    pub(crate) scale: Scale,
    /// The least and greatest value that is shown whatever there is.
    pub(crate) reach: Vec<f64>,
    /// Where ticks are; none: where it is round.
    pub(crate) ticks: Option<Vec<f64>>,
}

/// Where an axis begins and ends, and its ticks, as they are placed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ruler {
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Ruler {
    /// The values at its ends.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.scale.value(self.from), self.scale.value(self.to))
    }
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "pixels of a drawing")]
    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (self.scale.place(*value) - self.from) / (self.to - self.from);
        (f64::from(low) + part * f64::from(high - low)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        let bold = !hint.weight().allow_light_points();
        self.ticks.iter().filter(|_| bold).map(|&tick| self.scale.value(tick)).collect()
    }

    fn range(&self) -> Range<f64> {
        let (from, to) = self.ends();
        from..to
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format(value: &f64) -> String {
        number(*value)
    }
}

/// About how many steps an axis has.
const STEPS: f64 = 6.0;
/// A logarithmic axis of fewer decades has ticks within them.
const DECADES_MANY: f64 = 2.5;

impl Axis {
    /// A linear axis from zero.
    pub(crate) fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, reach: vec![0.0], ticks: None }
    }

    /// A logarithmic axis.
    pub(crate) fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log, reach: Vec::new(), ticks: None }
    }

    /// The same, which shows these values whatever there is.
    pub(crate) fn reaching(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.reach.extend(values);
        self
    }

    /// The same with ticks at these values only, from the first to the last of them.
    pub(crate) fn with_ticks(mut self, ticks: impl IntoIterator<Item = f64>) -> Self {
        self.ticks = Some(ticks.into_iter().collect());
        self.reach.clear();
        self
    }

    pub(super) fn ruler(&self, values: impl Iterator<Item = f64>) -> Ruler {
        let given = self.reach.iter().chain(self.ticks.iter().flatten()).copied();
        let places =
            values.chain(given).filter(|value| value.is_finite()).map(|value| self.scale.place(value));
        let (low, high) =
            places.fold((f64::MAX, f64::MIN), |(low, high), place| (low.min(place), high.max(place)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let high = if high - low < 1e-12 { low + 1.0 } else { high };
        let mut ruler = match self.scale {
            Scale::Linear => linear(low, high),
            Scale::Log => logarithmic(low, high),
        };
        if let Some(ticks) = &self.ticks {
            let margin = (high - low) * 0.05;
            ruler.ticks = ticks.iter().map(|&tick| self.scale.place(tick)).collect();
            (ruler.from, ruler.to) = (low - margin, high + margin);
        }
        ruler
    }
}

fn linear(low: f64, high: f64) -> Ruler {
    let step = round_step((high - low) / STEPS);
    let (from, to) = ((low / step).floor() * step, (high / step - 1e-9).ceil() * step);
    Ruler { scale: Scale::Linear, from, to, ticks: steps(from, to, step) }
}

/// Ticks at powers of ten, and at two and five times them where there are few.
fn logarithmic(low: f64, high: f64) -> Ruler {
    let parts: &[f64] = if high - low > DECADES_MANY { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let ticks: Vec<f64> = steps(low.floor() - 1.0, high.ceil() + 1.0, 1.0)
        .into_iter()
        .flat_map(|decade| parts.iter().map(move |part| decade + part.log10()))
        .collect();
    let from = ticks.iter().copied().filter(|&tick| tick <= low + 1e-9).fold(low.floor(), f64::max);
    let to = ticks.iter().copied().filter(|&tick| tick >= high - 1e-9).fold(high.ceil(), f64::min);
    let within = |tick: &f64| (from - 1e-9..=to + 1e-9).contains(tick);
    Ruler { scale: Scale::Log, from, to, ticks: ticks.into_iter().filter(within).collect() }
}

fn steps(from: f64, to: f64, step: f64) -> Vec<f64> {
    let mut ticks = vec![from];
    while let Some(&last) = ticks.last()
        && last + step <= to + step * 1e-6
    {
        ticks.push(last + step);
    }
    ticks
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let parts = [1.0, 2.0, 2.5, 5.0, 10.0];
    let part = parts.into_iter().find(|part| part * decade >= least * 0.999).unwrap_or(10.0);
    part * decade
}

/// A number with commas between thousands, and as many digits behind the point as tell something.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    let digits = match magnitude {
        _ if magnitude < 1e-12 => 0,
        _ if (magnitude - magnitude.round()).abs() < 1e-9 || magnitude >= 1000.0 => 0,
        _ if magnitude >= 100.0 => 1,
        _ if magnitude >= 10.0 => 2,
        _ if magnitude >= 1.0 => 3,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    part.map_or(format!("{sign}{grouped}"), |part| format!("{sign}{grouped}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(axis: &Axis, values: &[f64]) -> Vec<String> {
        let ruler = axis.ruler(values.iter().copied());
        ruler.ticks.iter().map(|&tick| number(axis.scale.value(tick))).collect()
    }

    #[test]
    fn ticks_are_round_and_reach_around_all_values() {
        assert_eq!(words(&Axis::linear(""), &[0.0, 11.3]), ["0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(words(&Axis::linear(""), &[0.1, 0.58]), ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]);
        assert_eq!(words(&Axis::log(""), &[3.0, 40.0]), ["2", "5", "10", "20", "50"]);
        assert_eq!(words(&Axis::log(""), &[0.3, 4000.0]), ["0.1", "1", "10", "100", "1,000", "10,000"]);
        assert_eq!(words(&Axis::linear("").with_ticks([3.0, 15.0]), &[7.0]), ["3", "15"]);
    }

    #[test]
    fn values_that_are_none_or_all_alike_leave_an_axis() {
        for values in [&[][..], &[5.0, 5.0], &[f64::NAN]] {
            for axis in [Axis::linear(""), Axis::log("")] {
                let ruler = axis.ruler(values.iter().copied());
                assert!(ruler.to > ruler.from && ruler.ticks.len() > 1, "{values:?} {ruler:?}");
            }
        }
    }

    #[test]
    fn numbers_are_grouped_and_have_the_digits_that_tell_something() {
        let table =
            [(1_234_567.0, "1,234,567"), (999.0, "999"), (0.25, "0.25"), (14.9, "14.9"), (-1200.4, "-1,200")];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }
}
