//! Reading a log back, and telling a write that a crash cut short from damage.
//!
//! A frame is written only after the one before it was synced. So a bad frame is:
//!
//! - **damage**, if anything whole comes after it, for then it was durable once;
//! - **torn**, if it is the last and visibly unfinished: the file ends within it, or a sector of it still
//!   holds the zeros of space never written. Its sync never returned, so nobody was told of its records;
//! - **damage** otherwise: all of it was written, so its records may have been acknowledged, and a server
//!   that forgot them could break its word.
//!
//! Only a torn frame may be removed. Nothing here changes a file, so [`super::examine`] reads by the same code
//! as [`super::Log::open`].

use std::fs;
use std::path::{Path, PathBuf};

use spec::Record;

use super::format::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderError, Position, SECTOR_BYTES, SEGMENT_HEADER_BYTES,
    SegmentHeader, VERSION, is_zero, seed,
};
use super::segment::{path_of, segments_in};
use super::snapshots::Marks;
use super::{Damage, Identity, LogError, SegmentState, SegmentSummary, TornTail};
use crate::payload::Payload;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Every record with its group, oldest first.
    pub(super) records: Vec<(u16, Record<Payload>)>,
    /// What was read of each segment.
    pub(super) segments: Vec<SegmentSummary>,
    /// Which of the server's disks it is on, as the first segment says.
    pub(super) incarnation: u64,
    /// How far the log has come.
    pub(super) position: Position,
    /// The number of the last segment; 0 if there is none.
    pub(super) segment: u64,
    /// Where its next frame goes, in bytes; 0 if not even its header was written.
    pub(super) end: usize,
    /// The last thing written before `end`, a frame or the header: the only one that may not be on the disk
    /// yet.
    pub(super) last_write: Vec<u8>,
    /// What comes after `end` and must go.
    pub(super) torn: Option<TornTail>,
    /// Where each group's snapshots stand.
    pub(super) marks: Marks,
}

/// Reads the whole log of `identity` in `dir`.
pub(super) fn replay(dir: &Path, identity: Identity) -> Result<Replay, LogError> {
    let mut replay = Replay::default();
    replay_into(&mut replay, dir, identity)?;
    Ok(replay)
}

/// Reads the log of `identity` in `dir`. After an error `replay` holds what comes before the damage.
pub(super) fn replay_into(replay: &mut Replay, dir: &Path, identity: Identity) -> Result<(), LogError> {
    let segments = segments_in(dir)?;
    let first = segments.first().copied().unwrap_or(1);
    for (&segment, expected) in segments.iter().zip(first..) {
        let path = path_of(dir, expected);
        if segment != expected {
            let damage = Damage::SegmentMissing;
            return Err(LogError::Damaged { path, offset: 0, record: replay.position.records + 1, damage });
        }
        let bytes = fs::read(&path).map_err(LogError::disk(&path, 0, "read the segment"))?;
        replay.segment = segment;
        let is_last = Some(&segment) == segments.last();
        Reader { path, bytes: &bytes, identity, is_last, is_first: segment == first, offset: 0, replay }
            .read()?;
    }
    if first > 1 && !(replay.marks.are_complete() && replay.segments.iter().any(|read| read.records > 0)) {
        // Only what a snapshot stands for is ever removed.
        let damage = Damage::SegmentMissing;
        return Err(LogError::Damaged { path: path_of(dir, first - 1), offset: 0, record: 1, damage });
    }
    Ok(())
}

/// The frame at `offset` of a segment, if its header and its body are whole.
fn whole_frame(segment: &[u8], offset: usize, seed: u32) -> Option<FrameHeader> {
    let header = FrameHeader::decode(segment, offset, seed)?;
    let body = body_of(segment, offset, &header)?;
    (crc32c::crc32c(body) == header.body_checksum).then_some(header)
}

/// A frame's body and padding, if the segment holds all of it.
fn body_of<'a>(segment: &'a [u8], offset: usize, header: &FrameHeader) -> Option<&'a [u8]> {
    segment[offset..].get(FRAME_HEADER_BYTES..usize::try_from(header.frame_bytes()).ok()?)
}

