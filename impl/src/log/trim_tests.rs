//! Snapshots and trimming when power fails between any two system calls, when a call fails, and when a snapshot is
//! damaged afterwards.

use std::fs;
use std::path::Path;

use rustix::io::Errno;
use spec::{Command, Durable, Record, Sessions, Slot, Snapshot, Span, View};

use super::crash_tests::Disk;
use super::faults::{self, Call};
use super::tests::begun;
use super::{Damage, Identity, Log, LogError, LogOptions, Recovery, examine, segment, snapshots};
use crate::disk::WrittenSnapshot;
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

/// How long a life is, and how many slots after its content was taken a snapshot is written, and how many after that its
/// record.
#[derive(Clone, Copy, Debug)]
struct Life {
    slots: u64,
    file: u64,
    record: u64,
}

const AT_ONCE: Life = Life { slots: SLOTS, file: 0, record: 0 };
/// As when a thread writes it. Long enough for three snapshots, so that something is removed.
const LATER: Life = Life { slots: 3 * EVERY + 4, file: 2, record: 1 };

/// A server's life: a promise and a grant once, then values and now and then a snapshot. `done` is told the last slot
/// that is durable. A snapshot that could not be written is left out, and from then on no call fails. How many were.
fn live(dir: &Path, life: Life, mut done: impl FnMut(u64)) -> Result<u64, LogError> {
    let (mut log, _) = open(dir)?;
    let mut durable = Durable::default();
    let mut failed = 0;
    let (mut taken, mut written) = (None, None);
    for record in [Record::Promise(VIEW), Record::GrantTerm(TERM)] {
        log.append(GROUP, &record);
        durable.apply(record);
    }
    for slot in 1..=life.slots {
        log.append(GROUP, &learnt(slot));
        durable.apply(learnt(slot));
        log.sync()?;
        done(slot);
        if slot.is_multiple_of(EVERY) {
            taken = Some(content(slot));
        }
        if let Some(content) = taken.take_if(|content| slot == content.slot().0 + life.file) {
            log.begin_snapshot(GROUP, content);
            let WrittenSnapshot { content, result, .. } = log.end_snapshot()?.expect("it is written at once");
            match result {
                Ok(()) => written = Some(content.protocol),
                Err(_) => {
                    faults::heal();
                    failed += 1;
                }
            }
        }
        if let Some(snapshot) = written.take_if(|snapshot| slot == snapshot.slot.0 + life.file + life.record)
        {
            let kept = checkpoint(&durable, snapshot.slot);
            log.append(GROUP, &Record::Snapshot(snapshot));
            kept.iter().for_each(|record| log.append(GROUP, record));
            log.sync()?;
        }
    }
    Ok(failed)
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

/// Lets power fail after any system call of a life. How often the newest whole snapshot was found without its record.
fn fail_power_anywhere(life: Life) -> usize {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    let mut done_by = vec![];
    live(home.path(), life, |_| done_by.push(faults::calls().len())).unwrap();
    let calls = faults::calls();
    let count = |is: fn(&Call) -> bool| calls.iter().filter(|&call| is(call)).count() as u64;
    assert_eq!(count(|call| matches!(call, Call::Rename(..))), life.slots / EVERY, "snapshots are written");
    assert!(count(|call| matches!(call, Call::Remove(_))) > 2, "segments and snapshots are removed");
    let mut disk = Disk::default();
    let mut without_record = 0;
    for (made, call) in (1..).zip(&calls) {
        disk.call(call);
        let least = done_by.iter().filter(|&&by| by <= made).count() as u64;
        for dir in disk.survivals(made as u64) {
            let newest = snapshots::snapshots_in(dir.path()).unwrap().last().map(|&(_, slot)| slot);
            let records = examine(dir.path()).map_or(vec![], |found| found.records);
            let has_record = |slot| {
                records.iter().any(|(_, record)| matches!(record, Record::Snapshot(of) if of.slot == slot))
            };
            without_record += usize::from(newest.is_some_and(|slot| !has_record(slot)));
            assert_starts(dir.path(), least, &format!("{life:?}, after call {made}, {call:?}"));
        }
    }
    without_record
}

#[test]
fn power_may_fail_after_any_system_call_of_snapshots_and_trimming() {
    fail_power_anywhere(AT_ONCE);
}

#[test]
fn power_may_fail_between_a_snapshots_content_its_file_and_its_record_while_records_are_synced() {
    let without_record = fail_power_anywhere(LATER);
    assert!(without_record > 20, "{without_record} times a file was there and its record was not");
}

#[test]
fn a_system_call_that_fails_while_a_snapshot_is_written_or_the_log_is_trimmed_loses_nothing() {
    let run = |life: Life, fails: Option<usize>| {
        let home = tempfile::tempdir().unwrap();
        faults::begin();
        fails.into_iter().for_each(|call| faults::fail(call, Errno::NOSPC.raw_os_error()));
        let mut least = 0;
        let ended = live(home.path(), life, |slot| least = slot);
        let calls = faults::calls().len();
        faults::begin();
        (home, least, ended, calls)
    };
    for life in [AT_ONCE, LATER] {
        let (_, _, ended, calls) = run(life, None);
        assert_eq!(ended.unwrap(), 0);
        let mut went_on = 0;
        for call in 0..calls {
            let (home, least, ended, _) = run(life, Some(call));
            match ended {
                Ok(failed) => {
                    assert_eq!((failed, least), (1, life.slots), "{life:?}, call {call}");
                    went_on += 1;
                }
                Err(error) => assert_eq!(error.exit_code(), 23, "{error}"),
            }
            assert_starts(home.path(), least, &format!("{life:?}, call {call} failed"));
        }
        assert!(went_on > 10, "a snapshot that cannot be written ends nothing: {went_on} of {calls}");
    }
}

#[test]
fn what_cannot_be_removed_ends_the_log() {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    live(home.path(), AT_ONCE, |_| {}).unwrap();
    let is_removal = |call: &Call| matches!(call, Call::Remove(_));
    let removals: Vec<_> = (0..).zip(faults::calls()).filter(|(_, call)| is_removal(call)).collect();
    for (at, call) in removals {
        let home = tempfile::tempdir().unwrap();
        faults::begin();
        faults::fail(at, Errno::IO.raw_os_error());
        let error = live(home.path(), AT_ONCE, |_| {}).unwrap_err();
        assert!(error.to_string().contains("remove what no restart needs"), "{call:?}: {error}");
        assert!(!faults::calls().iter().skip(at).any(is_removal), "a gap after a crash: {call:?}");
    }
    faults::begin();
}

#[test]
fn the_disk_holds_no_more_than_two_snapshots_and_what_comes_after_the_older_one() {
    let home = tempfile::tempdir().unwrap();
    live(home.path(), AT_ONCE, |_| {}).unwrap();
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
    live(home.path(), AT_ONCE, |_| {}).unwrap();
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
    live(home.path(), AT_ONCE, |_| {}).unwrap();
    assert_eq!(segment::segments_in(home.path()).unwrap().first(), Some(&1));
}
