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
    /// Votes are lost that no other server knows of.
    #[error(
        "the log of group {group} is damaged: votes for slots up to {slot} are lost, and there is no other server that could \
         know what was chosen there. Nothing was sent"
    )]
    Lost {
        /// The group.
        group: u16,
        /// The highest slot that a lost vote may be for.
        slot: Slot,
    },
    /// The log begins with a snapshot that cannot be read.
    #[error(
        "the log of group {group} begins above slot {slot}, where a snapshot belongs that cannot be read ({alarms}), \
         and no other server of the group could have one. Nothing was sent or changed"
    )]
    Compacted {
        /// The group.
        group: u16,
        /// The last slot that the snapshot stands for.
        slot: Slot,
        /// What is wrong with its snapshots.
        alarms: String,
    },
    /// The state machine does not take the snapshot.
    #[error("the state machine does not take a snapshot that is whole: {0}. Start the program that wrote it")]
    State(#[from] NotASnapshot),
}
