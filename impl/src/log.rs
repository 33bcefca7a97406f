//! The write-ahead log: what a server must not forget, in the order in which its handlers listed it.
//!
//! A log is a directory of numbered segments. All records that one [`Log::sync`] makes durable are one *frame*, under
//! one checksum; it is there as a whole or not at all, and the next is written only once it is durable. That
//! is what lets [`Log::open`] tell a write that a crash cut short (removed, and reported) from damage (never removed).
//! Each checksum covers the cluster, the server, the segment and the offset, and each
//! frame names the one before it, so a block that is stale, misplaced or somebody else's is damage too.
//!
//! Behind every frame of records stands a *sum* of all of them so far: views, terms, and the highest slot. Where the log
//! is damaged, the next sum says what a server must not forget, and what it has to learn again from others before it
//! may vote. Damage that no sum follows is refused, and nothing is changed.
//!
//! Beside the log stand the [snapshots](crate::snapshot) of each group. What comes before the second newest is removed
//! in whole segments. Threads may work for a log while its owner goes on: one syncs records, one makes the next segment, and
//! one writes snapshots and removes what they let go.
//!
//! A log is begun once, by [`Log::create`]: a directory without one is that of a server that lost its disk, and is refused.
//! What a log cannot notice is that its newest frames are missing without a trace, as on a disk that lies about syncs, or
//! in an old backup. The other servers can: see [`Recovery::position`].

mod begin;
mod clerk;
#[cfg(test)]
mod clerk_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
mod direct;
mod error;
mod examine;
#[cfg(test)]
mod faults;
mod file;
mod format;
pub(crate) mod fuzzing;
mod gaps;
mod lock;
#[cfg(test)]
mod overlap_tests;
mod replay;
mod segment;
mod snapshots;
mod spare;
mod sum;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trim_tests;
mod writer;

use std::fmt;
use std::fs::File;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

pub use begin::set_aside;
use clerk::{Clerk, Home};
pub use error::{Damage, LogError};
pub use examine::{Examination, SegmentState, SegmentSummary, SnapshotSummary, examine};
use format::{FRAME_HEADER_BYTES, FrameKind, Label, Position, SegmentHeader};
pub use gaps::Gap;
pub use lock::Holder;
use replay::Replay;
use segment::{Place, Segment};
use snapshots::Marks;
use spare::Spare;
use sum::Words;
pub(crate) use sum::stand_in;
use writer::{Write, Writer};

use crate::payload::Payload;

/// Whose log it is. Part of every checksum, so that a block of another server's log is never taken for
/// one's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: u64,
    /// The server's id.
    pub server: u8,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} of cluster {:016x}", self.server, self.cluster)
    }
}

/// Sizes of a log's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// A segment is left for the next one before it grows beyond this, in bytes.
    pub segment_bytes: u64,
    /// Zeros are written ahead up to the next multiple of this, in bytes; 0 writes none.
    pub zero_fill_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, zero_fill_bytes: 4 << 20 }
    }
}

/// What [`Log::open`] found.
#[derive(Default, Debug)]
pub struct Recovery {
    /// Every record with its group, oldest first; durable by now.
    pub records: Vec<(u16, spec::Record<Payload>)>,
    /// A write that a crash cut short and that was removed.
    pub torn: Option<TornTail>,
    /// How often this directory was opened, this time included.
    pub boots: u64,
    /// Which of the server's disks this is: 0 for the first, and higher than all that any of them knew for a later one.
    pub incarnation: u64,
    /// How many records the log has had, with those that were removed since: never less than at any time before.
    pub position: u64,
    /// What is damaged, oldest first. It stays as it is.
    pub gaps: Vec<Gap>,
}

/// The remains of a write that a crash cut short. It was never synced, so nothing waited for it that left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// Where the segment ends now, in bytes.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// An open log. Holds the directory's lock until it is dropped.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    identity: Identity,
    incarnation: u64,
    options: LogOptions,
    segment: Segment,
    /// The next segment's file.
    spare: Spare,
    /// Where the log stands, without what is buffered.
    position: Position,
    /// The next frame: room for its header, then the records that were appended since the last sync.
    frame: Vec<u8>,
    buffered_records: u64,
    /// What all records amount to, with those that are buffered.
    words: Words,
    /// Where snapshots stand in the log, with those of the records that are buffered.
    marks: Marks,
    /// Whether a snapshot is among the records that are buffered.
    is_snapshot_buffered: bool,
    /// Writes while this log's owner goes on, if it is to; see [`Log::write_behind`].
    writer: Option<Writer>,
    /// Whether a write is with the writer.
    is_writing: bool,
    /// What a write that is under way lets go when it is over: what comes before these marks.
    trims: Option<Marks>,
    /// Writes snapshots and removes what is let go. Dropped before the lock is: what it is at is over then.
    clerk: Clerk,
    /// What a write was in, kept for its allocation.
    former: Vec<u8>,
    is_poisoned: bool,
    _lock: File,
}

