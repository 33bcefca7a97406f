//! Taking snapshots, and starting from them.
//!
//! The content is taken between two updates; while the disk writes it the node goes on. A snapshot's record goes into the log
//! as soon as its file is durable, with what must be kept of the records up to then. The handlers forget the values that it
//! stands for only when the next one is taken, so that a server which lags a little needs values and no snapshot.

use std::collections::VecDeque;

use spec::{Durable, Record, ServerId, Slot, Snapshot, View};

use super::group::Group;
use super::in_hand::InHand;
use super::{Driver, Stopped};
use crate::clock::Clock;
use crate::disk::{Disk, WrittenSnapshot};
use crate::network::Network;
use crate::payload::Payload;
use crate::snapshot::Content;
use crate::state_machine::StateMachine;

/// A log that lacks more slots in a row than this is not one that a snapshot's loss can be made up from.
const GAP_SLOTS_MAX: u64 = 1 << 20;
/// While a snapshot is being sent, the next one is put off for at most so many intervals.
const INTERVALS_PUT_OFF_MAX: u64 = 8;

/// When a group's state machine is to be written to a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotPolicy {
    /// After so many slots.
    pub slots: u64,
    /// After updates of so many bytes.
    pub bytes: u64,
}

impl SnapshotPolicy {
    /// When a server takes its first snapshot after a start: those of higher numbers sooner, so that from then on they take
    /// turns. Servers that are busy with snapshots at the same time hold every update up.
    fn first(self, me: ServerId, servers: usize) -> Self {
        let servers = servers as u64;
        let part = |interval: u64| (interval / servers).saturating_mul(servers - u64::from(me.0)).max(1);
        Self { slots: part(self.slots), bytes: part(self.bytes) }
    }
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { slots: 100_000, bytes: 64 << 20 }
    }
}

/// How far a group's snapshots have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last slot of the latest snapshot, or of the last try.
    pub(super) tried: Slot,
    /// Whether one was tried since the start.
    has_tried: bool,
    /// The last slot of the latest snapshot whose record is in the log.
    pub(super) logged: Slot,
    /// The bytes of updates applied since the last try.
    pub(super) bytes: u64,
    /// Whether somebody asks for a later snapshot than there is.
    is_asked_for: bool,
    /// Whether the server lacked what its disk lost when this was last looked at.
    is_repairing: bool,
    /// A snapshot that the handlers are not told of yet.
    held_back: Option<Snapshot>,
    /// Those that are being written, oldest first.
    writing: VecDeque<Origin>,
}

/// Where a snapshot that is being written comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Own,
    Fetched,
}

impl Progress {
    /// Somebody needs a snapshot up to `least` or later, and there is none. If this server has come that far, it is worth one
    /// out of turn, unless one that will do is being written.
    pub(super) fn ask(&mut self, least: Slot, applied: Slot) {
        let is_coming = !self.writing.is_empty() && self.tried >= least;
        self.is_asked_for = applied >= least && !is_coming;
    }

    /// Whether a snapshot of another server's is being written.
    pub(super) fn is_keeping_fetched(&self) -> bool {
        self.writing.contains(&Origin::Fetched)
    }

    /// Notes whether the server lacks what its disk lost. Once it has learnt all of that again, a snapshot is taken: two of
    /// them let the damaged part of the log go.
    fn note_repair(&mut self, is_repairing: bool) {
        self.is_asked_for |= std::mem::replace(&mut self.is_repairing, is_repairing) && !is_repairing;
    }

    fn is_due(&self, applied: Slot, policy: SnapshotPolicy, intervals: u64) -> bool {
        if !self.writing.is_empty() {
            return false;
        }
        let slots = applied.0.saturating_sub(self.tried.0);
        let is_far = |so_far: u64, interval: u64| so_far >= interval.saturating_mul(intervals);
        slots > 0 && (self.is_asked_for || is_far(slots, policy.slots) || is_far(self.bytes, policy.bytes))
    }
}

