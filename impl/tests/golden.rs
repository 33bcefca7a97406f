//! The bytes of every message and every record, as they are on the wire and on disk, are those of the tables in
//! `golden/`. A line that changes is a new format: programs of two releases would misread each other, so raise
//! the version in `datagram.rs` or `log/format.rs` with it. `UPDATE_GOLDEN=1 cargo test -p cluster --test
//! golden` writes the tables anew.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use cluster::datagram::{DATAGRAM_BYTES_MIN, Origin, Packer, Sender, Unpacker, decode};
use cluster::log::{Identity, Log, LogOptions};
use cluster::payload::Payload;
use cluster::wire::{Between, Edition, Settings, SnapshotAsk, SnapshotPiece, StateHash};
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

/// Each message in a datagram of its own, and one that travels in two.
fn datagram_lines() -> Vec<Line> {
    let origin = Origin { cluster: CLUSTER, sender: Sender::Server(2), incarnation: 5 };
    let mut packer = Packer::new(origin, DATAGRAM_BYTES_MIN);
    let mut lines = Vec::new();
    for message in messages() {
        packer.push(260, &Between::Protocol(&message), |_| panic!("no message fills a datagram")).unwrap();
        packer.flush(|datagram| lines.push((name_of_message(&message), datagram.to_vec())));
    }
    packer.push(260, &Between::<Message<Payload>>::Stand, |_| panic!("it fills no datagram")).unwrap();
    packer.flush(|datagram| lines.push(("stand", datagram.to_vec())));
    let edition = Edition { slot: Slot(9), bytes: 300, checksum: 0xC0FFEE };
    let settings = Settings { servers: 5, phase1_quorum: 4, phase2_quorum: 2, groups: 3, sessions: 16_384 };
    let others: [(_, Between<Message<Payload>>); 4] = [
        (
            "snapshot-ask",
            Between::SnapshotAsk(SnapshotAsk { least: Slot(7), edition: Some(edition), offset: 200 }),
        ),
        (
            "snapshot-piece",
            Between::SnapshotPiece(SnapshotPiece { edition, offset: 200, bytes: Payload::from("abc") }),
        ),
        ("state-hash", Between::StateHash(StateHash { slot: Slot(64), hash: 0xC0FFEE })),
        ("settings", Between::Settings { settings, asks: true }),
    ];
    for (name, message) in others {
        packer.push(260, &message, |_| panic!("it fills no datagram")).unwrap();
        packer.flush(|datagram| lines.push((name, datagram.to_vec())));
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
    let hex = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
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
fn messages_of_old_are_understood() {
    let mut unpacker = Unpacker::new(CLUSTER);
    for message in messages() {
        let datagram = golden("datagrams.txt", name_of_message(&message));
        let received = unpacker.receive(&datagram).unwrap();
        assert_eq!((received.sender, received.incarnation), (Sender::Server(2), 5));
        let frames: Vec<_> = received.frames().map(|(group, body)| (group, decode(body))).collect();
        assert_eq!(frames, [(260, Ok(Between::Protocol(message)))]);
    }
}
