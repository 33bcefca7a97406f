//! The driver watches its own clock and compares it with the peers', and tells the handlers on whose grants no lease
//! may rest.
//!
//! A lease is safe as long as no grantor's clock runs faster than its holder's by more than `ε` (4.3.4). So it is the
//! holder who must act, and about each grantor by itself: grants of one that is proved to run faster make no lease. A
//! holder whose own clock is slow finds everybody faster, and is left without. A peer that runs slower is harmless
//! here, and told of only: it finds this server faster, and acts.
//!
//! What was found stands until rates within the bound are proved over [`AGREE_FOR`], also if the peer restarts.

use spec::{LocalTime, ServerId, ServerSet, Span};

use super::Driver;
use crate::clock::{Clock, Pace, RateMeter, Rates, Sample, millis};
use crate::disk::Disk;
use crate::network::Network;
use crate::state_machine::StateMachine;
use crate::watch::Happening;

/// Over so long the rates must be proved to be within the bound before a clock is relied upon again.
pub(crate) const AGREE_FOR: Span = millis(10_000);
const MILLION: i64 = 1_000_000;

#[derive(Clone, Default, Debug)]
struct Companion {
    meter: RateMeter,
    /// How it is out of step; none if it is not known to be.
    apart: Option<Pace>,
}

/// The peers' clocks.
#[derive(Debug)]
pub(super) struct Clocks(Vec<Companion>);

/// What a message changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Finding {
    Apart { pace: Pace, ppm: u64 },
    Agrees,
}

impl Clocks {
    pub(super) fn new(servers: usize) -> Self {
        Self(vec![Companion::default(); servers])
    }

    /// The servers on whose grants no lease may rest.
    pub(super) fn doubted(&self) -> ServerSet {
        self.apart().filter(|&(_, pace)| pace == Pace::Faster).map(|(server, _)| server).collect()
    }

    /// The servers that are out of step with this one.
    pub(super) fn apart(&self) -> impl Iterator<Item = (ServerId, Pace)> + '_ {
        (0..).map(ServerId).zip(&self.0).filter_map(|(server, companion)| Some((server, companion.apart?)))
    }

    /// Bounds on how much faster a peer's clock runs.
    pub(super) fn rates(&self, peer: ServerId) -> Option<Rates> {
        self.0.get(usize::from(peer.0))?.meter.rates()
    }

    /// A peer began anew, and its clock may show anything.
    pub(super) fn restarted(&mut self, peer: ServerId) {
        if let Some(companion) = self.0.get_mut(usize::from(peer.0)) {
            companion.meter.clear();
        }
    }

    /// This server's own clock lost time: everybody's ran faster.
    fn doubt_all_but(&mut self, me: ServerId) {
        for (server, companion) in self.0.iter_mut().enumerate() {
            companion.meter.clear();
            companion.apart = (server != usize::from(me.0)).then_some(Pace::Faster);
        }
    }

    fn note(&mut self, peer: ServerId, sample: Sample, drift_ppm: u32) -> Option<Finding> {
        let Companion { meter, apart } = self.0.get_mut(usize::from(peer.0))?;
        meter.note(sample);
        // Slower by `ε` of one's own rate is faster by `ε` the other way round.
        let faster = i64::from(drift_ppm);
        let slower = -(faster * MILLION / (MILLION + faster)) - 1;
        let proved = |of: fn(Rates) -> i64| meter.until_now().map(move |(_, rates)| of(rates));
        let least = proved(|rates| rates.least_ppm).max().unwrap_or(i64::MIN);
        let most = proved(|rates| rates.most_ppm).min().unwrap_or(i64::MAX);
        let found = if least > faster {
            Finding::Apart { pace: Pace::Faster, ppm: least.unsigned_abs() }
        } else if most < slower {
            Finding::Apart { pace: Pace::Slower, ppm: most.unsigned_abs() }
        } else {
            let agrees = meter.until_now().any(|(age, rates)| {
                age >= AGREE_FOR && rates.most_ppm <= faster && rates.least_ppm >= slower
            });
            return (agrees && apart.take().is_some()).then_some(Finding::Agrees);
        };
        let Finding::Apart { pace, .. } = found else { return None };
        meter.restart();
        // Who was too fast is doubted on, even if it is too slow now.
        let is_new = match apart {
            None => true,
            Some(before) => *before == Pace::Slower && pace == Pace::Faster,
        };
        if is_new {
            *apart = Some(pace);
        }
        is_new.then_some(found)
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// The servers whose clocks are known to be out of step with this one.
    pub(crate) fn clocks_apart(&self) -> Vec<ServerId> {
        self.clocks.apart().map(|(server, _)| server).collect()
    }

    /// Whether this server would hold a group's lease when the clock that it was given shows this.
    pub(crate) fn holds_lease(&self, group: u16, shown: LocalTime) -> bool {
        self.replica(group).is_some_and(|replica| replica.holds_lease(self.clock.above(shown)))
    }

    /// A peer's message told of its clock.
    pub(super) fn compare_clocks(&mut self, peer: ServerId, sample: Sample) {
        let bound = self.groups.values().map(|group| group.replica.config().drift_ppm).min();
        let Some(bound_ppm) = bound else { return };
        let what = match self.clocks.note(peer, sample, bound_ppm) {
            None => return,
            Some(Finding::Agrees) => Happening::ClockAgrees(peer),
            Some(Finding::Apart { pace, ppm }) => Happening::ClockApart { peer, pace, ppm, bound_ppm },
        };
        let now = self.clock.now();
        self.watch.note(what, now);
        self.tell_doubts();
    }

    /// Looks whether this server's own clock has gone back, before anything is decided by it.
    pub(super) fn check_clock(&mut self) {
        let by = self.clock.went_back();
        if by > Span::ZERO {
            self.clocks.doubt_all_but(self.identity.server);
            let now = self.clock.now();
            self.watch.note(Happening::ClockWentBack { by }, now);
            self.tell_doubts();
        }
    }

    fn tell_doubts(&mut self) {
        let (doubted, now) = (self.clocks.doubted(), self.clock.now());
        for id in self.group_ids() {
            if let Some(group) = self.groups.get_mut(&id) {
                group.replica.doubt(doubted, now, &mut self.effects);
            }
            self.carry_out(id, now);
        }
    }
}
