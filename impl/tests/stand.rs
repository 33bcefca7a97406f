//! Servers that stand for election while another leads: the leaders in rotation of the thesis (6.2), and what a lease does
//! about them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cluster::config::NodeConfig;
use cluster::data;
use cluster::kv::Store;
use cluster::network::free_addresses;
use cluster::node::Node;
use cluster::status::Standing;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);
const LEASE_MS: u32 = 20_000;

fn start(data: &Path, lease_ms: u32) -> Vec<Node> {
    let servers = free_addresses(3).unwrap();
    let start = |server: u8| {
        let mut config = NodeConfig::new(server, data.join(server.to_string()), servers.clone());
        config.lease_ms = lease_ms;
        data::init(&config).unwrap();
        Node::start(&config, Store::default()).unwrap()
    };
    (0..3).map(start).collect()
}

fn leads(node: &Node) -> bool {
    node.status().unwrap().role == Standing::Leading
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn without_leases_a_server_that_stands_deposes_the_leader_and_with_one_it_does_not() {
    let data = tempfile::tempdir().unwrap();
    let nodes = start(data.path(), 0);
    for (leader, rival) in [(0, 1), (1, 0), (0, 1)] {
        wait_until("a candidate is elected", || {
            nodes[leader].stand();
            leads(&nodes[leader])
        });
        wait_until("its rival deposes it", || {
            nodes[rival].stand();
            leads(&nodes[rival]) && !leads(&nodes[leader])
        });
    }
    drop(nodes);

    let data = tempfile::tempdir().unwrap();
    let nodes = start(data.path(), LEASE_MS);
    nodes[0].stand();
    wait_until("the first has a lease", || nodes[0].status().unwrap().lease_remaining_ms.is_some());
    let view = nodes[0].status().unwrap().view;
    for _ in 0..20 {
        nodes[1].stand();
        nodes[1].propose("").recv_timeout(PATIENCE).unwrap().unwrap();
    }
    assert!(leads(&nodes[0]) && nodes[0].status().unwrap().view == view);
}
