//! A server of OmniPaxos: one thread that does what its documentation shows (messages in, `tick`, messages out, decided entries applied),
//! with `omnipaxos_storage`'s persistent storage, which is RocksDB, and every write synced before it returns, as is its default.
//!
//! OmniPaxos writes and syncs once for each append. So all updates that came in during the last turn are one entry of
//! its log: that is group commit, and without it 64 clients would be about as slow as one. There is no read but
//! through the log, so a read is an entry, too, as in OmniPaxos' own key-value store.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use omnipaxos::macros::Entry;
use omnipaxos::messages::Message;
use omnipaxos::util::{LogEntry, NodeId};
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::persistent_storage::{PersistentStorage, PersistentStorageConfig};
use peers::kv::{Put, Store};
use peers::wire::{Answer, Frames, Operation, Request, Response};
use serde::{Deserialize, Serialize};

/// How often a peer that cannot be reached is tried again.
const RECONNECT_EVERY: Duration = Duration::from_millis(20);
const READ_BYTES: usize = 1 << 16;

/// A server of OmniPaxos, to be measured. Serves until standard input closes
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
    /// How often the library's clock ticks
    #[arg(long, default_value_t = 10)]
    tick_ms: u64,
    /// How many ticks without a heartbeat until a leader is given up
    #[arg(long, default_value_t = 10)]
    election_ticks: u64,
}

/// One operation of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Step {
    Put(Put),
    Get(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// What the log holds: all that came in during a turn of one server.
#[derive(Clone, Debug, Serialize, Deserialize, Entry)]
struct Batch {
    server: NodeId,
    number: u64,
    steps: Vec<Step>,
}

enum Input {
    /// Messages of a peer.
    Messages(Vec<Message<Batch>>),
    /// A client has connected.
    Client(u64, TcpStream),
    Request(u64, Request),
    /// Its connection is closed.
    Gone(u64),
    /// Standard input is.
    End,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (inputs, arrivals) = mpsc::channel();
    listen(arguments.peers[arguments.server], inputs.clone(), |stream, inputs, _| {
        hear_peer(stream, &inputs)
    })?;
    listen(arguments.clients[arguments.server], inputs.clone(), |stream, inputs, id| {
        hear_client(stream, &inputs, id);
    })?;
    thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        let _ = inputs.send(Input::End);
    });
    Server::new(&arguments).run(&arrivals, Duration::from_millis(arguments.tick_ms));
    Ok(())
}

/// Accepts connections; each has a thread that hears it.
fn listen(
    at: SocketAddr,
    inputs: Sender<Input>,
    hear: impl Fn(TcpStream, Sender<Input>, u64) + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    thread::spawn(move || {
        for (stream, id) in listener.incoming().flatten().zip(0..) {
            let (hear, inputs) = (hear.clone(), inputs.clone());
            thread::spawn(move || hear(stream, inputs, id));
        }
    });
    Ok(())
}

/// A frame of a peer is all that it had to say at once.
fn hear_peer(stream: TcpStream, inputs: &Sender<Input>) {
    hear(stream, |frame| {
        let messages = bincode::deserialize(frame).ok()?;
        inputs.send(Input::Messages(messages)).ok()
    });
}

fn hear_client(stream: TcpStream, inputs: &Sender<Input>, id: u64) {
    let _ = stream.set_nodelay(true);
    let Ok(writer) = stream.try_clone() else { return };
    let _ = inputs.send(Input::Client(id, writer));
    hear(stream, |frame| inputs.send(Input::Request(id, Request::decode(frame)?)).ok());
    let _ = inputs.send(Input::Gone(id));
}

/// Hands on every frame until the stream ends or `on_frame` has enough.
fn hear(mut stream: TcpStream, mut on_frame: impl FnMut(&[u8]) -> Option<()>) {
    let mut frames = Frames::default();
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        frames.extend(&buffer[..length]);
        loop {
            match frames.take() {
                Ok(Some(frame)) if on_frame(frame).is_some() => {}
                Ok(None) => break,
                _ => return,
            }
        }
    }
}

/// A connection to a peer, made when there is something to say.
struct Peer {
    address: SocketAddr,
    stream: Option<TcpStream>,
    retry_at: Instant,
}

struct Server {
    id: NodeId,
    paxos: OmniPaxos<Batch, PersistentStorage<Batch>>,
    peers: HashMap<NodeId, Peer>,
    clients: HashMap<u64, (TcpStream, Vec<u8>)>,
    /// Of this turn.
    steps: Vec<Step>,
    /// Who asked for the steps of this turn: connection and number.
    askers: Vec<(u64, u64)>,
    /// The same of batches that are not decided yet.
    waiting: HashMap<u64, Vec<(u64, u64)>>,
    next_batch: u64,
    applied: usize,
    store: Store,
}

