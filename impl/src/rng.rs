//! A small seeded generator of random numbers (splitmix64). The handlers use none: delays of timers, nonces
//! and the simulation's faults do, and a simulation must be repeatable from its seed.

use std::hash::{BuildHasher, RandomState};

use spec::Span;

/// Splitmix64 (Steele, Lea and Flood, 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that repeats itself for the same seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that differs from any other, seeded by the operating system through the standard
    /// library's hash keys.
    #[must_use]
    pub fn from_system() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0. The bias is below `limit` in 2⁶⁴.
    pub fn below(&mut self, limit: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(limit);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A part of `span`, from nothing up to almost all of it.
    pub fn part_of(&mut self, span: Span) -> Span {
        let part = self.below(u64::try_from(span.0).unwrap_or(0));
        Span(i64::try_from(part).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_parts_stay_in_range() {
        let (mut one, mut other) = (Rng::seeded(7), Rng::seeded(7));
        for limit in 0..1000 {
            let number = one.below(limit);
            assert_eq!(number, other.below(limit));
            assert!(number < limit.max(1));
        }
        assert_eq!(one.part_of(Span::ZERO), Span::ZERO);
    }
}