impl Log {
    /// Opens the log in `dir` with the default [`LogOptions`].
    ///
    /// # Errors
    /// As [`Log::open_with`].
    pub fn open(dir: &Path, identity: Identity) -> Result<(Self, Recovery), LogError> {
        Self::open_with(dir, identity, LogOptions::default())
    }

    /// Opens the log in `dir`. Reads all of it into memory, removes a write that a crash cut short, and durably counts
    /// one more opening. Where something is damaged, the records hold what the server must not forget, and what it lacks.
    ///
    /// # Errors
    /// If there is no log, if it is damaged and nothing behind says what is lost, if it is another's, of another format or
    /// in use, and if the disk fails. Then nothing but the lock file was changed, unless a write failed.
    pub fn open_with(
        dir: &Path,
        identity: Identity,
        options: LogOptions,
    ) -> Result<(Self, Recovery), LogError> {
        let no_log = || LogError::NotBegun { path: dir.to_owned() };
        if !dir.is_dir() {
            return Err(no_log());
        }
        let lock = lock::take(dir)?;
        let replay = replay::replay(dir, identity)?;
        if begin::is_no_log(&replay) {
            return Err(no_log());
        }
        spare::remove_left(dir).map_err(LogError::disk(dir, 0, "remove a segment that was not begun"))?;
        let mut log = Self {
            dir: dir.to_owned(),
            identity,
            incarnation: replay.incarnation,
            options,
            segment: open_segment(dir, identity, &replay)?,
            spare: Spare::None,
            position: replay.position,
            frame: vec![0; FRAME_HEADER_BYTES],
            buffered_records: 0,
            words: replay.words,
            marks: replay.marks,
            is_snapshot_buffered: false,
            writer: None,
            is_writing: false,
            trims: None,
            clerk: Clerk::new(Home { dir: dir.to_owned(), identity }),
            former: Vec::new(),
            is_poisoned: false,
            _lock: lock,
        };
        let boots = log.position.boots + 1;
        log.commit(boots)?;
        let Replay { records, torn, incarnation, position, gaps, .. } = replay;
        Ok((log, Recovery { records, torn, boots, incarnation, position: position.records, gaps }))
    }

    /// Buffers a record after those appended before. No system call.
    pub fn append(&mut self, group: u16, record: &spec::Record<Payload>) {
        let frame = mem::take(&mut self.frame);
        self.frame = postcard::to_extend(&(group, record), frame)
            .expect("records are plain data, and writing them to memory cannot fail");
        self.buffered_records += 1;
        self.words.add(group, record);
        // Should the frame go to the next segment, what is kept is a segment more than is needed.
        self.marks.note(group, record, self.segment.number);
        self.is_snapshot_buffered |= matches!(record, spec::Record::Snapshot(_));
    }

