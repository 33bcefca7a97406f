//! A key-value store that is divided among five groups of every server, over one log and one socket.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use cluster::client::{Destination, Parts};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::kv::{Change, Question, Reply, Store, part_of};
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node, StartError};

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);
const GROUPS: u16 = 5;
const KEYS: usize = 40;

fn addresses() -> Vec<SocketAddr> {
    free_addresses(3).unwrap()
}

fn config(data: &Path, server: u8, servers: &[SocketAddr]) -> NodeConfig {
    let mut config = NodeConfig::new(server, data.join(server.to_string()), servers.into());
    (config.lease_ms, config.groups) = (150, GROUPS);
    config
}

fn start(config: &NodeConfig) -> Node {
    Node::start_groups(config, |group| Store::part(group, config.groups), |_| {}).unwrap()
}

fn kv(servers: &[SocketAddr], arguments: &[&str]) -> Output {
    let servers: Vec<_> = servers.iter().map(SocketAddr::to_string).collect();
    Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(["kv", "--timeout-ms", "60000", "--servers", &servers.join(",")])
        .args(arguments)
        .output()
        .unwrap()
}

fn key(index: usize) -> String {
    format!("key {index:02}")
}

#[test]
fn keys_are_divided_among_the_groups_and_all_are_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let servers = addresses();
    let configs: Vec<_> = (0..3).map(|server| config(data.path(), server, &servers)).collect();
    configs.iter().for_each(|config| data::init(config).unwrap());
    let mut nodes: Vec<_> = configs.iter().map(|config| Some(start(config))).collect();
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers: servers.clone(),
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let mut parts = Parts::new(&destination, GROUPS, PATIENCE);
    for index in 0..KEYS {
        let key = key(index).into_bytes();
        let put = Change::Put { key: key.clone(), value: key.clone() }.encode();
        let (_, reply) = parts.of_key(&key).unwrap().propose(&put).unwrap();
        assert_eq!(Reply::decode(&reply).unwrap(), Reply::Created);
        let other = (part_of(&key, GROUPS) + 1) % GROUPS;
        let (_, reply) = parts.of_part(other).unwrap().propose(&put).unwrap();
        assert_eq!(Reply::decode(&reply).unwrap(), Reply::Elsewhere { parts: GROUPS }, "a client that errs");
    }
    // One after the other, so that a quorum is there all the time.
    for (node, config) in nodes.iter_mut().zip(&configs) {
        let stopped = node.take().unwrap();
        stopped.stop().unwrap();
        *node = Some(start(config));
    }
    for index in 0..KEYS {
        let key = key(index).into_bytes();
        let question = Question::Get { key: key.clone() }.encode();
        let reply = parts.of_key(&key).unwrap().read(&question).unwrap();
        assert_eq!(Reply::decode(&reply).unwrap(), Reply::Found(key));
    }
    // The command finds out how many groups there are.
    assert_eq!(kv(&servers, &["get", "key 07"]).stdout, b"key 07\n");
    let listed = kv(&servers, &["list"]);
    let expected: String = (0..KEYS).map(|index| format!("{0}\t{0}\n", key(index))).collect();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), expected, "in order, from all groups");
    let refused = kv(&servers, &["watch", "--count", "1"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("one group, and this one has 5"));
}

#[test]
fn a_server_does_not_start_with_another_number_of_groups_than_its_data() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path(), 0, &addresses());
    data::init(&config).unwrap();
    start(&config).stop().unwrap();
    config.groups = 4;
    let error = Node::start_groups(&config, |_| Store::default(), |_| {}).unwrap_err();
    assert!(
        matches!(error, StartError::Groups(_)) && error.to_string().contains("begun with groups = 5"),
        "{error}"
    );
    config.groups = 5;
    let error = Node::start(&config, Store::default()).unwrap_err();
    assert!(error.to_string().contains("one state machine"), "{error}");
}
