//! A log that is kept in memory only, for measuring what durability costs. **Nothing of it survives the process**, so a
//! server that uses it must never run again: it would vote as if it had promised nothing. Its data directory, which is
//! made at the start and holds nothing, keeps it from that.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use spec::{Record, Slot};
use thiserror::Error;

use crate::disk::{Disk, DiskError, SnapshotError, WrittenSnapshot};
use crate::log::Log;
use crate::payload::Payload;
use crate::snapshot::Content;

/// A group's snapshots that are kept.
const KEPT: usize = 2;

/// Why a server cannot keep its log in memory.
#[derive(Debug, Error)]
pub enum MemoryLogError {
    /// The directory is there.
    #[error(
        "data directory {}: exists, and `memory_log` is for a server that never ran: one that did has promised what it would \
         not know of. Nothing was changed. Give it a directory that does not exist", .0.display()
    )]
    Exists(PathBuf),
    /// The directory cannot be made.
    #[error("data directory {}: cannot be made: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Snapshots in memory. Records need not be kept: nobody will read them again.
#[derive(Debug, Default)]
pub struct MemoryLog {
    snapshots: BTreeMap<(u16, Slot), Vec<u8>>,
    /// Those that nobody was told of yet.
    written: VecDeque<WrittenSnapshot>,
}

impl MemoryLog {
    /// Makes the data directory, which must not exist.
    ///
    /// # Errors
    /// If it does, or cannot be made.
    pub fn begin(directory: &Path) -> Result<Self, MemoryLogError> {
        let failed = |source| MemoryLogError::Directory { path: directory.to_owned(), source };
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::create_dir(directory).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => MemoryLogError::Exists(directory.to_owned()),
            _ => failed(error),
        })?;
        Ok(Self::default())
    }
}

impl Disk for MemoryLog {
    fn append(&mut self, _: u16, _: &Record<Payload>) {}

    fn begin_sync(&mut self, _: bool) -> Result<(), DiskError> {
        Ok(())
    }

    fn end_sync(&mut self, _: bool) -> Result<bool, DiskError> {
        Ok(true)
    }

    fn buffered_bytes(&self) -> usize {
        0
    }

    fn begin_snapshot(&mut self, group: u16, content: Content) {
        self.snapshots.insert((group, content.slot()), content.encode());
        for slot in self.snapshots(group).into_iter().skip(KEPT) {
            self.snapshots.remove(&(group, slot));
        }
        self.written.push_back(WrittenSnapshot { group, content, result: Ok(()) });
    }

    fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, DiskError> {
        Ok(self.written.pop_front())
    }

    fn snapshots(&self, group: u16) -> Vec<Slot> {
        self.snapshots
            .range((group, Slot::NONE)..=(group, Slot(u64::MAX)))
            .rev()
            .map(|(&(_, slot), _)| slot)
            .collect()
    }

    fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        let unusable =
            |reason: String| SnapshotError { path: format!("{group}-{slot} in memory").into(), reason };
        let body = self.snapshots.get(&(group, slot)).ok_or_else(|| unusable("is no longer kept".into()))?;
        Content::decode(body).map_err(|error| unusable(error.to_string()))
    }
}

/// What a node keeps its records in.
#[derive(Debug)]
pub enum NodeLog {
    /// Files.
    Files(Box<Log>),
    /// Memory, for measuring.
    Memory(MemoryLog),
}

impl Disk for NodeLog {
    fn append(&mut self, group: u16, record: &Record<Payload>) {
        match self {
            Self::Files(log) => Disk::append(log.as_mut(), group, record),
            Self::Memory(log) => log.append(group, record),
        }
    }

    fn begin_sync(&mut self, overlaps: bool) -> Result<(), DiskError> {
        match self {
            Self::Files(log) => Disk::begin_sync(log.as_mut(), overlaps),
            Self::Memory(log) => log.begin_sync(overlaps),
        }
    }

    fn end_sync(&mut self, waits: bool) -> Result<bool, DiskError> {
        match self {
            Self::Files(log) => Disk::end_sync(log.as_mut(), waits),
            Self::Memory(log) => log.end_sync(waits),
        }
    }

    fn buffered_bytes(&self) -> usize {
        match self {
            Self::Files(log) => Disk::buffered_bytes(log.as_ref()),
            Self::Memory(log) => log.buffered_bytes(),
        }
    }

    fn begin_snapshot(&mut self, group: u16, content: Content) {
        match self {
            Self::Files(log) => Disk::begin_snapshot(log.as_mut(), group, content),
            Self::Memory(log) => log.begin_snapshot(group, content),
        }
    }

    fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, DiskError> {
        match self {
            Self::Files(log) => Disk::end_snapshot(log.as_mut()),
            Self::Memory(log) => log.end_snapshot(),
        }
    }

    fn snapshots(&self, group: u16) -> Vec<Slot> {
        match self {
            Self::Files(log) => Disk::snapshots(log.as_ref(), group),
            Self::Memory(log) => log.snapshots(group),
        }
    }

    fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        match self {
            Self::Files(log) => Disk::read_snapshot(log.as_ref(), group, slot),
            Self::Memory(log) => log.read_snapshot(group, slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use spec::Snapshot;

    use super::*;
    use crate::log::{self, LogError};

    #[test]
    fn a_server_that_forgot_everything_is_not_started_again_either_way() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("new");
        MemoryLog::begin(&data).unwrap();
        let said = MemoryLog::begin(&data).unwrap_err().to_string();
        assert!(said.contains("exists") && said.contains("new"), "{said}");
        let opened = Log::open(&data, log::Identity { cluster: 1, server: 0 });
        assert!(matches!(opened, Err(LogError::NotBegun { .. })));
    }

    #[test]
    fn the_latest_two_snapshots_of_each_group_are_kept() {
        let mut log = MemoryLog::default();
        let content = |slot| {
            let protocol = Snapshot { slot: Slot(slot), ..Snapshot::default() };
            Content { protocol, ..Content::default() }
        };
        for (group, slot) in [(0, 1), (1, 9), (0, 2), (0, 3)] {
            log.begin_snapshot(group, content(slot));
            let written = log.end_snapshot().unwrap().unwrap();
            assert_eq!((written.group, written.content, written.result), (group, content(slot), Ok(())));
        }
        assert!(log.end_snapshot().unwrap().is_none(), "each is told once");
        assert_eq!(log.snapshots(0), [Slot(3), Slot(2)]);
        assert_eq!(log.snapshots(1), [Slot(9)]);
        assert_eq!(log.read_snapshot(0, Slot(2)).unwrap(), content(2));
        assert!(log.read_snapshot(0, Slot(1)).unwrap_err().to_string().contains("no longer kept"));
    }
}
