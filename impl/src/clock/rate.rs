//! How fast a peer's clock runs beside one's own: what messages prove of it, whatever their delays.
//!
//! Leases rest on a bound `ε` on that rate (4.3.4). A message cannot arrive before it was sent; nothing else is assumed
//! of the network:
//!
//! - a time of the peer's that a message brought was over when it came (*not later*);
//! - the time at which the peer had a message of ours was still to come when that one left (*not earlier*).
//!
//! From a moment of one kind to a later one of the other, no more, or no less, passed here than lies between our times.
//! That bounds the average rate from one side. Long delays widen the bounds and never make them wrong: who is found
//! beyond `ε` was beyond it. Of each window the moment with the shortest delay is kept for either direction; windows are
//! the wider the longer ago they are.

use std::collections::VecDeque;

use serde::Serialize;
use spec::{LocalTime, Span};

use super::millis;

/// Windows that are kept.
const WINDOWS_MAX: usize = 48;
/// Windows that are older say little of now.
const HORIZON: Span = millis(600_000);
/// The latest windows, any of which may end the interval with the closest bounds.
const RECENT: usize = 8;
/// A difference of two readings of a clock may be off by so much.
const READING_ERROR_NANOS: i128 = 1_000;
const MILLION: i128 = 1_000_000;

/// What one message of a peer tells of its clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// The peer's clock, read before the message left.
    pub(crate) sent: Span,
    /// One's own, read after it came.
    pub(crate) came: LocalTime,
    /// A message of one's own that the peer had by then.
    pub(crate) echo: Option<Reached>,
}

/// A message of one's own that the peer has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reached {
    /// One's own clock, read before it left.
    pub(crate) left: LocalTime,
    /// The peer's, read after it came there.
    pub(crate) came: Span,
}

/// Bounds on how much faster a peer's clock ran than one's own, in millionths; negative where it ran slower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Rates {
    /// So much at least.
    pub least_ppm: i64,
    /// So much at most.
    pub most_ppm: i64,
}

/// How a peer's clock runs that does not keep the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// Faster than one's own.
    Faster,
    /// Slower.
    Slower,
}

impl Rates {
    fn width(self) -> u64 {
        self.most_ppm.abs_diff(self.least_ppm)
    }
}

/// A time of the peer's, and one of one's own that it was not later, or not earlier, than.
#[derive(Clone, Copy, Debug)]
struct Moment {
    theirs: i128,
    ours: i128,
}

impl Moment {
    fn new(theirs: Span, ours: LocalTime) -> Self {
        Self { theirs: theirs.0.into(), ours: ours.0.into() }
    }

    /// The delay of the message, plus a constant.
    fn delay(&self) -> i128 {
        self.ours - self.theirs
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    begun: LocalTime,
    not_later: Moment,
    not_earlier: Option<Moment>,
}

impl Window {
    /// Takes the next window in.
    fn absorb(&mut self, next: &Self) {
        if next.not_later.delay() <= self.not_later.delay() {
            self.not_later = next.not_later;
        }
        let both = self.not_earlier.into_iter().chain(next.not_earlier);
        self.not_earlier = both.max_by_key(Moment::delay);
    }

    /// The bounds from this window to a later one.
    fn until(&self, end: &Self) -> Rates {
        let least = self.not_earlier.map(|start| {
            let (theirs, ours) = (end.not_later.theirs - start.theirs, end.not_later.ours - start.ours);
            ppm(theirs - READING_ERROR_NANOS, ours.max(0) + READING_ERROR_NANOS)
        });
        let most = end.not_earlier.and_then(|end| {
            let (theirs, ours) = (end.theirs - self.not_later.theirs, end.ours - self.not_later.ours);
            let ours = ours - READING_ERROR_NANOS;
            (ours > 0).then(|| ppm(theirs + READING_ERROR_NANOS, ours))
        });
        Rates { least_ppm: least.unwrap_or(i64::MIN), most_ppm: most.unwrap_or(i64::MAX) }
    }
}

/// How many millionths more passed there than here; `ours` is positive.
fn ppm(theirs: i128, ours: i128) -> i64 {
    let ppm = theirs * MILLION / ours - MILLION;
    i64::try_from(ppm).unwrap_or(if ppm < 0 { i64::MIN } else { i64::MAX })
}

/// What is known of one peer's clock.
#[derive(Clone, Default, Debug)]
pub(crate) struct RateMeter {
    windows: VecDeque<Window>,
}

impl RateMeter {
    /// Takes a message into account, the latest of the peer so far.
    pub(crate) fn note(&mut self, sample: Sample) {
        let Sample { sent, came, echo } = sample;
        self.windows.push_back(Window {
            begun: came,
            not_later: Moment::new(sent, came),
            not_earlier: echo.map(|reached| Moment::new(reached.came, reached.left)),
        });
        while self.windows.front().is_some_and(|first| came - first.begun > HORIZON) {
            self.windows.pop_front();
        }
        if self.windows.len() > WINDOWS_MAX {
            self.merge(came);
        }
    }

    /// Makes one window of two neighbours: of those that are the longest ago for their width.
    fn merge(&mut self, now: LocalTime) {
        let width_and_age = |at: usize| {
            let (first, next) = (self.windows[at].begun, self.windows.get(at + 2).map(|next| next.begun));
            let end = next.unwrap_or(now);
            (i128::from((end - first).0.max(1)), i128::from((now - end).0))
        };
        let best = (0..self.windows.len() - 1).max_by(|&one, &other| {
            let ((width, age), (other_width, other_age)) = (width_and_age(one), width_and_age(other));
            (age * other_width).cmp(&(other_age * width))
        });
        let Some(at) = best else { return };
        if let Some(next) = self.windows.remove(at + 1) {
            self.windows[at].absorb(&next);
        }
    }

    /// Forgets everything but the latest message: what was is no sign of what will be.
    pub(crate) fn restart(&mut self) {
        let all_but_one = self.windows.len().saturating_sub(1);
        self.windows.drain(..all_but_one);
    }

    /// Forgets everything: the peer's clock shows something else now.
    pub(crate) fn clear(&mut self) {
        self.windows.clear();
    }

    /// The bounds on the average rate from earlier times until the latest message, and how long ago each of them is.
    pub(crate) fn until_now(&self) -> impl Iterator<Item = (Span, Rates)> {
        let latest = self.windows.back().into_iter();
        latest.flat_map(|latest| {
            let earlier = self.windows.iter().take(self.windows.len() - 1);
            earlier.map(|window| (latest.begun - window.begun, window.until(latest)))
        })
    }

    /// The closest bounds there are on the rate of late; none before messages went both ways.
    pub(crate) fn rates(&self) -> Option<Rates> {
        let first_end = self.windows.len().saturating_sub(RECENT);
        let ends = self.windows.iter().enumerate().skip(first_end);
        let all = ends.flat_map(|(at, end)| self.windows.iter().take(at).map(|start| start.until(end)));
        let both_sided = all.filter(|rates| rates.least_ppm > i64::MIN && rates.most_ppm < i64::MAX);
        both_sided.min_by_key(|rates| rates.width())
    }
}

#[cfg(test)]
mod tests;
