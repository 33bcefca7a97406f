//! A clock that never goes back, whatever the one beneath it does.

use std::cell::Cell;

use spec::{LocalTime, Span};

use super::Clock;

/// Shows what another clock shows, and goes on from where it was when that one goes back.
///
/// Time is missing then: it has been running slow, and no lease may be counted by it. So whoever uses it asks
/// [`Self::went_back`] before each decision.
#[derive(Debug)]
pub(crate) struct Steady<C> {
    clock: C,
    latest: Cell<LocalTime>,
    added: Cell<Span>,
    went_back: Cell<Span>,
}

impl<C: Clock> Steady<C> {
    pub(crate) fn new(clock: C) -> Self {
        let latest = Cell::new(clock.now());
        Self { clock, latest, added: Cell::default(), went_back: Cell::default() }
    }

    /// How far the clock beneath has gone back since this was last asked; zero if it has not.
    pub(crate) fn went_back(&self) -> Span {
        self.went_back.take()
    }

    /// What this one shows when the clock beneath shows this.
    pub(crate) fn above(&self, time: LocalTime) -> LocalTime {
        time + self.added.get()
    }

    /// What the clock beneath shows at a time of this one.
    pub(crate) fn beneath(&self, time: LocalTime) -> LocalTime {
        time - self.added.get()
    }
}

impl<C: Clock> Clock for Steady<C> {
    fn now(&self) -> LocalTime {
        let (shown, latest) = (self.clock.now() + self.added.get(), self.latest.get());
        if shown < latest {
            let back = latest - shown;
            self.added.set(Span(self.added.get().0.saturating_add(back.0)));
            self.went_back.set(Span(self.went_back.get().0.saturating_add(back.0)));
            return latest;
        }
        self.latest.set(shown);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hand(Cell<i64>);

    impl Clock for &Hand {
        fn now(&self) -> LocalTime {
            LocalTime(self.0.get())
        }
    }

    #[test]
    fn it_goes_on_where_it_was_when_the_clock_beneath_goes_back_and_says_so_once() {
        let hand = Hand(Cell::new(100));
        let steady = Steady::new(&hand);
        let show = |time| {
            hand.0.set(time);
            steady.now().0
        };
        assert_eq!((show(110), steady.went_back()), (110, Span(0)));
        assert_eq!(show(40), 110);
        assert_eq!(show(50), 120);
        assert_eq!(show(30), 120, "and again");
        assert_eq!((steady.went_back(), steady.went_back()), (Span(90), Span(0)));
        assert_eq!((show(31), steady.beneath(LocalTime(130))), (121, LocalTime(40)));
        assert_eq!(show(i64::MIN), 121);
    }
}
