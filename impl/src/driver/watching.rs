//! The driver notes what happens, tells its peers how it is, and is told how they are. No decision rests on it.

use std::net::SocketAddr;

use spec::{LocalTime, Message, ServerId, Slot, Span, View};

use super::Driver;
use crate::clock::{Clock, millis};
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::status::{Counters, Recovery, Standing};
use crate::watch::{Beat, Beats, Drops, Events, Happening, Histogram, PeerReport, Reason, Report, Tally};
use crate::wire::Between;

/// A sync that takes longer is slow.
const SLOW_SYNC: Span = millis(100);
/// A server that lacks so many slots that a peer has is catching up.
const LAG_SLOTS: u64 = 64;
/// What can happen at any rate is told so often at most.
const TOLD_EVERY: Span = millis(1_000);
/// How often the operating system is asked what it dropped.
const LOOK_EVERY: Span = millis(1_000);

/// How often somebody who uses another's id is told of, at most.
const TWIN_TOLD_EVERY: Span = millis(60_000);

/// What one driver has noted.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) events: Events,
    pub(super) tally: Tally,
    pub(super) syncs: Histogram,
    pub(super) updates: Histogram,
    /// None if this server tells its peers nothing.
    beats: Option<Beats>,
    standing: Option<Standing>,
    view: View,
    recovery: Option<Recovery>,
    /// The end of the lease that it holds, and its view.
    lease: Option<(View, LocalTime)>,
    /// Where it will have caught up.
    behind: Option<Slot>,
    told_drops: (LocalTime, Drops),
    /// When the operating system is next asked what it dropped.
    look_at: LocalTime,
    told_slow: Option<LocalTime>,
    told_twin: Option<LocalTime>,
}

impl Watch {
    pub(super) fn new(now: LocalTime) -> Self {
        Self {
            events: Events::new(now),
            tally: Tally::default(),
            syncs: Histogram::default(),
            updates: Histogram::default(),
            beats: None,
            standing: None,
            view: View::NONE,
            recovery: None,
            lease: None,
            behind: None,
            told_drops: (now, Drops::default()),
            look_at: now,
            told_slow: None,
            told_twin: None,
        }
    }

    /// When there is something to tell the peers.
    pub(super) fn next(&self) -> Option<LocalTime> {
        self.beats.as_ref().map(Beats::next)
    }

    pub(super) fn note(&mut self, what: Happening, now: LocalTime) {
        let alarm = matches!(what, Happening::ClockApart { .. } | Happening::ClockWentBack { .. });
        self.tally.clock_alarms += u64::from(alarm);
        self.events.note(what, now);
    }

    fn note_role(&mut self, standing: Standing, view: View, now: LocalTime) {
        let before = self.standing.replace(standing);
        if view > self.view {
            self.tally.view_changes += u64::from(before.is_some());
            self.view = view;
            // Its own views are told with its role.
            if before.is_some() && standing == Standing::Follower {
                self.note(Happening::View(view), now);
            }
        }
        if before == Some(standing) {
            return;
        }
        self.tally.elections += u64::from(standing == Standing::Preparing);
        self.tally.elections_won += u64::from(standing == Standing::Leading);
        self.note(Happening::Role { standing, view }, now);
    }

    fn note_recovery(&mut self, recovery: Option<Recovery>, now: LocalTime) {
        if self.recovery == recovery {
            return;
        }
        let what = match &recovery {
            Some(Recovery { stage, waits_for }) => {
                Happening::Recovering { stage: *stage, waits_for: waits_for.iter().copied().collect() }
            }
            None => Happening::Recovered,
        };
        self.recovery = recovery;
        self.note(what, now);
    }

    fn note_lease(&mut self, lease: Option<(View, LocalTime)>, now: LocalTime) {
        match (std::mem::replace(&mut self.lease, lease), lease) {
            (Some((before, _)), Some((view, _))) if before != view => {
                (self.tally.leases_lost, self.tally.leases_gained) =
                    (self.tally.leases_lost + 1, self.tally.leases_gained + 1);
                self.note(Happening::LeaseLost(before), now);
                self.note(Happening::LeaseGained(view), now);
            }
            (Some((_, before)), Some((_, until))) => self.tally.leases_renewed += u64::from(until > before),
            (None, Some((view, _))) => {
                self.tally.leases_gained += 1;
                self.note(Happening::LeaseGained(view), now);
            }
            (Some((view, _)), None) => {
                self.tally.leases_lost += 1;
                self.note(Happening::LeaseLost(view), now);
            }
            (None, None) => {}
        }
    }

    fn note_lag(&mut self, committed: Slot, now: LocalTime) {
        if let Some(slot) = self.behind {
            if committed >= slot {
                self.behind = None;
                self.note(Happening::CaughtUp { slot }, now);
            }
            return;
        }
        let furthest = self.beats.as_ref().map_or(0, Beats::furthest);
        let slots = furthest.saturating_sub(committed.0);
        if slots >= LAG_SLOTS {
            self.behind = Some(Slot(furthest));
            self.tally.catch_ups += 1;
            self.note(Happening::CatchingUp { slots }, now);
        }
    }

