//! The other systems: three processes on loopback with data of their own, and the peers' load.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use cluster::exit::{Exit, Failure};
use cluster::load::CLIENTS_PER_SOCKET;
use cluster::network::free_addresses;
use serde_json::Value;
use tempfile::TempDir;

use super::syncs::Counter;
use super::system::{Place, SERVERS};
use super::work::{KEYS, Kind, Outcome, Work};

/// The program of etcd.
pub(super) const ETCD: &str = "etcd";
/// How long an operation of a fail-over may take before it is tried elsewhere: short beside any election.
const ATTEMPT_MS_OF_FAIL_OVER: u64 = 100;

/// A system that is not this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Other {
    Etcd,
    Openraft,
    Omnipaxos,
}

/// Where RocksDB is, if it is not to be built from its crate.
const ROCKSDB_LIB_DIR: &str = "ROCKSDB_LIB_DIR";

/// Which RocksDB the peers are built with.
pub(super) fn rocksdb() -> String {
    let Some(directory) = std::env::var_os(ROCKSDB_LIB_DIR) else { return "RocksDB of its crate".into() };
    // `librocksdb.so` is a link to `librocksdb.so.VERSION`.
    let library = fs::canonicalize(Path::new(&directory).join("librocksdb.so")).unwrap_or_default();
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("RocksDB {}", name.strip_prefix("librocksdb.so.").unwrap_or("of the system"))
}

/// Builds the peers' own workspace.
pub(super) fn build(target: &Path) -> Result<(), Failure> {
    if std::env::var_os(ROCKSDB_LIB_DIR).is_none() && !target.join("release/peer-omnipaxos").exists() {
        eprintln!(
            "building the peers; RocksDB alone takes a quarter of an hour, and `bash ci/peers.sh` uses the distribution's"
        );
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target)
        .stdout(Stdio::null())
        .status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::new(
            Exit::Runtime,
            "the peers cannot be built; see above. `bash ci/peers.sh` installs what they need, and \
             benches/peers/README.md says what that is; or leave them out with --only leasehold,leasehold-keys",
        )),
        Err(error) => Err(Failure::new(Exit::Runtime, format!("cargo cannot be run: {error}"))),
    }
}

/// Measures one work on three servers of their own.
pub(super) fn measure(other: Other, work: &Work, place: &Place) -> Result<Outcome, Failure> {
    let mut servers = Processes::start(other, place)?;
    servers.measure(work, place).map_err(|failure| Failure {
        message: format!("{}; the servers say: {}", failure.message, servers.last_words()),
        ..failure
    })
}

/// Three server processes. Dropping them kills them; if this program itself is killed, they end, too.
struct Processes {
    other: Other,
    children: Vec<Child>,
    /// Where they listen for clients.
    clients: Vec<SocketAddr>,
    directory: TempDir,
}

