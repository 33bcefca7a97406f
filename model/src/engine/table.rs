//! The set of fingerprints of the states that were reached: open addressing with linear probing over one array of
//! atomic words, so that threads insert without locks. It grows between the rounds of a search, never during one.

use std::sync::atomic::{AtomicU64, Ordering};

/// The share of places in use, in quarters, beyond which the table asks to grow.
const FULL_QUARTERS: usize = 3;

/// A set of fingerprints.
pub struct Table {
    /// Zero is a free place.
    places: Vec<AtomicU64>,
    /// The upper bits of a fingerprint are its first place: growing keeps their order, so it reads and writes the
    /// arrays from front to back.
    shift: u32,
}

impl Table {
    /// A table with room for at least `places` fingerprints, a quarter of them spare.
    pub fn new(places: usize) -> Self {
        let places = places.next_power_of_two().max(2);
        Self {
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
            shift: u64::BITS - places.trailing_zeros(),
        }
    }

    /// How many fingerprints may be in the table before it must grow.
    pub fn limit(&self) -> usize {
        self.places.len() / 4 * FULL_QUARTERS
    }

    /// The size of the array, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.places.as_slice())
    }

    /// What the first place of a fingerprint holds. Asked for many fingerprints in a row, the answers come from
    /// memory side by side.
    pub fn first(&self, fingerprint: u64) -> u64 {
        self.places[self.home(fingerprint)].load(Ordering::Relaxed)
    }

    /// Adds a fingerprint; whether it is new.
    ///
    /// # Panics
    /// If the table is full: the search must let it grow at [`Table::limit`].
    pub fn insert(&self, fingerprint: u64) -> bool {
        debug_assert!(fingerprint != 0, "zero is a free place");
        let home = self.home(fingerprint);
        for step in 0..self.places.len() {
            let place = &self.places[(home + step) & (self.places.len() - 1)];
            let mut found = place.load(Ordering::Relaxed);
            if found == 0 {
                // Nothing else is published with a fingerprint, so no order is needed.
                match place.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(other) => found = other,
                }
            }
            if found == fingerprint {
                return false;
            }
        }
        panic!("the table of fingerprints is full: {} places", self.places.len());
    }

    /// A table of twice the size with the same fingerprints.
    #[must_use]
    pub fn grown(&self) -> Self {
        let grown = Self::new(self.places.len() * 2);
        for place in &self.places {
            let fingerprint = place.load(Ordering::Relaxed);
            if fingerprint != 0 {
                grown.insert(fingerprint);
            }
        }
        grown
    }

    fn home(&self, fingerprint: u64) -> usize {
        usize::try_from(fingerprint >> self.shift).expect("a place is an index of the array")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints that crowd the first places.
    fn crowded(count: u64) -> impl Iterator<Item = u64> {
        1..=count
    }

    #[test]
    fn a_fingerprint_is_new_once() {
        let table = Table::new(64);
        assert!(crowded(40).all(|fingerprint| table.insert(fingerprint)));
        assert!(!crowded(40).any(|fingerprint| table.insert(fingerprint)));
    }

    #[test]
    fn what_was_in_the_table_is_in_the_grown_one() {
        let table = Table::new(64);
        let all: Vec<_> = crowded(20).chain((1..20).map(|n| n << 58)).collect();
        all.iter().for_each(|&fingerprint| assert!(table.insert(fingerprint)));
        let grown = table.grown();
        assert_eq!(grown.limit(), 2 * table.limit());
        assert!(!all.iter().any(|&fingerprint| grown.insert(fingerprint)));
    }

    #[test]
    fn of_threads_that_insert_the_same_fingerprint_one_finds_it_new() {
        let table = Table::new(1 << 12);
        let new: usize = std::thread::scope(|threads| {
            let insert = || (1..1000).filter(|n| table.insert(n << 50)).count();
            let running: Vec<_> = (0..4).map(|_| threads.spawn(insert)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(new, 999);
    }
}
