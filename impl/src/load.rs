//! A load generator that can be believed: many clients, each with a session of its own, share a few sockets, and every
//! latency counts from when its operation was *meant* to begin. In a closed loop that is when the client's former operation
//! ended; in an open loop ([`Load::rate`]) the schedule says so, whether or not a client was free, so a stall of the cluster
//! is counted by every operation that it kept waiting (no coordinated omission).

mod keys;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Destination;
use crate::clock::{BootClock, Clock, millis};
use crate::rng::Rng;
pub use keys::{Distribution, Keys};
use worker::Worker;

/// How many clients share a socket, as in etcd's own load generator.
pub const CLIENTS_PER_SOCKET: usize = 128;
/// The longest latency that is told from longer ones.
const LATENCY_NANOS_MAX: u64 = 600_000_000_000;
/// The digits of a latency that are kept.
const LATENCY_DIGITS: u8 = 3;
/// How often whoever waits for the workers looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is asked of the cluster.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many clients there are; each has one operation at a time.
    pub clients: usize,
    /// Operations a second, of all clients together; none: as many as are answered.
    pub rate: Option<f64>,
    /// The length of a value in bytes.
    pub value_bytes: usize,
    /// How many of all operations are reads, from 0 to 1.
    pub read_share: f64,
    /// Which keys.
    pub keys: Keys,
    /// How long the load runs before anything is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub duration: Duration,
    /// The seed of keys and kinds.
    pub seed: u64,
    /// Whether each operation is kept, too, and not only what all of them make.
    pub trace: bool,
}

/// One operation of a load that is traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traced {
    /// When it was meant to begin, from the end of the warm-up on.
    pub meant: Duration,
    /// How long it took from then.
    pub latency: Duration,
    /// Whether it was a read.
    pub read: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Latencies of updates, in nanoseconds.
    pub updates: Histogram<u64>,
    /// Latencies of reads, in nanoseconds.
    pub reads: Histogram<u64>,
    /// Operations whose session was lost: their outcome is unknown.
    pub unknown: u64,
    /// Operations that had begun, or were meant to, and had not ended when time was over. How long they would have
    /// taken is in no histogram.
    pub unfinished: u64,
    /// How long was measured.
    pub elapsed: Duration,
    /// Each operation of a traced load, by when it was meant to begin. One that was under way when the warm-up ended is not
    /// among them.
    pub trace: Vec<Traced>,
}

impl Measured {
    fn new() -> Self {
        Self {
            updates: histogram(),
            reads: histogram(),
            unknown: 0,
            unfinished: 0,
            elapsed: Duration::ZERO,
            trace: Vec::new(),
        }
    }

    fn add(&mut self, other: &Self) {
        merge(&mut self.updates, &other.updates);
        merge(&mut self.reads, &other.reads);
        self.unknown += other.unknown;
        self.unfinished += other.unfinished;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.trace.extend_from_slice(&other.trace);
        self.trace.sort_by_key(|operation| operation.meant);
    }

    /// Latencies of all operations, in nanoseconds.
    #[must_use]
    pub fn all(&self) -> Histogram<u64> {
        let mut all = self.updates.clone();
        merge(&mut all, &self.reads);
        all
    }

    /// Operations that ended.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.updates.len() + self.reads.len()
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, LATENCY_DIGITS).expect("the bounds are constants")
}

fn merge(into: &mut Histogram<u64>, from: &Histogram<u64>) {
    into.add(from).expect("all histograms have the same bounds");
}

/// Why a load cannot be run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The socket of a worker failed.
    #[error("a socket of the load failed: {0}")]
    Io(#[from] io::Error),
    /// Nobody answered before the measurement began.
    #[error(
        "no client was answered within {} ms: is the cluster running, and are these its addresses?",
        .0.as_millis()
    )]
    NoAnswer(Duration),
}

/// Runs a load until it is over or `stop` is set. `on_begin` is called when the warm-up is over, on this thread.
///
/// Every client first opens its session and makes one update, whatever the load; the warm-up begins after that.
///
/// # Errors
/// If a socket fails, or nobody answers within `patience`.
pub fn run(
    destination: &Destination,
    load: &Load,
    patience: Duration,
    stop: &AtomicBool,
    on_begin: impl FnOnce(),
) -> Result<Measured, LoadError> {
    let mut rng = Rng::seeded(load.seed);
    let sockets = load.clients.div_ceil(CLIENTS_PER_SOCKET).max(1);
    let mut workers = Vec::with_capacity(sockets);
    for index in 0..sockets {
        // As even as can be: the first ones have one more.
        let clients = load.clients / sockets + usize::from(index < load.clients % sockets);
        workers.push(Worker::new(destination, load, clients, Rng::seeded(rng.next_u64()))?);
    }
    let opened: Vec<io::Result<bool>> = thread::scope(|scope| {
        let open = |worker: &'_ mut Worker| worker.open_sessions(patience, stop);
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(move || open(worker))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
    });
    for all_answered in opened {
        if !all_answered? && !stop.load(Ordering::Relaxed) {
            return Err(LoadError::NoAnswer(patience));
        }
    }
    measure(workers, load, stop, on_begin)
}

fn measure(
    workers: Vec<Worker>,
    load: &Load,
    stop: &AtomicBool,
    on_begin: impl FnOnce(),
) -> Result<Measured, LoadError> {
    let nanos = |duration: Duration| spec::Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    // A little ahead, so that all workers begin together.
    let begin = BootClock.now() + millis(20);
    let (from, until) = (begin + nanos(load.warm_up), begin + nanos(load.warm_up) + nanos(load.duration));
    thread::scope(|scope| {
        let run = |mut worker: Worker| scope.spawn(move || worker.run(begin, from, until, stop));
        let threads: Vec<_> = workers.into_iter().map(run).collect();
        let warm_until = Instant::now() + load.warm_up;
        while Instant::now() < warm_until && !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY.min(warm_until.saturating_duration_since(Instant::now())));
        }
        on_begin();
        let mut measured = Measured::new();
        for thread in threads {
            measured.add(&thread.join().expect("a worker does not panic")?);
        }
        Ok(measured)
    })
}
