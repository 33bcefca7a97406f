//! The bytes of every message and every record, as they are on the wire and on disk, are those of the tables in
//! `golden/`. A line that changes is a new format: programs of two releases would misread each other, so raise
//! the version in `datagram.rs` or `log/format.rs` with it. `UPDATE_GOLDEN=1 cargo test -p cluster --test
//! golden` writes the tables anew.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use cluster::datagram::{DATAGRAM_BYTES_MIN, Origin, Packer, Sender, Unpacker, decode};
use cluster::life::Life;
use cluster::log::{Identity, Log, LogOptions};
use cluster::payload::Payload;
use cluster::status::{Counters, Recovery, Stage, Standing, Status};
use cluster::watch::{Beat, Echo};
use cluster::wire::{
    Answer, Ask, Between, Edition, Event, Holding, Request, Response, Settings, SnapshotAsk, SnapshotPiece,
    StateHash, Void,
};
use spec::{
    Command, Config, Durable, Effects, LocalTime, Message, Paxos, Record, Replica, Report, RequestId,
    ServerId, SessionId, Slot, Snapshot, Span, Update, View,
};

const VIEW: View = View::new(300, ServerId(2));
const CLUSTER: u64 = 0x0123_4567_89ab_cdef;

/// A named line of a table.
type Line = (&'static str, Vec<u8>);

fn update() -> Command<Payload> {
    Command::Update(Update { session: SessionId(Slot(4)), sequence: 5, value: "set x".into() })
}

/// One of each record; `name_of_record` does not compile when a kind is missing there.
fn records() -> Vec<Record<Payload>> {
    vec![
        Record::Attempt(VIEW),
        Record::Promise(VIEW),
        Record::Vote { view: VIEW, slot: Slot(9), command: update() },
        Record::Vote { view: VIEW, slot: Slot(10), command: Command::NoOp },
        Record::Learnt { slot: Slot(9), command: Command::Open { nonce: 77 } },
        Record::Committed(Slot(9)),
        Record::GrantTerm(Span(2_000_000_000)),
        Record::Snapshot(snapshot()),
        Record::Lacks { up_to: Slot(9), snapshot: false },
    ]
}

/// The snapshot of a server that applied two slots: session 1 was opened, and its update 5 applied.
fn snapshot() -> Snapshot {
    let update = Update { session: SessionId(Slot(1)), sequence: 5, value: "set x".into() };
    let records = [Command::Open { nonce: 77 }, Command::Update(update)];
    let learnt = (1..).zip(records).map(|(slot, command)| Record::Learnt { slot: Slot(slot), command });
    let durable: Durable<Payload> = learnt.collect();
    let config = Config::new(ServerId(0), 1, Span(1_000));
    let replica = Replica::recover(config, Paxos, durable, LocalTime(0), &mut Effects::new()).unwrap();
    replica.snapshot()
}

fn name_of_record(record: &Record<Payload>) -> &'static str {
    match record {
        Record::Attempt(_) => "attempt",
        Record::Promise(_) => "promise",
        Record::Vote { command: Command::NoOp, .. } => "vote-no-op",
        Record::Vote { .. } => "vote",
        Record::Learnt { .. } => "learnt",
        Record::Committed(_) => "committed",
        Record::GrantTerm(_) => "grant-term",
        Record::Snapshot(_) => "snapshot",
        Record::Noted { .. } => "noted",
        Record::Recovering(_) => "recovering",
        Record::Recovered { .. } => "recovered",
        Record::Lacks { .. } => "lacks",
    }
}

fn messages() -> Vec<Message<Payload>> {
    let report = Report { slot: Slot(9), view: VIEW, command: update(), committed: true };
    let request = RequestId::Update { session: SessionId(Slot(4)), sequence: 5 };
    vec![
        Message::Forward(update()),
        Message::Redirect { request, view: VIEW },
        Message::Prepare { view: VIEW, committed: Slot(8) },
        Message::Promise { view: VIEW, committed: Slot(8), reports: vec![report] },
        Message::Reject { view: VIEW, promised: View::NONE },
        Message::Propose { view: VIEW, slot: Slot(9), command: update() },
        Message::Accept { view: VIEW, slot: Slot(9) },
        Message::Commit { first: Slot(9), commands: vec![update(), Command::NoOp] },
        Message::Committed { view: VIEW, up_to: Slot(9) },
        Message::CatchUp { first: Slot(7) },
        Message::Renew { view: VIEW, round: 6, term: Span(1_000_000_000), committed: Slot(9) },
        Message::Grant { view: VIEW, round: 6, committed: Slot(9) },
        Message::Release { view: VIEW },
        Message::SnapshotOffer { slot: Slot(9) },
    ]
}

