//! What servers say to each other.
#![no_main]

use cluster::payload::Payload;
use cluster::wire::Between;
use fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use spec::Message;

fuzz_target!(|data: &[u8]| {
    if let Some(message) = round_trip::<Between<Message<Payload>>>(data) {
        let _ = format!("{message:?}");
    }
});
