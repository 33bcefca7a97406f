//! Which faults strike, whom, and for how long.

use std::net::SocketAddr;

use spec::Span;

use super::fault::Fault;
use super::trace::Event;
use super::world::{DOWN_MAX, World};
use crate::clock::millis;

/// How long a link stays cut, flaps or is clogged, at most.
const CUT_MAX: Span = millis(4_000);
/// How long a link that flaps is up or down at a time, at most.
const FLAP_MAX: Span = millis(700);
/// How far apart clogged links are released.
const RELEASE_GAP: Span = millis(150);
/// How long a machine sleeps, at most.
const SLEEP_MAX: Span = millis(10_000);
/// How long a disk refuses to sync or is full, at most.
const REFUSAL_MAX: Span = millis(3_000);
/// How long it takes until a killed process is started again, at most.
const KILL_DOWN_MAX: Span = millis(200);
/// How many more writes and sends a failing power supply lasts, at most.
const POWER_OPERATIONS_MAX: u64 = 60;
/// What strikes by itself from time to time in every run.
pub(super) const STRIKES: [Fault; 15] = [
    Fault::PowerFailure,
    Fault::CutSync,
    Fault::Stall,
    Fault::FailedSync,
    Fault::Full,
    Fault::WipedDisk,
    Fault::OneWay,
    Fault::Symmetric,
    Fault::Bridge,
    Fault::Clogged,
    Fault::Flapping,
    Fault::RateChange,
    Fault::Suspension,
    Fault::Kill,
    Fault::Pause,
];

/// What strikes where clocks do what leases do not allow for.
pub(super) fn with_bad_clocks() -> Vec<Fault> {
    let bad = [Fault::RateBeyond, Fault::StandStill, Fault::Jump];
    STRIKES.into_iter().chain(bad).collect()
}

impl World {
    /// Lets a fault strike when its time has come.
    pub(super) fn strike(&mut self) {
        if self.now < self.next_fault {
            return;
        }
        self.next_fault = self.now + self.rng.part_of(self.plan.fault_every.times(2)).0;
        let server = self.any(self.servers.len());
        let which = self.any(self.plan.strikes.len());
        let fault = self.plan.strikes[which];
        self.trace.note(self.now, Event::Strikes { fault, server });
        match fault {
            Fault::PowerFailure => self.end(server, fault, DOWN_MAX),
            Fault::Kill => self.end(server, fault, KILL_DOWN_MAX),
            Fault::WipedDisk => self.wipe(server),
            Fault::Pause => self.pause(server),
            Fault::Suspension => self.suspend(server),
            Fault::RateBeyond | Fault::StandStill | Fault::Jump => self.derail(server, fault),
            Fault::CutSync | Fault::Stall | Fault::FailedSync | Fault::Full | Fault::RateChange => {
                self.spoil(server, fault);
            }
            _ => self.cut(server, fault),
        }
    }

    pub(super) fn any(&mut self, count: usize) -> usize {
        usize::try_from(self.rng.below(count as u64)).unwrap_or(0)
    }

    pub(super) fn lasting(&mut self, longest: Span) -> i64 {
        self.now + self.rng.part_of(longest).0
    }

    fn end(&mut self, index: usize, fault: Fault, down: Span) {
        if self.servers[index].driver.is_some() {
            self.servers[index].hardware.borrow_mut().crash(fault);
            self.go_down(index, down);
        }
    }

    /// A disk is lost, unless another server still depends on it: what it held is in one copy less until that one has
    /// recovered, or has fetched the snapshot that it lacks.
    fn wipe(&mut self, index: usize) {
        let others = (0..self.servers.len()).filter(|&other| other != index);
        let are_whole = others.into_iter().all(|other| self.servers[other].is_whole());
        if self.servers.len() < 2 || !are_whole || !self.are_others_whole(index) {
            return;
        }
        self.servers[index].hardware.borrow_mut().wipe();
        self.servers[index].boots = 0;
        self.go_down(index, DOWN_MAX);
    }

    /// The process is stopped for a while, perhaps for longer than a lease.
    fn pause(&mut self, index: usize) {
        self.findings.faults.count(Fault::Pause);
        let until = self.lasting(DOWN_MAX);
        let server = &mut self.servers[index];
        server.busy_until = server.busy_until.max(until);
    }

    /// The machine sleeps, and its clock jumps when it wakes up.
    fn suspend(&mut self, index: usize) {
        let until = self.lasting(SLEEP_MAX);
        let server = &mut self.servers[index];
        server.busy_until = server.busy_until.max(until);
        server.hardware.borrow_mut().asleep_until = until;
    }

    fn spoil(&mut self, index: usize, fault: Fault) {
        let operations = self.rng.below(POWER_OPERATIONS_MAX);
        let refuses_until = self.lasting(REFUSAL_MAX);
        let is_idle = self.servers[index].busy_until <= self.now;
        let mut hardware = self.servers[index].hardware.borrow_mut();
        match fault {
            Fault::CutSync => hardware.power_for = Some(operations),
            Fault::Stall => hardware.stalls = true,
            Fault::FailedSync => hardware.refuses_until = refuses_until,
            Fault::Full => hardware.full_until = refuses_until,
            // A step that is under way has looked at its clock already.
            _ if is_idle => {
                (hardware.world, hardware.ahead) = (self.now, Span::ZERO);
                hardware.change_rate();
            }
            _ => {}
        }
    }

    /// Links of a server fail.
    fn cut(&mut self, index: usize, fault: Fault) {
        let one = self.addresses[index];
        let others: Vec<SocketAddr> = self.addresses.iter().copied().filter(|&other| other != one).collect();
        let until = self.lasting(CUT_MAX);
        if others.is_empty() {
            return;
        }
        let other = others[self.any(others.len())];
        match fault {
            Fault::OneWay => {
                let (all, outward) = (self.rng.percent(50), self.rng.percent(50));
                for other in others.into_iter().filter(|&each| all || each == other) {
                    let link = if outward { (one, other) } else { (other, one) };
                    self.links.cut(link, until, fault);
                }
            }
            Fault::Symmetric => {
                for other in others {
                    self.links.cut((one, other), until, fault);
                    self.links.cut((other, one), until, fault);
                }
            }
            Fault::Bridge => {
                self.links.cut((one, other), until, fault);
                self.links.cut((other, one), until, fault);
            }
            Fault::Flapping => {
                let period = self.rng.part_of(FLAP_MAX);
                self.links.flap((one, other), until, period);
                self.links.flap((other, one), until, period);
            }
            _ => self.clog(until),
        }
    }

    /// Links between servers are clogged one by one, and released one by one in another order.
    fn clog(&mut self, until: i64) {
        let servers = self.addresses.clone();
        let mut links: Vec<_> =
            servers.iter().flat_map(|&from| servers.iter().map(move |&to| (from, to))).collect();
        links.retain(|(from, to)| from != to);
        let (mut from, mut until) = (self.now, until);
        while !links.is_empty() && self.rng.percent(80) {
            let link = links.swap_remove(self.any(links.len()));
            let gap = self.rng.part_of(RELEASE_GAP).0;
            self.links.clog(link, from, until.max(from));
            from += gap;
            until += self.rng.part_of(RELEASE_GAP).0;
        }
    }
}
