//! The segment that is being written, and the files' names.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::file::{self, DataFile};
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, seed};
use super::{Identity, LogError, LogOptions};

/// The last file of a log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: DataFile,
    pub(super) number: u64,
    /// What the checksums of its frames begin with.
    pub(super) seed: u32,
    /// Where the next frame goes, in bytes.
    pub(super) offset: u64,
    /// How long the file is, zeros written ahead included.
    file_bytes: u64,
}

impl Segment {
    /// Creates the segment of `header`, over what a crash may have left of an earlier try.
    pub(super) fn create(dir: &Path, header: &SegmentHeader) -> Result<Self, LogError> {
        let path = path_of(dir, header.segment);
        let file = DataFile::create(path.clone()).map_err(LogError::disk(&path, 0, "create the segment"))?;
        let offset = SEGMENT_HEADER_BYTES as u64;
        let segment = Self {
            file,
            number: header.segment,
            seed: seed(header.identity, header.segment),
            offset,
            file_bytes: offset,
        };
        segment.write_durably(&header.encode(), 0)?;
        sync_directory(dir)?; // or the file may be gone after a crash, with all that it holds
        Ok(segment)
    }

    /// Opens the segment whose next frame goes to `offset`, and cuts off what comes after if it is `torn`.
    ///
    /// The last write before `offset` was read, but perhaps from the page cache only: the process may have
    /// ended before its sync, or after a sync that failed and left the pages marked clean. So it is written
    /// again and synced, before anything relies on it.
    pub(super) fn reopen(
        dir: &Path,
        identity: Identity,
        number: u64,
        offset: u64,
        last_write: &[u8],
        torn: bool,
    ) -> Result<Self, LogError> {
        let path = path_of(dir, number);
        let file =
            DataFile::open(path.clone()).map_err(LogError::disk(&path, 0, "open the segment for writing"))?;
        if torn {
            file.cut(offset).map_err(LogError::disk(&path, offset, "cut off the torn write"))?;
        }
        let file_bytes = file.bytes().map_err(LogError::disk(&path, 0, "read the segment's length"))?;
        let segment = Self { file, number, seed: seed(identity, number), offset, file_bytes };
        segment.write_durably(last_write, offset - last_write.len() as u64)?;
        sync_directory(dir)?;
        Ok(segment)
    }

    /// Whether the segment is to be left before a frame of `frame_bytes` is written. A frame that is longer
    /// than a segment has one to itself.
    pub(super) fn is_full(&self, frame_bytes: usize, options: &LogOptions) -> bool {
        self.offset > SEGMENT_HEADER_BYTES as u64 && self.offset + frame_bytes as u64 > options.segment_bytes
    }

    /// Writes a sealed frame and makes it durable. Appends zeros to it where it reaches beyond the end of the
    /// file: overwriting what the file has already spares most syncs the change of its length.
    pub(super) fn write(&mut self, frame: &mut Vec<u8>, options: &LogOptions) -> Result<(), LogError> {
        let end = self.offset + frame.len() as u64;
        if end > self.file_bytes {
            self.file_bytes = filled_end(end, options);
            let zeros = usize::try_from(self.file_bytes - end).unwrap_or(0);
            frame.resize(frame.len() + zeros, 0);
        }
        self.write_durably(frame, self.offset)?;
        self.offset = end;
        Ok(())
    }

    /// One write and one sync; neither is tried again. After a failed sync the operating system may have
    /// dropped what it could not write, so a second sync that succeeds proves nothing.
    fn write_durably(&self, bytes: &[u8], offset: u64) -> Result<(), LogError> {
        let path = &self.file.path;
        self.file.write_all_at(bytes, offset).map_err(LogError::disk(path, offset, "write"))?;
        self.file.sync().map_err(LogError::disk(path, offset, "sync what was written"))
    }
}

/// Up to where a file is filled with zeros when a frame that ends at `end` does not fit into it.
fn filled_end(end: u64, options: &LogOptions) -> u64 {
    match options.zero_fill_bytes {
        0 => end,
        step => end.next_multiple_of(step).min(options.segment_bytes).max(end),
    }
}

/// The path of a segment: `00000001.log` and so on.
pub(super) fn path_of(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}.log"))
}

/// The numbers of the segments in `dir`, in order. Files of other names are nobody's business.
pub(super) fn segments_in(dir: &Path) -> Result<Vec<u64>, LogError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(LogError::disk(dir, 0, "list the directory"))? {
        let path = entry.map_err(LogError::disk(dir, 0, "list the directory"))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        segments.extend(number.filter(|&number| path == path_of(dir, number)));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Creates a directory and what is missing above it, so that it is still there after a crash.
pub(super) fn create_directory(dir: &Path) -> Result<(), LogError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_directory(parent)?;
    fs::create_dir(dir).map_err(LogError::disk(dir, 0, "create the directory"))?;
    sync_directory(parent)
}

pub(super) fn sync_directory(dir: &Path) -> Result<(), LogError> {
    file::sync_directory(dir).map_err(LogError::disk(dir, 0, "sync the directory"))
}
