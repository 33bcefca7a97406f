//! The same closed loop for every peer that `cluster::load` is for Leasehold: clients with one operation at a time, some of
//! them on each connection, a thread for each connection, latencies in an HdrHistogram.
//!
//! It prints `{"begun":true}` when the warm-up is over and one object with what it measured at the end.

mod etcd;
mod framed;
mod measured;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use measured::{Measured, Progress};
use peers::kv::Put;
use serde_json::json;

/// How long a cluster may take to elect a leader after its start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often servers are asked whether one leads.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A load for a peer of Leasehold
#[derive(Parser, Clone, Debug)]
struct Arguments {
    /// What the servers speak
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Where servers listen for clients
    #[arg(long, value_delimiter = ',', required = true)]
    servers: Vec<SocketAddr>,
    /// Only print the index of the server that leads, once one does
    #[arg(long)]
    leader: bool,
    /// How many clients
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many of them share a connection
    #[arg(long, default_value_t = 128)]
    clients_per_connection: usize,
    /// Read, instead of updating
    #[arg(long)]
    reads: bool,
    /// The length of a value
    #[arg(long, default_value_t = 256)]
    value_bytes: usize,
    /// How many keys are touched, all alike
    #[arg(long, default_value_t = 1000)]
    keys: u64,
    /// How long to run before measuring, in seconds
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// How long to measure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long an operation may take before it is tried elsewhere
    #[arg(long, default_value_t = 2000)]
    attempt_ms: u64,
    /// Of the keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Protocol {
    /// etcd's gRPC
    Etcd,
    /// That of `peer-openraft` and `peer-omnipaxos`
    Framed,
}

impl Protocol {
    /// The server that says that it leads.
    fn leader(self, servers: &[SocketAddr]) -> Option<usize> {
        match self {
            Self::Etcd => etcd::leader(servers),
            Self::Framed => framed::leader(servers),
        }
    }
}

/// What one connection's thread is to do.
#[derive(Clone, Debug)]
struct Work {
    servers: Vec<SocketAddr>,
    /// The server to begin with.
    leader: usize,
    clients: usize,
    reads: bool,
    value: Vec<u8>,
    keys: u64,
    seed: u64,
    attempt: Duration,
    /// From when and until when what ends is measured.
    from: Instant,
    until: Instant,
}

impl Work {
    /// Another key each time, in an order that looks random.
    fn key(&mut self) -> Vec<u8> {
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        key((mixed ^ (mixed >> 31)) % self.keys)
    }
}

fn main() -> Result<(), String> {
    let arguments = Arguments::parse();
    let leader = await_leader(&arguments)?;
    if arguments.leader {
        println!("{leader}");
        return Ok(());
    }
    let leader = if arguments.reads { fill(&arguments)? } else { leader };
    let begin = Instant::now();
    let from = begin + Duration::from_secs_f64(arguments.warm_up);
    let until = from + Duration::from_secs_f64(arguments.seconds);
    let connections = arguments.clients.div_ceil(arguments.clients_per_connection).max(1);
    let progress = Arc::new(Progress::new(from, until));
    let workers: Vec<_> = (0..connections)
        .map(|index| {
            let work = Work {
                servers: arguments.servers.clone(),
                leader,
                // As even as can be: the first ones have one more.
                clients: arguments.clients / connections
                    + usize::from(index < arguments.clients % connections),
                reads: arguments.reads,
                value: vec![b'v'; arguments.value_bytes],
                keys: arguments.keys,
                seed: arguments.seed.wrapping_mul(1 << 32).wrapping_add(index as u64),
                attempt: Duration::from_millis(arguments.attempt_ms),
                from,
                until,
            };
            let (progress, protocol) = (Arc::clone(&progress), arguments.protocol);
            thread::spawn(move || match protocol {
                Protocol::Etcd => etcd::run(&work, &progress),
                Protocol::Framed => framed::run(work, &progress),
            })
        })
        .collect();
    thread::sleep(from.saturating_duration_since(Instant::now()));
    println!("{}", json!({ "begun": true }));
    let mut measured = Measured::new();
    for worker in workers {
        let one = worker.join().map_err(|_| "a thread of the load panicked")?;
        measured.add(&one.map_err(|error| error.to_string())?);
    }
    println!("{}", measured.object(until - from, progress.longest_pause()));
    Ok(())
}

/// Gives every key a value, so that reads have something to bring. The server that leads.
fn fill(arguments: &Arguments) -> Result<usize, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let leader = await_leader(arguments)?;
        let value = vec![b'v'; arguments.value_bytes];
        let puts = (0..arguments.keys).map(|index| Put { key: key(index), value: value.clone() }).collect();
        let filled = match arguments.protocol {
            Protocol::Etcd => etcd::fill(arguments.servers[leader], puts),
            Protocol::Framed => framed::fill(arguments.servers[leader], puts),
        };
        match filled {
            Ok(()) => return Ok(leader),
            // It may lead no longer.
            Err(error) if Instant::now() > deadline => return Err(format!("keys without values: {error}")),
            Err(_) => thread::sleep(ASK_EVERY),
        }
    }
}

fn key(index: u64) -> Vec<u8> {
    format!("key {index}").into_bytes()
}

fn await_leader(arguments: &Arguments) -> Result<usize, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(leader) = arguments.protocol.leader(&arguments.servers) {
            return Ok(leader);
        }
        if Instant::now() > deadline {
            return Err(format!("none of {:?} has led within {} s", arguments.servers, PATIENCE.as_secs()));
        }
        thread::sleep(ASK_EVERY);
    }
}
