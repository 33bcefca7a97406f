//! Datagrams into messages.

use std::ops::Range;

use super::reassembly::{Piece, Reassembly};
use super::{Counters, DropReason, FRAME_HEADER_BYTES, HEADER_BYTES, KIND_PIECE, KIND_WHOLE, Origin, Sender};
use crate::secure::Peer;

/// Takes datagrams of one cluster apart, and puts messages together that came in pieces. Holds at most 16
/// unfinished messages a sender, 64 of servers and 64 of clients; the oldest make room for newer ones.
#[derive(Debug)]
pub struct Unpacker {
    cluster: u64,
    reassembly: Reassembly,
    counters: Counters,
    /// The messages of the datagram at hand: those that are whole in it, and those that it completed.
    whole: Vec<(u16, Range<usize>)>,
    completed: Vec<(u16, Vec<u8>)>,
}

/// The messages that one datagram brought.
#[derive(Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// The sender's incarnation.
    pub incarnation: u64,
    datagram: &'a [u8],
    whole: &'a [(u16, Range<usize>)],
    completed: &'a [(u16, Vec<u8>)],
}

impl Received<'_> {
    /// The messages, each with its group and its body: those that are whole in this datagram, then those of
    /// which it brought the last missing piece.
    pub fn frames(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let whole = self.whole.iter().map(|(group, range)| (*group, &self.datagram[range.clone()]));
        whole.chain(self.completed.iter().map(|(group, body)| (*group, body.as_slice())))
    }
}

impl Unpacker {
    /// An unpacker for datagrams of `cluster`.
    pub fn new(cluster: u64) -> Self {
        Self {
            cluster,
            reassembly: Reassembly::default(),
            counters: Counters::default(),
            whole: Vec::new(),
            completed: Vec::new(),
        }
    }

    /// Takes one datagram of a network on which anybody may be anybody.
    ///
    /// # Errors
    /// If it is dropped, which is counted.
    pub fn receive<'a>(&'a mut self, datagram: &'a [u8]) -> Result<Received<'a>, DropReason> {
        self.receive_from(datagram, Peer::Anybody)
    }

    /// Takes one datagram that `peer` has sent. Nothing of it is kept if it says that it is somebody else's.
    ///
    /// # Errors
    /// If it is dropped, which is counted.
    pub fn receive_from<'a>(
        &'a mut self,
        datagram: &'a [u8],
        peer: Peer,
    ) -> Result<Received<'a>, DropReason> {
        match self.take_apart(datagram, peer) {
            Ok(Origin { sender, incarnation, .. }) => {
                self.counters.received += 1;
                let Self { whole, completed, .. } = self;
                Ok(Received { sender, incarnation, datagram, whole, completed })
            }
            Err(reason) => {
                self.counters.count_drop(reason);
                Err(reason)
            }
        }
    }

    /// What became of the datagrams so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.abandoned = self.reassembly.abandoned;
        counters
    }

    fn take_apart(&mut self, datagram: &[u8], peer: Peer) -> Result<Origin, DropReason> {
        self.whole.clear();
        self.completed.clear();
        let origin = Origin::decode(datagram, self.cluster)?;
        if !peer.may_be(origin.sender, origin.incarnation) {
            return Err(DropReason::Sender);
        }
        // Frames first, pieces after: nothing of a datagram is kept whose frames make no sense.
        for frame in Frames::of(datagram) {
            let frame = frame?;
            if frame.kind == KIND_WHOLE {
                self.whole.push((frame.group, frame.body));
            }
        }
        for frame in Frames::of(datagram).flatten().filter(|frame| frame.kind == KIND_PIECE) {
            let piece = Piece::decode(frame.group, &datagram[frame.body]).ok_or(DropReason::Piece)?;
            let body = self.reassembly.add(origin.sender, origin.incarnation, &piece)?;
            self.completed.extend(body.map(|body| (piece.group, body)));
        }
        Ok(origin)
    }
}

/// A frame and where its body stands in the datagram.
struct Frame {
    kind: u8,
    group: u16,
    body: Range<usize>,
}

/// The frames of a datagram, up to the first that makes no sense.
struct Frames<'a> {
    datagram: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    fn of(datagram: &'a [u8]) -> Self {
        Self { datagram, at: HEADER_BYTES }
    }

    fn read(&mut self) -> Option<Frame> {
        let &[kind, group_low, group_high, length_low, length_high] =
            self.datagram[self.at..].first_chunk::<FRAME_HEADER_BYTES>()?;
        let start = self.at + FRAME_HEADER_BYTES;
        let body = start..start + usize::from(u16::from_le_bytes([length_low, length_high]));
        let is_possible = matches!(kind, KIND_WHOLE | KIND_PIECE) && body.end <= self.datagram.len();
        self.at = body.end;
        is_possible.then_some(Frame { kind, group: u16::from_le_bytes([group_low, group_high]), body })
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.datagram.len() {
            return None;
        }
        let frame = self.read().ok_or(DropReason::Frame);
        if frame.is_err() {
            self.at = self.datagram.len();
        }
        Some(frame)
    }
}
