//! The systems: what each is, and where it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use cluster::config::NodeConfig;
use cluster::exit::{Exit, Failure};
use rustix::fs::statfs;

use super::others::{self, Other};
use super::ours;
use super::work::{Outcome, Work};

/// How many servers each system has.
pub(super) const SERVERS: u8 = 3;
/// The lock of the peers' own workspace, for their versions.
const LOCK: &str = include_str!("../../peers/Cargo.lock");
/// What `statfs` calls file systems that are in memory.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6]; // tmpfs, ramfs

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum System {
    /// This cluster, without keys, as none of the others authenticates or encrypts
    Leasehold,
    /// This cluster as it should be used: every datagram is authenticated and encrypted
    LeaseholdKeys,
    /// etcd, as it comes from the distribution
    Etcd,
    /// The crate openraft
    Openraft,
    /// The crate omnipaxos
    Omnipaxos,
}

impl System {
    pub(super) const ALL: [Self; 5] =
        [Self::Leasehold, Self::LeaseholdKeys, Self::Etcd, Self::Openraft, Self::Omnipaxos];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leasehold => "leasehold",
            Self::LeaseholdKeys => "leasehold, keys",
            Self::Etcd => "etcd",
            Self::Openraft => "openraft",
            Self::Omnipaxos => "omnipaxos",
        }
    }

    /// Whether its servers and clients authenticate and encrypt what they say.
    pub(super) fn authenticated(self) -> bool {
        self == Self::LeaseholdKeys
    }

    /// What its log is, and when it is synced.
    pub(super) fn storage(self) -> &'static str {
        match self {
            Self::Leasehold | Self::LeaseholdKeys => {
                "its own log in files filled with zeros; one write with O_DSYNC, past the page cache, for all that came in, before every acknowledgement"
            }
            Self::Etcd => {
                "its own write-ahead log; fdatasync before every acknowledgement, one for all that came in"
            }
            Self::Openraft => {
                "a plain log in a file filled with zeros; fdatasync before every acknowledgement; all that came in is one entry of the log"
            }
            Self::Omnipaxos => {
                "omnipaxos_storage (RocksDB), whose every write is synced; all that came in is one entry of the log"
            }
        }
    }

    /// How it is set, where that matters.
    pub(super) fn settings(self) -> String {
        let others = match self {
            Self::Leasehold | Self::LeaseholdKeys => {
                let NodeConfig { lease_ms, window, .. } = NodeConfig::new(0, PathBuf::new(), Vec::new());
                return format!(
                    "defaults: lease {lease_ms} ms, window {window}; reads by the leader under its lease; UDP"
                );
            }
            Self::Etcd => "defaults: heartbeat 100 ms, election 1000 ms; reads by ReadIndex; gRPC",
            Self::Openraft => {
                "defaults: heartbeat 50 ms, election 150 to 300 ms; reads by ensure_linearizable, shared by those that wait; TCP, bincode"
            }
            Self::Omnipaxos => {
                "tick 10 ms, election timeout 10 ticks; reads are entries of the log, as in its examples; TCP, bincode"
            }
        };
        others.into()
    }

    /// Its version; asks a program that is installed.
    pub(super) fn version(self) -> Result<String, Failure> {
        match self {
            Self::Leasehold | Self::LeaseholdKeys => Ok(env!("CARGO_PKG_VERSION").into()),
            Self::Etcd => etcd_version(),
            Self::Openraft => Ok(locked("openraft")),
            Self::Omnipaxos => Ok(format!(
                "{}, omnipaxos_storage {}, {}",
                locked("omnipaxos"),
                locked("omnipaxos_storage"),
                others::rocksdb()
            )),
        }
    }

    /// Starts servers with empty data, has the work done, and stops them.
    pub(super) fn measure(self, work: &Work, place: &Place) -> Result<Outcome, Failure> {
        match self {
            Self::Leasehold => ours::measure(work, false, place),
            Self::LeaseholdKeys => ours::measure(work, true, place),
            Self::Etcd => others::measure(Other::Etcd, work, place),
            Self::Openraft => others::measure(Other::Openraft, work, place),
            Self::Omnipaxos => others::measure(Other::Omnipaxos, work, place),
        }
    }
}

/// The version of a crate in the peers' lock.
fn locked(name: &str) -> String {
    let named = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK.split_once(&named).and_then(|(_, rest)| rest.split_once('"'));
    version.expect("the lock names what the peers depend on").0.to_owned()
}

fn etcd_version() -> Result<String, Failure> {
    let asked = Command::new(others::ETCD).arg("--version").output().map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!(
                "{} cannot be run: {error}. `bash ci/peers.sh` installs it (Debian's etcd-server); or leave it out with --only",
                others::ETCD
            ),
        )
    })?;
    let said = String::from_utf8_lossy(&asked.stdout);
    let version = said.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    version
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Exit::Runtime, format!("etcd --version says {said}")))
}

/// Where programs and data are.
#[derive(Debug)]
pub(super) struct Place {
    data: PathBuf,
    programs: PathBuf,
}

impl Place {
    /// Makes the directory for data, on a disk, and builds what the systems need.
    pub(super) fn prepare(data: Option<&Path>, systems: &[System]) -> Result<Self, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(Exit::Runtime, format!("{what}: {error}"))
        };
        let program = std::env::current_exe().map_err(|error| failed("this program's own path", &error))?;
        // It is in the directory of a profile in cargo's target directory.
        let built = program.ancestors().nth(2).expect("a program is in a directory");
        let data = data.map_or_else(|| built.join("peers-data"), Path::to_owned);
        fs::create_dir_all(&data).map_err(|error| failed(&data.display().to_string(), &error))?;
        refuse_memory(&data)?;
        let programs = built.join("peers-build");
        if systems.iter().any(|system| !matches!(system, System::Leasehold | System::LeaseholdKeys)) {
            others::build(&programs)?;
        }
        Ok(Self { data, programs })
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The path of one of the peers' programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join("release").join(name)
    }
}

/// The machine that everything was measured on.
pub(super) fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpus} CPUs ({}), Linux {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim())
}

/// What is in memory is never durable, and its figures would say nothing.
fn refuse_memory(directory: &Path) -> Result<(), Failure> {
    let kind = statfs(directory)
        .map_err(|error| Failure::new(Exit::Runtime, format!("{}: {error}", directory.display())))?;
    #[expect(clippy::cast_sign_loss, reason = "it is a number of 32 bits")]
    if IN_MEMORY.contains(&(kind.f_type as u64 & 0xffff_ffff)) {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is in memory, where nothing is durable: name a directory on a disk with --data",
                directory.display()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_crates_are_those_of_the_lock() {
        for name in ["openraft", "omnipaxos", "omnipaxos_storage"] {
            let version = locked(name);
            assert_eq!(version.split('.').count(), 3, "{name} {version}");
        }
    }

    #[test]
    fn data_in_memory_is_refused() {
        if Path::new("/dev/shm").is_dir() {
            let refused = refuse_memory(Path::new("/dev/shm")).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.message.contains("--data"), "{}", refused.message);
        }
        refuse_memory(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    }
}
