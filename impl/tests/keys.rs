//! Clusters with keys, each server a process of its own: keys and the secret change under load, a client that may only
//! read, and whoever has the wrong key.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use cluster::client::{Client, Destination, survey};
use cluster::config::NodeConfig;
use cluster::kv::{Change, Question, Reply};
use cluster::network::free_addresses;
use cluster::node::GROUP;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cluster");
const SERVERS: usize = 3;
/// Generous: a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands in the configurations of all.
#[derive(Clone)]
struct Known {
    /// Secrets, by the names of their files, the first one first.
    secrets: Vec<&'static str>,
    /// Each server's keys, by the names of their files.
    servers: [Vec<&'static str>; SERVERS],
    /// The client's.
    ann: Vec<&'static str>,
}

struct Cluster {
    directory: TempDir,
    addresses: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
}

impl Cluster {
    /// A cluster with a key for each server, `ann`, who may write, and `bob`, who may read.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let addresses = free_addresses(SERVERS).unwrap();
        let mut cluster = Self { directory, addresses, children: (0..SERVERS).map(|_| None).collect() };
        ["0", "1", "2", "new-1", "ann", "new-ann", "bob", "mallory"]
            .iter()
            .for_each(|key| cluster.keygen(key));
        ["old", "new"].iter().for_each(|secret| {
            let made = cluster.run(&["keygen", "--secret", &format!("{secret}.secret")]);
            assert!(made.status.success(), "{made:?}");
        });
        for server in 0..SERVERS {
            cluster.configure(server, ["0", "1", "2"][server], &cluster.known());
            let begun = cluster.run(&["init", "--config", &format!("{server}.toml")]);
            assert!(begun.status.success(), "{begun:?}");
            cluster.launch(server);
        }
        cluster
    }

