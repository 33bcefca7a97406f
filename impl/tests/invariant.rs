//! A broken invariant ends a node, and what broke it is named.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cluster::config::NodeConfig;
use cluster::data;
use cluster::log::{Identity, Log};
use cluster::network::free_addresses;
use cluster::node::Node;
use cluster::state_machine::StateMachine;
use spec::{Record, Slot};

/// Where a child process finds its data; absent in the tests themselves.
const DATA: &str = "INVARIANT_TEST_DATA";

/// A state machine that one update breaks.
struct Fragile;

impl StateMachine for Fragile {
    fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
        assert_ne!(update, b"the last straw", "a load that it cannot bear");
        Vec::new()
    }

    fn query(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

fn config(data: &Path) -> NodeConfig {
    let mut config = NodeConfig::new(0, data.to_owned(), free_addresses(1).unwrap());
    (config.lease_ms, config.insecure) = (50, true);
    config
}

/// What a child process says on standard error that runs `test` of this program with its own data.
fn said_by_child(test: &str, data: &Path) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.args(["--exact", test, "--nocapture"]).env(DATA, data).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_update_that_breaks_the_state_machine_ends_the_node_and_is_named() {
    if let Some(data) = env::var_os(DATA) {
        let node = Node::start(&config(Path::new(&data)), Fragile).unwrap();
        node.propose("a straw").recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
        node.propose("the last straw").recv_timeout(Duration::from_secs(60)).unwrap_err();
        node.stop().unwrap();
        return;
    }
    let data = tempfile::tempdir().unwrap();
    data::init(&config(data.path())).unwrap();
    let said =
        said_by_child("the_update_that_breaks_the_state_machine_ends_the_node_and_is_named", data.path());
    assert!(said.contains("a load that it cannot bear"), "{said}");
    let named = said.lines().find(|line| line.contains("broken invariant")).unwrap_or_default();
    assert!(named.contains("the last straw") && named.contains("3"), "{said}");
}

#[cfg(debug_assertions)]
#[test]
fn the_record_that_breaks_an_invariant_of_the_handlers_ends_the_start_and_is_named() {
    if let Some(data) = env::var_os(DATA) {
        let _ = Node::start(&config(Path::new(&data)), Fragile);
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path());
    data::init(&config).unwrap();
    let (mut log, _) = Log::open(data.path(), Identity { cluster: config.cluster, server: 0 }).unwrap();
    log.append(0, &Record::Committed(Slot::NONE));
    log.append(0, &Record::Learnt { slot: Slot::NONE, command: spec::Command::Open { nonce: 4711 } });
    log.sync().unwrap();
    drop(log);
    let said = said_by_child(
        "the_record_that_breaks_an_invariant_of_the_handlers_ends_the_start_and_is_named",
        data.path(),
    );
    let named = said.lines().find(|line| line.contains("broken invariant")).unwrap_or_default();
    assert!(named.contains("(2, Learnt") && named.contains("4711"), "{said}");
}
