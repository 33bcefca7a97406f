//! Real servers, each a process of its own, on loopback: killed, restarted, and with damaged logs.

mod support;

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster::client::{Client, Destination, survey};
use cluster::kv::{Change, Question, Reply};
use cluster::rng::Rng;
use rustix::process::{Pid, Signal, kill_process};
use support::{Cluster, PATIENCE, PROGRAM, assert_there, put};

#[test]
fn any_server_can_be_killed_at_any_time_and_catches_up_when_it_is_started_again() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    let mut rng = Rng::from_system();
    let mut acknowledged = 0;
    for round in 0..6 {
        let victim = round % 3;
        let before = rng.below(40);
        for index in 0..60 {
            if index == before {
                cluster.kill(victim);
            }
            put(&mut client, acknowledged);
            acknowledged += 1;
        }
        cluster.launch(victim);
        cluster.await_equal();
    }
    (0..acknowledged).for_each(|index| assert_there(&mut client, index));
}

#[test]
fn a_leader_that_stood_still_for_longer_than_its_lease_reads_nothing_stale() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    for round in 0..3 {
        put(&mut client, round);
        let leads = |(_, status): &(_, Option<cluster::status::Status>)| {
            status.as_ref().is_some_and(|status| status.lease_remaining_ms.is_some())
        };
        let begun = Instant::now();
        let leader = loop {
            let heard = survey(&cluster.destination(), Duration::from_secs(2)).unwrap();
            if let Some(leader) = heard.iter().position(leads) {
                break leader;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody holds a lease");
        };
        let pid = cluster.children[leader].as_ref().unwrap().id();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();

        // The others elect a leader, and go on.
        let mut destination = cluster.destination();
        let stopped = destination.servers.remove(leader);
        let change = Change::Put { key: "now".into(), value: round.to_string().into() };
        Client::new(&destination, PATIENCE).unwrap().propose(&change.encode()).unwrap();

        // This read waits in the stopped server's socket when it goes on.
        let only_the_stopped = Destination { servers: vec![stopped], ..destination };
        let mut reader = Client::new(&only_the_stopped, PATIENCE).unwrap();
        let reads = std::thread::spawn(move || reader.read(&Question::Get { key: "now".into() }.encode()));
        sleep(Duration::from_millis(300));
        kill_process(pid, Signal::CONT).unwrap();
        let reply = Reply::decode(&reads.join().unwrap().unwrap()).unwrap();
        assert_eq!(reply, Reply::Found(round.to_string().into()), "round {round}");
    }
}

/// A cluster whose server 0 was killed after some updates, and the segment of its log with its bytes up to
/// where it was written.
fn killed_after_updates() -> (Cluster, PathBuf, Vec<u8>) {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    (0..50).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    cluster.kill(0);
    let path = cluster.segment(0);
    let mut bytes = fs::read(&path).unwrap();
    let written = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1; // zeros are written ahead
    bytes.truncate(written);
    (cluster, path, bytes)
}

#[test]
fn half_a_write_at_the_end_of_a_log_is_dropped_and_said_so_and_the_server_catches_up() {
    let (mut cluster, path, bytes) = killed_after_updates();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 - 20).unwrap();

    let output = cluster.run_briefly(0);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&path.display().to_string()) && said.contains("dropped"), "{said}");

    cluster.launch(0);
    cluster.await_equal();
    let mut client = cluster.client();
    (0..50).for_each(|index| assert_there(&mut client, index));
}

#[test]
fn another_servers_directory_and_another_clusters_are_refused() {
    let (cluster, _, _) = killed_after_updates();
    let text = fs::read_to_string(cluster.config(0)).unwrap();
    for wrong in [text.replace("server = 0", "server = 1"), format!("cluster = 2\n{text}")] {
        fs::write(cluster.config(0), wrong).unwrap();
        let output = cluster.run_briefly(0);
        assert_eq!(output.status.code(), Some(21), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_server_that_finds_no_log_ends_with_22_and_says_what_to_run() {
    let (cluster, path, _) = killed_after_updates();
    let data = path.parent().unwrap();
    for is_there in [true, false] {
        fs::remove_dir_all(data).unwrap();
        if is_there {
            fs::create_dir(data).unwrap();
        }
        let output = cluster.run_briefly(0);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(22), "{said}");
        assert!(
            said.contains("cluster init --config") && said.contains(&data.display().to_string()),
            "{said}"
        );
        assert!(!data.join("00000001.log").exists());
    }
}

#[test]
fn a_log_is_begun_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("0.toml");
    fs::write(&config, "server = 0\ndata = \"0\"\nservers = [\"127.0.0.1:1\"]\ninsecure = true\n").unwrap();
    let init = || command(&["init", "--json", "--config", config.to_str().unwrap()]);
    let output = init();
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""command":"init""#), "{output:?}");
    let segment = directory.path().join("0/00000001.log");
    let begun = fs::read(&segment).unwrap();
    let output = init();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds a log already"), "{output:?}");
    assert_eq!(fs::read(&segment).unwrap(), begun);
}

fn command(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("CLUSTER_SERVERS").output().unwrap()
}

#[test]
fn the_key_value_commands_print_values_on_stdout_and_the_rest_on_stderr() {
    let cluster = Cluster::start();
    let servers = cluster.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    let kv = |arguments: &[&str]| {
        let output = command(&[&["kv", "--timeout-ms", "60000", "--servers", &servers], arguments].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let says = |code, out: &str, error: &str| (code, out.to_owned(), error.to_owned());
    assert_eq!(kv(&["get", "k"]), says(1, "", "not found"));
    assert_eq!(kv(&["put", "k", "1"]), says(0, "", "created"));
    assert_eq!(kv(&["put", "k", "2"]), says(0, "", "replaced"));
    assert_eq!(kv(&["cas", "k", "1", "3"]), says(1, "2", ""));
    assert_eq!(kv(&["cas", "k", "2", "3"]), says(0, "", "swapped"));
    assert_eq!(kv(&["get", "k"]), says(0, "3", ""));
    assert_eq!(kv(&["delete", "k"]), says(0, "", "deleted"));
    let json = r#"{"command":"kv","outcome":"not found","schema":1,"value":null}"#;
    assert_eq!(kv(&["--json", "get", "k"]), says(1, json, ""));
}

#[test]
fn a_client_that_nobody_answers_says_that_the_outcome_is_unknown() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    let output = command(&["kv", "--timeout-ms", "300", "--servers", &address, "put", "k", "v"]);
    assert_eq!(output.status.code(), Some(24));
    assert!(String::from_utf8_lossy(&output.stderr).contains("outcome unknown"));
    let output = command(&["status", "--timeout-ms", "300", "--servers", &address]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("unreachable"));
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.toml");
    fs::write(&path, "server = 0\ndata = \"0\"\nservers = [\"127.0.0.1:1\"]\nlaese_ms = 5\n").unwrap();
    let output = command(&["node", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("line 4") && said.contains("laese_ms"), "{said}");
}

#[test]
fn the_demo_loses_nothing() {
    let output = command(&["demo", "--once", "--json"]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.contains(r#""lost":0"#) && out.contains(r#""schema":1"#), "{out}");
}
