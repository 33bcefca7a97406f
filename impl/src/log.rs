//! The write-ahead log: what a server must not forget, in the order in which its handlers listed it.

mod error;
mod lock;

use std::fmt;
use std::path::{Path, PathBuf};

pub use error::{Damage, LogError};

use crate::payload::Payload;

/// Whose log it is. Part of every checksum, so that a block of another server's log is never taken for
/// one's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: u64,
    /// The server's id.
    pub server: u8,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} of cluster {:016x}", self.server, self.cluster)
    }
}

/// Sizes of a log's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// A segment is left for the next one before it grows beyond this, in bytes.
    pub segment_bytes: u64,
    /// Zeros are written ahead up to the next multiple of this, in bytes; 0 writes none.
    pub zero_fill_bytes: u64,
}

/// What [`Log::open`] found.
#[derive(Debug)]
pub struct Recovery {
    /// Every durable record with its group, oldest first.
    pub records: Vec<(u16, spec::Record<Payload>)>,
    /// A write that a crash cut short and that was removed.
    pub torn: Option<TornTail>,
    /// How often this directory was opened, this time included: durable, and so a server's incarnation.
    pub boots: u64,
}

/// The remains of a write that a crash cut short. It was never synced, so nothing waited for it that left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// Where the segment ends now, in bytes.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// An open log.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens the log in `dir`, or begins one there.
    pub fn open(dir: &Path, identity: Identity) -> Result<(Self, Recovery), LogError> {
        unimplemented!("{dir:?} {identity}")
    }

    /// Buffers a record.
    pub fn append(&mut self, group: u16, record: &spec::Record<Payload>) {
        unimplemented!("{group} {record:?}")
    }

    /// Makes every record that was appended so far durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        unimplemented!()
    }
}
