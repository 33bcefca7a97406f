//! The log when a system call fails, and when power or process end between any two of them.
//!
//! The calls of a run are noted. For each of them the directory is built as it could be found if everything ended
//! right after it: all that was written is there, or only what was synced, or part of what was not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use spec::{Record, Slot, Span};
use tempfile::TempDir;

use super::faults::{self, Call};
use super::tests::begun;
use super::{Damage, Identity, Log, LogError, LogOptions, Recovery, replay, segment};
use crate::payload::Payload;
use crate::rng::Rng;

const IDENTITY: Identity = Identity { cluster: 0x1ea5e, server: 2 };
/// Segments of a few frames, so that the run leaves some.
const OPTIONS: LogOptions = LogOptions { segment_bytes: 1_500, zero_fill_bytes: 512 };
const SECTOR_BYTES: usize = 512;
/// How many ways in which sectors that were not synced survive are tried after each call.
const SURVIVALS: usize = 6;

fn open(dir: &Path) -> Result<(Log, Recovery), LogError> {
    begun(dir, IDENTITY)?;
    Log::open_with(dir, IDENTITY, OPTIONS)
}

fn record(number: u64) -> Record<Payload> {
    let bytes = [20, 700, 90][usize::try_from(number % 3).unwrap()];
    let value = Payload::from(vec![b'a' + number.to_le_bytes()[0]; bytes]);
    let update = spec::Update { session: spec::SessionId(Slot(1)), sequence: number, value };
    Record::Learnt { slot: Slot(number), command: spec::Command::Update(update) }
}

/// Appends and syncs records until one fails, and says which.
fn write(log: &mut Log, numbers: std::ops::Range<u64>) -> Result<(), (u64, LogError)> {
    for number in numbers {
        log.append(0, &record(number));
        log.sync().map_err(|error| (number, error))?;
    }
    Ok(())
}

/// A directory as the disk has it.
#[derive(Clone, Default)]
pub(super) struct Disk {
    files: BTreeMap<OsString, File>,
}

#[derive(Clone, Default)]
pub(super) struct File {
    bytes: Vec<u8>,
    /// Changes since its last sync.
    pending: Vec<Call>,
    /// Changes whose sync failed: every process sees them, the disk never will.
    given_up: Vec<Call>,
    /// Whether its name survives a power failure.
    is_named: bool,
    /// What has the name if it does not.
    former: Option<Box<File>>,
    /// Whether its name may be gone after a power failure.
    is_removed: bool,
}

impl File {
    /// Applies a change; of a write, the sectors that are `kept`.
    fn apply(&mut self, change: &Call, mut kept: impl FnMut() -> bool) {
        match change {
            Call::Cut(_, bytes) => self.bytes.resize(usize::try_from(*bytes).unwrap(), 0),
            Call::Write(_, offset, bytes) => {
                let start = usize::try_from(*offset).unwrap();
                let end = start + bytes.len();
                let mut at = start;
                while at < end {
                    let sector_end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
                    if kept() {
                        self.bytes.resize(self.bytes.len().max(sector_end), 0);
                        self.bytes[at..sector_end].copy_from_slice(&bytes[at - start..sector_end - start]);
                    }
                    at = sector_end;
                }
            }
            _ => unreachable!("no change of a file"),
        }
    }
}

/// A file's name without its directory: what is left of one directory is put into others.
fn name(path: &Path) -> OsString {
    path.file_name().unwrap().to_owned()
}

impl Disk {
    fn of(dir: &Path) -> Self {
        let segments = segment::segments_in(dir).unwrap();
        let paths = segments.iter().map(|&number| segment::path_of(dir, number));
        let file = |path| File { bytes: fs::read(path).unwrap(), is_named: true, ..File::default() };
        Self { files: paths.map(|path| (name(&path), file(path))).collect() }
    }

