//! How byte strings are serialised (`#[serde(with = "byte_string")]`): as one piece. `serde` takes a `Vec<u8>` for a
//! list of numbers, which gives the same bytes in `postcard` and costs a call for each of them.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes.as_ref())
}

/// From a format that lends its bytes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: From<&'de [u8]>>(
    deserializer: D,
) -> Result<B, D::Error> {
    <&[u8]>::deserialize(deserializer).map(B::from)
}
