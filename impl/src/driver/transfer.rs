//! Snapshots on their way from server to server: the one that lags asks for a window of bytes at a time, and for the
//! next when it has them all. So the transfer goes no faster than both sides and the network keep up, and a piece that is
//! lost, late or comes again does no harm. What has come is kept when either side stands still, and when the
//! source restarts or another one that holds the same snapshot takes over.

use std::collections::BTreeMap;

use spec::{LocalTime, Message, ServerId, Slot, Span};

use super::Driver;
use crate::clock::{Clock, millis};
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::snapshot::Content;
use crate::state_machine::StateMachine;
use crate::wire::{Between, Edition, SnapshotAsk, SnapshotPiece};

/// What is asked for at once.
const WINDOW_BYTES: u64 = 64 << 10;
/// A piece travels in one datagram, of which so many bytes may be needed for the rest of it.
const OVERHEAD_BYTES: usize = 160;
/// The most bytes of a piece.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// The longest snapshot that is fetched.
const SNAPSHOT_BYTES_MAX: u64 = 8 << 30;
/// What has not come after this is asked for again.
const ASK_AGAIN_AFTER: Span = millis(50);
/// A source that is silent for so long is left for another.
const SILENT_MAX: Span = millis(1_000);
/// A snapshot is kept in memory, and the next one put off, for so long after somebody asked for a part of it, and twice as
/// long again as it has been on its way: whoever fetched it has to write it, to start from it and to learn what came after it.
const KEPT_FOR_MIN: Span = millis(500);
/// But for no longer than this.
const KEPT_FOR_MAX: Span = millis(5_000);

/// The snapshot that others are fetching from here.
#[derive(Debug, Default)]
pub(super) struct Sending {
    current: Option<(Edition, Payload)>,
    /// When somebody asked for some of it first, after a time in which nobody did.
    since: Option<LocalTime>,
    until: Option<LocalTime>,
}

impl Sending {
    pub(super) fn is_in_use(&self, now: LocalTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Notes that somebody has asked for a part of it.
    fn note_ask(&mut self, now: LocalTime) {
        let on_its_way = now - *self.since.get_or_insert(now);
        let kept_for = KEPT_FOR_MIN.0.saturating_add(on_its_way.times(2).0);
        self.until = Some(now + Span(kept_for).min(KEPT_FOR_MAX));
    }

    /// When it may be forgotten.
    fn next(&self) -> Option<LocalTime> {
        self.until
    }

    fn forget_unused(&mut self, now: LocalTime) {
        if !self.is_in_use(now) {
            *self = Self::default();
        }
    }
}

/// A snapshot that this server is fetching.
#[derive(Debug)]
pub(super) struct Fetching {
    from: ServerId,
    /// The least slot that will do.
    least: Slot,
    edition: Option<Edition>,
    received: Vec<u8>,
    /// Pieces of the window that came before others.
    early: BTreeMap<u64, Payload>,
    ask_at: LocalTime,
    heard_at: LocalTime,
    /// Where the window ends that was asked for last.
    window_end: u64,
}

impl Fetching {
    fn new(from: ServerId, least: Slot, now: LocalTime) -> Self {
        Self {
            from,
            least,
            edition: None,
            received: Vec::new(),
            early: BTreeMap::new(),
            ask_at: now,
            heard_at: now,
            window_end: 0,
        }
    }

    fn ask(&mut self, now: LocalTime) -> SnapshotAsk {
        let offset = self.received.len() as u64;
        self.ask_at = now + ASK_AGAIN_AFTER;
        self.window_end = offset + WINDOW_BYTES;
        SnapshotAsk { least: self.least, edition: self.edition, offset }
    }

    fn is_silent(&self, now: LocalTime) -> bool {
        now - self.heard_at > SILENT_MAX
    }

    /// Takes a piece. Whether the snapshot is complete.
    fn take(&mut self, from: ServerId, piece: SnapshotPiece, now: LocalTime) -> bool {
        let SnapshotPiece { edition, offset, bytes } = piece;
        let is_older = self.edition.is_some_and(|current| edition.slot < current.slot);
        if from != self.from || edition.slot < self.least || is_older || edition.bytes > SNAPSHOT_BYTES_MAX {
            return false;
        }
        if self.edition != Some(edition) {
            // The source has another one by now, whose bytes are others.
            self.edition = Some(edition);
            self.received.clear();
            self.early.clear();
        }
        self.heard_at = now;
        let have = self.received.len() as u64;
        let end = offset.saturating_add(bytes.0.len() as u64);
        if offset < have || end > (have + WINDOW_BYTES * 2).min(edition.bytes) {
            return false;
        }
        self.early.insert(offset, bytes);
        while let Some(next) = self.early.remove(&(self.received.len() as u64)) {
            self.received.extend_from_slice(&next.0);
        }
        let have = self.received.len() as u64;
        self.early.retain(|&offset, _| offset > have);
        if have >= self.window_end {
            self.ask_at = now;
        }
        have == edition.bytes
    }

