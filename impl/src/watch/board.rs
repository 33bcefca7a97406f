//! Where a node's thread leaves what others want to look at.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{EVENTS_MAX, Event, Events, Report};

#[derive(Debug, Default)]
struct Shown {
    report: Option<Arc<Report>>,
    /// Counts the reports.
    edition: u64,
    events: VecDeque<Event>,
    is_over: bool,
}

/// The latest report and events. The node never waits for those who look: if one of them is just taking
/// something off the board, it comes again later.
#[derive(Debug, Default)]
pub struct Board {
    shown: Mutex<Shown>,
    changed: Condvar,
}

impl Board {
    /// Puts a report up, and the events that are not there yet. Whether that was possible at once.
    pub(crate) fn publish(&self, report: Report, events: &Events) -> bool {
        let Ok(mut shown) = self.shown.try_lock() else { return false };
        let last = shown.events.back().map_or(0, |event| event.number);
        shown.events.extend(events.after(last));
        let surplus = shown.events.len().saturating_sub(EVENTS_MAX);
        shown.events.drain(..surplus);
        shown.report = Some(Arc::new(report));
        shown.edition += 1;
        self.changed.notify_all();
        true
    }

    /// Nothing more will be put up: whoever waits is told.
    pub(crate) fn close(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// The latest report; none before the first.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.lock().report.clone()
    }

    /// Waits for a report after that of `edition`, for `patience` at most. The report's edition, the report, and the
    /// events after `event`.
    pub fn next(
        &self,
        edition: u64,
        event: u64,
        patience: Duration,
    ) -> (u64, Option<Arc<Report>>, Vec<Event>) {
        let is_old = |shown: &mut Shown| shown.edition <= edition && !shown.is_over;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_old);
        let (shown, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let events = shown.events.iter().filter(|known| known.number > event).copied().collect();
        (shown.edition, shown.report.clone(), events)
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // Nothing is half done where a panic could come.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Happening;
    use crate::watch::report::tests::report;
    use spec::LocalTime;

    #[test]
    fn whoever_comes_back_is_told_what_happened_meanwhile_and_nobody_delays_the_node() {
        let (board, mut events) = (Board::default(), Events::new(LocalTime(0)));
        for slots in 1..=5 {
            events.note(Happening::CatchingUp { slots }, LocalTime(0));
            assert!(board.publish(report(), &events));
        }
        let (edition, shown, missed) = board.next(2, 3, Duration::ZERO);
        assert_eq!((edition, shown.is_some()), (5, true));
        assert_eq!(missed.iter().map(|event| event.number).collect::<Vec<_>>(), [4, 5]);
        let looking = board.lock();
        assert!(!board.publish(report(), &events));
        drop(looking);
        board.close();
        assert!(board.next(5, 5, Duration::MAX).2.is_empty() && board.is_over());
    }
}
