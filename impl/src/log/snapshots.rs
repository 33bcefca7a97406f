//! The snapshots beside the log, `0-00000000000000000042.snapshot` for group 0 and slot 42, and what may go once there are
//! newer ones.
//!
//! A snapshot is written under another name, synced, and renamed; then the directory is synced. So a file of this
//! name is whole unless the disk damaged it. Of each group two snapshots are kept, and of the log what comes after the
//! older one's record: if the newer one is damaged, the older one and the log make up for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use spec::{Record, Slot};

use super::clerk::Home;
use super::file::{self, DataFile};
use super::segment::{path_of, segments_in, sync_directory};
use super::{Identity, Log, LogError, SnapshotSummary};
use crate::disk::{SnapshotError, WrittenSnapshot};
use crate::payload::Payload;
use crate::snapshot::{self, Content};

/// The group's snapshots that are kept.
const KEPT: usize = 2;

/// Where the records of each group's latest snapshots stand: slot and segment, oldest first. A group without is
/// there too, and keeps all of the log.
#[derive(Clone, Default, Debug)]
pub(super) struct Marks(BTreeMap<u16, Vec<(Slot, u64)>>);

impl Marks {
    /// Notes a record that is in a segment.
    pub(super) fn note(&mut self, group: u16, record: &Record<Payload>, segment: u64) {
        if !matches!(record, Record::Snapshot(_)) && self.0.contains_key(&group) {
            return; // The usual case.
        }
        let marks = self.0.entry(group).or_default();
        if let Record::Snapshot(snapshot) = record {
            marks.push((snapshot.slot, segment));
            if marks.len() > KEPT {
                marks.remove(0);
            }
        }
    }

    /// Notes that a group has records.
    pub(super) fn note_group(&mut self, group: u16) {
        self.0.entry(group).or_default();
    }

    /// The first segment that a restart may need.
    fn first_segment(&self) -> u64 {
        let oldest = |marks: &Vec<(Slot, u64)>| match marks[..] {
            [(_, segment), _] => segment,
            _ => 0,
        };
        self.0.values().map(oldest).min().unwrap_or(0)
    }

    /// The first slot of a group whose snapshot may be needed.
    fn first_slot(&self, group: u16) -> Slot {
        self.0.get(&group).and_then(|marks| marks.first()).map_or(Slot::NONE, |&(slot, _)| slot)
    }

    /// Whether every group has a snapshot, so that the log may begin where it does.
    pub(super) fn are_complete(&self) -> bool {
        self.0.values().all(|marks| !marks.is_empty())
    }
}

impl Log {
    /// Begins to make a group's snapshot durable. After [`Log::write_behind`] a thread does that while this log's owner goes
    /// on; else it is done when this returns.
    pub fn begin_snapshot(&mut self, group: u16, content: Content) {
        self.clerk.write(group, content);
    }

    /// A snapshot that was begun and is over by now, in the order in which they were begun; none if there is none.
    ///
    /// # Errors
    /// If what snapshots let go could not be removed. The log is whole, but what it looks like after a crash is unknown
    /// then, so nothing more may be removed. Close it and open it again.
    pub fn end_snapshot(&mut self) -> Result<Option<WrittenSnapshot>, LogError> {
        self.clerk.next()
    }

