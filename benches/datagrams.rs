//! Messages into datagrams and back, for the benches and the instruction counts.

use std::hint::black_box;

use cluster::datagram::{DATAGRAM_BYTES_DEFAULT, Origin, Packer, Sender, Unpacker, decode};
use cluster::payload::Payload;
use spec::{Message, ServerId, Slot, View};

const ORIGIN: Origin = Origin { cluster: 1, sender: Sender::Server(0), incarnation: 1 };
const GROUP: u16 = 0;
const VIEW: View = View::new(7, ServerId(0));
/// A slot of a cluster that has run for a while.
const SLOT: Slot = Slot(5_000_000);

/// A Propose of a value of 256 B.
#[must_use]
pub fn propose() -> Message<Payload> {
    Message::Propose { view: VIEW, slot: SLOT, command: crate::update(70_000, &crate::value()) }
}

/// An Accept, the shortest message of the normal case.
#[must_use]
pub fn accept() -> Message<Payload> {
    Message::Accept { view: VIEW, slot: SLOT }
}

/// What fills datagrams.
#[must_use]
pub fn packer() -> Packer {
    Packer::new(ORIGIN, DATAGRAM_BYTES_DEFAULT)
}

/// What takes them apart.
#[must_use]
pub fn unpacker() -> Unpacker {
    Unpacker::new(ORIGIN.cluster)
}

/// The datagrams that carry a message so many times.
#[must_use]
pub fn datagrams_of(message: &Message<Payload>, messages: usize) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    pack(&mut packer(), message, messages, |datagram| datagrams.push(datagram.to_vec()));
    datagrams
}

/// Encodes a message so many times.
pub fn pack(packer: &mut Packer, message: &Message<Payload>, messages: usize, mut emit: impl FnMut(&[u8])) {
    for _ in 0..messages {
        packer.push(GROUP, message, &mut emit).expect("the message fits");
    }
    packer.flush(emit);
}

/// Decodes every message of a datagram; returns how many there were.
pub fn unpack(unpacker: &mut Unpacker, datagram: &[u8]) -> usize {
    let received = unpacker.receive(datagram).expect("the datagram is whole");
    let messages = received.frames().map(|(_, body)| decode::<Message<Payload>>(body));
    messages.inspect(|message| assert!(black_box(message).is_ok(), "the message is whole")).count()
}
