//! Snapshots of whole nodes over UDP: logs are trimmed, servers start from them and fetch them from each other.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cluster::config::NodeConfig;
use cluster::data;
use cluster::kv::{Change, Store};
use cluster::network::free_addresses;
use cluster::node::{Node, Notice};
use cluster::status::Status;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);
const EVERY: u64 = 50;

struct Cluster {
    data: tempfile::TempDir,
    servers: Vec<SocketAddr>,
}

impl Cluster {
    fn new(servers: u8) -> Self {
        Self { data: tempfile::tempdir().unwrap(), servers: free_addresses(servers.into()).unwrap() }
    }

    fn directory(&self, server: u8) -> PathBuf {
        self.data.path().join(server.to_string())
    }

    fn start(&self, server: u8) -> Node {
        self.start_with(server, |_| {})
    }

    fn start_with(&self, server: u8, notify: impl FnMut(&Notice) + Send + 'static) -> Node {
        let mut config = NodeConfig::new(server, self.directory(server), self.servers.clone());
        (config.snapshot_slots, config.lease_ms) = (EVERY, 150);
        if !config.data.join("00000001.log").exists() {
            data::init(&config).unwrap();
        }
        Node::start_with(&config, Store::default(), notify).unwrap()
    }
}

fn put(node: &Node, key: usize, bytes: usize) {
    let change = Change::Put { key: key.to_le_bytes().to_vec(), value: vec![b'v'; bytes] };
    node.propose(change.encode()).recv_timeout(PATIENCE).unwrap().unwrap();
}

fn wait_for(node: &Node, what: impl Fn(&Status) -> bool) -> Status {
    let begun = Instant::now();
    loop {
        let status = node.status().unwrap();
        if what(&status) {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn snapshots_in(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "snapshot")).collect();
    files.sort();
    files
}

#[test]
fn a_lagging_server_fetches_a_snapshot_and_catches_up_while_clients_go_on() {
    let cluster = Cluster::new(3);
    let nodes: Vec<_> = (0..2).map(|server| cluster.start(server)).collect();
    // State of more than one window, so that the transfer takes several rounds.
    (0..400).for_each(|key| put(&nodes[0], key, 500));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            (400..)
                .take_while(|_| !done.load(Ordering::Relaxed))
                .for_each(|key| put(&nodes[0], key % 400, 500));
        });
        let late = cluster.start(2);
        let begun = nodes[0].status().unwrap().applied;
        let status =
            wait_for(&late, |status| status.applied > begun && status.counters.snapshots_fetched > 0);
        assert!(status.counters.applied < status.applied.0, "the snapshot spared it most of the log");
        // It keeps up from then on: what is committed at some moment is applied here soon after.
        let now = nodes[0].status().unwrap().applied;
        wait_for(&late, |status| status.applied >= now);
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_server_whose_snapshots_are_all_damaged_says_so_and_makes_up_for_it() {
    let cluster = Cluster::new(3);
    let mut nodes: Vec<_> = (0..3).map(|server| cluster.start(server)).collect();
    (0..200).for_each(|key| put(&nodes[0], key, 20));
    wait_for(&nodes[2], |status| status.applied.0 >= 200 && status.counters.snapshots >= 3);
    nodes.pop().unwrap().stop().unwrap();
    let damaged = snapshots_in(&cluster.directory(2));
    assert!(damaged.len() >= 2, "the oldest goes with the next sync: {damaged:?}");
    for path in &damaged {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    // Its log is whole, as segments are large. The simulation damages snapshots behind which the log is trimmed.
    let (alarms, alarmed) = mpsc::channel();
    let again = cluster.start_with(2, move |notice| {
        if let Notice::Alarm(alarm) = notice {
            let _ = alarms.send(alarm.clone());
        }
    });
    let alarm = alarmed.recv_timeout(PATIENCE).unwrap();
    assert!(alarm.contains("fails its checksum") && alarm.contains("snapshot"), "{alarm}");
    let goal = nodes[0].status().unwrap().applied;
    wait_for(&again, |status| status.applied >= goal);
    put(&again, 1, 1);
}

#[test]
fn a_snapshot_that_cannot_be_written_is_an_alarm_and_the_log_is_kept() {
    let cluster = Cluster::new(1);
    fs::create_dir_all(cluster.directory(0).join("0.unfinished/in the way")).unwrap();
    let (alarms, alarmed) = mpsc::channel();
    let node = cluster.start_with(0, move |notice| {
        if let Notice::Alarm(alarm) = notice {
            let _ = alarms.send(alarm.clone());
        }
    });
    (0..120).for_each(|key| put(&node, key, 20));
    let alarm = alarmed.recv_timeout(PATIENCE).unwrap();
    assert!(alarm.contains("0.unfinished") && alarm.contains("log is kept"), "{alarm}");
    let status = wait_for(&node, |status| status.counters.snapshots_failed >= 2);
    assert!(status.counters.snapshots == 0 && status.applied.0 >= 120, "it goes on: {status:?}");
    node.stop().unwrap();
    assert!(snapshots_in(&cluster.directory(0)).is_empty());
    fs::remove_dir_all(cluster.directory(0).join("0.unfinished")).unwrap();
    let node = cluster.start(0);
    wait_for(&node, |status| status.counters.applied >= 120);
}
