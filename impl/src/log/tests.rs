//! The log as a whole: what comes back after a cut, a flipped bit, a move or a failure at any place.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use proptest::sample::Index;
use rustix::io::Errno;
use spec::{Command, Record, ServerId, SessionId, Slot, Span, Update, View};
use tempfile::TempDir;

use super::damage_tests::assert_accounts;
use super::format::{FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::replay::Replay;
use super::{
    Damage, Gap, Identity, Log, LogError, LogOptions, Recovery, examine, faults, format, replay, segment,
};
use crate::payload::Payload;

pub(super) type Records = Vec<(u16, Record<Payload>)>;

pub(super) const IDENTITY: Identity = Identity { cluster: 0x1ea5e, server: 2 };
/// No zeros ahead, so that a file ends where its last frame ends.
pub(super) const PLAIN: LogOptions = LogOptions { segment_bytes: 1 << 20, zero_fill_bytes: 0 };
/// Zeros ahead, as in production.
pub(super) const FILLED: LogOptions = LogOptions { segment_bytes: 1 << 20, zero_fill_bytes: 4096 };
/// Tests that read a log after a change of every byte also open it, which syncs, after one in so many.
pub(super) const SLOW_STEP: usize = 37;

/// The `number`th record of a test: a vote for a value of `bytes` bytes.
pub(super) fn vote(number: u64, bytes: usize) -> (u16, Record<Payload>) {
    let value = Payload::from(vec![b'a' + number.to_le_bytes()[0] % 26; bytes]);
    let update = Update { session: SessionId(Slot(1)), sequence: number, value };
    let view = View::new(3, ServerId(1));
    (
        number.to_le_bytes()[0].into(),
        Record::Vote { view, slot: Slot(number), command: Command::Update(update) },
    )
}

pub(super) fn open(dir: &Path, options: LogOptions) -> Result<(Log, Recovery), LogError> {
    begun(dir, IDENTITY)?;
    Log::open_with(dir, IDENTITY, options)
}

/// Begins a log where there is none.
pub(super) fn begun(dir: &Path, identity: Identity) -> Result<(), LogError> {
    match Log::create(dir, identity, 0) {
        Err(LogError::Begun { .. }) => Ok(()),
        other => other,
    }
}

/// A log of these records, each synced by itself. Also where each write ended.
pub(super) fn write(dir: &Path, options: LogOptions, records: &[(u16, Record<Payload>)]) -> Vec<u64> {
    let (mut log, _) = open(dir, options).unwrap();
    let mut ends = vec![log.segment.offset];
    for (group, record) in records {
        log.append(*group, record);
        log.sync().unwrap();
        ends.push(log.segment.offset);
    }
    ends
}

pub(super) fn first_segment(dir: &Path) -> PathBuf {
    segment::path_of(dir, 1)
}

/// A directory whose only segment holds `bytes`.
pub(super) fn directory_with(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(first_segment(dir.path()), bytes).unwrap();
    dir
}

/// A log's bytes, its records and where the first write and each record's write end.
pub(super) type SmallLog = (Vec<u8>, Records, Vec<u64>);

/// A small log with values of several sizes.
pub(super) fn small_log(options: LogOptions) -> SmallLog {
    let dir = tempfile::tempdir().unwrap();
    let records: Records = [0, 30, 600].iter().zip(1..).map(|(&bytes, number)| vote(number, bytes)).collect();
    let ends = write(dir.path(), options, &records);
    (fs::read(first_segment(dir.path())).unwrap(), records, ends)
}

/// Where the frames of a log's first segment end, each with whether it holds records.
fn frame_ends(bytes: &[u8]) -> Vec<(usize, bool)> {
    let seed = format::seed(IDENTITY, 1);
    let mut ends = Vec::new();
    let mut offset = SEGMENT_HEADER_BYTES;
    while let Some(header) = FrameHeader::decode(bytes, offset, seed) {
        offset += header.frame_bytes();
        ends.push((offset, header.kind == format::FrameKind::Records));
    }
    ends
}

/// What is read of a log whose only segment holds `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Replay, LogError> {
    replay::replay(directory_with(bytes).path(), IDENTITY)
}

/// What is wrong with a log that can be read, and nowhere else than in one place.
pub(super) fn gap(found: &Replay) -> &Gap {
    let [gap] = &found.gaps[..] else { panic!("{:?}", found.gaps) };
    gap
}

pub(super) fn damage(error: &LogError) -> Damage {
    match error {
        LogError::Damaged { damage, .. } => *damage,
        other => panic!("{other}"),
    }
}

