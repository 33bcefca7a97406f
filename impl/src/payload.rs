//! What a slot holds in the cluster: bytes that the protocol copies and compares, and never reads.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of an update in the cluster. Clones share one allocation. Serialised as bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Payload(pub Arc<[u8]>);

impl spec::Value for Payload {
    fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// From a format that lends its bytes: they are copied once.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

/// Length and how it begins, `12 B "set colour b…"`: a trace of large values stays readable.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 16;
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        let more = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "{} B \"{}{more}\"", self.0.len(), shown.escape_ascii())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Self(text.as_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::Payload;

    #[test]
    fn debug_shows_the_length_and_how_the_bytes_begin() {
        assert_eq!(format!("{:?}", Payload::from("a\n\"")), r#"3 B "a\n\"""#);
        assert_eq!(format!("{:?}", Payload::from(vec![b'x'; 20])), "20 B \"xxxxxxxxxxxxxxxx…\"");
    }

    #[test]
    fn is_serialised_as_its_length_and_its_bytes() {
        let bytes = postcard::to_allocvec(&Payload::from("abc")).unwrap();
        assert_eq!(bytes, b"\x03abc");
        assert_eq!(postcard::from_bytes::<Payload>(&bytes).unwrap(), Payload::from("abc"));
    }
}
