//! What must hold in every run: the state machine of the simulation, and who judges what it and the clients
//! see.
//!
//! The state machine is a ledger: an update appends its number and is told its place; a query is told how
//! long the ledger is. So an answer says what came before it, and histories are easy to judge.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use spec::Slot;

use crate::state_machine::{NotASnapshot, StateMachine};

/// What has been applied anywhere, and what was said to clients.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// The update of each slot, and its place.
    slots: BTreeMap<Slot, (u64, u64)>,
    /// Where each update was applied.
    updates: BTreeMap<u64, Slot>,
    /// The longest ledger that any answer so far has told of: every later answer must tell of it too.
    told: u64,
    /// Acknowledged updates: slot, number.
    acknowledged: Vec<(Slot, u64)>,
    complaint: Option<String>,
    /// Whether leases rest on clocks that are not known yet to be beyond the bound.
    pub(super) is_lenient: bool,
    excused: u64,
}

impl Judge {
    /// The first thing that went wrong.
    pub(super) fn complaint(&self) -> Option<&String> {
        self.complaint.as_ref()
    }

    pub(super) fn complain(&mut self, complaint: impl FnOnce() -> String) {
        self.complaint.get_or_insert_with(complaint);
    }

    /// How often something was excused.
    pub(super) fn excused(&self) -> u64 {
        self.excused
    }

    /// Complains of what rests on leases, and so on clocks.
    pub(super) fn complain_of_lease(&mut self, complaint: impl FnOnce() -> String) {
        if self.is_lenient {
            self.excused += 1;
        } else {
            self.complain(complaint);
        }
    }

    fn applied(&mut self, slot: Slot, update: u64, place: u64) {
        let (in_slot, in_place) = *self.slots.entry(slot).or_insert((update, place));
        if in_slot != update {
            self.complain(|| format!("slot {slot} was applied as update {in_slot} and as update {update}"));
        }
        if in_place != place {
            self.complain(|| {
                format!("update {update} has place {in_place} at one server, {place} at another")
            });
        }
        let at = *self.updates.entry(update).or_insert(slot);
        if at != slot {
            self.complain(|| format!("update {update} was applied in slot {at} and again in slot {slot}"));
        }
    }

    /// What an operation that begins now must be told at least.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// A client learnt that its update has this place. `told` was noted when it began.
    pub(super) fn acknowledged(&mut self, update: u64, slot: Slot, place: u64, told: u64) {
        if place <= told {
            self.complain(|| {
                format!("update {update} began after a client knew of {told} entries, but has place {place}")
            });
        }
        if self.slots.get(&slot).is_none_or(|&(in_slot, _)| in_slot != update) {
            self.complain(|| format!("update {update} was acknowledged in slot {slot}, but is not there"));
        }
        self.acknowledged.push((slot, update));
        self.told = self.told.max(place);
    }

    /// A client read this length. `told` was noted when it began.
    pub(super) fn read(&mut self, length: u64, told: u64) {
        if length < told {
            self.complain_of_lease(|| {
                format!("a read is stale: {length} entries, though {told} were known of before")
            });
        }
        self.told = self.told.max(length);
    }

    /// Every acknowledged update must be among the slots that every server has applied.
    pub(super) fn check_applied(&mut self, server: usize, applied: Slot) {
        let missing = self.acknowledged.iter().find(|(slot, _)| *slot > applied).copied();
        if let Some((slot, update)) = missing {
            self.complain(|| {
                format!("update {update} was acknowledged in slot {slot}; server {server} ends at {applied}")
            });
        }
    }
}

/// The ledger at one server.
#[derive(Debug)]
pub(super) struct Ledger {
    judge: Rc<RefCell<Judge>>,
    length: u64,
}

impl Ledger {
    pub(super) fn new(judge: Rc<RefCell<Judge>>) -> Self {
        Self { judge, length: 0 }
    }
}

impl StateMachine for Ledger {
    fn apply(&mut self, slot: Slot, update: &[u8]) -> Vec<u8> {
        self.length += 1;
        match read_number(update) {
            Some(number) => self.judge.borrow_mut().applied(slot, number, self.length),
            None => self.judge.borrow_mut().complain(|| format!("slot {slot} holds what nobody proposed")),
        }
        self.length.to_le_bytes().to_vec()
    }

    fn query(&self, _: &[u8]) -> Vec<u8> {
        self.length.to_le_bytes().to_vec()
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.length.to_le_bytes().to_vec())
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotASnapshot> {
        let length = snapshot.try_into().map_err(|_| NotASnapshot("no ledger".into()))?;
        self.length = u64::from_le_bytes(length);
        Ok(())
    }
}

/// The number that bytes begin with.
pub(super) fn read_number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}
