//! A peer offers a snapshot and then falls silent: the server goes on as it was.

use std::net::UdpSocket;

use cluster::clock::BootClock;
use cluster::config::NodeConfig;
use cluster::data;
use cluster::datagram::{Origin, Packer, Sender};
use cluster::driver::{Driver, Identity};
use cluster::kv::Store;
use cluster::life::Life;
use cluster::log::{self, Log};
use cluster::network::Udp;
use cluster::payload::Payload;
use cluster::rng::Rng;
use cluster::spec::{Message, ServerId, Slot};
use cluster::wire::{Between, Settings};

const CLUSTER: u64 = 1;
const GROUP: u16 = 0;

#[test]
fn a_snapshot_that_is_offered_and_never_comes_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (own, other) = (udp.address().unwrap(), peer.local_addr().unwrap());
    let config = NodeConfig::new(0, directory.path().into(), vec![own, other, ([127, 0, 0, 1], 9).into()]);
    data::init(&config).unwrap();
    let (log, recovery) = Log::open(directory.path(), log::Identity { cluster: CLUSTER, server: 0 }).unwrap();
    let identity = Identity {
        cluster: CLUSTER,
        server: ServerId(0),
        life: Life::new(recovery.incarnation, recovery.boots),
        log_position: recovery.position,
        addresses: config.servers.clone(),
        datagram_bytes: config.datagram_bytes(),
    };
    let mut driver = Driver::new(identity, BootClock, log, udp, Rng::seeded(1));
    driver.add_group(GROUP, config.protocol().unwrap(), [], Store::default()).unwrap();

    let origin = Origin { cluster: CLUSTER, sender: Sender::Server(1), incarnation: 1 };
    let mut packer = Packer::new(origin, config.datagram_bytes());
    let settings = Settings {
        servers: 3,
        phase1_quorum: 2,
        phase2_quorum: 2,
        groups: 1,
        sessions: config.sessions as u64,
    };
    let introduction: Between<Message<Payload>> = Between::Settings { settings, asks: false };
    packer.push(GROUP, &introduction, |_| panic!("settings fill no datagram")).unwrap();
    let offer: Between<Message<Payload>> = Between::Protocol(Message::SnapshotOffer { slot: Slot(9) });
    packer.push(GROUP, &offer, |_| panic!("an offer fills no datagram")).unwrap();
    packer.flush(|datagram| {
        peer.send_to(datagram, own).unwrap();
    });
    while driver.status(GROUP).unwrap().counters.datagrams_in == 0 {
        driver.step().unwrap();
    }
    assert_eq!(driver.status(GROUP).unwrap().counters.frames_dropped, 0, "the offer was understood");
    assert_eq!(driver.replica(GROUP).unwrap().history().last(), Slot::NONE);
}
