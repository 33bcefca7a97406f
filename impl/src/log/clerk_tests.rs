//! Snapshots that are written, and segments that are removed, while the log's owner goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use spec::{Record, Sessions, Slot, Snapshot};

use super::faults::{self, Call};
use super::segment::{path_of, segments_in};
use super::tests::{PLAIN, open, vote};
use super::{Log, LogError, LogOptions};
use crate::disk::WrittenSnapshot;
use crate::snapshot::Content;

/// How long the log's threads may take, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Segments of a few frames.
const SMALL: LogOptions = LogOptions { segment_bytes: 2_000, zero_fill_bytes: 0 };
const GROUP: u16 = 3;

/// From now on threads work for the log. What they tell when they have done something.
fn overlapping(log: &mut Log) -> Receiver<()> {
    let (wake, woken) = mpsc::channel();
    log.write_behind(move || _ = wake.send(())).unwrap();
    woken
}

fn content(slot: u64, bytes: usize) -> Content {
    let protocol = Snapshot { slot: Slot(slot), sessions: Sessions::default() };
    Content { protocol, state: vec![7; bytes].into(), ..Content::default() }
}

/// Waits for the next snapshot that is over.
fn ended(log: &mut Log, woken: &Receiver<()>) -> Result<WrittenSnapshot, LogError> {
    loop {
        if let Some(written) = log.end_snapshot()? {
            return Ok(written);
        }
        woken.recv_timeout(PATIENCE).unwrap();
    }
}

/// Holds the thread up: whoever creates the snapshot waits until the pipe that stands in its place is read from, and cannot
/// write it then.
fn stand_in_the_way(dir: &Path) -> PathBuf {
    let path = dir.join(format!("{GROUP}.unfinished"));
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    path
}

#[test]
fn records_are_synced_while_a_snapshot_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let woken = overlapping(&mut log);
    let pipe = stand_in_the_way(dir.path());
    log.begin_snapshot(GROUP, content(1, 100));
    let records: Vec<_> = (1..=20).map(|number| vote(number, 600)).collect();
    for (group, record) in &records {
        log.append(*group, record);
        log.begin_sync(true).unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        assert!(log.end_sync(false).unwrap(), "nothing but the sync has ended");
        assert!(log.end_snapshot().unwrap().is_none(), "it is being written");
    }
    log.begin_snapshot(GROUP, content(2, 100));
    let reader = File::open(pipe).unwrap();
    let failed = ended(&mut log, &woken).unwrap();
    assert_eq!((failed.group, failed.content.slot()), (GROUP, Slot(1)));
    assert!(failed.result.unwrap_err().contains("3.unfinished"));
    let written = ended(&mut log, &woken).unwrap();
    assert_eq!((written.content.slot(), written.result), (Slot(2), Ok(())), "the next try is another one");
    drop((log, reader));
    let (log, recovery) = open(dir.path(), PLAIN).unwrap();
    assert_eq!(recovery.records, records);
    assert_eq!(log.snapshots(GROUP), [Slot(2)]);
    assert_eq!(log.read_snapshot(GROUP, Slot(2)).unwrap(), content(2, 100));
}

#[test]
fn a_log_that_is_dropped_waits_for_the_snapshot_that_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let _woken = overlapping(&mut log);
    let pipe = stand_in_the_way(dir.path());
    log.begin_snapshot(GROUP, content(1, 100));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            File::open(&pipe).unwrap()
        });
        drop(log);
        assert!(!pipe.exists(), "the thread has removed what it could not write");
    });
    let (mut log, _) = open(dir.path(), PLAIN).unwrap();
    let _woken = overlapping(&mut log);
    log.begin_snapshot(GROUP, content(2, 8 << 20));
    drop(log);
    let (log, _) = open(dir.path(), PLAIN).unwrap();
    assert_eq!(log.read_snapshot(GROUP, Slot(2)).unwrap(), content(2, 8 << 20));
}

/// Some values and a snapshot, whose record is synced. Waits for the snapshot.
fn live(log: &mut Log, woken: &Receiver<()>, number: u64) -> Result<(), LogError> {
    for slot in number * 10..number * 10 + 10 {
        log.append(GROUP, &vote(slot, 300).1);
        log.sync()?;
    }
    log.begin_snapshot(GROUP, content(number * 10 + 9, 100));
    let written = ended(log, woken)?;
    log.append(GROUP, &Record::Snapshot(written.content.protocol));
    log.sync()
}

#[test]
fn the_owners_thread_neither_writes_a_snapshot_nor_removes_what_it_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL).unwrap();
    let woken = overlapping(&mut log);
    faults::begin();
    (1..=5).for_each(|number| live(&mut log, &woken, number).unwrap());
    let calls = faults::calls(); // Of this thread.
    // What comes after the removals is over, so they are.
    log.begin_snapshot(GROUP, content(100, 100));
    ended(&mut log, &woken).unwrap();
    assert_eq!(log.snapshots(GROUP), [100, 59, 49].map(Slot), "it keeps two, and one that has no record yet");
    assert!(segments_in(dir.path()).unwrap()[0] > 3, "segments are removed");
    let name = format!("{GROUP}");
    let is_of_a_snapshot = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(&name);
    for call in calls {
        match call {
            Call::Remove(_) => panic!("{call:?}"),
            Call::Create(path)
            | Call::Rename(_, path)
            | Call::Cut(path, _)
            | Call::Write(path, ..)
            | Call::Sync(path) => {
                assert!(!is_of_a_snapshot(&path), "{}", path.display());
            }
            Call::SyncDirectory => {}
        }
    }
}

#[test]
fn what_the_thread_cannot_remove_is_told_and_nothing_behind_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL).unwrap();
    let woken = overlapping(&mut log);
    live(&mut log, &woken, 1).unwrap();
    let before = segments_in(dir.path()).unwrap();
    assert!(before.len() > 2);
    let in_the_way = path_of(dir.path(), before[0]);
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    let error = (2..=3).try_for_each(|number| live(&mut log, &woken, number)).and_then(|()| {
        log.begin_snapshot(GROUP, content(100, 100));
        ended(&mut log, &woken).map(drop)
    });
    let error = error.unwrap_err();
    assert_eq!((error.path(), error.exit_code()), (in_the_way.as_path(), 23), "{error}");
    assert!(segments_in(dir.path()).unwrap().starts_with(&before), "what is left has no gap");
}
