//! The segment that is being written, and the files' names.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::direct::{Direct, PAGE_BYTES};
use super::file::{self, DataFile};
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, seed};
use super::{Identity, LogError, LogOptions};

/// What stands for bytes that cannot be read.
const UNREADABLE: u8 = 0xEE;
/// What is given up at once where the disk refuses to read, in bytes.
const BLOCK_BYTES: usize = 4096;

/// The last file of a log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<DataFile>,
    pub(super) number: u64,
    /// What the checksums of its frames begin with.
    pub(super) seed: u32,
    /// Where the next frame goes, in bytes.
    pub(super) offset: u64,
    /// How long the file is, zeros written ahead included.
    file_bytes: u64,
    /// The quicker way to write it, if there is one; with the [`Place`] while something is being written.
    direct: Option<Direct>,
}

/// Where a write goes, and how.
#[derive(Debug)]
pub(super) struct Place {
    file: Arc<DataFile>,
    direct: Option<Direct>,
    offset: u64,
    /// Whether the file has zeros up to the end of the last page.
    is_room: bool,
}

impl Place {
    /// One write and one sync, or both in one; neither is tried again. After a failed sync the operating system may have
    /// dropped what it could not write, so a second sync that succeeds proves nothing.
    pub(super) fn write(&mut self, frames: &[u8]) -> Result<(), LogError> {
        let path = &self.file.path;
        if let Some(direct) = &mut self.direct
            && direct.write(frames, self.offset, self.is_room).map_err(LogError::disk(
                path,
                self.offset,
                "write and sync",
            ))?
        {
            return Ok(());
        }
        write_durably(&self.file, frames, self.offset)
    }
}

impl Segment {
    /// Creates the segment of `header`, over what a crash may have left of an earlier try.
    pub(super) fn create(dir: &Path, header: &SegmentHeader) -> Result<Self, LogError> {
        let path = path_of(dir, header.segment);
        let file = DataFile::create(path.clone()).map_err(LogError::room(&path, 0, "create the segment"))?;
        let header_bytes = header.encode();
        file.write_all_at(&header_bytes, 0).map_err(LogError::room(&path, 0, "write"))?;
        file.sync().map_err(LogError::disk(&path, 0, "sync what was written"))?;
        let offset = SEGMENT_HEADER_BYTES as u64;
        let segment = Self {
            direct: Direct::open(&path, &header_bytes),
            file: Arc::new(file),
            number: header.segment,
            seed: seed(header.identity, header.segment),
            offset,
            file_bytes: offset,
        };
        sync_directory(dir)?; // or the file may be gone after a crash, with all that it holds
        Ok(segment)
    }

    /// Makes the segment of `header` of a file that is filled with zeros.
    pub(super) fn adopt(dir: &Path, header: &SegmentHeader, spare: DataFile) -> Result<Self, LogError> {
        let file_bytes = spare.bytes().map_err(LogError::disk(&spare.path, 0, "read the file's length"))?;
        let header_bytes = header.encode();
        let is_room = file_bytes >= PAGE_BYTES as u64;
        let mut place =
            Place { direct: Direct::open(&spare.path, &[]), file: Arc::new(spare), offset: 0, is_room };
        place.write(&header_bytes)?;
        let path = path_of(dir, header.segment);
        let renamed = file::rename(&place.file.path, &path);
        renamed.map_err(LogError::disk(&path, 0, "rename the segment to its name"))?;
        sync_directory(dir)?;
        let file = DataFile::open(path.clone()).map_err(LogError::disk(&path, 0, "open the segment"))?;
        Ok(Self {
            direct: Direct::open(&path, &header_bytes),
            file: Arc::new(file),
            number: header.segment,
            seed: seed(header.identity, header.segment),
            offset: header_bytes.len() as u64,
            file_bytes,
        })
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
        write_durably(&file, last_write, offset - last_write.len() as u64)?;
        sync_directory(dir)?;
        let direct = last_page(&path, offset).ok().and_then(|page| Direct::open(&path, &page));
        let file = Arc::new(file);
        Ok(Self { file, number, seed: seed(identity, number), offset, file_bytes, direct })
    }

