//! Where records are kept.

use spec::Record;
use thiserror::Error;

use crate::log::{Log, LogError};
use crate::payload::Payload;

/// An append-only store of records, in order, shared by all groups of a node.
pub trait Disk {
    /// Adds a record after those added before. It may be lost until the next [`Disk::sync`].
    fn append(&mut self, group: u16, record: &Record<Payload>);

    /// Makes every record added so far durable.
    ///
    /// # Errors
    /// If it failed. Which records are durable is unknown then and a second try may lie, so the node
    /// acknowledges nothing more and stops.
    fn sync(&mut self) -> Result<(), DiskError>;
}

/// The disk no longer does its duty, so the node stops.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The log could not be written.
    #[error("{0}. Nothing more is acknowledged, and this server stops")]
    Log(#[from] LogError),
    /// The simulated power failed.
    #[error("the power failed")]
    PowerFailure,
}

impl Disk for Log {
    fn append(&mut self, group: u16, record: &Record<Payload>) {
        Self::append(self, group, record);
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        Ok(Self::sync(self)?)
    }
}
