//! Syncs that overlap with what the log's owner does, and segments that are made ahead.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::file::DataFile;
use super::segment::path_of;
use super::tests::{FILLED, PLAIN, Records, open, vote};
use super::{Log, LogError, LogOptions, format};

/// How long the log's thread may take, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// From now on a thread works for the log. What it tells when a write has ended.
fn overlapping(log: &mut Log) -> Receiver<()> {
    let (wake, woken) = mpsc::channel();
    log.write_behind(move || _ = wake.send(())).unwrap();
    woken
}

#[test]
fn what_is_appended_during_a_sync_goes_with_the_next_and_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), FILLED).unwrap();
    let woken = overlapping(&mut log);
    let records: Records = (1..=9).map(|number| vote(number, 600)).collect();
    for pair in records.chunks(2) {
        log.append(pair[0].0, &pair[0].1);
        log.begin_sync(true).unwrap();
        for (group, record) in &pair[1..] {
            log.append(*group, record);
            assert!(log.buffered_bytes() >= 600, "it waits for the next sync");
        }
        woken.recv_timeout(PATIENCE).unwrap();
        assert!(log.end_sync(false).unwrap(), "it says so when it is over");
        assert!(log.end_sync(false).unwrap(), "and goes on saying so");
        log.sync().unwrap();
        assert_eq!(log.buffered_bytes(), 0);
    }
    drop(log);
    assert_eq!(open(dir.path(), FILLED).unwrap().1.records, records);
}

#[test]
fn a_log_that_is_dropped_during_a_sync_has_finished_it() {
    let dir = tempfile::tempdir().unwrap();
    let records: Records = (1..=20).map(|number| vote(number, 60_000)).collect();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let _woken = overlapping(&mut log);
    records.iter().for_each(|(group, record)| log.append(*group, record));
    log.begin_sync(true).unwrap();
    drop(log);
    assert_eq!(open(dir.path(), PLAIN).unwrap().1.records, records);
}

#[test]
fn a_write_that_fails_on_the_thread_is_told_once_and_the_log_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let woken = overlapping(&mut log);
    log.segment.file = Arc::new(DataFile::open("/dev/full".into()).unwrap());
    let (group, record) = vote(1, 30);
    log.append(group, &record);
    log.begin_sync(true).unwrap();
    woken.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(log.end_sync(false), Err(LogError::Disk { .. })));
    assert!(matches!(log.end_sync(false), Err(LogError::Poisoned { .. })), "it is not over, nor will it be");
    log.append(group, &record);
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
}

/// Segments of two pages, so that a few records leave one.
const SMALL: LogOptions = LogOptions { segment_bytes: 8192, zero_fill_bytes: 1024 };

fn append_and_sync(log: &mut Log, records: &Records) {
    for (group, record) in records {
        log.append(*group, record);
        log.sync().unwrap();
    }
}

#[test]
fn a_log_goes_on_in_a_segment_that_was_made_ahead_and_whose_rest_is_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL).unwrap();
    let _woken = overlapping(&mut log);
    let records: Records = (1..=60).map(|number| vote(number, 600)).collect();
    let (mut adopted, begun) = (0, Instant::now());
    for record in &records {
        let former = log.segment.number;
        append_and_sync(&mut log, &vec![record.clone()]);
        if log.segment.number > former && !left_over(dir.path()).exists() {
            let bytes = fs::read(path_of(dir.path(), log.segment.number)).unwrap();
            let offset = usize::try_from(log.segment.offset).unwrap();
            assert_eq!((bytes.len(), format::is_zero(&bytes[offset..])), (8192, true));
            adopted += 1;
        }
        while log.segment.is_half_full(&SMALL) && !log.spare.is_there() {
            assert!(begun.elapsed() < PATIENCE, "the next segment is not made");
            thread::yield_now();
        }
    }
    assert!(adopted > 3, "{adopted}");
    drop(log);
    assert_eq!(open(dir.path(), SMALL).unwrap().1.records, records);
}

#[test]
fn a_log_goes_on_where_no_segment_can_be_made_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL).unwrap();
    let _woken = overlapping(&mut log);
    fs::create_dir(left_over(dir.path())).unwrap();
    let records: Records = (1..=30).map(|number| vote(number, 600)).collect();
    append_and_sync(&mut log, &records);
    assert!(log.segment.number > 2);
    drop(log);
    fs::remove_dir(left_over(dir.path())).unwrap();
    assert_eq!(open(dir.path(), SMALL).unwrap().1.records, records);
}

#[test]
fn a_segment_that_was_made_ahead_and_not_begun_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL).unwrap();
    log.spare.make(dir.path(), SMALL.segment_bytes).unwrap();
    append_and_sync(&mut log, &vec![vote(1, 30)]);
    drop(log);
    assert_eq!(fs::read(left_over(dir.path())).unwrap(), [0; 8192]);
    assert_eq!(open(dir.path(), SMALL).unwrap().1.records, [vote(1, 30)]);
    assert!(!left_over(dir.path()).exists());
}

fn left_over(dir: &Path) -> PathBuf {
    dir.join("next.unfinished")
}
