//! The file of a snapshot: as it is, and as the content of a file whose header and checksums are right.
#![no_main]

use cluster::log::Identity;
use cluster::snapshot::{Content, header, read};
use fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use spec::Slot;

const IDENTITY: Identity = Identity { cluster: 7, server: 2 };
const GROUP: u16 = 3;

fuzz_target!(|data: &[u8]| {
    let _ = read(IDENTITY, GROUP, Slot(9), data);
    let decoded = round_trip::<Content>(data);
    let slot = decoded.as_ref().map_or(Slot(9), Content::slot);
    let mut file = header(IDENTITY, GROUP, slot, data).to_vec();
    file.extend(data);
    assert_eq!(read(IDENTITY, GROUP, slot, &file).ok(), decoded);
    let Some(content) = decoded else { return };
    let body = content.encode();
    assert_eq!(Content::decode(&body), Ok(content));
});
