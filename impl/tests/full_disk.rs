//! A real server whose disk is full: it stands aside, says so, and goes on when there is room.

mod support;

use std::process::{Command, Stdio};

use cluster::client::{Client, Destination};
use cluster::kv::Change;
use cluster::status::Standing;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::{Cluster, PATIENCE, PROGRAM, assert_there, put};

/// The log writes 4 MiB of zeros ahead: the first of them find room, the next do not.
const ROOM_BYTES: u64 = 5 << 20;

/// Starts a server that a file which must not grow does not kill.
fn launch(cluster: &mut Cluster, server: usize) {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "trap '' XFSZ; exec \"$0\" \"$@\"",
        PROGRAM,
        "node",
        "--until-stdin-closes",
        "--config",
    ]);
    shell.arg(cluster.config(server)).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    cluster.children[server] = Some(shell.spawn().unwrap());
}

/// Lets no file of a server grow beyond so many bytes.
fn limit(cluster: &Cluster, server: usize, bytes: Option<u64>) {
    let pid = i32::try_from(cluster.children[server].as_ref().unwrap().id()).unwrap();
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Pid::from_raw(pid), Resource::Fsize, limit).unwrap();
}

#[test]
fn a_server_whose_disk_is_full_gives_up_leading_stays_observable_and_goes_on_when_there_is_room() {
    let mut cluster = Cluster::start();
    for server in 0..3 {
        cluster.kill(server);
        launch(&mut cluster, server);
    }
    let mut client = cluster.client();
    put(&mut client, 0);
    let leads =
        |server: &usize| cluster.status(*server).is_some_and(|status| status.lease_remaining_ms.is_some());
    let full = std::iter::repeat_with(|| (0..3).find(leads)).flatten().next().unwrap();
    limit(&cluster, full, Some(ROOM_BYTES));

    // More than there is room for. Each is acknowledged: by the others, once this one has no room.
    for index in 0..30_u32 {
        let value = vec![b'v'; 200_000];
        let change = Change::Put { key: format!("large{}", index % 3).into(), value };
        client.propose(&change.encode()).unwrap();
    }
    let status = cluster.await_status(full, |status| status.disk_full);
    assert_eq!((status.role, status.lease_remaining_ms), (Standing::Follower, None));
    (1..20).for_each(|index| put(&mut client, index));
    let aside = cluster.await_status(full, |status| status.disk_full);
    assert_eq!(aside.committed, status.committed, "it promises and learns nothing");

    // Whoever asks only this one is not told that anything was done.
    let only_it = Destination { servers: vec![cluster.addresses[full]], ..cluster.destination() };
    let mut unlucky = Client::new(&only_it, std::time::Duration::from_millis(500)).unwrap();
    unlucky.propose(&Change::Put { key: "k".into(), value: "v".into() }.encode()).unwrap_err();

    limit(&cluster, full, None);
    cluster.await_equal();
    cluster.await_status(full, |status| !status.disk_full);
    let mut client = Client::new(&cluster.destination(), PATIENCE).unwrap();
    (0..20).for_each(|index| assert_there(&mut client, index));
}
