//! What happened at a server, numbered, so that whoever looks again misses nothing that is still there.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use spec::{LocalTime, SERVERS_MAX, ServerId, ServerSet, Slot, Span, View};

use super::Reason;
use crate::clock::{Pace, to_millis};
use crate::status::{Recovery, Stage, Standing};

/// Events that are kept; older ones make room.
pub const EVENTS_MAX: usize = 1024;

/// One event.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Event {
    /// Counts the events of a server since it started, from 1.
    pub number: u64,
    /// When, since the server started.
    pub at: Span,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Happening {
    /// The server is something else as a leader now.
    Role {
        /// What it is.
        standing: Standing,
        /// The view that it has promised.
        view: View,
    },
    /// It has promised a higher view of another server.
    View(View),
    /// It holds the lease.
    LeaseGained(View),
    /// It held the lease and does no more.
    LeaseLost(View),
    /// It lacks slots that a peer knows to be chosen.
    CatchingUp {
        /// How many.
        slots: u64,
    },
    /// It has what it lacked.
    CaughtUp {
        /// Up to here.
        slot: Slot,
    },
    /// A peer was not heard for some time.
    PeerSilent(ServerId),
    /// A peer is heard, for the first time or again.
    PeerHeard(ServerId),
    /// A peer's clock was proved to run at another rate than this server's, by more than the bound.
    ClockApart {
        /// The peer.
        peer: ServerId,
        /// Whether it runs faster.
        pace: Pace,
        /// By how much at least, in millionths.
        ppm: u64,
        /// The bound, in millionths.
        bound_ppm: u32,
    },
    /// The peer's clock was proved to run within the bound again.
    ClockAgrees(ServerId),
    /// This server's own clock went back.
    ClockWentBack {
        /// How far.
        by: Span,
    },
    /// Datagrams in the name of a server came from another address; told once a minute at most.
    Twin {
        /// Whose id it uses.
        server: ServerId,
        /// Where it is.
        at: SocketAddr,
    },
    /// Datagrams were dropped; told once a second at most.
    Dropped {
        /// Why.
        reason: Reason,
        /// How many since this was last told.
        count: u64,
    },
    /// The disk is full: the server stands aside.
    DiskFull,
    /// It has room again.
    DiskHasRoom,
    /// It lost its disk, and may not vote yet.
    Recovering {
        /// What it is waiting for.
        stage: Stage,
        /// Of whom.
        waits_for: ServerSet,
    },
    /// It lost its disk, and votes again.
    Recovered,
    /// The disk took long; told once a second at most.
    SlowSync {
        /// How long.
        took: Span,
    },
}

