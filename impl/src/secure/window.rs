//! Which numbers of a session's datagrams were seen: a sliding window (RFC 6479), because datagrams overtake each
//! other and each must be taken once.

/// How far behind the highest number a datagram may be.
pub(super) const WINDOW: u64 = 2048;
const WORDS: usize = 32;
const _: () = assert!(WORDS as u64 * 64 == WINDOW);

/// The numbers seen, of which those more than [`WINDOW`] below the highest count as seen.
#[derive(Debug)]
pub(super) struct Window {
    /// One more than the highest number seen.
    next: u64,
    seen: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }
}

impl Window {
    /// Whether a number was not seen yet and is not too old to tell.
    pub(super) fn is_new(&self, number: u64) -> bool {
        if number >= self.next {
            return number < u64::MAX;
        }
        self.next - number <= WINDOW && self.seen[word(number)] & bit(number) == 0
    }

    /// Remembers a number. Only of datagrams that are authentic: others would move the window.
    pub(super) fn mark(&mut self, number: u64) {
        if number >= self.next {
            // Clears what the window moves over, at most all of it.
            let first = self.next.max(number.saturating_sub(WINDOW - 1));
            for skipped in first..=number {
                self.seen[word(skipped)] &= !bit(skipped);
            }
            self.next = number + 1;
        }
        self.seen[word(number)] |= bit(number);
    }
}

fn word(number: u64) -> usize {
    usize::try_from(number / 64 % WORDS as u64).unwrap_or(0)
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a set that remembers everything: no number is taken twice, and none is refused that is new and
        /// within the window.
        #[test]
        fn every_number_is_taken_once_in_any_order(
            steps in prop::collection::vec((0_u64..64, 0_u64..5000, any::<bool>()), 1..400),
        ) {
            let (mut window, mut seen, mut next) = (Window::default(), BTreeSet::new(), 0_u64);
            for (ahead, behind, forward) in steps {
                let number = if forward { next + ahead * ahead } else { next.saturating_sub(behind) };
                let within = number >= next || next - number <= WINDOW;
                prop_assert_eq!(window.is_new(number), within && !seen.contains(&number), "{}", number);
                if window.is_new(number) {
                    window.mark(number);
                    seen.insert(number);
                    next = next.max(number + 1);
                }
            }
        }
    }

    #[test]
    fn the_window_ends_where_numbers_end() {
        let mut window = Window::default();
        window.mark(u64::MAX - 1);
        assert!(!window.is_new(u64::MAX - 1) && !window.is_new(u64::MAX) && !window.is_new(0));
        assert!(window.is_new(u64::MAX - 2));
    }
}
