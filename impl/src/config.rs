//! A node's configuration file.

mod proportions;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use spec::{Config, ConfigError, ServerId, Span};
use thiserror::Error;

use crate::clock::millis;
use crate::datagram::{DATAGRAM_BYTES_DEFAULT, DATAGRAM_BYTES_LOOPBACK};
use crate::driver::SnapshotPolicy;
use crate::secure::config::{Security, SecurityError, ServerKeys, keys_of_servers, one_or_more};
use crate::secure::{Claim, ClientKeys, Credentials};
pub use proportions::Warning;

/// The cluster's id where none is given. Give clusters that could reach each other different ones.
pub const DEFAULT_CLUSTER: u64 = 1;
/// The most bytes of a datagram on a network, where nothing else is given: fits the MTU of any in use.
pub const DEFAULT_DATAGRAM_BYTES: usize = DATAGRAM_BYTES_DEFAULT;
/// The most groups that a server has.
pub const GROUPS_MAX: u16 = 64;
/// The term on which time-outs rest where leases are off.
const TERM_WITHOUT_LEASE_MS: u32 = 600;
const PARTS_PER_MILLION: i64 = 1_000_000;

/// What a node is told, as TOML. All servers of a cluster share everything but `server` and `data`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The cluster's id.
    #[serde(default = "default_cluster")]
    pub cluster: u64,
    /// This server's id: its index in `servers`, from 0.
    pub server: u8,
    /// Where this server keeps its log.
    pub data: PathBuf,
    /// The addresses of all servers, by id.
    pub servers: Vec<SocketAddr>,
    /// The address to bind, if it is not this server's in `servers`.
    pub listen: Option<SocketAddr>,
    /// The leader's lease, in milliseconds; 0 switches leases off, and every read asks a quorum. Fail-over takes
    /// one to two terms.
    #[serde(default = "default_lease_ms")]
    pub lease_ms: u32,
    /// How often the leader renews its lease, in milliseconds; every third of it if not given.
    pub renew_ms: Option<u32>,
    /// How much faster one server's clock may run than another's, in millionths.
    #[serde(default = "default_drift_ppm")]
    pub drift_ppm: u32,
    /// How many promises elect a leader; a majority if not given. Together with `phase2_quorum` more than there are
    /// servers. The same at every server.
    pub phase1_quorum: Option<u8>,
    /// How many servers must have an update on disk before it is acknowledged, and how many make a lease; a majority if not
    /// given. The same at every server.
    pub phase2_quorum: Option<u8>,
    /// How many groups each server has, from 1 to [`GROUPS_MAX`]: each orders a part of all keys. The same at every server, and as
    /// long as the cluster lives.
    #[serde(default = "default_groups", deserialize_with = "few_groups")]
    pub groups: u16,
    /// How many updates a leader may have under way at once.
    #[serde(default = "default_window")]
    pub window: usize,
    /// How many bytes of updates a leader may have under way at once.
    #[serde(default = "default_window_bytes")]
    pub window_bytes: usize,
    /// How many requests may wait at one server before it answers that it is busy.
    #[serde(default = "default_waiting")]
    pub waiting: usize,
    /// How many client sessions are kept. The same at every server, or they diverge.
    #[serde(default = "default_sessions")]
    pub sessions: usize,
    /// The most bytes of a datagram; none: see [`NodeConfig::datagram_bytes`].
    pub datagram_bytes: Option<usize>,
    /// After how many slots a snapshot of the state machine is taken.
    #[serde(default = "default_snapshot_slots")]
    pub snapshot_slots: u64,
    /// After how many bytes of updates a snapshot of the state machine is taken.
    #[serde(default = "default_snapshot_bytes")]
    pub snapshot_bytes: u64,
    /// The address of this server's status page, over HTTP; none without. Whoever can reach it can read it.
    pub page: Option<SocketAddr>,
    /// Whether the page may be served beyond this machine.
    #[serde(default)]
    pub page_public: bool,
    /// Names under which the page may be asked for, besides `localhost` and IP addresses.
    #[serde(default)]
    pub page_hosts: Vec<String>,
    /// The file of this server's private key.
    pub key: Option<PathBuf>,
    /// The file of the cluster's secret; a list while it is changed: handshakes begin with the first, all are accepted.
    #[serde(default, deserialize_with = "one_or_more")]
    pub secret: Vec<PathBuf>,
    /// The public key of each server, in the order of `servers`; a list of two while a server changes its key.
    #[serde(default, deserialize_with = "keys_of_servers")]
    pub server_keys: Vec<ServerKeys>,
    /// The clients that are let in.
    #[serde(default)]
    pub clients: Vec<ClientKeys>,
    /// Keep the log in memory, for measuring: nothing is durable, and the server must never run again.
    #[serde(default)]
    pub memory_log: bool,
    /// Do without keys: anybody who reaches the servers can read and change everything. On loopback only.
    #[serde(default)]
    pub insecure: bool,
}

