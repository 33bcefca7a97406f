//! The datagrams between servers, and between clients and servers.
//!
//! A datagram is a header of 32 bytes and any number of frames; all numbers are little endian. Messages to one
//! destination share datagrams ([`Packer`]); one that does not fit into a datagram travels in pieces, which the
//! receiver puts together ([`Unpacker`]). What is bent, cut, foreign or of another format is dropped and
//! counted, never answered: a lost datagram is nothing special to the protocol.
//!
//! | header | | frame | | frame of a piece, after the length | |
//! | --- | --- | --- | --- | --- | --- |
//! | 0 | `LH` | 0 | kind: 0 whole, 1 piece | 5 | message number, 8 bytes |
//! | 2 | format version | 1 | group, 2 bytes | 13 | message length, 4 bytes |
//! | 3 | sender: 0 server, 1 client | 3 | length of what follows, 2 bytes | 17 | piece length, 2 bytes |
//! | 4 | CRC32C of all the rest, 4 bytes | 5 | the body | 19 | index of this piece, 2 bytes |
//! | 8 | cluster id, 8 bytes | | | 21 | the piece; the last one may be shorter |
//! | 16 | sender's id, 8 bytes | | | | |
//! | 24 | sender's incarnation, 8 bytes | | | | |
//!
//! The checksum finds accidents. What keeps others out is [`secure`](crate::secure): there a datagram is decrypted
//! before it is looked at here.

mod drops;
mod packer;
mod reassembly;
#[cfg(test)]
mod tests;
mod unpacker;

use serde::de::DeserializeOwned;

pub use drops::{Counters, DropReason};
pub use packer::{MessageNumbers, Packer, TooLong};
pub use unpacker::{Received, Unpacker};

/// The longest message in bytes, in however many pieces.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// What a datagram may take on any path, in bytes: an Ethernet frame less the headers of IP and UDP, and some
/// for tunnels.
pub const DATAGRAM_BYTES_DEFAULT: usize = 1_400;
/// What a datagram may take where no frame of a network limits it, in bytes.
pub const DATAGRAM_BYTES_LOOPBACK: usize = 16 << 10;
/// The least that a datagram may be limited to, in bytes: shorter ones would carry mostly headers.
pub const DATAGRAM_BYTES_MIN: usize = 512;
/// The most that UDP carries in a datagram over IPv4, in bytes.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

const MAGIC: [u8; 2] = *b"LH";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 5;
const PIECE_HEADER_BYTES: usize = 16;
const KIND_WHOLE: u8 = 0;
const KIND_PIECE: u8 = 1;

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

impl Origin {
    /// A datagram's header, without its checksum.
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let (kind, id) = match self.sender {
            Sender::Server(id) => (0, id.into()),
            Sender::Client(id) => (1, id),
        };
        let mut header = [0; HEADER_BYTES];
        header[..2].copy_from_slice(&MAGIC);
        header[2] = VERSION;
        header[3] = kind;
        header[8..16].copy_from_slice(&self.cluster.to_le_bytes());
        header[16..24].copy_from_slice(&id.to_le_bytes());
        header[24..].copy_from_slice(&self.incarnation.to_le_bytes());
        header
    }

    /// Reads the header of a datagram and checks all that a header can tell.
    fn decode(datagram: &[u8], cluster: u64) -> Result<Self, DropReason> {
        let header = datagram.first_chunk::<HEADER_BYTES>().ok_or(DropReason::TooShort)?;
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(DropReason::TooLong);
        }
        if header[..2] != MAGIC {
            return Err(DropReason::Magic);
        }
        if header[2] != VERSION {
            return Err(DropReason::Version); // its checksum may be elsewhere
        }
        if header[4..8] != checksum(datagram).to_le_bytes() {
            return Err(DropReason::Checksum);
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| header[at + index]));
        if number(8) != cluster {
            return Err(DropReason::Cluster);
        }
        let sender = match (header[3], u8::try_from(number(16))) {
            (0, Ok(id)) if id < spec::SERVERS_MAX => Sender::Server(id),
            (1, _) => Sender::Client(number(16)),
            _ => return Err(DropReason::Sender),
        };
        Ok(Self { cluster, sender, incarnation: number(24) })
    }
}

/// The checksum of a datagram: of all but itself.
fn checksum(datagram: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&datagram[..4]), &datagram[8..])
}

/// A message's body is not what was expected of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message's body is not of the expected kind, or has bytes left over")]
pub struct Undecodable;

/// Reads a message's body.
///
/// # Errors
/// If it is of another kind, or bytes are left over.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Undecodable> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(Undecodable),
    }
}
