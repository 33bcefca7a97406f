//! The kinds of fault that a simulation knows, and how often each has really struck.

use std::fmt;

/// A kind of fault. It counts when it does something: a cut link when it loses a datagram, not when it is cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// Disk: the power fails; of what was not synced any prefix survives.
    PowerFailure,
    /// Disk: the power fails while records are being written.
    CutSync,
    /// Disk: a sync takes tens of milliseconds.
    SlowSync,
    /// Disk: a sync takes longer than a lease.
    Stall,
    /// Disk: a sync fails, as on a full disk, and the server stops.
    FailedSync,
    /// Disk: it is full for a while, and the server stands aside.
    Full,
    /// Disk: it is lost with all that it holds, and begun anew by `recover`.
    WipedDisk,
    /// Disk: a stretch of the log is no longer what was written.
    Rot,
    /// Network: a datagram is lost.
    Loss,
    /// Network: a datagram arrives twice.
    Repeat,
    /// Network: a datagram is overtaken by seconds of others.
    Late,
    /// Network: a copy of a datagram arrives long after it.
    Replay,
    /// Network: a datagram arrives with a flipped bit.
    Bent,
    /// Network: a link is cut in one direction.
    OneWay,
    /// Network: a server is cut off from all others, in both directions.
    Symmetric,
    /// Network: two servers cannot reach each other, and others reach both.
    Bridge,
    /// Network: a link holds back what it should carry, and lets go of all of it at once.
    Clogged,
    /// Network: a link goes up and down.
    Flapping,
    /// Network: the operating system takes no datagram for a while, because its buffer is full.
    Unsent,
    /// Clock: the rate changes, within the bound.
    RateChange,
    /// Clock: the machine sleeps: its clock jumps, and what is sent to it meanwhile is lost.
    Suspension,
    /// Clock: the rate is beyond the bound for a while.
    RateBeyond,
    /// Clock: it stands still for a while.
    StandStill,
    /// Clock: it jumps, back or forth.
    Jump,
    /// Process: it is killed, and started again soon.
    Kill,
    /// Process: it stands still, perhaps for longer than a lease, then goes on in the middle of its work.
    Pause,
}

/// What a fault is a fault of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// What keeps records.
    Disk,
    /// What carries datagrams.
    Network,
    /// What shows local time.
    Clock,
    /// What runs the handlers.
    Process,
}

impl Fault {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 26] = [
        Self::PowerFailure,
        Self::CutSync,
        Self::SlowSync,
        Self::Stall,
        Self::FailedSync,
        Self::Full,
        Self::WipedDisk,
        Self::Rot,
        Self::Loss,
        Self::Repeat,
        Self::Late,
        Self::Replay,
        Self::Bent,
        Self::OneWay,
        Self::Symmetric,
        Self::Bridge,
        Self::Clogged,
        Self::Flapping,
        Self::Unsent,
        Self::RateChange,
        Self::Suspension,
        Self::RateBeyond,
        Self::StandStill,
        Self::Jump,
        Self::Kill,
        Self::Pause,
    ];

    /// What it is a fault of.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::PowerFailure
            | Self::CutSync
            | Self::SlowSync
            | Self::Stall
            | Self::FailedSync
            | Self::Full
            | Self::WipedDisk
            | Self::Rot => Class::Disk,
            Self::RateChange | Self::Suspension | Self::RateBeyond | Self::StandStill | Self::Jump => {
                Class::Clock
            }
            Self::Kill | Self::Pause => Class::Process,
            _ => Class::Network,
        }
    }
}

/// How often each kind has struck.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Tally {
    /// How often one kind has struck.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// The kinds that have struck.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> + '_ {
        Fault::ALL.into_iter().filter(|&fault| self.of(fault) > 0)
    }

    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.kinds().map(|fault| (fault, self.of(fault)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_count_of_its_own() {
        assert!(Fault::ALL.into_iter().enumerate().all(|(index, fault)| fault as usize == index));
    }
}
