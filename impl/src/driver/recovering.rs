//! A server that lost its disk: its groups begin as ones that may not vote, and it says how far their recovery is.

use spec::{Durable, Record, Recovering, Replica, ServerId, ServerSet};

use super::Driver;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::status::{Recovery, Stage};

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// A group whose records say nothing of this disk: what it was part of before is lost. This needs no sync of its own,
    /// for the disk itself says which it is, and if the record is lost the next start comes here again.
    pub(super) fn begin_recovery(&mut self, group: u16, durable: &mut Durable<Payload>) {
        let record = Record::Recovering(self.identity.life.incarnation());
        self.disk.append(group, &record);
        self.syncing.note(1);
        self.counters.records += 1;
        durable.apply(record);
    }

    /// How far the recovery is of the first group that may not vote; none if all may.
    pub(super) fn recovery(&self) -> Option<Recovery> {
        self.groups.values().find_map(|group| progress(&group.replica))
    }
}

/// How far a group's recovery is; none if it may vote.
fn progress(replica: &Replica<Payload>) -> Option<Recovery> {
    let Recovering { noted, told, until, .. } = replica.recovering()?;
    let config = replica.config();
    let missing = |answered: &ServerSet| -> Vec<ServerId> {
        config.members().filter(|&server| server != config.me && !answered.contains(server)).collect()
    };
    let (noting, telling) = (missing(noted), missing(told));
    let (stage, waits_for) = match until {
        _ if !noting.is_empty() => (Stage::Noting, noting),
        None => (Stage::Telling, telling),
        Some(_) => (Stage::Waiting, Vec::new()),
    };
    Some(Recovery { stage, waits_for })
}