/// The records that were written and are among those that were found, which must be in order.
pub(super) fn left_of<'a>(written: &'a Records, found: &Records) -> Vec<&'a (u16, Record<Payload>)> {
    let left: Vec<_> = written.iter().filter(|record| found.contains(record)).collect();
    let in_order: Vec<_> = found.iter().filter(|record| written.contains(record)).collect();
    assert_eq!(left, in_order);
    left
}

#[test]
fn there_is_room_for_a_long_write_and_nothing_but_zeros_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { zero_fill_bytes: 256 << 10, ..FILLED };
    let records: Records =
        [100_000, 10, 80_000].into_iter().zip(1..).map(|(bytes, at)| vote(at, bytes)).collect();
    let ends = write(dir.path(), options, &records);
    let bytes = fs::read(first_segment(dir.path())).unwrap();
    let end = usize::try_from(*ends.last().unwrap()).unwrap();
    assert!(end < bytes.len() && bytes.len().is_multiple_of(256 << 10), "{end} of {}", bytes.len());
    assert!(format::is_zero(&bytes[end..]));
    assert_eq!(open(dir.path(), options).unwrap().1.records, records);
}

#[test]
fn what_was_synced_comes_back_in_order_with_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("not/there/yet");
    let records: Records = vec![
        (0, Record::Attempt(View::new(1, ServerId(2)))),
        (7, Record::Promise(View::new(1, ServerId(2)))),
        vote(1, 70_000),
        (u16::MAX, Record::Learnt { slot: Slot(2), command: Command::Open { nonce: 9 } }),
        (0, Record::Committed(Slot(2))),
        (0, Record::GrantTerm(Span(5))),
    ];
    {
        begun(&home, IDENTITY).unwrap();
        let (mut log, recovery) = Log::open(&home, IDENTITY).unwrap();
        assert_eq!((recovery.records, recovery.torn, recovery.boots), (vec![], None, 1));
        for batch in records.chunks(2) {
            batch.iter().for_each(|(group, record)| log.append(*group, record));
            log.sync().unwrap();
        }
        log.append(0, &records[0].1); // never synced
    }
    for boots in 2..5 {
        let (_, recovery) = Log::open(&home, IDENTITY).unwrap();
        assert_eq!((recovery.records, recovery.torn, recovery.boots), (records.clone(), None, boots));
    }
}

#[test]
fn a_sync_of_nothing_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    faults::begin();
    log.sync().unwrap();
    assert_eq!(faults::calls(), []);
}

#[test]
fn a_log_cut_anywhere_opens_with_every_record_that_is_whole() {
    for options in [PLAIN, FILLED] {
        let (bytes, records, ends) = small_log(options);
        let frames = frame_ends(&bytes);
        let dir = directory_with(&bytes);
        let file = OpenOptions::new().write(true).open(first_segment(dir.path())).unwrap();
        for cut in (0..bytes.len().min(1_600)).rev() {
            file.set_len(cut as u64).unwrap();
            let found =
                replay::replay(dir.path(), IDENTITY).unwrap_or_else(|error| panic!("at {cut}: {error}"));
            let whole = frames.iter().filter(|&&(end, has_records)| has_records && end <= cut).count();
            assert_eq!(found.records, records[..whole], "cut at {cut}");
            let ends_there = frames.iter().any(|&(end, _)| end == cut);
            let is_between_frames = ends_there || cut == SEGMENT_HEADER_BYTES;
            let is_past_the_end = ends[3] < cut as u64;
            assert_eq!(found.torn.is_none(), is_between_frames || is_past_the_end, "cut at {cut}");
            if let Some(torn) = &found.torn {
                let written = bytes[..cut].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                assert_eq!(torn.offset + torn.bytes, written as u64);
            }
            if cut % SLOW_STEP == 0 {
                let dir = directory_with(&bytes[..cut]);
                if cut < SEGMENT_HEADER_BYTES {
                    let refused = Log::open_with(dir.path(), IDENTITY, options).unwrap_err();
                    assert!(matches!(refused, LogError::NotBegun { .. }), "cut at {cut}: {refused}");
                    continue;
                }
                let (_, recovery) = open(dir.path(), options).unwrap();
                assert_eq!(
                    (recovery.records, recovery.torn.is_some()),
                    (found.records, found.torn.is_some())
                );
            }
        }
    }
}

