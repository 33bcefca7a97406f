//! A server of openraft: its engine with the configuration's defaults, a log that is synced before it is acknowledged ([`log`]),
//! and TCP connections to each peer ([`network`]).
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use state::Machine;

const READ_BYTES: usize = 1 << 16;

openraft::declare_raft_types!(
    /// What this server replicates.
    pub Types:
        D = Put,
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
    let reads = spawn_reader(raft.clone(), machine);
    let for_peers = TcpListener::bind(arguments.peers[arguments.server]).await?;
    let for_clients = TcpListener::bind(arguments.clients[arguments.server]).await?;
    tokio::spawn(network::serve(for_peers, raft.clone()));
    tokio::spawn(serve(for_clients, raft.clone(), reads));
    if arguments.server == 0 {
        let node = |address: &SocketAddr| BasicNode::new(address);
        let members: BTreeMap<u64, _> = (0..).zip(arguments.peers.iter().map(node)).collect();
        raft.initialize(members).await?;
    }
    // The parent holds the other end, and nothing is ever written to it.
    tokio::task::spawn_blocking(|| io::Read::read(&mut io::stdin(), &mut [0])).await??;
    std::process::exit(0)
}

async fn serve(listener: TcpListener, raft: Raft<Types>, reads: UnboundedSender<Read>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, raft.clone(), reads.clone()));
    }
}

/// Hears one connection's clients until it is closed.
async fn converse(stream: TcpStream, raft: Raft<Types>, reads: UnboundedSender<Read>) {
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
            carry_out(request, &raft, &reads, &answers);
        }
    }
}

/// Begins what a request asks for.
fn carry_out(
    Request { number, operation }: Request,
    raft: &Raft<Types>,
    reads: &UnboundedSender<Read>,
    answers: &UnboundedSender<Response>,
) {
    let answers = answers.clone();
    match operation {
        Operation::Put(put) => {
            let raft = raft.clone();
            tokio::spawn(async move {
                let written = raft.client_write(put).await.is_ok();
                let answer = if written { Answer::Done(Vec::new()) } else { Answer::NotHere };
                let _ = answers.send(Response { number, answer });
            });
        }
        Operation::Get(key) => {
            let _ = reads.send(Read { key, number, answers });
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

/// A read that waits for a majority to confirm the leader.
struct Read {
    key: Vec<u8>,
    number: u64,
    answers: UnboundedSender<Response>,
}

/// Serves reads: all that wait by one question to a majority.
fn spawn_reader(raft: Raft<Types>, machine: Machine) -> UnboundedSender<Read> {
    let (reads, mut arrivals) = unbounded_channel::<Read>();
    tokio::spawn(async move {
        while let Some(first) = arrivals.recv().await {
            let mut waiting = vec![first];
            while let Ok(read) = arrivals.try_recv() {
                waiting.push(read);
            }
            let leads = raft.ensure_linearizable().await.is_ok();
            for Read { key, number, answers } in waiting {
                let answer = if leads { Answer::Done(machine.get(&key)) } else { Answer::NotHere };
                let _ = answers.send(Response { number, answer });
            }
        }
    });
    reads
}
