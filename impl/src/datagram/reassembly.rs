//! Pieces into messages, in bounded memory whatever arrives.

use super::packer::piece_bytes;
use super::{DATAGRAM_BYTES_MIN, DropReason, MESSAGE_BYTES_MAX, PIECE_HEADER_BYTES, Sender};

/// How many messages of one sender are put together, or remembered, at a time.
pub(super) const MESSAGES_PER_SENDER_MAX: usize = 16;
/// How many messages of all servers, and how many of all clients, are put together or remembered at a time:
/// two limits, so that no crowd of clients can push out what a server sends.
pub(super) const MESSAGES_PER_KIND_MAX: usize = 64;
/// The shortest piece but the last of its message, in bytes: what the shortest datagrams hold. Bounds the
/// number of pieces.
const PIECE_BYTES_MIN: usize = piece_bytes(DATAGRAM_BYTES_MIN);

/// One piece of a message, as a frame carries it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) group: u16,
    message: u64,
    /// The length of the whole message in bytes.
    message_bytes: usize,
    /// The length of each piece but the last in bytes.
    piece_bytes: usize,
    index: usize,
    bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Reads a piece from what follows its frame's header. Whatever it claims is checked here, before
    /// anything is allocated for it.
    pub(super) fn decode(group: u16, frame: &'a [u8]) -> Option<Self> {
        let (header, bytes) = frame.split_first_chunk::<PIECE_HEADER_BYTES>()?;
        let number = |at: usize, length: usize| {
            header[at..at + length].iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte))
        };
        let [message_bytes, piece_bytes, index] = [(8, 4), (12, 2), (14, 2)]
            .map(|(at, length)| usize::try_from(number(at, length)).unwrap_or(usize::MAX));
        let is_possible = message_bytes <= MESSAGE_BYTES_MAX
            && piece_bytes >= PIECE_BYTES_MIN
            && index < message_bytes.div_ceil(piece_bytes)
            && bytes.len() == piece_bytes.min(message_bytes - index * piece_bytes);
        let message = number(0, 8);
        is_possible.then_some(Self { group, message, message_bytes, piece_bytes, index, bytes })
    }
}

/// A message of which pieces are missing, or which is done: it stays known for a while, so that pieces that
/// come twice do not begin it again.
#[derive(Debug)]
struct Message {
    sender: Sender,
    incarnation: u64,
    group: u16,
    number: u64,
    piece_bytes: usize,
    message_bytes: usize,
    /// The pieces that are here, in their places. Empty once the message is done.
    body: Vec<u8>,
    is_here: Vec<bool>,
    missing: usize,
}

impl Message {
    fn new(sender: Sender, incarnation: u64, piece: &Piece<'_>) -> Self {
        let pieces = piece.message_bytes.div_ceil(piece.piece_bytes);
        Self {
            sender,
            incarnation,
            group: piece.group,
            number: piece.message,
            piece_bytes: piece.piece_bytes,
            message_bytes: piece.message_bytes,
            body: vec![0; piece.message_bytes],
            is_here: vec![false; pieces],
            missing: pieces,
        }
    }

    fn is_of(&self, sender: Sender, incarnation: u64, piece: &Piece<'_>) -> bool {
        (self.sender, self.incarnation, self.group, self.number)
            == (sender, incarnation, piece.group, piece.message)
    }

    /// Adds a piece. The body, if it was the last one missing.
    fn add(&mut self, piece: &Piece<'_>) -> Result<Option<Vec<u8>>, DropReason> {
        if (self.message_bytes, self.piece_bytes) != (piece.message_bytes, piece.piece_bytes) {
            return Err(DropReason::Piece);
        }
        if self.missing == 0 || self.is_here[piece.index] {
            return Ok(None);
        }
        let start = piece.index * piece.piece_bytes;
        self.body[start..start + piece.bytes.len()].copy_from_slice(piece.bytes);
        self.is_here[piece.index] = true;
        self.missing -= 1;
        Ok((self.missing == 0).then(|| std::mem::take(&mut self.body)))
    }
}

/// The messages that are being put together, oldest first.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    messages: Vec<Message>,
    /// How many messages were given up, to make room, before all of their pieces were here.
    pub(super) abandoned: u64,
}

impl Reassembly {
    /// Adds a piece. The body of its message, if it was the last one missing.
    pub(super) fn add(
        &mut self,
        sender: Sender,
        incarnation: u64,
        piece: &Piece<'_>,
    ) -> Result<Option<Vec<u8>>, DropReason> {
        let known = self.messages.iter_mut().rev().find(|known| known.is_of(sender, incarnation, piece));
        if let Some(message) = known {
            return message.add(piece);
        }
        self.make_room(MESSAGES_PER_SENDER_MAX, |other| other == sender);
        self.make_room(MESSAGES_PER_KIND_MAX, |other| {
            matches!(other, Sender::Server(_)) == matches!(sender, Sender::Server(_))
        });
        let mut message = Message::new(sender, incarnation, piece);
        let body = message.add(piece);
        self.messages.push(message);
        body
    }

    /// Drops the oldest message of those that count, if there are `limit`.
    fn make_room(&mut self, limit: usize, counts: impl Fn(Sender) -> bool) {
        let mut counted = (0..self.messages.len()).filter(|&index| counts(self.messages[index].sender));
        if let Some(oldest) = counted.next()
            && counted.count() + 1 >= limit
        {
            self.abandoned += u64::from(self.messages.remove(oldest).missing > 0);
        }
    }
}
