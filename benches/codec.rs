//! What it costs to turn messages into datagrams and back, checksums included: `encode` and `decode` in messages
//! a second, for a Propose with a value of 256 B and for an Accept, the shortest message of the normal case.
//!
//! Datagrams are filled up to the default limit of 1,400 bytes, as they are under load: four Proposes or more than
//! a hundred Accepts share one.
//!
//! To be read against `floor/datagram`: that is paid once for all messages of a datagram.

use std::hint::black_box;

use benches::datagrams::{accept, datagrams_of, pack, packer, propose, unpack, unpacker};
use cluster::payload::Payload;
use criterion::{Criterion, Throughput};
use spec::Message;

/// Messages in one iteration.
const MESSAGES: usize = 1000;

fn main() {
    benches::run(|criterion| {
        for (name, message) in [("propose", propose()), ("accept", accept())] {
            encode(criterion, name, &message);
            decode_all(criterion, name, &message);
        }
    });
}

fn encode(criterion: &mut Criterion, name: &str, message: &Message<Payload>) {
    let mut packer = packer();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            pack(&mut packer, message, MESSAGES, |datagram| {
                black_box(datagram);
            });
        });
    });
    group.finish();
}

fn decode_all(criterion: &mut Criterion, name: &str, message: &Message<Payload>) {
    let datagrams = datagrams_of(message, MESSAGES);
    let mut unpacker = unpacker();
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
