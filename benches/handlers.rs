//! How fast the handlers are, with no disk and no network: handler calls a second of a leader and of an acceptor
//! in the normal case, that is with an established view, a group of three and values of 256 B.
//!
//! - `leader`: one update at a time, five calls each: the client's request, the Propose and the Accept
//!   of its own acceptor, and the Accepts of the two others.
//! - `leader, full window`: the same with as many updates under way as the window allows, so that every call
//!   finds the leader's tables full.
//! - `acceptor`: two calls an update: the Propose, and the mark that it is chosen.
//!
//! The list of effects is taken after each call, as a driver does; what is not for the server itself is dropped.
//!
//! To be read against `floor/datagram`: most calls answer a message that came in a datagram, so a call should
//! cost a small part of one.

use std::collections::VecDeque;

use cluster::payload::Payload;
use criterion::{BatchSize, Criterion, Throughput};
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

/// Updates that one server is given before a new one takes its place, so that histories stay in memory.
const UPDATES: u64 = 4096;
const CALLS_LEADER: u64 = 5;
const CALLS_ACCEPTOR: u64 = 2;

fn main() {
    benches::run(|criterion| {
        leader(criterion, "leader", 1);
        leader(criterion, "leader, full window", config(LEADER).window as u64);
        acceptor(criterion);
    });
}

fn leader(criterion: &mut Criterion, name: &str, window: u64) {
    let value = benches::value();
    let mut group = criterion.benchmark_group("handlers");
    group.throughput(Throughput::Elements(UPDATES * CALLS_LEADER));
    group.bench_function(name, |bencher| {
        let routine = |leader: &mut Server| {
            for first in (1..=UPDATES).step_by(usize::try_from(window).unwrap_or(1)) {
                let sequences = first..first + window;
                sequences.clone().for_each(|sequence| leader.submit(benches::update(sequence, &value)));
                sequences.for_each(|sequence| leader.receive_votes(slot_of(sequence)));
            }
            assert_eq!(leader.replica.applied(), slot_of(UPDATES));
        };
        bencher.iter_batched_ref(Server::leading, routine, BatchSize::PerIteration);
    });
    group.finish();
}

fn acceptor(criterion: &mut Criterion) {
    let value = benches::value();
    let mut group = criterion.benchmark_group("handlers");
    group.throughput(Throughput::Elements(UPDATES * CALLS_ACCEPTOR));
    group.bench_function("acceptor", |bencher| {
        let routine = |acceptor: &mut Server| {
            for sequence in 1..=UPDATES {
                acceptor.vote_and_learn(slot_of(sequence), benches::update(sequence, &value));
            }
            assert_eq!(acceptor.replica.applied(), slot_of(UPDATES));
        };
        bencher.iter_batched_ref(Server::following, routine, BatchSize::PerIteration);
    });
    group.finish();
}

/// The slot of an update: slot 1 opened the session.
fn slot_of(sequence: u64) -> Slot {
    Slot(1 + sequence)
}

fn config(me: ServerId) -> Config {
    Config::new(me, 3, LEASE_TERM)
}

/// A server, and the messages that it has sent to itself.
struct Server {
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
    fn leading() -> Self {
        let mut leader = Self::new(LEADER);
        leader.replica.timeout(Timer::Election, NOW, &mut leader.effects);
        leader.carry_out();
        let promise = Message::Promise { view: VIEW, committed: Slot::NONE, reports: Vec::new() };
        leader.receive(OTHERS[0], promise);
        leader.submit(Command::Open { nonce: 1 });
        leader.receive_votes(benches::SESSION.0);
        leader
    }

    /// An acceptor that has promised the leader's view and knows the session.
    fn following() -> Self {
        let mut acceptor = Self::new(OTHERS[0]);
        acceptor.receive(LEADER, Message::Prepare { view: VIEW, committed: Slot::NONE });
        acceptor.vote_and_learn(benches::SESSION.0, Command::Open { nonce: 1 });
        acceptor
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
