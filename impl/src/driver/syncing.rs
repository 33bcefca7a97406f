//! Making records durable, and sending what waits for them. While the disk works on many records the node goes on: it takes
//! what arrives, runs handlers, and sends what need not wait. A few are written at once: to tell another thread of them and be
//! woken by it would take as long as the sync.

use std::mem;

use spec::{LocalTime, Message, ServerId};

use super::{Driver, Stopped};
use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::wire::Between;

/// Records that wait for no message are kept in memory at most up to this number.
const UNSYNCED_RECORDS_MAX: usize = 1024;
/// The node goes on during a sync of so many records or more.
const OVERLAPPED_RECORDS_MIN: usize = 8;
/// With so many bytes for the next sync the node waits for the one that is under way: a disk that is stuck must not fill the
/// memory.
const BUFFERED_BYTES_MAX: usize = 16 << 20;

/// A message that waits for the disk, and its group.
type Held = (u16, ServerId, Message<Payload>);

/// What is on its way to the disk, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    /// Records that were appended since the last sync began.
    unsynced: usize,
    /// Messages that wait for these.
    held: Vec<Held>,
    under_way: Option<UnderWay>,
    /// Records that were made durable since the start.
    pub(super) durable_records: u64,
    /// An empty list, kept for its allocation.
    spare: Vec<Held>,
}

#[derive(Debug)]
struct UnderWay {
    begun: LocalTime,
    records: usize,
    /// Messages that wait for it.
    held: Vec<Held>,
}

impl Syncing {
    /// Notes records that were appended.
    pub(super) fn note(&mut self, records: usize) {
        self.unsynced += records;
    }

    /// Whether a message that waits for every record so far has to.
    pub(super) fn holds(&self) -> bool {
        self.unsynced > 0 || self.under_way.is_some()
    }

    /// Holds a message up until every record so far is durable.
    pub(super) fn hold(&mut self, held: Held) {
        match &mut self.under_way {
            Some(under_way) if self.unsynced == 0 => under_way.held.push(held),
            _ => self.held.push(held),
        }
    }

    /// Whether something waits for a sync that has not begun, though it might.
    pub(super) fn is_due(&self) -> bool {
        self.under_way.is_none() && (!self.held.is_empty() || self.unsynced > UNSYNCED_RECORDS_MAX)
    }

    fn begin(&mut self, begun: LocalTime) {
        let held = mem::replace(&mut self.held, mem::take(&mut self.spare));
        self.under_way = Some(UnderWay { begun, records: mem::take(&mut self.unsynced), held });
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Begins a sync if one is due, and sends what a sync that is over has held up.
    ///
    /// # Errors
    /// If the disk failed.
    pub(super) fn sync(&mut self) -> Result<(), Stopped> {
        self.end_sync()?;
        if !self.may_sync() {
            return Ok(());
        }
        let begun = self.clock.now();
        match self.disk.begin_sync(self.syncing.unsynced >= OVERLAPPED_RECORDS_MIN) {
            Err(DiskError::Full(reason)) => {
                self.on_full(reason);
                return Ok(());
            }
            begun => begun?,
        }
        self.on_room();
        self.syncing.begin(begun);
        self.end_sync()
    }

    /// Sends what waited for the sync that is under way, if it is over.
    ///
    /// # Errors
    /// If the disk failed.
    pub(super) fn end_sync(&mut self) -> Result<(), Stopped> {
        let waits = self.disk.buffered_bytes() > BUFFERED_BYTES_MAX;
        if self.syncing.under_way.is_none() || !self.disk.end_sync(waits)? {
            return Ok(());
        }
        let Some(UnderWay { begun, records, held }) = self.syncing.under_way.take() else { return Ok(()) };
        self.note_sync(begun);
        self.counters.syncs += 1;
        self.syncing.durable_records += records as u64;
        self.release(held);
        self.deliver_to_self();
        self.flush();
        Ok(())
    }

    fn release(&mut self, mut held: Vec<Held>) {
        for (group, to, message) in held.drain(..) {
            if to == self.identity.server {
                self.to_self.push_back((group, message));
            } else if let Some(&address) = self.identity.addresses.get(usize::from(to.0)) {
                let body = Between::Protocol(&message);
                self.outbox.push(address, group, &body, &mut self.network, &mut self.counters);
            }
        }
        self.syncing.spare = held;
    }
}

#[cfg(test)]
mod tests {
    use spec::{Slot, View};

    use super::*;

    fn accept(slot: u64) -> Held {
        (0, ServerId(1), Message::Accept { view: View::new(1, ServerId(1)), slot: Slot(slot) })
    }

    #[test]
    fn a_message_waits_for_the_sync_that_has_every_record_before_it_and_for_no_other() {
        let mut syncing = Syncing::default();
        assert!(!syncing.holds() && !syncing.is_due(), "nothing was appended");
        syncing.note(1);
        syncing.hold(accept(1));
        assert!(syncing.is_due());
        syncing.begin(LocalTime(0));
        syncing.hold(accept(2)); // Nothing was appended since.
        syncing.note(1);
        syncing.hold(accept(3));
        assert!(syncing.holds() && !syncing.is_due(), "one sync at a time");
        let under_way = syncing.under_way.take().unwrap();
        assert_eq!((under_way.records, under_way.held), (1, vec![accept(1), accept(2)]));
        assert!(syncing.is_due());
        syncing.begin(LocalTime(1));
        assert_eq!(syncing.under_way.unwrap().held, [accept(3)]);
    }

    #[test]
    fn records_that_nothing_waits_for_are_synced_when_they_become_many() {
        let mut syncing = Syncing::default();
        syncing.note(UNSYNCED_RECORDS_MAX);
        assert!(!syncing.is_due());
        syncing.note(1);
        assert!(syncing.is_due());
    }
}
