//! What a log makes of damage: where it begins and ends, what it takes away, and what nothing makes up for.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use spec::{Command, Durable, Record, SessionId, Slot, Update};

use super::format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::replay::Replay;
use super::tests::{
    FILLED, IDENTITY, PLAIN, Records, SLOW_STEP, damage, directory_with, first_segment, gap, left_of, open,
    read, small_log, vote, write,
};
use super::{Damage, Gap, LogOptions, replay};
use crate::payload::Payload;

/// What is read although bytes are damaged is what was written, and what is lacking is said.
pub(super) fn assert_accounts(found: &Replay, written: &Records, what: &str) {
    let left = left_of(written, &found.records);
    let lost: u64 = found.gaps.iter().map(|gap| gap.records).sum();
    assert_eq!(left.len() as u64 + lost, written.len() as u64, "{what}: {:?}", found.gaps);
    assert!(!found.gaps.is_empty(), "{what}: not noticed");
    let is_lacking = |&(group, slot): &(u16, Slot)| {
        found.gaps.iter().flat_map(|gap| &gap.lacks).any(|&(of, up_to)| of == group && up_to >= slot)
    };
    for (group, record) in written.iter().filter(|record| !left.contains(record)) {
        let Record::Vote { slot, view, .. } = record else { panic!("only votes are written") };
        assert!(is_lacking(&(*group, *slot)), "{what}: {:?}", found.gaps);
        let of_group = found.records.iter().filter(|(of, _)| of == group);
        let durable: Durable<Payload> = of_group.map(|(_, record)| record.clone()).collect();
        assert_eq!(durable.promised, *view, "{what}: the promise is forgotten");
    }
}

/// A damaged log is opened twice, finds the same each time, and neither cuts off nor writes over anything.
fn assert_opens(bytes: &[u8], found: &Replay, options: LogOptions) {
    let dir = directory_with(bytes);
    for boots in 2..4 {
        let (log, recovery) = open(dir.path(), options).unwrap();
        assert_eq!((recovery.boots, &recovery.records), (boots, &found.records));
        let place = |gap: &Gap| (gap.offset, gap.end_offset, gap.records, gap.lacks.clone());
        let [expected, opened] =
            [&found.gaps, &recovery.gaps].map(|gaps| gaps.iter().map(place).collect::<Vec<_>>());
        assert_eq!(opened, expected);
        drop(log);
        assert!(fs::read(first_segment(dir.path())).unwrap().starts_with(bytes));
    }
}