    pub(super) fn call(&mut self, call: &Call) {
        match call {
            Call::Create(path) => {
                let is_named = self.files.get(&name(path)).is_some_and(|file| file.is_named);
                self.files.insert(name(path), File { is_named, ..File::default() });
            }
            Call::Cut(path, _) | Call::Write(path, ..) => {
                self.files.get_mut(&name(path)).unwrap().pending.push(call.clone());
            }
            Call::Sync(path) => {
                let file = self.files.get_mut(&name(path)).unwrap();
                for change in std::mem::take(&mut file.pending) {
                    file.apply(&change, || true);
                }
            }
            Call::Rename(from, to) => {
                let former = self.files.remove(&name(to)).filter(|file| file.is_named).map(Box::new);
                let file = self.files.remove(&name(from)).unwrap();
                self.files.insert(name(to), File { is_named: false, former, ..file });
            }
            Call::Remove(path) => self.files.get_mut(&name(path)).unwrap().is_removed = true,
            Call::SyncDirectory => {
                self.files.retain(|_, file| !file.is_removed);
                self.files.values_mut().for_each(|file| (file.is_named, file.former) = (true, None));
            }
        }
    }

    /// The sync of a file failed: the operating system marks its pages clean and forgets about them.
    fn fail_sync(&mut self, path: &Path) {
        let file = self.files.get_mut(&name(path)).unwrap();
        file.given_up.append(&mut file.pending);
    }

    /// The directory as processes see it while there is power.
    fn cached(&self) -> TempDir {
        let mut disk = self.clone();
        for file in disk.files.values_mut() {
            file.given_up.append(&mut file.pending);
            file.pending = std::mem::take(&mut file.given_up);
        }
        disk.after(|| true)
    }

    /// The directory after the power failed: `kept` says whether a sector, or a name, that was not synced survives.
    pub(super) fn after(&self, mut kept: impl FnMut() -> bool) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, file) in &self.files {
            if file.is_removed && kept() {
                continue;
            }
            let file = if file.is_named || kept() { Some(file) } else { file.former.as_deref() };
            let Some(mut file) = file.cloned() else { continue };
            for change in std::mem::take(&mut file.pending) {
                file.apply(&change, &mut kept);
            }
            fs::write(dir.path().join(name), file.bytes).unwrap();
        }
        dir
    }

    /// Everything that can be left, in some of the ways in which it can.
    pub(super) fn survivals(&self, seed: u64) -> Vec<TempDir> {
        let mut rng = Rng::seeded(seed);
        let mut dirs = vec![self.after(|| true), self.after(|| false)];
        dirs.extend((0..SURVIVALS).map(|_| self.after(|| rng.percent(50))));
        dirs
    }
}

/// Reads what a crash left: every record up to `acknowledged` is there, and nothing that was never appended.
fn assert_recovers(dir: &Path, acknowledged: u64, what: &str) {
    let found = replay::replay(dir, IDENTITY).unwrap_or_else(|error| panic!("{what}: {error}"));
    let count = found.records.len() as u64;
    assert!(count >= acknowledged, "{what}: {acknowledged} were acknowledged, {count} are there");
    let expected: Vec<_> = (1..=count).map(|number| (0, record(number))).collect();
    assert!(found.records == expected, "{what}: other records");
}

/// Starts twice from what a crash left, which writes and syncs.
fn assert_starts(dir: &Path, what: &str) {
    let found = replay::replay(dir, IDENTITY).unwrap();
    for _ in 0..2 {
        let (_, recovery) = open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(recovery.records == found.records, "{what}: other records");
    }
}

#[test]
fn power_may_fail_after_any_system_call_and_nothing_acknowledged_is_lost() {
    power_may_fail(OPTIONS, 12, |_, _| {});
}

#[test]
fn power_may_fail_after_any_system_call_also_where_whole_pages_are_written() {
    let options = LogOptions { segment_bytes: 8192, zero_fill_bytes: 8192 };
    let calls = power_may_fail(options, 60, |_, _| {});
    let pages = |call: &&Call| matches!(call, Call::Write(_, offset, bytes) if offset % 4096 == 0 && bytes.len() % 4096 == 0);
    assert!(calls.iter().filter(pages).count() > 50, "past the page cache");
}

