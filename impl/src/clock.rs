//! Where local time comes from.

mod rate;
mod steady;

use rustix::time::{ClockId, clock_gettime};
use spec::{LocalTime, Span};

pub use rate::{Pace, Rates};
pub(crate) use rate::{RateMeter, Reached, Sample};
pub(crate) use steady::Steady;

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A server's clock. Only its rate matters, never what it shows.
pub trait Clock {
    /// The local time, in nanoseconds. It should never be earlier than what was returned before; a driver notices if it is.
    fn now(&self) -> LocalTime;
}

/// `CLOCK_BOOTTIME`: a monotonic clock that goes on while the machine sleeps. One that stops then would let
/// a leader that wakes up believe in a lease that has long run out.
#[derive(Clone, Copy, Default, Debug)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> LocalTime {
        let time = clock_gettime(ClockId::Boottime);
        LocalTime(time.tv_sec.saturating_mul(NANOS_PER_SECOND).saturating_add(time.tv_nsec))
    }
}

/// A span of whole milliseconds.
#[must_use]
pub const fn millis(count: i64) -> Span {
    Span(count.saturating_mul(NANOS_PER_MILLI))
}

/// A span in milliseconds, for people and for JSON.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
pub fn to_millis(span: Span) -> f64 {
    span.0 as f64 / NANOS_PER_MILLI as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let times: Vec<_> = std::iter::repeat_with(|| BootClock.now()).take(1000).collect();
        assert!(times.is_sorted());
    }
}
