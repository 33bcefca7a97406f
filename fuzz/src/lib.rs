//! What the fuzz targets share. Each target gives bytes to one decoder, and asserts more than that it does not panic:
//! what decodes encodes to what decodes to the same; nothing that was not sent is heard; what is refused is unchanged.

#![forbid(unsafe_code)]

use cluster::datagram;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Takes bytes for a message. What is one encodes, and decodes to the same again: its bytes are compared, because
/// a number that is not equal to itself may be in it.
pub fn round_trip<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let message: T = datagram::decode(bytes).ok()?;
    let encoded = postcard::to_allocvec(&message).expect("what was decoded encodes");
    let again: T = datagram::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(postcard::to_allocvec(&again).as_ref(), Ok(&encoded), "one message has two encodings");
    Some(message)
}

/// Reads an input piece by piece, as instructions.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte; 0 behind the end.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The next two bytes as a number.
    pub fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// As many bytes as the next two say, or as are left.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.short().min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
