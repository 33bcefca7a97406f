//! A server of openraft: its engine with the configuration's defaults, a log that is synced before it is acknowledged ([`log`]),
//! and TCP connections to each peer ([`network`]).
//!
//! openraft syncs its log once for each proposal, and waits for that before it takes the next. So all updates that
//! came in meanwhile are one entry of its log: that is group commit, and without it a thousand clients would be about as
//! slow as one.
//!
//! Reads are linearizable by `ensure_linearizable`, as the documentation has it. It asks a majority, and covers whatever
//! came in before it began; so reads that wait share one, as in etcd.

mod log;
mod network;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use openraft::{BasicNode, Config, Entry, Raft, TokioRuntime};
use peers::kv::Put;
use peers::wire::{Answer, Frames, Operation, Request, Response};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use state::Machine;

const READ_BYTES: usize = 1 << 16;
/// How many batches may be under way: while one is synced here, the one before is on its way to the others.
const BATCHES_UNDER_WAY: usize = 4;

/// What an entry of the log holds: all updates that came in at about the same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch(pub(crate) Vec<Put>);

openraft::declare_raft_types!(
    /// What this server replicates.
    pub Types:
        D = Batch,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Types>,
        SnapshotData = io::Cursor<Vec<u8>>,
        AsyncRuntime = TokioRuntime
);

/// A server of openraft, to be measured. Serves until standard input closes
#[derive(Parser, Debug)]
struct Arguments {
    /// This server's index in `--peers` and `--clients`
    #[arg(long)]
    server: usize,
    /// Where servers listen for each other
    #[arg(long, value_delimiter = ',')]
    peers: Vec<SocketAddr>,
    /// Where they listen for clients
    #[arg(long, value_delimiter = ',')]
    clients: Vec<SocketAddr>,
    /// The directory of its log, which is not there yet
    #[arg(long)]
    data: PathBuf,
    /// How often the leader tells that it is there
    #[arg(long, default_value_t = 50)]
    heartbeat_ms: u64,
    /// The shortest time without a heartbeat until a server stands for election; the longest is twice that
    #[arg(long, default_value_t = 150)]
    election_ms: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let config = Config {
        heartbeat_interval: arguments.heartbeat_ms,
        election_timeout_min: arguments.election_ms,
        election_timeout_max: 2 * arguments.election_ms,
        ..Config::default()
    };
    let machine = Machine::default();
    let raft = Raft::new(
        arguments.server as u64,
        Arc::new(config.validate()?),
        network::Peers::new(&arguments.peers),
        log::Log::create(&arguments.data)?,
        machine.clone(),
    )
    .await?;
    let queues = Queues { puts: spawn_proposer(raft.clone()), reads: spawn_reader(raft.clone(), machine) };
    let for_peers = TcpListener::bind(arguments.peers[arguments.server]).await?;
    let for_clients = TcpListener::bind(arguments.clients[arguments.server]).await?;
    tokio::spawn(network::serve(for_peers, raft.clone()));
    tokio::spawn(serve(for_clients, raft.clone(), queues));
    if arguments.server == 0 {
        let node = |address: &SocketAddr| BasicNode::new(address);
        let members: BTreeMap<u64, _> = (0..).zip(arguments.peers.iter().map(node)).collect();
        raft.initialize(members).await?;
    }
    // The parent holds the other end, and nothing is ever written to it.
    tokio::task::spawn_blocking(|| io::Read::read(&mut io::stdin(), &mut [0])).await??;
    std::process::exit(0)
}

async fn serve(listener: TcpListener, raft: Raft<Types>, queues: Queues) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, raft.clone(), queues.clone()));
    }
}

/// Hears one connection's clients until it is closed.
async fn converse(stream: TcpStream, raft: Raft<Types>, queues: Queues) {
    let _ = stream.set_nodelay(true);
    let (mut from, to) = stream.into_split();
    let (answers, outgoing) = unbounded_channel();
    tokio::spawn(answer(to, outgoing));
    let mut frames = Frames::default();
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        frames.extend(&buffer[..length]);
        while let Ok(Some(frame)) = frames.take() {
            let Some(request) = Request::decode(frame) else { return };
            carry_out(request, &raft, &queues, &answers);
        }
    }
}

/// Begins what a request asks for.
fn carry_out(
    Request { number, operation }: Request,
    raft: &Raft<Types>,
    queues: &Queues,
    answers: &UnboundedSender<Response>,
) {
    let answers = answers.clone();
    match operation {
        Operation::Put(put) => {
            let _ = queues.puts.send(Asked { what: put, number, answers });
        }
        Operation::Get(key) => {
            let _ = queues.reads.send(Asked { what: key, number, answers });
        }
        Operation::Leads => {
            let metrics = raft.metrics();
            let leads = { metrics.borrow().current_leader == Some(metrics.borrow().id) };
            let answer = if leads { Answer::Done(Vec::new()) } else { Answer::NotHere };
            let _ = answers.send(Response { number, answer });
        }
    }
}

/// Writes answers; those that wait go together.
async fn answer(mut to: OwnedWriteHalf, mut outgoing: UnboundedReceiver<Response>) {
    let mut out = Vec::new();
    while let Some(response) = outgoing.recv().await {
        response.encode(&mut out);
        while let Ok(response) = outgoing.try_recv() {
            response.encode(&mut out);
        }
        if to.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

/// What waits for its turn, and where the answer goes.
struct Asked<T> {
    what: T,
    number: u64,
    answers: UnboundedSender<Response>,
}

/// What waits to be proposed, and to be read.
#[derive(Clone)]
struct Queues {
    puts: UnboundedSender<Asked<Put>>,
    reads: UnboundedSender<Asked<Vec<u8>>>,
}

/// The first that arrives and all that wait with it; none once nobody can ask any more.
async fn all_waiting<T>(arrivals: &mut UnboundedReceiver<Asked<T>>) -> Option<Vec<Asked<T>>> {
    let mut waiting = vec![arrivals.recv().await?];
    while let Ok(asked) = arrivals.try_recv() {
        waiting.push(asked);
    }
    Some(waiting)
}

/// Proposes updates: all that wait as one entry.
fn spawn_proposer(raft: Raft<Types>) -> UnboundedSender<Asked<Put>> {
    let (puts, mut arrivals) = unbounded_channel::<Asked<Put>>();
    let room = Arc::new(Semaphore::new(BATCHES_UNDER_WAY));
    tokio::spawn(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let Some(waiting) = all_waiting(&mut arrivals).await else { return };
            let (puts, askers): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|Asked { what, number, answers }| (what, (number, answers))).unzip();
            let raft = raft.clone();
            tokio::spawn(async move {
                let written = raft.client_write(Batch(puts)).await.is_ok();
                drop(place);
                for (number, answers) in askers {
                    let answer = if written { Answer::Done(Vec::new()) } else { Answer::NotHere };
                    let _ = answers.send(Response { number, answer });
                }
            });
        }
    });
    puts
}

/// Serves reads: all that wait by one question to a majority.
fn spawn_reader(raft: Raft<Types>, machine: Machine) -> UnboundedSender<Asked<Vec<u8>>> {
    let (reads, mut arrivals) = unbounded_channel::<Asked<Vec<u8>>>();
    tokio::spawn(async move {
        while let Some(waiting) = all_waiting(&mut arrivals).await {
            let leads = raft.ensure_linearizable().await.is_ok();
            for Asked { what: key, number, answers } in waiting {
                let answer = if leads { Answer::Done(machine.get(&key)) } else { Answer::NotHere };
                let _ = answers.send(Response { number, answer });
            }
        }
    });
    reads
}
