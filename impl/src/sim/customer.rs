//! A simulated client: proposes and reads, one operation after another.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use spec::{LocalTime, Span};

use super::judge::{Judge, read_number};
use super::{Findings, Plan, keys};
use crate::client::{Conversation, Ended, Operation};
use crate::clock::{Clock, millis};
use crate::datagram::{self, Origin, Packer, Unpacker};
use crate::network::Network;
use crate::node::GROUP;
use crate::rng::Rng;
use crate::secure::{Credentials, Guarded, Peer};
use crate::wire::Response;

/// The longest update: more than fits a small datagram.
const UPDATE_BYTES_MAX: u64 = 3_000;
/// The largest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// How long a client has patience while there are faults.
const PATIENCE: Span = millis(3_000);

/// A datagram, and from where it came or whereto it goes.
type Mail = (SocketAddr, Vec<u8>);

/// A client's network card and clock, which is the world's.
#[derive(Clone, Default, Debug)]
struct Card(Rc<RefCell<Traffic>>);

#[derive(Default, Debug)]
struct Traffic {
    now: i64,
    arrived: Option<Mail>,
    sent: Vec<Mail>,
}

impl Clock for Card {
    fn now(&self) -> LocalTime {
        LocalTime(self.0.borrow().now)
    }
}

impl Network for Card {
    fn wait(&mut self, _: Option<Span>) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        let Some((from, datagram)) = self.0.borrow_mut().arrived.take() else { return Ok(None) };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(Some((datagram.len(), from, Peer::Anybody)))
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        self.0.borrow_mut().sent.push((to, datagram.to_vec()));
        true
    }
}

#[derive(Debug)]
pub(super) struct Customer {
    pub(super) address: SocketAddr,
    card: Card,
    network: Guarded<Card, Card>,
    conversation: Conversation,
    packers: Vec<(SocketAddr, Packer)>,
    unpacker: Unpacker,
    buffer: Vec<u8>,
    rng: Rng,
    /// The number of its next update; no other client has the same.
    next_update: u64,
    /// How many clients share the numbers.
    clients: u64,
    current: Option<Current>,
    /// How long it thinks between two operations, at most.
    thinks: Span,
    rest_until: i64,
}

/// The operation that goes on.
#[derive(Debug)]
struct Current {
    /// The update's number; none for a read.
    update: Option<u64>,
    /// What any client knew of when it began.
    told: u64,
    begun: i64,
}

impl Customer {
    pub(super) fn new(
        index: u8,
        plan: &Plan,
        cluster: u64,
        servers: &[SocketAddr],
        credentials: Option<Credentials>,
        mut rng: Rng,
    ) -> Self {
        let sender = datagram::Sender::Client(u64::from(index));
        let origin = Origin { cluster, sender, incarnation: 0 };
        let card = Card::default();
        let network = keys::guard(card.clone(), card.clone(), credentials, Rng::seeded(rng.next_u64()));
        let datagram_bytes = plan.datagram_bytes - network.overhead();
        let packer = |&server| (server, Packer::new(origin, datagram_bytes));
        Self {
            card,
            network,
            address: ([10, 0, 1, 1], 2000 + u16::from(index)).into(),
            conversation: Conversation::new(servers.to_vec(), Rng::seeded(rng.next_u64())),
            packers: servers.iter().map(packer).collect(),
            unpacker: Unpacker::new(cluster),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            rng,
            next_update: u64::from(index),
            clients: u64::from(plan.clients),
            current: None,
            thinks: plan.clients_think,
            rest_until: 0,
        }
    }

    /// Whether it waits for an answer.
    pub(super) fn waits(&self) -> bool {
        self.current.is_some()
    }

    /// When it next does something of itself. `begins`: whether it may begin another operation.
    pub(super) fn next(&self, begins: bool) -> Option<i64> {
        match self.current {
            Some(_) => self.conversation.next_send().map(|at| at.0),
            None => begins.then_some(self.rest_until),
        }
    }

    /// Does what is due at `now`: begins an operation, or sends again.
    pub(super) fn act(&mut self, now: i64, judge: &Judge, impatient: bool) {
        let patient =
            |current: &Current| !impatient || now - current.begun < PATIENCE.0 || current.update.is_none();
        if !self.current.as_ref().is_some_and(patient) {
            self.begin(now, judge);
        }
        self.card.0.borrow_mut().now = now;
        while let Some((to, request)) = self.conversation.poll(LocalTime(now)) {
            if let Some((_, packer)) = self.packers.iter_mut().find(|(server, _)| *server == to) {
                let network = &mut self.network;
                let mut send = |datagram: &[u8]| {
                    network.send(to, datagram);
                };
                packer.push(GROUP, &request, &mut send).expect("an update is far below the limit");
                packer.flush(send);
            }
        }
    }

    /// What it has sent since it was asked last.
    pub(super) fn take_sent(&mut self) -> Vec<Mail> {
        std::mem::take(&mut self.card.0.borrow_mut().sent)
    }

    fn begin(&mut self, now: i64, judge: &Judge) {
        let reads = self.rng.percent(40);
        let (update, operation) = if reads {
            (None, Operation::Read(Vec::new().into()))
        } else {
            let number = self.next_update;
            self.next_update += self.clients;
            let mut bytes = number.to_le_bytes().to_vec();
            if self.rng.percent(10) {
                let more = usize::try_from(self.rng.below(UPDATE_BYTES_MAX)).unwrap_or(0);
                bytes.resize(bytes.len() + more, 0xA5);
            }
            (Some(number), Operation::Propose(bytes.into()))
        };
        self.conversation.begin(operation, LocalTime(now));
        self.current = Some(Current { update, told: judge.told(), begun: now });
    }

    /// A datagram arrived.
    pub(super) fn receive(
        &mut self,
        from: SocketAddr,
        datagram: Vec<u8>,
        now: i64,
        judge: &mut Judge,
        findings: &mut Findings,
    ) {
        {
            let mut traffic = self.card.0.borrow_mut();
            (traffic.now, traffic.arrived) = (now, Some((from, datagram)));
        }
        let arrived = self.network.receive(&mut self.buffer).expect("a simulated card has no errors");
        let Some((length, _, peer)) = arrived else { return };
        let Ok(received) = self.unpacker.receive_from(&self.buffer[..length], peer) else { return };
        let responses: Vec<Response> =
            received.frames().filter_map(|(_, body)| datagram::decode(body).ok()).collect();
        for response in responses {
            if let Some(ended) = self.conversation.on_response(response, LocalTime(now)) {
                self.on_ended(&ended, judge, findings);
                self.rest_until = now + self.rng.part_of(self.thinks).0;
            }
        }
    }

    fn on_ended(&mut self, ended: &Ended, judge: &mut Judge, findings: &mut Findings) {
        let Some(Current { update, told, .. }) = self.current.take() else {
            judge.complain(|| "an answer came that nobody waits for".into());
            return;
        };
        match (ended, update) {
            (Ended::Applied { slot, result }, Some(update)) => {
                let place = read_number(&result.0).unwrap_or(0);
                judge.acknowledged(update, *slot, place, told);
                findings.acknowledged += 1;
            }
            (Ended::SessionLost, Some(_)) => findings.sessions_lost += 1,
            (Ended::Value { value, .. }, None) => {
                judge.read(read_number(&value.0).unwrap_or(0), told);
                findings.reads += 1;
            }
            _ => judge.complain(|| format!("{ended:?} is no answer to what was asked")),
        }
    }
}
