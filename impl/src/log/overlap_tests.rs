//! Syncs that overlap with what the log's owner does.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::file::DataFile;
use super::tests::{FILLED, PLAIN, Records, open, vote};
use super::{Log, LogError};

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
    log.append(group, &record);
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
}
