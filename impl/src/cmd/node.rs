//! `cluster node`: one server in the foreground.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use clap::Args;
use cluster::config::NodeConfig;
use cluster::driver::Stopped;
use cluster::exit::{Exit, Failure};
use cluster::kv::Store;
use cluster::node::Node;
use tracing::info;

/// How often a node looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const EXAMPLE: &str = "\
A configuration file:
  server = 0                  # this server's index in `servers`
  data = \"data/0\"             # relative to this file
  servers = [\"127.0.0.1:7000\", \"127.0.0.1:7001\", \"127.0.0.1:7002\"]
  key = \"server-0.key\"        # made by `cluster keygen`, which says more
  secret = \"cluster.secret\"
  server_keys = [\"public:…\", \"public:…\", \"public:…\"]
  # or, for servers on loopback addresses only, instead of the keys: insecure = true
  # and with their defaults:
  cluster = 1                 # datagrams of another cluster are dropped
  lease_ms = 600              # 0: no leases, every read asks a quorum
  renew_ms = 200              # how often the leader renews its lease; a third of lease_ms
  drift_ppm = 10000           # how much faster one clock may run than another
  window = 1024               # updates under way at once
  window_bytes = 327680
  waiting = 16384             # requests that may wait at one server
  sessions = 16384            # client sessions that are kept; the same at every server
  datagram_bytes = 1400       # 16384 if all servers are on loopback addresses
  page_public = false         # whether the status page may be served beyond this machine
  page_hosts = []             # names under which it may be asked for
  # and, without a default, the address of a status page:
  page = \"127.0.0.1:8000\"

Examples:
  cluster init --config 0.toml      once, before the first start
  cluster node --config 0.toml
  cluster node --config 0.toml --log-format json --log-level warn";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    logging: super::log::Logging,
    /// End when standard input closes: for a parent that must leave no server behind
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = NodeConfig::load(&arguments.config).map_err(|error| Failure::new(Exit::Usage, error))?;
    arguments.logging.start();
    let interrupted = super::on_interrupt()?;
    let parent_gone = Arc::new(AtomicBool::new(false));
    if arguments.until_stdin_closes {
        watch_stdin(Arc::clone(&parent_gone));
    }
    let server = config.server;
    let node = Node::start_groups(
        &config,
        |group| Store::part(group, config.groups),
        move |notice| {
            super::log::write(server, notice);
        },
    )
    .map_err(|error| Failure::new(error.exit(), format!("server {server}: {error}")))?;
    info!(server, what = "serving", address = %node.address(), "server {server}: serving on {}", node.address());

    while !node.is_finished() && !parent_gone.load(Ordering::Relaxed) {
        match interrupted.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    node.stop().map_err(|error| {
        let exit = match error {
            Stopped::Disk(_) => Exit::Disk,
            Stopped::Diverged(_) => Exit::DamagedData,
            Stopped::Superseded(_) => Exit::RecoverNeeded,
            Stopped::Network(_) | Stopped::State(_) => Exit::Runtime,
        };
        Failure::new(exit, format!("server {server}: {error}"))
    })?;
    info!(server, what = "stopped", "server {server}: stopped");
    Ok(Exit::Done)
}

fn watch_stdin(gone: Arc<AtomicBool>) {
    thread::spawn(move || {
        // Nothing is ever written to it: reading ends when the other end is closed, however that came about.
        let _ = std::io::stdin().read(&mut [0]);
        gone.store(true, Ordering::Relaxed);
    });
}
