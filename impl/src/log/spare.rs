//! The next segment's file, made ahead: a thread fills it with zeros while the segment before it is written, so that no
//! sync waits until there is room. It has another name until it becomes a segment, and a start removes what is left of one.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::file::{self, DataFile};

/// A file made ahead, or on its way.
#[derive(Debug, Default)]
pub(super) enum Spare {
    #[default]
    None,
    Making(Maker),
    #[cfg(test)]
    Made(DataFile),
    /// There was no room, or the disk failed: the next segment is made when it is needed, which tells why.
    Failed,
}

/// The thread that makes one. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Maker {
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<DataFile>>>,
}

impl Spare {
    /// Begins to make a file of so many bytes, unless there is one, or none can be had.
    pub(super) fn begin(&mut self, dir: &Path, bytes: u64) {
        if matches!(self, Self::None) {
            *self = Maker::start(path_in(dir), bytes).map_or(Self::Failed, Self::Making);
        }
    }

    /// Takes the file, if it is there. Afterwards another one may be begun.
    pub(super) fn take(&mut self) -> Option<DataFile> {
        match mem::take(self) {
            Self::None | Self::Failed => None,
            #[cfg(test)]
            Self::Made(file) => Some(file),
            Self::Making(maker) if maker.is_done() => maker.finish().ok(),
            Self::Making(maker) => {
                *self = Self::Making(maker); // The segment that comes instead will be half full one day, too.
                None
            }
        }
    }

    /// Whether one is there to be taken.
    #[cfg(test)]
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::Made(_)) || matches!(self, Self::Making(maker) if maker.is_done())
    }

    /// Makes one here and now.
    #[cfg(test)]
    pub(super) fn make(&mut self, dir: &Path, bytes: u64) -> io::Result<()> {
        *self = Self::Made(make(&path_in(dir), bytes, &AtomicBool::new(false))?);
        Ok(())
    }
}

impl Maker {
    fn start(path: PathBuf, bytes: u64) -> io::Result<Self> {
        let stops = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stops);
        let run = move || make(&path, bytes, &stop);
        let thread = Some(thread::Builder::new().name("next segment".into()).spawn(run)?);
        Ok(Self { stops, thread })
    }

    fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(mut self) -> io::Result<DataFile> {
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.unwrap_or_else(|| Err(io::Error::other("the thread that fills the next segment has panicked")))
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has made is of no use any more; the next start removes it.
            let _ = thread.join();
        }
    }
}

/// Makes the file; removes it again if that fails, for what it takes may be the last room there is.
fn make(path: &Path, bytes: u64, stops: &AtomicBool) -> io::Result<DataFile> {
    let made = DataFile::create_filled(path.to_owned(), bytes, || !stops.load(Ordering::Relaxed));
    if made.is_err() {
        let _ = file::remove(path); // The next start does if this cannot.
    }
    made
}

/// Removes what an earlier process has left of one.
pub(super) fn remove_left(dir: &Path) -> io::Result<()> {
    let path = path_in(dir);
    if path.try_exists()? { file::remove(&path) } else { Ok(()) }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("next.unfinished")
}