    /// What was received, if its checksum says that it is what was sent.
    fn finish(self) -> Option<Content> {
        let edition = self.edition?;
        let is_whole = crc32c::crc32c(&self.received) == edition.checksum;
        let content = Content::decode(&self.received).ok().filter(|content| content.slot() == edition.slot);
        content.filter(|_| is_whole)
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// When a transfer has something to do.
    pub(super) fn next_transfer(&self) -> Option<LocalTime> {
        let groups = self.groups.values();
        groups
            .flat_map(|group| [group.fetching.as_ref().map(|f| f.ask_at), group.sending.next()])
            .flatten()
            .min()
    }

    /// The handlers need a snapshot up to `least` or later, which `from` has.
    pub(super) fn fetch(&mut self, id: u16, from: ServerId, least: Slot) {
        let now = self.clock.now();
        let Some(group) = self.groups.get_mut(&id) else { return };
        match &mut group.fetching {
            None if group.progress.is_keeping_fetched() => {} // One has come.
            None => group.fetching = Some(Fetching::new(from, least, now)),
            Some(fetching) if fetching.is_silent(now) => {
                (fetching.from, fetching.ask_at, fetching.heard_at) = (from, now, now);
            }
            Some(_) => {}
        }
    }

    /// Asks for what is missing, once it is time to.
    pub(super) fn run_transfers(&mut self, now: LocalTime) {
        for id in self.group_ids() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.sending.forget_unused(now);
            let Some(fetching) = &mut group.fetching else { continue };
            if now < fetching.ask_at {
                continue;
            }
            if group.replica.history().committed() >= fetching.least {
                group.fetching = None; // It learnt the values from somebody in the meantime.
                continue;
            }
            let (to, ask) = (fetching.from, fetching.ask(now));
            self.send_between(id, to, &Between::SnapshotAsk(ask));
        }
    }

    /// Somebody asks for a part of a snapshot.
    pub(super) fn on_snapshot_ask(&mut self, id: u16, from: ServerId, ask: SnapshotAsk) {
        let now = self.clock.now();
        let Some(group) = self.groups.get_mut(&id) else { return };
        let fits = |edition: &Edition| edition.slot >= ask.least;
        if !group.sending.current.as_ref().is_some_and(|(edition, _)| fits(edition)) {
            let slots = self.disk.snapshots(id).into_iter().filter(|&slot| slot >= ask.least);
            let content = slots.filter_map(|slot| self.disk.read_snapshot(id, slot).ok()).next();
            let Some(content) = content else {
                group.progress.ask(ask.least, group.replica.applied());
                return;
            };
            let body = Payload::from(content.encode());
            let checksum = crc32c::crc32c(&body.0);
            group.sending.current =
                Some((Edition { slot: content.slot(), bytes: body.0.len() as u64, checksum }, body));
        }
        group.sending.note_ask(now);
        let Some((edition, body)) = group.sending.current.clone() else { return };
        let offset = if ask.edition == Some(edition) { ask.offset } else { 0 };
        let piece_bytes =
            self.identity.datagram_bytes.saturating_sub(OVERHEAD_BYTES).clamp(64, PIECE_BYTES_MAX);
        let start = usize::try_from(offset.min(edition.bytes)).unwrap_or(body.0.len());
        let end = usize::try_from((offset + WINDOW_BYTES).min(edition.bytes)).unwrap_or(body.0.len());
        for at in (start..end).step_by(piece_bytes) {
            let bytes = Payload::from(&body.0[at..(at + piece_bytes).min(end)]);
            let piece = SnapshotPiece { edition, offset: at as u64, bytes };
            self.send_between(id, from, &Between::SnapshotPiece(piece));
        }
    }

    /// A part of a snapshot has come.
    pub(super) fn on_snapshot_piece(&mut self, id: u16, from: ServerId, piece: SnapshotPiece) {
        let now = self.clock.now();
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(fetching) = &mut group.fetching else { return };
        if !fetching.take(from, piece, now) {
            return;
        }
        match group.fetching.take().and_then(Fetching::finish) {
            Some(content) => self.keep_fetched(id, content),
            None => self.alarms.push(format!(
                "a snapshot from server {from} is not what was sent, and is fetched again if it is still needed"
            )),
        }
    }

