//! The system calls that change a log, in one place: tests see each of them, and make it fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fdatasync, fsync};
use rustix::io::Errno;

#[cfg(test)]
use super::faults::{self, Call};

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