fn name_of_message(message: &Message<Payload>) -> &'static str {
    match message {
        Message::Forward(_) => "forward",
        Message::Redirect { .. } => "redirect",
        Message::Prepare { .. } => "prepare",
        Message::Promise { .. } => "promise",
        Message::Reject { .. } => "reject",
        Message::Propose { .. } => "propose",
        Message::Accept { .. } => "accept",
        Message::Commit { .. } => "commit",
        Message::Committed { .. } => "committed",
        Message::CatchUp { .. } => "catch-up",
        Message::Renew { .. } => "renew",
        Message::Grant { .. } => "grant",
        Message::Release { .. } => "release",
        Message::SnapshotOffer { .. } => "snapshot-offer",
        Message::Recovery(_) => "recovery",
    }
}

/// A log with one record a sync: the header, the note that it was opened, then each record's frame.
fn log_lines() -> Vec<Line> {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity { cluster: CLUSTER, server: 2 };
    let options = LogOptions { zero_fill_bytes: 0, ..LogOptions::default() };
    Log::create(dir.path(), identity, 0).unwrap();
    let (mut log, _) = Log::open_with(dir.path(), identity, options).unwrap();
    let written = || fs::read(dir.path().join("00000001.log")).unwrap();
    let start = written();
    let mut lines = vec![("segment", start[..64].to_vec()), ("boot", start[64..].to_vec())];
    let mut end = start.len();
    for (group, record) in (260..).zip(records()) {
        log.append(group, &record);
        log.sync().unwrap();
        let bytes = written();
        lines.push((name_of_record(&record), bytes[end..].to_vec()));
        end = bytes.len();
    }
    lines
}

fn status() -> Status {
    Status {
        server: 2,
        incarnation: 300,
        boots: 5,
        role: Standing::Leading,
        recovery: Some(Recovery { stage: Stage::Telling, waits_for: vec![ServerId(1)] }),
        view: VIEW,
        committed: Slot(9),
        applied: Slot(8),
        lease_remaining_ms: Some(412.5),
        clocks_apart: vec![ServerId(1)],
        counters: Counters { datagrams_in: 300, syncs: 7, ..Counters::default() },
        disk_full: false,
        groups: 5,
    }
}

/// One of each kind that servers say to each other; `name_of_between` does not compile when a kind is missing there.
fn between() -> Vec<Between<Message<Payload>>> {
    let edition = Edition { slot: Slot(9), bytes: 300, checksum: 0xC0FFEE };
    let echo = Some(Echo { boots: 2, number: 39, held: Span(250_000) });
    let beat = Beat { number: 40, echo, running: Span(10_000_000), status: status() };
    let settings = Settings { servers: 5, phase1_quorum: 4, phase2_quorum: 2, groups: 3, sessions: 16_384 };
    let others = [
        Between::Stand,
        Between::SnapshotAsk(SnapshotAsk { least: Slot(7), edition: Some(edition), offset: 200 }),
        Between::SnapshotPiece(SnapshotPiece { edition, offset: 200, bytes: Payload::from("abc") }),
        Between::StateHash(StateHash { slot: Slot(64), hash: 0xC0FFEE }),
        Between::Beat(Box::new(beat)),
        Between::Settings { settings, asks: true },
        Between::Holding(Holding { start: 9_000, began: 7, durable: 400 }),
        Between::Void(Void::Outlived(Life::new(300, 6))),
        Between::Void(Void::SetBack { incarnation: 300, held: 400 }),
        Between::Void(Void::Twice { life: Life::new(300, 6), start: 9_000 }),
    ];
    messages().into_iter().map(Between::Protocol).chain(others).collect()
}

fn name_of_between(between: &Between<Message<Payload>>) -> &'static str {
    match between {
        Between::Protocol(message) => name_of_message(message),
        Between::Stand => "stand",
        Between::SnapshotAsk(_) => "snapshot-ask",
        Between::SnapshotPiece(_) => "snapshot-piece",
        Between::StateHash(_) => "state-hash",
        Between::Beat(_) => "beat",
        Between::Settings { .. } => "settings",
        Between::Holding(_) => "holding",
        Between::Void(Void::Outlived(_)) => "void-outlived",
        Between::Void(Void::SetBack { .. }) => "void-set-back",
        Between::Void(Void::Twice { .. }) => "void-twice",
    }
}