/// What must be kept of the records before a snapshot's: disks, views, terms, what is lacking, and the votes and chosen values
/// above it.
pub fn checkpoint(durable: &Durable<Payload>, slot: Slot) -> Vec<Record<Payload>> {
    let Durable { attempted, promised, grant_term, incarnation, .. } = *durable;
    let mut records = Vec::new();
    if incarnation > 0 {
        records.push(Record::Recovering(incarnation));
    }
    if incarnation > 0 && !durable.recovering {
        records.push(Record::Recovered { promised, attempted, grant_term });
    }
    if durable.lacks > durable.history.committed() {
        records.push(Record::Lacks { up_to: durable.lacks, snapshot: false });
    }
    let noted = durable.noted.iter();
    records.extend(noted.map(|(&server, &incarnation)| Record::Noted { server, incarnation }));
    records.extend([Record::Attempt(attempted), Record::Promise(promised), Record::GrantTerm(grant_term)]);
    let committed = durable.history.committed();
    for (slot, entry) in durable.history.above(slot) {
        let command = || entry.command.clone();
        if entry.view > View::NONE {
            records.push(Record::Vote { view: entry.view, slot, command: command() });
        }
        if entry.committed && (slot > committed || entry.view == View::NONE) {
            records.push(Record::Learnt { slot, command: command() });
        }
    }
    // After the votes that it is about, so that the values of most slots are written once.
    if committed > slot {
        records.push(Record::Committed(committed));
    }
    records
}

/// What a group starts from.
pub(super) struct Start {
    pub(super) durable: Durable<Payload>,
    /// The snapshot at the history's base, if there is one.
    pub(super) content: Option<Content>,
    /// What is wrong with snapshots that could not be used.
    pub(super) alarms: Vec<String>,
}

/// Starts from the newest snapshot that is whole, if the log has what comes after it.
pub(super) fn start(disk: &impl Disk, group: u16, records: &[Record<Payload>]) -> Start {
    let mut alarms = Vec::new();
    for slot in disk.snapshots(group) {
        match disk.read_snapshot(group, slot) {
            Ok(content) => {
                if let Some(durable) = sum(Some(content.protocol.clone()), records) {
                    return Start { durable, content: Some(content), alarms };
                }
            }
            Err(error) => alarms.push(format!("{error}. It is left as it is, and not used")),
        }
    }
    if let Some(durable) = sum(None, records) {
        return Start { durable, content: None, alarms };
    }
    // What it voted for above the snapshot is here. What the snapshot stands for has to be learnt again before it takes part.
    if alarms.is_empty() {
        alarms.push(format!("group {group} has no snapshot, and its log begins with one"));
    }
    let mut durable: Durable<Payload> = records.iter().cloned().collect();
    durable.apply(Record::Lacks { up_to: Slot::NONE, snapshot: true });
    Start { durable, content: None, alarms }
}

/// What a group would start from, for tests of a disk.
#[cfg(test)]
pub(crate) fn start_of(
    disk: &impl Disk,
    group: u16,
    records: &[Record<Payload>],
) -> (Durable<Payload>, Option<Content>) {
    let Start { durable, content, .. } = start(disk, group, records);
    (durable, content)
}

