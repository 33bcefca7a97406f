//! How long something took, counted by classes of fixed bounds.

use serde::Serialize;
use spec::Span;

/// The upper bounds of the classes, in seconds; one more class holds what took longer.
pub const BOUNDS_S: [f64; 16] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const NANOS_PER_SECOND: f64 = 1e9;

/// Durations by class. All of it starts at zero with the node.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize)]
pub struct Histogram {
    /// How many durations fell between the bound before and that of the same index in [`BOUNDS_S`]; the last, above all.
    pub counts: [u64; BOUNDS_S.len() + 1],
    /// The sum of all durations, in seconds.
    pub sum_s: f64,
}

impl Histogram {
    /// Counts one duration. One below zero counts as zero.
    #[expect(clippy::cast_precision_loss, reason = "classes are coarse")]
    pub fn note(&mut self, took: Span) {
        let seconds = took.0.max(0) as f64 / NANOS_PER_SECOND;
        self.counts[BOUNDS_S.partition_point(|&bound| bound < seconds)] += 1;
        self.sum_s += seconds;
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::millis;

    #[test]
    fn a_duration_falls_into_the_class_whose_bound_it_does_not_pass() {
        let mut histogram = Histogram::default();
        [Span(-1), Span(100_000), Span(100_001), millis(10_000), millis(10_001)]
            .into_iter()
            .for_each(|took| histogram.note(took));
        assert_eq!(histogram.counts[0], 2);
        assert_eq!(histogram.counts[1], 1);
        assert_eq!((histogram.counts[15], histogram.counts[16]), (1, 1));
        assert_eq!(histogram.count(), 5);
    }
}
