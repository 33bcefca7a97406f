//! Real servers whose logs are damaged: they start, learn again from the others what they lost, and vote only then.

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use cluster::client::Client;
use cluster::config::NodeConfig;
use cluster::data;
use cluster::exit::Exit;
use cluster::kv::{Change, Store};
use cluster::log::{Examination, examine};
use cluster::network::free_addresses;
use cluster::node::Node;
use cluster::status::Standing;
use support::{Cluster, assert_there, put};

const UPDATES: u32 = 50;

/// A cluster whose servers were all killed after some updates.
fn killed() -> Cluster {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    (0..UPDATES).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    (0..3).for_each(|server| cluster.kill(server));
    cluster
}

/// Flips a bit of a server's log where it first holds `value`. Returns where.
fn flip(cluster: &Cluster, server: usize, value: &str) -> u64 {
    let path = cluster.segment(server);
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(value.len()).position(|window| window == value.as_bytes()).unwrap() as u64;
    flip_at(&path, at);
    at
}

fn flip_at(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn found(cluster: &Cluster, server: usize) -> Examination {
    examine(&cluster.directory.path().join(server.to_string())).unwrap()
}

fn assert_all_there(cluster: &Cluster, client: &mut Client) {
    cluster.await_equal();
    (0..UPDATES).for_each(|index| assert_there(client, index));
}

#[test]
fn a_server_with_a_flipped_byte_in_its_log_votes_only_once_it_has_learnt_again_what_it_lost() {
    let mut cluster = killed();
    let at = flip(&cluster, 0, "v25");
    let before = fs::read(cluster.segment(0)).unwrap();
    let gaps = found(&cluster, 0).gaps;
    assert!(gaps.len() == 1 && !gaps[0].is_harmless(), "{gaps:?}");

    // Nobody is there to learn from, and it stands for nothing.
    cluster.launch(0);
    let alone = cluster.await_status(0, |status| status.role == Standing::Repairing);
    sleep(Duration::from_secs(2));
    assert_eq!(cluster.status(0).map(|status| (status.role, status.view)), Some((alone.role, alone.view)));

    // One other is enough, with it they are a majority.
    cluster.launch(1);
    let mut client = cluster.client();
    put(&mut client, UPDATES);
    cluster.await_status(0, |status| status.role != Standing::Repairing);
    cluster.launch(2);
    assert_all_there(&cluster, &mut client);

    // The damage is still there, and known: the next start lacks nothing.
    cluster.kill(0);
    let after = fs::read(cluster.segment(0)).unwrap();
    let written = before.iter().rposition(|&byte| byte != 0).unwrap();
    assert!(after[..written] == before[..written], "something was written over");
    let place =
        |gaps: Vec<cluster::log::Gap>| gaps.into_iter().map(|gap| (gap.offset, gap.end_offset)).collect();
    let places: [Vec<_>; 2] = [place(found(&cluster, 0).gaps), place(gaps)];
    assert!(places[0] == places[1] && places[0][0].0 < at && at < places[0][0].1, "{places:?}");
    (1..3).for_each(|server| cluster.kill(server));
    cluster.launch(0);
    let status = cluster.await_status(0, |_| true);
    assert!(status.role != Standing::Repairing && status.committed.0 >= u64::from(UPDATES), "{status:?}");
}

#[test]
fn servers_whose_logs_are_damaged_in_different_places_repair_one_another() {
    let mut cluster = killed();
    for (server, value) in ["v10", "v25", "v40"].into_iter().enumerate() {
        flip(&cluster, server, value);
    }
    (0..3).for_each(|server| cluster.launch(server));
    let mut client = cluster.client();
    put(&mut client, UPDATES);
    assert_all_there(&cluster, &mut client);
    for server in 0..3 {
        cluster.await_status(server, |status| status.role != Standing::Repairing);
    }
}

#[test]
fn where_all_servers_lost_the_same_they_wait_and_none_is_wrong() {
    let mut cluster = killed();
    (0..3).for_each(|server| _ = flip(&cluster, server, "v25"));
    (0..3).for_each(|server| cluster.launch(server));
    for server in 0..3 {
        cluster.await_status(server, |status| status.role == Standing::Repairing);
    }
    sleep(Duration::from_secs(2));
    for server in 0..3 {
        let status = cluster.status(server).unwrap();
        assert_eq!(status.role, Standing::Repairing, "{status:?}");
        assert!(status.committed.0 < u64::from(UPDATES), "{status:?}");
    }
}

#[test]
fn a_single_server_that_lost_votes_is_refused_for_nobody_else_knows_them() {
    let data = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(0, data.path().to_owned(), free_addresses(1).unwrap());
    (config.lease_ms, config.insecure) = (50, true);
    data::init(&config).unwrap();
    let node = Node::start(&config, Store::default()).unwrap();
    for value in ["first", "second"] {
        let change = Change::Put { key: "k".into(), value: value.into() };
        node.propose(change.encode()).recv().unwrap().unwrap();
    }
    node.stop().unwrap();
    let path = data.path().join("00000001.log");
    let bytes = fs::read(&path).unwrap();
    flip_at(&path, bytes.windows(6).position(|window| window == b"second").unwrap() as u64);
    let refused = Node::start(&config, Store::default()).unwrap_err();
    assert_eq!(refused.exit(), Exit::DamagedData, "{refused}");
    assert!(refused.to_string().contains("slots up to 3"), "{refused}");
}

#[test]
fn a_promise_that_was_flipped_is_still_known_and_kept() {
    let mut cluster = killed();
    let path = cluster.segment(0);
    let promised = |cluster: &Cluster| {
        let durable: spec::Durable<_> =
            found(cluster, 0).records.into_iter().map(|(_, record)| record).collect();
        (durable.promised, durable.attempted, durable.grant_term)
    };
    let before = promised(&cluster);
    // The header, the sum of the first start, and in the first frame of records its first record.
    let bytes = fs::read(&path).unwrap();
    let first = (128..bytes.len()).step_by(32).find(|&at| bytes[at..at + 4] == [0xA3, 0xF2, 1, 0]).unwrap();
    flip_at(&path, first as u64 + 33);
    assert!(!found(&cluster, 0).gaps[0].is_harmless());
    assert_eq!(promised(&cluster), before);
    cluster.launch(0);
    assert_eq!(cluster.await_status(0, |_| true).view, before.0);
    (1..3).for_each(|server| cluster.launch(server));
    let mut client = cluster.client();
    assert_all_there(&cluster, &mut client);
}
