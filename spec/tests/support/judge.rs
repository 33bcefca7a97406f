//! Judges a run by what its servers wrote, applied and hold, and never by what they say of each other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::TestCaseError;
use spec::{Command, Effect, Message, Record, ServerId, SessionId, Slot, View};

use crate::group::{Group, Input, restored};
use crate::schedule::Event;

/// One applied update: slot, session, sequence number and value.
type Applied = (Slot, SessionId, u64, u8);

/// What must not be contradicted, and how often something happened.
#[derive(Default)]
pub(crate) struct Judge {
    /// How much of each disk was looked at.
    looked_at: BTreeMap<ServerId, usize>,
    votes: BTreeMap<(Slot, View), (Command<u8>, BTreeSet<ServerId>)>,
    chosen: BTreeMap<Slot, Command<u8>>,
    /// The longest run of updates that a server applied, and how far each has come.
    applied: Vec<Applied>,
    applied_at: BTreeMap<ServerId, usize>,
    holder: Option<ServerId>,

    commits: usize,
    leases: usize,
    leases_moved: usize,
    restarts: usize,
    repeats: usize,
    catch_ups: usize,
    reads: usize,
    compactions: usize,
    installs: usize,
    late_snapshots: usize,
    recoveries: usize,
}

impl Judge {
    pub(crate) fn look_at(&mut self, group: &Group, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Input { id, input, effects, .. } => {
                self.catch_ups += usize::from(matches!(input, Input::Receive(_, Message::Commit { .. })));
                if let Input::Install(_) = input {
                    self.installs += usize::from(restored(effects).is_some());
                    self.late_snapshots += usize::from(effects.is_empty());
                    self.compactions += usize::from(!effects.is_empty());
                }
                self.look_at_effects(*id, effects)?;
            }
            Event::Restart { id, effects } => {
                self.restarts += 1;
                self.recoveries += usize::from(restored(effects).is_some());
                self.look_at_effects(*id, effects)?;
            }
            Event::Crash(id) => _ = self.applied_at.remove(id),
            Event::Other => {}
        }
        for server in &group.servers {
            let me = server.config.me;
            let seen = self.looked_at.entry(me).or_default();
            let new = &server.disk[*seen..];
            *seen = server.disk.len();
            for record in new {
                self.look_at_record(me, record, group.servers.len())?;
            }
            if let (Event::Input { id, .. } | Event::Restart { id, .. }, Some(replica)) =
                (event, &server.replica)
                && *id == me
            {
                for (slot, entry) in replica.history().above(Slot::NONE).filter(|(_, entry)| entry.committed)
                {
                    agree(&mut self.chosen, slot, &entry.command, "learnt")?;
                }
            }
        }
        self.look_at_leases(group)
    }

    /// A value is chosen when a quorum voted for it durably in one view, whether anybody knows it or not.
    fn look_at_record(
        &mut self,
        voter: ServerId,
        record: &Record<u8>,
        servers: usize,
    ) -> Result<(), TestCaseError> {
        let Record::Vote { view, slot, command } = record else { return Ok(()) };
        let (voted, voters) =
            self.votes.entry((*slot, *view)).or_insert_with(|| (command.clone(), BTreeSet::new()));
        if voted != command {
            return fail(format!("view {view} has two values in slot {slot}: {voted:?} and {command:?}"));
        }
        voters.insert(voter);
        if voters.len() > servers / 2 {
            self.commits += usize::from(!self.chosen.contains_key(slot));
            agree(&mut self.chosen, *slot, command, "chosen")?;
        }
        Ok(())
    }

    fn look_at_effects(&mut self, id: ServerId, effects: &[Effect<u8>]) -> Result<(), TestCaseError> {
        for effect in effects {
            self.reads += usize::from(matches!(effect, Effect::Serve(_)));
            if let Effect::Restore(slot) = effect {
                let held = self.applied.iter().take_while(|update| update.0 <= *slot).count();
                self.applied_at.insert(id, held);
            }
            let Effect::Apply { slot, session, sequence, value } = effect else { continue };
            let update = (*slot, *session, *sequence, *value);
            let at = self.applied_at.entry(id).or_default();
            match self.applied.get(*at) {
                Some(first) if *first != update => {
                    return fail(format!("server {id} applies {update:?}, another has {first:?}"));
                }
                Some(_) => self.repeats += 1,
                None if self.applied.iter().any(|old| (old.1, old.2) == (update.1, update.2)) => {
                    return fail(format!("{update:?} is applied for the second time"));
                }
                None => self.applied.push(update),
            }
            *at += 1;
        }
        Ok(())
    }

    fn look_at_leases(&mut self, group: &Group) -> Result<(), TestCaseError> {
        let holds = |server: &&crate::group::Server| {
            server.replica.as_ref().is_some_and(|replica| replica.holds_lease(server.now))
        };
        let holders: Vec<_> = group.servers.iter().filter(holds).map(|server| server.config.me).collect();
        if holders.len() > 1 {
            return fail(format!("servers {holders:?} hold the lease"));
        }
        if let Some(&holder) = holders.first() {
            self.leases += usize::from(self.holder.is_none());
            self.leases_moved += usize::from(self.holder.is_some_and(|former| former != holder));
            self.holder = Some(holder);
        }
        Ok(())
    }

    pub(crate) fn add_counts(&mut self, other: &Self) {
        self.commits += other.commits;
        self.leases += other.leases;
        self.leases_moved += other.leases_moved;
        self.restarts += other.restarts;
        self.repeats += other.repeats;
        self.catch_ups += other.catch_ups;
        self.reads += other.reads;
        self.compactions += other.compactions;
        self.installs += other.installs;
        self.late_snapshots += other.late_snapshots;
        self.recoveries += other.recoveries;
        self.applied.extend(&other.applied);
    }

    pub(crate) fn assert_that_much_happened(&self) {
        let counts = [
            ("slots chosen", self.commits),
            ("updates applied", self.applied.len()),
            ("updates applied at a further server", self.repeats),
            ("runs with a lease", self.leases),
            ("leases moved", self.leases_moved),
            ("restarts", self.restarts),
            ("values learnt from a Commit", self.catch_ups),
            ("reads served", self.reads),
            ("logs compacted", self.compactions),
            ("servers brought up to date by a snapshot", self.installs),
            ("snapshots that came too late", self.late_snapshots),
            ("restarts from a snapshot", self.recoveries),
        ];
        counts.iter().for_each(|(what, count)| println!("{what}: {count}"));
        for (what, count) in counts {
            assert!(count >= 50, "only {count} {what}");
        }
    }
}

fn agree(
    chosen: &mut BTreeMap<Slot, Command<u8>>,
    slot: Slot,
    command: &Command<u8>,
    how: &str,
) -> Result<(), TestCaseError> {
    let first = chosen.entry(slot).or_insert_with(|| command.clone());
    if first == command { Ok(()) } else { fail(format!("slot {slot}: {first:?}, and {command:?} is {how}")) }
}

fn fail(reason: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(reason))
}
