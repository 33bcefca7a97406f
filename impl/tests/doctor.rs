//! `cluster doctor` explains a data directory, and changes nothing in it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::log::{Identity, Log, LogError, LogOptions};
use cluster::payload::Payload;
use cluster::snapshot::Content;
use serde_json::{Value, json};
use spec::{Record, ServerId, SessionId, Slot, Snapshot, Span, Update, View};
use tempfile::TempDir;

const IDENTITY: Identity = Identity { cluster: 7, server: 2 };
const VIEW: View = View::new(3, ServerId(1));

fn vote(slot: u64) -> Record<Payload> {
    let update = Update { session: SessionId(Slot(1)), sequence: slot, value: vec![b'v'; 200].into() };
    Record::Vote { view: VIEW, slot: Slot(slot), command: spec::Command::Update(update) }
}

fn open(dir: &Path) -> Result<Log, LogError> {
    if !segment(dir, 1).exists() {
        Log::create(dir, IDENTITY, 0)?;
    }
    let options = LogOptions { segment_bytes: 800, zero_fill_bytes: 300 };
    Log::open_with(dir, IDENTITY, options).map(|(log, _)| log)
}

/// A directory with three segments of two groups.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path()).unwrap();
    log.append(0, &Record::Attempt(View::new(1, ServerId(2))));
    log.append(5, &Record::Promise(VIEW));
    log.append(0, &Record::GrantTerm(Span(612_000_000)));
    for slot in 1..8 {
        log.append(0, &vote(slot));
        log.sync().unwrap();
    }
    log.append(0, &Record::Committed(Slot(5)));
    log.sync().unwrap();
    dir
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    (1..).map(|number| segment(dir, number)).take_while(|path| path.exists()).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

/// Cuts the last segment within what was written last.
fn tear(dir: &Path) {
    let last = segments(dir).pop().unwrap();
    let written = fs::read(&last).unwrap().iter().rposition(|&byte| byte != 0).unwrap() as u64;
    OpenOptions::new().write(true).open(last).unwrap().set_len(written - 20).unwrap();
}

/// Every file with its bytes, its permissions and when it was changed.
fn everything_in(dir: &Path) -> Vec<(PathBuf, Vec<u8>, fs::Permissions, std::time::SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let metadata = path.metadata().unwrap();
            (path.clone(), fs::read(path).unwrap(), metadata.permissions(), metadata.modified().unwrap())
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// Runs the doctor, and sees that it changed nothing.
fn doctor(dir: &Path, more: &[&str]) -> Output {
    let before = everything_in(dir);
    let program = env!("CARGO_BIN_EXE_cluster");
    let output = Command::new(program).arg("doctor").arg(dir).args(more).output().unwrap();
    assert!(everything_in(dir) == before, "the doctor changed something");
    output
}

fn object(dir: &Path, more: &[&str]) -> (i32, Value) {
    let output = doctor(dir, &[&["--json"], more].concat());
    let object = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), object)
}

fn text(dir: &Path) -> String {
    String::from_utf8(doctor(dir, &[]).stdout).unwrap()
}

#[test]
fn a_whole_directory_is_explained() {
    let dir = directory();
    let (code, found) = object(dir.path(), &["--cluster", "7", "--server", "2"]);
    assert_eq!((code, &found["ok"], &found["verdict"]), (0, &json!(true), &json!("healthy")));
    assert_eq!((&found["schema"], &found["command"]), (&json!(1), &json!("doctor")));
    assert_eq!((&found["cluster"], &found["server"], &found["boots"]), (&json!(7), &json!(2), &json!(1)));
    assert_eq!((&found["records"], &found["open"]), (&json!(11), &json!(null)));
    assert_eq!(
        found["groups"],
        json!([
            {"group": 0, "attempted": "1.2", "promised": "3.1", "grant_term_ms": 612.0, "committed": 5,
             "votes_above": 2, "snapshot": 0},
            {"group": 5, "attempted": "0.0", "promised": "3.1", "grant_term_ms": 0.0, "committed": 0,
             "votes_above": 0, "snapshot": 0},
        ])
    );
    let paths = segments(dir.path());
    assert_eq!((paths.len(), found["segments"].as_array().unwrap().len()), (4, 4));
    for (path, segment) in paths.iter().zip(found["segments"].as_array().unwrap()) {
        assert_eq!(
            (&segment["file"], &segment["state"]),
            (&json!(path.display().to_string()), &json!("whole"))
        );
        let bytes = fs::read(path).unwrap();
        let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
        assert_eq!((&segment["bytes"], &segment["zero_bytes"]), (&json!(bytes.len()), &json!(zeros)));
        assert_eq!(segment["written_bytes"], bytes.len() - zeros);
    }
    let text = text(dir.path());
    for part in
        [": healthy\n", "server 2 of cluster 7", "no process has it open", "00000003.log", "3.1", "612 ms"]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_torn_write_at_the_end_is_no_damage_and_the_next_start_removes_it() {
    let dir = directory();
    tear(dir.path());
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["ok"], &found["damage"]), (0, &json!(true), &json!(null)));
    assert_eq!(found["torn"]["file"], segments(dir.path()).pop().unwrap().display().to_string());
    assert!(text(dir.path()).contains("it is removed, and reported, when the server starts"));

    let (_, recovery) = Log::open(dir.path(), IDENTITY).unwrap();
    let torn = recovery.torn.unwrap();
    assert_eq!(
        (&found["torn"]["offset"], &found["torn"]["bytes"]),
        (&json!(torn.offset), &json!(torn.bytes))
    );
}