#[test]
fn a_log_whose_tail_was_cut_off_goes_on_and_reports_it_once() {
    let (bytes, records, ends) = small_log(PLAIN);
    let dir = directory_with(&bytes[..bytes.len() - 100]);
    {
        let (mut log, recovery) = open(dir.path(), PLAIN).unwrap();
        let torn = recovery.torn.unwrap();
        assert_eq!((torn.offset, torn.bytes), (ends[2], ends[3] - 100 - ends[2]));
        log.append(5, &records[0].1);
        log.sync().unwrap();
    }
    let (_, recovery) = open(dir.path(), PLAIN).unwrap();
    let expected = [records[0].clone(), records[1].clone(), (5, records[0].1.clone())];
    assert_eq!((recovery.records.as_slice(), recovery.torn), (expected.as_slice(), None));
}

#[test]
fn half_a_record_after_the_end_is_removed() {
    let (bytes, records, ends) = small_log(FILLED);
    let [from, to] = [ends[2], ends[3]].map(|end| usize::try_from(end).unwrap());
    let mut torn = bytes.clone();
    torn[from + (to - from) / 2..].fill(0);
    let dir = directory_with(&torn);
    let (_, recovery) = open(dir.path(), FILLED).unwrap();
    assert_eq!(recovery.records, records[..2]);
    assert_eq!(recovery.torn.unwrap().offset, ends[2]);
}

#[test]
fn sectors_of_the_last_frame_may_be_missing_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let records: Records = (1..4).map(|number| vote(number, 3_000)).collect();
    let ends = write(dir.path(), FILLED, &records);
    let bytes = fs::read(first_segment(dir.path())).unwrap();
    let [from, to] = [ends[2], ends[3]].map(|end| usize::try_from(end).unwrap());
    let records_end = frame_ends(&bytes).into_iter().rfind(|&(_, has_records)| has_records).unwrap().0;
    let sectors = (from..to).filter(|at| *at == from || at % 512 == 0).collect::<Vec<_>>();
    for missing in 1..(1_u32 << sectors.len()) {
        let mut torn = bytes.clone();
        for (index, &at) in sectors.iter().enumerate().filter(|(index, _)| missing >> index & 1 == 1) {
            torn[at..*sectors.get(index + 1).unwrap_or(&to)].fill(0);
        }
        let found = read(&torn).unwrap();
        let whole = if torn[..records_end] == bytes[..records_end] { 3 } else { 2 };
        assert_eq!(found.records, records[..whole], "missing {missing:b}");
        let nothing_was_written = torn[from..to].iter().all(|&byte| byte == 0);
        assert_eq!(found.torn.is_none(), nothing_was_written, "missing {missing:b}");
        assert_eq!(found.gaps, [], "missing {missing:b}");
    }
}

#[test]
fn examining_says_what_opening_says() {
    for options in [PLAIN, FILLED] {
        let (bytes, records, ends) = small_log(options);
        for at in (0..usize::try_from(ends[3]).unwrap()).step_by(SLOW_STEP) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            for bytes in [&flipped[..], &bytes[..at]] {
                let dir = directory_with(bytes);
                let found = examine(dir.path()).unwrap();
                left_of(&records, &found.records);
                match Log::open_with(dir.path(), IDENTITY, options) {
                    Ok((_, recovery)) => {
                        assert!(found.problem.is_none() && found.torn == recovery.torn, "byte {at}");
                        assert_eq!((found.records, found.gaps), (recovery.records, recovery.gaps));
                    }
                    Err(error) => {
                        assert_eq!(found.problem.map(|it| it.to_string()), Some(error.to_string()));
                    }
                }
            }
        }
    }
}

#[test]
fn segments_roll_over_and_any_that_lacks_its_end_is_damage() {
    let small = LogOptions { segment_bytes: 1_000, zero_fill_bytes: 256 };
    let dir = tempfile::tempdir().unwrap();
    let mut records: Records = (1..20).map(|number| vote(number, 150)).collect();
    records.push(vote(20, 5_000)); // longer than a segment
    records.push(vote(21, 1));
    write(dir.path(), small, &records);
    let segments = segment::segments_in(dir.path()).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    let (log, recovery) = open(dir.path(), small).unwrap();
    assert_eq!((recovery.records, recovery.boots), (records.clone(), 2));
    drop(log);

    let path = segment::path_of(dir.path(), 2);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 30, SEGMENT_HEADER_BYTES, 300, bytes.len() - 400] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_accounts(&replay::replay(dir.path(), IDENTITY).unwrap(), &records, &format!("cut at {cut}"));
    }
    fs::remove_file(&path).unwrap();
    let found = replay::replay(dir.path(), IDENTITY).unwrap();
    assert_accounts(&found, &records, "missing");
    assert_eq!(gap(&found).damage, Damage::SegmentMissing);
}