#[test]
fn whichever_byte_is_flipped_the_log_says_exactly_what_it_lacks_or_is_refused() {
    for options in [PLAIN, FILLED] {
        let (mut bytes, records, ends) = small_log(options);
        let dir = directory_with(&bytes);
        let path = first_segment(dir.path());
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let (mut harmless, mut refused) = (0_usize, 0);
        for at in 0..usize::try_from(ends[3]).unwrap() {
            for flip in [0x01, 0x80, 0xFF] {
                bytes[at] ^= flip;
                file.write_all_at(&bytes[at..=at], at as u64).unwrap();
                match replay::replay(dir.path(), IDENTITY) {
                    Ok(found) => {
                        assert_accounts(&found, &records, &format!("byte {at}"));
                        if at % SLOW_STEP == 0 {
                            assert_opens(&bytes[..usize::try_from(ends[3]).unwrap()], &found, options);
                        }
                        harmless += usize::from(found.gaps.iter().all(Gap::is_harmless));
                    }
                    Err(error) => {
                        assert!((8..12).contains(&at) && error.exit_code() == 1, "byte {at}: {error}");
                        refused += 1;
                    }
                }
                bytes[at] ^= flip;
            }
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        let sums = 4 * 64 + SEGMENT_HEADER_BYTES;
        assert!(harmless > 2 * sums && refused == 4 * 3, "{harmless} harmless, {refused} refused");
        assert_eq!(replay::replay(dir.path(), IDENTITY).unwrap().gaps, []);
    }
}

#[test]
fn what_nothing_whole_follows_is_refused_and_not_changed() {
    let (bytes, _, ends) = small_log(FILLED);
    for from in [ends[1], ends[2]].map(|end| usize::try_from(end).unwrap()) {
        let mut bent = bytes.clone();
        bent[from..usize::try_from(ends[3]).unwrap()].fill(0xAA);
        let dir = directory_with(&bent);
        let error = open(dir.path(), FILLED).map(drop).unwrap_err();
        assert_eq!((error.exit_code(), damage(&error)), (22, Damage::MayBeAcknowledged));
        assert!(error.to_string().contains("cluster recover"), "{error}");
        assert!(fs::read(first_segment(dir.path())).unwrap() == bent);
    }
}

#[test]
fn a_block_of_zeros_at_the_beginning_is_damage_where_anything_follows() {
    let (mut bytes, _, ends) = small_log(PLAIN);
    let first = usize::try_from(ends[1]).unwrap();
    bytes[..first].fill(0);
    bytes.truncate(first + FRAME_HEADER_BYTES / 2); // not even one frame header is whole
    let dir = directory_with(&bytes);
    let error = open(dir.path(), PLAIN).map(drop).unwrap_err();
    assert_eq!((error.exit_code(), damage(&error)), (22, Damage::Header));
}

#[test]
fn damage_is_told_from_a_torn_write_by_what_follows() {
    let (bytes, _, ends) = small_log(PLAIN);
    let flipped = |at: u64| {
        let mut flipped = bytes.clone();
        flipped[usize::try_from(at).unwrap()] ^= 1;
        gap(&read(&flipped).unwrap()).damage
    };
    assert_eq!(flipped(20), Damage::Header);
    assert_eq!(flipped(ends[1] + 8), Damage::BeforeWholeRecords); // the length
    assert_eq!(flipped(ends[1] + 40), Damage::BeforeWholeRecords);
    assert_eq!(flipped(ends[2] + 8), Damage::MayBeAcknowledged);
    assert_eq!(flipped(ends[2] + 40), Damage::MayBeAcknowledged);
}

#[test]
fn damage_names_the_record_and_where_it_stands() {
    let (mut bytes, _, ends) = small_log(PLAIN);
    bytes[usize::try_from(ends[1]).unwrap() + FRAME_HEADER_BYTES] ^= 1;
    let dir = directory_with(&bytes);
    let found = replay::replay(dir.path(), IDENTITY).unwrap();
    let Gap { path, offset, record, records, lacks, .. } = gap(&found);
    assert_eq!((path, *offset, *record, *records), (&first_segment(dir.path()), ends[1], 2, 1));
    assert_eq!(*lacks, [(1, Slot(1)), (2, Slot(2))]);
}

#[test]
fn a_frame_that_was_lost_or_moved_is_damage() {
    let (bytes, records, ends) = small_log(PLAIN);
    let [boot, first, second, third] =
        <[u64; 4]>::try_from(ends).unwrap().map(|end| usize::try_from(end).unwrap());
    let lost = [&bytes[..first], &vec![0; second - first], &bytes[second..]].concat();
    let found = read(&lost).unwrap();
    assert_eq!((gap(&found).damage, gap(&found).records), (Damage::BeforeWholeRecords, 1));
    assert_accounts(&found, &records, "lost");
    for moved in [[&bytes[..third], &bytes[boot..first]], [&bytes[..first], &bytes[second..]]] {
        let error = read(&moved.concat()).unwrap_err();
        assert_eq!(error.exit_code(), 22, "{error}");
    }
}

#[test]
fn a_stale_frame_of_the_same_place_is_damage() {
    // The same log twice, apart from one value: each frame stands where the other's stood.
    let [(old, ends), (new, _)] = [b'x', b'y'].map(|byte| {
        let dir = tempfile::tempdir().unwrap();
        let learnt = |slot, byte| {
            let value = Payload::from(vec![byte; 100]);
            let command = Command::Update(Update { session: SessionId(Slot(1)), sequence: slot, value });
            (0, Record::Learnt { slot: Slot(slot), command })
        };
        let ends = write(dir.path(), PLAIN, &[learnt(1, byte), learnt(2, b'z')]);
        (fs::read(first_segment(dir.path())).unwrap(), ends)
    });
    let second = usize::try_from(ends[1]).unwrap();
    // What is stale might be all that follows, or what it should follow: nobody can tell what was promised last.
    let error = read(&[&new[..second], &old[second..]].concat()).unwrap_err();
    assert_eq!((error.exit_code(), damage(&error)), (22, Damage::Chain));
}

/// Writes that a disk acknowledged without having them.
#[test]
fn a_disk_that_lies_about_syncs_loses_its_last_writes_only_and_is_noticed_where_a_later_one_is_there() {
    const HONEST: usize = 3;
    const LIES: usize = 5;
    let dir = tempfile::tempdir().unwrap();
    let records: Records = (1..=HONEST + LIES).map(|number| vote(number as u64, 40)).collect();
    let ends = write(dir.path(), FILLED, &records);
    let ends: Vec<_> = ends.into_iter().map(|end| usize::try_from(end).unwrap()).collect();
    let bytes = fs::read(first_segment(dir.path())).unwrap();
    let mut unnoticed = 0;
    for arrived in 0..1_u32 << LIES {
        let mut left = bytes.clone();
        let is_there = |lie: usize| arrived >> lie & 1 == 1;
        for lie in (0..LIES).filter(|&lie| !is_there(lie)) {
            left[ends[HONEST + lie]..ends[HONEST + lie + 1]].fill(0);
        }
        let found = read(&left).unwrap();
        let first_lost = (0..LIES).find(|&lie| !is_there(lie)).unwrap_or(LIES);
        let what = format!("arrived {arrived:b}");
        assert_eq!(found.records[..HONEST + first_lost], records[..HONEST + first_lost], "{what}");
        if (first_lost..LIES).any(is_there) {
            assert!(!found.gaps.is_empty(), "{what}: a later write is there");
            let last = (0..LIES).rfind(|&lie| is_there(lie)).unwrap();
            assert_accounts(&found, &records[..=HONEST + last].to_vec(), &what);
        } else {
            assert_eq!((found.records.len(), &found.gaps), (HONEST + first_lost, &vec![]), "{what}");
            unnoticed += 1;
        }
    }
    assert_eq!(unnoticed, LIES + 1, "only that nothing is lost, or the end");
}
