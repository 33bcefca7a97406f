//! What it costs to turn messages into datagrams and back, checksums included: `encode` and `decode` in messages
//! a second, for a Propose with a value of 256 B and for an Accept, the shortest message of the normal case.
//!
//! Datagrams are filled up to the default limit of 1,400 bytes, as they are under load: four Proposes or more than
//! a hundred Accepts share one.
//!
//! To be read against `floor/datagram`: that is paid once for all messages of a datagram.

use std::hint::black_box;

use cluster::datagram::{DATAGRAM_BYTES_DEFAULT, Origin, Packer, Sender, Unpacker, decode};
use cluster::payload::Payload;
use criterion::{Criterion, Throughput};
use spec::{Message, ServerId, Slot, View};

const ORIGIN: Origin = Origin { cluster: 1, sender: Sender::Server(0), incarnation: 1 };
const GROUP: u16 = 0;
const VIEW: View = View::new(7, ServerId(0));
/// A slot of a cluster that has run for a while.
const SLOT: Slot = Slot(5_000_000);
/// Messages in one iteration.
const MESSAGES: usize = 1000;

fn main() {
    let command = benches::update(70_000, &benches::value());
    let propose = Message::Propose { view: VIEW, slot: SLOT, command };
    let accept = Message::Accept { view: VIEW, slot: SLOT };
    benches::run(|criterion| {
        for (name, message) in [("propose", &propose), ("accept", &accept)] {
            encode(criterion, name, message);
            decode_all(criterion, name, message);
        }
    });
}

fn encode(criterion: &mut Criterion, name: &str, message: &Message<Payload>) {
    let mut packer = Packer::new(ORIGIN, DATAGRAM_BYTES_DEFAULT);
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            pack(&mut packer, message, |datagram| {
                black_box(datagram);
            });
        });
    });
    group.finish();
}

fn decode_all(criterion: &mut Criterion, name: &str, message: &Message<Payload>) {
    let mut datagrams = Vec::new();
    let mut packer = Packer::new(ORIGIN, DATAGRAM_BYTES_DEFAULT);
    pack(&mut packer, message, |datagram| datagrams.push(datagram.to_vec()));
    let mut unpacker = Unpacker::new(ORIGIN.cluster);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let decoded: usize = datagrams.iter().map(|datagram| unpack(&mut unpacker, datagram)).sum();
            assert_eq!(decoded, MESSAGES);
        });
    });
    group.finish();
}

fn pack(packer: &mut Packer, message: &Message<Payload>, mut emit: impl FnMut(&[u8])) {
    for _ in 0..MESSAGES {
        packer.push(GROUP, message, &mut emit).expect("the message fits");
    }
    packer.flush(emit);
}

/// Decodes every message of a datagram; returns how many there were.
fn unpack(unpacker: &mut Unpacker, datagram: &[u8]) -> usize {
    let received = unpacker.receive(datagram).expect("the datagram is whole");
    let messages = received.frames().map(|(_, body)| decode::<Message<Payload>>(body));
    messages.inspect(|message| assert!(black_box(message).is_ok(), "the message is whole")).count()
}
