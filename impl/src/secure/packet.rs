//! The four kinds of datagrams on a guarded network. All numbers are little endian.
//!
//! | | initiation | response | cookie | data |
//! | --- | --- | --- | --- | --- |
//! | 0 | 1, version, 0, 0 | 2, version, 0, 0 | 3, version, 0, 0 | 4, version, 0, 0 |
//! | 4 | sender's index | sender's index | receiver's index | receiver's index |
//! | 8 | initiator's key id, 8 bytes | receiver's index | the cookie, 16 bytes | number, 8 bytes |
//! | 12 | | Noise message, 58 bytes | | |
//! | 16 | responder's key id, 8 bytes | | | ciphertext and tag |
//! | 24 | Noise message, 58 bytes | | code, 16 bytes | |
//! | 82 | code, 16 bytes; cookie's code, 16 bytes | | | |
//!
//! A response and a cookie are shorter than the initiation that they answer, and nothing else is ever answered that
//! is not authentic: nobody can be made to amplify.

use super::credentials::CLAIM_BYTES;
use super::noise::{EPHEMERAL_BYTES, MAC_BYTES, TAG_BYTES};

pub(super) const VERSION: u8 = 1;
pub(super) const INITIATION: u8 = 1;
pub(super) const RESPONSE: u8 = 2;
pub(super) const COOKIE: u8 = 3;
pub(super) const DATA: u8 = 4;
/// A handshake message of Noise: a key and an encrypted claim.
pub(super) const NOISE_BYTES: usize = EPHEMERAL_BYTES + CLAIM_BYTES + TAG_BYTES;
pub(super) const INITIATION_BYTES: usize = 24 + NOISE_BYTES + 2 * MAC_BYTES;
pub(super) const RESPONSE_BYTES: usize = 12 + NOISE_BYTES;
pub(super) const COOKIE_BYTES: usize = 8 + 2 * MAC_BYTES;
pub(super) const DATA_HEADER_BYTES: usize = 16;
/// How much longer a datagram gets by being guarded.
pub(super) const OVERHEAD: usize = DATA_HEADER_BYTES + TAG_BYTES;
const _: () = assert!(RESPONSE_BYTES < INITIATION_BYTES && COOKIE_BYTES < INITIATION_BYTES);

/// A datagram, as far as its length and its first bytes say.
pub(super) enum Packet<'a> {
    Initiation(&'a [u8; INITIATION_BYTES]),
    Response(&'a [u8; RESPONSE_BYTES]),
    Cookie(&'a [u8; COOKIE_BYTES]),
    Data { index: u32, number: u64, sealed: &'a [u8] },
}

impl<'a> Packet<'a> {
    pub(super) fn of(datagram: &'a [u8]) -> Option<Self> {
        let &[kind, VERSION, 0, 0, ..] = datagram else { return None };
        match kind {
            INITIATION => datagram.try_into().ok().map(Self::Initiation),
            RESPONSE => datagram.try_into().ok().map(Self::Response),
            COOKIE => datagram.try_into().ok().map(Self::Cookie),
            DATA if datagram.len() >= OVERHEAD => Some(Self::Data {
                index: number4(datagram, 4),
                number: number8(datagram, 8),
                sealed: &datagram[DATA_HEADER_BYTES..],
            }),
            _ => None,
        }
    }
}

/// The first four bytes of a kind.
pub(super) fn head(kind: u8) -> [u8; 4] {
    [kind, VERSION, 0, 0]
}

pub(super) fn number4(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

pub(super) fn number8(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}
