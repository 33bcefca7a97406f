//! The timers of one replica: deadlines on its local clock.

use spec::{LocalTime, Span, Timer};

use crate::rng::Rng;

const TIMERS: [Timer; 4] = [Timer::Election, Timer::Renew, Timer::Retry, Timer::Forward];

/// At most one deadline for each [`Timer`].
#[derive(Clone, Default, Debug)]
pub struct Timers([Option<LocalTime>; TIMERS.len()]);

impl Timers {
    /// Lets `timer` run out once `after` and a random part of `spread` have passed; replaces what it was
    /// armed to before.
    pub fn arm(&mut self, timer: Timer, now: LocalTime, after: Span, spread: Span, rng: &mut Rng) {
        self.0[index(timer)] = Some(now + after + rng.part_of(spread));
    }

    /// Takes one timer that has run out at `now`.
    pub fn take_due(&mut self, now: LocalTime) -> Option<Timer> {
        let timer = TIMERS.into_iter().find(|&timer| self.0[index(timer)].is_some_and(|at| at <= now))?;
        self.0[index(timer)] = None;
        Some(timer)
    }

    /// When the next one runs out.
    pub fn next(&self) -> Option<LocalTime> {
        self.0.iter().flatten().min().copied()
    }
}

fn index(timer: Timer) -> usize {
    match timer {
        Timer::Election => 0,
        Timer::Renew => 1,
        Timer::Retry => 2,
        Timer::Forward => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_runs_out_once_and_arming_it_again_replaces_it() {
        let (mut timers, mut rng) = (Timers::default(), Rng::seeded(1));
        let zero = LocalTime(0);
        timers.arm(Timer::Retry, zero, Span(10), Span::ZERO, &mut rng);
        timers.arm(Timer::Retry, zero, Span(20), Span::ZERO, &mut rng);
        timers.arm(Timer::Election, zero, Span(30), Span(5), &mut rng);
        assert_eq!(timers.next(), Some(LocalTime(20)));
        assert_eq!(timers.take_due(LocalTime(19)), None);
        assert_eq!(timers.take_due(LocalTime(20)), Some(Timer::Retry));
        assert_eq!(timers.take_due(LocalTime(29)), None);
        assert_eq!(timers.take_due(LocalTime(35)), Some(Timer::Election));
        assert_eq!(timers.next(), None);
    }
}