/// What clients ask; `name_of_ask` does not compile when a kind is missing there.
fn asks() -> Vec<Ask> {
    let update = Update { session: SessionId(Slot(4)), sequence: 5, value: "set x".into() };
    vec![
        Ask::Open { nonce: 77 },
        Ask::Update(update),
        Ask::Read("get x".into()),
        Ask::Status,
        Ask::Learnt(Slot(9)),
        Ask::ReadStale("get x".into()),
        Ask::Since(Slot(9)),
        Ask::Transfer(Some(ServerId(1))),
    ]
}

fn name_of_ask(ask: &Ask) -> &'static str {
    match ask {
        Ask::Open { .. } => "ask-open",
        Ask::Update(_) => "ask-update",
        Ask::Read(_) => "ask-read",
        Ask::Status => "ask-status",
        Ask::Learnt(_) => "ask-learnt",
        Ask::ReadStale(_) => "ask-read-stale",
        Ask::Since(_) => "ask-since",
        Ask::Transfer(_) => "ask-transfer",
    }
}

/// What they are answered; `name_of_answer` does not compile when a kind is missing there.
fn answers() -> Vec<Answer> {
    vec![
        Answer::Opened(SessionId(Slot(4))),
        Answer::Applied { slot: Slot(9), result: "done".into() },
        Answer::NoSession,
        Answer::Stale,
        Answer::Redirect { view: VIEW, leader: Some(([10, 0, 0, 2], 1000).into()) },
        Answer::Busy,
        Answer::Value { value: "x".into(), as_of: Slot(9) },
        Answer::Status(Box::new(status())),
        Answer::Learnt(Some(update())),
        Answer::Since(vec![Event { slot: Slot(9), command: update(), applied: true }]),
        Answer::Compacted(Slot(7)),
        Answer::Leading(ServerId(2)),
        Answer::Transferred(ServerId(1)),
        Answer::NoSuccessor,
        Answer::Forbidden,
        Answer::Leader(([10, 0, 0, 2], 1000).into()),
    ]
}

fn name_of_answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Opened(_) => "opened",
        Answer::Applied { .. } => "applied",
        Answer::NoSession => "no-session",
        Answer::Stale => "stale",
        Answer::Redirect { .. } => "redirect",
        Answer::Busy => "busy",
        Answer::Value { .. } => "value",
        Answer::Status(_) => "status",
        Answer::Learnt(_) => "learnt",
        Answer::Since(_) => "since",
        Answer::Compacted(_) => "compacted",
        Answer::Leading(_) => "leading",
        Answer::Transferred(_) => "transferred",
        Answer::NoSuccessor => "no-successor",
        Answer::Forbidden => "forbidden",
        Answer::Leader(_) => "leader",
    }
}

/// Each message between servers in a datagram of its own, and one that travels in two.
fn datagram_lines() -> Vec<Line> {
    let origin = Origin { cluster: CLUSTER, sender: Sender::Server(2), incarnation: 5 };
    let mut packer = Packer::new(origin, DATAGRAM_BYTES_MIN);
    let mut lines = Vec::new();
    for message in between() {
        packer.push(260, &message, |_| panic!("no message fills a datagram")).unwrap();
        packer.flush(|datagram| lines.push((name_of_between(&message), datagram.to_vec())));
    }
    // Also the first message of this process that travels in pieces: their number counts up.
    packer.push_bytes(260, &[0xAA; 500], |datagram| lines.push(("piece-0", datagram.to_vec()))).unwrap();
    packer.flush(|datagram| lines.push(("piece-1", datagram.to_vec())));
    let client = Origin { sender: Sender::Client(0xC11E), ..origin };
    let mut packer = Packer::new(client, DATAGRAM_BYTES_MIN);
    packer.push_bytes(0, &[], |_| panic!("an empty message fills no datagram")).unwrap();
    packer.flush(|datagram| lines.push(("client", datagram.to_vec())));
    lines
}

/// What clients ask, and the answers: the bodies of their frames.
fn client_lines() -> Vec<Line> {
    let bytes = |encoded: postcard::Result<Vec<u8>>| encoded.expect("plain data");
    let asks = asks()
        .into_iter()
        .map(|ask| (name_of_ask(&ask), bytes(postcard::to_allocvec(&Request { number: 300, ask }))));
    let answers = answers().into_iter().map(|answer| {
        (name_of_answer(&answer), bytes(postcard::to_allocvec(&Response { number: 300, answer })))
    });
    asks.chain(answers).collect()
}