impl Processes {
    fn start(other: Other, place: &Place) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(Exit::Runtime, format!("its servers: {error}"));
        let directory = tempfile::Builder::new().prefix("peer-").tempdir_in(place.data()).map_err(failed)?;
        let addresses = free_addresses(2 * usize::from(SERVERS)).map_err(failed)?;
        let (clients, peers) = addresses.split_at(usize::from(SERVERS));
        let mut processes = Self { other, children: Vec::new(), clients: clients.to_vec(), directory };
        for server in 0..usize::from(SERVERS) {
            let mut command = match other {
                Other::Etcd => processes.etcd(server, peers),
                Other::Openraft => processes.peer(&place.program("peer-openraft"), server, peers),
                Other::Omnipaxos => processes.peer(&place.program("peer-omnipaxos"), server, peers),
            };
            let said = File::create(processes.words(server)).map_err(failed)?;
            let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said).spawn();
            processes.children.push(child.map_err(failed)?);
        }
        Ok(processes)
    }

    fn words(&self, server: usize) -> std::path::PathBuf {
        self.directory.path().join(format!("{server}.err"))
    }

    /// The end of what each server said on its standard error.
    fn last_words(&self) -> String {
        let last = |server| fs::read_to_string(self.words(server)).unwrap_or_default();
        let lines =
            (0..self.children.len()).filter_map(|server| last(server).lines().last().map(str::to_owned));
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() { "nothing".into() } else { lines.join(" | ") }
    }

    fn peer(&self, program: &Path, server: usize, peers: &[SocketAddr]) -> Command {
        let list = |addresses: &[SocketAddr]| {
            addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
        };
        let mut command = Command::new(program);
        command.args(["--server", &server.to_string(), "--peers", &list(peers)]);
        command.args(["--clients", &list(&self.clients), "--data"]);
        command.arg(self.directory.path().join(server.to_string()));
        command
    }

    /// etcd does not look at its standard input: `setpriv` has it killed with this program.
    fn etcd(&self, server: usize, peers: &[SocketAddr]) -> Command {
        let url = |address: SocketAddr| format!("http://{address}");
        let name = |server: usize| format!("s{server}");
        let cluster: Vec<_> =
            peers.iter().enumerate().map(|(id, &peer)| format!("{}={}", name(id), url(peer))).collect();
        let (client, peer) = (url(self.clients[server]), url(peers[server]));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", ETCD, "--name", &name(server), "--data-dir"]);
        command.arg(self.directory.path().join(server.to_string()));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
        command.args(["--logger", "zap", "--log-level", "error"]);
        command
    }

    fn load(&self, place: &Place) -> Command {
        let servers: Vec<_> = self.clients.iter().map(SocketAddr::to_string).collect();
        let protocol = if self.other == Other::Etcd { "etcd" } else { "framed" };
        let mut command = Command::new(place.program("peer-load"));
        command.args(["--protocol", protocol, "--servers", &servers.join(",")]);
        command
    }

    fn measure(&mut self, work: &Work, place: &Place) -> Result<Outcome, Failure> {
        let failed = |error: io::Error| Failure::new(Exit::Runtime, format!("its load: {error}"));
        let mut command = self.load(place);
        let value = |command: &mut Command, name: &str, value: &dyn std::fmt::Display| {
            command.arg(name).arg(value.to_string());
        };
        value(&mut command, "--clients", &work.clients);
        value(&mut command, "--value-bytes", &benches::VALUE_BYTES);
        value(&mut command, "--keys", &KEYS);
        value(&mut command, "--warm-up", &work.warm_up.as_secs_f64());
        value(&mut command, "--seconds", &work.duration.as_secs_f64());
        value(&mut command, "--clients-per-connection", &CLIENTS_PER_SOCKET);
        if work.kill_after.is_some() {
            value(&mut command, "--attempt-ms", &ATTEMPT_MS_OF_FAIL_OVER);
        }
        if work.kind == Kind::Reads {
            command.arg("--reads");
        }
        let processes: Vec<_> = self.children.iter().map(Child::id).collect();
        let counter = match work.kind {
            Kind::Syncs => Some(Counter::attach(&processes, place.data(), false)?),
            Kind::Updates | Kind::Reads | Kind::FailOver => None,
        };
        let mut load = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?);
        let output = load.0.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        // The first line says that the warm-up is over.
        let begun = lines.next().transpose().map_err(failed)?;
        if begun.is_none() {
            return Err(Failure::new(Exit::Runtime, "its load has ended before it began; see above"));
        }
        if let Some(after) = work.kill_after {
            thread::sleep(after);
            self.kill_leader(place)?;
        }
        let printed = lines.next().transpose().map_err(failed)?.unwrap_or_default();
        let object: Value = serde_json::from_str(&printed).unwrap_or_default();
        let outcome = Outcome::parse(&object, work.kill_after.is_some())
            .ok_or_else(|| Failure::new(Exit::Runtime, format!("its load printed '{printed}'")))?;
        Ok(outcome.with_syncs(counter.map(Counter::stop).transpose()?))
    }

    fn kill_leader(&mut self, place: &Place) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Runtime, format!("its leader cannot be killed: {error}"))
        };
        let asked = self.load(place).arg("--leader").output().map_err(|error| failed(&error))?;
        let said = String::from_utf8_lossy(&asked.stdout);
        let leader: usize = said.trim().parse().map_err(|_| failed(&"nobody says that it leads"))?;
        let child = self.children.get_mut(leader).ok_or_else(|| failed(&"there is no such server"))?;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| failed(&error))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for mut child in self.children.drain(..) {
            // One that has ended already cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A load. Dropping it kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