#[test]
fn power_may_fail_after_any_system_call_also_where_the_next_segment_was_made_ahead() {
    let mut adopted = 0;
    power_may_fail(OPTIONS, 12, |log, home| {
        if !log.spare.is_there() {
            log.spare.make(home, OPTIONS.segment_bytes).unwrap();
            adopted += 1;
        }
    });
    assert!(adopted > 3, "the run goes on with segments that were made ahead");
}

/// Lets power fail after each call of a run of so many records, in which something is done `after_each` one. The calls.
fn power_may_fail(
    options: LogOptions,
    records: u64,
    mut after_each: impl FnMut(&mut Log, &Path),
) -> Vec<Call> {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    begun(home.path(), IDENTITY).unwrap();
    let (mut log, _) = Log::open_with(home.path(), IDENTITY, options).unwrap();
    let mut acknowledged_by = vec![];
    for number in 1..=records {
        write(&mut log, number..number + 1).unwrap();
        acknowledged_by.push(faults::calls().len());
        after_each(&mut log, home.path());
    }
    let calls = faults::calls();
    let created = calls.iter().filter(|call| matches!(call, Call::Create(_))).count();
    assert!(created > 3, "the run leaves segments behind");
    let mut disk = Disk::default();
    for (made, call) in (1..).zip(&calls) {
        disk.call(call);
        let acknowledged = acknowledged_by.iter().filter(|&&by| by <= made).count() as u64;
        let dirs = disk.survivals(made as u64);
        let what = format!("after call {made}");
        dirs.iter().for_each(|dir| assert_recovers(dir.path(), acknowledged, &what));
        assert_starts(dirs[made % dirs.len()].path(), &what);
    }
    calls
}

#[test]
fn what_is_read_after_a_kill_survives_a_power_failure_even_if_it_was_not_synced_before() {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    write(&mut open(home.path()).unwrap().0, 1..9).unwrap();
    let calls = faults::calls();
    let mut disk = Disk::default();
    let mut unsynced = 0;
    for (made, call) in (1..).zip(&calls) {
        disk.call(call);
        unsynced += u32::from(disk.files.values().any(|file| !file.pending.is_empty()));
        assert_read_is_durable(disk.clone(), &format!("after call {made}"));
    }
    assert!(unsynced > 8, "every write was seen before its sync");
}

#[test]
fn what_is_read_after_a_failed_sync_survives_a_power_failure() {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    write(&mut open(home.path()).unwrap().0, 1..9).unwrap();
    let mut disk = Disk::default();
    for (made, call) in faults::calls().iter().enumerate() {
        if let Call::Sync(path) = call {
            let mut disk = disk.clone();
            disk.fail_sync(path);
            assert_read_is_durable(disk, &format!("call {made} failed"));
        }
        disk.call(call);
    }
}

/// A process starts from what is in the page cache, and then the power fails: what it read is still there.
fn assert_read_is_durable(mut disk: Disk, what: &str) {
    let dir = disk.cached();
    faults::begin();
    let records = open(dir.path()).unwrap().1.records;
    faults::calls().iter().for_each(|call| disk.call(call));
    let left = disk.after(|| false);
    let found = replay::replay(left.path(), IDENTITY).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(found.records == records, "{what}: {} records were read", records.len());
}

#[test]
fn power_may_fail_after_any_system_call_of_a_recovery_and_again_in_the_next() {
    // A log with a torn tail.
    let home = tempfile::tempdir().unwrap();
    write(&mut open(home.path()).unwrap().0, 1..5).unwrap();
    let last = segment::path_of(home.path(), *segment::segments_in(home.path()).unwrap().last().unwrap());
    let bytes = fs::read(&last).unwrap();
    let written = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    fs::write(&last, &bytes[..written - 40]).unwrap();
    recovery_survives(home.path(), 2);
}

