//! Reading a log back, and telling a write that a crash cut short from damage.
//!
//! A write begins only after the one before it was synced. So a bad frame is:
//!
//! - **damage**, if anything whole comes after it, the sum of its own write apart, for then it was durable once;
//! - **torn**, if it is of the last write and visibly unfinished: the file ends within it, or a sector of it still
//!   holds the zeros of space never written. The sync never returned, so nobody was told of its records;
//! - **damage** otherwise: all of it was written, so its records may have been acknowledged, and a server
//!   that forgot them could break its word.
//!
//! Only a torn frame may be removed. Where damage ends and what it took away is in [`gaps`](super::gaps). Nothing here
//! changes a file, so [`super::examine`] reads by the same code as [`super::Log::open`].

use std::path::{Path, PathBuf};

use spec::Record;

use super::format::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderError, Position, SECTOR_BYTES, SEGMENT_HEADER_BYTES,
    SegmentHeader, VERSION, is_zero, seed,
};
use super::gaps::{Gap, Island, Lost, body_of, end_of_chain, island, whole_frame};
use super::segment::{path_of, read, segments_in};
use super::snapshots::Marks;
use super::sum::{Sum, Words};
use super::{Damage, Identity, LogError, SegmentState, SegmentSummary, TornTail};
use crate::payload::Payload;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Every record with its group, oldest first, and those that stand for what is lost in their place.
    pub(super) records: Vec<(u16, Record<Payload>)>,
    /// What was read of each segment.
    pub(super) segments: Vec<SegmentSummary>,
    /// Which of the server's disks it is on, as the first segment says, and the sums.
    pub(super) incarnation: u64,
    /// How far the log has come.
    pub(super) position: Position,
    /// What all records amount to.
    pub(super) words: Words,
    /// The number of the last segment; 0 if there is none.
    pub(super) segment: u64,
    /// Where its next write goes, in bytes; 0 if not even its header was written.
    pub(super) end: usize,
    /// The last thing written before `end`, a write or the header: the only one that may not be on the disk
    /// yet.
    pub(super) last_write: Vec<u8>,
    /// The length of the frame of records whose sum comes next; 0 if none does.
    unsummed: usize,
    /// What comes after `end` and must go.
    pub(super) torn: Option<TornTail>,
    /// Where each group's snapshots stand.
    pub(super) marks: Marks,
    /// What is damaged.
    pub(super) gaps: Vec<Gap>,
    /// Damage behind which nothing whole was found so far.
    lost: Option<Lost>,
    /// The first sum, and whether it stands for what came before it.
    first_sum: Option<Sum>,
    begins_with_sum: bool,
}

/// Reads the whole log of `identity` in `dir`.
pub(super) fn replay(dir: &Path, identity: Identity) -> Result<Replay, LogError> {
    let mut replay = Replay::default();
    replay_into(&mut replay, dir, identity)?;
    Ok(replay)
}

/// Reads the log of `identity` in `dir`. After an error `replay` holds what can be read.
pub(super) fn replay_into(replay: &mut Replay, dir: &Path, identity: Identity) -> Result<(), LogError> {
    let segments = segments_in(dir)?;
    let first = segments.first().copied().unwrap_or(1);
    let mut expected = first;
    for &segment in &segments {
        if segment != expected {
            replay.lose(path_of(dir, expected), 0, Damage::SegmentMissing);
        }
        expected = segment + 1;
        let path = path_of(dir, segment);
        let bytes = read(&path)?;
        replay.segment = segment;
        let is_last = Some(&segment) == segments.last();
        Reader { path, bytes: &bytes, identity, is_last, is_first: segment == first, offset: 0, replay }
            .read()?;
    }
    if let Some(lost) = replay.lost.take() {
        return Err(lost.refusal());
    }
    replay.explain_beginning(dir, first)
}

impl Replay {
    /// Something is wrong from here on.
    fn lose(&mut self, path: PathBuf, offset: u64, damage: Damage) {
        let record = self.position.records + 1;
        self.lost.get_or_insert(Lost { path, offset, record, damage });
    }

    /// Only what a snapshot stands for is ever removed. Where no snapshot explains that the log does not begin with the
    /// first segment, the first sum does.
    fn explain_beginning(&mut self, dir: &Path, first: u64) -> Result<(), LogError> {
        if first <= 1 || self.begins_with_sum || (self.marks.are_complete() && !self.records.is_empty()) {
            return Ok(());
        }
        let (path, damage) = (path_of(dir, first - 1), Damage::SegmentMissing);
        let lost = Lost { path, offset: 0, record: 1, damage };
        let Some(sum) = self.first_sum.take() else { return Err(lost.refusal()) };
        let start = self.segments.first().map_or(0, |segment| segment.start);
        self.gaps.insert(0, lost.up_to((path_of(dir, first), 0), start, Some(&sum)));
        let later = std::mem::take(&mut self.records);
        self.add_lost(&sum);
        self.records.extend(later);
        Ok(())
    }

