//! Which of a server's disks it runs on, and which start on that disk this is.

use serde::{Deserialize, Serialize};
use spec::Incarnation;

/// What stands for a server from one start to the next, in order: the incarnation of its disk, then how often it was started
/// on it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Life(u64);

impl Life {
    /// The lower bits count starts, up to four million; the upper ones have room for milliseconds until 2109.
    const BOOTS_BITS: u32 = 22;
    /// The highest incarnation that can be told from others.
    pub const INCARNATION_MAX: Incarnation = u64::MAX >> Self::BOOTS_BITS;

    /// The `boots`-th start on the disk of this incarnation.
    #[must_use]
    pub fn new(incarnation: Incarnation, boots: u64) -> Self {
        let boots_max = (1 << Self::BOOTS_BITS) - 1;
        Self((incarnation.min(Self::INCARNATION_MAX) << Self::BOOTS_BITS) | boots.min(boots_max))
    }

    /// The life that a datagram says.
    #[must_use]
    pub fn of_number(number: u64) -> Self {
        Self(number)
    }

    /// As a datagram says it.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// Which disk.
    #[must_use]
    pub fn incarnation(self) -> Incarnation {
        self.0 >> Self::BOOTS_BITS
    }

    /// Which start on it.
    #[must_use]
    pub fn boots(self) -> u64 {
        self.0 & ((1 << Self::BOOTS_BITS) - 1)
    }
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "start {} on disk {}", self.boots(), self.incarnation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_in_order_and_numbers_too_large_do_not_overflow() {
        let lives = [(0, 1), (0, 2), (0, u64::MAX), (1, 0), (1, 1), (1_763_740_000_000, 3), (u64::MAX, 1)];
        let lives = lives.map(|(incarnation, boots)| Life::new(incarnation, boots));
        assert!(lives.is_sorted_by(|one, other| one < other), "{lives:?}");
        assert_eq!((lives[5].incarnation(), lives[5].boots()), (1_763_740_000_000, 3));
        assert_eq!(Life::of_number(lives[5].number()), lives[5]);
    }
}
