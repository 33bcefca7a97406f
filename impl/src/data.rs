//! A server's data directory, which is begun once, when the server is new.

pub(crate) mod groups;

use thiserror::Error;

use spec::ConfigError;

use crate::config::NodeConfig;
use crate::exit::Exit;
use crate::log::{self, Log, LogError};
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
}

impl BeginError {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) => Exit::Usage,
            Self::Log(error) => Exit::of_log(error),
            Self::Groups(error) => error.exit(),
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

fn identity(config: &NodeConfig) -> log::Identity {
    log::Identity { cluster: config.cluster, server: config.server }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
}