    fn note_drops(&mut self, drops: Drops, now: LocalTime) {
        let (told_at, told) = std::mem::replace(&mut self.told_drops, (now, drops));
        if drops == told {
            return;
        }
        if now - told_at < TOLD_EVERY {
            self.told_drops = (told_at, told);
            return;
        }
        let more: Vec<(Reason, u64)> = drops
            .iter()
            .zip(told.iter())
            .map(|((reason, count), (_, before))| (reason, count.saturating_sub(before)))
            .filter(|&(_, count)| count > 0)
            .collect();
        more.into_iter().for_each(|(reason, count)| self.note(Happening::Dropped { reason, count }, now));
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// From now on tells the other servers how this one is, a few times a second, so that each knows all.
    pub fn tell_peers(&mut self) {
        self.watch.beats =
            Some(Beats::new(self.identity.addresses.len(), self.identity.life.number(), self.clock.now()));
    }

    /// The latest events.
    pub fn events(&self) -> &Events {
        &self.watch.events
    }

    /// How this server is, what it has counted, and what it knows of the others; none if it has no group.
    pub fn report(&self) -> Option<Report> {
        let (&id, group) = self.groups.first_key_value()?;
        let (now, watch) = (self.clock.now(), &self.watch);
        let beats = watch.beats.iter();
        Some(Report {
            cluster: self.identity.cluster,
            uptime: now - watch.events.started(),
            lease_term: group.replica.config().lease_term,
            status: self.status(id)?,
            peers: beats
                .flat_map(|beats| beats.reports(self.identity.server, now))
                .map(|report| self.with_clock(report))
                .collect(),
            tally: watch.tally,
            drops: self.drops(),
            syncs: watch.syncs,
            updates: watch.updates,
        })
    }

    fn with_clock(&self, report: PeerReport) -> PeerReport {
        let apart = self.clocks.apart().find(|&(server, _)| server == report.server);
        let (clock, clock_apart) = (self.clocks.rates(report.server), apart.map(|(_, pace)| pace));
        PeerReport { clock, clock_apart, ..report }
    }

    fn drops(&self) -> Drops {
        let counters = self.inbox.as_ref().map(|inbox| inbox.unpacker.counters()).unwrap_or_default();
        let Counters { datagrams_dropped, datagrams_overflowed, .. } = self.counters;
        Drops::of(counters, datagrams_dropped, self.network.dropped(), datagrams_overflowed)
    }

    /// Notes what this step has changed.
    pub(super) fn watch(&mut self) {
        let Some((&id, group)) = self.groups.first_key_value() else { return };
        let (now, replica) = (self.clock.now(), &group.replica);
        let view = replica.durable().promised;
        let committed = replica.history().committed();
        let lease = replica.lease_remaining(now).map(|left| (view, now + left));
        let (standing, recovery) = (Standing::of(replica), self.recovery());
        self.watch.note_recovery(recovery, now);
        self.watch.note_role(standing, view, now);
        self.watch.note_lease(lease, now);
        if self.watch.beats.is_some() {
            self.watch.note_lag(committed, now);
            self.tell_if_due(id, now);
        }
        if now >= self.watch.look_at {
            self.counters.datagrams_overflowed = self.network.overflowed();
            self.watch.look_at = now + LOOK_EVERY;
        }
        let drops = self.drops();
        self.watch.note_drops(drops, now);
    }

    fn tell_if_due(&mut self, group: u16, now: LocalTime) {
        let Some(mut beats) = self.watch.beats.take() else { return };
        if beats.begin(now) {
            for (peer, is_heard) in beats.changes(now) {
                let what = if is_heard { Happening::PeerHeard(peer) } else { Happening::PeerSilent(peer) };
                self.watch.note(what, now);
            }
            for (peer, &address) in self.identity.addresses.iter().enumerate() {
                let Some(status) = self.status(group).filter(|_| peer != usize::from(self.identity.server.0))
                else {
                    continue;
                };
                let beat: Between<&Message<Payload>> = Between::Beat(Box::new(beats.beat(peer, status, now)));
                self.outbox.push(address, group, &beat, &mut self.network, &mut self.counters);
            }
        }
        self.watch.beats = Some(beats);
    }

    pub(super) fn on_beat(&mut self, from: ServerId, beat: Beat) {
        let now = self.clock.now();
        let Some(beats) = &mut self.watch.beats else { return };
        if beats.is_of_another_start(from, &beat) {
            self.clocks.restarted(from);
        }
        if let Some(sample) = beats.on_beat(from, beat, now) {
            self.compare_clocks(from, sample);
        }
    }

    /// Somebody at another address speaks in the name of a server.
    pub(super) fn note_twin(&mut self, server: ServerId, at: SocketAddr) {
        let now = self.clock.now();
        if self.watch.told_twin.is_none_or(|told| now - told >= TWIN_TOLD_EVERY) {
            self.watch.told_twin = Some(now);
            self.watch.note(Happening::Twin { server, at }, now);
        }
    }

    /// A sync that began at `begun` has ended.
    pub(super) fn note_sync(&mut self, begun: LocalTime) {
        let now = self.clock.now();
        let (took, watch) = (now - begun, &mut self.watch);
        watch.syncs.note(took);
        if took < SLOW_SYNC {
            return;
        }
        watch.tally.slow_syncs += 1;
        if watch.told_slow.is_none_or(|told| now - told >= TOLD_EVERY) {
            watch.told_slow = Some(now);
            watch.note(Happening::SlowSync { took }, now);
        }
    }
}
