//! The system calls that change a log, in one place: tests see each of them, and make it fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate, fdatasync, fsync};
use rustix::io::Errno;

#[cfg(test)]
use super::faults::{self, Call};

/// A file is filled in pieces of so many bytes, none so long that a sync of the log would wait for it for long.
const FILL_BYTES: usize = 256 << 10;
/// What pieces of a file that do not go through the page cache begin at and consist of, in bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// A segment's file, open for writing.
#[derive(Debug)]
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    file: File,
}

impl DataFile {
    /// Creates it empty, whatever was there.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        #[cfg(test)]
        faults::call(Call::Create(path.clone()))?;
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        Ok(Self { path, file })
    }

    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Creates it with so many bytes of zeros, whatever was there, and makes them durable. Its name is not. Ends early if it
    /// does not go on.
    ///
    /// The zeros do not go through the page cache where the file system can do without: nobody will read them.
    pub(super) fn create_filled(path: PathBuf, bytes: u64, goes_on: impl Fn() -> bool) -> io::Result<Self> {
        let made = Self::create(path)?;
        let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
        let direct = OpenOptions::new().write(true).custom_flags(direct).open(&made.path);
        #[cfg(test)]
        faults::call(Call::Write(made.path.clone(), 0, vec![0; usize::try_from(bytes).unwrap_or(0)]))?;
        let room = vec![0; FILL_BYTES + PAGE_BYTES];
        let zeros = &room[room.as_ptr().align_offset(PAGE_BYTES)..][..FILL_BYTES];
        let mut offset = 0;
        while offset < bytes {
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let piece = &zeros[..usize::try_from(bytes - offset).unwrap_or(FILL_BYTES).min(FILL_BYTES)];
            // A piece that is not a whole number of pages, or a file system that knows no other way, takes the page cache.
            match &direct {
                Ok(file) if piece.len().is_multiple_of(PAGE_BYTES) => file.write_all_at(piece, offset)?,
                _ => made.file.write_all_at(piece, offset)?,
            }
            offset += piece.len() as u64;
        }
        made.sync()?;
        Ok(made)
    }

    /// Its length in bytes.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Cuts it off.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        #[cfg(test)]
        faults::call(Call::Cut(self.path.clone(), bytes))?;
        self.file.set_len(bytes)
    }

    /// Gives it room behind its end, which reads as zeros.
    pub(super) fn reserve(&self, bytes: usize, offset: u64) -> io::Result<()> {
        #[cfg(test)]
        faults::call(Call::Write(self.path.clone(), offset, vec![0; bytes]))?;
        match fallocate(&self.file, FallocateFlags::empty(), offset, bytes as u64) {
            Err(Errno::NOSYS | Errno::OPNOTSUPP) => self.file.write_all_at(&vec![0; bytes], offset),
            made => Ok(made?),
        }
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        faults::call(Call::Sync(self.path.clone()))?;
        Ok(fdatasync(&self.file)?)
    }
}

/// Writes may be short or interrupted; [`FileExt::write_all_at`] goes on until everything is written.
impl FileExt for DataFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(test)]
        let bytes = faults::write(&self.path, bytes, offset)?;
        self.file.write_at(bytes, offset)
    }
}

/// Gives a file another name, in the place of what had it.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(Call::Rename(from.to_owned(), to.to_owned()))?;
    fs::rename(from, to)
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(Call::Remove(path.to_owned()))?;
    fs::remove_file(path)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(Call::SyncDirectory)?;
    Ok(fsync(File::open(dir)?)?)
}
