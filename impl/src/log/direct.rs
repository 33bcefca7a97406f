//! Writing past the page cache, with the sync in the same call: `O_DIRECT` and `O_DSYNC`. It takes about half the CPU time of a
//! write through the cache and an `fdatasync`, and less time, too. Such a write consists of whole pages, so it begins with
//! what stands in its first page already and ends with zeros, which stand there already, too: it changes nothing
//! but what is new.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

#[cfg(test)]
use super::faults::{self, Call};

/// What is written begins at a multiple of so many bytes, in the file and in memory, and consists of them.
pub(super) const PAGE_BYTES: usize = 4096;
/// A file is filled in pieces of so many bytes, none so long that a sync of the log would wait for it for long.
const FILL_BYTES: usize = 256 << 10;

/// A file to be written this way, and where the next write goes.
#[derive(Debug)]
pub(super) struct Direct {
    path: PathBuf,
    file: File,
    pages: Pages,
    /// How much of the first page is written by now, in bytes.
    head: usize,
}

impl Direct {
    /// For writes to the file of `path` behind `head`, which is what is written of a page. None where the file system
    /// knows no such writes.
    pub(super) fn open(path: &Path, head: &[u8]) -> Option<Self> {
        let file = open(path, OFlags::DIRECT | OFlags::DSYNC).ok()?;
        let mut pages = Pages::default();
        pages.place(0, head);
        Some(Self { path: path.to_owned(), file, pages, head: head.len() })
    }

    /// Writes what comes at `offset`, which is where the write before ended, and makes it durable, if `is_room`: the file
    /// has zeros up to the end of the last page. Whether it did; if not, it is to be written in another way.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64, is_room: bool) -> io::Result<bool> {
        let end = self.head + bytes.len();
        let pages = self.pages.place(self.head, bytes);
        let written = is_room && write_pages(&self.path, &self.file, pages, offset - self.head as u64)?;
        self.pages.keep(end / PAGE_BYTES * PAGE_BYTES, end);
        self.head = end % PAGE_BYTES;
        Ok(written)
    }
}

/// Whether all of it was written. The kernel may take less, or refuse because a device wants longer pages.
fn write_pages(path: &Path, file: &File, pages: &[u8], offset: u64) -> io::Result<bool> {
    #[cfg(not(test))]
    let (_, taken) = (path, pages);
    #[cfg(test)]
    let taken = match faults::write(path, pages, offset) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
        taken => taken?,
    };
    let written = match file.write_at(taken, offset) {
        Err(error)
            if error.kind() == io::ErrorKind::Interrupted
                || error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
        {
            return Ok(false);
        }
        written => written?,
    };
    #[cfg(test)]
    faults::call(Call::Sync(path.to_owned()))?;
    Ok(written == pages.len())
}

/// Memory that begins at a page.
#[derive(Debug, Default)]
struct Pages(Vec<u8>);

impl Pages {
    /// Puts `bytes` behind the first `head` ones, and zeros up to the end of the last page.
    fn place(&mut self, head: usize, bytes: &[u8]) -> &[u8] {
        let end = head + bytes.len();
        let whole = end.next_multiple_of(PAGE_BYTES);
        if self.0.len() < whole + PAGE_BYTES {
            let former = mem::replace(&mut self.0, vec![0; (whole + PAGE_BYTES).next_power_of_two()]);
            let (from, to) = (start(&former), start(&self.0));
            let kept = head.min(former.len());
            self.0[to..to + kept].copy_from_slice(&former[from..from + kept]);
        }
        let start = start(&self.0);
        let pages = &mut self.0[start..start + whole];
        pages[head..end].copy_from_slice(bytes);
        pages[end..].fill(0);
        pages
    }

    /// Moves what stands there to the beginning.
    fn keep(&mut self, from: usize, to: usize) {
        let start = start(&self.0);
        self.0.copy_within(start + from..start + to, start);
    }
}

/// Where the first page begins.
fn start(memory: &[u8]) -> usize {
    if memory.is_empty() { 0 } else { memory.as_ptr().align_offset(PAGE_BYTES) }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Fills a file with zeros from one place to another, as far as can be past the page cache, for nobody will read them; ends
/// early if it does not go on. They are not durable.
pub(super) fn fill(
    path: &Path,
    file: &File,
    from: u64,
    to: u64,
    goes_on: impl Fn() -> bool,
) -> io::Result<()> {
    #[cfg(test)]
    faults::call(Call::Write(path.to_owned(), from, vec![0; usize::try_from(to - from).unwrap_or(0)]))?;
    let direct = open(path, OFlags::DIRECT);
    let mut zeros = Pages::default();
    let zeros = zeros.place(0, &[0; FILL_BYTES]);
    let mut offset = from;
    while offset < to {
        if !goes_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        // Up to the first whole page, and what is left behind the last one, takes the cache.
        let head = offset.next_multiple_of(PAGE_BYTES as u64) - offset;
        let left = usize::try_from(to - offset).unwrap_or(FILL_BYTES).min(FILL_BYTES);
        let bytes = match usize::try_from(head).unwrap_or(0) {
            0 if left < PAGE_BYTES => left,
            0 => left / PAGE_BYTES * PAGE_BYTES,
            head => head.min(left),
        };
        let piece = &zeros[..bytes];
        match &direct {
            Ok(direct) if head == 0 && bytes.is_multiple_of(PAGE_BYTES) => {
                direct.write_all_at(piece, offset)?;
            }
            _ => file.write_all_at(piece, offset)?,
        }
        offset += bytes as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_filled_and_written_in_pieces_of_any_length_holds_these_and_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"head").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        fill(&path, &file, 4, 300_000, || true).unwrap();
        let mut expected = b"head".to_vec();
        let mut direct = Direct::open(&path, &expected).unwrap();
        for (piece, bytes) in [1, 4091, 1, 4095, 4096, 4097, 20_000, 0, 9, 100_000].into_iter().enumerate() {
            let (byte, offset) = (b'a' + u8::try_from(piece).unwrap(), expected.len());
            let (bytes, is_room) = (vec![byte; bytes], piece != 5);
            if !direct.write(&bytes, offset as u64, is_room).unwrap() {
                file.write_all_at(&bytes, offset as u64).unwrap();
            }
            expected.extend(bytes);
            let found = fs::read(&path).unwrap();
            assert_eq!(found.len(), 300_000);
            assert!(found.starts_with(&expected) && found[expected.len()..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn a_file_is_filled_from_and_to_any_place_and_not_if_it_does_not_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (from, to) in [(0, 1), (5, 4096), (4096, 8192), (100, 9000), (64, 4 << 20), (8192, 8192)] {
            fs::write(&path, vec![7; from]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            fill(&path, &file, from as u64, to as u64, || true).unwrap();
            let found = fs::read(&path).unwrap();
            assert!(found.len() == to && found[from..].iter().all(|&byte| byte == 0), "{from} to {to}");
        }
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let ended = fill(&path, &file, 0, 9000, || false);
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