/// Compares lines with a table in `golden/`, or writes it.
fn check(table: &str, lines: &[Line]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(table);
    let mut text = String::new();
    for (name, bytes) in lines {
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        writeln!(text, "{name} {hex}").unwrap();
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap();
    for (line, golden) in text.lines().zip(golden.lines()) {
        assert_eq!(line, golden, "{}", path.display());
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{}", path.display());
}

/// The bytes that a table has under a name.
fn golden(table: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(table);
    let text = fs::read_to_string(path).unwrap();
    let of_name = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
    let hex = if name.is_empty() { text.trim_end().into() } else { text.lines().find_map(of_name).unwrap() };
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_log_is_written_as_it_always_was() {
    check("log.txt", &log_lines());
}

#[test]
fn messages_are_sent_as_they_always_were() {
    check("datagrams.txt", &datagram_lines());
}

#[test]
fn a_log_of_old_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let records = records();
    let names = ["segment", "boot"].into_iter().chain(records.iter().map(name_of_record));
    let bytes: Vec<u8> = names.flat_map(|name| golden("log.txt", name)).collect();
    fs::write(dir.path().join("00000001.log"), bytes).unwrap();
    let (_, recovery) = Log::open(dir.path(), Identity { cluster: CLUSTER, server: 2 }).unwrap();
    let expected: Vec<_> = (260..).zip(records).collect();
    assert_eq!((recovery.records, recovery.torn, recovery.boots), (expected, None, 2));
}

#[test]
fn clients_are_spoken_to_as_they_always_were() {
    check("clients.txt", &client_lines());
}

#[test]
fn messages_of_old_are_understood() {
    let mut unpacker = Unpacker::new(CLUSTER);
    for message in between() {
        let datagram = golden("datagrams.txt", name_of_between(&message));
        let received = unpacker.receive(&datagram).unwrap();
        assert_eq!((received.sender, received.incarnation), (Sender::Server(2), 5));
        let frames: Vec<_> = received.frames().map(|(group, body)| (group, decode(body))).collect();
        assert_eq!(frames, [(260, Ok(message))]);
    }
}

#[test]
fn clients_of_old_are_understood_and_understand() {
    for ask in asks() {
        let bytes = golden("clients.txt", name_of_ask(&ask));
        assert_eq!(decode(&bytes), Ok(Request { number: 300, ask }));
    }
    for answer in answers() {
        let bytes = golden("clients.txt", name_of_answer(&answer));
        assert_eq!(decode(&bytes), Ok(Response { number: 300, answer }));
    }
}

/// The seeds of the fuzz targets that follow from the tables: target, name, and the input as the target reads it.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let with_length = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
    let datagrams = datagram_lines();
    let mut unpacker = Unpacker::new(CLUSTER);
    for (name, datagram) in &datagrams {
        seeds.push(("datagram", (*name).into(), with_length(datagram)));
        if let Some((260, body)) = unpacker.receive(datagram).unwrap().frames().next()
            && !name.starts_with("piece")
        {
            seeds.push(("between", (*name).into(), body.to_vec()));
        }
    }
    let pieces = datagrams.iter().filter(|(name, _)| name.starts_with("piece"));
    let pieces: Vec<u8> = pieces.flat_map(|(_, datagram)| with_length(datagram)).collect();
    seeds.push(("datagram", "pieces".into(), pieces));
    seeds.extend(client_lines().into_iter().map(|(name, bytes)| ("client", name.into(), bytes)));
    // Each record in a log of its own, with checksums as they are and for the target to make.
    let log = log_lines();
    let start = [&log[0].1[..], &log[1].1[..]].concat();
    for (name, frame) in &log[2..] {
        seeds.push(("log", (*name).into(), [&[1], &start[..], &frame[..]].concat()));
    }
    let whole: Vec<u8> = log.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    seeds.push(("log", "whole".into(), [&[0], &whole[..]].concat()));
    let snapshot = golden("snapshot.txt", "");
    seeds.push(("snapshot", "file".into(), snapshot.clone()));
    seeds.push(("snapshot", "content".into(), snapshot[cluster::snapshot::HEADER_BYTES..].to_vec()));
    seeds
}

#[test]
fn the_fuzz_targets_begin_with_these_bytes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, name, bytes) in seeds() {
        let path = corpus.join(target).join(format!("golden-{name}"));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            continue;
        }
        let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kept, bytes, "{}: UPDATE_GOLDEN=1 cargo test -p cluster --test golden", path.display());
    }
}