    fn known(&self) -> Known {
        Known { secrets: vec!["old"], servers: [vec!["0"], vec!["1"], vec!["2"]], ann: vec!["ann"] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }

    fn keygen(&self, name: &str) {
        let made = self.run(&["keygen", &format!("{name}.key")]);
        assert!(made.status.success(), "{made:?}");
        fs::write(self.path(&format!("{name}.public")), made.stdout).unwrap();
    }

    /// The public keys of these, as a list of TOML.
    fn public(&self, names: &[&str]) -> String {
        let key = |name: &&str| fs::read_to_string(self.path(&format!("{name}.public"))).unwrap();
        format!("{:?}", names.iter().map(|name| key(name).trim().to_owned()).collect::<Vec<_>>())
    }

    /// Writes a server's configuration: the file of its own key, and what it knows.
    fn configure(&self, server: usize, key: &str, known: &Known) {
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        let secrets: Vec<_> = known.secrets.iter().map(|name| format!("{name}.secret")).collect();
        let servers: Vec<_> = known.servers.iter().map(|keys| self.public(keys)).collect();
        let text = format!(
            "server = {server}\ndata = \"{server}\"\nservers = {addresses:?}\nlease_ms = 300\nkey = \"{key}.key\"\n\
             secret = {secrets:?}\nserver_keys = [{}]\n\
             [[clients]]\nname = \"ann\"\nkey = {}\nrole = \"read-write\"\n\
             [[clients]]\nname = \"bob\"\nkey = {}\nrole = \"read-only\"\n",
            servers.join(", "),
            self.public(&known.ann),
            self.public(&["bob"]),
        );
        fs::write(self.path(&format!("{server}.toml")), text).unwrap();
    }

    /// Starts a server; what it says goes to a file.
    fn launch(&mut self, server: usize) {
        let said = File::options().create(true).append(true).open(self.said_path(server)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["node", "--until-stdin-closes", "--config", &format!("{server}.toml")]);
        command.current_dir(self.directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said);
        self.children[server] = Some(command.spawn().unwrap());
    }

    /// Stops a server as an operator does, and starts it again with another configuration.
    fn restart(&mut self, server: usize, key: &str, known: &Known) {
        let mut child = self.children[server].take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
        self.configure(server, key, known);
        self.launch(server);
    }

    fn said_path(&self, server: usize) -> PathBuf {
        self.path(&format!("{server}.said"))
    }

    /// All lines of all servers with these words in them.
    fn said(&self, words: &str) -> Vec<(usize, String)> {
        let lines = (0..SERVERS).flat_map(|server| {
            let said = fs::read_to_string(self.said_path(server)).unwrap();
            said.lines().map(|line| (server, line.to_owned())).collect::<Vec<_>>()
        });
        lines.filter(|(_, line)| line.contains(words)).collect()
    }

    /// What a client with this key needs, by a server's configuration.
    fn destination(&self, config: &str, key: &str) -> Destination {
        let config = NodeConfig::load(&self.path(config)).unwrap();
        let key = self.path(&format!("{key}.key"));
        Destination {
            cluster: config.cluster,
            group: GROUP,
            servers: config.servers.clone(),
            datagram_bytes: config.datagram_bytes(),
            credentials: config.client_credentials(Some(&key)).unwrap(),
        }
    }

    /// Waits until every server is heard and has applied what any of them had applied a moment before.
    fn await_all(&self, key: &str) {
        let begun = Instant::now();
        let mut before = None;
        loop {
            let heard = survey(&self.destination("0.toml", key), Duration::from_secs(1)).unwrap();
            let applied: Vec<u64> =
                heard.iter().filter_map(|(_, status)| Some(status.as_ref()?.applied.0)).collect();
            let leads =
                heard.iter().flat_map(|(_, status)| status).any(|one| one.lease_remaining_ms.is_some());
            let keep_up = before.is_some_and(|before| applied.iter().all(|&one| one >= before));
            if leads && applied.len() == SERVERS && keep_up {
                return;
            }
            before = before.max(applied.into_iter().max());
            assert!(begun.elapsed() < PATIENCE, "not all servers are heard: {heard:?}");
            sleep(Duration::from_millis(50));
        }
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

fn put(client: &mut Client, index: u32) {
    let change = Change::Put { key: index.to_string().into(), value: index.to_string().into() };
    client.propose(&change.encode()).unwrap_or_else(|error| panic!("update {index}: {error}"));
}

/// One client's updates: one key after another, from `first` on, until it is told that this is over.
struct Load {
    first: u32,
    acknowledged: AtomicU32,
    is_over: AtomicBool,
}

impl Load {
    fn from(first: u32) -> Self {
        Self { first, acknowledged: AtomicU32::new(0), is_over: AtomicBool::new(false) }
    }

    fn run(&self, mut client: Client) {
        while !self.is_over.load(Ordering::Relaxed) {
            put(&mut client, self.first + self.acknowledged.load(Ordering::Relaxed));
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Which keys were put.
    fn keys(&self) -> Range<u32> {
        self.first..self.first + self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until some more updates are acknowledged.
    fn await_more(&self) {
        let (begun, before) = (Instant::now(), self.keys().end);
        while self.keys().end < before + 5 {
            assert!(begun.elapsed() < PATIENCE, "no update since {before} was acknowledged");
            sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the load, also if the test fails.
struct Ending<'a>(&'a Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_secret_a_servers_key_and_a_clients_change_under_load_without_an_update_that_fails() {
    let mut cluster = Cluster::start();
    cluster.await_all("ann");
    let both = Known {
        secrets: vec!["old", "new"],
        servers: [vec!["0"], vec!["1", "new-1"], vec!["2"]],
        ann: vec!["ann", "new-ann"],
    };
    let turned = Known { secrets: vec!["new", "old"], ..both.clone() };
    let new =
        Known { secrets: vec!["new"], servers: [vec!["0"], vec!["new-1"], vec!["2"]], ann: vec!["new-ann"] };
    // The clients' own configurations: a server's file of each stage.
    let old_client = cluster.destination("0.toml", "ann");
    let stages = [(&both, "1", "ann"), (&turned, "new-1", "ann"), (&new, "new-1", "new-ann")];
    // One client knows only what was true at first, until the last stage begins; the other only what is true then.
    let [old, newer] = [0, 1_000_000].map(Load::from);
    thread::scope(|scope| {
        let _end = [Ending(&old), Ending(&newer)];
        let client = Client::new(&old_client, PATIENCE).unwrap();
        let mut running = Some(scope.spawn(|| old.run(client)));
        old.await_more();
        for (stage, (known, key_of_1, client)) in stages.into_iter().enumerate() {
            if stage == 2 {
                // All servers know the new keys by now: clients that have them are let in, then the old ones go.
                let client = Client::new(&cluster.destination("0.toml", "new-ann"), PATIENCE).unwrap();
                scope.spawn(|| newer.run(client));
                old.is_over.store(true, Ordering::Relaxed);
                running.take().unwrap().join().unwrap();
            }
            for (server, key) in [(0, "0"), (1, key_of_1), (2, "2")] {
                cluster.restart(server, key, known);
                cluster.await_all(if stage == 2 { "new-ann" } else { client });
                if stage == 2 { &newer } else { &old }.await_more();
            }
        }
    });
    let mut reader = Client::new(&cluster.destination("0.toml", "bob"), PATIENCE).unwrap();
    for index in old.keys().chain(newer.keys()) {
        let question = Question::Get { key: index.to_string().into() };
        let reply = Reply::decode(&reader.read(&question.encode()).unwrap()).unwrap();
        assert_eq!(reply, Reply::Found(index.to_string().into()), "{index}");
    }
    // And what is old lets nobody in any more.
    let mut late = Client::new(&old_client, Duration::from_secs(1)).unwrap();
    let refused = late.read(&Question::Get { key: "0".into() }.encode());
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn a_client_goes_on_where_the_ports_of_servers_are_closed() {
    let mut cluster = Cluster::start();
    cluster.await_all("ann");
    let mut destination = cluster.destination("0.toml", "ann");
    let mut child = cluster.children[2].take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The closed port comes first, and one that was never open before it.
    let never_open = free_addresses(1).unwrap()[0];
    destination.servers.rotate_right(1);
    destination.servers.insert(0, never_open);
    let mut client = Client::new(&destination, PATIENCE).unwrap();
    (0..20).for_each(|index| put(&mut client, index));
}

#[test]
fn a_client_that_may_only_read_reads_and_is_told_that_it_may_not_write() {
    let cluster = Cluster::start();
    cluster.await_all("ann");
    let kv = |key: &str, words: &[&str]| {
        let key = format!("{key}.key");
        let start = ["kv", "--config", "0.toml", "--key", &key, "--timeout-ms", "20000"];
        cluster.run(&[&start[..], words].concat())
    };
    assert!(kv("ann", &["put", "colour", "blue"]).status.success());
    assert_eq!(kv("bob", &["get", "colour"]).stdout, b"blue\n");
    for words in [&["put", "colour", "red"][..], &["delete", "colour"], &["cas", "colour", "blue", "red"]] {
        let output = kv("bob", words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("may only read") && said.contains("nothing was changed"), "{said}");
    }
    let output = cluster.run(&["transfer", "--config", "0.toml", "--key", "bob.key"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("may only read"), "{said}");
    assert_eq!(kv("bob", &["get", "colour"]).stdout, b"blue\n");
}

#[test]
fn whoever_has_a_wrong_key_or_secret_is_not_answered_and_named_in_one_line_a_minute() {
    let mut cluster = Cluster::start();
    cluster.await_all("ann");
    // A client with a key that nobody knows, and one that knows another secret.
    let text = fs::read_to_string(cluster.path("0.toml")).unwrap();
    fs::write(cluster.path("other.toml"), text.replace("old.secret", "new.secret")).unwrap();
    for (config, key, name, why) in [
        ("0.toml", "mallory", "somebody unknown", "uses a key that is in no list"),
        ("other.toml", "ann", "client ann, or somebody with its name,", "does not know the cluster's secret"),
    ] {
        for _ in 0..2 {
            let key = format!("{key}.key");
            let output = cluster.run(&[
                "kv",
                "--config",
                config,
                "--key",
                &key,
                "--timeout-ms",
                "1500",
                "put",
                "a",
                "b",
            ]);
            assert_eq!(output.status.code(), Some(24), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let said = cluster.said(why);
        assert!(!said.is_empty(), "{why}");
        for server in 0..SERVERS {
            let lines: Vec<_> = said.iter().filter(|(at, _)| *at == server).collect();
            assert!(lines.len() <= 1, "{lines:?}");
            assert!(
                lines.iter().all(|(_, line)| line.contains(name) && line.contains("127.0.0.1:")),
                "{lines:?}"
            );
        }
    }
    // A server whose key the others do not know: it runs, is heard by nobody, and the others say who it is.
    let strange = Known { servers: [vec!["0"], vec!["1"], vec!["new-1"]], ..cluster.known() };
    cluster.restart(2, "new-1", &strange);
    let begun = Instant::now();
    let address = cluster.addresses[2].to_string();
    while !cluster
        .said("uses a key that is in no list")
        .iter()
        .any(|(at, line)| *at < 2 && line.contains(&address))
    {
        assert!(begun.elapsed() < PATIENCE, "nobody says who is at {address}");
        sleep(Duration::from_millis(50));
    }
    let mut client = Client::new(&cluster.destination("0.toml", "ann"), PATIENCE).unwrap();
    put(&mut client, 1);
}
