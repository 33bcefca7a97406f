//! A state machine that is not deterministic is found out.

use std::time::{Duration, Instant};

use cluster::config::NodeConfig;
use cluster::data;
use cluster::driver::Stopped;
use cluster::network::free_addresses;
use cluster::node::Node;
use cluster::spec::Slot;
use cluster::state_machine::StateMachine;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts, but for one server, which miscounts once.
struct Counter {
    count: u64,
    wrong_at: Option<u64>,
}

impl StateMachine for Counter {
    fn apply(&mut self, _: Slot, _: &[u8]) -> Vec<u8> {
        self.count += 1;
        if Some(self.count) == self.wrong_at {
            self.count += 1;
        }
        self.query(&[])
    }

    fn query(&self, _: &[u8]) -> Vec<u8> {
        self.count.to_le_bytes().into()
    }
}

#[test]
fn the_server_whose_state_differs_from_the_others_halts_and_they_go_on() {
    let data = tempfile::tempdir().unwrap();
    let servers = free_addresses(3).unwrap();
    let start = |server: u8| {
        let mut config = NodeConfig::new(server, data.path().join(server.to_string()), servers.clone());
        config.lease_ms = 150;
        let wrong_at = (server == 2).then_some(100);
        data::init(&config).unwrap();
        Node::start(&config, Counter { count: 0, wrong_at }).unwrap()
    };
    let mut nodes: Vec<_> = (0..3).map(start).collect();
    let wrong = nodes.pop().unwrap();
    let begun = Instant::now();
    while !wrong.is_finished() {
        nodes[0].propose("").recv_timeout(PATIENCE).unwrap().unwrap();
        assert!(begun.elapsed() < PATIENCE, "it was not found out");
    }
    let stopped = wrong.stop().unwrap_err();
    let Stopped::Diverged(diverged) = &stopped else { panic!("{stopped}") };
    assert_eq!((diverged.group, diverged.slot), (0, Slot(128)), "{diverged}");
    assert!(stopped.to_string().contains("server 0's to") && stopped.to_string().contains("deterministic"));
    for _ in 0..200 {
        nodes[0].propose("").recv_timeout(PATIENCE).unwrap().unwrap();
    }
    assert!(nodes.iter().all(|node| !node.is_finished()));
}