/// The sum of the records above a snapshot. None if they rest on a later one: leaving that out would take votes
/// that it stands for as chosen.
fn sum(snapshot: Option<Snapshot>, records: &[Record<Payload>]) -> Option<Durable<Payload>> {
    let mut durable = Durable::default();
    durable.apply(Record::Snapshot(snapshot.unwrap_or_default()));
    for (number, record) in (1_u64..).zip(records) {
        let _in_hand = InHand::new(|| (number, record));
        match record {
            Record::Snapshot(later) if later.slot > durable.history.committed() => return None,
            Record::Snapshot(_) => {}
            Record::Vote { slot, .. } | Record::Learnt { slot, .. }
                if slot.0 > durable.history.last().0.saturating_add(GAP_SLOTS_MAX) =>
            {
                return None;
            }
            _ => durable.apply(record.clone()),
        }
    }
    Some(durable)
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Takes snapshots after so many slots or bytes, instead of the default.
    #[must_use]
    pub fn with_snapshots(mut self, policy: SnapshotPolicy) -> Self {
        self.snapshot_policy = policy;
        self
    }

    /// What went wrong without stopping the server, since this was last asked.
    pub fn take_alarms(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alarms)
    }

    /// Whether a group has what its disk should hold, and need not still learn it because something was found damaged.
    pub fn has_state(&self, group: u16) -> bool {
        self.groups.get(&group).is_some_and(|group| group.replica.repairing().is_none())
    }

    /// Begins a snapshot of each group whose time has come. Everything that was listed has been carried out.
    pub(super) fn take_snapshots(&mut self) {
        if self.stands_aside() {
            return;
        }
        let now = self.clock.now();
        for id in self.group_ids() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let intervals = if group.sending.is_in_use(now) { INTERVALS_PUT_OFF_MAX } else { 1 };
            let applied = group.replica.applied();
            group.progress.note_repair(group.replica.repairing().is_some());
            let policy = if group.progress.has_tried {
                self.snapshot_policy
            } else {
                self.snapshot_policy.first(self.identity.server, self.identity.addresses.len())
            };
            if !group.progress.is_due(applied, policy, intervals) {
                continue;
            }
            group.progress.has_tried = true;
            (group.progress.tried, group.progress.bytes, group.progress.is_asked_for) = (applied, 0, false);
            let Some(content) = group.content() else { continue };
            group.progress.writing.push_back(Origin::Own);
            self.disk.begin_snapshot(id, content);
        }
    }

    /// Another server's snapshot has come.
    pub(super) fn keep_fetched(&mut self, id: u16, content: Content) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if content.slot() > group.progress.logged {
            group.progress.writing.push_back(Origin::Fetched);
            self.disk.begin_snapshot(id, content);
        }
    }

    /// Goes on with the snapshots that have become durable.
    ///
    /// # Errors
    /// If the disk failed.
    pub(super) fn end_snapshots(&mut self) -> Result<(), Stopped> {
        while let Some(WrittenSnapshot { group: id, content, result }) = self.disk.end_snapshot()? {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let Some(origin) = group.progress.writing.pop_front() else { continue };
            if let Err(reason) = result {
                self.counters.snapshots_failed += 1;
                self.alarms.push(match origin {
                    Origin::Own => {
                        let slot = content.slot();
                        format!(
                            "no snapshot up to slot {slot} was taken, so the log is kept and grows: {reason}"
                        )
                    }
                    Origin::Fetched => format!("a snapshot that was fetched could not be kept: {reason}"),
                });
            } else if content.slot() > group.progress.logged {
                match origin {
                    Origin::Own => self.log_own(id, content.protocol),
                    Origin::Fetched => self.install_fetched(id, content),
                }
            } // Else this server's own came first, which is as late; what lets that go lets this go as well.
        }
        Ok(())
    }

    /// This server's own snapshot is durable: its record goes into the log, and the handlers may forget what the one before
    /// it stands for.
    fn log_own(&mut self, id: u16, snapshot: Snapshot) {
        self.counters.snapshots += 1;
        self.append_snapshot(id, &snapshot);
        let Some(group) = self.groups.get_mut(&id) else { return };
        if let Some(former) = group.progress.held_back.replace(snapshot) {
            self.input(id, |replica, now, effects| replica.install(former, now, effects));
        }
    }

    /// Another server's snapshot is durable: the handlers are told of it.
    fn install_fetched(&mut self, id: u16, content: Content) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        self.counters.snapshots_fetched += 1;
        let snapshot = content.protocol.clone();
        group.offer_state(content);
        self.append_snapshot(id, &snapshot);
        self.input(id, |replica, now, effects| replica.install(snapshot, now, effects));
    }

    /// Writes a snapshot's record, with what must be kept of those before it. One frame of the log holds all of
    /// that.
    fn append_snapshot(&mut self, id: u16, snapshot: &Snapshot) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let records = records_of(group, snapshot);
        for record in &records {
            self.disk.append(id, record);
        }
        self.syncing.note(records.len());
        self.counters.records += records.len() as u64;
    }
}

fn records_of<S: StateMachine>(group: &mut Group<S>, snapshot: &Snapshot) -> Vec<Record<Payload>> {
    group.progress.logged = snapshot.slot;
    group.progress.tried = group.progress.tried.max(snapshot.slot);
    let mut records = vec![Record::Snapshot(snapshot.clone())];
    records.extend(checkpoint(group.replica.durable(), snapshot.slot));
    records
}

#[cfg(test)]
mod tests {
    use spec::{Command, Sessions, Span};

    use super::*;

    const VIEW: View = View::new(3, ServerId(1));

    fn vote(slot: u64) -> Record<Payload> {
        Record::Vote { view: VIEW, slot: Slot(slot), command: Command::Open { nonce: slot } }
    }

    fn snapshot(slot: u64) -> Snapshot {
        Snapshot { slot: Slot(slot), sessions: Sessions::default() }
    }

    fn before() -> Vec<Record<Payload>> {
        vec![
            Record::Attempt(View::new(9, ServerId(0))),
            Record::GrantTerm(Span(12)),
            vote(1),
            vote(2),
            Record::Committed(Slot(2)),
            vote(4),
            Record::Learnt { slot: Slot(6), command: Command::Open { nonce: 6 } },
        ]
    }

