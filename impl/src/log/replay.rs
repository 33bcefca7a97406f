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
//! Only a torn frame may be removed. Nothing here changes a file.

use std::fs;
use std::path::{Path, PathBuf};

use spec::Record;

use super::format::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderError, Position, SECTOR_BYTES, SEGMENT_HEADER_BYTES,
    SegmentHeader, VERSION, is_zero, seed,
};
use super::segment::{path_of, segments_in};
use super::{Damage, Identity, LogError, TornTail};
use crate::payload::Payload;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Every record with its group, oldest first.
    pub(super) records: Vec<(u16, Record<Payload>)>,
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
}

/// Reads the whole log of `identity` in `dir`.
pub(super) fn replay(dir: &Path, identity: Identity) -> Result<Replay, LogError> {
    let mut replay = Replay::default();
    let segments = segments_in(dir)?;
    for (&segment, expected) in segments.iter().zip(1..) {
        let path = path_of(dir, expected);
        if segment != expected {
            let damage = Damage::SegmentMissing;
            return Err(LogError::Damaged { path, offset: 0, record: replay.position.records + 1, damage });
        }
        let bytes = fs::read(&path).map_err(LogError::disk(&path, 0, "read the segment"))?;
        replay.segment = segment;
        let is_last = Some(&segment) == segments.last();
        Reader { path, bytes: &bytes, identity, is_last, offset: 0, replay: &mut replay }.read()?;
    }
    Ok(replay)
}

/// Reads one segment.
struct Reader<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    identity: Identity,
    is_last: bool,
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

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<(), LogError> {
        let seed = seed(self.identity, self.replay.segment);
        if !self.read_header(seed)? {
            self.cut_off();
            return Ok(());
        }
        self.end_write(SEGMENT_HEADER_BYTES);
        loop {
            match self.find(seed) {
                Found::Frame(header) => self.read_frame(&header)?,
                Found::End => return Ok(()),
                Found::Torn => {
                    self.cut_off();
                    return Ok(());
                }
                Found::Damaged(damage) => return Err(self.damaged(damage)),
            }
        }
    }

    /// Checks the segment's header. False: its write was cut short.
    fn read_header(&self, seed: u32) -> Result<bool, LogError> {
        match SegmentHeader::decode(self.bytes) {
            Ok(header) if header.identity != self.identity => Err(LogError::WrongIdentity {
                path: self.path.clone(),
                found: header.identity,
                expected: self.identity,
            }),
            Ok(header) if header.segment != self.replay.segment || header.start != self.replay.position => {
                Err(self.damaged(Damage::Chain))
            }
            Ok(_) => Ok(true),
            // Frames follow a header only once it is durable.
            Err(HeaderError::Unwritten)
                if self.is_last && !self.header_follows(SEGMENT_HEADER_BYTES, seed) =>
            {
                Ok(false)
            }
            Err(HeaderError::Newer(found)) => {
                Err(LogError::NewerVersion { path: self.path.clone(), found, supported: VERSION })
            }
            Err(HeaderError::Unwritten | HeaderError::Damaged) => Err(self.damaged(Damage::Header)),
        }
    }

    fn find(&self, seed: u32) -> Found {
        if is_zero(&self.bytes[self.offset..]) {
            return Found::End;
        }
        let header = FrameHeader::decode(self.bytes, self.offset, seed);
        if let Some(header) = header
            && self.body(&header).is_some_and(|body| crc32c::crc32c(body) == header.body_checksum)
        {
            return Found::Frame(header);
        }
        // Where the bad frame ends is known only if its header is whole.
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

    /// The frame's body and padding, if the file holds all of it.
    fn body(&self, header: &FrameHeader) -> Option<&'a [u8]> {
        let frame_bytes = usize::try_from(header.frame_bytes()).ok()?;
        let bytes = self.bytes;
        bytes[self.offset..].get(FRAME_HEADER_BYTES..frame_bytes)
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
        let body = self.body(header).and_then(|body| body.get(..body_bytes));
        let read = body.and_then(|body| match header.kind {
            FrameKind::Records => read_records(body, &mut self.replay.records),
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
