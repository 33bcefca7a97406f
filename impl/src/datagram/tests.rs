//! Datagrams there and back: whole, in pieces, in any order, twice, cut, bent and made up.

use proptest::collection::vec;
use proptest::prelude::*;

use super::reassembly::{MESSAGES_PER_KIND_MAX, MESSAGES_PER_SENDER_MAX};
use super::*;

type Messages = Vec<(u16, Vec<u8>)>;

const CLUSTER: u64 = 0x1ea5e;

fn from(sender: Sender) -> Origin {
    Origin { cluster: CLUSTER, sender, incarnation: 3 }
}

fn pack(origin: Origin, datagram_bytes: usize, messages: &Messages) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    thread_local! {
        static NUMBERS: MessageNumbers = MessageNumbers::default();
    }
    let mut packer = NUMBERS.with(|numbers| Packer::new(origin, datagram_bytes).numbered(numbers));
    for (group, body) in messages {
        packer.push_bytes(*group, body, |datagram| datagrams.push(datagram.to_vec())).unwrap();
    }
    packer.flush(|datagram| datagrams.push(datagram.to_vec()));
    packer.flush(|_| panic!("there was nothing left"));
    datagrams
}

fn unpack<'a>(unpacker: &mut Unpacker, datagrams: impl IntoIterator<Item = &'a Vec<u8>>) -> Messages {
    let mut messages = Messages::new();
    for datagram in datagrams {
        let received = unpacker.receive(datagram).unwrap();
        messages.extend(received.frames().map(|(group, body)| (group, body.to_vec())));
    }
    messages
}

/// Gives a datagram that was changed the checksum that it should have.
fn seal(datagram: &mut [u8]) {
    let checksum = checksum(datagram);
    datagram[4..8].copy_from_slice(&checksum.to_le_bytes());
}

fn sorted(mut messages: Messages) -> Messages {
    messages.sort();
    messages
}

/// Bytes that differ from place to place, so that a piece in the wrong place shows.
fn long_body(bytes: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(bytes).collect()
}

#[test]
fn messages_share_datagrams_up_to_the_limit_and_keep_their_order() {
    let messages: Messages = (0..100).map(|group| (group, vec![7; 95])).collect();
    let datagrams = pack(from(Sender::Server(1)), 1_032, &messages);
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [1_032; 10]);
    let mut unpacker = Unpacker::new(CLUSTER);
    assert_eq!(unpack(&mut unpacker, &datagrams), messages);
    assert_eq!((unpacker.counters().received, unpacker.counters().dropped_total()), (10, 0));
}

#[test]
fn sender_and_incarnation_arrive() {
    for sender in [Sender::Server(0), Sender::Server(63), Sender::Client(0), Sender::Client(u64::MAX)] {
        let [datagram] = <[_; 1]>::try_from(pack(from(sender), 1_400, &vec![(1, vec![])])).unwrap();
        let mut unpacker = Unpacker::new(CLUSTER);
        let received = unpacker.receive(&datagram).unwrap();
        assert_eq!((received.sender, received.incarnation), (sender, 3));
        assert_eq!(received.frames().collect::<Vec<_>>(), [(1, &[][..])]);
    }
}

#[test]
fn a_message_of_any_length_up_to_the_limit_passes_in_datagrams_of_any_size() {
    for datagram_bytes in [0, DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_DEFAULT, DATAGRAM_BYTES_LOOPBACK, usize::MAX]
    {
        for bytes in [0, 1, 450, 475, 476, 1_347, 1_364, 64 << 10, MESSAGE_BYTES_MAX] {
            let messages = vec![(5, vec![1]), (6, long_body(bytes)), (7, vec![2])];
            let datagrams = pack(from(Sender::Server(1)), datagram_bytes, &messages);
            let limit = datagram_bytes.clamp(DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX);
            assert!(datagrams.iter().all(|datagram| datagram.len() <= limit));
            let unpacked = sorted(unpack(&mut Unpacker::new(CLUSTER), &datagrams));
            assert!(unpacked == messages, "{bytes} bytes in datagrams of {datagram_bytes}");
        }
    }
}

#[test]
fn a_message_beyond_the_limit_is_refused_and_the_next_one_is_not() {
    let mut packer = Packer::new(from(Sender::Server(1)), 1_400);
    let bytes = MESSAGE_BYTES_MAX + 1;
    let refused = packer.push_bytes(4, &vec![0; bytes], |_| panic!("a refused message was sent"));
    assert_eq!(refused, Err(TooLong { group: 4, bytes }));
    packer.push(4, &"next", |_| panic!("one message does not fill a datagram")).unwrap();
    let mut datagram = Vec::new();
    packer.flush(|bytes| datagram = bytes.to_vec());
    let mut unpacker = Unpacker::new(CLUSTER);
    let received = unpacker.receive(&datagram).unwrap();
    let (group, body) = received.frames().next().unwrap();
    assert_eq!((group, decode::<String>(body)), (4, Ok("next".to_owned())));
}

