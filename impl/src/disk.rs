//! Where records and snapshots are kept.

use std::path::PathBuf;

use spec::{Record, Slot};
use thiserror::Error;

use crate::log::{Log, LogError};
use crate::payload::Payload;
use crate::snapshot::Content;

/// An append-only store of records, in order, shared by all groups of a node, and each group's snapshots.
pub trait Disk {
    /// Adds a record after those added before. It may be lost until a sync that began after this is over.
    fn append(&mut self, group: u16, record: &Record<Payload>);

    /// Begins to make every record added so far durable. One sync is under way at a time; [`Disk::end_sync`] says when it is
    /// over. If it `overlaps`, the disk should work while its owner goes on, else be done when this returns; it need do neither.
    ///
    /// Afterwards the disk may forget what no restart needs, sooner or later: a
    /// [`Record::Snapshot`] comes with all that the group must keep of the records before it (see
    /// [`checkpoint`](crate::driver::checkpoint)), so what comes before the second newest may go, and so may older
    /// snapshots.
    ///
    /// # Errors
    /// [`DiskError::Full`] if there is no room: none has begun, the records wait, and it may be tried again. Any other is a
    /// failure: which records are durable is unknown then and a second try may lie, so the node acknowledges nothing more and
    /// stops.
    fn begin_sync(&mut self, overlaps: bool) -> Result<(), DiskError>;

    /// Whether the sync that was begun last is over, so that what was added before it is durable; waits for it if it `waits`.
    ///
    /// # Errors
    /// As [`Disk::begin_sync`], but there was room.
    fn end_sync(&mut self, waits: bool) -> Result<bool, DiskError>;

    /// How many bytes wait for the next sync, about.
    fn buffered_bytes(&self) -> usize;

    /// Begins to make a snapshot durable, beside those that are there. The disk should work while its owner goes on, but need
    /// not; [`Disk::end_snapshot`] says when it is over.
    fn begin_snapshot(&mut self, group: u16, content: Content);

    /// The next snapshot that is over, in the order in which they were begun; none if none is. One whose writing failed is
    /// lost, and nothing else: the snapshots that were there are, and the log goes on.
    ///
    /// # Errors
    /// If the disk failed when it was about to forget what no restart needs: the node stops.
    fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, DiskError>;

    /// The slots of the group's snapshots, whole or not, newest first.
    fn snapshots(&self, group: u16) -> Vec<Slot>;

    /// Reads a snapshot.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read.
    fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError>;
}

/// A snapshot whose writing is over.
#[derive(Debug)]
pub struct WrittenSnapshot {
    /// Whose it is.
    pub group: u16,
    /// What was to be written.
    pub content: Content,
    /// Whether it is durable, and if not, why.
    pub result: Result<(), String>,
}

/// The disk no longer does its duty.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The log could not be written.
    #[error("{0}. Nothing more is acknowledged, and this server stops")]
    Log(LogError),
    /// It is full. Nothing is lost or in doubt, and [`Disk::begin_sync`] may be tried again.
    #[error("{0}")]
    Full(String),
    /// A simulated disk failed, or its power did.
    #[error("the simulated disk failed")]
    Simulated,
}

/// A snapshot that cannot be used. It is left as it is.
#[derive(Debug, Error)]
#[error("snapshot {}: {reason}", path.display())]
pub struct SnapshotError {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl From<LogError> for DiskError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoRoom { .. } => Self::Full(error.to_string()),
            _ => Self::Log(error),
        }
    }
}

impl Disk for Log {
    fn append(&mut self, group: u16, record: &Record<Payload>) {
        Self::append(self, group, record);
    }

    fn begin_sync(&mut self, overlaps: bool) -> Result<(), DiskError> {
        Ok(Self::begin_sync(self, overlaps)?)
    }

    fn end_sync(&mut self, waits: bool) -> Result<bool, DiskError> {
        Ok(Self::end_sync(self, waits)?)
    }

    fn buffered_bytes(&self) -> usize {
        Self::buffered_bytes(self)
    }

    fn begin_snapshot(&mut self, group: u16, content: Content) {
        Self::begin_snapshot(self, group, content);
    }

    fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, DiskError> {
        Ok(Self::end_snapshot(self)?)
    }

    fn snapshots(&self, group: u16) -> Vec<Slot> {
        Self::snapshots(self, group)
    }

    fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        Self::read_snapshot(self, group, slot)
    }
}
