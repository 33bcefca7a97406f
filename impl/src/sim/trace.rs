//! What happened in a run, in order: the latest of it for people, and a hash over all of it, which two runs of
//! one seed must share.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use super::fault::Fault;

/// How many events a failing run prints.
const TAIL: usize = 40;
const NANOS_PER_MICRO: i64 = 1_000;

/// One thing that happened.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) enum Event {
    Sent { from: SocketAddr, to: SocketAddr, bytes: usize, checksum: u32 },
    Arrived { from: SocketAddr, to: SocketAddr, bytes: usize },
    Strikes { fault: Fault, server: usize },
    Started { server: usize, boots: u64 },
    Down { server: usize },
    HoldsLease { server: usize },
    Healed,
}

/// The events of a run.
#[derive(Default)]
pub(super) struct Trace {
    latest: VecDeque<(i64, Event)>,
    hash: u64,
}

impl Trace {
    pub(super) fn note(&mut self, at: i64, event: Event) {
        let mut hasher = DefaultHasher::new();
        (self.hash, at, event).hash(&mut hasher);
        self.hash = hasher.finish();
        if self.latest.len() == TAIL {
            self.latest.pop_front();
        }
        self.latest.push_back((at, event));
    }

    /// Stands for everything that happened and when.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// What happened last, a line each.
    pub(super) fn tail(&self) -> String {
        let line = |(at, event): &(i64, Event)| format!("\n  {:>12} µs  {event:?}", at / NANOS_PER_MICRO);
        self.latest.iter().map(line).collect()
    }
}

/// A handler's assertion ends a run without a report: what led to it is worth as much.
impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what happened last:{}", self.tail());
        }
    }
}
