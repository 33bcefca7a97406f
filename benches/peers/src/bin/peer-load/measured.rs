//! What a load measures: latencies of what ended in time, how often something had to be tried again, and the longest pause.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// As in `cluster::load`: the longest latency told from longer ones, and digits.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;
const LATENCY_DIGITS: u8 = 3;
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

#[derive(Debug)]
pub(crate) struct Measured {
    latencies: Histogram<u64>,
    /// Attempts that failed, or had no answer in time.
    pub(crate) retries: u64,
}

impl Measured {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, LATENCY_DIGITS);
        Self { latencies: latencies.expect("the bounds are constants"), retries: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        self.retries += other.retries;
    }

    pub(crate) fn object(&self, measured: Duration, longest_pause: Duration) -> Value {
        let micros = |part| self.latencies.value_at_quantile(part) as f64 / 1000.0;
        let latency: Value = QUANTILES.into_iter().map(|(name, part)| (name, json!(micros(part)))).collect();
        let seconds = measured.as_secs_f64();
        json!({
            "ops": self.latencies.len(),
            "seconds": seconds,
            "ops_per_s": self.latencies.len() as f64 / seconds,
            "latency_us": latency,
            "retries": self.retries,
            "longest_pause_ms": longest_pause.as_secs_f64() * 1000.0,
        })
    }
}

/// When something ended last, of all threads, and the longest time that nothing did.
#[derive(Debug)]
pub(crate) struct Progress {
    from: Instant,
    until: Instant,
    /// In nanoseconds after `from`.
    last: AtomicU64,
    longest: AtomicU64,
}

impl Progress {
    pub(crate) fn new(from: Instant, until: Instant) -> Self {
        Self { from, until, last: AtomicU64::new(0), longest: AtomicU64::new(0) }
    }

    /// Something ended, within the time that is measured.
    pub(crate) fn ended(&self, at: Instant) {
        let at = u64::try_from(at.duration_since(self.from).as_nanos()).unwrap_or(u64::MAX);
        let before = self.last.fetch_max(at, Ordering::Relaxed);
        self.longest.fetch_max(at.saturating_sub(before), Ordering::Relaxed);
    }

    /// Also counts from what ended last to the end.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.ended(self.until);
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_may_be_at_the_begin_between_or_at_the_end() {
        let pause = |ends: &[u64]| {
            let from = Instant::now();
            let progress = Progress::new(from, from + Duration::from_millis(100));
            ends.iter().for_each(|&at| progress.ended(from + Duration::from_millis(at)));
            progress.longest_pause().as_millis()
        };
        assert_eq!(pause(&[60, 70, 80]), 60);
        assert_eq!(pause(&[10, 20, 75]), 55);
        assert_eq!(pause(&[10, 20, 30]), 70);
        assert_eq!(pause(&[]), 100);
    }

    #[test]
    fn what_several_threads_measured_is_added_up() {
        let mut all = Measured::new();
        for millis in [1, 2, 3] {
            let mut one = Measured::new();
            one.record(Duration::from_millis(millis));
            one.retries = 1;
            all.add(&one);
        }
        let object = all.object(Duration::from_secs(2), Duration::from_millis(5));
        assert_eq!(
            (&object["ops"], &object["ops_per_s"], &object["retries"]),
            (&json!(3), &json!(1.5), &json!(3))
        );
        let median = object["latency_us"]["p50"].as_f64().expect("it is a number");
        assert!((1990.0..2010.0).contains(&median), "{median}");
    }
}
