//! A full disk: nothing more can be promised, so the server gives up leading and stands aside until there is room.
//!
//! The disk says so before anything is written that counts ([`DiskError::Full`]), and still holds the records. So nothing
//! is in doubt, and to try again is safe, as it never is after a sync that failed. Meanwhile the handlers are told of
//! nothing that they would have to remember, so no memory grows; what waits for the disk is sent late, as any message
//! may be. Clients are sent elsewhere, and whoever asks how the server is gets an answer.

use spec::{LocalTime, Role, Span, Timer};

use super::Driver;
use crate::clock::{Clock, millis};
use crate::disk::Disk;
use crate::network::Network;
use crate::state_machine::StateMachine;
use crate::watch::Happening;

/// How often room is looked for.
const TRY_EVERY: Span = millis(500);

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Whether the disk is full, as far as is known.
    pub(super) fn stands_aside(&self) -> bool {
        self.full_until.is_some()
    }

    /// Whether a sync is due, and the disk is not known to be full.
    pub(super) fn may_sync(&self) -> bool {
        self.syncing.is_due() && self.full_until.is_none_or(|at| at <= self.clock.now())
    }

    /// When the driver has something to do of itself while the disk is full.
    pub(super) fn next_try(&self) -> Option<LocalTime> {
        self.full_until.into_iter().chain(self.watch.next()).min()
    }

    /// The disk has no room for what waits.
    pub(super) fn on_full(&mut self, reason: String) {
        let now = self.clock.now();
        if self.full_until.replace(now + TRY_EVERY).is_none() {
            self.watch.note(Happening::DiskFull, now);
            self.alarms.push(reason);
            self.resign();
        }
    }

    /// The disk takes what waited. Whoever led meanwhile is waited for as if it had just been heard.
    pub(super) fn on_room(&mut self) {
        if self.full_until.take().is_none() {
            return;
        }
        let now = self.clock.now();
        self.watch.note(Happening::DiskHasRoom, now);
        for group in self.groups.values_mut() {
            if !matches!(group.replica.role(), Role::Leading(_)) {
                let config = group.replica.config();
                let (after, spread) = (config.election_timeout, config.election_spread);
                group.timers.arm(Timer::Election, now, after, spread, &mut self.rng);
            }
        }
    }
}
