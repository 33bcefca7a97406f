//! A thread that writes and syncs while the log's owner goes on.

use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use super::LogError;
use super::segment::Place;

/// What is called on the thread when a write has ended.
pub(super) type Wake = Box<dyn Fn() + Send>;

/// A write on its way: sealed frames, and where they go.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) place: Place,
    pub(super) frames: Vec<u8>,
}

/// A write that is over, and what came of it.
pub(super) type Written = (Write, Result<(), LogError>);

/// The thread. Dropping this waits for the write that is under way.
pub(super) struct Writer {
    /// None only while it is dropped: the thread ends when nobody can send any more.
    writes: Option<Sender<Write>>,
    written: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(wake: Wake) -> io::Result<Self> {
        let (writes, to_write) = mpsc::channel::<Write>();
        let (tell, written) = mpsc::channel();
        let run = move || {
            for mut write in to_write {
                let result = write.place.write(&write.frames);
                if tell.send((write, result)).is_err() {
                    return; // Nobody wants to know any more.
                }
                wake();
            }
        };
        let thread = thread::Builder::new().name("log".into()).spawn(run)?;
        Ok(Self { writes: Some(writes), written, thread: Some(thread) })
    }

    /// Hands over a write. The one before must have ended.
    pub(super) fn begin(&self, write: Write) {
        if let Some(writes) = &self.writes {
            // It fails only if the thread has panicked, which `end` tells.
            let _ = writes.send(write);
        }
    }

    /// What came of the write that was handed over; none if it has not ended and `wait` is not asked for.
    ///
    /// # Panics
    /// If the thread has.
    pub(super) fn end(&self, wait: bool) -> Option<Written> {
        if wait {
            return Some(self.written.recv().expect("the log's thread does not panic"));
        }
        match self.written.try_recv() {
            Ok(written) => Some(written),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the log's thread has panicked"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            // A panic of its own is told by whoever waits for the write.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
