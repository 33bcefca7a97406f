//! The system calls that change a log, in one place: tests see each of them, and make it fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{fdatasync, fsync};

use super::direct;
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

    /// Creates it with so many bytes of zeros, whatever was there, and makes them durable. Its name is not. Ends early if it
    /// does not go on.
    pub(super) fn create_filled(path: PathBuf, bytes: u64, goes_on: impl Fn() -> bool) -> io::Result<Self> {
        let made = Self::create(path)?;
        direct::fill(&made.path, &made.file, 0, bytes, goes_on)?;
        made.sync()?;
        Ok(made)
    }

    /// Fills it with zeros from one place to another, which is its end from then on. They are not durable.
    pub(super) fn fill(&self, from: u64, to: u64) -> io::Result<()> {
        direct::fill(&self.path, &self.file, from, to, || true)
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
