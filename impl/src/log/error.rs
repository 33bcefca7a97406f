//! Why the log could not be opened or written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Identity;

/// What is wrong where a part of the log is not what was durable once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// The frame or header fails its checksum and something whole follows it.
    BeforeWholeRecords,
    /// The frame fails its checksum, is the last one, and shows no sign of a write that was cut short.
    MayBeAcknowledged,
    /// The frame fails its checksum, and a later segment exists.
    BeforeLaterSegment,
    /// The segment's header fails its checksum or is missing.
    Header,
    /// Whole, but not the continuation of what comes before it.
    Chain,
    /// Whole, but no record of this format.
    Undecodable,
    /// The segment's file is not there, and a later one is.
    SegmentMissing,
}

impl Damage {
    /// A short name that does not change, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeWholeRecords => "before-whole-records",
            Self::MayBeAcknowledged => "may-be-acknowledged",
            Self::BeforeLaterSegment => "before-later-segment",
            Self::Header => "header",
            Self::Chain => "chain",
            Self::Undecodable => "undecodable",
            Self::SegmentMissing => "segment-missing",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeWholeRecords => {
                "fails its checksum, and later records are whole, so this is damage and not a torn write"
            }
            Self::MayBeAcknowledged => {
                "fails its checksum although all of it was written, so this is damage and not a torn write, \
                 and the record may have been acknowledged"
            }
            Self::BeforeLaterSegment => {
                "fails its checksum, and a later segment exists, so this is damage and not a torn write"
            }
            Self::Header => "cannot be reached, because the segment's header fails its checksum",
            Self::Chain => {
                "is not the one that follows here: a block is stale or comes from elsewhere, or what stood \
                 before it is lost"
            }
            Self::Undecodable => "is whole, but is no record of this format",
            Self::SegmentMissing => {
                "cannot be reached, because the segment is missing and a later one is there"
            }
        })
    }
}

/// Why the log could not be opened or written. Nothing was changed, except where a write failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// What was durable once is no longer what was written.
    #[error(
        "log segment {}, offset {}: record {} {damage}. Nothing whole behind it says what was promised there, so this \
         server must not vote, and nothing was changed. If the other servers are well, run `cluster recover`: it asks all \
         of them. Never start the server with an empty disk under its id: it may have voted",
        path.display(), grouped(*offset), grouped(*record)
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in the segment the damage begins, in bytes.
        offset: u64,
        /// The number of the first record that cannot be read, counted from 1 over the whole log.
        record: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// There is no log.
    #[error(
        "data directory {}: holds no log. Nothing was changed. If this server never ran, `cluster init --config FILE` \
         makes it one that may vote. If it did, what it has promised and voted for is lost, and it must not vote as if it were \
         new: is the disk mounted, is `data` right in the configuration? If it is lost for good, `cluster recover \
         --config FILE` begins another", path.display()
    )]
    NotBegun {
        /// The directory.
        path: PathBuf,
    },
    /// There is a log where one should be begun.
    #[error(
        "data directory {}: holds a log already, or what belongs to one ({}). Nothing was changed. Start the server; a new \
         one gets a directory of its own", path.display(), found.display()
    )]
    Begun {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: PathBuf,
    },
    /// Another release wrote this log.
    #[error(
        "log segment {}, offset 8: format version {found}, and this program reads version {supported}. \
         Nothing was changed. Start the release that wrote it",
        path.display()
    )]
    OtherVersion {
        /// The segment.
        path: PathBuf,
        /// The version in the segment's header.
        found: u32,
        /// The version that this program reads.
        supported: u32,
    },
    /// The directory belongs to another cluster or another server.
    #[error(
        "log segment {}: written by {found}, and this is {expected}. Taking another server's votes for one's \
         own breaks agreement, so nothing was read. Correct the directory or the ids in the configuration",
        path.display()
    )]
    WrongIdentity {
        /// The segment.
        path: PathBuf,
        /// Who wrote it.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },
    /// Another process has the directory open.
    #[error(
        "log directory {}: {} has it open, and two servers on one log would overwrite each other. Stop that \
         one first, or correct the directory in the configuration",
        path.display(), holder(*pid)
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, where the lock file names it.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("{}, offset {}: cannot {operation}: {source}", path.display(), grouped(*offset))]
    Disk {
        /// The file or directory.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What was tried.
        operation: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full. Nothing was written that counts, and it may be tried again.
    #[error("{}, offset {}: the disk is full ({source}). Nothing is lost; make room", path.display(), grouped(*offset))]
    NoRoom {
        /// The file that was to grow.
        path: PathBuf,
        /// How long it is, in bytes.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// A write or sync failed before.
    #[error(
        "log segment {}, offset {}: an earlier write or sync failed, and what reached the disk is unknown, so \
         nothing more is written. Restart the server once the disk is well",
        path.display(), grouped(*offset)
    )]
    Poisoned {
        /// The segment.
        path: PathBuf,
        /// Where the write that failed began, in bytes.
        offset: u64,
    },
}

impl LogError {
    /// The exit code of a command that ends with this error: 20 data that no damage explains, 21 wrong cluster or server,
    /// 22 `recover` needed, 23 disk error, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Damaged { damage: Damage::Undecodable, .. } => 20,
            Self::WrongIdentity { .. } => 21,
            Self::Damaged { .. } | Self::NotBegun { .. } => 22,
            Self::Disk { .. } | Self::NoRoom { .. } | Self::Poisoned { .. } => 23,
            Self::OtherVersion { .. } | Self::Locked { .. } | Self::Begun { .. } => 1,
        }
    }

    /// The file or directory that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Damaged { path, .. }
            | Self::NotBegun { path }
            | Self::Begun { path, .. }
            | Self::OtherVersion { path, .. }
            | Self::WrongIdentity { path, .. }
            | Self::Locked { path, .. }
            | Self::Disk { path, .. }
            | Self::NoRoom { path, .. }
            | Self::Poisoned { path, .. } => path,
        }
    }

    /// For `map_err`: the operating system refused `operation`.
    pub(super) fn disk<E: Into<io::Error>>(
        path: &Path,
        offset: u64,
        operation: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Disk { path: path.to_owned(), offset, operation, source: source.into() }
    }

    /// For `map_err`: the operating system refused to make a file longer before anything was written that counts.
    pub(super) fn room(path: &Path, offset: u64, operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoRoom { path: path.to_owned(), offset, source }
            }
            _ => Self::Disk { path: path.to_owned(), offset, operation, source },
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A number with its thousands apart: `81,920`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Damage, LogError, grouped};

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 81_920, 1_234_567].map(grouped).join(" "), "0 999 1,000 81,920 1,234,567");
    }

    #[test]
    fn damage_names_path_offset_record_reason_and_way_out() {
        let error = LogError::Damaged {
            path: "data/2/00000003.log".into(),
            offset: 81_920,
            record: 1_204,
            damage: Damage::BeforeWholeRecords,
        };
        assert_eq!(
            error.to_string(),
            "log segment data/2/00000003.log, offset 81,920: record 1,204 fails its checksum, and later \
             records are whole, so this is damage and not a torn write. Nothing whole behind it says what was promised \
             there, so this server must not vote, and nothing was changed. If the other servers are well, run `cluster \
             recover`: it asks all of them. Never start the server with an empty disk under its id: it may have voted"
        );
    }
}
