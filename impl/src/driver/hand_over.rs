//! Giving up leading in favour of another server: on request, and before a node stops.

use std::collections::BTreeMap;

use spec::{LocalTime, Message, Replica, Role, ServerId, Slot, Span, Timer};

use super::Driver;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::wire::{Answer, Between};

/// How far each server has said that it is, and when it last said so.
#[derive(Debug, Default)]
pub(super) struct Heard(BTreeMap<(u16, ServerId), (Slot, LocalTime)>);

impl Heard {
    /// A follower's answers to its leader tell how much it has.
    pub(super) fn note(&mut self, group: u16, from: ServerId, message: &Message<Payload>, now: LocalTime) {
        let (Message::Grant { committed: slot, .. } | Message::Accept { slot, .. }) = *message else {
            return;
        };
        let (furthest, at) = self.0.entry((group, from)).or_insert((slot, now));
        (*furthest, *at) = (slot.max(*furthest), now);
    }

    /// The server that has most, of those heard of since `since`.
    fn furthest(&self, group: u16, since: LocalTime) -> Option<ServerId> {
        let of_group = self.0.range((group, ServerId(0))..=(group, ServerId(u8::MAX)));
        let alive = of_group.filter(|&(_, &(_, at))| at >= since);
        alive.max_by_key(|&(_, heard)| heard).map(|(&(_, server), _)| server)
    }

    fn is_alive(&self, group: u16, server: ServerId, since: LocalTime) -> bool {
        self.0.get(&(group, server)).is_some_and(|&(_, at)| at >= since)
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Gives up leading a group in favour of server `to`, if this server leads it. Whether it did.
    ///
    /// Its Release leaves before the word to stand, and in the same datagram, so the successor's own grant ends first;
    /// where another server's has not, the successor asks it again after the retry interval.
    pub fn transfer(&mut self, group: u16, to: ServerId) -> bool {
        let address = self.identity.addresses.get(usize::from(to.0)).copied();
        let Some(address) = address.filter(|_| to != self.identity.server) else { return false };
        if !self.leads(group) {
            return false;
        }
        self.input(group, |replica, _, effects| replica.resign(effects));
        let stand: Between<&Message<Payload>> = Between::Stand;
        self.outbox.push(address, group, &stand, &mut self.network, &mut self.counters);
        self.flush();
        true
    }

    /// Stands for election in a group, as if this server had waited for a leader in vain. A timer may run out at any time, so
    /// this is safe whoever asks for it, and whenever; where another server's lease runs it does nothing yet.
    pub fn stand(&mut self, group: u16) {
        self.input(group, |replica, now, effects| replica.timeout(Timer::Election, now, effects));
    }

    /// The server that would lead a group best if this one stopped: the one that has most, of those that were
    /// heard of lately; none if none was.
    pub fn successor(&self, group: u16) -> Option<ServerId> {
        self.heard.furthest(group, self.lately(group)?)
    }

    /// Gives up leading, so that another server can take over at once. For a node that is to stop.
    pub fn resign(&mut self) {
        for id in self.group_ids() {
            let successor = self.successor(id);
            if !successor.is_some_and(|to| self.transfer(id, to)) {
                self.input(id, |replica, _, effects| replica.resign(effects));
            }
        }
        self.flush();
    }

    /// A client asks for a hand-over. A server that is not heard of is not handed to: that would be an outage.
    pub(super) fn on_transfer(&mut self, group: u16, to: Option<ServerId>) -> Answer {
        let me = self.identity.server;
        if !self.leads(group) {
            let view = self.replica(group).map_or(spec::View::NONE, |replica| replica.durable().promised);
            let leader = self.identity.addresses.get(usize::from(view.leader.0)).copied();
            return Answer::Redirect { view, leader: leader.filter(|_| view.leader != me) };
        }
        if to == Some(me) {
            return Answer::Leading(me);
        }
        let since = self.lately(group);
        let alive = |to: &ServerId| since.is_some_and(|since| self.heard.is_alive(group, *to, since));
        match to.filter(alive).or_else(|| to.is_none().then(|| self.successor(group)).flatten()) {
            Some(to) if self.transfer(group, to) => Answer::Transferred(to),
            _ => Answer::NoSuccessor,
        }
    }

    /// Since when a server that lives has been heard of: two renewals would have to be lost.
    fn lately(&self, group: u16) -> Option<LocalTime> {
        let Span(timeout) = self.replica(group)?.config().election_timeout;
        Some(self.clock.now() - Span(timeout))
    }

    fn leads(&self, group: u16) -> bool {
        let leads = |replica: &Replica<Payload>| matches!(replica.role(), Role::Leading(_));
        self.replica(group).is_some_and(leads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::View;

    #[test]
    fn the_successor_is_who_has_most_of_those_that_are_heard_of() {
        let (mut heard, view) = (Heard::default(), View::new(1, ServerId(0)));
        for (server, slot, at) in [(1, 9, 1), (2, 5, 7), (3, 7, 8)] {
            let message = Message::Accept { view, slot: Slot(slot) };
            heard.note(0, ServerId(server), &message, LocalTime(at));
        }
        assert_eq!(heard.furthest(0, LocalTime(0)), Some(ServerId(1)));
        assert_eq!(heard.furthest(0, LocalTime(5)), Some(ServerId(3)));
        assert_eq!(heard.furthest(0, LocalTime(9)), None);
        assert_eq!(heard.furthest(1, LocalTime(0)), None);
        assert!(
            heard.is_alive(0, ServerId(2), LocalTime(7)) && !heard.is_alive(0, ServerId(2), LocalTime(8))
        );
    }
}
