//! A replicated counter: a state machine of one's own, three servers in one program, and what a program can do
//! with a node.
//!
//! `cargo run -p cluster --example counter`

use std::error::Error;

use std::time::Duration;

use cluster::client::{Client, Destination};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node};
use cluster::spec::Slot;
use cluster::state_machine::StateMachine;

/// Adds numbers up.
#[derive(Default)]
struct Counter(i64);

impl StateMachine for Counter {
    /// The update is a number to add; the result is the sum. What is no number adds nothing, at every server
    /// alike.
    fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
        let number = std::str::from_utf8(update).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        self.0 = self.0.wrapping_add(number);
        self.query(b"")
    }

    fn query(&self, _: &[u8]) -> Vec<u8> {
        self.0.to_string().into()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = tempfile::tempdir()?;
    let servers = free_addresses(3)?;

    let mut nodes = Vec::new();
    for server in 0..3 {
        let config = NodeConfig::new(server, data.path().join(server.to_string()), servers.clone());
        data::init(&config)?;
        nodes.push(Node::start(&config, Counter::default())?);
    }

    // Propose at any node; it is told when the update is learnt and applied there.
    let (slot, sum) = nodes[0].propose("40").recv()??;
    println!("slot {slot}: the sum is {}", String::from_utf8_lossy(&sum));

    // Or from anywhere, over the network.
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers,
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let mut client = Client::new(&destination, Duration::from_secs(10))?;
    client.propose(b"2")?;
    println!("a read says {}", String::from_utf8_lossy(&client.read(b"")?));

    // What is in a slot can be asked of any server that knows it.
    println!("server 0 holds in slot {slot}: {:?}", nodes[0].learnt(slot));

    for node in nodes {
        node.stop()?;
    }
    Ok(())
}