#[test]
fn a_body_of_another_kind_or_with_bytes_left_over_is_refused() {
    assert_eq!(decode::<(u8, u8)>(&[1, 2]), Ok((1, 2)));
    assert_eq!(decode::<(u8, u8)>(&[1]), Err(Undecodable));
    assert_eq!(decode::<(u8, u8)>(&[1, 2, 3]), Err(Undecodable));
}

#[test]
fn packers_of_one_origin_do_not_mix_their_messages_up() {
    let messages = [vec![(1, vec![1; 5_000])], vec![(1, vec![2; 5_000])]];
    let [first, second] = messages.each_ref().map(|messages| pack(from(Sender::Server(1)), 1_400, messages));
    let mixed = first.iter().zip(&second).flat_map(|(first, second)| [first, second]);
    assert_eq!(unpack(&mut Unpacker::new(CLUSTER), mixed), messages.concat());
}

#[test]
fn every_reason_to_drop_is_told_from_the_others() {
    let whole = pack(from(Sender::Server(1)), 1_400, &vec![(1, vec![9; 100])]).remove(0);
    let piece = pack(from(Sender::Server(1)), 1_400, &vec![(1, vec![9; 9_000])]).remove(0);
    let changed = |datagram: &[u8], changes: &[(usize, u8)]| {
        let mut datagram = datagram.to_vec();
        changes.iter().for_each(|&(at, byte)| datagram[at] = byte);
        seal(&mut datagram);
        datagram
    };
    let mut bent = whole.clone();
    bent[50] ^= 1;
    let dropped = [
        (whole[..31].to_vec(), DropReason::TooShort),
        (vec![0; DATAGRAM_BYTES_MAX + 1], DropReason::TooLong),
        (changed(&whole, &[(0, b'X')]), DropReason::Magic),
        (changed(&whole, &[(2, 2)]), DropReason::Version),
        (bent, DropReason::Checksum),
        (whole[..whole.len() - 1].to_vec(), DropReason::Checksum),
        (changed(&whole, &[(8, 0)]), DropReason::Cluster),
        (changed(&whole, &[(3, 2)]), DropReason::Sender),
        (changed(&whole, &[(16, 64)]), DropReason::Sender), // server 64
        (changed(&whole, &[(17, 1)]), DropReason::Sender),  // server 257
        (changed(&whole, &[(32, 2)]), DropReason::Frame),   // kind
        (changed(&whole, &[(35, 101)]), DropReason::Frame), // length
        (changed(&whole, &[(35, 96)]), DropReason::Frame),  // bytes left over, too few for a frame's header
        (changed(&whole, &[(32, 1)]), DropReason::Piece),
        (changed(&piece, &[(47, 0xFF)]), DropReason::Piece), // message length: too long
        (changed(&piece, &[(49, 0), (50, 0)]), DropReason::Piece), // piece length: 0
        (changed(&piece, &[(51, 200)]), DropReason::Piece),  // index: beyond the end
        (changed(&piece, &[(51, 6)]), DropReason::Piece),    // index: the last piece is shorter
    ];
    let mut unpacker = Unpacker::new(CLUSTER);
    for (index, (datagram, reason)) in dropped.iter().enumerate() {
        let before = unpacker.counters().dropped(*reason);
        assert_eq!(unpacker.receive(datagram).map(|_| ()), Err(*reason), "datagram {index}");
        assert_eq!(unpacker.counters().dropped(*reason), before + 1);
    }
    assert_eq!((unpacker.counters().received, unpacker.counters().dropped_total()), (0, 18));
    unpacker.receive(&whole).unwrap();
}

#[test]
fn pieces_that_contradict_each_other_are_dropped() {
    let messages = vec![(1, vec![9; 9_000])];
    let datagrams = pack(from(Sender::Server(1)), 1_400, &messages);
    let mut unpacker = Unpacker::new(CLUSTER);
    assert_eq!(unpack(&mut unpacker, &datagrams[..1]), vec![]);
    let mut longer = datagrams[1].clone();
    longer[45] ^= 1; // message length
    seal(&mut longer);
    assert_eq!(unpacker.receive(&longer).map(|_| ()), Err(DropReason::Piece));
    assert_eq!(unpack(&mut unpacker, &datagrams[1..]), messages);
}

