//! The bytes of a segment: a header of 64 bytes, then frames, then nothing or zeros. All numbers are
//! little endian.
//!
//! What one sync made durable is a *write*: a frame of records and a frame that sums up, or, each time that the log is
//! opened, the latter alone. A *frame* is a header of 32 bytes, the body, and 1 to 32 bytes of padding up to a multiple
//! of 32. So every frame header lies within one disk sector and is written whole or not at all, a search for headers
//! need look at every 32nd byte only, and the padding, which is not zero, shows whether the end of a frame was ever
//! written.

use super::Identity;

/// The version of everything in this file. A program reads its own and refuses others. Version 1 had no sums.
pub(super) const VERSION: u32 = 2;

/// Opens every segment.
const SEGMENT_MAGIC: [u8; 8] = *b"LEASELOG";
/// The length of a segment's header in bytes.
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
/// Opens every frame. Not zero, so that a header is told apart from space never written.
const FRAME_MAGIC: u16 = 0xF2A3;
/// The length of a frame's header in bytes, and what frames are aligned to.
pub(super) const FRAME_HEADER_BYTES: usize = 32;
/// Fills a frame up. Not zero, for the same reason.
const PADDING: u8 = 0xFF;
/// The least that a disk writes at once, in bytes.
pub(super) const SECTOR_BYTES: usize = 512;

/// What every segment says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    /// Which of the server's disks it is on.
    pub(super) incarnation: u64,
    /// Counts the segments, from 1; the file is named after it.
    pub(super) segment: u64,
    /// Where the log stands at the segment's beginning.
    pub(super) start: Position,
}

/// How far a log has come. Each frame and segment says after which one it comes, so what is lost or stale
/// in between is noticed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Position {
    /// How many records there are.
    pub(super) records: u64,
    /// How often the directory was opened.
    pub(super) boots: u64,
    /// The header checksum of the frame before; 0 before the first.
    pub(super) previous: u32,
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderError {
    /// Too short, or zeros: its write was cut short.
    Unwritten,
    /// Another program wrote it.
    Version(u32),
    /// Not what was written.
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12] = self.identity.server;
        bytes[16..24].copy_from_slice(&self.identity.cluster.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.start.records.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.start.boots.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.start.previous.to_le_bytes());
        bytes[52..60].copy_from_slice(&self.incarnation.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Whose segment a header says it is, whole or not.
    pub(super) fn identity_claimed(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Identity {
        Identity { cluster: u64_at(bytes, 16), server: bytes[12] }
    }

    /// Reads the header at the beginning of a segment.
    pub(super) fn decode(segment: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = segment.first_chunk::<SEGMENT_HEADER_BYTES>() else {
            return Err(HeaderError::Unwritten);
        };
        if is_zero(bytes) {
            return Err(HeaderError::Unwritten);
        }
        let version = u32_at(bytes, 8);
        if bytes[..8] == SEGMENT_MAGIC && version != VERSION {
            return Err(HeaderError::Version(version)); // its checksum may be elsewhere
        }
        let header = Self {
            identity: Self::identity_claimed(bytes),
            incarnation: u64_at(bytes, 52),
            segment: u64_at(bytes, 24),
            start: Position {
                records: u64_at(bytes, 32),
                boots: u64_at(bytes, 40),
                previous: u32_at(bytes, 48),
            },
        };
        // Encoding again checks magic, version, checksum and the bytes that mean nothing, all at once.
        if header.encode() == *bytes { Ok(header) } else { Err(HeaderError::Damaged) }
    }
}

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameKind {
    /// Records, each after its group.
    Records = 1,
    /// What everything so far amounts to: a [`Sum`](super::sum::Sum).
    Sum = 2,
}

/// What every frame says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    /// The header checksum of the frame before.
    pub(super) previous: u32,
    /// The length of the body in bytes, without the padding.
    pub(super) body_bytes: u32,
    /// How many bytes before this frame its write begins.
    pub(super) back: u32,
    /// How many records come before this frame.
    pub(super) records: u64,
    /// Covers the body and the padding.
    pub(super) body_checksum: u32,
    /// Covers the header, and where it stands.
    pub(super) checksum: u32,
}

impl FrameHeader {
    /// Reads the frame header at `offset` of the segment; none if there is no whole one. `seed` is the
    /// segment's [`seed`].
    pub(super) fn decode(segment: &[u8], offset: usize, seed: u32) -> Option<Self> {
        let bytes = segment.get(offset..)?.first_chunk::<FRAME_HEADER_BYTES>()?;
        if u16_at(bytes, 0) != FRAME_MAGIC || u32_at(bytes, 28) != header_checksum(bytes, offset as u64, seed)
        {
            return None;
        }
        let kind = match u16_at(bytes, 2) {
            1 => FrameKind::Records,
            2 => FrameKind::Sum,
            _ => return None,
        };
        Some(Self {
            kind,
            previous: u32_at(bytes, 4),
            body_bytes: u32_at(bytes, 8),
            back: u32_at(bytes, 12),
            records: u64_at(bytes, 16),
            body_checksum: u32_at(bytes, 24),
            checksum: u32_at(bytes, 28),
        })
    }

    /// The length of the whole frame in bytes.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.body_bytes as usize)
    }
}

/// The length of a whole frame with a body of so many bytes.
pub(super) fn frame_bytes(body_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + body_bytes + 1).next_multiple_of(FRAME_HEADER_BYTES)
}

/// Pads a frame that has room for its header and its whole body and begins at `start`, so that only the header is
/// missing. Returns the length of the body in bytes.
pub(super) fn pad(bytes: &mut Vec<u8>, start: usize) -> u32 {
    let body_bytes = bytes.len() - start - FRAME_HEADER_BYTES;
    bytes.resize(start + frame_bytes(body_bytes), PADDING);
    u32::try_from(body_bytes).expect("what waits for one sync is far less than 4 GiB")
}

/// What a frame's header is to say that its bytes do not show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) kind: FrameKind,
    pub(super) body_bytes: u32,
    pub(super) back: usize,
    /// Where the frame stands, in bytes.
    pub(super) offset: u64,
    /// The segment's [`seed`].
    pub(super) seed: u32,
}

/// Writes the header of a padded frame that comes after `position`. Returns its checksum.
pub(super) fn seal(frame: &mut [u8], label: &Label, position: Position) -> u32 {
    let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
    header[..2].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
    header[2..4].copy_from_slice(&(label.kind as u16).to_le_bytes());
    header[4..8].copy_from_slice(&position.previous.to_le_bytes());
    header[8..12].copy_from_slice(&label.body_bytes.to_le_bytes());
    let back = u32::try_from(label.back).expect("what waits for one sync is far less than 4 GiB");
    header[12..16].copy_from_slice(&back.to_le_bytes());
    header[16..24].copy_from_slice(&position.records.to_le_bytes());
    header[24..28].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let checksum = header_checksum(header, label.offset, label.seed);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// What the checksums of one segment's frames begin with: a frame of another cluster, server or segment
/// fails them.
pub(super) fn seed(identity: Identity, segment: u64) -> u32 {
    let seed = crc32c::crc32c(&identity.cluster.to_le_bytes());
    let seed = crc32c::crc32c_append(seed, &[identity.server]);
    crc32c::crc32c_append(seed, &segment.to_le_bytes())
}

/// Covers where the header stands and, through the body's checksum, the body.
fn header_checksum(header: &[u8], offset: u64, seed: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &offset.to_le_bytes()), &header[..28])
}

/// Whether there is nothing but zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
