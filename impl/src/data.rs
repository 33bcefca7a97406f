//! A server's data directory: begun once, when the server is new, and begun anew when what it held is lost.
//!
//! A disk has an *incarnation*: 0 for a server's first, and for a later one a number above those of all earlier ones. With
//! how often the server was started on the disk it makes a [`Life`], which every datagram carries: whoever has heard of a
//! later life of a server hears no earlier one.
//!
//! A disk that is gone cannot say which incarnation it was. The time of the day in milliseconds can: it is above those of all
//! earlier disks, unless the clock was set back. It need not be trusted, for the other servers durably note incarnations:
//! one that is not above theirs is not heard, and the server ends and says above which it must be begun.

use std::path::PathBuf;

pub(crate) mod groups;

use thiserror::Error;

use spec::{ConfigError, Incarnation};

use crate::config::NodeConfig;
use crate::exit::Exit;
use crate::life::Life;
use crate::log::{self, Log, LogError, examine};
pub use groups::GroupsError;

/// Why a directory was not begun. Nothing was changed.
#[derive(Debug, Error)]
pub enum BeginError {
    /// The configuration is not a safe one.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// The directory cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The number of groups cannot be noted.
    #[error(transparent)]
    Groups(#[from] GroupsError),
    /// There is nobody to recover from.
    #[error(
        "the cluster has one server only, so nobody else knows what was on its disk: there is nothing to recover from. \
         `cluster init` with another `cluster` id, after moving the directory away, begins a new and empty cluster"
    )]
    Alone,
    /// No incarnation is left.
    #[error("the incarnation would be {0}, and the highest is {max}: is --above right?", max = Life::INCARNATION_MAX)]
    TooHigh(Incarnation),
    /// The log says what the server promised.
    #[error(
        "data directory {}: the server can start from its log, which has {records} records. Nothing was changed. Only where \
         the server says that it was set back (an old backup, say) give --force as well",
        path.display()
    )]
    Whole {
        /// The directory.
        path: PathBuf,
        /// How many records there are.
        records: usize,
    },
}

impl BeginError {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::TooHigh(_) => Exit::Usage,
            Self::Log(error) => Exit::of_log(error),
            Self::Groups(error) => error.exit(),
            Self::Alone | Self::Whole { .. } => Exit::Runtime,
        }
    }
}

/// Begins the data directory of a server that never ran: it may vote as soon as it is started. Once in its life, or it
/// forgets what it promised.
///
/// # Errors
/// If the configuration is not a safe one, there is a log already, or the disk fails.
pub fn init(config: &NodeConfig) -> Result<(), BeginError> {
    config.protocol()?;
    Log::create(&config.data, identity(config), 0)?;
    Ok(groups::hold_to(&config.data, config.groups, true)?)
}

/// How a lost disk is begun anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recover {
    /// The least incarnation: the time in milliseconds, or more.
    pub at_least: Incarnation,
    /// Also where the server could start from its log.
    pub force: bool,
}

/// What a lost disk was begun anew with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The new disk's incarnation.
    pub incarnation: Incarnation,
    /// Where the old directory is now; none if it held nothing.
    pub set_aside: Option<PathBuf>,
}

/// Begins another disk for a server that lost its own: once it is started it asks every other server what the lost one
/// promised and voted for, and takes part in nothing before all have told. What is left of the old one is kept.
///
/// # Errors
/// If there is nothing to recover from or to recover, the directory is another server's or in use, or the disk fails.
pub fn recover(config: &NodeConfig, recover: Recover) -> Result<Recovered, BeginError> {
    config.protocol()?;
    if config.servers.len() < 2 {
        return Err(BeginError::Alone);
    }
    let incarnation =
        recover.at_least.max(1).max(former_incarnation(config, recover.force)?.saturating_add(1));
    if incarnation > Life::INCARNATION_MAX {
        return Err(BeginError::TooHigh(incarnation));
    }
    let set_aside = log::set_aside(&config.data)?;
    Log::create(&config.data, identity(config), incarnation)?;
    groups::hold_to(&config.data, config.groups, true)?;
    Ok(Recovered { incarnation, set_aside })
}

/// The incarnation that is left in the old directory.
fn former_incarnation(config: &NodeConfig, force: bool) -> Result<Incarnation, BeginError> {
    if !config.data.is_dir() {
        return Ok(0);
    }
    let found = examine(&config.data)?;
    let own = identity(config);
    if let Some(other) = found.identity.filter(|&identity| identity != own) {
        let path = config.data.clone();
        return Err(LogError::WrongIdentity { path, found: other, expected: own }.into());
    }
    if found.problem.is_none() && found.identity.is_some() && !force {
        let path = config.data.clone();
        return Err(BeginError::Whole { path, records: found.records.len() });
    }
    Ok(found.incarnation)
}

