//! What keeps a real server from doing harm: the lock on its directory, its address, the check of its lease, and limits on
//! what it takes.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use cluster::client::{Client, Destination, survey};
use cluster::config::NodeConfig;
use cluster::data;
use cluster::kv::{Change, Question, Reply};
use cluster::network::free_addresses;
use cluster::status::{Standing, Status};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use support::{Cluster, PATIENCE, PROGRAM, assert_there, put};
use tempfile::TempDir;

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn node(config: &std::path::Path, errors: Stdio) -> Running {
    let mut command = Command::new(PROGRAM);
    command.args(["node", "--until-stdin-closes", "--config"]).arg(config);
    Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors).spawn().unwrap())
}

#[test]
fn a_second_process_on_a_directory_ends_at_once_and_names_the_first() {
    let cluster = Cluster::start();
    put(&mut cluster.client(), 0);
    let first = cluster.children[0].as_ref().unwrap().id();
    let output = cluster.run_briefly(0);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&first.to_string()) && said.contains("/0"),
        "the directory and process {first}: {said}"
    );
    put(&mut cluster.client(), 1);
    cluster.await_equal();
}

#[test]
fn a_server_that_is_alive_twice_is_told_of_by_the_others_and_only_the_one_at_its_address_is_heard() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    (0..20).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    cluster.kill(0);
    // The same server on a copy of its directory, at another address: as a backup that somebody starts by mistake.
    let copy = cluster.directory.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(cluster.directory.path().join("0")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let listen = free_addresses(1).unwrap()[0];
    let text = fs::read_to_string(cluster.config(0)).unwrap().replace("data = \"0\"", "data = \"copy\"");
    let config = cluster.directory.path().join("copy.toml");
    fs::write(&config, format!("listen = \"{listen}\"\n{text}")).unwrap();

    cluster.launch(0);
    cluster.kill(1);
    let log = cluster.directory.path().join("1.err");
    let errors = fs::File::create(&log).unwrap();
    cluster.children[1] = Some(cluster.node(1).stderr(errors).spawn().unwrap());
    let _twin = node(&config, Stdio::null());
    let told = || fs::read_to_string(&log).unwrap().contains(&format!("somebody at {listen}"));
    let begun = std::time::Instant::now();
    let mut index = 20;
    while !told() {
        put(&mut client, index);
        index += 1;
        assert!(
            begun.elapsed() < PATIENCE,
            "nobody tells of the twin: {}",
            fs::read_to_string(&log).unwrap()
        );
    }
    // It has not been heard, so it leads nothing and knows of nothing new; the cluster goes on.
    let at_the_twin = Destination { servers: vec![listen], ..cluster.destination() };
    let heard = survey(&at_the_twin, Duration::from_secs(5)).unwrap();
    let status = heard[0].1.clone().expect("it runs");
    assert!(status.role != Standing::Leading && status.lease_remaining_ms.is_none(), "{status:?}");
    (index..index + 20).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    (0..index + 20).for_each(|index| assert_there(&mut client, index));
}

/// Servers that reach each other through sockets of the test only, which can withhold what goes to one of them.
struct Withheld {
    directory: TempDir,
    real: Vec<SocketAddr>,
    to: Arc<AtomicUsize>,
    children: Vec<Running>,
}

const NOBODY: usize = usize::MAX;

