//! The network between simulated computers: what is on its way, and what becomes of it there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use spec::Span;

use super::Plan;
use super::fault::{Fault, Tally};
use crate::clock::millis;
use crate::rng::Rng;

/// The usual longest time on the way.
const DELAY_MAX: Span = Span(400_000);
/// The longest time on the way of a datagram that is late.
const LATE_MAX: Span = millis(3_000);
/// How many datagrams in ten thousand are late, come again much later, or are bent.
const LATE_PER_10_000: u64 = 200;
const REPLAYED_PER_10_000: u64 = 50;
const BENT_PER_10_000: u64 = 50;

/// From where to where.
pub(super) type Link = (SocketAddr, SocketAddr);
/// A datagram that arrives: from where, whereto, and its bytes.
pub(super) type Flight = (SocketAddr, SocketAddr, Vec<u8>);

/// A link that loses everything for a while.
#[derive(Clone, Copy)]
struct Cut {
    until: i64,
    /// What this is a part of.
    fault: Fault,
    /// The link is down in every other of these; one that is cut for good has none.
    period: Option<i64>,
}

/// A link that holds everything back for a while.
struct Clog {
    from: i64,
    until: i64,
    held: Vec<Vec<u8>>,
}

pub(super) struct Links {
    rng: Rng,
    loss_percent: u64,
    duplicate_percent: u64,
    replay: Span,
    /// Whether anything may go wrong.
    pub(super) troubled: bool,
    flying: BTreeMap<(i64, u64), Flight>,
    flown: u64,
    cuts: BTreeMap<Link, Cut>,
    clogs: BTreeMap<Link, Clog>,
    pub(super) tally: Tally,
}

impl Links {
    pub(super) fn new(plan: &Plan, rng: Rng) -> Self {
        Self {
            rng,
            loss_percent: plan.loss_percent,
            duplicate_percent: plan.duplicate_percent,
            replay: plan.replay_within,
            troubled: true,
            flying: BTreeMap::new(),
            flown: 0,
            cuts: BTreeMap::new(),
            clogs: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// When something next arrives or is let go.
    pub(super) fn next(&self) -> Option<i64> {
        let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
        arrival.into_iter().chain(self.clogs.values().map(|clog| clog.until)).min()
    }

    /// Takes one datagram that arrives by `now`.
    pub(super) fn take(&mut self, now: i64) -> Option<Flight> {
        self.release(now);
        let first = self.flying.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// A link loses everything.
    pub(super) fn cut(&mut self, link: Link, until: i64, fault: Fault) {
        self.cuts.insert(link, Cut { until, fault, period: None });
    }

    /// A link goes down and up again and again.
    pub(super) fn flap(&mut self, link: Link, until: i64, period: Span) {
        self.cuts.insert(link, Cut { until, fault: Fault::Flapping, period: Some(period.0.max(1)) });
    }

    /// A link holds everything back from one time until another.
    pub(super) fn clog(&mut self, link: Link, from: i64, until: i64) {
        self.clogs.entry(link).or_insert_with(|| Clog { from, until, held: Vec::new() });
    }

    /// Whatever is wrong is mended, and what was held back goes on.
    pub(super) fn heal(&mut self) {
        self.troubled = false;
        self.release(i64::MAX);
    }

    /// A datagram leaves at `at`.
    pub(super) fn send(&mut self, at: i64, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        if !self.troubled {
            return self.arrive(at, DELAY_MAX, (from, to, datagram));
        }
        if let Some(fault) = self.cuts.get(&(from, to)).filter(|cut| cut.is_down(at)).map(|cut| cut.fault) {
            return self.tally.count(fault);
        }
        if self.rng.percent(self.loss_percent) {
            return self.tally.count(Fault::Loss);
        }
        if let Some(clog) =
            self.clogs.get_mut(&(from, to)).filter(|clog| (clog.from..clog.until).contains(&at))
        {
            clog.held.push(datagram);
            return self.tally.count(Fault::Clogged);
        }
        self.disturb(at, (from, to, datagram));
    }

    /// A datagram is on its way, and may come again, late, or bent.
    fn disturb(&mut self, at: i64, mut flight: Flight) {
        if self.rng.percent(self.duplicate_percent) {
            self.tally.count(Fault::Repeat);
            self.arrive(at, DELAY_MAX, flight.clone());
        }
        if self.strikes(REPLAYED_PER_10_000, Fault::Replay) {
            self.arrive(at, self.replay, flight.clone());
        }
        if self.strikes(BENT_PER_10_000, Fault::Bent) {
            let bit = usize::try_from(self.rng.below(flight.2.len() as u64 * 8)).unwrap_or(0);
            flight.2[bit / 8] ^= 1 << (bit % 8);
        }
        let longest = if self.strikes(LATE_PER_10_000, Fault::Late) { LATE_MAX } else { DELAY_MAX };
        self.arrive(at, longest, flight);
    }

    fn strikes(&mut self, per_10_000: u64, fault: Fault) -> bool {
        let strikes = self.rng.below(10_000) < per_10_000;
        if strikes {
            self.tally.count(fault);
        }
        strikes
    }

    fn arrive(&mut self, at: i64, longest: Span, flight: Flight) {
        self.flown += 1;
        self.flying.insert((at + self.rng.part_of(longest).0, self.flown), flight);
    }

    /// What clogged links have held back until `now` arrives.
    fn release(&mut self, now: i64) {
        while let Some(&link) = self.clogs.iter().find(|(_, clog)| clog.until <= now).map(|(link, _)| link) {
            let Some(clog) = self.clogs.remove(&link) else { return };
            for datagram in clog.held {
                self.arrive(clog.until, DELAY_MAX, (link.0, link.1, datagram));
            }
        }
    }
}

impl Cut {
    fn is_down(&self, at: i64) -> bool {
        at < self.until && self.period.is_none_or(|period| at / period % 2 == 0)
    }
}