    #[test]
    fn while_a_snapshot_is_being_written_no_other_of_the_group_is_begun() {
        let policy = SnapshotPolicy { slots: 10, bytes: 1_000 };
        let mut progress = Progress { tried: Slot(20), ..Progress::default() };
        assert!(!progress.is_due(Slot(29), policy, 1) && progress.is_due(Slot(30), policy, 1));
        progress.writing.push_back(Origin::Own);
        progress.bytes = 5_000;
        progress.ask(Slot(20), Slot(50));
        assert!(!progress.is_asked_for, "the one that is being written will do");
        progress.ask(Slot(25), Slot(50));
        assert!(progress.is_asked_for && !progress.is_due(Slot(50), policy, 1));
        progress.writing.clear();
        assert!(progress.is_due(Slot(50), policy, 1));
    }

    #[test]
    fn servers_take_turns_at_snapshots() {
        let policy = SnapshotPolicy { slots: 90, bytes: 300 };
        let first = |me| policy.first(ServerId(me), 3);
        assert_eq!([0, 1, 2].map(|me| first(me).slots), [90, 60, 30]);
        assert_eq!([0, 1, 2].map(|me| first(me).bytes), [300, 200, 100]);
        let often = SnapshotPolicy { slots: 2, bytes: u64::MAX };
        assert_eq!(often.first(ServerId(2), 3).slots, 1, "an interval is never nothing");
    }

    #[test]
    fn a_checkpoint_stands_for_every_record_before_it() {
        let all = sum(Some(snapshot(2)), &before()).unwrap();
        let kept = checkpoint(&before().into_iter().collect(), Slot(2));
        assert_eq!(sum(Some(snapshot(2)), &kept).unwrap(), all);
        // Also of a server that lost its disk, while it recovers and afterwards.
        let lost = [Record::Recovering(7), Record::Noted { server: ServerId(1), incarnation: 3 }];
        let term = Record::Recovered { promised: VIEW, attempted: VIEW, grant_term: Span(3) };
        for so_far in [lost.to_vec(), [&lost[..], &[term]].concat()] {
            let durable = so_far.iter().cloned().chain(before()).collect();
            let records = so_far.iter().cloned().chain(before()).collect::<Vec<_>>();
            let kept = checkpoint(&durable, Slot(2));
            let again = [records.clone(), kept.clone()].concat();
            assert_eq!(sum(Some(snapshot(2)), &kept), sum(Some(snapshot(2)), &records));
            assert_eq!(sum(Some(snapshot(2)), &again), sum(Some(snapshot(2)), &records), "both are there");
        }
        assert_eq!((all.promised, all.grant_term, all.history.last()), (VIEW, Span(12), Slot(6)));
    }

    #[test]
    fn a_checkpoint_has_what_was_voted_for_and_chosen_once() {
        let learnt = |slot| Record::Learnt { slot: Slot(slot), command: Command::Open { nonce: slot } };
        // Slot 4 was never voted for here, slot 6 is open, slot 7 was chosen before it.
        let records =
            [vote(1), vote(2), vote(3), learnt(4), vote(5), Record::Committed(Slot(5)), vote(6), vote(7)];
        let records = [&records[..], &[learnt(7)]].concat();
        let durable = records.iter().cloned().collect();
        let kept = checkpoint(&durable, Slot(2));
        let values = kept.iter().skip_while(|record| !matches!(record, Record::Vote { .. }));
        let committed = Record::Committed(Slot(5));
        assert!(
            values.eq(&[vote(3), learnt(4), vote(5), vote(6), vote(7), learnt(7), committed]),
            "{kept:?}"
        );
        assert_eq!(sum(Some(snapshot(2)), &kept), sum(Some(snapshot(2)), &records));
    }

    #[test]
    fn an_older_snapshot_does_only_where_the_log_has_what_the_newer_one_stands_for() {
        let with = |slot| before().into_iter().chain([Record::Snapshot(snapshot(slot))]).collect::<Vec<_>>();
        assert_eq!(sum(Some(snapshot(1)), &with(2)).unwrap().history.committed(), Slot(2));
        assert!(sum(None, &with(2)).is_some(), "the log has everything");
        assert_eq!(sum(Some(snapshot(1)), &with(5)), None, "slot 3 is in the newer snapshot only");
    }
}