    /// The slots of a group's snapshots, whole or not, newest first.
    #[must_use]
    pub fn snapshots(&self, group: u16) -> Vec<Slot> {
        let found = snapshots_in(&self.dir).unwrap_or_default();
        found.into_iter().rev().filter(|&(of, _)| of == group).map(|(_, slot)| slot).collect()
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// If it is not as it was written, or not this server's.
    pub fn read_snapshot(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        let path = snapshot_path(&self.dir, group, slot);
        read(&path, self.identity, group, slot).map_err(|reason| SnapshotError { path, reason })
    }
}

/// Makes a group's snapshot durable. `body` is its [`Content`].
///
/// # Errors
/// If the operating system refuses. What is left of it has another name, and the next try overwrites it.
pub(super) fn write(home: &Home, group: u16, slot: Slot, body: &[u8]) -> Result<(), LogError> {
    let path = snapshot_path(&home.dir, group, slot);
    let unfinished = home.dir.join(format!("{group}.unfinished"));
    let header = snapshot::header(home.identity, group, slot, body);
    let written = write_unfinished(&unfinished, &header, body).and_then(|()| {
        file::rename(&unfinished, &path).map_err(LogError::disk(&path, 0, "rename the snapshot to its name"))
    });
    if let Err(error) = written {
        // Gives the room back; if that fails as well, the next try overwrites it.
        let _ = file::remove(&unfinished);
        return Err(error);
    }
    sync_directory(&home.dir)
}

fn write_unfinished(path: &Path, header: &[u8], body: &[u8]) -> Result<(), LogError> {
    let file = DataFile::create(path.to_owned()).map_err(LogError::disk(path, 0, "create the snapshot"))?;
    file.write_all_at(header, 0).map_err(LogError::disk(path, 0, "write the snapshot"))?;
    let offset = header.len() as u64;
    file.write_all_at(body, offset).map_err(LogError::disk(path, offset, "write the snapshot"))?;
    file.sync().map_err(LogError::disk(path, 0, "sync the snapshot"))
}

/// Removes what no restart needs, which is what comes before these marks: whole segments at the log's beginning, one by
/// one, so that what is left after a crash has no gap; and old snapshots.
pub(super) fn trim(dir: &Path, marks: &Marks) -> Result<(), LogError> {
    for segment in segments_in(dir)?.into_iter().take_while(|&at| at < marks.first_segment()) {
        remove(dir, &path_of(dir, segment))?;
    }
    for (group, slot) in snapshots_in(dir)? {
        if slot < marks.first_slot(group) {
            remove(dir, &snapshot_path(dir, group, slot))?;
        }
    }
    Ok(())
}

fn remove(dir: &Path, path: &Path) -> Result<(), LogError> {
    file::remove(path).map_err(LogError::disk(path, 0, "remove what no restart needs"))?;
    sync_directory(dir)
}

fn read(path: &Path, identity: Identity, group: u16, slot: Slot) -> Result<Content, String> {
    let file = fs::read(path).map_err(|error| error.to_string())?;
    snapshot::read(identity, group, slot, &file).map_err(|error| error.to_string())
}

/// What the snapshots in `dir` are, and which of them `identity` could use.
pub(super) fn summaries(dir: &Path, identity: Identity) -> Result<Vec<SnapshotSummary>, LogError> {
    let found = snapshots_in(dir)?.into_iter();
    let summary = found.map(|(group, slot)| {
        let path = snapshot_path(dir, group, slot);
        SnapshotSummary {
            group,
            slot,
            bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
            damage: read(&path, identity, group, slot).err(),
            path,
        }
    });
    Ok(summary.collect())
}

pub(super) fn snapshot_path(dir: &Path, group: u16, slot: Slot) -> PathBuf {
    dir.join(format!("{group}-{:020}.snapshot", slot.0))
}

/// The snapshots in `dir` by group and slot. Files of other names are nobody's business.
pub(super) fn snapshots_in(dir: &Path) -> Result<BTreeSet<(u16, Slot)>, LogError> {
    let mut snapshots = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(LogError::disk(dir, 0, "list the directory"))? {
        let path = entry.map_err(LogError::disk(dir, 0, "list the directory"))?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()?.split_once('-'));
        let parsed = name.and_then(|(group, slot)| Some((group.parse().ok()?, Slot(slot.parse().ok()?))));
        snapshots.extend(parsed.filter(|&(group, slot)| path == snapshot_path(dir, group, slot)));
    }
    Ok(snapshots)
}
