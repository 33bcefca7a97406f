//! A node with several groups: one socket and one log, histories of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;

use cluster::clock::BootClock;
use cluster::config::NodeConfig;
use cluster::data;
use cluster::driver::{Driver, GroupError, Identity};
use cluster::kv::{Change, Question, Reply, Store};
use cluster::life::Life;
use cluster::log::{self, Log};
use cluster::network::Udp;
use cluster::payload::Payload;
use cluster::rng::Rng;
use cluster::spec::{Record, ServerId, Sessions, Slot, Snapshot};

const GROUPS: [u16; 2] = [0, 700];

type NodeDriver = Driver<BootClock, Log, Udp, Store>;

/// The only server of its cluster, and the records of its log, by group.
fn start(directory: &Path) -> (NodeDriver, NodeConfig, Vec<(u16, Record<Payload>)>) {
    let udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let mut config = NodeConfig::new(0, directory.into(), vec![udp.address().unwrap()]);
    config.lease_ms = 20;
    if !directory.join("00000001.log").exists() {
        data::init(&config).unwrap();
    }
    let (log, recovery) = Log::open(directory, log::Identity { cluster: 1, server: 0 }).unwrap();
    let identity = Identity {
        cluster: 1,
        server: ServerId(0),
        life: Life::new(recovery.incarnation, recovery.boots),
        log_position: recovery.position,
        addresses: config.servers.clone(),
        datagram_bytes: config.datagram_bytes(),
    };
    (Driver::new(identity, BootClock, log, udp, Rng::seeded(1)), config, recovery.records)
}

/// The same with its groups, as its log makes them.
fn open(directory: &Path) -> NodeDriver {
    let (mut driver, config, records) = start(directory);
    for id in GROUPS {
        let records = records.iter().filter(|(group, _)| *group == id);
        let records = records.map(|(_, record)| record.clone());
        driver.add_group(id, config.protocol().unwrap(), records, Store::default()).unwrap();
    }
    driver
}

fn put(driver: &mut NodeDriver, group: u16, value: &str) {
    let (done, learnt) = mpsc::channel();
    let change = Change::Put { key: "k".into(), value: value.into() };
    driver.propose(group, change.encode().into(), done);
    loop {
        driver.step().unwrap();
        if let Ok(learnt) = learnt.try_recv() {
            return drop(learnt.unwrap());
        }
    }
}

fn get(driver: &mut NodeDriver, group: u16) -> Reply {
    let question = Question::Get { key: "k".into() }.encode();
    let (mut done, mut answer) = mpsc::channel();
    driver.query(group, question.clone().into(), done);
    loop {
        driver.step().unwrap();
        match answer.try_recv() {
            Ok(Ok(reply)) => return Reply::decode(&reply).unwrap(),
            Ok(Err(_)) => {
                // It does not lead yet: ask again.
                (done, answer) = mpsc::channel();
                driver.query(group, question.clone().into(), done);
            }
            Err(_) => {}
        }
    }
}

#[test]
fn groups_share_a_log_and_nothing_else_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut driver = open(directory.path());
    for group in GROUPS {
        put(&mut driver, group, &format!("of {group}"));
    }
    drop(driver);
    let mut driver = open(directory.path());
    let found: BTreeSet<_> = GROUPS.map(|group| format!("{:?}", get(&mut driver, group))).into();
    let expected = GROUPS.map(|group| format!("{:?}", Reply::Found(format!("of {group}").into())));
    assert_eq!(found, expected.into());
}

#[test]
fn a_group_whose_log_rests_on_a_snapshot_that_is_not_here_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut driver, config, _) = start(directory.path());
    let record = Record::Snapshot(Snapshot { slot: Slot(3), sessions: Sessions::default() });
    let added = driver.add_group(700, config.protocol().unwrap(), [record], Store::default());
    assert!(matches!(added, Err(GroupError::Lost { group: 700, slot: Slot(3), .. })));
}
