//! The datagrams between servers, and between clients and servers.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Who sent a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sender {
    /// A server, by its id.
    Server(u8),
    /// A client, by the id that it chose at random.
    Client(u64),
}

/// What stands at the head of every datagram of one sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The cluster that the sender belongs to.
    pub cluster: u64,
    /// The sender.
    pub sender: Sender,
    /// How often the sender was started: [`Recovery::boots`](crate::log::Recovery::boots) of a server.
    pub incarnation: u64,
}

/// Coalesces messages to one destination into datagrams.
#[derive(Debug)]
pub struct Packer {}

impl Packer {
    /// A packer for one destination. Datagrams take at most `datagram_bytes`.
    pub fn new(origin: Origin, datagram_bytes: usize) -> Self {
        unimplemented!("{origin:?} {datagram_bytes}")
    }

    /// Adds a message; gives each datagram that is full to `emit`.
    pub fn push<T: Serialize>(
        &mut self,
        group: u16,
        body: &T,
        mut emit: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        postcard::to_allocvec(body).map(|bytes| emit(&bytes)).map_err(|_| TooLong { group, bytes: 0 })
    }

    /// Gives what is left to `emit`.
    pub fn flush(&mut self, mut emit: impl FnMut(&[u8])) {
        emit(&[]);
    }
}

/// A message is longer than any receiver takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message of group {group} takes {bytes} bytes")]
pub struct TooLong {
    /// The message's group.
    pub group: u16,
    /// Its length in bytes.
    pub bytes: usize,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {}

/// Takes datagrams apart, and puts together messages that came in several.
#[derive(Debug)]
pub struct Unpacker {}

impl Unpacker {
    /// An unpacker for datagrams of `cluster`.
    pub fn new(cluster: u64) -> Self {
        unimplemented!("{cluster}")
    }

    /// Takes one datagram.
    pub fn receive<'a>(&'a mut self, datagram: &'a [u8]) -> Result<Received<'a>, DropReason> {
        unimplemented!("{datagram:?}")
    }
}

/// The messages of one datagram.
#[derive(Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// The sender's incarnation.
    pub incarnation: u64,
    whole: &'a [(u16, &'a [u8])],
}

impl Received<'_> {
    /// The messages: group and body.
    pub fn frames(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.whole.iter().copied()
    }
}

/// Reads a message's body; bytes left over are refused.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DropReason> {
    unimplemented!("{body:?}")
}
