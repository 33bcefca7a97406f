//! What arrives at a driver: datagrams, what they carry, and whose they are.

use std::net::SocketAddr;

use spec::{Command, LocalTime, Message, RequestId, ServerId, View};

use super::group::Asker;
use super::in_hand::InHand;
use super::{Driver, Stopped};
use crate::clock::Clock;
use crate::datagram::{self, Received, Unpacker};
use crate::disk::Disk;
use crate::life::Life;
use crate::network::Network;
use crate::payload::Payload;
use crate::secure::Peer;
use crate::state_machine::StateMachine;
use crate::wire::{Answer, Ask, Between, Request, Response};

/// Datagrams that one step takes at most, so that timers and clients are not kept waiting.
const DATAGRAMS_PER_STEP_MAX: usize = 1024;
/// The largest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// What takes datagrams apart.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) unpacker: Unpacker,
    buffer: Vec<u8>,
}

impl Inbox {
    pub(super) fn new(cluster: u64) -> Self {
        Self { unpacker: Unpacker::new(cluster), buffer: vec![0; DATAGRAM_BYTES_MAX] }
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Takes everything that has arrived, a step's worth at most.
    pub(super) fn receive_all(&mut self) -> Result<(), Stopped> {
        let mut inbox = self.inbox.take().expect("a driver that failed is not used again");
        for _ in 0..DATAGRAMS_PER_STEP_MAX {
            let Some((length, from, peer)) = self.network.receive(&mut inbox.buffer)? else { break };
            self.counters.datagrams_in += 1;
            match inbox.unpacker.receive_from(&inbox.buffer[..length], peer) {
                Ok(received) => self.on_datagram(&received, from, peer),
                Err(_) => self.counters.datagrams_dropped += 1,
            }
        }
        self.inbox = Some(inbox);
        Ok(())
    }

    fn on_datagram(&mut self, received: &Received<'_>, from: SocketAddr, peer: Peer) {
        let now = self.clock.now();
        match received.sender {
            datagram::Sender::Server(id) if self.is_server(id, from, received.incarnation) => {
                for (group, body) in received.frames() {
                    let message = || datagram::decode::<Between<Message<Payload>>>(body).ok();
                    let _in_hand = InHand::new(|| (group, id, message()));
                    self.on_message(group, ServerId(id), body, now);
                }
            }
            datagram::Sender::Server(_) => self.counters.datagrams_dropped += 1,
            datagram::Sender::Client(_) => {
                for (group, body) in received.frames() {
                    let _in_hand = InHand::new(|| (group, from, datagram::decode::<Request>(body).ok()));
                    self.on_request(group, (from, peer), body, now);
                }
            }
        }
    }

    /// Whether a datagram is really from server `id` as it lives now.
    fn is_server(&mut self, id: u8, from: SocketAddr, life: u64) -> bool {
        let index = usize::from(id);
        let Some(&address) = self.identity.addresses.get(index) else { return false };
        if from != address {
            self.note_twin(ServerId(id), from);
        }
        if id == self.identity.server.0 || from != address {
            return false;
        }
        self.hears(ServerId(id), Life::of_number(life))
    }

    fn on_message(&mut self, group: u16, from: ServerId, body: &[u8], now: LocalTime) {
        let body = match datagram::decode(body) {
            Ok(Between::Holding(holding)) => return self.on_holding(from, holding),
            Ok(Between::Void(void)) => return self.on_void(from, void),
            Ok(Between::Settings { settings, asks }) => return self.on_settings(from, settings, asks),
            Ok(Between::Beat(beat)) => return self.on_beat(from, *beat),
            Ok(body) if self.agrees(from) => body,
            Ok(_) => return,
            Err(_) => return self.counters.frames_dropped += 1,
        };
        let Some(incarnation) = self.lives.incarnation_of(from) else { return };
        match body {
            Between::Protocol(_) | Between::Stand | Between::SnapshotPiece(_) if self.stands_aside() => {}
            Between::Protocol(message) => {
                self.heard.note(group, from, &message, now);
                if matches!(message, Message::Forward(_)) {
                    self.marks.note_forward(from, now);
                }
                let from = (from, incarnation);
                self.input_at(group, now, |replica, now, effects| {
                    replica.receive_from(from, message, now, effects);
                });
            }
            Between::Stand => self.stand(group),
            Between::SnapshotAsk(ask) => self.on_snapshot_ask(group, from, ask),
            Between::SnapshotPiece(piece) => self.on_snapshot_piece(group, from, piece),
            Between::StateHash(report) => self.on_state_hash(group, from, report),
            Between::Beat(_) | Between::Settings { .. } | Between::Holding(_) | Between::Void(_) => {}
        }
    }

    fn on_request(&mut self, id: u16, (address, peer): (SocketAddr, Peer), body: &[u8], now: LocalTime) {
        let aside = self.stands_aside();
        let Some((group, request)) = self.groups.get_mut(&id).zip(datagram::decode::<Request>(body).ok())
        else {
            self.counters.frames_dropped += 1;
            return;
        };
        let Request { number, ask } = request;
        let asker = Asker::Client { address, number };
        let reply = |answer| (address, id, Response { number, answer });
        match ask {
            Ask::Open { .. } | Ask::Update(_) | Ask::Read(_) | Ask::Transfer(_) if aside => {
                self.replies.push(reply(Answer::Redirect { view: View::NONE, leader: None }));
            }
            Ask::Open { .. } | Ask::Update(_) | Ask::Transfer(_) if !peer.may_write() => {
                self.replies.push(reply(Answer::Forbidden));
            }
            Ask::Open { nonce } => {
                group.await_request(RequestId::Open { nonce }, asker, now);
                self.submit(id, Command::Open { nonce });
            }
            Ask::Update(update) => {
                let (session, sequence) = (update.session, update.sequence);
                group.await_request(RequestId::Update { session, sequence }, asker, now);
                self.submit(id, Command::Update(update));
            }
            Ask::Read(query) => self.read(id, asker, query, now),
            Ask::Status => self.replies.extend(self.status(id).map(|s| reply(Answer::Status(Box::new(s))))),
            Ask::Learnt(slot) => self.replies.push(reply(Answer::Learnt(self.learnt(id, slot)))),
            Ask::ReadStale(query) => self.replies.push(reply(group.value(&query))),
            Ask::Since(first) => {
                self.replies.push(reply(group.applied.since(first, group.replica.history())));
            }
            Ask::Transfer(to) => {
                let answer = self.on_transfer(id, to);
                self.replies.push(reply(answer));
            }
        }
    }
}