    pub(super) fn send_between(&mut self, group: u16, to: ServerId, body: &Between<Message<Payload>>) {
        if let Some(&address) = self.identity.addresses.get(usize::from(to.0)) {
            self.outbox.push(address, group, body, &mut self.network, &mut self.counters);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use spec::{Sessions, Snapshot};

    use super::*;

    const SOURCE: ServerId = ServerId(1);
    const NOW: LocalTime = LocalTime(0);

    fn edition(body: &[u8]) -> Edition {
        Edition { slot: Slot(9), bytes: body.len() as u64, checksum: crc32c::crc32c(body) }
    }

    fn content() -> Content {
        let protocol = Snapshot { slot: Slot(9), sessions: Sessions::default() };
        let state: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        Content { protocol, state: state.into(), ..Content::default() }
    }

    /// The pieces that answer an ask.
    fn pieces(body: &[u8], ask: SnapshotAsk) -> Vec<SnapshotPiece> {
        let window = ask.offset..(ask.offset + WINDOW_BYTES).min(body.len() as u64);
        let piece = |offset: u64| {
            let (at, end) = (usize::try_from(offset).unwrap(), usize::try_from(window.end).unwrap());
            let bytes = body[at..(at + 1_000).min(end)].to_vec();
            SnapshotPiece { edition: edition(body), offset, bytes: bytes.into() }
        };
        window.clone().step_by(1_000).map(piece).collect()
    }

    proptest! {
        #[test]
        fn a_snapshot_arrives_whole_however_its_pieces_are_lost_repeated_and_mixed(seed in any::<u64>()) {
            let mut rng = crate::rng::Rng::seeded(seed);
            let body = content().encode();
            let mut fetching = Fetching::new(SOURCE, Slot(5), NOW);
            let mut flying = Vec::new();
            for round in 0.. {
                assert!(round < 1_000, "it does not come to an end");
                flying.extend(pieces(&body, fetching.ask(NOW)).into_iter().filter(|_| rng.percent(70)));
                let mut complete = false;
                for _ in 0..flying.len() {
                    let at = usize::try_from(rng.below(flying.len() as u64)).unwrap();
                    let piece = if rng.percent(20) { flying[at].clone() } else { flying.swap_remove(at) };
                    complete = fetching.take(SOURCE, piece, NOW);
                    assert!(fetching.early.len() as u64 <= WINDOW_BYTES * 2 / 1_000 + 1, "memory is bounded");
                    if complete || flying.is_empty() || rng.percent(5) {
                        break;
                    }
                }
                if complete {
                    break;
                }
            }
            assert_eq!(fetching.received, body);
            assert_eq!(fetching.finish().unwrap(), content());
        }
    }

    #[test]
    fn what_has_come_is_kept_when_another_source_has_the_same_snapshot() {
        let body = content().encode();
        let mut fetching = Fetching::new(SOURCE, Slot(5), NOW);
        for piece in pieces(&body, fetching.ask(NOW)) {
            fetching.take(SOURCE, piece, NOW);
        }
        fetching.from = ServerId(2);
        let ask = fetching.ask(NOW);
        assert_eq!((ask.offset, ask.edition), (WINDOW_BYTES, Some(edition(&body))));
        fetching.take(ServerId(2), pieces(&body, ask).remove(0), NOW);
        assert_eq!(fetching.received.len() as u64, WINDOW_BYTES + 1_000);
    }

    #[test]
    fn a_snapshot_is_kept_for_longer_the_longer_it_has_been_on_its_way() {
        let kept_for = |asks: &[i64]| {
            let mut sending = Sending::default();
            let at = |ask: &i64| NOW + millis(*ask);
            asks.iter().for_each(|ask| sending.note_ask(at(ask)));
            sending.next().unwrap() - at(asks.last().unwrap())
        };
        assert_eq!(kept_for(&[0]), millis(500));
        assert_eq!(kept_for(&[0, 100, 250]), millis(1_000));
        assert_eq!(kept_for(&[0, 60_000]), millis(5_000));
    }

    #[test]
    fn a_snapshot_that_is_not_what_was_sent_is_not_taken() {
        let mut body = content().encode();
        let sent = edition(&body);
        body[1_000] ^= 1;
        let mut fetching = Fetching::new(SOURCE, Slot(5), NOW);
        (fetching.edition, fetching.received) = (Some(sent), body);
        assert_eq!(fetching.finish(), None);
    }

    #[test]
    fn pieces_of_strangers_of_older_snapshots_and_beyond_the_window_are_ignored() {
        let piece = |slot, offset, bytes| SnapshotPiece {
            edition: Edition { slot: Slot(slot), bytes, checksum: 0 },
            offset,
            bytes: Payload::from("abc"),
        };
        let mut fetching = Fetching::new(SOURCE, Slot(5), NOW);
        fetching.take(ServerId(2), piece(6, 0, 1_000), NOW);
        fetching.take(SOURCE, piece(4, 0, 1_000), NOW);
        fetching.take(SOURCE, piece(6, 0, u64::MAX), NOW);
        fetching.take(SOURCE, piece(6, WINDOW_BYTES * 3, WINDOW_BYTES * 4), NOW);
        fetching.take(SOURCE, piece(6, u64::MAX, WINDOW_BYTES * 4), NOW);
        assert!(fetching.received.is_empty() && fetching.early.is_empty());
    }
}
