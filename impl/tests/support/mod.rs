//! Three servers, each a process of its own, on loopback.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster::client::{Client, Destination, survey};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::kv::{Change, Question, Reply};
use cluster::network::free_addresses;
use cluster::node::GROUP;
use cluster::status::Status;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cluster");
/// Generous: a busy machine must not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) directory: TempDir,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) children: Vec<Option<Child>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let addresses = free_addresses(3).unwrap();
        let mut cluster = Self { directory, addresses, children: vec![None, None, None] };
        for server in 0..3 {
            let text = format!(
                "server = {server}\ndata = \"{server}\"\nservers = {:?}\nlease_ms = 300\ninsecure = true\n",
                cluster.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
            );
            fs::write(cluster.config(server), text).unwrap();
            data::init(&NodeConfig::load(&cluster.config(server)).unwrap()).unwrap();
            cluster.launch(server);
        }
        cluster
    }

    pub(crate) fn config(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("{server}.toml"))
    }

    pub(crate) fn node(&self, server: usize) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["node", "--until-stdin-closes", "--config"]).arg(self.config(server));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn launch(&mut self, server: usize) {
        self.children[server] = Some(self.node(server).stderr(Stdio::null()).spawn().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, server: usize) {
        let mut child = self.children[server].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a server and closes its standard input at once, so that it ends by itself if it starts at all.
    pub(crate) fn run_briefly(&self, server: usize) -> Output {
        self.node(server).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn destination(&self) -> Destination {
        Destination {
            cluster: DEFAULT_CLUSTER,
            group: GROUP,
            servers: self.addresses.clone(),
            datagram_bytes: DEFAULT_DATAGRAM_BYTES,
            credentials: None,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.destination(), PATIENCE).unwrap()
    }

    /// Waits until every server has applied the same slots.
    pub(crate) fn await_equal(&self) {
        let begun = Instant::now();
        loop {
            let heard = survey(&self.destination(), Duration::from_millis(500)).unwrap();
            let applied: Vec<_> =
                heard.iter().filter_map(|(_, status)| Some(status.as_ref()?.applied)).collect();
            if applied.len() == 3 && applied.iter().all(|&slot| slot == applied[0]) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the servers do not catch up: {heard:?}");
            sleep(Duration::from_millis(50));
        }
    }

    /// How a server is, if it answers.
    pub(crate) fn status(&self, server: usize) -> Option<Status> {
        let destination = Destination { servers: vec![self.addresses[server]], ..self.destination() };
        survey(&destination, Duration::from_millis(500)).unwrap().pop()?.1
    }

    /// Waits until a server is so.
    pub(crate) fn await_status(&self, server: usize, is: impl Fn(&Status) -> bool) -> Status {
        let begun = Instant::now();
        loop {
            let status = self.status(server);
            if let Some(status) = status.as_ref().filter(|status| is(status)) {
                return status.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "server {server}: {status:?}");
            sleep(Duration::from_millis(50));
        }
    }

    /// The newest segment of a server's log.
    pub(crate) fn segment(&self, server: usize) -> PathBuf {
        let mut segments: Vec<_> = fs::read_dir(self.directory.path().join(server.to_string()))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        segments.sort();
        segments.pop().expect("a server that ran has a log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn put(client: &mut Client, index: u32) {
    let change = Change::Put { key: format!("k{index}").into(), value: format!("v{index}").into() };
    client.propose(&change.encode()).unwrap();
}

pub(crate) fn assert_there(client: &mut Client, index: u32) {
    let question = Question::Get { key: format!("k{index}").into() };
    let reply = Reply::decode(&client.read(&question.encode()).unwrap()).unwrap();
    assert_eq!(reply, Reply::Found(format!("v{index}").into()), "k{index}");
}
