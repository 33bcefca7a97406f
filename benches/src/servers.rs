//! Servers of Leasehold for an experiment, each a process of its own, none of which outlives it.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster::client::Destination;
use cluster::config::NodeConfig;
use cluster::data;
use cluster::exit::{Exit, Failure};
use cluster::network::free_addresses;
use cluster::node::GROUP;
use cluster::secure::FreshKeys;
use tempfile::TempDir;

use crate::node::STAND;

/// How servers are started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// How many.
    pub(crate) servers: u8,
    /// Whether they authenticate and encrypt what they say.
    pub(crate) keys: bool,
    /// Lines of TOML for the configuration of each.
    pub(crate) settings: String,
}

/// The processes. Dropping them kills them; if this program itself is killed, they see their standard input close.
pub(crate) struct Servers {
    addresses: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
    directory: TempDir,
    /// None if they say everything openly.
    keys: Option<FreshKeys>,
}

impl Servers {
    /// Starts all of them, with their data in a new directory in `within`.
    pub(crate) fn start(setup: &Setup, within: &Path) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("leasehold-")
            .tempdir_in(within)
            .map_err(|error| failure("a temporary directory", &error))?;
        let addresses = free_addresses(setup.servers.into())
            .map_err(|error| failure("UDP ports on 127.0.0.1", &error))?;
        let keys = setup.keys.then(|| FreshKeys::write(directory.path(), setup.servers, "load"));
        let keys = keys.transpose().map_err(|error| Failure::new(Exit::Runtime, error))?;
        let children = (0..setup.servers).map(|_| None).collect();
        let mut servers = Self { addresses, children, directory, keys };
        for server in 0..setup.servers {
            let path = servers.config_path(server);
            fs::write(&path, servers.config(server, &setup.settings))
                .map_err(|error| failure(&path.display().to_string(), &error))?;
            let config = NodeConfig::load(&path).map_err(|error| Failure::new(Exit::Runtime, error))?;
            data::init(&config).map_err(|error| Failure::new(error.exit(), error))?;
            servers.launch(server)?;
        }
        Ok(servers)
    }

    fn config_path(&self, server: u8) -> PathBuf {
        self.directory.path().join(format!("{server}.toml"))
    }

    fn config(&self, server: u8, settings: &str) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        let head = format!("{settings}\nserver = {server}\ndata = \"{server}\"\nservers = {addresses:?}\n");
        // Keys last: they end in a table of TOML.
        let insecure = || "insecure = true\n".into();
        head + &self.keys.as_ref().map_or_else(insecure, |keys| keys.settings(server))
    }

    /// Starts a server that does not run.
    pub(crate) fn launch(&mut self, server: u8) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| failure("this program's own path", &error))?;
        let child = Command::new(program)
            .arg("node")
            .arg(self.config_path(server))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| failure(&format!("the process of server {server}"), &error))?;
        self.children[usize::from(server)] = Some(child);
        Ok(())
    }

    /// Kills a server as a power failure would (SIGKILL).
    pub(crate) fn kill(&mut self, server: u8) -> Result<(), Failure> {
        let Some(mut child) = self.children[usize::from(server)].take() else { return Ok(()) };
        child
            .kill()
            .and_then(|()| child.wait())
            .map(drop)
            .map_err(|error| failure(&format!("the process of server {server}"), &error))
    }

    /// The process numbers of those that run.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        self.children.iter().flatten().map(Child::id).collect()
    }

    /// Has a server stand for election, whoever leads.
    pub(crate) fn stand(&mut self, server: u8) -> Result<(), Failure> {
        let child = self.children[usize::from(server)].as_mut();
        let Some(input) = child.and_then(|child| child.stdin.as_mut()) else { return Ok(()) };
        writeln!(input, "{STAND}").map_err(|error| failure(&format!("the ear of server {server}"), &error))
    }

    /// Where a client finds them, and its keys.
    pub(crate) fn destination(&self) -> Result<Destination, Failure> {
        let config =
            NodeConfig::load(&self.config_path(0)).map_err(|error| Failure::new(Exit::Runtime, error))?;
        let key = self.keys.as_ref().map(FreshKeys::client);
        let credentials =
            config.client_credentials(key.as_deref()).map_err(|error| Failure::new(Exit::Runtime, error))?;
        Ok(Destination {
            cluster: config.cluster,
            group: GROUP,
            datagram_bytes: config.datagram_bytes(),
            servers: config.servers,
            credentials,
        })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for mut child in self.children.drain(..).flatten() {
            // One that has ended already cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn failure(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Runtime, format!("cannot have {what}: {error}"))
}