fn identity(config: &NodeConfig) -> log::Identity {
    log::Identity { cluster: config.cluster, server: config.server }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const WHEN: Recover = Recover { at_least: 1_000, force: false };

    fn config(data: &std::path::Path, server: u8) -> NodeConfig {
        let addresses = (1..4).map(|port| ([127, 0, 0, 1], port).into()).collect();
        NodeConfig::new(server, data.join("data"), addresses)
    }

    fn open(config: &NodeConfig) -> Result<log::Recovery, LogError> {
        Log::open(&config.data, identity(config)).map(|(_, recovery)| recovery)
    }

    #[test]
    fn a_server_without_a_log_is_refused_until_init_or_recover_began_one() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), 1);
        let error = open(&config).unwrap_err();
        assert_eq!(error.exit_code(), 22);
        assert!(!config.data.exists(), "{error}");
        fs::create_dir(&config.data).unwrap();
        assert!(matches!(open(&config), Err(LogError::NotBegun { .. })), "an emptied directory");
        init(&config).unwrap();
        let found = open(&config).unwrap();
        assert_eq!((found.boots, found.incarnation, found.position), (1, 0, 0));
        let again = init(&config).unwrap_err();
        assert!(matches!(again, BeginError::Log(LogError::Begun { .. })), "{again}");
    }

    #[test]
    fn an_initialisation_that_a_crash_cut_short_is_done_again() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), 1);
        fs::create_dir(&config.data).unwrap();
        for remains in [&[][..], &[0; 64]] {
            let segment = config.data.join("00000001.log");
            fs::write(&segment, remains).unwrap();
            assert!(matches!(open(&config), Err(LogError::NotBegun { .. })));
            init(&config).unwrap();
            open(&config).unwrap();
            fs::remove_file(segment).unwrap();
        }
    }

    #[test]
    fn a_lost_disk_is_begun_anew_with_a_higher_life_and_what_is_left_of_it_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), 1);
        let recovered = recover(&config, WHEN).unwrap();
        assert_eq!((recovered.incarnation, recovered.set_aside), (1_000, None), "nothing was there");
        for _ in 0..5 {
            open(&config).unwrap();
        }
        let mut lives = vec![Life::new(1_000, 5)];
        for number in 1..4 {
            let segment = config.data.join("00000001.log");
            let mut bytes = fs::read(&segment).unwrap();
            let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
            bytes[end - 40] ^= 1; // Nothing behind it says what is lost.
            fs::write(&segment, &bytes).unwrap();
            let recovered = recover(&config, WHEN).unwrap();
            let aside = recovered.set_aside.unwrap();
            assert_eq!(fs::read(aside.join("00000001.log")).unwrap(), bytes, "{number}");
            let found = open(&config).unwrap();
            assert_eq!((found.boots, found.incarnation, found.records), (1, recovered.incarnation, vec![]));
            lives.push(Life::new(found.incarnation, found.boots));
        }
        assert!(lives.is_sorted_by(|one, other| one < other), "{lives:?}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4);
    }

    #[test]
    fn only_a_server_that_lost_its_own_disk_recovers_and_only_from_others() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), 1);
        init(&config).unwrap();
        assert!(matches!(recover(&config, WHEN), Err(BeginError::Whole { records: 0, .. })));
        let other = NodeConfig { server: 2, ..config.clone() };
        let error = recover(&other, Recover { force: true, ..WHEN }).unwrap_err();
        assert!(matches!(error, BeginError::Log(LogError::WrongIdentity { .. })), "{error}");
        let log = Log::open(&config.data, identity(&config)).unwrap();
        let error = recover(&config, Recover { force: true, ..WHEN }).unwrap_err();
        assert!(matches!(error, BeginError::Log(LogError::Locked { .. })), "{error}");
        drop(log);
        assert!(recover(&config, Recover { force: true, ..WHEN }).unwrap().set_aside.is_some());
        let alone = NodeConfig { server: 0, servers: config.servers[..1].to_vec(), ..config.clone() };
        let beyond = Recover { at_least: Life::INCARNATION_MAX + 1, force: true };
        assert!(matches!(recover(&config, beyond), Err(BeginError::TooHigh(_))));
        assert!(matches!(recover(&alone, WHEN), Err(BeginError::Alone)));
    }
}