fn default_cluster() -> u64 {
    DEFAULT_CLUSTER
}
fn default_lease_ms() -> u32 {
    600
}
fn default_drift_ppm() -> u32 {
    10_000
}
fn default_groups() -> u16 {
    1
}
fn few_groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let groups = u16::deserialize(deserializer)?;
    if (1..=GROUPS_MAX).contains(&groups) {
        return Ok(groups);
    }
    Err(D::Error::custom(format!("a server has 1 to {GROUPS_MAX} groups, not {groups}")))
}
fn default_window() -> usize {
    1024
}
fn default_window_bytes() -> usize {
    320 * 1024
}
fn default_waiting() -> usize {
    16 * 1024
}
fn default_sessions() -> usize {
    16 * 1024
}
fn default_snapshot_slots() -> u64 {
    SnapshotPolicy::default().slots
}
fn default_snapshot_bytes() -> u64 {
    SnapshotPolicy::default().bytes
}

/// The most bytes of a datagram to and between these servers: few on a network, whose frames limit them, many where
/// all of them are on this machine, because a datagram costs about the same whatever is in it.
#[must_use]
pub fn datagram_bytes_between(servers: &[SocketAddr]) -> usize {
    let is_local = servers.iter().all(|server| server.ip().is_loopback());
    if is_local { DATAGRAM_BYTES_LOOPBACK } else { DEFAULT_DATAGRAM_BYTES }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("configuration {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no configuration. The message names line and column.
    #[error("configuration {}: {source}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl NodeConfig {
    /// A configuration with the defaults for everything that has one, and without keys: `insecure`, and so refused
    /// on any address but loopback.
    #[must_use]
    pub fn new(server: u8, data: PathBuf, servers: Vec<SocketAddr>) -> Self {
        Self {
            cluster: default_cluster(),
            server,
            data,
            servers,
            listen: None,
            lease_ms: default_lease_ms(),
            renew_ms: None,
            drift_ppm: default_drift_ppm(),
            phase1_quorum: None,
            phase2_quorum: None,
            groups: default_groups(),
            window: default_window(),
            window_bytes: default_window_bytes(),
            waiting: default_waiting(),
            sessions: default_sessions(),
            datagram_bytes: None,
            snapshot_slots: default_snapshot_slots(),
            snapshot_bytes: default_snapshot_bytes(),
            page: None,
            page_public: false,
            page_hosts: Vec::new(),
            key: None,
            secret: Vec::new(),
            server_keys: Vec::new(),
            clients: Vec::new(),
            memory_log: false,
            insecure: true,
        }
    }

    /// The most bytes of a datagram: what is given, or what suits the servers' addresses.
    #[must_use]
    pub fn datagram_bytes(&self) -> usize {
        self.datagram_bytes.unwrap_or_else(|| datagram_bytes_between(&self.servers))
    }

    /// How many chosen values go to a server that lags in one message. Between servers on one machine as many as the window
    /// has, for with fewer it learns them slower than the others choose new ones; on a network as many as fill as many
    /// datagrams, for a message is lost with any datagram of it.
    fn values_at_once(&self) -> usize {
        self.window.saturating_mul(self.datagram_bytes()) / DATAGRAM_BYTES_LOOPBACK
    }

    /// When snapshots are taken.
    #[must_use]
    pub fn snapshots(&self) -> SnapshotPolicy {
        SnapshotPolicy { slots: self.snapshot_slots.max(1), bytes: self.snapshot_bytes.max(1) }
    }

    /// Reads a file. A relative `data` counts from the file's directory.
    ///
    /// # Errors
    /// Names the file, and the line where it is wrong.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text =
            fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| LoadError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        if let Some(directory) = path.parent() {
            config.data = directory.join(&config.data);
            config.key = config.key.map(|key| directory.join(key));
            config.secret = config.secret.into_iter().map(|secret| directory.join(secret)).collect();
        }
        Ok(config)
    }

    /// The address to bind; none if this server is not among `servers`.
    #[must_use]
    pub fn bind_address(&self) -> Option<SocketAddr> {
        self.listen.or_else(|| self.servers.get(usize::from(self.server)).copied())
    }

    /// What handshakes of this server need; none if its network is an open one. `boots`: how often it was started.
    ///
    /// # Errors
    /// Names what is missing or wrong, and where.
    pub fn credentials(&self, boots: u64) -> Result<Option<Credentials>, SecurityError> {
        self.security(self.key.as_deref())
            .credentials(Claim::Server { id: self.server, boots }, self.bind_address())
    }

    /// The same for a client that has a key of its own.
    ///
    /// # Errors
    /// As [`Self::credentials`].
    pub fn client_credentials(&self, key: Option<&Path>) -> Result<Option<Credentials>, SecurityError> {
        self.security(key).credentials(Claim::Client, None)
    }

    fn security<'a>(&'a self, key: Option<&'a Path>) -> Security<'a> {
        Security {
            cluster: self.cluster,
            servers: &self.servers,
            server_keys: &self.server_keys,
            key,
            secrets: &self.secret,
            clients: &self.clients,
            insecure: self.insecure,
        }
    }

    /// What the handlers are told.
    ///
    /// # Errors
    /// Names the first requirement that does not hold.
    pub fn protocol(&self) -> Result<Config, ConfigError> {
        let servers = u8::try_from(self.servers.len()).map_err(|_| ConfigError::Servers)?;
        if servers == 0 {
            return Err(ConfigError::Servers);
        }
        let base_ms = if self.lease_ms == 0 { TERM_WITHOUT_LEASE_MS } else { self.lease_ms };
        let mut config = Config::new(ServerId(self.server), servers, millis(i64::from(base_ms)));
        let Span(term) = config.lease_term;
        // Twice the bound: the grantor's term must cover the holder's, and rounding.
        let drift = term.saturating_mul(i64::from(self.drift_ppm)) / PARTS_PER_MILLION;
        config.grant_term = config.grant_term.max(Span(term.saturating_add(drift.saturating_mul(2))));
        if self.lease_ms == 0 {
            (config.lease_term, config.grant_term) = (Span::ZERO, Span::ZERO);
        }
        if let Some(renew_ms) = self.renew_ms.filter(|_| self.lease_ms > 0) {
            if renew_ms == 0 {
                return Err(ConfigError::RenewInterval);
            }
            config.renew_interval = millis(i64::from(renew_ms));
        }
        config.drift_ppm = self.drift_ppm;
        config.phase1_quorum = self.phase1_quorum.unwrap_or(config.phase1_quorum);
        config.phase2_quorum = self.phase2_quorum.unwrap_or(config.phase2_quorum);
        config.window = self.window;
        config.window_bytes = self.window_bytes;
        config.slots_ahead_max = config.slots_ahead_max.max((self.window as u64).saturating_mul(2));
        config.catch_up_max = config.catch_up_max.max(self.values_at_once());
        config.waiting_max = self.waiting;
        config.sessions_max = self.sessions;
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "server = 1\ndata = \"d\"\nservers = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n\
        insecure = true\n";

    #[test]
    fn what_is_not_given_has_the_documented_default() {
        let config: NodeConfig = toml::from_str(MINIMAL).unwrap();
        assert_eq!(config, NodeConfig::new(1, "d".into(), config.servers.clone()));
        assert!(config.protocol().is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = toml::from_str::<NodeConfig>(&format!("{MINIMAL}lease = 5\n")).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("`lease`"), "{error}");
    }

    #[test]
    fn a_key_that_is_mistyped_is_refused_with_its_server_and_what_is_wrong_with_it() {
        let whole = format!("public:{}", "5f".repeat(32));
        let said = |second: &str| {
            let text = format!("{MINIMAL}server_keys = [\"{whole}\", {second}]\n");
            toml::from_str::<NodeConfig>(&text).unwrap_err().to_string()
        };
        let short = said(&format!("\"{}\"", &whole[..whole.len() - 2]));
        for part in
            ["line 5", "the entry of server 1", "64 hexadecimal digits", "62 digits", "keygen --public"]
        {
            assert!(short.contains(part), "{part}: {short}");
        }
        let second = said(&format!("[\"{whole}\", \"{}\"]", whole.replacen("5f", "5g", 1)));
        assert!(second.contains("server 1") && second.contains("place 2 behind the colon"), "{second}");
        let private = said(&format!("\"{}\"", whole.replace("public", "private")));
        assert!(private.contains("this is a private key"), "{private}");
    }

    #[test]
    fn any_drift_is_covered_by_the_grant_and_no_lease_is_a_term_of_zero() {
        for (lease_ms, drift_ppm) in [(600, 0), (600, 900_000), (0, 10_000), (1, 1)] {
            let mut config: NodeConfig = toml::from_str(MINIMAL).unwrap();
            (config.lease_ms, config.drift_ppm) = (lease_ms, drift_ppm);
            let protocol = config.protocol().unwrap();
            assert_eq!(protocol.lease_term == Span::ZERO, lease_ms == 0);
            assert!(protocol.election_timeout > Span::ZERO);
        }
    }

    #[test]
    fn a_server_that_lags_is_sent_a_windows_worth_of_values_at_once_or_no_more_datagrams_than_that() {
        let values = |window, servers: &str| {
            let text = MINIMAL.replace("127.0.0.1:1\", \"127.0.0.1:2", servers);
            let config: NodeConfig = toml::from_str(&format!("window = {window}\n{text}")).unwrap();
            config.protocol().unwrap().catch_up_max
        };
        let (local, remote) = ("127.0.0.1:1\", \"127.0.0.1:2", "192.0.2.1:1\", \"192.0.2.2:1");
        assert_eq!((values(1_024, local), values(1_024, remote)), (1_024, 87));
        assert_eq!(
            (values(1, local), values(1, remote)),
            (64, 64),
            "never fewer than the protocol's default"
        );
    }

    #[test]
    fn quorums_are_majorities_unless_given_and_two_that_could_miss_each_other_are_refused() {
        let quorums = |lines: &str| {
            let config: NodeConfig = toml::from_str(&format!("{lines}{MINIMAL}")).unwrap();
            config.protocol().map(|protocol| (protocol.phase1_quorum, protocol.phase2_quorum))
        };
        assert_eq!(quorums(""), Ok((2, 2)));
        assert_eq!(quorums("phase1_quorum = 2\nphase2_quorum = 1\n"), Ok((2, 1)));
        assert_eq!(quorums("phase1_quorum = 1\nphase2_quorum = 1\n"), Err(ConfigError::Quorums));
        assert_eq!(quorums("phase2_quorum = 3\n"), Err(ConfigError::Quorums));
        assert_eq!(quorums("phase1_quorum = 0\n"), Err(ConfigError::Quorums));
    }

    #[test]
    fn there_is_one_group_unless_more_are_asked_for_and_the_line_of_a_wrong_number_is_named() {
        let groups = |line: &str| {
            toml::from_str::<NodeConfig>(&format!("{line}{MINIMAL}")).map(|config| config.groups)
        };
        assert_eq!((groups(""), groups("groups = 5\n")), (Ok(1), Ok(5)));
        for wrong in [0, 65] {
            let error = groups(&format!("groups = {wrong}\n")).unwrap_err().to_string();
            assert!(error.contains("line 1") && error.contains("1 to 64 groups"), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_not_in_the_list_is_refused() {
        let mut config: NodeConfig = toml::from_str(MINIMAL).unwrap();
        config.server = 2;
        assert_eq!(config.bind_address(), None);
        assert_eq!(config.protocol(), Err(ConfigError::NotAMember));
    }
}
