//! Snapshots and trimming when power fails between any two system calls, when a call fails, and when a snapshot is
//! damaged afterwards.

use std::fs;
use std::path::Path;

use rustix::io::Errno;
use spec::{Command, Durable, Record, Sessions, Slot, Snapshot, Span, View};

use super::crash_tests::Disk;
use super::faults::{self, Call};
use super::tests::begun;
use super::{Damage, Identity, Log, LogError, LogOptions, Recovery, examine, segment};
use crate::driver::{checkpoint, start_of};
use crate::payload::Payload;
use crate::snapshot::Content;

const IDENTITY: Identity = Identity { cluster: 0x1ea5e, server: 2 };
const OPTIONS: LogOptions = LogOptions { segment_bytes: 400, zero_fill_bytes: 512 };
const GROUP: u16 = 3;
const TERM: Span = Span(77);
const VIEW: View = View::new(4, spec::ServerId(1));
/// Slots from snapshot to snapshot.
const EVERY: u64 = 6;
const SLOTS: u64 = 40;

fn open(dir: &Path) -> Result<(Log, Recovery), LogError> {
    begun(dir, IDENTITY)?;
    Log::open_with(dir, IDENTITY, OPTIONS)
}

fn learnt(slot: u64) -> Record<Payload> {
    Record::Learnt { slot: Slot(slot), command: Command::Open { nonce: slot } }
}

/// A snapshot whose state is its slot.
fn content(slot: u64) -> Content {
    let protocol = Snapshot { slot: Slot(slot), sessions: Sessions::default() };
    Content { protocol, state: slot.to_le_bytes().to_vec().into(), ..Content::default() }
}

/// A server's life: a promise and a grant once, then values and now and then a snapshot. `done` is told the last slot
/// that is durable.
fn live(dir: &Path, mut done: impl FnMut(u64)) -> Result<(), LogError> {
    let (mut log, _) = open(dir)?;
    let mut durable = Durable::default();
    for record in [Record::Promise(VIEW), Record::GrantTerm(TERM)] {
        log.append(GROUP, &record);
        durable.apply(record);
    }
    for slot in 1..=SLOTS {
        log.append(GROUP, &learnt(slot));
        durable.apply(learnt(slot));
        log.sync()?;
        done(slot);
        if slot.is_multiple_of(EVERY) {
            let content = content(slot);
            log.write_snapshot(GROUP, Slot(slot), &content.encode())?;
            log.append(GROUP, &Record::Snapshot(content.protocol));
            checkpoint(&durable, Slot(slot)).iter().for_each(|record| log.append(GROUP, record));
            log.sync()?;
        }
    }
    Ok(())
}

/// What a start makes of a directory: everything up to `least` is there, and so are the promise and the grant.
fn assert_starts(dir: &Path, least: u64, what: &str) {
    let (log, recovery) = open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    let records: Vec<_> = recovery.records.into_iter().map(|(_, record)| record).collect();
    let (durable, content) = start_of(&log, GROUP, &records);
    let committed = durable.history.committed();
    assert!(committed.0 >= least, "{what}: {least} is durable, and {committed} is there");
    if least > 0 {
        assert_eq!((durable.promised, durable.grant_term), (VIEW, TERM), "{what}");
    }
    let base = durable.history.base();
    assert_eq!(
        content.map_or(Slot::NONE, |content| content.slot()),
        base,
        "{what}: the state is another one's"
    );
    for slot in (base.0 + 1..=committed.0).map(Slot) {
        assert_eq!(durable.history.committed_command(slot), Some(&Command::Open { nonce: slot.0 }), "{what}");
    }
}

#[test]
fn power_may_fail_after_any_system_call_of_snapshots_and_trimming() {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    let mut done_by = vec![];
    live(home.path(), |_| done_by.push(faults::calls().len())).unwrap();
    let calls = faults::calls();
    let count = |is: fn(&Call) -> bool| calls.iter().filter(|&call| is(call)).count();
    assert!(count(|call| matches!(call, Call::Rename(..))) > 5, "snapshots are written");
    assert!(count(|call| matches!(call, Call::Remove(_))) > 8, "segments and snapshots are removed");
    let mut disk = Disk::default();
    for (made, call) in (1..).zip(&calls) {
        disk.call(call);
        let least = done_by.iter().filter(|&&by| by <= made).count() as u64;
        for dir in disk.survivals(made as u64) {
            assert_starts(dir.path(), least, &format!("after call {made}, {call:?}"));
        }
    }
}

