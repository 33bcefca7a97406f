//! One server's handlers, driven without a disk or a network, for the benches and the instruction counts.

use std::collections::VecDeque;

use cluster::payload::Payload;
use spec::{
    Command, Config, Durable, Effect, Effects, LocalTime, Message, Paxos, Replica, ServerId, Slot, Span,
    Timer, View,
};

const LEADER: ServerId = ServerId(0);
const OTHERS: [ServerId; 2] = [ServerId(1), ServerId(2)];
const VIEW: View = View::new(1, LEADER);
const LEASE_TERM: Span = Span(600_000_000);
/// Nobody's clock moves: no timer runs out, as in the normal case none does.
const NOW: LocalTime = LocalTime(0);

/// Updates that a leader has under way at most.
#[must_use]
pub fn window() -> u64 {
    config(LEADER).window as u64
}

/// The slot of an update: slot 1 opened the session.
#[must_use]
pub fn slot_of(sequence: u64) -> Slot {
    Slot(1 + sequence)
}

fn config(me: ServerId) -> Config {
    Config::new(me, 3, LEASE_TERM)
}

/// A server, and the messages that it has sent to itself.
#[derive(Debug)]
pub struct Server {
    me: ServerId,
    replica: Replica<Payload>,
    effects: Effects<Payload>,
    to_self: VecDeque<Message<Payload>>,
}

impl Server {
    fn new(me: ServerId) -> Self {
        let mut effects = Effects::new();
        let replica = Replica::recover(config(me), Paxos, Durable::default(), NOW, &mut effects)
            .expect("the configuration is safe");
        effects.drain().for_each(drop); // the first timer
        Self { me, replica, effects, to_self: VecDeque::new() }
    }

    /// A leader with an open session.
    #[must_use]
    pub fn leading() -> Self {
        let mut leader = Self::new(LEADER);
        leader.replica.timeout(Timer::Election, NOW, &mut leader.effects);
        leader.carry_out();
        let promise = Message::Promise { view: VIEW, committed: Slot::NONE, reports: Vec::new() };
        leader.receive(OTHERS[0], promise);
        leader.submit(Command::Open { nonce: 1 });
        leader.receive_votes(crate::SESSION.0);
        leader
    }

    /// An acceptor that has promised the leader's view and knows the session.
    #[must_use]
    pub fn following() -> Self {
        let mut acceptor = Self::new(OTHERS[0]);
        acceptor.receive(LEADER, Message::Prepare { view: VIEW, committed: Slot::NONE });
        acceptor.vote_and_learn(crate::SESSION.0, Command::Open { nonce: 1 });
        acceptor
    }

    /// Lets a leader have updates `sequences` chosen, as many as `window` under way at a time.
    pub fn lead(&mut self, sequences: std::ops::RangeInclusive<u64>, window: u64, value: &Payload) {
        let (mut first, last) = (*sequences.start(), *sequences.end());
        while first <= last {
            let under_way = first..=last.min(first + window - 1);
            under_way.clone().for_each(|sequence| self.submit(crate::update(sequence, value)));
            under_way.for_each(|sequence| self.receive_votes(slot_of(sequence)));
            first += window;
        }
        assert_eq!(self.replica.applied(), slot_of(last));
    }

    /// Lets an acceptor vote for and learn updates `sequences`.
    pub fn follow(&mut self, sequences: std::ops::RangeInclusive<u64>, value: &Payload) {
        let last = slot_of(*sequences.end());
        sequences.for_each(|sequence| self.vote_and_learn(slot_of(sequence), crate::update(sequence, value)));
        assert_eq!(self.replica.applied(), last);
    }

    fn submit(&mut self, command: Command<Payload>) {
        self.replica.submit(command, &mut self.effects);
        self.carry_out();
    }

    fn receive_votes(&mut self, slot: Slot) {
        OTHERS.into_iter().for_each(|from| self.receive(from, Message::Accept { view: VIEW, slot }));
    }

    fn vote_and_learn(&mut self, slot: Slot, command: Command<Payload>) {
        self.receive(LEADER, Message::Propose { view: VIEW, slot, command });
        self.receive(LEADER, Message::Committed { view: VIEW, up_to: slot });
    }

    fn receive(&mut self, from: ServerId, message: Message<Payload>) {
        self.replica.receive(from, message, NOW, &mut self.effects);
        self.carry_out();
    }

    /// Delivers what the server sends to itself until there is no more of it.
    fn carry_out(&mut self) {
        loop {
            for effect in self.effects.drain() {
                if let Effect::Send { to, message, .. } = effect
                    && to == self.me
                {
                    self.to_self.push_back(message);
                }
            }
            let Some(message) = self.to_self.pop_front() else { return };
            self.replica.receive(self.me, message, NOW, &mut self.effects);
        }
    }
}