#[test]
fn a_segment_whose_creation_was_cut_short_is_begun_again() {
    let (bytes, records, _) = small_log(PLAIN);
    for remains in [&[][..], &[0; 64], &bytes[..30]] {
        let dir = directory_with(&bytes);
        fs::write(segment::path_of(dir.path(), 2), remains).unwrap();
        for boots in [2, 3] {
            let (log, recovery) = open(dir.path(), PLAIN).unwrap();
            assert_eq!((recovery.records.as_slice(), recovery.boots), (records.as_slice(), boots));
            assert_eq!((log.segment.number, recovery.torn.is_some()), (2, boots == 2));
        }
    }
}

#[test]
fn another_clusters_or_servers_log_is_refused() {
    let (bytes, ..) = small_log(PLAIN);
    let dir = directory_with(&bytes);
    for other in [Identity { server: 1, ..IDENTITY }, Identity { cluster: 5, ..IDENTITY }] {
        let error = Log::open(dir.path(), other).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 21);
        assert!(error.to_string().contains(&IDENTITY.to_string()), "{error}");
        assert!(error.to_string().contains(&other.to_string()), "{error}");
    }
}

#[test]
fn a_segment_of_another_server_among_ones_own_is_refused() {
    let (mut bytes, ..) = small_log(PLAIN);
    let identity = Identity { server: 0, ..IDENTITY };
    let header = SegmentHeader { identity, incarnation: 0, segment: 1, start: super::Position::default() };
    bytes[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
    let dir = directory_with(&bytes);
    // A header that was swapped alone does not help either.
    assert_eq!(Log::open(dir.path(), identity).map(drop).unwrap_err().exit_code(), 22);
}

#[test]
fn another_format_is_refused_with_both_versions() {
    for other in [1, 9] {
        let (mut bytes, ..) = small_log(PLAIN);
        bytes[8] = other;
        let dir = directory_with(&bytes);
        let error = open(dir.path(), PLAIN).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let said = error.to_string();
        assert!(
            said.contains(&format!("format version {other},")) && said.contains("reads version 2"),
            "{said}"
        );
        assert!(fs::read(first_segment(dir.path())).unwrap() == bytes);
    }
}

#[test]
fn a_second_opener_is_told_who_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), PLAIN).unwrap();
    let error = open(dir.path(), PLAIN).map(drop).unwrap_err();
    assert!(error.to_string().contains(&format!("process {} ", std::process::id())), "{error}");
    drop(first);
    open(dir.path(), PLAIN).unwrap();
}

#[test]
fn after_a_failed_write_every_sync_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let (group, record) = vote(1, 10);
    log.append(group, &record);
    faults::begin();
    faults::fail(0, Errno::IO.raw_os_error());
    let error = log.sync().unwrap_err();
    assert!(matches!(error, LogError::Disk { operation: "write", .. }), "{error}");
    for _ in 0..2 {
        let error = log.sync().unwrap_err();
        assert_eq!(error.exit_code(), 23);
        assert!(matches!(error, LogError::Poisoned { .. }), "{error}");
        log.append(group, &record);
    }
}

proptest! {
    #[test]
    fn whatever_happens_to_the_bytes_nothing_is_read_that_was_not_written(
        changes in vec((any::<Index>(), vec(any::<u8>(), 1..600)), 1..4),
        cut in any::<Index>(),
        is_filled in any::<bool>(),
    ) {
        static LOGS: LazyLock<[SmallLog; 2]> = LazyLock::new(|| [PLAIN, FILLED].map(small_log));
        let (bytes, records, ends) = &LOGS[usize::from(is_filled)];
        let mut bytes = bytes.clone();
        for (at, change) in changes {
            let at = at.index(usize::try_from(ends[3]).unwrap());
            let end = bytes.len().min(at + change.len());
            bytes[at..end].copy_from_slice(&change[..end - at]);
        }
        bytes.truncate(cut.index(bytes.len() * 2)); // half of the time not at all
        if let Ok(found) = read(&bytes) {
            let left = left_of(records, &found.records);
            let lost: u64 = found.gaps.iter().map(|gap| gap.records).sum();
            prop_assert!(found.torn.is_some() || found.gaps.is_empty() || left.len() as u64 + lost <= 3);
            if found.gaps.is_empty() {
                prop_assert!(records.starts_with(&found.records));
            }
        }
    }
}
