//! One process a directory: a lock that the operating system lets go of when its holder ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::LogError;

/// The lock file's name. The file stays when the lock is released; its presence means nothing.
const NAME: &str = "lock";

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
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
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

/// The process that holds the lock. It may be gone by now, or about to write its number.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
