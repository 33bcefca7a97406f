//! Clocks that do what leases do not allow for: they run beyond the bound, stand still, or jump. The world knows
//! the truth, so it can say when a server should have known.
//!
//! A server cannot know that a peer's clock has just gone wrong, nor may it use what it knew before a restart. While
//! some server that is up relies on a clock that is beyond the bound, and for [`EXCUSED_FOR`] after it has found that
//! out, a read may be stale. Nothing else is ever excused, and neither is an alarm about clocks that keep the bound.

use std::collections::BTreeSet;

use spec::{ServerId, Span};

use super::fault::Fault;
use super::hardware::{DRIFT_PPM, STAND_STILL_PPM};
use super::world::World;
use crate::clock::millis;
use crate::node::GROUP;

/// How long an answer that was given before may still be on its way.
pub(super) const EXCUSED_FOR: Span = millis(10_000);
/// How long a clock stays wrong, at most.
const WRONG_MAX: Span = millis(8_000);
/// How far a clock jumps, at most.
const JUMP_MAX: Span = millis(3_000);
const MILLION: i64 = 1_000_000;

/// What the world knows of its clocks.
#[derive(Default)]
pub(super) struct ClockWatch {
    /// Servers whose clocks have ever been wrong.
    wrong: BTreeSet<usize>,
    /// Until when a clock is wrong.
    until: Vec<(i64, usize)>,
    /// Until when what rests on leases is excused.
    excused_until: i64,
}

#[cfg(test)]
impl ClockWatch {
    /// All there is to know is known.
    pub(super) fn excuse_nothing(&mut self) {
        self.excused_until = 0;
    }
}

impl World {
    /// A server's clock goes wrong.
    pub(super) fn derail(&mut self, index: usize, fault: Fault) {
        if self.servers[index].busy_until > self.now {
            return; // A step that is under way has looked at its clock already.
        }
        let until = self.lasting(WRONG_MAX);
        let excess = i64::try_from(self.rng.below(500_000)).unwrap_or(0) + 2 * i64::from(DRIFT_PPM);
        let (slower, jump) = (self.rng.percent(50), self.rng.part_of(JUMP_MAX));
        match fault {
            Fault::Jump => self.jump_clock(index, if slower { Span(-jump.0) } else { jump }),
            Fault::StandStill => self.set_clock_rate(index, STAND_STILL_PPM),
            _ => self.set_clock_rate(index, if slower { -excess } else { excess }),
        }
        self.servers[index].hardware.borrow_mut().tally.count(fault);
        if fault != Fault::Jump {
            self.clocks.until.push((until, index));
        }
    }

    /// From now on a server's clock is so many millionths too fast.
    pub(super) fn set_clock_rate(&mut self, index: usize, ppm: i64) {
        let server = &self.servers[index];
        let mut hardware = server.hardware.borrow_mut();
        (hardware.world, hardware.ahead) = (self.now.max(server.busy_until), Span::ZERO);
        hardware.set_rate(ppm);
        if !hardware.keeps_time() {
            self.clocks.wrong.insert(index);
        }
    }

    pub(super) fn jump_clock(&mut self, index: usize, by: Span) {
        let mut hardware = self.servers[index].hardware.borrow_mut();
        (hardware.world, hardware.ahead) = (self.now, Span::ZERO);
        hardware.jump(by);
        self.clocks.wrong.insert(index);
        // Those that have its grants learn of it by the next beat; itself when it next looks.
        self.clocks.excused_until = self.clocks.excused_until.max(self.now + EXCUSED_FOR.0);
    }

    /// All clocks are right from now on.
    pub(super) fn set_clocks_right(&mut self) {
        self.clocks.until.clear();
        for index in 0..self.servers.len() {
            if !self.servers[index].hardware.borrow().keeps_time() {
                self.set_clock_rate(index, 0);
            }
        }
    }

    /// Sets clocks right whose time has come, and says of the others who should know.
    pub(super) fn check_clocks(&mut self) {
        while let Some(at) = self.clocks.until.iter().position(|&(until, _)| until <= self.now) {
            let (_, index) = self.clocks.until.swap_remove(at);
            self.set_clock_rate(index, 0);
        }
        if self.relies_on_a_wrong_clock() {
            self.clocks.excused_until = self.clocks.excused_until.max(self.now + EXCUSED_FOR.0);
        }
        self.judge.borrow_mut().is_lenient = self.now < self.clocks.excused_until;
        let accused = self.servers.iter().enumerate().find_map(|(index, server)| {
            let apart = server.driver.as_ref()?.clocks_apart();
            let wrong = &self.clocks.wrong;
            let innocent = |&peer: &ServerId| !wrong.contains(&index) && !wrong.contains(&peer.0.into());
            Some((index, apart.into_iter().find(innocent)?))
        });
        if let Some((index, peer)) = accused {
            self.judge
                .borrow_mut()
                .complain(|| format!("server {index} takes the clock of {peer} for wrong, which it is not"));
        }
    }

    /// Whether a server that is up may have a lease by grants of one whose clock runs too fast for it.
    pub(super) fn relies_on_a_wrong_clock(&self) -> bool {
        let rate = |index: usize| MILLION + self.servers[index].hardware.borrow().clock_ppm;
        (0..self.servers.len()).any(|holder| {
            let replica = self.servers[holder].driver.as_ref().and_then(|driver| driver.replica(GROUP));
            let Some(replica) = replica else { return false };
            (0..).map(ServerId).take(self.servers.len()).any(|grantor| {
                let faster =
                    rate(grantor.0.into()) * MILLION > rate(holder) * (MILLION + i64::from(DRIFT_PPM));
                faster && !replica.doubted().contains(grantor)
            })
        })
    }
}
