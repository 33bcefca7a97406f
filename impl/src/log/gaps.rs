//! Where a log is not what was written, and finding the way back to what is.
//!
//! Behind a damaged stretch the frames are found again by their checksums, which cover the cluster, the server, the
//! segment and the offset. The first ones that a sum follows, without a break, are where the log goes on: the
//! sum stands for everything that the stretch held, except for values.

use std::fmt;
use std::path::PathBuf;

use spec::Slot;

use super::error::grouped;
use super::format::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, Position};
use super::sum::Sum;
use super::{Damage, LogError};

/// A stretch of the log that is not what was written. It is neither cut off nor written over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The segment where it begins.
    pub path: PathBuf,
    /// Where in the segment, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub damage: Damage,
    /// The segment where what is whole goes on.
    pub end_path: PathBuf,
    /// Where in that segment, in bytes.
    pub end_offset: u64,
    /// The number of the first record that is lost, counted from 1 over the whole log.
    pub record: u64,
    /// How many are lost.
    pub records: u64,
    /// By group, the highest slot that a lost record may be about; none where nothing is lost that does not follow from
    /// the rest.
    pub lacks: Vec<(u16, Slot)>,
}

impl Gap {
    /// Whether what it held follows from the rest of the log.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        self.lacks.is_empty()
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log segment {}, offset {}: ", self.path.display(), grouped(self.offset))?;
        if self.is_harmless() {
            return write!(f, "damaged, and what stood there follows from the rest: nothing is lost");
        }
        let end = if self.end_path == self.path {
            String::new()
        } else {
            format!(" of {}", self.end_path.display())
        };
        write!(
            f,
            "record {} {}. {} records are lost, up to offset {}{end}; what was promised there is known, and what was voted for \
             is learnt again from the other servers before this one votes",
            grouped(self.record),
            self.damage,
            grouped(self.records),
            grouped(self.end_offset)
        )
    }
}

/// Where what is whole ended.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) record: u64,
    pub(super) damage: Damage,
}

impl Lost {
    /// Nothing whole follows.
    pub(super) fn refusal(self) -> LogError {
        let Self { path, offset, record, damage } = self;
        LogError::Damaged { path, offset, record, damage }
    }

    /// What is whole goes on here, after so many records; `sum` stands for what is lost.
    pub(super) fn up_to(
        self,
        (end_path, end_offset): (PathBuf, u64),
        records: u64,
        sum: Option<&Sum>,
    ) -> Gap {
        let groups = sum.map_or(&[][..], |sum| &sum.groups);
        Gap {
            path: self.path,
            offset: self.offset,
            damage: self.damage,
            end_path,
            end_offset,
            record: self.record,
            records: (records + 1).saturating_sub(self.record),
            lacks: groups.iter().map(|group| (group.group, group.highest)).collect(),
        }
    }
}

/// Where a log goes on behind damage.
pub(super) struct Island {
    pub(super) offset: usize,
    pub(super) first: FrameHeader,
    /// What everything up to the end of its first write amounts to.
    pub(super) sum: Sum,
}

/// The first place from `offset` on where whole frames follow each other up to a sum, and that comes after `position`.
/// `seed` is the segment's.
///
/// A stale block is passed over: it was written before the directory was opened again, or whole frames stand behind
/// it that do not follow from it.
pub(super) fn island(segment: &[u8], offset: usize, seed: u32, position: Position) -> Option<Island> {
    (offset..segment.len()).step_by(FRAME_HEADER_BYTES).find_map(|offset| {
        let first = whole_frame(segment, offset, seed).filter(|frame| frame.records >= position.records)?;
        let sum = first_sum(segment, offset, first, seed).filter(|sum| sum.boots >= position.boots)?;
        Some(Island { offset, first, sum })
    })
}

/// The first sum in the chain of frames that begins at `offset`, if nothing contradicts the chain.
fn first_sum(segment: &[u8], offset: usize, first: FrameHeader, seed: u32) -> Option<Sum> {
    let (mut sum, mut end) = (None, offset);
    for (offset, header) in chain(segment, offset, first, seed) {
        if header.kind == FrameKind::Sum && sum.is_none() {
            sum = Some(Sum::decode(body_of(segment, offset, &header)?)?);
        }
        end = offset + header.frame_bytes();
    }
    sum.filter(|_| whole_frame(segment, end, seed).is_none())
}

/// Where the chain of frames that begins at `offset` ends.
pub(super) fn end_of_chain(segment: &[u8], offset: usize, seed: u32) -> usize {
    let first = whole_frame(segment, offset, seed);
    let frames = first.into_iter().flat_map(|first| chain(segment, offset, first, seed));
    frames.last().map_or(offset, |(offset, last)| offset + last.frame_bytes())
}

/// The frames that follow each other from one on, with where they stand.
fn chain(
    segment: &[u8],
    offset: usize,
    first: FrameHeader,
    seed: u32,
) -> impl Iterator<Item = (usize, FrameHeader)> {
    std::iter::successors(Some((offset, first)), move |(offset, header)| {
        let offset = offset + header.frame_bytes();
        let next = whole_frame(segment, offset, seed)?;
        (next.previous == header.checksum).then_some((offset, next))
    })
}

/// The frame at `offset` of a segment, if its header and its body are whole.
pub(super) fn whole_frame(segment: &[u8], offset: usize, seed: u32) -> Option<FrameHeader> {
    let header = FrameHeader::decode(segment, offset, seed)?;
    let padded = segment[offset..].get(FRAME_HEADER_BYTES..header.frame_bytes())?;
    (crc32c::crc32c(padded) == header.body_checksum).then_some(header)
}

/// A frame's body without the padding, if the segment holds all of it.
pub(super) fn body_of<'a>(segment: &'a [u8], offset: usize, header: &FrameHeader) -> Option<&'a [u8]> {
    segment.get(offset + FRAME_HEADER_BYTES..)?.get(..header.body_bytes as usize)
}
