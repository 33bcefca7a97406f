//! Servers that are configured with other quorums than the rest.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use cluster::config::NodeConfig;
use cluster::data;
use cluster::kv::Store;
use cluster::network::free_addresses;
use cluster::node::{Node, Notice};

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Several elections long.
const LONG: Duration = Duration::from_secs(2);

fn start(config: &NodeConfig) -> (Node, Receiver<String>) {
    let (tell, alarms) = mpsc::channel();
    let node = Node::start_with(config, Store::default(), move |notice| {
        if let Notice::Alarm(alarm) = notice {
            let _ = tell.send(alarm.clone()); // The test may have heard enough.
        }
    });
    (node.unwrap(), alarms)
}

fn config(data: &Path, server: u8, servers: &[SocketAddr]) -> NodeConfig {
    let mut config = NodeConfig::new(server, data.join(server.to_string()), servers.into());
    config.lease_ms = 150;
    data::init(&config).unwrap();
    config
}

#[test]
fn a_server_with_other_quorums_is_left_alone_until_it_is_configured_as_the_rest() {
    let data = tempfile::tempdir().unwrap();
    let servers = free_addresses(3).unwrap();
    let nodes: Vec<_> = (0..2).map(|server| start(&config(data.path(), server, &servers))).collect();
    let mut other = config(data.path(), 2, &servers);
    // Safe by itself, and deadly together with the others' two and two: it would choose alone what they do not hear of.
    (other.phase1_quorum, other.phase2_quorum) = (Some(3), Some(1));
    let (odd, alarms) = start(&other);

    for _ in 0..2 {
        let alarm = alarms.recv_timeout(PATIENCE).unwrap();
        assert!(alarm.contains("phase1_quorum is 3 here and 2 there"), "{alarm}");
    }
    for (node, alarms) in &nodes {
        let alarm = alarms.recv_timeout(PATIENCE).unwrap();
        assert!(
            alarm.contains("server 2") && alarm.contains("phase2_quorum is 2 here and 1 there"),
            "{alarm}"
        );
        node.propose("").recv_timeout(PATIENCE).unwrap().unwrap();
    }
    let alone = odd.propose("");
    assert_eq!(
        alone.recv_timeout(LONG),
        Err(RecvTimeoutError::Timeout),
        "it takes part with its own quorums"
    );
    odd.stop().unwrap();

    (other.phase1_quorum, other.phase2_quorum) = (Some(2), None);
    let (corrected, _alarms) = start(&other);
    corrected.propose("").recv_timeout(PATIENCE).unwrap().unwrap();
}
