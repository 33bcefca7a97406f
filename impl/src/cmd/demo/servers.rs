//! Server processes for a demo or a measurement, none of which outlives it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster::config::NodeConfig;
use cluster::data;
use cluster::exit::{Exit, Failure};
use cluster::network::free_addresses;
use cluster::secure::FreshKeys;
use tempfile::TempDir;

/// The processes. Dropping them kills them; if this program itself is killed, they see their standard input
/// close and end.
pub(crate) struct Servers {
    addresses: Vec<SocketAddr>,
    pages: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
    directory: TempDir,
    /// None if the servers do without.
    keys: Option<FreshKeys>,
}

impl Servers {
    /// Starts so many servers, with keys or `insecure`; `settings` are lines for the configuration of each.
    pub(crate) fn start(count: u8, settings: &str, insecure: bool) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("cluster-")
            .tempdir()
            .map_err(|error| failure("a temporary directory", &error))?;
        let addresses =
            free_addresses(count.into()).map_err(|error| failure("UDP ports on 127.0.0.1", &error))?;
        let pages =
            free_addresses(count.into()).map_err(|error| failure("TCP ports on 127.0.0.1", &error))?;
        let children = (0..count).map(|_| None).collect();
        let keys = (!insecure).then(|| FreshKeys::write(directory.path(), count, "demo"));
        let keys = keys.transpose().map_err(|error| Failure::new(Exit::Runtime, error))?;
        let mut servers = Self { addresses, pages, children, directory, keys };
        for server in 0..count {
            let path = servers.config_path(server);
            fs::write(&path, settings.to_owned() + &servers.config(server))
                .map_err(|error| failure(&path.display().to_string(), &error))?;
            let config = NodeConfig::load(&path).map_err(|error| Failure::new(Exit::Runtime, error))?;
            if !config.memory_log {
                data::init(&config).map_err(|error| Failure::new(error.exit(), error))?;
            }
            servers.launch(server)?;
        }
        Ok(servers)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The private key of a client of theirs, if they have keys.
    pub(crate) fn client_key(&self) -> Option<PathBuf> {
        self.keys.as_ref().map(FreshKeys::client)
    }

    /// The addresses of the servers' status pages.
    pub(crate) fn pages(&self) -> &[SocketAddr] {
        &self.pages
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process numbers of those that run, by server.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        self.children.iter().flatten().map(Child::id).collect()
    }

    pub(crate) fn config_path(&self, server: u8) -> PathBuf {
        self.directory.path().join(format!("{server}.toml"))
    }

    fn config(&self, server: u8) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(|address| format!("\"{address}\"")).collect();
        let (addresses, page) = (addresses.join(", "), self.pages[usize::from(server)]);
        // Keys last: they end in a table of TOML.
        let insecure = || "insecure = true\n".into();
        let keys = self.keys.as_ref().map_or_else(insecure, |keys| keys.settings(server));
        format!("server = {server}\ndata = \"{server}\"\nservers = [{addresses}]\npage = \"{page}\"\n{keys}")
    }

    /// Starts a server that is not running.
    pub(crate) fn launch(&mut self, server: u8) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| failure("this program's own path", &error))?;
        let child = Command::new(program)
            .args(["node", "--until-stdin-closes", "--config"])
            .arg(self.config_path(server))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| failure(&format!("the process of server {server}"), &error))?;
        self.children[usize::from(server)] = Some(child);
        Ok(())
    }

    /// Takes a server's disk away with all that it holds.
    pub(crate) fn wipe(&self, server: u8) -> Result<(), Failure> {
        let data = self.directory.path().join(server.to_string());
        fs::remove_dir_all(&data).map_err(|error| failure(&format!("{} removed", data.display()), &error))
    }

    /// Runs one of this program's commands for a server that is down, and says how it ended.
    pub(crate) fn run(&self, command: &str, server: u8) -> Result<Option<i32>, Failure> {
        let program = std::env::current_exe().map_err(|error| failure("this program's own path", &error))?;
        let status = Command::new(program)
            .args([command, "--config"])
            .arg(self.config_path(server))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| failure(&format!("`cluster {command}`"), &error))?;
        Ok(status.code())
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

    /// Whether no server has ended of itself with an error.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for (server, child) in self.children.iter_mut().enumerate() {
            // One that was interrupted together with the demo has ended well.
            let ended = child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended.filter(|status| !status.success()) {
                return Err(Failure::new(Exit::Runtime, format!("server {server} has ended: {status}")));
            }
        }
        Ok(())
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
