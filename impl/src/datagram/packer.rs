//! Messages into datagrams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::{
    DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MIN, FRAME_HEADER_BYTES, HEADER_BYTES, KIND_PIECE, KIND_WHOLE,
    MESSAGE_BYTES_MAX, Origin, PIECE_HEADER_BYTES, checksum,
};

/// Numbers the messages that travel in pieces. Packers of one origin share it, because one may be replaced
/// by another, whose messages must not be taken for those of the first.
pub type MessageNumbers = Arc<AtomicU64>;

/// A message is longer than any receiver takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a message of group {group} takes {bytes} bytes, and no receiver takes more than {MESSAGE_BYTES_MAX}; it \
     was not sent. Divide what it carries"
)]
pub struct TooLong {
    /// The message's group.
    pub group: u16,
    /// Its length in bytes.
    pub bytes: usize,
}

/// Coalesces messages to one destination into datagrams. Once its buffers have grown it allocates nothing.
#[derive(Debug)]
pub struct Packer {
    /// The datagram that is being filled; its header has no checksum yet.
    datagram: Vec<u8>,
    /// A message's body, before it is known how it will travel.
    body: Vec<u8>,
    datagram_bytes: usize,
    numbers: MessageNumbers,
}

impl Packer {
    /// A packer for one destination. Datagrams take at most `datagram_bytes`; a limit that is not between
    /// [`DATAGRAM_BYTES_MIN`] and [`DATAGRAM_BYTES_MAX`] is replaced by the nearer of them.
    pub fn new(origin: Origin, datagram_bytes: usize) -> Self {
        Self {
            datagram: origin.encode().to_vec(),
            body: Vec::new(),
            datagram_bytes: datagram_bytes.clamp(DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX),
            numbers: MessageNumbers::default(),
        }
    }

    /// Takes the numbers of its messages from a count that it shares with others of its origin.
    #[must_use]
    pub fn numbered(self, numbers: &MessageNumbers) -> Self {
        Self { numbers: Arc::clone(numbers), ..self }
    }

    /// Adds a message. Gives each datagram that is full to `emit`; the last one stays until more comes or
    /// [`Packer::flush`].
    ///
    /// # Errors
    /// If the message is longer than [`MESSAGE_BYTES_MAX`]; nothing is added then.
    pub fn push<T: Serialize>(
        &mut self,
        group: u16,
        body: &T,
        emit: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        let mut buffer = std::mem::take(&mut self.body);
        buffer.clear();
        let body = postcard::to_extend(body, buffer)
            .expect("messages are plain data, and writing them to memory cannot fail");
        let pushed = self.push_bytes(group, &body, emit);
        self.body = body;
        pushed
    }

    /// As [`Packer::push`], with the body as bytes.
    ///
    /// # Errors
    /// If the message is longer than [`MESSAGE_BYTES_MAX`]; nothing is added then.
    pub fn push_bytes(
        &mut self,
        group: u16,
        body: &[u8],
        mut emit: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(TooLong { group, bytes: body.len() });
        }
        if HEADER_BYTES + FRAME_HEADER_BYTES + body.len() <= self.datagram_bytes {
            self.push_frame(KIND_WHOLE, group, &[], body, &mut emit);
        } else {
            self.push_pieces(group, body, &mut emit);
        }
        Ok(())
    }

    /// Gives the datagram that is being filled to `emit`, unless there is nothing in it.
    pub fn flush(&mut self, mut emit: impl FnMut(&[u8])) {
        if self.datagram.len() > HEADER_BYTES {
            let checksum = checksum(&self.datagram);
            self.datagram[4..8].copy_from_slice(&checksum.to_le_bytes());
            emit(&self.datagram);
            self.datagram.truncate(HEADER_BYTES);
        }
    }

    fn push_pieces(&mut self, group: u16, body: &[u8], emit: &mut impl FnMut(&[u8])) {
        let piece_bytes = piece_bytes(self.datagram_bytes);
        let message = self.numbers.fetch_add(1, Ordering::Relaxed);
        for (index, piece) in body.chunks(piece_bytes).enumerate() {
            let mut header = [0; PIECE_HEADER_BYTES];
            header[..8].copy_from_slice(&message.to_le_bytes());
            header[8..12].copy_from_slice(&body.len().to_le_bytes()[..4]);
            header[12..14].copy_from_slice(&piece_bytes.to_le_bytes()[..2]);
            header[14..].copy_from_slice(&index.to_le_bytes()[..2]);
            self.push_frame(KIND_PIECE, group, &header, piece, emit);
        }
    }

    /// Adds a frame, to the next datagram if this one has no room for it. `head` and `rest` follow the frame's
    /// header, and together fit into a datagram.
    fn push_frame(&mut self, kind: u8, group: u16, head: &[u8], rest: &[u8], emit: &mut impl FnMut(&[u8])) {
        let length = head.len() + rest.len();
        if self.datagram.len() + FRAME_HEADER_BYTES + length > self.datagram_bytes {
            self.flush(emit);
        }
        self.datagram.push(kind);
        self.datagram.extend_from_slice(&group.to_le_bytes());
        self.datagram.extend_from_slice(&length.to_le_bytes()[..2]); // below 64 KiB, as a datagram is
        self.datagram.extend_from_slice(head);
        self.datagram.extend_from_slice(rest);
        debug_assert!(self.datagram.len() <= self.datagram_bytes, "a frame of {length} bytes does not fit");
    }
}

/// How much of a message fits into a datagram beside the headers, in bytes.
pub(super) const fn piece_bytes(datagram_bytes: usize) -> usize {
    datagram_bytes - HEADER_BYTES - FRAME_HEADER_BYTES - PIECE_HEADER_BYTES
}
