//! Which keys a load touches, and how often each.

use std::sync::Arc;

use crate::rng::Rng;

/// How often each of the keys is touched.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Distribution {
    /// All alike.
    Uniform,
    /// The k-th key in proportion to 1 / k^s: a few keys are touched most of the time.
    Zipf {
        /// The exponent s; YCSB uses 0.99.
        exponent: f64,
    },
}

/// A number of keys and their distribution.
#[derive(Clone, Debug)]
pub struct Keys {
    count: u64,
    /// For Zipf: how likely the key up to this index is, in 2⁶⁴ths, rising.
    cumulative: Option<Arc<[u64]>>,
}

impl Keys {
    /// `count` keys, at least one.
    #[must_use]
    pub fn new(count: u64, distribution: Distribution) -> Self {
        let count = count.max(1);
        let cumulative = match distribution {
            Distribution::Uniform => None,
            Distribution::Zipf { exponent } => Some(cumulative(count, exponent)),
        };
        Self { count, cumulative }
    }

    /// The index of the next key to touch.
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        match &self.cumulative {
            None => rng.below(self.count),
            Some(cumulative) => {
                let point = rng.next_u64();
                cumulative.partition_point(|&up_to| up_to < point) as u64
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn cumulative(count: u64, exponent: f64) -> Arc<[u64]> {
    let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let mut cumulative: Vec<u64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            (sum / total * u64::MAX as f64) as u64 // saturates
        })
        .collect();
    // Rounding must not leave a point without a key.
    *cumulative.last_mut().expect("there is a key") = u64::MAX;
    cumulative.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(distribution: Distribution) -> Vec<u32> {
        const KEYS: u64 = 100;
        let keys = Keys::new(KEYS, distribution);
        let mut rng = Rng::seeded(7);
        let mut times = vec![0; 100];
        for _ in 0..100_000 {
            times[usize::try_from(keys.draw(&mut rng)).unwrap()] += 1;
        }
        times
    }

    #[test]
    fn uniform_keys_are_touched_alike_and_a_zipf_key_in_proportion_to_its_rank() {
        assert!(drawn(Distribution::Uniform).iter().all(|times| (850..1150).contains(times)));
        let zipf = drawn(Distribution::Zipf { exponent: 1.0 });
        // 1 / H(100) = 0.1928 of all for the first, a tenth of that for the tenth.
        assert!((18_800..19_800).contains(&zipf[0]), "{}", zipf[0]);
        assert!((1_800..2_060).contains(&zipf[9]), "{}", zipf[9]);
    }

    #[test]
    fn one_key_is_always_the_first() {
        for distribution in [Distribution::Uniform, Distribution::Zipf { exponent: 0.99 }] {
            assert_eq!(Keys::new(0, distribution).draw(&mut Rng::seeded(1)), 0);
        }
    }
}
