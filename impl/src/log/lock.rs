//! One process a directory: a lock that the operating system lets go of when its holder ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::LogError;

/// The lock file's name. The file stays when the lock is released; its presence means nothing.
const NAME: &str = "lock";
/// How often the lock is tried for: whoever only [looks](look) holds it for a moment, and so does a child of its last holder
/// that has not begun its own program yet.
const TRIES: u32 = 5;
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The process that has a directory open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its number, where the lock file names it.
    pub pid: Option<u32>,
}

/// Takes the directory's lock for as long as the returned file is open, and notes this process in it.
pub(super) fn take(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(NAME);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false) // the holder's number is in there
        .read(true)
        .write(true)
        .open(&path)
        .map_err(LogError::disk(&path, 0, "open the lock file"))?;
    match lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(LogError::Locked { path: dir.to_owned(), pid: holder(&mut file) });
        }
        Err(error) => return Err(LogError::disk(&path, 0, "lock the file")(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(LogError::disk(
        &path,
        0,
        "write the lock file",
    ))?;
    Ok(file)
}

/// Who has the directory open, if anybody. Changes nothing, and holds the lock, shared, for a moment only.
pub(super) fn look(dir: &Path) -> Result<Option<Holder>, LogError> {
    let path = dir.join(NAME);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::disk(&path, 0, "open the lock file")(error)),
    };
    match lock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None), // let go of with the file
        Err(Errno::WOULDBLOCK) => Ok(Some(Holder { pid: holder(&mut file) })),
        Err(error) => Err(LogError::disk(&path, 0, "look at the lock")(error)),
    }
}

/// Takes the lock, if nobody holds it for longer than a moment.
fn lock(file: &File, how: FlockOperation) -> Result<(), Errno> {
    for _ in 1..TRIES {
        match flock(file, how) {
            Err(Errno::WOULDBLOCK) => sleep(TRY_EVERY),
            result => return result,
        }
    }
    flock(file, how)
}

/// The process that holds the lock. It may be gone by now, or about to write its number.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
