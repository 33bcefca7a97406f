//! openraft's log: its entries in memory, for those who replicate and apply them, and a file that is synced before anything is
//! acknowledged.
//!
//! The store that is published for openraft (`openraft-rocksstore` 0.9.21) syncs when entries are applied, and not when
//! they are appended or a vote is cast, so an acknowledged entry can be lost by a majority. This one is durable, and as
//! fast as we can make it: a thread of its own writes and syncs, whatever came in during the last sync goes into the
//! next (group commit), and the file is filled with zeros ahead, so that a sync writes no metadata.
//! What is measured is never restarted: nothing reads the file, and it is not trimmed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::ops::RangeBounds;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{Entry, LogId, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote};
use tokio::sync::oneshot;

use crate::Types;

/// The file grows by so much.
const CHUNK_BYTES: u64 = 64 << 20;

/// The log. Clones share one.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    memory: Arc<Mutex<Memory>>,
    writes: Sender<Write>,
}

#[derive(Default, Debug)]
struct Memory {
    entries: BTreeMap<u64, Entry<Types>>,
    purged: Option<LogId<u64>>,
    vote: Option<Vote<u64>>,
    committed: Option<LogId<u64>>,
}

/// What is to be on disk before somebody is told.
struct Write {
    bytes: Vec<u8>,
    then: Then,
}

enum Then {
    Tell(oneshot::Sender<io::Result<()>>),
    Flushed(LogFlushed<Types>),
}

impl Log {
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut file = Zeroed::create(&directory.join("log"))?;
        let (writes, arrivals) = mpsc::channel();
        thread::spawn(move || write_all(&mut file, &arrivals));
        Ok(Self { memory: Arc::default(), writes })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nobody panics with it")
    }

    /// Returns when the record is on disk.
    async fn write(&self, record: &impl serde::Serialize) -> Result<(), StorageIOError<u64>> {
        let (tell, told) = oneshot::channel();
        let bytes = bincode::serialize(record).map_err(|error| StorageIOError::write(&error))?;
        let lost = |_| StorageIOError::write(&io::Error::other("the thread that writes has ended"));
        self.writes.send(Write { bytes, then: Then::Tell(tell) }).map_err(|_| lost(()))?;
        told.await.map_err(|_| lost(()))?.map_err(|error| StorageIOError::write(&error))
    }
}

/// Writes what arrives, everything that waits with one sync.
fn write_all(file: &mut Zeroed, arrivals: &Receiver<Write>) {
    let mut bytes = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = arrivals.recv() {
        for write in std::iter::once(first).chain(arrivals.try_iter()) {
            bytes.extend_from_slice(&write.bytes);
            waiting.push(write.then);
        }
        let written = file.append(&bytes);
        bytes.clear();
        for then in waiting.drain(..) {
            let result =
                written.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
            match then {
                Then::Tell(tell) => {
                    // Who does not wait any more need not be told.
                    let _ = tell.send(result);
                }
                Then::Flushed(flushed) => flushed.log_io_completed(result),
            }
        }
    }
}

/// A file that is filled with zeros before it is written.
struct Zeroed {
    file: File,
    /// Where the next record goes.
    end: u64,
    /// Up to where it is filled.
    filled: u64,
}

impl Zeroed {
    fn create(path: &Path) -> io::Result<Self> {
        let mut zeroed = Self { file: File::create_new(path)?, end: 0, filled: 0 };
        zeroed.fill()?;
        Ok(zeroed)
    }

    fn fill(&mut self) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let until = self.filled + CHUNK_BYTES;
        while self.filled < until {
            self.file.write_all_at(&zeros, self.filled)?;
            self.filled += zeros.len() as u64;
        }
        self.file.sync_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        while self.end + bytes.len() as u64 > self.filled {
            self.fill()?;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.file.sync_data()
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Types>>, StorageError<u64>> {
        Ok(self.memory().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        let memory = self.memory();
        let last = memory.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: last.or(memory.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.write(vote).await?;
        self.memory().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        Ok(self.memory().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        self.memory().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut bytes = Vec::new();
        {
            let mut memory = self.memory();
            for entry in entries {
                bincode::serialize_into(&mut bytes, &entry)
                    .map_err(|error| StorageIOError::write_logs(&error))?;
                memory.entries.insert(entry.log_id.index, entry);
            }
        }
        if let Err(mpsc::SendError(Write { then: Then::Flushed(callback), .. })) =
            self.writes.send(Write { bytes, then: Then::Flushed(callback) })
        {
            callback.log_io_completed(Err(io::Error::other("the thread that writes has ended")));
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.write(&log_id).await?;
        self.memory().entries.split_off(&log_id.index);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let mut memory = self.memory();
        memory.purged = Some(log_id);
        memory.entries = memory.entries.split_off(&(log_id.index + 1));
        Ok(())
    }
}
