//! Why a driver stops, and why a group cannot be started.

use std::io;

use spec::{ConfigError, Slot};
use thiserror::Error;

use super::{Diverged, Superseded};
use crate::disk::DiskError;
use crate::state_machine::NotASnapshot;

/// Why a driver can go on no more.
#[derive(Debug, Error)]
pub enum Stopped {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The socket failed.
    #[error("the socket can receive no more: {0}")]
    Network(#[from] io::Error),
    /// The state machine does not take a snapshot.
    #[error("the state machine does not take a snapshot that is whole: {0}. Start the program that wrote it")]
    State(#[from] NotASnapshot),
    /// The state machine's copies are not alike.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// This server has forgotten something that it promised or voted for.
    #[error(transparent)]
    Superseded(#[from] Superseded),
}

/// Why a group cannot be started.
#[derive(Debug, Error)]
pub enum GroupError {
    /// The configuration is not a safe one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the disk held is lost, and no other server could know it.
    #[error(
        "group {group} has lost what its disk held for slots up to {slot}: votes in its log, or a snapshot that is missing \
         or cannot be read ({alarms}). There is no other server that could know what was chosen there. Nothing was sent"
    )]
    Lost {
        /// The group.
        group: u16,
        /// The highest slot for which something may be lost.
        slot: Slot,
        /// What is wrong with its snapshots.
        alarms: String,
    },
    /// The state machine does not take the snapshot.
    #[error("the state machine does not take a snapshot that is whole: {0}. Start the program that wrote it")]
    State(#[from] NotASnapshot),
}
