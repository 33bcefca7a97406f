//! The load generator: that it hides no stall, and what the command prints.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cluster::client::Destination;
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES};
use cluster::datagram::{self, Origin, Packer, Sender, Unpacker};
use cluster::load::{self, Distribution, Keys, Load};
use cluster::node::GROUP;
use cluster::spec::{SessionId, Slot};
use cluster::wire::{Answer, Ask, Request, Response};
use serde_json::Value;

/// Generous: a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);
/// When the server below stops answering for a while, and for how long.
const STALL_AFTER: Duration = Duration::from_millis(300);
const STALL: Duration = Duration::from_millis(300);

/// A server that applies nothing and answers at once, but for one stall.
fn answer(socket: &UdpSocket, begun: &AtomicBool, over: &AtomicBool) {
    let origin = Origin { cluster: DEFAULT_CLUSTER, sender: Sender::Server(0), incarnation: 1 };
    let (mut unpacker, mut packer) =
        (Unpacker::new(DEFAULT_CLUSTER), Packer::new(origin, DEFAULT_DATAGRAM_BYTES));
    let mut stall_at = None;
    let mut buffer = vec![0; 65_536];
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    while !over.load(Ordering::Relaxed) {
        if begun.swap(false, Ordering::Relaxed) {
            stall_at = Some(Instant::now() + STALL_AFTER);
        }
        if stall_at.is_some_and(|at| at <= Instant::now()) {
            stall_at = None;
            thread::sleep(STALL);
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let received = unpacker.receive(&buffer[..length]).unwrap();
        for (group, body) in received.frames() {
            let Request { number, ask } = datagram::decode(body).unwrap();
            let answer = match ask {
                Ask::Open { nonce } => Answer::Opened(SessionId(Slot(nonce))),
                _ => Answer::Applied { slot: Slot(1), result: "".into() },
            };
            packer.push(group, &Response { number, answer }, |_| panic!("answers are short")).unwrap();
            packer.flush(|datagram| drop(socket.send_to(datagram, from)));
        }
    }
}

/// How many of the operations took at least half a stall, in the histogram and in the trace, of one client that is to begin 200 a second, or as many as it can.
fn slow_operations(rate: Option<f64>) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers: vec![socket.local_addr().unwrap()],
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let load = Load {
        clients: 1,
        rate,
        value_bytes: 10,
        read_share: 0.0,
        keys: Keys::new(1, Distribution::Uniform),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(1200),
        seed: 1,
        trace: true,
    };
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| answer(&socket, &begun, &over));
        let stop = AtomicBool::new(false);
        let on_begin = || begun.store(true, Ordering::Relaxed);
        let measured = load::run(&destination, &load, PATIENCE, &stop, on_begin);
        over.store(true, Ordering::Relaxed);
        let measured = measured.unwrap();
        let half = STALL / 2;
        let slow = measured.updates.count_between(u64::try_from(half.as_nanos()).unwrap(), u64::MAX);
        let traced = measured.trace.iter().filter(|operation| operation.latency >= half && !operation.read);
        assert!(traced.count().abs_diff(usize::try_from(slow).unwrap()) <= 1, "the trace tells the same");
        assert!(measured.trace.is_sorted_by_key(|operation| operation.meant));
        slow
    })
}

#[test]
fn an_open_loop_counts_a_stall_for_every_operation_that_it_kept_waiting() {
    // 60 were to begin in the stall, and half of them wait for at least half of it.
    let open = slow_operations(Some(200.0));
    assert!(open >= 25, "{open} operations were slow");
    assert!(slow_operations(None) < open, "a closed loop begins none while it waits");
}

/// What the command prints of servers of its own.
fn measured(options: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(["bench", "--servers", "3", "--clients", "5", "--seconds", "0.4", "--warm-up", "0.1"])
        .args(["--read-share", "0.5", "--json"])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_command_starts_servers_with_keys_or_without_and_prints_one_object() {
    assert_eq!(measured(&["--insecure"])["authenticated"], false);
    let object = measured(&[]);
    assert_eq!(object["authenticated"], true);
    assert_eq!((&object["schema"], &object["command"]), (&1.into(), &"bench".into()));
    assert_eq!(
        (&object["servers"], &object["clients"], &object["value_bytes"]),
        (&3.into(), &5.into(), &256.into())
    );
    assert!(object["ops"].as_u64().unwrap() > 0, "{object}");
    for name in ["latency_us", "update_latency_us", "read_latency_us"] {
        let [low, high] = ["p50", "max"].map(|quantile| object[name][quantile].as_f64().unwrap());
        assert!(0.0 < low && low <= high, "{object}");
    }
    assert_eq!(object["per_server"].as_array().unwrap().len(), 3, "{object}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let nobody: SocketAddr = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers: vec![nobody],
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let load = Load {
        clients: 2,
        rate: None,
        value_bytes: 1,
        read_share: 0.0,
        keys: Keys::new(1, Distribution::Uniform),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(1),
        seed: 1,
        trace: true,
    };
    let error = load::run(&destination, &load, Duration::from_millis(50), &AtomicBool::new(false), || ());
    assert!(error.unwrap_err().to_string().contains("no client was answered within 50 ms"));
}
