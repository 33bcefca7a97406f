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
pub(crate) mod recover;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use clap::Args;
use cluster::client::{Destination, first_status};
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
    /// The servers, and how many groups they have: as their configuration says, or else one of them.
    pub(crate) fn destination_of_all_groups(self, patience: Duration) -> Result<(Destination, u16), Failure> {
        let configured = self.config.is_some();
        let (destination, groups) = self.destination_and_groups()?;
        if configured {
            return Ok((destination, groups));
        }
        let heard =
            first_status(&destination, patience).map_err(|error| Failure::new(Exit::Runtime, error))?;
        match heard {
            Some(status) => Ok((destination, status.groups)),
            // Whoever asks for more will be told that nobody answers.
            None => Ok((destination, 1)),
        }
    }

    pub(crate) fn destination(self) -> Result<Destination, Failure> {
        self.destination_and_groups().map(|(destination, _)| destination)
    }

    fn destination_and_groups(self) -> Result<(Destination, u16), Failure> {
        if let Some(path) = self.config {
            let config = NodeConfig::load(&path).map_err(|error| Failure::new(Exit::Usage, error))?;
            let credentials = config
                .client_credentials(self.key.as_deref())
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
            let destination = Destination {
                cluster: config.cluster,
                group: GROUP,
                datagram_bytes: config.datagram_bytes(),
                servers: config.servers,
                credentials,
            };
            return Ok((destination, config.groups));
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
        let destination = Destination {
            cluster: self.cluster,
            group: GROUP,
            datagram_bytes: datagram_bytes_between(&self.servers),
            servers: self.servers,
            credentials: None,
        };
        Ok((destination, 1))
    }
}

/// For a command that is about one group: whatever cluster it is pointed at.
pub(crate) fn only_one_group(groups: u16, what: &str) -> Result<(), Failure> {
    if groups == 1 {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("{what} is for clusters of one group, and this one has {groups}")))
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
