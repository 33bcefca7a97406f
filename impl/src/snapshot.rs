//! Snapshots of a group's state machine: what they hold, and their files.
//!
//! A file is a header of 64 bytes and a body, the [`Content`] in `postcard`. Numbers are little endian, checksums
//! are CRC32C. Between servers only the body travels: a header names its server, a body says the same everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spec::{SessionId, Sessions, Slot, Snapshot};
use thiserror::Error;

use crate::log::Identity;
use crate::payload::Payload;

/// The version of everything in this file. A program reads its own and refuses others.
pub const VERSION: u32 = 1;
/// The length of a file's header in bytes.
pub const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"LEASESNP";

/// What a snapshot holds, at any server.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Content {
    /// The last slot whose effect is in it, and the open sessions.
    pub protocol: Snapshot,
    /// The latest result of each session, and its slot.
    pub results: BTreeMap<SessionId, (Slot, Payload)>,
    /// A hash of every update up to the slot and its result.
    pub chain: u64,
    /// The state machine's own part.
    pub state: Payload,
}

impl Content {
    /// The last slot whose effect is in it.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.protocol.slot
    }

    /// The open sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.protocol.sessions
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a snapshot is plain data, and writing it to memory cannot fail")
    }

    /// From bytes.
    ///
    /// # Errors
    /// If they are no content of a snapshot.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unusable> {
        match postcard::take_from_bytes(bytes) {
            Ok((content, [])) => Ok(content),
            _ => Err(Unusable::Undecodable),
        }
    }
}

/// Why a snapshot cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unusable {
    /// Bytes are missing, or there are too many.
    #[error("it has {found} bytes where {expected} belong")]
    Length {
        /// How many there are.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// The header is not as it was written.
    #[error("its header fails its checksum")]
    Header,
    /// The body is not as it was written.
    #[error("its content fails its checksum")]
    Body,
    /// Another program wrote it.
    #[error("it has format version {0}, and this program reads {VERSION}")]
    Version(u32),
    /// It belongs to another server, cluster, group or slot.
    #[error("it is another one's: {0}")]
    Foreign(String),
    /// It is whole, and still no snapshot.
    #[error("it is whole, but is no snapshot of this format")]
    Undecodable,
}

/// The header of a snapshot's file.
#[must_use]
pub fn header(identity: Identity, group: u16, slot: Slot, body: &[u8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12] = identity.server;
    bytes[14..16].copy_from_slice(&group.to_le_bytes());
    bytes[16..24].copy_from_slice(&identity.cluster.to_le_bytes());
    bytes[24..32].copy_from_slice(&slot.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&(body.len() as u64).to_le_bytes());
    bytes[56..60].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The content of a file that should be this group's snapshot up to `slot`.
///
/// # Errors
/// If anything of it is not as it was written.
pub fn read(identity: Identity, group: u16, slot: Slot, file: &[u8]) -> Result<Content, Unusable> {
    let found = file.len() as u64;
    let Some((head, body)) = file.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Unusable::Length { found, expected: HEADER_BYTES as u64 });
    };
    let (mut version, mut checksum, mut length) = ([0; 4], [0; 4], [0; 8]);
    version.copy_from_slice(&head[8..12]);
    checksum.copy_from_slice(&head[60..]);
    length.copy_from_slice(&head[32..40]);
    let version = u32::from_le_bytes(version);
    if head[..8] == MAGIC && version != VERSION {
        return Err(Unusable::Version(version));
    }
    if crc32c::crc32c(&head[..60]) != u32::from_le_bytes(checksum) {
        return Err(Unusable::Header);
    }
    let expected = u64::from_le_bytes(length).saturating_add(HEADER_BYTES as u64);
    if found != expected {
        return Err(Unusable::Length { found, expected });
    }
    let own = header(identity, group, slot, body);
    if head[56..60] != own[56..60] {
        return Err(Unusable::Body);
    }
    if *head != own {
        return Err(Unusable::Foreign(format!("not group {group} of {identity} at slot {slot}")));
    }
    let content = Content::decode(body)?;
    if content.slot() == slot { Ok(content) } else { Err(Unusable::Undecodable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { cluster: 7, server: 2 };

    fn file() -> Vec<u8> {
        let protocol = Snapshot { slot: Slot(9), sessions: Sessions::default() };
        let results = [(SessionId(Slot(1)), (Slot(8), Payload::from("ok")))].into();
        let body = Content { protocol, results, chain: 300, state: Payload::from("state") }.encode();
        let mut file = header(IDENTITY, 3, Slot(9), &body).to_vec();
        file.extend(body);
        file
    }

    #[test]
    fn a_snapshot_is_written_as_it_always_was() {
        let hex = file().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(hex, include_str!("../tests/golden/snapshot.txt").trim_end());
    }

    #[test]
    fn a_snapshot_that_is_cut_or_bent_anywhere_is_refused() {
        let file = file();
        assert_eq!(read(IDENTITY, 3, Slot(9), &file).unwrap().state, Payload::from("state"));
        for at in 0..file.len() {
            assert!(read(IDENTITY, 3, Slot(9), &file[..at]).is_err(), "cut at {at}");
            let mut bent = file.clone();
            bent[at] ^= 1;
            assert!(read(IDENTITY, 3, Slot(9), &bent).is_err(), "bent at {at}");
        }
    }

    #[test]
    fn a_snapshot_of_anything_else_is_refused() {
        let file = file();
        let others = [
            (Identity { server: 1, ..IDENTITY }, 3, 9),
            (Identity { cluster: 8, ..IDENTITY }, 3, 9),
            (IDENTITY, 4, 9),
            (IDENTITY, 3, 8),
        ];
        for (identity, group, slot) in others {
            assert!(matches!(read(identity, group, Slot(slot), &file), Err(Unusable::Foreign(_))));
        }
    }
}