/// The whole frames of a segment from `offset` on, wherever they begin: what stands behind damage.
pub(super) fn whole_frames_from(segment: &[u8], offset: usize, seed: u32) -> Vec<FrameHeader> {
    let starts = (offset..segment.len()).step_by(FRAME_HEADER_BYTES);
    starts.filter_map(|start| whole_frame(segment, start, seed)).collect()
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

impl Reader<'_> {
    fn read(mut self) -> Result<(), LogError> {
        let before = self.replay.records.len();
        let mut frames = 0;
        let read = self.read_frames(&mut frames);
        let rest = &self.bytes[self.offset..];
        self.replay.segments.push(SegmentSummary {
            bytes: self.bytes.len() as u64,
            frames,
            records: (self.replay.records.len() - before) as u64,
            end: self.offset as u64,
            zeros: rest.iter().rev().take_while(|&&byte| byte == 0).count() as u64,
            state: match (&read, &self.replay.torn) {
                (Err(_), _) => SegmentState::Damaged,
                (Ok(()), Some(_)) => SegmentState::Torn,
                (Ok(()), None) => SegmentState::Whole,
            },
            path: self.path,
        });
        read
    }

    /// Reads up to the segment's end or the first thing that is not whole, and counts the frames.
    fn read_frames(&mut self, frames: &mut u64) -> Result<(), LogError> {
        let seed = seed(self.identity, self.replay.segment);
        let Some(header) = self.read_header()? else {
            self.cut_off();
            return Ok(());
        };
        if self.is_first {
            (self.replay.position, self.replay.incarnation) = (header.start, header.incarnation);
        }
        self.end_write(SEGMENT_HEADER_BYTES);
        loop {
            match self.find(seed) {
                Found::Frame(header) => {
                    self.read_frame(&header)?;
                    *frames += 1;
                }
                Found::End => return Ok(()),
                Found::Torn => {
                    self.cut_off();
                    return Ok(());
                }
                Found::Damaged(damage) => return Err(self.damaged(damage)),
            }
        }
    }

    /// The segment's header; none if its write was cut short.
    fn read_header(&self) -> Result<Option<SegmentHeader>, LogError> {
        match SegmentHeader::decode(self.bytes) {
            Ok(header) if header.identity != self.identity => Err(LogError::WrongIdentity {
                path: self.path.clone(),
                found: header.identity,
                expected: self.identity,
            }),
            // What the first one comes after was removed, or is nothing.
            Ok(header)
                if header.segment != self.replay.segment
                    || (header.incarnation != self.replay.incarnation && !self.is_first)
                    || (header.start != self.replay.position && !(self.is_first && header.segment > 1)) =>
            {
                Err(self.damaged(Damage::Chain))
            }
            Ok(header) => Ok(Some(header)),
            // Anything follows a header only once it is durable.
            Err(HeaderError::Unwritten) if self.is_last && self.holds_no_more_than_a_header() => Ok(None),
            Err(HeaderError::Newer(found)) => {
                Err(LogError::NewerVersion { path: self.path.clone(), found, supported: VERSION })
            }
            Err(HeaderError::Unwritten | HeaderError::Damaged) => Err(self.damaged(Damage::Header)),
        }
    }

    fn holds_no_more_than_a_header(&self) -> bool {
        self.bytes.get(SEGMENT_HEADER_BYTES..).is_none_or(is_zero)
    }

    fn find(&self, seed: u32) -> Found {
        if is_zero(&self.bytes[self.offset..]) {
            return Found::End;
        }
        if let Some(header) = whole_frame(self.bytes, self.offset, seed) {
            return Found::Frame(header);
        }
        // Where the bad frame ends is known only if its header is whole.
        let header = FrameHeader::decode(self.bytes, self.offset, seed);
        let frame_bytes = header.map_or(FRAME_HEADER_BYTES as u64, |header| header.frame_bytes());
        let after = usize::try_from(frame_bytes).unwrap_or(usize::MAX).saturating_add(self.offset);
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

    /// Whether a frame was begun anywhere from `from` on. Its header is proof enough: a frame is begun only
    /// once all before it is durable.
    fn header_follows(&self, from: usize, seed: u32) -> bool {
        (from..self.bytes.len()).step_by(FRAME_HEADER_BYTES).any(|offset| {
            FrameHeader::decode(self.bytes, offset, seed)
                .is_some_and(|header| header.records >= self.replay.position.records)
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

    fn read_frame(&mut self, header: &FrameHeader) -> Result<(), LogError> {
        let position = self.replay.position;
        if header.previous != position.previous || header.records != position.records {
            return Err(self.damaged(Damage::Chain));
        }
        let body_bytes = usize::try_from(header.body_bytes).unwrap_or(usize::MAX);
        let body = body_of(self.bytes, self.offset, header).and_then(|body| body.get(..body_bytes));
        let read = body.and_then(|body| match header.kind {
            FrameKind::Records => {
                let before = self.replay.records.len();
                let count = read_records(body, &mut self.replay.records);
                let added = self.replay.records.iter().skip(before);
                added.for_each(|(group, record)| self.replay.marks.note(*group, record, self.replay.segment));
                count
            }
            FrameKind::Boot => {
                self.replay.position.boots = u64::from_le_bytes(body.try_into().ok()?);
                Some(0)
            }
        });
        let records = read.ok_or_else(|| self.damaged(Damage::Undecodable))?;
        self.replay.position.records += records;
        self.replay.position.previous = header.checksum;
        self.end_write(FRAME_HEADER_BYTES + body_bytes + 1);
        Ok(())
    }

    /// Moves past something whole of `bytes` bytes and its padding.
    fn end_write(&mut self, bytes: usize) {
        let end = self.offset + bytes.next_multiple_of(FRAME_HEADER_BYTES);
        self.replay.last_write.clear();
        self.replay.last_write.extend_from_slice(&self.bytes[self.offset..end]);
        self.replay.end = end;
        self.offset = end;
    }

    /// Marks what is left as torn; zeros written ahead do not count.
    fn cut_off(&mut self) {
        let rest = &self.bytes[self.offset..];
        let bytes = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        self.replay.torn = Some(TornTail { path: self.path.clone(), offset: self.offset as u64, bytes });
        self.replay.end = self.offset;
    }

    fn damaged(&self, damage: Damage) -> LogError {
        LogError::Damaged {
            path: self.path.clone(),
            offset: self.offset as u64,
            record: self.replay.position.records + 1,
            damage,
        }
    }
}

/// Adds the records in a frame's body to `records`, and counts them.
fn read_records(mut body: &[u8], records: &mut Vec<(u16, Record<Payload>)>) -> Option<u64> {
    let mut count = 0;
    while !body.is_empty() {
        let (record, rest) = postcard::take_from_bytes(body).ok()?;
        records.push(record);
        body = rest;
        count += 1;
    }
    Some(count)
}