#[test]
fn the_oldest_unfinished_message_makes_room() {
    let pieces: Vec<_> = (0..=MESSAGES_PER_SENDER_MAX)
        .map(|_| pack(from(Sender::Server(1)), 1_400, &vec![(1, long_body(2_000))]))
        .collect();
    let mut unpacker = Unpacker::new(CLUSTER);
    assert!(unpack(&mut unpacker, pieces.iter().map(|pieces| &pieces[0])).is_empty());
    assert_eq!(unpacker.counters().abandoned, 1);
    assert_eq!(
        unpack(&mut unpacker, pieces[1..].iter().map(|pieces| &pieces[1])).len(),
        MESSAGES_PER_SENDER_MAX
    );
    assert!(unpack(&mut unpacker, [&pieces[0][1]]).is_empty());
}

#[test]
fn a_crowd_of_clients_does_not_push_out_a_servers_message() {
    let messages = vec![(1, long_body(2_000))];
    let servers = pack(from(Sender::Server(1)), 1_400, &messages);
    let mut unpacker = Unpacker::new(CLUSTER);
    unpack(&mut unpacker, &servers[..1]);
    for client in 0..1_000 {
        unpack(&mut unpacker, &pack(from(Sender::Client(client)), 1_400, &messages)[..1]);
    }
    assert_eq!(unpacker.counters().abandoned, 1_000 - MESSAGES_PER_KIND_MAX as u64);
    assert_eq!(unpack(&mut unpacker, &servers[1..]), messages);
}

/// Short and long messages, of which no more travel in pieces than are put together at a time.
fn some_messages() -> impl Strategy<Value = Messages> {
    let short = (any::<u16>(), vec(any::<u8>(), 0..SHORT_BYTES_MAX));
    let long = (any::<u16>(), (500_usize..5_000).prop_map(long_body));
    (vec(short, 0..20), vec(long, 0..=MESSAGES_PER_SENDER_MAX))
        .prop_map(|(short, long)| [short, long].concat())
        .prop_shuffle()
}

/// Below this a message fits into the shortest datagrams whole.
const SHORT_BYTES_MAX: usize = 400;

/// Messages, and their datagrams in some order, each `times` times.
fn some_datagrams(times: usize) -> impl Strategy<Value = (Messages, Vec<Vec<u8>>)> {
    some_messages().prop_flat_map(move |messages| {
        let datagrams = pack(from(Sender::Client(8)), DATAGRAM_BYTES_MIN, &messages);
        (Just(messages), Just(vec![datagrams; times].concat()).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn whatever_the_order_the_same_messages_arrive((messages, datagrams) in some_datagrams(1)) {
        let unpacked = unpack(&mut Unpacker::new(CLUSTER), &datagrams);
        prop_assert_eq!(sorted(unpacked), sorted(messages));
    }

    #[test]
    fn datagrams_that_come_again_repeat_short_messages_and_nothing_else(
        (messages, datagrams) in some_datagrams(3),
    ) {
        let unpacked = unpack(&mut Unpacker::new(CLUSTER), &datagrams);
        let times = |body: &[u8]| if body.len() < SHORT_BYTES_MAX { 3 } else { 1 };
        let expected = messages.into_iter().flat_map(|message| {
            let times = times(&message.1);
            std::iter::repeat_n(message, times)
        });
        prop_assert_eq!(sorted(unpacked), sorted(expected.collect()));
    }

    #[test]
    fn no_bytes_make_the_unpacker_panic(
        bytes in vec(any::<u8>(), 0..600),
        is_sealed in any::<bool>(),
        header in prop::sample::select(vec![0, 4, 16, 32, 37]),
    ) {
        // Made up from the start, or behind a header that is right as far as it goes.
        let valid = pack(from(Sender::Server(1)), 1_400, &vec![(1, long_body(2_000))]).remove(0);
        let mut datagram = [&valid[..header], &bytes].concat();
        if is_sealed && datagram.len() >= HEADER_BYTES {
            seal(&mut datagram);
        }
        let mut unpacker = Unpacker::new(CLUSTER);
        let frames = unpacker.receive(&datagram).map_or(0, |received| received.frames().count());
        prop_assert!(frames <= datagram.len() / FRAME_HEADER_BYTES);
    }

    #[test]
    fn a_datagram_cut_or_bent_anywhere_is_dropped(
        (_, datagrams) in some_datagrams(1),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        prop_assume!(!datagrams.is_empty());
        let datagram = which.get(&datagrams);
        let at = at.index(datagram.len());
        let mut unpacker = Unpacker::new(CLUSTER);
        prop_assert!(unpacker.receive(&datagram[..at]).is_err());
        let mut bent = datagram.clone();
        bent[at] ^= flip;
        prop_assert!(unpacker.receive(&bent).is_err());
        prop_assert_eq!(unpacker.counters().dropped_total(), 2);
    }
}