/// Lets power fail after each call of a recovery of `home`, and `depth` times in a row.
fn recovery_survives(home: &Path, depth: u32) {
    let mut disk = Disk::of(home);
    faults::begin();
    let records = open(home).unwrap().1.records;
    let calls = faults::calls();
    assert!(calls.len() >= 5, "a recovery writes the last write again and counts the start: {calls:?}");
    for (made, call) in calls.iter().enumerate() {
        disk.call(call);
        for dir in disk.survivals(made as u64) {
            assert_eq!(replay::replay(dir.path(), IDENTITY).unwrap().records, records, "after call {made}");
            if depth > 1 {
                recovery_survives(dir.path(), depth - 1);
            }
        }
    }
}

#[test]
fn a_system_call_that_fails_acknowledges_nothing_and_is_not_tried_again() {
    let run = |fails: Option<(usize, Errno)>| {
        let home = tempfile::tempdir().unwrap();
        faults::begin();
        if let Some((call, errno)) = fails {
            faults::fail(call, errno.raw_os_error());
        }
        let ended = open(home.path()).map_err(|error| (1, error)).and_then(|(mut log, _)| {
            let ended = write(&mut log, 1..9);
            match &ended {
                // The disk is full, and nothing was written that counts: it may be tried again.
                Err((failed, LogError::NoRoom { .. })) => {
                    faults::begin();
                    log.sync().unwrap();
                    write(&mut log, failed + 1..9).unwrap();
                    ended
                }
                Err(_) => {
                    let calls = faults::calls().len();
                    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
                    assert_eq!(faults::calls().len(), calls, "something was tried again");
                    ended
                }
                Ok(()) => ended,
            }
        });
        (home, ended, faults::calls().len())
    };
    let (_, ended, calls) = run(None);
    ended.unwrap();
    for (call, errno) in (0..calls).zip([Errno::IO, Errno::NOSPC, Errno::DQUOT].into_iter().cycle()) {
        let (home, ended, _) = run(Some((call, errno)));
        let (failed, error) = ended.unwrap_err();
        assert_eq!(error.exit_code(), 23, "{error}");
        assert!(error.path().starts_with(home.path()), "{error}");
        faults::begin();
        let acknowledged =
            if matches!(error, LogError::NoRoom { .. }) && failed > 1 { 8 } else { failed - 1 };
        assert_recovers(home.path(), acknowledged, &format!("call {call}, {errno}"));
        assert_starts(home.path(), &format!("call {call}, {errno}"));
    }
}

#[test]
fn short_and_interrupted_writes_write_everything() {
    let home = tempfile::tempdir().unwrap();
    faults::begin();
    faults::shorten_writes();
    write(&mut open(home.path()).unwrap().0, 1..5).unwrap();
    let writes = faults::calls().iter().filter(|call| matches!(call, Call::Write(..))).count();
    assert!(writes > 100, "{writes} writes were short");
    faults::begin();
    assert_recovers(home.path(), 4, "short writes");
}

#[test]
fn a_segment_that_cannot_be_read_is_damage_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    write(&mut open(home.path()).unwrap().0, 1..9).unwrap();
    let path = unreadable(home.path(), 2);
    let found = replay::replay(home.path(), IDENTITY).unwrap();
    let [gap] = &found.gaps[..] else { panic!("{:?}", found.gaps) };
    assert_eq!((&gap.path, gap.offset, gap.damage), (&path, 0, Damage::Header));
    assert!(gap.records > 0 && gap.lacks == [(0, Slot(gap.record + gap.records))], "{gap:?}");
    assert!(path.is_symlink());

    let home = tempfile::tempdir().unwrap();
    write(&mut open(home.path()).unwrap().0, 1..9).unwrap();
    let path = unreadable(home.path(), *segment::segments_in(home.path()).unwrap().last().unwrap());
    let error = open(home.path()).map(drop).unwrap_err();
    assert_eq!((error.path(), error.exit_code()), (path.as_path(), 22), "{error}");
    assert!(path.is_symlink());
}

