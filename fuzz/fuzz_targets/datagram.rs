//! Datagrams behind the authentication: several of one sender after another, as pieces of messages are. Each is given
//! twice: as it is, and with a header and a checksum that are right, so that what comes behind them is reached.
#![no_main]

use cluster::datagram::{MESSAGE_BYTES_MAX, Origin, Packer, Sender, Unpacker};
use cluster::spec::SERVERS_MAX;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

const CLUSTER: u64 = 0x0123_4567_89ab_cdef;
const HEADER_BYTES: usize = 32;
const DATAGRAM_BYTES: usize = 1400;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut unpacker = Unpacker::new(CLUSTER);
    while !input.is_over() {
        let datagram = input.bytes();
        let _ = unpacker.receive(datagram);
        let Some(sealed) = sealed(datagram) else { continue };
        let Ok(received) = unpacker.receive(&sealed) else { continue };
        // What came is what a packer can send again.
        let sender = received.sender;
        let origin = Origin { cluster: CLUSTER, sender, incarnation: received.incarnation };
        let frames: Vec<(u16, Vec<u8>)> =
            received.frames().map(|(group, body)| (group, body.to_vec())).collect();
        assert!(frames.iter().all(|(_, body)| body.len() <= MESSAGE_BYTES_MAX));
        assert!(
            matches!(sender, Sender::Client(_)) || matches!(sender, Sender::Server(id) if id < SERVERS_MAX)
        );
        // In pieces they may be sent in another order: whole ones come first in a datagram.
        let (mut again, mut datagrams) = (Vec::new(), Vec::new());
        let mut honest = Unpacker::new(CLUSTER);
        let mut packer = Packer::new(origin, DATAGRAM_BYTES);
        for (group, body) in &frames {
            packer.push_bytes(*group, body, |one| datagrams.push(one.to_vec())).expect("it is not too long");
        }
        packer.flush(|one| datagrams.push(one.to_vec()));
        for datagram in datagrams {
            let received = honest.receive(&datagram).expect("a packer sends what an unpacker takes");
            again.extend(received.frames().map(|(group, body)| (group, body.to_vec())));
        }
        assert_eq!(sorted(again), sorted(frames));
    }
});

fn sorted(mut frames: Vec<(u16, Vec<u8>)>) -> Vec<(u16, Vec<u8>)> {
    frames.sort_unstable();
    frames
}

/// The same datagram with all in its header right that says whether it is one.
fn sealed(datagram: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = datagram.to_vec();
    let header = sealed.first_chunk_mut::<HEADER_BYTES>()?;
    header[..3].copy_from_slice(b"LH\x01");
    header[8..16].copy_from_slice(&CLUSTER.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&sealed[..4]), &sealed[8..]);
    sealed[4..8].copy_from_slice(&checksum.to_le_bytes());
    Some(sealed)
}