impl Withheld {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = |socket: &UdpSocket| socket.local_addr().unwrap();
        let known: Vec<_> = (0..3).map(|_| bind()).collect();
        let real = free_addresses(3).unwrap();
        let names: Vec<_> = known.iter().map(|socket| address(socket).to_string()).collect();
        let children = (0..3).map(|server| {
            let text = format!(
                "server = {server}\ndata = \"{server}\"\nservers = {names:?}\nlisten = \"{}\"\nlease_ms = 300\n\
                 insecure = true\n",
                real[server]
            );
            let config = directory.path().join(format!("{server}.toml"));
            fs::write(&config, text).unwrap();
            data::init(&NodeConfig::load(&config).unwrap()).unwrap();
            node(&config, Stdio::null())
        });
        let children = children.collect();
        let to = Arc::new(AtomicUsize::new(NOBODY));
        let sockets: Arc<Vec<UdpSocket>> = Arc::new(known);
        for receiver in 0..3 {
            let (sockets, real, to) = (Arc::clone(&sockets), real.clone(), Arc::clone(&to));
            // They end with the test's process: nothing comes any more.
            thread::spawn(move || {
                let mut buffer = [0; 65_536];
                while let Ok((length, from)) = sockets[receiver].recv_from(&mut buffer) {
                    let sender = real.iter().position(|&server| server == from);
                    if let Some(sender) = sender.filter(|_| to.load(Ordering::SeqCst) != receiver) {
                        let _ = sockets[sender].send_to(&buffer[..length], real[receiver]);
                    }
                }
            });
        }
        Self { directory, real, to, children }
    }

    fn destination(&self, servers: &[usize]) -> Destination {
        let config = NodeConfig::load(&self.directory.path().join("0.toml")).unwrap();
        Destination {
            cluster: config.cluster,
            group: cluster::node::GROUP,
            servers: servers.iter().map(|&server| self.real[server]).collect(),
            datagram_bytes: cluster::config::DEFAULT_DATAGRAM_BYTES,
            credentials: None,
        }
    }

    fn holder(&self, but: usize) -> usize {
        let servers: Vec<_> = (0..3).filter(|&server| server != but).collect();
        let holds =
            |status: &Option<Status>| status.as_ref().is_some_and(|it| it.lease_remaining_ms.is_some());
        let begun = std::time::Instant::now();
        loop {
            let heard = survey(&self.destination(&servers), Duration::from_millis(500)).unwrap();
            if let Some(at) = heard.iter().position(|(_, status)| holds(status)) {
                return servers[at];
            }
            assert!(begun.elapsed() < PATIENCE, "nobody holds a lease");
        }
    }

    /// Asks the server that leads, and no other.
    fn write(&self, server: usize, value: &str) {
        let change = Change::Put { key: "now".into(), value: value.into() };
        Client::new(&self.destination(&[server]), PATIENCE).unwrap().propose(&change.encode()).unwrap();
    }
}

#[test]
fn a_leader_that_stood_still_and_hears_only_a_read_knows_by_its_clock_that_its_lease_is_over() {
    let cluster = Withheld::start();
    for round in 0..3 {
        let leader = cluster.holder(NOBODY);
        cluster.write(leader, &format!("old {round}"));
        kill_process(pid(&cluster.children[leader].0), Signal::STOP).unwrap();
        cluster.to.store(leader, Ordering::SeqCst);
        let next = cluster.holder(leader);
        cluster.write(next, &format!("new {round}"));

        // It goes on with this read in its socket, and nothing else comes from anybody.
        let patience = Duration::from_millis(1_500);
        let mut reader = Client::new(&cluster.destination(&[leader]), patience).unwrap();
        let question = Question::Get { key: "now".into() }.encode();
        let reads = thread::spawn(move || reader.read(&question));
        sleep(Duration::from_millis(300));
        kill_process(pid(&cluster.children[leader].0), Signal::CONT).unwrap();
        if let Ok(answer) = reads.join().unwrap() {
            let reply = Reply::decode(&answer).unwrap();
            assert_eq!(reply, Reply::Found(format!("new {round}").into()), "it read what it held before");
        }
        cluster.to.store(NOBODY, Ordering::SeqCst);
    }
}

#[test]
fn a_server_without_file_descriptors_sheds_connections_to_its_page_and_replicates_on() {
    /// What the log may need for its next segment and snapshot.
    const SPARE: u64 = 6;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    cluster.kill(0);
    let page = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = fs::read_to_string(cluster.config(0)).unwrap();
    fs::write(cluster.config(0), format!("page = \"{page}\"\n{text}")).unwrap();
    cluster.launch(0);
    cluster.await_equal();
    let process = pid(cluster.children[0].as_ref().unwrap());
    let open = || fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).unwrap().count() as u64;
    let most = open() + SPARE;
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(Some(process), Resource::Nofile, limit).unwrap();

    // More than there are descriptors for; each asks for nothing yet.
    let waiting: Vec<_> = (0..100).filter_map(|_| TcpStream::connect(page).ok()).collect();
    (0..50).for_each(|index| put(&mut client, index));
    cluster.await_equal();
    let (held, asked) = (open(), waiting.len());
    assert!(asked == 100 && held < 2 * most, "{held} descriptors, {asked} connections");
    drop(waiting);
    let begun = std::time::Instant::now();
    loop {
        let mut answer = String::new();
        let asked = TcpStream::connect(page).and_then(|mut connection| {
            connection.write_all(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            connection.read_to_string(&mut answer)
        });
        if asked.is_ok() && answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the page does not come back: {answer}");
        sleep(Duration::from_millis(100));
    }
    put(&mut client, 50);
    cluster.await_equal();
}
