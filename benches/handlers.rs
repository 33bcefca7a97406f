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

use benches::steps::{self, Server};
use criterion::{BatchSize, Criterion, Throughput};

/// Updates that one server is given before a new one takes its place, so that histories stay in memory.
const UPDATES: u64 = 4096;
const CALLS_LEADER: u64 = 5;
const CALLS_ACCEPTOR: u64 = 2;

fn main() {
    benches::run(|criterion| {
        leader(criterion, "leader", 1);
        leader(criterion, "leader, full window", steps::window());
        acceptor(criterion);
    });
}

fn leader(criterion: &mut Criterion, name: &str, window: u64) {
    let value = benches::value();
    let mut group = criterion.benchmark_group("handlers");
    group.throughput(Throughput::Elements(UPDATES * CALLS_LEADER));
    group.bench_function(name, |bencher| {
        let routine = |leader: &mut Server| leader.lead(1..=UPDATES, window, &value);
        bencher.iter_batched_ref(Server::leading, routine, BatchSize::PerIteration);
    });
    group.finish();
}

fn acceptor(criterion: &mut Criterion) {
    let value = benches::value();
    let mut group = criterion.benchmark_group("handlers");
    group.throughput(Throughput::Elements(UPDATES * CALLS_ACCEPTOR));
    group.bench_function("acceptor", |bencher| {
        let routine = |acceptor: &mut Server| acceptor.follow(1..=UPDATES, &value);
        bencher.iter_batched_ref(Server::following, routine, BatchSize::PerIteration);
    });
    group.finish();
}
