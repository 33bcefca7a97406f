//! The `cluster` command: what its subcommands share.

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

use clap::Args;
use cluster::client::Destination;
use cluster::config::{DEFAULT_CLUSTER, NodeConfig, datagram_bytes_between};
use cluster::exit::{Exit, Failure};
use cluster::node::GROUP;
use cluster::secure::config::SecurityError;

/// The version of every `--json` output.
pub(crate) const JSON_SCHEMA: u32 = 1;

/// How clients find the servers.
#[derive(Args, Debug)]
pub(crate) struct Servers {
    /// The servers' addresses, with commas between them
    #[arg(long, value_delimiter = ',', env = "CLUSTER_SERVERS", value_name = "ADDRESS,…")]
    servers: Vec<SocketAddr>,
    /// Take the servers' addresses, keys and all else from a configuration file
    #[arg(long, env = "CLUSTER_CONFIG", value_name = "FILE", conflicts_with_all = ["servers", "cluster"])]
    config: Option<PathBuf>,
    /// The file of the client's private key, for a cluster that has keys (with `--config`)
    #[arg(long, env = "CLUSTER_KEY", value_name = "FILE", requires = "config")]
    key: Option<PathBuf>,
    /// The cluster's id
    #[arg(long, default_value_t = DEFAULT_CLUSTER, value_name = "ID")]
    cluster: u64,
}

impl Servers {
    pub(crate) fn destination(self) -> Result<Destination, Failure> {
        if let Some(path) = self.config {
            let config = NodeConfig::load(&path).map_err(|error| Failure::new(Exit::Usage, error))?;
            let credentials = config
                .client_credentials(self.key.as_deref())
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
            return Ok(Destination {
                cluster: config.cluster,
                group: GROUP,
                datagram_bytes: config.datagram_bytes(),
                servers: config.servers,
                credentials,
            });
        }
        if self.servers.is_empty() {
            let message = "no servers given: use --servers ADDRESS,…, --config FILE or CLUSTER_SERVERS";
            return Err(Failure::new(Exit::Usage, message));
        }
        if let Some(&address) = self.servers.iter().find(|address| !address.ip().is_loopback()) {
            let message =
                format!("{}; then use --config FILE --key FILE", SecurityError::NotLoopback(address));
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(Destination {
            cluster: self.cluster,
            group: GROUP,
            datagram_bytes: datagram_bytes_between(&self.servers),
            servers: self.servers,
            credentials: None,
        })
    }
}

/// Lets Ctrl-C, SIGTERM and SIGHUP arrive as a message, so that whoever waits can clean up.
pub(crate) fn on_interrupt() -> Result<Receiver<()>, Failure> {
    let (interrupted, receiver) = mpsc::channel();
    ctrlc::set_handler(move || {
        // If nobody listens any more, the program is ending anyway.
        let _ = interrupted.send(());
    })
    .map_err(|error| Failure::new(Exit::Runtime, format!("cannot handle Ctrl-C: {error}")))?;
    Ok(receiver)
}