impl Server {
    fn new(arguments: &Arguments) -> Self {
        let ids = 1..=arguments.peers.len() as NodeId;
        let id = arguments.server as NodeId + 1;
        let config = OmniPaxosConfig {
            cluster_config: ClusterConfig {
                configuration_id: 1,
                nodes: ids.clone().collect(),
                ..ClusterConfig::default()
            },
            server_config: ServerConfig {
                pid: id,
                election_tick_timeout: arguments.election_ticks,
                ..ServerConfig::default()
            },
        };
        let path = arguments.data.to_str().expect("the path is UTF-8").to_owned();
        let storage = PersistentStorageConfig::with_path(path);
        assert!(storage.get_sync_writes(), "every write is synced");
        let paxos = config.build(PersistentStorage::new(storage)).expect("the configuration is right");
        let peer = |address| Peer { address, stream: None, retry_at: Instant::now() };
        let others = ids.zip(&arguments.peers).filter(|(other, _)| *other != id);
        Self {
            id,
            paxos,
            peers: others.map(|(other, &address)| (other, peer(address))).collect(),
            clients: HashMap::new(),
            steps: Vec::new(),
            askers: Vec::new(),
            waiting: HashMap::new(),
            next_batch: 0,
            applied: 0,
            store: Store::default(),
        }
    }

    fn run(&mut self, arrivals: &Receiver<Input>, tick: Duration) {
        let mut tick_at = Instant::now() + tick;
        loop {
            match arrivals.recv_timeout(tick_at.saturating_duration_since(Instant::now())) {
                Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(input) => self.on_input(input),
                Err(RecvTimeoutError::Timeout) => {}
            }
            while let Ok(input) = arrivals.try_recv() {
                self.on_input(input);
            }
            if Instant::now() >= tick_at {
                self.paxos.tick();
                tick_at = Instant::now() + tick;
            }
            self.propose();
            self.send();
            self.apply();
            self.answer();
        }
    }

    fn leads(&self) -> bool {
        self.paxos.get_current_leader() == Some((self.id, true))
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Messages(messages) => {
                messages.into_iter().for_each(|message| self.paxos.handle_incoming(message));
            }
            Input::Client(id, stream) => {
                self.clients.insert(id, (stream, Vec::new()));
            }
            Input::Gone(id) => {
                self.clients.remove(&id);
            }
            Input::Request(client, request) => self.on_request(client, request),
            Input::End => {}
        }
    }

    fn on_request(&mut self, client: u64, Request { number, operation }: Request) {
        let step = match operation {
            _ if !self.leads() => return self.tell(client, number, Answer::NotHere),
            Operation::Leads => return self.tell(client, number, Answer::Done(Vec::new())),
            Operation::Put(put) => Step::Put(put),
            Operation::Get(key) => Step::Get(key),
        };
        self.steps.push(step);
        self.askers.push((client, number));
    }

    fn tell(&mut self, client: u64, number: u64, answer: Answer) {
        if let Some((_, out)) = self.clients.get_mut(&client) {
            Response { number, answer }.encode(out);
        }
    }

    /// All that came in since the last turn, as one entry.
    fn propose(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        let batch =
            Batch { server: self.id, number: self.next_batch, steps: std::mem::take(&mut self.steps) };
        self.waiting.insert(self.next_batch, std::mem::take(&mut self.askers));
        self.next_batch += 1;
        self.paxos.append(batch).expect("the cluster is never reconfigured");
    }

    fn send(&mut self) {
        let mut messages = Vec::new();
        self.paxos.take_outgoing_messages(&mut messages);
        let mut by_peer: HashMap<NodeId, Vec<Message<Batch>>> = HashMap::new();
        for message in messages {
            by_peer.entry(message.get_receiver()).or_default().push(message);
        }
        for (id, messages) in by_peer {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if peer.connect() {
                self.paxos.reconnected(id);
            }
            peer.send(&messages);
        }
    }

    fn apply(&mut self) {
        if self.paxos.get_decided_idx() <= self.applied {
            return;
        }
        for entry in self.paxos.read_decided_suffix(self.applied).unwrap_or_default() {
            self.applied += 1;
            let LogEntry::Decided(batch) = entry else { continue };
            let askers = (batch.server == self.id).then(|| self.waiting.remove(&batch.number)).flatten();
            let mut askers = askers.unwrap_or_default().into_iter();
            for step in batch.steps {
                let value = match step {
                    Step::Put(put) => {
                        self.store.apply(put);
                        Vec::new()
                    }
                    Step::Get(key) => self.store.get(&key),
                };
                if let Some((client, number)) = askers.next() {
                    self.tell(client, number, Answer::Done(value));
                }
            }
        }
    }

    fn answer(&mut self) {
        for (stream, out) in self.clients.values_mut().filter(|(_, out)| !out.is_empty()) {
            // Who does not listen any more is told by the thread that hears it.
            let _ = stream.write_all(out);
            out.clear();
        }
    }
}

impl Peer {
    /// Connects if it is not connected. Whether it is again, after it was not.
    fn connect(&mut self) -> bool {
        if self.stream.is_some() || Instant::now() < self.retry_at {
            return false;
        }
        self.retry_at = Instant::now() + RECONNECT_EVERY;
        self.stream = TcpStream::connect(self.address).ok();
        self.stream.as_ref().is_some_and(|stream| stream.set_nodelay(true).is_ok())
    }

    fn send(&mut self, messages: &Vec<Message<Batch>>) {
        let Some(stream) = &mut self.stream else { return };
        let body = bincode::serialize(messages).expect("messages can be serialized");
        let mut frame = u32::try_from(body.len()).expect("a turn is short").to_le_bytes().to_vec();
        frame.extend_from_slice(&body);
        if stream.write_all(&frame).is_err() {
            self.stream = None;
        }
    }
}
