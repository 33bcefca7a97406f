//! Servers that lost their disks, or whose disks were set back: none of them votes before `cluster recover`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster::client::Client;
use cluster::config::NodeConfig;
use cluster::data::{self, Recover};
use cluster::kv::Change;
use cluster::spec::ServerId;
use cluster::status::{Stage, Standing};
use support::{Cluster, PATIENCE, PROGRAM, assert_there, put};

const LOST: usize = 2;

fn directory(cluster: &Cluster, server: usize) -> PathBuf {
    cluster.directory.path().join(server.to_string())
}

fn recover(cluster: &Cluster, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["recover", "--config"]).arg(cluster.config(LOST)).args(more).output().unwrap()
}

/// Runs a server until it ends of itself: its exit code and what it said.
fn run_to_its_end(cluster: &Cluster, server: usize) -> (Option<i32>, String) {
    let mut child = cluster.node(server).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A cluster with updates, whose server [`LOST`] is down.
fn with_one_down() -> Cluster {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    (0..50).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    cluster.kill(LOST);
    cluster
}

/// The server votes again: together with one other it is a majority that has everything.
fn assert_votes_again(cluster: &mut Cluster, updates: u32) {
    cluster.await_status(LOST, |status| status.recovery.is_none());
    cluster.kill(0);
    let mut client = cluster.client();
    put(&mut client, updates);
    (0..=updates).for_each(|index| assert_there(&mut client, index));
}

#[test]
fn a_server_whose_disk_was_wiped_recovers_and_votes_again_with_all_that_it_must_know() {
    let mut cluster = with_one_down();
    fs::remove_dir_all(directory(&cluster, LOST)).unwrap();
    assert_eq!(cluster.run_briefly(LOST).status.code(), Some(22));
    let output = recover(&cluster, &["--json"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(r#""command":"recover""#) && said.contains(r#""set_aside":null"#), "{output:?}");
    cluster.launch(LOST);
    let mut client = cluster.client();
    (50..60).for_each(|index| put(&mut client, index));
    let status = cluster.await_status(LOST, |status| status.recovery.is_none());
    assert!(status.incarnation > 1_700_000_000_000 && status.boots == 1, "{status:?}");
    assert_votes_again(&mut cluster, 60);
    // It is not asked twice.
    cluster.launch(0);
    cluster.kill(LOST);
    cluster.launch(LOST);
    let status = cluster.await_status(LOST, |_| true);
    assert!(status.recovery.is_none() && status.boots == 2, "{status:?}");
}

#[test]
fn while_another_server_is_down_a_recovery_waits_for_it_and_says_so() {
    let mut cluster = with_one_down();
    cluster.kill(0);
    fs::remove_dir_all(directory(&cluster, LOST)).unwrap();
    assert!(recover(&cluster, &[]).status.success());
    cluster.launch(LOST);
    let waits_for_0 = |status: &cluster::status::Status| {
        status
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.stage == Stage::Noting && recovery.waits_for == [ServerId(0)])
    };
    let status = cluster.await_status(LOST, waits_for_0);
    assert_eq!(status.role, Standing::Recovering);
    let servers = cluster.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let output = Command::new(PROGRAM).args(["status", "--servers", &servers]).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("server 2 recovers: waits for server 0 to note"), "{table}");
    // Two of three are up, and one of them may not vote: nothing is decided.
    let mut hurried = Client::new(&cluster.destination(), Duration::from_millis(1_500)).unwrap();
    let change = Change::Put { key: "never".into(), value: "acknowledged".into() };
    assert!(hurried.propose(&change.encode()).is_err());
    cluster.launch(0);
    assert_votes_again(&mut cluster, 50);
}

#[test]
fn an_old_backup_is_found_out_and_the_server_halts_until_it_is_recovered() {
    let mut cluster = with_one_down();
    let (data, backup) = (directory(&cluster, LOST), cluster.directory.path().join("backup"));
    copy(&data, &backup);
    cluster.launch(LOST);
    let mut client = cluster.client();
    (50..90).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    // What it holds is told twice a second.
    sleep(Duration::from_millis(1_200));
    cluster.kill(LOST);
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    // It was started as often as the one that the others know, but with less: twice, for the first alarms them.
    for _ in 0..2 {
        let (code, said) = run_to_its_end(&cluster, LOST);
        assert_eq!(code, Some(22), "{said}");
        assert!(
            said.contains("cluster recover") && (said.contains("old backup") || said.contains("put back")),
            "{said}"
        );
    }
    let output = recover(&cluster, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can start from its log"), "{output:?}");
    let output = recover(&cluster, &["--force"]);
    assert!(output.status.success(), "{output:?}");
    let aside = cluster.directory.path().join("2.lost");
    assert!(aside.join("00000001.log").exists(), "the old directory is kept: {output:?}");
    cluster.launch(LOST);
    assert_votes_again(&mut cluster, 90);
}

#[test]
fn a_backup_taken_of_the_server_as_it_was_last_started_is_found_out_as_well() {
    let mut cluster = Cluster::start();
    let (data, backup) = (directory(&cluster, LOST), cluster.directory.path().join("backup"));
    let mut client = cluster.client();
    put(&mut client, 0);
    cluster.await_equal();
    copy(&data, &backup); // While it runs.
    (1..50).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    sleep(Duration::from_millis(1_200));
    cluster.kill(LOST);
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    let (code, said) = run_to_its_end(&cluster, LOST);
    assert_eq!(code, Some(22), "{said}");
    assert!(said.contains("copy") || said.contains("old backup"), "{said}");
}

#[test]
fn a_wiped_server_that_is_begun_as_a_new_one_is_found_out_and_halts() {
    let cluster = with_one_down();
    fs::remove_dir_all(directory(&cluster, LOST)).unwrap();
    data::init(&NodeConfig::load(&cluster.config(LOST)).unwrap()).unwrap();
    let (code, said) = run_to_its_end(&cluster, LOST);
    assert_eq!(code, Some(22), "{said}");
    assert!(said.contains("cluster recover"), "{said}");
}

#[test]
fn an_incarnation_that_is_not_above_the_last_is_refused_and_the_least_that_will_do_is_named() {
    let mut cluster = with_one_down();
    let config = NodeConfig::load(&cluster.config(LOST)).unwrap();
    let wipe = || fs::remove_dir_all(&config.data).unwrap();
    wipe();
    let known =
        data::recover(&config, Recover { at_least: 4_000_000_000_000, force: false }).unwrap().incarnation;
    cluster.launch(LOST);
    cluster.await_status(LOST, |status| status.recovery.is_none());
    cluster.kill(LOST);
    wipe();
    // The clock, as it is, is behind that.
    assert!(recover(&cluster, &[]).status.success());
    let (code, said) = run_to_its_end(&cluster, LOST);
    assert_eq!(code, Some(22), "{said}");
    let above = known.to_string();
    assert!(said.contains(&format!("--above {above}")), "{said}");
    assert!(recover(&cluster, &["--force", "--above", &above]).status.success());
    cluster.launch(LOST);
    assert_votes_again(&mut cluster, 50);
}

#[test]
fn a_log_that_is_damaged_beyond_repair_is_set_aside_and_recovered() {
    let mut cluster = with_one_down();
    let segment = directory(&cluster, LOST).join("00000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes.fill(0x5A); // nothing whole is left to say what it promised
    fs::write(&segment, &bytes).unwrap();
    let output = cluster.run_briefly(LOST);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(22) && said.contains("cluster recover"), "{said}");
    assert!(recover(&cluster, &[]).status.success());
    assert_eq!(fs::read(cluster.directory.path().join("2.lost/00000001.log")).unwrap(), bytes);
    cluster.launch(LOST);
    assert_votes_again(&mut cluster, 50);
}
