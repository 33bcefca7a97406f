//! A whole cluster in one thread: the drivers of several servers, on simulated clocks, disks and a simulated
//! network, with clients and faults. Everything follows from a seed, so whatever fails can be run again.
//!
//! A run lasts a minute of simulated time and has two phases. First everything of [`Fault`] strikes: disks, links,
//! clocks and processes fail in their ways, at any write, sync or send. Then the faults stop, and everything that
//! clients ask for must be answered.
//!
//! In a quarter of the runs clocks also run beyond the bound on their rates, stand still and jump. Until that can be known
//! (see `sim/clocks.rs`) reads may be stale, and nothing else may go wrong.
//!
//! All the while [`Findings`] are gathered, and the run ends with an error, and the last events, as soon as
//!
//! - two servers apply different updates in a slot, or an update is applied twice,
//! - an answer contradicts an earlier one: an acknowledged update is missing, or a read is stale,
//! - two servers hold the lease at the same time,
//! - a clock that kept the bound is taken for one that did not,
//! - or the cluster does not come to rest after the faults.

#[cfg(test)]
mod clock_tests;
mod clocks;
mod customer;
mod fault;
mod hardware;
mod judge;
mod keys;
mod links;
mod shelf;
mod strike;
#[cfg(test)]
mod tests;
mod trace;
mod world;

use spec::Span;

use crate::clock::millis;
use crate::rng::Rng;
pub use fault::{Class, Fault, Tally};
use strike::{STRIKES, with_bad_clocks};
use world::World;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of all chance in the run.
    pub seed: u64,
    /// How many servers there are.
    pub servers: u8,
    /// How many clients there are.
    pub clients: u8,
    /// The leader's lease; zero switches leases off.
    pub lease_ms: u32,
    /// How long a server waits for a sign of a leader; where it is short, only the grants keep a rival out.
    pub election_ms: u32,
    /// How many sessions are kept; fewer than clients means evictions.
    pub sessions: usize,
    /// The most bytes of a datagram; few mean that messages travel in pieces.
    pub datagram_bytes: usize,
    /// After how many slots a snapshot is taken.
    pub snapshot_slots: u64,
    /// How many datagrams in a hundred are lost while there are faults.
    pub loss_percent: u64,
    /// How many arrive twice.
    pub duplicate_percent: u64,
    /// How late the copy of a datagram may be.
    pub replay_within: Span,
    /// How long a client thinks before its next operation, at most.
    pub clients_think: Span,
    /// What strikes from time to time; other faults come with what is done.
    pub strikes: Vec<Fault>,
    /// How often a fault strikes, on average.
    pub fault_every: Span,
    /// How long the faults last.
    pub faults_for: Span,
    /// Whether datagrams are authenticated and encrypted.
    pub keys: bool,
}

impl Plan {
    /// The run that a seed stands for.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let mut one_of = |choices: &[u64]| {
            let index = rng.below(choices.len() as u64);
            choices[usize::try_from(index).unwrap_or(0)]
        };
        let span_ms = |number: u64| millis(i64::try_from(number).unwrap_or(0));
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            seed,
            servers: small(one_of(&[1, 2, 3, 3, 3, 4, 5])),
            clients: small(one_of(&[2, 4, 6])),
            lease_ms: if one_of(&[0, 1, 1, 1]) == 0 { 0 } else { 600 },
            election_ms: if one_of(&[0, 1]) == 0 { 100 } else { 600 },
            sessions: usize::try_from(one_of(&[3, 1000, 1000])).unwrap_or(1000),
            datagram_bytes: usize::try_from(one_of(&[256, 1400, 60_000])).unwrap_or(1400),
            snapshot_slots: one_of(&[7, 40, 100_000]),
            loss_percent: one_of(&[0, 2, 10, 30]),
            duplicate_percent: one_of(&[0, 5, 30]),
            replay_within: millis(60_000),
            clients_think: span_ms(one_of(&[100, 400, 1_000])),
            strikes: if one_of(&[0, 0, 0, 1]) == 0 { STRIKES.into() } else { with_bad_clocks() },
            fault_every: span_ms(one_of(&[150, 500, 1_500])),
            faults_for: millis(55_000),
            keys: one_of(&[0, 1]) == 1,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Says what went wrong, and when.
    pub fn run(&self) -> Result<Findings, String> {
        World::new(self.clone()).run()
    }
}

/// What happened in a run: the faults that really struck, and the work that was done in spite of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Findings {
    /// Updates that were acknowledged.
    pub acknowledged: u64,
    /// Updates whose session was evicted.
    pub sessions_lost: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Records that a crash lost.
    pub records_lost: u64,
    /// The faults that struck.
    pub faults: Tally,
    /// Times that another server led than before.
    pub leader_changes: u64,
    /// Times that some server was seen to hold the lease.
    pub leases_seen: u64,
    /// Times that a clock was found out of step, or gone back.
    pub clock_alarms: u64,
    /// Stale reads, and leases held twice, while somebody's clock was beyond the bound and that could not be known yet.
    pub excused: u64,
    /// Snapshots that servers took.
    pub snapshots: u64,
    /// Snapshots that servers fetched from others.
    pub snapshots_fetched: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Snapshots that were being written when their server ended.
    pub snapshots_cut: u64,
    /// Snapshots that a disk damaged.
    pub snapshots_damaged: u64,
    /// Records that were damaged.
    pub records_rotten: u64,
    /// Records that disks forgot because snapshots stand for them.
    pub records_trimmed: u64,
    /// Disks that were begun anew, with what the others told.
    pub disks_recovered: u64,
    /// Datagrams that servers with keys dropped: altered, come again, or of a life that is over.
    pub unauthentic: u64,
    /// How long the run lasted, in simulated milliseconds.
    pub simulated_ms: i64,
    /// Stands for everything that happened: equal in two runs of one seed.
    pub trace: u64,
}

impl Findings {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.sessions_lost += other.sessions_lost;
        self.reads += other.reads;
        self.records_lost += other.records_lost;
        self.faults.add(&other.faults);
        self.leader_changes += other.leader_changes;
        self.leases_seen += other.leases_seen;
        self.clock_alarms += other.clock_alarms;
        self.excused += other.excused;
        self.snapshots += other.snapshots;
        self.snapshots_fetched += other.snapshots_fetched;
        self.snapshots_failed += other.snapshots_failed;
        self.snapshots_cut += other.snapshots_cut;
        self.snapshots_damaged += other.snapshots_damaged;
        self.records_rotten += other.records_rotten;
        self.records_trimmed += other.records_trimmed;
        self.disks_recovered += other.disks_recovered;
        self.unauthentic += other.unauthentic;
        self.simulated_ms += other.simulated_ms;
        self.trace ^= other.trace;
    }
}
