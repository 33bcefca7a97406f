//! The first segment of a log, and what to do with a log that is lost.
//!
//! A log is begun by a command and never by a start. A server that finds no log cannot tell whether it never ran or lost
//! its disk; if it took itself for new after it had promised or voted, it would break its word.

use std::path::{Path, PathBuf};

use super::format::{Position, SegmentHeader};
use super::replay::Replay;
use super::segment::{self, Segment, path_of, segments_in, sync_directory};
use super::snapshots::snapshots_in;
use super::{Identity, Log, LogError, file, lock, replay};

impl Log {
    /// Begins a log in `dir`, which is made if it is not there, on the disk that this `incarnation` stands for: 0 if the
    /// server never ran. What a crash leaves of it is no log, and does not keep the next try from beginning one.
    ///
    /// # Errors
    /// If there is a log already, or a part of one, whosever it is; and if the disk fails.
    pub fn create(dir: &Path, identity: Identity, incarnation: u64) -> Result<(), LogError> {
        segment::create_directory(dir)?;
        let _lock = lock::take(dir)?;
        if let Some(found) = first_file(dir)? {
            let is_remnant = found == path_of(dir, 1)
                && replay::replay(dir, identity).is_ok_and(|replay| is_no_log(&replay));
            if !is_remnant {
                return Err(LogError::Begun { path: dir.to_owned(), found });
            }
        }
        let header = SegmentHeader { identity, incarnation, segment: 1, start: Position::default() };
        Segment::create(dir, &header).map(drop)
    }
}

/// Whether nothing was ever written here but perhaps a part of the first segment's header.
pub(super) fn is_no_log(replay: &Replay) -> bool {
    replay.segment <= 1 && replay.end == 0
}

/// Moves a directory that holds anything of a log out of the way, whole and in one step, and says whereto. None if it
/// holds nothing of a log or is not there.
///
/// # Errors
/// If a process has it open, or the operating system refuses. Then nothing was moved.
pub fn set_aside(dir: &Path) -> Result<Option<PathBuf>, LogError> {
    if !dir.is_dir() || first_file(dir)?.is_none() {
        return Ok(None);
    }
    let _lock = lock::take(dir)?;
    let mut aside = dir.as_os_str().to_owned();
    aside.push(".lost");
    let aside = PathBuf::from(aside);
    let numbered = (2..).map(|number: u32| aside.with_extension(format!("lost-{number}")));
    let aside = std::iter::once(aside.clone()).chain(numbered).find(|path| !path.exists()).unwrap_or(aside);
    file::rename(dir, &aside).map_err(LogError::disk(
        dir,
        0,
        "move the directory out of the way (a mount point cannot be moved: move its files elsewhere by hand)",
    ))?;
    sync_directory(aside.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    Ok(Some(aside))
}

/// A file of a log or a snapshot.
fn first_file(dir: &Path) -> Result<Option<PathBuf>, LogError> {
    if let Some(&segment) = segments_in(dir)?.first() {
        return Ok(Some(path_of(dir, segment)));
    }
    let snapshots = snapshots_in(dir)?;
    Ok(snapshots.first().map(|&(group, slot)| super::snapshots::snapshot_path(dir, group, slot)))
}