#[test]
fn a_system_call_that_fails_while_a_snapshot_is_written_or_the_log_is_trimmed_loses_nothing() {
    let run = |fails: Option<usize>| {
        let home = tempfile::tempdir().unwrap();
        faults::begin();
        fails.into_iter().for_each(|call| faults::fail(call, Errno::NOSPC.raw_os_error()));
        let mut least = 0;
        let ended = live(home.path(), |slot| least = slot);
        let calls = faults::calls().len();
        faults::begin();
        (home, least, ended, calls)
    };
    let (_, _, ended, calls) = run(None);
    ended.unwrap();
    for call in 0..calls {
        let (home, least, ended, _) = run(Some(call));
        let error = ended.unwrap_err();
        assert_eq!(error.exit_code(), 23, "{error}");
        assert_starts(home.path(), least, &format!("call {call} failed"));
    }
}

#[test]
fn the_disk_holds_no_more_than_two_snapshots_and_what_comes_after_the_older_one() {
    let home = tempfile::tempdir().unwrap();
    live(home.path(), |_| {}).unwrap();
    let (log, recovery) = open(home.path()).unwrap();
    let last = SLOTS / EVERY * EVERY;
    assert_eq!(log.snapshots(GROUP), [Slot(last), Slot(last - EVERY)]);
    let oldest = recovery.records.iter().filter_map(|(_, record)| match record {
        Record::Learnt { slot, .. } => Some(slot.0),
        _ => None,
    });
    assert!(oldest.min().unwrap() > last - 3 * EVERY, "whole segments are removed");
    let found = examine(home.path()).unwrap();
    assert!(found.problem.is_none() && found.torn.is_none());
}

#[test]
fn any_byte_of_the_newest_snapshot_may_be_damaged_and_the_older_one_and_the_log_make_up_for_it() {
    let home = tempfile::tempdir().unwrap();
    live(home.path(), |_| {}).unwrap();
    let newest = home.path().join(format!("{GROUP}-{:020}.snapshot", SLOTS / EVERY * EVERY));
    let whole = fs::read(&newest).unwrap();
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        fs::write(&newest, bent).unwrap();
        assert_starts(home.path(), SLOTS, &format!("byte {at}"));
    }
    fs::remove_file(&newest).unwrap();
    assert_starts(home.path(), SLOTS, "no snapshot");
}

#[test]
fn a_log_whose_beginning_is_gone_without_a_snapshot_says_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let (mut log, _) = open(home.path()).unwrap();
    log.append(GROUP, &Record::Promise(VIEW));
    for slot in 1..=SLOTS {
        log.append(GROUP, &learnt(slot));
        log.sync().unwrap();
    }
    drop(log);
    fs::remove_file(segment::path_of(home.path(), 1)).unwrap();
    let found = examine(home.path()).unwrap();
    let [gap] = &found.gaps[..] else { panic!("{:?}", found.gaps) };
    assert_eq!((gap.record, gap.damage), (1, Damage::SegmentMissing));
    let [(GROUP, slot)] = gap.lacks[..] else { panic!("{gap:?}") };
    assert!(slot.0 + 1 >= gap.records, "{gap:?}");
    assert!(found.records.contains(&(GROUP, Record::Promise(VIEW))), "the promise is forgotten");
}

#[test]
fn a_group_without_a_snapshot_keeps_all_of_the_log() {
    let home = tempfile::tempdir().unwrap();
    let (mut log, _) = open(home.path()).unwrap();
    log.append(GROUP + 1, &Record::Promise(VIEW));
    log.sync().unwrap();
    drop(log);
    live(home.path(), |_| {}).unwrap();
    assert_eq!(segment::segments_in(home.path()).unwrap().first(), Some(&1));
}
