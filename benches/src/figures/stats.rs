//! Means, and how far to trust them.

use hdrhistogram::Histogram;

/// Two-sided 95 % points of Student's t distribution, for 1, 2, … degrees of freedom.
const STUDENT_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// The same for more: the normal distribution's.
const NORMAL_95: f64 = 1.960;

/// The mean of some runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Mean {
    pub(super) mean: f64,
    /// Half the width of its 95 % confidence interval; 0 of one run, of which nothing is known.
    pub(super) margin: f64,
    pub(super) runs: usize,
}

impl Mean {
    #[expect(clippy::cast_precision_loss, reason = "there are few runs")]
    pub(super) fn of(values: &[f64]) -> Self {
        let runs = values.len();
        let count = runs as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        if runs < 2 {
            return Self { mean, margin: 0.0, runs };
        }
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = STUDENT_95.get(runs - 2).copied().unwrap_or(NORMAL_95);
        Self { mean, margin: t * (variance / count).sqrt(), runs }
    }

    /// The interval, not below zero.
    pub(super) fn interval(&self) -> (f64, f64) {
        ((self.mean - self.margin).max(0.0), self.mean + self.margin)
    }
}

/// Exponentially weighted moving average: each value counts `weight`, all before it the rest.
pub(super) fn ewma(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let mut average = None;
    let smooth = |&(x, y): &(f64, f64)| {
        let next = average.map_or(y, |before: f64| before + weight * (y - before));
        average = Some(next);
        (x, next)
    };
    points.iter().map(smooth).collect()
}

/// Milliseconds of a histogram of nanoseconds, at a quantile from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
pub(super) fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e6
}

pub(super) fn mean_ms(latencies: &Histogram<u64>) -> f64 {
    latencies.mean() / 1e6
}

/// The cumulative distribution: milliseconds, and the part of all that took no longer.
pub(super) fn cumulative(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    const PARTS: u32 = 200;
    let parts = (0..PARTS).map(|part| f64::from(part) / f64::from(PARTS)).chain([0.998, 0.999, 1.0]);
    parts.map(|part| (quantile_ms(latencies, part), part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_a_textbook() {
        // Five values of mean 6 and standard deviation √10: 2.776 · √(10 / 5).
        let mean = Mean::of(&[2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!((mean.mean - 6.0).abs() < 1e-12 && (mean.margin - 3.926).abs() < 1e-3, "{mean:?}");
        assert_eq!(Mean::of(&[7.0]), Mean { mean: 7.0, margin: 0.0, runs: 1 });
        assert_eq!(Mean { mean: 1.0, margin: 2.0, runs: 2 }.interval(), (0.0, 3.0));
    }

    #[test]
    fn an_average_moves_by_the_weight_of_each_value() {
        let points = [(0.0, 8.0), (1.0, 0.0), (2.0, 0.0)];
        assert_eq!(ewma(&points, 0.5), [(0.0, 8.0), (1.0, 4.0), (2.0, 2.0)]);
    }

    #[test]
    fn a_cumulative_distribution_rises_to_the_slowest() {
        let mut latencies = Histogram::<u64>::new(3).unwrap();
        (1..=1000).for_each(|ms| latencies.record(ms * 1_000_000).unwrap());
        let points = cumulative(&latencies);
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
        let &(slowest, part) = points.last().unwrap();
        assert!((slowest - 1000.0).abs() < 1.0 && (part - 1.0).abs() < 1e-12);
        assert!(points.iter().any(|&(ms, part)| (part - 0.5).abs() < 1e-12 && (ms - 500.0).abs() < 1.0));
    }
}