/// Puts a file in a segment's place whose first byte cannot be read: an input/output error.
fn unreadable(dir: &Path, segment: u64) -> PathBuf {
    let path = segment::path_of(dir, segment);
    fs::remove_file(&path).unwrap();
    symlink("/proc/self/mem", &path).unwrap();
    path
}

#[test]
fn a_directory_that_takes_no_files_is_refused_by_name() {
    let home = Path::new("/proc/self/fdinfo"); // nobody may create a file there
    let error = open(home).map(drop).unwrap_err();
    assert_eq!(error.exit_code(), 23);
    assert!(error.path().starts_with(home), "{error}");
}

/// The blocks of a log that are swapped below.
const BLOCK_BYTES: usize = 512;

/// The bytes of the first segment of a log of grants: frames of 64 bytes, eight to a block.
fn many_small_frames(identity: Identity, salt: i64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 1 << 20, zero_fill_bytes: 0 };
    begun(dir.path(), identity).unwrap();
    let (mut log, _) = Log::open_with(dir.path(), identity, options).unwrap();
    for number in 1..64 {
        log.append(0, &Record::GrantTerm(Span(salt + number)));
        log.sync().unwrap();
    }
    fs::read(segment::path_of(dir.path(), 1)).unwrap()
}

/// Whether a record is of the stale log.
fn is_foreign(record: &Record<Payload>) -> bool {
    matches!(record, Record::GrantTerm(Span(1_000..)))
}

#[test]
fn a_block_from_anywhere_else_is_never_taken_for_ones_own() {
    let own = many_small_frames(IDENTITY, 0);
    let donors = [
        ("another server", many_small_frames(Identity { server: 1, ..IDENTITY }, 0)),
        ("another cluster", many_small_frames(Identity { cluster: 5, ..IDENTITY }, 0)),
        ("a stale log", many_small_frames(IDENTITY, 1_000)),
        ("this log, elsewhere", own.clone()),
    ];
    let blocks = own.len() / BLOCK_BYTES;
    assert!(blocks > 5);
    for (donor, bytes) in donors {
        for (to, from) in (0..blocks).flat_map(|to| (0..blocks).map(move |from| (to, from))) {
            let block = &bytes[from * BLOCK_BYTES..][..BLOCK_BYTES];
            let mut log = own.clone();
            log[to * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(block);
            if log == own {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            fs::write(segment::path_of(dir.path(), 1), &log).unwrap();
            let block = (to * BLOCK_BYTES) as u64;
            let what = format!("{donor}, block {from} over {to}");
            let is_near = |offset: u64| offset + 64 > block && offset < block + BLOCK_BYTES as u64 + 64;
            match replay::replay(dir.path(), IDENTITY) {
                Ok(found) => {
                    let [gap] = &found.gaps[..] else { panic!("{what}: {:?}", found.gaps) };
                    assert!(is_near(gap.offset), "{what}: {gap:?}");
                    let all = (1..64).map(|number| (0, Record::GrantTerm(Span(number))));
                    let lost = all.filter(|record| !found.records.contains(record)).count() as u64;
                    assert!(lost <= gap.records, "{what}: {lost}, {gap:?}");
                    assert!(found.records.iter().all(|(_, record)| !is_foreign(record)), "{what}");
                }
                // Nothing whole follows, or what is stale begins the log: everything else contradicts it.
                Err(LogError::Damaged { offset, damage, .. }) => {
                    let begins = to == 0 && damage == Damage::Chain;
                    assert!(
                        (is_near(offset) && to + 2 >= blocks) || begins,
                        "{what}: {damage:?} at {offset}"
                    );
                }
                Err(LogError::WrongIdentity { .. }) => assert!(to == 0 && from == 0, "{what}"),
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}
