//! A bank whose total never changes: money moves between accounts while servers are killed (SIGKILL) and started
//! again, and each transfer that was acknowledged is carried out once.
//!
//! `cargo run -p cluster --example bank`. The program starts itself again for each server.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::client::{Client, Destination};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node};
use cluster::rng::Rng;
use cluster::spec::Slot;
use cluster::state_machine::StateMachine;

const ACCOUNTS: usize = 8;
const OPENING_BALANCE: u64 = 1_000;
const TOTAL: u64 = ACCOUNTS as u64 * OPENING_BALANCE;
const SERVERS: u8 = 3;
const ROUNDS: u8 = 4;
const TRANSFERS_PER_ROUND: u64 = 40;

/// The balances, and how many transfers were carried out.
struct Bank {
    balances: [u64; ACCOUNTS],
    transfers: u64,
}

impl Bank {
    fn new() -> Self {
        Self { balances: [OPENING_BALANCE; ACCOUNTS], transfers: 0 }
    }
}

impl StateMachine for Bank {
    /// An update is three bytes: from, to, and the amount. What is not covered is refused, at every server alike.
    fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
        let &[from, to, amount] = update else { return "malformed".into() };
        let (from, to, amount) = (usize::from(from), usize::from(to), u64::from(amount));
        let is_covered = to < ACCOUNTS && self.balances.get(from).is_some_and(|&balance| balance >= amount);
        if !is_covered {
            return "refused".into();
        }
        self.balances[from] -= amount;
        self.balances[to] += amount;
        self.transfers += 1;
        "done".into()
    }

    /// Transfers and balances, with spaces between them.
    fn query(&self, _: &[u8]) -> Vec<u8> {
        let balances = self.balances.map(|balance| balance.to_string()).join(" ");
        format!("{} {balances}", self.transfers).into()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [server, data, servers] => serve(server.parse()?, Path::new(data), servers),
        _ => run(),
    }
}

/// One server, until its standard input closes.
fn serve(server: u8, data: &Path, servers: &str) -> Result<(), Box<dyn Error>> {
    let servers = servers.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let node = Node::start(&NodeConfig::new(server, data.into(), servers), Bank::new())?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(node.stop()?)
}

fn launch(server: u8, data: &Path, servers: &[SocketAddr]) -> std::io::Result<Child> {
    let servers: Vec<_> = servers.iter().map(SocketAddr::to_string).collect();
    Command::new(std::env::current_exe()?)
        .arg(server.to_string())
        .arg(data.join(server.to_string()))
        .arg(servers.join(","))
        .stdin(Stdio::piped())
        .spawn()
}

fn run() -> Result<(), Box<dyn Error>> {
    let data = tempfile::tempdir()?;
    let servers = free_addresses(SERVERS.into())?;
    let mut children = Vec::new();
    for server in 0..SERVERS {
        data::init(&NodeConfig::new(server, data.path().join(server.to_string()), servers.clone()))?;
        children.push(launch(server, data.path(), &servers)?);
    }
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers: servers.clone(),
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let mut client = Client::new(&destination, Duration::from_secs(60))?;
    let mut rng = Rng::seeded(1);
    let mut done = 0;
    for round in 0..ROUNDS {
        let victim = usize::from(round % SERVERS);
        let killed_before = rng.below(TRANSFERS_PER_ROUND);
        for index in 0..TRANSFERS_PER_ROUND {
            if index == killed_before {
                children[victim].kill()?;
                children[victim].wait()?;
            }
            let update = [rng.below(8), rng.below(8), rng.below(256)].map(|number| number.to_le_bytes()[0]);
            done += u64::from(client.propose(&update)?.1 == b"done");
        }
        children[victim] = launch(round % SERVERS, data.path(), &servers)?;

        let said = String::from_utf8(client.read(b"")?)?;
        let numbers: Vec<u64> = said.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!((numbers[0], numbers[1..].iter().sum::<u64>()), (done, TOTAL), "{said}");
        println!("server {victim} was killed: {done} transfers, and the total is {TOTAL}");
    }
    for mut child in children {
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(())
}