    /// Whether the segment is to be left before a frame of `frame_bytes` is written. A frame that is longer
    /// than a segment has one to itself.
    pub(super) fn is_full(&self, frame_bytes: usize, options: &LogOptions) -> bool {
        self.offset > SEGMENT_HEADER_BYTES as u64 && self.offset + frame_bytes as u64 > options.segment_bytes
    }

    /// Whether so much is written that the next segment may be made ready.
    pub(super) fn is_half_full(&self, options: &LogOptions) -> bool {
        self.offset > options.segment_bytes / 2
    }

    /// Appends zeros to the file if a write of `bytes` bytes would reach beyond its end: overwriting what the file has
    /// already spares most syncs the change of its length, and if the disk is full, that is known before anything is
    /// written that counts.
    pub(super) fn fill_ahead(&mut self, bytes: usize, options: &LogOptions) -> Result<(), LogError> {
        let end = self.offset + bytes as u64;
        if end > self.file_bytes && options.zero_fill_bytes > 0 {
            let filled = filled_end(end, options);
            let filling = self.file.fill(self.file_bytes, filled);
            filling.map_err(LogError::room(&self.file.path, self.file_bytes, "write"))?;
            self.file_bytes = filled;
        }
        Ok(())
    }

    /// Where the next so many bytes go. [`Self::go_on_behind`] must follow when they are written.
    pub(super) fn place(&mut self, bytes: usize) -> Place {
        let offset = self.offset;
        self.offset += bytes as u64;
        let is_room = self.offset.next_multiple_of(PAGE_BYTES as u64) <= self.file_bytes;
        self.file_bytes = self.file_bytes.max(self.offset);
        Place { file: Arc::clone(&self.file), direct: self.direct.take(), offset, is_room }
    }

    /// What was to be written is.
    pub(super) fn go_on_behind(&mut self, place: Place) {
        self.direct = place.direct;
    }
}

fn write_durably(file: &DataFile, bytes: &[u8], offset: u64) -> Result<(), LogError> {
    let path = &file.path;
    file.write_all_at(bytes, offset).map_err(LogError::disk(path, offset, "write"))?;
    file.sync().map_err(LogError::disk(path, offset, "sync what was written"))
}

/// What is written of the page in which `offset` lies, before it.
fn last_page(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let written = offset % PAGE_BYTES as u64;
    let mut page = vec![0; usize::try_from(written).unwrap_or(0)];
    fs::File::open(path)?.read_exact_at(&mut page, offset - written)?;
    Ok(page)
}
/// Up to where a file is filled with zeros when a write that ends at `end` does not fit into it.
fn filled_end(end: u64, options: &LogOptions) -> u64 {
    end.next_multiple_of(options.zero_fill_bytes).min(options.segment_bytes).max(end)
}

/// Reads a segment. What cannot be read of it is filled with a byte that is neither a frame nor space never written, so
/// that it counts as damage.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    let refused = |error| LogError::disk(path, 0, "read the segment")(error);
    match fs::read(path) {
        Err(error) if is_of_the_medium(&error) => {}
        read => return read.map_err(refused),
    }
    let file = fs::File::open(path).map_err(refused)?;
    let bytes = file.metadata().map_err(refused)?.len();
    let mut segment = vec![UNREADABLE; usize::try_from(bytes).unwrap_or(0).max(SEGMENT_HEADER_BYTES)];
    for (block, offset) in segment.chunks_mut(BLOCK_BYTES).zip((0..).step_by(BLOCK_BYTES)) {
        let mut read = vec![0; block.len()];
        match file.read_exact_at(&mut read, offset) {
            Ok(()) => block.copy_from_slice(&read),
            Err(error) if is_of_the_medium(&error) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(segment)
}

/// Whether what is stored is bad, and not the way to it.
fn is_of_the_medium(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| [Errno::IO, Errno::NODATA, Errno::UCLEAN, Errno::BADMSG].contains(&errno))
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