impl Happening {
    /// A word for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Role { .. } => "role",
            Self::View(_) => "view",
            Self::LeaseGained(_) => "lease_gained",
            Self::LeaseLost(_) => "lease_lost",
            Self::CatchingUp { .. } => "catching_up",
            Self::CaughtUp { .. } => "caught_up",
            Self::PeerSilent(_) => "peer_silent",
            Self::PeerHeard(_) => "peer_heard",
            Self::ClockApart { .. } => "clock_apart",
            Self::ClockAgrees(_) => "clock_agrees",
            Self::ClockWentBack { .. } => "clock_went_back",
            Self::Twin { .. } => "twin",
            Self::Dropped { .. } => "dropped",
            Self::Recovering { .. } => "recovering",
            Self::Recovered => "recovered",
            Self::SlowSync { .. } => "slow_sync",
            Self::DiskFull => "disk_full",
            Self::DiskHasRoom => "disk_has_room",
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::LeaseLost(_)
                | Self::PeerSilent(_)
                | Self::ClockApart { .. }
                | Self::ClockWentBack { .. }
                | Self::Twin { .. }
                | Self::Dropped { .. }
                | Self::SlowSync { .. }
                | Self::DiskFull
                | Self::Recovering { .. }
        )
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role { standing, view } => write!(f, "{standing} (view {view})"),
            Self::View(view) => write!(f, "promised view {view}, of server {}", view.leader),
            Self::LeaseGained(view) => write!(f, "holds the lease of view {view}"),
            Self::LeaseLost(view) => write!(f, "holds the lease of view {view} no more"),
            Self::CatchingUp { slots } => write!(f, "catching up: lacks {slots} slots"),
            Self::CaughtUp { slot } => write!(f, "caught up to slot {slot}"),
            Self::PeerSilent(peer) => write!(f, "server {peer} is silent"),
            Self::PeerHeard(peer) => write!(f, "server {peer} is heard"),
            Self::ClockApart { peer, pace, ppm, bound_ppm } => {
                let (pace, effect) = match pace {
                    Pace::Faster => ("faster", "no lease of this server rests on its grants"),
                    Pace::Slower => ("slower", "it must do without leases that rest on this server's grants"),
                };
                write!(
                    f,
                    "the clock of server {peer} runs {pace} than this one's by {ppm} ppm or more, beyond drift_ppm = \
                     {bound_ppm}: {effect}, and reads ask a quorum where too few others are left. Look at both clocks"
                )
            }
            Self::ClockAgrees(peer) => write!(f, "the clock of server {peer} is within the bound again"),
            Self::ClockWentBack { by } => write!(
                f,
                "this server's clock went back by {:.3} ms: it does without leases until the others' clocks are seen to \
                 agree with it",
                to_millis(*by)
            ),
            Self::Twin { server, at } => write!(
                f,
                "somebody at {at}, which is not its address, speaks as server {server}, and is not heard: the server was \
                 started twice, or its address is wrong in somebody's configuration. Two with one id can lose what was \
                 acknowledged: stop one of them"
            ),
            Self::Dropped { reason, count } => write!(f, "dropped {count} datagrams {reason}"),
            Self::DiskFull => write!(f, "the disk is full: stands aside until there is room"),
            Self::DiskHasRoom => write!(f, "the disk has room again"),
            Self::Recovering { stage, waits_for } => {
                let waits_for = (0..SERVERS_MAX).map(ServerId).filter(|&server| waits_for.contains(server));
                write!(f, "recovering: {}", Recovery { stage: *stage, waits_for: waits_for.collect() })
            }
            Self::Recovered => f.write_str("recovered: votes again"),
            Self::SlowSync { took } => write!(f, "a sync took {:.0} ms", to_millis(*took)),
        }
    }
}

/// How often things happened since the server started.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Tally {
    /// Times that the promised view rose.
    pub view_changes: u64,
    /// Times that this server stood for election.
    pub elections: u64,
    /// Times that it was elected.
    pub elections_won: u64,
    /// Times that it came by a lease.
    pub leases_gained: u64,
    /// Times that it prolonged one.
    pub leases_renewed: u64,
    /// Times that one ended.
    pub leases_lost: u64,
    /// Times that it lagged.
    pub catch_ups: u64,
    /// Syncs that took long.
    pub slow_syncs: u64,
    /// Times that a clock was found out of step, or this server's own went back.
    pub clock_alarms: u64,
}

/// The latest events.
#[derive(Debug)]
pub struct Events {
    started: LocalTime,
    last: u64,
    kept: VecDeque<Event>,
}

impl Events {
    /// None yet.
    #[must_use]
    pub fn new(started: LocalTime) -> Self {
        Self { started, last: 0, kept: VecDeque::new() }
    }

    pub(crate) fn started(&self) -> LocalTime {
        self.started
    }

    pub(crate) fn note(&mut self, what: Happening, now: LocalTime) {
        self.last += 1;
        if self.kept.len() == EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Event { number: self.last, at: now - self.started, what });
    }

    /// The events after `number` that are kept, oldest first.
    pub fn after(&self, number: u64) -> impl Iterator<Item = &Event> {
        let new = usize::try_from(self.last.saturating_sub(number)).unwrap_or(usize::MAX);
        self.kept.iter().skip(self.kept.len().saturating_sub(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_events_are_kept_and_nobody_sees_one_twice() {
        let mut events = Events::new(LocalTime(5));
        for slots in 0..EVENTS_MAX as u64 + 10 {
            events.note(Happening::CatchingUp { slots }, LocalTime(6));
        }
        assert_eq!(events.after(0).count(), EVENTS_MAX);
        assert_eq!(events.after(0).next().unwrap().number, 11);
        let last = EVENTS_MAX as u64 + 10;
        let numbers: Vec<_> = events.after(last - 2).map(|event| event.number).collect();
        assert_eq!(numbers, [last - 1, last]);
        assert_eq!(events.after(last).count() + events.after(u64::MAX).count(), 0);
        assert!(events.after(0).all(|event| event.at == Span(1)));
    }
}