    /// Adds what stands for the records that are lost.
    fn add_lost(&mut self, sum: &Sum) {
        self.words.add_sum(sum);
        sum.groups.iter().for_each(|group| self.marks.note_group(group.group));
        self.records.extend(sum.stand_in());
    }
}

/// Reads one segment.
struct Reader<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    identity: Identity,
    is_last: bool,
    is_first: bool,
    offset: usize,
    replay: &'a mut Replay,
}

/// What stands where a frame is expected.
enum Found {
    Frame(FrameHeader),
    /// Nothing, or zeros written ahead.
    End,
    Torn,
    Damaged(Damage),
}

/// What was read of a segment so far.
#[derive(Default)]
struct Count {
    frames: u64,
    records: u64,
    is_damaged: bool,
}

impl Reader<'_> {
    fn read(mut self) -> Result<(), LogError> {
        let mut count = Count::default();
        let start = self.replay.position.records;
        let read = self.read_segment(&mut count);
        let rest = &self.bytes[self.offset..];
        self.replay.segments.push(SegmentSummary {
            bytes: self.bytes.len() as u64,
            start,
            frames: count.frames,
            records: count.records,
            end: self.offset as u64,
            zeros: rest.iter().rev().take_while(|&&byte| byte == 0).count() as u64,
            state: match (&read, &self.replay.torn) {
                (Err(_), _) => SegmentState::Damaged,
                (Ok(()), _) if count.is_damaged => SegmentState::Damaged,
                (Ok(()), Some(_)) => SegmentState::Torn,
                (Ok(()), None) => SegmentState::Whole,
            },
            path: self.path,
        });
        read
    }

    /// Reads the segment's header, and its frames as far as any are whole.
    fn read_segment(&mut self, count: &mut Count) -> Result<(), LogError> {
        let seed = seed(self.identity, self.replay.segment);
        match self.read_header()? {
            Header::Whole => {}
            Header::Unwritten => {
                self.cut_off();
                return Ok(());
            }
            Header::Damaged(damage) => self.lose_header(damage, count, seed),
        }
        if self.bytes.len() < SEGMENT_HEADER_BYTES {
            return Ok(());
        }
        self.end_write(SEGMENT_HEADER_BYTES, 0);
        let mut from = self.offset;
        loop {
            if self.replay.lost.is_some() {
                count.is_damaged = true;
                let Some(island) = island(self.bytes, from, seed, self.replay.position) else {
                    return Ok(());
                };
                self.go_on(&island);
            }
            match self.find(seed) {
                Found::Frame(header) => self.read_frame(&header, count)?,
                Found::End => return Ok(()),
                Found::Torn => {
                    self.cut_off();
                    return Ok(());
                }
                Found::Damaged(damage) => {
                    count.is_damaged = true;
                    if !self.skip_sum(damage, seed) {
                        // A whole frame that does not follow is stale, or what it should follow is: it is no way on.
                        from = end_of_chain(self.bytes, self.offset, seed);
                        self.lose(damage);
                    }
                }
            }
        }
    }

    /// Reads the segment's header, and moves to where the log stands there, if that is not known.
    fn read_header(&mut self) -> Result<Header, LogError> {
        match SegmentHeader::decode(self.bytes) {
            Ok(header) if header.identity != self.identity => Err(LogError::WrongIdentity {
                path: self.path.clone(),
                found: header.identity,
                expected: self.identity,
            }),
            Ok(header) if header.segment != self.replay.segment => Ok(Header::Damaged(Damage::Chain)),
            // What the first one comes after was removed, or is nothing.
            Ok(header) if self.is_first => {
                let position = if header.segment == 1 { Position::default() } else { header.start };
                (self.replay.position, self.replay.incarnation) = (position, header.incarnation);
                Ok(if header.start == position { Header::Whole } else { Header::Damaged(Damage::Chain) })
            }
            Ok(header) if header.incarnation != self.replay.incarnation => Ok(Header::Damaged(Damage::Chain)),
            Ok(header) if header.start == self.replay.position || self.replay.lost.is_some() => {
                Ok(Header::Whole)
            }
            Ok(_) => Ok(Header::Damaged(Damage::Chain)),
            // Anything follows a header only once it is durable.
            Err(HeaderError::Unwritten) if self.is_last && self.holds_no_more_than_a_header() => {
                Ok(Header::Unwritten)
            }
            Err(HeaderError::Version(found)) => {
                Err(LogError::OtherVersion { path: self.path.clone(), found, supported: VERSION })
            }
            Err(HeaderError::Unwritten | HeaderError::Damaged) => Ok(Header::Damaged(Damage::Header)),
        }
    }

    fn holds_no_more_than_a_header(&self) -> bool {
        self.bytes.get(SEGMENT_HEADER_BYTES..).is_none_or(is_zero)
    }

    /// The header says nothing. What it should have said follows from the first frame, if that is the next one.
    fn lose_header(&mut self, damage: Damage, count: &mut Count, seed: u32) {
        count.is_damaged = true;
        let next = whole_frame(self.bytes, SEGMENT_HEADER_BYTES, seed);
        let position = &mut self.replay.position;
        if let Some(next) = next.filter(|_| self.is_first && self.replay.segment > 1) {
            (position.records, position.previous) = (next.records, next.previous);
        }
        let follows =
            |next: FrameHeader| (next.previous, next.records) == (position.previous, position.records);
        if damage == Damage::Header && self.replay.lost.is_none() && next.is_some_and(follows) {
            self.note_harmless(damage, SEGMENT_HEADER_BYTES);
        } else {
            self.lose(damage);
        }
    }

    fn lose(&mut self, damage: Damage) {
        self.replay.lose(self.path.clone(), self.offset as u64, damage);
    }

    /// Notes damage from here up to `end` of which nothing is lost.
    fn note_harmless(&mut self, damage: Damage, end: usize) {
        let records = self.replay.position.records;
        let lost = Lost { path: self.path.clone(), offset: self.offset as u64, record: records + 1, damage };
        self.replay.gaps.push(lost.up_to((self.path.clone(), end as u64), records, None));
    }

    /// The log goes on behind damage: the sum there stands for what is lost.
    fn go_on(&mut self, island: &Island) {
        let Some(lost) = self.replay.lost.take() else { return };
        let Island { offset, first, sum } = island;
        let position = self.replay.position;
        // Only sums are damaged if no record is missing, unless a block is stale.
        let is_harmless = first.records == position.records && lost.damage != Damage::Chain;
        let sum = Some(sum).filter(|_| !is_harmless);
        let end = (self.path.clone(), *offset as u64);
        self.replay.gaps.push(lost.up_to(end, first.records, sum));
        if let Some(sum) = sum {
            self.replay.begins_with_sum |= self.replay.records.is_empty();
            self.replay.add_lost(sum);
        }
        self.replay.position = Position { records: first.records, previous: first.previous, ..position };
        self.offset = *offset;
        self.replay.unsummed = 0;
        self.replay.last_write.clear(); // it ended before the damage, and is durable
    }

    /// Moves past a sum that is damaged, if it is certain that nothing else stood here: what it said follows from the
    /// records before it. Whether it did.
    fn skip_sum(&mut self, damage: Damage, seed: u32) -> bool {
        let position = self.replay.position;
        // Behind records stands their sum, and behind a sum another one if the log was opened then.
        let back = self.replay.unsummed;
        let boots = if back > 0 { position.boots } else { position.boots + 1 };
        let due = self.replay.words.sum(boots, self.replay.incarnation);
        let (frame, checksum) = due.frame(position, back, self.offset as u64, seed);
        let end = self.offset + frame.len();
        let next = whole_frame(self.bytes, end, seed);
        let is_followed =
            next.is_some_and(|next| (next.previous, next.records) == (checksum, position.records));
        let is_last = back > 0 && self.bytes.get(end..).is_some_and(is_zero);
        if is_followed || is_last {
            self.note_harmless(damage, end);
            self.replay.position = Position { previous: checksum, boots, ..position };
            self.end_write(frame.len(), back);
        }
        is_followed || is_last
    }

    fn find(&self, seed: u32) -> Found {
        let position = self.replay.position;
        if is_zero(&self.bytes[self.offset..]) {
            return Found::End;
        }
        match whole_frame(self.bytes, self.offset, seed) {
            Some(header) if header.previous == position.previous && header.records == position.records => {
                return Found::Frame(header);
            }
            Some(_) => return Found::Damaged(Damage::Chain),
            None => {}
        }
        // Where the bad frame ends is known only if its header is whole.
        let header = FrameHeader::decode(self.bytes, self.offset, seed);
        let frame_bytes = header.map_or(FRAME_HEADER_BYTES, |header| header.frame_bytes());
        let after = self.offset.saturating_add(frame_bytes);
        if !self.is_last {
            Found::Damaged(Damage::BeforeLaterSegment)
        } else if self.header_follows(after, seed) {
            Found::Damaged(Damage::BeforeWholeRecords)
        } else if self.is_unfinished(after) {
            Found::Torn
        } else {
            Found::Damaged(Damage::MayBeAcknowledged)
        }
    }

    /// Whether another write was begun anywhere from `from` on. A header is proof enough: a write is begun only
    /// once all before it is durable.
    fn header_follows(&self, from: usize, seed: u32) -> bool {
        (from..self.bytes.len()).step_by(FRAME_HEADER_BYTES).any(|offset| {
            FrameHeader::decode(self.bytes, offset, seed).is_some_and(|header| {
                let is_of_this_write = header.back > 0 && header.back as usize == offset - self.offset;
                header.records >= self.replay.position.records && !is_of_this_write
            })
        })
    }

    /// Whether part of what should stand before `end` was never written. A frame's header (within one sector)
    /// and its padding are not zero, so its first and last sector cannot be zero once written; a sector
    /// between them can only if a value has 512 zeros in the right place.
    fn is_unfinished(&self, end: usize) -> bool {
        if end > self.bytes.len() || is_zero(&self.bytes[end - FRAME_HEADER_BYTES..end]) {
            return true;
        }
        let sector_end = |at: usize| (at + 1).next_multiple_of(SECTOR_BYTES).min(end);
        let starts = std::iter::successors(Some(self.offset), |&at| Some(sector_end(at)));
        starts.take_while(|&at| at < end).any(|at| is_zero(&self.bytes[at..sector_end(at)]))
    }

    fn read_frame(&mut self, header: &FrameHeader, count: &mut Count) -> Result<(), LogError> {
        let body = body_of(self.bytes, self.offset, header);
        let read = body.and_then(|body| match header.kind {
            FrameKind::Records => self.read_records(body),
            FrameKind::Sum => self.read_sum(body),
        });
        let records = read.ok_or_else(|| self.undecodable())?;
        count.frames += 1;
        count.records += records;
        self.replay.position.records += records;
        self.replay.position.previous = header.checksum;
        self.end_write(header.frame_bytes(), header.back as usize);
        if header.kind == FrameKind::Records {
            self.replay.unsummed = header.frame_bytes();
        }
        Ok(())
    }

    /// Adds the records in a frame's body, and counts them.
    fn read_records(&mut self, mut body: &[u8]) -> Option<u64> {
        let mut count = 0;
        while !body.is_empty() {
            let ((group, record), rest) = postcard::take_from_bytes(body).ok()?;
            self.replay.words.add(group, &record);
            self.replay.marks.note(group, &record, self.replay.segment);
            self.replay.records.push((group, record));
            body = rest;
            count += 1;
        }
        Some(count)
    }

    fn read_sum(&mut self, body: &[u8]) -> Option<u64> {
        let sum = Sum::decode(body)?;
        self.replay.position.boots = self.replay.position.boots.max(sum.boots);
        self.replay.incarnation = self.replay.incarnation.max(sum.incarnation);
        self.replay.words.add_sum(&sum);
        self.replay.first_sum.get_or_insert(sum);
        Some(0)
    }

    /// Moves past `bytes` bytes, which belong to a write that began `back` bytes before them.
    fn end_write(&mut self, bytes: usize, back: usize) {
        let end = self.offset + bytes;
        if back == 0 {
            self.replay.last_write.clear();
        }
        self.replay.last_write.extend_from_slice(&self.bytes[self.offset..end]);
        self.replay.end = end;
        self.replay.unsummed = 0;
        self.offset = end;
    }

    /// Marks what is left as torn; zeros written ahead do not count.
    fn cut_off(&mut self) {
        let rest = &self.bytes[self.offset..];
        let bytes = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        self.replay.torn = Some(TornTail { path: self.path.clone(), offset: self.offset as u64, bytes });
        self.replay.end = self.offset;
    }

    fn undecodable(&self) -> LogError {
        LogError::Damaged {
            path: self.path.clone(),
            offset: self.offset as u64,
            record: self.replay.position.records + 1,
            damage: Damage::Undecodable,
        }
    }
}

/// What stands at the beginning of a segment.
enum Header {
    Whole,
    /// Its write was cut short.
    Unwritten,
    Damaged(Damage),
}