#[test]
fn damage_is_named_with_what_it_takes_away_and_what_to_do() {
    let dir = directory();
    let second = segment(dir.path(), 2);
    flip(&second, 64 + 40); // in the body of its first frame
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["ok"], &found["verdict"]), (20, &json!(false), &json!("damaged")));
    let gap = &found["gaps"][0];
    assert_eq!((&gap["file"], &gap["offset"]), (&json!(second.display().to_string()), &json!(64)));
    assert_eq!((&gap["kind"], &gap["records_lost"]), (&json!("before-later-segment"), &json!(1)));
    assert_eq!(gap["lacks"][0], json!({"group": 0, "up_to_slot": gap["record"].as_u64().unwrap() - 3}));
    assert_eq!(found["groups"][0]["promised"], "3.1", "a sum behind the damage says so");
    let states: Vec<_> =
        found["segments"].as_array().unwrap().iter().map(|segment| segment["state"].clone()).collect();
    assert!(states.iter().enumerate().all(|(at, state)| *state == if at == 1 { "damaged" } else { "whole" }));
    let text = text(dir.path());
    for part in [": damaged\n", "1 record is lost", "group 0 up to slot", "00000002.log, offset 64"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn damage_that_nothing_whole_follows_is_refused_and_recover_is_named() {
    let dir = directory();
    let last = segments(dir.path()).pop().unwrap();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.write_all_at(&[0xAA].repeat(fs::read(&last).unwrap().len()), 0).unwrap();
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["ok"], &found["verdict"]), (22, &json!(false), &json!("damaged")));
    assert_eq!(found["damage"]["file"], last.display().to_string());
    let refusal = open(dir.path()).map(drop).unwrap_err();
    let LogError::Damaged { offset, record, .. } = &refusal else { panic!("{refusal}") };
    assert_eq!((&found["damage"]["offset"], &found["damage"]["record"]), (&json!(offset), &json!(record)));
    let text = text(dir.path());
    for part in [": damaged\n", "`cluster recover`", "Up to the damage"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_damaged_sum_or_header_loses_nothing() {
    let dir = directory();
    let before = object(dir.path(), &[]).1;
    for offset in [20, 64 + 40] {
        flip(&segment(dir.path(), 1), offset);
        let (code, found) = object(dir.path(), &[]);
        assert_eq!((code, &found["gaps"][0]["lacks"]), (20, &json!([])));
        assert_eq!((&found["groups"], &found["server"]), (&before["groups"], &json!(2)));
        assert!(text(dir.path()).contains("what stood there follows from the rest"));
        flip(&segment(dir.path(), 1), offset);
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let dir = directory();
    fs::remove_file(segment(dir.path(), 1)).unwrap();
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (20, &json!("segment-missing")));
}

#[test]
fn snapshots_are_listed_and_a_damaged_one_is_named() {
    let dir = directory();
    let content = |slot| {
        let protocol = Snapshot { slot: Slot(slot), ..Snapshot::default() };
        Content { protocol, ..Content::default() }
    };
    let mut log = open(dir.path()).unwrap();
    for slot in [3, 5] {
        log.begin_snapshot(0, content(slot));
        log.end_snapshot().unwrap().unwrap().result.unwrap();
    }
    drop(log);
    let newest = dir.path().join("0-00000000000000000005.snapshot");
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["snapshots"][1]["slot"]), (0, &json!(5)));
    assert_eq!(found["snapshots"][1]["file"], newest.display().to_string());
    flip(&newest, 66);
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["snapshots"][0]["damage"]), (20, &json!(null)));
    assert!(found["snapshots"][1]["damage"].as_str().unwrap().contains("checksum"), "{found}");
    assert!(text(dir.path()).contains("the older snapshot and the log make up for it"));
}

#[test]
fn what_is_not_the_expected_servers_ends_with_21() {
    let dir = directory();
    for expected in [&["--cluster", "8"], &["--server", "0"]] {
        let (code, found) = object(dir.path(), expected);
        assert_eq!((code, &found["verdict"]), (21, &json!("unexpected")));
        assert_eq!(found["groups"].as_array().unwrap().len(), 2, "it is explained all the same");
    }
}

#[test]
fn a_directory_without_a_log_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    for (path, code) in [(dir.path().to_owned(), 22), (dir.path().join("nowhere"), 1)] {
        let output = Command::new(env!("CARGO_BIN_EXE_cluster")).arg("doctor").arg(&path).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(&path.display().to_string()), "{said}");
    }
}

#[test]
fn beside_a_running_server_it_says_who_runs_and_does_not_stand_in_its_way() {
    let dir = directory();
    let mut log = open(dir.path()).unwrap();
    for slot in 8..20 {
        log.append(0, &vote(slot));
        log.sync().unwrap();
        let (code, found) = object(dir.path(), &[]);
        assert_eq!((code, &found["open"]["pid"]), (0, &json!(std::process::id())));
        assert_eq!(found["records"], slot + 4);
    }
    tear(dir.path()); // as if the last write were not all there yet
    let (code, found) = object(dir.path(), &[]);
    assert_eq!((code, &found["advice"][0]["title"]), (0, &json!("a write under way")));
    drop(log);
    open(dir.path()).unwrap();
}