    /// From now on a sync may overlap with what this log's owner does, and snapshots do: threads of the log's work on
    /// them, and call `wake` when something is over.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn write_behind(&mut self, wake: impl Fn() + Clone + Send + 'static) -> io::Result<()> {
        self.writer = Some(Writer::start(Box::new(wake.clone()))?);
        self.clerk.start(Box::new(wake))
    }

    /// Makes every record that was appended so far durable, all at once; does nothing if there is none.
    ///
    /// # Errors
    /// As [`Log::begin_sync`] and [`Log::end_sync`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.begin_sync(false)?;
        self.end_sync(true).map(|_| ())
    }

    /// Begins to make every record that was appended so far durable, all at once; does nothing if there is none. The sync
    /// before must be over. If it `overlaps`, and [`Log::write_behind`] was called, this returns while a thread works on it;
    /// else it is over when this returns.
    ///
    /// # Errors
    /// [`LogError::NoRoom`] if the disk is full. Then nothing of the records was written, they are still buffered, and this
    /// may be tried again.
    ///
    /// If the write or the sync fails, now or at any time before: what reached the disk is unknown then, and
    /// no later success would prove that it did, so the log takes nothing more. Close it and open it again.
    pub fn begin_sync(&mut self, overlaps: bool) -> Result<(), LogError> {
        debug_assert!(!self.is_writing, "one sync at a time");
        self.check_poison()?;
        if self.buffered_records == 0 {
            return Ok(());
        }
        let place = self.prepare_write(self.position.boots)?;
        self.trims = mem::take(&mut self.is_snapshot_buffered).then(|| self.marks.clone());
        let Some(writer) = self.writer.as_ref().filter(|_| overlaps) else {
            return self.write(place);
        };
        self.is_writing = true;
        let mut next = mem::take(&mut self.former);
        next.resize(FRAME_HEADER_BYTES, 0);
        let frames = mem::replace(&mut self.frame, next);
        writer.begin(Write { place, frames });
        Ok(())
    }

    /// Whether the sync that was begun last is over; waits for it if it `waits`. What a snapshot among its records lets go is
    /// removed from then on, and before this returns unless [`Log::write_behind`] was called.
    ///
    /// # Errors
    /// If the write or the sync failed, as [`Log::begin_sync`] says, or if something could not be removed, as
    /// [`Log::end_snapshot`] says.
    pub fn end_sync(&mut self, waits: bool) -> Result<bool, LogError> {
        if self.is_writing {
            let Some((Write { place, frames }, written)) =
                self.writer.as_ref().and_then(|writer| writer.end(waits))
            else {
                return Ok(false);
            };
            self.former = frames;
            self.former.clear();
            self.is_writing = false;
            written?;
            self.segment.go_on_behind(place);
            self.is_poisoned = false;
        }
        self.check_poison()?; // What is let go rests on a write that has gone well.
        if let Some(marks) = self.trims.take() {
            self.clerk.trim(marks)?;
        }
        Ok(true)
    }

    fn check_poison(&self) -> Result<(), LogError> {
        let Segment { file, offset, .. } = &self.segment;
        if self.is_poisoned {
            return Err(LogError::Poisoned { path: file.path.clone(), offset: *offset });
        }
        Ok(())
    }

    /// How many bytes wait for the next sync.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.frame.len().saturating_sub(FRAME_HEADER_BYTES)
    }

    /// Makes the buffered records durable, if there are any, and the sum of everything.
    fn commit(&mut self, boots: u64) -> Result<(), LogError> {
        let place = self.prepare_write(boots)?;
        self.write(place)
    }

    /// Makes frames of the buffered records, if there are any, and of the sum of everything. Until they are written the log
    /// takes nothing more. Returns where they go.
    fn prepare_write(&mut self, boots: u64) -> Result<Place, LogError> {
        let buffered = self.frame.len();
        let (records, sum) = self.close_write(boots);
        if let Err(error) = self.make_room() {
            self.is_poisoned = !matches!(error, LogError::NoRoom { .. });
            self.frame.truncate(buffered);
            return Err(error);
        }
        self.is_poisoned = true; // until it has gone well
        self.seal_write(records, sum);
        self.position.boots = boots;
        let place = self.segment.place(self.frame.len());
        if self.writer.is_some() && self.segment.is_half_full(&self.options) {
            self.spare.begin(&self.dir, self.options.segment_bytes);
        }
        Ok(place)
    }

    fn write(&mut self, mut place: Place) -> Result<(), LogError> {
        place.write(&self.frame)?;
        self.segment.go_on_behind(place);
        self.is_poisoned = false;
        self.frame.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }

    /// Pads the records' frame, if there are any, and puts the sum behind it. Returns the lengths of the two bodies.
    fn close_write(&mut self, boots: u64) -> (Option<u32>, u32) {
        let records = (self.buffered_records > 0).then(|| format::pad(&mut self.frame, 0));
        if records.is_none() {
            self.frame.clear();
        }
        (records, self.words.sum(boots, self.incarnation).write(&mut self.frame))
    }

    /// Goes on to the next segment if this one is full, and sees to it that the write does not make the file longer.
    fn make_room(&mut self) -> Result<(), LogError> {
        if self.segment.is_full(self.frame.len(), &self.options) {
            let header = SegmentHeader {
                identity: self.identity,
                incarnation: self.incarnation,
                segment: self.segment.number + 1,
                start: self.position,
            };
            self.segment = match self.spare.take() {
                Some(file) => Segment::adopt(&self.dir, &header, file)?,
                None => Segment::create(&self.dir, &header)?,
            };
        }
        self.segment.fill_ahead(self.frame.len(), &self.options)
    }

    /// Writes the headers of the write's frames.
    fn seal_write(&mut self, records: Option<u32>, sum: u32) {
        let Segment { offset, seed, .. } = self.segment;
        let mut rest = &mut self.frame[..];
        let mut back = 0;
        if let Some(body_bytes) = records {
            let label = Label { kind: FrameKind::Records, body_bytes, back, offset, seed };
            let (frame, behind) = rest.split_at_mut(format::frame_bytes(body_bytes as usize));
            (back, rest) = (frame.len(), behind);
            self.position.previous = format::seal(frame, &label, self.position);
            self.position.records += mem::take(&mut self.buffered_records);
        }
        let label = Label { kind: FrameKind::Sum, body_bytes: sum, back, offset: offset + back as u64, seed };
        self.position.previous = format::seal(rest, &label, self.position);
    }
}

/// The segment to go on with, made fit to be written.
fn open_segment(dir: &Path, identity: Identity, replay: &Replay) -> Result<Segment, LogError> {
    if replay.end == 0 {
        let Replay { incarnation, segment, position: start, .. } = *replay;
        let header = SegmentHeader { identity, incarnation, segment, start };
        return Segment::create(dir, &header);
    }
    let Replay { segment, end, last_write, torn, .. } = replay;
    Segment::reopen(dir, identity, *segment, *end as u64, last_write, torn.is_some())
}
