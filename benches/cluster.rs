//! What a client sees: operations a second through three servers, each a process of its own, over loopback UDP
//! and with logs on one disk.
//!
//! - `updates, 1 client`: a put of 256 B at a time: a round trip to the leader, one from it to an acceptor, and
//!   a sync at each of the two at the same time. To be read against the sum `floor/overwrite` + 2 ×
//!   `floor/ping-pong, 1 CPU`, which it cannot beat.
//! - `updates, 64 clients`: the same from 64 threads, each with a client of its own, in updates a second of all of
//!   them. They share syncs and datagrams, so it is to be read against the one client's rate, and against
//!   `floor/overwrite` for how many updates share a sync.
//! - `reads, 1 client`: a get at a time, which the leader answers alone under its lease. To be read against
//!   `floor/ping-pong, 1 CPU`, and against `2 CPUs` where the servers' CPU was idle.
//!
//! The servers are this very program: with [`CONFIG`] in its environment it serves, and measures nothing.

use std::cell::LazyCell;
use std::env;
use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use cluster::client::{Client, Destination};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::kv::{Change, Question, Store};
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node};
use criterion::{Criterion, Throughput};
use tempfile::TempDir;

/// The environment variable that makes this program a server: the path of its configuration.
const CONFIG: &str = "LEASEHOLD_BENCH_NODE";

const SERVERS: usize = 3;
const CLIENTS: usize = 64;
/// How long a client waits for an answer before the bench fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    match env::var_os(CONFIG) {
        Some(config) => serve(config.as_ref()),
        None => benches::run(|criterion| {
            // Started by the first bench that runs, so not at all where a filter leaves none.
            let cluster = LazyCell::new(Cluster::start as fn() -> Cluster);
            updates_of_one(criterion, &cluster);
            updates_of_many(criterion, &cluster);
            reads_of_one(criterion, &cluster);
        }),
    }
}

fn updates_of_one(criterion: &mut Criterion, cluster: &LazyCell<Cluster>) {
    let put = put(0);
    let mut group = criterion.benchmark_group("cluster");
    group.throughput(Throughput::Elements(1));
    group.bench_function("updates, 1 client", |bencher| {
        let mut client = cluster.client(0);
        bencher.iter(|| client.propose(&put).expect("the cluster answers"));
    });
    group.finish();
}

fn updates_of_many(criterion: &mut Criterion, cluster: &LazyCell<Cluster>) {
    let mut group = criterion.benchmark_group("cluster");
    group.throughput(Throughput::Elements(CLIENTS as u64));
    group.bench_function("updates, 64 clients", |bencher| {
        let mut clients: Vec<_> = (0..CLIENTS).map(|index| cluster.client(index)).collect();
        bencher.iter_custom(|rounds| put_concurrently(&mut clients, rounds));
    });
    group.finish();
}

/// Lets every client put so many times, all at once. How long it took until the last was done.
fn put_concurrently(clients: &mut [Client], rounds: u64) -> Duration {
    let start = Barrier::new(clients.len() + 1);
    let begun = thread::scope(|scope| {
        for (index, client) in clients.iter_mut().enumerate() {
            let start = &start;
            scope.spawn(move || {
                let put = put(index);
                start.wait();
                for _ in 0..rounds {
                    client.propose(&put).expect("the cluster answers");
                }
            });
        }
        start.wait();
        Instant::now()
    });
    begun.elapsed()
}

fn reads_of_one(criterion: &mut Criterion, cluster: &LazyCell<Cluster>) {
    let get = Question::Get { key: key(0) }.encode();
    let mut group = criterion.benchmark_group("cluster");
    group.throughput(Throughput::Elements(1));
    group.bench_function("reads, 1 client", |bencher| {
        let mut client = cluster.client(0);
        bencher.iter(|| client.read(&get).expect("the cluster answers"));
    });
    group.finish();
}

fn key(index: usize) -> Vec<u8> {
    format!("key {index}").into()
}

/// Always the same keys, so that the store does not grow.
fn put(index: usize) -> Vec<u8> {
    Change::Put { key: key(index), value: vec![b'v'; benches::VALUE_BYTES] }.encode()
}

/// Serves until standard input closes, so that no server outlives the bench, however that ends.
fn serve(config: &Path) {
    let config = NodeConfig::load(config).expect("the bench has written a configuration");
    data::init(&config).expect("the bench's directory is new");
    let node = Node::start(&config, Store::default()).expect("the server can start");
    io::stdin().read_to_end(&mut Vec::new()).expect("standard input can be read");
    node.stop().expect("the server ran until now");
}

/// Three servers in a temporary directory. Dropping them kills them.
struct Cluster {
    addresses: Vec<SocketAddr>,
    children: Vec<Child>,
    directory: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let directory =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
        let addresses = free_addresses(SERVERS).expect("loopback has free ports");
        let mut cluster = Self { addresses, children: Vec::new(), directory };
        for server in 0..SERVERS {
            let child = cluster.launch(server).expect("this program can be run");
            cluster.children.push(child);
        }
        cluster
    }

    fn launch(&self, server: usize) -> io::Result<Child> {
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        let path = self.directory.path().join(format!("{server}.toml"));
        fs::write(
            &path,
            format!("server = {server}\ndata = \"{server}\"\nservers = {addresses:?}\ninsecure = true\n"),
        )?;
        let mut program = Command::new(env::current_exe()?);
        program.env(CONFIG, path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
    }

    /// A client that has a session, knows the leader, and has put its key.
    fn client(&self, index: usize) -> Client {
        let destination = Destination {
            cluster: DEFAULT_CLUSTER,
            group: GROUP,
            servers: self.addresses.clone(),
            datagram_bytes: DEFAULT_DATAGRAM_BYTES,
            credentials: None,
        };
        let mut client = Client::new(&destination, PATIENCE).expect("a socket can be had");
        client.propose(&put(index)).expect("the cluster elects a leader and answers");
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
