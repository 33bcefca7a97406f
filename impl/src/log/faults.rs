//! What a test sees of the system calls that this thread makes on a log, and how it makes one fail.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

/// A system call that changes something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Create(PathBuf),
    Cut(PathBuf, u64),
    /// What was written where; the bytes that the call took.
    Write(PathBuf, u64, Vec<u8>),
    Sync(PathBuf),
    /// From one name to another.
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDirectory,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    /// The call that fails, counted from 0, and what the operating system says.
    fails: Option<(usize, i32)>,
    /// Whether writes are short, and every other one is interrupted.
    writes_are_short: bool,
    is_interrupted: bool,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Forgets what was seen. From now on every call is seen.
pub(super) fn begin() {
    STATE.with_borrow_mut(|state| *state = State::default());
}

/// The call of this number after [`begin`] fails with an error number.
pub(super) fn fail(call: usize, errno: i32) {
    STATE.with_borrow_mut(|state| state.fails = Some((call, errno)));
}

/// From now on no call fails any more.
pub(super) fn heal() {
    STATE.with_borrow_mut(|state| state.fails = None);
}

/// From now on a write takes a few bytes only, or is interrupted before it takes any.
pub(super) fn shorten_writes() {
    STATE.with_borrow_mut(|state| state.writes_are_short = true);
}

/// What was called since [`begin`].
pub(super) fn calls() -> Vec<Call> {
    STATE.with_borrow(|state| state.calls.clone())
}

/// Notes a call that is about to be made, unless it is the one that fails.
pub(super) fn call(call: Call) -> io::Result<()> {
    STATE.with_borrow_mut(|state| {
        if let Some((_, errno)) = state.fails.filter(|&(number, _)| number == state.calls.len()) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        state.calls.push(call);
        Ok(())
    })
}

/// Notes a write. Returns what it takes of `bytes`.
pub(super) fn write<'a>(path: &Path, bytes: &'a [u8], offset: u64) -> io::Result<&'a [u8]> {
    const SHORT_BYTES: usize = 7;
    let taken = STATE.with_borrow_mut(|state| {
        if !state.writes_are_short {
            return Ok(bytes);
        }
        state.is_interrupted = !state.is_interrupted;
        if state.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok::<_, io::Error>(&bytes[..bytes.len().min(SHORT_BYTES)])
    })?;
    call(Call::Write(path.to_owned(), offset, taken.to_vec()))?;
    Ok(taken)
}
